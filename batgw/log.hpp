// What the program says to people. The bridge's thread never writes to a file or pipe, which may block: it hands lines to the
// outside thread, which prints them.
#pragma once

#include "model/config.hpp"
#include "model/text.hpp"

#include <string>
#include <string_view>

namespace batgw {

struct LogLine {
    LogLevel level = LogLevel::info;
    Text<240> text;
};

// Prints one line to standard error, with the service manager's priority prefix when it reads along.
void print_log(LogLevel level, std::string_view text);

// "byd-atto3 on can0, byd-hvs on can1".
std::string devices_text(const Config& config);

}  // namespace batgw
