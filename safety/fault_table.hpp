// Faults as they come, stay and go (SAFE-040 to SAFE-042, SAFE-045 to SAFE-047).
//
// A Detector turns an observed condition into "the fault is there": delay, distinct samples, hysteresis, hold. The FaultTable
// collects what is there, merges by id, device and detail, latches TRIP and EMERGENCY, and says what changed.
#pragma once

#include "model/fault.hpp"
#include "model/fixed_vector.hpp"
#include "model/time.hpp"
#include "model/verdict.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>

namespace batgw {

// What one look at a measured value says of one threshold.
struct Observation {
    bool known = false;         // every input is fresh. Unknown freezes the counters (SAFE-041) and keeps a fault that is there
    bool set = false;           // beyond the set threshold
    bool clear = false;         // beyond the clear threshold; never together with `set`
    std::uint32_t samples = 0;  // changes with every new sample of the inputs
};

struct Persistence {
    Duration delay{};      // the set condition must have held this long ...
    unsigned samples = 1;  // ... and have been seen on this many distinct samples
    Duration hold{};       // the clear condition must hold this long without a break
};
inline constexpr unsigned samples_to_block = 2, samples_to_trip = 3;  // SAFE-041

class Detector {
public:
    // To be called in every evaluation. True while the fault is there.
    bool update(const Observation& seen, const Persistence& rule, Instant now);
    bool active() const { return active_; }
    void reset() { *this = Detector{}; }

private:
    bool persisted(const Observation& seen, const Persistence& rule, Instant now);

    bool active_ = false;
    bool pending_ = false;    // the set condition holds, or held when it was last known
    Duration pending_for_{};  // known time only
    Instant looked_at_{};
    bool frozen_ = false;  // unknown when last looked at
    unsigned pending_samples_ = 0;
    std::uint32_t last_sample_ = 0;
    Held clearing_;
};

// What the faults together do: the most restrictive of each.
struct FaultEffect {
    FaultClass worst = FaultClass::none;
    Direction blocked = Direction::none;  // grants are zero
    bool blocks_all() const { return blocked == Direction::both; }
};

// Whose readings are fresh in this round: only they can show that a cause is gone (SAFE-045).
struct Evidence {
    bool battery = true, inverter = true;
};

class FaultTable {
public:
    // Of several packs: faults of a battery are those of this one, whoever reports them.
    void number_battery(std::uint8_t number) { battery_ = number; }
    // How long the cause of a latched fault must be gone before a reset (SAFE-045).
    void reset_after(Duration absent) { reset_absent_ = absent; }

    // One round per evaluation: report() whatever is there, then settle().
    // `hold`: the fault stays until it has not been reported for this long. `soft`: shown as BLOCK, but the grant is taken away
    // by other means (the ramp of SAFE-023).
    void report(const ActiveFault& reported, Duration hold = {}, bool soft = false);
    void settle(Instant now, const Evidence& evidence = {});

    // How long TOO_MANY_FAULTS stays after the last round in which something found no place.
    static constexpr Duration loss_hold = 30s;

    // Before settle(): what the round will come to with the reports so far.
    FaultEffect preview(Instant now) const;
    // After settle().
    const FaultEffect& effect() const { return effect_; }
    const Faults& faults() const { return faults_; }
    // The worst fault that takes `direction` away, the oldest of several; nothing when none does.
    const ActiveFault* blocking(Direction direction) const;
    // First BLOCK or worse since there was none; while there is none, the oldest DERATE.
    const std::optional<ActiveFault>& first_cause() const { return first_cause_; }

    struct Change {
        enum class What : std::uint8_t { set, cleared, level };
        What what{};
        ActiveFault fault;
        FaultClass before = FaultClass::none;
    };
    using Changes = FixedVector<Change, 2 * Faults::capacity()>;
    // Of the last round, in order.
    const Changes& changes() const { return changes_; }

    // Latches of an earlier run (SAFE-046). Takes effect with the next settle().
    void restore(const ActiveFault& fault);
    // A latched fault becomes one that goes by itself; whether it may is the caller's to know (reset_latches()).
    // True when it was latched.
    bool reset(const ActiveFault& fault);
    bool latched(FaultId id, Device device) const;
    bool any_latched() const;
    // What is known of a latched fault's cause.
    struct CauseNow {
        bool there = false;  // seen in the last round
        bool known = false;  // gone, as fresh readings show
        Duration gone{};     // for so long
    };
    CauseNow cause_of(const ActiveFault& fault, Instant now) const;
    Duration reset_absent() const { return reset_absent_; }

private:
    struct Entry {
        ActiveFault shown;     // level none: not announced yet
        ActiveFault reported;  // in this round
        bool seen = false;
        bool soft = false, reported_soft = false;
        Duration hold{}, reported_hold{};
        Held absent;  // not reported, or milder than shown
        bool cause_there = false;
        Held cause_gone;
    };
    void begin();
    Entry* find(const ActiveFault& fault);
    const Entry* find(const ActiveFault& fault) const;
    bool cause_seen(const Entry& entry) const;
    void follow_latch(Entry& entry, const Evidence& evidence, Instant now) const;
    Entry* make_room(const ActiveFault& fault);
    void report_loss();
    bool settle(Entry& entry, Instant now);
    void adopt(Entry& entry, Instant now);
    void note(Change::What what, const ActiveFault& fault, FaultClass before);
    void find_first_cause();
    static void add(FaultEffect& effect, const ActiveFault& fault, bool soft);

    FixedVector<Entry, Faults::capacity()> entries_;
    Faults faults_;
    FaultEffect effect_;
    Duration reset_absent_ = 60s;
    std::uint8_t battery_ = 0;            // 0: as reported
    FaultEffect overflow_;                // of reports for which there was no room
    FaultClass lost_ = FaultClass::none;  // the worst of what found no place or lost it
    std::optional<ActiveFault> first_cause_;
    bool in_chain_ = false;
    Changes changes_;
    bool told_ = false;  // the changes are those of a finished round
};

}  // namespace batgw
