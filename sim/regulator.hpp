// How a simulated inverter follows the limits it is told: after a delay, no faster than its electronics, or not at all.
#pragma once

#include "model/time.hpp"

#include <algorithm>
#include <vector>

namespace batgw::sim {

class Regulator {
public:
    // Magnitudes in A, in force `delay` later.
    void tell(Instant at, double charge_a, double discharge_a) { pending_.push_back({at + delay, charge_a, discharge_a}); }
    // Towards `wish_w` at `volts`; not `live`: nothing flows.
    void move(Instant now, double volts, bool live)
    {
        const double seconds = std::chrono::duration<double>(now - last_).count();
        last_ = now;
        while (!pending_.empty() && pending_.front().at <= now) {
            allowed_ = pending_.front();
            pending_.erase(pending_.begin());
        }
        if (!live || volts <= 0) {
            current_a_ = 0;
            return;
        }
        double wanted = wish_w / volts;
        const double charge = charge_share * allowed_.charge_a, discharge = discharge_share * allowed_.discharge_a;
        if (!ignores_limits) wanted = std::clamp(wanted, -discharge, charge);
        if ((stop_charge && wanted > 0) || (stop_discharge && wanted < 0)) wanted = 0;
        const double most = slew_a_per_s * seconds;
        current_a_ += std::clamp(wanted - current_a_, -most, most);
        // Less is always possible at once.
        if (!ignores_limits) current_a_ = std::clamp(current_a_, -discharge, charge);
    }
    // As after a restart.
    void forget()
    {
        pending_.clear();
        allowed_ = {};
        current_a_ = 0;
    }
    void start(Instant now) { last_ = now; }
    Instant last() const { return last_; }
    double current_a() const { return current_a_; }  // positive charges

    double wish_w = 0;  // positive charges
    Duration delay = 300ms;
    double charge_share = 1, discharge_share = 1;  // of what is allowed, for reasons of its own
    bool ignores_limits = false, stop_charge = false, stop_discharge = false;
    double slew_a_per_s = 40.0;

private:
    struct Allowed {
        Instant at{};
        double charge_a = 0, discharge_a = 0;
    };
    std::vector<Allowed> pending_;
    Allowed allowed_;
    double current_a_ = 0;
    Instant last_{};
};

}  // namespace batgw::sim
