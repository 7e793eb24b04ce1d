// How one bus is doing, as fault conditions (SAFE-006, SAFE-185, SAFE-251, SAFE-261 to 264).
#pragma once

#include "model/bus_status.hpp"
#include "model/fault.hpp"
#include "model/time.hpp"
#include "safety/acknowledger.hpp"
#include "safety/conditions.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

namespace batgw {

// What the transmit port of this bus says of itself.
struct TxHealth {
    bool ever_sent = false;
    bool refusing = false;               // SAFE-006
    bool starved = false, dead = false;  // SAFE-263
};

class BusHealth {
public:
    // `device`: who is on this bus, battery or inverter.
    explicit BusHealth(Device device) : device_{device} {}

    struct Result {
        // Details carry the interface's name. RX_DROPS and ID_CONFLICT end after a quiet minute: the hold of the fault catalogue
        // is in it.
        Conditions faults;
        bool up = false;       // can send and receive
        bool dead = false;     // nothing got out for 10 s: the link counts as lost
        bool open = false;     // foreign sender on a battery bus: controlled opening (SAFE-185)
        bool mute = false;     // never transmit here
        bool alone = false;    // nobody acknowledges: send slowly (SAFE-264)
        bool foreign = false;  // somebody else was heard within the last minute
    };
    // `opened`: our contactors are proven open, or not ours: the controlled opening is over.
    // To be called at least once a second.
    Result update(const BusStatus& status, const TrafficCounters& traffic, const TxHealth& tx, bool opened, Instant now);

    // An operator has reset the conflict of the start (SAFE-045).
    void forget_conflict();

    static constexpr std::uint64_t drops_warn = 10, drops_block = 100;  // per minute, SAFE-261
    static constexpr unsigned bus_off_many = 5;                         // in 10 min, SAFE-262
    static constexpr Duration bus_off_window = 600s;
    static constexpr Duration foreign_clear = 60s;  // SAFE-185
    // Ours: one foreign frame before our first delays that, so the second can decide.
    static constexpr Duration first_foreign_mute = 10s;
    static constexpr std::uint64_t foreign_frames = 2;

private:
    void count_drops(std::uint64_t total, Instant now);
    void count_bus_off(std::uint64_t total, Instant now);
    void watch_foreign(std::uint64_t total, bool ever_sent, bool opened, Instant now);
    ActiveFault about(FaultId id, FaultClass level, Direction direction, const BusStatus& status) const;
    void add_drops(const BusStatus& status, Result& result) const;
    void add_bus_state(const BusStatus& status, Result& result, Instant now) const;
    void add_foreign(const BusStatus& status, bool ever_sent, Result& result, Instant now) const;

    Device device_;
    // Drops per second of the last minute.
    std::array<std::uint64_t, 60> drops_{};
    std::uint64_t drops_seen_ = 0, drops_sum_ = 0;
    std::int64_t second_ = 0;
    FaultClass drops_level_ = FaultClass::none;
    // The last bus-offs.
    std::array<Instant, 8> bus_offs_{};
    std::size_t bus_off_next_ = 0, bus_off_count_ = 0;
    std::uint64_t bus_off_seen_ = 0;
    Acknowledger acknowledger_;
    // Foreign sender.
    std::uint64_t foreign_seen_ = 0;
    std::uint64_t foreign_count_ = 0;  // since the last quiet minute, at most two
    Instant foreign_at_{};             // of the last one
    bool conflict_at_start_ = false;   // TRIP, until it is reset
    bool conflict_running_ = false;
    bool opened_for_conflict_ = false;
};

}  // namespace batgw
