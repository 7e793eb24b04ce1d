// The conversation with a Daly board: what is asked when, and what happens when no good answer comes.
#include "sim/chance.hpp"
#include "sim/daly_bms.hpp"
#include "tests/battery/daly_bench.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>

using namespace batgw;
using namespace batgw::test;

namespace {

struct Captured : DalyBench {
    explicit Captured(const std::function<void(BatteryConfig&)>& change = {}, std::optional<ContactorMode> mode = {})
        : DalyBench{change, mode}
    {
        play(captured_board());
    }
    std::vector<Instant> times_of(std::uint32_t command, Instant since = Instant::min()) const
    {
        std::vector<Instant> result;
        for (const Written& w : written)
            if (w.telegram.id == command && w.at >= since) result.push_back(w.at);
        return result;
    }
    std::size_t asked_since(std::uint32_t command, Instant since) const { return times_of(command, since).size(); }
};

}  // namespace

TEST_CASE("each question has its beat, and those asked once are asked once")
{
    Captured b;
    b.live(10s);
    const Instant from = b.now;
    b.live(60s);
    const auto about = [&](std::uint32_t command, std::size_t times) {
        CAPTURE(command);
        const std::size_t n = b.asked_since(command, from);
        CHECK(n <= times + 1);
        CHECK(n + 4 >= times);
    };
    for (const std::uint32_t id : {0x90U, 0x93U, 0x98U}) about(id, 60);
    about(0x91, 30);
    about(0x92, 20);
    about(0x95, 12);
    for (const std::uint32_t id : {0x94U, 0x96U, 0x97U}) about(id, 6);
    for (const std::uint32_t id : {0x50U, 0x51U, 0x52U, 0x53U, 0x54U, 0x57U, 0x59U})
        CHECK(b.asked[id] == 1);  // no answer: normal
    CHECK(b.state().reported.empty());
    for (const std::uint32_t id : {0x00U, 0x21U, 0xD8U, 0xD9U, 0xDAU}) CHECK(b.asked[id] == 0);
}

TEST_CASE("one question at a time, after 50 ms of silence")
{
    Captured b;
    std::optional<Instant> open;
    Instant last_byte{};
    b.answer_time = 80ms;
    const auto on_written = b.on_written;
    b.on_written = [&](const Telegram& t) {
        CHECK(b.now - last_byte >= 50ms);
        if (open) CHECK(b.now - *open >= 80ms);
        open = b.now;
        last_byte = b.now + 80ms;
        on_written(t);
    };
    b.live(30s);
    CHECK(b.written.size() > 100);
}

TEST_CASE("no answer: three more tries, 500 ms each, and the others get their turn between")
{
    Captured b;
    b.live(15s);
    b.answers.erase(0x92);
    const Instant from = b.now;
    b.live(6s);
    const auto tries = b.times_of(0x92, from);
    REQUIRE(tries.size() >= 4);
    for (std::size_t i = 1; i < 4; ++i) {
        CHECK(tries[i] - tries[i - 1] >= 500ms);
        CHECK(tries[i] - tries[i - 1] <= 1200ms);
    }
    CHECK(b.asked_since(0x90, from) >= 4);
    CHECK(b.state().voltage.is_fresh(b.now));
    CHECK(b.state().charge_allowed.is_fresh(b.now));
    // It was answered before, so it is asked again and again, not once a minute.
    b.live(30s);
    CHECK(b.asked_since(0x92, b.now - 10s) >= 3);
    CHECK_FALSE(b.reports("no_answer_0x92"));
    b.answers[0x92] = captured_board().at(0x92);
    b.live(4s);
    CHECK(b.state().temperature_min.is_fresh(b.now));
}

TEST_CASE("a question never answered is given up after five tries and asked once a minute")
{
    Captured b;
    b.answers.erase(0x97);
    b.live(40s);
    CHECK(b.asked[0x97] == 5);
    CHECK(b.reports("no_answer_0x97"));
    const Instant from = b.now;
    b.live(120s);
    CHECK(b.asked_since(0x97, from) == 2);
    b.answers[0x97] = captured_board().at(0x97);
    b.live(70s);
    CHECK_FALSE(b.reports("no_answer_0x97"));
    CHECK(b.state().balancing.is_fresh(b.now));
}

TEST_CASE("a board that never tells its switches or its faults gets no power, and says why")
{
    for (const std::uint32_t command : {0x93U, 0x98U}) {
        const std::string code = command == 0x93 ? "no_answer_0x93" : "no_answer_0x98";
        CAPTURE(code);
        Captured b;
        b.answers.erase(command);
        b.live(30s);
        CHECK_FALSE(b.state().charge_allowed.is_fresh(b.now));
        CHECK_FALSE(b.state().discharge_allowed.is_fresh(b.now));
        REQUIRE(b.reports(code));
        for (const ReportedFault& f : b.state().reported) {
            CHECK(f.level == FaultClass::block);
            CHECK(f.direction == Direction::both);
        }
    }
}

TEST_CASE("cells and temperatures step in where the extremes are never told")
{
    Captured b;
    b.answers.erase(0x91);
    b.answers.erase(0x92);
    b.live(60s);
    CHECK(b.state().cell_voltage_max.fresh(b.now) == 3784_mV);
    CHECK(b.state().cell_voltage_min.fresh(b.now) == 3740_mV);
    CHECK(b.state().cell_voltage_min.source() == 0x95);
    CHECK(b.state().temperature_min.fresh(b.now) == 21_degC);
    CHECK(b.state().temperature_min.source() == 0x96);
    for (int i = 0; i < 60; ++i) {
        b.live(1s);
        CHECK(b.state().cell_voltage_max.is_fresh(b.now));
        CHECK(b.state().temperature_max.is_fresh(b.now));
    }
}

TEST_CASE("a sensor that is missing leaves the lowest temperature unknown")
{
    Captured b;
    b.answers.erase(0x92);
    b.answers[0x94] = "94 0E 02 00 00 02 00 00 20";
    b.answers[0x96] = "96 01 3D 00 00 00 00 00 00";
    b.live(60s);
    const auto sensors = b.state().temperatures.fresh(b.now);
    REQUIRE(sensors);
    CHECK(sensors->count == 2);
    CHECK((*sensors)[0] == 21_degC);
    CHECK_FALSE((*sensors)[1]);
    CHECK(b.state().temperature_min.quality(b.now) == Quality::never);
}

TEST_CASE("0x80 is tried where 0x40 is never answered")
{
    Captured b;
    b.deaf = true;
    b.live(2500ms);
    REQUIRE(b.written.size() >= 5);
    for (const Written& w : b.written) CHECK(w.telegram.id == 0x90);
    for (std::size_t i = 0; i < 4; ++i) CHECK(b.written[i].telegram.data[1] == 0x40);
    CHECK(b.written[4].telegram.data[1] == 0x80);
    b.deaf = false;
    b.live(10s);
    CHECK(b.state().voltage.is_fresh(b.now));
    CHECK(std::all_of(b.written.begin() + 4, b.written.end(), [](const Written& w) { return w.telegram.data[1] == 0x80; }));
}

TEST_CASE("a fixed address, or another board than the first, has no second address")
{
    for (const bool fixed : {true, false}) {
        Captured b{[fixed](BatteryConfig& c) {
            if (fixed)
                c.options.set("host_address", std::string{"0x40"});
            else
                c.options.set("board", std::int64_t{3});
        }};
        b.deaf = true;
        b.live(60s);
        for (const Written& w : b.written) CHECK(w.telegram.data[1] == (fixed ? 0x40 : 0x42));
        CHECK(b.written.size() >= 12);
        CHECK(b.written.size() <= 16);
    }
}

TEST_CASE("a silent board is asked for its totals only, slowly, by both addresses in turn")
{
    Captured b;
    b.live(20s);
    b.deaf = true;
    b.live(15s);  // ten seconds without totals: offline
    const Instant from = b.now;
    b.live(60s);
    std::size_t upper = 0, uart = 0;
    for (const Written& w : b.written) {
        if (w.at < from) continue;
        CHECK(w.telegram.id == 0x90);
        ++(w.telegram.data[1] == 0x40 ? upper : uart);
    }
    CHECK(upper >= 8);
    CHECK(upper <= 12);
    CHECK(uart >= 8);
    CHECK(uart <= 12);
    CHECK_FALSE(b.state().voltage.is_fresh(b.now));
    b.deaf = false;
    b.live(9s);
    CHECK(b.state().voltage.is_fresh(b.now));
    CHECK(b.state().charge_allowed.is_fresh(b.now));
    CHECK(b.written.back().telegram.data[1] == 0x40);
}

TEST_CASE("a sleeping board only echoes: after three it is called asleep, until it answers")
{
    Captured b;
    const auto on_written = b.on_written;
    bool asleep = true;
    b.on_written = [&](const Telegram& t) {
        if (asleep)
            b.read(t.bytes());
        else
            on_written(t);
    };
    b.live(1s);
    CHECK_FALSE(b.reports("asleep"));
    b.live(2s);
    CHECK(b.reports("asleep"));
    CHECK_FALSE(b.state().heard);
    b.live(30s);
    asleep = false;
    b.live(8s);
    CHECK_FALSE(b.reports("asleep"));
    CHECK(b.state().voltage.is_fresh(b.now));
}

TEST_CASE("an adapter that hears itself does no harm")
{
    Captured b;
    const auto on_written = b.on_written;
    b.on_written = [&](const Telegram& t) {
        b.read(t.bytes());
        on_written(t);
    };
    b.live(30s);
    CHECK_FALSE(b.reports("asleep"));
    CHECK(b.state().voltage.is_fresh(b.now));
    CHECK(b.state().cells.is_fresh(b.now));
    CHECK(b.count(Heard::not_mine) == b.written.size());
    CHECK(b.count(Heard::bad_checksum) == 0);
}

TEST_CASE("a late answer to an earlier question is used, and the wait for ours goes on")
{
    Captured b;
    b.live(15s);
    b.deaf = true;
    b.live(1s);
    for (const auto before = b.written.size(); b.written.size() == before;) b.live(5ms);
    const auto was = b.written.size();  // under way
    const std::uint32_t under_way = b.written.back().telegram.id;
    const std::uint32_t other = under_way == 0x91 ? 0x92 : 0x91;
    const auto samples = [&] { return b.state().cell_voltage_max.samples() + b.state().temperature_max.samples(); };
    const auto before = samples();
    b.read(captured_board().at(other));
    CHECK(samples() > before);
    b.live(100ms);
    CHECK(b.written.size() == was);
}

TEST_CASE("another board's answer first: ours is waited for")
{
    DalyBench b{[](BatteryConfig& c) { c.options.set("board", std::int64_t{2}); }};
    b.answers[0x90] = "A5 01 90 08 02 10 00 00 75 30 01 F4 EA A5 02 90 08 02 0E 00 00 75 30 02 EE E4";
    b.live(5s);
    CHECK(b.state().voltage.fresh(b.now) == 52.6_V);
}

TEST_CASE("five damaged answers in a row make a reading bad at once, ten good ones good again")
{
    // SAFE-024
    Captured b;
    b.live(15s);
    REQUIRE(b.state().temperature_min.is_fresh(b.now));
    b.answers[0x92] = "A5 01 92 08 3D 01 3D 01 9C 09 01 F4 57";
    b.live(1s);
    CHECK(b.state().temperature_min.quality(b.now) != Quality::bad);
    b.live(20s);
    CHECK(b.state().temperature_min.quality(b.now) == Quality::bad);
    CHECK(b.state().voltage.is_fresh(b.now));
    b.answers[0x92] = captured_board().at(0x92);
    b.live(20s);
    CHECK(b.state().temperature_min.quality(b.now) == Quality::bad);
    b.live(20s);
    CHECK(b.state().temperature_min.is_fresh(b.now));
}

TEST_CASE("every answer that is damaged takes only its own readings with it")
{
    // SAFE-024
    const std::map<std::uint32_t, std::function<Quality(const BatteryState&, Instant)>> reading{
        {0x90, [](const BatteryState& s, Instant t) { return s.current.quality(t); }},
        {0x91, [](const BatteryState& s, Instant t) { return s.cell_voltage_min.quality(t); }},
        {0x92, [](const BatteryState& s, Instant t) { return s.temperature_max.quality(t); }},
        {0x93, [](const BatteryState& s, Instant t) { return s.contactor.quality(t); }},
        {0x98, [](const BatteryState& s, Instant t) { return s.discharge_allowed.quality(t); }},
    };
    for (const auto& each : reading) {
        const auto& [broken, ask] = each;
        CAPTURE(each.first);
        Captured b;
        b.live(15s);
        CHECK(ask(b.state(), b.now) == Quality::fresh);
        b.answers[broken] = "A5 01 " + hex(std::array{static_cast<std::uint8_t>(broken)}) + " 08 00 00 00 00 00 00 00 00 00";
        b.live(broken == 0x90 ? 6s : 45s);
        CHECK(ask(b.state(), b.now) == Quality::bad);
        // The flags are there when switches and faults are.
        if (broken == 0x93) continue;
        for (const auto& [other, ask_other] : reading)
            if (other != broken && broken != 0x90) CHECK(ask_other(b.state(), b.now) != Quality::bad);
    }
}

TEST_CASE("a life counter that stands still for ten answers is a frozen board")
{
    // SAFE-024
    Captured b;
    b.live(15s);
    REQUIRE(b.state().charge_allowed.is_fresh(b.now));
    b.frozen = true;
    b.live(8s);
    CHECK(b.state().charge_allowed.is_fresh(b.now));
    b.live(4s);
    CHECK(b.state().charge_allowed.quality(b.now) == Quality::bad);
    CHECK(b.state().discharge_allowed.quality(b.now) == Quality::bad);
    CHECK(b.state().contactor.quality(b.now) == Quality::bad);
    CHECK(b.count(Heard::bad_counter) >= 1);
    b.frozen = false;
    b.live(15s);
    CHECK(b.state().charge_allowed.is_fresh(b.now));
}

TEST_CASE("answers cut and joined anywhere mean the same")
{
    for (const std::size_t size : {1U, 5U, 13U, 30U, 64U}) {
        CAPTURE(size);
        Captured whole;
        const Bytes all = bytes(captured_board().at(0x94) + captured_board().at(0x94) + captured_board().at(0x90) +
            captured_board().at(0x91) + captured_board().at(0x95) + captured_board().at(0x92));
        for (std::size_t i = 0; i < all.size(); i += size) whole.read(std::span{all}.subspan(i, std::min(size, all.size() - i)));
        CHECK(whole.state().voltage.fresh(whole.now) == 52.8_V);
        CHECK(whole.state().cells.is_fresh(whole.now));
        CHECK(whole.state().temperature_max.fresh(whole.now) == 21_degC);
    }
}

TEST_CASE("half a frame and then 200 ms of nothing is thrown away")
{
    Captured b;
    b.read("A5 01 90 08 02 10");
    b.now += 199ms;
    b.read("00 00 75 30 01 F4 EA");
    CHECK(b.state().voltage.fresh(b.now) == 52.8_V);
    Captured c;
    c.read("A5 01 90 08 02 10");
    c.now += 200ms;
    CHECK(c.read("00 00 75 30 01 F4 EA")[static_cast<std::size_t>(Heard::bad_length)] == 1);
    CHECK_FALSE(c.state().heard);
    CHECK(c.read("")[0] == 0);
}

TEST_CASE("a start byte inside data does not lose the frame behind it")
{
    Captured b;
    // Made up: a broken frame full of start bytes, the true one right behind.
    b.read("A5 01 A5 08 A5 A5 01 90 08 02 10 00 00 75 30 01 F4 EA");
    CHECK(b.state().voltage.fresh(b.now) == 52.8_V);
    // A right start with a wrong length.
    CHECK(b.read("A5 01 90 09 A5 01 90 08 02 11 00 00 75 30 01 F4 EB")[static_cast<std::size_t>(Heard::bad_length)] == 1);
    CHECK(b.state().voltage.fresh(b.now) == 52.9_V);
}

TEST_CASE("a flood never yields a reading, and the next exchange after it is good")
{
    sim::Chance chance{5};
    Captured b;
    b.live(15s);
    b.deaf = true;
    const auto noise = [&](Duration time) {
        const Instant end = b.now + time;
        while (b.now < end) {
            Bytes data(64);
            for (auto& x : data) x = static_cast<std::uint8_t>(chance.bits());
            b.read(data);
            b.live(10ms);
        }
    };
    const auto used = b.count(Heard::used);
    noise(15s);
    CHECK(b.count(Heard::used) <= used + 1);
    CHECK_FALSE(b.state().voltage.is_fresh(b.now));
    // Questions still go out, about one in two seconds.
    const auto written = b.written.size();
    noise(20s);
    CHECK(b.written.size() > written);
    CHECK(b.written.size() < written + 30);
    b.deaf = false;
    auto samples = b.state().voltage.samples();
    b.live(5500ms);  // the slow beat of a board that was away
    CHECK(b.state().voltage.samples() > samples);
    b.live(15s);  // five wrong answers want ten good ones
    CHECK(b.state().voltage.is_fresh(b.now));
    // While online one exchange is enough.
    b.live(15s);
    noise(300ms);
    samples = b.state().voltage.samples();
    b.live(2500ms);
    CHECK(b.state().voltage.samples() > samples);
    CHECK(b.state().voltage.is_fresh(b.now));
}

TEST_CASE("answers with other things between them are found")
{
    Captured b;
    for (auto& [command, text] : b.answers)
        if (text.starts_with("A5")) text = "00 00 FF " + text;
    b.live(20s);
    CHECK(b.state().voltage.is_fresh(b.now));
    CHECK(b.state().soc.is_fresh(b.now));
    CHECK(b.state().cells.is_fresh(b.now));
}

TEST_CASE("facts wait for cells, capacity and limits, and do not change afterwards")
{
    Captured b;
    b.play(
        {{0x50, "50 00 01 86 A0 00 00 0C 80"}, {0x59, "59 0F A0 10 36 0C E4 0D 48"}});  // 100 Ah, 3200 mV; 4.0, 4.15, 3.3, 3.4 V
    b.live(1s);
    CHECK_FALSE(b.driver->facts().cells);
    b.live(10s);
    const PackFacts f = b.driver->facts();
    CHECK(f.cells == 14U);
    CHECK(f.energy_rated == 4480_Wh);
    // LFP by default: the general limits are stricter above, the board's below.
    CHECK(f.voltage_max == 50.4_V);
    CHECK(f.voltage_min == 47.6_V);
    b.live(60s);
    CHECK(b.driver->facts().voltage_min == f.voltage_min);
}

TEST_CASE("facts: the board only tightens what is configured")
{
    const auto facts = [](const std::function<void(BatteryConfig&)>& change, const std::string& limits) {
        Captured b{change};
        if (!limits.empty()) b.answers[0x59] = limits;
        b.live(12s);
        return b.driver->facts();
    };
    const auto nmc = [](BatteryConfig& c) { c.chemistry = Chemistry::nmc; };
    CHECK(facts(nmc, "").voltage_max == 4180_mV * 14);
    CHECK(facts(nmc, "").voltage_min == 3_V * 14);
    CHECK(facts(nmc, "59 10 04 0F A0 0C 80 0C E4").voltage_max == 4_V * 14);      // 4.1 and 4.0 V
    CHECK(facts(nmc, "59 10 04 0F A0 0C 80 0C E4").voltage_min == 3300_mV * 14);  // 3.2 and 3.3 V
    CHECK(facts(nmc, "59 13 24 13 88 07 D0 07 D1").voltage_max == 4180_mV * 14);  // looser ones change nothing
    CHECK(facts(nmc, "59 13 24 13 88 07 D0 07 D1").voltage_min == 3_V * 14);
    const auto written = facts(
        [](BatteryConfig& c) {
            c.chemistry = Chemistry::nmc;
            c.voltage_max = 55_V;
            c.voltage_min = 46_V;
            c.capacity = 3_kWh;
        },
        "");
    CHECK(written.voltage_max == 55_V);
    CHECK(written.voltage_min == 46_V);
    CHECK(written.energy_rated == 3_kWh);
    CHECK(written.voltage_nominal == 50.5_V);
    CHECK_FALSE(facts(nmc, "").energy_rated);
}

TEST_CASE("the counters are asked for again every hour")
{
    Captured b;
    b.answers[0x52] = "52 00 00 04 D2 00 00 04 B0";
    b.live(20s);
    CHECK(b.state().charge_in.fresh(b.now) == 1234_Ah);
    CHECK(b.state().charge_out.fresh(b.now) == 1200_Ah);
    CHECK(b.asked[0x52] == 1);
    b.live(3600s);
    CHECK(b.asked[0x52] == 2);
    b.answers.erase(0x52);
    b.live(3660s);
    CHECK(b.asked[0x52] >= 3);  // and where one answer is lost, a minute later
}

TEST_CASE("with losses, damage, echoes and chatter the simulated board is read all the same")
{
    for (const std::string_view trouble : {"lose 20", "damage 10", "chatter on", "echo on", "frames all", "frames more", "base 0",
             "order backwards", "delay 100"}) {
        CAPTURE(trouble);
        Bench b{"daly-uart"};
        sim::DalyBms board{{}};
        board.command(trouble);
        const auto run = [&](Duration time) {
            const Instant end = b.now + time;
            while (b.now < end) {
                b.now += 5ms;
                Outbox out;
                board.on_tick(b.now, out);
                for (const Telegram& t : out.telegrams()) b.read(t.bytes());
                const auto before = b.written.size();
                if (b.now >= b.wake) b.tick();
                for (auto i = before; i < b.written.size(); ++i) board.on_bytes(b.written[i].telegram.bytes(), b.now);
            }
        };
        run(30s);
        unsigned fresh = 0;
        for (int i = 0; i < 100; ++i) {
            run(1s);
            if (b.state().voltage.is_fresh(b.now) && b.state().charge_allowed.is_fresh(b.now) &&
                b.state().cell_voltage_max.is_fresh(b.now))
                ++fresh;
            if (const auto v = b.state().voltage.fresh(b.now)) CHECK(magnitude(*v - board.pack_voltage()) <= 1_V);
            if (const auto cells = b.state().cells.fresh(b.now))
                for (std::size_t n = 0; n < cells->count; ++n)
                    CHECK(magnitude(*(*cells)[n] -
                              Voltage::from_milli(static_cast<std::int64_t>(
                                  1000 * board.cells().cell_voltage(static_cast<unsigned>(n))))) <= 20_mV);
        }
        CHECK(fresh >= (trouble == "lose 20" || trouble == "damage 10" ? 80U : 100U));
        CHECK(b.state().cells.is_fresh(b.now));
    }
}
