// The built program as a user starts it from a shell, in the project's folder.
#pragma once

#include "tests/batgw/program.hpp"

#include <cstdlib>
#include <string>
#include <vector>

namespace batgw::test {

struct Ran {
    int status;
    std::string out, err;
};

// `command` is a line for sh; `batgw` in it is the built program.
inline Ran run(const std::string& command)
{
    const Folder folder;
    const std::string line =
        "batgw() { '" + program_path() + "' \"$@\"; }; { " + command + "; } >" + folder.file("out") + " 2>" + folder.file("err");
    const int status = std::system(line.c_str());
    return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), folder.read("out"), folder.read("err")};
}

inline std::vector<std::string> lines_of(const std::string& text)
{
    std::vector<std::string> lines;
    std::istringstream in{text};
    for (std::string line; std::getline(in, line);) lines.push_back(line);
    return lines;
}

}  // namespace batgw::test
