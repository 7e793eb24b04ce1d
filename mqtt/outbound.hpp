// What waits to be sent: bounded, and never stale (MQTT-062).
#pragma once

#include "mqtt/message.hpp"

#include <cstdint>
#include <deque>

namespace batgw::mqtt {

class Outbound {
public:
    static constexpr std::size_t messages_max = 512;
    static constexpr std::size_t bytes_max = 256 * 1024;

    void push(Message message);
    // Back to the front, where it was taken from.
    void push_front(Message message);
    bool empty() const { return waiting_.empty(); }
    const Message& front() const { return waiting_.front(); }
    Message pop();
    // The connection is gone: only what must be delivered stays.
    void forget();
    void clear();

    std::size_t size() const { return waiting_.size(); }
    std::size_t bytes() const { return bytes_; }
    std::uint64_t dropped() const { return dropped_; }

private:
    void make_room(std::size_t bytes);
    void erase(std::deque<Message>::iterator message);

    std::deque<Message> waiting_;
    std::size_t bytes_ = 0;
    std::uint64_t dropped_ = 0;
};

}  // namespace batgw::mqtt
