#include "safety/grants.hpp"

#include "safety/grant_writer.hpp"
#include "tests/safety/house.hpp"

#include <doctest/doctest.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <random>
#include <vector>

using namespace batgw;
using batgw::test::House;

TEST_CASE("only a grant with power and current is one; anything else is exactly nothing")
{
    // SAFE-094
    REQUIRE(Grant{}.is_zero());
    REQUIRE(Grant{}.power() == Power{});
    const Grant some = GrantWriter::write(100_W, 1_A, Cause::config);
    REQUIRE(some.power() == 100_W);
    REQUIRE(some.current() == 1_A);
    for (std::int64_t power = -1000; power <= 1000; power += 1000)
        for (std::int64_t current = -1000; current <= 1000; current += 1000) {
            const Grant g = GrantWriter::write(Power::from_milli(power), Current::from_milli(current), Cause::soc);
            const bool something = power > 0 && current > 0;
            REQUIRE(g.power() == (something ? 1_W : 0_W));
            REQUIRE(g.current() == (something ? 1_A : 0_A));
            REQUIRE(g.by() == Cause::soc);
        }
    for (const Grant& none : {GrantWriter::write(0_W, 1_A, Cause::ramp), GrantWriter::write(100_W, 0_A, Cause::ramp),
             GrantWriter::write(-1_W, 1_A, Cause::ramp), GrantWriter::write(1_W, -1_A, Cause::ramp),
             GrantWriter::nothing(Cause::ramp)}) {
        REQUIRE(none.is_zero());
        REQUIRE(none.power() == Power{});
        REQUIRE(none.current() == Current{});
        REQUIRE(none.by() == Cause::ramp);
    }
}

TEST_CASE("an offer needs everything it depends on, and the first that is missing is its cause")
{
    // SAFE-003, SAFE-090
    CHECK(nothing_because(Offer{}));
    const Offer all{.stopping = false,
        .battery_alive = true,
        .signals_there = true,
        .battery_ready = true,
        .fault = {},
        .blocked = false,
        .identity_known = true,
        .contactors_carry = true,
        .link_blocks = false,
        .started = true,
        .ignored = false,
        .listening = true};
    CHECK_FALSE(nothing_because(all));
    struct Case {
        void (*take)(Offer&);
        Cause cause;
    };
    const std::array cases{
        Case{[](Offer& o) { o.stopping = true; }, Cause::operator_},
        Case{[](Offer& o) { o.battery_alive = false; }, Cause::link},
        Case{[](Offer& o) { o.signals_there = false; }, Cause::stale},
        Case{[](Offer& o) { o.battery_ready = false; }, Cause::stale},
        Case{[](Offer& o) { o.fault = Cause::temperature; }, Cause::temperature},
        Case{[](Offer& o) { o.blocked = true; }, Cause::fault},
        Case{[](Offer& o) { o.identity_known = false; }, Cause::battery},
        Case{[](Offer& o) { o.contactors_carry = false; }, Cause::contactor},
        Case{[](Offer& o) { o.link_blocks = true; }, Cause::link},
        Case{[](Offer& o) { o.started = false; }, Cause::contactor},
        Case{[](Offer& o) { o.ignored = true; }, Cause::inverter},
        Case{[](Offer& o) { o.listening = false; }, Cause::inverter},
    };
    Offer fewer = all;
    for (std::size_t i = cases.size(); i-- > 0;) {
        CAPTURE(i);
        Offer one = all;
        cases[i].take(one);
        CHECK(nothing_because(one) == cases[i].cause);
        cases[i].take(fewer);
        CHECK(nothing_because(fewer) == cases[i].cause);  // whatever of the later ones is missing, too
    }
}

TEST_CASE("a blocked direction is exactly zero, the other keeps its grant")
{
    // SAFE-094
    House house;
    house.up();
    house.cell_max = 3600_mV;
    house.run(2s);
    REQUIRE(house.verdict().charge.power() == Power{});
    REQUIRE(house.verdict().charge.current() == Current{});
    REQUIRE(house.verdict().discharge.power() == 10_kW);
}

TEST_CASE("the grant is the lowest of all limits, whichever that is")
{
    // SAFE-070
    struct Limit {
        Cause cause;
        void (*set)(House&, Power);
    };
    const auto curve = [](Power p) { return Percent::from_milli(p.milli() / 100); };  // of 10 kW
    REQUIRE(curve(2500_W) == 25_pct);
    const std::array limits{
        Limit{Cause::config, [](House& h, Power p) { h.inputs.operator_.max_charge = h.inputs.operator_.max_discharge = p; }},
        Limit{Cause::operator_,
            [](House& h, Power p) {
                h.inputs.operator_.max_charge = h.inputs.operator_.max_discharge = p;
                h.inputs.operator_.charge_limit_default = h.inputs.operator_.discharge_limit_default = false;
            }},
        Limit{Cause::operator_,
            [](House& h, Power p) {
                h.inputs.operator_.max_charge_current = h.inputs.operator_.max_discharge_current = *(p / 385_V);
            }},
        Limit{Cause::battery, [](House& h, Power p) { h.charge_limit = h.discharge_limit = p; }},
        Limit{Cause::temperature,
            [](House& h, Power p) {  // both curves fall by 10 % per degree from 45 or 50
                h.temperature_max = Temperature::from_milli(45'000 + (5'000'000 - p.milli()) / 1000);
                h.temperature_min = h.temperature_max - 5_K;
            }},
    };
    for (const Limit& a : limits) {
        House house;
        house.up();
        REQUIRE(house.verdict().charge.by() == Cause::config);
        a.set(house, 4_kW);
        house.step();
        REQUIRE(house.charge() <= 4_kW);
        REQUIRE(house.charge() >= 3990_W);
        REQUIRE(house.verdict().charge.by() == a.cause);
        for (const Limit& b : limits) {
            if (&a == &b || (a.cause == Cause::config && b.cause == Cause::operator_) ||
                (a.cause == Cause::operator_ && b.cause == Cause::config))
                continue;
            House both;
            both.up();
            b.set(both, 3_kW);
            a.set(both, 4_kW);
            if (a.cause == Cause::operator_ && b.cause == Cause::operator_) continue;
            both.step();
            REQUIRE(both.charge() <= 3_kW);
            REQUIRE(both.charge() >= 2990_W);
            REQUIRE(both.verdict().charge.by() == b.cause);
        }
    }
}

TEST_CASE("a battery's zero counts at once, and its generosity is cut to the configured maximum")
{
    // SAFE-070
    House house;
    house.charge_limit = 200_kW;
    house.up();
    REQUIRE(house.charge() == 10_kW);
    REQUIRE(house.verdict().charge.by() == Cause::config);
    house.charge_limit = 0_W;
    house.step(1ms);
    REQUIRE(house.verdict().charge.is_zero());
    REQUIRE(house.verdict().charge.by() == Cause::battery);
    REQUIRE_FALSE(house.has(FaultId::bms_denies));
    REQUIRE(house.verdict().state == GatewayState::run);  // its own limit alone is ordinary operation
    house.charge_limit = -5_kW;
    house.step(1ms);
    REQUIRE(house.verdict().charge.power() == Power{});
}

TEST_CASE("power becomes current with the fresh voltage, rounded down; current becomes power with the lower voltage")
{
    // SAFE-076
    House house;
    house.voltage = 401_V;
    house.up();
    REQUIRE(house.verdict().charge.current() == Current::from_milli(24'937));  // 10 kW / 401 V = 24.9376 A
    REQUIRE(house.verdict().charge.power() == 10_kW);
    house.inputs.operator_.max_charge_current = 10_A;
    house.step();
    REQUIRE(house.charge() == 3850_W);  // nominal is lower
    house.voltage = 370_V;
    house.step();
    REQUIRE(house.charge() == 3700_W);  // measured is lower
    REQUIRE(house.verdict().charge.current() == 10_A);
    house.facts.voltage_nominal.reset();
    house.step();
    REQUIRE(house.charge() == 3700_W);

    SUBCASE("without a fresh voltage there is no grant")
    {
        house.silent.insert(SignalId::voltage);
        house.run(2s);
        REQUIRE_FALSE(house.verdict().charge.is_zero());
        house.step(1ms);
        REQUIRE(house.verdict().charge.is_zero());
        REQUIRE(house.verdict().discharge.is_zero());
    }
    SUBCASE("and none at zero volts")
    {
        House flat;
        flat.facts.voltage_min = 0_V;
        flat.up();
        flat.voltage = 0_V;
        flat.step();
        REQUIRE(flat.verdict().charge.is_zero());
        REQUIRE(flat.verdict().discharge.is_zero());
    }
}

TEST_CASE("whole watts, never more than the parts allow")
{
    // SAFE-090
    House house;
    house.charge_limit = Power::from_milli(1'234'999);
    house.up();
    REQUIRE(house.charge() == 1234_W);
}

TEST_CASE("the chain of reasons: what comes first in the order of composition names the cause")
{
    // SAFE-090
    House house;
    house.up();
    const auto cause = [&] {
        house.step();
        REQUIRE(house.verdict().charge.is_zero());
        return house.verdict().charge.by();
    };
    const std::uint64_t before = house.verdict().sequence;
    house.inputs.operator_.charge = false;
    REQUIRE(cause() == Cause::operator_);
    REQUIRE(house.verdict().sequence == before + 1);
    house.inverter.heard.reset();
    house.inverter_speaks = false;
    REQUIRE(cause() == Cause::link);
    house.contactor = ContactorFeedback::open;
    REQUIRE(cause() == Cause::contactor);
    house.state.reported.push_back({.level = FaultClass::block, .direction = Direction::both, .code = {"made up"}});
    REQUIRE(cause() == Cause::fault);
    house.state.reported.push_back({.level = FaultClass::trip, .direction = Direction::both, .code = {"worse"}});
    house.temperature_max = 61_degC;
    REQUIRE(cause() == Cause::fault);
    house.silent.insert(SignalId::contactor);
    house.run(2s);
    REQUIRE(cause() == Cause::stale);
    house.pack_speaks = false;
    house.run(11s);
    REQUIRE(cause() == Cause::link);
    house.inputs.stop_requested = true;
    REQUIRE(cause() == Cause::operator_);
}

TEST_CASE("a grant rises by five percent of the maximum per second, after start-up and after a BLOCK")
{
    // SAFE-092
    House house;
    house.run(10s);
    REQUIRE(house.time_until([&] { return !house.verdict().charge.is_zero(); }, 10s) < 300ms);
    const Instant from = house.now;
    const auto expect = [&](Instant since) {
        const std::int64_t ms = (house.now - since) / 1ms;
        REQUIRE(house.charge() >= Power::from_milli(std::max<std::int64_t>(ms - 100, 0) * 500));
        REQUIRE(house.charge() <= Power::from_milli((ms + 200) * 500));
        REQUIRE(house.verdict().charge.by() == Cause::ramp);
    };
    for (int i = 0; i < 190; ++i) {
        house.step();
        expect(from);
    }
    house.run(2s);
    REQUIRE(house.charge() == 10_kW);
    REQUIRE(house.verdict().state == GatewayState::run);
    house.cell_max = 3600_mV;
    house.run(3s);
    house.cell_max = 3310_mV;
    REQUIRE(house.time_until([&] { return !house.verdict().charge.is_zero(); }, 60s) < 31s);
    expect(house.now);
    house.run(5s);
    REQUIRE(house.charge() >= 2450_W);
    REQUIRE(house.charge() <= 2650_W);
}

TEST_CASE("each direction rises by its own share of its own maximum")
{
    // SAFE-092
    House house;
    house.battery.max_charge = house.battery.charge = 4_kW;
    house.run(10s);
    REQUIRE(
        house.time_until([&] { return !house.verdict().charge.is_zero() && !house.verdict().discharge.is_zero(); }, 10s) < 1s);
    const Power charge = house.charge(), discharge = house.discharge();
    house.run(10s);
    REQUIRE(house.charge() - charge == 2_kW);
    REQUIRE(house.discharge() - discharge == 5_kW);
}

TEST_CASE("a decrease in the middle of the ramp acts at once, and the ramp starts anew from there")
{
    // SAFE-092
    House house;
    house.run(20s);
    REQUIRE(house.charge() > 4_kW);
    house.charge_limit = 1_kW;
    house.step(1ms);
    REQUIRE(house.charge() == 1_kW);
    house.charge_limit = 50_kW;
    const Instant back = house.now;
    house.run(5s);
    REQUIRE(house.charge() <= 1050_W);  // suppressed until the limit has stood above for 5 s
    house.run(4s);
    REQUIRE(house.now == back + 9s);
    REQUIRE(house.charge() >= 2900_W);
    REQUIRE(house.charge() <= 3050_W);
}

TEST_CASE("a battery limit that rises follows the same slope")
{
    // SAFE-092
    House house;
    house.charge_limit = 2_kW;
    house.up();
    REQUIRE(house.charge() == 2_kW);
    house.charge_limit = 8_kW;
    Power last = house.charge();
    for (int i = 0; i < 200; ++i) {
        house.step();
        REQUIRE(house.charge() - last <= 51_W);
        last = house.charge();
    }
    REQUIRE(last == 8_kW);
}

TEST_CASE("an operator's OFF acts at once, ON rises from zero")
{
    // SAFE-192
    House house;
    house.up();
    house.inputs.operator_.charge = false;
    house.step(1us);
    REQUIRE(house.verdict().charge.is_zero());
    REQUIRE(house.verdict().charge.by() == Cause::operator_);
    REQUIRE(house.discharge() == 10_kW);
    house.run(60s);
    house.inputs.operator_.charge = true;
    house.run(1s);
    REQUIRE(house.charge() >= 400_W);
    REQUIRE(house.charge() <= 550_W);
}

TEST_CASE("the slope does not depend on how often it is looked at")
{
    // SAFE-092
    const auto after = [](Duration each) {
        GrantRamp ramp;
        const GrantRamp::Input in{.limit = {10_kW, Cause::config}, .rise_per_second = 100_W, .settle = 0s};
        Power p;
        for (Duration t = 0s; t <= 1s; t += each) p = ramp.update(in, Instant{t}).power;
        return p;
    };
    REQUIRE(after(100ms) == 100_W);
    REQUIRE(after(1us) == 100_W);
    REQUIRE(after(250ms) == 100_W);
}

TEST_CASE("noise of three millivolts near the end of charge raises the grant at most once in five seconds")
{
    // SAFE-093
    constexpr unsigned seed = 20'260'301;
    MESSAGE("seed " << seed);
    std::mt19937 random{seed};
    House house;
    house.up();
    Power last = house.charge();
    std::optional<Instant> raised;
    int falls = 0;
    for (int i = 0; i < 6000; ++i) {
        house.cell_max = 3480_mV + Voltage::from_milli(static_cast<std::int64_t>(random() % 7U) - 3);
        house.step();
        const Power now = house.charge();
        if (now > last) {
            if (raised) REQUIRE(house.now - *raised >= 5s);
            raised = house.now;
        }
        falls += now < last ? 1 : 0;
        last = now;
    }
    REQUIRE(falls > 0);
    REQUIRE(last >= 5050_W);  // of the highest sample
    REQUIRE(last <= 5200_W);
}

namespace {

// A random but possible state of things; each is judged by a fresh judge that has been brought to full grants before.
struct Random {
    std::mt19937 engine;
    std::int64_t between(std::int64_t low, std::int64_t high)
    {
        return low + static_cast<std::int64_t>(engine() % static_cast<std::uint64_t>(high - low + 1));
    }
};

}  // namespace

TEST_CASE("moving any measured value towards the unsafe side never raises a grant")
{
    // SAFE-074
    constexpr unsigned seed = 42'4242;
    MESSAGE("seed " << seed);
    Random random{std::mt19937{seed}};
    struct Move {
        const char* what;
        Direction direction;  // whose grant must not rise
        std::function<void(House&, std::int64_t)> set;
        std::int64_t from, to, step;  // `step` leads to the unsafe side
    };
    const auto hot = [](House& h, std::int64_t v) { h.temperature_max = Temperature::from_milli(v); };
    const auto cold = [](House& h, std::int64_t v) { h.temperature_min = Temperature::from_milli(v); };
    const std::vector<Move> moves{
        {"cell_max", Direction::charge, [](House& h, std::int64_t v) { h.cell_max = Voltage::from_milli(v); }, 3410, 3610, 1},
        {"cell_min", Direction::discharge, [](House& h, std::int64_t v) { h.cell_min = Voltage::from_milli(v); }, 2790, 3090, -1},
        {"temperature_max", Direction::both, hot, 26'000, 60'000, 100},
        {"temperature_min", Direction::both, cold, -25'000, 22'000, -100},
        {"soc", Direction::discharge, [](House& h, std::int64_t v) { h.soc = Percent::from_milli(v); }, 5000, 20'000, -100},
        {"charge_limit", Direction::charge, [](House& h, std::int64_t v) { h.charge_limit = Power::from_milli(v); }, 0,
            12'000'000, -1000},
        {"discharge_limit", Direction::discharge, [](House& h, std::int64_t v) { h.discharge_limit = Power::from_milli(v); }, 0,
            12'000'000, -1000},
    };
    House full;
    full.up();
    int lowered = 0;
    for (int i = 0; i < 400; ++i) {
        std::vector<std::int64_t> values;
        for (const Move& m : moves) values.push_back(random.between(m.from, m.to));
        const auto judged = [&](std::size_t moved, std::int64_t by) {
            House house = full;
            for (std::size_t k = 0; k < moves.size(); ++k) moves[k].set(house, values[k] + (k == moved ? by : 0));
            house.step();
            return std::pair{house.verdict().charge.power(), house.verdict().discharge.power()};
        };
        const auto before = judged(0, 0);
        for (std::size_t k = 0; k < moves.size(); ++k) {
            CAPTURE(moves[k].what);
            const auto after = judged(k, moves[k].step * random.between(1, 100));
            if (covers(moves[k].direction, Direction::charge)) REQUIRE(after.first <= before.first);
            if (covers(moves[k].direction, Direction::discharge)) REQUIRE(after.second <= before.second);
            lowered += after != before ? 1 : 0;
        }
    }
    REQUIRE(lowered > 100);
}

TEST_CASE("the fraction of several curves is the least of them, not their product")
{
    // SAFE-074
    House house;
    house.up();
    house.temperature_max = 45_degC;  // charge 0.5
    house.cell_max = 3483_mV;         // charge 0.505
    house.step();
    REQUIRE(house.charge() == 5_kW);
}

TEST_CASE("a ramp that is asked for the first time has stood at nothing until then, however long the machine has been up")
{
    // SAFE-092
    constexpr Instant late{std::chrono::hours{100}};
    GrantRamp ramp;
    const GrantRamp::Input in{.limit = {10_kW, Cause::battery}, .rise_per_second = 500_W};
    CHECK(ramp.update(in, late).power == Power{});
    const Ceiling next = ramp.update(in, late + 1s);
    CHECK(next.power == 500_W);
    CHECK(next.by == Cause::ramp);
    CHECK(ramp.update(in, late + 20s).power == 10_kW);
}

namespace {

// A ramp alone, that has stood at `power` for long.
struct Slope {
    GrantRamp ramp;
    GrantRamp::Input in{.rise_per_second = 100_W};
    Instant now{std::chrono::hours{2}};
    explicit Slope(Power power)
    {
        in.limit = {power, Cause::battery};
        in.rise_per_second = 1000_kW;
        for (int i = 0; i < 3; ++i) at(1s);
        in.rise_per_second = 100_W;
    }
    Ceiling at(Duration later)
    {
        now += later;
        return ramp.update(in, now);
    }
};

}  // namespace

TEST_CASE("what fades goes linearly from what was granted to nothing, at the end to nothing at all, and rises anew")
{
    // SAFE-023
    Slope s{6_kW};
    s.in.fades = s.now;
    s.in.fade_time = 3s;
    CHECK(s.at(0s).power == 6_kW);
    const Ceiling third = s.at(1s);
    CHECK(third.power == 4_kW);
    CHECK(third.by == Cause::stale);
    CHECK(s.at(1999ms).power == 2_W);
    CHECK(s.at(1ms).power == Power{});
    CHECK(s.at(10s).power == Power{});
    s.in.fades.reset();
    CHECK(s.at(1s).power == 100_W);
    CHECK(s.at(1s).power == 200_W);
    // Without a time it is over at once.
    Slope at_once{6_kW};
    at_once.in.fades = at_once.now;
    CHECK(at_once.at(0s).power == Power{});
    // A second loss fades from what is there then.
    Slope again{6_kW};
    again.in.fades = again.now;
    again.in.fade_time = 3s;
    CHECK(again.at(1500ms).power == 3_kW);
    again.in.fades.reset();
    CHECK(again.at(1s).power == 3100_W);
    again.in.fades = again.now;
    CHECK(again.at(1500ms).power == 1550_W);
}

TEST_CASE("a slope begins where something else decided, and only what lowered a grant is named")
{
    // SAFE-092, SAFE-047
    Slope s{2_kW};
    s.in.limit = {5_kW, Cause::temperature};
    CHECK(s.at(1s).power == 2100_W);
    CHECK(s.at(1s).power == 2200_W);
    CHECK(s.at(0s).by == Cause::ramp);
    s.in.limit = {1_kW, Cause::cell_voltage};
    CHECK(s.at(1s).power == 1_kW);
    CHECK(s.at(0s).by == Cause::cell_voltage);
    s.in.limit = {5_kW, Cause::temperature};
    CHECK(s.at(1s).power == 1100_W);
    // A loss that takes less than the slope does not stop it; one that takes more does.
    s.in.fades = s.now;
    s.in.fade_time = 1000s;
    CHECK(s.at(1s).power < 1100_W);
    s.in.fades.reset();
    const Power then = s.at(0s).power;
    CHECK(s.at(1s).power <= then + 100_W);
    Slope blocked{2_kW};
    blocked.in.blocked = Cause::link;
    CHECK(blocked.at(1s).power == Power{});
    CHECK(blocked.at(0s).by == Cause::link);
    blocked.in.blocked.reset();
    CHECK(blocked.at(1s).power == 100_W);
}

TEST_CASE("from nothing a grant rises only where at least the least is possible, once it has stood higher for its time")
{
    // SAFE-074, SAFE-092
    for (const Power limit : {Power::from_milli(1'499'999), 1500_W}) {
        Slope s{Power{}};
        s.in.least = 1500_W;
        s.in.limit = {limit, Cause::soc};
        s.at(0s);
        CHECK((s.at(10s).power > Power{}) == (limit == 1500_W));
        // Once there is something, less will do.
        s.in.limit = {2_kW, Cause::soc};
        s.at(1s);
        REQUIRE(s.at(1s).power > Power{});
        s.in.limit = {100_W, Cause::soc};
        CHECK(s.at(1s).power == 100_W);
        s.in.limit = {1_kW, Cause::soc};
        CHECK(s.at(1s).power == 200_W);
    }
    Slope s{1_kW};
    s.in.settle = 5s;
    s.in.limit = {2_kW, Cause::soc};
    s.at(0s);
    CHECK(s.at(Duration{5s} - 1us).power == 1_kW);
    CHECK(s.at(1us).power == 1_kW);
    CHECK(s.at(1s).power == 1100_W);
    // What is blocked waits as well, and what is not higher does not.
    Slope b{1_kW};
    b.in.settle = 5s;
    b.in.blocked = Cause::link;
    for (int i = 0; i < 2; ++i) b.at(1s);
    b.at(5s);
    b.in.blocked.reset();
    b.at(0s);
    CHECK(b.at(1s).power == 100_W);
}

TEST_CASE("a ceiling can only be lowered, to nothing at the lowest, and by whoever lowered it last")
{
    // SAFE-070
    Ceiling c{1_kW, Cause::config};
    c.lower(1_kW, Cause::battery);
    CHECK(c.by == Cause::config);
    c.lower(2_kW, Cause::battery);
    CHECK(c.power == 1_kW);
    c.lower(900_W, Cause::battery);
    CHECK(c.power == 900_W);
    CHECK(c.by == Cause::battery);
    c.lower(-1_W, Cause::cell_voltage);
    CHECK(c.power == Power{});
    CHECK(c.by == Cause::cell_voltage);
    c.lower(-2_W, Cause::temperature);
    CHECK(c.by == Cause::cell_voltage);
}
