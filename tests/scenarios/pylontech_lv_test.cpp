// A house with a Pylontech low-voltage inverter, in virtual time: the real bridge between the simulated Atto 3 pack and the
// simulated inverter. (Nobody would wire these two: 400 V and 48 V. What is told is what matters here.)
#include "tests/support/world.hpp"

using namespace batgw;
using namespace batgw::test;

namespace {

WorldOptions lv(std::string_view profile = "superset", Percent soc = 55_pct)
{
    WorldOptions o;
    o.inverter = "pylontech-lv";
    o.inverter_extra = "  options:\n    profile: " + std::string{profile} + "\n";
    o.pack.soc = soc;
    return o;
}

int charge_a10(const CanFrame& f) { return f.data[2] + 256 * f.data[3]; }
int discharge_a10(const CanFrame& f) { return f.data[4] + 256 * f.data[5]; }
int charge_v10(const CanFrame& f) { return f.data[0] + 256 * f.data[1]; }
bool zero(const CanFrame& f) { return charge_a10(f) == 0 && discharge_a10(f) == 0; }

CanFrame told(const World& w, std::uint32_t id)
{
    const auto f = w.last(Side::inverter, id);
    REQUIRE(f.has_value());
    return *f;
}
void content(World& w)
{
    for (const std::string& p : w.inverter->report().problems) FAIL_CHECK(p);
}

}  // namespace

TEST_CASE("a Pylontech inverter: silence, then zeros, then closed contactors, then limits")
{
    World w{lv()};
    w.run(3s);
    for (const Seen& s : w.sent) CHECK(s.side == Side::battery);  // the pack has not told everything yet
    REQUIRE(w.run_until([&] { return w.verdict().contactors.state == ContactorState::closed; }, 30s));
    // SAFE-003, SAFE-214
    for (const Seen& s : w.sent) {
        if (s.side != Side::inverter) continue;
        if (s.frame.id == 0x351) REQUIRE(zero(s.frame));
        if (s.frame.id == 0x35C) REQUIRE(s.frame.data[0] == 0);
    }
    w.start_up();
    w.run(2s);
    CHECK(told(w, 0x35C).data[0] == 0xC0);
    CHECK(charge_a10(told(w, 0x351)) > 200);
    CHECK(w.inverter->report().satisfied());
    content(w);
}

TEST_CASE("a Pylontech inverter: power begins with the slope, at the start and after every pause, however long the zeros lasted")
{
    // SAFE-092
    World w{lv()};
    REQUIRE(w.run_until([&] { return w.verdict().contactors.state == ContactorState::closed; }, 30s));
    const auto first_offer = [&] {
        REQUIRE(w.run_until([&] { return !zero(told(w, 0x351)); }, 2min));
        const CanFrame f = told(w, 0x351);
        return std::max(charge_a10(f), discharge_a10(f));
    };
    // 5 % of 10 kW per second at about 400 V are 1.25 A in a beat.
    CHECK(first_offer() <= 14);
    w.run(30s);
    CHECK(charge_a10(told(w, 0x351)) > 200);
    w.pack_cable = false;
    REQUIRE(w.run_until([&] { return zero(told(w, 0x351)); }, 30s));
    w.pack_cable = true;
    CHECK(first_offer() <= 14);
}

TEST_CASE("a Pylontech inverter of every profile is served for ten minutes, charging and discharging")
{
    for (const char* profile : {"superset", "pylontech", "victron", "sma", "luxpower", "solark"}) {
        CAPTURE(profile);
        World w{lv(profile)};
        w.inverter->command(std::string{"profile "} + profile);
        w.start_up();
        w.inverter->set_wish(6_kW);
        w.run(5min);
        CHECK(w.pack->current() > 10_A);
        w.inverter->set_wish(-6_kW);
        w.run(5min);
        CHECK(w.pack->current() < -10_A);
        CHECK(w.inverter->report().satisfied());
        content(w);
        CHECK(w.verdict().worst <= FaultClass::warn);
    }
}

TEST_CASE("a Pylontech inverter: full, charging ends with limit, enable, alarm and charge voltage together; discharging goes on")
{
    World w{lv("superset", 97_pct)};
    w.start_up();
    w.inverter->set_wish(10_kW);
    REQUIRE(w.run_until([&] { return w.verdict().charge.is_zero(); }, 2h));
    w.run(2s);
    CHECK(charge_a10(told(w, 0x351)) == 0);
    CHECK(discharge_a10(told(w, 0x351)) > 0);
    CHECK(told(w, 0x35C).data[0] == 0x40);
    const auto pack_v10 = static_cast<int>(w.bridge.battery().voltage.last()->up_in(100));
    CHECK(std::abs(charge_v10(told(w, 0x351)) - pack_v10) <= 1);
    w.inverter->set_wish(-3_kW);
    w.run(30s);
    CHECK(w.pack->current() < -5_A);
    content(w);
}

TEST_CASE("a Pylontech inverter: empty, discharging ends without an alarm, charging goes on")
{
    World w{lv("superset", 13_pct)};
    w.start_up();
    w.inverter->set_wish(-10_kW);
    REQUIRE(w.run_until([&] { return w.verdict().discharge.is_zero(); }, 3h));
    w.run(10s);
    CHECK(w.has(FaultId::soc_low));
    CHECK(discharge_a10(told(w, 0x351)) == 0);
    CHECK(told(w, 0x35C).data[0] == 0x80);  // never asks for charging by itself
    const CanFrame status = told(w, 0x359);
    CHECK((status.data[0] | status.data[1]) == 0);
    w.inverter->set_wish(5_kW);
    w.run(1min);
    CHECK(w.pack->current() > 5_A);
    content(w);
}

TEST_CASE("a Pylontech inverter: the battery is lost, zeros and the alarm stay, and all comes back")
{
    World w{lv()};
    w.start_up();
    w.inverter->set_wish(5_kW);
    w.run(20s);
    w.pack_cable = false;
    const Instant cut = w.now;
    w.run(15s);
    // SAFE-170, SAFE-110
    CHECK(zero(told(w, 0x351)));
    CHECK(told(w, 0x35C).data[0] == 0);
    CHECK((told(w, 0x359).data[1] & 0x08) != 0);
    CHECK((told(w, 0x359).data[3] & 0x08) != 0);
    CHECK((told(w, 0x35A).data[2] & 0xC0) == 0x40);
    std::optional<Instant> nothing;
    for (const Seen& s : w.sent)
        if (s.side == Side::inverter && s.frame.id == 0x351 && s.at > cut && !nothing && zero(s.frame)) nothing = s.at;
    REQUIRE(nothing);
    CHECK(*nothing - cut <= 6s);
    w.sent.clear();
    w.run(5min);
    CHECK(std::count_if(w.sent.begin(), w.sent.end(), [](const Seen& s) { return s.frame.id == 0x351; }) >= 299);
    w.pack_cable = true;
    REQUIRE(w.run_until([&] { return World::settled(w.verdict().charge); }, 5min));
    w.run(2s);
    CHECK((told(w, 0x359).data[1] & 0x08) == 0);
    CHECK((told(w, 0x35A).data[2] & 0xC0) == 0x80);
    CHECK(told(w, 0x35C).data[0] == 0xC0);
    content(w);
}

TEST_CASE("a Pylontech inverter that never acknowledges is served all the same")
{
    // SAFE-180
    World w{lv()};
    w.inverter->command("silent on");
    w.start_up();
    w.inverter->set_wish(5_kW);
    w.run(10min);
    CHECK(w.pack->current() > 5_A);
    CHECK(w.verdict().contactors.state == ContactorState::closed);  // SAFE-181
    CHECK_FALSE(w.verdict().charge.is_zero());
    content(w);
}

TEST_CASE("a Pylontech inverter whose acknowledge is expected gets zeros without it, and power again with it")
{
    WorldOptions o = lv();
    o.inverter_extra += "    expect_ack: true\n";
    World w{o};
    w.start_up();
    w.inverter->command("silent on");
    w.run(70s);
    CHECK(w.has(FaultId::inv_link_lost));
    CHECK(zero(told(w, 0x351)));
    const auto beats = [&w] {
        return std::count_if(
            w.sent.begin(), w.sent.end(), [](const Seen& s) { return s.side == Side::inverter && s.frame.id == 0x355; });
    };
    const auto before = beats();
    w.run(10s);
    CHECK(beats() - before >= 9);  // the frames go on
    w.inverter->command("silent off");
    REQUIRE(w.run_until([&] { return World::settled(w.verdict().charge); }, 5min));
    content(w);
}

TEST_CASE("a Pylontech inverter: an orderly stop is zeros, then silence")
{
    // SAFE-217
    World w{lv()};
    w.start_up();
    w.inverter->set_wish(5_kW);
    w.run(10s);
    w.sent.clear();
    w.bridge.request_stop(w.now);
    REQUIRE(w.run_until([&] { return w.verdict().stopped; }, 60s));
    unsigned limits = 0;
    for (const Seen& s : w.sent)
        if (s.side == Side::inverter && s.frame.id == 0x351) {
            ++limits;
            CHECK(zero(s.frame));
        }
    CHECK(limits > 0);
    w.run(100ms);
    w.sent.clear();
    w.run(5s);
    CHECK(std::none_of(w.sent.begin(), w.sent.end(), [](const Seen& s) { return s.side == Side::inverter; }));
}

TEST_CASE(
    "a Pylontech inverter that ignores a limit of zero is warned about, shown the current, and clamped if that is configured")
{
    WorldOptions o = lv();
    o.inverter_extra += "    soc_clamp: true\n";
    World w{o};
    w.inverter->command("silent on");  // and never answers
    w.start_up();
    w.inverter->command("ignore on");
    w.inverter->set_wish(4_kW);
    Command off;
    off.kind = CommandKind::charge;
    w.run(5s);
    w.command(off);
    REQUIRE(w.run_until([&] { return w.has(FaultId::limit_exceeded); }, 60s));
    w.run(2s);
    CHECK((told(w, 0x359).data[3] & 0x01) != 0);
    CHECK(told(w, 0x355).data[0] == 100);  // SAFE-113
}
