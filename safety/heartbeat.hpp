// A line that toggles for as long as the judge evaluates and nothing asks that it stop, for a drop-out relay in the supply of the
// contactor coils (SAFE-213).
#pragma once

#include "model/fault.hpp"
#include "model/time.hpp"
#include "model/verdict.hpp"

#include <algorithm>

namespace batgw {

class Heartbeat {
public:
    struct Input {
        bool coils_on = false;    // any coil of the contactors is energised
        bool lines_held = false;  // the outputs are ours
        bool stopped = false;     // the orderly stop is complete
        ContactorState contactors = ContactorState::init;
        FaultClass worst = FaultClass::none;  // of all faults there are
        FaultClass stall = FaultClass::none;  // of late evaluations
    };
    // `hz`: changes of the line a second.
    explicit Heartbeat(unsigned hz) : beat_{Duration{1s} / std::max(hz, 1U)} {}

    // The level of the line.
    bool update(const Input& in, Instant now);
    // It was interrupted while coils were energised: the relay may have opened what we hold closed, so everything has to be
    // opened.
    bool lost() const { return lost_; }
    Instant next() const { return beat_.next(); }

    static constexpr Duration gap = 1s;  // what a drop-out relay must bear

private:
    Every beat_;
    bool level_ = false;
    Instant changed_{};
    bool coils_on_ = false;
    bool lost_ = false;
};

}  // namespace batgw
