// Frames through one descriptor. The frames are made up; layouts are those of linux/can.h and linux/can/error.h.
#include "bus/socketcan.hpp"
#include "tests/bus/bus_fixture.hpp"

#include <array>
#include <cstring>

#include <linux/can/error.h>

using namespace batgw;
using namespace batgw::test;

TEST_CASE("a frame arrives as it was sent, in both frame formats and every length")
{
    Loop loop;
    Wire wire;
    Listener listener;
    bus::FdBus port{loop.base, wire.here.release(), listener};
    REQUIRE(wire.put(raw(0x351, {1, 2, 3, 4, 5, 6, 7, 8})));
    REQUIRE(wire.put(raw(0x18ff50e5U | CAN_EFF_FLAG, {0xaa})));
    REQUIRE(wire.put(raw(0x7ff, {})));
    loop.settle();
    REQUIRE(listener.heard.size() == 3);
    CHECK(listener.heard[0].frame == frame(0x351, {1, 2, 3, 4, 5, 6, 7, 8}));
    CHECK(listener.heard[1].frame == frame(0x18ff50e5, {0xaa}, true));
    CHECK(listener.heard[2].frame == frame(0x7ff, {}));
    CHECK(port.status().counters.received == 3);
    CHECK(port.status().counters.not_data == 0);
    CHECK(listener.turns > 0);
}

TEST_CASE("remote, FD and malformed frames are refused and counted, and change nothing else")
{
    // SAFE-265
    Loop loop;
    Wire wire;
    Listener listener;
    bus::FdBus port{loop.base, wire.here.release(), listener};

    can_frame too_long = raw(0x100, {1});
    too_long.len = 9;
    canfd_frame fd{};
    fd.can_id = 0x101;
    fd.len = 8;
    const std::array<std::uint8_t, 200> huge{};
    REQUIRE(wire.put(raw(0x102U | CAN_RTR_FLAG, {})));
    REQUIRE(wire.put(too_long));
    REQUIRE(wire.put(&fd, sizeof fd));
    REQUIRE(wire.put(huge.data(), huge.size()));
    REQUIRE(wire.put("short", 5));
    REQUIRE(wire.put("", 0));
    REQUIRE(wire.put(raw(0x800, {1})));  // twelve bits without the flag of the extended format
    loop.settle();
    CHECK(listener.heard.empty());
    CHECK(port.status().counters.not_data == 7);
    CHECK(port.status().counters.received == 0);

    REQUIRE(wire.put(raw(0x103, {1})));
    loop.settle();
    CHECK(listener.heard.size() == 1);
    CHECK(port.status().state == BusState::active);
}

TEST_CASE("a sent frame is on the wire, and a full wire says so until there is room")
{
    // SAFE-263
    Loop loop;
    Wire wire;
    Listener listener;
    bus::FdBus port{loop.base, wire.here.release(), listener};
    unsigned sent = 0;
    while (port.send(frame(0x110, {static_cast<std::uint8_t>(sent)})) == Sent::yes) {
        ++sent;
        REQUIRE(sent < 10000);
    }
    REQUIRE(sent > 0);
    CHECK(port.send(frame(0x110, {0xff})) == Sent::full);
    CHECK(port.status().counters.no_buffer == 2);
    CHECK(port.status().counters.sent == sent);
    CHECK(port.status().state == BusState::active);

    can_frame got{};
    REQUIRE(::recv(wire.there.get(), &got, sizeof got, 0) == sizeof got);
    CHECK(got.can_id == 0x110);
    CHECK(got.len == 1);
    CHECK(got.data[0] == 0);
    CHECK(port.send(frame(0x1a0b0c0d, {1, 2}, true)) == Sent::yes);
    for (unsigned i = 1; i < sent; ++i) REQUIRE(::recv(wire.there.get(), &got, sizeof got, 0) == sizeof got);
    REQUIRE(::recv(wire.there.get(), &got, sizeof got, 0) == sizeof got);
    CHECK(got.can_id == (0x1a0b0c0dU | CAN_EFF_FLAG));
    CHECK(got.len == 2);
    CHECK(got.data[1] == 2);
}

TEST_CASE("a wire that is gone is a missing bus, told from the loop and never from inside send()")
{
    Loop loop;
    Wire wire;
    Listener listener;
    bus::FdBus port{loop.base, wire.here.release(), listener};
    wire.there.reset();
    CHECK(port.send(frame(0x110, {1})) == Sent::down);
    CHECK(listener.turns == 0);
    loop.settle();
    CHECK(listener.turns > 0);
    CHECK(port.status().state == BusState::missing);
    CHECK(port.status().counters.send_errors == 1);
    CHECK(port.send(frame(0x110, {1})) == Sent::down);
    CHECK(port.status().counters.send_errors == 1);
}

TEST_CASE("a flooded bus leaves room for timers and for the other bus")
{
    Loop loop;
    Wire busy, quiet;
    Listener flood, other;
    bus::FdBus flooded{loop.base, busy.here.release(), flood};
    bus::FdBus calm{loop.base, quiet.here.release(), other};
    // Whoever reads 0x100 finds two more waiting: the queue never runs empty.
    flood.reaction = [&](const CanFrame&) {
        busy.put(raw(0x100, {1}));
        busy.put(raw(0x100, {1}));
    };
    for (int i = 0; i < 5; ++i) REQUIRE(busy.put(raw(0x100, {1})));
    REQUIRE(quiet.put(raw(0x200, {2})));
    std::size_t flood_at_quiet = 0;
    other.reaction = [&](const CanFrame&) { flood_at_quiet = flood.heard.size(); };
    REQUIRE(loop.run_until([&] { return !other.heard.empty(); }));
    CHECK(flood_at_quiet <= bus::CanIo::most_per_call);

    bool rang = false;
    EventHandle timer{event_new(
        loop.base, -1, 0, [](evutil_socket_t, short, void* r) { *static_cast<bool*>(r) = true; }, &rang)};
    const timeval soon{0, 1000};
    event_add(timer.get(), &soon);
    CHECK(loop.run_until([&] { return rang; }));
    const std::size_t until_then = flood.heard.size();
    CHECK(loop.run_until([&] { return flood.heard.size() > until_then + bus::CanIo::most_per_call; }));  // it still is busy
}

TEST_CASE("more frames than fit a batch all arrive, in their order")
{
    Loop loop;
    Wire wire;
    Listener listener;
    bus::FdBus port{loop.base, wire.here.release(), listener};
    std::uint16_t next = 0;
    constexpr std::uint16_t all = 1000;
    while (listener.heard.size() < all) {
        while (next < all && wire.put(raw(0x123, {static_cast<std::uint8_t>(next >> 8), static_cast<std::uint8_t>(next)})))
            ++next;
        loop.settle();
        REQUIRE(next > 0);
    }
    for (std::uint16_t i = 0; i < all; ++i) REQUIRE(listener.heard[i].frame.data[0] * 256 + listener.heard[i].frame.data[1] == i);
}

TEST_CASE("receive filters name the driver's ids and our own, each in its own frame format, data frames only")
{
    // SAFE-265
    // SAFE-185
    constexpr std::array<RxRule, 3> receives{{{0x151, false}, {0x151, true}, {0x91, false}}};
    constexpr std::array<TxRule, 2> sends{{{.id = 0x110}, {.id = 0x151}}};
    const auto all = bus::filters(receives, sends);
    REQUIRE(all.size() == 4);  // 0x151 is asked for once per format
    const auto passes = [&](std::uint32_t can_id) {
        return std::any_of(
            all.begin(), all.end(), [&](const can_filter& f) { return (can_id & f.can_mask) == (f.can_id & f.can_mask); });
    };
    CHECK(passes(0x151));
    CHECK(passes(0x151U | CAN_EFF_FLAG));
    CHECK(passes(0x91));
    CHECK(passes(0x110));
    CHECK_FALSE(passes(0x91U | CAN_EFF_FLAG));
    CHECK_FALSE(passes(0x110U | CAN_EFF_FLAG));
    CHECK_FALSE(passes(0x151U | CAN_RTR_FLAG));
    CHECK_FALSE(passes(0x152));
    CHECK_FALSE(passes(0x8000151U | CAN_EFF_FLAG));
}
