// The judge over time: links, contactors, stop, reload, observe, voltages, events.
#include "safety/judge.hpp"
#include "tests/safety/house.hpp"

#include <doctest/doctest.h>

#include <array>
#include <string>
#include <vector>

using namespace batgw;
using batgw::test::House;

namespace {

// Contactors inside the pack, commanded through its driver. The driver here obeys after a second. Made up.
struct Commanded : House {
    Commanded()
    {
        safety.contactors.mode = ContactorMode::bms_command;
        profile.contactor_mode = ContactorMode::bms_command;
        contactor = ContactorFeedback::open;
        state.phase = ContactorPhase::listening;
        also = [this] { drive(); };
    }
    Commanded(const Commanded&) = delete;
    Commanded& operator=(const Commanded&) = delete;

    bool obeys = true;
    std::vector<ContactorOrder> orders;

    void drive()
    {
        const ContactorOrder order = verdict().contactors.order;
        if (orders.empty() || orders.back() != order) orders.push_back(order);
        if (state.phase == ContactorPhase::listening && pack_speaks) state.phase = ContactorPhase::open;
        if (!obeys) return;
        if (order == ContactorOrder::close && state.phase == ContactorPhase::open) begin(ContactorPhase::closing);
        if (order == ContactorOrder::open && (state.phase == ContactorPhase::closed || state.phase == ContactorPhase::closing))
            begin(ContactorPhase::opening);
        if (now - since < 1s) return;
        if (state.phase == ContactorPhase::closing) arrive(ContactorPhase::closed, ContactorFeedback::closed);
        if (state.phase == ContactorPhase::opening) arrive(ContactorPhase::open, ContactorFeedback::open);
    }

private:
    void begin(ContactorPhase phase)
    {
        state.phase = phase;
        since = now;
    }
    void arrive(ContactorPhase phase, ContactorFeedback feedback)
    {
        state.phase = phase;
        contactor = feedback;
        if (pack_speaks) state.contactor.set(contactor, now);
    }
    Instant since{};
};

std::string names(const House& house, EventType type)
{
    std::string s;
    house.made->events_since(0, [&](const Event& e) {
        if (e.type == type) s += std::string{e.to.view()} + ' ';
    });
    return s;
}

}  // namespace

TEST_CASE(
    "pack silent: its signals fade, at 10 s the link is lost, and it returns by five fresh seconds, thirty of hold and the ramp")
{
    // SAFE-170, SAFE-023
    for (const Duration silence : {8s, 20s, 70s}) {
        CAPTURE(silence / 1s);
        Commanded house;
        house.run(60s);
        REQUIRE(house.charge() == 10_kW);
        const Instant last = house.now;
        const auto until = [&](Duration t) { house.run(last + t - house.now); };
        house.pack_speaks = false;
        until(1s);
        REQUIRE(house.charge() == 10_kW);
        until(1100ms);  // contactor feedback: one second
        REQUIRE(house.verdict().charge.is_zero());
        REQUIRE(house.verdict().discharge.is_zero());
        REQUIRE(house.verdict().battery_link);
        REQUIRE(house.verdict().contactors.state != ContactorState::open);  // silence is never open
        until(std::min(silence, Duration{9900ms}));
        REQUIRE_FALSE(house.has(FaultId::bat_link_lost));
        if (silence > 10s) {
            until(10s);
            REQUIRE(house.has(FaultId::bat_link_lost, FaultClass::block));
            REQUIRE_FALSE(house.verdict().battery_link);
            REQUIRE(house.verdict().charge.by() == Cause::link);
            REQUIRE(house.verdict().state == GatewayState::block);
            REQUIRE(house.verdict().first_cause->id == FaultId::sig_stale);  // SAFE-047
            REQUIRE(house.verdict().contactors.order == ContactorOrder::keep);
        }
        if (silence > 60s) {
            until(60s);
            house.run(500ms);
            // No fresh current: the waiting time of a controlled opening runs, at most ten seconds.
            REQUIRE(house.time_until([&] { return house.verdict().contactors.order == ContactorOrder::open; }, 20s) < 11s);
            REQUIRE(house.verdict().contactors.state != ContactorState::open);
        }
        until(std::max(house.now - last, silence));
        house.pack_speaks = true;
        house.step();
        const Instant back = house.now;
        REQUIRE(house.time_until([&] { return !house.verdict().charge.is_zero(); }, 200s) < 150s);
        const Duration took = house.now - back;
        if (silence < 10s) REQUIRE(took >= 5s);
        if (silence < 10s) REQUIRE(took <= 6s);
        if (silence > 10s) REQUIRE(took >= 35s);
        REQUIRE(house.charge() <= 150_W);
        REQUIRE(house.verdict().charge.by() == Cause::ramp);
        house.run(30s);
        REQUIRE(house.charge() == 10_kW);
    }
}

TEST_CASE("a pack that never spoke is a warning, no more")
{
    // SAFE-170
    House house;
    house.pack_speaks = false;
    house.run(9900ms);
    REQUIRE_FALSE(house.has(FaultId::bat_link_lost));
    house.run(200ms);
    REQUIRE(house.has(FaultId::bat_link_lost, FaultClass::warn));
    REQUIRE(house.verdict().waiting == Waiting::battery_listen);
    REQUIRE(house.verdict().charge.by() == Cause::link);
}

TEST_CASE("voltage or current alone lost for as long as a link may be lost opens the contactors too")
{
    // SAFE-148, SAFE-170
    for (const SignalId id : {SignalId::voltage, SignalId::current}) {
        Commanded house;
        house.run(60s);
        house.silent.insert(id);
        house.run(61s);
        REQUIRE(house.verdict().contactors.state == ContactorState::closed);
        house.run(15s);
        REQUIRE(house.verdict().contactors.state == ContactorState::open);
    }
}

TEST_CASE(
    "inverter silent for 60 s: a warning, zero grants, frames go on; a minute later the contactors open; it returns by the ramp")
{
    // SAFE-180, SAFE-181, SAFE-182
    Commanded house;
    house.run(60s);
    const Instant last = house.now;
    const auto until = [&](Duration t) { house.run(last + t - house.now); };
    house.inverter_speaks = false;
    until(59900ms);
    REQUIRE(house.charge() == 10_kW);
    until(60s);
    REQUIRE(house.has(FaultId::inv_link_lost, FaultClass::warn));
    REQUIRE(house.fault(FaultId::inv_link_lost)->device == Device::inverter);
    REQUIRE_FALSE(house.verdict().inverter_link);
    REQUIRE(house.verdict().charge.is_zero());
    REQUIRE(house.verdict().charge.by() == Cause::link);
    REQUIRE(house.verdict().state == GatewayState::block);
    until(119900ms);
    REQUIRE(house.verdict().contactors.state == ContactorState::closed);
    until(125s);
    REQUIRE(house.verdict().contactors.state == ContactorState::open);
    house.inverter_speaks = true;
    house.step();
    REQUIRE(house.verdict().inverter_link);
    REQUIRE_FALSE(house.has(FaultId::inv_link_lost));
    REQUIRE(house.verdict().charge.is_zero());
    REQUIRE(house.time_until([&] { return !house.verdict().charge.is_zero(); }, 60s) < 30s);
    REQUIRE(house.charge() <= 150_W);
}

TEST_CASE("an inverter whose silence is information only costs no grant")
{
    // SAFE-180
    House house;
    house.safety.inverter_link.information_only = true;
    house.safety.inverter_link.lost_open_after = for_ever;
    house.inverter_speaks = false;
    house.also = [&] { house.inverter.phase = InverterPhase::run; };  // our driver talks all the same
    house.up();
    house.run(100s);
    REQUIRE(house.charge() == 10_kW);
    REQUIRE(house.has(FaultId::inv_link_lost, FaultClass::warn));
    REQUIRE(house.fault(FaultId::inv_link_lost)->direction == Direction::none);
}

TEST_CASE("black start: contactors close without an inverter, nothing is granted until it comes, and ten minutes are enough")
{
    // SAFE-183
    for (const bool comes : {true, false}) {
        Commanded house;
        house.safety.inverter_link.black_start = true;
        house.safety.inverter_link.lost_open_after = for_ever;
        house.inverter_speaks = false;
        REQUIRE(house.time_until([&] { return house.verdict().contactors.state == ContactorState::closed; }, 60s) < 20s);
        house.step();
        REQUIRE(house.has(FaultId::black_start, FaultClass::warn));
        house.run(590s, 500ms);
        REQUIRE(house.verdict().charge.is_zero());
        REQUIRE(house.verdict().contactors.state == ContactorState::closed);
        house.inverter_speaks = comes;
        house.run(60s, 500ms);
        REQUIRE(house.has(FaultId::black_start) == false);
        REQUIRE(house.verdict().charge.is_zero() == !comes);
        REQUIRE((house.verdict().contactors.state == ContactorState::closed) == comes);
    }
}

TEST_CASE("perfect values of the inverter replace no reading of the battery")
{
    // SAFE-184
    House house;
    bool inverter_measures = true;
    house.also = [&] {
        if (!inverter_measures) return;
        house.inverter.voltage.set(400_V, house.now);
        house.inverter.current.set(0_A, house.now);
        house.inverter.soc.set(50_pct, house.now);
        house.inverter.temperature.set(25_degC, house.now);
    };
    house.up();
    REQUIRE(house.charge() == 10_kW);
    house.silent = {SignalId::voltage, SignalId::current, SignalId::soc, SignalId::temperature_max};
    house.run(20s);
    REQUIRE(house.verdict().charge.is_zero());
    REQUIRE(house.verdict().discharge.is_zero());
}

TEST_CASE("two batteries on one bus: nothing flows and contactors open, until one has been alone for a minute")
{
    // SAFE-185
    Commanded house;
    house.run(60s);
    REQUIRE_FALSE(house.verdict().charge.is_zero());
    house.second_battery = true;
    house.step();
    REQUIRE(house.has(FaultId::id_conflict, FaultClass::block));
    REQUIRE(house.verdict().charge.is_zero());
    REQUIRE(house.verdict().discharge.is_zero());
    house.run(5s);
    REQUIRE(house.verdict().contactors.state == ContactorState::open);
    house.second_battery = false;
    house.run(59s);
    REQUIRE(house.has(FaultId::id_conflict));
    house.run(2s);
    REQUIRE_FALSE(house.has(FaultId::id_conflict));
}

TEST_CASE("somebody else sends our frames: at the start it trips and mutes the bus, while running it blocks")
{
    // SAFE-185
    House early;
    early.battery_tx.ever_sent = false;
    early.step();
    early.battery_traffic.own_ids = 2;
    early.step();
    REQUIRE(early.has(FaultId::id_conflict, FaultClass::trip));
    REQUIRE(early.verdict().mute_battery);
    REQUIRE_FALSE(early.verdict().mute_inverter);
    House later;
    later.up();
    later.inverter_traffic.own_ids = 2;
    later.step();
    REQUIRE(later.has(FaultId::id_conflict, FaultClass::block));
    REQUIRE(later.verdict().charge.is_zero());
    REQUIRE(later.time_until([&] { return !later.has(FaultId::id_conflict); }, 100s) <= 61s);
    Commanded opens;
    opens.run(60s);
    opens.battery_traffic.own_ids = 2;
    opens.run(5s);
    REQUIRE(opens.verdict().contactors.state == ContactorState::open);
    opens.step();
    REQUIRE(opens.verdict().mute_battery);
}

TEST_CASE("what the buses and ports report is held as the catalogue says")
{
    // SAFE-006, SAFE-261, SAFE-262, SAFE-263
    const auto held = [](FaultId id, FaultClass level, auto set, auto unset) {
        House house;
        house.up();
        set(house);
        house.step();
        REQUIRE(house.has(id, level));
        REQUIRE(house.verdict().charge.is_zero() == (level == FaultClass::block));
        unset(house);
        house.step();
        return house.time_until([&] { return !house.has(id); }, 200s);
    };
    REQUIRE(held(
                FaultId::tx_guard_refused, FaultClass::block, [](House& h) { h.inverter_tx.refusing = true; },
                [](House& h) { h.inverter_tx.refusing = false; }) == 30s);
    REQUIRE(held(
                FaultId::tx_starved, FaultClass::warn, [](House& h) { h.battery_tx.starved = true; },
                [](House& h) { h.battery_tx.starved = false; }) == 10s);
    REQUIRE(held(
                FaultId::bus_off, FaultClass::warn, [](House& h) { h.battery_bus.state = BusState::bus_off; },
                [](House& h) { h.battery_bus.state = BusState::active; }) == 60s);
    REQUIRE(held(
                FaultId::rx_drops, FaultClass::block, [](House& h) { h.battery_bus.counters.queue_drops = 101; },
                [](House&) {}) <= 61s);
    House dead;
    dead.up();
    dead.inverter_tx.dead = true;
    dead.step();
    REQUIRE_FALSE(dead.verdict().inverter_link);
    REQUIRE(dead.verdict().charge.is_zero());

    // Who cannot be told anything is lost at once.
    for (const BusState state : {BusState::bus_off, BusState::missing, BusState::stopped}) {
        House gone;
        gone.up();
        gone.inverter_bus.state = state;
        gone.step();
        REQUIRE(gone.has(FaultId::inv_link_lost, FaultClass::warn));
        REQUIRE(gone.verdict().charge.is_zero());
        REQUIRE(gone.verdict().discharge.by() == Cause::link);
    }
}

// ---- contactors ----

TEST_CASE("from open to full power: listen, data, boot inhibit, close, ramp; nothing is granted before fresh closed feedback")
{
    // SAFE-250, SAFE-161
    Commanded house;
    std::optional<Instant> closed, granted, ordered;
    while (house.now < house.start + 60s) {
        house.step();
        const Verdict& v = house.verdict();
        if (!ordered && v.contactors.order == ContactorOrder::close) ordered = house.now;
        if (!closed && house.contactor == ContactorFeedback::closed) closed = house.now;
        if (!granted && !v.charge.is_zero()) granted = house.now;
        REQUIRE((closed || v.charge.is_zero()));
        REQUIRE((closed || v.state == GatewayState::starting));
        REQUIRE((closed || !v.ready));
        if (house.now < house.start + 10s) REQUIRE_FALSE(ordered);
    }
    REQUIRE(ordered);
    REQUIRE(*ordered - house.start <= 10500ms);
    REQUIRE(*granted >= *closed);
    REQUIRE(house.orders.size() >= 2);
    REQUIRE(house.orders[0] == ContactorOrder::keep);  // a request to close is never the first thing
    REQUIRE(house.orders[1] == ContactorOrder::close);
    for (const ContactorOrder order : house.orders) REQUIRE(order != ContactorOrder::open);
    REQUIRE(house.charge() == 10_kW);
    REQUIRE(names(house, EventType::contactors) == "OPEN PRECHARGE CLOSED ");
}

TEST_CASE("a pack found closed is held, granted nothing at first, and proceeds as after any start")
{
    // SAFE-161
    Commanded house;
    house.contactor = ContactorFeedback::closed;
    house.state.phase = ContactorPhase::closed;
    house.run(9900ms);
    REQUIRE(house.verdict().contactors.state == ContactorState::closed);
    REQUIRE(house.verdict().charge.is_zero());
    REQUIRE(house.verdict().state == GatewayState::starting);
    house.run(30s);
    REQUIRE(house.charge() == 10_kW);
    for (const ContactorOrder order : house.orders) REQUIRE(order != ContactorOrder::open);
}

TEST_CASE("feedback lost while closed: no grants, and no order to open for it")
{
    // SAFE-161
    Commanded house;
    house.run(60s);
    house.silent.insert(SignalId::contactor);
    house.run(20s);
    REQUIRE(house.verdict().charge.is_zero());
    REQUIRE(house.verdict().contactors.order != ContactorOrder::open);
    REQUIRE_FALSE(house.verdict().contactors.state == ContactorState::open);
}

TEST_CASE("TRIP opens the contactors and they stay open; after a reset they wait for a person")
{
    // SAFE-153, SAFE-040
    Commanded house;
    house.run(60s);
    house.cell_max = 3710_mV;
    REQUIRE(house.time_until([&] { return house.has(FaultId::cell_high_crit); }, 10s) < 3s);
    REQUIRE(house.verdict().charge.is_zero());
    REQUIRE(house.verdict().discharge.is_zero());
    house.run(5s);
    REQUIRE(house.verdict().contactors.state == ContactorState::open);
    REQUIRE(house.verdict().state == GatewayState::trip);
    house.cell_max = 3310_mV;
    house.run(600s, 500ms);
    REQUIRE(house.verdict().state == GatewayState::trip);
    REQUIRE(house.verdict().contactors.state == ContactorState::open);
    REQUIRE(house.judge().reset({.fault = "CELL_HIGH_CRIT", .reason = {}}, house.now).code == CommandCode::ok);
    house.run(60s);
    REQUIRE(house.verdict().worst < FaultClass::block);
    REQUIRE(house.verdict().contactors.state == ContactorState::open);
    REQUIRE(house.judge().request_close(house.now));
    house.run(30s);
    REQUIRE(house.verdict().contactors.state == ContactorState::closed);
    REQUIRE_FALSE(house.judge().request_close(house.now));  // SAFE-142
}

TEST_CASE("latches of an earlier run hold from the first verdict on")
{
    Commanded house;
    ActiveFault latch;
    latch.id = FaultId::cell_deep;
    latch.level = FaultClass::emergency;
    latch.direction = Direction::both;
    house.judge().restore(latch);
    house.run(60s);
    REQUIRE(house.verdict().state == GatewayState::emergency);
    REQUIRE(house.verdict().contactors.order != ContactorOrder::close);
}

TEST_CASE("a pack that never closes locks out; a reset leads to OPEN, where a person has to ask")
{
    // SAFE-045, SAFE-140, SAFE-146
    Commanded house;
    house.obeys = false;
    house.time_until([&] { return house.has(FaultId::precharge_failed); }, 600s);
    REQUIRE(house.has(FaultId::precharge_failed, FaultClass::trip));
    house.run(30s);
    REQUIRE(house.verdict().contactors.state == ContactorState::lockout);
    REQUIRE(house.judge().reset({.fault = "PRECHARGE_FAILED", .reason = {}}, house.now).code == CommandCode::cause_present);
    house.run(40s);
    REQUIRE(house.verdict().contactors.state == ContactorState::lockout);
    house.obeys = true;
    REQUIRE(house.judge().reset({.fault = "PRECHARGE_FAILED", .reason = {}}, house.now).code == CommandCode::ok);
    house.run(120s);
    REQUIRE_FALSE(house.has(FaultId::precharge_failed));
    REQUIRE(house.verdict().contactors.state == ContactorState::open);
    REQUIRE(house.verdict().waiting == Waiting::operator_);
    REQUIRE(house.judge().request_close(house.now));
    house.run(20s);
    REQUIRE(house.verdict().contactors.state == ContactorState::closed);
}

TEST_CASE("of several latches only the last one reset unlocks the contactors")
{
    // SAFE-045, SAFE-140
    Commanded house;
    house.run(60s);
    for (const FaultId id : {FaultId::cell_deep, FaultId::contactor_feedback}) {
        ActiveFault latch;
        latch.id = id;
        latch.level = id == FaultId::cell_deep ? FaultClass::emergency : FaultClass::trip;
        latch.device = Device::battery;
        house.judge().report(latch);
    }
    house.run(90s);
    REQUIRE(house.verdict().contactors.state == ContactorState::lockout);
    const auto reset = [&](std::string_view name) {
        return house.judge().reset({.fault = name, .reason = "looked at it", .source = CommandSource::local}, house.now).code;
    };
    REQUIRE(reset("CELL_DEEP") == CommandCode::ok);
    house.run(5s);
    REQUIRE(house.verdict().contactors.state == ContactorState::lockout);
    REQUIRE(house.verdict().state == GatewayState::trip);
    REQUIRE(reset("CONTACTOR_FEEDBACK") == CommandCode::ok);
    house.run(60s);
    REQUIRE(house.verdict().contactors.state == ContactorState::open);
}

TEST_CASE("after a restart with a latch, a reset does not close the contactors by itself either")
{
    // SAFE-045, SAFE-046
    Commanded house;
    ActiveFault latch;
    latch.id = FaultId::temp_crit;
    latch.level = FaultClass::trip;
    latch.device = Device::battery;
    house.judge().restore(latch);
    house.run(120s);
    REQUIRE(house.judge().reset({.fault = "TEMP_CRIT", .reason = {}}, house.now).code == CommandCode::ok);
    house.run(120s);
    REQUIRE(house.verdict().worst < FaultClass::block);
    REQUIRE(house.verdict().contactors.state == ContactorState::open);
    REQUIRE(house.judge().request_close(house.now));
    house.run(20s);
    REQUIRE(house.verdict().contactors.state == ContactorState::closed);
}

TEST_CASE("an operator opens and closes; a denied permission keeps them open")
{
    // SAFE-141
    Commanded house;
    house.run(60s);
    house.inputs.operator_.contactors_open = true;
    house.run(10s);
    REQUIRE(house.verdict().contactors.state == ContactorState::open);
    REQUIRE_FALSE(house.verdict().ready);
    house.inputs.operator_.contactors_open = false;
    REQUIRE(house.judge().request_close(house.now));
    house.run(20s);
    REQUIRE(house.verdict().contactors.state == ContactorState::closed);

    for (const bool allowed : {true, false}) {
        Commanded denied;
        denied.profile.signals[index(SignalId::flags)] = {.provided = true, .period = 100ms};
        denied.also = [&] {
            denied.drive();
            denied.state.charge_allowed.set(allowed, denied.now);
            denied.state.discharge_allowed.set(allowed, denied.now);
        };
        denied.run(60s);
        REQUIRE((denied.verdict().contactors.state == ContactorState::closed) == allowed);
    }
}

TEST_CASE("a pack that does not close: after the last attempt a TRIP that names the contactors")
{
    // SAFE-146
    Commanded house;
    house.obeys = false;
    const auto drive = house.also;
    house.also = [&] {
        drive();
        const ContactorOrder order = house.verdict().contactors.order;
        if (order == ContactorOrder::close && house.state.phase == ContactorPhase::open) {
            house.state.phase = ContactorPhase::open;  // gives up at once
            ++house.state.close_failures;
        }
    };
    house.run(200s);
    REQUIRE(house.has(FaultId::precharge_failed, FaultClass::trip));
    REQUIRE(house.verdict().charge.by() == Cause::contactor);
    REQUIRE(house.verdict().state == GatewayState::trip);
    REQUIRE(house.state.close_failures == house.safety.contactors.attempts);
}

// ---- what the inverter may do ----

TEST_CASE("silence is allowed 30 s after zero limits for a fault, and only once contactors of ours are open")
{
    // SAFE-112
    SUBCASE("contactors that are not ours do not matter")
    {
        House house;
        house.up();
        house.state.reported.push_back({.level = FaultClass::trip, .direction = Direction::both, .code = {"x"}});
        house.step();
        house.run(29900ms);
        REQUIRE_FALSE(house.verdict().may_fall_silent);
        house.step();
        REQUIRE(house.verdict().may_fall_silent);
        REQUIRE_FALSE(house.verdict().ready);
    }
    SUBCASE("a block that passes by itself is told by zeros for as long as it lasts")
    {
        House house;
        house.up();
        house.state.reported.push_back({.level = FaultClass::block, .direction = Direction::both, .code = {"x"}});
        house.run(600s);
        REQUIRE(house.verdict().charge.is_zero());
        REQUIRE(house.verdict().discharge.is_zero());
        REQUIRE_FALSE(house.verdict().may_fall_silent);
    }
    SUBCASE("of a pack that fell silent nobody knows: the order to open has to stand for as long")
    {
        Commanded house;
        house.run(60s);
        house.pack_speaks = false;
        REQUIRE(house.time_until([&] { return house.verdict().contactors.order == ContactorOrder::open; }, 100s) < 75s);
        house.run(29s);
        REQUIRE_FALSE(house.verdict().may_fall_silent);
        house.run(2s);
        REQUIRE(house.verdict().may_fall_silent);
    }
    SUBCASE("a pause or a lost direction is no fault of that kind")
    {
        House house;
        house.up();
        house.inputs.operator_.paused = true;
        house.run(100s);
        REQUIRE(house.verdict().state == GatewayState::paused);
        REQUIRE_FALSE(house.verdict().may_fall_silent);
        REQUIRE_FALSE(house.verdict().ready);
    }
}

TEST_CASE(
    "current that flows against a zero grant for five seconds is told, and overrides the state of charge where that is chosen")
{
    // SAFE-113
    for (const bool chosen : {true, false})
        for (const int sign : {1, -1}) {
            House house;
            house.safety.inverter_link.soc_override = chosen;
            house.up();
            OperatorState& op = house.inputs.operator_;
            (sign > 0 ? op.charge : op.discharge) = false;
            house.current = Current::from_milli(sign * 2000);
            house.run(20s);
            REQUIRE_FALSE(house.has(FaultId::limit_exceeded));
            house.current = Current::from_milli(sign * 2001);
            house.step();
            house.run(4900ms);
            REQUIRE_FALSE(house.has(FaultId::limit_exceeded));
            house.step();
            REQUIRE(house.has(FaultId::limit_exceeded, FaultClass::warn));
            const Direction direction = sign > 0 ? Direction::charge : Direction::discharge;
            REQUIRE(house.verdict().override_soc == (chosen ? direction : Direction::none));
            house.current = 0_A;  // obeyed: the override stays, or it would start again
            house.run(60s);
            REQUIRE_FALSE(house.has(FaultId::limit_exceeded));
            REQUIRE(house.verdict().override_soc == (chosen ? direction : Direction::none));
            op.charge = op.discharge = true;
            house.run(1s);
            REQUIRE(house.verdict().override_soc == Direction::none);
        }
}

TEST_CASE("an inverter that never answers is watched for current against a zero grant all the same, once it is spoken to")
{
    // SAFE-113
    for (const bool information_only : {true, false})
        for (const InverterPhase phase : {InverterPhase::silent, InverterPhase::run}) {
            House house;
            house.safety.inverter_link.information_only = information_only;
            house.safety.inverter_link.lost_open_after = for_ever;
            house.inverter_speaks = false;
            house.also = [&] { house.inverter.phase = phase; };
            house.up();
            house.inputs.operator_.charge = false;
            house.current = 10_A;
            house.run(11s);  // five to obey, five above
            REQUIRE(house.has(FaultId::limit_exceeded) == (information_only && phase == InverterPhase::run));
        }
}

TEST_CASE("both directions blocked because something is too high is said so")
{
    House house;
    house.up();
    house.temperature_max = 56_degC;
    house.temperature_min = 50_degC;
    house.run(6s);
    REQUIRE(house.fault(FaultId::temp_hot)->direction == Direction::both);
    REQUIRE(house.verdict().high_cause);
    House cold;
    cold.up();
    cold.temperature_max = cold.temperature_min = Temperature::from_milli(-21'000);
    cold.run(6s);
    REQUIRE(cold.verdict().state == GatewayState::block);
    REQUIRE_FALSE(cold.verdict().high_cause);
    House full;
    full.up();
    full.cell_max = 3620_mV;
    full.run(6s);
    REQUIRE_FALSE(full.verdict().high_cause);  // one direction only
}

TEST_CASE("set points: target and cut-off times cells, within the pack's and the configured window, and held while blocked")
{
    // SAFE-110, SAFE-114
    House house;
    house.facts.voltage_max = 425_V;
    house.facts.voltage_min = 340_V;
    house.step();
    REQUIRE(house.verdict().voltage_max == 420_V);  // 120 times 3.500 V
    REQUIRE(house.verdict().voltage_min == 360_V);  // 120 times 3.000 V
    REQUIRE_FALSE(house.verdict().voltage_max_asked);
    REQUIRE_FALSE(house.verdict().voltage_min_asked);
    House narrow;
    narrow.facts.voltage_max = 415_V;
    narrow.battery.voltage_min = 370_V;
    narrow.step();
    REQUIRE(narrow.verdict().voltage_max == 415_V);
    REQUIRE(narrow.verdict().voltage_min == 370_V);
    House no_cells;
    no_cells.battery.cells.reset();
    no_cells.facts.cells.reset();
    no_cells.step();
    REQUIRE(no_cells.verdict().voltage_max == 420_V);
    REQUIRE(no_cells.verdict().voltage_min == 350_V);
    House nonsense;
    nonsense.battery.voltage_min = 430_V;
    nonsense.step();
    REQUIRE_FALSE(nonsense.verdict().voltage_max);

    Voltage wanted = 418_V;
    house.also = [&] {
        house.state.charge_voltage_wanted.set(wanted, house.now);
        house.state.discharge_voltage_wanted.set(365_V, house.now);
    };
    house.step();
    REQUIRE(house.verdict().voltage_max == 418_V);
    REQUIRE(house.verdict().voltage_max_asked);
    REQUIRE(house.verdict().voltage_min_asked);
    REQUIRE(house.verdict().voltage_min == 365_V);
    wanted = 421_V;  // asks for more than there may be
    house.step();
    REQUIRE(house.verdict().voltage_max == 420_V);
    REQUIRE_FALSE(house.verdict().voltage_max_asked);
    REQUIRE(house.verdict().voltage_min_asked);
    wanted = 417_V;
    house.step();
    house.state.reported.push_back({.level = FaultClass::block, .direction = Direction::both, .code = {"x"}});
    wanted = 410_V;
    house.step();
    REQUIRE(house.verdict().voltage_max == 417_V);
    house.pack_speaks = false;
    house.also = nullptr;
    house.run(30s);
    REQUIRE(house.verdict().voltage_max == 417_V);
    REQUIRE(house.verdict().voltage_min == 365_V);
}

TEST_CASE("identification may start when all that an inverter is shown is known and fresh, and not before")
{
    // SAFE-250, SAFE-111
    const std::array<void (*)(House&), 5> missing{[](House& h) { h.facts.energy_rated.reset(); },
        [](House& h) { h.facts.voltage_max.reset(); }, [](House& h) { h.facts.voltage_min.reset(); },
        [](House& h) { h.silent.insert(SignalId::soc); }, [](House& h) { h.silent.insert(SignalId::temperature_min); }};
    for (const auto& take : missing) {
        House house;
        take(house);
        house.run(60s);
        REQUIRE_FALSE(house.verdict().battery_valid);
        REQUIRE_FALSE(house.verdict().ready);
    }
    House house;
    house.step();
    REQUIRE(house.time_until([&] { return house.verdict().battery_valid; }, 60s) == 5s);
    house.up();
    REQUIRE(house.verdict().ready);
    house.silent.insert(SignalId::soc);
    house.run(10100ms);
    REQUIRE_FALSE(house.verdict().battery_valid);
    REQUIRE_FALSE(house.verdict().ready);
}

// ---- stop, observe, reload, time ----

TEST_CASE("orderly stop: zero at once, contactors opened, a second of zero frames, done")
{
    // SAFE-217
    Commanded house;
    house.run(60s);
    house.inputs.stop_requested = true;
    house.step();
    REQUIRE(house.verdict().state == GatewayState::shutdown);
    REQUIRE(house.verdict().charge.is_zero());
    REQUIRE(house.verdict().discharge.is_zero());
    REQUIRE_FALSE(house.verdict().stopped);
    const Instant asked = house.now;
    REQUIRE(house.time_until([&] { return house.contactor == ContactorFeedback::open; }, 30s) < 3s);
    REQUIRE_FALSE(house.verdict().stopped);
    const Instant open = house.now;
    REQUIRE(house.time_until([&] { return house.verdict().stopped; }, 30s) >= 900ms);
    REQUIRE(house.now - open <= 2s);
    REQUIRE(house.now - asked <= 25s);
    house.run(5s);
    REQUIRE(house.verdict().stopped);
}

TEST_CASE("orderly stop under current waits ten seconds at most; a second request does not wait; 25 s are the end in any case")
{
    // SAFE-217
    const auto stop = [](bool hurry, bool obeys) {
        Commanded house;
        house.run(60s);
        house.current = 8_A;
        house.obeys = obeys;
        house.inputs.stop_requested = true;
        house.step();
        const Instant asked = house.now;
        house.inputs.stop_now = hurry;
        house.time_until([&] { return house.verdict().stopped; }, 60s);
        return house.now - asked;
    };
    const Duration waits = stop(false, true), hurried = stop(true, true), stubborn = stop(false, false);
    REQUIRE(waits >= 10s);
    REQUIRE(waits <= 14s);
    REQUIRE(hurried <= 3s);
    REQUIRE(stubborn >= 24s);
    REQUIRE(stubborn <= 25s);
}

TEST_CASE("observing judges everything, transmits nothing and commands nothing")
{
    // SAFE-244
    Commanded house;
    house.safety.observe = true;
    house.contactor = ContactorFeedback::closed;
    house.run(60s);
    REQUIRE(house.judge().observing());
    REQUIRE(house.verdict().state == GatewayState::observe);
    REQUIRE(house.verdict().mute_battery);
    REQUIRE(house.verdict().mute_inverter);
    REQUIRE(house.verdict().contactors.order == ContactorOrder::keep);
    REQUIRE(house.charge() == 10_kW);  // what it would send
    house.cell_max = 3620_mV;
    house.run(5s);
    REQUIRE(house.has(FaultId::cell_high));
    REQUIRE_FALSE(house.judge().request_close(house.now));
    house.cell_max = 3710_mV;
    house.run(10s);
    REQUIRE(house.orders == std::vector{ContactorOrder::keep});
}

TEST_CASE("a driver that was tried too little is told, and observes when more is required")
{
    // SAFE-308
    House house;
    house.profile.verified = Verification::replay;
    house.inverter_verified = Verification::none;
    house.up();
    REQUIRE(house.has(FaultId::unverified_driver, "made-up"));
    REQUIRE(house.has(FaultId::unverified_driver, "made-up-too"));
    REQUIRE(house.charge() == 10_kW);
    for (const Verification required : {Verification::none, Verification::replay, Verification::bench}) {
        House strict;
        strict.profile.verified = Verification::replay;
        strict.safety.process.require_verification = required;
        REQUIRE(strict.judge().observing() == (required == Verification::bench));
        House other;
        other.inverter_verified = Verification::replay;
        other.safety.process.require_verification = required;
        REQUIRE(other.judge().observing() == (required == Verification::bench));
    }
}

TEST_CASE("reload: tighter limits act at once, looser ones through the ramp, and what is fixed at the start stays")
{
    // SAFE-241, SAFE-242
    House house;
    house.up();
    BatteryConfig battery = house.battery;
    SafetyConfig safety = house.safety;
    battery.max_charge = 3_kW;
    safety.soc.min = 60_pct;
    house.judge().reconfigure(safety, battery, house.now);
    house.step();
    REQUIRE(house.charge() == 3_kW);
    REQUIRE(house.verdict().discharge.is_zero());
    house.run(10s);
    battery.max_charge = 9_kW;
    house.judge().reconfigure(safety, battery, house.now);
    house.step();
    REQUIRE(house.charge() == 3_kW);
    house.run(7s);
    REQUIRE(house.charge() > 3_kW);
    REQUIRE(house.charge() < 4500_W);
    house.run(20s);
    REQUIRE(house.charge() == 9_kW);

    safety.observe = true;
    safety.contactors.mode = ContactorMode::bms_command;
    battery.cells = 10;
    house.judge().reconfigure(safety, battery, house.now);
    house.step();
    REQUIRE(house.judge().contactor_mode() == ContactorMode::none);
    REQUIRE_FALSE(house.judge().observing());
    REQUIRE(house.verdict().voltage_max == 420_V);
    int reloads = 0;
    house.judge().events_since(0, [&](const Event& e) { reloads += e.type == EventType::reload ? 1 : 0; });
    REQUIRE(reloads == 3);
}

TEST_CASE("the wall clock is shown and never used")
{
    // SAFE-233, SAFE-230: there is only one time in the core, and the wall clock is a flag.
    House set, unset;
    unset.inputs.clock_valid = false;
    for (int i = 0; i < 500; ++i) {
        const Verdict& a = set.step();
        const Verdict& b = unset.step();
        REQUIRE(a.charge.power() == b.charge.power());
        REQUIRE(a.state == b.state);
    }
    REQUIRE(unset.has(FaultId::clock_invalid, FaultClass::info));
    REQUIRE_FALSE(set.has(FaultId::clock_invalid));
    REQUIRE(unset.charge() == 10_kW);
    unset.inputs.clock_valid = true;
    unset.step();
    REQUIRE_FALSE(unset.has(FaultId::clock_invalid));
}

TEST_CASE("the same life at another point of monotonic time is the same life")
{
    // SAFE-230
    House early, late;
    late.start = late.now = late.start + std::chrono::hours{24 * 365 * 10};
    for (int i = 0; i < 600; ++i) {
        if (i == 300) early.cell_max = late.cell_max = 3620_mV;
        REQUIRE(early.step().charge.power() == late.step().charge.power());
    }
}

TEST_CASE("warnings from outside are shown as long as they stand")
{
    // SAFE-194
    House house;
    house.safety.contactors.link_synthetic = true;
    house.inputs.outside_warnings =
        outside_warning::tls_unverified | outside_warning::state_not_kept | outside_warning::retained_command;
    house.up();
    for (const FaultId id :
        {FaultId::tls_unverified, FaultId::state_not_kept, FaultId::retained_command, FaultId::link_synthetic})
        REQUIRE(house.has(id, FaultClass::warn));
    REQUIRE(house.charge() == 10_kW);
    house.inputs.outside_warnings = outside_warning::state_not_kept;
    house.step();
    REQUIRE_FALSE(house.has(FaultId::tls_unverified));
    REQUIRE(house.has(FaultId::state_not_kept));
    REQUIRE_FALSE(house.has(FaultId::retained_command));
    REQUIRE(house.has(FaultId::link_synthetic));
}

// ---- events ----

TEST_CASE("of what happened the last 256 are still there, or what came after the one that somebody has seen")
{
    // SAFE-047
    CHECK(Judge::first_kept(0, 0) == 0);
    CHECK(Judge::first_kept(0, 256) == 0);
    CHECK(Judge::first_kept(0, 257) == 1);
    CHECK(Judge::first_kept(43, 300) == 44);
    CHECK(Judge::first_kept(45, 300) == 45);
    CHECK(Judge::first_kept(400, 300) == 400);
}

TEST_CASE("what happened is kept in order, with the inputs of that instant, 256 events long")
{
    // SAFE-047
    House house;
    house.up();
    const std::uint64_t before = house.judge().last_event();
    house.cell_max = 3620_mV;
    house.run(2s);
    std::vector<Event> seen;
    house.judge().events_since(before, [&](const Event& e) { seen.push_back(e); });
    REQUIRE(seen.size() == 4);  // the curve set, DERATED; CELL_HIGH set, BLOCK_CHARGE
    REQUIRE(seen[0].number == before + 1);
    REQUIRE(seen[0].type == EventType::fault_set);
    REQUIRE(seen[0].fault.id == FaultId::cell_high_curve);
    REQUIRE(seen[1].type == EventType::state);
    REQUIRE(seen[1].from == "RUN");
    REQUIRE(seen[1].to == "DERATED");
    REQUIRE(seen[2].fault.id == FaultId::cell_high);
    REQUIRE(seen[2].to == "BLOCK");
    REQUIRE(seen[2].cell_voltage_max == 3620_mV);
    REQUIRE(seen[2].voltage == 400_V);
    REQUIRE(seen[2].soc == 50_pct);
    REQUIRE(seen[3].to == "BLOCK_CHARGE");
    house.cell_max = 3310_mV;
    house.run(40s);
    REQUIRE(names(house, EventType::fault_cleared).find("NONE") != std::string::npos);

    for (int i = 0; i < 1000; ++i) house.judge().note(EventType::command, std::to_string(i), house.now, "from", "to");
    std::size_t kept = 0;
    std::uint64_t last = 0;
    house.judge().events_since(0, [&](const Event& e) {
        ++kept;
        REQUIRE((last == 0 || e.number == last + 1));
        last = e.number;
    });
    REQUIRE(kept == Judge::event_capacity);
    REQUIRE(last == house.judge().last_event());
    int none = 0;
    house.judge().events_since(last, [&](const Event&) { ++none; });
    REQUIRE(none == 0);
}

TEST_CASE("a change of class is an event, and so are links and the start")
{
    House house;
    house.up();
    REQUIRE(names(house, EventType::link) == "alive alive ");
    REQUIRE(names(house, EventType::state) == "RUN ");
    house.current = 29_A;
    house.run(11s);
    house.current = 40_A;
    house.run(3s);
    REQUIRE(names(house, EventType::fault_class) == "TRIP ");
    std::uint64_t first = 0;
    house.judge().events_since(0, [&](const Event& e) {
        if (first == 0) first = e.number;
        if (e.number == 1) REQUIRE(e.type == EventType::start);
    });
    REQUIRE(first == 1);
}

TEST_CASE("a grant that goes to or from zero is worth telling at once")
{
    // MQTT-033
    House house;
    house.up();
    const std::uint64_t quiet = house.judge().transitions();
    house.run(10s);
    REQUIRE(house.judge().transitions() == quiet);
    house.charge_limit = 0_W;
    house.step();
    REQUIRE(house.judge().transitions() == quiet + 1);
}

TEST_CASE("a pack that says open and yet holds the inverter's side up: a trip where we command it, a block where not, a warning "
          "where the "
          "inverter may do it")
{
    // SAFE-156 (e)
    const auto judged = [](ContactorMode mode, bool fed, bool observe = false) {
        House house;
        house.safety.observe = observe;
        house.safety.contactors.mode = mode;
        house.safety.contactors.close_automatically = false;
        house.safety.contactors.inverter_feeds_link = fed;
        house.contactor = ContactorFeedback::open;
        house.state.phase = ContactorPhase::open;
        house.inverter.voltage.set_max_age(10s);
        house.also = [&house] { house.inverter.voltage.set(395_V, house.now); };
        house.run(595s);
        REQUIRE_FALSE(house.has(FaultId::weld_suspected));
        house.run(15s);
        const ActiveFault* f = house.fault(FaultId::weld_suspected);
        REQUIRE(f != nullptr);
        CHECK(house.verdict().charge.is_zero());
        return *f;
    };
    CHECK(judged(ContactorMode::bms_command, false).level == FaultClass::trip);
    CHECK(judged(ContactorMode::bms_command, false).direction == Direction::both);
    CHECK(judged(ContactorMode::none, false).level == FaultClass::block);
    CHECK(judged(ContactorMode::bms_command, false, true).level == FaultClass::block);
    const ActiveFault fed = judged(ContactorMode::bms_command, true);
    CHECK(fed.level == FaultClass::warn);
    CHECK(fed.direction == Direction::none);
    CHECK(fed.detail == "undetermined");
}
