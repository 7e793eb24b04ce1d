#include "sim/byd_atto3_pack.hpp"

#include "battery/byd_atto3_layout.hpp"
#include "sim/registry.hpp"
#include "tests/sim/support.hpp"

#include <map>
#include <set>

using namespace batgw;
using namespace batgw::test;
namespace atto3 = batgw::byd_atto3;
using Stage = sim::Atto3Contactors::Stage;

TEST_CASE("simulated pack: every frame of the protocol comes, 8 bytes long and with a right checksum")
{
    Car car;
    car.run(20s);
    std::set<std::uint32_t> ids;
    for (const auto& [at, f] : car.heard) {
        ids.insert(f.id);
        CHECK(f.len == 8);
        if (f.id != 0x47B) CHECK(atto3::checksum_right(f));
    }
    CHECK(ids ==
        std::set<std::uint32_t>{0x244, 0x245, 0x286, 0x334, 0x338, 0x344, 0x345, 0x347, 0x34A, 0x35E, 0x360, 0x36C, 0x438, 0x43A,
            0x43B, 0x43C, 0x43D, 0x444, 0x445, 0x446, 0x447, 0x47B, 0x524});
    const std::map<std::uint32_t, Duration> documented{{0x444, 101ms}, {0x345, 100ms}, {0x446, 1s}, {0x447, 1s}, {0x524, 5s}};
    for (const auto& [id, period] : documented) {
        CHECK(car.count(id) == doctest::Approx(static_cast<double>(20s / period)).epsilon(0.1));
    }
    CHECK(text(*car.last(0x47B)) == "47B#01FFFFFFFFFFFFFF");
}

TEST_CASE("simulated pack: what it says is what its cells are")
{
    Car car{{.soc = 60_pct, .temperature = 15_degC}};
    car.run(6s);
    const auto& cells = car.pack.cells();
    CHECK(*atto3::voltage_fine(*car.last(0x438)) ==
        car.pack.pack_voltage() + Voltage::from_milli(50 - (car.pack.pack_voltage().milli() + 50) % 100));
    CHECK(magnitude(*atto3::voltage_coarse(*car.last(0x444)) - car.pack.pack_voltage()) <= 1_V);
    CHECK(*atto3::soc(*car.last(0x447)) == 60_pct);
    CHECK(car.last(0x447)->data[5] >= 0xF0);  // the other four bits are not the charge
    CHECK(*atto3::current(*car.last(0x444)) == 0_A);
    const auto low = *atto3::lowest_cell(*car.last(0x446)), high = *atto3::highest_cell(*car.last(0x446));
    for (unsigned i = 0; i < cells.cells(); ++i) {
        CHECK(cells.cell_voltage(i) >= cells.cell_voltage(static_cast<unsigned>(low) - 1) - 1e-3);
        CHECK(cells.cell_voltage(i) <= cells.cell_voltage(static_cast<unsigned>(high) - 1) + 1e-3);
    }
    // all cells over the pages, and none beyond
    std::map<std::int64_t, CanFrame> pages;
    for (const auto& [at, f] : car.heard)
        if (f.id == 0x43D) pages[*atto3::cell_page(f)] = f;
    CHECK(pages.size() == 43);
    CHECK(magnitude(*atto3::cell_b(pages.at(7)) -
              Voltage::from_milli(static_cast<std::int64_t>(cells.cell_voltage(22) * 1000))) <= 2_mV);
    CHECK(atto3::cell_c(pages.at(41)));
    CHECK(!atto3::cell_a(pages.at(42)));
    // ten sensors, twelve places
    for (const auto& [at, f] : car.heard)
        if (f.id == 0x43C && f.data[0] == 1)
            CHECK((atto3::sensor_d(f).has_value() && !atto3::sensor_e(f) && !atto3::sensor_f(f)));
    CHECK(*atto3::insulation(*car.last(0x43A)) == 7300_ohm_per_V);
    CHECK(atto3::monitor_runs(*car.last(0x35E)));
}

TEST_CASE("simulated pack: other sizes")
{
    Car car{{.cells = 104}};
    car.run(6s);
    CHECK(car.pack.pack_voltage() < 350_V);
    std::set<std::uint8_t> pages;
    for (const auto& [at, f] : car.heard) {
        if (f.id == 0x43D) pages.insert(f.data[0]);
        if (f.id == 0x43D && f.data[0] == 34) CHECK((atto3::cell_b(f).has_value() && !atto3::cell_c(f)));
        if (f.id == 0x43C && f.data[0] == 1) CHECK((atto3::sensor_b(f).has_value() && !atto3::sensor_c(f)));
    }
    CHECK(pages.size() == 36);
}

TEST_CASE("simulated pack: closes for the right sequence, and says how far it is")
{
    Car car;
    car.run(1s);
    CHECK(text(*car.last(0x344)).substr(0, 8) == "344#0200");
    car.mode = atto3::PowerMode::close;
    std::set<std::string> seen;
    for (int i = 0; i < 30; ++i) {
        car.run(10ms);
        seen.insert(text(*car.last(0x344)).substr(4, 4));
    }
    CHECK(car.stage() == Stage::precharging);
    CHECK(car.pack.connection() == sim::Connection::precharge);
    CHECK(seen.contains("4244"));
    car.run(2s);
    CHECK(car.stage() == Stage::precharging);  // no link, no main contactor
    car.link = car.pack.pack_voltage() - 1_V;
    car.run(1s);
    CHECK(car.stage() == Stage::closed);
    CHECK(text(*car.last(0x344)).substr(4, 4) == "8241");
    car.mode = atto3::PowerMode::hold;
    car.run(300ms);
    CHECK(text(*car.last(0x344)).substr(4, 4) == "8641");
    CHECK(car.pack.contactors().counts().closings == 1);
    CHECK(magnitude(car.pack.output_voltage() - car.pack.pack_voltage()) < 1_V);
    CHECK(magnitude(*atto3::outside(*car.last(0x35E)) - car.pack.pack_voltage()) < 1_V);
}

TEST_CASE("simulated pack: wrong checksums or a counter that does not step move nothing")
{
    SUBCASE("checksum")
    {
        Car car;
        car.run(300ms);
        car.spoil = true;
        car.mode = atto3::PowerMode::close;
        car.run(1s);
        CHECK(car.stage() == Stage::open);
        CHECK(car.pack.contactors().counts().bad_checksums > 10);
    }
    SUBCASE("counting down")
    {
        Car car;
        car.count_by = 15;
        car.mode = atto3::PowerMode::close;
        car.run(1s);
        CHECK(car.stage() == Stage::open);
        CHECK(car.pack.contactors().counts().bad_counters > 10);
    }
    SUBCASE("standing still")
    {
        Car car;
        car.count_by = 0;
        car.mode = atto3::PowerMode::close;
        car.run(1s);
        CHECK(car.stage() == Stage::open);
    }
    SUBCASE("no link report")
    {
        Car car;
        car.report_link = false;
        car.mode = atto3::PowerMode::close;
        car.run(1s);
        CHECK(car.stage() == Stage::open);
    }
}

TEST_CASE("simulated pack: a link that is reported full before precharge is refused and stored")
{
    Car car;
    car.run(300ms);
    car.mode = atto3::PowerMode::close;
    car.link = 410_V;
    car.run(2s);
    CHECK(car.stage() == Stage::open);
    CHECK(car.pack.contactors().counts().refused_early_link == 1);
    REQUIRE(car.pack.diagnostics().codes.size() == 1);
    CHECK(car.pack.diagnostics().codes[0].code == 0x1A3400);
    // one refusal per request: another request may succeed
    car.close();
    CHECK(car.stage() == Stage::closed);
}

TEST_CASE("simulated pack: precharge that leads nowhere ends by itself")
{
    Car car;
    car.run(300ms);
    car.mode = atto3::PowerMode::close;
    car.run(6s);
    CHECK(car.stage() == Stage::open);
    CHECK(car.pack.contactors().counts().precharge_failures == 1);
    CHECK(car.pack.diagnostics().codes.size() == 1);
    car.run(3s);
    CHECK(car.pack.contactors().counts().precharge_failures == 1);  // no loop
}

TEST_CASE("simulated pack: withdrawing the request ends precharge")
{
    Car car;
    car.run(300ms);
    car.mode = atto3::PowerMode::close;
    car.run(400ms);
    REQUIRE(car.stage() == Stage::precharging);
    car.mode = atto3::PowerMode::standby;
    car.run(100ms);
    CHECK(car.stage() == Stage::open);
}

TEST_CASE("simulated pack: opens on acknowledge after shutdown, not on shutdown alone")
{
    Car car;
    car.close();
    REQUIRE(car.stage() == Stage::closed);
    car.mode = atto3::PowerMode::shutdown;
    car.run(3s);
    CHECK(car.stage() == Stage::closed);
    CHECK(text(*car.last(0x344)).substr(4, 4) == "8241");  // HV-active gone
    car.mode = atto3::PowerMode::acknowledge;
    car.run(300ms);
    CHECK(car.stage() == Stage::open);
    CHECK(car.pack.contactors().counts().openings == 1);
    CHECK(car.pack.contactors().counts().opened_under_load == 0);
}

TEST_CASE("simulated pack: an acknowledge that nobody announced opens it later, and is remembered")
{
    Car car;
    car.close();
    car.mode = atto3::PowerMode::acknowledge;
    car.run(900ms);
    CHECK(car.stage() == Stage::closed);
    CHECK(car.pack.contactors().counts().acknowledge_alone == 1);
    car.run(300ms);
    CHECK(car.stage() == Stage::open);
    CHECK(car.pack.contactors().counts().acknowledge_alone == 1);
}

TEST_CASE("simulated pack: frames lost on the way are no wrong counter")
{
    Car car;
    car.close();
    car.speaking = false;
    car.run(300ms);
    car.counter += 5;
    car.speaking = true;
    car.run(1s);
    CHECK(car.pack.contactors().counts().bad_counters == 0);
    CHECK(car.stage() == Stage::closed);
}

TEST_CASE("simulated pack: a parked car or a link far off opens it, under load too")
{
    SUBCASE("standby")
    {
        Car car;
        car.close();
        car.pack.set_current(-20_A);
        car.mode = atto3::PowerMode::standby;
        car.run(300ms);
        CHECK(car.stage() == Stage::open);
        CHECK(car.pack.contactors().counts().opened_under_load == 1);
        CHECK(car.pack.current() == 0_A);
    }
    SUBCASE("link")
    {
        Car car;
        car.close();
        car.link = 12_V;
        car.run(500ms);
        CHECK(car.stage() == Stage::open);
        CHECK(car.pack.contactors().counts().link_far == 1);
    }
}

TEST_CASE("simulated pack: silence of the car opens nothing")
{
    Car car;
    car.close();
    car.speaking = false;
    car.run(60s);
    CHECK(car.stage() == Stage::closed);
}

TEST_CASE("simulated pack: current moves charge and voltage only while closed")
{
    Car car;
    car.pack.set_current(100_A);
    car.run(10s);
    CHECK(car.pack.current() == 0_A);
    CHECK(car.pack.true_soc() == 55_pct);
    car.close();
    const Voltage before = car.pack.pack_voltage();
    car.run(36s);
    CHECK(car.pack.current() == 100_A);
    CHECK(*atto3::current(*car.last(0x444)) == 100_A);
    CHECK(car.pack.true_soc() > 55.6_pct);
    CHECK(car.pack.pack_voltage() > before - 1_V);
    CHECK(car.pack.command("current -50") == "ok");
    car.run(1s);
    CHECK(*atto3::current(*car.last(0x444)) == -50_A);
}

TEST_CASE("simulated pack: answers diagnostic requests, short and long")
{
    Car car;
    const auto ask = [&car](const std::array<std::uint8_t, 8>& bytes) {
        car.heard.clear();
        car.pack.on_frame({.id = 0x7E7, .data = bytes}, car.now);
        car.run(200ms);
        std::vector<std::string> answers;
        for (const auto& [at, f] : car.heard)
            if (f.id == 0x7EF) answers.push_back(text(f));
        return answers;
    };
    using Answers = std::vector<std::string>;
    CHECK(ask({0x03, 0x22, 0x00, 0x05}) == Answers{"7EF#0462000537AAAAAA"});  // SOC 55 %
    CHECK(ask({0x03, 0x22, 0x00, 0x09}) == Answers{"7EF#056200098813AAAA"});  // 5000: no current
    CHECK(ask({0x03, 0x22, 0x1F, 0xFC}) == Answers{"7EF#07621FFC7C15983A"});  // 55.00 %, 150.00 Ah
    CHECK(ask({0x03, 0x22, 0x12, 0x34}) == Answers{"7EF#037F2231AAAAAAAA"});
    CHECK(ask({0x01, 0x22}) == Answers{"7EF#037F2213AAAAAAAA"});
    CHECK(ask({0x02, 0x27, 0x01}) == Answers{"7EF#037F2711AAAAAAAA"});
    CHECK(ask({0x02, 0x10, 0x01}) == Answers{"7EF#025001AAAAAAAAAA"});
    CHECK(ask({0x03, 0x19, 0x02, 0x09}) == Answers{"7EF#03590209AAAAAAAA"});  // no codes
    for (const std::uint8_t id :
        std::initializer_list<std::uint8_t>{0x04, 0x08, 0x0A, 0x0B, 0x0E, 0x0F, 0x10, 0x11, 0x12, 0x2B, 0x2D, 0x2F, 0x31, 0x32}) {
        const auto answer = ask({0x03, 0x22, 0x00, id});
        REQUIRE(answer.size() == 1);
        CHECK(answer[0].substr(6, 2) == "62");
    }

    CHECK(car.pack.command("dtc P1A0000 on") == "ok");
    CHECK(car.pack.command("dtc U029787 stored") == "ok");
    CHECK(ask({0x03, 0x19, 0x02, 0x09}) == Answers{"7EF#100B5902091A0000"});  // waits for flow control
    car.heard.clear();
    car.pack.on_frame({.id = 0x7E7, .data = {0x30, 0x00, 0x05}}, car.now);
    car.run(100ms);
    CHECK(text(*car.last(0x7EF)) == "7EF#2109C2978708AAAA");  // the protocol page's example 36
    // nobody wants the rest: given up, and the next request is answered
    CHECK(ask({0x03, 0x19, 0x02, 0x09}).size() == 1);
    car.run(2s);
    car.heard.clear();
    car.pack.on_frame({.id = 0x7E7, .data = {0x30, 0x00, 0x05}}, car.now);
    car.run(100ms);
    CHECK(car.count(0x7EF) == 0);
    CHECK(ask({0x04, 0x14, 0xFF, 0xFF, 0xFF}) == Answers{"7EF#0154AAAAAAAAAAAA"});
    CHECK(car.pack.diagnostics().codes.empty());
    CHECK(car.pack.diagnostics().erased == 1);
}

TEST_CASE("simulated pack: block size and separation of flow control are kept")
{
    Car car;
    for (const char* code : {"P1A0000", "P1A0100", "P1A0200", "P1A0300", "P1A0400", "P1A0500", "P1A0600", "P1A0700"})
        CHECK(car.pack.command("dtc " + std::string{code} + " on") == "ok");
    car.pack.on_frame({.id = 0x7E7, .data = {0x03, 0x19, 0x02, 0x09}}, car.now);
    car.run(100ms);
    car.pack.on_frame({.id = 0x7E7, .data = {0x30, 0x02, 0x1E}}, car.now);
    car.run(300ms);
    CHECK(car.count(0x7EF) == 3);  // the first and a block of two
    std::vector<Instant> times;
    for (const auto& [at, f] : car.heard)
        if (f.id == 0x7EF) times.push_back(at);
    CHECK(times[2] - times[1] >= 30ms);
    car.pack.on_frame({.id = 0x7E7, .data = {0x30, 0x00, 0x00}}, car.now);
    car.run(300ms);
    CHECK(car.count(0x7EF) == 6);  // 35 bytes: 6 + 5 * 7 covers it
}

TEST_CASE("simulated pack: trouble codes as text")
{
    CHECK(sim::trouble_code("P1A4100") == 0x1A4100U);
    CHECK(sim::trouble_code("U029787") == 0xC29787U);
    CHECK(sim::trouble_code("C000001") == 0x400001U);
    CHECK(sim::trouble_code("B3FFFFF") == 0xBFFFFFU);
    for (const char* bad : {"", "P1A410", "P1A41000", "X1A4100", "P4A4100", "PZA4100", "P-A4100"}) CHECK(!sim::trouble_code(bad));
}

TEST_CASE("simulated pack: faults on demand")
{
    Car car;
    const auto after_command = [&car](std::string_view line) {
        CHECK(car.pack.command(line) == "ok");
        car.heard.clear();
        car.run(12s);
    };
    after_command("silent on");
    CHECK(car.heard.empty());
    after_command("silent off");
    CHECK(car.heard.size() > 100);
    after_command("stop 447");
    CHECK(car.count(0x447) == 0);
    CHECK(car.count(0x446) > 0);
    after_command("resume 0x447");
    CHECK(car.count(0x447) > 0);
    after_command("stop 444");
    after_command("resume all");
    CHECK(car.count(0x444) > 0);
    after_command("corrupt 345 on");
    CHECK(!atto3::checksum_right(*car.last(0x345)));
    CHECK(atto3::checksum_right(*car.last(0x444)));
    after_command("corrupt 345 off");
    CHECK(atto3::checksum_right(*car.last(0x345)));
    after_command("length 446 7");
    CHECK(car.last(0x446)->len == 7);
    after_command("length 446 off");
    CHECK(car.last(0x446)->len == 8);
    after_command("cell 9 3.66");
    CHECK(*atto3::highest_cell(*car.last(0x446)) == 9);
    CHECK(*atto3::cell_max(*car.last(0x446)) == 3660_mV);
    CHECK(*atto3::charge_limit(*car.last(0x345)) == 0_W);
    after_command("cell 9 2.70");
    CHECK(*atto3::lowest_cell(*car.last(0x446)) == 9);
    CHECK(*atto3::discharge_limit(*car.last(0x345)) == 0_W);
    after_command("cell 9 off");
    CHECK(*atto3::cell_min(*car.last(0x446)) > 3200_mV);
    after_command("temp -18");
    CHECK(*atto3::temperature_max(*car.last(0x447)) < Temperature::from_milli(-15'000));
    CHECK(*atto3::charge_limit(*car.last(0x345)) == 0_W);
    after_command("temp 22");
    after_command("temp 3 66");
    CHECK(*atto3::temperature_max(*car.last(0x447)) == 66_degC);
    CHECK(*atto3::hottest_sensor(*car.last(0x447)) == 3);
    after_command("insulation 80");
    CHECK(*atto3::insulation(*car.last(0x43A)) == 80_ohm_per_V);
    after_command("voltage 380");
    CHECK(*atto3::voltage_fine(*car.last(0x438)) == 380_V);
    CHECK(*atto3::voltage_coarse(*car.last(0x444)) == 380_V);
    after_command("voltage off");
    CHECK(*atto3::voltage_fine(*car.last(0x438)) > 400_V);
    after_command("soc 30");
    CHECK(*atto3::soc(*car.last(0x447)) == 30_pct);
    after_command("freeze on");
    car.pack.command("soc 80");
    car.run(2s);
    CHECK(*atto3::soc(*car.last(0x447)) == 30_pct);
    after_command("freeze off");
    CHECK(*atto3::soc(*car.last(0x447)) == 80_pct);
    after_command("limit charge 4");
    CHECK(*atto3::charge_limit(*car.last(0x345)) == 4_kW);
    after_command("limit discharge 0");
    CHECK(*atto3::discharge_limit(*car.last(0x345)) == 0_W);
    CHECK(car.pack.command("dtc P1A4100 on") == "ok");
    CHECK(car.pack.command("dtc P1A4100 stored") == "ok");
    REQUIRE(car.pack.diagnostics().codes.size() == 1);
    CHECK(!car.pack.diagnostics().codes[0].present);
    CHECK(car.pack.command("dtc P1A4100 off") == "ok");
    CHECK(car.pack.diagnostics().codes.empty());
    car.pack.command("dtc P1A4100 on");
    car.pack.command("stop 444");
    after_command("mend");
    CHECK(*atto3::discharge_limit(*car.last(0x345)) > 100_kW);
    CHECK(car.count(0x444) > 0);
    CHECK(car.pack.diagnostics().codes.empty());
    CHECK(car.pack.command("status").starts_with("ok 4"));
}

TEST_CASE("simulated pack: contactors in trouble")
{
    SUBCASE("never closes")
    {
        Car car;
        CHECK(car.pack.command("contactor never") == "ok");
        car.mode = atto3::PowerMode::close;
        car.run(300ms);
        car.link = car.pack.pack_voltage() - 1_V;
        car.run(3s);
        CHECK(car.stage() == Stage::precharging);
        car.run(4s);
        CHECK(car.stage() == Stage::open);
        CHECK(car.pack.contactors().counts().precharge_failures == 1);
    }
    SUBCASE("stuck")
    {
        Car car;
        car.close();
        CHECK(car.pack.command("contactor stuck") == "ok");
        car.mode = atto3::PowerMode::shutdown;
        car.run(2s);
        car.mode = atto3::PowerMode::acknowledge;
        car.run(10s);
        CHECK(car.stage() == Stage::closed);
        CHECK(car.pack.command("contactor normal") == "ok");
        car.run(1s);
        CHECK(car.stage() == Stage::open);
    }
    SUBCASE("opens by itself, and does not close again on HOLD")
    {
        Car car;
        car.close();
        CHECK(car.pack.command("contactor open") == "ok");
        car.run(1s);
        CHECK(car.stage() == Stage::open);
        CHECK(text(*car.last(0x344)).substr(4, 4) == "0200");
    }
    SUBCASE("closes by itself")
    {
        Car car;
        car.run(1s);
        CHECK(car.pack.command("contactor close") == "ok");
        car.run(5s);
        CHECK(car.stage() == Stage::closed);  // though a parked car says standby and an empty link
        car.mode = atto3::PowerMode::hold;
        car.link = car.pack.pack_voltage();
        car.run(1s);
        car.mode = atto3::PowerMode::shutdown;
        car.run(1500ms);
        car.mode = atto3::PowerMode::acknowledge;
        car.run(300ms);
        CHECK(car.stage() == Stage::open);
    }
    SUBCASE("crash lock")
    {
        Car car;
        CHECK(car.pack.command("crash on") == "ok");
        car.close();
        CHECK(car.stage() == Stage::open);
        CHECK(car.pack.diagnostics().codes.size() == 1);
        CHECK(car.pack.command("crash off") == "ok");
        CHECK(car.pack.diagnostics().codes.empty());
        car.close();
        CHECK(car.stage() == Stage::closed);
    }
}

TEST_CASE("simulated pack: commands that are not right say how they are")
{
    Car car;
    car.run(100ms);
    for (const char* bad : {"", "   ", "fly", "current", "current x", "current 1e9", "current nan", "soc", "soc 200", "soc -1",
             "silent", "silent maybe", "stop", "stop xyz", "stop 800", "resume", "resume xyz", "corrupt 345", "corrupt 345 maybe",
             "corrupt zz on", "length 446", "length 446 9", "length zz 3", "cell 0 3", "cell 127 3", "cell 9", "cell 9 9",
             "cell 9 x", "temp", "temp 999", "temp 99 20", "temp x 20", "contactor", "contactor maybe", "dtc P1", "dtc P1A4100",
             "dtc P1A4100 maybe", "insulation -1", "insulation", "freeze", "freeze maybe", "voltage", "voltage x", "voltage -3",
             "limit charge", "limit sideways 3", "limit charge x", "limit charge -3", "crash", "crash maybe"}) {
        CAPTURE(bad);
        CHECK(car.pack.command(bad).starts_with("error"));
    }
    const std::string help = car.pack.command("help");
    CHECK(help.starts_with("ok"));
    CHECK(help.find("contactor stuck") != std::string::npos);
}

TEST_CASE("simulated pack: the same seed gives the same frames")
{
    const auto life = [](std::uint64_t seed) {
        Car car{{.seed = seed}};
        car.close();
        car.pack.set_current(-10_A);
        car.run(30s);
        std::vector<std::string> said;
        for (const auto& [at, f] : car.heard) said.push_back(text(f));
        return said;
    };
    CHECK(life(3) == life(3));
    CHECK(life(3) != life(4));
}

TEST_CASE("simulated hardware is found by the names of the protocols")
{
    CHECK_FALSE(sim::simulated_batteries().empty());
    CHECK(sim::simulated_inverters().size() >= 2);
    for (const auto& k : sim::simulated_batteries()) CHECK(sim::make_battery(k.protocol, {}));
    for (const auto& k : sim::simulated_inverters()) CHECK(sim::make_inverter(k.protocol, {}));
    CHECK(!sim::make_battery("no-such", {}));
    CHECK(!sim::make_inverter("no-such", {}));
}
