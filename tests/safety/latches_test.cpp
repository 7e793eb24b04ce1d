// Faults that stay: what is kept of them, and what it takes to be rid of them.
#include "safety/conditions.hpp"
#include "safety/latch_reset.hpp"
#include "tests/safety/house.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <string_view>
#include <vector>

using namespace batgw;
using batgw::test::House;

namespace {

constexpr Instant t0{Duration{12'345'678'901}};

ActiveFault fault(FaultId id, FaultClass level, std::string_view detail = {}, Device device = Device::battery)
{
    ActiveFault f = condition(id, level, Direction::both, device);
    f.detail.assign(detail);
    return f;
}

// A table, and time.
struct Bench {
    FaultTable table;
    Instant now = t0;
    Evidence fresh;

    void pass(Duration time, const std::vector<ActiveFault>& there = {})
    {
        for (const Instant end = now + time; now < end;) {
            now += std::min<Duration>(1s, end - now);
            for (const ActiveFault& f : there) table.report(f);
            table.settle(now, fresh);
        }
    }
    void happens(const ActiveFault& f)
    {
        table.report(f);
        table.settle(now, fresh);
    }
    ResetOutcome ask(std::string_view name, CommandSource source = CommandSource::local, std::string_view reason = {})
    {
        return reset_latches(table, {.fault = name, .reason = reason, .source = source}, now);
    }
    bool has(std::string_view name)
    {
        for (const ActiveFault& f : table.faults())
            if (fault_name(f) == name) return true;
        return false;
    }
};

int commands_told(House& house, std::string_view beginning)
{
    int n = 0;
    house.judge().events_since(0, [&](const Event& e) {
        if (e.type == EventType::command && e.text.view().starts_with(beginning)) ++n;
    });
    return n;
}

}  // namespace

TEST_CASE("a latched fault can be reset when its cause has been gone for 60 s, not before, and the answer says why")
{
    // SAFE-045
    Bench b;
    const ActiveFault trip = fault(FaultId::cell_high_crit, FaultClass::trip);
    b.happens(trip);
    b.pass(10s, {trip});
    ResetOutcome outcome = b.ask("CELL_HIGH_CRIT");
    CHECK(outcome.code == CommandCode::cause_present);
    CHECK(outcome.text == "CELL_HIGH_CRIT: its cause is still there");
    CHECK(outcome.reset == 0);

    b.pass(1s);  // the first second without it
    b.pass(59s);
    outcome = b.ask("CELL_HIGH_CRIT");
    CHECK(outcome.code == CommandCode::cause_present);
    CHECK(outcome.text == "CELL_HIGH_CRIT: its cause is gone for 59 s, needed are 60 s");
    CHECK_FALSE(b.table.faults()[0].resettable);
    b.pass(1s);
    CHECK(b.table.faults()[0].resettable);
    outcome = b.ask("CELL_HIGH_CRIT");
    CHECK(outcome.code == CommandCode::ok);
    CHECK(outcome.text == "reset: CELL_HIGH_CRIT");
    CHECK(outcome.reset == 1);
    b.pass(1s);
    CHECK(b.table.faults().empty());
    CHECK(b.table.effect().worst == FaultClass::none);
    CHECK(b.ask("CELL_HIGH_CRIT").code == CommandCode::not_found);
}

TEST_CASE("a cause that comes back starts the 60 s anew and is counted")
{
    // SAFE-044, SAFE-045
    Bench b;
    const ActiveFault trip = fault(FaultId::temp_crit, FaultClass::trip);
    b.happens(trip);
    REQUIRE(b.table.faults()[0].count == 1);
    b.pass(5s, {trip});
    REQUIRE(b.table.faults()[0].count == 1);
    b.pass(59s);
    const Instant back = b.now + 1s;
    b.pass(1s, {trip});
    CHECK(b.table.faults()[0].count == 2);
    CHECK(b.table.faults()[0].last == back);
    CHECK(b.table.faults()[0].since == t0);
    b.pass(60s);
    CHECK(b.ask("TEMP_CRIT").code == CommandCode::cause_present);
    b.pass(1s);
    CHECK(b.ask("TEMP_CRIT").code == CommandCode::ok);
}

TEST_CASE("a milder form of the fault is its cause too when it blocks, and none when it only warns")
{
    Bench b;
    b.happens(fault(FaultId::overcurrent, FaultClass::trip));
    b.pass(300s, {fault(FaultId::overcurrent, FaultClass::block)});
    CHECK(b.ask("OVERCURRENT").code == CommandCode::cause_present);
    b.pass(61s, {fault(FaultId::overcurrent, FaultClass::warn)});
    CHECK(b.ask("OVERCURRENT").code == CommandCode::ok);
    b.pass(1s, {fault(FaultId::overcurrent, FaultClass::warn)});
    REQUIRE(b.table.faults().size() == 1);
    CHECK(b.table.faults()[0].level == FaultClass::warn);
}

TEST_CASE("without fresh readings of the device nobody knows that a cause is gone")
{
    // SAFE-045
    struct Case {
        FaultId id;
        Device device;
        bool needs_battery, needs_inverter;
    };
    for (const Case& c :
        {Case{FaultId::temp_crit, Device::battery, true, false}, Case{FaultId::plausibility, Device::inverter, false, true},
            Case{FaultId::latch_store, Device::gateway, false, false}, Case{FaultId::id_conflict, Device::battery, false, false},
            Case{FaultId::id_conflict, Device::inverter, false, false}}) {
        CAPTURE(to_string(c.id));
        for (const bool battery : {true, false})
            for (const bool inverter : {true, false}) {
                Bench b;
                b.happens(fault(c.id, FaultClass::trip, {}, c.device));
                b.fresh = {.battery = battery, .inverter = inverter};
                b.pass(300s);
                const bool may = (battery || !c.needs_battery) && (inverter || !c.needs_inverter);
                CHECK((b.ask("all").code == CommandCode::ok) == may);
            }
    }
    Bench b;
    b.happens(fault(FaultId::temp_crit, FaultClass::trip));
    b.pass(50s);
    b.fresh.battery = false;
    b.pass(1s);
    CHECK(b.ask("TEMP_CRIT").text == "TEMP_CRIT: values that would show its cause are missing");
    b.fresh.battery = true;
    b.pass(60s);
    CHECK(b.ask("TEMP_CRIT").code == CommandCode::cause_present);  // silence is no time without the cause
    b.pass(1s);
    CHECK(b.ask("TEMP_CRIT").code == CommandCode::ok);
}

TEST_CASE("an EMERGENCY is reset on the machine itself only, with a reason")
{
    // SAFE-045
    Bench b;
    b.happens(fault(FaultId::cell_deep, FaultClass::emergency));
    b.pass(61s);
    CHECK(b.ask("CELL_DEEP", CommandSource::remote, "cells were exchanged").code == CommandCode::not_allowed);
    for (const std::string_view short_one : {"", "abc", "    ", "  abc   "})
        CHECK(b.ask("CELL_DEEP", CommandSource::local, short_one).code == CommandCode::bad_payload);
    CHECK(b.table.any_latched());
    CHECK(b.ask("CELL_DEEP", CommandSource::local, " abcd ").code == CommandCode::ok);
    b.pass(1s);
    CHECK(b.table.faults().empty());
}

TEST_CASE("a name resets what bears it: one detail, a whole kind, or all that may be reset")
{
    // SAFE-045
    Bench b;
    const ActiveFault there = fault(FaultId::temp_crit, FaultClass::trip);
    b.happens(fault(FaultId::bms_fault, FaultClass::trip, "F1"));
    b.happens(fault(FaultId::bms_fault, FaultClass::trip, "F2"));
    b.happens(fault(FaultId::pack_v_crit, FaultClass::trip));
    b.happens(fault(FaultId::cell_high, FaultClass::block));
    b.pass(61s, {there, fault(FaultId::cell_high, FaultClass::block)});

    for (const std::string_view nothing : {"BMS_FAULT:F3", "BMS", "", "ALL", "CELL_HIGH", "bms_fault", "BMS_FAULT:"})
        CHECK(b.ask(nothing).code == CommandCode::not_found);
    SUBCASE("one")
    {
        CHECK(b.ask("BMS_FAULT:F2").text == "reset: BMS_FAULT:F2");
        b.pass(1s, {there});
        CHECK(b.has("BMS_FAULT:F1"));
        CHECK_FALSE(b.has("BMS_FAULT:F2"));
        CHECK(b.has("PACK_V_CRIT"));
    }
    SUBCASE("a kind")
    {
        const ResetOutcome outcome = b.ask("BMS_FAULT");
        CHECK(outcome.reset == 2);
        CHECK(outcome.text == "reset: BMS_FAULT:F1, BMS_FAULT:F2");
        b.pass(1s, {there});
        CHECK(b.has("PACK_V_CRIT"));
    }
    SUBCASE("all")
    {
        const ResetOutcome outcome = b.ask("all");
        CHECK(outcome.code == CommandCode::ok);
        CHECK(outcome.reset == 3);
        CHECK(outcome.text == "reset: BMS_FAULT:F1, BMS_FAULT:F2, PACK_V_CRIT; not TEMP_CRIT: its cause is still there");
        b.pass(1s, {there});
        CHECK(b.has("TEMP_CRIT"));
        CHECK(b.table.any_latched());
    }
}

TEST_CASE("what was latched before a restart is not reset by it, and its 60 s begin anew")
{
    // SAFE-046
    Bench before;
    before.happens(fault(FaultId::bms_fault, FaultClass::trip, "F1"));
    before.pass(59s);
    Bench after;
    after.now = before.now;
    for (const ActiveFault& f : before.table.faults()) after.table.restore(f);
    after.fresh.battery = false;
    after.pass(600s);
    CHECK(after.has("BMS_FAULT:F1"));
    CHECK(after.table.effect().blocks_all());
    CHECK(after.table.faults()[0].since == t0);
    after.fresh.battery = true;
    after.pass(60s);
    CHECK(after.ask("all").code == CommandCode::cause_present);
    after.pass(1s);
    CHECK(after.ask("all").code == CommandCode::ok);
}

TEST_CASE("a restart in the middle of a hold starts the hold from zero")
{
    // SAFE-046
    House house;
    house.up();
    house.cell_max = 3610_mV;
    house.run(10s);
    REQUIRE(house.has(FaultId::cell_high, FaultClass::block));
    house.cell_max = 3310_mV;
    house.run(20s);
    REQUIRE(house.has(FaultId::cell_high, FaultClass::block));
    house.made.emplace(house.setup());  // nothing of the old judge is left
    house.cell_max = 3610_mV;
    house.run(10s);
    house.cell_max = 3310_mV;
    const Duration held = house.time_until([&] { return !house.has(FaultId::cell_high); }, 60s);
    CHECK(held >= 30s);
    CHECK(held < 32s);
}

TEST_CASE("the judge resets, tells of every attempt, and closes nothing")
{
    // SAFE-045
    House house;
    house.up();
    house.cell_max = 3710_mV;
    house.run(10s);
    REQUIRE(house.has(FaultId::cell_high_crit, FaultClass::trip));
    CHECK(house.judge().reset({.fault = "CELL_HIGH_CRIT", .reason = {}}, house.now).code == CommandCode::cause_present);
    CHECK(house.judge().reset({.fault = "CELL", .reason = {}}, house.now).code == CommandCode::not_found);
    CHECK(commands_told(house, "reset refused: CELL_HIGH_CRIT: its cause is still there") == 1);
    CHECK(commands_told(house, "reset refused: nothing is latched") == 1);
    house.cell_max = 3310_mV;
    house.run(130s);
    REQUIRE(house.verdict().state == GatewayState::trip);
    REQUIRE(house.charge().milli() == 0);
    CHECK(house.judge().reset({.fault = "CELL_HIGH_CRIT", .reason = {}}, house.now).code == CommandCode::ok);
    CHECK(commands_told(house, "reset: CELL_HIGH_CRIT") == 1);
    house.step();
    CHECK_FALSE(house.has(FaultId::cell_high_crit));
    CHECK(house.charge() < 10_kW);  // through the ramp, as after any block
    house.run(40s);
    CHECK(house.charge() == 10_kW);
}

TEST_CASE("a latch of an earlier run is told at start and gives way to a reset only with a battery that speaks")
{
    // SAFE-046
    House house;
    house.pack_speaks = false;
    house.judge().restore(fault(FaultId::temp_crit, FaultClass::trip));
    int told = 0;
    house.judge().events_since(0, [&](const Event& e) { told += e.text == "latched by an earlier run: TEMP_CRIT" ? 1 : 0; });
    CHECK(told == 1);
    house.run(200s);
    CHECK(house.judge().reset({.fault = "TEMP_CRIT", .reason = {}}, house.now).code == CommandCode::cause_present);
    house.pack_speaks = true;
    house.run(100s);
    CHECK(house.verdict().state == GatewayState::trip);
    CHECK(house.judge().reset({.fault = "TEMP_CRIT", .reason = {}}, house.now).code == CommandCode::ok);
    house.run(60s);
    CHECK(house.charge() == 10_kW);
}

TEST_CASE("somebody else on the bus before the first frame: silence until a reset, and over a restart")
{
    // SAFE-185, SAFE-046
    House house;
    house.battery_tx.ever_sent = false;
    house.battery_traffic.own_ids = 2;
    house.run(1s);
    REQUIRE(house.has(FaultId::id_conflict, FaultClass::trip));
    REQUIRE(house.verdict().mute_battery);
    house.run(100s);
    CHECK(house.judge().reset({.fault = "ID_CONFLICT", .reason = {}}, house.now).code == CommandCode::cause_present);
    house.step();
    CHECK(house.verdict().mute_battery);
    house.run(25s);

    House after;
    after.judge().restore(*house.fault(FaultId::id_conflict));
    after.run(1s);
    CHECK(after.verdict().mute_battery);
    CHECK_FALSE(after.verdict().mute_inverter);

    CHECK(house.judge().reset({.fault = "ID_CONFLICT:can0", .reason = {}}, house.now).code == CommandCode::ok);
    house.step();
    CHECK_FALSE(house.verdict().mute_battery);
    CHECK_FALSE(house.has(FaultId::id_conflict));
}

TEST_CASE("faults found at start are judged with the first verdict and can be reset")
{
    // SAFE-044
    House house;
    house.judge().report(fault(FaultId::latch_store, FaultClass::trip, {}, Device::gateway));
    house.step();
    REQUIRE(house.verdict().state == GatewayState::trip);
    REQUIRE(house.times_set(FaultId::latch_store) == 1);
    house.run(61s);
    CHECK(house.judge().reset({.fault = "LATCH_STORE", .reason = {}}, house.now).code == CommandCode::ok);
    house.run(60s);
    CHECK(house.charge() == 10_kW);
}

TEST_CASE("of several latches that cannot be reset the answer names the first")
{
    // SAFE-045
    Bench b;
    const ActiveFault first = fault(FaultId::bms_fault, FaultClass::trip, "F1"),
                      second = fault(FaultId::bms_fault, FaultClass::trip, "F2");
    b.happens(first);
    b.pass(10s, {first, second});
    const ResetOutcome outcome = b.ask("BMS_FAULT");
    CHECK(outcome.code == CommandCode::cause_present);
    CHECK(outcome.reset == 0);
    CHECK(outcome.text == "BMS_FAULT:F1: its cause is still there");
}
