#include "tests/safety/gpio_rig.hpp"

#include <array>
#include <cstddef>
#include <initializer_list>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

using namespace batgw;
using Rig = batgw::test::GpioRig;
using State = ContactorState;
using Step = GpioContactors::Step;

namespace {

// What SAFE-140 says of each state.
std::string_view outputs_of(State s)
{
    switch (s) {
    case State::neg_closed: return "100";
    case State::precharge: return "110";
    case State::pos_closed: return "111";
    case State::closed: return "101";
    default: return "000";
    }
}

// Never precharge or main+ without main-; never main+ without a passed precharge in this attempt.
struct Invariants {
    explicit Invariants(Rig& r) : rig{r}
    {
        rig.watch = [this] { check(); };
    }
    Rig& rig;
    bool passed = false;
    bool broken = false;
    void check()
    {
        const Coils& c = rig.coils;
        if (!c.any_main()) passed = false;
        if (rig.sequence.step() == Step::overlap) passed = true;  // reached through PRECHARGE only; checked by the walk below
        if ((c.precharge || c.positive) && !c.negative) broken = true;
        if (c.positive && !passed) broken = true;
        if (c.economiser && !(c.negative && c.positive)) broken = true;
        const State s = rig.state();
        const bool off = s == State::init || s == State::open || s == State::open_verify || s == State::cooldown ||
            s == State::lockout || s == State::unknown;
        if (off && c.any_main()) broken = true;
    }
};

void bring(Rig& r, State to)
{
    if (to == State::opening) {
        r.reach(State::closed);
        r.current = 20_A;
        r.in.causes = OpenCause::operator_;
        r.step();
    } else if (to == State::open_verify) {
        r.reach(State::closed);
        r.in.causes = OpenCause::operator_;
    } else if (to == State::cooldown) {
        r.shorted = true;
    } else if (to == State::lockout) {
        r.positive.stuck = true;
    } else if (to == State::emergency) {
        r.reach(State::closed);
        r.current = 20_A;
        r.positive.lag = r.negative.lag = 100ms;
        r.released = false;
    } else if (to == State::init) {
        return r.step();
    }
    r.reach(to);
}

struct Happening {
    std::string_view name;
    void (*happen)(Rig&);
};
constexpr std::array happenings{
    Happening{"nothing", [](Rig&) {}},
    Happening{"a close request", [](Rig& r) { r.machine.request_close(r.now); }},
    Happening{"the operator opens", [](Rig& r) { r.in.causes = OpenCause::operator_; }},
    Happening{"a trip", [](Rig& r) { r.in.causes = OpenCause::trip; }},
    Happening{"an emergency", [](Rig& r) { r.in.causes = OpenCause::trip | OpenCause::emergency; }},
    Happening{"the battery is lost", [](Rig& r) { r.in.causes = OpenCause::battery_link; }},
    Happening{"data get old", [](Rig& r) { r.in.data_fresh = false; }},
    Happening{"current is unknown", [](Rig& r) { r.current.reset(); }},
    Happening{"a current flows", [](Rig& r) { r.current = 30_A; }},
    Happening{"the emergency stop", [](Rig& r) { r.released = false; }},
    Happening{"the interlock", [](Rig& r) { r.interlock = false; }},
    Happening{"the lines are lost", [](Rig& r) { r.held = false; }},
    Happening{"the lines are not read", [](Rig& r) { r.lines_read = false; }},
    Happening{"an output does not follow", [](Rig& r) { r.outputs_agree = false; }},
    Happening{"main+ is stuck closed", [](Rig& r) { r.positive.stuck = true; }},
    Happening{"main+ is stuck open", [](Rig& r) { r.positive.stuck = false; }},
    Happening{"main- is stuck closed", [](Rig& r) { r.negative.stuck = true; }},
    Happening{"main- is stuck open", [](Rig& r) { r.negative.stuck = false; }},
    Happening{"the link is shorted", [](Rig& r) { r.shorted = true; }},
    Happening{"the link is fed", [](Rig& r) { r.fed_v = 400; }},
    Happening{"an orderly stop", [](Rig& r) { r.in.stop = true; }},
    Happening{"an impatient stop", [](Rig& r) { r.in.stop = r.in.hurry = true; }},
};

// The states each state may leave to (SAFE-140); to EMERGENCY each of them may. An INIT that finds its lines gone starts again.
std::set<State> may_follow(State s)
{
    switch (s) {
    case State::init: return {State::init, State::open, State::lockout};
    case State::open: return {State::open, State::neg_closed, State::lockout, State::unknown};
    case State::neg_closed: return {State::neg_closed, State::precharge, State::opening, State::cooldown, State::open_verify};
    case State::precharge: return {State::precharge, State::pos_closed, State::opening, State::cooldown, State::open_verify};
    case State::pos_closed: return {State::pos_closed, State::closed, State::opening, State::cooldown, State::open_verify};
    case State::closed: return {State::closed, State::opening, State::open_verify};
    case State::opening: return {State::opening, State::open_verify, State::lockout};
    case State::open_verify: return {State::open_verify, State::open, State::cooldown, State::lockout, State::unknown};
    case State::cooldown: return {State::cooldown, State::open, State::lockout, State::unknown};
    case State::lockout: return {State::lockout};
    case State::emergency: return {State::emergency, State::lockout};
    case State::unknown: return {State::unknown, State::open, State::cooldown, State::lockout, State::open_verify};
    }
    return {};
}

constexpr std::array all_states{State::init, State::open, State::neg_closed, State::precharge, State::pos_closed, State::closed,
    State::opening, State::open_verify, State::cooldown, State::lockout, State::emergency};

}  // namespace

TEST_CASE("gpio contactors: close in the order of the table, each state with its outputs and for its time")
{
    // SAFE-140
    Rig r;
    const Invariants watch{r};
    std::vector<std::pair<State, std::string>> seen;
    std::vector<Instant> when;
    const auto note = [&] {
        if (!seen.empty() && seen.back() == std::pair{r.state(), r.shown()}) return;
        seen.emplace_back(r.state(), r.shown());
        when.push_back(r.now);
    };
    for (; r.now < Rig::start + 20s; r.step()) note();
    r.in.causes = OpenCause::operator_;
    for (; r.now < Rig::start + 25s; r.step()) note();
    // The machine orders, the coil moves in the same evaluation; a state shows with the next look.
    std::vector<std::string> order;
    for (const auto& [state, coils] : seen) {
        const std::string line = std::string{to_string(state)} + " " + coils;
        if (state == State::init || coils == outputs_of(state) || state == State::opening || state == State::open_verify)
            order.push_back(line);
    }
    CHECK(order ==
        std::vector<std::string>{"INIT 000", "OPEN 000", "NEG_CLOSED 100", "PRECHARGE 110", "POS_CLOSED 111", "CLOSED 101",
            "OPENING 101", "OPENING 100", "OPEN_VERIFY 000", "OPEN 000"});
    const auto at = [&](State s, std::string_view coils) {
        for (std::size_t i = 0; i < seen.size(); ++i)
            if (seen[i].first == s && seen[i].second == coils) return when[i];
        return Instant{};
    };
    CHECK(at(State::open, "000") - Rig::start >= 500ms);  // SAFE-143
    CHECK(at(State::open, "000") - Rig::start < 550ms);
    CHECK(at(State::precharge, "110") - at(State::neg_closed, "100") <= 510ms);
    CHECK(at(State::precharge, "110") - at(State::neg_closed, "100") >= 490ms);
    CHECK(at(State::closed, "101") - at(State::pos_closed, "111") == 1000ms);
    // SAFE-153: main+ first, main- 100 ms later.
    CHECK(at(State::open_verify, "000") - at(State::opening, "100") >= 90ms);
    CHECK(at(State::open_verify, "000") - at(State::opening, "100") <= 110ms);
    CHECK_FALSE(watch.broken);
}

TEST_CASE("gpio contactors: every state and everything that may happen leads only where the table says")
{
    // SAFE-140
    for (const State from : all_states)
        for (const Happening& h : happenings) {
            CAPTURE(to_string(from));
            CAPTURE(h.name);
            Rig r;
            bring(r, from);
            REQUIRE(r.state() == from);
            const Invariants watch{r};
            // The walk began before the watch.
            const_cast<Invariants&>(watch).passed = r.coils.positive;
            h.happen(r);
            State before = from;
            bool listed = true;
            State wrong_from{}, wrong_to{};
            for (int i = 0; i < 1500; ++i) {
                r.step();
                const State s = r.state();
                if (s != before && s != State::emergency && !may_follow(before).contains(s) && listed) {
                    listed = false;
                    wrong_from = before;
                    wrong_to = s;
                }
                before = s;
            }
            CAPTURE(to_string(wrong_from));
            CAPTURE(to_string(wrong_to));
            CHECK(listed);
            CHECK_FALSE(watch.broken);
        }
}

TEST_CASE("gpio contactors: a step that does not exist energises nothing and locks out")
{
    // SAFE-140
    for (unsigned value = 0; value < 256; ++value) {
        const auto step = static_cast<Step>(value);
        GpioContactors s{Rig::usual()};
        s.force(step);
        if (step > Step::verify) CHECK_FALSE(s.coils(Rig::start).any_main());
        const Coils c = s.coils(Rig::start);
        CHECK((c.negative || !(c.precharge || c.positive)));
    }
    Rig r;
    r.reach(State::closed);
    r.sequence.force(static_cast<Step>(77));
    r.step();
    CHECK_FALSE(r.coils.any_main());
    r.run(1s);
    CHECK(r.state() == State::lockout);
}

TEST_CASE("gpio contactors: a random walk never energises what it must not")
{
    // SAFE-140
    for (unsigned seed = 1; seed <= 40; ++seed) {
        CAPTURE(seed);
        std::mt19937 chance{seed};
        SafetyConfig::Contactors c = Rig::usual();
        c.boot_inhibit = 1s;
        c.valid = 1s;
        c.cooldown = 10s;
        c.attempts = 5;
        c.attempts_window = 600s;
        c.cycles_per_hour = c.cycles_per_day = 60;
        c.inverter_feeds_link = seed % 3 == 0;
        if (seed % 4 == 0) c.gpio.negative_feedback = c.gpio.positive_feedback = std::nullopt;
        Rig r{c};
        const Invariants watch{r};
        unsigned closed = 0, closings = 0;
        State before{};
        for (int i = 0; i < 6000; ++i) {
            r.step(Duration{std::chrono::milliseconds{5 + chance() % 30}});
            if (r.state() == State::closed && before != State::closed) ++closed;
            if (r.state() == State::neg_closed && before != State::neg_closed) ++closings;
            before = r.state();
            if (chance() % 200 == 0) happenings[chance() % happenings.size()].happen(r);
            if (chance() % 60 == 0) {  // all is well again
                r.in.causes = OpenCause::none;
                r.in.data_fresh = r.held = r.lines_read = r.outputs_agree = r.interlock = r.released = true;
                r.current = 0_A;
                r.shorted = false;
                r.fed_v.reset();
                r.positive.stuck.reset();
                r.negative.stuck.reset();
            }
            if (chance() % 100 == 0) r.machine.request_close(r.now);
            r.in.stop = r.in.hurry = false;
        }
        CHECK_FALSE(watch.broken);
        CHECK(closings >= closed);
    }
}

TEST_CASE("gpio contactors: each guard, taken away at each moment of closing, opens again")
{
    // SAFE-141
    using Spoil = void (*)(Rig&);
    const std::initializer_list<std::pair<Spoil, Waiting>> guards{
        {[](Rig& r) { r.in.bus_up = false; }, Waiting::bus},
        {[](Rig& r) { r.held = false; }, Waiting::gpio_lines},
        {[](Rig& r) { r.interlock = false; }, Waiting::interlock},
        {[](Rig& r) { r.released = false; }, Waiting::interlock},
        {[](Rig& r) { r.lines_read = false; }, Waiting::interlock},
        {[](Rig& r) { r.in.data_fresh = false; }, Waiting::battery_data},
        {[](Rig& r) { r.in.identity_known = false; }, Waiting::battery_identity},
        {[](Rig& r) { r.in.fault_free = false; }, Waiting::battery_fault},
        {[](Rig& r) { r.in.permitted = false; }, Waiting::permission},
        {[](Rig& r) { r.in.inverter_present = false; }, Waiting::inverter},
        {[](Rig& r) { r.in.causes = OpenCause::operator_; }, Waiting::operator_},
    };
    for (const auto& [spoil, expected] : guards) {
        const Waiting waiting = expected;
        CAPTURE(to_string(waiting));
        for (const State moment : {State::open, State::neg_closed, State::precharge, State::pos_closed}) {
            CAPTURE(to_string(moment));
            Rig r;
            r.reach(State::open);
            if (moment == State::open) {
                spoil(r);
                r.run(20s);
                CHECK_FALSE(r.coils.any_main());
                CHECK(r.out.waiting == (r.state() == State::lockout ? Waiting::lockout : waiting));
                continue;
            }
            r.reach(moment);
            spoil(r);
            // Stale lines are told after 200 ms; with both mains closed the current is waited for.
            r.run(800ms);
            CHECK_FALSE(r.coils.any_main());
            CHECK_FALSE(r.out.verdict.power_allowed);
        }
    }
    SafetyConfig::Contactors c = Rig::usual();
    c.weld.current = 5_A;  // else it would be a weld
    Rig current{c};
    current.current = 3_A;
    current.run(20s);
    CHECK(current.out.waiting == Waiting::current);
    CHECK_FALSE(current.coils.any_main());
}

TEST_CASE("gpio contactors: outputs and contacts must agree before the first closing")
{
    // SAFE-143
    for (const bool negative : {false, true}) {
        Rig stuck;
        (negative ? stuck.negative : stuck.positive).stuck = true;
        CHECK(stuck.until(State::lockout) <= 300ms);
        CHECK(stuck.fault(FaultId::weld_suspected) == FaultClass::trip);
        stuck.run(30s);
        CHECK(stuck.state() == State::lockout);
        CHECK_FALSE(stuck.coils.any_main());
    }
    Rig bounced;  // a contact that reads closed for a moment starts the 500 ms again
    bounced.run(300ms);
    bounced.positive_contact = true;
    bounced.run(100ms);
    bounced.positive_contact.reset();
    const Instant again = bounced.now;
    bounced.reach(State::open);
    CHECK(bounced.now - again >= 490ms);

    Rig chatter;
    for (int i = 0; i < 300; ++i) {
        chatter.positive_contact = i % 20 < 8;
        chatter.step();
    }
    CHECK(chatter.state() == State::lockout);

    Rig output;  // an output reads as driven although nothing drives it
    output.outputs_agree = false;
    output.run(1s);
    CHECK(output.state() == State::lockout);
    CHECK(output.fault(FaultId::contactor_feedback) == FaultClass::trip);

    Rig unread;
    unread.lines_read = false;
    unread.run(10s);
    CHECK_FALSE(unread.coils.any_main());
}

TEST_CASE("gpio contactors: a link that is up before closing is waited for, then a person decides")
{
    // SAFE-143
    Rig r;
    r.fed_v = 385;
    r.run(20s);
    CHECK(r.state() == State::open);
    CHECK(r.out.waiting == Waiting::link_precharged);
    CHECK(r.fault(FaultId::link_precharged) == FaultClass::warn);
    CHECK(r.machine.request_close(r.now));
    r.run(59s);
    CHECK(r.state() == State::open);  // too early even for a person
    CHECK(r.machine.request_pending());
    r.run(70s);
    CHECK(r.state() == State::open);
    CHECK_FALSE(r.machine.request_pending());
    CHECK(r.machine.request_close(r.now));
    CHECK(r.until(State::neg_closed, 10s) != for_ever);

    Rig falls;
    falls.fed_v = 385;
    falls.run(20s);
    falls.fed_v = 370;  // 7.5 % below the pack
    CHECK(falls.until(State::neg_closed, 10s) != for_ever);

    SafetyConfig::Contactors c = Rig::usual();
    c.inverter_feeds_link = true;
    Rig fed{c};
    fed.fed_v = 400;
    CHECK(fed.until(State::neg_closed, 11s) != for_ever);
}

TEST_CASE("gpio contactors: precharge that fails is tried three times, half a minute apart, then never again")
{
    // SAFE-145, SAFE-146
    Rig r;
    r.shorted = true;
    unsigned attempts = 0;
    State before{};
    std::vector<Instant> begun;
    r.watch = [&] {
        if (r.state() == State::neg_closed && before != State::neg_closed) {
            ++attempts;
            begun.push_back(r.now);
        }
        before = r.state();
    };
    r.run(200s);
    CHECK(attempts == 3);
    REQUIRE(begun.size() == 3);
    CHECK(begun[1] - begun[0] >= 30s);
    CHECK(r.state() == State::lockout);
    CHECK(r.fault(FaultId::precharge_failed) == FaultClass::trip);
    CHECK_FALSE(r.coils.any_main());

    Rig mended;
    mended.shorted = true;
    mended.reach(State::cooldown);
    CHECK(mended.fault(FaultId::close_failed) == FaultClass::block);
    mended.shorted = false;
    CHECK(mended.until(State::closed) != for_ever);

    Rig early;  // 40 % of 5 s, not all of them
    early.shorted = true;
    early.reach(State::precharge);
    const Duration took = early.until(State::cooldown);
    CHECK(took >= 1900ms);
    CHECK(took <= 2100ms);
}

TEST_CASE("gpio contactors: with a time instead of a measured link they say so")
{
    // SAFE-147
    SafetyConfig::Contactors c = Rig::usual();
    c.precharge.timer = true;
    c.precharge.time = 800ms;
    Rig r{c};
    r.link_measured = false;
    r.reach(State::precharge);
    const Duration took = r.until(State::pos_closed);
    CHECK(took >= 790ms);
    CHECK(took <= 820ms);
    CHECK(r.fault(FaultId::precharge_unverified) == FaultClass::warn);
    CHECK(r.until(State::closed) != for_ever);

    Rig unmeasured;  // by voltage, without a voltage
    unmeasured.link_measured = false;
    unmeasured.run(30s);
    CHECK(unmeasured.state() == State::open);
    CHECK(unmeasured.out.waiting == Waiting::link_voltage);
}

TEST_CASE("gpio contactors: a contact that does not follow opens them after 200 ms, or keeps them from closing")
{
    // SAFE-148
    Rig shorter;
    shorter.reach(State::closed);
    shorter.positive_contact = false;
    shorter.run(190ms);
    shorter.positive_contact.reset();
    shorter.run(2s);
    CHECK(shorter.state() == State::closed);
    CHECK(shorter.out.verdict.power_allowed);
    CHECK_FALSE(shorter.fault(FaultId::contactor_feedback));

    Rig longer;
    longer.reach(State::closed);
    longer.positive_contact = false;
    longer.run(220ms);
    CHECK(longer.state() == State::opening);
    CHECK(longer.fault(FaultId::contactor_feedback) == FaultClass::trip);
    CHECK_FALSE(longer.out.verdict.power_allowed);
    longer.run(1s);
    CHECK_FALSE(longer.coils.any_main());

    Rig chatter;  // 100 ms open, 50 ms closed, and so on
    chatter.reach(State::closed);
    bool opened = false;
    for (int i = 0; i < 300 && !opened; ++i) {
        if (i % 15 < 10)
            chatter.positive_contact = false;
        else
            chatter.positive_contact.reset();
        chatter.step();
        opened = chatter.state() == State::opening;
    }
    CHECK(opened);

    for (const auto& relay : {&Rig::negative, &Rig::positive}) {  // a coil without a contact behind it
        Rig dead;
        (dead.*relay).stuck = false;
        dead.reach(State::neg_closed);
        CHECK(dead.until(State::cooldown, 4s) != for_ever);
        CHECK_FALSE(dead.coils.any_main());
    }

    Rig unread;  // no reading is no agreement
    unread.reach(State::closed);
    unread.lines_read = false;
    unread.run(500ms);
    CHECK(unread.state() != State::closed);
    CHECK(unread.fault(FaultId::contactor_feedback) == FaultClass::trip);

    Rig output;
    output.reach(State::closed);
    output.outputs_agree = false;
    output.run(300ms);
    CHECK(output.state() == State::opening);
}

TEST_CASE("gpio contactors: an open interlock is an emergency while they are closed, and forbids closing before")
{
    // SAFE-148
    for (const auto& [time, emergency] : std::initializer_list<std::pair<Duration, bool>>{{190ms, false}, {220ms, true}}) {
        Rig r;
        r.reach(State::closed);
        r.interlock = false;
        r.run(time);
        r.interlock = true;
        CHECK(r.coils.any_main() != emergency);
        CHECK((r.state() == State::emergency || r.state() == State::lockout) == emergency);
    }
    Rig open;
    open.reach(State::open);
    open.interlock = false;
    open.run(30s);
    CHECK(open.state() == State::open);
    CHECK_FALSE(open.fault(FaultId::interlock_open));
    CHECK(open.out.waiting == Waiting::interlock);
    open.interlock = true;
    CHECK(open.until(State::closed) != for_ever);
}

TEST_CASE("gpio contactors: the emergency stop acts after 50 ms, at once and on both contactors")
{
    // SAFE-155
    Rig glitch;
    glitch.reach(State::closed);
    glitch.released = false;
    glitch.run(40ms);
    glitch.released = true;
    glitch.run(1s);
    CHECK(glitch.state() == State::closed);

    Rig pressed;
    pressed.reach(State::closed);
    pressed.current = 25_A;
    const Instant at = pressed.now;
    pressed.released = false;
    while (pressed.coils.any_main() && pressed.now - at < 1s) pressed.step();
    CHECK(pressed.now - at >= 50ms);
    CHECK(pressed.now - at <= 100ms);
    CHECK(pressed.fault(FaultId::emergency_stop) == FaultClass::emergency);
    CHECK(pressed.out.verdict.opened_under_load == 1);
    CHECK(pressed.until(State::lockout, 1s) != for_ever);
    pressed.released = true;
    pressed.current = 0_A;
    pressed.run(60s);
    CHECK(pressed.state() == State::lockout);  // its release is no reset

    SafetyConfig::Contactors c = Rig::usual();
    c.break_current = 20_A;
    Rig above{c};
    above.reach(State::closed);
    above.current = 25_A;
    above.released = false;
    above.run(2900ms);
    CHECK(above.coils.positive);
    above.run(300ms);
    CHECK_FALSE(above.coils.any_main());
    Rig below{c};
    below.reach(State::closed);
    below.current = 15_A;
    below.released = false;
    below.run(100ms);
    CHECK_FALSE(below.coils.any_main());

    for (const State s : {State::init, State::open, State::neg_closed, State::precharge, State::pos_closed}) {
        CAPTURE(to_string(s));
        Rig r;
        bring(r, s);
        r.released = false;
        r.run(100ms);
        CHECK_FALSE(r.coils.any_main());
        CHECK(r.until(State::lockout, 2s) != for_ever);
    }
}

TEST_CASE("gpio contactors: the economiser comes after a second of full drive and goes with any doubt")
{
    // SAFE-149
    Rig r;
    r.run(9s);
    r.reach(State::pos_closed);
    CHECK_FALSE(r.coils.economiser);
    r.reach(State::closed);
    Instant closed = r.now;
    while (!r.coils.economiser && r.now - closed < 3s) r.step();
    CHECK(r.now - closed >= 990ms);
    CHECK(r.now - closed <= 1030ms);
    r.positive_contact = false;
    r.step();
    r.step();
    CHECK_FALSE(r.coils.economiser);
    CHECK(r.state() == State::closed);
    r.positive_contact.reset();
    r.step();
    closed = r.now;
    while (!r.coils.economiser && r.now - closed < 3s) {
        r.step();
        CHECK(r.state() == State::closed);
    }
    CHECK(r.now - closed >= 980ms);
    r.in.causes = OpenCause::operator_;
    r.run(1s);
    CHECK_FALSE(r.coils.economiser);
    CHECK_FALSE(r.coils.any_main());
    r.positive_contact = true;  // doubt while they are open gives no drive
    r.run(1s);
    CHECK_FALSE(r.coils.any_main());
}

TEST_CASE("gpio contactors: they wait for a low current, then open all the same")
{
    // SAFE-153, SAFE-154
    Rig falls;
    falls.reach(State::closed);
    falls.current = 20_A;
    falls.in.causes = OpenCause::trip;
    falls.run(3s);
    CHECK(falls.coils.positive);
    falls.current = 1_A;
    falls.run(400ms);
    CHECK_FALSE(falls.coils.any_main());
    CHECK(falls.out.verdict.opened_under_load == 0);

    Rig stays;
    stays.reach(State::closed);
    stays.current = 20_A;
    stays.in.causes = OpenCause::trip;
    stays.run(9900ms);
    CHECK(stays.coils.positive);
    stays.run(400ms);
    CHECK_FALSE(stays.coils.any_main());
    CHECK(stays.out.verdict.opened_under_load == 1);

    Rig stop;  // a stop with both mains closed, though not yet CLOSED
    stop.reach(State::pos_closed);
    stop.current = 20_A;
    stop.in.causes = OpenCause::operator_;
    stop.step();
    stop.step();
    CHECK(stop.state() == State::opening);
    CHECK(stop.shown() == "101");
    stop.run(5s);
    CHECK(stop.shown() == "101");
    stop.current = 0_A;
    stop.run(1s);
    CHECK_FALSE(stop.coils.any_main());
}

TEST_CASE("gpio contactors: contactors that opened under load ten times are told, fifty times they are worn out")
{
    // SAFE-154
    SafetyConfig::Contactors c = Rig::usual();
    c.boot_inhibit = 0s;
    c.valid = 1s;
    c.cycles_per_hour = c.cycles_per_day = 64;
    Rig r{c};
    for (unsigned n = 1; n <= 12; ++n) {
        r.reach(State::open);
        r.machine.request_close(r.now);
        r.reach(State::closed);
        r.current = 20_A;
        r.in.causes = OpenCause::operator_;
        r.run(11s);
        r.current = 0_A;
        r.in.causes = OpenCause::none;
        r.step();
        CAPTURE(n);
        CHECK(r.out.verdict.opened_under_load == n);
        CHECK((r.fault(FaultId::contactor_wear) == FaultClass::warn) == (n >= 10));
    }
}

TEST_CASE("gpio contactors: lines that are lost leave everything off, and come back into INIT")
{
    // SAFE-159
    Rig r;
    r.held = false;
    r.run(20s);
    CHECK(r.state() == State::init);
    CHECK(r.out.waiting == Waiting::gpio_lines);
    CHECK(r.fault(FaultId::gpio_lines) == FaultClass::block);
    r.held = true;
    const Instant from = r.now;
    r.reach(State::open);
    CHECK(r.now - from >= 500ms);
    r.reach(State::closed);
    r.held = false;
    r.step();
    CHECK_FALSE(r.coils.any_main());
    CHECK_FALSE(r.out.verdict.power_allowed);
    r.held = true;
    r.run(60s);
    CHECK(r.state() == State::open);  // by itself it does not close again
}

namespace {

// The sequence alone: no machine over it, contacts that follow at once unless the test holds them.
struct CoilBox {
    SafetyConfig::Contactors rules = Rig::usual();
    GpioContactors sequence;
    ContactorLines lines;
    BoxMeasurements measured{.pack = 400_V, .link = 0_V};
    Instant now{std::chrono::hours{2} + 3us};
    std::optional<bool> negative, precharge, positive;  // instead of what follows
    bool charges = true;                                // a precharge fills the link

    explicit CoilBox(const SafetyConfig::Contactors& r = Rig::usual()) : rules{r}, sequence{r} { lines.held = true; }
    void look(Duration time = 10ms)
    {
        now += time;
        const Coils told = sequence.coils(now);
        const auto& g = rules.gpio;
        const auto contact = [](const auto& wired, std::optional<bool> held, bool coil) {
            return wired ? std::optional{held.value_or(coil)} : std::nullopt;
        };
        lines.negative_closed = contact(g.negative_feedback, negative, told.negative);
        lines.precharge_closed = contact(g.precharge_feedback, precharge, told.precharge);
        lines.positive_closed = contact(g.positive_feedback, positive, told.positive);
        lines.interlock_closed = lines.stop_released = true;
        lines.at = now;
        if (told.precharge && charges) measured.link = 400_V;
        measured.link_at = now;
        sequence.look(lines, measured, now);
    }
    void run(Duration time)
    {
        for (const Instant end = now + time; now < end;) look(std::min(Duration{10ms}, end - now));
    }
    ContactorInput filled() const
    {
        ContactorInput in;
        sequence.fill(in, now);
        return in;
    }
    Step step() const { return sequence.step(); }
    void open()
    {
        run(600ms);
        REQUIRE(step() == Step::open);
    }
    void reach(Step wanted)
    {
        if (step() == Step::start) open();
        sequence.obey(ContactorOrder::close, false, now);
        for (int i = 0; i < 1000 && step() != wanted; ++i) look();
        REQUIRE(step() == wanted);
    }
    std::vector<FaultId> faults() const
    {
        std::vector<FaultId> ids;
        for (const ActiveFault& f : sequence.faults()) ids.push_back(f.id);
        return ids;
    }
};

}  // namespace

TEST_CASE("gpio sequence: each step lasts as long as it is told, to the microsecond")
{
    // SAFE-140, SAFE-153
    CoilBox b;
    b.open();
    b.sequence.obey(ContactorOrder::close, false, b.now);
    REQUIRE(b.step() == Step::negative);
    b.look(b.rules.negative_time - 1us);
    CHECK(b.step() == Step::negative);
    b.look(1us);
    CHECK(b.step() == Step::precharge);
    for (int i = 0; i < 200 && b.step() == Step::precharge; ++i) b.look();
    REQUIRE(b.step() == Step::overlap);
    b.look(b.rules.overlap - 1us);
    CHECK(b.step() == Step::overlap);
    b.look(1us);
    REQUIRE(b.step() == Step::closed);
    // Full drive for a second, with the economiser to the microsecond.
    b.look(1s - 1us);
    CHECK_FALSE(b.sequence.coils(b.now).economiser);
    b.look(1us);
    CHECK(b.sequence.coils(b.now).economiser);
    b.sequence.obey(ContactorOrder::open, false, b.now);
    REQUIRE(b.step() == Step::opening);
    b.look(b.rules.negative_delay - 1us);
    CHECK(b.step() == Step::opening);
    b.look(1us);
    CHECK(b.step() == Step::verify);
}

TEST_CASE("gpio sequence: both mains are not closed while a contact says otherwise, however long the overlap has lasted")
{
    // SAFE-148
    CoilBox b;
    b.reach(Step::overlap);
    b.run(b.rules.overlap - 30ms);
    b.positive = false;
    b.run(100ms);
    CHECK(b.step() == Step::overlap);
    b.positive.reset();
    b.look();
    CHECK(b.step() == Step::closed);
}

TEST_CASE("gpio sequence: what each order does in each step, at once or with the delay between the contactors")
{
    // SAFE-140, SAFE-155
    using Order = ContactorOrder;
    const auto after = [](Step from, Order order, bool at_once) {
        CoilBox b;
        if (from == Step::stopping || from == Step::opening) {
            b.reach(from == Step::stopping ? Step::overlap : Step::closed);
            b.sequence.obey(from == Step::stopping ? Order::keep : Order::open, false, b.now);
        } else if (from == Step::verify) {
            b.reach(Step::closed);
            b.sequence.obey(Order::open, true, b.now);
        } else if (from == Step::open) {
            b.open();
        } else if (from != Step::start) {
            b.reach(from);
        }
        REQUIRE(b.step() == from);
        b.sequence.obey(order, at_once, b.now);
        return b.step();
    };
    for (const bool at_once : {false, true}) {
        for (const Step s : {Step::start, Step::open, Step::verify, Step::closed, Step::opening})
            CHECK(after(s, Order::keep, false) == s);
        CHECK(after(Step::opening, Order::keep, true) == Step::verify);
        CHECK(after(Step::overlap, Order::keep, at_once) == Step::stopping);
        CHECK(after(Step::stopping, Order::keep, at_once) == Step::stopping);
        for (const Step s : {Step::negative, Step::precharge})
            for (const Order o : {Order::keep, Order::open}) CHECK(after(s, o, at_once) == Step::verify);
        for (const Step s : {Step::overlap, Step::stopping, Step::closed})
            CHECK(after(s, Order::open, at_once) == (at_once ? Step::verify : Step::opening));
        CHECK(after(Step::opening, Order::open, at_once) == (at_once ? Step::verify : Step::opening));
        for (const Step s : {Step::start, Step::open, Step::verify}) CHECK(after(s, Order::open, at_once) == s);
        CHECK(after(Step::open, Order::close, at_once) == Step::negative);
        for (const Step s : {Step::start, Step::negative, Step::precharge, Step::overlap, Step::closed, Step::stopping,
                 Step::opening, Step::verify})
            CHECK(after(s, Order::close, at_once) == s);
    }
}

TEST_CASE("gpio sequence: what is seen first is no doubt yet")
{
    // SAFE-148
    CoilBox b;
    b.lines.outputs_agree = false;
    b.look();
    CHECK(b.faults().empty());
    b.run(190ms);
    CHECK(b.faults().empty());
    b.look();
    CHECK(b.faults() == std::vector{FaultId::contactor_feedback});
}

TEST_CASE("gpio sequence: each contact that is wired is watched, in each step against its own coil")
{
    // SAFE-148
    SafetyConfig::Contactors all = Rig::usual();
    all.gpio.precharge_feedback = 8;
    for (const auto contact : {&CoilBox::negative, &CoilBox::precharge, &CoilBox::positive}) {
        for (const Step s : {Step::negative, Step::precharge, Step::overlap, Step::closed}) {
            CoilBox b{all};
            b.charges = s != Step::precharge;
            b.reach(s);
            REQUIRE_FALSE(b.filled().feedback_wrong);
            const Coils told = b.sequence.coils(b.now);
            b.*contact = !(contact == &CoilBox::negative ? told.negative
                    : contact == &CoilBox::precharge     ? told.precharge
                                                         : told.positive);
            b.run(250ms);
            CHECK((s == Step::closed ? b.filled().feedback_wrong : b.step() == Step::verify));
            if (s != Step::closed) CHECK(b.filled().close_problem == "contact");
        }
        // Any of them alone is one to see the opening by, and says closed where it is.
        SafetyConfig::Contactors one = Rig::usual();
        one.gpio.negative_feedback = one.gpio.positive_feedback = std::nullopt;
        (contact == &CoilBox::negative           ? one.gpio.negative_feedback
                : contact == &CoilBox::precharge ? one.gpio.precharge_feedback
                                                 : one.gpio.positive_feedback) = 4;
        CoilBox stuck{one};
        stuck.*contact = true;
        stuck.run(600ms);
        CHECK(stuck.step() == Step::start);
        CHECK_FALSE(stuck.filled().feedback);
        CHECK(stuck.filled().stuck);
        CHECK(stuck.filled().gives_feedback == (contact != &CoilBox::precharge));
        CoilBox free{one};
        free.open();
        CHECK(free.filled().feedback == ContactorFeedback::open);
        CHECK_FALSE(free.filled().stuck);
    }
}

TEST_CASE("gpio sequence: a disagreement adds up, is forgotten four times slower, and never weighs more than twice its bound")
{
    // SAFE-148
    CoilBox b;
    b.reach(Step::closed);
    b.run(2s);
    REQUIRE(b.sequence.coils(b.now).economiser);
    REQUIRE_FALSE(b.sequence.moving());
    b.positive = false;
    b.look();  // from here on it is known
    b.look(200ms - 1us);
    CHECK_FALSE(b.filled().feedback_wrong);
    CHECK(b.sequence.moving());
    b.look(1us);
    CHECK(b.filled().feedback_wrong);
    b.run(10s);
    b.positive.reset();
    b.look(1600ms - 4us);
    CHECK(b.filled().feedback_wrong);
    CHECK(b.sequence.moving());
    b.look(4us);
    CHECK_FALSE(b.filled().feedback_wrong);
    CHECK_FALSE(b.sequence.moving());
    // One look in the middle that agrees is no time of disagreement, before or after.
    b.positive = false;
    b.look();
    b.positive.reset();
    b.look(100ms);
    b.positive = false;
    b.look(150ms);
    CHECK_FALSE(b.filled().feedback_wrong);
    CHECK_FALSE(b.sequence.coils(b.now).economiser);
    b.look(200ms);
    CHECK(b.filled().feedback_wrong);
}

TEST_CASE("gpio sequence: an opening ends the doubts of before, and outputs that do not follow then are a fault of their own")
{
    // SAFE-148
    CoilBox b;
    b.reach(Step::closed);
    b.lines.outputs_agree = false;
    b.run(300ms);
    REQUIRE(b.filled().feedback_wrong);
    b.sequence.obey(ContactorOrder::open, true, b.now);
    CHECK_FALSE(b.filled().stuck);
    CHECK_FALSE(b.filled().feedback_wrong);
    CHECK(b.faults().empty());
    b.run(190ms);
    CHECK(b.faults().empty());
    b.run(30ms);
    REQUIRE(b.faults() == std::vector{FaultId::contactor_feedback});
    CHECK(b.sequence.faults()[0].detail == "outputs");
    CHECK(b.sequence.faults()[0].level == FaultClass::trip);
    CHECK(b.sequence.faults()[0].direction == Direction::both);
    CHECK(b.sequence.faults()[0].device == Device::battery);
    CHECK(b.filled().stuck);
    CHECK(b.step() == Step::verify);
    b.lines.outputs_agree = true;
    b.run(3s);
    CHECK(b.faults().empty());
    CHECK(b.step() == Step::open);
    b.lines.outputs_agree = false;
    b.run(300ms);
    CHECK(b.step() == Step::verify);
}

TEST_CASE("gpio sequence: lines that are not held are told with the reason, give no current a way and say nothing of contacts")
{
    // SAFE-159
    CoilBox b;
    b.reach(Step::closed);
    CHECK(b.filled().carrying);
    CHECK(b.filled().lines_held);
    b.lines.held = false;
    b.lines.trouble.assign("busy");
    b.look();
    CHECK(b.step() == Step::start);
    CHECK_FALSE(b.filled().carrying);
    CHECK_FALSE(b.filled().lines_held);
    CHECK_FALSE(b.filled().feedback);
    CHECK_FALSE(b.filled().stuck);
    REQUIRE(b.faults() == std::vector{FaultId::gpio_lines});
    CHECK(b.sequence.faults()[0].detail == "busy");
    CHECK(b.sequence.faults()[0].level == FaultClass::block);
    CHECK(b.sequence.faults()[0].direction == Direction::both);
    CHECK(b.sequence.faults()[0].device == Device::gateway);
    for (int i = 0; i < 500; ++i) {
        b.look();
        REQUIRE(b.step() == Step::start);
    }
    CHECK_FALSE(b.sequence.moving());
    // Nothing closes meanwhile, and afterwards they must have been seen open for half a second again.
    b.sequence.obey(ContactorOrder::close, false, b.now);
    CHECK(b.step() == Step::start);
    b.lines.held = true;
    b.look();
    CHECK(b.sequence.moving());
    b.look(500ms - 1us);
    CHECK(b.step() == Step::start);
    b.look(1us);
    CHECK(b.step() == Step::open);
}

TEST_CASE("gpio sequence: it is looked at often while something moves, and for three seconds of waiting to see them open")
{
    // SAFE-140
    CoilBox b;
    b.positive = true;
    b.look();
    CHECK(b.sequence.moving());
    b.look(3s - 1us);
    CHECK(b.sequence.moving());
    b.look(1us);
    CHECK_FALSE(b.sequence.moving());
    CoilBox c;
    c.open();
    CHECK_FALSE(c.sequence.moving());
    for (const Step s : {Step::negative, Step::precharge, Step::overlap}) {
        c.reach(s);
        CHECK(c.sequence.moving());
    }
    c.sequence.obey(ContactorOrder::keep, false, c.now);
    CHECK(c.step() == Step::stopping);
    CHECK(c.sequence.moving());
    c.sequence.obey(ContactorOrder::open, false, c.now);
    CHECK(c.sequence.moving());
}

TEST_CASE("gpio sequence: a reading is believed for 200 ms, and loops are asked for only where there are any")
{
    // SAFE-021, SAFE-148
    CoilBox b;
    b.open();
    const auto later = [](CoilBox& box, Duration time) {
        box.now += time;
        box.sequence.look(box.lines, box.measured, box.now);
    };
    later(b, 200ms);
    CHECK(b.filled().feedback == ContactorFeedback::open);
    CHECK(b.filled().loops_well);
    later(b, 1us);
    CHECK_FALSE(b.filled().feedback);
    CHECK_FALSE(b.filled().loops_well);
    for (const int wired : {0, 1, 2}) {
        SafetyConfig::Contactors c = Rig::usual();
        if (wired != 1) c.gpio.interlock.reset();
        if (wired != 2) c.gpio.emergency_stop.reset();
        CoilBox without{c};
        without.open();
        later(without, 300ms);
        CHECK(without.filled().loops_well == (wired == 0));
    }
}

TEST_CASE("gpio sequence: the link is high up to a twentieth below the pack, while off and where the inverter does not feed it")
{
    // SAFE-143, SAFE-147
    CoilBox b;
    b.open();
    CHECK(b.filled().link_known);
    for (const int milli : {379'999, 380'000, 420'000, 420'001}) {
        b.measured.link = Voltage::from_milli(milli);
        b.look();
        CHECK(b.filled().link_high == (milli == 380'000 || milli == 420'000));
    }
    b.measured.link = 400_V;
    for (const bool link : {false, true}) {
        CoilBox missing = b;
        (link ? missing.measured.link : missing.measured.pack).reset();
        missing.look();
        CHECK_FALSE(missing.filled().link_known);
        CHECK_FALSE(missing.filled().link_high);
    }
    b.sequence.obey(ContactorOrder::close, false, b.now);
    b.look();
    CHECK_FALSE(b.filled().link_high);
    SafetyConfig::Contactors fed = Rig::usual();
    fed.inverter_feeds_link = true;
    CoilBox f{fed};
    f.measured.link = 400_V;
    f.open();
    CHECK_FALSE(f.filled().link_high);
    SafetyConfig::Contactors timer = Rig::usual();
    timer.precharge.timer = true;
    CoilBox t{timer};
    t.measured.link.reset();
    t.open();
    CHECK(t.filled().link_known);
}

TEST_CASE("gpio sequence: what each step is shown as, and each closing that failed is counted with why")
{
    // SAFE-140, SAFE-146
    CoilBox b;
    CHECK(b.filled().phase == ContactorPhase::settling);
    b.open();
    CHECK(b.filled().phase == ContactorPhase::open);
    const auto shown = [&](Step s, ContactorPhase phase, std::optional<ContactorFeedback> feedback, bool carrying) {
        REQUIRE(b.step() == s);
        const ContactorInput in = b.filled();
        CHECK(in.phase == phase);
        CHECK(in.feedback == feedback);
        CHECK(in.carrying == carrying);
        return in.closing_step;
    };
    using Feedback = ContactorFeedback;
    b.reach(Step::negative);
    CHECK(shown(Step::negative, ContactorPhase::closing, Feedback::precharging, false) == State::neg_closed);
    b.reach(Step::precharge);
    CHECK(shown(Step::precharge, ContactorPhase::closing, Feedback::precharging, false) == State::precharge);
    b.reach(Step::overlap);
    CHECK(shown(Step::overlap, ContactorPhase::closing, Feedback::precharging, true) == State::pos_closed);
    b.reach(Step::closed);
    shown(Step::closed, ContactorPhase::closed, Feedback::closed, true);
    b.sequence.obey(ContactorOrder::open, false, b.now);
    shown(Step::opening, ContactorPhase::opening, std::nullopt, false);
    b.sequence.obey(ContactorOrder::open, true, b.now);
    shown(Step::verify, ContactorPhase::settling, std::nullopt, false);  // not read since
    b.look();
    shown(Step::verify, ContactorPhase::settling, Feedback::open, false);
    b.measured.link = 0_V;
    b.run(1s);
    CHECK(b.filled().close_failures == 0);
    for (unsigned n = 1; n <= 2; ++n) {
        b.reach(Step::negative);
        b.negative = false;
        b.run(300ms);
        CHECK(b.filled().close_failures == n);
        CHECK(b.filled().close_problem == "contact");
        b.negative.reset();
        b.run(1s);
    }
    b.reach(Step::overlap);
    b.sequence.obey(ContactorOrder::keep, false, b.now);
    shown(Step::stopping, ContactorPhase::closed, Feedback::closed, true);
    b.positive = false;
    b.run(300ms);
    CHECK(b.filled().feedback_wrong);
}

TEST_CASE(
    "gpio sequence: a link that stays up after an opening, and nobody can tell why, is doubtful and a warning with that word")
{
    // SAFE-156
    SafetyConfig::Contactors c = Rig::usual();
    c.gpio.negative_feedback = c.gpio.positive_feedback = std::nullopt;
    c.inverter_feeds_link = true;
    CoilBox b{c};
    b.reach(Step::closed);
    b.sequence.obey(ContactorOrder::open, true, b.now);
    b.run(59s);
    CHECK_FALSE(b.filled().link_doubtful);
    CHECK(b.faults().empty());
    b.run(2s);
    CHECK(b.filled().link_doubtful);
    CHECK_FALSE(b.filled().stuck);
    REQUIRE(b.faults() == std::vector{FaultId::weld_suspected});
    CHECK(b.sequence.faults()[0].level == FaultClass::warn);
    CHECK(b.sequence.faults()[0].direction == Direction::none);
    CHECK(b.sequence.faults()[0].detail == "undetermined");
    CHECK(b.step() == Step::open);
    b.sequence.obey(ContactorOrder::close, false, b.now);
    b.look();
    CHECK_FALSE(b.filled().link_doubtful);
    CHECK(b.faults().empty());
    // Broken off before a current had a way, nothing is waited for; broken off after, the link is to fall.
    b.sequence.obey(ContactorOrder::open, false, b.now);
    b.run(70s);
    CHECK(b.faults().empty());
    b.measured.link = 400_V;
    b.reach(Step::overlap);
    b.sequence.obey(ContactorOrder::open, false, b.now);
    b.run(70s);
    CHECK(b.faults() == std::vector{FaultId::weld_suspected});
}

TEST_CASE(
    "gpio sequence: after a step that does not exist nothing is energised, and what was connected is watched as after an opening")
{
    // SAFE-140
    CoilBox b;
    b.reach(Step::closed);
    b.sequence.force(static_cast<Step>(77));
    CHECK_FALSE(b.sequence.coils(b.now).any_main());
    b.look();
    CHECK(b.step() == Step::verify);
    CHECK(b.filled().stuck);
    CHECK(b.filled().phase == ContactorPhase::settling);
    // Contacts that open within their time are open; that it happened stays.
    b.run(300ms);
    CHECK(b.step() == Step::open);
    CHECK(b.filled().stuck);
}
