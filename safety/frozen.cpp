#include "safety/frozen.hpp"

#include "safety/conditions.hpp"

namespace batgw {
namespace {

constexpr Percent part_of_range = 5_pct;

}  // namespace

bool FrozenWatch::report(SignalId id, bool moved, Duration still, const LimitContext& context)
{
    if (!moved || still < warn_after) return false;
    const bool block = still >= block_after;
    ActiveFault f = condition(FaultId::sig_frozen, block ? FaultClass::block : FaultClass::warn,
        block ? Direction::both : Direction::none, Device::battery);
    f.detail.assign(to_string(id));
    context.faults.report(f, context.config.hold);
    return true;
}

// What is far outside the window was not measured at this pack: an inverter that starts tells of zero.
void FrozenWatch::see_inverter_voltage(const Input& in, Instant now)
{
    const auto v = in.inverter->voltage.fresh(now);
    if (v && in.window.min && in.window.max && *v >= share(75_pct, *in.window.min) && *v <= share(125_pct, *in.window.max))
        inverter_voltage_.see(v);
}

// Only like is a witness of like. A current that stands still under a moving voltage is what an idle or a regulated inverter
// makes of a pack that relaxes or gets full; a voltage that stands still under a moving current is LFP in coarse steps.
void FrozenWatch::update(const Input& in, const LimitContext& context)
{
    const Instant now = context.now;
    const bool heard = closed_.for_at_least(in.closed, settle, now) && in.inverter != nullptr;
    if (!current_.follow(in.samples.current.fresh, now) || !in.closed) inverter_current_ = {};
    if (now - current_.since >= settle && heard) inverter_current_.see(in.inverter->current.fresh(now));
    const bool flows = in.rated && inverter_current_.width() > std::max(share(part_of_range, *in.rated), least_amperes);
    const bool flowed = current_.moved.for_at_least(flows, settle, now);
    current_frozen_ = report(SignalId::current, flowed, now - current_.since, context);

    const bool still = voltage_.follow(in.samples.voltage.fresh, now);
    if (!still || !in.closed) inverter_voltage_ = {};
    if (!still) cell_max_ = cell_min_ = {};
    if (now - voltage_.since >= settle) {
        if (heard) see_inverter_voltage(in, now);
        cell_max_.see(in.samples.cell_max.fresh);
        cell_min_.see(in.samples.cell_min.fresh);
    }
    // One cell alone moves no pack: what both the highest and the lowest did, all of them did.
    const Voltage all_cells =
        std::min(cell_max_.width(), cell_min_.width()) * static_cast<std::int64_t>(std::min(in.cells.value_or(0), 1000U));
    const Voltage most = std::max(inverter_voltage_.width(), all_cells);
    const bool rises =
        in.window.max && in.window.min && most > std::max(share(part_of_range, *in.window.max - *in.window.min), least_volts);
    const bool rose = voltage_.moved.for_at_least(rises, settle, now);
    report(SignalId::voltage, rose, now - voltage_.since, context);
}

}  // namespace batgw
