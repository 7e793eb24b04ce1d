// etc/batgw.yaml and docs/configuration.md against the table of keys.
#include "conf/draft.hpp"
#include "conf/reload.hpp"
#include "model/chemistry.hpp"
#include "tests/conf/helpers.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <set>

using namespace batgw;
using namespace batgw::test;

namespace {

const std::string example_file = "etc/batgw.yaml";

std::vector<std::string> lines_in(const std::string& text)
{
    std::vector<std::string> lines;
    std::istringstream in{text};
    for (std::string line; std::getline(in, line);) lines.push_back(line);
    return lines;
}

// Whether a line is a key that is commented out: "#  hold_s: 30". Sentences have one blank after the #.
bool is_commented_key(const std::string& line)
{
    if (!line.starts_with('#')) return false;
    const std::size_t name = line.find_first_not_of(' ', 1);
    if (name == std::string::npos || name % 2 == 0) return false;
    const std::size_t end = line.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_", name);
    return end != std::string::npos && end > name && line[end] == ':';
}

std::string uncommented(const std::string& text)
{
    std::string out;
    for (const std::string& line : lines_in(text)) out += (is_commented_key(line) ? line.substr(1) : line) + "\n";
    return out;
}

Config loaded(const std::string& text)
{
    const Loaded l = load(text, example_file, catalogue(), no_environment());
    INFO(lines_of(l.problems));
    REQUIRE(l.config.has_value());
    return *l.config;
}

// The dotted names of all keys in a tree.
void collect(const yaml::Node& node, const std::string& section, std::set<std::string>& names)
{
    for (const auto& entry : node.entries) {
        const std::string name = section.empty() ? entry.key : section + "." + entry.key;
        if (entry.value.kind == yaml::Node::Kind::map) collect(entry.value, name, names);
        if (entry.value.kind != yaml::Node::Kind::map || entry.value.entries.empty()) names.insert(name);
    }
}

std::string default_of(const Key& key)
{
    if (key.kind == KeyKind::unavailable) return key.default_text.empty() ? "`\"\"`" : fmt::format("`{}`", key.default_text);
    if (key.required) return "must be written";
    if (!key.default_text.empty()) return std::string{key.default_text};
    Config c;
    c.safety = default_safety(Chemistry::lfp);
    c.mqtt.emplace();
    return "`" + print_value(key, key.get(c)) + "`";
}

std::string allowed_of(const Key& key)
{
    Config c;
    c.safety = default_safety(Chemistry::lfp);
    if (key.kind == KeyKind::unavailable) return "the default: not available in this version";
    if (key.kind == KeyKind::boolean) return "true, false";
    if (key.kind == KeyKind::number) return print_bounds(key, bounds_of(key, c));
    if (key.kind == KeyKind::numbers) return "[a, b], " + print_bounds(key, bounds_of(key, c));
    if (key.kind == KeyKind::curve) return "points [x, y]";
    if (key.kind == KeyKind::text) return std::string{key.allowed};
    if (key.kind == KeyKind::options) return "see the protocol";
    std::string out = key.kind == KeyKind::choices ? "list of " : "";
    for (const auto word : key.choices) out += (out.empty() || out.ends_with(" of ") ? "" : ", ") + std::string{word};
    return out;
}

// The line of the reference page that belongs to a key.
std::string reference_line(const Key& key)
{
    return fmt::format("| `{}` | {} | {} | {} | {} |", key.name, default_of(key), allowed_of(key),
        key.kind == KeyKind::unavailable ? ""
            : key.restart                ? "restart"
                                         : "live",
        key.help);
}

}  // namespace

// CONF-007
TEST_CASE("the annotated example loads as it is")
{
    const Config c = loaded(read_file(example_file));
    CHECK(c.battery.protocol == "byd-atto3");
    CHECK(c.battery.interface == "can0");
    CHECK(c.inverter.protocol == "byd-hvs");
    CHECK(c.inverter.interface == "can1");
    CHECK_FALSE(c.mqtt.has_value());
    CHECK_FALSE(c.battery2.has_value());
}

// CONF-007
TEST_CASE("the annotated example loads with every key uncommented, and changes nothing but what has no default")
{
    const Config as_it_is = loaded(read_file(example_file));
    Config all = loaded(uncommented(read_file(example_file)));
    REQUIRE(all.mqtt.has_value());
    const std::vector<std::string> without_default{"mqtt", "battery2", "battery.bitrate", "battery.cells", "battery.capacity_wh",
        "battery.voltage_min_v", "battery.voltage_max_v", "inverter.bitrate", "safety.contactors.precharge.time_s"};
    CHECK(compare(as_it_is, all).changed == without_default);
    Config defaults = all;
    defaults.mqtt.emplace();
    defaults.mqtt->tls.on = true;
    CHECK(compare(defaults, all).changed == std::vector<std::string>{"mqtt.host"});
}

// CONF-007
TEST_CASE("the annotated example lists every key and every option of its two protocols")
{
    const yaml::Tree tree = yaml::parse(uncommented(read_file(example_file)));
    REQUIRE(tree.root.has_value());
    CHECK(tree.problems.empty());
    std::set<std::string> names;
    collect(*tree.root, "", names);
    std::set<std::string> expected;
    for (const Key& key : all_keys())
        if (key.kind != KeyKind::options) expected.emplace(key.name);
    for (const OptionRule& rule : catalogue().battery("byd-atto3")->options)
        expected.insert(fmt::format("battery.options.{}", rule.name));
    for (const OptionRule& rule : catalogue().inverter("byd-hvs")->options)
        expected.insert(fmt::format("inverter.options.{}", rule.name));
    for (const std::string& name : expected) {
        CAPTURE(name);
        CHECK(names.contains(name));
    }
    CHECK(names.size() == expected.size());
}

TEST_CASE("the reference page has the line of every key, as the table says it")
{
    const std::vector<std::string> lines = lines_in(read_file("docs/configuration.md"));
    std::size_t rows = 0;
    for (const std::string& line : lines) rows += line.starts_with("| `") ? 1U : 0U;
    for (const Key& key : all_keys()) {
        const std::string line = reference_line(key);
        CAPTURE(line);
        CHECK(std::find(lines.begin(), lines.end(), line) != lines.end());
    }
    CHECK(rows == all_keys().size());
}
