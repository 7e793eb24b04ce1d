// The contactors of a simulated pack under the whole gateway: what closes, opens and fails, and what the pack says of how it was
// treated.
#include "sim/byd_atto3_pack.hpp"
#include "tests/support/world.hpp"

#include <doctest/doctest.h>

using namespace batgw;
using namespace batgw::test;

namespace {

const sim::Atto3Contactors& contactors(World& w) { return dynamic_cast<sim::BydAtto3Pack&>(*w.pack).contactors(); }

// Nothing that a pack would hold against its car.
void check_treated_well(World& w, unsigned lost_frames = 0)
{
    const auto& c = contactors(w).counts();
    CHECK(c.opened_under_load == 0);
    CHECK(c.refused_early_link == 0);
    CHECK(c.precharge_failures == 0);
    CHECK(c.link_far == 0);
    CHECK(c.acknowledge_alone == 0);
    CHECK(c.bad_checksums == 0);
    CHECK(c.bad_counters <= lost_frames);  // a gap in the counter is a frame that never came
}

Command contactor(bool close)
{
    Command c;
    c.kind = CommandKind::contactor;
    c.on = close;
    return c;
}

bool open(World& w) { return w.pack->connection() == sim::Connection::open; }
bool closed(World& w) { return w.pack->connection() == sim::Connection::closed; }

}  // namespace

TEST_CASE("contactor life: a close command that is refused changes nothing, also not later")
{
    // MQTT-051, SAFE-142
    World w;
    w.start_up();
    const CommandResult closed_already = w.command(contactor(true));
    CHECK(closed_already.code == CommandCode::unchanged);
    w.command(contactor(false));
    const CommandResult too_soon = w.command(contactor(true));
    CHECK(too_soon.code == CommandCode::guard_failed);
    CHECK(too_soon.guard.view() == "OPENING");
    CHECK(too_soon.status.contactors_open);
    REQUIRE(w.run_until([&] { return open(w) && w.verdict().contactors.state == ContactorState::open; }, 30s));
    w.run(300s);
    CHECK(open(w));
    CHECK(w.verdict().waiting == Waiting::operator_);
}

TEST_CASE("contactor life: opened on command without load, closed again on command only")
{
    // SAFE-153, SAFE-158
    World w;
    w.start_up();
    w.inverter->set_wish(-4_kW);
    w.run(20s);
    CHECK(w.pack->current() < -5_A);
    CHECK(w.command(contactor(false)).code == CommandCode::ok);
    const Instant asked = w.now;
    REQUIRE(w.run_until([&] { return open(w); }, 30s));
    CHECK(w.now - asked >= 5s);
    CHECK(w.now - asked <= 13s);
    check_treated_well(w);
    w.run(200s);
    CHECK(open(w));
    CHECK(w.verdict().contactors.state == ContactorState::open);
    CHECK(w.verdict().waiting == Waiting::operator_);
    CHECK(w.command(contactor(true)).code == CommandCode::ok);
    REQUIRE(w.run_until([&] { return closed(w); }, 30s));
    CHECK(w.run_until([&] { return w.verdict().state == GatewayState::run; }, 60s));
    check_treated_well(w);
}

TEST_CASE("contactor life: found closed at start, held closed, power without a gap")
{
    // SAFE-161
    World w;
    w.start_up();
    // A second gateway process takes over the same pack.
    World second;
    dynamic_cast<sim::BydAtto3Pack&>(*second.pack).contactors().close_by_itself();
    second.run(9s);
    CHECK(closed(second));
    CHECK(second.verdict().contactors.state == ContactorState::closed);
    CHECK(second.verdict().charge.is_zero());
    second.start_up();
    CHECK(closed(second));
    CHECK(contactors(second).counts().openings == 0);
    check_treated_well(second);
}

TEST_CASE("contactor life: a pack that never closes is tried twice, a minute apart, then left alone")
{
    // SAFE-146
    World w;
    dynamic_cast<sim::BydAtto3Pack&>(*w.pack).contactors().set_trouble(sim::Atto3Contactors::Trouble::never);
    REQUIRE(w.run_until([&] { return w.has(FaultId::close_failed); }, 60s));
    const Instant first = w.now;
    CHECK(w.verdict().contactors.state == ContactorState::cooldown);
    REQUIRE(w.run_until([&] { return w.verdict().contactors.state == ContactorState::precharge; }, 200s));
    CHECK(w.now - first >= 60s);
    REQUIRE(w.run_until([&] { return w.has(FaultId::precharge_failed); }, 60s));
    CHECK(w.verdict().contactors.state == ContactorState::lockout);
    w.run(900s);
    CHECK(w.verdict().state == GatewayState::trip);
    CHECK(w.verdict().contactors.state == ContactorState::lockout);
    CHECK(w.verdict().contactors.attempts <= 2);
    CHECK(w.verdict().waiting != Waiting::nothing);
}

TEST_CASE("contactor life: a pack that opens by itself stays open until it is asked")
{
    // SAFE-158, SAFE-161
    World w;
    w.start_up();
    dynamic_cast<sim::BydAtto3Pack&>(*w.pack).contactors().open_by_itself(0);
    w.run(300ms);
    CHECK(w.verdict().charge.is_zero());
    CHECK(w.verdict().discharge.is_zero());
    REQUIRE(w.run_until([&] { return w.has(FaultId::opened_by_itself); }, 5s));
    w.run(300s);
    CHECK(open(w));
    CHECK(w.verdict().contactors.state == ContactorState::open);
    CHECK(w.has(FaultId::opened_by_itself));
    CHECK(w.command(contactor(true)).code == CommandCode::ok);
    REQUIRE(w.run_until([&] { return w.verdict().state == GatewayState::run; }, 60s));
    CHECK_FALSE(w.has(FaultId::opened_by_itself));
    check_treated_well(w);
}

TEST_CASE("contactor life: a pack cable pulled for 70 s is opened for, and closed again by itself afterwards")
{
    // SAFE-170, SAFE-158
    World w;
    w.start_up();
    w.pack_cable = false;
    const Instant pulled = w.now;
    REQUIRE(w.run_until([&] { return w.has(FaultId::bat_link_lost); }, 11s));
    CHECK(w.now - pulled >= 9900ms);
    CHECK_FALSE(w.verdict().contactors.power_allowed);
    REQUIRE(w.run_until([&] { return w.verdict().contactors.order == ContactorOrder::open; }, 20s));
    w.run(pulled + 70s - w.now);
    CHECK(closed(w));  // it heard nothing of all that
    w.pack_cable = true;
    REQUIRE(w.run_until([&] { return open(w); }, 10s));
    REQUIRE(w.run_until([&] { return w.verdict().state == GatewayState::run; }, 200s));
    CHECK(closed(w));
    CHECK(contactors(w).counts().opened_under_load == 0);
    CHECK(contactors(w).counts().link_far == 0);
}

TEST_CASE("contactor life: an orderly stop runs the whole sequence, within 25 s, and the pack ends open without load")
{
    // SAFE-217
    World w;
    w.start_up();
    w.inverter->set_wish(-4_kW);
    w.run(20s);
    const Instant asked = w.now;
    w.bridge.request_stop(w.now);
    REQUIRE(w.run_until([&] { return w.verdict().stopped; }, 26s));
    CHECK(w.now - asked <= 25100ms);
    CHECK(open(w));
    check_treated_well(w);
}

TEST_CASE("contactor life: somebody else's commands on the battery bus block, open, and silence us until they cease")
{
    // SAFE-185
    World w;
    w.start_up();
    const auto foreign = w.last(Side::battery, 0x12d);
    REQUIRE(foreign);
    for (int i = 0; i < 3; ++i) {
        w.inject(Side::battery, *foreign);
        w.run(50ms);
    }
    CHECK(w.has(FaultId::id_conflict));
    CHECK(w.verdict().charge.is_zero());
    CHECK_FALSE(w.verdict().mute_battery);
    REQUIRE(w.run_until([&] { return w.verdict().mute_battery; }, 30s));
    CHECK(open(w));
    const std::size_t sent = w.sent.size();
    w.run(5s);
    for (std::size_t i = sent; i < w.sent.size(); ++i) CHECK(w.sent[i].side == Side::inverter);
    w.run(60s);
    CHECK_FALSE(w.has(FaultId::id_conflict));
    CHECK(w.last(Side::battery, 0x12d));
    w.run(60s);
    CHECK(w.verdict().contactors.state == ContactorState::open);  // SAFE-158: not by itself after this
}

TEST_CASE("contactor life: somebody else's frames before our first: nothing is ever sent there")
{
    // SAFE-185
    World w;
    World other;
    other.start_up();
    const auto foreign = other.last(Side::battery, 0x12d);
    REQUIRE(foreign);
    w.inject(Side::battery, *foreign);
    w.inject(Side::battery, *foreign);
    w.run(100s);
    CHECK(w.has(FaultId::id_conflict));
    CHECK(w.verdict().state == GatewayState::trip);
    CHECK_FALSE(w.last(Side::battery, 0x12d));
    CHECK_FALSE(w.last(Side::battery, 0x441));
    CHECK(w.verdict().charge.is_zero());
}

TEST_CASE("contactor life: a battery bus that takes nothing for a moment costs no fault but a warning")
{
    // SAFE-263
    World w;
    w.start_up();
    w.bus_full[0] = true;
    w.run(400ms);
    CHECK(w.has(FaultId::tx_starved));
    w.bus_full[0] = false;
    w.run(1s);
    CHECK(closed(w));
    CHECK_FALSE(w.has(FaultId::tx_guard_refused));
    w.run(15s);
    CHECK_FALSE(w.has(FaultId::tx_starved));
    CHECK(w.verdict().state == GatewayState::run);
    check_treated_well(w, 1);
}
