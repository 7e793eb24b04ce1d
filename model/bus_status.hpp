// What a bus says of itself, the same for every kind of bus.
#pragma once

#include "model/driver.hpp"
#include "model/text.hpp"
#include "model/time.hpp"

#include <array>
#include <cstdint>
#include <string_view>

namespace batgw {

// `stopped` also stands for an interface that is down or not configured; `missing` for one that is not there.
enum class BusState : std::uint8_t { missing, stopped, active, warning, passive, bus_off };
constexpr std::string_view to_string(BusState s)
{
    constexpr std::array<std::string_view, 6> names{"missing", "stopped", "active", "warning", "passive", "bus_off"};
    return names[static_cast<std::size_t>(s)];
}
constexpr bool can_send(BusState s) { return s == BusState::active || s == BusState::warning || s == BusState::passive; }

struct BusCounters {                       // since start, SAFE-261
    std::uint64_t received = 0, sent = 0;  // frames; of a serial line: bytes
    std::uint64_t not_data = 0;            // remote, FD or malformed frames, refused
    std::uint64_t late = 0;                // found queued for more than 500 ms (SAFE-232)
    std::uint64_t no_time = 0;             // kernel time stamp missing or implausible
    std::uint64_t queue_drops = 0;         // SO_RXQ_OVFL
    std::uint64_t no_buffer = 0;           // ENOBUFS, EAGAIN
    std::uint64_t send_errors = 0;
    std::uint64_t bus_off = 0, restarts = 0, error_passive = 0, error_warning = 0, arbitration_lost = 0, controller_overflow = 0,
                  no_ack = 0, protocol_errors = 0, other_errors = 0;
    // Of an adapter on a serial line: messages that were not whole (checksum, form), commands it refused, and bytes that were
    // part of no message.
    std::uint64_t line_errors = 0, skipped_bytes = 0;
    std::uint64_t errors() const
    {
        return bus_off + error_passive + error_warning + arbitration_lost + controller_overflow + no_ack + protocol_errors +
            other_errors + line_errors;
    }
};

struct BusStatus {
    Text<48> name;
    BusState state = BusState::missing;
    std::uint32_t bitrate = 0;                  // 0: not known (vcan, adapters that cannot tell)
    std::uint8_t tx_errors = 0, rx_errors = 0;  // controller's counters
    bool tried = false;                         // the first try to open is over (SAFE-250 (7))
    BusCounters counters;
};

// What the bridge counts on top, per bus.
struct TrafficCounters {
    std::array<std::uint64_t, heard_count> heard{};  // by Heard
    std::uint64_t own_ids = 0;                       // ids that we send, received from somebody else (SAFE-185)
    std::uint64_t refused = 0;                       // by the transmit guard
    std::uint64_t dropped = 0;                       // pending frames given up (SAFE-263)
    std::uint64_t missed = 0;                        // cyclic frames missing for two periods (SAFE-260)
};

}  // namespace batgw
