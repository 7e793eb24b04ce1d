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

// "NAME NUMBER", within bounds.
inline std::optional<double> number_in(const Words& words, double min, double max)
{
    const auto number = words.size() == 2 ? number_of(words[1]) : std::nullopt;
    return number && *number >= min && *number <= max ? number : std::nullopt;
}

// "NAME NUMBER|off"
inline bool set_or_off(const Words& words, std::optional<double>& value, double min, double max)
{
    const auto number = number_in(words, min, max);
    const bool off = words.size() == 2 && words[1] == "off";
    if (number || off) value = number;
    return number || off;
}

// "stop ID": such frames are not sent any more. `stopped`: a set of identifiers.
template <class Set>
bool stop_frames(const Words& words, Set& stopped)
{
    const auto id = words.size() == 2 ? identifier_of(words[1]) : std::nullopt;
    if (id) stopped.insert(*id);
    return id.has_value();
}

// "resume ID|all"
template <class Set>
bool resume_frames(const Words& words, Set& stopped)
{
    if (words.size() == 2 && words[1] == "all") {
        stopped.clear();
        return true;
    }
    const auto id = words.size() == 2 ? identifier_of(words[1]) : std::nullopt;
    if (id) stopped.erase(*id);
    return id.has_value();
}

// "length ID BYTES|off": such frames are sent with that length. `lengths`: a map by identifier.
template <class Map>
bool set_length(const Words& words, Map& lengths)
{
    const auto id = words.size() == 3 ? identifier_of(words[1]) : std::nullopt;
    if (!id) return false;
    if (words[2] == "off") {
        lengths.erase(*id);
        return true;
    }
    const auto bytes = number_of(words[2]);
    if (!bytes || *bytes < 0 || *bytes > 8) return false;
    lengths[*id] = static_cast<std::uint8_t>(*bytes);
    return true;
}

}  // namespace batgw::sim
