#include "conf/checks.hpp"

#include "model/interface_name.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace batgw {
namespace {

bool is_alphanumeric(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); }
bool only(std::string_view text, std::string_view others)
{
    return std::all_of(
        text.begin(), text.end(), [&](char c) { return is_alphanumeric(c) || others.find(c) != std::string_view::npos; });
}
bool has_control(std::string_view text)
{
    return std::any_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; });
}

}  // namespace

std::optional<Complaint> check_interface(std::string_view text)
{
    if (parse_interface(text)) return std::nullopt;
    if (text.starts_with("virtual:"))
        return Complaint{fmt::format("'{}' does not name a virtual bus", text), "virtual: and 1 to 32 of A-Z a-z 0-9 _ . -"};
    constexpr std::string_view port =
        "/dev/NAME, usb:VENDOR:PRODUCT in four hex digits each, usb:VENDOR:PRODUCT:SERIAL, or a socket such as usb:1-1.3";
    if (text.starts_with("waveshare:") || text.starts_with("slcan:"))
        return Complaint{fmt::format("'{}' does not name the port of an adapter", text),
            fmt::format("{}; behind it @BAUD, 9600..2000000, where the adapter is not at its usual rate", port)};
    if (text.starts_with("usb:") || text.starts_with('/'))
        return Complaint{fmt::format("'{}' does not name a serial port", text), std::string{port}};
    return Complaint{fmt::format("'{}' cannot be an interface", text),
        "a CAN interface of 1 to 15 characters such as can0, waveshare:PORT or slcan:PORT, a serial port such as /dev/ttyUSB0 or "
        "usb:1a86:7523, or virtual:NAME"};
}

std::optional<Complaint> check_gpio_chip(std::string_view text)
{
    const bool good =
        !text.empty() && text.size() <= 63 && std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c <= '~'; });
    if (good) return std::nullopt;
    return Complaint{fmt::format("'{}' does not name a GPIO chip", text),
        "gpiochip0, /dev/gpiochip0 or the chip's label, up to 63 characters"};
}

std::optional<Complaint> check_topic(std::string_view text)
{
    const bool good = !text.empty() && text.size() <= 64 && only(text, "_/-") && !text.starts_with('/') && !text.ends_with('/') &&
        text.find("//") == std::string_view::npos;
    if (good) return std::nullopt;
    return Complaint{fmt::format("'{}' cannot be a topic", text), "1 to 64 of A-Z a-z 0-9 _ - /, no / at the ends, no //"};
}

std::optional<Complaint> check_host(std::string_view text)
{
    if (!text.empty() && text.size() <= 253 && only(text, "_.:%-")) return std::nullopt;
    return Complaint{fmt::format("'{}' cannot be a host", text), "a host name or an address, without scheme and port"};
}

std::optional<Complaint> check_path(std::string_view text)
{
    if (text.starts_with('/') && text.size() <= 4000 && !has_control(text)) return std::nullopt;
    return Complaint{fmt::format("'{}' is not an absolute path", text), "a path that starts with /"};
}

std::optional<Complaint> check_path_or_empty(std::string_view text) { return text.empty() ? std::nullopt : check_path(text); }

std::optional<Complaint> check_mqtt_text(std::string_view text)
{
    if (text.size() <= 1024 && !has_control(text)) return std::nullopt;
    return Complaint{"too long, or holds control characters", "up to 1024 bytes of text"};
}

std::optional<Complaint> check_client_id(std::string_view text)
{
    if (text.size() <= 128 && !has_control(text)) return std::nullopt;
    return Complaint{"too long, or holds control characters", "up to 128 bytes of text"};
}

std::optional<Complaint> check_name_or_empty(std::string_view text)
{
    const bool good = text.size() <= 253 && std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c <= '~'; });
    if (good) return std::nullopt;
    return Complaint{fmt::format("'{}' is not a name", text), "up to 253 printable characters without blanks"};
}

}  // namespace batgw
