// A serial line as a bus of bytes.
#include "bus/serial.hpp"

#include "tests/bus/line_fixture.hpp"

#include <thread>

#include <sys/file.h>

using namespace batgw;
using namespace batgw::test;

namespace {

class ByteListener : public Listener {
public:
    void on_bytes(std::span<const std::uint8_t> some, Instant received, Instant now) override
    {
        bytes.insert(bytes.end(), some.begin(), some.end());
        oldest = std::max(oldest, now - received);
        ++reads;
        if (on_some) on_some();
    }
    Bytes bytes;
    unsigned reads = 0;
    Duration oldest{};
    std::function<void()> on_some;
};

BusSpec spec_of(const std::string& path)
{
    return {.interface = path, .bitrate = {}, .serial = SerialLine{.baud = 9600}, .receives = {}, .sends = {}};
}

struct House {
    explicit House(const BusSpec& spec) : port{open_bus(loop.base, spec, listener, log)} {}
    bool until(const std::function<bool()>& done, Duration most = 5s) const { return loop.run_until(done, most); }
    bool active() const
    {
        return until([this] { return port->status().state == BusState::active; });
    }
    Loop loop;
    Lines log;
    ByteListener listener;
    std::unique_ptr<Bus> port;
};

const Bytes telegram = hex("A5 40 90 08 00 00 00 00 00 00 00 00 7D");

}  // namespace

TEST_CASE("bytes go both ways on a serial line, and are counted")
{
    TemporaryFolder folder;
    Terminal far{folder / "line"};
    House house{spec_of(folder / "line")};
    CHECK(house.port->write(telegram) == Sent::down);  // not open yet
    CHECK_FALSE(house.port->status().tried);
    REQUIRE(house.active());
    CHECK(house.port->status().tried);
    CHECK(house.port->status().name == folder / "line");
    CHECK(house.listener.turns > 0);
    CHECK(house.port->write(telegram) == Sent::yes);
    CHECK(far.read() == telegram);
    far.write(hex("A5 01 90 08"));
    REQUIRE(house.until([&] { return house.listener.bytes.size() == 4; }));
    CHECK(house.listener.bytes == hex("A5 01 90 08"));
    CHECK(house.port->status().counters.sent == 13);
    CHECK(house.port->status().counters.received == 4);
    CHECK(house.port->send(frame(1, {})) == Sent::down);
    CHECK(house.log.count("open: " + folder / "line" + " at 9600 baud") == 1);
}

TEST_CASE("observing writes nothing on a serial line")
{
    // SAFE-244
    TemporaryFolder folder;
    Terminal far{folder / "line"};
    BusSpec spec = spec_of(folder / "line");
    spec.listen_only = true;
    House house{spec};
    REQUIRE(house.active());
    CHECK(house.port->write(telegram) == Sent::down);
    house.loop.settle();
    CHECK(far.read().empty());
}

TEST_CASE("a line that is missing is looked for every second, and used when it is there")
{
    // SAFE-251
    TemporaryFolder folder;
    House house{spec_of(folder / "line")};
    REQUIRE(house.until([&] { return house.port->status().tried; }));
    CHECK(house.port->status().state == BusState::missing);
    CHECK(house.listener.turns == 1);
    const Terminal far{folder / "line"};
    const Instant before = monotonic_now();
    REQUIRE(house.active());
    CHECK(monotonic_now() - before < 1500ms);
    CHECK(house.log.count("there is no " + folder / "line") == 1);
}

TEST_CASE("a line that is in use is stopped, not missing, and ours when the other program ends")
{
    TemporaryFolder folder;
    const Terminal far{folder / "line"};
    Fd other{::open(far.near().c_str(), O_RDWR | O_NOCTTY | O_CLOEXEC)};
    REQUIRE(::flock(other.get(), LOCK_EX | LOCK_NB) == 0);
    House house{spec_of(folder / "line")};
    REQUIRE(house.until([&] { return house.port->status().tried; }));
    CHECK(house.port->status().state == BusState::stopped);
    CHECK(house.log.count("is in use by another program") == 1);
    const Instant later = monotonic_now() + 1200ms;
    house.until([&] { return monotonic_now() > later; });
    CHECK(house.log.count("is in use by another program") == 1);  // once
    other.reset();
    CHECK(house.active());
}

TEST_CASE("a line that is pulled is missing at once, for reader and writer, and its link is read anew")
{
    // SAFE-251
    TemporaryFolder folder;
    Terminal far{folder / "line"};
    House house{spec_of(folder / "line")};
    REQUIRE(house.active());
    const Terminal elsewhere{folder / "new"};
    far.unplug();
    const Sent sent = house.port->write(telegram);
    CHECK(sent == Sent::down);
    CHECK(house.port->status().state == BusState::active);  // never from inside write()
    house.loop.settle();
    CHECK(house.port->status().state == BusState::missing);
    CHECK(house.port->write(telegram) == Sent::down);
    std::filesystem::remove(folder / "line");
    std::filesystem::create_symlink(elsewhere.near(), folder / "line");
    REQUIRE(house.active());
    CHECK(house.port->write(telegram) == Sent::yes);
    CHECK(elsewhere.read() == telegram);
}

TEST_CASE("another process on the line: everything arrives in order, however it was cut and delayed")
{
    TemporaryFolder folder;
    constexpr std::size_t size = 20'000;
    FarProcess far{folder / "line", [](int line, int told) {
                       const Bytes asked = far::wait_for_bytes(line);
                       [[maybe_unused]] const auto n = ::write(told, asked.data(), asked.size());
                       Bytes answer(size);
                       for (std::size_t i = 0; i < size; ++i) answer[i] = static_cast<std::uint8_t>(i * 7 + i / 256);
                       far::write_badly(line, answer, 11);
                       far::sleep(10s);
                   }};
    House house{spec_of(folder / "line")};
    REQUIRE(house.active());
    CHECK(house.port->write(telegram) == Sent::yes);
    REQUIRE(house.until([&] { return house.listener.bytes.size() == size; }, 20s));
    for (std::size_t i = 0; i < size; ++i) REQUIRE(house.listener.bytes[i] == static_cast<std::uint8_t>(i * 7 + i / 256));
    CHECK(far.told() == telegram);
}

TEST_CASE("a flood from another process leaves timers their turn")
{
    TemporaryFolder folder;
    FarProcess far{folder / "line", [](int line, int) {
                       const Bytes noise(4096, 0xA5);
                       for (const Instant end = monotonic_now() + 2s; monotonic_now() < end;) far::write_all(line, noise);
                       far::sleep(10s);
                   }};
    House house{spec_of(folder / "line")};
    REQUIRE(house.active());
    const Metronome metronome{house.loop.base};
    const Instant end = monotonic_now() + 1s;
    house.until([&] { return monotonic_now() > end; });
    CHECK(house.listener.bytes.size() > 100'000);
    CAPTURE(metronome.longest);
    CAPTURE(metronome.busiest);
    CHECK(metronome.kept());
}

TEST_CASE("bytes that waited while the loop stood still are as old as its last beat")
{
    // SAFE-232
    TemporaryFolder folder;
    Terminal far{folder / "line"};
    House house{spec_of(folder / "line")};
    REQUIRE(house.active());
    house.loop.settle();
    far.write({1, 2, 3});
    std::this_thread::sleep_for(600ms);
    REQUIRE(house.until([&] { return !house.listener.bytes.empty(); }));
    CHECK(house.listener.oldest >= 550ms);
    house.listener.oldest = {};
    far.write({4});
    REQUIRE(house.until([&] { return house.listener.bytes.size() == 4; }));
    CHECK(house.listener.oldest == 0us);
}

TEST_CASE("a telegram that does not fit is not begun; what was begun is finished")
{
    TemporaryFolder folder;
    Terminal far{folder / "line"};
    House house{spec_of(folder / "line")};
    REQUIRE(house.active());
    std::size_t written = 0;
    while (house.port->write(telegram) == Sent::yes && written < 1'000'000) written += telegram.size();
    CHECK(house.port->write(telegram) == Sent::full);
    Bytes said;
    REQUIRE(house.until([&] {
        said = said + far.read();
        return said.size() >= written;
    }));
    REQUIRE(said.size() == written);
    for (std::size_t i = 0; i < said.size(); ++i) REQUIRE(said[i] == telegram[i % telegram.size()]);
    CHECK(house.port->write(Bytes(65)) == Sent::down);
}

TEST_CASE("a port is given up in good order while something still has to be said")
{
    TemporaryFolder folder;
    Terminal far{folder / "line"};
    {
        House house{spec_of(folder / "line")};
        REQUIRE(house.active());
        CHECK(house.port->write(telegram) == Sent::yes);
    }
    CHECK(far.read() == telegram);
    const auto again = bus::open_line(folder / "line", {});
    CHECK(again.fault == bus::PortFault::none);
}
