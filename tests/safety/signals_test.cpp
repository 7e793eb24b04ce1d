#include "safety/signals.hpp"

#include "tests/safety/house.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

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

// The readings of a house and the watch over them, without a judge.
struct WatchedSignals : House {
    PlausibleRange range = plausible_range(facts, 10_kW, 10_kW);
    std::optional<SignalWatch> watch;
    FaultTable table;

    SignalWatch::Result look()
    {
        if (!watch) watch.emplace(profile);
        state.set_ages(age_limits(safety, profile));
        const SignalWatch::Result r = watch->update(state, range, safety, table, now);
        table.settle(now);
        return r;
    }
    // Whatever is not silent comes, once, and is looked at.
    SignalWatch::Result hear(Duration time = 100ms)
    {
        now += time;
        speak();
        return look();
    }
    const PackSamples& samples() const { return watch->samples(); }
    bool shows(FaultId id, std::string_view detail) const
    {
        return std::any_of(
            table.faults().begin(), table.faults().end(), [&](const ActiveFault& f) { return f.id == id && f.detail == detail; });
    }
    void never_delivers(std::initializer_list<SignalId> ids)
    {
        for (const SignalId id : ids) profile.signals[index(id)] = {};
        silent.insert(ids);
    }
};

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
    for (const int sign : {1, -1}) {
        WatchedSignals w;
        w.range = plausible_range({}, 10_kW, 10_kW);
        w.voltage = 0_V;
        w.current = 2000_A * sign;
        w.hear();
        REQUIRE_FALSE(w.shows(FaultId::sig_bad, "current"));
        w.current = 2'000'001_mA * sign;
        w.hear();
        REQUIRE(w.shows(FaultId::sig_bad, "current"));
    }
}

TEST_CASE("a current is plausible up to twice the higher of both ceilings, and ceilings of nothing say nothing of it")
{
    // SAFE-025
    CHECK(plausible_range({}, 10_kW, 6_kW).power_max == 20_kW);
    CHECK(plausible_range({}, 6_kW, 10_kW).power_max == 20_kW);
    CHECK(plausible_range({}, 0_W, 10_kW).power_max == 20_kW);
    CHECK_FALSE(plausible_range({}, 0_W, 0_W).power_max);
}

TEST_CASE("after a value out of range ten further samples are wanted, however often each is looked at")
{
    // SAFE-025
    WatchedSignals w;
    w.hear();
    w.voltage = 526_V;
    w.temperature_max = 121_degC;
    w.hear();
    w.look();
    REQUIRE(w.shows(FaultId::sig_bad, "voltage"));
    REQUIRE(w.shows(FaultId::sig_bad, "temperature_max"));
    w.voltage = 400_V;
    w.temperature_max = 25_degC;
    for (int n = 1; n <= 9; ++n) {
        w.hear();
        for (int again = 0; again < 3; ++again) w.look();
        REQUIRE_FALSE(w.samples().voltage.fresh);
        REQUIRE_FALSE(w.samples().temperature_max.fresh);
    }
    w.hear();
    CHECK(w.samples().voltage.fresh == 400_V);
    CHECK(w.samples().temperature_max.fresh == 25_degC);
}

TEST_CASE("a value out of range is never believed, not even where those after it do not agree")
{
    // SAFE-025, SAFE-026
    WatchedSignals w;
    w.temperature_max = 121_degC;
    w.hear();
    for (int n = 0; n < 10; ++n) {
        w.temperature_max = n % 2 == 0 ? 20_degC : 40_degC;
        w.hear();
    }
    CHECK(w.samples().temperature_max.fresh == 20_degC);
    CHECK(w.samples().temperature_max.suspect == 40_degC);
}

TEST_CASE("a value that was forgotten again was not out of range")
{
    WatchedSignals w;
    w.hear();
    w.state.voltage.set(401_V, w.now);
    w.state.voltage.forget();
    w.state.current.set(1_A, w.now);
    w.state.current.forget();
    CHECK(w.look().gone == Direction::both);
    w.hear();
    CHECK(w.samples().voltage.fresh == 400_V);
    CHECK(w.samples().current.fresh == 0_A);
}

TEST_CASE("a temperature jumps within two seconds, a state of charge within ten: what comes later is believed at once")
{
    // SAFE-026
    for (const bool later : {false, true}) {
        CAPTURE(later);
        const Duration more = later ? 1us : 0us;
        WatchedSignals w;
        w.profile.signals[index(SignalId::soc)].period = 5s;  // so that it may be 15 s old
        w.hear();
        w.temperature_max = 36_degC;
        w.hear(2s + more);
        CHECK(w.samples().temperature_max.fresh == (later ? 36_degC : 25_degC));
        CHECK(w.samples().temperature_max.suspect.has_value() == !later);
        w.soc = 56_pct;
        w.hear(10s + more);
        CHECK(w.samples().soc.fresh == (later ? 56_pct : 50_pct));
        CHECK(w.samples().soc.suspect.has_value() == !later);
    }
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

// SAFE-020
TEST_CASE("of a signal in two readings either one that is lost takes it away, though the other one still comes")
{
    for (const bool first : {true, false}) {
        CAPTURE(first);
        WatchedSignals w;
        bool amperes = true;
        w.also = [&] {
            if (amperes) w.state.charge_limit_current.set(20_A, w.now);
        };
        REQUIRE(w.hear().gone == Direction::none);
        if (first)
            w.silent.insert(SignalId::charge_limit);
        else
            amperes = false;
        CHECK(w.hear(5s).gone == Direction::none);
        CHECK(w.hear(1us).gone == Direction::charge);
        CHECK_FALSE(w.samples().charge_limit.fresh);
        CHECK_FALSE(w.samples().charge_limit_current.fresh);
    }
}

TEST_CASE("a lost measurement fades for exactly as long as the ramp takes, and its last value is usable for as long")
{
    // SAFE-023
    for (const SignalId id : {SignalId::current, SignalId::temperature_max}) {
        CAPTURE(to_string(id));
        WatchedSignals w;
        w.current = 5_A;
        w.hear();
        const Instant last = w.now;
        const Duration limit = age_limits(w.safety, w.profile)[id];
        w.silent.insert(id);
        const auto hear_at = [&](Duration age) { return w.hear(last + age - w.now); };
        const auto fresh = [&] {
            return id == SignalId::current ? w.samples().current.fresh == 5_A : w.samples().temperature_max.fresh == 25_degC;
        };
        const auto usable = [&] {
            return id == SignalId::current ? w.samples().current.usable == 5_A : w.samples().temperature_max.usable == 25_degC;
        };
        CHECK_FALSE(hear_at(limit).charge_fades);
        CHECK(fresh());
        for (const Duration age : {limit + 1us, limit + 3s - 1us}) {
            const auto r = hear_at(age);
            CHECK_FALSE(fresh());
            CHECK(usable());
            CHECK(r.gone == Direction::none);
            CHECK(r.charge_fades == last + limit);
            CHECK(r.discharge_fades == last + limit);
        }
        const auto r = hear_at(limit + 3s);
        CHECK_FALSE(usable());
        CHECK(r.gone == Direction::both);
        CHECK_FALSE(r.charge_fades);
        CHECK_FALSE(r.discharge_fades);
    }
}

TEST_CASE("a direction fades since the first of its measurements was lost")
{
    // SAFE-023
    WatchedSignals w;
    w.hear();
    const Instant start = w.now;
    w.silent.insert(SignalId::temperature_max);  // may be 10 s old, and serves both
    w.hear(4s);
    w.silent.insert(SignalId::cell_voltage_max);  // 5 s, and serves charging
    const auto charge = w.hear(5s + 1us);
    CHECK(charge.charge_fades == start + 9s);
    CHECK_FALSE(charge.discharge_fades);
    const auto both = w.hear(1s);
    CHECK(both.charge_fades == start + 9s);
    CHECK(both.discharge_fades == start + 10s);
}

TEST_CASE("a measurement that only comes with values nobody believes fades once, like one that does not come")
{
    // SAFE-023, SAFE-026
    WatchedSignals w;
    w.hear();
    const Instant last = w.now;
    SignalWatch::Result r;
    const auto jump_until = [&](Duration age) {
        while (w.now < last + age) {
            w.cell_max = w.cell_max == 4_V ? 4600_mV : 4_V;
            r = w.hear();
        }
    };
    jump_until(5s);
    CHECK_FALSE(r.charge_fades);
    jump_until(5100ms);
    CHECK(r.charge_fades == w.now);
    jump_until(8s);
    CHECK(r.charge_fades == last + 5100ms);
    CHECK(r.gone == Direction::none);
    jump_until(8100ms);
    CHECK_FALSE(r.charge_fades);
    CHECK(r.gone == Direction::charge);
}

TEST_CASE("a signal that was bad when it ceased to come does not fade, and stays bad")
{
    // SAFE-023, SAFE-025
    WatchedSignals w;
    w.hear();
    w.temperature_max = 121_degC;
    CHECK(w.hear().gone == Direction::both);
    w.silent.insert(SignalId::temperature_max);
    w.hear(10s);
    const auto r = w.hear(1us);
    CHECK(r.gone == Direction::both);
    CHECK_FALSE(r.charge_fades);
    CHECK(w.shows(FaultId::sig_bad, "temperature_max"));
    CHECK_FALSE(w.shows(FaultId::sig_stale, "temperature_max"));
}

TEST_CASE("a signal that was bad for long is back after five fresh seconds as well, and when it is lost later it is stale")
{
    // SAFE-023, SAFE-024
    WatchedSignals w;
    w.hear();
    w.silent.insert(SignalId::temperature_max);
    for (int i = 0; i < 5; ++i) w.state.temperature_max.refuse();
    w.hear();
    w.hear(11s);
    w.silent.clear();
    for (int i = 0; i < 10; ++i) w.hear();
    CHECK(w.samples().temperature_max.fresh == 25_degC);
    w.hear(5s - 1us);
    CHECK(w.shows(FaultId::sig_bad, "temperature_max"));
    w.hear(1us);
    CHECK_FALSE(w.shows(FaultId::sig_bad, "temperature_max"));
    w.silent.insert(SignalId::temperature_max);
    w.hear(10s + 1us);
    CHECK(w.shows(FaultId::sig_stale, "temperature_max"));
    CHECK_FALSE(w.shows(FaultId::sig_bad, "temperature_max"));
}

TEST_CASE("an outage of ten seconds is a long one")
{
    // SAFE-023
    for (const auto& [outage, wanted] : {std::pair{Duration{10s} - 1us, 5s}, std::pair{Duration{10s}, 30s}}) {
        WatchedSignals w;
        w.hear();
        w.silent.insert(SignalId::cell_voltage_max);
        w.hear(5s + outage);
        w.silent.clear();
        w.hear();
        w.hear(wanted - 1us);
        CHECK(w.shows(FaultId::sig_stale, "cell_voltage_max"));
        w.hear(1us);
        CHECK_FALSE(w.shows(FaultId::sig_stale, "cell_voltage_max"));
    }
}

TEST_CASE("a short outage is one whether a battery states its limits as power or as current, and whichever permission it gives")
{
    // SAFE-023
    for (const bool first : {true, false}) {
        CAPTURE(first);
        WatchedSignals w;
        w.profile.signals[index(SignalId::flags)] = {.provided = true, .period = 100ms};
        w.silent = {SignalId::charge_limit, SignalId::discharge_limit};
        bool speaks = true;
        w.also = [&] {
            if (!speaks) return;
            BatteryState& s = w.state;
            (first ? s.charge_allowed : s.discharge_allowed).set(true, w.now);
            if (first) {
                s.charge_limit.set(8_kW, w.now);
                s.discharge_limit.set(4_kW, w.now);
            } else {
                s.charge_limit_current.set(20_A, w.now);
                s.discharge_limit_current.set(10_A, w.now);
            }
        };
        CHECK(w.hear().gone == Direction::none);
        speaks = false;
        CHECK(w.hear(6s).gone == Direction::both);
        speaks = true;
        w.hear();
        CHECK(w.hear(5s - 1us).gone == Direction::both);
        CHECK(w.hear(1us).gone == Direction::none);
    }
}

// SAFE-231
TEST_CASE("a measurement received in the very moment of waking up is one of before")
{
    WatchedSignals w;
    w.hear();
    const Instant last = w.now;
    w.silent.insert(SignalId::temperature_max);
    w.hear();
    w.watch->stale_until(last);
    const auto r = w.hear();
    CHECK(r.gone == Direction::both);
    CHECK_FALSE(r.charge_fades);
    CHECK_FALSE(w.samples().temperature_max.usable);
    CHECK(w.shows(FaultId::sig_stale, "temperature_max"));
}

TEST_CASE("a signal that never came is told ten seconds after the pack was first heard")
{
    // SAFE-020
    WatchedSignals w;
    w.silent.insert(SignalId::temperature_max);
    w.hear();
    w.hear(10s - 1us);
    CHECK_FALSE(w.shows(FaultId::sig_stale, "temperature_max"));
    w.hear(1us);
    CHECK(w.shows(FaultId::sig_stale, "temperature_max"));
}

TEST_CASE("an assumed constant is there with or without a pack voltage, and is one sample for ever")
{
    // SAFE-029
    WatchedSignals w;
    w.never_delivers({SignalId::temperature_max, SignalId::temperature_min, SignalId::soc});
    w.safety.assume.temperature_max = 30_degC;
    w.safety.assume.temperature_min = 20_degC;
    w.safety.assume.soc = 50_pct;
    CHECK(w.hear().gone == Direction::none);
    w.silent.insert(SignalId::voltage);
    for (const Duration time : {Duration{100ms}, Duration{5s}}) {
        w.hear(time);
        const PackSamples& s = w.samples();
        CHECK(s.temperature_max.fresh == 30_degC);
        CHECK(s.temperature_min.fresh == 20_degC);
        CHECK(s.soc.fresh == 50_pct);
        CHECK(s.temperature_max.usable == 30_degC);
        CHECK(s.temperature_min.usable == 20_degC);
        CHECK(s.soc.usable == 50_pct);
        for (const std::uint32_t samples : {s.temperature_max.samples, s.temperature_min.samples, s.soc.samples})
            CHECK(samples == 1);
    }
    CHECK_FALSE(w.samples().voltage.fresh);
}

TEST_CASE("cell voltages are derived while the pack voltage is fresh, where there are cells, be it one; they go and come with it")
{
    // SAFE-029
    struct Row {
        std::optional<unsigned> cells;
        std::optional<Voltage> each;
    };
    for (const Row& row : {Row{std::nullopt, std::nullopt}, Row{0U, std::nullopt}, Row{1U, 400_V}, Row{120U, 3333_mV}}) {
        CAPTURE(row.cells.value_or(999));
        WatchedSignals w;
        w.never_delivers({SignalId::cell_voltage_max, SignalId::cell_voltage_min});
        w.safety.assume.cell_voltage_max = w.safety.assume.cell_voltage_min = true;
        w.range.cells = row.cells;
        CHECK(w.hear().gone == (row.each ? Direction::none : Direction::both));
        CHECK(w.samples().cell_max.fresh == row.each);
        CHECK(w.samples().cell_min.fresh == row.each);
        w.silent.insert(SignalId::voltage);
        w.hear(2s + 1us);
        CHECK_FALSE(w.samples().voltage.usable);  // nothing of it fades
        CHECK_FALSE(w.samples().cell_max.usable);
        CHECK_FALSE(w.samples().cell_min.usable);
        CHECK(w.shows(FaultId::sig_stale, "cell_voltage_max") == row.each.has_value());
        CHECK(w.shows(FaultId::sig_stale, "cell_voltage_min") == row.each.has_value());
        w.silent.erase(SignalId::voltage);
        w.hear();
        CHECK(w.hear(5s - 1us).gone == Direction::both);
        CHECK(w.hear(1us).gone == (row.each ? Direction::none : Direction::both));  // it was a short outage of theirs as well
    }
}
