#include "safety/signals.hpp"

#include "safety/conditions.hpp"

#include <algorithm>
#include <string_view>

namespace batgw {
namespace {

// The table of SAFE-021. Floors come from the configuration, but for the link voltage.
struct AgeRule {
    SignalId id;
    Duration SafetyConfig::Ages::*floor;
    Duration ceiling;
};
using Ages = SafetyConfig::Ages;
constexpr std::array<AgeRule, signal_count> age_rules{
    {{SignalId::flags, &Ages::flags, 5s}, {SignalId::contactor, &Ages::contactor, 3s}, {SignalId::current, &Ages::current, 10s},
        {SignalId::voltage, &Ages::voltage, 10s}, {SignalId::link_voltage, nullptr, 1s},
        {SignalId::cell_voltage_max, &Ages::cell, 15s}, {SignalId::cell_voltage_min, &Ages::cell, 15s},
        {SignalId::charge_limit, &Ages::battery_limit, 15s}, {SignalId::discharge_limit, &Ages::battery_limit, 15s},
        {SignalId::temperature_min, &Ages::temperature, 60s}, {SignalId::temperature_max, &Ages::temperature, 60s},
        {SignalId::soc, &Ages::soc, 60s}, {SignalId::insulation, &Ages::insulation, 300s},
        {SignalId::cells, &Ages::cell_array, 300s}, {SignalId::temperatures, &Ages::cell_array, 300s}}};
constexpr Duration link_voltage_floor = 500ms;
static_assert(
    [] {
        for (std::size_t i = 0; i < signal_count; ++i)
            if (index(age_rules[i].id) != i) return false;
        return true;
    }(),
    "one rule per signal, in their order");

constexpr SignalId signal(std::size_t i) { return static_cast<SignalId>(i); }

// Which directions need it, when it is needed at all.
Direction serves(SignalId id)
{
    switch (id) {
    case SignalId::cell_voltage_max:
    case SignalId::charge_limit: return Direction::charge;
    case SignalId::discharge_limit: return Direction::discharge;
    default: return Direction::both;
    }
}

// Losing it is ramped (SAFE-023). Not for the pack voltage: without it no current can be told (SAFE-076).
bool is_measurement(SignalId id)
{
    switch (id) {
    case SignalId::current:
    case SignalId::cell_voltage_max:
    case SignalId::cell_voltage_min:
    case SignalId::temperature_min:
    case SignalId::temperature_max:
    case SignalId::soc:
    case SignalId::insulation: return true;
    default: return false;
    }
}

template <class Q>
bool within(const Reading<Q>& r, Q low, Q high)
{
    return !r.last() || (*r.last() >= low && *r.last() <= high);
}

bool current_plausible(const BatteryState& b, const PlausibleRange& range)
{
    constexpr Current highest = 2000_A;  // no house battery; keeps what is computed with it far from overflow
    const auto i = b.current.last();
    if (!i) return true;
    if (*i > highest || *i < -highest) return false;
    return !range.power_max || !b.voltage.last() || magnitude(*b.voltage.last() * *i) <= *range.power_max;
}

bool is_there(Quality q) { return q == Quality::fresh || q == Quality::assumed; }

// Of a signal that comes in two readings: what was never there does not count, else the worse one does.
Quality worse(Quality a, Quality b)
{
    if (a == Quality::never) return b;
    if (b == Quality::never) return a;
    return a == Quality::fresh ? b : a;
}

}  // namespace

AgeLimits age_limits(const SafetyConfig& config, const BatteryProfile& profile)
{
    AgeLimits limits;
    for (const AgeRule& rule : age_rules) {
        const SignalProfile& p = profile[rule.id];
        const Duration floor = std::min(rule.floor != nullptr ? config.signal_age.*rule.floor : link_voltage_floor, rule.ceiling);
        Duration limit = std::clamp(3 * p.period, floor, rule.ceiling);  // a period that is not documented is zero
        if (p.max_age) limit = p.period > Duration{} ? std::min(limit, *p.max_age) : std::min(*p.max_age, rule.ceiling);
        limits[rule.id] = limit;
    }
    return limits;
}

std::optional<std::string> freshness_refusal(const BatteryProfile& profile)
{
    for (const AgeRule& rule : age_rules) {
        const SignalProfile& p = profile[rule.id];
        if (p.provided && p.period > rule.ceiling / 3)
            return "driver cannot meet freshness for " + std::string{to_string(rule.id)};
    }
    return std::nullopt;
}

PlausibleRange plausible_range(const PackFacts& facts, Power max_charge, Power max_discharge)
{
    PlausibleRange r;
    if (facts.voltage_min) r.voltage_min = std::max(r.voltage_min, share(75_pct, *facts.voltage_min));
    if (facts.voltage_max) r.voltage_max = std::min(r.voltage_max, share(125_pct, *facts.voltage_max));
    // Ceilings of 0 W forbid the current, they do not make it implausible.
    if (const Power highest = std::max(max_charge, max_discharge); highest > Power{}) r.power_max = share(200_pct, highest);
    return r;
}

bool SignalWatch::needed(SignalId id, const SafetyConfig& config) const
{
    switch (id) {
    case SignalId::flags: return profile_[id].provided;
    case SignalId::contactor: return profile_.states_contactor;
    case SignalId::charge_limit:
    case SignalId::discharge_limit: return profile_.states_limits;
    case SignalId::soc: return config.soc.required || config.soc.bands;
    case SignalId::insulation: return config.insulation.required;
    case SignalId::current:
    case SignalId::voltage:
    case SignalId::cell_voltage_max:
    case SignalId::cell_voltage_min:
    case SignalId::temperature_min:
    case SignalId::temperature_max: return true;
    default: return false;
    }
}

// A value out of range is no reading, and ten good ones are wanted after it (SAFE-025).
void SignalWatch::judge(Channel& c, Quality quality, std::uint32_t samples, bool in_range)
{
    c.quality = quality;
    if (samples != c.sample) {
        c.sample = samples;
        if (!in_range)
            c.good_needed = Reading<int>::good_to_recover;
        else if (c.good_needed > 0)
            --c.good_needed;
    }
    if (c.good_needed > 0 && c.quality == Quality::fresh) c.quality = Quality::bad;
}

template <class Q>
Quality SignalWatch::quality(const Reading<Q>& reading, Instant now) const
{
    const Quality q = reading.quality(now);
    return q == Quality::fresh && stale_until_ && reading.at() <= *stale_until_ ? Quality::stale : q;
}

void SignalWatch::judge_all(const BatteryState& b, const PlausibleRange& range, Instant now)
{
    constexpr Voltage cell_low = 500_mV, cell_high = 5000_mV;
    constexpr Temperature cold = Temperature::from_milli(-50'000), hot = 120_degC;
    constexpr Believed<Voltage>::Rule cell_jump{.most = 500_mV};
    constexpr Believed<Temperature>::Rule temperature_jump{.most = 10_K, .within = 2s};
    constexpr Believed<Percent>::Rule soc_jump{.most = 5_pct, .within = 10s};
    const auto one = [&](SignalId id, const auto& r, bool in_range) {
        judge(channel(id), quality(r, now), r.samples(), in_range);
    };
    one(SignalId::voltage, b.voltage, within(b.voltage, range.voltage_min, range.voltage_max));
    one(SignalId::current, b.current, current_plausible(b, range));
    const auto steady = [&](SignalId id, auto& believed, const auto& r, const auto& rule, bool in_range) {
        if (in_range) believed.look(r, rule);
        const Quality q = quality(r, now);
        const bool aged = q == Quality::fresh && believed.outlived(r.max_age(), now);
        judge(channel(id), aged ? Quality::stale : q, r.samples(), in_range);
    };
    steady(SignalId::cell_voltage_max, cell_max_, b.cell_voltage_max, cell_jump, within(b.cell_voltage_max, cell_low, cell_high));
    steady(SignalId::cell_voltage_min, cell_min_, b.cell_voltage_min, cell_jump, within(b.cell_voltage_min, cell_low, cell_high));
    steady(
        SignalId::temperature_max, temperature_max_, b.temperature_max, temperature_jump, within(b.temperature_max, cold, hot));
    steady(
        SignalId::temperature_min, temperature_min_, b.temperature_min, temperature_jump, within(b.temperature_min, cold, hot));
    steady(SignalId::soc, soc_, b.soc, soc_jump, within(b.soc, 0_pct, 100_pct));
    one(SignalId::contactor, b.contactor, true);
    one(SignalId::insulation, b.insulation, true);
    channel(SignalId::flags).quality = worse(quality(b.charge_allowed, now), quality(b.discharge_allowed, now));
    channel(SignalId::charge_limit).quality = worse(quality(b.charge_limit, now), quality(b.charge_limit_current, now));
    channel(SignalId::discharge_limit).quality = worse(quality(b.discharge_limit, now), quality(b.discharge_limit_current, now));
}

// Only of a signal that this battery never delivers, whatever the configuration says.
bool SignalWatch::assumes(SignalId id, const SafetyConfig& config) const
{
    if (profile_[id].provided) return false;
    switch (id) {
    case SignalId::cell_voltage_max: return config.assume.cell_voltage_max;
    case SignalId::cell_voltage_min: return config.assume.cell_voltage_min;
    case SignalId::temperature_max: return config.assume.temperature_max.has_value();
    case SignalId::temperature_min: return config.assume.temperature_min.has_value();
    case SignalId::soc: return config.assume.soc.has_value();
    default: return false;
    }
}

namespace {

bool is_cell_voltage(SignalId id) { return id == SignalId::cell_voltage_max || id == SignalId::cell_voltage_min; }

}  // namespace

void SignalWatch::assume_all(const PlausibleRange& range, const SafetyConfig& config)
{
    const bool derivable = channel(SignalId::voltage).quality == Quality::fresh && range.cells.value_or(0) > 0;
    for (std::size_t i = 0; i < signal_count; ++i) {
        const SignalId id = signal(i);
        if (!assumes(id, config)) continue;
        channel(id).quality = !is_cell_voltage(id) || derivable ? Quality::assumed : Quality::never;
    }
}

void SignalWatch::fill_assumed(const SafetyConfig& config, const PlausibleRange& range)
{
    const auto put = [&](SignalId id, auto& sample, const auto& value, std::uint32_t samples, Instant at) {
        if (channel(id).quality != Quality::assumed) return;
        sample = {.fresh = value, .usable = value, .samples = samples, .at = at};
    };
    // A constant is one sample for ever: it can be a limit's reason, but no fault's.
    put(SignalId::temperature_max, samples_.temperature_max, config.assume.temperature_max, 1, {});
    put(SignalId::temperature_min, samples_.temperature_min, config.assume.temperature_min, 1, {});
    put(SignalId::soc, samples_.soc, config.assume.soc, 1, {});
    const Sample<Voltage> pack = samples_.voltage;
    const std::int64_t count = std::max(range.cells.value_or(1), 1U);  // of none nothing is derived
    const auto each = pack.fresh ? std::optional{*pack.fresh / count} : std::nullopt;
    put(SignalId::cell_voltage_max, samples_.cell_max, each, pack.samples, pack.at);
    put(SignalId::cell_voltage_min, samples_.cell_min, each, pack.samples, pack.at);
}

// What is left of the configured maxima.
Percent SignalWatch::report_assumed(const SafetyConfig& config, FaultTable& faults) const
{
    Percent most = 100_pct;
    for (std::size_t i = 0; i < signal_count; ++i) {
        const SignalId id = signal(i);
        if (!assumes(id, config)) continue;
        ActiveFault f = condition(FaultId::assumed, FaultClass::warn, Direction::none, Device::battery);
        f.detail.assign(to_string(id));
        faults.report(f);
        if (id != SignalId::soc) most = most_assumed;
    }
    return most;
}

bool SignalWatch::fading(const Channel& c, const SafetyConfig& config, Instant now)
{
    return c.out && c.fades && now - c.out_since < config.stale_ramp;
}

void SignalWatch::follow(Channel& c, bool measurement, Duration max_age, Instant received, Instant now) const
{
    const bool fresh = is_there(c.quality);
    if (fresh) c.known = true;
    if (!fresh && (c.known || c.quality == Quality::bad)) {
        const bool stale = c.quality == Quality::stale;
        if (!c.out) {
            c.out = true;
            c.bad = false;
            c.fades = measurement && stale && !(stale_until_ && received <= *stale_until_);
            c.out_since = stale ? std::min(after(received, max_age), now) : now;
        }
        if (!stale) c.fades = false;
        if (c.quality == Quality::bad) c.bad = true;
        c.outage = now - c.out_since;
    }
    const Duration wanted = c.bad ? bad_hold : c.outage < short_outage ? recovery_short : recovery_long;
    if (c.out && c.fresh_again.for_at_least(fresh, wanted, now)) c.out = false;
}

void SignalWatch::follow_all(const BatteryState& b, Instant now)
{
    const auto one = [&](SignalId id, const auto& reading) {
        follow(channel(id), is_measurement(id) && !profile_[id].at_once, reading.max_age(), reading.at(), now);
    };
    one(SignalId::voltage, b.voltage);
    one(SignalId::current, b.current);
    one(SignalId::cell_voltage_max, b.cell_voltage_max);
    one(SignalId::cell_voltage_min, b.cell_voltage_min);
    one(SignalId::temperature_max, b.temperature_max);
    one(SignalId::temperature_min, b.temperature_min);
    one(SignalId::soc, b.soc);
    one(SignalId::contactor, b.contactor);
    one(SignalId::insulation, b.insulation);
    // Of two readings the one that comes; where both do, the loss of the second begins when it is seen.
    const auto either = [&](SignalId id, const auto& first, const auto& second) {
        first.last() ? one(id, first) : one(id, second);
    };
    either(SignalId::flags, b.charge_allowed, b.discharge_allowed);
    either(SignalId::charge_limit, b.charge_limit, b.charge_limit_current);
    either(SignalId::discharge_limit, b.discharge_limit, b.discharge_limit_current);
}

void SignalWatch::report(SignalId id, const SafetyConfig& config, FaultTable& faults, Instant now) const
{
    const Channel& c = channel(id);
    const bool missing = !c.known && c.quality == Quality::never && heard_since_ && now - *heard_since_ >= missing_after;
    if (!c.out && !missing) return;
    ActiveFault f =
        condition(c.out && c.bad ? FaultId::sig_bad : FaultId::sig_stale, FaultClass::block, serves(id), Device::battery);
    f.detail.assign(to_string(id));
    faults.report(f, {}, fading(c, config, now));
}

template <class Q>
Sample<Q> SignalWatch::sample(SignalId id, const Reading<Q>& reading, const SafetyConfig& config, Instant now) const
{
    const Channel& c = channel(id);
    Sample<Q> s{.samples = reading.samples(), .at = reading.at()};
    if (c.quality == Quality::fresh) s.fresh = reading.fresh(now);
    s.usable = fading(c, config, now) ? reading.last() : s.fresh;
    return s;
}

template <class Q>
Sample<Q> SignalWatch::sample(SignalId id, const Believed<Q>& believed, const SafetyConfig& config, Instant now) const
{
    const Channel& c = channel(id);
    Sample<Q> s{.samples = believed.samples(), .at = believed.at()};
    if (c.quality == Quality::fresh) {
        s.fresh = believed.value();
        s.suspect = believed.suspect();
    }
    s.usable = fading(c, config, now) ? believed.value() : s.fresh;
    return s;
}

void SignalWatch::fill_samples(const BatteryState& b, const SafetyConfig& config, Instant now)
{
    samples_.voltage = sample(SignalId::voltage, b.voltage, config, now);
    samples_.current = sample(SignalId::current, b.current, config, now);
    samples_.cell_max = sample(SignalId::cell_voltage_max, cell_max_, config, now);
    samples_.cell_min = sample(SignalId::cell_voltage_min, cell_min_, config, now);
    samples_.temperature_max = sample(SignalId::temperature_max, temperature_max_, config, now);
    samples_.temperature_min = sample(SignalId::temperature_min, temperature_min_, config, now);
    samples_.soc = sample(SignalId::soc, soc_, config, now);
    samples_.charge_limit = sample(SignalId::charge_limit, b.charge_limit, config, now);
    samples_.discharge_limit = sample(SignalId::discharge_limit, b.discharge_limit, config, now);
    samples_.charge_limit_current = sample(SignalId::charge_limit, b.charge_limit_current, config, now);
    samples_.discharge_limit_current = sample(SignalId::discharge_limit, b.discharge_limit_current, config, now);
}

SignalWatch::Result SignalWatch::update(
    const BatteryState& battery, const PlausibleRange& range, const SafetyConfig& config, FaultTable& faults, Instant now)
{
    if (!heard_since_ && battery.heard) heard_since_ = now;
    judge_all(battery, range, now);
    assume_all(range, config);
    follow_all(battery, now);
    fill_samples(battery, config, now);
    fill_assumed(config, range);

    Result r;
    r.most = report_assumed(config, faults);
    r.required_fresh = true;
    const auto earliest = [](std::optional<Instant>& since, Instant at) { since = since ? std::min(*since, at) : at; };
    for (std::size_t i = 0; i < signal_count; ++i) {
        const SignalId id = signal(i);
        if (!needed(id, config)) continue;
        const Channel& c = channel(id);
        report(id, config, faults, now);
        if (!is_there(c.quality)) r.required_fresh = false;
        if (fading(c, config, now)) {
            earliest(r.charge_fades, c.out_since);  // no measurement serves discharging alone
            if (covers(serves(id), Direction::discharge)) earliest(r.discharge_fades, c.out_since);
        } else if (c.out || !is_there(c.quality)) {
            r.gone = r.gone | serves(id);
        }
    }
    for (const SignalId id : {SignalId::voltage, SignalId::current})
        if (channel(id).known && channel(id).quality != Quality::fresh) earliest(r.power_lost, channel(id).out_since);
    return r;
}

}  // namespace batgw
