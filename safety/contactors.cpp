#include "safety/contactors.hpp"

#include <algorithm>

namespace batgw {

namespace {

constexpr Duration hour = 3600s, day = 86400s;

bool closed(const ContactorInput& in)
{
    return in.gives_feedback ? in.feedback == ContactorFeedback::closed : in.phase == ContactorPhase::closed;
}

// The executor's sequence is over and nothing says otherwise.
bool proven_open(const ContactorInput& in)
{
    return in.phase == ContactorPhase::open && (!in.gives_feedback || in.feedback == ContactorFeedback::open);
}

// The executor itself says that the contactors opened, whoever wanted it. Fresh feedback to the contrary wins.
bool reported_open(const ContactorInput& in)
{
    if (in.gives_feedback && in.feedback == ContactorFeedback::closed) return false;
    return in.phase == ContactorPhase::open || in.phase == ContactorPhase::settling ||
        (in.opened_by_itself && in.feedback == ContactorFeedback::open);
}

// Nothing has been heard that an order could be based on (SAFE-161 (a)).
bool listening(const ContactorInput& in) { return in.phase == ContactorPhase::none || in.phase == ContactorPhase::listening; }

}  // namespace

ContactorInput contactor_input(const BatteryState& battery, const BatteryProfile& profile, Instant now)
{
    ContactorInput in;
    in.phase = battery.phase;
    in.gives_feedback = profile.states_contactor;
    in.feedback = battery.contactor.fresh(now);
    if (in.feedback == ContactorFeedback::unknown) in.feedback.reset();
    in.current = battery.current.fresh(now);
    in.current_at = battery.current.at();
    in.opened_by_itself = battery.opened_by_itself;
    in.closed_by_itself = battery.closed_by_itself;
    in.feedback_wrong = battery.feedback_wrong;
    in.silent_start = battery.silent_start;
    in.not_opening = battery.not_opening;
    in.close_failures = battery.close_failures;
    return in;
}

ContactorOutput ContactorMachine::evaluate(const ContactorInput& in, Instant now)
{
    if (in.stop && !stop_since_) {
        stop_since_ = now;
        if (state_ != ContactorState::opening) low_since_.reset();
    }
    if (config_.mode == ContactorMode::none) return as_seen(in, now);

    const OpenCause causes = in.causes | (in.stop && config_.open_on_exit ? OpenCause::stop : OpenCause::none);
    link_high_.update(in.link_high, now);
    guard_ = guard(in, causes, state_ == ContactorState::precharge, now);
    guards_held_.update(guard_ == Waiting::nothing, now);
    update_requests(now);
    // One input may mean several steps: found closed at start, with a reason to open, in a hurry.
    for (int steps = 0; steps < 3; ++steps) step(in, causes, now);

    ContactorOutput out;
    out.verdict.state = shown(in);
    out.verdict.order = order(in);
    out.verdict.attempts = static_cast<unsigned>(failures_.within(config_.attempts_window, now));
    out.verdict.opened_under_load = opened_under_load_;
    out.verdict.load = last_load_;
    out.verdict.power_allowed =
        state_ == ContactorState::closed && closed(in) && in.phase == ContactorPhase::closed && !in.feedback_wrong;
    out.waiting = waiting(now);
    out.faults = faults(in);
    out.close_wanted = requested_ || (state_ == ContactorState::open && may_close_unasked(now));
    out.is_open = proven_open(in) && !in.link_doubtful;
    out.opening =
        state_ == ContactorState::opening || state_ == ContactorState::open_verify || state_ == ContactorState::emergency;
    stopping(in, now, out);
    return out;
}

bool ContactorMachine::request_close(Instant now)
{
    const bool possible = state_ == ContactorState::init || state_ == ContactorState::open;
    if (config_.mode == ContactorMode::none || !possible || requested_) return false;
    requested_ = now;
    guards_fail_.reset();
    return true;
}

void ContactorMachine::forget(FaultId id)
{
    if (id == FaultId::precharge_failed) precharge_failed_ = false;
    if (id == FaultId::contactor_feedback) feedback_tripped_ = false;
}

void ContactorMachine::unlock(Instant now)
{
    locked_out_ = false;
    stay_open();
    // A precharge resistor may still have to cool.
    if (state_ == ContactorState::lockout) go(cooling_ ? ContactorState::cooldown : ContactorState::init, now);
}

// SAFE-142.
void ContactorMachine::update_requests(Instant now)
{
    if (guards_fail_.update(requested_ && guard_ != Waiting::nothing, now) > request_lifetime) requested_.reset();
}

void ContactorMachine::step(const ContactorInput& in, OpenCause causes, Instant now)
{
    const bool proven_out = state_ == ContactorState::lockout && !went_closed(in);
    if (any(causes & OpenCause::emergency) && state_ != ContactorState::emergency && !proven_out) {
        begin_opening(causes, now);
        go(ContactorState::emergency, now);
    }
    // SAFE-143, SAFE-156: the outputs are off, and that is all that can be done.
    if (in.stuck && state_ != ContactorState::precharge && state_ != ContactorState::closed) {
        requested_.reset();
        itself_opened_ = itself_closed_ = false;
        return go(ContactorState::lockout, now);
    }
    switch (state_) {
    case ContactorState::init: return step_init(in, now);
    case ContactorState::open: return step_open(in, now);
    case ContactorState::precharge: return step_precharge(in, causes, now);
    case ContactorState::closed: return step_closed(in, causes, now);
    case ContactorState::opening: return step_opening(in, causes, now);
    case ContactorState::open_verify: return step_open_verify(in, now);
    case ContactorState::emergency: return step_emergency(in, now);
    case ContactorState::cooldown: return step_outputs_off(in, now);
    default:  // lockout, and whatever else a state may never be (SAFE-140)
        locked_out_ = true;
        return step_outputs_off(in, now);
    }
}

// SAFE-161 (a), (b): listen first; a pack found closed is held closed.
void ContactorMachine::step_init(const ContactorInput& in, Instant now)
{
    if (closed(in))
        go(ContactorState::closed, now);
    else if (proven_open(in))
        go(ContactorState::open, now);
}

void ContactorMachine::step_open(const ContactorInput& in, Instant now)
{
    if (went_closed(in)) {
        itself_closed_ = true;
        return begin_opening(OpenCause::battery, now);
    }
    const bool guarded =
        guard_ == Waiting::nothing && guards_held_.elapsed(now) >= config_.valid && now - started_ >= config_.boot_inhibit;
    if (guarded && (requested_ || may_close_unasked(now))) begin_closing(in, now);
}

void ContactorMachine::begin_closing(const ContactorInput& in, Instant now)
{
    if (!requested_) {
        closings_.add(now);
        if (any(opened_for_)) reclosings_.add(now);
    }
    requested_.reset();
    failures_seen_ = in.close_failures;
    go(ContactorState::precharge, now);
}

void ContactorMachine::step_precharge(const ContactorInput& in, OpenCause causes, Instant now)
{
    if (any(causes) || guard_ != Waiting::nothing) {
        // No power was granted yet, so there is no current to wait for. The precharge resistor is to cool all the same.
        opened_for_ |= causes;  // one request, one attempt (SAFE-142): what had opened them before still has
        cooling_ = true;
        cooldown_until_ = now + config_.cooldown;
        if (!in.carrying) return go(ContactorState::open_verify, now);
        // Both mains of ours are closed already: as from CLOSED.
        const OpenCause before = opened_for_;
        begin_opening(causes, now);
        opened_for_ |= before;
    } else if (closed(in) && in.phase == ContactorPhase::closed)
        go(ContactorState::closed, now);
    else if (in.close_failures != failures_seen_ || now - since_ >= config_.close_total)
        close_failed(in, now);
}

// SAFE-146.
void ContactorMachine::close_failed(const ContactorInput& in, Instant now)
{
    failures_.add(now);
    close_problem_.assign(in.close_problem);
    if (failures_.within(config_.attempts_window, now) >= config_.attempts) locked_out_ = precharge_failed_ = true;
    cooling_ = true;
    cooldown_until_ = now + config_.cooldown;
    go(ContactorState::cooldown, now);
}

void ContactorMachine::step_closed(const ContactorInput& in, OpenCause causes, Instant now)
{
    // Contacts of ours come with their own delay.
    if (feedback_wrong_.for_at_least(in.feedback_wrong, gpio() ? Duration{} : feedback_wrong_for, now)) feedback_tripped_ = true;
    itself_closed_ = in.closed_by_itself;
    if (feedback_tripped_) causes |= OpenCause::trip;
    if (itself_closed_) causes |= OpenCause::battery;
    if (reported_open(in)) {
        itself_opened_ = told_opened_ = true;
        opened_for_ = OpenCause::battery | causes;
        go(ContactorState::open_verify, now);
    } else if (any(causes))
        begin_opening(causes, now);
}

void ContactorMachine::begin_opening(OpenCause causes, Instant now)
{
    opened_for_ = causes;
    opening_since_ = now;
    open_ordered_ = false;
    low_since_.reset();
    requested_.reset();
    go(ContactorState::opening, now);
}

// SAFE-153.
void ContactorMachine::step_opening(const ContactorInput& in, OpenCause causes, Instant now)
{
    opened_for_ |= causes;
    update_current(in, opening_since_ + config_.open_min_wait);
    if (reported_open(in) && !itself_closed_)
        go(ContactorState::open_verify, now);
    else if (in.hurry || may_open_now(in, now))
        order_open(in, now);
}

// Only samples taken after `earliest` count: what flowed before says nothing.
void ContactorMachine::update_current(const ContactorInput& in, Instant earliest)
{
    if (!in.current || magnitude(*in.current) > config_.open_current) return low_since_.reset();
    if (in.current_at <= earliest) return;
    if (!low_since_) low_since_ = in.current_at;
    low_until_ = in.current_at;
}

bool ContactorMachine::may_open_now(const ContactorInput& in, Instant now) const
{
    const Duration waited = now - opening_since_;
    if (current_low()) return true;
    if (waited < config_.open_max_wait) return false;
    // A current that is not known cannot be waited for.
    return !in.current || breakable(in) || waited >= config_.open_max_wait + config_.fuse_wait;
}

bool ContactorMachine::breakable(const ContactorInput& in) const
{
    return !config_.break_current || (in.current && magnitude(*in.current) <= *config_.break_current);
}

// SAFE-154: an unknown current counts as load.
void ContactorMachine::count_load(const ContactorInput& in)
{
    if (in.current && magnitude(*in.current) <= load) return;
    ++opened_under_load_;
    last_load_ = in.current;
}

void ContactorMachine::order_open(const ContactorInput& in, Instant now)
{
    count_load(in);
    go(ContactorState::open_verify, now);
}

void ContactorMachine::step_open_verify(const ContactorInput& in, Instant now)
{
    if (!proven_open(in)) return;
    itself_opened_ = itself_closed_ = false;
    go(locked_out_ ? ContactorState::lockout : cooling_ ? ContactorState::cooldown : ContactorState::open, now);
}

// COOLDOWN and LOCKOUT: nothing is asked for, and a pack that closes all the same is opened.
void ContactorMachine::step_outputs_off(const ContactorInput& in, Instant now)
{
    requested_.reset();
    if (went_closed(in)) {
        itself_closed_ = true;
        return begin_opening(OpenCause::battery, now);
    }
    if (locked_out_) return go(ContactorState::lockout, now);
    if (now < cooldown_until_) return;
    cooling_ = false;
    go(ContactorState::open, now);
}

// SAFE-155.
void ContactorMachine::step_emergency(const ContactorInput& in, Instant now)
{
    if (proven_open(in)) {
        itself_opened_ = itself_closed_ = false;
        return go(ContactorState::lockout, now);
    }
    if (open_ordered_ || listening(in)) return;
    const bool connected = in.phase == ContactorPhase::closed || in.carrying;
    if (connected && !breakable(in) && now - since_ < emergency_wait && !in.hurry) return;
    open_ordered_ = true;
    if (connected) count_load(in);
}

void ContactorMachine::go(ContactorState next, Instant now)
{
    if (next == ContactorState::closed) {
        told_opened_ = false;
        feedback_wrong_.reset();
        requested_.reset();
    }
    since_ = now;
    state_ = next;
}

bool ContactorMachine::went_closed(const ContactorInput& in) const { return in.closed_by_itself || closed(in); }

// SAFE-158, and the first closing after the start.
bool ContactorMachine::may_close_unasked(Instant now) const { return unasked(now) == Waiting::nothing; }

Waiting ContactorMachine::unasked(Instant now) const
{
    if (!config_.close_automatically) return Waiting::operator_;
    if (any(opened_for_)) {
        const bool by_loss = (opened_for_ | communication_loss) == communication_loss;
        if (!by_loss || !config_.auto_reclose) return Waiting::operator_;
        if (reclosings_.within(hour, now) >= reclose_per_hour) return Waiting::cycle_limit;
    }
    // SAFE-157
    if (closings_.within(hour, now) >= std::min<std::size_t>(config_.cycles_per_hour, 64)) return Waiting::cycle_limit;
    if (closings_.within(day, now) >= std::min<std::size_t>(config_.cycles_per_day, 64)) return Waiting::cycle_limit;
    return Waiting::nothing;
}

// The guards of SAFE-141, in the order in which a person would look. While closing, precharge current flows and feedback moves.
Waiting ContactorMachine::guard(const ContactorInput& in, OpenCause causes, bool closing, Instant now) const
{
    if (!in.bus_up) return Waiting::bus;
    if (!in.lines_held) return Waiting::gpio_lines;
    if (!in.loops_well) return Waiting::interlock;
    if (listening(in)) return Waiting::battery_listen;
    if (!in.data_fresh || (!gpio() && in.gives_feedback && !in.feedback)) return Waiting::battery_data;
    if (!closing && !gpio() && in.gives_feedback && in.feedback != ContactorFeedback::open) return Waiting::battery_data;
    if (!in.identity_known) return Waiting::battery_identity;
    if (in.stop || any(causes & OpenCause::operator_)) return Waiting::operator_;
    if (any(causes & (OpenCause::inverter_link | OpenCause::black_start))) return Waiting::inverter;
    if (any(causes & OpenCause::battery_link)) return Waiting::battery_data;
    if (!in.fault_free || any(causes)) return Waiting::battery_fault;
    if (!in.permitted) return Waiting::permission;
    if (!in.inverter_present) return Waiting::inverter;
    if (!closing && (!in.current || magnitude(*in.current) > load)) return Waiting::current;
    if (!in.may_join) return Waiting::parallel;
    if (locked_out_) return Waiting::lockout;
    if (cooling_) return Waiting::cooldown;
    return gpio() && !closing ? rest_guard(in, now) : Waiting::nothing;
}

// Of contactors of ours, before they begin to close.
Waiting ContactorMachine::rest_guard(const ContactorInput& in, Instant now) const
{
    if (!proven_open(in)) return Waiting::open_verify;
    if (!in.link_known) return Waiting::link_voltage;
    // A person may confirm what cannot be told: a link that stays up is fed, or its contactors are welded.
    const bool confirmed = requested_ && (!in.link_high || link_high_.elapsed(now) >= link_wait);
    return (in.link_high || in.link_doubtful) && !confirmed ? Waiting::link_precharged : Waiting::nothing;
}

Waiting ContactorMachine::waiting(Instant now) const
{
    switch (state_) {
    case ContactorState::precharge:
    case ContactorState::closed: return Waiting::nothing;
    case ContactorState::lockout: return Waiting::lockout;
    case ContactorState::cooldown: return Waiting::cooldown;
    default: break;
    }
    if (guard_ != Waiting::nothing) return guard_;
    if (now - started_ < config_.boot_inhibit) return Waiting::boot_inhibit;
    if (!requested_)
        if (const Waiting w = unasked(now); w != Waiting::nothing) return w;
    return guards_held_.elapsed(now) < config_.valid ? Waiting::valid_time : Waiting::nothing;
}

ContactorOrder ContactorMachine::order(const ContactorInput& in) const
{
    if (listening(in)) return ContactorOrder::keep;
    switch (state_) {
    case ContactorState::init:
    case ContactorState::open:
    case ContactorState::closed:
    case ContactorState::opening: return ContactorOrder::keep;
    case ContactorState::precharge: return ContactorOrder::close;
    case ContactorState::open_verify: return ContactorOrder::open;
    case ContactorState::emergency: return open_ordered_ ? ContactorOrder::open : ContactorOrder::keep;
    default: break;
    }
    const bool at_rest = in.phase == ContactorPhase::open || in.phase == ContactorPhase::settling;
    return at_rest ? ContactorOrder::keep : ContactorOrder::open;
}

// SAFE-161 (d): without fresh feedback nobody knows.
ContactorState ContactorMachine::shown(const ContactorInput& in) const
{
    const bool unknown = in.gives_feedback && !in.feedback;
    switch (state_) {
    case ContactorState::init: return in.silent_start && unknown ? ContactorState::unknown : state_;
    case ContactorState::open:
    case ContactorState::closed: return unknown ? ContactorState::unknown : state_;
    case ContactorState::cooldown: return unknown && !gpio() ? ContactorState::unknown : state_;
    case ContactorState::precharge: return in.closing_step;
    // Until the last of our coils is off.
    case ContactorState::open_verify:
        return gpio() && in.phase != ContactorPhase::settling && in.phase != ContactorPhase::open ? ContactorState::opening
                                                                                                  : state_;
    default: return state_;
    }
}

Conditions ContactorMachine::faults(const ContactorInput& in) const
{
    Conditions c;
    const auto add = [&c](FaultId id, FaultClass level) {
        c.push_back(condition(id, level, level >= FaultClass::block ? Direction::both : Direction::none, Device::battery));
    };
    if (precharge_failed_) add(FaultId::precharge_failed, FaultClass::trip);
    if (state_ == ContactorState::cooldown) {
        add(FaultId::close_failed, FaultClass::block);
        c.back().detail = close_problem_;
    }
    if (feedback_tripped_)
        add(FaultId::contactor_feedback, FaultClass::trip);
    else if (in.feedback_wrong && !gpio())
        add(FaultId::contactor_feedback, FaultClass::block);
    if (in.not_opening) add(FaultId::contactor_not_open, FaultClass::block);
    // Afterwards it only tells why they are open: a BLOCK that lasted until the next closing would forbid just that.
    if (itself_opened_)
        add(FaultId::opened_by_itself, FaultClass::block);
    else if (told_opened_)
        add(FaultId::opened_by_itself, FaultClass::warn);
    if (itself_closed_ || in.closed_by_itself) add(FaultId::closed_by_itself, FaultClass::block);
    if (config_.link_synthetic) add(FaultId::link_synthetic, FaultClass::warn);
    if (gpio() && config_.precharge.timer) add(FaultId::precharge_unverified, FaultClass::warn);
    if (state_ == ContactorState::open && in.link_high) add(FaultId::link_precharged, FaultClass::warn);
    if (opened_under_load_ >= worn) {
        add(FaultId::contactor_wear, FaultClass::warn);
        c.back().has_value = true;
        c.back().unit = Unit::count;
        c.back().value_milli = std::int64_t{opened_under_load_} * 1000;
        c.back().limit_milli = std::int64_t{opened_under_load_ >= worn_out ? worn_out : worn} * 1000;
    }
    return c;
}

// SAFE-217.
void ContactorMachine::stopping(const ContactorInput& in, Instant now, ContactorOutput& out)
{
    if (!stop_since_) return;
    const Duration waited = now - *stop_since_;
    if (config_.mode == ContactorMode::none || !config_.open_on_exit) {
        if (state_ != ContactorState::opening) update_current(in, *stop_since_);
        out.stop_done = current_low() || waited >= config_.open_max_wait || in.hurry;
        return;
    }
    const bool at_rest = state_ == ContactorState::init || state_ == ContactorState::open || state_ == ContactorState::cooldown ||
        state_ == ContactorState::lockout;
    const bool nothing_to_do = listening(in) || (at_rest && out.verdict.order == ContactorOrder::keep);
    // Coils of ours that are off can do no more; whether something is welded may take a minute to see.
    const bool all_off = gpio() && (in.phase == ContactorPhase::settling || in.phase == ContactorPhase::open) &&
        (state_ == ContactorState::open_verify || at_rest);
    const bool enough = out.is_open || nothing_to_do || all_off || (in.hurry && in.feedback == ContactorFeedback::open);
    out.stop_done = enough || waited >= stop_limit;
    out.maybe_closed =
        out.stop_done && in.feedback != ContactorFeedback::open && !((out.is_open || all_off) && !in.gives_feedback && !in.stuck);
}

// `none` mode: not ours. Shown as reported, never ordered.
ContactorOutput ContactorMachine::as_seen(const ContactorInput& in, Instant now)
{
    ContactorOutput out;
    state_ = ContactorState::unknown;
    if (in.gives_feedback && in.feedback == ContactorFeedback::open) state_ = ContactorState::open;
    if (in.gives_feedback && in.feedback == ContactorFeedback::precharging) state_ = ContactorState::precharge;
    if (in.gives_feedback && in.feedback == ContactorFeedback::closed) state_ = ContactorState::closed;
    out.verdict.state = state_;
    out.verdict.power_allowed = !in.gives_feedback || state_ == ContactorState::closed;
    out.is_open = state_ == ContactorState::open;
    stopping(in, now, out);
    return out;
}

}  // namespace batgw
