// A latched fault is on the disk before anybody is told where it led to.
#include "batgw/control.hpp"
#include "batgw/outside.hpp"
#include "battery/registry.hpp"
#include "bus/bus.hpp"
#include "conf/load.hpp"
#include "inverter/registry.hpp"
#include "tests/batgw/program.hpp"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <memory>
#include <string>

#include <sys/stat.h>

using namespace batgw;
using batgw::test::Folder;
using namespace std::chrono_literals;

namespace {

// The outside thread alone, fed with snapshots by hand.
struct Half {
    explicit Half(const Folder& folder_) : folder{folder_}
    {
        const std::string text = "battery: {protocol: byd-atto3, interface: can0, cells: 126, capacity_wh: 60480}\n"
                                 "inverter: {protocol: byd-hvs, interface: can1}\nlog: {level: error}\nstate_directory: " +
            folder.file("state") + "\n";
        Loaded loaded = load(text, "test.yaml", {.batteries = battery_drivers(), .inverters = inverter_drivers()}, Definitions{});
        REQUIRE(loaded.config.has_value());
        const auto config = std::make_shared<const Config>(std::move(*loaded.config));
        outside = std::make_unique<Outside>(channels,
            Outside::Setup{.config = config,
                .battery = find_battery_driver("byd-atto3"),
                .inverter = find_inverter_driver("byd-hvs"),
                .read_again = {},
                .service = &service,
                .latched = std::vector<ActiveFault>{},
                .control_socket = folder.file("control")});
        for (int i = 0; i < 500 && !std::filesystem::is_socket(folder.file("control")); ++i) std::this_thread::sleep_for(10ms);
    }
    // A verdict with this latched; what it led to is in it already.
    void tell(std::string_view code)
    {
        Snapshot& s = channels.snapshots.draft();
        s = Snapshot{};
        s.now = monotonic_now();
        s.verdict.sequence = ++sequence;
        s.verdict.state = GatewayState::trip;
        s.verdict.worst = FaultClass::trip;
        s.verdict.contactors.state = ContactorState::open;
        ActiveFault f;
        f.id = FaultId::bms_fault;
        f.level = FaultClass::trip;
        f.direction = Direction::both;
        f.device = Device::battery;
        f.latched = true;
        f.since = f.last = s.now;
        f.detail.assign(code);
        s.verdict.faults.push_back(f);
        channels.snapshots.publish();
        channels.outside.ring();
    }
    std::string status() const { return ask_control(folder.file("control"), "status").text; }
    bool shows(std::string_view code, std::chrono::steady_clock::duration limit) const
    {
        const auto end = std::chrono::steady_clock::now() + limit;
        do {
            if (status().find(code) != std::string::npos) return true;
        } while (std::chrono::steady_clock::now() < end);
        return false;
    }

    const Folder& folder;
    Channels channels;
    ServiceManager service;
    std::uint64_t sequence = 0;
    std::unique_ptr<Outside> outside;
};

}  // namespace

TEST_CASE("what a latched fault led to is told when the fault is on the disk, not before, and within a second")
{
    // SAFE-044
    const Folder folder;
    std::filesystem::create_directory(folder.file("state"));
    Half half{folder};
    for (int i = 0; i < 50; ++i) {
        const std::string code = "F" + std::to_string(1000 + i);
        const auto set = std::chrono::steady_clock::now();
        half.tell(code);
        REQUIRE(half.shows(code, 2s));
        REQUIRE(folder.read("state/latches").find(code) != std::string::npos);
        CHECK(std::chrono::steady_clock::now() - set < 1s);
    }
}

TEST_CASE("a disk that hangs hides a fault for a second, not longer; one that refuses does not hide it at all")
{
    // SAFE-044
    const Folder folder;
    std::filesystem::create_directory(folder.file("state"));
    // Opening a pipe that nobody reads does not return.
    REQUIRE(::mkfifo(folder.file("state/latches.new").c_str(), 0600) == 0);
    {
        Half half{folder};
        half.tell("F0001");
        CHECK_FALSE(half.shows("F0001", 500ms));
        std::this_thread::sleep_for(600ms);
        half.tell("F0001");
        CHECK(half.shows("F0001", 1s));
    }
    std::filesystem::remove(folder.file("state/latches.new"));
    std::filesystem::create_directory(folder.file("state/latches.new"));
    Half half{folder};
    half.tell("F0002");
    CHECK(half.shows("F0002", 500ms));
    half.tell("F0003");  // although the next try is only due in ten seconds
    CHECK(half.shows("F0003", 500ms));
}

TEST_CASE("another file that cannot be written holds up no latch")
{
    // SAFE-044
    const Folder folder;
    std::filesystem::create_directories(folder.file("state/events.jsonl.new"));
    Half half{folder};
    Event e;
    e.number = 1;
    e.type = EventType::fault_set;
    e.fault.level = FaultClass::block;
    REQUIRE(half.channels.events.push(e));
    half.channels.outside.ring();
    std::this_thread::sleep_for(300ms);  // tried, refused, and to be tried again in ten seconds
    half.tell("F0001");
    CHECK(half.shows("F0001", 500ms));
    CHECK(folder.read("state/latches").find("F0001") != std::string::npos);
}

TEST_CASE("status for programs is one line of JSON, STATE and ALARMS as on the broker")
{
    // SAFE-045
    const Folder folder;
    std::filesystem::create_directory(folder.file("state"));
    Half half{folder};
    const auto ask = [&] { return nlohmann::json::parse(ask_control(folder.file("control"), "status\tjson").text); };
    CHECK(ask() == nlohmann::json::parse(R"({"STATE":null,"ALARMS":null})"));
    half.tell("F0001");
    REQUIRE(half.shows("F0001", 2s));
    const std::string line = ask_control(folder.file("control"), "status\tjson").text;
    CHECK(line.find('\n') == line.size() - 1);
    const auto json = nlohmann::json::parse(line);
    CHECK(json["STATE"]["gateway"]["state"] == "TRIP");
    REQUIRE(json["ALARMS"]["active"].size() == 1);
    CHECK(json["ALARMS"]["active"][0]["id"] == "BMS_FAULT:F0001");
    CHECK(json["ALARMS"]["active"][0]["latched"] == true);
    CHECK(json["ALARMS"]["active"][0]["resettable"] == false);
}
