#include "safety/aggregate.hpp"

#include "safety/grant_writer.hpp"
#include "safety/invariants.hpp"
#include "safety/shown_soc.hpp"

#include <algorithm>
#include <iterator>
#include <optional>

namespace batgw {
namespace {

using Pack = ParallelPack;

std::size_t joined_count(std::span<const Pack> packs)
{
    return static_cast<std::size_t>(
        std::count_if(packs.begin(), packs.end(), [](const Pack& p) { return connection(*p.verdict) == Connection::joined; }));
}

bool all_apart(std::span<const Pack> packs)
{
    return std::all_of(packs.begin(), packs.end(), [](const Pack& p) { return connection(*p.verdict) == Connection::apart; });
}

// Those that the inverter has to do with: what is not proven open; when all are open, all.
bool counts(const Pack& pack, std::span<const Pack> packs)
{
    return connection(*pack.verdict) != Connection::apart || all_apart(packs);
}

template <class F>
bool any_counted(std::span<const Pack> packs, F&& is)
{
    return std::any_of(packs.begin(), packs.end(), [&](const Pack& p) { return counts(p, packs) && is(*p.verdict); });
}

template <class F>
bool all_counted(std::span<const Pack> packs, F&& is)
{
    return std::all_of(packs.begin(), packs.end(), [&](const Pack& p) { return !counts(p, packs) || is(*p.verdict); });
}

const Grant& grant_of(const Verdict& v, Direction d) { return d == Direction::charge ? v.charge : v.discharge; }

// Being closed onto the others, as ordered.
bool joining(const Verdict& v) { return v.contactors.order == ContactorOrder::close && !v.contactors.power_allowed; }

bool listed(const Faults& faults, const ActiveFault& f)
{
    return std::any_of(faults.begin(), faults.end(), [&](const ActiveFault& g) {
        return g.id == f.id && g.repeated == f.repeated && g.device == f.device && g.device_number == f.device_number &&
            g.detail == f.detail;
    });
}

// Latched ones first: when there is no room for all, they are not those that are left out.
template <class F>
void list_faults(Faults& into, std::span<const Pack> packs, F&& of)
{
    for (const bool latched : {true, false})
        for (const Pack& p : packs)
            for (const ActiveFault& f : p.verdict->faults)
                if (of(p) && f.latched == latched && !listed(into, f)) into.push_back(f);
}

template <class Q, class F>
std::optional<Q> best(std::optional<Q> a, std::optional<Q> b, F&& choose)
{
    return a && b ? std::optional{choose(*a, *b)} : std::nullopt;
}

// The same of all packs that count, chosen by `choose`; unknown as long as one is.
template <class Q, class F>
std::optional<Q> over_all(std::span<const Pack> packs, std::optional<Q> Verdict::*member, F&& choose)
{
    std::optional<Q> value;
    bool first = true;
    for (const Pack& p : packs) {
        if (!counts(p, packs)) continue;
        value = first ? p.verdict->*member : best(value, p.verdict->*member, choose);
        first = false;
    }
    return value;
}

// Facts of the whole battery do not change with the packs that take part (SAFE-116).
PackFacts facts(std::span<const Pack> packs)
{
    const auto low = [](auto a, auto b) { return std::min(a, b); };
    const auto high = [](auto a, auto b) { return std::max(a, b); };
    PackFacts all = packs[0].verdict->pack;
    for (const Pack& p : packs.subspan(1)) {
        const PackFacts& f = p.verdict->pack;
        if (all.cells != f.cells) all.cells.reset();
        all.energy_rated = best(all.energy_rated, f.energy_rated, [](Energy a, Energy b) { return a + b; });
        all.voltage_max = best(all.voltage_max, f.voltage_max, low);
        all.voltage_min = best(all.voltage_min, f.voltage_min, high);
        all.voltage_nominal = best(all.voltage_nominal, f.voltage_nominal, low);
    }
    return all;
}

}  // namespace

void Aggregate::update(const Input& in, Instant now)
{
    if (in.packs.empty()) return;
    const Instant before = verdict_.at;
    verdict_.at = now;
    ++verdict_.sequence;
    set_contactors(in);
    set_flags(in);
    set_voltages(in);
    set_grants(in, now);
    set_state(in);
    verdict_.soc_shown = shown_soc(in.config.soc, in.battery.soc.last(), verdict_);

    std::string_view broken;
    for (const Pack& p : in.packs)
        if (broken.empty()) broken = p.verdict->broken;
    if (broken.empty()) broken = broken_aggregate(verdict_, in.packs);
    if (broken.empty()) return;
    make_harmless(verdict_, broken);
    verdict_.at = std::max(before, now);  // it is to be sent
}

void Aggregate::set_grants(const Input& in, Instant now)
{
    verdict_.charge = grant_one(in, Direction::charge, charge_, now);
    verdict_.discharge = grant_one(in, Direction::discharge, discharge_, now);
}

// SAFE-282. What each pack may have is settled already; the slopes here are for what a pack's coming and going changes at once,
// and for the operator's limits.
Grant Aggregate::grant_one(const Input& in, Direction direction, GrantRamp& ramp, Instant now) const
{
    const bool charge = direction == Direction::charge;
    const Grant* smallest = nullptr;
    std::optional<Cause> blocked;
    Power ceilings{};
    std::int64_t n = 0;
    for (const Pack& p : in.packs) {
        const Grant& g = grant_of(*p.verdict, direction);
        const Connection c = connection(*p.verdict);
        if (p.verdict->worst >= FaultClass::emergency) blocked = Cause::fault;
        if (c == Connection::unclear && !blocked) blocked = Cause::contactor;
        if (c != Connection::joined) continue;
        ++n;
        ceilings = ceilings + (charge ? p.max_charge : p.max_discharge);
        if (smallest == nullptr || g.power() < smallest->power()) smallest = &g;
    }
    if (smallest == nullptr) smallest = &grant_of(*in.packs[0].verdict, direction);  // zero times that, and why it is nothing

    GrantRamp::Input step{.limit = {smallest->power() * n, smallest->by()},
        .blocked = blocked,
        .rise_per_second = share(in.config.ramp_up_per_second, ceilings)};
    const OperatorState& op = in.operator_;
    const bool is_default = charge ? op.charge_limit_default : op.discharge_limit_default;
    step.limit.lower(charge ? op.max_charge : op.max_discharge, is_default ? Cause::config : Cause::operator_);
    const auto measured = in.battery.voltage.fresh(now);
    if (const auto& most = charge ? op.max_charge_current : op.max_discharge_current) {
        const Voltage volts = measured.value_or(Voltage{});
        step.limit.lower(std::min(volts, verdict_.pack.voltage_nominal.value_or(volts)) * *most, Cause::operator_);
    }
    const Ceiling granted = ramp.update(step, now);

    const Power power = Power::from_milli(granted.power.down_in(1000) * 1000);
    Current current{};
    for (const Pack& p : in.packs) {
        if (connection(*p.verdict) != Connection::joined) continue;
        const Current own = grant_of(*p.verdict, direction).current() * n;
        current = current > Current{} ? std::min(current, own) : own;
    }
    const auto at_voltage = measured ? power / *measured : std::nullopt;
    return GrantWriter::write(power, std::min(current, at_voltage.value_or(Current{})), granted.by);
}

void Aggregate::set_contactors(const Input& in)
{
    ContactorVerdict& c = verdict_.contactors;
    c = ContactorVerdict{};
    const bool clear = !std::any_of(
        in.packs.begin(), in.packs.end(), [](const Pack& p) { return connection(*p.verdict) == Connection::unclear; });
    c.power_allowed = clear && joined_count(in.packs) > 0;
    c.proven_open = all_apart(in.packs);
    // One that moves tells more than one that is closed, and that more than one that is open.
    const Pack* shown = nullptr;
    for (const Pack& p : in.packs) {
        if (shown == nullptr || connection(*p.verdict) == Connection::unclear ||
            (connection(*p.verdict) == Connection::joined && connection(*shown->verdict) == Connection::apart))
            shown = &p;
        c.attempts += p.verdict->contactors.attempts;
        c.opened_under_load += p.verdict->contactors.opened_under_load;
    }
    c.state = shown->verdict->contactors.state;
}

// Held while both directions are blocked, as each pack's judge holds them.
void Aggregate::set_voltages(const Input& in)
{
    const auto low = [](Voltage a, Voltage b) { return std::min(a, b); };
    const auto high = [](Voltage a, Voltage b) { return std::max(a, b); };
    const auto upper = over_all(in.packs, &Verdict::voltage_max, low);
    const auto lower = over_all(in.packs, &Verdict::voltage_min, high);
    if (!upper || !lower || *lower >= *upper) return;
    verdict_.voltage_max = upper;
    verdict_.voltage_min = lower;
    verdict_.voltage_max_asked = all_counted(in.packs, [](const Verdict& v) { return v.voltage_max_asked; });
    verdict_.voltage_min_asked = all_counted(in.packs, [](const Verdict& v) { return v.voltage_min_asked; });
}

void Aggregate::set_flags(const Input& in)
{
    Verdict& w = verdict_;
    w.pack = facts(in.packs);
    w.battery_link = all_counted(in.packs, [](const Verdict& v) { return v.battery_link; });
    w.inverter_link = all_counted(in.packs, [](const Verdict& v) { return v.inverter_link; });
    w.battery_valid = w.pack.energy_rated && all_counted(in.packs, [](const Verdict& v) { return v.battery_valid; });
    w.ready = joined_count(in.packs) > 0 && w.battery_valid &&
        all_counted(in.packs, [](const Verdict& v) { return v.ready || joining(v); });
    w.high_cause = any_counted(in.packs, [](const Verdict& v) { return v.high_cause; });
    w.may_fall_silent = w.fall_silent = w.mute_inverter = w.slow_inverter = false;
    w.ask_against = w.override_soc = Direction::none;
    bool stopped = true, may_be_silent = true;
    for (const Pack& p : in.packs) {
        stopped = stopped && p.verdict->stopped;
        may_be_silent = may_be_silent && p.verdict->may_fall_silent;
        w.fall_silent = w.fall_silent || p.verdict->fall_silent;
        w.mute_inverter = w.mute_inverter || p.verdict->mute_inverter;
        w.slow_inverter = w.slow_inverter || p.verdict->slow_inverter;
        w.ask_against = w.ask_against | p.verdict->ask_against;
        w.override_soc = w.override_soc | p.verdict->override_soc;
    }
    w.stopped = stopped;
    w.may_fall_silent = may_be_silent;

    w.worst = FaultClass::none;
    w.first_cause.reset();
    w.faults.clear();
    list_faults(w.faults, in.packs, [&](const Pack& p) { return counts(p, in.packs); });
    for (const Pack& p : in.packs) {
        if (!counts(p, in.packs) && p.verdict->worst < FaultClass::emergency) continue;
        w.worst = std::max(w.worst, p.verdict->worst);
        const auto& cause = p.verdict->first_cause;
        if (cause &&
            (!w.first_cause || cause->level > w.first_cause->level ||
                (cause->level == w.first_cause->level && cause->since < w.first_cause->since)))
            w.first_cause = cause;
    }
}

void Aggregate::add_faults_apart(std::span<const ParallelPack> packs, Verdict& house)
{
    list_faults(house.faults, packs, [&](const Pack& p) { return !counts(p, packs); });
    for (const Pack& p : packs) {
        house.worst = std::max(house.worst, p.verdict->worst);
        if (!house.first_cause) house.first_cause = p.verdict->first_cause;
    }
}

// Of packs that are joined the worst state counts, of open ones the best: that is the one that will close.
void Aggregate::set_state(const Input& in)
{
    const bool closed = joined_count(in.packs) > 0;
    const Pack* shown = nullptr;
    bool charge_blocked = false, discharge_blocked = false, emergency = false;
    for (const Pack& p : in.packs) {
        const GatewayState s = p.verdict->state;
        emergency = emergency || p.verdict->worst >= FaultClass::emergency;
        if (!counts(p, in.packs)) continue;
        charge_blocked = charge_blocked || s == GatewayState::block_charge;
        discharge_blocked = discharge_blocked || s == GatewayState::block_discharge;
        if (shown == nullptr || (closed ? s > shown->verdict->state : s < shown->verdict->state)) shown = &p;
    }
    Verdict& w = verdict_;
    w.state = shown->verdict->state;
    w.waiting = shown->verdict->waiting;
    if (charge_blocked && discharge_blocked) w.state = std::max(w.state, GatewayState::block);
    // What one of them waits for is no reason why the others give nothing, as long as it is only on its way.
    if (closed && !w.contactors.power_allowed && w.state < GatewayState::block) w.state = GatewayState::block;
    if (emergency) w.state = std::max(w.state, GatewayState::emergency);
}

// Looked at by other means than those that made it.
std::string_view broken_aggregate(const Verdict& whole, std::span<const ParallelPack> packs)
{
    for (const Direction d : {Direction::charge, Direction::discharge}) {
        const Grant& g = grant_of(whole, d);
        if (g.is_zero()) continue;
        const auto n = static_cast<std::int64_t>(joined_count(packs));
        if (n == 0) return "a grant of no pack";
        for (const Pack& p : packs) {
            if (p.verdict->worst >= FaultClass::emergency) return "a grant beside an emergency";
            if (p.verdict->contactors.power_allowed) {
                if (g.power() > grant_of(*p.verdict, d).power() * n) return "a grant beyond a pack's share";
            } else if (!p.verdict->contactors.proven_open) {
                return "a grant beside a pack that may be closed";
            }
        }
    }
    return {};
}

}  // namespace batgw
