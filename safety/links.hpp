// Whether battery and inverter are there: time lines of their loss and return (SAFE-170, SAFE-180 to 183).
#pragma once

#include "model/config.hpp"
#include "model/time.hpp"

#include <array>
#include <cstddef>
#include <optional>

namespace batgw {

// SAFE-170.
class BatteryLink {
public:
    explicit BatteryLink(Instant started) : started_{started} {}

    struct Result {
        bool alive = false;  // heard, and not lost
        bool lost = false;   // BAT_LINK_LOST (BLOCK) is there: its 30 s hold begins when this ends
        bool missing =
            false;          // never heard, for as long: worth telling (WARN), but nothing was lost and there is nothing to hold
        bool open = false;  // contactors of ours open now; never for a battery that has not spoken yet
        Duration age = for_ever;  // of the last valid frame of the alive set
    };
    // `data_fresh`: all required signals are fresh. `bus_dead`: nothing could be sent for 10 s (SAFE-263).
    Result update(std::optional<Instant> heard, bool data_fresh, bool bus_dead, const SafetyConfig& config, Instant now);

    static constexpr Duration return_time = 5s;

private:
    Instant started_;
    bool lost_ = false;
    Held fresh_;
};

// SAFE-180, SAFE-181.
class InverterLink {
public:
    explicit InverterLink(Instant started) : started_{started} {}

    struct Result {
        bool alive = false;     // a valid frame within the time-out
        bool lost = false;      // INV_LINK_LOST: none for the time-out, from start on if there never was one
        bool blocks = false;    // grants are zero for it: not alive, and the check is not information only
        bool open = false;      // contactors of ours open now
        bool returned = false;  // true in the one evaluation in which it came back
        Duration age = for_ever;
    };
    Result update(std::optional<Instant> heard, bool bus_dead, const SafetyConfig::InverterLink& config, Instant now);

private:
    Instant started_;
    bool lost_ = false, alive_ = false;
    Instant lost_at_{};
};

// SAFE-183. Contactors may close without an inverter, because the pack is what powers it.
class BlackStart {
public:
    struct Result {
        bool allowed = false;  // the inverter guard may be taken as met
        bool in_use = false;   // closed and no inverter has come yet: WARN
        bool open = false;     // it did not come
    };
    // `closed`: our contactors are closed. `inverter_alive`: from InverterLink.
    Result update(bool closed, bool inverter_alive, const SafetyConfig::InverterLink& config, Instant now);

    static constexpr Duration patience = 600s, pause = 1800s, day = 86400s;
    static constexpr std::size_t tries_per_day = 3;

private:
    std::size_t tries_today(Instant now) const;
    std::array<Instant, tries_per_day> tries_{};
    std::size_t tries_count_ = 0, next_ = 0;
    bool waiting_ = false, was_closed_ = false, gave_up_ = false, gave_up_now_ = false;
    Instant closed_at_{}, gave_up_at_{};
};

}  // namespace batgw
