// Days in the life of a house, in virtual time: the real bridge between a simulated pack and a simulated inverter.
#include "tests/support/world.hpp"

using namespace batgw;
using namespace batgw::test;

namespace {

std::int64_t charge_a10(const CanFrame& f) { return f.data[6] << 8 | f.data[7]; }
std::int64_t discharge_a10(const CanFrame& f) { return f.data[4] << 8 | f.data[5]; }

// When the first limit frame with these properties was sent after `since`.
template <class F>
std::optional<Instant> first_limits(const World& w, Instant since, F&& wanted)
{
    for (const Seen& s : w.sent)
        if (s.side == Side::inverter && s.frame.id == 0x110 && s.at >= since && wanted(s.frame)) return s.at;
    return std::nullopt;
}
bool zero(const CanFrame& f) { return charge_a10(f) == 0 && discharge_a10(f) == 0; }

WorldOptions with_soc(Percent soc)
{
    WorldOptions o;
    o.pack.soc = soc;
    return o;
}

// The longest time between two frames of an id, from `since` on.
Duration longest_gap(const World& w, Side side, std::uint32_t id, Instant since)
{
    std::optional<Instant> last;
    Duration longest{};
    for (const Seen& s : w.sent) {
        if (s.side != side || s.frame.id != id || s.at < since) continue;
        if (last) longest = std::max(longest, s.at - *last);
        last = s.at;
    }
    return longest;
}

}  // namespace

TEST_CASE("start: silence, then zeros, then closed contactors, then a ramp to full power")
{
    World w;
    w.run(9s);
    // SAFE-141: not before the process is up for 10 s; SAFE-250: in this order.
    for (const Seen& s : w.sent)
        if (s.side == Side::battery && s.frame.id == 0x12d) REQUIRE(s.frame.data[0] == 0x50);
    CHECK(w.verdict().state == GatewayState::starting);
    REQUIRE(w.run_until([&] { return w.verdict().contactors.state == ContactorState::closed; }, 20s));
    // SAFE-003, SAFE-214: nothing but zeros was said before.
    for (const Seen& s : w.sent)
        if (s.side == Side::inverter && s.frame.id == 0x110) REQUIRE(zero(s.frame));
    CHECK(w.plant.worst_closing_step() < 20_V);

    const Instant closed = w.now;
    REQUIRE(w.run_until([&] { return w.verdict().charge.power() == 10_kW; }, 60s));
    CHECK(w.now - closed >= 19900ms);  // SAFE-092: 5 % a second, in steps of a judgement
    w.run(10s);
    CHECK(w.verdict().state == GatewayState::run);
    CHECK(charge_a10(*w.last(Side::inverter, 0x110)) > 200);
    CHECK(w.inverter->report().satisfied());
}

TEST_CASE("a normal afternoon: the pack fills, rests, empties, and no limit above the configuration is ever sent")
{
    World w{with_soc(60_pct)};
    w.start_up();
    const std::vector<std::pair<Power, Duration>> day{
        {8_kW, 30min}, {Power{}, 10min}, {-6_kW, 1h}, {3_kW, 10min}, {-2_kW, 10min}};
    for (const auto& [wish, time] : day) {
        w.inverter->set_wish(wish);
        for (Duration t{}; t < time; t += 10min) {
            w.run(10min);
            CHECK(w.verdict().charge.power() <= 10_kW);
            CHECK(w.verdict().discharge.power() <= 10_kW);
            CHECK(w.verdict().worst < FaultClass::trip);
            CHECK(w.verdict().contactors.state == ContactorState::closed);
            w.sent.clear();
        }
    }
    CHECK(w.inverter->report().problems.empty());
}

TEST_CASE("full: charging ends by the cells, discharging stays allowed, and charging returns only below the clear point")
{
    World w{with_soc(97_pct)};
    w.start_up();
    w.inverter->set_wish(10_kW);
    REQUIRE(w.run_until([&] { return w.verdict().charge.is_zero(); }, 2h));
    CHECK_FALSE(w.verdict().discharge.is_zero());
    CHECK(w.verdict().contactors.state == ContactorState::closed);
    CHECK(w.verdict().worst < FaultClass::trip);
    w.run(1s);
    CHECK(charge_a10(*w.last(Side::inverter, 0x110)) == 0);  // SAFE-094
    CHECK(discharge_a10(*w.last(Side::inverter, 0x110)) > 0);
    CHECK(w.bridge.battery().cell_voltage_max.last().value() < 3700_mV);
}

TEST_CASE("empty: discharging ends at the state-of-charge window, charging stays allowed")
{
    World w{with_soc(13_pct)};
    w.start_up();
    w.inverter->set_wish(-10_kW);
    REQUIRE(w.run_until([&] { return w.verdict().discharge.is_zero(); }, 3h));
    CHECK_FALSE(w.verdict().charge.is_zero());
    w.run(10s);
    CHECK(w.has(FaultId::soc_low));  // SAFE-069
    CHECK(discharge_a10(*w.last(Side::inverter, 0x110)) == 0);
    CHECK(w.bridge.battery().cell_voltage_min.last().value() > 2700_mV);
    w.inverter->set_wish(5_kW);
    CHECK(w.run_until([&] { return !w.verdict().discharge.is_zero(); }, 2h));
    CHECK(w.bridge.battery().soc.last().value() >= 13_pct);
}

TEST_CASE("cold: no charge at 0 degrees, less discharge, full power when warm again")
{
    World w;
    w.start_up();
    w.pack->command("temp -1");
    w.run(60s);
    CHECK(w.verdict().charge.is_zero());  // SAFE-072
    CHECK(w.has(FaultId::temp_cold));
    CHECK(w.verdict().discharge.power() <= 6_kW);
    CHECK(w.verdict().discharge.power() >= 5_kW);
    w.pack->command("temp 18");
    CHECK(w.run_until([&] { return w.verdict().charge.power() == 10_kW; }, 180s));
}

TEST_CASE("hot: less, then nothing, and above 60 degrees the contactors open and stay open")
{
    World w;
    w.start_up();
    w.warm_to(47);
    CHECK(w.verdict().charge.power() <= 3_kW);
    CHECK(w.verdict().charge.by() == Cause::temperature);
    for (const char* next : {"temp 51", "temp 55", "temp 59", "temp 62"}) {
        w.pack->command(next);
        w.run(70s);
    }
    CHECK(w.verdict().state == GatewayState::trip);  // SAFE-064
    CHECK(w.has(FaultId::temp_crit));
    CHECK(w.pack->connection() == sim::Connection::open);
    w.pack->command("temp 20");
    w.run(10min);
    CHECK(w.verdict().state == GatewayState::trip);
    CHECK(w.verdict().charge.is_zero());
    CHECK(w.pack->connection() == sim::Connection::open);
}

TEST_CASE("one cell low: its discharge ends, the rest of the pack does not hide it")
{
    World w;
    w.start_up();
    w.inverter->set_wish(-5_kW);
    w.run(10s);
    w.pack->command("cell 44 2.95");
    w.run(30s);
    CHECK(w.verdict().discharge.power() <= 3_kW);
    w.pack->command("cell 44 2.79");
    REQUIRE(w.run_until([&] { return w.verdict().discharge.is_zero(); }, 10s));
    w.run(5s);
    CHECK(w.has(FaultId::cell_low));
    CHECK(w.bridge.battery().cell_min_number.last().value() == 44_count);
    w.pack->command("cell 44 2.6");
    w.run(30s);
    CHECK(w.verdict().state == GatewayState::trip);  // the pack's profile trips at 2.7 V
    CHECK(w.pack->connection() == sim::Connection::open);
}

TEST_CASE("pack silent: zero limits in 2 s, the link is lost after 10 s, and what returns is held, then ramped")
{
    World w;
    w.start_up();
    w.inverter->set_wish(5_kW);
    w.run(20s);
    const Instant silent = w.now;
    w.pack->command("silent on");
    w.run(2s + 100ms);
    const auto at = first_limits(w, silent, zero);
    REQUIRE(at);
    CHECK(*at - silent <= 2s);  // SAFE-022, SAFE-023
    CHECK(w.verdict().charge.is_zero());
    // SAFE-161: a pack that is not heard is not claimed to be open, and its link voltage is not dropped under load.
    CHECK(w.last(Side::battery, 0x12d)->data[2] == 0x00);
    CHECK(w.last(Side::battery, 0x441)->data[5] == 0x01);
    w.run(10s);
    CHECK(w.has(FaultId::bat_link_lost));  // SAFE-170
    CHECK(w.verdict().state == GatewayState::block);
    w.pack->command("silent off");
    const Instant back = w.now;
    REQUIRE(w.run_until([&] { return !w.verdict().charge.is_zero(); }, 120s));
    CHECK(w.now - back >= 30s);
}

TEST_CASE("pack silent for good: the open sequence is asked for, and the inverter hears zeros, not silence, until then")
{
    World w;
    w.start_up();
    w.pack->command("silent on");
    const Instant silent = w.now;
    w.run(100s);
    CHECK(w.verdict().contactors.order == ContactorOrder::open);     // SAFE-170
    CHECK(longest_gap(w, Side::inverter, 0x110, silent) <= 2100ms);  // SAFE-112
    CHECK(w.verdict().contactors.state != ContactorState::open);     // nobody said that it is
}

TEST_CASE("pack lies: corrupt checksums, an impossible voltage and cells that contradict the pack stop the current")
{
    World w;
    w.start_up();
    SUBCASE("five corrupt frames of the current")
    {
        w.pack->command("corrupt 444 on");
        w.run(1500ms);
        CHECK(w.verdict().charge.is_zero());  // SAFE-024
        CHECK(w.verdict().discharge.is_zero());
    }
    SUBCASE("a pack voltage that its cells do not add up to")
    {
        w.pack->command("voltage 385");
        w.run(60s);
        CHECK(w.has(FaultId::plausibility));  // SAFE-028 (a)
        CHECK(w.verdict().charge.is_zero());
    }
    SUBCASE("wrong lengths count and refresh nothing")
    {
        w.pack->command("length 446 7");
        w.run(15s);
        CHECK(w.verdict().charge.is_zero());
        CHECK(w.verdict().discharge.is_zero());
        Snapshot s;
        w.bridge.fill(s, w.now);
        CHECK(s.buses[0].traffic.heard[static_cast<std::size_t>(Heard::bad_length)] > 5);
    }
}

TEST_CASE("inverter silent: grants end after its time, contactors open a minute later, and it is identified anew when it returns")
{
    World w;
    w.start_up();
    w.inverter->command("silent on");
    w.run(65s);
    CHECK(w.has(FaultId::inv_link_lost));  // SAFE-180
    CHECK(w.verdict().charge.is_zero());
    CHECK(w.verdict().contactors.state == ContactorState::closed);
    w.run(90s);
    CHECK(w.pack->connection() == sim::Connection::open);  // SAFE-181
    w.sent.clear();
    w.run(30s);
    for (const Seen& s : w.sent) CHECK(s.side == Side::battery);
    w.inverter->command("silent off");
    w.inverter->command("restart 0");
    REQUIRE(w.run_until([&] { return w.verdict().charge.power() == 10_kW; }, 180s));  // SAFE-158, SAFE-182
    std::vector<std::uint32_t> first;
    for (const Seen& s : w.sent)
        if (s.side == Side::inverter && first.size() < 3) first.push_back(s.frame.id);
    CHECK(first == std::vector<std::uint32_t>{0x250, 0x290, 0x2d0});
}

TEST_CASE("inverter restarts: it is identified again at once and power goes on")
{
    World w;
    w.start_up();
    const Instant restart = w.now;
    w.inverter->command("restart 5");
    REQUIRE(w.run_until(
        [&] {
            return std::count_if(
                       w.sent.begin(), w.sent.end(), [&](const Seen& s) { return s.frame.id == 0x250 && s.at > restart; }) > 0;
        },
        20s));
    w.run(30s);
    CHECK(w.verdict().state == GatewayState::run);
    CHECK(w.pack->connection() == sim::Connection::closed);
}

TEST_CASE("broker commands: off is a zero limit in the same turn, a lower limit too, and on returns by the ramp")
{
    World w;
    w.start_up();
    w.run(5s);
    Command off;
    off.kind = CommandKind::charge;
    CHECK(w.command(off).code == CommandCode::ok);
    CHECK(w.verdict().charge.is_zero());  // SAFE-192
    CHECK(charge_a10(*w.last(Side::inverter, 0x110)) == 0);
    CHECK(discharge_a10(*w.last(Side::inverter, 0x110)) > 0);
    CHECK(w.verdict().state == GatewayState::run);

    Command lower;
    lower.kind = CommandKind::max_discharge;
    lower.discharge_power = 2_kW;
    w.run(1s);
    CHECK(w.command(lower).code == CommandCode::ok);
    CHECK(w.verdict().discharge.power() == 2_kW);
    CHECK(discharge_a10(*w.last(Side::inverter, 0x110)) < 50);

    Command on = off;
    on.on = true;
    CHECK(w.command(on).code == CommandCode::ok);
    w.run(100ms);
    CHECK(w.verdict().charge.power() < 1_kW);  // SAFE-092
    CHECK(w.run_until([&] { return w.verdict().charge.power() == 10_kW; }, 40s));

    Command more = lower;
    more.discharge_power = 12_kW;
    CHECK(w.command(more).code == CommandCode::out_of_range);  // SAFE-191
    CHECK(w.verdict().discharge.power() == 2_kW);
}

TEST_CASE("reload: a tighter limit acts at once, a looser one by the ramp, and the contactors stay closed")
{
    World w;
    w.start_up();
    Config next = w.config;
    next.battery.max_charge = next.battery.charge = 4_kW;
    w.bridge.reconfigure(next, w.now);
    w.run(1ms);
    CHECK(w.verdict().charge.power() == 4_kW);  // SAFE-241
    w.bridge.reconfigure(w.config, w.now);
    w.run(1s);
    CHECK(w.verdict().charge.power() < 6_kW);
    CHECK(w.run_until([&] { return w.verdict().charge.power() == 10_kW; }, 60s));
    CHECK(w.pack->connection() == sim::Connection::closed);
}

TEST_CASE("stop: zero limits, low current, shutdown, acknowledge, open, last zeros, silence, within 25 s")
{
    World w;
    w.start_up();
    w.inverter->set_wish(8_kW);
    w.run(10s);
    const Instant stop = w.now;
    w.bridge.request_stop(w.now);
    REQUIRE(w.run_until([&] { return w.verdict().stopped; }, 30s));
    CHECK(w.now - stop <= 25s);  // SAFE-217
    CHECK(w.pack->connection() == sim::Connection::open);
    std::vector<std::uint8_t> order;
    for (const Seen& s : w.sent)
        if (s.side == Side::battery && s.frame.id == 0x12d && s.at >= stop && (order.empty() || order.back() != s.frame.data[3]))
            order.push_back(s.frame.data[3]);
    // HOLD, SHUTDOWN, ACK (and STANDBY when there was time for it).
    REQUIRE(order.size() >= 3);
    CHECK(order[0] == 0x22);
    CHECK(order[1] == 0x60);
    CHECK(order[2] == 0x20);
    const auto at = first_limits(w, stop, zero);
    REQUIRE(at);
    CHECK(*at - stop <= 50ms);
    for (const Seen& s : w.sent)
        if (s.side == Side::inverter && s.frame.id == 0x110 && s.at > *at) CHECK(zero(s.frame));
}

TEST_CASE("a second stop request does not wait for anything")
{
    World w;
    w.start_up();
    w.inverter->set_wish(8_kW);
    w.inverter->command("ignore on");
    w.run(10s);
    w.bridge.request_stop(w.now);
    w.run(1s);
    w.bridge.request_stop(w.now);
    const Instant hurry = w.now;
    REQUIRE(w.run_until([&] { return w.pack->connection() == sim::Connection::open; }, 10s));
    CHECK(w.now - hurry < 5s);
}
