#include "safety/conditions.hpp"
#include "safety/curves.hpp"
#include "safety/limits.hpp"

#include <algorithm>

namespace batgw {
namespace {

struct Told {
    FaultId id{};
    FaultClass level{};
    Direction direction{};
    std::int64_t value_milli{}, limit_milli{};
    std::uint16_t cell = 0;
};

void report(const Told& t, const LimitContext& context)
{
    ActiveFault f = condition(t.id, t.level, t.direction, Device::battery);
    f.has_value = true;
    f.unit = Unit::volt;
    f.value_milli = t.value_milli;
    f.limit_milli = t.limit_milli;
    f.number = t.cell;
    context.faults.report(f);
}

// Of a usable value and one that is only suspect.
Voltage highest(const Sample<Voltage>& s) { return s.suspect ? std::max(*s.usable, *s.suspect) : *s.usable; }
Voltage lowest(const Sample<Voltage>& s) { return s.suspect ? std::min(*s.usable, *s.suspect) : *s.usable; }

}  // namespace

Fractions CellLimits::update(const PackSamples& in, std::uint16_t highest, std::uint16_t lowest, const LimitContext& context)
{
    const auto& cell = context.config.cell;
    Fractions left;
    for (const auto& v : {in.cell_max.usable, in.cell_max.suspect})
        if (v) left.charge = std::min(left.charge, fraction_held(cell.charge_curve, v->milli()));
    for (const auto& v : {in.cell_min.usable, in.cell_min.suspect})
        if (v) left.discharge = std::min(left.discharge, fraction_held(cell.discharge_curve, v->milli()));
    faults(in, highest, lowest, context);
    return left;
}

void CellLimits::faults(const PackSamples& in, std::uint16_t highest, std::uint16_t lowest, const LimitContext& context)
{
    const auto& cell = context.config.cell;
    const Duration hold = context.config.hold;
    const auto at_least = [&](Detector& d, FaultId id, FaultClass level, Direction direction, Voltage limit, Voltage clear,
                              Persistence rule) {
        const auto v = in.cell_max.fresh;
        const Observation seen{
            .known = v.has_value(), .set = v >= limit, .clear = v && *v <= clear, .samples = in.cell_max.samples};
        if (d.update(seen, rule, context.now))
            report({id, level, direction, v.value_or(limit).milli(), limit.milli(), highest}, context);
    };
    const auto at_most = [&](Detector& d, FaultId id, FaultClass level, Direction direction, Voltage limit, Voltage clear,
                             Persistence rule) {
        const auto v = in.cell_min.fresh;
        const Observation seen{
            .known = v.has_value(), .set = v && *v <= limit, .clear = v >= clear, .samples = in.cell_min.samples};
        if (d.update(seen, rule, context.now))
            report({id, level, direction, v.value_or(limit).milli(), limit.milli(), lowest}, context);
    };
    // The curves have begun when their fraction is below one; their faults only tell, the fraction acts.
    const auto begun = [&](const Curve& curve, const Sample<Voltage>& v) {
        return v.fresh && fraction_held(curve, v.fresh->milli()) < 100_pct;
    };
    const auto derate = [&](Detector& d, FaultId id, Direction direction, const Curve& curve, const Sample<Voltage>& v,
                            std::int64_t from, std::uint16_t n) {
        const bool on = begun(curve, v);
        if (d.update({v.fresh.has_value(), on, !on}, {.hold = hold}, context.now))
            report({id, FaultClass::derate, direction, v.fresh ? v.fresh->milli() : from, from, n}, context);
    };

    const auto& charge = cell.charge_curve;
    const auto& discharge = cell.discharge_curve;
    if (!charge.empty())
        derate(curve_high_, FaultId::cell_high_curve, Direction::charge, charge, in.cell_max, charge[0].x_milli, highest);
    if (!discharge.empty())
        derate(curve_low_, FaultId::cell_low_curve, Direction::discharge, discharge, in.cell_min,
            discharge[discharge.size() - 1].x_milli, lowest);

    const Persistence trip{.delay = 2s, .samples = samples_to_trip, .hold = hold};
    at_least(high_, FaultId::cell_high, FaultClass::block, Direction::charge, cell.block_high, cell.block_high_clear,
        {.delay = cell.block_high_delay, .samples = samples_to_block, .hold = hold});
    at_least(high_trip_, FaultId::cell_high_crit, FaultClass::trip, Direction::both, cell.trip_high, cell.block_high_clear, trip);
    at_most(low_, FaultId::cell_low, FaultClass::block, Direction::discharge, cell.block_low, cell.block_low_clear,
        {.delay = cell.block_low_delay, .samples = samples_to_block, .hold = hold});
    at_most(low_trip_, FaultId::cell_low_crit, FaultClass::trip, Direction::both, cell.trip_low, cell.block_low_clear, trip);
    at_most(deep_, FaultId::cell_deep, FaultClass::emergency, Direction::both, cell.deep, cell.block_low_clear,
        {.delay = 5s, .samples = samples_to_trip, .hold = hold});
}

Fractions DeviationLimits::update(const PackSamples& in, std::optional<Current> rated, const LimitContext& context)
{
    const auto& cell = context.config.cell;
    const std::uint32_t samples = in.cell_max.samples + in.cell_min.samples;
    const bool usable = in.cell_max.usable && in.cell_min.usable;
    // Of a value that is not believed yet nothing is concluded for good, nor that a spread is over (SAFE-026); limits take the
    // wider of what may be true.
    const bool fresh = in.cell_max.fresh && in.cell_min.fresh && !in.cell_max.suspect && !in.cell_min.suspect;
    const Voltage deviation = usable ? *in.cell_max.usable - *in.cell_min.usable : Voltage{};
    const Voltage widest = usable ? highest(in.cell_max) - lowest(in.cell_min) : Voltage{};
    const bool top = usable && *in.cell_max.usable > cell.knee_high, bottom = usable && *in.cell_min.usable < cell.knee_low;
    const bool calm = in.current.fresh && rated && magnitude(*in.current.fresh) < share(10_pct, *rated);
    // Under load at a knee the deviation says little: nothing new is concluded from it.
    const bool judged = fresh && (calm || !(top || bottom));

    Direction block = Direction::both;
    if (top && !bottom) block = Direction::charge;
    if (bottom && !top) block = Direction::discharge;
    const auto tell = [&](FaultId id, FaultClass level, Direction direction, Voltage limit) {
        report({id, level, direction, deviation.milli(), limit.milli()}, context);
    };
    const auto watch = [&](Detector& d, bool known, Voltage limit, Voltage clear, Persistence rule) {
        return d.update({known, deviation >= limit, deviation <= clear, samples}, rule, context.now);
    };

    Fractions left;
    const bool derates = usable && !top && !bottom;
    if (derates) {
        left.charge = left.discharge = fraction_between(
            {cell.deviation_derate_from.milli(), 100_pct}, {cell.deviation_derate_to.milli(), 50_pct}, widest.milli());
    }
    if (watch(warn_, judged, cell.deviation_warn, cell.deviation_warn - 30_mV, {60s, samples_to_block, 60s}))
        tell(FaultId::cell_dev, FaultClass::warn, Direction::none, cell.deviation_warn);
    const bool on = derates && deviation > cell.deviation_derate_from;
    if (derate_.update({fresh, on, !on}, {.hold = context.config.hold}, context.now))
        tell(FaultId::cell_dev, FaultClass::derate, Direction::both, cell.deviation_derate_from);
    if (watch(block_, judged, cell.deviation_block, cell.deviation_block - 50_mV, {10s, samples_to_block, 60s}))
        tell(FaultId::cell_dev, FaultClass::block, block, cell.deviation_block);
    if (watch(trip_, fresh, cell.deviation_trip, cell.deviation_block - 50_mV, {30s, samples_to_trip, 60s}))
        tell(FaultId::cell_dev_crit, FaultClass::trip, Direction::both, cell.deviation_trip);
    return left;
}

}  // namespace batgw
