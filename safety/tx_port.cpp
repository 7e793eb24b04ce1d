#include "safety/tx_port.hpp"

#include <algorithm>
#include <type_traits>

namespace batgw {

template <class Frame>
void BasicTxPort<Frame>::Refusals::add(Instant at)
{
    times_[next_] = at;
    next_ = (next_ + 1) % refusals_to_block;
    count_ = std::min(count_ + 1, refusals_to_block);
}

template <class Frame>
bool BasicTxPort<Frame>::Refusals::too_many(Instant now) const
{
    return count_ == refusals_to_block && now - *std::min_element(times_.begin(), times_.end()) <= refusal_window;
}

template <class Frame>
BasicTxPort<Frame>::BasicTxPort(std::span<const TxRule> rules)
{
    std::size_t n = 0;
    for (const TxRule& rule : rules) n += rule.paged ? pages_max : 1;
    slots_.reserve(n);
    for (std::size_t i = 0; i < rules.size(); ++i)
        for (std::size_t page = 0; page < (rules[i].paged ? pages_max : 1); ++page) {
            Slot slot;
            slot.rule = rules[i];
            slot.refusals = i;
            slots_.push_back(slot);
        }
    refusals_.resize(rules.size() + 1);
}

template <class Frame>
void BasicTxPort<Frame>::queue(const Outbox& outbox, Instant now, const Stamp& stamp)
{
    if (muted_) return;
    if constexpr (std::is_same_v<Frame, CanFrame>)
        for (const CanFrame& frame : outbox.frames()) put(frame, now, stamp);
    else
        for (const Telegram& telegram : outbox.telegrams()) put(telegram, now, stamp);
    dropped_ += outbox.lost();
}

// The slot of a frame. Null: not to be sent, and `refusals` says on whose account.
template <class Frame>
typename BasicTxPort<Frame>::Slot* BasicTxPort<Frame>::find(const Frame& frame, std::size_t& refusals)
{
    refusals = refusals_.size() - 1;
    for (Slot& slot : slots_) {
        if (slot.rule.id != frame.id || slot.rule.extended != frame.extended) continue;
        refusals = slot.refusals;
        if (slot.rule.len != frame.len) return nullptr;
        if (!slot.rule.paged) return &slot;
        const std::uint8_t page = frame.data[0];
        if (!slot.page) slot.page = page;
        if (*slot.page == page) return &slot;
    }
    return nullptr;
}

template <class Frame>
void BasicTxPort<Frame>::put(const Frame& frame, Instant now, const Stamp& stamp)
{
    std::size_t refusals = 0;
    Slot* const slot = find(frame, refusals);
    if (slot == nullptr || too_soon(*slot, now, stamp)) return refuse(refusals, now);
    // A message that its driver gave up long ago begins anew.
    if (!slot->pending && slot->waiting_since && now - slot->queued_at > 3 * period(*slot)) stop_waiting(*slot);
    if (!slow_ && slot->pending && now - slot->queued_at >= period(*slot))
        ++dropped_;  // replaced a whole beat later: that beat is lost
    if (!slot->pending) slot->order = ++order_;
    if (!slot->waiting_since) {
        slot->waiting_since = now;
        ++waiting_;
    }
    slot->pending = true;
    slot->frame = frame;
    slot->stamp = stamp;
    slot->queued_at = now;
}

template <class Frame>
void BasicTxPort<Frame>::refuse(std::size_t refusals, Instant now)
{
    ++refused_;
    refusals_[refusals].add(now);
}

// Spacing is that of what the driver hands over: a frame that had to wait for the bus does not make the next one early.
template <class Frame>
bool BasicTxPort<Frame>::too_soon(const Slot& slot, Instant now, const Stamp& stamp) const
{
    if (!slot.ever_sent || now - slot.sent_queued_at >= slot.rule.min_spacing) return false;
    return !(slot.rule.carries_verdict && (stamp.charge < slot.sent_stamp.charge || stamp.discharge < slot.sent_stamp.discharge));
}

template <class Frame>
bool BasicTxPort<Frame>::lower(const Slot& slot)
{
    return slot.rule.carries_verdict &&
        (slot.stamp.charge < slot.sent_stamp.charge || slot.stamp.discharge < slot.sent_stamp.discharge);
}

// A lower limit may come out of cycle, but not sooner than this after the last frame of its id.
template <class Frame>
Instant BasicTxPort<Frame>::earliest(const Slot& slot) const
{
    if (!slot.ever_sent) return Instant::min();
    if (slow_ && !lower(slot)) return slot.sent_at + slow_spacing;
    if (slot.queued_at - slot.sent_queued_at >= slot.rule.min_spacing) return Instant::min();
    return slot.sent_at + std::min(slot.rule.min_spacing, decrease_spacing);
}

// Takes a pending frame out that may not be sent any more. One that was sound when it came and grew old because the bus took
// nothing is dropped, not refused: the guard's count is for frames that were wrong when they were to be sent.
template <class Frame>
void BasicTxPort<Frame>::check(Slot& slot, Instant now, const Stamp& newest)
{
    const bool by_verdict = slot.rule.carries_verdict;
    const bool unfounded = by_verdict && (slot.stamp.sequence == 0 || now - slot.stamp.verdict_at > verdict_age_max);
    const bool superseded = by_verdict && (newest.charge < slot.stamp.charge || newest.discharge < slot.stamp.discharge);
    const bool late = now - slot.queued_at > period(slot);
    if (!late && !unfounded && !superseded) return;
    slot.pending = false;
    if (superseded) ++overtaken_;
    if (late || failing_since_ || slow_) {
        dropped_ += slow_ ? 0U : 1U;
        return;
    }
    refuse(slot.refusals, now);
    stop_waiting(slot);
}

template <class Frame>
void BasicTxPort<Frame>::stop_waiting(Slot& slot)
{
    if (slot.waiting_since) --waiting_;
    slot.waiting_since.reset();
    slot.missed_counted = false;
}

template <class Frame>
std::optional<Frame> BasicTxPort<Frame>::next(Instant now, const Stamp& newest)
{
    has_in_hand_ = false;
    if (waiting_ == 0) return std::nullopt;
    for (Slot& slot : slots_) {
        if (slot.pending) check(slot, now, newest);
        if (!slow_ && !slot.missed_counted && behind(slot, 2, now)) {
            slot.missed_counted = true;
            ++missed_;
        }
    }
    if (now < retry_at_) return std::nullopt;
    for (std::size_t i = 0; i < slots_.size(); ++i) {
        const Slot& slot = slots_[i];
        if (!slot.pending || now < earliest(slot)) continue;
        if (has_in_hand_ && slots_[in_hand_].order < slot.order) continue;
        in_hand_ = i;
        has_in_hand_ = true;
    }
    return has_in_hand_ ? std::optional{slots_[in_hand_].frame} : std::nullopt;
}

template <class Frame>
void BasicTxPort<Frame>::sent(Instant now)
{
    if (!has_in_hand_) return;
    has_in_hand_ = false;
    Slot& slot = slots_[in_hand_];
    slot.pending = false;
    slot.ever_sent = ever_sent_ = true;
    slot.sent_at = last_success_ = now;
    slot.sent_queued_at = slot.queued_at;
    slot.sent_stamp = slot.stamp;
    stop_waiting(slot);
    failing_since_.reset();
}

template <class Frame>
void BasicTxPort<Frame>::blocked(Instant now)
{
    has_in_hand_ = false;
    retry_at_ = now + (slow_ ? slow_spacing : retry_after);
    if (!failing_since_) failing_since_ = now;
    last_failure_ = now;
}

template <class Frame>
void BasicTxPort<Frame>::discard()
{
    has_in_hand_ = false;
    for (Slot& slot : slots_) {
        dropped_ += slot.pending ? 1U : 0U;
        slot.pending = false;
        stop_waiting(slot);
    }
    retry_at_ = Instant::min();
}

template <class Frame>
void BasicTxPort<Frame>::mute(bool on)
{
    if (on && !muted_)
        for (Slot& slot : slots_) {
            slot.pending = false;
            stop_waiting(slot);
        }
    muted_ = on;
}

template <class Frame>
void BasicTxPort<Frame>::slow(bool on, Instant now)
{
    if (slow_ && !on) {
        retry_at_ = Instant::min();
        for (Slot& slot : slots_) {
            if (!slot.pending) stop_waiting(slot);
            if (slot.waiting_since) slot.waiting_since = now;
        }
    }
    slow_ = on;
}

template <class Frame>
Instant BasicTxPort<Frame>::wake() const
{
    Instant when = end_of_time;
    if (waiting_ == 0) return when;
    for (const Slot& slot : slots_)
        if (slot.pending) when = std::min(when, std::max(retry_at_, earliest(slot)));
    return when;
}

template <class Frame>
bool BasicTxPort<Frame>::pending() const
{
    return std::any_of(slots_.begin(), slots_.end(), [](const Slot& slot) { return slot.pending; });
}

template <class Frame>
bool BasicTxPort<Frame>::refusing(Instant now) const
{
    return std::any_of(refusals_.begin(), refusals_.end(), [now](const Refusals& r) { return r.too_many(now); });
}

template <class Frame>
bool BasicTxPort<Frame>::starved(Instant now) const
{
    return !slow_ && waiting_ > 0 &&
        std::any_of(slots_.begin(), slots_.end(), [now](const Slot& slot) { return behind(slot, 3, now); });
}

// A message that has not got out for so many of its periods, and that its driver still asks for.
template <class Frame>
bool BasicTxPort<Frame>::behind(const Slot& slot, int periods, Instant now)
{
    return slot.waiting_since && now - *slot.waiting_since >= periods * period(slot) &&
        now - slot.queued_at <= 2 * period(slot) && slot.queued_at > *slot.waiting_since;
}

// Nothing tried for as long is not a failure: a driver that fell silent for a lost link must be able to start anew.
template <class Frame>
bool BasicTxPort<Frame>::dead(Instant now) const
{
    return failing_since_ && now - *failing_since_ >= dead_after && now - last_failure_ < dead_after;
}

template <class Frame>
void BasicTxPort<Frame>::fill(TrafficCounters& counters) const
{
    counters.refused = refused_;
    counters.dropped = dropped_;
    counters.missed = missed_;
}

template class BasicTxPort<CanFrame>;
template class BasicTxPort<Telegram>;

}  // namespace batgw
