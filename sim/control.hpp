// Text control of a simulated device: a table of commands, and what every device does with one.
#pragma once

#include "sim/words.hpp"

#include <span>
#include <string>
#include <string_view>

namespace batgw::sim {

using Words = std::vector<std::string_view>;

template <class Device>
struct Control {
    std::string_view name;
    std::string_view usage;
    bool (Device::*run)(const Words&);  // false: not as the usage says
};

// Runs the command of one line. `answer`: the device's own; a command may put more than "ok" there.
template <class Device>
std::string obey(Device& device, std::span<const Control<Device>> table, std::string_view line, std::string& answer)
{
    const Words words = words_of(line);
    if (words.empty()) return "error: empty";
    for (const auto& c : table) {
        if (c.name != words[0]) continue;
        answer = "ok";
        return (device.*c.run)(words) ? answer : "error: " + std::string{c.usage};
    }
    return "error: unknown; try help";
}

// The answer to "help".
template <class Device>
std::string help_of(std::span<const Control<Device>> table)
{
    std::string text = "ok";
    for (const auto& c : table) text += "\n  " + std::string{c.usage};
    return text;
}

// "NAME on|off"
inline bool set_switch(const Words& words, bool& state)
{
    const auto on = words.size() == 2 ? switch_of(words[1]) : std::nullopt;
    if (on) state = *on;
    return on.has_value();
}

}  // namespace batgw::sim
