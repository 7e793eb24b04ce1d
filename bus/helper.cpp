#include "bus/helper.hpp"

#include <array>
#include <csignal>
#include <system_error>

#include <poll.h>

namespace batgw::bus {

Helper::Helper(std::function<void(Fd)> run)
{
    std::array<int, 2> ends{};
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends.data()) != 0)
        throw std::system_error{errno, std::generic_category(), "socketpair"};
    ours_ = Fd{ends[0]};
    // Signals belong to the event loop's thread.
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    thread_ = std::thread{[body = std::move(run), theirs = Fd{ends[1]}]() mutable { body(std::move(theirs)); }};
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

Helper::~Helper()
{
    if (thread_.joinable()) thread_.detach();
}

void Helper::end(const std::function<int()>& dispose)
{
    ::shutdown(ours_.get(), SHUT_WR);
    constexpr int patience_ms = 3000;
    for (;;) {
        pollfd end{ours_.get(), POLLIN, 0};
        const int ready = ::poll(&end, 1, patience_ms);
        if (ready < 0 && errno == EINTR) continue;
        if (ready <= 0) {
            thread_.detach();
            return;
        }
        // The helper's end of the pair closes with it.
        if (dispose() < 0) break;
    }
    thread_.join();
}

}  // namespace batgw::bus
