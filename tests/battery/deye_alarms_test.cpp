// What a Deye pack complains of, bit by bit, and what becomes of it.
#include "battery/deye_alarms.hpp"

#include "tests/battery/deye_bench.hpp"

#include <doctest/doctest.h>

#include <array>
#include <set>
#include <string_view>

using namespace batgw;
using namespace batgw::test;

namespace {

constexpr auto warn = FaultClass::warn, block = FaultClass::block, trip = FaultClass::trip;
constexpr auto none = Direction::none, C = Direction::charge, D = Direction::discharge, CD = Direction::both;

struct Expected {
    std::string_view code;
    FaultClass level;
    Direction direction;
};
// Written anew from the maker's tables, byte by byte, bit 0 first.
constexpr std::array<std::array<Expected, 8>, 7> tables{{
    {{{"cell over-voltage", block, C}, {"cell under-voltage", block, D}, {"module over-voltage", block, C},
        {"module under-voltage", block, D}, {"charge over-current", block, C}, {"discharge over-current", block, D},
        {"cell overtemp charge", block, CD}, {"cell undertemp charge", block, C}}},
    {{{"cell overtemp discharge", block, CD}, {"cell undertemp discharge", block, CD}, {"cell voltage spread", block, CD},
        {"cell temperature spread", block, CD}, {"MOS overtemp", block, CD}, {"heating film overtemp", block, CD},
        {"AFE OCD1", block, D}, {"AFE OCD2", block, D}}},
    {{{"AFE under-voltage", block, D}, {"AFE over-voltage", block, C}, {"AFE OCD latched", block, D},
        {"AFE charge over-current", block, C}, {"AFE short circuit", block, CD}, {"AFE undertemp", block, CD},
        {"AFE overtemp", block, CD}, {"AFE short latched", block, CD}}},
    {{{"AFE communication", block, CD}, {"cell voltage sampling", block, CD}, {"temperature sampling", block, CD},
        {"MOSFET shorted", trip, CD}, {"EEPROM", block, CD}, {"internal communication", block, CD},
        {"PCS communication", warn, none}, {"master address twice", block, CD}}},
    {{{"cell high voltage", warn, none}, {"cell low voltage", warn, none}, {"module high voltage", warn, none},
        {"module low voltage", warn, none}, {"charge high current", warn, none}, {"discharge high current", warn, none},
        {"cell high temp charge", warn, none}, {"cell low temp charge", warn, none}}},
    {{{"cell high temp discharge", warn, none}, {"cell low temp discharge", warn, none}, {"cell spread warning", warn, none},
        {"temp spread warning", warn, none}, {"MOS high temp", warn, none}, {"heating film high temp", warn, none},
        {"heater MOS stuck", block, CD}, {"heater fault", block, C}}},
    {{{"connector overtemp", block, CD}, {"precharge failed", block, CD}, {"charger reversed", trip, CD},
        {"terminal overtemp", block, CD}, {"fuse blown", trip, CD}, {"voltage wire open", block, CD},
        {"temperature wire open", block, CD}, {"charge voltage low", block, C}}},
}};

void check_one(const BatteryState& s, const Expected& e)
{
    REQUIRE(s.reported.size() == 1);
    CHECK(s.reported[0].code == e.code);
    CHECK(s.reported[0].level == e.level);
    CHECK(s.reported[0].direction == e.direction);
    CHECK(s.reported[0].never_close_again == (e.level == trip));
}

}  // namespace

TEST_CASE("deye: every alarm bit is one fault, of the system and of each module, and of nothing else")
{
    // SAFE-040
    std::set<std::string_view> codes;
    for (std::size_t byte = 0; byte < tables.size(); ++byte)
        for (std::size_t bit = 0; bit < 8; ++bit) {
            const Expected& e = tables[byte][bit];
            CAPTURE(e.code);
            CHECK(e.code.size() <= 24);
            CHECK(codes.insert(e.code).second);
            for (const std::uint32_t id : {0x359U, 0x110U, 0x11FU}) {
                DeyeBench b;
                CanFrame f{.id = id};
                f.data[byte] = static_cast<std::uint8_t>(1U << bit);
                b.hear(f);
                CHECK(b.state().reported.empty());  // once is no fault yet
                b.now += 1s;
                b.hear(f);
                check_one(b.state(), e);
                b.now += 1s;
                f.data[byte] = 0;
                b.hear(f);
                CHECK(b.state().reported.empty());
            }
        }
}

TEST_CASE("deye: the switches beside the alarms are none")
{
    DeyeBench b;
    b.twice("110#00000000000000FF");
    b.twice("359#00000000000000FF");
    CHECK(b.state().reported.empty());
}

TEST_CASE("deye: every bit of the Pylontech layout is one fault, and unassigned bits are none")
{
    constexpr std::array expected{std::pair{1, Expected{"over-voltage", block, C}},
        std::pair{2, Expected{"under-voltage", block, D}}, std::pair{3, Expected{"over-temperature", block, CD}},
        std::pair{4, Expected{"under-temperature", block, C}}, std::pair{7, Expected{"discharge over-current", block, D}},
        std::pair{8, Expected{"charge over-current", block, C}}, std::pair{11, Expected{"system error", block, CD}},
        std::pair{17, Expected{"high voltage", warn, none}}, std::pair{18, Expected{"low voltage", warn, none}},
        std::pair{19, Expected{"high temperature", warn, none}}, std::pair{20, Expected{"low temperature", warn, none}},
        std::pair{23, Expected{"discharge high current", warn, none}}, std::pair{24, Expected{"charge high current", warn, none}},
        std::pair{27, Expected{"internal comm. warning", warn, none}}};
    for (int bit = 0; bit < 32; ++bit) {
        CAPTURE(bit);
        DeyeBench b;
        CanFrame f = frame("359#0000000003504E00");
        f.data[static_cast<std::size_t>(bit / 8)] = static_cast<std::uint8_t>(1U << (bit % 8));
        b.hear(f);
        b.now += 1s;
        b.hear(f);
        const auto found = std::find_if(expected.begin(), expected.end(), [bit](const auto& e) { return e.first == bit; });
        if (found == expected.end())
            CHECK(b.state().reported.empty());
        else
            check_one(b.state(), found->second);
    }
}

TEST_CASE("deye: of too many faults the worst are told, worst first")
{
    DeyeBench b;
    b.twice("110#FFFFFFFFFFFFFF31");
    const auto& all = b.state().reported;
    CHECK(all.full());
    CHECK(all[0].level == trip);
    CHECK(b.reports("MOSFET shorted"));
    CHECK(b.reports("charger reversed"));
    CHECK(b.reports("fuse blown"));
    for (std::size_t i = 1; i < all.size(); ++i) CHECK(all[i].level <= all[i - 1].level);
}

TEST_CASE("deye: what nobody repeats is no complaint any more")
{
    DeyeBench b;
    b.twice("359#0200000000000000");
    CHECK(b.reports("cell under-voltage"));
    b.run(4900ms);
    CHECK(b.reports("cell under-voltage"));
    b.run(300ms);
    CHECK(b.state().reported.empty());
}

TEST_CASE("deye: faults of several modules and of the system are told once, and end with the last of them")
{
    DeyeBench b;
    b.native(2);
    b.said[0x110].data[0] = b.said[0x111].data[0] = b.said[0x359].data[0] = 0x02;
    b.seconds(3);
    CHECK(b.state().reported.size() == 1);
    b.said[0x110].data[0] = b.said[0x359].data[0] = 0;
    b.seconds(2);
    CHECK(b.state().reported.size() == 1);
    b.said[0x111].data[0] = 0;
    b.seconds(2);
    CHECK(b.state().reported.empty());
}
