// Current against what the inverter was told.
#include "safety/over_limit.hpp"

#include "tests/safety/house.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <functional>

using namespace batgw;
using batgw::test::House;

namespace {

constexpr Current amperes(std::int64_t milli) { return Current::from_milli(milli); }

// At the operator's limits: 10 kW at 400 V are 25 A each way, of which 10 % more are tolerated. Far from the pack's maximum.
House& running(House& house)
{
    house.battery.max_charge = house.battery.max_discharge = 20_kW;
    house.up();
    REQUIRE(house.verdict().charge.current() == 25_A);
    REQUIRE(house.verdict().discharge.current() == 25_A);
    return house;
}

// How long until the fault is there with this class, from the next sample on; `limit` when it never is.
Duration until(House& house, FaultId id, FaultClass level, Duration limit = 100s)
{
    house.step();
    return house.time_until([&] { return house.has(id, level); }, limit);
}

// The watch alone, a look and a sample every 100 ms. Told to an inverter that obeys for 30 s, then counts the time.
struct Blamer {
    SafetyConfig config{};
    FaultTable faults{};
    OverLimit watch{};
    Sample<Current> current{};
    Instant now{std::chrono::hours{2} + 19us};

    bool look(Current limit, Current flows, bool told = true)
    {
        now += 100ms;
        current.fresh = flows;
        ++current.samples;
        watch.update({.current = current, .charge = limit, .discharge = limit, .told = told}, {config, faults, now});
        faults.settle(now);
        return !faults.faults().empty();
    }
    // From when on `flows` is too much for the limit of that time.
    Duration blamed_after(const std::function<Current(Duration)>& limit, Current flows)
    {
        for (Duration at = -30s; at < 60s; at += 100ms)
            if (look(limit(at), at < 0s ? 0_A : flows)) return at;
        return for_ever;
    }
};

}  // namespace

TEST_CASE("current above the limit and its margin: warning at 5 s, no power in that direction at 15 s, TRIP at 30 s")
{
    // SAFE-066
    for (const bool charging : {true, false}) {
        const std::int64_t sign = charging ? 1 : -1;
        House obeys;
        running(obeys).current = amperes(sign * 27'500);
        obeys.run(60s);
        REQUIRE_FALSE(obeys.has(FaultId::limit_exceeded));

        House house;
        running(house).current = amperes(sign * 27'501);
        REQUIRE(until(house, FaultId::limit_exceeded, FaultClass::warn) == 5s);
        REQUIRE(house.fault(FaultId::limit_exceeded)->detail == (charging ? "C" : "D"));
        REQUIRE(house.fault(FaultId::limit_exceeded)->has_value);
        REQUIRE(house.fault(FaultId::limit_exceeded)->unit == Unit::ampere);
        REQUIRE(house.fault(FaultId::limit_exceeded)->value_milli == sign * 27'501);
        REQUIRE(house.fault(FaultId::limit_exceeded)->limit_milli == sign * 25'000);
        REQUIRE(house.fault(FaultId::limit_exceeded)->device == Device::inverter);
        REQUIRE(house.charge() == 10_kW);
        REQUIRE(house.discharge() == 10_kW);
        REQUIRE(house.time_until([&] { return house.has(FaultId::limit_exceeded, FaultClass::block); }, 60s) == 10s);
        REQUIRE((charging ? house.verdict().charge : house.verdict().discharge).is_zero());
        REQUIRE((charging ? house.verdict().charge : house.verdict().discharge).by() == Cause::inverter);
        REQUIRE_FALSE((charging ? house.verdict().discharge : house.verdict().charge).is_zero());
        REQUIRE(house.time_until([&] { return house.has(FaultId::inverter_ignores_limits); }, 60s) == 15s);
        REQUIRE(house.has(FaultId::inverter_ignores_limits, FaultClass::trip));
        REQUIRE(house.verdict().charge.is_zero());
        REQUIRE(house.verdict().discharge.is_zero());
        REQUIRE(house.verdict().state == GatewayState::trip);
        house.current = 0_A;
        house.run(600s, 1s);
        REQUIRE(house.has(FaultId::inverter_ignores_limits));  // until an operator has seen to it
    }
}

TEST_CASE("against a limit of zero up to two amperes are idle consumption; beyond, the same as above any limit")
{
    // SAFE-068, SAFE-066
    for (const std::int64_t sign : {1, -1}) {
        House idle;
        running(idle).inputs.operator_.paused = true;
        idle.current = amperes(sign * 2000);
        idle.run(120s);
        REQUIRE_FALSE(idle.has(FaultId::limit_exceeded));

        House house;
        running(house).inputs.operator_.paused = true;
        house.run(10s);
        house.current = amperes(sign * 2100);
        REQUIRE(until(house, FaultId::limit_exceeded, FaultClass::warn) == 5s);
        REQUIRE(house.time_until([&] { return house.has(FaultId::limit_exceeded, FaultClass::block); }, 60s) == 10s);
        REQUIRE(house.time_until([&] { return house.has(FaultId::inverter_ignores_limits); }, 60s) == 15s);
    }
}

TEST_CASE("an inverter has its time to follow a lower limit, and what it draws until then is no fault")
{
    // SAFE-066
    SUBCASE("it reacts after four seconds")
    {
        House house;
        running(house).current = -25_A;
        house.run(10s);
        house.discharge_limit = 2_kW;  // 5 A
        house.run(4s);
        house.current = -5_A;
        house.run(60s);
        REQUIRE(house.times_set(FaultId::limit_exceeded) == 0);
    }
    SUBCASE("after fourteen: a warning, and no more")
    {
        House house;
        running(house).current = -25_A;
        house.run(10s);
        house.discharge_limit = 2_kW;
        house.run(14s);
        REQUIRE(house.has(FaultId::limit_exceeded, FaultClass::warn));
        REQUIRE(house.discharge() == 2_kW);
        house.current = -5_A;
        house.step();
        REQUIRE(house.time_until([&] { return !house.has(FaultId::limit_exceeded); }, 60s) == 30s);
        REQUIRE(house.times_set(FaultId::inverter_ignores_limits) == 0);
    }
    SUBCASE("after fourteen, of a kind that is known to be slow")
    {
        House house;
        house.safety.over_limit.grace = 15s;
        running(house).current = -25_A;
        house.run(16s);
        house.discharge_limit = 2_kW;
        house.run(14s);
        house.current = -5_A;
        house.run(60s);
        REQUIRE(house.times_set(FaultId::limit_exceeded) == 0);
    }
    SUBCASE("the limit falls by and by, in more steps than are remembered: the grace only gets longer")
    {
        House house;
        running(house);
        for (int i = 0; i < 100; ++i) {
            house.discharge_limit = Power::from_milli(10'000'000 - i * 50'000);
            house.current = amperes(-house.discharge_limit.milli() / 400);  // obeyed at once
            house.step(50ms);
        }
        REQUIRE(house.discharge() == 5050_W);
        house.current = -25_A;
        REQUIRE(until(house, FaultId::limit_exceeded, FaultClass::warn) >= 5s);
        REQUIRE(house.time_until([&] { return house.has(FaultId::limit_exceeded, FaultClass::block); }, 60s) == 10s);
    }
}

TEST_CASE("of limits that change the highest of the time to obey counts, and no other")
{
    // SAFE-066
    for (const Current sign : {1_A, -1_A}) {
        CAPTURE(sign.milli());
        Blamer twice;  // 5 s to obey the second limit as well
        CHECK(twice.blamed_after([](Duration t) { return t < 0s ? 20_A : t < 3s ? 15_A : 5_A; }, sign * 14) == 13s);
        Blamer rises, falls, slides;
        for (Blamer* b : {&rises, &falls, &slides}) b->config.over_limit.grace = 15s;
        CHECK(rises.blamed_after([](Duration t) { return t < 0s ? 5_A : 20_A; }, sign * 15) == for_ever);
        CHECK(falls.blamed_after([](Duration t) { return t < 0s ? 20_A : 5_A; }, sign * 15) == 20s);
        // In a hundred steps, more than are remembered; 12.1 A is in force at 7.9 s.
        const Duration slid = slides.blamed_after(
            [](Duration t) { return amperes(20'000 - std::clamp(t, Duration{0s}, Duration{10s}) / 1ms); }, share(1405_pct, sign));
        CHECK(slid >= 28s);
        CHECK(slid < 60s);
    }
}

TEST_CASE("an inverter that was not told for a moment is judged anew")
{
    // SAFE-066
    Blamer b;
    for (int i = 0; i < 300; ++i) REQUIRE_FALSE(b.look(5_A, 0_A));
    for (int i = 0; i < 45; ++i) REQUIRE_FALSE(b.look(5_A, 15_A));
    REQUIRE_FALSE(b.look(5_A, 15_A, false));
    const Instant told = b.now + 100ms;
    while (b.now < told + 60s && !b.look(5_A, 15_A)) {}
    REQUIRE(b.now - told == b.config.over_limit.grace + b.config.over_limit.warn);
}

TEST_CASE("after five seconds below the limit its samples count anew, too")
{
    // SAFE-041, SAFE-066
    Blamer b;
    for (int i = 0; i < 300; ++i) REQUIRE_FALSE(b.look(5_A, 0_A));
    for (int i = 0; i < 10; ++i) REQUIRE_FALSE(b.look(5_A, 15_A));
    for (int i = 0; i < 60; ++i) REQUIRE_FALSE(b.look(5_A, 0_A));
    for (int i = 0; i < 100; ++i) {
        REQUIRE_FALSE(b.look(5_A, 15_A));
        --b.current.samples;  // the same one again
    }
    ++b.current.samples;
    REQUIRE(b.look(5_A, 15_A));
}

TEST_CASE("a dip of less than five seconds does not start the time anew, a longer one does")
{
    // SAFE-066
    const auto run = [](Duration dip) {
        House house;
        running(house).current = -30_A;
        house.run(4s);
        house.current = -25_A;
        house.run(dip);
        house.current = -30_A;
        return until(house, FaultId::limit_exceeded, FaultClass::warn);
    };
    REQUIRE(run(4900ms) <= 1200ms);
    REQUIRE(run(5100ms) == 5s);
}

TEST_CASE("time in which the current is not known is no time above the limit, and does not end it either")
{
    // SAFE-066, SAFE-041
    House house;
    running(house).current = -30_A;
    house.run(12s);
    REQUIRE(house.has(FaultId::limit_exceeded, FaultClass::warn));
    house.silent.insert(SignalId::current);
    house.run(60s);  // 2 s until it is too old
    REQUIRE(house.has(FaultId::limit_exceeded, FaultClass::warn));
    REQUIRE_FALSE(house.fault(FaultId::limit_exceeded)->has_value);
    house.silent.clear();
    house.step();
    REQUIRE(house.time_until([&] { return house.has(FaultId::limit_exceeded, FaultClass::block); }, 60s) <= 1200ms);
}

TEST_CASE("one sample makes no fault, two make no TRIP, however short the times are")
{
    // SAFE-041, SAFE-066
    House house;
    house.safety.over_limit.warn = house.safety.over_limit.block = 100ms;
    house.safety.over_limit.trip = 1s;
    running(house).current = -40_A;
    house.step();
    house.silent.insert(SignalId::current);
    house.run(1900ms);
    REQUIRE_FALSE(house.has(FaultId::limit_exceeded));
    house.silent.clear();
    house.step();
    REQUIRE(house.has(FaultId::limit_exceeded, FaultClass::block));
    REQUIRE_FALSE(house.has(FaultId::inverter_ignores_limits));
    house.step();
    REQUIRE(house.has(FaultId::inverter_ignores_limits));
}

TEST_CASE("nobody is blamed who was not told, and not before the time to obey has run")
{
    // SAFE-066
    SUBCASE("an inverter that is not spoken to yet")
    {
        for (const InverterPhase phase : {InverterPhase::silent, InverterPhase::identify}) {
            House house;
            house.current = -10_A;
            house.also = [&] { house.inverter.phase = phase; };
            house.run(60s);
            REQUIRE_FALSE(house.has(FaultId::limit_exceeded));
            house.also = [&] { house.inverter.phase = InverterPhase::hold; };
            REQUIRE(until(house, FaultId::limit_exceeded, FaultClass::warn) == 10s);
        }
    }
    SUBCASE("a limit that fell while it was not yet judged has its time to be obeyed, too")
    {
        for (const bool charging : {true, false}) {
            SafetyConfig config;
            FaultTable faults;
            OverLimit over;
            Sample<Current> current;
            Instant now{std::chrono::hours{1}};
            Instant fell{}, seen{};
            for (; seen == Instant{} && now < Instant{std::chrono::hours{1}} + 60s; now += 100ms) {
                const bool low = now >= Instant{std::chrono::hours{1}} + 4s;
                if (low && fell == Instant{}) fell = now;
                current.fresh = current.usable = charging ? 20_A : -20_A;
                ++current.samples;
                const Current limit = low ? 0_A : 20_A;
                over.update({.current = current, .charge = limit, .discharge = limit, .told = true}, {config, faults, now});
                faults.settle(now, {});
                if (!faults.faults().empty()) seen = now;
            }
            // Five seconds to obey, and five above the limit.
            REQUIRE(seen - fell >= 10s);
            REQUIRE(seen - fell <= 10200ms);
        }
    }
    SUBCASE("a bus on which nothing can be sent")
    {
        House house;
        house.up();
        house.inverter_bus.state = BusState::stopped;
        house.current = -10_A;
        house.run(60s);
        REQUIRE_FALSE(house.has(FaultId::limit_exceeded));
    }
    SUBCASE("who only watches tells nothing")
    {
        House house;
        house.safety.observe = true;
        house.up();
        house.current = -40_A;
        house.run(20s);
        REQUIRE_FALSE(house.has(FaultId::limit_exceeded));
    }
}

TEST_CASE("an empty battery that is drained for half an hour more is a warning until it is charged")
{
    // SAFE-068
    struct Case {
        std::int64_t milliamps;
        Percent soc;
        bool found;
    };
    for (const Case& c : {Case{-100, 8_pct, true}, Case{-99, 8_pct, false}, Case{-1000, 50_pct, false}}) {
        House house;
        house.soc = c.soc;
        house.up();
        house.current = amperes(c.milliamps);
        house.step();
        house.run(29min, 500ms);
        REQUIRE_FALSE(house.has(FaultId::idle_drain));
        house.run(1min, 500ms);
        REQUIRE(house.has(FaultId::idle_drain) == c.found);
        if (!c.found) continue;
        REQUIRE(house.has(FaultId::idle_drain, FaultClass::warn));
        house.current = 0_A;
        house.run(10s);
        REQUIRE(house.has(FaultId::idle_drain));
        house.current = amperes(100);
        house.step();
        REQUIRE_FALSE(house.has(FaultId::idle_drain));
    }
    House low_cell;
    low_cell.up();
    low_cell.cell_min = 2790_mV;
    low_cell.cell_max = 2800_mV;
    low_cell.current = amperes(-500);
    low_cell.run(31min, 500ms);
    REQUIRE(low_cell.has(FaultId::idle_drain));
    House low_pack;
    low_pack.up();
    low_pack.voltage = 345_V;
    low_pack.current = amperes(-500);
    low_pack.run(31min, 500ms);
    REQUIRE(low_pack.has(FaultId::pack_low));
    REQUIRE(low_pack.has(FaultId::idle_drain));
}

TEST_CASE("what an inverter was told in its first seconds counts for as long as any other limit")
{
    // SAFE-066
    const SafetyConfig config;
    const auto& rule = config.over_limit;
    FaultTable faults;
    OverLimit watch;
    Sample<Current> current;
    const Instant start{Duration{9'000'000'123}}, dropped = start + rule.grace - 200ms;
    const auto warned_after = [&](Direction direction) -> Duration {
        watch = OverLimit{};
        faults = FaultTable{};
        for (Instant now = start; now < start + 60s; now += 100ms) {
            const Current most = now < dropped ? 20_A : 5_A;
            current.fresh = direction == Direction::charge ? 15_A : -15_A;
            ++current.samples;
            const OverLimit::Input in{.current = current, .charge = most, .discharge = most, .told = true};
            watch.update(in, {.config = config, .faults = faults, .now = now});
            faults.settle(now, {});
            if (!faults.faults().empty()) return now - dropped;
        }
        return for_ever;
    };
    for (const Direction direction : {Direction::charge, Direction::discharge}) {
        const Duration took = warned_after(direction);
        CHECK(took >= rule.grace + rule.warn);
        CHECK(took <= rule.grace + rule.warn + 300ms);
    }
}

TEST_CASE("an empty battery is drained by a tenth of an ampere, charged by as much, and neither by less")
{
    // SAFE-068
    const SafetyConfig config;
    FaultTable faults;
    OverLimit watch;
    Sample<Current> current;
    Instant now{Duration{9'000'000'123}};
    const auto drained = [&](Current i, Duration time, bool empty = true) {
        bool found = false;
        for (const Instant end = now + time; now < end; now += 10s) {
            current.fresh = i;
            ++current.samples;
            watch.update({.current = current, .charge = {}, .discharge = {}, .empty = empty},
                {.config = config, .faults = faults, .now = now});
            faults.settle(now, {});
            found = std::any_of(faults.faults().begin(), faults.faults().end(), [](const ActiveFault& f) {
                return f.id == FaultId::idle_drain && f.level == FaultClass::warn && f.device == Device::battery;
            });
        }
        return found;
    };
    const Current least = Current::from_milli(100), less = Current::from_milli(99);
    CHECK_FALSE(drained(-less, 7200s));
    CHECK_FALSE(drained(-least, 7200s, false));
    CHECK_FALSE(drained(-least, 1800s));
    CHECK(drained(-least, 10s));
    CHECK(drained(less, 7200s));
    CHECK_FALSE(drained(least, 10s));
}
