// Looks after one CAN interface on a thread of its own: everything that takes the kernel's network lock happens there.
#pragma once

#include "bus/helper.hpp"
#include "bus/link.hpp"

#include <cstdint>
#include <optional>
#include <string>

namespace batgw::bus {

// What the keeper found. `news` is the number of the question it answers: everything in it was read after that was asked.
struct LinkReport {
    std::uint32_t news = 0;
    bool present = false;
    bool may_configure = false;
    LinkInfo link;
    int socket = -1;             // newly opened; the receiver owns it
    int socket_error = 0;        // errno when opening failed
    LinkFault fault;             // of configuring or restarting
    bool wrong_bitrate = false;  // not the configured one, and it cannot be changed
    bool restarted = false;      // by taking it down and up, which the controller itself does not report
};

class LinkKeeper {
public:
    struct Setup {
        std::string name;
        std::optional<std::uint32_t> bitrate;
        bool listen_only = false;
        SocketOptions socket;
    };
    explicit LinkKeeper(Setup setup);  // throws std::system_error
    ~LinkKeeper();
    LinkKeeper(const LinkKeeper&) = delete;
    LinkKeeper& operator=(const LinkKeeper&) = delete;

    int fd() const { return helper_.fd(); }  // readable: reports wait
    bool next(LinkReport& report);
    // False when the keeper is busy and its queue full: ask again after its next report.
    bool look(std::uint32_t news, bool have_socket);
    bool restart(std::uint32_t news);
    // Closing a CAN socket takes the network lock, too.
    void close(int socket);

    static constexpr auto period = std::chrono::seconds{2};  // of looking, and of trying again (SAFE-251)

private:
    Helper helper_;
};

}  // namespace batgw::bus
