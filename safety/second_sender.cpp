#include "safety/second_sender.hpp"

#include <algorithm>

namespace batgw {

SecondSender::SecondSender(std::span<const MessageView> messages, std::span<const RxRule> receives)
{
    for (const MessageView& m : messages) {
        const bool received = std::any_of(
            receives.begin(), receives.end(), [&](const RxRule& r) { return r.id == m.id && r.extended == m.extended; });
        const bool once = std::count_if(messages.begin(), messages.end(),
                              [&](const MessageView& other) { return other.carried_by(m.id, m.extended); }) == 1;
        if (received && once && m.count == 1 && m.period.count() > 0) messages_.push_back({m.id, m.extended, m.period});
    }
}

void SecondSender::on_frame(const CanFrame& f, Instant received)
{
    if (!started_) since_ = received;
    started_ = true;
    for (Message& m : messages_)
        if (m.id == f.id && m.extended == f.extended) ++m.count;
}

bool SecondSender::all_doubled() const
{
    unsigned telling = 0;
    for (const Message& m : messages_) {
        const auto expected = static_cast<std::uint32_t>(window / m.period);
        if (m.count == 0 || expected < least) continue;
        if (m.count * 10 < expected * 17) return false;
        ++telling;
    }
    return telling >= least_messages;
}

bool SecondSender::there(Instant now)
{
    if (started_ && now - since_ >= window) {
        // A window that was looked at late holds more than its share.
        const bool whole = now - since_ < window + window / 10;
        doubled_ = whole && all_doubled() ? std::min(doubled_ + 1, windows) : 0;
        for (Message& m : messages_) m.count = 0;
        since_ = now;
    }
    return doubled_ >= windows;
}

}  // namespace batgw
