// From values to the frames of the BYD HVS dialect. Pure encoding: rounding and saturation, no decision.
#pragma once

#include "model/can_frame.hpp"
#include "model/units.hpp"

#include <cstdint>
#include <string_view>

namespace batgw::byd_hvs {

// What an inverter stores the first time it sees it: does not change while the program runs (SAFE-116).
struct Identity {
    Energy energy_rated;
    Voltage voltage_nominal;  // middle of the design window
    std::int64_t modules = 2;
    // Full capacity, as the inverter is told: does not move with the state of charge.
    Charge full() const;
};

// A voltage window and current limits in steps of the wire: 0.1 V, 0.1 A.
struct Limits {
    std::int64_t voltage_max = 0, voltage_min = 0;
    std::int64_t charge = 0, discharge = 0;
    friend constexpr bool operator==(const Limits&, const Limits&) = default;
};

struct Measured {
    Voltage voltage;
    Current current;  // positive charges, here and on this wire
    Percent soc;      // as shown: may be an override
    Percent soh;
    Temperature temperature_max, temperature_min, temperature_avg;
};

inline constexpr std::int64_t wire_step_milli = 100;

CanFrame encode_limits(const Limits& limits);
CanFrame encode_charge_state(const Measured& m, const Identity& who);
CanFrame encode_measurements(const Measured& m);
CanFrame encode_temperatures(const Measured& m);
CanFrame encode_counters();
CanFrame encode_identity(const Identity& who);
CanFrame encode_serial(std::int64_t number);
CanFrame encode_vendor();
CanFrame encode_product(std::string_view name, std::size_t index);

}  // namespace batgw::byd_hvs
