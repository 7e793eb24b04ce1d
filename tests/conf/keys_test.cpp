// The table of keys against the pages it was taken from.
#include "conf/effective.hpp"
#include "conf/reload.hpp"
#include "model/chemistry.hpp"
#include "tests/conf/helpers.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <set>

using namespace batgw;
using namespace batgw::test;

namespace {

struct Bound {
    std::string_view key, below, min, max, above;
};

// Section 17 of the safety rules, the table of MQTT keys and the page of the configuration: smallest and largest good value, and
// their neighbours. Numbers that may only be made tighter end at their default.
constexpr std::array bounds{
    Bound{"battery.max_charge_w", "-0.001", "0", "100000", "100000.001"},
    Bound{"battery.max_discharge_w", "-1", "0", "100000", "100001"},
    Bound{"battery.charge_w", "-1", "0", "100000", "100001"},
    Bound{"battery.discharge_w", "-1", "0", "100000", "100001"},
    Bound{"battery.cells", "0", "1", "192", "193"},
    Bound{"battery2.max_charge_w", "-1", "0", "100000", "100001"},
    Bound{"battery2.max_discharge_w", "-1", "0", "100000", "100001"},
    Bound{"battery2.charge_w", "-1", "0", "100000", "100001"},
    Bound{"battery2.discharge_w", "-1", "0", "100000", "100001"},
    Bound{"battery2.cells", "0", "1", "192", "193"},
    Bound{"safety.parallel.max_delta_v", "0.099", "0.1", "1.5", "1.501"},
    Bound{"safety.parallel.max_delta_pct", "0.049", "0.05", "0.4", "0.401"},
    Bound{"safety.parallel.warn_s", "0.9", "1", "3", "3.1"},
    Bound{"safety.parallel.open_s", "2.9", "3", "10", "10.1"},
    Bound{"safety.tick_ms", "9", "10", "100", "100.001"},
    Bound{"safety.signal_age_s.flags", "0.099", "0.1", "5", "5.001"},
    Bound{"safety.signal_age_s.contactor", "0.099", "0.1", "3", "3.001"},
    Bound{"safety.signal_age_s.current", "0.099", "0.1", "10", "10.001"},
    Bound{"safety.signal_age_s.voltage", "0.099", "0.1", "10", "10.001"},
    Bound{"safety.signal_age_s.cell", "0.099", "0.1", "15", "15.001"},
    Bound{"safety.signal_age_s.battery_limit", "0.099", "0.1", "15", "15.001"},
    Bound{"safety.signal_age_s.temperature", "0.099", "0.1", "60", "60.001"},
    Bound{"safety.signal_age_s.soc", "0.099", "0.1", "60", "60.001"},
    Bound{"safety.signal_age_s.cell_array", "0.099", "0.1", "300", "300.001"},
    Bound{"safety.signal_age_s.insulation", "0.099", "0.1", "300", "300.001"},
    Bound{"safety.stale_ramp_s", "-0.001", "0", "3", "3.001"},
    Bound{"safety.link_lost_s", "0.999", "1", "60", "60.001"},
    Bound{"safety.link_lost_open_s", "9.999", "10", "600", "600.001"},
    Bound{"safety.start_valid_s", "-1", "0", "60", "61"},
    Bound{"safety.hold_s", "4.999", "5", "600", "600.001"},
    Bound{"safety.ramp_up_pct_per_s", "0.999", "1", "100", "100.001"},
    Bound{"safety.increase_settle_s", "-1", "0", "60", "61"},
    Bound{"safety.escalation.count", "1", "2", "20", "21"},
    Bound{"safety.escalation.window_s", "599", "600", "86400", "86401"},
    Bound{"safety.reset_absent_s", "9.999", "10", "3600", "3600.001"},
    Bound{"safety.over_current.block_pct", "99.9", "100", "150", "150.1"},
    Bound{"safety.over_current.trip_pct", "109.9", "110", "200", "200.1"},
    Bound{"safety.soc.min_pct", "-1", "0", "50", "50.1"},
    Bound{"safety.soc.max_pct", "49.9", "50", "100", "100.1"},
    Bound{"safety.temperature.hysteresis_k", "0.9", "1", "30", "30.1"},
    Bound{"safety.temperature.min_c", "-30.1", "-30", "20", "20.1"},
    Bound{"safety.temperature.trip_c", "44.9", "45", "65", "65.1"},
    Bound{"safety.temperature.emergency_c", "54.9", "55", "80", "80.1"},
    Bound{"safety.temperature.spread.warn_k", "0.9", "1", "30", "30.1"},
    Bound{"safety.temperature.spread.block_k", "0.9", "1", "30", "30.1"},
    Bound{"safety.temperature.spread.clear_k", "0.9", "1", "30", "30.1"},
    Bound{"safety.insulation.warn_ohm_per_v", "99", "100", "100000", "100001"},
    Bound{"safety.insulation.block_ohm_per_v", "99", "100", "100000", "100001"},
    Bound{"safety.contactors.boot_inhibit_s", "-1", "0", "60", "61"},
    Bound{"safety.contactors.valid_s", "0.9", "1", "60", "61"},
    Bound{"safety.contactors.precharge.cooldown_s", "9.9", "10", "600", "601"},
    Bound{"safety.contactors.open.current_a", "0.4", "0.5", "10", "10.1"},
    Bound{"safety.contactors.open.max_wait_s", "0.9", "1", "30", "31"},
    Bound{"safety.inverter_link.lost_s", "4.9", "5", "600", "601"},
    Bound{"safety.process.watchdog_s", "1.9", "2", "60", "61"},
    Bound{"safety.process.stall_warn_ms", "199", "200", "1000", "1001"},
    Bound{"safety.process.stall_block_ms", "499", "500", "5000", "5001"},
    Bound{"safety.process.crash_loop.count", "1", "2", "20", "21"},
    Bound{"safety.process.crash_loop.window_s", "59", "60", "3600", "3601"},
    // the hard bounds of LFP
    Bound{"safety.cell.target_v", "1.999", "2", "3.8", "3.801"},
    Bound{"safety.cell.cutoff_v", "1.999", "2", "3.8", "3.801"},
    Bound{"safety.cell.block_high.set_v", "1.999", "2", "3.8", "3.801"},
    Bound{"safety.cell.block_high.clear_v", "1.999", "2", "3.8", "3.801"},
    Bound{"safety.cell.block_low.set_v", "1.999", "2", "3.8", "3.801"},
    Bound{"safety.cell.block_low.clear_v", "1.999", "2", "3.8", "3.801"},
    Bound{"safety.cell.trip_high_v", "1.999", "2", "3.8", "3.801"},
    Bound{"safety.cell.trip_low_v", "1.999", "2", "3.8", "3.801"},
    Bound{"safety.cell.deep_v", "1.999", "2", "3.8", "3.801"},
    Bound{"safety.assume.temperature_min", "-30.1", "-30", "65", "65.1"},
    Bound{"safety.assume.temperature_max", "-30.1", "-30", "65", "65.1"},
    Bound{"safety.assume.soc", "-1", "0", "100", "101"},
    Bound{"safety.over_limit.margin_pct", "0.9", "1", "50", "51"},
    Bound{"safety.over_limit.margin_a", "0.4", "0.5", "20", "20.1"},
    Bound{"safety.over_limit.warn_s", "-1", "0", "120", "121"},
    Bound{"safety.over_limit.block_s", "-1", "0", "120", "121"},
    Bound{"safety.over_limit.trip_s", "-1", "0", "120", "121"},
    Bound{"safety.over_limit.grace_s", "-1", "0", "15", "15.1"},
    // only tighter
    Bound{"safety.over_current.block_s", "-1", "0", "10", "10.1"},
    Bound{"safety.over_current.trip_s", "-1", "0", "2", "2.1"},
    Bound{"safety.cell.block_high.delay_s", "-1", "0", "1", "1.1"},
    Bound{"safety.cell.block_low.delay_s", "-1", "0", "2", "2.1"},
    Bound{"safety.cell.deviation.warn_mv", "39", "40", "150", "151"},
    Bound{"safety.cell.deviation.block_mv", "59", "60", "300", "301"},
    Bound{"safety.cell.deviation.trip_mv", "69", "70", "500", "501"},
    Bound{"safety.temperature.rise.kelvin", "0.9", "1", "5", "5.1"},
    Bound{"safety.temperature.rise.window_s", "59", "60", "600", "601"},
    Bound{"safety.temperature.rise.above_c", "-31", "-30", "45", "46"},
    Bound{"safety.contactors.precharge.window_s", "599", "600", "86400", "86401"},
    Bound{"safety.contactors.close_total_s", "1.9", "2", "8", "8.1"},
    Bound{"safety.contactors.open.stable_ms", "199", "200", "5000", "5001"},
    Bound{"safety.contactors.open.fuse_wait_s", "-1", "0", "3", "3.1"},
    Bound{"safety.contactors.cycles.per_hour", "0", "1", "6", "7"},
    Bound{"safety.contactors.cycles.per_day", "0", "1", "20", "21"},
    // rich-pack allows two attempts, and wants to wait for three seconds
    Bound{"safety.contactors.precharge.attempts", "0", "1", "2", "3"},
    Bound{"safety.contactors.open.min_wait_s", "2", "3", "30", "31"},
    Bound{"safety.contactors.negative_ms", "99", "100", "2000", "2001"},
    Bound{"safety.contactors.precharge.time_s", "0.099", "0.1", "10", "10.001"},
    Bound{"safety.contactors.precharge.match_pct", "0.999", "1", "10", "10.001"},
    Bound{"safety.contactors.precharge.match_min_v", "0.999", "1", "3", "3.001"},
    Bound{"safety.contactors.precharge.match_max_v", "2.999", "3", "30", "30.001"},
    Bound{"safety.contactors.precharge.hold_ms", "99", "100", "2000", "2001"},
    Bound{"safety.contactors.precharge.min_ms", "199", "200", "2000", "2001"},
    Bound{"safety.contactors.precharge.max_s", "0.499", "0.5", "15", "15.001"},
    Bound{"safety.contactors.overlap_ms", "99", "100", "5000", "5001"},
    Bound{"safety.contactors.open.negative_delay_ms", "49", "50", "1000", "1001"},
    Bound{"safety.contactors.feedback_ms", "49", "50", "1000", "1001"},
    Bound{"safety.contactors.interlock_ms", "49", "50", "1000", "1001"},
    Bound{"safety.contactors.emergency_stop_ms", "-1", "0", "500", "501"},
    Bound{"safety.contactors.weld.decay_pct", "9.999", "10", "50", "50.001"},
    Bound{"safety.contactors.weld.decay_s", "9.999", "10", "600", "600.001"},
    Bound{"safety.contactors.weld.current_a", "0.499", "0.5", "2", "2.001"},
    Bound{"safety.process.heartbeat_hz", "4", "5", "20", "21"},
    Bound{"contactors.gpio.negative", "-1", "0", "1023", "1024"},
    Bound{"contactors.gpio.precharge", "-1", "0", "1023", "1024"},
    Bound{"contactors.gpio.positive", "-1", "0", "1023", "1024"},
    Bound{"contactors.gpio.economiser", "-1", "0", "1023", "1024"},
    Bound{"contactors.gpio.heartbeat", "-1", "0", "1023", "1024"},
    Bound{"contactors.gpio.negative_feedback", "-1", "0", "1023", "1024"},
    Bound{"contactors.gpio.precharge_feedback", "-1", "0", "1023", "1024"},
    Bound{"contactors.gpio.positive_feedback", "-1", "0", "1023", "1024"},
    Bound{"contactors.gpio.interlock", "-1", "0", "1023", "1024"},
    Bound{"contactors.gpio.emergency_stop", "-1", "0", "1023", "1024"},
    Bound{"mqtt.port", "0", "1", "65535", "65536"},
    Bound{"mqtt.teleperiod_s", "3", "4", "3600", "3601"},
    Bound{"mqtt.keep_alive_s", "0", "1", "65535", "65536"},
    Bound{"mqtt.reconnect_s", "1", "2", "300", "301"},
    Bound{"mqtt.value_interval_s", "0.9", "1", "3600", "3601"},
    Bound{"mqtt.state_interval_s", "0.19", "0.2", "60", "60.1"},
    Bound{"mqtt.state_refresh_s", "4.9", "5", "300", "301"},
    Bound{"mqtt.cells_interval_s", "0.9", "1", "3600", "3601"},
};

std::string_view parent(std::string_view key) { return section_of(key); }

// Another good value of the key's kind.
KeyValue other_value(const Key& key, const Config& config)
{
    const KeyValue now = key.get(config);
    switch (key.kind) {
    case KeyKind::boolean: return !std::get<bool>(now);
    case KeyKind::number: {
        const NumberBounds b = bounds_of(key, config);
        return now == KeyValue{b.min} ? b.max : b.min;
    }
    case KeyKind::numbers: return std::vector<std::int64_t>{190, 280};
    case KeyKind::choice: {
        const std::string_view other = now == KeyValue{std::string{key.choices[0]}} ? key.choices[1] : key.choices[0];
        return std::string{other};
    }
    case KeyKind::choices: {
        auto words = std::get<std::vector<std::string>>(now);
        if (words.size() > 1)
            words.pop_back();
        else
            words.emplace_back(key.choices.size() > 2 && key.name.starts_with("contactors.") ? key.choices[1] : "soc_override");
        return words;
    }
    case KeyKind::curve: {
        auto points = std::get<std::vector<CurvePoint>>(now);
        points[1].y = points[1].y + 1_pct;
        return points;
    }
    case KeyKind::text: return std::string{"other"};
    case KeyKind::options:
    case KeyKind::unavailable: break;
    }
    return {};
}

Config full_config()
{
    const Loaded loaded = load_text(short_config + "mqtt: {host: mqtt.local, username: me, tls: {verify: true}}\n");
    REQUIRE(loaded.config.has_value());
    Config config = *loaded.config;
    config.battery2 = config.battery;
    config.safety.contactors.mode = ContactorMode::gpio;  // else its lines are no part of it
    return config;
}

}  // namespace

// SAFE-060, SAFE-243, CONF-001, MQTT-012
TEST_CASE("the smallest and the largest value of every number are taken, their neighbours refused with key, value and bound")
{
    for (const Bound& b : bounds) {
        CAPTURE(b.key);
        CHECK(has_problem(load_text(with(b.key, b.below)), b.key, "is too small"));
        CHECK(has_problem(load_text(with(b.key, b.above)), b.key, "is too large"));
        for (const std::string_view good : {b.min, b.max}) {
            const Loaded loaded = load_text(with(b.key, good));
            CHECK_FALSE(has_problem(loaded, b.key, "is too"));
            CHECK_FALSE(has_problem(loaded, b.key, "unknown key"));
        }
        const Loaded low = load_text(with(b.key, b.below));
        const auto problem =
            std::find_if(low.problems.begin(), low.problems.end(), [&](const Problem& p) { return p.key == b.key; });
        REQUIRE(problem != low.problems.end());
        CHECK(problem->what.find(b.below) != std::string::npos);
        CHECK(problem->allowed.find(b.min) == 0);
    }
}

TEST_CASE("every number of the table has its bounds tested")
{
    const std::set<std::string_view> no_page{"battery.capacity_wh", "battery.voltage_min_v", "battery.voltage_max_v",
        "battery2.capacity_wh", "battery2.voltage_min_v", "battery2.voltage_max_v", "safety.soc.hysteresis_low_pct",
        "safety.soc.hysteresis_high_pct", "safety.soc.taper_pct", "safety.contactors.break_current_a",
        "safety.inverter_link.lost_open_after_s", "safety.cell.deviation.knee_high_v", "safety.cell.deviation.knee_low_v"};
    for (const Key& key : all_keys()) {
        if (key.kind != KeyKind::number || no_page.contains(key.name)) continue;
        CAPTURE(key.name);
        CHECK(std::any_of(bounds.begin(), bounds.end(), [&](const Bound& b) { return b.key == key.name; }));
    }
}

// SAFE-060: the bounds of the cell follow the chemistry.
TEST_CASE("the cell voltages of NMC have their own hard bounds")
{
    const std::string nmc =
        "battery:\n  protocol: poor-pack\n  interface: can0\n  max_charge_w: 5000\n  max_discharge_w: 5000\n  cells: 96\n"
        "  chemistry: nmc\ninverter:\n  protocol: quiet-inverter\n  interface: can1\n";
    for (const Key& key : all_keys()) {
        if (key.kind != KeyKind::number || key.bounds == BoundKind::own || key.looser != Looser::free) continue;
        CAPTURE(key.name);
        const bool deep = key.bounds == BoundKind::cell_deep;
        CHECK(has_problem(load_text(nmc + nested(key.name, deep ? "1.999" : "2.499")), key.name, "is too small"));
        CHECK(has_problem(load_text(nmc + nested(key.name, "4.301")), key.name, "is too large"));
        CHECK_FALSE(has_problem(load_text(nmc + nested(key.name, "4.3")), key.name, "is too"));
    }
}

TEST_CASE("the table is in the order of the file: keys of one section stand together, no name twice")
{
    std::set<std::string_view> seen;
    std::set<std::string_view> left;
    std::string_view top;
    for (const Key& key : all_keys()) {
        CAPTURE(key.name);
        CHECK(seen.insert(key.name).second);
        const std::string_view section = key.name.substr(0, key.name.find('.'));
        if (section != top) {
            CHECK(left.insert(section).second);
            top = section;
        }
        CHECK_FALSE(is_section(key.name));
        CHECK(find_key(key.name) == &key);
        if (!parent(key.name).empty()) CHECK(is_section(parent(key.name)));
    }
}

TEST_CASE("every key of the table is read from the file, and changes its own field and no other")
{
    const Config base = full_config();
    for (const Key& key : all_keys()) {
        if (key.get == nullptr) continue;
        CAPTURE(key.name);
        Config changed = base;
        const KeyValue value = other_value(key, base);
        key.set(changed, value);
        CHECK(key.get(changed) == value);
        CHECK(compare(base, changed).changed == std::vector<std::string>{std::string{key.name}});
    }
}

// SAFE-241, SAFE-242, CONF-005: both lists, key by key.
TEST_CASE("a change of bus, driver, battery, contactor mode, precharging or state directory needs a restart; every other is live")
{
    const std::set<std::string_view> restart{"battery.protocol", "battery.interface", "battery.bitrate", "battery.chemistry",
        "battery.cells", "battery.capacity_wh", "battery.voltage_min_v", "battery.voltage_max_v", "battery2.protocol",
        "battery2.interface", "battery2.bitrate", "battery2.chemistry", "battery2.cells", "battery2.capacity_wh",
        "battery2.voltage_min_v", "battery2.voltage_max_v", "inverter.protocol", "inverter.interface", "inverter.bitrate",
        "contactors.mode", "safety.mode", "safety.contactors.precharge.attempts", "safety.contactors.precharge.window_s",
        "safety.contactors.precharge.cooldown_s", "safety.process.require_verification", "safety.assume.temperature_min",
        "safety.assume.temperature_max", "safety.assume.soc", "safety.assume.cell_voltage_min", "safety.assume.cell_voltage_max",
        "control_socket", "state_directory", "contactors.gpio.chip", "contactors.gpio.negative", "contactors.gpio.precharge",
        "contactors.gpio.positive", "contactors.gpio.economiser", "contactors.gpio.heartbeat",
        "contactors.gpio.negative_feedback", "contactors.gpio.precharge_feedback", "contactors.gpio.positive_feedback",
        "contactors.gpio.interlock", "contactors.gpio.emergency_stop", "contactors.gpio.active_low", "contactors.gpio.bias",
        "contactors.gpio.inverter_feeds_link", "safety.contactors.negative_ms", "safety.contactors.precharge.mode",
        "safety.contactors.precharge.time_s", "safety.contactors.precharge.match_pct", "safety.contactors.precharge.match_min_v",
        "safety.contactors.precharge.match_max_v", "safety.contactors.precharge.hold_ms", "safety.contactors.precharge.min_ms",
        "safety.contactors.precharge.max_s", "safety.contactors.overlap_ms", "safety.contactors.open.negative_delay_ms",
        "safety.contactors.feedback_ms", "safety.contactors.interlock_ms", "safety.contactors.emergency_stop_ms",
        "safety.contactors.weld.decay_pct", "safety.contactors.weld.decay_s", "safety.contactors.weld.current_a",
        "safety.contactors.gpio_persistence_acknowledged", "safety.process.heartbeat_hz", "safety.process.realtime"};
    const Config base = full_config();
    std::size_t found = 0;
    for (const Key& key : all_keys()) {
        if (key.get == nullptr) continue;
        CAPTURE(key.name);
        Config next = base;
        key.set(next, other_value(key, base));
        const ReloadPlan plan = compare(base, next);
        CHECK(plan.changed == std::vector<std::string>{std::string{key.name}});
        const bool expected = restart.contains(key.name);
        CHECK(plan.restart_required == (expected ? plan.changed : std::vector<std::string>{}));
        found += expected ? 1 : 0;
    }
    CHECK(found == restart.size());
}
