#include "safety/acknowledger.hpp"

#include <doctest/doctest.h>

using namespace batgw;

namespace {

constexpr Instant t0{Duration{12'345'678'901}};

// A bus over time.
struct AloneBus {
    AloneBus() { status.state = BusState::active; }
    BusStatus status;
    Acknowledger watch;
    Instant now = t0;
    void step(Duration by)
    {
        now += by;
        watch.update(status, now);
    }
    // Every 100 ms for so long, each time with one complaint of the controller.
    void complain(Duration time)
    {
        for (const Instant end = now + time; now < end;) {
            ++status.counters.no_ack;
            step(100ms);
        }
    }
    void passive(std::uint8_t tx_errors = 128)
    {
        status.state = BusState::passive;
        status.tx_errors = tx_errors;
    }
};

}  // namespace

TEST_CASE("acknowledger: missing acknowledgements are a doubt at once, and nobody there after two seconds of them")
{
    // SAFE-264
    AloneBus b;
    b.step(0s);
    CHECK_FALSE(b.watch.doubtful());
    b.complain(2s);
    CHECK(b.watch.doubtful());
    CHECK_FALSE(b.watch.missing());
    b.complain(100ms);
    CHECK(b.watch.missing());
    // One message a second, each complained about: still nobody.
    for (int i = 0; i < 60; ++i) {
        ++b.status.counters.sent;
        ++b.status.counters.no_ack;
        b.step(1s);
        REQUIRE(b.watch.missing());
    }
}

TEST_CASE("acknowledger: a controller that stays passive with 128 transmit errors is alone, one that hears badly is not")
{
    // SAFE-264: many drivers report no single bus error, only the state and the counters.
    AloneBus alone;
    alone.passive();
    for (int i = 0; i < 20; ++i) {
        alone.step(100ms);
        REQUIRE(alone.watch.doubtful());
        REQUIRE_FALSE(alone.watch.missing());
    }
    alone.step(100ms);
    CHECK(alone.watch.missing());

    AloneBus hears_badly;
    hears_badly.passive(127);
    hears_badly.status.rx_errors = 135;
    for (int i = 0; i < 100; ++i) hears_badly.step(100ms);
    CHECK_FALSE(hears_badly.watch.doubtful());
}

TEST_CASE("acknowledger: somebody is there with the first received frame and with the first recovery of the controller")
{
    // SAFE-264
    AloneBus heard;
    heard.complain(3s);
    REQUIRE(heard.watch.missing());
    ++heard.status.counters.received;
    heard.step(1ms);
    CHECK_FALSE(heard.watch.missing());
    CHECK_FALSE(heard.watch.doubtful());
    // And alone again with the next two seconds.
    heard.complain(2s);
    CHECK_FALSE(heard.watch.missing());
    heard.complain(100ms);
    CHECK(heard.watch.missing());

    // Each acknowledged frame takes one from the counter: 127 is below the bound.
    AloneBus recovered;
    recovered.passive();
    for (int i = 0; i < 30; ++i) recovered.step(100ms);
    REQUIRE(recovered.watch.missing());
    recovered.status.state = BusState::warning;
    recovered.status.tx_errors = 127;
    recovered.step(1ms);
    CHECK_FALSE(recovered.watch.missing());
}

TEST_CASE("acknowledger: complaints now and then among received frames are no loneliness")
{
    // SAFE-264
    AloneBus b;
    for (int i = 0; i < 600; ++i) {
        ++b.status.counters.no_ack;
        if (i % 15 == 0) ++b.status.counters.received;
        b.step(100ms);
        REQUIRE_FALSE(b.watch.missing());
    }
    // Apart by more than the calm that ends a doubt.
    AloneBus rare;
    for (int i = 0; i < 20; ++i) {
        rare.complain(100ms);
        rare.step(3001ms);
        REQUIRE_FALSE(rare.watch.doubtful());
    }
}

TEST_CASE("acknowledger: frames that go out without complaint are a sign of life, silence of our own is none")
{
    // SAFE-264
    AloneBus b;
    b.complain(3s);
    REQUIRE(b.watch.missing());
    b.step(60s);
    CHECK(b.watch.missing());
    ++b.status.counters.sent;
    b.step(1s);
    CHECK(b.watch.missing());
    ++b.status.counters.sent;
    b.step(1s);
    CHECK_FALSE(b.watch.missing());
}

TEST_CASE("acknowledger: a bus that is off, down or away is another matter")
{
    // SAFE-264
    for (const BusState state : {BusState::bus_off, BusState::stopped, BusState::missing}) {
        AloneBus b;
        b.complain(3s);
        REQUIRE(b.watch.missing());
        b.status.state = state;
        b.step(1ms);
        CHECK_FALSE(b.watch.missing());
        b.complain(5s);
        CHECK_FALSE(b.watch.doubtful());
    }
}

TEST_CASE("acknowledger: one complaint is a doubt for three seconds, to the end of them, and the first of all counts")
{
    // SAFE-264
    AloneBus b;
    b.status.counters.no_ack = 1;
    b.step(0s);
    CHECK(b.watch.doubtful());
    b.step(3s);
    CHECK(b.watch.doubtful());
    b.step(1us);
    CHECK_FALSE(b.watch.doubtful());
    // A frame that came with it says that somebody is there.
    AloneBus heard;
    heard.status.counters.no_ack = heard.status.counters.received = 1;
    heard.step(0s);
    CHECK_FALSE(heard.watch.doubtful());
}

TEST_CASE("acknowledger: of the frames that went out only those after the last complaint are a sign of life")
{
    // SAFE-264
    AloneBus b;
    b.status.counters.sent = 1000;
    b.complain(3s);
    REQUIRE(b.watch.missing());
    b.step(10s);
    CHECK(b.watch.missing());
    b.status.counters.sent = 1001;
    b.step(1s);
    CHECK(b.watch.missing());
    b.status.counters.sent = 1002;
    b.step(1s);
    CHECK_FALSE(b.watch.missing());
}
