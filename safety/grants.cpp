#include "safety/grants.hpp"

namespace batgw {
namespace {

// Rounded down: a slope is a limit too.
Power grown(Power per_second, Duration time)
{
    return Power::from_milli(detail::mul_div(per_second.milli(), time.count(), 1'000'000));
}

}  // namespace

GrantRamp::Result GrantRamp::update(const Input& in, Instant now)
{
    Result out{in.blocked ? Power{} : in.allowed.power, in.blocked.value_or(in.allowed.by)};
    const bool settled = settled_.for_at_least(in.limits.power > granted_, in.settle, now);

    if (out.power > granted_) {
        if (!settled) {
            rise_from_ = granted_;
            rise_at_ = now;
        }
        const Power reached = rise_from_ + grown(in.rise_per_second, now - rise_at_);
        if (reached < out.power) out = {reached, Cause::ramp};
    }

    if (in.fades) {
        if (!fade_from_) fade_from_ = granted_;
        const Duration gone = now - *in.fades;
        const Duration left = gone < in.fade_time ? in.fade_time - gone : Duration{};
        const Power ceiling = in.fade_time > Duration{}
            ? Power::from_milli(detail::mul_div(fade_from_->milli(), left.count(), in.fade_time.count()))
            : Power{};
        if (ceiling < out.power) out = {ceiling, Cause::stale};
    } else {
        fade_from_.reset();
    }
    // The slope starts anew wherever something other than the slope decided.
    if (out.by != Cause::ramp) {
        rise_from_ = out.power;
        rise_at_ = now;
    }
    granted_ = out.power;
    return out;
}

}  // namespace batgw
