// Readings that stand still while others move.
#include "safety/frozen.hpp"

#include "tests/safety/house.hpp"

#include <doctest/doctest.h>

#include <optional>
#include <string_view>

using namespace batgw;
using batgw::test::House;

namespace {

// What the battery says stays as it is; what the inverter measures goes from one value to the other after 20 s.
template <class Q>
Duration frozen_after(House& house, Reading<Q> InverterState::*reading, Q from, Q to, std::string_view what, FaultClass level)
{
    Q said = from;
    house.also = [&house, &said, reading] { (house.inverter.*reading).set(said, house.now); };
    house.run(20s);
    said = to;
    return 20s +
        house.time_until(
            [&] { return house.has(FaultId::sig_frozen, what) && house.fault(FaultId::sig_frozen)->level == level; }, 400s);
}
constexpr Duration never = 420s;

}  // namespace

TEST_CASE("a current that stands still to the bit while the inverter's moves: warning at 120 s, BLOCK at 300 s")
{
    // SAFE-027: 25 A are the range, of which 5 % are less than what an offset explains.
    const auto run = [](std::int64_t to_milli, FaultClass level) {
        House house;
        return frozen_after(house, &InverterState::current, 0_A, Current::from_milli(to_milli), "current", level);
    };
    REQUIRE(run(2001, FaultClass::warn) == 120100ms);
    REQUIRE(run(-2001, FaultClass::warn) == 120100ms);
    REQUIRE(run(2000, FaultClass::warn) == never);
    REQUIRE(run(2001, FaultClass::block) == 300100ms);

    House big;  // 100 kW at 400 V: 5 % of 250 A
    big.battery.max_charge = 100_kW;
    REQUIRE(frozen_after(big, &InverterState::current, 0_A, 12_A, "current", FaultClass::warn) == never);
    House bigger;
    bigger.battery.max_charge = 100_kW;
    REQUIRE(frozen_after(bigger, &InverterState::current, 0_A, 13_A, "current", FaultClass::warn) == 120100ms);
}

TEST_CASE("a voltage that stands still to the bit while the inverter's moves: warning at 120 s, BLOCK at 300 s")
{
    // SAFE-027: the window is 350 to 420 V, 5 % of it 3.5 V.
    const auto run = [](std::int64_t to_milli, FaultClass level) {
        House house;
        return frozen_after(house, &InverterState::voltage, 400_V, Voltage::from_milli(to_milli), "voltage", level);
    };
    REQUIRE(run(403'501, FaultClass::warn) == 120100ms);
    REQUIRE(run(403'500, FaultClass::warn) == never);
    REQUIRE(run(396'499, FaultClass::block) == 300100ms);
}

TEST_CASE("a voltage that stands still while all cells move is one, while one cell alone moves is none")
{
    // SAFE-027: 3.5 V of 120 cells are 29.2 mV of each.
    const auto run = [](Voltage highest, Voltage lowest) {
        House house;
        house.run(20s);
        house.cell_max = house.cell_max + highest;
        house.cell_min = house.cell_min + lowest;
        return 20s + house.time_until([&] { return house.has(FaultId::sig_frozen, "voltage"); }, 400s);
    };
    REQUIRE(run(30_mV, 30_mV) == 120100ms);
    REQUIRE(run(29_mV, 30_mV) == never);
    REQUIRE(run(90_mV, 0_mV) == never);
    REQUIRE(run(0_mV, 90_mV) == never);
}

TEST_CASE("BLOCK for a frozen reading takes both directions, and ends thirty seconds after it has moved")
{
    // SAFE-027
    House house;
    house.up();
    Current said = 0_A;
    house.also = [&] { house.inverter.current.set(said, house.now); };
    house.current = 3_A;
    house.step();
    house.run(20s);
    said = 8_A;
    house.run(280s);
    REQUIRE(house.has(FaultId::sig_frozen, FaultClass::block));
    REQUIRE(house.fault(FaultId::sig_frozen)->device == Device::battery);
    REQUIRE(house.verdict().charge.is_zero());
    REQUIRE(house.verdict().discharge.is_zero());
    house.current = Current::from_milli(3001);
    house.step();
    REQUIRE(house.time_until([&] { return !house.has(FaultId::sig_frozen); }, 60s) == 30s);
}

TEST_CASE("no witness, no suspicion: open contactors, no inverter's reading, no window, a witness that lags behind")
{
    // SAFE-027
    House open;
    open.contactor = ContactorFeedback::open;
    REQUIRE(frozen_after(open, &InverterState::voltage, 400_V, 380_V, "voltage", FaultClass::warn) == never);
    House dumb;
    dumb.run(400s);
    REQUIRE_FALSE(dumb.has(FaultId::sig_frozen));
    House windowless;
    windowless.battery.cells.reset();
    windowless.facts.cells.reset();
    windowless.facts.voltage_max.reset();
    REQUIRE(frozen_after(windowless, &InverterState::voltage, 400_V, 380_V, "voltage", FaultClass::warn) == never);
    // Only one end of a window: no range. Contactors that close onto an inverter whose reading climbs behind.
    House one_end;
    one_end.battery.cells.reset();
    one_end.facts.cells.reset();
    one_end.facts.voltage_min.reset();
    REQUIRE(frozen_after(one_end, &InverterState::voltage, 400_V, 380_V, "voltage", FaultClass::warn) == never);
    House closing;
    closing.contactor = ContactorFeedback::open;
    closing.also = [&] {
        const auto t = closing.now - closing.start;
        closing.contactor = t < 30s ? ContactorFeedback::open : ContactorFeedback::closed;
        closing.inverter.voltage.set(t < 30s ? 0_V : t < 39s ? 300_V : 400_V, closing.now);
    };
    closing.run(400s);
    REQUIRE_FALSE(closing.has(FaultId::sig_frozen));
    for (const Voltage said : {0_V, 600_V}) {  // an inverter that starts anew measures nothing
        House starting;
        REQUIRE(frozen_after(starting, &InverterState::voltage, 400_V, said, "voltage", FaultClass::warn) == never);
    }
    // A load ends; the inverter's reading follows nine seconds later, and then everything rests all night.
    House lagging;
    Current said = -9_A;
    lagging.current = -9_A;
    lagging.also = [&] { lagging.inverter.current.set(said, lagging.now); };
    lagging.run(30s);
    lagging.current = 0_A;
    lagging.run(9s);
    said = 0_A;
    lagging.run(600s);
    REQUIRE_FALSE(lagging.has(FaultId::sig_frozen));
    // A long steady load ends, and the battery tells it nine seconds after the inverter.
    House ahead;
    said = -9_A;
    ahead.current = -9_A;
    ahead.also = [&] { ahead.inverter.current.set(said, ahead.now); };
    ahead.run(600s);
    said = 0_A;
    ahead.run(9s);
    ahead.current = 0_A;
    ahead.run(600s);
    REQUIRE_FALSE(ahead.times_set(FaultId::sig_frozen) > 0);
    // Contactors open, and the inverter's voltage decays before the pack has told of it.
    House opening;
    opening.also = [&] {
        const auto t = opening.now - opening.start;
        opening.contactor = t < 65s ? ContactorFeedback::closed : ContactorFeedback::open;
        opening.inverter.voltage.set(t < 60s ? 400_V : 350_V, opening.now);
    };
    opening.run(400s);
    REQUIRE(opening.times_set(FaultId::sig_frozen) == 0);
    // Lost and found again: what was before does not count.
    House lost;
    lost.silent = {SignalId::current};
    lost.also = [&] { lost.inverter.current.set(lost.now - lost.start < 60s ? 0_A : 8_A, lost.now); };
    lost.run(100s);
    lost.silent.clear();
    lost.run(140s);
    REQUIRE_FALSE(lost.has(FaultId::sig_frozen));
}

TEST_CASE("an inverter is not blamed for a current that stands still")
{
    // SAFE-027, SAFE-066
    House house;
    house.up();
    house.current = -20_A;
    Current said = -20_A;
    house.also = [&] { house.inverter.current.set(said, house.now); };
    house.run(20s);
    said = -5_A;
    house.run(400s);
    REQUIRE(house.has(FaultId::sig_frozen, FaultClass::block));
    REQUIRE(house.verdict().discharge.is_zero());
    REQUIRE(house.times_set(FaultId::limit_exceeded) == 0);
    REQUIRE(house.verdict().state == GatewayState::block);
}

TEST_CASE("a house at rest for a night, and a pack that relaxes without current, are nothing frozen")
{
    // SAFE-027
    House house;
    house.up();
    Voltage said = house.voltage;
    house.also = [&] { house.inverter.voltage.set(said, house.now); };
    for (int i = 0; i < 600; ++i) {
        if (i % 30 == 0) {  // 12 V in ten minutes, at no current at all
            house.voltage = house.voltage - 600_mV;
            house.cell_max = house.cell_max - 5_mV;
            house.cell_min = house.cell_min - 5_mV;
            said = house.voltage;
        }
        house.step(1s);
    }
    house.run(std::chrono::hours{1}, 1s);
    REQUIRE(house.times_set(FaultId::sig_frozen) == 0);
    REQUIRE(house.charge() == 10_kW);
}

namespace {

// The watch alone, a look a second.
struct StillPack {
    SafetyConfig config;
    FaultTable faults;
    PackSamples samples;
    InverterState inverter;
    FrozenWatch watch;
    bool closed = true, has_inverter = true;
    std::optional<Current> rated = 100_A;
    PackVoltageLimits::Window window{.max = 420_V, .min = 350_V};
    std::optional<unsigned> cells = 100;
    Instant now{std::chrono::hours{3} + 5us};
    std::optional<Voltage> inverter_volts;
    std::optional<Current> inverter_amperes;

    StillPack()
    {
        samples.voltage.fresh = 400_V;
        samples.current.fresh = 7_A;
    }
    void look(Duration time = 1s)
    {
        now += time;
        if (inverter_volts) inverter.voltage.set(*inverter_volts, now);
        if (inverter_amperes) inverter.current.set(*inverter_amperes, now);
        watch.update({.samples = samples,
                         .inverter = has_inverter ? &inverter : nullptr,
                         .closed = closed,
                         .rated = rated,
                         .window = window,
                         .cells = cells},
            {config, faults, now});
        faults.settle(now);
    }
    void run(int seconds)
    {
        for (int i = 0; i < seconds; ++i) look();
    }
    const ActiveFault* find(std::string_view what) const
    {
        for (const ActiveFault& f : faults.faults())
            if (f.detail == what) return &f;
        return nullptr;
    }
    // Of a voltage that stands still while the inverter's goes from one value to another.
    bool by_volts(Voltage from, Voltage to)
    {
        inverter_volts = from;
        run(20);
        inverter_volts = to;
        run(200);
        return find("voltage") != nullptr;
    }
    bool by_amperes(Current from, Current to)
    {
        inverter_amperes = from;
        run(20);
        inverter_amperes = to;
        run(200);
        return find("current") != nullptr;
    }
};

}  // namespace

TEST_CASE("a frozen reading is told with its name, a warning first")
{
    // SAFE-027
    StillPack p;
    REQUIRE(p.by_volts(400_V, 390_V));
    const ActiveFault* f = p.find("voltage");
    CHECK(f->id == FaultId::sig_frozen);
    CHECK(f->level == FaultClass::warn);
    CHECK(f->direction == Direction::none);
    CHECK(f->device == Device::battery);
    CHECK_FALSE(p.watch.current_frozen());
    p.run(100);
    CHECK(p.find("voltage")->level == FaultClass::block);
    CHECK(p.find("voltage")->direction == Direction::both);
    StillPack q;
    REQUIRE(q.by_amperes(7_A, 13_A));
    CHECK(q.watch.current_frozen());
}

TEST_CASE("a witness's voltage counts from three quarters of the window's low end to five quarters of its high one")
{
    // SAFE-027: 262.5 V and 525 V
    CHECK(StillPack{}.by_volts(400_V, Voltage::from_milli(262'500)));
    CHECK_FALSE(StillPack{}.by_volts(400_V, Voltage::from_milli(262'499)));
    CHECK(StillPack{}.by_volts(400_V, 525_V));
    CHECK_FALSE(StillPack{}.by_volts(400_V, Voltage::from_milli(525'001)));
    for (const bool low : {false, true}) {
        StillPack p;
        (low ? p.window.min : p.window.max).reset();
        CHECK_FALSE(p.by_volts(400_V, 390_V));
    }
}

TEST_CASE("what a witness moved must be more than a twentieth of the range, and more than 2 V or 2 A in any case")
{
    // SAFE-027
    CHECK(StillPack{}.by_volts(400_V, Voltage::from_milli(396'499)));
    CHECK_FALSE(StillPack{}.by_volts(400_V, Voltage::from_milli(396'500)));
    StillPack narrow;  // 5 % are one volt
    narrow.window = {.max = 410_V, .min = 390_V};
    CHECK(narrow.by_volts(400_V, Voltage::from_milli(402'001)));
    StillPack just;
    just.window = {.max = 410_V, .min = 390_V};
    CHECK_FALSE(just.by_volts(400_V, 402_V));
    CHECK(StillPack{}.by_amperes(7_A, Current::from_milli(12'001)));
    CHECK_FALSE(StillPack{}.by_amperes(7_A, 12_A));
    StillPack small;
    small.rated = 20_A;
    CHECK(small.by_amperes(7_A, Current::from_milli(4999)));
    StillPack as_small;
    as_small.rated = 20_A;
    CHECK_FALSE(as_small.by_amperes(7_A, 5_A));
    StillPack unknown;
    unknown.rated.reset();
    CHECK_FALSE(unknown.by_amperes(7_A, 90_A));
}

TEST_CASE("how far a witness went is from its lowest to its highest, in whichever order")
{
    // SAFE-027
    for (const int sign : {1, -1}) {
        StillPack p;
        p.inverter_amperes = 7_A;
        p.run(20);
        p.inverter_amperes = Current::from_milli(7000 + sign * 3000);
        p.run(5);
        p.inverter_amperes = Current::from_milli(7000 - sign * 2001);
        p.run(5);
        p.inverter_amperes = 7_A;
        p.run(150);
        CHECK(p.find("current") != nullptr);
    }
}

TEST_CASE("all cells that move are a witness of the voltage, as many as there are known to be")
{
    // SAFE-027: 3.5 V of 100 cells
    const auto by_cells = [](std::optional<unsigned> cells, Voltage low, Voltage high, Voltage most = 420_V) {
        StillPack p;
        p.window.max = most;
        p.has_inverter = false;
        p.cells = cells;
        p.samples.cell_min.fresh = 3300_mV;
        p.samples.cell_max.fresh = 3310_mV;
        p.run(20);
        p.samples.cell_min.fresh = 3300_mV + low;
        p.samples.cell_max.fresh = 3310_mV + high;
        p.run(200);
        return p.find("voltage") != nullptr;
    };
    CHECK(by_cells(100, 36_mV, 36_mV));
    CHECK(by_cells(100, -36_mV, -36_mV));
    CHECK_FALSE(by_cells(100, 35_mV, 36_mV));
    CHECK_FALSE(by_cells(100, 36_mV, 35_mV));
    CHECK_FALSE(by_cells(std::nullopt, 3600_mV, 3600_mV));
    CHECK_FALSE(by_cells(0, 900_mV, 900_mV));
    // More than a thousand there are not.
    CHECK(by_cells(4'000'000'000U, 4_mV, 4_mV));
    CHECK_FALSE(by_cells(4'000'000'000U, 3_mV, 3_mV));
    CHECK_FALSE(by_cells(1001, 4_mV, 4_mV, 430_V));
}

TEST_CASE("what the other side did in the first ten seconds after a movement, or after closing, says nothing")
{
    // SAFE-027
    for (const bool within : {true, false}) {
        StillPack p;
        p.inverter_volts = 400_V;
        p.inverter_amperes = 7_A;
        p.run(20);
        p.samples.voltage.fresh = 401_V;
        p.samples.current.fresh = 8_A;
        p.samples.cell_min.fresh = p.samples.cell_max.fresh = 3300_mV;
        p.look();
        p.run(within ? 9 : 10);  // one that is looked at after ten seconds is one to compare with
        p.inverter_volts = 390_V;
        p.inverter_amperes = 20_A;
        p.samples.cell_min.fresh = p.samples.cell_max.fresh = 3400_mV;
        p.run(200);
        CHECK((p.find("voltage") == nullptr) == within);
        CHECK((p.find("current") == nullptr) == within);
        StillPack closing;
        closing.closed = false;
        closing.inverter_volts = 400_V;
        closing.inverter_amperes = 7_A;
        closing.run(60);
        closing.closed = true;
        closing.look();
        closing.run(within ? 9 : 10);
        closing.inverter_volts = 390_V;
        closing.inverter_amperes = 20_A;
        closing.run(200);
        CHECK((closing.find("voltage") == nullptr) == within);
        CHECK((closing.find("current") == nullptr) == within);
    }
}

TEST_CASE("a reading that moves, or is lost, ends the suspicion at once, and what was seen before is forgotten")
{
    // SAFE-027
    for (const bool lost : {false, true}) {
        StillPack p;
        p.inverter_volts = 400_V;
        p.inverter_amperes = 7_A;
        p.run(20);
        p.inverter_volts = 380_V;
        p.inverter_amperes = 30_A;
        p.run(90);
        p.samples.voltage.fresh = lost ? std::nullopt : std::optional{399_V};
        p.samples.current.fresh = lost ? std::nullopt : std::optional{8_A};
        p.look();
        p.samples.voltage.fresh = 400_V;
        p.samples.current.fresh = 7_A;
        p.run(400);
        CHECK(p.find("voltage") == nullptr);
        CHECK(p.find("current") == nullptr);
        CHECK_FALSE(p.watch.current_frozen());
    }
    // So does an opening.
    StillPack open;
    open.inverter_volts = 400_V;
    open.inverter_amperes = 7_A;
    open.run(20);
    open.inverter_volts = 380_V;
    open.inverter_amperes = 30_A;
    open.run(3);
    open.closed = false;
    open.look();
    open.closed = true;
    open.run(400);
    CHECK(open.find("voltage") == nullptr);
    CHECK(open.find("current") == nullptr);
}
