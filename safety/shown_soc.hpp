// The state of charge that an inverter is shown, where it is scaled to the window in use (SAFE-115).
#pragma once

#include "model/config.hpp"
#include "model/units.hpp"
#include "model/verdict.hpp"

#include <optional>

namespace batgw {

// Empty: as measured. Full and empty are said only by a limit of zero that is there for that reason, of the verdict that the
// inverter gets; else 1 to 99 %, so that no rounding on the wire says it either.
std::optional<Percent> shown_soc(const SafetyConfig::Soc& rule, std::optional<Percent> soc, const Verdict& v);

}  // namespace batgw
