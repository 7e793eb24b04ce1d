// Buses inside this process, for the demo and tests: no kernel support needed.
#pragma once

#include "bus/bus.hpp"
#include "bus/clock.hpp"

#include <memory>
#include <string_view>

namespace batgw {

// Any number of buses by name. All members of a hub live on one thread; the hub may go before its buses.
class VirtualHub {
public:
    VirtualHub();
    ~VirtualHub();
    VirtualHub(const VirtualHub&) = delete;
    VirtualHub& operator=(const VirtualHub&) = delete;

    // A frame that one member sends reaches every other member of that bus from the event loop, filtered as a kernel bus would. A
    // member that does not keep up loses frames, which its status counts as queue drops.
    std::unique_ptr<Bus> join(event_base* base, std::string_view bus_name, const BusSpec& spec, BusListener& listener,
        BusClock& clock = system_clocks());

    static constexpr std::size_t queue_length = 1024;  // frames per member
    struct World;

private:
    std::shared_ptr<World> world_;
};

}  // namespace batgw
