// The two clocks a bus needs: monotonic for everything, wall only because the kernel stamps frames with it (SAFE-230, SAFE-232).
#pragma once

#include "model/time.hpp"

#include <chrono>

namespace batgw {

class BusClock {
public:
    virtual ~BusClock() = default;
    virtual Instant monotonic() = 0;
    virtual std::chrono::nanoseconds wall() = 0;  // since 1970; may jump
};

// The machine's.
BusClock& system_clocks();

// Time for which the machine was suspended since it started, by the two clocks that count it and do not.
Duration suspended_so_far();

struct Received {
    Instant at{};
    bool trusted = false;  // false: there was no usable stamp and `at` is when the frame was read
};

// When a frame that carries the wall-clock stamp `stamp` was received, both clocks having been read after it. A stamp from the
// future or more than 10 s old means that the wall clock was set in between.
constexpr Received reception(std::chrono::nanoseconds stamp, std::chrono::nanoseconds wall, Instant now)
{
    const auto age = wall - stamp;
    if (age < std::chrono::nanoseconds{0} || age > 10s) return {now, false};
    return {now - std::chrono::duration_cast<Duration>(age), true};
}

}  // namespace batgw
