#include "conf/checks.hpp"

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
    const std::string allowed = "a CAN interface of 1 to 15 characters such as can0, or virtual:NAME";
    if (text.starts_with('/')) return Complaint{"serial lines are not available in this version", allowed};
    if (text.starts_with("waveshare:") || text.starts_with("slcan:"))
        return Complaint{"serial CAN adapters are not available in this version", allowed};
    if (text.starts_with("virtual:")) {
        const std::string_view name = text.substr(8);
        if (name.empty() || name.size() > 32 || !only(name, "_.-"))
            return Complaint{fmt::format("'{}' does not name a virtual bus", text), "virtual: and 1 to 32 of A-Z a-z 0-9 _ . -"};
        return std::nullopt;
    }
    if (text.empty() || text.size() > 15 || !only(text, "_.-") || text == "." || text == "..")
        return Complaint{fmt::format("'{}' cannot be an interface", text), allowed};
    return std::nullopt;
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
