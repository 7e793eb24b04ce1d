// Whether contactors opened that were told to (SAFE-156), and whether they are open before the first closing (SAFE-143).
#pragma once

#include "model/config.hpp"
#include "model/time.hpp"
#include "safety/fault_table.hpp"
#include "safety/precharge.hpp"

#include <cstdint>
#include <optional>

namespace batgw {

class WeldCheck {
public:
    using Rules = SafetyConfig::Contactors;
    // What is seen now. Whoever latches it is somebody else.
    enum class Finding : std::uint8_t {
        pending,       // outputs are off, nothing proven yet
        open,          // as far as there is anything to see
        undetermined,  // the link stays up, but the inverter may hold it
        suspected,
        confirmed
    };
    struct Contacts {
        bool wired = false;       // there is an auxiliary contact
        bool fresh = false;       // and its reading is
        bool any_closed = false;  // one of them reads closed
    };

    // The process has just started: what the outputs were before is not known.
    void begin_at_start(Instant now) { begin(now, false, true); }
    // Outputs have just gone off. `connected`: the link hung on the pack, or nearly so.
    void begin_after_opening(Instant now, bool connected) { begin(now, connected, false); }

    // To be called in every evaluation while the outputs are off.
    Finding update(const Rules& rules, const Contacts& contacts, const BoxMeasurements& m, Instant now);
    Finding finding() const { return finding_; }

    static constexpr Duration open_before_first = 500ms;            // SAFE-143
    static constexpr Duration first_limit = 2s;                     // a chattering contact is no open one
    static constexpr Percent follows = 3_pct;                       // SAFE-156 (a)
    static constexpr Duration follows_for = 60s, current_for = 1s;  // (a), (d)

private:
    void begin(Instant now, bool connected, bool first);
    bool stuck_closed(const Rules& rules, const Contacts& contacts, Instant now);
    Finding by_contacts(const Rules& rules, const Contacts& contacts, Instant now);
    Finding by_decay(const Rules& rules, const BoxMeasurements& m, Instant now);

    Finding finding_ = Finding::pending;
    Instant off_at_{};
    bool connected_ = false, first_ = true;
    bool link_seen_ = false;  // ever: there is a measurement of the link
    bool decayed_ = false;
    Held open_, closed_, following_;
    Detector flowing_;
    std::uint32_t current_samples_ = 0;
    Instant current_seen_{};
};

// SAFE-156 (e): contactors inside the pack are said to be open, and yet the voltage on the inverter's side stays that of the
// pack.
class FollowsPack {
public:
    // In every evaluation. `open`, `closed`: by fresh feedback; neither is unknown.
    bool update(bool open, bool closed, const BoxMeasurements& m, Duration hold, Instant now);

    static constexpr Duration for_so_long = 600s;

private:
    Detector detector_;
    std::uint32_t samples_ = 0;
    Instant seen_{};
};

}  // namespace batgw
