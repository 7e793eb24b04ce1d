// A Deye tower in a house, in virtual time: the real bridge between it and a simulated inverter.
#include "tests/support/world.hpp"

using namespace batgw;
using namespace batgw::test;

namespace {

WorldOptions tower(std::optional<Percent> soc = {}, unsigned modules = 2)
{
    WorldOptions o;
    o.battery = "deye";
    o.battery_facts = "  max_charge_w: 4000\n  max_discharge_w: 6000\n";
    o.pack.soc = soc;
    o.pack.modules = modules;
    return o;
}

void say(World& w, std::string_view line) { REQUIRE(w.pack->command(line).starts_with("ok")); }

bool says(const World& w, std::string_view code) { return w.has(FaultId::bms_fault, code); }

}  // namespace

TEST_CASE("deye house: starts by itself, sends the tower nothing, and serves its own limits")
{
    World w{tower()};
    w.start_up();
    CHECK(w.verdict().state == GatewayState::run);
    CHECK(w.verdict().pack.cells == 16U);
    CHECK(w.verdict().pack.energy_rated == 10'240_Wh);
    CHECK(w.verdict().charge.power() == 4_kW);
    CHECK(w.verdict().discharge.power() == 6_kW);
    CHECK(w.verdict().voltage_max == 57.6_V);  // as the tower asks
    CHECK(w.verdict().voltage_max_asked);
    CHECK(w.verdict().voltage_min_asked);
    CHECK(w.verdict().voltage_min == 48_V);
    CHECK(w.bridge.battery().modules.size() == 2);
    w.run(10min);
    for (const Seen& s : w.sent) CHECK(s.side == Side::inverter);
    CHECK(w.inverter->report().satisfied());
}

TEST_CASE("deye house: the tower's own limit is the ceiling, and a lower one acts at once")
{
    World w{tower()};
    w.start_up();
    say(w, "limit charge 20");
    w.run(1200ms);
    CHECK(w.verdict().charge.current() <= 20_A);
    CHECK(w.verdict().charge.by() == Cause::battery);
    say(w, "limit discharge 0");
    w.run(1200ms);
    CHECK(w.verdict().discharge.is_zero());
    say(w, "limit discharge off");
    CHECK(w.run_until([&] { return w.verdict().discharge.power() == 6_kW; }, 60s));
}

TEST_CASE("deye house: a full tower is not charged, whatever it offers for a second, and may be discharged")
{
    World w{tower(99_pct)};
    w.start_up();
    w.inverter->set_wish(4_kW);
    REQUIRE(w.run_until([&] { return !w.bridge.battery().charge_allowed.last().value_or(true); }, 2h));
    w.run(5s);
    CHECK(w.has(FaultId::bms_denies));
    // SAFE-070: some twenty of its pulses.
    for (int i = 0; i < 400; ++i) {
        w.run(1s);
        REQUIRE(w.verdict().charge.is_zero());
        REQUIRE(w.bridge.battery().charge_limit_current.last() == 0_A);
    }
    CHECK_FALSE(w.verdict().discharge.is_zero());
    w.inverter->set_wish(-3_kW);
    CHECK(w.run_until([&] { return !w.verdict().charge.is_zero(); }, 1h));
    CHECK(w.verdict().worst < FaultClass::trip);
}

TEST_CASE("deye house: an empty tower is not discharged and asks to be charged")
{
    World w{tower(14_pct)};
    w.start_up();
    w.inverter->set_wish(-6_kW);
    REQUIRE(w.run_until([&] { return w.verdict().discharge.is_zero(); }, 2h));
    w.run(10s);
    CHECK(w.has(FaultId::soc_low));
    CHECK(w.bridge.battery().charge_requested.fresh(w.now) == true);
    CHECK_FALSE(w.verdict().charge.is_zero());
    w.inverter->set_wish(4_kW);
    CHECK(w.run_until([&] { return !w.verdict().discharge.is_zero(); }, 2h));
}

TEST_CASE("deye house: a nearly empty tower asks a Pylontech inverter to charge it, and stops asking when it has had enough")
{
    WorldOptions o = tower(19_pct);
    o.inverter = "pylontech-lv";
    World w{o};
    w.start_up();
    w.run(3s);
    const auto asks = [&w] {
        const auto f = w.last(Side::inverter, 0x35C);
        REQUIRE(f.has_value());
        return f->data[0];
    };
    CHECK(asks() == 0xD0);
    w.inverter->set_wish(4_kW);
    CHECK(w.run_until([&] { return asks() == 0xC0; }, 2h));
    CHECK(w.bridge.battery().soc.last() >= 23_pct);
    for (const std::string& p : w.inverter->report().problems) FAIL_CHECK(p);
}

TEST_CASE("deye house: no charge in the cold, and less discharge")
{
    World w{tower()};
    w.start_up();
    say(w, "temp -2");
    w.run(60s);
    CHECK(w.verdict().charge.is_zero());
    CHECK(w.has(FaultId::temp_cold));
    CHECK(w.verdict().discharge.power() < 6_kW);
    CHECK_FALSE(w.verdict().discharge.is_zero());
    say(w, "temp 20");
    CHECK(w.run_until([&] { return w.verdict().charge.power() == 4_kW; }, 180s));
}

TEST_CASE("deye house: a module that is lost is told, and the rest goes on with what it still allows")
{
    for (const char* profile : {"profile native", "profile victron"}) {
        CAPTURE(profile);
        World w{tower({}, 3)};
        say(w, profile);
        w.start_up();
        say(w, "lose 2");
        for (int i = 0; i < 20; ++i) {
            w.run(1s);
            REQUIRE_FALSE(w.verdict().discharge.is_zero());
        }
        CHECK(says(w, "module lost"));
        CHECK(w.bridge.battery().modules.size() == 2);
        CHECK(w.bridge.battery().charge_limit_current.last() == 100_A);
        say(w, "join 2");
        CHECK(w.run_until([&] { return w.bridge.battery().modules.size() == 3 && !says(w, "module lost"); }, 60s));
        CHECK(w.bridge.battery().charge_limit_current.last() == 150_A);
    }
}

TEST_CASE("deye house: the profile is changed while power flows; the sign of the current is never the wrong one")
{
    World w{tower()};
    w.start_up();
    w.inverter->set_wish(3_kW);
    w.run(30s);
    const char* wanted = "profile victron";
    for (int turn = 0; turn < 4; ++turn) {
        say(w, wanted);
        for (int i = 0; i < 2000; ++i) {
            w.run(10ms);
            if (const auto flow = w.bridge.battery().current.fresh(w.now)) REQUIRE(*flow > 20_A);
        }
        CHECK(w.bridge.battery().current.is_fresh(w.now));
        wanted = turn % 2 == 0 ? "profile native" : "profile victron";
    }
    CHECK(w.verdict().worst < FaultClass::trip);
}

TEST_CASE("deye house: silence is zero limits in time, and power comes back with the tower")
{
    World w{tower()};
    w.start_up();
    const Instant silent = w.now;
    say(w, "silent on");
    REQUIRE(w.run_until([&] { return w.verdict().charge.is_zero() && w.verdict().discharge.is_zero(); }, 10s));
    CHECK(w.now - silent <= 6100ms);  // SAFE-021, SAFE-023: three periods, and the ramp at the longest
    w.run(10s);
    CHECK(w.has(FaultId::bat_link_lost));  // SAFE-170
    say(w, "silent off");
    CHECK(w.run_until([&] { return w.verdict().charge.power() == 4_kW; }, 120s));
    CHECK(w.verdict().state == GatewayState::run);
}

TEST_CASE("deye house: faults of one module act by their kind: a warning, one direction, both, and for good")
{
    World w{tower()};
    w.start_up();
    say(w, "alarm 2 32 on");  // cell high voltage
    w.run(5s);
    CHECK(says(w, "cell high voltage"));
    CHECK_FALSE(w.verdict().charge.is_zero());
    say(w, "alarm 2 0 on");  // cell over-voltage
    w.run(5s);
    CHECK(w.verdict().charge.is_zero());
    CHECK_FALSE(w.verdict().discharge.is_zero());
    say(w, "alarm 2 29 on");  // internal communication
    w.run(5s);
    CHECK(w.verdict().discharge.is_zero());
    for (const char* off : {"alarm 2 32 off", "alarm 2 0 off", "alarm 2 29 off"}) say(w, off);
    CHECK(w.run_until([&] { return w.verdict().charge.power() == 4_kW; }, 120s));
    say(w, "alarm 2 52 on");  // fuse blown
    w.run(5s);
    CHECK(w.verdict().state == GatewayState::trip);
    say(w, "alarm 2 52 off");
    w.run(5min);
    CHECK(w.verdict().state == GatewayState::trip);
    CHECK(w.verdict().charge.is_zero());
}

TEST_CASE("deye house: old firmware and old habits: all zeros in 0x35C hold nothing up")
{
    World w{tower()};
    say(w, "firmware old");
    w.start_up();
    CHECK(w.verdict().charge.power() == 4_kW);
}

TEST_CASE("deye house: a heartbeat, when configured, and nothing else; another one on the bus is no conflict")
{
    WorldOptions o = tower();
    o.battery_extra = "  options:\n    heartbeat: true\n";
    World w{o};
    w.start_up();
    std::size_t beats = 0;
    for (const Seen& s : w.sent) {
        if (s.side != Side::battery) continue;
        CHECK(s.frame == CanFrame{.id = 0x305});
        ++beats;
    }
    CHECK(beats > 5);
    w.sent.clear();
    for (int i = 0; i < 20; ++i) {
        w.inject(Side::battery, CanFrame{.id = 0x305});
        w.run(1s);
    }
    CHECK_FALSE(w.has(FaultId::id_conflict));
    CHECK_FALSE(w.last(Side::battery, 0x305));
    CHECK(w.verdict().state == GatewayState::run);
}

TEST_CASE("deye house: a count of cells that is not the configured one grants nothing")
{
    WorldOptions o = tower();
    o.battery_extra = "  cells: 15\n";
    World w{o};
    w.run(2min);
    CHECK(w.has(FaultId::identity_mismatch));  // SAFE-116
    CHECK(w.verdict().charge.is_zero());
    CHECK(w.verdict().discharge.is_zero());
}

TEST_CASE("deye house: a day of filling and emptying a tower of sixteen")
{
    WorldOptions o = tower({}, 16);
    o.battery_facts = "";
    World w{o};
    w.start_up();
    CHECK(w.bridge.battery().modules.full());
    for (const Power wish : {9_kW, -9_kW}) {
        w.inverter->set_wish(wish);
        w.run(30min);
        CHECK(w.verdict().worst < FaultClass::trip);
        CHECK(w.verdict().state == GatewayState::run);
        CHECK_FALSE(says(w, "module lost"));
        w.sent.clear();
    }
    CHECK(w.inverter->report().problems.empty());
}
