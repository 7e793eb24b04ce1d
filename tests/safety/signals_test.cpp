#include "safety/signals.hpp"

#include "tests/safety/house.hpp"

#include <doctest/doctest.h>

#include <array>
#include <string>

using namespace batgw;
using batgw::test::House;

namespace {

struct AgeRow {
    SignalId id;
    Duration floor, ceiling;
};
constexpr std::array rows{AgeRow{SignalId::flags, 2s, 5s}, AgeRow{SignalId::contactor, 1s, 3s},
    AgeRow{SignalId::current, 2s, 10s}, AgeRow{SignalId::voltage, 2s, 10s}, AgeRow{SignalId::link_voltage, 500ms, 1s},
    AgeRow{SignalId::cell_voltage_max, 5s, 15s}, AgeRow{SignalId::cell_voltage_min, 5s, 15s},
    AgeRow{SignalId::charge_limit, 5s, 15s}, AgeRow{SignalId::discharge_limit, 5s, 15s},
    AgeRow{SignalId::temperature_min, 10s, 60s}, AgeRow{SignalId::temperature_max, 10s, 60s}, AgeRow{SignalId::soc, 10s, 60s},
    AgeRow{SignalId::insulation, 60s, 300s}, AgeRow{SignalId::cells, 60s, 300s}, AgeRow{SignalId::temperatures, 60s, 300s}};

// Of the signals that grants need: which direction goes, and whether at once.
struct Needed {
    SignalId id;
    Direction direction;
    bool at_once;
};
constexpr std::array needed{Needed{SignalId::contactor, Direction::both, true}, Needed{SignalId::current, Direction::both, false},
    Needed{SignalId::voltage, Direction::both, true}, Needed{SignalId::cell_voltage_max, Direction::charge, false},
    Needed{SignalId::cell_voltage_min, Direction::both, false}, Needed{SignalId::charge_limit, Direction::charge, true},
    Needed{SignalId::discharge_limit, Direction::discharge, true}, Needed{SignalId::temperature_min, Direction::both, false},
    Needed{SignalId::temperature_max, Direction::both, false}, Needed{SignalId::soc, Direction::both, false}};

}  // namespace

TEST_CASE("how old a signal may get: three periods, within the floor and the ceiling of its class")
{
    // SAFE-021
    REQUIRE(rows.size() == signal_count);
    const SafetyConfig config;
    for (const AgeRow& row : rows) {
        CAPTURE(to_string(row.id));
        BatteryProfile p;
        auto& signal = p.signals[index(row.id)];
        signal.provided = true;
        const auto limit = [&] { return age_limits(config, p)[row.id]; };
        REQUIRE(limit() == row.floor);  // period not documented
        signal.period = row.floor / 3 - 1ms;
        REQUIRE(limit() == row.floor);
        signal.period = (row.floor + row.ceiling) / 6;
        REQUIRE(limit() == 3 * signal.period);
        signal.period = row.ceiling / 3;
        REQUIRE(limit() <= row.ceiling);
        REQUIRE_FALSE(freshness_refusal(p));
        signal.period = row.ceiling / 3 + 1ms;
        REQUIRE(limit() == row.ceiling);
        REQUIRE(freshness_refusal(p) == "driver cannot meet freshness for " + std::string{to_string(row.id)});
        // What the driver knows better is taken when it is tighter.
        signal.period = (row.floor + row.ceiling) / 6;
        signal.max_age = row.floor / 2;
        REQUIRE(limit() == row.floor / 2);
        signal.max_age = row.ceiling * 2;
        REQUIRE(limit() == 3 * signal.period);
        signal.period = Duration{};
        REQUIRE(limit() == row.ceiling);
        signal.max_age = row.ceiling - 1ms;
        REQUIRE(limit() == row.ceiling - 1ms);
        // Nobody is refused for what it does not send.
        signal.provided = false;
        signal.period = 3600s;
        REQUIRE_FALSE(freshness_refusal(p));
    }
}

TEST_CASE("a driver whose current comes every 6 s is refused")
{
    // SAFE-021
    BatteryProfile p;
    p.signals[index(SignalId::current)] = {.provided = true, .period = 6s};
    REQUIRE(freshness_refusal(p) == "driver cannot meet freshness for current");
}

TEST_CASE("a signal is fresh at its age limit and stale a millisecond later, per class")
{
    // SAFE-021
    for (const Needed& n : needed) {
        CAPTURE(to_string(n.id));
        House house;
        house.up();
        house.silent.insert(n.id);
        const Duration limit = age_limits(house.safety, house.profile)[n.id];
        const Instant last = house.now;
        house.run(limit);
        REQUIRE(house.now == last + limit);
        REQUIRE_FALSE(house.has(FaultId::sig_stale));
        house.step(1ms);
        REQUIRE(house.fault(FaultId::sig_stale)->detail == to_string(n.id));
        REQUIRE(house.fault(FaultId::sig_stale)->direction == n.direction);
        REQUIRE(house.fault(FaultId::sig_stale)->level == FaultClass::block);
    }
}

TEST_CASE("a configured age acts, and never beyond the ceiling")
{
    SafetyConfig config;
    config.signal_age.current = 500ms;
    config.signal_age.soc = 200s;
    BatteryProfile p;
    p.signals[index(SignalId::current)].period = 100ms;
    REQUIRE(age_limits(config, p)[SignalId::current] == 500ms);
    REQUIRE(age_limits(config, p)[SignalId::soc] == 60s);
}

TEST_CASE("a signal that never came grants nothing in its direction, and is told after a while")
{
    // SAFE-020
    for (const Needed& n : needed) {
        CAPTURE(to_string(n.id));
        House house;
        house.silent.insert(n.id);
        house.run(9s);
        REQUIRE_FALSE(house.has(FaultId::sig_stale));
        house.run(60s);
        if (covers(n.direction, Direction::charge)) REQUIRE(house.verdict().charge.is_zero());
        if (covers(n.direction, Direction::discharge)) REQUIRE(house.verdict().discharge.is_zero());
        REQUIRE(house.has(FaultId::sig_stale, to_string(n.id)));
        REQUIRE(house.verdict().state == GatewayState::starting);
        REQUIRE(house.verdict().waiting == Waiting::battery_data);
        // It comes: all is well without a further word.
        house.silent.clear();
        house.run(60s);
        REQUIRE(house.verdict().state == GatewayState::run);
        REQUIRE_FALSE(house.has(FaultId::sig_stale));
    }
}

TEST_CASE("only what a battery states is needed of it")
{
    // SAFE-020
    House house;
    house.profile.states_limits = house.profile.states_contactor = false;
    house.silent = {SignalId::charge_limit, SignalId::discharge_limit, SignalId::contactor};
    house.up();
    REQUIRE(house.charge() == 10_kW);
    REQUIRE(house.discharge() == 10_kW);
}

TEST_CASE("frames that do not carry a signal do not refresh it")
{
    // SAFE-022
    House house;
    house.up();
    house.silent.insert(SignalId::temperature_max);
    house.run(10s);
    REQUIRE_FALSE(house.has(FaultId::sig_stale));
    house.run(200ms);
    REQUIRE(house.state.heard == house.now);
    REQUIRE(house.has(FaultId::sig_stale, "temperature_max"));
    REQUIRE(house.verdict().battery_link);
}

TEST_CASE("a lost measurement ramps its direction down to nothing within three seconds of its age limit")
{
    // SAFE-023
    House house;
    house.up();
    REQUIRE(house.charge() == 10_kW);
    house.silent.insert(SignalId::cell_voltage_max);
    const Instant last = house.now;
    const auto until = [&](Duration t) { house.run(last + t - house.now); };
    until(5s);
    REQUIRE(house.charge() == 10_kW);
    until(6500ms);
    REQUIRE(house.charge() >= 4750_W);
    REQUIRE(house.charge() <= 5250_W);
    REQUIRE(house.verdict().charge.by() == Cause::stale);
    REQUIRE(house.verdict().state == GatewayState::block_charge);
    until(7900ms);
    REQUIRE_FALSE(house.verdict().charge.is_zero());
    until(8s);
    REQUIRE(house.verdict().charge.is_zero());
    REQUIRE(house.discharge() == 10_kW);
    until(60s);
    REQUIRE(house.verdict().charge.is_zero());
    REQUIRE(house.discharge() == 10_kW);
}

TEST_CASE("a profile without a ramp takes the grant away at once")
{
    // SAFE-023
    House house;
    house.safety.stale_ramp = 0s;
    house.up();
    house.silent.insert(SignalId::cell_voltage_max);
    house.run(5s);
    REQUIRE(house.charge() == 10_kW);
    house.step(1ms);
    REQUIRE(house.verdict().charge.is_zero());
}

TEST_CASE("lost permission, contactor status or battery limit is zero in the first evaluation after the age limit")
{
    // SAFE-023
    for (const Needed& n : needed) {
        CAPTURE(to_string(n.id));
        House house;
        house.up();
        house.silent.insert(n.id);
        house.run(age_limits(house.safety, house.profile)[n.id]);
        house.step(1ms);
        const bool charges = !house.verdict().charge.is_zero(), discharges = !house.verdict().discharge.is_zero();
        REQUIRE(charges == (!n.at_once || !covers(n.direction, Direction::charge)));
        REQUIRE(discharges == (!n.at_once || !covers(n.direction, Direction::discharge)));
    }
    House house;
    house.profile.signals[index(SignalId::flags)] = {.provided = true, .period = 100ms};
    bool speaks = true;
    house.also = [&] {
        if (!speaks) return;
        house.state.charge_allowed.set(true, house.now);
        house.state.discharge_allowed.set(true, house.now);
    };
    house.up();
    REQUIRE(house.charge() == 10_kW);
    speaks = false;
    house.run(2s);
    REQUIRE(house.charge() == 10_kW);
    house.step(1ms);
    REQUIRE(house.verdict().charge.is_zero());
    REQUIRE(house.verdict().discharge.is_zero());
    REQUIRE(house.has(FaultId::sig_stale, "flags"));
}

TEST_CASE("after a short outage five fresh seconds bring a signal back, after a long one thirty; then the grant climbs")
{
    // SAFE-023
    for (const auto& [outage, wanted] : {std::pair{9s, 5s}, std::pair{11s, 30s}}) {
        House house;
        house.up();
        house.silent.insert(SignalId::cell_voltage_max);
        house.run(5s + outage);
        house.silent.clear();
        house.step();
        const Instant back = house.now;
        REQUIRE(house.time_until([&] { return !house.has(FaultId::sig_stale); }, 60s) == wanted);
        REQUIRE(house.now == back + wanted);
        REQUIRE(house.charge() <= 100_W);
        house.run(10s);
        REQUIRE(house.charge() > 4800_W);
        REQUIRE(house.charge() < 5200_W);
    }
    SUBCASE("a gap in the recovery starts it anew")
    {
        House house;
        house.up();
        house.silent.insert(SignalId::current);  // two seconds may pass
        house.run(3s);
        house.silent.clear();
        house.run(2s);
        house.silent.insert(SignalId::current);
        house.run(12s);
        house.silent.clear();
        house.step();
        REQUIRE(house.time_until([&] { return !house.has(FaultId::sig_stale); }, 60s) == 30s);
    }
    SUBCASE("a signal that comes back in the middle of the ramp does not stop it")
    {
        House house;
        house.up();
        house.silent.insert(SignalId::cell_voltage_max);
        house.run(6500ms);
        house.silent.clear();
        house.run(1700ms);
        REQUIRE(house.has(FaultId::sig_stale));
        REQUIRE(house.verdict().charge.is_zero());
    }
}

TEST_CASE("five refused frames in a row make a signal bad at once, ten good ones and five seconds bring it back")
{
    // SAFE-024
    for (const int refused : {1, 4, 5}) {
        CAPTURE(refused);
        House house;
        house.up();
        house.silent.insert(SignalId::cell_voltage_max);
        for (int i = 0; i < refused; ++i) {
            house.state.cell_voltage_max.refuse();
            house.step();
        }
        REQUIRE(house.has(FaultId::sig_bad, "cell_voltage_max") == (refused == 5));
        REQUIRE(house.verdict().charge.is_zero() == (refused == 5));
        REQUIRE(house.discharge() == 10_kW);
        house.silent.clear();
        if (refused < 5) continue;
        house.run(900ms);
        REQUIRE(house.state.cell_voltage_max.quality(house.now) == Quality::bad);
        house.step();
        REQUIRE(house.state.cell_voltage_max.quality(house.now) == Quality::fresh);
        REQUIRE(house.time_until([&] { return !house.has(FaultId::sig_bad); }, 60s) == 5s);
    }
}

TEST_CASE("a signal that goes bad while it fades is zero at once")
{
    House house;
    house.up();
    house.silent.insert(SignalId::cell_voltage_max);
    house.run(6s);
    REQUIRE_FALSE(house.verdict().charge.is_zero());
    for (int i = 0; i < 5; ++i) house.state.cell_voltage_max.refuse();
    house.step();
    REQUIRE(house.verdict().charge.is_zero());
    REQUIRE(house.has(FaultId::sig_bad, "cell_voltage_max"));
    REQUIRE_FALSE(house.has(FaultId::sig_stale));
}

TEST_CASE("values beyond what is physically possible are no readings: each bound, and one count beyond")
{
    // SAFE-025
    struct Case {
        const char* signal;
        void (*set)(House&, bool beyond);
    };
    const std::array cases{
        Case{"cell_voltage_max", [](House& h, bool b) { h.cell_max = b ? 5001_mV : 5000_mV; }},
        Case{"cell_voltage_min", [](House& h, bool b) { h.cell_min = b ? 499_mV : 500_mV; }},
        Case{"temperature_max", [](House& h, bool b) { h.temperature_max = Temperature::from_milli(b ? 120'001 : 120'000); }},
        Case{"temperature_min", [](House& h, bool b) { h.temperature_min = Temperature::from_milli(b ? -50'001 : -50'000); }},
        Case{"soc", [](House& h, bool b) { h.soc = Percent::from_milli(b ? 100'001 : 100'000); }},
        Case{"soc", [](House& h, bool b) { h.soc = Percent::from_milli(b ? -1 : 0); }},
        Case{"voltage", [](House& h, bool b) { h.voltage = Voltage::from_milli(b ? 525'001 : 525'000); }},  // 420 V and a quarter
        Case{
            "voltage", [](House& h, bool b) { h.voltage = Voltage::from_milli(b ? 262'499 : 262'500); }},  // 350 V less a quarter
        Case{"current", [](House& h, bool b) { h.current = Current::from_milli(b ? 50'001 : 50'000); }},   // twice 10 kW at 400 V
        Case{"current", [](House& h, bool b) { h.current = Current::from_milli(b ? -50'001 : -50'000); }},
    };
    for (const Case& c : cases) {
        CAPTURE(c.signal);
        House house;
        house.up();
        c.set(house, false);
        house.step();
        REQUIRE_FALSE(house.has(FaultId::sig_bad));
        c.set(house, true);
        house.step();
        REQUIRE(house.has(FaultId::sig_bad, c.signal));
        REQUIRE(house.verdict().charge.is_zero());
    }
}

TEST_CASE("without a design window a pack voltage must lie within 0 and 1000 V, and no current beyond 2000 A is believed")
{
    // SAFE-025
    House house;
    house.facts.voltage_max.reset();
    house.facts.voltage_min.reset();
    house.voltage = 1000_V;
    house.step();
    REQUIRE_FALSE(house.has(FaultId::sig_bad));
    house.voltage = Voltage::from_milli(1'000'001);
    house.step();
    REQUIRE(house.has(FaultId::sig_bad, "voltage"));
    house.voltage = 0_V;
    house.current = 2001_A;
    house.step();
    REQUIRE(house.has(FaultId::sig_bad, "current"));
}

TEST_CASE("a part of an array is no array: nothing of it is compared")
{
    // SAFE-030
    House house;
    house.also = [&] {
        CellVoltages half;
        half.count = 120;
        for (std::size_t i = 0; i < 60; ++i) half.set(i, 2600_mV);  // would be a new minimum, and a wrong sum
        house.state.cells.set(half, house.now);
    };
    house.up();
    house.run(60s);
    REQUIRE_FALSE(house.has(FaultId::plausibility));
    REQUIRE(house.charge() == 10_kW);
}

TEST_CASE("a state of charge that is not required takes nothing away when it is lost")
{
    // SAFE-069
    for (const bool required : {true, false}) {
        House house;
        house.safety.soc.required = required;
        house.soc = 8_pct;
        house.up();
        REQUIRE(house.verdict().discharge.is_zero());  // the window acts as long as it is known
        house.soc = 50_pct;
        house.run(80s);
        house.silent.insert(SignalId::soc);
        house.run(20s);
        REQUIRE(house.verdict().charge.is_zero() == required);
        REQUIRE(house.verdict().discharge.is_zero() == required);
        REQUIRE(house.has(FaultId::sig_stale, "soc") == required);
    }
}

TEST_CASE("required insulation counts as a signal like any other")
{
    House house;
    house.safety.insulation.required = true;
    house.profile.signals[index(SignalId::insulation)] = {.provided = true, .period = 10s};
    bool speaks = true;
    house.also = [&] {
        if (speaks) house.state.insulation.set(5000_ohm_per_V, house.now);
    };
    house.up();
    REQUIRE(house.charge() == 10_kW);
    speaks = false;
    house.run(64s);
    REQUIRE(house.verdict().charge.is_zero());
    REQUIRE(house.has(FaultId::sig_stale, "insulation"));
}

TEST_CASE("a signal in two readings is as good as the worse of those that ever came")
{
    House house;
    house.silent = {SignalId::charge_limit, SignalId::discharge_limit};
    bool speaks = true;
    house.also = [&] {
        if (!speaks) return;
        house.state.charge_limit_current.set(20_A, house.now);
        house.state.discharge_limit_current.set(10_A, house.now);
    };
    house.up();
    REQUIRE(house.charge() == 7700_W);  // 20 A at the nominal 385 V, which is lower than the measured 400 V
    REQUIRE(house.discharge() == 3850_W);
    REQUIRE(house.verdict().charge.by() == Cause::battery);
    speaks = false;
    house.run(5100ms);
    REQUIRE(house.verdict().charge.is_zero());
    REQUIRE(house.verdict().discharge.is_zero());
}

// SAFE-231
TEST_CASE("after a suspension everything of before is stale at once, fades nothing out, and comes back by fresh samples")
{
    House house;
    house.up();
    REQUIRE(house.charge() == 10_kW);
    REQUIRE(house.discharge() == 10_kW);
    const Instant woke = house.now;
    house.inputs.stale_until = woke;
    house.now += 1ms;
    house.evaluate();
    CHECK(house.verdict().charge.is_zero());
    CHECK(house.verdict().discharge.is_zero());
    for (const Needed& n : needed) {
        CAPTURE(to_string(n.id));
        CHECK(house.has(FaultId::sig_stale, to_string(n.id)));
    }
    CHECK(house.verdict().state == GatewayState::block);
    // Young enough by its age, and still of before.
    house.now += 500ms;
    house.evaluate();
    CHECK(house.has(FaultId::sig_stale, "voltage"));
    house.run(4s);
    CHECK(house.has(FaultId::sig_stale, "voltage"));
    CHECK(house.verdict().charge.is_zero());
    house.run(2s);
    CHECK_FALSE(house.has(FaultId::sig_stale, "voltage"));
    house.run(60s);
    CHECK(house.charge() == 10_kW);
    CHECK(house.discharge() == 10_kW);
}

// SAFE-231
TEST_CASE("a measurement whose loss would fade out does not after a suspension: the last value may be of yesterday")
{
    House house;
    house.up();
    house.silent.insert(SignalId::temperature_max);
    house.run(1s);
    REQUIRE(house.charge() == 10_kW);
    house.inputs.stale_until = house.now - 500ms;  // all others spoke again since
    house.step();
    CHECK(house.has(FaultId::sig_stale, "temperature_max"));
    CHECK_FALSE(house.has(FaultId::sig_stale, "voltage"));
    CHECK(house.verdict().charge.is_zero());
    CHECK(house.verdict().discharge.is_zero());
}

// SAFE-231, SAFE-023
TEST_CASE("a measurement that is lost long after a suspension fades like any other")
{
    House house;
    house.up();
    house.inputs.stale_until = house.now;
    house.run(60s);
    REQUIRE(house.charge() == 10_kW);
    house.silent.insert(SignalId::temperature_max);
    house.run(11s);
    CHECK(house.has(FaultId::sig_stale, "temperature_max"));
    CHECK(house.charge() > 0_W);
    CHECK(house.charge() < 10_kW);
}

// SAFE-023
TEST_CASE("a measurement that its driver wants ended at once does not fade")
{
    House house;
    house.profile.signals[index(SignalId::temperature_max)].at_once = true;
    house.up();
    house.silent.insert(SignalId::temperature_max);
    const Duration lost = house.time_until([&] { return house.charge() < 10_kW; }, 20s);
    CHECK(lost > 5s);
    CHECK(house.charge().milli() == 0);
    CHECK(house.discharge().milli() == 0);
}
