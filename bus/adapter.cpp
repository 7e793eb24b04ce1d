#include "bus/adapter.hpp"

#include "bus/bus_state.hpp"
#include "bus/serial.hpp"

#include <fmt/format.h>

namespace batgw::bus {

Adapter::Adapter(event_base* base, const BusSpec& spec, const PortName& port, SerialLine line, BusListener& listener, BusLog& log,
    BusClock& clock, const SystemTree& tree)
    : listener_{listener},
      filter_{spec.receives, spec.sends, spec.receive_all},
      listen_only_{spec.listen_only},
      port_{base, spec.interface, {.port = port, .line = line, .tree = tree}, *this, log, clock}
{
    status_.name.assign(spec.interface);
}

Sent Adapter::send(const CanFrame& frame)
{
    if (listen_only_ || !can_send(status_.state)) return Sent::down;
    std::array<std::uint8_t, SerialPort::most_at_once> room{};
    const std::size_t size = encode(frame, room);
    const Sent sent = port_.write(std::span{room}.first(size));
    if (sent == Sent::yes) {
        ++status_.counters.sent;
        was_sent();
    }
    if (sent == Sent::full) ++status_.counters.no_buffer;
    if (sent == Sent::down) ++status_.counters.send_errors;
    return sent;
}

Sent Adapter::put(std::string_view text)
{
    return port_.write({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()});
}

void Adapter::deliver(const CanFrame& frame, Instant received, Instant now)
{
    if (!last_frame_) port_.no_trouble();
    last_frame_ = watched_since_ = now;
    skipped_then_ = status_.counters.skipped_bytes;
    if (!filter_.passes(frame)) return;
    ++status_.counters.received;
    listener_.on_frame(frame, received, now);
}

void Adapter::enter_state(BusState state) { changed_ = enter(status_, state) || changed_; }

void Adapter::port_opened(Instant now)
{
    status_.tried = true;
    last_frame_.reset();
    watched_since_ = next_complaint_ = now;
    enter_state(BusState::stopped);  // until it is set up
    begin(now);
    changed_ = false;
    listener_.on_bus(now);
}

void Adapter::port_failed(Instant now)
{
    status_.tried = true;
    status_.bitrate = 0;
    enter_state(state_of(port_.fault()));
    changed_ = false;
    listener_.on_bus(now);
}

void Adapter::port_read(std::span<const std::uint8_t> bytes, Instant received, Instant now)
{
    take(bytes, received, now);
    changed_ = false;
    listener_.on_bus(now);
}

void Adapter::port_beat(Instant now)
{
    beat(now);
    watch(now);
    if (!changed_) return;
    changed_ = false;
    listener_.on_bus(now);
}

// A bus that is silent after it has spoken is for the judge; one that never spoke, or speaks nonsense, is set up wrongly.
void Adapter::watch(Instant now)
{
    const std::uint64_t skipped = status_.counters.skipped_bytes;
    if (!can_send(status_.state)) {
        watched_since_ = now;
        skipped_then_ = skipped;
        return;
    }
    if (now - watched_since_ < patience) return;
    constexpr std::uint64_t too_few = 20;       // to be a frame for certain
    constexpr Duration not_again_before = 60s;  // on a line where a frame comes through now and then
    if (skipped - skipped_then_ >= too_few && now >= next_complaint_) {
        port_.trouble(BusLog::Level::error, "bytes come, but no frame: " + no_frame_words());
        next_complaint_ = now + not_again_before;
    } else if (!last_frame_ && skipped == skipped_then_)
        port_.trouble(BusLog::Level::warn,
            fmt::format("nothing heard since the port was opened: the bus is silent or not wired, or does not run at {} bit/s",
                status_.bitrate));
    watched_since_ = now;
    skipped_then_ = skipped;
}

}  // namespace batgw::bus
