// The program's outer life: arguments, configuration, SIGHUP, SIGKILL.
#include "tests/batgw/program.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <random>

#include <sys/stat.h>

using namespace batgw::test;

namespace {

std::string house(const Folder& folder, std::string_view battery_more = "", std::string_view rest = "")
{
    return "battery:\n  protocol: byd-atto3\n  interface: nocan0\n  cells: 126\n  capacity_wh: 60480\n" +
        std::string{battery_more} + "inverter:\n  protocol: byd-hvs\n  interface: nocan1\n" + std::string{rest} +
        "state_directory: " + folder.file("state") + "\n";
}

struct Run {
    explicit Run(const std::vector<std::string>& arguments) : program{arguments}, status{program.wait(10)} {}
    Program program;
    int status;
};

std::size_t lines_with(const std::string& text, std::string_view part)
{
    std::size_t n = 0;
    for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++n;
    return n;
}

}  // namespace

TEST_CASE("help and version end with 0, what is not understood with 2 and a word about it")
{
    for (const std::string option : {"--help", "--version"}) {
        Run run{{option}};
        CHECK(run.status == 0);
        CHECK_FALSE(run.program.out().empty());
        CHECK(run.program.err().empty());
    }
    for (const std::vector<std::string>& wrong : std::vector<std::vector<std::string>>{{"--no-such-option"}, {"-f"}, {"word"},
             {"-D", "=x", "-n"}, {"-D", "novalue", "-n"}, {"sim", "windmill", "x", "--interface", "y"}}) {
        Run run{wrong};
        CAPTURE(wrong[0]);
        CHECK(run.status == 2);
        CHECK_FALSE(run.program.err().empty());
    }
}

// CONF-004
TEST_CASE("-n prints the effective configuration, which loads again to the same, and ends with 0")
{
    const Folder folder;
    Run run{{"-n", "-f", folder.write("a.yaml", house(folder, "  charge_w: 5000\n"))}};
    CHECK(run.status == 0);
    CHECK(run.program.out().find("charge_w: 5000") != std::string::npos);
    Run again{{"-n", "-f", folder.write("b.yaml", run.program.out())}};
    CHECK(again.status == 0);
    CHECK(again.program.out() == run.program.out());
    CHECK_FALSE(std::filesystem::exists(folder.file("state")));  // SAFE-243: no side effects
}

// CONF-001, SAFE-243
TEST_CASE("a configuration that is not right ends the start with 1 and names file, line and key")
{
    const Folder folder;
    const std::string file = folder.write("a.yaml", house(folder, "  charge_w: lots\n"));
    for (const std::string option : {"-n", "-d"}) {
        Run run{{option, "-f", file}};
        CHECK(run.status == 1);
        CHECK(run.program.out().empty());
        CHECK(run.program.err().find(file + ":6:13: battery.charge_w: ") != std::string::npos);
    }
}

TEST_CASE("a file that is not there, a directory, a pipe and an endless file end the start with 1 and one line")
{
    const Folder folder;
    REQUIRE(::mkfifo(folder.file("pipe").c_str(), 0600) == 0);
    for (const std::string& file : {folder.file("none.yaml"), folder.file(""), folder.file("pipe"), std::string{"/dev/zero"}}) {
        Run run{{"-f", file}};
        CAPTURE(file);
        CHECK(run.status == 1);
        CHECK(lines_with(run.program.err(), "\n") == 1);
        CHECK(run.program.err().find(file) != std::string::npos);
    }
}

// SAFE-240, SAFE-241, SAFE-242, CONF-005
TEST_CASE("SIGHUP: what is right and may change is applied, anything else changes nothing and is said")
{
    const Folder folder;
    std::filesystem::create_directory(folder.file("state"));
    const std::string file = folder.write("a.yaml", house(folder));
    Program program{{"-f", file}};
    REQUIRE(program.says("batgw "));
    REQUIRE(program.says("started"));
    const auto reload = [&](const std::string& text) {
        folder.write("a.yaml", text);
        program.signal(SIGHUP);
    };

    reload(house(folder, "  charge_w: 5000\n  discharge_w: 4000\n"));
    CHECK(program.says("reloaded: battery.charge_w, battery.discharge_w"));
    CHECK(program.says("configuration reloaded"));  // and the judge has it

    struct Bad {
        std::string text, said;
    };
    for (const Bad& bad : std::vector<Bad>{
             {house(folder, "  charge_w: lots\n"), ":6:13: battery.charge_w: "},
             {house(folder, "  charge_w: 99999999\n"), ":6:13: battery.charge_w: "},
             {house(folder, "  charge_watts: 5000\n"), ":6:3: battery.charge_watts: "},
             {house(folder, "  charge_w: 5000\n  charge_w: 5000\n"), ":7:3: "},
             {house(folder, "  charge_w: [5000\n"), "a.yaml:"},
             {house(folder) + "more: {}\n", "more"},
             {"", "a.yaml"},
         }) {
        CAPTURE(bad.text);
        reload(bad.text);
        CHECK(program.says(bad.said));
        CHECK(program.says("reload refused, nothing changed"));
    }
    std::filesystem::remove(file);
    program.signal(SIGHUP);
    CHECK(program.says("reload refused, nothing changed"));

    const auto replaced = [&](std::string_view what, std::string_view by) {
        std::string text = house(folder, "  charge_w: 3000\n");
        return text.replace(text.find(what), what.size(), by);
    };
    const std::vector<std::pair<std::string, std::string>> fixed{{replaced("nocan0", "nocan7"), "battery.interface"},
        {replaced("nocan1", "nocan7"), "inverter.interface"}, {replaced("cells: 126", "cells: 104"), "battery.cells"},
        {replaced("60480", "50000"), "battery.capacity_wh"},
        {replaced("interface: nocan0\n", "interface: nocan0\n  bitrate: 500000\n"), "battery.bitrate"},
        {replaced("state\n", "elsewhere\n"), "state_directory"}};
    for (const auto& [text, named] : fixed) {
        const std::string& key = named;  // a structured binding cannot be captured by clang 14
        CAPTURE(key);
        reload(text);
        CHECK(program.says("reload refused, nothing changed: restart required: "));
        CHECK(program.says(key, 0.2));
    }
    // The refused ones would have set charge_w to 3000: it still is 5000.
    reload(house(folder, "  charge_w: 5000\n  discharge_w: 4000\n"));
    CHECK(program.says("reloaded: nothing changed"));
    CHECK(program.runs());
    CHECK(lines_with(program.err(), "configuration reloaded") <= 2);
}

TEST_CASE("many SIGHUPs at once end in the newest file")
{
    const Folder folder;
    std::filesystem::create_directory(folder.file("state"));
    Program program{{"-f", folder.write("a.yaml", house(folder))}};
    REQUIRE(program.says("started"));
    for (int i = 1; i <= 50; ++i) {
        folder.write("a.yaml", house(folder, "  charge_w: " + std::to_string(1000 + i) + "\n"));
        program.signal(SIGHUP);
        std::this_thread::sleep_for(std::chrono::milliseconds{i % 7});
    }
    REQUIRE(program.says("reloaded"));
    std::this_thread::sleep_for(std::chrono::milliseconds{500});
    program.signal(SIGHUP);
    CHECK(program.says("reloaded: nothing changed"));
    CHECK(program.runs());
}

// SAFE-251: with missing interfaces and without a state directory it runs.
TEST_CASE(
    "a state directory that is not there, or is a file, gives one clear line, and the program runs and ends on SIGTERM with 0")
{
    for (const bool is_file : {false, true}) {
        const Folder folder;
        if (is_file) folder.write("state", "in the way");
        Program program{{"-f", folder.write("a.yaml", house(folder, "", "mqtt:\n  host: 127.0.0.1\n  port: 1\n"))}};
        CHECK(program.says("state is not kept: cannot write " + folder.file("state")));
        std::this_thread::sleep_for(std::chrono::milliseconds{1500});
        CHECK(lines_with(program.err(), "state is not kept") == 1);
        CHECK(program.runs());
        program.signal(SIGTERM);
        CHECK(program.wait(25) == 0);
        CHECK(program.err().ends_with("stopped\n"));
    }
}

TEST_CASE("log level error: nothing is said when nothing is wrong; -v says more")
{
    const Folder folder;
    std::filesystem::create_directory(folder.file("state"));
    const std::string file = folder.write("a.yaml", house(folder, "", "log: {level: error}\n"));
    {
        Program quiet{{"-d", "-f", file}};
        std::this_thread::sleep_for(std::chrono::milliseconds{700});
        CHECK(quiet.runs());
        CHECK(quiet.err().empty());
    }
    Program loud{{"-v", "-f", file}};
    CHECK(loud.says("started"));
}

// SAFE-215: of the state file. The kill comes before, during and after the first write.
TEST_CASE("SIGKILL at random moments leaves nothing that stops the next start")
{
    const Folder folder;
    std::filesystem::create_directory(folder.file("state"));
    const std::string file = folder.write("a.yaml", house(folder, "", "mqtt:\n  host: 127.0.0.1\n  port: 1\n"));
    std::mt19937 random{20};
    for (int i = 0; i < 30; ++i) {
        Program program{{"-f", file}};
        std::this_thread::sleep_for(std::chrono::microseconds{random() % 60'000});
        CHECK(program.runs());
        program.signal(SIGKILL);
        CHECK(program.wait(5) == 128 + SIGKILL);
        CHECK(program.err().find("damaged") == std::string::npos);
    }
    Program last{{"-f", file}};
    CHECK(last.says("started"));
    std::this_thread::sleep_for(std::chrono::milliseconds{300});
    CHECK(last.runs());
    CHECK(last.err().find("paused") == std::string::npos);
}

// SAFE-196
TEST_CASE("an operator's restriction of the last run is in force again, and a damaged file starts paused; both are said")
{
    const Folder folder;
    std::filesystem::create_directory(folder.file("state"));
    const std::string file = folder.write("a.yaml", house(folder, "", "mqtt:\n  host: 127.0.0.1\n  port: 1\n"));
    folder.write(
        "state/operator.json", R"({"version":1,"charge":false,"discharge":true,"paused":false,"contactors_open":false})");
    {
        Program program{{"-f", file}};
        CHECK(program.says("in force again: charge OFF"));
        CHECK(program.says("started"));
    }
    folder.write("state/operator.json", R"({"version":1,"charge":fal)");
    Program program{{"-f", file}};
    CHECK(program.says("is damaged"));
    CHECK(program.says("started"));
    CHECK(program.runs());
}
