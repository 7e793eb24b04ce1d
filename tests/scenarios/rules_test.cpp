// Rules that only the whole bridge can prove, in virtual time.
#include "tests/support/world.hpp"

#include <random>

using namespace batgw;
using namespace batgw::test;

namespace {

// Everything a bridge may ever send, by the drivers' lists.
bool listed(const Seen& s)
{
    const auto rules = s.side == Side::battery ? find_battery_driver("byd-atto3")->sends : find_inverter_driver("byd-hvs")->sends;
    return std::any_of(rules.begin(), rules.end(),
        [&](const TxRule& r) { return r.id == s.frame.id && r.len == s.frame.len && r.extended == s.frame.extended; });
}

}  // namespace

TEST_CASE("no received frame is ever passed on: any traffic on both buses leads only to listed frames")
{
    // SAFE-007
    std::mt19937 random{20260101};
    World w;
    w.start_up();
    for (int i = 0; i < 20000; ++i) {
        CanFrame f;
        f.id = random() % 2048;
        f.extended = random() % 4 == 0;
        f.len = static_cast<std::uint8_t>(random() % 9);
        for (auto& b : f.data) b = static_cast<std::uint8_t>(random());
        w.inject(random() % 2 == 0 ? Side::battery : Side::inverter, f);
        if (i % 50 == 0) w.run(20ms);
    }
    for (const Seen& s : w.sent) REQUIRE(listed(s));
}

TEST_CASE("the same input twice gives the same frames and the same verdicts")
{
    // SAFE-002
    const auto play = [] {
        World w;
        w.start_up();
        w.inverter->set_wish(6_kW);
        w.run(60s);
        w.pack->command("cell 3 3.58");
        w.run(60s);
        w.pack->command("silent on");
        w.run(30s);
        return std::pair{w.sent, w.verdict().sequence};
    };
    const auto [one, sequence] = play();
    const auto [two, sequence2] = play();
    CHECK(sequence == sequence2);
    REQUIRE(one.size() == two.size());
    for (std::size_t i = 0; i < one.size(); ++i) {
        REQUIRE(one[i].at == two[i].at);
        REQUIRE(one[i].frame == two[i].frame);
    }
}

TEST_CASE("perfect values from the inverter do not replace a battery that is not heard")
{
    // SAFE-184
    World w;
    w.pack_cable = false;
    w.run(120s);
    CHECK(w.verdict().charge.is_zero());
    CHECK(w.verdict().discharge.is_zero());
    CHECK(w.verdict().state == GatewayState::starting);
    for (const Seen& s : w.sent)
        CHECK_FALSE((s.side == Side::inverter && s.frame.id == 0x110 && (s.frame.data[5] != 0 || s.frame.data[7] != 0)));
}

TEST_CASE("alive frames alone do not keep a measurement fresh")
{
    // SAFE-020, SAFE-022
    World w;
    w.start_up();
    w.pack->command("stop 447");
    w.run(9s);
    CHECK(w.verdict().charge.is_zero());
    CHECK(w.verdict().discharge.is_zero());
    CHECK_FALSE(w.has(FaultId::bat_link_lost));
    CHECK(w.has(FaultId::sig_stale));
}

TEST_CASE("without the measured current of an Atto 3 both limits are zero at once, not after a ramp")
{
    // SAFE-023, as its protocol page asks
    World w;
    w.start_up();
    w.pack->command("stop 444");
    w.run(850ms);
    CHECK_FALSE(w.verdict().charge.is_zero());
    w.run(300ms);
    CHECK(w.verdict().charge.is_zero());
    CHECK(w.verdict().discharge.is_zero());
}

TEST_CASE("frames that waited too long refresh nothing")
{
    // SAFE-232
    World w;
    w.start_up();
    const auto before = w.bridge.battery().voltage.samples();
    w.inject(Side::battery, {.id = 0x444, .len = 8, .data = {0x9e, 0x01, 0x88, 0x13, 0x64, 0x64, 0x98, 0x65}}, 600ms);
    CHECK(w.bridge.battery().voltage.samples() == before);
    Snapshot s;
    w.bridge.fill(s, w.now);
    CHECK(s.buses[0].status.counters.late == 1);
}

TEST_CASE("our own ids from somebody else, before we spoke: nothing is sent there")
{
    // SAFE-185. The standby frame of the protocol page, from another controller.
    World w;
    const CanFrame foreign{.id = 0x12d, .len = 8, .data = {0x50, 0x14, 0x02, 0x10, 0x04, 0x31, 0x9f, 0xb5}};
    w.inject(Side::battery, foreign);
    w.inject(Side::battery, foreign);
    w.run(60s);
    CHECK(w.has(FaultId::id_conflict));
    CHECK(w.verdict().state == GatewayState::trip);
    for (const Seen& s : w.sent) CHECK(s.side != Side::battery);
}

TEST_CASE("our own ids from somebody else while running: zero limits, controlled opening, then silence on that bus")
{
    // SAFE-185
    World w;
    w.start_up();
    const CanFrame foreign{.id = 0x12d, .len = 8, .data = {0x50, 0x14, 0x02, 0x10, 0x04, 0x31, 0x9f, 0xb5}};
    for (int i = 0; i < 300; ++i) {
        w.inject(Side::battery, foreign);
        w.run(100ms);
    }
    CHECK(w.verdict().charge.is_zero());
    CHECK(w.has(FaultId::id_conflict));
    w.sent.clear();
    for (int i = 0; i < 20; ++i) {
        w.inject(Side::battery, foreign);
        w.run(100ms);
    }
    CHECK(std::none_of(w.sent.begin(), w.sent.end(), [](const Seen& s) { return s.side == Side::battery; }));
}

TEST_CASE("a full transmit queue: after release no frame is older than one period, and limits are current")
{
    // SAFE-263
    World w;
    w.start_up();
    w.bus_full[1] = true;
    w.run(3s);
    Command off;
    off.kind = CommandKind::charge;
    w.command(off);
    w.run(1s);
    w.sent.clear();
    w.bus_full[1] = false;
    w.run(50ms);
    for (const Seen& s : w.sent)
        if (s.side == Side::inverter && s.frame.id == 0x110) {
            CHECK(s.frame.data[6] == 0);
            CHECK(s.frame.data[7] == 0);
        }
}

TEST_CASE("a lower limit that a still lower verdict overtook in a full queue is told as soon as the queue takes something")
{
    // SAFE-091, SAFE-263
    World w;
    w.start_up();
    const auto told = [&] { return *w.last(Side::inverter, 0x110); };
    const CanFrame full = told();
    const auto limit = [&](Power power) {
        Command c;
        c.kind = CommandKind::max_charge;
        c.charge_power = power;
        w.command(c);
    };
    w.sent.clear();
    REQUIRE(w.run_until([&] { return w.last(Side::inverter, 0x110).has_value(); }, 10s));
    w.run(200ms);
    w.bus_full[1] = true;
    limit(5_kW);
    w.run(20ms);
    limit(4990_W);  // less than one percent more: by itself no reason to speak before the beat
    w.bus_full[1] = false;
    w.run(300ms);
    CHECK(told().data != full.data);
    const int deciamps = told().data[6] << 8 | told().data[7];
    const Current most = w.verdict().charge.current();
    CHECK(deciamps == most.down_in(100));
}

TEST_CASE("bus-off: what waited is thrown away, and the first frame afterwards is of the newest verdict")
{
    // SAFE-262
    World w;
    w.start_up();
    w.set_bus(Side::inverter, BusState::bus_off);
    w.bus_full[1] = true;
    w.run(3s);
    Command off;
    off.kind = CommandKind::discharge;
    w.command(off);
    w.run(1s);
    w.sent.clear();
    w.bus_full[1] = false;
    w.set_bus(Side::inverter, BusState::active);
    w.run(5s);
    const auto limits = std::find_if(w.sent.begin(), w.sent.end(), [](const Seen& s) { return s.frame.id == 0x110; });
    REQUIRE(limits != w.sent.end());
    CHECK(limits->frame.data[4] == 0);
    CHECK(limits->frame.data[5] == 0);
}

TEST_CASE("observe mode: everything is judged, nothing is sent on either bus")
{
    // SAFE-244
    WorldOptions o;
    o.extra = "safety:\n  mode: observe\n";
    World w{o};
    w.run(180s);
    CHECK(w.sent.empty());
    CHECK(w.verdict().state == GatewayState::observe);
    CHECK(w.bridge.battery().voltage.is_fresh(w.now));
}

TEST_CASE("a missing interface: the gateway waits for it and starts when it comes")
{
    // SAFE-251, SAFE-250
    World w;
    w.set_bus(Side::inverter, BusState::missing);
    w.inverter_cable = false;
    w.run(60s);
    CHECK(w.verdict().state == GatewayState::starting);
    CHECK(w.verdict().waiting == Waiting::bus);
    CHECK(w.pack->connection() == sim::Connection::open);
    w.inverter_cable = true;
    w.set_bus(Side::inverter, BusState::active);
    CHECK(w.run_until([&] { return w.verdict().charge.power() == 10_kW; }, 120s));
}

TEST_CASE("already closed at start: the pack is held, never told to open or that its link is empty")
{
    // SAFE-161 (b)
    World first;
    first.start_up();
    WorldOptions again;
    again.same_pack = first.pack;  // a restart of the gateway under load
    again.start = first.now + 3s;
    World w{again};
    w.run(5s);
    const auto heard_at = [&] {
        for (const Seen& s : w.sent)
            if (s.side == Side::battery && s.frame.id == 0x12d) return s;
        return Seen{};
    }();
    CHECK(heard_at.frame.data[3] == 0x22);
    for (const Seen& s : w.sent) {
        if (s.side == Side::battery && s.frame.id == 0x12d) CHECK(s.frame.data[3] == 0x22);
        if (s.side == Side::battery && s.frame.id == 0x441) CHECK(s.frame.data[5] == 0x01);
    }
}

TEST_CASE("a restriction of the last run is in force before anything is granted")
{
    // SAFE-196
    WorldOptions o;
    OperatorState off;
    off.discharge = false;
    off.max_charge = off.max_discharge = 10_kW;
    off.charge_limit_default = off.discharge_limit_default = true;
    o.restored = off;
    World w{o};
    REQUIRE(w.run_until([&] { return w.verdict().charge.power() == 10_kW; }, 120s));
    CHECK(w.verdict().discharge.is_zero());
    for (const Seen& s : w.sent)
        if (s.side == Side::inverter && s.frame.id == 0x110) CHECK((s.frame.data[4] | s.frame.data[5]) == 0);
}

TEST_CASE("any sequence of commands grants no more than none at all")
{
    // SAFE-191
    std::mt19937 random{7};
    World free_house, commanded;
    free_house.start_up();
    commanded.start_up();
    for (int i = 0; i < 300; ++i) {
        Command c;
        c.kind = static_cast<CommandKind>(random() % 6);
        c.on = random() % 2 == 0;
        const auto watts = [&] { return Power::from_milli(static_cast<std::int64_t>(random() % 20'000) * 1000 - 4'000'000); };
        if (random() % 2 == 0) c.charge_power = watts();
        if (random() % 2 == 0) c.discharge_power = watts();
        if (random() % 4 == 0) c.time_to_live = std::chrono::seconds{random() % 100};
        c.zero_on_expiry = random() % 2 == 0;
        commanded.command(c);
        free_house.run(500ms);
        commanded.run(500ms);
        REQUIRE(commanded.verdict().charge.power() <= free_house.verdict().charge.power());
        REQUIRE(commanded.verdict().discharge.power() <= free_house.verdict().discharge.power());
    }
}

TEST_CASE("the watchdog is fed only while the judge judges without long gaps")
{
    World w;
    w.run(1s);
    CHECK(w.bridge.healthy_since_asked());
    CHECK_FALSE(w.bridge.healthy_since_asked());  // not judged since
    for (int i = 0; i < 3; ++i) {
        w.now += 600ms;
        w.bridge.run(w.now);
    }
    CHECK_FALSE(w.bridge.healthy_since_asked());
    w.run(1s);
    CHECK(w.bridge.healthy_since_asked());
}

TEST_CASE("a silent battery is not ridden through, however well everything stood and whatever the inverter measures")
{
    // SAFE-171, SAFE-184, SAFE-170
    WorldOptions o;
    o.extra = "safety: {ride_through: true}\n";
    CHECK_THROWS_AS(World{o}, std::invalid_argument);

    World w;
    w.start_up();
    w.pack->command("soc 50");
    w.run(60s);
    REQUIRE_FALSE(w.verdict().charge.is_zero());
    w.pack_cable = false;
    w.run(10100ms);
    CHECK(w.has(FaultId::bat_link_lost));
    CHECK(w.verdict().charge.is_zero());
    CHECK(w.verdict().discharge.is_zero());
    CHECK(w.bridge.inverter().voltage.fresh(w.now));  // it still measures the pack's voltage
    for (int s = 0; s < 600; ++s) {
        w.run(1s);
        REQUIRE(w.verdict().charge.is_zero());
        REQUIRE(w.verdict().discharge.is_zero());
    }
}
