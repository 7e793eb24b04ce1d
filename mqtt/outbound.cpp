#include "mqtt/outbound.hpp"

#include <algorithm>
#include <utility>

namespace batgw::mqtt {

void Outbound::erase(std::deque<Message>::iterator message)
{
    bytes_ -= message->bytes();
    waiting_.erase(message);
}

// The oldest QoS 0 message goes first, then the oldest that can be made anew, then the oldest.
void Outbound::make_room(std::size_t bytes)
{
    while (!waiting_.empty() && (waiting_.size() >= messages_max || bytes_ + bytes > bytes_max)) {
        auto victim = std::find_if(waiting_.begin(), waiting_.end(), [](const Message& m) { return m.qos == 0; });
        if (victim == waiting_.end())
            victim = std::find_if(waiting_.begin(), waiting_.end(), [](const Message& m) { return m.keep != Keep::deliver; });
        if (victim == waiting_.end()) victim = waiting_.begin();
        erase(victim);
        ++dropped_;
    }
}

void Outbound::push(Message message)
{
    if (message.bytes() > bytes_max) {
        ++dropped_;
        return;
    }
    if (message.keep == Keep::newest) {
        const auto same = std::find_if(waiting_.begin(), waiting_.end(), [&](const Message& m) { return m.keep == Keep::newest && m.topic == message.topic; });
        if (same != waiting_.end()) {
            bytes_ += message.bytes();
            bytes_ -= same->bytes();
            *same = std::move(message);
            make_room(0);
            return;
        }
    }
    make_room(message.bytes());
    bytes_ += message.bytes();
    waiting_.push_back(std::move(message));
}

void Outbound::push_front(Message message)
{
    bytes_ += message.bytes();
    waiting_.push_front(std::move(message));
}

Message Outbound::pop()
{
    Message first = std::move(waiting_.front());
    bytes_ -= first.bytes();
    waiting_.pop_front();
    return first;
}

void Outbound::forget()
{
    std::erase_if(waiting_, [](const Message& m) { return m.keep != Keep::deliver; });
    bytes_ = 0;
    for (const Message& m : waiting_) bytes_ += m.bytes();
}

void Outbound::clear()
{
    waiting_.clear();
    bytes_ = 0;
}

}  // namespace batgw::mqtt
