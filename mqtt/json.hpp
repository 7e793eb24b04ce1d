// Writes compact ASCII JSON in the order of the calls, numbers with the decimals they deserve.
#pragma once

#include "mqtt/value_text.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace batgw::mqtt {

// Text between quotes, all but printable ASCII escaped or, where it is no UTF-8, replaced.
std::string quoted(std::string_view text);

class Json {
public:
    Json& open(char bracket)  // '{' or '['
    {
        separate();
        text_ += bracket;
        first_ = true;
        return *this;
    }
    Json& close(char bracket)
    {
        text_ += bracket;
        first_ = false;
        return *this;
    }
    Json& key(std::string_view name)
    {
        separate();
        text_ += quoted(name);
        text_ += ':';
        first_ = true;  // no comma between key and value
        return *this;
    }
    Json& raw(std::string_view value)
    {
        separate();
        text_ += value;
        return *this;
    }
    Json& string(std::string_view value) { return raw(quoted(value)); }
    Json& boolean(bool value) { return raw(value ? "true" : "false"); }
    Json& null() { return raw("null"); }
    Json& integer(std::uint64_t value) { return raw(std::to_string(value)); }
    // Thousandths, shown with exactly `decimals` (0..4).
    Json& milli(std::optional<std::int64_t> value, unsigned decimals)
    {
        return value ? raw(fixed_text(scaled(*value, decimals), decimals)) : null();
    }
    // Thousandths, shown with up to `decimals`, trailing zeros dropped.
    Json& milli_short(std::optional<std::int64_t> value, unsigned decimals);

    const std::string& text() const { return text_; }
    std::string take() { return std::move(text_); }

private:
    void separate()
    {
        if (!first_) text_ += ',';
        first_ = false;
    }
    std::string text_;
    bool first_ = true;
};

}  // namespace batgw::mqtt
