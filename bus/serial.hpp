// A serial line as a bus of bytes, for batteries that are not on CAN.
#pragma once

#include "bus/serial_port.hpp"

namespace batgw::bus {

// States: `missing`, `stopped` (there, but in use, not permitted, no serial port, not to be set up), `active`. Counts bytes.
class SerialBus final : public Bus, private PortUser {
public:
    SerialBus(event_base* base, const BusSpec& spec, const PortName& port, BusListener& listener, BusLog& log,
        BusClock& clock = system_clocks(), const SystemTree& tree = {});

    Sent send(const CanFrame&) override { return Sent::down; }
    Sent write(std::span<const std::uint8_t> bytes) override;
    const BusStatus& status() const override { return status_; }

private:
    void port_opened(Instant now) override;
    void port_failed(Instant now) override;
    void port_read(std::span<const std::uint8_t> bytes, Instant received, Instant now) override;
    void port_beat(Instant) override {}

    BusListener& listener_;
    BusStatus status_;
    bool listen_only_;
    SerialPort port_;
};

// The state of a bus whose port has this fault.
BusState state_of(PortFault fault);

}  // namespace batgw::bus
