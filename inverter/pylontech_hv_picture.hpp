// What an inverter is shown of the battery and of the verdict: whole values, before any encoding.
#pragma once

#include "inverter/pylontech_hv_frames.hpp"
#include "model/config.hpp"
#include "model/driver.hpp"

#include <cstdint>
#include <optional>

namespace batgw::pylontech_hv {

class Picture {
public:
    explicit Picture(const Options& o);

    // The voltage window and whether power is told; to be called first in every tick.
    void look_at_verdict(const Verdict& v, InverterPhase phase);
    // Everything else, with the phase of this tick.
    void look(const InverterView& view, InverterPhase phase, bool asleep, Instant now);
    // All that an answer needs was known at least once, and is known now.
    bool complete(const InverterView& view) const;
    // For the life of the program, as of the first call (SAFE-116).
    void fix_geometry(const PackFacts& facts);

    // In whole steps of the wire; zero is zero.
    const Limits& limits() const { return limits_; }
    bool charge_stopped() const { return limits_.charge == Current{}; }
    bool discharge_stopped() const { return limits_.discharge == Current{}; }
    const Totals& totals() const { return totals_; }
    const Extremes<Voltage>& cell_voltages() const { return cell_voltages_; }
    const Extremes<Voltage>& module_voltages() const { return module_voltages_; }
    const Extremes<Temperature>& cell_temperatures() const { return cell_temperatures_; }
    const Extremes<Temperature>& module_temperatures() const { return module_temperatures_; }
    const Status& status() const { return status_; }
    const Geometry& geometry() const { return *geometry_; }  // after fix_geometry()
    bool soc_overridden() const { return override_.has_value(); }

private:
    void look_at_window(const Verdict& v);
    void look_at_cells(const InverterView& view, Instant now);
    void look_at_sensors(const BatteryState& b, Instant now);
    void look_at_modules(const BatteryState& b);
    void look_at_status(const InverterView& view, InverterPhase phase, bool asleep);

    Geometry configured_;  // voltage or capacity 0: the pack's own
    Voltage margin_;

    bool window_known_ = false;
    Limits limits_;  // the window is the last sane one, margins applied
    Totals totals_;
    Extremes<Voltage> cell_voltages_, module_voltages_;
    Extremes<Temperature> cell_temperatures_, module_temperatures_;
    Status status_;
    std::optional<Geometry> geometry_;
    std::optional<Percent> override_;
};

// A value of the wire's steps: 0.1 V, 0.1 A.
inline constexpr std::int64_t step_milli = 100;
template <class Q>
constexpr Q in_steps(std::int64_t steps)
{
    return Q::from_milli(steps * step_milli);
}

}  // namespace batgw::pylontech_hv
