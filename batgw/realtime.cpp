#include "batgw/realtime.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string_view>

#include <sched.h>
#include <sys/mman.h>
#include <sys/resource.h>

namespace batgw {
namespace {

// Only without a limit: with one, the stack of a later thread may not fit in any more, and no stack means no thread.
int lock_memory()
{
    rlimit limit{};
    if (::getrlimit(RLIMIT_MEMLOCK, &limit) != 0) return errno;
    limit.rlim_cur = limit.rlim_max;
    if (limit.rlim_max != RLIM_INFINITY) return EPERM;
    if (::setrlimit(RLIMIT_MEMLOCK, &limit) != 0) return errno;
    // ONFAULT: what is used stays, what was only reserved takes no memory.
    return ::mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) == 0 ? 0 : errno;
}

int limit_cpu()
{
    rlimit limit{};
    if (::getrlimit(RLIMIT_RTTIME, &limit) != 0) return errno;
    limit.rlim_cur = limit.rlim_max = std::min<rlim_t>(limit.rlim_max, realtime_cpu_limit_us);
    return ::setrlimit(RLIMIT_RTTIME, &limit) == 0 ? 0 : errno;
}

int raise_priority()
{
    sched_param wanted{};
    wanted.sched_priority = realtime_priority;
    // 0: this thread. What it starts begins as an ordinary one again.
    return ::sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &wanted) == 0 ? 0 : errno;
}

}  // namespace

RealtimeCalls realtime_calls() { return {lock_memory, limit_cpu, raise_priority}; }

std::string become_realtime(const RealtimeCalls& calls)
{
    std::string missing;
    const auto add = [&](std::string_view what, int error, std::string_view allow) {
        missing += fmt::format("{}{} ({}; {})", missing.empty() ? "" : ", ", what, std::strerror(error), allow);
    };
    if (const int error = calls.lock_memory(); error != 0) add("memory is not locked", error, "LimitMEMLOCK=infinity");
    // Without its limit no priority.
    if (const int error = calls.limit_cpu(); error != 0)
        add("no real-time priority without a limit of its time", error, "SystemCallFilter=setrlimit");
    else if (const int refusal = calls.raise_priority(); refusal != 0)
        add("no real-time priority", refusal, "LimitRTPRIO=10, RestrictRealtime=no");
    return missing;
}

}  // namespace batgw
