// Main contactors: when they may close, how they open, what happens when they do not do as told (SAFE-140 to 161).
//
// The machine decides; an executor acts and reports its phase. In `bms_command` mode the executor is the battery driver, which
// runs the pack's own precharge, in `gpio` mode GpioContactors. In `none` mode the state is reported as seen.
#pragma once

#include "model/battery_state.hpp"
#include "model/config.hpp"
#include "model/driver.hpp"
#include "model/text.hpp"
#include "model/time.hpp"
#include "model/verdict.hpp"
#include "safety/conditions.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace batgw {

// Why contactors are to be open. A set of bits.
enum class OpenCause : std::uint16_t {
    none = 0,
    battery_link = 1,   // SAFE-170
    inverter_link = 2,  // SAFE-181
    black_start = 4,    // SAFE-183
    operator_ = 8,
    stop = 16,  // SAFE-217, with on_exit: open
    trip = 32,
    emergency = 64,        // SAFE-155
    foreign_sender = 128,  // SAFE-185, battery bus
    fault = 256,           // a BLOCK that says so
    battery = 512          // the pack opened or closed by itself; set by the machine
};
constexpr OpenCause operator|(OpenCause a, OpenCause b)
{
    return static_cast<OpenCause>(static_cast<unsigned>(a) | static_cast<unsigned>(b));
}
constexpr OpenCause operator&(OpenCause a, OpenCause b)
{
    return static_cast<OpenCause>(static_cast<unsigned>(a) & static_cast<unsigned>(b));
}
constexpr OpenCause& operator|=(OpenCause& a, OpenCause b) { return a = a | b; }
constexpr bool any(OpenCause set) { return set != OpenCause::none; }
// After these alone, contactors close again by themselves (SAFE-158).
inline constexpr OpenCause communication_loss = OpenCause::battery_link | OpenCause::inverter_link | OpenCause::black_start;

struct ContactorInput {
    // What the executor and the pack report. contactor_input() fills these.
    ContactorPhase phase = ContactorPhase::none;
    ContactorState closing_step = ContactorState::precharge;  // what `closing` is shown as
    bool gives_feedback = false;
    std::optional<ContactorFeedback> feedback;  // fresh only
    std::optional<Current> current;             // fresh only
    Instant current_at{};                       // when that sample was received
    bool opened_by_itself = false, closed_by_itself = false, feedback_wrong = false, silent_start = false, not_opening = false;
    unsigned close_failures = 0;

    // Of coils of our own; GpioContactors::fill() sets these.
    bool lines_held = true, loops_well = true;  // outputs and inputs are there; interlock and emergency stop are closed
    bool carrying = false;                      // both mains are energised: a current may flow
    bool stuck = false;                         // open is what they were told, and something says otherwise
    bool link_known = true;                     // or not needed
    bool link_high = false;                     // SAFE-143: the link is up although nothing was closed
    bool link_doubtful = false;                 // SAFE-156: it stayed up after the last opening, and nobody can tell why
    std::string_view close_problem{};           // of the last failed closing

    // Guards that the judge knows (SAFE-141).
    bool bus_up = false;            // both buses can send
    bool data_fresh = false;        // all required battery signals
    bool identity_known = false;    // cell count and the like, where the driver wants them
    bool fault_free = false;        // no BLOCK CD, TRIP or EMERGENCY
    bool permitted = false;         // by the battery, where it declares a permission; else true
    bool may_join = true;           // the packs beside it, as far as they are closed, are at its voltage and at rest (SAFE-281)
    bool inverter_present = false;  // alive, or information only, or black start allowed

    OpenCause causes = OpenCause::none;  // that hold now
    bool stop = false;                   // orderly stop asked for
    bool hurry = false;                  // asked for again: no more waiting
};
ContactorInput contactor_input(const BatteryState& battery, const BatteryProfile& profile, Instant now);

struct ContactorOutput {
    ContactorVerdict verdict;
    Waiting waiting = Waiting::nothing;  // first guard that keeps them from closing; nothing while closed
    Conditions faults;
    bool close_wanted = false;  // a request waits for its guards, or automation would close
    bool is_open = false;       // proven: fresh feedback (or an executor without one) says open and its sequence is over
    bool opening = false;       // from the cause to proven open: grants are zero
    bool stop_done = false;     // nothing more to wait for in an orderly stop (SAFE-217)
    bool maybe_closed = false;  // stop_done because time ran out: the pack may still be closed
};

// Power may flow: the machine says so, nothing is being opened, and its state is one that there is.
constexpr bool carries_power(const ContactorOutput& c)
{
    return c.verdict.power_allowed && !c.opening && c.verdict.state <= ContactorState::unknown;
}

class ContactorMachine {
public:
    ContactorMachine(const SafetyConfig::Contactors& config, Instant started) : config_{config}, started_{started} {}

    // To be called at least every 100 ms, and at once when an input changed.
    ContactorOutput evaluate(const ContactorInput& in, Instant now);

    // An operator asks for close. False: not now, and it is not kept (SAFE-142): already closed or closing, opening, cooling
    // down, locked out, or one is pending already.
    bool request_close(Instant now);
    // Latches of an earlier run are in force: what opened the contactors then was no loss of communication, and a person closes
    // them again (SAFE-045).
    void stay_open() { opened_for_ |= OpenCause::trip; }
    // How often they had opened under load in earlier runs (SAFE-154). Before the first evaluation.
    void restore_wear(unsigned openings) { opened_under_load_ = openings; }
    // An operator has reset this fault; what the machine remembers of it is over.
    void forget(FaultId id);
    // Nothing is latched any more: LOCKOUT leads to INIT, or through what is left of a cooldown, and nothing closes by itself
    // (SAFE-140, SAFE-045).
    void unlock(Instant now);
    bool request_pending() const { return requested_.has_value(); }

    void reconfigure(const SafetyConfig::Contactors& config) { config_ = config; }
    ContactorState state() const { return state_; }  // the machine's own; evaluate() may show UNKNOWN instead

    static constexpr Duration request_lifetime = 60s;           // SAFE-142
    static constexpr Duration feedback_wrong_for = 200ms;       // SAFE-148
    static constexpr Duration emergency_wait = 3s;              // SAFE-155
    static constexpr Duration stop_limit = 24s;                 // SAFE-217: 25 s, less the final zero frames
    static constexpr Current load = Current::from_milli(2000);  // SAFE-154
    static constexpr std::size_t reclose_per_hour = 3;          // SAFE-158
    static constexpr Duration link_wait = 120s;                 // SAFE-143
    static constexpr unsigned worn = 10, worn_out = 50;         // SAFE-154

private:
    // Times of the last N happenings.
    template <std::size_t N>
    class Times {
    public:
        void add(Instant at)
        {
            times_[next_] = at;
            next_ = (next_ + 1) % N;
        }
        std::size_t within(Duration window, Instant now) const
        {
            std::size_t n = 0;
            for (const auto& at : times_) n += at && now - *at < window ? 1U : 0U;
            return n;
        }

    private:
        std::array<std::optional<Instant>, N> times_{};
        std::size_t next_ = 0;
    };

    bool gpio() const { return config_.mode == ContactorMode::gpio; }
    void step(const ContactorInput& in, OpenCause causes, Instant now);
    void step_init(const ContactorInput& in, Instant now);
    void step_open(const ContactorInput& in, Instant now);
    void step_precharge(const ContactorInput& in, OpenCause causes, Instant now);
    void step_closed(const ContactorInput& in, OpenCause causes, Instant now);
    void step_opening(const ContactorInput& in, OpenCause causes, Instant now);
    void step_open_verify(const ContactorInput& in, Instant now);
    void step_outputs_off(const ContactorInput& in, Instant now);
    void step_emergency(const ContactorInput& in, Instant now);

    void go(ContactorState next, Instant now);
    void begin_closing(const ContactorInput& in, Instant now);
    void begin_opening(OpenCause causes, Instant now);
    void order_open(const ContactorInput& in, Instant now);
    void count_load(const ContactorInput& in);
    void close_failed(const ContactorInput& in, Instant now);
    void update_requests(Instant now);
    void update_current(const ContactorInput& in, Instant earliest);
    bool current_low() const { return low_since_ && low_until_ - *low_since_ >= config_.open_stable; }
    bool may_open_now(const ContactorInput& in, Instant now) const;
    bool breakable(const ContactorInput& in) const;
    bool may_close_unasked(Instant now) const;
    Waiting unasked(Instant now) const;
    bool went_closed(const ContactorInput& in) const;
    Waiting guard(const ContactorInput& in, OpenCause causes, bool closing, Instant now) const;
    Waiting rest_guard(const ContactorInput& in, Instant now) const;
    Waiting waiting(Instant now) const;
    ContactorOrder order(const ContactorInput& in) const;
    ContactorState shown(const ContactorInput& in) const;
    Conditions faults(const ContactorInput& in) const;
    void stopping(const ContactorInput& in, Instant now, ContactorOutput& out);
    ContactorOutput as_seen(const ContactorInput& in, Instant now);

    SafetyConfig::Contactors config_;
    Instant started_;
    ContactorState state_ = ContactorState::init;
    Instant since_{};  // of state_

    // Closing.
    Waiting guard_ = Waiting::bus;  // first that fails now
    Held guards_held_, guards_fail_;
    std::optional<Instant> requested_;  // a pending request by hand
    unsigned failures_seen_ = 0;        // of the executor's count
    Times<8> failures_;
    Times<64> closings_;   // by automation
    Times<8> reclosings_;  // those of them after an opening
    bool cooling_ = false, locked_out_ = false, precharge_failed_ = false;
    Instant cooldown_until_{};

    // Opening.
    OpenCause opened_for_ = OpenCause::none;  // all causes of the last opening
    Instant opening_since_{};
    bool open_ordered_ = false;
    std::optional<Instant> low_since_;  // first and last of an unbroken run of low current samples
    Instant low_until_{};
    unsigned opened_under_load_ = 0;
    std::optional<Current> last_load_;
    std::optional<Instant> stop_since_;

    // What the pack did by itself.
    bool told_opened_ = false;                            // until the next closing
    bool itself_opened_ = false, itself_closed_ = false;  // until proven open
    Held feedback_wrong_, link_high_;
    Text<24> close_problem_;
    bool feedback_tripped_ = false;
};

}  // namespace batgw
