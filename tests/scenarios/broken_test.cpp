// A judge that contradicts itself, in a whole house in virtual time.
#include "tests/support/world.hpp"

using namespace batgw;
using namespace batgw::test;

namespace {

// Both limits of a 0x110.
bool zero(const CanFrame& f) { return (f.data[4] | f.data[5] | f.data[6] | f.data[7]) == 0; }

}  // namespace

TEST_CASE("contradiction: at full power the inverter is told zero and the pack to open, and nothing brings power back")
{
    // SAFE-219
    World w;
    w.start_up();
    w.inverter->set_wish(-6_kW);
    w.run(10s);
    w.bridge.run(w.now - 1s);  // what no clock may do
    const Instant found = w.now;
    REQUIRE(w.run_until([&] { return zero(*w.last(Side::inverter, 0x110)); }, 1s));
    CHECK(w.now - found <= 200ms);
    CHECK(w.bridge.run(w.now) > w.now);  // it does not spin until it is ended
    w.run(120s);
    CHECK(w.pack->connection() == sim::Connection::open);
    CHECK(w.verdict().state == GatewayState::emergency);
    CHECK(zero(*w.last(Side::inverter, 0x110)));
}

TEST_CASE(
    "a start after a crash under load: closed contactors are held, and the inverter hears nothing but zeros until all is valid")
{
    // SAFE-215, SAFE-214, SAFE-161 (b)
    WorldOptions options;
    World before{options};
    before.start_up();
    before.inverter->set_wish(-6_kW);
    before.run(10s);
    REQUIRE(before.pack->connection() == sim::Connection::closed);

    // Killed: nothing was said any more. A new process begins a second later, the pack is still closed.
    options.same_pack = before.pack;
    options.start = before.now + 1s;
    World w{options};
    w.inverter->set_wish(-6_kW);
    REQUIRE(w.run_until([&] { return w.verdict().battery_valid; }, 20s));
    const Instant valid = w.now;
    CHECK(valid - w.start <= 7s);  // five of which all data must be good
    REQUIRE(w.run_until([&] { return w.last(Side::inverter, 0x110).has_value(); }, 20s));
    CHECK(w.now - valid <= 2s);
    CHECK(zero(*w.last(Side::inverter, 0x110)));
    const auto power = [&] { return !zero(*w.last(Side::inverter, 0x110)); };
    REQUIRE(w.run_until(power, 60s));
    CHECK(w.now - w.start >= 10s);
    for (const Seen& s : w.sent)
        if (s.side == Side::inverter && s.frame.id == 0x110 && s.at < w.now - 20ms) CHECK(zero(s.frame));
    CHECK(w.pack->connection() == sim::Connection::closed);  // all the time
}
