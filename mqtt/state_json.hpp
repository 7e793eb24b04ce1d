// STATE: the whole snapshot as one JSON object (MQTT-030 to 032, 034), and what of it has moved.
#pragma once

#include "model/driver.hpp"
#include "model/snapshot.hpp"
#include "mqtt/moment.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace batgw::mqtt {

inline constexpr std::size_t state_bytes_max = 4096;

// Everything of it is of the snapshot's own instant. `profile` (may be null) tells which signals can be missed at all.
std::string state_json(const Snapshot& snapshot, const BatteryProfile* profile, const Moment& moment);

// STATE's numbers with their deadbands (section 9 of the interface): two of these tell whether it is worth publishing.
struct Watched {
    std::optional<std::int64_t> value;
    std::int64_t deadband = 1;  // a move of at least this counts
};
std::vector<Watched> watched(const Snapshot& snapshot);
bool moved(const std::vector<Watched>& then, const std::vector<Watched>& now);

}  // namespace batgw::mqtt
