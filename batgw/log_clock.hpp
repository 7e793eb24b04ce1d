// Times as logs tell them, made fit for drivers: never backwards, no gap of years.
#pragma once

#include "model/time.hpp"

#include <algorithm>
#include <cstdint>
#include <optional>

namespace batgw {

// Of one log: its times as a time that never falls.
class SteadyStamps {
public:
    // `delta`: stamps count from the line before (candump -t d).
    explicit SteadyStamps(bool delta) : delta_{delta} {}
    // Microseconds; `jumped` tells of a step back of more than a second, whose size is `back_us`. From there on the log's own
    // distances count.
    struct Step {
        std::int64_t at_us;
        bool jumped;
        std::int64_t back_us;
    };
    Step take(std::int64_t stamp_us)
    {
        if (delta_) {
            last_ = std::min(last_ + stamp_us, latest_us);
            return {last_, false, 0};
        }
        std::int64_t at = std::min(stamp_us + shift_, latest_us);
        if (started_ && at < last_) {
            const std::int64_t back = last_ - at;
            if (back > slack_us) {
                shift_ += back;
                return {last_, true, back};
            }
            at = last_;  // two interfaces in one log may be a little out of order
            ++slips_;
        }
        started_ = true;
        last_ = at;
        return {at, false, 0};
    }
    std::int64_t last() const { return last_; }
    std::uint64_t slips() const { return slips_; }  // steps back of at most a second
    static constexpr std::int64_t slack_us = 1'000'000;
    static constexpr std::int64_t latest_us = 4'000'000'000'000'000'000;  // whatever a log says: nothing overflows

private:
    bool delta_;
    bool started_ = false;
    std::int64_t last_ = 0, shift_ = 0;
    std::uint64_t slips_ = 0;
};

// The time of the machine that drivers live in while a log is played to them.
class PlayedTime {
public:
    explicit PlayedTime(Duration longest_gap) : longest_gap_{longest_gap} {}
    // `at_us` never falls. `cut`: what of a gap was left out, else zero.
    struct Step {
        Instant now;
        Duration cut;
    };
    Step take(std::int64_t at_us)
    {
        Duration cut{};
        if (!origin_us_) {
            origin_us_ = at_us;
        } else if (const Duration gap = std::chrono::microseconds{at_us} - std::chrono::microseconds{last_us_};
                   gap > longest_gap_) {
            cut = gap - longest_gap_;
            cut_ += cut;
        }
        last_us_ = at_us;
        now_ = start + (std::chrono::microseconds{at_us - *origin_us_} - cut_);
        return {now_, cut};
    }
    Instant now() const { return now_; }
    // An instant of it in the time of the log.
    std::int64_t stamp(Instant when) const { return origin_us_.value_or(0) + (when - start + cut_).count(); }

    static constexpr Instant start{std::chrono::hours{1}};

private:
    Duration longest_gap_;
    std::optional<std::int64_t> origin_us_;
    std::int64_t last_us_ = 0;
    Duration cut_{};
    Instant now_ = start;
};

}  // namespace batgw
