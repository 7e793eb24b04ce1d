#include "tests/safety/house.hpp"

#include <doctest/doctest.h>

#include <optional>
#include <vector>

using namespace batgw;
using namespace batgw::test;

namespace {

// The made-up house, with contactors whose coils hang on lines of ours. Relays follow at once, the inverter measures its link.
struct LinesHouse : House {
    LinesHouse()
    {
        auto& c = safety.contactors;
        c.mode = ContactorMode::gpio;
        c.gpio.negative = 1;
        c.gpio.precharge = 2;
        c.gpio.positive = 3;
        c.gpio.negative_feedback = 4;
        c.gpio.positive_feedback = 5;
        c.gpio.emergency_stop = 7;
        c.gpio.heartbeat = 8;
        lines.held = true;
        lines.stop_released = true;
        inputs.lines = &lines;
        also = [this] { live(); };
    }
    ContactorLines lines;
    bool follow = true, read = true, link = true;
    double link_share = 0;
    std::vector<std::pair<Instant, bool>> beats;

    void live()
    {
        const Coils& c = verdict().contactors.coils;
        if (follow) {
            lines.negative_closed = c.negative;
            lines.positive_closed = c.positive;
        }
        if (read) lines.at = now;
        if (c.negative && c.positive)
            link_share = 1;
        else if (c.negative && c.precharge)
            link_share += (1 - link_share) * 0.1;
        else
            link_share *= 0.99;
        if (link) inverter.voltage.set(Voltage::from_milli(static_cast<std::int64_t>(400'000 * link_share)), now);
    }
    // Evaluates when the judge wants to be asked again, as the bridge does.
    void live_for(Duration time)
    {
        judge();
        for (const Instant end = now + time; now < end;) {
            const Instant next = std::max(made->next_evaluation(), now + 1ms);
            step(next - now);
            const bool level = verdict().contactors.coils.heartbeat;
            if (beats.empty() || beats.back().second != level) beats.emplace_back(now, level);
        }
    }
    bool live_until(ContactorState s, Duration limit = 60s)
    {
        for (const Instant end = now + limit; now < end; live_for(10ms))
            if (verdict().contactors.state == s) return true;
        return false;
    }
};

}  // namespace

TEST_CASE("gpio: the judge closes its own contactors and gives power only then")
{
    // SAFE-140, SAFE-161
    LinesHouse h;
    h.live_for(9s);
    CHECK(h.verdict().contactors.coils.any_main() == false);
    REQUIRE(h.live_until(ContactorState::neg_closed));
    CHECK(h.charge() == 0_W);
    REQUIRE(h.live_until(ContactorState::closed));
    h.live_for(40s);
    CHECK(h.charge() > 9_kW);
    CHECK(h.discharge() > 9_kW);
    CHECK(h.verdict().state == GatewayState::run);
    CHECK(h.verdict().contactors.coils.economiser);

    // The battery's own switches open: no power, whatever ours do.
    h.contactor = ContactorFeedback::open;
    h.live_for(200ms);
    CHECK(h.charge() == 0_W);
    CHECK(h.discharge() == 0_W);
}

TEST_CASE("gpio: a battery whose own switches are open is not precharged through")
{
    // SAFE-141
    LinesHouse h;
    h.contactor = ContactorFeedback::open;
    h.live_for(30s);
    CHECK(h.verdict().contactors.state == ContactorState::open);
    CHECK(h.verdict().waiting == Waiting::permission);
    h.contactor = ContactorFeedback::closed;
    CHECK(h.live_until(ContactorState::closed));
}

TEST_CASE("gpio: a reload moves no line, and what the lines were told wrong is over with a reset")
{
    // SAFE-242, SAFE-045
    LinesHouse h;
    REQUIRE(h.live_until(ContactorState::closed));
    SafetyConfig other = h.safety;
    other.contactors.gpio.heartbeat.reset();
    h.judge().reconfigure(other, h.battery, h.now);
    h.beats.clear();
    h.live_for(1s);
    CHECK(h.beats.size() >= 9);

    h.follow = false;
    h.lines.positive_closed = false;
    h.live_for(2s);
    REQUIRE(h.has(FaultId::contactor_feedback, FaultClass::trip));
    h.follow = true;
    h.live_for(70s);
    CHECK(h.judge().reset({.fault = "CONTACTOR_FEEDBACK", .reason = {}}, h.now).code == CommandCode::ok);
    h.live_for(1s);
    CHECK_FALSE(h.has(FaultId::contactor_feedback));
}

TEST_CASE("gpio: without a heartbeat line a pause of the program opens nothing")
{
    // SAFE-213
    LinesHouse h;
    h.safety.contactors.gpio.heartbeat.reset();
    REQUIRE(h.live_until(ContactorState::closed));
    h.step(1500ms);
    h.live_for(1s);
    CHECK(h.verdict().contactors.state == ContactorState::closed);
    CHECK_FALSE(h.verdict().contactors.coils.heartbeat);
}

TEST_CASE("gpio: what the battery's own switches did by themselves is no business of ours, and lines that return are held back")
{
    // SAFE-159, SAFE-042
    LinesHouse h;
    h.state.opened_by_itself = h.state.closed_by_itself = h.state.not_opening = true;
    REQUIRE(h.live_until(ContactorState::open));
    CHECK_FALSE(h.has(FaultId::closed_by_itself));
    CHECK_FALSE(h.has(FaultId::contactor_not_open));
    h.lines.held = false;
    h.live_for(1s);
    REQUIRE(h.has(FaultId::gpio_lines, FaultClass::block));
    h.lines.held = true;
    h.live_for(h.safety.hold - 1s);
    CHECK(h.has(FaultId::gpio_lines));
    h.live_for(2s);
    CHECK_FALSE(h.has(FaultId::gpio_lines));
}

TEST_CASE("gpio: lines that are not ours and an open interlock are what is waited for, whatever else is missing")
{
    // SAFE-159
    LinesHouse h;
    h.pack_speaks = false;
    h.lines.held = false;
    h.live_for(1s);
    CHECK(h.verdict().waiting == Waiting::gpio_lines);
    LinesHouse open_loop;
    open_loop.safety.contactors.gpio.interlock = 9;
    open_loop.lines.interlock_closed = false;
    open_loop.pack_speaks = false;
    open_loop.live_for(1s);
    CHECK(open_loop.verdict().waiting == Waiting::interlock);
}

TEST_CASE("gpio: while contactors move the judge wants to be asked every 10 ms, else every 100 ms")
{
    // SAFE-140
    LinesHouse h;
    h.safety.contactors.gpio.heartbeat.reset();
    REQUIRE(h.live_until(ContactorState::open));
    h.live_for(4s);
    CHECK(h.made->next_evaluation() - h.now == 100ms);
    REQUIRE(h.live_until(ContactorState::neg_closed));
    CHECK(h.made->next_evaluation() - h.now <= 10ms);
    REQUIRE(h.live_until(ContactorState::closed));
    h.live_for(1s);
    CHECK(h.made->next_evaluation() - h.now == 100ms);
    h.lines.stop_released = false;  // and while an input is being watched
    h.step(1ms);
    CHECK(h.made->next_evaluation() - h.now == 10ms);
}

TEST_CASE("gpio: the heartbeat toggles ten times a second, and stops for an emergency, a lockout, a stall and lost lines")
{
    // SAFE-213
    LinesHouse h;
    h.live_for(5s);
    REQUIRE(h.live_until(ContactorState::closed));
    h.beats.clear();
    h.live_for(10s);
    CHECK(h.beats.size() >= 95);
    CHECK(h.beats.size() <= 102);
    for (std::size_t i = 1; i < h.beats.size(); ++i) CHECK(h.beats[i].first - h.beats[i - 1].first <= 120ms);

    LinesHouse stalled = h;
    stalled.also = [&] { stalled.live(); };
    stalled.inputs.lines = &stalled.lines;
    stalled.step(2001ms);  // no beat meanwhile, and none after until 5 s went well
    stalled.beats.clear();
    stalled.live_for(4900ms);
    CHECK(stalled.beats.size() == 2);  // as it stood, then low, once the coils are off
    CHECK_FALSE(stalled.beats.back().second);
    stalled.live_for(3s);
    CHECK(stalled.beats.size() > 10);

    // The drop-out relay has opened what we held: it must not close again by an edge of the heartbeat, whichever, so everything
    // has been opened for a beat first. A hurried stop opens at once what else opens in steps.
    struct Gap {
        Duration pause;
        bool level, stop;
    };
    const Gap gaps[]{{900ms, false, false}, {1101ms, false, false}, {1101ms, true, false}, {4000ms, true, false},
        {1500ms, true, true}, {1500ms, false, true}, {4000ms, true, true}};
    for (const Gap& g : gaps) {
        CAPTURE(g.pause.count());
        CAPTURE(g.stop);
        LinesHouse gap = h;
        gap.also = [&] { gap.live(); };
        gap.inputs.lines = &gap.lines;
        while (gap.verdict().contactors.coils.heartbeat != g.level) gap.live_for(10ms);
        gap.inputs.stop_requested = gap.inputs.stop_now = g.stop;
        gap.step(g.pause);
        std::optional<Instant> off, edge;
        for (int i = 0; i < 1000; ++i) {
            const Coils& c = gap.verdict().contactors.coils;
            if (!c.any_main() && !off) off = gap.now;
            if (c.heartbeat != g.level && !edge) edge = gap.now;
            gap.live_for(1ms);
        }
        const bool longer = g.pause > 1s;
        CHECK(off.has_value() == longer);
        if (!longer) CHECK(edge);
        if (edge && off) CHECK(*edge - *off >= (g.stop ? 10ms : 95ms));  // stopped, every output is switched off
        if (longer && !g.stop) CHECK(gap.verdict().contactors.state == ContactorState::open);
    }

    LinesHouse lost = h;
    lost.also = [&] { lost.live(); };
    lost.inputs.lines = nullptr;
    lost.beats.clear();
    lost.live_for(2s);
    CHECK(lost.beats.size() == 1);
    CHECK_FALSE(lost.verdict().contactors.coils.heartbeat);
    CHECK(lost.has(FaultId::gpio_lines, FaultClass::block));

    h.lines.stop_released = false;
    h.step(1ms);
    h.live_for(60ms);
    CHECK(h.has(FaultId::emergency_stop, FaultClass::emergency));
    h.beats.clear();
    h.live_for(3s);
    CHECK(h.verdict().contactors.state == ContactorState::lockout);
    CHECK(h.beats.size() == 1);
    CHECK_FALSE(h.verdict().contactors.coils.heartbeat);
    CHECK(h.verdict().state == GatewayState::emergency);
}

TEST_CASE("gpio: the emergency stop takes the coils and the grants within 100 ms")
{
    // SAFE-155
    LinesHouse h;
    REQUIRE(h.live_until(ContactorState::closed));
    h.live_for(40s);
    h.current = 15_A;
    h.live_for(1s);
    REQUIRE(h.charge() > 9_kW);
    const Instant pressed = h.now;
    h.lines.stop_released = false;
    h.step(1ms);  // a change is judged at once
    while (h.verdict().contactors.coils.any_main()) h.live_for(1ms);
    CHECK(h.now - pressed <= 100ms);
    CHECK(h.now - pressed >= 50ms);
    CHECK(h.charge() == 0_W);
    CHECK(h.discharge() == 0_W);
}

TEST_CASE("gpio: who only observes moves no line")
{
    // SAFE-244
    LinesHouse h;
    h.safety.observe = true;
    h.live_for(40s);
    CHECK(h.verdict().contactors.coils == Coils{});
}

TEST_CASE("gpio: without an inverter that tells its voltage nothing is precharged by voltage")
{
    // SAFE-021, SAFE-144
    LinesHouse h;
    h.link = false;
    h.live_for(30s);
    CHECK(h.verdict().contactors.state == ContactorState::open);
    CHECK(h.verdict().waiting == Waiting::link_voltage);
    h.link = true;
    h.live_for(1s);
    h.link = false;
    h.live_for(1100ms);
    CHECK(h.verdict().waiting == Waiting::link_voltage);  // a second old is too old
}

TEST_CASE("gpio: an orderly stop opens the contactors and leaves every coil off")
{
    // SAFE-217
    LinesHouse h;
    REQUIRE(h.live_until(ContactorState::closed));
    h.live_for(30s);
    h.current = 20_A;
    h.inputs.stop_requested = true;
    const Instant asked = h.now;
    h.live_for(4s);
    CHECK(h.verdict().contactors.coils.positive);
    h.current = 0_A;
    while (!h.verdict().stopped && h.now - asked < 30s) h.live_for(10ms);
    CHECK(h.now - asked <= 7s);
    CHECK_FALSE(h.verdict().contactors.coils.any_main());
    h.live_for(100ms);
    CHECK(h.verdict().contactors.coils == Coils{});

    LinesHouse hurried;
    REQUIRE(hurried.live_until(ContactorState::closed));
    hurried.current = 20_A;
    hurried.live_for(1s);
    hurried.inputs.stop_requested = hurried.inputs.stop_now = true;
    hurried.step(10ms);
    CHECK_FALSE(hurried.verdict().contactors.coils.any_main());
}

TEST_CASE("gpio: while the contactors are open, too, an emergency and lost lines end the heartbeat")
{
    // SAFE-213
    for (const bool lines : {true, false}) {
        CAPTURE(lines);
        LinesHouse h;
        REQUIRE(h.live_until(ContactorState::open));
        h.live_for(2s);
        h.beats.clear();
        h.live_for(1s);
        CHECK(h.beats.size() >= 8);
        if (lines)
            h.lines.stop_released = false;
        else
            h.lines.held = false;
        h.live_for(500ms);
        h.beats.clear();
        h.live_for(2s);
        CHECK(h.beats.size() == 1);
        CHECK_FALSE(h.beats.back().second);
    }
}

TEST_CASE("gpio: a pack that is taken out takes the power with it")
{
    // SAFE-003
    LinesHouse h;
    REQUIRE(h.live_until(ContactorState::closed));
    REQUIRE(h.verdict().contactors.power_allowed);
    JudgeInputs in = h.inputs;
    in.inverter = &h.inverter;
    h.now += 10ms;
    h.judge().evaluate(in, h.now);
    CHECK_FALSE(h.verdict().contactors.power_allowed);
    CHECK(h.charge() == 0_W);
}

TEST_CASE("gpio: a battery without switches of its own that it tells of is precharged through at once")
{
    // SAFE-141
    LinesHouse h;
    h.profile.states_contactor = false;
    h.silent.insert(SignalId::contactor);
    REQUIRE(h.live_until(ContactorState::closed));
    h.live_for(40s);
    CHECK(h.charge() == 10_kW);
}

TEST_CASE("gpio: one permission is enough to close, none keeps the contactors open")
{
    // SAFE-141
    struct Says {
        bool charge, discharge, closes;
    };
    for (const Says says : {Says{true, false, true}, Says{false, true, true}, Says{false, false, false}}) {
        CAPTURE(says.charge);
        CAPTURE(says.discharge);
        LinesHouse h;
        h.profile.signals[index(SignalId::flags)] = {.provided = true, .period = 100ms};
        h.also = [&h, says] {
            h.live();
            h.state.charge_allowed.set(says.charge, h.now);
            h.state.discharge_allowed.set(says.discharge, h.now);
        };
        CHECK(h.live_until(ContactorState::closed, 30s) == says.closes);
        if (!says.closes) CHECK(h.verdict().contactors.state == ContactorState::open);
    }
}

TEST_CASE("gpio: a current counts for precharging only where the battery measures it ten times a second")
{
    // SAFE-144
    struct Case {
        bool provided;
        Duration period;
        bool closes;
    };
    for (const Case c : {Case{true, 100ms, false}, Case{true, 101ms, true}, Case{true, Duration{}, true},
             Case{false, 100ms, true}, Case{true, 1us, false}}) {
        CAPTURE(c.period / 1us);
        LinesHouse h;
        h.profile.signals[index(SignalId::current)] = {.provided = c.provided, .period = c.period};
        h.current = 1_A;  // what an inverter's own supply draws
        CHECK(h.live_until(ContactorState::closed, 20s) == c.closes);
    }
}

TEST_CASE("gpio: a link that the battery measures itself counts before the inverter's")
{
    // SAFE-144
    for (const bool follows : {true, false}) {
        CAPTURE(follows);
        LinesHouse h;
        h.link = false;
        h.inverter.voltage.set_max_age(5s);
        h.also = [&h, follows] {
            h.live();
            const Voltage up = Voltage::from_milli(static_cast<std::int64_t>(400'000 * h.link_share));
            h.state.link_voltage.set(follows ? up : 0_V, h.now);
            h.inverter.voltage.set(follows ? 0_V : up, h.now);
        };
        CHECK(h.live_until(ContactorState::closed, 20s) == follows);
    }
}
