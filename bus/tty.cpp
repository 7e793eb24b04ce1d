#include "bus/tty.hpp"

#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <system_error>
#include <thread>

#include <fcntl.h>
#include <grp.h>
#include <sys/file.h>
#include <sys/stat.h>
// The kernel's own: only its `termios2` has rates like 1228800, and <termios.h> defines the same names otherwise.
#include <asm/ioctls.h>
#include <asm/termbits.h>

// <sys/ioctl.h> would bring in a second `struct termios`.
extern "C" int ioctl(int fd, unsigned long request, ...) noexcept;

namespace batgw::bus {
namespace {

OpenedLine failed(PortFault fault, std::string words) { return {.fd = {}, .fault = fault, .words = std::move(words)}; }

std::string group_name(gid_t id)
{
    group found{};
    group* result = nullptr;
    std::array<char, 4096> room{};
    if (::getgrgid_r(id, &found, room.data(), room.size(), &result) == 0 && result != nullptr) return found.gr_name;
    return std::to_string(id);
}

OpenedLine not_permitted(const std::string& path)
{
    struct stat about {};
    if (::stat(path.c_str(), &about) != 0) return failed(PortFault::not_permitted, fmt::format("no permission for {}", path));
    const std::string group = group_name(about.st_gid);
    return failed(PortFault::not_permitted,
        fmt::format("no permission for {}, which is for group {}: usermod -aG {} USER, or SupplementaryGroups={} in the unit",
            path, group, group, group));
}

OpenedLine busy(const std::string& path)
{
    return failed(PortFault::busy,
        fmt::format(
            "{} is in use by another program; `fuser -v {}` names it (ModemManager and brltty take ports unasked)", path, path));
}

OpenedLine not_opened(const std::string& path, int error)
{
    switch (error) {
    case ENOENT:
    case ENODEV:
    case ENXIO: return failed(PortFault::missing, fmt::format("there is no {}", path));
    case EBUSY: return busy(path);
    case EACCES:
    case EPERM: return not_permitted(path);
    default:
        return failed(PortFault::failed,
            fmt::format("{} cannot be opened: {}", path, std::error_code{error, std::generic_category()}.message()));
    }
}

constexpr tcflag_t parity_bits(SerialLine::Parity parity)
{
    switch (parity) {
    case SerialLine::Parity::even: return PARENB;
    case SerialLine::Parity::odd: return PARENB | PARODD;
    case SerialLine::Parity::none: break;
    }
    return 0;
}

// Nothing in it that changes a byte on its way: 0D, 11, 13 and FF occur in binary telegrams.
termios2 wished(const SerialLine& line)
{
    termios2 t{};
    t.c_iflag = line.parity == SerialLine::Parity::none ? 0 : INPCK | IGNPAR;
    t.c_cflag = CS8 | CREAD | CLOCAL | BOTHER | parity_bits(line.parity);
    t.c_ispeed = t.c_ospeed = line.baud;
    t.c_cc[VMIN] = 1;  // so that a read of 0 bytes means the end, and nothing else
    t.c_cc[VTIME] = 0;
    return t;
}

LineFacts facts(const termios2& t)
{
    constexpr tcflag_t changes_input = IGNBRK | BRKINT | PARMRK | ISTRIP | INLCR | IGNCR | ICRNL | IXON | IXOFF;
    constexpr tcflag_t changes_more = ICANON | ECHO | ISIG | IEXTEN;
    LineFacts f;
    f.baud = t.c_ospeed;
    f.raw = (t.c_iflag & changes_input) == 0 && (t.c_oflag & OPOST) == 0 && (t.c_lflag & changes_more) == 0;
    f.eight_bits = (t.c_cflag & CSIZE) == CS8;
    f.two_stop_bits = (t.c_cflag & CSTOPB) != 0;
    f.hardware_flow = (t.c_cflag & CRTSCTS) != 0;
    if ((t.c_cflag & PARENB) != 0) f.parity = (t.c_cflag & PARODD) != 0 ? SerialLine::Parity::odd : SerialLine::Parity::even;
    return f;
}

std::string_view word(SerialLine::Parity parity)
{
    switch (parity) {
    case SerialLine::Parity::even: return "even parity";
    case SerialLine::Parity::odd: return "odd parity";
    case SerialLine::Parity::none: break;
    }
    return "without parity";
}

}  // namespace

std::string not_as_wished(const SerialLine& wish, const LineFacts& found)
{
    const std::uint64_t off = wish.baud > found.baud ? wish.baud - found.baud : found.baud - wish.baud;
    if (off * 100 > std::uint64_t{wish.baud} * 3)
        return fmt::format("cannot run at {} baud: the driver made {} of it", wish.baud, found.baud);
    if (found.parity != wish.parity) return fmt::format("cannot do {}", word(wish.parity));
    if (!found.eight_bits || found.two_stop_bits) return "cannot do 8 data bits and one stop bit";
    if (found.hardware_flow) return "cannot do without hardware flow control";
    if (!found.raw) return "cannot be made raw: its driver changes bytes";
    return {};
}

OpenedLine open_line(const std::string& path, const SerialLine& settings)
{
    // Before opening: opening alone sets off some devices, a watchdog for one.
    struct stat about {};
    if (::stat(path.c_str(), &about) != 0) return not_opened(path, errno);
    const std::string not_a_line = fmt::format("{} is not a serial port", path);
    if (!S_ISCHR(about.st_mode)) return failed(PortFault::not_a_line, not_a_line);
    Fd fd{::open(path.c_str(), O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC)};
    if (!fd) return not_opened(path, errno);

    termios2 t{};
    if (::ioctl(fd.get(), TCGETS2, &t) != 0)
        return errno == ENOTTY || errno == EINVAL ? failed(PortFault::not_a_line, not_a_line) : not_opened(path, errno);
    // The first keeps everybody but root from opening it, the second tells those who ask.
    if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) return busy(path);
    ::ioctl(fd.get(), TIOCEXCL);

    const termios2 wish = wished(settings);
    if (::ioctl(fd.get(), TCSETS2, &wish) != 0 || ::ioctl(fd.get(), TCGETS2, &t) != 0) {
        if (errno == EINVAL) return failed(PortFault::settings, fmt::format("{} cannot run at {} baud", path, settings.baud));
        return not_opened(path, errno);
    }
    if (const std::string wrong = not_as_wished(settings, facts(t)); !wrong.empty())
        return failed(PortFault::settings, fmt::format("{} {}", path, wrong));
    ::ioctl(fd.get(), TCFLSH, TCIFLUSH);
    return {.fd = std::move(fd), .fault = PortFault::none, .words = {}};
}

void close_line(Fd line)
{
    using namespace std::chrono_literals;
    int waiting = 0;
    for (int tries = 0; tries < 20 && ::ioctl(line.get(), TIOCOUTQ, &waiting) == 0 && waiting > 0; ++tries)
        std::this_thread::sleep_for(10ms);
    if (waiting > 0) ::ioctl(line.get(), TCFLSH, TCOFLUSH);
    ::ioctl(line.get(), TIOCNXCL);
}

}  // namespace batgw::bus
