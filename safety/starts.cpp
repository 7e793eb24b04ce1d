#include "safety/starts.hpp"

#include <algorithm>

namespace batgw {
namespace {

Duration between(const BootMoment& before, const BootMoment& now)
{
    const bool same_boot = before.boot == now.boot && before.up <= now.up;
    return std::max(same_boot ? now.up - before.up : now.up, Duration{});
}

}  // namespace

StartOutcome start_after(
    const std::optional<StartRecord>& before, const BootMoment& now, const SafetyConfig::Process::CrashLoop& rule)
{
    StartOutcome outcome;
    outcome.record.running = true;
    outcome.record.started = now;
    if (!before) return outcome;
    auto& recent = outcome.record.unclean;
    outcome.unclean = before->running;
    if (outcome.unclean) recent.push_back(Duration{});
    const Duration passed = between(before->started, now);
    for (const Duration ago : before->unclean)
        if (ago >= Duration{} && passed <= rule.window && ago <= rule.window - passed) recent.push_back(ago + passed);
    outcome.crash_loop = outcome.unclean && recent.size() > rule.count;
    return outcome;
}

}  // namespace batgw
