// Answers of several frames: cells and temperatures as a whole or not at all.
#include "battery/daly_stream.hpp"
#include "model/chemistry.hpp"
#include "tests/battery/daly_bench.hpp"

#include <doctest/doctest.h>

#include <string>

using namespace batgw;
using namespace batgw::test;

namespace {

// 14 cells known, totals and extremes heard, a question for cells just sent or not: the frames tell.
struct Ready : DalyBench {
    explicit Ready(const std::function<void(BatteryConfig&)>& change = {}) : DalyBench{change}
    {
        for (const std::uint32_t id : {0x94U, 0x94U, 0x90U, 0x91U}) read(captured_board().at(id));
    }
    std::vector<Bytes> frames() const
    {
        const Bytes all = bytes(captured_board().at(0x95));
        std::vector<Bytes> result;
        for (std::size_t i = 0; i < all.size(); i += 13)
            result.emplace_back(all.begin() + static_cast<std::ptrdiff_t>(i), all.begin() + static_cast<std::ptrdiff_t>(i + 13));
        return result;
    }
    bool has_cells() const { return state().cells.is_fresh(now); }
};

// The same frame with another number.
Bytes numbered(const Bytes& frame, std::uint8_t number)
{
    Bytes f = frame;
    f[12] = static_cast<std::uint8_t>(f[12] - f[4] + number);
    f[4] = number;
    return f;
}

Bytes with_cell(const Bytes& frame, std::size_t slot, unsigned millivolts)
{
    std::string text = hex(std::span{frame}.subspan(2, 1)) + " " + hex(std::span{frame}.subspan(4, 8));
    Bytes d = bytes(text);
    d[2 + 2 * slot] = static_cast<std::uint8_t>(millivolts >> 8);
    d[3 + 2 * slot] = static_cast<std::uint8_t>(millivolts);
    return telegram(hex(d));
}

}  // namespace

TEST_CASE("cells: placed by number, in whatever order they come")
{
    Ready b;
    auto f = b.frames();
    for (const std::size_t i : {4U, 2U, 0U, 1U, 3U}) {
        CHECK_FALSE(b.has_cells());
        b.read(f[i]);
    }
    REQUIRE(b.has_cells());
    CHECK((*b.state().cells.last())[0] == 3776_mV);
    CHECK((*b.state().cells.last())[8] == 3740_mV);
    CHECK((*b.state().cells.last())[13] == 3776_mV);
    CHECK(b.state().cells.last()->count == 14);
}

TEST_CASE("cells: a stream that begins with 0 counts from 0")
{
    Ready b;
    auto f = b.frames();
    for (std::size_t i = 0; i < 5; ++i) b.read(numbered(f[i], static_cast<std::uint8_t>(i)));
    REQUIRE(b.has_cells());
    CHECK((*b.state().cells.last())[0] == 3776_mV);
    CHECK((*b.state().cells.last())[8] == 3740_mV);
}

TEST_CASE("cells: a 0 behind other numbers leaves open how they are counted, and the set is discarded")
{
    Ready b;
    auto f = b.frames();
    for (const std::size_t i : {1U, 0U, 2U, 3U, 4U}) b.read(numbered(f[i], static_cast<std::uint8_t>(i)));
    for (std::uint8_t n = 5; n < 16; ++n) b.read(numbered(f[4], n));
    CHECK_FALSE(b.has_cells());
}

TEST_CASE("cells: sixteen frames where five are needed, and numbers that no frame has")
{
    Ready b;
    auto f = b.frames();
    for (std::uint8_t n = 0; n < 5; ++n) b.read(f[n]);
    const auto samples = b.state().cells.samples();
    CHECK(samples == 1);
    for (std::uint8_t n = 6; n <= 16; ++n) CHECK(b.read(numbered(f[4], n))[0] == 1);
    CHECK(b.state().cells.samples() == samples);
    CHECK(b.read(numbered(f[4], 17))[static_cast<std::size_t>(Heard::implausible)] == 1);
    CHECK(b.read(numbered(f[4], 0xFF))[static_cast<std::size_t>(Heard::implausible)] == 1);
    // Those too many may also come first, out of order.
    b.now += 1s;
    for (std::uint8_t n = 6; n <= 16; ++n) b.read(numbered(f[4], n));
    for (std::uint8_t n = 0; n < 5; ++n) b.read(f[n]);
    CHECK(b.state().cells.samples() == samples + 1);
}

TEST_CASE("cells: a number that comes again overwrites")
{
    Ready b;
    auto f = b.frames();
    b.read(with_cell(f[0], 0, 3760));
    for (const Bytes& x : f) b.read(x);
    REQUIRE(b.has_cells());
    CHECK((*b.state().cells.last())[0] == 3776_mV);
}

TEST_CASE("cells: one frame missing or damaged and the old set stays, with its old time")
{
    for (const bool damaged : {false, true}) {
        Ready b;
        auto f = b.frames();
        for (const Bytes& x : f) b.read(x);
        const Instant then = b.now;
        b.now += 5s;
        for (std::size_t i = 0; i < 5; ++i) {
            Bytes x = f[i];
            if (i == 2 && damaged) x[7] ^= 0x10;
            if (i != 2 || damaged) b.read(x);
        }
        CHECK(b.state().cells.at() == then);
        CHECK(b.state().cells.samples() == 1);
        // After 200 ms of silence the rest of it belongs to nothing.
        b.now += 201ms;
        b.read(f[2]);
        CHECK(b.state().cells.samples() == 1);
    }
}

TEST_CASE("cells: damage after all that are needed does not matter")
{
    Ready b;
    auto f = b.frames();
    for (const Bytes& x : f) b.read(x);
    Bytes broken = numbered(f[4], 6);
    broken[8] ^= 1;
    b.read(broken);
    CHECK(b.has_cells());
}

TEST_CASE("cells: unknown count, no cells")
{
    DalyBench b;
    for (const std::uint32_t id : {0x90U, 0x91U, 0x95U, 0x96U}) b.read(captured_board().at(id));
    CHECK(b.state().cells.quality(b.now) == Quality::never);
    CHECK(b.state().temperatures.quality(b.now) == Quality::never);
}

TEST_CASE("cells: a cell of zero is a broken reading, not a flat cell")
{
    Ready b;
    auto f = b.frames();
    f[1] = with_cell(f[1], 1, 0);
    for (const Bytes& x : f) b.read(x);
    CHECK_FALSE(b.has_cells());
    CHECK(b.state().cell_gap);
    for (const Bytes& x : b.frames()) b.read(x);  // same silence: belongs to the set that is over
    b.now += 1s;
    for (const Bytes& x : b.frames()) b.read(x);
    CHECK(b.has_cells());
    CHECK_FALSE(b.state().cell_gap);
}

TEST_CASE("cells: 0.5 to 5 V each")
{
    for (const auto& [mv, good] : {std::pair{499U, false}, std::pair{5001U, false}}) {
        Ready b;
        auto f = b.frames();
        f[3] = with_cell(f[3], 0, mv);
        for (const Bytes& x : f) b.read(x);
        CHECK(b.has_cells() == good);
    }
}

TEST_CASE("cells: the sum must be that of the totals, within 2 %")
{
    // 52.878 V in all; 0x90 may say 51.9 to 53.9.
    struct Case {
        const char* totals;
        bool good;
    };
    for (const Case& c : {Case{"90 02 08 00 00 75 30 01 F4", true}, Case{"90 02 06 00 00 75 30 01 F4", false},
             Case{"90 02 1B 00 00 75 30 01 F4", true}, Case{"90 02 1C 00 00 75 30 01 F4", false}}) {
        CAPTURE(c.totals);
        Ready b;
        b.read(telegram(c.totals));
        for (const Bytes& x : b.frames()) b.read(x);
        CHECK(b.has_cells() == c.good);
    }
    // Without totals nothing can be said.
    Ready old;
    old.now += 20s;
    old.read(captured_board().at(0x91));
    for (const Bytes& x : old.frames()) old.read(x);
    CHECK_FALSE(old.has_cells());
}

TEST_CASE("cells: highest and lowest must be those of 0x91 within 30 mV, below 20 A")
{
    const auto taken = [](const std::string& extremes, const std::string& totals) {
        Ready b;
        b.now += 11s;
        b.read(telegram(totals));
        if (!extremes.empty()) b.read(telegram(extremes));
        for (const Bytes& x : b.frames()) b.read(x);
        return b.has_cells();
    };
    const std::string idle = "90 02 10 00 00 75 30 01 F4", loaded = "90 02 10 00 00 75 F8 01 F4";  // 20.0 A
    CHECK(taken("91 0E E6 05 0E 9C 09 00 00", idle));                                              // 3814
    CHECK_FALSE(taken("91 0E E7 05 0E 9C 09 00 00", idle));                                        // 3815
    CHECK(taken("91 0E C8 05 0E 7E 09 00 00", idle));                                              // 3710
    CHECK_FALSE(taken("91 0E C8 05 0E 7D 09 00 00", idle));
    CHECK(taken("91 0E E7 05 0E 9C 09 00 00", loaded));
    CHECK_FALSE(taken("91 0E E7 05 0E 9C 09 00 00", "90 02 10 00 00 75 F7 01 F4"));  // 19.9 A
    CHECK_FALSE(taken("", idle));
}

TEST_CASE("cells: one refused set in a while is normal, two in a row are told")
{
    DalyBench b;
    b.play(captured_board());
    b.live(15s);
    CHECK_FALSE(b.reports("cells_disagree"));
    b.answers[0x91] = "91 0F 00 05 0E 9C 09 00 00";
    b.live(20s);
    CHECK(b.reports("cells_disagree"));
    b.answers[0x91] = captured_board().at(0x91);
    b.live(20s);
    CHECK_FALSE(b.reports("cells_disagree"));
}

TEST_CASE("cells: bytes that belong to nothing may have been a frame that counted from 0")
{
    DalyBench b;
    b.play(captured_board());
    b.live(15s);
    const auto samples = b.state().cells.samples();
    REQUIRE(samples > 0);
    // Eight or more before the first frame of an answer: its set is not believed. Two are: boards are seen to send them.
    b.answers[0x95] = "00 00 00 00 00 00 00 00 00 00 00 00 " + captured_board().at(0x95);
    for (auto& c : b.answers[0x95])
        if (c == '\n') c = ' ';
    b.answers[0x95] = "A5 12 00 00 00 00 00 00 00 00 00 " + captured_board().at(0x95);
    b.live(12s);
    CHECK(b.state().cells.samples() == samples);
    b.answers[0x95] = captured_board().at(0x95);
    b.live(12s);
    CHECK(b.state().cells.samples() > samples);
}

TEST_CASE("temperatures: one frame needed, two sent; seven to a frame")
{
    Ready b;
    CHECK(b.read(captured_board().at(0x96))[0] == 2);
    CHECK(b.state().temperatures.samples() == 1);
    b.read("A5 01 94 08 0E 09 00 00 02 00 00 20 7B");
    b.read("A5 01 94 08 0E 09 00 00 02 00 00 20 7B");
    b.now += 1s;
    b.read(telegram("96 01 3D 3E 3F 40 41 42 43"));
    CHECK(b.state().temperatures.samples() == 1);
    b.read(telegram("96 02 44 00 FF FF FF FF FF"));
    REQUIRE(b.state().temperatures.samples() == 2);
    const SensorTemperatures t = *b.state().temperatures.last();
    CHECK(t.count == 9);
    CHECK(t[6] == 27_degC);
    CHECK(t[7] == 28_degC);
    CHECK_FALSE(t[8]);
    CHECK(b.read(telegram("96 11 44 00 FF FF FF FF FF"))[static_cast<std::size_t>(Heard::implausible)] == 1);
}

TEST_CASE("a board without sensors is not asked for them")
{
    DalyBench b;
    b.play(captured_board());
    b.answers[0x94] = "94 0E 00 00 00 02 00 00 20";
    b.live(40s);
    CHECK(b.asked[0x96] == 0);
    CHECK(b.read(captured_board().at(0x96))[static_cast<std::size_t>(Heard::not_mine)] == 2);
}

TEST_CASE("a stream: what it takes, frame by frame")
{
    daly::Stream s;
    const auto take = [&](std::uint8_t n, std::size_t needed, Instant at) {
        CanFrame f{.id = 0x95};
        f.data[0] = n;
        return s.take(f, needed, at);
    };
    using T = daly::Stream::Taken;
    const Instant t{1h};
    CHECK(take(1, 2, t) == T::more);
    CHECK(take(2, 2, t + 200ms) == T::complete);
    CHECK(take(3, 2, t + 400ms) == T::surplus);
    CHECK(take(1, 2, t + 601ms) == T::more);  // more than 200 ms: a new one
    CHECK(take(3, 2, t + 601ms) == T::surplus);
    s.spoil();
    CHECK(take(2, 2, t + 602ms) == T::more);
    s.restart();
    CHECK(take(0, 16, t + 603ms) == T::more);
    CHECK(take(16, 16, t + 603ms) == T::invalid);  // from 0 to 15
    CHECK(s.begun());
}

TEST_CASE("a pack that states no limits waits longer before it is given more")
{
    SafetyConfig safety = default_safety(Chemistry::lfp);
    CHECK(safety.hold < 60s);
    find_battery_driver("daly-uart")->adjust({}, safety);
    CHECK(safety.hold == 60s);
    CHECK(safety.increase_settle == 30s);
}
