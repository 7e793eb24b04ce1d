// What one pack's state means to the packs beside it.
#include "safety/parallel.hpp"

#include <doctest/doctest.h>

#include <array>
#include <optional>

using namespace batgw;

namespace {

constexpr Instant t0{Duration{9'000'000'123}};

struct Side {
    Verdict verdict;
    BatteryState state;
    Side(Connection c, Voltage voltage)
    {
        verdict.contactors.power_allowed = c == Connection::joined;
        verdict.contactors.proven_open = c == Connection::apart;
        state.voltage.set_max_age(60s);
        state.current.set_max_age(60s);
        state.voltage.set(voltage, t0);
        state.current.set(Current{}, t0);
    }
    ParallelPack pack() const { return {.verdict = &verdict, .state = &state, .max_charge = 10_kW, .max_discharge = 8_kW}; }
};

}  // namespace

TEST_CASE("parallel: a pack that is closing is neither joined nor apart, in every step of it")
{
    // SAFE-281
    Verdict v;
    CHECK(connection(v) == Connection::unclear);
    v.contactors.proven_open = true;
    CHECK(connection(v) == Connection::apart);
    for (const ContactorState s : {ContactorState::neg_closed, ContactorState::precharge, ContactorState::pos_closed}) {
        v.contactors.state = s;
        CHECK(connection(v) == Connection::unclear);
    }
    for (const ContactorState s : {ContactorState::open, ContactorState::cooldown, ContactorState::lockout}) {
        v.contactors.state = s;
        CHECK(connection(v) == Connection::apart);
    }
    v.contactors.order = ContactorOrder::close;
    CHECK(connection(v) == Connection::unclear);
    v.contactors.order = ContactorOrder::open;
    CHECK(connection(v) == Connection::apart);
    v.contactors.power_allowed = true;
    CHECK(connection(v) == Connection::joined);
}

TEST_CASE("parallel: voltages are compared at rest only, and rest is a current that is known and at most a twentieth")
{
    // SAFE-281
    const auto may_join = [](std::optional<Current> carried, Voltage joined = 400_V, Voltage waiting = 400_V) {
        Side first{Connection::joined, joined}, second{Connection::apart, waiting};
        if (carried)
            first.state.current.set(*carried, t0);
        else
            first.state.current.forget();
        const std::array packs{first.pack(), second.pack()};
        ParallelWatch watch;
        const SafetyConfig::Parallel rule;
        watch.look(packs, rule, t0);
        CHECK_FALSE(watch.beside(1, packs).may_join);
        watch.look(packs, rule, t0 + 10s - 1us);
        CHECK_FALSE(watch.beside(1, packs).may_join);
        watch.look(packs, rule, t0 + 10s);
        return watch.beside(1, packs).may_join;
    };
    // The higher ceiling is 10 kW: 25 A at 400 V, of which a twentieth is 1.25 A.
    CHECK(may_join(Current::from_milli(1250)));
    CHECK(may_join(Current::from_milli(-1250)));
    CHECK_FALSE(may_join(Current::from_milli(1251)));
    CHECK_FALSE(may_join(Current::from_milli(-1251)));
    CHECK_FALSE(may_join(std::nullopt));
    CHECK_FALSE(may_join(0_A, 0_V, 0_V));  // no voltage, no rated current
    CHECK_FALSE(may_join(0_A, 400_V, 402_V));
    // 250 A at 40 V.
    CHECK(may_join(12'500_mA, 40_V, 40_V));
    CHECK_FALSE(may_join(12'501_mA, 40_V, 40_V));
}

TEST_CASE("parallel: joined packs that differ are told of after three seconds and blocked after ten, and each time anew")
{
    // SAFE-281
    Side first{Connection::joined, 400_V}, second{Connection::joined, 402_V};
    const std::array packs{first.pack(), second.pack()};
    ParallelWatch watch;
    const auto told = [&](Duration after) {
        watch.look(packs, {}, t0 + after);
        CHECK(watch.beside(0, packs).mismatch == FaultClass::none);
        return watch.beside(1, packs).mismatch;
    };
    CHECK(told(0s) == FaultClass::none);
    CHECK(told(3s - 1us) == FaultClass::none);
    CHECK(told(3s) == FaultClass::warn);
    CHECK(told(10s - 1us) == FaultClass::warn);
    CHECK(told(10s) == FaultClass::block);
    second.state.voltage.set(400_V, t0);
    CHECK(told(11s) == FaultClass::none);
    second.state.voltage.set(402_V, t0);
    CHECK(told(12s) == FaultClass::none);
    CHECK(told(15s) == FaultClass::warn);
    second.state.voltage.forget();  // there is nothing to compare with
    CHECK(told(16s) == FaultClass::none);
    first.state.voltage.forget();
    second.state.voltage.set(402_V, t0);
    CHECK(told(30s) == FaultClass::none);
}

TEST_CASE("parallel: what is told of a pack is its greatest difference, and what would have been allowed there")
{
    // SAFE-281
    const Side low{Connection::joined, 300_V}, middle{Connection::joined, 302_V}, high{Connection::joined, 310_V};
    const std::array packs{low.pack(), middle.pack(), high.pack()};
    ParallelWatch watch;
    watch.look(packs, {}, t0);
    CHECK(watch.beside(2, packs).difference == 10_V);
    CHECK(watch.beside(2, packs).allowed == 1200_mV);  // 0.4 % of 300 V
}

TEST_CASE("parallel: while any other pack is neither joined nor apart none may join, whichever of three it is")
{
    // SAFE-281
    for (std::size_t doubtful = 0; doubtful < 3; ++doubtful) {
        std::array sides{Side{Connection::apart, 400_V}, Side{Connection::apart, 400_V}, Side{Connection::apart, 400_V}};
        const std::array packs{sides[0].pack(), sides[1].pack(), sides[2].pack()};
        const ParallelWatch watch;
        for (std::size_t one = 0; one < 3; ++one) CHECK(watch.beside(one, packs).may_join);
        sides[doubtful].verdict.contactors.proven_open = false;
        for (std::size_t one = 0; one < 3; ++one) CHECK(watch.beside(one, packs).may_join == (one == doubtful));
    }
}
