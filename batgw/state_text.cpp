#include "batgw/state_text.hpp"

#include "mqtt/json.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace batgw {
namespace {

ShownValue shown(bool value) { return {.text = value ? "yes" : "no", .json = value ? "true" : "false"}; }
ShownValue shown(ContactorFeedback value)
{
    return {.text = std::string{to_string(value)}, .json = mqtt::quoted(to_string(value))};
}
ShownValue shown(std::uint32_t value) { return {.text = std::to_string(value), .json = std::to_string(value)}; }
template <class Tag>
ShownValue shown(Quantity<Tag> value)
{
    mqtt::Json json;
    json.milli_short(value.milli(), 3);
    return {.text = json.text(), .json = json.text(), .unit = Tag::unit};
}
// For people how many and from where to where; for programs all of them, null where there is none.
template <class Q, std::size_t N>
ShownValue shown(const Array<Q, N>& values)
{
    mqtt::Json json;
    std::optional<Q> low, high;
    json.open('[');
    for (std::size_t i = 0; i < std::min(values.count, N); ++i) {
        const auto v = values[i];
        json.milli_short(v ? std::optional{v->milli()} : std::nullopt, 3);
        if (v && (!low || *v < *low)) low = v;
        if (v && (!high || *v > *high)) high = v;
    }
    json.close(']');
    std::string range = "none known";
    if (low) range = fmt::format("{} to {}", shown(*low).text, shown(*high).text);
    return {.text = fmt::format("{}: {}", values.count, range), .json = json.take(), .unit = Q::unit};
}

ShownValue listed(const FixedVector<ReportedFault, 16>& faults)
{
    ShownValue all;
    mqtt::Json json;
    json.open('[');
    for (const ReportedFault& f : faults) {
        const std::string direction = f.direction == Direction::none ? "" : fmt::format(" {}", to_string(f.direction));
        all.text += fmt::format("{}{} {}{}", all.text.empty() ? "" : " + ", to_string(f.level), f.code.view(), direction);
        json.open('{').key("code").string(f.code.view()).key("class").string(to_string(f.level));
        json.key("direction").string(to_string(f.direction)).close('}');
    }
    all.json = json.close(']').take();
    if (all.text.empty()) all.text = "none";
    return all;
}

template <class F>
void each_reading(const Module& m, F&& f)
{
    f("voltage", m.voltage);
    f("current", m.current);
    f("soc", m.soc);
    f("soh", m.soh);
    f("cell_voltage_min", m.cell_voltage_min);
    f("cell_voltage_max", m.cell_voltage_max);
    f("temperature_min", m.temperature_min);
    f("temperature_max", m.temperature_max);
    f("temperature_mos", m.temperature_mos);
    f("charge_limit_current", m.charge_limit_current);
    f("discharge_limit_current", m.discharge_limit_current);
    f("charge_switch", m.charge_switch);
    f("discharge_switch", m.discharge_switch);
    f("cycles", m.cycles);
    f("energy_in", m.energy_in);
    f("energy_out", m.energy_out);
}

template <class F>
void each_reading(const BatteryState& s, F&& f)
{
    f("voltage", s.voltage);
    f("current", s.current);
    f("link_voltage", s.link_voltage);
    f("soc", s.soc);
    f("soh", s.soh);
    f("cell_voltage_min", s.cell_voltage_min);
    f("cell_voltage_max", s.cell_voltage_max);
    f("cell_min_number", s.cell_min_number);
    f("cell_max_number", s.cell_max_number);
    f("temperature_min", s.temperature_min);
    f("temperature_max", s.temperature_max);
    f("temperature_avg", s.temperature_avg);
    f("temperature_ambient", s.temperature_ambient);
    f("charge_limit", s.charge_limit);
    f("discharge_limit", s.discharge_limit);
    f("charge_limit_current", s.charge_limit_current);
    f("discharge_limit_current", s.discharge_limit_current);
    f("charge_voltage_wanted", s.charge_voltage_wanted);
    f("discharge_voltage_wanted", s.discharge_voltage_wanted);
    f("charge_allowed", s.charge_allowed);
    f("discharge_allowed", s.discharge_allowed);
    f("contactor", s.contactor);
    f("insulation", s.insulation);
    f("insulation_measured", s.insulation_measured);
    f("charge_remaining", s.charge_remaining);
    f("charge_full", s.charge_full);
    f("charge_in", s.charge_in);
    f("charge_out", s.charge_out);
    f("energy_in", s.energy_in);
    f("energy_out", s.energy_out);
    f("energy_remaining", s.energy_remaining);
    f("energy_full", s.energy_full);
    f("cycles", s.cycles);
    f("diagnostic_charge_limit", s.diagnostic_charge_limit);
    f("diagnostic_discharge_limit", s.diagnostic_discharge_limit);
    f("diagnostic_soc", s.diagnostic_soc);
    f("diagnostic_voltage", s.diagnostic_voltage);
    f("diagnostic_current", s.diagnostic_current);
    f("sessions", s.sessions);
    f("cells", s.cells);
    f("temperatures", s.temperatures);
}

template <class F>
void each_reading(const InverterState& s, F&& f)
{
    f("voltage", s.voltage);
    f("current", s.current);
    f("temperature", s.temperature);
    f("soc", s.soc);
    f("clock", s.clock);
}

}  // namespace

// `version`: moves when the field was written. Only then its text is made and compared.
template <class F>
void StateChanges::offer(std::string_view name, std::uint64_t version, F&& make)
{
    if (next_ == seen_.size()) seen_.emplace_back();
    Seen& seen = seen_[next_++];
    if (seen.version == version) return;
    seen.version = version;
    ShownValue value = make();
    if (value.json == seen.json) return;
    seen.json = value.json;
    value.name = prefix_ + std::string{name};
    changed_.push_back(std::move(value));
}

template <class T>
void StateChanges::offer(std::string_view name, const Reading<T>& reading)
{
    offer(name, reading.samples(), [&] {
        const auto value = reading.last();
        return value ? shown(*value) : ShownValue{.text = "none", .json = "null"};
    });
}

const std::vector<ShownValue>& StateChanges::look(const BatteryState& state)
{
    changed_.clear();
    next_ = 0;
    const auto reading = [this](std::string_view name, const auto& r) { offer(name, r); };
    prefix_.clear();
    each_reading(state, reading);
    const std::uint32_t cells = state.cell_count.value_or(0);
    offer("cell_count", cells, [&] { return shown(cells); });
    ShownValue faults = listed(state.reported);
    offer("reported", state.reported.empty() ? 0 : std::hash<std::string>{}(faults.json) | 1U, [&] { return std::move(faults); });
    for (std::size_t i = 0; i < state.modules.size(); ++i) {
        prefix_ = "module_" + std::to_string(i + 1) + "_";
        each_reading(state.modules[i], reading);
    }
    return changed_;
}

const std::vector<ShownValue>& StateChanges::look(const InverterState& state)
{
    changed_.clear();
    next_ = 0;
    each_reading(state, [this](std::string_view name, const auto& r) { offer(name, r); });
    const std::string_view name = state.name.view();
    offer("name", name.empty() ? 0 : std::hash<std::string_view>{}(name) | 1U,
        [&] { return ShownValue{.text = std::string{name}, .json = mqtt::quoted(name)}; });
    offer("requests", state.requests, [&] { return shown(state.requests); });
    return changed_;
}

}  // namespace batgw
