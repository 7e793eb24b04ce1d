// Puts a simulated device on a bus in real time.
#pragma once

#include "batgw/event.hpp"
#include "batgw/timer.hpp"
#include "bus/bus.hpp"
#include "sim/simulator.hpp"

#include <functional>
#include <memory>
#include <string>

namespace batgw {

class SimPort final : public BusListener {
public:
    using OnFrame = std::function<void(const CanFrame&, Instant)>;
    using OnTick = std::function<Instant(Instant, Outbox&)>;
    SimPort(event_base* base, const std::string& interface, std::optional<std::uint32_t> bitrate, OnFrame on_frame,
        OnTick on_tick, BusLog& log, VirtualHub* hub = nullptr);

    void on_frame(const CanFrame& frame, Instant received, Instant now) override;
    void on_bus(Instant now) override;
    const BusStatus& status() const { return bus_->status(); }

private:
    void on_timer();
    void tick(Instant now);

    OnFrame on_frame_;
    OnTick on_tick_;
    Timer timer_;
    EventHandle on_timer_event_;
    std::unique_ptr<Bus> bus_;
    FixedVector<CanFrame, 64> waiting_;  // the bus was full
};

}  // namespace batgw
