// Frames in and out of one non-blocking descriptor: a CAN_RAW socket, or in tests one end of a datagram socket pair.
#pragma once

#include "bus/bus.hpp"
#include "bus/clock.hpp"

#include <array>
#include <cstdint>

#include <linux/can.h>
#include <sys/socket.h>

namespace batgw::bus {

class CanIo {
public:
    CanIo(BusStatus& status, BusClock& clock);
    CanIo(const CanIo&) = delete;
    CanIo& operator=(const CanIo&) = delete;

    // A new socket counts its drops from zero.
    void forget_drops() { drops_ = 0; }

    struct Outcome {
        int error = 0;               // errno of the descriptor; 0 when it is merely empty
        bool state_changed = false;  // by an error frame
    };
    // Hands on what waits, at most `most_per_call` frames: the other bus and the timers want their turn.
    Outcome receive(int fd, BusListener& listener);

    // `error`: errno when the answer is not `yes`.
    Sent send(int fd, const CanFrame& frame, int& error);

    static constexpr unsigned batch = 64;
    static constexpr unsigned most_per_call = 2 * batch;

private:
    struct Slot {
        alignas(8) std::array<std::uint8_t, CANFD_MTU + 8> bytes;  // a longer datagram is seen to be longer
        alignas(cmsghdr) std::array<std::uint8_t, CMSG_SPACE(sizeof(timespec)) + CMSG_SPACE(sizeof(std::uint32_t))> control;
    };

    void prepare(unsigned count);
    void take(const mmsghdr& message, const Slot& slot, BusListener& listener, Instant now, std::chrono::nanoseconds wall,
        Outcome& outcome);
    Instant received_at(const msghdr& header, Instant now, std::chrono::nanoseconds wall);

    BusStatus& status_;
    BusClock& clock_;
    std::uint32_t drops_ = 0;  // as the kernel counted when last told
    std::array<Slot, batch> slots_{};
    std::array<iovec, batch> parts_{};
    std::array<mmsghdr, batch> messages_{};
};

}  // namespace batgw::bus
