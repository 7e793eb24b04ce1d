#pragma once

#include "conf/keys.hpp"
#include "conf/load.hpp"
#include "tests/conf/catalogue.hpp"

#include <fmt/format.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

namespace batgw::test {

inline const std::string short_config = "battery:\n  protocol: rich-pack\n  interface: can0\n"
                                        "inverter:\n  protocol: rich-inverter\n  interface: can1\n";

inline Definitions no_environment() { return {.given = {}, .environment = {}}; }

inline Loaded load_text(std::string_view text) { return load(text, "test.yaml", catalogue(), no_environment()); }

inline std::string lines_of(const std::vector<Problem>& problems)
{
    std::string out;
    for (const Problem& p : problems) out += to_string(p) + "\n";
    return out;
}

inline std::string read_file(const std::filesystem::path& path)
{
    std::ifstream in{path, std::ios::binary};
    std::ostringstream text;
    text << in.rdbuf();
    return text.str();
}

// "a: {b: {c: VALUE}}" for "a.b.c".
inline std::string nested(std::string_view key, std::string_view value)
{
    std::string out;
    std::size_t depth = 0;
    std::size_t start = 0;
    for (std::size_t dot = key.find('.'); dot != std::string_view::npos; dot = key.find('.', start)) {
        out += fmt::format("{:{}}{}:\n", "", 2 * depth++, key.substr(start, dot - start));
        start = dot + 1;
    }
    return out + fmt::format("{:{}}{}: {}\n", "", 2 * depth, key.substr(start), value);
}

// A short configuration that also sets `key`, whatever its section.
inline std::string with(std::string_view key, std::string_view value)
{
    const std::string_view section = key.substr(0, key.find('.'));
    const std::string more = nested(key, value);
    const std::string inside = more.substr(more.find('\n') + 1);
    const std::string rich = "battery:\n  protocol: rich-pack\n  interface: can0\n";
    const std::string inverter = "inverter:\n  protocol: rich-inverter\n  interface: can1\n";
    if (section == "battery") return rich + inside + inverter;
    if (section == "inverter") return rich + inverter + inside;
    if (section == "mqtt") return rich + inverter + "mqtt:\n  host: mqtt.local\n" + inside;
    return rich + inverter + more;
}

inline bool has_problem(const Loaded& loaded, std::string_view key, std::string_view what)
{
    for (const Problem& p : loaded.problems)
        if (p.key == key && p.what.find(what) != std::string::npos) return true;
    return false;
}

}  // namespace batgw::test
