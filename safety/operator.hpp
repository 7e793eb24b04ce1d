// The operator's switches and limits: what was commanded, within what the configuration allows (SAFE-190 to 196).
#pragma once

#include "model/command.hpp"
#include "model/config.hpp"
#include "model/time.hpp"

#include <optional>

namespace batgw {

// Commands can only restrict: no limit here is ever above its ceiling (SAFE-191). A limit belongs to a direction and is power, current or
// both; a command that names a direction replaces that direction's whole limit and its time-to-live (MQTT-053). A power it does not
// state is the configured operator limit then, a current it does not state is no limit.
class Operator {
public:
    explicit Operator(const BatteryConfig& config);

    // All of a command or nothing of it. The answer tells the state after it. Contactor commands: `open` is kept until a `close`; a
    // `close` is a request that the caller takes and passes to the contactor machine, which alone knows its guards.
    CommandResult apply(const Command& command, Instant now);
    // Ends limits whose time is over (SAFE-195). True when anything changed.
    bool expire(Instant now);
    // The next call of expire() that matters.
    Instant next_expiry() const;

    // What an earlier run kept: restrictions come back, nothing else. Limits above the configured operator limit are cut down to it
    // (SAFE-196). A time-to-live does not survive: the clock it ran on is gone.
    void restore(const OperatorState& kept);
    // What to keep over a restart: the state as it will be when all time-to-live is over.
    OperatorState persistent() const;
    // New ceilings and operator limits (SAFE-241): commanded limits stay, cut down to the ceilings; others follow the configuration.
    void reconfigure(const BatteryConfig& config);

    const OperatorState& state() const { return state_; }
    // True once after a `close` command.
    bool take_close_request();

    static constexpr Duration shortest_time_to_live = 5s, longest_time_to_live = 86400s;

private:
    struct Ceilings {
        Power ceiling, normal;
    };
    // One direction's limit, as commanded.
    struct Limit {
        Power power;
        std::optional<Current> current;
        std::optional<Instant> expires;
        bool zero_on_expiry = false;
        bool commanded = false;
        friend constexpr bool operator==(const Limit&, const Limit&) = default;
    };
    static Limit normal(const Ceilings& c) { return {c.normal, {}, {}, false, false}; }
    static Limit expired(const Limit& limit, const Ceilings& c);
    static Limit restored(Power power, std::optional<Current> current, const Ceilings& c);
    static Limit reconfigured(Limit limit, const Ceilings& c);
    bool check_power(Power power, const Ceilings& c, CommandResult& result) const;
    bool check_limits(const Command& command, CommandResult& result) const;
    void set_limits(const Command& command, Instant now);
    bool set_switches(const Command& command);
    void publish();

    Ceilings charge_ceilings_, discharge_ceilings_;
    Limit charge_, discharge_;
    OperatorState state_;
    bool close_requested_ = false;
};

}  // namespace batgw
