// A Deye tower over time: its profile, what of its limits and permissions to believe, modules that come and go.
#include "model/chemistry.hpp"
#include "tests/battery/deye_bench.hpp"

#include <doctest/doctest.h>

#include <array>

using namespace batgw;
using namespace batgw::test;

namespace {

const CanFrame charging_native = frame("356#9E143CFED5000000"), charging_victron = frame("356#9E14C401D5000000");  // 45.2 A

}  // namespace

// ---- profile ----

TEST_CASE("deye: nothing is said of the current before the profile is known, and everything else is")
{
    DeyeBench b;
    b.hear(charging_native);
    CHECK_FALSE(b.state().current.last());
    CHECK(b.state().voltage.last() == 52.78_V);
    b.hear("35C#C000000000000000");  // one frame is not enough
    b.hear(charging_native);
    CHECK_FALSE(b.state().current.last());
    b.hear("363#2004200200000000");
    b.hear(charging_native);
    CHECK(b.state().current.last() == 45.2_A);
}

TEST_CASE("deye: every frame that only one profile has tells the profile")
{
    for (const char* text : {"359#0000000000000000", "35C#0000000000000000", "361#E80CDA0CD700D200", "363#2004200200000000",
             "364#0100000001000000", "371#F401F40100000000", "35E#445930303103E803"}) {
        CAPTURE(text);
        DeyeBench b;
        b.twice(text);
        b.hear(charging_native);
        CHECK(b.state().current.last() == 45.2_A);
    }
    for (const char* text : {"35A#0000000000000000", "35F#00032004E8034459", "35E#50594C4F4E03E803"}) {
        CAPTURE(text);
        DeyeBench b;
        b.twice(text);
        b.hear(charging_victron);
        CHECK(b.state().current.last() == 45.2_A);
    }
    for (const char* text : {"351#4002F401F401E001", "355#3700630000000000", "110#0000000000000031", "358#0000000000000000"}) {
        CAPTURE(text);
        DeyeBench b;
        b.twice(text);
        b.hear(charging_native);
        CHECK_FALSE(b.state().current.last());
    }
}

TEST_CASE("deye: the profile changes after two frames of the new kind and 0.75 s without the old; no current in between")
{
    DeyeBench b;
    b.twice("363#2004200200000000");
    b.hear(charging_native);
    REQUIRE(b.state().current.samples() == 1);
    b.now += 100ms;
    b.hear("35A#0000000000000000");
    b.now += 100ms;
    b.hear(charging_victron);  // with the old sign it would be a discharge
    CHECK(b.state().current.samples() == 1);
    b.hear("35F#00032004E8034459");
    b.now += 549ms;  // 749 ms after the last native frame
    b.hear(charging_victron);
    CHECK(b.state().current.samples() == 1);
    b.now += 1ms;
    b.hear(charging_victron);
    CHECK(b.state().current.samples() == 2);
    CHECK(b.state().current.last() == 45.2_A);
    // And back.
    b.hear("359#0000000000000000");
    b.now += 400ms;
    b.hear("359#0000000000000000");
    b.now += 400ms;
    b.hear(charging_native);
    CHECK(b.state().current.samples() == 3);
    CHECK(b.state().current.last() == 45.2_A);
}

TEST_CASE("deye: a frame that is dropped does not tell the profile either")
{
    // Made up: seventeen modules, a limit below zero, a cell of 5 V, no module in the Pylontech layout, a tower of no capacity.
    for (const char* text : {"364#0100000011000000", "371#FFFFF40100000000", "361#8813DA0CD700D200", "359#0000000000504E00",
             "35E#4459303031030000"}) {
        CAPTURE(text);
        DeyeBench b;
        CHECK(b.hear(text) == Heard::implausible);
        b.now += 1s;
        CHECK(b.hear(text) == Heard::implausible);
        b.hear(charging_native);
        CHECK_FALSE(b.state().current.last());
    }
    for (const char* text : {"35E#50594C4F4E030000", "35F#0003200400004459"}) {
        CAPTURE(text);
        DeyeBench b;
        b.twice("363#2004200200000000");
        CHECK(b.hear(text) == Heard::implausible);
        b.hear(charging_native);
        CHECK(b.state().current.last() == 45.2_A);  // native as before
    }
}

TEST_CASE("deye: frames of both profiles at once leave the current unknown")
{
    DeyeBench b;
    for (int i = 0; i < 20; ++i) {
        b.hear("359#0000000000000000");
        b.hear("363#2004200200000000");
        b.now += 250ms;
        b.hear("35A#0000000000000000");
        b.hear("35F#00032004E8034459");
        b.hear(charging_native);
        b.now += 250ms;
    }
    CHECK_FALSE(b.state().current.last());
}

TEST_CASE("deye: a profile that nothing has confirmed for 5 s is not known any more")
{
    DeyeBench b;
    b.twice("363#2004200200000000");
    b.now += 5s;
    b.hear(charging_native);
    CHECK(b.state().current.samples() == 1);
    b.now += 1us;
    b.hear(charging_native);
    CHECK(b.state().current.samples() == 1);
}

TEST_CASE("deye: a total that flows against its modules is not believed, and five times running it is bad")
{
    DeyeBench b;
    b.said[0x356] = charging_native;
    b.said[0x150] = frame("150#10023CFE3502DE03");  // charging too
    b.seconds(3);
    CHECK(b.state().current.is_fresh(b.now));
    b.said[0x356] = charging_victron;  // as if the profile were the other one
    const auto samples = b.state().current.samples();
    b.seconds(4);
    CHECK(b.state().current.samples() == samples);
    CHECK(b.state().current.quality(b.now) != Quality::bad);
    b.second();
    CHECK(b.state().current.quality(b.now) == Quality::bad);  // SAFE-024
    // Little current tells nothing: 3 A.
    DeyeBench small;
    small.said[0x356] = frame("356#9E141E00D5000000");
    small.said[0x150] = frame("150#1002E2FF3502DE03");
    small.seconds(3);
    CHECK(small.state().current.last() == -3_A);
    small.said[0x356] = frame("356#9E141F00D5000000");
    small.seconds(1);
    CHECK(small.state().current.last() == Current::from_milli(-3100));
    small.said[0x150] = frame("150#1002E1FF3502DE03");
    const auto before = small.state().current.samples();
    small.seconds(2);
    CHECK(small.state().current.samples() <= before + 1);
}

// ---- limits ----

TEST_CASE("deye: a lower limit counts at once, a higher one when a second frame agrees")
{
    DeyeBench b;
    const auto say = [&](const char* text) {
        b.now += 1s;
        b.hear(text);
        return b.state().charge_limit_current.last();
    };
    CHECK_FALSE(say("351#4002F4010807E001"));    // 50 A: the first word is a raise, too
    CHECK(say("351#400258020807E001") == 50_A);  // 60 A
    CHECK(say("351#400258020807E001") == 60_A);
    CHECK(say("351#400200000807E001") == 0_A);  // full: at once
    CHECK(say("351#40023E080807E001") == 0_A);  // a pulse of 211 A, for a second (seen by others)
    CHECK(say("351#400200000807E001") == 0_A);
    CHECK(say("351#40023E080807E001") == 0_A);
    CHECK(say("351#4002C8000807E001") == 20_A);  // two frames running above it: the lower of them
    CHECK(b.state().discharge_limit_current.last() == 180_A);
    // A first word of zero is no raise.
    DeyeBench zero;
    zero.hear("351#400200000000E001");
    CHECK(zero.state().charge_limit_current.last() == 0_A);
}

TEST_CASE("deye: what was allowed before a silence backs nothing after it")
{
    DeyeBench b;
    b.twice("351#4002F4010807E001");
    REQUIRE(b.state().charge_limit_current.last() == 50_A);
    b.now += 6s;
    const auto samples = b.state().charge_limit_current.samples();
    b.hear("351#4002F4010807E001");
    CHECK(b.state().charge_limit_current.samples() == samples);
    b.now += 1s;
    b.hear("351#4002F4010807E001");
    CHECK(b.state().charge_limit_current.samples() == samples + 1);
}

TEST_CASE("deye: the lower of both limit frames counts, as old as the older")
{
    DeyeBench b;
    b.said[0x351] = frame("351#4002F4010807E001");  // 50 A, 180 A
    b.said[0x371] = frame("371#2C01D00700000000");  // 30 A, 200 A
    b.seconds(3);
    CHECK(b.state().charge_limit_current.last() == 30_A);
    CHECK(b.state().discharge_limit_current.last() == 180_A);
    // 0x371 falls silent: neither is known any more, although 0x351 goes on.
    b.quiet(0x371);
    b.seconds(4);
    CHECK(b.state().charge_limit_current.is_fresh(b.now));
    b.seconds(2);
    CHECK_FALSE(b.state().charge_limit_current.is_fresh(b.now));
    CHECK_FALSE(b.state().discharge_limit_current.is_fresh(b.now));
}

TEST_CASE("deye: victronCAN has one limit frame, and what 0x371 said before is forgotten")
{
    DeyeBench b;
    b.said[0x371] = frame("371#2C012C0100000000");
    b.seconds(3);
    CHECK(b.state().charge_limit_current.last() == 30_A);
    b.victron();
    b.seconds(8);
    CHECK(b.state().charge_limit_current.is_fresh(b.now));
    CHECK(b.state().charge_limit_current.last() == 50_A);
}

// ---- permissions ----

TEST_CASE("deye: the switches of the modules are the permissions: one that conducts is enough")
{
    DeyeBench b;
    b.native(2);
    b.quiet(0x35C);
    b.seconds(2);
    CHECK(b.state().charge_allowed.fresh(b.now) == true);
    CHECK(b.state().discharge_allowed.fresh(b.now) == true);
    b.said[0x110].data[7] = 0x21;
    b.seconds(2);
    CHECK(b.state().charge_allowed.fresh(b.now) == true);
    b.said[0x111].data[7] = 0x21;
    b.second();
    CHECK(b.state().charge_allowed.fresh(b.now) == false);
    CHECK(b.state().discharge_allowed.fresh(b.now) == true);
    b.said[0x110].data[7] = b.said[0x111].data[7] = 0x01;
    b.second();
    CHECK(b.state().discharge_allowed.fresh(b.now) == false);
}

TEST_CASE("deye: the last switch that opens counts at once, not when every module has spoken")
{
    DeyeBench b;
    b.native(2);
    b.seconds(3);
    b.hear("110#0000000000000021");
    CHECK(b.state().charge_allowed.last() == true);
    b.hear("111#0000000000000021");
    CHECK(b.state().charge_allowed.last() == false);
    // And after a whole round, the other way.
    b.hear("110#0000000000000021");
    b.hear("111#0000000000000001");
    b.hear("110#0000000000000001");
    CHECK(b.state().discharge_allowed.last() == false);
}

TEST_CASE("deye: all zeros in 0x35C forbid nothing until a permission has been seen there")
{
    DeyeBench b;
    b.said[0x35C] = frame("35C#0000000000000000");  // old firmware, always
    b.seconds(5);
    CHECK(b.state().charge_allowed.fresh(b.now) == true);
    CHECK_FALSE(b.state().charge_requested.last());
    b.said[0x35C] = frame("35C#4000000000000000");
    b.second();
    CHECK(b.state().charge_allowed.fresh(b.now) == false);
    CHECK(b.state().discharge_allowed.fresh(b.now) == true);
    b.said[0x35C] = frame("35C#0000000000000000");  // now they mean it
    b.second();
    CHECK(b.state().discharge_allowed.fresh(b.now) == false);
}

TEST_CASE("deye: when no module may, the counts say so")
{
    DeyeBench b;
    b.native(2);
    b.said[0x364] = frame("364#0202000002000000");
    b.seconds(2);
    CHECK(b.state().charge_allowed.fresh(b.now) == false);
    CHECK(b.state().discharge_allowed.fresh(b.now) == true);
    b.said[0x364] = frame("364#0201020002000000");
    b.seconds(1);
    CHECK(b.state().charge_allowed.fresh(b.now) == true);
    CHECK(b.state().discharge_allowed.fresh(b.now) == false);
    b.quiet(0x364);  // what was said long ago forbids nothing
    b.seconds(7);
    CHECK(b.state().discharge_allowed.fresh(b.now) == true);
}

// ---- modules ----

TEST_CASE("deye: sixteen modules stand in the order of their addresses, gaps and all")
{
    DeyeBench b;
    b.said.clear();
    for (const unsigned n : {15U, 3U, 0U, 7U}) {
        CanFrame f = frame("150#100200003502DE03");
        f.id += n;
        b.hear(f);
    }
    REQUIRE(b.state().modules.size() == 4);
    CHECK(b.state().modules[0].address == 1);
    CHECK(b.state().modules[1].address == 4);
    CHECK(b.state().modules[2].address == 8);
    CHECK(b.state().modules[3].address == 16);
    DeyeBench tall;
    tall.native(16);
    tall.seconds(3);
    CHECK(tall.state().modules.full());
    for (const auto& [id, heard] : tall.last_heard) CHECK(heard == Heard::used);
}

TEST_CASE("deye: a module that falls silent leaves, is missed, and comes back; the others' word stays fresh all along")
{
    DeyeBench b;
    b.victron(3);  // where everything depends on the modules
    b.seconds(5);
    REQUIRE(b.state().modules.size() == 3);
    CHECK(b.state().reported.empty());
    b.quiet_module(1);
    for (int i = 0; i < 10; ++i) {
        b.second();
        CHECK(b.state().cell_voltage_max.is_fresh(b.now));
        CHECK(b.state().charge_allowed.age(b.now) <= 3240ms);  // SAFE-172
    }
    CHECK(b.state().modules.size() == 2);
    CHECK(b.module_at(2) == nullptr);
    CHECK(b.module_at(3) != nullptr);
    CHECK(b.reports("module lost"));
    b.module(1);
    b.seconds(4);
    CHECK(b.state().modules.size() == 3);
    CHECK_FALSE(b.reports("module lost"));
}

TEST_CASE("deye: when the whole tower was silent no module of it is missed, as long as all come back")
{
    DeyeBench b;
    b.victron(3);
    b.seconds(5);
    b.now += 20s;
    b.tick();
    for (int i = 0; i < 5; ++i) {
        b.second();
        CHECK(b.state().modules.size() == 3);
        CHECK(b.state().reported.empty());
    }
    CHECK(b.state().cell_voltage_max.is_fresh(b.now));
    CHECK(b.state().charge_allowed.is_fresh(b.now));
    // One that does not come back is missed as ever.
    b.now += 20s;
    b.quiet_module(1);
    b.seconds(4);
    CHECK(b.state().modules.size() == 2);
    CHECK(b.reports("module lost"));
    CHECK(b.state().cell_voltage_max.is_fresh(b.now));
}

TEST_CASE("deye: a lone frame of a module that is not there makes no module that could be missed")
{
    DeyeBench b;
    b.seconds(3);
    b.hear("157#100200003502DE03");
    CHECK(b.state().modules.size() == 2);
    b.seconds(4);
    CHECK(b.state().modules.size() == 1);
    CHECK(b.state().reported.empty());
    CHECK(b.state().charge_allowed.is_fresh(b.now));
}

TEST_CASE("deye: a tower that says it lost a module is told so")
{
    DeyeBench b;
    b.said[0x364] = frame("364#0100000101000000");
    b.seconds(1);
    CHECK(b.reports("module lost"));
    b.said[0x364] = frame("364#0100000001000000");
    b.seconds(7);
    CHECK(b.state().reported.empty());
}

TEST_CASE("deye: a seventeenth module is a warning while the system's own extremes cover it, and a fault where nothing does")
{
    DeyeBench b;
    b.seconds(2);
    b.hear("160#100200003502DE03");
    b.tick();
    b.seconds(1);
    CHECK(b.reports("more than 16 modules"));
    CHECK(b.state().reported[0].level == FaultClass::warn);
    b.seconds(6);
    CHECK(b.state().reported.empty());
    DeyeBench v;
    v.victron();
    v.seconds(2);
    v.hear("160#100200003502DE03");
    v.seconds(1);
    REQUIRE(v.reports("more than 16 modules"));
    CHECK(v.state().reported[0].level == FaultClass::block);
    CHECK(v.state().reported[0].direction == Direction::both);
}

TEST_CASE(
    "deye: in victronCAN the extremes are those of all modules, together and as old as the oldest; a worse one counts at once")
{
    // SAFE-030
    DeyeBench b;
    b.victron(2);
    b.said[0x200] = frame("200#E80CDA0CD700D200");  // 3304, 3290 mV, 21.5, 21.0 degrees
    b.said[0x201] = frame("201#F20CD00CE6009600");  // 3314, 3280 mV, 23.0, 15.0 degrees
    b.hear("151#100200003502DE03");                 // the second module is there, its extremes are not
    b.hear(b.said[0x200]);
    CHECK_FALSE(b.state().cell_voltage_max.last());
    b.seconds(3);
    CHECK(b.state().cell_voltage_max.last() == 3314_mV);
    CHECK(b.state().cell_voltage_min.last() == 3280_mV);
    CHECK(b.state().temperature_max.last() == 23_degC);
    CHECK(b.state().temperature_min.last() == 15_degC);
    b.now += 500ms;
    const Instant before = b.state().cell_voltage_max.at();
    b.hear("201#FC0CD00CE6009600");  // 3324 mV
    CHECK(b.state().cell_voltage_max.last() == 3324_mV);
    CHECK(b.state().cell_voltage_max.at() <= b.now - 500ms);
    CHECK(b.state().cell_voltage_max.at() >= before);
    // One of both goes silent about it, and is still there: not known any more, whatever the other one says.
    b.quiet(0x201);
    b.seconds(6);
    CHECK_FALSE(b.state().cell_voltage_max.is_fresh(b.now));
    CHECK_FALSE(b.state().temperature_min.is_fresh(b.now));
}

TEST_CASE("deye: in the native profile the modules step in when 0x361 is missing")
{
    DeyeBench b;
    b.seconds(2);
    CHECK(b.state().cell_voltage_max.source() == 0x361);
    b.quiet(0x361);
    b.seconds(3);
    CHECK(b.state().cell_voltage_max.source() == 0x200);
    CHECK(b.state().cell_voltage_max.is_fresh(b.now));
}

TEST_CASE("deye: energies of a module that left stay in the total, and the most used module gives the cycles")
{
    DeyeBench b;
    b.native(2);
    b.say("550#E803000064000000");
    b.say("551#D007000064000000");
    b.said[0x401] = frame("401#00002C0100000300");
    b.seconds(2);
    CHECK(b.state().energy_in.last() == 3000_Wh);
    CHECK(b.state().energy_out.last() == 200_Wh);
    CHECK(b.state().cycles.last() == 300_count);
    b.quiet_module(1);
    b.seconds(4);
    CHECK(b.state().energy_in.last() == 3000_Wh);
}

// ---- what it knows of itself ----

TEST_CASE("deye: the number of cells is counted from the voltages, where only one number fits, and three times running")
{
    DeyeBench b;
    CHECK_FALSE(b.driver->facts().cells);
    b.seconds(2);
    CHECK_FALSE(b.state().cell_count);
    b.seconds(2);
    CHECK(b.state().cell_count == 16U);
    CHECK(b.driver->facts().cells == 16U);
    // Made up: 15 cells, 49.5 V between 3.29 and 3.31 V.
    DeyeBench fifteen;
    fifteen.said[0x150] = frame("150#EF0100003502DE03");
    fifteen.said[0x200] = frame("200#EE0CDA0CD700D200");
    fifteen.seconds(5);
    CHECK(fifteen.state().cell_count == 15U);
    // Sixteen modules that tell in the same moment are one opinion: made up, the voltages of all taken while a load came on,
    // between cells and modules.
    DeyeBench tall;
    tall.native(16);
    tall.seconds(5);
    REQUIRE(tall.state().cell_count == 16U);
    for (unsigned n = 0; n < 16; ++n) {
        CanFrame sagging = frame("150#F20100003502DE03");  // 49.8 V
        sagging.id += n;
        tall.say(sagging);
    }
    tall.seconds(2);
    CHECK(tall.state().cell_count == 16U);
    tall.seconds(2);
    CHECK(tall.state().cell_count == 15U);
    // One cell far off: several numbers would do, so none is taken. 52.8 V between 2.9 and 3.4 V.
    DeyeBench torn;
    torn.said[0x200] = frame("200#480D540BD700D200");
    torn.seconds(10);
    CHECK_FALSE(torn.state().cell_count);
    // Without a voltage there is nothing to count.
    DeyeBench blind;
    blind.quiet(0x150);
    blind.seconds(10);
    CHECK_FALSE(blind.state().cell_count);
}

TEST_CASE("deye: window and energy follow from the cells and the capacity it states; what is configured counts more")
{
    DeyeBench b;
    CHECK_FALSE(b.driver->facts().voltage_max);
    b.seconds(4);
    const PackFacts f = b.driver->facts();
    CHECK(f.voltage_max == 58.4_V);
    CHECK(f.voltage_min == 44.8_V);
    CHECK(f.voltage_nominal == 51.2_V);
    CHECK(f.energy_rated == 5120_Wh);  // 100 Ah
    DeyeBench own{[](BatteryConfig& c) {
        c.cells = 16;
        c.capacity = 6000_Wh;
        c.voltage_max = 56_V;
        c.voltage_min = 47_V;
    }};
    const PackFacts g = own.driver->facts();
    CHECK(g.cells == 16U);
    CHECK(g.energy_rated == 6000_Wh);
    CHECK(g.voltage_max == 56_V);
    CHECK(g.voltage_min == 47_V);
}

TEST_CASE("deye: its own protection takes the place of the general one, for LFP only")
{
    SafetyConfig s = default_safety(Chemistry::lfp);
    BatteryConfig config;
    const auto& info = *find_battery_driver("deye");
    info.adjust(config, s);
    CHECK(s.cell.target == 3600_mV);
    CHECK(s.cell.block_high == 3650_mV);
    config.chemistry = Chemistry::custom;
    s = default_safety(Chemistry::custom);
    info.adjust(config, s);
    CHECK(s.cell.target == 3500_mV);
}

TEST_CASE("deye: every reading ages by itself, and a frame does not refresh what it does not carry")
{
    // SAFE-021, SAFE-022
    struct Row {
        std::uint32_t id;
        std::function<bool(const DeyeBench&)> fresh;
    };
    const std::array rows{Row{0x355, [](const DeyeBench& b) { return b.state().soc.is_fresh(b.now); }},
        Row{0x355, [](const DeyeBench& b) { return b.state().soh.is_fresh(b.now); }},
        Row{0x356, [](const DeyeBench& b) { return b.state().voltage.is_fresh(b.now); }},
        Row{0x356, [](const DeyeBench& b) { return b.state().current.is_fresh(b.now); }},
        Row{0x356, [](const DeyeBench& b) { return b.state().temperature_avg.is_fresh(b.now); }},
        Row{0x351, [](const DeyeBench& b) { return b.state().charge_limit_current.is_fresh(b.now); }},
        Row{0x351, [](const DeyeBench& b) { return b.state().charge_voltage_wanted.is_fresh(b.now); }},
        Row{0x35E, [](const DeyeBench& b) { return b.state().charge_full.is_fresh(b.now); }},
        Row{0x110, [](const DeyeBench& b) { return b.state().charge_allowed.is_fresh(b.now); }},
        Row{0x110, [](const DeyeBench& b) { return b.state().modules[0].charge_switch.is_fresh(b.now); }},
        Row{0x150, [](const DeyeBench& b) { return b.state().modules[0].soc.is_fresh(b.now); }},
        Row{0x200, [](const DeyeBench& b) { return b.state().modules[0].cell_voltage_max.is_fresh(b.now); }},
        Row{0x250, [](const DeyeBench& b) { return b.state().modules[0].temperature_mos.is_fresh(b.now); }},
        Row{0x400, [](const DeyeBench& b) { return b.state().modules[0].cycles.is_fresh(b.now); }}};
    for (const Row& row : rows) {
        CAPTURE(row.id);
        DeyeBench b;
        b.seconds(4);
        CHECK(row.fresh(b));
        b.quiet(row.id);
        b.seconds(4);
        CHECK(row.fresh(b));
        b.seconds(2);
        CHECK_FALSE(row.fresh(b));
    }
}

// ---- towards the pack ----

TEST_CASE("deye: nothing is ever sent, unless a heartbeat is configured")
{
    DeyeBench b;
    b.order = ContactorOrder::close;
    b.seconds(60);
    b.order = ContactorOrder::open;
    b.seconds(60);
    CHECK(b.sent.empty());
}

TEST_CASE("deye: the heartbeat is eight zero bytes a second, after 5 s of listening, and not while somebody else sends it")
{
    DeyeBench b{[](BatteryConfig& c) { c.options.set("heartbeat", true); }};
    const Instant start = b.now;
    b.run(10s);
    REQUIRE(b.sent.size() >= 5);
    CHECK(b.sent.front().at - start >= 5s);
    CHECK(b.sent.front().at - start <= 5100ms);
    for (std::size_t i = 0; i < b.sent.size(); ++i) {
        CHECK(b.sent[i].frame == frame("305#0000000000000000"));
        if (i > 0) CHECK(b.sent[i].at - b.sent[i - 1].at == 1s);
    }
    // An inverter on the same bus.
    const std::size_t before = b.sent.size();
    const Instant alone = b.now + 20s;
    while (b.now < alone) {
        CHECK(b.hear("305#1E2D0D07021A0000") == Heard::used);
        b.run(1s);
    }
    CHECK(b.sent.size() == before);
    // Of another length it is still somebody else's.
    while (b.now < alone + 20s) {
        CHECK(b.hear("305#1E2D0D07021A00") == Heard::bad_length);
        b.run(1s);
    }
    CHECK(b.sent.size() == before);
    b.run(10s);
    CHECK(b.sent.size() > before);
    CHECK_FALSE(b.state().heard);  // not a word of the pack
    // Held up, it does not make up for what it missed.
    b.now += 10s;
    const std::size_t late = b.sent.size();
    b.run(3s);
    CHECK(b.sent.size() - late <= 4);
}

TEST_CASE("deye: values for topics carry the signs and units of the house")
{
    // MQTT-027
    DeyeBench b;
    b.said[0x356] = charging_native;
    b.seconds(4);
    const auto value = [&](std::string_view key, ValueType type) -> std::optional<std::int64_t> {
        for (const BatteryValue& v : b.info.values)
            if (v.key == key && v.type == type) return v.milli(b.state(), b.now);
        return std::nullopt;
    };
    CHECK(value("", ValueType::voltage) == 52'780);
    CHECK(value("", ValueType::current) == 45'200);
    CHECK(value("", ValueType::power) == 2'385'656);
    CHECK(value("cell-delta", ValueType::voltage) == 14);
    CHECK(value("soc", ValueType::percent) == 55'000);
    CHECK(value("max-charge", ValueType::current) == 50'000);
    CHECK(value("full", ValueType::amphour) == 100'000);
    b.now += 10s;
    for (const BatteryValue& v : b.info.values) CHECK_FALSE(v.milli(b.state(), b.now));
}
