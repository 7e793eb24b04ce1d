#include "safety/links.hpp"

#include <doctest/doctest.h>

#include <optional>

using namespace batgw;

namespace {

constexpr Instant t0{Duration{12'345'678'901}};
constexpr Duration tick = 100ms;

}  // namespace

TEST_CASE("battery link: lost at 10 s without a valid frame, contactors open at 60 s")
{
    // SAFE-170
    const SafetyConfig config;
    BatteryLink link{t0};
    const Instant last = t0 + 5s;
    for (Instant now = last; now <= last + 70s; now += tick) {
        const auto r = link.update(last, now - last < 2s, false, config, now);
        CAPTURE((now - last) / 1ms);
        REQUIRE(r.lost == (now - last >= 10s));
        REQUIRE(r.alive == (now - last < 10s));
        REQUIRE(r.open == (now - last >= 60s));
        REQUIRE(r.age == now - last);
        REQUIRE_FALSE(r.missing);
    }
}

TEST_CASE("battery link: a break of 8 s is no loss, after longer ones it is back with 5 s of fresh data")
{
    // SAFE-170
    for (const Duration away : {8s, 20s, 70s}) {
        const SafetyConfig config;
        BatteryLink link{t0};
        std::optional<Instant> heard = t0;
        const Instant back = t0 + away;
        bool opened = false;
        for (Instant now = t0; now <= back + 10s; now += tick) {
            if (now >= back) heard = now;
            const auto r = link.update(heard, now >= back || now < t0 + 2s, false, config, now);
            opened = opened || r.open;
            CAPTURE(away / 1s);
            CAPTURE((now - t0) / 1ms);
            const bool lost = away > 10s && now >= t0 + 10s && now < back + 5s;
            REQUIRE(r.lost == lost);
        }
        CHECK(opened == (away > 60s));
    }
}

TEST_CASE("battery link: frames that bring no fresh data do not end the loss")
{
    // SAFE-170
    const SafetyConfig config;
    BatteryLink link{t0};
    link.update(t0, true, false, config, t0);
    CHECK(link.update(t0, false, false, config, t0 + 10s).lost);
    for (Instant now = t0 + 11s; now < t0 + 30s; now += tick) REQUIRE(link.update(now, false, false, config, now).lost);
    // Fresh for 4.9 s, a gap, and the time starts anew.
    Instant now = t0 + 30s;
    for (; now < t0 + 34900ms; now += tick) REQUIRE(link.update(now, true, false, config, now).lost);
    CHECK(link.update(now, false, false, config, now).lost);
    now += tick;
    const Instant again = now;
    for (; now < again + 5s; now += tick) REQUIRE(link.update(now, true, false, config, now).lost);
    CHECK_FALSE(link.update(now, true, false, config, now).lost);
}

TEST_CASE("battery link: a battery that never spoke is missing, not lost, and is never told to open")
{
    // SAFE-170, SAFE-161
    const SafetyConfig config;
    BatteryLink link{t0};
    CHECK_FALSE(link.update({}, false, false, config, t0 + 9900ms).missing);
    const auto r = link.update({}, false, false, config, t0 + 3600s);
    CHECK(r.missing);
    CHECK_FALSE(r.lost);
    CHECK_FALSE(r.open);
    CHECK_FALSE(r.alive);
    CHECK(r.age == for_ever);
    CHECK(link.update(t0 + 3601s, false, false, config, t0 + 3601s).alive);
}

TEST_CASE("battery link: nothing sent for 10 s is a loss though frames come in; `never` never opens")
{
    // SAFE-170, SAFE-263
    SafetyConfig config;
    config.link_lost_open = for_ever;
    BatteryLink link{t0};
    CHECK(link.update(t0, true, true, config, t0).lost);
    CHECK(link.update(t0 + 5s, true, false, config, t0 + 5s).lost);
    CHECK_FALSE(link.update(t0 + 10s, true, false, config, t0 + 10s).lost);
    const auto r = link.update(t0 + 10s, true, false, config, t0 + 100'000s);
    CHECK(r.lost);
    CHECK_FALSE(r.open);
    // A frame received a moment after `now` was read is new, not very old.
    CHECK(link.update(t0 + 100'001s, true, false, config, t0 + 100'000s).age == Duration{});
}

TEST_CASE("inverter link: lost after its time-out, contactors open 60 s after that, back with the first frame")
{
    // SAFE-180, SAFE-181
    const SafetyConfig::InverterLink config;
    InverterLink link{t0};
    CHECK(link.update(t0, false, config, t0).returned);
    for (Instant now = t0 + tick; now <= t0 + 130s; now += tick) {
        const auto r = link.update(t0, false, config, now);
        CAPTURE((now - t0) / 1ms);
        REQUIRE(r.alive == (now < t0 + 60s));
        REQUIRE(r.lost == (now >= t0 + 60s));
        REQUIRE(r.blocks == r.lost);
        REQUIRE(r.open == (now >= t0 + 120s));
        REQUIRE_FALSE(r.returned);
    }
    auto r = link.update(t0 + 131s, false, config, t0 + 131s);
    CHECK(r.alive);
    CHECK(r.returned);
    CHECK_FALSE(r.lost);
    CHECK_FALSE(r.blocks);
    CHECK_FALSE(r.open);
    // SAFE-182: one evaluation says that it came back; the next loss counts from its own detection.
    CHECK_FALSE(link.update(t0 + 131s, false, config, t0 + 132s).returned);
    CHECK(link.update(t0 + 131s, false, config, t0 + 191s).lost);
    CHECK_FALSE(link.update(t0 + 131s, false, config, t0 + 250s).open);
    CHECK(link.update(t0 + 131s, false, config, t0 + 251s).open);
}

TEST_CASE("inverter link: an inverter that never spoke blocks at once and is lost after the time-out from start")
{
    // SAFE-180
    const SafetyConfig::InverterLink config;
    InverterLink link{t0};
    auto r = link.update({}, false, config, t0);
    CHECK_FALSE(r.alive);
    CHECK(r.blocks);
    CHECK_FALSE(r.lost);
    r = link.update({}, false, config, t0 + 60s);
    CHECK(r.lost);
    CHECK(r.age == for_ever);
}

TEST_CASE("inverter link: where the check is information only, a loss touches no grant")
{
    // SAFE-180, SAFE-181
    SafetyConfig::InverterLink config;
    config.information_only = true;
    config.lost_open_after = for_ever;
    InverterLink link{t0};
    const auto r = link.update(t0, false, config, t0 + 100'000s);
    CHECK(r.lost);
    CHECK_FALSE(r.blocks);
    CHECK_FALSE(r.open);
}

TEST_CASE("inverter link: nothing sent for 10 s is a loss")
{
    // SAFE-180, SAFE-263
    const SafetyConfig::InverterLink config;
    InverterLink link{t0};
    CHECK(link.update(t0, true, config, t0).lost);
    CHECK(link.update(t0, false, config, t0 + 1s).returned);
}

TEST_CASE("black start: without it no contactor closes onto a silent inverter")
{
    // SAFE-183
    SafetyConfig::InverterLink config;
    BlackStart start;
    const auto r = start.update(false, false, config, t0);
    CHECK_FALSE(r.allowed);
    // Found closed all the same: not ours to use, and not ours to give up.
    const auto found = start.update(true, false, config, t0 + 1s);
    CHECK_FALSE(found.in_use);
    CHECK_FALSE(start.update(true, false, config, t0 + 3600s).open);
}

TEST_CASE("black start: an inverter that comes within 10 min keeps the contactors closed for good")
{
    // SAFE-183
    SafetyConfig::InverterLink config;
    config.black_start = true;
    BlackStart start;
    CHECK(start.update(false, false, config, t0).allowed);
    auto r = start.update(true, false, config, t0);
    CHECK(r.in_use);
    CHECK(r.allowed);
    CHECK_FALSE(start.update(true, false, config, t0 + 539s).open);
    r = start.update(true, true, config, t0 + 540s);
    CHECK_FALSE(r.in_use);
    // It came; should it go again, that is a lost inverter, not a black start.
    r = start.update(true, false, config, t0 + 7200s);
    CHECK_FALSE(r.in_use);
    CHECK_FALSE(r.open);
}

TEST_CASE("black start: given up after 10 min, tried again after 30, three times a day")
{
    // SAFE-183
    SafetyConfig::InverterLink config;
    config.black_start = true;
    BlackStart start;
    Instant now = t0;
    for (int attempt = 0; attempt < 3; ++attempt) {
        CAPTURE(attempt);
        CHECK(start.update(false, false, config, now).allowed);
        CHECK_FALSE(start.update(true, false, config, now).open);
        CHECK_FALSE(start.update(true, false, config, now + 600s - 1us).open);
        auto r = start.update(true, false, config, now + 600s);
        CHECK(r.open);
        CHECK_FALSE(r.allowed);
        CHECK(start.update(true, false, config, now + 608s).open);  // until they are open
        now += 600s;
        r = start.update(false, false, config, now + 609s - 600s);
        CHECK_FALSE(r.open);
        CHECK_FALSE(r.in_use);
        CHECK_FALSE(r.allowed);
        CHECK_FALSE(start.update(false, false, config, now + 1800s - 1us).allowed);
        now += 1800s;
    }
    CHECK_FALSE(start.update(false, false, config, now).allowed);
    CHECK_FALSE(start.update(false, false, config, t0 + 86'400s - 1us).allowed);
    CHECK(start.update(false, false, config, t0 + 86'400s).allowed);
}

TEST_CASE("black start: no inverter can be missed where the link check is information only")
{
    // SAFE-183
    SafetyConfig::InverterLink config;
    config.black_start = true;
    config.information_only = true;
    BlackStart start;
    CHECK(start.update(true, false, config, t0).in_use);
    CHECK_FALSE(start.update(true, false, config, t0 + 86'000s).open);
}

TEST_CASE("black start: of more than three tries the last three count, each for a day")
{
    // SAFE-183
    SafetyConfig::InverterLink config;
    config.black_start = true;
    BlackStart start;
    // Closed by somebody, an inverter comes, opened again: at 0, 1, 2 and 3 hours.
    for (const Duration t : {0s, 3600s, 7200s, 10'800s}) {
        CHECK(start.update(true, false, config, t0 + t).in_use);
        CHECK_FALSE(start.update(true, true, config, t0 + t + 60s).in_use);
        start.update(false, false, config, t0 + t + 120s);
    }
    CHECK_FALSE(start.update(false, false, config, t0 + 86'400s).allowed);
    CHECK_FALSE(start.update(false, false, config, t0 + 90'000s - 1us).allowed);
    CHECK(start.update(false, false, config, t0 + 90'000s).allowed);
}

TEST_CASE("inverter link: a frame received a moment after `now` was read is new")
{
    // SAFE-180
    const SafetyConfig config;
    InverterLink inverter{t0};
    CHECK(inverter.update(t0 + 1s, false, config.inverter_link, t0).age == Duration{});
}

TEST_CASE("battery link: one that never spoke is missing from the moment on at which it would be lost")
{
    // SAFE-170
    const SafetyConfig config;
    BatteryLink link{t0};
    CHECK_FALSE(link.update(std::nullopt, false, false, config, t0 + config.link_lost - 1us).missing);
    CHECK(link.update(std::nullopt, false, false, config, t0 + config.link_lost).missing);
}

TEST_CASE("inverter link: a bus that is dead from the first moment on is a loss that begins then")
{
    // SAFE-181
    const SafetyConfig config;
    InverterLink link{t0};
    CHECK_FALSE(link.update(std::nullopt, true, config.inverter_link, t0).open);
    CHECK_FALSE(link.update(std::nullopt, true, config.inverter_link, t0 + config.inverter_link.lost_open_after - 1us).open);
    CHECK(link.update(std::nullopt, true, config.inverter_link, t0 + config.inverter_link.lost_open_after).open);
}

TEST_CASE("black start: contactors found closed are a first try, also of a machine that has just been switched on")
{
    // SAFE-183
    SafetyConfig config;
    config.inverter_link.black_start = true;
    const Instant boot{10s};
    BlackStart start;
    const auto first = start.update(true, false, config.inverter_link, boot);
    CHECK(first.in_use);
    CHECK_FALSE(first.open);
    CHECK(first.allowed);
    BlackStart thrice;
    Instant now = boot;
    for (int i = 0; i < 3; ++i) {
        CHECK(thrice.update(false, false, config.inverter_link, now += 1s).allowed);
        thrice.update(true, false, config.inverter_link, now += 1s);
    }
    CHECK_FALSE(thrice.update(false, false, config.inverter_link, now += 1s).allowed);
}
