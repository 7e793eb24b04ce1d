#pragma once

#include <filesystem>
#include <string>

namespace batgw::test {

// The built program: it lies beside the tests that start it. Not a path compiled in, which would make the same test another one
// for the compiler's cache in every folder.
inline std::string program_path() { return std::filesystem::read_symlink("/proc/self/exe").replace_filename("batgw").string(); }

}  // namespace batgw::test
