// Readings of a battery as its value topics want them: thousandths, nothing when not fresh.
#pragma once

#include "model/battery_state.hpp"

#include <cstdint>
#include <optional>

namespace batgw::battery_values {

template <auto Member>
std::optional<std::int64_t> milli(const BatteryState& state, Instant now)
{
    const auto value = (state.*Member).fresh(now);
    return value ? std::optional{value->milli()} : std::nullopt;
}
template <auto Member>
std::optional<std::int64_t> kilo_milli(const BatteryState& state, Instant now)  // Wh shown as kWh
{
    const auto value = milli<Member>(state, now);
    return value ? std::optional{*value / 1000} : std::nullopt;
}
inline std::optional<std::int64_t> power(const BatteryState& state, Instant now)
{
    const auto volts = state.voltage.fresh(now);
    const auto amps = state.current.fresh(now);
    return volts && amps ? std::optional{(*volts * *amps).milli()} : std::nullopt;
}
inline std::optional<std::int64_t> cell_delta(const BatteryState& state, Instant now)
{
    const auto low = milli<&BatteryState::cell_voltage_min>(state, now),
               high = milli<&BatteryState::cell_voltage_max>(state, now);
    return low && high ? std::optional{*high - *low} : std::nullopt;
}

}  // namespace batgw::battery_values
