// An operator's reset of faults that stay (SAFE-045).
#pragma once

#include "model/command.hpp"
#include "model/text.hpp"
#include "model/time.hpp"
#include "safety/fault_table.hpp"

#include <cstddef>
#include <string_view>

namespace batgw {

struct ResetRequest {
    std::string_view fault;   // as it is shown, "BMS_FAULT:F3"; without the detail: each of this kind; "all": whatever can be
    std::string_view reason;  // wanted for an EMERGENCY
    CommandSource source = CommandSource::remote;
};
inline constexpr std::size_t shortest_reason = 4;

struct ResetOutcome {
    CommandCode code = CommandCode::internal;  // `ok` when at least one was reset
    Text<120> text;                            // what was reset; else the first that stands in the way
    unsigned reset = 0;
};

// Whether a request for `name` means this fault.
bool is_named(const ActiveFault& fault, std::string_view name);

// Resets what the request names and what may be reset now; each fault is judged by itself.
ResetOutcome reset_latches(FaultTable& faults, const ResetRequest& request, Instant now);

}  // namespace batgw
