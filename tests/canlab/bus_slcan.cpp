// The bus on the kernel's serial-line CAN driver, whose adapter is played here: all states, errors and traffic of a real
// controller.
#include "bus/link.hpp"
#include "tests/canlab/canlab_fixture.hpp"

#include <array>
#include <atomic>
#include <mutex>

#include <fcntl.h>
#include <sys/ioctl.h>
#include <termios.h>

using namespace batgw;
using namespace batgw::test;

namespace {

// An adapter at a serial port. While `reads` is off it takes nothing, as a controller that gets no acknowledge.
class Adapter {
public:
    Adapter() : master_{::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC)}
    {
        REQUIRE(master_);
        REQUIRE(::grantpt(master_.get()) == 0);
        REQUIRE(::unlockpt(master_.get()) == 0);
        std::array<char, 64> name{};
        REQUIRE(::ptsname_r(master_.get(), name.data(), name.size()) == 0);
        port_ = Fd{::open(name.data(), O_RDWR | O_NOCTTY | O_CLOEXEC)};
        termios settings{};
        REQUIRE(::tcgetattr(port_.get(), &settings) == 0);
        ::cfmakeraw(&settings);
        REQUIRE(::tcsetattr(port_.get(), TCSANOW, &settings) == 0);
        int slcan = 17;  // N_SLCAN
        REQUIRE(::ioctl(port_.get(), TIOCSETD, &slcan) == 0);
        ::fcntl(master_.get(), F_SETFL, O_NONBLOCK);
        reader_ = std::thread{[this] { run(); }};
    }
    ~Adapter()
    {
        end_ = true;
        reader_.join();
    }
    Adapter(const Adapter&) = delete;
    Adapter& operator=(const Adapter&) = delete;

    void says(const std::string& text) const
    {
        REQUIRE(::write(master_.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()));
    }
    std::string got() const
    {
        const std::lock_guard lock{mutex_};
        return got_;
    }
    void forget()
    {
        const std::lock_guard lock{mutex_};
        got_.clear();
    }
    std::atomic<bool> reads{true};

private:
    void run()
    {
        std::array<char, 512> room{};
        while (!end_) {
            pollfd p{master_.get(), static_cast<short>(reads ? POLLIN : 0), 0};
            if (::poll(&p, 1, 20) <= 0 || !reads) continue;
            const ssize_t size = ::read(master_.get(), room.data(), room.size());
            const std::lock_guard lock{mutex_};
            if (size > 0) got_.append(room.data(), static_cast<std::size_t>(size));
        }
    }
    Fd master_, port_;
    mutable std::mutex mutex_;
    std::string got_;
    std::atomic<bool> end_{false};
    std::thread reader_;
};

}  // namespace

TEST_SUITE_BEGIN("slcan");

TEST_CASE("frames, warning, error-passive and error counters of a driver reach the bus")
{
    // SAFE-261
    Adapter adapter;
    Loop loop;
    UnderTest t{loop, all_of("can2", 500000)};
    REQUIRE(t.becomes(BusState::active));
    CHECK(t.bus->status().bitrate == 500000);
    adapter.says("t3513010203\r");
    REQUIRE(t.hears(1));
    CHECK(t.listener.heard[0].frame == frame(0x351, {1, 2, 3}));
    CHECK(t.bus->send(frame(0x110, {0xaa})) == Sent::yes);
    CHECK(loop.run_until([&] { return adapter.got().find("t1101AA\r") != std::string::npos; }));
    adapter.says("sw000100\r");
    REQUIRE(t.becomes(BusState::warning));
    adapter.says("sp000130\r");
    REQUIRE(t.becomes(BusState::passive));
    CHECK(t.bus->status().tx_errors == 130);
    CHECK(t.bus->send(frame(0x110, {0xab})) == Sent::yes);
    adapter.says("sa000005\r");
    REQUIRE(t.becomes(BusState::active));
    CHECK(t.counters().error_warning == 1);
    CHECK(t.counters().error_passive == 1);
}

TEST_CASE(
    "bus-off is seen at once, left by down and up where the driver knows no restart, and the first frame afterwards is current")
{
    // SAFE-262
    Adapter adapter;
    Loop loop;
    UnderTest t{loop, all_of("can2", 500000)};
    REQUIRE(t.becomes(BusState::active));
    CHECK(t.bus->send(frame(0x110, {1})) == Sent::yes);
    REQUIRE(loop.run_until([&] { return adapter.got().find("t110101\r") != std::string::npos; }));
    adapter.forget();

    const Instant begin = monotonic_now();
    adapter.says("sb000255\r");
    REQUIRE(t.becomes(BusState::bus_off));
    CHECK(t.bus->send(frame(0x110, {2})) == Sent::down);
    REQUIRE(loop.run_until([&] { return t.bus->status().state == BusState::active; }));
    const Duration took = monotonic_now() - begin;
    MESSAGE("bus-off to active: ", ms(took), " ms");
    CHECK(took >= 100ms);
    CHECK(took < 1s);
    CHECK(t.counters().bus_off == 1);
    CHECK(t.counters().restarts == 1);
    CHECK(t.bus->send(frame(0x110, {3})) == Sent::yes);
    REQUIRE(loop.run_until([&] { return adapter.got().find("t110103\r") != std::string::npos; }));
    CHECK(adapter.got().find("t110102\r") == std::string::npos);
    CHECK(t.log.count("cannot") == 0);

    // The second one waits twice as long.
    const Instant again = monotonic_now();
    adapter.says("sb000255\r");
    REQUIRE(t.becomes(BusState::bus_off));
    REQUIRE(t.becomes(BusState::active));
    MESSAGE("the second time: ", ms(monotonic_now() - again), " ms");
    CHECK(monotonic_now() - again >= 200ms);
    CHECK(t.counters().bus_off == 2);
}

TEST_CASE("frames stuck in the interface at bus-off are not sent after it")
{
    // SAFE-262
    Adapter adapter;
    Loop loop;
    UnderTest t{loop, all_of("can2", 500000)};
    REQUIRE(t.becomes(BusState::active));
    adapter.reads = false;
    std::this_thread::sleep_for(50ms);
    unsigned stuck = 0;
    while (stuck < 40 && t.bus->send(frame(0x120, {static_cast<std::uint8_t>(stuck)})) == Sent::yes) ++stuck;
    adapter.says("sb000255\r");
    REQUIRE(t.becomes(BusState::bus_off));
    // Only what had left the interface for the adapter's line before bus-off may still be read there.
    std::this_thread::sleep_for(50ms);
    adapter.reads = true;
    REQUIRE(t.becomes(BusState::active));
    adapter.forget();
    CHECK(t.bus->send(frame(0x110, {3})) == Sent::yes);
    REQUIRE(loop.run_until([&] { return adapter.got().find("t110103\r") != std::string::npos; }));
    CHECK(adapter.got().find("t120") == std::string::npos);
}

TEST_CASE("a controller that takes nothing refuses after a handful of frames; after release these come out, and nothing later "
          "than them")
{
    // SAFE-263
    Adapter adapter;
    Loop loop;
    UnderTest t{loop, all_of("can2", 500000)};
    REQUIRE(t.becomes(BusState::active));
    const auto link = bus::Netlink{}.read("can2");
    REQUIRE(link);
    CHECK(link->queue_length >= bus::queue_shortest);
    CHECK(link->queue_length <= bus::queue_longest);
    adapter.reads = false;
    std::this_thread::sleep_for(50ms);
    adapter.forget();
    unsigned taken = 0;
    while (taken < 200 && t.bus->send(frame(0x130, {static_cast<std::uint8_t>(taken)})) == Sent::yes) ++taken;
    MESSAGE(taken, " frames taken by socket, interface queue of ", link->queue_length, ", and line");
    CHECK(taken >= 2);
    CHECK(taken <= 12);
    CHECK(t.bus->send(frame(0x131, {1})) == Sent::full);
    CHECK(t.counters().no_buffer == 2);
    CHECK(t.bus->status().state == BusState::active);
    adapter.reads = true;
    REQUIRE(loop.run_until([&] { return t.bus->send(frame(0x132, {1})) == Sent::yes; }));
    REQUIRE(loop.run_until([&] { return adapter.got().find("t132101\r") != std::string::npos; }));
    const std::string got = adapter.got();
    CHECK(got.find("t131") == std::string::npos);
    unsigned came = 0;
    for (std::size_t at = got.find("t130"); at != std::string::npos; at = got.find("t130", at + 1)) ++came;
    CHECK(came == taken);
}

TEST_CASE("an interface queue that another program filled refuses ours too, until there is room")
{
    // SAFE-263
    Adapter adapter;
    Loop loop;
    UnderTest t{loop, all_of("can2", 500000)};
    REQUIRE(t.becomes(BusState::active));
    adapter.reads = false;
    std::this_thread::sleep_for(50ms);
    const Peer greedy{"can2"};
    unsigned theirs = 0;
    while (theirs < 200 && greedy.send(raw(0x140, {1}))) ++theirs;
    CHECK(errno == ENOBUFS);
    CHECK(theirs < 200);
    for (int i = 0; i < 3; ++i) CHECK(t.bus->send(frame(0x141, {1})) == Sent::full);
    CHECK(t.counters().no_buffer == 3);
    CHECK(t.counters().sent == 0);
    CHECK(t.bus->status().state == BusState::active);
    adapter.reads = true;
    REQUIRE(loop.run_until([&] { return t.bus->send(frame(0x142, {1})) == Sent::yes; }));
    REQUIRE(loop.run_until([&] { return adapter.got().find("t142101\r") != std::string::npos; }));
    CHECK(adapter.got().find("t141") == std::string::npos);
}

TEST_CASE("an adapter that is unplugged is missing, and used again when it is back")
{
    // SAFE-251
    Loop loop;
    std::optional<UnderTest> t;
    {
        const Adapter adapter;
        t.emplace(loop, all_of("can2", 500000));
        REQUIRE(t->becomes(BusState::active));
    }
    REQUIRE(t->becomes(BusState::missing));
    Adapter adapter;
    REQUIRE(t->becomes(BusState::active));
    CHECK(t->bus->send(frame(0x110, {1})) == Sent::yes);
    CHECK(loop.run_until([&] { return adapter.got().find("t110101\r") != std::string::npos; }));
}

TEST_SUITE_END();
