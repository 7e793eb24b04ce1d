// Monotonic time as a value: the core never reads a clock, it is told the time.
#pragma once

#include <chrono>

namespace batgw {

using namespace std::chrono_literals;

// CLOCK_MONOTONIC, microseconds (SAFE-230).
using Instant = std::chrono::time_point<std::chrono::steady_clock, std::chrono::microseconds>;
using Duration = Instant::duration;

inline constexpr Instant end_of_time = Instant::max();
inline constexpr Duration for_ever = Duration::max();

// `when` may be `end_of_time`.
constexpr Instant after(Instant when, Duration delay) { return delay >= end_of_time - when ? end_of_time : when + delay; }

// A periodic job, in virtual or real time alike. Beats keep their phase; beats slept through are not caught up.
class Every {
public:
    explicit constexpr Every(Duration period) : period_{period} {}

    // The first call starts the beat: it is due at once.
    constexpr bool due(Instant now)
    {
        if (started_ && now < next_) return false;
        next_ = started_ ? next_ + period_ : now + period_;
        if (next_ <= now) next_ = now + period_;
        started_ = true;
        return true;
    }
    constexpr Instant next() const { return started_ ? next_ : Instant::min(); }
    constexpr void restart(Instant now)
    {
        started_ = true;
        next_ = now + period_;
    }                                             // next beat one period from now
    constexpr void reset() { started_ = false; }  // due at once when next asked
    constexpr Duration period() const { return period_; }

private:
    Duration period_;
    Instant next_{};
    bool started_ = false;
};

// How long a condition has held without a break. Ask once per evaluation.
class Held {
public:
    constexpr Duration update(bool condition, Instant now)
    {
        if (!condition)
            since_ = end_of_time;
        else if (since_ == end_of_time)
            since_ = now;
        return elapsed(now);
    }
    constexpr bool for_at_least(bool condition, Duration time, Instant now)
    {
        const Duration held = update(condition, now);
        return condition && held >= time;
    }
    constexpr Duration elapsed(Instant now) const { return since_ == end_of_time ? Duration{0} : now - since_; }
    constexpr bool running() const { return since_ != end_of_time; }
    constexpr Instant since() const { return since_; }
    constexpr void reset() { since_ = end_of_time; }

private:
    Instant since_ = end_of_time;
};

}  // namespace batgw
