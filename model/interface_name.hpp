// How the configuration names a bus by one string: a network interface, a bus inside the process, a serial line, or a CAN adapter
// on a serial line. The port of the latter two is a device file or a USB device.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace batgw {

enum class InterfaceKind : std::uint8_t { can, in_process, serial, waveshare, slcan };

constexpr bool is_adapter(InterfaceKind k) { return k == InterfaceKind::waveshare || k == InterfaceKind::slcan; }

// Bits per second of a CAN adapter where the configuration names none.
inline constexpr std::uint32_t adapter_bitrate = 500'000;

// A serial port: a path ("/dev/serial/by-id/..."), or a USB device by its ids ("usb:1a86:7523", "usb:0403:6001:A50285BI") or by
// the socket it is plugged into as the kernel numbers them ("usb:1-1.3").
struct PortName {
    std::string text;  // as written, without adapter and rate
    std::string path;  // empty: by USB
    std::uint16_t vendor = 0, product = 0;
    std::string serial_number;  // empty: any
    std::string socket;         // empty: by ids
    bool by_usb() const { return path.empty(); }
};

struct InterfaceName {
    InterfaceKind kind = InterfaceKind::can;
    std::string name;                     // of a network interface, or of a bus inside the process
    PortName port{};                      // of the others
    std::optional<std::uint32_t> baud{};  // of an adapter's serial line, "@115200" at the end; empty: the adapter's usual one
};

// Nothing for what names no bus. Knows the form only, not whether there is such a thing.
std::optional<InterfaceName> parse_interface(std::string_view text);

// Rates of a serial line that an adapter may be set to.
bool is_adapter_baud(std::uint32_t baud);

}  // namespace batgw
