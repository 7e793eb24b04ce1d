#include "inverter/pylontech_lv_teller.hpp"

#include <algorithm>

namespace batgw::pylontech_lv {
namespace {

constexpr Percent full_enough = 97_pct;  // 97 %: the maker's
constexpr Percent force_hysteresis = 5_pct;

}  // namespace

void Teller::identify(const PackFacts& pack, std::string_view maker_name, std::string_view battery_name)
{
    if (identified_) return;
    identified_ = true;
    const Voltage nominal = pack.voltage_nominal.value_or((*pack.voltage_max + *pack.voltage_min) / 2);
    told_.identity.capacity = (*pack.energy_rated / nominal).value_or(Charge{});
    told_.identity.maker.assign(maker_name);
    told_.identity.battery.assign(battery_name);
}

// The last good measurement stands where there is no fresh one: 0 V or 0 % would be a lie, and the limits are zero then.
void Teller::look(const InverterView& view, bool running, Instant now)
{
    const BatteryState& b = view.battery;
    Measured& m = told_.measured;
    if (const auto v = b.voltage.last()) m.voltage = *v;
    voltage_fresh_ = b.voltage.is_fresh(now) && m.voltage > Voltage{};
    // A current nobody measures is told as none: the protocol has no code for "not known", and the last one would be a claim.
    m.current = b.current.fresh(now).value_or(Current{});
    if (const auto t = b.temperature_max.last()) m.temperature_max = *t;
    if (const auto t = b.temperature_min.last()) m.temperature_min = *t;
    const TemperatureStep half = (m.temperature_max - m.temperature_min) / 2;
    m.temperature_avg = b.temperature_avg.fresh(now).value_or(m.temperature_min + half);
    m.soh = b.soh.last().value_or(100_pct);  // as the maker's text wants it
    m.energy_in = b.energy_in.last();
    m.energy_out = b.energy_out.last();
    m.cycles = b.cycles.last().value_or(Count{}).in(1000);
    look_at_cells(view, now);

    told_.limits = limits_now(view.verdict, running);
    const auto clamped = soc_override(view.verdict, told_.limits.charge == 0, told_.limits.discharge == 0);
    const Percent measured = soc_for_inverter(view).value_or(Percent{});
    m.soc = clamped.value_or(std::min(measured, options_.soc_cap));
    soc_true_ = m.soc == measured;

    look_at_requests(view, now);
    look_at_modules(view);
    Direction stopped = told_.limits.charge == 0 ? Direction::charge : Direction::none;
    if (told_.limits.discharge == 0) stopped = stopped | Direction::discharge;
    told_.alarms = alarms_of(view.verdict.faults,
        {.stopped = stopped,
            .alarm_stops_both = profile_.alarm_stops_both,
            .temperature_min = m.temperature_min,
            .temperature_max = m.temperature_max});
}

void Teller::look_at_window(const Verdict& v)
{
    if (const auto w = window_steps(v, options_.margin, wire_step_milli)) window_ = w;
}

void Teller::look_at_cells(const InverterView& view, Instant now)
{
    const BatteryState& b = view.battery;
    Measured& m = told_.measured;
    const auto number = [now](const Reading<Count>& r) {
        const auto n = r.fresh(now);
        return n ? std::optional{n->in(1000)} : std::nullopt;
    };
    m.cell_voltage_max = b.cell_voltage_max.last();
    m.cell_voltage_min = b.cell_voltage_min.last();
    // An inverter that always reads these bytes would take 0 for a dead cell.
    const auto cells = static_cast<std::int64_t>(view.verdict.pack.cells.value_or(0));
    if (profile_.tail == Tail::cells && (!m.cell_voltage_max || !m.cell_voltage_min) && cells > 0)
        m.cell_voltage_max = m.cell_voltage_min = m.voltage / cells;
    m.cell_max_number = number(b.cell_max_number);
    m.cell_min_number = number(b.cell_min_number);

    look_at_sensors(b, now);
}

void Teller::look_at_sensors(const BatteryState& b, Instant now)
{
    Measured& m = told_.measured;
    m.coldest_number = m.hottest_number = std::nullopt;
    const auto sensors = b.temperatures.fresh(now);
    std::optional<Temperature> coldest, hottest;
    for (std::size_t i = 0; sensors && i < std::min(sensors->count, SensorTemperatures::capacity); ++i) {
        const auto t = (*sensors)[i];
        if (!t) continue;
        if (!coldest || *t < *coldest) {
            coldest = t;
            m.coldest_number = static_cast<std::int64_t>(i) + 1;
        }
        if (!hottest || *t > *hottest) {
            hottest = t;
            m.hottest_number = static_cast<std::int64_t>(i) + 1;
        }
    }
}

void Teller::look_at_modules(const InverterView& view)
{
    const auto& listed = view.battery.modules;
    const auto told = static_cast<std::int64_t>(listed.size());
    const std::int64_t count = options_.modules > 0 ? options_.modules : std::max<std::int64_t>(told, 1);
    const auto off = [&](const Reading<bool> Module::*which) {
        return std::min<std::int64_t>(count, std::count_if(listed.begin(), listed.end(), [which](const Module& m) {
            const auto on = (m.*which).last();
            return on && !*on;
        }));
    };
    const bool there = view.verdict.battery_link;
    told_.modules = {.online = there ? count : 0,
        .blocking_charge = told_.limits.charge == 0 ? count : off(&Module::charge_switch),
        .blocking_discharge = told_.limits.discharge == 0 ? count : off(&Module::discharge_switch),
        .offline = there ? 0 : count};
}

// Never while charging is not allowed. Several inverters charge from the grid when asked: what the battery asks for is passed on,
// as if it hung on the inverter itself; of our own accord nothing is asked unless configured.
void Teller::look_at_requests(const InverterView& view, Instant now)
{
    const bool charge = told_.limits.charge > 0;
    const auto level = view.battery.soc.fresh(now);
    if (!level || *level >= options_.force_soc + force_hysteresis)
        forcing_ = false;
    else if (*level <= options_.force_soc)
        forcing_ = true;
    const bool wanted = options_.force_soc > Percent{} && charge;
    const auto asked = [&](const Reading<bool>& wish) {
        return charge && options_.pass_requests && wish.fresh(now).value_or(false);
    };
    const auto& lowest = view.verdict.voltage_min;
    if (!full_at_ || (level && *level >= full_enough)) full_at_ = now;
    const bool days_over = options_.full_charge_after > Duration{} && now - *full_at_ >= options_.full_charge_after;
    // SAFE-113: an inverter that goes on discharging is asked to charge.
    const bool against = charge && told_.limits.discharge == 0 && covers(view.verdict.ask_against, Direction::discharge);
    told_.requests = {.charge_enable = charge,
        .discharge_enable = told_.limits.discharge > 0,
        .force_charge_1 = wanted && voltage_fresh_ && lowest && told_.measured.voltage < *lowest,
        .force_charge_2 = (wanted && forcing_) || against || asked(view.battery.charge_requested),
        .full_charge = (charge && days_over) || asked(view.battery.full_charge_requested)};
}

Limits Teller::limits_now(const Verdict& v, bool running) const
{
    Limits l;
    if (running) {
        if (!v.charge.is_zero()) l.charge = std::min(v.charge.current(), profile_.most).down_in(wire_step_milli);
        if (!v.discharge.is_zero()) l.discharge = std::min(v.discharge.current(), profile_.most).down_in(wire_step_milli);
    }
    l.discharge_voltage = std::clamp(
        window_->min, profile_.discharge_voltage_min.in(wire_step_milli), profile_.discharge_voltage_max.in(wire_step_milli));
    // A pack that is far from what the inverter is made for is told as it is: nothing would fit it.
    const std::int64_t lowest = std::max(profile_.charge_voltage_min.in(wire_step_milli), l.discharge_voltage + 1);
    const std::int64_t highest = profile_.charge_voltage_max.in(wire_step_milli);
    l.charge_voltage = std::min(std::max(charge_voltage_now(l.charge > 0), lowest), window_->own_max);
    if (window_->min < highest) l.charge_voltage = std::min(l.charge_voltage, highest);
    return l;
}

// A charge voltage below the battery's own makes some inverters discharge it to get there, whatever the limits say. So it is
// never below the present voltage, as far as the battery itself may go; and where charging is stopped it is not above either. Of
// a voltage that nobody knows any more nothing is concluded.
std::int64_t Teller::charge_voltage_now(bool charging) const
{
    const WindowSteps& w = *window_;
    if (!voltage_fresh_) return w.max;
    const std::int64_t present = told_.measured.voltage.up_in(wire_step_milli);
    return std::clamp(present, charging ? w.max : w.min + 1, w.own_max);
}

}  // namespace batgw::pylontech_lv
