// A CAN network interface as the kernel describes it, and what batgw does to it. Everything here may block for as long as the
// kernel's network lock is held by somebody else (bringing up an SPI controller takes tens of milliseconds), so it is only called
// from the thread of a LinkKeeper, never from the bridge's.
//
// Changes go through libsocketcan. Reading does not: libsocketcan waits for ever when the interface vanishes between its name and
// its question, needs a round trip per value, and prints to standard error.
#pragma once

#include "bus/event.hpp"
#include "model/bus_status.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <linux/can.h>

namespace batgw::bus {

struct LinkInfo {
    int index = 0;
    bool is_can = false;
    bool up = false;
    bool has_controller = false;    // answers for bit rate and state; vcan does not, which is no fault
    std::optional<BusState> state;  // of the controller: never `missing`
    std::uint32_t bitrate = 0;      // 0: not set, or nothing to set
    std::uint32_t restart_ms = 0;   // 0: the kernel does not restart after bus-off
    bool listen_only = false;
    std::optional<std::uint8_t> tx_errors, rx_errors;
    unsigned queue_length = 0;  // 0: none (vcan)
};

// The answer to RTM_GETLINK, or one piece of news of the same form. Hostile lengths give nothing. `name`: of the interface it is
// about.
std::optional<LinkInfo> parse_link(std::span<const std::uint8_t> message, std::string& name);

class Netlink {
public:
    Netlink();  // throws std::system_error
    // Nothing, with errno: ENODEV when there is no such interface, something else when the kernel gave no answer.
    std::optional<LinkInfo> read(const std::string& name);

private:
    Fd fd_;
    std::uint32_t sequence_ = 0;
};

// News of links: readable whenever an interface appears, changes or goes.
class LinkNews {
public:
    LinkNews();  // throws std::system_error
    int fd() const { return fd_.get(); }
    // Empties it. True when something concerns the interface, or when news was lost.
    bool concerns(const std::string& name, int index);

private:
    Fd fd_;
};

bool may_configure();  // CAP_NET_ADMIN, effective

enum class LinkStep : std::uint8_t { none, down, bitrate, mode, restart_ms, queue, up, restart };
std::string_view to_string(LinkStep step);  // completes "cannot ..."
struct LinkFault {
    LinkStep step = LinkStep::none;
    int error = 0;  // errno
};

struct LinkWish {
    std::uint32_t bitrate = 500000;
    bool listen_only = false;
};
// True when there is nothing to do.
bool as_wished(const LinkInfo& now, const LinkWish& wish);
// Down, bit rate, mode, no restart by the kernel, queue length, up; only what differs. Where there is no controller it is only
// brought up. `mode` is reported but does not stop the rest: a controller without listen-only mode is used without.
LinkFault configure(const std::string& name, const LinkInfo& now, const LinkWish& wish);

// After bus-off. Drivers that know no restart are taken down and up again; when `up` fails, try bring_up() until it works.
LinkFault restart(const std::string& name, bool& by_down_up);
LinkFault bring_up(const std::string& name);

inline constexpr unsigned queue_shortest = 10, queue_longest = 32;  // frames, SAFE-263

// A bound, non-blocking CAN_RAW socket with filters, error frames, kernel time stamps, drop counter, and a short send buffer.
struct SocketOptions {
    std::vector<can_filter> filters;
    bool receive_all = false;
};
// Empty, with errno set, when it fails.
Fd open_socket(int index, const SocketOptions& options);

}  // namespace batgw::bus
