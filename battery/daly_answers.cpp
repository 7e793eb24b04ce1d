#include "battery/daly_driver.hpp"

#include <algorithm>

namespace batgw::daly {
namespace {

constexpr Voltage cell_plausible_min = 1500_mV, cell_plausible_max = 4600_mV;  // of the pack's voltage, per cell

}  // namespace

Heard Driver::on_reply(const CanFrame& f, Instant at)
{
    if (f.id == charge_switch.id || f.id == discharge_switch.id) {
        if (!switch_on(f)) return Heard::implausible;
        answered(f, true, at);
        return Heard::used;
    }
    if (!topic_of(f.id)) return Heard::not_mine;
    const Heard heard = decode(f, at);
    if (heard == Heard::implausible && poll_.under_way() == f.id) poll_.damaged();
    return heard;
}

Heard Driver::decode(const CanFrame& f, Instant at)
{
    switch (f.id) {
    case totals.id: return on_totals(f, at);
    case cell_extremes.id: return cells_.on_extremes(f, at);
    case temperature_extremes.id: return cells_.on_temperature_extremes(f, at);
    case switches.id: return on_switches(f, at);
    case status.id: return on_status(f, at);
    case cell_voltages.id: return cells_.on_voltages(f, at);
    case sensor_temperatures.id: return cells_.on_temperatures(f, at);
    case balance.id: return on_balance(f, at);
    case faults.id: return on_faults(f, at);
    case rating.id: return on_rating(f, at);
    case counters.id: return on_counters(f, at);
    case cell_limits.id: return on_cell_limits(f, at);
    case battery_code.id: return on_code(f, at);
    default: break;  // nothing in it that anybody needs
    }
    answered(f, true, at);
    return Heard::used;
}

Heard Driver::on_totals(const CanFrame& f, Instant at)
{
    const auto pack = voltage(f);
    const auto wire = wire_current(f);
    const auto charge = soc(f);
    if (!pack || !wire || !charge || !plausible(*pack) || magnitude(*wire) >= current_max_) return Heard::implausible;
    answered(f, true, at);
    state_.heard = at;
    state_.voltage.set(*pack, at, f.id);
    state_.soc.set(*charge, at, f.id);
    sign_.on_current(*wire, at);
    if (const auto current = sign_.apply(*wire)) state_.current.set(*current, at, f.id);
    return Heard::used;
}

bool Driver::plausible(Voltage pack) const
{
    const auto cells = cells_known();
    return !cells || (pack >= cell_plausible_min * *cells && pack <= cell_plausible_max * *cells);
}

Heard Driver::on_switches(const CanFrame& f, Instant at)
{
    const auto way = flow(f), charging = charge_on(f), discharging = discharge_on(f);
    const auto left = remaining(f);
    // All zero: the controller is awake, what measures is not.
    const bool nothing = f.data == CanFrame{}.data;
    if (!way || !charging || !discharging || !left || nothing) return Heard::implausible;
    answered(f, true, at);
    if (is_frozen(*life(f))) {
        refuse(switches.id);
        return Heard::bad_counter;
    }
    charge_on_ = *charging == 1;
    discharge_on_ = *discharging == 1;
    switches_at_ = at;
    sign_.on_flow(*way, at);
    switches_.on_state(*charge_on_, *discharge_on_, poll_.asked_at(switches.id).value_or(at), at, state_);
    state_.charge_remaining.set(*left, at, f.id);
    permit();
    return Heard::used;
}

// "Keeps changing while the board is awake": SAFE-024.
bool Driver::is_frozen(std::int64_t counter)
{
    life_same_ = life_ == counter ? std::min(life_same_ + 1, life_frames) : 0;
    life_ = counter;
    return frozen();
}

// A direction is permitted as long as the board tells its faults and does not hold its switch off: as old as the older of the two
// answers. What the board forbids for a reason it says in 0x98, and that blocks by itself.
void Driver::permit()
{
    if (!charge_on_ || !faults_) return;
    const bool faults_older = faults_at_ < switches_at_;
    const Instant at = faults_older ? faults_at_ : switches_at_;
    const auto set = [&](Reading<bool>& allowed, bool on) {
        if (allowed.last() != on || allowed.at() != at) allowed.set(on, at, faults_older ? faults.id : switches.id);
    };
    const bool ours = !switches_.off_is_refusal();
    set(state_.charge_allowed, *charge_on_ || ours);
    set(state_.discharge_allowed, *discharge_on_ || ours);
}

Heard Driver::on_status(const CanFrame& f, Instant at)
{
    const auto cells = cell_count(f), sensors = sensor_count(f);
    if (!cells || !sensors || !charger_there(f) || !load_there(f)) return Heard::implausible;
    answered(f, true, at);
    // Twice the same, or what was configured.
    const bool certain = cell_count_seen_ == cells || (cells_configured_ && *cells_configured_ == *cells);
    cell_count_seen_ = *cells;
    if (!certain) {
        poll_.hurry(status.id, at);
        return Heard::used;
    }
    state_.cell_count = static_cast<unsigned>(*cells);
    cells_.set_sensors(*sensors);
    state_.cycles.set(*cycles(f), at, f.id);
    poll_.allow(cell_voltages.id, true);
    poll_.allow(sensor_temperatures.id, *sensors > 0);
    return Heard::used;
}

Heard Driver::on_balance(const CanFrame& f, Instant at)
{
    answered(f, true, at);
    state_.balancing.set(CellFlags{static_cast<unsigned long long>(*balancing(f))}, at, f.id);
    return Heard::used;
}

Heard Driver::on_faults(const CanFrame& f, Instant at)
{
    answered(f, true, at);
    faults_ = f;
    faults_at_ = at;
    permit();
    return Heard::used;
}

Heard Driver::on_rating(const CanFrame& f, Instant at)
{
    const auto capacity = rated_capacity(f);
    const auto nominal = nominal_cell(f);
    if (!capacity || !nominal) return Heard::implausible;
    answered(f, true, at);
    rated_ = capacity;
    nominal_cell_ = nominal;
    return Heard::used;
}

Heard Driver::on_counters(const CanFrame& f, Instant at)
{
    const auto in = total_in(f), out = total_out(f);
    if (!in || !out) return Heard::implausible;
    answered(f, true, at);
    state_.charge_in.set(*in, at, f.id);
    state_.charge_out.set(*out, at, f.id);
    return Heard::used;
}

// Where the board itself would act. The stricter of each two: which is the warning differs between boards.
Heard Driver::on_cell_limits(const CanFrame& f, Instant at)
{
    const auto high_a = cell_high_a(f), high_b = cell_high_b(f), low_a = cell_low_a(f), low_b = cell_low_b(f);
    if (!high_a || !high_b || !low_a || !low_b) return Heard::implausible;
    const Voltage high = std::min(*high_a, *high_b), low = std::max(*low_a, *low_b);
    if (high <= low) return Heard::implausible;
    answered(f, true, at);
    cell_high_ = high;
    cell_low_ = low;
    return Heard::used;
}

// Five frames with text of the owner; nothing in it that anybody needs, but the line is busy until all have come.
Heard Driver::on_code(const CanFrame& f, Instant at)
{
    constexpr std::size_t frames = 5;
    const auto taken = code_.take(f, frames, at);
    if (taken == Stream::Taken::invalid || !text_number(f)) return Heard::implausible;
    answered(f, taken == Stream::Taken::complete, at);
    return Heard::used;
}

}  // namespace batgw::daly
