// The two MOSFETs of a Daly board as the contactors of its pack (`bms_command`). The judge says when; this says it to the board,
// once, and believes nothing but what 0x93 tells afterwards.
//
//   LISTEN --(two answers)--> OPEN or CLOSED
//   OPEN --(order close)--> CLOSING: charge on, discharge on, once each --(seen on)--> CLOSED
//   CLOSED, CLOSING --(order open)--> OPENING: discharge off, charge off --(two answers: both off)--> OPEN
//
// "Open" is both off. With one off the pack is still connected: that direction is denied by its own flag, as when the board's
// protection switched it off. Charge goes on first and off last, so that what fills the inverter's capacitors never flows through
// the body diode of the charge MOSFET.
#pragma once

#include "model/battery_state.hpp"
#include "model/driver.hpp"
#include "model/time.hpp"

#include <cstdint>
#include <optional>

namespace batgw::daly {

struct SwitchOrder {
    std::uint8_t command;  // 0xD9 or 0xDA
    bool on;
};

class Switches {
public:
    // `commanded_by_us`: false asks nothing, for good (contactor mode `none`).
    explicit Switches(bool commanded_by_us) : step_{commanded_by_us ? Step::listen : Step::off} {}

    // An answer to 0x93 whose question was sent at `asked`.
    void on_state(bool charge_is_on, bool discharge_is_on, Instant asked, Instant at, BatteryState& state);
    // To be called at every tick. What to tell the board now, if the line is free; tell sent() when it went.
    void on_tick(Instant now, ContactorOrder order, BatteryState& state);
    std::optional<SwitchOrder> wanted() const;
    void sent(const SwitchOrder& order, Instant now);
    // Something is to be seen soon: 0x93 should not wait for its beat.
    bool curious() const { return step_ == Step::closing || step_ == Step::opening; }

    ContactorPhase phase() const;
    // Whether a switch that is off is the board's doing. While the pack is open or on its way the gateway wants it off, or nobody
    // has said otherwise: read as a refusal it would keep the pack open for ever.
    bool off_is_refusal() const { return step_ == Step::off || step_ == Step::closed; }

    static constexpr Duration listen_time = 10s;    // then a board that has never spoken counts as silent
    static constexpr Duration close_time = 7s;      // then closing has failed; the judge itself waits 8 s
    static constexpr Duration settle_for_one = 3s;  // closed with one direction only: the board protects the other
    static constexpr Duration open_time = 6s;       // until it is worth a fault
    static constexpr Duration say_again = 3s;       // "off", and only after 0x93 said that it is still on
    static constexpr Current flows = Current::from_milli(2000);

private:
    enum class Step : std::uint8_t { off, listen, open, closing, closed, opening };
    // One switch: what it is to be told, and when it was.
    struct Switch {
        bool is_on = false;
        std::optional<bool> tell;
        std::optional<Instant> told;
    };
    void go(Step next, Instant now, BatteryState& state);
    void react(bool confirmed, Instant at, BatteryState& state);
    void react_closing(Instant at, BatteryState& state);
    void say_off_again(Instant at);
    bool all_off() const { return !charge_.is_on && !discharge_.is_on; }

    Step step_;
    Instant since_{};
    bool started_ = false;
    Switch charge_, discharge_;
    std::optional<bool> last_off_;  // what the answer before said
    unsigned agreeing_ = 0;         // answers in a row that said the same
    std::optional<Instant> last_told_;
    bool held_ = false;  // CLOSED was reached
};

}  // namespace batgw::daly
