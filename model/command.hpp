// What an operator may ask for. Commands only restrict (SAFE-191); the judge answers.
#pragma once

#include "model/text.hpp"
#include "model/time.hpp"
#include "model/units.hpp"

#include <cstdint>
#include <optional>
#include <string_view>

namespace batgw {

enum class CommandKind : std::uint8_t {
    charge,
    discharge,
    max_charge,
    max_discharge,
    limits,
    pause,
    contactor,
    ping,
    reset,
    capture
};

// Where a command comes from. Only `local`, the command line on the machine itself, may reset an EMERGENCY (SAFE-045).
enum class CommandSource : std::uint8_t { remote, local };

// Of the last minute of both buses: keep it with a note, keep everything from now on, write what was kept.
enum class CaptureStep : std::uint8_t { mark, start, stop };

struct Command {
    CommandKind kind{};
    bool on = false;                                           // charge, discharge, pause; contactor: true closes
    std::optional<Power> charge_power, discharge_power;        // max_charge, max_discharge, limits
    std::optional<Current> charge_current, discharge_current;  // limits
    std::optional<Duration> time_to_live;                      // limits
    bool zero_on_expiry = false;                               // limits: on_expire
    Text<64> fault, reason;                                    // reset: a latched fault's name or "all"; why. capture: the note
    CaptureStep step{};                                        // capture
    CommandSource source = CommandSource::remote;
    Text<64> id;  // echoed in the answer
    Instant received{};
    std::uint64_t ticket = 0;  // pairs the answer with the command
};

enum class CommandCode : std::uint8_t {
    ok,
    unchanged,
    bad_payload,
    out_of_range,
    unknown_command,
    not_allowed,
    retained,
    too_long,
    rate_limited,
    guard_failed,
    not_found,
    cause_present,
    internal
};
constexpr std::string_view to_string(CommandCode c)
{
    constexpr std::array<std::string_view, 13> names{"ok", "unchanged", "bad_payload", "out_of_range", "unknown_command",
        "not_allowed", "retained", "too_long", "rate_limited", "guard_failed", "not_found", "cause_present", "internal"};
    const auto i = static_cast<std::size_t>(c);
    return i < names.size() ? names[i] : "?";
}

// The operator's switches and limits as they stand (MQTT-013).
struct OperatorState {
    bool charge = true, discharge = true;
    Power max_charge, max_discharge;  // <= the configured ceilings
    std::optional<Current> max_charge_current, max_discharge_current;
    bool paused = false;
    bool contactors_open = false;          // operator asked for open
    std::optional<Instant> limits_expire;  // time-to-live of the limits, if any
    bool zero_on_expiry = false;
    // The limit was never set by a command, or was released: it is the configured one and follows the configuration.
    bool charge_limit_default = false, discharge_limit_default = false;
    friend constexpr bool operator==(const OperatorState&, const OperatorState&) = default;
};

struct CommandResult {
    CommandKind kind{};
    CommandCode code = CommandCode::internal;
    Text<120> text;
    Text<24> guard;  // of guard_failed: what stands in the way
    Text<64> id;
    std::uint64_t ticket = 0;
    Instant received{}, answered{};
    OperatorState status;
};

}  // namespace batgw
