// What a fault tells of the value that set it: people read it in the log and on the dashboard.
#include "tests/safety/house.hpp"

#include <doctest/doctest.h>

#include <array>

using namespace batgw;
using batgw::test::House;

TEST_CASE("a fault of a measured value tells the value, its unit and where the bound is")
{
    // SAFE-047
    struct Case {
        FaultId id;
        void (*make)(House&);
        Unit unit;
        std::int64_t value_milli, limit_milli;
    };
    const std::array cases{
        Case{FaultId::cell_high, [](House& h) { h.cell_max = 3610_mV; }, Unit::volt, 3610, 3600},
        Case{FaultId::cell_low, [](House& h) { h.cell_min = 2790_mV; }, Unit::volt, 2790, 2800},
        Case{FaultId::cell_high_curve, [](House& h) { h.cell_max = 3460_mV; }, Unit::volt, 3460, 3450},
        Case{FaultId::cell_low_curve, [](House& h) { h.cell_min = 3090_mV; }, Unit::volt, 3090, 3100},
        Case{FaultId::cell_dev, [](House& h) { h.cell_min = 3150_mV; }, Unit::volt, 160, 150},
        Case{FaultId::pack_high, [](House& h) { h.voltage = 421_V; }, Unit::volt, 421'000, 420'000},
        Case{FaultId::pack_low, [](House& h) { h.voltage = 349_V; }, Unit::volt, 349'000, 350'000},
        Case{FaultId::temp_hot, [](House& h) { h.temperature_max = 51_degC; }, Unit::celsius, 51'000, 50'000},
        Case{FaultId::temp_cold, [](House& h) { h.temperature_min = -1_degC; }, Unit::celsius, -1000, 0},
        Case{FaultId::temp_spread, [](House& h) { h.temperature_max = 34_degC; }, Unit::kelvin, 11'000, 10'000},
        Case{FaultId::soc_low, [](House& h) { h.soc = 9_pct; }, Unit::percent, 9000, 10'000},
        Case{FaultId::soc_curve, [](House& h) { h.soc = 12_pct; }, Unit::percent, 12'000, 15'000},
        Case{FaultId::bat_link_lost, [](House& h) { h.pack_speaks = false; }, Unit::second, 10'000, 10'000},
        Case{FaultId::plausibility, [](House& h) { h.also = [&h] { h.inverter.voltage.set(380_V, h.now); }; }, Unit::volt, 20'000,
            8000},
        Case{FaultId::overcurrent, [](House& h) { h.current = 28_A; }, Unit::ampere, 28'000, 27'500},
        Case{FaultId::overcurrent, [](House& h) { h.current = -28_A; }, Unit::ampere, -28'000, -27'500},
    };
    for (const Case& c : cases) {
        CAPTURE(to_string(c.id));
        House house;
        house.up();
        c.make(house);
        house.step();
        house.time_until([&] { return house.has(c.id) && house.fault(c.id)->level >= FaultClass::warn; }, 70s);
        const ActiveFault* const f = house.fault(c.id);
        REQUIRE(f != nullptr);
        CHECK(f->has_value);
        CHECK(f->unit == c.unit);
        CHECK(f->value_milli == c.value_milli);
        CHECK(f->limit_milli == c.limit_milli);
    }
}

TEST_CASE("a fault of one cell tells which, a fault of all of them none")
{
    // SAFE-047
    struct Case {
        FaultId id;
        void (*make)(House&);
        unsigned number;
    };
    const std::array cases{Case{FaultId::cell_high, [](House& h) { h.cell_max = 3610_mV; }, 17},
        Case{FaultId::cell_high_curve, [](House& h) { h.cell_max = 3460_mV; }, 17},
        Case{FaultId::cell_low, [](House& h) { h.cell_min = 2790_mV; }, 110},
        Case{FaultId::cell_low_curve, [](House& h) { h.cell_min = 3090_mV; }, 110},
        Case{FaultId::cell_dev, [](House& h) { h.cell_min = 3090_mV; }, 0}};
    for (const Case& c : cases) {
        CAPTURE(to_string(c.id));
        House house;
        house.also = [&house] {
            house.state.cell_max_number.set(Count::from_milli(17'000), house.now);
            house.state.cell_min_number.set(Count::from_milli(110'000), house.now);
        };
        house.run(1s);
        c.make(house);
        house.run(61s);
        REQUIRE(house.has(c.id));
        CHECK(house.fault(c.id)->number == c.number);
    }
}

TEST_CASE("an overcurrent that stays because nobody knows the current any more tells no value")
{
    // SAFE-041, SAFE-047
    House house;
    house.run(1s);
    house.current = 28_A;
    house.run(11s);
    REQUIRE(house.has(FaultId::overcurrent));
    CHECK(house.fault(FaultId::overcurrent)->has_value);
    house.silent.insert(SignalId::current);
    house.run(3s);
    REQUIRE(house.has(FaultId::overcurrent));
    CHECK_FALSE(house.fault(FaultId::overcurrent)->has_value);
}
