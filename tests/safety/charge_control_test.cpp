// Packs whose battery states no limits: configured ceilings, curves and, where switched on, bands of the state of charge. The
// tables were computed apart from this program, for 50 A charging and 60 A discharging, from published rules for LFP packs.
#include "safety/curves.hpp"
#include "tests/safety/house.hpp"

#include <doctest/doctest.h>

#include <array>
#include <cmath>

using namespace batgw;
using batgw::test::House;

namespace {

constexpr Current charge_max = 50_A, discharge_max = 60_A;

Percent percent(double value) { return Percent::from_milli(std::llround(value * 1000)); }
Current amperes(const SocBand& band, Current maximum)
{
    const Current current = share(band.fraction, maximum);
    return band.most ? std::min(current, *band.most) : current;
}
// x in thousandths, y in per mille of the maximum.
Current amperes(const Curve& curve, double x, Current maximum)
{
    return share(fraction_held(curve, std::llround(x * 1000)), maximum);
}
bool close_to(Current is, double wanted) { return std::abs(static_cast<double>(is.milli()) - wanted * 1000) <= 1.0; }

// The pack of the judge's tests, as one that states nothing.
struct Silent : House {
    explicit Silent(bool bands = false)
    {
        profile.states_limits = false;
        silent = {SignalId::charge_limit, SignalId::discharge_limit};
        safety.soc.bands = bands;
    }
};

}  // namespace

TEST_CASE("bands of the state of charge: the closed table, the more careful side at every boundary")
{
    struct Row {
        double soc, charge, discharge;
    };
    constexpr std::array rows{Row{0, 50, 5}, Row{10, 50, 5}, Row{19.9, 50, 5}, Row{20, 50, 5}, Row{20.1, 50, 15}, Row{25, 50, 15},
        Row{30, 50, 15}, Row{30.1, 50, 30}, Row{35, 50, 30}, Row{35.1, 50, 60}, Row{50, 50, 60}, Row{90, 50, 60}, Row{91, 25, 60},
        Row{91.1, 25, 60}, Row{94, 25, 60}, Row{95, 4, 60}, Row{95.1, 4, 60}, Row{96, 4, 60}, Row{97, 4, 60}, Row{97.5, 4, 60},
        Row{98, 1, 60}, Row{98.1, 1, 60}, Row{99, 1, 60}, Row{100, 1, 60}};
    for (const Row& row : rows) {
        CAPTURE(row.soc);
        CHECK(close_to(amperes(charge_band(percent(row.soc)), charge_max), row.charge));
        CHECK(close_to(amperes(discharge_band(percent(row.soc)), discharge_max), row.discharge));
    }
    // Fixed currents are never above the maximum.
    CHECK(amperes(charge_band(95_pct), 3_A) == 3_A);
    CHECK(amperes(charge_band(99_pct), 500_mA) == 500_mA);
    CHECK(amperes(discharge_band(5_pct), 4_A) == 4_A);
    // A fuller pack never charges faster, an emptier one never gives more.
    for (int p = 1; p <= 1000; ++p) {
        const Percent now = Percent::from_milli(p * 100), before = Percent::from_milli((p - 1) * 100);
        CHECK(amperes(charge_band(now), charge_max) <= amperes(charge_band(before), charge_max));
        CHECK(amperes(discharge_band(now), discharge_max) >= amperes(discharge_band(before), discharge_max));
    }
}

TEST_CASE("curves of published charge control, point by point and between")
{
    // SAFE-073: the same interpolation with other points than ours.
    const Curve high = make_curve({{3375, 1000}, {3400, 250}, {3425, 50}, {3450, 5}, {3500, 0}});
    const Curve low = make_curve({{2800, 0}, {2900, 5}, {3000, 50}, {3100, 250}, {3190, 1000}});
    const Curve warm =
        make_curve({{0, 0}, {2000, 250}, {5000, 500}, {10'000, 1000}, {40'000, 1000}, {45'000, 500}, {50'000, 250}, {55'000, 0}});
    const Curve warm_out = make_curve(
        {{-10'000, 0}, {0, 250}, {5000, 500}, {10'000, 1000}, {40'000, 1000}, {45'000, 500}, {50'000, 250}, {55'000, 0}});
    const Curve mosfet = make_curve({{70'000, 1000}, {80'000, 250}, {90'000, 0}});
    const Curve full = make_curve({{85'000, 1000}, {90'000, 500}, {95'000, 200}, {98'000, 100}});
    const Curve empty = make_curve({{5000, 100}, {10'000, 200}, {15'000, 500}, {20'000, 1000}});
    struct Row {
        double x, amperes;
    };
    const auto check = [](const Curve& curve, Current maximum, std::initializer_list<Row> rows) {
        for (const Row& row : rows) {
            CAPTURE(row.x);
            CHECK(close_to(amperes(curve, row.x, maximum), row.amperes));
        }
    };
    check(high, charge_max,
        {{3.3, 50}, {3.375, 50}, {3.38, 42.5}, {3.39, 27.5}, {3.4, 12.5}, {3.412, 7.7}, {3.413, 7.3}, {3.425, 2.5}, {3.44, 1.15},
            {3.45, 0.25}, {3.475, 0.125}, {3.49, 0.05}, {3.5, 0}, {3.55, 0}});
    check(low, discharge_max,
        {{2.7, 0}, {2.8, 0}, {2.85, 0.15}, {2.9, 0.3}, {2.95, 1.65}, {3, 3}, {3.05, 9}, {3.1, 15}, {3.15, 40}, {3.19, 60},
            {3.25, 60}});
    check(warm, charge_max,
        {{-15, 0}, {-10, 0}, {-5, 0}, {0, 0}, {1, 6.25}, {2, 12.5}, {3.5, 18.75}, {5, 25}, {7.5, 37.5}, {10, 50}, {25, 50},
            {40, 50}, {42.5, 37.5}, {45, 25}, {47, 20}, {50, 12.5}, {52.5, 6.25}, {55, 0}, {60, 0}});
    check(warm_out, discharge_max,
        {{-15, 0}, {-10, 0}, {-5, 7.5}, {0, 15}, {1, 18}, {2, 21}, {3.5, 25.5}, {5, 30}, {7.5, 45}, {10, 60}, {25, 60}, {40, 60},
            {42.5, 45}, {45, 30}, {47, 24}, {50, 15}, {52.5, 7.5}, {55, 0}, {60, 0}});
    check(mosfet, charge_max, {{60, 50}, {70, 50}, {75, 31.25}, {80, 12.5}, {85, 6.25}, {90, 0}, {95, 0}});
    check(mosfet, discharge_max, {{60, 60}, {70, 60}, {75, 37.5}, {80, 15}, {85, 7.5}, {90, 0}, {95, 0}});
    check(full, charge_max,
        {{0, 50}, {50, 50}, {84, 50}, {85, 50}, {87, 40}, {90, 25}, {93, 16}, {95, 10}, {96, 8.333}, {98, 5}, {100, 5}});
    check(empty, discharge_max,
        {{0, 6}, {3, 6}, {5, 6}, {7, 8.4}, {10, 12}, {12, 19.2}, {15, 30}, {18, 48}, {20, 60}, {50, 60}, {100, 60}});
}

TEST_CASE("without a battery's limits the ceilings are those of the configuration")
{
    // SAFE-070
    Silent house;
    house.battery.max_charge = 4_kW;
    house.battery.max_discharge = 6_kW;
    house.run(60s);
    CHECK(house.charge() == 4_kW);
    CHECK(house.discharge() == 6_kW);
    CHECK_FALSE(house.has(FaultId::sig_stale));
    // And the state of charge takes nothing away, unless asked to.
    house.soc = 96_pct;
    house.run(5s);
    CHECK(house.charge() == 4_kW);
    CHECK_FALSE(house.has(FaultId::soc_curve));
}

TEST_CASE("bands, switched on: fixed currents at the pack's voltage, at once when they fall")
{
    Silent house{true};
    house.up();
    REQUIRE(house.charge() == 10_kW);
    house.soc = 91_pct;
    house.step();
    CHECK(house.charge() == 5_kW);
    CHECK(house.discharge() == 10_kW);
    REQUIRE(house.has(FaultId::soc_curve));
    CHECK(house.fault(FaultId::soc_curve)->direction == Direction::charge);
    CHECK(house.fault(FaultId::soc_curve)->limit_milli == 91'000);
    house.soc = 95_pct;
    house.step();
    CHECK(house.charge() == 1540_W);  // 4 A at 385 V: the lower of measured and nominal
    CHECK(house.verdict().charge.current() <= 4_A);
    CHECK(house.verdict().charge.by() == Cause::soc);
    house.soc = 98_pct;
    house.step();
    CHECK(house.charge() == 385_W);
    house.soc = 35_pct;
    house.run(40s);
    CHECK(house.discharge() == 5_kW);
    CHECK(house.fault(FaultId::soc_curve)->direction == Direction::discharge);
    CHECK(house.fault(FaultId::soc_curve)->limit_milli == 35'000);
    house.soc = 30_pct;
    house.step();
    CHECK(house.discharge() == 2500_W);
    house.soc = 20_pct;
    house.step();
    CHECK(house.discharge() == 1925_W);
    // Below the window's end the taper and the block go on as always.
    house.soc = 12_pct;
    house.step();
    CHECK(house.discharge() == 1925_W);
    house.soc = Percent::from_milli(10'500);
    house.step();
    CHECK(house.discharge() == 1_kW);
}

TEST_CASE("bands, switched on: a taper that begins above them is where the reduction begins")
{
    Silent house{true};
    house.safety.soc.min = 40_pct;
    house.soc = 44_pct;
    house.up();
    CHECK(house.discharge() == 8_kW);
    CHECK(house.fault(FaultId::soc_curve)->limit_milli == 45'000);
}

TEST_CASE("bands, switched on: an unknown state of charge gives nothing")
{
    for (const bool bands : {true, false}) {
        Silent house{bands};
        house.safety.soc.required = false;
        house.up();
        house.silent.insert(SignalId::soc);
        house.run(20s);
        CHECK((house.charge() == 0_W) == bands);
        CHECK((house.discharge() == 0_W) == bands);
    }
}

TEST_CASE("a fixed current needs a voltage")
{
    // SAFE-076
    Silent house{true};
    house.up();
    house.soc = 95_pct;
    house.silent.insert(SignalId::voltage);
    house.run(5s);
    CHECK(house.charge() == 0_W);
}

TEST_CASE("a limit made of curves leaves zero only for something worth it")
{
    // 1.5 % of 10 kW
    Silent house;
    house.up();
    house.cell_max = 3600_mV;
    house.run(10s);
    REQUIRE(house.charge() == 0_W);
    house.cell_max = 3586_mV;  // 1.4 %
    house.run(120s);
    house.cell_max = 3519_mV;
    house.run(60s);
    CHECK(house.charge() > 1_kW);
    // Down to less than that it falls without a step, and stays.
    house.cell_max = 3586_mV;
    house.run(30s);
    CHECK(house.charge() == 140_W);
    house.cell_max = 3600_mV;
    house.run(200ms);
    CHECK(house.charge() == 0_W);
    house.cell_max = 3586_mV;  // the curve's own zero was no block yet
    house.run(20s);
    CHECK(house.charge() == 0_W);
    house.cell_max = 3584_mV;  // 1.6 %
    house.run(20s);
    CHECK(house.charge() == 160_W);
    // A battery that states limits is believed at any size.
    House stating;
    stating.up();
    stating.charge_limit = 0_W;
    stating.run(5s);
    stating.charge_limit = 100_W;
    stating.run(10s);
    CHECK(stating.charge() == 100_W);
}

TEST_CASE("what is worth leaving zero for is a share of the direction's own maximum")
{
    // 60 W of charging, 120 W of discharging
    Silent full, empty;
    for (Silent* house : {&full, &empty}) {
        house->battery.max_charge = 4_kW;
        house->battery.max_discharge = 8_kW;
    }
    full.cell_max = full.cell_min = 3580_mV;  // 2 %
    full.up();
    CHECK(full.charge() == 80_W);
    empty.cell_max = empty.cell_min = 2810_mV;  // 1 %
    empty.up();
    CHECK(empty.discharge() == 0_W);
    empty.cell_max = empty.cell_min = 2815_mV;  // 1.5 %
    empty.run(20s);
    CHECK(empty.discharge() == 120_W);
}

TEST_CASE("set points and power wait until the battery itself has told its cells")
{
    // SAFE-141, SAFE-250
    Silent house;
    house.profile.count_from_battery = true;
    house.facts.cells.reset();
    house.run(60s);
    CHECK(house.charge() == 0_W);
    CHECK(house.discharge() == 0_W);
    CHECK_FALSE(house.verdict().voltage_max);
    CHECK_FALSE(house.verdict().voltage_min);
    CHECK(house.verdict().waiting == Waiting::battery_identity);
    house.facts.cells = 120;
    house.run(60s);
    CHECK(house.charge() == 10_kW);
    CHECK(house.verdict().voltage_max == 420_V);
}
