// One MQTT message on its way out, and what becomes of it while it waits.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace batgw::mqtt {

enum class Keep : std::uint8_t {
    newest,  // a newer one of the same topic replaces it; forgotten when the connection is lost
    each,    // every one counts (STATUS); forgotten when the connection is lost
    deliver  // kept over a lost connection until the broker has confirmed it (RESULT)
};

struct Outgoing {
    std::string topic;
    std::string payload;
    int qos = 0;
    bool retain = false;
    Keep keep = Keep::newest;
    std::string correlation;  // MQTT 5 correlation data, for an answer to a response topic

    std::size_t bytes() const { return topic.size() + payload.size() + correlation.size(); }
};

}  // namespace batgw::mqtt
