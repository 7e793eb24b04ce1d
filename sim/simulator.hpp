// Simulated hardware that behaves: no sockets, no clock, told the time. What `batgw sim`, `batgw demo` and scenario tests drive.
#pragma once

#include "model/can_frame.hpp"
#include "model/driver.hpp"
#include "model/time.hpp"
#include "model/units.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace batgw::sim {

// What is between the pack's cells and its output connector.
enum class Connection : std::uint8_t { open, precharge, closed };

class SimulatedBattery {
public:
    virtual ~SimulatedBattery() = default;

    virtual void on_frame(const CanFrame&, Instant) {}
    virtual void on_bytes(std::span<const std::uint8_t>, Instant) {}  // of a serial protocol; answers are telegrams
    // Moves the pack on to `now`, sends what is due, says when it next wants to be called (> now). Early calls are harmless.
    virtual Instant on_tick(Instant now, Outbox& out) = 0;
    // One line of text control, for people and scripts ("current 5", "cell 9 3.66", "help"). The answer begins with "ok" or
    // "error".
    virtual std::string command(std::string_view line) = 0;
    // One line for people: what it does now.
    virtual std::string status() const = 0;

    // The DC side. Without a plant, the pack simulates what hangs on its output by itself.
    virtual Connection connection() const = 0;
    virtual Voltage pack_voltage() const = 0;              // at the cells' ends, under the present current
    virtual void set_current(Current current) = 0;         // from now on; positive charges. Flows only while closed
    virtual Current current() const = 0;                   // what flows
    virtual void set_output_voltage(Voltage voltage) = 0;  // measured outside the contactors
    virtual Voltage output_voltage() const = 0;
    virtual Percent true_soc() const = 0;
};

// What a simulated inverter has to say of its battery.
struct InverterReport {
    bool identified = false;            // every piece of the identification came, in order
    bool served = false;                // limits above zero were there at least once
    std::uint64_t frames = 0;           // received in all
    std::vector<std::string> problems;  // late frames, broken windows, limits that make no sense; newest last, at most 32
    bool satisfied() const { return identified && served && problems.empty(); }
};

class SimulatedInverter {
public:
    virtual ~SimulatedInverter() = default;

    virtual void on_frame(const CanFrame& frame, Instant at) = 0;
    virtual Instant on_tick(Instant now, Outbox& out) = 0;
    virtual std::string command(std::string_view line) = 0;
    virtual std::string status() const = 0;
    virtual InverterReport report() const = 0;

    // The DC side. Without a plant, the inverter believes the voltage it is told.
    virtual void set_terminal_voltage(Voltage voltage) = 0;
    virtual Current current() const = 0;     // what it pushes into the battery (positive) or draws (negative)
    virtual void set_wish(Power power) = 0;  // positive charges; what it would do if nothing limited it

    // What it was told last, for the demo's screen. Empty before the first frame.
    virtual std::optional<Current> charge_limit() const = 0;
    virtual std::optional<Current> discharge_limit() const = 0;
    virtual std::optional<Percent> told_soc() const = 0;
    virtual std::optional<Voltage> told_voltage() const = 0;
};

// How to make one. `seed`: the only source of chance.
struct BatteryChoice {
    unsigned cells = 0;    // in series; 0: what the protocol's usual pack has
    unsigned modules = 0;  // in parallel, where there can be several; likewise
    std::optional<Percent> soc{};
    std::optional<Temperature> temperature{};
    std::uint64_t seed = 1;
};
struct InverterChoice {
    std::string brand;  // empty: the protocol's usual one
    std::uint64_t seed = 1;
};

}  // namespace batgw::sim
