// Short text that lives in place: names of devices, command ids. Cut, never grown.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace batgw {

template <std::size_t N>
class Text {
public:
    constexpr Text() = default;
    constexpr Text(std::string_view text) { assign(text); }
    constexpr void assign(std::string_view text)
    {
        size_ = static_cast<std::uint16_t>(text.size() < N ? text.size() : N);
        for (std::size_t i = 0; i < size_; ++i) chars_[i] = text[i];
    }
    constexpr Text& append(std::string_view more)
    {
        for (const char c : more)
            if (size_ < N) chars_[size_++] = c;
        return *this;
    }
    // What a stranger sent, reduced to printable ASCII (MQTT-073): anything else is dropped.
    constexpr void assign_printable(std::string_view text)
    {
        size_ = 0;
        for (const char c : text)
            if (c >= ' ' && c <= '~' && size_ < N) chars_[size_++] = c;
    }
    constexpr std::string_view view() const { return {chars_.data(), size_}; }
    constexpr bool empty() const { return size_ == 0; }
    friend constexpr bool operator==(const Text& a, const Text& b) { return a.view() == b.view(); }
    friend constexpr bool operator==(const Text& a, std::string_view b) { return a.view() == b; }

private:
    std::array<char, N> chars_{};
    std::uint16_t size_ = 0;
};

}  // namespace batgw
