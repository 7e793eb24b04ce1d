#include "batgw/sim_port.hpp"

#include "bus/far_end.hpp"

#include <algorithm>
#include <stdexcept>

namespace batgw {
namespace {

// Sends from the front, until nothing is left or the bus is full. What a bus that is away cannot take is void.
template <class Waiting, class Send>
void send_all(Waiting& waiting, Send send)
{
    while (!waiting.empty()) {
        const Sent sent = send(waiting[0]);
        if (sent == Sent::full) return;
        if (sent == Sent::down)
            waiting.clear();
        else
            waiting.erase_ordered(0);
    }
}

}  // namespace

SimPort::SimPort(event_base* base, const std::string& interface, const std::optional<SerialLine>& serial, Device device,
    BusLog& log, VirtualHub* hub)
    : device_{std::move(device)}
{
    on_timer_event_ = watch<&SimPort::on_timer>(base, timer_.fd(), EV_READ, *this);
    if (bus::is_far_end(interface)) {
        if (interface.starts_with("pty:") != serial.has_value())
            throw std::invalid_argument{interface +
                (serial ? ": this protocol is spoken on a serial line, pty:PATH"
                        : ": this protocol is spoken on CAN, waveshare:pty:PATH or slcan:pty:PATH")};
        bus_ = bus::open_far_end(base, interface, *this);
    } else
        bus_ = open_bus(base,
            {.interface = interface, .bitrate = std::nullopt, .serial = serial, .receives = {}, .sends = {}, .receive_all = true},
            *this, log, hub);
    timer_.arm(monotonic_now());
}

void SimPort::on_frame(const CanFrame& frame, Instant, Instant now) { device_.on_frame(frame, now); }

void SimPort::on_bytes(std::span<const std::uint8_t> bytes, Instant, Instant now) { device_.on_bytes(bytes, now); }

void SimPort::on_bus(Instant now)
{
    if (bus_) tick(now);
}

void SimPort::on_timer()
{
    timer_.answer();
    tick(monotonic_now());
}

void SimPort::tick(Instant now)
{
    Outbox out;
    const Instant next = device_.on_tick(now, out);
    for (const CanFrame& f : out.frames()) frames_.push_back(f);
    for (const Telegram& t : out.telegrams()) telegrams_.push_back(t);
    send_all(frames_, [this](const CanFrame& f) { return bus_->send(f); });
    send_all(telegrams_, [this](const Telegram& t) { return bus_->write(t.bytes()); });
    timer_.arm(frames_.empty() && telegrams_.empty() ? next : std::min(next, now + 5ms));
}

}  // namespace batgw
