// Composition of the grants, in the order of SAFE-090, and what goes with them.
#include "safety/conditions.hpp"
#include "safety/grant_writer.hpp"
#include "safety/judge.hpp"

#include <algorithm>
#include <string_view>

namespace batgw {
namespace {

constexpr Percent least_from_zero = Percent::from_milli(1500);

// Of a fault that takes a direction away. Lost signals are not among them: they are asked for before.
Cause cause_of(const ActiveFault& f)
{
    switch (f.id) {
    case FaultId::bat_link_lost: return Cause::link;
    case FaultId::cell_high:
    case FaultId::cell_high_crit:
    case FaultId::cell_low:
    case FaultId::cell_low_crit:
    case FaultId::cell_deep: return Cause::cell_voltage;
    case FaultId::pack_high:
    case FaultId::pack_low:
    case FaultId::pack_v_crit: return Cause::pack_voltage;
    case FaultId::cell_dev:
    case FaultId::cell_dev_crit: return Cause::deviation;
    case FaultId::temp_cold:
    case FaultId::temp_hot:
    case FaultId::temp_crit:
    case FaultId::temp_event:
    case FaultId::temp_spread: return Cause::temperature;
    case FaultId::soc_low:
    case FaultId::soc_high: return Cause::soc;
    case FaultId::bms_denies: return Cause::battery;
    case FaultId::precharge_failed:
    case FaultId::close_failed:
    case FaultId::contactor_feedback:
    case FaultId::contactor_not_open:
    case FaultId::contactor_welded:
    case FaultId::weld_suspected:
    case FaultId::interlock_open:
    case FaultId::gpio_lines:
    case FaultId::opened_by_itself:
    case FaultId::closed_by_itself: return Cause::contactor;
    default: return f.device == Device::inverter ? Cause::inverter : Cause::fault;
    }
}

}  // namespace

// A current becomes power with the lower of measured and nominal voltage (SAFE-076).
std::optional<Voltage> Judge::voltage_for_power(const Round& r) const
{
    const auto measured = samples_.voltage.fresh;
    const auto nominal = r.pack != nullptr ? r.pack->facts.voltage_nominal : std::nullopt;
    return measured && nominal ? std::min(*measured, *nominal) : measured;
}

Ceiling Judge::natural_limit(const Round& r, Direction direction) const
{
    const bool charge = direction == Direction::charge;
    const PackSamples& s = samples_;
    const Power maximum = charge ? rules_.max_charge : rules_.max_discharge;
    Ceiling limit{std::max(share(r.signals.most, maximum), Power{}), Cause::config};

    const auto& power = charge ? s.charge_limit : s.discharge_limit;
    const auto& current = charge ? s.charge_limit_current : s.discharge_limit_current;
    const auto volts = voltage_for_power(r);
    if (power.usable) limit.lower(*power.usable, Cause::battery);
    if (current.usable) limit.lower(volts ? *volts * *current.usable : Power{}, Cause::battery);

    const auto curve = [&](const Fractions& f, Cause cause) {
        limit.lower(share(charge ? f.charge : f.discharge, maximum), cause);
    };
    curve(r.cell, Cause::cell_voltage);
    curve(r.temperature, Cause::temperature);
    curve(r.soc, Cause::soc);
    if (const auto& most = charge ? r.soc.charge_most : r.soc.discharge_most)
        limit.lower(volts ? *volts * *most : Power{}, Cause::soc);
    curve(r.deviation, Cause::deviation);
    return limit;
}

// What the operator leaves of it.
Ceiling Judge::commanded_limit(const Round& r, Direction direction, Ceiling limit) const
{
    const bool charge = direction == Direction::charge;
    const OperatorState& op = r.in.operator_;
    const bool is_default = charge ? op.charge_limit_default : op.discharge_limit_default;
    limit.lower(charge ? op.max_charge : op.max_discharge, is_default ? Cause::config : Cause::operator_);
    const auto volts = voltage_for_power(r);
    if (const auto& most = charge ? op.max_charge_current : op.max_discharge_current)
        limit.lower(volts ? *volts * *most : Power{}, Cause::operator_);
    return limit;
}

Offer Judge::offer(const Round& r, Direction direction) const
{
    const ActiveFault* fault = faults_.blocking(direction);
    // While the inverter is told zero for the sake of its protocol nothing is offered: the slope begins with the offer (SAFE-092,
    // SAFE-182). That is our driver's doing, so it holds as well where the inverter's own silence is information only. Who only
    // watches has no conversation.
    const bool offered = r.in.inverter != nullptr && r.in.inverter->phase == InverterPhase::run;
    return {.stopping = stop_since_.has_value(),
        .battery_alive = r.pack != nullptr && r.battery_link.alive,
        .signals_there = !covers(r.signals.gone, direction),
        .battery_ready = battery_ready_,
        .fault = fault != nullptr ? std::optional{cause_of(*fault)} : std::nullopt,
        .blocked = covers(faults_.effect().blocked, direction),
        .identity_known = r.identity_known,
        .contactors_carry = carries_power(r.contactors),
        .link_blocks = r.inverter_link.blocks,
        .started = started_,
        .ignored = stop_methods_.result().nothing,
        .listening = offered || observing_};
}

// The operator comes after everything else has had its time: so a command can never bring more than there is without it
// (SAFE-191).
Grant Judge::grant_one(const Round& r, Direction direction, Ramps& ramps) const
{
    const bool charge = direction == Direction::charge;
    GrantRamp::Input step{.limit = natural_limit(r, direction),
        .blocked = nothing_because(offer(r, direction)),
        .fades = charge ? r.signals.charge_fades : r.signals.discharge_fades,
        .fade_time = config_.stale_ramp,
        .rise_per_second = share(config_.ramp_up_per_second, charge ? rules_.max_charge : rules_.max_discharge),
        .settle = config_.increase_settle};
    // A battery that states no limits: a limit made of curves does not creep out of zero.
    if (!profile_.states_limits) step.least = share(least_from_zero, charge ? rules_.max_charge : rules_.max_discharge);
    const Ceiling natural = ramps.natural.update(step, r.now);

    const OperatorState& op = r.in.operator_;
    const bool on = !op.paused && (charge ? op.charge : op.discharge);
    step.limit = commanded_limit(r, direction, natural);
    // A pause ends the offer; the pause is the reason then.
    const bool is_reason = natural.power > Power{} || natural.by == Cause::inverter;
    step.blocked = on || !is_reason ? std::nullopt : std::optional{Cause::operator_};
    step.settle = Duration{};
    step.least = Power{};
    const Ceiling granted = ramps.commanded.update(step, r.now);

    // Whole watts, rounded down; amperes from the voltage of this very moment.
    const Power power = Power::from_milli(granted.power.down_in(1000) * 1000);
    const auto current = samples_.voltage.fresh ? power / *samples_.voltage.fresh : std::nullopt;
    return GrantWriter::write(power, current.value_or(Current{}), granted.by);
}

void Judge::grant(const Round& r)
{
    verdict_.charge = grant_one(r, Direction::charge, charge_ramps_);
    verdict_.discharge = grant_one(r, Direction::discharge, discharge_ramps_);
}

// Whether the inverter keeps to what it was told: the last verdict, not this one.
void Judge::watch_inverter(const Round& r)
{
    // Told is who listens to limits. One that never answers is told all the same, from the moment its driver speaks.
    const bool listens = r.inverter_link.alive || config_.inverter_link.information_only;
    const bool spoken_to = r.in.inverter != nullptr && r.in.inverter->phase != InverterPhase::silent &&
        r.in.inverter->phase != InverterPhase::identify;
    const bool hears = spoken_to || stop_methods_.result().silent;
    const bool told = listens && hears && r.inverter_bus.up && !observing_ && verdict_.sequence > 0;
    const auto empties = [](const ActiveFault& f) {
        return f.level == FaultClass::block &&
            (f.id == FaultId::soc_low || f.id == FaultId::cell_low || f.id == FaultId::pack_low);
    };
    const bool empty = std::any_of(verdict_.faults.begin(), verdict_.faults.end(), empties);
    // An inverter draws on all packs together; how it is shared between them is not its doing.
    const auto& together = r.in.beside.together;
    const Current charge = together ? together->charge : verdict_.charge.current();
    const Current discharge = together ? together->discharge : verdict_.discharge.current();
    Sample<Current> current = together ? together->current : samples_.current;
    if (frozen_.current_frozen()) current.fresh.reset();  // that would be no proof against the inverter
    const OverLimit::Input in{.current = current, .charge = charge, .discharge = discharge, .told = told, .empty = empty};
    over_limit_.update(in, {.config = config_, .faults = faults_, .now = r.now});
    stop_inverter(
        {.current = current, .told = told, .charge_zero = charge <= Current{}, .discharge_zero = discharge <= Current{}}, r.now);
}

// An inverter that goes on although it was told to stop (SAFE-113).
void Judge::stop_inverter(const StopMethods::Input& in, Instant now)
{
    const bool was_silent = stop_methods_.result().silent;
    const StopMethods::Result& methods = stop_methods_.update(in, config_.inverter_link, config_.hold, now);
    const auto words = [](bool silent) { return silent ? std::string_view{"silence"} : std::string_view{"zero limits"}; };
    if (methods.silent != was_silent) note(EventType::link, "inverter", now, words(was_silent), words(methods.silent));
    for (const Direction direction : {Direction::charge, Direction::discharge}) {
        if (!covers(methods.part, direction)) continue;
        ActiveFault f = condition(FaultId::inverter_ignores_limits, FaultClass::trip, Direction::both, Device::inverter);
        f.detail.assign(to_string(direction));
        faults_.report(f, config_.hold);
    }
}

// What the inverter is told to charge up to and to discharge down to (SAFE-110, SAFE-114). Held while both directions are
// blocked.
void Judge::set_voltages(const Round& r)
{
    if (r.pack == nullptr) return;
    if (profile_.count_from_battery && !r.pack->facts.cells) return;  // never from a count that nobody confirmed
    const bool blocked = faults_.effect().blocks_all() || !r.battery_link.alive;
    if ((blocked && verdict_.voltage_max) || !r.window.max || !r.window.min) return;
    Voltage upper = *r.window.max, lower = *r.window.min;
    if (r.cells) {
        const auto n = static_cast<std::int64_t>(std::min(*r.cells, 1000U));
        upper = std::min(upper, config_.cell.target * n);
        lower = std::max(lower, config_.cell.cutoff * n);
    }
    const BatteryState& b = r.pack->state;
    const auto up_to = b.charge_voltage_wanted.fresh(r.now), down_to = b.discharge_voltage_wanted.fresh(r.now);
    const bool upper_asked = up_to && *up_to > Voltage{} && *up_to <= upper;
    const bool lower_asked = down_to && *down_to >= lower;
    if (upper_asked) upper = *up_to;
    if (lower_asked) lower = *down_to;
    if (lower >= upper) return;
    verdict_.voltage_max = upper;
    verdict_.voltage_min = lower;
    verdict_.voltage_max_asked = upper_asked;
    verdict_.voltage_min_asked = lower_asked;
}

}  // namespace batgw
