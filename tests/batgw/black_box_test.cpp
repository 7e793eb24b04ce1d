// The way of the frames into the black box: from the loop over the ring to the outside thread and the state directory.
#include "tests/batgw/live_house.hpp"
#include "tests/batgw/program.hpp"
#include "tests/mqtt/broker.hpp"

#include <doctest/doctest.h>

#include <filesystem>

using namespace batgw;
using namespace batgw::test;

TEST_CASE("the loop hands on what it received and what it sent, of both buses")
{
    LiveHouse house;
    std::array<bool, 4> seen{};
    Instant last{};
    Passed p;
    for (const Instant end = monotonic_now() + 20s; monotonic_now() < end && seen != std::array{true, true, true, true};
         std::this_thread::sleep_for(10ms))
        while (house.channels.traffic.pop(p)) {
            seen[(p.inverter ? 2U : 0U) + (p.sent ? 1U : 0U)] = true;
            CHECK_FALSE(p.serial);
            CHECK(p.at <= monotonic_now());
            CHECK(p.at > last - 1s);
            last = p.at;
        }
    CHECK(seen == std::array{true, true, true, true});
}

TEST_CASE("a trip that is told to the outside leaves a capture in the state directory, at the latest when the program ends")
{
    const Folder folder;
    std::filesystem::create_directory(folder.file("state"));
    ServiceManager service;
    Channels channels;
    {
        const Outside outside{channels,
            {.config = short_times("state_directory: " + folder.file("state") + "\n"),
                .battery = find_battery_driver("byd-atto3"),
                .inverter = find_inverter_driver("byd-hvs"),
                .read_again = {},
                .service = &service}};
        channels.traffic.push({.at = monotonic_now(), .frame = {.id = 0x444, .len = 2, .data = {1, 2}}});
        Event e{.number = 1, .type = EventType::fault_set, .at = monotonic_now()};
        e.fault.id = FaultId::cell_high_crit;
        e.fault.level = FaultClass::trip;
        e.fault.direction = Direction::both;
        channels.events.push(e);
        channels.outside.ring();
        std::this_thread::sleep_for(500ms);
    }
    std::string text;
    for (const auto& entry : std::filesystem::directory_iterator{folder.file("state")})
        if (const std::string name = entry.path().filename().string(); name.starts_with("capture-trip-"))
            text += folder.read("state/" + name);
    CHECK(text.find(" can0 444#0102\n") != std::string::npos);
    CHECK(text.find("TRIP CELL_HIGH_CRIT") != std::string::npos);
}

// MQTT-050, MQTT-051
TEST_CASE("a capture that the broker asks for is answered by RESULT, and its file is there")
{
    const Folder folder;
    std::filesystem::create_directory(folder.file("state"));
    Broker broker{"allow_anonymous true\n"};
    broker.wait();
    Watcher watcher{broker.port()};
    ServiceManager service;
    Channels channels;
    const Outside outside{channels,
        {.config = short_times("state_directory: " + folder.file("state") +
             "\nmqtt: {host: 127.0.0.1, port: " + std::to_string(broker.port()) + ", commands: [capture]}\n"),
            .battery = find_battery_driver("byd-atto3"),
            .inverter = find_inverter_driver("byd-hvs"),
            .read_again = {},
            .service = &service}};
    const auto answered = [&](const std::string& payload, const std::string& part) {
        const Instant end = monotonic_now() + 15s;
        for (Instant again = monotonic_now(); monotonic_now() < end; std::this_thread::sleep_for(5ms)) {
            if (watcher.has("RESULT", part)) return true;
            if (monotonic_now() >= again) {  // the first may come before it listens
                again = monotonic_now() + 1s;
                watcher.command("capture", payload);
            }
            watcher.poll();
        }
        return false;
    };
    CHECK(answered("start", "\"ok\":true"));
    channels.traffic.push({.at = monotonic_now(), .frame = {.id = 0x444, .len = 2, .data = {1, 2}}});
    channels.outside.ring();
    std::this_thread::sleep_for(200ms);
    CHECK(answered("stop", "capture-asked-"));
    CHECK(watcher.has("RESULT", "\"command\":\"capture\""));
    std::string text;
    for (int i = 0; i < 200 && text.empty(); ++i, std::this_thread::sleep_for(10ms))
        for (const auto& entry : std::filesystem::directory_iterator{folder.file("state")})
            if (const std::string name = entry.path().filename().string(); name.starts_with("capture-asked-"))
                text = folder.read("state/" + name);
    CHECK(text.find("# captured for: a command\n") != std::string::npos);
    CHECK(text.find(" can0 444#0102\n") != std::string::npos);
}
