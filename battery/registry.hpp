// The battery protocols there are.
#pragma once

#include "model/driver.hpp"

#include <span>
#include <string_view>

namespace batgw {

std::span<const BatteryDriverInfo* const> battery_drivers();
// By the name written in the configuration; null when there is none.
const BatteryDriverInfo* find_battery_driver(std::string_view name);

}  // namespace batgw
