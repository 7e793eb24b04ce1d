// Readings held against each other (SAFE-028), and the battery's identity against itself (SAFE-116).
#pragma once

#include "model/battery_state.hpp"
#include "model/inverter_state.hpp"
#include "model/text.hpp"
#include "safety/limits.hpp"

#include <array>
#include <cstdint>
#include <optional>

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
    // Of the newest array, which is summed up once; empty when that is not complete or not fresh.
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
    // As first known in use. Each of them is watched from the moment it is known.
    struct Identity {
        std::optional<unsigned> cells;
        std::optional<Energy> energy;
        std::optional<Voltage> voltage_max, voltage_min;
        std::array<Text<16>, modules_max> serials{};  // of modules, by address
    };
    // One property: what differs, and for good once it did.
    struct Change {
        Detector differs;
        bool happened = false;
    };
    static bool follow(Change& change, bool known, bool differs, std::uint32_t samples, Instant now);
    void watch_serials(const BatteryState& battery, bool in_use, std::uint32_t samples, Instant now);

    Identity known_;
    Change cells_, energy_, window_, window_low_, serials_;
    Detector mismatch_, gap_;
};

}  // namespace batgw
