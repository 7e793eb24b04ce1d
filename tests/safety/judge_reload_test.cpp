// What a judge takes over from its setup and from a reload, and what a reset ends and does not end.
#include "safety/conditions.hpp"
#include "tests/safety/house.hpp"

#include <doctest/doctest.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>

using namespace batgw;
using batgw::test::House;

namespace {

// Contactors inside the pack, open, which a driver would close when it is asked to.
House with_open_contactors()
{
    House h;
    h.safety.contactors.mode = h.profile.contactor_mode = ContactorMode::bms_command;
    h.contactor = ContactorFeedback::open;
    h.state.phase = ContactorPhase::open;
    return h;
}

bool asked_to_close(House& h, Duration within)
{
    return h.time_until([&] { return h.verdict().contactors.order == ContactorOrder::close; }, within) < within;
}

// A cell far too high for as long as it takes, and then not any more.
void trip(House& h)
{
    h.cell_max = 3750_mV;
    h.run(10s);
    REQUIRE(h.has(FaultId::cell_high_crit, FaultClass::trip));
    h.cell_max = 3310_mV;
    h.run(5s);
}

}  // namespace

TEST_CASE("before the first evaluation nothing is offered, since nobody has been heard")
{
    // SAFE-003
    House h;
    CHECK(h.verdict().charge.is_zero());
    CHECK(h.verdict().charge.by() == Cause::link);
    CHECK(h.verdict().discharge.by() == Cause::link);
}

TEST_CASE("a driver verified on a bench is verified well enough, one by replay is not")
{
    // SAFE-308
    for (const Verification v : {Verification::none, Verification::replay, Verification::bench, Verification::field}) {
        House battery, inverter;
        battery.profile.verified = inverter.inverter_verified = v;
        battery.step();
        inverter.step();
        CHECK(battery.has(FaultId::unverified_driver) == (v < Verification::bench));
        CHECK(inverter.has(FaultId::unverified_driver) == (v < Verification::bench));
    }
}

TEST_CASE("how long a cause must have been gone is what is configured, from the start and from a reload on")
{
    // SAFE-045
    for (const bool reloaded : {false, true}) {
        House h;
        if (!reloaded) h.safety.reset_absent = 300s;
        h.up();
        if (reloaded) {
            SafetyConfig later = h.safety;
            later.reset_absent = 300s;
            h.judge().reconfigure(later, h.battery, h.now);
        }
        trip(h);
        h.run(150s);
        CHECK(h.judge().reset({.fault = "CELL_HIGH_CRIT", .reason = {}}, h.now).code == CommandCode::cause_present);
        h.run(230s);
        CHECK(h.judge().reset({.fault = "CELL_HIGH_CRIT", .reason = {}}, h.now).code == CommandCode::ok);
    }
}

TEST_CASE("a reload changes how contactors are closed, and not how many cells there are")
{
    // SAFE-241, SAFE-242
    House h = with_open_contactors();
    h.safety.contactors.close_automatically = false;
    CHECK_FALSE(asked_to_close(h, 60s));
    SafetyConfig later = h.safety;
    later.contactors.close_automatically = true;
    BatteryConfig other = h.battery;
    other.cells = 100;
    h.judge().reconfigure(later, other, h.now);
    CHECK(asked_to_close(h, 60s));
    h.state.cell_count = 120;
    h.run(60s);
    CHECK_FALSE(h.has(FaultId::identity_mismatch));
}

TEST_CASE("a reset that resets nothing keeps no contactors open")
{
    // SAFE-045, SAFE-158
    House h = with_open_contactors();
    h.step();
    CHECK(h.judge().reset({.fault = "CELL_HIGH_CRIT", .reason = {}}, h.now).code == CommandCode::not_found);
    CHECK(asked_to_close(h, 60s));
}

TEST_CASE("a reset is refused while a value that would show the cause is missing, although the battery speaks")
{
    // SAFE-045
    House h;
    h.up();
    trip(h);
    h.silent.insert(SignalId::cell_voltage_max);
    h.run(100s);
    CHECK(h.judge().reset({.fault = "CELL_HIGH_CRIT", .reason = {}}, h.now).code == CommandCode::cause_present);
}

TEST_CASE("each warning from outside is told by itself")
{
    // SAFE-040
    namespace w = outside_warning;
    const std::array warnings{std::pair{w::tls_unverified, FaultId::tls_unverified},
        std::pair{w::state_not_kept, FaultId::state_not_kept}, std::pair{w::retained_command, FaultId::retained_command}};
    for (const auto& [bit, id] : warnings) {
        House h;
        h.inputs.outside_warnings = bit;
        h.step();
        for (const auto& other : warnings) CHECK(h.has(other.second) == (other.second == id));
    }
}

TEST_CASE("a battery that tells of permissions is not closed before it has told one")
{
    // SAFE-141
    for (const bool charge : {true, false}) {
        House h = with_open_contactors();
        h.profile.signals[index(SignalId::flags)] = {.provided = true, .period = 1s};
        bool told = false;
        h.also = [&] { (charge ? h.state.charge_allowed : h.state.discharge_allowed).set(told, h.now); };
        CHECK_FALSE(asked_to_close(h, 60s));
        CHECK(h.verdict().waiting == Waiting::permission);
        told = true;
        CHECK(asked_to_close(h, 60s));
    }
}

TEST_CASE("an orderly stop is complete when zero has been told for a second with no current left")
{
    // SAFE-217
    House h;
    h.up();
    h.inputs.stop_requested = true;
    const Duration took = h.time_until([&] { return h.verdict().stopped; }, 30s);
    CHECK(took >= 1s);
    CHECK(took < 2s);
}

TEST_CASE("a limit of one direction that the operator has set is his, that of the other the configuration's")
{
    // SAFE-090, SAFE-191
    for (const bool charge : {true, false}) {
        House h;
        h.up();
        OperatorState& op = h.inputs.operator_;
        (charge ? op.max_charge : op.max_discharge) = 1_kW;
        (charge ? op.charge_limit_default : op.discharge_limit_default) = false;
        h.run(1s);
        CHECK(h.charge() == (charge ? 1_kW : 10_kW));
        CHECK(h.discharge() == (charge ? 10_kW : 1_kW));
        CHECK((h.verdict().charge.by() == Cause::operator_) == charge);
        CHECK((h.verdict().discharge.by() == Cause::operator_) == !charge);
    }
}

TEST_CASE("a conflict that is over is forgotten with its reset")
{
    // SAFE-185
    for (const bool battery : {true, false}) {
        House h;
        (battery ? h.battery_tx : h.inverter_tx).ever_sent = false;
        (battery ? h.battery_traffic : h.inverter_traffic).own_ids = 2;
        h.run(130s);
        REQUIRE(h.has(FaultId::id_conflict, FaultClass::trip));
        CHECK(h.judge().reset({.fault = "ID_CONFLICT", .reason = {}}, h.now).code == CommandCode::ok);
        h.run(1s);
        CHECK_FALSE(h.has(FaultId::id_conflict));
    }
}

TEST_CASE("a fault of one cell has its number, and none where the battery does not tell")
{
    // SAFE-060
    for (const bool numbered : {true, false}) {
        House h;
        h.also = [&] {
            if (numbered) h.state.cell_max_number.set(7_count, h.now);
        };
        h.up();
        h.cell_max = 3610_mV;
        h.run(10s);
        REQUIRE(h.has(FaultId::cell_high, FaultClass::block));
        CHECK(h.fault(FaultId::cell_high)->number == (numbered ? 7 : 0));
    }
}

TEST_CASE("a battery is in use while its contactors are closed, and while an inverter is there")
{
    // SAFE-116
    for (const bool closed : {true, false}) {
        House h;
        h.up();
        h.inverter_speaks = !closed;
        h.contactor = closed ? ContactorFeedback::closed : ContactorFeedback::open;
        h.run(20s);
        h.facts.energy_rated = 50_kWh;
        h.run(20s);
        CHECK(h.has(FaultId::identity_changed, FaultClass::block));
    }
}

TEST_CASE("a voltage that is not that of the packs beside is told with both numbers, and blocks where it is to be opened")
{
    // SAFE-281
    for (const FaultClass level : {FaultClass::warn, FaultClass::block}) {
        House h;
        h.inputs.beside.mismatch = level;
        h.inputs.beside.difference = 3_V;
        h.inputs.beside.allowed = 2_V;
        h.step();
        const ActiveFault* f = h.fault(FaultId::pack_mismatch);
        REQUIRE(f != nullptr);
        CHECK(f->level == level);
        CHECK(f->direction == (level == FaultClass::block ? Direction::both : Direction::none));
        CHECK(f->has_value);
        CHECK(f->unit == Unit::volt);
        CHECK(f->value_milli == 3000);
        CHECK(f->limit_milli == 2000);
        h.inputs.beside.mismatch = FaultClass::none;
        h.step();
        h.run(59900ms);
        CHECK(h.has(FaultId::pack_mismatch));
        h.step();
        CHECK_FALSE(h.has(FaultId::pack_mismatch));
    }
}

TEST_CASE("of a battery that was never heard nobody says for how long it has been silent")
{
    // SAFE-170
    House h;
    h.pack_speaks = false;
    h.run(20s);
    REQUIRE(h.has(FaultId::bat_link_lost));
    CHECK_FALSE(h.fault(FaultId::bat_link_lost)->has_value);
    House heard;
    heard.up();
    heard.pack_speaks = false;
    heard.run(20s);
    REQUIRE(heard.has(FaultId::bat_link_lost));
    CHECK(heard.fault(FaultId::bat_link_lost)->has_value);
}

TEST_CASE("what is to be published at once is counted: each event, and each direction that begins or ends")
{
    // SAFE-047
    House h;
    h.up();
    const auto beside_events = [&](auto&& change) {
        const std::uint64_t transitions = h.judge().transitions(), events = h.judge().last_event();
        change();
        h.step();
        return (h.judge().transitions() - transitions) - (h.judge().last_event() - events);
    };
    CHECK(beside_events([] {}) == 0);
    CHECK(beside_events([&] { h.judge().note(EventType::command, "made up", h.now); }) == 0);
    CHECK(beside_events([&] { h.inputs.operator_.discharge = false; }) == 1);
    CHECK(beside_events([] {}) == 0);
    CHECK(beside_events([&] { h.inputs.operator_.charge = false; }) == 1);
    CHECK(beside_events([&] { h.inputs.operator_.charge = true; }) == 1);
}

TEST_CASE("an event holds nothing of the one whose place it takes")
{
    // SAFE-047
    House h;
    for (std::size_t i = 0; i < Judge::event_capacity; ++i)
        h.judge().note(EventType::command, "made up", h.now, "before", "after");
    h.judge().note(EventType::command, "another", h.now);
    std::optional<Event> newest;
    h.judge().events_since(0, [&](const Event& e) { newest = e; });
    REQUIRE(newest);
    CHECK(newest->text == "another");
    CHECK(newest->from.empty());
    CHECK(newest->to.empty());
}

TEST_CASE("who is alone on its bus speaks slowly there, and only there")
{
    // SAFE-264
    for (const bool battery : {true, false}) {
        House h;
        h.also = [&] { ++(battery ? h.battery_bus : h.inverter_bus).counters.no_ack; };
        h.run(5s);
        CHECK(h.verdict().slow_battery == battery);
        CHECK(h.verdict().slow_inverter == !battery);
    }
}
