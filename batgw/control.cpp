#include "batgw/control.hpp"

#include "bus/bus.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <stdexcept>

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

namespace batgw {
namespace {

// Tickets of the broker's commands count from 1; these are told from them by the highest bit.
constexpr std::uint64_t ours = std::uint64_t{1} << 63;
using Clock = std::chrono::steady_clock;
constexpr std::chrono::seconds patience{Control::patience_s};
constexpr std::size_t answer_max = 64 * 1024;

// False: too long for an address.
bool address(const std::string& path, sockaddr_un& to)
{
    to = {};
    to.sun_family = AF_UNIX;
    if (path.size() >= sizeof to.sun_path) return false;
    std::memcpy(to.sun_path, path.data(), path.size());
    return true;
}
const sockaddr* generic(const sockaddr_un& a) { return reinterpret_cast<const sockaddr*>(&a); }

bool failed(int error)
{
    errno = error;
    return false;
}

bool plain(std::string_view text)
{
    return std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c <= '~'; });
}

}  // namespace

struct Control::Client {
    Control& control;
    Fd fd{};
    std::string in{}, out{};
    std::uint64_t ticket = 0;                           // of the command that is being answered
    Clock::time_point until = Clock::now() + patience;  // the end of this step, however little by little it goes
    EventHandle on_ready{};
};

Control::Control(event_base* base, std::string path, Hooks hooks)
    : base_{base},
      path_{std::move(path)},
      hooks_{std::move(hooks)},
      last_ticket_{ours}
{
    if (listen()) {
        on_client_ = watch<&Control::accept>(base_, listener_.get(), EV_READ, *this);
        on_pause_over_ = make_event<&Control::accept_again>(base_, -1, 0, *this);
        return;
    }
    hooks_.log(LogLevel::warn,
        fmt::format("no control socket at {} ({}): batgw status and reset will not work", path_, std::strerror(errno)));
    listener_.reset();
}

Control::~Control()
{
    if (listener_) ::unlink(path_.c_str());
}

// Of a socket that nobody listens on any more only the file is left. Anything else in the way stays where it is.
bool Control::make_way()
{
    sockaddr_un to{};
    struct stat about {};
    if (!address(path_, to)) return failed(ENAMETOOLONG);
    if (::lstat(path_.c_str(), &about) != 0) return errno == ENOENT;
    if (!S_ISSOCK(about.st_mode)) return failed(EEXIST);
    const Fd probe{::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
    if (!probe) return false;
    if (::connect(probe.get(), generic(to), sizeof to) == 0 || errno == EAGAIN) return failed(EADDRINUSE);
    return errno == ECONNREFUSED && ::unlink(path_.c_str()) == 0;
}

bool Control::listen()
{
    if (!make_way()) return false;
    sockaddr_un to{};
    address(path_, to);
    listener_ = Fd{::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
    // Before bind(), so that there is no moment at which everybody may; after it for the group, whatever the umask takes away.
    return listener_ && ::fchmod(listener_.get(), 0660) == 0 && ::bind(listener_.get(), generic(to), sizeof to) == 0 &&
        ::chmod(path_.c_str(), 0660) == 0 && ::listen(listener_.get(), 8) == 0;
}

void Control::accept()
{
    Fd fd{::accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC)};
    if (!fd) {
        if (errno != EMFILE && errno != ENFILE && errno != ENOMEM && errno != ENOBUFS) return;  // gone again
        // Who knocks stays at the door, and would be told of without end.
        constexpr timeval pause{pause_s, 0};
        event_del(on_client_.get());
        event_add(on_pause_over_.get(), &pause);
        return;
    }
    if (clients_.size() >= clients_max) {
        constexpr std::string_view busy = "error busy\ntoo many clients at once\n";
        [[maybe_unused]] const auto n = ::send(fd.get(), busy.data(), busy.size(), MSG_NOSIGNAL);
        return;
    }
    Client& client = clients_.emplace_back(Client{.control = *this, .fd = std::move(fd)});
    wait_for(client, EV_READ);
}

void Control::accept_again() { event_add(on_client_.get(), nullptr); }

void Control::wait_for(Client& client, short what)
{
    const auto left = std::max(
        std::chrono::duration_cast<std::chrono::microseconds>(client.until - Clock::now()), std::chrono::microseconds{0});
    const timeval time{left / std::chrono::seconds{1}, (left % std::chrono::seconds{1}).count()};
    client.on_ready.reset(event_new(
        base_, what == EV_TIMEOUT ? -1 : client.fd.get(), what,
        [](evutil_socket_t, short seen, void* self) noexcept {
            auto& c = *static_cast<Client*>(self);
            c.control.ready(c, seen);
        },
        &client));
    if (!client.on_ready || event_add(client.on_ready.get(), &time) != 0) throw std::bad_alloc{};
}

void Control::ready(Client& client, short what)
{
    if ((what & EV_READ) != 0) return read(client);
    if ((what & EV_WRITE) != 0) return write(client);
    if (client.ticket != 0) {
        client.ticket = 0;
        return answer(client, "error internal", "the gateway does not answer");
    }
    drop(client);
}

void Control::drop(Client& client)
{
    clients_.remove_if([&](const Client& c) { return &c == &client; });
}

void Control::read(Client& client)
{
    std::array<char, request_max + 1> part{};
    const auto n = ::recv(client.fd.get(), part.data(), part.size(), 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return wait_for(client, EV_READ);
    if (n <= 0) return drop(client);
    client.in.append(part.data(), static_cast<std::size_t>(n));
    const auto end = client.in.find('\n');  // npos is beyond every length
    if (end <= request_max) return take(client, std::string_view{client.in}.substr(0, end));
    if (client.in.size() > request_max) return answer(client, "error too_long", "a request has at most 512 bytes");
    wait_for(client, EV_READ);
}

void Control::take(Client& client, std::string_view line)
{
    constexpr std::string_view reset_word = "reset\t";
    if (line == "status") return answer(client, "ok", hooks_.status());
    if (line == "status\tjson") return answer(client, "ok", hooks_.status_json());
    if (line.starts_with(reset_word)) return reset(client, line.substr(reset_word.size()));
    answer(client, "error unknown_command", "there is no such request");
}

void Control::reset(Client& client, std::string_view arguments)
{
    const auto tab = arguments.find('\t');
    const std::string_view fault = arguments.substr(0, tab);
    const std::string_view reason = tab == std::string_view::npos ? std::string_view{} : arguments.substr(tab + 1);
    Command command;
    if (fault.empty() || !plain(fault) || !plain(reason) || fault.size() > 64)
        return answer(client, "error bad_payload", "a fault's name is 1 to 64, a reason printable characters");
    command.kind = CommandKind::reset;
    command.fault.assign(fault);
    command.reason.assign(reason);
    command.source = CommandSource::local;
    command.ticket = ++last_ticket_;
    if (rate_.ask(false, monotonic_now()) != CommandRate::Answer::pass)
        return answer(client, fmt::format("error {}", to_string(CommandCode::rate_limited)), "more than 10 resets a second");
    if (!hooks_.submit(command)) return answer(client, "error internal", "too many commands at once");
    hooks_.log(LogLevel::info, fmt::format("reset of {} asked for on this machine, reason: {}", fault, reason));
    client.ticket = command.ticket;
    client.until = Clock::now() + patience;
    wait_for(client, EV_TIMEOUT);
}

bool Control::on_result(const CommandResult& result)
{
    if ((result.ticket & ours) == 0) return false;
    const auto c = std::find_if(clients_.begin(), clients_.end(), [&](const Client& one) { return one.ticket == result.ticket; });
    if (c == clients_.end()) return true;  // it has gone
    c->ticket = 0;
    const bool ok = result.code == CommandCode::ok;
    answer(*c, ok ? "ok" : fmt::format("error {}", to_string(result.code)), result.text.view());
    return true;
}

void Control::answer(Client& client, std::string_view heading, std::string_view text)
{
    client.out = fmt::format("{}\n{}", heading, text);
    if (!client.out.ends_with('\n')) client.out += '\n';
    client.until = Clock::now() + patience;
    wait_for(client, EV_WRITE);
}

void Control::write(Client& client)
{
    const auto n = ::send(client.fd.get(), client.out.data(), client.out.size(), MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN && errno != EINTR) return drop(client);
    client.out.erase(0, static_cast<std::size_t>(std::max<ssize_t>(n, 0)));
    if (client.out.empty()) return drop(client);
    wait_for(client, EV_WRITE);
}

ControlAnswer ask_control(const std::string& path, std::string_view request)
{
    const auto fail = [&](std::string_view what) {
        throw std::runtime_error{fmt::format("{} at {}: {}", what, path, std::strerror(errno))};
    };
    sockaddr_un to{};
    errno = ENAMETOOLONG;
    if (!address(path, to)) fail("no gateway can be asked");
    const Fd fd{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    constexpr timeval time{2 * Control::patience_s, 0};
    ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time);
    ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &time, sizeof time);
    if (!fd || ::connect(fd.get(), generic(to), sizeof to) != 0) fail("no gateway can be asked");
    const std::string line = std::string{request} + '\n';
    // A gateway that has too many clients answers and hangs up without having listened: then sending fails, and so does reading
    // after the answer.
    const bool sent = ::send(fd.get(), line.data(), line.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(line.size());
    if (!sent && errno != EPIPE && errno != ECONNRESET) fail("no answer");
    std::string all;
    std::array<char, 4096> part{};
    for (;;) {
        const auto n = ::recv(fd.get(), part.data(), part.size(), 0);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && all.empty()) fail("no answer");
        if (n <= 0) break;
        all.append(part.data(), static_cast<std::size_t>(n));
        if (all.size() > answer_max) break;
    }
    const auto end = all.find('\n');
    if (end == std::string::npos) throw std::runtime_error{fmt::format("no answer at {}: it was cut off", path)};
    return {.ok = all.compare(0, end, "ok") == 0, .text = all.substr(end + 1)};
}

}  // namespace batgw
