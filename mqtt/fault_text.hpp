// Faults and states as a sentence for people: ASCII, one line.
#pragma once

#include "model/fault.hpp"
#include "model/snapshot.hpp"

#include <string>

namespace batgw::mqtt {

// "CELL_HIGH", with its detail "SIG_STALE:soc".
std::string fault_id(const ActiveFault& fault);
// "cell 9 at 3.712 V (limit 3.700 V)".
std::string fault_text(const ActiveFault& fault);
// Why the gateway is in the state it is in: "charge reduced: highest cell 3.482 V". At most 120 characters.
std::string state_text(const Snapshot& snapshot);

// Decimals that suit a unit.
unsigned decimals_of(Unit unit);

}  // namespace batgw::mqtt
