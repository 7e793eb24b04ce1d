#include "bus/bus.hpp"
#include "bus/serial.hpp"
#include "bus/slcan.hpp"
#include "bus/socketcan.hpp"
#include "bus/virtual_bus.hpp"
#include "bus/waveshare.hpp"
#include "model/interface_name.hpp"

#include <fmt/format.h>

#include <stdexcept>

namespace batgw {

std::unique_ptr<Bus> open_bus(event_base* base, const BusSpec& spec, BusListener& listener, BusLog& log, VirtualHub* hub)
{
    const auto name = parse_interface(spec.interface);
    if (!name)
        throw std::invalid_argument{
            fmt::format("'{}' is no kind of bus: a CAN interface such as can0, waveshare:PORT, slcan:PORT, a serial port, or "
                        "virtual:NAME",
                spec.interface)};
    const bool is_line = name->kind == InterfaceKind::serial;
    if (is_line != spec.serial.has_value())
        throw std::invalid_argument{fmt::format("{} is {} serial line", spec.interface, is_line ? "a" : "no")};
    switch (name->kind) {
    case InterfaceKind::serial: return std::make_unique<bus::SerialBus>(base, spec, name->port, listener, log);
    case InterfaceKind::waveshare: return std::make_unique<bus::WaveshareBus>(base, spec, *name, listener, log);
    case InterfaceKind::slcan: return std::make_unique<bus::SlcanBus>(base, spec, *name, listener, log);
    case InterfaceKind::in_process:
        if (hub == nullptr)
            throw std::invalid_argument{fmt::format("{}: virtual buses exist only within one program", spec.interface)};
        return hub->join(base, name->name, spec, listener);
    case InterfaceKind::can: break;
    }
    return std::make_unique<bus::SocketCan>(base, spec, listener, log);
}

}  // namespace batgw
