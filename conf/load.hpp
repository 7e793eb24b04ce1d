// batgw.yaml -> Config. Strict: what is not exactly right is refused, with its place in the file, and all of it at once
// (CONF-001).
#pragma once

#include "conf/problem.hpp"
#include "model/config.hpp"
#include "model/driver.hpp"

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace batgw {

// A variable of this process's environment.
std::optional<std::string> environment_variable(std::string_view name);

// Where `${NAME}` in a value gets its text from (CONF-003). `given` (-D NAME=value) wins over the environment.
struct Definitions {
    std::map<std::string, std::string, std::less<>> given;
    std::function<std::optional<std::string>(std::string_view name)> environment = environment_variable;  // empty: none

    void set(std::string name, std::string value) { given.insert_or_assign(std::move(name), std::move(value)); }
    std::optional<std::string> find(std::string_view name) const;
};

struct Loaded {
    std::optional<Config> config;       // there when `problems` is empty, and only then
    std::vector<Problem> problems;      // by position
    std::vector<std::string> warnings;  // checks that this configuration switches off (SAFE-048), and what else a user must know
};

inline constexpr std::size_t largest_file = 1024 * 1024;  // bytes (CONF-006)
inline constexpr int deepest_nesting = 16;

// `file` is only a name for the problems. Never throws, reads nothing but its arguments (and what `definitions` looks up).
Loaded load(std::string_view text, std::string_view file, const DriverCatalogue& catalogue, const Definitions& definitions);

// Reads `path`: a regular file of at most 1 MiB. What cannot be read is a problem without a line. Never blocks on a pipe, never
// throws. Warns when everybody may read a file that holds a password (MQTT-070).
Loaded load_file(const std::string& path, const DriverCatalogue& catalogue, const Definitions& definitions);

}  // namespace batgw
