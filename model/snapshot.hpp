// Everything the outside may know, of one instant (SAFE-030): what MQTT, HTTP and the status line show.
#pragma once

#include "model/battery_state.hpp"
#include "model/bus_status.hpp"
#include "model/command.hpp"
#include "model/inverter_state.hpp"
#include "model/verdict.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace batgw {

struct Snapshot {
    Instant started{}, now{};
    Verdict verdict;
    BatteryState battery;
    InverterState inverter;
    OperatorState operator_;
    OperatorState operator_kept;  // what of it survives a restart (SAFE-196)
    ContactorMode contactor_mode = ContactorMode::none;
    struct Bus {
        BusStatus status;
        TrafficCounters traffic;
        double received_per_s = 0, sent_per_s = 0;
    };
    std::array<Bus, 2> buses;  // battery's, inverter's
    // Of several packs in parallel, each for itself; `verdict` and `battery` are then of all together. Empty: there is one pack.
    struct Pack {
        Verdict verdict;
        BatteryState battery;
        Bus bus;
    };
    // A vector, and filled where it stands: its memory is asked for once, and by nobody who has one pack.
    std::vector<Pack> packs;
    bool clock_valid = false;
    std::uint64_t transitions = 0;  // counts safety transitions: a change means publish at once (MQTT-033)
};

// SAFE-047. What happened, with the inputs of that instant.
enum class EventType : std::uint8_t {
    start,
    stop,
    fault_set,
    fault_cleared,
    fault_class,
    state,
    contactors,
    link,
    command,
    reload
};
constexpr std::string_view to_string(EventType t)
{
    constexpr std::array<std::string_view, 10> names{
        "start", "stop", "fault_set", "fault_cleared", "fault_class", "state", "contactors", "link", "command", "reload"};
    return names[static_cast<std::size_t>(t)];
}
struct Event {
    std::uint64_t number = 0;  // from 1, over the life of the process
    EventType type{};
    Instant at{};
    ActiveFault fault;  // of the fault events: what it looked like
    Text<24> from, to;  // states, classes
    Text<80> text;
    // Inputs at that instant; last known values, empty when never received.
    std::optional<Voltage> voltage, cell_voltage_min, cell_voltage_max;
    std::optional<Current> current;
    std::optional<Temperature> temperature_min, temperature_max;
    std::optional<Percent> soc;
};

}  // namespace batgw
