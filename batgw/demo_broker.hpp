// A real mosquitto of our own on a free loopback port, and an ear on everything that is published there.
#pragma once

#include "model/units.hpp"

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>

struct mosquitto;

namespace batgw {

class DemoBroker {
public:
    // Starts it and waits until it listens. Throws std::runtime_error with a hint when there is no mosquitto.
    explicit DemoBroker(const std::string& directory);
    ~DemoBroker();
    DemoBroker(const DemoBroker&) = delete;
    DemoBroker& operator=(const DemoBroker&) = delete;

    std::uint16_t port() const { return port_; }
    struct Heard {
        std::map<std::string, std::string> newest;  // by topic
        std::uint64_t messages = 0;
    };
    Heard heard() const;

private:
    std::uint16_t port_ = 0;
    pid_t pid_ = -1;
    mosquitto* ear_ = nullptr;
    mutable std::mutex mutex_;
    Heard heard_;
};

}  // namespace batgw
