// From values to the frames of the Pylontech low-voltage dialects. Pure encoding: rounding and saturation, no decision.
#pragma once

#include "inverter/pylontech_lv_alarms.hpp"
#include "inverter/pylontech_lv_profiles.hpp"
#include "model/can_frame.hpp"
#include "model/text.hpp"
#include "model/units.hpp"

#include <cstdint>
#include <optional>

namespace batgw::pylontech_lv {

inline constexpr std::int64_t wire_step_milli = 100;  // of limits: 0.1 V, 0.1 A

// In steps of the wire. What a voltage is allowed to be is the driver's business.
struct Limits {
    std::int64_t charge_voltage = 0, discharge_voltage = 0;
    std::int64_t charge = 0, discharge = 0;
    friend constexpr bool operator==(const Limits&, const Limits&) = default;
};

struct Requests {
    bool charge_enable = false, discharge_enable = false;
    bool force_charge_1 = false, force_charge_2 = false, full_charge = false;
};

struct Measured {
    Voltage voltage;
    Current current;  // positive charges, here and on this wire
    Percent soc;      // as shown: may be capped or an override
    Percent soh;
    Temperature temperature_max, temperature_min, temperature_avg;
    std::optional<Voltage> cell_voltage_max, cell_voltage_min;
    std::optional<std::int64_t> cell_max_number, cell_min_number, coldest_number, hottest_number;  // 1-based
    std::optional<Energy> energy_in, energy_out;
    std::int64_t cycles = 0;
};

struct ModuleCounts {
    std::int64_t online = 1, blocking_charge = 0, blocking_discharge = 0, offline = 0;
    std::int64_t all() const { return online + offline; }
};

// What stays as it is while the program runs (SAFE-116).
struct Identity {
    Charge capacity;
    Text<8> maker;     // 0x35E
    Text<16> battery;  // 0x370, 0x371
};

struct Told {
    Limits limits;
    Requests requests;
    Measured measured;
    ModuleCounts modules;
    Alarms alarms;
    Identity identity;
};

// How frames are filled.
struct Dialect {
    const Profile& profile;
    bool natural_length = false;  // where the profile leaves it open
    bool coarse_voltage = false;  // 0x356 in steps of 0.1 V
};

// Nothing when the battery has not told what the frame is about.
std::optional<CanFrame> encode(Slot slot, const Told& told, const Dialect& dialect);

}  // namespace batgw::pylontech_lv
