// Numbers as the value topics write them (MQTT-021): a scaled integer with a fixed number of decimals.
#pragma once

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <string>

namespace batgw::mqtt {

inline constexpr unsigned max_decimals = 4;

// Thousandths to counts of 10^-decimals: rounded to nearest, halves away from zero; saturates. decimals 0..4.
constexpr std::int64_t scaled(std::int64_t milli, unsigned decimals)
{
    if (decimals >= 3) {
        std::int64_t result = milli;
        for (unsigned i = 3; i < decimals; ++i)
            if (__builtin_mul_overflow(result, std::int64_t{10}, &result)) return milli < 0 ? INT64_MIN : INT64_MAX;
        return result;
    }
    std::int64_t step = 1;
    for (unsigned i = decimals; i < 3; ++i) step *= 10;
    const std::int64_t whole = milli / step, rest = milli % step;
    if (rest >= step / 2) return whole + 1;
    if (rest <= -(step / 2)) return whole - 1;
    return whole;
}

// Appends `count` of 10^-decimals: an optional minus, an integer part without leading zeros, and exactly `decimals` digits.
inline void append_fixed(std::string& out, std::int64_t count, unsigned decimals)
{
    const bool negative = count < 0;
    const std::uint64_t size =
        negative ? std::uint64_t{0} - static_cast<std::uint64_t>(count) : static_cast<std::uint64_t>(count);
    char digits[24];
    const auto end = std::to_chars(digits, digits + sizeof digits, size).ptr;
    const auto length = static_cast<std::size_t>(end - digits);
    if (negative) out += '-';
    if (decimals == 0) {
        out.append(digits, length);
        return;
    }
    if (length > decimals)
        out.append(digits, length - decimals);
    else
        out += '0';
    out += '.';
    if (length < decimals) out.append(decimals - length, '0');
    const std::size_t tail = length < decimals ? length : decimals;
    out.append(end - tail, tail);
}

inline std::string fixed_text(std::int64_t count, unsigned decimals)
{
    std::string out;
    append_fixed(out, count, decimals);
    return out;
}

}  // namespace batgw::mqtt
