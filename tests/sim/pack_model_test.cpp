#include "sim/pack_model.hpp"

#include <doctest/doctest.h>

#include <cmath>

using namespace batgw::sim;

TEST_CASE("rest voltage follows the published points and is steep beyond them")
{
    CHECK(lfp_rest_voltage(1.0) == doctest::Approx(3.413));
    CHECK(lfp_rest_voltage(0.55) == doctest::Approx(3.278));
    CHECK(lfp_rest_voltage(0.0) == doctest::Approx(3.016));
    CHECK(lfp_rest_voltage(0.64) == doctest::Approx((3.278 + 3.305) / 2));
    CHECK(lfp_rest_voltage(1.01) == doctest::Approx(3.650));
    CHECK(lfp_rest_voltage(9.0) == doctest::Approx(4.1));
    CHECK(lfp_rest_voltage(-9.0) == doctest::Approx(2.0));
    CHECK(lfp_rest_voltage(std::nan("")) == doctest::Approx(2.0));
    double before = 0;
    for (double soc = -0.2; soc < 1.1; soc += 0.001) {
        CHECK(lfp_rest_voltage(soc) >= before);
        before = lfp_rest_voltage(soc);
    }
}

TEST_CASE("an hour at a tenth of its capacity moves the charge by a tenth and counts it")
{
    PackModel p{{.capacity_ah = 150, .soc = 0.5}};
    const double in = p.charged_ah(), out = p.discharged_ah(), kwh = p.charged_kwh();
    for (int i = 0; i < 3600; ++i) p.advance(1.0, 15.0);
    CHECK(p.soc() == doctest::Approx(0.6));
    CHECK(p.charged_ah() - in == doctest::Approx(15.0));
    CHECK(p.charged_kwh() - kwh == doctest::Approx(15.0 * 0.415).epsilon(0.02));
    for (int i = 0; i < 3600; ++i) p.advance(1.0, -30.0);
    CHECK(p.soc() == doctest::Approx(0.4));
    CHECK(p.discharged_ah() - out == doctest::Approx(30.0));
}

TEST_CASE("charging lifts the voltage, discharging lowers it, by the resistance")
{
    PackModel p{{.soc = 0.5}};
    p.advance(0.001, 0.0);
    const double rest = p.pack_voltage();
    p.advance(0.001, 20.0);
    CHECK(p.pack_voltage() - rest == doctest::Approx(20 * 126 * 0.0006).epsilon(0.05));
    p.advance(0.001, -20.0);
    CHECK(rest - p.pack_voltage() == doctest::Approx(20 * 126 * 0.0006).epsilon(0.05));
    double sum = 0;
    for (unsigned i = 0; i < p.cells(); ++i) sum += p.cell_voltage(i);
    CHECK(sum == doctest::Approx(p.pack_voltage()));
}

TEST_CASE("cells differ a little, drift apart slowly, and the same seed gives the same pack")
{
    const auto spread = [](const PackModel& p) {
        double low = 9, high = 0;
        for (unsigned i = 0; i < p.cells(); ++i) {
            low = std::min(low, p.cell_voltage(i));
            high = std::max(high, p.cell_voltage(i));
        }
        return high - low;
    };
    PackModel a{{.soc = 0.05, .seed = 7}}, b{{.soc = 0.05, .seed = 7}}, c{{.soc = 0.05, .seed = 8}};
    const double first = spread(a);
    CHECK(first > 0.0005);
    CHECK(first < 0.05);
    for (int i = 0; i < 5 * 86400; i += 60)
        for (PackModel* p : {&a, &b, &c}) p->advance(60.0, 0.0);
    CHECK(spread(a) > first);
    CHECK(a.cell_voltage(17) == b.cell_voltage(17));
    CHECK(a.cell_voltage(17) != c.cell_voltage(17));
}

TEST_CASE("a full pack rises steeply, an empty one falls")
{
    PackModel p{{.soc = 0.995}};
    for (int i = 0; i < 3600; ++i) p.advance(1.0, 5.0);
    CHECK(p.pack_voltage() / p.cells() > 3.65);
    p.set_soc(0.01);
    for (int i = 0; i < 3600; ++i) p.advance(1.0, -5.0);
    CHECK(p.pack_voltage() / p.cells() < 2.9);
}

TEST_CASE("current warms the pack, time cools it")
{
    PackModel p{{.temperature_c = 20, .ambient_c = 20}};
    for (int i = 0; i < 3600; ++i) p.advance(1.0, 100.0);
    CHECK(p.temperature(0) + p.temperature(5) > 42);
    p.set_temperature(-15);
    CHECK(p.temperature(3) == doctest::Approx(-15).epsilon(0.2));
}

TEST_CASE("a pinned cell or sensor shows what it was told, and the pack's voltage with it")
{
    PackModel p{{}};
    const double whole = p.pack_voltage(), cell = p.cell_voltage(8);
    p.pin_cell(8, 3.66);
    p.pin_sensor(2, 61.0);
    CHECK(p.cell_voltage(8) == 3.66);
    CHECK(p.temperature(2) == 61.0);
    CHECK(p.pack_voltage() - whole == doctest::Approx(3.66 - cell));
    p.unpin_cell(8);
    CHECK(p.cell_voltage(8) == cell);
    p.unpin();
    CHECK(p.temperature(2) < 30);
}
