// Pylontech high voltage over CAN ("Force H" and the inverters that ask for it): what the frames look like.
// 500 kbit/s, 29-bit identifiers, always 8 bytes, least significant byte first, no checksum and no counter. The inverter asks
// with 0x4200, the battery answers. From the maker's text V1.18 as inverter makers hand it round; docs/protocols/pylontech-hv.md
// says what a recording confirms. Identifiers are those of address 0: the address is added to all of them but 0x4200 and 0x3010.
// The simulated inverter shares this file.
#pragma once

#include "model/signal.hpp"
#include "model/time.hpp"

#include <array>
#include <cstdint>
#include <string_view>

namespace batgw::pylontech_hv {

inline constexpr std::uint32_t addresses = 16;  // 1 to 15 by the maker's text, 0 in recordings

// Numbers that may be negative are sent from these lowest values up, where a dialect does not leave that out.
inline constexpr Current lowest_current = Current::from_milli(-3'000'000);
inline constexpr Temperature lowest_temperature = Temperature::from_milli(-100'000);

// clang-format off

// ---- asked by the inverter ----

//  0  1  2  3  4  5  6  7
// QQ .. .. .. .. .. .. ..     Q question. The rest is anything: a Growatt was seen to send E8 in byte 7
inline constexpr Code question{.name = "question", .bits = le(0, 8)};
inline constexpr Message request{Extended{0x4200}, 8, "request", 1s, question};
inline constexpr std::int64_t ask_ensemble = 0;
inline constexpr std::int64_t ask_detail = 1;      // cells and modules; not in V1.18, seen from one implementation, answered by none
inline constexpr std::int64_t ask_equipment = 2;

// A sign of life that one implementation sends.
inline constexpr Message heartbeat{Extended{0x3010}, 8, "heartbeat", 0ms};

inline constexpr Code sleep_word{.name = "sleep_word", .bits = le(0, 8)};
inline constexpr Message sleep_wake{Extended{0x8200}, 8, "sleep_wake", 0ms, sleep_word};
inline constexpr std::int64_t word_sleep = 0x55, word_wake = 0xAA;

// CC DD .. .. .. .. .. ..     AA: close your relay although you are empty (C) or full (D)
inline constexpr Code charge_command   {.name = "charge_command",    .bits = le(0, 8)};
inline constexpr Code discharge_command{.name = "discharge_command", .bits = le(8, 8)};
inline constexpr Message relay_command{Extended{0x8210}, 8, "relay_command", 0ms, charge_command, discharge_command};

inline constexpr Code mask_word{.name = "mask_word", .bits = le(0, 8)};
inline constexpr Message mask_fault{Extended{0x8240}, 8, "mask_fault", 0ms, mask_word};

inline constexpr std::int64_t word_yes = 0xAA, word_no = 0x00;

// ---- answers of the battery: ensemble, in this order ----

// VV VV CC CC TT TT SS HH     V voltage, C current (positive charges), T temperature of the BMS, S state of charge, H health
inline constexpr Signal<Voltage>     voltage    {.name = "voltage",     .bits = le(0, 16),  .step = 100_mV};
inline constexpr Signal<Current>     current    {.name = "current",     .bits = le(16, 16), .step = 100_mA, .zero = lowest_current, .valid = {0, 60000}};
inline constexpr Signal<Temperature> temperature{.name = "temperature", .bits = le(32, 16), .step = TemperatureStep::from_milli(100), .zero = lowest_temperature};
inline constexpr Signal<Percent>     soc        {.name = "soc",         .bits = le(48, 8),  .step = 1_pct, .valid = {0, 100}};
inline constexpr Signal<Percent>     soh        {.name = "soh",         .bits = le(56, 8),  .step = 1_pct, .valid = {0, 100}};
inline constexpr Message totals{Extended{0x4210}, 8, "totals", 0ms, voltage, current, temperature, soc, soh};

// HH HH LL LL CC CC DD DD     H charge, L discharge cut-off voltage, C charge, D discharge limit. Codes below that of 0 A are no limits
inline constexpr Signal<Voltage> charge_cutoff   {.name = "charge_cutoff",    .bits = le(0, 16),  .step = 100_mV, .round = Round::down};
inline constexpr Signal<Voltage> discharge_cutoff{.name = "discharge_cutoff", .bits = le(16, 16), .step = 100_mV, .round = Round::up};
inline constexpr Signal<Current> charge_limit    {.name = "charge_limit",     .bits = le(32, 16), .step = 100_mA, .zero = lowest_current, .valid = {30000, 60000}, .round = Round::down};
inline constexpr Signal<Current> discharge_limit {.name = "discharge_limit",  .bits = le(48, 16), .step = 100_mA, .zero = lowest_current, .valid = {30000, 60000}, .round = Round::down};
inline constexpr Message limits{Extended{0x4220}, 8, "limits", 0ms, charge_cutoff, discharge_cutoff, charge_limit, discharge_limit};

// HH HH LL LL hh hh ll ll     highest and lowest, then which one each is, from 1
inline constexpr Signal<Voltage> cell_max{.name = "cell_voltage_max", .bits = le(0, 16),  .step = 1_mV};
inline constexpr Signal<Voltage> cell_min{.name = "cell_voltage_min", .bits = le(16, 16), .step = 1_mV};
inline constexpr Code            max_number{.name = "max_number", .bits = le(32, 16)};
inline constexpr Code            min_number{.name = "min_number", .bits = le(48, 16)};
inline constexpr Message cell_voltages{Extended{0x4230}, 8, "cell_voltages", 0ms, cell_max, cell_min, max_number, min_number};

inline constexpr Signal<Temperature> cell_hottest{.name = "cell_temperature_max", .bits = le(0, 16),  .step = TemperatureStep::from_milli(100), .zero = lowest_temperature};
inline constexpr Signal<Temperature> cell_coldest{.name = "cell_temperature_min", .bits = le(16, 16), .step = TemperatureStep::from_milli(100), .zero = lowest_temperature};
inline constexpr Message cell_temperatures{Extended{0x4240}, 8, "cell_temperatures", 0ms, cell_hottest, cell_coldest, max_number, min_number};

// .r bb CC CC FF AA AA PP PP  r state, b requests, C cycles, F faults, A alarms, P protections, each bit one kind of cause
inline constexpr Code state          {.name = "state",            .bits = le(0, 3)};
inline constexpr Flag force_charge   {.name = "force_charge",     .bits = le(3, 1)};
inline constexpr Flag balance_charge {.name = "balance_charge",   .bits = le(4, 1)};
inline constexpr Code cycles         {.name = "cycles",           .bits = le(8, 16)};
inline constexpr Flag fault_voltage_sensor    {.name = "fault_voltage_sensor",     .bits = le(24, 1)};
inline constexpr Flag fault_temperature_sensor{.name = "fault_temperature_sensor", .bits = le(25, 1)};
inline constexpr Flag fault_communication     {.name = "fault_communication",      .bits = le(26, 1)};
inline constexpr Flag fault_input_voltage     {.name = "fault_input_voltage",      .bits = le(27, 1)};
inline constexpr Flag fault_input_reversed    {.name = "fault_input_reversed",     .bits = le(28, 1)};
inline constexpr Flag fault_relay             {.name = "fault_relay",              .bits = le(29, 1)};
inline constexpr Flag fault_damaged           {.name = "fault_damaged",            .bits = le(30, 1)};
inline constexpr Flag fault_other             {.name = "fault_other",              .bits = le(31, 1)};
inline constexpr Flag alarm_cell_low      {.name = "alarm_cell_low",       .bits = le(32, 1)};
inline constexpr Flag alarm_cell_high     {.name = "alarm_cell_high",      .bits = le(33, 1)};
inline constexpr Flag alarm_pack_low      {.name = "alarm_pack_low",       .bits = le(34, 1)};
inline constexpr Flag alarm_pack_high     {.name = "alarm_pack_high",      .bits = le(35, 1)};
inline constexpr Flag alarm_charge_cold   {.name = "alarm_charge_cold",    .bits = le(36, 1)};
inline constexpr Flag alarm_charge_hot    {.name = "alarm_charge_hot",     .bits = le(37, 1)};
inline constexpr Flag alarm_discharge_cold{.name = "alarm_discharge_cold", .bits = le(38, 1)};
inline constexpr Flag alarm_discharge_hot {.name = "alarm_discharge_hot",  .bits = le(39, 1)};
inline constexpr Flag alarm_charge_current   {.name = "alarm_charge_current",    .bits = le(40, 1)};
inline constexpr Flag alarm_discharge_current{.name = "alarm_discharge_current", .bits = le(41, 1)};
inline constexpr Flag alarm_module_low    {.name = "alarm_module_low",     .bits = le(42, 1)};
inline constexpr Flag alarm_module_high   {.name = "alarm_module_high",    .bits = le(43, 1)};
inline constexpr Flag protection_cell_low      {.name = "protection_cell_low",       .bits = le(48, 1)};
inline constexpr Flag protection_cell_high     {.name = "protection_cell_high",      .bits = le(49, 1)};
inline constexpr Flag protection_pack_low      {.name = "protection_pack_low",       .bits = le(50, 1)};
inline constexpr Flag protection_pack_high     {.name = "protection_pack_high",      .bits = le(51, 1)};
inline constexpr Flag protection_charge_cold   {.name = "protection_charge_cold",    .bits = le(52, 1)};
inline constexpr Flag protection_charge_hot    {.name = "protection_charge_hot",     .bits = le(53, 1)};
inline constexpr Flag protection_discharge_cold{.name = "protection_discharge_cold", .bits = le(54, 1)};
inline constexpr Flag protection_discharge_hot {.name = "protection_discharge_hot",  .bits = le(55, 1)};
inline constexpr Flag protection_charge_current   {.name = "protection_charge_current",    .bits = le(56, 1)};
inline constexpr Flag protection_discharge_current{.name = "protection_discharge_current", .bits = le(57, 1)};
inline constexpr Flag protection_module_low    {.name = "protection_module_low",     .bits = le(58, 1)};
inline constexpr Flag protection_module_high   {.name = "protection_module_high",    .bits = le(59, 1)};
inline constexpr Message status{Extended{0x4250}, 8, "status", 0ms, state, force_charge, balance_charge, cycles,
    fault_voltage_sensor, fault_temperature_sensor, fault_communication, fault_input_voltage, fault_input_reversed, fault_relay, fault_damaged, fault_other,
    alarm_cell_low, alarm_cell_high, alarm_pack_low, alarm_pack_high, alarm_charge_cold, alarm_charge_hot,
    alarm_discharge_cold, alarm_discharge_hot, alarm_charge_current, alarm_discharge_current, alarm_module_low, alarm_module_high,
    protection_cell_low, protection_cell_high, protection_pack_low, protection_pack_high, protection_charge_cold, protection_charge_hot,
    protection_discharge_cold, protection_discharge_hot, protection_charge_current, protection_discharge_current, protection_module_low, protection_module_high};
inline constexpr std::int64_t state_sleep = 0, state_charge = 1, state_discharge = 2, state_idle = 3;
inline constexpr Bits faults_field = le(24, 8), alarms_field = le(32, 16), protections_field = le(48, 16);

inline constexpr Signal<Voltage> module_max{.name = "module_voltage_max", .bits = le(0, 16),  .step = 1_mV};
inline constexpr Signal<Voltage> module_min{.name = "module_voltage_min", .bits = le(16, 16), .step = 1_mV};
inline constexpr Message module_voltages{Extended{0x4260}, 8, "module_voltages", 0ms, module_max, module_min, max_number, min_number};

inline constexpr Signal<Temperature> module_hottest{.name = "module_temperature_max", .bits = le(0, 16),  .step = TemperatureStep::from_milli(100), .zero = lowest_temperature};
inline constexpr Signal<Temperature> module_coldest{.name = "module_temperature_min", .bits = le(16, 16), .step = TemperatureStep::from_milli(100), .zero = lowest_temperature};
inline constexpr Message module_temperatures{Extended{0x4270}, 8, "module_temperatures", 0ms, module_hottest, module_coldest, max_number, min_number};

// CC DD .. .. .. .. .. ..     AA: charging (C), discharging (D) is forbidden. Anything else: allowed
inline constexpr Code charge_forbidden   {.name = "charge_forbidden",    .bits = le(0, 8)};
inline constexpr Code discharge_forbidden{.name = "discharge_forbidden", .bits = le(8, 8)};
inline constexpr Message forbidden{Extended{0x4280}, 8, "forbidden", 0ms, charge_forbidden, discharge_forbidden};

// XX .. .. .. .. .. .. ..     X what fault_other is
inline constexpr Flag other_shutdown{.name = "other_shutdown",  .bits = le(0, 1)};
inline constexpr Flag other_bmic    {.name = "other_bmic",      .bits = le(1, 1)};
inline constexpr Flag other_bus     {.name = "other_bus",       .bits = le(2, 1)};
inline constexpr Flag other_selftest{.name = "other_self_test", .bits = le(3, 1)};
inline constexpr Flag other_safety  {.name = "other_safety",    .bits = le(4, 1)};
inline constexpr Message other_faults{Extended{0x4290}, 8, "other_faults", 0ms, other_shutdown, other_bmic, other_bus, other_selftest, other_safety};
inline constexpr Bits other_field = le(0, 8);

// ---- answers of the battery: equipment, in this order ----

// LL .. VV RR MM mm DD DD     L letter of the hardware (1 is A), V.R its version, M.m of the software, D of its development
inline constexpr Code hardware        {.name = "hardware",          .bits = le(0, 8)};
inline constexpr Code hardware_version{.name = "hardware_version",  .bits = le(16, 8)};
inline constexpr Code hardware_edition{.name = "hardware_revision", .bits = le(24, 8)};
inline constexpr Code software_major  {.name = "software_major",    .bits = le(32, 8)};
inline constexpr Code software_minor  {.name = "software_minor",    .bits = le(40, 8)};
inline constexpr Code development     {.name = "development",       .bits = le(48, 16)};
inline constexpr Message versions{Extended{0x7310}, 8, "versions", 0ms, hardware, hardware_version, hardware_edition, software_major, software_minor, development};

// NN NN MM CC VV VV QQ QQ     N cells in series ("battery total" in the text), M modules, C cells of each, V voltage level, Q capacity
inline constexpr Code            cells           {.name = "cells",            .bits = le(0, 16)};
inline constexpr Code            modules         {.name = "modules",          .bits = le(16, 8)};
inline constexpr Code            cells_per_module{.name = "cells_per_module", .bits = le(24, 8)};
inline constexpr Signal<Voltage> voltage_level   {.name = "voltage_level",    .bits = le(32, 16), .step = 1_V};
inline constexpr Signal<Charge>  capacity        {.name = "capacity",         .bits = le(48, 16), .step = 1_Ah};
inline constexpr Message geometry{Extended{0x7320}, 8, "geometry", 0ms, cells, modules, cells_per_module, voltage_level, capacity};

// aa aa aa aa aa aa aa aa     ASCII, zeros behind its end
inline constexpr Message maker{Extended{0x7330}, 8, "maker", 0ms};
inline constexpr Message model{Extended{0x7340}, 8, "model", 0ms};
inline constexpr std::string_view model_name = "H";

// ---- answer to mask_fault ----

inline constexpr Code mask_accepted{.name = "mask_accepted", .bits = le(0, 8)};
inline constexpr Message mask_answer{Extended{0x8250}, 8, "mask_answer", 0ms, mask_accepted};

// ---- dialects: the same fields without the lowest value, or the discharge limit as a negative number ----

inline constexpr Signal<Current> current_plain{.name = "current", .bits = two_s(le(16, 16)), .step = 100_mA};
inline constexpr Signal<Current> charge_limit_plain{.name = "charge_limit", .bits = two_s(le(32, 16)), .step = 100_mA, .valid = {0, 32767}, .round = Round::down};
inline constexpr Signal<Current> discharge_limit_plain{.name = "discharge_limit", .bits = two_s(le(48, 16)), .step = 100_mA, .valid = {0, 32767}, .round = Round::down};
inline constexpr Signal<Current> discharge_limit_minus{.name = "discharge_limit", .bits = le(48, 16), .step = Current::from_milli(-100),
                                                       .zero = Current::from_milli(3'000'000), .valid = {0, 30000}, .round = Round::down};
inline constexpr Signal<Current> discharge_limit_plain_minus{.name = "discharge_limit", .bits = two_s(le(48, 16)), .step = Current::from_milli(-100),
                                                             .valid = {-32768, 0}, .round = Round::down};
inline constexpr Signal<Temperature> hottest_plain{.name = "temperature_max", .bits = two_s(le(0, 16)),  .step = TemperatureStep::from_milli(100)};
inline constexpr Signal<Temperature> coldest_plain{.name = "temperature_min", .bits = two_s(le(16, 16)), .step = TemperatureStep::from_milli(100)};

// clang-format on

}  // namespace batgw::pylontech_hv
