#include "safety/conditions.hpp"
#include "safety/curves.hpp"
#include "safety/limits.hpp"

#include <algorithm>

namespace batgw {
namespace {

ActiveFault about(
    FaultId id, FaultClass level, Direction direction, Unit unit, std::int64_t value_milli, std::int64_t limit_milli)
{
    ActiveFault f = condition(id, level, direction, Device::battery);
    f.has_value = true;
    f.unit = unit;
    f.value_milli = value_milli;
    f.limit_milli = limit_milli;
    return f;
}

constexpr Voltage widest = 2000_V;  // what a window may be at most; far from overflow

}  // namespace

PackVoltageLimits::Window voltage_window(const SafetyConfig::Cell& cell, std::optional<unsigned> cells, const PackFacts& facts,
    std::optional<Voltage> configured_max, std::optional<Voltage> configured_min)
{
    PackVoltageLimits::Window w;
    if (cells) {
        const auto n = static_cast<std::int64_t>(std::min(*cells, 1000U));
        w.max = w.cells_max = cell.block_high * n;
        w.min = w.cells_min = cell.block_low * n;
    }
    const auto lower = [&](std::optional<Voltage> v) {
        if (v) w.max = std::min(w.max.value_or(widest), std::clamp(*v, Voltage{}, widest));
    };
    const auto raise = [&](std::optional<Voltage> v) {
        if (v) w.min = std::max(w.min.value_or(Voltage{}), std::clamp(*v, Voltage{}, widest));
    };
    lower(facts.voltage_max);
    lower(configured_max);
    raise(facts.voltage_min);
    raise(configured_min);
    return w;
}

void PackVoltageLimits::update(const PackSamples& in, const Window& w, const LimitContext& context)
{
    const auto v = in.voltage.fresh;
    const Persistence block{1s, samples_to_block, context.config.hold}, trip{2s, samples_to_trip, context.config.hold};
    const auto hysteresis = [](Voltage limit) { return std::max(2000_mV, share(Percent::from_milli(500), limit)); };
    const auto above = [&](Detector& d, Voltage limit, Voltage clear, const Persistence& rule) {
        return d.update({v.has_value(), v && *v > limit, v && *v <= clear, in.voltage.samples}, rule, context.now);
    };
    const auto below = [&](Detector& d, Voltage limit, Voltage clear, const Persistence& rule) {
        return d.update({v.has_value(), v && *v < limit, v && *v >= clear, in.voltage.samples}, rule, context.now);
    };
    const auto tell = [&](FaultId id, FaultClass level, Direction direction, Voltage limit) {
        context.faults.report(about(id, level, direction, Unit::volt, v.value_or(limit).milli(), limit.milli()));
    };
    if (w.max && above(high_, *w.max, *w.max - hysteresis(*w.max), block))
        tell(FaultId::pack_high, FaultClass::block, Direction::charge, *w.max);
    if (w.min && below(low_, *w.min, *w.min + hysteresis(*w.min), block))
        tell(FaultId::pack_low, FaultClass::block, Direction::discharge, *w.min);
    // Two percent beyond what the cells allow; where nobody knows the cells, beyond the window there is.
    if (const auto outer = w.cells_max ? w.cells_max : w.max) {
        const Voltage limit = share(102_pct, *outer);
        if (above(trip_high_, limit, *outer, trip)) tell(FaultId::pack_v_crit, FaultClass::trip, Direction::both, limit);
    }
    if (const auto outer = w.cells_min ? w.cells_min : w.min) {
        const Voltage limit = share(98_pct, *outer);
        if (below(trip_low_, limit, *outer, trip)) tell(FaultId::pack_v_crit, FaultClass::trip, Direction::both, limit);
    }
}

void CurrentLimits::update(const Reading<Current>& current, const Sample<Voltage>& voltage, Power max_charge, Power max_discharge,
    const LimitContext& context)
{
    const auto i = current.fresh(context.now);
    const auto& rule = context.config.over_current;
    const bool known = i && voltage.fresh && *voltage.fresh > Voltage{};
    const auto watch = [&](Detector& d, bool charging, Power maximum, Percent part, FaultClass level, Duration delay,
                           unsigned samples) {
        const Current full = known ? (maximum / *voltage.fresh).value_or(Current{}) : Current{};
        // Idle consumption and an offset of the sensor are no overcurrent (SAFE-068), however small the configured maximum is.
        const Current limit = std::max(share(part, full), 2_A), clear = std::max(full, Current::from_milli(1500));
        const Current flowing = known && (*i > Current{}) == charging ? magnitude(*i) : Current{};
        if (!d.update(
                {known, flowing > limit, flowing < clear, current.samples()}, {delay, samples, context.config.hold}, context.now))
            return;
        ActiveFault f = about(FaultId::overcurrent, level, Direction::both, Unit::ampere,
            charging ? flowing.milli() : -flowing.milli(), charging ? limit.milli() : -limit.milli());
        f.has_value = known;
        context.faults.report(f);
    };
    watch(block_charge_, true, max_charge, rule.block, FaultClass::block, rule.block_delay, samples_to_block);
    watch(block_discharge_, false, max_discharge, rule.block, FaultClass::block, rule.block_delay, samples_to_block);
    watch(trip_charge_, true, max_charge, rule.trip, FaultClass::trip, rule.trip_delay, samples_to_trip);
    watch(trip_discharge_, false, max_discharge, rule.trip, FaultClass::trip, rule.trip_delay, samples_to_trip);
}

Fractions SocLimits::update(const PackSamples& in, const LimitContext& context)
{
    const auto& rule = context.config.soc;
    const auto soc = in.soc.fresh;
    const Persistence persistence{5s, samples_to_block, context.config.hold};
    const auto tell = [&](FaultId id, FaultClass level, Direction direction, Percent limit) {
        context.faults.report(about(id, level, direction, Unit::percent, soc.value_or(limit).milli(), limit.milli()));
    };
    Fractions left;
    // Of two values that may both be true the one that leaves less; none is less than any.
    const auto low = in.soc.suspect ? std::min(in.soc.usable, in.soc.suspect) : in.soc.usable;
    const auto high = std::max(in.soc.usable, in.soc.suspect);
    if (low && rule.taper > 0_pct)
        left.discharge = fraction_between({rule.min.milli(), 0_pct}, {(rule.min + rule.taper).milli(), 100_pct}, low->milli());
    const bool bands = rule.bands && in.soc.usable;
    const SocBand charge = bands ? charge_band(*high) : SocBand{};
    const SocBand discharge = bands ? discharge_band(*low) : SocBand{};
    left.charge = charge.fraction;
    left.charge_most = charge.most;
    left.discharge = std::min(left.discharge, discharge.fraction);
    left.discharge_most = discharge.most;
    const auto derate = [&](Detector& d, bool on, Direction direction, Percent from) {
        if (d.update({soc.has_value(), on, !on}, {.hold = context.config.hold}, context.now))
            tell(FaultId::soc_curve, FaultClass::derate, direction, from);
    };
    derate(curve_, left.discharge < 100_pct || left.discharge_most, Direction::discharge,
        bands ? std::max(35_pct, rule.min + rule.taper) : rule.min + rule.taper);
    derate(charge_curve_, left.charge < 100_pct || left.charge_most, Direction::charge, 91_pct);
    if (low_.update({soc.has_value(), soc && *soc <= rule.min, soc >= rule.min + rule.hysteresis_low, in.soc.samples},
            persistence, context.now))
        tell(FaultId::soc_low, FaultClass::block, Direction::discharge, rule.min);
    if (high_.update({soc.has_value(), soc >= rule.max, soc && *soc <= rule.max - rule.hysteresis_high, in.soc.samples},
            persistence, context.now))
        tell(FaultId::soc_high, FaultClass::block, Direction::charge, rule.max);
    return left;
}

void ReportedLimits::update(const BatteryState& battery, bool closed, bool open, const LimitContext& context)
{
    for (const ReportedFault& r : battery.reported) {
        ActiveFault f = condition(FaultId::bms_fault, r.level, r.direction, Device::battery);
        f.detail = r.code;
        // A person has to look first: that is what TRIP means.
        if (r.never_close_again) f.level = std::max(f.level, FaultClass::trip);
        context.faults.report(f, r.level >= FaultClass::block ? context.config.hold : Duration{});
    }
    constexpr Percent poor = 25_pct;
    const auto soh = battery.soh.fresh(context.now);
    if (soh_.update({soh.has_value(), soh && *soh < poor, soh >= poor + 2_pct, battery.soh.samples()},
            {0s, samples_to_block, context.config.hold}, context.now))
        context.faults.report(
            about(FaultId::soh_low, FaultClass::block, Direction::both, Unit::percent, soh.value_or(poor).milli(), poor.milli()));
    permissions(battery, context);
    insulation(battery, closed, open, context);
}

void ReportedLimits::permissions(const BatteryState& battery, const LimitContext& context)
{
    const auto watch = [&](Detector& d, const Reading<bool>& allowed, Direction direction) {
        const auto yes = allowed.fresh(context.now);
        if (!d.update({yes.has_value(), yes && !*yes, yes && *yes}, {.hold = 5s}, context.now)) return;
        ActiveFault f = condition(FaultId::bms_denies, FaultClass::block, direction, Device::battery);
        context.faults.report(f);
    };
    watch(denies_charge_, battery.charge_allowed, Direction::charge);
    watch(denies_discharge_, battery.discharge_allowed, Direction::discharge);
}

void ReportedLimits::insulation(const BatteryState& battery, bool closed, bool open, const LimitContext& context)
{
    const auto& rule = context.config.insulation;
    // A monitor that says it is off measures nothing.
    const auto runs = battery.insulation_measured.last();
    const auto value = runs && !*runs ? std::nullopt : battery.insulation.fresh(context.now);
    const auto watch = [&](Detector& d, bool known, Insulation limit, Duration delay) {
        return d.update({known, value && *value < limit, value && *value >= share(120_pct, limit), battery.insulation.samples()},
            {delay, samples_to_block, 60s}, context.now);
    };
    const auto tell = [&](FaultClass level, Direction direction, Insulation limit) {
        context.faults.report(
            about(FaultId::insulation, level, direction, Unit::ohm_per_volt, value.value_or(limit).milli(), limit.milli()));
    };
    // A transformerless inverter pulls the reading down for as long as it is connected: then it only warns, unless configured.
    const bool connected = closed && !rule.block_while_closed;
    insulation_doubtful_ = open && value && *value < rule.block;
    if (connected) insulation_block_.reset();
    if (watch(insulation_warn_, value.has_value(), rule.warn, 30s)) tell(FaultClass::warn, Direction::none, rule.warn);
    if (watch(insulation_block_, value && (open || rule.block_while_closed), rule.block, 10s))
        tell(FaultClass::block, Direction::both, rule.block);
}

}  // namespace batgw
