#include "safety/invariants.hpp"

#include "safety/grant_writer.hpp"

#include <algorithm>

namespace batgw {
namespace {

// Written so that what nobody thought of counts as not allowed.
bool may_flow(const Verdict& v, const InvariantInput& in, Direction direction)
{
    if (v.faults.size() > 0 && v.worst == FaultClass::none) return false;
    if (in.faults.worst > FaultClass::block || covers(in.faults.blocked, direction)) return false;
    if (std::any_of(v.faults.begin(), v.faults.end(), [](const ActiveFault& f) { return f.latched; })) return false;
    return in.voltage_known && !in.stopping && v.battery_link && v.contactors.power_allowed &&
        v.contactors.order != ContactorOrder::open && !v.stopped;
}

}  // namespace

std::string_view broken_invariant(const Verdict& v, const InvariantInput& in)
{
    if (v.at < in.last) return "time went back";
    if (v.sequence <= in.last_sequence) return "a verdict without a number of its own";
    if (v.charge.power() > std::max(in.max_charge, Power{})) return "a charge grant out of its bounds";
    if (v.discharge.power() > std::max(in.max_discharge, Power{})) return "a discharge grant out of its bounds";
    if (!v.charge.is_zero() && !may_flow(v, in, Direction::charge)) return "a charge grant against a reason for none";
    if (!v.discharge.is_zero() && !may_flow(v, in, Direction::discharge)) return "a discharge grant against a reason for none";
    if (v.fall_silent && !(v.charge.is_zero() && v.discharge.is_zero())) return "silence with a grant";
    if (in.observing && (v.contactors.order != ContactorOrder::keep || !v.mute_battery || !v.mute_inverter))
        return "observing, and not mute";
    return {};
}

void make_harmless(Verdict& v, std::string_view broken)
{
    v.charge = v.discharge = GrantWriter::nothing(Cause::fault);
    v.state = GatewayState::emergency;
    v.worst = FaultClass::emergency;
    v.ready = v.may_fall_silent = v.fall_silent = false;
    v.ask_against = v.override_soc = Direction::none;
    v.contactors.power_allowed = false;
    v.contactors.coils = Coils{};
    // Who only watches, or was told to be mute, commands nothing now either.
    if (!v.mute_battery) v.contactors.order = ContactorOrder::open;
    v.broken = broken;
}

}  // namespace batgw
