// Two batteries of one kind on one bus (SAFE-185): nothing in a frame tells them apart, but each message comes twice as often.
// One message alone proves nothing, its period may be documented wrongly; all of them together do.
#pragma once

#include "model/can_frame.hpp"
#include "model/driver.hpp"
#include "model/fixed_vector.hpp"
#include "model/signal.hpp"
#include "model/time.hpp"

#include <cstdint>
#include <span>

namespace batgw {

class SecondSender {
public:
    // Watches what is both declared with a period and received.
    SecondSender(std::span<const MessageView> messages, std::span<const RxRule> receives);

    void on_frame(const CanFrame& frame, Instant received);
    // True from two windows on in which everything that came came twice.
    bool there(Instant now);

    static constexpr Duration window = 10s;  // ours
    static constexpr unsigned windows = 2;
    static constexpr std::uint32_t least = 8;      // frames in a window: fewer say nothing of a period
    static constexpr unsigned least_messages = 2;  // of those that say something

private:
    struct Message {
        std::uint32_t id = 0;
        bool extended = false;
        Duration period{};
        std::uint32_t count = 0;
    };
    bool all_doubled() const;

    FixedVector<Message, 32> messages_;
    Instant since_{};
    bool started_ = false;
    unsigned doubled_ = 0;  // windows in a row
};

}  // namespace batgw
