// The loop itself: order of the start, watchdog, signals, full and flooded buses, time.
#include "tests/batgw/live_house.hpp"
#include "tests/support/sanitized.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <new>

// Counts what the watched thread allocates.
namespace {
thread_local bool watched = false;
std::atomic<std::uint64_t> allocations{0};

void count()
{
    if (watched) allocations.fetch_add(1, std::memory_order_relaxed);
}
}  // namespace

#ifdef BATGW_SANITIZED
// The sanitizers have these operators for themselves, and tell of every allocation who asks.
extern "C" int __sanitizer_install_malloc_and_free_hooks(
    void (*)(const volatile void*, std::size_t), void (*)(const volatile void*));
const int hooks =
    __sanitizer_install_malloc_and_free_hooks([](const volatile void*, std::size_t) { count(); }, [](const volatile void*) {});
#else
// noinline: else the compiler pairs `new` with `free` where it sees both, and warns.
[[gnu::noinline]] void* operator new(std::size_t size)
{
    count();
    if (void* p = std::malloc(size)) return p;
    throw std::bad_alloc{};
}
[[gnu::noinline]] void operator delete(void* p) noexcept { std::free(p); }
[[gnu::noinline]] void operator delete(void* p, std::size_t) noexcept { std::free(p); }
#endif

using namespace batgw;
using namespace batgw::test;

namespace {

bool zero(const CanFrame& f) { return discharge_limit(f) == 0 && charge_limit(f) == 0; }

// Coming to full power takes seconds: tests that leave everything as they found it share one house.
LiveHouse& running_house()
{
    static LiveHouse house;
    house.reach_run();
    return house;
}

// A bus that is not there, and for which that is not even known at first.
struct LateBus final : Bus {
    explicit LateBus(BusListener& l) : listener{l} {}
    Sent send(const CanFrame&) override { return Sent::down; }
    const BusStatus& status() const override { return state; }
    void first_try_is_over()
    {
        state.tried = true;
        listener.on_bus(monotonic_now());
    }
    BusListener& listener;
    BusStatus state;
};

struct LateBuses {
    std::array<LateBus*, 2> bus{};
    LiveHouse::Options options()
    {
        LiveHouse::Options o;
        o.simulate = false;
        o.open = [this](event_base*, Side side, BusListener& listener) {
            auto b = std::make_unique<LateBus>(listener);
            bus[static_cast<std::size_t>(side)] = b.get();
            return b;
        };
        return o;
    }
};

}  // namespace

// SAFE-250, SAFE-251
TEST_CASE("READY is said once both buses were tried, there or not, and the judge has judged")
{
    NotifySocket manager;
    LateBuses buses;
    LiveHouse house{buses.options()};
    CHECK_FALSE(manager.wait_for("READY=1", 300ms));
    house.ask([&](batgw::Gateway&) { return buses.bus[0]->first_try_is_over(), 0; });
    CHECK_FALSE(manager.wait_for("READY=1", 300ms));
    house.ask([&](batgw::Gateway&) { return buses.bus[1]->first_try_is_over(), 0; });
    CHECK(manager.wait_for("READY=1", 1000ms));
    const Snapshot s = house.look();
    CHECK(s.verdict.sequence > 0);
    CHECK(s.verdict.state == GatewayState::starting);
    CHECK(s.verdict.waiting == Waiting::bus);
    CHECK_FALSE(manager.wait_for("READY=1", 300ms));  // once
}

TEST_CASE("READY that found the service manager's queue full is said again")
{
    NotifySocket manager;
    ServiceManager other;  // stuffs the same queue
    for (int i = 0; i < 2000; ++i) other.status("stuffed");
    LateBuses buses;
    LiveHouse house{buses.options()};
    house.ask([&](batgw::Gateway&) { return buses.bus[0]->first_try_is_over(), buses.bus[1]->first_try_is_over(), 0; });
    std::this_thread::sleep_for(100ms);
    CHECK(manager.wait_for("READY=1", 2000ms));
}

// SAFE-047
TEST_CASE("events that find the way outside full go later, in order, none lost")
{
    LateBuses buses;
    LiveHouse house{buses.options()};
    const auto config = short_times("");
    for (int i = 0; i < 150; ++i) {  // each is an event, and nobody takes any
        while (!house.channels.configs.push(config)) std::this_thread::yield();
        house.channels.bridge.ring();
    }
    std::this_thread::sleep_for(200ms);
    std::uint64_t last = 0, reloads = 0;
    Event e;
    for (const Instant end = monotonic_now() + 2s; monotonic_now() < end; std::this_thread::sleep_for(5ms))
        while (house.channels.events.pop(e)) {
            CHECK(e.number == ++last);
            reloads += e.type == EventType::reload ? 1 : 0;
        }
    CHECK(reloads == 150);
}

// SAFE-211
TEST_CASE("the watchdog is fed once a second while the loop turns, and not while it is held up")
{
    NotifySocket manager;
    LateBuses buses;
    LiveHouse house{buses.options()};
    REQUIRE(manager.wait_for("WATCHDOG=1", 2000ms));
    std::this_thread::sleep_for(3500ms);
    const auto fed = manager.count("WATCHDOG=1");
    CHECK(fed >= 3);
    CHECK(fed <= 4);
    house.post([](batgw::Gateway&) { std::this_thread::sleep_for(2500ms); });
    std::this_thread::sleep_for(200ms);
    manager.read();
    std::this_thread::sleep_for(2000ms);
    CHECK(manager.count("WATCHDOG=1") == 0);
    CHECK(manager.wait_for("WATCHDOG=1", 3000ms));
}

// SAFE-211
TEST_CASE(
    "the watchdog asks whether the judge ran, without more than two gaps over 500 ms, and whether both ways out were looked at")
{
    const auto config = short_times("");
    Instant now{100s};
    Bridge bridge{*config, *find_battery_driver("byd-atto3"), *find_inverter_driver("byd-hvs"), now, {}};
    CHECK_FALSE(bridge.healthy_since_asked());
    const auto run = [&](int times, Duration gap) {
        for (int i = 0; i < times; ++i) bridge.run(now += gap);
        bridge.next_frame(Side::battery, now);
        bridge.next_frame(Side::inverter, now);
    };
    run(10, 100ms);
    CHECK(bridge.healthy_since_asked());
    CHECK_FALSE(bridge.healthy_since_asked());  // not judged since
    run(2, 501ms);
    CHECK(bridge.healthy_since_asked());
    run(3, 500ms);
    CHECK(bridge.healthy_since_asked());
    run(3, 501ms);
    CHECK_FALSE(bridge.healthy_since_asked());
    run(10, 100ms);
    CHECK(bridge.healthy_since_asked());
    for (const Side side : {Side::battery, Side::inverter}) {
        for (int i = 0; i < 10; ++i) bridge.run(now += 100ms);
        bridge.next_frame(side, now);
        CHECK_FALSE(bridge.healthy_since_asked());  // the other one's frames would wait for ever
    }
    run(10, 100ms);
    CHECK(bridge.healthy_since_asked());
}

// SAFE-263
TEST_CASE("after a full transmit queue the first frame that gets out is of now, and soon")
{
    LiveHouse& house = running_house();
    house.deafen(Side::inverter, true);
    const auto no_buffer = house.look().buses[1].status.counters.no_buffer;
    REQUIRE(house.stuff(Side::inverter) > 0);
    house.pack("limit discharge 4");  // a frame out of the cycle that does not get out
    REQUIRE(house.until([&](const Snapshot& s) { return s.buses[1].status.counters.no_buffer > no_buffer; }, 2s));
    house.pack("limit discharge 3");
    std::this_thread::sleep_for(300ms);
    const Instant freed = monotonic_now();
    house.deafen(Side::inverter, false);
    const auto at = house.wait_sent(
        Side::inverter, 0x110, freed - 1ms, [](const CanFrame&) { return true; }, 1s);
    REQUIRE(at);
    CHECK(*at - freed < 500ms);
    const auto frames = house.sent(Side::inverter, 0x110, freed - 1ms);
    CHECK(discharge_limit(frames.front().frame) > 0);
    CHECK(discharge_limit(frames.front().frame) <= 3000 / 38);  // 3 kW at over 380 V, in tenths of an ampere
    CHECK(house.look().verdict.state != GatewayState::block);
    house.pack("limit discharge off");
}

TEST_CASE("100,000 foreign frames on the inverter's bus hold up neither the battery's frames nor the loop's timer")
{
    LiveHouse& house = running_house();
    const Snapshot before = house.look();
    const Instant begin = monotonic_now();
    CanFrame foreign{.id = 0x7f0, .len = 8};
    bool all = true;
    for (unsigned i = 0; i < 100'000 && all; ++i) {
        foreign.data[0] = static_cast<std::uint8_t>(i);
        all = house.send(Side::inverter, foreign);
    }
    const Instant end = monotonic_now();
    REQUIRE(all);
    std::this_thread::sleep_for(200ms);
    const Snapshot after = house.look();
    const Gaps gaps = house.gaps(Side::battery, 0x12d, begin - 200ms);
    MESSAGE("100,000 frames in ", static_cast<double>((end - begin).count()) / 1e6, " s; 0x12D every ", gaps.p50, " ms, 99 % ",
        gaps.p99, " ms, longest ", gaps.max, " ms");
    CHECK(after.buses[1].status.counters.received >= before.buses[1].status.counters.received + 100'000);
    CHECK(after.buses[1].status.counters.queue_drops == 0);
    CHECK(after.buses[0].status.counters.late == before.buses[0].status.counters.late);
    CHECK(gaps.max < 500);
    CHECK(after.verdict.state == GatewayState::run);
    CHECK(after.now - after.verdict.at <= 200ms);
}

// SAFE-193: the loop's part. 20,000 commands a second are far more than the other thread lets through.
TEST_CASE("cyclic frames go on while commands flood in, and every command is answered")
{
    LiveHouse& house = running_house();
    const Instant begin = monotonic_now();
    std::uint64_t asked = 0, answered = 0;
    CommandResult result;
    while (monotonic_now() - begin < 3s) {
        Command c;
        c.kind = asked % 2 == 0 ? CommandKind::ping : CommandKind::discharge;
        c.on = true;
        c.received = monotonic_now();
        c.ticket = asked + 1;
        if (house.channels.commands.push(c)) ++asked;
        house.channels.bridge.ring();
        while (house.channels.results.pop(result)) CHECK(result.ticket == ++answered);
        if (asked % 20 == 0) std::this_thread::sleep_for(1ms);
    }
    for (const Instant end = monotonic_now() + 10s; answered < asked && monotonic_now() < end; std::this_thread::sleep_for(1ms))
        while (house.channels.results.pop(result)) CHECK(result.ticket == ++answered);
    CHECK(asked > 1000);
    CHECK(answered == asked);
    const Gaps gaps = house.gaps(Side::battery, 0x12d, begin);
    MESSAGE(asked, " commands; 0x12D every ", gaps.p50, " ms, 99 % ", gaps.p99, " ms, longest ", gaps.max, " ms");
    CHECK(gaps.count > 40);
    CHECK(gaps.max < 500);
    CHECK(house.look().verdict.state == GatewayState::run);
}

TEST_CASE("the loop's thread allocates nothing once it runs, whatever comes: frames, commands, faults")
{
    LiveHouse& house = running_house();
    const Snapshot before = house.look();
    house.ask([](batgw::Gateway&) { return watched = true; });
    house.ask([](batgw::Gateway&) { return std::string(100, 'x').size(); });
    CHECK(allocations > 0);  // it does count
    const std::uint64_t counted = allocations;
    Command c;
    c.kind = CommandKind::max_charge;
    for (int i = 0; i < 60; ++i) {
        c.charge_power = Power::from_milli(1'000'000 + i * 1000);
        c.ticket = static_cast<std::uint64_t>(i) + 1;
        c.received = monotonic_now();
        house.channels.commands.push(c);
        house.channels.bridge.ring();
        CommandResult result;
        while (house.channels.results.pop(result)) CHECK(result.code == CommandCode::ok);
        house.send(Side::battery, {.id = 0x7f0, .len = 8});
        if (i == 20) house.pack("corrupt 345 on");
        if (i == 40) house.pack("corrupt 345 off");
        std::this_thread::sleep_for(50ms);
    }
    const std::uint64_t made = allocations - counted;
    house.ask([](batgw::Gateway&) { return watched = false; });
    const Snapshot after = house.look();
    CHECK(after.buses[0].status.counters.received > before.buses[0].status.counters.received + 200);
    CHECK(after.buses[0].status.counters.sent > before.buses[0].status.counters.sent + 50);
    CHECK(after.transitions > before.transitions);
    CHECK(made == 0);
}

// SAFE-232
TEST_CASE("frames that were queued while the loop stood still are not taken for fresh ones")
{
    LiveHouse& house = running_house();
    house.pause(true);
    std::this_thread::sleep_for(100ms);
    REQUIRE(house.send(Side::battery, pack_limits(70, 70)));
    std::this_thread::sleep_for(50ms);
    const Snapshot before = house.look();
    REQUIRE(before.battery.discharge_limit.last() == 7_kW);

    house.post([](batgw::Gateway&) { std::this_thread::sleep_for(1s); });
    std::this_thread::sleep_for(100ms);
    REQUIRE(house.send(Side::battery, pack_limits(60, 60)));  // will be 900 ms old when it is read
    std::this_thread::sleep_for(750ms);
    REQUIRE(house.send(Side::battery, {.id = 0x345, .len = 8}));  // 150 ms: in time, but its checksum is wrong
    std::this_thread::sleep_for(400ms);
    const Snapshot after = house.look();
    CHECK(after.buses[0].status.counters.late == before.buses[0].status.counters.late + 1);
    CHECK(after.buses[0].traffic.heard[static_cast<std::size_t>(Heard::bad_checksum)] ==
        before.buses[0].traffic.heard[static_cast<std::size_t>(Heard::bad_checksum)] + 1);
    CHECK(after.battery.discharge_limit.last() == 7_kW);
    CHECK(after.battery.discharge_limit.at() == before.battery.discharge_limit.at());
    CHECK(std::any_of(after.verdict.faults.begin(), after.verdict.faults.end(),
        [](const ActiveFault& f) { return f.id == FaultId::loop_stall; }));  // SAFE-004

    REQUIRE(house.send(Side::battery, pack_limits(60, 60)));
    std::this_thread::sleep_for(50ms);
    CHECK(house.look().battery.discharge_limit.last() == 6_kW);
    house.pause(false);
}

// SAFE-231
TEST_CASE("a machine that slept for more than two seconds believes nothing of before; a shorter stop is none")
{
    std::atomic<std::int64_t> slept_ms{3'600'000};  // before the start: nobody's business
    LiveHouse::Options options;
    options.suspended = [&] { return std::chrono::milliseconds{slept_ms}; };
    LiveHouse house{options};
    house.reach_run();
    const auto stale = [](const Snapshot& s) {
        return s.verdict.charge.is_zero() && s.verdict.discharge.is_zero() &&
            std::any_of(s.verdict.faults.begin(), s.verdict.faults.end(),
                [](const ActiveFault& f) { return f.id == FaultId::sig_stale && f.detail == "voltage"; });
    };
    slept_ms += 2000;
    std::this_thread::sleep_for(500ms);
    CHECK(house.look().verdict.state == GatewayState::run);
    slept_ms += 2001;
    CHECK(house.until(stale, 300ms));
    house.reach_run();
}

// SAFE-217
TEST_CASE("SIGTERM: zero limits, then open contactors, then the end; the service manager hears of it")
{
    NotifySocket manager;
    LiveHouse::Options options;
    options.signals = true;
    LiveHouse house{options};
    house.reach_run();
    REQUIRE(house.connection() == sim::Connection::closed);
    const Instant asked = monotonic_now();
    ::kill(::getpid(), SIGTERM);
    const auto told = house.wait_sent(Side::inverter, 0x110, asked, zero, 1s);
    REQUIRE(told);
    CHECK(*told - asked <= 100ms);
    REQUIRE(house.wait_stopped(25s));
    MESSAGE("stopped ", static_cast<double>((monotonic_now() - asked).count()) / 1e6, " s after the signal");
    CHECK(monotonic_now() - asked <= 25s);
    CHECK(house.connection() == sim::Connection::open);
    for (const auto& f : house.sent(Side::inverter, 0x110, *told)) CHECK(zero(f.frame));
    CHECK(manager.count("STOPPING=1") == 1);
}

// SAFE-217
TEST_CASE("a second SIGTERM does not wait for a current that will not end")
{
    LiveHouse::Options options;
    options.signals = true;
    LiveHouse house{options};
    house.reach_run();
    house.inverter("power -3000");
    house.inverter("ignore on");
    REQUIRE(house.until(
        [](const Snapshot& s) { return s.battery.current.last().value_or(Current{}) < Current::from_milli(-4000); }, 10s));
    const Instant asked = monotonic_now();
    ::kill(::getpid(), SIGTERM);
    CHECK_FALSE(house.wait_stopped(3s));
    CHECK(house.look().verdict.state == GatewayState::shutdown);
    CHECK(house.connection() == sim::Connection::closed);
    const Instant again = monotonic_now();
    ::kill(::getpid(), SIGTERM);
    REQUIRE(house.wait_stopped(10s));
    MESSAGE("stopped ", static_cast<double>((monotonic_now() - again).count()) / 1e6, " s after the second signal, ",
        static_cast<double>((monotonic_now() - asked).count()) / 1e6, " s after the first");
    CHECK(monotonic_now() - again < 5s);
    for (const auto& f : house.sent(Side::inverter, 0x110, again)) CHECK(zero(f.frame));
}
