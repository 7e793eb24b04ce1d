// Locked memory and a real-time priority for the thread that judges and moves frames (SAFE-218).
#pragma once

#include <functional>
#include <string>

namespace batgw {

// Above every ordinary program, below the kernel's own interrupt threads (50).
inline constexpr int realtime_priority = 10;
// A thread that does not pause for so long runs away: the kernel ends the program, and the service manager starts it anew. Before
// the watchdog would; a machine that nobody can log in to is no gain.
inline constexpr unsigned long realtime_cpu_limit_us = 1'000'000;

// The calls, to be replaced in tests. Each returns 0 or an errno.
struct RealtimeCalls {
    std::function<int()> lock_memory, limit_cpu, raise_priority;
};
RealtimeCalls realtime_calls();

// For the calling thread; memory for the whole process. Threads that are started afterwards are ordinary ones. The answer is what
// could not be had and what allows it; empty: all of it is in force. What could be had stays.
std::string become_realtime(const RealtimeCalls& calls = realtime_calls());

}  // namespace batgw
