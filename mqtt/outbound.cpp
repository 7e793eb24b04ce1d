#include "mqtt/outbound.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

namespace batgw::mqtt {

void Outbound::erase(const std::deque<Outgoing>::iterator& message)
{
    bytes_ -= message->bytes();
    waiting_.erase(message);
}

// The oldest QoS 0 message goes first, then the oldest that can be made anew, then the oldest.
void Outbound::make_room(std::size_t messages, std::size_t bytes)
{
    while (!waiting_.empty() && (waiting_.size() + messages > messages_max || bytes_ + bytes > bytes_max)) {
        auto victim = std::find_if(waiting_.begin(), waiting_.end(), [](const Outgoing& m) { return m.qos == 0; });
        if (victim == waiting_.end())
            victim = std::find_if(waiting_.begin(), waiting_.end(), [](const Outgoing& m) { return m.keep != Keep::deliver; });
        if (victim == waiting_.end()) victim = waiting_.begin();
        erase(victim);
        ++dropped_;
    }
}

void Outbound::push(Outgoing message)
{
    if (message.bytes() > bytes_max) {
        ++dropped_;
        return;
    }
    if (message.keep == Keep::newest) {
        const auto same = std::find_if(waiting_.begin(), waiting_.end(),
            [&](const Outgoing& m) { return m.keep == Keep::newest && m.topic == message.topic; });
        if (same != waiting_.end()) {
            bytes_ += message.bytes();
            bytes_ -= same->bytes();
            *same = std::move(message);
            make_room(0, 0);
            return;
        }
    }
    make_room(1, message.bytes());
    bytes_ += message.bytes();
    waiting_.push_back(std::move(message));
}

void Outbound::push_front(std::vector<Outgoing> messages)
{
    for (const Outgoing& m : messages) bytes_ += m.bytes();
    waiting_.insert(waiting_.begin(), std::make_move_iterator(messages.begin()), std::make_move_iterator(messages.end()));
    make_room(0, 0);
}

Outgoing Outbound::pop()
{
    Outgoing first = std::move(waiting_.front());
    bytes_ -= first.bytes();
    waiting_.pop_front();
    return first;
}

void Outbound::forget()
{
    std::erase_if(waiting_, [](const Outgoing& m) { return m.keep != Keep::deliver; });
    bytes_ = 0;
    for (const Outgoing& m : waiting_) bytes_ += m.bytes();
}

void Outbound::clear()
{
    waiting_.clear();
    bytes_ = 0;
}

}  // namespace batgw::mqtt
