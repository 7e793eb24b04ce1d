// What `batgw status` prints.
#pragma once

#include "batgw/latch_file.hpp"
#include "model/driver.hpp"
#include "model/snapshot.hpp"

#include <string>

namespace batgw {

// A few lines for people; ASCII.
std::string status_text(const Snapshot& snapshot);

// The same for programs, in one line: {"STATE":...,"ALARMS":...}, each as on the broker; null before the first judgement.
std::string status_json(const Snapshot& snapshot, const BatteryProfile* profile, const BothClocks& now);

}  // namespace batgw
