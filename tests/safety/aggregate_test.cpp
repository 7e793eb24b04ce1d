// What several packs are to an inverter, looked at alone: verdicts go in that no judge made.
#include "safety/aggregate.hpp"

#include "safety/grant_writer.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <utility>
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
    if (joined > 0 && unclear) CHECK(v.state >= GatewayState::block);
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

TEST_CASE("aggregate: what must hold of each pack that is in, what of every pack there is, and what of any one of them")
{
    // SAFE-282
    const auto with = [](Is third, bool Verdict::*member, bool first, bool second, bool last) {
        Together t{std::array{Is::joined, Is::joined, third}};
        t.packs[0].verdict.*member = first;
        t.packs[1].verdict.*member = second;
        t.packs[2].verdict.*member = last;
        return t.step().*member;
    };
    for (const auto member : {&Verdict::battery_link, &Verdict::inverter_link, &Verdict::battery_valid, &Verdict::ready,
             &Verdict::voltage_max_asked, &Verdict::voltage_min_asked}) {
        CHECK(with(Is::apart, member, true, true, false));
        CHECK_FALSE(with(Is::apart, member, true, false, true));
        CHECK_FALSE(with(Is::apart, member, false, true, true));
        CHECK_FALSE(with(Is::joined, member, true, true, false));
    }
    CHECK(with(Is::joined, &Verdict::high_cause, false, true, false));
    CHECK_FALSE(with(Is::apart, &Verdict::high_cause, false, false, true));
    for (const auto member : {&Verdict::stopped, &Verdict::may_fall_silent}) {
        CHECK(with(Is::apart, member, true, true, true));
        for (const int i : {0, 1, 2}) CHECK_FALSE(with(Is::apart, member, i != 0, i != 1, i != 2));
    }
    for (const auto member : {&Verdict::mute_inverter, &Verdict::slow_inverter, &Verdict::fall_silent}) {
        CHECK_FALSE(with(Is::apart, member, false, false, false));
        for (const int i : {0, 1, 2}) CHECK(with(Is::apart, member, i == 0, i == 1, i == 2));
    }
    CHECK_FALSE(with(Is::joined, &Verdict::mute_battery, true, true, true));
    Together over{std::array{Is::joined, Is::joined}};
    Verdict& one = over.packs[1].verdict;
    for (const bool now : {true, false}) {
        one.fall_silent = one.mute_inverter = one.slow_inverter = now;
        const Verdict& v = over.step();
        for (const bool is : {v.fall_silent, v.mute_inverter, v.slow_inverter}) CHECK(is == now);
    }
    for (const auto member : {&Verdict::ask_against, &Verdict::override_soc}) {
        Together t{std::array{Is::joined, Is::joined, Is::apart}};
        CHECK(t.step().*member == Direction::none);
        t.packs[1].verdict.*member = Direction::charge;
        CHECK(t.step().*member == Direction::charge);
        t.packs[2].verdict.*member = Direction::discharge;
        CHECK(t.step().*member == Direction::both);
        for (OnePack& p : t.packs) p.verdict.*member = Direction::none;
        CHECK(t.step().*member == Direction::none);
    }
}

TEST_CASE("aggregate: the whole is valid once its capacity is known, and ready with one joined pack while others are closing")
{
    // SAFE-282, SAFE-116
    Together t{std::array{Is::joined, Is::precharging}};
    CHECK(t.step().ready);
    // Ordered and not ready yet is on its way; closed and not ready is not.
    t.packs[1].verdict.contactors.power_allowed = true;
    CHECK_FALSE(t.step().ready);
    t.packs[1].verdict.contactors.power_allowed = false;
    t.packs[1].verdict.contactors.order = ContactorOrder::keep;
    t.packs[1].verdict.contactors.proven_open = false;
    CHECK_FALSE(t.step().ready);
    t.packs[1] = pack_that(Is::joined);
    CHECK(t.step().ready);
    t.packs[1].verdict.pack.energy_rated.reset();
    CHECK_FALSE(t.step().battery_valid);
    CHECK_FALSE(t.aggregated.verdict().ready);
    Together none{std::array{Is::apart, Is::apart}};
    for (OnePack& p : none.packs) p.verdict.ready = true;
    CHECK(none.step().battery_valid);
    CHECK_FALSE(none.aggregated.verdict().ready);
}

TEST_CASE("aggregate: facts are those of all packs, joined or not: energies add up, the window is the narrowest, unequal cells "
          "are none")
{
    // SAFE-116, SAFE-282
    Together t{std::array{Is::joined, Is::apart}};
    PackFacts& other = t.packs[1].verdict.pack;
    for (const bool swapped : {false, true}) {
        PackFacts a{.cells = 120, .energy_rated = 60_kWh, .voltage_max = 420_V, .voltage_min = 350_V, .voltage_nominal = 385_V};
        PackFacts b{.cells = 120, .energy_rated = 50_kWh, .voltage_max = 415_V, .voltage_min = 355_V, .voltage_nominal = 380_V};
        t.packs[0].verdict.pack = swapped ? b : a;
        other = swapped ? a : b;
        const PackFacts& whole = t.step().pack;
        CHECK(whole.cells == 120);
        CHECK(whole.energy_rated == 110_kWh);
        CHECK(whole.voltage_max == 415_V);
        CHECK(whole.voltage_min == 355_V);
        CHECK(whole.voltage_nominal == 380_V);
    }
    other.cells = 119;
    CHECK_FALSE(t.step().pack.cells);
    other = {};
    const PackFacts& unknown = t.step().pack;
    CHECK_FALSE((unknown.cells || unknown.energy_rated || unknown.voltage_max || unknown.voltage_min || unknown.voltage_nominal));
}

TEST_CASE("aggregate: set points that leave no room between them, or that one pack does not have, do not replace what was told")
{
    // SAFE-110, SAFE-282
    Together t{std::array{Is::joined, Is::joined}};
    t.step();
    for (OnePack& p : t.packs) p.verdict.voltage_max_asked = p.verdict.voltage_min_asked = true;
    t.packs[0].verdict.voltage_max = 380_V;
    t.packs[1].verdict.voltage_min = 380_V;
    const Verdict& v = t.step();
    CHECK(v.voltage_max == 418_V);
    CHECK(v.voltage_min == 360_V);
    CHECK_FALSE(v.voltage_max_asked);
    t.packs[1].verdict.voltage_min.reset();
    CHECK(t.step().voltage_min == 360_V);
    CHECK(v.voltage_max == 418_V);
    t.packs[1].verdict.voltage_min = Voltage::from_milli(379'999);
    t.step();
    CHECK(v.voltage_max == 380_V);
    CHECK(v.voltage_min == Voltage::from_milli(379'999));
    CHECK(v.voltage_max_asked);
    CHECK(v.voltage_min_asked);
}

TEST_CASE(
    "aggregate: of contactors the one that moves is shown before one that is closed, that before one that is open; wear adds up")
{
    // SAFE-282, SAFE-140
    const auto shown = [](std::initializer_list<Is> states) {
        Together t{std::span<const Is>{states}};
        return t.step().contactors.state;
    };
    using S = ContactorState;
    CHECK(shown({Is::apart, Is::joined, Is::opening}) == S::opening);
    CHECK(shown({Is::opening, Is::joined, Is::apart}) == S::opening);
    CHECK(shown({Is::joined, Is::opening, Is::joined}) == S::opening);
    CHECK(shown({Is::apart, Is::joined, Is::apart}) == S::closed);
    CHECK(shown({Is::joined, Is::apart}) == S::closed);
    CHECK(shown({Is::emergency_apart, Is::apart}) == S::lockout);
    CHECK(shown({Is::apart, Is::emergency_apart}) == S::open);

    Together t{std::array{Is::joined, Is::apart}};
    for (unsigned i = 0; i < 2; ++i) {
        t.packs[i].verdict.contactors.attempts = 1 + i;
        t.packs[i].verdict.contactors.opened_under_load = 10 + i;
    }
    t.step();
    const ContactorVerdict& c = t.step().contactors;
    CHECK(c.attempts == 3);
    CHECK(c.opened_under_load == 21);
    CHECK(c.order == ContactorOrder::keep);
}

TEST_CASE("aggregate: of joined packs the worst state is shown, of open ones the best; a block of each direction is one of both")
{
    // SAFE-282, SAFE-110
    using S = GatewayState;
    const auto shown = [](Is is, S first, S second) {
        Together t{std::array{is, is, Is::apart}};
        t.packs[0].verdict.state = first;
        t.packs[1].verdict.state = second;
        t.packs[2].verdict.state = is == Is::apart ? S::trip : S::starting;
        t.packs[0].verdict.waiting = Waiting::valid_time;
        t.packs[1].verdict.waiting = Waiting::battery_data;
        const Verdict& v = t.step();
        CHECK(v.waiting == (v.state == first ? Waiting::valid_time : v.state == second ? Waiting::battery_data : v.waiting));
        return v.state;
    };
    CHECK(shown(Is::joined, S::run, S::derated) == S::derated);
    CHECK(shown(Is::joined, S::derated, S::run) == S::derated);
    CHECK(shown(Is::apart, S::block, S::starting) == S::starting);
    CHECK(shown(Is::apart, S::starting, S::block) == S::starting);
    CHECK(shown(Is::joined, S::block_charge, S::run) == S::block_charge);
    CHECK(shown(Is::joined, S::run, S::block_discharge) == S::block_discharge);
    CHECK(shown(Is::joined, S::block_charge, S::block_discharge) == S::block);
    CHECK(shown(Is::joined, S::block_discharge, S::block_charge) == S::block);

    Together t{std::array{Is::joined, Is::joined, Is::apart}};
    t.packs[0].verdict.state = S::block_charge;
    t.packs[1].verdict.state = S::trip;
    t.packs[1].verdict.waiting = Waiting::lockout;
    t.packs[2].verdict.state = S::block_discharge;  // apart: of no account
    CHECK(t.step().state == S::trip);
    CHECK(t.aggregated.verdict().waiting == Waiting::lockout);
    t.packs[1].verdict.state = S::block_charge;
    CHECK(t.step().state == S::block_charge);
    // Nothing flows while one may be closed: no less than BLOCK is shown, and no less than what is worse.
    t.packs[2] = pack_that(Is::opening);
    t.packs[2].verdict.state = S::run;
    CHECK(t.step().state == S::block);
    t.packs[0].verdict.state = S::paused;
    CHECK(t.step().state == S::paused);
    t.packs[0] = t.packs[1] = pack_that(Is::apart);
    CHECK(t.step().state == S::run);  // none is closed: it is on its way
    // An emergency, apart or not, is one of all; an orderly stop is shown before it.
    t.packs[2] = pack_that(Is::emergency_apart);
    t.packs[2].verdict.state = S::starting;
    CHECK(t.step().state == S::emergency);
    for (OnePack& p : t.packs) p.verdict.state = S::shutdown;
    CHECK(t.step().state == S::shutdown);
}

TEST_CASE("aggregate: the first cause is the worst of those of the packs that are in, of equals the oldest")
{
    // SAFE-047, SAFE-282
    const auto fault = [](FaultId id, FaultClass level, Duration since) {
        ActiveFault f;
        f.id = id;
        f.level = level;
        f.since = t0 + since;
        return f;
    };
    Together t{std::array{Is::joined, Is::joined, Is::apart}};
    CHECK_FALSE(t.step().first_cause);
    t.packs[2].verdict.first_cause = fault(FaultId::cell_deep, FaultClass::trip, 0s);  // apart: not of the inverter
    CHECK_FALSE(t.step().first_cause);
    for (const bool swapped : {false, true}) {
        const auto first_of = [&](const ActiveFault& a, const ActiveFault& b) {
            t.packs[0].verdict.first_cause = swapped ? b : a;
            t.packs[1].verdict.first_cause = swapped ? a : b;
            return t.step().first_cause->id;
        };
        CHECK(first_of(fault(FaultId::temp_hot, FaultClass::block, 5s), fault(FaultId::cell_high, FaultClass::derate, 1s)) ==
            FaultId::temp_hot);
        CHECK(first_of(fault(FaultId::temp_hot, FaultClass::block, 1s), fault(FaultId::cell_high, FaultClass::block, 2s)) ==
            FaultId::temp_hot);
    }
    t.packs[0].verdict.first_cause = fault(FaultId::temp_hot, FaultClass::block, 1s);
    t.packs[1].verdict.first_cause = fault(FaultId::cell_high, FaultClass::block, 1s);
    CHECK(t.step().first_cause->id == FaultId::temp_hot);
    // An emergency is one of all, wherever it is.
    t.packs[2].verdict.worst = FaultClass::emergency;
    CHECK(t.step().first_cause->id == FaultId::cell_deep);
    CHECK(t.aggregated.verdict().worst == FaultClass::emergency);

    // People are shown what is apart only where nothing else was first.
    t.packs[2].verdict.worst = FaultClass::trip;
    const ParallelPacks all = t.views();
    Verdict house = t.step();
    Aggregate::add_faults_apart({all.begin(), all.size()}, house);
    CHECK(house.first_cause->id == FaultId::temp_hot);
    house.first_cause.reset();
    for (OnePack& p : t.packs) p.verdict.first_cause.reset();
    t.packs[2].verdict.first_cause = fault(FaultId::cell_deep, FaultClass::trip, 0s);
    Aggregate::add_faults_apart({all.begin(), all.size()}, house);
    CHECK(house.first_cause->id == FaultId::cell_deep);
}

TEST_CASE("aggregate: faults are told apart by all that names them")
{
    // SAFE-282
    Together t{std::array{Is::joined, Is::joined}};
    ActiveFault f{.id = FaultId::plausibility, .level = FaultClass::warn, .device = Device::battery, .device_number = 1};
    f.detail.assign("cell_sum");
    t.packs[0].verdict.faults.push_back(f);
    const auto listed_with = [&](auto change) {
        ActiveFault other = f;
        change(other);
        t.packs[1].verdict.faults.clear();
        t.packs[1].verdict.faults.push_back(other);
        return t.step().faults.size();
    };
    CHECK(listed_with([](ActiveFault&) {}) == 1);
    CHECK(listed_with([](ActiveFault& o) { o.since = t0; }) == 1);
    CHECK(listed_with([](ActiveFault& o) { o.id = FaultId::assumed; }) == 2);
    CHECK(listed_with([](ActiveFault& o) { o.repeated = true; }) == 2);
    CHECK(listed_with([](ActiveFault& o) { o.device = Device::inverter; }) == 2);
    CHECK(listed_with([](ActiveFault& o) { o.device_number = 2; }) == 2);
    CHECK(listed_with([](ActiveFault& o) { o.detail.assign("cell_order"); }) == 2);
}

TEST_CASE("aggregate: the granted current is the smallest pack's as many times as there are packs, and never more than the power")
{
    // SAFE-282, SAFE-076
    for (const std::size_t low : {0U, 1U}) {
        Together t{std::array{Is::joined, Is::joined, Is::apart}};
        t.packs[low].verdict.charge = GrantWriter::write(8_kW, 5_A, Cause::battery);
        t.settle();
        CHECK(t.aggregated.verdict().charge.power() == 16_kW);
        CHECK(t.aggregated.verdict().charge.current() == 10_A);
        CHECK(t.aggregated.verdict().discharge.current() == 20_A);
        for (OnePack& p : t.packs) p.state.voltage.set(500_V, t.now);
        CHECK(t.step().discharge.current() == 16_A);
        // Whole watts; and without a voltage nothing at all.
        t.operator_.max_charge = Power::from_milli(1'234'999);
        CHECK(t.step().charge.power() == 1234_W);
        for (OnePack& p : t.packs) p.state.voltage.forget();
        CHECK(t.step().charge.is_zero());
        CHECK(t.aggregated.verdict().discharge.is_zero());
    }
}

TEST_CASE(
    "aggregate: the operator's limit in amperes counts at the lower of measured and nominal voltage, each direction its own")
{
    // SAFE-076, SAFE-191
    for (const auto& [stated, seen] : {std::pair{385_V, 400_V}, std::pair{385_V, 370_V}}) {
        const Voltage nominal = stated, measured = seen;  // a structured binding cannot be captured by clang 14
        const Voltage volts = std::min(nominal, measured);
        Together t{std::array{Is::joined, Is::joined}};
        for (OnePack& p : t.packs) {
            p.state.voltage.set(measured, t0);
            p.verdict.pack.voltage_nominal = nominal;
        }
        t.settle();
        t.operator_.max_discharge_current = 10_A;
        CHECK(t.step().discharge.power() == volts * 10_A);
        CHECK(t.aggregated.verdict().discharge.by() == Cause::operator_);
        CHECK(t.aggregated.verdict().charge.power() == 16_kW);
        for (OnePack& p : t.packs) p.verdict.pack.voltage_nominal.reset();
        CHECK(t.step().discharge.power() <= measured * 10_A);
        CHECK(t.settle().discharge.power() == measured * 10_A);
    }
    // A voltage that was not known for a moment is the end of what was granted: it rises anew.
    Together lost{std::array{Is::joined, Is::joined}};
    lost.operator_.max_charge_current = 10_A;
    REQUIRE(lost.settle().charge.power() == 3850_W);
    lost.packs[0].state.voltage.forget();
    CHECK(lost.step().charge.is_zero());
    CHECK(lost.aggregated.verdict().charge.by() == Cause::operator_);
    lost.packs[0].state.voltage.set(400_V, lost.now);
    lost.step();
    CHECK(lost.step().charge.power() <= 200_W);

    Together t{std::array{Is::joined, Is::joined}};
    t.settle();
    t.operator_.max_discharge = 3_kW;  // written nowhere but in the configuration
    CHECK(t.step().discharge.power() == 3_kW);
    CHECK(t.aggregated.verdict().discharge.by() == Cause::config);
    t.operator_.discharge_limit_default = false;
    CHECK(t.step().discharge.by() == Cause::operator_);
    CHECK(t.aggregated.verdict().charge.by() == Cause::battery);
}

TEST_CASE("aggregate: the slope of the whole is that of the ceilings of the joined packs, each direction its own")
{
    // SAFE-092, SAFE-282
    Together t{std::array{Is::joined, Is::joined}};
    t.step();
    const auto all = [&] {
        ParallelPacks packs = t.views();
        for (ParallelPack& p : packs) p.max_discharge = 4_kW;
        t.now += 1s;
        const std::span<const ParallelPack> span{packs.begin(), packs.size()};
        aggregate(span, t.battery, t.now);
        t.aggregated.update({.packs = span, .battery = t.battery, .operator_ = t.operator_, .config = t.config}, t.now);
        return std::pair{t.aggregated.verdict().charge.power(), t.aggregated.verdict().discharge.power()};
    };
    const auto before = all(), after = all();
    CHECK(after.first - before.first == 1_kW);  // 5 % of 2 * 10 kW each second
    CHECK(after.second - before.second == 400_W);
    CHECK(t.aggregated.verdict().charge.by() == Cause::ramp);
}

TEST_CASE("aggregate: why nothing is granted is told by the worst reason, and a reason outlives no pack")
{
    // SAFE-282
    Together t{std::array{Is::apart, Is::apart}};
    t.packs[0].verdict.charge = GrantWriter::nothing(Cause::soc);
    CHECK(t.step().charge.by() == Cause::soc);  // of open packs, the first one's
    t.packs[1] = pack_that(Is::silent);
    CHECK(t.step().charge.by() == Cause::contactor);
    t.packs[0] = pack_that(Is::emergency_apart);
    CHECK(t.step().charge.by() == Cause::fault);
    std::swap(t.packs[0], t.packs[1]);
    CHECK(t.step().charge.by() == Cause::fault);
    Together joined{std::array{Is::joined, Is::joined_zero}};
    joined.packs[1].verdict.charge = GrantWriter::nothing(Cause::cell_voltage);
    CHECK(joined.step().charge.by() == Cause::cell_voltage);
    // Of two alike the first is named.
    Together alike{std::array{Is::joined, Is::joined}};
    alike.packs[1].verdict.charge = GrantWriter::write(8_kW, 20_A, Cause::temperature);
    CHECK(alike.settle().charge.by() == Cause::battery);
}

TEST_CASE("aggregate: each round has a number and a time of its own, and none without packs; a broken one is newer than the last")
{
    // SAFE-219, SAFE-006
    Together t{std::array{Is::joined, Is::joined}};
    const Verdict& v = t.step();
    const auto first = v.sequence;
    t.step();
    CHECK(v.sequence == first + 1);
    CHECK(v.at == t.now);
    const std::span<const ParallelPack> none;
    t.aggregated.update({.packs = none, .battery = t.battery, .operator_ = t.operator_, .config = t.config}, t.now + 1s);
    CHECK(v.sequence == first + 1);
    CHECK(v.at == t.now);

    const Instant last = t.now;
    t.packs[0].verdict.broken = "first";
    t.packs[1].verdict.broken = "second";
    t.step(-50ms);
    CHECK(v.broken == "first");
    CHECK(v.at == last);
    t.step(100ms);
    CHECK(v.at == t.now);
}
