// The simulated hardware there is, by protocol name.
#pragma once

#include "sim/simulator.hpp"

#include <memory>
#include <span>
#include <string_view>

namespace batgw::sim {

struct BatteryKind {
    std::string_view protocol;
    std::string_view what;  // one line
    std::unique_ptr<SimulatedBattery> (*make)(const BatteryChoice&);
    // Keys of the section `battery:` that fit it and that its driver cannot know, as in a file: "cells: 126". One a line.
    std::string_view configuration{};
};
struct InverterKind {
    std::string_view protocol;
    std::string_view what;
    std::unique_ptr<SimulatedInverter> (*make)(const InverterChoice&);
    // Keys of `inverter.options:` that shorten the waiting times of a start, as in a file. One a line.
    std::string_view short_options{};
};

std::span<const BatteryKind> simulated_batteries();
std::span<const InverterKind> simulated_inverters();
const BatteryKind* find_battery(std::string_view protocol);
const InverterKind* find_inverter(std::string_view protocol);
// Null when there is none of this name.
std::unique_ptr<SimulatedBattery> make_battery(std::string_view protocol, const BatteryChoice& choice);
std::unique_ptr<SimulatedInverter> make_inverter(std::string_view protocol, const InverterChoice& choice);

}  // namespace batgw::sim
