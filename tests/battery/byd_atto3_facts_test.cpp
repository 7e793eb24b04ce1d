// What the driver says of itself and of the pack: profile, limits, window, energy, topics.
#include "model/chemistry.hpp"
#include "tests/battery/bench.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

using namespace batgw;
using namespace batgw::test;
namespace layout = batgw::byd_atto3;

namespace {

PackFacts facts_of(const std::function<void(BatteryConfig&)>& change) { return Bench{"byd-atto3", change}.driver->facts(); }

SafetyConfig adjusted(Chemistry chemistry)
{
    SafetyConfig s = default_safety(chemistry);
    BatteryConfig c;
    c.chemistry = chemistry;
    find_battery_driver("byd-atto3")->adjust(c, s);
    return s;
}

}  // namespace

TEST_CASE("atto3: nothing is known of a pack that was not counted")
{
    const PackFacts f = facts_of({});
    CHECK_FALSE(f.cells);
    CHECK_FALSE(f.energy_rated);
    CHECK_FALSE(f.voltage_max);
    CHECK_FALSE(f.voltage_min);
    CHECK_FALSE(f.voltage_nominal);
}

TEST_CASE("atto3: the voltage window belongs to the cell count")
{
    struct Row {
        unsigned cells;
        Voltage max, min;
    };
    for (const Row& row : {Row{126, 441_V, 380_V}, Row{104, 364_V, 313.6_V}, Row{90, 315_V, 271.8_V}, Row{172, 602_V, 519.44_V},
             Row{160, 560_V, 483.2_V}}) {
        CAPTURE(row.cells);
        const PackFacts f = facts_of([&](BatteryConfig& c) { c.cells = row.cells; });
        CHECK(f.cells == row.cells);
        CHECK(f.voltage_max == row.max);
        CHECK(f.voltage_min == row.min);
        CHECK(f.voltage_nominal == (row.max + row.min) / 2);
        CHECK_FALSE(f.energy_rated);
    }
}

TEST_CASE("atto3: the configuration narrows the window, and never widens it")
{
    const PackFacts narrow = facts_of([](BatteryConfig& c) {
        c.cells = 126;
        c.voltage_max = 430_V;
        c.voltage_min = 390_V;
    });
    CHECK(narrow.voltage_max == 430_V);
    CHECK(narrow.voltage_min == 390_V);
    const PackFacts wide = facts_of([](BatteryConfig& c) {
        c.cells = 126;
        c.voltage_max = 460_V;
        c.voltage_min = 350_V;
    });
    CHECK(wide.voltage_max == 441_V);
    CHECK(wide.voltage_min == 380_V);
    const PackFacts alone = facts_of([](BatteryConfig& c) { c.voltage_max = 430_V; });
    CHECK(alone.voltage_max == 430_V);
    CHECK_FALSE(alone.voltage_nominal);
}

TEST_CASE("atto3: rated energy is configured, or read from the pack and multiplied, or unknown")
{
    CHECK(facts_of([](BatteryConfig& c) {
        c.cells = 126;
        c.capacity = 50_kWh;
    }).energy_rated == 50_kWh);
    CHECK(facts_of([](BatteryConfig& c) { c.capacity = 50_kWh; }).energy_rated == 50_kWh);

    const auto with_reply = [](std::optional<unsigned> cells, std::optional<Energy> capacity) {
        Bench b{"byd-atto3", [&](BatteryConfig& c) {
                    c.cells = cells;
                    c.capacity = capacity;
                }};
        b.talk = [&] { b.hear("344#02000000000000FD"); };
        b.on_sent = [&](const CanFrame& f) {
            // Made up: 150.00 Ah as built.
            if (f.id == 0x7E7 && f.data[2] == 0x1F && f.data[3] == 0xFE)
                b.hear("7EF#07621FFE1027983A");
            else if (f.id == 0x7E7)
                b.hear("7EF#037F2231AAAAAAAA");
        };
        b.run(10s);
        return b.driver->facts().energy_rated;
    };
    CHECK(with_reply(126, {}) == 60.48_kWh);
    CHECK(with_reply(104, {}) == 49.92_kWh);
    CHECK(with_reply(126, 55_kWh) == 55_kWh);
    CHECK_FALSE(with_reply({}, {}));
}

TEST_CASE("atto3: the pack's own limits stand over those of the chemistry, and curves end before they block")
{
    const SafetyConfig s = adjusted(Chemistry::lfp);
    CHECK(s.cell.block_high == 3650_mV);  // SAFE-061
    CHECK(s.cell.trip_high == 3750_mV);
    CHECK(s.cell.block_low == 2800_mV);
    CHECK(s.cell.trip_low == 2700_mV);
    CHECK(s.cell.block_high_clear == 3520_mV);
    CHECK(s.cell.block_low_clear == 3000_mV);
    CHECK(s.cell.deviation_warn == 90_mV);
    CHECK(s.cell.deviation_derate_from == 150_mV);
    CHECK(s.cell.deviation_derate_to == 230_mV);
    CHECK(s.cell.deviation_block == 230_mV);
    CHECK(s.cell.deviation_trip == 500_mV);
    // SAFE-075: zero at or before the block of the same quantity.
    CHECK(s.cell.charge_curve[s.cell.charge_curve.size() - 1].x_milli == 3600);
    CHECK(s.cell.charge_curve[s.cell.charge_curve.size() - 1].y == 0_pct);
    CHECK(s.cell.charge_curve[s.cell.charge_curve.size() - 1].x_milli <= s.cell.block_high.milli());
    CHECK(s.cell.discharge_curve[0].x_milli >= s.cell.block_low.milli());
    CHECK(s.cell.discharge_curve[0].y == 0_pct);
    CHECK(s.cell.deviation_derate_to <= s.cell.deviation_block);

    // Nothing beyond 50 degrees, either way.
    for (const Curve& curve : {s.temperature.charge_curve, s.temperature.discharge_curve}) {
        CHECK(curve[curve.size() - 1].x_milli == 50'000);
        CHECK(curve[curve.size() - 1].y == 0_pct);
    }
    CHECK(s.temperature.discharge_curve[0].x_milli == -20'000);

    CHECK(s.link_lost == 10s);
    CHECK(s.link_lost_open == 10s);
    CHECK(s.contactors.attempts == 2);  // SAFE-146: tighter only
    CHECK(s.contactors.cooldown == 60s);
    CHECK(s.contactors.close_total == 8s);
    CHECK(s.contactors.open_current == 2.5_A);  // SAFE-153: 1 to 3 A
    CHECK(s.contactors.open_min_wait == 5s);
    CHECK(s.contactors.open_max_wait == 10s);
    CHECK(s.contactors.link_synthetic);

    // Whoever says that these are other cells gets the numbers of those.
    const SafetyConfig other = adjusted(Chemistry::nmc);
    CHECK(other.cell.block_high == default_safety(Chemistry::nmc).cell.block_high);
    CHECK(other.contactors.attempts == 2);
}

TEST_CASE("atto3: age limits are those of the protocol, within what the classes allow")
{
    const BatteryProfile& p = find_battery_driver("byd-atto3")->profile;
    const auto age = [&](SignalId id) { return p[id].max_age; };
    CHECK(age(SignalId::contactor) == 3s);
    for (const auto id : {SignalId::current, SignalId::charge_limit, SignalId::discharge_limit}) CHECK(age(id) == 1s);
    CHECK(age(SignalId::voltage) == 2s);
    for (const auto id : {SignalId::cell_voltage_max, SignalId::cell_voltage_min, SignalId::temperature_max,
             SignalId::temperature_min, SignalId::soc})
        CHECK(age(id) == 5s);
    for (const auto id : {SignalId::insulation, SignalId::cells, SignalId::temperatures}) CHECK(age(id) == 60s);
    CHECK_FALSE(p[SignalId::flags].provided);
    CHECK_FALSE(p[SignalId::link_voltage].provided);  // a guess: not for precharging
    CHECK(p.contactor_mode == ContactorMode::bms_command);
    CHECK(p.verified == Verification::replay);
    CHECK(p.states_limits);
    CHECK(p.states_contactor);
    CHECK(p.wants_cell_count);
}

TEST_CASE("atto3: value topics keep the keys, types and decimals that users know")
{
    // MQTT-024
    const std::vector<std::string> expected{"ambient/temperature 0", "/voltage 0", "soc/percent 1", "pid-soc/percent 0",
        "pid/voltage 0", "pid/current 1", "min/temperature 0", "max/temperature 0", "avg/temperature 0", "cell-min/voltage 3",
        "cell-max/voltage 3", "cell-delta/voltage 3", "max-discharge/power 0", "max-charge/power 0", "charge-count/count 0",
        "charged/amphour 0", "discharged/amphour 0", "charged/energy 0", "discharged/energy 0"};
    const auto* info = find_battery_driver("byd-atto3");
    std::vector<std::string> keys;
    for (const BatteryValue& v : info->values)
        keys.push_back(std::string{v.key} + '/' + std::string{to_string(v.type)} + ' ' + std::to_string(v.decimals));
    CHECK(keys == expected);
    CHECK(info->cell_key == "cell");
    CHECK(info->sensor_key == "pack");
}

TEST_CASE("atto3: value topics carry the readings, in thousandths, while they are fresh")
{
    Bench b;
    const auto value = [&](std::string_view key, ValueType type) -> std::optional<std::int64_t> {
        for (const BatteryValue& v : b.info.values)
            if (v.key == key && v.type == type) return v.milli(b.state(), b.now);
        FAIL("no such value");
        return {};
    };
    for (const BatteryValue& v : b.info.values) CHECK_FALSE(v.milli(b.state(), b.now));
    std::map<int, std::string_view> replies{{0x0005, "7EF#04620005 37"}, {0x0008, "7EF#056200089E01"},
        {0x0009, "7EF#056200097613"}, {0x000B, "7EF#0562000BF401"}, {0x000F, "7EF#0562000F1027"}, {0x0010, "7EF#056200100F27"},
        {0x0011, "7EF#05620011E803"}, {0x0012, "7EF#05620012E703"}};
    b.on_sent = [&](const CanFrame& f) {
        if (f.id != 0x7E7) return;
        const auto it = replies.find(f.data[2] << 8 | f.data[3]);
        CanFrame r = frame(it != replies.end() ? it->second : std::string_view{"7EF#037F2231"});
        r.len = 8;
        b.hear(r);
    };
    b.talk = [&] {
        for (const std::string_view text : {"344#02000000000000FD", "444#9E01881364649865", "345#96002800FF000042",
                 "446#2CD40C4D21DC0C9D", "447#0638013BE0033969", "245#010002193A2590F4"})
            b.hear(text);
    };
    b.run(9s);
    CHECK(value("ambient", ValueType::temperature) == 18'000);
    CHECK(value("", ValueType::voltage) == 414'000);
    CHECK(value("soc", ValueType::percent) == 99'200);
    CHECK(value("pid-soc", ValueType::percent) == 100'000);
    CHECK(value("pid", ValueType::voltage) == 414'000);
    CHECK(value("pid", ValueType::current) == 1'800);  // MQTT-025: positive charges
    CHECK(value("min", ValueType::temperature) == 16'000);
    CHECK(value("max", ValueType::temperature) == 19'000);
    CHECK(value("avg", ValueType::temperature) == 17'000);
    CHECK(value("cell-min", ValueType::voltage) == 3'284);
    CHECK(value("cell-max", ValueType::voltage) == 3'292);
    CHECK(value("cell-delta", ValueType::voltage) == 8);
    CHECK(value("max-discharge", ValueType::power) == 15'000'000);
    CHECK(value("max-charge", ValueType::power) == 4'000'000);
    CHECK(value("charge-count", ValueType::count) == 500'000);
    CHECK(value("charged", ValueType::amphour) == 10'000'000);
    CHECK(value("discharged", ValueType::amphour) == 9'999'000);
    CHECK(value("charged", ValueType::energy) == 1'000'000);
    CHECK(value("discharged", ValueType::energy) == 999'000);
    // A discharge has the other sign.
    replies[0x0009] = "7EF#056200092A14";
    b.run(15s);
    CHECK(value("pid", ValueType::current) == -16'200);
    b.talk = {};
    b.run(1000s);
    for (const BatteryValue& v : b.info.values) CHECK_FALSE(v.milli(b.state(), b.now));
}

TEST_CASE("atto3: nothing is sent but the three listed messages")
{
    // No security access, no writing, no erasing, no charge session: only these ids, and of service 0x7E7 only what reads.
    std::vector<std::uint32_t> ids;
    for (const TxRule& r : find_battery_driver("byd-atto3")->sends) ids.push_back(r.id);
    CHECK(ids == std::vector<std::uint32_t>{0x12D, 0x441, 0x7E7});
    Bench b;
    b.talk = [&] { b.hear("344#8641000000000038"); };
    b.run(200s);
    for (const Sent& s : b.of(0x7E7)) CHECK((s.frame.data[0] == 0x03 && (s.frame.data[1] == 0x22 || s.frame.data[1] == 0x19)));
}

TEST_CASE("batteries are found by the name in the configuration")
{
    REQUIRE(find_battery_driver("byd-atto3"));
    CHECK(find_battery_driver("byd-atto3")->name == "byd-atto3");
    CHECK_FALSE(find_battery_driver("byd-atto4"));
    CHECK_FALSE(find_battery_driver(""));
}
