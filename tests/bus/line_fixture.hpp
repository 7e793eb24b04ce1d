// Serial lines for tests: real pseudo-terminals, with this process or another one on the far end.
#pragma once

#include "bus/far_end.hpp"
#include "tests/bus/bus_fixture.hpp"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

namespace batgw::test {

using Bytes = std::vector<std::uint8_t>;

// "AA 55 01": as the protocol's documents print it.
inline Bytes hex(std::string_view text)
{
    Bytes out;
    unsigned digits = 0, value = 0;
    for (const char c : text) {
        if (c == ' ') continue;
        const std::string_view all = "0123456789ABCDEF";
        value = value << 4 | static_cast<unsigned>(all.find(c));
        if (++digits % 2 == 0) out.push_back(static_cast<std::uint8_t>(value));
    }
    return out;
}
inline Bytes text_bytes(std::string_view text) { return {text.begin(), text.end()}; }
inline Bytes operator+(Bytes a, const Bytes& b)
{
    a.insert(a.end(), b.begin(), b.end());
    return a;
}

class TemporaryFolder {
public:
    TemporaryFolder()
    {
        std::string name = (std::filesystem::temp_directory_path() / "batgw-line-XXXXXX").string();
        REQUIRE(::mkdtemp(name.data()) != nullptr);
        path_ = name;
    }
    ~TemporaryFolder()
    {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    TemporaryFolder(const TemporaryFolder&) = delete;
    TemporaryFolder& operator=(const TemporaryFolder&) = delete;
    std::string operator/(std::string_view name) const { return path_ + "/" + std::string{name}; }

private:
    std::string path_;
};

// The same on every run.
struct Chance {
    explicit Chance(unsigned seed) : engine{seed} {}
    unsigned operator()() { return static_cast<unsigned>(engine() >> 4); }
    std::uint8_t byte() { return static_cast<std::uint8_t>(engine() >> 7); }
    std::minstd_rand engine;
};

// The far end of a line, a blocking descriptor; the near end is at `path`, as a link like those of /dev/serial/by-id.
class Terminal {
public:
    explicit Terminal(const std::string& path) : path_{path}
    {
        fd_ = Fd{::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC)};
        std::array<char, 128> name{};
        if (!fd_ || ::grantpt(fd_.get()) != 0 || ::unlockpt(fd_.get()) != 0 ||
            ::ptsname_r(fd_.get(), name.data(), name.size()) != 0)
            throw std::runtime_error{"no pseudo-terminal"};
        near_ = name.data();
        termios raw{};
        ::tcgetattr(fd_.get(), &raw);
        ::cfmakeraw(&raw);
        ::tcsetattr(fd_.get(), TCSANOW, &raw);
        std::filesystem::remove(path_);
        std::filesystem::create_symlink(near_, path_);
    }
    const std::string& near() const { return near_; }
    int fd() const { return fd_.get(); }
    void unplug() { fd_.reset(); }
    Fd take() { return std::move(fd_); }

    void write(const Bytes& bytes) const
    {
        REQUIRE(::write(fd(), bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()));
    }
    // What is there now.
    Bytes read() const
    {
        Bytes all;
        std::array<std::uint8_t, 4096> room{};
        pollfd what{fd(), POLLIN, 0};
        while (::poll(&what, 1, 0) > 0 && (what.revents & POLLIN) != 0) {
            const ssize_t n = ::read(fd(), room.data(), room.size());
            if (n <= 0) break;
            all.insert(all.end(), room.begin(), room.begin() + n);
        }
        return all;
    }

private:
    std::string path_, near_;
    Fd fd_;
};

// Another process on the far end of a line. It runs `play` with the line and ends with it; what it learned it writes to `told`.
class FarProcess {
public:
    using Play = std::function<void(int line, int told)>;
    FarProcess(const std::string& path, const Play& play)
    {
        Terminal terminal{path};
        std::array<int, 2> ends{};
        REQUIRE(::pipe2(ends.data(), O_CLOEXEC) == 0);
        told_ = Fd{ends[0]};
        Fd to_us{ends[1]};
        const pid_t parent = ::getpid();
        pid_ = ::fork();
        REQUIRE(pid_ >= 0);
        if (pid_ != 0) return;
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (::getppid() != parent) ::_exit(1);
        ::signal(SIGPIPE, SIG_IGN);
        play(terminal.fd(), to_us.get());
        ::_exit(0);
    }
    ~FarProcess() { unplug(); }
    FarProcess(const FarProcess&) = delete;
    FarProcess& operator=(const FarProcess&) = delete;

    // The process ends, and with it the line.
    void unplug()
    {
        if (pid_ <= 0) return;
        ::kill(pid_, SIGKILL);
        ::waitpid(pid_, nullptr, 0);
        pid_ = -1;
    }
    // What it has told so far; does not wait.
    const Bytes& told()
    {
        std::array<std::uint8_t, 4096> room{};
        pollfd what{told_.get(), POLLIN, 0};
        while (::poll(&what, 1, 0) > 0 && (what.revents & POLLIN) != 0) {
            const ssize_t n = ::read(told_.get(), room.data(), room.size());
            if (n <= 0) break;
            heard_.insert(heard_.end(), room.begin(), room.begin() + n);
        }
        return heard_;
    }

private:
    pid_t pid_ = -1;
    Fd told_;
    Bytes heard_;
};

// For the other process: no doctest there.
namespace far {

inline void sleep(Duration time) { ::usleep(static_cast<useconds_t>(time / 1us)); }

// Waits for the near end to be opened and to say something.
inline Bytes wait_for_bytes(int line, Duration most = 5s)
{
    std::array<std::uint8_t, 4096> room{};
    pollfd what{line, POLLIN, 0};
    if (::poll(&what, 1, static_cast<int>(most / 1ms)) <= 0) return {};
    const ssize_t n = ::read(line, room.data(), room.size());
    return n > 0 ? Bytes{room.begin(), room.begin() + n} : Bytes{};
}

// All that comes within the time goes to `told`.
inline void listen(int line, int told, Duration time)
{
    const Instant end = monotonic_now() + time;
    for (Instant now = monotonic_now(); now < end; now = monotonic_now()) {
        const Bytes bytes = wait_for_bytes(line, end - now);
        if (!bytes.empty() && ::write(told, bytes.data(), bytes.size()) < 0) return;
        if (bytes.empty()) sleep(1ms);
    }
}

inline void write_all(int line, std::span<const std::uint8_t> bytes)
{
    while (!bytes.empty()) {
        const ssize_t n = ::write(line, bytes.data(), bytes.size());
        if (n <= 0) return;
        bytes = bytes.subspan(static_cast<std::size_t>(n));
    }
}

// A bad line: pieces of any size, merged and split anywhere, now and then a wait; `spoil` may change a piece of the stream.
inline void write_badly(int line, const Bytes& bytes, unsigned seed)
{
    Chance chance{seed};
    for (std::size_t at = 0; at < bytes.size();) {
        const std::size_t n = std::min<std::size_t>(1 + chance() % (chance() % 4 == 0 ? 90 : 7), bytes.size() - at);
        write_all(line, std::span{bytes}.subspan(at, n));
        at += n;
        if (chance() % 3 == 0) sleep(std::chrono::microseconds{chance() % 2000});
    }
}

}  // namespace far

// Frames with ids that the gateway reads, numbered so that order and loss show. Made up.
inline CanFrame numbered(unsigned n)
{
    return frame(n % 2 == 0 ? 0x371 : 0x1234567,
        {static_cast<std::uint8_t>(n), static_cast<std::uint8_t>(n >> 8), 0xAA, 0x55, 0x0D, 0x07,
            static_cast<std::uint8_t>(n * 7), 0},
        n % 2 == 1);
}
inline unsigned number_of(const CanFrame& f) { return f.data[0] | static_cast<unsigned>(f.data[1]) << 8; }

// A timer of the loop, to see whether anything holds it up. Counts what this thread computed between two beats, as other programs
// may have the machine for a while; waiting shows in `longest`, which has a wide bound only.
class Metronome {
public:
    explicit Metronome(event_base* base)
    {
        timer_ = make_event<&Metronome::beat>(base, -1, EV_PERSIST, *this);
        constexpr timeval often{0, 5000};
        event_add(timer_.get(), &often);
    }
    bool kept() const { return beats_ > 10 && busiest < 200ms && longest < 2s; }
    Duration longest{}, busiest{};

private:
    static Duration computed()
    {
        timespec t{};
        ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
        return std::chrono::seconds{t.tv_sec} + std::chrono::microseconds{t.tv_nsec / 1000};
    }
    void beat()
    {
        const Instant now = monotonic_now();
        const Duration used = computed();
        if (beats_++ > 0) {
            longest = std::max(longest, now - last_);
            busiest = std::max(busiest, used - used_);
        }
        last_ = now;
        used_ = used;
    }
    Instant last_{};
    Duration used_{};
    unsigned beats_ = 0;
    EventHandle timer_;
};

}  // namespace batgw::test
