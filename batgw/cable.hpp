// The DC cable between two simulators in different processes: a datagram socket at an agreed path. The battery's process owns the
// path and the link capacitor; the inverter's process tells its current and is told the voltage at its terminals.
#pragma once

#include "bus/event.hpp"
#include "model/units.hpp"
#include "sim/simulator.hpp"

#include <optional>
#include <string>

namespace batgw {

class CableEnd {
public:
    // Throws std::system_error when the socket cannot be made.
    static CableEnd battery_side(const std::string& path);
    static CableEnd inverter_side(const std::string& path);
    ~CableEnd();
    CableEnd(CableEnd&&) noexcept = default;
    CableEnd(const CableEnd&) = delete;
    CableEnd& operator=(CableEnd&&) = delete;
    CableEnd& operator=(const CableEnd&) = delete;

    void tell(std::int64_t milli);         // lost when nobody is at the other end
    std::optional<std::int64_t> newest();  // of what was told since last asked

private:
    CableEnd(const std::string& mine, std::string other);
    std::string mine_, other_;
    Fd socket_;
};

// The inverter at the far end, as the battery's process sees it.
class RemoteInverter final : public sim::SimulatedInverter {
public:
    explicit RemoteInverter(CableEnd& cable) : cable_{cable} {}
    void on_frame(const CanFrame&, Instant) override {}
    Instant on_tick(Instant now, Outbox&) override { return now + 1s; }
    std::string command(std::string_view) override { return "error: far end of the cable"; }
    std::string status() const override { return {}; }
    sim::InverterReport report() const override { return {}; }
    void set_terminal_voltage(Voltage voltage) override { cable_.tell(voltage.milli()); }
    Current current() const override
    {
        if (const auto milli = cable_.newest()) current_ = Current::from_milli(*milli);
        return current_;
    }
    void set_wish(Power) override {}
    std::optional<Current> charge_limit() const override { return std::nullopt; }
    std::optional<Current> discharge_limit() const override { return std::nullopt; }
    std::optional<Percent> told_soc() const override { return std::nullopt; }
    std::optional<Voltage> told_voltage() const override { return std::nullopt; }

private:
    CableEnd& cable_;
    mutable Current current_{};
};

}  // namespace batgw
