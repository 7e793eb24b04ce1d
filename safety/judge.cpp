#include "safety/judge.hpp"

#include "safety/conditions.hpp"
#include "safety/grant_writer.hpp"

#include <algorithm>

namespace batgw {
namespace {

ActiveFault named(FaultId id, FaultClass level, Device device, std::string_view detail)
{
    ActiveFault f = condition(id, level, Direction::none, device);
    f.detail.assign(detail);
    return f;
}

SafetyConfig::Contactors contactor_rules(const SafetyConfig& safety, bool observing)
{
    SafetyConfig::Contactors rules = safety.contactors;
    // Who only watches commands nothing: contactors are shown as they are seen.
    if (observing) rules.mode = ContactorMode::none;
    return rules;
}

}  // namespace

bool must_observe(const JudgeSetup& setup)
{
    const Verification required = setup.safety.process.require_verification;
    return setup.safety.observe || setup.profile.verified < required || setup.inverter_verified < required;
}

Judge::PackRules Judge::rules_of(const BatteryConfig& battery)
{
    return {.max_charge = battery.max_charge,
        .max_discharge = battery.max_discharge,
        .cells = battery.cells,
        .capacity = battery.capacity,
        .voltage_max = battery.voltage_max,
        .voltage_min = battery.voltage_min};
}

Judge::Judge(const JudgeSetup& setup)
    : config_{setup.safety},
      rules_{rules_of(setup.battery)},
      profile_{setup.profile},
      battery_name_{setup.battery_name},
      inverter_name_{setup.inverter_name},
      inverter_verified_{setup.inverter_verified},
      start_{setup.start},
      observing_{must_observe(setup)},
      signals_{setup.profile},
      battery_link_{setup.start},
      inverter_link_{setup.start},
      contactors_{contactor_rules(setup.safety, must_observe(setup)), setup.start},
      gpio_{setup.safety.contactors},
      heartbeat_{setup.safety.contactors.heartbeat_hz}
{
    faults_.number_battery(setup.battery_number);
    faults_.reset_after(config_.reset_absent);
    verdict_.charge = verdict_.discharge = GrantWriter::nothing(Cause::link);
    note(EventType::start, "started", start_);
}

bool Judge::request_close(Instant now) { return contactors_.request_close(now); }

void Judge::reconfigure(const SafetyConfig& safety, const BatteryConfig& battery, Instant now)
{
    // What may not change live is not taken, whatever the caller says (SAFE-242).
    const ContactorMode mode = config_.contactors.mode;
    const auto gpio_lines = config_.contactors.gpio;
    const PackRules fixed = rules_;
    const auto assumed = config_.assume;
    config_ = safety;
    config_.assume = assumed;
    config_.contactors.mode = mode;
    config_.contactors.gpio = gpio_lines;
    rules_ = rules_of(battery);
    rules_.cells = fixed.cells;
    contactors_.reconfigure(contactor_rules(config_, observing_));
    faults_.reset_after(config_.reset_absent);
    note(EventType::reload, "configuration reloaded", now);
}

void Judge::restore(const ActiveFault& latched)
{
    faults_.restore(latched);
    contactors_.stay_open();
    note(EventType::start, Text<80>{"latched by an earlier run: "}.append(fault_name(latched).view()).view(), start_);
}

ResetOutcome Judge::reset(const ResetRequest& request, Instant now)
{
    const ResetOutcome outcome = reset_latches(faults_, request, now);
    for (const FaultId id : {FaultId::precharge_failed, FaultId::contactor_feedback})
        if (!faults_.latched(id, Device::battery)) contactors_.forget(id);
    if (!faults_.latched(FaultId::id_conflict, Device::battery)) battery_bus_.forget_conflict();
    if (!faults_.latched(FaultId::id_conflict, Device::inverter)) inverter_bus_.forget_conflict();
    if (outcome.reset > 0 && !faults_.any_latched()) contactors_.unlock(now);
    Text<80> told{outcome.reset > 0 ? "" : "reset refused: "};
    note(EventType::command, told.append(outcome.text.view()).view(), now);
    return outcome;
}

// What a part of the judge remembers for good is latched already: its cause is what is seen now.
bool Judge::remembered(const ActiveFault& fault, bool seen_now) const
{
    return fault.level >= FaultClass::trip && !seen_now && faults_.latched(fault.id, fault.device);
}

// SAFE-045: a cause is gone when fresh readings show it gone.
Evidence Judge::evidence(const Round& r) const
{
    return {.battery = r.signals.required_fresh && r.battery_link.alive,
        .inverter = r.inverter_link.alive || config_.inverter_link.information_only};
}

const Verdict& Judge::evaluate(const JudgeInputs& in, Instant now)
{
    if (!verdict_.broken.empty()) {
        ++verdict_.sequence;
        last_ = verdict_.at = std::max(verdict_.at, now);  // the next one is due a beat later, not at once
        return verdict_;
    }
    const Before before = summary(verdict_);
    InvariantInput invariants{.observing = observing_, .last_sequence = verdict_.sequence, .last = judged_ ? last_ : start_};
    Round r{.in = in, .pack = in.packs.empty() ? nullptr : in.packs.data(), .now = now};
    if (in.stop_requested && !stop_since_) {
        stop_since_ = now;
        note(EventType::stop, "stop requested", now);
    }
    watch_cadence(now);
    report_gateway(in);
    judge_buses(r);
    judge_links(r);
    judge_pack(r);
    judge_contactors(r);
    escalation_.report(faults_, config_.escalation, now);
    faults_.settle(now, evidence(r));
    escalation_.follow(faults_, config_.escalation, now);
    follow_start(r);

    verdict_.at = now;
    ++verdict_.sequence;
    grant(r);
    set_voltages(r);
    set_flags(r);
    follow_stop(r);
    verdict_.state = state_now(r);
    verdict_.waiting = waiting_now(r);
    check(invariants, r);
    tell_changes(before, r);
    return verdict_;
}

// SAFE-219.
void Judge::check(InvariantInput& in, const Round& r)
{
    in.max_charge = rules_.max_charge;
    in.max_discharge = rules_.max_discharge;
    in.faults = faults_.effect();
    in.stopping = stop_since_.has_value();
    in.voltage_known = samples_.voltage.fresh.has_value();
    const std::string_view broken = broken_invariant(verdict_, in);
    if (broken.empty()) return;
    make_harmless(verdict_, broken);
    verdict_.at = std::max(r.now, in.last);  // it is to be sent
    note(EventType::stop, Text<80>{"the judge contradicts itself: "}.append(broken).view(), r.now);
}

// SAFE-004.
void Judge::watch_cadence(Instant now)
{
    const Duration gap = judged_ ? now - last_ : Duration{};
    judged_ = true;
    last_ = now;
    if (gap > config_.process.stall_warn) {
        ++stalls_;
        stalled_at_ = now;
        const FaultClass level = gap > config_.process.stall_block ? FaultClass::block : FaultClass::warn;
        stall_ = std::max(stall_, level);
    } else if (stall_ != FaultClass::none && now - stalled_at_ >= stall_over) {
        stall_ = FaultClass::none;
    }
    if (stall_ == FaultClass::none) return;
    const Direction direction = stall_ == FaultClass::block ? Direction::both : Direction::none;
    faults_.report(condition(FaultId::loop_stall, stall_, direction, Device::gateway));
}

void Judge::report_if(bool there, const ActiveFault& fault, Duration hold)
{
    if (there) faults_.report(fault, hold);
}

void Judge::report_gateway(const JudgeInputs& in)
{
    const auto warned = [&](unsigned bit) { return (in.outside_warnings & bit) != 0; };
    report_if(!in.clock_valid, named(FaultId::clock_invalid, FaultClass::info, Device::gateway, ""));
    report_if(warned(outside_warning::tls_unverified), named(FaultId::tls_unverified, FaultClass::warn, Device::gateway, ""));
    report_if(warned(outside_warning::state_not_kept), named(FaultId::state_not_kept, FaultClass::warn, Device::gateway, ""));
    report_if(warned(outside_warning::retained_command), named(FaultId::retained_command, FaultClass::warn, Device::gateway, ""));
    report_if(profile_.verified < Verification::bench,
        named(FaultId::unverified_driver, FaultClass::warn, Device::battery, battery_name_.view()));
    report_if(inverter_verified_ < Verification::bench,
        named(FaultId::unverified_driver, FaultClass::warn, Device::inverter, inverter_name_.view()));
    report_if(config_.contactors.link_synthetic, named(FaultId::link_synthetic, FaultClass::warn, Device::battery, ""));
}

void Judge::judge_buses(Round& r)
{
    const bool not_ours = config_.contactors.mode == ContactorMode::none || observing_;
    const BusStatus no_status{};
    const TrafficCounters no_traffic{};
    const auto judge = [&](BusHealth& health, const BusInputs& bus) {
        const auto result = health.update(bus.status != nullptr ? *bus.status : no_status,
            bus.traffic != nullptr ? *bus.traffic : no_traffic, bus.tx, not_ours || is_open_, r.now);
        for (const ActiveFault& f : result.faults) {
            if (remembered(f, result.foreign)) continue;
            const bool held = f.id == FaultId::bus_off || f.id == FaultId::tx_starved || f.id == FaultId::tx_guard_refused;
            const Duration hold = f.id == FaultId::bus_off ? 60s : f.id == FaultId::tx_starved ? 10s : config_.hold;
            faults_.report(f, held ? hold : Duration{});
        }
        if (bus.second_sender) {
            ActiveFault f = condition(FaultId::id_conflict, FaultClass::block, Direction::both, Device::battery);
            f.detail.assign("two batteries");
            faults_.report(f, BusHealth::foreign_clear);
        }
        return result;
    };
    r.battery_bus = judge(battery_bus_, r.in.battery_bus);
    r.inverter_bus = judge(inverter_bus_, r.in.inverter_bus);
}

void Judge::judge_pack(Round& r)
{
    if (r.pack == nullptr) return;
    const BatteryState& battery = r.pack->state;
    const PackFacts& facts = r.pack->facts;
    const LimitContext context{.config = config_, .faults = faults_, .now = r.now};

    r.window = voltage_window(config_.cell, r.cells, facts, rules_.voltage_max, rules_.voltage_min);
    r.identity_known = r.cells || (!profile_.wants_cell_count && r.window.max && r.window.min);
    if (profile_.count_from_battery && !facts.cells) r.identity_known = false;
    const PackSamples& s = signals_.samples();

    const auto feedback = battery.contactor.fresh(r.now);
    r.closed = profile_.states_contactor ? feedback == ContactorFeedback::closed : verdict_.contactors.power_allowed;
    r.open = profile_.states_contactor && feedback == ContactorFeedback::open;
    if (gpio()) {
        r.closed = verdict_.contactors.power_allowed;
        r.open = r.open || is_open_;
    }

    const auto number = [](const Reading<Count>& n) {
        return static_cast<std::uint16_t>(std::clamp<std::int64_t>(n.last().value_or(Count{}).milli() / 1000, 0, 0xFFFF));
    };
    r.cell = cell_.update(s, number(battery.cell_max_number), number(battery.cell_min_number), context);
    const auto rated = s.voltage.fresh ? std::max(rules_.max_charge, rules_.max_discharge) / *s.voltage.fresh : std::nullopt;
    r.deviation = deviation_.update(s, rated, context);
    pack_voltage_.update(s, r.window, context);
    r.temperature = temperature_.update(s, profile_.states_limits, context);
    r.soc = soc_.update(s, context);
    current_.update(battery.current, s.voltage, rules_.max_charge, rules_.max_discharge, context);
    reported_.update(battery, r.closed, r.open, context);

    std::optional<Charge> capacity = battery.charge_full.last();
    if (!capacity && facts.energy_rated && facts.voltage_nominal) capacity = *facts.energy_rated / *facts.voltage_nominal;
    const CrossChecks::Input cross{
        .battery = battery, .samples = s, .inverter = r.in.inverter, .closed = r.closed, .capacity = capacity};
    cross_.update(cross, context);
    const FrozenWatch::Input still{
        .samples = s, .inverter = r.in.inverter, .closed = r.closed, .rated = rated, .window = r.window, .cells = r.cells};
    frozen_.update(still, context);
    identity_.update(battery, facts, rules_.cells, r.closed || r.inverter_link.alive, context);
    compare_with_others(r);
    watch_inverter(r);
}

// SAFE-281.
void Judge::compare_with_others(const Round& r)
{
    const Beside& beside = r.in.beside;
    if (beside.mismatch == FaultClass::none) return;
    const Direction blocked = beside.mismatch >= FaultClass::block ? Direction::both : Direction::none;
    ActiveFault f = condition(FaultId::pack_mismatch, beside.mismatch, blocked, Device::battery);
    f.has_value = true;
    f.unit = Unit::volt;
    f.value_milli = beside.difference.milli();
    f.limit_milli = beside.allowed.milli();
    faults_.report(f, mismatch_hold);
}

// Signals first: the links ask whether all of them are fresh.
void Judge::judge_links(Round& r)
{
    std::optional<Instant> heard;
    if (r.pack != nullptr) {
        PlausibleRange range = plausible_range(r.pack->facts, rules_.max_charge, rules_.max_discharge);
        range.cells = r.cells = rules_.cells ? rules_.cells : r.pack->facts.cells;
        if (r.in.stale_until) signals_.stale_until(*r.in.stale_until);
        r.signals = signals_.update(r.pack->state, range, config_, faults_, r.now);
        samples_ = signals_.samples();
        heard = r.pack->state.heard;
    } else {
        r.signals.gone = Direction::both;
        samples_ = PackSamples{};
    }
    const auto aged = [](ActiveFault f, Duration age, Duration limit) {
        if (age == for_ever) return f;
        f.has_value = true;
        f.unit = Unit::second;
        f.value_milli = age / 1ms;
        f.limit_milli = limit / 1ms;
        return f;
    };
    r.battery_link = battery_link_.update(heard, r.signals.required_fresh, r.battery_bus.dead, config_, r.now);
    const ActiveFault lost = aged(condition(FaultId::bat_link_lost, FaultClass::block, Direction::both, Device::battery),
        r.battery_link.age, config_.link_lost);
    report_if(r.battery_link.lost, lost, config_.hold);
    report_if(r.battery_link.missing, condition(FaultId::bat_link_lost, FaultClass::warn, Direction::none, Device::battery));

    const auto inverter_heard = r.in.inverter != nullptr ? r.in.inverter->heard : std::nullopt;
    // An inverter that cannot be told anything any more is lost at once, not when it has been silent for its time (SAFE-251).
    const bool cut_off = r.inverter_bus.dead || (inverter_heard && !r.inverter_bus.up);
    r.inverter_link = inverter_link_.update(inverter_heard, cut_off, config_.inverter_link, r.now);
    const Direction direction = r.inverter_link.blocks ? Direction::both : Direction::none;
    const ActiveFault gone = condition(FaultId::inv_link_lost, FaultClass::warn, direction, Device::inverter);
    report_if(r.inverter_link.lost, aged(gone, r.inverter_link.age, config_.inverter_link.lost));

    const bool ours_closed = config_.contactors.mode != ContactorMode::none && contactors_.state() == ContactorState::closed;
    r.black_start = black_start_.update(ours_closed, r.inverter_link.alive, config_.inverter_link, r.now);
    report_if(r.black_start.in_use, condition(FaultId::black_start, FaultClass::warn, Direction::none, Device::inverter));
    r.inverter_present = r.inverter_link.alive || config_.inverter_link.information_only || r.black_start.allowed;
}

OpenCause Judge::open_causes(const Round& r, const FaultEffect& effect) const
{
    OpenCause causes = OpenCause::none;
    // Without voltage or current nobody knows what the pack does: as long as a lost link may last, not longer.
    const bool blind = r.signals.power_lost && r.now >= after(*r.signals.power_lost, config_.link_lost_open);
    if (r.battery_link.open || blind) causes |= OpenCause::battery_link;
    if (r.inverter_link.open && !r.black_start.in_use) causes |= OpenCause::inverter_link;
    if (r.black_start.open) causes |= OpenCause::black_start;
    if (r.in.operator_.contactors_open) causes |= OpenCause::operator_;
    if (effect.worst >= FaultClass::trip) causes |= OpenCause::trip;
    if (effect.worst >= FaultClass::emergency) causes |= OpenCause::emergency;
    if (r.battery_bus.open || r.in.battery_bus.second_sender) causes |= OpenCause::foreign_sender;
    if (heartbeat_.lost() || r.in.beside.mismatch >= FaultClass::block) causes |= OpenCause::fault;
    return causes;
}

// Of contactors inside the pack; those of ours have their own check.
void Judge::watch_open_pack(const Round& r)
{
    const bool follows = follows_pack_.update(r.open, r.closed, measured_around_contactors(r), config_.hold, r.now);
    if (!follows) return;
    const bool not_ours = observing_ || config_.contactors.mode == ContactorMode::none;
    const bool fed = config_.contactors.inverter_feeds_link;
    const FaultClass level = fed ? FaultClass::warn : not_ours ? FaultClass::block : FaultClass::trip;
    ActiveFault f = condition(FaultId::weld_suspected, level, fed ? Direction::none : Direction::both, Device::battery);
    if (fed) f.detail.assign("undetermined");
    faults_.report(f);
}

void Judge::judge_contactors(Round& r)
{
    if (gpio())
        look_at_lines(r);
    else
        watch_open_pack(r);
    const FaultEffect effect = faults_.preview(r.now);
    ContactorInput in;
    if (r.pack != nullptr) {
        in = contactor_input(r.pack->state, profile_, r.now);
        const auto charge = r.pack->state.charge_allowed.fresh(r.now), discharge = r.pack->state.discharge_allowed.fresh(r.now);
        in.permitted = !profile_[SignalId::flags].provided || charge.value_or(false) || discharge.value_or(false);
    }
    // A battery's own switches must be closed before anything may be precharged through them, and while power flows.
    const bool own_way = !gpio() || r.pack == nullptr || !profile_.states_contactor ||
        r.pack->state.contactor.fresh(r.now) == ContactorFeedback::closed;
    if (gpio()) {
        gpio_.fill(in, r.now);
        in.opened_by_itself = in.closed_by_itself = in.silent_start = in.not_opening = false;
        if (contactors_.state() != ContactorState::closed) in.permitted = in.permitted && own_way;
    }
    in.bus_up = r.battery_bus.up && r.inverter_bus.up;
    in.data_fresh = r.signals.required_fresh;
    in.identity_known = r.identity_known;
    in.fault_free = !effect.blocks_all() && !reported_.insulation_doubtful();
    in.inverter_present = r.inverter_present;
    in.may_join = r.in.beside.may_join;
    in.causes = open_causes(r, effect);
    in.stop = r.in.stop_requested;
    in.hurry = r.in.stop_now;
    r.contactors = contactors_.evaluate(in, r.now);
    if (r.pack == nullptr || !own_way) r.contactors.verdict.power_allowed = false;
    if (gpio()) {
        const bool at_once = r.contactors.verdict.state == ContactorState::emergency || r.in.stop_now;
        gpio_.obey(r.contactors.verdict.order, at_once, r.now);
        r.contactors.verdict.coils = gpio_.coils(r.now);
        if (config_.contactors.gpio.heartbeat) beat(r);
    }
    is_open_ = r.contactors.is_open;
    for (const ActiveFault& f : r.contactors.faults) {
        const bool seen_now = f.id == FaultId::contactor_feedback && in.feedback_wrong;
        if (!remembered(f, seen_now)) faults_.report(f, f.level == FaultClass::block ? config_.hold : Duration{});
    }
}

void Judge::beat(Round& r)
{
    Coils& coils = r.contactors.verdict.coils;
    coils.heartbeat = heartbeat_.update({.coils_on = coils.any_main(),
                                            .lines_held = r.in.lines != nullptr && r.in.lines->held,
                                            .stopped = verdict_.stopped,
                                            .contactors = r.contactors.verdict.state,
                                            .worst = faults_.preview(r.now).worst,
                                            .stall = stall_},
        r.now);
}

// SAFE-250: battery data first, then contactors, then power. What has once been reached is not undone by a fault.
void Judge::follow_start(Round& r)
{
    const bool valid = r.pack != nullptr && r.signals.required_fresh && r.battery_link.alive;
    if (data_valid_.for_at_least(valid, config_.start_valid, r.now)) battery_ready_ = true;
    const bool inhibited = r.now - start_ < config_.contactors.boot_inhibit;
    const bool all_there = valid && r.battery_bus.up && r.inverter_bus.up && r.identity_known && r.inverter_present;
    const bool faultless = !faults_.effect().blocks_all();
    if (battery_ready_ && all_there && faultless && !inhibited && r.contactors.verdict.power_allowed) started_ = true;
}

// The link is measured by the battery outside its contactors, or by the inverter at its terminals.
BoxMeasurements Judge::measured_around_contactors(const Round& r) const
{
    BoxMeasurements m;
    if (r.pack != nullptr) {
        const BatteryState& b = r.pack->state;
        m.pack = b.voltage.fresh(r.now);
        m.current = b.current.fresh(r.now);
        m.current_at = b.current.at();
        m.link = b.link_voltage.fresh(r.now);
        m.link_at = b.link_voltage.at();
        const SignalProfile& current = profile_[SignalId::current];
        m.current_is_fast = current.provided && current.period > Duration{} && current.period <= 100ms;
    }
    if (!m.link && r.in.inverter != nullptr && r.in.inverter->voltage.age(r.now) <= link_age) {
        m.link = r.in.inverter->voltage.fresh(r.now);
        m.link_at = r.in.inverter->voltage.at();
    }
    return m;
}

void Judge::look_at_lines(const Round& r)
{
    static constexpr ContactorLines none{};
    gpio_.look(r.in.lines != nullptr ? *r.in.lines : none, measured_around_contactors(r), r.now);
    for (const ActiveFault& f : gpio_.faults()) faults_.report(f, f.level == FaultClass::block ? config_.hold : Duration{});
}

Instant Judge::next_evaluation() const
{
    const ContactorState state = contactors_.state();
    const bool steady =
        state != ContactorState::precharge && state != ContactorState::opening && state != ContactorState::emergency;
    const bool moving = gpio() && (gpio_.moving() || !steady);
    const Instant next = last_ + (moving ? std::min(config_.tick, contactor_tick) : config_.tick);
    return gpio() && config_.contactors.gpio.heartbeat ? std::min(next, std::max(heartbeat_.next(), last_ + 1ms)) : next;
}

}  // namespace batgw
