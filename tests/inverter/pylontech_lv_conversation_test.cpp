// Who speaks when: start, beat, frames out of the beat, loss of the battery and of the inverter, stop. All values are made up.
#include "tests/inverter/lv_house.hpp"

using namespace batgw;
using namespace batgw::test;

namespace {

const std::set<std::uint32_t> superset{0x351, 0x355, 0x356, 0x359, 0x35A, 0x35C, 0x35E, 0x372, 0x373, 0x379};

int charge_a10(const CanFrame& f) { return le16s(f, 2); }
int discharge_a10(const CanFrame& f) { return le16s(f, 4); }

}  // namespace

TEST_CASE("pylontech_lv: nothing is sent before battery data are valid, then all frames every second without being asked")
{
    LvHouse h;
    h.hear("305#0000000000000000");
    h.run(30s);
    CHECK(h.sent.empty());
    CHECK(h.state().phase == InverterPhase::silent);
    h.valid();
    h.judge();
    const Instant began = h.now;
    h.run(30s);
    CHECK(h.state().phase == InverterPhase::hold);
    CHECK(h.sent.front().at == began);
    CHECK(h.ids() == superset);
    // SAFE-260
    for (const std::uint32_t id : superset) {
        CAPTURE(id);
        const auto times = h.times(id);
        CHECK(times.size() >= 30);
        for (std::size_t i = 1; i < times.size(); ++i) {
            CHECK(times[i] - times[i - 1] >= 900ms);
            CHECK(times[i] - times[i - 1] <= 1100ms);
        }
    }
}

TEST_CASE("pylontech_lv: limits, enables and alarm bits leave in one go, in the order of the maker's text, the rest one by one")
{
    LvHouse h;
    h.valid();
    h.run(500ms);
    std::vector<std::uint32_t> order;
    for (const Sent& s : h.sent) order.push_back(s.frame.id);
    CHECK(order == std::vector<std::uint32_t>{0x359, 0x351, 0x355, 0x356, 0x35C, 0x35E, 0x35A, 0x372, 0x373, 0x379});
    for (std::size_t i = 1; i < 7; ++i) CHECK(h.sent[i].at == h.sent[0].at);
    for (std::size_t i = 7; i < 10; ++i) CHECK(h.sent[i].at - h.sent[i - 1].at == 10ms);
}

TEST_CASE("pylontech_lv: without rated energy, window or a reading that must be shown nothing is sent")
{
    struct Case {
        const char* what;
        void (*take_away)(LvHouse&);
    };
    const std::vector<Case> cases{
        {"energy", [](LvHouse& h) { h.verdict.pack.energy_rated.reset(); }},
        {"design maximum", [](LvHouse& h) { h.verdict.pack.voltage_max.reset(); }},
        {"design minimum", [](LvHouse& h) { h.verdict.pack.voltage_min.reset(); }},
        {"set point", [](LvHouse& h) { h.verdict.voltage_max.reset(); }},
        {"lower set point", [](LvHouse& h) { h.verdict.voltage_min.reset(); }},
        {"window upside down", [](LvHouse& h) { h.verdict.voltage_min = 60_V; }},
        {"window of nothing", [](LvHouse& h) { h.verdict.voltage_min = h.verdict.voltage_max = 0_V; }},
        {"voltage", [](LvHouse& h) { h.battery.voltage.forget(); }},
        {"soc", [](LvHouse& h) { h.battery.soc.forget(); }},
        {"highest temperature", [](LvHouse& h) { h.battery.temperature_max.forget(); }},
        {"lowest temperature", [](LvHouse& h) { h.battery.temperature_min.forget(); }},
    };
    for (const Case& c : cases) {
        CAPTURE(c.what);
        LvHouse h;
        h.valid();
        c.take_away(h);
        h.run(3s);
        CHECK(h.sent.empty());
    }
}

TEST_CASE("pylontech_lv: zeros with real measurements until all has been well for ready_s, then the limits of the judge")
{
    for (const double ready_s : {1.0, 5.0, 60.0}) {
        CAPTURE(ready_s);
        LvHouse h{{{"ready_s", ready_s}}};
        h.valid();
        h.grant(50_A, 100_A);  // a grant does not end HOLD
        h.run(5s);
        h.verdict.ready = true;
        h.judge();
        const Instant ready = h.now;
        h.run(std::chrono::milliseconds{static_cast<int>(ready_s * 1000)} + 2s);
        std::optional<Instant> first;
        for (const Sent& s : h.sent) {
            if (s.frame.id == 0x351 && charge_a10(s.frame) > 0 && !first) first = s.at;
            if (s.frame.id == 0x356) CHECK(text(s.frame) == "356#DE147B00EB000000");
            if (first) continue;
            if (s.frame.id == 0x351) CHECK(text(s.frame) == "351#170200000000E001");  // SAFE-214
            if (s.frame.id == 0x35C) CHECK(text(s.frame) == "35C#0000000000000000");
        }
        REQUIRE(first);
        CHECK(*first - ready >= std::chrono::milliseconds{static_cast<int>(ready_s * 1000)});
        CHECK(*first - ready <= std::chrono::milliseconds{static_cast<int>(ready_s * 1000)} + 1100ms);
        CHECK(h.last(0x351) == "351#3802F401E803E001");
        CHECK(h.last(0x35C) == "35C#C000000000000000");
        CHECK(h.last(0x359) == "359#0000000001504E00");
    }
}

TEST_CASE("pylontech_lv: what is not ready for a moment starts the waiting anew")
{
    LvHouse h;
    h.valid();
    h.grant(50_A, 100_A);
    h.verdict.ready = true;
    h.run(4s);
    h.verdict.ready = false;
    h.judge();
    h.run(200ms);
    h.verdict.ready = true;
    h.judge();
    h.run(4900ms);
    CHECK(h.state().phase == InverterPhase::hold);
    h.run(300ms);
    CHECK(h.state().phase == InverterPhase::run);
    h.verdict.ready = false;
    h.judge();
    h.run(1ms);
    CHECK(h.state().phase == InverterPhase::fault);
    CHECK(h.last(0x35C) == "35C#0000000000000000");
    h.verdict.ready = true;
    h.judge();
    h.run(4900ms);
    CHECK(h.state().phase == InverterPhase::fault);
    h.run(300ms);
    CHECK(h.state().phase == InverterPhase::run);
}

TEST_CASE("pylontech_lv: a limit that falls is told at once, with its enable and alarm bits, and the beat goes on")
{
    LvHouse h;
    h.start_running();
    h.run(300ms);
    h.sent.clear();
    h.fault(fault(FaultId::cell_high, FaultClass::block, Direction::charge));
    h.judge();
    h.tick();
    // SAFE-091
    REQUIRE(h.sent.size() == 4);
    CHECK(h.last(0x359) == "359#0200000001504E00");
    CHECK(h.last(0x351) == "351#17020000E803E001");
    CHECK(h.last(0x35C) == "35C#4000000000000000");
    CHECK(h.last(0x35A) == "35A#A6AAAAAAAAAAAAAA");
    h.run(3s);
    for (const std::uint32_t id : superset) {
        const auto times = h.times(id);
        for (std::size_t i = 1; i < times.size(); ++i) CHECK(times[i] - times[i - 1] <= 1100ms);
    }
}

TEST_CASE("pylontech_lv: frames out of the beat stay 100 ms apart, may follow a beat after 5 ms, and never displace it")
{
    LvHouse h;
    h.start_running(100_A, 100_A);
    h.run(1s);
    const Instant beat = h.times(0x355).back();
    h.sent.clear();
    while (h.times(0x355).empty()) h.run(1ms);
    CHECK(h.times(0x355).front() - beat == 1s);
    h.sent.clear();
    h.grant(90_A, 100_A);
    const Instant asked = h.now;
    h.run(10ms);
    REQUIRE(!h.times(0x351).empty());
    CHECK(h.times(0x351).front() - asked <= 5ms);
    h.sent.clear();
    Current limit = 89_A;
    for (int i = 0; i < 400; ++i) {  // one after the other for four seconds
        h.grant(limit, 100_A);
        limit = limit - Current::from_milli(200);
        h.run(10ms);
    }
    const auto limits = h.times(0x351);
    CHECK(limits.size() >= 30);
    for (std::size_t i = 1; i < limits.size(); ++i) CHECK(limits[i] - limits[i - 1] >= 5ms);
    unsigned close = 0;
    for (std::size_t i = 1; i < limits.size(); ++i) close += limits[i] - limits[i - 1] < 100ms;
    CHECK(close <= 5);  // only right after a beat
    const auto beats = h.times(0x355);
    CHECK(beats.size() >= 3);
    for (std::size_t i = 1; i < beats.size(); ++i) {
        CHECK(beats[i] - beats[i - 1] >= 900ms);
        CHECK(beats[i] - beats[i - 1] <= 1100ms);
    }
}

TEST_CASE("pylontech_lv: a fall of less than one percent or one step waits for the beat, a slow slide does not hide")
{
    LvHouse h;
    h.start_running(50_A, 100_A);
    h.run(300ms);
    h.sent.clear();
    h.grant(49.6_A, 99.1_A);
    h.run(50ms);
    CHECK(h.frames(0x351).empty());
    h.grant(49.5_A, 99.1_A);
    h.run(50ms);
    CHECK(h.frames(0x351).size() == 1);
    h.grant(60_A, 120_A);  // a rise waits
    h.run(200ms);
    CHECK(h.frames(0x351).size() == 1);
}

TEST_CASE(
    "pylontech_lv: a lost battery: zeros go on for as long as it takes, with the alarm, the last charge and the last voltage")
{
    LvHouse h;
    h.start_running();
    for (auto* r : {&h.battery.voltage}) r->set_max_age(2s);
    h.battery.current.set_max_age(2s);
    h.battery.soc.set_max_age(10s);
    h.run(11s);
    h.verdict.battery_valid = h.verdict.battery_link = false;
    h.fault(fault(FaultId::bat_link_lost, FaultClass::block, Direction::both));
    h.verdict.may_fall_silent = true;
    h.judge();
    h.sent.clear();
    h.run(10min);
    // SAFE-110, SAFE-112
    CHECK(h.times(0x351).size() >= 600);
    for (const CanFrame& f : h.frames(0x351)) {
        REQUIRE(charge_a10(f) == 0);
        REQUIRE(discharge_a10(f) == 0);
        REQUIRE(le16(f, 0) == 568);  // nobody knows where the voltage is: the battery's own stands
    }
    CHECK(h.last(0x35C) == "35C#0000000000000000");
    CHECK(h.last(0x359) == "359#0008000801504E00");
    CHECK(h.last(0x35A) == "35A#AAAA6AAAAAAAAAAA");
    CHECK(h.last(0x355) == "355#3200620000000000");
    CHECK(h.last(0x356) == "356#DE140000EB000000");  // the current nobody measures is none
    CHECK(h.last(0x372) == "372#0000010001000100");

    h.verdict.faults.clear();
    h.valid();
    h.verdict.ready = true;
    h.battery.voltage.set(53_V, h.now);
    h.grant(50_A, 100_A);
    h.sent.clear();
    h.run(4500ms);
    CHECK(charge_a10(h.frames(0x351).back()) == 0);
    CHECK(h.last(0x35A) == "35A#AAAAAAAAAAAAAAAA");  // ended by 10
    h.run(2s);
    CHECK(charge_a10(h.frames(0x351).back()) == 500);
}

TEST_CASE("pylontech_lv: a missing sign of life does not stop anything unless the acknowledge is expected")
{
    LvHouse h;
    h.start_running();
    h.verdict.inverter_link = false;
    h.judge();
    h.run(10min);
    CHECK(h.last(0x351) == "351#3802F401E803E001");
    CHECK(!h.state().heard);

    InverterConfig config;
    config.options = default_options(h.info);
    SafetyConfig safety;
    h.info.adjust(config, safety);
    CHECK(safety.inverter_link.information_only);  // SAFE-180
    CHECK(safety.inverter_link.lost == 60s);
    CHECK(!safety.inverter_link.soc_override);
    config.options.set("expect_ack", true);
    config.options.set("lost_s", 90.0);
    config.options.set("soc_clamp", true);
    h.info.adjust(config, safety);
    CHECK(!safety.inverter_link.information_only);
    CHECK(safety.inverter_link.lost == 90s);
    CHECK(safety.inverter_link.soc_override);
}

TEST_CASE("pylontech_lv: an orderly stop, a mute bus and watching only end in silence; talking again begins with zeros")
{
    for (const int how : {0, 1, 2}) {
        CAPTURE(how);
        LvHouse h;
        h.start_running();
        if (how == 0) h.verdict.stopped = true;
        if (how == 1) h.verdict.mute_inverter = true;
        if (how == 2) h.verdict.state = GatewayState::observe;
        h.judge();
        h.run(5s);
        CHECK(h.sent.empty());
        CHECK(h.state().phase == InverterPhase::silent);
        h.verdict.stopped = h.verdict.mute_inverter = false;
        h.verdict.state = GatewayState::run;
        h.judge();
        h.run(2s);
        CHECK(h.ids() == superset);
        for (const CanFrame& f : h.frames(0x351)) CHECK(charge_a10(f) == 0);
        CHECK(h.state().phase == InverterPhase::hold);
    }
}

TEST_CASE("pylontech_lv: a bus that is muted for a moment in the middle of a beat brings no frame too early")
{
    LvHouse h;
    h.start_running();
    h.run(1s);
    h.sent.clear();
    while (h.times(0x372).empty()) h.run(1ms);
    h.verdict.mute_inverter = true;
    h.judge();
    h.run(5ms);
    h.verdict.mute_inverter = false;
    h.judge();
    h.run(3s);
    const auto times = h.times(0x351);
    for (std::size_t i = 1; i < times.size(); ++i) CHECK(times[i] - times[i - 1] >= 450ms);
}

TEST_CASE("pylontech_lv: silence after a long fault only as an option, only after zeros, and only when the judge allows")
{
    LvHouse h{{{"silence_on_fault", true}}};
    h.start_running();
    h.verdict.may_fall_silent = true;  // contradicts the grants: zeros have to be told first
    h.verdict.ready = false;
    h.judge();
    h.run(100ms);
    CHECK(charge_a10(h.frames(0x351).back()) == 0);
    h.run(100ms);
    CHECK(h.state().phase == InverterPhase::silent);
    h.sent.clear();
    h.run(30s);
    CHECK(h.sent.empty());
    h.verdict.may_fall_silent = false;
    h.judge();
    h.run(2s);
    CHECK(h.state().phase == InverterPhase::hold);
    CHECK(!h.sent.empty());
}

TEST_CASE("pylontech_lv: signs of life, in both formats and any length, and what is none")
{
    struct Case {
        const char* profile;
        const char* id;
        bool used;
    };
    const std::vector<Case> cases{{"superset", "305", true}, {"superset", "306", true}, {"superset", "307", true},
        {"superset", "300", false}, {"pylontech", "305", true}, {"pylontech", "306", false}, {"pylontech", "307", false},
        {"pylontech", "300", false}, {"victron", "305", true}, {"victron", "306", true}, {"victron", "307", true},
        {"victron", "300", false}, {"sma", "305", true}, {"sma", "306", true}, {"sma", "307", true}, {"luxpower", "305", true},
        {"luxpower", "300", true}, {"luxpower", "306", false}, {"solark", "305", true}, {"solark", "307", false},
        {"superset", "301", false}, {"superset", "351", false}, {"superset", "04D", false}};
    for (const Case& c : cases)
        for (const bool extended : {false, true})
            for (const char* data : {"#0000000000000000", "#2100000000000000", "#00"}) {
                CAPTURE(c.profile);
                CAPTURE(c.id);
                LvHouse h{{{"profile", std::string{c.profile}}}};
                CHECK(h.hear(std::string{c.id} + data, extended) == (c.used ? Heard::used : Heard::not_mine));
                CHECK(h.state().heard.has_value() == c.used);
            }
    LvHouse h{{{"profile", std::string{"luxpower"}}}};
    CHECK(h.hear("305#") == Heard::used);
    h.now += 1s;
    const auto heard = h.state().heard;
    CHECK(h.hear("300#") == Heard::bad_length);
    CHECK(h.state().heard == heard);
}

TEST_CASE("pylontech_lv: Venus OS says who it is")
{
    LvHouse h;
    CHECK(h.hear("307#1234567856494300") == Heard::used);  // real: dfch/BydCanProtocol
    CHECK(h.state().name == "VIC");
    CHECK(h.hear("305#0000000000000000") == Heard::used);  // real: same source
    h.hear("307#1234567800000000");
    CHECK(h.state().name == "");
    h.hear("307#12345678564943");
    h.hear("307#1234567956494300");
    CHECK(h.state().name == "");
}

TEST_CASE("pylontech_lv: a Sunny Island tells what it measures, its current the other way round; others tell nothing")
{
    // Made up: 53.1 V, -20.5 A on the wire, which charges; 25.0 degrees, 61.5 %.
    LvHouse h{{{"profile", std::string{"sma"}}}};
    CHECK(h.hear("305#130233FFFA006702") == Heard::used);
    CHECK(h.state().voltage.fresh(h.now) == 53.1_V);
    CHECK(h.state().current.fresh(h.now) == 20.5_A);
    CHECK(h.state().temperature.fresh(h.now) == 25_degC);
    CHECK(h.state().soc.fresh(h.now) == 61.5_pct);
    h.now += 10s;
    CHECK(h.hear("305#0000000000000000") == Heard::used);  // a bare sign of life is no 0 V
    CHECK(!h.state().voltage.fresh(h.now));
    CHECK(h.hear("305#130200800080FFFF") == Heard::used);  // SMA's marks of "not available"
    CHECK(h.state().voltage.fresh(h.now) == 53.1_V);
    CHECK(!h.state().current.fresh(h.now));
    CHECK(h.state().temperature.at() != h.now);
    CHECK(h.state().soc.at() != h.now);
    CHECK(h.hear("305#1302330F") == Heard::used);
    CHECK(!h.state().current.fresh(h.now));

    LvHouse plain;
    plain.hear("305#130233FFFA006702");
    CHECK(!plain.state().voltage.last());
}

TEST_CASE("pylontech_lv: a LuxPower that asks the battery to switch off gets zeros while it asks, as an option")
{
    for (const bool obeys : {false, true}) {
        CAPTURE(obeys);
        LvHouse h{{{"profile", std::string{"luxpower"}}, {"obey_switch_off", obeys}}};
        h.start_running();
        h.hear("300#01");
        h.run(2s);
        CHECK((h.state().phase == InverterPhase::fault) == obeys);
        CHECK((charge_a10(h.frames(0x351).back()) == 0) == obeys);
        CHECK(h.last(0x359).substr(0, 12) == "359#00000000");  // an order is no fault
        h.hear("300#00");                                      // taken back
        h.run(7s);
        CHECK(h.state().phase == InverterPhase::run);
        h.hear("300#01");
        h.run(1s);
        CHECK((h.state().phase == InverterPhase::fault) == obeys);
        h.run(58s);
        CHECK((h.state().phase == InverterPhase::fault) == obeys);
        h.run(8s);  // not asked for a minute, and then ready again
        CHECK(h.state().phase == InverterPhase::run);
    }
}

TEST_CASE("pylontech_lv: a call that comes too early does nothing")
{
    LvHouse h;
    h.start_running();
    h.run(2s);
    const auto before = h.sent.size();
    for (int i = 0; i < 10; ++i) h.tick();
    CHECK(h.sent.size() == before);
}

TEST_CASE("pylontech_lv: limits that never got out are told again at once")
{
    LvHouse h;
    h.start_running();
    h.run(300ms);
    h.sent.clear();
    h.overtaken = 1;
    h.judge();
    h.tick();
    // SAFE-091
    CHECK(h.times(0x351) == std::vector{h.now});
    CHECK(h.times(0x35C) == std::vector{h.now});
    h.run(200ms);
    CHECK(h.times(0x351).size() == 1);
}
