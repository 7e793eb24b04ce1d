// Physical quantities as types.
//
// Every quantity is a whole number of thousandths of its unit (mV, mA, mW, m%, m°C ...) in an int64. Integers make decode, encode
// and comparison exact; the type makes volts and amps impossible to mix up.
#pragma once

#include <compare>
#include <concepts>
#include <cstdint>
#include <limits>
#include <optional>

namespace batgw {

template <class Tag>
class Quantity {
public:
    using Difference = typename Tag::Difference;  // what b - a is
    static constexpr const char* unit = Tag::unit;

    constexpr Quantity() = default;
    static constexpr Quantity from_milli(std::int64_t milli) { return Quantity{milli}; }
    constexpr std::int64_t milli() const { return milli_; }

    // The value in counts of `milli_per_count` (> 0), as protocols want it: rounded to nearest (halves away from zero), down or
    // up.
    constexpr std::int64_t in(std::int64_t milli_per_count) const
    {
        const std::int64_t half = milli_per_count / 2;
        return (milli_ >= 0 ? milli_ + half : milli_ - half) / milli_per_count;
    }
    constexpr std::int64_t down_in(std::int64_t milli_per_count) const
    {
        const std::int64_t q = milli_ / milli_per_count;
        return milli_ % milli_per_count < 0 ? q - 1 : q;
    }
    constexpr std::int64_t up_in(std::int64_t milli_per_count) const
    {
        const std::int64_t q = milli_ / milli_per_count;
        return milli_ % milli_per_count > 0 ? q + 1 : q;
    }

    constexpr auto operator<=>(const Quantity&) const = default;

    friend constexpr Difference operator-(Quantity a, Quantity b) { return Difference::from_milli(a.milli_ - b.milli_); }
    friend constexpr Quantity operator+(Quantity a, Difference b) { return Quantity{a.milli_ + b.milli()}; }
    friend constexpr Quantity operator-(Quantity a, Difference b) requires(!std::same_as<Quantity, Difference>)
    {
        return Quantity{a.milli_ - b.milli()};
    }
    constexpr Quantity operator-() const { return Quantity{-milli_}; }
    friend constexpr Quantity operator*(Quantity a, std::int64_t k) requires std::same_as<Quantity, Difference>
    {
        return Quantity{a.milli_ * k};
    }
    friend constexpr Quantity operator/(Quantity a, std::int64_t k)  // k != 0; towards zero
        requires std::same_as<Quantity, Difference>
    {
        return Quantity{a.milli_ / k};
    }

private:
    constexpr explicit Quantity(std::int64_t milli) : milli_{milli} {}
    std::int64_t milli_ = 0;
};

// A quantity you can add to itself.
#define BATGW_QUANTITY(Name, unit_text)                                                                                          \
    struct Name##Tag {                                                                                                           \
        using Difference = Quantity<Name##Tag>;                                                                                  \
        static constexpr const char* unit = unit_text;                                                                           \
    };                                                                                                                           \
    using Name = Quantity<Name##Tag>

BATGW_QUANTITY(Voltage, "V");
BATGW_QUANTITY(Current, "A");  // positive charges the battery, everywhere but on the wire
BATGW_QUANTITY(Power, "W");    // positive charges the battery
BATGW_QUANTITY(Percent, "%");  // also fractions: 100_pct is one
BATGW_QUANTITY(Energy, "Wh");
BATGW_QUANTITY(Charge, "Ah");
BATGW_QUANTITY(Insulation, "Ohm/V");  // insulation resistance related to the pack voltage
BATGW_QUANTITY(TemperatureStep, "K");
BATGW_QUANTITY(Count, "");  // cell numbers, cycles
#undef BATGW_QUANTITY

// Temperatures are points on a scale: their difference is a step, their sum is nothing.
struct TemperatureTag {
    using Difference = TemperatureStep;
    static constexpr const char* unit = "°C";
};
using Temperature = Quantity<TemperatureTag>;

namespace detail {
// a * b / c towards zero, in 128 bits, saturated: no input overflows (SAFE-009). c != 0.
constexpr std::int64_t mul_div(std::int64_t a, std::int64_t b, std::int64_t c)
{
    // What fits, nearly always, needs no division of 128 bits, which costs ten times as much.
    std::int64_t product = 0;
    if (c > 0 && !__builtin_mul_overflow(a, b, &product)) return product / c;
    __extension__ using Wide = __int128;
    const Wide r = static_cast<Wide>(a) * b / c;
    if (r > std::numeric_limits<std::int64_t>::max()) return std::numeric_limits<std::int64_t>::max();
    if (r < std::numeric_limits<std::int64_t>::min()) return std::numeric_limits<std::int64_t>::min();
    return static_cast<std::int64_t>(r);
}
}  // namespace detail

// All of these round towards zero, the safe side for a limit.
constexpr Power operator*(Voltage v, Current i) { return Power::from_milli(detail::mul_div(v.milli(), i.milli(), 1000)); }
constexpr Energy operator*(Voltage v, Charge q) { return Energy::from_milli(detail::mul_div(v.milli(), q.milli(), 1000)); }
// Nothing when the voltage is zero or negative.
constexpr std::optional<Current> operator/(Power p, Voltage v)
{
    if (v.milli() <= 0) return std::nullopt;
    return Current::from_milli(detail::mul_div(p.milli(), 1000, v.milli()));
}
constexpr std::optional<Charge> operator/(Energy e, Voltage v)
{
    if (v.milli() <= 0) return std::nullopt;
    return Charge::from_milli(detail::mul_div(e.milli(), 1000, v.milli()));
}
// A fraction of something: 50_pct of 10_kW.
template <class Q>
constexpr Q share(Percent fraction, Q whole)
{
    return Q::from_milli(detail::mul_div(whole.milli(), fraction.milli(), 100'000));
}
// Saturated: the lowest number there is has no positive counterpart.
template <class Q>
constexpr Q magnitude(Q q)
{
    if (q.milli() == std::numeric_limits<std::int64_t>::min()) return Q::from_milli(std::numeric_limits<std::int64_t>::max());
    return q.milli() < 0 ? Q::from_milli(-q.milli()) : q;
}

inline namespace literals {
#define BATGW_LITERAL(Type, suffix, milli_per_unit)                                                                              \
    constexpr Type operator""_##suffix(unsigned long long n)                                                                     \
    {                                                                                                                            \
        return Type::from_milli(static_cast<std::int64_t>(n) * (milli_per_unit));                                                \
    }                                                                                                                            \
    constexpr Type operator""_##suffix(long double x)                                                                            \
    {                                                                                                                            \
        return Type::from_milli(static_cast<std::int64_t>(x * (milli_per_unit) + 0.5L));                                         \
    }
BATGW_LITERAL(Voltage, V, 1000)
BATGW_LITERAL(Voltage, mV, 1)
BATGW_LITERAL(Current, A, 1000)
BATGW_LITERAL(Current, mA, 1)
BATGW_LITERAL(Power, W, 1000)
BATGW_LITERAL(Power, kW, 1000000)
BATGW_LITERAL(Percent, pct, 1000)
BATGW_LITERAL(Energy, Wh, 1000)
BATGW_LITERAL(Energy, kWh, 1000000)
BATGW_LITERAL(Charge, Ah, 1000)
BATGW_LITERAL(Insulation, ohm_per_V, 1000)
BATGW_LITERAL(Temperature, degC, 1000)
BATGW_LITERAL(TemperatureStep, K, 1000)
BATGW_LITERAL(Count, count, 1000)
#undef BATGW_LITERAL
}  // namespace literals

}  // namespace batgw
