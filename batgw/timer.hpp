// One absolute monotonic timer. A timerfd, because epoll's own time-outs are whole milliseconds and cyclic frames want better.
#pragma once

#include "bus/event.hpp"
#include "model/time.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <system_error>

#include <sys/timerfd.h>

namespace batgw {

class Timer {
public:
    Timer() : fd_{::timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC)}
    {
        if (!fd_) throw std::system_error{errno, std::generic_category(), "timerfd"};
    }
    int fd() const { return fd_.get(); }
    // Arms for `when`; in the past means at once.
    void arm(Instant when)
    {
        if (when == armed_) return;
        armed_ = when;
        itimerspec spec{};
        if (when != end_of_time) {
            const std::int64_t us = std::max<std::int64_t>(1, when.time_since_epoch().count());
            spec.it_value = {.tv_sec = us / 1'000'000, .tv_nsec = us % 1'000'000 * 1000};
        }
        if (::timerfd_settime(fd_.get(), TFD_TIMER_ABSTIME, &spec, nullptr) != 0)
            throw std::system_error{errno, std::generic_category(), "timerfd_settime"};
    }
    void answer()
    {
        armed_ = end_of_time;
        std::uint64_t expirations = 0;
        [[maybe_unused]] const auto n = ::read(fd_.get(), &expirations, sizeof expirations);
    }

private:
    Fd fd_;
    Instant armed_ = end_of_time;
};

}  // namespace batgw
