#include "bus/clock.hpp"

#include "bus/bus.hpp"

#include <time.h>

namespace batgw {
namespace {

std::chrono::nanoseconds read(clockid_t which)
{
    timespec t{};
    clock_gettime(which, &t);
    return std::chrono::seconds{t.tv_sec} + std::chrono::nanoseconds{t.tv_nsec};
}

class SystemClocks final : public BusClock {
public:
    Instant monotonic() override { return monotonic_now(); }
    std::chrono::nanoseconds wall() override { return read(CLOCK_REALTIME); }
};

}  // namespace

Instant monotonic_now() { return Instant{std::chrono::duration_cast<Duration>(read(CLOCK_MONOTONIC))}; }

Duration suspended_so_far() { return std::chrono::duration_cast<Duration>(read(CLOCK_BOOTTIME) - read(CLOCK_MONOTONIC)); }

BusClock& system_clocks()
{
    static SystemClocks clocks;  // has no state
    return clocks;
}

}  // namespace batgw
