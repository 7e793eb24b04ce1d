// Starts that followed no orderly stop, and when they are too many (SAFE-215, SAFE-216). Counted without the wall clock, which
// may be unset or jump: the time between two starts is that of the host's own clock, and where the host itself was restarted
// in between, at least what that clock shows now. A run that lasted for the whole window clears the count, so that what is not
// known of the time between two boots cannot add up over months.
#pragma once

#include "model/config.hpp"
#include "model/fixed_vector.hpp"
#include "model/text.hpp"
#include "model/time.hpp"

#include <cstddef>
#include <optional>

namespace batgw {

// A moment that means something to the next run: which boot of the host, and how long that has been up.
struct BootMoment {
    Text<40> boot;
    Duration up{};
};

// What one run leaves to the next.
struct StartRecord {
    bool running = false;  // no orderly stop yet
    BootMoment started;
    FixedVector<Duration, 21> unclean;  // one more than the bound of crash_loop.count: how long before `started`, newest first
};

struct StartOutcome {
    StartRecord record;       // to be written before anything else is done
    bool unclean = false;     // UNCLEAN_START
    bool crash_loop = false;  // RESTART_LOOP
};

// `before`: empty when there is none.
StartOutcome start_after(
    const std::optional<StartRecord>& before, const BootMoment& now, const SafetyConfig::Process::CrashLoop& rule);

}  // namespace batgw
