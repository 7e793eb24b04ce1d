// What is tried, one after the other, on an inverter that goes on at a limit of zero.
#include "tests/safety/house.hpp"

#include <doctest/doctest.h>

using namespace batgw;
using batgw::test::House;

namespace {

constexpr Current goes_on = Current::from_milli(6000);

// Discharging was stopped, and the inverter has had its time to follow. `sign`: the other way round.
struct Stopped : House {
    explicit Stopped(SafetyConfig::InverterLink methods, int sign_ = -1) : sign{sign_}
    {
        methods.lost = safety.inverter_link.lost;
        safety.inverter_link = methods;
        safety.over_limit.trip = 120s;  // not what is looked at here
        also = [this] {
            if (made && verdict().fall_silent) inverter.phase = InverterPhase::silent;
        };
        up();
        (sign > 0 ? inputs.operator_.charge : inputs.operator_.discharge) = false;
        run(10s);
    }
    void ignore() { current = goes_on * sign; }
    int sign;
};

SafetyConfig::InverterLink methods(bool bits, bool soc, bool silence, bool contactors)
{
    SafetyConfig::InverterLink link;
    link.request_bits = bits;
    link.soc_override = soc;
    link.silence = silence;
    link.contactors = contactors;
    return link;
}

}  // namespace

TEST_CASE("each method gets its five seconds, in order and on top of those before, in either direction")
{
    // SAFE-113
    for (const int sign : {-1, 1}) {
        Stopped house{methods(true, true, true, true), sign};
        const Direction direction = sign < 0 ? Direction::discharge : Direction::charge;
        house.ignore();
        house.step();
        house.run(4900ms);
        REQUIRE(house.verdict().ask_against == Direction::none);
        house.step();
        REQUIRE(house.verdict().ask_against == direction);
        REQUIRE(house.verdict().override_soc == Direction::none);
        house.run(4900ms);
        REQUIRE(house.verdict().override_soc == Direction::none);
        house.step();
        REQUIRE(house.verdict().override_soc == direction);
        // The direction that may flow still does, until it is to be silence.
        const auto other = [&] { return sign < 0 ? house.charge() : house.discharge(); };
        house.run(4900ms);
        REQUIRE(other() == 10_kW);
        house.step();
        REQUIRE(other() == 0_W);
        REQUIRE((sign < 0 ? house.verdict().charge : house.verdict().discharge).by() == Cause::inverter);
        REQUIRE_FALSE(house.verdict().fall_silent);
        REQUIRE(house.time_until([&] { return house.verdict().fall_silent; }, 10s) == 3100ms);  // from the next verdict on
        REQUIRE_FALSE(house.has(FaultId::inverter_ignores_limits));
        REQUIRE(house.time_until([&] { return house.has(FaultId::inverter_ignores_limits); }, 10s) == 1900ms);
        REQUIRE(house.has(FaultId::inverter_ignores_limits, FaultClass::trip));
        REQUIRE(house.fault(FaultId::inverter_ignores_limits)->detail == (sign < 0 ? "D" : "C"));
        REQUIRE(house.verdict().ask_against == direction);
        REQUIRE(house.verdict().override_soc == direction);
    }
}

TEST_CASE("what is not chosen is not tried, and takes no time from what is")
{
    // SAFE-113
    Stopped nothing{methods(false, false, false, false)};
    nothing.ignore();
    nothing.run(60s);
    REQUIRE(nothing.verdict().ask_against == Direction::none);
    REQUIRE(nothing.verdict().override_soc == Direction::none);
    REQUIRE_FALSE(nothing.verdict().fall_silent);
    REQUIRE(nothing.charge() == 10_kW);
    REQUIRE_FALSE(nothing.has(FaultId::inverter_ignores_limits));

    Stopped part{methods(false, false, false, true)};
    part.ignore();
    part.step();
    REQUIRE(part.time_until([&] { return part.has(FaultId::inverter_ignores_limits); }, 20s) == 5s);
    REQUIRE_FALSE(part.verdict().fall_silent);

    Stopped silence{methods(false, false, true, false)};
    silence.ignore();
    silence.step();
    REQUIRE(silence.time_until([&] { return silence.verdict().fall_silent; }, 20s) == 8100ms);
    silence.run(30s);
    REQUIRE_FALSE(silence.has(FaultId::inverter_ignores_limits));
    REQUIRE(silence.verdict().fall_silent);  // as long as it goes on
}

TEST_CASE("an inverter that stops for it is left at that; with a grant everything begins anew")
{
    // SAFE-113
    Stopped house{methods(true, true, false, true)};
    house.ignore();
    house.run(6s);
    house.current = 0_A;
    house.run(120s);
    REQUIRE(house.verdict().ask_against == Direction::discharge);  // or it would begin again
    REQUIRE(house.verdict().override_soc == Direction::none);
    house.ignore();
    house.run(4s);
    house.current = 0_A;  // short ones do not add up
    house.run(1s);
    house.ignore();
    house.run(4s);
    REQUIRE(house.verdict().override_soc == Direction::none);
    house.current = 0_A;
    house.inputs.operator_.discharge = true;
    house.run(10s);
    REQUIRE(house.verdict().ask_against == Direction::none);
}

TEST_CASE("silence ends when no current has flowed for the hold, and begins with zeros again when it must")
{
    // SAFE-113, SAFE-112
    Stopped house{methods(false, false, true, false)};
    house.ignore();
    house.run(10s);
    REQUIRE(house.verdict().fall_silent);
    house.current = 0_A;
    house.step();
    house.run(29900ms);
    REQUIRE(house.verdict().fall_silent);
    house.step();
    REQUIRE_FALSE(house.verdict().fall_silent);
    house.run(60s);
    REQUIRE(house.charge() == 10_kW);  // the direction nobody had stopped
    REQUIRE(house.discharge() == 0_W);

    house.ignore();
    house.run(7s);
    REQUIRE_FALSE(house.verdict().fall_silent);
    house.run(2s);
    REQUIRE(house.verdict().fall_silent);
    int began = 0, ended = 0;
    house.judge().events_since(0, [&](const Event& e) {
        began += e.type == EventType::link && e.to.view() == "silence" ? 1 : 0;
        ended += e.type == EventType::link && e.from.view() == "silence" ? 1 : 0;
    });
    REQUIRE(began == 2);
    REQUIRE(ended == 1);
    // Of a pack that tells no current any more nobody knows that it has stopped.
    house.silent = {SignalId::current};
    house.run(120s);
    REQUIRE(house.verdict().fall_silent);
}

TEST_CASE("silence does not hide an inverter that goes on from the TRIP that is due")
{
    // SAFE-066, SAFE-113
    Stopped house{methods(false, false, true, false)};
    SafetyConfig safety = house.safety;
    safety.over_limit.trip = 30s;
    house.judge().reconfigure(safety, house.battery, house.now);
    house.ignore();
    house.step();
    REQUIRE(house.time_until([&] { return house.has(FaultId::inverter_ignores_limits); }, 60s) == 30s);
    REQUIRE(house.verdict().fall_silent);
}
