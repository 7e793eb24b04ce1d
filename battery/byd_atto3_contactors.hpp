// The contactors of a BYD pack are inside it and driven by its own BMS: we only ask, with 0x12D, and tell it in 0x441 what
// voltage stands behind them. This is the conversation. When to close and when to open is the judge's decision.
//
//   LISTEN --(two frames: open)--------> STANDBY --(order close)--> CLOSING --(closed, 24 frames)--> CLOSED
//     |  \-(3 s of silence)-------------/  ^  ^                        |                              | order open
//     |                                    |  +--(8 s, order open)-----+                              v
//     +----(two frames: closed)--> CLOSED  +-- 2.5 s -- SETTLE <--(seen open)-- ACKNOWLEDGE <-- 1.5 s SHUTDOWN
//
// The pack takes the voltage we report for the end of precharging. Told too early it closes onto empty capacitors, told wrongly
// while closed it may open under load. So the voltage rises only after the pack's own precharge sign, and stays at the last good
// one.
#pragma once

#include "battery/byd_atto3_layout.hpp"
#include "model/battery_state.hpp"
#include "model/driver.hpp"
#include "model/time.hpp"

#include <cstdint>
#include <optional>

namespace batgw::byd_atto3 {

class ContactorTalk {
public:
    // `asked_by_us`: false keeps silent for good (contactor mode `none`).
    explicit ContactorTalk(bool asked_by_us) : step_{asked_by_us ? Step::listen : Step::off} {}

    // A 0x344 frame that may be believed.
    void on_feedback(const CanFrame& frame, Instant at, BatteryState& state);
    // After a new current sample.
    void on_current(Instant at, BatteryState& state);
    // Sends what is due; says when to call next, in at most 50 ms.
    Instant on_tick(Instant now, const BatteryDriver::Orders& orders, BatteryState& state, Outbox& out);

    ContactorPhase phase() const;
    // Nothing was sent yet, and nothing may be.
    bool listening() const { return step_ == Step::listen; }

    static constexpr Duration listen_time = 3s;     // ours: whether a healthy pack speaks first is not documented
    static constexpr Duration feedback_age = 3s;    // of 0x344; two frames further apart do not confirm each other
    static constexpr Current listen_current = 2_A;  // more than this through the inverter: the pack is closed, whatever it says
    static constexpr Current idle_current = Current::from_milli(2500);
    static constexpr Duration close_time = 8s;
    static constexpr unsigned close_frames = 24;       // 1.2 s; a logged car takes 1.16 s
    static constexpr Duration shutdown_time = 1500ms;  // a logged car: 1.42 s
    static constexpr Duration open_time = 6s;          // until it is worth a fault; we keep asking
    static constexpr Duration settle_time = 2500ms;
    static constexpr unsigned clear_frames = 3;  // of a pack that opened by itself

private:
    enum class Step : std::uint8_t { off, listen, standby, closing, closed, shutdown, acknowledge, settle };

    void go(Step next, Instant now, BatteryState& state);
    void watch_precharge(const CanFrame& frame, Instant at);
    void react(Instant at, BatteryState& state);
    void look_whether_opened(Instant at, BatteryState& state);
    void advance(Instant now, const BatteryDriver::Orders& orders, BatteryState& state);
    void advance_listen(Instant now, const BatteryDriver::Orders& orders, BatteryState& state);
    void advance_closing(Instant now, ContactorOrder order, BatteryState& state);
    void send_mode(Outbox& out);
    void send_link(Instant now, const BatteryState& state, Outbox& out);
    bool current_flows(Instant now, const BatteryState& state) const;
    bool confirmed_closed() const { return closed_run_ >= 2; }
    bool heard_lately(Instant now) const { return last_at_ && now - *last_at_ <= feedback_age; }
    bool has_link_voltage() const { return step_ == Step::closed || step_ == Step::shutdown || step_ == Step::acknowledge; }
    Voltage ramp(Instant now, Voltage target) const;

    Step step_;
    Instant since_{};  // of step_
    bool started_ = false;
    // What 0x344 said last.
    std::optional<Instant> last_at_;
    bool last_closed_ = false, last_begun_ = true, last_precharging_ = true;  // before the first frame: no edge can be seen
    unsigned closed_run_ = 0, open_run_ = 0;                                  // frames in a row
    bool seen_open_ = false;             // since start: a later "closed" in STANDBY is unasked
    std::uint32_t current_samples_ = 0;  // when the last of three "open" frames came
    // CLOSING
    unsigned frames_sent_ = 0;
    bool seen_closed_ = false;     // a "closed" frame, confirmed or not, since the request
    bool closed_in_time_ = false;  // confirmed, and not taken back by three frames
    bool held_ = false;            // CLOSED was reached
    std::optional<Instant> precharging_since_;
    // Sending
    unsigned counter_ = 0;
    Every mode_beat_{power_mode.period}, link_beat_{link_report.period};
};

}  // namespace batgw::byd_atto3
