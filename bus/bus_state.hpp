// How a bus's state and counters follow what the controller says in error frames.
#pragma once

#include "model/bus_status.hpp"

#include <cstdint>
#include <span>

namespace batgw::bus {

// Goes to `state`; false when it was there already. Times entered are counted here and nowhere else, so a controller that repeats
// itself, or an error frame and a poll that tell the same, count once.
bool enter(BusStatus& status, BusState state);

// One error frame of the kernel: class bits of its id, and its data, shorter than 8 if it came so. True when the state changed.
bool apply_error_frame(BusStatus& status, std::uint32_t can_id, std::span<const std::uint8_t> data);

}  // namespace batgw::bus
