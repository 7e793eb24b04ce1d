// What Deye packs complain of, and what it means for us.
#pragma once

#include "model/battery_state.hpp"
#include "model/can_frame.hpp"
#include "model/fixed_vector.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace batgw::deye {

// The seven alarm tables of 0x359 and 0x110, bit 0 of table 1 lowest.
using AlarmBits = std::uint64_t;
inline constexpr std::size_t alarm_count = 56;

struct Alarm {
    std::string_view name;  // as the maker calls it, shortened to what fits a fault
    FaultClass level = FaultClass::warn;
    Direction direction = Direction::none;
};

// Old packs send 0x359 as Pylontech does; it then says so in bytes 5 and 6.
bool is_pylontech_layout(const CanFrame& frame);
// The number of modules in such a frame; nothing when it is impossible.
std::optional<unsigned> pylontech_modules(const CanFrame& frame);
inline constexpr std::size_t pylontech_count = 32;

// One sender's complaints: a bit counts when two frames running show it, and no longer when one does not.
class AlarmMemory {
public:
    void hear(AlarmBits bits, Instant at)
    {
        confirmed_ = bits & last_;
        last_ = bits;
        at_ = at;
    }
    AlarmBits at(Instant now, Duration max_age) const { return at_ && now - *at_ <= max_age ? confirmed_ : 0; }

private:
    AlarmBits last_ = 0, confirmed_ = 0;
    std::optional<Instant> at_;
};

using ReportedFaults = FixedVector<ReportedFault, 16>;

// Everything that is complained of now.
struct Complaints {
    AlarmBits native = 0, pylontech = 0;
    bool module_lost = false;       // fewer than there were, or the pack says that it lost one
    bool too_many_modules = false;  // an address beyond the last we keep
    bool unseen_modules = false;    // and nothing else covers those
    friend bool operator==(const Complaints&, const Complaints&) = default;
};
// The worst of them, worst first.
void report(const Complaints& complaints, ReportedFaults& reported);

}  // namespace batgw::deye
