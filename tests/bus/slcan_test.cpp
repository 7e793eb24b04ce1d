// slcan lines and the bus on them over real pseudo-terminals. All lines are made up or computed from frames.
#include "bus/slcan.hpp"

#include "tests/bus/line_fixture.hpp"

using namespace batgw;
using namespace batgw::test;
using bus::slcan::Line;
using bus::slcan::LineReader;

namespace {

std::string encoded(const CanFrame& f)
{
    std::array<std::uint8_t, 40> room{};
    const std::size_t n = bus::slcan::encode(f, room);
    return {room.begin(), room.begin() + static_cast<std::ptrdiff_t>(n)};
}

std::vector<std::string> lines_of(LineReader& reader, std::string_view text)
{
    std::span<const std::uint8_t> bytes{reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
    std::vector<std::string> all;
    while (const auto line = reader.take(bytes)) all.emplace_back(*line);
    return all;
}

std::vector<CanFrame> frames_in(LineReader& reader, std::string_view text)
{
    std::vector<CanFrame> out;
    for (const std::string& line : lines_of(reader, text))
        if (const Line l = bus::slcan::parse(line); l.kind == Line::Kind::frame) out.push_back(l.frame);
    return out;
}

}  // namespace

TEST_CASE("slcan: every known frame reads and writes as its line")
{
    struct Example {
        const char* line;
        CanFrame frame;
    };
    const std::array examples{
        Example{"t37180000080700000000", frame(0x371, {0, 0, 8, 7, 0, 0, 0, 0})},
        Example{"t356896148B0082000000", frame(0x356, {0x96, 0x14, 0x8B, 0, 0x82, 0, 0, 0})},
        Example{"t30580000000000000000", frame(0x305, {0, 0, 0, 0, 0, 0, 0, 0})},
        Example{"T0400800180CF00CED0CF30CEE", frame(0x04008001, {0x0C, 0xF0, 0x0C, 0xED, 0x0C, 0xF3, 0x0C, 0xEE}, true)},
        Example{"T18A2FF80101", frame(0x18A2FF80, {1}, true)},
        Example{"t7FF0", frame(0x7FF, {})},
    };
    for (const Example& e : examples) {
        CAPTURE(e.line);
        CHECK(encoded(e.frame) == std::string{e.line} + "\r");
        const Line line = bus::slcan::parse(e.line);
        CHECK(line.kind == Line::Kind::frame);
        CHECK(line.frame == e.frame);
        std::string small = e.line;
        for (std::size_t i = 1; i < small.size(); ++i) small[i] = static_cast<char>(std::tolower(small[i]));
        CHECK(bus::slcan::parse(small).frame == e.frame);
    }
    CHECK(bus::slcan::parse("x18A2FF80101").frame == examples[4].frame);  // CANdapter
}

TEST_CASE("slcan: a time stamp of four or eight digits is accepted and ignored, any other rest is no frame")
{
    const Line with = bus::slcan::parse("t371800000807000000000BB8");
    CHECK(with.kind == Line::Kind::frame);
    CHECK(with.frame == frame(0x371, {0, 0, 8, 7, 0, 0, 0, 0}));
    CHECK(bus::slcan::parse("t1231FF0000EA5F").kind == Line::Kind::frame);
    for (const char* line : {"t1231FF0", "t1231FF00", "t1231FF000", "t1231FF00000", "t1231FF000000000", "t1231FF000G", "t1231F",
             "t1231", "t12312", "t123", "t1239112233445566778899", "t123A", "tG231FF", "t8001FF", "T200000001FF", "T123451FF",
             "t", "T", "q", "zz", "t1231 FF", "r1231FF", "\x80\xff"}) {
        CAPTURE(line);
        CHECK(bus::slcan::parse(line).kind == Line::Kind::malformed);
    }
    CHECK(bus::slcan::parse(std::string(35, '0')).kind == Line::Kind::malformed);
}

TEST_CASE("slcan: replies, flags, states and errors are told apart")
{
    CHECK(bus::slcan::parse("").kind == Line::Kind::done);
    CHECK(bus::slcan::parse("z").kind == Line::Kind::done);
    CHECK(bus::slcan::parse("Z").kind == Line::Kind::done);
    CHECK(bus::slcan::parse("\a").kind == Line::Kind::refused);
    CHECK(bus::slcan::parse("V1013").kind == Line::Kind::other);
    CHECK(bus::slcan::parse("r1238").kind == Line::Kind::remote);
    CHECK(bus::slcan::parse("R0400800100BB8").kind == Line::Kind::remote);
    CHECK(bus::slcan::parse("F24").kind == Line::Kind::flags);
    CHECK(bus::slcan::parse("F24").flags == (bus::slcan::flag_warning | bus::slcan::flag_passive));
    CHECK(bus::slcan::parse("F2").kind == Line::Kind::malformed);
    const Line state = bus::slcan::parse("sa000012");
    CHECK(state.kind == Line::Kind::state);
    CHECK(state.state == BusState::active);
    CHECK(state.rx_errors == 0);
    CHECK(state.tx_errors == 12);
    CHECK(bus::slcan::parse("sw096000").state == BusState::warning);
    CHECK(bus::slcan::parse("sp000128").state == BusState::passive);
    CHECK(bus::slcan::parse("sb000255").state == BusState::bus_off);
    for (const char* line : {"sa00012", "sa0000120", "sx000012", "sa00001A", "s", "e", "e0", "e2a", "e1q", "e1ab"}) {
        CAPTURE(line);
        CHECK(bus::slcan::parse(line).kind == Line::Kind::malformed);
    }
    CHECK(bus::slcan::parse("e1a").error_letters == "a");
    CHECK(bus::slcan::parse("e3aBo").error_letters == "aBo");
}

// Feeds (a) to (f).
TEST_CASE("slcan: frames come through however the stream is cut and begun; a spoiled line costs itself")
{
    std::vector<CanFrame> sent;
    std::string stream;
    for (unsigned n = 0; n < 30; ++n) {
        sent.push_back(numbered(n));
        stream += encoded(sent.back());
    }
    for (const std::size_t piece : {std::size_t{1}, std::size_t{3}, std::size_t{26}, std::size_t{1000}}) {
        LineReader reader;
        std::vector<CanFrame> heard;
        for (std::size_t at = 0; at < stream.size(); at += piece)
            for (const CanFrame& f : frames_in(reader, std::string_view{stream}.substr(at, piece))) heard.push_back(f);
        CHECK(heard == sent);
    }
    const std::string first = encoded(sent[0]);
    for (std::size_t cut = 1; cut < first.size() - 1; ++cut) {
        LineReader reader;
        CHECK(frames_in(reader, std::string_view{stream}.substr(cut)) == std::vector<CanFrame>(sent.begin() + 1, sent.end()));
    }
    // One character less or more anywhere, or one that is no digit: this line is lost, its neighbours are not.
    const std::string before = encoded(numbered(1)), after = encoded(numbered(3));
    const std::string line = encoded(numbered(2));
    const std::vector<CanFrame> neighbours{numbered(1), numbered(3)};
    for (std::size_t at = 0; at + 1 < line.size(); ++at) {
        CAPTURE(at);
        std::string less = line, more = line, other = line;
        less.erase(at, 1);
        more.insert(at, 1, '0');
        other[at] = '~';
        for (const std::string& spoiled : {less, more, other}) {
            LineReader reader;
            CHECK(frames_in(reader, before + spoiled + after) == neighbours);
        }
    }
    // A lost end merges two lines into none.
    LineReader reader;
    CHECK(frames_in(reader, before + line.substr(0, line.size() - 1) + encoded(numbered(5)) + after) == neighbours);
}

TEST_CASE("slcan: a line ends at CR or BELL; one that never ends keeps nothing and costs only itself")
{
    LineReader reader;
    CHECK(lines_of(reader, "\r") == std::vector<std::string>{""});
    CHECK(lines_of(reader, "\a\a\r") == std::vector<std::string>{"\a", "\a", ""});
    CHECK(lines_of(reader, "t12\az\r") == std::vector<std::string>{"t12", "\a", "z"});
    CHECK(lines_of(reader, "\r\nz\r\n") == std::vector<std::string>{"", "z"});
    CHECK(lines_of(reader, std::string(1 << 20, 't')).empty());
    const auto all = lines_of(reader, "\rz\r");
    REQUIRE(all.size() == 2);
    CHECK(bus::slcan::parse(all[0]).kind == Line::Kind::malformed);
    CHECK(all[1] == "z");
}

TEST_CASE("slcan: noise makes frames only where it is one by its letters, and never with a wrong length")
{
    Chance chance{5};
    LineReader reader;
    std::string noise(1 << 20, ' ');
    for (char& c : noise) c = static_cast<char>(chance.byte());
    CHECK(frames_in(reader, noise).empty());
    CHECK(frames_in(reader, "\r" + encoded(numbered(4))) == std::vector{numbered(4)});
}

TEST_CASE("slcan: bit rates have their digits")
{
    CHECK(bus::slcan::speed_digit(250'000) == '5');
    CHECK(bus::slcan::speed_digit(500'000) == '6');
    CHECK(bus::slcan::speed_digit(10'000) == '0');
    CHECK(bus::slcan::speed_digit(1'000'000) == '8');
    CHECK_FALSE(bus::slcan::speed_digit(5'000));
    for (const char digit : {'0', '1', '2', '3', '4', '5', '6', '7', '8'})
        CHECK(bus::slcan::speed_digit(bus::slcan::speed_of(digit).value()) == digit);
    CHECK_FALSE(bus::slcan::speed_of('9'));
}

namespace {

constexpr std::array<RxRule, 2> rules{{{0x371, false}, {0x1234567, true}}};

BusSpec spec_of(const std::string& path) { return {.interface = "slcan:" + path, .bitrate = {}, .receives = rules, .sends = {}}; }

struct House {
    explicit House(const BusSpec& spec) : port{open_bus(loop.base, spec, listener, log)} {}
    bool until(const std::function<bool()>& done, Duration most = 5s) const { return loop.run_until(done, most); }
    bool active() const
    {
        return until([this] { return port->status().state == BusState::active; });
    }
    Loop loop;
    Lines log;
    Listener listener;
    std::unique_ptr<Bus> port;
};

// The adapter in this process: answers by a rule, keeps what it was told.
struct Board {
    explicit Board(const std::string& path) : terminal{path} {}
    // Call while the loop turns.
    void work()
    {
        const Bytes bytes = terminal.read();
        said.append(bytes.begin(), bytes.end());
        for (const std::string& line : lines_of(reader, std::string{bytes.begin(), bytes.end()}))
            if (answer) terminal.write(text_bytes(answer(line)));
    }
    Terminal terminal;
    LineReader reader;
    std::string said;
    std::function<std::string(const std::string&)> answer;
};

bool active(House& house, Board& board)
{
    return house.until([&] {
        board.work();
        return house.port->status().state == BusState::active;
    });
}

std::string lawicel(const std::string& line)
{
    if (line == "C" || line.starts_with("M")) return "\a";
    if (line.starts_with("t")) return "z\r";
    if (line.starts_with("T")) return "Z\r";
    if (line == "F") return "F00\r";
    return "\r";
}

}  // namespace

TEST_CASE("slcan: the channel is closed, set to the bit rate and opened; firmware that answers makes it quick")
{
    TemporaryFolder folder;
    Board board{folder / "can"};
    board.answer = lawicel;
    House house{spec_of(folder / "can")};
    const Instant before = monotonic_now();
    REQUIRE(active(house, board));
    CHECK(monotonic_now() - before < 700ms);
    CHECK(board.said == "\r\r\rC\rS6\rM0\rO\r");
    CHECK(house.port->status().bitrate == 500'000);
    CHECK(house.port->send(frame(0x305, {0, 0, 0, 0, 0, 0, 0, 0})) == Sent::yes);
    house.port.reset();
    house.loop.settle();
    board.work();
    CHECK(board.said == "\r\r\rC\rS6\rM0\rO\rt30580000000000000000\rC\r");
}

TEST_CASE("slcan: firmware that answers nothing is opened, too")
{
    TemporaryFolder folder;
    Board board{folder / "can"};
    House house{spec_of(folder / "can")};
    REQUIRE(active(house, board));
    CHECK(board.said == "\r\r\rC\rS6\rM0\rO\r");
    board.terminal.write(text_bytes(encoded(numbered(1))));
    CHECK(house.until([&] { return house.listener.heard.size() == 1; }));
}

TEST_CASE("slcan: a board that heard nothing of it, for its opening reset it, is set up once more")
{
    TemporaryFolder folder;
    Board board{folder / "can"};
    House house{spec_of(folder / "can")};
    REQUIRE(active(house, board));
    const std::string opening = "\r\r\rC\rS6\rM0\rO\r";
    REQUIRE(house.until(
        [&] {
            board.work();
            return board.said.size() >= 2 * opening.size();
        },
        8s));
    CHECK(board.said == opening + opening);
    REQUIRE(active(house, board));
    CHECK(house.log.count("nothing heard since the port was opened") == 0);
    CHECK(house.until([&] { return house.log.count("nothing heard since the port was opened") == 1; }, 5s));
}

TEST_CASE("slcan: a refused bit rate and a refused opening say so by name, nothing is sent, and it is tried again")
{
    for (const std::string refused : {"S6", "O"}) {
        CAPTURE(refused);
        TemporaryFolder folder;
        Board board{folder / "can"};
        bool stubborn = true;
        board.answer = [&](const std::string& line) { return line == refused && stubborn ? std::string{"\a"} : lawicel(line); };
        House house{spec_of(folder / "can")};
        REQUIRE(house.until([&] {
            board.work();
            return house.log.count(
                       refused == "S6" ? "the adapter refuses 500000 bit/s" : "the adapter refuses to open its channel") == 1;
        }));
        CHECK(house.port->status().state == BusState::stopped);
        CHECK(house.port->send(numbered(0)) == Sent::down);
        stubborn = false;
        CHECK(active(house, board));
    }
}

TEST_CASE("slcan: observing opens in listen-only mode, in the words of both families")
{
    // SAFE-244
    TemporaryFolder folder;
    Board board{folder / "can"};
    // LAWICEL's: open already by L, so O is refused.
    board.answer = [](const std::string& line) { return line == "O" ? std::string{"\a"} : lawicel(line); };
    BusSpec spec = spec_of(folder / "can");
    spec.listen_only = true;
    House house{spec};
    REQUIRE(active(house, board));
    CHECK(board.said == "\r\r\rC\rS6\rM1\rL\rO\r");
    CHECK(house.port->send(numbered(0)) == Sent::down);
    board.terminal.write(text_bytes(encoded(numbered(1))));
    CHECK(house.until([&] { return house.listener.heard.size() == 1; }));
}

TEST_CASE("slcan: what comes before the channel is open is of an earlier life")
{
    TemporaryFolder folder;
    Board board{folder / "can"};
    House house{spec_of(folder / "can")};
    bool early = false;
    board.answer = [&](const std::string& line) {
        if (line == "C" && !early) {
            early = true;
            return encoded(numbered(1)) + "\at37";
        }
        return std::string{};
    };
    REQUIRE(active(house, board));
    CHECK(early);
    CHECK(house.listener.heard.empty());
    CHECK(house.port->status().counters.received == 0);
}

TEST_CASE("slcan: states, flags and errors of the firmware become those of the bus")
{
    // SAFE-261
    TemporaryFolder folder;
    Board board{folder / "can"};
    board.answer = lawicel;
    House house{spec_of(folder / "can")};
    REQUIRE(active(house, board));
    const auto& status = house.port->status();
    const auto tell = [&](const std::string& text, const std::function<bool()>& then) {
        board.terminal.write(text_bytes(text));
        CHECK(house.until(then));
    };
    tell("sw096003\r", [&] { return status.state == BusState::warning; });
    CHECK(status.rx_errors == 96);
    CHECK(status.tx_errors == 3);
    tell("F20\r", [&] { return status.state == BusState::passive; });
    tell("F00\r", [&] { return status.state == BusState::active; });
    tell("FCB\re3aBo\re1a\r", [&] { return status.counters.no_ack == 2; });
    CHECK(status.counters.arbitration_lost == 1);
    CHECK(status.counters.protocol_errors == 2);
    CHECK(status.counters.controller_overflow == 2);
    tell("r3718\r\at37\rt3712\r", [&] { return status.counters.line_errors == 3; });
    CHECK(status.counters.not_data == 1);
    CHECK(house.listener.heard.empty());
}

TEST_CASE("slcan: firmware that refuses the question for flags is not asked again")
{
    TemporaryFolder folder;
    Board board{folder / "can"};
    board.answer = [](const std::string& line) { return line == "F" ? std::string{"\a"} : lawicel(line); };
    House house{spec_of(folder / "can")};
    REQUIRE(active(house, board));
    board.terminal.write(text_bytes(encoded(numbered(1))));
    const Instant end = monotonic_now() + 5s;
    house.until(
        [&] {
            board.work();
            return monotonic_now() > end;
        },
        6s);
    CHECK(std::count(board.said.begin(), board.said.end(), 'F') == 1);
    CHECK(house.port->status().counters.line_errors == 0);
}

TEST_CASE("slcan: after bus-off the channel is closed and opened again")
{
    // SAFE-262
    TemporaryFolder folder;
    Board board{folder / "can"};
    board.answer = lawicel;
    House house{spec_of(folder / "can")};
    REQUIRE(active(house, board));
    board.said.clear();
    board.terminal.write(text_bytes("sb000255\r"));
    REQUIRE(house.until([&] { return house.port->status().state == BusState::bus_off; }));
    CHECK(house.port->send(numbered(0)) == Sent::down);
    REQUIRE(active(house, board));
    CHECK(board.said == "\r\r\rC\rS6\rM0\rO\r");
    CHECK(house.port->status().counters.bus_off == 1);
    CHECK(house.port->status().counters.restarts == 1);
    CHECK(house.log.count("bus-off; restarting") == 1);
}

TEST_CASE("slcan: what another process delays, splits, merges, corrupts and drops costs those frames and no other")
{
    constexpr unsigned count = 400;
    const auto spoiled = [](unsigned n) { return n % 11 == 5; };
    TemporaryFolder folder;
    FarProcess far{folder / "can", [&](int line, int) {
                       for (Bytes said; said.empty() || said.back() != '\r' || said[said.size() - 2] != 'O';)
                           said = said + far::wait_for_bytes(line);
                       far::sleep(300ms);
                       Chance chance{9};
                       std::string stream;
                       for (unsigned n = 0; n < count; ++n) {
                           std::string text = encoded(numbered(n));
                           const std::size_t at = chance() % (text.size() - 1);
                           if (spoiled(n) && n % 2 == 0) text.erase(at, 1);
                           if (spoiled(n) && n % 2 == 1) text[at] = static_cast<char>(text[at] ^ 0x40);
                           stream += text;
                       }
                       far::write_badly(line, text_bytes(stream), 42);
                       far::sleep(10s);
                   }};
    House house{spec_of(folder / "can")};
    REQUIRE(house.until(
        [&] { return !house.listener.heard.empty() && number_of(house.listener.heard.back().frame) == count - 1; }, 20s));
    unsigned at = 0;
    for (const test::Heard& h : house.listener.heard) {
        const unsigned n = number_of(h.frame);
        REQUIRE(h.frame == numbered(n));
        for (; at < n; ++at) CHECK(spoiled(at));
        at = n + 1;
    }
    CHECK(house.port->status().counters.line_errors > 0);
}

TEST_CASE("slcan: a flood of garbage holds nothing up and yields no frame; after it the first frame is heard")
{
    TemporaryFolder folder;
    FarProcess far{folder / "can", [](int line, int) {
                       far::sleep(1500ms);
                       Chance chance{3};
                       Bytes noise(4096);
                       for (const Instant end = monotonic_now() + 4s; monotonic_now() < end;) {
                           for (auto& byte : noise) byte = chance.byte();
                           far::write_all(line, noise);
                       }
                       far::sleep(50ms);
                       far::write_all(line, text_bytes("\r" + encoded(numbered(1))));
                       far::sleep(20s);
                   }};
    House house{spec_of(folder / "can")};
    const Metronome metronome{house.loop.base};
    REQUIRE(house.until([&] { return !house.listener.heard.empty(); }, 20s));
    CHECK(house.listener.heard[0].frame == numbered(1));
    CHECK(house.listener.heard.size() == 1);
    CAPTURE(metronome.longest);
    CAPTURE(metronome.busiest);
    CHECK(metronome.kept());
    CHECK(house.log.count("bytes come, but no frame: the adapter's line does not run at 115200 baud") == 1);
}

TEST_CASE("slcan: an adapter that is pulled and plugged in again is opened again")
{
    TemporaryFolder folder;
    auto board = std::make_unique<Board>(folder / "can");
    board->answer = lawicel;
    House house{spec_of(folder / "can")};
    REQUIRE(active(house, *board));
    board->terminal.unplug();
    REQUIRE(house.until([&] { return house.port->status().state == BusState::missing; }));
    CHECK(house.port->send(numbered(0)) == Sent::down);
    board = std::make_unique<Board>(folder / "can");
    board->answer = lawicel;
    REQUIRE(active(house, *board));
    CHECK(board->said == "\r\r\rC\rS6\rM0\rO\r");
}

TEST_CASE("slcan: a bit rate that slcan has no command for is refused")
{
    CHECK_THROWS_WITH(House({.interface = "slcan:/dev/ttyACM0", .bitrate = 5'000, .receives = {}, .sends = {}}),
        "slcan:/dev/ttyACM0: slcan has no command for 5000 bit/s");
}
