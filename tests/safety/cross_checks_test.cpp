#include "safety/cross_checks.hpp"

#include "tests/safety/house.hpp"

#include <doctest/doctest.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

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
        Case{"module", [](House& h) { h.state.modules[0].serial.assign("C"); },
            [](House& h) { h.state.modules[0].serial.assign("A"); }},
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

namespace {

// The checks alone, with what is believed of a pack handed to them, a round a second.
struct Crossed {
    SafetyConfig config = default_safety(Chemistry::lfp);
    FaultTable faults;
    BatteryState battery;
    PackSamples samples;
    InverterState inverter;
    CrossChecks checks;
    bool closed = true, has_inverter = true;
    std::optional<Charge> capacity;
    Instant now{std::chrono::hours{3} + 17us};

    Crossed() { battery.cells.set_max_age(60s); }
    void look(Duration time = 1s)
    {
        now += time;
        for (std::uint32_t* n :
            {&samples.voltage.samples, &samples.current.samples, &samples.cell_max.samples, &samples.cell_min.samples,
                &samples.temperature_max.samples, &samples.temperature_min.samples, &samples.soc.samples})
            ++*n;
        checks.update({.battery = battery,
                          .samples = samples,
                          .inverter = has_inverter ? &inverter : nullptr,
                          .closed = closed,
                          .capacity = capacity},
            {config, faults, now});
        faults.settle(now);
    }
    void cells(Voltage each, Voltage last, std::size_t count = 4)
    {
        CellVoltages array;
        array.count = count;
        for (std::size_t i = 0; i < count && i < CellVoltages::capacity; ++i) array.set(i, i + 1 == count ? last : each);
        battery.cells.set(array, now);
    }
    const ActiveFault* find(std::string_view what) const
    {
        for (const ActiveFault& f : faults.faults())
            if (f.detail == what) return &f;
        return nullptr;
    }
    // Whole seconds until it is there; 100: never.
    int seconds_to(std::string_view what, const std::function<void()>& each = {})
    {
        for (int i = 0; i < 100; ++i) {
            if (each) each();
            look();
            if (find(what) != nullptr) return i;
        }
        return 100;
    }
};

}  // namespace

TEST_CASE("cross-checks name the pack, or the inverter, and tell both numbers where there are two")
{
    // SAFE-028, SAFE-280
    Crossed c;
    c.faults.number_battery(2);
    c.samples.voltage.fresh = 110_V;
    c.samples.current.fresh = -8_A;
    c.samples.cell_min.fresh = c.samples.cell_max.fresh = 2600_mV;
    c.samples.temperature_min.fresh = 21_degC;
    c.samples.temperature_max.fresh = 20_degC;
    c.samples.soc.fresh = 50_pct;
    c.capacity = Charge::from_milli(1000);
    const auto each = [&] {
        c.cells(2600_mV, 2700_mV, 40);
        c.inverter.voltage.set(116_V, c.now + 1s);
        c.inverter.current.set(2_A, c.now + 1s);
    };
    CHECK(c.seconds_to("cell_extremes", each) == 30);
    const auto check = [&](std::string_view what, FaultClass level, Device device, Unit unit, int value, int limit) {
        CAPTURE(what);
        const ActiveFault* f = c.find(what);
        REQUIRE(f != nullptr);
        CHECK(f->level == level);
        CHECK(f->direction == (level == FaultClass::block ? Direction::both : Direction::none));
        CHECK(f->device == device);
        CHECK(f->device_number == (device == Device::battery ? 2 : 1));
        CHECK(f->has_value == (unit != Unit::none));
        CHECK(f->unit == unit);
        CHECK(f->value_milli == value);
        CHECK(f->limit_milli == limit);
    };
    check("cell_sum", FaultClass::block, Device::battery, Unit::volt, 5900, 3000);  // 39 * 2.6 V + 2.7 V
    check("cell_extremes", FaultClass::warn, Device::battery, Unit::volt, 100, 50);
    check("inverter_voltage", FaultClass::block, Device::inverter, Unit::volt, 6000, 5000);
    check("inverter_current", FaultClass::warn, Device::inverter, Unit::ampere, 6000, 5000);
    check("temperature_order", FaultClass::block, Device::battery, Unit::none, 0, 0);
    check("soc_frozen", FaultClass::warn, Device::battery, Unit::none, 0, 0);
}

TEST_CASE("a finding ends a tenth inside its bound, not before")
{
    // SAFE-028, SAFE-042
    for (const Voltage back : {Voltage::from_milli(104'500), Voltage::from_milli(104'501)}) {
        Crossed c;
        c.samples.voltage.fresh = 100_V;
        Voltage said = 106_V;
        const auto each = [&] { c.inverter.voltage.set(said, c.now + 1s); };
        REQUIRE(c.seconds_to("inverter_voltage", each) == 10);
        said = back;
        for (int i = 0; i < 30; ++i) {
            each();
            c.look();
            REQUIRE(c.find("inverter_voltage") != nullptr);
        }
        each();
        c.look();
        CHECK((c.find("inverter_voltage") == nullptr) == (back == Voltage::from_milli(104'500)));
    }
}

TEST_CASE("each side of a comparison must be there and a measurement; what is not known finds nothing")
{
    // SAFE-028, SAFE-041
    const auto voltage = [](Voltage own, std::optional<Voltage> inverter, bool closed = true) {
        Crossed c;
        c.closed = closed;
        c.samples.voltage.fresh = own;
        return c.seconds_to("inverter_voltage", [&] {
            if (inverter) c.inverter.voltage.set(*inverter, c.now + 1s);
        });
    };
    CHECK(voltage(100_V, 0_V) == 10);
    CHECK(voltage(100_V, Voltage::from_milli(-1)) == 100);
    CHECK(voltage(100_V, 1500_V) == 10);
    CHECK(voltage(100_V, Voltage::from_milli(1'500'001)) == 100);
    CHECK(voltage(100_V, std::nullopt) == 100);
    CHECK(voltage(100_V, 0_V, false) == 100);
    const auto current = [](std::optional<Current> own, std::optional<Current> inverter) {
        Crossed c;
        c.samples.current.fresh = own;
        return c.seconds_to("inverter_current", [&] {
            if (inverter) c.inverter.current.set(*inverter, c.now + 1s);
        });
    };
    CHECK(current(0_A, 2000_A) == 30);
    CHECK(current(0_A, -2000_A) == 30);
    CHECK(current(0_A, Current::from_milli(2'000'001)) == 100);
    CHECK(current(0_A, Current::from_milli(-2'000'001)) == 100);
    CHECK(current(0_A, std::nullopt) == 100);
    CHECK(current(std::nullopt, 10_A) == 100);
    // The larger of both is what a share is of; which way an inverter counts is not certain.
    CHECK(current(-30_A, 24_A) == 100);
    CHECK(current(30_A, Current::from_milli(23'999)) == 30);

    Crossed none;
    none.has_inverter = false;
    none.inverter.voltage.set(300_V, none.now + 50s);
    none.samples.voltage.fresh = 100_V;
    CHECK(none.seconds_to("inverter_voltage") == 100);
    // Stale is not known, and one sample looked at for long is one.
    Crossed stale;
    stale.samples.voltage.fresh = 100_V;
    stale.inverter.voltage.set(110_V, stale.now);
    CHECK(stale.seconds_to("inverter_voltage") == 100);
    Crossed once;
    once.samples.current.fresh = 20_A;
    once.inverter.current = Reading<Current>{for_ever};
    once.inverter.current.set(0_A, once.now);
    const auto same = [&] { --once.samples.current.samples; };
    CHECK(once.seconds_to("inverter_current", same) == 100);
    CHECK(once.seconds_to("inverter_current", [&] { same(), once.inverter.current.set(0_A, once.now); }) < 2);
    Crossed held;
    held.samples.voltage.fresh = 100_V;
    held.inverter.voltage = Reading<Voltage>{for_ever};
    held.inverter.voltage.set(200_V, held.now);
    const auto as_before = [&] { --held.samples.voltage.samples; };
    CHECK(held.seconds_to("inverter_voltage", as_before) == 100);
    CHECK(held.seconds_to("inverter_voltage", [&] { as_before(), held.inverter.voltage.set(200_V, held.now); }) < 2);
}

TEST_CASE("an array of cells counts when it is complete, every cell within 0 and 5 V, and fresh")
{
    // SAFE-028, SAFE-025
    const auto sum = [](Voltage each, Voltage last, std::size_t count, Voltage pack) {
        Crossed c;
        c.samples.voltage.fresh = pack;
        c.samples.current.fresh = 0_A;
        return c.seconds_to("cell_sum", [&] { c.cells(each, last, count); });
    };
    CHECK(sum(3_V, 3_V, 4, 20_V) == 30);
    CHECK(sum(3_V, 5_V, 4, 20_V) == 30);
    CHECK(sum(3_V, Voltage::from_milli(5001), 4, 20_V) == 100);
    CHECK(sum(3_V, 0_V, 4, 20_V) == 30);
    CHECK(sum(3_V, Voltage::from_milli(-1), 4, 20_V) == 100);
    CHECK(sum(3_V, 3_V, 0, 20_V) == 100);
    CHECK(sum(3_V, 3_V, CellVoltages::capacity, 20_V) == 30);
    CHECK(sum(3_V, 3_V, CellVoltages::capacity + 1, 20_V) == 100);

    Crossed gap;
    gap.samples.voltage.fresh = 20_V;
    gap.samples.current.fresh = 0_A;
    const auto incomplete = [&] {
        CellVoltages array;
        array.count = 3;
        for (const std::size_t i : {0U, 2U}) array.set(i, 3_V);
        gap.battery.cells.set(array, gap.now);
    };
    CHECK(gap.seconds_to("cell_sum", incomplete) == 100);
    CHECK(gap.seconds_to("cell_sum", [&] { gap.cells(3_V, 3_V); }) == 30);

    // Of one that is too old nothing is compared; of the pack voltage one sample is enough beside new arrays.
    Crossed old;
    old.samples.voltage.fresh = 20_V;
    old.samples.current.fresh = 0_A;
    old.cells(3_V, 3_V);
    for (int i = 0; i < 20; ++i) old.look();
    old.now += 41s;
    CHECK(old.seconds_to("cell_sum") == 100);
    // Beside a current nothing is compared either, whichever way it flows.
    for (const std::optional<Current> flowing : {std::optional{10_A}, std::optional{-10_A}, std::optional<Current>{}}) {
        Crossed c;
        c.samples.voltage.fresh = 20_V;
        c.samples.current.fresh = flowing;
        CHECK(c.seconds_to("cell_sum", [&] { c.cells(3_V, 3_V); }) == 100);
    }
    Crossed dark;
    dark.samples.current.fresh = 0_A;
    CHECK(dark.seconds_to("cell_sum", [&] { dark.cells(3_V, 3_V); }) == 100);
}

TEST_CASE("the order of cells and of temperatures is judged where both ends are known")
{
    // SAFE-028
    const auto cells = [](std::optional<Voltage> low, std::optional<Voltage> high) {
        Crossed c;
        c.samples.cell_min.fresh = low;
        c.samples.cell_max.fresh = high;
        return c.seconds_to("cell_order");
    };
    CHECK(cells(3301_mV, 3300_mV) == 10);
    CHECK(cells(3300_mV, 3300_mV) == 100);
    CHECK(cells(3301_mV, std::nullopt) == 100);
    CHECK(cells(std::nullopt, 3300_mV) == 100);
    const auto temperatures = [](std::optional<Temperature> cold, std::optional<Temperature> hot) {
        Crossed c;
        c.samples.temperature_min.fresh = cold;
        c.samples.temperature_max.fresh = hot;
        return c.seconds_to("temperature_order");
    };
    CHECK(temperatures(21_degC, 20_degC) == 10);
    CHECK(temperatures(20_degC, 20_degC) == 100);
    CHECK(temperatures(21_degC, std::nullopt) == 100);
    CHECK(temperatures(std::nullopt, 20_degC) == 100);
    // Each of both ends may bring the new sample.
    for (const bool low : {false, true}) {
        Crossed c;
        c.samples.cell_min.fresh = 3301_mV;
        c.samples.cell_max.fresh = 3300_mV;
        c.samples.temperature_min.fresh = 21_degC;
        c.samples.temperature_max.fresh = 20_degC;
        const auto one_sided = [&] {
            --(low ? c.samples.cell_max : c.samples.cell_min).samples;
            --(low ? c.samples.temperature_max : c.samples.temperature_min).samples;
        };
        CHECK(c.seconds_to("cell_order", one_sided) == 10);
        CHECK(c.find("temperature_order") != nullptr);
    }
    // Without one end the extremes are compared with nothing.
    for (const bool low : {false, true}) {
        Crossed c;
        (low ? c.samples.cell_min : c.samples.cell_max).fresh = 3_V;
        CHECK(c.seconds_to("cell_extremes", [&] { c.cells(4_V, 4_V); }) == 100);
    }
    Crossed both;
    both.samples.cell_min.fresh = both.samples.cell_max.fresh = 3_V;
    CHECK(both.seconds_to("cell_extremes", [&] { both.cells(3_V, Voltage::from_milli(3051)); }) == 30);
    // A new lowest and a new highest are a new sample, however old the array.
    Crossed old_array;
    old_array.battery.cells.set_max_age(for_ever);
    old_array.cells(3_V, Voltage::from_milli(3051));
    old_array.samples.cell_min.fresh = old_array.samples.cell_max.fresh = 3_V;
    CHECK(old_array.seconds_to("cell_extremes") == 30);
}

TEST_CASE("a charge that went through is counted from the last move of the state of charge, in the middle of it")
{
    // SAFE-028: of 100 Ah 5 Ah, which is 100 A for three minutes.
    const auto seconds = [](Percent soc, Current current, std::optional<Charge> capacity,
                             const std::function<void(Crossed&, int)>& each = {}) {
        Crossed c;
        c.samples.soc.fresh = soc;
        c.samples.current.fresh = current;
        c.capacity = capacity;
        for (int i = 0; i < 600; ++i) {
            if (each) each(c, i);
            c.look();
            if (c.find("soc_frozen") != nullptr) return i;
        }
        return 600;
    };
    const Charge capacity = Charge::from_milli(100'000);
    CHECK(seconds(50_pct, 100_A, capacity) == 181);  // more than 180 s of it
    CHECK(seconds(50_pct, -100_A, capacity) == 181);
    CHECK(seconds(Percent::from_milli(1001), -100_A, capacity) == 181);
    CHECK(seconds(1_pct, -100_A, capacity) == 600);
    CHECK(seconds(Percent::from_milli(98'999), 100_A, capacity) == 181);
    CHECK(seconds(99_pct, 100_A, capacity) == 600);
    CHECK(seconds(50_pct, 100_A, std::nullopt) == 600);
    CHECK(seconds(50_pct, 100_A, Charge{}) == 600);
    // It moved after a minute; once more, and the count begins there.
    CHECK(seconds(50_pct, 100_A, capacity, [](Crossed& c, int i) {
        if (i == 60) c.samples.soc.fresh = 51_pct;
    }) == 240);
    // While the current is not known nothing is counted, and not for the gap either.
    CHECK(seconds(50_pct, 100_A, capacity, [](Crossed& c, int i) {
        c.samples.current.fresh = i >= 60 && i < 120 ? std::nullopt : std::optional{100_A};
    }) == 242);
    // Nor is it judged while the state of charge is not known.
    CHECK(seconds(50_pct, 100_A, capacity,
              [](Crossed& c, int i) { c.samples.soc.fresh = i < 300 ? std::nullopt : std::optional{50_pct}; }) == 480);
    // What went in goes out: it ends where it began, and neither way overflows.
    CHECK(seconds(50_pct, 100_A, capacity,
              [](Crossed& c, int i) { c.samples.current.fresh = i / 100 % 2 == 0 ? 100_A : -100_A; }) == 600);
    Crossed long_away;
    long_away.samples.soc.fresh = 50_pct;
    long_away.samples.current.fresh = Current::from_milli(std::numeric_limits<std::int64_t>::max());
    long_away.capacity = capacity;
    for (int i = 0; i < 3; ++i) long_away.look(24h);
    CHECK(long_away.find("soc_frozen") != nullptr);
}

TEST_CASE("identity: a detected count, before a configured one, is what changes, with both numbers; each change by itself")
{
    // SAFE-116, SAFE-280
    FaultTable faults;
    SafetyConfig config;
    IdentityWatch watch;
    BatteryState battery;
    PackFacts told{.cells = 16};
    Instant now{std::chrono::hours{3}};
    bool in_use = true;
    std::optional<unsigned> configured = 16;
    const auto look = [&] {
        faults.number_battery(3);
        now += 1s;
        battery.cell_voltage_max.set(3300_mV, now);
        watch.update(battery, told, configured, in_use, {config, faults, now});
        faults.settle(now);
        return faults.faults().size();
    };
    const auto at = [&](std::size_t i) { return faults.faults()[i]; };
    CHECK(look() == 0);
    told.cells = 15;  // as the driver concludes it
    CHECK(look() == 0);
    CHECK(look() == 1);
    CHECK(at(0).id == FaultId::identity_changed);
    CHECK(at(0).detail.empty());
    CHECK(at(0).device_number == 3);
    CHECK(at(0).direction == Direction::both);
    CHECK(at(0).unit == Unit::count);
    CHECK(at(0).value_milli == 15'000);
    CHECK(at(0).limit_milli == 16'000);
    told.cells.reset();  // for good, whether known or not
    CHECK(look() == 1);
    CHECK(at(0).value_milli == 0);

    // Detected, it is held against the configured one, at once and with its own samples of single cells.
    watch = IdentityWatch{};
    faults = FaultTable{};
    told.cells = 16;
    battery.cell_count = 14;
    CHECK(look() == 1);
    CHECK(at(0).id == FaultId::identity_mismatch);
    CHECK(at(0).detail == "cells");
    CHECK(at(0).value_milli == 14'000);
    CHECK(at(0).limit_milli == 16'000);
    CHECK(at(0).device_number == 3);
    configured.reset();  // keeps what is there, as nobody knows better
    CHECK(look() == 1);
    watch = IdentityWatch{};
    faults = FaultTable{};
    battery.cell_gap = true;
    CHECK(look() == 1);
    CHECK(at(0).detail == "cell_gap");
    CHECK(at(0).device_number == 3);

    // Single cells, where there are any, say when there is something new.
    watch = IdentityWatch{};
    faults = FaultTable{};
    battery.cell_gap = false;
    battery.cells.set(CellVoltages{}, now);
    CHECK(look() == 0);
    battery.cell_count = 15;
    for (int i = 0; i < 5; ++i) CHECK(look() == 0);
    battery.cells.set(CellVoltages{}, now);
    CHECK(look() == 1);
    CHECK(at(0).value_milli == 15'000);
    CHECK(at(0).limit_milli == 14'000);
}

TEST_CASE("identity: capacity and window are watched from when they are known together with the cells, a tower by its serials")
{
    // SAFE-116
    struct Watched {
        FaultTable faults;
        SafetyConfig config;
        IdentityWatch watch;
        BatteryState battery;
        PackFacts told{.cells = 16, .energy_rated = 10_kWh, .voltage_max = 58_V, .voltage_min = 44_V};
        Instant now{std::chrono::hours{3}};
        std::vector<std::string> look(bool in_use = true, int rounds = 2)
        {
            for (int i = 0; i < rounds; ++i) {
                now += 1s;
                battery.cell_voltage_max.set(3300_mV, now);
                watch.update(battery, told, std::nullopt, in_use, {config, faults, now});
                faults.settle(now);
            }
            std::vector<std::string> found;
            for (const ActiveFault& f : faults.faults()) found.emplace_back(f.detail.view());
            return found;
        }
    };
    using Found = std::vector<std::string>;
    Watched guess;
    guess.told.cells.reset();
    CHECK(guess.look().empty());
    guess.told.energy_rated = 12_kWh;
    guess.told.voltage_max = 57_V;
    guess.told.voltage_min = 45_V;
    CHECK(guess.look().empty());
    guess.told.cells = 16;
    CHECK(guess.look().empty());
    guess.told.voltage_min = 44_V;
    CHECK(guess.look() == Found{"window"});
    guess.told.voltage_max = 58_V;  // both ends are one finding
    CHECK(guess.look() == Found{"window"});
    guess.told.energy_rated = 10_kWh;
    CHECK(guess.look() == Found{"window", "capacity"});

    Watched tower;
    Module m;
    m.address = 16;
    m.serial.assign("A");
    tower.battery.modules.push_back(m);
    CHECK(tower.look().empty());
    tower.told.energy_rated = 5_kWh;  // a module less
    CHECK(tower.look().empty());
    tower.battery.modules[0].serial.assign("B");
    CHECK(tower.look(false).empty());  // exchanged while nothing was connected
    CHECK(tower.look().empty());
    tower.battery.modules[0].serial.assign("C");
    CHECK(tower.look(true, 1).empty());
    CHECK(tower.look(true, 1) == Found{"module"});
    tower.battery.modules[0].serial.assign("B");
    CHECK(tower.look(true, 50) == Found{"module"});
}

TEST_CASE("a finding stays for as long as what was found, and thirty seconds more")
{
    // SAFE-028, SAFE-042
    Crossed c;
    c.samples.voltage.fresh = 110_V;
    c.samples.current.fresh = 0_A;
    c.samples.cell_min.fresh = 3301_mV;
    c.samples.cell_max.fresh = 3300_mV;
    c.samples.temperature_min.fresh = 21_degC;
    c.samples.temperature_max.fresh = 20_degC;
    bool well = false;
    const auto each = [&] {
        c.cells(3300_mV, well ? 3300_mV : 3400_mV);
        c.inverter.voltage.set(well ? 110_V : 120_V, c.now + 1s);
        c.inverter.current.set(well ? 0_A : 20_A, c.now + 1s);
    };
    constexpr std::array all{
        "cell_sum", "cell_order", "temperature_order", "cell_extremes", "inverter_voltage", "inverter_current"};
    for (int i = 0; i < 100; ++i) {
        each();
        c.look();
    }
    for (const char* what : all) {
        CAPTURE(what);
        CHECK(c.find(what) != nullptr);
    }
    well = true;
    c.samples.voltage.fresh = 13'200_mV;
    c.samples.cell_min.fresh = 3300_mV;
    c.samples.temperature_min.fresh = 20_degC;
    c.inverter.voltage.forget();
    for (int i = 0; i <= 30; ++i) {
        each();
        c.inverter.voltage.set(13'200_mV, c.now + 1s);
        c.look();
        for (const char* what : all) {
            CAPTURE(what);
            CHECK((c.find(what) != nullptr) == (i < 30));
        }
    }
}

TEST_CASE("identity: a mismatch stays for as long as there is one, and thirty seconds more")
{
    // SAFE-116
    for (const bool gap : {false, true}) {
        FaultTable faults;
        SafetyConfig config;
        IdentityWatch watch;
        BatteryState battery;
        Instant now{std::chrono::hours{3}};
        const auto look = [&] {
            now += 1s;
            battery.cell_voltage_max.set(3300_mV, now);
            watch.update(battery, {}, 16, false, {config, faults, now});
            faults.settle(now);
            return faults.faults().size() == 1;
        };
        battery.cell_count = gap ? 16 : 15;
        battery.cell_gap = gap;
        for (int i = 0; i < 100; ++i) CHECK(look());
        battery.cell_count = 16;
        battery.cell_gap = false;
        for (int i = 0; i <= 30; ++i) CHECK(look() == (i < 30));
    }
}
