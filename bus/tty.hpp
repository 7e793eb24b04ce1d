// A serial line as the kernel presents it: opening, setting up, letting go. Any of this may block, O_NONBLOCK or not: a USB
// driver talks to its device to open it and to set a rate, which takes milliseconds, or seconds when the device hangs, and
// closing waits for bytes that nobody takes. So it is for the thread of a PortKeeper. Reading and writing an opened line never
// block.
#pragma once

#include "bus/event.hpp"
#include "model/driver.hpp"

#include <cstdint>
#include <string>

namespace batgw::bus {

enum class PortFault : std::uint8_t { none, missing, ambiguous, not_a_line, busy, not_permitted, settings, failed };

struct OpenedLine {
    Fd fd;
    PortFault fault = PortFault::none;
    std::string words;  // what to tell people about the fault
};

// Raw, 8 data bits, one stop bit, no flow control, exclusive, non-blocking. What had been received before is thrown away.
OpenedLine open_line(const std::string& path, const SerialLine& settings);

// Gives what was written up to 200 ms to leave, then drops it.
void close_line(Fd line);

// What a driver made of the wish; kept apart from the kernel for tests. Empty: as wished, or close enough (3 % of the rate).
struct LineFacts {
    std::uint32_t baud = 0;
    bool raw = false, eight_bits = false, two_stop_bits = false, hardware_flow = false;
    SerialLine::Parity parity = SerialLine::Parity::none;
};
std::string not_as_wished(const SerialLine& wish, const LineFacts& found);

}  // namespace batgw::bus
