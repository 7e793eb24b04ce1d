#include "tests/safety/house.hpp"

#include <doctest/doctest.h>

#include <array>
#include <cstdint>
#include <string_view>

using namespace batgw;
using batgw::test::House;

namespace {

// A complete array of equal cells, one of which may differ.
void set_cells(House& house, Voltage each, Voltage first, std::size_t count = 120)
{
    CellVoltages cells;
    cells.count = count;
    for (std::size_t i = 0; i < count; ++i) cells.set(i, i == 0 ? first : each);
    house.state.cells.set(cells, house.now);
}

// Steps until the finding is there; how long the condition had been seen by then. 100 s: never.
Duration time_to(House& house, std::string_view what)
{
    house.step();
    return house.time_until([&] { return house.has(FaultId::plausibility, what); }, 100s);
}

}  // namespace

TEST_CASE("pack voltage against the sum of cells: more than 2 % or 3 V apart for 30 s, at little current")
{
    // SAFE-028
    struct Case {
        Voltage voltage;
        Current current;
        bool found;
    };
    // 120 times 3.300 V is 396 V; 2 % of the pack voltage.
    const std::array cases{Case{404_V, 0_A, false}, Case{Voltage::from_milli(404'081), 0_A, false},
        Case{Voltage::from_milli(404'082), 0_A, true}, Case{Voltage::from_milli(388'235), 0_A, true},
        Case{Voltage::from_milli(388'236), 0_A, false}, Case{410_V, Current::from_milli(9999), true}, Case{410_V, 10_A, false}};
    for (const Case& c : cases) {
        CAPTURE(c.voltage.milli());
        CAPTURE(c.current.milli());
        House house;
        house.also = [&] { set_cells(house, 3300_mV, 3300_mV); };
        house.run(1s);
        house.voltage = c.voltage;
        house.current = c.current;
        REQUIRE(time_to(house, "cell_sum") == (c.found ? 30s : 100s));
        if (!c.found) continue;
        REQUIRE(house.fault(FaultId::plausibility, "cell_sum")->level == FaultClass::block);
        REQUIRE(house.verdict().charge.is_zero());
        house.voltage = 396_V;
        house.step();
        REQUIRE(house.time_until([&] { return !house.has(FaultId::plausibility, "cell_sum"); }, 60s) == 30s);
    }
    SUBCASE("of a low voltage, 3 V")
    {
        for (const Voltage v : {Voltage::from_milli(103'000), Voltage::from_milli(103'001)}) {
            House house;
            house.battery.cells = house.facts.cells = 40;
            house.facts.voltage_max = 140_V;
            house.facts.voltage_min = 100_V;
            house.cell_min = house.cell_max = 2500_mV;
            house.also = [&] { set_cells(house, 2500_mV, 2500_mV, 40); };
            house.voltage = v;
            REQUIRE(time_to(house, "cell_sum") == (v == 103_V ? 100s : 30s));
        }
    }
}

TEST_CASE("minimum, average and maximum stand in order, or it is BLOCK after 10 s")
{
    // SAFE-028
    House equal;
    equal.cell_min = equal.cell_max = 3300_mV;
    REQUIRE(time_to(equal, "cell_order") == 100s);
    House swapped;
    swapped.cell_min = 3301_mV;
    swapped.cell_max = 3300_mV;
    REQUIRE(time_to(swapped, "cell_order") == 10s);
    REQUIRE(swapped.fault(FaultId::plausibility, "cell_order")->level == FaultClass::block);
    for (const Voltage average : {3249_mV, 3250_mV, 3360_mV, 3361_mV}) {
        House house;
        house.also = [&] { set_cells(house, average, average); };
        house.voltage = average * 120;
        REQUIRE(time_to(house, "cell_order") == (average == 3249_mV || average == 3361_mV ? 10s : 100s));
    }
    House same;
    same.temperature_min = same.temperature_max = 20_degC;
    REQUIRE(time_to(same, "temperature_order") == 100s);
    House inverted;
    inverted.temperature_min = Temperature::from_milli(20'001);
    inverted.temperature_max = 20_degC;
    REQUIRE(time_to(inverted, "temperature_order") == 10s);
    REQUIRE(inverted.fault(FaultId::plausibility, "temperature_order")->level == FaultClass::block);
}

TEST_CASE("battery voltage against the inverter's: more than 2 % or 5 V apart for 10 s while closed")
{
    // SAFE-028
    const auto run = [](Voltage inverter, bool closed) {
        House house;  // 400 V: 8 V
        house.contactor = closed ? ContactorFeedback::closed : ContactorFeedback::open;
        house.also = [&house, inverter] { house.inverter.voltage.set(inverter, house.now); };
        const Duration t = time_to(house, "inverter_voltage");
        if (t < 100s) {
            REQUIRE(house.fault(FaultId::plausibility)->level == FaultClass::block);
            REQUIRE(house.fault(FaultId::plausibility)->device == Device::inverter);
        }
        return t;
    };
    REQUIRE(run(392_V, true) == 100s);
    REQUIRE(run(Voltage::from_milli(391'999), true) == 10s);
    REQUIRE(run(408_V, true) == 100s);
    REQUIRE(run(Voltage::from_milli(408'001), true) == 10s);
    REQUIRE(run(0_V, false) == 100s);
    REQUIRE(run(1501_V, true) == 100s);                              // no measurement at all
    for (const Voltage v : {205_V, Voltage::from_milli(205'001)}) {  // of 200 V, 5 V
        House house;
        house.battery.cells = house.facts.cells = 60;
        house.facts.voltage_max = 210_V;
        house.facts.voltage_min = 180_V;
        house.voltage = 200_V;
        house.also = [&] { house.inverter.voltage.set(v, house.now); };
        REQUIRE(time_to(house, "inverter_voltage") == (v == 205_V ? 100s : 10s));
    }
}

TEST_CASE("while our contactors are closed by order the check of voltages does not need feedback")
{
    House house;
    house.profile.states_contactor = false;
    house.silent.insert(SignalId::contactor);
    house.step();  // from now on the judge knows that power is allowed
    house.also = [&] { house.inverter.voltage.set(300_V, house.now); };
    REQUIRE(time_to(house, "inverter_voltage") == 10s);
}

TEST_CASE("reported extremes against those of the array: more than 50 mV apart for 30 s is a warning")
{
    // SAFE-028
    const auto run = [](Voltage each, Voltage first) {
        House house;  // 3.310 V and 3.300 V are reported
        house.also = [&house, each, first] { set_cells(house, each, first); };
        const Duration t = time_to(house, "cell_extremes");
        if (t < 100s) REQUIRE(house.fault(FaultId::plausibility, "cell_extremes")->level == FaultClass::warn);
        return t;
    };
    REQUIRE(run(3305_mV, 3250_mV) == 100s);
    REQUIRE(run(3305_mV, 3249_mV) == 30s);
    REQUIRE(run(3305_mV, 3360_mV) == 100s);
    REQUIRE(run(3305_mV, 3361_mV) == 30s);
}

TEST_CASE("battery current against the inverter's: more than 20 % or 5 A apart for 30 s is a warning")
{
    // SAFE-028
    const auto run = [](std::int64_t battery_milli, std::int64_t inverter_milli) {
        House house;
        house.current = Current::from_milli(battery_milli);
        house.also = [&house, inverter_milli] { house.inverter.current.set(Current::from_milli(inverter_milli), house.now); };
        const Duration t = time_to(house, "inverter_current");
        if (t < 100s) REQUIRE(house.fault(FaultId::plausibility, "inverter_current")->level == FaultClass::warn);
        return t;
    };
    REQUIRE(run(0, 5000) == 100s);
    REQUIRE(run(0, 5001) == 30s);
    REQUIRE(run(0, -5001) == 30s);
    REQUIRE(run(24'000, 30'000) == 100s);
    REQUIRE(run(24'000, 30'001) == 30s);
    REQUIRE(run(0, 2'000'001) == 100s);  // no measurement at all
}

TEST_CASE("a state of charge that stands still while more than 5 % of the capacity went through is a warning")
{
    // SAFE-028
    struct Case {
        Percent soc;
        Current current;
        bool found;
    };
    // 60 kWh at 385 V is 155.8 Ah: 5 % are 7.79 Ah, which is 20 A for 23 min 22 s.
    for (const Case& c : {Case{50_pct, 20_A, true}, Case{50_pct, -20_A, true}, Case{99_pct, 20_A, false},
             Case{1_pct, -20_A, false}, Case{50_pct, 0_A, false}}) {
        House house;
        house.soc = c.soc;
        house.current = c.current;
        house.run(23min, 500ms);
        REQUIRE_FALSE(house.has(FaultId::plausibility));
        house.run(30s, 500ms);
        REQUIRE(house.has(FaultId::plausibility, "soc_frozen") == c.found);
        if (!c.found) continue;
        REQUIRE(house.fault(FaultId::plausibility)->level == FaultClass::warn);
        house.soc = 51_pct;
        house.step();
        REQUIRE(house.time_until([&] { return !house.has(FaultId::plausibility); }, 60s) == 30s);
    }
    SUBCASE("what goes in and out again is nothing, and the battery's own capacity counts before a rated one")
    {
        House house;
        house.current = 20_A;
        house.run(20min, 500ms);
        house.current = -20_A;
        house.run(40min, 500ms);
        REQUIRE_FALSE(house.has(FaultId::plausibility));
        house.state.charge_full.set(Charge::from_milli(20'000), house.now);
        house.run(2s);
        REQUIRE(house.has(FaultId::plausibility, "soc_frozen"));
    }
}

TEST_CASE("a cell count that changes while in use is BLOCK until restart")
{
    // SAFE-116
    House house;
    house.battery.cells.reset();
    unsigned cells = 120;
    house.also = [&] {
        house.state.cell_count = cells;
        set_cells(house, 3305_mV, 3305_mV);
    };
    house.up();
    REQUIRE(house.charge() == 10_kW);
    cells = 119;
    house.step();
    REQUIRE_FALSE(house.has(FaultId::identity_changed));
    house.step();
    REQUIRE(house.has(FaultId::identity_changed, FaultClass::block));
    REQUIRE(house.verdict().charge.is_zero());
    REQUIRE(house.verdict().discharge.is_zero());
    cells = 120;
    house.run(3600s, 1s);
    REQUIRE(house.has(FaultId::identity_changed));
    REQUIRE(house.verdict().charge.is_zero());
}

TEST_CASE("a cell count that changes is noticed of a battery that tells of no single cells, too")
{
    // SAFE-116
    House house;
    house.battery.cells.reset();
    unsigned cells = 120;
    house.also = [&] { house.state.cell_count = cells; };
    house.up();
    REQUIRE(house.charge() == 10_kW);
    cells = 119;
    house.step();
    REQUIRE_FALSE(house.has(FaultId::identity_changed));
    house.step();
    REQUIRE(house.has(FaultId::identity_changed, FaultClass::block));
    REQUIRE(house.verdict().charge.is_zero());
}

TEST_CASE("capacity, design window or a module that changes while in use is BLOCK until restart")
{
    // SAFE-116
    struct Case {
        const char* detail;
        void (*change)(House&);
        void (*back)(House&);
    };
    const std::array cases{
        Case{"capacity", [](House& h) { h.facts.energy_rated = 59_kWh; }, [](House& h) { h.facts.energy_rated = 60_kWh; }},
        Case{"window", [](House& h) { h.facts.voltage_max = 421_V; }, [](House& h) { h.facts.voltage_max = 420_V; }},
        Case{"window", [](House& h) { h.facts.voltage_min = 349_V; }, [](House& h) { h.facts.voltage_min = 350_V; }},
        Case{"module", [](House& h) { h.state.modules[1].serial.assign("C"); },
            [](House& h) { h.state.modules[1].serial.assign("B"); }},
    };
    for (const Case& c : cases) {
        CAPTURE(c.detail);
        House house;
        for (const char* serial : {"A", "B"}) {
            if (c.detail != std::string_view{"module"}) break;
            Module m;
            m.address = static_cast<std::uint8_t>(house.state.modules.size() + 1);
            m.serial.assign(serial);
            house.state.modules.push_back(m);
        }
        house.up();
        REQUIRE(house.charge() == 10_kW);
        c.change(house);
        house.step();
        REQUIRE_FALSE(house.has(FaultId::identity_changed));
        house.step();
        REQUIRE(house.has(FaultId::identity_changed, c.detail));
        REQUIRE(house.has(FaultId::identity_changed, FaultClass::block));
        REQUIRE(house.charge() == 0_W);
        REQUIRE(house.discharge() == 0_W);
        c.back(house);
        house.run(600s, 1s);
        REQUIRE(house.has(FaultId::identity_changed, c.detail));
        REQUIRE(house.charge() == 0_W);
    }
}

TEST_CASE("a module that falls asleep or wakes is no other one, nor is what is only learnt late")
{
    // SAFE-116
    House house;
    const PackFacts all = house.facts;
    house.facts.energy_rated.reset();
    house.up();
    house.facts = all;
    Module m;
    m.address = 3;
    house.state.modules.push_back(m);
    house.run(5s);
    house.state.modules[0].serial.assign("A");
    house.run(5s);
    m.address = 4;
    m.serial.assign("B");
    house.state.modules.push_back(m);
    house.run(5s);
    house.state.modules.erase_ordered(0);
    house.facts.energy_rated = 40_kWh;  // it takes its capacity with it
    house.run(5s);
    // Addresses that no tower has.
    for (const std::uint8_t address : {std::uint8_t{0}, std::uint8_t{17}}) {
        m.address = address;
        house.state.modules.push_back(m);
    }
    house.run(5s);
    for (Module& module : house.state.modules)
        if (module.address != 4) module.serial.assign("C");
    house.run(5s);
    REQUIRE_FALSE(house.has(FaultId::identity_changed));
    REQUIRE(house.charge() == 10_kW);
}

TEST_CASE("a battery may be exchanged while nothing is connected")
{
    // SAFE-116
    House house;
    house.battery.cells.reset();
    house.contactor = ContactorFeedback::open;
    house.inverter_speaks = false;
    unsigned cells = 120;
    house.also = [&] {
        house.state.cell_count = cells;
        set_cells(house, 3305_mV, 3305_mV);
    };
    Module m;
    m.address = 1;
    m.serial.assign("A");
    house.state.modules.push_back(m);
    house.run(20s);
    cells = 104;
    house.facts.energy_rated = 52_kWh;
    house.facts.voltage_max = 364_V;
    house.facts.voltage_min = 303_V;
    house.state.modules[0].serial.assign("B");
    house.run(20s);
    REQUIRE_FALSE(house.has(FaultId::identity_changed));
}

TEST_CASE("a detected cell count other than the configured one is BLOCK, and so is a hole in the array")
{
    // SAFE-116
    House house;
    unsigned cells = 120;
    house.also = [&] { house.state.cell_count = cells; };
    house.inverter_speaks = false;
    house.contactor = ContactorFeedback::open;
    house.run(2s);
    REQUIRE_FALSE(house.has(FaultId::identity_mismatch));
    cells = 104;
    house.step();
    REQUIRE(house.has(FaultId::identity_mismatch, "cells"));
    REQUIRE(house.fault(FaultId::identity_mismatch)->value_milli == 104'000);
    REQUIRE(house.fault(FaultId::identity_mismatch)->limit_milli == 120'000);
    REQUIRE(house.fault(FaultId::identity_mismatch)->level == FaultClass::block);
    cells = 120;
    house.step();
    REQUIRE(house.time_until([&] { return !house.has(FaultId::identity_mismatch); }, 60s) == 30s);
    house.state.cell_gap = true;
    house.step();
    REQUIRE(house.has(FaultId::identity_mismatch, "cell_gap"));
}
