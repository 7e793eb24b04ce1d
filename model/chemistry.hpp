// The limits that belong to a chemistry (SAFE-060 to SAFE-063, SAFE-072, SAFE-073), per cell.
#pragma once

#include "model/config.hpp"

#include <initializer_list>
#include <utility>

namespace batgw {

// What configuration cannot exceed, whatever else is written.
struct CellBounds {
    Voltage min, max;
};
constexpr CellBounds cell_bounds(Chemistry chemistry)
{
    switch (chemistry) {
    case Chemistry::lfp: return {2000_mV, 3800_mV};
    case Chemistry::nmc: return {2500_mV, 4300_mV};
    case Chemistry::custom: break;
    }
    return {2000_mV, 4300_mV};
}
inline constexpr Voltage lowest_deep_voltage = 2000_mV;  // of every chemistry: the EMERGENCY threshold may lie below `min`
inline constexpr Temperature coldest = Temperature::from_milli(-30'000);
inline constexpr Temperature hottest = 65_degC;

// x in thousandths of its unit, y in per mille.
constexpr Curve make_curve(std::initializer_list<std::pair<int, int>> points)
{
    Curve curve;
    for (const auto& [x, y] : points) curve.push_back({x, Percent::from_milli(y * 100)});
    return curve;
}

constexpr void set_temperature_curves(SafetyConfig::TemperatureRules& t)
{
    t.charge_curve = make_curve({{0, 0}, {5000, 200}, {10'000, 500}, {15'000, 1000}, {40'000, 1000}, {45'000, 500}, {50'000, 0}});
    t.discharge_curve =
        make_curve({{-20'000, 0}, {-10'000, 250}, {0, 600}, {10'000, 1000}, {45'000, 1000}, {50'000, 500}, {55'000, 0}});
}

// The cell numbers of a chemistry. `custom` has none: whoever chooses it writes them all, and starts from those of LFP.
constexpr SafetyConfig::Cell cell_rules(Chemistry chemistry)
{
    SafetyConfig::Cell c;
    c.charge_curve = make_curve({{3450, 1000}, {3500, 250}, {3550, 50}, {3600, 0}});
    c.discharge_curve = make_curve({{2800, 0}, {2900, 100}, {3000, 500}, {3100, 1000}});
    if (chemistry != Chemistry::nmc) return c;
    c.target = 4150_mV;
    c.cutoff = 3200_mV;
    c.charge_curve = make_curve({{4100, 1000}, {4140, 250}, {4180, 0}});
    c.discharge_curve = make_curve({{3000, 0}, {3150, 500}, {3300, 1000}});
    c.block_high = 4180_mV;
    c.block_high_clear = 4120_mV;
    c.block_low = 3000_mV;
    c.block_low_clear = 3200_mV;
    c.trip_high = 4250_mV;
    c.trip_low = 2700_mV;
    c.deviation_warn = 100_mV;
    c.deviation_derate_from = 150_mV;
    c.deviation_derate_to = 250_mV;
    c.deviation_block = 250_mV;
    // No knees to exempt: outside what any cell may reach without a fault of its own.
    c.knee_high = cell_bounds(Chemistry::nmc).max;
    c.knee_low = cell_bounds(Chemistry::nmc).min;
    return c;
}

// The safety configuration before drivers and file have had their say.
constexpr SafetyConfig default_safety(Chemistry chemistry)
{
    SafetyConfig s;
    set_temperature_curves(s.temperature);
    s.cell = cell_rules(chemistry);
    return s;
}

}  // namespace batgw
