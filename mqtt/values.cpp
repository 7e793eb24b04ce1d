#include "mqtt/values.hpp"

#include "mqtt/value_text.hpp"

#include <algorithm>

namespace batgw::mqtt {
namespace {

template <auto Member>
std::optional<std::int64_t> milli(const Module& module, Instant now)
{
    const auto value = (module.*Member).fresh(now);
    return value ? std::optional{value->milli()} : std::nullopt;
}
template <auto Member>
std::optional<std::int64_t> kilo_milli(const Module& module, Instant now)  // Wh shown as kWh
{
    const auto value = milli<Member>(module, now);
    return value ? std::optional{*value / 1000} : std::nullopt;
}
template <auto Member>
std::optional<std::int64_t> yes(const Module& module, Instant now)
{
    const auto value = (module.*Member).fresh(now);
    return value ? std::optional{std::int64_t{*value ? 1000 : 0}} : std::nullopt;
}

// What is told of each module: battery/module3-soc/percent. With the address, a key has 15 characters at most (MQTT-020).
struct ModuleValue {
    std::string_view suffix;
    ValueType type;
    std::uint8_t decimals;
    std::optional<std::int64_t> (*milli)(const Module&, Instant now);
};
// clang-format off
constexpr std::array module_values{
    ModuleValue{"",         ValueType::voltage,     1, milli<&Module::voltage>},
    ModuleValue{"",         ValueType::current,     1, milli<&Module::current>},
    ModuleValue{"-soc",     ValueType::percent,     1, milli<&Module::soc>},
    ModuleValue{"-soh",     ValueType::percent,     1, milli<&Module::soh>},
    ModuleValue{"-low",     ValueType::voltage,     3, milli<&Module::cell_voltage_min>},
    ModuleValue{"-high",    ValueType::voltage,     3, milli<&Module::cell_voltage_max>},
    ModuleValue{"-min",     ValueType::temperature, 1, milli<&Module::temperature_min>},
    ModuleValue{"-max",     ValueType::temperature, 1, milli<&Module::temperature_max>},
    ModuleValue{"-mos",     ValueType::temperature, 1, milli<&Module::temperature_mos>},
    ModuleValue{"-heater",  ValueType::temperature, 1, milli<&Module::temperature_heater>},
    ModuleValue{"-charge",  ValueType::current,     0, milli<&Module::charge_limit_current>},
    ModuleValue{"-disch",   ValueType::current,     0, milli<&Module::discharge_limit_current>},
    ModuleValue{"-charge",  ValueType::raw,         0, yes<&Module::charge_switch>},
    ModuleValue{"-disch",   ValueType::raw,         0, yes<&Module::discharge_switch>},
    ModuleValue{"-in",      ValueType::energy,      2, kilo_milli<&Module::energy_in>},
    ModuleValue{"-out",     ValueType::energy,      2, kilo_milli<&Module::energy_out>},
    ModuleValue{"-cycles",  ValueType::count,       0, milli<&Module::cycles>},
    ModuleValue{"-bal"    , ValueType::count,       0, milli<&Module::balancing>},
    ModuleValue{"-alarms",  ValueType::count,       0, milli<&Module::alarms>},
};
// clang-format on

}  // namespace

bool ValueTopic::due(std::optional<std::int64_t> count, Instant now, Duration interval)
{
    if (!count) {
        last_.reset();  // fresh again counts as a change
        return false;
    }
    if (last_ == count) return false;
    return !sent_at_ || now - *sent_at_ >= interval;
}

void ValueTopic::sent(std::int64_t count, Instant now)
{
    last_ = count;
    sent_at_ = now;
}

std::string value_topic(std::string_view base, std::string_view scope, std::string_view key, ValueType type)
{
    std::string topic{base};
    topic.append("/").append(scope);
    if (!key.empty()) topic.append("/").append(key);
    topic.append("/").append(to_string(type));
    return topic;
}

Values::Values(Setup setup) : setup_{std::move(setup)}
{
    if (setup_.battery)
        for (const BatteryValue& v : setup_.battery->values)
            battery_.emplace_back(value_topic(setup_.topic, setup_.scope, v.key, v.type), v.decimals);
    if (setup_.inverter)
        for (const InverterValue& v : setup_.inverter->values)
            inverter_.emplace_back(value_topic(setup_.topic, "inverter", v.key, v.type), v.decimals);
}

void Values::offer(ValueTopic& topic, std::optional<std::int64_t> milli, Instant now, bool all, std::vector<Outgoing>& out) const
{
    std::optional<std::int64_t> count;
    if (milli) count = scaled(*milli, topic.decimals());
    if (!topic.due(count, now, setup_.interval) && !(all && count)) return;
    out.push_back(
        {.topic = topic.topic(), .payload = fixed_text(*count, topic.decimals()), .qos = setup_.qos, .correlation = {}});
    topic.sent(*count, now);
}

// Topics are numbered from 0, as many as there are cells or sensors.
void Values::grow(
    std::vector<ValueTopic>& topics, std::size_t count, std::string_view key, ValueType type, unsigned decimals) const
{
    while (topics.size() < count)
        topics.emplace_back(
            value_topic(setup_.topic, setup_.scope, std::string{key} + std::to_string(topics.size()), type), decimals);
}

void Values::collect_modules(const BatteryState& battery, Instant now, bool all, std::vector<Outgoing>& out)
{
    for (const Module& m : battery.modules) {
        if (m.address < 1 || m.address > modules_.size() || !modules_[m.address - 1U].empty()) continue;
        for (const ModuleValue& v : module_values)
            modules_[m.address - 1U].emplace_back(
                value_topic(setup_.topic, setup_.scope, "module" + std::to_string(m.address) + std::string{v.suffix}, v.type),
                v.decimals);
    }
    for (std::size_t n = 0; n < modules_.size(); ++n) {
        const Module* found = nullptr;
        for (const Module& m : battery.modules)
            if (m.address == n + 1) found = &m;
        for (std::size_t i = 0; i < modules_[n].size(); ++i)
            offer(modules_[n][i], found != nullptr ? module_values[i].milli(*found, now) : std::nullopt, now, all, out);
    }
}

void Values::collect(const BatteryState& battery, Instant now, bool all, std::vector<Outgoing>& out)
{
    if (!setup_.battery) return;
    for (std::size_t i = 0; i < battery_.size(); ++i)
        offer(battery_[i], setup_.battery->values[i].milli(battery, now), now, all, out);
    collect_modules(battery, now, all, out);

    if (!setup_.battery->sensor_key.empty()) {
        const auto sensors = battery.temperatures.fresh(now);
        if (sensors)
            grow(sensors_, std::min(sensors->count, sensors->capacity), setup_.battery->sensor_key, ValueType::temperature, 0);
        for (std::size_t i = 0; i < sensors_.size(); ++i) {
            const auto t = sensors && i < sensors->count ? (*sensors)[i] : std::nullopt;
            offer(sensors_[i], t ? std::optional{t->milli()} : std::nullopt, now, all, out);
        }
    }
    if (!setup_.battery->cell_key.empty() && setup_.cells) {
        const auto cells = battery.cells.fresh(now);
        const std::size_t most = setup_.cells_expected > 0 ? setup_.cells_expected : CellVoltages::capacity;
        const std::size_t count = cells ? std::min({cells->count, most, cells->capacity}) : 0;
        grow(cells_, count, setup_.battery->cell_key, ValueType::voltage, 3);
        for (std::size_t i = 0; i < cells_.size(); ++i) {
            const auto v = i < count ? (*cells)[i] : std::nullopt;
            offer(cells_[i], v ? std::optional{v->milli()} : std::nullopt, now, all, out);
        }
    }
}

void Values::collect(const Snapshot& snapshot, Instant now, bool all, std::vector<Outgoing>& out)
{
    collect(snapshot.battery, now, all, out);
    if (setup_.inverter)
        for (std::size_t i = 0; i < inverter_.size(); ++i)
            offer(inverter_[i], setup_.inverter->values[i].milli(snapshot.inverter, now), now, all, out);
}

}  // namespace batgw::mqtt
