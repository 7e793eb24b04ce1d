#include "safety/cross_checks.hpp"

#include "safety/conditions.hpp"

#include <algorithm>
#include <string_view>

namespace batgw {
namespace {

ActiveFault finding(std::string_view what, FaultClass level, Device device)
{
    const Direction direction = level >= FaultClass::block ? Direction::both : Direction::none;
    ActiveFault f = condition(FaultId::plausibility, level, direction, device);
    f.detail.assign(what);
    return f;
}

ActiveFault with_value(ActiveFault f, Unit unit, std::int64_t value_milli, std::int64_t limit_milli)
{
    f.has_value = true;
    f.unit = unit;
    f.value_milli = value_milli;
    f.limit_milli = limit_milli;
    return f;
}

// A bound and, a tenth inside it, where the finding ends (SAFE-042).
template <class Q>
Observation against(bool known, Q difference, Q bound, std::uint32_t samples)
{
    return {known, difference > bound, difference <= bound - bound / 10, samples};
}

constexpr Current little_current = 10_A;

}  // namespace

std::optional<CrossChecks::Cells> CrossChecks::summary(const CellVoltages& array)
{
    if (array.count == 0 || array.count > CellVoltages::capacity) return std::nullopt;
    Cells c{.min = 5000_mV};
    for (std::size_t i = 0; i < array.count; ++i) {
        const auto v = array[i];
        if (!v || *v < Voltage{} || *v > 5000_mV) return std::nullopt;
        c.sum = c.sum + *v;
        c.min = std::min(c.min, *v);
        c.max = std::max(c.max, *v);
    }
    c.average = c.sum / static_cast<std::int64_t>(array.count);
    return c;
}

void CrossChecks::update(const Input& in, const LimitContext& context)
{
    const auto& cells = in.battery.cells;
    if (cells.samples() != newest_sample_) {
        newest_sample_ = cells.samples();
        newest_ = summary(cells.last().value_or(CellVoltages{}));
    }
    cells_ = cells.is_fresh(context.now) ? newest_ : std::nullopt;
    sum_of_cells(in, context);
    order(in, context);
    extremes(in, context);
    against_inverter(in, context);
    frozen_soc(in, context);
}

void CrossChecks::sum_of_cells(const Input& in, const LimitContext& context)
{
    const auto& cells = cells_;
    const auto v = in.samples.voltage.fresh;
    const auto i = in.samples.current.fresh;
    const bool known = cells && v && i && magnitude(*i) < little_current;
    const Voltage difference = known ? magnitude(*v - cells->sum) : Voltage{};
    const Voltage bound = known ? std::max(share(2_pct, *v), 3_V) : Voltage{};
    const auto seen = against(known, difference, bound, in.battery.cells.samples() + in.samples.voltage.samples);
    if (sum_.update(seen, {30s, samples_to_block, context.config.hold}, context.now))
        context.faults.report(
            with_value(finding("cell_sum", FaultClass::block, Device::battery), Unit::volt, difference.milli(), bound.milli()));
}

void CrossChecks::order(const Input& in, const LimitContext& context)
{
    const Persistence rule{10s, samples_to_block, context.config.hold};
    const auto &low = in.samples.cell_min, &high = in.samples.cell_max;
    // The average is that of the array, which is older than the extremes: it gets the tolerance of the comparison of both.
    constexpr Voltage tolerance = 50_mV;
    const auto& cells = cells_;
    const bool known = low.fresh && high.fresh;
    const bool average_outside =
        known && cells && (cells->average < *low.fresh - tolerance || cells->average > *high.fresh + tolerance);
    const bool wrong = known && (*low.fresh > *high.fresh || average_outside);
    if (cell_order_.update({known, wrong, !wrong, low.samples + high.samples}, rule, context.now))
        context.faults.report(finding("cell_order", FaultClass::block, Device::battery));

    const auto &cold = in.samples.temperature_min, &hot = in.samples.temperature_max;
    const bool both = cold.fresh && hot.fresh;
    const bool swapped = both && *cold.fresh > *hot.fresh;
    if (temperature_order_.update({both, swapped, !swapped, cold.samples + hot.samples}, rule, context.now))
        context.faults.report(finding("temperature_order", FaultClass::block, Device::battery));
}

void CrossChecks::extremes(const Input& in, const LimitContext& context)
{
    const auto& cells = cells_;
    const auto &low = in.samples.cell_min, &high = in.samples.cell_max;
    const bool known = cells && low.fresh && high.fresh;
    const Voltage difference =
        known ? std::max(magnitude(*low.fresh - cells->min), magnitude(*high.fresh - cells->max)) : Voltage{};
    constexpr Voltage bound = 50_mV;
    const auto seen = against(known, difference, bound, in.battery.cells.samples() + low.samples + high.samples);
    if (extremes_.update(seen, {30s, samples_to_block, context.config.hold}, context.now))
        context.faults.report(with_value(
            finding("cell_extremes", FaultClass::warn, Device::battery), Unit::volt, difference.milli(), bound.milli()));
}

void CrossChecks::against_inverter(const Input& in, const LimitContext& context)
{
    // Anything else is no measurement of a house's inverter.
    constexpr Voltage most_volts = 1500_V;
    constexpr Current most_amperes = 2000_A;
    std::optional<Voltage> volts;
    std::optional<Current> amperes;
    std::uint32_t volt_samples = 0, ampere_samples = 0;
    if (in.inverter != nullptr) {
        const auto v = in.inverter->voltage.fresh(context.now);
        const auto i = in.inverter->current.fresh(context.now);
        if (v && *v >= Voltage{} && *v <= most_volts) volts = v;
        if (i && *i >= -most_amperes && *i <= most_amperes) amperes = i;
        volt_samples = in.inverter->voltage.samples();
        ampere_samples = in.inverter->current.samples();
    }
    const auto own_volts = in.samples.voltage.fresh;
    const bool volts_known = volts && own_volts && in.closed;
    const Voltage gap = volts_known ? magnitude(*own_volts - *volts) : Voltage{};
    const Voltage allowed = volts_known ? std::max(share(2_pct, *own_volts), 5_V) : Voltage{};
    const auto seen_volts = against(volts_known, gap, allowed, in.samples.voltage.samples + volt_samples);
    if (voltage_.update(seen_volts, {10s, samples_to_block, context.config.hold}, context.now))
        context.faults.report(with_value(
            finding("inverter_voltage", FaultClass::block, Device::inverter), Unit::volt, gap.milli(), allowed.milli()));

    // Magnitudes: which way an inverter counts is not certain for all of them.
    const auto own_amperes = in.samples.current.fresh;
    const bool amperes_known = amperes && own_amperes;
    const Current off = amperes_known ? magnitude(magnitude(*own_amperes) - magnitude(*amperes)) : Current{};
    const Current bound =
        amperes_known ? std::max(share(20_pct, std::max(magnitude(*own_amperes), magnitude(*amperes))), 5_A) : Current{};
    const auto seen_amperes = against(amperes_known, off, bound, in.samples.current.samples + ampere_samples);
    if (current_.update(seen_amperes, {30s, samples_to_block, context.config.hold}, context.now))
        context.faults.report(with_value(
            finding("inverter_current", FaultClass::warn, Device::inverter), Unit::ampere, off.milli(), bound.milli()));
}

// Only the net charge counts: cycling around one point moves no state of charge. Near the ends it stands still for good reasons.
void CrossChecks::frozen_soc(const Input& in, const LimitContext& context)
{
    const auto soc = in.samples.soc.fresh;
    const auto current = in.samples.current.fresh;
    if (soc && soc_seen_ != soc) {
        soc_seen_ = soc;
        net_ma_us_ = 0;
    }
    constexpr std::int64_t plenty = 1'000'000'000'000'000'000;  // 277,778 Ah: far beyond any bound, far from overflow
    if (last_current_ && current) {
        const std::int64_t more = detail::mul_div(last_current_->milli(), (context.now - last_at_).count(), 1);
        net_ma_us_ = std::clamp(net_ma_us_ + std::clamp(more, -plenty, plenty), -plenty, plenty);
    }
    last_current_ = current;
    last_at_ = context.now;

    constexpr std::int64_t us_per_hour = 3'600'000'000;
    const bool middle = soc && *soc > 1_pct && *soc < 99_pct;
    const bool known = middle && in.capacity && *in.capacity > Charge{};
    const Charge net = magnitude(Charge::from_milli(net_ma_us_ / us_per_hour));
    const Charge bound = known ? share(5_pct, *in.capacity) : Charge{};
    const bool stuck = known && net > bound;
    if (soc_.update({soc.has_value(), stuck, !stuck, in.samples.soc.samples}, {.hold = context.config.hold}, context.now))
        context.faults.report(finding("soc_frozen", FaultClass::warn, Device::battery));
}

bool IdentityWatch::follow(Change& c, bool known, bool differs, std::uint32_t samples, Instant now)
{
    if (c.differs.update({known, differs, !differs, samples}, {.samples = 2}, now)) c.happened = true;
    return c.happened;
}

// A module that appears or falls asleep is no other one: only another serial number at the same address is.
void IdentityWatch::watch_serials(const BatteryState& battery, bool in_use, std::uint32_t samples, Instant now)
{
    bool differs = false;
    for (const Module& m : battery.modules) {
        if (m.serial.empty() || m.address == 0 || m.address > known_.serials.size()) continue;
        Text<16>& known = known_.serials[m.address - 1];
        if (known.empty() || !in_use) known = m.serial;
        differs = differs || !(known == m.serial);
    }
    follow(serials_, true, differs, samples, now);
}

void IdentityWatch::update(const BatteryState& battery, const PackFacts& facts, std::optional<unsigned> configured_cells,
    bool in_use, const LimitContext& context)
{
    const std::optional<unsigned> cells = battery.cell_count ? battery.cell_count : facts.cells;
    // Of a battery that does not tell of single cells, what it tells of all of them.
    const std::uint32_t samples = battery.cells.samples() > 0 ? battery.cells.samples() : battery.cell_voltage_max.samples();
    const auto block = [](FaultId id, std::string_view detail) {
        ActiveFault f = condition(id, FaultClass::block, Direction::both, Device::battery);
        f.detail.assign(detail);
        return f;
    };
    const auto counts = [](ActiveFault f, unsigned is, unsigned expected) {
        return with_value(f, Unit::count, std::int64_t{is} * 1000, std::int64_t{expected} * 1000);
    };

    // For good: which of both it is, nobody here can know.
    const auto watch = [&](Change& change, auto& known, const auto& now_is, std::string_view detail) {
        if (now_is && (!known || !in_use)) known = now_is;
        if (follow(change, now_is.has_value(), now_is && *now_is != *known, samples, context.now))
            return std::optional{block(FaultId::identity_changed, detail)};
        return std::optional<ActiveFault>{};
    };
    if (const auto f = watch(cells_, known_.cells, cells, ""))
        context.faults.report(counts(*f, cells.value_or(0), known_.cells.value_or(0)));
    const auto report = [&](const std::optional<ActiveFault>& f) {
        if (f) context.faults.report(*f);
    };
    // What a driver concludes from the cells may change when it learns of them.
    const PackFacts told = facts.cells ? facts : PackFacts{};
    // A tower that loses a module holds less, and is the same: its modules have serial numbers.
    if (battery.modules.empty()) report(watch(energy_, known_.energy, told.energy_rated, "capacity"));
    const auto upper = watch(window_, known_.voltage_max, told.voltage_max, "window");
    report(upper ? upper : watch(window_low_, known_.voltage_min, told.voltage_min, "window"));
    watch_serials(battery, in_use, samples, context.now);
    if (serials_.happened) context.faults.report(block(FaultId::identity_changed, "module"));

    const auto detected = battery.cell_count;
    const bool compared = detected && configured_cells;
    const bool mismatch = compared && *detected != *configured_cells;
    if (mismatch_.update({compared, mismatch, !mismatch, samples}, {.hold = context.config.hold}, context.now))
        context.faults.report(
            counts(block(FaultId::identity_mismatch, "cells"), detected.value_or(0), configured_cells.value_or(0)));
    if (gap_.update({true, battery.cell_gap, !battery.cell_gap, samples}, {.hold = context.config.hold}, context.now))
        context.faults.report(block(FaultId::identity_mismatch, "cell_gap"));
}

}  // namespace batgw
