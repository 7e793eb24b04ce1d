#include "batgw/notify.hpp"

#include "bus/bus.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstddef>
#include <cstdlib>
#include <cstring>

#include <sys/socket.h>
#include <sys/un.h>

namespace batgw {
namespace {

std::optional<std::int64_t> number(const char* name)
{
    const char* text = std::getenv(name);
    if (text == nullptr) return std::nullopt;
    std::int64_t value = 0;
    const char* end = text + std::strlen(text);
    const auto [at, error] = std::from_chars(text, end, value);
    if (error != std::errc{} || at != end) return std::nullopt;
    return value;
}

}  // namespace

ServiceManager::ServiceManager()
{
    const char* path = std::getenv("NOTIFY_SOCKET");
    if (path == nullptr) return;
    const std::string_view where{path};
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (where.size() < 2 || where.size() >= sizeof address.sun_path || (where[0] != '/' && where[0] != '@')) return;
    std::copy(where.begin(), where.end(), address.sun_path);
    if (where[0] == '@') address.sun_path[0] = '\0';  // abstract name
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + where.size());

    Fd fd{::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
    if (!fd || ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), size) != 0) return;
    socket_ = std::move(fd);

    const auto usec = number("WATCHDOG_USEC");
    const auto pid = number("WATCHDOG_PID");
    if (usec && *usec > 0 && (!pid || *pid == ::getpid())) watchdog_ = std::chrono::microseconds{*usec};
}

bool ServiceManager::say(std::string_view text)
{
    if (!socket_) return true;
    const auto n = ::send(socket_.get(), text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    return n >= 0 || (errno != EAGAIN && errno != ENOBUFS);  // one that is gone will not come back
}

bool ServiceManager::ready(std::string_view status) { return say(fmt::format("READY=1\nSTATUS={}\n", status)); }
void ServiceManager::reloading()
{
    say(fmt::format("RELOADING=1\nMONOTONIC_USEC={}\n", monotonic_now().time_since_epoch().count()));
}
void ServiceManager::stopping() { say("STOPPING=1\n"); }
void ServiceManager::status(std::string_view text) { say(fmt::format("STATUS={}\n", text)); }
void ServiceManager::feed_watchdog() { say("WATCHDOG=1\n"); }

}  // namespace batgw
