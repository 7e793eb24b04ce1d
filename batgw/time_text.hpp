#pragma once

#include "model/time.hpp"

#include <optional>
#include <string_view>

namespace batgw {

// "20s", "5m", "1h", "300ms"; a bare number is seconds. At most 30 days. Anything else: nothing.
std::optional<Duration> parse_duration(std::string_view text);

}  // namespace batgw
