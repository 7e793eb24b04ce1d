// What all CAN adapters on a serial port have in common: the port, the filter, state and counters, and saying so when nothing
// comes. The protocol is that of a class derived from this one.
#pragma once

#include "bus/id_filter.hpp"
#include "bus/serial_port.hpp"

#include <optional>

namespace batgw::bus {

class Adapter : public Bus, private PortUser {
public:
    Adapter(const Adapter&) = delete;
    Adapter& operator=(const Adapter&) = delete;

    Sent send(const CanFrame& frame) final;
    const BusStatus& status() const final { return status_; }

    static constexpr Duration patience = 3s;  // without a frame, before that is told

protected:
    Adapter(event_base* base, const BusSpec& spec, const PortName& port, SerialLine line, BusListener& listener, BusLog& log,
        BusClock& clock, const SystemTree& tree);

    // The port was opened: set up the adapter.
    virtual void begin(Instant now) = 0;
    virtual void take(std::span<const std::uint8_t> bytes, Instant received, Instant now) = 0;
    virtual void beat(Instant now) = 0;
    virtual std::size_t encode(const CanFrame& frame, std::span<std::uint8_t, SerialPort::most_at_once> out) const = 0;
    virtual void was_sent() {}
    // What to look at when bytes come that make no frame.
    virtual std::string no_frame_words() const = 0;

    void deliver(const CanFrame& frame, Instant received, Instant now);
    void refuse_frame() { ++status_.counters.not_data; }  // remote, FD
    void enter_state(BusState state);                     // tells the listener at the end of this turn
    Sent put(std::span<const std::uint8_t> bytes) { return port_.write(bytes); }
    Sent put(std::string_view text);

    bool heard_frame() const { return last_frame_.has_value(); }  // since the port was opened
    SerialPort& port() { return port_; }
    const IdFilter& filter() const { return filter_; }
    bool listen_only() const { return listen_only_; }

    BusStatus status_;

private:
    void port_opened(Instant now) final;
    void port_failed(Instant now) final;
    void port_read(std::span<const std::uint8_t> bytes, Instant received, Instant now) final;
    void port_beat(Instant now) final;
    void watch(Instant now);

    BusListener& listener_;
    IdFilter filter_;
    bool listen_only_;
    bool changed_ = false;
    std::optional<Instant> last_frame_;  // of any id
    Instant watched_since_{};
    std::uint64_t skipped_then_ = 0;
    Instant next_complaint_{};
    SerialPort port_;
};

}  // namespace batgw::bus
