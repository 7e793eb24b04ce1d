#include "safety/links.hpp"

namespace batgw {

BatteryLink::Result BatteryLink::update(
    std::optional<Instant> heard, bool data_fresh, bool bus_dead, const SafetyConfig& config, Instant now)
{
    Result r;
    if (!heard) {
        r.missing = now - started_ >= config.link_lost;
        return r;
    }
    r.age = now > *heard ? now - *heard : Duration{};
    const bool silent = r.age >= config.link_lost || bus_dead;
    const Duration fresh_for = fresh_.update(data_fresh && !silent, now);
    if (silent)
        lost_ = true;
    else if (lost_ && fresh_.running() && fresh_for >= return_time)
        lost_ = false;
    r.lost = lost_;
    r.alive = !lost_;
    r.open = r.age >= config.link_lost_open;
    return r;
}

InverterLink::Result InverterLink::update(
    std::optional<Instant> heard, bool bus_dead, const SafetyConfig::InverterLink& config, Instant now)
{
    Result r;
    if (heard) r.age = now > *heard ? now - *heard : Duration{};
    const Duration silence = heard ? r.age : now - started_;
    const bool silent = silence >= config.lost || bus_dead;
    if (silent && !lost_) lost_at_ = now;
    lost_ = silent;
    r.lost = lost_;
    r.alive = heard && !lost_;
    r.blocks = !r.alive && !config.information_only;
    r.open = lost_ && now >= after(lost_at_, config.lost_open_after);
    r.returned = r.alive && !alive_;
    alive_ = r.alive;
    return r;
}

BlackStart::Result BlackStart::update(bool closed, bool inverter_alive, const SafetyConfig::InverterLink& config, Instant now)
{
    Result r;
    if (!closed || inverter_alive) {
        waiting_ = gave_up_now_ = false;
    } else if (!was_closed_ && config.black_start) {
        waiting_ = true;
        closed_at_ = now;
        tries_[next_] = now;
        next_ = (next_ + 1) % tries_per_day;
        if (tries_count_ < tries_per_day) ++tries_count_;
    }
    was_closed_ = closed;
    r.in_use = waiting_;
    if (waiting_ && !config.information_only && now - closed_at_ >= patience && !gave_up_now_) {
        gave_up_now_ = gave_up_ = true;
        gave_up_at_ = now;
    }
    r.open = waiting_ && gave_up_now_;
    const bool resting = gave_up_ && now - gave_up_at_ < pause;
    r.allowed = config.black_start && !resting && (closed || tries_today(now) < tries_per_day);
    return r;
}

std::size_t BlackStart::tries_today(Instant now) const
{
    std::size_t n = 0;
    for (std::size_t i = 0; i < tries_count_; ++i) n += now - tries_[i] < day ? 1U : 0U;
    return n;
}

}  // namespace batgw
