// A thread of its own for what may block, so that neither a slow device nor another program can hold up a frame. The two threads
// exchange small messages over a pair of sockets; neither waits for the other.
#pragma once

#include "bus/event.hpp"

#include <cerrno>
#include <functional>
#include <thread>
#include <type_traits>

#include <sys/socket.h>

namespace batgw::bus {

// False when there is no room: nothing was sent.
template <class T>
bool put_message(int fd, const T& message)
{
    static_assert(std::is_trivially_copyable_v<T>);
    return ::send(fd, &message, sizeof message, MSG_DONTWAIT | MSG_NOSIGNAL) == static_cast<ssize_t>(sizeof message);
}

// 1: a message, 0: none waits, -1: the other end is gone.
template <class T>
int get_message(int fd, T& message)
{
    static_assert(std::is_trivially_copyable_v<T>);
    const ssize_t size = ::recv(fd, &message, sizeof message, MSG_DONTWAIT);
    if (size == static_cast<ssize_t>(sizeof message)) return 1;
    return size < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
}

class Helper {
public:
    // `run` is given the helper's end of the pair and returns when the other end is gone. Throws std::system_error.
    explicit Helper(std::function<void(Fd)> run);
    ~Helper();
    Helper(const Helper&) = delete;
    Helper& operator=(const Helper&) = delete;

    int fd() const { return ours_.get(); }  // readable: messages wait
    // Tells the helper to end and waits until it is back from the kernel, but not for ever: a call that hangs there must not keep
    // the program from ending. `dispose` is called while messages may wait, to read them.
    void end(const std::function<int()>& dispose);

private:
    Fd ours_;
    std::thread thread_;
};

}  // namespace batgw::bus
