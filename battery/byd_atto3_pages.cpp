#include "battery/byd_atto3_pages.hpp"

#include <algorithm>

namespace batgw::byd_atto3 {
namespace {

constexpr std::size_t pages_of(std::size_t cells) { return (cells + cells_per_page - 1) / cells_per_page; }

}  // namespace

void CellPages::on_page(const CanFrame& frame, Instant at, std::optional<unsigned> configured, BatteryState& state)
{
    const auto wanted = cell_page(frame);
    if (!wanted) return;
    const auto page = static_cast<std::size_t>(*wanted);
    if (seen_.too_old(at, state.cells.max_age())) start_over();
    if (seen_.has(page)) end_turn(state);
    seen_.add(page, at);
    store(page, frame);

    const std::size_t count = state.cell_count ? *state.cell_count : configured.value_or(0);
    if (count == 0 || published_ || !seen_.has_first(pages_of(count))) return;
    publish(count, at, state);
    published_ = true;
}

void CellPages::start_over()
{
    seen_.clear();
    published_ = false;
}

void CellPages::store(std::size_t page, const CanFrame& frame)
{
    for (std::size_t i = 0; i < cells_per_page; ++i) {
        const std::size_t cell = page * cells_per_page + i;
        values_[cell] = page_cells[i](frame);
        absent_[cell] = read_raw(frame, page_cells[i].bits) == no_such_cell;
    }
}

CellPages::Turn CellPages::look() const
{
    Turn turn;
    for (std::size_t i = 0; i < most_cells; ++i) {
        if (!seen_.has(i / cells_per_page)) continue;
        if (values_[i]) turn.cells = i + 1;
    }
    for (std::size_t i = 0; i < most_cells; ++i) {
        if (!seen_.has(i / cells_per_page)) continue;
        if (i < turn.cells)
            turn.hole |= !values_[i];
        else
            turn.no_data_above |= !absent_[i];
    }
    turn.end_seen = turn.cells < most_cells && seen_.has(turn.cells / cells_per_page) && absent_[turn.cells];
    return turn;
}

// A page has come for the second time.
void CellPages::end_turn(BatteryState& state)
{
    const Turn turn = look();
    const std::size_t known = state.cell_count.value_or(0);
    // Frames were lost: what is there stays, the next turn fills the rest.
    if (!seen_.has_first(pages_of(std::max(turn.cells, known)))) return;
    start_over();
    if (turn.cells == 0) return;
    state.cell_gap = turn.hole || turn.cells < known;
    if (state.cell_gap || turn.no_data_above) {
        candidate_ = 0;
        return;
    }
    // A cell that 0x446 names must be among them.
    const auto named = std::max(state.cell_min_number.last().value_or(Count{}), state.cell_max_number.last().value_or(Count{}));
    const bool sure =
        (turn.end_seen || turn.cells == candidate_) && named <= Count::from_milli(static_cast<std::int64_t>(turn.cells) * 1000);
    if (sure) state.cell_count = static_cast<unsigned>(turn.cells);
    candidate_ = turn.cells;
}

void CellPages::publish(std::size_t count, Instant at, BatteryState& state) const
{
    CellVoltages cells;
    cells.count = count;
    for (std::size_t i = 0; i < count; ++i) cells.set(i, values_[i]);
    state.cells.set(cells, at, cell_voltages.id);
}

void SensorPages::on_page(const CanFrame& frame, Instant at, BatteryState& state)
{
    const auto wanted = sensor_page(frame);
    if (!wanted) return;
    const auto page = static_cast<std::size_t>(*wanted);
    if (seen_.too_old(at, state.temperatures.max_age()) || seen_.has(page)) seen_.clear();
    seen_.add(page, at);
    for (std::size_t i = 0; i < sensors_per_page; ++i) values_[page * sensors_per_page + i] = page_sensors[i](frame);
    if (!seen_.has_first(pages)) return;

    SensorTemperatures sensors;
    for (std::size_t i = 0; i < most_sensors; ++i) {
        sensors.set(i, values_[i]);
        if (values_[i]) sensors.count = i + 1;
    }
    state.temperatures.set(sensors, at, sensor_temperatures.id);
    seen_.clear();
}

}  // namespace batgw::byd_atto3
