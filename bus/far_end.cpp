#include "bus/far_end.hpp"

#include "bus/clock.hpp"
#include "bus/slcan_codec.hpp"
#include "bus/waveshare_codec.hpp"

#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <poll.h>
#include <termios.h>

namespace batgw::bus {
namespace {

constexpr std::string_view pty = "pty:", waveshare_pty = "waveshare:pty:", slcan_pty = "slcan:pty:";

Fd open_master(std::string& near)
{
    Fd fd{::posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC)};
    std::array<char, 128> name{};
    if (!fd || ::grantpt(fd.get()) != 0 || ::unlockpt(fd.get()) != 0 || ::ptsname_r(fd.get(), name.data(), name.size()) != 0)
        throw std::system_error{errno, std::generic_category(), "pseudo-terminal"};
    near = name.data();
    // Opened and closed once: from now on the kernel tells whether somebody has it open. Raw from the start, or it would echo.
    const Fd once{::open(near.c_str(), O_RDWR | O_NOCTTY | O_CLOEXEC)};
    termios raw{};
    if (!once || ::tcgetattr(once.get(), &raw) != 0) throw std::system_error{errno, std::generic_category(), near};
    ::cfmakeraw(&raw);
    ::tcsetattr(once.get(), TCSANOW, &raw);
    return fd;
}

void link(const std::string& path, const std::string& near)
{
    namespace fs = std::filesystem;
    std::error_code error;
    if (fs::is_symlink(path, error) && fs::read_symlink(path, error).string().starts_with("/dev/pts/")) fs::remove(path, error);
    fs::create_symlink(near, path, error);
    if (error) throw std::runtime_error{fmt::format("cannot make a link at {}: {}", path, error.message())};
}

// A bus that the simulated device is on, behind what is played on the pseudo-terminal.
class FarEnd : public Bus {
public:
    FarEnd(event_base* base, std::string_view name, std::string_view path, BusListener& listener)
        : listener_{listener},
          terminal_{base, std::string{path}, [this](std::span<const std::uint8_t> bytes) {
                        take(bytes, monotonic_now());
                        listener_.on_bus(monotonic_now());
                    }}
    {
        status_.name.assign(name);
        status_.state = BusState::active;
        status_.tried = true;
    }
    const BusStatus& status() const override { return status_; }

protected:
    virtual void take(std::span<const std::uint8_t> bytes, Instant now) = 0;
    // What nobody takes is lost, as on a wire.
    Sent put(std::span<const std::uint8_t> bytes)
    {
        if (!terminal_.write(bytes)) return Sent::down;
        ++status_.counters.sent;
        return Sent::yes;
    }
    Sent put(std::string_view text) { return put({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()}); }
    void hear(const CanFrame& frame, Instant now)
    {
        ++status_.counters.received;
        listener_.on_frame(frame, now, now);
    }
    BusListener& listener_;
    BusStatus status_;

private:
    PseudoTerminal terminal_;
};

class FarLine final : public FarEnd {
public:
    using FarEnd::FarEnd;
    Sent send(const CanFrame&) override { return Sent::down; }
    Sent write(std::span<const std::uint8_t> bytes) override { return put(bytes); }

private:
    void take(std::span<const std::uint8_t> bytes, Instant now) override { listener_.on_bytes(bytes, now, now); }
};

class FarWaveshare final : public FarEnd {
public:
    using FarEnd::FarEnd;
    Sent send(const CanFrame& frame) override
    {
        std::array<std::uint8_t, waveshare::fixed_size> out{};
        return put(std::span{out}.first(waveshare::encode(frame, framing_, out)));
    }

private:
    void take(std::span<const std::uint8_t> bytes, Instant now) override
    {
        while (!bytes.empty()) {
            bytes = parser_.buffer.fill(bytes);
            while (const auto packet = parser_.next()) obey(*packet, now);
        }
    }
    void obey(const waveshare::Packet& packet, Instant now)
    {
        using Kind = waveshare::Packet::Kind;
        switch (packet.kind) {
        case Kind::frame: hear(packet.frame, now); break;
        case Kind::remote: break;
        case Kind::status: put(waveshare::encode_status(0, 0)); break;
        case Kind::configuration:
            framing_ = packet.configuration.framing;
            status_.bitrate = packet.configuration.bitrate;
            break;
        }
    }
    waveshare::FixedParser parser_{false};
    waveshare::Framing framing_ = waveshare::Framing::fixed;
};

// As LAWICEL's: answers everything.
class FarSlcan final : public FarEnd {
public:
    using FarEnd::FarEnd;
    Sent send(const CanFrame& frame) override
    {
        if (!open_) return Sent::down;
        std::array<std::uint8_t, slcan::longest_line> out{};
        return put(std::span<const std::uint8_t>{out.data(), slcan::encode(frame, out)});
    }

private:
    void take(std::span<const std::uint8_t> bytes, Instant now) override
    {
        while (const auto line = reader_.take(bytes)) {
            const std::string_view answer = line->empty() ? "\r" : obey(*line, now);
            put(answer);
        }
    }
    std::string_view obey(std::string_view line, Instant now)
    {
        constexpr std::string_view done = "\r", refused = "\a";
        switch (line[0]) {
        case 'S': {
            const auto speed = line.size() == 2 ? slcan::speed_of(line[1]) : std::nullopt;
            if (open_ || !speed) return refused;
            status_.bitrate = *speed;
            return done;
        }
        case 'O':
        case 'L':
            if (open_ || line.size() != 1) return refused;
            open_ = true;
            silent_ = line[0] == 'L';
            return done;
        case 'C': return std::exchange(open_, false) ? done : refused;
        case 'F': return open_ ? "F00\r" : refused;
        case 'V': return "V1013\r";
        case 't':
        case 'T': {
            const slcan::Line frame = slcan::parse(line);
            if (!open_ || silent_ || frame.kind != slcan::Line::Kind::frame) return refused;
            hear(frame.frame, now);
            return line[0] == 't' ? "z\r" : "Z\r";
        }
        default: return refused;
        }
    }
    slcan::LineReader reader_;
    bool open_ = false, silent_ = false;
};

}  // namespace

PseudoTerminal::PseudoTerminal(event_base* base, const std::string& path, OnBytes on_bytes)
    : base_{base},
      path_{path},
      on_bytes_{std::move(on_bytes)},
      fd_{open_master(near_)}
{
    if (!path_.empty()) link(path_, near_);
    on_look_ = make_event<&PseudoTerminal::look_again>(base_, -1, 0, *this);
    wait_for_somebody();
}

PseudoTerminal::~PseudoTerminal()
{
    std::error_code ignored;
    if (!path_.empty() && std::filesystem::read_symlink(path_, ignored) == near_) std::filesystem::remove(path_, ignored);
}

bool PseudoTerminal::write(std::span<const std::uint8_t> bytes) const
{
    if (!connected_) return false;
    return ::write(fd_.get(), bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size());
}

void PseudoTerminal::on_readable()
{
    std::array<std::uint8_t, 1024> room{};
    const ssize_t n = ::read(fd_.get(), room.data(), room.size());
    if (n > 0) return on_bytes_({room.data(), static_cast<std::size_t>(n)});
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    wait_for_somebody();
}

// While nobody has the near end open the descriptor is readable all the time and says so by an error, so it is looked at by a
// timer.
void PseudoTerminal::wait_for_somebody()
{
    connected_ = false;
    on_readable_.reset();
    constexpr timeval soon{0, 20'000};
    event_add(on_look_.get(), &soon);
}

void PseudoTerminal::look_again()
{
    pollfd what{fd_.get(), POLLIN, 0};
    ::poll(&what, 1, 0);
    if ((what.revents & POLLHUP) != 0 && (what.revents & POLLIN) == 0) return wait_for_somebody();
    connected_ = true;
    on_readable_ = watch<&PseudoTerminal::on_readable>(base_, fd_.get(), EV_READ, *this);
}

bool is_far_end(std::string_view name)
{
    return name.starts_with(pty) || name.starts_with(waveshare_pty) || name.starts_with(slcan_pty);
}

std::unique_ptr<Bus> open_far_end(event_base* base, std::string_view name, BusListener& listener)
{
    if (name.starts_with(waveshare_pty))
        return std::make_unique<FarWaveshare>(base, name, name.substr(waveshare_pty.size()), listener);
    if (name.starts_with(slcan_pty)) return std::make_unique<FarSlcan>(base, name, name.substr(slcan_pty.size()), listener);
    if (name.starts_with(pty)) return std::make_unique<FarLine>(base, name, name.substr(pty.size()), listener);
    return nullptr;
}

}  // namespace batgw::bus
