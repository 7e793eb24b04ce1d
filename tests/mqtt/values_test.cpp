#include "mqtt/values.hpp"

#include "tests/mqtt/samples.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

using namespace batgw;
using namespace batgw::mqtt;
using namespace batgw::test;

namespace {

Values::Setup setup(unsigned cells = 4)
{
    Values::Setup s;
    s.topic = "t";
    s.battery = &sample_battery();
    s.inverter = &sample_inverter();
    s.cells_expected = cells;
    return s;
}

std::string lines(const std::vector<Outgoing>& out)
{
    std::string all;
    for (const auto& m : out) all += m.topic + " " + m.payload + "\n";
    return all;
}

// What is sent at `at` when the pack voltage is `volts`.
std::string voltage_at(Values& values, Instant at, Voltage volts, bool all = false)
{
    Snapshot s;
    s.now = at;
    put(s.battery.voltage, volts, at, 5s);
    std::vector<Outgoing> out;
    values.collect(s, at, all, out);
    return lines(out);
}

}  // namespace

// MQTT-020, MQTT-023
TEST_CASE("values come in a fixed order, named base, scope, key and type")
{
    Values values{setup()};
    std::vector<Outgoing> out;
    const Snapshot s = sample_snapshot(t0);
    values.collect(s, t0, false, out);
    const std::string expected = "t/battery/voltage 432\n"
                                 "t/battery/soc/percent 96.4\n"
                                 "t/battery/pid/current 4.7\n"
                                 "t/battery/cell-max/voltage 3.482\n"
                                 "t/battery/pack0/temperature 17\n"
                                 "t/battery/pack1/temperature 19\n"
                                 "t/battery/cell0/voltage 3.421\n"
                                 "t/battery/cell1/voltage 3.422\n"
                                 "t/battery/cell2/voltage 3.423\n"
                                 "t/battery/cell3/voltage 3.424\n"
                                 "t/inverter/recv/voltage 431.8\n"
                                 "t/inverter/send/current 4.7\n";
    CHECK(lines(out) == expected);
    for (const auto& m : out) {
        CHECK(m.qos == 0);
        CHECK_FALSE(m.retain);
    }
    out.clear();
    values.collect(s, t0 + 1s, false, out);
    CHECK(out.empty());
    values.collect(s, t0 + 2s, true, out);
    CHECK(lines(out) == expected);
}

// MQTT-022
TEST_CASE("a burst of changes ends with its last value when the interval is over")
{
    Values values{setup()};
    CHECK(voltage_at(values, t0, 400_V) == "t/battery/voltage 400\n");
    CHECK(voltage_at(values, t0 + 1s, 401_V).empty());
    CHECK(voltage_at(values, t0 + 9s, 402_V).empty());
    CHECK(voltage_at(values, t0 + 9900ms, 402_V).empty());
    CHECK(voltage_at(values, t0 + 10s, 402_V) == "t/battery/voltage 402\n");
    CHECK(voltage_at(values, t0 + 30s, 402_V).empty());
    CHECK(voltage_at(values, t0 + 31s, 403_V) == "t/battery/voltage 403\n");
    // A value that came back to what was sent needs no message.
    CHECK(voltage_at(values, t0 + 32s, 404_V).empty());
    CHECK(voltage_at(values, t0 + 41s, 403_V).empty());
}

TEST_CASE("what does not show in the decimals is no change")
{
    Values values{setup()};
    CHECK(voltage_at(values, t0, 400.1_V) == "t/battery/voltage 400\n");
    CHECK(voltage_at(values, t0 + 20s, 400.4_V).empty());
    CHECK(voltage_at(values, t0 + 40s, 400.5_V) == "t/battery/voltage 401\n");
}

// MQTT-023, MQTT-026
TEST_CASE("a stale or missing value is not sent until it is fresh again, and then at once")
{
    Values values{setup()};
    Snapshot s = sample_snapshot(t0);
    s.battery.soc.set_max_age(10s);
    s.battery.temperatures.forget();
    SensorTemperatures sensors;
    sensors.count = 3;
    sensors.set(1, 18_degC);  // 0 and 2 are not populated
    put(s.battery.temperatures, sensors, t0);
    std::vector<Outgoing> out;
    values.collect(s, t0, true, out);
    CHECK(lines(out).find("soc") != std::string::npos);
    CHECK(lines(out).find("pack0") == std::string::npos);
    CHECK(lines(out).find("t/battery/pack1/temperature 18\n") != std::string::npos);
    CHECK(lines(out).find("pack2") == std::string::npos);

    out.clear();
    values.collect(s, t0 + 11s, true, out);  // 11 s on: soc is too old, the rest is not
    CHECK(lines(out).find("soc") == std::string::npos);
    CHECK(lines(out).find("t/battery/voltage 432\n") != std::string::npos);

    out.clear();
    s.battery.soc.set(96.4_pct, t0 + 12s);
    values.collect(s, t0 + 12s, false, out);
    CHECK(lines(out) == "t/battery/soc/percent 96.4\n");
}

TEST_CASE("as many cell topics as configured, however many the pack sends")
{
    for (const auto& [expected, sent, topics] :
        {std::array<std::size_t, 3>{126, 126, 126}, {126, 192, 126}, {0, 192, 192}, {126, 100, 100}, {0, 0, 0}}) {
        Values values{setup(static_cast<unsigned>(expected))};
        std::vector<Outgoing> out;
        values.collect(sample_snapshot(t0, sent), t0, true, out);
        CHECK(out.size() == 8 + topics);
    }
}

// MQTT-002, MQTT-044
TEST_CASE("cells can be left out")
{
    auto without = setup();
    without.cells = false;
    Values values{without};
    std::vector<Outgoing> out;
    values.collect(sample_snapshot(t0), t0, true, out);
    CHECK(out.size() == 8);
    CHECK(lines(out).find("cell0") == std::string::npos);
    CHECK(lines(out).find("cell-max") != std::string::npos);
}

TEST_CASE("nothing is sent of a pack that never spoke")
{
    Values values{setup()};
    Snapshot s;
    s.now = t0;
    std::vector<Outgoing> out;
    values.collect(s, t0, true, out);
    CHECK(out.empty());
}

// MQTT-020, MQTT-027
TEST_CASE("every module of a tower has its topics, by address, and keeps them when another one leaves")
{
    Values values{setup()};
    Snapshot s;
    s.now = t0;
    put_modules(s, 3);
    std::vector<Outgoing> out;
    values.collect(s, t0, false, out);
    CHECK(lines(out).starts_with("t/battery/module1/voltage 52.8\n"
                                 "t/battery/module1/current -102.7\n"
                                 "t/battery/module1-soc/percent 64.2\n"
                                 "t/battery/module1-soh/percent 98.7\n"
                                 "t/battery/module1-low/voltage 3.241\n"
                                 "t/battery/module1-high/voltage 3.265\n"
                                 "t/battery/module1-min/temperature -14.2\n"
                                 "t/battery/module1-max/temperature -11.5\n"
                                 "t/battery/module1-mos/temperature 31.5\n"
                                 "t/battery/module1-charge/current 60\n"
                                 "t/battery/module1-disch/current 120\n"
                                 "t/battery/module1-charge/raw 1\n"
                                 "t/battery/module1-disch/raw 0\n"
                                 "t/battery/module1-in/energy 18.93\n"
                                 "t/battery/module1-out/energy 15.15\n"
                                 "t/battery/module1-cycles/count 300\n"
                                 "t/battery/module1-bal/count 3\n"
                                 "t/battery/module1-alarms/count 12\n"
                                 "t/battery/module2/voltage 52.8\n"));
    CHECK(out.size() == 54);

    // The second one leaves: nothing of it, and the third is still the third.
    s.battery.modules.erase_ordered(1);
    out.clear();
    values.collect(s, t0 + 20s, true, out);
    CHECK(lines(out).find("module2") == std::string::npos);
    CHECK(lines(out).find("t/battery/module3-soc/percent 64.2") != std::string::npos);
    CHECK(out.size() == 36);

    put_modules(s, 16);
    out.clear();
    values.collect(s, t0 + 40s, true, out);
    for (const Outgoing& m : out) {
        const auto key = m.topic.substr(10, m.topic.rfind('/') - 10);
        CHECK_MESSAGE(key.size() <= 15, m.topic);
    }
    CHECK(out.size() == 288);
    // An address that cannot be is left out.
    s.battery.modules[0].address = 0;
    s.battery.modules[1].address = 17;
    out.clear();
    values.collect(s, t0 + 60s, true, out);
    CHECK(out.size() == 252);
}
