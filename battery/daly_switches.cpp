#include "battery/daly_switches.hpp"

#include "battery/daly_layout.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace batgw::daly {

void Switches::on_state(bool charge_is_on, bool discharge_is_on, Instant asked, Instant at, BatteryState& state)
{
    const bool off = !charge_is_on && !discharge_is_on;
    agreeing_ = last_off_ == off ? std::min(agreeing_ + 1, 2U) : 1;
    last_off_ = off;
    charge_.is_on = charge_is_on;
    discharge_.is_on = discharge_is_on;
    // An eight bit sum lets one damage in 256 through: "closed" takes two answers, "not closed" one.
    ContactorFeedback feedback = ContactorFeedback::open;
    if (!off) feedback = agreeing_ >= 2 ? ContactorFeedback::closed : ContactorFeedback::unknown;
    if (feedback == ContactorFeedback::unknown && step_ == Step::closing) feedback = ContactorFeedback::precharging;
    state.contactor.set(feedback, at, switches.id);
    // What was asked before the last order says nothing of its success.
    const bool after_order = !last_told_ || asked > *last_told_;
    if (!after_order) agreeing_ = std::min(agreeing_, 1U);
    react(agreeing_ >= 2, at, state);
}

void Switches::react(bool confirmed, Instant at, BatteryState& state)
{
    switch (step_) {
    case Step::listen:
        if (confirmed) go(all_off() ? Step::open : Step::closed, at, state);
        break;
    case Step::open:
        if (!confirmed) break;
        if (!all_off()) {
            state.closed_by_itself = true;
            go(Step::closed, at, state);
        }
        break;
    case Step::closed:
        if (!all_off()) state.feedback_wrong = false;
        if (!confirmed || !all_off()) break;
        if (const auto i = state.current.fresh(at); i && magnitude(*i) > flows) {
            state.feedback_wrong = true;
            break;
        }
        state.opened_by_itself = held_;
        go(Step::open, at, state);
        break;
    case Step::closing: react_closing(at, state); break;
    case Step::opening:
        if (confirmed && all_off())
            go(Step::open, at, state);
        else if (!all_off())
            say_off_again(at);
        break;
    case Step::off: break;
    }
}

void Switches::react_closing(Instant at, BatteryState& state)
{
    const bool said = !charge_.tell && !discharge_.tell;
    if (!said || agreeing_ < 2 || all_off()) return;
    const bool both_on = charge_.is_on && discharge_.is_on;
    if (both_on || at - since_ >= settle_for_one) go(Step::closed, at, state);
}

// Not blindly: 0x93 was asked after the last order and says that it did nothing.
void Switches::say_off_again(Instant at)
{
    if (charge_.tell || discharge_.tell || !last_told_ || at - *last_told_ < say_again) return;
    if (discharge_.is_on) discharge_.tell = false;
    if (charge_.is_on) charge_.tell = false;
}

void Switches::go(Step next, Instant now, BatteryState& state)
{
    step_ = next;
    since_ = now;
    state.phase = phase();
    charge_.tell.reset();
    discharge_.tell.reset();
    switch (next) {
    case Step::closing:
        charge_.tell = discharge_.tell = true;
        state.opened_by_itself = false;
        held_ = false;
        break;
    case Step::opening: charge_.tell = discharge_.tell = false; break;
    case Step::closed: held_ = true; break;
    default: state.not_opening = state.feedback_wrong = state.closed_by_itself = false; break;  // open
    }
}

void Switches::on_tick(Instant now, ContactorOrder order, BatteryState& state)
{
    if (!started_) since_ = now;
    started_ = true;
    state.phase = phase();
    const Duration passed = now - since_;
    switch (step_) {
    case Step::listen: state.silent_start = !last_off_ && passed >= listen_time; break;
    case Step::open:
        if (order == ContactorOrder::close) go(Step::closing, now, state);
        break;
    case Step::closing:
        if (passed >= close_time) ++state.close_failures;
        // Whatever took effect of it is taken back.
        if (passed >= close_time || order == ContactorOrder::open) go(Step::opening, now, state);
        break;
    case Step::closed:
        if (order == ContactorOrder::open) go(Step::opening, now, state);
        break;
    case Step::opening:
        if (passed >= open_time) state.not_opening = true;
        break;
    case Step::off: break;
    }
}

std::optional<SwitchOrder> Switches::wanted() const
{
    const bool on = step_ == Step::closing;
    const std::array<std::pair<const Switch*, std::uint8_t>, 2> charge_first{
        {{&charge_, static_cast<std::uint8_t>(charge_switch.id)}, {&discharge_, static_cast<std::uint8_t>(discharge_switch.id)}}};
    for (const std::size_t i : {on ? 0U : 1U, on ? 1U : 0U}) {
        const auto& [which, command] = charge_first[i];
        if (which->tell) return SwitchOrder{.command = command, .on = *which->tell};
    }
    return std::nullopt;
}

void Switches::sent(const SwitchOrder& order, Instant now)
{
    (order.command == charge_switch.id ? charge_ : discharge_).tell.reset();
    last_told_ = now;
    agreeing_ = 0;
}

ContactorPhase Switches::phase() const
{
    constexpr std::array phases{ContactorPhase::none, ContactorPhase::listening, ContactorPhase::open, ContactorPhase::closing,
        ContactorPhase::closed, ContactorPhase::opening};
    return phases[static_cast<std::size_t>(step_)];
}

}  // namespace batgw::daly
