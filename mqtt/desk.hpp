// Takes commands in and hands answers out: parses, limits the rate, submits, pairs the bridge's answers (MQTT-050 to 053).
#pragma once

#include "model/command.hpp"
#include "model/command_rate.hpp"
#include "model/config.hpp"
#include "mqtt/commands.hpp"
#include "mqtt/moment.hpp"
#include "mqtt/outgoing.hpp"
#include "mqtt/result_json.hpp"

#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace batgw::mqtt {

// One message from the broker.
struct Received {
    std::string_view topic, payload;
    bool retained = false;
    std::string_view response_topic, correlation;  // MQTT 5
};

class CommandDesk {
public:
    CommandDesk(const MqttConfig& config, CommandRules rules);

    struct Outcome {
        bool is_command = false;
        bool retained = false;                 // a known command lies on the broker, retained
        std::optional<Teleperiod> teleperiod;  // to be carried out by the caller; RESULT is among the messages, STATUS is not
    };
    // `status`: the operator's state as it stands. `submit`: to the bridge, false when its queue is full.
    Outcome on_message(const Received& received, const OperatorState& status, const Moment& moment,
        const std::function<bool(const Command&)>& submit, std::vector<Outgoing>& out);
    void on_result(const CommandResult& result, const Moment& moment, std::vector<Outgoing>& out);
    // Commands that the bridge did not answer in time are answered `internal`.
    void expire(const OperatorState& status, const Moment& moment, std::vector<Outgoing>& out);

    // STATUS, unless the legacy topics are off.
    void publish_status(const OperatorState& state, std::vector<Outgoing>& out) const;
    void reconfigure(const MqttConfig& config, CommandRules rules);  // pending answers stay
    std::size_t pending() const { return pending_.size(); }
    std::uint64_t refused_by_rate() const { return rate_.refused(); }

    static constexpr Duration patience = 5s;
    static constexpr std::size_t pending_max = 256;

private:
    struct ReplyTo {
        std::string topic, correlation;
    };
    struct Pending {
        std::uint64_t ticket = 0;
        Instant received{};
        std::string name, id, echo;
        ReplyTo reply;
    };
    ReplyTo reply_to(const Received& received) const;
    void answer(const Result& result, const ReplyTo& reply, const Moment& moment, std::vector<Outgoing>& out) const;

    std::string topic_;
    int legacy_qos_ = 0;
    bool legacy_topics_ = true, retain_status_ = false;
    CommandRules rules_;
    CommandRate rate_;
    std::deque<Pending> pending_;
    std::uint64_t last_ticket_ = 0;
};

}  // namespace batgw::mqtt
