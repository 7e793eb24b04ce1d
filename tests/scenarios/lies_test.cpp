// A house whose measurements lie, in the pack's own frames and in virtual time.
#include "battery/byd_atto3_layout.hpp"
#include "tests/support/world.hpp"

using namespace batgw;
using namespace batgw::test;

namespace {

// The pack's frames of one kind come from somebody else from now on: the last one over and over, unless changed.
class Liar {
public:
    Liar(World& world, std::uint32_t id, std::string_view stop, Duration period) : world_{world}, period_{period}
    {
        world_.tap = [this, id](Side side, const CanFrame& f) {
            if (side == Side::battery && f.id == id) frame = f;
        };
        world_.run(2s);
        world_.pack->command(stop);
    }
    void run(Duration time)
    {
        for (const Instant end = world_.now + time; world_.now < end;) {
            world_.inject(Side::battery, byd_atto3::sealed(frame));
            world_.run(period_);
        }
    }
    CanFrame frame;

private:
    World& world_;
    Duration period_;
};

}  // namespace

TEST_CASE("lies: a current that stands still in the pack's frames while the inverter's moves warns, then blocks")
{
    // SAFE-027, SAFE-028
    World w;
    w.start_up();
    w.inverter->set_wish(-6_kW);
    w.run(30s);
    Liar liar{w, byd_atto3::measurements.id, "stop 444", 100ms};
    liar.run(15s);
    w.inverter->set_wish(-1_kW);
    liar.run(60s);
    CHECK(w.has(FaultId::plausibility, "inverter_current"));
    CHECK_FALSE(w.has(FaultId::sig_frozen));
    liar.run(60s);
    CHECK(w.has(FaultId::sig_frozen, "current"));
    CHECK_FALSE(w.verdict().discharge.is_zero());
    liar.run(170s);
    CHECK(w.verdict().discharge.is_zero());
    CHECK(w.verdict().charge.is_zero());
    w.inverter->set_wish(Power{});
    w.pack->command("resume all");
    CHECK(w.run_until([&] { return World::settled(w.verdict().discharge); }, 180s));
    CHECK_FALSE(w.has(FaultId::sig_frozen));
}

TEST_CASE("lies: one frame with a cell on fire stops the power for a moment, the fourth opens the contactors")
{
    // SAFE-026, SAFE-064
    World w;
    w.start_up();
    Liar liar{w, byd_atto3::temperature_extremes.id, "stop 447", 1s};
    const CanFrame truth = liar.frame;
    byd_atto3::temperature_max.put(liar.frame, 75_degC);
    w.inject(Side::battery, byd_atto3::sealed(liar.frame));
    CHECK(w.verdict().charge.is_zero());
    CHECK(w.verdict().discharge.is_zero());
    liar.frame = truth;
    liar.run(60s);
    CHECK(w.verdict().worst < FaultClass::block);
    CHECK(World::settled(w.verdict().charge));
    byd_atto3::temperature_max.put(liar.frame, 75_degC);
    liar.run(2s);
    CHECK_FALSE(w.has(FaultId::temp_event));
    liar.run(4s);
    CHECK(w.has(FaultId::temp_event));
    CHECK(w.verdict().state == GatewayState::emergency);
    w.run(2s);
    CHECK(w.pack->connection() == sim::Connection::open);
}

TEST_CASE(
    "lies: a second battery with the same messages on the bus: no power, contactors open, and an end a minute after it went")
{
    // SAFE-185
    World w;
    w.start_up();
    bool second = true;
    w.tap = [&](Side side, const CanFrame& f) {
        if (second && side == Side::battery) w.bridge.on_frame(side, f, w.now, w.now);
    };
    const Instant came = w.now;
    REQUIRE(w.run_until([&] { return w.has(FaultId::id_conflict, "two batteries"); }, 60s));
    CHECK(w.now - came >= 20s);
    CHECK(w.now - came <= 31s);
    CHECK(w.verdict().charge.is_zero());
    CHECK(w.verdict().discharge.is_zero());
    REQUIRE(w.run_until([&] { return w.pack->connection() == sim::Connection::open; }, 20s));
    second = false;
    const Instant went = w.now;
    REQUIRE(w.run_until([&] { return !w.has(FaultId::id_conflict); }, 120s));
    CHECK(w.now - went >= 60s);
}
