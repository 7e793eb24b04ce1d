#include "bus/serial.hpp"

#include "bus/bus_state.hpp"

namespace batgw::bus {

BusState state_of(PortFault fault)
{
    switch (fault) {
    case PortFault::none: return BusState::active;
    case PortFault::missing: return BusState::missing;
    case PortFault::ambiguous:
    case PortFault::not_a_line:
    case PortFault::busy:
    case PortFault::not_permitted:
    case PortFault::settings:
    case PortFault::failed: break;
    }
    return BusState::stopped;
}

SerialBus::SerialBus(event_base* base, const BusSpec& spec, const PortName& port, BusListener& listener, BusLog& log,
    BusClock& clock, const SystemTree& tree)
    : listener_{listener},
      listen_only_{spec.listen_only},
      port_{base, spec.interface, {.port = port, .line = spec.serial.value(), .tree = tree}, *this, log, clock}
{
    status_.name.assign(spec.interface);
}

Sent SerialBus::write(std::span<const std::uint8_t> bytes)
{
    if (listen_only_) return Sent::down;
    const Sent sent = port_.write(bytes);
    if (sent == Sent::yes) status_.counters.sent += bytes.size();
    if (sent == Sent::full) ++status_.counters.no_buffer;
    if (sent == Sent::down) ++status_.counters.send_errors;
    return sent;
}

void SerialBus::port_opened(Instant now)
{
    status_.tried = true;
    enter(status_, BusState::active);
    listener_.on_bus(now);
}

void SerialBus::port_failed(Instant now)
{
    status_.tried = true;
    enter(status_, state_of(port_.fault()));
    listener_.on_bus(now);
}

void SerialBus::port_read(std::span<const std::uint8_t> bytes, Instant received, Instant now)
{
    status_.counters.received += bytes.size();
    listener_.on_bytes(bytes, received, now);
    listener_.on_bus(now);
}

}  // namespace batgw::bus
