// The limits of cells, pack, temperature, state of charge and insulation: faults they raise, and what they leave of the grants
// (SAFE-060 to SAFE-075). One class per subject; each is told what the judge believes, reports its faults and gives its
// fractions.
#pragma once

#include "model/config.hpp"
#include "model/units.hpp"
#include "model/verdict.hpp"
#include "safety/fault_table.hpp"
#include "safety/signals.hpp"

#include <cstdint>
#include <optional>

namespace batgw {

// What is left of the configured maximum, per direction.
struct Fractions {
    Percent charge = 100_pct, discharge = 100_pct;
    std::optional<Current> charge_most{}, discharge_most{};  // and fixed ceilings, where there are any
};

// What every subject is told. Which pack it is the table knows.
struct LimitContext {
    const SafetyConfig& config;
    FaultTable& faults;
    Instant now;
};

// SAFE-061: highest and lowest cell.
class CellLimits {
public:
    Fractions update(const PackSamples& in, std::uint16_t highest, std::uint16_t lowest, const LimitContext& context);

private:
    void faults(const PackSamples& in, std::uint16_t highest, std::uint16_t lowest, const LimitContext& context);
    Detector high_, high_trip_, low_, low_trip_, deep_, curve_high_, curve_low_;
};

// SAFE-063: highest minus lowest.
class DeviationLimits {
public:
    // `rated`: a tenth of it counts as little current. Unknown: none does.
    Fractions update(const PackSamples& in, std::optional<Current> rated, const LimitContext& context);

private:
    Detector warn_, derate_, block_, trip_;
};

// SAFE-062.
class PackVoltageLimits {
public:
    struct Window {
        std::optional<Voltage> max, min;              // narrowed
        std::optional<Voltage> cells_max, cells_min;  // cells times block thresholds
    };
    void update(const PackSamples& in, const Window& window, const LimitContext& context);

private:
    Detector high_, low_, trip_high_, trip_low_;
};
PackVoltageLimits::Window voltage_window(const SafetyConfig::Cell& cell, std::optional<unsigned> cells, const PackFacts& facts,
    std::optional<Voltage> configured_max, std::optional<Voltage> configured_min);

// SAFE-064, SAFE-065, SAFE-072.
class TemperatureLimits {
public:
    // `states_limits`: the battery declares limits of its own, which may be trusted.
    Fractions update(const PackSamples& in, bool states_limits, const LimitContext& context);

private:
    // Lowest temperature of a time window, as a queue of ever higher later samples.
    class LowestOf {
    public:
        Temperature update(Temperature t, Instant at, Duration window);

    private:
        struct Point {
            Instant at;
            Temperature t;
        };
        FixedVector<Point, 64> points_;
    };
    void block(Detector& detector, FaultId id, Direction direction, const Sample<Temperature>& in, bool set, bool clear,
        std::int64_t limit_milli, const LimitContext& context);
    Fractions judge(const PackSamples& in, const Curve& charge, const Curve& discharge, const LimitContext& context);
    void block_where_zero(const PackSamples& in, const Curve& charge, const Curve& discharge, const LimitContext& context);
    void trip(const PackSamples& in, const LimitContext& context);
    void spread(const PackSamples& in, const LimitContext& context);

    Detector cold_charge_, cold_discharge_, cold_all_, hot_charge_, hot_discharge_, crit_, event_, rise_, spread_warn_,
        spread_block_;
    Detector curve_;
    LowestOf lowest_;
    Temperature lowest_in_window_{};
};

// SAFE-069.
class SocLimits {
public:
    Fractions update(const PackSamples& in, const LimitContext& context);

private:
    Detector low_, high_, curve_, charge_curve_;
};

// SAFE-067, and the rest that is no curve: health, insulation (SAFE-071), what the battery reports and permits.
class ReportedLimits {
public:
    // `closed`, `open`: proven by feedback; neither is unknown.
    void update(const BatteryState& battery, bool closed, bool open, const LimitContext& context);
    // Open, and the last reading would block if it stayed: nothing may be connected before that is decided.
    bool insulation_doubtful() const { return insulation_doubtful_; }

private:
    void insulation(const BatteryState& battery, bool closed, bool open, const LimitContext& context);
    void permissions(const BatteryState& battery, const LimitContext& context);
    Detector insulation_warn_, insulation_block_, soh_, denies_charge_, denies_discharge_;
    bool insulation_doubtful_ = false;
};

class CurrentLimits {
public:
    // `voltage` turns the configured powers into currents; without one nothing is judged.
    void update(const Reading<Current>& current, const Sample<Voltage>& voltage, Power max_charge, Power max_discharge,
        const LimitContext& context);

private:
    Detector block_charge_, block_discharge_, trip_charge_, trip_discharge_;
};

}  // namespace batgw
