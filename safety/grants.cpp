#include "safety/grants.hpp"

namespace batgw {
namespace {

// Rounded down: a slope is a limit too.
Power grown(Power per_second, Duration time)
{
    return Power::from_milli(detail::mul_div(per_second.milli(), time.count(), 1'000'000));
}

}  // namespace

// Each look for itself, although some imply others: what follows from what today may not tomorrow.
std::optional<Cause> nothing_because(const Offer& o)
{
    if (o.stopping) return Cause::operator_;
    if (!o.battery_alive) return Cause::link;
    if (!o.signals_there || !o.battery_ready) return Cause::stale;
    if (o.fault) return o.fault;
    if (o.blocked) return Cause::fault;
    if (!o.identity_known) return Cause::battery;
    if (!o.contactors_carry) return Cause::contactor;
    if (o.link_blocks) return Cause::link;
    if (!o.started) return Cause::contactor;
    if (o.ignored || !o.listening) return Cause::inverter;
    return std::nullopt;
}

Ceiling GrantRamp::update(const Input& in, Instant now)
{
    Ceiling out = in.blocked ? Ceiling{Power{}, *in.blocked} : in.limit;
    const bool worth_it = granted_ > Power{} || in.limit.power >= in.least;
    const bool settled = settled_.for_at_least(in.limit.power > granted_ && worth_it, in.settle, now);
    if (!rise_at_) rise_at_ = now;  // whoever is asked for the first time has stood at nothing until now
    const Power reached = settled ? rise_from_ + grown(in.rise_per_second, now - *rise_at_) : granted_;
    bool rising = settled && reached < out.power;
    out.lower(reached, Cause::ramp);
    if (in.fades) {
        if (!fade_from_) fade_from_ = granted_;
        const Duration gone = now - *in.fades;
        const bool over = gone >= in.fade_time;
        const Power left = over
            ? Power{}
            : Power::from_milli(detail::mul_div(fade_from_->milli(), (in.fade_time - gone).count(), in.fade_time.count()));
        if (left < out.power) rising = false;
        out.lower(left, Cause::stale);
    } else {
        fade_from_.reset();
    }
    granted_ = out.power;
    // The slope starts anew wherever something other than the slope decided.
    if (!rising) {
        rise_from_ = granted_;
        rise_at_ = now;
    }
    return out;
}

}  // namespace batgw
