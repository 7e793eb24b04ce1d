// What survives a restart, and a disk that does not work.
#include "batgw/store.hpp"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <atomic>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <sstream>
#include <thread>
#include <vector>

#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace batgw;
namespace fs = std::filesystem;

namespace {

class Folder {
public:
    Folder()
    {
        std::string name = (fs::temp_directory_path() / "batgw-store-XXXXXX").string();
        REQUIRE(::mkdtemp(name.data()) != nullptr);
        path = name;
    }
    ~Folder()
    {
        std::error_code ignored;
        fs::remove_all(path, ignored);
    }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;
    std::string read(const std::string& name) const
    {
        std::ifstream file{path / name};
        std::stringstream text;
        text << file.rdbuf();
        return text.str();
    }
    void write(const std::string& name, const std::string& text) const { std::ofstream{path / name} << text; }
    fs::path path;
};

// What a store said.
struct Trouble {
    std::function<void(bool, std::string_view)> hook()
    {
        return [this](bool failing, std::string_view why) {
            const std::lock_guard lock{mutex};
            said.emplace_back(failing, why);
        };
    }
    std::vector<std::pair<bool, std::string>> all()
    {
        const std::lock_guard lock{mutex};
        return said;
    }
    bool wait_for(std::size_t count, std::chrono::milliseconds patience)
    {
        const auto end = std::chrono::steady_clock::now() + patience;
        while (std::chrono::steady_clock::now() < end) {
            if (all().size() >= count) return true;
            std::this_thread::sleep_for(std::chrono::milliseconds{5});
        }
        return false;
    }
    std::mutex mutex;
    std::vector<std::pair<bool, std::string>> said;
};

OperatorState restricted()
{
    OperatorState s;
    s.charge = false;
    s.max_charge = Power::from_milli(1'234'000);
    s.max_charge_current = Current::from_milli(5500);
    s.max_discharge = 10_kW;
    s.discharge_limit_default = true;
    return s;
}

OperatorState unrestricted()
{
    OperatorState s;
    s.max_charge = s.max_discharge = 10_kW;
    s.charge_limit_default = s.discharge_limit_default = true;
    return s;
}

Event block(std::uint64_t number)
{
    Event e;
    e.number = number;
    e.type = EventType::fault_set;
    e.fault.id = FaultId::cell_high;
    e.fault.level = FaultClass::block;
    e.fault.direction = Direction::charge;
    e.soc = 55_pct;
    return e;
}

double spent(const std::function<void()>& what)
{
    const auto begin = std::chrono::steady_clock::now();
    what();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

}  // namespace

// SAFE-196
TEST_CASE("restrictions come back after a restart, and that is said")
{
    const Folder folder;
    const BatteryConfig battery;
    Trouble trouble;
    CHECK_FALSE(restore_operator(folder.path, battery).state);
    {
        Store store{folder.path, trouble.hook()};
        store.keep_operator(unrestricted());
        store.keep_operator(restricted());
    }
    const Restored r = restore_operator(folder.path, battery);
    REQUIRE(r.state);
    CHECK(*r.state == restricted());
    CHECK_FALSE(r.damaged);
    CHECK(r.note ==
        "operator restrictions of the last run are in force again: charge OFF, discharge ON, pause OFF, contactors as needed, "
        "max-charge 1234 W and 5.5 A, max-discharge 10000 W");
    CHECK(trouble.all().empty());
    {
        Store store{folder.path, trouble.hook()};
        store.keep_operator(unrestricted());
    }
    const Restored free = restore_operator(folder.path, battery);
    REQUIRE(free.state);
    CHECK(*free.state == unrestricted());
    CHECK(free.note.empty());
}

// SAFE-196
TEST_CASE("each restriction is kept by itself, and a default limit follows the configuration")
{
    const Folder folder;
    BatteryConfig battery;
    for (int i = 0; i < 4; ++i) {
        OperatorState s = unrestricted();
        s.charge = i != 0;
        s.discharge = i != 1;
        s.paused = i == 2;
        s.contactors_open = i == 3;
        {
            Store{folder.path, [](bool, std::string_view) {}}.keep_operator(s);
        }
        const Restored r = restore_operator(folder.path, battery);
        REQUIRE(r.state);
        CHECK(*r.state == s);
        CHECK_FALSE(r.note.empty());
    }
    battery.charge = 7_kW;
    CHECK(restore_operator(folder.path, battery).state->max_charge == 7_kW);
}

// SAFE-196
TEST_CASE("a damaged file starts the gateway paused; it is moved aside and that is said")
{
    const std::string good = R"({"version":1,"charge":true,"discharge":true,"paused":false,"contactors_open":false})";
    for (const std::string& text :
        std::vector<std::string>{"", "{", "null", "[]", "\xff\xfe", std::string(100, '\0'), good.substr(0, good.size() / 2),
            good + good, R"({"version":2,"charge":true,"discharge":true,"paused":false,"contactors_open":false})",
            R"({"version":1,"charge":"true","discharge":true,"paused":false,"contactors_open":false})",
            R"({"version":1,"discharge":true,"paused":false,"contactors_open":false})",
            R"({"version":1,"charge":true,"discharge":true,"paused":false,"contactors_open":false,"max_charge_mw":-1})",
            R"({"version":1,"charge":true,"discharge":true,"paused":false,"contactors_open":false,"max_charge_mw":null})",
            std::string(1'000'000, '[')}) {
        CAPTURE(text.substr(0, 60));
        const Folder folder;
        folder.write("operator.json", text);
        const Restored r = restore_operator(folder.path, BatteryConfig{});
        REQUIRE(r.state);
        CHECK(r.state->paused);
        CHECK(r.damaged);
        CHECK(r.note.find("damaged") != std::string::npos);
        CHECK_FALSE(fs::exists(folder.path / "operator.json"));
        CHECK(folder.read("operator.json.damaged") == text);
    }
}

TEST_CASE("a file that is there but cannot be read, or is no file, starts the gateway paused and does not hold it up")
{
    for (const int kind : {0, 1, 2}) {
        const Folder folder;
        const fs::path file = folder.path / "operator.json";
        if (kind == 0) fs::create_symlink(file, file);  // a loop: not even root reads that
        if (kind == 1) fs::create_directory(file);
        if (kind == 2) REQUIRE(::mkfifo(file.c_str(), 0600) == 0);
        const Restored r = restore_operator(folder.path, BatteryConfig{});
        REQUIRE(r.state);
        CHECK(r.state->paused);
        CHECK(r.damaged);
        CHECK(r.note.find("cannot be read") != std::string::npos);
    }
    CHECK_FALSE(restore_operator("/no/such/directory", BatteryConfig{}).state);
    CHECK_FALSE(restore_operator("/dev/null/directory", BatteryConfig{}).state);
}

// SAFE-215: of the state file.
TEST_CASE("what a killed process left half written is ignored, and overwritten")
{
    const Folder folder;
    {
        Store{folder.path, [](bool, std::string_view) {}}.keep_operator(restricted());
    }
    folder.write("operator.json.new", R"({"version":1,"char)");
    CHECK(*restore_operator(folder.path, BatteryConfig{}).state == restricted());
    OperatorState next = restricted();
    next.paused = true;
    {
        Store{folder.path, [](bool, std::string_view) {}}.keep_operator(next);
    }
    CHECK(*restore_operator(folder.path, BatteryConfig{}).state == next);
    CHECK_FALSE(fs::exists(folder.path / "operator.json.new"));
}

TEST_CASE("killed at any moment while writing, the file is always one whole state")
{
    const Folder folder;
    for (int round = 0; round < 20; ++round) {
        const pid_t child = ::fork();
        if (child == 0) {
            Store store{folder.path, [](bool, std::string_view) {}};
            OperatorState s = restricted();
            for (int i = 1;; ++i) {
                s.max_charge = Power::from_milli(i % 9'000'000);
                store.keep_operator(s);
                ::usleep(50);
            }
        }
        std::this_thread::sleep_for(std::chrono::microseconds{3000 + round * 1700});
        ::kill(child, SIGKILL);
        ::waitpid(child, nullptr, 0);
        const Restored r = restore_operator(folder.path, BatteryConfig{});
        CHECK_FALSE(r.damaged);
        if (r.state) CHECK_FALSE(r.state->charge);
    }
    CHECK(fs::exists(folder.path / "operator.json"));
}

// SAFE-196: the operator learns that a restriction would not survive.
TEST_CASE("a directory that is not there is trouble said once; nobody waits, and it ends when there is one")
{
    const Folder folder;
    const fs::path state = folder.path / "state";
    Trouble trouble;
    Store store{state, trouble.hook()};
    CHECK(spent([&] { store.keep_operator(restricted()); }) < 0.1);
    REQUIRE(trouble.wait_for(1, std::chrono::milliseconds{2000}));
    CHECK(trouble.all()[0].first);
    CHECK(trouble.all()[0].second.find("operator.json") != std::string::npos);
    CHECK(trouble.all()[0].second.find("No such file or directory") != std::string::npos);
    CHECK(spent([&] {
        for (std::uint64_t i = 1; i <= 100; ++i) store.keep_event(block(i));
        store.keep_operator(unrestricted());
    }) < 0.5);
    fs::create_directory(state);
    REQUIRE(trouble.wait_for(2, std::chrono::milliseconds{15000}));
    CHECK_FALSE(trouble.all()[1].first);
    std::this_thread::sleep_for(std::chrono::milliseconds{200});
    CHECK(trouble.all().size() == 2);
    CHECK(*restore_operator(state, BatteryConfig{}).state == unrestricted());  // the newest of what waited
}

TEST_CASE("something in the way, a full disk: said, and the old file stays whole")
{
    const Folder folder;
    Trouble trouble;
    {
        Store{folder.path, trouble.hook()}.keep_operator(restricted());
    }
    SUBCASE("a directory in the place of the temporary file")
    {
        fs::create_directory(folder.path / "operator.json.new");
        {
            Store{folder.path, trouble.hook()}.keep_operator(unrestricted());
        }
        REQUIRE(trouble.all().size() == 1);
        CHECK(trouble.all()[0].second.find("Is a directory") != std::string::npos);
    }
    SUBCASE("no space: every write fails")
    {
        fs::create_symlink("/dev/full", folder.path / "operator.json.new");
        {
            Store{folder.path, trouble.hook()}.keep_operator(unrestricted());
        }
        REQUIRE(trouble.all().size() == 1);
        CHECK(trouble.all()[0].second.find("No space left") != std::string::npos);
    }
    CHECK(*restore_operator(folder.path, BatteryConfig{}).state == restricted());
}

TEST_CASE("the end of a store is bounded when nothing can be written")
{
    Trouble trouble;
    CHECK(spent([&] {
        Store store{"/no/such/directory", trouble.hook()};
        store.keep_operator(restricted());
        REQUIRE(trouble.wait_for(1, std::chrono::milliseconds{2000}));
    }) < 5);
}

// SAFE-047
TEST_CASE("the last 64 events of BLOCK or worse are kept over restarts, lesser ones not")
{
    const Folder folder;
    {
        Store store{folder.path, [](bool, std::string_view) {}};
        for (std::uint64_t i = 1; i <= 50; ++i) store.keep_event(block(i));
        Event minor = block(1000);
        minor.fault.level = FaultClass::derate;
        store.keep_event(minor);
        Event over = block(1001);
        over.type = EventType::fault_cleared;
        store.keep_event(over);
    }
    {
        Store store{folder.path, [](bool, std::string_view) {}};
        for (std::uint64_t i = 51; i <= 80; ++i) store.keep_event(block(i));
    }
    std::istringstream lines{folder.read("events.jsonl")};
    std::vector<nlohmann::json> events;
    for (std::string line; std::getline(lines, line);) events.push_back(nlohmann::json::parse(line));
    REQUIRE(events.size() == 64);
    CHECK(events.front()["number"] == 17);
    CHECK(events.back()["number"] == 80);
    CHECK(events.back()["id"] == "CELL_HIGH");
    CHECK(events.back()["text"] == "BLOCK CELL_HIGH: cell too high (charge 0)");
    CHECK(events.back()["inputs"]["soc"] == 55.0);
    CHECK(events.back()["inputs"]["voltage"].is_null());
}

TEST_CASE("a damaged file of events costs nothing but the events behind the damage")
{
    const Folder folder;
    folder.write("events.jsonl", "{\"number\":1}\n" + std::string(10'000, 'x') + "\n{\"number\":2}\n");
    {
        Store{folder.path, [](bool, std::string_view) {}}.keep_event(block(3));
    }
    const std::string text = folder.read("events.jsonl");
    CHECK(text.starts_with("{\"number\":1}\n"));
    CHECK(std::count(text.begin(), text.end(), '\n') == 2);
}
