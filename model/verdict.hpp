// What the judge decided. The only source of a limit, a set point, a permission (SAFE-001).
#pragma once

#include "model/contactor_lines.hpp"
#include "model/fault.hpp"
#include "model/fixed_vector.hpp"
#include "model/time.hpp"
#include "model/units.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace batgw {

enum class GatewayState : std::uint8_t {
    starting,
    run,
    derated,
    block_charge,
    block_discharge,
    block,
    paused,
    trip,
    emergency,
    observe,
    shutdown
};
constexpr std::string_view to_string(GatewayState s)
{
    constexpr std::array<std::string_view, 11> names{"STARTING", "RUN", "DERATED", "BLOCK_CHARGE", "BLOCK_DISCHARGE", "BLOCK",
        "PAUSED", "TRIP", "EMERGENCY", "OBSERVE", "SHUTDOWN"};
    const auto i = static_cast<std::size_t>(s);
    return i < names.size() ? names[i] : "?";
}

// What makes a grant as low as it is.
enum class Cause : std::uint8_t {
    config,
    operator_,
    battery,
    cell_voltage,
    pack_voltage,
    temperature,
    soc,
    deviation,
    ramp,
    stale,
    link,
    fault,
    contactor,
    inverter
};
constexpr std::string_view to_string(Cause c)
{
    constexpr std::array<std::string_view, 14> names{"config", "operator", "battery", "cell_voltage", "pack_voltage",
        "temperature", "soc", "deviation", "ramp", "stale", "link", "fault", "contactor", "inverter"};
    const auto i = static_cast<std::size_t>(c);
    return i < names.size() ? names[i] : "?";
}

// Proof that the judge has just judged: only it makes a grant above zero, so no path to the inverter can forget the question.
class Grant {
public:
    constexpr Grant() = default;                            // nothing
    constexpr Power power() const { return power_; }        // >= 0
    constexpr Current current() const { return current_; }  // >= 0, at the measured pack voltage
    constexpr Cause by() const { return by_; }
    constexpr bool is_zero() const { return power_ <= Power{} || current_ <= Current{}; }
    friend constexpr bool operator==(const Grant&, const Grant&) = default;

private:
    constexpr Grant(Power power, Current current, Cause by) : power_{power}, current_{current}, by_{by} {}
    friend class GrantWriter;  // safety/grant_writer.hpp
    Power power_{};
    Current current_{};
    Cause by_ = Cause::fault;
};

// What the judge wants of contactors. Drivers of `bms_command` packs turn it into their conversation; `gpio` drives coils.
enum class ContactorOrder : std::uint8_t {
    keep,   // open stays open, closed is held closed; a driver still listening goes on listening
    close,  // close, or stay closed
    open    // run the open sequence now; the current is low or waiting is over. Before "closed" was seen: give up closing
};

enum class ContactorMode : std::uint8_t { none, bms_command, gpio };
constexpr std::string_view to_string(ContactorMode m)
{
    constexpr std::array<std::string_view, 3> names{"none", "bms_command", "gpio"};
    return names[static_cast<std::size_t>(m)];
}

// SAFE-140. In `bms_command` mode NEG_CLOSED to POS_CLOSED happen inside the pack and show as PRECHARGE.
enum class ContactorState : std::uint8_t {
    init,
    open,
    neg_closed,
    precharge,
    pos_closed,
    closed,
    opening,
    open_verify,
    cooldown,
    lockout,
    emergency,
    unknown
};
constexpr std::string_view to_string(ContactorState s)
{
    constexpr std::array<std::string_view, 12> names{"INIT", "OPEN", "NEG_CLOSED", "PRECHARGE", "POS_CLOSED", "CLOSED", "OPENING",
        "OPEN_VERIFY", "COOLDOWN", "LOCKOUT", "EMERGENCY", "UNKNOWN"};
    const auto i = static_cast<std::size_t>(s);
    return i < names.size() ? names[i] : "?";
}

// Why contactors do not close, or what start-up step waits (SAFE-141, SAFE-250).
enum class Waiting : std::uint8_t {
    nothing,
    bus,
    battery_listen,
    battery_data,
    battery_identity,
    battery_fault,
    inverter,
    boot_inhibit,
    valid_time,
    operator_,
    attempts,
    permission,
    current,
    cooldown,
    lockout,
    cycle_limit,
    inverter_ready,
    gpio_lines,
    interlock,
    link_voltage,
    link_precharged,
    open_verify,
    parallel
};
constexpr std::string_view to_string(Waiting w)
{
    constexpr std::array<std::string_view, 23> names{"nothing", "bus", "battery_listen", "battery_data", "battery_identity",
        "battery_fault", "inverter", "boot_inhibit", "valid_time", "operator", "attempts", "permission", "current", "cooldown",
        "lockout", "cycle_limit", "inverter_ready", "gpio_lines", "interlock", "link_voltage", "link_precharged", "open_verify",
        "parallel"};
    const auto i = static_cast<std::size_t>(w);
    return i < names.size() ? names[i] : "?";
}

struct ContactorVerdict {
    ContactorState state = ContactorState::init;
    ContactorOrder order = ContactorOrder::keep;
    unsigned attempts = 0;           // failed closings within the window
    unsigned opened_under_load = 0;  // as far back as the record goes (SAFE-154)
    std::optional<Current> load;     // with which they opened last under load, if it was known
    bool power_allowed = false;      // closed by fresh feedback, or not ours to know (SAFE-161 (e))
    bool proven_open = false;        // by fresh feedback, or an executor that needs none
    Coils coils;                     // in `gpio` mode; else nothing
    friend constexpr bool operator==(const ContactorVerdict&, const ContactorVerdict&) = default;
};

// Facts that do not change while running (SAFE-116). Unknown ones stay empty.
struct PackFacts {
    std::optional<unsigned> cells;
    std::optional<Energy> energy_rated;
    std::optional<Voltage> voltage_max, voltage_min;  // design window
    std::optional<Voltage> voltage_nominal;           // middle of the window
    friend constexpr bool operator==(const PackFacts&, const PackFacts&) = default;
};

using Faults = FixedVector<ActiveFault, 48>;

struct Verdict {
    std::uint64_t sequence = 0;  // strictly increasing; 0: never judged
    Instant at{};
    GatewayState state = GatewayState::starting;
    FaultClass worst = FaultClass::none;
    Waiting waiting = Waiting::bus;  // what start-up or closing waits for
    Grant charge, discharge;
    std::optional<Voltage> voltage_max,
        voltage_min;  // set points for the inverter, driver margin not applied; held while blocked
    bool voltage_max_asked = false, voltage_min_asked = false;  // what the battery itself asks for: no margin (SAFE-114)
    PackFacts pack;
    std::optional<Percent> soc_shown;  // as scaled for the inverter (SAFE-115); empty: as measured

    bool battery_link = false;     // alive by SAFE-170
    bool inverter_link = false;    // alive by SAFE-180
    bool battery_valid = false;    // all that an inverter is shown is known and fresh: identification may start
    bool ready = false;            // power may flow once the inverter's ready time has run: no BLOCK CD, closed, not paused
    bool may_fall_silent = false;  // zero limits were sent long enough and our contactors are open (SAFE-112)
    bool high_cause = false;       // both directions are blocked for a "too high" reason (SOC clamp choice of an inverter)
    // SAFE-113: what is tried on an inverter that goes on although its limit is zero.
    Direction ask_against = Direction::none;   // request_bits: ask for the opposite of this direction, where it is allowed
    Direction override_soc = Direction::none;  // soc_override: the blocked direction in which current flows
    bool fall_silent = false;                  // silence: both limits were told as zero, nothing more is sent
    bool stopped = false;                      // orderly stop complete: nothing needs to be sent any more
    bool mute_battery = false, mute_inverter = false;  // never transmit there (SAFE-185, observe mode)
    bool slow_battery = false, slow_inverter = false;  // nobody acknowledges there: no message more than once a second (SAFE-264)
    // SAFE-219: what should always hold of a verdict and did not, in words; empty: all is well. A judge that contradicts itself
    // is not asked again: this is its last verdict, zero and open, and the program ends.
    std::string_view broken;

    Faults faults;
    std::optional<ActiveFault>
        first_cause;  // first of the present chain of BLOCK or worse (SAFE-047); without one the oldest DERATE
    ContactorVerdict contactors;
    friend constexpr bool operator==(const Verdict&, const Verdict&) = default;
};

}  // namespace batgw
