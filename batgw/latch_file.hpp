// The record of faults that stay (SAFE-044, SAFE-046) and of how runs ended (SAFE-215, SAFE-216), as files of the state
// directory.
#pragma once

#include "model/fault.hpp"
#include "model/time.hpp"
#include "safety/starts.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace batgw {

inline constexpr std::string_view latch_file = "latches";
inline constexpr std::string_view start_file = "run";

// One instant on both clocks: the core's, and the wall's in milliseconds since 1970.
struct BothClocks {
    Instant monotonic{};
    std::int64_t wall_ms = 0;
};
BothClocks both_clocks();
// Which boot of the host this is, and for how long it has been up.
BootMoment this_boot();

struct RestoredLatches {
    std::vector<ActiveFault> latches;  // oldest first. `since` and `last` on this run's clock, not later than now
    std::string note;                  // for the log; empty: nothing to say
    bool damaged = false;              // there was a record that is not understood: LATCH_STORE
    bool missing = false;              // there was none
};
// A record that is not understood stays where it is until the next one replaces it; a copy is kept as "latches.damaged".
RestoredLatches restore_latches(const std::string& directory, const BothClocks& now);
// What restore_latches() reads, of the latched ones among `faults`.
std::string latches_text(std::span<const ActiveFault> faults, const BothClocks& now);
// Changes when the record is to be written again.
std::string latches_signature(std::span<const ActiveFault> faults);
// LATCH_STORE, RESTART_LOOP as found at start.
ActiveFault found_at_start(FaultId id);

struct RestoredStart {
    std::optional<StartRecord> record;  // empty: there was none
    std::string note;
};
// A record that is not understood counts as one unclean end.
RestoredStart restore_start(const std::string& directory);
std::string start_text(const StartRecord& record);

}  // namespace batgw
