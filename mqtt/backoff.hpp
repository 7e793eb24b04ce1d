// How long to wait before the next try (MQTT-061).
#pragma once

#include "model/time.hpp"

#include <algorithm>

namespace batgw::mqtt {

// 1 s, 2 s, 4 s ... up to `longest`, each +-20 %.
class Backoff {
public:
    explicit constexpr Backoff(Duration longest) : longest_{longest} {}
    // `chance`: 0 to 1, from a generator of the caller's.
    constexpr Duration next(double chance)
    {
        const Duration wait = std::min(next_, longest_);
        next_ = std::min(wait * 2, longest_);
        const auto share = static_cast<Duration::rep>(static_cast<double>(wait.count()) * 0.4 * std::clamp(chance, 0.0, 1.0));
        return wait - wait / 5 + Duration{share};
    }
    constexpr void reset() { next_ = shortest; }
    constexpr void set_longest(Duration longest) { longest_ = longest; }

    static constexpr Duration shortest = 1s;

private:
    Duration longest_;
    Duration next_ = shortest;
};

}  // namespace batgw::mqtt
