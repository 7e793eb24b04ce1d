// A judge that contradicts itself ends the program, at once and audibly.
#include "batgw/gateway.hpp"
#include "batgw/outside.hpp"
#include "battery/registry.hpp"
#include "bus/bus.hpp"
#include "conf/load.hpp"
#include "inverter/registry.hpp"
#include "tests/batgw/program.hpp"

#include <doctest/doctest.h>

#include <csignal>
#include <memory>

#include <sys/resource.h>

using namespace batgw;
using batgw::test::Folder;
using namespace std::chrono_literals;

namespace {

// A bus whose clock runs ahead, once: the next true moment is in the judge's past.
struct LyingBus final : Bus {
    explicit LyingBus(BusListener& l) : listener{l} { state.tried = true; }
    Sent send(const CanFrame&) override { return Sent::yes; }
    const BusStatus& status() const override { return state; }
    BusListener& listener;
    BusStatus state;
};

// In a process of its own: what becomes of it.
[[noreturn]] void run_and_lie(const std::string& log)
{
    constexpr rlimit no_core{0, 0};
    ::setrlimit(RLIMIT_CORE, &no_core);
    for (const int s : {SIGABRT, SIGSEGV, SIGFPE, SIGILL, SIGTERM, SIGINT}) std::signal(s, SIG_DFL);  // the test runner's
    ::dup2(::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600), 2);
    Loaded loaded = load("battery: {protocol: byd-atto3, interface: can0, cells: 126, capacity_wh: 60480}\n"
                         "inverter: {protocol: byd-hvs, interface: can1}\n",
        "test.yaml", {.batteries = battery_drivers(), .inverters = inverter_drivers()}, Definitions{});
    const auto config = std::make_shared<const Config>(std::move(*loaded.config));
    const EventBase base{event_base_new()};
    Channels channels;
    ServiceManager service;
    LyingBus* liar = nullptr;
    Gateway gateway{base.get(),
        {.config = config,
            .battery = find_battery_driver("byd-atto3"),
            .inverter = find_inverter_driver("byd-hvs"),
            .restored = {},
            .service = &service,
            .open = [&](Side, const BusSpec&, BusListener& listener) -> std::unique_ptr<Bus> {
                auto bus = std::make_unique<LyingBus>(listener);
                liar = bus.get();
                return bus;
            },
            .handle_signals = false},
        channels};
    const Outside outside{channels,
        {.config = config,
            .battery = find_battery_driver("byd-atto3"),
            .inverter = find_inverter_driver("byd-hvs"),
            .read_again = {},
            .service = &service,
            .keep_state = false}};
    const timeval soon{0, 300'000};
    event_base_once(
        base.get(), -1, EV_TIMEOUT,
        [](evutil_socket_t, short, void* bus) noexcept { static_cast<LyingBus*>(bus)->listener.on_bus(monotonic_now() + 3s); },
        liar, &soon);
    gateway.run();
    ::_exit(0);
}

}  // namespace

TEST_CASE("a judge that finds itself in contradiction aborts the program and says why")
{
    // SAFE-219
    const Folder folder;
    const auto began = std::chrono::steady_clock::now();
    const pid_t child = ::fork();
    if (child == 0) run_and_lie(folder.file("log"));
    int status = 0;
    pid_t ended = 0;
    while ((ended = ::waitpid(child, &status, WNOHANG)) == 0 && std::chrono::steady_clock::now() - began < 10s)
        std::this_thread::sleep_for(10ms);
    if (ended == 0) {
        ::kill(child, SIGKILL);
        ::waitpid(child, &status, 0);
    }
    REQUIRE(ended == child);
    CHECK(WIFSIGNALED(status));
    CHECK(WTERMSIG(status) == SIGABRT);
    const auto took = std::chrono::steady_clock::now() - began;
    CHECK(took >= 500ms);  // what is zero had time to go out
    CHECK(took < 5s);
    CHECK(folder.read("log").find("internal contradiction: time went back; giving up") != std::string::npos);
}
