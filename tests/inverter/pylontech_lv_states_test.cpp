// What the inverter is shown in every state of the gateway, and what profiles and options change. The decoder is plain byte
// arithmetic: it shares nothing with the declared signals. All values are made up.
#include "tests/inverter/lv_house.hpp"

#include <cmath>

using namespace batgw;
using namespace batgw::test;

namespace {

bool near(double a, double b) { return std::abs(a - b) < 1e-6; }

struct Limits {
    double cvl = -1, ccl = -1, dcl = -1, dvl = -1;
    int enables = -1;
};
Limits shown(LvHouse& h)
{
    h.beat();
    const CanFrame f = h.frames(0x351).back();
    const auto requests = h.frames(0x35C);
    return {le16(f, 0) / 10.0, le16s(f, 2) / 10.0, le16s(f, 4) / 10.0, le16(f, 6) / 10.0,
        requests.empty() ? -1 : requests.back().data[0]};
}
LvHouse::Changes profile(std::string_view name) { return {{"profile", std::string{name}}}; }

}  // namespace

TEST_CASE("pylontech_lv: every state of the gateway has its frames")
{
    struct Case {
        GatewayState state;
        bool ready;
        Current charge, discharge;  // what the judge grants
        double ccl, dcl;
    };
    // SAFE-304, SAFE-110, one row per state of its table; the judge grants, the driver tells.
    const std::vector<Case> cases{
        {GatewayState::starting, false, 0_A, 0_A, 0, 0}, {GatewayState::run, true, 50_A, 100_A, 50, 100},
        {GatewayState::run, true, 0.1_A, 0.1_A, 0.1, 0.1},          // the smallest
        {GatewayState::run, true, 0.05_A, 0.05_A, 0, 0},            // less than a step is nothing
        {GatewayState::run, true, 9000_A, 9000_A, 3276.7, 3276.7},  // more than the field is the field
        {GatewayState::derated, true, 12.34_A, 7.89_A, 12.3, 7.8}, {GatewayState::block_charge, true, 0_A, 100_A, 0, 100},
        {GatewayState::block_discharge, true, 50_A, 0_A, 50, 0}, {GatewayState::block, false, 0_A, 0_A, 0, 0},
        {GatewayState::paused, false, 0_A, 0_A, 0, 0}, {GatewayState::trip, false, 0_A, 0_A, 0, 0},
        {GatewayState::emergency, false, 0_A, 0_A, 0, 0}, {GatewayState::shutdown, false, 0_A, 0_A, 0, 0},
        // A verdict that contradicts itself: not ready decides.
        {GatewayState::block, false, 50_A, 100_A, 0, 0}, {static_cast<GatewayState>(99), false, 50_A, 100_A, 0, 0},  // SAFE-003
    };
    for (const Case& c : cases) {
        CAPTURE(to_string(c.state));
        LvHouse h;
        h.start_running();
        h.verdict.state = c.state;
        h.verdict.ready = c.ready;
        h.grant(c.charge, c.discharge);
        const Limits l = shown(h);
        CHECK(near(l.ccl, c.ccl));
        CHECK(near(l.dcl, c.dcl));
        CHECK(near(l.cvl, c.ccl > 0 ? 56.8 : 53.5));  // stopped: the pack's 53.42 V rounded up
        CHECK(near(l.dvl, 48.0));
        CHECK(l.enables == (c.ccl > 0 ? 0x80 : 0) + (c.dcl > 0 ? 0x40 : 0));  // never anything else by itself
        CHECK(h.last(0x355) == "355#3200620000000000");
        CHECK(h.last(0x356) == "356#DE147B00EB000000");
        CHECK(h.last(0x359) == "359#0000000001504E00");
    }
}

TEST_CASE("pylontech_lv: every profile sends its frames, exactly those, in their lengths")
{
    struct Case {
        const char* profile;
        bool native;
        std::map<std::uint32_t, unsigned> lengths;
    };
    const std::vector<Case> cases{
        {"pylontech", false, {{0x351, 8}, {0x355, 8}, {0x356, 8}, {0x359, 8}, {0x35C, 8}, {0x35E, 8}}},
        {"pylontech", true, {{0x351, 8}, {0x355, 4}, {0x356, 6}, {0x359, 7}, {0x35C, 2}, {0x35E, 8}}},
        {"superset", false,
            {{0x351, 8}, {0x355, 8}, {0x356, 8}, {0x359, 8}, {0x35A, 8}, {0x35C, 8}, {0x35E, 8}, {0x372, 8}, {0x373, 8},
                {0x379, 8}}},
        {"superset", true,
            {{0x351, 8}, {0x355, 4}, {0x356, 6}, {0x359, 7}, {0x35A, 8}, {0x35C, 2}, {0x35E, 8}, {0x372, 8}, {0x373, 8},
                {0x379, 8}}},
        {"victron", false,
            {{0x351, 8}, {0x355, 8}, {0x356, 8}, {0x35A, 8}, {0x35E, 8}, {0x35F, 8}, {0x370, 8}, {0x371, 8}, {0x372, 8},
                {0x373, 8}, {0x374, 8}, {0x375, 8}, {0x376, 8}, {0x377, 8}, {0x378, 8}, {0x379, 8}}},
        {"victron", true,
            {{0x351, 8}, {0x355, 6}, {0x356, 6}, {0x35A, 8}, {0x35E, 8}, {0x35F, 8}, {0x370, 8}, {0x371, 8}, {0x372, 8},
                {0x373, 8}, {0x374, 8}, {0x375, 8}, {0x376, 8}, {0x377, 8}, {0x378, 8}, {0x379, 8}}},
        {"sma", false, {{0x351, 8}, {0x355, 6}, {0x356, 6}, {0x35A, 8}, {0x35E, 8}, {0x35F, 8}}},
        {"sma", true, {{0x351, 8}, {0x355, 6}, {0x356, 6}, {0x35A, 8}, {0x35E, 8}, {0x35F, 8}}},
        {"luxpower", true, {{0x351, 8}, {0x355, 8}, {0x356, 8}, {0x359, 8}, {0x35C, 8}, {0x35E, 8}, {0x379, 8}}},
        {"solark", true, {{0x351, 8}, {0x355, 8}, {0x356, 8}, {0x359, 8}, {0x35C, 8}, {0x35E, 8}, {0x379, 8}}},
    };
    for (const Case& c : cases) {
        CAPTURE(c.profile);
        CAPTURE(c.native);
        auto changes = profile(c.profile);
        changes.emplace_back("native_dlc", c.native);
        LvHouse h{changes};
        h.start_running();
        h.fault(fault(FaultId::cell_low, FaultClass::block, Direction::discharge));
        h.beat();
        std::map<std::uint32_t, unsigned> lengths;
        for (const Sent& s : h.sent) {
            CHECK(!s.frame.extended);
            const auto [at, fresh] = lengths.emplace(s.frame.id, s.frame.len);
            if (!fresh) CHECK(at->second == s.frame.len);
        }
        CHECK(lengths == c.lengths);
    }
    LvHouse unknown{profile("no-such")};  // conf refuses it; the default it is
    unknown.start_running();
    unknown.beat();
    CHECK(unknown.ids().size() == 10);
}

TEST_CASE("pylontech_lv: the frames of a Venus OS, whole")
{
    auto changes = profile("victron");
    changes.emplace_back("name", std::string{"ATTO3"});
    changes.emplace_back("battery_name", std::string{"Garage"});
    LvHouse h{changes};
    h.start_running();
    const auto said = h.beat();
    CHECK(said.at(0x351) == "351#3802F401E803E001");
    CHECK(said.at(0x355) == "355#32006200A1130000");
    CHECK(said.at(0x356) == "356#DE147B00EB000000");
    CHECK(said.at(0x35A) == "35A#AAAAAAAAAAAAAAAA");
    CHECK(said.at(0x35E) == "35E#4154544F33202020");
    CHECK(said.at(0x35F) == "35F#4C4901031801AA00");  // 280 Ah
    CHECK(said.at(0x370) == "370#4761726167650000");
    CHECK(said.at(0x371) == "371#0000000000000000");
    CHECK(said.at(0x372) == "372#0100000000000000");
    CHECK(said.at(0x373) == "373#EE0C0E0D23012901");
    CHECK(said.at(0x374) == "374#43656C6C20313200");
    CHECK(said.at(0x375) == "375#43656C6C20370000");
    CHECK(said.at(0x376) == "376#54656D7020320000");
    CHECK(said.at(0x377) == "377#54656D7020340000");
    CHECK(said.at(0x378) == "378#3A300000672B0000");
    CHECK(said.at(0x379) == "379#1801000000000000");
}

TEST_CASE("pylontech_lv: a Victron is not told of cells, sensors and energies that nobody knows")
{
    LvHouse h{profile("victron")};
    h.battery = BatteryState{};
    h.battery.voltage.set(53_V, h.now);
    h.battery.soc.set(50_pct, h.now);
    h.battery.temperature_max.set(24_degC, h.now);
    h.battery.temperature_min.set(18_degC, h.now);
    h.start_running();
    h.beat();
    CHECK(h.ids() == std::set<std::uint32_t>{0x351, 0x355, 0x356, 0x35A, 0x35E, 0x35F, 0x370, 0x371, 0x372, 0x379});
    CHECK(h.last(0x355) == "355#3200640088130000");  // SAFE-111: health nobody tells is the maker's 100 %
    CHECK(h.last(0x356) == "356#B4140000D2000000");
}

TEST_CASE("pylontech_lv: SMA gets only its identifiers, nothing closer than 200 ms, and ranges that it takes")
{
    LvHouse h{profile("sma")};
    h.verdict.voltage_min = 49.8_V;
    h.start_running(2000_A, 2000_A);
    h.run(1s);
    CHECK(near(shown(h).dvl, 48));  // above it the frame would be ignored
    CHECK(near(shown(h).ccl, 1200));
    CHECK(near(shown(h).dcl, 1200));
    Current limit = 1000_A;
    for (int i = 0; i < 500; ++i) {
        h.grant(limit, 1000_A);
        limit = limit - 1.9_A;
        h.run(10ms);
    }
    CHECK(h.ids() == std::set<std::uint32_t>{0x351, 0x355, 0x356, 0x35A, 0x35E, 0x35F});
    for (const std::uint32_t id : h.ids()) {
        const auto times = h.times(id);
        for (std::size_t i = 1; i < times.size(); ++i) {
            CHECK(times[i] - times[i - 1] >= 200ms);
            CHECK(times[i] - times[i - 1] <= 1200ms);
        }
    }
    CHECK(h.times(0x351).size() > 15);  // a falling limit does not wait for the beat
    LvHouse low{profile("sma")};
    low.verdict.voltage_min = 38_V;
    low.start_running();
    CHECK(near(shown(low).dvl, 41));
    // A charge voltage out of its range would be dropped, and the last one kept: 41 to 63 V.
    low.battery.voltage.set(39_V, low.now);
    low.grant(0_A, 0_A);
    CHECK(near(shown(low).cvl, 41.1));  // and above the discharge voltage
    LvHouse high{profile("sma")};
    high.verdict.voltage_max = 67_V;
    high.start_running();
    CHECK(near(shown(high).cvl, 63));
    high.battery.voltage.set(65_V, high.now);
    CHECK(near(shown(high).cvl, 63));
    high.grant(0_A, 30_A);
    CHECK(near(shown(high).cvl, 63));
    // Other inverters are told what there is.
    LvHouse other{profile("pylontech")};
    other.verdict.voltage_max = 67_V;
    other.start_running();
    CHECK(near(shown(other).cvl, 66.8));
}

TEST_CASE("pylontech_lv: an alarm sends a Sunny Island into standby, so a full battery only warns it")
{
    LvHouse h{profile("sma")};
    h.start_running();
    h.fault(fault(FaultId::cell_high, FaultClass::block, Direction::charge));
    CHECK(h.beat().at(0x35A) == "35A#AAAAAAAAA6AAAAAA");
    h.verdict.faults.clear();
    h.fault(fault(FaultId::cell_high_crit, FaultClass::trip, Direction::both));
    CHECK(h.beat().at(0x35A) == "35A#A6AAAAAAAAAAAAAA");
    h.verdict.faults.clear();
    CHECK(h.beat().at(0x35A) == "35A#AAAAAAAAAAAAAAAA");
}

TEST_CASE("pylontech_lv: the true state of charge in hundredths where it is read, zeros elsewhere")
{
    for (const auto& [dialect, expected] : std::map<std::string, std::string>{{"sma", "355#32006200A113"},
             {"victron", "355#32006200A1130000"}, {"pylontech", "355#3200620000000000"}, {"superset", "355#3200620000000000"},
             {"solark", "355#3200620000000000"}, {"luxpower", "355#320062000E0DEE0C"}}) {
        const std::string& name = dialect;  // a structured binding cannot be captured by clang 14
        CAPTURE(name);
        LvHouse h{profile(name)};
        h.start_running();
        CHECK(h.beat().at(0x355) == expected);
        CHECK(h.state().sent_soc.fresh(h.now) == (name == "sma" || name == "victron" ? Percent::from_milli(50'250) : 50_pct));
    }
}

TEST_CASE("pylontech_lv: what only a LuxPower reads: extremes, cycles and capacity")
{
    LvHouse h{profile("luxpower")};
    h.start_running();
    auto said = h.beat();
    CHECK(said.at(0x356) == "356#DE147B00F000B400");
    CHECK(said.at(0x359) == "359#0000000001180100");
    CHECK(said.at(0x35C) == "35C#C0004D0000000000");
    // Without cells the mean of the pack, without their number nothing.
    h.battery.cell_voltage_max.forget();
    said = h.beat();
    CHECK(said.at(0x355) == "355#320062000A0D0A0D");  // 53.42 V / 16 = 3338 mV
    h.verdict.pack.cells.reset();
    said = h.beat();
    CHECK(said.at(0x355) == "355#320062000000EE0C");
}

TEST_CASE("pylontech_lv: the charge voltage: where charging is stopped the present one, never below it, never 0")
{
    struct Case {
        Voltage pack;
        Current charge;
        double cvl;
    };
    const std::vector<Case> cases{
        {Voltage::from_milli(53'420), 50_A, 56.8},  // SAFE-114: 0.2 V inside
        {Voltage::from_milli(53'420), 0_A, 53.5},   // SAFE-110
        {Voltage::from_milli(53'500), 0_A, 53.5}, {Voltage::from_milli(53'501), 0_A, 53.6},
        {Voltage::from_milli(56'850), 50_A, 56.9},                     // the margin does not push it below the pack
        {Voltage::from_milli(56'850), 0_A, 56.9}, {58_V, 50_A, 57.0},  // above what the battery may be charged to: that, not more
        {58_V, 0_A, 57.0}, {45_V, 0_A, 48.1},                          // far empty: still a window
        {Voltage::from_milli(-5), 0_A, 56.8}, {0_V, 0_A, 56.8},        // no voltage of a battery
    };
    for (const Case& c : cases) {
        CAPTURE(c.pack.milli());
        LvHouse h;
        h.start_running();
        h.battery.voltage.set(c.pack, h.now);
        h.grant(c.charge, 100_A);
        CHECK(near(shown(h).cvl, c.cvl));
    }
}

TEST_CASE("pylontech_lv: a voltage that is not known any more moves nothing")
{
    LvHouse h;
    h.start_running(0_A, 100_A);
    h.battery.voltage.set_max_age(2s);
    h.battery.voltage.set(51_V, h.now);
    CHECK(near(shown(h).cvl, 51));
    h.run(3s);
    CHECK(near(shown(h).cvl, 56.8));
    CHECK(h.last(0x356).substr(0, 8) == "356#EC13");  // the last one stands
}

TEST_CASE("pylontech_lv: when the load goes and the battery recovers, a charge voltage below it is mended at once")
{
    LvHouse h;
    h.start_running(0_A, 100_A);
    h.battery.voltage.set(51_V, h.now);
    CHECK(near(shown(h).cvl, 51));
    h.run(300ms);
    h.sent.clear();
    h.battery.voltage.set(Voltage::from_milli(51'100), h.now);  // one step is noise
    h.judge();
    h.run(10ms);
    CHECK(h.frames(0x351).empty());
    h.battery.voltage.set(Voltage::from_milli(51'210), h.now);
    h.judge();
    h.run(10ms);
    REQUIRE(h.frames(0x351).size() == 1);
    CHECK(le16(h.frames(0x351)[0], 0) == 513);
}

TEST_CASE("pylontech_lv: the voltage window: margin once, safe rounding, held when unknown, never empty")
{
    LvHouse h;
    h.start_running();
    h.verdict.voltage_max = Voltage::from_milli(57'050);
    h.verdict.voltage_min = Voltage::from_milli(47'810);
    Limits l = shown(h);
    CHECK(near(l.cvl, 56.8));
    CHECK(near(l.dvl, 48.1));
    h.verdict.voltage_max_asked = true;  // SAFE-114: what the battery itself asks for gets no margin
    l = shown(h);
    CHECK(near(l.cvl, 57.0));
    CHECK(near(l.dvl, 48.1));
    h.verdict.voltage_min_asked = true;
    l = shown(h);
    CHECK(near(l.cvl, 57.0));
    CHECK(near(l.dvl, 47.9));
    h.verdict.voltage_min_asked = false;
    h.verdict.voltage_max.reset();
    CHECK(near(shown(h).cvl, 57.0));
    h.verdict.voltage_max = 40_V;  // upside down: the last one stands
    CHECK(near(shown(h).cvl, 57.0));
    h.verdict.voltage_max_asked = false;
    h.verdict.voltage_max = 54_V;  // so narrow that the margins would cross: without
    h.verdict.voltage_min = 53.7_V;
    l = shown(h);
    CHECK(near(l.cvl, 54.0));
    CHECK(near(l.dvl, 53.7));
}

TEST_CASE("pylontech_lv: option voltage_margin_v")
{
    for (const double margin : {0.0, 0.5, 2.0}) {
        LvHouse h{{{"voltage_margin_v", margin}}};
        h.start_running();
        const Limits l = shown(h);
        CHECK(near(l.cvl, 57.0 - margin));
        CHECK(near(l.dvl, 47.8 + margin));
    }
}

TEST_CASE("pylontech_lv: option zero_limit_as dresses a zero up, for currents only; enable bit and alarms stay true")
{
    LvHouse h{{{"zero_limit_as", 0.1}}};
    h.start_running(0_A, 30_A);
    Limits l = shown(h);
    CHECK(near(l.ccl, 0.1));
    CHECK(near(l.dcl, 30));
    CHECK(near(l.cvl, 53.5));
    CHECK(l.enables == 0x40);
    CHECK(h.state().sent_charge_limit.fresh(h.now) == 0.1_A);  // SAFE-094: what is on the wire is what is shown
    h.fault(fault(FaultId::bms_fault, FaultClass::trip, Direction::both));
    l = shown(h);
    CHECK(near(l.ccl, 0.1));
    CHECK(near(l.dcl, 0.1));
    CHECK(l.enables == 0);
    CHECK(h.last(0x359) == "359#0008000001504E00");
    // SAFE-094: without the option exactly 0
    LvHouse plain;
    plain.start_running(0_A, 0_A);
    CHECK(plain.beat().at(0x351) == "351#170200000000E001");
}

TEST_CASE("pylontech_lv: option soc_cap")
{
    LvHouse h{{{"soc_cap", std::int64_t{99}}, {"profile", std::string{"victron"}}}};
    h.start_running();
    CHECK(h.beat().at(0x355) == "355#32006200A1130000");
    CHECK(!h.state().soc_overridden);
    h.battery.soc.set(Percent::from_milli(99'600), h.now);
    CHECK(h.beat().at(0x355) == "355#63006200AC260000");
    CHECK(h.state().soc_overridden);
    CHECK(h.state().sent_soc.fresh(h.now) == 99_pct);
}

TEST_CASE("pylontech_lv: the SOC clamp acts only on the judge's word, and while the limit is zero")
{
    struct Case {
        Direction override_soc;
        bool high;
        Current charge, discharge;
        int soc;
    };
    const std::vector<Case> cases{{Direction::none, false, 0_A, 0_A, 50}, {Direction::charge, false, 0_A, 30_A, 100},  // SAFE-113
        {Direction::discharge, false, 25_A, 0_A, 0}, {Direction::charge, false, 25_A, 30_A, 50},
        {Direction::discharge, true, 25_A, 30_A, 50}, {Direction::both, true, 0_A, 0_A, 100},
        {Direction::both, false, 0_A, 0_A, 0}, {Direction::both, false, 0_A, 30_A, 100}, {Direction::both, true, 25_A, 0_A, 0}};
    for (const Case& c : cases) {
        CAPTURE(to_string(c.override_soc));
        LvHouse h;
        h.start_running();
        h.verdict.override_soc = c.override_soc;
        h.verdict.high_cause = c.high;
        h.grant(c.charge, c.discharge);
        h.beat();
        CHECK(le16(h.frames(0x355).back(), 0) == c.soc);
        CHECK(h.state().soc_overridden == (c.soc != 50));
    }
}

TEST_CASE(
    "pylontech_lv: force charge is never asked for by itself; as an option with hysteresis, and only where charging is allowed")
{
    const auto bits = [](LvHouse& h, Percent soc) {
        h.battery.soc.set(soc, h.now);
        return shown(h).enables & 0x38;
    };
    LvHouse off;
    off.start_running();
    off.battery.voltage.set(46_V, off.now);
    CHECK(bits(off, 0_pct) == 0);

    LvHouse h{{{"force_charge_soc", std::int64_t{10}}}};
    h.start_running();
    CHECK(bits(h, 11_pct) == 0);
    CHECK(bits(h, 10_pct) == 0x10);
    CHECK(bits(h, 14.9_pct) == 0x10);
    CHECK(bits(h, 15_pct) == 0);
    CHECK(bits(h, 11_pct) == 0);
    CHECK(bits(h, 9_pct) == 0x10);
    h.battery.voltage.set(47.7_V, h.now);  // below the lowest there should be
    CHECK(bits(h, 9_pct) == 0x30);
    h.grant(0_A, 30_A);
    CHECK(bits(h, 9_pct) == 0);
    h.grant(30_A, 30_A);
    CHECK(bits(h, 9_pct) == 0x30);
    h.battery.voltage.set_max_age(1s);
    h.battery.soc.set_max_age(1s);
    h.run(3s);
    CHECK((shown(h).enables & 0x38) == 0);  // of what is not known any more nothing is concluded
}

TEST_CASE("pylontech_lv: what the battery asks for is asked of the inverter, while charging is allowed and the wish is fresh")
{
    for (const bool pass : {true, false}) {
        LvHouse h{{{"pass_requests", pass}}};
        h.start_running();
        const auto bits = [&h] { return shown(h).enables & 0x38; };
        h.battery.charge_requested.set(false, h.now);
        h.battery.full_charge_requested.set(false, h.now);
        CHECK(bits() == 0);
        h.battery.charge_requested.set(true, h.now);
        CHECK(bits() == (pass ? 0x10 : 0));
        CHECK(h.beat().at(0x35C) == (pass ? "35C#D000000000000000" : "35C#C000000000000000"));
        h.battery.full_charge_requested.set(true, h.now);
        CHECK(bits() == (pass ? 0x18 : 0));
        h.grant(0_A, 30_A);
        CHECK(bits() == 0);
        h.grant(30_A, 30_A);
        h.battery.charge_requested.set(false, h.now);
        CHECK(bits() == (pass ? 0x08 : 0));
        h.battery.charge_requested.set(true, h.now);
        for (auto* wish : {&h.battery.charge_requested, &h.battery.full_charge_requested}) wish->set_max_age(5s);
        h.run(6s);
        CHECK(bits() == 0);
    }
}

TEST_CASE("pylontech_lv: a full charge is asked for after so many days without one, as an option")
{
    for (const std::int64_t days : {0, 30}) {
        LvHouse h{{{"full_charge_days", days}}};
        h.start_running();
        const auto later = [&h](Duration time) {
            h.now += time;
            h.wake = h.judged = h.now;
            h.run(2s);
            return shown(h).enables & 0x08;
        };
        CHECK(later(std::chrono::hours{24 * 29}) == 0);
        CHECK(later(std::chrono::hours{25}) == (days > 0 ? 8 : 0));
        h.grant(0_A, 30_A);
        CHECK((shown(h).enables & 0x08) == 0);
        h.grant(30_A, 30_A);
        h.battery.soc.set(97_pct, h.now);
        CHECK((shown(h).enables & 0x08) == 0);
        h.battery.soc.set(96_pct, h.now);
        CHECK(later(std::chrono::hours{24 * 29}) == 0);
        CHECK(later(std::chrono::hours{25}) == (days > 0 ? 8 : 0));
    }
}

TEST_CASE("pylontech_lv: the number of modules: as the battery tells, at least one, or as configured")
{
    LvHouse h;
    h.start_running();
    auto said = h.beat();
    CHECK(said.at(0x359) == "359#0000000001504E00");
    CHECK(said.at(0x372) == "372#0100000000000000");
    for (int i = 0; i < 3; ++i) h.battery.modules.push_back(Module{});
    h.battery.modules[0].charge_switch.set(false, h.now);
    h.battery.modules[1].charge_switch.set(true, h.now);
    for (int i : {0, 1}) h.battery.modules[static_cast<std::size_t>(i)].discharge_switch.set(false, h.now);
    said = h.beat();
    CHECK(said.at(0x359) == "359#0000000003504E00");
    CHECK(said.at(0x372) == "372#0300010002000000");
    h.grant(0_A, 30_A);
    CHECK(h.beat().at(0x372) == "372#0300030002000000");

    LvHouse configured{{{"modules", std::int64_t{4}}}};
    configured.start_running();
    CHECK(configured.beat().at(0x359) == "359#0000000004504E00");
}

TEST_CASE("pylontech_lv: option name: eight characters that print, and never none")
{
    const auto shown_name = [](std::string_view name) {
        LvHouse h{{{"name", std::string{name}}}};
        h.start_running();
        return h.beat().at(0x35E);
    };
    CHECK(shown_name("PYLON") == "35E#50594C4F4E202020");
    CHECK(shown_name("BYD") == "35E#4259442020202020");
    CHECK(shown_name("Long-name-here") == "35E#4C6F6E672D6E616D");
    CHECK(shown_name("") == "35E#50594C4F4E202020");
}

TEST_CASE("pylontech_lv: option voltage_step_v")
{
    LvHouse h{{{"voltage_step_v", std::string{"0.1"}}}};
    h.start_running();
    CHECK(h.beat().at(0x356) == "356#16027B00EB000000");
    CHECK(h.state().sent_voltage.fresh(h.now) == 53.4_V);
}

TEST_CASE("pylontech_lv: capacity is told from the rated energy and stays, whatever the pack says later")
{
    LvHouse h;
    h.verdict.pack.voltage_nominal.reset();
    h.verdict.pack.voltage_max = 60_V;
    h.verdict.pack.voltage_min = 40_V;
    h.start_running();
    CHECK(h.beat().at(0x379) == "379#1F01000000000000");  // 14.336 kWh / 50 V = 286.7 Ah
    h.verdict.pack.energy_rated = 5_kWh;                  // SAFE-116
    CHECK(h.beat().at(0x379) == "379#1F01000000000000");
    h.verdict.mute_inverter = true;
    h.judge();
    h.run(1s);
    h.verdict.mute_inverter = false;
    h.judge();
    CHECK(h.beat().at(0x379) == "379#1F01000000000000");
}

TEST_CASE("pylontech_lv: the average temperature is the middle where the battery does not tell it")
{
    LvHouse h;
    h.battery.temperature_avg.forget();
    h.start_running();
    CHECK(h.beat().at(0x356) == "356#DE147B00D2000000");  // 21.0
}

TEST_CASE("pylontech_lv: the value topics of the inverter")
{
    LvHouse h{profile("sma")};
    h.start_running();
    h.hear("305#130233FFFA006702");
    h.beat();
    // MQTT-024, MQTT-025
    struct Topic {
        std::string_view key;
        ValueType type;
        std::optional<std::int64_t> milli;
    };
    const std::vector<Topic> topics{{"inverter", ValueType::temperature, 25'000}, {"send", ValueType::voltage, 53'420},
        {"recv", ValueType::voltage, 53'100}, {"send", ValueType::current, 12'300}, {"recv", ValueType::current, 20'500},
        {"max-discharge", ValueType::current, 100'000}, {"max-charge", ValueType::current, 50'000}};
    REQUIRE(h.info.values.size() == topics.size());
    for (std::size_t i = 0; i < topics.size(); ++i) {
        CAPTURE(i);
        const InverterValue& v = h.info.values[i];
        CHECK(v.key == topics[i].key);
        CHECK(v.type == topics[i].type);
        CHECK(v.milli(h.state(), h.now) == topics[i].milli);
    }
    CHECK(h.state().sent_voltage_max.fresh(h.now) == 56.8_V);
    CHECK(h.state().sent_voltage_min.fresh(h.now) == 48_V);
    // What is not told any more is not shown.
    h.verdict.stopped = true;
    h.judge();
    h.run(6s);
    for (const InverterValue& v : h.info.values)
        if (v.type != ValueType::temperature) CHECK(!v.milli(h.state(), h.now));
}

TEST_CASE("pylontech_lv: the transmit guard lets through what a profile sends, in its lengths, and nothing else")
{
    // SAFE-006
    const auto listed = [](const LvHouse::Changes& changes) {
        const InverterDriverInfo& info = *find_inverter_driver("pylontech-lv");
        InverterConfig config;
        config.options = default_options(info);
        for (const auto& [name, value] : changes) config.options.set(name, value);
        std::map<std::uint32_t, unsigned> all;
        for (const TxRule& r : info.traffic(config).sends) {
            CHECK(!r.extended);
            CHECK(all.emplace(r.id, r.len).second);  // one length each
            CHECK(r.min_spacing >= (config.options.get<std::string>("profile") == "sma" ? 200ms : 5ms));
        }
        return all;
    };
    using Lengths = std::map<std::uint32_t, unsigned>;
    CHECK(listed(profile("sma")) == Lengths{{0x351, 8}, {0x355, 6}, {0x356, 6}, {0x35A, 8}, {0x35E, 8}, {0x35F, 8}});
    CHECK(listed(profile("pylontech")) == Lengths{{0x351, 8}, {0x355, 8}, {0x356, 8}, {0x359, 8}, {0x35C, 8}, {0x35E, 8}});
    CHECK(listed({{"profile", std::string{"pylontech"}}, {"native_dlc", true}}) ==
        Lengths{{0x351, 8}, {0x355, 4}, {0x356, 6}, {0x359, 7}, {0x35C, 2}, {0x35E, 8}});
    CHECK(listed(profile("victron")).size() == 16);
    CHECK(listed(profile("superset")).size() == 10);
    const InverterDriverInfo& info = *find_inverter_driver("pylontech-lv");
    CHECK(info.sends.size() == 18 + 5);  // every message, and five shorter ones
    CHECK(info.receives.size() == 8);
    InverterConfig config;
    config.options = default_options(info);
    config.options.set("profile", std::string{"luxpower"});
    CHECK(info.traffic(config).receives.size() == 4);
}

TEST_CASE("pylontech_lv: options that do not go together are refused by name")
{
    const auto blamed = [](const LvHouse::Changes& changes) -> std::string {
        const InverterDriverInfo& info = *find_inverter_driver("pylontech-lv");
        Options o = default_options(info);
        for (const auto& [name, value] : changes) o.set(name, value);
        const auto objection = info.objection(o);
        if (objection) CHECK(!objection->what.empty());
        return objection ? std::string{objection->option} : "";
    };
    CHECK(blamed({}) == "");
    CHECK(blamed({{"name", std::string{"ABCDEFGH"}}}) == "");
    CHECK(blamed({{"name", std::string{"ABCDEFGHI"}}}) == "name");
    CHECK(blamed({{"name", std::string{}}}) == "name");
    CHECK(blamed({{"name", std::string{"G\xC3\xA4rten"}}}) == "name");
    CHECK(blamed({{"battery_name", std::string{"12345678901234567"}}}) == "battery_name");
    CHECK(blamed({{"native_dlc", true}}) == "");
    CHECK(blamed({{"native_dlc", true}, {"profile", std::string{"solark"}}}) == "native_dlc");
    CHECK(blamed({{"native_dlc", true}, {"profile", std::string{"sma"}}}) == "");
    CHECK(blamed({{"obey_switch_off", true}}) == "obey_switch_off");
    CHECK(blamed({{"obey_switch_off", true}, {"profile", std::string{"luxpower"}}}) == "");
}

TEST_CASE(
    "pylontech_lv: an inverter that goes on discharging is asked to charge, on the judge's word and where charging is allowed")
{
    // SAFE-113
    LvHouse h;
    h.start_running();
    const auto bits = [&](Direction against, Current charge, Current discharge) {
        h.verdict.ask_against = against;
        h.grant(charge, discharge);
        return shown(h).enables;
    };
    CHECK(bits(Direction::none, 25_A, 0_A) == 0x80);
    CHECK(bits(Direction::discharge, 25_A, 0_A) == 0x90);
    CHECK(bits(Direction::discharge, 0_A, 0_A) == 0x00);
    CHECK(bits(Direction::discharge, 25_A, 30_A) == 0xC0);
    CHECK(bits(Direction::charge, 0_A, 30_A) == 0x40);  // there is nothing to ask for
}

TEST_CASE("pylontech_lv: silence that the judge wants comes after a zero, whatever the options say")
{
    // SAFE-113
    LvHouse h{{{"silence_on_fault", false}}};
    h.start_running();
    h.grant(0_A, 0_A);
    h.beat();
    h.verdict.fall_silent = true;
    h.sent.clear();
    h.run(5s);
    CHECK(h.sent.empty());
    CHECK(h.state().phase == InverterPhase::silent);
    h.verdict.fall_silent = false;
    h.run(3s);
    CHECK_FALSE(h.sent.empty());
    CHECK(le16(h.frames(0x351).front(), 2) == 0);
    CHECK(le16(h.frames(0x351).front(), 4) == 0);
}
