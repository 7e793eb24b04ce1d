// Simulated devices on the far ends of ports that the gateway's own code opens.
#include "batgw/sim_port.hpp"

#include "bus/event.hpp"
#include "tests/batgw/program.hpp"

#include <doctest/doctest.h>

#include <vector>

using namespace batgw;
using namespace batgw::test;

namespace {

struct Lines final : BusLog {
    void line(Level, std::string_view) override {}
};

struct Listener final : BusListener {
    void on_frame(const CanFrame& f, Instant, Instant) override { frames.push_back(f); }
    void on_bytes(std::span<const std::uint8_t> some, Instant, Instant) override
    {
        bytes.insert(bytes.end(), some.begin(), some.end());
    }
    void on_bus(Instant) override {}
    std::vector<CanFrame> frames;
    std::vector<std::uint8_t> bytes;
};

bool run_until(event_base* base, const std::function<bool()>& done)
{
    const Instant end = monotonic_now() + 5s;
    do event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
    while (!done() && monotonic_now() < end);
    return done();
}

SimPort::Device silent()
{
    return {.on_frame = [](const CanFrame&, Instant) {},
        .on_bytes = [](std::span<const std::uint8_t>, Instant) {},
        .on_tick = [](Instant now, Outbox&) { return now + 1s; }};
}

}  // namespace

TEST_CASE("a simulated battery on a serial line answers in telegrams over a pseudo-terminal")
{
    const Folder folder;
    const EventBase base{event_base_new()};
    Lines log;
    std::vector<std::uint8_t> asked;
    SimPort::Device device = silent();
    bool answer = false;  // the first time only
    device.on_bytes = [&](std::span<const std::uint8_t> bytes, Instant) {
        answer = answer || asked.empty();
        asked.insert(asked.end(), bytes.begin(), bytes.end());
    };
    device.on_tick = [&](Instant now, Outbox& out) {
        if (std::exchange(answer, false)) out.send(Telegram{.id = 1, .len = 2, .data = {7, 9}});
        return now + 1s;
    };
    const SimPort port{base.get(), "pty:" + folder.file("line"), SerialLine{}, device, log};
    Listener listener;
    const auto bus = open_bus(base.get(),
        {.interface = folder.file("line"), .bitrate = {}, .serial = SerialLine{}, .receives = {}, .sends = {}}, listener, log);
    REQUIRE(run_until(base.get(), [&] { return bus->status().state == BusState::active; }));
    const std::vector<std::uint8_t> question{1, 2, 3};
    // The far end looks for somebody every 20 ms.
    REQUIRE(run_until(base.get(), [&] { return asked.size() >= 3 || (bus->write(question), false); }));
    CHECK(run_until(base.get(), [&] { return listener.bytes == std::vector<std::uint8_t>{7, 9}; }));
}

TEST_CASE("a device is put only on what its protocol is spoken on")
{
    const Folder folder;
    const EventBase base{event_base_new()};
    Lines log;
    CHECK_THROWS_WITH(SimPort(base.get(), "pty:/x", std::nullopt, silent(), log),
        "pty:/x: this protocol is spoken on CAN, waveshare:pty:PATH or slcan:pty:PATH");
    CHECK_THROWS_WITH(SimPort(base.get(), "slcan:pty:/x", SerialLine{}, silent(), log),
        "slcan:pty:/x: this protocol is spoken on a serial line, pty:PATH");
    CHECK_THROWS_WITH(SimPort(base.get(), "can0", SerialLine{}, silent(), log), "can0 is no serial line");
    CHECK_THROWS_AS(SimPort(base.get(), "waveshare:pty:/no/such/folder/x", std::nullopt, silent(), log), std::runtime_error);
    // What is not a link to a pseudo-terminal is not replaced.
    const std::string file = folder.write("file", "precious");
    CHECK_THROWS_AS(SimPort(base.get(), "waveshare:pty:" + file, std::nullopt, silent(), log), std::runtime_error);
    CHECK(folder.read("file") == "precious");
}

TEST_CASE("the link of a simulated device is gone with it, and one that was left over is replaced")
{
    const Folder folder;
    const EventBase base{event_base_new()};
    Lines log;
    const std::string path = folder.file("can");
    std::filesystem::create_symlink("/dev/pts/99999", path);
    {
        const SimPort port{base.get(), "waveshare:pty:" + path, std::nullopt, silent(), log};
        CHECK(std::filesystem::read_symlink(path).string().starts_with("/dev/pts/"));
        CHECK(std::filesystem::exists(path));
    }
    CHECK_FALSE(std::filesystem::exists(std::filesystem::symlink_status(path)));
}
