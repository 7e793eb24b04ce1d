#include "battery/daly_cells.hpp"

#include "battery/daly_layout.hpp"

#include <algorithm>

namespace batgw::daly {
namespace {

constexpr Voltage extremes_agree = 30_mV;
constexpr Current little_current = 20_A;  // below it, cells and extremes must agree
constexpr Duration worse_of_two = 10s;    // two answers further apart have nothing to do with each other

}  // namespace

Cells::Cells(BatteryState& state, Poll& poll) : state_{state}, poll_{poll}
{
    for (auto* r : {&lowest_, &highest_}) r->set_max_age(worse_of_two);
    for (auto* r : {&coldest_, &hottest_}) r->set_max_age(worse_of_two);
}

void Cells::restart()
{
    voltages_.restart();
    temperatures_.restart();
}

void Cells::spoil()
{
    voltages_.spoil();
    temperatures_.spoil();
}

Heard Cells::on_extremes(const CanFrame& f, Instant at)
{
    const auto high = cell_max(f), low = cell_min(f);
    if (!high || !low || *high < *low) return Heard::implausible;
    poll_.answered(f.id, true, at);
    take_extremes(*low, *high, f.id, at);
    if (const auto n = cell_max_number(f)) state_.cell_max_number.set(Count::from_milli(*n * 1000), at, f.id);
    if (const auto n = cell_min_number(f)) state_.cell_min_number.set(Count::from_milli(*n * 1000), at, f.id);
    return Heard::used;
}

// An eight bit sum lets one damage in 256 through, so that the worse of two readings counts: one wrong answer can lower a limit,
// never raise it.
void Cells::take_extremes(Voltage low, Voltage high, std::uint32_t source, Instant at)
{
    state_.cell_voltage_min.set(std::min(low, lowest_.fresh(at).value_or(low)), at, source);
    state_.cell_voltage_max.set(std::max(high, highest_.fresh(at).value_or(high)), at, source);
    lowest_.set(low, at);
    highest_.set(high, at);
}

Heard Cells::on_temperature_extremes(const CanFrame& f, Instant at)
{
    const auto high = temperature_max(f), low = temperature_min(f);
    if (!high || !low || *high < *low) return Heard::implausible;
    poll_.answered(f.id, true, at);
    take_temperatures(*low, *high, f.id, at);
    return Heard::used;
}

void Cells::take_temperatures(Temperature low, Temperature high, std::uint32_t source, Instant at)
{
    state_.temperature_min.set(std::min(low, coldest_.fresh(at).value_or(low)), at, source);
    state_.temperature_max.set(std::max(high, hottest_.fresh(at).value_or(high)), at, source);
    coldest_.set(low, at);
    hottest_.set(high, at);
}

Heard Cells::on_voltages(const CanFrame& f, Instant at)
{
    if (!state_.cell_count) return Heard::not_mine;
    const std::size_t count = *state_.cell_count, per_frame = cells_per_frame;
    switch (voltages_.take(f, (count + per_frame - 1) / per_frame, at)) {
    case Stream::Taken::invalid: return Heard::implausible;
    case Stream::Taken::surplus: return Heard::used;
    case Stream::Taken::more: poll_.answered(f.id, false, at); return Heard::used;
    case Stream::Taken::complete: break;
    }
    CellVoltages cells;
    cells.count = count;
    for (std::size_t i = 0; i < count; ++i) cells.set(i, frame_cells[i % per_frame](voltages_.frame(i / per_frame)));
    const Heard heard = take(cells, at);
    if (heard == Heard::used) poll_.answered(f.id, true, at);
    return heard;
}

// A set is believed as a whole or not at all, and only when it agrees with what 0x90 and 0x91 say.
Heard Cells::take(const CellVoltages& cells, Instant at)
{
    Voltage low = 5000_mV, high{}, sum{};
    bool whole = true;
    for (std::size_t i = 0; i < cells.count; ++i) {
        const auto v = cells[i];
        whole = whole && v;
        if (!v) continue;
        low = std::min(low, *v);
        high = std::max(high, *v);
        sum = sum + *v;
    }
    state_.cell_gap = !whole;
    const auto pack = state_.voltage.fresh(at);
    const bool sum_fits = pack && magnitude(sum - *pack) <= std::max(500_mV, share(2_pct, *pack));
    if (!whole || !sum_fits || !agree(low, high, at)) {
        refused_ = std::min(refused_ + 1, refusals_to_tell);
        return Heard::implausible;
    }
    refused_ = 0;
    complete_ = true;
    state_.cells.set(cells, at, cell_voltages.id);
    // A board that never tells its extremes: they are in here too.
    if (poll_.given_up_on(cell_extremes.id)) take_extremes(low, high, cell_voltages.id, at);
    return Heard::used;
}

bool Cells::agree(Voltage low, Voltage high, Instant at) const
{
    if (poll_.given_up_on(cell_extremes.id)) return true;
    const auto told_low = lowest_.fresh(at), told_high = highest_.fresh(at);
    const auto current = state_.current.fresh(at);
    const bool calm = current && magnitude(*current) < little_current;
    if (!told_low || !told_high) return false;
    return !calm || (magnitude(low - *told_low) <= extremes_agree && magnitude(high - *told_high) <= extremes_agree);
}

Heard Cells::on_temperatures(const CanFrame& f, Instant at)
{
    if (!sensors_ || *sensors_ == 0) return Heard::not_mine;
    const auto count = static_cast<std::size_t>(*sensors_), per_frame = static_cast<std::size_t>(sensors_per_frame);
    switch (temperatures_.take(f, (count + per_frame - 1) / per_frame, at)) {
    case Stream::Taken::invalid: return Heard::implausible;
    case Stream::Taken::surplus: return Heard::used;
    case Stream::Taken::more: poll_.answered(f.id, false, at); return Heard::used;
    case Stream::Taken::complete: break;
    }
    SensorTemperatures sensors;
    sensors.count = count;
    std::optional<Temperature> low, high;
    bool whole = true;
    for (std::size_t i = 0; i < count; ++i) {
        const auto t = frame_sensors[i % per_frame](temperatures_.frame(i / per_frame));
        sensors.set(i, t);
        whole = whole && t;
        if (!t) continue;
        low = std::min(low.value_or(*t), *t);
        high = std::max(high.value_or(*t), *t);
    }
    poll_.answered(f.id, true, at);
    state_.temperatures.set(sensors, at, f.id);
    // As with the cells; a sensor that is missing leaves the lowest unknown, not cold.
    if (whole && poll_.given_up_on(temperature_extremes.id)) take_temperatures(*low, *high, f.id, at);
    return Heard::used;
}

}  // namespace batgw::daly
