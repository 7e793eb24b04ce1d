// The simulated inverter alone, with frames by hand, and with the real driver at the other end of the wire.
#include "sim/byd_hvs_inverter.hpp"

#include "inverter/byd_hvs_frames.hpp"
#include "inverter/byd_hvs_layout.hpp"
#include "inverter/registry.hpp"
#include "model/verdict.hpp"
#include "safety/grant_writer.hpp"
#include "sim/plant.hpp"
#include "tests/sim/support.hpp"

#include <cmath>
#include <string>

using namespace batgw;
using namespace batgw::test;
namespace hvs = batgw::byd_hvs;

namespace {

constexpr hvs::Identity identity{.energy_rated = 60.48_kWh, .voltage_nominal = 403.2_V, .modules = 24};
constexpr hvs::Measured measured{.voltage = 410_V,
    .current = 0_A,
    .soc = 55_pct,
    .soh = 98_pct,
    .temperature_max = 22_degC,
    .temperature_min = 20_degC,
    .temperature_avg = 21_degC};

// A battery by hand. Frames go to the inverter when told to.
struct Wire {
    explicit Wire(const sim::InverterChoice& choice = {}) : inverter{choice} {}
    void run(Duration time)
    {
        const Instant end = now + time;
        while (now < end) {
            now += 10ms;
            if (serving && now >= beat) {
                say(hvs::encode_limits(limits));
                beat = now + 2s;
            }
            if (serving && now >= slow_beat) {
                say(hvs::encode_charge_state(shown, identity));
                say(hvs::encode_measurements(shown));
                say(hvs::encode_temperatures(shown));
                slow_beat = now + 10s;
            }
            Outbox out;
            const Instant next = inverter.on_tick(now, out);
            CHECK(next > now);
            CHECK(out.lost() == 0);
            for (const CanFrame& f : out.frames()) heard.push_back({now, f});
        }
    }
    void say(const CanFrame& f) { inverter.on_frame(f, now); }
    void identify()
    {
        say(hvs::encode_identity(identity));
        say(hvs::encode_serial(1));
        say(hvs::encode_vendor());
        for (std::size_t i = 0; i < 4; ++i) say(hvs::encode_product(hvs::product_hvs, i));
    }
    void serve()
    {
        run(1s);
        identify();
        serving = true;
        beat = slow_beat = now;
        run(1s);
    }
    std::size_t count(std::uint32_t id) const
    {
        return static_cast<std::size_t>(
            std::count_if(heard.begin(), heard.end(), [id](const Caught& h) { return h.frame.id == id; }));
    }
    sim::BydHvsInverter inverter;
    Instant now{std::chrono::hours{1} + 99999us};
    bool serving = false;
    Instant beat{}, slow_beat{};
    hvs::Limits limits{.voltage_max = 4390, .voltage_min = 3820, .charge = 250, .discharge = 300};
    hvs::Measured shown = measured;
    std::vector<Caught> heard;
};

}  // namespace

TEST_CASE("simulated inverter: asks until somebody is there, and reports what it measures")
{
    Wire w;
    w.run(400ms);
    CHECK(w.heard.empty());  // boots
    w.run(10s);
    unsigned asked = 0;
    for (const auto& [at, f] : w.heard) asked += f.id == 0x151 && f.data[0] == 1;
    CHECK(asked == 5);
    CHECK(w.count(0x091) == 10);
    CHECK(w.count(0x111) >= 1);
    CHECK(w.count(0x191) == 2);  // a GoodWe
    CHECK(std::any_of(w.heard.begin(), w.heard.end(), [](const Caught& h) { return text(h.frame) == "151#00474F4F44574500"; }));
    w.identify();
    w.heard.clear();
    w.run(10s);
    CHECK(std::none_of(
        w.heard.begin(), w.heard.end(), [](const Caught& h) { return h.frame.id == 0x151 && h.frame.data[0] == 1; }));
    CHECK(w.inverter.told().product == "Battery-Box Premium HVS");
    CHECK(w.inverter.told().vendor == "BYD");
    CHECK(w.inverter.told().modules == 24);
    CHECK(w.inverter.told().energy_rated == 60.5_kWh);
    CHECK(w.inverter.report().identified);
    CHECK(!w.inverter.report().satisfied());
}

TEST_CASE("simulated inverter: another brand")
{
    Wire w{{.brand = "DEYE-AND-MORE"}};
    w.run(6s);
    CHECK(w.count(0x191) == 0);
    CHECK(std::any_of(w.heard.begin(), w.heard.end(), [](const Caught& h) { return text(h.frame) == "151#00444559452D414E"; }));
}

TEST_CASE("simulated inverter: a good battery leaves it satisfied")
{
    Wire w;
    w.serve();
    w.run(60s);
    const auto report = w.inverter.report();
    CAPTURE(report.problems.size());
    CHECK(report.satisfied());
    CHECK(report.frames > 50);
    CHECK(w.inverter.charge_limit() == 25_A);
    CHECK(w.inverter.discharge_limit() == 30_A);
    CHECK(w.inverter.told_soc() == 55_pct);
    CHECK(w.inverter.told_voltage() == 410_V);
    REQUIRE(w.inverter.rhythm(0x110) != nullptr);
    CHECK(w.inverter.rhythm(0x110)->longest <= 2010ms);
    CHECK(w.inverter.rhythm(0x123) == nullptr);
    CHECK(w.count(0x0D1) >= 10);
    CHECK(w.inverter.command("report").starts_with("ok satisfied"));
    CHECK(w.inverter.status().find("SOC 55.0 %") != std::string::npos);
}

TEST_CASE("simulated inverter: names what is wrong with a battery")
{
    const auto complaint = [](void (*misbehave)(Wire&)) {
        Wire w;
        w.serve();
        misbehave(w);
        const auto report = w.inverter.report();
        CHECK(!report.satisfied());
        return report.problems.empty() ? std::string{} : report.problems.back();
    };
    CHECK(complaint([](Wire& w) {
        w.serving = false;
        w.run(3s);
    }).starts_with("0x110 late"));
    CHECK(complaint([](Wire& w) {
        w.limits.voltage_min = 4400;
        w.beat = w.now;
        w.run(1s);
    }) == "voltage window is none");
    CHECK(complaint([](Wire& w) {
        w.limits.charge = 9000;
        w.beat = w.now;
        w.run(1s);
    }) == "implausible current limit");
    CHECK(complaint([](Wire& w) {
        w.inverter.set_terminal_voltage(3_V);
        w.run(3s);
    }) == "limits above 0 without voltage at the terminals");
    CHECK(complaint([](Wire& w) {
        w.shown.voltage = 600_V;
        w.slow_beat = w.now;
        w.run(1s);
    }) == "battery voltage far outside its window");
    CHECK(complaint([](Wire& w) {
        w.shown.temperature_max = 10_degC;
        w.slow_beat = w.now;
        w.run(1s);
    }) == "lowest temperature above the highest");
    CHECK(complaint([](Wire& w) {
        w.say({.id = 0x150, .data = {0xFF, 0xFF, 0, 0, 0, 0, 0, 1}});
    }) == "state of charge or health above 100 %");
    CHECK(complaint([](Wire& w) {
        w.say({.id = 0x150, .data = {0, 0, 0, 0, 0, 2, 0, 1}});
    }) == "more remaining than full capacity");
    CHECK(complaint([](Wire& w) { w.say(hvs::encode_product(hvs::product_hvs, 2)); }) == "identification out of order: 0x3D0");
    CHECK(complaint([](Wire& w) { w.say({.id = 0x250, .data = {}}); }) == "rated energy 0");
    CHECK(complaint([](Wire& w) {
        w.say(hvs::encode_identity(identity));
        w.say(hvs::encode_serial(1));
        w.say(hvs::encode_vendor());
        for (std::size_t i = 0; i < 4; ++i) w.say(hvs::encode_product("Some other thing", i));
    }).starts_with("unknown battery: BYD Some other"));
    // before the identification
    Wire w;
    w.run(1s);
    w.say(hvs::encode_limits(w.limits));
    REQUIRE(!w.inverter.report().problems.empty());
    CHECK(w.inverter.report().problems[0] == "0x110 before the identification was complete");
    // it does not remember more than it can bear
    for (int i = 0; i < 100; ++i) w.say(hvs::encode_product(hvs::product_hvs, 3));
    CHECK(w.inverter.report().problems.size() == sim::BydHvsInverter::problems_max);
    // foreign, short and extended frames are none of its business
    const auto frames = w.inverter.report().frames;
    w.say({.id = 0x123});
    w.say({.id = 0x110, .extended = false, .len = 7});
    w.say({.id = 0x110, .extended = true});
    CHECK(w.inverter.report().frames == frames);
}

TEST_CASE("simulated inverter: follows the limits after its delay, or does not")
{
    Wire w;
    w.serve();
    w.inverter.set_wish(4_kW);
    w.run(3s);
    CHECK(magnitude(w.inverter.current() - 9.756_A) < 0.01_A);
    w.inverter.set_wish(40_kW);
    w.run(3s);
    CHECK(w.inverter.current() == 25_A);
    w.inverter.set_wish(-40_kW);
    w.run(3s);
    CHECK(w.inverter.current() == -30_A);

    w.limits.discharge = 0;
    w.beat = w.now;
    w.run(200ms);
    CHECK(w.inverter.current() == -30_A);  // not yet
    w.run(200ms);
    CHECK(w.inverter.current() == 0_A);

    CHECK(w.inverter.command("ignore on") == "ok");
    w.run(5s);
    CHECK(w.inverter.current() < -90_A);
    CHECK(w.inverter.command("obey-soc on") == "ok");
    w.shown.soc = 0_pct;
    w.slow_beat = w.now;
    w.run(5s);
    CHECK(w.inverter.current() == 0_A);
    w.inverter.set_wish(4_kW);
    w.run(3s);
    CHECK(w.inverter.current() > 9_A);
    w.shown.soc = 100_pct;
    w.slow_beat = w.now;
    w.run(3s);
    CHECK(w.inverter.current() == 0_A);
    CHECK(w.inverter.command("ignore off") == "ok");
    CHECK(w.inverter.command("delay 0") == "ok");
}

TEST_CASE("simulated inverter: a silent battery is lost after a while, and found again")
{
    Wire w;
    w.serve();
    CHECK(w.inverter.command("power -3000") == "ok");
    w.run(3s);
    CHECK(w.inverter.current() < -7_A);
    w.serving = false;
    w.run(27s);
    CHECK(!w.inverter.battery_lost());
    w.run(5s);
    CHECK(w.inverter.battery_lost());
    CHECK(w.inverter.current() == 0_A);
    CHECK(w.inverter.status().find("battery lost") != std::string::npos);
    w.serving = true;
    w.run(3s);
    CHECK(!w.inverter.battery_lost());
}

TEST_CASE("simulated inverter: silent, restarted, asking once more")
{
    Wire w;
    w.serve();
    CHECK(w.inverter.command("silent on") == "ok");
    w.heard.clear();
    w.serving = false;  // as a battery does that hears nothing for long
    w.run(60s);
    CHECK(w.heard.empty());
    CHECK(w.inverter.battery_lost());
    w.serving = true;
    CHECK(w.inverter.command("silent off") == "ok");
    w.run(2s);
    CHECK(!w.heard.empty());

    CHECK(w.inverter.command("restart 2") == "ok");
    w.heard.clear();
    w.run(1900ms);
    CHECK(w.heard.empty());
    CHECK(!w.inverter.charge_limit());
    w.run(500ms);
    CHECK(w.count(0x151) == 2);  // asks, and says who it is
    w.identify();
    CHECK(w.inverter.told().identifications == 1);
    w.heard.clear();
    CHECK(w.inverter.command("identify") == "ok");
    w.run(100ms);
    CHECK(w.count(0x151) == 1);
    CHECK(w.inverter.command("restart") == "ok");
    CHECK(w.inverter.report().satisfied());
}

TEST_CASE("simulated inverter: commands")
{
    Wire w;
    w.serve();
    for (const char* bad : {"", "fly", "power", "power x", "power 1e9", "ignore", "ignore maybe", "obey-soc", "delay", "delay -1",
             "silent", "silent maybe", "restart -1", "restart 1 2", "restart x", "brand", "brand MUCHTOOLONG", "voltage",
             "voltage x", "voltage -1"}) {
        CAPTURE(bad);
        CHECK(w.inverter.command(bad).starts_with("error"));
    }
    CHECK(w.inverter.command("brand DEYE") == "ok");
    CHECK(w.inverter.command("voltage 123.4") == "ok");
    w.heard.clear();
    w.run(1100ms);
    for (const auto& [at, f] : w.heard)
        if (f.id == 0x091) CHECK(*hvs::inverter_voltage(f) == 123.4_V);
    CHECK(std::any_of(w.heard.begin(), w.heard.end(), [](const Caught& h) { return text(h.frame) == "151#0044455945000000"; }));
    CHECK(w.inverter.command("voltage off") == "ok");
    CHECK(w.inverter.command("status").starts_with("ok DEYE"));
    CHECK(w.inverter.command("help").find("power WATTS") != std::string::npos);
    w.say({.id = 0x250, .data = {}});
    CHECK(w.inverter.command("report").find("rated energy 0") != std::string::npos);
}

TEST_CASE("the driver satisfies the simulated inverter for ten minutes, with changing limits and requests")
{
    sim::BydHvsInverter inverter{{}};
    Options options;
    const auto& info = *find_inverter_driver("byd-hvs");
    for (const OptionRule& o : info.options) {
        const std::string t{o.default_text};
        if (o.type == OptionType::boolean)
            options.set(o.name, t == "true");
        else if (o.type == OptionType::integer)
            options.set(o.name, std::int64_t{std::stoll(t)});
        else if (o.type == OptionType::number)
            options.set(o.name, std::stod(t));
        else
            options.set(o.name, t);
    }
    InverterConfig config;
    config.options = options;
    const auto driver = info.make(config);
    Instant now{std::chrono::hours{9}};
    BatteryState battery;
    battery.voltage.set(410_V, now);
    battery.soc.set(55_pct, now);
    battery.temperature_max.set(22_degC, now);
    battery.temperature_min.set(20_degC, now);
    Verdict v;
    v.pack = {.cells = 126, .energy_rated = 60.48_kWh, .voltage_max = 441_V, .voltage_min = 380_V, .voltage_nominal = 410.5_V};
    v.voltage_max = 441_V;
    v.voltage_min = 380_V;
    v.inverter_link = v.battery_valid = v.ready = true;
    const Instant begin = now;
    for (int i = 0; now - begin < 600s; ++i) {
        now += 10ms;
        if (i % 10 == 0) {
            v.at = now;
            ++v.sequence;
            const Current amps = Current::from_milli(10'000 + 37 * (i % 700));
            v.charge = v.discharge = GrantWriter::write(10_kW, amps, Cause::config);
        }
        if (i % 7000 == 6999) inverter.command("identify");
        if (i % 23000 == 22999) inverter.command("restart 1");
        Outbox out;
        inverter.on_tick(now, out);
        for (const CanFrame& f : out.frames()) driver->on_frame(f, now);
        out.clear();
        driver->on_tick(now, {.verdict = v, .battery = battery}, out);
        for (const CanFrame& f : out.frames()) inverter.on_frame(f, now);
    }
    const auto report = inverter.report();
    for (const auto& p : report.problems) MESSAGE(p);
    CHECK(report.satisfied());
    CHECK(inverter.told().energy_rated == 60.5_kWh);
    CHECK(inverter.told().full == Charge::from_milli(147'300));
}
