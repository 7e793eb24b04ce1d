// Serial ports of USB devices, as the kernel lists them in /sys/class/tty. Reading sysfs may take a device's lock, so this is for
// the thread of a PortKeeper, or for tools.
#pragma once

#include "model/interface_name.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace batgw::bus {

struct UsbPort {
    std::string node;    // "ttyUSB0"
    std::string socket;  // where it is plugged in: "1-1.3"; the same after replugging
    std::uint16_t vendor = 0, product = 0;
    std::string serial_number, maker, model;  // empty: the device does not say
};

// Where a test puts a tree of its own.
struct SystemTree {
    std::string sys = "/sys", dev = "/dev";
};

// All there are, sorted by node. What has no USB device above it (ttyS0, pseudo-terminals) is not listed.
std::vector<UsbPort> usb_ports(const SystemTree& tree = {});

// The path of the port that was meant. Empty when there is none or more than one: then `problem` says so, and names them.
struct FoundPort {
    std::string path;
    std::string problem;
    bool ambiguous = false;
};
FoundPort find_port(const PortName& port, const SystemTree& tree = {});

}  // namespace batgw::bus
