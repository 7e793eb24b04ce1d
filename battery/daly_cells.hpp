// Cells and temperatures of a Daly pack: the extremes (0x91, 0x92) and the complete sets (0x95, 0x96), held against each other.
#pragma once

#include "battery/daly_poll.hpp"
#include "battery/daly_stream.hpp"
#include "model/battery_state.hpp"
#include "model/bus_status.hpp"
#include "model/can_frame.hpp"
#include "model/reading.hpp"

#include <cstdint>
#include <optional>

namespace batgw::daly {

class Cells {
public:
    // Both belong to the driver.
    Cells(BatteryState& state, Poll& poll);

    Heard on_extremes(const CanFrame& f, Instant at);
    Heard on_temperature_extremes(const CanFrame& f, Instant at);
    // Frames of a set. Without a count of cells, or of sensors, there is no telling what they mean.
    Heard on_voltages(const CanFrame& f, Instant at);
    Heard on_temperatures(const CanFrame& f, Instant at);

    // A question was sent: what is left of the answer before counts no more.
    void restart();
    // Something was lost or damaged on the way.
    void spoil();
    void set_sensors(std::int64_t count) { sensors_ = count; }
    std::optional<std::int64_t> sensors() const { return sensors_; }

    // A whole set of cells has agreed with the count and with the rest.
    bool complete() const { return complete_; }
    // Two sets in a row did not; one in a few minutes is normal.
    bool refused() const { return refused_ >= refusals_to_tell; }

private:
    static constexpr unsigned refusals_to_tell = 2;

    Heard take(const CellVoltages& cells, Instant at);
    bool agree(Voltage low, Voltage high, Instant at) const;
    void take_extremes(Voltage low, Voltage high, std::uint32_t source, Instant at);
    void take_temperatures(Temperature low, Temperature high, std::uint32_t source, Instant at);

    BatteryState& state_;
    Poll& poll_;
    Stream voltages_, temperatures_;
    // Of the answer before.
    Reading<Voltage> lowest_, highest_;
    Reading<Temperature> coldest_, hottest_;
    std::optional<std::int64_t> sensors_;
    bool complete_ = false;
    unsigned refused_ = 0;
};

}  // namespace batgw::daly
