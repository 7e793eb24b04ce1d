#include "inverter/pylontech_hv_picture.hpp"

#include "inverter/pylontech_hv_causes.hpp"
#include "inverter/pylontech_hv_layout.hpp"
#include "inverter/set_points.hpp"

#include <algorithm>
#include <cmath>

namespace batgw::pylontech_hv {
namespace {

constexpr Current highest_limit = 3000_A;
constexpr Current idle_below = 0.5_A;
constexpr Temperature suits_cells = 25_degC;  // no chemistry's curve takes anything away here

// The highest and the lowest of several, and which they are, over what stands there already.
template <class Q>
class Search {
public:
    explicit Search(Extremes<Q>& found) : found_{found} {}
    void high(std::optional<Q> value, std::size_t index)
    {
        if (!value || (any_high_ && *value <= found_.max)) return;
        any_high_ = true;
        found_.max = *value;
        found_.max_number = static_cast<std::int64_t>(index) + 1;
    }
    void low(std::optional<Q> value, std::size_t index)
    {
        if (!value || (any_low_ && *value >= found_.min)) return;
        any_low_ = true;
        found_.min = *value;
        found_.min_number = static_cast<std::int64_t>(index) + 1;
    }

private:
    Extremes<Q>& found_;
    bool any_high_ = false, any_low_ = false;
};

}  // namespace

Picture::Picture(const Options& o)
    : configured_{.cells = o.get<std::int64_t>("cells"),
          .modules = o.get<std::int64_t>("modules"),
          .cells_per_module = o.get<std::int64_t>("cells_per_module"),
          .voltage = Voltage::from_milli(o.get<std::int64_t>("voltage_v") * 1000),
          .capacity = Charge::from_milli(o.get<std::int64_t>("capacity_ah") * 1000)},
      margin_{Voltage::from_milli(std::llround(o.get<double>("window_margin_v") * 1000.0))}
{
    if (configured_.cells == 0) configured_.cells = configured_.modules * configured_.cells_per_module;
}

bool Picture::complete(const InverterView& view) const
{
    const BatteryState& b = view.battery;
    return view.verdict.battery_valid && window_known_ && b.voltage.last() && b.soc.last() && b.temperature_max.last() &&
        b.temperature_min.last();
}

void Picture::fix_geometry(const PackFacts& facts)
{
    if (geometry_) return;
    geometry_ = configured_;
    std::optional<Voltage> nominal = facts.voltage_nominal;
    if (!nominal && facts.voltage_max && facts.voltage_min) nominal = (*facts.voltage_max + *facts.voltage_min) / 2;
    if (!nominal) return;
    if (configured_.voltage == Voltage{}) geometry_->voltage = *nominal;
    if (configured_.capacity == Charge{} && facts.energy_rated)
        geometry_->capacity = (*facts.energy_rated / *nominal).value_or(Charge{});
}

void Picture::look_at_verdict(const Verdict& v, InverterPhase phase)
{
    look_at_window(v);
    const bool run = phase == InverterPhase::run && v.ready;
    const auto told = [run](const Grant& g) {
        return run && !g.is_zero() ? in_steps<Current>(std::min(g.current(), highest_limit).down_in(step_milli)) : Current{};
    };
    limits_.charge = told(v.charge);
    limits_.discharge = told(v.discharge);
}

// The last good measurement stands where there is no fresh one: 0 V or 0 % would be a lie, and the limits are zero then.
void Picture::look(const InverterView& view, InverterPhase phase, bool asleep, Instant now)
{
    const BatteryState& b = view.battery;
    look_at_verdict(view.verdict, phase);
    override_ = soc_override(view.verdict, charge_stopped(), discharge_stopped());
    if (const auto v = b.voltage.last()) totals_.voltage = *v;
    // A current nobody measures is told as none: the protocol has no code for "not known", and the last one would be a claim.
    totals_.current = b.current.fresh(now).value_or(Current{});
    totals_.soh = b.soh.last().value_or(100_pct);
    if (const auto s = soc_for_inverter(view)) totals_.soc = *s;
    if (override_) totals_.soc = *override_;
    look_at_cells(view, now);
    look_at_modules(b);
    look_at_status(view, phase, asleep);
}

void Picture::look_at_window(const Verdict& v)
{
    const auto w = window_steps(v, margin_, step_milli);
    if (!w) return;
    limits_.charge_cutoff = in_steps<Voltage>(w->max);
    limits_.discharge_cutoff = in_steps<Voltage>(w->min);
    window_known_ = true;
}

// A battery that by design has no cell data shows its share of the pack voltage: 0 would be read as a dead cell.
void Picture::look_at_cells(const InverterView& view, Instant now)
{
    const BatteryState& b = view.battery;
    const auto number = [](const Reading<Count>& n) { return n.last() ? std::max<std::int64_t>(n.last()->in(1000), 1) : 1; };
    const std::int64_t count = view.verdict.pack.cells ? std::int64_t{*view.verdict.pack.cells} : configured_.cells;
    const Voltage each = totals_.voltage / std::max<std::int64_t>(count, 1);
    cell_voltages_ = {.max = b.cell_voltage_max.last().value_or(each),
        .min = b.cell_voltage_min.last().value_or(each),
        .max_number = number(b.cell_max_number),
        .min_number = number(b.cell_min_number)};
    look_at_sensors(b, now);
}

void Picture::look_at_sensors(const BatteryState& b, Instant now)
{
    Extremes<Temperature>& shown = cell_temperatures_;
    shown.max_number = shown.min_number = 1;
    if (const auto sensors = b.temperatures.fresh(now)) {
        Search<Temperature> search{shown};
        for (std::size_t i = 0; i < std::min(sensors->count, SensorTemperatures::capacity); ++i) {
            search.high((*sensors)[i], i);
            search.low((*sensors)[i], i);
        }
    }
    // Of the values the extremes that the battery itself tells are the newer ones.
    if (const auto t = b.temperature_max.last()) shown.max = *t;
    if (const auto t = b.temperature_min.last()) shown.min = *t;
    totals_.temperature = b.temperature_avg.fresh(now).value_or(shown.min + (shown.max - shown.min) / 2);
}

// A battery that tells of no modules is shown as equal ones.
void Picture::look_at_modules(const BatteryState& b)
{
    const Voltage each = totals_.voltage / std::max<std::int64_t>(configured_.modules, 1);
    module_voltages_ = {.max = each, .min = each};
    module_temperatures_ = {.max = cell_temperatures_.max, .min = cell_temperatures_.min};
    Search<Voltage> voltages{module_voltages_};
    Search<Temperature> temperatures{module_temperatures_};
    for (std::size_t i = 0; i < b.modules.size(); ++i) {
        voltages.high(b.modules[i].voltage.last(), i);
        voltages.low(b.modules[i].voltage.last(), i);
        temperatures.high(b.modules[i].temperature_max.last(), i);
        temperatures.low(b.modules[i].temperature_min.last(), i);
    }
}

// "Sleep" says that nothing is connected: only once the contactors are open for a reason that lasts.
void Picture::look_at_status(const InverterView& view, InverterPhase phase, bool asleep)
{
    const Verdict& v = view.verdict;
    const ContactorState contactors = v.contactors.state;
    const bool open =
        contactors == ContactorState::open || contactors == ContactorState::cooldown || contactors == ContactorState::lockout;
    if (open && (phase == InverterPhase::fault || asleep))
        status_.state = state_sleep;
    else if (phase == InverterPhase::hold || magnitude(totals_.current) <= idle_below)
        status_.state = state_idle;
    else
        status_.state = totals_.current > Current{} ? state_charge : state_discharge;
    // SAFE-113: an inverter that goes on discharging is asked to charge.
    status_.force_charge = !charge_stopped() && discharge_stopped() && covers(v.ask_against, Direction::discharge);
    status_.cycles = view.battery.cycles.last().value_or(Count{}).in(1000);

    const TemperatureStep above = cell_temperatures_.max - suits_cells, below = suits_cells - cell_temperatures_.min;
    status_.causes = causes_of(
        v.faults, {.charge_stopped = charge_stopped(), .discharge_stopped = discharge_stopped(), .cold = below > above});
    if (v.worst >= FaultClass::trip) {
        status_.causes.faults |= trouble::other;
        status_.causes.other |= other::safety;
    }
}

}  // namespace batgw::pylontech_hv
