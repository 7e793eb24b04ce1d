// The bus on the kernel's SJA1000 driver whose chip is a file: the driver's own error states, bus-off, restart and restart-ms. No
// traffic.
#include "bus/link.hpp"
#include "bus/restart_backoff.hpp"
#include "tests/canlab/canlab_fixture.hpp"

#include <filesystem>
#include <fstream>

#include <fcntl.h>

using namespace batgw;
using namespace batgw::test;

namespace {

std::string first_line(const std::filesystem::path& file, int skip = 0)
{
    std::ifstream in{file};
    std::string text;
    for (int i = 0; i <= skip; ++i) std::getline(in, text);
    return text;
}

// Registers of the chip, and how it interrupts: can0's line is shared, so a frame on can0 makes the driver look.
class Chip {
public:
    Chip()
    {
        if (if_nametoindex("can2") == 0) load();
        registers_ = Fd{::open("chip", O_RDWR | O_CLOEXEC)};
        REQUIRE(registers_);
        quiet();
        can0_.emplace("can0");
    }
    void interrupt(std::uint8_t status, std::uint8_t reason, std::uint8_t rx_errors, std::uint8_t tx_errors) const
    {
        put(14, rx_errors, tx_errors);
        put(2, status, reason);
        REQUIRE(can0_->send(raw(0, {})));
        std::this_thread::sleep_for(40ms);
        quiet();
    }
    void warning() const { interrupt(0x4c, 0x04, 0, 100); }
    void bus_off() const { interrupt(0x8c, 0x04, 0, 255); }

private:
    static void load()
    {
        for (const auto& device : std::filesystem::directory_iterator{"/sys/bus/pci/devices"}) {
            if (first_line(device.path() / "device") != "0x1110") continue;
            std::ofstream{device.path() / "enable"} << "1";
            const std::string resource = first_line(device.path() / "resource", 2);
            const std::string irq = first_line("/sys/class/net/can0/device/irq");
            sh("busybox insmod $CANLAB_MODULES/sja1000_isa.ko mem=" + resource.substr(0, resource.find(' ')) + " irq=" + irq);
        }
        REQUIRE(if_nametoindex("can2") != 0);
    }
    void put(off_t at, std::uint8_t a, std::uint8_t b) const
    {
        const std::uint8_t bytes[2]{a, b};
        REQUIRE(::pwrite(registers_.get(), bytes, 2, at) == 2);
    }
    void quiet() const { put(2, 0x0c, 0x00); }

    Fd registers_;
    std::optional<Peer> can0_;
};

}  // namespace

TEST_SUITE_BEGIN("busoff");

TEST_CASE("warning and bus-off of the driver are seen, and the driver's repeats count once")
{
    // SAFE-261
    Chip chip;
    Loop loop;
    UnderTest t{loop, all_of("can2", 500000)};
    REQUIRE(t.becomes(BusState::active));
    chip.warning();
    REQUIRE(t.becomes(BusState::warning));
    CHECK(t.bus->status().tx_errors == 100);
    loop.settle();
    CHECK(t.counters().error_warning == 1);
    chip.bus_off();
    REQUIRE(t.becomes(BusState::bus_off));
    CHECK(t.counters().bus_off == 1);
    REQUIRE(t.becomes(BusState::active));
}

TEST_CASE("after bus-off the controller is restarted by batgw, waiting 0.1 s and then twice as long each time")
{
    // SAFE-262
    Chip chip;
    Loop loop;
    UnderTest t{loop, all_of("can2", 500000)};
    REQUIRE(t.becomes(BusState::active));
    for (int round = 0; round < 4; ++round) {
        const Duration wait = bus::RestartBackoff::first * (1 << round);
        chip.bus_off();
        REQUIRE(t.becomes(BusState::bus_off));
        const Instant seen = monotonic_now();
        CHECK(t.bus->send(frame(0x110, {1})) == Sent::down);
        REQUIRE(t.becomes(BusState::active));
        const Duration took = monotonic_now() - seen;
        MESSAGE("round ", round, ": restarted after ", ms(took), " ms");
        CHECK(took >= wait - 10ms);
        CHECK(took < wait + 400ms);
    }
    CHECK(t.counters().bus_off == 4);
    CHECK(t.counters().restarts == 4);
    CHECK(t.log.count("bus-off; restarting; check wiring, termination and bit rate") == 4);
    const auto loud = std::count_if(t.log.all.begin(), t.log.all.end(),
        [](const auto& l) { return l.level != BusLog::Level::debug && l.text.find("bus-off;") != std::string::npos; });
    CHECK(loud == 1);
}

TEST_CASE("without CAP_NET_ADMIN the kernel's restart-ms does it, and the start says so")
{
    // SAFE-262
    Chip chip;
    sh("ip link set can2 down && ip link set can2 up type can bitrate 500000 restart-ms 300");
    Loop loop;
    std::optional<UnderTest> t;
    {
        const WithoutPermission poor;
        t.emplace(loop, all_of("can2"));
    }
    REQUIRE(t->becomes(BusState::active));
    CHECK(t->log.count("can2: open, 500000 bit/s, restarted by the kernel 300 ms after bus-off") == 1);
    chip.bus_off();
    REQUIRE(t->becomes(BusState::bus_off));
    REQUIRE(t->becomes(BusState::active));
    CHECK(t->counters().restarts == 1);
    CHECK(t->log.count("bus-off; the kernel restarts it") == 1);
}

TEST_CASE(
    "where nobody restarts, the start warns and bus-off is an error that says what is missing; a restart by hand is noticed")
{
    // SAFE-262
    Chip chip;
    sh("ip link set can2 down && ip link set can2 up type can bitrate 500000 restart-ms 0");
    Loop loop;
    std::optional<UnderTest> t;
    {
        const WithoutPermission poor;
        t.emplace(loop, all_of("can2"));
        REQUIRE(t->becomes(BusState::active));
    }
    CHECK(t->log.count("NOT restarted after bus-off (no CAP_NET_ADMIN, restart-ms 0)") == 1);
    CHECK(t->log.all.front().level == BusLog::Level::warn);
    chip.bus_off();
    REQUIRE(t->becomes(BusState::bus_off));
    loop.run_until([] { return false; }, 2500ms);
    CHECK(t->bus->status().state == BusState::bus_off);
    CHECK(t->log.count("bus-off, and nothing restarts it") == 1);
    sh("ip link set can2 type can restart");
    REQUIRE(t->becomes(BusState::active));
}

TEST_SUITE_END();
