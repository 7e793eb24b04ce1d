// What an inverter says, and what its driver last told it. Advisory: nothing here ever raises a grant (SAFE-184).
#pragma once

#include "model/reading.hpp"
#include "model/text.hpp"
#include "model/units.hpp"

#include <optional>

namespace batgw {

// Where the conversation with the inverter stands.
enum class InverterPhase : std::uint8_t { silent, identify, hold, run, fault };
constexpr std::string_view to_string(InverterPhase p)
{
    constexpr std::array<std::string_view, 5> names{"silent", "identify", "hold", "run", "fault"};
    return names[static_cast<std::size_t>(p)];
}

struct InverterState {
    std::optional<Instant> heard;  // last valid frame of the inverter; empty: never since start
    InverterPhase phase = InverterPhase::silent;

    Reading<Voltage> voltage{5s};  // at the inverter's battery terminals
    Reading<Current> current{5s};  // positive charges the battery, where the protocol's sign is known
    Reading<Temperature> temperature{60s};
    Reading<Percent> soc{60s};
    Reading<std::uint32_t> clock{120s};  // seconds since 1970 as the inverter counts them; never used to set a clock
    Text<16> name;                       // brand, printable ASCII
    std::uint32_t requests = 0;          // identification requests heard
    bool soc_overridden = false;         // the SOC on the wire is not the battery's

    // What was last encoded, after caps and rounding.
    Reading<Voltage> sent_voltage;
    Reading<Current> sent_current;
    Reading<Percent> sent_soc;
    Reading<Current> sent_charge_limit, sent_discharge_limit;
    Reading<Voltage> sent_voltage_max, sent_voltage_min;
};

}  // namespace batgw
