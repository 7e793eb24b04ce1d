#include "safety/panel.hpp"

#include <algorithm>
#include <string_view>

namespace batgw {
namespace {

// What is said of one battery carries its number; anything else every judge says alike.
bool is_of_battery(const Event& e)
{
    switch (e.type) {
    case EventType::fault_set:
    case EventType::fault_cleared:
    case EventType::fault_class: return e.fault.device == Device::battery;
    case EventType::contactors: return true;
    case EventType::link: return e.text == "battery";
    default: return false;
    }
}

bool same(const Event& a, const Event& b)
{
    return a.type == b.type && a.at == b.at && a.text == b.text && a.from == b.from && a.to == b.to && a.fault.id == b.fault.id &&
        a.fault.device == b.fault.device && a.fault.detail == b.fault.detail;
}

Text<80> numbered(std::size_t pack)
{
    const char digit = static_cast<char>('1' + pack);
    return Text<80>{"battery "}.append({&digit, 1});
}

}  // namespace

Panel::Panel(std::span<const JudgeSetup> setups) : config_{setups[0].safety}
{
    judges_.reserve(setups.size());
    for (const JudgeSetup& s : setups) {
        ceilings_[judges_.size()] = {s.battery.max_charge, s.battery.max_discharge};
        judges_.emplace_back(s);
    }
    if (several()) events_.resize(Judge::event_capacity);
}

ParallelPacks Panel::look_at(std::span<const PanelPack> packs) const
{
    ParallelPacks all;
    for (std::size_t i = 0; i < judges_.size(); ++i)
        all.push_back({.verdict = &judges_[i].verdict(),
            .state = &packs[i].inputs.state,
            .max_charge = ceilings_[i].charge,
            .max_discharge = ceilings_[i].discharge});
    return all;
}

const Verdict& Panel::evaluate(const JudgeInputs& in, std::span<const PanelPack> packs, Instant now)
{
    if (several()) {
        evaluate_several(in, packs, now);
        return verdict();
    }
    JudgeInputs own = in;
    own.packs = {&packs[0].inputs, 1};
    own.battery_bus = packs[0].bus;
    judges_[0].evaluate(own, now);
    transitions_ = judges_[0].transitions();
    return verdict();
}

void Panel::evaluate_several(const JudgeInputs& in, std::span<const PanelPack> packs, Instant now)
{
    const ParallelPacks all = look_at(packs);
    const Verdict& whole = together_.verdict();
    const GatewayState state = whole.state;
    const Waiting waiting = whole.waiting;
    const bool charges = !whole.charge.is_zero(), discharges = !whole.discharge.is_zero();
    watch_.look(all, config_.parallel, now);
    const Beside::Together sum = together(all, now);
    for (std::size_t i = 0; i < judges_.size(); ++i) {
        JudgeInputs own = in;
        own.packs = {&packs[i].inputs, 1};
        own.battery_bus = packs[i].bus;
        own.beside = watch_.beside(i, all);
        own.beside.together = sum;
        InverterState left;
        if (in.inverter != nullptr) {
            left = left_for(i, *in.inverter, all, now);
            own.inverter = &left;
        }
        // The operator's limits are those of all packs together.
        own.operator_.max_charge = ceilings_[i].charge;
        own.operator_.max_discharge = ceilings_[i].discharge;
        own.operator_.max_charge_current.reset();
        own.operator_.max_discharge_current.reset();
        judges_[i].evaluate(own, now);
    }
    aggregate(all, battery_, now);
    together_.update(
        {.packs = std::span{all.begin(), all.size()}, .battery = battery_, .operator_ = in.operator_, .config = config_}, now);
    if (charges == whole.charge.is_zero() || discharges == whole.discharge.is_zero() || waiting != whole.waiting) ++transitions_;
    gather_events(state, now);
}

// What all packs together carry; none when one that may be connected does not say.
Beside::Together Panel::together(std::span<const ParallelPack> packs, Instant now) const
{
    Beside::Together t{
        .current = {}, .charge = together_.verdict().charge.current(), .discharge = together_.verdict().discharge.current()};
    Current sum{};
    bool known = true;
    for (const ParallelPack& p : packs) {
        if (connection(*p.verdict) == Connection::apart) continue;
        const auto one = p.state->current.fresh(now);
        known = known && one;
        sum = sum + one.value_or(Current{});
        t.current.samples += p.state->current.samples();
        t.current.at = std::max(t.current.at, p.state->current.at());
    }
    if (known) t.current.fresh = t.current.usable = sum;
    return t;
}

// The inverter as one pack sees it: with that part of its current that the others do not carry.
InverterState Panel::left_for(std::size_t pack, const InverterState& inverter, std::span<const ParallelPack> packs, Instant now)
{
    InverterState left = inverter;
    auto rest = inverter.current.last();
    for (std::size_t j = 0; j < packs.size() && rest; ++j) {
        if (j == pack || connection(*packs[j].verdict) == Connection::apart) continue;
        const auto other = packs[j].state->current.fresh(now);
        rest = other ? std::optional{*rest - *other} : std::nullopt;
    }
    if (rest)
        left.current.set(*rest, inverter.current.at(), inverter.current.source());
    else
        left.current.forget();
    return left;
}

void Panel::fill_house(Verdict& house) const
{
    house = verdict();
    if (!several()) return;
    ParallelPacks all;
    for (const Judge& j : judges_) all.push_back({.verdict = &j.verdict()});
    Aggregate::add_faults_apart({all.begin(), all.size()}, house);
}

Instant Panel::next_evaluation() const
{
    Instant next = judges_[0].next_evaluation();
    for (const Judge& j : judges_) next = std::min(next, j.next_evaluation());
    return next;
}

bool Panel::request_close(Instant now)
{
    bool taken = false;
    for (Judge& j : judges_) taken = j.request_close(now) || taken;
    return taken;
}

void Panel::reconfigure(const SafetyConfig& safety, std::span<const BatteryConfig* const> batteries, Instant now)
{
    config_ = safety;
    for (std::size_t i = 0; i < judges_.size(); ++i) {
        if (batteries[i] == nullptr) continue;  // how many there are may not change live (SAFE-242)
        ceilings_[i] = {batteries[i]->max_charge, batteries[i]->max_discharge};
        judges_[i].reconfigure(safety, *batteries[i], now);
    }
}

void Panel::restore(const ActiveFault& latched)
{
    // What a pack had that is no longer there stays with the first, until somebody looks at it.
    const std::size_t number = latched.device_number <= judges_.size() ? latched.device_number : 1;
    for (std::size_t i = 0; i < judges_.size(); ++i)
        if (latched.device != Device::battery || number == i + 1) judges_[i].restore(latched);
}

void Panel::report(const ActiveFault& found)
{
    for (Judge& j : judges_) j.report(found);
}

ResetOutcome Panel::reset(const ResetRequest& request, Instant now)
{
    const auto has_it = [&](const Judge& j) {
        const Faults& faults = j.verdict().faults;
        return std::any_of(
            faults.begin(), faults.end(), [&](const ActiveFault& f) { return f.latched && is_named(f, request.fault); });
    };
    if (!several() || std::none_of(judges_.begin(), judges_.end(), has_it)) return judges_[0].reset(request, now);
    ResetOutcome all;
    for (Judge& j : judges_) {
        if (!has_it(j)) continue;
        const ResetOutcome one = j.reset(request, now);
        if (all.text.empty() || all.text == one.text)
            all.text = one.text;
        else
            all.text.append("; ").append(one.text.view());
        if (all.code != CommandCode::ok) all.code = one.code;
        all.reset += one.reset;
    }
    return all;
}

void Panel::gather_events(GatewayState before, Instant now)
{
    const std::uint64_t first = event_count_;
    const auto add = [&](const Event& e) {
        Event& own = events_[event_count_ % events_.size()];
        own = e;
        own.number = ++event_count_;
        ++transitions_;
        return &own;
    };
    for (std::size_t i = 0; i < judges_.size(); ++i)
        judges_[i].events_since(told_[i], [&](const Event& e) {
            told_[i] = e.number;
            if (e.type == EventType::state) return;  // of the pack; the house's is below
            bool known = false;
            for (std::uint64_t n = first; n < event_count_ && !is_of_battery(e); ++n)
                known = known || same(events_[n % events_.size()], e);
            if (known) return;
            Event* const own = add(e);
            if (is_of_battery(e)) own->text = numbered(i);
        });
    if (verdict().state == before) return;
    Event e;
    e.type = EventType::state;
    e.at = now;
    e.voltage = battery_.voltage.fresh(now);
    e.current = battery_.current.fresh(now);
    e.cell_voltage_min = battery_.cell_voltage_min.fresh(now);
    e.cell_voltage_max = battery_.cell_voltage_max.fresh(now);
    e.temperature_min = battery_.temperature_min.fresh(now);
    e.temperature_max = battery_.temperature_max.fresh(now);
    e.soc = battery_.soc.fresh(now);
    e.from.assign(to_string(before));
    e.to.assign(to_string(verdict().state));
    add(e);
}

}  // namespace batgw
