// What contactors have been through, over restarts.
#include "batgw/wear_file.hpp"

#include "batgw/store.hpp"
#include "tests/support/world.hpp"
#include "tests/tools/run.hpp"

#include <doctest/doctest.h>

#include <filesystem>

using namespace batgw;
using test::Folder;
using test::World;

namespace {

ContactorVerdict opened(unsigned times, std::optional<Current> with)
{
    ContactorVerdict v;
    v.opened_under_load = times;
    v.load = with;
    return v;
}

}  // namespace

TEST_CASE("wear: every opening under load is kept with its current, and the count goes on after a restart")
{
    // SAFE-154
    const Folder folder;
    CHECK(restore_wear(folder.file("")).record.openings == 0);
    CHECK(restore_wear(folder.file("")).note.empty());
    {
        Store store{folder.file(""), [](bool, std::string_view) {}};
        store.keep_wear(opened(0, {}), 1'700'000'000'000);
        store.keep_wear(opened(1, -23_A), 1'700'000'000'000);
        store.keep_wear(opened(1, -23_A), 1'700'000'000'100);
        store.keep_wear(opened(2, {}), 1'700'000'600'000);
    }
    const RestoredWear first = restore_wear(folder.file(""));
    CHECK(first.note.empty());
    REQUIRE(first.record.openings == 2);
    REQUIRE(first.record.last.size() == 2);
    CHECK(first.record.last[0].current == -23_A);
    CHECK(first.record.last[0].wall_ms == 1'700'000'000'000);
    CHECK_FALSE(first.record.last[1].current);

    World w;
    w.bridge.restore_wear(first.record.openings);
    w.run(1s);
    CHECK(w.verdict().contactors.opened_under_load == 2);
    {
        Store store{folder.file(""), [](bool, std::string_view) {}};
        store.wear_kept(first.record);
        store.keep_wear(w.verdict().contactors, 1'700'001'000'000);  // nothing new
        store.keep_wear(opened(3, 40_A), 1'700'002'000'000);
    }
    const RestoredWear second = restore_wear(folder.file(""));
    CHECK(second.record.openings == 3);
    REQUIRE(second.record.last.size() == 3);
    CHECK(second.record.last[2].current == 40_A);
}

TEST_CASE("wear: the last fifty openings keep their currents, the count is of all")
{
    // SAFE-154
    WearRecord r;
    for (unsigned n = 1; n <= 70; ++n) r.count_to(n, 3_A, n);
    CHECK(r.openings == 70);
    REQUIRE(r.last.size() == 50);
    CHECK(r.last.front().wall_ms == 21);
}

TEST_CASE("wear: a warning from the tenth opening on stays over restarts; a record nobody understands counts as the tenth")
{
    // SAFE-154
    const Folder folder;
    const auto warned = [&] {
        World w;
        w.bridge.restore_wear(restore_wear(folder.file("")).record.openings);
        w.run(1s);
        return w.has(FaultId::contactor_wear);
    };
    WearRecord r;
    r.count_to(9, 3_A, 1);
    folder.write("wear", wear_text(r));
    CHECK_FALSE(warned());
    r.count_to(10, 3_A, 1);
    folder.write("wear", wear_text(r));
    CHECK(warned());
    r.count_to(50, 3_A, 1);
    folder.write("wear", wear_text(r));
    CHECK(warned());

    for (const std::string& text : {std::string{}, wear_text(r).substr(0, 60), std::string{"0"}}) {
        folder.write("wear", text);
        const RestoredWear damaged = restore_wear(folder.file(""));
        CHECK(damaged.record.openings == 10);
        CHECK(damaged.note.find("is damaged") != std::string::npos);
        CHECK(warned());
    }
}
