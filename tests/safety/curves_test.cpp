#include "safety/curves.hpp"

#include "model/chemistry.hpp"

#include <doctest/doctest.h>

#include <utility>
#include <vector>

using namespace batgw;

namespace {

// x in thousandths, y in per mille.
using Points = std::vector<std::pair<int, int>>;

void check_points(const Curve& curve, const Points& points, Percent (*fraction)(const Curve&, std::int64_t))
{
    for (std::size_t i = 0; i < points.size(); ++i) {
        const int x = points[i].first, y = points[i].second;
        CAPTURE(x);
        REQUIRE(fraction(curve, x).milli() == y * 100);
        if (i == 0) continue;
        const auto [x0, y0] = points[i - 1];
        REQUIRE((x + x0) % 2 == 0);
        REQUIRE(fraction(curve, (x + x0) / 2).milli() == (y + y0) * 100 / 2);
    }
}

void check_monotonic(const Curve& curve, int from, int to, bool rising, Percent (*fraction)(const Curve&, std::int64_t))
{
    for (int x = from; x < to; ++x) {
        CAPTURE(x);
        const Percent here = fraction(curve, x), next = fraction(curve, x + 1);
        REQUIRE((rising ? here <= next : here >= next));
        REQUIRE(here >= 0_pct);
        REQUIRE(here <= 100_pct);
    }
}

}  // namespace

TEST_CASE("temperature curves: every breakpoint, every midpoint, nothing outside")
{
    // SAFE-072
    SafetyConfig::TemperatureRules t;
    set_temperature_curves(t);
    check_points(t.charge_curve, {{0, 0}, {5000, 200}, {10'000, 500}, {15'000, 1000}, {40'000, 1000}, {45'000, 500}, {50'000, 0}},
        fraction_outside_zero);
    check_points(t.discharge_curve,
        {{-20'000, 0}, {-10'000, 250}, {0, 600}, {10'000, 1000}, {45'000, 1000}, {50'000, 500}, {55'000, 0}},
        fraction_outside_zero);
    for (const auto& curve : {t.charge_curve, t.discharge_curve})
        for (const int x : {-300'000, -20'001, 55'001, 500'000}) REQUIRE(fraction_outside_zero(curve, x) == 0_pct);
    REQUIRE(low_zero(t.charge_curve) == 0);
    REQUIRE(high_zero(t.charge_curve) == 50'000);
    REQUIRE(low_zero(t.discharge_curve) == -20'000);
    REQUIRE(high_zero(t.discharge_curve) == 55'000);
}

TEST_CASE("a curve that does not end at zero becomes zero beyond its end")
{
    const Curve curve = make_curve({{0, 0}, {10'000, 0}, {20'000, 1000}, {40'000, 300}});
    REQUIRE(fraction_outside_zero(curve, 40'000) == 30_pct);
    REQUIRE(fraction_outside_zero(curve, 40'001) == 0_pct);
    REQUIRE(low_zero(curve) == 10'000);
    REQUIRE(high_zero(curve) == 40'000);
}

TEST_CASE("cell curves of both chemistries: breakpoints, midpoints, monotonic at every millivolt")
{
    // SAFE-073
    const auto lfp = cell_rules(Chemistry::lfp), nmc = cell_rules(Chemistry::nmc);
    check_points(lfp.charge_curve, {{3450, 1000}, {3500, 250}, {3550, 50}, {3600, 0}}, fraction_held);
    check_points(lfp.discharge_curve, {{2800, 0}, {2900, 100}, {3000, 500}, {3100, 1000}}, fraction_held);
    check_points(nmc.charge_curve, {{4100, 1000}, {4140, 250}, {4180, 0}}, fraction_held);
    check_points(nmc.discharge_curve, {{3000, 0}, {3150, 500}, {3300, 1000}}, fraction_held);
    for (const auto& rules : {lfp, nmc}) {
        check_monotonic(rules.charge_curve, 0, 5000, false, fraction_held);
        check_monotonic(rules.discharge_curve, 0, 5000, true, fraction_held);
    }
    REQUIRE(fraction_held(lfp.charge_curve, 0) == 100_pct);
    REQUIRE(fraction_held(lfp.charge_curve, 5000) == 0_pct);
    REQUIRE(fraction_held(lfp.discharge_curve, 5000) == 100_pct);
    REQUIRE(fraction_held(lfp.discharge_curve, 0) == 0_pct);
}

TEST_CASE("between two points the fraction is rounded down, rising and falling")
{
    const Curve rising = make_curve({{0, 0}, {3, 1}}), falling = make_curve({{0, 1}, {3, 0}});
    REQUIRE(fraction_held(rising, 1).milli() == 33);
    REQUIRE(fraction_held(rising, 2).milli() == 66);
    REQUIRE(fraction_held(falling, 1).milli() == 66);
    REQUIRE(fraction_held(falling, 2).milli() == 33);
}

TEST_CASE("a curve needs two points, strictly increasing x and fractions within one; what is none grants nothing")
{
    // SAFE-075
    REQUIRE(is_curve(make_curve({{0, 0}, {1, 1000}})));
    const std::vector<Curve> none{Curve{}, make_curve({{0, 1000}}), make_curve({{0, 0}, {0, 1000}}),
        make_curve({{1, 0}, {0, 1000}}), make_curve({{0, 0}, {1, 1001}}), make_curve({{0, -1}, {1, 1000}})};
    for (const Curve& curve : none) {
        REQUIRE_FALSE(is_curve(curve));
        REQUIRE(fraction_held(curve, 0) == 0_pct);
        REQUIRE(fraction_outside_zero(curve, 0) == 0_pct);
    }
    REQUIRE(stretched(Curve{}, coldest, hottest).empty());
}

TEST_CASE("the default curves are zero at the BLOCK threshold of their quantity")
{
    // SAFE-075
    for (const Chemistry c : {Chemistry::lfp, Chemistry::nmc}) {
        const auto rules = cell_rules(c);
        REQUIRE(is_curve(rules.charge_curve));
        REQUIRE(is_curve(rules.discharge_curve));
        REQUIRE(fraction_held(rules.charge_curve, rules.block_high.milli()) == 0_pct);
        REQUIRE(fraction_held(rules.discharge_curve, rules.block_low.milli()) == 0_pct);
    }
}

TEST_CASE("trusting a battery's own limits moves the zero points of its temperature curves to the hard bounds")
{
    // SAFE-072
    SafetyConfig::TemperatureRules t;
    set_temperature_curves(t);
    const Curve curve = stretched(t.charge_curve, coldest, hottest);
    REQUIRE(fraction_outside_zero(curve, -30'000) == 0_pct);
    REQUIRE(fraction_outside_zero(curve, 0) > 0_pct);
    REQUIRE(fraction_outside_zero(curve, 5000) == 20_pct);
    REQUIRE(fraction_outside_zero(curve, 50'000) > 0_pct);
    REQUIRE(fraction_outside_zero(curve, 65'000) == 0_pct);
    // An end that is not zero stays where it is.
    const Curve open = stretched(make_curve({{0, 500}, {10'000, 1000}}), coldest, hottest);
    REQUIRE(fraction_outside_zero(open, -1) == 0_pct);
    REQUIRE(fraction_outside_zero(open, 10'001) == 0_pct);
}

TEST_CASE("the ends of a curve are zero only where it says so: half a percent is something")
{
    // SAFE-072
    const Curve nearly = make_curve({{-40'000, 5}, {10'000, 1000}, {70'000, 5}});
    REQUIRE(low_zero(nearly) == -40'000);
    REQUIRE(high_zero(nearly) == 70'000);
    const Curve kept = stretched(nearly, coldest, hottest);
    REQUIRE(kept[0].x_milli == -40'000);
    REQUIRE(kept[2].x_milli == 70'000);
    const Curve inside = stretched(make_curve({{0, 5}, {10'000, 1000}, {50'000, 5}}), coldest, hottest);
    REQUIRE(inside[0].x_milli == 0);
    REQUIRE(inside[2].x_milli == 50'000);
    // Zero points beyond the hard bounds stay where they are.
    const Curve wide = stretched(make_curve({{-40'000, 0}, {10'000, 1000}, {90'000, 0}}), coldest, hottest);
    REQUIRE(wide[0].x_milli == -40'000);
    REQUIRE(wide[2].x_milli == 90'000);
    // From outside the last that is zero, and the first that is something ends the search.
    const Curve twice = make_curve({{0, 0}, {10, 0}, {20, 5}, {30, 0}, {40, 0}});
    REQUIRE(low_zero(twice) == 10);
    REQUIRE(high_zero(twice) == 30);
    const Curve nothing = make_curve({{0, 0}, {10, 0}});
    REQUIRE(low_zero(nothing) == 10);
    REQUIRE(high_zero(nothing) == 0);
}

TEST_CASE("between two points that need no curve the ends are held")
{
    const CurvePoint low{10, 20_pct}, high{20, 80_pct};
    REQUIRE(fraction_between(low, high, 9) == 20_pct);
    REQUIRE(fraction_between(low, high, 10) == 20_pct);
    REQUIRE(fraction_between(low, high, 15) == 50_pct);
    REQUIRE(fraction_between(low, high, 20) == 80_pct);
    REQUIRE(fraction_between(low, high, 21) == 80_pct);
    REQUIRE(fraction_between({10, 80_pct}, {20, 80_pct}, 15) == 80_pct);
}
