// The dialects of the Pylontech low-voltage protocol, as data: which frames, in which order, filled in which way.
#pragma once

#include "model/driver.hpp"
#include "model/time.hpp"
#include "model/units.hpp"

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

namespace batgw::pylontech_lv {

// The messages we may send.
enum class Slot : std::uint8_t {
    status,
    limits,
    charge_state,
    measurements,
    requests,
    maker,
    alarms,
    product,
    name_first,
    name_second,
    module_counts,
    extremes,
    lowest_cell,
    highest_cell,
    coldest_spot,
    hottest_spot,
    energy,
    installed_capacity
};

// Limits, enables and alarm bits, which must agree: sent at once when a limit falls.
constexpr bool tells_limits(Slot s) { return s == Slot::status || s == Slot::limits || s == Slot::requests || s == Slot::alarms; }

// What fills the second half of 0x355 and the end of 0x356. Never mixed: the same bytes mean something else to another inverter.
enum class Tail : std::uint8_t { none, soc_fine, cells };

// Real batteries send frames of their natural length; one inverter takes only full ones, one takes zeros for values.
enum class Padding : std::uint8_t { always, never, by_option };

struct Profile {
    std::string_view name;
    std::span<const Slot> together;       // in one go at the beat, so that limits, enables and alarm bits always agree
    std::span<const Slot> one_by_one;     // after them, one every `gap`
    std::span<const std::uint32_t> life;  // what its inverters send
    Tail tail = Tail::none;
    Padding padding = Padding::by_option;
    bool lux_fields = false;         // capacity in 0x359, cycles in 0x35C
    bool alarm_stops_both = false;   // an alarm in 0x35A stops the inverter: only when neither direction may carry current
    bool inverter_measures = false;  // 0x305 holds what the inverter measures
    Duration spacing = std::chrono::milliseconds{100};      // two regular frames of one id; also two out of the beat
    Duration extra_spacing = std::chrono::milliseconds{5};  // a frame out of the beat after a regular one
    Current most = Current::from_milli(3'276'700);          // limits told
    // Outside them the inverter ignores what it is told, and keeps the last.
    Voltage charge_voltage_min{}, charge_voltage_max = Voltage::from_milli(6'553'500);
    Voltage discharge_voltage_min{}, discharge_voltage_max = Voltage::from_milli(6'553'500);
};

inline constexpr std::array<std::string_view, 6> profile_names{"superset", "pylontech", "victron", "sma", "luxpower", "solark"};
// The default for a name there is not.
const Profile& find_profile(std::string_view name);

// How a message is sent. `natural`: as long as real batteries send it, where the profile leaves that open.
TxRule rule_of(Slot slot, const Profile& profile, bool natural);

// What is read and sent with a profile, and with all of them together.
InverterTraffic traffic_of(const Profile& profile, bool natural);
InverterTraffic traffic_of_all();

}  // namespace batgw::pylontech_lv
