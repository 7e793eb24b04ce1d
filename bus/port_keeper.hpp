// Looks for one serial port on a thread of its own, opens and sets it up, and closes it when it was lost: what of it may block
// happens there. A port is searched anew every time, so an adapter that comes back under another name is found again.
#pragma once

#include "bus/helper.hpp"
#include "bus/tty.hpp"
#include "bus/usb.hpp"
#include "model/text.hpp"

#include <string>

namespace batgw::bus {

struct PortReport {
    int fd = -1;  // opened; the receiver owns it
    PortFault fault = PortFault::none;
    Text<120> path{};   // of the opened port
    Text<240> words{};  // of the fault
};

class PortKeeper {
public:
    struct Setup {
        PortName port;
        SerialLine line;
        SystemTree tree{};
    };
    explicit PortKeeper(Setup setup);  // throws std::system_error
    ~PortKeeper();
    PortKeeper(const PortKeeper&) = delete;
    PortKeeper& operator=(const PortKeeper&) = delete;

    int fd() const { return helper_.fd(); }  // readable: reports wait
    bool next(PortReport& report);
    // Takes back a port it opened, closes it and looks for it again.
    void lost(Fd line);

    static constexpr auto period = std::chrono::seconds{1};  // of looking

private:
    Helper helper_;
};

}  // namespace batgw::bus
