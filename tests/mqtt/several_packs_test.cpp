// Two packs in parallel: `battery` is both, `battery1` and `battery2` are each.
#include "mqtt/alarms_json.hpp"
#include "mqtt/publisher.hpp"
#include "mqtt/state_json.hpp"
#include "tests/mqtt/samples.hpp"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

using namespace batgw;
using namespace batgw::mqtt;
using namespace batgw::test;

namespace {

Snapshot two_pack_snapshot()
{
    Snapshot s = sample_snapshot(t0);
    for (int i = 0; i < 2; ++i) s.packs.push_back({.verdict = s.verdict, .battery = s.battery, .bus = s.buses[0]});
    s.packs[1].bus.status.name.assign("can2");
    s.packs[1].verdict.battery_link = false;
    s.packs[1].verdict.waiting = Waiting::parallel;
    s.packs[1].battery.voltage.set(399_V, s.now);
    s.battery.cells.forget();
    return s;
}

std::vector<Outgoing> all_of(const Snapshot& s, unsigned packs)
{
    MqttContext context = sample_context();
    context.packs = packs;
    Publisher publisher{MqttConfig{}, context};
    publisher.on_snapshot(s);
    std::vector<Outgoing> out;
    publisher.refresh({s.now, 0}, out);
    return out;
}

std::string payload(const std::vector<Outgoing>& out, std::string_view topic)
{
    const auto found = std::find_if(out.begin(), out.end(), [&](const Outgoing& o) { return o.topic == topic; });
    return found != out.end() ? found->payload : "(none)";
}

}  // namespace

TEST_CASE("several packs: each has its scope of value topics, cells and availability beside that of all")
{
    // MQTT-020
    const Snapshot s = two_pack_snapshot();
    const auto out = all_of(s, 2);
    const std::string base = "battery-gateway/";
    CHECK(payload(out, base + "battery1/availability") == "online");
    CHECK(payload(out, base + "battery2/availability") == "offline");
    CHECK(payload(out, base + "battery/availability") == "online");
    CHECK(payload(out, base + "battery/CELLS") == "(none)");
    CHECK(payload(out, base + "battery1/CELLS").starts_with("{\"count\":"));
    CHECK(payload(out, base + "battery2/CELLS").starts_with("{\"count\":"));
    std::size_t of_all = 0, of_first = 0, of_second = 0, of_inverter = 0;
    for (const Outgoing& o : out) {
        of_all += o.topic.starts_with(base + "battery/") ? 1U : 0U;
        of_first += o.topic.starts_with(base + "battery1/") ? 1U : 0U;
        of_second += o.topic.starts_with(base + "battery2/") ? 1U : 0U;
        of_inverter += o.topic.starts_with(base + "inverter/") ? 1U : 0U;
    }
    CHECK(of_first == of_second);
    CHECK(of_all > 5);
    CHECK(of_first > of_all);  // cells belong to a pack
    const auto one_pack = all_of(sample_snapshot(t0), 1);
    CHECK(of_inverter == static_cast<std::size_t>(std::count_if(one_pack.begin(), one_pack.end(), [&](const Outgoing& o) {
        return o.topic.starts_with(base + "inverter/");
    })));
}

TEST_CASE("several packs: one pack has no numbered scope")
{
    // MQTT-001
    for (const Outgoing& o : all_of(sample_snapshot(t0), 1)) {
        CAPTURE(o.topic);
        CHECK(o.topic.find("battery1") == std::string::npos);
        CHECK(o.payload.find("battery1") == std::string::npos);
    }
}

TEST_CASE("several packs: STATE has each of them in short, stays within its size, and is told anew when one moves")
{
    // MQTT-030, MQTT-033
    Snapshot s = two_pack_snapshot();
    const std::string text = state_json(s, &sample_battery().profile, {s.now, 0});
    CHECK(text.size() <= state_bytes_max);
    const auto state = nlohmann::json::parse(text);
    CHECK(state["battery1"]["link"] == "ok");
    CHECK(state["battery2"]["link"] == "lost");
    CHECK(state["battery2"]["waiting"] == "parallel");
    CHECK(state["battery2"]["voltage"] == 399.0);
    CHECK(state["buses"].contains("can2"));
    const auto before = watched(s);
    CHECK_FALSE(moved(before, watched(s)));
    s.packs[1].battery.voltage.set(400_V, s.now);
    CHECK(moved(before, watched(s)));
}

TEST_CASE("several packs: a fault names the pack it is of, the first as well")
{
    // MQTT-040
    Snapshot s = two_pack_snapshot();
    s.verdict.faults.clear();
    for (const std::uint8_t number : {std::uint8_t{1}, std::uint8_t{2}}) {
        ActiveFault f;
        f.id = FaultId::cell_high;
        f.level = FaultClass::block;
        f.device = Device::battery;
        f.device_number = number;
        s.verdict.faults.push_back(f);
    }
    const auto active = nlohmann::json::parse(alarms_json(s, {s.now, 0}))["active"];
    CHECK(active[0]["device"] == "battery1");
    CHECK(active[1]["device"] == "battery2");
}
