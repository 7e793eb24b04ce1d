#include "safety/fault_table.hpp"

#include <algorithm>
#include <limits>

namespace batgw {

bool Detector::update(const Observation& seen, const Persistence& rule, Instant now)
{
    if (active_) {
        // Unknown is not clear: the hold begins again.
        if (clearing_.for_at_least(seen.known && seen.clear, rule.hold, now)) reset();
        return active_;
    }
    active_ = persisted(seen, rule, now);
    return active_;
}

bool Detector::persisted(const Observation& seen, const Persistence& rule, Instant now)
{
    if (!seen.known) {
        frozen_ = true;
        return false;
    }
    if (!seen.set) {
        pending_ = false;
        return false;
    }
    if (!pending_) {
        pending_ = true;
        pending_for_ = Duration{};
        pending_samples_ = 1;
    } else {
        if (!frozen_) pending_for_ += now - looked_at_;  // time that nobody knows about does not count
        if (seen.samples != last_sample_) ++pending_samples_;
    }
    frozen_ = false;
    looked_at_ = now;
    last_sample_ = seen.samples;
    return pending_for_ >= rule.delay && pending_samples_ >= rule.samples;
}

namespace {

bool same(const ActiveFault& a, const ActiveFault& b)
{
    return a.id == b.id && a.repeated == b.repeated && a.device == b.device && a.device_number == b.device_number &&
        a.detail == b.detail;
}

// Whether anything that is read could show that the cause of this fault is gone. Those of the gateway itself, and who else sends
// on a bus, are known without.
bool shown_by_readings(const ActiveFault& f) { return f.device != Device::gateway && f.id != FaultId::id_conflict; }

bool covered(const Evidence& evidence, const ActiveFault& f)
{
    if (!shown_by_readings(f)) return true;
    return f.device == Device::battery ? evidence.battery : evidence.inverter;
}

}  // namespace

FaultTable::Entry* FaultTable::find(const ActiveFault& fault)
{
    Entry* found = std::find_if(entries_.begin(), entries_.end(), [&](const Entry& e) { return same(e.reported, fault); });
    return found == entries_.end() ? nullptr : found;
}

const FaultTable::Entry* FaultTable::find(const ActiveFault& fault) const
{
    const Entry* found = std::find_if(entries_.begin(), entries_.end(), [&](const Entry& e) { return same(e.reported, fault); });
    return found == entries_.end() ? nullptr : found;
}

// A place for a fault that has none yet; the last one is kept for TOO_MANY_FAULTS. A full table gives up its mildest entry for a
// worse one; if there is none milder, the fault acts but is not listed. Either way that is told.
FaultTable::Entry* FaultTable::make_room(const ActiveFault& fault)
{
    const auto about_loss = [](const Entry& e) { return e.reported.id == FaultId::too_many_faults; };
    const bool told = std::any_of(entries_.begin(), entries_.end(), about_loss);
    const bool last = entries_.size() + 1 == Faults::capacity() && !told && fault.id != FaultId::too_many_faults;
    if (!last && entries_.push_back({})) return &entries_.back();
    const auto level = [&](const Entry& e) {
        return about_loss(e) ? FaultClass::emergency : std::max(e.shown.level, e.reported.level);
    };
    Entry* mildest =
        std::min_element(entries_.begin(), entries_.end(), [&](const Entry& a, const Entry& b) { return level(a) < level(b); });
    if (level(*mildest) >= fault.level) {
        lost_ = std::max(lost_, fault.level);
        return nullptr;
    }
    lost_ = std::max(lost_, level(*mildest));
    if (mildest->shown.level != FaultClass::none) note(Change::What::cleared, mildest->shown, mildest->shown.level);
    *mildest = Entry{};
    return mildest;
}

// As bad as the worst of what is not listed: a latch that has no place of its own is kept by this one, over a restart, too.
void FaultTable::report_loss()
{
    const FaultClass lost = std::min(lost_, FaultClass::emergency);
    lost_ = FaultClass::none;
    if (lost == FaultClass::none) return;
    ActiveFault f;
    f.id = FaultId::too_many_faults;
    f.level = lost >= FaultClass::block ? lost : FaultClass::warn;
    f.direction = lost >= FaultClass::block ? Direction::both : Direction::none;
    report(f, loss_hold);
}

void FaultTable::report(const ActiveFault& reported, Duration hold, bool soft)
{
    begin();
    ActiveFault fault = reported;
    if (battery_ != 0 && fault.device == Device::battery) fault.device_number = battery_;
    Entry* e = find(fault);
    if (e == nullptr) e = make_room(fault);
    if (e == nullptr) {
        add(overflow_, fault, soft);
        return;
    }
    if (!e->seen || fault.level > e->reported.level) {
        e->reported = fault;
        e->reported_soft = soft;
        e->reported_hold = hold;
    } else if (fault.level == e->reported.level) {
        e->reported.direction = e->reported.direction | fault.direction;
        e->reported_soft = e->reported_soft && soft;
        e->reported_hold = std::max(e->reported_hold, hold);
    }
    e->seen = true;
}

void FaultTable::add(FaultEffect& effect, const ActiveFault& fault, bool soft)
{
    effect.worst = std::max(effect.worst, std::min(fault.level, FaultClass::emergency));
    if (fault.level >= FaultClass::trip)
        effect.blocked = Direction::both;
    else if (fault.level == FaultClass::block && !soft)
        effect.blocked = effect.blocked | fault.direction;
}

FaultEffect FaultTable::preview(Instant now) const
{
    FaultEffect effect = overflow_;
    for (const Entry& e : entries_) {
        if (e.seen) add(effect, e.reported, e.reported_soft);
        if (e.shown.latched || e.absent.elapsed(now) < e.hold) add(effect, e.shown, e.soft);
    }
    return effect;
}

// The first report after a round opens the next.
void FaultTable::begin()
{
    if (told_) changes_.clear();
    told_ = false;
}

void FaultTable::note(Change::What what, const ActiveFault& fault, FaultClass before)
{
    changes_.push_back({.what = what, .fault = fault, .before = before});
}

// What was reported becomes what is shown.
void FaultTable::adopt(Entry& e, Instant now)
{
    const ActiveFault before = e.shown;
    e.shown = e.reported;
    e.shown.since = before.level == FaultClass::none ? now : before.since;
    e.shown.latched = e.shown.level >= FaultClass::trip;
    e.shown.resettable = false;
    e.shown.count = before.count;
    e.soft = e.reported_soft;
    e.hold = e.reported_hold;
    e.absent.reset();
    if (before.level == FaultClass::none)
        note(Change::What::set, e.shown, before.level);
    else if (before.level != e.shown.level)
        note(Change::What::level, e.shown, before.level);
}

// The cause of "came too often" is the fault that came.
bool FaultTable::cause_seen(const Entry& e) const
{
    if (e.seen && e.reported.level >= FaultClass::block) return true;
    if (!e.shown.repeated) return false;
    return std::any_of(entries_.begin(), entries_.end(), [&](const Entry& other) {
        ActiveFault once = e.shown;
        once.repeated = false;
        return other.shown.level >= FaultClass::block && same(other.shown, once);
    });
}

void FaultTable::follow_latch(Entry& e, const Evidence& evidence, Instant now) const
{
    if (!e.shown.latched) return;
    const bool there = cause_seen(e);
    if (there) {
        if (!e.cause_there && e.shown.count < std::numeric_limits<std::uint16_t>::max()) ++e.shown.count;
        e.shown.last = now;
    }
    e.cause_there = there;
    e.shown.resettable = e.cause_gone.for_at_least(!there && covered(evidence, e.shown), reset_absent_, now);
}

// False: the fault is over.
bool FaultTable::settle(Entry& e, Instant now)
{
    if (e.shown.latched && (!e.seen || e.reported.level <= e.shown.level)) return true;
    if (e.seen && e.reported.level >= e.shown.level) {
        adopt(e, now);
        return true;
    }
    if (e.absent.update(true, now) < e.hold) return true;
    if (!e.seen) return false;
    adopt(e, now);
    return true;
}

void FaultTable::settle(Instant now, const Evidence& evidence)
{
    begin();
    report_loss();
    faults_.clear();
    effect_ = overflow_;
    overflow_ = FaultEffect{};
    for (std::size_t i = 0; i < entries_.size();) {
        Entry& e = entries_[i];
        if (settle(e, now)) {
            follow_latch(e, evidence, now);
            e.seen = false;
            faults_.push_back(e.shown);
            add(effect_, e.shown, e.soft);
            ++i;
            continue;
        }
        note(Change::What::cleared, e.shown, e.shown.level);
        entries_.erase_ordered(i);
    }
    find_first_cause();
    told_ = true;
}

void FaultTable::find_first_cause()
{
    const bool chain = effect_.worst >= FaultClass::block;
    if (chain && in_chain_) return;
    in_chain_ = chain;
    first_cause_.reset();
    const ActiveFault* first = nullptr;
    for (const ActiveFault& f : faults_) {
        if (f.level < (chain ? FaultClass::block : FaultClass::derate)) continue;
        if (first == nullptr || (chain ? f.level > first->level : f.since < first->since)) first = &f;
    }
    if (first != nullptr) first_cause_ = *first;
}

const ActiveFault* FaultTable::blocking(Direction direction) const
{
    const ActiveFault* found = nullptr;
    for (const Entry& e : entries_) {
        const ActiveFault& f = e.shown;
        const bool blocks =
            f.level >= FaultClass::trip || (f.level == FaultClass::block && !e.soft && covers(f.direction, direction));
        if (!blocks) continue;
        if (found == nullptr || f.level > found->level || (f.level == found->level && f.since < found->since)) found = &f;
    }
    return found;
}

void FaultTable::restore(const ActiveFault& fault)
{
    Entry* e = find(fault);
    if (e == nullptr) e = make_room(fault);
    if (e == nullptr) return;  // which is told with the next round
    e->shown = e->reported = fault;
    e->shown.latched = true;
}

bool FaultTable::reset(const ActiveFault& fault)
{
    Entry* const e = find(fault);
    if (e == nullptr || !e->shown.latched) return false;
    e->shown.latched = e->shown.resettable = false;
    e->hold = Duration{};
    return true;
}

bool FaultTable::latched(FaultId id, Device device) const
{
    return std::any_of(entries_.begin(), entries_.end(),
        [&](const Entry& e) { return e.shown.latched && e.shown.id == id && e.shown.device == device; });
}

bool FaultTable::any_latched() const
{
    return std::any_of(entries_.begin(), entries_.end(), [](const Entry& e) { return e.shown.latched; });
}

FaultTable::CauseNow FaultTable::cause_of(const ActiveFault& fault, Instant now) const
{
    const Entry* const e = find(fault);
    if (e == nullptr) return {};
    return {.there = e->cause_there, .known = e->cause_gone.running(), .gone = e->cause_gone.elapsed(now)};
}

}  // namespace batgw
