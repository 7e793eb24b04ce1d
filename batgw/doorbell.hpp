// Wakes another thread's event loop. Ringing never blocks; rings that were not answered yet are one.
#pragma once

#include "bus/event.hpp"

#include <cerrno>
#include <cstdint>
#include <system_error>

#include <sys/eventfd.h>

namespace batgw {

class Doorbell {
public:
    Doorbell() : fd_{::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)}
    {
        if (!fd_) throw std::system_error{errno, std::generic_category(), "eventfd"};
    }
    void ring()
    {
        const std::uint64_t one = 1;
        [[maybe_unused]] const auto n = ::write(fd_.get(), &one, sizeof one);  // full means it rings already
    }
    void answer()
    {
        std::uint64_t rings = 0;
        [[maybe_unused]] const auto n = ::read(fd_.get(), &rings, sizeof rings);
    }
    int fd() const { return fd_.get(); }

private:
    Fd fd_;
};

}  // namespace batgw
