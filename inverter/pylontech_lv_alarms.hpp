// From the judge's faults to the alarm bits of 0x359 and 0x35A: one table, no decision.
#pragma once

#include "model/can_frame.hpp"
#include "model/fault.hpp"
#include "model/units.hpp"

#include <cstdint>
#include <span>

namespace batgw::pylontech_lv {

// What one fault is shown as. The first ones are decided by the fault's own numbers.
enum class Item : std::uint8_t {
    none,         // not the inverter's business, or told by limits alone
    voltage,      // high or low: by value and limit
    temperature,  // high or low: by which end of the pack is farther out
    current,      // by its sign, or by the direction it names
    voltage_high,
    voltage_low,
    temperature_high,
    temperature_low,
    charge_current,
    discharge_current,
    communication,  // battery data missing, in part or all
    internal,       // the battery's electronics
    contactor,
    imbalance,
    general
};
Item item_of(FaultId id);

// What an inverter is told of alarms. Bits of 0x359 as in its first four bytes, one bit per item of 0x35A.
struct Alarms {
    std::uint32_t status = 0;
    std::uint16_t raised = 0, warned = 0;
    friend constexpr bool operator==(const Alarms&, const Alarms&) = default;
};

// What the alarms are judged against: which directions are told zero now, and where the pack's temperatures are.
struct AlarmContext {
    Direction stopped = Direction::none;
    bool alarm_stops_both = false;
    Temperature temperature_min, temperature_max;
};

// A fault counts as a protection only while the directions it blocks are told zero; until then it warns.
Alarms alarms_of(std::span<const ActiveFault> faults, const AlarmContext& context);

void put_status(CanFrame& frame, const Alarms& shown);  // bytes 0 to 3 of 0x359
CanFrame encode_alarms(const Alarms& shown);            // 0x35A: raised ones 01, all else 10

}  // namespace batgw::pylontech_lv
