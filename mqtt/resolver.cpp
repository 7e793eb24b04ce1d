#include "mqtt/resolver.hpp"

#include <event2/event.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <system_error>
#include <thread>
#include <utility>

#include <arpa/inet.h>
#include <netdb.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

namespace batgw::mqtt {

// Shared with the helper thread; whoever lets go last closes the bell.
struct Resolver::Job {
    Job() : bell{::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)}
    {
        if (bell < 0) throw std::system_error{errno, std::generic_category(), "eventfd"};
    }
    ~Job() { ::close(bell); }
    Job(const Job&) = delete;
    Job& operator=(const Job&) = delete;

    void run();
    void ring() const
    {
        const std::uint64_t one = 1;
        [[maybe_unused]] const auto n = ::write(bell, &one, sizeof one);
    }

    std::string host;
    int family = AF_UNSPEC;
    int bell;
    // Written by the helper before `finished`, read by the loop after it.
    std::vector<std::string> addresses;
    std::string problem;
    std::atomic<bool> finished{false};
};

void Resolver::Job::run()
{
    addrinfo hints{};
    hints.ai_family = family;
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* list = nullptr;
    const int error = ::getaddrinfo(host.c_str(), nullptr, &hints, &list);
    if (error != 0)
        problem =
            host + ": " + (error == EAI_SYSTEM ? std::generic_category().message(errno) : std::string{::gai_strerror(error)});
    for (const addrinfo* one = list; one; one = one->ai_next) {
        std::array<char, NI_MAXHOST> text{};
        if (::getnameinfo(one->ai_addr, one->ai_addrlen, text.data(), text.size(), nullptr, 0, NI_NUMERICHOST) == 0)
            addresses.emplace_back(text.data());
    }
    if (list) ::freeaddrinfo(list);
    if (problem.empty() && addresses.empty()) problem = host + ": no address";
    finished.store(true, std::memory_order_release);
    ring();
}

Resolver::Resolver(event_base* base) : base_{base} {}
Resolver::~Resolver() { cancel(); }

void Resolver::cancel()
{
    if (event_) event_free(event_);
    event_ = nullptr;
    job_.reset();
    done_ = nullptr;
}

void Resolver::start(const std::string& host, const std::string& family, Done done)
{
    cancel();
    job_ = std::make_shared<Job>();
    job_->host = host;
    job_->family = family == "ipv4" ? AF_INET : family == "ipv6" ? AF_INET6 : AF_UNSPEC;
    done_ = std::move(done);
    event_ = event_new(
        base_, job_->bell, EV_READ, [](evutil_socket_t, short, void* self) noexcept { static_cast<Resolver*>(self)->answered(); },
        this);
    if (!event_ || event_add(event_, nullptr) != 0) throw std::bad_alloc{};
    try {
        std::thread{[job = job_] { job->run(); }}.detach();
    } catch (const std::system_error& e) {  // no more threads: as good as a resolver that fails
        job_->problem = host + ": " + e.what();
        job_->finished = true;
        job_->ring();
    }
}

void Resolver::answered()
{
    if (!job_ || !job_->finished.load(std::memory_order_acquire)) return;
    const auto job = job_;
    const Done done = std::move(done_);
    cancel();
    done(std::move(job->addresses), std::move(job->problem));
}

bool is_private_address(const std::string& address)
{
    std::array<unsigned char, 16> b{};
    if (inet_pton(AF_INET, address.c_str(), b.data()) == 1)
        return b[0] == 127 || b[0] == 10 || (b[0] == 172 && (b[1] & 0xf0) == 16) || (b[0] == 192 && b[1] == 168) ||
            (b[0] == 169 && b[1] == 254) || (b[0] == 100 && (b[1] & 0xc0) == 64);
    const std::string plain = address.substr(0, address.find('%'));  // fe80::1%eth0
    if (inet_pton(AF_INET6, plain.c_str(), b.data()) != 1) return false;
    constexpr std::array<unsigned char, 15> zeros{};
    if (std::equal(zeros.begin(), zeros.end(), b.begin()) && b[15] == 1) return true;
    return (b[0] & 0xfe) == 0xfc || (b[0] == 0xfe && (b[1] & 0xc0) == 0x80);
}

}  // namespace batgw::mqtt
