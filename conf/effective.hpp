// The configuration as it is in force, for people (`batgw -n`) and for loading again.
#pragma once

#include "model/config.hpp"
#include "model/driver.hpp"

#include <string>
#include <vector>

namespace batgw {

// Every key with its value, defaults and the drivers' profiles worked in, units and bounds as comments, switched-off checks as
// comments at the end. Loads again to the same configuration; secrets print as *** (CONF-004).
std::string effective_yaml(const Config& config, const DriverCatalogue& catalogue);

// The checks that this configuration, or the drivers it names, switch off, one line each (SAFE-048).
std::vector<std::string> switched_off(const Config& config, const DriverCatalogue& catalogue);

}  // namespace batgw
