// ALARMS: the faults that are active (MQTT-040).
#pragma once

#include "model/snapshot.hpp"
#include "mqtt/moment.hpp"

#include <string>

namespace batgw::mqtt {

std::string alarms_json(const Snapshot& snapshot, const Moment& moment);

// What of it makes a new message: the faults, their classes and directions, the two permissions. Not the values, which move
// always.
std::string alarms_signature(const Snapshot& snapshot);

}  // namespace batgw::mqtt
