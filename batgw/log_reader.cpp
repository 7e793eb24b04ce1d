#include "batgw/log_reader.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <stdexcept>
#include <utility>

#include <fcntl.h>
#include <unistd.h>

namespace batgw {
namespace {

constexpr std::size_t buffer_size = 64 * 1024;
static_assert(buffer_size > 2 * longest_log_line);

volatile std::sig_atomic_t interrupted = 0;  // NOLINT(cppcoreguidelines-avoid-non-const-global-variables): a signal handler's

std::runtime_error trouble(const std::string& name, int error)
{
    return std::runtime_error{name + ": " + std::strerror(error)};  // NOLINT(concurrency-mt-unsafe)
}

}  // namespace

void end_reading_on_interrupt()
{
    struct sigaction action {};
    action.sa_handler = [](int) { interrupted = 1; };  // without SA_RESTART: read() returns
    ::sigaction(SIGINT, &action, nullptr);
}

LogReader::LogReader(const std::string& path) : name_{path == "-" ? "standard input" : path}, buffer_(buffer_size)
{
    if (path == "-") return;
    fd_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd_ < 0) throw trouble(name_, errno);
}

LogReader::LogReader(LogReader&& other) noexcept
    : name_{std::move(other.name_)},
      fd_{std::exchange(other.fd_, -1)},
      buffer_{std::move(other.buffer_)},
      begin_{other.begin_},
      end_{other.end_},
      number_{other.number_},
      started_{other.started_},
      at_end_{other.at_end_}
{}

LogReader::~LogReader()
{
    if (fd_ > STDIN_FILENO) ::close(fd_);
}

// False at the end.
bool LogReader::fill()
{
    if (begin_ > 0) {
        std::copy(buffer_.begin() + static_cast<std::ptrdiff_t>(begin_), buffer_.begin() + static_cast<std::ptrdiff_t>(end_),
            buffer_.begin());
        end_ -= begin_;
        begin_ = 0;
    }
    while (interrupted == 0) {
        const auto n = ::read(fd_, buffer_.data() + end_, buffer_.size() - end_);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) throw trouble(name_, errno);
        if (n == 0) return false;
        end_ += static_cast<std::size_t>(n);
        if (!std::exchange(started_, true) && end_ >= 2 && buffer_[0] == '\x1f' && buffer_[1] == '\x8b')
            throw std::runtime_error{name_ + ": compressed; pipe it through zcat"};
        return true;
    }
    return false;
}

std::optional<LogReader::Line> LogReader::next(const std::function<void()>& before_waiting)
{
    std::size_t looked = 0;
    bool too_long = false;
    for (;;) {
        const auto first = buffer_.begin() + static_cast<std::ptrdiff_t>(begin_);
        const auto last = buffer_.begin() + static_cast<std::ptrdiff_t>(end_);
        const auto newline = std::find(first + static_cast<std::ptrdiff_t>(looked), last, '\n');
        const bool found = newline != last;
        if (found || (at_end_ && begin_ < end_)) {
            const auto size = static_cast<std::size_t>(newline - first);
            const std::string_view text{buffer_.data() + begin_, std::min(size, longest_log_line)};
            begin_ += size + (found ? 1 : 0);
            return Line{text, ++number_, too_long || size > longest_log_line + 1};
        }
        if (at_end_) return std::nullopt;
        looked = end_ - begin_;
        if (looked > longest_log_line + 1) {  // of such a line the start is enough: its end is awaited, not kept
            too_long = true;
            end_ = begin_ + longest_log_line;
            looked = longest_log_line;
        }
        before_waiting();
        at_end_ = !fill();
    }
}

}  // namespace batgw
