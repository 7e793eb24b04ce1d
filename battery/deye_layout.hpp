// Deye low-voltage packs (SE-G5.1, SE-G5.3, RW-M6.1, AI-W5.1, SE-F5, F12, F16) on the CAN of their PCS port: what the frames look
// like. 500 kbit/s, 11-bit identifiers, always 8 bytes, least significant byte first. From the maker's protocol document
// (revisions up to 3.3) and public recordings of several owners; docs/protocols/deye.md says how sure we are of each. Never
// checked on a real pack by us. The simulated tower shares this file.
#pragma once

#include "model/signal.hpp"
#include "model/time.hpp"

#include <array>
#include <cstdint>
#include <optional>

namespace batgw::deye {

// The master module sends the system frames and the frames of every module, each with base id + address - 1. One id more than we
// keep modules is read, so that a seventeenth module is noticed.
inline constexpr std::uint8_t most_modules = 16;
inline constexpr std::uint8_t row = most_modules + 1;

// What no pack of this kind can have is no reading: 35 to 65 V, 1000 A, 1.5 to 4.5 V per cell, -40 to 120 degrees.
inline constexpr RawRange volts_10 = {350, 650}, volts_100 = {3500, 6500}, amps_10 = {-10'000, 10'000}, limit_10 = {0, 10'000},
                          cell_milli = {1500, 4500}, degrees_10 = {-400, 1200}, percent_10 = {0, 1000};
inline constexpr TemperatureStep kelvin_tenth = TemperatureStep::from_milli(100);
inline constexpr Percent percent_tenth = Percent::from_milli(100);
inline constexpr Charge ampere_hour_tenth = Charge::from_milli(100);
inline constexpr Energy watt_hour = 1_Wh;
// More on the wire is more discharge, but for 0x356 in the profile victronCAN.
inline constexpr Current out_10 = Current::from_milli(-100), in_10 = Current::from_milli(100);

// clang-format off

// ---- of the system, both profiles ----

//  0  1  2  3  4  5  6  7
// VV VV CC CC DD DD LL LL     V asked charge voltage, C charge limit, D discharge limit, L lowest voltage
inline constexpr Signal<Voltage> charge_voltage   {.name = "charge_voltage",    .bits = le(0, 16),         .step = 100_mV, .valid = volts_10};
inline constexpr Signal<Current> charge_limit     {.name = "charge_limit",      .bits = two_s(le(16, 16)), .step = in_10,  .valid = limit_10, .round = Round::down};
inline constexpr Signal<Current> discharge_limit  {.name = "discharge_limit",   .bits = two_s(le(32, 16)), .step = in_10,  .valid = limit_10, .round = Round::down};
inline constexpr Signal<Voltage> discharge_voltage{.name = "discharge_voltage", .bits = le(48, 16),        .step = 100_mV, .valid = volts_10};
inline constexpr Message limits{0x351, 8, "limits", 1060ms, charge_voltage, charge_limit, discharge_limit, discharge_voltage};

// SS SS HH HH .. .. .. ..     S state of charge, H health, means over the modules
inline constexpr Signal<Percent> soc{.name = "soc", .bits = le(0, 16),  .step = 1_pct, .valid = {0, 100}};
inline constexpr Signal<Percent> soh{.name = "soh", .bits = le(16, 16), .step = 1_pct, .valid = {0, 100}};
inline constexpr Message charge_state{0x355, 8, "charge_state", 1010ms, soc, soh};

// VV VV CC CC TT TT .. ..     V mean voltage, C current of all modules, T mean cell temperature
inline constexpr Signal<Voltage>     voltage        {.name = "voltage",         .bits = two_s(le(0, 16)),  .step = 10_mV,   .valid = volts_100};
inline constexpr Signal<Current>     current_native {.name = "current",         .bits = two_s(le(16, 16)), .step = out_10,  .valid = amps_10};
inline constexpr Signal<Current>     current_victron{.name = "current_victron", .bits = two_s(le(16, 16)), .step = in_10,   .valid = amps_10};
inline constexpr Signal<Temperature> temperature    {.name = "temperature",     .bits = two_s(le(32, 16)), .step = kelvin_tenth, .valid = degrees_10};
inline constexpr Message measurements{0x356, 8, "measurements", 1020ms, voltage, current_native, temperature};

// MM MM NN NN NN KK CC CC     M maker, N pack number, K cell type, C nominal capacity of the system; victronCAN: MM to NN "PYLON"
inline constexpr Code           maker      {.name = "maker",       .bits = be(0, 16)};
inline constexpr Code           pack_number{.name = "pack_number", .bits = be(16, 24)};
inline constexpr Code           cell_type  {.name = "cell_type",   .bits = le(40, 8)};
inline constexpr Signal<Charge> capacity   {.name = "capacity",    .bits = le(48, 16), .step = ampere_hour_tenth, .valid = {1, 65535}};
inline constexpr Message identity{0x35E, 8, "identity", 1090ms, maker, pack_number, cell_type, capacity};
inline constexpr std::int64_t maker_native = 0x4459;              // "DY"
inline constexpr std::int64_t maker_victron = 0x5059;             // "PY", and then ...
inline constexpr std::int64_t pack_number_victron = 0x4C4F4E;     // ... "LON"

// ---- of the system, native profile ----

// a1 a2 a3 a4 a5 a6 a7 ..     alarm tables 1 to 7: deye_alarms.cpp
inline constexpr Code table_1{.name = "protection_1", .bits = le(0, 8)};
inline constexpr Code table_2{.name = "protection_2", .bits = le(8, 8)};
inline constexpr Code table_3{.name = "front_end",    .bits = le(16, 8)};
inline constexpr Code table_4{.name = "faults",       .bits = le(24, 8)};
inline constexpr Code table_5{.name = "warnings_1",   .bits = le(32, 8)};
inline constexpr Code table_6{.name = "warnings_2",   .bits = le(40, 8)};
inline constexpr Code table_7{.name = "system",       .bits = le(48, 8)};
inline constexpr Bits all_tables = le(0, 56);
inline constexpr Message alarms{0x359, 8, "alarms", 1s, table_1, table_2, table_3, table_4, table_5, table_6, table_7};

// rr .. .. .. .. .. .. ..     r what the pack asks for. Old firmware sends nothing but zeros
inline constexpr Flag heating_wanted    {.name = "heating_wanted",     .bits = le(0, 1)};
inline constexpr Flag full_charge_wanted{.name = "full_charge_wanted", .bits = le(3, 1)};
inline constexpr Flag charge_forced_2   {.name = "charge_forced_2",    .bits = le(4, 1)};
inline constexpr Flag charge_forced_1   {.name = "charge_forced_1",    .bits = le(5, 1)};
inline constexpr Flag discharge_enabled {.name = "discharge_enabled",  .bits = le(6, 1)};
inline constexpr Flag charge_enabled    {.name = "charge_enabled",     .bits = le(7, 1)};
inline constexpr Message requests{0x35C, 8, "requests", 1080ms, heating_wanted, full_charge_wanted, charge_forced_2, charge_forced_1, discharge_enabled, charge_enabled};

// HH HH LL LL hh hh ll ll     H, L highest and lowest cell; h, l highest and lowest cell temperature, over all modules
inline constexpr Signal<Voltage>     cell_max       {.name = "cell_voltage_max", .bits = le(0, 16),         .step = 1_mV,    .valid = cell_milli};
inline constexpr Signal<Voltage>     cell_min       {.name = "cell_voltage_min", .bits = le(16, 16),        .step = 1_mV,    .valid = cell_milli};
inline constexpr Signal<Temperature> temperature_max{.name = "temperature_max",  .bits = two_s(le(32, 16)), .step = kelvin_tenth, .valid = degrees_10};
inline constexpr Signal<Temperature> temperature_min{.name = "temperature_min",  .bits = two_s(le(48, 16)), .step = kelvin_tenth, .valid = degrees_10};
inline constexpr Message extremes{0x361, 8, "extremes", 1030ms, cell_max, cell_min, temperature_max, temperature_min};

// SS SS HH HH .. .. .. ..     S software, H hardware of the master, as hexadecimal digits in the order of the bytes
inline constexpr Code software{.name = "software", .bits = be(0, 16)};
inline constexpr Code hardware{.name = "hardware", .bits = be(16, 16)};
inline constexpr Message versions{0x363, 8, "versions", 1040ms, software, hardware};

// NN CC DD LL PP .. .. ..     modules: N without fault, C that must not charge, D not discharge, L lost, P in parallel
inline constexpr Code modules_normal      {.name = "modules_normal",       .bits = le(0, 8),  .valid = {0, most_modules}};
inline constexpr Code modules_no_charge   {.name = "modules_no_charge",    .bits = le(8, 8),  .valid = {0, most_modules}};
inline constexpr Code modules_no_discharge{.name = "modules_no_discharge", .bits = le(16, 8), .valid = {0, most_modules}};
inline constexpr Code modules_lost        {.name = "modules_lost",         .bits = le(24, 8), .valid = {0, most_modules}};
inline constexpr Code modules_parallel    {.name = "modules_parallel",     .bits = le(32, 8), .valid = {1, most_modules}};
inline constexpr Message counts{0x364, 8, "module_counts", 1050ms, modules_normal, modules_no_charge, modules_no_discharge, modules_lost, modules_parallel};

// CC CC DD DD .. .. .. ..     C charge, D discharge limit where the inverter is tied to the grid
inline constexpr Signal<Current> charge_limit_grid   {.name = "charge_limit_grid",    .bits = two_s(le(0, 16)),  .step = in_10, .valid = limit_10, .round = Round::down};
inline constexpr Signal<Current> discharge_limit_grid{.name = "discharge_limit_grid", .bits = two_s(le(16, 16)), .step = in_10, .valid = limit_10, .round = Round::down};
inline constexpr Message limits_grid{0x371, 8, "limits_grid", 1070ms, charge_limit_grid, discharge_limit_grid};

// PP PP EE EE EE EE ss ..     accessory with USB sockets: P power, E energy, s switch. Only in the document; not used
inline constexpr Signal<Power>  usb_power {.name = "usb_power",  .bits = le(0, 16),  .step = Power::from_milli(100)};
inline constexpr Signal<Energy> usb_energy{.name = "usb_energy", .bits = le(16, 32), .step = Energy::from_milli(100)};
inline constexpr Code           usb_switch{.name = "usb_switch", .bits = le(48, 8)};
inline constexpr Message usb{0x358, 8, "usb", 0ms, usb_power, usb_energy, usb_switch};

// ---- of the system, profile victronCAN ----

// Two bits each, 00 "not supported" in every recording: says nothing. The modules tell their alarms.
inline constexpr Message alarms_victron{0x35A, 8, "alarms_victron", 1010ms};

// .. KK SS SS CC CC MM MM     K cell type, S software, C capacity, M maker
inline constexpr Code           cell_type_victron{.name = "cell_type", .bits = le(8, 8)};
inline constexpr Code           software_victron {.name = "software",  .bits = be(16, 16)};
inline constexpr Signal<Charge> capacity_victron {.name = "capacity",  .bits = le(32, 16), .step = ampere_hour_tenth, .valid = {1, 65535}};
inline constexpr Code           maker_of_victron {.name = "maker",     .bits = be(48, 16)};
inline constexpr Message identity_victron{0x35F, 8, "identity_victron", 1s, cell_type_victron, software_victron, capacity_victron, maker_of_victron};

// ---- of each module ----

// a1 a2 a3 a4 a5 a6 a7 mm     alarm tables, m switches (MOSFETs; 1 conducts)
inline constexpr Flag parallel_done   {.name = "parallel_done",    .bits = le(56, 1)};
inline constexpr Flag charge_switch   {.name = "charge_switch",    .bits = le(60, 1)};
inline constexpr Flag discharge_switch{.name = "discharge_switch", .bits = le(61, 1)};
inline constexpr Flag precharge_switch{.name = "precharge_switch", .bits = le(62, 1)};
inline constexpr Flag heater_switch   {.name = "heater_switch",    .bits = le(63, 1)};
inline constexpr Message module_alarms{Row{0x110, row}, 8, "module_alarms", 1s, table_1, table_2, table_3, table_4, table_5, table_6, table_7,
                                       parallel_done, charge_switch, discharge_switch, precharge_switch, heater_switch};

// VV VV CC CC SS SS HH HH     V voltage, C current (more is discharge, in both profiles), S state of charge, H health
inline constexpr Signal<Voltage> module_voltage{.name = "voltage", .bits = le(0, 16),         .step = 100_mV,    .valid = volts_10};
inline constexpr Signal<Current> module_current{.name = "current", .bits = two_s(le(16, 16)), .step = out_10,    .valid = amps_10};
inline constexpr Signal<Percent> module_soc    {.name = "soc",     .bits = le(32, 16),        .step = percent_tenth, .valid = percent_10};
inline constexpr Signal<Percent> module_soh    {.name = "soh",     .bits = le(48, 16),        .step = percent_tenth, .valid = percent_10};
inline constexpr Message module_summary{Row{0x150, row}, 8, "module_summary", 1010ms, module_voltage, module_current, module_soc, module_soh};

// As 0x361, of one module.
inline constexpr Message module_extremes{Row{0x200, row}, 8, "module_extremes", 1020ms, cell_max, cell_min, temperature_max, temperature_min};

// MM MM FF FF CC CC DD DD     M hottest MOSFET, F heating film (-40.0: none fitted), C, D allowed currents, cut to whole amperes
inline constexpr Signal<Temperature> switch_temperature    {.name = "switch_temperature", .bits = two_s(le(0, 16)),  .step = kelvin_tenth, .valid = degrees_10};
inline constexpr Signal<Temperature> heater_temperature    {.name = "heater_temperature", .bits = two_s(le(16, 16)), .step = kelvin_tenth, .valid = {-399, 1200}};
inline constexpr Signal<Current>     module_charge_limit   {.name = "charge_limit",       .bits = le(32, 16), .step = 1_A, .valid = {0, 1000}, .round = Round::down};
inline constexpr Signal<Current>     module_discharge_limit{.name = "discharge_limit",    .bits = le(48, 16), .step = 1_A, .valid = {0, 1000}, .round = Round::down};
inline constexpr Message module_switches{Row{0x250, row}, 8, "module_switches", 1030ms, switch_temperature, heater_temperature, module_charge_limit, module_discharge_limit};
inline constexpr std::int64_t no_heater = -400;

// MM FF CC CC BB BB ss ..     M standby, charge, discharge (not dependable), F fault: none, minor, major, C cycles, B balancing cells, s not understood
inline constexpr Code          mode       {.name = "mode",        .bits = le(0, 8),  .valid = {0, 2}};
inline constexpr Code          fault_level{.name = "fault_level", .bits = le(8, 8),  .valid = {0, 2}};
inline constexpr Signal<Count> cycles     {.name = "cycles",      .bits = le(16, 16), .step = 1_count};
inline constexpr Code          balancing  {.name = "balancing",   .bits = le(32, 16)};
inline constexpr Code          sub_state  {.name = "sub_state",   .bits = le(48, 8)};
inline constexpr Message module_state{Row{0x400, row}, 8, "module_state", 1040ms, mode, fault_level, cycles, balancing, sub_state};

// SS SS AA .. .. .. .. ..     S software as in 0x363, A always 0xAA, then the boot loader's version in ASCII
inline constexpr Code firmware_mark{.name = "mark", .bits = le(16, 8)};
inline constexpr Message module_firmware{Row{0x500, row}, 8, "module_firmware", 2100ms, software, firmware_mark};

// II II II II OO OO OO OO     I charged, O discharged since it was made
inline constexpr Signal<Energy> energy_in {.name = "energy_in",  .bits = le(0, 32),  .step = watt_hour};
inline constexpr Signal<Energy> energy_out{.name = "energy_out", .bits = le(32, 32), .step = watt_hour};
inline constexpr Message module_energy{Row{0x550, row}, 8, "module_energy", 5300ms, energy_in, energy_out};

// Sixteen ASCII characters of serial number, first and second half: personal, so not taken apart here.
inline constexpr Message module_serial_1{Row{0x600, row}, 8, "module_serial_1", 2110ms};
inline constexpr Message module_serial_2{Row{0x650, row}, 8, "module_serial_2", 2120ms};

// How often that has happened. Shown by `batgw decode`, not used.
inline constexpr Code over_charges       {.name = "over_charges",        .bits = le(0, 16)};
inline constexpr Code over_discharges    {.name = "over_discharges",     .bits = le(16, 16)};
inline constexpr Code short_circuits     {.name = "short_circuits",      .bits = le(32, 16)};
inline constexpr Code hot_switches       {.name = "hot_switches",        .bits = le(48, 16)};
inline constexpr Message module_counters_1{Row{0x700, row}, 8, "module_counters_1", 5400ms, over_charges, over_discharges, short_circuits, hot_switches};
inline constexpr Code charge_overcurrents   {.name = "charge_overcurrents",    .bits = le(0, 16)};
inline constexpr Code discharge_overcurrents{.name = "discharge_overcurrents", .bits = le(16, 16)};
inline constexpr Code hot_charges           {.name = "hot_charges",            .bits = le(32, 16)};
inline constexpr Code hot_discharges        {.name = "hot_discharges",         .bits = le(48, 16)};
inline constexpr Message module_counters_2{Row{0x750, row}, 8, "module_counters_2", 5400ms, charge_overcurrents, discharge_overcurrents, hot_charges, hot_discharges};

// ---- towards the pack ----

// ss mm hh DD MM YY .. ..     the time, from protocol 3 on; zeros before, which newer packs take too
inline constexpr Code second{.name = "second", .bits = le(0, 8)};
inline constexpr Code minute{.name = "minute", .bits = le(8, 8)};
inline constexpr Code hour  {.name = "hour",   .bits = le(16, 8)};
inline constexpr Code day   {.name = "day",    .bits = le(24, 8)};
inline constexpr Code month {.name = "month",  .bits = le(32, 8)};
inline constexpr Code year  {.name = "year",   .bits = le(40, 8)};   // since 2000
inline constexpr Message heartbeat{0x305, 8, "heartbeat", 1s, second, minute, hour, day, month, year};

// clang-format on

inline constexpr std::array system_ids{limits.id, charge_state.id, measurements.id, identity.id, alarms.id, requests.id,
    extremes.id, versions.id, counts.id, limits_grid.id, usb.id, alarms_victron.id, identity_victron.id};
inline constexpr std::array module_rows{module_alarms.id, module_summary.id, module_extremes.id, module_switches.id,
    module_state.id, module_firmware.id, module_energy.id, module_serial_1.id, module_serial_2.id, module_counters_1.id,
    module_counters_2.id};

// The first identifier of the row that this one is in; nothing when it is in none.
constexpr std::optional<std::uint32_t> row_of(std::uint32_t id)
{
    for (const std::uint32_t first : module_rows)
        if (id >= first && id - first < row) return first;
    return std::nullopt;
}

}  // namespace batgw::deye
