// The state of charge that the inverter is shown, where it is scaled to the window in use.
#include "tests/support/world.hpp"

#include <doctest/doctest.h>

#include <string>

using namespace batgw;
using test::World;

namespace {

test::WorldOptions scaled_house(const std::string& inverter)
{
    test::WorldOptions o;
    o.inverter = inverter;
    o.extra = "safety: {soc: {scaling: true, min_pct: 10, max_pct: 90}}\n";
    return o;
}

double shown_percent(const World& w)
{
    const auto soc = w.bridge.inverter().sent_soc.last();
    REQUIRE(soc);
    return static_cast<double>(soc->milli()) / 1000;
}

void bring_to(World& w, int percent)
{
    w.pack->command("soc " + std::to_string(percent));
    w.run(60s);
}

}  // namespace

TEST_CASE(
    "shown state of charge: every inverter sees the window in use as 0 to 100 %, and the battery's own value is published too")
{
    // SAFE-115
    for (const char* inverter : {"byd-hvs", "pylontech-hv", "pylontech-lv"}) {
        CAPTURE(inverter);
        World w{scaled_house(inverter)};
        w.start_up();
        bring_to(w, 50);
        CHECK(shown_percent(w) == doctest::Approx(50).epsilon(0.021));
        bring_to(w, 30);
        CHECK(shown_percent(w) == doctest::Approx(25).epsilon(0.041));
        bring_to(w, 70);
        CHECK(shown_percent(w) == doctest::Approx(75).epsilon(0.014));
        CHECK(w.bridge.battery().soc.last()->milli() == doctest::Approx(70'000).epsilon(0.02));
    }
}

TEST_CASE("shown state of charge: full and empty are shown only while a limit is zero for that reason")
{
    // SAFE-115
    World w{scaled_house("byd-hvs")};
    w.start_up();
    bring_to(w, 89);
    CHECK(shown_percent(w) > 95);
    CHECK(shown_percent(w) <= 99);
    bring_to(w, 91);
    REQUIRE(w.has(FaultId::soc_high));
    CHECK(shown_percent(w) == 100);
    // Not full any more, but charging is still blocked for it.
    bring_to(w, 89);
    REQUIRE(w.verdict().charge.is_zero());
    CHECK(shown_percent(w) <= 99);
    bring_to(w, 12);
    CHECK(shown_percent(w) == doctest::Approx(2.5).epsilon(0.3));
    bring_to(w, 9);
    REQUIRE(w.has(FaultId::soc_low));
    CHECK(shown_percent(w) == 0);
    // Back above the window's end and before the block goes: not below what is measured.
    bring_to(w, 11);
    REQUIRE(w.verdict().discharge.is_zero());
    CHECK(shown_percent(w) >= 1);
}
