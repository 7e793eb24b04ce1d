// Files of the state directory, whole or not at all.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace batgw {

// Temporary file, fsync, rename, fsync of the directory. The answer is what went wrong; empty: done.
std::string write_whole(const std::string& directory, std::string_view name, std::string_view content);

// errno, or 0. Only a plain file is read: anything else could block or never end. Of one larger than 64 KiB more than that comes
// back, which nobody will understand.
int read_whole(const std::string& path, std::string& text);

// A heading with version, length and CRC-32 in front of the text, and back. What was cut, changed or is somebody else's: nothing.
std::string sealed(std::string_view kind, std::string_view text);
std::optional<std::string_view> unsealed(std::string_view kind, std::string_view content);

}  // namespace batgw
