// BYD Battery-Box Premium HVS/HVM over CAN, the "generic" 11-bit dialect: what the frames look like.
// 500 kbit/s, 11-bit identifiers, always 8 bytes, most significant byte first. There is no published specification: fields were
// put together from public captures and independent implementations; docs/protocols/byd-hvs.md says how sure we are of each.
// Names are seen from the gateway, which plays the battery. The simulated inverter shares this file.
#pragma once

#include "model/signal.hpp"
#include "model/time.hpp"

#include <array>
#include <string_view>

namespace batgw::byd_hvs {

// clang-format off

// ---- sent by the battery ----

//  0  1  2  3  4  5  6  7
// HH HH LL LL DD DD CC CC     H upper, L lower end of the voltage window, D discharge limit, C charge limit (in this order: seen)
inline constexpr Signal<Voltage> window_max     {.name = "voltage_max",     .bits = be(0, 16),  .step = 100_mV, .round = Round::down};
inline constexpr Signal<Voltage> window_min     {.name = "voltage_min",     .bits = be(16, 16), .step = 100_mV, .round = Round::up};
inline constexpr Signal<Current> discharge_limit{.name = "discharge_limit", .bits = be(32, 16), .step = 100_mA, .round = Round::down};
inline constexpr Signal<Current> charge_limit   {.name = "charge_limit",    .bits = be(48, 16), .step = 100_mA, .round = Round::down};
inline constexpr Message limits{0x110, 8, "limits", 2s, window_max, window_min, discharge_limit, charge_limit};

// SS SS HH HH RR RR FF FF     S state of charge, H health, R remaining, F full capacity
inline constexpr Signal<Percent> soc      {.name = "soc",       .bits = be(0, 16),  .step = Percent::from_milli(10), .valid = {0, 10000}};
inline constexpr Signal<Percent> soh      {.name = "soh",       .bits = be(16, 16), .step = Percent::from_milli(10), .valid = {0, 10000}};
inline constexpr Signal<Charge>  remaining{.name = "remaining", .bits = be(32, 16), .step = Charge::from_milli(100)};
inline constexpr Signal<Charge>  full     {.name = "full",      .bits = be(48, 16), .step = Charge::from_milli(100), .valid = {1, 65535}};
inline constexpr Message charge_state{0x150, 8, "charge_state", 10s, soc, soh, remaining, full};

// VV VV CC CC TT TT ss kk     V voltage, C current (positive charges), T average temperature, s state, k not understood
inline constexpr Signal<Voltage>     voltage    {.name = "voltage",     .bits = be(0, 16),         .step = 100_mV};
inline constexpr Signal<Current>     current    {.name = "current",     .bits = two_s(be(16, 16)), .step = 100_mA, .valid = {-32767, 32767}};
inline constexpr Signal<Temperature> temperature{.name = "temperature", .bits = two_s(be(32, 16)), .step = TemperatureStep::from_milli(100)};
inline constexpr Code                state      {.name = "state",       .bits = be(48, 8)};
inline constexpr Code                state_tail {.name = "state_tail",  .bits = be(56, 8)};
inline constexpr Message measurements{0x1D0, 8, "measurements", 10s, voltage, current, temperature, state, state_tail};
inline constexpr std::int64_t state_ready = 3;   // seen; in the sibling dialect of SMA 3 is ready and 2 is stop
inline constexpr std::int64_t state_tail_seen = 8;

// HH HH LL LL .. .. .. ..     H highest, L lowest cell temperature
inline constexpr Signal<Temperature> temperature_max{.name = "temperature_max", .bits = two_s(be(0, 16)),  .step = TemperatureStep::from_milli(100)};
inline constexpr Signal<Temperature> temperature_min{.name = "temperature_min", .bits = two_s(be(16, 16)), .step = TemperatureStep::from_milli(100)};
inline constexpr Message temperatures{0x210, 8, "temperatures", 10s, temperature_max, temperature_min};

// AA AA AA AA BB BB BB BB     two lifetime counters, charged and discharged energy as it seems, unit unknown. Not an alarm frame.
inline constexpr Code counter_charged   {.name = "counter_charged",    .bits = be(0, 32)};
inline constexpr Code counter_discharged{.name = "counter_discharged", .bits = be(32, 32)};
inline constexpr Message counters{0x190, 8, "counters", 60s, counter_charged, counter_discharged};
inline constexpr std::int64_t counter_constant = 0x300;   // with 0 in the second: what emulators have sent for years without harm

// MM mm kk kk EE EE NN pp     M.m firmware, k constant not understood, E rated energy, N modules, p perhaps the product
inline constexpr Code           firmware_major{.name = "firmware_major", .bits = be(0, 8)};
inline constexpr Code           firmware_minor{.name = "firmware_minor", .bits = be(8, 8)};
inline constexpr Code           identity_const{.name = "identity_const", .bits = be(16, 16)};
inline constexpr Signal<Energy> energy_rated  {.name = "energy_rated",   .bits = be(32, 16), .step = Energy::from_milli(100'000), .valid = {1, 65535}};
inline constexpr Code           modules       {.name = "modules",        .bits = be(48, 8), .valid = {1, 255}};
inline constexpr Code           product_code  {.name = "product_code",   .bits = be(56, 8)};
inline constexpr Message identity{0x250, 8, "identity", 0ms, firmware_major, firmware_minor, identity_const, energy_rated, modules, product_code};
inline constexpr std::int64_t firmware_major_sent = 3, firmware_minor_sent = 0x29, identity_const_sent = 0x66, product_code_sent = 9;

// SS SS SS SS .. .. .. ..     S probably the serial number
inline constexpr Code serial{.name = "serial", .bits = be(0, 32)};
inline constexpr Message serial_number{0x290, 8, "serial_number", 0ms, serial};

// II aa aa aa aa aa aa aa     I index of the piece, a ASCII
inline constexpr Code piece{.name = "piece", .bits = be(0, 8)};
inline constexpr Message vendor{0x2D0, 8, "vendor", 0ms, piece};
inline constexpr Message product{0x3D0, 8, "product", 0ms, piece};
inline constexpr std::size_t product_pieces = 4;
inline constexpr std::size_t piece_length = 7;
inline constexpr std::string_view vendor_name = "BYD";
inline constexpr std::string_view product_hvs = "Battery-Box Premium HVS";
inline constexpr std::string_view product_hvm = "Battery-Box Premium HVM";

// ---- sent by the inverter ----

// .r aa aa aa aa aa aa aa     r bit 0: identify yourself. With 0 in byte 0, a is the inverter's brand
inline constexpr Code request{.name = "request", .bits = be(0, 8)};
inline constexpr Message hello{0x151, 8, "hello", 0ms, request};

// VV VV CC CC TT TT .. ..     at the inverter's battery terminals; the sign of the current is not proven
inline constexpr Signal<Voltage>     inverter_voltage    {.name = "inverter_voltage",     .bits = be(0, 16), .step = 100_mV, .valid = {0, 10000}};
inline constexpr Signal<Current>     inverter_current    {.name = "inverter_current",     .bits = two_s(be(16, 16)), .step = 100_mA, .valid = {-10000, 10000}};
inline constexpr Signal<Temperature> inverter_temperature{.name = "inverter_temperature", .bits = two_s(be(32, 16)),
                                                          .step = TemperatureStep::from_milli(100), .valid = {-1000, 2000}};
inline constexpr Message inverter_dc{0x091, 8, "inverter_dc", 0ms, inverter_voltage, inverter_current, inverter_temperature};

// SS SS .. .. .. .. .. ..     state of charge as the inverter has it
inline constexpr Signal<Percent> inverter_soc{.name = "inverter_soc", .bits = be(0, 16), .step = Percent::from_milli(100), .valid = {0, 1000}};
inline constexpr Message inverter_soc_echo{0x0D1, 8, "inverter_soc_echo", 0ms, inverter_soc};

// TT TT TT TT .. .. .. ..     seconds since 1970, as it seems in local time
inline constexpr Code inverter_time{.name = "inverter_time", .bits = be(0, 32)};
inline constexpr Message inverter_clock{0x111, 8, "inverter_clock", 0ms, inverter_time};

// Seen from a GoodWe only, meaning unknown: a sign of life.
inline constexpr Message inverter_alive{0x191, 8, "inverter_alive", 0ms};

// clang-format on

// Text in pieces of seven characters: piece 0 is characters 0..6. What is beyond the end is zero.
constexpr void put_piece(CanFrame& frame, std::string_view text, std::size_t index)
{
    piece.put(frame, static_cast<std::int64_t>(index));
    for (std::size_t i = 0; i < piece_length; ++i) {
        const std::size_t at = index * piece_length + i;
        frame.data[1 + i] = at < text.size() ? static_cast<std::uint8_t>(text[at]) : std::uint8_t{0};
    }
}

}  // namespace batgw::byd_hvs
