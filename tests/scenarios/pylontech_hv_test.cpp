// Days of a house with a Pylontech high-voltage inverter, in virtual time: the real bridge between a simulated Atto 3 and an
// inverter that asks.
#include "sim/pylontech_hv_inverter.hpp"
#include "tests/support/world.hpp"

using namespace batgw;
using namespace batgw::test;

namespace {

WorldOptions house(std::optional<Percent> soc = {}, std::string_view options = {})
{
    WorldOptions o;
    o.inverter = "pylontech-hv";
    o.pack.soc = soc;
    if (!options.empty()) o.inverter_extra = "  options:\n" + std::string{options};
    return o;
}
const sim::PylontechHvInverter& inverter(const World& w) { return dynamic_cast<const sim::PylontechHvInverter&>(*w.inverter); }
std::size_t count(const World& w, std::uint32_t id, Instant since = {})
{
    return static_cast<std::size_t>(std::count_if(w.sent.begin(), w.sent.end(),
        [&](const Seen& s) { return s.side == Side::inverter && s.frame.id == id && s.at >= since; }));
}
bool zero(const World& w)
{
    const auto limits = w.last(Side::inverter, 0x4220), marks = w.last(Side::inverter, 0x4280);
    const auto none = [](const CanFrame& f, std::size_t at) { return f.data[at] == 0x30 && f.data[at + 1] == 0x75; };
    return limits && marks && none(*limits, 4) && none(*limits, 6) && marks->data[0] == 0xAA && marks->data[1] == 0xAA;
}

}  // namespace

TEST_CASE("pylontech_hv: start: silence, then zeros and marks, then closed contactors, then power")
{
    World w{house()};
    REQUIRE(w.run_until([&] { return count(w, 0x4290) > 0; }, 30s));
    CHECK(w.bridge.inverter().phase == InverterPhase::hold);
    REQUIRE(w.run_until([&] { return w.verdict().contactors.state == ContactorState::closed; }, 30s));
    // SAFE-003, SAFE-214: nothing but zeros was said before, and only under 29-bit identifiers.
    for (const Seen& s : w.sent) {
        if (s.side != Side::inverter) continue;
        REQUIRE(s.frame.extended);
        if (s.frame.id == 0x4280) REQUIRE((s.frame.data[0] == 0xAA && s.frame.data[1] == 0xAA));
    }
    CHECK(zero(w));
    w.start_up();
    w.run(2s);
    CHECK(w.verdict().state == GatewayState::run);
    CHECK(inverter(w).told().maker == "PYLONTEC");
    CHECK(inverter(w).charge_limit() > 20_A);
    CHECK(inverter(w).discharge_limit() > 20_A);
    CHECK(w.inverter->report().satisfied());
}

TEST_CASE("pylontech_hv: a normal afternoon leaves the inverter without a complaint")
{
    World w{house(60_pct)};
    w.start_up();
    for (const Power wish : {8_kW, Power{}, -6_kW, 3_kW}) {
        w.inverter->set_wish(wish);
        w.run(20min);
        CHECK(w.verdict().worst < FaultClass::block);
        w.sent.clear();
    }
    CHECK(w.inverter->report().problems.empty());
    CHECK_FALSE(w.has(FaultId::tx_guard_refused));
    CHECK_FALSE(w.has(FaultId::tx_starved));
}

TEST_CASE("pylontech_hv: full: charging is forbidden, discharging stays allowed")
{
    World w{house(97_pct)};
    w.start_up();
    w.inverter->set_wish(10_kW);
    REQUIRE(w.run_until([&] { return w.verdict().charge.is_zero(); }, 2h));
    w.run(3s);
    CHECK(inverter(w).charge_limit() == 0_A);  // SAFE-094
    CHECK(inverter(w).told().charge_forbidden);
    CHECK_FALSE(inverter(w).told().discharge_forbidden);
    CHECK(w.inverter->current() <= 0_A);
    CHECK(w.verdict().worst < FaultClass::trip);
    CHECK(w.inverter->report().problems.empty());
}

TEST_CASE("pylontech_hv: empty: discharging is forbidden, charging stays allowed")
{
    World w{house(13_pct)};
    w.start_up();
    w.inverter->set_wish(-10_kW);
    REQUIRE(w.run_until([&] { return w.verdict().discharge.is_zero(); }, 3h));
    w.run(10s);
    CHECK(inverter(w).discharge_limit() == 0_A);
    CHECK(inverter(w).told().discharge_forbidden);
    CHECK_FALSE(inverter(w).told().charge_forbidden);
    CHECK(w.inverter->current() >= 0_A);
    CHECK(w.inverter->report().problems.empty());
}

TEST_CASE("pylontech_hv: the limit falls with the inverter's next question, whenever it falls")
{
    World w{house()};
    w.start_up();
    w.inverter->set_wish(5_kW);
    w.run(10s);
    for (int i = 0; i < 20; ++i) {
        w.run(30s + i * 53ms);
        w.command({.kind = CommandKind::charge, .on = false});
        const Instant told = w.now;
        REQUIRE(w.run_until([&] { return inverter(w).charge_limit() == 0_A && inverter(w).told().charge_forbidden; }, 5s));
        CHECK(w.now - told <= 1200ms);  // its beat, and an answer
        w.command({.kind = CommandKind::charge, .on = true});
    }
    CHECK(w.inverter->report().problems.empty());
}

TEST_CASE("pylontech_hv: a lost battery is told of with zeros and the communication fault, and power returns with it")
{
    World w{house()};
    w.start_up();
    w.inverter->set_wish(5_kW);
    w.run(10s);
    const Instant pulled = w.now;
    w.pack_cable = false;
    REQUIRE(w.run_until([&] { return zero(w); }, 20s));
    CHECK(w.now - pulled <= 8s);
    REQUIRE(w.run_until([&] { return w.has(FaultId::bat_link_lost); }, 20s));
    w.run(2s);
    CHECK((inverter(w).told().faults & 4) != 0);
    // SAFE-112: the answers do not end.
    const Instant later = w.now;
    w.run(5min);
    CHECK(count(w, 0x4290, later) >= 290);
    CHECK(zero(w));
    w.pack_cable = true;
    REQUIRE(w.run_until([&] { return w.verdict().battery_link; }, 60s));
    w.start_up();
    w.run(3s);
    CHECK(inverter(w).told().faults == 0);
    CHECK(inverter(w).charge_limit() > 20_A);
}

TEST_CASE("pylontech_hv: a lost inverter is missed after a minute, and served from zero when it asks again")
{
    World w{house()};
    w.start_up();
    w.inverter->command("silent on");
    w.run(500ms);
    const Instant quiet = w.now;
    w.run(55s);
    CHECK(count(w, 0x4210, quiet) == 0);  // nobody asks, nothing is said
    CHECK_FALSE(w.has(FaultId::inv_link_lost));
    w.run(10s);
    CHECK(w.has(FaultId::inv_link_lost));  // SAFE-180
    CHECK(w.verdict().charge.is_zero());
    CHECK(w.bridge.inverter().phase == InverterPhase::silent);
    w.inverter->command("silent off");
    const Instant back = w.now;
    REQUIRE(w.run_until([&] { return count(w, 0x4290, back) > 0; }, 10s));
    CHECK(zero(w));  // SAFE-182
    w.start_up();
    CHECK(inverter(w).charge_limit() > 20_A);
}

TEST_CASE("pylontech_hv: an inverter that never asks is told all the same, if so configured")
{
    World w{house({}, "    unasked: true\n")};
    w.inverter->command("silent on");
    w.start_up();
    w.inverter->set_wish(5_kW);
    w.run(10min);
    CHECK(w.inverter->current() > 10_A);
    CHECK(w.inverter->report().satisfied());
    const Instant told = w.now;
    w.command({.kind = CommandKind::charge, .on = false});
    REQUIRE(w.run_until([&] { return inverter(w).told().charge_forbidden; }, 5s));
    CHECK(w.now - told <= 400ms);
}

TEST_CASE("pylontech_hv: another address and the other sign work as well")
{
    World w{house({}, "    address: 1\n    discharge_sign: minus\n    name: Deye\n")};
    w.inverter->command("address 1");
    w.inverter->command("sign minus");
    w.start_up();
    w.run(3s);
    CHECK(w.inverter->report().satisfied());
    CHECK(inverter(w).told().maker == "Deye");
    CHECK(inverter(w).discharge_limit() > 20_A);
    CHECK(count(w, 0x4210) == 0);
    CHECK(count(w, 0x4211) > 0);
    // SAFE-185: a neighbour under another address is no conflict, one under ours is.
    for (int i = 0; i < 10; ++i) w.inject(Side::inverter, {.id = 0x4212, .extended = true});
    w.run(1s);
    CHECK_FALSE(w.has(FaultId::id_conflict));
    for (int i = 0; i < 10; ++i) w.inject(Side::inverter, {.id = 0x4211, .extended = true});
    w.run(1s);
    CHECK(w.has(FaultId::id_conflict));
}

TEST_CASE("pylontech_hv: orders of the inverter change nothing, and are answered as the protocol wants")
{
    World w{house()};
    w.start_up();
    for (const char* order : {"sleep", "charge", "discharge", "mask"}) {
        w.inverter->command("order " + std::string{order});
        w.run(10s);
        CHECK(w.verdict().state == GatewayState::run);
        CHECK(inverter(w).charge_limit() > 20_A);
    }
    CHECK(inverter(w).told().refusals == 1);
    CHECK(w.inverter->report().problems.empty());
}

TEST_CASE("pylontech_hv: stop: zeros first, then open contactors, then no more answers")
{
    World w{house()};
    w.start_up();
    w.inverter->set_wish(5_kW);
    w.run(10s);
    w.bridge.request_stop(w.now);
    w.run(1500ms);
    CHECK(zero(w));
    REQUIRE(w.run_until([&] { return w.verdict().stopped; }, 30s));
    CHECK(w.pack->connection() == sim::Connection::open);
    const Instant stopped = w.now;
    w.run(10s);
    CHECK(count(w, 0x4210, stopped) == 0);
}
