// Chance with a seed: the same seed gives the same life (splitmix64).
#pragma once

#include <cstdint>

namespace batgw::sim {

class Chance {
public:
    explicit constexpr Chance(std::uint64_t seed) : state_{seed} {}
    constexpr std::uint64_t bits()
    {
        std::uint64_t z = state_ += 0x9E3779B97F4A7C15ULL;
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
        return z ^ (z >> 31);
    }
    // Evenly between -1 and 1.
    constexpr double swing() { return static_cast<double>(bits() >> 11) * 0x1.0p-52 - 1.0; }

private:
    std::uint64_t state_;
};

}  // namespace batgw::sim
