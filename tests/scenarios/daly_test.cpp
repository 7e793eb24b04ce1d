// A Daly pack in the house: a board that is asked, states no limits, and has MOSFETs where others have contactors.
#include "sim/daly_bms.hpp"
#include "tests/support/world.hpp"

#include <doctest/doctest.h>

#include <string>

using namespace batgw;
using namespace batgw::test;

namespace {

WorldOptions house(std::string extra = {}, sim::BatteryChoice choice = {})
{
    return {.battery = "daly-uart",
        .inverter = "byd-hvs",
        .battery_facts = "  max_charge_w: 2500\n  max_discharge_w: 3000\n  capacity_wh: 5120\n",
        .extra = std::move(extra),
        .pack = choice};
}

struct DalyWorld : World {
    explicit DalyWorld(const WorldOptions& options = house()) : World{options} {}
    sim::DalyBms& board() { return dynamic_cast<sim::DalyBms&>(*pack); }
    std::string tell(const std::string& command) { return pack->command(command); }
    unsigned orders() { return board().orders(); }
    std::size_t written_of(std::uint32_t id) const
    {
        return static_cast<std::size_t>(
            std::count_if(written.begin(), written.end(), [id](const Written& w) { return w.telegram.id == id; }));
    }
};

}  // namespace

TEST_CASE("daly: from nothing to full power, and no MOSFET is touched")
{
    DalyWorld w;
    w.start_up();
    CHECK(w.verdict().charge.power() == 2500_W);
    CHECK(w.verdict().discharge.power() == 3_kW);
    CHECK(w.orders() == 0);
    CHECK(w.verdict().pack.cells == 16U);
    CHECK_FALSE(w.has(FaultId::bms_fault));
    w.inverter->set_wish(1_kW);
    w.run(30s);
    CHECK(magnitude(w.bridge.battery().current.fresh(w.now).value_or(0_A) - w.pack->current()) <= 1_A);
    CHECK(w.pack->current() > 10_A);
    w.inverter->set_wish(-1_kW);
    w.run(30s);
    CHECK(w.bridge.battery().current.fresh(w.now).value_or(0_A) < -10_A);
    CHECK(w.inverter->report().problems.empty());
}

TEST_CASE("daly: nothing is granted before cells, capacity and limits are known")
{
    DalyWorld w;
    w.tell("stop 95");
    w.run(60s);
    CHECK(w.verdict().charge.is_zero());
    CHECK(w.verdict().discharge.is_zero());
    CHECK(w.verdict().waiting == Waiting::battery_identity);
    CHECK_FALSE(w.verdict().voltage_max);
    w.tell("resume all");
    CHECK(w.run_until([&] { return World::settled(w.verdict().charge); }, 120s));
}

TEST_CASE("daly: a configured count that the board contradicts gives no power")
{
    // SAFE-116
    WorldOptions o = house();
    o.battery_facts += "  cells: 15\n";
    DalyWorld w{o};
    w.run(90s);
    CHECK(w.verdict().charge.is_zero());
    CHECK(w.verdict().discharge.is_zero());
    CHECK(w.has(FaultId::identity_mismatch));
}

TEST_CASE("daly: full, and charging ends before the board has to end it")
{
    DalyWorld w{house("safety:\n  soc: {bands: true}\n", {.soc = 90_pct})};
    w.start_up();
    CHECK(w.verdict().charge.power() == 2500_W);
    w.inverter->set_wish(5_kW);
    Power before = w.verdict().charge.power();
    bool half = false, four = false, one = false;
    for (int i = 0; i < 2400 && w.pack->true_soc() < Percent::from_milli(99'900); ++i) {
        w.run(10s);
        const Power now = w.verdict().charge.power();
        CHECK(now <= before);
        before = now;
        const auto soc = w.bridge.battery().soc.fresh(w.now).value_or(0_pct);
        if (soc >= 91_pct && soc < 95_pct) half = half || (now > 0_W && now <= 1250_W);
        if (soc >= 95_pct) CHECK(w.verdict().charge.current() <= 4_A);
        if (soc >= 95_pct) four = four || !w.verdict().charge.is_zero();
        if (soc >= 98_pct) CHECK(w.verdict().charge.current() <= 1_A);
        if (soc >= 98_pct) one = one || !w.verdict().charge.is_zero();
    }
    CHECK(half);
    CHECK(four);
    CHECK(one);
    CHECK_FALSE(w.has(FaultId::bms_fault));
    CHECK_FALSE(w.has(FaultId::cell_high_crit));
}

TEST_CASE("daly: a cell too high takes charging away, discharging stays")
{
    DalyWorld w;
    w.start_up();
    w.tell("cell 7 3.62");
    REQUIRE(w.run_until([&] { return w.verdict().charge.is_zero(); }, 6s));
    CHECK_FALSE(w.verdict().discharge.is_zero());
    // And when the board itself acts, its word counts as well.
    w.tell("cell 7 3.66");
    REQUIRE(w.run_until([&] { return w.has(FaultId::bms_fault, "cell_high_2") && w.has(FaultId::bms_denies); }, 6s));
    CHECK(w.verdict().charge.is_zero());
    w.tell("mend");
    CHECK(w.run_until([&] { return !w.has(FaultId::bms_fault); }, 90s));
    const Instant mended = w.now;
    CHECK(w.run_until([&] { return !w.verdict().charge.is_zero(); }, 120s));
    CHECK(w.now - mended < 120s);
}

TEST_CASE("daly: empty takes discharging away, charging stays")
{
    DalyWorld w{house({}, {.soc = 14_pct})};
    w.start_up();
    CHECK(w.verdict().discharge.power() < 3_kW);
    w.inverter->set_wish(-5_kW);
    REQUIRE(w.run_until([&] { return w.verdict().discharge.is_zero(); }, 7200s));
    CHECK(w.run_until([&] { return w.has(FaultId::soc_low); }, 10s));  // five seconds of it
    CHECK_FALSE(w.verdict().charge.is_zero());
    w.run(30s);
    CHECK(magnitude(w.pack->current()) < 2_A);
}

TEST_CASE("daly: cold gives no charging, whatever the board would do")
{
    DalyWorld w{house({}, {.temperature = Temperature::from_milli(-1500)})};
    CHECK(w.run_until([&] { return World::settled(w.verdict().discharge); }, 120s));
    w.run(60s);
    CHECK(w.verdict().charge.is_zero());
    CHECK(w.has(FaultId::temp_cold));
    CHECK(w.verdict().discharge.power() < 3_kW);
}

TEST_CASE("daly: asleep, it says so and gets nothing; awake, it comes back")
{
    DalyWorld w;
    w.start_up();
    w.tell("sleep on");
    REQUIRE(w.run_until([&] { return w.verdict().charge.is_zero() && w.verdict().discharge.is_zero(); }, 10s));
    REQUIRE(w.run_until([&] { return w.has(FaultId::bms_fault, "asleep"); }, 20s));
    REQUIRE(w.run_until([&] { return w.has(FaultId::bat_link_lost); }, 20s));
    w.run(60s);
    CHECK(w.verdict().charge.is_zero());
    w.tell("sleep off");
    CHECK(w.run_until([&] { return World::settled(w.verdict().charge) && World::settled(w.verdict().discharge); }, 240s));
    CHECK_FALSE(w.has(FaultId::bms_fault, "asleep"));
}

TEST_CASE("daly: silent, zero within ten seconds, and back by itself")
{
    // SAFE-170, SAFE-023
    DalyWorld w;
    w.start_up();
    w.pack_cable = false;
    const Instant pulled = w.now;
    REQUIRE(w.run_until([&] { return w.verdict().charge.is_zero() && w.verdict().discharge.is_zero(); }, 15s));
    CHECK(w.now - pulled <= 10s);
    REQUIRE(w.run_until([&] { return w.has(FaultId::bat_link_lost); }, 15s));
    CHECK(w.now - pulled <= 12s);
    const std::size_t asked = w.written.size();
    w.run(60s);
    CHECK(w.written.size() - asked <= 26);  // two in five seconds
    w.pack_cable = true;
    CHECK(w.run_until([&] { return World::settled(w.verdict().charge) && World::settled(w.verdict().discharge); }, 240s));
}

TEST_CASE("daly: one reading lost takes what needs it, within ten seconds")
{
    // SAFE-022, SAFE-023
    for (const char* command : {"92", "93", "98"}) {
        CAPTURE(command);
        DalyWorld w;
        w.start_up();
        w.tell(std::string{"stop "} + command);
        const Instant from = w.now;
        REQUIRE(w.run_until([&] { return w.verdict().charge.is_zero() && w.verdict().discharge.is_zero(); }, 15s));
        CHECK(w.now - from <= 13s);  // up to three since the last one
    }
}

TEST_CASE("daly: a switch that is off denies its direction only")
{
    DalyWorld w;
    w.start_up();
    w.tell("switch charge off");
    REQUIRE(w.run_until([&] { return w.verdict().charge.is_zero(); }, 5s));
    w.run(20s);
    CHECK_FALSE(w.verdict().discharge.is_zero());
    CHECK(w.has(FaultId::bms_denies));
    w.tell("switch charge on");
    CHECK(w.run_until([&] { return World::settled(w.verdict().charge); }, 120s));
    CHECK(w.orders() == 0);
}

TEST_CASE("daly: a cell of zero volts is a broken wire: no power either way, and no 0.000 V shown")
{
    DalyWorld w;
    w.start_up();
    w.tell("cell 3 0");
    REQUIRE(w.run_until([&] { return w.verdict().charge.is_zero() && w.verdict().discharge.is_zero(); }, 12s));
    const auto cells = w.bridge.battery().cells.last();
    REQUIRE(cells);
    CHECK((*cells)[2].value_or(0_V) > 3_V);
}

TEST_CASE("daly: the sign found out by itself, and no power before")
{
    WorldOptions o = house();
    o.battery_extra = "  options: {current_sign: auto}\n";
    DalyWorld w{o};
    w.tell("sign charge");
    w.run(60s);
    CHECK(w.verdict().charge.is_zero());
    CHECK(w.verdict().discharge.is_zero());
    CHECK(w.has(FaultId::bms_fault, "current_sign_unknown"));
    w.tell("beside 20");
    w.run(10s);
    CHECK(w.has(FaultId::bms_fault, "sign:charge_positive"));
    CHECK(w.bridge.battery().current.fresh(w.now).value_or(0_A) > 19_A);
    CHECK(w.run_until([&] { return World::settled(w.verdict().charge); }, 120s));
}

// ---- MOSFETs as contactors ----

namespace {

constexpr const char* commanded = "contactors:\n  mode: bms_command\n";

Command contactor(bool close)
{
    Command c;
    c.kind = CommandKind::contactor;
    c.on = close;
    return c;
}

}  // namespace

TEST_CASE("daly, commanded: found closed and held closed without an order")
{
    // SAFE-161
    DalyWorld w{house(commanded)};
    w.start_up();
    CHECK(w.orders() == 0);
    CHECK(w.verdict().contactors.state == ContactorState::closed);
}

TEST_CASE("daly, commanded: found open, closed after all guards, two orders")
{
    // SAFE-141
    DalyWorld w{house(commanded)};
    w.tell("switch charge off");
    w.tell("switch discharge off");
    const Instant from = w.now;
    REQUIRE(w.run_until([&] { return w.orders() > 0; }, 60s));
    CHECK(w.now - from >= 10s);
    CHECK(w.verdict().charge.is_zero());
    w.start_up();
    CHECK(w.orders() == 2);
    CHECK(w.written_of(0xDA) == 1);
    CHECK(w.written_of(0xD9) == 1);
    CHECK(w.verdict().contactors.state == ContactorState::closed);
}

TEST_CASE("daly, commanded: an operator opens, without load, and closes again")
{
    // SAFE-153, SAFE-158
    DalyWorld w{house(commanded)};
    w.start_up();
    w.inverter->set_wish(-1_kW);
    w.run(20s);
    CHECK(w.pack->current() < -5_A);
    REQUIRE(w.command(contactor(false)).code == CommandCode::ok);
    Current at_order = 1000_A;
    REQUIRE(w.run_until(
        [&] {
            if (w.orders() > 0 && at_order == 1000_A) at_order = magnitude(w.pack->current());
            return w.pack->connection() == sim::Connection::open;
        },
        30s));
    CHECK(at_order <= 2_A);
    w.run(120s);
    CHECK(w.pack->connection() == sim::Connection::open);
    CHECK(w.verdict().contactors.state == ContactorState::open);
    CHECK(w.orders() == 2);
    REQUIRE(w.command(contactor(true)).code == CommandCode::ok);
    CHECK(w.run_until([&] { return w.pack->connection() == sim::Connection::closed; }, 30s));
    CHECK(w.run_until([&] { return World::settled(w.verdict().discharge); }, 120s));
    CHECK(w.orders() == 4);
}

TEST_CASE("daly, commanded: a load that does not stop is switched off after the longest wait")
{
    // SAFE-153
    DalyWorld w{house(commanded)};
    w.start_up();
    w.inverter->command("ignore on");
    w.inverter->set_wish(-1_kW);
    w.run(20s);
    REQUIRE(w.command(contactor(false)).code == CommandCode::ok);
    const Instant asked = w.now;
    CHECK(w.run_until([&] { return w.pack->connection() == sim::Connection::open; }, 20s));
    CHECK(w.now - asked >= 9s);
    CHECK(w.now - asked <= 15s);
}

TEST_CASE("daly, commanded: an orderly stop opens, and with on_exit leave it does not")
{
    // SAFE-217
    for (const bool leave : {false, true}) {
        DalyWorld w{house(std::string{commanded} + (leave ? "safety:\n  contactors: {on_exit: leave}\n" : ""))};
        w.start_up();
        w.bridge.request_stop(w.now);
        REQUIRE(w.run_until([&] { return w.verdict().stopped; }, 30s));
        CHECK((w.pack->connection() == sim::Connection::closed) == leave);
        CHECK(w.orders() == (leave ? 0 : 2));
    }
}

TEST_CASE("daly, commanded: a trip opens, and nothing closes again")
{
    // SAFE-158
    DalyWorld w{house(commanded)};
    w.start_up();
    w.tell("cell 5 3.75");
    REQUIRE(w.run_until([&] { return w.pack->connection() == sim::Connection::open; }, 40s));
    CHECK(w.verdict().state == GatewayState::trip);
    w.tell("cell 5 off");
    w.run(300s);
    CHECK(w.pack->connection() == sim::Connection::open);
}

TEST_CASE("daly, commanded: what the board says is wrong keeps it open, and lets it close when it is over")
{
    // SAFE-141
    DalyWorld w{house(commanded)};
    w.tell("switch charge off");
    w.tell("switch discharge off");
    w.tell("fault 6 2 on");  // short circuit
    w.run(60s);
    CHECK(w.orders() == 0);
    CHECK(w.has(FaultId::bms_fault, "short_circuit"));
    w.tell("fault 6 2 off");
    CHECK(w.run_until([&] { return w.verdict().contactors.state == ContactorState::closed; }, 120s));
    CHECK(w.orders() == 2);
}

TEST_CASE("daly, commanded: switched off by the board itself, nothing closes until an operator says so")
{
    // SAFE-158
    DalyWorld w{house(commanded)};
    w.start_up();
    w.tell("switch charge off");
    w.tell("switch discharge off");
    REQUIRE(w.run_until([&] { return w.verdict().contactors.state == ContactorState::open; }, 20s));
    w.run(300s);
    CHECK(w.orders() == 0);
    CHECK(w.pack->connection() == sim::Connection::open);
    REQUIRE(w.command(contactor(true)).code == CommandCode::ok);
    CHECK(w.run_until([&] { return World::settled(w.verdict().charge); }, 120s));
    CHECK(w.orders() == 2);
}

TEST_CASE("daly, commanded: silent for a minute, opened as soon as it hears again, closed by itself afterwards")
{
    // SAFE-170, SAFE-158
    DalyWorld w{house(commanded)};
    w.start_up();
    w.pack_cable = false;
    w.run(90s);
    CHECK(w.verdict().charge.is_zero());
    CHECK(w.pack->connection() == sim::Connection::closed);
    CHECK(w.verdict().contactors.state != ContactorState::open);  // nobody can know
    w.pack_cable = true;
    REQUIRE(w.run_until([&] { return w.pack->connection() == sim::Connection::open; }, 30s));
    CHECK(w.run_until([&] { return World::settled(w.verdict().charge); }, 300s));
    CHECK(w.pack->connection() == sim::Connection::closed);
}

TEST_CASE("daly, observing: not a byte is written")
{
    // SAFE-244
    DalyWorld w{house("safety:\n  mode: observe\n")};
    w.run(60s);
    CHECK(w.written.empty());
    CHECK(w.verdict().charge.is_zero());
}
