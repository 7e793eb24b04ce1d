#include "model/chemistry.hpp"
#include "safety/conditions.hpp"
#include "safety/curves.hpp"
#include "safety/limits.hpp"

#include <algorithm>

namespace batgw {
namespace {

void report(FaultId id, FaultClass level, Direction direction, Unit unit, std::int64_t value_milli, std::int64_t limit_milli,
    const LimitContext& context)
{
    ActiveFault f = condition(id, level, direction, Device::battery);
    f.has_value = true;
    f.unit = unit;
    f.value_milli = value_milli;
    f.limit_milli = limit_milli;
    context.faults.report(f);
}

}  // namespace

Fractions TemperatureLimits::update(const PackSamples& in, bool states_limits, const LimitContext& context)
{
    const auto& rule = context.config.temperature;
    if (rule.trust_battery_limits && states_limits)
        return judge(
            in, stretched(rule.charge_curve, coldest, hottest), stretched(rule.discharge_curve, coldest, hottest), context);
    return judge(in, rule.charge_curve, rule.discharge_curve, context);
}

Fractions TemperatureLimits::judge(
    const PackSamples& in, const Curve& charge, const Curve& discharge, const LimitContext& context)
{
    Fractions left;
    for (const Sample<Temperature>* t : {&in.temperature_min, &in.temperature_max})
        for (const auto& value : {t->usable, t->suspect}) {
            if (!value) continue;
            left.charge = std::min(left.charge, fraction_outside_zero(charge, value->milli()));
            left.discharge = std::min(left.discharge, fraction_outside_zero(discharge, value->milli()));
        }

    const bool known = in.temperature_min.fresh && in.temperature_max.fresh;
    const bool on = left.charge < 100_pct || left.discharge < 100_pct;
    if (curve_.update({known, on, !on}, {.hold = context.config.hold}, context.now)) {
        Direction direction = left.charge < 100_pct ? Direction::charge : Direction::none;
        if (left.discharge < 100_pct) direction = direction | Direction::discharge;
        ActiveFault f = condition(FaultId::temp_curve, FaultClass::derate, direction, Device::battery);
        context.faults.report(f);
    }
    if (!charge.empty() && !discharge.empty()) block_where_zero(in, charge, discharge, context);
    trip(in, context);
    spread(in, context);
    return left;
}

void TemperatureLimits::block(Detector& detector, FaultId id, Direction direction, const Sample<Temperature>& in, bool set,
    bool clear, std::int64_t limit_milli, const LimitContext& context)
{
    const Persistence rule{5s, samples_to_block, context.config.hold};
    if (detector.update({in.fresh.has_value(), set, clear, in.samples}, rule, context.now))
        report(id, FaultClass::block, direction, Unit::celsius, in.fresh ? in.fresh->milli() : limit_milli, limit_milli, context);
}

void TemperatureLimits::block_where_zero(
    const PackSamples& in, const Curve& charge, const Curve& discharge, const LimitContext& context)
{
    const std::int64_t inside = context.config.temperature.hysteresis.milli();
    const auto cold = [&](Detector& d, Direction direction, std::int64_t zero, bool open_end) {
        const auto t = in.temperature_min.fresh;
        const bool set = t && (open_end ? t->milli() < zero : t->milli() <= zero);
        block(d, FaultId::temp_cold, direction, in.temperature_min, set, t && t->milli() >= zero + inside, zero, context);
    };
    const auto hot = [&](Detector& d, Direction direction, std::int64_t zero, bool open_end) {
        const auto t = in.temperature_max.fresh;
        const bool set = t && (open_end ? t->milli() > zero : t->milli() >= zero);
        block(d, FaultId::temp_hot, direction, in.temperature_max, set, t && t->milli() <= zero - inside, zero, context);
    };
    // A curve whose end is not zero becomes zero beyond it.
    const auto starts = [](const Curve& c) { return c[0].y > 0_pct; };
    const auto ends = [](const Curve& c) { return c[c.size() - 1].y > 0_pct; };
    cold(cold_charge_, Direction::charge, low_zero(charge), starts(charge));
    cold(cold_discharge_, Direction::discharge, low_zero(discharge), starts(discharge));
    cold(cold_all_, Direction::both, context.config.temperature.min.milli(), true);
    hot(hot_charge_, Direction::charge, high_zero(charge), ends(charge));
    hot(hot_discharge_, Direction::discharge, high_zero(discharge), ends(discharge));
}

void TemperatureLimits::trip(const PackSamples& in, const LimitContext& context)
{
    const auto& rule = context.config.temperature;
    const auto t = in.temperature_max.fresh;
    const std::uint32_t samples = in.temperature_max.samples;
    const Temperature hottest_now = t.value_or(rule.trip);
    const auto watch = [&](Detector& d, bool set, Duration delay) {
        const bool clear = t && *t <= rule.trip - rule.hysteresis && !set;
        return d.update({t.has_value(), set, clear, samples}, {delay, samples_to_trip, context.config.hold}, context.now);
    };
    if (watch(crit_, t > rule.trip, 5s))
        report(FaultId::temp_crit, FaultClass::trip, Direction::both, Unit::celsius, hottest_now.milli(), rule.trip.milli(),
            context);
    if (watch(event_, t >= rule.emergency, 2s))
        report(FaultId::temp_event, FaultClass::emergency, Direction::both, Unit::celsius, hottest_now.milli(),
            rule.emergency.milli(), context);

    if (t) lowest_in_window_ = lowest_.update(*t, in.temperature_max.at, rule.rise_window);
    const bool rises = t && *t >= rule.rise_above && *t - lowest_in_window_ >= rule.rise;
    if (watch(rise_, rises, 2s))
        report(FaultId::temp_event, FaultClass::emergency, Direction::both, Unit::kelvin,
            (hottest_now - lowest_in_window_).milli(), rule.rise.milli(), context);
}

Temperature TemperatureLimits::LowestOf::update(Temperature t, Instant at, Duration window)
{
    while (!points_.empty() && at - points_[0].at > window) points_.erase_ordered(0);
    while (!points_.empty() && points_.back().t >= t) points_.pop_back();
    // No room: an older, lower one stays for longer, which makes a rise look bigger, never smaller.
    if (!points_.push_back({at, t})) points_.back().at = at;
    return points_[0].t;
}

void TemperatureLimits::spread(const PackSamples& in, const LimitContext& context)
{
    const auto& rule = context.config.temperature;
    const bool known = in.temperature_max.fresh && in.temperature_min.fresh;
    const TemperatureStep spread = known ? *in.temperature_max.fresh - *in.temperature_min.fresh : TemperatureStep{};
    const std::uint32_t samples = in.temperature_max.samples + in.temperature_min.samples;
    const auto watch = [&](Detector& d, TemperatureStep limit, TemperatureStep clear, Duration delay, FaultClass level,
                           Direction direction) {
        if (d.update({known, spread >= limit, spread <= clear, samples}, {delay, samples_to_block, 60s}, context.now))
            report(FaultId::temp_spread, level, direction, Unit::kelvin, known ? spread.milli() : limit.milli(), limit.milli(),
                context);
    };
    watch(spread_warn_, rule.spread_warn, rule.spread_warn - 2_K, 60s, FaultClass::warn, Direction::none);
    watch(spread_block_, rule.spread_block, rule.spread_clear, 30s, FaultClass::block, Direction::both);
}

}  // namespace batgw
