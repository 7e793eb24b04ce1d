// Listens to everything that is published at a broker. For the demo's screen; it has a thread of its own.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <string>

struct mosquitto;

namespace batgw {

class MqttEar {
public:
    // Starts listening, and goes on trying while there is no broker at that port of this machine.
    explicit MqttEar(std::uint16_t port);
    ~MqttEar();
    MqttEar(const MqttEar&) = delete;
    MqttEar& operator=(const MqttEar&) = delete;

    struct Heard {
        std::map<std::string, std::string> newest;  // by topic
        std::uint64_t messages = 0;
    };
    Heard heard() const;

private:
    mosquitto* client_;
    mutable std::mutex mutex_;
    Heard heard_;
};

}  // namespace batgw
