#include "safety/escalation.hpp"

#include <algorithm>
#include <cstdint>

namespace batgw {
namespace {

bool same_cause(const ActiveFault& a, const ActiveFault& b)
{
    return a.id == b.id && a.device == b.device && a.device_number == b.device_number && a.detail == b.detail;
}

bool became_block(const FaultTable::Change& c)
{
    return c.what != FaultTable::Change::What::cleared && c.before < FaultClass::block && c.fault.level == FaultClass::block;
}

}  // namespace

bool only_warns_when_repeated(FaultId id)
{
    switch (id) {
    // Full, empty, cold, and a battery that says "not now": every day has them.
    case FaultId::cell_high:
    case FaultId::cell_low:
    case FaultId::pack_high:
    case FaultId::pack_low:
    case FaultId::soc_high:
    case FaultId::soc_low:
    case FaultId::temp_cold:
    case FaultId::bms_denies:
    // Communication.
    case FaultId::sig_stale:
    case FaultId::sig_bad:
    case FaultId::bat_link_lost:
    case FaultId::inv_link_lost:
    case FaultId::bus_off:
    case FaultId::bus_down:
    case FaultId::tx_starved:
    case FaultId::rx_drops: return true;
    default: return false;
    }
}

void Escalation::History::add(Instant at)
{
    times[next] = at;
    next = (next + 1) % most;
    count = std::min(count + 1, most);
}

std::size_t Escalation::History::within(Duration window, Instant now) const
{
    std::size_t n = 0;
    for (std::size_t i = 0; i < count; ++i) n += now - times[i] <= window ? 1U : 0U;
    return n;
}

Escalation::History& Escalation::history(const ActiveFault& fault)
{
    const auto found =
        std::find_if(histories_.begin(), histories_.end(), [&](const History& h) { return same_cause(h.fault, fault); });
    if (found != histories_.end()) return *found;
    if (histories_.push_back({})) return histories_.back();
    History& quietest = *std::min_element(
        histories_.begin(), histories_.end(), [](const History& a, const History& b) { return a.newest() < b.newest(); });
    return quietest = {};
}

void Escalation::follow(const FaultTable& faults, const SafetyConfig::Escalation& rule, Instant now)
{
    for (const FaultTable::Change& c : faults.changes()) {
        if (c.fault.repeated || !became_block(c)) continue;
        History& h = history(c.fault);
        h.fault = c.fault;
        h.add(now);
        if (only_warns_when_repeated(c.fault.id) || h.within(rule.window, now) < rule.count) continue;
        h.trip = true;
        h.count = 0;  // after a reset it counts from the beginning
    }
}

void Escalation::report(FaultTable& faults, const SafetyConfig::Escalation& rule, Instant now)
{
    for (History& h : histories_) {
        const auto times = h.within(rule.window, now);
        const bool warns = only_warns_when_repeated(h.fault.id) && times >= rule.count;
        if (!h.trip && !warns) continue;
        ActiveFault f = h.fault;
        f.repeated = true;
        f.level = h.trip ? FaultClass::trip : FaultClass::warn;
        f.direction = h.trip ? Direction::both : Direction::none;
        f.number = 0;
        f.has_value = true;
        f.unit = Unit::count;
        f.value_milli = static_cast<std::int64_t>(h.trip ? rule.count : times) * 1000;
        f.limit_milli = static_cast<std::int64_t>(rule.count) * 1000;
        faults.report(f);
        h.trip = false;
    }
}

}  // namespace batgw
