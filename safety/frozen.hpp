// Current and voltage that stand still while others show that they must have moved (SAFE-027).
#pragma once

#include "model/inverter_state.hpp"
#include "safety/limits.hpp"
#include "safety/signals.hpp"

#include <algorithm>
#include <optional>

namespace batgw {

class FrozenWatch {
public:
    struct Input {
        const PackSamples& samples;
        const InverterState* inverter = nullptr;
        bool closed = false;           // only then both see the same current and voltage
        std::optional<Current> rated;  // the range of the current
        PackVoltageLimits::Window window;
        std::optional<unsigned> cells;
    };
    // Reports SIG_FROZEN.
    void update(const Input& in, const LimitContext& context);
    // The current is not to be believed: nobody can be blamed for it.
    bool current_frozen() const { return current_frozen_; }

    static constexpr Duration warn_after = 120s, block_after = 300s;
    // Ours. Nothing is concluded before the other side had its time: neither from a witness that lags behind the last movement or
    // the closing of the contactors, nor from one that is ahead.
    static constexpr Duration settle = 10s;
    // Ours: what an offset, a dead band or a coarse step explains is no movement.
    static constexpr Current least_amperes = Current::from_milli(2000);
    static constexpr Voltage least_volts = Voltage::from_milli(2000);

private:
    // Lowest and highest that was seen of a witness.
    template <class Q>
    struct Swing {
        std::optional<Q> low, high;
        void see(const std::optional<Q>& q)
        {
            if (!q) return;
            low = low ? std::min(*low, *q) : *q;
            high = high ? std::max(*high, *q) : *q;
        }
        Q width() const { return low ? *high - *low : Q{}; }
    };
    template <class Q>
    struct Still {
        std::optional<Q> value;  // to the bit
        Instant since{};
        Held moved;  // as a witness says
        // False: it moved itself, or nobody knows.
        bool follow(const std::optional<Q>& now_is, Instant now)
        {
            const bool same = now_is && value == now_is;
            if (!same) {
                value = now_is;
                since = now;
                moved.reset();
            }
            return same;
        }
    };
    void see_inverter_voltage(const Input& in, Instant now);
    static bool report(SignalId id, bool moved, Duration still, const LimitContext& context);

    Held closed_;
    bool current_frozen_ = false;
    Still<Current> current_;
    Still<Voltage> voltage_;
    Swing<Current> inverter_current_;
    Swing<Voltage> inverter_voltage_, cell_max_, cell_min_;
};

}  // namespace batgw
