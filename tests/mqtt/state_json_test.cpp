#include "mqtt/state_json.hpp"

#include "mqtt/alarms_json.hpp"
#include "mqtt/cells_json.hpp"
#include "mqtt/fault_text.hpp"
#include "tests/mqtt/samples.hpp"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <random>
#include <string>

using namespace batgw;
using namespace batgw::mqtt;
using namespace batgw::test;
using nlohmann::json;

namespace {

constexpr std::int64_t wall = 1'772'352'930'120;  // 2026-03-01T08:15:30.120Z
std::string state(const Snapshot& s) { return state_json(s, &sample_battery().profile, {s.now, wall}); }

}  // namespace

// MQTT-030
TEST_CASE("STATE is one compact object with full words, numbers as numbers")
{
    CHECK(state(sample_snapshot(t0)) ==
        R"({"version":1,"sequence":18211,"time":"2026-03-01T08:15:30.120Z","clock_valid":true,"uptime_s":86412,)"
        R"("gateway":{"mode":"run","state":"RUN","fault_class":"NONE","faults":0,"first_cause":null,"text":"running","charge_ok":false,"discharge_ok":false},)"
        R"("operator":{"charge":"ON","discharge":"ON","max_charge_w":10000,"max_discharge_w":10000,"pause":"OFF","limit_ttl_s":null},)"
        R"("limits":{"charge_w":0,"discharge_w":0,"charge_a":0.0,"discharge_a":0.0,"charge_by":"fault","discharge_by":"fault","voltage_max":439.0,"voltage_min":380.0},)"
        R"("battery":{"link":"ok","age_s":0.08,"soc":96.4,"soc_shown":96.4,"soc_overridden":false,"soh":98,"voltage":432.1,"current":4.7,"power":2031,)"
        R"("cell_min":3.421,"cell_max":3.482,"cell_avg":3.422,"cell_delta":0.061,"cell_min_number":44,"cell_max_number":9,)"
        R"("temperature_min":17,"temperature_max":19,"temperature_avg":18,"temperature_ambient":16,"allowed_charge_w":4000,"allowed_discharge_w":285500,)"
        R"("energy_remaining":57.8,"energy_full":60.0,"energy_charged":4211,"energy_discharged":4030,"charge_remaining":null,"charge_full":null,)"
        R"("charge_in":null,"charge_out":null,"cycles":71,"insulation":6800,"contactor":"closed","stale":[],"assumed":[]},)"
        R"("inverter":{"link":"ok","age_s":0.40,"name":"GOODWE","voltage":431.8,"current":4.6,"temperature":38.5,"soc":96.4},)"
        R"("contactors":{"mode":"bms_command","state":"CLOSED","attempts":0,"opened_under_load":0,"weld":null},)"
        R"("buses":{"can0":{"state":"active","rx":221.4,"tx":0.0,"errors":0},"can1":{"state":"active","rx":0.0,"tx":0.0,"errors":0}}})");
}

// MQTT-030
TEST_CASE("what is not known is null, and every key stays")
{
    Snapshot s;
    s.now = t0;
    const json empty = json::parse(state(s)), full = json::parse(state(sample_snapshot(t0)));
    for (const auto& section : full.items()) {
        REQUIRE(empty.contains(section.key()));
        if (!section.value().is_object() || section.key() == "buses") continue;
        for (const auto& one : section.value().items()) {
            const std::string path = section.key() + "." + one.key();
            CHECK_MESSAGE(empty[section.key()].contains(one.key()), path);
        }
    }
    for (const char* key : {"age_s", "soc", "voltage", "current", "power", "cell_min", "cell_avg", "cell_delta",
             "temperature_min", "insulation", "contactor", "cycles"})
        CHECK(empty["battery"][key].is_null());
    for (const char* key : {"age_s", "name", "voltage", "soc"}) CHECK(empty["inverter"][key].is_null());
    CHECK(empty["battery"]["link"] == "never");
    CHECK(empty["gateway"]["state"] == "STARTING");
    CHECK(empty["limits"]["voltage_max"].is_null());
}

// MQTT-030
TEST_CASE("STATE is ASCII of at most 4 KiB, whatever is in it")
{
    Snapshot s = sample_snapshot(t0, 192);
    s.verdict.sequence = UINT64_MAX;
    s.started = t0 - 10000h;
    s.verdict.state = GatewayState::block_discharge;
    for (std::size_t i = 0; i < s.verdict.faults.capacity(); ++i) {
        ActiveFault f = sample_fault(FaultId::temp_event, FaultClass::emergency, Direction::both, t0);
        f.detail.assign("\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\");
        s.verdict.faults.push_back(f);
        s.verdict.first_cause = f;
    }
    put_modules(s, 16);
    const std::int64_t big = -999'999'999'999;
    for (auto* r : {&s.battery.voltage, &s.battery.cell_voltage_max, &s.battery.cell_voltage_min})
        put(*r, Voltage::from_milli(big), t0);
    for (auto* r : {&s.battery.energy_in, &s.battery.energy_out, &s.battery.energy_full, &s.battery.energy_remaining})
        put(*r, Energy::from_milli(big), t0);
    for (auto* r : {&s.battery.charge_in, &s.battery.charge_out, &s.battery.charge_full, &s.battery.charge_remaining})
        put(*r, Charge::from_milli(big), t0);
    for (auto* r : {&s.battery.charge_limit, &s.battery.discharge_limit}) put(*r, Power::from_milli(big), t0);
    s.inverter.name = Text<16>{"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\""};
    for (auto& bus : s.buses) bus.status.counters.bus_off = UINT64_MAX;
    s.buses[0].status.name = Text<48>{std::string(48, '"')};
    s.buses[1].status.name = Text<48>{std::string(47, '\\')};
    s.now = t0 + 24h;  // all too old: the list of stale signals is at its longest, and age at its widest
    const std::string text = state_json(s, nullptr, {s.now, wall});
    CHECK(text.size() <= state_bytes_max);
    CHECK(json::accept(text));
    s.now = t0;
    const std::string fresh = state(s);
    CHECK(fresh.size() <= state_bytes_max);
    CHECK(json::accept(fresh));
    CHECK(std::ranges::all_of(text + fresh, [](char c) { return c >= ' ' && c <= '~'; }));
}

// MQTT-030
TEST_CASE("STATE tells of every module of a tower, and of sixteen at once what fits")
{
    Snapshot s = sample_snapshot(t0);
    CHECK_FALSE(json::parse(state(s))["battery"].contains("modules"));
    put_modules(s, 2);
    put(s.battery.modules[1].current, 1.5_A, t0, 5s);
    CHECK(
        state(s).find(
            R"("modules":[{"number":1,"soc":64.2,"voltage":52.8,"current":-102.7,"cell_min":3.241,"cell_max":3.265,)"
            R"("temperature_min":-14.2,"temperature_max":-11.5,"alarms":12},{"number":2,"soc":64.2,"voltage":52.8,"current":1.5,)") !=
        std::string::npos);
    s.now = t0 + 6s;
    CHECK(json::parse(state(s))["battery"]["modules"][1]["current"].is_null());
    s.now = t0;

    // A tower of sixteen in an ordinary house is told in full.
    put_modules(s, 16);
    const std::string tall = state(s);
    CHECK(tall.size() <= state_bytes_max);
    MESSAGE("STATE with 16 modules: " << tall.size() << " bytes");
    const json modules = json::parse(tall)["battery"]["modules"];
    REQUIRE(modules.size() == 16);
    CHECK(modules[15]["number"] == 16);
    CHECK(modules[15]["cell_max"] == 3.265);

    // With a long text beside it, each module still has its charge, its current and its alarms.
    s.buses[0].status.name = Text<48>{std::string(48, '"')};
    s.buses[1].status.name = Text<48>{std::string(47, '"')};
    s.verdict.faults.push_back(sample_fault(FaultId::temp_event, FaultClass::emergency, Direction::both, t0));
    s.verdict.first_cause = s.verdict.faults[0];
    for (auto* r : {&s.battery.charge_in, &s.battery.charge_out, &s.battery.charge_full, &s.battery.charge_remaining})
        put(*r, 999'999_Ah, t0);
    for (auto* r : {&s.battery.energy_in, &s.battery.energy_out, &s.battery.energy_full, &s.battery.energy_remaining})
        put(*r, Energy::from_milli(999'999'999'999), t0);
    s.inverter.name = Text<16>{"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\""};
    for (auto* r : {&s.battery.voltage, &s.battery.cell_voltage_min, &s.battery.cell_voltage_max})
        put(*r, Voltage::from_milli(-999'999'999'999), t0);
    for (auto* r : {&s.battery.charge_limit, &s.battery.discharge_limit}) put(*r, Power::from_milli(999'999'999'999), t0);
    s.verdict.sequence = UINT64_MAX;
    const std::string crowded = state(s);
    CAPTURE(crowded.size());
    CHECK(crowded.size() <= state_bytes_max);
    const json brief = json::parse(crowded)["battery"]["modules"];
    REQUIRE(brief.size() == 16);
    CHECK_FALSE(brief[15].contains("cell_max"));
    CHECK(brief[15]["soc"] == 64.2);
    CHECK(brief[15]["current"] == -102.7);
    CHECK(brief[15]["alarms"] == 12);
}

TEST_CASE("what a battery allows as a current is shown as power, and is missed when it is too old")
{
    Snapshot s = sample_snapshot(t0);
    s.battery.charge_limit = s.battery.discharge_limit = Reading<Power>{};
    put(s.battery.voltage, 52_V, t0);
    put(s.battery.charge_limit_current, 100_A, t0, 5s);
    put(s.battery.discharge_limit_current, 180_A, t0, 5s);
    put(s.battery.charge_allowed, true, t0);
    put(s.battery.discharge_allowed, true, t0, 3s);
    const auto ask = [&] { return json::parse(state_json(s, nullptr, {s.now, wall}))["battery"]; };
    CHECK(ask()["allowed_charge_w"] == 5200);
    CHECK(ask()["allowed_discharge_w"] == 9360);
    CHECK(ask()["stale"].empty());
    const auto before = watched(s);
    s.now = t0 + 6s;
    CHECK(ask()["allowed_charge_w"].is_null());
    CHECK(ask()["stale"] == json({"flags", "charge_limit", "discharge_limit"}));
    CHECK(moved(before, watched(s)));
}

TEST_CASE("a module that joins, moves its charge or complains moves STATE")
{
    Snapshot s = sample_snapshot(t0);
    const auto none = watched(s);
    put_modules(s, 2);
    const auto two = watched(s);
    CHECK(moved(none, two));
    put(s.battery.modules[1].soc, 64.9_pct, t0);
    CHECK_FALSE(moved(two, watched(s)));
    put(s.battery.modules[1].soc, 65.2_pct, t0);
    CHECK(moved(two, watched(s)));
    put_modules(s, 2);
    put(s.battery.modules[0].alarms, 13_count, t0);
    CHECK(moved(two, watched(s)));
    // The first one left, and another address has its place.
    put_modules(s, 2);
    s.battery.modules[1].address = 3;
    CHECK(moved(two, watched(s)));
}

// MQTT-073
TEST_CASE("bytes of a device that are no ASCII do not get through")
{
    Snapshot s = sample_snapshot(t0);
    s.inverter.name = Text<16>{"\x01"
                               "B\xc3\xa4\xff\"x"};
    const std::string text = state(s);
    CHECK(std::ranges::all_of(text, [](char c) { return c >= ' ' && c <= '~'; }));
    CHECK(json::accept(text));
}

// MQTT-031
TEST_CASE("the numbers of one STATE fit each other")
{
    std::mt19937 random{20260301};  // NOLINT: the same each time
    std::uniform_int_distribution<std::int64_t> volts{300'000, 450'000}, amps{-100'000, 100'000}, cell{2'500, 3'650};
    for (int i = 0; i < 10'000; ++i) {
        Snapshot s = sample_snapshot(t0);
        s.verdict.sequence = static_cast<std::uint64_t>(i) + 1;
        put(s.battery.voltage, Voltage::from_milli(volts(random)), t0);
        put(s.battery.current, Current::from_milli(amps(random)), t0);
        const std::int64_t a = cell(random), b = cell(random);
        put(s.battery.cell_voltage_min, Voltage::from_milli(std::min(a, b)), t0);
        put(s.battery.cell_voltage_max, Voltage::from_milli(std::max(a, b)), t0);
        const json battery = json::parse(state(s))["battery"];
        const double v = battery["voltage"], c = battery["current"], p = battery["power"];
        REQUIRE(std::abs(p - v * c) <= 0.05 * (std::abs(v) + std::abs(c)) + 1);
        const double high = battery["cell_max"], low = battery["cell_min"], delta = battery["cell_delta"];
        REQUIRE(std::abs(delta - (high - low)) < 0.0005);
    }
}

// MQTT-032
TEST_CASE("states and causes are told by their names")
{
    constexpr std::array<const char*, 11> names{"STARTING", "RUN", "DERATED", "BLOCK_CHARGE", "BLOCK_DISCHARGE", "BLOCK",
        "PAUSED", "TRIP", "EMERGENCY", "OBSERVE", "SHUTDOWN"};
    for (std::size_t i = 0; i < names.size(); ++i) {
        Snapshot s = sample_snapshot(t0);
        s.verdict.state = static_cast<GatewayState>(i);
        const json g = json::parse(state(s))["gateway"];
        CHECK(g["state"] == names[i]);
        CHECK(g["mode"] == (s.verdict.state == GatewayState::observe ? "observe" : "run"));
        CHECK_FALSE(g["text"].get<std::string>().empty());
        CHECK(g["text"].get<std::string>().size() <= 120);
    }
}

TEST_CASE("a lost or stale battery shows, but only signals it provides")
{
    Snapshot s = sample_snapshot(t0);
    s.now = t0 + 100s;
    s.verdict.battery_link = false;
    const json b = json::parse(state(s))["battery"];
    CHECK(b["link"] == "lost");
    CHECK(b["age_s"] == 100.08);
    CHECK(b["stale"] == json::array({"voltage", "soc", "cells"}));
    CHECK(b["soc"].is_null());
    CHECK(b["contactor"].is_null());
}

TEST_CASE("a limit with a time-to-live shows what is left of it")
{
    Snapshot s = sample_snapshot(t0);
    s.operator_.limits_expire = t0 + 90500ms;
    s.operator_.charge = false;
    s.operator_.paused = true;
    const json o = json::parse(state(s))["operator"];
    CHECK(o["limit_ttl_s"] == 91);
    CHECK(o["charge"] == "OFF");
    CHECK(o["pause"] == "ON");
}

TEST_CASE("the text says why")
{
    Snapshot s = sample_snapshot(t0);
    ActiveFault f = sample_fault(FaultId::cell_high_curve, FaultClass::derate, Direction::charge, t0);
    f.has_value = true;
    f.unit = Unit::volt;
    f.value_milli = 3482;
    s.verdict.faults.push_back(f);
    s.verdict.worst = FaultClass::derate;
    s.verdict.state = GatewayState::derated;
    CHECK(state_text(s) == "charge reduced: highest cell 3.482 V");
    s.verdict.state = GatewayState::starting;
    s.verdict.waiting = Waiting::battery_data;
    CHECK(state_text(s) == "starting: waiting for battery values");
    f = sample_fault(FaultId::sig_stale, FaultClass::block, Direction::both, t0);
    f.detail.assign("soc");
    s.verdict.faults.push_back(f);
    s.verdict.worst = FaultClass::block;
    s.verdict.state = GatewayState::block;
    CHECK(state_text(s) == "blocked: battery value too old: soc");
    CHECK(fault_id(f) == "SIG_STALE:soc");
}

// MQTT-033
TEST_CASE("a move counts from its deadband on, and knowing or not knowing always")
{
    const auto moved_by = [](auto change) {
        const Snapshot before = sample_snapshot(t0);
        Snapshot after = before;
        change(after);
        return moved(watched(before), watched(after));
    };
    CHECK_FALSE(moved_by([](Snapshot&) {}));
    CHECK_FALSE(moved_by([](Snapshot& s) { put(s.battery.voltage, 432.5_V, t0); }));
    CHECK(moved_by([](Snapshot& s) { put(s.battery.voltage, 432.6_V, t0); }));
    CHECK(moved_by([](Snapshot& s) { put(s.battery.voltage, 431.6_V, t0); }));
    CHECK_FALSE(moved_by([](Snapshot& s) { put(s.battery.cell_voltage_max, 3483_mV, t0); }));
    CHECK(moved_by([](Snapshot& s) { put(s.battery.cell_voltage_max, 3484_mV, t0); }));
    CHECK_FALSE(moved_by([](Snapshot& s) { put(s.battery.insulation, 6500_ohm_per_V, t0); }));
    CHECK(moved_by([](Snapshot& s) { put(s.battery.insulation, 6000_ohm_per_V, t0); }));
    CHECK(moved_by([](Snapshot& s) { s.battery.soc.forget(); }));
    CHECK(moved_by([](Snapshot& s) { put(s.battery.cell_min_number, 45_count, t0); }));
    CHECK(moved_by([](Snapshot& s) { s.operator_.max_charge = 9999_W; }));
    CHECK(moved_by([](Snapshot& s) { s.buses[1].status.state = BusState::passive; }));
}

// MQTT-040
TEST_CASE("ALARMS lists what is active, and nothing is an empty list")
{
    Snapshot s = sample_snapshot(t0);
    CHECK(alarms_json(s, {t0, wall}) ==
        R"({"version":1,"sequence":18211,"worst":"NONE","charge":false,"discharge":false,"active":[]})");
    ActiveFault f = sample_fault(FaultId::cell_high_crit, FaultClass::trip, Direction::both, t0 - 88100ms);
    f.latched = f.has_value = true;
    f.unit = Unit::volt;
    f.number = 9;
    f.value_milli = 3712;
    f.limit_milli = 3700;
    s.verdict.faults.push_back(f);
    s.verdict.worst = FaultClass::trip;
    CHECK(alarms_json(s, {t0, wall}) ==
        R"({"version":1,"sequence":18211,"worst":"TRIP","charge":false,"discharge":false,"active":[)"
        R"({"id":"CELL_HIGH_CRIT","class":"TRIP","direction":"CD","latched":true,"resettable":false,"since":"2026-03-01T08:14:02.020Z","for_s":88.1,)"
        R"j("value":3.712,"limit":3.700,"unit":"V","device":"battery","text":"cell too high, cell 9 at 3.712 V (limit 3.700 V)","rule":"SAFE-061"}]})j");
    s.verdict.faults.clear();
    f.unit = Unit::celsius;
    f.device_number = 2;
    f.has_value = false;
    s.verdict.faults.push_back(f);
    const json one = json::parse(alarms_json(s, {t0, wall}))["active"][0];
    CHECK(one["unit"] ==
        "\xc2\xb0"
        "C");
    CHECK(one["device"] == "battery2");
    CHECK(one["value"].is_null());
}

TEST_CASE("every fault has words and an id")
{
    for (std::size_t i = 0; i < static_cast<std::size_t>(FaultId::count); ++i) {
        const ActiveFault f = sample_fault(static_cast<FaultId>(i), FaultClass::block, Direction::both, t0);
        CHECK(fault_text(f) != "fault");
        CHECK(fault_id(f) != "?");
    }
    // A bus may be a serial line.
    ActiveFault down = sample_fault(FaultId::bus_down, FaultClass::warn, Direction::none, t0);
    down.has_value = false;
    CHECK(fault_text(down).find("CAN") == std::string::npos);
}

// MQTT-044
TEST_CASE("CELLS holds the complete set, with null where nothing is populated")
{
    Snapshot s = sample_snapshot(t0, 4);
    CHECK(cells_json(s, 4) ==
        R"({"count":4,"sequence":18211,"voltages":[3.421,3.422,3.423,3.424],"temperatures":[17,19],"balancing":null})");
    CellVoltages cells;
    cells.count = 3;
    cells.set(0, 3300_mV);
    cells.set(2, 3.1_V);
    put(s.battery.cells, cells, t0);
    s.battery.temperatures.forget();
    CHECK(cells_json(s, 3) == R"({"count":3,"sequence":18211,"voltages":[3.3,null,3.1],"temperatures":[],"balancing":null})");
    CHECK_FALSE(cells_json(s, 4));  // not the configured pack
    CHECK(cells_json(s, 0));
    put(s.battery.balancing, CellFlags{0b101}, t0);
    s.battery.balancing.set_max_age(30s);
    CHECK(cells_json(s, 3) == R"({"count":3,"sequence":18211,"voltages":[3.3,null,3.1],"temperatures":[],"balancing":"101"})");
    s.now = t0 + 31s;
    CHECK(cells_json(s, 3) == R"({"count":3,"sequence":18211,"voltages":[3.3,null,3.1],"temperatures":[],"balancing":null})");
    s.now = t0 + 61s;
    CHECK_FALSE(cells_json(s, 3));
    for (const std::size_t count : {126U, 192U}) {
        const json all = json::parse(*cells_json(sample_snapshot(t0, count), static_cast<unsigned>(count)));
        CHECK(all["voltages"].size() == count);
        CHECK(all["count"] == count);
    }
    s.battery.cells.forget();
    s.now = t0;
    CHECK_FALSE(cells_json(s, 0));
}
