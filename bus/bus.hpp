// What carries frames or bytes, the same for every kind of bus. Everything here happens on the thread of the event base it was
// made with.
#pragma once

#include "model/bus_status.hpp"
#include "model/can_frame.hpp"
#include "model/driver.hpp"
#include "model/time.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

struct event_base;

namespace batgw {

// Who listens to a bus. Calls come from the event loop, never from inside Bus::send().
class BusListener {
public:
    virtual ~BusListener() = default;
    // `received`: the kernel's receive time, mapped to the monotonic clock (SAFE-232). `now`: when it was read.
    virtual void on_frame(const CanFrame& frame, Instant received, Instant now) = 0;
    // Of a serial line: what was read, cut anywhere.
    virtual void on_bytes(std::span<const std::uint8_t>, Instant /*received*/, Instant /*now*/) {}
    // After a batch of frames, and after anything in status() changed: time to judge and to send.
    virtual void on_bus(Instant now) = 0;
};

enum class Sent : std::uint8_t {
    yes,
    full,  // ENOBUFS, EAGAIN: try again at the next 5 ms tick (SAFE-263)
    down   // no interface, bus-off, listen-only: pending frames are void
};

class Bus {
public:
    virtual ~Bus() = default;
    virtual Sent send(const CanFrame& frame) = 0;
    // A serial line takes all of it or nothing.
    virtual Sent write(std::span<const std::uint8_t>) { return Sent::down; }
    virtual const BusStatus& status() const = 0;
};

// How to open one.
struct BusSpec {
    std::string interface;                 // as model/interface_name.hpp reads it
    std::optional<std::uint32_t> bitrate;  // then the program configures the link itself; an adapter in any case
    std::optional<SerialLine> serial{};    // bytes instead of frames, at this setting
    std::span<const RxRule> receives;      // receive filter: what the driver reads ...
    std::span<const TxRule> sends;         // ... and what we send, to notice a foreign sender (SAFE-185)
    bool listen_only = false;              // observe mode (SAFE-244)
    bool receive_all = false;              // no filter: simulators, captures
};

// In-process buses by name, for the demo and tests: each VirtualHub is its own world. Frames reach every other member of a bus.
class VirtualHub;

// What the bus has to say to people: one line, no newline.
class BusLog {
public:
    virtual ~BusLog() = default;
    enum class Level : std::uint8_t { error, warn, info, debug };
    virtual void line(Level level, std::string_view text) = 0;
};

// Never throws for a thing that can come back: a missing interface is a bus in state `missing`, retried every 2 s (SAFE-251), a
// missing serial port every second. Throws std::invalid_argument for an interface name of no known kind, and where a serial line
// is wanted and not named, or the other way round.
std::unique_ptr<Bus> open_bus(
    event_base* base, const BusSpec& spec, BusListener& listener, BusLog& log, VirtualHub* hub = nullptr);

// CLOCK_MONOTONIC. The only clock of the bridge's thread.
Instant monotonic_now();

}  // namespace batgw
