// Decides what to publish when. Knows time only as it is told, and nothing of sockets (MQTT-013, 022, 023, 033, 040, 044, 045).
#pragma once

#include "model/config.hpp"
#include "model/snapshot.hpp"
#include "mqtt/client.hpp"
#include "mqtt/moment.hpp"
#include "mqtt/outgoing.hpp"
#include "mqtt/state_json.hpp"
#include "mqtt/values.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace batgw::mqtt {

// So many at once, so many a second in the long run.
class Bucket {
public:
    constexpr Bucket(unsigned per_second, unsigned burst) : step_{Duration{1s} / per_second}, burst_{burst} {}
    constexpr bool take(Instant now)
    {
        const Instant from = full_at_ > now ? full_at_ : now;
        if (from - now > step_ * (burst_ - 1)) return false;
        full_at_ = from + step_;
        return true;
    }

private:
    Duration step_;
    unsigned burst_;
    Instant full_at_{};  // when all that was taken will have come back
};

class Publisher {
public:
    Publisher(const MqttConfig& config, const MqttContext& context);

    void on_snapshot(const Snapshot& snapshot);
    void reconfigure(const MqttConfig& config, const MqttContext& context);  // starts anew, but for the snapshot
    bool has_snapshot() const { return snapshot_.has_value(); }
    const OperatorState& operator_state() const;

    // Everything, changed or not: STATUS, the fresh values, STATE, ALARMS, CELLS, availability. Needs a snapshot.
    void refresh(const Moment& moment, std::vector<Outgoing>& out);
    // What is due now. Call for each snapshot, and some times a second.
    void step(const Moment& moment, std::vector<Outgoing>& out);

    void set_teleperiod(Duration period, Instant now);  // until restart or reload
    Outgoing online() const;
    Outgoing offline() const;
    const std::string& topic() const { return config_.topic; }

private:
    // What makes a transition: published at once.
    struct Marks {
        std::uint64_t transitions = 0;
        GatewayState state{};
        ContactorState contactors{};
        bool battery_link = false, inverter_link = false, charge = false, discharge = false;
        OperatorState operator_state;
        std::string faults;
        friend bool operator==(const Marks&, const Marks&) = default;
    };
    Marks marks() const;
    Outgoing message(std::string_view suffix, std::string payload, int qos, bool retain) const;
    void publish_state(const Moment& moment, std::vector<Outgoing>& out);
    void publish_alarms(const Moment& moment, std::vector<Outgoing>& out);
    void publish_availability(bool all, std::vector<Outgoing>& out);
    void publish_cells(const Moment& moment, bool all, std::vector<Outgoing>& out);
    void publish_status(std::vector<Outgoing>& out) const;
    void publish_cells(const BatteryState& battery, std::string_view scope, std::optional<Instant>& at, std::uint32_t& told,
        const Moment& moment, bool all, std::vector<Outgoing>& out) const;
    void collect_values(Instant now, bool all, std::vector<Outgoing>& out);

    // Of several packs one for itself.
    struct Pack {
        std::string scope;  // battery1
        Values values;
        std::optional<bool> link_told{};
        std::optional<Instant> cells_at{};
        std::uint32_t cells_told = 0;
    };

    MqttConfig config_;
    MqttContext context_;
    Values values_;
    std::vector<Pack> packs_;
    Duration teleperiod_;
    std::optional<Snapshot> snapshot_;

    std::optional<Instant> next_tele_, state_at_, cells_at_;
    Marks told_;               // of the last STATE
    std::string alarms_told_;  // of the last ALARMS
    std::vector<Watched> watched_told_;
    std::uint64_t sequence_told_ = 0;
    std::uint32_t cells_told_ = 0;  // samples of the last CELLS
    std::optional<bool> battery_told_, inverter_told_;
    Bucket states_{20, 50}, alarms_{20, 50};
};

}  // namespace batgw::mqtt
