#include "safety/gpio_contactors.hpp"

#include <algorithm>
#include <initializer_list>
#include <optional>

namespace batgw {

using Finding = WeldCheck::Finding;

// A step that does not exist energises nothing (SAFE-140).
Coils GpioContactors::coils(Instant now) const
{
    const auto on = [](bool negative, bool precharge, bool positive) {
        return Coils{.negative = negative, .precharge = precharge, .positive = positive};
    };
    switch (step_) {
    case Step::negative:
    case Step::opening: return on(true, false, false);
    case Step::precharge: return on(true, true, false);
    case Step::overlap: return on(true, true, true);
    case Step::stopping: return on(true, false, true);
    case Step::closed: {
        Coils c = on(true, false, true);
        // SAFE-149: full drive first, and again as soon as anything looks odd.
        c.economiser = doubt_ == Duration{} && now - std::max(since_, agreed_since_) >= full_drive;
        return c;
    }
    default: return {};
    }
}

bool GpioContactors::moving() const
{
    if (loops_.timing() || doubt_ > Duration{}) return true;
    switch (step_) {
    case Step::open:
    case Step::closed: return false;
    case Step::start:
    case Step::verify: return looked_at_ - since_ < 3s;  // what takes longer needs no haste
    default: return true;
    }
}

bool GpioContactors::wired() const
{
    const auto& g = rules_.gpio;
    return g.negative_feedback || g.precharge_feedback || g.positive_feedback;
}

WeldCheck::Contacts GpioContactors::contacts(Instant now) const
{
    const auto closed = [](std::optional<bool> contact) { return contact.value_or(false); };
    return {.wired = wired(),
        .fresh = fresh(now),
        .any_closed = closed(lines_.negative_closed) || closed(lines_.precharge_closed) || closed(lines_.positive_closed)};
}

// Outputs and contacts are as they were told. While everything is off, contacts are the weld check's.
bool GpioContactors::agree(Instant now) const
{
    if (!lines_.held) return true;  // nothing is told
    if (!lines_.outputs_agree || !fresh(now)) return false;
    if (off() || step_ == Step::opening) return true;
    const Coils told = coils(now);
    const auto follows = [](std::optional<bool> contact, bool coil) { return !contact || *contact == coil; };
    return follows(lines_.negative_closed, told.negative) && follows(lines_.precharge_closed, told.precharge) &&
        follows(lines_.positive_closed, told.positive);
}

// SAFE-148. What comes and goes adds up: a contact that chatters is no contact.
void GpioContactors::watch_agreement(Instant now)
{
    const Duration gap = now - looked_at_;                          // no matter before the first look: there is no doubt then
    const bool disagreed = agreed_since_ == looked_at_ && looked_;  // when last looked
    if (agree(now)) {
        doubt_ = std::max(doubt_ - gap / forgets, Duration{});
    } else {
        if (disagreed) doubt_ = std::min(doubt_ + gap, 2 * rules_.feedback);
        agreed_since_ = now;
    }
    if (doubt_ >= rules_.feedback) wrong_ = true;
    if (doubt_ == Duration{}) wrong_ = false;
    looked_ = true;
    looked_at_ = now;
}

void GpioContactors::look(const ContactorLines& lines, const BoxMeasurements& measured, Instant now)
{
    const bool taken = lines.held && !lines_.held;
    lines_ = lines;
    measured_ = measured;
    if (!lines.held && step_ != Step::start) go(Step::start, now);
    if (taken) {
        since_ = now;
        weld_.begin_at_start(now);
    }
    if (step_ > Step::verify) {
        broken_ = true;
        step_ = Step::verify;
        weld_.begin_after_opening(now, true);
    }
    watch_agreement(now);
    loops_.update(rules_, lines_, !(rules_.gpio.interlock || rules_.gpio.emergency_stop) || fresh(now), !off(), now);
    if (off()) return advance_off(now);
    if (closing()) return advance_closing(now);
    if (step_ == Step::opening && now - since_ >= rules_.negative_delay) go(Step::verify, now);
}

void GpioContactors::advance_off(Instant now)
{
    if (!lines_.held) return;
    const Finding found = weld_.update(rules_, contacts(now), measured_, now);
    const bool open = (found == Finding::open || found == Finding::undetermined) && !wrong_;
    if (open && step_ != Step::open)
        go(Step::open, now);
    else if (!open && step_ == Step::open)
        go(Step::verify, now);
}

void GpioContactors::advance_closing(Instant now)
{
    if (wrong_) return fail("contact", now);
    const Duration elapsed = now - since_;
    if (step_ == Step::negative && elapsed >= rules_.negative_time) {
        precharge_.begin(measured_, now);
        go(Step::precharge, now);
    } else if (step_ == Step::precharge) {
        switch (precharge_.update(rules_.precharge, measured_, now)) {
        case Precharge::Result::running: break;
        case Precharge::Result::done: go(Step::overlap, now); break;
        case Precharge::Result::failed: fail(precharge_.problem(), now); break;
        }
    } else if (step_ == Step::overlap && elapsed >= rules_.overlap && agree(now)) {
        go(Step::closed, now);
    }
}

void GpioContactors::go(Step next, Instant now)
{
    // Here, whatever led to it: outputs go off, and what follows is watched.
    const bool was_off = off(), was_connected = carrying() || step_ == Step::opening;
    step_ = next;
    since_ = now;
    if (was_off || !off()) return;
    weld_.begin_after_opening(now, was_connected);
    // What contacts did while they were told otherwise is over; what they do now is watched anew.
    doubt_ = Duration{};
    wrong_ = false;
}

void GpioContactors::fail(std::string_view why, Instant now)
{
    ++failures_;
    problem_ = why;
    go(Step::verify, now);
}

void GpioContactors::obey(ContactorOrder order, bool at_once, Instant now)
{
    if (order == ContactorOrder::close) {
        if (step_ == Step::open) go(Step::negative, now);
        return;
    }
    const bool hold = order == ContactorOrder::keep;
    switch (step_) {
    case Step::negative:
    case Step::precharge: return go(Step::verify, now);  // no way for a current yet
    case Step::overlap:
        if (hold) return go(Step::stopping, now);
        [[fallthrough]];
    case Step::stopping:
    case Step::closed:
        if (!hold) go(at_once ? Step::verify : Step::opening, now);
        return;
    case Step::opening:
        if (at_once) go(Step::verify, now);
        return;
    default: return;
    }
}

void GpioContactors::fill(ContactorInput& in, Instant now) const
{
    const Finding found = weld_.finding();
    const bool mains_wired = rules_.gpio.negative_feedback || rules_.gpio.positive_feedback;
    in.lines_held = lines_.held;
    in.loops_well = loops_.well();
    in.carrying = carrying();
    in.gives_feedback = mains_wired;
    in.feedback_wrong = wrong_ && (step_ == Step::closed || step_ == Step::stopping);
    in.close_failures = failures_;
    in.close_problem = problem_;
    const bool welded = found == Finding::suspected || found == Finding::confirmed;
    in.stuck = off() && lines_.held && (welded || wrong_ || broken_);
    in.link_doubtful = off() && found == Finding::undetermined;
    const bool both = measured_.link && measured_.pack;
    in.link_known = rules_.precharge.timer || both;
    in.link_high = both && off() && !rules_.inverter_feeds_link &&
        magnitude(*measured_.link - *measured_.pack) <= share(link_high, *measured_.pack);

    using Feedback = ContactorFeedback;
    const auto set = [&](ContactorPhase phase, std::optional<Feedback> feedback) {
        in.phase = phase;
        in.feedback = feedback;
    };
    in.closing_step = ContactorState::neg_closed;
    const auto open_now = contacts(now).any_closed || !fresh(now) ? std::nullopt : std::optional{Feedback::open};
    switch (step_) {
    case Step::open: return set(ContactorPhase::open, open_now);
    case Step::negative: break;
    case Step::precharge: in.closing_step = ContactorState::precharge; break;
    case Step::overlap: in.closing_step = ContactorState::pos_closed; break;
    case Step::closed:
    case Step::stopping: return set(ContactorPhase::closed, Feedback::closed);
    case Step::opening: return set(ContactorPhase::opening, std::nullopt);
    default: return set(ContactorPhase::settling, open_now);
    }
    set(ContactorPhase::closing, Feedback::precharging);
}

Conditions GpioContactors::faults() const
{
    Conditions c;
    const auto add = [&c](FaultId id, FaultClass level, Device device, std::string_view detail = {}) {
        ActiveFault f = condition(id, level, level >= FaultClass::block ? Direction::both : Direction::none, device);
        f.detail.assign(detail);
        c.push_back(f);
    };
    for (const ActiveFault& f : loops_.faults()) c.push_back(f);
    if (!lines_.held) {
        add(FaultId::gpio_lines, FaultClass::block, Device::gateway, lines_.trouble.view());
        return c;
    }
    if (wrong_ && off()) add(FaultId::contactor_feedback, FaultClass::trip, Device::battery, "outputs");
    if (!off()) return c;
    switch (weld_.finding()) {
    case Finding::undetermined: add(FaultId::weld_suspected, FaultClass::warn, Device::battery, "undetermined"); break;
    case Finding::suspected: add(FaultId::weld_suspected, FaultClass::trip, Device::battery); break;
    case Finding::confirmed: add(FaultId::contactor_welded, FaultClass::emergency, Device::battery); break;
    case Finding::pending:
    case Finding::open: break;
    }
    return c;
}

}  // namespace batgw
