// Values that jump faster than physics.
#include "safety/believed.hpp"

#include "tests/safety/house.hpp"

#include <doctest/doctest.h>

#include <array>
#include <limits>

using namespace batgw;
using batgw::test::House;

namespace {

// A house whose every sample is seen once, at full grants.
House believing_nothing()
{
    House house;
    house.jumps_are_repeated = false;
    house.up();
    return house;
}

}  // namespace

TEST_CASE("a single spike of 60 degrees reduces the limits while it lasts, and sets nothing")
{
    // SAFE-026
    House house = believing_nothing();
    house.temperature_max = 61_degC;
    house.step();
    REQUIRE(house.charge() == 0_W);
    REQUIRE(house.discharge() == 0_W);
    REQUIRE(house.verdict().charge.by() == Cause::temperature);
    house.temperature_max = 25_degC;
    house.step();
    house.run(6s);
    REQUIRE(house.charge() > 0_W);  // back on the slope
    house.run(60s);
    REQUIRE(house.charge() == 10_kW);
    for (const FaultId id : {FaultId::temp_hot, FaultId::temp_crit, FaultId::temp_event, FaultId::temp_spread, FaultId::sig_bad})
        REQUIRE(house.times_set(id) == 0);
}

TEST_CASE("spikes again and again, never three alike, never count as a value; sustained heat counts with its third sample")
{
    // SAFE-026
    House spikes = believing_nothing();
    for (int i = 0; i < 60; ++i) {
        spikes.temperature_max = i % 3 == 2 ? 25_degC : 71_degC;
        spikes.step();
    }
    REQUIRE(spikes.times_set(FaultId::temp_event) == 0);
    REQUIRE(spikes.charge() == 0_W);

    House hot = believing_nothing();
    hot.temperature_max = 61_degC;
    hot.run(5100ms);
    REQUIRE_FALSE(hot.has(FaultId::temp_crit));
    hot.step();
    REQUIRE_FALSE(hot.has(FaultId::temp_crit));
    hot.step();  // 5 s after the third
    REQUIRE(hot.has(FaultId::temp_crit, FaultClass::trip));
}

TEST_CASE("how far is too far: each bound and one count beyond")
{
    // SAFE-026: an event shows what is believed.
    struct Case {
        const char* what;
        void (*set)(House&, bool beyond);
        std::int64_t (*shown)(const Event&);
        std::int64_t before;
    };
    const std::array cases{
        Case{"highest cell", [](House& h, bool b) { h.cell_max = b ? 3811_mV : 3810_mV; },
            [](const Event& e) { return e.cell_voltage_max->milli(); }, 3310},
        Case{"lowest cell", [](House& h, bool b) { h.cell_min = b ? 2799_mV : 2800_mV; },
            [](const Event& e) { return e.cell_voltage_min->milli(); }, 3300},
        Case{"hottest", [](House& h, bool b) { h.temperature_max = Temperature::from_milli(b ? 35'001 : 35'000); },
            [](const Event& e) { return e.temperature_max->milli(); }, 25'000},
        Case{"coldest", [](House& h, bool b) { h.temperature_min = Temperature::from_milli(b ? 12'999 : 13'000); },
            [](const Event& e) { return e.temperature_min->milli(); }, 23'000},
        Case{"state of charge", [](House& h, bool b) { h.soc = Percent::from_milli(b ? 44'999 : 45'000); },
            [](const Event& e) { return e.soc->milli(); }, 50'000},
    };
    const auto believed = [](House& house) {
        house.judge().note(EventType::start, "look", house.now);
        Event last;
        house.judge().events_since(0, [&](const Event& e) { last = e; });
        return last;
    };
    for (const Case& c : cases)
        for (const bool beyond : {false, true}) {
            CAPTURE(c.what);
            CAPTURE(beyond);
            House house = believing_nothing();
            REQUIRE(c.shown(believed(house)) == c.before);
            c.set(house, beyond);
            for (const bool third : {false, false, true}) {
                house.step();
                REQUIRE((c.shown(believed(house)) == c.before) == (beyond && !third));
            }
        }
}

TEST_CASE("what is slow enough is no jump: a temperature after more than 2 s, a state of charge after more than 10 s")
{
    // SAFE-026
    Reading<Temperature> t{60s};
    Believed<Temperature> believed;
    const Believed<Temperature>::Rule rule{.most = 10_K, .within = 2s};
    const Instant start{std::chrono::hours{1}};
    const auto say = [&](Temperature value, Duration at) {
        t.set(value, start + at);
        believed.look(t, rule);
        return believed.value() == value;
    };
    REQUIRE(say(20_degC, 0s));
    REQUIRE_FALSE(say(31_degC, 2s));
    REQUIRE(believed.suspect() == 31_degC);
    REQUIRE(say(20_degC, 3s));  // the old one is back
    REQUIRE_FALSE(believed.suspect());
    REQUIRE(say(31_degC, 5001ms));
    REQUIRE(believed.samples() == 3);
    REQUIRE(believed.at() == start + 5001ms);
    // Three in agreement, not just three.
    REQUIRE_FALSE(say(50_degC, 5200ms));
    REQUIRE_FALSE(say(70_degC, 5400ms));
    REQUIRE_FALSE(say(70_degC, 5600ms));
    REQUIRE(say(71_degC, 5800ms));
    // Looking again at the same sample is no second sample.
    REQUIRE_FALSE(say(20_degC, 6s));
    for (int i = 0; i < 5; ++i) believed.look(t, rule);
    REQUIRE(believed.value() == 71_degC);
    t.forget();
    believed.look(t, rule);
    REQUIRE(believed.value() == 71_degC);
}

TEST_CASE("after an outage the first sample counts, unless it was already in doubt")
{
    // SAFE-026
    for (const bool doubted : {false, true}) {
        Reading<Voltage> v{5s};
        Believed<Voltage> believed;
        const Believed<Voltage>::Rule rule{.most = 500_mV};
        const Instant start{std::chrono::hours{1}};
        v.set(3300_mV, start);
        believed.look(v, rule);
        if (doubted) {
            v.set(2500_mV, start + 1s);
            believed.look(v, rule);
            REQUIRE_FALSE(believed.outlived(5s, start + 5s));
            REQUIRE(believed.outlived(5s, start + 5001ms));
        }
        v.set(3900_mV, start + 6s);
        believed.look(v, rule);
        REQUIRE(believed.value() == (doubted ? 3300_mV : 3900_mV));
        REQUIRE_FALSE((!doubted && believed.outlived(5s, start + 60s)));
    }
}

TEST_CASE("a sample that comes just when the old one is as old as it may get is compared with it")
{
    // SAFE-026
    Reading<Voltage> v{5s};
    Believed<Voltage> believed;
    const Believed<Voltage>::Rule rule{.most = 500_mV};
    const Instant start{std::chrono::hours{1}};
    v.set(3300_mV, start);
    believed.look(v, rule);
    v.set(3900_mV, start + 5s);
    believed.look(v, rule);
    REQUIRE(believed.value() == 3300_mV);
    REQUIRE(believed.suspect() == 3900_mV);
}

TEST_CASE("a value that jumps about for longer than the old one may get old is no value: its direction is blocked")
{
    // SAFE-026, SAFE-023
    House house = believing_nothing();
    int i = 0;
    house.also = [&] { house.cell_max = ++i % 3 == 0 ? 2000_mV : i % 3 == 1 ? 2600_mV : 4000_mV; };
    house.run(4s);
    REQUIRE_FALSE(house.has(FaultId::sig_stale));
    house.run(1500ms);
    REQUIRE(house.has(FaultId::sig_stale, "cell_voltage_max"));
    house.run(4s);
    REQUIRE(house.verdict().charge.is_zero());
    REQUIRE_FALSE(house.verdict().discharge.is_zero());
    house.also = {};
    house.cell_max = 3310_mV;
    house.run(60s);
    REQUIRE_FALSE(house.has(FaultId::sig_stale));
    REQUIRE(house.charge() > 0_W);
}

TEST_CASE("a state of charge that jumps up and down limits both ways, in the bands too, until it is believed")
{
    // SAFE-026
    House house;
    house.jumps_are_repeated = false;
    house.safety.soc.bands = true;
    house.up();
    REQUIRE(house.charge() == 10_kW);
    house.soc = 96_pct;
    house.step();
    REQUIRE(house.charge() < 10_kW);
    House down;
    down.jumps_are_repeated = false;
    down.safety.soc.bands = true;
    down.up();
    down.soc = 25_pct;
    down.step();
    REQUIRE(down.discharge() < 10_kW);
    REQUIRE(down.charge() == 10_kW);
}

TEST_CASE("a value that is not possible is never believed, however often it comes")
{
    // SAFE-026, SAFE-025
    House house = believing_nothing();
    house.cell_max = Voltage::from_milli(std::numeric_limits<std::int64_t>::min());
    house.run(2s);
    REQUIRE(house.has(FaultId::sig_bad, "cell_voltage_max"));
    house.cell_max = 3310_mV;
    house.run(2s);
    REQUIRE(house.times_set(FaultId::cell_high_curve) == 0);
}

TEST_CASE("a spread of cells: a suspect value reduces the limits, and no fault begins or ends by it")
{
    // SAFE-026, SAFE-063
    House spike = believing_nothing();
    spike.cell_min = 2790_mV;  // 0.51 V below the last, and 0.52 V below the highest
    spike.step();
    REQUIRE(spike.charge() == 5_kW);  // of what a spread leaves
    REQUIRE(spike.discharge() == 0_W);
    REQUIRE(spike.verdict().charge.by() == Cause::deviation);
    House high = believing_nothing();
    high.cell_max = 3820_mV;
    high.step();
    REQUIRE(high.discharge() == 5_kW);
    REQUIRE(high.verdict().discharge.by() == Cause::deviation);
    for (int i = 1; i < 1200; ++i) {  // never three alike, for longer than any delay of a spread
        spike.cell_min = i % 3 == 2 ? 3300_mV : 2790_mV;
        spike.step();
    }
    for (const FaultId id : {FaultId::cell_dev_crit, FaultId::cell_low}) REQUIRE(spike.times_set(id) == 0);

    House wide = believing_nothing();
    wide.cell_max = 3350_mV;
    wide.cell_min = 2840_mV;
    wide.run(15s);
    REQUIRE(wide.has(FaultId::cell_dev, FaultClass::block));
    // Close together again, but for a single value now and then that says otherwise: nobody knows.
    for (int i = 0; i < 900; ++i) {
        wide.cell_min = i % 3 == 2 ? 2840_mV : 3345_mV;
        wide.step();
    }
    REQUIRE(wide.has(FaultId::cell_dev, FaultClass::block));
    wide.cell_min = 3345_mV;
    wide.run(59s);
    REQUIRE(wide.has(FaultId::cell_dev, FaultClass::block));
    wide.run(2s);
    REQUIRE_FALSE(wide.has(FaultId::cell_dev, FaultClass::block));
}

TEST_CASE("what is believed is counted from the first sample there ever was")
{
    // SAFE-026
    Believed<Voltage> cell;
    CHECK(cell.samples() == 0);
    CHECK_FALSE(cell.value());
    Reading<Voltage> reading{5s};
    constexpr Believed<Voltage>::Rule rule{.most = 500_mV};
    cell.look(reading, rule);
    CHECK(cell.samples() == 0);
    reading.set(3300_mV, Instant{10s});
    for (int i = 0; i < 2; ++i) {
        cell.look(reading, rule);
        CHECK(cell.samples() == 1);
        CHECK(cell.value() == 3300_mV);
        CHECK(cell.at() == Instant{10s});
    }
}
