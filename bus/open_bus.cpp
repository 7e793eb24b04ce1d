#include "bus/bus.hpp"
#include "bus/socketcan.hpp"
#include "bus/virtual_bus.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

#include <net/if.h>

namespace batgw {
namespace {

// What the kernel takes as the name of an interface.
bool interface_name(std::string_view name)
{
    return !name.empty() && name.size() < IFNAMSIZ && name != "." && name != ".." &&
        std::all_of(name.begin(), name.end(), [](char c) { return c > ' ' && c <= '~' && c != '/' && c != ':'; });
}

}  // namespace

std::unique_ptr<Bus> open_bus(event_base* base, const BusSpec& spec, BusListener& listener, BusLog& log, VirtualHub* hub)
{
    constexpr std::string_view in_process = "virtual:";
    const std::string_view name = spec.interface;
    if (name.starts_with(in_process) && name.size() > in_process.size()) {
        if (hub == nullptr) throw std::invalid_argument{fmt::format("{}: virtual buses exist only within one program", name)};
        return hub->join(base, name.substr(in_process.size()), spec, listener);
    }
    if (!interface_name(name))
        throw std::invalid_argument{fmt::format("'{}' is no kind of bus: a CAN interface such as can0, or virtual:NAME", name)};
    return std::make_unique<bus::SocketCan>(base, spec, listener, log);
}

}  // namespace batgw
