// The simulated 48 V inverter alone, with frames by hand, and with the real driver at the other end of the wire.
#include "sim/pylontech_lv_inverter.hpp"

#include "inverter/pylontech_lv_frames.hpp"
#include "inverter/pylontech_lv_layout.hpp"
#include "inverter/registry.hpp"
#include "safety/grant_writer.hpp"
#include "tests/sim/support.hpp"

#include <cmath>
#include <functional>
#include <set>

using namespace batgw;
using namespace batgw::test;
namespace lv = batgw::pylontech_lv;
using lv::Slot;

namespace {

lv::Told good_battery()
{
    lv::Told t;
    t.limits = {.charge_voltage = 568, .discharge_voltage = 480, .charge = 500, .discharge = 1000};
    t.requests = {.charge_enable = true, .discharge_enable = true};
    t.measured.voltage = 53.4_V;
    t.measured.soc = 50_pct;
    t.measured.soh = 98_pct;
    t.measured.temperature_max = 24_degC;
    t.measured.temperature_min = 18_degC;
    t.measured.temperature_avg = 21_degC;
    t.measured.cell_voltage_max = 3342_mV;
    t.measured.cell_voltage_min = 3310_mV;
    t.identity.capacity = 280_Ah;
    t.identity.maker.assign("PYLON");
    t.identity.battery.assign("batgw");
    return t;
}

// A battery by hand: one beat a second while serving.
struct Wire {
    explicit Wire(std::string_view profile = "superset")
        : dialect{lv::find_profile(profile)},
          inverter{{.brand = std::string{profile}}}
    {}
    void run(Duration time)
    {
        const Instant end = now + time;
        while (now < end) {
            now += 10ms;
            if (serving && now >= beat_at) {
                beat();
                beat_at = now + 1s;
            }
            Outbox out;
            const Instant next = inverter.on_tick(now, out);
            CHECK(next > now);
            CHECK(out.lost() == 0);
            for (const CanFrame& f : out.frames()) heard.push_back({now, f});
        }
    }
    void beat()
    {
        for (const auto& slots : {dialect.profile.together, dialect.profile.one_by_one})
            for (const Slot slot : slots)
                if (!left_out.contains(slot)) say(slot);
    }
    void say(Slot slot)
    {
        if (auto f = lv::encode(slot, told, dialect)) {
            if (spoil) spoil(*f);
            inverter.on_frame(*f, now);
        }
    }
    // Served until the inverter is content; then problems are those of what follows.
    void serve()
    {
        run(600ms);
        serving = true;
        run(3s);
        REQUIRE(inverter.report().satisfied());
    }
    std::size_t count(std::uint32_t id) const
    {
        return static_cast<std::size_t>(
            std::count_if(heard.begin(), heard.end(), [id](const Caught& h) { return h.frame.id == id; }));
    }
    bool complains(std::string_view of) const
    {
        const auto problems = inverter.report().problems;
        return std::any_of(
            problems.begin(), problems.end(), [of](const std::string& p) { return p.find(of) != std::string::npos; });
    }
    double amperes() const { return static_cast<double>(inverter.current().milli()) / 1000.0; }

    lv::Dialect dialect;
    sim::PylontechLvInverter inverter;
    Instant now{std::chrono::hours{1} + 99999us};
    bool serving = false;
    Instant beat_at{};
    lv::Told told = good_battery();
    std::set<Slot> left_out;
    std::function<void(CanFrame&)> spoil;
    std::vector<Caught> heard;
};

bool near(double a, double b) { return std::abs(a - b) < 0.05; }

}  // namespace

TEST_CASE("simulated 48 V inverter: a good battery of any profile leaves it satisfied, and it acknowledges in that profile's way")
{
    for (const std::string_view profile : lv::profile_names) {
        CAPTURE(std::string{profile});
        Wire w{profile};
        w.serve();
        w.heard.clear();
        w.run(60s);
        CHECK(w.inverter.report().satisfied());
        CHECK(w.inverter.report().frames > 300);
        CHECK(w.inverter.charge_limit() == 50_A);
        CHECK(w.inverter.discharge_limit() == 100_A);
        CHECK(w.inverter.told_voltage() == 53.4_V);
        CHECK(w.inverter.told_soc() == 50_pct);
        CHECK(w.inverter.told().maker == "PYLON");
        CHECK(w.count(0x305) >= 59);
        CHECK(w.count(0x305) <= 61);
        const bool more = profile == "superset" || profile == "victron" || profile == "sma";
        CHECK((w.count(0x306) > 50) == more);
        CHECK((w.count(0x307) > 50) == more);
        CHECK(w.count(0x300) == 0);
        CHECK(w.inverter.rhythm(0x351)->longest == 1s);
        CHECK(w.inverter.rhythm(0x351)->shortest == 1s);
        CHECK(w.inverter.rhythm(0x123) == nullptr);
    }
}

TEST_CASE("simulated 48 V inverter: it says nothing before it is awake and hears nothing then")
{
    Wire w;
    w.serving = true;
    w.run(400ms);
    CHECK(w.heard.empty());
    CHECK(w.inverter.report().frames == 0);
    CHECK(!w.inverter.report().identified);
}

TEST_CASE("simulated 48 V inverter: it does what it wishes within limits, enables and voltages")
{
    Wire w;
    w.inverter.set_terminal_voltage(53.4_V);
    w.serve();
    w.inverter.set_wish(1068_W);
    w.run(2s);
    CHECK(near(w.amperes(), 20));
    w.inverter.set_wish(10_kW);
    w.run(2s);
    CHECK(near(w.amperes(), 50));
    w.inverter.set_wish(-10_kW);
    w.run(2s);
    CHECK(near(w.amperes(), -100));
    w.told.limits.discharge = 300;
    w.run(2s);
    CHECK(near(w.amperes(), -30));
    w.told.requests.discharge_enable = false;
    w.told.limits.discharge = 0;
    w.run(2s);
    CHECK(near(w.amperes(), 0));
    w.inverter.set_wish(10_kW);
    w.run(2s);
    CHECK(near(w.amperes(), 50));
    w.inverter.set_terminal_voltage(56.65_V);  // near the charge voltage: half of it
    w.run(2s);
    CHECK(near(w.amperes(), 25));
    w.inverter.set_terminal_voltage(56.9_V);
    w.run(2s);
    CHECK(near(w.amperes(), 0));
    w.told.limits.discharge = 300;
    w.told.requests.discharge_enable = true;
    w.inverter.set_wish(-10_kW);
    w.inverter.set_terminal_voltage(47.9_V);  // below the discharge voltage
    w.run(2s);
    CHECK(near(w.amperes(), 0));
    CHECK(w.inverter.command("ignore on") == "ok");
    w.run(3s);
    CHECK(w.amperes() < -200);
    w.inverter.set_terminal_voltage(0_V);
    w.run(1s);
    CHECK(near(w.amperes(), 0));
}

TEST_CASE("simulated 48 V inverter: an alarm sends it into standby until it is cleared by 10")
{
    Wire w{"sma"};
    w.inverter.set_terminal_voltage(53.4_V);
    w.serve();
    w.inverter.set_wish(1068_W);
    w.run(2s);
    CHECK(near(w.amperes(), 20));
    w.told.alarms.raised = 1U << 11;
    w.told.limits.charge = w.told.limits.discharge = 0;
    w.run(2s);
    CHECK(w.inverter.standby());
    CHECK(near(w.amperes(), 0));
    CHECK(w.inverter.status().find("standby") != std::string::npos);
    w.told = good_battery();
    w.spoil = [](CanFrame& f) {
        if (f.id == 0x35A) f.data.fill(0);  // says nothing, so nothing ends
    };
    w.run(2s);
    CHECK(w.inverter.standby());
    w.spoil = nullptr;
    w.run(2s);
    CHECK(!w.inverter.standby());
    CHECK(near(w.amperes(), 20));

    Wire plain;
    plain.inverter.set_terminal_voltage(53.4_V);
    plain.serve();
    plain.inverter.set_wish(1068_W);
    plain.told.alarms.status = 1U << 11;
    plain.told.limits.charge = plain.told.limits.discharge = 0;
    plain.told.requests = {};
    plain.run(2s);
    CHECK(plain.inverter.standby());
    CHECK(near(plain.amperes(), 0));
}

TEST_CASE("simulated 48 V inverter: it complains of what a battery must not do")
{
    struct Case {
        const char* profile;
        const char* complaint;
        void (*harm)(Wire&);
    };
    const std::vector<Case> cases{
        {"superset", "0x355 late", [](Wire& w) { w.left_out.insert(Slot::charge_state); }},
        {"superset", "0x372 late", [](Wire& w) { w.left_out.insert(Slot::module_counts); }},
        {"superset", "charge voltage 0", [](Wire& w) { w.told.limits.charge_voltage = 0; }},
        {"superset", "not above the discharge voltage", [](Wire& w) { w.told.limits.discharge_voltage = 568; }},
        {"superset", "below the battery's",
            [](Wire& w) {
                w.told.limits.charge_voltage = 530;
                w.told.limits.charge = 0;
                w.told.requests.charge_enable = false;
            }},
        {"superset", "contradict", [](Wire& w) { w.told.requests.charge_enable = false; }},
        {"superset", "contradict", [](Wire& w) { w.told.limits.discharge = 0; }},
        {"superset", "protection without", [](Wire& w) { w.told.alarms.status = 1U << 1; }},
        {"superset", "protection without", [](Wire& w) { w.told.alarms.status = 1U << 2; }},
        {"superset", "protection without", [](Wire& w) { w.told.alarms.status = 1U << 11; }},
        {"victron", "alarm without", [](Wire& w) { w.told.alarms.raised = 1; }},
        {"superset", "asks for charging and forbids it",
            [](Wire& w) {
                w.told.limits.charge = 0;
                w.told.requests = {.discharge_enable = true, .force_charge_2 = true};
            }},
        {"superset", "lowest above highest", [](Wire& w) { w.told.measured.cell_voltage_min = 3400_mV; }},
        {"superset", "lowest above highest", [](Wire& w) { w.told.measured.temperature_min = 40_degC; }},
        {"victron", "capacity 0", [](Wire& w) { w.told.identity.capacity = Charge{}; }},
        {"superset", "capacity 0", [](Wire& w) { w.told.identity.capacity = Charge{}; }},
        {"superset", "without a maker", [](Wire& w) { w.told.identity.maker.assign(""); }},
        {"superset", "no module",
            [](Wire& w) {
                w.spoil = [](CanFrame& f) {
                    if (f.id == 0x359) f.data[4] = 0;
                };
            }},
        {"superset", "not signed PN",
            [](Wire& w) {
                w.spoil = [](CanFrame& f) {
                    if (f.id == 0x359) f.data[5] = 0;
                };
            }},
        {"superset", "below 0",
            [](Wire& w) {
                w.spoil = [](CanFrame& f) {
                    if (f.id == 0x351) f.data[5] = 0xFF;
                };
            }},
        {"superset", "above 100 %",
            [](Wire& w) {
                w.spoil = [](CanFrame& f) {
                    if (f.id == 0x355) f.data[0] = 101;
                };
            }},
        {"superset", "too short",
            [](Wire& w) {
                w.spoil = [](CanFrame& f) {
                    if (f.id == 0x355) f.len = 3;
                };
            }},
        {"solark", "too short",
            [](Wire& w) {
                w.spoil = [](CanFrame& f) {
                    if (f.id == 0x355) f.len = 4;
                };
            }},
        {"sma", "differ",
            [](Wire& w) {
                w.spoil = [](CanFrame& f) {
                    if (f.id == 0x355) f.data[4] = f.data[5] = 0;
                };
            }},
        {"sma", "must not be on the bus", [](Wire& w) { w.inverter.on_frame({.id = 0x359}, w.now); }},
        {"sma", "sooner than 200 ms",
            [](Wire& w) {
                w.run(100ms);
                w.say(Slot::limits);
                w.run(50ms);
                w.say(Slot::limits);
            }},
        {"superset", "without voltage", [](Wire& w) { w.inverter.set_terminal_voltage(2_V); }},
    };
    for (const Case& c : cases) {
        CAPTURE(c.complaint);
        Wire w{c.profile};
        w.serve();
        c.harm(w);
        w.run(3s);
        CHECK(w.complains(c.complaint));
        CHECK(!w.inverter.report().satisfied());
        CHECK(w.inverter.command("report").find(c.complaint) != std::string::npos);
    }
}

TEST_CASE("simulated 48 V inverter: a frame of the profile that never comes is missed by name, one that nobody can fill is not")
{
    Wire w{"victron"};
    w.left_out = {Slot::name_second};
    w.run(600ms);
    w.serving = true;
    w.run(8s);
    CHECK(w.complains("0x371 never came"));
    CHECK(w.inverter.report().problems.size() == 1);
    CHECK(!w.inverter.report().identified);
    w.left_out.clear();
    w.run(2s);
    CHECK(w.inverter.report().identified);
}

TEST_CASE(
    "simulated 48 V inverter: a battery that falls silent is lost, after a minute for an SMA, and used again when it speaks")
{
    for (const auto& [dialect, patience] : {std::pair{"superset", 5s}, std::pair{"sma", 60s}}) {
        const std::string profile = dialect;  // a structured binding cannot be captured by clang 14
        CAPTURE(profile);
        Wire w{profile};
        w.inverter.set_terminal_voltage(53.4_V);
        w.serve();
        w.inverter.set_wish(1_kW);
        w.run(2s);
        w.serving = false;
        w.run(patience - 1s);
        CHECK(!w.inverter.battery_lost());
        w.run(3s);
        CHECK(w.inverter.battery_lost());
        CHECK(near(w.amperes(), 0));
        CHECK(w.inverter.status().find("battery lost") != std::string::npos);
        w.serving = true;
        w.run(2s);
        CHECK(!w.inverter.battery_lost());
        CHECK(w.amperes() > 10);
    }
}

TEST_CASE("simulated 48 V inverter: a voltage that does not fit the field is none")
{
    Wire w;
    w.serve();
    w.told.measured.voltage = 413_V;
    w.run(2s);
    CHECK(!w.inverter.told_voltage());
    CHECK(w.inverter.report().problems.empty());
    CHECK(w.inverter.command("coarse on") == "ok");
    w.dialect.coarse_voltage = true;
    w.run(2s);
    CHECK(w.inverter.told_voltage() == 413_V);
}

TEST_CASE("simulated 48 V inverter: text control")
{
    Wire w;
    auto& i = w.inverter;
    CHECK(i.command("") == "error: empty");
    CHECK(i.command("dance").starts_with("error: unknown"));
    CHECK(i.command("help").find("acknowledge") != std::string::npos);
    CHECK(i.command("status").starts_with("ok superset"));
    for (const char* bad : {"power", "power x", "power 1e9", "ignore maybe", "delay -1", "delay", "silent", "acknowledge never",
             "acknowledge", "switch-off", "restart -1", "restart 1 2", "profile", "profile byd", "voltage", "voltage x",
             "voltage -1", "coarse"}) {
        CAPTURE(bad);
        CHECK(i.command(bad).starts_with("error: "));
    }
    w.serve();
    CHECK(i.status().find("may charge 50.0 A") != std::string::npos);
    CHECK(i.command("power 500") == "ok");
    CHECK(i.command("delay 2000") == "ok");
    w.told.limits.charge = 50;
    w.run(1500ms);
    CHECK(near(w.amperes(), 9.36));
    w.run(3s);
    CHECK(near(w.amperes(), 5));

    const auto acknowledged = [&w] {
        w.heard.clear();
        w.run(5s);
        return w.count(0x305);
    };
    CHECK(i.command("acknowledge off") == "ok");
    CHECK(acknowledged() == 0);
    CHECK(i.command("acknowledge extended") == "ok");
    CHECK(acknowledged() >= 4);
    CHECK(std::all_of(w.heard.begin(), w.heard.end(), [](const Caught& h) { return h.frame.id != 0x305 || h.frame.extended; }));
    CHECK(i.command("acknowledge normal") == "ok");
    CHECK(i.command("silent on") == "ok");
    CHECK(acknowledged() == 0);
    CHECK(i.command("silent off") == "ok");
    CHECK(acknowledged() >= 4);

    CHECK(i.command("restart 2") == "ok");
    w.run(1s);
    CHECK(!i.charge_limit());
    w.run(3s);
    CHECK(i.charge_limit());
    CHECK(i.command("restart") == "ok");
    CHECK(i.command("profile sma") == "ok");
    CHECK(i.status().starts_with("sma"));
}

TEST_CASE("simulated 48 V inverter: a LuxPower that asks the battery to switch off")
{
    Wire w{"luxpower"};
    w.serve();
    CHECK(w.inverter.command("switch-off on") == "ok");
    w.heard.clear();
    w.run(3s);
    CHECK(w.count(0x300) == 3);
    CHECK(
        std::all_of(w.heard.begin(), w.heard.end(), [](const Caught& h) { return h.frame.id != 0x300 || h.frame.data[0] == 1; }));
    CHECK(w.inverter.command("switch-off off") == "ok");
    w.heard.clear();
    w.run(3s);
    CHECK(w.count(0x300) == 0);
}

TEST_CASE("simulated 48 V inverter: an SMA reports what it measures, or a lie, with its current the other way round")
{
    Wire w{"sma"};
    w.inverter.set_terminal_voltage(53.4_V);
    w.serve();
    w.inverter.set_wish(1068_W);
    w.run(3s);
    const auto last = [&w] {
        return std::find_if(w.heard.rbegin(), w.heard.rend(), [](const Caught& h) { return h.frame.id == 0x305; })->frame;
    };
    CHECK(std::abs(static_cast<double>(lv::inverter_voltage(last())->milli()) / 1000 - 53.4) < 0.2);
    CHECK(last().data[3] == 0xFF);  // negative while charging
    CHECK(std::abs(static_cast<double>(lv::inverter_current(last())->milli()) / 1000 - 20) < 0.3);
    CHECK(w.inverter.command("voltage 48.5") == "ok");
    w.run(2s);
    CHECK(lv::inverter_voltage(last()) == 48.5_V);
    CHECK(w.inverter.command("voltage off") == "ok");
    w.run(2s);
    CHECK(lv::inverter_voltage(last()) != 48.5_V);
}
