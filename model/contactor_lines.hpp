// Coils that the gateway drives itself, and what it senses beside them (`contactors.mode: gpio`). Polarity is the business of
// whoever moves the lines: here true is energised, closed, released.
#pragma once

#include "model/text.hpp"
#include "model/time.hpp"

#include <optional>

namespace batgw {

// The default is nothing energised.
struct Coils {
    bool negative = false, precharge = false, positive = false;
    bool economiser = false;  // the closed mains may be held with less power
    bool heartbeat = false;   // level of the toggling output (SAFE-213)
    constexpr bool any_main() const { return negative || precharge || positive; }
    friend constexpr bool operator==(const Coils&, const Coils&) = default;
};

// What was read last. A contact or loop that is not wired is empty.
struct ContactorLines {
    bool held = false;  // all lines are ours: outputs are driven, inputs are read
    Instant at{};       // of the reading; only what is `held` has one
    std::optional<bool> negative_closed, precharge_closed, positive_closed;  // auxiliary contacts
    std::optional<bool> interlock_closed, stop_released;                     // loops: open is the unsafe side
    bool outputs_agree = true;                                               // every output reads as it was set
    Text<24> trouble{};                                                      // why they are not held: "missing", "busy", "denied"

    bool same_as(const ContactorLines& o) const
    {
        return held == o.held && negative_closed == o.negative_closed && precharge_closed == o.precharge_closed &&
            positive_closed == o.positive_closed && interlock_closed == o.interlock_closed && stop_released == o.stop_released &&
            outputs_agree == o.outputs_agree && trouble == o.trouble;
    }
};

}  // namespace batgw
