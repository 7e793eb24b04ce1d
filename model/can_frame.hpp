#pragma once

#include <array>
#include <cstdint>

namespace batgw {

// A classic CAN data frame. Remote, FD and error frames never get this far: the bus counts them.
struct CanFrame {
    std::uint32_t id = 0;  // 11 or 29 bits, no flag bits
    bool extended = false;
    std::uint8_t len = 8;
    std::array<std::uint8_t, 8> data{};

    friend constexpr bool operator==(const CanFrame&, const CanFrame&) = default;
};

}  // namespace batgw
