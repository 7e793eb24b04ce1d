// When power is offered, and when contactors may not be trusted to be as they were ordered.
#include "tests/safety/house.hpp"

#include <doctest/doctest.h>

using namespace batgw;
using batgw::test::House;

namespace {

// Contactors inside the pack, ordered through its driver; the test writes what the driver says.
void commanded(House& house, ContactorFeedback feedback, ContactorPhase phase)
{
    house.safety.contactors.mode = ContactorMode::bms_command;
    house.profile.contactor_mode = ContactorMode::bms_command;
    house.contactor = feedback;
    house.state.phase = phase;
}

}  // namespace

TEST_CASE("nothing is offered while the inverter is told zero for the sake of its protocol, and the slope begins with the offer")
{
    // SAFE-092, SAFE-182
    House house;
    // Zero is told by our own driver: it makes no difference that the inverter's silence would decide nothing (SAFE-180).
    SUBCASE("an inverter that answers") {}
    SUBCASE("an inverter that need not answer")
    {
        house.safety.inverter_link.information_only = true;
        house.safety.inverter_link.lost_open_after = for_ever;
        house.inverter_speaks = false;
    }
    InverterPhase phase = InverterPhase::hold;
    house.also = [&] { house.inverter.phase = phase; };
    for (const InverterPhase told : {InverterPhase::identify, InverterPhase::hold, InverterPhase::fault, InverterPhase::silent}) {
        phase = told;
        house.run(30s);
        REQUIRE(house.verdict().charge.is_zero());
        REQUIRE(house.verdict().charge.by() == Cause::inverter);  // MQTT-032
        REQUIRE(house.verdict().ready);                           // what a driver waits for does not depend on it
    }
    phase = InverterPhase::run;
    house.run(1s);
    REQUIRE(house.charge() > Power{});
    REQUIRE(house.charge() <= 500_W);
    house.run(19s);
    REQUIRE(house.charge() <= 10_kW);
    house.run(1s);
    REQUIRE(house.charge() == 10_kW);

    // A pause is called a pause.
    house.inputs.operator_.paused = true;
    phase = InverterPhase::fault;
    house.run(5s);
    REQUIRE(house.verdict().charge.is_zero());
    REQUIRE(house.verdict().charge.by() == Cause::operator_);
    REQUIRE(house.verdict().state == GatewayState::paused);
}

TEST_CASE("who only watches sees what would be granted, although nobody talks to the inverter")
{
    // SAFE-244
    House house;
    house.safety.observe = true;
    house.also = [&] { house.inverter.phase = InverterPhase::silent; };
    house.up();
    REQUIRE(house.charge() == 10_kW);
    REQUIRE(house.verdict().state == GatewayState::observe);
}

TEST_CASE("a pack that is open and not insulated may not be closed, not even in the first ten seconds")
{
    // SAFE-071, SAFE-141
    House house;
    commanded(house, ContactorFeedback::open, ContactorPhase::open);
    house.safety.contactors.boot_inhibit = 1s;
    Insulation insulation = Insulation::from_milli(99'999);
    house.also = [&] {
        house.state.insulation_measured.set(true, house.now);
        house.state.insulation.set(insulation, house.now);
    };
    for (int i = 0; i < 600; ++i) {
        house.step();
        REQUIRE(house.verdict().contactors.order != ContactorOrder::close);
    }
    REQUIRE(house.has(FaultId::insulation, FaultClass::block));

    House sound;
    commanded(sound, ContactorFeedback::open, ContactorPhase::open);
    sound.also = [&] { sound.state.insulation.set(100_ohm_per_V, sound.now); };
    REQUIRE(sound.time_until([&] { return sound.verdict().contactors.order == ContactorOrder::close; }, 20s) < 12s);
}

TEST_CASE("contactors do not close while the inverter cannot be told anything")
{
    // SAFE-141, SAFE-250
    House house;
    commanded(house, ContactorFeedback::open, ContactorPhase::open);
    house.safety.inverter_link.information_only = true;  // so that only the bus speaks against it
    house.inverter_bus.state = BusState::missing;
    house.run(60s);
    REQUIRE(house.verdict().contactors.state == ContactorState::open);
    REQUIRE(house.verdict().waiting == Waiting::bus);
    house.inverter_bus.state = BusState::active;
    REQUIRE(house.time_until([&] { return house.verdict().contactors.order == ContactorOrder::close; }, 20s) < 10s);
}

TEST_CASE("an inverter is not left in silence while the pack says that it is still closed, nor for zeros it cannot have got")
{
    // SAFE-112
    SUBCASE("a pack that does not open")
    {
        House house;
        commanded(house, ContactorFeedback::closed, ContactorPhase::closed);
        house.up();
        REQUIRE_FALSE(house.verdict().charge.is_zero());
        house.state.reported.push_back({.level = FaultClass::trip, .direction = Direction::both, .code = {"x"}});
        house.run(180s);
        REQUIRE(house.verdict().contactors.order == ContactorOrder::open);
        REQUIRE_FALSE(house.verdict().may_fall_silent);
    }
    SUBCASE("a bus that carries nothing")
    {
        House house;
        house.up();
        house.state.reported.push_back({.level = FaultClass::trip, .direction = Direction::both, .code = {"x"}});
        house.inverter_bus.state = BusState::bus_off;
        house.run(60s);
        REQUIRE_FALSE(house.verdict().may_fall_silent);
        house.inverter_bus.state = BusState::active;
        house.run(29s);
        REQUIRE_FALSE(house.verdict().may_fall_silent);
        house.run(2s);
        REQUIRE(house.verdict().may_fall_silent);
    }
}

TEST_CASE("one poor state of health alone is no fault, a second one is")
{
    // SAFE-041
    House house;
    house.up();
    bool measured = true;
    house.also = [&] {
        if (measured) house.state.soh.set(20_pct, house.now);
        measured = false;
    };
    house.state.soh.set_max_age(200s);
    house.run(20s);
    REQUIRE_FALSE(house.has(FaultId::soh_low));
    measured = true;
    house.step();
    REQUIRE(house.has(FaultId::soh_low));
}
