// The real loop in real time between a simulated pack and inverter, over socket pairs instead of CAN interfaces.
#pragma once

#include "batgw/bridge.hpp"
#include "batgw/channels.hpp"
#include "batgw/gateway.hpp"
#include "battery/registry.hpp"
#include "bus/event.hpp"
#include "bus/socketcan.hpp"
#include "conf/load.hpp"
#include "inverter/registry.hpp"
#include "sim/plant.hpp"
#include "sim/registry.hpp"

#include <array>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>

#include <linux/can.h>
#include <sys/socket.h>

namespace batgw::bench {

inline std::shared_ptr<const Config> configuration()
{
    constexpr std::string_view text = R"(
battery: {protocol: byd-atto3, interface: can0, cells: 126, capacity_wh: 60480}
inverter: {protocol: byd-hvs, interface: can1, options: {ready_s: 1}}
safety: {start_valid_s: 1, increase_settle_s: 0, ramp_up_pct_per_s: 100, contactors: {boot_inhibit_s: 1, valid_s: 1}}
)";
    Loaded loaded = load(text, "bench.yaml", {.batteries = battery_drivers(), .inverters = inverter_drivers()}, Definitions{});
    if (!loaded.config) throw std::runtime_error{to_string(loaded.problems.front())};
    return std::make_shared<const Config>(std::move(*loaded.config));
}

inline can_frame to_kernel(const CanFrame& f)
{
    can_frame k{};
    k.can_id = f.id | (f.extended ? CAN_EFF_FLAG : 0U);
    k.len = f.len;
    std::copy(f.data.begin(), f.data.end(), k.data);
    return k;
}
inline CanFrame from_kernel(const can_frame& k)
{
    CanFrame f{.id = k.can_id & CAN_EFF_MASK, .extended = (k.can_id & CAN_EFF_FLAG) != 0, .len = k.len};
    std::copy_n(k.data, 8, f.data.begin());
    return f;
}

// A pair of datagram sockets in place of a bus.
struct Pair {
    Pair()
    {
        std::array<int, 2> fds{};
        if (::socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds.data()) != 0)
            throw std::runtime_error{"socketpair"};
        gateway = fds[0];  // the bus takes it over
        world = Fd{fds[1]};
    }
    int gateway;
    Fd world;
};

}  // namespace batgw::bench
