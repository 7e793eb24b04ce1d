// A configuration while it is being read: what the file says so far, and what is wrong with it.
#pragma once

#include "conf/keys.hpp"
#include "conf/problem.hpp"
#include "conf/yaml.hpp"
#include "model/driver.hpp"

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace batgw {

struct Place {
    int line = 0, column = 0;
    friend auto operator<=>(const Place&, const Place&) = default;
};

struct Draft {
    Config config;
    Config profile;                              // as `config`, before the file's safety section
    const BatteryDriverInfo* battery = nullptr;  // null: not known (reported)
    const InverterDriverInfo* inverter = nullptr;
    std::map<std::string, Place, std::less<>> written;  // keys in the file, and where their values stand
    std::set<std::string, std::less<>> bad;             // those of them whose value was refused
    std::vector<Problem> problems;

    bool is_written(std::string_view key) const { return written.contains(key); }
    bool is_bad(std::string_view key) const { return bad.contains(key); }
    void complain(Place at, std::string_view key, std::string what, std::string allowed)
    {
        problems.push_back({.file = {},
            .line = at.line,
            .column = at.column,
            .key = std::string{key},
            .what = std::move(what),
            .allowed = std::move(allowed)});
    }
};

// Values as they are shown in problems: short, in single quotes.
std::string shown(std::string_view text);

// --- conf/value.cpp: one value -------------------------------------------------------------------------------------------------

// The value of `key`, or nothing after a complaint.
std::optional<KeyValue> read_value(const Key& key, const yaml::Node& node, Draft& draft);
// All options of a driver: the defaults, and over them what the file says. `section` is "battery.options".
Options read_options(std::span<const OptionRule> rules, const yaml::Node* node, std::string_view section, Draft& draft);
// Complains about everything but the default of a key whose feature is not built.
void read_unavailable(const Key& key, const yaml::Node& node, Draft& draft);
// "true" for true; text as it must be written to be read again as the same text.
std::string print_value(const Key& key, const KeyValue& value);
std::string print_option(const OptionRule& rule, const OptionValue& value);
std::string print_option_bounds(const OptionRule& rule);

// --- conf/nearest.cpp ----------------------------------------------------------------------------------------------------------

// The name that was probably meant, or nothing.
std::optional<std::string_view> nearest(std::string_view written, std::span<const std::string_view> known);

// --- conf/consistency.cpp: values that are good alone but not together
// -------------------------------------------------------------

void check_consistency(Draft& draft);

}  // namespace batgw
