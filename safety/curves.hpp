// Derating curves (SAFE-072 to SAFE-075).
#pragma once

#include "model/config.hpp"
#include "model/units.hpp"

#include <cstdint>
#include <optional>

namespace batgw {

// The fraction at `x_milli`, linear between points, rounded down. Zero outside the outer points and for a curve that is none.
Percent fraction_outside_zero(const Curve& curve, std::int64_t x_milli);
// The same, but the first and the last value go on outwards: for a curve that has one zero end only.
Percent fraction_held(const Curve& curve, std::int64_t x_milli);

// Between two points that need no curve; x0 < x1.
Percent fraction_between(const CurvePoint& low, const CurvePoint& high, std::int64_t x_milli);

// SAFE-075: two points or more, x strictly increasing, y within 0..1.
bool is_curve(const Curve& curve);

// Where a curve becomes zero on its low and its high side: the last x from outside where it is still zero, or the outermost
// point.
std::int64_t low_zero(const Curve& curve);
std::int64_t high_zero(const Curve& curve);

// SAFE-072: the curve of a battery whose own limits are trusted; its zero points lie on the hard bounds.
Curve stretched(Curve curve, Temperature coldest, Temperature hottest);

// Closed steps of the state of charge, for LFP packs whose battery states no limits: at every boundary the more careful side.
// `most`: a fixed current, where there is one. An addition to cell and temperature curves, never instead of them: a state of
// charge drifts.
struct SocBand {
    Percent fraction = 100_pct;
    std::optional<Current> most{};
};
SocBand charge_band(Percent soc);
SocBand discharge_band(Percent soc);

}  // namespace batgw
