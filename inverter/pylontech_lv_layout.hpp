// Pylontech low-voltage CAN and the SMA and Victron frame set that shares its identifiers: what the frames look like.
// 500 kbit/s, 11-bit identifiers, least significant byte first, no checksum and no counter. Sources: the maker's texts V1.2 and
// V1.3, SMA's text for external batteries, recordings of real packs; docs/protocols/pylontech-lv.md says how sure we are of each
// field. Names are seen from the gateway, which plays the battery. The simulated inverter shares this file. Several dialects fill
// the same identifier differently: those messages stand side by side, the plain one first.
#pragma once

#include "model/signal.hpp"
#include "model/time.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace batgw::pylontech_lv {

inline constexpr Duration beat = 1s;  // of every frame
inline constexpr std::chrono::milliseconds beat_ms = 1s;

// clang-format off

// ---- sent by the battery ----

//  0  1  2  3  4  5  6  7
// VV VV CC CC DD DD WW WW     V charge voltage, C charge limit, D discharge limit (positive: seen), W discharge voltage
inline constexpr Signal<Voltage> charge_voltage   {.name = "charge_voltage",    .bits = le(0, 16),         .step = 100_mV, .round = Round::down};
inline constexpr Signal<Current> charge_limit     {.name = "charge_limit",      .bits = two_s(le(16, 16)), .step = 100_mA, .valid = {0, 32767}, .round = Round::down};
inline constexpr Signal<Current> discharge_limit  {.name = "discharge_limit",   .bits = two_s(le(32, 16)), .step = 100_mA, .valid = {0, 32767}, .round = Round::down};
inline constexpr Signal<Voltage> discharge_voltage{.name = "discharge_voltage", .bits = le(48, 16),        .step = 100_mV, .round = Round::up};
inline constexpr Message limits{0x351, 8, "limits", beat_ms, charge_voltage, charge_limit, discharge_limit, discharge_voltage};

// SS SS HH HH .. .. .. ..     S state of charge, H health
// SS SS HH HH ff ff .. ..     f state of charge, finer: an SMA reads it instead of S
// SS SS HH HH MM MM mm mm     M highest, m lowest cell: LuxPower
inline constexpr Signal<Percent> soc     {.name = "soc",      .bits = le(0, 16),  .step = 1_pct, .valid = {0, 100}};
inline constexpr Signal<Percent> soh     {.name = "soh",      .bits = le(16, 16), .step = 1_pct, .valid = {0, 100}};
inline constexpr Signal<Percent> soc_fine{.name = "soc_fine", .bits = le(32, 16), .step = Percent::from_milli(10), .valid = {1, 10000}};  // 0 stops an SMA
inline constexpr Signal<Voltage> lux_cell_max{.name = "cell_voltage_max", .bits = le(32, 16), .step = 1_mV};
inline constexpr Signal<Voltage> lux_cell_min{.name = "cell_voltage_min", .bits = le(48, 16), .step = 1_mV};
inline constexpr Message charge_state      {0x355, 8, "charge_state",       beat_ms, soc, soh};
inline constexpr Message charge_state_fine {0x355, 8, "charge_state_fine",  beat_ms, soc, soh, soc_fine};
inline constexpr Message charge_state_cells{0x355, 8, "charge_state_cells", beat_ms, soc, soh, lux_cell_max, lux_cell_min};

// VV VV CC CC TT TT .. ..     V voltage, C current (positive charges: seen), T average temperature
// VV VV CC CC TT TT tt tt     T highest, t lowest cell temperature: LuxPower
// Sol-Ark's text and some batteries have V in steps of 0.1 V.
inline constexpr Signal<Voltage>     voltage       {.name = "voltage",     .bits = two_s(le(0, 16)),  .step = 10_mV, .valid = {0, 32767}};
inline constexpr Signal<Voltage>     voltage_coarse{.name = "voltage",     .bits = two_s(le(0, 16)),  .step = 100_mV, .valid = {0, 32767}};
inline constexpr Signal<Current>     current       {.name = "current",     .bits = two_s(le(16, 16)), .step = 100_mA, .valid = {-32767, 32767}};
inline constexpr Signal<Temperature> temperature   {.name = "temperature", .bits = two_s(le(32, 16)), .step = TemperatureStep::from_milli(100), .valid = {-2732, 32767}};
inline constexpr Signal<Temperature> lux_temperature_max{.name = "temperature_max", .bits = two_s(le(32, 16)), .step = TemperatureStep::from_milli(100), .valid = {-2732, 32767}};
inline constexpr Signal<Temperature> lux_temperature_min{.name = "temperature_min", .bits = two_s(le(48, 16)), .step = TemperatureStep::from_milli(100), .valid = {-2732, 32767}};
inline constexpr Message measurements       {0x356, 8, "measurements",        beat_ms, voltage, current, temperature};
inline constexpr Message measurements_coarse{0x356, 8, "measurements_coarse", beat_ms, voltage_coarse, current, temperature};
inline constexpr Message measurements_cells {0x356, 8, "measurements_cells",  beat_ms, voltage, current, lux_temperature_max, lux_temperature_min};

// pp pp ww ww NN 50 4E ..     p protections (the battery has acted), w warnings, N modules, "PN"
// pp pp ww ww NN CC CC ..     C capacity: LuxPower
inline constexpr Flag over_voltage          {.name = "over_voltage",           .bits = le(1, 1)};
inline constexpr Flag under_voltage         {.name = "under_voltage",          .bits = le(2, 1)};
inline constexpr Flag over_temperature      {.name = "over_temperature",       .bits = le(3, 1)};
inline constexpr Flag under_temperature     {.name = "under_temperature",      .bits = le(4, 1)};
inline constexpr Flag discharge_over_current{.name = "discharge_over_current", .bits = le(7, 1)};
inline constexpr Flag charge_over_current   {.name = "charge_over_current",    .bits = le(8, 1)};
inline constexpr Flag system_error          {.name = "system_error",           .bits = le(11, 1)};
inline constexpr Flag voltage_high          {.name = "voltage_high",           .bits = le(17, 1)};
inline constexpr Flag voltage_low           {.name = "voltage_low",            .bits = le(18, 1)};
inline constexpr Flag temperature_high      {.name = "temperature_high",       .bits = le(19, 1)};
inline constexpr Flag temperature_low       {.name = "temperature_low",        .bits = le(20, 1)};
inline constexpr Flag discharge_current_high{.name = "discharge_current_high", .bits = le(23, 1)};
inline constexpr Flag charge_current_high   {.name = "charge_current_high",    .bits = le(24, 1)};
inline constexpr Flag communication_failure {.name = "communication_failure",  .bits = le(27, 1)};
inline constexpr Code modules               {.name = "modules",                .bits = le(32, 8), .valid = {1, 255}};
inline constexpr Code signature             {.name = "signature",              .bits = le(40, 16)};
inline constexpr Signal<Charge> lux_capacity{.name = "capacity",               .bits = le(40, 16), .step = 1_Ah};
inline constexpr Message status{0x359, 8, "status", beat_ms, over_voltage, under_voltage, over_temperature, under_temperature, discharge_over_current,
    charge_over_current, system_error, voltage_high, voltage_low, temperature_high, temperature_low, discharge_current_high, charge_current_high,
    communication_failure, modules, signature};
inline constexpr Message status_capacity{0x359, 8, "status_capacity", beat_ms, over_voltage, under_voltage, over_temperature, under_temperature,
    discharge_over_current, charge_over_current, system_error, voltage_high, voltage_low, temperature_high, temperature_low, discharge_current_high,
    charge_current_high, communication_failure, modules, lux_capacity};
inline constexpr std::int64_t signature_pn = 0x4E50;

// cdfgr... .. .. .. .. .. .. ..     bits from the top: c charge, d discharge enabled, f and g force charge I and II, r full charge wanted
// cdfgr... .. NN NN .. .. .. ..     N cycles: LuxPower
inline constexpr Flag full_charge_request{.name = "full_charge_request", .bits = le(3, 1)};
inline constexpr Flag force_charge_2     {.name = "force_charge_2",      .bits = le(4, 1)};
inline constexpr Flag force_charge_1     {.name = "force_charge_1",      .bits = le(5, 1)};
inline constexpr Flag discharge_enable   {.name = "discharge_enable",    .bits = le(6, 1)};
inline constexpr Flag charge_enable      {.name = "charge_enable",       .bits = le(7, 1)};
inline constexpr Code cycles             {.name = "cycles",              .bits = le(16, 16)};
inline constexpr Message requests       {0x35C, 8, "requests",        beat_ms, full_charge_request, force_charge_2, force_charge_1, discharge_enable, charge_enable};
inline constexpr Message requests_cycles{0x35C, 8, "requests_cycles", beat_ms, full_charge_request, force_charge_2, force_charge_1, discharge_enable, charge_enable, cycles};

// aa aa aa aa aa aa aa aa     a the maker's name, ASCII, filled with spaces. Some inverters choose sign and rules by it
inline constexpr Message maker{0x35E, 8, "maker", beat_ms};

// aa aa aa aa ww ww ww ww     a alarms, w warnings: two bits each, 01 raised, 10 ended or fine, 00 and 11 say nothing
constexpr Code pair_of_bits(std::string_view name, unsigned item) { return {.name = name, .bits = le(2 * item, 2)}; }
inline constexpr Message alarms{0x35A, 8, "alarms", beat_ms,
    pair_of_bits("alarm_general", 0), pair_of_bits("alarm_voltage_high", 1), pair_of_bits("alarm_voltage_low", 2), pair_of_bits("alarm_temperature_high", 3),
    pair_of_bits("alarm_temperature_low", 4), pair_of_bits("alarm_temperature_high_charging", 5), pair_of_bits("alarm_temperature_low_charging", 6),
    pair_of_bits("alarm_discharge_current", 7), pair_of_bits("alarm_charge_current", 8), pair_of_bits("alarm_contactor", 9),
    pair_of_bits("alarm_short_circuit", 10), pair_of_bits("alarm_internal", 11), pair_of_bits("alarm_imbalance", 12),
    pair_of_bits("warning_general", 16), pair_of_bits("warning_voltage_high", 17), pair_of_bits("warning_voltage_low", 18), pair_of_bits("warning_temperature_high", 19),
    pair_of_bits("warning_temperature_low", 20), pair_of_bits("warning_temperature_high_charging", 21), pair_of_bits("warning_temperature_low_charging", 22),
    pair_of_bits("warning_discharge_current", 23), pair_of_bits("warning_charge_current", 24), pair_of_bits("warning_contactor", 25),
    pair_of_bits("warning_short_circuit", 26), pair_of_bits("warning_internal", 27), pair_of_bits("warning_imbalance", 28)};
inline constexpr std::int64_t pair_raised = 1, pair_clear = 2;
inline constexpr unsigned first_warning_pair = 16, pair_count = 32;

// TT TT MM mm CC CC II II     T type of cells as two letters, M.m version, C capacity, I of the maker
inline constexpr Code           cell_type    {.name = "cell_type",     .bits = le(0, 16)};
inline constexpr Code           version_major{.name = "version_major", .bits = le(16, 8)};
inline constexpr Code           version_minor{.name = "version_minor", .bits = le(24, 8)};
inline constexpr Signal<Charge> capacity     {.name = "capacity",      .bits = le(32, 16), .step = 1_Ah};
inline constexpr Code           maker_id     {.name = "maker_id",      .bits = le(48, 16)};
inline constexpr Message product{0x35F, 8, "product", beat_ms, cell_type, version_major, version_minor, capacity, maker_id};
inline constexpr std::int64_t cell_type_li = 0x494C, version_major_sent = 1, version_minor_sent = 3, maker_id_sent = 170;   // of a real US5000

// aa aa aa aa aa aa aa aa     a name of the battery, characters 0 to 7 and 8 to 15: Victron. Other makers use these ids otherwise
inline constexpr Message name_first {0x370, 8, "name_first",  beat_ms};
inline constexpr Message name_second{0x371, 8, "name_second", beat_ms};

// OO OO CC CC DD DD FF FF     modules: O online, C blocking charge, D blocking discharge, F offline
inline constexpr Code modules_online            {.name = "modules_online",             .bits = le(0, 16)};
inline constexpr Code modules_blocking_charge   {.name = "modules_blocking_charge",    .bits = le(16, 16)};
inline constexpr Code modules_blocking_discharge{.name = "modules_blocking_discharge", .bits = le(32, 16)};
inline constexpr Code modules_offline           {.name = "modules_offline",            .bits = le(48, 16)};
inline constexpr Message module_counts{0x372, 8, "module_counts", beat_ms, modules_online, modules_blocking_charge, modules_blocking_discharge, modules_offline};

// vv vv VV VV tt tt TT TT     v lowest, V highest cell; t lowest, T highest temperature in kelvin
inline constexpr Temperature zero_kelvin = Temperature::from_milli(-273'000);   // as this protocol counts
inline constexpr Signal<Voltage>     cell_voltage_min{.name = "cell_voltage_min", .bits = le(0, 16),  .step = 1_mV};
inline constexpr Signal<Voltage>     cell_voltage_max{.name = "cell_voltage_max", .bits = le(16, 16), .step = 1_mV};
inline constexpr Signal<Temperature> temperature_min {.name = "temperature_min",  .bits = le(32, 16), .step = 1_K, .zero = zero_kelvin};
inline constexpr Signal<Temperature> temperature_max {.name = "temperature_max",  .bits = le(48, 16), .step = 1_K, .zero = zero_kelvin};
inline constexpr Message extremes{0x373, 8, "extremes", beat_ms, cell_voltage_min, cell_voltage_max, temperature_min, temperature_max};

// aa aa aa aa aa aa aa aa     a name of the cell or sensor
inline constexpr Message lowest_cell {0x374, 8, "lowest_cell",  beat_ms};
inline constexpr Message highest_cell{0x375, 8, "highest_cell", beat_ms};
inline constexpr Message coldest_spot{0x376, 8, "coldest_spot", beat_ms};
inline constexpr Message hottest_spot{0x377, 8, "hottest_spot", beat_ms};

// CC CC CC CC DD DD DD DD     energy of its life: C charged, D discharged
inline constexpr Signal<Energy> energy_charged   {.name = "energy_charged",    .bits = le(0, 32),  .step = Energy::from_milli(100'000)};
inline constexpr Signal<Energy> energy_discharged{.name = "energy_discharged", .bits = le(32, 32), .step = Energy::from_milli(100'000)};
inline constexpr Message energy{0x378, 8, "energy", beat_ms, energy_charged, energy_discharged};

// CC CC .. .. .. .. .. ..     C installed capacity
inline constexpr Signal<Charge> installed{.name = "installed", .bits = le(0, 16), .step = 1_Ah};
inline constexpr Message installed_capacity{0x379, 8, "installed_capacity", beat_ms, installed};

// ---- sent by the inverter ----

// .. .. .. .. .. .. .. ..     alive; mostly zeros, some send other bytes; any length; 11 or 29 bits
// VV VV CC CC TT TT SS SS     SMA: what it measures. C is negative while charging, the opposite of 0x356
inline constexpr std::uint32_t alive_id = 0x305;
inline constexpr Signal<Voltage>     inverter_voltage    {.name = "inverter_voltage",     .bits = le(0, 16),         .step = 100_mV, .valid = {1, 10000}};
inline constexpr Signal<Current>     inverter_current    {.name = "inverter_current",     .bits = two_s(le(16, 16)), .step = -100_mA, .valid = {-12000, 12000}};
inline constexpr Signal<Temperature> inverter_temperature{.name = "inverter_temperature", .bits = two_s(le(32, 16)), .step = TemperatureStep::from_milli(100), .valid = {-1000, 2000}};
inline constexpr Signal<Percent>     inverter_soc        {.name = "inverter_soc",         .bits = two_s(le(48, 16)), .step = Percent::from_milli(100), .valid = {0, 1000}};
inline constexpr Message alive         {alive_id, 0, "alive", beat_ms};
inline constexpr Message sma_measures  {alive_id, 8, "sma_measures", beat_ms, inverter_voltage, inverter_current, inverter_temperature, inverter_soc};
inline constexpr Message alive_extended{Extended{alive_id}, 0, "alive_extended", beat_ms};

// Venus OS: zeros. SMA: health, charge procedure, state, error, charge voltage. Taken as a sign of life.
inline constexpr Message inverter_extra         {0x306, 0, "inverter_extra", beat_ms};
inline constexpr Message inverter_extra_extended{Extended{0x306}, 0, "inverter_extra_extended", beat_ms};
// 12 34 56 78 aa aa aa ..     Venus OS: a "VIC". SMA: relays
inline constexpr Message inverter_brand         {0x307, 0, "inverter_brand", beat_ms};
inline constexpr Message inverter_brand_extended{Extended{0x307}, 0, "inverter_brand_extended", beat_ms};
inline constexpr std::array<std::uint8_t, 4> brand_mark{0x12, 0x34, 0x56, 0x78};

// .......o .. .. .. .. .. .. ..     o: LuxPower asks the battery to switch off
inline constexpr Flag switch_off{.name = "switch_off", .bits = le(0, 1)};
inline constexpr Message order         {0x300, 1, "order", beat_ms, switch_off};
inline constexpr Message order_extended{Extended{0x300}, 1, "order_extended", beat_ms, switch_off};

// clang-format on

}  // namespace batgw::pylontech_lv
