// A house that everything conspires against, in virtual time.
#include "battery/byd_atto3_layout.hpp"
#include "inverter/byd_hvs_layout.hpp"
#include "sim/byd_atto3_pack.hpp"
#include "tests/support/world.hpp"

#include <random>

using namespace batgw;
using namespace batgw::test;

namespace {

std::int64_t charge_a10(const CanFrame& f) { return f.data[6] << 8 | f.data[7]; }
std::int64_t discharge_a10(const CanFrame& f) { return f.data[4] << 8 | f.data[5]; }
bool zero(const CanFrame& f) { return charge_a10(f) == 0 && discharge_a10(f) == 0; }

sim::Atto3Contactors& contactors(World& w) { return dynamic_cast<sim::BydAtto3Pack&>(*w.pack).contactors(); }
bool open(World& w) { return w.pack->connection() == sim::Connection::open; }
bool closed(World& w) { return w.pack->connection() == sim::Connection::closed; }

std::size_t count_sent(const World& w, Side side, std::uint32_t id, Instant since)
{
    return static_cast<std::size_t>(std::count_if(
        w.sent.begin(), w.sent.end(), [&](const Seen& s) { return s.side == side && s.frame.id == id && s.at >= since; }));
}

// Ever asked to close: the fourth byte of CLOSE is found in no other mode.
bool asked_to_close(const World& w)
{
    return std::any_of(w.sent.begin(), w.sent.end(),
        [](const Seen& s) { return s.side == Side::battery && s.frame.id == 0x12d && s.frame.data[3] == 0xa0; });
}

// From `since` on: when the first 0x110 with a zero charge limit went out.
std::optional<Instant> first_charge_zero(const World& w, Instant since)
{
    for (const Seen& s : w.sent)
        if (s.side == Side::inverter && s.frame.id == 0x110 && s.at >= since && charge_a10(s.frame) == 0) return s.at;
    return std::nullopt;
}

}  // namespace

TEST_CASE("adversary: a pack that is not insulated is never connected, although its inverter is ready at once")
{
    // SAFE-071: the pack alone must be sound before it is connected.
    World w;
    w.pack->command("insulation 0");
    w.run(180s);
    CHECK(contactors(w).counts().closings == 0);
    CHECK_FALSE(asked_to_close(w));
    CHECK(w.has(FaultId::insulation));
    CHECK(w.verdict().waiting == Waiting::battery_fault);
    w.pack->command("insulation 7300");
    CHECK(w.run_until([&] { return closed(w); }, 180s));
}

TEST_CASE("adversary: insulation that falls while closed only warns, and blocks where that is configured")
{
    // SAFE-071
    SUBCASE("default")
    {
        World w;
        w.start_up();
        w.pack->command("insulation 0");
        w.run(120s);
        CHECK(w.has(FaultId::insulation));
        CHECK(closed(w));
        CHECK_FALSE(w.verdict().charge.is_zero());
    }
    SUBCASE("block_while_closed")
    {
        WorldOptions o;
        o.extra = "safety:\n  insulation:\n    block_while_closed: true\n";
        World w{o};
        w.start_up();
        w.pack->command("insulation 0");
        w.run(12s);
        CHECK(w.verdict().charge.is_zero());
        CHECK(w.verdict().discharge.is_zero());
    }
}

TEST_CASE("adversary: what the inverter is offered after any zero grows by no more than the slope, whatever its hand-shake took")
{
    // SAFE-092, SAFE-182: on the wire, not only in the model.
    for (const int ready_s : {5, 40}) {
        WorldOptions o;
        o.inverter_extra = "  options:\n    ready_s: " + std::to_string(ready_s) + "\n";
        World w{o};
        w.run(150s);
        w.pack->command("stop 345");
        w.run(2s);
        w.pack->command("resume all");
        w.run(150s);
        Instant last{};
        std::int64_t before = 0;
        for (const Seen& s : w.sent) {
            if (s.side != Side::inverter || s.frame.id != 0x110) continue;
            const std::int64_t a = charge_a10(s.frame);
            // 5 % of 10 kW a second are 1.3 A at 400 V; frames are 2 s apart.
            if (a > before) {
                INFO("ready_s " << ready_s << ", from " << before << " to " << a << " tenths of an ampere");
                CHECK(a - before <= 14 * std::max<std::int64_t>(1, (s.at - last + 999999us) / 1s));
            }
            before = a;
            last = s.at;
        }
        CHECK(before > 200);
    }
}

TEST_CASE("adversary: a battery limit that is 0 for a single frame is 0 on the inverter bus in the same turn")
{
    // SAFE-070, SAFE-091, SAFE-092
    World w;
    w.start_up();
    const Power full = w.verdict().charge.power();
    const CanFrame none = [] {
        CanFrame f = byd_atto3::limits.blank();
        byd_atto3::discharge_limit.put(f, Power{});
        byd_atto3::charge_limit.put(f, Power{});
        return byd_atto3::sealed(f);
    }();
    const Instant at = w.now;
    w.inject(Side::battery, none);
    CHECK(w.verdict().charge.is_zero());
    w.run(6ms);
    const auto told = first_charge_zero(w, at);
    REQUIRE(told);
    CHECK(*told - at <= 50ms);
    w.run(4900ms);
    CHECK(w.verdict().charge.is_zero());  // SAFE-093
    w.run(2s);
    CHECK(w.verdict().charge.power() <= 2_kW);
    CHECK(w.run_until([&] { return w.verdict().charge.power() == full; }, 40s));
}

TEST_CASE("adversary: the pack's voice returns after 8, 20 and 70 seconds")
{
    // SAFE-023, SAFE-170, SAFE-158
    for (const int gone : {8, 20, 70}) {
        CAPTURE(gone);
        World w;
        w.start_up();
        const Instant pulled = w.now;
        w.pack->command("silent on");
        w.run(1200ms);
        const auto told = first_charge_zero(w, pulled);
        REQUIRE(told);
        CHECK(*told - pulled <= 1150ms);  // the battery's own limit may be 1 s old
        w.run(pulled + std::chrono::seconds{gone} - w.now);
        CHECK(w.has(FaultId::bat_link_lost) == (gone >= 10));
        w.pack->command("silent off");
        const Instant back = w.now;
        const bool power = w.run_until([&] { return !w.verdict().charge.is_zero(); }, 200s);
        CHECK(power);
        CHECK(w.now - back >= (gone < 10 ? 5s : 35s));
        CHECK(closed(w));
        CHECK(contactors(w).counts().opened_under_load == 0);
        CHECK((contactors(w).counts().openings > 0) == (gone > 10));
    }
}

TEST_CASE("adversary: two faults at once, one of them goes: the other still holds")
{
    // SAFE-040
    World w;
    w.start_up();
    w.pack->command("cell 7 3.66");
    w.pack->command("temp -15");
    w.run(20s);
    CHECK(w.verdict().charge.is_zero());
    CHECK(w.has(FaultId::cell_high));
    CHECK(w.has(FaultId::temp_cold));
    w.pack->command("cell 7 off");
    w.run(60s);
    CHECK_FALSE(w.has(FaultId::cell_high));
    CHECK(w.verdict().charge.is_zero());
    CHECK(w.has(FaultId::temp_cold));
}

TEST_CASE("adversary: state of charge 11, 9, 12: nothing at 9, and at 12 only after the clear point and the hold")
{
    // SAFE-069
    World w;
    w.start_up();
    w.pack->command("soc 11");
    w.run(5s);
    CHECK(w.verdict().discharge.power() <= 2_kW);
    w.pack->command("soc 9");
    w.run(2s);
    CHECK(w.verdict().discharge.is_zero());
    w.run(8s);
    CHECK(w.has(FaultId::soc_low));
    w.pack->command("soc 12");
    w.run(120s);
    CHECK(w.has(FaultId::soc_low));
    CHECK(w.verdict().discharge.is_zero());
    w.pack->command("soc 13");
    w.run(29s);
    CHECK(w.verdict().discharge.is_zero());
    w.run(10s);
    CHECK_FALSE(w.has(FaultId::soc_low));
    CHECK_FALSE(w.verdict().discharge.is_zero());
}

TEST_CASE("adversary: contactor feedback is lost while closed: limits are 0, the request and the reported voltage stay")
{
    // SAFE-161 (d), (e)
    World w;
    w.start_up();
    w.inverter->set_wish(-4_kW);
    w.run(10s);
    const Instant lost = w.now;
    w.pack->command("stop 344");
    w.run(8s);
    CHECK(w.verdict().charge.is_zero());
    CHECK(w.verdict().discharge.is_zero());
    CHECK(w.verdict().contactors.state == ContactorState::unknown);
    for (const Seen& s : w.sent) {
        if (s.side != Side::battery || s.at < lost) continue;
        if (s.frame.id == 0x12d) REQUIRE(s.frame.data[3] == 0x22);
        if (s.frame.id == 0x441) REQUIRE(s.frame.data[5] == 0x01);
    }
    w.pack->command("resume all");
    CHECK(w.run_until([&] { return !w.verdict().charge.is_zero(); }, 60s));
    CHECK(closed(w));
}

TEST_CASE("adversary: stopped in the middle of closing: given up at once, nothing was loaded, and the end is soon")
{
    // SAFE-217, SAFE-141
    World w;
    REQUIRE(w.run_until([&] { return w.verdict().contactors.state == ContactorState::precharge; }, 40s));
    for (const Duration later : {0ms, 100ms, 400ms, 900ms}) {
        World v;
        REQUIRE(v.run_until([&] { return v.verdict().contactors.state == ContactorState::precharge; }, 40s));
        v.run(later);
        v.bridge.request_stop(v.now);
        const Instant asked = v.now;
        REQUIRE(v.run_until([&] { return v.verdict().stopped; }, 26s));
        CHECK(v.now - asked <= 25s);
        CHECK(open(v));
        CHECK(contactors(v).counts().opened_under_load == 0);
        CHECK(v.verdict().charge.is_zero());
    }
}

TEST_CASE("adversary: stopped while the pack cannot be heard: the whole opening is sent all the same, within 25 s")
{
    // SAFE-217, SAFE-161 (d)
    World w;
    w.start_up();
    w.pack->command("silent on");
    w.run(3s);
    w.bridge.request_stop(w.now);
    const Instant asked = w.now;
    REQUIRE(w.run_until([&] { return w.verdict().stopped; }, 26s));
    CHECK(w.now - asked <= 25s);
    CHECK(w.verdict().contactors.state != ContactorState::open);
    CHECK(open(w));  // it heard us, although we did not hear it
    CHECK(contactors(w).counts().acknowledge_alone == 0);
}

TEST_CASE("adversary: a curve tightened by a reload at full power acts in the next frame")
{
    // SAFE-241
    World w;
    w.start_up();
    w.inverter->set_wish(9_kW);
    w.run(20s);
    Config tighter = w.config;
    tighter.safety.temperature.charge_curve = Curve{};
    tighter.safety.temperature.charge_curve.push_back({30'000, 0_pct});
    tighter.safety.temperature.charge_curve.push_back({40'000, 100_pct});
    tighter.safety.temperature.charge_curve.push_back({50'000, 0_pct});
    const Instant at = w.now;
    w.bridge.reconfigure(tighter, w.now);
    w.run(6ms);
    CHECK(w.verdict().charge.is_zero());
    CHECK_FALSE(w.verdict().discharge.is_zero());
    const auto told = first_charge_zero(w, at);
    REQUIRE(told);
    CHECK(*told - at <= 50ms);
    w.bridge.reconfigure(w.config, w.now);
    w.run(1s);
    CHECK(w.verdict().charge.power() <= 1_kW);
    CHECK(closed(w));
}

TEST_CASE("adversary: the inverter restarts while it is told zero: identified again, still zero")
{
    World w;
    w.run(8s);
    REQUIRE(w.bridge.inverter().phase == InverterPhase::hold);
    const Instant at = w.now;
    w.inverter->command("restart 0");
    w.run(1500ms);
    CHECK(count_sent(w, Side::inverter, 0x250, at) >= 1);
    for (const Seen& s : w.sent)
        if (s.side == Side::inverter && s.frame.id == 0x110) CHECK(zero(s.frame));
}

TEST_CASE("adversary: a limit with a time-to-live ends as it says, released or zero")
{
    // SAFE-195
    for (const bool to_zero : {false, true}) {
        World w;
        w.start_up();
        Command c;
        c.kind = CommandKind::limits;
        c.charge_power = 3_kW;
        c.time_to_live = 20s;
        c.zero_on_expiry = to_zero;
        CHECK(w.command(c).code == CommandCode::ok);
        CHECK(w.verdict().charge.power() == 3_kW);
        w.run(19900ms);
        CHECK(w.verdict().charge.power() == 3_kW);
        w.run(300ms);
        if (to_zero) CHECK(w.verdict().charge.is_zero());
        w.run(40s);
        CHECK(w.verdict().charge.power() == (to_zero ? Power{} : 10_kW));
        CHECK(w.verdict().discharge.power() == 10_kW);
    }
}

TEST_CASE("adversary: a pack of another size than configured is never closed, and the reason is told")
{
    // SAFE-116, SAFE-141: 126 cells where 104 are expected, and the other way round.
    for (const bool bigger : {true, false}) {
        WorldOptions o;
        o.pack.cells = bigger ? 128 : 120;
        World w{o};  // 126 configured
        w.run(180s);
        CHECK(w.has(FaultId::identity_mismatch));
        CHECK(w.verdict().charge.is_zero());
        CHECK(w.verdict().discharge.is_zero());
    }
}

TEST_CASE("adversary: a welded contactor in the pack's memory keeps it open for good")
{
    // SAFE-040
    for (const char* code : {"dtc P1A4100 on", "dtc P1A4100 stored", "dtc P1A3400 on"}) {
        World w;
        w.pack->command(code);
        w.run(90s);
        CHECK_FALSE(asked_to_close(w));
        CHECK(w.has(FaultId::bms_fault));
        CHECK(w.verdict().worst >= FaultClass::trip);
        CHECK(w.verdict().charge.is_zero());
    }
}

TEST_CASE("adversary: a pack that never spoke is not spoken to while its inverter draws current")
{
    World w;
    w.pack_cable = false;
    const auto draws = [&](std::int64_t milliamps) {
        CanFrame f = byd_hvs::inverter_dc.blank();
        byd_hvs::inverter_voltage.put(f, 400_V);
        byd_hvs::inverter_current.put(f, Current::from_milli(milliamps));
        w.inject(Side::inverter, f);
    };
    w.inverter->command("silent on");
    for (int i = 0; i < 60; ++i) {
        draws(-2100);
        w.run(500ms);
    }
    CHECK(std::none_of(w.sent.begin(), w.sent.end(), [](const Seen& s) { return s.side == Side::battery; }));
    for (int i = 0; i < 20; ++i) {
        draws(-2000);
        w.run(500ms);
    }
    CHECK(w.last(Side::battery, 0x12d));
    CHECK_FALSE(asked_to_close(w));
}

TEST_CASE("adversary: observe mode with restrictions of an earlier run sends nothing and shows them")
{
    // SAFE-244, SAFE-196
    WorldOptions o;
    o.extra = "safety:\n  mode: observe\n";
    OperatorState kept;
    kept.charge = false;
    kept.contactors_open = true;
    kept.max_charge = kept.max_discharge = 1_kW;
    o.restored = kept;
    World w{o};
    contactors(w).close_by_itself();
    w.run(60s);
    CHECK(w.sent.empty());
    CHECK(w.verdict().state == GatewayState::observe);
    CHECK(w.verdict().charge.is_zero());
    CHECK(w.bridge.operator_state().max_discharge == 1_kW);
    CHECK(closed(w));
}

TEST_CASE("adversary: a closing by hand that was broken off is not tried again without a hand")
{
    // SAFE-142, SAFE-158
    World w;
    w.start_up();
    Command c;
    c.kind = CommandKind::contactor;
    w.command(c);
    REQUIRE(w.run_until([&] { return open(w) && w.verdict().contactors.state == ContactorState::open; }, 30s));
    c.on = true;
    CHECK(w.command(c).code == CommandCode::ok);
    REQUIRE(w.run_until([&] { return w.verdict().contactors.state == ContactorState::precharge; }, 30s));
    w.run(200ms);
    w.set_bus(Side::inverter, BusState::stopped);
    w.run(100ms);
    w.set_bus(Side::inverter, BusState::active);
    w.run(300s);
    CHECK(open(w));
    CHECK(w.verdict().waiting == Waiting::operator_);
    CHECK(w.command(c).code == CommandCode::ok);
    CHECK(w.run_until([&] { return closed(w); }, 30s));
}

TEST_CASE("adversary: an inverter bus that goes off or away is a lost inverter at once, and the way back begins at zero")
{
    // SAFE-251, SAFE-262, SAFE-182
    for (const BusState gone : {BusState::bus_off, BusState::missing, BusState::stopped}) {
        World w;
        w.start_up();
        w.run(1s);
        const Instant off = w.now;
        w.inverter_cable = false;
        w.set_bus(Side::inverter, gone);
        w.bus_full[1] = true;
        w.run(200ms);
        CHECK(w.has(FaultId::inv_link_lost));
        CHECK(w.verdict().charge.is_zero());
        CHECK(w.verdict().charge.by() == Cause::link);
        w.run(5s);
        CHECK(closed(w));
        w.sent.clear();
        w.bus_full[1] = false;
        w.inverter_cable = true;
        w.set_bus(Side::inverter, BusState::active);
        w.run(7s);
        const auto first = std::find_if(w.sent.begin(), w.sent.end(), [](const Seen& s) { return s.side == Side::inverter; });
        REQUIRE(first != w.sent.end());
        CHECK(first->frame.id == 0x250);
        const auto limits = std::find_if(w.sent.begin(), w.sent.end(), [](const Seen& s) { return s.frame.id == 0x110; });
        REQUIRE(limits != w.sent.end());
        CHECK(zero(limits->frame));
        CHECK_FALSE(w.has(FaultId::inv_link_lost));
        CHECK(w.run_until([&] { return w.verdict().charge.power() == 10_kW; }, 60s));
        CHECK(closed(w));
        CHECK(w.now - off < 60s);
    }
}

TEST_CASE("adversary: a pack beyond 50 degrees neither charges nor discharges")
{
    World w;
    w.start_up();
    w.warm_to(46);
    CHECK_FALSE(w.verdict().discharge.is_zero());
    w.pack->command("temp 49");  // no faster: that would be an emergency
    w.run(70s);
    w.pack->command("temp 52");
    w.run(10s);
    CHECK(w.verdict().charge.is_zero());
    CHECK(w.verdict().discharge.is_zero());
    CHECK(w.has(FaultId::temp_hot));
    CHECK(closed(w));
}

TEST_CASE("adversary: a day of losses closes again three times in an hour, not a fourth")
{
    // SAFE-158
    World w;
    w.start_up();
    for (int i = 0; i < 5; ++i) {
        w.pack_cable = false;
        w.run(70s);
        w.pack_cable = true;
        w.run(200s);
    }
    CHECK(contactors(w).counts().closings == 4);  // the first and three more
    CHECK(open(w));
    CHECK(w.verdict().waiting == Waiting::cycle_limit);
    w.run(3600s);
    CHECK(closed(w));
    CHECK(contactors(w).counts().opened_under_load == 0);
}

TEST_CASE("adversary: what the older program believed: 255 % charge, a pack of 5 V, corrupt checksums")
{
    // SAFE-024, SAFE-025
    World w;
    w.start_up();
    const auto soc = w.bridge.battery().soc.last();
    const auto volts = w.bridge.battery().voltage.last();
    const auto lie = [](CanFrame f) { return byd_atto3::sealed(f); };
    CanFrame wrong_soc = byd_atto3::temperature_extremes.blank();
    byd_atto3::temperature_min.put(wrong_soc, 18_degC);
    byd_atto3::temperature_max.put(wrong_soc, 19_degC);
    write_raw(wrong_soc, byd_atto3::soc.bits, 2550);
    CanFrame five_volts = byd_atto3::measurements.blank();
    byd_atto3::voltage_coarse.put(five_volts, 5_V);
    byd_atto3::current.put(five_volts, Current{});
    byd_atto3::soc_coarse.put(five_volts, 50_pct);
    for (int i = 0; i < 3; ++i) {
        w.inject(Side::battery, lie(wrong_soc));
        w.inject(Side::battery, lie(five_volts));
        CHECK(w.bridge.battery().soc.last() == soc);
        CHECK(w.bridge.battery().voltage.last() == volts);
    }
    CHECK_FALSE(w.verdict().charge.is_zero());
    for (int i = 0; i < 5; ++i) w.inject(Side::battery, lie(five_volts));
    CHECK(w.verdict().charge.is_zero());
    CHECK(w.has(FaultId::sig_bad));
    for (const Seen& s : w.sent)
        if (s.side == Side::battery && s.frame.id == 0x441) CHECK_FALSE((s.frame.data[5] == 0 && s.frame.data[4] < 12));
}

TEST_CASE("adversary: from a cell beyond its limit to a zero on the inverter bus, and from the pack's silence")
{
    // SAFE-091, SAFE-061
    SUBCASE("beyond the curve: at once")
    {
        World w;
        w.start_up();
        CanFrame f = byd_atto3::cell_extremes.blank();
        byd_atto3::lowest_cell.put(f, 1);
        byd_atto3::highest_cell.put(f, 2);
        byd_atto3::cell_min.put(f, 3300_mV);
        byd_atto3::cell_max.put(f, 3600_mV);
        const Instant at = w.now;
        w.inject(Side::battery, byd_atto3::sealed(f));
        w.run(60ms);
        const auto told = first_charge_zero(w, at);
        REQUIRE(told);
        CHECK(*told - at <= 50ms);
        MESSAGE("cell over its limit to zero on the wire: " << (*told - at).count() << " us");
    }
    SUBCASE("silence")
    {
        World w;
        w.start_up();
        const Instant at = w.now;
        w.pack->command("silent on");
        w.run(5s);
        const auto told = first_charge_zero(w, at);
        REQUIRE(told);
        MESSAGE("silence to zero on the wire: " << (*told - at) / 1ms << " ms");
        CHECK(*told - at <= 1150ms);
    }
}

namespace {

// A closed pack of hand-made frames, so that one value can be moved and nothing else.
struct Values {
    std::int64_t cell_max = 3330, cell_min = 3320, hot = 20, cold = 19, soc = 600, charge = 2000, discharge = 2000, flow = 5000;
};

// Both grants once everything has settled.
std::pair<Power, Power> settled_grants(const Values& v)
{
    const Config config = World{}.config;
    Instant now{1h};
    Bridge bridge{config, *find_battery_driver("byd-atto3"), *find_inverter_driver("byd-hvs"), now, {}};
    BusStatus up;
    up.state = BusState::active;
    for (const Side side : {Side::battery, Side::inverter}) bridge.on_bus(side, up, now);
    const auto put = [&](CanFrame f, auto... values) {
        (values(f), ...);
        bridge.on_frame(Side::battery, byd_atto3::sealed(f), now, now);
    };
    const auto raw = [](auto signal, std::int64_t code) { return [=](CanFrame& f) { write_raw(f, signal.bits, code); }; };
    for (int i = 0; i < 1000; ++i) {
        using namespace byd_atto3;
        put(byd_atto3::contactors.blank(), raw(main_closed, 1));
        put(measurements.blank(), raw(voltage_coarse, 414), raw(current, v.flow), raw(health, 100), raw(soc_coarse, 60));
        put(limits.blank(), raw(charge_limit, v.charge), raw(discharge_limit, v.discharge));
        put(cell_extremes.blank(), raw(lowest_cell, 1), raw(highest_cell, 2), raw(cell_min, v.cell_min),
            raw(cell_max, v.cell_max));
        put(temperature_extremes.blank(), raw(temperature_min, v.cold + 40), raw(temperature_max, v.hot + 40),
            raw(temperature_avg, 60), raw(soc, v.soc));
        bridge.on_frame(Side::inverter, byd_hvs::inverter_clock.blank(), now, now);
        bridge.run(now);
        for (const Side side : {Side::battery, Side::inverter})
            while (bridge.next_frame(side, now)) bridge.sent(side, now);
        now += 100ms;  // the period of most of them: twice as often would be two batteries
    }
    return {bridge.verdict().charge.power(), bridge.verdict().discharge.power()};
}

}  // namespace

TEST_CASE("adversary: a house with one value moved towards the unsafe side never settles at more")
{
    // SAFE-074, through the whole bridge.
    CHECK(settled_grants(Values{}) == std::pair{Power{10_kW}, Power{10_kW}});
    constexpr unsigned seed = 74;
    MESSAGE("seed " << seed);
    std::mt19937 random{seed};
    const auto between = [&](std::int64_t a, std::int64_t b) {
        return a + static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(b - a + 1));
    };
    int lowered = 0;
    for (int i = 0; i < 100; ++i) {
        Values base{.cell_max = between(3300, 3390),
            .cell_min = between(3220, 3300),
            .hot = between(0, 52),
            .soc = between(80, 1000),
            .charge = between(0, 150),
            .discharge = between(0, 150)};
        base.cold = base.hot - between(0, 9);
        Values moved = base;
        Direction held = Direction::both;
        switch (random() % 7) {
        case 0:
            moved.cell_max += between(40, 300);
            held = Direction::charge;
            break;
        case 1:
            moved.cell_min -= between(40, 500);
            held = Direction::discharge;
            break;
        case 2: moved.hot = std::max(moved.hot + between(1, 20), std::int64_t{26}); break;  // below, warmer is safer
        case 3: moved.cold -= between(1, 20); break;
        case 4:
            moved.soc -= between(1, 80);
            held = Direction::discharge;
            break;
        case 5:
            moved.charge -= std::min(moved.charge, between(1, 50));
            held = Direction::charge;
            break;
        default:
            moved.discharge -= std::min(moved.discharge, between(1, 50));
            held = Direction::discharge;
            break;
        }
        const auto before = settled_grants(base), after = settled_grants(moved);
        CAPTURE(i);
        if (covers(held, Direction::charge)) CHECK(after.first <= before.first);
        if (covers(held, Direction::discharge)) CHECK(after.second <= before.second);
        lowered += after != before ? 1 : 0;
    }
    CHECK(lowered > 8);
}

TEST_CASE("adversary: an inverter that goes on discharging at a limit of zero is warned about, then parted from the pack")
{
    // SAFE-066, SAFE-153
    World w;
    w.start_up();
    w.inverter->set_wish(-6_kW);
    w.run(20s);
    w.inverter->command("ignore on");
    Command off;
    off.kind = CommandKind::discharge;
    w.command(off);
    const Instant told = w.now;
    REQUIRE(w.run_until([&] { return w.has(FaultId::limit_exceeded, "D"); }, 60s));
    CHECK(w.now - told >= 10s);  // five to obey, five above
    CHECK(w.now - told <= 12s);
    CHECK(closed(w));
    REQUIRE(w.run_until([&] { return w.has(FaultId::inverter_ignores_limits); }, 60s));
    CHECK(w.now - told >= 35s);
    CHECK(w.now - told <= 37s);
    CHECK(w.verdict().state == GatewayState::trip);
    REQUIRE(w.run_until([&] { return open(w); }, 15s));  // ten seconds of waiting for a low current, which never comes
    CHECK(contactors(w).counts().opened_under_load == 1);
    w.run(10min);
    CHECK(open(w));
}

TEST_CASE("adversary: an inverter that takes four seconds for every order is never blamed")
{
    // SAFE-066
    World w;
    w.start_up();
    w.inverter->command("delay 4000");
    Command c;
    c.kind = CommandKind::discharge;
    for (int i = 0; i < 10; ++i) {
        w.inverter->set_wish(i % 2 == 0 ? -9_kW : 9_kW);
        w.run(40s);
        c.on = false;
        c.kind = i % 2 == 0 ? CommandKind::discharge : CommandKind::charge;
        w.command(c);
        w.run(20s);
        CHECK_FALSE(w.has(FaultId::limit_exceeded));
        c.on = true;
        w.command(c);
    }
}

TEST_CASE("adversary: an inverter that ignores its limits but not silence is stopped by it, and is told zeros again afterwards")
{
    // SAFE-113
    World w{{.extra = "safety: {over_limit: {trip_s: 120}, inverter_link: {stop_methods: [limits, silence]}}\n"}};
    w.start_up();
    w.inverter->set_wish(-6_kW);
    w.run(20s);
    w.inverter->command("ignore on");
    Command off;
    off.kind = CommandKind::discharge;
    w.command(off);
    REQUIRE(w.run_until([&] { return w.verdict().fall_silent; }, 20s));
    // The last thing it was told is zero, both ways.
    w.run(1s);
    CHECK(zero(*w.last(Side::inverter, 0x110)));
    const Instant silent = w.now;
    w.run(5s);
    CHECK(count_sent(w, Side::inverter, 0x110, silent) == 0);
    const auto current = [&] {
        Snapshot s;
        w.bridge.fill(s, w.now);
        return s.battery.current.last().value_or(Current{});
    };
    REQUIRE(current() < -10_A);
    REQUIRE(w.run_until([&] { return magnitude(current()) < 2_A; }, 60s));
    CHECK_FALSE(w.has(FaultId::inverter_ignores_limits));
    REQUIRE(w.run_until([&] { return !w.verdict().fall_silent; }, 60s));
    REQUIRE(w.run_until([&] { return count_sent(w, Side::inverter, 0x110, silent) > 0; }, 30s));
    CHECK(w.verdict().discharge.is_zero());
    CHECK(closed(w));
}
