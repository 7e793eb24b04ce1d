// A serial port on the bridge's thread: bytes in and out, never waiting. Finding, opening and closing happen in a PortKeeper,
// again and again: an adapter that is pulled and plugged in goes on.
#pragma once

#include "bus/bus.hpp"
#include "bus/clock.hpp"
#include "bus/event.hpp"
#include "bus/port_keeper.hpp"

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace batgw::bus {

// Who uses a port. Calls come from the event loop, never from inside write().
class PortUser {
public:
    virtual ~PortUser() = default;
    virtual void port_opened(Instant now) = 0;
    virtual void port_failed(Instant now) = 0;  // lost, or could not be opened; fault() tells
    // `received`: when the bytes came at the earliest, where the loop stood still meanwhile (SAFE-232).
    virtual void port_read(std::span<const std::uint8_t> bytes, Instant received, Instant now) = 0;
    virtual void port_beat(Instant now) = 0;  // every 50 ms while open
};

class SerialPort {
public:
    // `name`: of the bus, for the log.
    SerialPort(event_base* base, std::string name, PortKeeper::Setup setup, PortUser& user, BusLog& log,
        BusClock& clock = system_clocks());
    ~SerialPort();
    SerialPort(const SerialPort&) = delete;
    SerialPort& operator=(const SerialPort&) = delete;

    bool open() const { return static_cast<bool>(fd_); }
    bool tried() const { return tried_; }  // the first try is over
    PortFault fault() const { return fault_; }
    // All of it or nothing, at most `most_at_once` bytes. `full`: what was written before has not left yet.
    Sent write(std::span<const std::uint8_t> bytes);

    void line(BusLog::Level level, std::string_view text);
    // The same trouble is told once, until it is something else or all is well.
    void trouble(BusLog::Level level, std::string text);
    void no_trouble() { trouble_.clear(); }

    static constexpr std::size_t most_at_once = 64;
    static constexpr Duration beat = 50ms;
    static constexpr Duration stall = 250ms;  // the loop stood still

private:
    void on_report();
    void on_readable();
    void on_writable() { flush(); }
    void on_soon();
    void on_beat();
    void install(const PortReport& report);
    void lose(int error);
    bool flush();

    event_base* base_;
    std::string name_;
    SerialLine settings_;
    PortUser& user_;
    BusLog& log_;
    BusClock& clock_;
    PortKeeper keeper_;
    EventHandle on_report_, on_readable_, on_writable_, on_soon_, on_beat_;
    Fd fd_;
    std::string path_;
    PortFault fault_ = PortFault::missing;
    bool tried_ = false;
    int write_error_ = 0;                            // to be dealt with from the loop
    int most_waiting_;                               // bytes in the driver's queue
    std::array<std::uint8_t, most_at_once> rest_{};  // of what was written last and the driver did not take
    std::size_t rest_size_ = 0;
    Instant last_beat_{};
    std::optional<Instant> stalled_since_;  // until everything that came meanwhile is read
    std::string trouble_;
};

}  // namespace batgw::bus
