// The modules of a Deye tower: what each says of itself, which of them are there, and what follows for the whole.
#pragma once

#include "battery/deye_alarms.hpp"
#include "model/battery_state.hpp"
#include "model/can_frame.hpp"
#include "model/driver.hpp"

#include <array>
#include <bitset>
#include <cstdint>
#include <optional>

namespace batgw::deye {

class Tower {
public:
    static constexpr Duration one_second_age = 5s, two_second_age = 15s, slow_age = 30s;
    // A module of which nothing has come for two of its periods, while others go on, has left the tower.
    static constexpr Duration gone_after = 2100ms;

    // A frame of one of the modules' rows; `not_mine` when it is of none. Writes the module, and of the whole what only the
    // modules tell: energy, cycles, the number of cells.
    Heard on_frame(const CanFrame& frame, Instant at, BatteryState& state);

    bool lost_one() const { return settled_.count() < most_; }  // there were more
    bool beyond(Instant now) const { return beyond_at_ && now - *beyond_at_ <= one_second_age; }
    AlarmBits alarms(Instant now) const;  // of all modules that are there

    // Of every module the same thing, once each has told it anew, as old as the oldest part (SAFE-030); sooner when it became
    // worse.
    struct Extremes {
        Instant at;
        Voltage cell_min, cell_max;
        Temperature temperature_min, temperature_max;
        std::uint32_t source;
    };
    std::optional<Extremes> take_extremes(const BatteryState& state);
    struct Switches {
        Instant at;
        bool charge = false, discharge = false;  // one conducts
    };
    std::optional<Switches> take_switches(const BatteryState& state);
    // Of all modules together, positive charges; nothing unless all are known and young.
    std::optional<Current> current(const BatteryState& state, Instant now) const;

private:
    struct HalfSerial {
        std::optional<std::uint64_t> told, newest;
    };
    struct Slot {
        std::optional<Instant> heard;
        AlarmMemory alarms;
        HalfSerial serial_1, serial_2;
        std::optional<Energy> in, out;  // kept when the module goes: the total does not fall
    };
    using Set = std::bitset<modules_max>;

    Module& module(unsigned n, BatteryState& state);
    void leave(Instant at, BatteryState& state);
    Heard on_alarms(const CanFrame& f, Slot& slot, Module& m, unsigned n, Instant at);
    Heard on_summary(const CanFrame& f, Module& m, Instant at);
    Heard on_extremes(const CanFrame& f, Module& m, unsigned n, Instant at);
    Heard on_switches(const CanFrame& f, Module& m, Instant at);
    Heard on_state(const CanFrame& f, Module& m, Instant at, BatteryState& state);
    Heard on_firmware(const CanFrame& f, Module& m);
    Heard on_energy(const CanFrame& f, Slot& slot, Module& m, Instant at, BatteryState& state);
    Heard on_serial(const CanFrame& f, Slot& slot, Module& m, bool first);
    void count_cells(const Module& m, Instant now, BatteryState& state);

    std::array<Slot, modules_max> slots_{};
    Set present_, settled_, told_extremes_, told_switches_;
    std::size_t most_ = 0;
    std::optional<Instant> beyond_at_;
    std::optional<Instant> heard_;      // any of them
    Instant back_at_ = Instant::min();  // the whole tower had been silent until then
    unsigned cell_candidate_ = 0, cell_votes_ = 0;
    Instant cell_vote_at_{};
};

}  // namespace batgw::deye
