// The two clocks of one moment. Every interval uses the monotonic one; the wall clock is only ever shown.
#pragma once

#include "model/time.hpp"

#include <cstdint>
#include <string>

namespace batgw::mqtt {

struct Moment {
    Instant now{};
    std::int64_t wall_ms = 0;  // milliseconds since 1970 at `now`, as the system believes

    // What the wall clock shows for another instant.
    std::int64_t wall_at(Instant when) const
    {
        return wall_ms - std::chrono::duration_cast<std::chrono::milliseconds>(now - when).count();
    }
};

// "2026-03-01T08:15:30.120Z"
std::string utc_text(std::int64_t wall_ms);

}  // namespace batgw::mqtt
