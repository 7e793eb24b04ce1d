// The real loop on a thread of its own, in real time, between a simulated pack and inverter on another thread. Datagram socket
// pairs stand for the CAN interfaces; the kernel stamps what the gateway sends, so its rhythm is measured and not the test's.
#pragma once

#include "batgw/gateway.hpp"
#include "batgw/outside.hpp"
#include "tests/bench/house.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <deque>
#include <filesystem>
#include <functional>
#include <future>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <poll.h>
#include <sys/un.h>

namespace batgw::test {

inline std::shared_ptr<const Config> short_times(const std::string& extra)
{
    const std::string text = R"(
battery: {protocol: byd-atto3, interface: can0, cells: 126, capacity_wh: 60480}
inverter: {protocol: byd-hvs, interface: can1, options: {ready_s: 1}}
safety: {start_valid_s: 1, increase_settle_s: 0, ramp_up_pct_per_s: 100, contactors: {boot_inhibit_s: 1, valid_s: 1}}
log: {level: error}
)" + extra;
    Loaded loaded = load(text, "test.yaml", {.batteries = battery_drivers(), .inverters = inverter_drivers()}, Definitions{});
    if (!loaded.config) throw std::runtime_error{to_string(loaded.problems.front())};
    return std::make_shared<const Config>(std::move(*loaded.config));
}

// The service manager's end. To be made before whoever speaks to it.
class NotifySocket {
public:
    explicit NotifySocket(bool abstract = false) : fd_{::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)}
    {
        static int count = 0;
        name_ = (std::filesystem::temp_directory_path() /
            ("batgw-notify-" + std::to_string(::getpid()) + "-" + std::to_string(++count)))
                    .string();
        sockaddr_un a{};
        a.sun_family = AF_UNIX;
        std::copy(name_.begin(), name_.end(), a.sun_path + (abstract ? 1 : 0));
        if (abstract)
            path_ = "@" + name_;
        else
            path_ = name_;
        ::unlink(name_.c_str());
        REQUIRE(::bind(fd_.get(), reinterpret_cast<sockaddr*>(&a),
                    static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path_.size())) == 0);
        ::setenv("NOTIFY_SOCKET", path_.c_str(), 1);
    }
    ~NotifySocket()
    {
        ::unsetenv("NOTIFY_SOCKET");
        ::unlink(name_.c_str());
    }
    NotifySocket(const NotifySocket&) = delete;
    NotifySocket& operator=(const NotifySocket&) = delete;
    const std::string& path() const { return path_; }

    // What came since the last call.
    std::vector<std::string> read()
    {
        std::vector<std::string> all;
        std::array<char, 512> text{};
        for (;;) {
            const auto n = ::recv(fd_.get(), text.data(), text.size(), 0);
            if (n < 0) return all;
            all.emplace_back(text.data(), static_cast<std::size_t>(n));
        }
    }
    std::size_t count(std::string_view part)
    {
        const auto all = read();
        return static_cast<std::size_t>(
            std::count_if(all.begin(), all.end(), [&](const std::string& s) { return s.find(part) != std::string::npos; }));
    }
    bool wait_for(std::string_view part, std::chrono::milliseconds patience)
    {
        const auto end = std::chrono::steady_clock::now() + patience;
        while (std::chrono::steady_clock::now() < end) {
            if (count(part) > 0) return true;
            std::this_thread::sleep_for(std::chrono::milliseconds{5});
        }
        return false;
    }

private:
    Fd fd_;
    std::string name_, path_;
};

struct Gaps {
    double p50 = 0, p99 = 0, max = 0;  // ms
    std::size_t count = 0;
};

class LiveHouse {
public:
    struct Options {
        std::string extra;  // of the configuration
        bool signals = false;
        bool simulate = true;                 // false: silence on both buses
        std::function<Duration()> suspended;  // how long the machine has slept so far
        bool outside = false;                 // with the second thread
        std::function<std::unique_ptr<Bus>(event_base*, Side, BusListener&)> open;
    };
    LiveHouse() : LiveHouse(Options{}) {}
    explicit LiveHouse(Options options)
        : options_{std::move(options)},
          config_{short_times(options_.extra)},
          base_{event_base_new()}
    {
        for (const Side side : {Side::battery, Side::inverter}) {
            constexpr int on = 1;
            ::setsockopt(world(side), SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on);
            gateway_ends_[static_cast<std::size_t>(side)] = Fd{::dup(pair(side).gateway)};
        }
        batgw::Gateway::Setup setup{.config = config_,
            .battery = find_battery_driver("byd-atto3"),
            .inverter = find_inverter_driver("byd-hvs"),
            .service = &service_};
        setup.handle_signals = options_.signals;
        setup.suspended = options_.suspended;
        setup.open = [this](Side side, const BusSpec&, BusListener& listener) -> std::unique_ptr<Bus> {
            if (options_.open) return options_.open(base_.get(), side, listener);
            return std::make_unique<bus::FdBus>(base_.get(), pair(side).gateway, listener);
        };
        gateway_ = std::make_unique<batgw::Gateway>(base_.get(), std::move(setup), channels);
        on_post_ = watch<&LiveHouse::carry_out>(base_.get(), bell_.fd(), EV_READ, *this);
        if (options_.outside) {
            outside_ = std::make_unique<Outside>(channels,
                Outside::Setup{.config = config_,
                    .battery = find_battery_driver("byd-atto3"),
                    .inverter = find_inverter_driver("byd-hvs"),
                    .read_again =
                        [this] {
                            const std::lock_guard lock{posts_mutex_};
                            return Loaded{.config = *next_config_, .problems = {}, .warnings = {}};
                        },
                    .service = &service_,
                    .keep_state = false});
        }
        loop_ = std::thread{[this] {
            gateway_->run();
            stopped_ = true;
        }};
        if (options_.simulate) world_ = std::thread{[this] { drive(); }};
    }
    ~LiveHouse()
    {
        over_ = true;
        if (world_.joinable()) world_.join();
        if (!stopped_) post([this](batgw::Gateway&) { event_base_loopbreak(base_.get()); });
        loop_.join();
    }
    LiveHouse(const LiveHouse&) = delete;
    LiveHouse& operator=(const LiveHouse&) = delete;

    // On the loop's thread.
    void post(std::function<void(batgw::Gateway&)> what)
    {
        {
            const std::lock_guard lock{posts_mutex_};
            posts_.push_back(std::move(what));
        }
        bell_.ring();
    }
    template <class F>
    auto ask(F&& what)
    {
        auto answer = std::make_shared<std::promise<decltype(what(*gateway_))>>();
        auto future = answer->get_future();
        post([what, answer](batgw::Gateway& g) { answer->set_value(what(g)); });
        if (future.wait_for(20s) != std::future_status::ready) throw std::runtime_error{"the loop does not answer"};
        return future.get();
    }
    Snapshot look()
    {
        return ask([](batgw::Gateway& g) {
            Snapshot s;
            g.snapshot(s);
            return s;
        });
    }
    bool until(const std::function<bool(const Snapshot&)>& condition, Duration patience)
    {
        for (const Instant end = monotonic_now() + patience; monotonic_now() < end; std::this_thread::sleep_for(20ms))
            if (condition(look())) return true;
        return false;
    }
    // To full power, and the inverter knows it.
    void reach_run()
    {
        const Instant begin = monotonic_now();
        const bool runs = until(
            [](const Snapshot& s) {
                return s.verdict.state == GatewayState::run && !s.verdict.charge.is_zero() &&
                    s.verdict.charge.by() != Cause::ramp;
            },
            60s);
        const Snapshot s = look();
        CAPTURE(std::string{to_string(s.verdict.state)});
        CAPTURE(std::string{to_string(s.verdict.waiting)});
        CAPTURE(std::string{to_string(s.verdict.contactors.state)});
        for (const ActiveFault& f : s.verdict.faults)
            if (!runs) MESSAGE(std::string{to_string(f.id)}, ":", std::string{f.detail.view()});
        REQUIRE(runs);
        REQUIRE(wait_sent(
            Side::inverter, 0x110, begin, [](const CanFrame& f) { return f.data[4] + f.data[5] > 0; }, 5s));
    }
    bool wait_stopped(Duration patience)
    {
        for (const Instant end = monotonic_now() + patience; monotonic_now() < end; std::this_thread::sleep_for(5ms))
            if (stopped_) return true;
        return false;
    }
    void stop_outside() { outside_.reset(); }
    // What SIGHUP does, with other further sections in the file.
    void reload(const std::string& extra)
    {
        {
            const std::lock_guard lock{posts_mutex_};
            next_config_ = short_times(extra);
        }
        channels.reload_wanted = true;
        channels.outside.ring();
    }

    std::string pack(std::string_view command)
    {
        const std::lock_guard lock{sims_};
        return pack_->command(command);
    }
    std::string inverter(std::string_view command)
    {
        const std::lock_guard lock{sims_};
        return inverter_->command(command);
    }
    sim::Connection connection()
    {
        const std::lock_guard lock{sims_};
        return pack_->connection();
    }
    void pause(bool on) { paused_ = on; }  // the simulators fall silent, nothing is read
    void deafen(Side side, bool on) { deaf_[static_cast<std::size_t>(side)] = on; }  // what the gateway sends stays in the socket

    // A frame of somebody else; waits for room. False when there was none for 5 s.
    bool send(Side side, const CanFrame& frame)
    {
        const can_frame k = bench::to_kernel(frame);
        for (const Instant end = monotonic_now() + 5s; monotonic_now() < end; std::this_thread::yield())
            if (::send(world(side), &k, sizeof k, MSG_DONTWAIT) == static_cast<ssize_t>(sizeof k)) return true;
        return false;
    }
    // Fills the gateway's transmit queue to the brim.
    unsigned stuff(Side side)
    {
        can_frame k{};
        k.can_id = 0x7ff;
        unsigned n = 0;
        while (n < 10000 &&
            ::send(gateway_ends_[static_cast<std::size_t>(side)].get(), &k, sizeof k, MSG_DONTWAIT) ==
                static_cast<ssize_t>(sizeof k))
            ++n;
        return n;
    }

    struct Sent {
        Instant at;
        CanFrame frame;
    };
    // What the gateway sent since.
    std::vector<Sent> sent(Side side, std::uint32_t id, Instant since)
    {
        const std::lock_guard lock{seen_mutex_};
        std::vector<Sent> some;
        for (const Seen& s : seen_)
            if (s.side == side && s.frame.id == id && s.at >= since) some.push_back({s.at, s.frame});
        return some;
    }
    std::optional<Instant> wait_sent(
        Side side, std::uint32_t id, Instant since, const std::function<bool(const CanFrame&)>& wanted, Duration patience)
    {
        for (const Instant end = monotonic_now() + patience; monotonic_now() < end; std::this_thread::sleep_for(2ms))
            for (const Sent& s : sent(side, id, since))
                if (wanted(s.frame)) return s.at;
        return std::nullopt;
    }
    Gaps gaps(Side side, std::uint32_t id, Instant since)
    {
        const auto all = sent(side, id, since);
        std::vector<double> ms;
        for (std::size_t i = 1; i < all.size(); ++i)
            ms.push_back(static_cast<double>((all[i].at - all[i - 1].at).count()) / 1000);
        // Silence up to now is an interval, too.
        ms.push_back(all.empty() ? static_cast<double>((monotonic_now() - since).count()) / 1000 : 0);
        if (!all.empty()) ms.back() = std::max(0.0, static_cast<double>((monotonic_now() - all.back().at).count()) / 1000 - 20);
        std::sort(ms.begin(), ms.end());
        return {ms[ms.size() / 2], ms[ms.size() * 99 / 100], ms.back(), ms.size()};
    }

    Channels channels;

private:
    struct Seen {
        Instant at;
        Side side;
        CanFrame frame;
    };
    bench::Pair& pair(Side side) { return pairs_[static_cast<std::size_t>(side)]; }
    int world(Side side) { return pair(side).world.get(); }

    void carry_out()
    {
        bell_.answer();
        std::deque<std::function<void(batgw::Gateway&)>> now;
        {
            const std::lock_guard lock{posts_mutex_};
            now.swap(posts_);
        }
        for (auto& what : now) what(*gateway_);
    }

    void drive()
    {
        std::array<std::deque<CanFrame>, 2> waiting;
        Instant pack_wake{}, inverter_wake{};
        while (!over_) {
            if (paused_) {
                std::this_thread::sleep_for(1ms);
                continue;
            }
            const Instant now = monotonic_now();
            {
                const std::lock_guard lock{sims_};
                Outbox out;
                const Instant coupled = plant_.on_tick(now);
                if (now >= pack_wake) pack_wake = std::min(pack_->on_tick(now, out), coupled);
                for (const CanFrame& f : out.frames()) waiting[0].push_back(f);
                out.clear();
                if (now >= inverter_wake) inverter_wake = inverter_->on_tick(now, out);
                for (const CanFrame& f : out.frames()) waiting[1].push_back(f);
            }
            bool full = false;
            for (const Side side : {Side::battery, Side::inverter}) {
                auto& queue = waiting[static_cast<std::size_t>(side)];
                while (!queue.empty()) {
                    const can_frame k = bench::to_kernel(queue.front());
                    if (::send(world(side), &k, sizeof k, MSG_DONTWAIT) != static_cast<ssize_t>(sizeof k)) break;
                    queue.pop_front();
                }
                full |= !queue.empty();
                while (queue.size() > 200) queue.pop_front();  // a controller's queue is not endless either
                if (!deaf_[static_cast<std::size_t>(side)]) receive(side);
            }
            const Instant next = full ? now + 1ms : std::min({pack_wake, inverter_wake, now + 5ms});
            const auto wait = std::max<Duration>(next - monotonic_now(), 200us);
            std::array<pollfd, 2> fds{pollfd{deaf_[0] ? -1 : world(Side::battery), POLLIN, 0},
                pollfd{deaf_[1] ? -1 : world(Side::inverter), POLLIN, 0}};
            const timespec t{0, std::min<long>(static_cast<long>(wait.count()) * 1000, 999'000'000)};
            ::ppoll(fds.data(), fds.size(), &t, nullptr);
        }
    }
    void receive(Side side)
    {
        can_frame k{};
        iovec part{&k, sizeof k};
        alignas(cmsghdr) std::array<std::uint8_t, 128> control{};
        for (;;) {
            msghdr m{};
            m.msg_iov = &part;
            m.msg_iovlen = 1;
            m.msg_control = control.data();
            m.msg_controllen = control.size();
            if (::recvmsg(world(side), &m, MSG_DONTWAIT) != static_cast<ssize_t>(sizeof k)) return;
            Instant at = monotonic_now();
            for (cmsghdr* c = CMSG_FIRSTHDR(&m); c != nullptr; c = CMSG_NXTHDR(&m, c))
                if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMPNS) {
                    timespec stamp{};
                    std::memcpy(&stamp, CMSG_DATA(c), sizeof stamp);
                    at = reception(
                        std::chrono::seconds{stamp.tv_sec} + std::chrono::nanoseconds{stamp.tv_nsec}, system_clocks().wall(), at)
                             .at;
                }
            const CanFrame f = bench::from_kernel(k);
            {
                const std::lock_guard lock{sims_};
                if (side == Side::battery)
                    pack_->on_frame(f, monotonic_now());
                else
                    inverter_->on_frame(f, monotonic_now());
            }
            const std::lock_guard lock{seen_mutex_};
            seen_.push_back({at, side, f});
        }
    }

    Options options_;
    std::shared_ptr<const Config> config_;
    std::shared_ptr<const Config> next_config_;
    std::array<bench::Pair, 2> pairs_;
    std::array<Fd, 2> gateway_ends_;
    EventBase base_;
    ServiceManager service_;
    Doorbell bell_;
    std::mutex posts_mutex_, sims_, seen_mutex_;
    std::deque<std::function<void(batgw::Gateway&)>> posts_;
    std::unique_ptr<sim::SimulatedBattery> pack_ = sim::make_battery("byd-atto3", {});
    std::unique_ptr<sim::SimulatedInverter> inverter_ = sim::make_inverter("byd-hvs", {});
    sim::Plant plant_{*pack_, *inverter_};
    std::vector<Seen> seen_;
    std::atomic<bool> over_{false}, paused_{false}, stopped_{false};
    std::array<std::atomic<bool>, 2> deaf_{};
    EventHandle on_post_;
    std::unique_ptr<batgw::Gateway> gateway_;
    std::unique_ptr<Outside> outside_;
    std::thread loop_, world_;
};

// Of 0x110, in tenths of an ampere.
inline int discharge_limit(const CanFrame& f) { return f.data[4] << 8 | f.data[5]; }
inline int charge_limit(const CanFrame& f) { return f.data[6] << 8 | f.data[7]; }

// The pack's own limits as it sends them in 0x345, the checksum made good (made up).
inline CanFrame pack_limits(unsigned discharge_100w, unsigned charge_100w)
{
    CanFrame f{.id = 0x345, .len = 8};
    f.data = {static_cast<std::uint8_t>(discharge_100w), 0, static_cast<std::uint8_t>(charge_100w), 0, 0xff, 0xe0, 0x01, 0};
    unsigned sum = 0;
    for (std::size_t i = 0; i < 7; ++i) sum += f.data[i];
    f.data[7] = static_cast<std::uint8_t>(0xff - sum % 256);
    return f;
}

}  // namespace batgw::test
