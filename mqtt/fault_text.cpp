#include "mqtt/fault_text.hpp"

#include "mqtt/value_text.hpp"

#include <algorithm>
#include <string_view>

namespace batgw::mqtt {
namespace {

// What the fault means, without its numbers.
std::string_view plain_words(FaultId id)
{
    switch (id) {
    case FaultId::sig_stale: return "battery value too old";
    case FaultId::sig_bad: return "battery value fails its checks";
    case FaultId::sig_frozen: return "battery value does not move";
    case FaultId::assumed: return "a value is assumed, not measured";
    case FaultId::plausibility: return "battery values contradict each other";
    case FaultId::loop_stall: return "the program was held up";
    case FaultId::too_many_faults: return "more faults at once than can be listed";
    case FaultId::tx_guard_refused: return "a frame was refused before sending";
    case FaultId::cell_high_curve: return "highest cell";
    case FaultId::cell_low_curve: return "lowest cell";
    case FaultId::cell_high:
    case FaultId::cell_high_crit: return "cell too high";
    case FaultId::cell_low:
    case FaultId::cell_low_crit: return "cell too low";
    case FaultId::cell_deep: return "cell deeply discharged";
    case FaultId::pack_high: return "pack voltage too high";
    case FaultId::pack_low: return "pack voltage too low";
    case FaultId::pack_v_crit: return "pack voltage outside its design window";
    case FaultId::cell_dev:
    case FaultId::cell_dev_crit: return "cells too far apart";
    case FaultId::temp_curve: return "temperature";
    case FaultId::temp_cold: return "too cold";
    case FaultId::temp_hot: return "too hot";
    case FaultId::temp_crit: return "temperature critical";
    case FaultId::temp_event: return "temperature rises as if a cell were burning";
    case FaultId::temp_spread: return "temperatures too far apart";
    case FaultId::overcurrent: return "more current than granted";
    case FaultId::soc_curve: return "state of charge";
    case FaultId::soc_low: return "state of charge too low";
    case FaultId::soc_high: return "state of charge at its maximum";
    case FaultId::soh_low: return "state of health low";
    case FaultId::bms_fault: return "the battery reports a fault";
    case FaultId::bms_denies: return "the battery denies";
    case FaultId::insulation: return "insulation low";
    case FaultId::bat_link_lost: return "battery silent";
    case FaultId::inv_link_lost: return "inverter silent";
    case FaultId::id_conflict: return "somebody else sends our frames";
    case FaultId::identity_changed: return "this is another battery than before";
    case FaultId::identity_mismatch: return "the battery is not the configured one";
    case FaultId::precharge_failed: return "precharge failed";
    case FaultId::close_failed: return "contactors did not close";
    case FaultId::contactor_feedback: return "contactor feedback is wrong";
    case FaultId::contactor_not_open: return "contactors did not open";
    case FaultId::opened_by_itself: return "the battery opened its contactors";
    case FaultId::closed_by_itself: return "the battery closed its contactors unasked";
    case FaultId::contactor_welded: return "contactor welded: the pack may still be live";
    case FaultId::weld_suspected: return "contactor may be welded";
    case FaultId::contactor_wear: return "contactors opened under load too often";
    case FaultId::precharge_unverified: return "precharging by time, not measured";
    case FaultId::link_precharged: return "voltage at the inverter before closing";
    case FaultId::interlock_open: return "interlock open";
    case FaultId::emergency_stop: return "emergency stop";
    case FaultId::gpio_lines: return "contactor lines not usable";
    case FaultId::pack_mismatch: return "voltage is not that of the packs beside it";
    case FaultId::link_synthetic: return "the link voltage told to the battery is made up";
    case FaultId::unverified_driver: return "driver not verified well enough";
    case FaultId::limit_exceeded: return "more current than the inverter was told";
    case FaultId::inverter_ignores_limits: return "the inverter ignores its limits";
    case FaultId::idle_drain: return "an empty battery is still drained";
    case FaultId::black_start: return "closed without an inverter";
    case FaultId::bus_off: return "CAN controller off the bus";
    case FaultId::bus_down: return "interface or port not usable";
    case FaultId::tx_starved: return "frames cannot be sent";
    case FaultId::no_ack: return "nobody acknowledges what is sent";
    case FaultId::rx_drops: return "received frames were lost";
    case FaultId::retained_command: return "a retained command lies on the broker";
    case FaultId::tls_unverified: return "the broker's certificate is not checked";
    case FaultId::state_not_kept: return "settings cannot be kept on disk";
    case FaultId::latch_store: return "the record of faults that stay could not be read";
    case FaultId::restart_loop: return "the program ended badly too often";
    case FaultId::clock_invalid: return "the clock is not set";
    case FaultId::count: break;
    }
    return "fault";
}

std::string_view ascii_unit(Unit unit) { return unit == Unit::celsius ? "degC" : to_string(unit); }

std::string quantity(std::int64_t milli, Unit unit)
{
    std::string text = fixed_text(scaled(milli, decimals_of(unit)), decimals_of(unit));
    const std::string_view name = ascii_unit(unit);
    if (!name.empty()) text.append(unit == Unit::percent ? "" : " ").append(name);
    return text;
}

std::string printable(std::string_view text)
{
    std::string out;
    for (const char c : text)
        if (c >= ' ' && c <= '~') out += c;
    return out;
}

std::string_view waiting_text(Waiting w)
{
    switch (w) {
    case Waiting::nothing: return "";
    case Waiting::bus: return "waiting for the buses";
    case Waiting::battery_listen: return "listening to the battery";
    case Waiting::battery_data: return "waiting for battery values";
    case Waiting::battery_identity: return "waiting for the battery's identity";
    case Waiting::battery_fault: return "waiting for a battery fault to end";
    case Waiting::inverter: return "waiting for the inverter";
    case Waiting::boot_inhibit: return "waiting for the start delay";
    case Waiting::valid_time: return "waiting for values to settle";
    case Waiting::operator_: return "contactors held open by the operator";
    case Waiting::attempts: return "closing failed too often";
    case Waiting::permission: return "the battery does not permit closing";
    case Waiting::current: return "waiting for the current to end";
    case Waiting::cooldown: return "waiting to close again";
    case Waiting::lockout: return "contactors locked out";
    case Waiting::cycle_limit: return "too many contactor cycles";
    case Waiting::inverter_ready: return "waiting for the inverter to get ready";
    case Waiting::gpio_lines: return "waiting for the contactor lines";
    case Waiting::interlock: return "interlock or emergency stop open";
    case Waiting::link_voltage: return "waiting for the voltage at the inverter";
    case Waiting::link_precharged: return "voltage at the inverter before closing";
    case Waiting::open_verify: return "contactors not yet proven open";
    case Waiting::parallel: return "the packs are not at one voltage, or not at rest";
    }
    return "";
}

std::string_view directions(Direction d)
{
    switch (d) {
    case Direction::none: break;
    case Direction::charge: return "charge";
    case Direction::discharge: return "discharge";
    case Direction::both: return "charge and discharge";
    }
    return "";
}

const ActiveFault* worst_fault(const Snapshot& s)
{
    if (s.verdict.first_cause && s.verdict.first_cause->level >= s.verdict.worst) return &*s.verdict.first_cause;
    const ActiveFault* worst = nullptr;
    for (const ActiveFault& f : s.verdict.faults)
        if (!worst || f.level > worst->level) worst = &f;
    return worst;
}

std::string because(std::string_view what, const ActiveFault* fault, Waiting waiting)
{
    std::string text{what};
    if (fault && fault->level >= FaultClass::derate) return text.append(": ").append(fault_text(*fault));
    if (const auto wait = waiting_text(waiting); !wait.empty()) return text.append(": ").append(wait);
    return text;
}

// Which directions a fault of at least `level` concerns.
Direction concerned(const Snapshot& s, FaultClass level)
{
    Direction all = Direction::none;
    for (const ActiveFault& f : s.verdict.faults)
        if (f.level >= level) all = all | f.direction;
    return all;
}

}  // namespace

unsigned decimals_of(Unit unit)
{
    switch (unit) {
    case Unit::volt: return 3;
    case Unit::ampere:
    case Unit::percent:
    case Unit::celsius:
    case Unit::kelvin:
    case Unit::second: return 1;
    case Unit::none:
    case Unit::watt:
    case Unit::ohm_per_volt:
    case Unit::count: break;
    }
    return 0;
}

std::string fault_id(const ActiveFault& fault)
{
    std::string id{fault_kind(fault).view()};
    const std::string detail = printable(fault.detail.view());
    if (!detail.empty()) id.append(":").append(detail);
    return id;
}

std::string fault_text(const ActiveFault& fault)
{
    std::string text{plain_words(fault.id)};
    if (fault.repeated) text.insert(0, "too often: ");
    if (fault.id == FaultId::bms_denies && fault.direction != Direction::none)
        text.append(" ").append(directions(fault.direction));
    const std::string detail = printable(fault.detail.view());
    if (!detail.empty()) text.append(": ").append(detail);
    const bool cell = fault.unit == Unit::volt;
    if (fault.number != 0) text.append(cell ? ", cell " : ", number ").append(std::to_string(fault.number));
    if (!fault.has_value) return text;
    text.append(fault.number != 0 ? " at " : " ").append(quantity(fault.value_milli, fault.unit));
    if (fault.limit_milli != 0) text.append(" (limit ").append(quantity(fault.limit_milli, fault.unit)).append(")");
    return text;
}

std::string state_text(const Snapshot& s)
{
    const ActiveFault* fault = worst_fault(s);
    std::string text;
    switch (s.verdict.state) {
    case GatewayState::starting: text = because("starting", nullptr, s.verdict.waiting); break;
    case GatewayState::run: text = "running"; break;
    case GatewayState::derated:
        text = because(std::string{directions(concerned(s, FaultClass::derate))}.append(" reduced"), fault, Waiting::nothing);
        break;
    case GatewayState::block_charge: text = because("no charging", fault, s.verdict.waiting); break;
    case GatewayState::block_discharge: text = because("no discharging", fault, s.verdict.waiting); break;
    case GatewayState::block: text = because("blocked", fault, s.verdict.waiting); break;
    case GatewayState::paused: text = "paused by the operator"; break;
    case GatewayState::trip: text = because("tripped", fault, Waiting::nothing); break;
    case GatewayState::emergency: text = because("emergency", fault, Waiting::nothing); break;
    case GatewayState::observe: text = "observing: nothing is sent"; break;
    case GatewayState::shutdown: text = "stopping"; break;
    }
    if (text.size() > 120) text.resize(120);
    return text;
}

}  // namespace batgw::mqtt
