#include "bus/can_io.hpp"

#include "bus/bus_state.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <linux/can/error.h>

namespace batgw::bus {

CanIo::CanIo(BusStatus& status, BusClock& clock) : status_{status}, clock_{clock} { prepare(batch); }

void CanIo::prepare(unsigned count)
{
    for (unsigned i = 0; i < count; ++i) {
        parts_[i] = {slots_[i].bytes.data(), slots_[i].bytes.size()};
        messages_[i] = {};
        messages_[i].msg_hdr.msg_iov = &parts_[i];
        messages_[i].msg_hdr.msg_iovlen = 1;
        messages_[i].msg_hdr.msg_control = slots_[i].control.data();
        messages_[i].msg_hdr.msg_controllen = slots_[i].control.size();
    }
}

CanIo::Outcome CanIo::receive(int fd, BusListener& listener)
{
    Outcome outcome;
    for (unsigned handled = 0; handled < most_per_call; handled += batch) {
        const int count = ::recvmmsg(fd, messages_.data(), batch, MSG_DONTWAIT, nullptr);
        if (count < 0) {
            if (errno != EAGAIN && errno != EINTR) outcome.error = errno;
            return outcome;
        }
        // In this order: an age is never short by the time between the two reads.
        const Instant now = clock_.monotonic();
        const auto wall = clock_.wall();
        for (unsigned i = 0; i < static_cast<unsigned>(count); ++i) take(messages_[i], slots_[i], listener, now, wall, outcome);
        prepare(static_cast<unsigned>(count));
        if (static_cast<unsigned>(count) < batch) return outcome;  // empty; if not, the loop calls again at once
    }
    return outcome;
}

void CanIo::take(
    const mmsghdr& message, const Slot& slot, BusListener& listener, Instant now, std::chrono::nanoseconds wall, Outcome& outcome)
{
    const Instant received = received_at(message.msg_hdr, now, wall);
    // What this very socket sent. Frames of other local programs carry MSG_DONTROUTE and are as good as any.
    if ((message.msg_hdr.msg_flags & MSG_CONFIRM) != 0) return;
    can_frame raw{};
    if (message.msg_len != sizeof raw || (message.msg_hdr.msg_flags & MSG_TRUNC) != 0) {
        ++status_.counters.not_data;
        return;
    }
    std::memcpy(&raw, slot.bytes.data(), sizeof raw);
    if ((raw.can_id & CAN_ERR_FLAG) != 0) {
        const auto length = std::min<std::size_t>(raw.len, CAN_MAX_DLEN);
        outcome.state_changed =
            apply_error_frame(status_, raw.can_id & CAN_ERR_MASK, {raw.data, length}) || outcome.state_changed;
        return;
    }
    const bool extended = (raw.can_id & CAN_EFF_FLAG) != 0;
    const std::uint32_t id = raw.can_id & CAN_EFF_MASK;
    if ((raw.can_id & CAN_RTR_FLAG) != 0 || raw.len > CAN_MAX_DLEN || (!extended && id > CAN_SFF_MASK)) {
        ++status_.counters.not_data;
        return;
    }
    ++status_.counters.received;
    CanFrame frame{.id = id, .extended = extended, .len = raw.len, .data = {}};
    std::copy_n(raw.data, raw.len, frame.data.begin());
    listener.on_frame(frame, received, now);
}

Instant CanIo::received_at(const msghdr& header, Instant now, std::chrono::nanoseconds wall)
{
    // The macros want it writable.
    auto* h = const_cast<msghdr*>(&header);
    Received when{now, false};
    for (cmsghdr* c = CMSG_FIRSTHDR(h); c != nullptr; c = CMSG_NXTHDR(h, c)) {
        if (c->cmsg_level != SOL_SOCKET) continue;
        if (c->cmsg_type == SCM_TIMESTAMPNS) {
            timespec stamp{};
            std::memcpy(&stamp, CMSG_DATA(c), sizeof stamp);
            when = reception(std::chrono::seconds{stamp.tv_sec} + std::chrono::nanoseconds{stamp.tv_nsec}, wall, now);
        } else if (c->cmsg_type == SO_RXQ_OVFL) {
            std::uint32_t drops = 0;
            std::memcpy(&drops, CMSG_DATA(c), sizeof drops);
            status_.counters.queue_drops += drops - drops_;  // the kernel's counter wraps, and so does this difference
            drops_ = drops;
        }
    }
    if (!when.trusted) ++status_.counters.no_time;
    return when.at;
}

Sent CanIo::send(int fd, const CanFrame& frame, int& error)
{
    can_frame raw{};
    raw.can_id = frame.id | (frame.extended ? CAN_EFF_FLAG : 0U);
    raw.len = std::min<std::uint8_t>(frame.len, CAN_MAX_DLEN);
    std::copy_n(frame.data.begin(), raw.len, raw.data);
    ssize_t written = 0;
    do written = ::send(fd, &raw, sizeof raw, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (written < 0 && errno == EINTR);
    if (written == static_cast<ssize_t>(sizeof raw)) {
        ++status_.counters.sent;
        return Sent::yes;
    }
    error = errno;
    if (error == EAGAIN || error == ENOBUFS) {
        ++status_.counters.no_buffer;
        return Sent::full;
    }
    ++status_.counters.send_errors;
    return Sent::down;
}

}  // namespace batgw::bus
