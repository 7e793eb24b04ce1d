#include "safety/tx_port.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <initializer_list>
#include <random>
#include <vector>

using namespace batgw;

namespace {

constexpr Instant t0{Duration{12'345'678'901}};

// Made-up ids in the manner of an inverter's: limits, something slow, an identification in pages, a poll without a verdict.
constexpr std::array rules{
    TxRule{.id = 0x110, .min_spacing = 1800ms, .period = 2s},
    TxRule{.id = 0x150, .min_spacing = 9s, .period = 10s},
    TxRule{.id = 0x3d0, .min_spacing = 50ms, .period = 1s, .carries_verdict = false, .paged = true},
    TxRule{.id = 0x18ff1234, .len = 6, .extended = true, .carries_verdict = false},
    TxRule{.id = 0x12d, .min_spacing = 40ms, .period = 50ms},
};

CanFrame frame(std::uint32_t id, std::uint8_t first = 0, std::uint8_t second = 0)
{
    CanFrame f;
    f.id = id;
    f.extended = id > 0x7ff;
    f.len = f.extended ? 6 : 8;
    f.data[0] = first;
    f.data[1] = second;
    return f;
}

Stamp stamp(Instant at, Power charge = 5_kW, Power discharge = 5_kW, std::uint64_t sequence = 1)
{
    return {at, sequence, charge, discharge};
}

void queue(TxPort& port, const CanFrame& f, Instant now, const Stamp& s)
{
    Outbox out;
    out.send(f);
    port.queue(out, now, s);
}

// Hands out everything that may go now.
std::vector<CanFrame> drain(TxPort& port, Instant now, const Stamp& newest)
{
    std::vector<CanFrame> out;
    while (const auto f = port.next(now, newest)) {
        out.push_back(*f);
        port.sent(now);
    }
    return out;
}

TrafficCounters counted(const TxPort& port)
{
    TrafficCounters c;
    port.fill(c);
    port.fill(c);  // totals: asked twice they are the same
    return c;
}

}  // namespace

TEST_CASE("transmit port: listed frames leave in the order in which they were first queued")
{
    // SAFE-006
    TxPort port{rules};
    CHECK_FALSE(port.ever_sent());
    CHECK_FALSE(port.last_success());
    queue(port, frame(0x150), t0, stamp(t0));
    queue(port, frame(0x110, 1), t0, stamp(t0));
    queue(port, frame(0x18ff1234), t0, stamp(t0));
    CHECK(port.pending());
    CHECK(port.wake() <= t0);
    const auto out = drain(port, t0, stamp(t0));
    REQUIRE(out.size() == 3);
    CHECK(out[0] == frame(0x150));
    CHECK(out[1] == frame(0x110, 1));
    CHECK(out[2] == frame(0x18ff1234));
    CHECK_FALSE(port.pending());
    CHECK(port.wake() == end_of_time);
    CHECK(port.ever_sent());
    CHECK(port.last_success() == t0);
    CHECK(counted(port).refused == 0);
}

TEST_CASE("transmit port: an unlisted id, the other frame format and a wrong length are refused and counted")
{
    // SAFE-006, SAFE-007
    TxPort port{rules};
    queue(port, frame(0x111), t0, stamp(t0));
    CanFrame extended = frame(0x110);
    extended.extended = true;
    queue(port, extended, t0, stamp(t0));
    CanFrame standard = frame(0x18ff1234);
    standard.extended = false;
    queue(port, standard, t0, stamp(t0));
    CHECK(counted(port).refused == 3);
    CanFrame shorter = frame(0x110);
    shorter.len = 7;
    queue(port, shorter, t0, stamp(t0));
    CHECK(counted(port).refused == 4);
    CHECK(drain(port, t0, stamp(t0)).empty());
    CHECK_FALSE(port.ever_sent());
}

TEST_CASE("transmit port: whatever a driver queues, only what is listed gets out")
{
    // SAFE-006, SAFE-007
    std::mt19937 random{77};
    TxPort port{rules};
    Instant now = t0;
    std::size_t sent = 0;
    for (int i = 0; i < 20'000; ++i) {
        now += Duration{static_cast<std::int64_t>(random() % 200'000)};
        CanFrame f =
            frame(random() % 2 == 0 ? rules[random() % rules.size()].id : random() % 0x800, static_cast<std::uint8_t>(random()));
        if (random() % 8 == 0) f.len = static_cast<std::uint8_t>(random() % 9);
        if (random() % 8 == 0) f.extended = !f.extended;
        const Stamp s = stamp(now);
        queue(port, f, now, s);
        for (const CanFrame& out : drain(port, now, s)) {
            ++sent;
            REQUIRE(std::any_of(rules.begin(), rules.end(),
                [&](const TxRule& r) { return r.id == out.id && r.extended == out.extended && r.len == out.len; }));
        }
    }
    CHECK(sent > 1000);
    CHECK(counted(port).refused > 1000);
}

TEST_CASE("transmit port: a frame built from a verdict older than 1 s is refused, one that carries none is not")
{
    // SAFE-006
    TxPort port{rules};
    queue(port, frame(0x110), t0, stamp(t0 - 1s));
    CHECK(drain(port, t0, stamp(t0 - 1s)).size() == 1);
    queue(port, frame(0x150), t0 + 1ms, stamp(t0 - 1100ms));
    CHECK(drain(port, t0 + 1ms, stamp(t0 - 1100ms)).empty());
    CHECK(counted(port).refused == 1);
    queue(port, frame(0x18ff1234), t0, stamp(t0 - 3600s));
    CHECK(drain(port, t0, stamp(t0 - 3600s)).size() == 1);
    // Ageing while it waits for the bus counts too.
    queue(port, frame(0x150), t0, stamp(t0));
    CHECK(drain(port, t0 + 1001ms, stamp(t0 + 1001ms)).empty());
    CHECK(counted(port).refused == 2);
}

TEST_CASE("transmit port: before the first verdict nothing that needs one leaves")
{
    // SAFE-003, SAFE-006
    TxPort port{rules};
    queue(port, frame(0x110), t0, Stamp{});
    CHECK(drain(port, t0, Stamp{}).empty());
    queue(port, frame(0x110), t0, Stamp{t0, 0, {}, {}});
    CHECK(drain(port, t0, Stamp{}).empty());
    CHECK(counted(port).refused == 2);
}

TEST_CASE("transmit port: a frame encoded before a grant fell is refused, in either direction")
{
    // SAFE-006
    for (const Stamp& newest : {stamp(t0, 4999_W, 5_kW, 2), stamp(t0, 5_kW, 4999_W, 2)}) {
        TxPort port{rules};
        queue(port, frame(0x110), t0, stamp(t0));
        CHECK(drain(port, t0, newest).empty());
        CHECK(counted(port).refused == 1);
    }
    // Risen grants, and a newer verdict with the same ones, supersede nothing; a frame without a verdict is not concerned.
    TxPort port{rules};
    queue(port, frame(0x110), t0, stamp(t0));
    CHECK(drain(port, t0, stamp(t0, 6_kW, 5_kW, 2)).size() == 1);
    queue(port, frame(0x3d0), t0, stamp(t0));
    CHECK(drain(port, t0, stamp(t0, 0_W, 0_W, 2)).size() == 1);
}

TEST_CASE("transmit port: too soon is refused, except a decrease, and that waits for 100 ms after the last frame")
{
    // SAFE-006, SAFE-091
    TxPort port{rules};
    queue(port, frame(0x110, 1), t0, stamp(t0));
    REQUIRE(drain(port, t0, stamp(t0)).size() == 1);

    const Instant soon = t0 + 1799ms;
    queue(port, frame(0x110, 2), soon, stamp(soon));
    CHECK_FALSE(port.pending());
    CHECK(counted(port).refused == 1);
    // An increase is no excuse.
    queue(port, frame(0x110, 2), soon, stamp(soon, 6_kW));
    CHECK(counted(port).refused == 2);

    const Stamp lower = stamp(soon, 5_kW, 4_kW, 2);
    queue(port, frame(0x110, 3), soon, lower);
    auto out = drain(port, soon, lower);
    REQUIRE(out.size() == 1);
    CHECK(out[0].data[0] == 3);

    // The next one lower still, 30 ms later.
    const Instant again = soon + 30ms;
    const Stamp lowest = stamp(again, 3_kW, 4_kW, 3);
    queue(port, frame(0x110, 4), again, lowest);
    CHECK(drain(port, again, lowest).empty());
    CHECK(port.wake() == soon + 100ms);
    // Lower still while it waits: the newest content is what goes.
    const Instant third = soon + 60ms;
    const Stamp zero = stamp(third, 0_W, 4_kW, 4);
    queue(port, frame(0x110, 5), third, zero);
    CHECK(port.wake() == soon + 100ms);
    CHECK(drain(port, soon + 99ms, zero).empty());
    out = drain(port, soon + 100ms, zero);
    REQUIRE(out.size() == 1);
    CHECK(out[0].data[0] == 5);
    CHECK(counted(port).refused == 2);
    // Frames that carry no verdict have no decreases.
    queue(port, frame(0x3d0, 0), t0, stamp(t0));
    drain(port, t0, stamp(t0));
    queue(port, frame(0x3d0, 0), t0 + 49ms, stamp(t0 + 49ms, 0_W, 0_W));
    CHECK(counted(port).refused == 3);
}

TEST_CASE("transmit port: spacing is that of the driver, a late bus does not make the next frame early")
{
    // SAFE-006, SAFE-263
    TxPort port{rules};
    queue(port, frame(0x12d, 1), t0, stamp(t0));
    REQUIRE(port.next(t0, stamp(t0)));
    port.blocked(t0);
    REQUIRE(drain(port, t0 + 45ms, stamp(t0 + 45ms)).size() == 1);
    queue(port, frame(0x12d, 2), t0 + 50ms, stamp(t0 + 50ms));
    CHECK(drain(port, t0 + 50ms, stamp(t0 + 50ms)).size() == 1);
    CHECK(counted(port).refused == 0);
}

TEST_CASE("transmit port: three refusals of one id within 10 s are told, of different ids or over longer time not")
{
    // SAFE-006
    const auto refuse = [](TxPort& port, std::uint32_t id, Instant at) {
        CanFrame f = frame(id);
        f.len = 1;
        queue(port, f, at, stamp(at));
    };
    TxPort port{rules};
    refuse(port, 0x110, t0);
    refuse(port, 0x150, t0);
    refuse(port, 0x110, t0 + 1s);
    refuse(port, 0x150, t0 + 1s);
    CHECK_FALSE(port.refusing(t0 + 1s));
    refuse(port, 0x110, t0 + 10s);
    CHECK(port.refusing(t0 + 10s));
    CHECK_FALSE(port.refusing(t0 + 10s + 1us));
    refuse(port, 0x110, t0 + 11s);
    CHECK(port.refusing(t0 + 11s));

    TxPort slow{rules};
    for (int i = 0; i < 20; ++i) {
        refuse(slow, 0x110, t0 + i * 5001ms);
        CHECK_FALSE(slow.refusing(t0 + i * 5001ms));
    }
    // Ids on no list share one account.
    TxPort strange{rules};
    for (const std::uint32_t id : {0x1u, 0x2u, 0x3u}) refuse(strange, id, t0);
    CHECK(strange.refusing(t0));
}

TEST_CASE("transmit port: newer content replaces older in its place, pages are messages of their own")
{
    // SAFE-263
    TxPort port{rules};
    queue(port, frame(0x110, 1), t0, stamp(t0));
    for (std::uint8_t page = 0; page < 4; ++page) queue(port, frame(0x3d0, page, 1), t0, stamp(t0));
    queue(port, frame(0x150), t0, stamp(t0));
    queue(port, frame(0x3d0, 2, 9), t0 + 1ms, stamp(t0 + 1ms));
    queue(port, frame(0x110, 7), t0 + 1ms, stamp(t0 + 1ms));
    const auto out = drain(port, t0 + 1ms, stamp(t0 + 1ms));
    REQUIRE(out.size() == 6);
    CHECK(out[0] == frame(0x110, 7));
    CHECK(out[1] == frame(0x3d0, 0, 1));
    CHECK(out[3] == frame(0x3d0, 2, 9));
    CHECK(out[5] == frame(0x150));
    // More pages than there is room for are refused.
    for (std::uint8_t page = 4; page < 10; ++page) queue(port, frame(0x3d0, page), t0 + 1s, stamp(t0 + 1s));
    CHECK(drain(port, t0 + 1s, stamp(t0 + 1s)).size() == 4);
    CHECK(counted(port).refused == 2);
}

TEST_CASE("transmit port: what a full outbox could not take is counted")
{
    // SAFE-260
    TxPort port{rules};
    Outbox out;
    for (int i = 0; i < 35; ++i) out.send(frame(0x110));
    port.queue(out, t0, stamp(t0));
    CHECK(counted(port).dropped == 3);
}

TEST_CASE("transmit port: a full queue is tried again at the next 5 ms tick, in order, and only then")
{
    // SAFE-263
    TxPort port{rules};
    queue(port, frame(0x110), t0, stamp(t0));
    queue(port, frame(0x150), t0, stamp(t0));
    REQUIRE(port.next(t0, stamp(t0)) == frame(0x110));
    port.blocked(t0);
    CHECK_FALSE(port.next(t0, stamp(t0)));
    CHECK(port.wake() == t0 + 5ms);
    CHECK_FALSE(port.next(t0 + 4999us, stamp(t0)));
    const auto out = drain(port, t0 + 5ms, stamp(t0));
    REQUIRE(out.size() == 2);
    CHECK(out[0].id == 0x110);
    // Telling of a result without a frame in hand changes nothing.
    port.sent(t0 + 6ms);
    CHECK(port.last_success() == t0 + 5ms);
}

TEST_CASE("transmit port: slow, each message leaves once a second with its newest content, and nothing of it is trouble")
{
    // SAFE-264
    TxPort port{rules};
    port.slow(true, t0);
    std::vector<Instant> sent_at;
    std::uint8_t beat = 0;
    Instant now = t0;
    for (; now < t0 + 5s; now += 50ms) {
        queue(port, frame(0x12d, ++beat), now, stamp(now));
        for (const CanFrame& f : drain(port, now, stamp(now))) {
            CHECK(f.data[0] == beat);
            sent_at.push_back(now);
        }
        REQUIRE_FALSE(port.starved(now));
    }
    REQUIRE(sent_at.size() == 5);
    for (std::size_t i = 0; i < sent_at.size(); ++i) CHECK(sent_at[i] == t0 + static_cast<int>(i) * 1s);
    CHECK(counted(port).dropped == 0);
    CHECK(counted(port).missed == 0);
    CHECK(counted(port).refused == 0);
    // At its usual pace again at once, and what waited before does not count as starved.
    port.slow(false, now);
    for (int i = 0; i < 20; ++i, now += 50ms) {
        queue(port, frame(0x12d), now, stamp(now));
        REQUIRE(drain(port, now, stamp(now)).size() == 1);
        REQUIRE_FALSE(port.starved(now));
    }
    CHECK(counted(port).missed == 0);
}

TEST_CASE("transmit port: slow, a lower limit still leaves at once, and what it overtakes is not refused")
{
    // SAFE-264, SAFE-091
    TxPort port{rules};
    port.slow(true, t0);
    queue(port, frame(0x12d, 1), t0, stamp(t0));
    REQUIRE(drain(port, t0, stamp(t0)).size() == 1);
    queue(port, frame(0x12d, 2), t0 + 60ms, stamp(t0 + 60ms));
    const Stamp lower = stamp(t0 + 100ms, 0_W, 5_kW, 2);
    CHECK(drain(port, t0 + 100ms, lower).empty());
    CHECK(port.overtaken() == 1);
    CHECK(counted(port).refused == 0);
    queue(port, frame(0x12d, 3), t0 + 110ms, lower);
    REQUIRE(drain(port, t0 + 110ms, lower).size() == 1);
    queue(port, frame(0x12d, 4), t0 + 160ms, lower);
    CHECK(port.wake() == t0 + 1110ms);
}

TEST_CASE("transmit port: slow, a full queue is tried once a second, and at once when somebody is there")
{
    // SAFE-264
    TxPort port{rules};
    port.slow(true, t0);
    queue(port, frame(0x110), t0, stamp(t0));
    REQUIRE(port.next(t0, stamp(t0)));
    port.blocked(t0);
    CHECK(port.wake() == t0 + 1s);
    CHECK_FALSE(port.next(t0 + 999ms, stamp(t0)));
    port.slow(false, t0 + 999ms);
    CHECK(port.next(t0 + 999ms, stamp(t0)));
}

TEST_CASE("transmit port: after a stall no frame older than its period, and no higher limit than the newest, is seen")
{
    // SAFE-263, SAFE-262
    for (const bool falling : {false, true})
        for (const Duration stall : {Duration{30ms}, Duration{70ms}, Duration{500ms}, Duration{2500ms}, Duration{12s}}) {
            CAPTURE(stall / 1ms);
            TxPort port{rules};
            Instant next_12d = t0, next_110 = t0;
            std::uint8_t beat = 0;
            std::array<Instant, 256> built_at{};
            bool released = false;
            for (Instant now = t0; now < t0 + stall + 200ms; now += 5ms) {
                const Power grant = Power::from_milli(5'000'000 - (falling ? (now - t0) / 1ms * 100 : 0));
                const Stamp s{now, 1, grant, grant};
                if (now >= next_12d) {
                    built_at[++beat] = now;
                    queue(port, frame(0x12d, beat), now, s);
                    next_12d += 50ms;
                }
                if (now >= next_110) {
                    built_at[++beat] = now;
                    queue(port, frame(0x110, beat), now, s);
                    next_110 += 2s;
                }
                const bool stalled = now >= t0 + 5ms && now < t0 + stall;
                while (const auto f = port.next(now, s)) {
                    if (stalled) {
                        port.blocked(now);
                        break;
                    }
                    const Duration age = now - built_at[f->data[0]];
                    REQUIRE(age <= (f->id == 0x12d ? 50ms : Duration{2s}));
                    if (falling) REQUIRE(age == Duration{});  // what was built before the last fall is superseded
                    released = released || now >= t0 + stall;
                    port.sent(now);
                }
            }
            CHECK(released);
            // The bus was at fault, not what was queued.
            CHECK(counted(port).refused == 0);
            if (stall > 100ms) CHECK(counted(port).dropped > 0);
        }
}

TEST_CASE("transmit port: a stalled message goes stale after its period, and is counted")
{
    // SAFE-263
    TxPort port{rules};
    queue(port, frame(0x12d), t0, stamp(t0));
    REQUIRE(port.next(t0, stamp(t0)));
    port.blocked(t0);
    CHECK(port.next(t0 + 50ms, stamp(t0 + 50ms)));
    port.blocked(t0 + 50ms);
    CHECK_FALSE(port.next(t0 + 55ms, stamp(t0 + 55ms)));
    CHECK(counted(port).dropped == 1);
    CHECK(counted(port).refused == 0);
    CHECK_FALSE(port.pending());
    // A rule without a period gets a second.
    queue(port, frame(0x18ff1234), t0, stamp(t0));
    CHECK_FALSE(port.next(t0 + 1001ms, stamp(t0)));
    CHECK(counted(port).dropped == 2);
}

TEST_CASE("transmit port: starved after three periods, missed after two, over with the next success")
{
    // SAFE-260, SAFE-263
    TxPort port{rules};
    Instant now = t0;
    for (; now < t0 + 400ms; now += 5ms) {
        if ((now - t0) % 50ms == Duration{}) queue(port, frame(0x12d), now, stamp(now));
        if (port.next(now, stamp(now))) port.blocked(now);
        CAPTURE((now - t0) / 1ms);
        REQUIRE(port.starved(now) == (now - t0 >= 150ms));
        REQUIRE(counted(port).missed == (now - t0 >= 100ms ? 1U : 0U));
    }
    queue(port, frame(0x12d), now, stamp(now));
    CHECK(drain(port, now, stamp(now)).size() == 1);
    CHECK_FALSE(port.starved(now));
    // A single message that never got out and that nobody repeats starves nobody, nor does it when it comes again an hour later.
    queue(port, frame(0x3d0), now, stamp(now));
    REQUIRE(port.next(now, stamp(now)));
    port.blocked(now);
    for (int i = 1; i < 100; ++i) {
        port.next(now + i * 100ms, stamp(now));
        REQUIRE_FALSE(port.starved(now + i * 100ms));
    }
    const Instant later = now + 3600s;
    queue(port, frame(0x3d0), later, stamp(later));
    CHECK_FALSE(port.starved(later));
    CHECK(drain(port, later, stamp(later)).size() == 1);
    CHECK(counted(port).missed == 1);
}

TEST_CASE("transmit port: dead after 10 s of trying without any success; who stopped trying may start anew")
{
    // SAFE-263
    TxPort port{rules};
    Instant now = t0;
    for (; now < t0 + 12s; now += 5ms) {
        if ((now - t0) % 50ms == Duration{}) queue(port, frame(0x12d), now, stamp(now));
        if (port.next(now, stamp(now))) port.blocked(now);
        REQUIRE(port.dead(now) == (now - t0 >= 10s));
    }
    CHECK(port.dead(now + 9s));
    CHECK_FALSE(port.dead(now + 10s));
    queue(port, frame(0x12d), now, stamp(now));
    CHECK(drain(port, now, stamp(now)).size() == 1);
    CHECK_FALSE(port.dead(now));
}

TEST_CASE("transmit port: after bus-off nothing of before is sent")
{
    // SAFE-262
    TxPort port{rules};
    queue(port, frame(0x110, 1), t0, stamp(t0));
    queue(port, frame(0x150, 1), t0, stamp(t0));
    REQUIRE(port.next(t0, stamp(t0)));
    port.blocked(t0);
    port.discard();
    CHECK_FALSE(port.pending());
    CHECK(counted(port).dropped == 2);
    CHECK(drain(port, t0 + 1ms, stamp(t0 + 1ms)).empty());
    queue(port, frame(0x110, 2), t0 + 2ms, stamp(t0 + 2ms, 1_kW));
    const auto out = drain(port, t0 + 2ms, stamp(t0 + 2ms, 1_kW));
    REQUIRE(out.size() == 1);
    CHECK(out[0].data[0] == 2);
}

TEST_CASE("transmit port: a muted port sends nothing and keeps nothing")
{
    // SAFE-185, SAFE-244
    TxPort port{rules};
    queue(port, frame(0x110), t0, stamp(t0));
    port.mute(true);
    CHECK(port.muted());
    CHECK(drain(port, t0, stamp(t0)).empty());
    queue(port, frame(0x150), t0, stamp(t0));
    queue(port, frame(0x999), t0, stamp(t0));
    CHECK_FALSE(port.pending());
    port.mute(true);
    port.mute(false);
    CHECK(drain(port, t0, stamp(t0)).empty());
    CHECK(counted(port).refused == 0);
    queue(port, frame(0x150), t0, stamp(t0));
    CHECK(drain(port, t0, stamp(t0)).size() == 1);
}

TEST_CASE("transmit port: a message of which no period is stated waits for a second, not longer")
{
    // SAFE-263
    TxPort port{rules};
    queue(port, frame(0x18ff1234), t0, stamp(t0));
    REQUIRE(port.next(t0, stamp(t0)));
    port.blocked(t0);
    CHECK(port.next(t0 + 1s, stamp(t0)) == frame(0x18ff1234));
    port.blocked(t0 + 1s);
    CHECK_FALSE(port.next(t0 + 1s + 5ms, stamp(t0)));
    CHECK(counted(port).dropped == 1);
}

TEST_CASE("transmit port: only a frame that was handed out last can have been sent")
{
    // SAFE-006, SAFE-263
    TxPort idle{rules};
    CHECK_FALSE(idle.next(t0, stamp(t0)));
    idle.sent(t0);
    CHECK_FALSE(idle.ever_sent());

    TxPort port{rules};
    queue(port, frame(0x110), t0, stamp(t0));
    REQUIRE(port.next(t0, stamp(t0)));
    port.mute(true);
    CHECK_FALSE(port.next(t0, stamp(t0)));
    port.sent(t0);
    CHECK_FALSE(port.ever_sent());
    port.mute(false);
    queue(port, frame(0x110), t0, stamp(t0));
    REQUIRE(port.next(t0, stamp(t0)));
    port.blocked(t0);
    port.sent(t0);
    CHECK_FALSE(port.ever_sent());
    REQUIRE(port.next(t0 + 5ms, stamp(t0)));
    port.discard();
    port.sent(t0 + 5ms);
    CHECK_FALSE(port.ever_sent());
}

TEST_CASE("transmit port: is a value, a copy goes its own way")
{
    // SAFE-002
    TxPort port{rules};
    queue(port, frame(0x110), t0, stamp(t0));
    TxPort copy = port;
    CHECK(drain(port, t0, stamp(t0)).size() == 1);
    CHECK(copy.pending());
    CHECK(drain(copy, t0, stamp(t0)) == std::vector{frame(0x110)});
}

TEST_CASE("what a lower verdict overtook is counted, so that its driver can tell the newest")
{
    // SAFE-006, SAFE-263
    TxPort port{rules};
    queue(port, frame(0x110), t0, stamp(t0, 5_kW));
    CHECK(port.overtaken() == 0);
    CHECK_FALSE(port.next(t0 + 1ms, stamp(t0 + 1ms, 4_kW)));
    CHECK(port.overtaken() == 1);
    CHECK_FALSE(port.pending());
}

TEST_CASE("telegrams of a serial line pass the same guard: only what is listed, as long as listed, by a young verdict")
{
    // SAFE-006
    constexpr std::array requests{
        TxRule{.id = 0x90, .len = 13, .carries_verdict = false}, TxRule{.id = 0xd9, .len = 13, .period = 1s}};
    TelegramPort port{requests};
    const auto write = [&](std::uint32_t id, std::uint8_t len, Instant now) {
        Outbox out;
        out.send(Telegram{.id = id, .len = len, .data = {0xa5}});
        port.queue(out, now, stamp(t0));
        const auto telegram = port.next(now, stamp(t0));
        if (telegram) port.sent(now);
        return telegram.has_value();
    };
    CHECK(write(0x90, 13, t0));
    CHECK(write(0xd9, 13, t0));
    CHECK_FALSE(write(0x90, 12, t0));
    CHECK_FALSE(write(0xda, 13, t0));
    CHECK_FALSE(write(0xd9, 13, t0 + 1100ms));  // switching on the word of an old verdict
    CHECK(write(0x90, 13, t0 + 1100ms));        // reading needs none
    TrafficCounters counters;
    port.fill(counters);
    CHECK(counters.refused == 3);
}

TEST_CASE("transmit port: slow, a lower limit in either direction goes at once, the same or a higher one waits for its second")
{
    // SAFE-264, SAFE-091
    const auto wakes = [](std::uint32_t id, Power charge, Power discharge) {
        TxPort port{rules};
        port.slow(true, t0);
        port.slow(true, t0);  // said in every evaluation
        queue(port, frame(id), t0, stamp(t0));
        CHECK(drain(port, t0, stamp(t0)).size() == 1);
        queue(port, frame(id), t0 + 60ms, stamp(t0 + 60ms, charge, discharge));
        return port.wake() <= t0 + 60ms;
    };
    CHECK(wakes(0x12d, 4_kW, 5_kW));
    CHECK(wakes(0x12d, 5_kW, 4_kW));
    CHECK(wakes(0x12d, 6_kW, 4_kW));
    CHECK_FALSE(wakes(0x12d, 5_kW, 5_kW));
    CHECK_FALSE(wakes(0x12d, 6_kW, 6_kW));
    // What carries no verdict has no limit to lower.
    CHECK_FALSE(wakes(0x18ff1234, 4_kW, 4_kW));
}
