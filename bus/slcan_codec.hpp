// slcan, the lines of LAWICEL's CAN232 and CANUSB that CANable, USBtin and many others speak. No input or output here, only text.
//
// Sources: the LAWICEL command set as restated in latonita/arduino-canbus-monitor, drivers/net/can/slcan of Linux for state and
// error lines, normaldotcom/canable-fw for what such firmware leaves out. Not tried on an adapter of ours.
#pragma once

#include "model/bus_status.hpp"
#include "model/can_frame.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace batgw::bus::slcan {

inline constexpr char end_of_line = '\r';
inline constexpr char bell = '\a';               // instead of the end of a line: refused
inline constexpr std::size_t longest_line = 34;  // T, id, length, 8 bytes, a time stamp of 8 digits

struct Line {
    enum class Kind : std::uint8_t {
        frame,    // tiiildd..  Tiiiiiiiildd..
        remote,   // riiil  Riiiiiiiil
        done,     // an empty line, z, Z: a command was carried out
        refused,  // BELL
        flags,    // Fxx
        state,    // s: state and error counters
        errors,   // e: what went wrong on the bus
        other,    // V, v, N, CAN FD
        malformed
    } kind = Kind::malformed;
    CanFrame frame{};
    std::uint8_t flags = 0;
    BusState state = BusState::active;
    std::uint16_t rx_errors = 0, tx_errors = 0;
    std::string_view error_letters{};  // a: no acknowledge, b B c f s: protocol, o O: overrun
};
// Meaning of `flags`.
inline constexpr std::uint8_t flag_rx_full = 0x01, flag_tx_full = 0x02, flag_warning = 0x04, flag_overrun = 0x08,
                              flag_passive = 0x20, flag_arbitration = 0x40, flag_bus_error = 0x80;

// `text` without its end; a lone BELL is "\a". A time stamp (4 or 8 digits) is checked and ignored.
Line parse(std::string_view text);

// Cuts bytes into lines. A line that is too long is one malformed line, whatever its length; nothing is kept of it.
class LineReader {
public:
    // Takes bytes up to the end of a line, or all of them. Nothing: no line is complete yet. What it returns is good until the
    // next call; longer than `longest_line`: malformed.
    std::optional<std::string_view> take(std::span<const std::uint8_t>& bytes);

private:
    std::array<char, longest_line + 1> text_{};
    std::size_t size_ = 0;
    bool ended_ = false;
    bool bell_next_ = false;
};

// Returns the length of the line, with its end.
std::size_t encode(const CanFrame& frame, std::span<std::uint8_t> out);

// The digit of S; nothing for a rate there is none for. 800 kbit/s is 750 on some adapters.
std::optional<char> speed_digit(std::uint32_t bitrate);
std::optional<std::uint32_t> speed_of(char digit);

}  // namespace batgw::bus::slcan
