// The only way out of the gateway onto one bus (SAFE-006): what is not listed, is too soon, was built from an old verdict or says
// more than the newest verdict allows is not sent. Each message has one pending slot: newer content replaces older (SAFE-263).
//
//     port.queue(outbox, now, stamp);
//     while (const auto frame = port.next(now, newest)) {
//         const Sent sent = bus.send(*frame);
//         if (sent == Sent::yes) port.sent(now);
//         else if (sent == Sent::full) port.blocked(now);      // next() is quiet until wake()
//         else port.discard();
//     }
#pragma once

#include "model/bus_status.hpp"
#include "model/can_frame.hpp"
#include "model/driver.hpp"
#include "model/time.hpp"
#include "model/units.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace batgw {

// Of which verdict a frame is.
struct Stamp {
    Instant verdict_at{};
    std::uint64_t sequence = 0;  // 0: no verdict yet
    Power charge, discharge;     // its grants
};

template <class Frame>
class BasicTxPort {
public:
    explicit BasicTxPort(std::span<const TxRule> rules);

    void queue(const Outbox& outbox, Instant now, const Stamp& stamp);
    // The next frame to hand to the bus; then one of sent(), blocked(), discard() follows. `newest`: of the newest verdict.
    std::optional<Frame> next(Instant now, const Stamp& newest);
    void sent(Instant now);
    void blocked(Instant now);  // ENOBUFS: the frame stays, everything waits for the next 5 ms tick
    void discard();             // bus-off, down, gone: nothing of before is sent afterwards (SAFE-262)
    void mute(bool on);         // nothing is sent, pending frames are void (SAFE-185, SAFE-244)
    // Nobody acknowledges: no message more often than every second, except for a lower limit; what waits then is no trouble
    // (SAFE-264).
    void slow(bool on, Instant now);

    // When to call next() again; end_of_time when nothing waits for time.
    Instant wake() const;
    bool pending() const;

    bool muted() const { return muted_; }
    bool ever_sent() const { return ever_sent_; }
    std::optional<Instant> last_success() const { return ever_sent_ ? std::optional{last_success_} : std::nullopt; }
    bool refusing(Instant now) const;                       // three refusals of one id within 10 s (SAFE-006)
    bool starved(Instant now) const;                        // a message has not got out for three of its periods (SAFE-263)
    bool dead(Instant now) const;                           // tried for 10 s without any success (SAFE-263)
    std::uint64_t overtaken() const { return overtaken_; }  // frames given up for a lower verdict
    // Writes what this port counted since start: refused, dropped, missed.
    void fill(TrafficCounters& counters) const;

    static constexpr Duration verdict_age_max = 1s;
    static constexpr Duration decrease_spacing = 100ms;  // SAFE-091
    static constexpr Duration retry_after = 5ms;
    static constexpr Duration slow_spacing = 1s;
    static constexpr Duration dead_after = 10s;
    static constexpr Duration refusal_window = 10s;
    static constexpr Duration default_period = 1s;  // of rules that state none
    static constexpr std::size_t pages_max = 8;     // of one paged id
    static constexpr unsigned refusals_to_block = 3;

private:
    struct Slot {
        TxRule rule{};
        std::size_t refusals = 0;          // index of its id's refusals
        std::optional<std::uint8_t> page;  // of paged ids, once used
        bool pending = false;
        bool ever_sent = false;
        bool missed_counted = false;
        Frame frame;
        Stamp stamp;
        Instant queued_at{};
        std::uint64_t order = 0;
        Instant sent_queued_at{}, sent_at{};  // of the last one sent
        Stamp sent_stamp;
        std::optional<Instant> waiting_since;  // queued and not sent since; set while pending
    };
    class Refusals {
    public:
        void add(Instant at);
        bool too_many(Instant now) const;

    private:
        std::array<Instant, refusals_to_block> times_{};
        unsigned count_ = 0, next_ = 0;
    };
    static Duration period(const Slot& slot) { return slot.rule.period > Duration{} ? slot.rule.period : default_period; }
    Slot* find(const Frame& frame, std::size_t& refusals);
    void put(const Frame& frame, Instant now, const Stamp& stamp);
    void refuse(std::size_t refusals, Instant now);
    bool too_soon(const Slot& slot, Instant now, const Stamp& stamp) const;
    static bool lower(const Slot& slot);
    Instant earliest(const Slot& slot) const;
    void check(Slot& slot, Instant now, const Stamp& newest);
    void stop_waiting(Slot& slot);
    static bool behind(const Slot& slot, int periods, Instant now);

    std::vector<Slot> slots_;         // sized at construction
    std::vector<Refusals> refusals_;  // per rule, and a last one for ids on no list
    unsigned waiting_ = 0;            // slots with a waiting_since: mostly none, and then there is nothing to look at
    std::size_t in_hand_ = 0;
    bool has_in_hand_ = false;
    bool muted_ = false, slow_ = false, ever_sent_ = false;
    std::uint64_t order_ = 0;
    Instant retry_at_ = Instant::min();
    Instant last_success_{};
    std::optional<Instant> failing_since_;
    Instant last_failure_{};
    std::uint64_t refused_ = 0, dropped_ = 0, missed_ = 0, overtaken_ = 0;
};

using TxPort = BasicTxPort<CanFrame>;
using TelegramPort = BasicTxPort<Telegram>;  // the same for a serial line
extern template class BasicTxPort<CanFrame>;
extern template class BasicTxPort<Telegram>;

}  // namespace batgw
