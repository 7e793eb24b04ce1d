// Readings held against each other (SAFE-028), and the battery's identity against itself (SAFE-116).
#pragma once

#include "model/battery_state.hpp"
#include "model/inverter_state.hpp"
#include "safety/limits.hpp"

namespace batgw {

class CrossChecks {
public:
    struct Input {
        const BatteryState& battery;
        const PackSamples& samples;
        const InverterState* inverter = nullptr;  // none: its checks rest
        bool closed = false;                      // contactors are believed closed
        std::optional<Charge> capacity;           // for (f)
    };
    void update(const Input& in, const LimitContext& context);

private:
    // Of a complete array.
    struct Cells {
        Voltage sum, min, max, average;
    };
    static std::optional<Cells> summary(const CellVoltages& array);
    void sum_of_cells(const Input& in, const LimitContext& context);
    void order(const Input& in, const LimitContext& context);
    void against_inverter(const Input& in, const LimitContext& context);
    void extremes(const Input& in, const LimitContext& context);
    void frozen_soc(const Input& in, const LimitContext& context);

    Detector sum_, cell_order_, temperature_order_, voltage_, extremes_, current_, soc_;
    // Of the newest array; empty when that is not complete or not fresh.
    std::optional<Cells> newest_, cells_;
    std::uint32_t newest_sample_ = 0;
    // (f): charge that went through since the state of charge last moved, in mA times microseconds.
    std::optional<Percent> soc_seen_;
    std::int64_t net_ma_us_ = 0;
    std::optional<Current> last_current_;
    Instant last_at_{};
};

class IdentityWatch {
public:
    // `in_use`: contactors closed or an inverter connected.
    void update(const BatteryState& battery, const PackFacts& facts, std::optional<unsigned> configured_cells, bool in_use,
        const LimitContext& context);

private:
    std::optional<unsigned> cells_;  // as first known
    Detector changed_, mismatch_, gap_;
    bool was_changed_ = false;  // until restart
};

}  // namespace batgw
