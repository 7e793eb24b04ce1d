// libevent and file descriptors as values.
#pragma once

#include <event2/event.h>

#include <memory>
#include <utility>

#include <unistd.h>

namespace batgw {

struct EventDeleter {
    void operator()(event_base* base) const { event_base_free(base); }
    void operator()(event* e) const { event_free(e); }
};
using EventBase = std::unique_ptr<event_base, EventDeleter>;
using EventHandle = std::unique_ptr<event, EventDeleter>;

class Fd {
public:
    Fd() = default;
    explicit Fd(int fd) : fd_{fd} {}
    Fd(Fd&& other) noexcept : fd_{std::exchange(other.fd_, -1)} {}
    Fd& operator=(Fd&& other) noexcept
    {
        std::swap(fd_, other.fd_);
        return *this;
    }
    Fd(const Fd&) = delete;
    Fd& operator=(const Fd&) = delete;
    ~Fd()
    {
        if (fd_ >= 0) ::close(fd_);
    }
    int get() const { return fd_; }
    explicit operator bool() const { return fd_ >= 0; }

private:
    int fd_ = -1;
};

// Calls `(object.*method)()` when `fd` is readable (or on the signal `fd`), for as long as the handle lives.
template <auto Method, class T>
EventHandle watch(event_base* base, int fd, short what, T& object)
{
    // libevent is C: an exception must not pass through it, so there is none to pass: noexcept ends the program instead.
    EventHandle e{event_new(
        base, fd, static_cast<short>(what | EV_PERSIST),
        [](evutil_socket_t, short, void* self) noexcept { (static_cast<T*>(self)->*Method)(); }, &object)};
    if (!e || event_add(e.get(), nullptr) != 0) throw std::bad_alloc{};
    return e;
}

}  // namespace batgw
