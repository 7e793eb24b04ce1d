// STATUS and RESULT: what a command left behind (MQTT-013, MQTT-051).
#pragma once

#include "model/command.hpp"
#include "mqtt/moment.hpp"

#include <string>
#include <string_view>

namespace batgw::mqtt {

// {"charge":"ON","discharge":"ON","max-charge":10000,"max-discharge":10000}, byte for byte.
std::string status_json(const OperatorState& state);

struct Result {
    std::string_view id, command;
    CommandCode code = CommandCode::internal;
    std::string_view text;
    std::string_view guard;  // of guard_failed
    OperatorState status;
    Duration duration{};  // from reception to acceptance or refusal
};
std::string result_json(const Result& result, const Moment& moment);

}  // namespace batgw::mqtt
