// When to restart a controller that went bus-off (SAFE-262).
#pragma once

#include "model/time.hpp"

#include <algorithm>

namespace batgw::bus {

class RestartBackoff {
public:
    static constexpr Duration first = 100ms;
    static constexpr Duration longest = 5s;
    static constexpr Duration calm = 60s;  // without bus-off, and the story is over

    // The controller went bus-off: how long to wait.
    Duration bus_off(Instant now)
    {
        if (!in_story_ || (!off_ && now - since_ >= calm)) {
            delay_ = first;
            count_ = 0;
        } else
            delay_ = std::min(2 * delay_, longest);
        in_story_ = true;
        off_ = true;
        ++count_;
        return delay_;
    }
    // A restart was tried and the controller is still off: how long to wait before the next.
    Duration still_off() { return delay_ = std::min(2 * delay_, longest); }
    void recovered(Instant now)
    {
        if (off_) since_ = now;
        off_ = false;
    }
    // True once, when the story has ended.
    bool calmed(Instant now)
    {
        if (!in_story_ || off_ || now - since_ < calm) return false;
        in_story_ = false;
        return true;
    }
    unsigned count() const { return count_; }  // bus-offs of this story

private:
    Duration delay_{};
    Instant since_{};
    unsigned count_ = 0;
    bool in_story_ = false, off_ = false;
};

}  // namespace batgw::bus
