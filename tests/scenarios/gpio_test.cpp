// A house whose contactors hang on lines of the gateway: the real bridge, a Deye tower, a BYD inverter, and a simulated box of
// relays between them.
#include "sim/contactor_box.hpp"
#include "tests/support/world.hpp"

#include <string>
#include <vector>

using namespace batgw;
using namespace batgw::test;

namespace {

WorldOptions house(std::string gpio = {}, const std::string& safety = {})
{
    WorldOptions o;
    o.battery = "deye";
    o.battery_facts = "  max_charge_w: 4000\n  max_discharge_w: 6000\n";
    o.pack.modules = 2;
    if (gpio.empty()) gpio = "    negative_feedback: 4\n    positive_feedback: 5\n";
    o.extra = "contactors:\n  mode: gpio\n  gpio:\n    chip: gpiochip0\n    negative: 1\n    precharge: 2\n    positive: 3\n"
              "    interlock: 6\n    emergency_stop: 7\n    heartbeat: 8\n" +
        gpio + safety;
    return o;
}

struct BoxHouse : World {
    explicit BoxHouse(const WorldOptions& o = house()) : World{o}
    {
        inverter->set_wish(2_kW);
        beside = [this] { live(); };
    }
    sim::ContactorBox box;
    std::vector<ContactorState> states;
    unsigned positive_closings = 0;
    bool positive_before = false;

    void live()
    {
        box.drive(bridge.coils(), now);
        box.advance(now, pack->pack_voltage());
        inverter->set_terminal_voltage(box.link());
        if (!box.connected()) pack->set_current(0_A);
        bridge.on_lines(box.lines(now));
        const ContactorState s = verdict().contactors.state;
        if (states.empty() || states.back() != s) states.push_back(s);
        if (box.positive.closed && !positive_before) ++positive_closings;
        positive_before = box.positive.closed;
    }
    ContactorState state() const { return verdict().contactors.state; }
    bool reach(ContactorState s, Duration limit)
    {
        return run_until([&] { return state() == s; }, limit);
    }
    void close()
    {
        REQUIRE(reach(ContactorState::closed, 60s));
        run(60s);
        REQUIRE(pack->current() > 5_A);
    }
};

}  // namespace

TEST_CASE("box: closes without an inrush, serves power, and opens without a current")
{
    // SAFE-140, SAFE-144
    BoxHouse w;
    w.close();
    using S = ContactorState;
    CHECK(w.states == std::vector<S>{S::init, S::open, S::neg_closed, S::precharge, S::pos_closed, S::closed});
    CHECK(w.box.worst_closing_step() <= 3_V);
    CHECK(w.verdict().state == GatewayState::run);
    w.bridge.request_stop(w.now);
    CHECK(w.run_until([&] { return w.verdict().stopped; }, 25s));
    CHECK_FALSE(w.box.negative.closed);
    CHECK_FALSE(w.box.positive.closed);
    CHECK(w.verdict().contactors.opened_under_load == 0);
}

TEST_CASE("box: a shorted link, a burnt resistor or a link too slow is tried three times and never switched on")
{
    // SAFE-145, SAFE-146
    const std::vector<void (*)(sim::ContactorBox::Ways&)> wrong{[](auto& ways) { ways.shorted = true; },
        [](auto& ways) { ways.no_resistor = true; }, [](auto& ways) { ways.precharge_ohm = 1600; }};
    for (const auto spoil : wrong) {
        BoxHouse w;
        spoil(w.box.ways);
        CHECK(w.reach(ContactorState::lockout, 5min));
        CHECK(w.has(FaultId::precharge_failed));
        CHECK(w.positive_closings == 0);
        unsigned attempts = 0;
        for (const ContactorState s : w.states) attempts += s == ContactorState::neg_closed ? 1U : 0U;
        CHECK(attempts == 3);
        CHECK(w.verdict().charge.is_zero());
        w.run(2min);
        CHECK(w.state() == ContactorState::lockout);
    }
}

TEST_CASE("box: time constants from 50 ms to 1 s close with the link near the pack")
{
    // SAFE-144
    for (const double ohm : {33.0, 100.0, 330.0, 660.0}) {
        CAPTURE(ohm);
        BoxHouse w;
        w.box.ways.precharge_ohm = ohm;
        CHECK(w.reach(ContactorState::closed, 60s));
        CHECK(w.box.worst_closing_step() <= 3_V);
    }
}

TEST_CASE("box: relays that are slow are waited for, those that are dead are not")
{
    // SAFE-148
    BoxHouse slow;
    slow.box.positive.closes_in = slow.box.negative.closes_in = 120ms;
    slow.box.positive.opens_in = 100ms;
    slow.close();

    BoxHouse dead;
    dead.box.positive.stuck = false;
    CHECK(dead.reach(ContactorState::lockout, 5min));
    CHECK(dead.has(FaultId::precharge_failed));
    CHECK_FALSE(dead.box.connected());
}

TEST_CASE("box: a contact that chatters opens them, for an operator to look")
{
    // SAFE-148
    BoxHouse w;
    w.close();
    w.box.ways.positive_chatters = true;
    CHECK(w.run_until([&] { return !w.box.connected(); }, 20s));
    CHECK(w.has(FaultId::contactor_feedback));
    CHECK(w.verdict().state == GatewayState::trip);
    w.box.ways.positive_chatters = false;
    w.run(10min);
    CHECK(w.verdict().state == GatewayState::trip);
    CHECK_FALSE(w.box.connected());
}

TEST_CASE("box: welded mains are suspected at once, confirmed in a minute, and the inverter is told zero")
{
    // SAFE-156
    BoxHouse w;
    w.close();
    w.box.positive.stuck = w.box.negative.stuck = true;
    w.command({.kind = CommandKind::contactor, .on = false});
    CHECK(w.reach(ContactorState::lockout, 15s));
    CHECK(w.has(FaultId::weld_suspected));
    CHECK_FALSE(w.bridge.coils().any_main());
    w.run(65s);
    CHECK(w.has(FaultId::contactor_welded));
    CHECK(w.verdict().state == GatewayState::emergency);
    CHECK(w.verdict().charge.is_zero());
    CHECK(w.verdict().discharge.is_zero());
    const bool beat = w.bridge.coils().heartbeat;
    w.run(450ms);
    CHECK(w.bridge.coils().heartbeat == beat);
}

TEST_CASE("box: an inverter that holds its link up proves nothing, with contacts that does not matter")
{
    // SAFE-143, SAFE-156
    BoxHouse blocked;  // nobody said that this inverter does so
    blocked.box.ways.fed_v = 52.5;
    blocked.run(60s);
    CHECK(blocked.state() == ContactorState::open);
    CHECK(blocked.has(FaultId::link_precharged));

    BoxHouse fed{house("    negative_feedback: 4\n    positive_feedback: 5\n    inverter_feeds_link: true\n")};
    fed.box.ways.fed_v = 52.5;
    fed.close();
    fed.command({.kind = CommandKind::contactor, .on = false});
    CHECK(fed.reach(ContactorState::open, 15s));
    CHECK_FALSE(fed.has(FaultId::weld_suspected));

    BoxHouse blind{house("    inverter_feeds_link: true\n")};
    blind.box.ways.has_contacts = false;
    blind.box.ways.fed_v = 52.5;
    blind.close();
    blind.command({.kind = CommandKind::contactor, .on = false});
    CHECK(blind.reach(ContactorState::open, 90s));
    CHECK(blind.has(FaultId::weld_suspected, "undetermined"));
    CHECK(blind.verdict().worst == FaultClass::warn);
}

TEST_CASE("box: the emergency stop and the interlock open both contactors and stay latched")
{
    // SAFE-155, SAFE-148
    for (const bool stop : {true, false}) {
        BoxHouse w;
        w.close();
        const Instant at = w.now;
        (stop ? w.box.ways.released : w.box.ways.interlock) = false;
        CHECK(w.run_until([&] { return !w.bridge.coils().any_main(); }, 1s));
        CHECK(w.now - at <= (stop ? 100ms : 250ms));
        CHECK(w.has(stop ? FaultId::emergency_stop : FaultId::interlock_open));
        CHECK(w.verdict().contactors.opened_under_load == 1);
        w.box.ways.released = w.box.ways.interlock = true;
        w.run(5min);
        CHECK(w.verdict().state == GatewayState::emergency);
        CHECK(w.state() == ContactorState::lockout);
    }
}

TEST_CASE("box: a battery that falls silent opens them after a minute, and its return closes them again")
{
    // SAFE-170, SAFE-158
    BoxHouse w;
    w.close();
    w.pack_cable = false;
    w.run(50s);
    CHECK(w.box.connected());
    CHECK(w.run_until([&] { return !w.box.connected(); }, 30s));
    w.run(30s);
    w.pack_cable = true;
    CHECK(w.reach(ContactorState::closed, 2min));
}

TEST_CASE("box: the drop-out relay opens the contactors of a gateway that hangs")
{
    // SAFE-213
    BoxHouse w;
    w.box.ways.drop_out_relay = true;
    w.close();
    // Three seconds in which nobody runs the bridge, and the box goes on.
    for (int i = 0; i < 600; ++i) w.box.advance(w.now += 5ms, w.pack->pack_voltage());
    CHECK_FALSE(w.box.connected());
    const unsigned closings = w.positive_closings;
    w.run(2s);
    CHECK(w.has(FaultId::loop_stall));
    w.run(10s);
    CHECK_FALSE(w.bridge.coils().any_main());
    CHECK(w.positive_closings == closings);  // nor did the heartbeat close them again
    CHECK(w.box.worst_closing_step() <= 3_V);

    BoxHouse blind{house("    inverter_feeds_link: true\n")};  // without contacts to see it by
    blind.box.ways.has_contacts = false;
    blind.box.ways.drop_out_relay = true;
    blind.close();
    for (int i = 0; i < 300; ++i) blind.box.advance(blind.now += 5ms, blind.pack->pack_voltage());
    CHECK_FALSE(blind.box.connected());
    blind.run(15s);
    CHECK_FALSE(blind.bridge.coils().any_main());
    CHECK(blind.box.worst_closing_step() <= 3_V);
}

TEST_CASE("box: commands open and close, with every guard")
{
    // SAFE-141, SAFE-191
    BoxHouse w;
    w.close();
    w.command({.kind = CommandKind::contactor, .on = false});
    CHECK(w.reach(ContactorState::open, 15s));
    CHECK(w.verdict().waiting == Waiting::operator_);
    w.run(5min);
    CHECK(w.state() == ContactorState::open);
    w.box.ways.interlock = false;
    w.run(1s);
    CHECK(w.command({.kind = CommandKind::contactor, .on = true}).code == CommandCode::ok);
    w.run(30s);
    CHECK(w.state() == ContactorState::open);
    CHECK(w.verdict().waiting == Waiting::interlock);
    w.box.ways.interlock = true;
    CHECK(w.reach(ContactorState::closed, 30s));
}
