#include "bus/restart_backoff.hpp"

#include <doctest/doctest.h>

using namespace batgw;
using bus::RestartBackoff;

TEST_CASE("restarts after bus-off wait 0.1 s and twice as long each time, up to 5 s")
{
    // SAFE-262
    RestartBackoff b;
    Instant now{42h + 13us};
    for (const Duration expected : {100ms, 200ms, 400ms, 800ms, 1600ms, 3200ms, 5000ms, 5000ms}) {
        CHECK(b.bus_off(now) == expected);
        now += expected;
        b.recovered(now);
        now += 10s;
    }
    CHECK(b.count() == 8);
}

TEST_CASE("a minute without bus-off, and the next one starts over")
{
    // SAFE-262
    RestartBackoff b;
    Instant now{42h};
    CHECK(b.bus_off(now) == 100ms);
    b.recovered(now);
    now += 60s - 1us;
    CHECK_FALSE(b.calmed(now));
    CHECK(b.bus_off(now) == 200ms);
    b.recovered(now);
    now += 60s;
    CHECK(b.bus_off(now) == 100ms);
    CHECK(b.count() == 1);
    b.recovered(now);
    CHECK(b.calmed(now + 60s));
    CHECK_FALSE(b.calmed(now + 61s));  // told once
    CHECK(b.bus_off(now + 61s) == 100ms);
}

TEST_CASE("time spent in bus-off is no time without it")
{
    // SAFE-262
    RestartBackoff b;
    Instant now{42h};
    CHECK(b.bus_off(now) == 100ms);
    for (const Duration expected : {200ms, 400ms, 800ms, 1600ms, 3200ms, 5000ms, 5000ms}) CHECK(b.still_off() == expected);
    now += 90s;
    CHECK_FALSE(b.calmed(now));
    b.recovered(now);
    CHECK(b.bus_off(now + 1s) == 5s);
}
