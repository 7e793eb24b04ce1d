#include "tests/battery/bench.hpp"

#include <doctest/doctest.h>

#include <vector>

using namespace batgw;
using namespace batgw::test;
namespace layout = batgw::byd_atto3;

namespace {

// A pack that tells its cells, page after page. Made up: no raw frame of 0x43D has been published.
class Cells : public Bench {
public:
    explicit Cells(std::size_t count, std::size_t pages, std::function<void(BatteryConfig&)> change = {})
        : Bench{"byd-atto3", change},
          raw(pages * 3, layout::no_such_cell),
          pages_{pages}
    {
        for (std::size_t i = 0; i < count; ++i) raw[i] = 3300 + static_cast<std::int64_t>(i % 7);
    }
    void page(std::size_t p)
    {
        CanFrame f = layout::cell_voltages.blank();
        layout::cell_page.put(f, static_cast<std::int64_t>(p));
        for (std::size_t i = 0; i < 3; ++i) write_raw(f, layout::page_cells[i].bits, raw[3 * p + i]);
        now += 20ms;
        CHECK(hear(layout::sealed(f)) == Heard::used);
    }
    void turn(std::size_t first = 0)
    {
        for (std::size_t i = 0; i < pages_; ++i) page((first + i) % pages_);
    }
    std::optional<unsigned> count() const { return state().cell_count; }

    std::vector<std::int64_t> raw;

private:
    std::size_t pages_;
};

}  // namespace

TEST_CASE("atto3: cell voltages of one page")
{
    Bench b{"byd-atto3", [](BatteryConfig& c) { c.cells = 3; }};
    CHECK(b.hear("43D#00E40CE60CDD0C34") == Heard::used);  // made up
    const auto cells = b.state().cells.fresh(b.now);
    REQUIRE(cells);
    CHECK(cells->count == 3);
    CHECK((*cells)[0] == 3300_mV);
    CHECK((*cells)[1] == 3302_mV);
    CHECK((*cells)[2] == 3293_mV);
}

TEST_CASE("atto3: upper nibbles of cell voltages are not voltage, and all ones are no cell")
{
    // Made up, as on the protocol page: the last page of a pack of 104, and one with nibbles and a missing cell.
    CHECK(layout::cell_a(frame("43D#22E00CE10CFF0FF6")) == 3296_mV);
    CHECK(layout::cell_b(frame("43D#22E00CE10CFF0FF6")) == 3297_mV);
    CHECK_FALSE(layout::cell_c(frame("43D#22E00CE10CFF0FF6")));
    CHECK(layout::cell_a(frame("43D#29E45C0EADFFFFDD")) == 3300_mV);
    CHECK(layout::cell_b(frame("43D#29E45C0EADFFFFDD")) == 3342_mV);
    CHECK_FALSE(layout::cell_c(frame("43D#29E45C0EADFFFFDD")));
}

TEST_CASE("atto3: cells are counted, not guessed")
{
    struct Row {
        std::size_t cells, pages;
    };
    // 126 and 192 fill their last page: two turns must agree. Elsewhere "no such cell" ends the count in the first.
    for (const Row& row : {Row{90, 40}, Row{104, 35}, Row{104, 64}, Row{160, 54}, Row{172, 64}, Row{126, 64}}) {
        CAPTURE(row.cells);
        Cells b{row.cells, row.pages};
        b.turn();
        CHECK_FALSE(b.count());
        b.page(0);
        CHECK(b.count() == row.cells);
        CHECK_FALSE(b.state().cell_gap);
        CHECK(b.driver->facts().cells == row.cells);
    }
    for (const Row& row : {Row{126, 42}, Row{192, 64}, Row{90, 30}}) {
        CAPTURE(row.cells);
        Cells b{row.cells, row.pages};
        b.turn();
        b.page(0);
        CHECK_FALSE(b.count());
        CHECK_FALSE(b.state().cells.last());
        for (std::size_t p = 1; p < row.pages; ++p) b.page(p);
        b.page(0);
        CHECK(b.count() == row.cells);
    }
}

TEST_CASE("atto3: a page lost at the end of a turn does not make the pack smaller")
{
    Cells b{126, 42};
    for (std::size_t p = 20; p < 41; ++p) b.page(p);  // page 41 is lost
    for (std::size_t p = 0; p < 20; ++p) b.page(p);
    b.page(20);
    CHECK_FALSE(b.count());
    b.turn(21);
    b.page(21);
    CHECK_FALSE(b.count());
    b.turn(22);
    b.turn(22);
    CHECK(b.count() == 126U);
    // Once known, a turn without the last page is only an unfinished one.
    for (int i = 0; i < 3; ++i)
        for (std::size_t p = 0; p < 41; ++p) b.page(p);
    CHECK(b.count() == 126U);
    CHECK_FALSE(b.state().cell_gap);
}

TEST_CASE("atto3: cells that give no data yet are not counted out")
{
    Cells b{126, 42};
    for (std::size_t i = 99; i < 126; ++i) b.raw[i] = 0;
    for (int i = 0; i < 4; ++i) b.turn();
    CHECK_FALSE(b.count());
    CHECK_FALSE(b.state().cell_gap);
    for (std::size_t i = 99; i < 126; ++i) b.raw[i] = 3300;
    for (int i = 0; i < 3; ++i) b.turn();
    CHECK(b.count() == 126U);
    Cells nothing{0, 42};
    for (int i = 0; i < 4; ++i) nothing.turn();
    CHECK_FALSE(nothing.count());
    CHECK_FALSE(nothing.state().cell_gap);
}

TEST_CASE("atto3: a cell that another frame names must be among the counted")
{
    Cells b{104, 35};
    b.hear("446#7DD40C4D21DC0C4C");  // made up: cell 125 is the lowest
    REQUIRE(b.state().cell_min_number.last() == 125_count);
    for (int i = 0; i < 3; ++i) b.turn();
    CHECK_FALSE(b.count());
    b.hear("446#2CD40C4D21DC0C9D");
    b.turn();
    CHECK(b.count() == 104U);
}

TEST_CASE("atto3: a hole in the cells is a fault of its own")
{
    for (const std::int64_t wrong : {std::int64_t{0}, layout::no_such_cell, std::int64_t{499}}) {
        CAPTURE(wrong);
        Cells b{126, 42};
        b.raw[50] = wrong;
        b.turn();
        b.page(0);
        CHECK(b.state().cell_gap);
        CHECK_FALSE(b.count());
        b.raw[50] = 3300;
        for (int i = 0; i < 4; ++i) b.turn();
        CHECK_FALSE(b.state().cell_gap);
        CHECK(b.count() == 126U);
        // Later on the count stays, and the last cell can be the missing one.
        b.raw[125] = wrong;
        b.turn();
        b.turn();
        CHECK(b.state().cell_gap);
        CHECK(b.count() == 126U);
        const auto cells = b.state().cells.fresh(b.now);
        REQUIRE(cells);
        CHECK(cells->count == 126);
        CHECK_FALSE((*cells)[125]);
        CHECK((*cells)[124] == Voltage::from_milli(b.raw[124]));
    }
}

TEST_CASE("atto3: cells are published together, when the last page has come")
{
    // SAFE-030
    Cells b{126, 42, [](BatteryConfig& c) { c.cells = 126; }};
    for (std::size_t p = 0; p < 41; ++p) {
        b.page(p);
        CHECK_FALSE(b.state().cells.last());
    }
    b.page(41);
    const auto cells = b.state().cells.fresh(b.now);
    REQUIRE(cells);
    CHECK(cells->count == 126);
    for (std::size_t i = 0; i < 126; ++i) CHECK((*cells)[i] == Voltage::from_milli(b.raw[i]));
    CHECK(b.state().cells.samples() == 1);
    CHECK_FALSE(b.count());  // configured is not detected

    // New values show when they are complete, in whatever order they come.
    for (auto& r : b.raw) r += 10;
    for (std::size_t p = 41; p > 0; --p) b.page(p);
    CHECK((*b.state().cells.last())[125] == Voltage::from_milli(b.raw[125] - 10));
    b.page(0);
    CHECK((*b.state().cells.last())[125] == Voltage::from_milli(b.raw[125]));
    CHECK(b.state().cells.samples() == 2);
}

TEST_CASE("atto3: a set of cells that takes too long is discarded as a whole")
{
    // SAFE-030: half an array, then silence.
    Cells b{126, 42, [](BatteryConfig& c) { c.cells = 126; }};
    for (std::size_t p = 0; p < 21; ++p) b.page(p);
    b.now += 61s;
    for (std::size_t p = 21; p < 42; ++p) b.page(p);
    CHECK_FALSE(b.state().cells.last());
    for (std::size_t p = 0; p < 21; ++p) b.page(p);
    CHECK(b.state().cells.fresh(b.now));
    b.now += 60s;
    CHECK(b.state().cells.is_fresh(b.now));
    b.now += 1s;
    CHECK_FALSE(b.state().cells.is_fresh(b.now));
}

TEST_CASE("atto3: a lost page is filled in by the next turn")
{
    Cells b{126, 42, [](BatteryConfig& c) { c.cells = 126; }};
    for (std::size_t p = 0; p < 42; ++p)
        if (p != 5) b.page(p);
    CHECK_FALSE(b.state().cells.last());
    for (std::size_t p = 0; p < 6; ++p) b.page(p);
    CHECK(b.state().cells.is_fresh(b.now));
}

TEST_CASE("atto3: a smaller pack than configured is found out")
{
    Cells b{104, 35, [](BatteryConfig& c) { c.cells = 126; }};
    b.turn();
    b.page(0);
    CHECK(b.count() == 104U);
    CHECK(b.driver->facts().cells == 104U);
}

TEST_CASE("atto3: pages beyond the last possible cell are ignored")
{
    Bench b{"byd-atto3", [](BatteryConfig& c) { c.cells = 3; }};
    CHECK(b.hear(summed("43D#40E40CE60CDD0C")) == Heard::used);
    CHECK(b.hear(summed("43D#FFE40CE60CDD0C")) == Heard::used);
    CHECK_FALSE(b.state().cells.last());
    CHECK(b.hear(summed("43C#02383838383838")) == Heard::used);
    CHECK(b.hear(summed("43C#FF383838383838")) == Heard::used);
    CHECK_FALSE(b.state().temperatures.last());
}

TEST_CASE("atto3: temperatures of all sensors")
{
    Bench b;
    // Published, Battery-Emulator history: an extended-range pack with ten sensors.
    CHECK(b.hear("43C#003B3A3A3A3A39A3") == Heard::used);
    CHECK_FALSE(b.state().temperatures.last());
    CHECK(b.hear("43C#013A3A393AFFFF19") == Heard::used);
    const auto t = b.state().temperatures.fresh(b.now);
    REQUIRE(t);
    CHECK(t->count == 10);
    const int expected[] = {19, 18, 18, 18, 18, 17, 18, 18, 17, 18};
    for (std::size_t i = 0; i < 10; ++i) CHECK((*t)[i] == Temperature::from_milli(expected[i] * 1000));
    CHECK_FALSE((*t)[10]);
    CHECK_FALSE((*t)[11]);

    // Made up: standard range, eight sensors, one of them broken.
    b.hear(summed("43C#013A3AFFFFFFFF"));
    CHECK(b.state().temperatures.samples() == 1);  // half a set
    b.hear(summed("43C#003BFF3A3A3A39"));
    const auto eight = b.state().temperatures.fresh(b.now);
    REQUIRE(eight);
    CHECK(eight->count == 8);
    CHECK_FALSE((*eight)[1]);
    CHECK((*eight)[7] == 18_degC);
}

TEST_CASE("atto3: half a set of sensors is never shown")
{
    // SAFE-030
    Bench b;
    b.hear("43C#003B3A3A3A3A39A3");
    b.now += 61s;
    b.hear("43C#013A3A393AFFFF19");
    CHECK_FALSE(b.state().temperatures.last());
    b.hear("43C#013A3A393AFFFF19");  // the same page again: a page was lost in between
    CHECK_FALSE(b.state().temperatures.last());
    b.hear("43C#003B3A3A3A3A39A3");
    CHECK(b.state().temperatures.is_fresh(b.now));
}
