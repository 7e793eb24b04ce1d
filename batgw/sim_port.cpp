#include "batgw/sim_port.hpp"

#include <algorithm>

namespace batgw {

SimPort::SimPort(event_base* base, const std::string& interface, std::optional<std::uint32_t> bitrate, OnFrame on_frame,
    OnTick on_tick, BusLog& log, VirtualHub* hub)
    : on_frame_{std::move(on_frame)},
      on_tick_{std::move(on_tick)}
{
    on_timer_event_ = watch<&SimPort::on_timer>(base, timer_.fd(), EV_READ, *this);
    bus_ = open_bus(
        base, {.interface = interface, .bitrate = bitrate, .receives = {}, .sends = {}, .receive_all = true}, *this, log, hub);
    timer_.arm(monotonic_now());
}

void SimPort::on_frame(const CanFrame& frame, Instant, Instant now) { on_frame_(frame, now); }

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
    const Instant next = on_tick_(now, out);
    for (const CanFrame& f : out.frames()) waiting_.push_back(f);
    while (!waiting_.empty()) {
        const Sent sent = bus_->send(waiting_[0]);
        if (sent == Sent::full) break;
        if (sent == Sent::down)
            waiting_.clear();
        else
            waiting_.erase_ordered(0);
    }
    timer_.arm(waiting_.empty() ? next : std::min(next, now + 5ms));
}

}  // namespace batgw
