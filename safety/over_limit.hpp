// Current against what the inverter was told (SAFE-066, SAFE-068): one that draws more is warned about, then gets nothing, then
// is parted from the battery.
#pragma once

#include "model/fixed_vector.hpp"
#include "model/units.hpp"
#include "safety/fault_table.hpp"
#include "safety/limits.hpp"
#include "safety/signals.hpp"

#include <cstdint>

namespace batgw {

class OverLimit {
public:
    struct Input {
        const Sample<Current>& current;
        Current charge, discharge;  // what the inverter was last told, magnitudes
        bool told = false;          // and it hears what it is told
        bool empty = false;         // discharging is blocked because the battery is empty
    };
    // Reports LIMIT_EXCEEDED, INVERTER_IGNORES_LIMITS and IDLE_DRAIN.
    void update(const Input& in, const LimitContext& context);

    static constexpr Duration restart_after = 5s;  // so long below, and the time above begins anew
    static constexpr Duration drain_time = 30min;
    static constexpr Current drain = Current::from_milli(100);  // ours: the finest step in which batteries tell their current

private:
    // The highest of a time window, as a queue of ever lower later values.
    class HighestOf {
    public:
        Current update(Current value, Instant at, Duration window);

    private:
        struct Point {
            Instant at;  // when it was last in force
            Current value;
        };
        FixedVector<Point, 64> points_;
    };
    struct Side {
        HighestOf granted;
        bool over = false;  // when last known
        bool known = false;
        Duration over_for{};  // known time only
        unsigned samples = 0;
        std::uint32_t last_sample = 0;
        Held below;
    };
    void follow(Side& side, Direction direction, const Input& in, const LimitContext& context);
    static void count(Side& side, bool over, std::uint32_t samples, Duration passed, Instant now);

    Side charge_, discharge_;
    Held told_;
    Instant looked_at_{};
    Detector drain_;
};

}  // namespace batgw
