#include "safety/weld_check.hpp"

#include "tests/safety/gpio_rig.hpp"

#include <cmath>
#include <optional>
#include <utility>

using namespace batgw;
using Rig = batgw::test::GpioRig;
using State = ContactorState;

namespace {

SafetyConfig::Contactors without_contacts()
{
    SafetyConfig::Contactors c = Rig::usual();
    c.gpio.negative_feedback = c.gpio.positive_feedback = std::nullopt;
    return c;
}

// Opened by the operator, who then has nothing against closing.
void open(Rig& r)
{
    r.reach(State::closed);
    r.in.causes = OpenCause::operator_;
    r.run(400ms);
    r.in.causes = OpenCause::none;
}

}  // namespace

TEST_CASE("weld: a contact that stays closed is suspected after 200 ms and confirmed when the link follows for a minute")
{
    // SAFE-156
    Rig r;
    r.reach(State::closed);
    r.positive.stuck = r.negative.stuck = true;
    r.in.causes = OpenCause::operator_;
    REQUIRE(r.until(State::open_verify, 2s) != for_ever);
    const Instant off = r.now;
    r.reach(State::lockout);
    CHECK(r.now - off >= 180ms);
    CHECK(r.now - off <= 220ms);
    CHECK(r.fault(FaultId::weld_suspected) == FaultClass::trip);
    r.run(59s);
    CHECK_FALSE(r.fault(FaultId::contactor_welded));
    r.run(2s);
    CHECK(r.fault(FaultId::contactor_welded) == FaultClass::emergency);
    CHECK(r.state() == State::lockout);
    CHECK_FALSE(r.coils.any_main());

    Rig one;  // one contactor alone does not hold the link up
    one.reach(State::closed);
    one.positive.stuck = true;
    one.in.causes = OpenCause::operator_;
    one.reach(State::lockout);
    one.run(120s);
    CHECK(one.fault(FaultId::weld_suspected) == FaultClass::trip);
    CHECK_FALSE(one.fault(FaultId::contactor_welded));

    Rig mended;  // the cause goes; the lock stays, for an operator to reset
    mended.reach(State::closed);
    mended.positive.stuck = true;
    mended.in.causes = OpenCause::operator_;
    mended.reach(State::lockout);
    mended.positive.stuck.reset();
    mended.run(5s);
    CHECK_FALSE(mended.fault(FaultId::weld_suspected));
    CHECK(mended.state() == State::lockout);
}

TEST_CASE("weld: a contact that closes by itself later is a weld, a short bounce is none")
{
    // SAFE-156
    Rig r;
    open(r);
    r.run(1s);
    CHECK(r.state() == State::open);
    r.positive_contact = true;
    r.run(150ms);
    r.positive_contact.reset();
    r.run(1s);
    CHECK(r.state() == State::open);
    r.positive_contact = true;
    r.run(400ms);
    CHECK(r.state() == State::lockout);
}

TEST_CASE("weld: without contacts the link must fall by a tenth of the pack within a minute")
{
    // SAFE-156
    for (const double tau_s : {5.0, 10.0, 60.0, 500.0, 600.0}) {
        CAPTURE(tau_s);
        Rig r{without_contacts()};
        r.bleed_s = tau_s;
        open(r);
        CHECK(r.state() == State::open_verify);
        CHECK(r.coils == Coils{});
        const Duration took = r.until(State::open, 59s);
        CHECK((took != for_ever) == (tau_s < 600));
        if (took != for_ever) CHECK(std::abs(std::chrono::duration<double>(took).count() + 0.3 - tau_s * 0.10536) < 0.3);
    }
    Rig welded{without_contacts()};
    welded.reach(State::closed);
    welded.positive.stuck = welded.negative.stuck = true;
    welded.in.causes = OpenCause::operator_;
    CHECK(welded.until(State::lockout, 70s) > 59s);
    CHECK(welded.state() == State::lockout);
    CHECK(welded.fault(FaultId::weld_suspected) == FaultClass::trip);

    Rig blind{[] {
        SafetyConfig::Contactors c = without_contacts();
        c.precharge.timer = true;
        c.precharge.time = 500ms;
        return c;
    }()};
    blind.link_measured = false;
    open(blind);
    CHECK(blind.until(State::open, 1s) != for_ever);  // nothing to see it by
}

TEST_CASE("weld: a link that the inverter may hold up proves nothing, and a person decides before the next closing")
{
    // SAFE-156
    SafetyConfig::Contactors c = without_contacts();
    c.inverter_feeds_link = true;
    Rig r{c};
    r.reach(State::closed);
    r.fed_v = 402;
    r.in.causes = OpenCause::operator_;
    r.run(70s);
    CHECK(r.state() == State::open);
    CHECK(r.fault(FaultId::weld_suspected) == FaultClass::warn);
    CHECK_FALSE(r.out.is_open);
    r.in.causes = OpenCause::none;
    r.run(20s);
    CHECK(r.out.waiting == Waiting::link_precharged);
    CHECK(r.machine.request_close(r.now));
    CHECK(r.until(State::closed, 20s) != for_ever);

    Rig falls{c};  // the decay comes late: proven after all
    falls.reach(State::closed);
    falls.fed_v = 402;
    falls.in.causes = OpenCause::operator_;
    falls.run(70s);
    falls.fed_v.reset();
    falls.run(5s);
    CHECK_FALSE(falls.fault(FaultId::weld_suspected));
    CHECK(falls.out.is_open);
    falls.in.causes = OpenCause::none;
    falls.machine.request_close(falls.now);
    CHECK(falls.until(State::closed, 20s) != for_ever);

    Rig silent{without_contacts()};  // the inverter says nothing any more: nobody knows
    silent.reach(State::closed);
    silent.in.causes = OpenCause::operator_;
    silent.run(300ms);
    silent.link_measured = false;
    silent.run(70s);
    CHECK(silent.fault(FaultId::weld_suspected) == FaultClass::warn);
}

TEST_CASE("weld: a current through open contactors is one, after a second and three samples")
{
    // SAFE-156
    Rig r;
    open(r);
    r.run(1s);
    r.current = Current::from_milli(2000);
    r.run(5s);
    CHECK(r.state() == State::open);
    r.current = Current::from_milli(-2001);
    r.run(950ms);
    CHECK_FALSE(r.fault(FaultId::contactor_welded));
    r.run(100ms);
    CHECK(r.fault(FaultId::contactor_welded) == FaultClass::emergency);
    CHECK(r.until(State::lockout, 1s) != for_ever);

    WeldCheck w;  // the same sample, looked at again and again, is one sample
    const SafetyConfig::Contactors rules = Rig::usual();
    const Instant t = Rig::start;
    w.begin_after_opening(t, true);
    BoxMeasurements m{.pack = 400_V, .current = 5_A, .current_at = t + 100ms};
    const WeldCheck::Contacts contacts{.wired = true, .fresh = true};
    for (int i = 0; i < 300; ++i) CHECK(w.update(rules, contacts, m, t + i * 10ms) != WeldCheck::Finding::confirmed);
    m.current_at = t + 3s;
    CHECK(w.update(rules, contacts, m, t + 3s) != WeldCheck::Finding::confirmed);
    m.current_at = t + 4s;
    CHECK(w.update(rules, contacts, m, t + 4s) == WeldCheck::Finding::confirmed);
}

// ---- contactors inside the pack ----

namespace {

// 400 V in the pack, the inverter measures its own side once a second.
struct OpenPack {
    FollowsPack watch;
    BoxMeasurements m{.pack = 400_V, .link = 400_V};
    bool open = true, closed = false, measured = true;
    Instant now{Duration{77'000'000}};
    bool run(Duration time)
    {
        bool suspect = false;
        for (const Instant end = now + time; now < end; now += 1s) {
            if (measured) m.link_at = now;
            suspect = watch.update(open, closed, m, 30s, now);
        }
        return suspect;
    }
};

}  // namespace

TEST_CASE("weld: a pack that says open while the inverter's side stays within 3 % of it for ten minutes is suspected")
{
    // SAFE-156 (e)
    OpenPack p;
    p.m.link = 388_V;
    CHECK_FALSE(p.run(600s));
    CHECK(p.run(1s));
    p.m.link = 380_V;
    CHECK(p.run(29s));
    CHECK_FALSE(p.run(2s));

    OpenPack apart;
    apart.m.link = 387_V;
    CHECK_FALSE(apart.run(3600s));
    OpenPack closed;
    closed.open = false;
    closed.closed = true;
    CHECK_FALSE(closed.run(3600s));
    OpenPack dips;  // the link fell once in between
    CHECK_FALSE(dips.run(500s));
    dips.m.link = 300_V;
    dips.run(1s);
    dips.m.link = 400_V;
    CHECK_FALSE(dips.run(500s));
}

TEST_CASE("weld: what nobody measures, or a pack that does not tell, proves nothing in either direction")
{
    // SAFE-156 (e), SAFE-041
    OpenPack p;
    p.m.link.reset();
    CHECK_FALSE(p.run(3600s));
    p.m.link = 400_V;
    CHECK_FALSE(p.run(300s));
    p.open = false;  // feedback lost: the time stands still
    CHECK_FALSE(p.run(3600s));
    p.open = true;
    CHECK_FALSE(p.run(299s));
    CHECK(p.run(4s));
    p.m.link.reset();
    CHECK(p.run(3600s));  // and nothing shows that it is over
    OpenPack old;         // one old reading is no ten minutes of it
    old.measured = false;
    CHECK_FALSE(old.run(3600s));
}

TEST_CASE("weld: before the first closing half a second of open is enough, and a contact that chatters has two seconds")
{
    // SAFE-143
    constexpr Instant t0{Duration{9'000'000'123}};
    const WeldCheck::Rules rules;
    WeldCheck quiet;
    quiet.begin_at_start(t0);
    const WeldCheck::Contacts reads_open{.wired = true, .fresh = true},
        reads_closed{.wired = true, .fresh = true, .any_closed = true};
    CHECK(quiet.update(rules, reads_open, {}, t0) == WeldCheck::Finding::pending);
    CHECK(quiet.update(rules, reads_open, {}, t0 + 500ms - 1us) == WeldCheck::Finding::pending);
    CHECK(quiet.update(rules, reads_open, {}, t0 + 500ms) == WeldCheck::Finding::open);

    WeldCheck chatters;
    chatters.begin_at_start(t0);
    for (Duration t = 0s; t < 2s; t += 100ms)
        CHECK(chatters.update(rules, t % 200ms == 0s ? reads_open : reads_closed, {}, t0 + t) == WeldCheck::Finding::pending);
    CHECK(chatters.update(rules, reads_open, {}, t0 + 2s - 1us) == WeldCheck::Finding::pending);
    CHECK(chatters.update(rules, reads_open, {}, t0 + 2s) == WeldCheck::Finding::suspected);
}

TEST_CASE("weld: without contacts, what was measured before the opening or only on one side proves nothing")
{
    // SAFE-156
    constexpr Instant t0{Duration{9'000'000'123}};
    WeldCheck::Rules rules;
    rules.inverter_feeds_link = false;
    // What is found within the time of the decay, and at its end.
    const auto found = [&](BoxMeasurements m, bool later) {
        WeldCheck w;
        m.link_at = t0;
        w.begin_after_opening(t0, true);
        CHECK(w.update(rules, {}, m, t0) == WeldCheck::Finding::pending);
        if (later) m.link_at = t0 + 1us;
        const auto first = w.update(rules, {}, m, t0 + rules.weld.decay_time - 1us);
        return std::pair{first, w.update(rules, {}, m, t0 + rules.weld.decay_time)};
    };
    using Finding = WeldCheck::Finding;
    using Both = std::pair<Finding, Finding>;
    CHECK(found({.pack = 400_V, .link = 360_V}, true) == Both{Finding::open, Finding::open});
    CHECK(found({.pack = 400_V, .link = Voltage::from_milli(360'001)}, true) == Both{Finding::pending, Finding::suspected});
    CHECK(found({.pack = 400_V, .link = 0_V}, false) == Both{Finding::pending, Finding::undetermined});
    CHECK(found({.link = 0_V}, true) == Both{Finding::pending, Finding::undetermined});
}

TEST_CASE("weld: a contact that stays closed is confirmed only where the link is measured beside the pack, and after the opening")
{
    // SAFE-156
    constexpr Instant t0{Duration{9'000'000'123}};
    const WeldCheck::Rules rules;
    const WeldCheck::Contacts stuck{.wired = true, .fresh = true, .any_closed = true};
    const auto after_a_minute = [&](BoxMeasurements m, bool later) {
        WeldCheck w;
        w.begin_after_opening(t0, true);
        m.link_at = later ? t0 + 1us : t0;
        for (const Duration t : {1ms, 200ms, 30'000ms, 60'201ms}) w.update(rules, stuck, m, t0 + t);
        return w.finding();
    };
    CHECK(after_a_minute({.pack = 400_V, .link = 388_V}, true) == WeldCheck::Finding::confirmed);
    CHECK(after_a_minute({.pack = 400_V, .link = 412_V}, true) == WeldCheck::Finding::confirmed);
    CHECK(after_a_minute({.pack = 400_V, .link = Voltage::from_milli(387'999)}, true) == WeldCheck::Finding::suspected);
    CHECK(after_a_minute({.pack = 400_V, .link = Voltage::from_milli(412'001)}, true) == WeldCheck::Finding::suspected);
    CHECK(after_a_minute({.link = 400_V}, true) == WeldCheck::Finding::suspected);
    CHECK(after_a_minute({.pack = 400_V}, true) == WeldCheck::Finding::suspected);
    CHECK(after_a_minute({.pack = 400_V, .link = 400_V}, false) == WeldCheck::Finding::suspected);
}

TEST_CASE("weld: a pack that says open and does not tell its voltage is not compared")
{
    // SAFE-156 (e)
    OpenPack p;
    p.m.pack.reset();
    CHECK_FALSE(p.run(3600s));
    p.m.pack = 400_V;
    CHECK_FALSE(p.run(600s));
    CHECK(p.run(2s));
}
