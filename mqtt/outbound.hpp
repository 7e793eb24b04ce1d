// What waits to be sent: bounded, and never stale (MQTT-062).
#pragma once

#include "mqtt/outgoing.hpp"

#include <cstdint>
#include <deque>
#include <vector>

namespace batgw::mqtt {

class Outbound {
public:
    static constexpr std::size_t messages_max = 512;
    static constexpr std::size_t bytes_max = 256 * 1024;

    void push(Outgoing message);
    // Back to the front, where they were taken from.
    void push_front(std::vector<Outgoing> messages);
    bool empty() const { return waiting_.empty(); }
    const Outgoing& front() const { return waiting_.front(); }
    Outgoing pop();
    // The connection is gone: only what must be delivered stays.
    void forget();
    void clear();

    std::size_t size() const { return waiting_.size(); }
    std::size_t bytes() const { return bytes_; }
    std::uint64_t dropped() const { return dropped_; }

private:
    void make_room(std::size_t messages, std::size_t bytes);  // for so many more
    void erase(const std::deque<Outgoing>::iterator& message);

    std::deque<Outgoing> waiting_;
    std::size_t bytes_ = 0;
    std::uint64_t dropped_ = 0;
};

}  // namespace batgw::mqtt
