// From limits to a grant: the minimum of all, what is blocked, and how fast it may rise (SAFE-070, SAFE-074, SAFE-090 to
// SAFE-094).
#pragma once

#include "model/time.hpp"
#include "model/units.hpp"
#include "model/verdict.hpp"

#include <optional>

namespace batgw {

// A limit that can only be lowered, and who lowered it last.
struct Ceiling {
    Power power{};
    Cause by = Cause::config;
    void lower(Power limit, Cause cause)
    {
        if (limit < Power{}) limit = Power{};
        if (limit < power) {
            power = limit;
            by = cause;
        }
    }
};

// A limit over time: down at once; up only after it has stood higher for `settle`, and then with a slope.
class GrantRamp {
public:
    struct Input {
        Ceiling limit;
        std::optional<Cause> blocked;  // nothing at all, because of this
        std::optional<Instant> fades;  // a measurement was lost: down to nothing, linearly, from then on
        Duration fade_time{};
        Power rise_per_second{};
        Duration settle{};
        Power least{};  // from nothing it rises only where at least this is possible
    };
    // Of a blocked direction `limit` still counts for `settle`: the end of a block does not begin the waiting anew.
    Ceiling update(const Input& in, Instant now);

private:
    Power granted_{};
    Power rise_from_{};  // the slope starts here
    std::optional<Instant> rise_at_;
    Held settled_;
    std::optional<Power> fade_from_;
};

}  // namespace batgw
