// Daly boards of the older kind on UART or RS485, frames that begin with 0xA5. Letters of the drawings: one per half byte; `u` is
// not understood, `.` is left over from an earlier answer: the board uses one buffer for all, so such bytes are never read.
//
// Sources: the maker's "RS485+UART Protocol" of 2019 and V1.2 of 2020 (in maland16/daly-bms-uart docs/ and acpiccolo/Daly-BMS
// docs/), checked by others against captures (diysolarforum.com thread 21898). Commands below 0x60 are in no document of the
// maker: matthewgream/DalyBMSInterface and diysolarforum.com thread 65439. Nothing was tried on a board by us.
#pragma once

#include "model/signal.hpp"
#include "model/time.hpp"

#include <array>

namespace batgw::daly {

inline constexpr std::size_t frame_size = 13;  // start, address, command, length, eight bytes of data, checksum
inline constexpr std::uint8_t start_byte = 0xA5, data_size = 8;
inline constexpr std::uint8_t host_upper = 0x40, host_uart = 0x80;  // the two addresses of a host that boards answer
inline constexpr std::int64_t most_cells = 48, most_sensors = 21;
inline constexpr std::int64_t cells_per_frame = 3, sensors_per_frame = 7;

// clang-format off

//  0  1  2  3  4  5  6  7
// VV VV uu uu CC CC SS SS     V voltage, C current (which way it counts depends on the firmware), S state of charge; u is
//                             "gathered voltage", zero in every capture
inline constexpr Signal<Voltage> voltage{.name = "voltage", .bits = be(0, 16), .step = 100_mV, .valid = {1, 10'000}};
inline constexpr Signal<Current> wire_current{.name = "current_on_the_wire", .bits = be(32, 16), .step = 100_mA, .zero = -3000_A, .valid = {1, 0xFFFE}};
inline constexpr Signal<Percent> soc{.name = "soc", .bits = be(48, 16), .step = Percent::from_milli(100), .valid = {0, 1000}};
inline constexpr Message totals{0x90, 8, "totals", 1000ms, voltage, wire_current, soc};

// HH HH NN LL LL MM .. ..     H highest cell, N its number, L lowest cell, M its number
inline constexpr Signal<Voltage> cell_max{.name = "cell_max", .bits = be(0, 16), .step = 1_mV, .valid = {500, 5000}};
inline constexpr Code cell_max_number{.name = "cell_max_number", .bits = be(16, 8), .valid = {1, most_cells}};
inline constexpr Signal<Voltage> cell_min{.name = "cell_min", .bits = be(24, 16), .step = 1_mV, .valid = {500, 5000}};
inline constexpr Code cell_min_number{.name = "cell_min_number", .bits = be(40, 8), .valid = {1, most_cells}};
inline constexpr Message cell_extremes{0x91, 8, "cell_extremes", 2000ms, cell_max, cell_max_number, cell_min, cell_min_number};

// HH NN LL MM .. .. .. ..     H highest temperature, N its sensor, L lowest, M its sensor. Zero, -40 degrees, is a sensor that is missing
inline constexpr Signal<Temperature> temperature_max{.name = "temperature_max", .bits = be(0, 8), .step = 1_K, .zero = Temperature::from_milli(-40'000), .valid = {1, 160}};
inline constexpr Code temperature_max_sensor{.name = "temperature_max_sensor", .bits = be(8, 8)};
inline constexpr Signal<Temperature> temperature_min{.name = "temperature_min", .bits = be(16, 8), .step = 1_K, .zero = Temperature::from_milli(-40'000), .valid = {1, 160}};
inline constexpr Code temperature_min_sensor{.name = "temperature_min_sensor", .bits = be(24, 8)};
inline constexpr Message temperature_extremes{0x92, 8, "temperature_extremes", 3000ms, temperature_max, temperature_max_sensor, temperature_min, temperature_min_sensor};

// SS CC DD LL RR RR RR RR     S 0 idle, 1 charging, 2 discharging; C charge, D discharge MOSFET conducts; L life counter; R mAh left
inline constexpr Code flow{.name = "flow", .bits = be(0, 8), .valid = {0, 2}};
inline constexpr Code charge_on{.name = "charge_on", .bits = be(8, 8), .valid = {0, 1}};
inline constexpr Code discharge_on{.name = "discharge_on", .bits = be(16, 8), .valid = {0, 1}};
inline constexpr Code life{.name = "life", .bits = be(24, 8)};
inline constexpr Signal<Charge> remaining{.name = "remaining", .bits = be(32, 32), .step = Charge::from_milli(1), .valid = {0, 10'000'000}};
inline constexpr Message switches{0x93, 8, "switches", 1000ms, flow, charge_on, discharge_on, life, remaining};

// NN TT CC LL II YY YY ..     N cells, T sensors, C charger there, L load there, I inputs 1 to 4 and outputs 1 to 4, Y cycles
inline constexpr Code cell_count{.name = "cell_count", .bits = be(0, 8), .valid = {1, most_cells}};
inline constexpr Code sensor_count{.name = "sensor_count", .bits = be(8, 8), .valid = {0, most_sensors}};
inline constexpr Code charger_there{.name = "charger_there", .bits = be(16, 8), .valid = {0, 1}};
inline constexpr Code load_there{.name = "load_there", .bits = be(24, 8), .valid = {0, 1}};
inline constexpr Code inputs_outputs{.name = "inputs_outputs", .bits = be(32, 8)};
inline constexpr Signal<Count> cycles{.name = "cycles", .bits = be(40, 16), .step = 1_count};
inline constexpr Message status{0x94, 8, "status", 10'000ms, cell_count, sensor_count, charger_there, load_there, inputs_outputs, cycles};

// FF AA AA BB BB CC CC ..     F number of the frame, A B C three cells. Frames count from 1 in every capture, from 0 in the
//                             maker's text; 0xFF is none
inline constexpr Code frame_number{.name = "frame_number", .bits = be(0, 8), .valid = {0, 16}};
inline constexpr std::array frame_cells{
    Signal<Voltage>{.name = "cell_a", .bits = be(8, 16), .step = 1_mV, .valid = {500, 5000}},
    Signal<Voltage>{.name = "cell_b", .bits = be(24, 16), .step = 1_mV, .valid = {500, 5000}},
    Signal<Voltage>{.name = "cell_c", .bits = be(40, 16), .step = 1_mV, .valid = {500, 5000}}};
inline constexpr Message cell_voltages{0x95, 8, "cell_voltages", 5000ms, frame_number, frame_cells[0], frame_cells[1], frame_cells[2]};

// FF AA BB CC DD EE GG HH     F number of the frame, A to H seven sensors; zero is a sensor that is missing
constexpr Signal<Temperature> sensor(std::string_view name, unsigned byte)
{
    return {.name = name, .bits = be(8 * byte, 8), .step = 1_K, .zero = Temperature::from_milli(-40'000), .valid = {1, 160}};
}
inline constexpr std::array frame_sensors{sensor("sensor_a", 1), sensor("sensor_b", 2), sensor("sensor_c", 3), sensor("sensor_d", 4), sensor("sensor_e", 5), sensor("sensor_f", 6), sensor("sensor_g", 7)};
inline constexpr Message sensor_temperatures{0x96, 8, "sensor_temperatures", 10'000ms, frame_number, frame_sensors[0], frame_sensors[1], frame_sensors[2], frame_sensors[3], frame_sensors[4], frame_sensors[5], frame_sensors[6]};

// BB BB BB BB BB BB .. ..     bit b of byte i, from the bottom: cell 8 i + b + 1 is being balanced (one capture agrees)
inline constexpr Code balancing{.name = "balancing", .bits = le(0, 48)};
inline constexpr Message balance{0x97, 8, "balance", 10'000ms, balancing};

// BB BB BB BB BB BB BB CC     B one bit per fault (daly_faults.cpp), C code of a fault, meaning unknown
inline constexpr Code fault_bits{.name = "fault_bits", .bits = le(0, 56)};
inline constexpr Code fault_code{.name = "fault_code", .bits = be(56, 8)};
inline constexpr Message faults{0x98, 8, "faults", 1000ms, fault_bits, fault_code};

// CC CC CC CC NN NN NN NN     C rated capacity in mAh, N nominal cell voltage in mV
inline constexpr Signal<Charge> rated_capacity{.name = "rated_capacity", .bits = be(0, 32), .step = Charge::from_milli(1), .valid = {1, 10'000'000}};
inline constexpr Signal<Voltage> nominal_cell{.name = "nominal_cell", .bits = be(32, 32), .step = 1_mV, .valid = {1500, 4500}};
inline constexpr Message rating{0x50, 8, "rating", 0ms, rated_capacity, nominal_cell};

// NN AA BB CC DD EE FF uu     N measuring boards, A B C their cells, D E F their sensors (one source)
inline constexpr Code boards{.name = "boards", .bits = be(0, 8)};
inline constexpr Code board_cells_a{.name = "board_cells_a", .bits = be(8, 8)};
inline constexpr Code board_cells_b{.name = "board_cells_b", .bits = be(16, 8)};
inline constexpr Code board_cells_c{.name = "board_cells_c", .bits = be(24, 8)};
inline constexpr Code board_sensors_a{.name = "board_sensors_a", .bits = be(32, 8)};
inline constexpr Code board_sensors_b{.name = "board_sensors_b", .bits = be(40, 8)};
inline constexpr Code board_sensors_c{.name = "board_sensors_c", .bits = be(48, 8)};
inline constexpr Message board_sizes{0x51, 8, "board_sizes", 0ms, boards, board_cells_a, board_cells_b, board_cells_c, board_sensors_a, board_sensors_b, board_sensors_c};

// CC CC CC CC DD DD DD DD     C charged, D discharged since it was made, Ah in two captures
inline constexpr Signal<Charge> total_in{.name = "total_in", .bits = be(0, 32), .step = 1_Ah, .valid = {0, 100'000'000}};
inline constexpr Signal<Charge> total_out{.name = "total_out", .bits = be(32, 32), .step = 1_Ah, .valid = {0, 100'000'000}};
inline constexpr Message counters{0x52, 8, "counters", 0ms, total_in, total_out};

// MM TT YY NN DD SS SS uu     M mode, T battery type, Y N D year - 2000, month, day it was made, S sleep after so many seconds
inline constexpr Code operation_mode{.name = "operation_mode", .bits = be(0, 8)};
inline constexpr Code battery_type{.name = "battery_type", .bits = be(8, 8)};
inline constexpr Code made_year{.name = "made_year", .bits = be(16, 8)};
inline constexpr Code made_month{.name = "made_month", .bits = be(24, 8)};
inline constexpr Code made_day{.name = "made_day", .bits = be(32, 8)};
inline constexpr Code sleep_after{.name = "sleep_after", .bits = be(40, 16)};
inline constexpr Message make{0x53, 8, "make", 0ms, operation_mode, battery_type, made_year, made_month, made_day, sleep_after};

// AA AA AA AA AA AA AA AA     text
inline constexpr Message firmware{0x54, 8, "firmware", 0ms};

// FF AA AA AA AA AA AA AA     F frame 1 to 5, A text; 35 characters in all
inline constexpr Code text_number{.name = "text_number", .bits = be(0, 8), .valid = {1, 5}};
inline constexpr Message battery_code{0x57, 8, "battery_code", 0ms, text_number};

// AA AA BB BB CC CC DD DD     mV where the board itself warns or cuts off. Which of each two is the stricter one differs
inline constexpr Signal<Voltage> cell_high_a{.name = "cell_high_a", .bits = be(0, 16), .step = 1_mV, .valid = {1500, 5000}};
inline constexpr Signal<Voltage> cell_high_b{.name = "cell_high_b", .bits = be(16, 16), .step = 1_mV, .valid = {1500, 5000}};
inline constexpr Signal<Voltage> cell_low_a{.name = "cell_low_a", .bits = be(32, 16), .step = 1_mV, .valid = {1000, 5000}};
inline constexpr Signal<Voltage> cell_low_b{.name = "cell_low_b", .bits = be(48, 16), .step = 1_mV, .valid = {1000, 5000}};
inline constexpr Message cell_limits{0x59, 8, "cell_limits", 0ms, cell_high_a, cell_high_b, cell_low_a, cell_low_b};

// SS .. .. .. .. .. .. ..     S 1 on, 0 off; asked and answered alike
inline constexpr Code switch_on{.name = "on", .bits = be(0, 8), .valid = {0, 1}};
inline constexpr Message discharge_switch{0xD9, 8, "discharge_switch", 0ms, switch_on};
inline constexpr Message charge_switch{0xDA, 8, "charge_switch", 0ms, switch_on};

// clang-format on

}  // namespace batgw::daly
