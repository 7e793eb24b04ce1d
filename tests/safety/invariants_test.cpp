// What must hold of every verdict, and what happens when it does not.
#include "safety/invariants.hpp"

#include "safety/grant_writer.hpp"
#include "tests/safety/house.hpp"

#include <doctest/doctest.h>

#include <array>

using namespace batgw;
using batgw::test::House;

namespace {

// A verdict that grants both ways, and all that entitles it to.
struct Sound {
    Verdict verdict;
    InvariantInput in{.max_charge = 10_kW, .max_discharge = 8_kW, .voltage_known = true, .last_sequence = 6, .last = Instant{5s}};
    Sound()
    {
        verdict.sequence = 7;
        verdict.at = Instant{6s};
        verdict.charge = GrantWriter::write(10_kW, 25_A, Cause::config);
        verdict.discharge = GrantWriter::write(8_kW, 20_A, Cause::config);
        verdict.battery_link = true;
        verdict.contactors.power_allowed = true;
    }
    std::string_view broken() const { return broken_invariant(verdict, in); }
};

}  // namespace

TEST_CASE("a sound verdict breaks nothing, and each thing that must hold is missed when it does not")
{
    // SAFE-219
    REQUIRE(Sound{}.broken().empty());
    struct Case {
        const char* what;
        void (*spoil)(Sound&);
    };
    const std::array cases{
        Case{"time went back", [](Sound& s) { s.in.last = Instant{6s + 1us}; }},
        Case{"the same number again", [](Sound& s) { s.in.last_sequence = 7; }},
        Case{"more than configured, charging", [](Sound& s) { s.in.max_charge = 9999_W; }},
        Case{"more than configured, discharging", [](Sound& s) { s.in.max_discharge = 7999_W; }},
        Case{"a TRIP", [](Sound& s) { s.in.faults = {.worst = FaultClass::trip, .blocked = Direction::none}; }},
        Case{"charging is blocked", [](Sound& s) { s.in.faults = {.worst = FaultClass::block, .blocked = Direction::charge}; }},
        Case{"discharging is blocked",
            [](Sound& s) { s.in.faults = {.worst = FaultClass::block, .blocked = Direction::discharge}; }},
        Case{"something is latched",
            [](Sound& s) {
                ActiveFault f;
                f.latched = true;
                s.verdict.worst = FaultClass::block;
                s.verdict.faults.push_back(f);
            }},
        Case{"faults that nobody counted", [](Sound& s) { s.verdict.faults.push_back({}); }},
        Case{"no voltage", [](Sound& s) { s.in.voltage_known = false; }},
        Case{"an orderly stop", [](Sound& s) { s.in.stopping = true; }},
        Case{"stopped", [](Sound& s) { s.verdict.stopped = true; }},
        Case{"no battery", [](Sound& s) { s.verdict.battery_link = false; }},
        Case{"contactors not closed", [](Sound& s) { s.verdict.contactors.power_allowed = false; }},
        Case{"contactors ordered open", [](Sound& s) { s.verdict.contactors.order = ContactorOrder::open; }},
        Case{"silence", [](Sound& s) { s.verdict.fall_silent = true; }},
        Case{"observing aloud", [](Sound& s) { s.in.observing = true; }},
        Case{"observing with an order",
            [](Sound& s) {
                s.in.observing = s.verdict.mute_battery = s.verdict.mute_inverter = true;
                s.verdict.contactors.order = ContactorOrder::close;
            }},
    };
    for (const Case& c : cases) {
        CAPTURE(c.what);
        Sound s;
        c.spoil(s);
        REQUIRE_FALSE(s.broken().empty());
    }
    Sound nothing;
    nothing.verdict.charge = nothing.verdict.discharge = GrantWriter::nothing(Cause::link);
    nothing.in.faults = {.worst = FaultClass::emergency, .blocked = Direction::both};
    nothing.in.voltage_known = nothing.verdict.battery_link = false;
    nothing.in.stopping = true;
    REQUIRE(nothing.broken().empty());
}

TEST_CASE("a judge that contradicts itself gives a last verdict: nothing granted, open, EMERGENCY")
{
    // SAFE-219
    House house;
    house.up();
    REQUIRE(house.charge() == 10_kW);
    house.now -= 1s;
    const std::uint64_t number = house.verdict().sequence;
    house.evaluate();
    const auto harmless = [&] {
        const Verdict& v = house.verdict();
        REQUIRE(v.broken == "time went back");
        REQUIRE(v.charge.is_zero());
        REQUIRE(v.discharge.is_zero());
        REQUIRE(v.state == GatewayState::emergency);
        REQUIRE(v.worst == FaultClass::emergency);
        REQUIRE(v.contactors.order == ContactorOrder::open);
        REQUIRE_FALSE(v.contactors.power_allowed);
        REQUIRE(v.contactors.coils == Coils{});
        REQUIRE_FALSE(v.ready);
    };
    harmless();
    REQUIRE(house.verdict().sequence == number + 1);
    house.run(60s);  // nothing heals it, and its frames are not too old to be sent
    harmless();
    REQUIRE(house.verdict().at == house.now);
    REQUIRE(house.verdict().sequence > number + 100);
    bool told = false;
    house.judge().events_since(
        0, [&](const Event& e) { told |= e.text.view() == "the judge contradicts itself: time went back"; });
    REQUIRE(told);
}

TEST_CASE("a judge that only observes commands nothing, whatever it finds of itself")
{
    // SAFE-219, SAFE-244
    House house;
    house.safety.observe = true;
    house.run(20s);
    house.now -= 1s;
    house.evaluate();
    REQUIRE_FALSE(house.verdict().broken.empty());
    REQUIRE(house.verdict().contactors.order == ContactorOrder::keep);
    REQUIRE(house.verdict().mute_battery);
    REQUIRE(house.verdict().mute_inverter);
}

TEST_CASE("what is just allowed is not broken: the same time again, the ceilings themselves, a block of the other direction")
{
    // SAFE-219
    const auto sound = [](void (*change)(Sound&)) {
        Sound s;
        change(s);
        return s.broken().empty();
    };
    CHECK(sound([](Sound& s) { s.in.last = s.verdict.at; }));
    CHECK(sound([](Sound& s) {
        s.verdict.charge = GrantWriter::nothing(Cause::fault);
        s.in.faults = {.worst = FaultClass::block, .blocked = Direction::charge};
    }));
    CHECK(sound([](Sound& s) {
        s.verdict.discharge = GrantWriter::nothing(Cause::fault);
        s.in.faults = {.worst = FaultClass::block, .blocked = Direction::discharge};
    }));
    CHECK(sound([](Sound& s) {
        s.verdict.worst = FaultClass::info;
        s.verdict.faults.push_back({});
    }));
    CHECK(sound([](Sound& s) {
        s.in.max_charge = -1_W;
        s.verdict.charge = GrantWriter::nothing(Cause::config);
    }));
    CHECK(sound([](Sound& s) {
        s.in.max_discharge = -1_W;
        s.verdict.discharge = GrantWriter::nothing(Cause::config);
    }));
    CHECK(sound([](Sound& s) { s.in.observing = s.verdict.mute_battery = s.verdict.mute_inverter = true; }));
    CHECK(sound([](Sound& s) {
        s.verdict.fall_silent = true;
        s.verdict.charge = s.verdict.discharge = GrantWriter::nothing(Cause::link);
    }));
    // One of both is enough to break it.
    CHECK_FALSE(sound([](Sound& s) { s.in.observing = s.verdict.mute_battery = true; }));
    CHECK_FALSE(sound([](Sound& s) { s.in.observing = s.verdict.mute_inverter = true; }));
    for (const bool charge : {false, true}) {
        Sound s;
        s.verdict.fall_silent = true;
        (charge ? s.verdict.charge : s.verdict.discharge) = GrantWriter::nothing(Cause::link);
        CHECK(s.broken() == "silence with a grant");
        Sound one;
        one.in.voltage_known = false;
        (charge ? one.verdict.charge : one.verdict.discharge) = GrantWriter::nothing(Cause::link);
        CHECK_FALSE(one.broken().empty());
    }
    Sound latched;
    latched.verdict.worst = FaultClass::warn;
    latched.verdict.faults.push_back({});
    ActiveFault f;
    f.latched = true;
    latched.verdict.faults.push_back(f);
    CHECK_FALSE(latched.broken().empty());
}

TEST_CASE("what is made harmless asks for nothing and opens, unless it was told to be mute")
{
    // SAFE-219
    for (const bool mute : {false, true}) {
        Verdict v = Sound{}.verdict;
        v.ready = v.may_fall_silent = v.fall_silent = true;
        v.ask_against = v.override_soc = Direction::both;
        v.contactors.coils = {.negative = true, .positive = true};
        v.contactors.order = ContactorOrder::close;
        v.mute_battery = mute;
        make_harmless(v, "made up");
        CHECK(v.charge.is_zero());
        CHECK(v.discharge.is_zero());
        CHECK(v.charge.by() == Cause::fault);
        CHECK(v.state == GatewayState::emergency);
        CHECK(v.worst == FaultClass::emergency);
        CHECK_FALSE((v.ready || v.may_fall_silent || v.fall_silent));
        CHECK(v.ask_against == Direction::none);
        CHECK(v.override_soc == Direction::none);
        CHECK_FALSE(v.contactors.power_allowed);
        CHECK(v.contactors.coils == Coils{});
        CHECK(v.contactors.order == (mute ? ContactorOrder::close : ContactorOrder::open));
        CHECK(v.broken == "made up");
    }
}
