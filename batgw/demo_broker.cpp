#include "batgw/demo_broker.hpp"

#include "bus/event.hpp"

#include <fmt/format.h>

#include <array>
#include <chrono>
#include <csignal>
#include <fstream>
#include <stdexcept>
#include <system_error>
#include <thread>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>

namespace batgw {
namespace {

sockaddr_in loopback(std::uint16_t port)
{
    sockaddr_in a{};
    a.sin_family = AF_INET;
    a.sin_port = htons(port);
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return a;
}

std::uint16_t free_port()
{
    const Fd s{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    sockaddr_in a = loopback(0);
    socklen_t size = sizeof a;
    if (!s || ::bind(s.get(), reinterpret_cast<sockaddr*>(&a), size) != 0 ||
        ::getsockname(s.get(), reinterpret_cast<sockaddr*>(&a), &size) != 0)
        throw std::system_error{errno, std::generic_category(), "no free loopback port"};
    return ntohs(a.sin_port);
}

bool listens(std::uint16_t port)
{
    const Fd s{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    const sockaddr_in a = loopback(port);
    return ::connect(s.get(), reinterpret_cast<const sockaddr*>(&a), sizeof a) == 0;
}

pid_t start(const std::string& configuration)
{
    // Debian keeps the broker where only root's PATH looks.
    for (const char* program : {"/usr/sbin/mosquitto", "/usr/local/sbin/mosquitto", "/usr/bin/mosquitto"}) {
        if (::access(program, X_OK) != 0) continue;
        pid_t pid = -1;
        std::array<char*, 4> argv{
            const_cast<char*>(program), const_cast<char*>("-c"), const_cast<char*>(configuration.c_str()), nullptr};
        posix_spawn_file_actions_t files;
        ::posix_spawn_file_actions_init(&files);
        for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
            ::posix_spawn_file_actions_addopen(&files, fd, "/dev/null", O_RDWR, 0);
        // A Ctrl-C at the terminal is for us; the broker must still be there for the goodbye.
        posix_spawnattr_t attributes;
        ::posix_spawnattr_init(&attributes);
        ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
        const int error = ::posix_spawn(&pid, program, &files, &attributes, argv.data(), environ);
        ::posix_spawnattr_destroy(&attributes);
        ::posix_spawn_file_actions_destroy(&files);
        if (error == 0) return pid;
    }
    throw std::runtime_error{"mosquitto is not installed (Debian package: mosquitto)"};
}

}  // namespace

DemoBroker::DemoBroker(const std::string& directory) : port_{free_port()}
{
    const std::string file = directory + "/mosquitto.conf";
    std::ofstream{file} << fmt::format("listener {} 127.0.0.1\nallow_anonymous true\npersistence false\n", port_)
                        << (::geteuid() == 0 ? "user root\n" : "");
    pid_ = start(file);
    for (int tries = 0; !listens(port_); ++tries) {
        const bool gone = ::waitpid(pid_, nullptr, WNOHANG) == pid_;
        if (tries == 100 && !gone) stop();
        if (tries == 100 || gone) throw std::runtime_error{"mosquitto does not start on port " + std::to_string(port_)};
        std::this_thread::sleep_for(std::chrono::milliseconds{50});
    }
}

DemoBroker::~DemoBroker() { stop(); }

void DemoBroker::stop() const noexcept
{
    ::kill(pid_, SIGTERM);
    ::waitpid(pid_, nullptr, 0);
}

}  // namespace batgw
