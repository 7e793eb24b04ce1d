// The bus on emulated SJA1000 controllers: can0 and can2 on one bus, can1 and can3 on the other, started at 500 kbit/s.
#include "bus/link.hpp"
#include "tests/canlab/canlab_fixture.hpp"

#include <libsocketcan.h>

using namespace batgw;
using namespace batgw::test;

namespace {

bus::LinkInfo link_of(const std::string& name)
{
    const auto link = bus::Netlink{}.read(name);
    REQUIRE(link);
    return *link;
}

}  // namespace

TEST_SUITE_BEGIN("hw2");

TEST_CASE("without a configured bit rate the link is used as it stands, and its rate and state are read")
{
    Loop loop;
    UnderTest t{loop, all_of("can0")};
    REQUIRE(t.becomes(BusState::active));
    CHECK(t.bus->status().bitrate == 500000);
    CHECK(t.log.count("can0: open, 500000 bit/s, restarted by batgw after bus-off") == 1);
    Peer peer{"can2"};
    CHECK(t.bus->send(frame(0x110, {1, 2})) == Sent::yes);
    const auto got = peer.next(500);
    REQUIRE(got);
    CHECK(got->can_id == 0x110);
    REQUIRE(peer.send(raw(0x351, {3})));
    REQUIRE(t.hears(1));
    loop.settle();
    CHECK(t.listener.heard.size() == 1);  // the controller's echo of our own frame is not heard
}

TEST_CASE("a long interface queue is told where the link is not ours, and otherwise left alone")
{
    // SAFE-263
    sh("ip link set can0 txqueuelen 1000");
    Loop loop;
    UnderTest t{loop, all_of("can0")};
    REQUIRE(t.becomes(BusState::active));
    CHECK(t.log.count("can0: the interface's queue holds 1000 frames, so old limits may be sent late; 10 to 32 is right") == 1);
    CHECK(link_of("can0").queue_length == 1000);
    sh("ip link set can0 txqueuelen 10");
}

TEST_CASE("a configured bit rate is set, the link brought up, restart-ms turned off, and all of it read back")
{
    // SAFE-262
    sh("ip link set can1 down && ip link set can1 type can bitrate 500000 restart-ms 200 && ip link set can1 txqueuelen 1000");
    Loop loop;
    UnderTest t{loop, all_of("can1", 250000)};
    REQUIRE(t.becomes(BusState::active));
    CHECK(t.bus->status().bitrate == 250000);
    const auto link = link_of("can1");
    CHECK(link.up);
    CHECK(link.bitrate == 250000);
    CHECK(link.restart_ms == 0);
    CHECK(link.queue_length == 32);  // SAFE-263
    CHECK(t.log.count("can1: open, 250000 bit/s, restarted by batgw after bus-off") == 1);

    // Somebody changes it behind our back.
    sh("ip link set can1 down && ip link set can1 up type can bitrate 125000");
    REQUIRE(loop.run_until([&] { return link_of("can1").bitrate == 250000 && t.bus->status().state == BusState::active; }, 6s));
    CHECK(t.bus->status().bitrate == 250000);
}

TEST_CASE("a link that is as configured is left alone at the start: no gap on the bus")
{
    sh("ip link set can1 down && ip link set can1 up type can bitrate 500000 restart-ms 0 && ip link set can1 txqueuelen 10");
    Loop loop;
    UnderTest watcher{loop, all_of("can1")};
    REQUIRE(watcher.becomes(BusState::active));
    UnderTest t{loop, all_of("can1", 500000)};
    REQUIRE(t.becomes(BusState::active));
    loop.run_until([] { return false; }, 300ms);
    CHECK(watcher.log.all.size() == 1);
    CHECK(watcher.bus->status().state == BusState::active);
}

TEST_CASE("a bit rate that the controller cannot do is one line and a bus that is not used")
{
    Loop loop;
    UnderTest t{loop, all_of("can1", 3)};
    loop.run_until([] { return false; }, 2500ms);
    CHECK(t.bus->status().state == BusState::stopped);
    CHECK(t.log.count("can1: cannot set the bit rate") == 1);
    CHECK(t.log.all.size() <= 2);
    CHECK(t.bus->send(frame(0x110, {1})) == Sent::down);
    sh("ip link set can1 up type can bitrate 500000");
}

TEST_CASE("without CAP_NET_ADMIN a wrong bit rate is told and never talked at; the right one is used")
{
    // SAFE-250
    Loop loop;
    sh("ip link set can1 down && ip link set can1 up type can bitrate 500000");
    std::optional<UnderTest> wrong, right;
    {
        const WithoutPermission poor;
        wrong.emplace(loop, all_of("can1", 250000));
        right.emplace(loop, all_of("can1", 500000));
        loop.run_until([] { return false; }, 2500ms);
    }
    CHECK(wrong->bus->status().state == BusState::stopped);
    CHECK(wrong->bus->send(frame(0x110, {1})) == Sent::down);
    CHECK(wrong->log.count("can1: runs at 500000 bit/s, not at 250000, and changing that needs CAP_NET_ADMIN; nothing is sent") ==
        1);
    CHECK(wrong->log.all.size() == 1);
    CHECK(right->bus->status().state == BusState::active);
    CHECK(right->log.count("NOT restarted after bus-off") == 1);  // SAFE-262
    CHECK(link_of("can1").bitrate == 500000);
}

TEST_CASE("observe mode makes the controller listen only, and the next start undoes it")
{
    // SAFE-244
    Loop loop;
    Peer peer{"can3"};
    {
        BusSpec spec = all_of("can1", 500000);
        spec.listen_only = true;
        UnderTest t{loop, spec};
        REQUIRE(t.becomes(BusState::active));
        CHECK(link_of("can1").listen_only);
        CHECK(t.log.count("listen-only") == 1);
        REQUIRE(peer.send(raw(0x351, {1})));
        REQUIRE(t.hears(1));
        CHECK(t.bus->send(frame(0x110, {1})) == Sent::down);
        loop.settle();
        CHECK_FALSE(peer.next(100));
        UnderTest other{loop, all_of("can1")};  // does not configure, so it can only say so
        CHECK(other.log.count("the link is in listen-only mode: nothing can be sent") == 1);
        CHECK(other.bus->send(frame(0x110, {1})) == Sent::down);
    }
    UnderTest t{loop, all_of("can1", 500000)};
    REQUIRE(t.becomes(BusState::active));
    CHECK_FALSE(link_of("can1").listen_only);
    CHECK(t.bus->send(frame(0x110, {1})) == Sent::yes);
    REQUIRE(peer.next(500));
}

TEST_CASE("a burst of twelve frames fits an interface queue of ten when what is refused is tried again")
{
    // SAFE-263
    sh("ip link set can0 txqueuelen 10");
    Loop loop;
    UnderTest t{loop, all_of("can0")};
    REQUIRE(t.becomes(BusState::active));
    Peer peer{"can2"};
    unsigned refused = 0;
    for (std::uint8_t i = 0; i < 12;) {
        const Sent sent = t.bus->send(frame(0x250, {i}));
        REQUIRE(sent != Sent::down);
        if (sent == Sent::yes)
            ++i;
        else {
            ++refused;
            REQUIRE(refused < 1000);
            loop.run_until([] { return false; }, 5ms);
        }
    }
    MESSAGE(refused, " refused and tried again");
    CHECK(t.counters().no_buffer == refused);
    for (std::uint8_t i = 0; i < 12; ++i) {
        const auto got = peer.next(500);
        REQUIRE(got);
        CHECK(got->data[0] == i);
    }
    CHECK_FALSE(peer.next(50));
}

TEST_CASE("a card that is pulled is missing at once; put back, it is configured and used again")
{
    // SAFE-251
    Loop loop;
    UnderTest t{loop, all_of("can0", 500000)};
    REQUIRE(t.becomes(BusState::active));
    sh("echo 1 >/sys/class/net/can0/device/remove");
    REQUIRE(t.becomes(BusState::missing, 500ms));
    CHECK(t.bus->send(frame(0x110, {1})) == Sent::down);
    CHECK(t.bus->status().bitrate == 0);
    sh("echo 1 >/sys/bus/pci/rescan");
    REQUIRE(t.becomes(BusState::active, 5s));
    CHECK(t.bus->status().bitrate == 500000);
    Peer peer{"can2"};
    CHECK(t.bus->send(frame(0x110, {7})) == Sent::yes);
    const auto got = peer.next(1000);
    REQUIRE(got);
    CHECK(got->data[0] == 7);
    REQUIRE(peer.send(raw(0x351, {1})));
    REQUIRE(t.hears(1));
    CHECK(t.log.count("there is no such interface") == 1);
    CHECK(t.log.count("can0: open, 500000 bit/s") == 2);
}

TEST_CASE("setting up one link holds up no frame on the other bus")
{
    // The emulated controllers are set up in well under a millisecond of their own; what counts is that the loop's thread is not
    // in it.
    Loop loop;
    UnderTest t{loop, all_of("can0", 500000)};
    REQUIRE(t.becomes(BusState::active));
    Peer peer{"can2"};
    Duration longest{};
    Instant last = monotonic_now();
    {
        UnderTest other{loop, all_of("can1", 125000)};
        for (int i = 0; i < 50; ++i) {
            const Instant before = monotonic_now();
            CHECK(t.bus->send(frame(0x110, {static_cast<std::uint8_t>(i)})) != Sent::down);
            loop.run_until([] { return true; });
            longest = std::max(longest, monotonic_now() - before);
        }
        CHECK(other.becomes(BusState::active));
    }
    MESSAGE("longest send and turn of the loop while the other link was set up: ", longest.count(), " us");
    struct Call {
        std::string name;
        std::function<int()> run;
    };
    for (const Call& call : {Call{"can_do_stop", [] { return can_do_stop("can1"); }},
             Call{"can_set_bitrate", [] { return can_set_bitrate("can1", 500000); }},
             Call{"can_do_start", [] { return can_do_start("can1"); }}}) {
        last = monotonic_now();
        CHECK(call.run() == 0);
        MESSAGE(call.name, ": ", (monotonic_now() - last).count(), " us");
    }
    CHECK(longest < 200ms);
}

TEST_SUITE_END();
