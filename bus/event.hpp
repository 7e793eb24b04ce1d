// libevent and descriptors as values.
#pragma once

#include <event2/event.h>

#include <memory>
#include <new>
#include <utility>

#include <unistd.h>

namespace batgw {

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
    ~Fd() { reset(); }
    void reset()
    {
        if (fd_ >= 0) ::close(fd_);
        fd_ = -1;
    }
    int release() { return std::exchange(fd_, -1); }
    int get() const { return fd_; }
    explicit operator bool() const { return fd_ >= 0; }

private:
    int fd_ = -1;
};

struct EventDeleter {
    void operator()(event_base* base) const { event_base_free(base); }
    void operator()(event* e) const { event_free(e); }
};
using EventBase = std::unique_ptr<event_base, EventDeleter>;
using EventHandle = std::unique_ptr<event, EventDeleter>;

// Calls `(object.*method)()` on the event, once it is added. libevent is C: no exception may pass through it, so one ends the
// program here.
template <auto Method, class T>
EventHandle make_event(event_base* base, int fd, short what, T& object)
{
    EventHandle e{event_new(
        base, fd, what, [](evutil_socket_t, short, void* self) noexcept { (static_cast<T*>(self)->*Method)(); }, &object)};
    if (!e) throw std::bad_alloc{};
    return e;
}

// Added at once: whenever `fd` is readable (or on the signal `fd`), for as long as the handle lives.
template <auto Method, class T>
EventHandle watch(event_base* base, int fd, short what, T& object)
{
    EventHandle e = make_event<Method>(base, fd, static_cast<short>(what | EV_PERSIST), object);
    if (event_add(e.get(), nullptr) != 0) throw std::bad_alloc{};
    return e;
}

// "Soon, from the loop": a timer of zero, not event_active(), so that sockets and other timers get their turn in between.
inline void run_soon(event* timer)
{
    constexpr timeval at_once{0, 0};
    event_add(timer, &at_once);
}

}  // namespace batgw
