#include "batgw/cable.hpp"

#include <cerrno>
#include <cstring>
#include <system_error>

#include <sys/socket.h>
#include <sys/un.h>

namespace batgw {
namespace {

sockaddr_un address(const std::string& path)
{
    sockaddr_un a{};
    a.sun_family = AF_UNIX;
    if (path.empty() || path.size() >= sizeof a.sun_path)
        throw std::system_error{ENAMETOOLONG, std::generic_category(), "cable " + path};
    std::memcpy(a.sun_path, path.c_str(), path.size() + 1);
    return a;
}

}  // namespace

CableEnd CableEnd::battery_side(const std::string& path) { return {path, path + ".inverter"}; }
CableEnd CableEnd::inverter_side(const std::string& path) { return {path + ".inverter", path}; }

CableEnd::CableEnd(const std::string& mine, std::string other)
    : mine_{mine},
      other_{std::move(other)},
      socket_{::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)}
{
    ::unlink(mine_.c_str());
    const sockaddr_un a = address(mine_);
    if (!socket_ || ::bind(socket_.get(), reinterpret_cast<const sockaddr*>(&a), sizeof a) != 0)
        throw std::system_error{errno, std::generic_category(), "cable " + mine_};
}

CableEnd::~CableEnd()
{
    if (socket_) ::unlink(mine_.c_str());
}

void CableEnd::tell(std::int64_t milli)
{
    const sockaddr_un a = address(other_);
    ::sendto(socket_.get(), &milli, sizeof milli, MSG_DONTWAIT | MSG_NOSIGNAL, reinterpret_cast<const sockaddr*>(&a), sizeof a);
}

std::optional<std::int64_t> CableEnd::newest()
{
    std::optional<std::int64_t> last;
    std::int64_t milli = 0;
    while (::recv(socket_.get(), &milli, sizeof milli, MSG_DONTWAIT) == static_cast<ssize_t>(sizeof milli)) last = milli;
    return last;
}

}  // namespace batgw
