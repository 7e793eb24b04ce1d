// What arrives on <topic>/cmnd/#: exactly right, or refused with a reason (MQTT-014, MQTT-050 to 053, SAFE-193, SAFE-194).
#pragma once

#include "model/command.hpp"
#include "model/units.hpp"

#include <chrono>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace batgw::mqtt {

inline constexpr std::size_t payload_bytes_max = 1024;

struct CommandRules {
    std::vector<std::string> allowed;  // permissions, `mqtt.commands`
    Power max_charge, max_discharge;   // configured ceilings
};

struct Refusal {
    CommandCode code = CommandCode::bad_payload;
    std::string text;
};
// `cmnd/teleperiod`, which the judge knows nothing of. Empty: publish everything now.
struct Teleperiod {
    std::optional<std::chrono::seconds> period;
};

struct ParsedCommand {
    std::string name;  // what follows cmnd/, reduced to printable ASCII, at most 64 characters: echoed
    std::string id;    // of JSON commands
    std::variant<Refusal, Command, Teleperiod> what;
    bool exempt = false;  // only switches off: no rate limit keeps it out (SAFE-193)

    const Refusal* refusal() const { return std::get_if<Refusal>(&what); }
};

// `name`: what follows "<topic>/cmnd/". Never throws but for want of memory; any bytes are fine.
ParsedCommand parse_command(std::string_view name, std::string_view payload, bool retained, const CommandRules& rules);

// What `name` of a received topic is: the part after "<base>/cmnd/"; nothing when the topic is another.
std::optional<std::string_view> command_name(std::string_view topic, std::string_view base);

// A decimal integer with optional surrounding blanks and sign, and nothing else. Out of 64 bits: saturated, which no range
// allows.
std::optional<std::int64_t> parse_integer(std::string_view text);

}  // namespace batgw::mqtt
