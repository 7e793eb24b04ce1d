#include "safety/contactors.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <initializer_list>
#include <optional>
#include <random>
#include <utility>

using namespace batgw;

namespace {

constexpr Instant t0{Duration{12'345'678'901}};
constexpr Duration tick = 100ms;
using Ask = ContactorOrder;
using State = ContactorState;
using Phase = ContactorPhase;
using Feedback = ContactorFeedback;

// As the driver of a pack that does its own precharge tightens it: two attempts, a minute apart.
SafetyConfig::Contactors pack_config()
{
    SafetyConfig::Contactors c;
    c.mode = ContactorMode::bms_command;
    c.attempts = 2;
    c.cooldown = 60s;
    c.open_min_wait = 5s;
    c.open_current = Current::from_milli(2500);
    return c;
}

// A pack and its driver, as far as contactors go, and a machine that commands them. Made up.
struct Pack {
    explicit Pack(SafetyConfig::Contactors c = pack_config()) : config{c}, machine{c, t0}
    {
        in.gives_feedback = true;
        in.phase = Phase::open;
        in.feedback = Feedback::open;
        in.current = 0_A;
        in.bus_up = in.data_fresh = in.identity_known = in.fault_free = in.permitted = in.inverter_present = true;
    }
    SafetyConfig::Contactors config;
    ContactorMachine machine;
    ContactorInput in;
    ContactorOutput out;
    Instant now = t0;
    bool obeys = true;  // false: the test moves phase and feedback itself
    bool closes = true, opens = true;
    Duration closing_takes = 1200ms, opening_takes = 1600ms, settling_takes = 2500ms;
    Instant moved{};
    unsigned orders_to_close = 0;

    void act()
    {
        const Phase before = in.phase;
        if (out.verdict.order == Ask::close && in.phase == Phase::open) {
            in.phase = Phase::closing;
            ++orders_to_close;
        } else if (in.phase == Phase::closing && out.verdict.order != Ask::close)
            in.phase = Phase::open;
        else if (in.phase == Phase::closing && closes && now - moved >= closing_takes) {
            in.phase = Phase::closed;
            in.feedback = Feedback::closed;
            in.opened_by_itself = false;
        } else if (in.phase == Phase::closing && now - moved >= 8s) {
            in.phase = Phase::open;
            ++in.close_failures;
        } else if (out.verdict.order == Ask::open && in.phase == Phase::closed)
            in.phase = Phase::opening;
        else if (in.phase == Phase::opening && opens && now - moved >= opening_takes) {
            in.phase = Phase::settling;
            in.feedback = Feedback::open;
            in.closed_by_itself = in.not_opening = false;
        } else if (in.phase == Phase::opening && now - moved >= opening_takes + 6s)
            in.not_opening = true;
        else if (in.phase == Phase::settling && now - moved >= settling_takes)
            in.phase = Phase::open;
        if (in.phase != before) moved = now;
    }
    const ContactorOutput& step(Duration d = tick)
    {
        now += d;
        if (obeys) act();
        in.current_at = now;
        out = machine.evaluate(in, now);
        return out;
    }
    const ContactorOutput& run(Duration d)
    {
        for (const Instant end = now + d; now < end;) step();
        return out;
    }
    // How long until the state is there; for_ever when not within `most`.
    Duration until(State state, Duration most = 300s)
    {
        const Instant start = now;
        while (out.verdict.state != state) {
            if (now - start >= most) return for_ever;
            step();
        }
        return now - start;
    }
    Duration until(Ask order, Duration most = 300s)
    {
        const Instant start = now;
        while (out.verdict.order != order) {
            if (now - start >= most) return for_ever;
            step();
        }
        return now - start;
    }
    void close()
    {
        REQUIRE(until(State::closed, 60s) != for_ever);
        REQUIRE(out.verdict.power_allowed);
    }
    std::optional<FaultClass> fault(FaultId id) const
    {
        for (const ActiveFault& f : out.faults)
            if (f.id == id) return f.level;
        return std::nullopt;
    }
};

}  // namespace

TEST_CASE("contactors: close after 10 s of boot inhibit with 5 s of all guards, both side by side")
{
    // SAFE-141
    Pack p;
    p.in.data_fresh = false;
    p.run(6s);
    CHECK(p.out.verdict.state == State::open);
    CHECK(p.out.waiting == Waiting::battery_data);
    p.in.data_fresh = true;
    p.step();
    CHECK(p.out.waiting == Waiting::boot_inhibit);
    CHECK(p.out.close_wanted);
    CHECK(p.until(State::precharge) != for_ever);
    CHECK(p.now - t0 >= 11s);  // guards met at 6.1 s, five seconds later
    CHECK(p.now - t0 < 11300ms);
    CHECK(p.out.verdict.order == Ask::close);
    CHECK(p.out.waiting == Waiting::nothing);
    CHECK_FALSE(p.out.verdict.power_allowed);
    CHECK(p.until(State::closed) != for_ever);
    CHECK(p.out.verdict.order == Ask::keep);
    CHECK(p.out.verdict.power_allowed);

    Pack early;
    CHECK(early.until(State::precharge) != for_ever);
    CHECK(early.now - t0 == 10s);  // guards held all the time: only the inhibit counts
    Pack late;
    late.in.permitted = false;
    late.run(20s);
    late.in.permitted = true;
    late.step();
    CHECK(late.out.waiting == Waiting::valid_time);
    CHECK(late.until(State::precharge) == 5s);
}

TEST_CASE("contactors: each guard alone keeps them from closing, names itself, and ends a closing under way")
{
    // SAFE-141
    using Spoil = void (*)(ContactorInput&);
    const std::initializer_list<std::pair<Spoil, Waiting>> guards{
        {[](ContactorInput& in) { in.bus_up = false; }, Waiting::bus},
        {[](ContactorInput& in) { in.phase = Phase::listening; }, Waiting::battery_listen},
        {[](ContactorInput& in) { in.phase = Phase::none; }, Waiting::battery_listen},
        {[](ContactorInput& in) { in.data_fresh = false; }, Waiting::battery_data},
        {[](ContactorInput& in) { in.feedback.reset(); }, Waiting::battery_data},
        {[](ContactorInput& in) { in.identity_known = false; }, Waiting::battery_identity},
        {[](ContactorInput& in) { in.causes = OpenCause::operator_; }, Waiting::operator_},
        {[](ContactorInput& in) { in.stop = true; }, Waiting::operator_},
        {[](ContactorInput& in) { in.causes = OpenCause::inverter_link; }, Waiting::inverter},
        {[](ContactorInput& in) { in.causes = OpenCause::black_start; }, Waiting::inverter},
        {[](ContactorInput& in) { in.causes = OpenCause::battery_link; }, Waiting::battery_data},
        {[](ContactorInput& in) { in.causes = OpenCause::trip; }, Waiting::battery_fault},
        {[](ContactorInput& in) { in.causes = OpenCause::fault; }, Waiting::battery_fault},
        {[](ContactorInput& in) { in.causes = OpenCause::foreign_sender; }, Waiting::battery_fault},
        {[](ContactorInput& in) { in.fault_free = false; }, Waiting::battery_fault},
        {[](ContactorInput& in) { in.permitted = false; }, Waiting::permission},
        {[](ContactorInput& in) { in.inverter_present = false; }, Waiting::inverter},
    };
    for (const auto& [spoil, expected] : guards) {
        const Waiting waiting = expected;  // a structured binding cannot be captured by clang 14
        CAPTURE(to_string(waiting));
        Pack open;
        open.run(9s);
        open.obeys = false;
        spoil(open.in);
        open.run(30s);
        CHECK(open.out.verdict.state != State::precharge);
        CHECK(open.out.waiting == waiting);
        CHECK(open.out.verdict.order == Ask::keep);
        CHECK(open.orders_to_close == 0);

        Pack closing;
        closing.closes = false;
        REQUIRE(closing.until(State::precharge) != for_ever);
        closing.run(2s);
        REQUIRE(closing.in.phase == Phase::closing);
        closing.obeys = false;
        spoil(closing.in);
        closing.step();
        CHECK(closing.out.verdict.state == State::open_verify);
        // A driver that says it listens is given no order.
        const bool heard = closing.in.phase == Phase::closing;
        CHECK(closing.out.verdict.order == (heard ? Ask::open : Ask::keep));
        CHECK_FALSE(closing.out.verdict.power_allowed);
    }
}

TEST_CASE("contactors: current, or not knowing it, keeps them from closing; precharge current does not end closing")
{
    // SAFE-141
    Pack p;
    p.in.current = Current::from_milli(2001);
    p.run(20s);
    CHECK(p.out.waiting == Waiting::current);
    p.in.current = Current::from_milli(-2001);
    CHECK(p.run(10s).waiting == Waiting::current);
    p.in.current.reset();
    CHECK(p.run(10s).waiting == Waiting::current);
    p.in.current = Current::from_milli(2000);
    CHECK(p.until(State::precharge) < 6s);
    p.in.current = 8_A;
    p.in.feedback = Feedback::precharging;
    p.step();
    CHECK(p.out.verdict.state == State::precharge);
    // A pack that precharges unasked is nothing to close.
    Pack other;
    other.in.feedback = Feedback::precharging;
    CHECK(other.run(20s).verdict.state == State::init);
    other.in.feedback = Feedback::open;
    other.step();
    other.in.feedback = Feedback::precharging;
    CHECK(other.run(20s).waiting == Waiting::battery_data);
    CHECK(other.out.verdict.order == Ask::keep);
}

TEST_CASE("contactors: a guard that fails for a moment starts the valid time anew")
{
    // SAFE-141
    Pack p;
    p.run(9s);
    p.in.fault_free = false;
    p.step();
    p.in.fault_free = true;
    CHECK(p.until(State::precharge) == 5100ms);
}

TEST_CASE("contactors: one request is one attempt, and by hand none is made without it")
{
    // SAFE-142
    SafetyConfig::Contactors c = pack_config();
    c.close_automatically = false;
    Pack p{c};
    p.closes = false;
    p.run(30s);
    CHECK(p.out.verdict.state == State::open);
    CHECK(p.out.waiting == Waiting::operator_);
    CHECK_FALSE(p.out.close_wanted);
    CHECK(p.machine.request_close(p.now));
    CHECK_FALSE(p.machine.request_close(p.now));  // the second of two
    CHECK(p.machine.request_pending());
    p.step();
    CHECK(p.out.verdict.state == State::precharge);
    CHECK_FALSE(p.machine.request_close(p.now));
    CHECK(p.until(State::cooldown) != for_ever);
    // Nor in the cool-down: requests do not queue.
    CHECK_FALSE(p.machine.request_close(p.now));
    p.run(600s);
    CHECK(p.out.verdict.state == State::open);
    CHECK(p.orders_to_close == 1);
    CHECK(p.machine.request_close(p.now));
    p.closes = true;
    p.close();
    CHECK_FALSE(p.machine.request_close(p.now));
}

TEST_CASE("contactors: a request is dropped when a guard fails for more than 60 s")
{
    // SAFE-142
    for (const Duration failing : {Duration{60s}, Duration{60'200ms}}) {
        SafetyConfig::Contactors c = pack_config();
        c.close_automatically = false;
        Pack p{c};
        p.run(20s);
        p.in.inverter_present = false;
        CHECK(p.machine.request_close(p.now));
        p.run(failing);
        p.in.inverter_present = true;
        p.run(6s);
        CHECK((p.orders_to_close == 1) == (failing == 60s));
        CHECK_FALSE(p.machine.request_pending());
    }
}

TEST_CASE("contactors: a request that follows one that was dropped has its own 60 s")
{
    // SAFE-142
    SafetyConfig::Contactors c = pack_config();
    c.close_automatically = false;
    Pack p{c};
    p.in.inverter_present = false;
    p.run(1s);
    REQUIRE(p.machine.request_close(p.now));
    while (p.machine.request_pending()) p.step();
    REQUIRE(p.machine.request_close(p.now));
    p.step();
    p.run(60s);  // and no more than 60 s
    CHECK(p.machine.request_pending());
    p.step();
    CHECK_FALSE(p.machine.request_pending());
}

TEST_CASE("contactors: found closed, with a reason to open and in a hurry, they are ordered open with the first look")
{
    // SAFE-161, SAFE-217
    Pack p;
    p.in.phase = Phase::closed;
    p.in.feedback = Feedback::closed;
    p.in.stop = p.in.hurry = true;
    CHECK(p.step().verdict.order == Ask::open);
}

TEST_CASE("contactors: a failed closing cools down, the second within ten minutes locks out with PRECHARGE_FAILED")
{
    // SAFE-146
    Pack p;
    p.closes = false;
    REQUIRE(p.until(State::precharge) != for_ever);
    const Duration failing = p.until(State::cooldown);
    CHECK(failing == 8s);
    CHECK(p.out.verdict.attempts == 1);
    CHECK(p.out.waiting == Waiting::cooldown);
    CHECK(p.fault(FaultId::close_failed) == FaultClass::block);
    const Instant failed = p.now;
    REQUIRE(p.until(State::precharge) != for_ever);
    CHECK(p.now - failed >= 60s);
    CHECK_FALSE(p.fault(FaultId::close_failed));
    REQUIRE(p.until(State::lockout) != for_ever);
    CHECK(p.out.verdict.attempts == 2);
    CHECK(p.fault(FaultId::precharge_failed) == FaultClass::trip);
    CHECK(p.out.waiting == Waiting::lockout);
    p.closes = true;
    p.run(100'000s / 50);
    CHECK(p.out.verdict.state == State::lockout);
    CHECK(p.fault(FaultId::precharge_failed) == FaultClass::trip);
    CHECK(p.orders_to_close == 2);
    CHECK_FALSE(p.machine.request_close(p.now));
}

TEST_CASE("contactors: fail, fail, succeed is no lock-out with three attempts, fail three times is")
{
    // SAFE-146
    SafetyConfig::Contactors c = pack_config();
    c.attempts = 3;
    c.cooldown = 30s;
    for (const bool third : {true, false}) {
        Pack p{c};
        p.closes = false;
        for (int i = 0; i < 2; ++i) {
            REQUIRE(p.until(State::precharge) != for_ever);
            REQUIRE(p.until(State::cooldown) != for_ever);
        }
        p.closes = third;
        REQUIRE(p.until(State::precharge) != for_ever);
        if (third) {
            p.close();
            CHECK_FALSE(p.fault(FaultId::precharge_failed));
        } else
            CHECK(p.until(State::lockout, 20s) != for_ever);
    }
}

TEST_CASE("contactors: failures more than the window apart do not add up")
{
    // SAFE-146
    SafetyConfig::Contactors c = pack_config();
    c.close_automatically = false;
    Pack p{c};
    p.closes = false;
    p.run(20s);
    for (int i = 0; i < 4; ++i) {
        REQUIRE(p.machine.request_close(p.now));
        REQUIRE(p.until(State::cooldown) != for_ever);
        p.run(601s);
        CHECK(p.out.verdict.state == State::open);
    }
}

TEST_CASE("contactors: the machine itself gives up a closing that takes longer than the total, and so does a driver before that")
{
    // SAFE-146
    Pack slow;
    slow.closing_takes = 20s;
    REQUIRE(slow.until(State::precharge) != for_ever);
    slow.obeys = false;
    slow.in.phase = Phase::closing;
    CHECK(slow.until(State::cooldown) == 8s);
    CHECK(slow.out.verdict.order == Ask::open);  // the driver still tries
    slow.in.phase = Phase::open;
    CHECK(slow.step().verdict.order == Ask::keep);

    Pack quick;
    REQUIRE(quick.until(State::precharge) != for_ever);
    quick.obeys = false;
    quick.in.phase = Phase::open;
    quick.in.close_failures = 1;
    CHECK(quick.step().verdict.state == State::cooldown);
    CHECK(quick.out.verdict.attempts == 1);
    // Failures it gave up before that closing are not counted again.
    CHECK(quick.run(59s).verdict.attempts == 1);
}

TEST_CASE("contactors: a pack that closes after all, in cool-down or locked out, is opened again")
{
    // SAFE-146, SAFE-161
    for (const bool locked : {false, true}) {
        SafetyConfig::Contactors c = pack_config();
        c.attempts = locked ? 1 : 2;
        Pack p{c};
        p.closes = false;
        REQUIRE(p.until(locked ? State::lockout : State::cooldown) != for_ever);
        p.run(1s);
        p.in.phase = Phase::closed;
        p.in.feedback = Feedback::closed;
        p.in.closed_by_itself = true;
        CHECK(p.step().verdict.state == State::opening);
        CHECK(p.fault(FaultId::closed_by_itself) == FaultClass::block);
        CHECK_FALSE(p.out.verdict.power_allowed);
        CHECK(p.until(Ask::open) >= 5s);
        CHECK(p.until(locked ? State::lockout : State::cooldown, 10s) != for_ever);
        CHECK_FALSE(p.fault(FaultId::closed_by_itself));
    }
}

TEST_CASE("contactors: opening waits until the current is low, with samples taken after the least wait")
{
    // SAFE-153
    Pack p;
    p.close();
    p.in.current = 10_A;
    p.in.causes = OpenCause::operator_;
    p.step();
    CHECK(p.out.verdict.state == State::opening);
    CHECK(p.out.opening);
    CHECK_FALSE(p.out.verdict.power_allowed);
    CHECK(p.out.verdict.order == Ask::keep);  // held closed while current flows
    p.run(2900ms);
    p.in.current = Current::from_milli(-2500);  // the profile's bound is low
    p.run(2100ms);
    CHECK(p.out.verdict.order == Ask::keep);
    CHECK(p.until(Ask::open) == 300ms);
    CHECK(p.out.verdict.state == State::open_verify);
    CHECK(p.out.verdict.opened_under_load == 1);  // SAFE-154: above 2 A all the same
    CHECK(p.out.verdict.load == Current::from_milli(-2500));
    CHECK(p.until(State::open, 10s) != for_ever);
    CHECK(p.out.is_open);
    CHECK_FALSE(p.out.opening);
}

TEST_CASE("contactors: low current is 200 ms without a high sample, and a sample from before the wait says nothing")
{
    // SAFE-153
    SafetyConfig::Contactors c = pack_config();
    c.open_min_wait = 0s;
    Pack p{c};
    p.close();
    p.in.current = 0_A;
    p.in.causes = OpenCause::trip;
    // The same old sample again and again.
    p.step();
    const Instant began = p.now;
    for (int i = 0; i < 10; ++i) {
        p.now += tick;
        p.in.current_at = began - 1ms;
        p.out = p.machine.evaluate(p.in, p.now);
        REQUIRE(p.out.verdict.order == Ask::keep);
    }
    p.step();
    p.step();
    CHECK(p.out.verdict.order == Ask::keep);
    p.in.current = 3_A;
    p.step();
    p.in.current = 0_A;
    p.step();
    p.step();
    CHECK(p.out.verdict.order == Ask::keep);
    p.step();
    CHECK(p.out.verdict.order == Ask::open);
    CHECK(p.out.verdict.opened_under_load == 0);
}

TEST_CASE("contactors: a current that never falls, or is not known, is waited for 10 s and counted as load")
{
    // SAFE-153
    for (const bool known : {true, false}) {
        Pack p;
        p.close();
        p.in.causes = OpenCause::operator_;
        p.in.current = known ? std::optional{-30_A} : std::nullopt;
        p.step();
        CHECK(p.until(Ask::open) == 10s);
        CHECK(p.out.verdict.opened_under_load == 1);
    }
}

TEST_CASE("contactors: a known break current is respected, for 3 s, then the fuse had its chance")
{
    // SAFE-153
    SafetyConfig::Contactors c = pack_config();
    c.break_current = 50_A;
    const std::initializer_list<std::pair<std::optional<Current>, Duration>> cases{
        {50_A, 10s}, {-51_A, 13s}, {std::nullopt, 10s}};
    for (const auto& [current, wait] : cases) {
        Pack p{c};
        p.close();
        p.in.causes = OpenCause::fault;
        p.in.current = current;
        p.step();
        CHECK(p.until(Ask::open) == wait);
    }
    // It falls while the fuse is waited for.
    Pack p{c};
    p.close();
    p.in.causes = OpenCause::fault;
    p.in.current = 60_A;
    p.step();
    p.run(11s);
    CHECK(p.out.verdict.order == Ask::keep);
    p.in.current = 40_A;
    CHECK(p.step().verdict.order == Ask::open);
}

TEST_CASE("contactors: an opening that has begun goes through, whatever becomes of its cause")
{
    // SAFE-153
    Pack p;
    p.close();
    p.in.causes = OpenCause::inverter_link;
    p.step();
    p.in.causes = OpenCause::none;
    CHECK(p.until(Ask::open) >= 5s);
    CHECK(p.until(State::open) != for_ever);
}

TEST_CASE("contactors: a pack that does not open says so, and stays in OPEN_VERIFY until it does")
{
    // SAFE-153
    Pack p;
    p.close();
    p.opens = false;
    p.in.causes = OpenCause::operator_;
    p.run(30s);
    CHECK(p.out.verdict.state == State::open_verify);
    CHECK(p.out.verdict.order == Ask::open);
    CHECK(p.fault(FaultId::contactor_not_open) == FaultClass::block);
    CHECK_FALSE(p.out.is_open);
    p.opens = true;
    CHECK(p.until(State::open) != for_ever);
    CHECK_FALSE(p.fault(FaultId::contactor_not_open));
}

TEST_CASE("contactors: an emergency opens at once, unless the current is known to be more than can be broken")
{
    // SAFE-155
    const std::initializer_list<std::pair<std::optional<Current>, std::optional<Current>>> at_once{
        {std::nullopt, 200_A}, {std::nullopt, std::nullopt}, {100_A, -100_A}};
    for (const auto& [breaks, current] : at_once) {
        SafetyConfig::Contactors c = pack_config();
        c.break_current = breaks;
        Pack p{c};
        p.close();
        p.in.current = current;
        p.in.causes = OpenCause::emergency;
        p.step();
        CHECK(p.out.verdict.order == Ask::open);
        CHECK(p.out.verdict.state == State::emergency);
        CHECK(p.out.opening);
        CHECK(p.out.verdict.opened_under_load == 1);
        CHECK(p.until(State::lockout) != for_ever);
        p.in.causes = OpenCause::none;
        CHECK(p.run(3600s / 10).verdict.state == State::lockout);
        CHECK(p.out.waiting == Waiting::lockout);
        CHECK(p.out.verdict.opened_under_load == 1);
    }
    for (const std::optional<Current> current : {std::optional{101_A}, std::optional<Current>{}}) {
        SafetyConfig::Contactors c = pack_config();
        c.break_current = 100_A;
        Pack p{c};
        p.close();
        p.in.current = current;
        p.in.causes = OpenCause::emergency;
        p.step();
        CHECK(p.out.verdict.order == Ask::keep);
        CHECK(p.until(Ask::open) == 3s);
        Pack impatient{c};
        impatient.close();
        impatient.in.current = current;
        impatient.in.causes = OpenCause::emergency;
        impatient.in.stop = impatient.in.hurry = true;
        CHECK(impatient.step().verdict.order == Ask::open);
    }
}

TEST_CASE("contactors: an emergency ends a controlled opening's wait, and a lock-out stays one")
{
    // SAFE-155
    Pack p;
    p.close();
    p.in.current = 30_A;
    p.in.causes = OpenCause::trip;
    p.run(1s);
    CHECK(p.out.verdict.order == Ask::keep);
    p.in.causes = OpenCause::trip | OpenCause::emergency;
    CHECK(p.step().verdict.order == Ask::open);
    CHECK(p.until(State::lockout) != for_ever);
    // Closed again by whatever: once more.
    p.in.phase = Phase::closed;
    p.in.feedback = Feedback::closed;
    p.step();
    CHECK(p.out.verdict.state == State::emergency);
    CHECK(p.out.verdict.order == Ask::open);
    CHECK(p.until(State::lockout) != for_ever);
    // While closing there is nothing to wait for.
    Pack closing;
    closing.closes = false;
    REQUIRE(closing.until(State::precharge) != for_ever);
    closing.run(1s);
    closing.in.causes = OpenCause::emergency;
    CHECK(closing.step().verdict.order == Ask::open);
    CHECK(closing.out.verdict.opened_under_load == 0);
    CHECK(closing.until(State::lockout) != for_ever);
}

TEST_CASE("contactors: nothing is ordered of a pack that was never heard, not even in an emergency")
{
    // SAFE-161
    Pack p;
    p.obeys = false;
    p.in.phase = Phase::listening;
    p.in.feedback.reset();
    p.in.causes = OpenCause::emergency;
    CHECK(p.run(20s).verdict.order == Ask::keep);
    CHECK(p.out.verdict.state == State::emergency);
    // Then it turns out to be closed.
    p.in.phase = Phase::closed;
    p.in.feedback = Feedback::closed;
    p.in.current.reset();
    CHECK(p.step().verdict.order == Ask::open);
}

TEST_CASE("contactors: started against an open pack, listening comes before everything")
{
    // SAFE-161, SAFE-250
    Pack p;
    p.obeys = false;
    p.in.phase = Phase::listening;
    p.in.feedback.reset();
    p.run(2s);
    CHECK(p.out.verdict.state == State::init);
    CHECK(p.out.verdict.order == Ask::keep);
    CHECK(p.out.waiting == Waiting::battery_listen);
    p.in.feedback = Feedback::open;
    p.run(1s);
    CHECK(p.out.verdict.state == State::init);  // the driver listens still
    p.in.phase = Phase::open;
    CHECK(p.step().verdict.state == State::open);
    CHECK_FALSE(p.out.verdict.power_allowed);
}

TEST_CASE("contactors: a pack found closed is held closed, with power only once its driver holds it")
{
    // SAFE-161
    Pack p;
    p.obeys = false;
    p.in.phase = Phase::listening;
    p.in.feedback = Feedback::closed;
    p.in.fault_free = p.in.data_fresh = false;
    p.step();
    CHECK(p.out.verdict.state == State::closed);
    CHECK(p.out.verdict.order == Ask::keep);
    CHECK_FALSE(p.out.verdict.power_allowed);
    p.in.phase = Phase::closed;
    p.run(100s);
    CHECK(p.out.verdict.state == State::closed);
    CHECK(p.out.verdict.order == Ask::keep);
    CHECK(p.out.verdict.power_allowed);
    // Where there is a reason to open, it is opened as any other.
    Pack q;
    q.in.phase = Phase::closed;
    q.in.feedback = Feedback::closed;
    q.in.causes = OpenCause::operator_;
    CHECK(q.step().verdict.state == State::opening);
    CHECK(q.until(Ask::open) >= 5s);
}

TEST_CASE("contactors: started against a silent pack the state is unknown, and never shown as open")
{
    // SAFE-161
    Pack p;
    p.obeys = false;
    p.in.silent_start = true;
    p.in.feedback.reset();
    p.in.data_fresh = false;
    for (int i = 0; i < 600; ++i) {
        p.step();
        REQUIRE(p.out.verdict.state == State::unknown);
        REQUIRE(p.out.verdict.order == Ask::keep);
        REQUIRE_FALSE(p.out.is_open);
        REQUIRE_FALSE(p.out.verdict.power_allowed);
    }
    // Its first words are that it is closed: no fault, it is held.
    p.in.feedback = Feedback::closed;
    CHECK(p.step().verdict.state == State::closed);
    p.in.phase = Phase::closed;
    CHECK(p.step().faults.empty());
}

TEST_CASE("contactors: feedback lost while closed takes the power, keeps the request, and comes back")
{
    // SAFE-161
    Pack p;
    p.close();
    p.in.feedback.reset();
    for (int i = 0; i < 300; ++i) {
        p.step();
        REQUIRE(p.out.verdict.state == State::unknown);
        REQUIRE(p.out.verdict.order == Ask::keep);
        REQUIRE_FALSE(p.out.verdict.power_allowed);
    }
    p.in.feedback = Feedback::closed;
    CHECK(p.step().verdict.state == State::closed);
    CHECK(p.out.verdict.power_allowed);
    // Lost while open: unknown as well.
    Pack q;
    q.run(1s);
    q.in.feedback.reset();
    CHECK(q.step().verdict.state == State::unknown);
    CHECK_FALSE(q.out.is_open);
}

TEST_CASE("contactors: a pack that opened by itself blocks until that is proven, and is not closed again unasked")
{
    // SAFE-158, SAFE-161
    Pack p;
    p.close();
    p.obeys = false;
    p.in.feedback = Feedback::open;
    CHECK_FALSE(p.step().verdict.power_allowed);  // at once
    CHECK(p.out.verdict.state == State::closed);
    p.in.opened_by_itself = true;
    p.in.phase = Phase::settling;
    p.step();
    CHECK(p.out.verdict.state == State::open_verify);
    CHECK(p.fault(FaultId::opened_by_itself) == FaultClass::block);
    CHECK(p.out.verdict.opened_under_load == 0);
    p.in.phase = Phase::open;
    p.step();
    CHECK(p.out.verdict.state == State::open);
    CHECK(p.fault(FaultId::opened_by_itself) == FaultClass::warn);
    p.obeys = true;
    p.run(200s);
    CHECK(p.out.verdict.state == State::open);
    CHECK(p.out.waiting == Waiting::operator_);
    CHECK(p.machine.request_close(p.now));
    p.close();
    CHECK(p.out.faults.empty());
}

TEST_CASE("contactors: feedback that says open while current flows trips after 200 ms and opens in a controlled way")
{
    // SAFE-148, SAFE-161
    for (const Duration lasting : {Duration{200ms}, Duration{300ms}}) {
        Pack p;
        p.close();
        p.obeys = false;
        p.in.current = 20_A;
        p.in.feedback = Feedback::open;
        p.in.feedback_wrong = true;
        p.run(lasting);
        CHECK_FALSE(p.out.verdict.power_allowed);
        CHECK(p.fault(FaultId::contactor_feedback) == (lasting > 200ms ? FaultClass::trip : FaultClass::block));
        CHECK(p.out.verdict.state == (lasting > 200ms ? State::opening : State::closed));
        CHECK(p.out.verdict.order == Ask::keep);
        p.in.feedback_wrong = false;
        p.in.feedback = Feedback::closed;
        p.run(20s);
        CHECK((p.fault(FaultId::contactor_feedback) == FaultClass::trip) == (lasting > 200ms));
        CHECK(p.out.verdict.power_allowed == (lasting == 200ms));
    }
}

TEST_CASE("contactors: current through a pack that says it is open is an alarm before anything was sent")
{
    // SAFE-161
    Pack p;
    p.obeys = false;
    p.in.phase = Phase::listening;
    p.in.feedback_wrong = true;
    p.in.current = 20_A;
    p.run(60s);
    CHECK(p.fault(FaultId::contactor_feedback) == FaultClass::block);
    CHECK(p.out.verdict.state == State::init);
    CHECK(p.out.verdict.order == Ask::keep);
    p.in.feedback_wrong = false;
    CHECK(p.step().faults.empty());
}

TEST_CASE("contactors: a pack that closed by itself gets no power and is opened, current first")
{
    // SAFE-161
    Pack p;
    p.run(1s);
    p.in.phase = Phase::closed;
    p.in.feedback = Feedback::closed;
    p.in.closed_by_itself = true;
    p.in.current = 20_A;
    p.step();
    CHECK(p.out.verdict.state == State::opening);
    CHECK(p.out.verdict.order == Ask::keep);
    CHECK_FALSE(p.out.verdict.power_allowed);
    CHECK(p.fault(FaultId::closed_by_itself) == FaultClass::block);
    p.run(6s);
    p.in.current = 0_A;
    CHECK(p.until(Ask::open) != for_ever);
    CHECK(p.until(State::open) != for_ever);
    CHECK(p.out.faults.empty());
    CHECK(p.run(100s).verdict.state == State::open);  // SAFE-158: not unasked
    // The same where the driver says it of a pack that the machine took to be closed.
    Pack q;
    q.close();
    q.in.closed_by_itself = true;
    CHECK(q.step().verdict.state == State::opening);
}

TEST_CASE("contactors: after an opening only a communication loss closes again by itself")
{
    // SAFE-158
    const std::initializer_list<std::pair<OpenCause, bool>> causes{{OpenCause::battery_link, true},
        {OpenCause::inverter_link, true}, {OpenCause::black_start, true},
        {OpenCause::battery_link | OpenCause::inverter_link, true}, {OpenCause::operator_, false}, {OpenCause::trip, false},
        {OpenCause::foreign_sender, false}, {OpenCause::fault, false}, {OpenCause::inverter_link | OpenCause::fault, false}};
    for (const auto& [why, again] : causes) {
        const OpenCause cause = why;  // a structured binding cannot be captured by clang 14
        CAPTURE(static_cast<int>(cause));
        Pack p;
        p.close();
        p.in.causes = cause;
        p.run(2s);
        CHECK(p.until(State::open) != for_ever);
        p.run(60s);
        CHECK(p.out.verdict.state == State::open);
        p.in.causes = OpenCause::none;
        p.run(30s);
        CHECK((p.out.verdict.state == State::closed) == again);
        if (!again) {
            CHECK(p.out.waiting == Waiting::operator_);
            CHECK(p.machine.request_close(p.now));
            p.close();
        }
    }
    // Switched off, it does not.
    SafetyConfig::Contactors c = pack_config();
    c.auto_reclose = false;
    Pack p{c};
    p.close();
    p.in.causes = OpenCause::battery_link;
    REQUIRE(p.until(State::open) != for_ever);
    p.in.causes = OpenCause::none;
    CHECK(p.run(100s).verdict.state == State::open);
}

TEST_CASE("contactors: a cause that joins while they open counts")
{
    // SAFE-158
    Pack p;
    p.close();
    p.in.causes = OpenCause::battery_link;
    p.run(1s);
    p.in.causes = OpenCause::battery_link | OpenCause::operator_;
    p.run(1s);
    REQUIRE(p.until(State::open) != for_ever);
    p.in.causes = OpenCause::none;
    CHECK(p.run(60s).verdict.state == State::open);
}

TEST_CASE("contactors: three times an hour by itself, then a request by hand, or the hour passing")
{
    // SAFE-158
    Pack p;
    p.close();
    Instant first{};
    for (int i = 0; i < 4; ++i) {
        p.in.causes = OpenCause::inverter_link;
        REQUIRE(p.until(State::open) != for_ever);
        p.in.causes = OpenCause::none;
        p.run(30s);
        CHECK((p.out.verdict.state == State::closed) == (i < 3));
        if (i == 0) first = p.now;
    }
    CHECK(p.out.waiting == Waiting::cycle_limit);
    CHECK_FALSE(p.out.close_wanted);
    Pack by_hand = p;
    CHECK(by_hand.machine.request_close(by_hand.now));
    by_hand.close();
    CHECK(p.until(State::closed, 3700s) != for_ever);
    CHECK(p.now - first > 3560s);
    CHECK(p.now - first < 3600s);
}

TEST_CASE("contactors: six closings an hour and twenty a day by automation, any number by hand")
{
    // SAFE-157
    // Closings that a failing guard ends are not failures, and automation may try again.
    SafetyConfig::Contactors c = pack_config();
    c.cooldown = 10s;
    Pack p{c};
    p.closes = false;
    const auto aborted = [&](Duration most) {
        if (p.until(State::precharge, most) == for_ever) return false;
        p.in.permitted = false;
        p.run(1s);
        p.in.permitted = true;
        return p.until(State::cooldown, 10s) != for_ever;
    };
    Instant first{};
    for (int i = 0; i < 6; ++i) {
        if (i == 0) {
            REQUIRE(p.until(State::precharge, 60s) != for_ever);
            first = p.now;
        }
        REQUIRE(aborted(60s));
    }
    CHECK_FALSE(aborted(60s));
    CHECK(p.out.waiting == Waiting::cycle_limit);
    CHECK_FALSE(p.out.close_wanted);
    CHECK(p.machine.request_close(p.now));
    REQUIRE(aborted(60s));
    p.run(20s);
    // The hour passes, to the tick, and with it each of the six; the day does not.
    const auto not_before = [&](Instant when) {
        p.step(when - tick - p.now);
        CHECK(p.out.verdict.state == State::open);
        CHECK(p.out.waiting == Waiting::cycle_limit);
        p.step();
        CHECK(p.out.verdict.state == State::precharge);
    };
    not_before(first + 3600s);
    int closings = 6;
    while (p.now - first < 85'700s) {
        if (aborted(15s)) ++closings;
        p.step(600s);
    }
    CHECK(closings == 20);
    not_before(first + 86'400s);
}

TEST_CASE("contactors: the hour in which three closings after a loss count ends to the tick")
{
    // SAFE-158
    Pack p;
    p.close();
    Instant first{};
    for (int i = 0; i < 4; ++i) {
        p.in.causes = OpenCause::inverter_link;
        REQUIRE(p.until(State::open) != for_ever);
        p.in.causes = OpenCause::none;
        if (i == 3) break;
        REQUIRE(p.until(State::precharge) != for_ever);
        if (i == 0) first = p.now;
        p.close();
    }
    p.run(20s);
    CHECK(p.out.waiting == Waiting::cycle_limit);
    p.step(first + 3600s - tick - p.now);
    CHECK(p.out.verdict.state == State::open);
    CHECK(p.step().verdict.state == State::precharge);
}

TEST_CASE("contactors: by hand none is made by automation, not even after a communication loss")
{
    // SAFE-158
    SafetyConfig::Contactors c = pack_config();
    c.close_automatically = false;
    Pack p{c};
    p.run(20s);
    REQUIRE(p.machine.request_close(p.now));
    p.close();
    p.in.causes = OpenCause::inverter_link;
    REQUIRE(p.until(State::open) != for_ever);
    p.in.causes = OpenCause::none;
    CHECK(p.run(100s).verdict.state == State::open);
}

TEST_CASE("contactors: a stop waits for the current, opens, and is done when the driver's sequence is over")
{
    // SAFE-217
    Pack p;
    p.close();
    p.in.current = 15_A;
    p.in.stop = true;
    p.step();
    CHECK(p.out.verdict.state == State::opening);
    CHECK_FALSE(p.out.stop_done);
    p.run(6s);
    p.in.current = 1_A;
    REQUIRE(p.until(Ask::open) != for_ever);
    CHECK_FALSE(p.out.stop_done);
    const Instant ordered = p.now;
    while (!p.out.stop_done) p.step();
    CHECK(p.in.phase == Phase::open);
    CHECK(p.now - ordered >= 4100ms);
    CHECK_FALSE(p.out.maybe_closed);
    CHECK(p.run(60s).verdict.state == State::open);  // nothing closes again
}

TEST_CASE("contactors: a stop under current that stays opens after 10 s, and is over within 25 s with a pack that does not open")
{
    // SAFE-217
    Pack p;
    p.close();
    p.opens = false;
    p.in.current = 15_A;
    p.in.stop = true;
    p.step();
    const Instant stopped = p.now;
    CHECK(p.until(Ask::open) == 10s);
    while (!p.out.stop_done) p.step();
    CHECK(p.now - stopped == 24s);  // a second is left for the final zero frames
    CHECK(p.out.maybe_closed);
}

TEST_CASE("contactors: a second stop request ends the waiting")
{
    // SAFE-217
    Pack p;
    p.close();
    p.in.current = 15_A;
    p.in.stop = true;
    p.run(1s);
    CHECK(p.out.verdict.order == Ask::keep);
    p.in.hurry = true;
    CHECK(p.step().verdict.order == Ask::open);
    CHECK(p.out.verdict.opened_under_load == 1);
    const Instant ordered = p.now;
    while (!p.out.stop_done) p.step();
    CHECK(p.in.feedback == Feedback::open);
    CHECK(p.now - ordered < 2s);  // open is enough, the rest of the sequence is not waited for
    CHECK_FALSE(p.out.maybe_closed);
}

TEST_CASE("contactors: a stop that leaves them closed is done when the current is low or has been waited for")
{
    // SAFE-217
    SafetyConfig::Contactors c = pack_config();
    c.open_on_exit = false;
    Pack p{c};
    p.close();
    p.in.current = 15_A;
    p.in.stop = true;
    p.run(3s);
    CHECK_FALSE(p.out.stop_done);
    p.in.current = 0_A;
    p.step();
    CHECK_FALSE(p.out.stop_done);
    p.run(200ms);
    CHECK(p.out.stop_done);
    CHECK(p.out.verdict.order == Ask::keep);
    CHECK(p.out.verdict.state == State::closed);

    Pack waiting{c};
    waiting.close();
    waiting.in.current = 15_A;
    waiting.in.stop = true;
    waiting.step();
    const Instant stopped = waiting.now;
    Pack hurried = waiting;
    while (!waiting.out.stop_done) waiting.step();
    CHECK(waiting.now - stopped == 10s);
    hurried.in.hurry = true;
    CHECK(hurried.step().stop_done);
}

TEST_CASE("contactors: an earlier opening's low current says nothing about a stop")
{
    // SAFE-217
    SafetyConfig::Contactors c = pack_config();
    c.open_on_exit = false;
    Pack p{c};
    p.close();
    p.in.causes = OpenCause::inverter_link;
    REQUIRE(p.until(State::open) != for_ever);
    p.in.causes = OpenCause::none;
    p.close();
    for (const auto current : {std::optional{0_A}, std::optional<Current>{}}) {
        Pack stopped = p;
        stopped.in.current = current;
        stopped.in.stop = true;
        CHECK_FALSE(stopped.step().stop_done);
    }
}

TEST_CASE("contactors: a stop that comes while they open does not make the opening wait for a low current anew")
{
    // SAFE-153, SAFE-217
    const auto takes = [](bool stop, bool open_on_exit) {
        SafetyConfig::Contactors c = pack_config();
        c.open_on_exit = open_on_exit;
        Pack p{c};
        p.close();
        p.in.causes = OpenCause::operator_;
        p.step();
        const Instant began = p.now;
        p.run(open_on_exit ? 5200ms : 1s);
        p.in.stop = stop;
        p.until(Ask::open);
        return p.now - began;
    };
    for (const bool open_on_exit : {false, true})
        for (const bool stop : {false, true}) CHECK(takes(stop, open_on_exit) == 5300ms);
}

TEST_CASE("contactors: a stop with nothing to open is done at once; what is not known is said")
{
    // SAFE-217, SAFE-161
    Pack open;
    open.run(1s);
    open.in.stop = true;
    CHECK(open.step().stop_done);
    CHECK_FALSE(open.out.maybe_closed);

    Pack listening;
    listening.obeys = false;
    listening.in.phase = Phase::listening;
    listening.in.feedback.reset();
    listening.in.stop = true;
    CHECK(listening.step().stop_done);
    CHECK(listening.out.maybe_closed);

    Pack silent;
    silent.in.silent_start = true;
    silent.in.feedback.reset();
    silent.in.stop = true;
    CHECK(silent.step().stop_done);
    CHECK(silent.out.maybe_closed);

    Pack closing;
    closing.closes = false;
    REQUIRE(closing.until(State::precharge) != for_ever);
    closing.run(1s);
    closing.in.stop = true;
    closing.step();
    CHECK(closing.out.verdict.order == Ask::open);
    CHECK_FALSE(closing.out.stop_done);
    CHECK(closing.run(500ms).stop_done);
}

TEST_CASE("contactors: an executor without feedback is believed")
{
    // SAFE-161
    Pack p;
    p.in.gives_feedback = false;
    p.in.feedback.reset();
    p.step();
    CHECK(p.out.verdict.state == State::open);
    CHECK(p.out.is_open);
    p.obeys = false;
    REQUIRE(p.until(State::precharge) != for_ever);
    p.in.phase = Phase::closing;
    p.in.closing_step = State::neg_closed;
    CHECK(p.step().verdict.state == State::neg_closed);
    p.in.phase = Phase::closed;
    CHECK(p.step().verdict.power_allowed);
    p.in.stop = true;
    CHECK(p.until(Ask::open) != for_ever);
    p.in.phase = Phase::open;
    p.step();
    CHECK(p.out.verdict.state == State::open);
    CHECK(p.out.stop_done);
    CHECK_FALSE(p.out.maybe_closed);
}

TEST_CASE("contactors: a driver that reports open ends the wait for low current")
{
    // SAFE-153
    Pack p;
    p.close();
    p.obeys = false;
    p.in.current = 0_A;
    p.in.causes = OpenCause::trip;
    p.step();
    p.in.feedback = Feedback::open;
    p.in.opened_by_itself = true;
    p.step();
    CHECK(p.out.verdict.state == State::open_verify);
    CHECK(p.out.verdict.opened_under_load == 0);
    CHECK(p.out.faults.empty());  // it was to open
}

TEST_CASE("contactors: a synthesised link voltage is a permanent warning")
{
    // SAFE-161
    SafetyConfig::Contactors c = pack_config();
    c.link_synthetic = true;
    Pack p{c};
    p.step();
    CHECK(p.fault(FaultId::link_synthetic) == FaultClass::warn);
    c.link_synthetic = false;
    p.machine.reconfigure(c);
    CHECK(p.step().faults.empty());
}

TEST_CASE("contactors: not ours, they are shown as seen and nothing is ordered")
{
    // SAFE-161
    SafetyConfig::Contactors c;
    c.mode = ContactorMode::none;
    Pack p{c};
    p.obeys = false;
    for (const auto& [feedback, state] :
        {std::pair{Feedback::open, State::open}, {Feedback::precharging, State::precharge}, {Feedback::closed, State::closed}}) {
        p.in.feedback = feedback;
        p.in.causes = OpenCause::emergency;
        p.step();
        CHECK(p.out.verdict.state == state);
        CHECK(p.machine.state() == state);
        CHECK(p.out.verdict.order == Ask::keep);
        CHECK(p.out.verdict.power_allowed == (state == State::closed));
        CHECK(p.out.is_open == (state == State::open));
    }
    p.in.feedback.reset();
    CHECK(p.step().verdict.state == State::unknown);
    CHECK_FALSE(p.out.verdict.power_allowed);
    p.in.gives_feedback = false;
    CHECK(p.step().verdict.power_allowed);
    CHECK_FALSE(p.machine.request_close(p.now));
    // SAFE-217: a stop waits for the current alone.
    p.in.current = 15_A;
    p.in.stop = true;
    p.step();
    CHECK_FALSE(p.run(9900ms).stop_done);
    CHECK(p.step().stop_done);
}

TEST_CASE("contactors: the battery's state becomes the machine's input, stale and unknown are nothing")
{
    BatteryProfile profile;
    profile.states_contactor = true;
    BatteryState b;
    b.contactor.set_max_age(1s);
    b.current.set_max_age(2s);
    b.phase = Phase::closed;
    b.contactor.set(Feedback::closed, t0);
    b.current.set(-7_A, t0 + 100ms);
    b.opened_by_itself = b.closed_by_itself = b.feedback_wrong = b.silent_start = b.not_opening = true;
    b.close_failures = 3;
    ContactorInput in = contactor_input(b, profile, t0 + 1s);
    CHECK(in.gives_feedback);
    CHECK(in.phase == Phase::closed);
    CHECK(in.feedback == Feedback::closed);
    CHECK(in.current == -7_A);
    CHECK(in.current_at == t0 + 100ms);
    CHECK(in.opened_by_itself);
    CHECK(in.closed_by_itself);
    CHECK(in.feedback_wrong);
    CHECK(in.silent_start);
    CHECK(in.not_opening);
    CHECK(in.close_failures == 3);
    in = contactor_input(b, profile, t0 + 1001ms);
    CHECK_FALSE(in.feedback);
    CHECK(in.current);
    CHECK_FALSE(contactor_input(b, profile, t0 + 2101ms).current);
    b.contactor.set(Feedback::unknown, t0);
    CHECK_FALSE(contactor_input(b, profile, t0).feedback);
}

TEST_CASE("contactors: what is forgotten is the fault that was reset, no other")
{
    // SAFE-045
    Pack failed;
    failed.closes = false;
    REQUIRE(failed.until(State::lockout) != for_ever);
    failed.machine.forget(FaultId::contactor_feedback);
    CHECK(failed.step().faults.size() == 1);
    failed.machine.forget(FaultId::precharge_failed);
    CHECK(failed.step().faults.empty());

    Pack wrong;
    wrong.close();
    wrong.in.feedback_wrong = true;
    wrong.run(300ms);
    wrong.in.feedback_wrong = false;
    REQUIRE(wrong.step().faults.size() == 1);
    wrong.machine.forget(FaultId::precharge_failed);
    CHECK(wrong.step().faults.size() == 1);
    wrong.machine.forget(FaultId::contactor_feedback);
    CHECK(wrong.step().faults.empty());
}

TEST_CASE("contactors: unlocking leads out of LOCKOUT, through what is left of a cooldown, and moves nothing else")
{
    // SAFE-140, SAFE-045
    Pack p;
    p.close();
    p.machine.unlock(p.now);
    CHECK(p.machine.state() == State::closed);
    p.in.causes = OpenCause::emergency;
    REQUIRE(p.until(State::lockout) != for_ever);
    // Open and out of use: a word that is missed for a moment begins no second emergency.
    p.in.feedback.reset();
    CHECK(p.step().verdict.state == State::lockout);
    p.in.feedback = Feedback::open;
    p.in.causes = OpenCause::none;
    p.step();
    p.machine.unlock(p.now);
    CHECK(p.machine.state() == State::init);
    p.run(60s);
    CHECK(p.out.verdict.state == State::open);
    CHECK(p.out.waiting == Waiting::operator_);

    Pack hot;
    hot.closes = false;
    REQUIRE(hot.until(State::lockout) != for_ever);
    const Instant failed = hot.now;
    hot.machine.unlock(hot.now);
    CHECK(hot.machine.state() == State::cooldown);
    REQUIRE(hot.until(State::open) != for_ever);
    CHECK(hot.now - failed == 60s);
}

TEST_CASE("contactors: a second emergency has its own wait for a current that cannot be broken")
{
    // SAFE-155
    SafetyConfig::Contactors c = pack_config();
    c.break_current = 50_A;
    Pack p{c};
    p.close();
    for (int i = 0; i < 2; ++i) {
        p.in.current = 100_A;
        p.in.causes = OpenCause::emergency;
        CHECK(p.step().verdict.order == Ask::keep);
        CHECK(p.until(Ask::open) == 3s);
        REQUIRE(p.until(State::lockout) != for_ever);
        p.in.causes = OpenCause::none;
        p.in.current = 0_A;
        p.machine.unlock(p.now);
        p.run(6s);
        REQUIRE(p.machine.request_close(p.now));
        p.close();
    }
}

TEST_CASE("contactors: what is stuck locks out for good, and what the pack did by itself before is over")
{
    // SAFE-143, SAFE-156
    Pack p;
    p.close();
    p.obeys = false;
    p.in.feedback = Feedback::open;
    p.in.opened_by_itself = true;
    REQUIRE(p.step().verdict.state == State::open_verify);
    REQUIRE(p.fault(FaultId::opened_by_itself) == FaultClass::block);
    p.in.stuck = true;
    CHECK(p.step().verdict.state == State::lockout);
    CHECK(p.fault(FaultId::opened_by_itself) == FaultClass::warn);
    CHECK_FALSE(p.fault(FaultId::closed_by_itself));
    p.in.stuck = false;
    p.in.phase = Phase::open;
    p.obeys = true;
    CHECK(p.run(100s).verdict.state == State::lockout);

    Pack q;
    q.run(1s);
    q.obeys = false;
    q.in.feedback = Feedback::closed;
    REQUIRE(q.step().verdict.state == State::opening);
    REQUIRE(q.fault(FaultId::closed_by_itself) == FaultClass::block);
    q.in.stuck = true;
    q.in.feedback = Feedback::open;
    CHECK(q.step().verdict.state == State::lockout);
    CHECK_FALSE(q.fault(FaultId::closed_by_itself));
    // While they are closing or closed that is the business of other checks.
    Pack closed;
    closed.close();
    closed.in.stuck = true;
    CHECK(closed.step().verdict.state == State::closed);
    Pack closing;
    REQUIRE(closing.until(Ask::close) != for_ever);
    closing.in.stuck = true;
    CHECK(closing.step().verdict.state == State::precharge);
}

TEST_CASE("contactors: a pack that speaks of nothing but its feedback is not shown as unknown")
{
    // SAFE-161
    Pack p;
    p.obeys = false;
    p.in.phase = Phase::listening;
    p.in.silent_start = true;
    p.in.feedback = Feedback::precharging;
    CHECK(p.step().verdict.state == State::init);
    p.in.feedback.reset();
    CHECK(p.step().verdict.state == State::unknown);
}

TEST_CASE("contactors: power flows where the machine allows it, nothing is opening and the state is one that there is")
{
    // SAFE-003, SAFE-161
    const auto carries = [](bool allowed, bool opening, State state) {
        ContactorOutput out;
        out.verdict.power_allowed = allowed;
        out.opening = opening;
        out.verdict.state = state;
        return carries_power(out);
    };
    CHECK(carries(true, false, State::closed));
    CHECK(carries(true, false, State::unknown));
    CHECK_FALSE(carries(false, false, State::closed));
    CHECK_FALSE(carries(true, true, State::closed));
    CHECK_FALSE(carries(true, false, static_cast<State>(static_cast<int>(State::unknown) + 1)));
}

TEST_CASE("contactors: a pack that is seen closed without being asked is told as that until it is proven open")
{
    // SAFE-161
    Pack p;
    p.run(1s);
    p.obeys = false;
    p.in.feedback = Feedback::closed;  // its driver has not noticed
    CHECK(p.step().verdict.state == State::opening);
    CHECK(p.fault(FaultId::closed_by_itself) == FaultClass::block);
    p.in.feedback = Feedback::open;
    p.in.phase = Phase::settling;
    p.step();
    CHECK(p.fault(FaultId::closed_by_itself) == FaultClass::block);
    CHECK(p.until(Ask::open) >= 5s);  // what closes by itself is ordered open all the same
    p.in.phase = Phase::open;
    p.step();
    CHECK_FALSE(p.fault(FaultId::closed_by_itself));
}

TEST_CASE("contactors: a closing that is broken off cools down, and its cause counts for what closes by itself")
{
    // SAFE-142, SAFE-158
    Pack p;
    p.closes = false;
    REQUIRE(p.until(State::precharge) != for_ever);
    p.run(1s);
    p.in.causes = OpenCause::operator_;
    p.step();
    const Instant broken_off = p.now;
    p.in.causes = OpenCause::none;
    CHECK(p.until(State::cooldown, 1s) != for_ever);
    CHECK(p.out.waiting == Waiting::cooldown);
    CHECK(p.out.faults.size() == 1);
    REQUIRE(p.until(State::open) != for_ever);
    CHECK(p.now - broken_off == 60s);
    CHECK(p.run(100s).verdict.state == State::open);
    CHECK(p.out.waiting == Waiting::operator_);

    // Both mains of ours may be closed already: then as from CLOSED, and what had opened them before still has.
    Pack q;
    q.close();
    q.in.causes = OpenCause::operator_;
    REQUIRE(q.until(State::open) != for_ever);
    q.in.causes = OpenCause::none;
    q.run(6s);
    q.closes = false;
    REQUIRE(q.machine.request_close(q.now));
    REQUIRE(q.until(State::precharge) != for_ever);
    q.run(1s);
    q.in.carrying = true;
    q.in.causes = OpenCause::inverter_link;
    CHECK(q.step().verdict.state == State::opening);
    q.in.carrying = false;
    q.in.causes = OpenCause::none;
    REQUIRE(q.until(State::cooldown) != for_ever);
    CHECK(q.run(200s).verdict.state == State::open);
    CHECK(q.out.waiting == Waiting::operator_);
}

TEST_CASE("contactors: closed is what both the driver and the feedback say")
{
    // SAFE-161
    for (const bool driver : {false, true}) {
        Pack p;
        REQUIRE(p.until(State::precharge) != for_ever);
        p.obeys = false;
        p.in.phase = driver ? Phase::closed : Phase::closing;
        p.in.feedback = driver ? Feedback::precharging : Feedback::closed;
        CHECK(p.step().verdict.state == State::precharge);
        p.in.phase = Phase::closed;
        p.in.feedback = Feedback::closed;
        CHECK(p.step().verdict.state == State::closed);
    }
}

TEST_CASE("contactors: why a closing failed is told with the fault, while it cools down")
{
    // SAFE-146
    Pack p;
    p.closes = false;
    p.in.close_problem = "too slow";
    REQUIRE(p.until(State::cooldown) != for_ever);
    REQUIRE(p.out.faults.size() == 1);
    CHECK(p.out.faults[0].id == FaultId::close_failed);
    CHECK(p.out.faults[0].detail == "too slow");
    CHECK(p.out.faults[0].direction == Direction::both);
    CHECK(p.out.faults[0].device == Device::battery);
}

TEST_CASE("contactors: closings by hand leave those by automation their number")
{
    // SAFE-157
    SafetyConfig::Contactors c = pack_config();
    c.cycles_per_hour = 1;
    Pack p{c};
    p.in.inverter_present = false;
    p.run(1s);
    REQUIRE(p.machine.request_close(p.now));
    p.in.inverter_present = true;
    p.close();
    p.in.causes = OpenCause::inverter_link;
    REQUIRE(p.until(State::open) != for_ever);
    p.in.causes = OpenCause::none;
    p.close();
    p.in.causes = OpenCause::inverter_link;
    REQUIRE(p.until(State::open) != for_ever);
    p.in.causes = OpenCause::none;
    CHECK(p.run(60s).verdict.state == State::open);
    CHECK(p.out.waiting == Waiting::cycle_limit);
}

TEST_CASE("contactors: each opening waits for its own low current, and drops a request that still waited")
{
    // SAFE-153, SAFE-142
    Pack p;
    for (int i = 0; i < 2; ++i) {
        p.close();
        p.in.causes = OpenCause::battery_link;
        p.step();
        CHECK(p.until(Ask::open) == 5300ms);
        REQUIRE(p.until(State::open) != for_ever);
        p.in.causes = OpenCause::none;
    }
    SafetyConfig::Contactors c = pack_config();
    c.close_automatically = false;
    Pack q{c};
    q.in.permitted = false;
    q.run(1s);
    REQUIRE(q.machine.request_close(q.now));
    q.in.phase = Phase::closed;
    q.in.feedback = Feedback::closed;
    q.in.closed_by_itself = true;
    q.step();
    CHECK_FALSE(q.machine.request_pending());
}

TEST_CASE("contactors: load is more than 2 A through closed contactors, either way, and what nobody knows")
{
    // SAFE-154
    const auto counted = [](std::optional<Current> current, OpenCause cause = OpenCause::trip, bool closing = false) {
        Pack p;
        p.closes = !closing;
        if (closing) {
            REQUIRE(p.until(State::precharge) != for_ever);
            p.run(1s);
        } else {
            p.close();
        }
        p.in.current = current;
        p.in.causes = cause;
        p.run(20s);
        return p.out.verdict.opened_under_load;
    };
    for (const OpenCause cause : {OpenCause::trip, OpenCause::emergency}) {
        CHECK(counted(2_A, cause) == 0);
        CHECK(counted(-2_A, cause) == 0);
        CHECK(counted(Current::from_milli(2001), cause) == 1);
        CHECK(counted(Current::from_milli(-2001), cause) == 1);
        CHECK(counted(std::nullopt, cause) == 1);
        CHECK(counted(8_A, cause, true) == 0);  // what flows while precharging
    }
}

TEST_CASE("contactors: out of use they stay that, whatever the pack does by itself, and no request outlives it")
{
    // SAFE-140, SAFE-161
    Pack p;
    p.close();
    p.in.causes = OpenCause::emergency;
    REQUIRE(p.until(State::lockout) != for_ever);
    p.in.causes = OpenCause::none;
    p.step();
    p.obeys = false;
    p.in.feedback = Feedback::closed;  // its driver has not noticed
    CHECK(p.step().verdict.state == State::opening);
    CHECK(p.fault(FaultId::closed_by_itself) == FaultClass::block);
    p.in.feedback = Feedback::open;
    p.in.phase = Phase::settling;
    p.step();
    CHECK(p.fault(FaultId::closed_by_itself) == FaultClass::block);
    CHECK(p.out.waiting == Waiting::lockout);
    REQUIRE(p.until(State::open_verify) != for_ever);
    p.in.phase = Phase::open;
    CHECK(p.step().verdict.state == State::lockout);
    CHECK(p.out.faults.empty());

    Pack waits;
    waits.in.permitted = false;
    waits.run(1s);
    REQUIRE(waits.machine.request_close(waits.now));
    waits.in.stuck = true;
    waits.step();
    CHECK(waits.out.verdict.state == State::lockout);
    CHECK_FALSE(waits.machine.request_pending());
}

TEST_CASE("contactors: an emergency that is proven open ends what the pack did by itself")
{
    // SAFE-155, SAFE-161
    Pack closed;
    closed.run(1s);
    closed.obeys = false;
    closed.in.feedback = Feedback::closed;
    closed.step();
    closed.in.causes = OpenCause::emergency;
    closed.step();
    CHECK(closed.fault(FaultId::closed_by_itself) == FaultClass::block);
    closed.in.feedback = Feedback::open;
    closed.step();
    CHECK(closed.out.verdict.state == State::lockout);
    CHECK(closed.out.faults.empty());

    Pack opened;
    opened.close();
    opened.obeys = false;
    opened.in.feedback = Feedback::open;
    opened.in.opened_by_itself = true;
    opened.step();
    opened.in.causes = OpenCause::emergency;
    opened.step();
    CHECK(opened.fault(FaultId::opened_by_itself) == FaultClass::block);
    opened.in.phase = Phase::open;
    opened.step();
    CHECK(opened.out.verdict.state == State::lockout);
    CHECK(opened.fault(FaultId::opened_by_itself) == FaultClass::warn);
}

TEST_CASE("contactors: a closing that was broken off is shown to wait for its cooldown from then on")
{
    // SAFE-250
    Pack p;
    REQUIRE(p.until(State::precharge) != for_ever);
    p.obeys = false;
    p.in.phase = Phase::closing;
    p.in.permitted = false;
    p.step();
    p.in.permitted = true;
    CHECK(p.step().verdict.state == State::open_verify);
    CHECK(p.out.waiting == Waiting::cooldown);
    CHECK(p.out.faults.empty());  // nothing has failed
}

TEST_CASE("contactors: feedback that is wrong right after a closing has its own 200 ms")
{
    // SAFE-148
    Pack p;
    p.close();
    p.in.feedback_wrong = true;
    p.run(100ms);
    p.in.causes = OpenCause::battery_link;
    REQUIRE(p.until(State::open) != for_ever);
    p.in.causes = OpenCause::none;
    REQUIRE(p.until(State::closed) != for_ever);  // wrong all the time
    CHECK(p.step().verdict.state == State::closed);
    CHECK(p.step().verdict.state == State::opening);
}

TEST_CASE("contactors: a request for what turns out to be closed already is over")
{
    // SAFE-142
    Pack p;
    p.obeys = false;
    p.in.phase = Phase::listening;
    p.in.feedback.reset();
    p.step();
    REQUIRE(p.machine.request_close(p.now));
    p.in.phase = Phase::closed;
    p.in.feedback = Feedback::closed;
    CHECK(p.step().verdict.state == State::closed);
    CHECK_FALSE(p.machine.request_pending());
}

TEST_CASE("contactors: whatever is configured, automation closes no more than 64 times an hour, and a day")
{
    // SAFE-157
    SafetyConfig::Contactors c = pack_config();
    c.cycles_per_hour = c.cycles_per_day = 1000;
    c.cooldown = c.valid = 0s;
    Pack p{c};
    Instant last{};
    for (int i = 0; i < 64; ++i) {
        REQUIRE(p.until(State::precharge, 30s) != for_ever);
        last = p.now;
        p.in.permitted = false;
        p.step();
        p.in.permitted = true;
    }
    p.run(10s);
    CHECK(p.out.verdict.state == State::open);
    CHECK(p.out.waiting == Waiting::cycle_limit);
    p.step(3600s);
    p.run(10s);
    CHECK(p.out.verdict.state == State::open);
    CHECK(p.out.waiting == Waiting::cycle_limit);
    p.step(last + 86'400s - p.now);
    CHECK(p.until(State::precharge, 1s) != for_ever);
}

TEST_CASE("contactors: what they wait for is told in its order and to the tick")
{
    // SAFE-250
    SafetyConfig::Contactors c = pack_config();
    c.close_automatically = false;
    Pack p{c};
    p.step(10s - tick);
    CHECK(p.out.waiting == Waiting::boot_inhibit);
    CHECK(p.step().waiting == Waiting::operator_);
    p.in.permitted = false;
    p.step();
    REQUIRE(p.machine.request_close(p.now));
    p.in.permitted = true;
    CHECK(p.step().waiting == Waiting::valid_time);

    // While they still open for a loss that is over.
    Pack q;
    q.in.gives_feedback = false;
    q.in.feedback.reset();
    q.close();
    q.in.causes = OpenCause::battery_link;
    q.step();
    q.in.causes = OpenCause::none;
    q.step();
    CHECK(q.run(5s - tick).waiting == Waiting::valid_time);
    CHECK(q.out.verdict.state == State::opening);
    CHECK(q.step().waiting == Waiting::nothing);
    CHECK(q.out.verdict.state == State::opening);
}

TEST_CASE("contactors: a link that is up before closing keeps even a request waiting for two minutes, to the tick")
{
    // SAFE-143
    SafetyConfig::Contactors c = pack_config();
    c.mode = ContactorMode::gpio;
    c.close_automatically = false;
    c.valid = 0s;
    Pack p{c};
    p.in.link_high = true;
    p.step();
    p.run(119s);
    REQUIRE(p.machine.request_close(p.now));
    p.run(900ms);
    CHECK(p.out.verdict.state == State::open);
    CHECK(p.out.waiting == Waiting::link_precharged);
    CHECK(p.fault(FaultId::link_precharged) == FaultClass::warn);
    CHECK(p.step().verdict.state == State::precharge);
    CHECK_FALSE(p.fault(FaultId::link_precharged));
}

TEST_CASE("contactors: of our own, nothing closes that is not proven open")
{
    // SAFE-143
    SafetyConfig::Contactors c = pack_config();
    c.mode = ContactorMode::gpio;
    Pack p{c};
    p.run(9s);
    p.in.feedback.reset();
    p.run(10s);
    CHECK(p.out.verdict.state == State::unknown);
    CHECK(p.out.waiting == Waiting::open_verify);
    p.in.feedback = Feedback::open;
    CHECK(p.until(State::precharge) == 5100ms);
}

TEST_CASE("contactors: while they cool down without feedback their state is unknown, where we move the coils it is not")
{
    // SAFE-161
    for (const ContactorMode mode : {ContactorMode::bms_command, ContactorMode::gpio}) {
        SafetyConfig::Contactors c = pack_config();
        c.mode = mode;
        Pack p{c};
        p.closes = false;
        REQUIRE(p.until(State::cooldown) != for_ever);
        p.step();
        p.in.feedback.reset();
        CHECK(p.step().verdict.state == (mode == ContactorMode::gpio ? State::cooldown : State::unknown));
    }
}

TEST_CASE("contactors: what blocks takes both directions, what only warns none, and what the driver tells is told from the start")
{
    // SAFE-040, SAFE-161
    SafetyConfig::Contactors c = pack_config();
    c.link_synthetic = true;
    Pack p{c};
    p.obeys = false;
    p.in.phase = Phase::listening;
    p.in.closed_by_itself = p.in.not_opening = true;
    p.step();
    CHECK(p.out.faults.size() == 3);
    for (const ActiveFault& f : p.out.faults) {
        CHECK(f.direction == (f.id == FaultId::link_synthetic ? Direction::none : Direction::both));
        CHECK(f.level == (f.id == FaultId::link_synthetic ? FaultClass::warn : FaultClass::block));
        CHECK(f.device == Device::battery);
    }
}

TEST_CASE("contactors: their wear is told with how often, and with the bound that was passed; it outlives a restart")
{
    // SAFE-154
    for (const unsigned openings : {9U, 10U, 49U, 50U}) {
        Pack p;
        p.machine.restore_wear(openings);
        p.step();
        CHECK(p.out.verdict.opened_under_load == openings);
        CHECK(p.out.faults.size() == (openings < 10 ? 0U : 1U));
        for (const ActiveFault& f : p.out.faults) {
            CHECK(f.id == FaultId::contactor_wear);
            CHECK(f.level == FaultClass::warn);
            CHECK(f.has_value);
            CHECK(f.unit == Unit::count);
            CHECK(f.value_milli == openings * 1000);
            CHECK(f.limit_milli == (openings < 50 ? 10'000 : 50'000));
        }
    }
}

TEST_CASE("contactors: a precharge by time alone is a permanent warning where we do it ourselves")
{
    // SAFE-147
    for (const bool timer : {false, true})
        for (const ContactorMode mode : {ContactorMode::bms_command, ContactorMode::gpio}) {
            SafetyConfig::Contactors c = pack_config();
            c.mode = mode;
            c.precharge.timer = timer;
            Pack p{c};
            p.step();
            CHECK(p.fault(FaultId::precharge_unverified).has_value() == (timer && mode == ContactorMode::gpio));
        }
}

TEST_CASE("contactors: a stop has nothing to wait for where nothing is ordered, and says so when nobody knows what is")
{
    // SAFE-217
    for (const State state : {State::open, State::cooldown, State::lockout}) {
        Pack p;
        p.closes = state == State::open;
        if (state != State::open) REQUIRE(p.until(state) != for_ever);
        p.run(500ms);
        REQUIRE(p.machine.state() == state);
        p.in.feedback.reset();
        p.in.stop = true;
        CHECK(p.step().stop_done);
        CHECK(p.out.maybe_closed);
        CHECK(p.machine.state() == state);
    }
}

TEST_CASE("contactors: coils of ours that are off end a stop, and what contacts do not show may still be closed")
{
    // SAFE-217
    SafetyConfig::Contactors c = pack_config();
    c.mode = ContactorMode::gpio;
    c.open_min_wait = 0s;
    for (const bool feedback : {false, true})
        for (const bool stuck : {false, true}) {
            Pack p{c};
            p.in.gives_feedback = feedback;
            if (!feedback) p.in.feedback.reset();
            p.close();
            p.obeys = false;
            p.in.stop = true;
            REQUIRE(p.until(Ask::open) != for_ever);
            p.in.phase = Phase::opening;  // one of them is still driven
            p.in.feedback.reset();
            CHECK_FALSE(p.step().stop_done);
            CHECK(p.out.verdict.state == State::opening);
            p.in.phase = Phase::settling;
            p.in.stuck = stuck;
            CHECK(p.step().stop_done);
            CHECK(p.out.maybe_closed == (feedback || stuck));
            p.in.phase = Phase::open;
            CHECK(p.step().stop_done);
            CHECK(p.out.maybe_closed == (feedback || stuck));
        }
    // In an emergency it is waited for what is seen.
    Pack p{c};
    p.close();
    p.obeys = false;
    p.in.stop = true;
    p.in.causes = OpenCause::emergency;
    p.step();
    p.in.phase = Phase::settling;
    p.in.feedback.reset();
    CHECK_FALSE(p.step().stop_done);
    p.in.phase = Phase::open;
    p.in.feedback = Feedback::open;
    CHECK(p.step().stop_done);
    CHECK_FALSE(p.out.maybe_closed);
}

TEST_CASE("contactors: of failed closings the last eight are counted, each for its window to the tick")
{
    // SAFE-146
    SafetyConfig::Contactors c = pack_config();
    c.attempts = 100;
    c.cooldown = 0s;
    c.close_automatically = false;
    Pack p{c};
    p.run(20s);
    Instant last{};
    for (unsigned n = 1; n <= 20; ++n) {
        REQUIRE(p.machine.request_close(p.now));
        p.obeys = false;
        p.step();
        ++p.in.close_failures;
        p.step();
        last = p.now;
        CHECK(p.out.verdict.attempts == std::min(n, 8U));
        p.run(6s);
        REQUIRE(p.machine.state() == State::open);
    }
    CHECK(p.step(last + 600s - tick - p.now).verdict.attempts == 1);
    CHECK(p.step().verdict.attempts == 0);
}

namespace {

// Which state may follow which, shown states aside, where the pack may also move by itself (SAFE-140, SAFE-161).
bool may_follow(State from, State to)
{
    if (from == to || to == State::emergency) return true;
    switch (from) {
    case State::init: return to == State::open || to == State::closed || to == State::opening;  // found closed, with a cause
    case State::open: return to == State::precharge || to == State::opening;
    case State::precharge:
        return to == State::closed || to == State::open_verify || to == State::cooldown || to == State::lockout;
    case State::closed: return to == State::opening || to == State::open_verify;
    case State::opening: return to == State::open_verify;
    case State::open_verify: return to == State::open || to == State::cooldown || to == State::lockout;
    case State::cooldown: return to == State::open || to == State::opening;
    case State::lockout: return to == State::opening;
    case State::emergency: return to == State::lockout;
    default: return false;
    }
}

// The same over one evaluation, which may take several steps.
bool reachable(State from, State to, int steps = 4)
{
    if (may_follow(from, to)) return true;
    if (steps == 0) return false;
    for (const State between : {State::init, State::open, State::precharge, State::closed, State::opening, State::open_verify,
             State::cooldown, State::lockout, State::emergency})
        if (between != from && may_follow(from, between) && reachable(between, to, steps - 1)) return true;
    return false;
}

// Brings a machine into a state; the pack obeys on the way.
std::optional<Pack> in_state(State state)
{
    Pack p;
    switch (state) {
    case State::init:
        p.in.phase = Phase::listening;
        p.in.feedback.reset();
        p.step();
        break;
    case State::open: p.step(); break;
    case State::precharge: p.until(State::precharge); break;
    case State::closed: p.close(); break;
    case State::opening:
        p.close();
        p.in.causes = OpenCause::operator_;
        p.step();
        break;
    case State::open_verify:
        p.close();
        p.in.causes = OpenCause::operator_;
        p.until(State::open_verify);
        break;
    case State::cooldown:
        p.closes = false;
        p.until(State::cooldown);
        break;
    case State::lockout:
        p.closes = false;
        p.until(State::lockout);
        break;
    case State::emergency:
        p.close();
        p.in.causes = OpenCause::emergency;
        p.step();
        break;
    default: return std::nullopt;
    }
    p.obeys = false;
    return p.machine.state() == state ? std::optional{p} : std::nullopt;
}

void check_invariants(const Pack& p, State before)
{
    const State state = p.machine.state();
    CAPTURE(to_string(before));
    CAPTURE(to_string(state));
    REQUIRE(reachable(before, state));
    // Close is only ordered with every guard met, and never together with a reason to open.
    if (p.out.verdict.order == Ask::close) {
        REQUIRE(state == State::precharge);
        REQUIRE(p.in.causes == OpenCause::none);
        REQUIRE((
            p.in.bus_up && p.in.data_fresh && p.in.identity_known && p.in.fault_free && p.in.permitted && p.in.inverter_present));
        REQUIRE_FALSE(p.in.stop);
    }
    if (p.in.phase == Phase::listening || p.in.phase == Phase::none) REQUIRE(p.out.verdict.order == Ask::keep);
    // Power needs everything to say closed.
    if (p.out.verdict.power_allowed) {
        REQUIRE(p.in.feedback == Feedback::closed);
        REQUIRE(p.in.phase == Phase::closed);
        REQUIRE(p.in.causes == OpenCause::none);
        REQUIRE(p.out.verdict.state == State::closed);
        REQUIRE(p.out.verdict.order == Ask::keep);
        REQUIRE_FALSE((p.in.stop && p.config.open_on_exit));
    }
    // Open is only claimed with fresh feedback.
    if (p.out.verdict.state == State::open || p.out.is_open) REQUIRE(p.in.feedback.has_value());
    if (!p.in.feedback) REQUIRE(p.out.verdict.state != State::closed);
    if (state == State::lockout) REQUIRE(p.out.waiting == Waiting::lockout);
    if (p.in.stop && p.out.maybe_closed) REQUIRE(p.out.stop_done);
}

}  // namespace

TEST_CASE("contactors: every state and every event lead only where they may")
{
    // SAFE-140, SAFE-161
    constexpr std::array causes{
        OpenCause::none, OpenCause::battery_link, OpenCause::operator_, OpenCause::trip, OpenCause::emergency};
    std::size_t tried = 0;
    for (const State state : {State::init, State::open, State::precharge, State::closed, State::opening, State::open_verify,
             State::cooldown, State::lockout, State::emergency}) {
        const std::optional<Pack> start = in_state(state);
        REQUIRE(start);
        for (int phase = 0; phase <= static_cast<int>(Phase::settling); ++phase)
            for (int feedback = 0; feedback <= static_cast<int>(Feedback::closed); ++feedback)
                for (const OpenCause cause : causes)
                    for (int flags = 0; flags < 256; ++flags) {
                        Pack p = *start;
                        p.in.phase = static_cast<Phase>(phase);
                        p.in.feedback.reset();
                        if (feedback > 0) p.in.feedback = static_cast<Feedback>(feedback);
                        p.in.causes = cause;
                        p.in.opened_by_itself = (flags & 1) != 0;
                        p.in.closed_by_itself = (flags & 2) != 0;
                        p.in.feedback_wrong = (flags & 4) != 0;
                        if ((flags & 8) != 0) ++p.in.close_failures;
                        p.in.fault_free = (flags & 16) == 0;
                        p.in.stop = (flags & 32) != 0;
                        p.in.hurry = (flags & 64) != 0;
                        p.in.current = (flags & 128) != 0 ? std::optional{30_A} : std::nullopt;
                        // At once, and after any of the waits.
                        for (const Duration wait : {tick, Duration{400ms}, Duration{15s}, Duration{70s}}) {
                            const State before = p.machine.state();
                            p.step(wait);
                            check_invariants(p, before);
                            ++tried;
                        }
                    }
    }
    CHECK(tried == 9U * 7 * 4 * 5 * 256 * 4);
}

TEST_CASE("contactors: no walk through events breaks an invariant")
{
    // SAFE-140, SAFE-146, SAFE-157, SAFE-161
    std::mt19937 random{20'260'228};
    const auto chance = [&](unsigned one_in) { return random() % one_in == 0; };
    std::array<std::size_t, 12> seen{};
    for (int run = 0; run < 60; ++run) {
        SafetyConfig::Contactors c = pack_config();
        if (chance(2)) c.break_current = 20_A;
        c.close_automatically = !chance(4);
        Pack p{c};
        unsigned by_hand = 0;
        for (int i = 0; i < 6000; ++i) {
            if (chance(40)) p.closes = !p.closes;
            if (chance(400)) p.closes = p.opens = true;
            if (chance(200)) p.opens = !p.opens;
            if (chance(300)) p.in.causes = static_cast<OpenCause>(1U << (random() % 9));
            if (chance(20000))
                p.in.causes = OpenCause::emergency;
            else if (any(p.in.causes & OpenCause::emergency))
                p.in.causes = chance(2) ? OpenCause::trip : OpenCause::battery_link;
            if (chance(30)) p.in.causes = OpenCause::none;
            if (chance(300)) p.in.fault_free = p.in.permitted = false;
            if (chance(20)) p.in.fault_free = p.in.permitted = p.in.data_fresh = p.in.inverter_present = true;
            if (chance(500)) p.in.data_fresh = p.in.inverter_present = false;
            if (chance(100)) p.in.current = Current::from_milli(static_cast<std::int64_t>(random() % 80'000) - 40'000);
            if (chance(30)) p.in.current = 0_A;
            if (chance(400)) p.in.current.reset();
            std::optional<Feedback> hidden;
            const bool lost = chance(60);
            if (lost) std::swap(hidden, p.in.feedback);
            if (chance(3000)) {
                p.in.phase = Phase::closed;
                p.in.feedback = Feedback::closed;
                p.in.closed_by_itself = true;
            }
            if (chance(60) && p.machine.request_close(p.now)) ++by_hand;
            const State before = p.machine.state();
            const unsigned ordered = p.orders_to_close;
            p.step(Duration{static_cast<std::int64_t>(random() % 2'000'000 + 10'000)});
            if (lost && !p.in.feedback)
                p.in.feedback = hidden;
            else if (lost)
                hidden.reset();
            CAPTURE(run);
            CAPTURE(i);
            if (!lost) check_invariants(p, before);
            REQUIRE(reachable(before, p.machine.state()));
            ++seen[static_cast<std::size_t>(p.machine.state())];
            if (p.machine.state() == State::lockout && before == State::lockout) REQUIRE(p.orders_to_close == ordered);
            REQUIRE(p.out.verdict.attempts <= c.attempts);
        }
        // By automation at most six an hour, twenty a day.
        const auto hours = static_cast<unsigned>((p.now - t0) / 1h) + 1;
        REQUIRE(p.orders_to_close <= by_hand + std::min(6 * hours, 20U));
    }
    for (const State s :
        {State::open, State::precharge, State::closed, State::opening, State::open_verify, State::cooldown, State::lockout})
        CHECK(seen[static_cast<std::size_t>(s)] > 100);
}
