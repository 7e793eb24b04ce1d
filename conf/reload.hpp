// What a reload would change, and whether it may (SAFE-241, SAFE-242).
#pragma once

#include "model/config.hpp"

#include <string>
#include <vector>

namespace batgw {

struct ReloadPlan {
    std::vector<std::string> changed;           // all keys that differ, dotted, in the order of the file
    std::vector<std::string> restart_required;  // those of them that only a restart may change: any refuses the whole reload
};

ReloadPlan compare(const Config& running, const Config& next);

}  // namespace batgw
