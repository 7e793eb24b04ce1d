// Values that come spread over pages: published together when the set is whole, and never in part (SAFE-030).
#pragma once

#include "battery/byd_atto3_layout.hpp"
#include "model/battery_state.hpp"
#include "model/time.hpp"

#include <array>
#include <bitset>
#include <cstddef>
#include <optional>

namespace batgw::byd_atto3 {

// Which pages of a set have come. A set that takes longer than its age limit is given up as a whole.
template <std::size_t N>
class PageSet {
public:
    bool too_old(Instant at, Duration max_age) const { return seen_.any() && at - first_at_ > max_age; }
    void add(std::size_t page, Instant at)
    {
        if (seen_.none()) first_at_ = at;
        seen_.set(page);
    }
    bool has(std::size_t page) const { return seen_[page]; }
    bool has_first(std::size_t n) const  // pages 0 to n - 1
    {
        for (std::size_t i = 0; i < n; ++i)
            if (!seen_[i]) return false;
        return true;
    }
    void clear() { seen_.reset(); }

private:
    std::bitset<N> seen_;
    Instant first_at_{};
};

// 0x43D. How many cells there are is learnt from the pages, not guessed: as many as are valid without a hole, once every page up
// to the last of them has been seen and either an explicit "no such cell" follows or two whole turns agree (a page lost at the
// end looks like a smaller pack).
class CellPages {
public:
    // `configured`: the expected count, where there is one. Pages beyond the last possible cell are ignored. Updates cells,
    // cell_count and cell_gap.
    void on_page(const CanFrame& frame, Instant at, std::optional<unsigned> configured, BatteryState& state);

private:
    // What the pages seen so far say.
    struct Turn {
        std::size_t cells = 0;       // number of the last valid one
        bool hole = false;           // a lower one is missing
        bool end_seen = false;       // the next place says "no such cell"
        bool no_data_above = false;  // a higher place is neither a cell nor "no such cell"
    };
    Turn look() const;
    void start_over();
    void end_turn(BatteryState& state);
    void store(std::size_t page, const CanFrame& frame);
    void publish(std::size_t count, Instant at, BatteryState& state) const;

    static constexpr std::size_t pages = most_cells / cells_per_page;
    PageSet<pages> seen_;
    std::array<std::optional<Voltage>, most_cells> values_{};
    std::bitset<most_cells> absent_;  // "no such cell"
    bool published_ = false;          // in this turn
    std::size_t candidate_ = 0;       // count of the turn before
};

// 0x43C.
class SensorPages {
public:
    void on_page(const CanFrame& frame, Instant at, BatteryState& state);

private:
    static constexpr std::size_t pages = most_sensors / sensors_per_page;
    PageSet<pages> seen_;
    std::array<std::optional<Temperature>, most_sensors> values_{};
};

}  // namespace batgw::byd_atto3
