// The state of charge that an inverter is shown where it is scaled to the window.
#include "safety/shown_soc.hpp"

#include "safety/conditions.hpp"
#include "safety/grant_writer.hpp"

#include <doctest/doctest.h>

#include <optional>

using namespace batgw;

namespace {

SafetyConfig::Soc window(Percent min, Percent max)
{
    SafetyConfig::Soc rule;
    rule.scaling = true;
    rule.min = min;
    rule.max = max;
    return rule;
}

// A verdict without a grant and with one fault.
Verdict blocked(FaultId id, FaultClass level, Direction direction)
{
    Verdict v;
    v.charge = v.discharge = GrantWriter::nothing(Cause::soc);
    v.faults.push_back(condition(id, level, direction, Device::battery));
    return v;
}

}  // namespace

TEST_CASE("shown soc: the window becomes 1 to 99 percent; empty and full are said when the block is there, not before")
{
    // SAFE-115
    const auto rule = window(10_pct, 90_pct);
    const Verdict flows;
    CHECK(shown_soc(rule, 50_pct, flows) == 50_pct);
    CHECK(shown_soc(rule, 30_pct, flows) == 25_pct);
    CHECK(shown_soc(rule, Percent::from_milli(30'001), flows) == Percent::from_milli(25'001));
    CHECK(shown_soc(rule, 10_pct, flows) == 1_pct);
    CHECK(shown_soc(rule, 0_pct, flows) == 1_pct);
    CHECK(shown_soc(rule, 90_pct, flows) == 99_pct);
    CHECK(shown_soc(rule, 100_pct, flows) == 99_pct);
    CHECK_FALSE(shown_soc(rule, std::nullopt, flows));
    SafetyConfig::Soc plain = rule;
    plain.scaling = false;
    CHECK_FALSE(shown_soc(plain, 50_pct, flows));
    // A window of nothing is taken as one percent wide.
    CHECK(shown_soc(window(50_pct, 50_pct), Percent::from_milli(50'500), flows) == 50_pct);

    const Verdict full = blocked(FaultId::soc_high, FaultClass::block, Direction::charge);
    CHECK(shown_soc(rule, 90_pct, full) == 100_pct);
    CHECK(shown_soc(rule, 10_pct, full) == 1_pct);
    const Verdict empty = blocked(FaultId::soc_low, FaultClass::block, Direction::discharge);
    CHECK(shown_soc(rule, 10_pct, empty) == 0_pct);
    CHECK(shown_soc(rule, 90_pct, empty) == 99_pct);
}

TEST_CASE("shown soc: full and empty are told by cells, pack and state of charge alone, blocked in their own direction")
{
    // SAFE-115
    const auto rule = window(10_pct, 90_pct);
    for (const FaultId id : {FaultId::soc_high, FaultId::cell_high, FaultId::cell_high_crit, FaultId::pack_high}) {
        CAPTURE(to_string(id));
        CHECK(shown_soc(rule, 100_pct, blocked(id, FaultClass::block, Direction::charge)) == 100_pct);
        CHECK(shown_soc(rule, 100_pct, blocked(id, FaultClass::trip, Direction::both)) == 100_pct);
        CHECK(shown_soc(rule, 100_pct, blocked(id, FaultClass::derate, Direction::charge)) == 99_pct);
        CHECK(shown_soc(rule, 100_pct, blocked(id, FaultClass::block, Direction::discharge)) == 99_pct);
        CHECK(shown_soc(rule, 0_pct, blocked(id, FaultClass::block, Direction::both)) == 1_pct);
    }
    for (const FaultId id :
        {FaultId::soc_low, FaultId::cell_low, FaultId::cell_low_crit, FaultId::cell_deep, FaultId::pack_low}) {
        CAPTURE(to_string(id));
        CHECK(shown_soc(rule, 0_pct, blocked(id, FaultClass::block, Direction::discharge)) == 0_pct);
        CHECK(shown_soc(rule, 0_pct, blocked(id, FaultClass::derate, Direction::discharge)) == 1_pct);
        CHECK(shown_soc(rule, 0_pct, blocked(id, FaultClass::block, Direction::charge)) == 1_pct);
        CHECK(shown_soc(rule, 100_pct, blocked(id, FaultClass::block, Direction::both)) == 99_pct);
    }
    CHECK(shown_soc(rule, 100_pct, blocked(FaultId::temp_cold, FaultClass::block, Direction::both)) == 99_pct);
    // As long as something may flow it is neither.
    Verdict both = blocked(FaultId::soc_high, FaultClass::block, Direction::both);
    both.faults.push_back(condition(FaultId::soc_low, FaultClass::block, Direction::both, Device::battery));
    CHECK(shown_soc(rule, 100_pct, both) == 100_pct);
    CHECK(shown_soc(rule, 0_pct, both) == 0_pct);
    both.charge = GrantWriter::write(1_W, 1_A, Cause::ramp);
    CHECK(shown_soc(rule, 100_pct, both) == 99_pct);
    both.discharge = GrantWriter::write(1_W, 1_A, Cause::ramp);
    CHECK(shown_soc(rule, 0_pct, both) == 1_pct);
}
