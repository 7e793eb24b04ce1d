#include "safety/bus_health.hpp"

#include <algorithm>

namespace batgw {

namespace {

// A counter that began again tells of nothing new.
std::uint64_t increase(std::uint64_t& seen, std::uint64_t total)
{
    const std::uint64_t more = total - std::min(seen, total);
    seen = total;
    return more;
}

}  // namespace

BusHealth::Result BusHealth::update(
    const BusStatus& status, const TrafficCounters& traffic, const TxHealth& tx, bool opened, Instant now)
{
    count_drops(status.counters.queue_drops, now);
    count_bus_off(status.counters.bus_off, now);
    watch_foreign(traffic.own_ids, tx.ever_sent, opened, now);

    Result r;
    r.up = can_send(status.state);
    r.dead = tx.dead;
    add_drops(status, r);
    add_bus_state(status, r, now);
    add_foreign(status, tx.ever_sent, r, now);
    acknowledger_.update(status, now);
    r.alone = acknowledger_.missing();
    if (r.alone) r.faults.push_back(about(FaultId::no_ack, FaultClass::info, Direction::none, status));
    // Frames that wait because nobody takes them do not wait for us.
    if (tx.starved && !acknowledger_.doubtful())
        r.faults.push_back(about(FaultId::tx_starved, FaultClass::warn, Direction::none, status));
    if (tx.refusing) r.faults.push_back(about(FaultId::tx_guard_refused, FaultClass::block, Direction::both, status));
    return r;
}

ActiveFault BusHealth::about(FaultId id, FaultClass level, Direction direction, const BusStatus& status) const
{
    ActiveFault f = condition(id, level, direction, device_);
    f.detail.assign(status.name.view());
    return f;
}

// A ring of sixty seconds; what is older than a minute falls out.
void BusHealth::count_drops(std::uint64_t total, Instant now)
{
    const std::int64_t second = now.time_since_epoch() / 1s;
    const std::int64_t passed = std::min<std::int64_t>(second - second_, static_cast<std::int64_t>(drops_.size()));
    for (std::int64_t i = 1; i <= passed; ++i) {
        auto& oldest = drops_[static_cast<std::size_t>((second - passed + i) % static_cast<std::int64_t>(drops_.size()))];
        drops_sum_ -= oldest;
        oldest = 0;
    }
    second_ = second;
    const std::uint64_t more = increase(drops_seen_, total);
    drops_[static_cast<std::size_t>(second % static_cast<std::int64_t>(drops_.size()))] += more;
    drops_sum_ += more;

    if (drops_sum_ > drops_block)
        drops_level_ = FaultClass::block;
    else if (drops_sum_ == 0)
        drops_level_ = FaultClass::none;
    else if (drops_sum_ > drops_warn && drops_level_ == FaultClass::none)
        drops_level_ = FaultClass::warn;
}

void BusHealth::add_drops(const BusStatus& status, Result& result) const
{
    if (drops_level_ == FaultClass::none) return;
    const bool block = drops_level_ == FaultClass::block;
    ActiveFault f = about(FaultId::rx_drops, drops_level_, block ? Direction::both : Direction::none, status);
    f.has_value = true;
    f.unit = Unit::count;
    f.value_milli = static_cast<std::int64_t>(drops_sum_) * 1000;
    f.limit_milli = static_cast<std::int64_t>(block ? drops_block : drops_warn) * 1000;
    result.faults.push_back(f);
}

void BusHealth::count_bus_off(std::uint64_t total, Instant now)
{
    for (std::uint64_t more = std::min<std::uint64_t>(increase(bus_off_seen_, total), bus_offs_.size()); more > 0; --more) {
        bus_offs_[bus_off_next_] = now;
        bus_off_next_ = (bus_off_next_ + 1) % bus_offs_.size();
        bus_off_count_ = std::min(bus_off_count_ + 1, bus_offs_.size());
    }
}

void BusHealth::add_bus_state(const BusStatus& status, Result& result, Instant now) const
{
    std::int64_t recent = 0;
    for (std::size_t i = 0; i < bus_off_count_; ++i) recent += now - bus_offs_[i] < bus_off_window ? 1 : 0;
    if (status.state == BusState::bus_off || recent > bus_off_many) {
        ActiveFault f = about(FaultId::bus_off, FaultClass::warn, Direction::none, status);
        f.has_value = true;
        f.unit = Unit::count;
        f.value_milli = recent * 1000;
        f.limit_milli = bus_off_many * 1000;
        result.faults.push_back(f);
    }
    if (status.tried && (status.state == BusState::missing || status.state == BusState::stopped))
        result.faults.push_back(about(FaultId::bus_down, FaultClass::warn, Direction::none, status));
}

void BusHealth::watch_foreign(std::uint64_t total, bool ever_sent, bool opened, Instant now)
{
    const std::uint64_t more = increase(foreign_seen_, total);
    if (more == 0 && now - foreign_at_ >= foreign_clear) {
        foreign_count_ = 0;
        conflict_running_ = opened_for_conflict_ = false;
    }
    if (more > 0) {
        foreign_count_ = std::min(foreign_count_ + std::min(more, foreign_frames), foreign_frames);
        foreign_at_ = now;
    }
    if (foreign_count_ >= foreign_frames && !conflict_running_ && !conflict_at_start_) {
        conflict_running_ = ever_sent;
        conflict_at_start_ = !ever_sent;
    }
    if (conflict_running_ && opened) opened_for_conflict_ = true;
}

void BusHealth::forget_conflict()
{
    if (!conflict_at_start_) return;
    conflict_at_start_ = false;
    foreign_count_ = 0;
}

void BusHealth::add_foreign(const BusStatus& status, bool ever_sent, Result& result, Instant now) const
{
    const bool battery = device_ == Device::battery;
    result.foreign = foreign_count_ > 0;
    const bool undecided = !ever_sent && foreign_count_ > 0 && now - foreign_at_ < first_foreign_mute;
    result.open = conflict_running_ && battery;
    result.mute = conflict_at_start_ || undecided || (battery && opened_for_conflict_);
    if (conflict_at_start_)
        result.faults.push_back(about(FaultId::id_conflict, FaultClass::trip, Direction::both, status));
    else if (conflict_running_)
        result.faults.push_back(about(FaultId::id_conflict, FaultClass::block, Direction::both, status));
}

}  // namespace batgw
