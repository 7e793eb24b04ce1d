// The program with a state directory that is not as it should be: a clear error, nothing granted where a latch may be lost, and
// a gateway that runs.
#include "tests/batgw/program.hpp"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <array>
#include <functional>
#include <string>

#include <sys/stat.h>

using batgw::test::Folder;
using batgw::test::Program;
using namespace std::chrono_literals;

namespace {

std::string file_with(const Folder& folder, const std::string& state)
{
    return folder.write("a.yaml",
        "battery:\n  protocol: byd-atto3\n  interface: nocan0\n  cells: 126\n  capacity_wh: 60480\n"
        "inverter:\n  protocol: byd-hvs\n  interface: nocan1\nstate_directory: " +
            state + "\ncontrol_socket: " + folder.file("control") + "\n");
}

// ALARMS of the running program; empty when it does not answer.
nlohmann::json alarms(const Folder& folder)
{
    Program status{{"status", "--json", "--socket", folder.file("control")}};
    if (status.wait(10) != 0) return {};
    return nlohmann::json::parse(status.out())["ALARMS"];
}
bool has(const nlohmann::json& alarms, std::string_view id)
{
    if (!alarms.contains("active")) return false;
    for (const auto& f : alarms["active"])
        if (f["id"] == id) return true;
    return false;
}
bool comes(const Folder& folder, std::string_view id)
{
    for (int i = 0; i < 50; ++i, std::this_thread::sleep_for(100ms))
        if (has(alarms(folder), id)) return true;
    return false;
}

void orderly_end(Program& program)
{
    program.signal(SIGTERM);
    CHECK(program.wait(25) == 0);
}

}  // namespace

TEST_CASE("state: a directory that is missing, read-only or no directory at all is a warning, and the gateway runs")
{
    // SAFE-044, SAFE-196
    const Folder folder;
    folder.write("plain", "a file\n");
    for (const std::string& state : {folder.file("missing"), std::string{"/sys/kernel"}, folder.file("plain")}) {
        CAPTURE(state);
        Program program{{"-f", file_with(folder, state)}};
        CHECK(program.says("state is not kept"));
        CHECK(comes(folder, "STATE_NOT_KEPT"));
        CHECK_FALSE(has(alarms(folder), "LATCH_STORE"));  // there is none that could hold a latch
        CHECK(program.runs());
        orderly_end(program);
    }
}

TEST_CASE("state: a record of latches that is cut, foreign, empty, endless or no file is LATCH_STORE, also with a full disk")
{
    // SAFE-044
    struct Case {
        const char* what;
        std::function<void(const Folder&)> make;
    };
    const std::array cases{
        Case{"empty", [](const Folder& f) { f.write("state/latches", ""); }},
        Case{"cut", [](const Folder& f) { f.write("state/latches", "batgw latches 1 300 12345678\n[\n {\n  \"id\": \"CELL"); }},
        Case{"somebody else's", [](const Folder& f) { f.write("state/latches", "{\"version\": 2, \"faults\": []}\n"); }},
        Case{"of a later version", [](const Folder& f) { f.write("state/latches", "batgw latches 2 3 11111111\n[]\n"); }},
        Case{"endless", [](const Folder& f) { f.write("state/latches", std::string(10'000'000, '\0')); }},
        Case{"a directory", [](const Folder& f) { std::filesystem::create_directory(f.file("state/latches")); }},
        Case{"a pipe", [](const Folder& f) { REQUIRE(::mkfifo(f.file("state/latches").c_str(), 0600) == 0); }},
        Case{"a device", [](const Folder& f) { std::filesystem::create_symlink("/dev/zero", f.file("state/latches")); }},
        Case{"cut, and nothing can be written",
            [](const Folder& f) {
                f.write("state/latches", "batgw");
                for (const char* name : {"latches", "run", "latches.damaged", "events.jsonl"})
                    std::filesystem::create_symlink("/dev/full", f.file("state/" + std::string{name} + ".new"));
            }},
    };
    for (const Case& c : cases) {
        CAPTURE(c.what);
        const Folder folder;
        std::filesystem::create_directory(folder.file("state"));
        c.make(folder);
        for (int run = 0; run < 2; ++run) {  // a restart is no reset, whatever the disk can do
            Program program{{"-f", file_with(folder, folder.file("state"))}};
            CHECK(comes(folder, "LATCH_STORE"));
            const auto told = alarms(folder);
            CHECK(told["worst"] == "TRIP");
            CHECK(told["charge"] == false);
            CHECK(told["discharge"] == false);
            CHECK(program.runs());
            program.signal(SIGKILL);
            program.wait(5);
        }
    }
}

TEST_CASE("state: a limit on the size of files ends nothing")
{
    const Folder folder;
    std::filesystem::create_directory(folder.file("state"));
    Program program{{"-f", file_with(folder, folder.file("state"))}};
    REQUIRE(program.says("started"));
    program.signal(SIGXFSZ);
    std::this_thread::sleep_for(200ms);
    CHECK(program.runs());
    orderly_end(program);
}
