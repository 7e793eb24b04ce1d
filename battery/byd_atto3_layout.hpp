// BYD Blade packs (Atto 3 and relatives) on CAN: what the frames look like.
// 500 kbit/s, 11-bit identifiers, always 8 bytes, least significant byte first. There is no published specification: fields come
// from public recordings and independent implementations; docs/protocols/byd-atto3.md says how sure we are of each. Nothing was
// ever checked on a real pack by us. The simulated pack shares this file.
#pragma once

#include "model/signal.hpp"
#include "model/time.hpp"

#include <array>
#include <cstdint>
#include <span>

namespace batgw::byd_atto3 {

// Inverted low byte of the sum of the first seven bytes; pack and car use it alike, in the last byte.
constexpr std::uint8_t checksum(const CanFrame& f)
{
    unsigned sum = 0;
    for (std::size_t i = 0; i < 7; ++i) sum += f.data[i];
    return static_cast<std::uint8_t>(0xFFU - (sum & 0xFFU));
}
constexpr bool checksum_right(const CanFrame& f) { return f.data[7] == checksum(f); }
constexpr CanFrame sealed(CanFrame f)
{
    f.data[7] = checksum(f);
    return f;
}

inline constexpr std::size_t most_cells = 192;
inline constexpr std::size_t most_sensors = 12;
inline constexpr std::size_t cells_per_page = 3, sensors_per_page = 6;
inline constexpr Temperature no_degrees = Temperature::from_milli(-40'000);  // raw 0 of every temperature

// Codes outside `valid` are no reading: what the pack is said to send for "nothing", and what no pack can have (SAFE-025: 0.5 to
// 5 V per cell, -50 to 120 degrees, 0 to 1000 V).
// clang-format off

// What every checked frame ends in.
inline constexpr Code sum{.name = "checksum", .bits = le(56, 8)};

// ---- sent by the pack ----

//  0  1  2  3  4  5  6  7
// VV .V CC CC HH SS .. kk     V voltage (12 bits), C current (5000 is none, more is discharge), H health, S state of charge, k checksum
inline constexpr Signal<Voltage> voltage_coarse{.name = "voltage",         .bits = le(0, 12),  .step = 1_V, .valid = {1, 1000}};
inline constexpr Signal<Current> current       {.name = "current",         .bits = le(16, 16), .step = Current::from_milli(-100), .zero = 500_A, .valid = {0, 10000}};
inline constexpr Signal<Percent> health        {.name = "soh",             .bits = le(32, 8),  .step = 1_pct, .valid = {0, 100}};
inline constexpr Signal<Percent> soc_coarse    {.name = "soc_coarse",      .bits = le(40, 8),  .step = 1_pct, .valid = {0, 100}};
inline constexpr Message measurements{0x444, 8, "measurements", 101ms, voltage_coarse, current, health, soc_coarse, sum};

// .. .. .. .. .. VV VV kk     V voltage. Not a voltage on every relative: believed only next to that of 0x444
inline constexpr Signal<Voltage> voltage_fine{.name = "voltage", .bits = le(40, 16), .step = 100_mV, .valid = {1, 10'000}};
inline constexpr Message voltage_frame{0x438, 8, "voltage", 0ms, voltage_fine, sum};

// bb ss .. .. .. .. .. kk     b bits, s progress of closing
inline constexpr Flag main_closed {.name = "main_closed",  .bits = le(7, 1)};
inline constexpr Flag precharging {.name = "precharging",  .bits = le(6, 1)};
inline constexpr Flag hv_active   {.name = "hv_active",    .bits = le(2, 1)};
inline constexpr Flag drive_mode  {.name = "drive_mode",   .bits = le(1, 1)};
inline constexpr Flag charge_mode {.name = "charge_mode",  .bits = le(0, 1)};
inline constexpr Flag close_begun {.name = "close_begun",  .bits = le(14, 1)};   // its rising edge: the pack starts precharging
inline constexpr Code close_state {.name = "close_state",  .bits = le(8, 4)};
inline constexpr Message contactors{0x344, 8, "contactors", 0ms, main_closed, precharging, hv_active, drive_mode, charge_mode, close_begun, close_state, sum};

// DD DD CC CC GG .. .. kk     D allowed discharge, C allowed charge power, G copy of the charging grant
inline constexpr Signal<Power> discharge_limit{.name = "discharge_limit", .bits = le(0, 16),  .step = 100_W, .valid = {0, 4000}, .round = Round::down};
inline constexpr Signal<Power> charge_limit   {.name = "charge_limit",    .bits = le(16, 16), .step = 100_W, .valid = {0, 4000}, .round = Round::down};
inline constexpr Code          grant_mirror   {.name = "grant_mirror",    .bits = le(32, 8)};
inline constexpr Message limits{0x345, 8, "limits", 100ms, discharge_limit, charge_limit, grant_mirror, sum};

// nn LL .L .. NN HH .H kk     n, L number and voltage of the lowest cell; N, H of the highest
inline constexpr Code            lowest_cell {.name = "lowest_cell",      .bits = le(0, 8),  .valid = {1, most_cells}};
inline constexpr Signal<Voltage> cell_min    {.name = "cell_voltage_min", .bits = le(8, 12), .step = 1_mV, .valid = {500, 4094}};
inline constexpr Code            highest_cell{.name = "highest_cell",     .bits = le(32, 8), .valid = {1, most_cells}};
inline constexpr Signal<Voltage> cell_max    {.name = "cell_voltage_max", .bits = le(40, 12), .step = 1_mV, .valid = {500, 4094}};
inline constexpr Message cell_extremes{0x446, 8, "cell_extremes", 1s, lowest_cell, cell_min, highest_cell, cell_max, sum};

// nn LL NN HH SS .S AA kk     n, L coldest sensor; N, H hottest; S state of charge (12 bits!), A average temperature
inline constexpr Code                coldest_sensor {.name = "coldest_sensor",  .bits = le(0, 8)};
inline constexpr Signal<Temperature> temperature_min{.name = "temperature_min", .bits = le(8, 8),  .step = 1_K, .zero = no_degrees, .valid = {0, 160}};
inline constexpr Code                hottest_sensor {.name = "hottest_sensor",  .bits = le(16, 8)};
inline constexpr Signal<Temperature> temperature_max{.name = "temperature_max", .bits = le(24, 8), .step = 1_K, .zero = no_degrees, .valid = {0, 160}};
inline constexpr Signal<Percent>     soc            {.name = "soc",             .bits = le(32, 12), .step = Percent::from_milli(100), .valid = {0, 1000}};
inline constexpr Signal<Temperature> temperature_avg{.name = "temperature_avg", .bits = le(48, 8), .step = 1_K, .zero = no_degrees, .valid = {0, 160}};
inline constexpr Message temperature_extremes{0x447, 8, "temperature_extremes", 1s,
                                              coldest_sensor, temperature_min, hottest_sensor, temperature_max, soc, temperature_avg, sum};

// .. .. II II .. .. .. kk     I insulation. 0 is a reading; all ones taken for none (guess)
inline constexpr Signal<Insulation> insulation{.name = "insulation", .bits = le(16, 16), .step = 1_ohm_per_V, .valid = {0, 65534}};
inline constexpr Message insulation_frame{0x43A, 8, "insulation", 0ms, insulation, sum};

// m. .. .. LL LL .. .. kk     m insulation monitor runs, L voltage outside the contactors (not confirmed)
inline constexpr Flag            monitor_runs{.name = "insulation_monitor", .bits = le(7, 1)};
inline constexpr Signal<Voltage> outside     {.name = "link_voltage",       .bits = le(24, 16), .step = 100_mV, .valid = {0, 10000}};
inline constexpr Message outside_frame{0x35E, 8, "insulation_monitor", 0ms, monitor_runs, outside, sum};

// PP TT TT TT TT TT TT kk     P page, T temperatures of six sensors; all ones: not fitted
inline constexpr Code sensor_page{.name = "page", .bits = le(0, 8), .valid = {0, 1}};
inline constexpr Signal<Temperature> sensor_a{.name = "sensor_1", .bits = le(8, 8),  .step = 1_K, .zero = no_degrees, .valid = {0, 160}};
inline constexpr Signal<Temperature> sensor_b{.name = "sensor_2", .bits = le(16, 8), .step = 1_K, .zero = no_degrees, .valid = {0, 160}};
inline constexpr Signal<Temperature> sensor_c{.name = "sensor_3", .bits = le(24, 8), .step = 1_K, .zero = no_degrees, .valid = {0, 160}};
inline constexpr Signal<Temperature> sensor_d{.name = "sensor_4", .bits = le(32, 8), .step = 1_K, .zero = no_degrees, .valid = {0, 160}};
inline constexpr Signal<Temperature> sensor_e{.name = "sensor_5", .bits = le(40, 8), .step = 1_K, .zero = no_degrees, .valid = {0, 160}};
inline constexpr Signal<Temperature> sensor_f{.name = "sensor_6", .bits = le(48, 8), .step = 1_K, .zero = no_degrees, .valid = {0, 160}};
inline constexpr Message sensor_temperatures{0x43C, 8, "sensor_temperatures", 0ms,
                                             sensor_page, sensor_a, sensor_b, sensor_c, sensor_d, sensor_e, sensor_f, sum};
inline constexpr std::array page_sensors{sensor_a, sensor_b, sensor_c, sensor_d, sensor_e, sensor_f};

// PP AA .A BB .B CC .C kk     P page, A B C voltages of cells 3P+1 to 3P+3; 0 no data, all ones no such cell
inline constexpr Code cell_page{.name = "page", .bits = le(0, 8), .valid = {0, most_cells / cells_per_page - 1}};
inline constexpr Signal<Voltage> cell_a{.name = "cell_1", .bits = le(8, 12),  .step = 1_mV, .valid = {500, 4094}};
inline constexpr Signal<Voltage> cell_b{.name = "cell_2", .bits = le(24, 12), .step = 1_mV, .valid = {500, 4094}};
inline constexpr Signal<Voltage> cell_c{.name = "cell_3", .bits = le(40, 12), .step = 1_mV, .valid = {500, 4094}};
inline constexpr Message cell_voltages{0x43D, 8, "cell_voltages", 0ms, cell_page, cell_a, cell_b, cell_c, sum};
inline constexpr std::array page_cells{cell_a, cell_b, cell_c};
inline constexpr std::int64_t no_such_cell = 0xFFF;

// PP .. .. .. TT .. .. kk     P page; on page 1 T is called ambient temperature
inline constexpr Code                ambient_page{.name = "page", .bits = le(0, 8)};
inline constexpr Signal<Temperature> ambient     {.name = "temperature_ambient", .bits = le(32, 8), .step = 1_K, .zero = no_degrees, .valid = {0, 160}};
inline constexpr Message ambient_frame{0x245, 8, "ambient", 0ms, ambient_page, ambient, sum};

// .. GG .. .. .. .. .. kk     G 0: charging refused or ended
inline constexpr Code charging_grant{.name = "charging_grant", .bits = le(8, 8)};
inline constexpr Message charging{0x347, 8, "charging", 0ms, charging_grant, sum};

// PP .. QQ QQ UU UU .. kk     constant. On page 2 probably Q rated charge, U rated voltage: a guess, not used
inline constexpr Code            identity_page{.name = "page",          .bits = le(0, 8)};
inline constexpr Signal<Charge>  rated_charge {.name = "rated_charge",  .bits = le(16, 16), .step = Charge::from_milli(100)};
inline constexpr Signal<Voltage> rated_voltage{.name = "rated_voltage", .bits = le(32, 16), .step = 100_mV};
inline constexpr Message identity{0x36C, 8, "identity", 0ms, identity_page, rated_charge, rated_voltage, sum};

// Seen from packs, meaning unknown (0x43B probably repeats 0x447): signs of life.
inline constexpr Message alive_244{0x244, 8, "alive_244", 0ms};
inline constexpr Message alive_286{0x286, 8, "alive_286", 0ms};
inline constexpr Message alive_334{0x334, 8, "alive_334", 0ms};
inline constexpr Message alive_338{0x338, 8, "alive_338", 0ms};
inline constexpr Message alive_34a{0x34A, 8, "alive_34a", 0ms};
inline constexpr Message alive_360{0x360, 8, "alive_360", 0ms};
inline constexpr Message alive_43b{0x43B, 8, "alive_43b", 0ms};
inline constexpr Message alive_445{0x445, 8, "alive_445", 0ms};
inline constexpr Message alive_47b{0x47B, 8, "alive_47b", 0ms};   // no checksum
inline constexpr Message alive_524{0x524, 8, "alive_524", 5s};

// ---- sent by the car: by us ----

// MM MM MM MM MM MM NF kk     M mode, N counter, one up per frame
inline constexpr Code mode       {.name = "mode",    .bits = le(0, 48)};
inline constexpr Code mode_tail  {.name = "tail",    .bits = le(48, 4)};   // always 15
inline constexpr Code mode_count {.name = "counter", .bits = le(52, 4)};
inline constexpr Message power_mode{0x12D, 8, "power_mode", 50ms, mode, mode_tail, mode_count, sum};

// zz zz ii ii VV VV FF kk     V voltage of the inverter's capacitors as the pack shall believe it; z, i, F constant
inline constexpr Code            motor_zero  {.name = "motor_zero",    .bits = le(0, 16)};    // 15000
inline constexpr Code            link_current{.name = "link_current",  .bits = le(16, 16)};   // 5000: no current, as it seems
inline constexpr Signal<Voltage> link_voltage{.name = "link_voltage",  .bits = le(32, 16), .step = 1_V, .round = Round::down};
inline constexpr Code            link_tail   {.name = "tail",          .bits = le(48, 8)};    // 255
inline constexpr Message link_report{0x441, 8, "link_report", 100ms, motor_zero, link_current, link_voltage, link_tail, sum};

// ---- diagnostics, ISO-TP, both ways; padding 0 ours, 0xAA theirs ----
inline constexpr Code pci{.name = "pci", .bits = le(0, 8)};
inline constexpr Message diagnostic_request{0x7E7, 8, "diagnostic_request", 0ms, pci};
inline constexpr Message diagnostic_reply{0x7EF, 8, "diagnostic_reply", 0ms, pci};
inline constexpr Message diagnostic_reply_tang{0x789, 8, "diagnostic_reply_tang", 0ms, pci};

// clang-format on

// What 0x12D asks for. `acknowledge` is what makes a closed pack open; `shutdown` only announces it.
enum class PowerMode : std::uint8_t { standby, acknowledge, close, hold, shutdown };
inline constexpr std::array<std::array<std::uint8_t, 6>, 5> power_mode_bytes{{
    {0x50, 0x14, 0x02, 0x10, 0x04, 0x31},
    {0x50, 0x18, 0x02, 0x20, 0x04, 0x31},
    {0xA0, 0x28, 0x02, 0xA0, 0x0C, 0x71},
    {0xA0, 0x28, 0x00, 0x22, 0x0C, 0x31},
    {0xA0, 0x28, 0x02, 0x60, 0x04, 0x31},
}};

// A whole 0x12D frame; of `counter` the low four bits count.
constexpr CanFrame make_power_mode(PowerMode wanted, unsigned counter)
{
    CanFrame f = power_mode.blank();
    const auto& bytes = power_mode_bytes[static_cast<std::size_t>(wanted)];
    for (std::size_t i = 0; i < bytes.size(); ++i) f.data[i] = bytes[i];
    mode_tail.put(f, 0xF);
    mode_count.put(f, static_cast<std::int64_t>(counter & 0xFU));
    return sealed(f);
}

// A whole 0x441 frame. The voltage is cut to whole volts.
constexpr CanFrame make_link_report(Voltage link)
{
    CanFrame f = link_report.blank();
    motor_zero.put(f, 15'000);
    link_current.put(f, 5'000);
    link_voltage.put(f, link);
    link_tail.put(f, 0xFF);
    return sealed(f);
}
inline constexpr Voltage link_idle = 12_V;  // what a parked car reports

// Which wrong checksums cost a frame its say.
enum class ChecksumRule : std::uint8_t {
    must_pass,   // every public sample passes: a wrong one is discarded
    count_only,  // not certain that the frame carries it: counted, and used
    none         // a sign of life at most
};
struct ChecksumEntry {
    std::uint32_t id;
    ChecksumRule rule;
};
inline constexpr std::array checksum_table{
    ChecksumEntry{measurements.id, ChecksumRule::must_pass},
    ChecksumEntry{voltage_frame.id, ChecksumRule::must_pass},
    ChecksumEntry{limits.id, ChecksumRule::must_pass},
    ChecksumEntry{outside_frame.id, ChecksumRule::must_pass},
    ChecksumEntry{insulation_frame.id, ChecksumRule::must_pass},
    ChecksumEntry{temperature_extremes.id, ChecksumRule::must_pass},
    ChecksumEntry{cell_extremes.id, ChecksumRule::must_pass},
    ChecksumEntry{sensor_temperatures.id, ChecksumRule::must_pass},
    ChecksumEntry{contactors.id, ChecksumRule::count_only},
    ChecksumEntry{cell_voltages.id, ChecksumRule::count_only},
    ChecksumEntry{ambient_frame.id, ChecksumRule::count_only},
};
constexpr ChecksumRule checksum_rule(std::uint32_t id)
{
    for (const auto& entry : checksum_table)
        if (entry.id == id) return entry.rule;
    return ChecksumRule::none;
}

// Data identifiers of UDS service 0x22. The identifier is big endian, the data behind it little endian.
namespace did {
inline constexpr std::uint16_t full_charges = 0x0004;       // 2 bytes
inline constexpr std::uint16_t soc = 0x0005;                // 1, %
inline constexpr std::uint16_t voltage = 0x0008;            // 2, V
inline constexpr std::uint16_t current = 0x0009;            // 2, as 0x444
inline constexpr std::uint16_t charge_limit = 0x000A;       // 2, 0.1 kW
inline constexpr std::uint16_t sessions = 0x000B;           // 2
inline constexpr std::uint16_t discharge_limit = 0x000E;    // 2, 0.1 kW
inline constexpr std::uint16_t charge_in = 0x000F;          // 2, perhaps 3, Ah
inline constexpr std::uint16_t charge_out = 0x0010;         // 2, perhaps 3, Ah
inline constexpr std::uint16_t energy_in = 0x0011;          // 2, kWh
inline constexpr std::uint16_t energy_out = 0x0012;         // 2, kWh
inline constexpr std::uint16_t cell_min = 0x002B;           // 2, mV
inline constexpr std::uint16_t cell_max = 0x002D;           // 2, mV
inline constexpr std::uint16_t temperature_min = 0x002F;    // 1, -40 degrees
inline constexpr std::uint16_t temperature_max = 0x0031;    // 1, -40 degrees
inline constexpr std::uint16_t temperature_avg = 0x0032;    // 1, -40 degrees
inline constexpr std::uint16_t calibration = 0x1FFC;        // 4: SOC 0.01 %, capacity 0.01 Ah
inline constexpr std::uint16_t calibration_first = 0x1FFE;  // 4, as built
}  // namespace did

}  // namespace batgw::byd_atto3
