#include "safety/heartbeat.hpp"

#include <doctest/doctest.h>

#include <array>
#include <optional>

using namespace batgw;

namespace {

constexpr Instant t0{Duration{12'345'678'901}};

// Asked every 10 ms, as while contactors move.
struct Line {
    explicit Line(unsigned hz = 10) : heartbeat{hz} {}
    Heartbeat heartbeat;
    Heartbeat::Input in{.lines_held = true};
    Instant now = t0;
    bool level = false;
    unsigned changes = 0;
    std::optional<Instant> changed;

    void ask()
    {
        const bool before = level;
        level = heartbeat.update(in, now);
        if (level == before) return;
        ++changes;
        changed = now;
    }
    void run(Duration time)
    {
        for (const Instant end = now + time; now < end;) {
            now += 10ms;
            ask();
        }
    }
    unsigned changes_in(Duration time)
    {
        changes = 0;
        run(time);
        return changes;
    }
};

}  // namespace

TEST_CASE("heartbeat: the line changes as often as it is told, from the first evaluation on")
{
    // SAFE-213
    Line line;
    line.ask();
    CHECK(line.level);
    CHECK(line.heartbeat.next() == t0 + 100ms);
    CHECK(line.changes_in(10s) == 100);
    CHECK(Line{20}.changes_in(10s) == 200);
    CHECK(Line{1}.changes_in(10s) == 10);
    CHECK(Line{0}.changes_in(10s) == 10);  // never none at all
}

TEST_CASE("heartbeat: what asks that it stop leaves the line low at once, and it goes on afterwards")
{
    // SAFE-213
    using Input = Heartbeat::Input;
    const std::array<void (*)(Input&), 8> reasons{[](Input& in) { in.lines_held = false; }, [](Input& in) { in.stopped = true; },
        [](Input& in) { in.contactors = ContactorState::emergency; }, [](Input& in) { in.contactors = ContactorState::lockout; },
        [](Input& in) { in.worst = FaultClass::emergency; }, [](Input& in) { in.worst = static_cast<FaultClass>(99); },
        [](Input& in) { in.stall = FaultClass::block; }, [](Input& in) { in.stall = FaultClass::emergency; }};
    for (const auto& reason : reasons) {
        Line line;
        line.run(1s);
        while (!line.level) line.run(10ms);
        reason(line.in);
        line.run(10ms);
        CHECK_FALSE(line.level);
        CHECK(line.changes_in(5s) == 0);
        line.in = {.lines_held = true};
        CHECK(line.changes_in(5s) == 50);
    }
    Line well;
    well.in.worst = FaultClass::trip;
    well.in.stall = FaultClass::warn;
    well.in.contactors = ContactorState::cooldown;
    CHECK(well.changes_in(5s) == 50);
}

TEST_CASE("heartbeat: interrupted for more than a second over energised coils it rests until all have been off for a beat")
{
    // SAFE-213
    for (const bool level : {false, true})
        for (const bool dead : {false, true}) {
            CAPTURE(level);
            CAPTURE(dead);
            Line line;
            line.run(1s);
            line.in.coils_on = true;
            line.run(1s);
            while (line.level != level || line.now != line.changed) line.run(10ms);

            Line short_gap = line;
            short_gap.now += 1s;
            short_gap.ask();
            CHECK_FALSE(short_gap.heartbeat.lost());
            CHECK(short_gap.level != level);

            if (dead) line.in.stall = FaultClass::block;
            line.now += 1s + 1us;
            line.ask();
            CHECK(line.heartbeat.lost());
            CHECK(line.heartbeat.next() == line.now + 100ms);
            CHECK(line.changes_in(3s) == 0);
            CHECK(line.heartbeat.lost());
            line.in.coils_on = false;
            line.run(10ms);
            const Instant off = line.now;
            CHECK(line.changes_in(90ms) == 0);
            CHECK(line.heartbeat.lost());
            line.run(10ms);
            CHECK_FALSE(line.heartbeat.lost());
            CHECK(line.now - off == 100ms);
            CHECK(line.level == (!dead && !level));
        }
}

TEST_CASE("heartbeat: a gap whose end opens the contactors counts, one without coils does not")
{
    // SAFE-213
    Line line;
    line.run(1s);
    line.in.coils_on = true;
    line.run(1s);
    line.now += 2s;
    line.in.coils_on = false;
    line.changes = 0;
    line.ask();
    CHECK(line.heartbeat.lost());
    CHECK(line.changes == 0);
    CHECK(line.changes_in(90ms) == 0);
    CHECK(line.changes_in(10ms) == 1);
    CHECK_FALSE(line.heartbeat.lost());

    line.now += 20s;
    line.ask();
    CHECK_FALSE(line.heartbeat.lost());
    CHECK(line.changes_in(1s) == 10);
    line.in.coils_on = true;  // and they may close then
    CHECK(line.changes_in(1s) == 10);
    CHECK_FALSE(line.heartbeat.lost());
}
