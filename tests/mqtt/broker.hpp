// What the broker tests are made of: a real mosquitto on a free loopback port, a scripted one of plain sockets, somebody who
// watches and commands, and a gateway's client with its event loop.
#pragma once

#include "mqtt/client.hpp"
#include "tests/mqtt/samples.hpp"
#include "tests/support/sanitized.hpp"

#include <doctest/doctest.h>
#include <event2/event.h>
#include <mosquitto.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

namespace batgw::test {

using Clock = std::chrono::steady_clock;

// What waits for a broker waits for a second and more; a busy machine holds up a turn of the loop for less than this.
inline constexpr std::chrono::milliseconds blocked{sanitized ? 900 : 500};

// A directory that goes away with its owner.
class Directory {
public:
    Directory()
    {
        std::string pattern = (std::filesystem::temp_directory_path() / "batgw-mqtt-XXXXXX").string();
        REQUIRE(::mkdtemp(pattern.data()));
        path_ = pattern;
    }
    ~Directory()
    {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    Directory(const Directory&) = delete;
    Directory& operator=(const Directory&) = delete;
    std::string file(const std::string& name) const { return path_ + "/" + name; }
    std::string write(const std::string& name, const std::string& text) const
    {
        std::ofstream{file(name)} << text;
        return file(name);
    }

private:
    std::string path_;
};

inline int listening_socket(std::uint16_t& port, int queue = 8)
{
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int one = 1;
    ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    sockaddr_in a{};
    a.sin_family = AF_INET;
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    a.sin_port = htons(port);
    REQUIRE(::bind(fd, reinterpret_cast<sockaddr*>(&a), sizeof a) == 0);
    REQUIRE(::listen(fd, queue) == 0);
    socklen_t size = sizeof a;
    ::getsockname(fd, reinterpret_cast<sockaddr*>(&a), &size);
    port = ntohs(a.sin_port);
    return fd;
}
inline std::uint16_t free_port()
{
    std::uint16_t port = 0;
    ::close(listening_socket(port));
    return port;
}

// Runs a program to its end; its exit status.
inline int run_program(const std::vector<std::string>& words)
{
    std::vector<char*> argv;
    for (const auto& w : words) argv.push_back(const_cast<char*>(w.c_str()));
    argv.push_back(nullptr);
    const pid_t pid = ::fork();
    if (pid == 0) {
        const int null = ::open("/dev/null", O_RDWR);
        for (int fd : {0, 1, 2}) ::dup2(null, fd);
        ::execvp(argv[0], argv.data());
        ::_exit(127);
    }
    int status = 0;
    ::waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

// A real mosquitto.
class Broker {
public:
    // `config`: lines beside the listener; empty `listener`: one plain listener on a free port, anonymous allowed.
    explicit Broker(const std::string& config = "allow_anonymous true\n", bool own_listeners = false) : port_{free_port()}
    {
        std::string text = own_listeners ? config : "listener " + std::to_string(port_) + " 127.0.0.1\n" + config;
        if (::geteuid() == 0) text += "user root\n";
        directory_.write("mosquitto.conf", text);
        start();
    }
    ~Broker() { signal(SIGKILL); }
    Broker(const Broker&) = delete;
    Broker& operator=(const Broker&) = delete;

    void start()
    {
        const std::string config = directory_.file("mosquitto.conf"), log = directory_.file("log");
        pid_ = ::fork();
        if (pid_ == 0) {
            const int out = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
            ::dup2(out, 1);
            ::dup2(out, 2);
            ::execlp("mosquitto", "mosquitto", "-v", "-c", config.c_str(), nullptr);
            ::execl("/usr/sbin/mosquitto", "mosquitto", "-v", "-c", config.c_str(), nullptr);
            ::_exit(127);
        }
    }
    // SIGKILL and SIGTERM wait for the end.
    void signal(int number)
    {
        if (pid_ <= 0) return;
        ::kill(pid_, number);
        if (number != SIGKILL && number != SIGTERM) return;
        ::waitpid(pid_, nullptr, 0);
        pid_ = 0;
    }
    std::uint16_t port() const { return port_; }
    const Directory& directory() const { return directory_; }

    static void wait_for(std::uint16_t port)
    {
        for (int i = 0; i < 500; ++i) {
            const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
            sockaddr_in a{};
            a.sin_family = AF_INET;
            a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
            a.sin_port = htons(port);
            const bool there = ::connect(fd, reinterpret_cast<sockaddr*>(&a), sizeof a) == 0;
            ::close(fd);
            if (there) return;
            std::this_thread::sleep_for(std::chrono::milliseconds{20});
        }
        FAIL("no mosquitto: is it installed?");
    }
    void wait() const { wait_for(port_); }

private:
    Directory directory_;
    std::uint16_t port_;
    pid_t pid_ = 0;
};

struct Seen {
    std::string topic, payload;
    bool retained = false;
    int qos = 0;
};

// Somebody else at the broker: sees everything, sends commands.
class Watcher {
public:
    explicit Watcher(std::uint16_t port, const std::string& user = {}, const std::string& password = {}, bool version_5 = false)
    {
        mosquitto_lib_init();
        client_ = mosquitto_new(nullptr, true, this);
        if (version_5) mosquitto_int_option(client_, MOSQ_OPT_PROTOCOL_VERSION, MQTT_PROTOCOL_V5);
        if (!user.empty()) mosquitto_username_pw_set(client_, user.c_str(), password.c_str());
        mosquitto_message_callback_set(client_, [](mosquitto*, void* self, const mosquitto_message* m) {
            static_cast<Watcher*>(self)->heard.push_back({m->topic,
                std::string(static_cast<const char*>(m->payload), m->payload ? static_cast<std::size_t>(m->payloadlen) : 0),
                m->retain, m->qos});
        });
        mosquitto_subscribe_callback_set(
            client_, [](mosquitto*, void* self, int, int, const int*) { static_cast<Watcher*>(self)->subscribed_ = true; });
        connect(port);
    }
    ~Watcher()
    {
        mosquitto_destroy(client_);
        mosquitto_lib_cleanup();
    }
    Watcher(const Watcher&) = delete;
    Watcher& operator=(const Watcher&) = delete;

    void connect(std::uint16_t port)
    {
        REQUIRE(mosquitto_connect(client_, "127.0.0.1", port, 60) == MOSQ_ERR_SUCCESS);
        subscribed_ = false;
        mosquitto_subscribe(client_, nullptr, "#", 1);
        for (int i = 0; i < 500 && !subscribed_; ++i) mosquitto_loop(client_, 20, 1);
        REQUIRE(subscribed_);
    }
    void poll()
    {
        for (int i = 0; i < 50; ++i) mosquitto_loop(client_, 0, 1);
    }
    void send(const std::string& topic, const std::string& payload, bool retain = false, int qos = 0)
    {
        mosquitto_publish(client_, nullptr, topic.c_str(), static_cast<int>(payload.size()), payload.data(), qos, retain);
        poll();
    }
    void command(const std::string& name, const std::string& payload, bool retain = false)
    {
        send("battery-gateway/cmnd/" + name, payload, retain);
    }

    std::size_t count(const std::string& suffix) const
    {
        std::size_t n = 0;
        for (const auto& h : heard) n += h.topic == "battery-gateway/" + suffix ? 1U : 0U;
        return n;
    }
    std::string last(const std::string& suffix) const
    {
        for (auto h = heard.rbegin(); h != heard.rend(); ++h)
            if (h->topic == "battery-gateway/" + suffix) return h->payload;
        return {};
    }
    bool has(const std::string& suffix, const std::string& part) const
    {
        for (const auto& h : heard)
            if (h.topic == "battery-gateway/" + suffix && h.payload.find(part) != std::string::npos) return true;
        return false;
    }
    mosquitto* client() { return client_; }
    std::vector<Seen> heard;

private:
    mosquitto* client_ = nullptr;
    bool subscribed_ = false;
};

// The outside thread's loop, run by the test.
class OutsideLoop {
public:
    OutsideLoop() : base_{event_base_new()} { REQUIRE(base_); }
    ~OutsideLoop() { event_base_free(base_); }
    OutsideLoop(const OutsideLoop&) = delete;
    OutsideLoop& operator=(const OutsideLoop&) = delete;
    event_base* base() const { return base_; }

    // Until `done`, asked again and again, with `each` called in between; false when the time is over.
    bool until(const std::function<bool()>& done, std::chrono::milliseconds patience, const std::function<void()>& each = {})
    {
        const auto end = Clock::now() + patience;
        while (!done()) {
            if (Clock::now() >= end) return false;
            if (each) each();
            const auto begin = Clock::now();
            event_base_loop(base_, EVLOOP_NONBLOCK);
            longest = std::max(longest, std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - begin));
            std::this_thread::sleep_for(std::chrono::milliseconds{2});
        }
        return true;
    }
    std::chrono::milliseconds longest{};  // that one turn of the loop took

private:
    event_base* base_;
};

inline MqttConfig plain_config(std::uint16_t port)
{
    MqttConfig c;
    c.host = "127.0.0.1";
    c.port = port;
    c.reconnect = 2s;
    return c;
}

// A client with a bridge that answers at once and sends a snapshot every 100 ms.
class Gateway {
public:
    Gateway(OutsideLoop& loop, const MqttConfig& config, bool with_snapshots = true) : loop_{loop}, snapshots_{with_snapshots}
    {
        state_.max_charge = state_.max_discharge = 10_kW;
        MqttHooks hooks;
        hooks.submit = [this](const Command& c) {
            submitted.push_back(c);
            submitted_at.push_back(Clock::now());
            return true;
        };
        hooks.log = [this](LogLevel level, std::string_view text) {
            if (level <= LogLevel::info) log.emplace_back(text);
            if (level == LogLevel::warn) warnings.emplace_back(text);
        };
        hooks.retained_command = [this](bool there) { retained = there; };
        client = std::make_unique<MqttClient>(loop.base(), config, sample_context(), hooks);
    }
    // The bridge's part; call in between turns of the loop.
    void bridge()
    {
        for (; answered_ < submitted.size() && answering; ++answered_) {
            const Command& c = submitted[answered_];
            CommandResult r;
            r.kind = c.kind;
            r.ticket = c.ticket;
            r.code = CommandCode::ok;
            r.text.assign("done");
            r.answered = now();
            if (c.kind == CommandKind::charge) state_.charge = c.on;
            if (c.kind == CommandKind::discharge) state_.discharge = c.on;
            if (c.kind == CommandKind::max_charge) state_.max_charge = *c.charge_power;
            r.status = state_;
            client->on_result(r);
        }
        if (!snapshots_ || now() - last_snapshot_ < 100ms) return;
        last_snapshot_ = now();
        snapshot = sample_snapshot(now());
        snapshot.verdict.sequence = ++sequence_;
        snapshot.operator_ = state_;
        if (change) change(snapshot);
        const auto begin = Clock::now();
        client->on_snapshot(snapshot);
        longest_call = std::max(longest_call, std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - begin));
    }
    bool until(const std::function<bool()>& done, std::chrono::milliseconds patience = std::chrono::seconds{10},
        Watcher* watcher = nullptr)
    {
        return loop_.until(done, patience, [&] {
            bridge();
            if (watcher) watcher->poll();
        });
    }
    // With a watcher: until STATUS was heard, which follows the subscription; a command sent from then on is not too early.
    bool connect(Watcher* watcher = nullptr)
    {
        const std::size_t before = watcher ? watcher->count("STATUS") : 0;
        return until([&] { return client->connected() && (!watcher || watcher->count("STATUS") > before); },
            std::chrono::seconds{10}, watcher);
    }
    bool logged(const std::string& part) const
    {
        for (const auto& line : log)
            if (line.find(part) != std::string::npos) return true;
        return false;
    }
    // As much to tell as there can be, until something waits: the broker does not read.
    bool fill()
    {
        const auto end = Clock::now() + std::chrono::seconds{20};
        while (client->counters().waiting == 0 && Clock::now() < end) {
            for (int i = 0; i < 40; ++i) {
                snapshot = sample_snapshot(now());
                snapshot.verdict.sequence = ++sequence_;
                snapshot.transitions = sequence_;
                client->on_snapshot(snapshot);
            }
            until([] { return false; }, std::chrono::milliseconds{100});
        }
        return client->counters().waiting > 0;
    }
    bool stop(Watcher* watcher = nullptr)
    {
        bool gone = false;
        client->stop([&] { gone = true; });
        return until([&] { return gone; }, std::chrono::seconds{5}, watcher);
    }
    static Instant now() { return std::chrono::time_point_cast<Duration>(Clock::now()); }

    std::unique_ptr<MqttClient> client;
    std::vector<Command> submitted;
    std::vector<Clock::time_point> submitted_at;
    std::vector<std::string> log, warnings;
    std::optional<bool> retained;
    bool answering = true;
    Snapshot snapshot;
    std::function<void(Snapshot&)> change;
    std::chrono::milliseconds longest_call{};

private:
    OutsideLoop& loop_;
    bool snapshots_;
    std::size_t answered_ = 0;
    std::uint64_t sequence_ = 0;
    Instant last_snapshot_{};
    OperatorState state_;
};

// A broker of plain sockets that does what the test says.
class FakeBroker {
public:
    struct Packet {
        int type = 0;  // 1 CONNECT, 3 PUBLISH, 8 SUBSCRIBE, 12 PINGREQ, 14 DISCONNECT
        int flags = 0;
        std::string body;
        std::string topic() const
        {
            const auto n =
                static_cast<std::size_t>(static_cast<unsigned char>(body[0])) * 256 + static_cast<unsigned char>(body[1]);
            return body.substr(2, n);
        }
        std::string payload() const { return body.substr(2 + topic().size() + ((flags & 6) != 0 ? 2 : 0)); }
    };

    FakeBroker()
    {
        listener_ = listening_socket(port_);
        ::fcntl(listener_, F_SETFL, O_NONBLOCK);
        const int small = 4096;  // soon full when nobody reads
        ::setsockopt(listener_, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    }
    ~FakeBroker()
    {
        hang_up();
        ::close(listener_);
    }
    FakeBroker(const FakeBroker&) = delete;
    FakeBroker& operator=(const FakeBroker&) = delete;
    std::uint16_t port() const { return port_; }

    // Called for each connection and each packet, with this broker. Empty: does nothing.
    std::function<void()> on_connection;
    std::function<void(const Packet&)> on_packet;
    bool reads = true;
    int connections = 0;
    std::vector<Packet> packets;

    void poll()
    {
        read();
        const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) return;
        read();  // what the one before still had to say
        hang_up();
        peer_ = fd;
        ++connections;
        if (on_connection) on_connection();
        read();
    }
    void send(std::string_view bytes)
    {
        if (peer_ >= 0) [[maybe_unused]]
            const auto n = ::send(peer_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    }
    // As much as goes without waiting.
    std::size_t send_some(std::string_view bytes)
    {
        const ssize_t n = peer_ < 0 ? -1 : ::send(peer_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
        return n < 0 ? 0 : static_cast<std::size_t>(n);
    }
    void accept_login(char code = 0) { send(std::string{"\x20\x02\x00", 3} + code); }
    // What a polite broker does.
    void polite(const Packet& p)
    {
        if (p.type == 1) accept_login();
        if (p.type == 8) send(std::string{"\x90\x03"} + p.body.substr(0, 2) + "\x01");
        if (p.type == 12) send(std::string{"\xd0\x00", 2});
        if (p.type == 3 && (p.flags & 6) == 2) send(std::string{"\x40\x02"} + p.body.substr(2 + p.topic().size(), 2));
    }
    void hang_up()
    {
        if (peer_ >= 0) ::close(peer_);
        peer_ = -1;
        input_.clear();
    }
    void reset()
    {
        const linger hard{1, 0};
        if (peer_ >= 0) ::setsockopt(peer_, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
        hang_up();
    }
    bool has_peer() const { return peer_ >= 0; }

private:
    void read()
    {
        std::array<char, 65536> bytes{};
        bool over = false;
        while (peer_ >= 0 && reads && !over) {
            const ssize_t n = ::recv(peer_, bytes.data(), bytes.size(), 0);
            if (n < 0) break;
            over = n == 0;
            input_.append(bytes.data(), static_cast<std::size_t>(n));
            while (take()) {}
        }
        if (over) hang_up();
    }
    bool take()
    {
        std::size_t length = 0, at = 1;
        for (unsigned shift = 0; at < input_.size(); shift += 7, ++at) {
            length |= static_cast<std::size_t>(input_[at] & 0x7f) << shift;
            if ((input_[at] & 0x80) == 0) break;
        }
        if (at >= input_.size() || input_.size() < at + 1 + length) return false;
        const Packet p{(input_[0] >> 4) & 0xf, input_[0] & 0xf, input_.substr(at + 1, length)};
        input_.erase(0, at + 1 + length);
        packets.push_back(p);
        if (on_packet) on_packet(p);
        return true;
    }
    std::uint16_t port_ = 0;
    int listener_ = -1, peer_ = -1;
    std::string input_;
};

// The way to a broker over a network that takes its time: for half a second nobody answers, so that connecting has to be waited
// for, as it never has to on this machine alone. Then everything is passed on to the broker behind it.
class SlowWay {
public:
    explicit SlowWay(std::uint16_t to) : to_{to}
    {
        listener_ = listening_socket(port_, 0);
        for (int& fd : filling_) {  // the queue of connections is full
            fd = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
            connect_to(fd, port_);
        }
        thread_ = std::thread{[this] { run(); }};
    }
    ~SlowWay()
    {
        over_ = true;
        thread_.join();
        for (const int fd : {listener_, filling_[0], filling_[1], client_, broker_}) ::close(fd);
    }
    SlowWay(const SlowWay&) = delete;
    SlowWay& operator=(const SlowWay&) = delete;
    std::uint16_t port() const { return port_; }

private:
    static int connect_to(int fd, std::uint16_t port)
    {
        sockaddr_in a{};
        a.sin_family = AF_INET;
        a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        a.sin_port = htons(port);
        return ::connect(fd, reinterpret_cast<sockaddr*>(&a), sizeof a);
    }
    void run()
    {
        std::this_thread::sleep_for(std::chrono::milliseconds{500});
        ::fcntl(listener_, F_SETFL, O_NONBLOCK);
        for (; client_ < 0 && !over_; std::this_thread::sleep_for(std::chrono::milliseconds{5})) {
            sockaddr_in from{};
            socklen_t size = sizeof from;
            const int fd = ::accept4(listener_, reinterpret_cast<sockaddr*>(&from), &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
            if (fd < 0) continue;
            if (own_port(filling_[0]) == from.sin_port || own_port(filling_[1]) == from.sin_port)
                ::close(fd);
            else
                client_ = fd;
        }
        broker_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        connect_to(broker_, to_);
        ::fcntl(broker_, F_SETFL, O_NONBLOCK);
        while (!over_ && pass(client_, broker_) && pass(broker_, client_))
            std::this_thread::sleep_for(std::chrono::milliseconds{1});
    }
    static in_port_t own_port(int fd)
    {
        sockaddr_in a{};
        socklen_t size = sizeof a;
        ::getsockname(fd, reinterpret_cast<sockaddr*>(&a), &size);
        return a.sin_port;
    }
    static bool pass(int from, int to)
    {
        std::array<char, 4096> bytes{};
        const ssize_t n = ::recv(from, bytes.data(), bytes.size(), MSG_DONTWAIT);
        if (n > 0) return ::send(to, bytes.data(), static_cast<std::size_t>(n), MSG_NOSIGNAL) == n;
        return n < 0 && errno == EAGAIN;
    }
    std::uint16_t to_, port_ = 0;
    int listener_ = -1, client_ = -1, broker_ = -1;
    std::array<int, 2> filling_{-1, -1};
    std::atomic<bool> over_{false};
    std::thread thread_;
};

}  // namespace batgw::test
