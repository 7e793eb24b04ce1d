// CELLS: every cell voltage and sensor temperature in one message (MQTT-044).
#pragma once

#include "model/snapshot.hpp"

#include <cstdint>
#include <optional>
#include <string>

namespace batgw::mqtt {

// Nothing unless a fresh and complete set of cells is there: as many as expected (0: as many as the battery counts).
std::optional<std::string> cells_json(const BatteryState& battery, std::uint64_t sequence, Instant now, unsigned cells_expected);
inline std::optional<std::string> cells_json(const Snapshot& snapshot, unsigned cells_expected)
{
    return cells_json(snapshot.battery, snapshot.verdict.sequence, snapshot.now, cells_expected);
}

}  // namespace batgw::mqtt
