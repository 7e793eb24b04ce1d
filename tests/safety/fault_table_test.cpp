#include "safety/fault_table.hpp"

#include "safety/conditions.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <optional>
#include <string>
#include <string_view>

using namespace batgw;

namespace {

constexpr Instant t0{Duration{12'345'678'901}};
constexpr std::array classes{
    FaultClass::info, FaultClass::warn, FaultClass::derate, FaultClass::block, FaultClass::trip, FaultClass::emergency};

ActiveFault fault(FaultId id, FaultClass level, Direction direction = Direction::none, std::string_view detail = {})
{
    ActiveFault f = condition(id, level, direction, Device::battery);
    f.detail.assign(detail);
    return f;
}

const ActiveFault* listed(const FaultTable& table, FaultId id)
{
    const auto* found = std::find_if(table.faults().begin(), table.faults().end(), [id](const auto& f) { return f.id == id; });
    return found == table.faults().end() ? nullptr : found;
}

}  // namespace

TEST_CASE("a fault sets after its delay and enough distinct samples, not before")
{
    // SAFE-041
    const Persistence trip{.delay = 2s, .samples = samples_to_trip};
    SUBCASE("on samples 1 and 2 only")
    {
        Detector d;
        REQUIRE_FALSE(d.update({true, true, false, 1}, trip, t0));
        REQUIRE_FALSE(d.update({true, true, false, 2}, trip, t0 + 1s));
        REQUIRE_FALSE(d.update({true, false, true, 3}, trip, t0 + 3s));
        REQUIRE_FALSE(d.update({true, true, false, 4}, trip, t0 + 4s));
    }
    SUBCASE("on samples 1, 2 and 3")
    {
        Detector d;
        d.update({true, true, false, 1}, trip, t0);
        d.update({true, true, false, 2}, trip, t0 + 1s);
        REQUIRE_FALSE(d.update({true, true, false, 3}, trip, t0 + 2s - 1us));
        REQUIRE(d.update({true, true, false, 3}, trip, t0 + 2s));
    }
    SUBCASE("a condition that comes again has its whole delay before it")
    {
        Detector d;
        d.update({true, true, false, 1}, trip, t0);
        d.update({true, true, false, 2}, trip, t0 + 1900ms);
        d.update({true, false, true, 3}, trip, t0 + 1950ms);
        d.update({true, true, false, 4}, trip, t0 + 10s);
        d.update({true, true, false, 5}, trip, t0 + 11s);
        REQUIRE_FALSE(d.update({true, true, false, 6}, trip, t0 + 12s - 1us));
        REQUIRE(d.update({true, true, false, 7}, trip, t0 + 12s));
    }
    SUBCASE("the same sample looked at for long is one sample")
    {
        Detector d;
        for (Duration t = 0s; t < 60s; t += 100ms) REQUIRE_FALSE(d.update({true, true, false, 7}, trip, t0 + t));
    }
    SUBCASE("BLOCK wants two")
    {
        Detector d;
        const Persistence block{.delay = 0s, .samples = samples_to_block};
        REQUIRE_FALSE(d.update({true, true, false, 7}, block, t0));
        REQUIRE_FALSE(d.update({true, true, false, 7}, block, t0 + 1s));
        REQUIRE(d.update({true, true, false, 8}, block, t0 + 1s));
    }
}

TEST_CASE("a stale signal freezes the counters of a fault: they neither advance nor reset")
{
    // SAFE-041
    const Persistence trip{.delay = 2s, .samples = 3};
    Detector d;
    d.update({true, true, false, 1}, trip, t0);
    d.update({true, true, false, 2}, trip, t0 + 1s);
    for (Duration t = 1100ms; t < 30s; t += 100ms) REQUIRE_FALSE(d.update({false, false, false, 2}, trip, t0 + t));
    // Fresh again: one second is still missing, the samples of before count.
    REQUIRE_FALSE(d.update({true, true, false, 3}, trip, t0 + 30s));
    REQUIRE_FALSE(d.update({true, true, false, 3}, trip, t0 + 31s - 1us));
    REQUIRE(d.update({true, true, false, 3}, trip, t0 + 31s));
}

TEST_CASE("a fault ends when its clear condition held without a break, and unknown is a break")
{
    // SAFE-042
    const Persistence rule{.delay = 0s, .samples = 1, .hold = 30s};
    Detector d;
    REQUIRE(d.update({true, true, false, 1}, rule, t0));
    Instant now = t0 + 1s;
    REQUIRE(d.update({true, false, true, 2}, rule, now));
    REQUIRE(d.update({true, false, true, 3}, rule, now + 29s));
    SUBCASE("held")
    {
        REQUIRE(d.update({true, false, true, 4}, rule, now + 30s - 1us));
        REQUIRE_FALSE(d.update({true, false, true, 4}, rule, now + 30s));
    }
    SUBCASE("a value between the thresholds starts the hold anew")
    {
        d.update({true, false, false, 4}, rule, now + 29s);
        d.update({true, false, true, 5}, rule, now + 30s);
        REQUIRE(d.update({true, false, true, 6}, rule, now + 60s - 1us));
        REQUIRE_FALSE(d.update({true, false, true, 7}, rule, now + 60s));
    }
    SUBCASE("so does a stale one")
    {
        d.update({false, false, false, 3}, rule, now + 29s);
        d.update({true, false, true, 5}, rule, now + 30s);
        REQUIRE(d.update({true, false, true, 6}, rule, now + 60s - 1us));
    }
    SUBCASE("reset ends it")
    {
        d.reset();
        REQUIRE_FALSE(d.active());
    }
}

TEST_CASE("the effect of two faults is the more restrictive of each, whatever their classes, directions and order")
{
    // SAFE-040
    constexpr std::array directions{Direction::none, Direction::charge, Direction::discharge, Direction::both};
    const auto alone = [](FaultClass level, Direction d) {
        if (level >= FaultClass::trip) return Direction::both;
        return level == FaultClass::block ? d : Direction::none;
    };
    for (const FaultClass a : classes)
        for (const FaultClass b : classes)
            for (const Direction da : directions)
                for (const Direction db : directions) {
                    FaultTable table;
                    table.report(fault(FaultId::cell_high, a, da));
                    table.report(fault(FaultId::temp_hot, b, db));
                    REQUIRE(table.preview(t0).worst == std::max(a, b));
                    REQUIRE(table.preview(t0).blocked == (alone(a, da) | alone(b, db)));
                    table.settle(t0);
                    REQUIRE(table.effect().worst == std::max(a, b));
                    REQUIRE(table.effect().blocked == (alone(a, da) | alone(b, db)));
                    REQUIRE(table.faults().size() == 2);
                    for (const ActiveFault& f : table.faults()) REQUIRE(f.latched == (f.level >= FaultClass::trip));
                }
}

TEST_CASE("TRIP and EMERGENCY stay until they are reset, the rest goes by itself")
{
    // SAFE-040
    for (const FaultClass level : classes) {
        FaultTable table;
        table.report(fault(FaultId::cell_high, level, Direction::both));
        table.settle(t0);
        for (int i = 1; i < 100; ++i) table.settle(t0 + i * 1h);
        const bool latched = level >= FaultClass::trip;
        REQUIRE(table.faults().empty() == !latched);
        REQUIRE(table.effect().worst == (latched ? level : FaultClass::none));
        REQUIRE(table.any_latched() == latched);
        REQUIRE(table.latched(FaultId::cell_high, Device::battery) == latched);
        REQUIRE_FALSE(table.latched(FaultId::cell_high, Device::inverter));
        REQUIRE_FALSE(table.latched(FaultId::temp_hot, Device::battery));
        REQUIRE(table.reset(fault(FaultId::cell_high, level)) == latched);
        REQUIRE_FALSE(table.reset(fault(FaultId::temp_hot, level)));
        REQUIRE_FALSE(table.any_latched());
        table.settle(t0 + 100h);
        REQUIRE(table.faults().empty());
        REQUIRE(table.effect().worst == FaultClass::none);
    }
}

TEST_CASE("a latched fault keeps the class and the values it latched with; only something worse replaces them")
{
    FaultTable table;
    ActiveFault f = fault(FaultId::overcurrent, FaultClass::trip, Direction::both);
    f.has_value = true;
    f.value_milli = 40'000;
    table.report(f);
    table.settle(t0);
    f.value_milli = 1;
    f.level = FaultClass::block;
    table.report(f);
    table.settle(t0 + 1s);
    REQUIRE(table.faults()[0].level == FaultClass::trip);
    REQUIRE(table.faults()[0].value_milli == 40'000);
    REQUIRE(table.changes().empty());
    f.level = FaultClass::trip;
    f.value_milli = 2;
    table.settle(t0 + 2s);
    table.report(f);
    table.settle(t0 + 3s);
    REQUIRE(table.faults()[0].value_milli == 40'000);
    REQUIRE(table.faults()[0].count == 2);
    f.level = FaultClass::emergency;
    table.report(f);
    table.settle(t0 + 4s);
    REQUIRE(table.faults()[0].level == FaultClass::emergency);
    REQUIRE(table.faults()[0].since == t0);
    REQUIRE(table.faults()[0].count == 2);
    REQUIRE(table.faults()[0].last == t0 + 4s);
}

TEST_CASE("what was latched before a restart is latched after it")
{
    FaultTable table;
    table.restore(fault(FaultId::cell_high_crit, FaultClass::trip, Direction::both));
    table.settle(t0);
    REQUIRE(table.effect().worst == FaultClass::trip);
    REQUIRE(table.faults()[0].latched);
    table.settle(t0 + 24h);
    REQUIRE(table.effect().blocks_all());
}

TEST_CASE("a fault of one id may have several classes: the worst counts, and changes of class are told")
{
    FaultTable table;
    table.report(fault(FaultId::cell_dev, FaultClass::warn));
    table.settle(t0);
    REQUIRE(table.changes().size() == 1);
    REQUIRE(table.changes()[0].what == FaultTable::Change::What::set);

    table.report(fault(FaultId::cell_dev, FaultClass::warn));
    table.report(fault(FaultId::cell_dev, FaultClass::block, Direction::charge));
    table.report(fault(FaultId::cell_dev, FaultClass::block, Direction::discharge));
    table.settle(t0 + 1s);
    REQUIRE(table.faults().size() == 1);
    REQUIRE(table.faults()[0].level == FaultClass::block);
    REQUIRE(table.effect().blocks_all());
    REQUIRE(table.changes().size() == 1);
    REQUIRE(table.changes()[0].what == FaultTable::Change::What::level);
    REQUIRE(table.changes()[0].before == FaultClass::warn);
    REQUIRE(table.faults()[0].since == t0);

    table.report(fault(FaultId::cell_dev, FaultClass::derate, Direction::charge));
    table.settle(t0 + 2s);
    REQUIRE(table.changes().size() == 1);
    REQUIRE(table.changes()[0].before == FaultClass::block);
    REQUIRE(table.effect().blocked == Direction::none);
    table.settle(t0 + 3s);
    REQUIRE(table.changes().size() == 1);
    REQUIRE(table.changes()[0].what == FaultTable::Change::What::cleared);
    REQUIRE(table.changes()[0].before == FaultClass::derate);
    table.settle(t0 + 4s);
    REQUIRE(table.changes().empty());
}

TEST_CASE("details and devices tell faults of one id apart")
{
    FaultTable table;
    table.report(fault(FaultId::sig_stale, FaultClass::block, Direction::charge, "soc"));
    table.report(fault(FaultId::sig_stale, FaultClass::block, Direction::discharge, "current"));
    ActiveFault other = fault(FaultId::sig_stale, FaultClass::warn, Direction::none, "soc");
    other.device = Device::inverter;
    table.report(other);
    other.device_number = 2;
    table.report(other);
    table.settle(t0);
    REQUIRE(table.faults().size() == 4);
}

TEST_CASE("a fault stays until it has not been reported for its hold")
{
    FaultTable table;
    const ActiveFault refused = fault(FaultId::tx_guard_refused, FaultClass::block, Direction::both);
    table.report(refused, 30s);
    table.settle(t0);
    table.settle(t0 + 10s);  // first seen to be absent
    REQUIRE(table.preview(t0 + 20s).blocks_all());
    table.settle(t0 + 40s - 1us);
    REQUIRE(table.effect().blocks_all());
    SUBCASE("over")
    {
        REQUIRE_FALSE(table.preview(t0 + 40s).blocks_all());
        table.settle(t0 + 40s);
        REQUIRE(table.faults().empty());
    }
    SUBCASE("once more")
    {
        table.report(refused, 30s);
        table.settle(t0 + 40s);
        table.settle(t0 + 41s);
        table.settle(t0 + 71s - 1us);
        REQUIRE(table.effect().blocks_all());
        table.settle(t0 + 71s);
        REQUIRE(table.faults().empty());
    }
}

TEST_CASE("a soft BLOCK is shown and takes nothing away by itself")
{
    FaultTable table;
    table.report(fault(FaultId::sig_stale, FaultClass::block, Direction::both, "current"), 0s, true);
    table.settle(t0);
    REQUIRE(table.effect().worst == FaultClass::block);
    REQUIRE(table.effect().blocked == Direction::none);
    REQUIRE(table.blocking(Direction::charge) == nullptr);
    table.report(fault(FaultId::sig_stale, FaultClass::block, Direction::both, "current"));
    table.settle(t0 + 3s);
    REQUIRE(table.effect().blocks_all());
    REQUIRE(table.blocking(Direction::charge)->id == FaultId::sig_stale);
}

TEST_CASE("the first cause is the fault a chain began with, however many follow and even when it has gone")
{
    // SAFE-047
    FaultTable table;
    table.report(fault(FaultId::unverified_driver, FaultClass::warn));
    table.settle(t0);
    REQUIRE_FALSE(table.first_cause());
    const auto chain = [&](Duration at, bool cause, bool more) {
        table.report(fault(FaultId::unverified_driver, FaultClass::warn));
        if (cause) table.report(fault(FaultId::sig_stale, FaultClass::block, Direction::both, "voltage"));
        if (more) {
            table.report(fault(FaultId::bat_link_lost, FaultClass::block, Direction::both));
            table.report(fault(FaultId::contactor_feedback, FaultClass::trip, Direction::both));
            table.report(fault(FaultId::bms_fault, FaultClass::block, Direction::both));
        }
        table.settle(t0 + at);
    };
    chain(1s, true, false);
    chain(2s, true, true);
    REQUIRE(table.first_cause()->id == FaultId::sig_stale);
    REQUIRE(table.first_cause()->since == t0 + 1s);
    chain(3s, false, true);
    REQUIRE(table.first_cause()->id == FaultId::sig_stale);
    table.reset(fault(FaultId::contactor_feedback, FaultClass::trip));
    chain(4s, false, false);
    REQUIRE_FALSE(table.first_cause());
    chain(5s, false, true);
    // Of several at once the worst.
    REQUIRE(table.first_cause()->id == FaultId::contactor_feedback);
}

TEST_CASE("while nothing is blocked the first cause is the oldest reduction")
{
    FaultTable table;
    const auto derate = [](FaultId id) { return fault(id, FaultClass::derate, Direction::charge); };
    table.report(derate(FaultId::temp_curve));
    table.settle(t0);
    table.report(derate(FaultId::cell_high_curve));
    table.report(derate(FaultId::temp_curve));
    table.settle(t0 + 1s);
    REQUIRE(table.first_cause()->id == FaultId::temp_curve);
}

TEST_CASE("of what came at the same time the first that was told is the first cause, in whichever place it stands")
{
    // SAFE-047
    for (const FaultClass level : {FaultClass::derate, FaultClass::block, FaultClass::trip}) {
        FaultTable table;
        table.report(fault(FaultId::temp_hot, level, Direction::charge));
        table.report(fault(FaultId::cell_high, level, Direction::charge));
        table.settle(t0);
        REQUIRE(table.first_cause());
        CHECK(table.first_cause()->id == FaultId::temp_hot);
    }
    // A reduction that takes the place of a warning is younger than those behind it.
    FaultTable table;
    const auto fill = [&] {
        for (std::size_t i = 0; i + 1 < Faults::capacity(); ++i)
            table.report(
                fault(FaultId::bms_fault, i == 0 ? FaultClass::info : FaultClass::derate, Direction::none, std::to_string(i)));
    };
    fill();
    table.settle(t0);
    fill();
    table.report(fault(FaultId::temp_curve, FaultClass::derate, Direction::charge));
    table.settle(t0 + 1s);
    REQUIRE(table.faults()[0].id == FaultId::temp_curve);
    CHECK(table.first_cause()->detail == "1");
}

TEST_CASE("a latch may be reset when its cause has been gone for a minute, where nothing else is said")
{
    // SAFE-045
    FaultTable table;
    ActiveFault crit = fault(FaultId::cell_high_crit, FaultClass::trip, Direction::both);
    crit.resettable = true;  // not for him to say who reports it
    table.report(crit);
    table.settle(t0);
    CHECK_FALSE(table.faults()[0].resettable);
    const Evidence all{.battery = true, .inverter = true};
    table.settle(t0 + 1s, all);
    table.settle(t0 + 61s - 1us, all);
    CHECK_FALSE(table.faults()[0].resettable);
    table.settle(t0 + 61s, all);
    CHECK(table.faults()[0].resettable);
    crit.id = FaultId::temp_hot;
    crit.level = FaultClass::block;
    table.report(crit);
    table.settle(t0 + 62s, all);
    CHECK_FALSE(listed(table, FaultId::temp_hot)->resettable);
}

TEST_CASE("what was reset is over with the next round, however long it would have been held")
{
    // SAFE-045
    FaultTable table;
    const ActiveFault crit = fault(FaultId::cell_high_crit, FaultClass::trip, Direction::both);
    table.report(crit, 300s);
    table.settle(t0);
    table.settle(t0 + 100s);
    REQUIRE(table.reset(crit));
    table.settle(t0 + 101s);
    CHECK(table.faults().empty());
}

TEST_CASE("of several faults that block, the worst and then the oldest is named")
{
    FaultTable table;
    table.report(fault(FaultId::cell_high, FaultClass::block, Direction::charge));
    table.settle(t0);
    table.report(fault(FaultId::temp_hot, FaultClass::block, Direction::charge));
    table.report(fault(FaultId::cell_high, FaultClass::block, Direction::charge));
    table.settle(t0 + 1s);
    REQUIRE(table.blocking(Direction::charge)->id == FaultId::cell_high);
    REQUIRE(table.blocking(Direction::discharge) == nullptr);
    table.report(fault(FaultId::temp_hot, FaultClass::trip, Direction::both));
    table.settle(t0 + 2s);
    REQUIRE(table.blocking(Direction::discharge)->id == FaultId::temp_hot);
}

TEST_CASE("a full table gives up its mildest fault, one that finds no room acts all the same, and both are told")
{
    // SAFE-040
    FaultTable table;
    const auto code = [](std::size_t i) { return std::to_string(i); };
    const std::size_t places = Faults::capacity() - 1;
    const auto fill = [&](FaultClass sixth) {
        for (std::size_t i = 0; i < places; ++i)
            table.report(fault(FaultId::bms_fault, i == 5 ? sixth : FaultClass::block, Direction::charge, code(i)));
    };
    fill(FaultClass::warn);
    table.settle(t0);
    REQUIRE(table.faults().size() == places);
    REQUIRE(listed(table, FaultId::too_many_faults) == nullptr);

    fill(FaultClass::warn);
    table.report(fault(FaultId::temp_hot, FaultClass::block, Direction::discharge));
    REQUIRE(table.preview(t0).blocks_all());
    table.settle(t0 + 1s);
    REQUIRE(table.effect().blocks_all());
    REQUIRE(table.faults().full());
    REQUIRE(table.changes().size() == 3);  // the warning gone, the new one there, and that it is so
    REQUIRE(listed(table, FaultId::too_many_faults)->level == FaultClass::warn);
    REQUIRE(listed(table, FaultId::too_many_faults)->direction == Direction::none);

    fill(FaultClass::block);
    table.report(fault(FaultId::temp_hot, FaultClass::block, Direction::discharge));
    table.settle(t0 + 2s);
    REQUIRE(listed(table, FaultId::too_many_faults)->level == FaultClass::block);
    REQUIRE(listed(table, FaultId::too_many_faults)->direction == Direction::both);
    REQUIRE(table.effect().blocks_all());
    // A BLOCK without a place has no hold of its own: this one is held in its stead.
    for (int s = 3; s <= 33; ++s) {
        table.settle(t0 + s * 1s);
        REQUIRE(table.effect().blocks_all() == (s < 33));
    }
    REQUIRE(table.faults().empty());
    REQUIRE(table.effect().worst == FaultClass::none);
    REQUIRE(table.effect().blocked == Direction::none);
}

TEST_CASE("a latch that finds no place, or loses it to a worse one, is kept by TOO_MANY_FAULTS")
{
    // SAFE-040, SAFE-046
    const auto code = [](std::size_t i) { return std::to_string(i); };
    const auto full = [&] {
        FaultTable table;
        for (std::size_t i = 0; i + 1 < Faults::capacity(); ++i)
            table.report(fault(FaultId::bms_fault, FaultClass::trip, Direction::both, code(i)));
        table.settle(t0);
        return table;
    };
    FaultTable table = full();
    SUBCASE("a trip too many")
    {
        table.report(fault(FaultId::temp_crit, FaultClass::trip, Direction::both));
        table.settle(t0 + 1s);
        REQUIRE(listed(table, FaultId::temp_crit) == nullptr);
    }
    SUBCASE("an emergency takes the place of a trip")
    {
        table.report(fault(FaultId::temp_event, FaultClass::emergency, Direction::both));
        table.settle(t0 + 1s);
        REQUIRE(listed(table, FaultId::temp_event)->latched);
    }
    SUBCASE("more restored than there are places")
    {
        table.restore(fault(FaultId::temp_crit, FaultClass::trip, Direction::both));
        table.settle(t0 + 1s);
    }
    table.settle(t0 + 100s);
    const ActiveFault* kept = listed(table, FaultId::too_many_faults);
    REQUIRE(kept != nullptr);
    REQUIRE(kept->level == FaultClass::trip);
    REQUIRE(kept->latched);
    REQUIRE(table.faults().full());

    // A second emergency finds no place either, once all are taken by such.
    for (std::size_t i = 0; i < Faults::capacity(); ++i)
        table.report(fault(FaultId::contactor_welded, FaultClass::emergency, Direction::both, code(i)));
    table.settle(t0 + 101s);
    REQUIRE(listed(table, FaultId::too_many_faults)->level == FaultClass::emergency);
    REQUIRE(table.faults().full());
}

TEST_CASE("a class that does not exist is treated as the worst")
{
    // SAFE-003
    FaultTable table;
    table.report(fault(FaultId::bms_fault, static_cast<FaultClass>(99), Direction::none));
    table.settle(t0);
    REQUIRE(table.effect().blocks_all());
    REQUIRE(table.effect().worst == FaultClass::emergency);
}

TEST_CASE("two that report one fault: the longer hold counts, in either order")
{
    // SAFE-042
    for (const bool longer_first : {false, true}) {
        FaultTable table;
        const ActiveFault f = fault(FaultId::bms_fault, FaultClass::block, Direction::charge);
        table.report(f, longer_first ? 60s : 5s);
        table.report(f, longer_first ? 5s : 60s);
        table.settle(t0);
        for (Instant now = t0 + 1s; now <= t0 + 60s; now += 1s) {
            table.settle(now);
            REQUIRE(listed(table, FaultId::bms_fault) != nullptr);
        }
        table.settle(t0 + 61s);
        REQUIRE(listed(table, FaultId::bms_fault) == nullptr);
    }
}

TEST_CASE("what blocks is told by its worst, and of several as bad by the one that came first")
{
    // SAFE-047
    FaultTable table;
    const auto round = [&](Instant now, std::initializer_list<ActiveFault> faults) {
        for (const ActiveFault& f : faults) table.report(f);
        table.settle(now);
        const ActiveFault* const found = table.blocking(Direction::charge);
        return found == nullptr ? std::nullopt : std::optional{found->id};
    };
    const ActiveFault hot = fault(FaultId::temp_hot, FaultClass::block, Direction::charge);
    const ActiveFault high = fault(FaultId::cell_high, FaultClass::block, Direction::charge);
    const ActiveFault empty = fault(FaultId::soc_low, FaultClass::block, Direction::discharge);
    const ActiveFault crit = fault(FaultId::cell_high_crit, FaultClass::trip, Direction::both);
    REQUIRE_FALSE(round(t0, {empty}));
    REQUIRE(round(t0 + 1s, {empty, hot}) == FaultId::temp_hot);
    REQUIRE(round(t0 + 2s, {empty, high, hot}) == FaultId::temp_hot);
    REQUIRE(round(t0 + 3s, {empty, high, hot, crit}) == FaultId::cell_high_crit);
    REQUIRE(table.blocking(Direction::discharge)->id == FaultId::cell_high_crit);
}

TEST_CASE("a milder report beside a worse one of the same round adds nothing to it, whichever comes first")
{
    // SAFE-040
    for (const bool milder_first : {false, true}) {
        FaultTable table;
        const ActiveFault worse = fault(FaultId::cell_dev, FaultClass::block, Direction::charge);
        const ActiveFault milder = fault(FaultId::cell_dev, FaultClass::derate, Direction::discharge);
        if (milder_first) table.report(milder, 60s, true);
        table.report(worse, 5s);
        if (!milder_first) table.report(milder, 60s, true);
        table.settle(t0);
        CHECK(table.effect().blocked == Direction::charge);
        CHECK(table.faults()[0].direction == Direction::charge);
        table.settle(t0 + 1s);
        table.settle(t0 + 6s);
        CHECK(table.faults().empty());
    }
}

TEST_CASE("of two that report one fault as bad the directions add up, and it is soft only where both are")
{
    // SAFE-040
    for (const bool first : {false, true})
        for (const bool second : {false, true}) {
            FaultTable table;
            table.report(fault(FaultId::sig_stale, FaultClass::block, Direction::charge), 0s, first);
            table.report(fault(FaultId::sig_stale, FaultClass::block, Direction::discharge), 0s, second);
            CHECK(table.preview(t0).blocks_all() == !(first && second));
            table.settle(t0);
            CHECK(table.effect().blocks_all() == !(first && second));
            CHECK(table.faults()[0].direction == Direction::both);
        }
}

TEST_CASE("only what is latched counts how often its cause came, when it was last there, and whether it may be reset")
{
    // SAFE-045
    FaultTable table;
    table.reset_after(10s);
    const ActiveFault high = fault(FaultId::cell_high, FaultClass::block, Direction::charge);
    for (int i = 0; i < 3; ++i) {
        table.report(high, 100s);
        table.settle(t0 + i * 1s);
    }
    for (int i = 3; i < 50; ++i) table.settle(t0 + i * 1s);
    REQUIRE(table.faults().size() == 1);
    CHECK(table.faults()[0].count == 0);
    CHECK(table.faults()[0].last == Instant{});
    CHECK_FALSE(table.faults()[0].resettable);
    CHECK_FALSE(table.reset(high));

    FaultTable latched;
    latched.reset_after(10s);
    const ActiveFault crit = fault(FaultId::cell_high_crit, FaultClass::trip);
    latched.report(crit);
    latched.settle(t0);
    latched.report(crit);
    latched.settle(t0 + 1s);
    CHECK(latched.faults()[0].count == 1);
    CHECK(latched.faults()[0].last == t0 + 1s);
    latched.settle(t0 + 2s);
    CHECK(latched.faults()[0].last == t0 + 1s);
    latched.settle(t0 + 12s - 1us);
    CHECK_FALSE(latched.faults()[0].resettable);
    latched.settle(t0 + 12s);
    CHECK(latched.faults()[0].resettable);
    latched.report(crit);
    latched.settle(t0 + 13s);
    CHECK(latched.faults()[0].count == 2);
    CHECK_FALSE(latched.faults()[0].resettable);
}

TEST_CASE("how often the cause of a latch came is counted as far as the number goes")
{
    FaultTable table;
    ActiveFault crit = fault(FaultId::cell_high_crit, FaultClass::trip);
    crit.count = std::numeric_limits<std::uint16_t>::max() - 1;
    table.restore(crit);
    for (int i = 0; i < 4; ++i) {
        table.report(crit);
        table.settle(t0 + i * 2s);
        table.settle(t0 + i * 2s + 1s);
    }
    CHECK(table.faults()[0].count == std::numeric_limits<std::uint16_t>::max());
}

TEST_CASE("the faults of a numbered battery are its own, whoever reports them, and those of others keep their number")
{
    // SAFE-280
    FaultTable table;
    table.report(fault(FaultId::temp_hot, FaultClass::warn));
    table.settle(t0);
    CHECK(table.faults()[0].device_number == 1);
    table = FaultTable{};
    table.number_battery(3);
    ActiveFault other = fault(FaultId::bus_off, FaultClass::warn);
    other.device = Device::inverter;
    table.report(fault(FaultId::temp_hot, FaultClass::warn));
    table.report(other);
    table.settle(t0);
    CHECK(listed(table, FaultId::temp_hot)->device_number == 3);
    CHECK(listed(table, FaultId::bus_off)->device_number == 1);
}

TEST_CASE("reports after a round open the next, whose changes are its own")
{
    FaultTable table;
    table.report(fault(FaultId::temp_hot, FaultClass::warn));
    table.settle(t0);
    REQUIRE(table.changes().size() == 1);
    CHECK(table.changes()[0].before == FaultClass::none);
    table.report(fault(FaultId::temp_hot, FaultClass::warn));
    CHECK(table.changes().empty());
    table.settle(t0 + 1s);
    CHECK(table.changes().empty());
}

TEST_CASE("the hold of a fault that has become milder is that of what it is now")
{
    // SAFE-042
    FaultTable table;
    table.report(fault(FaultId::cell_dev, FaultClass::block, Direction::both), 10s);
    table.settle(t0);
    table.report(fault(FaultId::cell_dev, FaultClass::warn), 3s);
    table.settle(t0 + 1s);  // milder since now
    CHECK(table.effect().blocks_all());
    table.report(fault(FaultId::cell_dev, FaultClass::warn), 3s);
    table.settle(t0 + 11s - 1us);
    CHECK(table.effect().blocks_all());
    table.report(fault(FaultId::cell_dev, FaultClass::warn), 3s);
    table.settle(t0 + 11s);
    CHECK(table.effect().worst == FaultClass::warn);
    CHECK(table.changes()[0].what == FaultTable::Change::What::level);
    table.settle(t0 + 12s);
    table.settle(t0 + 15s - 1us);
    CHECK(table.faults().size() == 1);
    table.settle(t0 + 15s);
    CHECK(table.faults().empty());
}

TEST_CASE("what finds no place acts in its own direction before the round is settled, softly where it is soft")
{
    // SAFE-040
    for (const bool soft : {false, true}) {
        FaultTable table;
        for (std::size_t i = 0; i + 1 < Faults::capacity(); ++i)
            table.report(fault(FaultId::bms_fault, FaultClass::block, Direction::charge, std::to_string(i)));
        table.report(fault(FaultId::temp_hot, FaultClass::block, Direction::discharge), 0s, soft);
        CHECK(table.preview(t0).blocked == (soft ? Direction::charge : Direction::both));
        table.settle(t0);
        CHECK(table.effect().blocks_all());
    }
}

TEST_CASE("of the mildest the one that came first gives way, and what nobody was told of does not end")
{
    // SAFE-040
    FaultTable table;
    const auto fill = [&] {
        for (std::size_t i = 0; i + 1 < Faults::capacity(); ++i)
            table.report(fault(FaultId::bms_fault, i == 5 || i == 7 ? FaultClass::warn : FaultClass::block, Direction::charge,
                std::to_string(i)));
    };
    fill();
    table.report(fault(FaultId::temp_hot, FaultClass::block, Direction::charge));
    CHECK(table.changes().empty());
    table.settle(t0);
    const auto is_listed = [&](std::string_view detail) {
        return std::any_of(
            table.faults().begin(), table.faults().end(), [&](const ActiveFault& f) { return f.detail == detail; });
    };
    CHECK_FALSE(is_listed("5"));
    CHECK(is_listed("7"));
    CHECK(listed(table, FaultId::temp_hot) != nullptr);
}

TEST_CASE("who takes a milder one's place came later than those behind it")
{
    // SAFE-040, SAFE-047
    FaultTable table;
    const auto fill = [&] {
        for (std::size_t i = 0; i + 1 < Faults::capacity(); ++i)
            table.report(
                fault(FaultId::bms_fault, i == 0 ? FaultClass::warn : FaultClass::block, Direction::charge, std::to_string(i)));
    };
    fill();
    table.settle(t0);
    fill();
    table.report(fault(FaultId::temp_hot, FaultClass::block, Direction::charge));
    table.settle(t0 + 1s);
    REQUIRE(table.faults()[0].id == FaultId::temp_hot);
    CHECK(table.blocking(Direction::charge)->detail == "1");
}

TEST_CASE("a place that has become free is anybody's, while what was lost is still told")
{
    // SAFE-040
    FaultTable table;
    const auto fill = [&](std::size_t from) {
        for (std::size_t i = from; i < Faults::capacity(); ++i)
            table.report(fault(FaultId::bms_fault, FaultClass::block, Direction::charge, std::to_string(i)));
    };
    fill(0);
    table.settle(t0);
    fill(0);
    table.settle(t0 + 1s);
    REQUIRE(table.faults().full());
    REQUIRE(listed(table, FaultId::too_many_faults) != nullptr);
    fill(2);
    table.settle(t0 + 2s);
    REQUIRE(table.faults().size() == Faults::capacity() - 2);
    fill(2);
    table.report(fault(FaultId::temp_hot, FaultClass::block, Direction::charge));
    table.settle(t0 + 3s);
    CHECK(table.faults().full());
    CHECK(listed(table, FaultId::temp_hot) != nullptr);
    CHECK(listed(table, FaultId::too_many_faults) != nullptr);
}

TEST_CASE("what an earlier run left behind twice is one latch")
{
    // SAFE-046
    FaultTable table;
    const ActiveFault crit = fault(FaultId::temp_crit, FaultClass::trip, Direction::both);
    table.restore(crit);
    table.restore(crit);
    table.settle(t0);
    CHECK(table.faults().size() == 1);
    CHECK(table.faults()[0].latched);
}

TEST_CASE("what is lost is a warning at least, however mild it was")
{
    // SAFE-040
    for (const FaultClass level : {FaultClass::info, FaultClass::warn, FaultClass::derate}) {
        FaultTable table;
        for (std::size_t i = 0; i < Faults::capacity(); ++i)
            table.report(fault(FaultId::bms_fault, level, Direction::charge, std::to_string(i)));
        table.settle(t0);
        REQUIRE(listed(table, FaultId::too_many_faults) != nullptr);
        CHECK(listed(table, FaultId::too_many_faults)->level == FaultClass::warn);
        CHECK(listed(table, FaultId::too_many_faults)->direction == Direction::none);
        CHECK(table.effect().blocked == Direction::none);
    }
}

TEST_CASE("of a fault that is over nothing is known of a cause")
{
    // SAFE-045
    FaultTable table;
    const ActiveFault crit = fault(FaultId::cell_high_crit, FaultClass::trip, Direction::both);
    table.report(crit);
    table.settle(t0);
    CHECK(table.cause_of(crit, t0).there);
    REQUIRE(table.reset(crit));
    table.settle(t0 + 1s);
    REQUIRE(table.faults().empty());
    CHECK_FALSE(table.cause_of(crit, t0 + 1s).there);
    CHECK_FALSE(table.cause_of(crit, t0 + 1s).known);
}
