// Two batteries that send the same messages on one bus.
#include "safety/second_sender.hpp"

#include <doctest/doctest.h>

#include <array>
#include <chrono>
#include <cstdint>

using namespace batgw;

namespace {

constexpr MessageView message(std::uint32_t id, std::chrono::milliseconds period)
{
    return {.id = id, .extended = false, .len = 8, .name = "made up", .period = period, .signals = {}};
}
constexpr MessageView many(std::uint32_t id, std::uint8_t count)
{
    MessageView m = message(id, 100ms);
    m.count = count;
    return m;
}
// Made up: three in a rhythm, one now and then, one that is ours, one under several identifiers, one in two layouts.
constexpr std::array messages{message(0x100, 100ms), message(0x200, 100ms), message(0x300, 1s), message(0x400, 0ms),
    message(0x500, 100ms), many(0x600, 2), message(0x700, 100ms), message(0x700, 200ms)};
constexpr std::array receives{
    RxRule{0x100}, RxRule{0x200}, RxRule{0x300}, RxRule{0x400}, RxRule{0x600}, RxRule{0x700}, RxRule{0x500, true}};

// Each with so many frames in its own period.
struct Bus {
    SecondSender watch{messages, receives};
    Instant now{std::chrono::hours{3}};
    std::array<unsigned, 3> times{1, 1, 1};
    bool there = false;
    void run(Duration time)
    {
        for (const Instant end = now + time; now < end;) {
            now += 100ms;
            for (const std::size_t i : {0U, 1U, 2U}) {
                const bool due = i < 2 || now.time_since_epoch() % 1s == 0us;
                CanFrame f{static_cast<std::uint32_t>(0x100 * (i + 1))};
                for (unsigned n = 0; due && n < times[i]; ++n) watch.on_frame(f, now);
            }
            // These say nothing either way, however often they come.
            for (const std::uint32_t id : {0x400U, 0x500U, 0x600U, 0x700U}) watch.on_frame(CanFrame{id}, now);
            CanFrame other{0x100};
            other.extended = true;
            watch.on_frame(other, now);
            there = watch.there(now);
        }
    }
};

}  // namespace

TEST_CASE("when every message comes twice as often for twenty seconds there are two batteries; when it ends there are not")
{
    // SAFE-185
    Bus bus;
    bus.run(60s);
    REQUIRE_FALSE(bus.there);
    bus.times = {2, 2, 2};
    bus.run(19s);
    REQUIRE_FALSE(bus.there);
    bus.run(2s);  // the second whole window
    REQUIRE(bus.there);
    bus.times = {1, 1, 1};
    bus.run(21s);
    REQUIRE_FALSE(bus.there);
}

TEST_CASE("one message in another rhythm, a battery that is silent and a gap prove nothing")
{
    // SAFE-185
    Bus one;
    one.times = {2, 2, 1};
    one.run(60s);
    REQUIRE_FALSE(one.there);
    Bus alone;
    alone.times = {2, 0, 0};
    alone.run(60s);
    REQUIRE_FALSE(alone.there);
    Bus silent;
    silent.times = {0, 0, 0};
    silent.run(60s);
    REQUIRE_FALSE(silent.there);
    // Nobody looked for a while: more than a window's share has come.
    Bus held;
    held.run(15s);
    for (int i = 0; i < 400; ++i)
        for (const std::uint32_t id : {0x100U, 0x200U, 0x300U}) held.watch.on_frame(CanFrame{id}, held.now += 20ms);
    REQUIRE_FALSE(held.watch.there(held.now + 10s));
}

TEST_CASE("seventeen frames where ten are due are twice as often, some get lost; fewer are not")
{
    // SAFE-185
    for (const unsigned frames : {169U, 170U}) {
        SecondSender watch{messages, receives};
        Instant now{std::chrono::hours{3}};
        for (int window = 0; window < 2; ++window) {
            for (unsigned n = 0; n < frames; ++n)
                for (const std::uint32_t id : {0x100U, 0x200U}) watch.on_frame(CanFrame{id}, now);
            REQUIRE_FALSE(watch.there(now + 9999ms));
            now += 10s;
            REQUIRE(watch.there(now) == (frames == 170 && window == 1));
        }
    }
}

TEST_CASE("a window that is looked at a tenth late or more holds more than its share, and proves nothing however many follow")
{
    // SAFE-185
    for (const Duration late : {Duration{1s} - 1us, Duration{1s}, Duration{90s}}) {
        CAPTURE(late / 1us);
        SecondSender watch{messages, receives};
        Instant now{std::chrono::hours{3}};
        for (int window = 0; window < 3; ++window) {
            for (unsigned n = 0; n < 2500; ++n)
                for (const std::uint32_t id : {0x100U, 0x200U}) watch.on_frame(CanFrame{id}, now);
            now += 10s + late;
            CHECK(watch.there(now) == (late < 1s && window > 0));
        }
    }
}

TEST_CASE("the quickest message there can be counts like any other")
{
    // SAFE-185
    static constexpr std::array quick{message(0x100, 1ms), message(0x200, 100ms)};
    SecondSender watch{quick, receives};
    Instant now{std::chrono::hours{3}};
    for (int window = 0; window < 2; ++window) {
        for (int n = 0; n < 20'000; ++n) watch.on_frame(CanFrame{0x100}, now);
        for (int n = 0; n < 200; ++n) watch.on_frame(CanFrame{0x200}, now);
        now += 10s;
        CHECK(watch.there(now) == (window == 1));
    }
}

TEST_CASE("a message that is due less than eight times in ten seconds says nothing, and before the first frame there is nobody")
{
    // SAFE-185
    static constexpr std::array slow{message(0x100, 1250ms), message(0x200, 1250ms), message(0x300, 1251ms)};
    static constexpr std::array heard{RxRule{0x100}, RxRule{0x200}, RxRule{0x300}};
    const auto doubled = [](std::initializer_list<std::uint32_t> ids) {
        SecondSender watch{slow, heard};
        Instant now{std::chrono::hours{3}};
        CHECK_FALSE(watch.there(now));
        CHECK_FALSE(watch.there(now + 3600s));
        bool there = false;
        now += 7200s;
        for (int i = 0; i < 60; ++i, now += 500ms) {
            for (const std::uint32_t id : ids) watch.on_frame(CanFrame{id}, now);
            there = watch.there(now);
        }
        return there;
    };
    CHECK(doubled({0x100, 0x200}));
    CHECK_FALSE(doubled({0x100, 0x300}));
}
