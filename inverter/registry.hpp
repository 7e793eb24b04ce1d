// The inverter protocols there are.
#pragma once

#include "model/driver.hpp"

#include <span>
#include <string_view>

namespace batgw {

std::span<const InverterDriverInfo* const> inverter_drivers();
// By the name written in the configuration; null when there is none.
const InverterDriverInfo* find_inverter_driver(std::string_view name);

}  // namespace batgw
