#include "conf/decimal.hpp"

#include "conf/keys.hpp"

#include <array>
#include <limits>

namespace batgw {
namespace {

bool digits(std::string_view text)
{
    for (const char c : text)
        if (c < '0' || c > '9') return false;
    return !text.empty();
}

// value * 10 + digit; false when it does not fit.
bool append(std::int64_t& value, char digit)
{
    constexpr std::int64_t most = std::numeric_limits<std::int64_t>::max();
    const std::int64_t d = digit - '0';
    if (value > (most - d) / 10) return false;
    value = value * 10 + d;
    return true;
}

}  // namespace

Decimal parse_decimal(std::string_view text, std::int64_t scale, std::int64_t step)
{
    const bool negative = text.starts_with('-');
    const std::string_view number = negative ? text.substr(1) : text;
    const std::size_t point = number.find('.');
    const std::string_view whole = number.substr(0, point);
    const std::string_view fraction = point == std::string_view::npos ? std::string_view{} : number.substr(point + 1);
    if (!digits(whole) || (point != std::string_view::npos && !digits(fraction))) return {{}, "is not a decimal number"};
    if (whole.size() > 1 && whole.front() == '0') return {{}, "has a leading zero"};
    std::int64_t value = 0;
    for (const char c : whole)
        if (!append(value, c)) return {{}, "is too large"};
    std::int64_t rest = scale;  // base units that one unit of the present decimal place makes
    for (const char c : fraction) {
        if (rest > 1) {
            rest /= 10;
            if (!append(value, c)) return {{}, "is too large"};
        } else if (c != '0') {
            return {{}, scale == 1 ? "is not a whole number" : "is finer than " + print_number(1, scale)};
        }
    }
    for (; rest > 1; rest /= 10)
        if (!append(value, '0')) return {{}, "is too large"};
    if (value % step != 0) return {{}, "is not a whole number"};
    return {negative ? -value : value, {}};
}

std::optional<bool> parse_boolean(std::string_view text)
{
    static constexpr std::array<std::string_view, 9> yes{"true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON"};
    static constexpr std::array<std::string_view, 9> no{"false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF"};
    for (const auto word : yes)
        if (word == text) return true;
    for (const auto word : no)
        if (word == text) return false;
    return std::nullopt;
}

}  // namespace batgw
