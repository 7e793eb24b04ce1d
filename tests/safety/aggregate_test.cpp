// What several packs are to an inverter, looked at alone: verdicts go in that no judge made.
#include "safety/aggregate.hpp"

#include "safety/grant_writer.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <vector>

using namespace batgw;

namespace {

constexpr Instant t0{std::chrono::hours{7} + 89us};

struct OnePack {
    Verdict verdict;
    BatteryState state;
};

// What a pack may be, as its judge says, and what it gives.
enum class Is { joined, joined_small, joined_zero, apart, tripped_apart, opening, precharging, silent, emergency_apart };
constexpr std::array all_states{Is::joined, Is::joined_small, Is::joined_zero, Is::apart, Is::tripped_apart, Is::opening,
    Is::precharging, Is::silent, Is::emergency_apart};

OnePack pack_that(Is is)
{
    OnePack p;
    Verdict& v = p.verdict;
    v.sequence = 1;
    v.at = t0;
    v.battery_link = v.inverter_link = v.battery_valid = true;
    v.pack = {.cells = 120, .energy_rated = 60_kWh, .voltage_max = 420_V, .voltage_min = 350_V, .voltage_nominal = 385_V};
    v.voltage_max = 418_V;
    v.voltage_min = 360_V;
    v.state = GatewayState::run;
    v.charge = v.discharge = GrantWriter::nothing(Cause::contactor);
    ContactorVerdict& c = v.contactors;
    switch (is) {
    case Is::joined:
    case Is::joined_small:
    case Is::joined_zero: {
        c.state = ContactorState::closed;
        c.power_allowed = true;
        v.ready = true;
        const Power most = is == Is::joined ? 8_kW : is == Is::joined_small ? 3_kW : Power{};
        v.charge = GrantWriter::write(most, *(most / 400_V), Cause::battery);
        v.discharge = GrantWriter::write(most / 2, *((most / 2) / 400_V), Cause::temperature);
        break;
    }
    case Is::apart:
        c.state = ContactorState::open;
        c.proven_open = true;
        break;
    case Is::tripped_apart:
    case Is::emergency_apart:
        c.state = is == Is::tripped_apart ? ContactorState::open : ContactorState::lockout;
        c.proven_open = true;
        v.worst = is == Is::tripped_apart ? FaultClass::trip : FaultClass::emergency;
        v.state = is == Is::tripped_apart ? GatewayState::trip : GatewayState::emergency;
        break;
    case Is::opening:
        c.state = ContactorState::opening;
        v.state = GatewayState::block;
        break;
    case Is::precharging:
        c.state = ContactorState::precharge;
        c.order = ContactorOrder::close;
        c.proven_open = true;  // until the pack says otherwise
        break;
    case Is::silent:
        c.state = ContactorState::unknown;
        v.battery_link = v.battery_valid = false;
        v.state = GatewayState::block;
        break;
    }
    BatteryState& s = p.state;
    s.heard = t0;
    s.voltage.set(400_V, t0);
    s.current.set(2_A, t0);
    s.soc.set(50_pct, t0);
    return p;
}

struct Together {
    explicit Together(std::vector<OnePack> of) : packs{std::move(of)} {}
    explicit Together(std::span<const Is> states)
    {
        for (const Is is : states) packs.push_back(pack_that(is));
    }
    std::vector<OnePack> packs;
    OperatorState operator_ = [] {
        OperatorState o;
        o.max_charge = o.max_discharge = 30_kW;
        o.charge_limit_default = o.discharge_limit_default = true;
        return o;
    }();
    SafetyConfig config;
    BatteryState battery;
    Aggregate aggregated;
    Instant now = t0;

    ParallelPacks views() const
    {
        ParallelPacks all;
        for (const OnePack& p : packs)
            all.push_back({.verdict = &p.verdict, .state = &p.state, .max_charge = 10_kW, .max_discharge = 10_kW});
        return all;
    }
    const Verdict& step(Duration time = 100ms)
    {
        now += time;
        const ParallelPacks all = views();
        const std::span<const ParallelPack> span{all.begin(), all.size()};
        aggregate(span, battery, now);
        aggregated.update({.packs = span, .battery = battery, .operator_ = operator_, .config = config}, now);
        return aggregated.verdict();
    }
    // Long enough for any slope.
    const Verdict& settle()
    {
        for (int i = 0; i < 300; ++i) step();
        return aggregated.verdict();
    }
};

bool is_unclear(Is is) { return is == Is::opening || is == Is::precharging || is == Is::silent; }
bool is_joined(Is is) { return is == Is::joined || is == Is::joined_small || is == Is::joined_zero; }

// SAFE-282 in its own words.
Power expected_charge(std::span<const Is> states)
{
    std::int64_t joined = 0;
    Power smallest = 1000_kW;
    for (const Is is : states) {
        if (is_unclear(is) || is == Is::emergency_apart) return Power{};
        if (!is_joined(is)) continue;
        ++joined;
        smallest = std::min(smallest, is == Is::joined ? 8_kW : is == Is::joined_small ? 3_kW : Power{});
    }
    return joined == 0 ? Power{} : smallest * joined;
}

void check_states(std::span<const Is> states)
{
    CAPTURE(static_cast<int>(states[0]));
    CAPTURE(static_cast<int>(states[1]));
    CAPTURE(static_cast<int>(states.back()));
    Together t{states};
    const Verdict& v = t.settle();
    const Power charge = expected_charge(states);
    CHECK(v.charge.power() == charge);
    CHECK(v.discharge.power() == charge / 2);
    CHECK(v.charge.current() == charge / 400_V);
    CHECK(v.broken.empty());
    const auto joined = std::count_if(states.begin(), states.end(), is_joined);
    const bool unclear = std::any_of(states.begin(), states.end(), is_unclear);
    CHECK(v.contactors.power_allowed == (joined > 0 && !unclear));
    CHECK(v.contactors.proven_open == (joined == 0 && !unclear));
    CHECK(v.contactors.order == ContactorOrder::keep);
    const auto is_there = [&](Is is) { return std::find(states.begin(), states.end(), is) != states.end(); };
    // A pack that is closed and one that gives no sign of life: nobody may be told that this battery is well.
    if (is_there(Is::silent)) CHECK_FALSE(v.ready);
    if (is_there(Is::emergency_apart)) CHECK(v.state == GatewayState::emergency);
    if (joined > 0 && !unclear && !is_there(Is::emergency_apart)) CHECK(v.ready);
    // What is broken and apart is no business of the inverter.
    if (joined > 0 && !unclear && !is_there(Is::emergency_apart)) CHECK(v.state == GatewayState::run);
}

}  // namespace

TEST_CASE("two packs, each in every state: as many times the smallest grant as are joined, nothing beside one that may be closed")
{
    // SAFE-282
    for (const Is a : all_states)
        for (const Is b : all_states) check_states(std::array{a, b});
}

TEST_CASE(
    "three packs, each in every state: as many times the smallest grant as are joined, nothing beside one that may be closed")
{
    // SAFE-282
    for (const Is a : all_states)
        for (const Is b : all_states)
            for (const Is c : all_states) check_states(std::array{a, b, c});
}

TEST_CASE("a pack that is in any state but joined or open makes the whole nothing, even one that nobody thought of")
{
    // SAFE-282, SAFE-003
    for (unsigned state = 0; state < 16; ++state) {
        CAPTURE(state);
        Together t{std::array{Is::joined, Is::apart}};
        ContactorVerdict& c = t.packs[1].verdict.contactors;
        c.proven_open = false;
        c.state = static_cast<ContactorState>(state);
        CHECK(t.settle().charge.is_zero());
        CHECK(t.settle().discharge.is_zero());
    }
}

TEST_CASE("a grant falls at once when a pack falls, joins or leaves unclear, and rises with the slope when the number does")
{
    // SAFE-282, SAFE-091, SAFE-092
    Together t{std::array{Is::joined, Is::joined_small}};
    CHECK(t.settle().charge.power() == 6_kW);

    SUBCASE("one falls to nothing: nothing, at once")
    {
        t.packs[0] = pack_that(Is::joined_zero);
        CHECK(t.step().charge.is_zero());
        CHECK(t.aggregated.verdict().charge.by() == Cause::battery);
        CHECK(t.aggregated.verdict().discharge.by() == Cause::temperature);
    }
    SUBCASE("one becomes unclear: nothing, at once, because of its contactors")
    {
        t.packs[0] = pack_that(Is::silent);
        CHECK(t.step().charge.is_zero());
        CHECK(t.aggregated.verdict().charge.by() == Cause::contactor);
    }
    SUBCASE("the small one leaves: the other's 8 kW are reached by five percent of its ceiling a second")
    {
        t.packs[1] = pack_that(Is::apart);
        CHECK(t.step().charge.power() <= 6_kW + 50_W);
        CHECK(t.aggregated.verdict().charge.by() == Cause::ramp);
        t.step(1s);
        CHECK(t.aggregated.verdict().charge.power() <= 6_kW + 550_W);
        CHECK(t.aggregated.verdict().charge.power() >= 6_kW + 450_W);
        CHECK(t.settle().charge.power() == 8_kW);
        CHECK(t.aggregated.verdict().charge.by() == Cause::battery);
    }
}

TEST_CASE("the operator's limits are those of all packs together, in watts and in amperes, and never raise anything")
{
    // SAFE-282, SAFE-191
    Together t{std::array{Is::joined, Is::joined}};
    CHECK(t.settle().charge.power() == 16_kW);
    t.operator_.max_charge = 5_kW;
    t.operator_.charge_limit_default = false;
    CHECK(t.step().charge.power() == 5_kW);
    CHECK(t.aggregated.verdict().charge.by() == Cause::operator_);
    t.operator_.max_charge_current = 10_A;
    CHECK(t.step().charge.power() == 3850_W);  // at the lower of measured and nominal voltage (SAFE-076)
    t.operator_.max_charge_current.reset();
    t.operator_.max_charge = 1000_kW;
    CHECK(t.step().charge.power() <= 3850_W + 100_W);
    CHECK(t.settle().charge.power() == 16_kW);
    CHECK(t.aggregated.verdict().discharge.power() == 8_kW);
}

TEST_CASE("an aggregate that contradicts its packs is caught: nothing granted, and the program is told to end")
{
    // SAFE-219
    Together t{std::array{Is::joined, Is::joined_small}};
    Verdict whole = t.settle();
    const ParallelPacks all = t.views();
    const std::span<const ParallelPack> packs{all.begin(), all.size()};
    CHECK(broken_aggregate(whole, packs).empty());
    whole.discharge = GrantWriter::nothing(Cause::config);
    whole.charge = GrantWriter::write(6_kW + 1_W, 1_A, Cause::config);
    CHECK(broken_aggregate(whole, packs) == "a grant beyond a pack's share");
    whole.charge = GrantWriter::write(6_kW, 1_A, Cause::config);
    CHECK(broken_aggregate(whole, packs).empty());
    t.packs[1].verdict.contactors.power_allowed = false;
    CHECK(broken_aggregate(whole, packs) == "a grant beside a pack that may be closed");
    t.packs[1].verdict.contactors.proven_open = true;
    CHECK(broken_aggregate(whole, packs).empty());
    t.packs[1].verdict.worst = FaultClass::emergency;
    CHECK(broken_aggregate(whole, packs) == "a grant beside an emergency");
    t.packs[1].verdict.worst = FaultClass::none;
    t.packs[0].verdict.contactors.power_allowed = false;
    t.packs[0].verdict.contactors.proven_open = true;
    CHECK(broken_aggregate(whole, packs) == "a grant of no pack");

    // A judge that contradicts itself ends all of them.
    Together one{std::array{Is::joined, Is::joined}};
    one.settle();
    one.packs[1].verdict.broken = "made up";
    const Verdict& v = one.step();
    CHECK(v.broken == "made up");
    CHECK(v.charge.is_zero());
    CHECK(v.discharge.is_zero());
    CHECK(v.state == GatewayState::emergency);
}

TEST_CASE("voltage is the mean of the joined packs, cells and temperatures are extremes, the charge is weighted by capacity")
{
    // SAFE-282
    Together t{std::array{Is::joined, Is::joined, Is::apart}};
    const auto fill = [&](std::size_t i, Voltage v, Percent soc, Voltage low, Voltage high, Temperature cold, Temperature hot) {
        BatteryState& s = t.packs[i].state;
        s.voltage.set(v, t0);
        s.soc.set(soc, t0);
        s.cell_voltage_min.set(low, t0);
        s.cell_voltage_max.set(high, t0);
        s.cell_min_number.set(Count::from_milli(static_cast<std::int64_t>(10 + i) * 1000), t0);
        s.temperature_min.set(cold, t0);
        s.temperature_max.set(hot, t0);
        s.energy_remaining.set(10_kWh, t0);
        s.charge_limit.set(i == 0 ? 5_kW : 7_kW, t0);
        s.charge_allowed.set(i != 0, t0);
        s.cells.set(CellVoltages{}, t0);
    };
    fill(0, 400_V, 40_pct, 3300_mV, 3310_mV, 20_degC, 25_degC);
    fill(1, 401_V, 70_pct, 3290_mV, 3400_mV, 22_degC, 31_degC);
    fill(2, 380_V, 10_pct, 3100_mV, 3500_mV, 2_degC, 45_degC);  // apart: of no account
    t.packs[1].verdict.pack.energy_rated = 30_kWh;
    t.step();
    const BatteryState& b = t.battery;
    CHECK(b.voltage.last() == 400'500_mV);
    CHECK(b.current.last() == 4_A);
    CHECK(b.soc.last()->in(1000) == 50);  // (40 * 60 + 70 * 30) / 90
    CHECK(b.cell_voltage_min.last() == 3290_mV);
    CHECK(b.cell_min_number.last() == 11_count);
    CHECK(b.cell_voltage_max.last() == 3400_mV);
    CHECK(b.temperature_min.last() == 20_degC);
    CHECK(b.temperature_max.last() == 31_degC);
    CHECK(b.charge_limit.last() == 10_kW);  // two times the smallest
    CHECK(b.charge_allowed.last() == false);
    CHECK(b.energy_remaining.last() == 30_kWh);  // what is there, joined or not
    CHECK_FALSE(b.cells.last());                 // belong to their pack
    CHECK(t.aggregated.verdict().pack.energy_rated == 150_kWh);

    SUBCASE("a reading is as old as its oldest part")
    {
        t.packs[0].state.temperature_max.set(26_degC, t0 + 1s);
        t.step(2s);
        CHECK(t.battery.temperature_max.at() == t0);
    }
    SUBCASE("what one pack never said is not known of the whole")
    {
        t.packs[1].state.soc.forget();
        t.step();
        CHECK_FALSE(t.battery.soc.last());
    }
    SUBCASE("what is bad of one is not known of the whole")
    {
        for (int i = 0; i < 5; ++i) t.packs[0].state.voltage.refuse();
        t.step();
        CHECK_FALSE(t.battery.voltage.last());
    }
    SUBCASE("a pack that may be closed counts for the extremes, not for the voltage")
    {
        t.packs[2].verdict = pack_that(Is::opening).verdict;
        t.step();
        CHECK(t.battery.voltage.last() == 400'500_mV);
        CHECK(t.battery.temperature_max.last() == 45_degC);
        CHECK(t.battery.cell_voltage_min.last() == 3100_mV);
    }
    SUBCASE("with all of them open, all are shown")
    {
        for (OnePack& p : t.packs) p.verdict.contactors = pack_that(Is::apart).verdict.contactors;
        t.step();
        CHECK(t.battery.voltage.last() == Voltage::from_milli((400'000 + 401'000 + 380'000) / 3));
        CHECK(t.battery.temperature_min.last() == 2_degC);
    }
}

TEST_CASE("set points are the narrowest of the packs that count, and are held while there is none")
{
    // SAFE-282, SAFE-110
    Together t{std::array{Is::joined, Is::joined, Is::apart}};
    t.packs[1].verdict.voltage_max = 416_V;
    t.packs[1].verdict.voltage_min = 362_V;
    t.packs[2].verdict.voltage_max = 400_V;  // apart
    CHECK(t.step().voltage_max == 416_V);
    CHECK(t.aggregated.verdict().voltage_min == 362_V);
    t.packs[0].verdict.voltage_max.reset();
    CHECK(t.step().voltage_max == 416_V);
}

TEST_CASE("an inverter is told the faults of packs that are in, people those of all, latched ones before anything else")
{
    // SAFE-280, SAFE-282
    Together t{std::array{Is::joined, Is::tripped_apart}};
    ActiveFault own{.id = FaultId::temp_curve, .level = FaultClass::derate, .device = Device::battery};
    ActiveFault theirs{
        .id = FaultId::cell_high_crit, .level = FaultClass::trip, .device = Device::battery, .device_number = 2, .latched = true};
    const ActiveFault shared{.id = FaultId::clock_invalid, .level = FaultClass::info};
    for (OnePack& p : t.packs) p.verdict.faults.push_back(shared);
    t.packs[0].verdict.faults.push_back(own);
    t.packs[0].verdict.worst = FaultClass::derate;
    t.packs[1].verdict.faults.push_back(theirs);
    const Verdict& v = t.settle();
    CHECK(v.faults.size() == 2);
    CHECK(v.worst == FaultClass::derate);
    CHECK_FALSE(v.charge.is_zero());

    Verdict house = v;
    const ParallelPacks all = t.views();
    Aggregate::add_faults_apart({all.begin(), all.size()}, house);
    REQUIRE(house.faults.size() == 3);
    CHECK(house.faults[2].id == FaultId::cell_high_crit);
    CHECK(house.faults[2].device_number == 2);
    CHECK(house.worst == FaultClass::trip);

    // While it is not proven open it is in: the inverter hears of it.
    t.packs[1].verdict.contactors = pack_that(Is::opening).verdict.contactors;
    CHECK(t.step().worst == FaultClass::trip);
    CHECK(t.aggregated.verdict().faults.size() == 3);
    CHECK(t.aggregated.verdict().faults[0].id == FaultId::cell_high_crit);
}

TEST_CASE("aggregate: the shown state of charge is scaled from that of all packs, full when one of them stops charging for it")
{
    // SAFE-115, SAFE-282
    Together t{std::array{Is::joined, Is::joined}};
    CHECK_FALSE(t.step().soc_shown);
    t.config.soc.scaling = true;
    t.config.soc.max = 90_pct;
    CHECK(t.settle().soc_shown == 50_pct);
    for (OnePack& p : t.packs) p.state.soc.set(90_pct, t.now);
    CHECK(t.settle().soc_shown == 99_pct);
    ActiveFault full;
    full.id = FaultId::soc_high;
    full.level = FaultClass::block;
    full.direction = Direction::charge;
    full.device = Device::battery;
    t.packs[1].verdict.faults.push_back(full);
    t.packs[1].verdict.charge = GrantWriter::nothing(Cause::soc);
    const Verdict& v = t.settle();
    CHECK(v.charge.is_zero());
    CHECK(v.soc_shown == 100_pct);
}

TEST_CASE("aggregate: where nobody acknowledges the inverter's bus is slow, each battery's bus by itself")
{
    // SAFE-264, SAFE-282
    Together t{std::array{Is::joined, Is::joined}};
    t.packs[0].verdict.slow_battery = true;
    CHECK_FALSE(t.step().slow_inverter);
    CHECK_FALSE(t.step().slow_battery);
    for (OnePack& p : t.packs) p.verdict.slow_inverter = true;
    CHECK(t.step().slow_inverter);
}
