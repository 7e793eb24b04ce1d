// Who speaks when: start, identification, cycles, extra frames, loss in both directions. All frames here are made up unless
// named.
#include "tests/inverter/hvs_house.hpp"

#include <map>

using namespace batgw;
using namespace batgw::test;

namespace {

const std::vector<std::string> identification{"250#03290066015A0E09", "290#063710D900000000", "2D0#0042594400000000",
    "3D0#0042617474657279", "3D0#012D426F78205072", "3D0#02656D69756D2048", "3D0#0356530000000000"};
const std::vector<std::string> data_in_hold{
    "110#0F1C0BE400000000", "150#13A1264801F703E8", "1D0#0DB8007B00750308", "210#00F6FFF400000000", "190#0000030000000000"};

std::vector<std::string> whole_burst()
{
    std::vector<std::string> all = identification;
    all.insert(all.end(), data_in_hold.begin(), data_in_hold.end());
    return all;
}

// Keeps the inverter talking while time passes.
void run_with_inverter(House& h, Duration time)
{
    const Instant end = h.now + time;
    while (h.now < end) {
        h.hear("0D1#01F6000000000000");
        h.run(std::min<Duration>(1s, end - h.now));
    }
}

}  // namespace

TEST_CASE("byd_hvs: nothing is sent before an inverter spoke and battery data are valid")
{
    House h;
    h.run(30s);
    CHECK(h.sent.empty());
    h.verdict.battery_valid = true;
    h.run(30s);
    CHECK(h.sent.empty());  // valid, but nobody spoke to us
    h.verdict.battery_valid = false;
    h.hear("151#0100000000000000");
    h.run(5s);
    CHECK(h.sent.empty());  // spoken to, but not valid
    CHECK(h.state().phase == InverterPhase::silent);
    h.verdict.battery_valid = true;
    h.run(1s);
    CHECK(h.texts() == whole_burst());
    CHECK(h.state().phase == InverterPhase::hold);
}

TEST_CASE("byd_hvs: any sign of life starts the identification, seven frames in order and five with data")
{
    for (const std::string_view sign : {"151#0100000000000000", "151#00474F4F44574500", "091#0DB4FF4701380000",
             "0D1#01F6000000000000", "111#683C40C000000000", "191#0404001700010400"}) {
        CAPTURE(std::string{sign});
        House h;
        h.verdict.battery_valid = true;
        h.run(1s);
        h.hear(sign);
        const Instant asked = h.now;
        h.run(500ms);
        CHECK(h.texts() == whole_burst());
        REQUIRE(h.sent.size() == 12);
        CHECK(h.sent.front().at == asked);  // answered at once
        for (std::size_t i = 1; i < h.sent.size(); ++i) CHECK(h.sent[i].at - h.sent[i - 1].at == 10ms);
    }
}

TEST_CASE("byd_hvs: the burst is spread by the configured gap, one frame at a time")
{
    for (const std::int64_t gap : {1, 7, 20}) {
        CAPTURE(gap);
        House h{{{"burst_gap_ms", gap}}};
        h.verdict.battery_valid = true;
        h.hear("151#0100000000000000");
        h.run(500ms);
        CHECK(h.texts() == whole_burst());
        REQUIRE(h.sent.size() == 12);
        for (std::size_t i = 1; i < h.sent.size(); ++i) CHECK(h.sent[i].at - h.sent[i - 1].at == std::chrono::milliseconds{gap});
    }
}

TEST_CASE("byd_hvs: a call that comes too early does nothing")
{
    House h;
    h.verdict.battery_valid = true;
    h.hear("151#0100000000000000");
    for (int i = 0; i < 10; ++i) h.tick();
    CHECK(h.sent.size() == 1);
    h.run(5s);
    const auto before = h.sent.size();
    for (int i = 0; i < 10; ++i) h.tick();
    CHECK(h.sent.size() == before);
}

TEST_CASE("byd_hvs: without rated energy, window or a reading that must be shown there is no identification")
{
    struct Case {
        const char* what;
        void (*take_away)(House&);
    };
    const std::vector<Case> cases{
        {"energy", [](House& h) { h.verdict.pack.energy_rated.reset(); }},
        {"design maximum", [](House& h) { h.verdict.pack.voltage_max.reset(); }},
        {"design minimum", [](House& h) { h.verdict.pack.voltage_min.reset(); }},
        {"set point", [](House& h) { h.verdict.voltage_max.reset(); }},
        {"lower set point", [](House& h) { h.verdict.voltage_min.reset(); }},
        {"window upside down", [](House& h) { h.verdict.voltage_min = 400_V; }},
        {"voltage", [](House& h) { h.battery.voltage.forget(); }},
        {"soc", [](House& h) { h.battery.soc.forget(); }},
        {"highest temperature", [](House& h) { h.battery.temperature_max.forget(); }},
        {"lowest temperature", [](House& h) { h.battery.temperature_min.forget(); }},
    };
    for (const Case& c : cases) {
        CAPTURE(c.what);
        House h;
        h.verdict.battery_valid = true;
        c.take_away(h);
        h.hear("151#0100000000000000");
        h.run(3s);
        CHECK(h.sent.empty());
    }
}

TEST_CASE("byd_hvs: every request is answered with the whole burst, whatever the state")
{
    House h;
    h.start_running();
    const Instant asked = h.now;
    h.hear("151#0100000000000000");
    h.run(600ms);
    std::vector<std::string> identity_frames;
    for (const Sent& s : h.sent)
        if (s.frame.id >= 0x250) {
            identity_frames.push_back(text(s.frame));
            CHECK(s.at - asked <= 100ms);
        }
    CHECK(identity_frames == identification);
    for (const std::uint32_t id : {0x110U, 0x150U, 0x1D0U, 0x210U, 0x190U}) CHECK(h.times(id).back() > asked);
    CHECK(h.state().phase == InverterPhase::run);    // unchanged
    CHECK(h.last(0x110) == "110#0F1C0BE4012C00FA");  // and the limits stay

    h.verdict.ready = false;
    h.run(1s);
    REQUIRE(h.state().phase == InverterPhase::fault);
    h.sent.clear();
    h.hear("151#0100000000000000");
    h.run(600ms);
    CHECK(h.texts(0x3D0).size() == 4);
    CHECK(h.state().phase == InverterPhase::fault);
    CHECK(h.last(0x110) == "110#0F1C0BE400000000");
}

TEST_CASE("byd_hvs: a request without valid battery data is not answered")
{
    House h;
    h.start_running();
    h.verdict.battery_valid = h.verdict.ready = false;
    h.hear("151#0100000000000000");
    h.run(1s);
    CHECK(h.texts(0x250).empty());
    h.verdict.battery_valid = true;  // nor later: the inverter asks again
    h.run(1s);
    CHECK(h.texts(0x250).empty());
}

TEST_CASE("byd_hvs: a storm of requests floods nothing and starves nothing")
{
    House h;
    h.start_running();
    for (int i = 0; i < 1000; ++i) {
        h.hear("151#0100000000000000");
        h.run(5ms);
    }
    CHECK(h.sent.size() < 5 * 100 + 50);  // a frame per 10 ms at most, and the cyclic ones
    std::map<std::pair<std::uint32_t, std::uint8_t>, Instant> last;
    for (const Sent& s : h.sent) {
        const std::pair key{s.frame.id, s.frame.id == 0x3D0 ? s.frame.data[0] : std::uint8_t{0}};
        if (last.contains(key)) CHECK(s.at - last[key] >= 100ms);  // SAFE-091: the spacing of one id
        last[key] = s.at;
    }
    for (const std::uint32_t id : {0x250U, 0x110U, 0x150U, 0x1D0U, 0x210U, 0x190U}) CHECK(h.times(id).size() >= 30);
    h.sent.clear();
    h.run(1s);
    CHECK(h.texts(0x250).size() <= 2);  // it ends when the storm does
}

TEST_CASE("byd_hvs: frames keep their periods while the conversation lasts")
{
    House h;
    h.start_running();
    // awkward: every few seconds a request, a falling and a rising limit
    int turn = 0;
    const Instant begin = h.now;
    while (h.now - begin < 400s) {
        h.hear("0D1#01F6000000000000");
        ++turn;
        if (turn % 37 == 0) h.hear("151#0100000000000000");
        h.grant(Current::from_milli(20'000 + turn % 7 * 500), 30_A);
        h.run(Duration{970ms + 1ms * (turn % 50)});
    }
    const std::map<std::uint32_t, Duration> longest{
        {0x110, 2100ms}, {0x150, 10500ms}, {0x1D0, 10500ms}, {0x210, 10500ms}, {0x190, 61s}};
    for (const auto& [id, limit] : longest) {
        const auto times = h.times(id);
        CHECK(times.size() >= 6);
        for (std::size_t i = 1; i < times.size(); ++i) CHECK(times[i] - times[i - 1] <= limit);
    }
}

TEST_CASE("byd_hvs: undisturbed, the cycles are 2, 10 and 60 s")
{
    House h;
    h.start_running();
    run_with_inverter(h, 200s);
    const std::map<std::uint32_t, Duration> periods{{0x110, 2s}, {0x150, 10s}, {0x1D0, 10s}, {0x210, 10s}, {0x190, 60s}};
    for (const auto& [id, period] : periods) {
        const auto times = h.times(id);
        CHECK(times.size() >= 3);
        for (std::size_t i = 1; i < times.size(); ++i) CHECK(times[i] - times[i - 1] == period);
    }
    CHECK(h.texts(0x250).empty());
}

TEST_CASE("byd_hvs: a late call does not make the next interval too short, nor is anything caught up")
{
    House h;
    h.start_running();
    h.run(200ms);
    h.sent.clear();
    h.now += 7s;  // the process was held for 7 s
    h.judge();
    h.tick();
    CHECK(h.texts(0x110).size() == 1);
    const Instant late = h.now;
    run_with_inverter(h, 5s);
    CHECK(h.times(0x110)[1] - late >= 1800ms);
    CHECK(h.times(0x110)[1] - late <= 2100ms);
}

TEST_CASE("byd_hvs: limits are zero until all was well for the ready time")
{
    for (const double ready_s : {1.0, 5.0, 60.0}) {
        CAPTURE(ready_s);
        House h{{{"ready_s", ready_s}}};
        h.verdict.battery_valid = true;
        h.hear("151#0100000000000000");
        h.run(1s);
        h.verdict.ready = true;
        h.grant(25_A, 30_A);
        const Instant ready = h.now;
        const auto time = std::chrono::milliseconds{static_cast<int>(ready_s * 1000)};
        h.sent.clear();
        run_with_inverter(h, time - 200ms);
        CHECK(h.state().phase == InverterPhase::hold);
        for (const auto& t : h.texts(0x110)) CHECK(t == "110#0F1C0BE400000000");
        run_with_inverter(h, 2500ms);
        CHECK(h.state().phase == InverterPhase::run);
        CHECK(h.last(0x110) == "110#0F1C0BE4012C00FA");
        for (const Sent& s : h.sent)
            if (s.frame.id == 0x110 && s.at < ready + time) CHECK(text(s.frame) == "110#0F1C0BE400000000");
    }
}

TEST_CASE("byd_hvs: the ready time starts anew when anything was not well in between")
{
    House h;
    h.verdict.battery_valid = true;
    h.hear("151#0100000000000000");
    h.run(1s);
    h.verdict.ready = true;
    h.grant(25_A, 30_A);
    h.run(4500ms);
    h.verdict.ready = false;
    h.run(100ms);
    h.verdict.ready = true;
    h.run(4800ms);
    CHECK(h.state().phase == InverterPhase::hold);
    h.run(300ms);
    CHECK(h.state().phase == InverterPhase::run);
}

TEST_CASE("byd_hvs: a falling limit goes out at once, a rising one waits for the beat")
{
    House h;
    h.start_running();
    while (h.times(0x110).empty()) h.run(10ms);
    h.run(500ms);
    const Instant beat = h.times(0x110).back();
    REQUIRE(h.now - beat < 600ms);
    h.sent.clear();
    h.grant(25_A, 40_A);
    h.tick();
    CHECK(h.texts(0x110).empty());
    h.grant(20_A, 40_A);  // SAFE-091
    h.tick();
    CHECK(h.texts() == std::vector<std::string>{"110#0F1C0BE4019000C8"});
    CHECK(h.times(0x110).back() == h.now);
    run_with_inverter(h, 2s);
    CHECK(h.times(0x110)[1] == beat + 2s);  // the normal cycle continues
}

TEST_CASE("byd_hvs: extra frames keep 100 ms, and the last value is not lost")
{
    House h;
    h.start_running();
    h.run(700ms);
    h.sent.clear();
    const Instant begin = h.now;
    for (int i = 1; i <= 100; ++i) {  // a ramp of 10 A/s downwards, judged every 10 ms
        h.grant(Current::from_milli(25'000 - 100 * i), 30_A);
        h.run(10ms);
    }
    auto times = h.times(0x110);
    CHECK(times.size() >= 9);
    CHECK(times.size() <= 12);
    for (std::size_t i = 2; i < times.size(); ++i) CHECK(times[i] - times[i - 2] >= 100ms);  // a beat may fall between two
    CHECK(times.front() - begin <= 30ms);
    h.run(100ms);
    CHECK(h.last(0x110) == "110#0F1C0BE4012C0096");
}

TEST_CASE("byd_hvs: a fall right after the beat is not held back by it")
{
    House h;
    h.start_running();
    while (h.times(0x110).empty()) h.run(1ms);
    h.grant(0_A, 30_A);
    h.run(5ms);
    CHECK(h.last(0x110) == "110#0F1C0BE4012C0000");
    CHECK(h.times(0x110).size() == 2);
}

TEST_CASE("byd_hvs: less than one percent waits for the beat, unless it adds up")
{
    House h{{{"max_charge_a", 500.0}}};
    h.start_running(200_A, 30_A);
    run_with_inverter(h, 3s);
    h.sent.clear();
    while (h.times(0x110).empty()) h.run(1ms);
    h.sent.clear();
    h.grant(198.1_A, 30_A);
    h.run(1s);
    CHECK(h.texts(0x110).empty());
    h.grant(198_A, 30_A);  // one percent
    h.run(1ms);
    CHECK(h.texts(0x110).size() == 1);
    h.sent.clear();
    h.grant(198_A, 29.95_A);  // less than a step: 29.9 A on the wire, 0.3 %
    h.run(300ms);
    CHECK(h.texts(0x110).empty());
}

TEST_CASE("byd_hvs: one direction alone is stopped exactly")
{
    House h;
    h.start_running();
    h.grant(0_A, 30_A);
    h.run(1ms);
    CHECK(h.last(0x110) == "110#0F1C0BE4012C0000");  // SAFE-094
    CHECK(h.state().phase == InverterPhase::run);
    h.run(200ms);
    h.grant(25_A, 0_A);
    h.run(1ms);
    CHECK(h.last(0x110).substr(12) == "000000FA");  // the beat may be far away: discharge at once, charge with it
}

TEST_CASE("byd_hvs: battery data lost in RUN: zero at once, last good values, silence after the judge allows it")
{
    House h;
    h.start_running();
    run_with_inverter(h, 3s);
    h.sent.clear();
    const Instant lost = h.now;
    // As the judge shows BAT_LINK_LOST.
    h.battery.voltage.set_max_age(2s);
    h.battery.current.set_max_age(2s);
    h.verdict.battery_valid = h.verdict.ready = h.verdict.battery_link = false;
    h.verdict.state = GatewayState::block;
    h.grant(0_A, 0_A);
    h.run(1ms);
    CHECK(h.texts() == std::vector<std::string>{"110#0F1C0BE400000000"});
    CHECK(h.state().phase == InverterPhase::fault);

    run_with_inverter(h, 30s);  // SAFE-112: zero limits first
    const auto zeros = h.texts(0x110);
    CHECK(zeros.size() >= 15);
    for (const auto& t : zeros) CHECK(t == "110#0F1C0BE400000000");
    CHECK(h.last(0x1D0) == "1D0#0DB8000000750308");  // last voltage; a current nobody measures is none
    CHECK(h.last(0x150) == "150#13A1264801F703E8");  // last SOC

    h.verdict.may_fall_silent = true;
    h.run(1s);
    const Instant silent = h.sent.back().at;
    CHECK(silent - lost >= 28s);
    h.sent.clear();
    for (int i = 0; i < 30; ++i) {
        h.hear("151#0100000000000000");
        h.run(1s);
    }
    CHECK(h.sent.empty());
    CHECK(h.state().phase == InverterPhase::silent);

    // The battery returns: all from the start.
    h.verdict.battery_valid = h.verdict.battery_link = true;
    h.verdict.may_fall_silent = false;
    h.battery.voltage.set(351.2_V, h.now);
    h.battery.current.set(12.3_A, h.now);
    h.hear("091#0DB4FF4701380000");
    h.run(500ms);
    CHECK(h.texts() == whole_burst());
    CHECK(h.state().phase == InverterPhase::hold);
}

TEST_CASE("byd_hvs: after a silence only a new sign of life starts the conversation")
{
    House h;
    h.start_running();
    h.verdict.battery_valid = h.verdict.ready = false;
    h.verdict.may_fall_silent = true;
    h.grant(0_A, 0_A);
    h.run(2s);
    REQUIRE(h.state().phase == InverterPhase::silent);
    h.sent.clear();
    h.verdict.battery_valid = true;
    h.verdict.may_fall_silent = false;
    h.run(10s);
    CHECK(h.sent.empty());
    h.hear("191#0404001700010400");
    h.run(1s);
    CHECK(h.texts() == whole_burst());
}

TEST_CASE("byd_hvs: with silence_on_fault off zero limits go on for ever")
{
    House h{{{"silence_on_fault", false}}};
    h.start_running();
    h.verdict.battery_valid = h.verdict.ready = false;
    h.verdict.may_fall_silent = true;
    h.grant(0_A, 0_A);
    run_with_inverter(h, 300s);  // SAFE-112
    const auto times = h.times(0x110);
    CHECK(times.size() >= 150);
    for (std::size_t i = 1; i < times.size(); ++i) CHECK(times[i] - times[i - 1] <= 2100ms);
    CHECK(h.last(0x110) == "110#0F1C0BE400000000");
}

TEST_CASE("byd_hvs: after a fault the limits come back only through two ready times")
{
    House h;
    h.start_running();
    h.verdict.ready = false;
    h.run(1s);
    REQUIRE(h.state().phase == InverterPhase::fault);
    h.verdict.ready = true;
    run_with_inverter(h, 4800ms);
    CHECK(h.state().phase == InverterPhase::fault);
    run_with_inverter(h, 400ms);
    CHECK(h.state().phase == InverterPhase::hold);
    run_with_inverter(h, 4500ms);
    CHECK(h.state().phase == InverterPhase::hold);
    h.sent.clear();
    run_with_inverter(h, 3s);
    CHECK(h.state().phase == InverterPhase::run);
    CHECK(h.last(0x110) == "110#0F1C0BE4012C00FA");
}

TEST_CASE("byd_hvs: an inverter that the judge calls lost is not spoken to until it speaks, and then all starts anew")
{
    House h;
    h.start_running();
    h.run(1s);
    h.verdict.inverter_link = false;
    h.grant(0_A, 0_A);
    h.run(1s);
    CHECK(h.state().phase == InverterPhase::silent);
    h.sent.clear();
    h.run(120s);
    CHECK(h.sent.empty());
    h.hear("0D1#01F6000000000000");  // SAFE-182
    h.verdict.inverter_link = true;
    h.run(500ms);
    CHECK(h.texts() == whole_burst());
    CHECK(h.state().phase == InverterPhase::hold);
}

TEST_CASE("byd_hvs: the last thing a lost inverter is told is zero, even when limits were told just now")
{
    for (const Duration after : {0ms, 1ms, 50ms, 700ms}) {
        House h;
        h.start_running();
        while (h.times(0x110).empty()) h.run(1ms);
        if (after > 0ms) h.run(after);
        h.sent.clear();
        h.now += 1ms;
        h.verdict.inverter_link = false;  // and the grants still stand
        h.judge();
        h.run(300ms);
        CHECK(h.texts() == std::vector<std::string>{"110#0F1C0BE400000000"});
        CHECK(h.state().phase == InverterPhase::silent);
        h.sent.clear();
        h.run(20s);
        CHECK(h.sent.empty());
    }
}

TEST_CASE("byd_hvs: a verdict that does not know of the newest frame yet cannot call the inverter lost")
{
    House h;
    h.verdict.battery_valid = true;
    h.verdict.inverter_link = false;
    h.run(1s);
    h.now += 10ms;
    h.hear("151#0100000000000000");
    h.tick();  // before the next judgement
    CHECK(h.texts() == std::vector<std::string>{"250#03290066015A0E09"});
}

TEST_CASE("byd_hvs: nothing is sent once the orderly stop is complete, when muted, or only observing")
{
    struct Case {
        const char* what;
        void (*set)(Verdict&);
    };
    for (const Case& c :
        {Case{"stopped", [](Verdict& v) { v.stopped = true; }}, Case{"muted", [](Verdict& v) { v.mute_inverter = true; }},
            Case{"observing", [](Verdict& v) { v.state = GatewayState::observe; }}}) {
        CAPTURE(c.what);
        House h;
        h.start_running();
        c.set(h.verdict);
        for (int i = 0; i < 20; ++i) {
            h.hear("151#0100000000000000");
            h.run(1s);
        }
        CHECK(h.sent.empty());
        CHECK(h.state().phase == InverterPhase::silent);
    }
}

TEST_CASE("byd_hvs: identity does not change while the program runs")
{
    House h;
    h.start_running();
    h.verdict.pack.energy_rated = 60_kWh;  // SAFE-116
    h.verdict.pack.voltage_nominal = 300_V;
    h.hear("151#0100000000000000");
    run_with_inverter(h, 12s);
    CHECK(h.texts(0x250) == std::vector<std::string>{"250#03290066015A0E09"});
    CHECK(h.last(0x150) == "150#13A1264801F703E8");
    // not even after a silence
    h.verdict.inverter_link = false;
    h.run(2s);
    h.verdict.inverter_link = true;
    h.hear("151#0100000000000000");
    h.run(500ms);
    CHECK(h.last(0x250) == "250#03290066015A0E09");
}
