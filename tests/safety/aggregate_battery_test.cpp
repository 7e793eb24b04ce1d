// The battery that an inverter is shown in place of several packs, reading by reading.
#include "safety/aggregate.hpp"

#include <doctest/doctest.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

using namespace batgw;

namespace {

constexpr Instant side_by_side_since{std::chrono::hours{9} + 21us};

struct SideBySide {
    std::array<Verdict, 3> verdicts;
    std::array<BatteryState, 3> states;
    std::size_t count = 2;
    BatteryState whole;

    SideBySide()
    {
        for (std::size_t i = 0; i < 3; ++i) {
            verdicts[i].contactors.state = ContactorState::closed;
            verdicts[i].contactors.power_allowed = true;
            states[i].heard = side_by_side_since;
        }
    }
    void open(std::size_t i)
    {
        verdicts[i].contactors.state = ContactorState::open;
        verdicts[i].contactors.power_allowed = false;
        verdicts[i].contactors.proven_open = true;
    }
    template <class T>
    void set(Reading<T> BatteryState::*reading, T first, T second, T third)
    {
        (states[0].*reading).set(first, side_by_side_since);
        (states[1].*reading).set(second, side_by_side_since);
        (states[2].*reading).set(third, side_by_side_since);
    }
    const BatteryState& together(Instant now = side_by_side_since)
    {
        ParallelPacks packs;
        for (std::size_t i = 0; i < count; ++i) packs.push_back({.verdict = &verdicts[i], .state = &states[i]});
        aggregate({packs.begin(), packs.size()}, whole, now);
        return whole;
    }
};

template <class T>
void check_both(Reading<T> BatteryState::*reading, T first, T second, T expected)
{
    SideBySide s;
    s.set(reading, first, second, second);
    CHECK((s.together().*reading).last() == expected);
    s.set(reading, second, first, first);
    CHECK((s.together().*reading).last() == expected);
    (s.states[1].*reading).forget();
    CHECK_FALSE((s.together().*reading).last());
}

}  // namespace

TEST_CASE("packs together: each reading is the sum, the extreme or the mean, whichever of them comes first, or not there")
{
    // SAFE-282
    using B = BatteryState;
    check_both(&B::current, 10_A, -3_A, 7_A);
    check_both(&B::soh, 97_pct, 93_pct, 93_pct);
    check_both(&B::cell_voltage_min, 3301_mV, 3299_mV, 3299_mV);
    check_both(&B::cell_voltage_max, 3301_mV, 3299_mV, 3301_mV);
    check_both(&B::temperature_min, 21_degC, 18_degC, 18_degC);
    check_both(&B::temperature_max, 21_degC, 18_degC, 21_degC);
    check_both(&B::temperature_avg, 20_degC, 23_degC, Temperature::from_milli(21'500));
    check_both(&B::temperature_ambient, 11_degC, 12_degC, Temperature::from_milli(11'500));
    check_both(&B::insulation, Insulation::from_milli(900'000), Insulation::from_milli(400'000), Insulation::from_milli(400'000));
    check_both(&B::contactor, ContactorFeedback::closed, ContactorFeedback::open, ContactorFeedback::unknown);
    check_both(&B::contactor, ContactorFeedback::closed, ContactorFeedback::closed, ContactorFeedback::closed);
    // What each may take, as many times as there are packs; what it asks for, as the more careful of them says.
    for (const auto reading : {&B::charge_limit, &B::discharge_limit}) check_both(reading, 6_kW, 5_kW, 10_kW);
    for (const auto reading : {&B::charge_limit_current, &B::discharge_limit_current}) check_both(reading, 15_A, 12_A, 24_A);
    check_both(&B::charge_voltage_wanted, 415_V, 412_V, 412_V);
    check_both(&B::discharge_voltage_wanted, 360_V, 355_V, 360_V);
    for (const auto reading : {&B::charge_allowed, &B::discharge_allowed, &B::insulation_measured}) {
        check_both(reading, true, false, false);
        check_both(reading, true, true, true);
    }
    for (const auto reading : {&B::charge_requested, &B::full_charge_requested}) {
        check_both(reading, true, false, true);
        check_both(reading, false, false, false);
    }
    check_both(&B::cycles, 120_count, 90_count, 120_count);
}

TEST_CASE("packs together: counters are those of all of them, joined or not")
{
    // SAFE-282
    SideBySide s;
    s.count = 3;
    s.open(2);
    using B = BatteryState;
    constexpr std::array charges{&B::charge_remaining, &B::charge_full, &B::charge_in, &B::charge_out};
    constexpr std::array energies{&B::energy_in, &B::energy_out, &B::energy_remaining, &B::energy_full};
    for (const auto reading : charges)
        s.set(reading, Charge::from_milli(1000), Charge::from_milli(2000), Charge::from_milli(4000));
    for (const auto reading : energies) s.set(reading, 1_kWh, 2_kWh, 4_kWh);
    s.set(&B::cycles, 1_count, 2_count, 4_count);
    s.together();
    for (const auto reading : charges) CHECK((s.whole.*reading).last() == Charge::from_milli(7000));
    for (const auto reading : energies) CHECK((s.whole.*reading).last() == 7_kWh);
    CHECK(s.whole.cycles.last() == 4_count);
}

TEST_CASE("packs together: what belongs to one pack alone is not shown as that of the whole")
{
    // SAFE-282
    SideBySide s;
    for (BatteryState& b : s.states) {
        b.link_voltage.set(400_V, side_by_side_since);
        b.cells.set(CellVoltages{}, side_by_side_since);
        b.temperatures.set(SensorTemperatures{}, side_by_side_since);
        b.balancing.set(CellFlags{}, side_by_side_since);
        b.modules.push_back(Module{});
        b.diagnostic_charge_limit.set(1_kW, side_by_side_since);
        b.diagnostic_discharge_limit.set(1_kW, side_by_side_since);
        b.diagnostic_soc.set(50_pct, side_by_side_since);
        b.diagnostic_voltage.set(400_V, side_by_side_since);
        b.diagnostic_current.set(1_A, side_by_side_since);
        b.sessions.set(3_count, side_by_side_since);
    }
    const BatteryState& b = s.together();
    CHECK_FALSE(b.link_voltage.last());
    CHECK_FALSE(b.cells.last());
    CHECK_FALSE(b.temperatures.last());
    CHECK_FALSE(b.balancing.last());
    CHECK(b.modules.empty());
    CHECK_FALSE(b.diagnostic_charge_limit.last());
    CHECK_FALSE(b.diagnostic_discharge_limit.last());
    CHECK_FALSE(b.diagnostic_soc.last());
    CHECK_FALSE(b.diagnostic_voltage.last());
    CHECK_FALSE(b.diagnostic_current.last());
    CHECK_FALSE(b.sessions.last());
}

TEST_CASE("packs together: last heard when the quietest of them was, and the faults that any of those in reports, once each pack")
{
    // SAFE-282, SAFE-170
    SideBySide s;
    s.count = 3;
    s.open(2);
    s.states[0].heard = side_by_side_since + 2s;
    s.states[1].heard = side_by_side_since + 1s;
    for (std::size_t i = 0; i < 3; ++i) {
        ReportedFault f;
        f.code.assign(std::array{"A", "B", "C"}[i]);
        s.states[i].reported.push_back(f);
    }
    s.together(side_by_side_since + 3s);
    CHECK(s.whole.heard == side_by_side_since + 1s);
    REQUIRE(s.whole.reported.size() == 2);
    CHECK(s.whole.reported[0].code == "A");
    CHECK(s.whole.reported[1].code == "B");
    for (const std::size_t silent : {0U, 1U}) {
        s.states = {};
        s.states[1 - silent].heard = side_by_side_since;
        CHECK_FALSE(s.together().heard);
    }
}

TEST_CASE("packs together: a mean is towards zero, and the cell number is that of the pack with the extreme cell")
{
    // SAFE-282
    SideBySide s;
    using B = BatteryState;
    s.set(&B::voltage, 400'000_mV, 400'001_mV, 0_V);
    s.set(&B::temperature_avg, Temperature::from_milli(-1), Temperature::from_milli(-2), 0_degC);
    s.set(&B::cell_voltage_max, 3400_mV, 3300_mV, 0_V);
    s.set(&B::cell_voltage_min, 3290_mV, 3280_mV, 0_V);
    s.set(&B::cell_max_number, 11_count, 12_count, 13_count);
    s.set(&B::cell_min_number, 21_count, 22_count, 23_count);
    s.together();
    CHECK(s.whole.voltage.last() == 400'000_mV);
    CHECK(s.whole.temperature_avg.last() == Temperature::from_milli(-1));
    CHECK(s.whole.cell_max_number.last() == 11_count);
    CHECK(s.whole.cell_min_number.last() == 22_count);
}

TEST_CASE("packs together: the state of charge is weighed by capacity where all are known, and evenly where one is not")
{
    // SAFE-282
    SideBySide s;
    using B = BatteryState;
    s.set(&B::soc, 20_pct, 80_pct, 0_pct);
    s.verdicts[0].pack.energy_rated = Energy::from_milli(299'000);
    s.verdicts[1].pack.energy_rated = Energy::from_milli(99'000);
    CHECK(s.together().soc.last() == 35_pct);  // (20 * 300 + 80 * 100) / 400
    for (const std::size_t i : {0U, 1U}) {
        for (Verdict& v : s.verdicts) v.pack.energy_rated = 30_kWh;
        for (const auto none : {std::optional<Energy>{}, std::optional{Energy{}}}) {
            s.verdicts[i].pack.energy_rated = none;
            CHECK(s.together().soc.last() == 50_pct);
        }
    }
    s.set(&B::soc, 50_pct, Percent::from_milli(50'001), 0_pct);
    CHECK(s.together().soc.last() == 50_pct);  // never rounded up
    s.states[0].soc.forget();
    CHECK_FALSE(s.together().soc.last());
}

TEST_CASE("packs together: none at all changes nothing, and what one of them says for longer is not made fresh by the others")
{
    // SAFE-282, SAFE-022
    SideBySide s;
    s.states[0].soc.set(40_pct, side_by_side_since + 5s);
    s.states[1].soc.set(40_pct, side_by_side_since + 4s);
    s.together(side_by_side_since + 6s);
    CHECK(s.whole.soc.at() == side_by_side_since + 4s);
    s.count = 0;
    s.together(side_by_side_since + 7s);
    CHECK(s.whole.soc.at() == side_by_side_since + 4s);
    CHECK(s.whole.soc.last() == 40_pct);
}
