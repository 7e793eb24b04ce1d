#include "safety/over_limit.hpp"

#include "safety/conditions.hpp"

#include <algorithm>

namespace batgw {

Current OverLimit::HighestOf::update(Current value, Instant at, Duration window)
{
    while (!points_.empty() && at - points_[0].at > window) points_.erase_ordered(0);
    while (!points_.empty() && points_.back().value <= value) points_.pop_back();
    // No room: the last one, which is higher, stays for longer.
    if (!points_.push_back({at, value})) points_.back().at = at;
    return points_[0].value;
}

void OverLimit::update(const Input& in, const LimitContext& context)
{
    // Nobody can be blamed before the time to obey has run, counted from the first word.
    if (!told_.for_at_least(in.told, context.config.over_limit.grace, context.now)) {
        if (!in.told) {
            charge_ = discharge_ = Side{};
        } else {
            charge_.granted.update(in.charge, context.now, context.config.over_limit.grace);
            discharge_.granted.update(in.discharge, context.now, context.config.over_limit.grace);
        }
    } else {
        follow(charge_, Direction::charge, in, context);
        follow(discharge_, Direction::discharge, in, context);
    }
    looked_at_ = context.now;

    const auto i = in.current.fresh;
    const Observation seen{i.has_value(), i && in.empty && *i <= -drain, i && *i >= drain, in.current.samples};
    if (drain_.update(seen, {.delay = drain_time, .samples = samples_to_block}, context.now)) {
        ActiveFault f = condition(FaultId::idle_drain, FaultClass::warn, Direction::none, Device::battery);
        context.faults.report(f);
    }
}

// Time and samples above the limit. A short dip below neither counts nor starts anew.
void OverLimit::count(Side& s, bool over, std::uint32_t samples, Duration passed, Instant now)
{
    if (s.below.for_at_least(!over, restart_after, now)) {
        s.over_for = Duration{};
        s.samples = 0;
    }
    if (over && s.over && s.known) s.over_for += passed;
    if (over && (s.samples == 0 || samples != s.last_sample)) ++s.samples;
    s.last_sample = samples;
    s.over = over;
}

void OverLimit::follow(Side& s, Direction direction, const Input& in, const LimitContext& context)
{
    const auto& rule = context.config.over_limit;
    const bool charging = direction == Direction::charge;
    const Current most = s.granted.update(charging ? in.charge : in.discharge, context.now, rule.grace);
    const auto i = in.current.fresh;
    const Current flows = !i ? Current{} : charging ? *i : -*i;
    if (i)
        count(s, flows > most + std::max(share(rule.margin, most), rule.margin_least), in.current.samples,
            context.now - looked_at_, context.now);
    s.known = i.has_value();
    if (!s.over || s.over_for < rule.warn || s.samples < samples_to_block) return;

    const bool block = s.over_for >= rule.block;
    const auto tell = [&](FaultId id, FaultClass level, Direction blocked) {
        ActiveFault f = condition(id, level, blocked, Device::inverter);
        f.detail.assign(to_string(direction));
        f.has_value = i.has_value();
        f.unit = Unit::ampere;
        f.value_milli = charging ? flows.milli() : -flows.milli();
        f.limit_milli = charging ? most.milli() : -most.milli();
        context.faults.report(f, context.config.hold);
    };
    if (block)
        tell(FaultId::limit_exceeded, FaultClass::block, direction);
    else
        tell(FaultId::limit_exceeded, FaultClass::warn, Direction::none);
    if (s.over_for >= rule.trip && s.samples >= samples_to_trip)
        tell(FaultId::inverter_ignores_limits, FaultClass::trip, Direction::both);
}

}  // namespace batgw
