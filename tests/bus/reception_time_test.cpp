#include "bus/socketcan.hpp"
#include "tests/bus/bus_fixture.hpp"

#include <thread>

using namespace batgw;
using namespace batgw::test;

namespace {

constexpr Instant now{3h};
constexpr std::chrono::nanoseconds wall{1'700'000'000s};

}  // namespace

TEST_CASE("a frame's age is what passed on the wall clock since the kernel stamped it")
{
    // SAFE-232
    CHECK(reception(wall, wall, now).at == now);
    CHECK(reception(wall - 1500us, wall, now).at == now - 1500us);
    CHECK(reception(wall - 10s, wall, now).at == now - 10s);
    CHECK(reception(wall - 10s, wall, now).trusted);
}

TEST_CASE("an impossible stamp is replaced by the time of reading")
{
    // SAFE-232
    for (const auto stamp : {wall + 1ns, wall + 24h, wall - 10s - 1ns, wall - 24h * 3650, std::chrono::nanoseconds{0}}) {
        const Received r = reception(stamp, wall, now);
        CHECK(r.at == now);
        CHECK_FALSE(r.trusted);
    }
}

TEST_CASE("frames that waited in the queue are as old as their wait")
{
    // SAFE-232
    Loop loop;
    Wire wire;
    Listener listener;
    bus::FdBus port{loop.base, wire.here.release(), listener};
    const Instant before = monotonic_now();
    REQUIRE(wire.put(raw(0x100, {1})));
    const Instant after = monotonic_now();
    std::this_thread::sleep_for(120ms);  // the loop stands still
    loop.settle();
    REQUIRE(listener.heard.size() == 1);
    CHECK(port.status().counters.no_time == 0);
    // A millisecond for the kernel's coarser moments and for a clock that is being slewed.
    CHECK(listener.heard[0].received >= before - 1ms);
    CHECK(listener.heard[0].received <= after + 1ms);
    CHECK(listener.heard[0].now - listener.heard[0].received >= 110ms);
}

TEST_CASE("a wall clock that is set while frames wait makes no frame younger than read and none older than ten seconds")
{
    // SAFE-230
    // SAFE-232
    class Stepped : public BusClock {
    public:
        Instant monotonic() override { return monotonic_now(); }
        std::chrono::nanoseconds wall() override { return system_clocks().wall() + step; }
        std::chrono::nanoseconds step{0};
    };
    for (const std::chrono::nanoseconds step : {std::chrono::nanoseconds{10 * 365 * 24h},
             -std::chrono::nanoseconds{10 * 365 * 24h}, std::chrono::nanoseconds{1h}, -std::chrono::nanoseconds{1h}}) {
        Loop loop;
        Wire wire;
        Listener listener;
        Stepped clock;
        bus::FdBus port{loop.base, wire.here.release(), listener, clock};
        REQUIRE(wire.put(raw(0x100, {1})));
        clock.step = step;
        loop.settle();
        REQUIRE(listener.heard.size() == 1);
        CHECK(listener.heard[0].received == listener.heard[0].now);
        CHECK(port.status().counters.no_time == 1);
    }
}
