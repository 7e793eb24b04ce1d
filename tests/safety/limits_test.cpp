#include "safety/limits.hpp"

#include "safety/curves.hpp"
#include "tests/safety/house.hpp"

#include <doctest/doctest.h>

#include <array>
#include <utility>

using namespace batgw;
using batgw::test::House;

namespace {

// One step of a staircase: a fresh judge sees ten good seconds, then `value` for `time`.
template <class Set>
House after_time(Chemistry chemistry, Set set, Duration time)
{
    House house{chemistry};
    house.run(1s);
    set(house);
    house.step();
    if (time > Duration{}) house.run(time);
    return house;
}

struct CellThreshold {
    FaultId id;
    FaultClass level;
    Direction direction;
    Voltage set, clear;
    Duration delay;
    bool high;
};

std::array<CellThreshold, 5> thresholds(Chemistry c)
{
    const auto r = cell_rules(c);
    return {{{FaultId::cell_high, FaultClass::block, Direction::charge, r.block_high, r.block_high_clear, 1s, true},
        {FaultId::cell_high_crit, FaultClass::trip, Direction::both, r.trip_high, {}, 2s, true},
        {FaultId::cell_low, FaultClass::block, Direction::discharge, r.block_low, r.block_low_clear, 2s, false},
        {FaultId::cell_low_crit, FaultClass::trip, Direction::both, r.trip_low, {}, 2s, false},
        {FaultId::cell_deep, FaultClass::emergency, Direction::both, r.deep, {}, 5s, false}}};
}

void set_cell(House& house, bool high, Voltage v) { (high ? house.cell_max : house.cell_min) = v; }

}  // namespace

TEST_CASE("the default limits of both chemistries keep the hard bounds and their order")
{
    // SAFE-060
    for (const Chemistry c : {Chemistry::lfp, Chemistry::nmc}) {
        const auto r = cell_rules(c);
        const auto bounds = cell_bounds(c);
        REQUIRE(bounds.min == (c == Chemistry::lfp ? 2000_mV : 2500_mV));
        REQUIRE(bounds.max == (c == Chemistry::lfp ? 3800_mV : 4300_mV));
        REQUIRE(r.trip_high <= bounds.max);
        REQUIRE(r.trip_low >= bounds.min);
        REQUIRE(r.deep >= lowest_deep_voltage);
        REQUIRE(r.deep < r.trip_low);
        REQUIRE(r.trip_low < r.block_low);
        REQUIRE(r.block_low < r.block_low_clear);
        REQUIRE(r.block_high_clear < r.block_high);
        REQUIRE(r.block_high < r.trip_high);
        const SafetyConfig s = default_safety(c);
        for (const auto& curve : {s.temperature.charge_curve, s.temperature.discharge_curve}) {
            REQUIRE(curve[0].x_milli >= coldest.milli());
            REQUIRE(curve[curve.size() - 1].x_milli <= hottest.milli());
        }
    }
}

TEST_CASE("cell voltage staircase: each threshold to the millivolt, with its class, direction and delay")
{
    // SAFE-061
    for (const Chemistry chemistry : {Chemistry::lfp, Chemistry::nmc})
        for (const CellThreshold& t : thresholds(chemistry))
            for (const int mv : {-1, 0, 1}) {
                const Voltage v = t.set + Voltage::from_milli(mv);
                CAPTURE(to_string(t.id));
                CAPTURE(v.milli());
                const bool beyond = t.high ? v >= t.set : v <= t.set;
                const auto set = [&](House& h) { set_cell(h, t.high, v); };
                House early = after_time(chemistry, set, t.delay - 100ms);
                REQUIRE_FALSE(early.has(t.id));
                House house = after_time(chemistry, set, t.delay);
                REQUIRE(house.has(t.id) == beyond);
                if (!beyond) continue;
                REQUIRE(house.fault(t.id)->level == t.level);
                REQUIRE(house.fault(t.id)->direction == t.direction);
                REQUIRE(house.fault(t.id)->latched == (t.level >= FaultClass::trip));
                REQUIRE(house.fault(t.id)->value_milli == v.milli());
                REQUIRE(house.fault(t.id)->limit_milli == t.set.milli());
            }
}

TEST_CASE("cell voltage staircase: a BLOCK ends 30 s after the clear threshold is reached, to the millivolt; a TRIP does not end")
{
    // SAFE-061, SAFE-042
    for (const Chemistry chemistry : {Chemistry::lfp, Chemistry::nmc})
        for (const CellThreshold& t : thresholds(chemistry)) {
            CAPTURE(to_string(t.id));
            House house = after_time(
                chemistry, [&](House& h) { set_cell(h, t.high, t.set); }, t.delay);
            REQUIRE(house.has(t.id));
            if (t.level >= FaultClass::trip) {
                set_cell(house, t.high, t.high ? cell_rules(chemistry).block_high_clear : cell_rules(chemistry).block_low_clear);
                house.run(300s, 1s);
                REQUIRE(house.has(t.id));
                REQUIRE(house.verdict().charge.is_zero());
                REQUIRE(house.verdict().discharge.is_zero());
                continue;
            }
            set_cell(house, t.high, t.clear + Voltage::from_milli(t.high ? 1 : -1));
            house.run(60s);
            REQUIRE(house.has(t.id));
            set_cell(house, t.high, t.clear);
            house.step();
            REQUIRE(house.time_until([&] { return !house.has(t.id); }, 60s) == 30s);
        }
}

TEST_CASE("the curve of the highest cell reduces charging, that of the lowest discharging, without delay")
{
    // SAFE-061, SAFE-073
    House house;
    house.up();
    house.cell_max = 3500_mV;
    house.step();
    REQUIRE(house.charge() == 2500_W);
    REQUIRE(house.verdict().charge.by() == Cause::cell_voltage);
    REQUIRE(house.has(FaultId::cell_high_curve, FaultClass::derate));
    REQUIRE(house.verdict().state == GatewayState::derated);
    REQUIRE(house.discharge() == 10_kW);
    house.cell_min = 2900_mV;
    house.step();
    REQUIRE(house.discharge() == 1_kW);
    REQUIRE(house.has(FaultId::cell_low_curve, FaultClass::derate));
    house.cell_max = 3600_mV;
    house.step();
    REQUIRE(house.verdict().charge.is_zero());  // the curve, before CELL_HIGH has made up its mind
    REQUIRE_FALSE(house.has(FaultId::cell_high));
}

TEST_CASE("ten minutes of one millivolt up and down around a threshold set a fault at most once")
{
    // SAFE-042
    for (const Chemistry chemistry : {Chemistry::lfp, Chemistry::nmc})
        for (const CellThreshold& t : thresholds(chemistry))
            for (const Duration half : {1s, 3s, 7s}) {
                CAPTURE(to_string(t.id));
                House house{chemistry};
                house.run(1s);
                for (Duration at = 0s; at < 600s; at += half) {
                    const bool up = (at / half) % 2 == 0;
                    set_cell(house, t.high, t.set + Voltage::from_milli(up ? 1 : -1));
                    house.run(half, 500ms);
                }
                REQUIRE(house.times_set(t.id) <= 1);
                REQUIRE(house.times_set(FaultId::cell_high_curve) <= 1);
                REQUIRE(house.times_set(FaultId::cell_low_curve) <= 1);
            }
}

TEST_CASE("pack voltage: window of cells or narrower, two volts of hysteresis, TRIP two percent beyond what the cells allow")
{
    // SAFE-062
    struct Case {
        FaultId id;
        Voltage inside, outside, keeps, clears;
    };
    const auto run = [](House house, const Case& c) {
        CAPTURE(to_string(c.id));
        house.run(1s);
        house.voltage = c.inside;
        house.run(5s);
        REQUIRE_FALSE(house.has(c.id));
        house.voltage = c.outside;
        house.step();
        house.run(900ms);
        REQUIRE_FALSE(house.has(c.id));
        house.step();
        REQUIRE(house.has(c.id, FaultClass::block));
        REQUIRE_FALSE(house.has(FaultId::pack_v_crit));
        REQUIRE(house.fault(c.id)->direction == (c.id == FaultId::pack_high ? Direction::charge : Direction::discharge));
        house.voltage = c.keeps;
        house.run(60s);
        REQUIRE(house.has(c.id));
        house.voltage = c.clears;
        house.step();
        REQUIRE(house.time_until([&] { return !house.has(c.id); }, 60s) == 30s);
    };
    House by_facts;  // 420 V and 350 V; half a percent of 420 V is 2.1 V
    run(by_facts,
        {FaultId::pack_high, 420_V, Voltage::from_milli(420'001), Voltage::from_milli(417'901), Voltage::from_milli(417'900)});
    run(by_facts, {FaultId::pack_low, 350_V, Voltage::from_milli(349'999), Voltage::from_milli(351'999), 352_V});
    House by_cells;  // 120 times 3.600 V and 2.800 V
    by_cells.facts.voltage_max.reset();
    by_cells.facts.voltage_min.reset();
    run(by_cells,
        {FaultId::pack_high, 432_V, Voltage::from_milli(432'001), Voltage::from_milli(429'841), Voltage::from_milli(429'840)});
    run(by_cells, {FaultId::pack_low, 336_V, Voltage::from_milli(335'999), Voltage::from_milli(337'999), 338_V});
    House by_config;
    by_config.battery.voltage_max = 410_V;
    by_config.battery.voltage_min = 360_V;
    run(by_config,
        {FaultId::pack_high, 410_V, Voltage::from_milli(410'001), Voltage::from_milli(407'951), Voltage::from_milli(407'950)});
    run(by_config, {FaultId::pack_low, 360_V, Voltage::from_milli(359'999), Voltage::from_milli(361'999), 362_V});
}

TEST_CASE("pack voltage TRIP: beyond the cells' window, not beyond a narrowed one; without cells beyond the window there is")
{
    // SAFE-062
    const auto trips = [](House house, Voltage v) {
        house.run(1s);
        house.voltage = v;
        house.step();
        house.run(1900ms);
        REQUIRE_FALSE(house.has(FaultId::pack_v_crit));
        house.step();
        return house.has(FaultId::pack_v_crit);
    };
    const House house;  // 432 V and 336 V by cells: 440.64 V and 329.28 V
    REQUIRE_FALSE(trips(house, Voltage::from_milli(440'640)));
    REQUIRE(trips(house, Voltage::from_milli(440'641)));
    REQUIRE_FALSE(trips(house, Voltage::from_milli(329'280)));
    REQUIRE(trips(house, Voltage::from_milli(329'279)));
    House no_cells;
    no_cells.battery.cells.reset();
    no_cells.facts.cells.reset();  // 428.4 V and 343 V
    REQUIRE_FALSE(trips(no_cells, Voltage::from_milli(428'400)));
    REQUIRE(trips(no_cells, Voltage::from_milli(428'401)));
    REQUIRE_FALSE(trips(no_cells, 343_V));
    REQUIRE(trips(no_cells, Voltage::from_milli(342'999)));
}

TEST_CASE("a pack window stays within 2000 V, and counts 1000 cells at the most, whatever is told")
{
    // SAFE-062
    const auto cell = cell_rules(Chemistry::lfp);
    const auto told = [&](Voltage max, Voltage min) {
        return voltage_window(cell, std::nullopt, {.voltage_max = max, .voltage_min = min}, std::nullopt, std::nullopt);
    };
    CHECK(told(Voltage::from_milli(2'000'001), Voltage::from_milli(2'000'001)).max == 2000_V);
    CHECK(told(Voltage::from_milli(2'000'001), Voltage::from_milli(2'000'001)).min == 2000_V);
    CHECK(told(Voltage::from_milli(1'999'999), -1_V).max == Voltage::from_milli(1'999'999));
    CHECK(told(-1_V, -1_V).max == 0_V);
    CHECK(told(-1_V, -1_V).min == 0_V);
    for (const unsigned cells : {999U, 1000U, 1001U}) {
        const auto w = voltage_window(cell, cells, {}, std::nullopt, std::nullopt);
        CHECK(w.cells_max == cell.block_high * std::min<std::int64_t>(cells, 1000));
        CHECK(w.cells_min == cell.block_low * std::min<std::int64_t>(cells, 1000));
        CHECK(w.max == w.cells_max);
        CHECK(w.min == w.cells_min);
    }
}

TEST_CASE("without cell count and without a window nothing is granted")
{
    // SAFE-062
    House house;
    house.battery.cells.reset();
    house.facts.cells.reset();
    house.facts.voltage_max.reset();
    house.up();
    REQUIRE(house.verdict().charge.is_zero());
    REQUIRE(house.verdict().discharge.is_zero());
    REQUIRE(house.verdict().waiting == Waiting::battery_identity);
}

TEST_CASE("cell deviation in the middle: warning, reduction, BLOCK, TRIP")
{
    // SAFE-063
    for (const Chemistry chemistry : {Chemistry::lfp, Chemistry::nmc}) {
        const auto r = cell_rules(chemistry);
        House house{chemistry};
        house.cell_min = chemistry == Chemistry::lfp ? 3100_mV : 3600_mV;
        const auto deviate = [&](Voltage v) { house.cell_max = house.cell_min + v; };
        deviate(r.deviation_warn - 1_mV);
        house.up();
        house.run(60s);
        REQUIRE_FALSE(house.has(FaultId::cell_dev));
        deviate(r.deviation_warn);
        house.step();
        house.run(59900ms);
        REQUIRE_FALSE(house.has(FaultId::cell_dev));
        house.step();
        REQUIRE(house.has(FaultId::cell_dev, FaultClass::warn));
        REQUIRE(house.charge() == 10_kW);
        deviate(r.deviation_warn - 29_mV);
        house.run(100s);
        REQUIRE(house.has(FaultId::cell_dev, FaultClass::warn));
        deviate(r.deviation_warn - 30_mV);
        house.step();
        REQUIRE(house.time_until([&] { return !house.has(FaultId::cell_dev); }, 100s) == 60s);

        deviate(r.deviation_derate_from);
        house.step();
        REQUIRE_FALSE(house.has(FaultId::cell_dev));
        deviate(r.deviation_derate_from + 1_mV);
        house.step();
        REQUIRE(house.has(FaultId::cell_dev, FaultClass::derate));
        deviate(r.deviation_derate_from + Voltage::from_milli((r.deviation_derate_to - r.deviation_derate_from).milli() / 2));
        house.step();
        REQUIRE(house.has(FaultId::cell_dev, FaultClass::derate));
        REQUIRE(house.charge() == 7500_W);
        REQUIRE(house.discharge() == 7500_W);
        REQUIRE(house.verdict().discharge.by() == Cause::deviation);

        deviate(r.deviation_block);
        house.step();
        REQUIRE(house.charge() == 5_kW);
        house.run(9900ms);
        REQUIRE(house.has(FaultId::cell_dev, FaultClass::derate));
        house.step();
        REQUIRE(house.has(FaultId::cell_dev, FaultClass::block));
        REQUIRE(house.fault(FaultId::cell_dev)->direction == Direction::both);
        REQUIRE(house.verdict().charge.is_zero());
        deviate(r.deviation_block - 49_mV);
        house.run(100s);
        REQUIRE(house.has(FaultId::cell_dev, FaultClass::block));
        deviate(r.deviation_block - 50_mV);
        house.step();
        REQUIRE(house.time_until([&] { return !house.has(FaultId::cell_dev, FaultClass::block); }, 100s) == 60s);
        REQUIRE(house.has(FaultId::cell_dev, FaultClass::derate));
        deviate(r.deviation_derate_from);
        house.step();
        REQUIRE(house.time_until([&] { return house.has(FaultId::cell_dev, FaultClass::warn); }, 60s) == 30s);
    }
}

TEST_CASE("cell deviation TRIP: half a volt for 30 s")
{
    // SAFE-063
    for (const Voltage v : {499_mV, 500_mV}) {
        House house;
        house.run(1s);
        house.cell_min = 2870_mV;
        house.cell_max = house.cell_min + v;
        house.step();
        house.run(29900ms);
        REQUIRE_FALSE(house.has(FaultId::cell_dev_crit));
        house.step();
        REQUIRE(house.has(FaultId::cell_dev_crit) == (v == 500_mV));
    }
}

TEST_CASE("the cause of a cell deviation TRIP is gone once the spread was 50 mV below that of the BLOCK for 60 s")
{
    // SAFE-063, SAFE-045
    House house;
    house.run(1s);
    house.cell_min = 2870_mV;
    house.cell_max = house.cell_min + 500_mV;
    house.run(31s);
    REQUIRE(house.has(FaultId::cell_dev_crit));
    const auto resettable = [&] { return house.fault(FaultId::cell_dev_crit)->resettable; };
    house.cell_max = house.cell_min + 251_mV;
    REQUIRE(house.time_until(resettable, 200s) == 200s);
    house.cell_max = house.cell_min + 250_mV;
    house.step();
    REQUIRE(house.time_until(resettable, 200s) == 60s + house.safety.reset_absent);
}

TEST_CASE("a spread between cells of which one is missing or not believed begins no fault")
{
    // SAFE-063, SAFE-026
    struct Case {
        bool max_fresh, min_fresh, max_suspect, min_suspect;
    };
    for (const Case& c : {Case{true, true, false, false}, Case{false, true, false, false}, Case{true, false, false, false},
             Case{true, true, true, false}, Case{true, true, false, true}, Case{true, true, true, true}}) {
        CAPTURE(c.max_fresh);
        CAPTURE(c.min_fresh);
        CAPTURE(c.max_suspect);
        CAPTURE(c.min_suspect);
        const SafetyConfig config = default_safety(Chemistry::lfp);
        FaultTable faults;
        DeviationLimits limits;
        PackSamples in;
        in.cell_min.usable = 2870_mV;
        in.cell_max.usable = 3370_mV;
        if (c.max_fresh) in.cell_max.fresh = in.cell_max.usable;
        if (c.min_fresh) in.cell_min.fresh = in.cell_min.usable;
        if (c.max_suspect) in.cell_max.suspect = in.cell_max.usable;
        if (c.min_suspect) in.cell_min.suspect = in.cell_min.usable;
        for (Instant now{1s}; now < Instant{100s}; now += 1s) {
            ++in.cell_max.samples;
            limits.update(in, std::nullopt, {.config = config, .faults = faults, .now = now});
            faults.settle(now);
        }
        CHECK(faults.faults().empty() == (!c.max_fresh || !c.min_fresh || c.max_suspect || c.min_suspect));
    }
}

TEST_CASE("cell deviation at the knees of LFP: no reduction, and BLOCK only where it drives the outlier further")
{
    // SAFE-063
    struct Case {
        Voltage min, max;
        std::optional<Direction> direction;  // of the BLOCK
    };
    const std::array cases{Case{3101_mV, 3401_mV, Direction::charge}, Case{3099_mV, 3399_mV, Direction::discharge},
        Case{3099_mV, 3401_mV, Direction::both}, Case{3100_mV, 3400_mV, Direction::both}};
    for (const Case& c : cases) {
        CAPTURE(c.min.milli());
        House house;
        house.run(1s);
        house.cell_min = c.min;
        house.cell_max = c.max;
        house.step();
        const bool knee = c.min < 3100_mV || c.max > 3400_mV;
        REQUIRE(house.has(FaultId::cell_dev, FaultClass::derate) == !knee);
        house.run(10s);
        REQUIRE(house.has(FaultId::cell_dev, FaultClass::block));
        REQUIRE(house.fault(FaultId::cell_dev)->direction == c.direction);
    }
    SUBCASE("under load nothing new is concluded at a knee, but TRIP")
    {
        House house;  // a tenth of 10 kW at 400 V is 2.5 A
        house.run(1s);
        house.cell_max = 3410_mV;
        house.cell_min = 2905_mV;
        house.current = Current::from_milli(2500);
        house.run(29900ms);
        REQUIRE_FALSE(house.has(FaultId::cell_dev));
        house.run(200ms);
        REQUIRE(house.has(FaultId::cell_dev_crit));
        for (const int milli : {2499, 2500}) {
            House one_knee;
            one_knee.run(1s);
            one_knee.cell_max = 3410_mV;
            one_knee.cell_min = 3105_mV;
            one_knee.current = Current::from_milli(milli);
            one_knee.run(11s);
            REQUIRE(one_knee.has(FaultId::cell_dev, FaultClass::block) == (milli == 2499));
        }
    }
}

TEST_CASE("temperature: BLOCK where a curve is zero after 5 s, gone 3 K inside after 30 s")
{
    // SAFE-064
    struct Case {
        FaultId id;
        Direction direction;
        Temperature zero;
        bool cold;
    };
    constexpr Temperature m20 = Temperature::from_milli(-20'000);
    const std::array cases{Case{FaultId::temp_cold, Direction::charge, 0_degC, true},
        Case{FaultId::temp_cold, Direction::both, m20, true}, Case{FaultId::temp_hot, Direction::charge, 50_degC, false},
        Case{FaultId::temp_hot, Direction::both, 55_degC, false}};
    for (const Case& c : cases) {
        CAPTURE(c.zero.milli());
        const TemperatureStep inward = c.cold ? 1_K : -1_K;
        House house;
        house.run(1s);
        const auto set = [&](Temperature t) { house.temperature_max = house.temperature_min = t; };
        set(c.zero + inward);
        house.run(10s);
        REQUIRE((!house.has(c.id) || house.fault(c.id)->direction != c.direction));
        set(c.zero);
        house.step();
        house.run(4900ms);
        REQUIRE((!house.has(c.id) || house.fault(c.id)->direction != c.direction));
        house.step();
        REQUIRE(house.has(c.id, FaultClass::block));
        REQUIRE(house.fault(c.id)->direction == c.direction);
        set(c.zero + inward * 2);
        house.run(60s);
        REQUIRE(house.fault(c.id)->direction == c.direction);
        set(c.zero + inward * 3);
        house.step();
        house.run(29900ms);
        REQUIRE(house.fault(c.id)->direction == c.direction);
        house.step();
        REQUIRE((!house.has(c.id) || house.fault(c.id)->direction != c.direction));
    }
}

TEST_CASE("temperature: the worse of coldest and hottest counts, both at once too")
{
    // SAFE-064, SAFE-072
    House house;
    house.up();
    house.temperature_min = 12_degC;  // charge 0.7
    house.temperature_max = 48_degC;  // charge 0.2, discharge 0.7
    house.step();
    REQUIRE(house.charge() == 2_kW);
    REQUIRE(house.discharge() == 7_kW);
    house.temperature_min = 2_degC;  // charge 0.08, discharge 0.68
    house.step();
    REQUIRE(house.charge() == 800_W);
    REQUIRE(house.discharge() == 6800_W);
    REQUIRE(house.verdict().charge.by() == Cause::temperature);
    REQUIRE(house.fault(FaultId::temp_curve)->direction == Direction::both);
    // Of one sensor alone nothing is known; of both, it is over when it was for the hold.
    house.temperature_min = 25_degC;
    house.step();
    house.silent.insert(SignalId::temperature_max);
    house.run(60s);
    REQUIRE(house.has(FaultId::temp_curve));
    house.silent.clear();
    house.temperature_max = 25_degC;
    house.step();
    REQUIRE(house.time_until([&] { return !house.has(FaultId::temp_curve); }, 60s) == 30s);
}

TEST_CASE("below the lowest temperature nothing goes, even where the curves are trusted to the battery")
{
    // SAFE-064, SAFE-072
    House house;
    house.safety.temperature.trust_battery_limits = true;
    house.temperature_min = house.temperature_max = Temperature::from_milli(-25'000);
    house.up();
    REQUIRE_FALSE(house.has(FaultId::temp_cold));
    REQUIRE(house.discharge() > 0_W);
    house.temperature_min = Temperature::from_milli(-25'001);
    house.run(5100ms);
    REQUIRE(house.has(FaultId::temp_cold, FaultClass::block));
    REQUIRE(house.fault(FaultId::temp_cold)->direction == Direction::both);
}

TEST_CASE("a curve whose ends are not zero, however small, blocks beyond them")
{
    // SAFE-064
    for (const bool cold : {true, false}) {
        House house;
        house.safety.temperature.charge_curve = make_curve({{10'000, 1}, {40'000, 1}});
        house.run(1s);
        const auto set = [&](int milli) { house.temperature_max = house.temperature_min = Temperature::from_milli(milli); };
        set(cold ? 10'000 : 40'000);
        house.run(10s);
        REQUIRE_FALSE(house.has(cold ? FaultId::temp_cold : FaultId::temp_hot));
        set(cold ? 9999 : 40'001);
        house.run(5100ms);
        REQUIRE(house.has(cold ? FaultId::temp_cold : FaultId::temp_hot));
    }
}

TEST_CASE("temperature TRIP above 60 degrees for 5 s, EMERGENCY from 70 degrees for 2 s")
{
    // SAFE-064
    const auto at = [](Temperature t, Duration time) {
        House house;
        house.safety.temperature.rise = 100_K;  // its own test below
        house.temperature_max = house.temperature_min = 44_degC;
        house.run(1s);
        house.temperature_max = t;
        house.temperature_min = t - 8_K;
        house.step();
        house.run(time);
        return house;
    };
    REQUIRE_FALSE(at(60_degC, 30s).has(FaultId::temp_crit));
    REQUIRE_FALSE(at(Temperature::from_milli(60'001), 4900ms).has(FaultId::temp_crit));
    House house = at(Temperature::from_milli(60'001), 5s);
    REQUIRE(house.has(FaultId::temp_crit, FaultClass::trip));
    // Its cause is gone 3 K below for the hold.
    const auto resettable = [&] { return house.fault(FaultId::temp_crit)->resettable; };
    house.temperature_max = Temperature::from_milli(57'001);
    REQUIRE(house.time_until(resettable, 200s) == 200s);
    house.temperature_max = 57_degC;
    house.step();
    REQUIRE(house.time_until(resettable, 200s) == house.safety.hold + house.safety.reset_absent);
}

TEST_CASE("temperature EMERGENCY from 70 degrees for 2 s")
{
    // SAFE-064
    for (const Temperature t : {Temperature::from_milli(69'999), 70_degC}) {
        House house;
        house.safety.temperature.rise = 100_K;
        house.run(1s);
        house.temperature_max = t;
        house.temperature_min = t - 8_K;
        house.step();
        house.run(1900ms);
        REQUIRE_FALSE(house.has(FaultId::temp_event));
        house.step();
        REQUIRE(house.has(FaultId::temp_event, FaultClass::emergency) == (t == 70_degC));
        if (t == 70_degC) REQUIRE(house.verdict().state == GatewayState::emergency);
    }
}

TEST_CASE("a rise of 5 K within a minute that ends at 45 degrees or more is an emergency; a slower or a cooler one is not")
{
    // SAFE-064
    const auto rises = [](int from_milli, int per_second_milli, Duration time) {
        House house;
        house.temperature_max = house.temperature_min = Temperature::from_milli(from_milli);
        house.run(1s);
        for (int s = 1; s * 1s <= time; ++s) {
            house.temperature_max = house.temperature_min = Temperature::from_milli(from_milli + s * per_second_milli);
            house.run(1s, 500ms);
        }
        return house.has(FaultId::temp_event);
    };
    REQUIRE_FALSE(rises(40'000, 66, 150s));  // 4 K a minute, to 49.9 degrees
    REQUIRE_FALSE(rises(30'000, 84, 60s));   // 5 K, but to 35 degrees
    REQUIRE(rises(42'000, 84, 63s));         // 5 K to 47 degrees, and seen for a while
    REQUIRE_FALSE(rises(42'000, 84, 58s));   // not 5 K yet
    SUBCASE("to the thousandth of a degree, after 2 s, from the very first sample on")
    {
        struct Case {
            int from_milli, to_milli;
        };
        for (const Case c : {Case{40'000, 45'000}, Case{39'999, 44'999}, Case{42'000, 47'000}, Case{42'001, 47'000}}) {
            CAPTURE(c.from_milli);
            House house;
            house.temperature_max = house.temperature_min = Temperature::from_milli(c.from_milli);
            house.step();
            house.temperature_max = Temperature::from_milli(c.from_milli + 1);
            house.run(10s);
            house.temperature_max = Temperature::from_milli(c.to_milli);
            house.step();
            const bool is_one = c.to_milli >= 45'000 && c.to_milli - c.from_milli == 5000;
            REQUIRE(house.time_until([&] { return house.has(FaultId::temp_event); }, 10s) == (is_one ? 2s : 10s));
        }
    }
    SUBCASE("a minute ago still counts, and no longer")
    {
        for (const Duration from : {58s, 59s}) {
            House house;
            house.temperature_max = house.temperature_min = 41_degC;
            house.step();
            house.temperature_max = 42_degC;
            house.run(from - 100ms);
            house.temperature_max = 46_degC;
            house.step();
            house.run(10s);
            REQUIRE(house.has(FaultId::temp_event) == (from == 58s));
        }
    }
    SUBCASE("while it lasts its cause is there, however cool it is")
    {
        House house;
        house.temperature_max = house.temperature_min = 41_degC;
        house.run(1s);
        house.temperature_max = house.temperature_min = 46_degC;
        house.run(5s);
        REQUIRE(house.has(FaultId::temp_event));
        // The last sample of 41 degrees was 5 s ago: 55 s and one look more, then the hold.
        REQUIRE(house.time_until([&] { return house.fault(FaultId::temp_event)->resettable; }, 300s) ==
            55s + 100ms + house.safety.hold + house.safety.reset_absent);
    }
    SUBCASE("three samples must have seen it")
    {
        House house;
        house.temperature_max = house.temperature_min = 41_degC;
        house.run(1s);
        house.temperature_max = 47_degC;
        house.step();
        house.silent.insert(SignalId::temperature_max);
        house.run(5s);
        REQUIRE_FALSE(house.has(FaultId::temp_event));
        house.silent.clear();
        house.step();
        REQUIRE_FALSE(house.has(FaultId::temp_event));
        house.step();
        REQUIRE(house.has(FaultId::temp_event));
    }
    SUBCASE("a noisy sensor overflows no memory and hides no rise")
    {
        House house;
        house.temperature_max = house.temperature_min = 41_degC;
        house.run(1s);
        for (int i = 0; i < 300; ++i) {  // three hundred different, ever higher samples within 30 s
            house.temperature_max = Temperature::from_milli(41'000 + i * 20);
            house.step();
        }
        REQUIRE(house.has(FaultId::temp_event));
    }
    SUBCASE("a sensor that rises in more steps than are remembered, and then far, is seen")
    {
        House house;
        house.temperature_min = 41_degC;
        for (int i = 0; i < 670; ++i) {  // to 41.63 degrees in 6.4 s, and to 42.24 in another minute
            house.temperature_max = Temperature::from_milli(41'000 + (i < 64 ? i * 10 : 630 + i - 63));
            house.step();
        }
        house.temperature_max = Temperature::from_milli(46'900);
        house.run(3s);
        REQUIRE(house.has(FaultId::temp_event));
    }
}

TEST_CASE("temperature spread: warning at 10 K for 60 s, BLOCK at 15 K for 30 s; a missing sensor is no spread")
{
    // SAFE-065
    House house;
    house.temperature_min = 20_degC;
    const auto spread = [&](std::int64_t milli) { house.temperature_max = Temperature::from_milli(20'000 + milli); };
    spread(9999);
    house.run(70s);
    REQUIRE_FALSE(house.has(FaultId::temp_spread));
    spread(10'000);
    house.step();
    house.run(59900ms);
    REQUIRE_FALSE(house.has(FaultId::temp_spread));
    house.step();
    REQUIRE(house.has(FaultId::temp_spread, FaultClass::warn));
    spread(14'999);
    house.run(60s);
    REQUIRE(house.has(FaultId::temp_spread, FaultClass::warn));
    spread(15'000);
    house.step();
    house.run(29900ms);
    REQUIRE(house.has(FaultId::temp_spread, FaultClass::warn));
    house.step();
    REQUIRE(house.has(FaultId::temp_spread, FaultClass::block));
    REQUIRE(house.verdict().charge.is_zero());
    REQUIRE(house.verdict().discharge.is_zero());
    spread(12'001);
    house.run(100s);
    REQUIRE(house.has(FaultId::temp_spread, FaultClass::block));
    spread(12'000);
    house.step();
    REQUIRE(house.time_until([&] { return !house.has(FaultId::temp_spread, FaultClass::block); }, 100s) == 60s);
    REQUIRE(house.has(FaultId::temp_spread, FaultClass::warn));
    spread(8000);
    house.step();
    REQUIRE(house.time_until([&] { return !house.has(FaultId::temp_spread); }, 100s) == 60s);

    House missing;
    missing.temperature_min = 20_degC;
    missing.temperature_max = 36_degC;
    missing.run(20s);
    missing.silent.insert(SignalId::temperature_max);
    missing.run(100s);
    REQUIRE_FALSE(missing.has(FaultId::temp_spread));
    REQUIRE(missing.verdict().charge.is_zero());
    missing.silent.clear();
    missing.run(31s);
    REQUIRE(missing.has(FaultId::temp_spread, FaultClass::block));
}

TEST_CASE("current beyond the configured maximum: BLOCK above 110 % for 10 s, TRIP above 125 % for 2 s, either way")
{
    // SAFE-067
    for (const int sign : {1, -1}) {
        const auto at = [&](std::int64_t milli, Duration time) {
            House house;  // 10 kW at 400 V: 25 A
            house.run(1s);
            house.current = Current::from_milli(sign * milli);
            house.step();
            house.run(time);
            return house;
        };
        REQUIRE_FALSE(at(27'500, 60s).has(FaultId::overcurrent));
        REQUIRE_FALSE(at(27'501, 9900ms).has(FaultId::overcurrent));
        REQUIRE(at(27'501, 10s).has(FaultId::overcurrent, FaultClass::block));
        REQUIRE(at(31'250, 60s).has(FaultId::overcurrent, FaultClass::block));
        REQUIRE_FALSE(at(31'251, 1900ms).has(FaultId::overcurrent));
        REQUIRE(at(31'251, 2s).has(FaultId::overcurrent, FaultClass::trip));
        REQUIRE(at(60'000, 2s)
                    .has(FaultId::overcurrent, FaultClass::trip));  // out of range as a reading, and an overcurrent all the same
        House house = at(27'501, 10s);
        REQUIRE(house.fault(FaultId::overcurrent)->value_milli == sign * 27'501);
        house.current = Current::from_milli(sign * 25'000);
        house.run(60s);
        REQUIRE(house.has(FaultId::overcurrent));
        house.current = Current::from_milli(sign * 24'999);
        house.step();
        REQUIRE(house.time_until([&] { return !house.has(FaultId::overcurrent); }, 60s) == 30s);
    }
}

TEST_CASE("the residual current of an idle inverter is no overcurrent, however small the configured maximum")
{
    House house;
    house.battery.max_charge = house.battery.max_discharge = 0_W;
    house.current = -2_A;
    house.run(60s);
    REQUIRE_FALSE(house.has(FaultId::overcurrent));
    house.current = Current::from_milli(-2001);
    house.step();
    REQUIRE(house.time_until([&] { return house.has(FaultId::overcurrent); }, 60s) == 2s);  // above 125 % of nothing as well
}

TEST_CASE("however small the configured maximum, an overcurrent is over below 1.5 A")
{
    // SAFE-067
    House house;
    house.battery.max_discharge = 400_W;  // 1 A at 400 V
    house.safety.over_current.trip = 1000_pct;
    house.current = Current::from_milli(-2001);
    house.run(11s);
    REQUIRE(house.has(FaultId::overcurrent, FaultClass::block));
    house.current = Current::from_milli(-1500);
    house.run(60s);
    REQUIRE(house.has(FaultId::overcurrent));
    house.current = Current::from_milli(-1499);
    house.step();
    REQUIRE(house.time_until([&] { return !house.has(FaultId::overcurrent); }, 60s) == 30s);
}

TEST_CASE("without a voltage above zero no current is judged by the configured power")
{
    // SAFE-067
    for (const auto volts : {std::optional<Voltage>{}, std::optional{0_V}, std::optional{Voltage::from_milli(1)}}) {
        const SafetyConfig config = default_safety(Chemistry::lfp);
        FaultTable faults;
        CurrentLimits limits;
        Sample<Voltage> voltage;
        voltage.fresh = volts;
        Reading<Current> current{5s};
        for (Instant now{1s}; now < Instant{20s}; now += 1s) {
            current.set(-30_A, now);
            limits.update(current, voltage, 1_kW, Power::from_milli(10), {.config = config, .faults = faults, .now = now});
            faults.settle(now);
        }
        CHECK(faults.faults().empty() == (volts <= 0_V));
    }
}

TEST_CASE("state of charge: a taper and a window for discharging, a window for charging")
{
    // SAFE-069
    House house;
    house.safety.soc.max = 95_pct;
    house.soc = 15_pct;
    house.up();
    REQUIRE(house.discharge() == 10_kW);
    house.soc = Percent::from_milli(12'500);
    house.step();
    REQUIRE(house.discharge() == 5_kW);
    REQUIRE(house.verdict().discharge.by() == Cause::soc);
    REQUIRE(house.has(FaultId::soc_curve, FaultClass::derate));
    house.soc = 11_pct;
    house.step();
    REQUIRE(house.discharge() == 2_kW);
    house.soc = 9_pct;
    house.step();
    REQUIRE(house.verdict().discharge.is_zero());
    house.run(5s);
    REQUIRE(house.has(FaultId::soc_low, FaultClass::block));
    REQUIRE(house.fault(FaultId::soc_low)->direction == Direction::discharge);
    house.soc = 12_pct;
    house.run(100s);
    REQUIRE(house.has(FaultId::soc_low));
    REQUIRE(house.charge() == 10_kW);
    house.soc = 13_pct;
    house.step();
    REQUIRE(house.time_until([&] { return !house.has(FaultId::soc_low); }, 100s) == 30s);
    REQUIRE(house.has(FaultId::soc_curve));
    house.soc = 15_pct;
    house.step();
    REQUIRE(house.time_until([&] { return !house.has(FaultId::soc_curve); }, 100s) == 30s);

    house.soc = Percent::from_milli(94'999);
    house.run(10s);
    REQUIRE_FALSE(house.has(FaultId::soc_high));
    house.soc = 95_pct;
    house.step();
    house.run(4900ms);
    REQUIRE_FALSE(house.has(FaultId::soc_high));
    house.step();
    REQUIRE(house.has(FaultId::soc_high, FaultClass::block));
    REQUIRE(house.verdict().charge.is_zero());
    house.soc = Percent::from_milli(93'001);
    house.run(100s);
    REQUIRE(house.has(FaultId::soc_high));
    house.soc = 93_pct;
    house.step();
    REQUIRE(house.time_until([&] { return !house.has(FaultId::soc_high); }, 100s) == 30s);
}

TEST_CASE("without a taper the window acts alone, and with a narrow one both")
{
    // SAFE-069
    House house;
    house.safety.soc.taper = 0_pct;
    house.soc = Percent::from_milli(10'001);
    house.up();
    REQUIRE(house.discharge() == 10_kW);
    house.soc = 10_pct;
    house.step();
    REQUIRE(house.discharge() == 10_kW);
    REQUIRE_FALSE(house.has(FaultId::soc_curve));
    REQUIRE(house.time_until([&] { return house.has(FaultId::soc_low); }, 60s) == 5s);
    REQUIRE(house.discharge() == 0_W);
    House narrow;
    narrow.safety.soc.taper = 1_pct;
    narrow.soc = Percent::from_milli(10'500);
    narrow.up();
    REQUIRE(narrow.discharge() == 5_kW);
}

TEST_CASE("insulation: a warning below 500, BLOCK below 100 ohm per volt while open; off is not good")
{
    // SAFE-071
    const auto make = [](bool closed, Insulation value, bool measured, bool block_while_closed = false) {
        House house;
        house.safety.insulation.block_while_closed = block_while_closed;
        house.contactor = closed ? ContactorFeedback::closed : ContactorFeedback::open;
        house.also = [&house, value, measured] {
            house.state.insulation.set(value, house.now);
            house.state.insulation_measured.set(measured, house.now);
        };
        house.step();
        house.run(9900ms);
        REQUIRE_FALSE(house.has(FaultId::insulation));
        house.step();
        const bool blocks = house.has(FaultId::insulation, FaultClass::block);
        house.run(19900ms);
        REQUIRE_FALSE(house.has(FaultId::insulation, FaultClass::warn));
        house.step();
        return std::pair{blocks, house.has(FaultId::insulation)};
    };
    REQUIRE(make(false, 500_ohm_per_V, true) == std::pair{false, false});
    REQUIRE(make(false, 499_ohm_per_V, true) == std::pair{false, true});
    REQUIRE(make(false, 100_ohm_per_V, true) == std::pair{false, true});
    REQUIRE(make(false, 99_ohm_per_V, true) == std::pair{true, true});
    REQUIRE(make(false, 0_ohm_per_V, false) == std::pair{false, false});
    REQUIRE(make(true, 3_ohm_per_V, true) == std::pair{false, true});
    REQUIRE(make(true, 3_ohm_per_V, true, true) == std::pair{true, true});
}

TEST_CASE("insulation blocks nothing while nobody knows whether the contactors are closed, and warns all the same")
{
    // SAFE-071
    for (const ContactorFeedback feedback : {ContactorFeedback::unknown, ContactorFeedback::open}) {
        House house;
        house.contactor = feedback;
        house.also = [&house] { house.state.insulation.set(99_ohm_per_V, house.now); };
        house.run(31s);
        REQUIRE(house.has(FaultId::insulation));
        REQUIRE(house.has(FaultId::insulation, FaultClass::block) == (feedback == ContactorFeedback::open));
    }
}

TEST_CASE("insulation comes back 20 % above the threshold after 60 s, and a closed contactor ends the BLOCK")
{
    // SAFE-071
    House house;
    Insulation value = 99_ohm_per_V;
    house.contactor = ContactorFeedback::open;
    house.also = [&] { house.state.insulation.set(value, house.now); };
    house.run(11s);
    REQUIRE(house.has(FaultId::insulation, FaultClass::block));
    value = 119_ohm_per_V;
    house.run(100s);
    REQUIRE(house.has(FaultId::insulation, FaultClass::block));
    value = 120_ohm_per_V;
    house.step();
    REQUIRE(house.time_until([&] { return house.has(FaultId::insulation, FaultClass::warn); }, 100s) == 60s);
    value = 600_ohm_per_V;
    house.step();
    REQUIRE(house.time_until([&] { return !house.has(FaultId::insulation); }, 100s) == 60s);
    value = 99_ohm_per_V;
    house.run(11s);
    REQUIRE(house.has(FaultId::insulation, FaultClass::block));
    house.contactor = ContactorFeedback::closed;
    house.step();
    REQUIRE_FALSE(house.has(FaultId::insulation, FaultClass::block));
}

TEST_CASE("a battery in poor health is blocked, one that does not tell is not")
{
    // SAFE-040
    House house;
    house.up();
    REQUIRE_FALSE(house.has(FaultId::soh_low));
    Percent soh = 25_pct;
    house.also = [&] { house.state.soh.set(soh, house.now); };
    house.run(1s);
    REQUIRE_FALSE(house.has(FaultId::soh_low));
    soh = Percent::from_milli(24'999);
    house.run(200ms);
    REQUIRE(house.has(FaultId::soh_low, FaultClass::block));
    REQUIRE(house.verdict().charge.is_zero());
    soh = Percent::from_milli(26'999);
    house.run(60s);
    REQUIRE(house.has(FaultId::soh_low));
    soh = 27_pct;
    house.step();
    REQUIRE(house.time_until([&] { return !house.has(FaultId::soh_low); }, 100s) == 30s);
}

TEST_CASE("what the battery reports acts as its driver maps it, and what needs a person is latched")
{
    // SAFE-040
    House house;
    house.up();
    house.state.reported.push_back({.level = FaultClass::warn, .direction = Direction::none, .code = {"P1A3622"}});
    house.step();
    REQUIRE(house.has(FaultId::bms_fault, FaultClass::warn));
    REQUIRE(house.charge() == 10_kW);
    house.state.reported.push_back({.level = FaultClass::block, .direction = Direction::charge, .code = {"P1A3522"}});
    house.step();
    REQUIRE(house.fault(FaultId::bms_fault, "P1A3522")->level == FaultClass::block);
    REQUIRE(house.verdict().charge.is_zero());
    REQUIRE(house.verdict().charge.by() == Cause::fault);
    REQUIRE(house.discharge() == 10_kW);
    house.state.reported.clear();
    house.step();
    REQUIRE_FALSE(house.has(FaultId::bms_fault, "P1A3622"));
    REQUIRE(house.time_until([&] { return !house.has(FaultId::bms_fault); }, 60s) == 30s);
    house.state.reported.push_back(
        {.level = FaultClass::block, .direction = Direction::both, .code = {"P1A4100"}, .never_close_again = true});
    house.step();
    house.state.reported.clear();
    house.run(600s, 1s);
    REQUIRE(house.fault(FaultId::bms_fault, "P1A4100")->level == FaultClass::trip);
    REQUIRE(house.verdict().state == GatewayState::trip);
}

TEST_CASE("a permission that the battery takes away blocks its direction at once and for five seconds more")
{
    House house;
    bool charge = true, discharge = true;
    house.also = [&] {
        house.state.charge_allowed.set(charge, house.now);
        house.state.discharge_allowed.set(discharge, house.now);
    };
    house.up();
    charge = false;
    house.step();
    REQUIRE(house.verdict().charge.is_zero());
    REQUIRE(house.verdict().charge.by() == Cause::battery);
    REQUIRE(house.discharge() == 10_kW);
    REQUIRE(house.has(FaultId::bms_denies, FaultClass::block));
    charge = true;
    discharge = false;
    house.step();
    REQUIRE(house.verdict().discharge.is_zero());
    discharge = true;
    house.step();
    REQUIRE(house.time_until([&] { return !house.has(FaultId::bms_denies); }, 60s) == 5s);
}

TEST_CASE("a curve without points grants nothing, and is no fault of the battery")
{
    // SAFE-075
    for (const bool cells : {true, false}) {
        CAPTURE(cells);
        House house;
        auto& s = house.safety;
        (cells ? s.cell.charge_curve : s.temperature.charge_curve) = {};
        house.up();
        CHECK(house.charge() == 0_W);
        CHECK(house.verdict().charge.by() == (cells ? Cause::cell_voltage : Cause::temperature));
        CHECK(house.discharge() == 10_kW);
        CHECK_FALSE(house.has(FaultId::cell_high_curve));
        CHECK_FALSE(house.has(FaultId::temp_cold));
        CHECK_FALSE(house.has(FaultId::temp_hot));
        House other;
        (cells ? other.safety.cell.discharge_curve : other.safety.temperature.discharge_curve) = {};
        other.up();
        CHECK(other.charge() == 10_kW);
        CHECK(other.discharge() == 0_W);
        CHECK_FALSE(other.has(FaultId::cell_low_curve));
        CHECK_FALSE(other.has(FaultId::temp_cold));
    }
}

TEST_CASE("temperature limits are trusted to a battery that states limits, not to one that states none")
{
    // SAFE-072
    const auto charge_at_zero = [](bool trust, bool states) {
        House house;
        house.safety.temperature.trust_battery_limits = trust;
        house.profile.states_limits = states;
        house.temperature_min = house.temperature_max = Temperature::from_milli(-1000);
        house.up();
        return house.charge();
    };
    CHECK(charge_at_zero(true, true) > 0_W);
    CHECK(charge_at_zero(true, false) == 0_W);
    CHECK(charge_at_zero(false, true) == 0_W);
}

TEST_CASE("a reduction by temperature names the directions that are reduced")
{
    // SAFE-072
    const auto direction = [](Curve charge, Curve discharge) {
        House house;
        house.safety.temperature.charge_curve = charge;
        house.safety.temperature.discharge_curve = discharge;
        house.up();
        const ActiveFault* f = house.fault(FaultId::temp_curve);
        return f == nullptr ? Direction::none : f->direction;
    };
    const Curve all = make_curve({{-20'000, 1000}, {60'000, 1000}}), half = make_curve({{-20'000, 500}, {60'000, 500}});
    CHECK(direction(all, all) == Direction::none);
    CHECK(direction(half, all) == Direction::charge);
    CHECK(direction(all, half) == Direction::discharge);
    CHECK(direction(half, half) == Direction::both);
}

TEST_CASE("a spread that was there is not over because a sensor is gone; what is shown then is the limit")
{
    // SAFE-065, SAFE-041
    House house;
    house.temperature_min = 20_degC;
    house.temperature_max = 36_degC;
    house.run(35s);
    REQUIRE(house.has(FaultId::temp_spread, FaultClass::block));
    CHECK(house.fault(FaultId::temp_spread)->value_milli == 16'000);
    CHECK(house.fault(FaultId::temp_spread)->limit_milli == 15'000);
    CHECK(house.fault(FaultId::temp_spread)->unit == Unit::kelvin);
    house.silent.insert(SignalId::temperature_max);
    house.run(200s);
    CHECK(house.has(FaultId::temp_spread, FaultClass::block));
    CHECK(house.fault(FaultId::temp_spread)->value_milli == 15'000);
}
