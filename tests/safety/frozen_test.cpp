// Readings that stand still while others move.
#include "tests/safety/house.hpp"

#include <doctest/doctest.h>

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
