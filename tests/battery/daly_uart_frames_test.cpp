// Daly frames, one by one, beside what they mean. "Real": a public capture, named; all others are made up.
#include "battery/daly_frame.hpp"
#include "tests/battery/daly_bench.hpp"

#include <doctest/doctest.h>

#include <string>

using namespace batgw;
using namespace batgw::test;

namespace {

// What the driver writes to ask this, once it gets to it.
std::string question(std::uint32_t command, const std::function<void(BatteryConfig&)>& change = {})
{
    DalyBench b{change};
    b.play(captured_board());
    b.live(20s);
    for (const Written& w : b.written)
        if (w.telegram.id == command) return hex(w.telegram.bytes());
    return "never";
}

// With so many cells and sensors known.
struct Known : DalyBench {
    explicit Known(unsigned cells = 14, unsigned sensors = 1)
    {
        CanFrame f{.id = 0x94};
        f.data = {static_cast<std::uint8_t>(cells), static_cast<std::uint8_t>(sensors), 0, 0, 2, 0, 0, 0};
        for (int i = 0; i < 2; ++i) read(daly::make_frame(1, f).bytes());
        REQUIRE(state().cell_count == cells);
    }
    unsigned heard(const HeardCounts& c, Heard h) const { return static_cast<unsigned>(c[static_cast<std::size_t>(h)]); }
};

std::vector<std::int64_t> millivolts(const BatteryState& s)
{
    std::vector<std::int64_t> result;
    const auto cells = s.cells.last();
    for (std::size_t i = 0; cells && i < cells->count; ++i) result.push_back((*cells)[i].value_or(Voltage{}).milli());
    return result;
}

}  // namespace

TEST_CASE("every question is asked as the page of examples has it")
{
    CHECK(question(0x90) == "A5 40 90 08 00 00 00 00 00 00 00 00 7D");
    CHECK(question(0x91) == "A5 40 91 08 00 00 00 00 00 00 00 00 7E");
    CHECK(question(0x92) == "A5 40 92 08 00 00 00 00 00 00 00 00 7F");
    CHECK(question(0x93) == "A5 40 93 08 00 00 00 00 00 00 00 00 80");
    CHECK(question(0x94) == "A5 40 94 08 00 00 00 00 00 00 00 00 81");
    CHECK(question(0x95) == "A5 40 95 08 00 00 00 00 00 00 00 00 82");
    CHECK(question(0x96) == "A5 40 96 08 00 00 00 00 00 00 00 00 83");
    CHECK(question(0x97) == "A5 40 97 08 00 00 00 00 00 00 00 00 84");
    CHECK(question(0x98) == "A5 40 98 08 00 00 00 00 00 00 00 00 85");
    CHECK(question(0x50) == "A5 40 50 08 00 00 00 00 00 00 00 00 3D");
    CHECK(question(0x59) == "A5 40 59 08 00 00 00 00 00 00 00 00 46");
    for (const std::uint32_t once : {0x51U, 0x52U, 0x53U, 0x54U, 0x57U}) CHECK(question(once) != "never");
}

TEST_CASE("host address, number of the board and filler are as configured")
{
    CHECK(question(0x90, [](BatteryConfig& c) { c.options.set("host_address", std::string{"0x80"}); }) ==
        "A5 80 90 08 00 00 00 00 00 00 00 00 BD");
    CHECK(question(0x93, [](BatteryConfig& c) { c.options.set("host_address", std::string{"0x80"}); }) ==
        "A5 80 93 08 00 00 00 00 00 00 00 00 C0");
    CHECK(question(0x90, [](BatteryConfig& c) { c.options.set("filler", std::string{"0xAA"}); }) ==
        "A5 40 90 08 AA AA AA AA AA AA AA AA CD");
    // Board 2 answers as 02.
    DalyBench b{[](BatteryConfig& c) { c.options.set("board", std::int64_t{2}); }};
    b.live(1s);
    REQUIRE_FALSE(b.written.empty());
    CHECK(hex(b.written[0].telegram.bytes()) == "A5 41 90 08 00 00 00 00 00 00 00 00 7E");
    b.read("A5 02 90 08 02 0E 00 00 75 30 02 EE E4");
    CHECK(b.state().voltage.fresh(b.now) == 52.6_V);
    CHECK(b.state().current.fresh(b.now) == 0_A);
    CHECK(b.state().soc.fresh(b.now) == 75_pct);
}

TEST_CASE("the complete capture of an idle 14S board is read")
{
    // Real: thread 21898 on diysolarforum.com.
    Known b;
    b.read(captured_board().at(0x90));
    CHECK(b.state().voltage.fresh(b.now) == 52.8_V);
    CHECK(b.state().current.fresh(b.now) == 0_A);
    CHECK(b.state().soc.fresh(b.now) == 50_pct);
    CHECK(b.state().heard == b.now);

    b.read(captured_board().at(0x91));
    CHECK(b.state().cell_voltage_max.fresh(b.now) == 3784_mV);
    CHECK(b.state().cell_max_number.fresh(b.now) == 5_count);
    CHECK(b.state().cell_voltage_min.fresh(b.now) == 3740_mV);
    CHECK(b.state().cell_min_number.fresh(b.now) == 9_count);

    b.read(captured_board().at(0x92));
    CHECK(b.state().temperature_max.fresh(b.now) == 21_degC);
    CHECK(b.state().temperature_min.fresh(b.now) == 21_degC);

    b.read("A5 01 93 08 00 01 01 10 00 00 4E 20 C1");
    CHECK(b.state().charge_remaining.fresh(b.now) == 20_Ah);
    CHECK_FALSE(b.state().charge_allowed.is_fresh(b.now));  // not before the faults are known
    b.read(captured_board().at(0x98));
    CHECK(b.state().charge_allowed.fresh(b.now) == true);
    CHECK(b.state().discharge_allowed.fresh(b.now) == true);
    b.tick();
    CHECK(b.state().reported.empty());

    b.read(captured_board().at(0x94));
    CHECK(b.state().cell_count == 14U);
    CHECK(b.state().cycles.fresh(b.now) == 0_count);

    b.read(captured_board().at(0x95));
    CHECK(millivolts(b.state()) ==
        std::vector<std::int64_t>{3776, 3778, 3783, 3784, 3784, 3782, 3778, 3778, 3740, 3780, 3780, 3780, 3779, 3776});
    b.read(captured_board().at(0x96));
    const auto sensors = b.state().temperatures.fresh(b.now);
    REQUIRE(sensors);
    CHECK(sensors->count == 1);
    CHECK((*sensors)[0] == 21_degC);
    b.read(captured_board().at(0x97));
    CHECK(b.state().balancing.fresh(b.now) == CellFlags{});
}

TEST_CASE("a board that counts discharge upwards")
{
    // Real: 16S pack under load, comments of a public unit test.
    DalyBench b;
    b.read("A5 01 90 08 02 03 00 00 77 24 03 38 19");
    CHECK(b.state().voltage.fresh(b.now) == 51.5_V);
    CHECK(b.state().current.fresh(b.now) == -50_A);
    CHECK(b.state().soc.fresh(b.now) == 82.4_pct);
    b.read("A5 01 93 08 02 01 01 71 00 04 86 C0 00");  // a checksum of zero is legal
    CHECK(b.state().charge_remaining.fresh(b.now) == 296.64_Ah);
}

TEST_CASE("a board that counts discharge downwards")
{
    // Real: 16S pack, Bluetooth tests of a python-daly-bms fork.
    DalyBench b{[](BatteryConfig& c) { c.options.set("current_sign", std::string{"charge_positive"}); }};
    b.read("A5 01 90 08 02 12 00 00 74 F5 03 9A 58");
    CHECK(b.state().voltage.fresh(b.now) == 53_V);
    CHECK(b.state().current.fresh(b.now) == Current::from_milli(-5900));
    CHECK(b.state().soc.fresh(b.now) == 92.2_pct);
    b.read("A5 01 93 08 02 01 01 9E 00 03 EA F8 C8");
    CHECK(b.state().charge_remaining.fresh(b.now) == 256.76_Ah);
}

TEST_CASE("balancing and the soft switch of an 8S pack")
{
    // Real: comments of a public unit test. Cells 5 and 8 are the two highest of that capture.
    Known b{8};
    b.read("A5 01 97 08 90 00 00 00 00 00 00 00 D5");
    CHECK(b.state().balancing.fresh(b.now) == CellFlags{0b1001'0000});
    b.read("A5 01 98 08 00 00 00 00 00 00 10 00 56");
    b.tick();
    REQUIRE(b.state().reported.size() == 1);
    CHECK(b.state().reported[0].code == "switched_off_by_hand");
    CHECK(b.state().reported[0].level == FaultClass::info);
}

TEST_CASE("several faults at once, and what a broken sense wire looks like")
{
    DalyBench b;
    b.read("A5 01 98 08 0A 00 04 00 00 02 00 00 56");
    b.tick();
    REQUIRE(b.state().reported.size() == 4);
    const auto level = [&](std::string_view code) {
        for (const ReportedFault& f : b.state().reported)
            if (f.code == code) return f.level;
        return FaultClass::none;
    };
    CHECK(level("cell_high_2") == FaultClass::block);
    CHECK(level("cell_low_2") == FaultClass::block);
    CHECK(level("discharge_current_1") == FaultClass::warn);
    CHECK(level("cell_wire_lost") == FaultClass::block);
}

TEST_CASE("status with cycles, capacity and limits of the board")
{
    DalyBench b;
    b.read("A5 01 94 08 10 02 01 00 05 01 2C 00 87");
    CHECK_FALSE(b.state().cell_count);  // once is not enough
    b.read("A5 01 94 08 10 02 01 00 05 01 2C 00 87");
    CHECK(b.state().cell_count == 16U);
    CHECK(b.state().cycles.fresh(b.now) == 300_count);
    // A count that was configured needs no second answer.
    DalyBench told{[](BatteryConfig& c) { c.cells = 16; }};
    told.read("A5 01 94 08 10 02 01 00 05 01 2C 00 87");
    CHECK(told.state().cell_count == 16U);
    // Payload real (matthewgream/DalyBMSInterface), frame made up: 30 Ah, 3600 mV.
    CHECK(b.read("A5 01 50 08 00 00 75 30 00 00 0E 10 C1")[0] == 1);
    CHECK(b.read("A5 01 59 08 0E 42 0D AC 0A F0 0B 54 69")[0] == 1);
}

TEST_CASE("an echo is no answer")
{
    DalyBench b;
    const auto counts = b.read("A5 40 90 08 00 00 00 00 00 00 00 00 7D");
    CHECK(counts[static_cast<std::size_t>(Heard::not_mine)] == 1);
    CHECK_FALSE(b.state().heard);
    CHECK(b.state().voltage.quality(b.now) == Quality::never);
}

TEST_CASE("a controller that measures nothing is no data")
{
    DalyBench b;
    const auto counts = b.read("A5 01 90 08 00 00 00 00 00 00 00 00 3E");
    CHECK(counts[static_cast<std::size_t>(Heard::implausible)] == 1);
    CHECK_FALSE(b.state().heard);
    for (const std::string_view zero : {"91", "92", "93", "94"})
        CHECK(
            b.read(telegram(std::string{zero} + " 00 00 00 00 00 00 00 00"))[static_cast<std::size_t>(Heard::implausible)] == 1);
}

TEST_CASE("garbage before a frame is skipped byte by byte")
{
    DalyBench b;
    b.read("00 00 A5 12 A5 01 90 08 02 10 00 00 75 30 01 F4 EA");
    CHECK(b.state().voltage.fresh(b.now) == 52.8_V);
}

TEST_CASE("a frame with one bit flipped is dropped")
{
    Known b;
    const auto counts = b.read("A5 01 95 08 01 0D 37 0C 36 0D 34 9B A7");
    CHECK(b.heard(counts, Heard::bad_checksum) == 1);
    CHECK(b.heard(counts, Heard::used) == 0);
}

TEST_CASE("an answer of another board is not ours")
{
    DalyBench b;
    CHECK(b.read("A5 02 90 08 02 0E 00 00 75 30 02 EE E4")[static_cast<std::size_t>(Heard::not_mine)] == 1);
    CHECK_FALSE(b.state().heard);
}

TEST_CASE("totals: the last code that is a reading and the first that is not")
{
    // SAFE-025
    const auto voltage = [](std::string_view data) {
        DalyBench b;
        b.read(telegram("90 " + std::string{data}));
        return b.state().voltage.fresh(b.now);
    };
    CHECK(voltage("00 01 00 00 75 30 01 F4") == 100_mV);
    CHECK_FALSE(voltage("00 00 00 00 75 30 01 F4"));
    CHECK(voltage("27 10 00 00 75 30 01 F4") == 1000_V);
    CHECK_FALSE(voltage("27 11 00 00 75 30 01 F4"));
    // Current: below 1000 A either way; neither all zeros nor all ones.
    CHECK(voltage("02 10 00 00 4E 21 01 F4") == 52.8_V);  // -999.9 A on the wire
    CHECK_FALSE(voltage("02 10 00 00 4E 20 01 F4"));      // -1000 A
    CHECK(voltage("02 10 00 00 9C 3F 01 F4") == 52.8_V);  // 999.9 A
    CHECK_FALSE(voltage("02 10 00 00 9C 40 01 F4"));      // 1000 A
    CHECK_FALSE(voltage("02 10 00 00 00 00 01 F4"));
    CHECK_FALSE(voltage("02 10 00 00 FF FF 01 F4"));
    // State of charge
    CHECK(voltage("02 10 00 00 75 30 03 E8") == 52.8_V);
    CHECK_FALSE(voltage("02 10 00 00 75 30 03 E9"));
    CHECK(voltage("02 10 00 00 75 30 00 00") == 52.8_V);
    // The most a current may be is a matter of configuration.
    DalyBench small{[](BatteryConfig& c) { c.options.set("current_max_a", std::int64_t{100}); }};
    small.read(telegram("90 02 10 00 00 79 18 01 F4"));  // 100.0 A
    CHECK_FALSE(small.state().heard);
    small.read(telegram("90 02 10 00 00 79 17 01 F4"));
    CHECK(small.state().current.fresh(small.now) == Current::from_milli(-99'900));
}

TEST_CASE("totals: 1.5 to 4.6 V per cell, once the cells are known")
{
    Known b{16};
    const auto taken = [&](std::string_view volts) {
        return b.read(telegram("90 " + std::string{volts} + " 00 00 75 30 01 F4"))[0] == 1;
    };
    CHECK(taken("00 F0"));        // 24.0 V
    CHECK_FALSE(taken("00 EF"));  // 23.9 V
    CHECK(taken("02 E0"));        // 73.6 V
    CHECK_FALSE(taken("02 E1"));
    // The configured count does until the board has told.
    DalyBench c{[](BatteryConfig& config) { config.cells = 16; }};
    c.read(telegram("90 00 EF 00 00 75 30 01 F4"));
    CHECK_FALSE(c.state().heard);
}

TEST_CASE("cells, temperatures and switches: the last code that is a reading and the first that is not")
{
    // SAFE-025
    const auto taken = [](std::string_view frame) {
        DalyBench b;
        return b.read(telegram(frame))[0] == 1;
    };
    CHECK(taken("91 13 88 01 01 F4 02 00 00"));  // 5.000 and 0.500 V
    CHECK_FALSE(taken("91 13 89 01 01 F4 02 00 00"));
    CHECK_FALSE(taken("91 13 88 01 01 F3 02 00 00"));
    CHECK_FALSE(taken("91 0C 80 01 0C 81 02 00 00"));  // highest below lowest
    CHECK(taken("92 A0 01 01 01 00 00 00 00"));        // 120 and -39 degrees
    CHECK_FALSE(taken("92 A1 01 01 01 00 00 00 00"));
    CHECK_FALSE(taken("92 3D 01 00 01 00 00 00 00"));  // -40: a sensor that is missing, not cold
    CHECK_FALSE(taken("92 3C 01 3D 01 00 00 00 00"));
    CHECK(taken("93 02 01 01 00 00 98 96 80"));  // 10 000 Ah
    CHECK_FALSE(taken("93 02 01 01 00 00 98 96 81"));
    CHECK_FALSE(taken("93 03 01 01 00 00 00 00 01"));
    CHECK_FALSE(taken("93 00 02 01 00 00 00 00 01"));
    CHECK_FALSE(taken("93 00 01 02 00 00 00 00 01"));
    CHECK(taken("94 30 15 00 00 00 00 00 00"));  // 48 cells, 21 sensors
    CHECK_FALSE(taken("94 31 15 00 00 00 00 00 00"));
    CHECK_FALSE(taken("94 30 16 00 00 00 00 00 00"));
    CHECK_FALSE(taken("94 00 01 00 00 00 00 00 00"));
    CHECK_FALSE(taken("94 10 01 02 00 00 00 00 00"));
    CHECK_FALSE(taken("94 10 01 00 02 00 00 00 00"));
    CHECK(taken("50 00 98 96 80 00 00 11 94"));
    CHECK_FALSE(taken("50 00 98 96 81 00 00 0E 10"));
    CHECK_FALSE(taken("50 00 00 00 00 00 00 0E 10"));
    CHECK_FALSE(taken("50 00 00 75 30 00 00 05 DB"));
    CHECK_FALSE(taken("59 0B 54 0D AC 0B 54 0A F0"));  // highest not above lowest
    CHECK_FALSE(taken("59 00 00 0D AC 0A F0 0B 54"));
    CHECK_FALSE(taken("52 FF FF FF FF 00 00 00 01"));
    CHECK_FALSE(taken("D9 02 00 00 00 00 00 00 00"));
    CHECK_FALSE(taken("57 06 20 20 20 20 20 20 20"));
}

TEST_CASE("temperatures are unsigned: 88 degrees is not -168")
{
    DalyBench b;
    b.read(telegram("92 80 01 7F 01 00 00 00 00"));
    CHECK(b.state().temperature_max.fresh(b.now) == 88_degC);
    CHECK(b.state().temperature_min.fresh(b.now) == 87_degC);
}

TEST_CASE("what is left over of earlier answers is never read")
{
    // The same answers with other left-overs mean the same.
    Known a, b;
    a.read(telegram("91 0E C8 05 0E 9C 09 01 F4"));
    b.read(telegram("91 0E C8 05 0E 9C 09 FF FF"));
    CHECK(a.state().cell_voltage_max.last() == b.state().cell_voltage_max.last());
    a.read(telegram("94 0E 01 00 00 02 00 00 20"));
    b.read(telegram("94 0E 01 00 00 02 00 00 FF"));
    CHECK(a.state().cycles.last() == b.state().cycles.last());
    b.read(telegram("92 3D 01 3D 01 FF FF FF FF"));
    CHECK(b.state().temperature_max.fresh(b.now) == 21_degC);
}

TEST_CASE("of two readings in a row the worse one counts for limits")
{
    DalyBench b;
    b.read(telegram("91 0C 80 01 0C 1C 02 00 00"));  // 3200, 3100
    b.read(telegram("91 0D AC 01 0B B8 02 00 00"));  // 3500, 3000
    CHECK(b.state().cell_voltage_max.fresh(b.now) == 3500_mV);
    CHECK(b.state().cell_voltage_min.fresh(b.now) == 3000_mV);
    b.read(telegram("91 0C 80 01 0C 1C 02 00 00"));
    CHECK(b.state().cell_voltage_max.fresh(b.now) == 3500_mV);
    CHECK(b.state().cell_voltage_min.fresh(b.now) == 3000_mV);
    b.read(telegram("91 0C 80 01 0C 1C 02 00 00"));
    CHECK(b.state().cell_voltage_max.fresh(b.now) == 3200_mV);
    CHECK(b.state().cell_voltage_min.fresh(b.now) == 3100_mV);
    b.read(telegram("92 50 01 3C 01 00 00 00 00"));  // 40, 20
    b.read(telegram("92 4B 01 41 01 00 00 00 00"));  // 35, 25
    CHECK(b.state().temperature_max.fresh(b.now) == 40_degC);
    CHECK(b.state().temperature_min.fresh(b.now) == 20_degC);
    b.now += 11s;  // long ago is not in a row
    b.read(telegram("92 4B 01 41 01 00 00 00 00"));
    CHECK(b.state().temperature_max.fresh(b.now) == 35_degC);
}

TEST_CASE("for those who read logs: the first whole frame, whose it is, and where it ends")
{
    const Bytes log = bytes("00 A5 01 A5 40 90 08 00 00 00 00 00 00 00 00 7D A5 01 90 08 02 10 00 00 75 30 01 F4 EA A5 01");
    std::span<const std::uint8_t> rest{log};
    const auto question = find_battery_driver("daly-uart")->find_telegram(rest);
    REQUIRE(question);
    CHECK(question->to_device);
    CHECK(question->frame.id == 0x90);
    CHECK(question->end == 16);
    rest = rest.subspan(question->end);
    const auto answer = find_battery_driver("daly-uart")->find_telegram(rest);
    REQUIRE(answer);
    CHECK_FALSE(answer->to_device);
    CHECK(daly::voltage(answer->frame) == 52.8_V);
    CHECK(answer->end == 13);
    CHECK_FALSE(find_battery_driver("daly-uart")->find_telegram(rest.subspan(answer->end)));
}
