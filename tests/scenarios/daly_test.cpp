// A Daly pack in the house: a board that is asked, states no limits, and has MOSFETs where others have contactors.
#include "sim/daly_bms.hpp"
#include "tests/support/world.hpp"

#include <doctest/doctest.h>

#include <string>

using namespace batgw;
using namespace batgw::test;

namespace {

WorldOptions house(std::string extra = {}, sim::BatteryChoice choice = {})
{
    return {.battery = "daly-uart",
        .inverter = "byd-hvs",
        .battery_facts = "  max_charge_w: 2500\n  max_discharge_w: 3000\n  capacity_wh: 5120\n",
        .extra = std::move(extra),
        .pack = choice};
}

struct DalyWorld : World {
    explicit DalyWorld(const WorldOptions& options = house()) : World{options} {}
    sim::DalyBms& board() { return dynamic_cast<sim::DalyBms&>(*pack); }
    std::string tell(const std::string& command) { return pack->command(command); }
    unsigned orders() { return board().orders(); }
    std::size_t written_of(std::uint32_t id) const
    {
        return static_cast<std::size_t>(
            std::count_if(written.begin(), written.end(), [id](const Written& w) { return w.telegram.id == id; }));
    }
};

}  // namespace

TEST_CASE("daly: from nothing to full power, and no MOSFET is touched")
{
    DalyWorld w;
    w.start_up();
    CHECK(w.verdict().charge.power() == 2500_W);
    CHECK(w.verdict().discharge.power() == 3_kW);
    CHECK(w.orders() == 0);
    CHECK(w.verdict().pack.cells == 16U);
    CHECK_FALSE(w.has(FaultId::bms_fault));
    w.inverter->set_wish(1_kW);
    w.run(30s);
    CHECK(magnitude(w.bridge.battery().current.fresh(w.now).value_or(0_A) - w.pack->current()) <= 1_A);
    CHECK(w.pack->current() > 10_A);
    w.inverter->set_wish(-1_kW);
    w.run(30s);
    CHECK(w.bridge.battery().current.fresh(w.now).value_or(0_A) < -10_A);
    CHECK(w.inverter->report().problems.empty());
}
