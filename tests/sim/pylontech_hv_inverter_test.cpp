// The simulated Pylontech high-voltage inverter alone, with a battery by hand.
#include "sim/pylontech_hv_inverter.hpp"

#include "inverter/pylontech_hv_frames.hpp"
#include "sim/registry.hpp"

#include <doctest/doctest.h>

#include <functional>
#include <string>
#include <vector>

using namespace batgw;
namespace hv = batgw::pylontech_hv;

namespace {

// A battery by hand: answers every question at once, as long as `answering`. `spoil` may change a frame; a frame of no length is
// not sent.
struct Wire {
    explicit Wire(std::uint32_t address = 0, bool minus = false)
    {
        dialect.address = address;
        dialect.minus = minus;
        inverter.command("address " + std::to_string(address));
        inverter.command(minus ? "sign minus" : "sign plus");
    }
    void run(Duration time)
    {
        const Instant end = now + time;
        while (now < end) {
            now += 10ms;
            Outbox out;
            const Instant next = inverter.on_tick(now, out);
            CHECK(next > now);
            CHECK(out.lost() == 0);
            for (const CanFrame& f : out.frames()) {
                heard.push_back(f);
                if (!answering || f.id != 0x4200) continue;
                for (const CanFrame& a : f.data[0] == 0 ? ensemble() : equipment()) say(a);
            }
        }
    }
    void say(CanFrame f)
    {
        spoil(f);
        if (f.len > 0) inverter.on_frame(f, now);
    }
    std::vector<CanFrame> ensemble() const
    {
        return {hv::encode_totals(totals, dialect), hv::encode_limits(limits, dialect), hv::encode_cell_voltages(cells, dialect),
            hv::encode_cell_temperatures(warmth, dialect), hv::encode_status(status, dialect),
            hv::encode_module_voltages({50_V, 50_V}, dialect), hv::encode_module_temperatures(warmth, dialect),
            hv::encode_forbidden(no_charge, no_discharge, dialect), hv::encode_other_faults(status.causes, dialect)};
    }
    std::vector<CanFrame> equipment() const
    {
        return {hv::encode_versions(dialect), hv::encode_geometry(size, dialect), hv::encode_maker(name, dialect),
            hv::encode_model(dialect)};
    }
    std::size_t asked(std::uint8_t what) const
    {
        return static_cast<std::size_t>(std::count_if(
            heard.begin(), heard.end(), [what](const CanFrame& f) { return f.id == 0x4200 && f.extended && f.data[0] == what; }));
    }
    std::string last_problem() const
    {
        const auto problems = inverter.report().problems;
        return problems.empty() ? "" : problems.back();
    }

    sim::PylontechHvInverter inverter{{}};
    Instant now{std::chrono::hours{1} + 99999us};
    bool answering = true;
    hv::Dialect dialect;
    hv::Totals totals{410_V, 0_A, 21_degC, 55_pct, 98_pct};
    hv::Limits limits{439_V, 382_V, 25_A, 30_A};
    hv::Extremes<Voltage> cells{3300_mV, 3290_mV, 4, 5};
    hv::Extremes<Temperature> warmth{22_degC, 20_degC};
    hv::Status status{3, 112, {}};
    hv::Geometry size{120, 4, 30, 384_V, 37_Ah};
    std::string name = "PYLONTEC";
    bool no_charge = false, no_discharge = false;
    std::function<void(CanFrame&)> spoil = [](CanFrame&) {};
    std::vector<CanFrame> heard;
};

}  // namespace

TEST_CASE("simulated Pylontech HV inverter: asks for the equipment until somebody is there, then once a second for the ensemble")
{
    Wire w;
    w.answering = false;
    w.run(400ms);
    CHECK(w.heard.empty());  // boots
    w.run(12s);
    CHECK(w.asked(2) >= 3);
    CHECK(w.inverter.report().problems.empty());  // who never answered is not missed
    w.answering = true;
    w.run(4s);
    w.heard.clear();
    w.run(60s);
    CHECK(w.asked(0) >= 58);
    CHECK(w.asked(0) <= 61);
    CHECK(w.asked(2) == 2);
    CHECK(w.asked(1) == 0);
    CHECK(w.inverter.told().maker == "PYLONTEC");
    CHECK(w.inverter.told().model == "H");
    CHECK(w.inverter.told().cells == 120);
    CHECK(w.inverter.told().modules == 4);
    CHECK(w.inverter.report().satisfied());
    CHECK(w.inverter.told_soc() == 55_pct);
    CHECK(w.inverter.told_voltage() == 410_V);
    CHECK(w.inverter.charge_limit() == 25_A);
    CHECK(w.inverter.discharge_limit() == 30_A);
    CHECK(w.inverter.status() == "Pylontech HV 410.0 V 0.0 A may charge 25.0 A, discharge 30.0 A SOC 55 %");
}

TEST_CASE("simulated Pylontech HV inverter: follows limits and marks, after its delay and its slew, or ignores them if told so")
{
    Wire w;
    w.run(3s);
    w.inverter.command("power 20000");  // 48.8 A at 410 V
    w.run(3s);
    CHECK(w.inverter.current() == 25_A);
    w.limits.charge = 10_A;
    w.run(2s);
    CHECK(w.inverter.current() == 10_A);
    w.no_charge = true;
    w.run(2s);
    CHECK(w.inverter.current() == 0_A);
    w.inverter.set_wish(-20_kW);
    w.run(3s);
    CHECK(w.inverter.current() == -30_A);
    w.no_discharge = true;
    w.run(2s);
    CHECK(w.inverter.current() == 0_A);
    CHECK(w.inverter.report().problems.empty());
    w.inverter.command("ignore on");
    w.run(3s);
    CHECK(w.inverter.current() < -48_A);
    w.inverter.command("ignore off");
    w.inverter.command("obey-soc on");
    w.no_charge = w.no_discharge = false;
    w.run(3s);
    CHECK(w.inverter.current() == -30_A);
    w.totals.soc = 0_pct;
    w.run(3s);
    CHECK(w.inverter.current() == 0_A);
}

TEST_CASE("simulated Pylontech HV inverter: no current without voltage at the terminals, in the boot, or from a lost battery")
{
    Wire w;
    w.inverter.set_terminal_voltage(0_V);
    w.inverter.command("power 3000");
    w.run(3s);
    CHECK(w.inverter.current() == 0_A);
    CHECK(w.last_problem() == "limits above 0 without voltage at the terminals");
    w.inverter.set_terminal_voltage(410_V);
    w.run(3s);
    CHECK(w.inverter.current() > 7_A);
    w.answering = false;
    w.run(11s);
    CHECK(w.inverter.battery_lost());
    CHECK(w.inverter.current() == 0_A);
    CHECK(w.last_problem() == "no answer for 10 s");
    CHECK(w.inverter.status().ends_with("battery lost"));
    w.answering = true;
    w.run(5s);
    CHECK_FALSE(w.inverter.battery_lost());
    CHECK(w.inverter.current() > 7_A);
    w.inverter.command("restart 5");
    CHECK(w.inverter.current() == 0_A);
    w.heard.clear();
    w.run(4s);
    CHECK(w.heard.empty());
    w.run(4s);
    CHECK(w.asked(2) == 1);
}

TEST_CASE("simulated Pylontech HV inverter: complains about order, holes and what nobody asked for")
{
    Wire w;
    w.run(2s);
    w.say(hv::encode_totals(w.totals, w.dialect));
    CHECK(w.last_problem() == "0x4210 unasked");
    w.spoil = [](CanFrame& f) {
        if (f.id == 0x4240) f.len = 0;
    };
    w.run(1s);
    const auto problems = w.inverter.report().problems;
    CHECK(std::find(problems.begin(), problems.end(), "0x4250 out of order, 0x4240 was next") != problems.end());
    w.spoil = [](CanFrame& f) {
        if (f.id == 0x4280 || f.id == 0x4290) f.len = 0;
    };
    w.run(5s);
    CHECK(w.last_problem() == "answer ends before 0x4280");
    w.spoil = [](CanFrame&) {};
    w.run(4s);
    const auto count = w.inverter.report().problems.size();
    w.spoil = [](CanFrame& f) { f.id += 1; };  // another address
    w.run(1s);
    w.spoil = [](CanFrame& f) { f.extended = false; };
    w.run(1s);
    w.spoil = [](CanFrame& f) { f.len = 7; };
    w.run(1s);
    CHECK(w.inverter.report().problems.size() == count);
}

TEST_CASE("simulated Pylontech HV inverter: complains about values that make no sense")
{
    const auto complaint = [](const std::function<void(Wire&)>& change) {
        Wire w;
        change(w);
        w.run(2s);
        return w.last_problem();
    };
    CHECK(complaint([](Wire& w) {
        w.spoil = [](CanFrame& f) {
            if (f.id == 0x4210) f.data[6] = 101;
        };
    }) == "state of charge or health above 100 %");
    CHECK(complaint([](Wire& w) {
        w.spoil = [](CanFrame& f) {
            if (f.id == 0x4210) f.data[3] = 0xFF;
        };
    }) == "current beyond its codes");
    CHECK(complaint([](Wire& w) { w.limits.charge_cutoff = 100_V; }) == "battery voltage far outside its window");
    CHECK(complaint([](Wire& w) { w.limits.discharge_cutoff = 440_V; }) == "battery voltage far outside its window");
    CHECK(complaint([](Wire& w) { w.limits.discharge_cutoff = 0_V; }) == "voltage window is none");
    CHECK(complaint([](Wire& w) {
        w.limits.charge_cutoff = 411_V;
        w.limits.discharge_cutoff = 412_V;
    }) == "voltage window is none");
    CHECK(complaint([](Wire& w) { w.dialect.minus = true; }) == "discharging allowed with a limit of 0 A");
    CHECK(complaint([](Wire& w) { w.limits.charge = 600_A; }) == "implausible current limit");
    CHECK(complaint([](Wire& w) { w.cells.min = 3301_mV; }) == "lowest cell above the highest");
    CHECK(complaint([](Wire& w) { w.cells.min_number = 0; }) == "a cell that is none");
    CHECK(complaint([](Wire& w) { w.warmth.min = 23_degC; }) == "lowest temperature above the highest");
    CHECK(complaint([](Wire& w) { w.status.state = 5; }) == "a state that is none");
    CHECK(complaint([](Wire& w) { w.status.causes.alarms = 0x1000; }) == "reserved alarm or protection bits");
    CHECK(complaint([](Wire& w) { w.limits.charge = 0_A; }) == "charging allowed with a limit of 0 A");
    CHECK(complaint([](Wire& w) { w.status.causes.protections = hv::kind::cell_high; }) == "a protection that stops no charging");
    CHECK(complaint([](Wire& w) { w.status.causes.protections = hv::kind::discharge_hot; }) ==
        "a protection that stops no discharging");
    CHECK(complaint([](Wire& w) { w.size.cells = 126; }) == "cells are not modules times cells of each");
    CHECK(complaint([](Wire& w) { w.size.capacity = 0_Ah; }) == "a battery of no size");
    CHECK(complaint([](Wire& w) { w.name.clear(); }) == "a battery without a name");
    CHECK(complaint([](Wire&) {}).empty());
}

TEST_CASE("simulated Pylontech HV inverter: address and sign are those of its menu")
{
    Wire w{1, true};
    w.run(3s);
    CHECK(w.inverter.report().satisfied());
    CHECK(w.inverter.discharge_limit() == 30_A);
    CHECK(w.inverter.command("address 16").starts_with("error"));
    CHECK(w.inverter.command("address 1.5").starts_with("error"));
    CHECK(w.inverter.command("sign up").starts_with("error"));
}

TEST_CASE("simulated Pylontech HV inverter: orders go out under the address, and a granted mask is a complaint")
{
    Wire w{2};
    w.run(2s);
    for (const char* order : {"sleep", "wake", "mask", "charge", "discharge"}) {
        CHECK(w.inverter.command("order " + std::string{order}) == "ok");
        w.run(50ms);
    }
    const auto sent = [&w](std::uint32_t id, std::uint8_t first, std::uint8_t second) {
        return std::any_of(w.heard.begin(), w.heard.end(),
            [&](const CanFrame& f) { return f.extended && f.id == id && f.data[0] == first && f.data[1] == second; });
    };
    CHECK(sent(0x8202, 0x55, 0));
    CHECK(sent(0x8202, 0xAA, 0));
    CHECK(sent(0x8242, 0xAA, 0));
    CHECK(sent(0x8212, 0xAA, 0));
    CHECK(sent(0x8212, 0, 0xAA));
    CHECK(w.inverter.command("order coffee").starts_with("error"));
    w.say(hv::encode_refusal(w.dialect));
    CHECK(w.inverter.told().refusals == 1);
    CHECK(w.inverter.report().problems.empty());
    CanFrame granted = hv::encode_refusal(w.dialect);
    granted.data[0] = 0xAA;
    w.say(granted);
    CHECK(w.last_problem() == "a lost link would be hidden");
}

TEST_CASE("simulated Pylontech HV inverter: one that never asks takes what comes, from the beginning of an answer")
{
    Wire w;
    w.inverter.command("silent on");
    w.run(3s);
    CHECK(w.heard.empty());
    for (const CanFrame& f : w.equipment()) w.say(f);
    for (const CanFrame& f : w.ensemble()) w.say(f);
    CHECK(w.inverter.told().equipments == 1);
    CHECK(w.inverter.told().ensembles == 1);
    CHECK(w.inverter.report().satisfied());
    w.run(20s);
    CHECK(w.inverter.battery_lost());
    CHECK(w.inverter.report().problems.empty());
}

TEST_CASE("simulated Pylontech HV inverter: text control")
{
    Wire w;
    CHECK(w.inverter.command("").starts_with("error"));
    CHECK(w.inverter.command("dance").starts_with("error"));
    for (const char* bad : {"power", "power x", "power 1e6", "ignore", "ignore maybe", "obey-soc 1", "delay -1", "delay 70000",
             "silent", "restart -1", "restart 1 2", "restart 4000"})
        CHECK(w.inverter.command(bad).starts_with("error"));
    CHECK(w.inverter.command("help").find("order sleep|wake|mask|charge|discharge") != std::string::npos);
    CHECK(w.inverter.command("status") == "ok Pylontech HV 0.0 V 0.0 A");
    CHECK(w.inverter.command("report") == "ok not satisfied, not identified, no limit above 0 yet");
    w.run(2s);
    w.heard.clear();
    CHECK(w.inverter.command("identify") == "ok");
    CHECK(w.inverter.command("delay 1000") == "ok");
    w.run(1s);
    CHECK(w.asked(2) == 1);
    CHECK(w.inverter.command("report") == "ok satisfied, identified, limits above 0");
    w.limits.charge = 600_A;
    w.run(50s);
    CHECK(w.inverter.report().problems.size() == 32);  // the newest
    CHECK(w.inverter.command("report").find("\n  implausible current limit") != std::string::npos);
}

TEST_CASE("simulated Pylontech HV inverter: is in the registry")
{
    const auto inverter = sim::make_inverter("pylontech-hv", {});
    REQUIRE(inverter);
    CHECK(inverter->status().starts_with("Pylontech HV"));
}
