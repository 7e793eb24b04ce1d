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

// What one direction's offer depends on. The default is nothing to be offered (SAFE-003).
struct Offer {
    bool stopping = true;          // an orderly stop was asked for
    bool battery_alive = false;    // there is a battery, and its link is alive
    bool signals_there = false;    // none is lost that this direction needs
    bool battery_ready = false;    // its data have been valid for long enough (SAFE-250)
    std::optional<Cause> fault{};  // the worst that is listed takes the direction away, with this cause
    bool blocked = true;           // a fault takes it away, listed or not
    bool identity_known = false;
    bool contactors_carry = false;  // see carries_power()
    bool link_blocks = true;        // the inverter's silence takes both directions away
    bool started = false;           // SAFE-250 has once been completed
    bool ignored = true;            // the inverter goes on although it was told to stop (SAFE-113)
    bool listening = false;         // the inverter is told limits, or nobody is to tell them
};
// The first reason for which nothing is offered, in the order in which a person would look.
std::optional<Cause> nothing_because(const Offer& offer);

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
