// Packs of one kind side by side on one inverter: when one may be closed onto the others, and which one has to leave (SAFE-281).
#pragma once

#include "model/battery_state.hpp"
#include "model/config.hpp"
#include "model/fixed_vector.hpp"
#include "model/time.hpp"
#include "model/units.hpp"
#include "model/verdict.hpp"
#include "safety/judge.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace batgw {

inline constexpr std::size_t packs_max = 3;

// Where a pack stands between the inverter's terminals and nothing, as its judge last said.
enum class Connection : std::uint8_t {
    unclear,  // neither proven: silent, opening, closing, welded
    apart,    // proven open, and not about to close
    joined    // proven closed
};
Connection connection(const Verdict& verdict);

// One pack of several, as it was last judged.
struct ParallelPack {
    const Verdict* verdict = nullptr;  // never null where one is asked for
    const BatteryState* state = nullptr;
    Power max_charge, max_discharge;  // configured ceilings
};

using ParallelPacks = FixedVector<ParallelPack, packs_max>;

// min(max_delta, max_delta_share of the lower of both voltages).
Voltage allowed_difference(const SafetyConfig::Parallel& rule, Voltage a, Voltage b);

class ParallelWatch {
public:
    // Once a round, before the first pack is judged: follows how long voltages have agreed or differed.
    void look(std::span<const ParallelPack> packs, const SafetyConfig::Parallel& rule, Instant now);
    // For one pack, right before it is judged and after those before it were: never two close at a time.
    Beside beside(std::size_t pack, std::span<const ParallelPack> packs) const;

    static constexpr Duration settle = 10s;
    static constexpr Percent rest = Percent::from_milli(5000);  // of the rated current: more and a voltage tells nothing

private:
    struct Mismatch {
        std::size_t pack = 0;
        Voltage difference{}, allowed{};
    };
    std::optional<Mismatch> mismatch(std::span<const ParallelPack> packs, const SafetyConfig::Parallel& rule, Instant now) const;

    std::array<bool, packs_max> settled_{};  // at the voltage of each joined pack, for long enough
    std::array<Held, packs_max> agrees_;
    std::optional<Mismatch> mismatch_;
    FaultClass level_ = FaultClass::none;
    Held differs_;
};

}  // namespace batgw
