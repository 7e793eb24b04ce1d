// What several packs in parallel are to an inverter: one battery (SAFE-282).
#pragma once

#include "model/battery_state.hpp"
#include "model/command.hpp"
#include "model/config.hpp"
#include "model/time.hpp"
#include "model/verdict.hpp"
#include "safety/grants.hpp"
#include "safety/parallel.hpp"

#include <cstdint>
#include <span>
#include <string_view>

namespace batgw {

// The battery that an inverter is shown: mean voltage of the joined packs, extremes of cells and temperatures, state of charge
// weighted by capacity, sums of currents and energies. Of the packs that count: those not proven open; when all are open, all. A
// reading is as old as its oldest part, and not there when one part was never received or is bad. Arrays (cells, sensors,
// modules) belong to their pack and are left out.
void aggregate(std::span<const ParallelPack> packs, BatteryState& into, Instant now);

class Aggregate {
public:
    struct Input {
        std::span<const ParallelPack> packs;
        const BatteryState& battery;  // of aggregate()
        const OperatorState& operator_;
        const SafetyConfig& config;
    };
    // Grants: the number of joined packs times the smallest of theirs, nothing as long as a pack is neither joined nor proven
    // open, or one is in EMERGENCY. Then the operator's limits, which are those of all packs together.
    void update(const Input& in, Instant now);
    const Verdict& verdict() const { return verdict_; }
    // The verdict of the whole house: with the faults of packs that are apart, which are no business of the inverter.
    static void add_faults_apart(std::span<const ParallelPack> packs, Verdict& house);

private:
    void set_grants(const Input& in, Instant now);
    Grant grant_one(const Input& in, Direction direction, GrantRamp& ramp, Instant now) const;
    void set_voltages(const Input& in);
    void set_flags(const Input& in);
    void set_state(const Input& in);
    void set_contactors(const Input& in);

    GrantRamp charge_, discharge_;
    Verdict verdict_;
};

// In words what does not hold of such a verdict; empty: everything does (SAFE-219).
std::string_view broken_aggregate(const Verdict& whole, std::span<const ParallelPack> packs);

}  // namespace batgw
