#include "safety/curves.hpp"

#include <algorithm>

namespace batgw {
namespace {

// Between two points, rounded down. Both ways of writing it have a part that is not negative, so cutting it off rounds down.
Percent between(const CurvePoint& a, const CurvePoint& b, std::int64_t x_milli)
{
    const std::int64_t width = b.x_milli - a.x_milli, rise = b.y.milli() - a.y.milli();
    if (rise >= 0) return Percent::from_milli(a.y.milli() + detail::mul_div(rise, x_milli - a.x_milli, width));
    return Percent::from_milli(b.y.milli() + detail::mul_div(-rise, b.x_milli - x_milli, width));
}

}  // namespace

bool is_curve(const Curve& curve)
{
    if (curve.size() < 2) return false;
    for (std::size_t i = 0; i < curve.size(); ++i) {
        if (curve[i].y < 0_pct || curve[i].y > 100_pct) return false;
        if (i > 0 && curve[i].x_milli <= curve[i - 1].x_milli) return false;
    }
    return true;
}

Percent fraction_between(const CurvePoint& low, const CurvePoint& high, std::int64_t x_milli)
{
    if (x_milli <= low.x_milli) return low.y;
    return x_milli < high.x_milli ? between(low, high, x_milli) : high.y;
}

Percent fraction_held(const Curve& curve, std::int64_t x_milli)
{
    if (!is_curve(curve)) return 0_pct;
    if (x_milli <= curve[0].x_milli) return curve[0].y;
    for (std::size_t i = 1; i < curve.size(); ++i)
        if (x_milli <= curve[i].x_milli) return between(curve[i - 1], curve[i], x_milli);
    return curve[curve.size() - 1].y;
}

Percent fraction_outside_zero(const Curve& curve, std::int64_t x_milli)
{
    if (!is_curve(curve) || x_milli < curve[0].x_milli || x_milli > curve[curve.size() - 1].x_milli) return 0_pct;
    return fraction_held(curve, x_milli);
}

std::int64_t low_zero(const Curve& curve)
{
    std::int64_t x = curve[0].x_milli;
    for (const CurvePoint& p : curve) {
        if (p.y > 0_pct) break;
        x = p.x_milli;
    }
    return x;
}

std::int64_t high_zero(const Curve& curve)
{
    std::int64_t x = curve[curve.size() - 1].x_milli;
    for (std::size_t i = curve.size(); i > 0 && curve[i - 1].y <= 0_pct; --i) x = curve[i - 1].x_milli;
    return x;
}

Curve stretched(Curve curve, Temperature coldest_allowed, Temperature hottest_allowed)
{
    if (!is_curve(curve)) return curve;
    CurvePoint &first = curve[0], &last = curve[curve.size() - 1];
    if (first.y <= 0_pct) first.x_milli = std::min(first.x_milli, coldest_allowed.milli());
    if (last.y <= 0_pct) last.x_milli = std::max(last.x_milli, hottest_allowed.milli());
    return curve;
}

SocBand charge_band(Percent soc)
{
    if (soc >= 98_pct) return {.most = 1_A};
    if (soc >= 95_pct) return {.most = 4_A};
    return {.fraction = soc >= 91_pct ? 50_pct : 100_pct};
}

SocBand discharge_band(Percent soc)
{
    if (soc <= 20_pct) return {.most = 5_A};
    if (soc <= 30_pct) return {.fraction = 25_pct};
    return {.fraction = soc <= 35_pct ? 50_pct : 100_pct};
}

}  // namespace batgw
