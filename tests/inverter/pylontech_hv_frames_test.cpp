// Frames of Pylontech high voltage, in both directions. Recorded ones name their source; the others are made up: calculated from
// the description of the fields, not with this code.
#include "inverter/pylontech_hv_frames.hpp"

#include "inverter/pylontech_hv_layout.hpp"
#include "tests/inverter/hvs_house.hpp"

#include <limits>

using namespace batgw;
using namespace batgw::test;
namespace hv = batgw::pylontech_hv;

namespace {

constexpr hv::Dialect spec{}, address_1{.address = 1}, minus{.minus = true}, minus_1{.address = 1, .minus = true};

Temperature celsius(double c) { return Temperature::from_milli(static_cast<std::int64_t>(c * 1000.0 + (c < 0 ? -0.5 : 0.5))); }
Current amperes(double a) { return Current::from_milli(static_cast<std::int64_t>(a * 1000.0 + (a < 0 ? -0.5 : 0.5))); }

}  // namespace

TEST_CASE("pylontech_hv: the totals of a real battery with a Growatt SPH")
{
    // Recorded: ai-republic/bms-to-inverter, issue 85.
    const auto f = frame("00004210#3F08.3075.9204.1864");
    CHECK(hv::totals.matches(f));
    CHECK(hv::voltage(f) == 211.1_V);
    CHECK(hv::current(f) == 0_A);
    CHECK(hv::temperature(f) == 17_degC);
    CHECK(hv::soc(f) == 24_pct);
    CHECK(hv::soh(f) == 100_pct);
    CHECK(hv::encode_totals({211.1_V, 0_A, 17_degC, 24_pct, 100_pct}, spec) == f);
}

TEST_CASE("pylontech_hv: the limits of a real battery with a Growatt SPH, discharge counted as plus")
{
    // Recorded: ai-republic/bms-to-inverter, issue 85.
    const auto f = frame("00004220#2D09.0007.2477.2477");
    CHECK(hv::limits.matches(f));
    CHECK(hv::charge_cutoff(f) == 234.9_V);
    CHECK(hv::discharge_cutoff(f) == 179.2_V);
    CHECK(hv::charge_limit(f) == 50_A);
    CHECK(hv::discharge_limit(f) == 50_A);
    CHECK(hv::encode_limits({234.9_V, 179.2_V, 50_A, 50_A}, spec) == f);
}

TEST_CASE("pylontech_hv: the limits of a real battery that counts discharge as minus")
{
    // Recorded: dalathegreat/Battery-Emulator, issue 2019.
    const auto f = frame("00004220#A410.200D.2A76.3674");
    CHECK(hv::charge_cutoff(f) == 426_V);
    CHECK(hv::discharge_cutoff(f) == 336_V);
    CHECK(hv::charge_limit(f) == 25_A);
    CHECK(hv::discharge_limit_minus(f) == 25_A);
    CHECK_FALSE(hv::discharge_limit(f));  // as plus it would be -25 A, which is no limit
    CHECK(hv::encode_limits({426_V, 336_V, 25_A, 25_A}, minus) == f);
}

TEST_CASE("pylontech_hv: totals while charging and while discharging in the frost, address 1")
{
    const auto charging = frame("00004211#020F.AB75.D304.3262");
    CHECK(hv::voltage(charging) == 384.2_V);
    CHECK(hv::current(charging) == 12.3_A);
    CHECK(hv::temperature(charging) == 23.5_degC);
    CHECK(hv::encode_totals({384.2_V, 12.3_A, 23.5_degC, 50_pct, 98_pct}, address_1) == charging);

    const auto discharging = frame("00004211#CF0E.7574.BB03.3162");
    CHECK(hv::voltage(discharging) == 379.1_V);
    CHECK(hv::current(discharging) == amperes(-18.7));
    CHECK(hv::temperature(discharging) == celsius(-4.5));
    CHECK(hv::encode_totals({379.1_V, amperes(-18.7), celsius(-4.5), 49_pct, 98_pct}, address_1) == discharging);
}

TEST_CASE("pylontech_hv: limits with either sign, and zero, which is the same in both")
{
    const auto plus = frame("00004221#E010.200D.2A76.5C76");
    CHECK(hv::charge_cutoff(plus) == 432_V);
    CHECK(hv::charge_limit(plus) == 25_A);
    CHECK(hv::discharge_limit(plus) == 30_A);
    CHECK(hv::encode_limits({432_V, 336_V, 25_A, 30_A}, address_1) == plus);

    const auto negative = frame("00004221#E010.200D.2A76.0474");
    CHECK(hv::discharge_limit_minus(negative) == 30_A);
    CHECK(hv::encode_limits({432_V, 336_V, 25_A, 30_A}, minus_1) == negative);

    // SAFE-094
    const auto none = frame("00004221#E010.200D.3075.3075");
    CHECK(hv::charge_limit(none) == 0_A);
    CHECK(hv::discharge_limit(none) == 0_A);
    CHECK(hv::discharge_limit_minus(none) == 0_A);
    CHECK(hv::encode_limits({432_V, 336_V, 0_A, 0_A}, address_1) == none);
    CHECK(hv::encode_limits({432_V, 336_V, 0_A, 0_A}, minus_1) == none);
}

TEST_CASE("pylontech_hv: extremes of cells and modules")
{
    const auto cells = frame("00004231#180D.F60C.1100.5800");
    CHECK(hv::cell_max(cells) == 3352_mV);
    CHECK(hv::cell_min(cells) == 3318_mV);
    CHECK(hv::max_number(cells) == 17);
    CHECK(hv::min_number(cells) == 88);
    CHECK(hv::encode_cell_voltages({3352_mV, 3318_mV, 17, 88}, address_1) == cells);

    const auto warmth = frame("00004241#DE04.DC03.0400.1500");
    CHECK(hv::cell_hottest(warmth) == 24.6_degC);
    CHECK(hv::cell_coldest(warmth) == celsius(-1.2));
    CHECK(hv::encode_cell_temperatures({24.6_degC, celsius(-1.2), 4, 21}, address_1) == warmth);

    CHECK(text(hv::encode_module_voltages({48.123_V, 47.9_V, 2, 3}, spec)) == "00004260#FBBB1CBB02000300");
    CHECK(text(hv::encode_module_voltages({96.1_V, 66_V, 1, 1}, spec)) == "00004260#FFFFFFFF01000100");  // 65.5 V is all there is
    CHECK(text(hv::encode_module_temperatures({24.6_degC, celsius(-1.2), 4, 2}, spec)) == "00004270#DE04DC0304000200");
}

TEST_CASE("pylontech_hv: status with and without causes")
{
    const auto charging = frame("00004251#0170.0000.0000.0000");
    CHECK(hv::state(charging) == hv::state_charge);
    CHECK(hv::cycles(charging) == 112);
    CHECK(hv::encode_status({hv::state_charge, 112, {}}, address_1) == charging);

    const auto trouble = frame("00004251#0370.0004.2100.0200");
    CHECK(hv::state(trouble) == hv::state_idle);
    CHECK(hv::fault_communication(trouble));
    CHECK(hv::alarm_cell_low(trouble));
    CHECK(hv::alarm_charge_hot(trouble));
    CHECK(hv::protection_cell_high(trouble));
    CHECK_FALSE(hv::force_charge(trouble));
    CHECK_FALSE(hv::balance_charge(trouble));
    const hv::Causes causes{.alarms = hv::kind::cell_low | hv::kind::charge_hot,
        .protections = hv::kind::cell_high,
        .faults = hv::trouble::communication};
    CHECK(hv::encode_status({hv::state_idle, 112, causes}, address_1) == trouble);
}

TEST_CASE("pylontech_hv: marks, further faults and the refusal to hide a lost link")
{
    const auto charge = frame("00004281#AA00.0000.0000.0000"), both = frame("00004281#AAAA.0000.0000.0000");
    CHECK(hv::charge_forbidden(charge) == hv::word_yes);
    CHECK(hv::discharge_forbidden(charge) == hv::word_no);
    CHECK(hv::encode_forbidden(true, false, address_1) == charge);
    CHECK(hv::encode_forbidden(true, true, address_1) == both);
    CHECK(text(hv::encode_forbidden(false, false, spec)) == "00004280#0000000000000000");
    CHECK(text(hv::encode_other_faults({.other = hv::other::bus | hv::other::safety}, spec)) == "00004290#1400000000000000");
    const auto refusal = frame("00008251#0000.0000.0000.0000");
    CHECK(hv::mask_accepted(refusal) == hv::word_no);
    CHECK(hv::encode_refusal(address_1) == refusal);
}

TEST_CASE("pylontech_hv: equipment")
{
    CHECK(text(hv::encode_versions(spec)) == "00007310#0100020101020000");
    const auto size = frame("00007321#7800.041E.8001.2500");
    CHECK(hv::cells(size) == 120);
    CHECK(hv::modules(size) == 4);
    CHECK(hv::cells_per_module(size) == 30);
    CHECK(hv::voltage_level(size) == 384_V);
    CHECK(hv::capacity(size) == 37_Ah);
    CHECK(hv::encode_geometry({120, 4, 30, 384_V, 37_Ah}, address_1) == size);
    CHECK(hv::encode_maker("PYLONTEC", address_1) == frame("00007331#5059.4C4F.4E54.4543"));
    CHECK(text(hv::encode_maker("Deye", spec)) == "00007330#4465796500000000");
    CHECK(hv::encode_model(address_1) == frame("00007341#4800.0000.0000.0000"));
}

TEST_CASE("pylontech_hv: what the inverter asks and orders")
{
    // Recorded: ai-republic/bms-to-inverter, issue 85. Byte 7 means nothing.
    CHECK(hv::question(frame("00004200#0200.0000.0000.00E8")) == hv::ask_equipment);
    CHECK(hv::question(frame("00004200#0000.0000.0000.00E8")) == hv::ask_ensemble);
    CHECK(hv::sleep_word(frame("00008201#AA00.0000.0000.0000")) == hv::word_wake);
    CHECK(hv::charge_command(frame("00008211#AA00.0000.0000.0000")) == hv::word_yes);
    CHECK(hv::discharge_command(frame("00008211#AA00.0000.0000.0000")) == hv::word_no);
    CHECK(hv::mask_word(frame("00008241#AA00.0000.0000.0000")) == hv::word_yes);
}

TEST_CASE("pylontech_hv: limits round to the safe side, measurements to the nearest step")
{
    // 12.39 A charge, 12.39 A discharge; 400.19 V down, 300.01 V up.
    const hv::Limits l{400.19_V, 300.01_V, 12.39_A, 12.39_A};
    CHECK(text(hv::encode_limits(l, spec)) == "00004220#A10FB90BAB75AB75");
    CHECK(text(hv::encode_limits(l, minus)) == "00004220#A10FB90BAB75B574");
    CHECK(text(hv::encode_totals({400.15_V, amperes(-0.06), celsius(-0.06), 49.5_pct, 49.4_pct}, spec)) ==
        "00004210#A20F2F75E7033231");
}

TEST_CASE("pylontech_hv: every encoder saturates, whatever it is given")
{
    const auto most_v = 90'000_V;
    const Current most_a = 90'000_A, least_a = -90'000_A;
    const Temperature most_c = 90'000_degC, least_c = Temperature::from_milli(-90'000'000);
    CHECK(text(hv::encode_totals({most_v, most_a, most_c, 101_pct, 300_pct}, spec)) == "00004210#FFFF60EAFFFF6464");
    CHECK(text(hv::encode_totals({-1_V, least_a, least_c, Percent::from_milli(-1000), Percent::from_milli(-1000)}, spec)) ==
        "00004210#0000000000000000");
    CHECK(text(hv::encode_limits({most_v, most_v, most_a, most_a}, spec)) == "00004220#FFFFFFFF60EA60EA");
    CHECK(text(hv::encode_limits({-1_V, -1_V, least_a, least_a}, spec)) == "00004220#0000000030753075");  // never below 0 A
    CHECK(text(hv::encode_limits({most_v, most_v, most_a, most_a}, minus)) == "00004220#FFFFFFFF60EA0000");
    CHECK(text(hv::encode_limits({-1_V, -1_V, least_a, least_a}, minus)) == "00004220#0000000030753075");
    CHECK(text(hv::encode_cell_voltages({most_v, -1_V, 70'000, -1}, spec)) == "00004230#FFFF0000FFFF0000");
    CHECK(text(hv::encode_cell_temperatures({most_c, least_c, 1, 1}, spec)) == "00004240#FFFF000001000100");
    CHECK(text(hv::encode_status({9, 70'000, {}}, spec)) == "00004250#07FFFF0000000000");
    CHECK(text(hv::encode_geometry({-1, 300, 300, most_v, 90'000_Ah}, spec)) == "00007320#0000FFFFFFFFFFFF");
}

TEST_CASE("pylontech_hv: the dialect without offsets")
{
    constexpr hv::Dialect plain{.plain_current = true, .plain_temperature = true};
    CHECK(text(hv::encode_totals({384.2_V, amperes(-18.7), 23.5_degC, 50_pct, 98_pct}, plain)) == "00004210#020F45FFD3043262");
    CHECK(text(hv::encode_limits({432_V, 336_V, 25_A, 30_A}, plain)) == "00004220#E010200DFA002C01");
    CHECK(text(hv::encode_limits({432_V, 336_V, 9000_A, 9000_A}, plain)) == "00004220#E010200DFF7FFF7F");
    CHECK(text(hv::encode_limits({432_V, 336_V, 0_A, 0_A}, plain)) == "00004220#E010200D00000000");
    CHECK(text(hv::encode_cell_temperatures({24.6_degC, celsius(-1.2), 4, 21}, plain)) == "00004240#F600F4FF04001500");
    CHECK(text(hv::encode_module_temperatures({24.6_degC, celsius(-1.2), 4, 2}, plain)) == "00004270#F600F4FF04000200");
    constexpr hv::Dialect plain_minus{.plain_current = true, .minus = true};
    CHECK(text(hv::encode_limits({432_V, 336_V, 25_A, 30_A}, plain_minus)) == "00004220#E010200DFA00D4FE");
}

TEST_CASE("pylontech_hv: the dialect with the high byte first turns every two-byte field, and nothing else")
{
    constexpr hv::Dialect big{.big_endian = true};
    CHECK(text(hv::encode_totals({384.2_V, 12.3_A, 23.5_degC, 50_pct, 98_pct}, big)) == "00004210#0F0275AB04D33262");
    CHECK(text(hv::encode_limits({432_V, 336_V, 25_A, 30_A}, big)) == "00004220#10E00D20762A765C");
    CHECK(text(hv::encode_cell_voltages({3352_mV, 3318_mV, 17, 88}, big)) == "00004230#0D180CF600110058");
    CHECK(text(hv::encode_status(
              {hv::state_idle, 112, {.alarms = hv::kind::charge_hot, .protections = hv::kind::module_high, .faults = 4}}, big)) ==
        "00004250#0300700400200800");
    CHECK(text(hv::encode_forbidden(true, false, big)) == "00004280#AA00000000000000");
    CHECK(text(hv::encode_geometry({120, 4, 30, 384_V, 37_Ah}, big)) == "00007320#0078041E01800025");
    CHECK(text(hv::encode_versions(big)) == "00007310#0100020101020000");
}
