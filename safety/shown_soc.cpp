#include "safety/shown_soc.hpp"

#include <algorithm>
#include <initializer_list>

namespace batgw {
namespace {

bool blocks(const Verdict& v, Direction direction, std::initializer_list<FaultId> ids)
{
    return std::any_of(v.faults.begin(), v.faults.end(), [&](const ActiveFault& f) {
        const bool named = std::find(ids.begin(), ids.end(), f.id) != ids.end();
        return named && f.level >= FaultClass::block && covers(f.direction, direction);
    });
}

}  // namespace

std::optional<Percent> shown_soc(const SafetyConfig::Soc& rule, std::optional<Percent> soc, const Verdict& v)
{
    if (!rule.scaling || !soc) return std::nullopt;
    const bool full = v.charge.is_zero() &&
        blocks(v, Direction::charge, {FaultId::soc_high, FaultId::cell_high, FaultId::cell_high_crit, FaultId::pack_high});
    const bool empty = v.discharge.is_zero() &&
        blocks(v, Direction::discharge,
            {FaultId::soc_low, FaultId::cell_low, FaultId::cell_low_crit, FaultId::cell_deep, FaultId::pack_low});
    const Percent width = std::max(rule.max - rule.min, 1_pct);
    const Percent scaled = Percent::from_milli((*soc - rule.min).milli() * 100'000 / width.milli());
    return std::clamp(scaled, empty ? 0_pct : 1_pct, full ? 100_pct : 99_pct);
}

}  // namespace batgw
