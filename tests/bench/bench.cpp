// make bench: prints the table of docs/benchmarks.md, measured on this machine. Nothing here is asserted; a figure that could not
// be taken is said to be missing.
#include "model/snapshot.hpp"
#include "tests/bench/house.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <new>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {
std::atomic<std::uint64_t> allocations{0};
}  // namespace
void* operator new(std::size_t size)
{
    allocations.fetch_add(1, std::memory_order_relaxed);
    if (void* p = std::malloc(size)) return p;
    throw std::bad_alloc{};
}
void operator delete(void* p) noexcept { std::free(p); }
void operator delete(void* p, std::size_t) noexcept { std::free(p); }

namespace batgw::bench {
namespace {

using Clock = std::chrono::steady_clock;
double seconds_since(Clock::time_point t) { return std::chrono::duration<double>(Clock::now() - t).count(); }

void row(std::string_view what, std::string_view figure)
{
    fmt::print("| {} | {} |\n", what, figure);
    std::fflush(stdout);
}

struct Percentiles {
    double p50, p99, max;
};
Percentiles percentiles(std::vector<double> values)
{
    if (values.empty()) return {};
    std::sort(values.begin(), values.end());
    return {values[values.size() / 2], values[values.size() * 99 / 100], values.back()};
}

// A minute of a real pack's traffic, by the simulator.
std::vector<CanFrame> recorded_minute()
{
    auto pack = sim::make_battery("byd-atto3", {});
    std::vector<CanFrame> frames;
    const Instant t0{1000s};
    for (Instant now = t0; now < t0 + 60s;) {
        Outbox out;
        now = pack->on_tick(now, out);
        frames.insert(frames.end(), out.frames().begin(), out.frames().end());
    }
    return frames;
}

// The bridge brought to full power in virtual time.
struct Running {
    std::shared_ptr<const Config> config = configuration();
    std::unique_ptr<sim::SimulatedBattery> pack = sim::make_battery("byd-atto3", {});
    std::unique_ptr<sim::SimulatedInverter> inverter = sim::make_inverter("byd-hvs", {});
    sim::Plant plant{*pack, *inverter};
    Instant now{1000s};
    Bridge bridge{*config, *find_battery_driver("byd-atto3"), *find_inverter_driver("byd-hvs"), now, {}};
    Instant pack_wake{}, inverter_wake{}, plant_wake{};
    std::uint64_t frames = 0;

    Running()
    {
        BusStatus up;
        up.state = BusState::active;
        up.tried = true;
        bridge.on_bus(Side::battery, up, now);
        bridge.on_bus(Side::inverter, up, now);
        run(30s);
        if (bridge.verdict().state != GatewayState::run)
            throw std::runtime_error{fmt::format("the bridge does not run but is {}", to_string(bridge.verdict().state))};
    }
    void run(Duration time)
    {
        const Instant end = now + time;
        while (now < end) {
            now = std::max(now + 1us, std::min({end, bridge.wake(), pack_wake, inverter_wake, plant_wake}));
            Outbox out;
            if (now >= plant_wake) plant_wake = plant.on_tick(now);
            if (now >= pack_wake) pack_wake = pack->on_tick(now, out);
            feed(Side::battery, out);
            out.clear();
            if (now >= inverter_wake) inverter_wake = inverter->on_tick(now, out);
            feed(Side::inverter, out);
            bridge.run(now);
            for (const Side side : {Side::battery, Side::inverter})
                while (const auto f = bridge.next_frame(side, now)) {
                    bridge.sent(side, now);
                    ++frames;
                    if (side == Side::battery)
                        pack->on_frame(*f, now);
                    else
                        inverter->on_frame(*f, now);
                }
        }
    }
    void feed(Side side, const Outbox& out)
    {
        for (const CanFrame& f : out.frames()) {
            bridge.on_frame(side, f, now, now);
            ++frames;
        }
    }
};

void decode()
{
    const auto frames = recorded_minute();
    const auto config = configuration();
    const auto* info = find_battery_driver("byd-atto3");
    auto driver = info->make({.config = config->battery, .ages = {}});
    Instant now{2000s};
    std::uint64_t n = 0;
    const auto begin = Clock::now();
    while (seconds_since(begin) < 1.0)
        for (const CanFrame& f : frames) {
            driver->on_frame(f, now += 100us);
            ++n;
        }
    row("decode, BYD Atto 3 driver, mix of a real pack",
        fmt::format("{:.0f} ns a frame", seconds_since(begin) * 1e9 / static_cast<double>(n)));
}

void encode()
{
    Running house;
    auto driver = find_inverter_driver("byd-hvs")->make(house.config->inverter);
    CanFrame ask{.id = 0x151, .len = 8};
    ask.data[0] = 1;
    Instant now = house.now;
    std::uint64_t n = 0;
    const auto begin = Clock::now();
    while (seconds_since(begin) < 1.0) {
        driver->on_frame(ask, now);
        for (int i = 0; i < 20; ++i) {
            Outbox out;
            driver->on_tick(now, {.verdict = house.bridge.verdict(), .battery = house.bridge.battery()}, out);
            n += out.frames().size();
            now += 10ms;
        }
    }
    row("encode, BYD HVS driver, identification and data",
        fmt::format("{:.0f} ns a frame", seconds_since(begin) * 1e9 / static_cast<double>(std::max<std::uint64_t>(n, 1))));
}

void bridge_step()
{
    Running house;
    const auto frames = recorded_minute();
    std::uint64_t n = 0;
    const std::uint64_t before = allocations;
    const auto begin = Clock::now();
    while (seconds_since(begin) < 1.0)
        for (const CanFrame& f : frames) {
            house.now += 250us;  // 4,000 frames a second
            house.bridge.on_frame(Side::battery, f, house.now, house.now);
            house.bridge.run(house.now);
            for (const Side side : {Side::battery, Side::inverter})
                while (house.bridge.next_frame(side, house.now)) house.bridge.sent(side, house.now);
            ++n;
        }
    const double ns = seconds_since(begin) * 1e9 / static_cast<double>(n);
    const std::uint64_t made = allocations - before;
    row("bridge step: a frame in, judged, both drivers asked", fmt::format("{:.0f} ns", ns));
    row("allocations per frame after start", fmt::format("{} in {} frames", made, n));
}

double thread_cpu(clockid_t clock)
{
    timespec t{};
    ::clock_gettime(clock, &t);
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) / 1e9;
}

// The real loop on a thread of its own, between simulators that the measuring thread drives in real time.
class Loop {
public:
    Loop() : base_{event_base_new()}
    {
        Gateway::Setup setup{.config = configuration(),
            .battery = find_battery_driver("byd-atto3"),
            .inverter = find_inverter_driver("byd-hvs"),
            .service = &service_};
        setup.handle_signals = false;
        setup.open = [this](Side side, const BusSpec&, BusListener& listener) -> std::unique_ptr<Bus> {
            return std::make_unique<bus::FdBus>(base_.get(), pair(side).gateway, listener);
        };
        gateway_ = std::make_unique<Gateway>(base_.get(), std::move(setup), channels_);
        stop_ = watch<&Loop::end>(base_.get(), bell_.fd(), EV_READ, *this);
        thread_ = std::thread{[this] {
            ::pthread_getcpuclockid(::pthread_self(), &cpu_);
            ready_ = true;
            gateway_->run();
        }};
        while (!ready_) std::this_thread::yield();
    }
    ~Loop()
    {
        bell_.ring();
        thread_.join();
    }
    Pair& pair(Side side) { return pairs_[static_cast<std::size_t>(side)]; }
    double cpu() const { return thread_cpu(cpu_); }
    std::uint64_t received()
    {
        channels_.snapshots.take();
        return channels_.snapshots.newest().buses[0].status.counters.received +
            channels_.snapshots.newest().buses[1].status.counters.received;
    }
    GatewayState state()
    {
        channels_.snapshots.take();
        return channels_.snapshots.newest().verdict.state;
    }
    bool send(Side side, const CanFrame& f)
    {
        const can_frame k = to_kernel(f);
        return ::send(pair(side).world.get(), &k, sizeof k, MSG_DONTWAIT) == static_cast<ssize_t>(sizeof k);
    }
    template <class F>
    void receive(Side side, F&& each)
    {
        can_frame k{};
        while (::recv(pair(side).world.get(), &k, sizeof k, MSG_DONTWAIT) == static_cast<ssize_t>(sizeof k)) each(from_kernel(k));
    }

    // Drives the simulators for a time; `each` sees every frame the gateway sent, `meanwhile` is called all the time.
    template <class Each, class Meanwhile>
    void live(Duration time, Each&& each, Meanwhile&& meanwhile)
    {
        const Instant end = monotonic_now() + time;
        for (Instant now = monotonic_now(); now < end; now = monotonic_now()) {
            Outbox out;
            plant_.on_tick(now);
            if (now >= pack_wake_) pack_wake_ = pack_->on_tick(now, out);
            for (const CanFrame& f : out.frames()) {
                send(Side::battery, f);
                remember(f);
            }
            out.clear();
            if (now >= inverter_wake_) inverter_wake_ = inverter_->on_tick(now, out);
            for (const CanFrame& f : out.frames()) send(Side::inverter, f);
            for (const Side side : {Side::battery, Side::inverter})
                receive(side, [&](const CanFrame& f) {
                    const Instant at = monotonic_now();
                    if (side == Side::battery)
                        pack_->on_frame(f, at);
                    else
                        inverter_->on_frame(f, at);
                    each(side, f, at);
                });
            meanwhile(now);
        }
    }
    void to_full_power()
    {
        for (int i = 0; i < 60 && state() != GatewayState::run; ++i)
            live(
                500ms, [](Side, const CanFrame&, Instant) {}, [](Instant) { std::this_thread::sleep_for(200us); });
        if (state() != GatewayState::run) throw std::runtime_error{"the loop does not reach RUN"};
        live(
            5s, [](Side, const CanFrame&, Instant) {}, [](Instant) { std::this_thread::sleep_for(200us); });
    }
    sim::SimulatedBattery& pack() { return *pack_; }
    // The newest frame of each id that the pack sent, its limits excepted.
    const std::vector<CanFrame>& newest() const { return newest_; }

private:
    void remember(const CanFrame& f)
    {
        if (f.id == 0x345) return;
        const auto old = std::find_if(newest_.begin(), newest_.end(), [&](const CanFrame& n) { return n.id == f.id; });
        if (old == newest_.end())
            newest_.push_back(f);
        else
            *old = f;
    }
    void end() { event_base_loopbreak(base_.get()); }
    std::vector<CanFrame> newest_;
    std::array<Pair, 2> pairs_;
    EventBase base_;
    ServiceManager service_;
    Channels channels_;
    Doorbell bell_;
    EventHandle stop_;
    std::unique_ptr<Gateway> gateway_;
    std::unique_ptr<sim::SimulatedBattery> pack_ = sim::make_battery("byd-atto3", {});
    std::unique_ptr<sim::SimulatedInverter> inverter_ = sim::make_inverter("byd-hvs", {});
    sim::Plant plant_{*pack_, *inverter_};
    Instant pack_wake_{}, inverter_wake_{};
    clockid_t cpu_{};
    std::atomic<bool> ready_{false};
    std::thread thread_;
};

void throughput()
{
    Loop loop;
    const auto frames = recorded_minute();
    constexpr std::uint64_t total = 500'000;
    constexpr double wanted = 100'000;
    const double cpu_before = loop.cpu();
    const auto begin = Clock::now();
    std::uint64_t refused = 0;
    for (std::uint64_t n = 0; n < total; ++n) {
        while (static_cast<double>(n) > seconds_since(begin) * wanted) {}
        if (!loop.send(n % 2 == 0 ? Side::battery : Side::inverter, frames[n % frames.size()])) ++refused;
    }
    const double took = seconds_since(begin);
    std::this_thread::sleep_for(500ms);
    const double cpu = loop.cpu() - cpu_before;
    row("loop and bridge over a socket pair, offered", fmt::format("{:.0f} frames/s", static_cast<double>(total) / took));
    row("... of which got in", fmt::format("{} of {} ({} refused by a full socket)", loop.received(), total, refused));
    row("... CPU per received frame", fmt::format("{:.2f} us", cpu * 1e6 / static_cast<double>(total)));
}

void latency()
{
    Loop loop;
    loop.to_full_power();
    // The limit falls by 0.1 kW about every 150 ms from 8.5 kW, again and again, amid 4,000 other frames a second on each bus.
    // The steps drift against the driver's 2 s cycle: in step with it, each fortieth would fall into the 5 ms kept after a cyclic
    // frame.
    std::vector<double> micros;
    std::optional<Instant> asked;
    std::int64_t last_limit = -1;  // -1: not known yet
    Instant next_step = monotonic_now() + 150ms, next_fill = monotonic_now();
    std::size_t fill = 0, missed = 0;
    auto next_interval = [n = 0]() mutable { return 150ms + 1370us * (n++ * 7 % 29); };
    constexpr int highest = 85, lowest = 10;
    int kilowatts10 = highest;
    loop.live(
        45s,
        [&](Side side, const CanFrame& f, Instant at) {
            if (side != Side::inverter || f.id != 0x110) return;
            const std::int64_t limit = f.data[4] << 8 | f.data[5];
            if (asked && limit < last_limit) {
                micros.push_back(static_cast<double>((at - *asked).count()));
                asked.reset();
            }
            last_limit = limit;
        },
        [&](Instant now) {
            if (now >= next_fill) {
                next_fill = std::max(next_fill + 250us, now - 5ms);
                loop.send(Side::inverter, {.id = 0x191, .len = 8});
                // The pack's own newest frames once more: a real mix, which all get decoded and judged, and nothing new in it.
                const auto& newest = loop.newest();
                if (!newest.empty()) loop.send(Side::battery, newest[fill++ % newest.size()]);
            }
            if (asked && now - *asked > 1s) {
                ++missed;
                asked.reset();
            }
            if (now < next_step || asked || last_limit < 0) return;
            next_step = now + next_interval();
            if (--kilowatts10 < lowest) {  // and up again: a rise goes with the cycle, so give it time
                kilowatts10 = highest;
                loop.pack().command("limit discharge 8.6");
                next_step = now + 5s;
                return;
            }
            loop.pack().command(fmt::format("limit discharge {:.1f}", kilowatts10 / 10.0));
            // The frame the simulator would send at its next turn, sent now: only the gateway is measured.
            CanFrame f{.id = 0x345, .len = 8};
            f.data = {static_cast<std::uint8_t>(kilowatts10), 0, 100, 0, 0xff, 0xe0, 0x01, 0};
            unsigned sum = 0;
            for (int i = 0; i < 7; ++i) sum += f.data[static_cast<std::size_t>(i)];
            f.data[7] = static_cast<std::uint8_t>(0xff - sum % 256);
            asked = monotonic_now();
            loop.send(Side::battery, f);
        });
    const auto p = percentiles(micros);
    row("battery frame with a lower limit to inverter frame, 4,000 frames/s on both buses",
        fmt::format(
            "p50 {:.0f} us, p99 {:.0f} us, max {:.0f} us ({} steps, {} missed)", p.p50, p.p99, p.max, micros.size(), missed));
}

// What the machine itself makes of a 50 ms period: a bare thread that only sleeps.
std::vector<double> bare_timer(const std::atomic<bool>& over)
{
    std::vector<double> gaps;
    timespec t{};
    ::clock_gettime(CLOCK_MONOTONIC, &t);
    for (std::optional<Instant> last; !over;) {
        t.tv_nsec += 50'000'000;
        if (t.tv_nsec >= 1'000'000'000) {
            t.tv_nsec -= 1'000'000'000;
            ++t.tv_sec;
        }
        ::clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, nullptr);
        const Instant now = monotonic_now();
        if (last) gaps.push_back(static_cast<double>((now - *last).count()) / 1000);
        last = now;
    }
    return gaps;
}

std::string rhythm(const std::vector<double>& gaps)
{
    double mean = 0, square = 0;
    for (const double g : gaps) mean += g;
    mean /= static_cast<double>(gaps.size());
    for (const double g : gaps) square += (g - mean) * (g - mean);
    return fmt::format("{:.3f} ms, standard deviation {:.3f} ms, max {:.2f} ms", mean,
        std::sqrt(square / static_cast<double>(gaps.size())), percentiles(gaps).max);
}

void real_traffic()
{
    Loop loop;
    loop.to_full_power();
    std::atomic<bool> over{false};
    std::vector<double> bare;
    std::thread bare_thread{[&] { bare = bare_timer(over); }};
    std::vector<double> gaps;
    std::optional<Instant> last;
    const double cpu_before = loop.cpu();
    const auto begin = Clock::now();
    loop.live(
        30s,
        [&](Side side, const CanFrame& f, Instant at) {
            if (side != Side::battery || f.id != 0x12d) return;
            if (last) gaps.push_back(static_cast<double>((at - *last).count()) / 1000);
            last = at;
        },
        [](Instant) {});
    const double cpu = (loop.cpu() - cpu_before) / seconds_since(begin);
    over = true;
    bare_thread.join();
    row("period of 0x12D (50 ms)", rhythm(gaps));
    row("... of a thread that only sleeps, at the same time", rhythm(bare));
    row("CPU at a real pack's traffic, bridge's thread", fmt::format("{:.2f} % of one core", cpu * 100));
}

// The installed program: time to READY, memory.
void program(const std::string& path)
{
    if (!std::filesystem::exists(path)) {
        row("exec to READY, memory, size", "missing: no program at " + path);
        return;
    }
    row("size of the program",
        fmt::format(
            "{:.2f} MB, {:.2f} MB with its debug information",
            [&] {
                const std::string command = fmt::format("strip -o /dev/shm/batgw-stripped {} 2>/dev/null", path);
                if (std::system(command.c_str()) != 0) return 0.0;
                const double size = static_cast<double>(std::filesystem::file_size("/dev/shm/batgw-stripped")) / 1e6;
                std::filesystem::remove("/dev/shm/batgw-stripped");
                return size;
            }(),
            static_cast<double>(std::filesystem::file_size(path)) / 1e6));

    char directory[] = "/tmp/batgw-bench-XXXXXX";
    if (::mkdtemp(directory) == nullptr) return;
    const std::string dir = directory;
    std::ofstream{dir + "/batgw.yaml"}
        << "battery: {protocol: byd-atto3, interface: can0, cells: 126, capacity_wh: 60480}\n"
           "inverter: {protocol: byd-hvs, interface: can1}\nmqtt: {host: 127.0.0.1, port: 1}\nstate_directory: "
        << dir << "\n";
    std::vector<double> millis;
    double resident_mb = 0;
    for (int i = 0; i < 20; ++i) {
        const Fd s{::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
        sockaddr_un a{};
        a.sun_family = AF_UNIX;
        const std::string notify = dir + "/notify";
        std::memcpy(a.sun_path, notify.c_str(), notify.size() + 1);
        ::unlink(notify.c_str());
        if (::bind(s.get(), reinterpret_cast<sockaddr*>(&a), sizeof a) != 0) return;
        ::setenv("NOTIFY_SOCKET", notify.c_str(), 1);
        const auto begin = Clock::now();
        pid_t pid = -1;
        const std::string file = dir + "/batgw.yaml";
        std::array<char*, 4> argv{const_cast<char*>("batgw"), const_cast<char*>("-f"), const_cast<char*>(file.c_str()), nullptr};
        posix_spawn_file_actions_t files;
        ::posix_spawn_file_actions_init(&files);
        ::posix_spawn_file_actions_addopen(&files, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
        const int error = ::posix_spawn(&pid, path.c_str(), &files, nullptr, argv.data(), environ);
        ::posix_spawn_file_actions_destroy(&files);
        if (error != 0) return row("exec to READY, memory", "missing: the program does not start");
        char text[256];
        while (true) {
            const auto n = ::recv(s.get(), text, sizeof text - 1, 0);
            if (n <= 0) break;
            text[n] = 0;
            if (std::strstr(text, "READY=1") != nullptr) break;
        }
        millis.push_back(seconds_since(begin) * 1000);
        if (i == 19) {
            std::this_thread::sleep_for(2s);
            std::ifstream status{fmt::format("/proc/{}/status", pid)};
            for (std::string line; std::getline(status, line);)
                if (line.starts_with("VmRSS:")) resident_mb = std::strtod(line.c_str() + 6, nullptr) / 1024;
        }
        ::kill(pid, SIGKILL);
        ::waitpid(pid, nullptr, 0);
    }
    const auto p = percentiles(millis);
    row("exec to READY (interfaces tried, first verdict; no CAN on this kernel)",
        fmt::format("p50 {:.1f} ms, max {:.1f} ms", p.p50, p.max));
    row("resident memory, MQTT and TLS linked, broker away", fmt::format("{:.1f} MB", resident_mb));
    std::filesystem::remove_all(dir);
}

}  // namespace
}  // namespace batgw::bench

// Without names all of them.
int main(int argc, char** argv)
{
    using namespace batgw::bench;
    const std::string gateway = (std::filesystem::path{argv[0]}.parent_path() / "batgw").string();
    const std::pair<std::string_view, std::function<void()>> parts[]{{"decode", decode}, {"encode", encode},
        {"step", bridge_step}, {"throughput", throughput}, {"latency", latency}, {"traffic", real_traffic},
        {"program", [&] { program(gateway); }}};
    const std::vector<std::string_view> wanted{argv + 1, argv + argc};
    const auto known = [&](std::string_view name) {
        return std::any_of(std::begin(parts), std::end(parts), [&](const auto& part) { return part.first == name; });
    };
    if (!std::all_of(wanted.begin(), wanted.end(), known)) {
        fmt::print(stderr, "bench: usage: batgw_bench [decode|encode|step|throughput|latency|traffic|program]...\n");
        return 2;
    }
    try {
        fmt::print("| what | figure |\n|---|---|\n");
        for (const auto& [name, part] : parts)
            if (wanted.empty() || std::find(wanted.begin(), wanted.end(), name) != wanted.end()) part();
    } catch (const std::exception& e) {
        fmt::print(stderr, "bench: {}\n", e.what());
        return 1;
    }
}
