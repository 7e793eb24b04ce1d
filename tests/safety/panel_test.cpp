// Several packs under one panel: each judged for itself, closed one after the other, offered as one.
#include "tests/safety/terrace.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <iterator>
#include <string_view>
#include <vector>

using namespace batgw;
using batgw::test::House;
using batgw::test::Terrace;
using Words = std::string_view;

namespace {

// Both closed at full limits; then what happens to the first.
struct Trouble {
    Words name;
    FaultId fault;
    std::function<void(House&)> cause;
};

const std::vector<Trouble>& troubles()
{
    static const std::vector<Trouble> all{
        {"full cell", FaultId::cell_high, [](House& h) { h.cell_max = 3610_mV; }},
        {"cell far too high", FaultId::cell_high_crit, [](House& h) { h.cell_max = 3750_mV; }},
        {"empty cell", FaultId::cell_low, [](House& h) { h.cell_min = 2790_mV; }},
        {"deviation", FaultId::cell_dev_crit, [](House& h) { h.cell_min = 2795_mV; }},
        {"hot", FaultId::temp_crit, [](House& h) { h.temperature_max = h.temperature_min = 62_degC; }},
        {"cold", FaultId::temp_cold, [](House& h) { h.temperature_min = h.temperature_max = Temperature::from_milli(-3000); }},
        {"empty", FaultId::soc_low, [](House& h) { h.soc = 5_pct; }},
        {"no temperature", FaultId::sig_stale, [](House& h) { h.silent.insert(SignalId::temperature_max); }},
        {"silent", FaultId::bat_link_lost, [](House& h) { h.pack_speaks = false; }},
        {"denies", FaultId::bms_fault,
            [](House& h) {
                h.state.reported.push_back({.level = FaultClass::block, .direction = Direction::both, .code = Text<24>{"X1"}});
            }},
        {"bus gone", FaultId::bus_down, [](House& h) { h.battery_bus.state = BusState::missing; }},
    };
    return all;
}

// What of these faults this pack's judge has; those of the inverter's side are not asked for.
bool has(const Verdict& v, FaultId id) { return Terrace::find(v, id) != nullptr; }

}  // namespace

TEST_CASE("a panel of one judge says what the judge says")
{
    // SAFE-280
    Terrace row{1};
    House house;
    house.jumps_are_repeated = false;
    house.safety.contactors.mode = ContactorMode::bms_command;
    house.profile.contactor_mode = ContactorMode::bms_command;
    house.contactor = ContactorFeedback::open;
    house.state.phase = ContactorPhase::open;
    for (int i = 0; i < 900; ++i) {
        if (i == 600) row.house(0).cell_max = house.cell_max = 3620_mV;
        // The same pack for both: what the one's driver does the other does.
        row.step();
        house.contactor = row.house(0).contactor;
        house.state.phase = row.house(0).state.phase;
        house.step();
        CAPTURE(i);
        REQUIRE(row.whole().charge.power() == house.verdict().charge.power());
        REQUIRE(row.whole().state == house.verdict().state);
        REQUIRE(row.whole().contactors.state == house.verdict().contactors.state);
    }
    CHECK(has(row.whole(), FaultId::cell_high));
    CHECK(Terrace::find(row.whole(), FaultId::cell_high)->device_number == 1);
    CHECK(row.panel().transitions() > 0);
}

TEST_CASE("two packs close one after the other, never both at a time, and are then offered as one")
{
    // SAFE-281, SAFE-282
    Terrace row{2};
    row.house(1).voltage = 401_V;
    int closing = 0, most = 0;
    Instant first_closed{}, second_began{};
    while (row.now - row.start < 90s) {
        row.step();
        closing = 0;
        for (std::size_t i = 0; i < 2; ++i) closing += row.house(i).state.phase == ContactorPhase::closing ? 1 : 0;
        most = std::max(most, closing);
        if (row.joined(0) && first_closed == Instant{}) first_closed = row.now;
        if (row.house(1).state.phase == ContactorPhase::closing && second_began == Instant{}) second_began = row.now;
        // Nothing is given while one is on its way.
        if (closing > 0) REQUIRE(row.whole().charge.is_zero());
    }
    CHECK(most == 1);
    CHECK(row.joined(0));
    CHECK(row.joined(1));
    CHECK(second_began - first_closed >= 15s);  // ten of one voltage, five of all guards
    CHECK(row.watts() == std::pair<std::int64_t, std::int64_t>{20'000, 20'000});
    CHECK(row.panel().battery().voltage.last() == 400'500_mV);
    CHECK(row.whole().state == GatewayState::run);
    CHECK(row.whole().pack.energy_rated == 120_kWh);
}

TEST_CASE("the first of three closes by itself, the others follow one by one")
{
    // SAFE-281
    Terrace row{3};
    row.up();
    CHECK(row.joined(0));
    CHECK(row.joined(1));
    CHECK(row.joined(2));
    CHECK(row.watts() == std::pair<std::int64_t, std::int64_t>{30'000, 30'000});
}

TEST_CASE("a further pack closes at 1.5 V or 0.4 % apart, whichever is less, and not a millivolt beyond")
{
    // SAFE-281
    Voltage first = 400_V, second{};
    bool closes = false;
    SUBCASE("1.5 V")
    {
        second = 401'500_mV;
        closes = true;
    }
    SUBCASE("1.501 V") { second = 401'501_mV; }
    SUBCASE("1.5 V below")
    {
        second = 398'500_mV;
        closes = true;
    }
    SUBCASE("1.501 V below") { second = 398'499_mV; }
    SUBCASE("0.4 %: less than 1.5 V at a lower voltage")
    {
        first = 360_V;
        second = 361'440_mV;
        closes = true;
    }
    SUBCASE("more than 0.4 %")
    {
        first = 360_V;
        second = 361'441_mV;
    }
    Terrace row{2};
    row.house(0).voltage = first;
    row.house(1).voltage = second;
    row.up();
    CHECK(row.joined(0));
    CHECK(row.joined(1) == closes);
    CHECK(row.apart(1) == !closes);
    // One alone goes on.
    CHECK(row.watts().first == (closes ? 20'000 : 10'000));
    if (!closes) CHECK(row.pack(1).waiting == Waiting::parallel);
}

TEST_CASE("a further pack waits until the one that is closed carries at most a twentieth of its rated current")
{
    // SAFE-281
    Terrace row{2};
    row.house(1).voltage = 420_V;  // not yet
    row.up();
    REQUIRE(row.joined(0));
    REQUIRE_FALSE(row.joined(1));
    // 10 kW at 400 V are 25 A: 1.25 A.
    bool closes = false;
    SUBCASE("1.25 A")
    {
        row.house(0).current = Current::from_milli(1250);
        closes = true;
    }
    SUBCASE("1.251 A") { row.house(0).current = Current::from_milli(1251); }
    SUBCASE("1.251 A out of it") { row.house(0).current = Current::from_milli(-1251); }
    row.house(1).voltage = 400_V;
    row.run(40s);
    CHECK(row.joined(1) == closes);
}

TEST_CASE("the voltages must have agreed for ten seconds without a break, and until the pack has closed")
{
    // SAFE-281
    Terrace row{2};
    row.house(1).voltage = 420_V;
    row.up();
    REQUIRE_FALSE(row.joined(1));
    const auto closing = [&] { return row.house(1).state.phase == ContactorPhase::closing; };

    SUBCASE("without a break: ten seconds, then five of all guards")
    {
        row.house(1).voltage = 400_V;
        const Duration took = row.time_until(closing, 60s);
        CHECK(took >= 15s);
        CHECK(took <= 15500ms);
    }
    SUBCASE("a short break after nine: ten more")
    {
        row.house(1).voltage = 400_V;
        row.run(9s);
        row.house(1).voltage = 410_V;
        row.step();
        row.house(1).voltage = 400_V;
        CHECK(row.time_until(closing, 60s) >= 15s);
    }
    SUBCASE("a current while it closes: given up, and tried again after the cooldown")
    {
        row.house(1).voltage = 400_V;
        row.time_until(closing, 60s);
        row.house(0).current = 3_A;
        row.step();
        row.step();
        CHECK(row.house(1).state.phase == ContactorPhase::open);
        row.house(0).current = 0_A;
        row.run(20s);
        CHECK_FALSE(row.joined(1));
        row.run(60s);
        CHECK(row.joined(1));
    }
    SUBCASE("a voltage that is not known agrees with nothing")
    {
        row.house(1).voltage = 400_V;
        row.run(9s);
        row.house(0).silent.insert(SignalId::voltage);
        row.run(20s);
        CHECK_FALSE(closing());
        CHECK_FALSE(row.joined(1));
    }
}

TEST_CASE("no pack closes while another is neither closed nor proven open")
{
    // SAFE-281
    Terrace row{2};
    row.house(0).pack_speaks = false;
    row.house(0).state.phase = ContactorPhase::listening;
    row.packs[0].obeys = false;
    row.run(120s);
    CHECK_FALSE(row.joined(1));
    CHECK(row.pack(1).contactors.order == ContactorOrder::keep);
    CHECK(row.whole().charge.is_zero());
    CHECK(row.whole().discharge.is_zero());
}

TEST_CASE("two packs found closed stay closed")
{
    // SAFE-281, SAFE-161
    Terrace row{2};
    for (std::size_t i = 0; i < 2; ++i) {
        row.house(i).contactor = ContactorFeedback::closed;
        row.house(i).state.phase = ContactorPhase::closed;
    }
    row.up();
    CHECK(row.watts() == std::pair<std::int64_t, std::int64_t>{20'000, 20'000});
}

TEST_CASE("closed packs that differ are told after three seconds, and after ten the diverging one is opened")
{
    // SAFE-281
    Terrace row{2};
    row.up();
    REQUIRE(row.joined(1));
    row.house(1).voltage = 401'501_mV;
    row.run(2900ms);
    CHECK_FALSE(has(row.whole(), FaultId::pack_mismatch));
    row.run(300ms);
    const ActiveFault* f = Terrace::find(row.whole(), FaultId::pack_mismatch);
    REQUIRE(f != nullptr);
    CHECK(f->level == FaultClass::warn);
    CHECK(f->device_number == 2);
    CHECK(f->value_milli == 1501);
    CHECK(f->limit_milli == 1500);
    CHECK_FALSE(row.whole().charge.is_zero());
    row.run(6700ms);
    CHECK(Terrace::find(row.whole(), FaultId::pack_mismatch)->level == FaultClass::warn);
    row.run(300ms);
    CHECK(Terrace::find(row.everything, FaultId::pack_mismatch)->level == FaultClass::block);
    CHECK(row.whole().charge.is_zero());
    row.run(5s);
    CHECK(row.apart(1));
    CHECK(row.joined(0));
    CHECK_FALSE(has(row.whole(), FaultId::pack_mismatch));
    // The other goes on; this one is closed again by a person only, and only at one voltage.
    row.run(120s);
    CHECK(row.watts().first == 10'000);
    CHECK_FALSE(has(row.everything, FaultId::pack_mismatch));
    row.house(1).voltage = 400_V;
    row.run(120s);
    CHECK(row.apart(1));
    CHECK(row.pack(1).waiting == Waiting::operator_);
    CHECK(row.panel().request_close(row.now));
    row.run(60s);
    CHECK(row.joined(1));
}

TEST_CASE("a difference that ends within ten seconds opens nothing; of three the one that differs from both others goes")
{
    // SAFE-281
    Terrace row{3};
    row.up();
    REQUIRE(row.joined(2));
    row.house(1).voltage = 403_V;
    row.run(9s);
    row.house(1).voltage = 400_V;
    row.run(2s);
    CHECK(row.joined(1));
    row.house(0).voltage = 397_V;
    row.run(20s);
    CHECK(row.apart(0));
    CHECK(row.joined(1));
    CHECK(row.joined(2));
}

TEST_CASE("what happens to one pack is a fault of that pack alone, and the other's limits and contactors stay what they were")
{
    // SAFE-280
    for (const Trouble& trouble : troubles()) {
        CAPTURE(trouble.name);
        for (const std::size_t hit : {std::size_t{0}, std::size_t{1}}) {
            CAPTURE(hit);
            const std::size_t other = 1 - hit;
            Terrace row{2};
            row.up();
            REQUIRE(row.watts().first == 20'000);
            trouble.cause(row.house(hit));
            bool seen = false;
            for (int i = 0; i < 650; ++i) {
                row.step();
                seen = seen || has(row.pack(hit), trouble.fault);
                REQUIRE_FALSE(has(row.pack(other), trouble.fault));
                REQUIRE(row.pack(other).charge.power() == 10_kW);
                REQUIRE(row.pack(other).discharge.power() == 10_kW);
                REQUIRE(row.joined(other));
            }
            CHECK(seen);
            // Of the battery that is hit, by its number, and told to people whatever became of the pack.
            const ActiveFault* f = Terrace::find(row.everything, trouble.fault);
            REQUIRE(f != nullptr);
            CHECK(f->device_number == hit + 1);
        }
    }
}

TEST_CASE("a pack that trips makes the whole nothing until it is proven open; then the other goes on alone")
{
    // SAFE-280, SAFE-282
    Terrace row{2};
    row.up();
    row.house(1).cell_max = 3750_mV;
    row.time_until([&] { return row.pack(1).worst >= FaultClass::trip; }, 10s);
    CHECK(row.whole().charge.is_zero());
    CHECK(row.whole().discharge.is_zero());
    while (!row.apart(1)) {
        row.step();
        if (!row.apart(1)) REQUIRE(row.whole().discharge.is_zero());
    }
    CHECK(row.joined(0));
    row.run(30s);
    CHECK(row.watts() == std::pair<std::int64_t, std::int64_t>{10'000, 10'000});
    CHECK(row.whole().state == GatewayState::run);
    CHECK(row.whole().ready);
    CHECK(row.everything.worst == FaultClass::trip);
    CHECK(Terrace::find(row.everything, FaultId::cell_high_crit)->latched);

    // Reset by hand: it may come back, when a person closes it.
    row.house(1).cell_max = 3310_mV;
    row.run(120s);
    CHECK(row.panel().reset({.fault = "CELL_HIGH_CRIT", .reason = "looked at it"}, row.now).code == CommandCode::ok);
    row.run(30s);
    CHECK(row.everything.worst < FaultClass::trip);
    CHECK(row.apart(1));
    CHECK(row.panel().request_close(row.now));
    row.run(60s);
    CHECK(row.watts().first == 20'000);
}

TEST_CASE("a pack that goes silent makes the whole nothing for as long as nobody knows whether it is closed")
{
    // SAFE-282, SAFE-170
    Terrace row{2};
    row.up();
    row.house(0).pack_speaks = false;
    row.packs[0].obeys = false;
    row.run(4s);
    CHECK(row.whole().charge.is_zero());
    row.run(300s);
    CHECK(row.whole().charge.is_zero());
    CHECK(row.whole().discharge.is_zero());
    CHECK(row.pack(0).contactors.order == ContactorOrder::open);
    CHECK_FALSE(row.whole().ready);
    CHECK(row.joined(1));
    // It speaks again, and is open.
    row.house(0).pack_speaks = true;
    row.house(0).state.phase = ContactorPhase::open;
    row.house(0).contactor = ContactorFeedback::open;
    row.packs[0].obeys = true;
    row.run(30s);
    CHECK_FALSE(row.whole().charge.is_zero());
    row.run(90s);
    CHECK(row.watts().first == 20'000);  // after a loss of communication it closes by itself (SAFE-158)
}

TEST_CASE("an emergency in one pack ends the offer of all")
{
    // SAFE-282
    Terrace row{2};
    row.up();
    row.house(0).temperature_max = 75_degC;
    row.run(60s);
    CHECK(row.apart(0));
    CHECK(row.whole().charge.is_zero());
    CHECK(row.whole().state == GatewayState::emergency);
    CHECK(row.whole().worst == FaultClass::emergency);
}

TEST_CASE("an inverter is measured by the current of all packs against what it was told for all")
{
    // SAFE-066, SAFE-280
    Terrace row{2};
    row.up();
    SUBCASE("unequal shares of what is allowed are no fault of the inverter")
    {
        // 50 A are allowed in all, 25 A to a pack.
        row.house(0).current = 27_A;
        row.house(1).current = 5_A;
        row.run(60s);
        CHECK_FALSE(has(row.everything, FaultId::limit_exceeded));
    }
    SUBCASE("a current that circulates between the packs is none either")
    {
        row.inputs.operator_.charge = row.inputs.operator_.discharge = false;
        row.house(0).current = 4_A;
        row.house(1).current = -4_A;
        row.run(60s);
        CHECK_FALSE(has(row.everything, FaultId::limit_exceeded));
    }
    SUBCASE("more in all than it was told is")
    {
        row.inputs.operator_.max_charge = 4_kW;  // 10 A
        row.house(0).current = row.house(1).current = 8_A;
        row.run(25s);
        REQUIRE(has(row.everything, FaultId::limit_exceeded));
        CHECK(Terrace::find(row.everything, FaultId::limit_exceeded)->value_milli == 16'000);
        CHECK(row.whole().charge.is_zero());
        row.run(20s);
        CHECK(has(row.everything, FaultId::inverter_ignores_limits));
    }
}

TEST_CASE("a pack is compared with that part of the inverter's current that the other does not carry")
{
    // SAFE-028, SAFE-280
    Terrace row{2};
    row.up();
    const auto inverter_says = [&](Current current, Duration time) {
        for (const Instant end = row.now + time; row.now < end;) {
            row.inverter.voltage.set(400_V, row.now);
            row.inverter.current.set(current, row.now);
            row.step();
        }
    };
    row.house(0).current = 12_A;
    row.house(1).current = 8_A;
    inverter_says(20_A, 60s);
    CHECK_FALSE(has(row.everything, FaultId::plausibility));
    inverter_says(38_A, 60s);
    CHECK(has(row.everything, FaultId::plausibility));
}

TEST_CASE("the operator's limit is that of all packs together, his switches those of each")
{
    // SAFE-282, SAFE-192
    Terrace row{2};
    row.up();
    row.inputs.operator_.max_charge = 6_kW;
    row.inputs.operator_.charge_limit_default = false;
    row.step();
    CHECK(row.watts() == std::pair<std::int64_t, std::int64_t>{6000, 20'000});
    row.inputs.operator_.discharge = false;
    row.step();
    CHECK(row.watts() == std::pair<std::int64_t, std::int64_t>{6000, 0});
    CHECK(row.whole().discharge.by() == Cause::operator_);
    row.inputs.operator_.contactors_open = true;
    row.run(30s);
    CHECK(row.apart(0));
    CHECK(row.apart(1));
    CHECK(row.whole().contactors.proven_open);
}

TEST_CASE("an orderly stop is complete when every pack is open")
{
    // SAFE-217, SAFE-280
    Terrace row{2};
    row.up();
    row.inputs.stop_requested = true;
    row.step();
    CHECK(row.whole().charge.is_zero());
    CHECK_FALSE(row.whole().stopped);
    row.packs[1].obeys = false;
    row.run(10s);
    CHECK(row.apart(0));
    CHECK(row.pack(0).stopped);
    CHECK_FALSE(row.whole().stopped);
    row.packs[1].obeys = true;
    row.run(5s);
    CHECK(row.apart(1));
    CHECK(row.whole().stopped);
    CHECK(row.whole().state == GatewayState::shutdown);
}

TEST_CASE("latches of an earlier run go to the pack that had them, those of the inverter to all")
{
    // SAFE-046, SAFE-280
    Terrace row{2};
    const auto latched = [](FaultId id, Device device, std::uint8_t number) {
        return ActiveFault{.id = id,
            .level = FaultClass::trip,
            .direction = Direction::both,
            .device = device,
            .device_number = number,
            .latched = true};
    };
    SUBCASE("of the second battery")
    {
        row.panel().restore(latched(FaultId::cell_high_crit, Device::battery, 2));
        row.up();
        CHECK(row.joined(0));
        CHECK(row.apart(1));
        CHECK(Terrace::find(row.everything, FaultId::cell_high_crit)->device_number == 2);
        CHECK(row.watts().first == 10'000);
    }
    SUBCASE("of a battery that is not there any more: not forgotten")
    {
        row.panel().restore(latched(FaultId::cell_high_crit, Device::battery, 3));
        row.up();
        CHECK(has(row.everything, FaultId::cell_high_crit));
    }
    SUBCASE("of the inverter")
    {
        row.panel().restore(latched(FaultId::inverter_ignores_limits, Device::inverter, 1));
        row.up();
        CHECK_FALSE(row.joined(0));
        CHECK_FALSE(row.joined(1));
        CHECK(row.whole().charge.is_zero());
        CHECK(row.panel().reset({.fault = "all", .reason = {}}, row.now).code == CommandCode::ok);
        row.run(1s);
        CHECK_FALSE(has(row.everything, FaultId::inverter_ignores_limits));
    }
    SUBCASE("nothing of that name")
    {
        row.up();
        CHECK(row.panel().reset({.fault = "all", .reason = {}}, row.now).code == CommandCode::not_found);
    }
}

TEST_CASE("what happened is told once, with the number of the battery where it is one's own")
{
    // SAFE-047, SAFE-280
    Terrace row{2};
    row.up();
    row.inverter_speaks = false;
    row.run(70s);
    row.house(1).cell_max = 3610_mV;
    row.run(5s);
    int inverter_lost = 0, closed_first = 0, closed_second = 0, full = 0, started = 0;
    std::uint64_t number = 0;
    for (const Event& e : row.events) {
        CHECK(e.number == ++number);
        inverter_lost += e.type == EventType::link && e.text == "inverter" && e.to == "lost" ? 1 : 0;
        closed_first += e.type == EventType::contactors && e.to == "CLOSED" && e.text == "battery 1" ? 1 : 0;
        closed_second += e.type == EventType::contactors && e.to == "CLOSED" && e.text == "battery 2" ? 1 : 0;
        full += e.type == EventType::fault_set && e.fault.id == FaultId::cell_high && e.fault.device_number == 2 ? 1 : 0;
        started += e.type == EventType::start ? 1 : 0;
    }
    CHECK(inverter_lost == 1);
    CHECK(closed_first == 1);
    CHECK(closed_second == 1);
    CHECK(full == 1);
    CHECK(started == 1);
}

TEST_CASE("new limits reach every pack")
{
    // SAFE-241, SAFE-280
    Terrace row{2};
    row.up();
    BatteryConfig first = row.house(0).battery, second = row.house(1).battery;
    first.max_charge = 6_kW;
    second.max_charge = 4_kW;
    const std::array<const BatteryConfig*, 2> both{&first, &second};
    row.panel().reconfigure(row.house(0).safety, both, row.now);
    row.step();
    CHECK(row.pack(0).charge.power() == 6_kW);
    CHECK(row.pack(1).charge.power() == 4_kW);
    CHECK(std::count_if(row.events.begin(), row.events.end(), [](const Event& e) { return e.type == EventType::reload; }) == 1);
    CHECK(row.watts().first == 8000);
}

TEST_CASE("a reset of what two packs have says how it went with each")
{
    // SAFE-045, SAFE-280
    Terrace row{2};
    row.up();
    for (const std::size_t i : {0U, 1U}) row.house(i).cell_max = 3710_mV;
    row.run(10s);
    REQUIRE(has(row.everything, FaultId::cell_high_crit));
    row.house(0).cell_max = 3310_mV;
    row.run(100s);
    const ResetOutcome both = row.panel().reset({.fault = "CELL_HIGH_CRIT", .reason = "looked at"}, row.now);
    CHECK(both.code == CommandCode::ok);  // one of them was
    CHECK_MESSAGE(both.reset == 1, both.text.view());
    CHECK(both.text.view().find("; ") != std::string_view::npos);
    row.step();
    CHECK_FALSE(has(row.pack(0), FaultId::cell_high_crit));
    CHECK(has(row.pack(1), FaultId::cell_high_crit));
}

TEST_CASE("what was found wrong at start is told once for all packs")
{
    // SAFE-280
    Terrace row{2};
    row.panel().report({.id = FaultId::restart_loop, .level = FaultClass::trip, .direction = Direction::both, .latched = true});
    row.up();
    CHECK_FALSE(row.joined(0));
    CHECK_FALSE(row.joined(1));
    CHECK(std::count_if(row.everything.faults.begin(), row.everything.faults.end(),
              [](const ActiveFault& f) { return f.id == FaultId::restart_loop; }) == 1);
}

TEST_CASE("a panel asks to be evaluated again at least as soon as any of its judges")
{
    // SAFE-004, SAFE-280
    Terrace row{2};
    row.up();
    CHECK(row.panel().next_evaluation() > row.now);
    CHECK(row.panel().next_evaluation() <= row.now + 100ms);
}

TEST_CASE("several packs without an inverter are judged all the same, and nothing is offered")
{
    // SAFE-280, SAFE-003
    Terrace row{2};
    row.up();
    REQUIRE(row.watts().first == 20'000);
    row.now += 100ms;
    std::vector<PanelPack> all;
    for (auto& p : row.packs) {
        House& h = p.house;
        h.now = row.now;
        h.speak();
        all.push_back({{.state = h.state, .facts = h.facts}, {&h.battery_bus, &h.battery_traffic, h.battery_tx}});
    }
    JudgeInputs in = row.inputs;
    in.inverter = nullptr;
    row.panel().evaluate(in, all, row.now);
    CHECK(row.watts() == std::pair<std::int64_t, std::int64_t>{0, 0});
    CHECK(row.pack(0).charge.is_zero());
    CHECK(row.pack(1).charge.is_zero());
}

TEST_CASE("what two judges tell alike is told once, and what differs in anything is told")
{
    // SAFE-047, SAFE-280
    Terrace row{2};
    row.run(1s);
    const auto found = [&](FaultId id, FaultClass level, Device device, Words detail) {
        ActiveFault f;
        f.id = id;
        f.level = level;
        f.device = device;
        f.detail.assign(detail);
        row.panel().report(f);
    };
    const auto told = [&] {
        const std::size_t before = row.events.size();
        row.step();
        return row.events.size() - before;
    };
    REQUIRE(told() == 0);
    found(FaultId::state_not_kept, FaultClass::info, Device::gateway, "");
    found(FaultId::state_not_kept, FaultClass::info, Device::inverter, "");
    found(FaultId::state_not_kept, FaultClass::info, Device::gateway, "disk");
    found(FaultId::tls_unverified, FaultClass::info, Device::gateway, "");
    found(FaultId::retained_command, FaultClass::warn, Device::gateway, "");
    CHECK(told() == 5);
    // The same fault from one class to the next: from another one, and to another one.
    found(FaultId::state_not_kept, FaultClass::warn, Device::gateway, "");
    found(FaultId::tls_unverified, FaultClass::block, Device::gateway, "");
    found(FaultId::retained_command, FaultClass::block, Device::gateway, "");
    found(FaultId::state_not_kept, FaultClass::info, Device::inverter, "");
    found(FaultId::state_not_kept, FaultClass::info, Device::gateway, "disk");
    CHECK(told() >= 3);
    // Two resets, a moment apart, are two.
    row.run(40s);
    const std::size_t before = row.events.size();
    row.panel().reset({.fault = "PACK_HIGH", .reason = {}}, row.now);
    row.panel().reset({.fault = "PACK_HIGH", .reason = {}}, row.now + 10ms);
    row.step();
    CHECK(std::count_if(row.events.begin() + static_cast<std::ptrdiff_t>(before), row.events.end(),
              [](const Event& e) { return e.type == EventType::command; }) == 2);
}

TEST_CASE("of several packs, too, the last 256 events are kept")
{
    // SAFE-047
    Terrace row{2};
    row.run(1s);
    for (int i = 0; i < 300; ++i) {
        row.panel().note(EventType::command, "made up", row.now + i * 1us);
        if (i % 100 == 99) row.step();
    }
    std::vector<std::uint64_t> numbers;
    row.panel().events_since(0, [&](const Event& e) { numbers.push_back(e.number); });
    REQUIRE(numbers.size() == Judge::event_capacity);
    CHECK(numbers.back() == row.events.back().number);
    for (std::size_t i = 1; i < numbers.size(); ++i) CHECK(numbers[i] == numbers[i - 1] + 1);
    numbers.clear();
    row.panel().events_since(row.events.back().number, [&](const Event& e) { numbers.push_back(e.number); });
    CHECK(numbers.empty());
}

TEST_CASE("a panel says how many packs there are, how their contactors are moved and whether it only observes")
{
    // SAFE-244, SAFE-280
    Terrace row{3};
    CHECK(row.panel().size() == 3);
    CHECK(row.panel().contactor_mode() == ContactorMode::bms_command);
    CHECK_FALSE(row.panel().observing());
    Terrace watching{2};
    watching.house(0).safety.observe = true;
    CHECK(watching.panel().observing());
    // Openings under load of earlier runs are counted on, for all packs together.
    row.panel().restore_wear(7);
    row.step();
    CHECK(row.pack(0).contactors.opened_under_load == 7);
    CHECK(row.pack(1).contactors.opened_under_load == 0);
}

TEST_CASE("a reset goes to the packs that have what it names, and leaves what it does not name")
{
    // SAFE-045, SAFE-280
    Terrace row{2};
    row.up();
    row.house(1).cell_max = 3710_mV;
    row.run(10s);
    row.house(1).cell_max = 3310_mV;
    row.run(100s);
    REQUIRE(row.pack(1).worst == FaultClass::trip);
    CHECK(row.panel().reset({.fault = "TEMP_CRIT", .reason = "looked at"}, row.now).code == CommandCode::not_found);
    const ResetOutcome done = row.panel().reset({.fault = "CELL_HIGH_CRIT", .reason = "looked at"}, row.now);
    CHECK(done.code == CommandCode::ok);
    CHECK(done.reset == 1);
    CHECK(done.text.view().find("; ") == std::string_view::npos);
    row.step();
    CHECK_FALSE(has(row.pack(1), FaultId::cell_high_crit));

    Terrace alone{1};
    alone.up();
    CHECK(alone.panel().reset({.fault = "all", .reason = "looked at"}, alone.now).code == CommandCode::not_found);
}

TEST_CASE("a pack of which a reload says nothing keeps its limits, and how many there are does not change")
{
    // SAFE-242, SAFE-280
    Terrace row{2};
    row.up();
    BatteryConfig second = row.house(1).battery;
    second.max_charge = 4_kW;
    const std::array<const BatteryConfig*, 2> only_second{nullptr, &second};
    row.panel().reconfigure(row.house(0).safety, only_second, row.now);
    row.step();
    CHECK(row.pack(0).charge.power() == 10_kW);
    CHECK(row.pack(1).charge.power() == 4_kW);
}

TEST_CASE("what the inverter carries is compared with nothing while the current of a pack beside is not known")
{
    // SAFE-028, SAFE-280
    const auto differs = [](bool known) {
        Terrace row{2};
        row.up();
        for (const std::size_t i : {0U, 1U}) row.house(i).current = 10_A;
        if (!known) row.house(1).silent.insert(SignalId::current);
        for (int i = 0; i < 600; ++i) {
            row.inverter.voltage.set(400_V, row.now);
            row.inverter.current.set(40_A, row.now);
            row.step();
        }
        return has(row.pack(0), FaultId::plausibility);
    };
    CHECK(differs(true));
    CHECK_FALSE(differs(false));
}

TEST_CASE("of a pack that is open nothing is taken from what the inverter says it carries")
{
    // SAFE-028, SAFE-280
    Terrace row{2};
    row.up();
    row.house(1).cell_max = 3750_mV;
    row.time_until([&] { return row.apart(1); }, 30s);
    row.house(0).current = 12_A;
    row.house(1).current = 8_A;  // of a pack that nothing can flow through: not to be believed
    for (int i = 0; i < 600; ++i) {
        row.inverter.voltage.set(400_V, row.now);
        row.inverter.current.set(12_A, row.now);
        row.step();
    }
    CHECK_FALSE(has(row.pack(0), FaultId::plausibility));
}

TEST_CASE("a request to close is taken where one pack of several can take it")
{
    // SAFE-142, SAFE-280
    Terrace row{2};
    row.house(0).safety.contactors.close_automatically = false;
    row.run(30s);
    REQUIRE(row.apart(0));
    REQUIRE(row.apart(1));
    CHECK(row.panel().request_close(row.now));
    CHECK_FALSE(row.panel().request_close(row.now));  // by both, and once
    row.run(60s);
    CHECK(row.joined(0));
    CHECK(row.joined(1));
    CHECK_FALSE(row.panel().request_close(row.now));
    // Then one alone is open.
    for (const std::size_t one : {std::size_t{0}, std::size_t{1}}) {
        Terrace half{2};
        half.house(0).safety.contactors.close_automatically = false;
        half.run(30s);
        REQUIRE(half.panel().request_close(half.now));
        half.run(60s);
        half.house(one).cell_max = 3750_mV;
        half.time_until([&] { return half.apart(one); }, 30s);
        half.house(one).cell_max = 3310_mV;
        half.run(120s);
        half.panel().reset({.fault = "all", .reason = "looked at it"}, half.now);
        half.run(30s);
        REQUIRE(half.apart(one));
        REQUIRE(half.joined(1 - one));
        CHECK(half.panel().request_close(half.now));
    }
}

TEST_CASE("a change of the house's state is told with what all packs together measured then")
{
    // SAFE-047, SAFE-282
    Terrace row{2};
    row.up();
    std::vector<Event> changes;
    std::copy_if(row.events.begin(), row.events.end(), std::back_inserter(changes),
        [](const Event& e) { return e.type == EventType::state; });
    REQUIRE_FALSE(changes.empty());
    const Event& e = changes.back();
    CHECK_FALSE(e.from.empty());
    CHECK_FALSE(e.from == e.to);
    CHECK(e.to == "RUN");
    CHECK(e.at > row.start);
    CHECK(e.at <= row.now);
    CHECK(e.voltage == 400_V);
    CHECK(e.current == 0_A);
    CHECK(e.cell_voltage_min == 3300_mV);
    CHECK(e.cell_voltage_max == 3310_mV);
    CHECK(e.temperature_min == 23_degC);
    CHECK(e.temperature_max == 25_degC);
    CHECK(e.soc == 50_pct);
}

TEST_CASE("a panel counts what is to be published at once: its events, and each direction of the whole that begins or ends")
{
    // SAFE-047, SAFE-280
    Terrace row{2};
    row.up();
    row.run(5s);
    const auto beside_events = [&](auto&& change) {
        const std::uint64_t transitions = row.panel().transitions();
        const std::size_t events = row.events.size();
        change();
        row.step();
        return (row.panel().transitions() - transitions) - (row.events.size() - events);
    };
    CHECK(beside_events([] {}) == 0);
    CHECK(beside_events([&] { row.inputs.operator_.max_discharge = 0_W; }) == 1);
    CHECK(beside_events([] {}) == 0);
    CHECK(beside_events([&] { row.inputs.operator_.max_charge = 0_W; }) == 1);
    CHECK(beside_events([&] { row.inputs.operator_.max_charge = 20_kW; }) == 1);
}
