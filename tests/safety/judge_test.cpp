#include "safety/judge.hpp"

#include "tests/safety/house.hpp"

#include <doctest/doctest.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <limits>
#include <new>
#include <random>
#include <string>
#include <string_view>
#include <vector>

using namespace batgw;
using batgw::test::House;

// Every allocation of this test program is counted, so that a test can see that there was none.
namespace {
std::size_t allocations = 0;
}  // namespace
void* operator new(std::size_t size)
{
    ++allocations;
    if (void* p = std::malloc(size == 0 ? 1 : size)) return p;
    throw std::bad_alloc{};
}
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"
void operator delete(void* p) noexcept { std::free(p); }
void operator delete(void* p, std::size_t) noexcept { std::free(p); }
#pragma GCC diagnostic pop

namespace {

// Everything of a verdict that a reader can see, as text: two that differ differ here.
std::string text(const Verdict& v)
{
    std::string s = std::to_string(v.sequence) + ' ' + std::string{to_string(v.state)} + ' ' + std::string{to_string(v.worst)} +
        ' ' + std::string{to_string(v.waiting)} + ' ' + std::string{to_string(v.contactors.state)};
    const auto add = [&](std::int64_t n) { s += ' ' + std::to_string(n); };
    for (const Grant& g : {v.charge, v.discharge}) {
        add(g.power().milli());
        add(g.current().milli());
        s += to_string(g.by());
    }
    for (const auto& u : {v.voltage_max, v.voltage_min}) add(u ? u->milli() : -1);
    for (const bool b : {v.battery_link, v.inverter_link, v.battery_valid, v.ready, v.may_fall_silent, v.high_cause, v.stopped,
             v.mute_battery, v.mute_inverter})
        add(b ? 1 : 0);
    for (const Direction d : {v.override_soc, v.ask_against}) add(static_cast<int>(d));
    add(v.fall_silent ? 1 : 0);
    for (const ActiveFault& f : v.faults) {
        s += ' ' + std::string{to_string(f.id)} + ':' + std::string{f.detail.view()};
        add(static_cast<int>(f.level));
        add(f.since.time_since_epoch().count());
        add(f.value_milli);
    }
    return s;
}

// A random house: everything may happen, from ordinary to absurd.
struct Chaos {
    std::mt19937_64 engine;
    std::uint64_t dice(std::uint64_t n) { return engine() % n; }
    std::int64_t any()
    {
        switch (dice(5)) {
        case 0: return static_cast<std::int64_t>(engine());
        case 1: return std::numeric_limits<std::int64_t>::max();
        case 2: return std::numeric_limits<std::int64_t>::min();
        case 3: return 0;
        default: return static_cast<std::int64_t>(dice(2'000'000)) - 1'000'000;
        }
    }
    template <class Q>
    void set(Reading<Q>& r, Instant now, std::int64_t usual, std::int64_t spread)
    {
        const auto n = dice(20);
        if (n == 0)
            r.refuse();
        else if (n == 1)
            r.set(Q::from_milli(any()), now);
        else if (n > 4)
            r.set(Q::from_milli(usual + static_cast<std::int64_t>(dice(static_cast<std::uint64_t>(spread)))), now);
    }
    void stir(House& h)
    {
        BatteryState& b = h.state;
        if (dice(10) > 0) b.heard = h.now;
        set(b.voltage, h.now, 350'000, 90'000);
        set(b.current, h.now, -30'000, 60'000);
        set(b.soc, h.now, 0, 110'000);
        set(b.soh, h.now, 20'000, 80'000);
        set(b.cell_voltage_max, h.now, 3300, 500);
        set(b.cell_voltage_min, h.now, 2400, 900);
        set(b.cell_max_number, h.now, 0, 200'000);
        set(b.temperature_max, h.now, 10'000, 70'000);
        set(b.temperature_min, h.now, -30'000, 60'000);
        set(b.charge_limit, h.now, 0, 20'000'000);
        set(b.discharge_limit, h.now, 0, 20'000'000);
        set(b.charge_limit_current, h.now, 0, 50'000);
        set(b.charge_voltage_wanted, h.now, 300'000, 200'000);
        set(b.discharge_voltage_wanted, h.now, 300'000, 200'000);
        set(b.charge_full, h.now, 0, 200'000);
        set(b.insulation, h.now, 0, 1'000'000);
        b.contactor.set(static_cast<ContactorFeedback>(dice(300)), h.now);
        if (dice(50) == 0) b.charge_allowed.set(dice(2) == 0, h.now);
        if (dice(50) == 0) b.cell_count = static_cast<unsigned>(dice(300));
        if (dice(100) == 0) {
            b.reported.clear();
            b.reported.push_back(
                {.level = static_cast<FaultClass>(dice(8)), .direction = static_cast<Direction>(dice(4)), .code = {"chaos"}});
        }
        CellVoltages cells;
        cells.count = dice(400);
        for (std::size_t i = 0; i < CellVoltages::capacity; ++i) cells.set(i, Voltage::from_milli(dice(50) == 0 ? any() : 3300));
        if (dice(10) == 0) b.cells.set(cells, h.now);
        if (dice(10) > 2) h.inverter.heard = h.now;
        set(h.inverter.voltage, h.now, 350'000, 90'000);
        set(h.inverter.current, h.now, -30'000, 60'000);
        h.battery_bus.state = static_cast<BusState>(dice(40) == 0 ? dice(6) : 2);
        h.battery_bus.counters.queue_drops += dice(1000) == 0 ? 200 : 0;
        h.inverter_traffic.own_ids += dice(5000) == 0 ? 3 : 0;
        OperatorState& op = h.inputs.operator_;
        op.charge = dice(50) > 0;
        op.paused = dice(50) == 0;
        op.max_charge = Power::from_milli(dice(30) == 0 ? any() : 10'000'000);
        op.max_charge_current = dice(30) == 0 ? std::optional{Current::from_milli(any())} : std::nullopt;
        h.inputs.outside_warnings = static_cast<unsigned>(dice(16));
        h.inputs.clock_valid = dice(2) == 0;
        if (dice(200) == 0) h.facts.voltage_max = Voltage::from_milli(any());
        if (dice(200) == 0) h.facts.cells = static_cast<unsigned>(engine());
    }
    Duration pause()
    {
        const auto n = dice(200);
        return n == 0 ? 3s : n < 10 ? 1us : 100ms;
    }
};

}  // namespace

TEST_CASE("an empty house is granted nothing")
{
    // SAFE-003
    House house;
    Judge judge{house.setup()};
    REQUIRE(judge.verdict().charge.is_zero());
    REQUIRE(judge.verdict().discharge.is_zero());
    REQUIRE(judge.verdict().sequence == 0);
    for (int i = 1; i < 1000; ++i) {
        const Verdict& v = judge.evaluate(JudgeInputs{}, house.start + i * 100ms);
        REQUIRE(v.charge.power() == Power{});
        REQUIRE(v.charge.current() == Current{});
        REQUIRE(v.discharge.power() == Power{});
        REQUIRE(v.discharge.current() == Current{});
        REQUIRE(v.contactors.order != ContactorOrder::close);
        REQUIRE_FALSE(v.contactors.power_allowed);
        REQUIRE_FALSE(v.ready);
        REQUIRE_FALSE(v.battery_valid);
        REQUIRE(v.state == GatewayState::starting);
    }
    REQUIRE(judge.verdict().waiting == Waiting::bus);
}

TEST_CASE("a state that does not exist grants nothing")
{
    // SAFE-003
    for (const int weird : {4, 99, 255}) {
        House house;
        house.up();
        house.contactor = static_cast<ContactorFeedback>(weird);
        house.step();
        REQUIRE(house.verdict().charge.is_zero());
        REQUIRE(house.verdict().discharge.is_zero());
        REQUIRE_FALSE(house.verdict().ready);
    }
}

TEST_CASE("the same inputs twice give the same verdicts, to the last byte")
{
    // SAFE-002
    constexpr unsigned seed = 7;
    const auto run = [] {
        Chaos chaos{std::mt19937_64{seed}};
        House house;
        std::string all;
        house.judge();
        for (int i = 0; i < 3000; ++i) {
            house.now += chaos.pause();
            chaos.stir(house);
            all += text(house.evaluate()) + '\n';
        }
        all += std::to_string(house.judge().transitions()) + std::to_string(house.judge().last_event());
        return all;
    };
    const std::string first = run();
    REQUIRE(first.size() > 100'000);
    REQUIRE(first == run());
}

TEST_CASE("a copy of a judge goes on like the judge")
{
    // SAFE-002
    House house;
    house.run(12s);
    House copy = house;
    for (int i = 0; i < 300; ++i) REQUIRE(text(house.step()) == text(copy.step()));
}

TEST_CASE("whatever comes in, a grant stays within nothing and the configured maximum")
{
    // SAFE-002, SAFE-009, SAFE-191
    House full;
    full.battery.max_charge = 4_kW;
    full.up();
    REQUIRE(full.charge() == 4_kW);
    int granted = 0, nothing = 0;
    for (unsigned seed = 1; seed <= 400; ++seed) {
        CAPTURE(seed);
        Chaos chaos{std::mt19937_64{seed}};
        House house = full;
        for (int i = 0; i < 60; ++i) {
            house.now += chaos.pause();
            house.speak();
            if (chaos.dice(4) == 0) chaos.stir(house);
            const Verdict& v = house.evaluate();
            REQUIRE(v.charge.power() >= Power{});
            REQUIRE(v.charge.power() <= 4_kW);
            REQUIRE(v.discharge.power() >= Power{});
            REQUIRE(v.discharge.power() <= 10_kW);
            REQUIRE(v.charge.current() >= Current{});
            REQUIRE(v.charge.is_zero() == (v.charge.power() == Power{} && v.charge.current() == Current{}));
            REQUIRE((v.worst < FaultClass::trip || (v.charge.is_zero() && v.discharge.is_zero())));
            REQUIRE((!v.voltage_max || !v.voltage_min || *v.voltage_min < *v.voltage_max));
            REQUIRE(v.broken.empty());  // SAFE-219
            ++(v.charge.is_zero() ? nothing : granted);
        }
    }
    REQUIRE(granted > 1000);
    REQUIRE(nothing > 1000);
}

TEST_CASE("commands only take away: with the same inputs no operator state grants more than the one without commands")
{
    // SAFE-191
    for (unsigned seed = 1; seed <= 100; ++seed) {
        CAPTURE(seed);
        Chaos chaos{std::mt19937_64{seed}};
        House plain, commanded;
        for (int i = 0; i < 400; ++i) {
            plain.cell_max = commanded.cell_max = Voltage::from_milli(3400 + static_cast<std::int64_t>(chaos.dice(120)));
            plain.charge_limit = commanded.charge_limit = Power::from_milli(static_cast<std::int64_t>(chaos.dice(20'000'000)));
            OperatorState& op = commanded.inputs.operator_;
            if (chaos.dice(20) == 0) op.charge = !op.charge;
            if (chaos.dice(20) == 0) op.discharge = !op.discharge;
            if (chaos.dice(40) == 0) op.paused = !op.paused;
            if (chaos.dice(20) == 0)
                op.max_charge = op.max_discharge = Power::from_milli(static_cast<std::int64_t>(chaos.dice(10'000'001)));
            op.charge_limit_default = op.discharge_limit_default = false;
            plain.step();
            commanded.step();
            REQUIRE(commanded.charge() <= plain.charge());
            REQUIRE(commanded.discharge() <= plain.discharge());
        }
    }
}

TEST_CASE("the most extreme numbers in every reading at once break nothing and grant nothing")
{
    // SAFE-009
    constexpr std::int64_t highest = std::numeric_limits<std::int64_t>::max(), lowest = std::numeric_limits<std::int64_t>::min();
    for (const std::int64_t a : {highest, lowest})
        for (const std::int64_t b : {highest, lowest, std::int64_t{0}}) {
            House house;
            house.up();
            house.cell_max = Voltage::from_milli(a);
            house.cell_min = Voltage::from_milli(b);
            house.voltage = Voltage::from_milli(b);
            house.current = Current::from_milli(a);
            house.temperature_max = Temperature::from_milli(a);
            house.temperature_min = Temperature::from_milli(b);
            house.soc = Percent::from_milli(a);
            house.charge_limit = Power::from_milli(a);
            house.discharge_limit = Power::from_milli(b);
            house.also = [&] {
                house.state.charge_limit_current.set(Current::from_milli(a), house.now);
                house.state.charge_voltage_wanted.set(Voltage::from_milli(a), house.now);
                house.state.charge_full.set(Charge::from_milli(a), house.now);
                house.state.insulation.set(Insulation::from_milli(b), house.now);
                house.state.cell_max_number.set(Count::from_milli(a), house.now);
                house.inverter.voltage.set(Voltage::from_milli(b), house.now);
                house.inverter.current.set(Current::from_milli(a), house.now);
            };
            house.facts.voltage_max = Voltage::from_milli(a);
            house.facts.voltage_min = Voltage::from_milli(b);
            house.facts.voltage_nominal = Voltage::from_milli(b);
            house.facts.energy_rated = Energy::from_milli(a);
            house.inputs.operator_.max_charge_current = Current::from_milli(a);
            for (int i = 0; i < 100; ++i) {
                house.step();
                REQUIRE(house.verdict().charge.is_zero());
                REQUIRE(house.verdict().discharge.is_zero());
            }
        }
}

// SAFE-307
TEST_CASE("judging allocates nothing")
{
    // SAFE-002
    Chaos chaos{std::mt19937_64{3}};
    House house;
    house.up();
    std::vector<bool> keep(1);
    std::size_t evaluated = 0;
    for (int i = 0; i < 2000; ++i) {
        house.now += chaos.pause();
        chaos.stir(house);
        const std::size_t before = allocations;
        house.evaluate();
        REQUIRE(allocations == before);
        ++evaluated;
    }
    REQUIRE(evaluated == 2000);
    const std::size_t before = allocations;
    keep.resize(10'000);
    REQUIRE(allocations > before);  // the counter counts
}

TEST_CASE(
    "a gap between two evaluations is counted above half a second and blocks above two, until five normal seconds have passed")
{
    // SAFE-004
    struct Case {
        Duration gap;
        FaultClass level;
    };
    for (const Case& c : {Case{499ms, FaultClass::none}, Case{500ms, FaultClass::none}, Case{501ms, FaultClass::warn},
             Case{2000ms, FaultClass::warn}, Case{2001ms, FaultClass::block}}) {
        CAPTURE(c.gap / 1ms);
        House house;
        house.up();
        REQUIRE(house.judge().stalls() == 0);
        house.step(c.gap);
        REQUIRE(house.judge().stalls() == (c.level == FaultClass::none ? 0U : 1U));
        REQUIRE(house.has(FaultId::loop_stall) == (c.level != FaultClass::none));
        if (c.level == FaultClass::none) continue;
        REQUIRE(house.fault(FaultId::loop_stall)->level == c.level);
        REQUIRE(house.verdict().charge.is_zero() == (c.level == FaultClass::block));
        REQUIRE(house.time_until([&] { return !house.has(FaultId::loop_stall); }, 60s) == 5s);
    }
}

TEST_CASE("no driver can include what makes a grant")
{
    // SAFE-001: the other half, that battery/ and inverter/ may not include safety/, is tools/check-includes.
    static_assert(!std::is_constructible_v<Grant, Power, Current, Cause>);
    House house;
    house.up();
    // Whoever reads one verdict reads one grant.
    const Verdict copy = house.verdict();
    REQUIRE(copy.charge.current() == house.verdict().charge.current());
    REQUIRE(copy.sequence == house.verdict().sequence);
}

TEST_CASE("sequence numbers rise by one with every verdict")
{
    House house;
    for (std::uint64_t n = 1; n < 50; ++n) REQUIRE(house.step().sequence == n);
    REQUIRE(house.verdict().at == house.now);
}

// ---- gateway state ----

TEST_CASE("the gateway state is the first that applies")
{
    // MQTT-032
    using Set = std::function<void(House&)>;
    struct Case {
        GatewayState state;
        Set set;
    };
    const auto report = [](FaultClass level, Direction d, const char* code) {
        return [=](House& h) { h.state.reported.push_back({.level = level, .direction = d, .code = {code}}); };
    };
    // From the last to the first: each on top of all before it.
    const std::vector<Case> cases{
        {GatewayState::run, [](House&) {}},
        {GatewayState::derated, [](House& h) { h.temperature_max = 46_degC; }},
        {GatewayState::block_discharge, report(FaultClass::block, Direction::discharge, "D")},
        {GatewayState::paused, [](House& h) { h.inputs.operator_.paused = true; }},
        {GatewayState::block, report(FaultClass::block, Direction::charge, "C")},
        {GatewayState::trip, report(FaultClass::trip, Direction::both, "trip")},
        {GatewayState::emergency, report(FaultClass::emergency, Direction::both, "emergency")},
        {GatewayState::shutdown, [](House& h) { h.inputs.stop_requested = true; }},
    };
    House house;
    house.up();
    for (const Case& c : cases) {
        CAPTURE(to_string(c.state));
        c.set(house);
        house.step();
        REQUIRE(house.verdict().state == c.state);
    }
    House charge;
    charge.up();
    report(FaultClass::block, Direction::charge, "C")(charge);
    charge.step();
    REQUIRE(charge.verdict().state == GatewayState::block_charge);
    House starting;
    starting.inputs.operator_.paused = true;
    report(FaultClass::block, Direction::both, "CD")(starting);
    starting.step();
    REQUIRE(starting.verdict().state == GatewayState::starting);
    report(FaultClass::trip, Direction::both, "trip")(starting);
    starting.step();
    REQUIRE(starting.verdict().state == GatewayState::trip);
    House observing;
    observing.safety.observe = true;
    observing.inputs.stop_requested = true;
    report(FaultClass::emergency, Direction::both, "emergency")(observing);
    observing.step();
    REQUIRE(observing.verdict().state == GatewayState::observe);
}

TEST_CASE("a ramp, an operator limit or the battery's own limit alone is RUN; open contactors or a lost link are BLOCK")
{
    // MQTT-032
    House house;
    house.run(16s);
    REQUIRE(house.verdict().charge.by() == Cause::ramp);
    REQUIRE(house.verdict().state == GatewayState::run);
    house.run(30s);
    house.inputs.operator_.max_charge = 1_kW;
    house.discharge_limit = 500_W;
    house.step();
    REQUIRE(house.verdict().state == GatewayState::run);
    house.inputs.operator_.charge = house.inputs.operator_.discharge = false;
    house.step();
    REQUIRE(house.verdict().state == GatewayState::run);
    house.inverter_speaks = false;
    house.run(61s);
    REQUIRE(house.verdict().worst == FaultClass::warn);
    REQUIRE(house.verdict().state == GatewayState::block);
    House open;
    open.up();
    open.contactor = ContactorFeedback::open;
    open.step();
    REQUIRE(open.verdict().state == GatewayState::block);
    REQUIRE(open.verdict().charge.by() == Cause::contactor);
}

TEST_CASE("every cause can be the one that limits")
{
    // MQTT-032
    struct Case {
        Cause cause;
        void (*set)(House&);
    };
    const auto report = [](House& h) {
        h.state.reported.push_back({.level = FaultClass::block, .direction = Direction::both, .code = {"x"}});
    };
    const std::vector<Case> cases{
        {Cause::config, [](House&) {}},
        {Cause::operator_, [](House& h) { h.inputs.operator_.charge = false; }},
        {Cause::battery, [](House& h) { h.charge_limit = 0_W; }},
        {Cause::cell_voltage, [](House& h) { h.cell_max = 3640_mV; }},
        {Cause::pack_voltage, [](House& h) { h.voltage = 425_V; }},
        {Cause::temperature, [](House& h) { h.temperature_max = 52_degC; }},
        {Cause::soc, [](House& h) { h.soc = 100_pct; }},
        {Cause::deviation,
            [](House& h) {
                h.cell_min = 3105_mV;
                h.cell_max = 3395_mV;
            }},
        {Cause::ramp,
            [](House& h) {
                h.inputs.operator_.charge = false;
                h.run(1s);
                h.inputs.operator_.charge = true;
                h.run(1s);
            }},
        {Cause::stale, [](House& h) { h.silent.insert(SignalId::voltage); }},
        {Cause::link, [](House& h) { h.pack_speaks = false; }},
        {Cause::fault, report},
        {Cause::contactor, [](House& h) { h.contactor = ContactorFeedback::open; }},
        {Cause::inverter, [](House& h) { h.also = [&h] { h.inverter.voltage.set(200_V, h.now); }; }},
    };
    REQUIRE(cases.size() == 14);
    for (const Case& c : cases) {
        CAPTURE(to_string(c.cause));
        House house;
        house.up();
        c.set(house);
        bool seen = false;
        for (int i = 0; i < 150 && !seen; ++i) {
            house.step();
            seen = house.verdict().charge.by() == c.cause;
        }
        REQUIRE(seen);
    }
}

TEST_CASE("each kind of fault names the cause of the zero it makes")
{
    const auto cause = [](auto set, Duration time) {
        House house;
        house.up();
        set(house);
        house.run(time);
        REQUIRE(house.verdict().charge.is_zero());
        return house.verdict().charge.by();
    };
    REQUIRE(cause([](House& h) { h.cell_min = 2490_mV; }, 5s) == Cause::cell_voltage);
    REQUIRE(cause([](House& h) { h.cell_min = 1990_mV; }, 8s) == Cause::cell_voltage);
    REQUIRE(cause([](House& h) { h.voltage = 450_V; }, 5s) == Cause::pack_voltage);
    REQUIRE(cause([](House& h) { h.temperature_max = 75_degC; }, 8s) == Cause::temperature);
    REQUIRE(cause([](House& h) { h.temperature_max = 39_degC; }, 40s) == Cause::temperature);
    REQUIRE(cause(
                [](House& h) {
                    h.cell_min = 2700_mV;
                    h.cell_max = 3350_mV;
                },
                40s) != Cause::ramp);
    REQUIRE(cause([](House& h) { h.battery_traffic.own_ids = 5; }, 1s) == Cause::fault);
    REQUIRE(cause([](House& h) { h.inverter_traffic.own_ids = 5; }, 1s) == Cause::inverter);
}

// ---- start and stop ----

TEST_CASE("nothing is granted before buses, data, identity, contactors, inverter and boot inhibit, and the verdict says what it "
          "waits for")
{
    // SAFE-250, SAFE-251
    struct Case {
        Waiting waiting;
        std::function<void(House&)> hinder, allow;
    };
    const std::vector<Case> cases{
        {Waiting::bus, [](House& h) { h.battery_bus.state = BusState::missing; },
            [](House& h) { h.battery_bus.state = BusState::active; }},
        {Waiting::bus, [](House& h) { h.inverter_bus.state = BusState::stopped; },
            [](House& h) { h.inverter_bus.state = BusState::active; }},
        {Waiting::battery_listen, [](House& h) { h.pack_speaks = false; }, [](House& h) { h.pack_speaks = true; }},
        {Waiting::battery_data, [](House& h) { h.silent.insert(SignalId::soc); }, [](House& h) { h.silent.clear(); }},
        {Waiting::battery_identity,
            [](House& h) {
                h.profile.wants_cell_count = true;
                h.battery.cells.reset();
                h.facts.cells.reset();
            },
            [](House& h) { h.facts.cells = 120; }},
        {Waiting::battery_fault,
            [](House& h) {
                h.state.reported.push_back({.level = FaultClass::block, .direction = Direction::both, .code = {"x"}});
            },
            [](House& h) { h.state.reported.clear(); }},
        {Waiting::inverter, [](House& h) { h.inverter_speaks = false; }, [](House& h) { h.inverter_speaks = true; }},
    };
    for (const Case& c : cases) {
        CAPTURE(to_string(c.waiting));
        House house;
        c.hinder(house);
        for (int i = 0; i < 400; ++i) {
            house.step();
            REQUIRE(house.verdict().charge.is_zero());
            REQUIRE(house.verdict().discharge.is_zero());
            REQUIRE_FALSE(house.verdict().ready);
            if (c.waiting == Waiting::bus) continue;  // frames from nowhere; the contactor machine would not close
            REQUIRE(house.verdict().state == GatewayState::starting);
        }
        REQUIRE(house.verdict().waiting == c.waiting);
        c.allow(house);
        house.run(90s);
        REQUIRE(house.verdict().state == GatewayState::run);
        REQUIRE(house.charge() == 10_kW);
        REQUIRE(house.verdict().waiting == Waiting::nothing);
    }
}
