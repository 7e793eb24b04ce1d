// The options of the Pylontech low-voltage driver.
#pragma once

#include "inverter/pylontech_lv_teller.hpp"
#include "model/driver.hpp"

#include <optional>
#include <span>

namespace batgw::pylontech_lv {

std::span<const OptionRule> options();
std::optional<Objection> objection(const Options& o);  // to options that do not go together
TellerOptions teller_options(const Options& o);
InverterTraffic traffic_of(const Options& o);

}  // namespace batgw::pylontech_lv
