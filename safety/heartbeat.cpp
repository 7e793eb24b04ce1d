#include "safety/heartbeat.hpp"

#include <utility>

namespace batgw {
namespace {

bool to_stop(const Heartbeat::Input& in)
{
    return in.contactors == ContactorState::emergency || in.contactors == ContactorState::lockout ||
        in.worst >= FaultClass::emergency || in.stall >= FaultClass::block || in.stopped || !in.lines_held;
}

}  // namespace

// What was interrupted does not come back before every coil has been off for a beat, and the line does not move until then: one
// edge is enough to close, without precharge, contactors that the relay has opened.
bool Heartbeat::update(const Input& in, Instant now)
{
    const bool were_on = std::exchange(coils_on_, in.coils_on);
    if ((in.coils_on || were_on) && now - changed_ > gap) {
        lost_ = true;
        beat_.restart(now);
    }
    const bool due = beat_.due(now);
    if (due) lost_ = false;
    if (!lost_ && to_stop(in)) {
        level_ = false;
    } else if (due) {
        level_ = !level_;
        changed_ = now;
    }
    return level_;
}

}  // namespace batgw
