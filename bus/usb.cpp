#include "bus/usb.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <optional>

namespace batgw::bus {
namespace {

namespace fs = std::filesystem;

// An attribute is one line; a device may put anything into its strings.
std::string attribute(const fs::path& file)
{
    std::ifstream in{file};
    std::string text(256, '\0');
    in.read(text.data(), static_cast<std::streamsize>(text.size()));
    text.resize(static_cast<std::size_t>(in.gcount()));
    text.resize(std::min(text.find('\n'), text.size()));
    std::erase_if(text, [](char c) { return c < ' ' || c > '~'; });
    return text;
}

std::optional<std::uint16_t> id(const fs::path& file)
{
    const std::string text = attribute(file);
    std::uint16_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
    if (text.size() != 4 || error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return value;
}

// The USB device that `from` is a part of, below `root`.
std::optional<fs::path> usb_device_of(fs::path from, const fs::path& root)
{
    std::error_code error;
    for (; from != root && from.has_relative_path(); from = from.parent_path())
        if (fs::exists(from / "idVendor", error)) return from;
    return std::nullopt;
}

std::string name_of(const UsbPort& p, const SystemTree& tree)
{
    return fmt::format("{}/{} at usb:{} ({:04x}:{:04x}{}{}{}{})", tree.dev, p.node, p.socket, p.vendor, p.product,
        p.serial_number.empty() ? "" : ", serial number ", p.serial_number, p.model.empty() ? "" : ", ", p.model);
}

std::string listed(const std::vector<UsbPort>& ports, const SystemTree& tree)
{
    std::string all;
    for (const UsbPort& p : ports) all += (all.empty() ? "" : "; ") + name_of(p, tree);
    return all;
}

bool meant(const UsbPort& p, const PortName& name)
{
    if (!name.socket.empty()) return p.socket == name.socket;
    return p.vendor == name.vendor && p.product == name.product &&
        (name.serial_number.empty() || p.serial_number == name.serial_number);
}

}  // namespace

std::vector<UsbPort> usb_ports(const SystemTree& tree)
{
    std::vector<UsbPort> all;
    std::error_code error;
    const fs::path root = fs::canonical(tree.sys, error);
    if (error) return all;
    for (fs::directory_iterator entry{root / "class" / "tty", error}; !error && entry != fs::directory_iterator{};
         entry.increment(error)) {
        std::error_code gone;
        const fs::path device = fs::canonical(entry->path() / "device", gone);
        if (gone) continue;  // a console, a pseudo-terminal, or pulled this very moment
        const auto usb = usb_device_of(device, root);
        if (!usb) continue;
        const auto vendor = id(*usb / "idVendor");
        const auto product = id(*usb / "idProduct");
        if (!vendor || !product) continue;
        all.push_back({.node = entry->path().filename().string(),
            .socket = usb->filename().string(),
            .vendor = *vendor,
            .product = *product,
            .serial_number = attribute(*usb / "serial"),
            .maker = attribute(*usb / "manufacturer"),
            .model = attribute(*usb / "product")});
    }
    std::sort(all.begin(), all.end(), [](const UsbPort& a, const UsbPort& b) { return a.node < b.node; });
    return all;
}

FoundPort find_port(const PortName& port, const SystemTree& tree)
{
    if (!port.by_usb()) return {.path = port.path, .problem = {}};
    const std::vector<UsbPort> all = usb_ports(tree);
    std::vector<UsbPort> fitting;
    std::copy_if(all.begin(), all.end(), std::back_inserter(fitting), [&](const UsbPort& p) { return meant(p, port); });
    if (fitting.size() == 1) return {.path = tree.dev + "/" + fitting.front().node, .problem = {}};
    if (fitting.empty())
        return {.path = {},
            .problem = fmt::format("no serial port fits {}{}{}", port.text, all.empty() ? "" : "; there is ", listed(all, tree))};
    return {.path = {},
        .problem = fmt::format("{} ports fit {}, and none is touched: {}; name one by its socket, serial number or path",
            fitting.size(), port.text, listed(fitting, tree)),
        .ambiguous = true};
}

}  // namespace batgw::bus
