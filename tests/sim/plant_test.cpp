#include "sim/plant.hpp"

#include "tests/sim/support.hpp"

#include <cmath>

using namespace batgw;
using namespace batgw::test;

namespace {

// The smallest hardware there can be: the test sets everything.
struct Pack final : sim::SimulatedBattery {
    void on_frame(const CanFrame&, Instant) override {}
    Instant on_tick(Instant now, Outbox&) override { return now + 1s; }
    std::string command(std::string_view) override { return "ok"; }
    std::string status() const override { return {}; }
    sim::Connection connection() const override { return state; }
    Voltage pack_voltage() const override { return 410_V; }
    void set_current(Current c) override { flowing = c; }
    Current current() const override { return flowing; }
    void set_output_voltage(Voltage v) override { output = v; }
    Voltage output_voltage() const override { return output; }
    Percent true_soc() const override { return 50_pct; }
    sim::Connection state = sim::Connection::open;
    Current flowing;
    Voltage output;
};
struct Load final : sim::SimulatedInverter {
    void on_frame(const CanFrame&, Instant) override {}
    Instant on_tick(Instant now, Outbox&) override { return now + 1s; }
    std::string command(std::string_view) override { return "ok"; }
    std::string status() const override { return {}; }
    sim::InverterReport report() const override { return {}; }
    void set_terminal_voltage(Voltage v) override { terminal = v; }
    Current current() const override { return amps; }
    void set_wish(Power) override {}
    std::optional<Current> charge_limit() const override { return {}; }
    std::optional<Current> discharge_limit() const override { return {}; }
    std::optional<Percent> told_soc() const override { return {}; }
    std::optional<Voltage> told_voltage() const override { return {}; }
    Voltage terminal;
    Current amps;
};

struct Rig {
    void run(Duration time)
    {
        const Instant end = now + time;
        while (now < end) now = plant.on_tick(now);
    }
    Pack pack;
    Load load;
    sim::Plant plant{pack, load};
    Instant now{std::chrono::hours{4}};
};

}  // namespace

TEST_CASE("plant: precharge fills the link along a capacitor's curve, and opening lets it bleed")
{
    Rig r;
    r.run(1s);
    CHECK(r.load.terminal == 0_V);
    r.pack.state = sim::Connection::precharge;
    r.run(150ms);
    CHECK(std::abs(static_cast<double>(r.plant.link_voltage().milli()) / 1000.0 - 410 * 0.632) < 20);
    r.run(1s);
    CHECK(r.plant.link_voltage() > 409_V);
    r.pack.state = sim::Connection::closed;
    r.run(100ms);
    CHECK(r.load.terminal == 410_V);
    CHECK(r.pack.output == 410_V);
    CHECK(r.plant.worst_closing_step() < 1_V);
    r.pack.state = sim::Connection::open;
    r.run(8s);
    CHECK(std::abs(static_cast<double>(r.load.terminal.milli()) / 1000.0 - 410 / std::exp(1.0)) < 5);
}

TEST_CASE("plant: closing onto an empty link is remembered")
{
    Rig r;
    r.run(1s);
    r.pack.state = sim::Connection::closed;
    r.run(100ms);
    CHECK(r.plant.worst_closing_step() == 410_V);
}

TEST_CASE("plant: current flows only through closed contactors")
{
    Rig r;
    r.run(100ms);
    r.load.amps = 20_A;
    r.run(100ms);
    CHECK(r.pack.flowing == 0_A);
    CHECK(r.load.terminal == 1000_V);  // nothing takes it: the link fills up to where an inverter stops
    r.load.amps = -20_A;
    r.run(200ms);
    CHECK(r.load.terminal == 0_V);
    r.pack.state = sim::Connection::closed;
    r.run(100ms);
    CHECK(r.pack.flowing == -20_A);
    r.pack.state = sim::Connection::open;
    r.run(20ms);
    CHECK(r.pack.flowing == 0_A);
}

TEST_CASE("plant: an early call changes nothing")
{
    Rig r;
    r.pack.state = sim::Connection::precharge;
    r.run(50ms);
    const Voltage before = r.plant.link_voltage();
    const Instant next = r.plant.on_tick(r.now - 10ms);
    CHECK(r.plant.on_tick(r.now - 10ms) == next);
    CHECK(r.plant.link_voltage() == before);
}
