#include "mqtt/publisher.hpp"

#include "mqtt/backoff.hpp"
#include "mqtt/outbound.hpp"
#include "tests/mqtt/samples.hpp"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <string>
#include <vector>

using namespace batgw;
using namespace batgw::mqtt;
using namespace batgw::test;
using nlohmann::json;

namespace {

// A publisher, a snapshot to change, and a count of what came out.
struct Rig {
    explicit Rig(MqttConfig config = {}) : publisher{config, sample_context()}, snapshot{sample_snapshot(t0)} {}
    Publisher publisher;
    Snapshot snapshot;
    Instant now = t0;
    std::vector<Outgoing> out;

    // Time passes in steps of 100 ms, each with a fresh snapshot, as the bridge sends them.
    void run(Duration time)
    {
        for (const Instant end = now + time; now < end;) {
            now += 100ms;
            next();
        }
    }
    void next()
    {
        ++snapshot.verdict.sequence;
        touch();
        publisher.on_snapshot(snapshot);
        publisher.step({now, 0}, out);
    }
    void refresh()
    {
        publisher.on_snapshot(snapshot);
        publisher.refresh({now, 0}, out);
    }
    void touch()
    {
        const Duration by = now - snapshot.now;
        snapshot.now = now;
        BatteryState& b = snapshot.battery;
        for (auto* r : {&b.voltage, &b.cell_voltage_min, &b.cell_voltage_max}) r->set(*r->last(), r->at() + by);
        for (auto* r : {&b.current, &b.diagnostic_current}) r->set(*r->last(), r->at() + by);
        b.soc.set(*b.soc.last(), b.soc.at() + by);
        snapshot.inverter.voltage.set(*snapshot.inverter.voltage.last(), now);
    }
    std::size_t count(const std::string& suffix) const
    {
        return static_cast<std::size_t>(
            std::count_if(out.begin(), out.end(), [&](const Outgoing& m) { return m.topic == "battery-gateway/" + suffix; }));
    }
    const Outgoing& last(const std::string& suffix) const
    {
        const auto m =
            std::find_if(out.rbegin(), out.rend(), [&](const Outgoing& o) { return o.topic == "battery-gateway/" + suffix; });
        REQUIRE(m != out.rend());
        return *m;
    }
};

}  // namespace

// MQTT-010, MQTT-023, MQTT-045
TEST_CASE("at connect STATUS, the values, STATE, ALARMS, CELLS and availability follow each other")
{
    Rig r;
    r.refresh();
    std::vector<std::string> topics;
    for (const auto& m : r.out) topics.push_back(m.topic.substr(16));
    CHECK(topics ==
        std::vector<std::string>{"STATUS", "battery/voltage", "battery/soc/percent", "battery/pid/current",
            "battery/cell-max/voltage", "battery/pack0/temperature", "battery/pack1/temperature", "battery/cell0/voltage",
            "battery/cell1/voltage", "battery/cell2/voltage", "battery/cell3/voltage", "inverter/recv/voltage",
            "inverter/send/current", "STATE", "ALARMS", "battery/CELLS", "battery/availability", "inverter/availability"});
    CHECK(r.last("STATUS").payload == R"({"charge":"ON","discharge":"ON","max-charge":10000,"max-discharge":10000})");
    struct Row {
        const char* topic;
        int qos;
        bool retain;
    };
    for (const Row& row : {Row{"STATUS", 0, false}, Row{"STATE", 0, true}, Row{"ALARMS", 1, true}, Row{"battery/CELLS", 0, false},
             Row{"battery/availability", 1, true}, Row{"inverter/availability", 1, true}, Row{"battery/voltage", 0, false}}) {
        CHECK(r.last(row.topic).qos == row.qos);
        CHECK(r.last(row.topic).retain == row.retain);
    }
    CHECK(r.publisher.online().payload == "Online");
    CHECK(r.publisher.offline().payload == "Offline");
    CHECK(r.publisher.offline().topic == "battery-gateway/LWT");
    CHECK(r.publisher.offline().retain);
}

// MQTT-013, MQTT-023
TEST_CASE("at each teleperiod everything is told again")
{
    Rig r;
    r.refresh();
    r.out.clear();
    r.run(299s);
    CHECK(r.count("STATUS") == 0);
    CHECK(r.count("battery/voltage") == 0);
    r.run(2s);
    CHECK(r.count("STATUS") == 1);
    CHECK(r.count("LWT") == 1);
    CHECK(r.count("battery/voltage") == 1);
    CHECK(r.count("ALARMS") == 1);
    r.run(300s);
    CHECK(r.count("STATUS") == 2);
    r.publisher.set_teleperiod(4s, r.now);
    r.run(20s);
    CHECK(r.count("STATUS") == 7);
}

// MQTT-002
TEST_CASE("without legacy topics there are no values and no STATUS")
{
    MqttConfig config;
    config.legacy_topics = false;
    Rig r{config};
    r.refresh();
    std::vector<std::string> topics;
    for (const auto& m : r.out) topics.push_back(m.topic.substr(16));
    CHECK(
        topics == std::vector<std::string>{"STATE", "ALARMS", "battery/CELLS", "battery/availability", "inverter/availability"});
}

TEST_CASE("retain_status and legacy_qos are followed")
{
    MqttConfig config;
    config.legacy_qos = 1;
    config.retain_status = true;
    Rig r{config};
    r.refresh();
    CHECK(r.last("STATUS").retain);
    CHECK(r.last("STATUS").qos == 1);
    CHECK(r.last("battery/voltage").qos == 1);
    CHECK(r.publisher.online().qos == 1);
    CHECK(r.last("STATE").qos == 0);
}

// MQTT-033
TEST_CASE("a quiet pack is told of every 30 s, a moving one every second")
{
    Rig r;
    r.refresh();
    r.out.clear();
    r.run(90s);
    CHECK(r.count("STATE") == 3);
    r.out.clear();
    for (int i = 0; i < 300; ++i) {
        put(r.snapshot.battery.voltage, Voltage::from_milli(400'000 + 1'000 * i), r.now);
        r.run(100ms);
    }
    CHECK(r.count("STATE") >= 29);
    CHECK(r.count("STATE") <= 31);
}

// MQTT-064
TEST_CASE("a wall clock that jumps changes what is shown, and no interval")
{
    Rig steady, jumping;
    steady.refresh();
    jumping.refresh();
    steady.out.clear();
    jumping.out.clear();
    for (int i = 0; i < 3'100; ++i) {
        for (Rig* r : {&steady, &jumping}) {
            r->now += 100ms;
            ++r->snapshot.verdict.sequence;
            r->touch();
            r->publisher.on_snapshot(r->snapshot);
            r->publisher.step({r->now, r == &steady ? 0 : (i % 2 == 0 ? 4'000'000'000'000 : 5)}, r->out);
        }
    }
    REQUIRE(steady.out.size() == jumping.out.size());
    for (std::size_t i = 0; i < steady.out.size(); ++i) CHECK(steady.out[i].topic == jumping.out[i].topic);
}

// MQTT-033
TEST_CASE("a transition is told with the very snapshot that shows it")
{
    Rig r;
    r.refresh();
    r.run(5s);
    const auto told = [&](auto change) {
        r.out.clear();
        change(r.snapshot);
        r.now += 10ms;
        r.next();
        return r.count("STATE") == 1;
    };
    CHECK(told([](Snapshot& s) { s.verdict.state = GatewayState::block; }));
    CHECK(told([](Snapshot& s) { s.verdict.contactors.state = ContactorState::opening; }));
    CHECK(told([](Snapshot& s) { s.operator_.charge = false; }));
    CHECK(told([](Snapshot& s) { s.verdict.inverter_link = false; }));
    CHECK(r.last("inverter/availability").payload == "offline");
    CHECK(told([](Snapshot& s) {
        s.verdict.faults.push_back(sample_fault(FaultId::cell_low, FaultClass::block, Direction::discharge, t0));
    }));
    CHECK(r.count("ALARMS") == 1);
    CHECK(told([](Snapshot& s) { ++s.transitions; }));
    CHECK(r.count("ALARMS") == 0);
    CHECK_FALSE(told([](Snapshot&) {}));
}

// MQTT-033
TEST_CASE("a storm of transitions is cut to a burst of 50 and 20 a second, and ends with the newest")
{
    Rig r;
    r.refresh();
    r.out.clear();
    for (int i = 0; i < 1000; ++i) {  // 100 a second for 10 s
        r.now += 10ms;
        ++r.snapshot.transitions;
        r.next();
    }
    CHECK(r.count("STATE") >= 240);
    CHECK(r.count("STATE") <= 252);
    r.out.clear();
    r.run(200ms);
    CHECK(json::parse(r.last("STATE").payload)["sequence"].get<std::uint64_t>() > 18211 + 1000);
}

// MQTT-031
TEST_CASE("the sequence rises from STATE to STATE")
{
    Rig r;
    r.refresh();
    std::uint64_t last = 0;
    for (int i = 0; i < 500; ++i) {
        if (i % 3 == 0) ++r.snapshot.transitions;
        r.out.clear();
        r.run(100ms);
        if (r.count("STATE") == 0) continue;
        const auto sequence = json::parse(r.last("STATE").payload)["sequence"].get<std::uint64_t>();
        REQUIRE(sequence > last);
        last = sequence;
    }
    r.refresh();
    r.out.clear();
    r.now += 60s;
    r.publisher.step({r.now, 0}, r.out);  // no newer snapshot: nothing new to say
    CHECK(r.count("STATE") == 0);
}

// MQTT-040
TEST_CASE("ALARMS follows the life of a fault, not its value")
{
    Rig r;
    r.refresh();
    r.out.clear();
    ActiveFault f = sample_fault(FaultId::cell_high, FaultClass::block, Direction::charge, t0);
    f.has_value = true;
    f.unit = Unit::volt;
    f.value_milli = 3601;
    r.snapshot.verdict.faults.push_back(f);
    r.snapshot.verdict.worst = FaultClass::block;
    r.run(1s);
    CHECK(r.count("ALARMS") == 1);
    r.snapshot.verdict.faults[0].value_milli = 3605;
    r.run(5s);
    CHECK(r.count("ALARMS") == 1);
    r.snapshot.verdict.faults[0].level = r.snapshot.verdict.worst = FaultClass::trip;
    r.snapshot.verdict.faults[0].latched = true;
    r.run(5s);
    CHECK(r.count("ALARMS") == 2);
    CHECK(json::parse(r.last("ALARMS").payload)["active"][0]["latched"] == true);
    r.snapshot.verdict.faults.clear();
    r.snapshot.verdict.worst = FaultClass::none;
    r.run(1s);
    CHECK(r.count("ALARMS") == 3);
    CHECK(json::parse(r.last("ALARMS").payload)["worst"] == "NONE");
}

// MQTT-044
TEST_CASE("CELLS comes with a new complete set, at most every 10 s, and only when it is wanted")
{
    for (const char* mode : {"all", "summary", "off"}) {
        MqttConfig config;
        config.cells = mode;
        Rig r{config};
        r.refresh();
        r.out.clear();
        r.run(20s);
        CHECK(r.count("battery/CELLS") == 0);  // no new set
        for (int i = 0; i < 30; ++i) {         // a set each second
            put_cells(r.snapshot, 4, 3300 + i);
            r.run(1s);
        }
        CHECK(r.count("battery/CELLS") == (std::string{mode} == "all" ? 3 : 0));
        CHECK(r.count("battery/cell0/voltage") == (std::string{mode} == "off" ? 0 : 3));
        r.out.clear();
        r.snapshot.battery.cells.set(CellVoltages{}, r.now);  // a set of none is no set
        r.run(20s);
        CHECK(r.count("battery/CELLS") == 0);
    }
}

// MQTT-045
TEST_CASE("availability follows the link, and is offline before there was one")
{
    Rig r;
    r.snapshot.verdict.battery_link = false;
    r.refresh();
    CHECK(r.last("battery/availability").payload == "offline");
    CHECK(r.last("inverter/availability").payload == "online");
    r.out.clear();
    r.run(1s);
    CHECK(r.count("battery/availability") == 0);
    r.snapshot.verdict.battery_link = true;
    r.run(1s);
    CHECK(r.count("battery/availability") == 1);
    CHECK(r.last("battery/availability").payload == "online");
}

TEST_CASE("126 cells that all move stay under 20 messages a second")
{
    MqttConfig config;
    Publisher publisher{config, sample_context(126)};
    std::vector<Outgoing> out;
    for (int i = 0; i < 600; ++i) {
        const Instant now = t0 + i * 100ms;
        Snapshot s = sample_snapshot(now, 126);
        s.verdict.sequence = static_cast<std::uint64_t>(i) + 1;
        put_cells(s, 126, 3200 + i);
        put(s.battery.voltage, Voltage::from_milli(400'000 + i * 700), now);
        publisher.on_snapshot(s);
        if (i == 0)
            publisher.refresh({now, 0}, out), out.clear();
        else
            publisher.step({now, 0}, out);
    }
    CHECK(out.size() <= 20 * 60);
    CHECK(out.size() >= 5 * 126);
}

// MQTT-062
TEST_CASE("the queue is bounded, drops the oldest QoS 0 message first, and holds one of each value topic")
{
    Outbound queue;
    queue.push({.topic = "a", .payload = "1", .correlation = {}});
    queue.push({.topic = "b", .payload = "1", .correlation = {}});
    queue.push({.topic = "a", .payload = "22", .correlation = {}});
    CHECK(queue.size() == 2);
    CHECK(queue.front().payload == "22");  // newer in the older one's place
    CHECK(queue.bytes() == 5);
    queue.push({.topic = "s", .payload = "1", .keep = Keep::each, .correlation = {}});
    queue.push({.topic = "s", .payload = "2", .keep = Keep::each, .correlation = {}});
    CHECK(queue.size() == 4);

    for (int i = 0; i < 600; ++i)
        queue.push({.topic = "r", .payload = std::to_string(i), .qos = 1, .keep = Keep::deliver, .correlation = {}});
    CHECK(queue.size() == Outbound::messages_max);
    CHECK(queue.front().payload == "88");  // all QoS 0 is gone, then the oldest
    queue.push({.topic = "a", .payload = std::string(Outbound::bytes_max - 100, 'x'), .correlation = {}});
    CHECK(queue.bytes() <= Outbound::bytes_max);
    queue.push({.topic = "a", .payload = std::string(Outbound::bytes_max, 'x'), .correlation = {}});
    CHECK(queue.bytes() <= Outbound::bytes_max);
    CHECK(queue.dropped() > 0);
}

// MQTT-062
TEST_CASE("a lost connection leaves only the answers waiting")
{
    Outbound queue;
    queue.push({.topic = "STATE", .payload = "1", .correlation = {}});
    queue.push({.topic = "RESULT", .payload = "1", .qos = 1, .keep = Keep::deliver, .correlation = {}});
    queue.push({.topic = "STATUS", .payload = "1", .keep = Keep::each, .correlation = {}});
    queue.forget();
    CHECK(queue.size() == 1);
    CHECK(queue.front().topic == "RESULT");
    CHECK(queue.bytes() == 7);
    CHECK(queue.pop().topic == "RESULT");
    CHECK(queue.empty());
    CHECK(queue.bytes() == 0);
}

// MQTT-061
TEST_CASE("waiting times double from 1 s to the longest, within 20 %")
{
    Backoff b{30s};
    for (const Duration expected : {1s, 2s, 4s, 8s, 16s, 30s, 30s}) CHECK(b.next(0.5) == expected);
    b.reset();
    CHECK(b.next(0) == 800ms);
    CHECK(b.next(1) == 2400ms);
    CHECK(b.next(7) == 4800ms);
    Backoff short_one{2s};
    for (const Duration expected : {1s, 2s, 2s}) CHECK(short_one.next(0.5) == expected);
}
