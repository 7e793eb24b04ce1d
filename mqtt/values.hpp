// The value topics, <topic>/<scope>/<key>/<type>: what is due when (MQTT-020 to 027).
#pragma once

#include "model/driver.hpp"
#include "model/snapshot.hpp"
#include "mqtt/outgoing.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace batgw::mqtt {

// One topic's memory. Only a fresh value is ever sent; a change within the interval is sent, as the newest value, when it ends.
class ValueTopic {
public:
    ValueTopic(std::string topic, unsigned decimals) : topic_{std::move(topic)}, decimals_{decimals} {}
    // `count`: in 10^-decimals, empty when not fresh. True when it is to be sent now.
    bool due(std::optional<std::int64_t> count, Instant now, Duration interval);
    void sent(std::int64_t count, Instant now);

    const std::string& topic() const { return topic_; }
    unsigned decimals() const { return decimals_; }

private:
    std::string topic_;
    unsigned decimals_;
    std::optional<std::int64_t> last_;  // as sent; empty: never, or not fresh since
    std::optional<Instant> sent_at_;
};

// All value topics of one battery and one inverter, in their fixed order: the battery driver's table, its modules by address, its
// sensors, its cells, the inverter driver's table.
class Values {
public:
    struct Setup {
        std::string topic;  // base
        std::string scope = "battery";
        const BatteryDriverInfo* battery = nullptr;
        const InverterDriverInfo* inverter = nullptr;
        bool cells = true;
        unsigned cells_expected = 0;  // 0: as many as the battery says
        Duration interval = 10s;
        int qos = 0;
    };
    explicit Values(Setup setup);

    // `all`: every fresh value, changed or not (connect, teleperiod); else what is due by change.
    void collect(const Snapshot& snapshot, Instant now, bool all, std::vector<Outgoing>& out);
    // Those of the battery alone.
    void collect(const BatteryState& battery, Instant now, bool all, std::vector<Outgoing>& out);

private:
    void offer(ValueTopic& topic, std::optional<std::int64_t> milli, Instant now, bool all, std::vector<Outgoing>& out) const;
    void collect_modules(const BatteryState& battery, Instant now, bool all, std::vector<Outgoing>& out);
    void grow(std::vector<ValueTopic>& topics, std::size_t count, std::string_view key, ValueType type, unsigned decimals) const;

    Setup setup_;
    std::vector<ValueTopic> battery_, sensors_, cells_, inverter_;
    std::array<std::vector<ValueTopic>, modules_max> modules_;  // by address - 1; empty until the module was there
};

// "base/battery/cell-max/voltage"; without a key "base/battery/voltage".
std::string value_topic(std::string_view base, std::string_view scope, std::string_view key, ValueType type);

}  // namespace batgw::mqtt
