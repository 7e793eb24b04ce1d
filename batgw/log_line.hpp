// Lines of recorded bus traffic: CAN as candump writes it, serial lines in hexadecimal. Pure: nothing here allocates or throws,
// whatever a line holds.
#pragma once

#include "model/can_frame.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace batgw {

inline constexpr std::size_t longest_log_line = 1024;  // characters, without the newline

struct TrafficLine {
    enum class Kind : std::uint8_t {
        nothing,  // empty, a comment (#), or what candump says beside frames
        data,
        remote,
        error,  // an error frame of the controller
        fd,
        bytes,  // of a serial line
        bad
    };
    Kind kind = Kind::nothing;
    std::string_view problem;             // bad: what is wrong
    std::optional<std::int64_t> time_us;  // since 1970, or since an instant that only the recorder knows (`relative`)
    bool relative = false;
    std::string_view stamp;      // the time as it is written, without brackets; empty: none
    std::string_view interface;  // may be empty
    CanFrame frame;              // data: the frame; remote, fd: its id; error: the error classes as id
    std::array<std::uint8_t, longest_log_line / 2> serial{};
    std::size_t serial_size = 0;
    bool written = false;     // bytes: to the device, not from it
    std::uint64_t drops = 0;  // nothing: frames that candump says it lost so far on its socket

    std::span<const std::uint8_t> bytes() const { return {serial.data(), serial_size}; }
};
constexpr std::string_view to_string(TrafficLine::Kind k)
{
    constexpr std::array<std::string_view, 7> names{"nothing", "data", "remote", "error", "fd", "bytes", "bad"};
    return names[static_cast<std::size_t>(k)];
}

// What `candump -l`, `-L` and plain `candump` write, with and without -t a, d, z, A, -x, -a, -S, -i, -c and -e; and frames as
// `cansend` takes them. Views point into `text`.
TrafficLine parse_can_line(std::string_view text);

// [(time)] [name] [> or <] bytes in hexadecimal: "A5 40 90 08", "A5409008", "0xA5,0x40". ">" or "TX" marks what was written to
// the device.
TrafficLine parse_serial_line(std::string_view text);

// "444#0102", "00004210#": as candump -L and cansend have it.
std::string frame_text(const CanFrame& frame);

// "bus off, no acknowledge": the classes of an error frame's identifier.
std::string error_text(std::uint32_t classes);

}  // namespace batgw
