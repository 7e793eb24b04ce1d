// CELLS: every cell voltage and sensor temperature in one message (MQTT-044).
#pragma once

#include "model/snapshot.hpp"

#include <optional>
#include <string>

namespace batgw::mqtt {

// Nothing unless a fresh and complete set of cells is there: as many as expected (0: as many as the battery counts).
std::optional<std::string> cells_json(const Snapshot& snapshot, unsigned cells_expected);

}  // namespace batgw::mqtt
