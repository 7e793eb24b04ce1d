// The judge where something is missing or rare: no inverter, no pack, no window, a conflict, a start into a house without power.
#include "safety/conditions.hpp"
#include "tests/safety/house.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

using namespace batgw;
using batgw::test::House;

namespace {

// As House::step(), without the pack or without the inverter.
const Verdict& step_without(House& h, bool pack, bool inverter)
{
    h.judge();
    h.now += 100ms;
    h.speak();
    const std::array packs{PackInputs{.state = h.state, .facts = h.facts}};
    JudgeInputs in = h.inputs;
    if (pack) in.packs = packs;
    if (inverter) in.inverter = &h.inverter;
    in.battery_bus = {&h.battery_bus, &h.battery_traffic, h.battery_tx};
    in.inverter_bus = {&h.inverter_bus, &h.inverter_traffic, h.inverter_tx};
    return h.judge().evaluate(in, h.now);
}

// Of the newest event of this type.
std::optional<Event> last_of(House& h, EventType type)
{
    std::optional<Event> found;
    h.judge().events_since(0, [&](const Event& e) {
        if (e.type == type) found = e;
    });
    return found;
}

}  // namespace

TEST_CASE("every fault that takes all power away has its cause, which the inverter's page and the broker show")
{
    // SAFE-090, MQTT-032
    constexpr std::array causes{std::pair{FaultId::bat_link_lost, Cause::link},
        std::pair{FaultId::cell_high, Cause::cell_voltage}, std::pair{FaultId::cell_high_crit, Cause::cell_voltage},
        std::pair{FaultId::cell_low, Cause::cell_voltage}, std::pair{FaultId::cell_low_crit, Cause::cell_voltage},
        std::pair{FaultId::cell_deep, Cause::cell_voltage}, std::pair{FaultId::pack_high, Cause::pack_voltage},
        std::pair{FaultId::pack_low, Cause::pack_voltage}, std::pair{FaultId::pack_v_crit, Cause::pack_voltage},
        std::pair{FaultId::cell_dev, Cause::deviation}, std::pair{FaultId::cell_dev_crit, Cause::deviation},
        std::pair{FaultId::temp_cold, Cause::temperature}, std::pair{FaultId::temp_hot, Cause::temperature},
        std::pair{FaultId::temp_crit, Cause::temperature}, std::pair{FaultId::temp_event, Cause::temperature},
        std::pair{FaultId::temp_spread, Cause::temperature}, std::pair{FaultId::soc_low, Cause::soc},
        std::pair{FaultId::soc_high, Cause::soc}, std::pair{FaultId::bms_denies, Cause::battery},
        std::pair{FaultId::precharge_failed, Cause::contactor}, std::pair{FaultId::close_failed, Cause::contactor},
        std::pair{FaultId::contactor_feedback, Cause::contactor}, std::pair{FaultId::contactor_not_open, Cause::contactor},
        std::pair{FaultId::contactor_welded, Cause::contactor}, std::pair{FaultId::weld_suspected, Cause::contactor},
        std::pair{FaultId::interlock_open, Cause::contactor}, std::pair{FaultId::gpio_lines, Cause::contactor},
        std::pair{FaultId::opened_by_itself, Cause::contactor}, std::pair{FaultId::closed_by_itself, Cause::contactor},
        std::pair{FaultId::bms_fault, Cause::fault}, std::pair{FaultId::insulation, Cause::fault}};
    constexpr std::array high{FaultId::cell_high, FaultId::cell_high_crit, FaultId::pack_high, FaultId::temp_hot,
        FaultId::temp_crit, FaultId::temp_event};
    House house;
    house.up();
    REQUIRE(house.charge() == 10_kW);
    for (const auto& row : causes) {
        const FaultId id = row.first;
        const Cause cause = row.second;
        CAPTURE(to_string(id));
        House h = house;
        h.judge().report(condition(id, FaultClass::block, Direction::both, Device::battery));
        h.step();
        CHECK(h.charge() == 0_W);
        CHECK(h.discharge() == 0_W);
        CHECK(h.verdict().charge.by() == cause);
        CHECK(h.verdict().discharge.by() == cause);
        CHECK(h.verdict().high_cause == (std::find(high.begin(), high.end(), id) != high.end()));
        CHECK(h.verdict().state == GatewayState::block);
    }
    House h = house;
    h.judge().report(condition(FaultId::limit_exceeded, FaultClass::block, Direction::both, Device::inverter));
    h.step();
    CHECK(h.verdict().charge.by() == Cause::inverter);
}

TEST_CASE("without an inverter nothing is offered, even where its silence costs nothing")
{
    // SAFE-180
    House h;
    h.safety.inverter_link.information_only = true;
    for (int i = 0; i < 300; ++i) step_without(h, true, false);
    CHECK(h.charge() == 0_W);
    CHECK(h.verdict().charge.by() == Cause::inverter);
    CHECK(h.verdict().waiting == Waiting::inverter_ready);
    CHECK_FALSE(h.verdict().inverter_link);
    CHECK(h.verdict().battery_valid);
    // Fresh from the first frame on it is offered, from zero.
    h.step();
    CHECK(h.verdict().inverter_link);
    CHECK(h.charge() < 1_kW);
    h.run(40s);
    CHECK(h.charge() == 10_kW);
}

TEST_CASE("a pack that is taken out is granted nothing, and nothing of its values is told any more")
{
    // SAFE-003, SAFE-111, SAFE-047
    House h;
    h.up();
    step_without(h, false, true);
    CHECK(h.charge() == 0_W);
    CHECK(h.verdict().charge.by() == Cause::link);
    CHECK(h.verdict().waiting == Waiting::battery_listen);
    CHECK(h.verdict().state == GatewayState::block);
    CHECK_FALSE(h.verdict().battery_valid);
    CHECK_FALSE(h.verdict().ready);
    CHECK_FALSE(h.verdict().pack.cells);
    CHECK_FALSE(h.verdict().contactors.power_allowed);
    const auto e = last_of(h, EventType::state);
    REQUIRE(e);
    CHECK(e->to == "BLOCK");
    CHECK_FALSE(e->voltage);
}

TEST_CASE("nothing flows, for two different reasons: that is BLOCK, not one direction")
{
    // MQTT-032
    House h;
    h.up();
    h.soc = 5_pct;
    h.run(8s);
    REQUIRE(h.verdict().state == GatewayState::block_discharge);
    h.contactor = ContactorFeedback::open;
    h.step();
    CHECK(h.verdict().charge.by() == Cause::contactor);
    CHECK(h.verdict().discharge.by() == Cause::soc);
    CHECK(h.verdict().state == GatewayState::block);

    House full;
    full.up();
    full.soc = 100_pct;
    full.run(8s);
    REQUIRE(full.verdict().state == GatewayState::block_charge);
    full.contactor = ContactorFeedback::open;
    full.step();
    CHECK(full.verdict().charge.by() == Cause::soc);
    CHECK(full.verdict().discharge.by() == Cause::contactor);
    CHECK(full.verdict().state == GatewayState::block);
}

TEST_CASE("without a whole window the inverter is told no voltages, whatever the battery asks for")
{
    // SAFE-111, SAFE-114
    const auto told = [](std::optional<Voltage> max, std::optional<Voltage> min) {
        House h;
        h.battery.cells.reset();
        h.facts.cells.reset();
        h.facts.voltage_max = max;
        h.facts.voltage_min = min;
        h.also = [&h] {
            h.state.charge_voltage_wanted.set(410_V, h.now);
            h.state.discharge_voltage_wanted.set(360_V, h.now);
        };
        h.run(2s);
        return std::pair{h.verdict().voltage_max, h.verdict().voltage_min};
    };
    using Told = std::pair<std::optional<Voltage>, std::optional<Voltage>>;
    CHECK(told(420_V, 350_V) == Told{410_V, 360_V});
    CHECK(told(std::nullopt, 350_V) == Told{});
    CHECK(told(420_V, std::nullopt) == Told{});
    CHECK(told(400_V, 400_V) == Told{});
    CHECK(told(360_V, 360_V) == Told{});
    CHECK(told(Voltage::from_milli(360'001), 360_V) == Told{Voltage::from_milli(360'001), 360_V});
}

TEST_CASE("what the battery asks for is taken up to the millivolt at which its own limits end")
{
    // SAFE-114
    House h;
    h.run(1s);
    const Voltage upper = *h.verdict().voltage_max, lower = *h.verdict().voltage_min;
    const auto asks = [&](Voltage up_to, Voltage down_to) {
        h.also = [&h, up_to, down_to] {
            h.state.charge_voltage_wanted.set(up_to, h.now);
            h.state.discharge_voltage_wanted.set(down_to, h.now);
        };
        h.step();
    };
    const Voltage one = Voltage::from_milli(1);
    asks(upper, lower);
    CHECK(h.verdict().voltage_max_asked);
    CHECK(h.verdict().voltage_min_asked);
    asks(upper + one, lower - one);
    CHECK_FALSE(h.verdict().voltage_max_asked);
    CHECK_FALSE(h.verdict().voltage_min_asked);
    CHECK(h.verdict().voltage_max == upper);
    CHECK(h.verdict().voltage_min == lower);
    asks(upper - one, lower + one);
    CHECK(h.verdict().voltage_max == upper - one);
    CHECK(h.verdict().voltage_min == lower + one);
    asks(Voltage{}, lower);
    CHECK_FALSE(h.verdict().voltage_max_asked);
    CHECK(h.verdict().voltage_max == upper);
}

TEST_CASE("black start: contactors that closed onto a silent inverter stay closed beyond the time of a lost link")
{
    // SAFE-183, SAFE-181
    for (const bool black : {true, false}) {
        CAPTURE(black);
        House h;
        h.safety.contactors.mode = ContactorMode::bms_command;
        h.profile.contactor_mode = ContactorMode::bms_command;
        h.safety.inverter_link.black_start = black;
        h.state.phase = ContactorPhase::closed;
        h.inverter_speaks = false;
        h.run(200s, 1s);
        CHECK(h.has(FaultId::black_start) == black);
        CHECK((h.verdict().contactors.state == ContactorState::closed) == black);
        CHECK((h.verdict().contactors.order == ContactorOrder::open) != black);
    }
}

TEST_CASE("somebody else in the inverter's place: its bus is silent until that is reset, and over a restart")
{
    // SAFE-185, SAFE-046, SAFE-045
    House h;
    h.inverter_tx.ever_sent = false;
    h.inverter_traffic.own_ids = 5;
    h.run(1s);
    REQUIRE(h.has(FaultId::id_conflict, FaultClass::trip));
    CHECK(h.verdict().mute_inverter);
    CHECK_FALSE(h.verdict().mute_battery);
    // What is asked to be reset is something else: the conflict stays, and one frame more is its cause anew.
    CHECK(h.judge().reset({.fault = "CELL_LOW_CRIT", .reason = {}}, h.now).code == CommandCode::not_found);
    h.run(55s);
    CHECK(h.verdict().mute_inverter);
    ++h.inverter_traffic.own_ids;
    h.run(20s);
    CHECK(h.judge().reset({.fault = "ID_CONFLICT", .reason = {}}, h.now).code == CommandCode::cause_present);
    h.run(105s);
    CHECK(h.judge().reset({.fault = "ID_CONFLICT", .reason = {}}, h.now).code == CommandCode::ok);
    h.step();
    CHECK_FALSE(h.verdict().mute_inverter);

    House after;
    after.judge().restore(condition(FaultId::id_conflict, FaultClass::trip, Direction::both, Device::inverter));
    after.step();
    CHECK(after.verdict().mute_inverter);
    CHECK_FALSE(after.verdict().mute_battery);
}

TEST_CASE("feedback that contradicted itself is latched; once it is right again for a minute it can be reset, not before")
{
    // SAFE-148, SAFE-045
    House h;
    h.safety.contactors.mode = ContactorMode::bms_command;
    h.profile.contactor_mode = ContactorMode::bms_command;
    h.state.phase = ContactorPhase::closed;
    h.up();
    REQUIRE(h.charge() == 10_kW);
    h.state.feedback_wrong = true;
    h.run(30s);
    REQUIRE(h.has(FaultId::contactor_feedback, FaultClass::trip));
    const auto reset = [&] { return h.judge().reset({.fault = "all", .reason = "looked at"}, h.now).code; };
    h.run(70s);
    CHECK(reset() == CommandCode::cause_present);
    h.state.feedback_wrong = false;
    h.state.phase = ContactorPhase::open;
    h.contactor = ContactorFeedback::open;
    h.run(59s);
    CHECK(reset() == CommandCode::cause_present);
    h.run(3s);
    CHECK(reset() == CommandCode::ok);
    h.step();
    CHECK_FALSE(h.has(FaultId::contactor_feedback));
}

TEST_CASE("links lost and back are told with both words, resets with how they went")
{
    // SAFE-047, SAFE-045
    House h;
    h.up();
    const auto link = [&](std::string_view device) {
        std::string words;
        h.judge().events_since(0, [&](const Event& e) {
            if (e.type == EventType::link && e.text == device)
                words += std::string{e.from.view()} + '>' + std::string{e.to.view()} + ' ';
        });
        return words;
    };
    CHECK(link("battery") == "lost>alive ");
    CHECK(link("inverter") == "lost>alive ");
    h.pack_speaks = false;
    h.run(11s);
    const ActiveFault* lost = h.fault(FaultId::bat_link_lost);
    REQUIRE(lost != nullptr);
    CHECK(lost->value_milli == 11'000);
    CHECK(lost->limit_milli == 10'000);
    CHECK(lost->unit == Unit::second);
    h.pack_speaks = true;
    h.run(6s);
    CHECK(link("battery") == "lost>alive alive>lost lost>alive ");
    CHECK(link("inverter") == "lost>alive ");
    h.judge().reset({.fault = "all", .reason = {}}, h.now);
    CHECK(last_of(h, EventType::command)->text == "reset refused: nothing is latched under this name");
    h.judge().report(condition(FaultId::restart_loop, FaultClass::trip, Direction::both, Device::gateway));
    h.run(70s);
    h.judge().reset({.fault = "all", .reason = {}}, h.now);
    CHECK(last_of(h, EventType::command)->text == "reset: RESTART_LOOP");
}

TEST_CASE("each judge asks for its heartbeat in its own time, and for the next evaluation a tick later at the latest")
{
    // SAFE-004, SAFE-213
    House h;
    h.step();
    CHECK(h.judge().next_evaluation() == h.now + h.safety.tick);
    h.safety.contactors.mode = ContactorMode::gpio;
    h.safety.contactors.gpio.heartbeat = 4;
    h.safety.contactors.heartbeat_hz = 20;
    ContactorLines lines;
    lines.held = true;
    h.inputs.lines = &lines;
    h.made.reset();
    h.also = [&] { lines.at = h.now; };
    h.step();
    CHECK(h.judge().next_evaluation() > h.now);
    CHECK(h.judge().next_evaluation() <= h.now + 50ms);
}
