#include "mqtt/values.hpp"

#include "mqtt/value_text.hpp"

#include <algorithm>

namespace batgw::mqtt {

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
            battery_.emplace_back(value_topic(setup_.topic, "battery", v.key, v.type), v.decimals);
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
            value_topic(setup_.topic, "battery", std::string{key} + std::to_string(topics.size()), type), decimals);
}

void Values::collect(const Snapshot& snapshot, Instant now, bool all, std::vector<Outgoing>& out)
{
    if (setup_.battery) {
        for (std::size_t i = 0; i < battery_.size(); ++i)
            offer(battery_[i], setup_.battery->values[i].milli(snapshot.battery, now), now, all, out);

        if (!setup_.battery->sensor_key.empty()) {
            const auto sensors = snapshot.battery.temperatures.fresh(now);
            if (sensors)
                grow(
                    sensors_, std::min(sensors->count, sensors->capacity), setup_.battery->sensor_key, ValueType::temperature, 0);
            for (std::size_t i = 0; i < sensors_.size(); ++i) {
                const auto t = sensors && i < sensors->count ? (*sensors)[i] : std::nullopt;
                offer(sensors_[i], t ? std::optional{t->milli()} : std::nullopt, now, all, out);
            }
        }
        if (!setup_.battery->cell_key.empty() && setup_.cells) {
            const auto cells = snapshot.battery.cells.fresh(now);
            const std::size_t most = setup_.cells_expected > 0 ? setup_.cells_expected : CellVoltages::capacity;
            const std::size_t count = cells ? std::min({cells->count, most, cells->capacity}) : 0;
            grow(cells_, count, setup_.battery->cell_key, ValueType::voltage, 3);
            for (std::size_t i = 0; i < cells_.size(); ++i) {
                const auto v = i < count ? (*cells)[i] : std::nullopt;
                offer(cells_[i], v ? std::optional{v->milli()} : std::nullopt, now, all, out);
            }
        }
    }
    if (setup_.inverter)
        for (std::size_t i = 0; i < inverter_.size(); ++i)
            offer(inverter_[i], setup_.inverter->values[i].milli(snapshot.inverter, now), now, all, out);
}

}  // namespace batgw::mqtt
