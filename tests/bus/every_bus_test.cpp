// What every bus of frames does alike, whatever carries them: a descriptor that speaks as the kernel's sockets do, a bus inside
// the process, adapters on a serial line.
#include "bus/far_end.hpp"
#include "bus/socketcan.hpp"
#include "bus/virtual_bus.hpp"
#include "tests/bus/line_fixture.hpp"

using namespace batgw;
using namespace batgw::test;

namespace {

constexpr std::array<RxRule, 2> receives{{{0x371, false}, {0x1234567, true}}};
constexpr std::array<TxRule, 1> sends{{{.id = 0x110}}};

// A device on the far end of a bus, that hears everything.
struct Far {
    virtual ~Far() = default;
    virtual void send(const CanFrame& f) = 0;
    virtual const std::vector<CanFrame>& heard() = 0;
};

struct FarBus final : Far {
    void send(const CanFrame& f) override { bus->send(f); }
    const std::vector<CanFrame>& heard() override
    {
        all.clear();
        for (const test::Heard& h : listener.heard) all.push_back(h.frame);
        return all;
    }
    Listener listener;
    std::unique_ptr<Bus> bus;
    std::vector<CanFrame> all;
};

struct FarSocket final : Far {
    void send(const CanFrame& f) override
    {
        can_frame raw_frame{};
        raw_frame.can_id = f.id | (f.extended ? CAN_EFF_FLAG : 0U);
        raw_frame.len = f.len;
        std::copy_n(f.data.begin(), f.len, raw_frame.data);
        wire.put(raw_frame);
    }
    const std::vector<CanFrame>& heard() override
    {
        can_frame r{};
        while (::recv(wire.there.get(), &r, sizeof r, MSG_DONTWAIT) == static_cast<ssize_t>(sizeof r)) {
            CanFrame f{.id = r.can_id & CAN_EFF_MASK, .extended = (r.can_id & CAN_EFF_FLAG) != 0, .len = r.len, .data = {}};
            std::copy_n(r.data, r.len, f.data.begin());
            all.push_back(f);
        }
        return all;
    }
    Wire wire;
    std::vector<CanFrame> all;
};

class EveryBus {
public:
    explicit EveryBus(std::string_view kind, bool listen_only = false)
    {
        BusSpec spec{.interface = {}, .bitrate = {}, .receives = receives, .sends = sends, .listen_only = listen_only};
        if (kind == "socket") {
            auto there = std::make_unique<FarSocket>();
            bus = std::make_unique<bus::FdBus>(loop.base, there->wire.here.release(), listener);
            far = std::move(there);
        } else if (kind == "virtual") {
            auto there = std::make_unique<FarBus>();
            BusSpec all{.interface = "virtual:x", .bitrate = {}, .receives = {}, .sends = {}, .receive_all = true};
            there->bus = open_bus(loop.base, all, there->listener, log, &hub);
            spec.interface = "virtual:x";
            bus = open_bus(loop.base, spec, listener, log, &hub);
            far = std::move(there);
        } else {
            auto there = std::make_unique<FarBus>();
            there->bus = bus::open_far_end(loop.base, std::string{kind} + ":pty:" + folder / "can", there->listener);
            spec.interface = std::string{kind} + ":" + folder / "can";
            bus = open_bus(loop.base, spec, listener, log);
            far = std::move(there);
        }
        REQUIRE(until([this] { return bus->status().state == BusState::active; }));
    }
    bool until(const std::function<bool()>& done) const { return loop.run_until(done, 5s); }
    std::vector<CanFrame> heard() const
    {
        std::vector<CanFrame> all;
        for (const test::Heard& h : listener.heard) all.push_back(h.frame);
        return all;
    }

    TemporaryFolder folder;
    Loop loop;
    Lines log;
    VirtualHub hub;
    Listener listener;
    std::unique_ptr<Far> far;
    std::unique_ptr<Bus> bus;
};

constexpr std::array kinds{"socket", "virtual", "waveshare", "slcan"};

}  // namespace

TEST_CASE("every bus carries both frame formats and every length, unchanged, in order and counted")
{
    for (const char* kind : kinds) {
        CAPTURE(kind);
        EveryBus house{kind};
        std::vector<CanFrame> all;
        for (std::uint8_t len = 0; len <= 8; ++len)
            for (const bool extended : {false, true}) {
                CanFrame f{.id = extended ? 0x1234567U : 0x371U, .extended = extended, .len = len, .data = {}};
                for (std::uint8_t i = 0; i < len; ++i) f.data[i] = static_cast<std::uint8_t>(0xAA - 0x11 * i);
                all.push_back(f);
            }
        for (const CanFrame& f : all) house.far->send(f);
        REQUIRE(house.until([&] { return house.listener.heard.size() == all.size(); }));
        CHECK(house.heard() == all);
        CHECK(house.bus->status().counters.received == all.size());
        CHECK(house.listener.turns > 0);
        for (const test::Heard& h : house.listener.heard) CHECK(h.received <= h.now);

        for (const CanFrame& f : all) CHECK(house.bus->send(f) == Sent::yes);
        REQUIRE(house.until([&] { return house.far->heard().size() == all.size(); }));
        CHECK(house.far->heard() == all);
        CHECK(house.bus->status().counters.sent == all.size());
        CHECK(house.bus->status().counters.errors() == 0);
    }
}

TEST_CASE("every bus that filters lets the driver's ids and our own through, in their frame format")
{
    // SAFE-265
    for (const char* kind : kinds) {
        if (std::string_view{kind} == "socket") continue;  // there the kernel filters
        CAPTURE(kind);
        EveryBus house{kind};
        for (const CanFrame& f : {frame(0x371, {1}, true), frame(0x372, {2}), frame(0x1234567, {3}, true),
                 frame(0x110, {4}, true), frame(0x110, {5}), frame(0x371, {6})})
            house.far->send(f);
        REQUIRE(house.until([&] { return house.listener.heard.size() >= 3; }));
        house.loop.settle();
        CHECK(house.heard() == std::vector{frame(0x1234567, {3}, true), frame(0x110, {5}), frame(0x371, {6})});
        CHECK(house.bus->status().counters.received == 3);
    }
}

TEST_CASE("no bus calls its listener from inside of a call, and a listener may send while it listens")
{
    for (const char* kind : kinds) {
        CAPTURE(kind);
        EveryBus house{kind};
        bool inside = false, called_inside = false;
        house.listener.on_turn = [&] { called_inside = called_inside || inside; };
        house.listener.reaction = [&](const CanFrame& f) {
            called_inside = called_inside || inside;
            inside = true;
            CHECK(house.bus->send(f) == Sent::yes);
            inside = false;
        };
        for (unsigned n = 0; n < 20; ++n) house.far->send(numbered(n));
        REQUIRE(house.until([&] { return house.far->heard().size() == 20; }));
        for (unsigned n = 0; n < 20; ++n) CHECK(house.far->heard()[n] == numbered(n));
        CHECK_FALSE(called_inside);
    }
}

TEST_CASE("no bus sends while observing, and all of them hear")
{
    // SAFE-244
    for (const char* kind : kinds) {
        if (std::string_view{kind} == "socket") continue;  // knows no mode
        CAPTURE(kind);
        EveryBus house{kind, true};
        CHECK(house.bus->send(numbered(0)) == Sent::down);
        house.far->send(numbered(1));
        REQUIRE(house.until([&] { return house.listener.heard.size() == 1; }));
        CHECK(house.far->heard().empty());
        CHECK(house.bus->status().counters.sent == 0);
    }
}
