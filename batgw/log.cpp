#include "batgw/log.hpp"

#include <fmt/format.h>

#include <array>
#include <cstdlib>
#include <string>

#include <unistd.h>

namespace batgw {

void print_log(LogLevel level, std::string_view text)
{
    static constexpr std::array<std::string_view, 4> priority{"<3>", "<4>", "<6>", "<7>"};
    static constexpr std::array<std::string_view, 4> word{"error: ", "warning: ", "", "debug: "};
    // Set by the service manager when standard error goes to its journal.
    const bool journal = std::getenv("JOURNAL_STREAM") != nullptr;
    std::string line{journal ? priority[static_cast<std::size_t>(level)] : word[static_cast<std::size_t>(level)]};
    line += text;
    line += '\n';
    [[maybe_unused]] const auto n = ::write(STDERR_FILENO, line.data(), line.size());
}

std::string devices_text(const Config& config)
{
    const std::string second = config.battery2 ? fmt::format(" and {}", config.battery2->interface) : "";
    return fmt::format("{} on {}{}, {} on {}", config.battery.protocol, config.battery.interface, second,
        config.inverter.protocol, config.inverter.interface);
}

}  // namespace batgw
