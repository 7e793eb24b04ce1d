// The record of faults that stay, over restarts, damage and disks that do not work.
#include "batgw/latch_file.hpp"

#include "batgw/state_file.hpp"
#include "batgw/store.hpp"
#include "tests/batgw/program.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include <sys/stat.h>

using namespace batgw;
using batgw::test::Folder;

namespace {

constexpr BothClocks now{.monotonic = Instant{Duration{5'000'000'000}}, .wall_ms = 1'800'000'000'000};

ActiveFault cell_fault()
{
    ActiveFault f;
    f.id = FaultId::cell_high_crit;
    f.level = FaultClass::trip;
    f.direction = Direction::both;
    f.device = Device::battery;
    f.latched = true;
    f.has_value = true;
    f.unit = Unit::volt;
    f.number = 9;
    f.value_milli = 3712;
    f.limit_milli = 3700;
    f.count = 3;
    f.since = now.monotonic - 90s;
    f.last = now.monotonic - 60s;
    return f;
}
ActiveFault code_fault()
{
    ActiveFault f;
    f.id = FaultId::bms_fault;
    f.level = FaultClass::emergency;
    f.direction = Direction::charge;
    f.device = Device::battery;
    f.repeated = true;
    f.latched = true;
    f.detail.assign("a \"code\" with a \\ and \xC3\xA4");
    f.since = f.last = now.monotonic - 3600s;
    return f;
}
std::vector<ActiveFault> some()
{
    ActiveFault passing = cell_fault();
    passing.id = FaultId::cell_high;
    passing.level = FaultClass::block;
    passing.latched = false;
    return {passing, cell_fault(), code_fault()};
}

void check_same(const ActiveFault& a, const ActiveFault& b)
{
    CHECK(a.id == b.id);
    CHECK(a.level == b.level);
    CHECK(a.direction == b.direction);
    CHECK(a.device == b.device);
    CHECK(a.device_number == b.device_number);
    CHECK(a.repeated == b.repeated);
    CHECK(b.latched);
    CHECK(a.has_value == b.has_value);
    CHECK(a.unit == b.unit);
    CHECK(a.number == b.number);
    CHECK(a.value_milli == b.value_milli);
    CHECK(a.limit_milli == b.limit_milli);
    CHECK(a.count == b.count);
    CHECK(a.detail == b.detail);
}

}  // namespace

TEST_CASE("latched faults come back from their record with values, times and count; others are not in it")
{
    // SAFE-044, SAFE-046
    const Folder folder;
    REQUIRE(write_whole(folder.file("."), latch_file, latches_text(some(), now)).empty());
    // 10 s later by the wall, in a process with another clock.
    const BothClocks later{.monotonic = Instant{7s}, .wall_ms = now.wall_ms + 10'000};
    const RestoredLatches r = restore_latches(folder.file("."), later);
    CHECK_FALSE(r.damaged);
    CHECK_FALSE(r.missing);
    CHECK(r.note.find("CELL_HIGH_CRIT") != std::string::npos);
    REQUIRE(r.latches.size() == 2);
    check_same(code_fault(), r.latches[0]);  // the oldest first: it is the first cause
    check_same(cell_fault(), r.latches[1]);
    CHECK(r.latches[1].since == later.monotonic - 100s);
    CHECK(r.latches[1].last == later.monotonic - 70s);
}

TEST_CASE("a wall clock that was set back makes no fault of the future")
{
    const Folder folder;
    REQUIRE(write_whole(folder.file("."), latch_file, latches_text(some(), now)).empty());
    for (const std::int64_t wall_ms : {std::int64_t{0}, now.wall_ms - 86'400'000}) {
        const RestoredLatches r = restore_latches(folder.file("."), {.monotonic = Instant{7s}, .wall_ms = wall_ms});
        REQUIRE(r.latches.size() == 2);
        for (const ActiveFault& f : r.latches) CHECK(f.since == Instant{7s});
    }
}

TEST_CASE("no record is an empty one; that is told apart from one that cannot be understood")
{
    // SAFE-044
    const Folder folder;
    RestoredLatches r = restore_latches(folder.file("."), now);
    CHECK(r.missing);
    CHECK_FALSE(r.damaged);
    CHECK(r.latches.empty());
    CHECK_FALSE(r.note.empty());
    r = restore_latches(folder.file("nowhere"), now);
    CHECK(r.missing);
    folder.write("plain", "");
    CHECK(restore_latches(folder.file("plain"), now).missing);
}

TEST_CASE("any changed byte, any missing end and anybody else's file are LATCH_STORE, and a copy is kept")
{
    // SAFE-044
    const Folder folder;
    const std::string whole = latches_text(some(), now);
    const auto understood = [&](const std::string& content) {
        folder.write(latch_file, content);
        const RestoredLatches r = restore_latches(folder.file("."), now);
        CHECK(r.damaged != (r.latches.size() == 2));
        return !r.damaged;
    };
    REQUIRE(understood(whole));
    for (std::size_t i = 0; i < whole.size(); i += 7) {
        std::string flipped = whole;
        flipped[i] = static_cast<char>(flipped[i] ^ (1 << (i % 7)));
        CAPTURE(i);
        CHECK_FALSE(understood(flipped));
        CHECK_FALSE(understood(whole.substr(0, i)));
    }
    CHECK(folder.read("latches.damaged") == whole.substr(0, (whole.size() - 1) / 7 * 7));
    CHECK_FALSE(understood(whole + " "));
    for (const std::string_view strange : {"[]", "{}", "null", "[{}]", "[[]]", "7", "", "[{\"id\":\"CELL_HIGH_CRIT\"}]"}) {
        CAPTURE(strange);
        const bool empty_list = strange == "[]";
        folder.write(latch_file, sealed("latches", strange));
        CHECK(restore_latches(folder.file("."), now).damaged != empty_list);
    }
    CHECK_FALSE(understood(sealed("run", "[]")));
    CHECK_FALSE(understood(std::string(1'000'000, 'x')));
    // What a newer version may have written.
    std::string unknown{unsealed("latches", whole).value()};
    unknown.replace(unknown.find("CELL_HIGH_CRIT"), 14, "SOMETHING_ELSE");
    CHECK_FALSE(understood(sealed("latches", unknown)));
    std::string mild{unsealed("latches", whole).value()};
    mild.replace(mild.find("\"TRIP\""), 6, "\"WARN\"");
    CHECK_FALSE(understood(sealed("latches", mild)));
}

TEST_CASE("a record that is no plain file is LATCH_STORE and holds nobody up")
{
    // SAFE-044
    for (const bool pipe : {false, true}) {
        const Folder folder;
        if (pipe)
            REQUIRE(::mkfifo(folder.file(latch_file).c_str(), 0600) == 0);
        else
            REQUIRE(::mkdir(folder.file(latch_file).c_str(), 0700) == 0);
        CHECK(restore_latches(folder.file("."), now).damaged);
    }
}

TEST_CASE("the store writes the record when something latches, returns to count or is reset, and not otherwise")
{
    // SAFE-044
    const Folder folder;
    const auto written = [&] { return restore_latches(folder.file("."), now).latches.size(); };
    std::vector<ActiveFault> faults = some();
    {
        Store store{folder.file("."), [](bool, std::string_view) {}};
        store.keep_latches(faults, now);
    }
    CHECK(written() == 2);
    std::filesystem::remove(folder.file(latch_file));
    {
        Store store{folder.file("."), [](bool, std::string_view) {}};
        store.latches_kept(faults);
        faults[1].last = now.monotonic;  // still there: no reason to wear out a disk
        store.keep_latches(faults, now);
    }
    CHECK(restore_latches(folder.file("."), now).missing);
    {
        Store store{folder.file("."), [](bool, std::string_view) {}};
        store.latches_kept(faults);
        ++faults[1].count;
        store.keep_latches(faults, now);
        faults.pop_back();
        store.keep_latches(faults, now);
    }
    CHECK(written() == 1);
}

TEST_CASE("how a run began comes back; a damaged record counts as an unclean end")
{
    // SAFE-215, SAFE-216
    const Folder folder;
    CHECK_FALSE(restore_start(folder.file(".")).record);
    StartRecord record;
    record.running = true;
    record.started = {.boot = Text<40>{"0b6bf3c1-made-up"}, .up = 77s};
    record.unclean.push_back(3s);
    record.unclean.push_back(99s);
    REQUIRE(write_whole(folder.file("."), start_file, start_text(record)).empty());
    const RestoredStart back = restore_start(folder.file("."));
    REQUIRE(back.record);
    CHECK(back.note.empty());
    CHECK(back.record->running);
    CHECK(back.record->started.boot == record.started.boot);
    CHECK(back.record->started.up == 77s);
    REQUIRE(back.record->unclean.size() == 2);
    CHECK(back.record->unclean[1] == 99s);
    for (const std::string& broken : {std::string{}, start_text(record).substr(1), sealed("run", "{}"), sealed("run", "x")}) {
        folder.write(start_file, broken);
        const RestoredStart r = restore_start(folder.file("."));
        REQUIRE(r.record);
        CHECK(r.record->running);
        CHECK(r.record->unclean.empty());
        CHECK_FALSE(r.note.empty());
    }
}
