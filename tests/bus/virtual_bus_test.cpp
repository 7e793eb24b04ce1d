#include "bus/virtual_bus.hpp"

#include "tests/bus/bus_fixture.hpp"

#include <array>
#include <stdexcept>

using namespace batgw;
using namespace batgw::test;

namespace {

BusSpec everything(std::string name)
{
    return {.interface = std::move(name), .bitrate = {}, .receives = {}, .sends = {}, .receive_all = true};
}

}  // namespace

TEST_CASE("a frame reaches every other member of its virtual bus, and nobody else")
{
    Loop loop;
    VirtualHub hub;
    Lines log;
    Listener a, b, c, elsewhere;
    auto bus_a = open_bus(loop.base, everything("virtual:one"), a, log, &hub);
    auto bus_b = open_bus(loop.base, everything("virtual:one"), b, log, &hub);
    auto bus_c = open_bus(loop.base, everything("virtual:one"), c, log, &hub);
    auto bus_d = open_bus(loop.base, everything("virtual:two"), elsewhere, log, &hub);
    CHECK(bus_a->status().tried);
    CHECK(bus_a->status().state == BusState::active);
    CHECK(bus_a->status().name == "virtual:one");
    CHECK(bus_a->send(frame(0x351, {1})) == Sent::yes);
    CHECK(b.heard.empty());  // from the loop, never from inside send()
    loop.settle();
    CHECK(a.heard.empty());
    REQUIRE(b.heard.size() == 1);
    CHECK(b.heard[0].frame == frame(0x351, {1}));
    CHECK(b.heard[0].received <= b.heard[0].now);
    CHECK(c.heard.size() == 1);
    CHECK(elsewhere.heard.empty());
    CHECK(bus_a->status().counters.sent == 1);
    CHECK(bus_b->status().counters.received == 1);
}

TEST_CASE("two hubs are two worlds")
{
    Loop loop;
    VirtualHub one, two;
    Lines log;
    Listener a, b;
    auto bus_a = open_bus(loop.base, everything("virtual:x"), a, log, &one);
    auto bus_b = open_bus(loop.base, everything("virtual:x"), b, log, &two);
    bus_a->send(frame(1, {1}));
    loop.settle();
    CHECK(b.heard.empty());
}

TEST_CASE("a virtual bus filters as a kernel bus does: the driver's ids and our own, in their frame format")
{
    // SAFE-265
    constexpr std::array<RxRule, 1> receives{{{0x151, false}}};
    constexpr std::array<TxRule, 1> sends{{{.id = 0x110}}};
    Loop loop;
    VirtualHub hub;
    Lines log;
    Listener a, b;
    auto sender = open_bus(loop.base, everything("virtual:x"), a, log, &hub);
    auto gateway =
        open_bus(loop.base, {.interface = "virtual:x", .bitrate = {}, .receives = receives, .sends = sends}, b, log, &hub);
    sender->send(frame(0x151, {1}));
    sender->send(frame(0x151, {1}, true));
    sender->send(frame(0x110, {1}));
    sender->send(frame(0x111, {1}));
    loop.settle();
    REQUIRE(b.heard.size() == 2);
    CHECK(b.heard[0].frame.id == 0x151);
    CHECK(b.heard[1].frame.id == 0x110);
}

TEST_CASE("a member that does not keep up loses the newest frames and knows how many")
{
    Loop loop;
    VirtualHub hub;
    Lines log;
    Listener a, b;
    auto sender = open_bus(loop.base, everything("virtual:x"), a, log, &hub);
    auto slow = open_bus(loop.base, everything("virtual:x"), b, log, &hub);
    for (std::size_t i = 0; i < VirtualHub::queue_length + 7; ++i)
        CHECK(sender->send(frame(static_cast<std::uint32_t>(i), {})) == Sent::yes);
    CHECK(slow->status().counters.queue_drops == 7);
    REQUIRE(loop.run_until([&] { return b.heard.size() == VirtualHub::queue_length; }));
    for (std::size_t i = 0; i < b.heard.size(); ++i) REQUIRE(b.heard[i].frame.id == i);
}

TEST_CASE("two members that answer each other for ever leave timers their turn")
{
    Loop loop;
    VirtualHub hub;
    Lines log;
    Listener a, b;
    auto bus_a = open_bus(loop.base, everything("virtual:x"), a, log, &hub);
    auto bus_b = open_bus(loop.base, everything("virtual:x"), b, log, &hub);
    a.reaction = [&](const CanFrame& f) { bus_a->send(f); };
    b.reaction = [&](const CanFrame& f) { bus_b->send(f); };
    bus_a->send(frame(0x100, {1}));
    bool rang = false;
    EventHandle timer{event_new(
        loop.base, -1, 0, [](evutil_socket_t, short, void* r) { *static_cast<bool*>(r) = true; }, &rang)};
    const timeval soon{0, 2000};
    event_add(timer.get(), &soon);
    CHECK(loop.run_until([&] { return rang; }));
    CHECK(a.heard.size() + b.heard.size() > 10);
}

TEST_CASE("a member in observe mode hears and cannot send")
{
    // SAFE-244
    Loop loop;
    VirtualHub hub;
    Lines log;
    Listener a, b;
    BusSpec observer = everything("virtual:x");
    observer.listen_only = true;
    auto watching = open_bus(loop.base, observer, a, log, &hub);
    auto other = open_bus(loop.base, everything("virtual:x"), b, log, &hub);
    CHECK(watching->send(frame(0x110, {1})) == Sent::down);
    other->send(frame(0x351, {1}));
    loop.settle();
    CHECK(a.heard.size() == 1);
    CHECK(b.heard.empty());
    CHECK(watching->status().counters.sent == 0);
}

TEST_CASE("members come and go in any order, even after their hub, and take what was meant for them along")
{
    Loop loop;
    Lines log;
    Listener a, b;
    auto hub = std::make_unique<VirtualHub>();
    auto bus_a = open_bus(loop.base, everything("virtual:x"), a, log, hub.get());
    auto bus_b = open_bus(loop.base, everything("virtual:x"), b, log, hub.get());
    bus_a->send(frame(0x100, {1}));
    bus_b.reset();
    hub.reset();
    CHECK(bus_a->send(frame(0x100, {1})) == Sent::yes);
    loop.settle();
    CHECK(b.heard.empty());
}

TEST_CASE("an interface name of no known kind is refused by name")
{
    Loop loop;
    Lines log;
    Listener a;
    VirtualHub hub;
    for (const char* name : {"", "virtual:", "slcan:ttyACM0", "/dev/", "waveshare:", "usb:1a86", "a name", "sixteen-letters!",
             "..", "can0:1", "caf\xc3\xa9"}) {
        CAPTURE(name);
        CHECK_THROWS_AS(open_bus(loop.base, everything(name), a, log, &hub), std::invalid_argument);
    }
    CHECK_THROWS_AS(open_bus(loop.base, everything("virtual:x"), a, log), std::invalid_argument);
    CHECK_THROWS_WITH(open_bus(loop.base, everything("waveshare:ttyUSB0"), a, log),
        "'waveshare:ttyUSB0' is no kind of bus: a CAN interface such as can0, waveshare:PORT, slcan:PORT, a serial port, or "
        "virtual:NAME");
    BusSpec line = everything("can0");
    line.serial = SerialLine{};
    CHECK_THROWS_WITH(open_bus(loop.base, line, a, log), "can0 is no serial line");
    CHECK_THROWS_WITH(open_bus(loop.base, everything("/dev/ttyUSB0"), a, log), "/dev/ttyUSB0 is a serial line");
}
