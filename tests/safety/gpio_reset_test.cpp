// Latched faults and their reset where the coils are ours.
#include "tests/safety/house.hpp"

#include <doctest/doctest.h>

using namespace batgw;
using namespace batgw::test;

namespace {

// The made-up house with relays that follow at once, unless one is stuck, and a link that may stay empty.
struct RelayHouse : House {
    RelayHouse()
    {
        auto& c = safety.contactors;
        c.mode = ContactorMode::gpio;
        c.gpio.negative = 1;
        c.gpio.precharge = 2;
        c.gpio.positive = 3;
        c.gpio.negative_feedback = 4;
        c.gpio.positive_feedback = 5;
        c.gpio.emergency_stop = 7;
        lines.held = true;
        lines.stop_released = true;
        inputs.lines = &lines;
        also = [this] { live(); };
    }
    void live()
    {
        const Coils& c = verdict().contactors.coils;
        lines.negative_closed = c.negative;
        lines.positive_closed = c.positive || positive_stuck;
        lines.at = now;
        if (c.negative && (c.positive || positive_stuck))
            link = 1;
        else if (c.negative && c.precharge && resistor)
            link += (1 - link) * 0.1;
        else
            link *= 0.9;
        inverter.voltage.set(Voltage::from_milli(static_cast<std::int64_t>(400'000 * link)), now);
        closings += c.negative && !was_on ? 1 : 0;
        was_on = c.negative;
    }
    void live_for(Duration time)
    {
        judge();
        for (const Instant end = now + time; now < end;) {
            const Instant next = std::max(made->next_evaluation(), now + 1ms);
            step(next - now);
        }
    }
    bool live_until(ContactorState s, Duration limit = 60s)
    {
        for (const Instant end = now + limit; now < end; live_for(10ms))
            if (verdict().contactors.state == s) return true;
        return false;
    }
    ResetOutcome reset(std::string_view fault, std::string_view reason = {})
    {
        return judge().reset({.fault = fault, .reason = reason, .source = CommandSource::local}, now);
    }
    ContactorLines lines;
    bool resistor = true, positive_stuck = false, was_on = false;
    double link = 0;
    int closings = 0;
};

}  // namespace

TEST_CASE("gpio: after a precharge that failed for good a reset leads to OPEN, and a person closes")
{
    // SAFE-045, SAFE-140, SAFE-146
    RelayHouse h;
    h.resistor = false;
    REQUIRE(h.live_until(ContactorState::lockout, 200s));
    REQUIRE(h.has(FaultId::precharge_failed, FaultClass::trip));
    CHECK(h.closings == 3);
    CHECK(h.reset("PRECHARGE_FAILED").code == CommandCode::cause_present);
    h.live_for(70s);
    h.resistor = true;
    CHECK(h.closings == 3);
    REQUIRE(h.reset("PRECHARGE_FAILED").code == CommandCode::ok);
    REQUIRE(h.live_until(ContactorState::open, 40s));
    h.live_for(120s);
    CHECK(h.closings == 3);  // nothing closes by itself
    CHECK_FALSE(h.has(FaultId::precharge_failed));
    REQUIRE(h.judge().request_close(h.now));
    REQUIRE(h.live_until(ContactorState::closed));
    h.live_for(60s);
    CHECK(h.charge() == 10_kW);
}

TEST_CASE("gpio: an emergency stop is reset on the machine with a reason, after its release, and closes nothing")
{
    // SAFE-045, SAFE-155
    RelayHouse h;
    REQUIRE(h.live_until(ContactorState::closed));
    h.live_for(60s);
    REQUIRE(h.discharge() == 10_kW);
    h.lines.stop_released = false;
    h.live_for(300ms);
    REQUIRE(h.has(FaultId::emergency_stop, FaultClass::emergency));
    CHECK_FALSE(h.verdict().contactors.coils.any_main());
    h.live_for(100s);
    CHECK(h.reset("ESTOP", "I have looked").code == CommandCode::cause_present);
    h.lines.stop_released = true;
    h.live_for(61s);
    CHECK(h.reset("ESTOP").code == CommandCode::bad_payload);
    CHECK(h.judge().reset({.fault = "ESTOP", .reason = "I have looked", .source = CommandSource::remote}, h.now).code ==
        CommandCode::not_allowed);
    CHECK_FALSE(h.verdict().contactors.coils.any_main());
    REQUIRE(h.reset("ESTOP", "I have looked").code == CommandCode::ok);
    REQUIRE(h.live_until(ContactorState::open, 70s));
    h.live_for(120s);
    CHECK(h.closings == 1);
    REQUIRE(h.judge().request_close(h.now));
    REQUIRE(h.live_until(ContactorState::closed));
}

TEST_CASE("gpio: a welded contactor cannot be reset away; once it opens it can")
{
    // SAFE-045, SAFE-156
    RelayHouse h;
    REQUIRE(h.live_until(ContactorState::closed));
    h.live_for(60s);
    h.positive_stuck = true;
    h.inputs.operator_.contactors_open = true;
    h.live_for(100s);
    const bool emergency = h.has(FaultId::contactor_welded, FaultClass::emergency);
    const bool trip = h.has(FaultId::weld_suspected, FaultClass::trip);
    REQUIRE((emergency || trip));
    const std::string_view name = emergency ? "CONTACTOR_WELDED" : "WELD_SUSPECTED";
    h.inputs.operator_.contactors_open = false;
    h.live_for(200s);
    CHECK(h.reset(name, "I have looked").code == CommandCode::cause_present);
    CHECK(h.closings == 1);
    h.positive_stuck = false;
    h.live_for(200s);
    const ResetOutcome outcome = h.reset("all", "I have changed it");
    CAPTURE(outcome.text.view());
    REQUIRE(outcome.code == CommandCode::ok);
    REQUIRE(h.live_until(ContactorState::open, 70s));
    h.live_for(60s);
    CHECK(h.closings == 1);
    REQUIRE(h.judge().request_close(h.now));
    REQUIRE(h.live_until(ContactorState::closed));
}
