// The faults there are, by name, and how bad each can be (safety rules SAFE-040 and the fault catalogue).
#pragma once

#include "model/text.hpp"
#include "model/time.hpp"

#include <cstdint>
#include <string_view>

namespace batgw {

// Ordered: the effect of several faults is that of the worst.
enum class FaultClass : std::uint8_t { none, info, warn, derate, block, trip, emergency };

// Which way of the current a limit or a fault concerns. A set of two bits.
enum class Direction : std::uint8_t { none = 0, charge = 1, discharge = 2, both = 3 };
constexpr Direction operator|(Direction a, Direction b)
{
    return static_cast<Direction>(static_cast<unsigned>(a) | static_cast<unsigned>(b));
}
constexpr bool covers(Direction set, Direction one)
{
    return (static_cast<unsigned>(set) & static_cast<unsigned>(one)) == static_cast<unsigned>(one);
}

// name in code, id in topics and logs, rule that defines it
#define BATGW_FAULTS(X)                                                                                                          \
    X(sig_stale, "SIG_STALE", "SAFE-023")                                                                                        \
    X(sig_bad, "SIG_BAD", "SAFE-024")                                                                                            \
    X(sig_frozen, "SIG_FROZEN", "SAFE-027")                                                                                      \
    X(plausibility, "PLAUSIBILITY", "SAFE-028")                                                                                  \
    X(assumed, "ASSUMED", "SAFE-029")                                                                                            \
    X(loop_stall, "LOOP_STALL", "SAFE-004")                                                                                      \
    X(tx_guard_refused, "TX_GUARD_REFUSED", "SAFE-006")                                                                          \
    X(too_many_faults, "TOO_MANY_FAULTS", "SAFE-040")                                                                            \
    X(cell_high_curve, "CELL_HIGH_CURVE", "SAFE-073")                                                                            \
    X(cell_low_curve, "CELL_LOW_CURVE", "SAFE-073")                                                                              \
    X(cell_high, "CELL_HIGH", "SAFE-061")                                                                                        \
    X(cell_high_crit, "CELL_HIGH_CRIT", "SAFE-061")                                                                              \
    X(cell_low, "CELL_LOW", "SAFE-061")                                                                                          \
    X(cell_low_crit, "CELL_LOW_CRIT", "SAFE-061")                                                                                \
    X(cell_deep, "CELL_DEEP", "SAFE-061")                                                                                        \
    X(pack_high, "PACK_HIGH", "SAFE-062")                                                                                        \
    X(pack_low, "PACK_LOW", "SAFE-062")                                                                                          \
    X(pack_v_crit, "PACK_V_CRIT", "SAFE-062")                                                                                    \
    X(cell_dev, "CELL_DEV", "SAFE-063")                                                                                          \
    X(cell_dev_crit, "CELL_DEV_CRIT", "SAFE-063")                                                                                \
    X(temp_curve, "TEMP_CURVE", "SAFE-072")                                                                                      \
    X(temp_cold, "TEMP_COLD", "SAFE-064")                                                                                        \
    X(temp_hot, "TEMP_HOT", "SAFE-064")                                                                                          \
    X(temp_crit, "TEMP_CRIT", "SAFE-064")                                                                                        \
    X(temp_event, "TEMP_EVENT", "SAFE-064")                                                                                      \
    X(temp_spread, "TEMP_SPREAD", "SAFE-065")                                                                                    \
    X(overcurrent, "OVERCURRENT", "SAFE-067")                                                                                    \
    X(soc_curve, "SOC_CURVE", "SAFE-069")                                                                                        \
    X(soc_low, "SOC_LOW", "SAFE-069")                                                                                            \
    X(soc_high, "SOC_HIGH", "SAFE-069")                                                                                          \
    X(soh_low, "SOH_LOW", "SAFE-040")                                                                                            \
    X(bms_fault, "BMS_FAULT", "SAFE-040")                                                                                        \
    X(bms_denies, "BMS_DENIES", "SAFE-021")                                                                                      \
    X(insulation, "INSULATION", "SAFE-071")                                                                                      \
    X(bat_link_lost, "BAT_LINK_LOST", "SAFE-170")                                                                                \
    X(inv_link_lost, "INV_LINK_LOST", "SAFE-180")                                                                                \
    X(id_conflict, "ID_CONFLICT", "SAFE-185")                                                                                    \
    X(identity_changed, "IDENTITY_CHANGED", "SAFE-116")                                                                          \
    X(identity_mismatch, "IDENTITY_MISMATCH", "SAFE-116")                                                                        \
    X(precharge_failed, "PRECHARGE_FAILED", "SAFE-146")                                                                          \
    X(close_failed, "CLOSE_FAILED", "SAFE-148")                                                                                  \
    X(contactor_feedback, "CONTACTOR_FEEDBACK", "SAFE-148")                                                                      \
    X(contactor_not_open, "CONTACTOR_NOT_OPEN", "SAFE-153")                                                                      \
    X(opened_by_itself, "OPENED_BY_ITSELF", "SAFE-161")                                                                          \
    X(closed_by_itself, "CLOSED_BY_ITSELF", "SAFE-161")                                                                          \
    X(contactor_welded, "CONTACTOR_WELDED", "SAFE-156")                                                                          \
    X(weld_suspected, "WELD_SUSPECTED", "SAFE-156")                                                                              \
    X(contactor_wear, "CONTACTOR_WEAR", "SAFE-154")                                                                              \
    X(precharge_unverified, "PRECHARGE_UNVERIFIED", "SAFE-147")                                                                  \
    X(link_precharged, "LINK_PRECHARGED", "SAFE-143")                                                                            \
    X(interlock_open, "INTERLOCK_OPEN", "SAFE-148")                                                                              \
    X(emergency_stop, "ESTOP", "SAFE-155")                                                                                       \
    X(gpio_lines, "GPIO_LINES", "SAFE-159")                                                                                      \
    X(pack_mismatch, "PACK_MISMATCH", "SAFE-281")                                                                                \
    X(link_synthetic, "LINK_SYNTHETIC", "SAFE-161")                                                                              \
    X(unverified_driver, "UNVERIFIED_DRIVER", "SAFE-308")                                                                        \
    X(limit_exceeded, "LIMIT_EXCEEDED", "SAFE-066")                                                                              \
    X(inverter_ignores_limits, "INVERTER_IGNORES_LIMITS", "SAFE-066")                                                            \
    X(idle_drain, "IDLE_DRAIN", "SAFE-068")                                                                                      \
    X(black_start, "BLACK_START", "SAFE-183")                                                                                    \
    X(bus_off, "BUS_OFF", "SAFE-262")                                                                                            \
    X(bus_down, "BUS_DOWN", "SAFE-251")                                                                                          \
    X(tx_starved, "TX_STARVED", "SAFE-263")                                                                                      \
    X(no_ack, "NO_ACK", "SAFE-264")                                                                                              \
    X(rx_drops, "RX_DROPS", "SAFE-261")                                                                                          \
    X(retained_command, "RETAINED_COMMAND", "SAFE-194")                                                                          \
    X(tls_unverified, "TLS_UNVERIFIED", "MQTT-071")                                                                              \
    X(state_not_kept, "STATE_NOT_KEPT", "SAFE-196")                                                                              \
    X(latch_store, "LATCH_STORE", "SAFE-044")                                                                                    \
    X(restart_loop, "RESTART_LOOP", "SAFE-216")                                                                                  \
    X(clock_invalid, "CLOCK_INVALID", "SAFE-233")

enum class FaultId : std::uint8_t {
#define BATGW_ONE(name, id, rule) name,
    BATGW_FAULTS(BATGW_ONE)
#undef BATGW_ONE
        count
};

constexpr std::string_view to_string(FaultId id)
{
    switch (id) {
#define BATGW_ONE(name, text, rule)                                                                                              \
    case FaultId::name: return text;
        BATGW_FAULTS(BATGW_ONE)
#undef BATGW_ONE
    case FaultId::count: break;
    }
    return "?";
}
constexpr std::string_view rule_of(FaultId id)
{
    switch (id) {
#define BATGW_ONE(name, text, rule)                                                                                              \
    case FaultId::name: return rule;
        BATGW_FAULTS(BATGW_ONE)
#undef BATGW_ONE
    case FaultId::count: break;
    }
    return "?";
}
constexpr std::string_view to_string(FaultClass c)
{
    switch (c) {
    case FaultClass::none: return "NONE";
    case FaultClass::info: return "INFO";
    case FaultClass::warn: return "WARN";
    case FaultClass::derate: return "DERATE";
    case FaultClass::block: return "BLOCK";
    case FaultClass::trip: return "TRIP";
    case FaultClass::emergency: return "EMERGENCY";
    }
    return "?";
}
constexpr std::string_view to_string(Direction d)
{
    switch (d) {
    case Direction::none: return "";
    case Direction::charge: return "C";
    case Direction::discharge: return "D";
    case Direction::both: return "CD";
    }
    return "?";
}

// Which device a fault is about; batteries and inverters are numbered from 1.
enum class Device : std::uint8_t { gateway, battery, inverter };

// Unit of `value_milli` and `limit_milli` of an active fault.
enum class Unit : std::uint8_t { none, volt, ampere, watt, percent, celsius, kelvin, ohm_per_volt, second, count };
constexpr std::string_view to_string(Unit u)
{
    switch (u) {
    case Unit::none: return "";
    case Unit::volt: return "V";
    case Unit::ampere: return "A";
    case Unit::watt: return "W";
    case Unit::percent: return "%";
    case Unit::celsius: return "°C";
    case Unit::kelvin: return "K";
    case Unit::ohm_per_volt: return "Ohm/V";
    case Unit::second: return "s";
    case Unit::count: return "";
    }
    return "?";
}

// One active fault. `detail` tells faults of one id apart: a signal's name, an interface, a code of the battery; it follows the
// id after a colon ("SIG_STALE:soc").
struct ActiveFault {
    FaultId id{};
    FaultClass level = FaultClass::none;
    Direction direction = Direction::none;
    Device device = Device::gateway;
    std::uint8_t device_number = 1;
    bool latched = false;    // TRIP and EMERGENCY: stays until an operator resets it
    bool has_value = false;  // value_milli and limit_milli mean something
    Unit unit = Unit::none;
    std::uint16_t number = 0;  // cell or sensor the value is of, 1-based; 0: none
    Instant since{};
    std::int64_t value_milli = 0;
    std::int64_t limit_milli = 0;
    Text<24> detail;
    // The rest is of faults that stay, and of those that came too often.
    bool repeated = false;    // this is "<id>_REPEAT" (SAFE-043)
    bool resettable = false;  // latched, and its cause is gone for long enough (SAFE-045)
    std::uint16_t count = 0;  // how often its cause was seen to come while it was latched, the first time included
    Instant last{};           // when its cause was last there
    friend constexpr bool operator==(const ActiveFault&, const ActiveFault&) = default;
};

// "CELL_HIGH", "TEMP_HOT_REPEAT"; as a detail may follow: what a latch can be reset by.
using FaultName = Text<56>;
FaultName fault_kind(const ActiveFault& fault);
// The same with the detail, "SIG_STALE:soc".
FaultName fault_name(const ActiveFault& fault);

}  // namespace batgw
