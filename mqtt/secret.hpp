// Passwords and keys from files.
#pragma once

#include <optional>
#include <string>

namespace batgw::mqtt {

// The first line of a file, without its newline; at most 4096 bytes are read. Nothing when it cannot be read.
std::optional<std::string> read_secret(const std::string& path);
// Others than owner and group may read it.
bool world_readable(const std::string& path);
// What the service manager passes as credential `name`; nothing when there is none.
std::optional<std::string> service_credential(const char* name);

}  // namespace batgw::mqtt
