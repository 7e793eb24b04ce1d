// What is tried on an inverter that goes on although its limit is zero (SAFE-113): one configured method after the other, from
// mild to strong, each given its time to work before the next comes on top of it.
#pragma once

#include "model/config.hpp"
#include "model/fault.hpp"
#include "model/time.hpp"
#include "model/units.hpp"
#include "safety/fault_table.hpp"
#include "safety/signals.hpp"

#include <optional>

namespace batgw {

class StopMethods {
public:
    struct Input {
        const Sample<Current>& current;                    // of the pack
        bool told = false;                                 // the inverter hears what it is told, or would, were we not silent
        bool charge_zero = false, discharge_zero = false;  // as it was last told
    };
    // What the methods ask for now.
    struct Result {
        Direction ask_against = Direction::none, override_soc = Direction::none;
        bool nothing = false;              // grant nothing in either direction: silence must be preceded by zeros
        bool silent = false;               // and now say nothing
        Direction part = Direction::none;  // take the inverter off the battery
    };
    // `hold`: how long no current must flow before an inverter is spoken to again.
    const Result& update(const Input& in, const SafetyConfig::InverterLink& config, Duration hold, Instant now);
    const Result& result() const { return result_; }

    static constexpr Current residual = Current::from_milli(2000);  // SAFE-068: what is tolerated at a limit of zero
    static constexpr Duration step = 5s;                            // ours: until the first method, and from one to the next
    static constexpr Duration zeros_before_silence = 3s;            // ours: three beats of the slowest protocol

private:
    struct Side {
        Detector goes_on;
        unsigned steps = 0;  // methods in force
        Held since_step;
    };
    static void follow(Side& side, bool zero, const std::optional<Current>& flows, std::uint32_t samples, unsigned methods,
        Duration hold, Instant now);
    void engage(const Side& side, Direction direction, const SafetyConfig::InverterLink& config);

    Side charge_, discharge_;
    Held zeros_;    // both directions, for the sake of silence
    Held stopped_;  // no current while silent
    Result result_;
};

}  // namespace batgw
