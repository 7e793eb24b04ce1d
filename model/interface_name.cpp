#include "model/interface_name.hpp"

#include <algorithm>
#include <array>
#include <charconv>

namespace batgw {
namespace {

bool is_alphanumeric(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_printable(char c) { return c > ' ' && c <= '~'; }

bool plain_name(std::string_view text, std::size_t most)
{
    return !text.empty() && text.size() <= most &&
        std::all_of(text.begin(), text.end(), [](char c) { return is_alphanumeric(c) || c == '_' || c == '.' || c == '-'; });
}

std::optional<std::uint16_t> four_hex_digits(std::string_view text)
{
    std::uint16_t value = 0;
    if (text.size() != 4) return std::nullopt;
    const auto [end, error] = std::from_chars(text.data(), text.data() + 4, value, 16);
    if (error != std::errc{} || end != text.data() + 4) return std::nullopt;
    return value;
}

// Bus number, a dash, and the way through the hubs: "1-1", "2-1.3.4".
bool usb_socket(std::string_view text)
{
    const auto dash = text.find('-');
    if (dash == std::string_view::npos || text.size() > 32) return false;
    const auto number = [](std::string_view part) {
        return !part.empty() && part.size() <= 3 && std::all_of(part.begin(), part.end(), is_digit);
    };
    if (!number(text.substr(0, dash))) return false;
    std::string_view way = text.substr(dash + 1);
    for (auto dot = way.find('.'); dot != std::string_view::npos; dot = way.find('.')) {
        if (!number(way.substr(0, dot))) return false;
        way.remove_prefix(dot + 1);
    }
    return number(way);
}

std::optional<PortName> parse_usb(std::string_view what)
{
    PortName port;
    if (usb_socket(what)) {
        port.socket = what;
        return port;
    }
    if (what.size() < 9 || what[4] != ':') return std::nullopt;
    const auto vendor = four_hex_digits(what.substr(0, 4));
    const auto product = four_hex_digits(what.substr(5, 4));
    if (!vendor || !product) return std::nullopt;
    port.vendor = *vendor;
    port.product = *product;
    if (what.size() == 9) return port;
    const std::string_view serial = what.substr(10);
    if (what[9] != ':' || serial.empty() || serial.size() > 126 || !std::all_of(serial.begin(), serial.end(), is_printable))
        return std::nullopt;
    port.serial_number = serial;
    return port;
}

std::optional<PortName> parse_port(std::string_view text)
{
    constexpr std::string_view usb = "usb:";
    std::optional<PortName> port;
    if (text.starts_with(usb))
        port = parse_usb(text.substr(usb.size()));
    else if (text.size() > 1 && text.size() <= 4000 && text.front() == '/' && text.back() != '/' &&
        std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) >= 0x20 && c != 0x7F; })) {
        port.emplace();
        port->path = text;
    }
    if (port) port->text = text;
    return port;
}

// Takes "@115200" off the end. False: there is one, but no adapter knows this rate.
bool take_baud(std::string_view& text, std::optional<std::uint32_t>& baud)
{
    const auto at = text.rfind('@');
    if (at == std::string_view::npos) return true;
    const std::string_view digits = text.substr(at + 1);
    if (digits.empty() || !std::all_of(digits.begin(), digits.end(), is_digit)) return true;  // of a path
    std::uint32_t value = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (error != std::errc{} || end != digits.data() + digits.size() || !is_adapter_baud(value)) return false;
    text = text.substr(0, at);
    baud = value;
    return true;
}

}  // namespace

bool is_adapter_baud(std::uint32_t baud)
{
    constexpr std::array<std::uint32_t, 10> rates{
        9'600, 19'200, 38'400, 57'600, 115'200, 230'400, 460'800, 921'600, 1'228'800, 2'000'000};
    return std::find(rates.begin(), rates.end(), baud) != rates.end();
}

std::optional<InterfaceName> parse_interface(std::string_view text)
{
    constexpr std::string_view in_process = "virtual:", waveshare = "waveshare:", slcan = "slcan:";
    InterfaceName out;
    if (text.starts_with(in_process)) {
        out.kind = InterfaceKind::in_process;
        out.name = text.substr(in_process.size());
        return plain_name(out.name, 32) ? std::optional{out} : std::nullopt;
    }
    if (text.starts_with(waveshare) || text.starts_with(slcan)) {
        out.kind = text.starts_with(waveshare) ? InterfaceKind::waveshare : InterfaceKind::slcan;
        text.remove_prefix(text.find(':') + 1);
        if (!take_baud(text, out.baud)) return std::nullopt;
    } else if (text.starts_with('/') || text.starts_with("usb:")) {
        out.kind = InterfaceKind::serial;
        std::optional<std::uint32_t> none;  // the protocol says how fast its line is
        if (!take_baud(text, none) || none) return std::nullopt;
    } else {
        // What the kernel takes as the name of a network interface, of a cautious set of characters.
        out.name = text;
        return plain_name(text, 15) && text != "." && text != ".." ? std::optional{out} : std::nullopt;
    }
    auto port = parse_port(text);
    if (!port) return std::nullopt;
    out.port = std::move(*port);
    return out;
}

}  // namespace batgw
