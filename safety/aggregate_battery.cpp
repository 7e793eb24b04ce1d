// The battery that an inverter is shown in place of several packs.
#include "safety/aggregate.hpp"

#include <algorithm>
#include <functional>
#include <optional>

namespace batgw {
namespace {

using Packs = FixedVector<const ParallelPack*, packs_max>;

// `combine(sum so far, one more)`. Unknown as long as one part is. There is one pack at least.
template <class T, class F>
void fold(Reading<T>& into, Reading<T> BatteryState::*member, const Packs& packs, Instant now, F&& combine)
{
    T value{};
    Instant oldest = now;
    for (const ParallelPack* p : packs) {
        const Reading<T>& part = p->state->*member;
        const auto one = part.last();
        if (!one || part.quality(now) == Quality::bad) return into.forget();
        value = p == packs[0] ? *one : combine(value, *one);
        oldest = std::min(oldest, part.at());
    }
    into.set(value, oldest);
}

// Milli-units of a mean, towards zero.
template <class T>
void mean(Reading<T>& into, Reading<T> BatteryState::*member, const Packs& packs, Instant now)
{
    std::int64_t sum = 0;
    for (const ParallelPack* p : packs) sum += (p->state->*member).last().value_or(T{}).milli();
    fold(into, member, packs, now, [&](T, T) { return T{}; });
    if (into.last()) into.set(T::from_milli(sum / static_cast<std::int64_t>(packs.size())), into.at());
}

// The extreme of all packs, and the number of the cell it is of, in its own pack.
void extreme_cell(BatteryState& into, const Packs& packs, bool highest, Instant now)
{
    const auto member = highest ? &BatteryState::cell_voltage_max : &BatteryState::cell_voltage_min;
    const auto number = highest ? &BatteryState::cell_max_number : &BatteryState::cell_min_number;
    fold(into.*member, member, packs, now, [&](Voltage a, Voltage b) { return highest ? std::max(a, b) : std::min(a, b); });
    for (const ParallelPack* p : packs)
        if ((p->state->*member).last() == (into.*member).last()) into.*number = p->state->*number;
}

std::optional<Energy> capacity(const ParallelPack& p) { return p.verdict->pack.energy_rated; }

// Where one capacity is not known the packs count alike: they are of one kind.
void weigh_soc(BatteryState& into, const Packs& packs, Instant now)
{
    fold(into.soc, &BatteryState::soc, packs, now, [](Percent a, Percent) { return a; });
    if (!into.soc.last()) return;
    const bool known = std::all_of(packs.begin(), packs.end(), [](const auto* p) { return capacity(*p) > Energy{}; });
    std::int64_t sum = 0, weights = 0;
    for (const ParallelPack* p : packs) {
        const std::int64_t weight = known ? capacity(*p)->in(1000) + 1 : 1;  // whole Wh: no product overflows
        sum += p->state->soc.last()->milli() * weight;
        weights += weight;
    }
    into.soc.set(Percent::from_milli(sum / weights), into.soc.at());
}

template <class T>
T lower(T a, T b)
{
    return std::min(a, b);
}
template <class T>
T higher(T a, T b)
{
    return std::max(a, b);
}

// What a pack states of its limits: as many times the smallest.
template <class T>
void times_smallest(Reading<T>& into, Reading<T> BatteryState::*member, const Packs& packs, Instant now)
{
    fold(into, member, packs, now, lower<T>);
    if (into.last()) into.set(*into.last() * static_cast<std::int64_t>(packs.size()), into.at());
}

void forget_what_is_of_one_pack(BatteryState& s)
{
    s.link_voltage.forget();
    s.cells.forget();
    s.temperatures.forget();
    s.balancing.forget();
    s.modules.clear();
    s.reported.clear();
    s.diagnostic_charge_limit.forget();
    s.diagnostic_discharge_limit.forget();
    s.diagnostic_soc.forget();
    s.diagnostic_voltage.forget();
    s.diagnostic_current.forget();
    s.sessions.forget();
}

void fold_measurements(BatteryState& s, const Packs& packs, Instant now)
{
    using B = BatteryState;
    fold(s.current, &B::current, packs, now, std::plus{});
    weigh_soc(s, packs, now);
    fold(s.soh, &B::soh, packs, now, lower<Percent>);
    for (const bool highest : {false, true}) extreme_cell(s, packs, highest, now);
    fold(s.temperature_min, &B::temperature_min, packs, now, lower<Temperature>);
    fold(s.temperature_max, &B::temperature_max, packs, now, higher<Temperature>);
    mean(s.temperature_avg, &B::temperature_avg, packs, now);
    mean(s.temperature_ambient, &B::temperature_ambient, packs, now);
    fold(s.insulation, &B::insulation, packs, now, lower<Insulation>);
    fold(s.contactor, &B::contactor, packs, now,
        [](ContactorFeedback a, ContactorFeedback b) { return a == b ? a : ContactorFeedback::unknown; });
}

void fold_wishes(BatteryState& s, const Packs& packs, Instant now)
{
    using B = BatteryState;
    for (const auto m : {&B::charge_limit, &B::discharge_limit}) times_smallest(s.*m, m, packs, now);
    for (const auto m : {&B::charge_limit_current, &B::discharge_limit_current}) times_smallest(s.*m, m, packs, now);
    fold(s.charge_voltage_wanted, &B::charge_voltage_wanted, packs, now, lower<Voltage>);
    fold(s.discharge_voltage_wanted, &B::discharge_voltage_wanted, packs, now, higher<Voltage>);
    for (const auto m : {&B::charge_allowed, &B::discharge_allowed, &B::insulation_measured})
        fold(s.*m, m, packs, now, std::logical_and{});
    for (const auto m : {&B::charge_requested, &B::full_charge_requested}) fold(s.*m, m, packs, now, std::logical_or{});
}

void fold_counters(BatteryState& s, const Packs& all, Instant now)
{
    using B = BatteryState;
    for (const auto m : {&B::charge_remaining, &B::charge_full, &B::charge_in, &B::charge_out})
        fold(s.*m, m, all, now, std::plus{});
    for (const auto m : {&B::energy_in, &B::energy_out, &B::energy_remaining, &B::energy_full})
        fold(s.*m, m, all, now, std::plus{});
    fold(s.cycles, &B::cycles, all, now, higher<Count>);
}

}  // namespace

void aggregate(std::span<const ParallelPack> packs, BatteryState& into, Instant now)
{
    Packs all, counted, joined;
    for (const ParallelPack& p : packs) {
        all.push_back(&p);
        const Connection c = connection(*p.verdict);
        if (c != Connection::apart) counted.push_back(&p);
        if (c == Connection::joined) joined.push_back(&p);
    }
    if (all.empty()) return;
    if (counted.empty()) counted = all;
    if (joined.empty()) joined = counted;

    into = *counted[0]->state;  // with its age limits: the packs are of one kind
    forget_what_is_of_one_pack(into);
    for (const ParallelPack* p : counted) {
        into.heard = into.heard && p->state->heard ? std::optional{std::min(*into.heard, *p->state->heard)} : std::nullopt;
        for (const ReportedFault& f : p->state->reported) into.reported.push_back(f);
    }
    mean(into.voltage, &BatteryState::voltage, joined, now);
    fold_measurements(into, counted, now);
    fold_wishes(into, counted, now);
    fold_counters(into, all, now);
}

}  // namespace batgw
