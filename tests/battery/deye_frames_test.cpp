// Deye low-voltage packs: what the frames mean. "Seen": from public recordings (Psynosaur/Deye_Battery_CAN_BUS, two full SE-G5.1
// Pro at rest in 2023, and its README); "made up" is computed from the layout.
#include "battery/deye_layout.hpp"
#include "tests/battery/deye_bench.hpp"

#include <doctest/doctest.h>

#include <array>
#include <tuple>

using namespace batgw;
using namespace batgw::test;

namespace {

Temperature celsius(int tenths) { return Temperature::from_milli(tenths * 100); }

// So that the current of 0x356 is taken: two frames that only this profile has.
void know_native(DeyeBench& b)
{
    b.hear("359#0000000000000000");
    b.hear("363#2004200200000000");
}
void know_victron(DeyeBench& b)
{
    b.hear("35A#0000000000000000");
    b.hear("35F#0005300660094459");
}

}  // namespace

// ---- worked examples, seen ----

TEST_CASE("deye: a discharging pack tells its current with the other sign (R1, S1, S2)")
{
    {
        DeyeBench b;  // seen: R1
        know_native(b);
        CHECK(b.hear("356#9614.8B00.8200.0000") == Heard::used);
        CHECK(b.state().voltage.last() == 52.7_V);
        CHECK(b.state().current.last() == Current::from_milli(-13'900));
        CHECK(b.state().temperature_avg.last() == celsius(130));
    }
    {
        DeyeBench b;  // made up: S1, charging
        know_native(b);
        CHECK(b.hear("356#9E14.3CFE.D500.0000") == Heard::used);
        CHECK(b.state().voltage.last() == 52.78_V);
        CHECK(b.state().current.last() == 45.2_A);
        CHECK(b.state().temperature_avg.last() == celsius(213));
    }
    {
        DeyeBench b;  // made up: S2, charging, victronCAN
        know_victron(b);
        CHECK(b.hear("356#9E14.C401.D500.0000") == Heard::used);
        CHECK(b.state().voltage.last() == 52.78_V);
        CHECK(b.state().current.last() == 45.2_A);
    }
    {
        DeyeBench b;  // made up: discharging, victronCAN
        know_victron(b);
        b.hear("356#9E14.3CFE.D500.0000");
        CHECK(b.state().current.last() == Current::from_milli(-45'200));
    }
}

TEST_CASE("deye: the limits, off the grid and on it (R2, R3)")
{
    DeyeBench b;
    // Seen: the tower is full.
    b.twice("351#4002.0000.0807.E001");
    CHECK(b.state().charge_limit_current.last() == 0_A);
    CHECK(b.state().discharge_limit_current.last() == 180_A);
    CHECK(b.state().charge_voltage_wanted.last() == 57.6_V);
    CHECK(b.state().discharge_voltage_wanted.last() == 48_V);
    b.twice("371#0000.0807.0000.0000");
    CHECK(b.state().charge_limit_current.last() == 0_A);
    CHECK(b.state().discharge_limit_current.last() == 180_A);
}

TEST_CASE("deye: state of charge, identity, extremes, counts of a full tower (R4 to R8)")
{
    DeyeBench b;
    CHECK(b.hear("355#6400.6400.0000.0000") == Heard::used);
    CHECK(b.state().soc.last() == 100_pct);
    CHECK(b.state().soh.last() == 100_pct);

    CHECK(b.hear("35E#4459.3030.3103.D007") == Heard::used);
    CHECK(b.state().charge_full.last() == 200_Ah);
    const CanFrame identity = frame("35E#4459.3030.3103.D007");
    CHECK(deye::maker(identity) == deye::maker_native);
    CHECK(deye::pack_number(identity) == 0x303031);
    CHECK(deye::cell_type(identity) == 3);

    CHECK(b.hear("361#0A0D.040D.7800.7800") == Heard::used);
    CHECK(b.state().cell_voltage_max.last() == 3338_mV);
    CHECK(b.state().cell_voltage_min.last() == 3332_mV);
    CHECK(b.state().temperature_max.last() == celsius(120));
    CHECK(b.state().temperature_min.last() == celsius(120));

    const CanFrame versions = frame("363#2004.2002.0000.0000");
    CHECK(b.hear(versions) == Heard::used);
    CHECK(deye::software(versions) == 0x2004);
    CHECK(deye::hardware(versions) == 0x2002);

    const CanFrame counts = frame("364#0202.0000.0200.0000");
    CHECK(b.hear(counts) == Heard::used);
    CHECK(deye::modules_normal(counts) == 2);
    CHECK(deye::modules_no_charge(counts) == 2);
    CHECK(deye::modules_no_discharge(counts) == 0);
    CHECK(deye::modules_lost(counts) == 0);
    CHECK(deye::modules_parallel(counts) == 2);
}

TEST_CASE("deye: the modules of a full tower (R9 to R15)")
{
    DeyeBench b;
    CHECK(b.hear("110#0000.0000.0000.0021") == Heard::used);
    CHECK(b.hear("151#1502.0000.E803.E803") == Heard::used);
    CHECK(b.hear("250#7800.70FE.0000.6400") == Heard::used);
    CHECK(b.hear("401#0100.0300.0000.1200") == Heard::used);
    CHECK(b.hear("500#2004.AA56.372E.3036") == Heard::used);
    CHECK(b.hear("550#F549.0000.2F3B.0000") == Heard::used);
    REQUIRE(b.state().modules.size() == 2);
    const Module &one = *b.module_at(1), &two = *b.module_at(2);
    CHECK(one.alarms.last() == 0_count);
    CHECK(one.charge_switch.last() == false);
    CHECK(one.discharge_switch.last() == true);
    CHECK(deye::parallel_done(frame("110#0000.0000.0000.0021")));
    CHECK(two.voltage.last() == 53.3_V);
    CHECK(two.current.last() == 0_A);
    CHECK(two.soc.last() == 100_pct);
    CHECK(two.soh.last() == 100_pct);
    CHECK(one.temperature_mos.last() == celsius(120));
    CHECK_FALSE(one.temperature_heater.last());  // none fitted
    CHECK(one.charge_limit_current.last() == 0_A);
    CHECK(one.discharge_limit_current.last() == 100_A);
    CHECK(two.cycles.last() == 3_count);
    CHECK(two.balancing.last() == 0_count);
    const CanFrame state = frame("401#0100.0300.0000.1200");
    CHECK(deye::mode(state) == 1);  // "charging", at 0 A
    CHECK(deye::fault_level(state) == 0);
    CHECK(deye::sub_state(state) == 0x12);
    CHECK(one.firmware == "2004");
    CHECK(deye::firmware_mark(frame("500#2004.AA56.372E.3036")) == 0xAA);
    CHECK(one.energy_in.last() == 18'933_Wh);
    CHECK(one.energy_out.last() == 15'151_Wh);
    const CanFrame counters = frame("700#0100.0000.0000.0000");
    CHECK(b.hear(counters) == Heard::used);
    CHECK(deye::over_charges(counters) == 1);
}

// ---- worked examples, made up ----

TEST_CASE("deye: a third module, discharging in the cold, its film warm, its cells balancing (S3 to S6)")
{
    DeyeBench b;
    CHECK(b.hear("152#0602.4701.8202.DB03") == Heard::used);
    CHECK(b.hear("202#C10C.A90C.F1FF.D6FF") == Heard::used);
    CHECK(b.hear("252#3B01.B900.3C00.7800") == Heard::used);
    CHECK(b.hear("402#0100.2C01.0580.0F00") == Heard::used);
    const Module& m = *b.module_at(3);
    CHECK(m.voltage.last() == 51.8_V);
    CHECK(m.current.last() == Current::from_milli(-32'700));
    CHECK(m.soc.last() == 64.2_pct);
    CHECK(m.soh.last() == 98.7_pct);
    CHECK(m.cell_voltage_max.last() == 3265_mV);
    CHECK(m.cell_voltage_min.last() == 3241_mV);
    CHECK(m.temperature_max.last() == celsius(-15));
    CHECK(m.temperature_min.last() == celsius(-42));
    CHECK(m.temperature_mos.last() == celsius(315));
    CHECK(m.temperature_heater.last() == celsius(185));
    CHECK(m.charge_limit_current.last() == 60_A);
    CHECK(m.discharge_limit_current.last() == 120_A);
    CHECK(m.cycles.last() == 300_count);
    CHECK(m.balancing.last() == 3_count);
    CHECK(deye::balancing(frame("402#0100.2C01.0580.0F00")) == 0b1000'0000'0000'0101);  // cells 1, 3, 16
    CHECK(deye::sub_state(frame("402#0100.2C01.0580.0F00")) == 0x0F);
}

TEST_CASE("deye: a module with six complaints (S7)")
{
    DeyeBench b;
    b.twice("110#2210.0040.0000.1231");
    for (const char* name :
        {"cell under-voltage", "discharge over-current", "MOS overtemp", "PCS communication", "precharge failed", "fuse blown"})
        CHECK(b.reports(name));
    CHECK(b.state().reported.size() == 6);
    CHECK(b.module_at(1)->alarms.last() == 6_count);
    CHECK(b.module_at(1)->charge_switch.last() == true);
    CHECK(b.module_at(1)->discharge_switch.last() == true);
}

TEST_CASE("deye: complaints of the system, in the maker's layout and in that of Pylontech (S8, S9)")
{
    DeyeBench b;
    b.twice("359#0200.0000.0000.0000");
    CHECK(b.state().reported.size() == 1);
    CHECK(b.reports("cell under-voltage"));
    b.now += 1s;
    b.twice("359#8401.0008.0350.4E00");
    CHECK(b.state().reported.size() == 4);
    for (const char* name : {"under-voltage", "discharge over-current", "charge over-current", "internal comm. warning"})
        CHECK(b.reports(name));
    CHECK(b.hear("359#8401.0008.1150.4E00") == Heard::implausible);  // 17 modules
    CHECK(b.hear("359#8401.0008.0050.4E00") == Heard::implausible);  // none
}

TEST_CASE("deye: what the pack asks for (S10)")
{
    DeyeBench b;
    b.hear("110#0000000000000031");
    CHECK(b.hear("35C#E800.0000.0000.0000") == Heard::used);
    CHECK(b.state().charge_allowed.last() == true);
    CHECK(b.state().discharge_allowed.last() == true);
    CHECK(b.state().charge_requested.last() == true);
    CHECK(b.state().full_charge_requested.last() == true);
    CHECK_FALSE(deye::heating_wanted(frame("35C#E800000000000000")));
    CHECK_FALSE(deye::charge_forced_2(frame("35C#E800000000000000")));
    b.hear("35C#D000.0000.0000.0000");  // made up: forced charge II
    CHECK(b.state().charge_requested.last() == true);
    CHECK(b.state().full_charge_requested.last() == false);
    b.hear("35C#C000.0000.0000.0000");
    CHECK(b.state().charge_requested.last() == false);
}

TEST_CASE("deye: energies need all 32 bits (S11), and count for the tower when every module has told")
{
    DeyeBench b;
    b.hear("150#100200003502DE03");
    b.hear("153#100200003502DE03");
    CHECK(b.hear("553#005E.D0B2.0000.0100") == Heard::used);
    CHECK(b.module_at(4)->energy_in.last() == 3'000'000'000_Wh);
    CHECK(b.module_at(4)->energy_out.last() == 65'536_Wh);
    CHECK_FALSE(b.state().energy_in.last());
    b.hear("550#F549.0000.2F3B.0000");
    CHECK(b.state().energy_in.last() == 3'000'018'933_Wh);
    CHECK(b.state().energy_out.last() == 80'687_Wh);
}

TEST_CASE("deye: identity in the profile victronCAN (S12 to S14)")
{
    DeyeBench b;
    CHECK(b.hear("35E#5059.4C4F.4E05.6009") == Heard::used);
    CHECK(b.state().charge_full.last() == 240_Ah);
    CHECK(deye::cell_type(frame("35E#50594C4F4E056009")) == 5);
    const CanFrame f = frame("35F#0005.3006.6009.4459");
    CHECK(b.hear(f) == Heard::used);
    CHECK(deye::cell_type_victron(f) == 5);
    CHECK(deye::software_victron(f) == 0x3006);
    CHECK(deye::capacity_victron(f) == 240_Ah);
    CHECK(deye::maker_of_victron(f) == deye::maker_native);
    CHECK(b.hear("35A#0000.0000.0000.0000") == Heard::used);
    CHECK(b.state().reported.empty());
    CHECK_FALSE(b.state().charge_allowed.last());  // "nothing supported" is not "all well"
}

TEST_CASE("deye: fault counters and the time of 0x305, both ways (S15, S18)")
{
    DeyeBench b;
    const CanFrame counters = frame("751#0100.0200.2C01.0400");
    CHECK(b.hear(counters) == Heard::used);
    CHECK(deye::charge_overcurrents(counters) == 1);
    CHECK(deye::discharge_overcurrents(counters) == 2);
    CHECK(deye::hot_charges(counters) == 300);
    CHECK(deye::hot_discharges(counters) == 4);

    const CanFrame time = frame("305#1E2D.0D07.021A.0000");
    CHECK(deye::second(time) == 30);
    CHECK(deye::minute(time) == 45);
    CHECK(deye::hour(time) == 13);
    CHECK(deye::day(time) == 7);
    CHECK(deye::month(time) == 2);
    CHECK(deye::year(time) == 26);
    CanFrame sent = deye::heartbeat.blank();
    deye::second.put(sent, 30);
    deye::minute.put(sent, 45);
    deye::hour.put(sent, 13);
    deye::day.put(sent, 7);
    deye::month.put(sent, 2);
    deye::year.put(sent, 26);
    CHECK(sent == time);
}

TEST_CASE("deye: a serial number is told whole or not at all (S16, S17)")
{
    DeyeBench b;
    CHECK(b.hear("600#534E.3030.3030.3030") == Heard::used);
    CHECK(b.module_at(1)->serial.empty());
    CHECK(b.hear("650#3030.3030.3030.3432") == Heard::used);
    CHECK(b.hear("600#534E.3030.3030.3030") == Heard::used);
    CHECK(b.module_at(1)->serial.empty());
    CHECK(b.hear("650#3030.3030.3030.3432") == Heard::used);
    CHECK(b.module_at(1)->serial == "SN00000000000042");
    // Made up: no text.
    CHECK(b.hear("601#534E.3030.3030.3007") == Heard::implausible);
    CHECK(b.hear("651#3030.3030.3030.34FF") == Heard::implausible);
    CHECK(b.module_at(2)->serial.empty());
}

TEST_CASE("deye: a serial number is told when it came twice, not for one wrong bit, not even the first one")
{
    DeyeBench b;
    for (int i = 0; i < 2; ++i) b.hear("600#534E.3030.3030.3030");
    b.hear("650#3030.3030.3030.3433");  // made up
    b.hear("650#3030.3030.3030.3432");
    CHECK(b.module_at(1)->serial.empty());
    b.hear("650#3030.3030.3030.3432");
    CHECK(b.module_at(1)->serial == "SN00000000000042");
    b.hear("650#3030.3030.3030.3433");
    CHECK(b.module_at(1)->serial == "SN00000000000042");
    b.hear("650#3030.3030.3030.3432");
    b.hear("650#3030.3030.3030.3433");
    CHECK(b.module_at(1)->serial == "SN00000000000042");
    b.hear("650#3030.3030.3030.3433");
    CHECK(b.module_at(1)->serial == "SN00000000000043");
}

// ---- boundaries ----

TEST_CASE("deye: the last code that is a reading, and the first that is not")
{
    // SAFE-025. Made up. Frames of a second each, so that nothing is too old.
    struct Row {
        const char *good, *bad;
    };
    constexpr std::array rows{
        Row{"355#6400640000000000", "355#6500640000000000"},  // state of charge
        Row{"355#0000000000000000", "355#0000650000000000"},  // health
        Row{"356#AC0D0000D5000000", "356#AB0D0000D5000000"},  // 35 V
        Row{"356#64190000D5000000", "356#65190000D5000000"},  // 65 V
        Row{"356#9E141027D5000000", "356#9E141127D5000000"},  // 1000 A
        Row{"356#9E14F0D8D5000000", "356#9E14EFD8D5000000"},  // -1000 A
        Row{"356#9E14000070FE0000", "356#9E1400006FFE0000"},  // -40 degrees
        Row{"356#9E140000B0040000", "356#9E140000B1040000"},  // 120 degrees
        Row{"356#9E140000D5000000",
            "356#9E1400800000000"
            "0"},                                             // 0x80xx is negative
        Row{"351#400210271027E001", "351#400211271027E001"},  // 1000 A
        Row{"351#400210271027E001", "351#400210271127E001"},
        Row{"351#400200000000E001", "351#4002FFFF0000E001"},  // -0.1 A
        Row{"351#8A02000000005E01", "351#8B02000000005E01"},  // 65 V, 35 V
        Row{"351#8A02000000005E01", "351#8A02000000005D01"},
        Row{"351#E101000000"
            "00E001",
            "351#E001000000"
            "00E001"},  // the wrong way round
        Row{"371#1027102700000000", "371#1127102700000000"},
        Row{"371#0000000000000000", "371#0000FFFF00000000"},
        Row{"361#9411DC05B00470FE", "361#9511DC05B00470FE"},  // 4.5 V, 1.5 V, 120 and -40 degrees
        Row{"361#9411DC05B00470FE", "361#9411DB05B00470FE"},
        Row{"361#9411DC05B00470FE", "361#9411DC05B10470FE"},
        Row{"361#9411DC05B00470FE", "361#9411DC05B0046FFE"},
        Row{"361#E80CE80CD700D700", "361#E70CE80CD700D700"},  // lowest above highest
        Row{"361#E80CE80CD700D700", "361#E80CE80CD600D700"},
        Row{"364#1010101010000000", "364#1010101011000000"},  // 17 modules
        Row{"364#0100000001000000", "364#0100000000000000"},  // none
        Row{"364#0202020002000000", "364#0302020002000000"},  // more than there are
        Row{"364#0202020002000000", "364#0203020002000000"},
        Row{"364#0202020002000000", "364#0202030002000000"},
        Row{"364#0200001002000000", "364#0200001102000000"},  // 17 lost
        Row{"35E#4459303031030100", "35E#4459303031030000"},  // no capacity
        Row{"35E#4459303031030100", "35E#4458303031030100"},  // another maker
        Row{"35E#50594C4F4E030100", "35E#50594C4F4D030100"},
        Row{"35F#0005300601004459", "35F#0005300600004459"},
        Row{"150#8A021027E803E803", "150#8B021027E803E803"},
        Row{"150#5E01F0D8E803E803", "150#5D01F0D8E803E803"},
        Row{"150#8A021027E803E803", "150#8A021127E803E803"},
        Row{"150#8A021027E803E803", "150#8A021027E903E803"},
        Row{"150#8A021027E803E803", "150#8A021027E803E903"},
        Row{"200#9411DC05B00470FE", "200#9511DC05B00470FE"},
        Row{"200#9411DC05B00470FE", "200#9411DC05B1046FFE"},
        Row{"200#E80CE80CD700D700", "200#E70CE80CD700D700"},
        Row{"250#B004B004E803E803", "250#B104B004E803E803"},
        Row{"250#B004B004E803E803", "250#B004B104E803E803"},
        Row{"250#B00471FEE803E803", "250#B0046FFEE803E803"},
        Row{"250#B00470FEE803E803", "250#B00470FEE903E803"},
        Row{"250#B00470FEE803E803", "250#B00470FEE803E903"},
        Row{"400#0202FFFFFFFFFF00", "400#0302FFFFFFFFFF00"},
        Row{"400#0202FFFFFFFFFF00", "400#0203FFFFFFFFFF00"},
    };
    for (const Row& row : rows) {
        CAPTURE(row.good);
        CAPTURE(row.bad);
        DeyeBench b;
        CHECK(b.hear(row.good) == Heard::used);
        const auto heard = b.state().heard;
        b.now += 1s;
        CHECK(b.hear(row.bad) == Heard::implausible);
        CHECK(b.state().heard == heard);  // no sign of life either
    }
}

TEST_CASE("deye: five frames running that cannot be make their values bad, at once")
{
    // SAFE-024, SAFE-025
    constexpr std::array bad{"351#4002FFFFF401E001", "355#3700650000000000", "356#0000000000000000", "35E#4459303031030000",
        "361#E80CDA0CD7006FFE", "110#", "150#0000000000000000", "200#0000000000000000", "250#B00470FEE903E803",
        "400#0900000000000000"};
    DeyeBench b;
    b.seconds(12);
    for (int i = 0; i < 5; ++i) {
        for (const char* text : bad) CHECK(b.hear(text) != Heard::used);
        b.now += 100ms;
    }
    const BatteryState& s = b.state();
    for (const auto* r : {&s.soc, &s.soh}) CHECK(r->quality(b.now) == Quality::bad);
    for (const auto* r : {&s.voltage, &s.cell_voltage_min, &s.cell_voltage_max}) CHECK(r->quality(b.now) == Quality::bad);
    for (const auto* r : {&s.current, &s.charge_limit_current, &s.discharge_limit_current})
        CHECK(r->quality(b.now) == Quality::bad);
    for (const auto* r : {&s.temperature_min, &s.temperature_max, &s.temperature_avg}) CHECK(r->quality(b.now) == Quality::bad);
    CHECK(s.charge_full.quality(b.now) == Quality::bad);
    const Module& m = *b.module_at(1);
    for (const auto* r : {&m.voltage, &m.cell_voltage_min, &m.cell_voltage_max}) CHECK(r->quality(b.now) == Quality::bad);
    for (const auto* r : {&m.current, &m.charge_limit_current, &m.discharge_limit_current})
        CHECK(r->quality(b.now) == Quality::bad);
    CHECK(m.temperature_mos.quality(b.now) == Quality::bad);
    CHECK(m.cycles.quality(b.now) == Quality::bad);
    // Ten good ones make them good again.
    b.seconds(11);
    CHECK(s.soc.is_fresh(b.now));
    CHECK(s.current.is_fresh(b.now));
    CHECK(s.charge_limit_current.is_fresh(b.now));
    CHECK(m.voltage.is_fresh(b.now));
}

TEST_CASE("deye: a voltage it cannot ask for costs the wish, not the limits")
{
    DeyeBench b;
    b.twice("351#4002F401F401E001");
    b.now += 1s;
    CHECK(b.hear("351#00006400C800E001") == Heard::implausible);  // made up: 0 V, 10 A, 20 A
    CHECK(b.state().charge_limit_current.last() == 10_A);
    CHECK(b.state().discharge_limit_current.last() == 20_A);
    CHECK(b.state().charge_voltage_wanted.last() == 57.6_V);
}

TEST_CASE("deye: a seventeenth module is counted and dropped")
{
    DeyeBench b;
    for (const std::uint32_t first : deye::module_rows) {
        CanFrame f{.id = first + 16};
        CHECK(b.hear(f) == Heard::implausible);
        f.id = first + 17;
        CHECK(b.hear(f) == Heard::not_mine);
    }
    CHECK(b.state().modules.empty());
    CHECK_FALSE(b.state().heard);
}
