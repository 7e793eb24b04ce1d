// Couples a simulated pack and a simulated inverter by two virtual DC wires with a link capacitor at the inverter.
#pragma once

#include "model/time.hpp"
#include "model/units.hpp"
#include "sim/simulator.hpp"

namespace batgw::sim {

class Plant {
public:
    Plant(SimulatedBattery& battery, SimulatedInverter& inverter) : battery_{battery}, inverter_{inverter} {}

    // Moves voltages and currents on to `now`; returns when it next wants to be called.
    Instant on_tick(Instant now);
    Voltage link_voltage() const { return Voltage::from_milli(static_cast<std::int64_t>(link_ * 1000.0)); }
    // Highest difference over the main contactors at the moment they closed: what an inrush would have been.
    Voltage worst_closing_step() const { return Voltage::from_milli(static_cast<std::int64_t>(worst_step_ * 1000.0)); }

    static constexpr Duration step = 10ms;
    static constexpr double precharge_tau_s = 0.15;  // about 100 ohm and 1.5 mF
    static constexpr double discharge_tau_s = 8.0;   // bleeding resistors of the inverter

private:
    SimulatedBattery& battery_;
    SimulatedInverter& inverter_;
    bool started_ = false;
    Instant last_{};
    double link_ = 0.0;
    double worst_step_ = 0.0;
    Connection before_ = Connection::open;
};

}  // namespace batgw::sim
