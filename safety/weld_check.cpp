#include "safety/weld_check.hpp"

namespace batgw {

void WeldCheck::begin(Instant now, bool connected, bool first)
{
    const bool link_seen = link_seen_;
    *this = WeldCheck{};
    link_seen_ = link_seen;
    off_at_ = now;
    connected_ = connected;
    first_ = first;
}

// The contact reads closed although it had its time to open.
bool WeldCheck::stuck_closed(const Rules& rules, const Contacts& contacts, Instant now)
{
    const Duration held = closed_.update(contacts.wired && contacts.fresh && contacts.any_closed, now);
    if (!closed_.running()) return false;
    // After an opening the time runs from the order; a contact that closes later, by itself, has its own.
    return finding_ == Finding::pending && !first_ ? now - off_at_ >= rules.feedback : held >= rules.feedback;
}

// SAFE-143, SAFE-156 (a).
WeldCheck::Finding WeldCheck::by_contacts(const Rules& rules, const Contacts& contacts, Instant now)
{
    const Duration open = open_.update(contacts.fresh && !contacts.any_closed, now);
    const Duration waited = now - off_at_;
    if (first_) {
        if (open >= open_before_first) return Finding::open;
        return contacts.fresh && waited >= first_limit ? Finding::suspected : Finding::pending;
    }
    return open_.running() && waited >= rules.feedback ? Finding::open : Finding::pending;
}

// SAFE-156 (b).
WeldCheck::Finding WeldCheck::by_decay(const Rules& rules, const BoxMeasurements& m, Instant now)
{
    const bool later = m.link && m.pack && m.link_at > off_at_;
    if (later && *m.link <= *m.pack - share(rules.weld.decay, *m.pack)) decayed_ = true;
    if (decayed_) return Finding::open;
    if (now - off_at_ < rules.weld.decay_time) return Finding::pending;
    return rules.inverter_feeds_link || !later ? Finding::undetermined : Finding::suspected;
}

WeldCheck::Finding WeldCheck::update(const Rules& rules, const Contacts& contacts, const BoxMeasurements& m, Instant now)
{
    link_seen_ = link_seen_ || m.link.has_value();
    if (m.current && m.current_at != current_seen_) {
        current_seen_ = m.current_at;
        ++current_samples_;
    }
    // (d): what flows once they are open flows through them.
    const bool later = m.current && m.current_at > off_at_;
    const bool flows = later && magnitude(*m.current) > rules.weld.current;
    const Observation seen{.known = later, .set = flows, .clear = later && !flows, .samples = current_samples_};
    const bool flowing = flowing_.update(seen, {.delay = current_for, .samples = samples_to_trip}, now);

    const bool stuck = stuck_closed(rules, contacts, now);
    const bool beside = m.link && m.pack && m.link_at > off_at_ && magnitude(*m.link - *m.pack) <= share(follows, *m.pack);
    const bool follows_it = following_.for_at_least(stuck && beside, follows_for, now);

    if (flowing || follows_it) return finding_ = Finding::confirmed;
    if (stuck) return finding_ = Finding::suspected;
    if (contacts.wired) {
        const Finding now_seen = by_contacts(rules, contacts, now);
        // Once proven open, only a contact that is stuck closed says otherwise.
        if (finding_ != Finding::open) finding_ = now_seen;
        return finding_;
    }
    if (first_ || !connected_ || !link_seen_) return finding_ = Finding::open;
    return finding_ = by_decay(rules, m, now);
}

bool FollowsPack::update(bool open, bool closed, const BoxMeasurements& m, Duration hold, Instant now)
{
    if (m.link && m.link_at != seen_) {
        seen_ = m.link_at;
        ++samples_;
    }
    const bool known = closed || (open && m.link && m.pack);
    const bool beside = open && m.link && m.pack && magnitude(*m.link - *m.pack) <= share(WeldCheck::follows, *m.pack);
    const Observation seen{.known = known, .set = beside, .clear = known && !beside, .samples = samples_};
    return detector_.update(seen, {.delay = for_so_long, .samples = samples_to_trip, .hold = hold}, now);
}

}  // namespace batgw
