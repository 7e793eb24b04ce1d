// Events as a line for people: ASCII, never empty, no newline.
#pragma once

#include "model/config.hpp"
#include "model/snapshot.hpp"

#include <string>

namespace batgw {

// "BLOCK BAT_LINK_LOST: battery silent (charge and discharge 0)", "state RUN -> BLOCK".
std::string event_text(const Event& event);
// How loud it is said: what takes power away is a warning, what stays until somebody resets it an error.
LogLevel event_level(const Event& event);

}  // namespace batgw
