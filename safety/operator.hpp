// The operator's switches and limits: what was commanded, within what the configuration allows (SAFE-190 to 196).
#pragma once

#include "model/command.hpp"
#include "model/config.hpp"
#include "model/time.hpp"

#include <optional>

namespace batgw {

// Commands can only restrict: no limit here is ever above its ceiling (SAFE-191). A limit belongs to a direction and is power,
// current or both; a command that names a direction replaces that direction's whole limit and its time-to-live (MQTT-053). A
// power it does not state is the configured operator limit then, a current it does not state is no limit.
class Operator {
public:
    explicit Operator(const BatteryConfig& config);

    // All of a command or nothing of it. The answer tells the state after it. Contactor commands: `open` is kept until a `close`;
    // a `close` is a request that the caller takes and passes to the contactor machine, which alone knows its guards.
    CommandResult apply(const Command& command, Instant now);
    // Ends limits whose time is over (SAFE-195). True when anything changed.
    bool expire(Instant now);
    // The next call of expire() that matters.
    Instant next_expiry() const;

    // What an earlier run kept (SAFE-196). Limits above a ceiling are cut down to it, default ones follow the configuration. A
    // time-to-live does not survive, the clock it ran on is gone: keep persistent(), not state().
    void restore(const OperatorState& kept);
    // What to keep over a restart: the state as it will be when all time-to-live is over.
    OperatorState persistent() const;
    // New ceilings and operator limits (SAFE-241): commanded limits stay, cut down to the ceilings; others follow the
    // configuration.
    void reconfigure(const BatteryConfig& config);

    const OperatorState& state() const { return state_; }
    // True once after a `close` command.
    bool take_close_request();
    // The judge said no: the command changed nothing.
    void refuse_close();

    static constexpr Duration shortest_time_to_live = 5s, longest_time_to_live = 86400s;

private:
    // Of one direction, from the configuration: what no command exceeds, and the limit where no command says anything.
    struct Bounds {
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
    static Limit unlimited(const Bounds& bounds) { return {bounds.normal, {}, {}, false, false}; }
    static Limit after_expiry(const Limit& limit, const Bounds& bounds);
    static Limit restored(Power power, std::optional<Current> current, bool is_default, const Bounds& bounds);
    static Limit reconfigured(const Limit& limit, const Bounds& bounds);
    static Limit commanded(
        std::optional<Power> power, std::optional<Current> current, const Command& command, const Bounds& bounds, Instant now);
    // False: refused, with the reason in the result, and nothing has changed.
    bool set(const Command& command, Instant now, CommandResult& result);
    bool set_limits(const Command& command, Instant now, CommandResult& result);
    void publish();

    Bounds charge_bounds_, discharge_bounds_;
    Limit charge_, discharge_;
    OperatorState state_;
    bool close_requested_ = false, open_before_ = false;
};

}  // namespace batgw
