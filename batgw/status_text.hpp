// What `batgw status` prints.
#pragma once

#include "model/snapshot.hpp"

#include <string>

namespace batgw {

// A few lines for people; ASCII.
std::string status_text(const Snapshot& snapshot);

}  // namespace batgw
