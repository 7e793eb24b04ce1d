// The protocol of the USB-CAN Analyzer, byte for byte, and the bus on it over real pseudo-terminals. Where it says "real" or
// "document" the bytes come from there; all others are made up.
#include "bus/waveshare.hpp"

#include "tests/bus/line_fixture.hpp"

using namespace batgw;
using namespace batgw::test;
using namespace batgw::bus::waveshare;
using bus::IdFilter;

namespace {

struct Example {
    const char* bytes;
    CanFrame frame;
};

const std::array fixed_rows{
    // Real, from Psynosaur/Deye_Battery_CAN_BUS: README, and "Can bus analysis.txt".
    Example{"AA 55 01 01 01 71 03 00 00 08 00 00 08 07 00 00 00 00 00 8E", frame(0x371, {0, 0, 8, 7, 0, 0, 0, 0})},
    Example{"AA 55 01 01 01 56 03 00 00 08 96 14 8B 00 82 00 00 00 00 1B", frame(0x356, {0x96, 0x14, 0x8B, 0, 0x82, 0, 0, 0})},
    // Examples of the vendor's document.
    Example{"AA 55 01 01 01 23 01 00 00 08 11 22 33 44 55 66 77 88 00 93",
        frame(0x123, {0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88})},
    Example{"AA 55 01 02 01 78 56 34 12 08 01 02 03 04 05 06 07 08 00 44", frame(0x12345678, {1, 2, 3, 4, 5, 6, 7, 8}, true)},
    // Computed.
    Example{"AA 55 01 01 01 05 03 00 00 08 00 00 00 00 00 00 00 00 00 13", frame(0x305, {0, 0, 0, 0, 0, 0, 0, 0})},
    Example{"AA 55 01 01 01 56 03 00 00 08 9E 14 3C FE D5 00 00 00 00 25", frame(0x356, {0x9E, 0x14, 0x3C, 0xFE, 0xD5, 0, 0, 0})},
    Example{"AA 55 01 02 01 01 80 00 04 08 0C F0 0C ED 0C F3 0C EE 00 7F",
        frame(0x04008001, {0x0C, 0xF0, 0x0C, 0xED, 0x0C, 0xF3, 0x0C, 0xEE}, true)},
};

const std::array variable_rows{
    Example{"AA C8 71 03 00 00 08 07 00 00 00 00 55", frame(0x371, {0, 0, 8, 7, 0, 0, 0, 0})},
    Example{"AA C8 56 03 96 14 8B 00 82 00 00 00 55", frame(0x356, {0x96, 0x14, 0x8B, 0, 0x82, 0, 0, 0})},
    // Examples of the vendor's document.
    Example{"AA C2 03 01 11 22 55", frame(0x103, {0x11, 0x22})},
    Example{
        "AA E8 67 45 23 01 11 22 33 44 55 66 77 88 55", frame(0x1234567, {0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88}, true)},
    Example{"AA E1 80 FF A2 18 01 55", frame(0x18A2FF80, {1}, true)},
};

Bytes encoded(const CanFrame& f, Framing framing)
{
    std::array<std::uint8_t, fixed_size> room{};
    const std::size_t n = encode(f, framing, room);
    return {room.begin(), room.begin() + static_cast<std::ptrdiff_t>(n)};
}

template <class Parser>
std::vector<Packet> packets(Parser& parser, std::span<const std::uint8_t> bytes)
{
    std::vector<Packet> all;
    while (!bytes.empty()) {
        bytes = parser.buffer.fill(bytes);
        while (const auto p = parser.next()) all.push_back(*p);
    }
    return all;
}

std::vector<CanFrame> frames_of(const std::vector<Packet>& all)
{
    std::vector<CanFrame> out;
    for (const Packet& p : all)
        if (p.kind == Packet::Kind::frame) out.push_back(p.frame);
    return out;
}

// What a parser of either framing makes of a stream, cut as given.
std::vector<CanFrame> parse(Framing framing, const Bytes& stream, const IdFilter& known, std::size_t piece = 4096)
{
    FixedParser fixed;
    VariableParser variable{known};
    std::vector<CanFrame> out;
    for (std::size_t at = 0; at < stream.size(); at += piece) {
        const auto part = std::span{stream}.subspan(at, std::min(piece, stream.size() - at));
        const auto some = frames_of(framing == Framing::fixed ? packets(fixed, part) : packets(variable, part));
        out.insert(out.end(), some.begin(), some.end());
    }
    return out;
}

const IdFilter all_ids;
constexpr std::array<RxRule, 2> known_rules{{{0x371, false}, {0x1234567, true}}};
const IdFilter known{known_rules, {}, false};
constexpr std::array framings{Framing::fixed, Framing::variable};

}  // namespace

TEST_CASE("waveshare: every known frame in the fixed form reads and writes as its bytes")
{
    for (const Example& row : fixed_rows) {
        CAPTURE(row.bytes);
        CHECK(encoded(row.frame, Framing::fixed) == hex(row.bytes));
        FixedParser parser;
        CHECK(frames_of(packets(parser, hex(row.bytes))) == std::vector{row.frame});
        CHECK(parser.counts.skipped == 0);
    }
}

TEST_CASE("waveshare: every known frame in the variable form reads and writes as its bytes")
{
    for (const Example& row : variable_rows) {
        CAPTURE(row.bytes);
        CHECK(encoded(row.frame, Framing::variable) == hex(row.bytes));
        VariableParser parser{all_ids};
        CHECK(frames_of(packets(parser, hex(row.bytes))) == std::vector{row.frame});
        CHECK(parser.counts.skipped == 0);
    }
}

TEST_CASE("waveshare: the configuration command has the bytes of the document and of the vendor's programs")
{
    const auto command = [](const Configuration& c) {
        const Fixed bytes = encode(c).value();
        return Bytes{bytes.begin(), bytes.end()};
    };
    CHECK(command({}) == hex("AA 55 02 03 01 00 00 00 00 00 00 00 00 00 01 00 00 00 00 07"));
    CHECK(command({.framing = Framing::variable}) == hex("AA 55 12 03 01 00 00 00 00 00 00 00 00 00 01 00 00 00 00 17"));
    CHECK(command({.bitrate = 250'000, .only_extended = true}) ==
        hex("AA 55 02 05 02 00 00 00 00 00 00 00 00 00 01 00 00 00 00 0A"));
    // Recorded from the vendor's newer and older program.
    CHECK(command({.framing = Framing::variable, .bitrate = 250'000}) ==
        hex("AA 55 12 05 01 00 00 00 00 00 00 00 00 00 01 00 00 00 00 19"));
    CHECK(command({.bitrate = 125'000}) == hex("AA 55 02 07 01 00 00 00 00 00 00 00 00 00 01 00 00 00 00 0B"));
    CHECK_FALSE(encode(Configuration{.bitrate = 83'333}));
    // And back, on the adapter's side.
    FixedParser adapter{false};
    const auto heard = packets(adapter, command({.framing = Framing::variable, .bitrate = 250'000, .only_extended = true}));
    REQUIRE(heard.size() == 1);
    CHECK(heard[0].kind == Packet::Kind::configuration);
    CHECK(heard[0].configuration.framing == Framing::variable);
    CHECK(heard[0].configuration.bitrate == 250'000);
    CHECK(heard[0].configuration.only_extended);
}

TEST_CASE("waveshare: the status command, and the error counters in its answer")
{
    CHECK(Bytes{status_request.begin(), status_request.end()} ==
        hex("AA 55 04 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 04"));
    const Fixed answer = encode_status(3, 128);
    for (const bool fixed : {true, false}) {
        FixedParser one;
        VariableParser other{known};
        const auto heard = fixed ? packets(one, answer) : packets(other, answer);
        REQUIRE(heard.size() == 1);
        CHECK(heard[0].kind == Packet::Kind::status);
        CHECK(heard[0].rx_errors == 3);
        CHECK(heard[0].tx_errors == 128);
    }
}

// Feeds (a) to (d) and (f).
TEST_CASE("waveshare: frames come through however the stream is cut, begun and filled")
{
    for (const Framing framing : framings) {
        const bool fixed = framing == Framing::fixed;
        CAPTURE(fixed);
        std::vector<CanFrame> sent;
        Bytes stream;
        for (unsigned n = 0; n < 40; ++n) {
            sent.push_back(numbered(n));  // with AA 55, 0D and 07 in the data
            stream = stream + encoded(sent.back(), framing);
        }
        for (const std::size_t piece : {std::size_t{1}, std::size_t{2}, std::size_t{7}, std::size_t{19}, std::size_t{20},
                 std::size_t{21}, std::size_t{4096}}) {
            CAPTURE(piece);
            CHECK(parse(framing, stream, known, piece) == sent);
        }
        // From the middle of a frame: that one is lost, no other, and nothing else comes of it.
        const std::size_t first = encoded(sent[0], framing).size();
        for (std::size_t cut = 1; cut < first; ++cut) {
            CAPTURE(cut);
            const Bytes torn{stream.begin() + static_cast<std::ptrdiff_t>(cut), stream.end()};
            CHECK(parse(framing, torn, known) == std::vector<CanFrame>(sent.begin() + 1, sent.end()));
        }
    }
}

// Feed (e).
TEST_CASE("waveshare: a frame with one bit flipped is no frame, and its neighbours are")
{
    const CanFrame before = numbered(1), after = numbered(2);
    for (const Example& row : fixed_rows) {
        CAPTURE(row.bytes);
        for (std::size_t bit = 0; bit < fixed_size * 8; ++bit) {
            CAPTURE(bit);
            Bytes spoiled = hex(row.bytes);
            spoiled[bit / 8] = static_cast<std::uint8_t>(spoiled[bit / 8] ^ (1U << bit % 8));
            const Bytes stream = encoded(before, Framing::fixed) + spoiled + encoded(after, Framing::fixed);
            FixedParser parser;
            CHECK(frames_of(packets(parser, stream)) == std::vector{before, after});
            CHECK(parser.counts.skipped == fixed_size);
            // Where the head itself is hit there is no telling that it was one.
            if (bit >= 16) CHECK(parser.counts.bad >= 1);
        }
    }
}

TEST_CASE("waveshare: what is no plausible frame is none, whatever its checksum says")
{
    const auto with = [](std::size_t at, std::uint8_t value) {
        Bytes b = hex(fixed_rows[0].bytes);
        b[at] = value;
        unsigned sum = 0;
        for (std::size_t i = 2; i < 19; ++i) sum += b[i];
        b[19] = static_cast<std::uint8_t>(sum);
        return b;
    };
    CHECK(parse(Framing::fixed, with(10, 9), all_ids).size() == 1);
    for (const auto& [place, value] : std::initializer_list<std::pair<std::size_t, std::uint8_t>>{
             {2, 0x00}, {2, 0x03}, {2, 0x02}, {2, 0x12}, {3, 0}, {3, 3}, {4, 0}, {4, 3}, {6, 8}, {8, 1}, {9, 9}, {18, 1}}) {
        const std::size_t at = place;  // a structured binding cannot be captured by clang 14
        CAPTURE(at);
        CHECK(parse(Framing::fixed, with(at, value), all_ids).empty());
    }
    Bytes id30 = hex(fixed_rows[3].bytes);
    id30[8] = 0x20;
    id30[19] = static_cast<std::uint8_t>(id30[19] + 0x20 - 0x12);
    CHECK(parse(Framing::fixed, id30, all_ids).empty());
    for (const char* bytes : {"AA C9 71 03 00 00 00 00 00 00 00 00 00 55", "AA 88 71 03 00 00 08 07 00 00 00 00 55",
             "AA C2 03 09 11 22 55", "AA C2 03 01 11 22 54", "AA E1 80 FF A2 38 01 55"}) {
        CAPTURE(bytes);
        CHECK(parse(Framing::variable, hex(bytes), all_ids).empty());
    }
    // Without a checksum an id that nobody asked for is no frame.
    CHECK(parse(Framing::variable, hex("AA C2 03 01 11 22 55"), known).empty());
    // Remote frames are told from data.
    FixedParser parser;
    const auto remote = packets(parser, with(4, 2));
    REQUIRE(remote.size() == 1);
    CHECK(remote[0].kind == Packet::Kind::remote);
}

TEST_CASE("waveshare: after noise the very next frames come through, and no noise ever makes one")
{
    Chance chance{20'000};
    std::uint64_t lost = 0, wrong = 0;
    for (unsigned stream = 0; stream < 20'000; ++stream) {
        const Framing framing = framings[stream % 2];
        std::vector<CanFrame> sent;
        Bytes bytes = encoded(numbered(chance() % 100), framing);
        bytes.erase(bytes.begin(), bytes.begin() + 1 + static_cast<std::ptrdiff_t>(chance() % (bytes.size() - 1)));
        for (unsigned n = chance() % 25; n > 0; --n) bytes.push_back(chance.byte());
        for (unsigned n = 0; n < 3; ++n) {
            CanFrame f = numbered(n);
            for (auto& byte : f.data) byte = chance.byte();
            if (chance() % 2 == 0) {
                const unsigned at = chance() % 7;
                f.data[at] = 0xAA;
                f.data[at + 1] = 0x55;
            }
            sent.push_back(f);
            bytes = bytes + encoded(f, framing);
        }
        const auto heard = parse(framing, bytes, known, 1 + chance() % 40);
        for (const CanFrame& f : sent) lost += std::count(heard.begin(), heard.end(), f) != 1 ? 1U : 0U;
        for (const CanFrame& f : heard) wrong += std::count(sent.begin(), sent.end(), f) != 1 ? 1U : 0U;
    }
    CHECK(lost == 0);
    CHECK(wrong == 0);
}

TEST_CASE("waveshare: frames in the fixed form are believed at once, in the variable form after three with known ids")
{
    Receiver receiver{known};
    std::vector<CanFrame> heard;
    const auto feed = [&](const CanFrame& f, Framing framing) {
        receiver.feed(encoded(f, framing), [&](const Packet& p) { heard.push_back(p.frame); });
    };
    feed(numbered(0), Framing::fixed);
    CHECK(heard.size() == 1);
    CHECK(receiver.told_apart());
    heard.clear();
    feed(numbered(1), Framing::variable);
    feed(numbered(2), Framing::variable);
    CHECK(heard.empty());
    CHECK(receiver.framing() == Framing::fixed);
    feed(numbered(3), Framing::variable);
    CHECK(heard == std::vector{numbered(3)});
    CHECK(receiver.framing() == Framing::variable);
    feed(numbered(4), Framing::variable);
    CHECK(heard.size() == 2);
    // Configured anew while it runs.
    for (unsigned n = 5; n < 9; ++n) feed(numbered(n), Framing::fixed);
    CHECK(receiver.framing() == Framing::fixed);
    CHECK(heard.back() == numbered(8));
    CHECK(heard.size() == 4);
}

TEST_CASE("waveshare: megabytes of noise take no more room than none, and are all counted")
{
    Chance chance{1};
    FixedParser fixed;
    VariableParser variable{known};
    Bytes noise(1 << 20);
    for (auto& byte : noise) byte = chance.byte();
    const auto of_fixed = packets(fixed, noise);
    const auto of_variable = packets(variable, noise);
    CHECK(frames_of(of_fixed).empty());
    CHECK(frames_of(of_variable).empty());
    CHECK(fixed.counts.skipped + fixed.buffer.view().size() == noise.size());
    CHECK(fixed.buffer.view().size() < fixed_size);
    CHECK(variable.buffer.view().size() < fixed_size);
    // Nothing but heads of frames.
    for (std::size_t i = 0; i < noise.size(); ++i) noise[i] = i % 2 == 0 ? 0xAA : 0x55;
    CHECK(packets(fixed, noise).empty());
    CHECK(packets(variable, noise).empty());
    CHECK(frames_of(packets(fixed, encoded(numbered(1), Framing::fixed))) == std::vector{numbered(1)});
}

namespace {

BusSpec spec_of(const std::string& path)
{
    return {.interface = "waveshare:" + path, .bitrate = {}, .receives = known_rules, .sends = {}};
}

struct House {
    explicit House(BusSpec spec) : port{open_bus(loop.base, spec, listener, log)} {}
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

const Bytes setup_500k = hex("AA 55 02 03 01 00 00 00 00 00 00 00 00 00 01 00 00 00 00 07");
const Bytes ask_status{status_request.begin(), status_request.end()};

}  // namespace

TEST_CASE("waveshare: the adapter is set up at the start, once more after 2 s without a frame, and asked for its error counters")
{
    TemporaryFolder folder;
    FarProcess far{folder / "can", [](int line, int told) { far::listen(line, told, 20s); }};
    House house{spec_of(folder / "can")};
    CHECK(house.port->status().state == BusState::missing);
    CHECK(house.port->send(numbered(0)) == Sent::down);
    REQUIRE(house.active());
    CHECK(house.port->status().bitrate == 500'000);
    REQUIRE(house.until([&] { return far.told().size() >= 20; }));
    CHECK(far.told() == setup_500k);
    REQUIRE(house.until([&] { return far.told().size() >= 60; }));
    const Bytes second{far.told().begin() + 20, far.told().begin() + 60};
    CHECK((second == setup_500k + ask_status || second == ask_status + setup_500k));
    // Not a third time: only the question for the counters goes on.
    REQUIRE(house.until([&] { return far.told().size() >= 80; }));
    CHECK(Bytes{far.told().begin() + 60, far.told().end()} == ask_status);
    CHECK(house.log.count("nothing heard since the port was opened") == 1);
}

TEST_CASE("waveshare: error counters become the state that a controller with them has")
{
    TemporaryFolder folder;
    Terminal far{folder / "can"};
    House house{spec_of(folder / "can")};
    REQUIRE(house.active());
    const auto tell = [&](std::uint8_t rx, std::uint8_t tx, BusState expected) {
        const Fixed b = encode_status(rx, tx);
        far.write({b.begin(), b.end()});
        CHECK(house.until([&] { return house.port->status().state == expected; }));
        CHECK(house.port->status().rx_errors == rx);
        CHECK(house.port->status().tx_errors == tx);
    };
    tell(0, 96, BusState::warning);
    CHECK(house.port->send(numbered(0)) == Sent::yes);
    tell(128, 0, BusState::passive);
    tell(95, 95, BusState::active);
    CHECK(house.port->status().counters.error_warning == 1);
    CHECK(house.port->status().counters.error_passive == 1);
    CHECK(house.log.count("no frame") == 0);
}

TEST_CASE("waveshare: frames are sent in the form that is heard")
{
    TemporaryFolder folder;
    Terminal far{folder / "can"};
    House house{spec_of(folder / "can")};
    REQUIRE(house.active());
    far.read();
    CHECK(house.port->send(fixed_rows[0].frame) == Sent::yes);
    CHECK(far.read() == hex(fixed_rows[0].bytes));
    for (unsigned n = 0; n < 3; ++n) far.write(encoded(numbered(n), Framing::variable));
    REQUIRE(house.until([&] { return house.listener.heard.size() == 1; }));
    CHECK(house.port->send(variable_rows[4].frame) == Sent::yes);
    const Bytes said = far.read();
    const Bytes wanted = hex(variable_rows[4].bytes);
    CHECK(std::search(said.begin(), said.end(), wanted.begin(), wanted.end()) != said.end());
    CHECK(house.log.count("frames come in the variable form") == 1);
    CHECK(house.port->status().counters.sent == 2);
}

TEST_CASE("waveshare: what another process delays, splits, merges, corrupts and drops costs those frames and no other")
{
    constexpr unsigned count = 400;
    for (const Framing framing : framings) {
        const bool fixed = framing == Framing::fixed;
        CAPTURE(fixed);
        const auto spoiled = [](unsigned n) { return n > 10 && n % 11 == 0; };
        TemporaryFolder folder;
        FarProcess far{folder / "can", [&](int line, int) {
                           far::wait_for_bytes(line);
                           Chance chance{7};
                           Bytes stream;
                           for (unsigned n = 0; n < count; ++n) {
                               Bytes b = encoded(numbered(n), framing);
                               if (spoiled(n) && n % 2 == 0)
                                   b.erase(b.begin() + static_cast<std::ptrdiff_t>(chance() % b.size()));
                               // In the variable form only a spoiled end or head can be seen at all.
                               if (spoiled(n) && n % 2 == 1) b[fixed ? chance() % b.size() : b.size() - 1] ^= 0x24;
                               stream = stream + b;
                           }
                           far::write_badly(line, stream, 42);
                           far::sleep(10s);
                       }};
        House house{spec_of(folder / "can")};
        REQUIRE(house.until(
            [&] { return !house.listener.heard.empty() && number_of(house.listener.heard.back().frame) == count - 1; }, 20s));
        unsigned at = 0;
        for (const test::Heard& h : house.listener.heard) {
            const unsigned n = number_of(h.frame);
            REQUIRE(h.frame == numbered(n));  // never a wrong one
            for (; at < n; ++at) CHECK((spoiled(at) || (!fixed && at < 2)));
            at = n + 1;
        }
        CHECK(house.port->status().counters.line_errors > 0);
        CHECK(house.port->status().counters.skipped_bytes > 0);
    }
}

TEST_CASE("waveshare: a flood of garbage holds nothing up and yields no frame; after it the first frame is heard")
{
    TemporaryFolder folder;
    FarProcess far{folder / "can", [](int line, int) {
                       far::wait_for_bytes(line);
                       Chance chance{3};
                       Bytes noise(4096);
                       for (const Instant end = monotonic_now() + 4s; monotonic_now() < end;) {
                           for (auto& byte : noise) byte = chance.byte();
                           far::write_all(line, noise);
                       }
                       far::sleep(50ms);
                       far::write_all(line, encoded(numbered(1), Framing::fixed));
                       far::sleep(10s);
                   }};
    House house{spec_of(folder / "can")};
    REQUIRE(house.active());
    const Metronome metronome{house.loop.base};
    REQUIRE(house.until([&] { return !house.listener.heard.empty(); }, 20s));
    CHECK(house.listener.heard[0].frame == numbered(1));
    CHECK(house.listener.heard.size() == 1);
    CHECK(house.port->status().counters.skipped_bytes > 100'000);
    CAPTURE(metronome.longest);
    CAPTURE(metronome.busiest);
    CHECK(metronome.kept());
    CHECK(house.log.count("bytes come, but no frame: the adapter's line does not run at 2000000 baud") == 1);
}

TEST_CASE("waveshare: an adapter that is pulled and plugged in again under another name goes on")
{
    TemporaryFolder folder;
    const auto play = [](int line, int) {
        far::wait_for_bytes(line);
        for (unsigned n = 0; n < 500; ++n) {
            far::write_all(line, encoded(numbered(n), Framing::fixed));
            far::sleep(20ms);
        }
    };
    auto far = std::make_unique<FarProcess>(folder / "can", play);
    House house{spec_of(folder / "can")};
    REQUIRE(house.until([&] { return house.listener.heard.size() > 3; }));
    const unsigned turns = house.listener.turns;
    far->unplug();
    REQUIRE(house.until([&] { return house.port->status().state == BusState::missing; }));
    CHECK(house.listener.turns > turns);
    CHECK(house.port->send(numbered(0)) == Sent::down);
    CHECK(house.log.count("was lost (unplugged)") == 1);
    far.reset();
    house.listener.heard.clear();
    far = std::make_unique<FarProcess>(folder / "can", play);
    REQUIRE(house.until([&] { return house.listener.heard.size() > 3; }));
    CHECK(house.listener.heard[0].frame == numbered(0));
    CHECK(house.port->status().state == BusState::active);
    CHECK(house.log.count("open: ") == 2);
}

TEST_CASE("waveshare: a line that nobody empties fills up, says so and holds nothing up")
{
    TemporaryFolder folder;
    Terminal far{folder / "can"};
    House house{spec_of(folder / "can")};
    REQUIRE(house.active());
    const Instant before = monotonic_now();
    unsigned sent = 0;
    while (house.port->send(numbered(sent)) == Sent::yes && sent < 100'000) ++sent;
    CHECK(house.port->send(numbered(0)) == Sent::full);
    CHECK(monotonic_now() - before < 1s);
    CHECK(house.port->status().counters.no_buffer >= 2);
    CHECK(house.port->status().counters.sent == sent);
    // What had been taken comes out whole and in order, and there is room again.
    Bytes said;
    REQUIRE(house.until([&] {
        said = said + far.read();
        return said.size() >= (sent + 1) * fixed_size;
    }));
    FixedParser parser{false};
    const auto heard = frames_of(packets(parser, said));
    CHECK(heard.size() == sent);
    CHECK(parser.counts.bad == 0);
    CHECK(house.port->send(numbered(0)) == Sent::yes);
}

TEST_CASE("waveshare: observing sends no frame, and says that the adapter acknowledges all the same")
{
    // SAFE-244
    TemporaryFolder folder;
    Terminal far{folder / "can"};
    BusSpec spec = spec_of(folder / "can");
    spec.listen_only = true;
    House house{spec};
    REQUIRE(house.active());
    CHECK(house.port->send(numbered(0)) == Sent::down);
    far.write(encoded(numbered(1), Framing::fixed));
    CHECK(house.until([&] { return house.listener.heard.size() == 1; }));
    CHECK(house.log.count("it acknowledges what others send") == 1);
    FixedParser parser{false};
    CHECK(frames_of(packets(parser, far.read())).empty());
}

TEST_CASE("waveshare: a driver that reads extended frames only has the adapter receive no others; a rate it cannot do is refused")
{
    TemporaryFolder folder;
    Terminal far{folder / "can"};
    constexpr std::array<RxRule, 1> extended{{{0x4200, true}}};
    House house{{.interface = "waveshare:" + folder / "can", .bitrate = 250'000, .receives = extended, .sends = {}}};
    REQUIRE(house.active());
    CHECK(far.read() == hex("AA 55 02 05 02 00 00 00 00 00 00 00 00 00 01 00 00 00 00 0A"));
    CHECK_THROWS_WITH(House({.interface = "waveshare:/dev/ttyUSB0", .bitrate = 83'333, .receives = {}, .sends = {}}),
        "waveshare:/dev/ttyUSB0: the adapter cannot do 83333 bit/s");
}
