// 0x98 bit by bit, and which way the current counts.
#include "battery/daly_faults.hpp"
#include "battery/daly_sign.hpp"
#include "tests/battery/daly_bench.hpp"

#include <doctest/doctest.h>

#include <set>
#include <string>

using namespace batgw;
using namespace batgw::test;

namespace {

ReportedFault only(unsigned byte, unsigned bit, std::string_view sign = "discharge_positive")
{
    DalyBench b{[&](BatteryConfig& c) { c.options.set("current_sign", std::string{sign}); }};
    CanFrame f{.id = 0x98};
    f.data[byte] = static_cast<std::uint8_t>(1U << bit);
    b.read(telegram("98 " + hex(f.data)));
    b.tick();
    REQUIRE(b.state().reported.size() == 1);
    return b.state().reported[0];
}

}  // namespace

TEST_CASE("every failure bit: its name, how bad it is and what it takes away")
{
    // SAFE-040: the driver's map, written down a second time from the page.
    struct Row {
        unsigned byte, bit;
        std::string_view code;
        char level;  // i, w, or what is blocked: C, D, B (both)
    };
    constexpr std::array rows{Row{0, 0, "cell_high_1", 'w'}, Row{0, 1, "cell_high_2", 'C'}, Row{0, 2, "cell_low_1", 'w'},
        Row{0, 3, "cell_low_2", 'D'}, Row{0, 4, "pack_high_1", 'w'}, Row{0, 5, "pack_high_2", 'C'}, Row{0, 6, "pack_low_1", 'w'},
        Row{0, 7, "pack_low_2", 'D'}, Row{1, 0, "charge_hot_1", 'w'}, Row{1, 1, "charge_hot_2", 'C'},
        Row{1, 2, "charge_cold_1", 'w'}, Row{1, 3, "charge_cold_2", 'C'}, Row{1, 4, "discharge_hot_1", 'w'},
        Row{1, 5, "discharge_hot_2", 'D'}, Row{1, 6, "discharge_cold_1", 'w'}, Row{1, 7, "discharge_cold_2", 'D'},
        Row{2, 0, "charge_current_1", 'w'}, Row{2, 1, "charge_current_2", 'C'}, Row{2, 2, "discharge_current_1", 'w'},
        Row{2, 3, "discharge_current_2", 'D'}, Row{2, 4, "soc_high_1", 'i'}, Row{2, 5, "soc_high_2", 'w'},
        Row{2, 6, "soc_low_1", 'w'}, Row{2, 7, "soc_low_2", 'D'}, Row{3, 0, "cell_difference_1", 'w'},
        Row{3, 1, "cell_difference_2", 'B'}, Row{3, 2, "heat_difference_1", 'w'}, Row{3, 3, "heat_difference_2", 'B'},
        Row{3, 4, "bit_3.4", 'w'}, Row{3, 5, "bit_3.5", 'w'}, Row{3, 6, "bit_3.6", 'w'}, Row{3, 7, "bit_3.7", 'w'},
        Row{4, 0, "charge_mos_hot", 'C'}, Row{4, 1, "discharge_mos_hot", 'D'}, Row{4, 2, "charge_mos_sensor", 'B'},
        Row{4, 3, "discharge_mos_sensor", 'B'}, Row{4, 4, "charge_stuck_on:isolate", 'C'},
        Row{4, 5, "dischrg_stuck_on:isolate", 'D'}, Row{4, 6, "charge_mos_open", 'C'}, Row{4, 7, "discharge_mos_open", 'D'},
        Row{5, 0, "measuring_chip", 'B'}, Row{5, 1, "cell_wire_lost", 'B'}, Row{5, 2, "temperature_sensor", 'B'},
        Row{5, 3, "eeprom", 'B'}, Row{5, 4, "clock", 'w'}, Row{5, 5, "precharge_failed", 'D'},
        Row{5, 6, "outer_communication", 'w'}, Row{5, 7, "inner_communication", 'B'}, Row{6, 0, "current_measurement", 'B'},
        Row{6, 1, "voltage_measurement", 'B'}, Row{6, 2, "short_circuit", 'B'}, Row{6, 3, "too_empty_to_charge", 'C'},
        Row{6, 4, "switched_off_by_hand", 'i'}, Row{6, 5, "cabinet_offline", 'i'}, Row{6, 6, "bit_6.6", 'w'},
        Row{6, 7, "bit_6.7", 'w'}};
    static_assert(rows.size() == 56);
    std::set<std::string_view> codes;
    for (const Row& row : rows) {
        CAPTURE(row.code);
        const ReportedFault f = only(row.byte, row.bit);
        CHECK(f.code == row.code);
        CHECK(codes.insert(row.code).second);
        const bool blocks = row.level == 'C' || row.level == 'D' || row.level == 'B';
        CHECK(f.level == (blocks ? FaultClass::block : row.level == 'i' ? FaultClass::info : FaultClass::warn));
        CHECK(f.direction ==
            (row.level == 'C'          ? Direction::charge
                    : row.level == 'D' ? Direction::discharge
                    : row.level == 'B' ? Direction::both
                                       : Direction::none));
        CHECK_FALSE(f.never_close_again);
    }
    for (const daly::FaultBit& f : daly::fault_table()) CHECK(f.code.size() <= 24);
}

TEST_CASE("the fault code is shown as a number")
{
    CHECK(only(7, 0).code == "fault_code_1");
    CHECK(only(7, 7).code == "fault_code_128");
    CHECK(only(7, 7).level == FaultClass::warn);
}

TEST_CASE("where the current counts the other way, an over-current bit limits both directions")
{
    for (const unsigned bit : {1U, 3U}) {
        CHECK(only(2, bit, "charge_positive").direction == Direction::both);
        CHECK(only(2, bit, "charge_positive").level == FaultClass::block);
    }
    CHECK(only(2, 7, "charge_positive").direction == Direction::discharge);
    // Undecided: likewise.
    DalyBench b{[](BatteryConfig& c) { c.options.set("current_sign", std::string{"auto"}); }};
    b.read(telegram("98 00 00 02 00 00 00 00 00"));
    b.tick();
    CHECK(b.state().reported[0].direction == Direction::both);
}

TEST_CASE("with every bit set there is no room for all, and nothing is lost of what they take away")
{
    DalyBench b;
    b.read(telegram("98 FF FF FF FF FF FF FF FF"));
    b.tick();
    REQUIRE(b.state().reported.size() == 16);
    Direction blocked = Direction::none;
    for (const ReportedFault& f : b.state().reported) {
        CHECK(f.level == FaultClass::block);
        blocked = blocked | f.direction;
    }
    CHECK(blocked == Direction::both);
    CHECK(b.state().reported[15].code == "and_more");
    // One direction's blocks fill the list, the other's must count all the same.
    daly::Reports reports;
    for (int i = 0; i < 16; ++i) reports.add(FaultClass::block, Direction::charge, "made_up");
    FixedVector<ReportedFault, 16> list;
    reports.write(list);
    CHECK(list[15].code == "made_up");
    reports.add(FaultClass::block, Direction::discharge, "made_up");
    reports.write(list);
    CHECK(list[15].direction == Direction::both);
    reports.add(FaultClass::warn, Direction::none, "made_up");
    reports.write(list);
    CHECK(list[15].level == FaultClass::block);
}

TEST_CASE("faults go when the board says so")
{
    DalyBench b;
    b.play(captured_board());
    b.answers[0x98] = "98 02 00 00 00 00 00 00 00";
    b.live(5s);
    CHECK(b.reports("cell_high_2"));
    b.answers[0x98] = captured_board().at(0x98);
    b.live(3s);
    CHECK(b.state().reported.empty());
}

namespace {

// Polls of a board: current as it counts, and what 0x93 says.
void polls(daly::CurrentSign& s, unsigned n, Current wire, int flow, Instant& t)
{
    for (unsigned i = 0; i < n; ++i) {
        t += 1s;
        s.on_current(wire, t);
        s.on_flow(flow, t + 100ms);
    }
}

}  // namespace

TEST_CASE("the sign as configured, contradicted by five polls in a row and never changed by itself")
{
    Instant t{1h};
    daly::CurrentSign s{"discharge_positive"};
    CHECK(s.apply(5_A) == -5_A);
    polls(s, 4, 1_A, 1, t);
    CHECK_FALSE(s.contradicted());
    polls(s, 1, 1_A, 2, t);  // one that agrees begins the count anew
    polls(s, 4, 1_A, 1, t);
    CHECK_FALSE(s.contradicted());
    polls(s, 1, 1_A, 1, t);
    CHECK(s.contradicted());
    CHECK(s.apply(5_A) == -5_A);
    // Less than an ampere, or idle, says nothing.
    polls(s, 20, Current::from_milli(999), 2, t);
    polls(s, 20, 1_A, 0, t);
    CHECK(s.contradicted());
    polls(s, 4, -1_A, 1, t);
    CHECK(s.contradicted());
    polls(s, 1, -1_A, 1, t);
    CHECK_FALSE(s.contradicted());

    daly::CurrentSign other{"charge_positive"};
    CHECK(other.apply(5_A) == 5_A);
    polls(other, 5, 1_A, 1, t);
    CHECK_FALSE(other.contradicted());
    polls(other, 5, -1_A, 1, t);
    CHECK(other.contradicted());
}

TEST_CASE("auto: undecided until three polls in a row with 2 A or more agree")
{
    Instant t{1h};
    daly::CurrentSign s{"auto"};
    CHECK_FALSE(s.apply(5_A));
    polls(s, 10, Current::from_milli(1999), 1, t);
    CHECK(s.sign() == daly::Sign::undecided);
    polls(s, 2, 2_A, 1, t);
    polls(s, 1, -2_A, 1, t);  // the other one
    polls(s, 2, 2_A, 1, t);
    CHECK(s.sign() == daly::Sign::undecided);
    polls(s, 1, 2_A, 0, t);  // idle: not in a row
    polls(s, 2, 2_A, 1, t);
    CHECK(s.sign() == daly::Sign::undecided);
    polls(s, 1, 2_A, 1, t);
    CHECK(s.sign() == daly::Sign::charge_positive);
    CHECK(s.apply(5_A) == 5_A);
    polls(s, 20, 2_A, 2, t);  // found is found
    CHECK(s.sign() == daly::Sign::charge_positive);
    CHECK(s.contradicted());

    daly::CurrentSign down{"auto"};
    polls(down, 3, 30_A, 2, t);
    CHECK(down.sign() == daly::Sign::discharge_positive);
}

TEST_CASE("a current and a state that do not belong together are not compared")
{
    Instant t{1h};
    daly::CurrentSign s{"auto"};
    for (int i = 0; i < 10; ++i) {
        t += 5s;
        s.on_current(20_A, t);
        s.on_flow(1, t + 1501ms);
    }
    CHECK(s.sign() == daly::Sign::undecided);
    s.on_current(20_A, t);
    for (int i = 0; i < 10; ++i) s.on_flow(1, t);  // one vote each
    CHECK(s.sign() == daly::Sign::undecided);
}

TEST_CASE("a driver that does not know the sign has no current, and tells what it found")
{
    DalyBench b{[](BatteryConfig& c) { c.options.set("current_sign", std::string{"auto"}); }};
    b.play(captured_board());
    b.live(10s);
    CHECK(b.state().current.quality(b.now) == Quality::never);
    CHECK(b.state().voltage.is_fresh(b.now));
    CHECK(b.reports("current_sign_unknown"));
    b.answers[0x90] = "90 02 10 00 00 75 94 01 F4";  // +10 A on the wire
    b.answers[0x93] = "93 02 01 01 10 00 00 4E 20";  // discharging
    b.live(6s);
    CHECK(b.state().current.fresh(b.now) == -10_A);
    CHECK(b.reports("sign:discharge_positive"));
    CHECK_FALSE(b.reports("current_sign_unknown"));

    DalyBench other{[](BatteryConfig& c) { c.options.set("current_sign", std::string{"auto"}); }};
    other.play(captured_board());
    other.answers[0x90] = "90 02 10 00 00 75 94 01 F4";
    other.answers[0x93] = "93 01 01 01 10 00 00 4E 20";
    other.live(8s);
    CHECK(other.state().current.fresh(other.now) == 10_A);
    CHECK(other.reports("sign:charge_positive"));
}

TEST_CASE("a configured sign that is wrong is told, and stays")
{
    DalyBench b;
    b.play(captured_board());
    b.answers[0x90] = "90 02 10 00 00 75 94 01 F4";
    b.answers[0x93] = "93 01 01 01 10 00 00 4E 20";
    b.live(10s);
    CHECK(b.reports("current_sign_wrong"));
    CHECK(b.state().current.fresh(b.now) == -10_A);
}
