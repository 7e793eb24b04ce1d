#include "safety/parallel.hpp"

#include <algorithm>
#include <numeric>

namespace batgw {
namespace {

bool closing(const ContactorVerdict& c)
{
    return c.order == ContactorOrder::close || c.state == ContactorState::neg_closed || c.state == ContactorState::precharge ||
        c.state == ContactorState::pos_closed;
}

Voltage distance(Voltage a, Voltage b) { return std::max(a, b) - std::min(a, b); }

// A pack that carries little current shows the voltage of its cells. The rated current is that of the higher ceiling.
bool at_rest(const ParallelPack& pack, Voltage voltage, Instant now)
{
    const auto current = pack.state->current.fresh(now);
    const auto rated = std::max(pack.max_charge, pack.max_discharge) / voltage;
    return current && rated && magnitude(*current) <= share(ParallelWatch::rest, *rated);
}

// Both at rest, and at one voltage.
bool agree(const ParallelPack& a, const ParallelPack& b, const SafetyConfig::Parallel& rule, Instant now)
{
    const auto va = a.state->voltage.fresh(now), vb = b.state->voltage.fresh(now);
    return va && vb && distance(*va, *vb) <= allowed_difference(rule, *va, *vb) && at_rest(a, *va, now) && at_rest(b, *vb, now);
}

}  // namespace

Connection connection(const Verdict& verdict)
{
    const ContactorVerdict& c = verdict.contactors;
    if (c.power_allowed) return Connection::joined;
    return c.proven_open && !closing(c) ? Connection::apart : Connection::unclear;
}

Voltage allowed_difference(const SafetyConfig::Parallel& rule, Voltage a, Voltage b)
{
    return std::min(rule.max_delta, share(rule.max_delta_share, std::min(a, b)));
}

void ParallelWatch::look(std::span<const ParallelPack> packs, const SafetyConfig::Parallel& rule, Instant now)
{
    for (std::size_t i = 0; i < packs.size(); ++i) {
        bool others = false, all_agree = true;
        for (std::size_t j = 0; j < packs.size(); ++j) {
            if (j == i || connection(*packs[j].verdict) != Connection::joined) continue;
            others = true;
            all_agree = all_agree && agree(packs[i], packs[j], rule, now);
        }
        settled_[i] = agrees_[i].for_at_least(others && all_agree, settle, now);
    }
    const auto found = mismatch(packs, rule, now);
    const Duration lasted = differs_.update(found.has_value(), now);
    level_ = FaultClass::none;
    if (found && lasted >= rule.warn) level_ = FaultClass::warn;
    if (found && lasted >= rule.open) level_ = FaultClass::block;
    mismatch_ = found;
}

// The pack farthest from all others; of two that differ nobody knows which one it is: the later one goes.
std::optional<ParallelWatch::Mismatch> ParallelWatch::mismatch(
    std::span<const ParallelPack> packs, const SafetyConfig::Parallel& rule, Instant now) const
{
    std::optional<Mismatch> worst;
    Voltage farthest{};
    for (std::size_t i = 0; i < packs.size(); ++i) {
        const auto own = packs[i].state->voltage.fresh(now);
        if (!own || connection(*packs[i].verdict) != Connection::joined) continue;
        Mismatch m{.pack = i};
        Voltage sum{};
        bool differs = false;
        for (std::size_t j = 0; j < packs.size(); ++j) {
            const auto other = packs[j].state->voltage.fresh(now);
            if (j == i || !other || connection(*packs[j].verdict) != Connection::joined) continue;
            const Voltage d = distance(*own, *other);
            const Voltage allowed = allowed_difference(rule, *own, *other);
            differs = differs || d > allowed;
            sum = sum + d;
            if (d < m.difference) continue;
            m.difference = d;
            m.allowed = allowed;
        }
        if (!differs || sum < farthest) continue;
        farthest = sum;
        worst = m;
    }
    return worst;
}

Beside ParallelWatch::beside(std::size_t pack, std::span<const ParallelPack> packs) const
{
    Beside b;
    for (std::size_t j = 0; j < packs.size(); ++j) {
        if (j == pack) continue;
        const Connection other = connection(*packs[j].verdict);
        if (other == Connection::unclear || (other == Connection::joined && !settled_[pack])) b.may_join = false;
    }
    if (mismatch_ && mismatch_->pack == pack) {
        b.mismatch = level_;
        b.difference = mismatch_->difference;
        b.allowed = mismatch_->allowed;
    }
    return b;
}

}  // namespace batgw
