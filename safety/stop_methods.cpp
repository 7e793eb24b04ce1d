#include "safety/stop_methods.hpp"

#include <algorithm>

namespace batgw {
namespace {

unsigned count(const SafetyConfig::InverterLink& c)
{
    return unsigned{c.request_bits} + unsigned{c.soc_override} + unsigned{c.silence} + unsigned{c.contactors};
}

}  // namespace

// What is in force stays so until there is a grant again: an inverter that stopped for it would begin again otherwise.
void StopMethods::follow(
    Side& s, bool zero, const std::optional<Current>& flows, std::uint32_t samples, unsigned methods, Duration hold, Instant now)
{
    const bool over = zero && flows && *flows > residual;
    const bool proven = s.goes_on.update(
        {flows.has_value() || !zero, over, !over, samples}, {.delay = step, .samples = samples_to_block, .hold = hold}, now);
    if (!zero) {
        s.steps = 0;
        s.since_step.reset();
        return;
    }
    if (!proven || !over) return s.since_step.reset();
    if (s.steps == 0 || s.since_step.for_at_least(true, step, now)) {
        s.steps = std::min(s.steps + 1, methods);
        s.since_step.reset();
        s.since_step.update(true, now);
    }
}

void StopMethods::engage(const Side& s, Direction direction, const SafetyConfig::InverterLink& config)
{
    unsigned left = s.steps;
    const auto next = [&left](bool configured) {
        if (!configured || left == 0) return false;
        --left;
        return true;
    };
    if (next(config.request_bits)) result_.ask_against = result_.ask_against | direction;
    if (next(config.soc_override)) result_.override_soc = result_.override_soc | direction;
    if (next(config.silence)) result_.nothing = true;
    if (next(config.contactors)) result_.part = result_.part | direction;
}

const StopMethods::Result& StopMethods::update(
    const Input& in, const SafetyConfig::InverterLink& config, Duration hold, Instant now)
{
    const auto i = in.current.fresh;
    const auto out = i ? std::optional{-*i} : std::nullopt;
    const bool was_silent = result_.silent;
    follow(charge_, in.told && in.charge_zero, i, in.current.samples, count(config), hold, now);
    follow(discharge_, in.told && in.discharge_zero, out, in.current.samples, count(config), hold, now);

    // It has stopped, and has stayed so: it is told zeros again, and when it begins anew, so do we.
    const bool at_rest = was_silent && i && magnitude(*i) <= residual;
    if (stopped_.for_at_least(at_rest, hold, now)) charge_ = discharge_ = Side{};

    result_ = Result{};
    engage(charge_, Direction::charge, config);
    engage(discharge_, Direction::discharge, config);
    const bool told_zeros = result_.nothing && (was_silent || (in.charge_zero && in.discharge_zero));
    result_.silent = zeros_.for_at_least(told_zeros, zeros_before_silence, now);
    return result_;
}

}  // namespace batgw
