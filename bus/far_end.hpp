// The far end of a serial port, played on a pseudo-terminal: what simulators are on where the gateway has a serial line or an
// adapter. The gateway opens the port's near end by its path and sees a real one, that can be unplugged.
#pragma once

#include "bus/bus.hpp"
#include "bus/event.hpp"

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace batgw::bus {

class PseudoTerminal {
public:
    using OnBytes = std::function<void(std::span<const std::uint8_t>)>;
    // Makes a link at `path` to the near end; in place of an older link to a pseudo-terminal, but of nothing else. Throws
    // std::runtime_error. Without a path there is only near().
    PseudoTerminal(event_base* base, const std::string& path, OnBytes on_bytes);
    ~PseudoTerminal();
    PseudoTerminal(const PseudoTerminal&) = delete;
    PseudoTerminal& operator=(const PseudoTerminal&) = delete;

    const std::string& near() const { return near_; }  // "/dev/pts/3"
    bool connected() const { return connected_; }      // somebody has the near end open
    // False: nobody listens, or does not keep up; all of it is lost then.
    bool write(std::span<const std::uint8_t> bytes) const;

private:
    void on_readable();
    void look_again();
    void wait_for_somebody();

    event_base* base_;
    std::string path_, near_;
    OnBytes on_bytes_;
    Fd fd_;
    bool connected_ = false;
    EventHandle on_readable_, on_look_;
};

// "pty:PATH": bytes. "waveshare:pty:PATH", "slcan:pty:PATH": an adapter with a bus behind it, on which are the listener and
// nobody else. Null for a name of no such form.
std::unique_ptr<Bus> open_far_end(event_base* base, std::string_view name, BusListener& listener);
bool is_far_end(std::string_view name);

}  // namespace batgw::bus
