// What comes too often (SAFE-043). A BLOCK that sets again and again becomes a TRIP of its own, "<id>_REPEAT", that a person has
// to look at. Limits of ordinary operation and trouble on the line only warn.
#pragma once

#include "model/config.hpp"
#include "model/fault.hpp"
#include "model/fixed_vector.hpp"
#include "model/time.hpp"
#include "safety/fault_table.hpp"

#include <array>
#include <cstddef>

namespace batgw {

// Whether repeated BLOCKs of this kind only warn.
bool only_warns_when_repeated(FaultId id);

class Escalation {
public:
    // After FaultTable::settle(): counts what set as BLOCK in that round. Faults are told apart as they are shown, detail and
    // all.
    void follow(const FaultTable& faults, const SafetyConfig::Escalation& rule, Instant now);
    // Before settle(): reports what came too often. A TRIP once, as it latches; a warning for as long as it is so.
    void report(FaultTable& faults, const SafetyConfig::Escalation& rule, Instant now);

    static constexpr std::size_t most = 20;  // bound of escalation.count
    // More than are ever listed at a time; the one that is quiet for longest makes room.
    static constexpr std::size_t watched = 64;

private:
    struct History {
        ActiveFault fault;
        std::array<Instant, most> times{};
        std::size_t next = 0, count = 0;
        bool trip = false;
        Instant newest() const { return times[(next + most - 1) % most]; }
        void add(Instant at);
        std::size_t within(Duration window, Instant now) const;
    };
    History& history(const ActiveFault& fault);

    FixedVector<History, watched> histories_;
};

}  // namespace batgw
