// Opening serial ports, what goes wrong by name, and getting them back.
#include "bus/tty.hpp"
#include "tests/bus/line_fixture.hpp"

#include <fstream>

#include <sys/file.h>
#include <sys/stat.h>

using namespace batgw;
using namespace batgw::test;
using bus::open_line;
using bus::PortFault;

namespace {

constexpr SerialLine slow{.baud = 9600};

// Somebody else's process, which takes the line as other programs do.
FarProcess::Play hold(const std::string& near)
{
    return [near](int, int told) {
        const int fd = ::open(near.c_str(), O_RDWR | O_NOCTTY);
        if (fd >= 0 && ::flock(fd, LOCK_EX | LOCK_NB) == 0) [[maybe_unused]]
            const auto n = ::write(told, "x", 1);
        far::sleep(60s);
    };
}

// What open_line() says to somebody without rights.
std::string as_nobody(const std::string& path)
{
    std::array<int, 2> ends{};
    REQUIRE(::pipe(ends.data()) == 0);
    const pid_t child = ::fork();
    if (child == 0) {
        if (::geteuid() == 0 && ::setuid(65'534) != 0) ::_exit(1);
        const auto line = open_line(path, slow);
        const std::string text = std::to_string(static_cast<int>(line.fault)) + line.words;
        ::_exit(::write(ends[1], text.data(), text.size()) < 0 ? 1 : 0);
    }
    ::close(ends[1]);
    std::string text(1000, '\0');
    const ssize_t n = ::read(ends[0], text.data(), text.size());
    text.resize(static_cast<std::size_t>(std::max<ssize_t>(n, 0)));
    ::close(ends[0]);
    ::waitpid(child, nullptr, 0);
    return text;
}

}  // namespace

TEST_CASE("every byte passes a line unchanged in both directions, at every rate that is used")
{
    Bytes all(256);
    for (std::size_t i = 0; i < all.size(); ++i) all[i] = static_cast<std::uint8_t>(i);
    TemporaryFolder folder;
    for (const std::uint32_t baud : {9'600U, 19'200U, 38'400U, 115'200U, 1'228'800U, 2'000'000U}) {
        CAPTURE(baud);
        Terminal far{folder / "line"};
        auto line = open_line(folder / "line", {.baud = baud});
        CHECK(line.words == "");
        REQUIRE(line.fault == PortFault::none);
        far.write(all);
        Bytes got(300);
        CHECK(::read(line.fd.get(), got.data(), got.size()) == 256);
        got.resize(256);
        CHECK(got == all);
        CHECK(::read(line.fd.get(), got.data(), got.size()) == -1);  // empty is not the end
        CHECK(errno == EAGAIN);
        CHECK(::write(line.fd.get(), all.data(), all.size()) == 256);
        CHECK(far.read() == all);
        bus::close_line(std::move(line.fd));
    }
}

TEST_CASE("what had come before a line was opened is thrown away")
{
    TemporaryFolder folder;
    Terminal far{folder / "line"};
    far.write({1, 2, 3});
    const auto line = open_line(folder / "line", slow);
    far.write({4});
    Bytes got(10);
    CHECK(::read(line.fd.get(), got.data(), got.size()) == 1);
    CHECK(got[0] == 4);
}

TEST_CASE("what is no serial port is told by name, and not even opened where opening does something")
{
    TemporaryFolder folder;
    std::ofstream{folder / "file"} << "x";
    REQUIRE(::mkfifo((folder / "pipe").c_str(), 0600) == 0);
    for (const std::string& path : {folder / "file", folder / "pipe", folder / ".", std::string{"/dev/null"}}) {
        CAPTURE(path);
        const auto line = open_line(path, slow);
        CHECK(line.fault == PortFault::not_a_line);
        CHECK(line.words == path + " is not a serial port");
        CHECK_FALSE(line.fd);
    }
    const auto none = open_line(folder / "nothing", slow);
    CHECK(none.fault == PortFault::missing);
    CHECK(none.words == "there is no " + folder / "nothing");
}

TEST_CASE("a line that another program has is told to be in use; when that one is gone, it is ours")
{
    TemporaryFolder folder;
    Terminal far{folder / "line"};
    auto other = std::make_unique<FarProcess>(folder / "other", hold(far.near()));
    while (other->told().empty()) far::sleep(1ms);
    const auto line = open_line(folder / "line", slow);
    CHECK(line.fault == PortFault::busy);
    CHECK(line.words.find("is in use by another program; `fuser -v") != std::string::npos);
    CHECK_FALSE(line.fd);
    other.reset();
    auto ours = open_line(folder / "line", slow);
    CHECK(ours.fault == PortFault::none);
    // And we keep others out in the same way; after us they get in, whoever they are.
    CHECK(open_line(folder / "line", slow).fault == PortFault::busy);
    if (::geteuid() == 0) {
        ::chmod(far.near().c_str(), 0666);
        ::chmod((folder / "").c_str(), 0755);
        CHECK(as_nobody(far.near()).find("is in use by another program") != std::string::npos);
        bus::close_line(std::move(ours.fd));
        const Fd still_open{::open(far.near().c_str(), O_RDWR | O_NOCTTY)};
        CHECK(as_nobody(far.near()) == "0");
    }
}

TEST_CASE("a line without permission names the group that has it")
{
    TemporaryFolder folder;
    Terminal far{folder / "line"};
    REQUIRE(::chmod(far.near().c_str(), 0000) == 0);
    const std::string said = as_nobody(far.near());
    CHECK(said.find("no permission for " + far.near() + ", which is for group ") != std::string::npos);
    CHECK(said.find("usermod -aG ") != std::string::npos);
    CHECK(said.find("SupplementaryGroups=") != std::string::npos);
}

TEST_CASE("what a driver cannot do is told, though it did not say so itself")
{
    // Pseudo-terminals have no parity, and accept it silently.
    TemporaryFolder folder;
    Terminal far{folder / "line"};
    const auto line = open_line(folder / "line", {.baud = 9600, .parity = SerialLine::Parity::even});
    CHECK(line.fault == PortFault::settings);
    CHECK(line.words == folder / "line" + " cannot do even parity");

    const bus::LineFacts good{.baud = 2'000'000, .raw = true, .eight_bits = true};
    constexpr SerialLine fast{.baud = 2'000'000};
    CHECK(bus::not_as_wished(fast, good) == "");
    const auto but = [&](auto change) {
        bus::LineFacts f = good;
        change(f);
        return bus::not_as_wished(fast, f);
    };
    CHECK(but([](auto& f) { f.baud = 1'980'000; }) == "");
    CHECK(but([](auto& f) { f.baud = 115'200; }) == "cannot run at 2000000 baud: the driver made 115200 of it");
    CHECK(but([](auto& f) { f.baud = 0; }) == "cannot run at 2000000 baud: the driver made 0 of it");
    CHECK(but([](auto& f) { f.raw = false; }) == "cannot be made raw: its driver changes bytes");
    CHECK(but([](auto& f) { f.eight_bits = false; }) == "cannot do 8 data bits and one stop bit");
    CHECK(but([](auto& f) { f.two_stop_bits = true; }) == "cannot do 8 data bits and one stop bit");
    CHECK(but([](auto& f) { f.hardware_flow = true; }) == "cannot do without hardware flow control");
    CHECK(but([](auto& f) { f.parity = SerialLine::Parity::odd; }) == "cannot do without parity");
}

TEST_CASE("closing waits for what was written, but not for ever")
{
    TemporaryFolder folder;
    Terminal far{folder / "line"};
    auto line = open_line(folder / "line", slow);
    CHECK(::write(line.fd.get(), "C\r", 2) == 2);
    const Instant before = monotonic_now();
    bus::close_line(std::move(line.fd));
    CHECK(monotonic_now() - before < 1s);
    pollfd what{far.fd(), POLLIN, 0};
    ::poll(&what, 1, 1000);
    CHECK(far.read() == text_bytes("C\r"));
}
