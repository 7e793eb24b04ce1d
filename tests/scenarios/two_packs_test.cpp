// Two simulated packs in parallel on one simulated inverter, under the whole gateway.
#include "sim/byd_atto3_pack.hpp"
#include "tests/support/world.hpp"

#include <doctest/doctest.h>

using namespace batgw;
using namespace batgw::test;

namespace {

// `soc`: of the second pack.
WorldOptions two_packs(Percent soc = 55_pct)
{
    WorldOptions o;
    o.pack.soc = 55_pct;
    o.second = sim::BatteryChoice{.soc = soc, .seed = 2};
    return o;
}

bool is_closed(const sim::SimulatedBattery& pack) { return pack.connection() == sim::Connection::closed; }
bool is_open(const sim::SimulatedBattery& pack) { return pack.connection() == sim::Connection::open; }

void check_treated_well(const sim::SimulatedBattery& pack)
{
    const auto& c = dynamic_cast<const sim::BydAtto3Pack&>(pack).contactors().counts();
    CHECK(c.opened_under_load == 0);
    CHECK(c.refused_early_link == 0);
    CHECK(c.precharge_failures == 0);
    CHECK(c.bad_checksums == 0);
}

// Both closed, both at full limits.
void start_both(World& w)
{
    w.inverter->set_wish(Power{});
    REQUIRE(w.run_until(
        [&] {
            return is_closed(*w.pack) && is_closed(*w.pack2) && World::settled(w.verdict().charge) &&
                World::settled(w.verdict().discharge);
        },
        180s));
}

bool refused_anything(World& w)
{
    Snapshot s;
    w.bridge.fill(s, w.now);
    bool any = false;
    for (const Snapshot::Pack& p : s.packs) any = any || p.bus.traffic.refused > 0;
    return any || s.buses[1].traffic.refused > 0;
}

}  // namespace

TEST_CASE("two packs: they close one after the other, share the work, and both are open at the end")
{
    // SAFE-280, SAFE-281, SAFE-282, SAFE-217
    World w{two_packs()};
    start_both(w);
    CHECK(w.verdict().charge.power() == 20_kW);
    CHECK(w.verdict().state == GatewayState::run);
    CHECK(w.plant.worst_closing_step() < 15_V);

    w.inverter->set_wish(8_kW);
    w.run(60s);
    CHECK(w.pack->current() > 5_A);
    CHECK(w.pack2->current() > 5_A);
    CHECK(w.bridge.battery().current.last().value_or(Current{}) > 15_A);
    CHECK_FALSE(w.has(FaultId::pack_mismatch));
    CHECK_FALSE(w.has(FaultId::limit_exceeded));
    CHECK_FALSE(w.has(FaultId::plausibility));
    CHECK(w.inverter->report().problems.empty());

    w.bridge.request_stop(w.now);
    REQUIRE(w.run_until([&] { return w.verdict().stopped; }, 30s));
    CHECK(is_open(*w.pack));
    CHECK(is_open(*w.pack2));
    check_treated_well(*w.pack);
    check_treated_well(*w.pack2);
    CHECK_FALSE(refused_anything(w));
}

TEST_CASE("two packs: one whose voltage is not that of the other waits outside, and joins when it is")
{
    // SAFE-281
    World w{two_packs(99_pct)};
    w.start_up();
    w.run(120s);
    CHECK(is_closed(*w.pack));
    CHECK(is_open(*w.pack2));
    CHECK(w.bridge.pack_verdict(1).waiting == Waiting::parallel);
    CHECK(w.verdict().charge.power() == 10_kW);
    CHECK(w.pack2->current() == Current{});

    w.pack2->command("soc 55");
    w.run(5s);
    CHECK(is_open(*w.pack2));
    REQUIRE(w.run_until([&] { return is_closed(*w.pack2); }, 60s));
    REQUIRE(w.run_until([&] { return World::settled(w.verdict().charge); }, 60s));
    CHECK(w.verdict().charge.power() == 20_kW);
    check_treated_well(*w.pack);
    check_treated_well(*w.pack2);
}

TEST_CASE("two packs: one trips under load: nothing is asked of either until it is out, then the other goes on")
{
    // SAFE-280, SAFE-282
    World w{two_packs()};
    start_both(w);
    w.inverter->set_wish(Power::from_milli(-6'000'000));
    w.run(30s);
    REQUIRE(w.pack2->current() < Current::from_milli(-3000));
    w.pack2->command("cell 9 3.75");
    REQUIRE(w.run_until([&] { return w.bridge.pack_verdict(1).worst >= FaultClass::trip; }, 20s));
    CHECK(w.verdict().charge.is_zero());
    CHECK(w.verdict().discharge.is_zero());
    REQUIRE(w.run_until([&] { return is_open(*w.pack2); }, 30s));
    CHECK(is_closed(*w.pack));
    REQUIRE(w.run_until([&] { return World::settled(w.verdict().discharge); }, 60s));
    CHECK(w.verdict().discharge.power() == 10_kW);
    CHECK(w.verdict().worst < FaultClass::trip);
    w.run(60s);
    CHECK(w.pack->current() < Current::from_milli(-10'000));
    CHECK(w.bridge.pack_verdict(0).worst < FaultClass::block);

    // People are told, with its number.
    Snapshot s;
    w.bridge.fill(s, w.now);
    REQUIRE(s.packs.size() == 2);
    CHECK(s.verdict.worst == FaultClass::trip);
    const auto told = std::find_if(
        s.verdict.faults.begin(), s.verdict.faults.end(), [](const ActiveFault& f) { return f.id == FaultId::cell_high_crit; });
    REQUIRE(told != s.verdict.faults.end());
    CHECK(told->device_number == 2);
    check_treated_well(*w.pack2);
}

TEST_CASE("two packs: one goes silent: nothing is asked of either while nobody knows whether it is closed")
{
    // SAFE-282, SAFE-170
    World w{two_packs()};
    start_both(w);
    w.inverter->set_wish(4_kW);
    w.run(20s);
    w.pack2_cable = false;
    w.run(15s);
    CHECK(w.verdict().charge.is_zero());
    CHECK(w.verdict().discharge.is_zero());
    w.run(300s);
    CHECK(w.verdict().charge.is_zero());
    CHECK(is_closed(*w.pack));
    CHECK_FALSE(w.verdict().ready);
    CHECK(magnitude(w.inverter->current()) < 1_A);
    // The other alone has no fault of a battery.
    CHECK(w.bridge.pack_verdict(0).battery_link);
    CHECK_FALSE(w.bridge.pack_verdict(1).battery_link);

    w.pack2_cable = true;
    REQUIRE(w.run_until([&] { return World::settled(w.verdict().charge); }, 300s));
}

TEST_CASE("two packs: with the first one's bus gone the second is not closed alone onto the unknown")
{
    // SAFE-281
    World w{two_packs()};
    w.inverter->set_wish(Power{});
    w.pack_cable = false;
    w.run(180s);
    CHECK(is_open(*w.pack2));
    CHECK(w.verdict().charge.is_zero());
}

TEST_CASE("two packs: the operator's command opens both, and closes both one after the other")
{
    // SAFE-142, SAFE-281
    World w{two_packs()};
    start_both(w);
    Command c;
    c.kind = CommandKind::contactor;
    c.on = true;
    CHECK(w.command(c).code == CommandCode::unchanged);
    c.on = false;
    w.command(c);
    REQUIRE(w.run_until([&] { return is_open(*w.pack) && is_open(*w.pack2); }, 60s));
    w.run(60s);
    CHECK(w.verdict().contactors.state == ContactorState::open);
    c.on = true;
    CHECK(w.command(c).code == CommandCode::ok);
    bool both_at_once = false;
    w.beside = [&] {
        both_at_once = both_at_once ||
            (w.pack->connection() == sim::Connection::precharge && w.pack2->connection() == sim::Connection::precharge);
    };
    REQUIRE(w.run_until([&] { return is_closed(*w.pack) && is_closed(*w.pack2); }, 120s));
    CHECK_FALSE(both_at_once);
}

TEST_CASE("two packs: a set-up that starts while both are closed holds them closed")
{
    // SAFE-161, SAFE-215, SAFE-280
    World before{two_packs()};
    start_both(before);
    WorldOptions again = two_packs();
    again.same_pack = before.pack;
    again.same_pack2 = before.pack2;
    again.start = before.now + 500ms;
    World w{again};
    bool opened = false;
    w.beside = [&] { opened = opened || !is_closed(*w.pack) || !is_closed(*w.pack2); };
    start_both(w);
    CHECK_FALSE(opened);
}

TEST_CASE("two packs: the operator's limits are those of both together")
{
    // SAFE-191, SAFE-282
    World w{two_packs()};
    start_both(w);
    CHECK(w.bridge.operator_state().max_charge == 20_kW);
    Command c;
    c.kind = CommandKind::max_charge;
    c.charge_power = 12_kW;
    CHECK(w.command(c).code == CommandCode::ok);
    CHECK(w.verdict().charge.power() == 12_kW);
    c.charge_power = 21_kW;
    CHECK(w.command(c).code == CommandCode::out_of_range);
}
