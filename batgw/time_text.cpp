#include "batgw/time_text.hpp"

#include <array>
#include <charconv>
#include <cstdint>
#include <utility>

namespace batgw {

std::optional<Duration> parse_duration(std::string_view text)
{
    static constexpr std::array<std::pair<std::string_view, Duration>, 5> units{
        {{"ms", 1ms}, {"s", 1s}, {"m", 60s}, {"h", 3600s}, {"", 1s}}};
    std::int64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc{} || number < 0 || number > 30LL * 86400 * 1000) return std::nullopt;
    const std::string_view unit{end, static_cast<std::size_t>(text.data() + text.size() - end)};
    for (const auto& [name, one] : units)
        if (unit == name && number * one <= 30 * 86400s) return number * one;
    return std::nullopt;
}

}  // namespace batgw
