// Puts a simulated device on a bus in real time.
#pragma once

#include "batgw/timer.hpp"
#include "bus/bus.hpp"
#include "bus/event.hpp"
#include "sim/simulator.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>

namespace batgw {

class SimPort final : public BusListener {
public:
    struct Device {
        std::function<void(const CanFrame&, Instant)> on_frame;
        std::function<void(std::span<const std::uint8_t>, Instant)> on_bytes;
        std::function<Instant(Instant, Outbox&)> on_tick;
    };
    // `interface`: as in the configuration, or the far end of a port: pty:PATH, waveshare:pty:PATH, slcan:pty:PATH. `serial`: the
    // device is on a serial line. Throws std::invalid_argument where interface and device do not fit.
    SimPort(event_base* base, const std::string& interface, const std::optional<SerialLine>& serial, Device device, BusLog& log,
        VirtualHub* hub = nullptr);

    void on_frame(const CanFrame& frame, Instant received, Instant now) override;
    void on_bytes(std::span<const std::uint8_t> bytes, Instant received, Instant now) override;
    void on_bus(Instant now) override;
    const BusStatus& status() const { return bus_->status(); }

private:
    void on_timer();
    void tick(Instant now);

    Device device_;
    Timer timer_;
    EventHandle on_timer_event_;
    std::unique_ptr<Bus> bus_;
    FixedVector<CanFrame, 64> frames_;     // the bus was full
    FixedVector<Telegram, 16> telegrams_;  // likewise
};

}  // namespace batgw
