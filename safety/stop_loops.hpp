// The interlock and the emergency stop: loops that are closed while all is well (SAFE-148, SAFE-155).
#pragma once

#include "model/config.hpp"
#include "model/contactor_lines.hpp"
#include "model/time.hpp"
#include "safety/conditions.hpp"

namespace batgw {

class StopLoops {
public:
    // `live`: contactors are closed or closing. An open interlock then is an EMERGENCY; before, it only forbids closing.
    void update(const SafetyConfig::Contactors& rules, const ContactorLines& lines, bool fresh, bool live, Instant now)
    {
        const bool interlock_open = lines.held && lines.interlock_closed == false;
        const bool stop_pressed = lines.held && lines.stop_released == false;
        open_ = interlock_.for_at_least(interlock_open && live, rules.interlock, now);
        pressed_ = stop_.for_at_least(stop_pressed, rules.emergency_stop, now);
        timing_ = (interlock_.running() && !open_) || (stop_.running() && !pressed_);
        well_ = fresh && !interlock_open && !stop_pressed;
    }
    bool well() const { return well_; }      // both closed and freshly read, or not wired
    bool timing() const { return timing_; }  // one has just opened: to be looked at often
    Conditions faults() const
    {
        Conditions c;
        const auto add = [&c](
                             FaultId id) { c.push_back(condition(id, FaultClass::emergency, Direction::both, Device::gateway)); };
        if (pressed_) add(FaultId::emergency_stop);
        if (open_) add(FaultId::interlock_open);
        return c;
    }

private:
    Held interlock_, stop_;
    bool open_ = false, pressed_ = false, timing_ = false, well_ = false;
};

}  // namespace batgw
