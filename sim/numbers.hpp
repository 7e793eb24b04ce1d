// Between the units of the program and the plain numbers a simulator reckons with.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <string_view>

namespace batgw::sim {

// The quantity of `value` volts, amperes, degrees and so on, to the nearest thousandth.
template <class Q>
Q quantity(double value)
{
    return Q::from_milli(std::llround(value * 1000.0));
}

template <class Q>
double number(Q q)
{
    return static_cast<double>(q.milli()) / 1000.0;
}

// 1 at `full`, 0 at `none`, straight between.
inline double fade(double x, double none, double full) { return std::clamp((x - none) / (full - none), 0.0, 1.0); }

// "0x110"; four digits from 0x1000 on.
inline std::string hex(std::uint32_t id)
{
    constexpr std::string_view digits = "0123456789ABCDEF";
    std::string text{"0x"};
    for (int shift = id > 0xFFF ? 12 : 8; shift >= 0; shift -= 4) text += digits[id >> shift & 0xF];
    return text;
}

}  // namespace batgw::sim
