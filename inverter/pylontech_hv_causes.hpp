// From the judge's faults to the alarm, protection and fault bits of Pylontech high voltage: one row per way a fault is shown.
#pragma once

#include "model/fault.hpp"
#include "model/verdict.hpp"

#include <array>
#include <cstdint>
#include <span>

namespace batgw::pylontech_hv {

// What the bits of 0x4250 and 0x4290 say. Alarms are warnings; a protection has stopped the current that it is about.
struct Causes {
    std::uint16_t alarms = 0, protections = 0;  // of Kind
    std::uint8_t faults = 0;                    // of Trouble
    std::uint8_t other = 0;                     // of Other
    friend constexpr bool operator==(const Causes&, const Causes&) = default;
};

// Bits of both alarms and protections.
namespace kind {
inline constexpr std::uint16_t cell_low = 1U << 0, cell_high = 1U << 1, pack_low = 1U << 2, pack_high = 1U << 3,
                               charge_cold = 1U << 4, charge_hot = 1U << 5, discharge_cold = 1U << 6, discharge_hot = 1U << 7,
                               charge_current = 1U << 8, discharge_current = 1U << 9, module_low = 1U << 10,
                               module_high = 1U << 11;
}  // namespace kind
namespace trouble {
inline constexpr std::uint8_t voltage_sensor = 1U << 0, temperature_sensor = 1U << 1, communication = 1U << 2,
                              input_voltage = 1U << 3, input_reversed = 1U << 4, relay = 1U << 5, damaged = 1U << 6,
                              other = 1U << 7;
}  // namespace trouble
namespace other {
inline constexpr std::uint8_t shutdown = 1U << 0, bmic = 1U << 1, bus = 1U << 2, self_test = 1U << 3, safety = 1U << 4;
}  // namespace other

// What besides the faults decides how they are shown.
struct Circumstances {
    bool charge_stopped = true, discharge_stopped = true;  // the limit told is zero
    bool cold = false;                                     // the cells are below, not above, what suits them
};

// A way to show a fault of one id, if `when` says so. `kinds` is an alarm below BLOCK and a protection from there on; `faults`
// and `others` are shown from BLOCK on. Protections and faults only while every direction that the fault blocks is stopped: a
// BLOCK that still fades is an alarm (SAFE-023).
struct Row {
    FaultId id;
    bool (*when)(const ActiveFault&, const Circumstances&);
    std::uint16_t kinds;
    std::uint8_t faults;
    std::uint8_t others;
};
// Every fault has a row, if only to say that it is not shown.
std::span<const Row> rows();

Causes causes_of(std::span<const ActiveFault> faults, const Circumstances& now);

}  // namespace batgw::pylontech_hv
