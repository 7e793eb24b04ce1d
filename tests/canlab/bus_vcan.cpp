// The bus on the kernel's virtual CAN. All frames are made up.
#include "bus/link.hpp"
#include "tests/canlab/canlab_fixture.hpp"

#include <libsocketcan.h>

#include <array>
#include <cstdio>
#include <cwchar>

using namespace batgw;
using namespace batgw::test;

TEST_SUITE_BEGIN("vcan");

TEST_CASE("frames go both ways, and what this program sends is heard by every other program but not by itself")
{
    Loop loop;
    UnderTest t{loop, all_of("can0")};
    REQUIRE(t.bus->status().state == BusState::active);
    CHECK(t.bus->status().bitrate == 0);
    Peer peer{"can0"};
    REQUIRE(peer.send(raw(0x351, {1, 2, 3})));
    REQUIRE(peer.send(raw(0x18ff50e5U | CAN_EFF_FLAG, {9})));
    REQUIRE(t.hears(2));
    CHECK(t.listener.heard[0].frame == frame(0x351, {1, 2, 3}));
    CHECK(t.listener.heard[1].frame == frame(0x18ff50e5, {9}, true));
    CHECK(t.counters().no_time == 0);

    CHECK(t.bus->send(frame(0x110, {4, 5})) == Sent::yes);
    const auto got = peer.next(500);
    REQUIRE(got);
    CHECK(got->can_id == 0x110);
    CHECK(got->len == 2);
    loop.settle();
    CHECK(t.listener.heard.size() == 2);

    sh("cansend can0 123#AB");  // a process of its own
    REQUIRE(t.hears(3));
    CHECK(t.listener.heard[2].frame == frame(0x123, {0xab}));
    CHECK(t.log.count("can0: open, no bit rate of its own") == 1);
    CHECK(t.log.all.size() == 1);
}

TEST_CASE("the kernel delivers the ids of the driver and our own, not the same id in the other frame format, nor remote frames")
{
    // SAFE-265
    constexpr std::array<RxRule, 2> receives{{{0x151, false}, {0x91, true}}};
    constexpr std::array<TxRule, 1> sends{{{.id = 0x110}}};
    Loop loop;
    UnderTest t{loop, {.interface = "can0", .bitrate = {}, .receives = receives, .sends = sends}};
    Peer peer{"can0"};
    for (const std::uint32_t id : {0x151U | CAN_EFF_FLAG, 0x91U, 0x151U | CAN_RTR_FLAG, 0x152U, 0x110U | CAN_EFF_FLAG})
        REQUIRE(peer.send(raw(id, {})));
    REQUIRE(peer.send(raw(0x151, {1})));
    REQUIRE(peer.send(raw(0x91U | CAN_EFF_FLAG, {2})));
    // SAFE-185: our own id from somebody else is heard ...
    REQUIRE(peer.send(raw(0x110, {3})));
    REQUIRE(t.hears(3));
    loop.settle();
    REQUIRE(t.listener.heard.size() == 3);
    CHECK(t.listener.heard[0].frame == frame(0x151, {1}));
    CHECK(t.listener.heard[1].frame == frame(0x91, {2}, true));
    CHECK(t.listener.heard[2].frame == frame(0x110, {3}));
    CHECK(t.counters().not_data == 0);
    // ... from ourselves it is not.
    CHECK(t.bus->send(frame(0x110, {4})) == Sent::yes);
    REQUIRE(peer.next(500));
    loop.settle();
    CHECK(t.listener.heard.size() == 3);
}

TEST_CASE("a program that listens to everything refuses and counts remote frames")
{
    // SAFE-265
    Loop loop;
    UnderTest t{loop, all_of("can0")};
    Peer peer{"can0"};
    REQUIRE(peer.send(raw(0x151U | CAN_RTR_FLAG, {})));
    REQUIRE(peer.send(raw(0x151, {1})));
    REQUIRE(t.hears(1));
    CHECK(t.counters().not_data == 1);
    CHECK(t.counters().received == 1);
}

TEST_CASE("error frames are received, counted, and set the state; nothing is sent in bus-off")
{
    // SAFE-261
    // SAFE-262
    Loop loop;
    UnderTest t{loop, all_of("can0")};
    Peer peer{"can0"};
    REQUIRE(peer.send(raw(CAN_ERR_FLAG | CAN_ERR_CRTL, {0, CAN_ERR_CRTL_TX_WARNING, 0, 0, 0, 0, 97, 0})));
    REQUIRE(t.becomes(BusState::warning));
    REQUIRE(peer.send(raw(CAN_ERR_FLAG | CAN_ERR_CRTL, {0, CAN_ERR_CRTL_TX_PASSIVE, 0, 0, 0, 0, 128, 0})));
    REQUIRE(t.becomes(BusState::passive));
    CHECK(t.bus->status().tx_errors == 128);
    CHECK(t.bus->send(frame(0x110, {1})) == Sent::yes);
    REQUIRE(peer.send(raw(CAN_ERR_FLAG | CAN_ERR_LOSTARB, {3, 0, 0, 0, 0, 0, 0, 0})));
    REQUIRE(peer.send(raw(CAN_ERR_FLAG | CAN_ERR_ACK, {0, 0, 0, 0, 0, 0, 0, 0})));
    REQUIRE(peer.send(raw(CAN_ERR_FLAG | CAN_ERR_CRTL, {0, CAN_ERR_CRTL_RX_OVERFLOW, 0, 0, 0, 0, 0, 0})));
    REQUIRE(peer.send(raw(CAN_ERR_FLAG | CAN_ERR_BUSOFF, {0, 0, 0, 0, 0, 0, 0, 0})));
    REQUIRE(t.becomes(BusState::bus_off));
    CHECK(t.bus->send(frame(0x110, {2})) == Sent::down);
    // Longer than a look at the link takes: vcan has no controller that could contradict.
    loop.run_until([] { return false; }, 2500ms);
    CHECK(t.bus->status().state == BusState::bus_off);
    REQUIRE(peer.send(raw(CAN_ERR_FLAG | CAN_ERR_RESTARTED, {0, 0, 0, 0, 0, 0, 0, 0})));
    REQUIRE(t.becomes(BusState::active));
    CHECK(t.bus->send(frame(0x110, {3})) == Sent::yes);
    const BusCounters& c = t.counters();
    CHECK(c.error_warning == 1);
    CHECK(c.error_passive == 1);
    CHECK(c.arbitration_lost == 1);
    CHECK(c.no_ack == 1);
    CHECK(c.controller_overflow == 1);
    CHECK(c.bus_off == 1);
    CHECK(c.restarts == 1);
    // What the others got: never the frame of bus-off.
    REQUIRE(peer.next(500));
    const auto current = peer.next(500);
    REQUIRE(current);
    CHECK(current->data[0] == 3);
    CHECK_FALSE(peer.next(50));
    CHECK(t.log.count("bus-off; check wiring") == 1);
    CHECK(t.log.count("out of bus-off") == 1);
}

TEST_CASE("an interface that is taken down is noticed at once, and used again when it is up, with one line each")
{
    // SAFE-251
    Loop loop;
    UnderTest t{loop, all_of("can0")};
    REQUIRE(t.bus->status().state == BusState::active);
    sh("ip link set can0 down");
    const Instant down = monotonic_now();
    REQUIRE(t.becomes(BusState::stopped));
    MESSAGE("down noticed after ", ms(monotonic_now() - down), " ms");
    CHECK(monotonic_now() - down < 500ms);
    CHECK(t.bus->send(frame(0x110, {1})) == Sent::down);
    loop.run_until([] { return false; }, 2500ms);  // looks again
    sh("ip link set can0 up");
    const Instant up = monotonic_now();
    REQUIRE(t.becomes(BusState::active));
    MESSAGE("up noticed after ", ms(monotonic_now() - up), " ms");
    CHECK(monotonic_now() - up < 500ms);
    Peer peer{"can0"};
    REQUIRE(peer.send(raw(0x351, {1})));
    REQUIRE(t.hears(1));
    CHECK(t.bus->send(frame(0x110, {1})) == Sent::yes);
    CHECK(t.log.count("the interface is down") == 1);
    CHECK(t.log.count("open,") == 2);
    CHECK(t.log.all.size() == 3);
}

TEST_CASE("an interface that is deleted is missing at once, and used again when it is made anew")
{
    // SAFE-251
    Loop loop;
    UnderTest t{loop, all_of("can0")};
    for (int round = 0; round < 2; ++round) {
        sh("ip link del can0");
        REQUIRE(t.becomes(BusState::missing, 500ms));
        CHECK(t.bus->send(frame(0x110, {1})) == Sent::down);
        loop.run_until([] { return false; }, 2500ms);
        CHECK(t.bus->status().state == BusState::missing);
        sh("ip link add can0 type vcan && ip link set can0 up");
        REQUIRE(t.becomes(BusState::active, 500ms));
        Peer peer{"can0"};
        t.listener.heard.clear();
        REQUIRE(peer.send(raw(0x351, {1})));
        REQUIRE(t.hears(1));
        CHECK(t.bus->send(frame(0x110, {1})) == Sent::yes);
        REQUIRE(peer.next(500));
    }
    CHECK(t.log.count("there is no such interface") == 2);
    CHECK(t.log.count("open,") == 3);
}

TEST_CASE("an interface that appears after the start is used from then on")
{
    // SAFE-251
    Loop loop;
    UnderTest t{loop, all_of("can7")};
    CHECK(t.bus->status().state == BusState::missing);
    sh("ip link add can7 type vcan");
    REQUIRE(t.becomes(BusState::stopped, 500ms));
    sh("ip link set can7 up");
    REQUIRE(t.becomes(BusState::active, 500ms));
    sh("ip link del can7");
    REQUIRE(t.becomes(BusState::missing, 500ms));
}

TEST_CASE("vcan refuses a bit rate with EOPNOTSUPP, and a configured one is no fault there: the interface is brought up and used")
{
    std::fwide(stderr, -1);  // or libsocketcan's perror() spoils errno
    CHECK(can_set_bitrate("can1", 500000) != 0);
    CHECK(errno == EOPNOTSUPP);
    sh("ip link set can1 down");
    Loop loop;
    UnderTest t{loop, all_of("can1", 500000)};
    REQUIRE(t.becomes(BusState::active));
    CHECK(t.log.count("cannot") == 0);
    Peer peer{"can1"};
    CHECK(t.bus->send(frame(0x110, {1})) == Sent::yes);
    REQUIRE(peer.next(500));
}

TEST_CASE("without CAP_NET_ADMIN a link that is down is told by one line that names it, and used when somebody brings it up")
{
    sh("ip link set can1 down");
    Loop loop;
    std::optional<UnderTest> t;
    {
        const WithoutPermission poor;
        t.emplace(loop, all_of("can1", 500000));
        loop.run_until([] { return false; }, 2500ms);
        CHECK(t->bus->status().state == BusState::stopped);
        CHECK(t->log.count("can1: the interface is down, and bringing it up needs CAP_NET_ADMIN") == 1);
        CHECK(t->log.all.size() == 1);
    }
    sh("ip link set can1 up");
    REQUIRE(t->becomes(BusState::active, 500ms));
}

TEST_CASE("in observe mode everything is heard and nothing leaves")
{
    // SAFE-244
    Loop loop;
    BusSpec spec = all_of("can0");
    spec.listen_only = true;
    UnderTest t{loop, spec};
    REQUIRE(t.bus->status().state == BusState::active);
    Peer peer{"can0"};
    REQUIRE(peer.send(raw(0x351, {1})));
    REQUIRE(t.hears(1));
    for (int i = 0; i < 10; ++i) CHECK(t.bus->send(frame(0x110, {1})) == Sent::down);
    loop.settle();
    CHECK_FALSE(peer.next(100));
    CHECK(t.counters().sent == 0);
}

TEST_CASE("frames that waited in the kernel while the loop stood still carry the time at which they came")
{
    // SAFE-232
    Loop loop;
    UnderTest t{loop, all_of("can0")};
    Peer peer{"can0"};
    REQUIRE(peer.send(raw(0x351, {1})));
    std::this_thread::sleep_for(700ms);
    REQUIRE(peer.send(raw(0x351, {2})));
    REQUIRE(t.hears(2));
    CHECK(t.listener.heard[0].now - t.listener.heard[0].received > 600ms);
    CHECK(t.listener.heard[1].now - t.listener.heard[1].received < 300ms);
    CHECK(t.counters().no_time == 0);
}

TEST_CASE("setting the wall clock while frames wait makes them as old as the moment of reading")
{
    // SAFE-230
    // SAFE-232
    Loop loop;
    UnderTest t{loop, all_of("can0")};
    Peer peer{"can0"};
    timespec wall{};
    for (const long step_s : {3600L, -7200L, 3600L}) {
        REQUIRE(peer.send(raw(0x351, {1})));
        REQUIRE(clock_gettime(CLOCK_REALTIME, &wall) == 0);
        wall.tv_sec += step_s;
        REQUIRE(clock_settime(CLOCK_REALTIME, &wall) == 0);
        t.listener.heard.clear();
        REQUIRE(t.hears(1));
        CHECK(t.listener.heard[0].received == t.listener.heard[0].now);
    }
    CHECK(t.counters().no_time == 3);
}

TEST_CASE("frames that the kernel had to drop are counted")
{
    // SAFE-261
    Loop loop;
    UnderTest t{loop, all_of("can0")};
    Peer peer{"can0"};
    constexpr unsigned sent = 6000;
    const Instant begin = monotonic_now();
    for (unsigned i = 0; i < sent; ++i)
        while (!peer.send(raw(0x351, {static_cast<std::uint8_t>(i)}))) std::this_thread::yield();
    const Instant end = monotonic_now();
    // The kernel tells with the next frame that finds room.
    loop.run_until([&] { return t.counters().received > 0 && t.listener.heard.back().now > end + 50ms; }, 1s);
    REQUIRE(peer.send(raw(0x352, {})));
    REQUIRE(loop.run_until([&] { return !t.listener.heard.empty() && t.listener.heard.back().frame.id == 0x352; }));
    MESSAGE("of ", sent, " frames in ", ms(end - begin), " ms that nobody read, ", t.counters().received - 1, " waited");
    CHECK(t.counters().received + t.counters().queue_drops == sent + 1);
    CHECK(t.counters().queue_drops > 0);
    CHECK(t.counters().received > 2000);  // half a second of a saturated 500 kbit/s bus
}

TEST_CASE("asking the kernel about a link takes as long as this")
{
    bus::Netlink netlink;
    Duration longest{};
    const Instant begin = monotonic_now();
    constexpr int times = 200;
    for (int i = 0; i < times; ++i) {
        const Instant before = monotonic_now();
        REQUIRE(netlink.read("can0"));
        longest = std::max(longest, monotonic_now() - before);
    }
    MESSAGE("netlink question: mean ", (monotonic_now() - begin).count() / times, " us, longest ", longest.count(), " us");
    CHECK(longest < 1s);
}

TEST_SUITE_END();
