// Numbers of the file: decimal, exact, nothing else (CONF-002).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace batgw {

struct Decimal {
    std::optional<std::int64_t> base;  // the number in base units, exact
    std::string why;                   // when there is none: what is wrong, to follow the value: "is not a decimal number"
};

// An optional minus, digits without a leading zero, and perhaps a point and more digits. `scale` (a power of ten) base units make
// 1; the number must be a multiple of `step` base units.
Decimal parse_decimal(std::string_view text, std::int64_t scale, std::int64_t step);

// true, yes, on, false, no, off in small letters, with a capital, or in capitals.
std::optional<bool> parse_boolean(std::string_view text);

}  // namespace batgw
