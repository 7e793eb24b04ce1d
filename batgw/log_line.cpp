#include "batgw/log_line.hpp"

#include <algorithm>
#include <charconv>
#include <iterator>

namespace batgw {
namespace {

constexpr std::uint32_t standard_ids = 0x7FF, extended_ids = 0x1FFFFFFF, error_flag = 0x20000000;
constexpr std::size_t fd_length = 64;

bool is_blank(char c) { return c == ' ' || c == '\t'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
int nibble(char c)
{
    if (is_digit(c)) return c - '0';
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return -1;
}
bool all_hex(std::string_view text)
{
    return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return nibble(c) >= 0; });
}

// The rest of a line, word by word. Colours count as blanks.
class Words {
public:
    explicit Words(std::string_view line) : rest_{line} {}
    void skip_blanks()
    {
        while (!rest_.empty()) {
            if (is_blank(rest_.front())) {
                rest_.remove_prefix(1);
            } else if (rest_.substr(0, 2) == "\x1b[") {
                const auto end = rest_.find('m');
                if (end > 12) return;  // or not there at all
                rest_.remove_prefix(end + 1);
            } else {
                return;
            }
        }
    }
    std::string_view next()
    {
        skip_blanks();
        const auto end = std::min(rest_.find_first_of(" \t\x1b"), rest_.size());
        const auto word = rest_.substr(0, end);
        rest_.remove_prefix(end);
        return word;
    }
    std::string_view peek() const
    {
        Words ahead = *this;
        return ahead.next();
    }
    bool empty()
    {
        skip_blanks();
        return rest_.empty();
    }
    std::string_view rest() const { return rest_; }
    void drop(std::size_t n) { rest_.remove_prefix(n); }

private:
    std::string_view rest_;
};

template <class Number>
std::optional<Number> number(std::string_view text, int base = 10)
{
    Number n{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n, base);
    if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return n;
}

// Days since 1970 of a date of the Gregorian calendar.
std::int64_t days_since_1970(std::int64_t year, unsigned month, unsigned day)
{
    year -= month <= 2 ? 1 : 0;
    const std::int64_t era = year / 400;
    const auto of_era = static_cast<unsigned>(year - era * 400);
    const unsigned of_year = (153 * (month + (month > 2 ? -3U : 9U)) + 2) / 5 + day - 1;
    return era * 146'097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719'468;
}

// "2015-07-10 06:17:32" as seconds; the time zone is not written, and taken for UTC.
std::optional<std::int64_t> date_seconds(std::string_view text)
{
    constexpr std::string_view shape = "dddd-dd-dd dd:dd:dd";
    if (text.size() != shape.size()) return std::nullopt;
    for (std::size_t i = 0; i < shape.size(); ++i)
        if (shape[i] == 'd' ? !is_digit(text[i]) : text[i] != shape[i]) return std::nullopt;
    const auto part = [&](std::size_t at, std::size_t size) { return *number<unsigned>(text.substr(at, size)); };
    const unsigned year = part(0, 4), month = part(5, 2), day = part(8, 2), hour = part(11, 2), minute = part(14, 2),
                   second = part(17, 2);
    if (year < 1970 || month < 1 || month > 12 || day < 1 || day > 31 || hour > 23 || minute > 59 || second > 60)
        return std::nullopt;
    return days_since_1970(year, month, day) * 86'400 + hour * 3600 + minute * 60 + second;
}

// "1436509052.249713", "000.000000", "2015-07-10 06:17:32.249713". candump counts from zero with three digits.
bool read_time(std::string_view text, TrafficLine& line)
{
    const auto dot = text.rfind('.');
    if (dot == std::string_view::npos) return false;
    const std::string_view whole = text.substr(0, dot), fraction = text.substr(dot + 1);
    if (fraction.empty() || fraction.size() > 9 || !std::all_of(fraction.begin(), fraction.end(), is_digit)) return false;
    std::int64_t us = 0;
    for (std::size_t i = 0; i < 6; ++i) us = us * 10 + (i < fraction.size() ? fraction[i] - '0' : 0);

    std::optional<std::int64_t> seconds;
    if (whole.size() <= 11 && !whole.empty() && std::all_of(whole.begin(), whole.end(), is_digit)) {
        seconds = number<std::int64_t>(whole);
        line.relative = whole.size() < 9;
    } else {
        seconds = date_seconds(whole);
    }
    if (!seconds) return false;
    line.time_us = *seconds * 1'000'000 + us;
    line.stamp = text;
    return true;
}

// A time in brackets, if the line begins with one. False: there is one, and it is none.
bool take_stamp(Words& words, TrafficLine& line)
{
    words.skip_blanks();
    if (words.rest().substr(0, 1) != "(") return true;
    const auto end = words.rest().find(')');
    if (end == std::string_view::npos || !read_time(words.rest().substr(1, end - 1), line)) return false;
    words.drop(end + 1);
    return true;
}

TrafficLine& bad(TrafficLine& line, std::string_view problem)
{
    line.kind = TrafficLine::Kind::bad;
    line.problem = problem;
    return line;
}

// Pairs of digits, with or without dots between. Nothing: something else, or more than `most` bytes.
std::optional<std::size_t> read_pairs(std::string_view text, std::span<std::uint8_t> into, std::size_t most)
{
    std::size_t size = 0;
    while (!text.empty()) {
        if (text.front() == '.' && size > 0) text.remove_prefix(1);
        if (text.size() < 2 || size == most) return std::nullopt;
        const int high = nibble(text[0]), low = nibble(text[1]);
        if (high < 0 || low < 0) return std::nullopt;
        if (size < into.size()) into[size] = static_cast<std::uint8_t>(high << 4 | low);
        ++size;
        text.remove_prefix(2);
    }
    return size;
}

bool set_id(std::uint32_t id, bool extended, TrafficLine& line)
{
    line.kind = TrafficLine::Kind::data;
    line.frame.extended = extended;
    line.frame.id = id;
    if (!extended) return id <= standard_ids;
    if (id <= extended_ids) return true;
    if ((id & ~(extended_ids | error_flag)) != 0) return false;
    line.kind = TrafficLine::Kind::error;
    line.frame.extended = false;
    line.frame.id = id & extended_ids;
    return true;
}

// "123#DEADBEEF", "00001234#", "123#R8", "123##1DEAD".
TrafficLine& read_compact(std::string_view word, Words& words, TrafficLine& line)
{
    const auto hash = word.find('#');
    const std::string_view id = word.substr(0, hash);
    std::string_view data = word.substr(hash + 1);
    if ((id.size() != 3 && id.size() != 8) || !all_hex(id)) return bad(line, "an identifier has 3 or 8 hexadecimal digits");
    if (!set_id(*number<std::uint32_t>(id, 16), id.size() == 8, line)) return bad(line, "no such identifier");
    // Newer versions of candump tell the direction at the end.
    const std::string_view tail = words.next();
    if ((!tail.empty() && tail != "R" && tail != "T") || !words.empty()) return bad(line, "something follows the frame");

    if (data.substr(0, 1) == "#") {
        line.kind = TrafficLine::Kind::fd;
        if (data.size() < 2 || nibble(data[1]) < 0 || !read_pairs(data.substr(2), {}, fd_length)) return bad(line, "no FD frame");
        return line;
    }
    if (data.substr(0, 1) == "R" || data.substr(0, 1) == "r") {
        line.kind = TrafficLine::Kind::remote;
        if (data.size() > 2 || (data.size() == 2 && (data[1] < '0' || data[1] > '8'))) return bad(line, "no remote request");
        return line;
    }
    if (const auto raw = data.find('_'); raw != std::string_view::npos && raw + 2 == data.size()) data = data.substr(0, raw);
    const auto size = read_pairs(data, line.frame.data, line.frame.data.size());
    if (!size) return bad(line, "data are at most 8 pairs of hexadecimal digits");
    line.frame.len = static_cast<std::uint8_t>(*size);
    return line;
}

// One byte of the console form: "DE", or in bits "11011110".
std::optional<std::uint8_t> console_byte(std::string_view word)
{
    if (word.size() == 2 && all_hex(word)) return number<std::uint8_t>(word, 16);
    if (word.size() == 8) return number<std::uint8_t>(word, 2);
    return std::nullopt;
}

// " DE AD BE EF", or with -S the last byte first: " EF`BE`AD`DE".
bool read_console_data(Words& words, TrafficLine& line, std::size_t size)
{
    if (size > 0 && words.peek().find('`') != std::string_view::npos) {
        std::string_view all = words.next();
        for (std::size_t i = size; i-- > 0;) {
            const auto end = std::min(all.find('`'), all.size());
            const auto byte = console_byte(all.substr(0, end));
            if (!byte || (i > 0) != (end < all.size())) return false;
            if (i < line.frame.data.size()) line.frame.data[i] = *byte;
            all.remove_prefix(std::min(end + 1, all.size()));
        }
        return true;
    }
    for (std::size_t i = 0; i < size; ++i) {
        const auto byte = console_byte(words.next());
        if (!byte) return false;
        if (i < line.frame.data.size()) line.frame.data[i] = *byte;
    }
    return true;
}

// "can0  RX - -  123   [4]  DE AD BE EF   '....'".
TrafficLine& read_console(Words& words, TrafficLine& line)
{
    std::string_view id = words.next();
    while (id == "RX" || id == "TX" || id == "-" || id == "B" || id == "E") id = words.next();
    const std::string_view length = words.next();
    if (!all_hex(id) || id.size() > 8 || length.size() < 3 || length.front() != '[' || length.back() != ']')
        return bad(line, "no frame of candump");
    if (!set_id(*number<std::uint32_t>(id, 16), id.size() > 3, line)) return bad(line, "no such identifier");
    const auto size = number<std::uint8_t>(length.substr(1, length.size() - 2));
    const bool fd = length.size() == 4;
    if (!size || length.size() > 4 || *size > (fd ? fd_length : line.frame.data.size())) return bad(line, "no such length");
    if (words.peek() == "remote") {
        line.kind = TrafficLine::Kind::remote;
        return line;
    }
    if (fd) line.kind = TrafficLine::Kind::fd;
    if (!read_console_data(words, line, *size)) return bad(line, "fewer bytes than announced, or no bytes");
    line.frame.len = std::min<std::uint8_t>(*size, 8);
    const std::string_view tail = words.peek();
    if (!tail.empty() && tail != "ERRORFRAME" && tail.front() != '\'' && tail.front() != '`')
        return bad(line, "something follows the frame");
    return line;
}

bool is_printable(std::string_view text)
{
    return std::all_of(text.begin(), text.end(), [](char c) {
        const auto u = static_cast<unsigned char>(c);
        return u >= 0x20 || c == '\t' || c == '\x1b';
    });
}

std::string_view without_return(std::string_view line)
{
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    return line;
}

// What is no frame, and no mistake either.
bool is_nothing(std::string_view text, TrafficLine& line)
{
    Words words{text};
    if (words.empty() || words.rest().front() == '#') return true;
    if (text.front() == '\t') return true;  // candump -e explains the error frame above
    constexpr std::string_view dropped = "DROPCOUNT: dropped ";
    if (words.rest().substr(0, dropped.size()) != dropped) return false;
    const auto total = words.rest().rfind("drops ");
    if (total != std::string_view::npos) {
        const auto digits = words.rest().substr(total + 6);
        line.drops = number<std::uint64_t>(digits.substr(0, digits.find_first_not_of("0123456789"))).value_or(0);
    }
    return true;
}

std::optional<bool> direction(std::string_view word)  // true: written
{
    if (word == ">" || word == "->" || word == "TX" || word == "TX:") return true;
    if (word == "<" || word == "<-" || word == "RX" || word == "RX:") return false;
    return std::nullopt;
}

// A word of bytes: "A5", "A5409008", "0xA5,0x40", "A5:40".
bool read_bytes(std::string_view word, TrafficLine& line)
{
    while (!word.empty()) {
        const auto end = std::min(word.find_first_of(",:-"), word.size());
        std::string_view digits = word.substr(0, end);
        word.remove_prefix(std::min(end + 1, word.size()));
        if (digits.substr(0, 2) == "0x" || digits.substr(0, 2) == "0X") digits.remove_prefix(2);
        const std::span<std::uint8_t> left = std::span{line.serial}.subspan(line.serial_size);
        const auto size = read_pairs(digits, left, left.size());
        if (!size) return false;
        line.serial_size += *size;
    }
    return true;
}

}  // namespace

TrafficLine parse_can_line(std::string_view text)
{
    TrafficLine line;
    text = without_return(text);
    if (text.size() > longest_log_line) return bad(line, "too long");
    if (!is_printable(text)) return bad(line, "holds control characters");
    if (is_nothing(text, line)) return line;
    Words words{text};
    if (!take_stamp(words, line)) return bad(line, "no such time stamp");
    std::string_view word = words.next();
    if (word.find('#') == std::string_view::npos) {
        line.interface = word;
        if (words.peek().find('#') == std::string_view::npos) return read_console(words, line);
        word = words.next();
    }
    return read_compact(word, words, line);
}

TrafficLine parse_serial_line(std::string_view text)
{
    TrafficLine line;
    text = without_return(text);
    if (text.size() > longest_log_line) return bad(line, "too long");
    if (!is_printable(text)) return bad(line, "holds control characters");
    if (is_nothing(text, line)) return line;
    line.kind = TrafficLine::Kind::bytes;
    Words words{text};
    if (!take_stamp(words, line)) return bad(line, "no such time stamp");
    if (line.stamp.empty() && words.peek().find('.') != std::string_view::npos && is_digit(words.peek().front()) &&
        read_time(words.peek(), line))
        words.next();
    if (!direction(words.peek()) && words.peek().find_first_not_of("0123456789ABCDEFabcdefxX,:-") != std::string_view::npos)
        line.interface = words.next();
    if (const auto written = direction(words.peek())) {
        line.written = *written;
        words.next();
    }
    if (words.empty()) return bad(line, "no bytes");
    while (!words.empty())
        if (!read_bytes(words.next(), line)) return bad(line, "bytes are pairs of hexadecimal digits");
    if (line.serial_size == 0) return bad(line, "no bytes");
    return line;
}

std::string frame_text(const CanFrame& frame)
{
    constexpr std::string_view digits = "0123456789ABCDEF";
    std::string text;
    for (unsigned i = frame.extended ? 8 : 3; i-- > 0;) text += digits[frame.id >> (4 * i) & 0xFU];
    text += '#';
    for (std::size_t i = 0; i < frame.len && i < frame.data.size(); ++i) {
        text += digits[frame.data[i] >> 4U];
        text += digits[frame.data[i] & 0xFU];
    }
    return text;
}

std::string error_text(std::uint32_t classes)
{
    constexpr std::array<std::string_view, 10> names{"transmit timeout", "arbitration lost", "controller problem",
        "protocol violation", "transceiver problem", "no acknowledge", "bus off", "bus error", "restarted", "error counters"};
    std::string text;
    for (std::size_t i = 0; i < names.size(); ++i)
        if ((classes >> i & 1U) != 0) text.append(text.empty() ? "" : ", ").append(names[i]);
    return text.empty() ? "unknown" : text;
}

}  // namespace batgw
