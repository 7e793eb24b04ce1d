#include "safety/starts.hpp"

#include <doctest/doctest.h>

using namespace batgw;

namespace {

const SafetyConfig::Process::CrashLoop rule{};  // more than 5 within 600 s

BootMoment at(Duration up, std::string_view boot = "a") { return {.boot = Text<40>{boot}, .up = up}; }

}  // namespace

TEST_CASE("the first start of all, and a start after an orderly stop, are clean")
{
    // SAFE-215
    const StartOutcome first = start_after(std::nullopt, at(100s), rule);
    CHECK_FALSE(first.unclean);
    CHECK_FALSE(first.crash_loop);
    CHECK(first.record.running);
    CHECK(first.record.unclean.empty());
    StartRecord stopped = first.record;
    stopped.running = false;
    const StartOutcome second = start_after(stopped, at(200s), rule);
    CHECK_FALSE(second.unclean);
    CHECK(second.record.running);
    CHECK(second.record.started.up == 200s);
}

TEST_CASE("five unclean starts within ten minutes are borne, the sixth is a loop")
{
    // SAFE-216
    StartOutcome last = start_after(std::nullopt, at(100s), rule);
    for (int crash = 1; crash <= 5; ++crash) {
        last = start_after(last.record, at(100s + crash * 120s), rule);
        REQUIRE(last.unclean);
        REQUIRE_FALSE(last.crash_loop);
        REQUIRE(last.record.unclean.size() == static_cast<std::size_t>(crash));
    }
    SUBCASE("the sixth just within the window of the first")
    {
        CHECK(start_after(last.record, at(100s + 120s + 600s), rule).crash_loop);
    }
    SUBCASE("the sixth just after it") { CHECK_FALSE(start_after(last.record, at(100s + 120s + 600s + 1us), rule).crash_loop); }
    SUBCASE("an orderly stop in between is no crash, and forgets none")
    {
        last.record.running = false;
        last = start_after(last.record, at(100s + 660s), rule);
        CHECK_FALSE(last.crash_loop);
        CHECK(last.record.unclean.size() == 5);
        CHECK(start_after(last.record, at(100s + 661s), rule).crash_loop);
    }
}

TEST_CASE("of a host that was itself restarted the new uptime is what has passed at least")
{
    // SAFE-216
    StartOutcome last = start_after(std::nullopt, at(5000s, "boot 0"), rule);
    for (const std::string_view boot : {"boot 1", "boot 2", "boot 3", "boot 4", "boot 5"}) {
        last = start_after(last.record, at(20s, boot), rule);
        REQUIRE_FALSE(last.crash_loop);
    }
    CHECK(last.record.unclean[4] == 80s);
    CHECK(start_after(last.record, at(20s, "boot 6"), rule).crash_loop);
    CHECK_FALSE(start_after(last.record, at(601s, "boot 6"), rule).crash_loop);
}

TEST_CASE("a record that makes no sense counts no crash twice and none in the future")
{
    StartRecord strange;
    strange.running = true;
    strange.started = at(9000s);  // later than now, of the same boot
    for (const Duration ago : {Duration{-1s}, Duration{5s}, for_ever, Duration{600s}}) strange.unclean.push_back(ago);
    const StartOutcome next = start_after(strange, at(10s), rule);
    CHECK(next.unclean);
    REQUIRE(next.record.unclean.size() == 2);
    CHECK(next.record.unclean[0] == 0s);
    CHECK(next.record.unclean[1] == 15s);
}
