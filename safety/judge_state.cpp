// What the verdict says besides grants: state, what is waited for, flags for drivers, events.
#include "safety/judge.hpp"
#include "safety/shown_soc.hpp"

#include <algorithm>

namespace batgw {
namespace {

// The direction is blocked because something is too much, not too little.
bool too_high(FaultId id)
{
    switch (id) {
    case FaultId::cell_high:
    case FaultId::cell_high_crit:
    case FaultId::pack_high:
    case FaultId::temp_hot:
    case FaultId::temp_crit:
    case FaultId::temp_event: return true;
    default: return false;
    }
}

std::string_view link_text(bool alive) { return alive ? "alive" : "lost"; }

}  // namespace

void Judge::set_flags(const Round& r)
{
    Verdict& v = verdict_;
    const FaultEffect& effect = faults_.effect();
    v.worst = effect.worst;
    v.faults.clear();
    for (const ActiveFault& f : faults_.faults()) v.faults.push_back(f);  // the places behind them stay as they are
    v.first_cause = faults_.first_cause();
    v.contactors = r.contactors.verdict;
    v.contactors.proven_open = r.contactors.is_open;
    if (observing_) v.contactors.order = ContactorOrder::keep;
    if (stop_since_ && verdict_.stopped) v.contactors.coils = Coils{};
    v.pack = r.pack != nullptr ? r.pack->facts : PackFacts{};
    v.battery_link = r.battery_link.alive;
    v.inverter_link = r.inverter_link.alive;

    const auto& s = samples_;
    const bool shown = r.pack != nullptr && s.voltage.fresh && s.soc.fresh && s.temperature_min.fresh && s.temperature_max.fresh;
    v.battery_valid = shown && battery_ready_ && r.battery_link.alive && r.identity_known && v.pack.energy_rated &&
        v.pack.voltage_max && v.pack.voltage_min;
    const OperatorState& op = r.in.operator_;
    const bool wanted = !op.paused && !op.contactors_open && !stop_since_;
    v.ready = v.battery_valid && started_ && !effect.blocks_all() && carries_power(r.contactors) && wanted;

    // SAFE-112. Silence tells of a fault, not of a pack that is cold, or full at one end and empty at the other: zeros tell that.
    // A pack that no longer talks cannot prove its contactors open: the order to open has then stood for as long.
    const bool not_ours = config_.contactors.mode == ContactorMode::none;
    const bool fault = effect.worst >= FaultClass::trip || (battery_ready_ && !v.battery_valid);
    const bool told_zero = v.charge.is_zero() && v.discharge.is_zero() && fault && r.inverter_bus.up;
    const bool ordered = v.contactors.order == ContactorOrder::open && !r.closed;
    const bool opened = not_ours || r.contactors.is_open || open_ordered_.for_at_least(ordered, silence_after, r.now);
    v.may_fall_silent = zero_for_fault_.for_at_least(told_zero, silence_after, r.now) && opened;
    if (!ordered) open_ordered_.reset();

    v.high_cause = effect.blocks_all() && std::any_of(v.faults.begin(), v.faults.end(), [](const ActiveFault& f) {
        return f.level >= FaultClass::block && too_high(f.id);
    });
    const auto soc = r.pack != nullptr ? r.pack->state.soc.last() : std::nullopt;
    v.soc_shown = shown_soc(config_.soc, soc, v);
    const StopMethods::Result& methods = stop_methods_.result();
    v.ask_against = methods.ask_against;
    v.override_soc = methods.override_soc;
    v.fall_silent = methods.silent;
    // A conflict found by an earlier run silences this one too (SAFE-185, SAFE-046).
    v.mute_battery = observing_ || r.battery_bus.mute || faults_.latched(FaultId::id_conflict, Device::battery);
    v.mute_inverter = observing_ || r.inverter_bus.mute || faults_.latched(FaultId::id_conflict, Device::inverter);
    v.slow_battery = r.battery_bus.alone;
    v.slow_inverter = r.inverter_bus.alone;
}

// SAFE-217.
void Judge::follow_stop(const Round& r)
{
    if (!stop_since_ || verdict_.stopped) return;
    const bool done = r.contactors.stop_done;
    const bool told = stop_done_.for_at_least(done, stop_zero_frames, r.now);
    verdict_.stopped = told || (done && r.in.stop_now) || r.now - *stop_since_ >= stop_limit;
}

// MQTT-032: the first that applies.
GatewayState Judge::state_now(const Round& r) const
{
    const FaultEffect& effect = faults_.effect();
    const Verdict& v = verdict_;
    if (observing_) return GatewayState::observe;
    if (stop_since_) return GatewayState::shutdown;
    if (effect.worst >= FaultClass::emergency) return GatewayState::emergency;
    if (effect.worst >= FaultClass::trip) return GatewayState::trip;
    if (!started_) return GatewayState::starting;
    // A direction whose signal was lost counts as blocked while it still fades.
    Direction blocked = effect.blocked | r.signals.gone;
    for (const ActiveFault& f : v.faults)
        if (f.level == FaultClass::block) blocked = blocked | f.direction;
    const auto cut_off = [](const Grant& g) { return g.is_zero() && (g.by() == Cause::link || g.by() == Cause::contactor); };
    if (cut_off(v.charge)) blocked = blocked | Direction::charge;
    if (cut_off(v.discharge)) blocked = blocked | Direction::discharge;
    if (blocked == Direction::both) return GatewayState::block;
    if (r.in.operator_.paused) return GatewayState::paused;
    if (covers(blocked, Direction::charge)) return GatewayState::block_charge;
    if (covers(blocked, Direction::discharge)) return GatewayState::block_discharge;
    const bool derated =
        std::any_of(v.faults.begin(), v.faults.end(), [](const ActiveFault& f) { return f.level == FaultClass::derate; });
    return derated ? GatewayState::derated : GatewayState::run;
}

// SAFE-250: the first step that is not done.
Waiting Judge::waiting_now(const Round& r) const
{
    if (!r.battery_bus.up || !r.inverter_bus.up) return Waiting::bus;
    if (r.contactors.waiting == Waiting::gpio_lines || r.contactors.waiting == Waiting::interlock) return r.contactors.waiting;
    if (r.pack == nullptr || !r.pack->state.heard) return Waiting::battery_listen;
    if (!r.signals.required_fresh || !battery_ready_) return Waiting::battery_data;
    if (!r.identity_known) return Waiting::battery_identity;
    if (faults_.effect().blocks_all()) return Waiting::battery_fault;
    if (!r.inverter_present) return Waiting::inverter;
    if (r.contactors.waiting != Waiting::nothing) return r.contactors.waiting;
    if (!started_ && r.now - start_ < config_.contactors.boot_inhibit) return Waiting::boot_inhibit;
    if (r.in.inverter == nullptr || r.in.inverter->phase != InverterPhase::run) return Waiting::inverter_ready;
    return Waiting::nothing;
}

std::uint64_t Judge::first_kept(std::uint64_t number, std::uint64_t count)
{
    const std::uint64_t oldest = count > event_capacity ? count - event_capacity : 0;
    return std::max(number, oldest);
}

Event& Judge::add_event(EventType type, Instant now)
{
    Event& e = events_[event_count_ % events_.size()];
    e = Event{};
    e.number = ++event_count_;
    e.type = type;
    e.at = now;
    e.voltage = samples_.voltage.fresh;
    e.current = samples_.current.fresh;
    e.cell_voltage_min = samples_.cell_min.fresh;
    e.cell_voltage_max = samples_.cell_max.fresh;
    e.temperature_min = samples_.temperature_min.fresh;
    e.temperature_max = samples_.temperature_max.fresh;
    e.soc = samples_.soc.fresh;
    ++transitions_;
    return e;
}

void Judge::note(EventType type, std::string_view text, Instant now, std::string_view from, std::string_view to)
{
    Event& e = add_event(type, now);
    e.text.assign(text);
    e.from.assign(from);
    e.to.assign(to);
}

Judge::Before Judge::summary(const Verdict& v)
{
    return {.state = v.state,
        .contactors = v.contactors.state,
        .waiting = v.waiting,
        .battery_link = v.battery_link,
        .inverter_link = v.inverter_link,
        .charges = !v.charge.is_zero(),
        .discharges = !v.discharge.is_zero()};
}

void Judge::tell_changes(const Before& before, const Round& r)
{
    for (const FaultTable::Change& c : faults_.changes()) {
        using What = FaultTable::Change::What;
        const EventType type = c.what == What::set ? EventType::fault_set
            : c.what == What::cleared              ? EventType::fault_cleared
                                                   : EventType::fault_class;
        Event& e = add_event(type, r.now);
        e.fault = c.fault;
        e.from.assign(to_string(c.before));
        e.to.assign(c.what == What::cleared ? to_string(FaultClass::none) : to_string(c.fault.level));
    }
    const Before after = summary(verdict_);
    if (after.state != before.state) note(EventType::state, "", r.now, to_string(before.state), to_string(after.state));
    if (after.contactors != before.contactors)
        note(EventType::contactors, "", r.now, to_string(before.contactors), to_string(after.contactors));
    if (after.battery_link != before.battery_link)
        note(EventType::link, "battery", r.now, link_text(before.battery_link), link_text(after.battery_link));
    if (after.inverter_link != before.inverter_link)
        note(EventType::link, "inverter", r.now, link_text(before.inverter_link), link_text(after.inverter_link));
    if (after.charges != before.charges || after.discharges != before.discharges || after.waiting != before.waiting)
        ++transitions_;
}

}  // namespace batgw
