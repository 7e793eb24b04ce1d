#include "batgw/log_line.hpp"

#include <doctest/doctest.h>

#include <vector>

using namespace batgw;
using Kind = TrafficLine::Kind;

namespace {

constexpr CanFrame deadbeef{.id = 0x123, .len = 4, .data = {0xDE, 0xAD, 0xBE, 0xEF}};

std::vector<std::uint8_t> bytes_of(std::string_view text)
{
    const TrafficLine line = parse_serial_line(text);
    CAPTURE(line.problem);
    REQUIRE(line.kind == Kind::bytes);
    return {line.bytes().begin(), line.bytes().end()};
}

}  // namespace

TEST_CASE("every form in which candump writes a frame is the same frame")
{
    for (const std::string_view text : {
             "(1436509052.249713) can0 123#DEADBEEF",
             "(1436509052.249713)   can0 123#DEADBEEF",
             "(1436509052.249713) can0 123#DE.AD.BE.EF",
             "(1436509052.249713) can0 123#deadbeef R",
             "(1436509052.249713) can0 123#DEADBEEF T\r",
             "can0 123#DEADBEEF",
             "123#DEADBEEF",
             "  can0  123   [4]  DE AD BE EF",
             "  can0       123   [4]  DE AD BE EF",
             "  can0  123   [4]  DE AD BE EF               '....'",
             "  can0  123   [4]  EF`BE`AD`DE",
             "  can0  123   [4]  EF`BE`AD`DE               `....`",
             "  can0  123   [4]  11011110 10101101 10111110 11101111",
             "  can0  123   [4]  11101111`10111110`10101101`11011110",
             "  can0  RX - -  123   [4]  DE AD BE EF",
             "  can0  TX B E  123   [4]  DE AD BE EF",
             " (1436509052.249713)  can0  123   [4]  DE AD BE EF",
             " (000.000000)  can0  123   [4]  DE AD BE EF",
             " (2015-07-10 06:17:32.249713)  can0  123   [4]  DE AD BE EF",
             " \x1b[31m(1436509052.249713)  can0  123   [4]  DE AD BE EF\x1b[0m",
             "  \x1b[31mcan0\x1b[0m  123   [4]  DE AD BE EF",
         }) {
        CAPTURE(text);
        const TrafficLine line = parse_can_line(text);
        CHECK(line.problem == "");
        CHECK(line.kind == Kind::data);
        CHECK(line.frame == deadbeef);
        CHECK((line.interface == "can0" || text.front() == '1'));
    }
}

TEST_CASE("times are microseconds since 1970, or since the start of the recording")
{
    CHECK(parse_can_line("(1436509052.249713) can0 123#").time_us == 1'436'509'052'249'713);
    CHECK(!parse_can_line("(1436509052.249713) can0 123#").relative);
    CHECK(parse_can_line("(0000000012.000001) can0 123#").time_us == 12'000'001);
    CHECK(!parse_can_line("(0000000012.000001) can0 123#").relative);  // a clock that was never set
    CHECK(parse_can_line("(012.000001) can0 123#").time_us == 12'000'001);
    CHECK(parse_can_line("(012.000001) can0 123#").relative);
    CHECK(parse_can_line("(1.5) can0 123#").time_us == 1'500'000);
    CHECK(parse_can_line("(1.123456789) can0 123#").time_us == 1'123'456);
    CHECK(parse_can_line("(2015-07-10 06:17:32.249713)  can0  123   [0] ").time_us == 1'436'509'052'249'713);
    CHECK(parse_can_line("(1970-01-01 00:00:00.000000)  can0  123   [0] ").time_us == 0);
    CHECK(parse_can_line("(2000-02-29 00:00:00.000000)  can0  123   [0] ").time_us == 951'782'400'000'000);
    CHECK(!parse_can_line("can0 123#").time_us);
}

TEST_CASE("identifiers of 29 bits have eight digits, however small they are")
{
    const TrafficLine compact = parse_can_line("(1436509052.249713) can0 00004210#01");
    CHECK(compact.frame == CanFrame{.id = 0x4210, .extended = true, .len = 1, .data = {1}});
    CHECK(parse_can_line("  can0  00004210   [1]  01").frame == compact.frame);
    CHECK(parse_can_line("can0 00000123#").frame.extended);
    CHECK(parse_can_line("can0 1FFFFFFF#").frame.id == 0x1FFFFFFF);
    CHECK(frame_text(compact.frame) == "00004210#01");
    CHECK(frame_text(deadbeef) == "123#DEADBEEF");
}

TEST_CASE("what is no data frame is told by its name")
{
    CHECK(parse_can_line("can0 123#R").kind == Kind::remote);
    CHECK(parse_can_line("can0 123#R8").kind == Kind::remote);
    CHECK(parse_can_line("  can0  123   [4]  remote request").kind == Kind::remote);
    CHECK(parse_can_line("can0 123##1DEADBEEF").kind == Kind::fd);
    CHECK(parse_can_line("can0 123##0").kind == Kind::fd);
    CHECK(parse_can_line("  can0  123  [04]  DE AD BE EF").kind == Kind::fd);
    const TrafficLine error = parse_can_line("can0 20000044#000C000000000000");
    CHECK(error.kind == Kind::error);
    CHECK(error_text(error.frame.id) == "controller problem, bus off");
    CHECK(error_text(0) == "unknown");
    CHECK(parse_can_line("  can0  20000004   [8]  00 04 00 00 00 00 00 00   ERRORFRAME").kind == Kind::error);
    for (const std::string_view nothing : {"", "   ", "# a comment", "\tcontroller-problem{rx-error-warning}"})
        CHECK(parse_can_line(nothing).kind == Kind::nothing);
    const TrafficLine drops = parse_can_line("DROPCOUNT: dropped 3 CAN frames on 'can0' socket (total drops 17)");
    CHECK(drops.kind == Kind::nothing);
    CHECK(drops.drops == 17);
}

TEST_CASE("what is no line of candump is refused, with a reason")
{
    for (const std::string_view text : {
             "garbage",
             "can0",
             "can0 123",
             "can0 12#DEADBEEF",
             "can0 1234#DEADBEEF",
             "can0 800#DEADBEEF",
             "can0 40000123#DEADBEEF",
             "can0 123#DEADBEE",
             "can0 123#DEADBEEG",
             "can0 123#112233445566778899",
             "can0 123#..",
             "can0 123#R9",
             "can0 123#R88",
             "can0 123##",
             "can0 123##1D",
             "can0 123#DEADBEEF and more",
             "(1436509052) can0 123#",
             "(1436509052.249713 can0 123#",
             "(.5) can0 123#",
             "(1.) can0 123#",
             "(123456789012.5) can0 123#",
             "(2015-13-10 06:17:32.249713) can0 123#",
             "(2015-07-10 06:17:32) can0 123#",
             "  can0  123   [9]  DE AD BE EF DE AD BE EF DE",
             "  can0  123   [4]  DE AD BE",
             "  can0  123   [4]  DE AD BE EF 00",
             "  can0  123   [4]  DE AD BE E",
             "  can0  123   [4]  EF`BE`AD",
             "  can0  123   [4]  EF`BE`AD`DE`00",
             "  can0  123   [4  DE AD BE EF",
             "  can0  123   []  DE AD BE EF",
             "  can0  123   [-1]  DE AD BE EF",
             "  can0  888   [0]",
             "  can0  40000123   [0]",
             "can0 123#\x01",
             "\x1b[999999999999999 can0 123#",
         }) {
        CAPTURE(text);
        const TrafficLine line = parse_can_line(text);
        CHECK(line.kind == Kind::bad);
        CHECK(!line.problem.empty());
    }
    CHECK(parse_can_line(std::string(longest_log_line, ' ')).kind == Kind::nothing);
    CHECK(parse_can_line(std::string(longest_log_line + 1, ' ')).kind == Kind::bad);
}

TEST_CASE("bytes of a serial line are read in any common notation")
{
    const std::vector<std::uint8_t> all{0xA5, 0x40, 0x90, 0x08};
    CHECK(bytes_of("A5 40 90 08") == all);
    CHECK(bytes_of("a5409008") == all);
    CHECK(bytes_of("0xA5 0x40 0x90 0x08") == all);
    CHECK(bytes_of("0xA5,0x40,0x90,0x08") == all);
    CHECK(bytes_of("A5:40:90:08") == all);
    CHECK(bytes_of("A5-40-90-08") == all);
    CHECK(bytes_of("< A5 40 90 08") == all);
    CHECK(bytes_of("(1436509052.249713) A5 40 90 08") == all);
    CHECK(bytes_of("1436509052.249713 A5 40 90 08") == all);
    CHECK(bytes_of("(012.5) /dev/ttyUSB0 RX A5 40 90 08") == all);

    const TrafficLine line = parse_serial_line("(012.5) /dev/ttyUSB0 > A5");
    CHECK(line.written);
    CHECK(line.interface == "/dev/ttyUSB0");
    CHECK(line.time_us == 12'500'000);
    CHECK(line.relative);
    CHECK(!parse_serial_line("< A5").written);
    CHECK(parse_serial_line("# comment").kind == Kind::nothing);
    const std::string longest(longest_log_line, 'A');
    CHECK(parse_serial_line(longest).serial_size == longest_log_line / 2);
}

TEST_CASE("what are no bytes is refused, with a reason")
{
    for (const std::string_view text :
        {"A", "A5 4", "hello", "> ", "(1.5)", "(nonsense) A5", "A5 xx", "can0 123#DEADBEEF", ",", "A5\x02"}) {
        CAPTURE(text);
        const TrafficLine line = parse_serial_line(text);
        CHECK(line.kind == Kind::bad);
        CHECK(!line.problem.empty());
    }
}
