#include "bus/serial_port.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

#include <sys/ioctl.h>

namespace batgw::bus {
namespace {

// What takes 10 ms on a slow line, but room for a few messages, and never so much that something old is sent late (SAFE-263).
int queue_bound(std::uint32_t baud) { return static_cast<int>(std::clamp<std::uint32_t>(baud / 1000, 64, 512)); }

}  // namespace

SerialPort::SerialPort(event_base* base, std::string name, PortKeeper::Setup setup, PortUser& user, BusLog& log, BusClock& clock)
    : base_{base},
      name_{std::move(name)},
      settings_{setup.line},
      user_{user},
      log_{log},
      clock_{clock},
      keeper_{std::move(setup)},
      most_waiting_{queue_bound(settings_.baud)}
{
    on_report_ = watch<&SerialPort::on_report>(base, keeper_.fd(), EV_READ, *this);
    on_soon_ = make_event<&SerialPort::on_soon>(base, -1, 0, *this);
    on_beat_ = make_event<&SerialPort::on_beat>(base, -1, EV_PERSIST, *this);
}

SerialPort::~SerialPort()
{
    on_readable_.reset();
    on_writable_.reset();
    if (fd_) keeper_.lost(std::move(fd_));
}

Sent SerialPort::write(std::span<const std::uint8_t> bytes)
{
    if (!fd_ || bytes.size() > rest_.size()) return Sent::down;
    int waiting = 0;
    if (!flush() || (::ioctl(fd_.get(), TIOCOUTQ, &waiting) == 0 && waiting > most_waiting_)) return Sent::full;
    const ssize_t n = ::write(fd_.get(), bytes.data(), bytes.size());
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return Sent::full;
    if (n <= 0) {
        write_error_ = n < 0 ? errno : EIO;
        run_soon(on_soon_.get());
        return Sent::down;
    }
    const auto rest = bytes.subspan(static_cast<std::size_t>(n));
    std::copy(rest.begin(), rest.end(), rest_.begin());
    rest_size_ = rest.size();
    if (rest_size_ > 0) event_add(on_writable_.get(), nullptr);
    return Sent::yes;
}

// True when nothing is left over from the last write.
bool SerialPort::flush()
{
    if (rest_size_ == 0) return true;
    const ssize_t n = ::write(fd_.get(), rest_.data(), rest_size_);
    if (n > 0) {
        std::copy(rest_.begin() + n, rest_.begin() + static_cast<std::ptrdiff_t>(rest_size_), rest_.begin());
        rest_size_ -= static_cast<std::size_t>(n);
    } else if (n < 0 && errno != EAGAIN && errno != EINTR) {
        write_error_ = errno;
        run_soon(on_soon_.get());
        return false;
    }
    if (rest_size_ > 0) event_add(on_writable_.get(), nullptr);
    return rest_size_ == 0;
}

void SerialPort::on_report()
{
    PortReport report;
    while (keeper_.next(report)) {
        const bool first = !tried_;
        tried_ = true;
        const PortFault before = fault_;
        fault_ = report.fault;
        if (report.fd >= 0)
            install(report);
        else
            trouble(report.fault == PortFault::missing ? BusLog::Level::warn : BusLog::Level::error,
                fmt::format("{}; trying every second", report.words.view()));
        if (report.fd < 0 && (first || before != fault_)) user_.port_failed(clock_.monotonic());
    }
}

void SerialPort::install(const PortReport& report)
{
    fd_ = Fd{report.fd};
    path_ = report.path.view();
    rest_size_ = 0;
    write_error_ = 0;
    stalled_since_.reset();
    last_beat_ = clock_.monotonic();
    on_readable_ = watch<&SerialPort::on_readable>(base_, fd_.get(), EV_READ, *this);
    on_writable_ = make_event<&SerialPort::on_writable>(base_, fd_.get(), EV_WRITE, *this);
    constexpr timeval often{0, beat / 1us};
    event_add(on_beat_.get(), &often);
    no_trouble();
    line(BusLog::Level::info, fmt::format("open: {} at {} baud", path_, settings_.baud));
    user_.port_opened(last_beat_);
}

void SerialPort::on_readable()
{
    std::array<std::uint8_t, 4096> room{};
    const ssize_t n = ::read(fd_.get(), room.data(), room.size());
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (n <= 0) return lose(n < 0 ? errno : EIO);
    // No kernel stamp tells when a byte came. Where the loop stood still it may have come right after the last beat.
    const Instant now = clock_.monotonic();
    if (now - last_beat_ > stall && !stalled_since_) stalled_since_ = last_beat_;
    const Instant received = stalled_since_.value_or(now);
    if (static_cast<std::size_t>(n) < room.size()) stalled_since_.reset();
    last_beat_ = now;
    user_.port_read({room.data(), static_cast<std::size_t>(n)}, received, now);
}

void SerialPort::on_beat()
{
    last_beat_ = clock_.monotonic();
    if (fd_) user_.port_beat(last_beat_);
}

void SerialPort::on_soon()
{
    if (fd_ && write_error_ != 0) lose(write_error_);
}

// A read of nothing, EIO, ENODEV, ENXIO: the adapter was pulled, or the far end of a pseudo-terminal closed.
void SerialPort::lose(int error)
{
    on_readable_.reset();
    on_writable_.reset();
    event_del(on_beat_.get());
    keeper_.lost(std::move(fd_));
    fd_.reset();
    fault_ = PortFault::missing;
    const std::string why = error == EIO || error == ENODEV || error == ENXIO
        ? std::string{"unplugged"}
        : std::error_code{error, std::generic_category()}.message();
    trouble(BusLog::Level::warn, fmt::format("{} was lost ({}); looking for it every second", path_, why));
    user_.port_failed(clock_.monotonic());
}

void SerialPort::line(BusLog::Level level, std::string_view text) { log_.line(level, fmt::format("{}: {}", name_, text)); }

void SerialPort::trouble(BusLog::Level level, std::string text)
{
    if (text == trouble_) return;
    line(level, text);
    trouble_ = std::move(text);
}

}  // namespace batgw::bus
