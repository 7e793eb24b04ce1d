// What the C++ suites in the machine share. They run as root on a kernel of their own.
#pragma once

#include "tests/bus/bus_fixture.hpp"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string>
#include <thread>

#include <linux/can/error.h>
#include <linux/can/raw.h>
#include <linux/capability.h>
#include <linux/if_link.h>
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

extern "C" unsigned int if_nametoindex(const char* name);  // <net/if.h> quarrels with <linux/if.h>

namespace batgw::test {

// For `ip` and its like. A start takes some 30 ms in there.
inline void sh(const std::string& command)
{
    CAPTURE(command);
    REQUIRE(std::system(command.c_str()) == 0);
}

// Somebody else on the bus.
class Peer {
public:
    explicit Peer(const std::string& interface) : fd_{::socket(PF_CAN, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, CAN_RAW)}
    {
        sockaddr_can address{};
        address.can_family = AF_CAN;
        address.can_ifindex = static_cast<int>(if_nametoindex(interface.c_str()));
        REQUIRE(address.can_ifindex > 0);
        REQUIRE(::bind(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    }
    bool send(const can_frame& frame) const { return ::send(fd_.get(), &frame, sizeof frame, MSG_DONTWAIT) == sizeof frame; }
    std::optional<can_frame> next(int wait_ms = 0) const
    {
        pollfd p{fd_.get(), POLLIN, 0};
        can_frame f{};
        if (::poll(&p, 1, wait_ms) > 0 && ::recv(fd_.get(), &f, sizeof f, MSG_DONTWAIT) == sizeof f) return f;
        return std::nullopt;
    }

private:
    Fd fd_;
};

// A bus under test, with everything it says.
struct UnderTest {
    UnderTest(const Loop& l, const BusSpec& spec) : loop{l}, bus{open_bus(l.base, spec, listener, log)}
    {
        REQUIRE(loop.run_until([&] { return bus->status().tried; }, 5s));
    }
    bool becomes(BusState state, Duration most = 5s) const
    {
        return loop.run_until([&] { return bus->status().state == state; }, most);
    }
    bool hears(std::size_t frames, Duration most = 2s) const
    {
        return loop.run_until([&] { return listener.heard.size() >= frames; }, most);
    }
    const BusCounters& counters() const { return bus->status().counters; }

    const Loop& loop;
    Listener listener;
    Lines log;
    std::unique_ptr<Bus> bus;
};

inline BusSpec all_of(std::string interface, std::optional<std::uint32_t> bitrate = {})
{
    return {.interface = std::move(interface), .bitrate = bitrate, .receives = {}, .sends = {}, .receive_all = true};
}

// While it lives, this thread and those that it starts lack CAP_NET_ADMIN.
class WithoutPermission {
public:
    WithoutPermission() { set(false); }
    ~WithoutPermission() { set(true); }
    WithoutPermission(const WithoutPermission&) = delete;
    WithoutPermission& operator=(const WithoutPermission&) = delete;

private:
    static void set(bool on)
    {
        __user_cap_header_struct head{_LINUX_CAPABILITY_VERSION_3, 0};
        __user_cap_data_struct data[2]{};
        REQUIRE(::syscall(SYS_capget, &head, data) == 0);
        auto& effective = data[CAP_TO_INDEX(CAP_NET_ADMIN)].effective;
        effective = on ? effective | CAP_TO_MASK(CAP_NET_ADMIN) : effective & ~CAP_TO_MASK(CAP_NET_ADMIN);
        REQUIRE(::syscall(SYS_capset, &head, data) == 0);
    }
};

inline long ms(Duration d) { return static_cast<long>(d / 1ms); }

}  // namespace batgw::test
