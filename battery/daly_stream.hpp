// An answer of several frames (0x95 cells, 0x96 temperatures): collected by number, believed as a whole or not at all.
#pragma once

#include "model/can_frame.hpp"
#include "model/time.hpp"

#include <array>
#include <bitset>
#include <cstddef>
#include <cstdint>

namespace batgw::daly {

inline constexpr std::size_t frames_max = 16;

class Stream {
public:
    enum class Taken : std::uint8_t {
        more,      // good so far
        complete,  // with this frame all that are needed are there
        surplus,   // nothing to do with it: not needed, or the set is already complete
        invalid    // no number a frame can have
    };

    // A new request was sent.
    void restart();
    // `needed`: how many frames the count of cells or sensors wants, 1 to 16.
    Taken take(const CanFrame& frame, std::size_t needed, Instant at);
    // Something was lost or damaged on the way. Before the set is complete that spoils all of it: the lost frame may have been
    // the one that tells whether frames are counted from 0 or from 1.
    void spoil();
    bool begun() const { return begun_; }

    // By number from 0. Only after Taken::complete.
    const CanFrame& frame(std::size_t i) const { return frames_[i]; }

    static constexpr Duration gap = 200ms;  // silence that ends an answer

private:
    std::array<CanFrame, frames_max> frames_{};
    std::bitset<frames_max> seen_;
    bool begun_ = false, from_zero_ = false, spoilt_ = false, complete_ = false;
    Instant last_{};
};

}  // namespace batgw::daly
