#include "batgw/message_text.hpp"

#include "batgw/log_line.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace batgw {
namespace {

struct Value {
    std::int64_t raw = 0;
    std::optional<std::int64_t> milli;  // empty: no reading
    bool plain = false;                 // a code: `raw` is the value
};

Value value_of(const SignalView& s, const CanFrame& frame)
{
    const std::int64_t raw = read_raw(frame, s.bits);
    const bool plain = s.unit.empty() && s.step_milli == 1000 && s.zero_milli == 0;
    std::int64_t milli = 0;
    const bool too_large =
        !plain && (__builtin_mul_overflow(raw, s.step_milli, &milli) || __builtin_add_overflow(milli, s.zero_milli, &milli));
    if (raw < s.valid.min || raw > s.valid.max || too_large) return {raw, std::nullopt, plain};
    return {raw, milli, plain};
}

std::string number_text(const SignalView& s, const Value& v)
{
    if (v.plain) return std::to_string(v.raw);
    const unsigned decimals = decimals_of(s);
    return mqtt::fixed_text(mqtt::scaled(*v.milli, decimals), decimals);
}

}  // namespace

const MessageView* find_message(std::span<const MessageView> messages, const CanFrame& frame)
{
    const MessageView* found = nullptr;
    for (const MessageView& m : messages) {
        if (!m.carried_by(frame.id, frame.extended)) continue;
        if (m.len == frame.len) return &m;
        if (found == nullptr) found = &m;
    }
    return found;
}

unsigned decimals_of(const SignalView& signal)
{
    unsigned decimals = 0;
    for (std::int64_t part = 1000; decimals < 3; ++decimals, part /= 10)
        if (signal.step_milli % part == 0 && signal.zero_milli % part == 0) break;
    return decimals;
}

std::string signals_text(const MessageView& message, const CanFrame& frame)
{
    std::string text;
    for (const SignalView& s : message.signals) {
        const Value v = value_of(s, frame);
        text += fmt::format("{}{} ", text.empty() ? "" : ", ", s.name);
        if (!v.milli)
            text += fmt::format("none (raw {})", v.raw);
        else
            text += number_text(s, v) + (s.unit.empty() ? "" : fmt::format(" {}", s.unit));
    }
    return text;
}

void write_signals(const MessageView& message, const CanFrame& frame, mqtt::Json& json)
{
    json.open('{');
    for (const SignalView& s : message.signals) {
        const Value v = value_of(s, frame);
        json.key(s.name).open('{').key("value");
        if (v.milli)
            json.raw(number_text(s, v));
        else
            json.null().key("raw").raw(std::to_string(v.raw));
        if (!s.unit.empty()) json.key("unit").string(s.unit);
        json.close('}');
    }
    json.close('}');
}

const std::vector<FoundTelegram>& TelegramFinder::take(std::span<const std::uint8_t> piece)
{
    found_.clear();
    if (find_ == nullptr) return found_;
    rest_.insert(rest_.end(), piece.begin(), piece.end());
    std::span<const std::uint8_t> left{rest_};
    while (const auto one = find_(left)) {
        found_.push_back(*one);
        left = left.subspan(one->end);
    }
    left = left.last(std::min(left.size(), Telegram{}.data.size()));
    rest_ = std::vector<std::uint8_t>(left.begin(), left.end());
    return found_;
}

std::string hex_text(std::span<const std::uint8_t> bytes, std::string_view between)
{
    return fmt::format("{:02X}", fmt::join(bytes, between));
}

void write_frame(const CanFrame& frame, mqtt::Json& json)
{
    const std::string text = frame_text(frame);
    const auto hash = text.find('#');
    json.key("id").string(text.substr(0, hash));
    json.key("extended").boolean(frame.extended);
    json.key("data").string(text.substr(hash + 1));
}

}  // namespace batgw
