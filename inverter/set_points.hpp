// What every inverter driver makes of the verdict in the same way, whatever its wire looks like.
#pragma once

#include "model/driver.hpp"
#include "model/units.hpp"
#include "model/verdict.hpp"

#include <cstdint>
#include <optional>

namespace batgw {

// A voltage window in steps of the wire, rounded to its inside. `own_max`: without the margin.
struct WindowSteps {
    std::int64_t max = 0, min = 0, own_max = 0;
    bool sane() const { return min > 0 && min < max; }
};

// The window of the verdict. Design limits get the margin, a voltage that the battery itself asks for does not (SAFE-114). A
// window that the margin would close goes out without it; of one that is none there is nothing: the last one stands.
inline std::optional<WindowSteps> window_steps(const Verdict& v, Voltage margin, std::int64_t step_milli)
{
    if (!v.voltage_max || !v.voltage_min) return std::nullopt;
    const std::int64_t own_max = v.voltage_max->down_in(step_milli);
    const Voltage upper = v.voltage_max_asked ? *v.voltage_max : *v.voltage_max - margin;
    const Voltage lower = v.voltage_min_asked ? *v.voltage_min : *v.voltage_min + margin;
    const WindowSteps inside{upper.down_in(step_milli), lower.up_in(step_milli), own_max};
    const WindowSteps whole{own_max, v.voltage_min->up_in(step_milli), own_max};
    if (!whole.sane()) return std::nullopt;
    return inside.sane() ? inside : whole;
}

// The state of charge for the inverter: as measured, or scaled where the configuration wants that (SAFE-115).
inline std::optional<Percent> soc_for_inverter(const InverterView& view)
{
    return view.verdict.soc_shown ? view.verdict.soc_shown : view.battery.soc.last();
}

// SAFE-113. The judge says in which blocked direction current flows; `charge_zero`, `discharge_zero`: that limit on the wire is
// really zero. The state of charge to show instead of the battery's.
inline std::optional<Percent> soc_override(const Verdict& v, bool charge_zero, bool discharge_zero)
{
    const bool charge = charge_zero && covers(v.override_soc, Direction::charge);
    const bool discharge = discharge_zero && covers(v.override_soc, Direction::discharge);
    if (charge && (!discharge || v.high_cause)) return 100_pct;
    if (discharge) return 0_pct;
    return std::nullopt;
}

}  // namespace batgw
