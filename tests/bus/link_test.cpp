// What can be told of links on a machine without CAN; the rest is proved on a real kernel in tests/canlab/.
#include "bus/link.hpp"

#include "bus/link_keeper.hpp"
#include "bus/socketcan.hpp"
#include "tests/bus/bus_fixture.hpp"

#include <cerrno>
#include <cstring>
#include <random>

#include <linux/can/netlink.h>
#include <linux/if_arp.h>
#include <linux/rtnetlink.h>

using namespace batgw;
using namespace batgw::test;

namespace {

// An RTM_NEWLINK message, written attribute by attribute.
class LinkMessage {
public:
    LinkMessage()
    {
        bytes.resize(NLMSG_SPACE(sizeof(ifinfomsg)));
        ifinfomsg head{};
        head.ifi_index = 7;
        head.ifi_type = ARPHRD_CAN;
        head.ifi_flags = up_flag;
        std::memcpy(bytes.data() + NLMSG_HDRLEN, &head, sizeof head);
    }
    template <class T>
    LinkMessage& add(std::uint16_t type, const T& value)
    {
        return add(type, &value, sizeof value);
    }
    LinkMessage& add(std::uint16_t type, const void* value, std::size_t size)
    {
        const rtattr head{static_cast<std::uint16_t>(RTA_LENGTH(size)), type};
        const std::size_t at = bytes.size();
        bytes.resize(at + RTA_SPACE(size));
        std::memcpy(bytes.data() + at, &head, sizeof head);
        std::memcpy(bytes.data() + at + RTA_LENGTH(0), value, size);
        return *this;
    }
    std::vector<std::uint8_t> attributes() const { return {bytes.begin() + NLMSG_SPACE(sizeof(ifinfomsg)), bytes.end()}; }
    std::vector<std::uint8_t> bytes;

private:
    static constexpr unsigned up_flag = 1;  // IFF_UP; its header quarrels with others
};

std::vector<std::uint8_t> controller_link()
{
    can_bittiming timing{};
    timing.bitrate = 250000;
    const LinkMessage data = LinkMessage{}
                                 .add(IFLA_CAN_BITTIMING, timing)
                                 .add(IFLA_CAN_STATE, std::uint32_t{CAN_STATE_ERROR_PASSIVE})
                                 .add(IFLA_CAN_CTRLMODE, can_ctrlmode{0, CAN_CTRLMODE_LISTENONLY})
                                 .add(IFLA_CAN_RESTART_MS, std::uint32_t{100})
                                 .add(IFLA_CAN_BERR_COUNTER, can_berr_counter{300, 5});
    const auto d = data.attributes();
    const auto info = LinkMessage{}.add(IFLA_INFO_KIND, "can", 4).add(IFLA_INFO_DATA, d.data(), d.size()).attributes();
    return LinkMessage{}
        .add(IFLA_IFNAME, "can3", 5)
        .add(IFLA_TXQLEN, std::uint32_t{10})
        .add(IFLA_LINKINFO, info.data(), info.size())
        .bytes;
}

}  // namespace

TEST_CASE("a controller's link message tells bit rate, state, mode, restart, queue and error counters")
{
    std::string name;
    const auto link = bus::parse_link(controller_link(), name);
    REQUIRE(link);
    CHECK(name == "can3");
    CHECK(link->index == 7);
    CHECK(link->is_can);
    CHECK(link->up);
    CHECK(link->has_controller);
    CHECK(link->state == BusState::passive);
    CHECK(link->bitrate == 250000);
    CHECK(link->listen_only);
    CHECK(link->restart_ms == 100);
    CHECK(link->queue_length == 10);
    CHECK(link->tx_errors == 255);  // as much as fits
    CHECK(link->rx_errors == 5);
}

TEST_CASE("a link without a controller has neither state nor bit rate")
{
    const auto info = LinkMessage{}.add(IFLA_INFO_KIND, "vcan", 5).attributes();
    std::string name;
    const auto link = bus::parse_link(LinkMessage{}
                                          .add(IFLA_IFNAME, "can0", 5)
                                          .add(IFLA_TXQLEN, std::uint32_t{1000})
                                          .add(IFLA_LINKINFO, info.data(), info.size())
                                          .bytes,
        name);
    REQUIRE(link);
    CHECK(link->is_can);
    CHECK_FALSE(link->has_controller);
    CHECK_FALSE(link->state);
    CHECK(link->bitrate == 0);
    CHECK(link->queue_length == 0);
}

TEST_CASE("a link message that is cut or garbled is read as far as it is whole, and no further")
{
    const auto whole = controller_link();
    std::string name;
    for (std::size_t size = 0; size < whole.size(); ++size) {
        const std::vector<std::uint8_t> cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
        bus::parse_link(cut, name);
        CHECK(bus::parse_link(cut, name).has_value() == (size >= NLMSG_LENGTH(sizeof(ifinfomsg))));
    }
    std::mt19937 random{20240501};
    for (int i = 0; i < 20000; ++i) {
        auto garbled = whole;
        for (int n = 0; n < 3; ++n) garbled[random() % garbled.size()] = static_cast<std::uint8_t>(random());
        CHECK(bus::parse_link(garbled, name).has_value());
    }
}

TEST_CASE("the loopback interface is there and is no CAN interface; a name of nobody is nothing")
{
    bus::Netlink netlink;
    const auto lo = netlink.read("lo");
    REQUIRE(lo);
    CHECK_FALSE(lo->is_can);
    CHECK(lo->index > 0);
    CHECK_FALSE(netlink.read("batgw-nobody"));
    CHECK(errno == ENODEV);
    CHECK_FALSE(netlink.read("a-name-that-is-too-long-for-any-interface"));
    CHECK(netlink.read("lo"));  // the refused questions left nothing behind
}

TEST_CASE("a link is as wished only when it is up with the right rate, mode, queue, and no restart by the kernel")
{
    bus::LinkInfo link;
    link.is_can = link.up = link.has_controller = true;
    link.bitrate = 500000;
    link.queue_length = 10;
    const bus::LinkWish wish{500000, false};
    CHECK(bus::as_wished(link, wish));
    const auto with = [&](auto change) {
        bus::LinkInfo other = link;
        change(other);
        return bus::as_wished(other, wish);
    };
    CHECK_FALSE(with([](bus::LinkInfo& l) { l.up = false; }));
    CHECK_FALSE(with([](bus::LinkInfo& l) { l.bitrate = 250000; }));
    CHECK_FALSE(with([](bus::LinkInfo& l) { l.listen_only = true; }));
    CHECK_FALSE(with([](bus::LinkInfo& l) { l.restart_ms = 100; }));
    CHECK_FALSE(with([](bus::LinkInfo& l) { l.queue_length = 1000; }));  // SAFE-263
    CHECK(with([](bus::LinkInfo& l) { l.queue_length = 32; }));
    // vcan: no bit rate to set, no queue.
    CHECK(with([](bus::LinkInfo& l) { l.has_controller = false, l.bitrate = 0, l.queue_length = 0; }));
}

TEST_CASE("a missing interface is one line and a first try that is over, without holding up anybody")
{
    // SAFE-251
    Loop loop;
    Lines log;
    Listener listener;
    const Instant before = monotonic_now();
    const auto bus =
        open_bus(loop.base, {.interface = "batgw-nobody", .bitrate = {}, .receives = {}, .sends = {}}, listener, log);
    CHECK(monotonic_now() - before < 100ms);
    CHECK(listener.turns == 0);
    CHECK(bus->send(frame(0x110, {1})) == Sent::down);
    REQUIRE(loop.run_until([&] { return bus->status().tried; }));
    CHECK(bus->status().state == BusState::missing);
    CHECK(bus->status().name == "batgw-nobody");
    CHECK(listener.turns > 0);
    const unsigned turns = listener.turns;
    REQUIRE(loop.run_until([&] { return listener.turns >= turns + 2; }, 6s));  // looked again, twice
    CHECK(log.all.size() == 1);
    CHECK(log.count("batgw-nobody: there is no such interface; looking for it every 2 s") == 1);
    CHECK(bus->send(frame(0x110, {1})) == Sent::down);
}

TEST_CASE("an interface that is no CAN interface is told and never used")
{
    Loop loop;
    Lines log;
    Listener listener;
    const auto bus = open_bus(loop.base, {.interface = "lo", .bitrate = 500000, .receives = {}, .sends = {}}, listener, log);
    REQUIRE(loop.run_until([&] { return bus->status().tried; }));
    CHECK(bus->status().state == BusState::stopped);
    CHECK(log.count("lo: this is not a CAN interface") == 1);
    CHECK(bus->send(frame(0x110, {1})) == Sent::down);
}
