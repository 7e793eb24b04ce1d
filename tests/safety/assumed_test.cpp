// Values that a battery can never deliver.
#include "tests/safety/house.hpp"

#include <doctest/doctest.h>

#include <array>

using namespace batgw;
using batgw::test::House;

namespace {

// A battery whose protocol has no such signals.
House without(std::initializer_list<SignalId> ids)
{
    House house;
    for (const SignalId id : ids) {
        house.profile.signals[index(id)] = {};
        house.silent.insert(id);
    }
    return house;
}

}  // namespace

TEST_CASE("an assumed temperature is a warning for good and leaves a quarter of the configured maximum")
{
    // SAFE-029
    House missing = without({SignalId::temperature_min});
    missing.up();
    REQUIRE(missing.charge().milli() == 0);
    House house = without({SignalId::temperature_min});
    house.safety.assume.temperature_min = 20_degC;
    house.up();
    REQUIRE(house.has(FaultId::assumed, "temperature_min"));
    REQUIRE(house.has(FaultId::assumed, FaultClass::warn));
    REQUIRE(house.charge() == 2500_W);
    REQUIRE(house.discharge() == 2500_W);
    REQUIRE(house.verdict().charge.by() == Cause::config);
    REQUIRE(house.verdict().state == GatewayState::run);
    REQUIRE(house.verdict().battery_valid);
    house.run(600s, 1s);
    REQUIRE(house.has(FaultId::assumed, "temperature_min"));
    REQUIRE(house.times_set(FaultId::sig_stale) == 0);
    // It takes part in the curves and in what is told, and the measured one still counts.
    house.temperature_max = 49_degC;
    house.temperature_min = 30_degC;
    house.run(1s);
    REQUIRE(house.charge() == 1_kW);
    House cold = without({SignalId::temperature_min, SignalId::temperature_max});
    cold.safety.assume.temperature_min = Temperature::from_milli(2'000);
    cold.safety.assume.temperature_max = 20_degC;
    cold.up();
    REQUIRE(cold.charge() == 800_W);  // 0.08 of the maximum by the curve
    REQUIRE(cold.has(FaultId::assumed, "temperature_max"));
}

TEST_CASE("an assumed state of charge is a warning, and no more is taken away for it")
{
    // SAFE-029
    House house = without({SignalId::soc});
    house.safety.assume.soc = 50_pct;
    house.up();
    REQUIRE(house.has(FaultId::assumed, "soc"));
    REQUIRE(house.charge() == 10_kW);
    REQUIRE(house.discharge() == 10_kW);
}

TEST_CASE("cell voltages that are derived follow the pack voltage, act like measured ones, and go with it")
{
    // SAFE-029
    House house = without({SignalId::cell_voltage_max, SignalId::cell_voltage_min});
    house.safety.assume.cell_voltage_max = house.safety.assume.cell_voltage_min = true;
    house.up();
    REQUIRE(house.has(FaultId::assumed, "cell_voltage_max"));
    REQUIRE(house.has(FaultId::assumed, "cell_voltage_min"));
    REQUIRE(house.charge() == 2500_W);
    house.facts.voltage_max = 450_V;
    house.voltage = 432_V;  // 3.600 V each
    house.step();
    REQUIRE(house.charge() == 0_W);
    REQUIRE(house.discharge() == 2500_W);
    house.run(1100ms);
    REQUIRE(house.has(FaultId::cell_high, FaultClass::block));
    REQUIRE(house.fault(FaultId::cell_high)->value_milli == 3600);
    house.voltage = 400_V;
    house.run(60s);
    REQUIRE_FALSE(house.has(FaultId::cell_high));
    house.silent.insert(SignalId::voltage);
    house.run(3s);
    REQUIRE(house.charge() == 0_W);
    REQUIRE(house.discharge() == 0_W);
}

TEST_CASE("cell voltages cannot be derived without a count of cells")
{
    // SAFE-029
    for (const bool zero : {true, false}) {
        House house = without({SignalId::cell_voltage_max, SignalId::cell_voltage_min});
        house.safety.assume.cell_voltage_max = house.safety.assume.cell_voltage_min = true;
        house.battery.cells.reset();
        house.facts.cells = zero ? std::optional{0U} : std::nullopt;
        house.up();
        REQUIRE(house.charge() == 0_W);
        REQUIRE(house.discharge() == 0_W);
        REQUIRE(house.has(FaultId::assumed));
    }
}

TEST_CASE("nothing is assumed of what the battery delivers, even when it is lost")
{
    // SAFE-029
    House house;
    house.safety.assume = {.temperature_min = 20_degC,
        .temperature_max = 20_degC,
        .soc = 50_pct,
        .cell_voltage_min = true,
        .cell_voltage_max = true};
    house.up();
    REQUIRE_FALSE(house.has(FaultId::assumed));
    REQUIRE(house.charge() == 10_kW);
    house.silent = {SignalId::temperature_max};
    house.run(20s);
    REQUIRE(house.has(FaultId::sig_stale, "temperature_max"));
    REQUIRE(house.charge() == 0_W);
}

TEST_CASE("what is assumed is fixed at the start")
{
    // SAFE-029, SAFE-242
    House house = without({SignalId::temperature_min});
    house.up();
    SafetyConfig next = house.safety;
    next.assume.temperature_min = 20_degC;
    house.judge().reconfigure(next, house.battery, house.now);
    house.run(60s);
    REQUIRE_FALSE(house.has(FaultId::assumed));
    REQUIRE(house.charge() == 0_W);
}
