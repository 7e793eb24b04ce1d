#include "sim/byd_atto3_contactors.hpp"

#include <algorithm>
#include <cmath>

namespace batgw::sim {

using byd_atto3::PowerMode;

namespace {

constexpr Duration shutdown_counts_for = 5s;
constexpr unsigned frames_to_believe = 2, frames_to_mind = 3;
constexpr double low_current_a = 2.5;

std::optional<PowerMode> mode_of(const CanFrame& f)
{
    for (std::size_t m = 0; m < byd_atto3::power_mode_bytes.size(); ++m)
        if (std::equal(byd_atto3::power_mode_bytes[m].begin(), byd_atto3::power_mode_bytes[m].end(), f.data.begin()))
            return static_cast<PowerMode>(m);
    return std::nullopt;
}

}  // namespace

void Atto3Contactors::on_frame(const CanFrame& f, Instant at)
{
    if (f.extended || f.len != 8) return;
    if (f.id != byd_atto3::power_mode.id && f.id != byd_atto3::link_report.id) return;
    if (!byd_atto3::checksum_right(f)) {
        ++counts_.bad_checksums;
        mode_frames_ = 0;
        return;
    }
    if (f.id == byd_atto3::power_mode.id)
        on_power_mode(f, at);
    else
        on_link_report(f, at);
}

void Atto3Contactors::on_power_mode(const CanFrame& f, Instant at)
{
    const std::int64_t counter = *byd_atto3::mode_count(f);
    const bool steps = !counter_ || counter == ((*counter_ + 1) & 0xF) || at - mode_at_ > frames_lost;
    counter_ = counter;
    if (!steps) {
        ++counts_.bad_counters;
        mode_frames_ = 0;
        return;
    }
    const auto mode = mode_of(f);
    if (!mode_ || mode != mode_ || at - mode_at_ > car_gone) {
        mode_since_ = at;
        mode_frames_ = 0;
        refused_ = acknowledge_counted_ = false;
    }
    mode_ = mode;
    mode_at_ = at;
    ++mode_frames_;
    if (mode_ == PowerMode::shutdown) shutdown_seen_ = at;
    if (mode_ == PowerMode::hold) {
        ready_to_drive_ = true;
        by_itself_ = false;
    }
}

void Atto3Contactors::on_link_report(const CanFrame& f, Instant at)
{
    link_v_ = static_cast<double>(byd_atto3::link_voltage(f)->milli()) / 1000.0;
    link_at_ = at;
    ++link_frames_;
}

Connection Atto3Contactors::connection() const
{
    return stage_ == Stage::closed ? Connection::closed : stage_ == Stage::precharging ? Connection::precharge : Connection::open;
}

std::uint8_t Atto3Contactors::bits() const
{
    if (stage_ == Stage::precharging) return 0x42;
    if (stage_ != Stage::closed) return 0x02;
    return ready_to_drive_ && mode_ != PowerMode::shutdown && mode_ != PowerMode::acknowledge ? 0x86 : 0x82;
}

std::uint8_t Atto3Contactors::progress() const
{
    switch (stage_) {
    case Stage::begun: return 0x40;
    case Stage::precharging: return 0x44;
    case Stage::closed: return 0x41;
    default: return 0x00;
    }
}

void Atto3Contactors::go(Stage stage, Instant now)
{
    stage_ = stage;
    since_ = now;
    link_match_frames_ = link_far_frames_ = 0;
    by_itself_ = false;
    if (stage != Stage::closed) ready_to_drive_ = false;
    if (stage == Stage::closed) ++counts_.closings;
}

void Atto3Contactors::open(double current_a)
{
    if (stage_ == Stage::closed) {
        ++counts_.openings;
        if (std::abs(current_a) > low_current_a) ++counts_.opened_under_load;
    }
    stage_ = Stage::open;
    ready_to_drive_ = false;
    refused_ = true;
}

void Atto3Contactors::close_by_itself()
{
    if (stage_ != Stage::closed) go(Stage::closed, since_);
    by_itself_ = true;
}

void Atto3Contactors::advance(Instant now, double pack_v, double current_a, bool may_close)
{
    if (mode_ && now - mode_at_ > car_gone) mode_frames_ = 0;
    if (stage_ == Stage::open)
        while_open(now, may_close);
    else if (stage_ == Stage::closed)
        while_closed(now, pack_v, current_a);
    else
        while_closing(now, pack_v, may_close);
    link_seen_ = link_frames_;
}

void Atto3Contactors::while_open(Instant now, bool may_close)
{
    const bool asked = mode_ == PowerMode::close && mode_frames_ >= frames_to_believe && !refused_;
    const bool link_reported = link_v_ && now - link_at_ <= link_gone;
    if (!asked || !link_reported || !may_close) return;
    if (*link_v_ > idle_link_v) {  // a charged link before precharge: not without my resistor
        ++counts_.refused_early_link;
        refused_ = true;
        return;
    }
    go(Stage::asked, mode_since_);
}

void Atto3Contactors::while_closing(Instant now, double pack_v, bool may_close)
{
    const bool asked = mode_ == PowerMode::close && mode_frames_ > 0;
    if (!asked || !may_close) return open(0);
    const Duration age = now - since_;
    if (stage_ != Stage::precharging) {
        if (*link_v_ > idle_link_v && stage_ == Stage::asked) {
            ++counts_.refused_early_link;
            return open(0);
        }
        if (age >= precharge_after)
            go(Stage::precharging, now);
        else if (age >= begin_after)
            stage_ = Stage::begun;
        return;
    }
    if (link_seen_ != link_frames_) link_match_frames_ = std::abs(*link_v_ - pack_v) <= link_match_v ? link_match_frames_ + 1 : 0;
    if (link_match_frames_ >= frames_to_mind && age >= precharge_min && trouble_ != Trouble::never) return go(Stage::closed, now);
    if (age < precharge_max) return;
    ++counts_.precharge_failures;
    open(0);
}

void Atto3Contactors::while_closed(Instant now, double pack_v, double current_a)
{
    if (trouble_ == Trouble::stuck) return;
    const bool heard = mode_frames_ > 0;
    if (heard && mode_ == PowerMode::acknowledge) {
        const bool announced = shutdown_seen_ && mode_since_ - *shutdown_seen_ <= shutdown_counts_for;
        if (!announced && !acknowledge_counted_) ++counts_.acknowledge_alone;
        acknowledge_counted_ = true;
        if (now - mode_since_ >= (announced ? open_after : open_alone_after)) return open(current_a);
    }
    if (by_itself_) return;
    // A parked car: no reason to stay closed, loaded or not.
    if (heard && mode_ == PowerMode::standby && mode_frames_ >= frames_to_mind) return open(current_a);
    if (link_v_ && link_seen_ != link_frames_)
        link_far_frames_ = std::abs(*link_v_ - pack_v) > link_far_v ? link_far_frames_ + 1 : 0;
    if (link_far_frames_ < frames_to_mind) return;
    ++counts_.link_far;
    open(current_a);
}

}  // namespace batgw::sim
