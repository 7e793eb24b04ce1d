#include "inverter/pylontech_hv_causes.hpp"

#include "model/battery_state.hpp"

#include <algorithm>
#include <array>
#include <string_view>

namespace batgw::pylontech_hv {
namespace {

using Fault = ActiveFault;
using Now = Circumstances;

bool always(const Fault&, const Now&) { return true; }

// A warning that names no direction is about both.
bool concerns(const Fault& f, Direction d) { return f.direction == Direction::none || covers(f.direction, d); }
bool charging(const Fault& f, const Now&) { return concerns(f, Direction::charge); }
bool discharging(const Fault& f, const Now&) { return concerns(f, Direction::discharge); }

// Of faults that come from both sides of a window, or from both signs of a current. The value may have gone back since, the limit
// of a current keeps its sign.
bool too_high(const Fault& f, const Now&) { return !f.has_value || f.value_milli >= f.limit_milli; }
bool too_low(const Fault& f, const Now&) { return !f.has_value || f.value_milli < f.limit_milli; }
bool inwards(const Fault& f, const Now&) { return f.limit_milli >= 0; }
bool outwards(const Fault& f, const Now&) { return f.limit_milli <= 0; }

// The charge curve has taken something away, on the cold or on the hot side.
bool cold_charging(const Fault& f, const Now& n) { return n.cold && concerns(f, Direction::charge); }
bool cold_discharging(const Fault& f, const Now& n) { return n.cold && concerns(f, Direction::discharge); }
bool hot_charging(const Fault& f, const Now& n) { return !n.cold && concerns(f, Direction::charge); }
bool hot_discharging(const Fault& f, const Now& n) { return !n.cold && concerns(f, Direction::discharge); }

// In which direction an inverter goes on: the judge puts it into the detail.
bool goes_on_charging(const Fault& f, const Now&) { return f.detail == to_string(Direction::charge); }
bool goes_on_discharging(const Fault& f, const Now&) { return f.detail == to_string(Direction::discharge); }

// Which sensor it is: the detail is the name of a signal or of a cross-check.
bool of_voltage(const Fault& f, const Now&)
{
    constexpr std::array<std::string_view, 7> names{
        "voltage", "link_voltage", "cell_voltage_max", "cell_voltage_min", "cells", "cell_sum", "cell_order"};
    return std::any_of(names.begin(), names.end(), [&f](std::string_view n) { return f.detail == n; });
}
bool of_temperature(const Fault& f, const Now&)
{
    constexpr std::array<std::string_view, 4> names{"temperature_min", "temperature_max", "temperatures", "temperature_order"};
    return std::any_of(names.begin(), names.end(), [&f](std::string_view n) { return f.detail == n; });
}
bool of_neither(const Fault& f, const Now& n) { return !of_voltage(f, n) && !of_temperature(f, n); }

constexpr Row unshown(FaultId id) { return {id, always, 0, 0, 0}; }

// clang-format off
constexpr std::array table{
    // Readings of the battery.
    Row{FaultId::sig_stale,          always,              0,                       trouble::communication,      0},
    Row{FaultId::sig_bad,            of_voltage,          0,                       trouble::voltage_sensor,     0},
    Row{FaultId::sig_bad,            of_temperature,      0,                       trouble::temperature_sensor, 0},
    Row{FaultId::sig_bad,            of_neither,          0,                       trouble::other,              other::self_test},
    Row{FaultId::sig_frozen,         of_voltage,          0,                       trouble::voltage_sensor,     0},
    Row{FaultId::sig_frozen,         of_neither,          0,                       trouble::other,              other::self_test},
    Row{FaultId::plausibility,       of_voltage,          0,                       trouble::voltage_sensor,     0},
    Row{FaultId::plausibility,       of_temperature,      0,                       trouble::temperature_sensor, 0},
    Row{FaultId::plausibility,       of_neither,          0,                       trouble::other,              other::self_test},
    Row{FaultId::bat_link_lost,      always,              0,                       trouble::communication,      0},
    // Cells. A spread is shown at the end of the window that it stops: the protocol has no bit for it, the module is the nearest.
    Row{FaultId::cell_high_curve,    always,              kind::cell_high,         0,                           0},
    Row{FaultId::cell_high,          always,              kind::cell_high,         0,                           0},
    Row{FaultId::cell_high_crit,     always,              kind::cell_high,         0,                           0},
    Row{FaultId::cell_low_curve,     always,              kind::cell_low,          0,                           0},
    Row{FaultId::cell_low,           always,              kind::cell_low,          0,                           0},
    Row{FaultId::cell_low_crit,      always,              kind::cell_low,          0,                           0},
    Row{FaultId::cell_deep,          always,              0,                       trouble::damaged,            0},
    Row{FaultId::cell_dev,           charging,            kind::module_high,       0,                           0},
    Row{FaultId::cell_dev,           discharging,         kind::module_low,        0,                           0},
    Row{FaultId::cell_dev_crit,      charging,            kind::module_high,       0,                           0},
    Row{FaultId::cell_dev_crit,      discharging,         kind::module_low,        0,                           0},
    // The pack. Far beyond its window somebody else pushes: that is the input.
    Row{FaultId::pack_high,          always,              kind::pack_high,         0,                           0},
    Row{FaultId::pack_low,           always,              kind::pack_low,          0,                           0},
    Row{FaultId::pack_v_crit,        too_high,            0,                       trouble::input_voltage,      0},
    Row{FaultId::pack_v_crit,        too_low,             kind::pack_low,          0,                           0},
    Row{FaultId::overcurrent,        inwards,             kind::charge_current,    0,                           0},
    Row{FaultId::overcurrent,        outwards,            kind::discharge_current, 0,                           0},
    Row{FaultId::limit_exceeded,     goes_on_charging,    kind::charge_current,    0,                           0},
    Row{FaultId::limit_exceeded,     goes_on_discharging, kind::discharge_current, 0,                           0},
    Row{FaultId::inverter_ignores_limits, always,         0,                       trouble::other,              other::safety},
    // Temperatures.
    Row{FaultId::temp_curve,         cold_charging,       kind::charge_cold,       0,                           0},
    Row{FaultId::temp_curve,         cold_discharging,    kind::discharge_cold,    0,                           0},
    Row{FaultId::temp_curve,         hot_charging,        kind::charge_hot,        0,                           0},
    Row{FaultId::temp_curve,         hot_discharging,     kind::discharge_hot,     0,                           0},
    Row{FaultId::temp_cold,          charging,            kind::charge_cold,       0,                           0},
    Row{FaultId::temp_cold,          discharging,         kind::discharge_cold,    0,                           0},
    Row{FaultId::temp_hot,           charging,            kind::charge_hot,        0,                           0},
    Row{FaultId::temp_hot,           discharging,         kind::discharge_hot,     0,                           0},
    Row{FaultId::temp_crit,          charging,            kind::charge_hot,        0,                           0},
    Row{FaultId::temp_crit,          discharging,         kind::discharge_hot,     0,                           0},
    Row{FaultId::temp_event,         always,              0,                       trouble::damaged,            0},
    Row{FaultId::temp_spread,        always,              0,                       trouble::temperature_sensor, 0},
    // Contactors.
    Row{FaultId::precharge_failed,   always,              0,                       trouble::relay,              0},
    Row{FaultId::close_failed,       always,              0,                       trouble::relay,              0},
    Row{FaultId::contactor_feedback, always,              0,                       trouble::relay,              0},
    Row{FaultId::contactor_not_open, always,              0,                       trouble::other,              other::shutdown},
    Row{FaultId::opened_by_itself,   always,              0,                       trouble::relay,              0},
    Row{FaultId::closed_by_itself,   always,              0,                       trouble::relay,              0},
    Row{FaultId::contactor_welded,   always,              0,                       trouble::relay,              0},
    Row{FaultId::weld_suspected,     always,              0,                       trouble::relay,             0},
    Row{FaultId::interlock_open,     always,              0,                       trouble::other,             other::safety},
    Row{FaultId::emergency_stop,     always,              0,                       trouble::other,             other::safety},
    Row{FaultId::gpio_lines,         always,              0,                       trouble::relay,             0},
    // What the battery says of itself, and what it is.
    Row{FaultId::bms_fault,          always,              0,                       trouble::other,              other::bmic},
    Row{FaultId::insulation,         always,              0,                       trouble::other,              other::safety},
    Row{FaultId::soh_low,            always,              0,                       trouble::damaged,            0},
    Row{FaultId::identity_changed,   always,              0,                       trouble::other,              other::self_test},
    Row{FaultId::identity_mismatch,  always,              0,                       trouble::other,              other::self_test},
    // The gateway.
    Row{FaultId::loop_stall,         always,              0,                       trouble::other,              other::self_test},
    Row{FaultId::tx_guard_refused,   always,              0,                       trouble::other,              other::safety},
    Row{FaultId::too_many_faults,    always,              0,                       trouble::other,              other::safety},
    Row{FaultId::latch_store,        always,              0,                       trouble::other,              other::self_test},
    Row{FaultId::restart_loop,       always,              0,                       trouble::other,              other::self_test},
    Row{FaultId::id_conflict,        always,              0,                       trouble::other,              other::bus},
    Row{FaultId::rx_drops,           always,              0,                       trouble::other,              other::bus},
    // A full or an empty battery and one that says "no" are no trouble: limit and mark tell.
    unshown(FaultId::soc_curve), unshown(FaultId::soc_low), unshown(FaultId::soc_high), unshown(FaultId::bms_denies),
    // For people, or about the inverter itself.
    unshown(FaultId::contactor_wear), unshown(FaultId::precharge_unverified), unshown(FaultId::link_precharged),
    unshown(FaultId::inv_link_lost), unshown(FaultId::link_synthetic), unshown(FaultId::unverified_driver), unshown(FaultId::black_start),
    unshown(FaultId::pack_mismatch), unshown(FaultId::no_ack),
    unshown(FaultId::bus_off), unshown(FaultId::bus_down), unshown(FaultId::tx_starved), unshown(FaultId::retained_command),
    unshown(FaultId::tls_unverified), unshown(FaultId::state_not_kept), unshown(FaultId::clock_invalid),
    unshown(FaultId::assumed), unshown(FaultId::idle_drain),
};
// clang-format on

constexpr bool every_fault_has_a_row()
{
    for (unsigned i = 0; i < static_cast<unsigned>(FaultId::count); ++i)
        if (std::none_of(table.begin(), table.end(), [i](const Row& r) { return static_cast<unsigned>(r.id) == i; }))
            return false;
    return true;
}
static_assert(every_fault_has_a_row());

bool stopped(const Fault& f, const Now& n)
{
    return (n.charge_stopped || !covers(f.direction, Direction::charge)) &&
        (n.discharge_stopped || !covers(f.direction, Direction::discharge));
}

}  // namespace

std::span<const Row> rows() { return table; }

Causes causes_of(std::span<const ActiveFault> faults, const Circumstances& now)
{
    Causes c;
    for (const ActiveFault& f : faults) {
        const bool acted = f.level >= FaultClass::block && stopped(f, now);
        for (const Row& row : table) {
            if (row.id != f.id || f.level < FaultClass::warn || !row.when(f, now)) continue;
            std::uint16_t& kinds = acted ? c.protections : c.alarms;
            kinds = static_cast<std::uint16_t>(kinds | row.kinds);
            if (!acted) continue;
            c.faults = static_cast<std::uint8_t>(c.faults | row.faults);
            c.other = static_cast<std::uint8_t>(c.other | row.others);
        }
    }
    return c;
}

}  // namespace batgw::pylontech_hv
