// The client against a scripted broker: what goes over the wire, and what a broker can do to us.
#include "tests/mqtt/broker.hpp"
#include "tests/support/sanitized.hpp"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <fstream>
#include <string>

#include <sys/resource.h>

using namespace batgw;
using namespace batgw::test;
using namespace std::chrono_literals;
using namespace std::string_literals;

namespace {

bool run(OutsideLoop& loop, Gateway& gateway, FakeBroker& broker, const std::function<bool()>& done,
    std::chrono::milliseconds patience = 10s)
{
    return loop.until(done, patience, [&] {
        gateway.bridge();
        broker.poll();
    });
}

// The sanitizers keep books of the whole buffer that the library asks for, used or not.
constexpr std::size_t tolerance_kib = sanitized ? 512 * 1024 : 4096;

std::size_t resident_kib()
{
    std::ifstream status{"/proc/self/status"};
    for (std::string line; std::getline(status, line);)
        if (line.starts_with("VmRSS:")) return std::stoul(line.substr(6));
    return 0;
}

std::string publish_packet(const std::string& topic, const std::string& payload, char flags = 0)
{
    std::string body{static_cast<char>(topic.size() >> 8), static_cast<char>(topic.size() & 0xff)};
    body += topic + payload;
    std::string head{static_cast<char>(0x30 | flags)};
    for (std::size_t n = body.size();;) {
        head += static_cast<char>((n & 0x7f) | (n > 0x7f ? 0x80 : 0));
        n >>= 7;
        if (n == 0) break;
    }
    return head + body;
}

}  // namespace

// MQTT-010
TEST_CASE("the order at connect: will, Online, subscription, STATUS, values, STATE, ALARMS, CELLS, availability")
{
    OutsideLoop loop;
    FakeBroker broker;
    broker.on_packet = [&](const FakeBroker::Packet& p) { broker.polite(p); };
    MqttConfig config = plain_config(broker.port());
    config.username = "gate";
    config.password = "secret";
    config.client_id = "batgw-test";
    Gateway gateway{loop, config};
    REQUIRE(run(loop, gateway, broker, [&] {
        return !broker.packets.empty() && broker.packets.back().type == 3 &&
            broker.packets.back().topic() == "battery-gateway/inverter/availability";
    }));

    const auto& p = broker.packets;
    REQUIRE(p.size() > 10);
    CHECK(p[0].type == 1);
    // MQTT 3.1.1; user, password, will retained QoS 0, clean session; keep-alive 30 s; then id, will topic, will, user, password.
    CHECK(p[0].body ==
        "\x00\x04MQTT\x04\xe6\x00\x1e"s + "\x00\x0a"s + "batgw-test" + "\x00\x13"s + "battery-gateway/LWT" + "\x00\x07"s +
            "Offline" + "\x00\x04"s + "gate" + "\x00\x06"s + "secret");
    CHECK(p[1].type == 3);
    CHECK(p[1].flags == 1);  // retained, QoS 0
    CHECK(p[1].topic() == "battery-gateway/LWT");
    CHECK(p[1].payload() == "Online");
    CHECK(p[2].type == 8);
    CHECK(p[2].body.substr(2) == "\x00\x16"s + "battery-gateway/cmnd/#" + "\x01");
    CHECK(p[3].topic() == "battery-gateway/STATUS");
    CHECK(p[3].payload() == R"({"charge":"ON","discharge":"ON","max-charge":10000,"max-discharge":10000})");
    std::vector<std::string> rest;
    for (std::size_t i = 4; i < p.size(); ++i) rest.push_back(p[i].topic().substr(16));
    CHECK(rest ==
        std::vector<std::string>{"battery/voltage", "battery/soc/percent", "battery/pid/current", "battery/cell-max/voltage",
            "battery/pack0/temperature", "battery/pack1/temperature", "battery/cell0/voltage", "battery/cell1/voltage",
            "battery/cell2/voltage", "battery/cell3/voltage", "inverter/recv/voltage", "inverter/send/current", "STATE", "ALARMS",
            "battery/CELLS", "battery/availability", "inverter/availability"});
}

// MQTT-011
TEST_CASE("an orderly stop publishes Offline, then disconnects, and takes what was not sent along")
{
    OutsideLoop loop;
    FakeBroker broker;
    broker.on_packet = [&](const FakeBroker::Packet& p) { broker.polite(p); };
    Gateway gateway{loop, plain_config(broker.port())};
    REQUIRE(run(loop, gateway, broker, [&] { return broker.packets.size() > 10; }));
    bool gone = false;
    gateway.client->stop([&] {
        gone = true;
        gateway.client.reset();  // the owner may do that
    });
    REQUIRE(loop.until([&] { return gone && !broker.has_peer(); }, 5s, [&] { broker.poll(); }));
    const auto& p = broker.packets;
    CHECK(p.back().type == 14);
    CHECK(p[p.size() - 2].topic() == "battery-gateway/LWT");
    CHECK(p[p.size() - 2].payload() == "Offline");
    CHECK(p[p.size() - 2].flags == 1);
}

TEST_CASE("stopping without a connection, or with a broker that is stuck, takes 2 s at most")
{
    OutsideLoop loop;
    {
        Gateway nowhere{loop, plain_config(free_port())};
        CHECK(nowhere.stop());
    }
    FakeBroker broker;
    broker.on_packet = [&](const FakeBroker::Packet& p) {
        broker.polite(p);
        if (p.type == 8) broker.reads = false;
    };
    Gateway gateway{loop, plain_config(broker.port())};
    REQUIRE(run(loop, gateway, broker, [&] { return !broker.reads; }));
    REQUIRE(gateway.fill());
    bool gone = false;
    const auto begin = Clock::now();
    gateway.client->stop([&] { gone = true; });
    REQUIRE(loop.until([&] { return gone; }, 5s));
    CHECK(Clock::now() - begin < 3s);
    CHECK(Clock::now() - begin > 1s);
}

// MQTT-061
TEST_CASE("a broker that refuses, resets or closes is tried again for ever, with one warning per reason")
{
    struct Row {
        const char* what;
        std::function<void(FakeBroker&)> on_connection, on_connect_packet;
    };
    const std::vector<Row> rows{
        Row{"refused by the broker", {}, [](FakeBroker& b) { b.accept_login(5); }},
        Row{"refused by the broker", {}, [](FakeBroker& b) { b.accept_login(4), b.hang_up(); }},
        Row{"closed by the broker before it answered", {}, [](FakeBroker& b) { b.hang_up(); }},
        Row{"", {}, [](FakeBroker& b) { b.reset(); }},
        Row{"", [](FakeBroker& b) { b.hang_up(); }, {}},
        Row{"", [](FakeBroker& b) { b.reset(); }, {}},
        Row{"", {}, [](FakeBroker& b) { b.send("\xff\xff\xff\xff\xff\xff garbage"); }},
        Row{"",
            [](FakeBroker& b) {
                b.send("HTTP/1.1 400 Bad Request\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n<html><body>no, no, "
                       "no</body></html>");
            },
            {}},
        Row{"no answer from the broker in time", {}, {}},
    };
    OutsideLoop loop;
    std::vector<std::unique_ptr<FakeBroker>> brokers;
    std::vector<std::unique_ptr<Gateway>> gateways;
    for (const Row& row : rows) {
        FakeBroker& broker = *brokers.emplace_back(std::make_unique<FakeBroker>());
        broker.on_connection = [&] {
            if (row.on_connection) row.on_connection(broker);
        };
        broker.on_packet = [&](const FakeBroker::Packet& p) {
            if (p.type == 1 && row.on_connect_packet) row.on_connect_packet(broker);
        };
        gateways.push_back(std::make_unique<Gateway>(loop, plain_config(broker.port())));
    }
    const auto tried = [&](int times) {
        for (std::size_t i = 0; i < rows.size(); ++i)
            if (brokers[i]->connections < (i + 1 == rows.size() ? 2 : times)) return false;
        return true;
    };
    CHECK(loop.until([&] { return tried(3); }, 30s,
        [&] {
            for (auto& g : gateways) g->bridge();
            for (auto& b : brokers) b->poll();
        }));
    for (std::size_t i = 0; i < rows.size(); ++i) {
        CAPTURE(i);
        CHECK_FALSE(gateways[i]->client->connected());
        CHECK(gateways[i]->client->counters().failures >= 1);
        CHECK(gateways[i]->submitted.empty());
        CHECK(gateways[i]->warnings.size() <= 2);
        if (!*rows[i].what) continue;
        CHECK(gateways[i]->warnings.size() == 1);
        CHECK(gateways[i]->logged(rows[i].what));
    }
    CHECK(loop.longest < blocked);
}

TEST_CASE("it connects when the broker comes to its senses, and says so once")
{
    OutsideLoop loop;
    FakeBroker broker;
    bool sane = false;
    broker.on_packet = [&](const FakeBroker::Packet& p) {
        if (sane)
            broker.polite(p);
        else
            broker.hang_up();
    };
    Gateway gateway{loop, plain_config(broker.port())};
    REQUIRE(run(
        loop, gateway, broker, [&] { return broker.connections >= 2; }, 10s));
    sane = true;
    REQUIRE(run(
        loop, gateway, broker, [&] { return gateway.client->connected(); }, 10s));
    CHECK(gateway.client->counters().connects == 1);
    CHECK(gateway.logged("mqtt: connected to 127.0.0.1"));
}

// MQTT-062, SAFE-190
TEST_CASE("a broker that stops reading costs bounded memory and no time, and gets nothing old afterwards")
{
    OutsideLoop loop;
    FakeBroker broker;
    bool stuck = true;
    broker.on_packet = [&](const FakeBroker::Packet& p) {
        broker.polite(p);
        if (p.type == 8 && stuck) broker.reads = false;
    };
    Gateway gateway{loop, plain_config(broker.port())};
    REQUIRE(run(loop, gateway, broker, [&] { return !broker.reads; }));
    REQUIRE(gateway.fill());
    const std::size_t before = resident_kib();
    run(
        loop, gateway, broker, [] { return false; }, 2s);
    CHECK(gateway.client->counters().waiting <= 40);  // one of each topic, not one of each moment
    CHECK(resident_kib() < before + tolerance_kib / 4);
    CHECK(gateway.longest_call < blocked);
    CHECK(loop.longest < blocked);
    // The connection dies; the next one starts with what holds now.
    stuck = false;
    broker.reset();
    broker.packets.clear();
    broker.reads = true;
    REQUIRE(run(
        loop, gateway, broker, [&] { return gateway.client->counters().connects == 2; }, 10s));
    const auto reconnected = Clock::now();
    REQUIRE(run(
        loop, gateway, broker, [&] { return broker.packets.size() > 10; }, 5s));
    CHECK(Clock::now() - reconnected < 2s);
    for (const auto& p : broker.packets)
        if (p.type == 3 && p.topic() == "battery-gateway/STATE")
            CHECK(nlohmann::json::parse(p.payload())["sequence"].get<std::uint64_t>() + 30 > gateway.snapshot.verdict.sequence);
}

// MQTT-063, SAFE-193
TEST_CASE("a packet of many megabytes ends the connection before it ends the memory")
{
    OutsideLoop loop;
    FakeBroker broker;
    broker.on_packet = [&](const FakeBroker::Packet& p) { broker.polite(p); };
    Gateway gateway{loop, plain_config(broker.port())};
    REQUIRE(run(loop, gateway, broker, [&] { return broker.packets.size() > 10; }));
    // A publication of 200 MB for cmnd/charge: first its head, then as much of it as goes.
    broker.send(std::string{"\x30\x80\x84\xaf\x5f", 5} + "\x00\x1b"s + "battery-gateway/cmnd/charge");
    const std::size_t before = resident_kib();
    const std::string chunk(64 * 1024, 'x');
    std::size_t sent = 0;
    REQUIRE(run(loop, gateway, broker, [&] {
        if (broker.connections == 1) sent += broker.send_some(chunk);
        return !gateway.client->connected() || gateway.client->counters().connects > 1;
    }));
    CHECK(sent < 8 * 1024 * 1024);
    CHECK(resident_kib() < before + tolerance_kib);
    CHECK(gateway.logged("too large"));
    CHECK(run(loop, gateway, broker, [&] { return gateway.client->counters().connects == 2; }));
    CHECK(gateway.submitted.empty());
}

// SAFE-193
TEST_CASE("payloads beyond 1024 bytes are answered too_long, empty ones are answered, and both change nothing")
{
    OutsideLoop loop;
    FakeBroker broker;
    broker.on_packet = [&](const FakeBroker::Packet& p) { broker.polite(p); };
    Gateway gateway{loop, plain_config(broker.port())};
    REQUIRE(run(loop, gateway, broker, [&] { return broker.packets.size() > 10; }));
    const auto results = [&] {
        std::vector<std::string> codes;
        for (const auto& p : broker.packets)
            if (p.type == 3 && p.topic() == "battery-gateway/RESULT") codes.push_back(nlohmann::json::parse(p.payload())["code"]);
        return codes;
    };
    for (const std::size_t size : {1025U, 4096U, 20'000U})
        broker.send(publish_packet("battery-gateway/cmnd/charge", std::string(size, '1')));
    REQUIRE(run(loop, gateway, broker, [&] { return results().size() == 3; }));
    CHECK(results() == std::vector<std::string>{"too_long", "too_long", "too_long"});
    for (const char* name : {"charge", "discharge", "max-charge", "max-discharge", "limits", "pause", "contactor", "nonsense"})
        broker.send(publish_packet("battery-gateway/cmnd/"s + name, ""));
    broker.send(publish_packet("battery-gateway/cmnd/", ""));
    broker.send(publish_packet("elsewhere", "on"));
    broker.send(publish_packet("battery-gateway/LWT", "Online"));
    REQUIRE(run(loop, gateway, broker, [&] { return results().size() == 12; }));
    CHECK(gateway.submitted.empty());
    CHECK(gateway.client->connected());
    std::size_t status = 0;
    for (const auto& p : broker.packets) status += p.type == 3 && p.topic() == "battery-gateway/STATUS" ? 1U : 0U;
    CHECK(status == 13);  // MQTT-013: one at connect, one per command
}

// MQTT-062, SAFE-190
TEST_CASE("an answer that the broker had no time to take is delivered after it was restarted")
{
    OutsideLoop loop;
    FakeBroker broker;
    broker.on_packet = [&](const FakeBroker::Packet& p) {
        const bool answer = p.type == 3 && p.topic() == "battery-gateway/RESULT";
        if (answer && broker.connections == 1)
            broker.reset();  // restarted right after the command
        else
            broker.polite(p);
    };
    Gateway gateway{loop, plain_config(broker.port())};
    REQUIRE(run(loop, gateway, broker, [&] { return broker.packets.size() > 10; }));
    broker.send(publish_packet("battery-gateway/cmnd/charge", "off"));
    REQUIRE(run(loop, gateway, broker, [&] { return broker.connections == 2; }));
    broker.packets.clear();
    const auto answered = [&] {
        std::size_t n = 0;
        for (const auto& p : broker.packets) n += p.type == 3 && p.topic() == "battery-gateway/RESULT" ? 1U : 0U;
        return n;
    };
    CHECK(run(loop, gateway, broker, [&] { return answered() == 1; }));
    run(
        loop, gateway, broker, [] { return false; }, 300ms);
    CHECK(answered() == 1);
    CHECK(gateway.submitted.size() == 1);
}

// MQTT-050
TEST_CASE("an empty list of commands makes it publish only")
{
    OutsideLoop loop;
    FakeBroker broker;
    broker.on_packet = [&](const FakeBroker::Packet& p) { broker.polite(p); };
    MqttConfig config = plain_config(broker.port());
    config.commands.clear();
    Gateway gateway{loop, config};
    REQUIRE(run(loop, gateway, broker, [&] { return broker.packets.size() > 10; }));
    for (const auto& p : broker.packets) CHECK(p.type != 8);
}

TEST_CASE("before the first snapshot only LWT and the subscription are sent")
{
    OutsideLoop loop;
    FakeBroker broker;
    broker.on_packet = [&](const FakeBroker::Packet& p) { broker.polite(p); };
    Gateway gateway{loop, plain_config(broker.port()), false};
    REQUIRE(run(loop, gateway, broker, [&] { return broker.packets.size() == 3; }));
    run(
        loop, gateway, broker, [] { return false; }, 300ms);
    CHECK(broker.packets.size() == 3);
    gateway.client->on_snapshot(sample_snapshot(Gateway::now()));
    CHECK(run(loop, gateway, broker, [&] { return broker.packets.size() > 10; }));
}

TEST_CASE("a new configuration says goodbye under the old topic and starts under the new one")
{
    OutsideLoop loop;
    FakeBroker broker;
    broker.on_packet = [&](const FakeBroker::Packet& p) { broker.polite(p); };
    MqttConfig config = plain_config(broker.port());
    Gateway gateway{loop, config};
    REQUIRE(run(loop, gateway, broker, [&] { return broker.packets.size() > 10; }));
    config.topic = "other";
    gateway.client->reconfigure(config, sample_context());
    REQUIRE(run(loop, gateway, broker, [&] {
        return !broker.packets.empty() && broker.packets.back().type == 3 &&
            broker.packets.back().topic() == "other/inverter/availability";
    }));
    bool said = false;
    for (const auto& p : broker.packets)
        said = said || (p.type == 3 && p.topic() == "battery-gateway/LWT" && p.payload() == "Offline");
    CHECK(said);
}

// MQTT-060
TEST_CASE("a name that does not resolve is a failure to try again, not one to wait for")
{
    OutsideLoop loop;
    MqttConfig config = plain_config(1);
    config.host = "no-such-broker.invalid";
    const auto begin = Clock::now();
    Gateway gateway{loop, config};
    CHECK(Clock::now() - begin < 500ms);
    CHECK(gateway.until([&] { return gateway.client->counters().failures >= 1; }, 20s));
    CHECK(loop.longest < blocked);
}

TEST_CASE("a name with several addresses is tried address by address")
{
    OutsideLoop loop;
    FakeBroker broker;  // 127.0.0.1 only; localhost may be ::1 first
    broker.on_packet = [&](const FakeBroker::Packet& p) { broker.polite(p); };
    for (const char* family : {"any", "ipv4"}) {
        MqttConfig config = plain_config(broker.port());
        config.host = "localhost";
        config.family = family;
        Gateway gateway{loop, config};
        CHECK(run(loop, gateway, broker, [&] { return gateway.client->connected(); }));
    }
}

TEST_CASE("a client may be destroyed at any moment")
{
    OutsideLoop loop;
    FakeBroker broker;
    broker.on_packet = [&](const FakeBroker::Packet& p) { broker.polite(p); };
    for (int turns = 0; turns < 12; ++turns) {
        MqttConfig config = plain_config(broker.port());
        if (turns % 2 == 1) config.host = "localhost";
        auto gateway = std::make_unique<Gateway>(loop, config);
        for (int i = 0; i < turns; ++i) {
            gateway->bridge();
            event_base_loop(loop.base(), EVLOOP_NONBLOCK);
            broker.poll();
        }
        gateway.reset();
    }
    CHECK(loop.until([] { return true; }, 1s));
}
