// The topics that consumers of the older program rely on, with the real drivers' tables.
#include "battery/registry.hpp"
#include "inverter/registry.hpp"
#include "mqtt/desk.hpp"
#include "mqtt/publisher.hpp"
#include "mqtt/value_text.hpp"
#include "tests/mqtt/samples.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

using namespace batgw;
using namespace batgw::mqtt;
using namespace batgw::test;

namespace {

// Made up: a pack of 126 cells with ten sensors, of which everything is known.
Snapshot known_pack(Current current)
{
    Snapshot s = sample_snapshot(t0, 126);
    BatteryState& b = s.battery;
    put(b.voltage, 417_V, t0);
    put(b.current, current, t0);
    put(b.diagnostic_current, current, t0);
    put(b.diagnostic_soc, 88_pct, t0);
    put(b.diagnostic_voltage, 416_V, t0);
    put(b.temperature_min, Temperature::from_milli(-3'000), t0);
    put(b.charge_limit, 21'300_W, t0);
    put(b.discharge_limit, 0_W, t0);
    put(b.sessions, 118_count, t0);
    put(b.charge_in, 9876_Ah, t0);
    put(b.charge_out, 9543_Ah, t0);
    SensorTemperatures sensors;
    sensors.count = 10;
    for (std::size_t i = 0; i < sensors.count; ++i)
        sensors.set(i, Temperature::from_milli(static_cast<std::int64_t>(i) * 1000 - 4000));
    put(b.temperatures, sensors, t0);
    InverterState& i = s.inverter;
    put(i.sent_voltage, 417.3_V, t0);
    put(i.sent_current, current, t0);
    put(i.sent_charge_limit, 25.6_A, t0);
    put(i.sent_discharge_limit, 0_A, t0);
    return s;
}

MqttContext real_drivers()
{
    return {.battery = find_battery_driver("byd-atto3"),
        .inverter = find_inverter_driver("byd-hvs"),
        .max_charge = 10_kW,
        .max_discharge = 10_kW,
        .cells_expected = 126};
}

std::vector<Outgoing> at_connect(const Snapshot& snapshot)
{
    Publisher publisher{MqttConfig{}, real_drivers()};
    publisher.on_snapshot(snapshot);
    std::vector<Outgoing> out{publisher.online()};
    publisher.refresh({t0, 0}, out);
    return out;
}

std::string payload_of(const std::vector<Outgoing>& out, const std::string& topic)
{
    const auto m = std::find_if(out.begin(), out.end(), [&](const Outgoing& o) { return o.topic == "battery-gateway/" + topic; });
    REQUIRE_MESSAGE(m != out.end(), topic);
    CHECK(m->qos == 0);
    CHECK(m->retain == (topic == "LWT"));
    return m->payload;
}

}  // namespace

// MQTT-001, MQTT-024, MQTT-020, MQTT-021
TEST_CASE("every topic of the older program is there, in its unit and with its decimals")
{
    const auto out = at_connect(known_pack(-12.3_A));
    const std::vector<std::pair<std::string, std::string>> expected{{"LWT", "Online"},
        {"STATUS", R"({"charge":"ON","discharge":"ON","max-charge":10000,"max-discharge":10000})"},
        {"battery/ambient/temperature", "16"}, {"battery/voltage", "417"}, {"battery/soc/percent", "96.4"},
        {"battery/pid-soc/percent", "88"}, {"battery/pid/voltage", "416"}, {"battery/pid/current", "-12.3"},
        {"battery/min/temperature", "-3"}, {"battery/max/temperature", "19"}, {"battery/avg/temperature", "18"},
        {"battery/cell-min/voltage", "3.421"}, {"battery/cell-max/voltage", "3.482"}, {"battery/cell-delta/voltage", "0.061"},
        {"battery/max-discharge/power", "0"}, {"battery/max-charge/power", "21300"}, {"battery/charge-count/count", "118"},
        {"battery/charged/amphour", "9876"}, {"battery/discharged/amphour", "9543"}, {"battery/charged/energy", "4211"},
        {"battery/discharged/energy", "4030"}, {"inverter/inverter/temperature", "38.5"}, {"inverter/send/voltage", "417.3"},
        {"inverter/recv/voltage", "431.8"}, {"inverter/send/current", "-12.3"}, {"inverter/recv/current", "4.6"},
        {"inverter/max-discharge/current", "0.0"}, {"inverter/max-charge/current", "25.6"}};
    for (const auto& [topic, payload] : expected) CHECK(payload_of(out, topic) == payload);
    for (int i = 0; i < 10; ++i)
        CHECK(payload_of(out, "battery/pack" + std::to_string(i) + "/temperature") == std::to_string(i - 4));
    for (int i = 0; i < 126; ++i)
        CHECK(payload_of(out, "battery/cell" + std::to_string(i) + "/voltage") == "3." + std::to_string(421 + i));
    // And no value topic beside them.
    const auto values = std::count_if(out.begin(), out.end(),
        [](const Outgoing& o) { return o.topic.find_first_of("ABCDEFGHIJKLMNOPQRSTUVWXYZ") == std::string::npos; });
    CHECK(values == static_cast<std::ptrdiff_t>(expected.size() - 2 + 10 + 126 + 2));  // 2: availability
}

// MQTT-001
TEST_CASE("the four commands of the older program do what they did")
{
    const MqttConfig config;
    CommandDesk desk{config, {config.commands, 10_kW, 10_kW}};
    std::vector<Outgoing> out;
    std::vector<Command> submitted;
    for (const auto& [name, payload] : std::vector<std::pair<std::string, std::string>>{
             {"charge", "off"}, {"discharge", "ON"}, {"max-charge", "2500"}, {"max-discharge", "0"}}) {
        const std::string topic = "battery-gateway/cmnd/" + name;
        desk.on_message(
            {.topic = topic, .payload = payload, .retained = false, .response_topic = {}, .correlation = {}}, {}, {t0, 0},
            [&](const Command& c) { return submitted.push_back(c), true; }, out);
    }
    REQUIRE(submitted.size() == 4);
    CHECK((submitted[0].kind == CommandKind::charge && !submitted[0].on));
    CHECK((submitted[1].kind == CommandKind::discharge && submitted[1].on));
    CHECK((submitted[2].kind == CommandKind::max_charge && submitted[2].charge_power == 2500_W));
    CHECK((submitted[3].kind == CommandKind::max_discharge && submitted[3].discharge_power == 0_W));
}

// MQTT-025
TEST_CASE("currents are positive when the battery is charged")
{
    for (const char* topic : {"battery/pid/current", "inverter/send/current"}) {
        CHECK(payload_of(at_connect(known_pack(7.5_A)), topic) == "7.5");
        CHECK(payload_of(at_connect(known_pack(-7.5_A)), topic) == "-7.5");
    }
}

// MQTT-027, MQTT-020
TEST_CASE("drivers name their values with the words that dashboards know")
{
    // Preferred words; then those of the older program's BYD drivers, which keep them.
    const std::set<std::string_view> words{"", "soc", "soh", "cell-min", "cell-max", "cell-avg", "cell-delta", "min", "max",
        "avg", "max-charge", "max-discharge", "cycles", "remain", "full", "charged", "discharged", "ambient", "pid-soc", "pid",
        "charge-count", "inverter", "send", "recv"};
    const auto check = [&](const auto& values) {
        std::set<std::string> topics;
        for (const auto& v : values) {
            CHECK_MESSAGE(words.contains(v.key), std::string{v.key});
            CHECK(v.key.size() <= 15);
            CHECK(v.decimals <= max_decimals);
            CHECK(topics.insert(value_topic("t", "scope", v.key, v.type)).second);
        }
    };
    for (const auto* d : battery_drivers()) {
        check(d->values);
        for (const std::string_view key : {d->cell_key, d->sensor_key})
            CHECK((key.empty() || key == "cell" || key == "temp" || key == "pack"));
    }
    for (const auto* d : inverter_drivers()) check(d->values);
}
