// The words of a control line, and numbers in them.
#pragma once

#include <charconv>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

namespace batgw::sim {

inline std::vector<std::string_view> words_of(std::string_view line)
{
    std::vector<std::string_view> words;
    while (true) {
        const auto begin = line.find_first_not_of(" \t\r\n");
        if (begin == std::string_view::npos) return words;
        const auto end = line.find_first_of(" \t\r\n", begin);
        words.push_back(line.substr(begin, end - begin));
        if (end == std::string_view::npos) return words;
        line.remove_prefix(end);
    }
}

inline std::optional<double> number_of(std::string_view word)
{
    double value = 0;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
    if (error != std::errc{} || end != word.data() + word.size()) return std::nullopt;
    if (!(value > -1e9 && value < 1e9)) return std::nullopt;  // no NaN, no infinity
    return value;
}

inline std::optional<std::uint32_t> identifier_of(std::string_view word)
{
    if (word.starts_with("0x") || word.starts_with("0X")) word.remove_prefix(2);
    std::uint32_t value = 0;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value, 16);
    if (error != std::errc{} || end != word.data() + word.size() || value > 0x7FF) return std::nullopt;
    return value;
}

inline std::optional<bool> switch_of(std::string_view word)
{
    if (word == "on") return true;
    if (word == "off") return false;
    return std::nullopt;
}

// "-12.3"
inline std::string text_of(double value, int decimals)
{
    std::string text(64, '\0');
    const auto [end, error] = std::to_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed, decimals);
    text.resize(error == std::errc{} ? static_cast<std::size_t>(end - text.data()) : 0);
    return text;
}

}  // namespace batgw::sim
