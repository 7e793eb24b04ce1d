// What holds of every verdict whatever the parts of the judge computed (SAFE-219). Looked at from the outside and by other means
// than those that made it: a program that contradicts itself must not go on feeding a house.
#pragma once

#include "model/time.hpp"
#include "model/units.hpp"
#include "model/verdict.hpp"
#include "safety/fault_table.hpp"

#include <cstdint>
#include <string_view>

namespace batgw {

struct InvariantInput {
    Power max_charge, max_discharge;  // configured
    FaultEffect faults;               // of this round
    bool observing = false;           // grants are shown, nobody is told
    bool stopping = false;            // an orderly stop is under way
    bool voltage_known = false;       // of the pack, fresh
    std::uint64_t last_sequence = 0;
    Instant last{};
};

// In words what does not hold; empty: everything does.
std::string_view broken_invariant(const Verdict& verdict, const InvariantInput& in);

// Nothing granted, contactors open, EMERGENCY.
void make_harmless(Verdict& verdict, std::string_view broken);

}  // namespace batgw
