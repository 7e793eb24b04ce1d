// Tells the service manager how we are (sd_notify(3)).
#pragma once

#include "bus/event.hpp"

#include <chrono>
#include <optional>
#include <string_view>

namespace batgw {

// Speaks the documented datagram protocol itself: libsystemd's sd_notify() opens a blocking socket at each call, and the thread
// that feeds the watchdog must never block.
class ServiceManager {
public:
    // Reads NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID. Without them everything here does nothing.
    ServiceManager();

    // False: its queue is full, so it does not know yet; say it again later.
    bool ready(std::string_view status);
    void reloading();
    void stopping();
    void status(std::string_view text);
    void feed_watchdog();

    // The watchdog's time as the service manager was told, if it watches us.
    std::optional<std::chrono::microseconds> watchdog() const { return watchdog_; }

private:
    bool say(std::string_view text);  // false: try again
    Fd socket_;
    std::optional<std::chrono::microseconds> watchdog_;
};

}  // namespace batgw
