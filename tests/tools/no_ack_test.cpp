// A gateway whose bus ends in the air, as the controller's error frames tell it.
#include "bus/bus_state.hpp"
#include "tests/support/world.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <map>

#include <linux/can/error.h>

using namespace batgw;
using test::World;

namespace {

void error_frame(World& w, Side side, std::uint32_t classes, const std::array<std::uint8_t, 8>& data)
{
    bus::apply_error_frame(w.bus_status(side), classes, data);
    w.tell_bus(side);
}

// What a controller without bus-error reporting says when nobody acknowledges, then ENOBUFS for every frame.
void cut_battery_off(World& w)
{
    w.pack_cable = false;
    w.bus_full[0] = true;
    error_frame(w, Side::battery, CAN_ERR_CRTL, {0, CAN_ERR_CRTL_TX_WARNING, 0, 0, 0, 0, 96, 0});
    error_frame(w, Side::battery, CAN_ERR_CRTL, {0, CAN_ERR_CRTL_TX_PASSIVE, 0, 0, 0, 0, 128, 0});
}

}  // namespace

TEST_CASE("nobody acknowledges: told once as information, and frames are not starved but seldom, until the first sign of life")
{
    // SAFE-264
    World w;
    w.start_up();
    cut_battery_off(w);
    bool starved = false;
    REQUIRE(w.run_until(
        [&] {
            starved = starved || w.has(FaultId::tx_starved);
            return w.has(FaultId::no_ack, "can0");
        },
        5s));
    const auto alone = std::find_if(
        w.verdict().faults.begin(), w.verdict().faults.end(), [](const ActiveFault& f) { return f.id == FaultId::no_ack; });
    REQUIRE(alone != w.verdict().faults.end());
    CHECK(alone->level == FaultClass::info);
    CHECK(alone->direction == Direction::none);

    // The queue takes frames again, nobody answers: each message once a second at most.
    w.bus_full[0] = false;
    w.run(6s);  // limits fall until then, and those do not wait
    const std::size_t before = w.sent.size();
    const Instant since = w.now;
    w.run(8s);
    std::map<std::uint32_t, Instant> last;
    int frames = 0;
    for (std::size_t i = before; i < w.sent.size(); ++i) {
        if (w.sent[i].side != Side::battery) continue;
        Instant& at = last[w.sent[i].frame.id];
        if (at != Instant{}) REQUIRE(w.sent[i].at - at >= 1s);
        at = w.sent[i].at;
        ++frames;
    }
    CHECK(w.now - since == 8s);
    CHECK(frames >= 8);
    w.run_until([&] { return starved = starved || w.has(FaultId::tx_starved); }, 30s);
    CHECK_FALSE(starved);

    // The first acknowledged frame takes the controller out of error-passive.
    w.pack_cable = true;
    const std::size_t then = w.sent.size();
    error_frame(w, Side::battery, CAN_ERR_CRTL, {0, CAN_ERR_CRTL_TX_WARNING, 0, 0, 0, 0, 127, 0});
    w.run(1s);
    CHECK_FALSE(w.has(FaultId::no_ack));
    CHECK(std::count_if(w.sent.begin() + static_cast<std::ptrdiff_t>(then), w.sent.end(),
              [](const test::Seen& s) { return s.side == Side::battery && s.frame.id == 0x12d; }) >= 19);
    w.run(5s);
    CHECK_FALSE(w.has(FaultId::tx_starved));
}

TEST_CASE("nobody acknowledges: reported one by one by the controller, it is the same")
{
    // SAFE-264, SAFE-261
    World w;
    w.start_up();
    w.inverter_cable = false;
    for (int i = 0; i < 25; ++i) {
        error_frame(w, Side::inverter, CAN_ERR_ACK, {});
        w.run(100ms);
    }
    CHECK(w.has(FaultId::no_ack, "can1"));
    CHECK_FALSE(w.has(FaultId::no_ack, "can0"));
    // A lower limit does not wait for its second.
    const std::size_t before = w.sent.size();
    w.command({.kind = CommandKind::pause, .on = true});
    CHECK(w.verdict().charge.is_zero());
    w.run(150ms);
    CHECK(std::any_of(w.sent.begin() + static_cast<std::ptrdiff_t>(before), w.sent.end(),
        [](const test::Seen& s) { return s.side == Side::inverter && s.frame.id == 0x110; }));
}
