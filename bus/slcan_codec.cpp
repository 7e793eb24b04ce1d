#include "bus/slcan_codec.hpp"

#include <algorithm>

namespace batgw::bus::slcan {
namespace {

constexpr std::array<std::uint32_t, 9> rates{10'000, 20'000, 50'000, 100'000, 125'000, 250'000, 500'000, 800'000, 1'000'000};

std::optional<std::uint8_t> hex_digit(char c)
{
    if (c >= '0' && c <= '9') return static_cast<std::uint8_t>(c - '0');
    if (c >= 'A' && c <= 'F') return static_cast<std::uint8_t>(c - 'A' + 10);
    if (c >= 'a' && c <= 'f') return static_cast<std::uint8_t>(c - 'a' + 10);
    return std::nullopt;
}

std::optional<std::uint32_t> hex(std::string_view digits)
{
    std::uint32_t value = 0;
    for (const char c : digits) {
        const auto digit = hex_digit(c);
        if (!digit) return std::nullopt;
        value = value << 4 | *digit;
    }
    return value;
}

std::optional<std::uint16_t> decimal(std::string_view digits)
{
    std::uint16_t value = 0;
    for (const char c : digits) {
        if (c < '0' || c > '9') return std::nullopt;
        value = static_cast<std::uint16_t>(value * 10 + (c - '0'));
    }
    return value;
}

bool time_stamp(std::string_view rest) { return (rest.empty() || rest.size() == 4 || rest.size() == 8) && hex(rest).has_value(); }

Line frame_line(std::string_view text, bool extended, bool remote)
{
    const std::size_t id_size = extended ? 8 : 3;
    if (text.size() < 1 + id_size + 1) return {};
    const auto id = hex(text.substr(1, id_size));
    const char len = text[1 + id_size];
    if (!id || *id > (extended ? 0x1FFF'FFFFU : 0x7FFU) || len < '0' || len > '8') return {};
    Line line{.kind = remote ? Line::Kind::remote : Line::Kind::frame};
    line.frame = {.id = *id, .extended = extended, .len = static_cast<std::uint8_t>(len - '0'), .data = {}};
    const std::string_view rest = text.substr(2 + id_size);
    const std::size_t digits = remote ? 0 : 2U * line.frame.len;
    if (rest.size() < digits || !time_stamp(rest.substr(digits))) return {};
    for (std::size_t i = 0; i < digits / 2; ++i) {
        const auto byte = hex(rest.substr(2 * i, 2));
        if (!byte) return {};
        line.frame.data[i] = static_cast<std::uint8_t>(*byte);
    }
    return line;
}

// sa000012: state, three digits of received errors, three of sent.
Line state_line(std::string_view text)
{
    if (text.size() != 8) return {};
    Line line{.kind = Line::Kind::state};
    switch (text[1]) {
    case 'a': line.state = BusState::active; break;
    case 'w': line.state = BusState::warning; break;
    case 'p': line.state = BusState::passive; break;
    case 'b': line.state = BusState::bus_off; break;
    default: return {};
    }
    const auto rx = decimal(text.substr(2, 3));
    const auto tx = decimal(text.substr(5, 3));
    if (!rx || !tx) return {};
    line.rx_errors = *rx;
    line.tx_errors = *tx;
    return line;
}

// e2ab: how many letters, and they.
Line error_line(std::string_view text)
{
    constexpr std::string_view known = "abBcfsoO";
    if (text.size() < 2 || text[1] < '1' || text[1] > '9' || text.size() != 2U + static_cast<std::size_t>(text[1] - '0'))
        return {};
    const std::string_view letters = text.substr(2);
    if (letters.find_first_not_of(known) != std::string_view::npos) return {};
    return {.kind = Line::Kind::errors, .error_letters = letters};
}

Line flags_line(std::string_view text)
{
    const auto value = text.size() == 3 ? hex(text.substr(1)) : std::nullopt;
    if (!value) return {};
    return {.kind = Line::Kind::flags, .flags = static_cast<std::uint8_t>(*value)};
}

}  // namespace

Line parse(std::string_view text)
{
    if (text.empty()) return {.kind = Line::Kind::done};
    if (text.size() > longest_line) return {};
    switch (text[0]) {
    case bell: return {.kind = text.size() == 1 ? Line::Kind::refused : Line::Kind::malformed};
    case 't': return frame_line(text, false, false);
    case 'T':
    case 'x': return frame_line(text, true, false);  // x: CANdapter
    case 'r': return frame_line(text, false, true);
    case 'R': return frame_line(text, true, true);
    case 'z':
    case 'Z': return {.kind = text.size() == 1 ? Line::Kind::done : Line::Kind::malformed};
    case 'F': return flags_line(text);
    case 's': return state_line(text);
    case 'e': return error_line(text);
    case 'V':
    case 'v':
    case 'N':
    case 'd':
    case 'D':
    case 'b':
    case 'B': return {.kind = Line::Kind::other};
    default: return {};
    }
}

std::optional<std::string_view> LineReader::take(std::span<const std::uint8_t>& bytes)
{
    if (ended_) size_ = 0;
    ended_ = false;
    if (bell_next_) {
        bell_next_ = false;
        ended_ = true;
        return std::string_view{"\a"};
    }
    while (!bytes.empty()) {
        const char c = static_cast<char>(bytes.front());
        bytes = bytes.subspan(1);
        if (c == end_of_line || c == bell) {
            ended_ = true;
            bell_next_ = c == bell && size_ > 0;  // a torn line before it, then the BELL
            if (c == bell && size_ == 0) return std::string_view{"\a"};
            return std::string_view{text_.data(), size_};
        }
        if (c == '\n' && size_ == 0) continue;  // of firmware that ends its lines with both
        if (size_ < text_.size()) text_[size_++] = c;
    }
    return std::nullopt;
}

std::size_t encode(const CanFrame& frame, std::span<std::uint8_t> out)
{
    constexpr std::string_view digits = "0123456789ABCDEF";
    std::size_t size = 0;
    const auto put = [&](char c) { out[size++] = static_cast<std::uint8_t>(c); };
    put(frame.extended ? 'T' : 't');
    for (unsigned shift = frame.extended ? 32 : 12; shift > 0;) {
        shift -= 4;
        put(digits[frame.id >> shift & 0xFU]);
    }
    const std::uint8_t len = std::min<std::uint8_t>(frame.len, 8);
    put(digits[len]);
    for (std::size_t i = 0; i < len; ++i) {
        put(digits[frame.data[i] >> 4U]);
        put(digits[frame.data[i] & 0xFU]);
    }
    put(end_of_line);
    return size;
}

std::optional<char> speed_digit(std::uint32_t bitrate)
{
    const auto rate = std::find(rates.begin(), rates.end(), bitrate);
    if (rate == rates.end()) return std::nullopt;
    return static_cast<char>('0' + (rate - rates.begin()));
}

std::optional<std::uint32_t> speed_of(char digit)
{
    if (digit < '0' || digit > '8') return std::nullopt;
    return rates[static_cast<std::size_t>(digit - '0')];
}

}  // namespace batgw::bus::slcan
