// A real mosquitto of our own on a free loopback port.
#pragma once

#include <cstdint>
#include <string>

#include <sys/types.h>

namespace batgw {

class DemoBroker {
public:
    // Starts it and waits until it listens. Throws std::runtime_error with a hint when there is no mosquitto.
    explicit DemoBroker(const std::string& directory);
    ~DemoBroker();
    DemoBroker(const DemoBroker&) = delete;
    DemoBroker& operator=(const DemoBroker&) = delete;
    std::uint16_t port() const { return port_; }

private:
    void stop() const noexcept;
    std::uint16_t port_ = 0;
    pid_t pid_ = -1;
};

}  // namespace batgw
