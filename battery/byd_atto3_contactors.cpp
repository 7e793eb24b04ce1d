#include "battery/byd_atto3_contactors.hpp"

#include <algorithm>
#include <array>

namespace batgw::byd_atto3 {
namespace {

// How far capacitors behind the precharge resistor have come, as a logged car reports it (public, about 413 V).
struct RampPoint {
    Duration after;
    Percent share;
};
constexpr std::array ramp_points{
    RampPoint{0ms, 0_pct}, RampPoint{100ms, 62_pct}, RampPoint{400ms, 95_pct}, RampPoint{900ms, 100_pct}};

// A beat that came late must not bring the next one too close.
bool due(Every& beat, Instant now)
{
    const bool late = beat.next() > Instant::min() && now - beat.next() > beat.period() / 2;
    if (!beat.due(now)) return false;
    if (late) beat.restart(now);
    return true;
}

}  // namespace

void ContactorTalk::on_feedback(const CanFrame& frame, Instant at, BatteryState& state)
{
    const bool closed = main_closed(frame);
    const bool in_a_row = heard_lately(at), came_back = last_at_ && !in_a_row;
    closed_run_ = !closed ? 0 : in_a_row ? std::min(closed_run_ + 1, 2U) : 1;
    open_run_ = closed ? 0 : in_a_row ? std::min(open_run_ + 1, clear_frames + 1) : 1;
    if (open_run_ == clear_frames) current_samples_ = state.current.samples();
    watch_precharge(frame, at);
    last_at_ = at;
    last_closed_ = closed;
    if (closed && step_ == Step::closing) seen_closed_ = true;

    // One frame may lie about "closed" (its checksum is not certain), so it takes two. "Not closed" needs only one.
    ContactorFeedback feedback = ContactorFeedback::open;
    if (confirmed_closed())
        feedback = ContactorFeedback::closed;
    else if (closed)
        feedback = step_ == Step::closing ? ContactorFeedback::precharging : ContactorFeedback::unknown;
    else if (precharging(frame))
        feedback = ContactorFeedback::precharging;
    state.contactor.set(feedback, at, contactors.id);
    react(at, state);
    // Who was not heard perhaps heard nothing either: the announcement is repeated, an acknowledgement alone may open nothing
    // (ours).
    if (came_back && closed && step_ == Step::acknowledge) go(Step::shutdown, at, state);
    if (!closed && !precharging(frame)) seen_open_ = true;
}

// The pack's own sign that precharging begins; on a pack whose second byte stays still, the precharge bit itself.
void ContactorTalk::watch_precharge(const CanFrame& frame, Instant at)
{
    const bool begun = close_begun(frame), precharges = precharging(frame);
    const bool edge = (begun && !last_begun_) || (precharges && !last_precharging_);
    if (edge && step_ == Step::closing && !precharging_since_) precharging_since_ = at;
    last_begun_ = begun;
    last_precharging_ = precharges;
    // Closed and open again within one closing: it would close onto what has discharged since.
    if (open_run_ == clear_frames && closed_in_time_) {
        closed_in_time_ = false;
        precharging_since_.reset();
    }
    if (step_ == Step::closing && confirmed_closed()) closed_in_time_ = true;
}

void ContactorTalk::react(Instant at, BatteryState& state)
{
    switch (step_) {
    case Step::listen:
        if (confirmed_closed()) go(Step::closed, at, state);
        state.feedback_wrong = open_run_ >= 2 && current_flows(at, state);
        if (open_run_ >= 2 && !state.feedback_wrong) go(Step::standby, at, state);
        break;
    case Step::standby:
    case Step::settle:
        if (!confirmed_closed()) break;
        state.closed_by_itself = seen_open_;
        go(Step::closed, at, state);
        break;
    case Step::closed:
    case Step::shutdown:
        if (confirmed_closed()) state.feedback_wrong = false;
        break;
    case Step::acknowledge:
        if (!last_closed_ && at >= since_) go(Step::settle, at, state);
        break;
    case Step::off:
    case Step::closing: break;
    }
}

void ContactorTalk::on_current(Instant at, BatteryState& state) { look_whether_opened(at, state); }

// Three frames say "open" while we hold closed. Only a current sample newer than they tells a pack that opened from feedback that
// is wrong: with current flowing, reporting empty capacitors could open it under load.
void ContactorTalk::look_whether_opened(Instant at, BatteryState& state)
{
    if ((step_ != Step::closed && step_ != Step::shutdown) || open_run_ < clear_frames) return;
    if (!state.current.is_fresh(at) || state.current.samples() == current_samples_) return;
    if (current_flows(at, state)) {
        state.feedback_wrong = true;
        return;
    }
    state.opened_by_itself = held_;
    go(Step::settle, at, state);
}

bool ContactorTalk::current_flows(Instant now, const BatteryState& state) const
{
    const auto flow = state.current.fresh(now);
    return flow && magnitude(*flow) >= idle_current;
}

void ContactorTalk::go(Step next, Instant now, BatteryState& state)
{
    const bool was_listening = step_ == Step::listen;
    step_ = next;
    since_ = now;
    state.phase = phase();
    if (was_listening) {
        mode_beat_.reset();
        link_beat_.reset();
    }
    switch (next) {
    case Step::closing:
        frames_sent_ = 0;
        closed_run_ = 0;  // of frames received after the request
        seen_closed_ = closed_in_time_ = held_ = false;
        precharging_since_.reset();
        state.opened_by_itself = false;
        break;
    case Step::closed: held_ = true; break;
    case Step::settle:
        state.feedback_wrong = false;
        state.not_opening = false;
        state.closed_by_itself = false;
        break;
    default: break;
    }
}

ContactorPhase ContactorTalk::phase() const
{
    constexpr std::array phases{ContactorPhase::none, ContactorPhase::listening, ContactorPhase::open, ContactorPhase::closing,
        ContactorPhase::closed, ContactorPhase::opening, ContactorPhase::opening, ContactorPhase::settling};
    return phases[static_cast<std::size_t>(step_)];
}

Instant ContactorTalk::on_tick(Instant now, const BatteryDriver::Orders& orders, BatteryState& state, Outbox& out)
{
    if (!started_) since_ = now;
    started_ = true;
    advance(now, orders, state);
    state.phase = phase();
    const bool mode_due = due(mode_beat_, now);
    if (step_ == Step::off || step_ == Step::listen) return mode_beat_.next();
    if (mode_due) send_mode(out);
    if (due(link_beat_, now)) send_link(now, state, out);
    return std::min(mode_beat_.next(), link_beat_.next());
}

void ContactorTalk::advance(Instant now, const BatteryDriver::Orders& orders, BatteryState& state)
{
    const Duration passed = now - since_;
    switch (step_) {
    case Step::listen: return advance_listen(now, orders, state);
    case Step::standby:
        if (orders.contactors == ContactorOrder::close) go(Step::closing, now, state);
        return;
    case Step::closing: return advance_closing(now, orders.contactors, state);
    case Step::closed:
        if (orders.contactors == ContactorOrder::open) go(Step::shutdown, now, state);
        return;
    case Step::shutdown:
        if (passed >= shutdown_time) go(Step::acknowledge, now, state);
        return;
    case Step::acknowledge:
        if (passed >= open_time) state.not_opening = true;
        return;
    case Step::settle:
        if (passed >= settle_time) go(Step::standby, now, state);
        return;
    case Step::off: return;
    }
}

// Silence of the pack is no proof of open contactors: a broken wire looks the same. While current flows nothing is sent.
void ContactorTalk::advance_listen(Instant now, const BatteryDriver::Orders& orders, BatteryState& state)
{
    if (now - since_ < listen_time || heard_lately(now)) return;
    state.silent_start = !state.heard;
    const bool inverter_draws = orders.inverter_current && magnitude(*orders.inverter_current) > listen_current;
    if (inverter_draws || current_flows(now, state) || last_closed_) return;
    go(Step::standby, now, state);
}

void ContactorTalk::advance_closing(Instant now, ContactorOrder order, BatteryState& state)
{
    if (confirmed_closed() && frames_sent_ >= close_frames) return go(Step::closed, now, state);
    const bool too_long = now - since_ >= close_time;
    if (too_long) ++state.close_failures;
    // Perhaps closed already: then only the whole way down is safe.
    if (too_long || order == ContactorOrder::open) go(seen_closed_ ? Step::shutdown : Step::standby, now, state);
}

void ContactorTalk::send_mode(Outbox& out)
{
    constexpr std::array modes{PowerMode::standby, PowerMode::standby, PowerMode::standby, PowerMode::close, PowerMode::hold,
        PowerMode::shutdown, PowerMode::acknowledge, PowerMode::acknowledge};
    out.send(make_power_mode(modes[static_cast<std::size_t>(step_)], counter_++));
    ++frames_sent_;
}

// While closed the last good voltage, however old: falling to the idle value could make the pack open under load.
void ContactorTalk::send_link(Instant now, const BatteryState& state, Outbox& out)
{
    const auto pack = state.voltage.last();
    const bool at_pack_voltage = has_link_voltage() || (step_ == Step::closing && closed_in_time_);
    if (at_pack_voltage && !pack) return;
    Voltage link = link_idle;
    if (at_pack_voltage)
        link = *pack - 1_V;
    else if (step_ == Step::closing && precharging_since_ && pack)
        link = ramp(now, *pack - 1_V);
    out.send(make_link_report(link));
}

Voltage ContactorTalk::ramp(Instant now, Voltage target) const
{
    const Duration passed = now - *precharging_since_;
    for (std::size_t i = 1; i < ramp_points.size(); ++i) {
        const auto& [t1, y1] = ramp_points[i];
        const auto& [t0, y0] = ramp_points[i - 1];
        if (passed >= t1) continue;
        const Percent y = y0 + (y1 - y0) * (passed - t0).count() / (t1 - t0).count();
        return std::max(link_idle, share(y, target));
    }
    return target;
}

}  // namespace batgw::byd_atto3
