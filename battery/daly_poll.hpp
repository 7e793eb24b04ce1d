// What a Daly board is asked, and when: one question at a time, each with its own beat, told when it is answered and when not.
// A board that has fallen silent is asked for its totals only, and slowly.
#pragma once

#include "model/time.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

namespace batgw::daly {

struct Topic {
    std::uint8_t command;
    Duration period;  // for_ever: once
    bool cyclic = true;
};

// Periods: what the ages of SAFE-021 need, in about 0.7 s of line time a second. Those asked once are in no document of the
// maker; no answer to them is normal. Capacity and limits come first: the facts of the pack wait for them.
inline constexpr std::array topics{Topic{0x90, 1s}, Topic{0x93, 1s}, Topic{0x98, 1s}, Topic{0x91, 2s}, Topic{0x92, 3s},
    Topic{0x94, 10s}, Topic{0x95, 5s}, Topic{0x96, 10s}, Topic{0x97, 10s}, Topic{0x50, for_ever, false},
    Topic{0x59, for_ever, false}, Topic{0x52, std::chrono::hours{1}, false}, Topic{0x51, for_ever, false},
    Topic{0x53, for_ever, false}, Topic{0x54, for_ever, false}, Topic{0x57, for_ever, false}};

constexpr std::optional<std::size_t> topic_of(std::uint32_t command)
{
    for (std::size_t i = 0; i < topics.size(); ++i)
        if (topics[i].command == command) return i;
    return std::nullopt;
}

class Poll {
public:
    static constexpr Duration pause = 50ms;           // silence before a question
    static constexpr Duration pause_at_most = 1s;     // on a line that is never silent
    static constexpr Duration wait = 500ms;           // for an answer
    static constexpr Duration wait_once = 300ms;      // for one that may well not come
    static constexpr Duration rest = 200ms;           // of an answer that has begun
    static constexpr Duration wait_at_most = 1200ms;  // whatever comes in
    static constexpr Duration again = 120ms;          // between two questions of one kind, at least
    static constexpr unsigned retries = 3;            // then its next beat
    static constexpr unsigned tries_to_give_up = 5;   // of a question never answered, while others are
    static constexpr Duration given_up = 60s, unanswered = 2s;
    static constexpr Duration offline_after = 10s;  // without totals
    static constexpr Duration slow = 5s;
    static constexpr Duration between_single = 500ms;  // of the questions asked once
    static constexpr unsigned tries_per_host = 1 + retries;

    // `second_host`: there is another address to try.
    explicit Poll(bool second_host) : second_host_{second_host} {}

    // What to ask now: an index of `topics`. Empty: nothing, or the line is busy. The caller sends it and says so.
    std::optional<std::size_t> next(Instant now) const;
    // Whether anything may be sent now, a question or an order.
    bool may_send(Instant now) const;
    void asked(std::size_t topic, Instant now);
    // An order of another kind was sent: it has the line until it is answered or the time is over.
    void ordered(std::uint8_t command, Instant now);

    // Bytes came in, of whatever kind.
    void heard(Instant at);
    // An answer that was of use, asked for or late. `done`: all of it is there.
    void answered(std::uint32_t command, bool done, Instant at);
    // Of the question under way: it came back to us; it came damaged or made no sense.
    void echoed() { echoed_ = true; }
    void damaged() { damaged_ = true; }

    // To be called at every tick, before anything else. The command whose question just ended without an answer.
    struct Ended {
        std::uint8_t command;
        bool damaged;
    };
    std::optional<Ended> expire(Instant now);

    // Ask again as soon as the line is free.
    void hurry(std::uint8_t command, Instant now);
    // Questions that make no sense yet are not asked.
    void allow(std::uint8_t command, bool on);
    void set_period(std::uint8_t command, Duration period);

    std::optional<std::uint8_t> under_way() const { return busy_ ? std::optional{busy_->command} : std::nullopt; }
    bool online(Instant now) const { return totals_at_ && now - *totals_at_ <= offline_after; }
    bool asleep() const { return echoes_ >= polls_to_sleep; }
    bool second_host() const { return use_second_; }
    // Never answered, though asked often enough, while the totals were.
    bool given_up_on(std::uint8_t command) const;
    // Answered, or will never be.
    bool settled(std::uint8_t command) const;
    std::optional<Instant> asked_at(std::uint8_t command) const;

private:
    static constexpr unsigned polls_to_sleep = 3;
    struct State {
        Duration period{};
        Instant due = Instant::min();
        std::optional<Instant> asked;
        unsigned failures = 0;  // in a row
        bool answered = false, allowed = true, done = false;
    };
    struct Busy {
        std::uint8_t command;
        std::optional<std::size_t> topic;
        Instant since;
        Duration wait;
        bool heard = false;
    };
    static std::array<State, topics.size()> first_states();
    void failed(std::size_t topic, Instant now);
    void probe_failed(State& state, Instant now);
    void plan_the_rest(Instant at);
    void end();

    std::array<State, topics.size()> states_ = first_states();
    std::optional<Busy> busy_;
    Instant free_since_{};  // when the line was last given free
    Instant last_byte_{};
    std::optional<Instant> totals_at_;
    bool second_host_, use_second_ = false;
    unsigned probes_ = 0;
    bool echoed_ = false, damaged_ = false;
    unsigned echoes_ = 0;
};

}  // namespace batgw::daly
