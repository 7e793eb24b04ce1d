#include "safety/precharge.hpp"

#include <algorithm>

namespace batgw {
namespace {

Duration part_of(Percent fraction, Duration whole)
{
    return Duration{detail::mul_div(whole.count(), fraction.milli(), Percent{100_pct}.milli())};
}

}  // namespace

Voltage Precharge::match_band(const Rules& rules, Voltage pack)
{
    return std::min(std::max(share(rules.match, pack), rules.match_min), rules.match_max);
}

void Precharge::begin(const BoxMeasurements& m, Instant now)
{
    *this = Precharge{};
    since_ = now;
    highest_ = m.link.value_or(Voltage{});
}

Precharge::Result Precharge::fail(std::string_view why)
{
    problem_ = why;
    return Result::failed;
}

bool Precharge::quiet(const BoxMeasurements& m) const { return !m.current_is_fast || quiet_.lasted(quiet_time); }

Precharge::Result Precharge::update(const Rules& rules, const BoxMeasurements& m, Instant now)
{
    const Duration elapsed = now - since_;
    if (rules.timer) {
        // Without a time there is nothing to go by; the configuration does not allow it.
        if (!rules.time) return fail("no time");
        return elapsed >= *rules.time ? Result::done : Result::running;
    }
    if (m.current && m.current_at > since_)
        quiet_.add(magnitude(*m.current) <= quiet_current, m.current_at);
    else
        quiet_.break_off();

    if (!m.link || !m.pack)
        matching_.break_off();
    else if (m.link_at > since_) {
        highest_ = std::max(highest_, *m.link);
        if (highest_ - *m.link > share(fall, *m.pack)) return fail("link falls");
        matching_.add(magnitude(*m.link - *m.pack) <= match_band(rules, *m.pack), m.link_at);
        if (elapsed >= part_of(early_time, rules.max) && *m.link < share(early_share, *m.pack)) return fail("link too low");
    }
    if (elapsed >= rules.min && matching_.lasted(rules.hold) && quiet(m)) return Result::done;
    return elapsed >= rules.max ? fail("timeout") : Result::running;
}

}  // namespace batgw
