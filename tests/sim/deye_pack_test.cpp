// The simulated Deye tower: that it sends what such a tower sends, and can be made to misbehave.
#include "sim/deye_pack.hpp"

#include "battery/deye_layout.hpp"
#include "tests/sim/support.hpp"

#include <doctest/doctest.h>

#include <map>
#include <set>
#include <string>

using namespace batgw;
using namespace batgw::test;

namespace {

struct Listener {
    explicit Listener(const sim::BatteryChoice& choice = {}) : pack{choice} {}
    void run(Duration time)
    {
        const Instant end = now + time;
        while (now < end) {
            Outbox out;
            const Instant next = pack.on_tick(now, out);
            REQUIRE(next > now);
            REQUIRE(out.lost() == 0);
            for (const CanFrame& f : out.frames()) {
                heard[f.id].push_back({now, f});
                ++total;
            }
            now = std::min(next, end);
        }
    }
    void say(std::string_view line) { REQUIRE(pack.command(line) == "ok"); }
    std::optional<CanFrame> last(std::uint32_t id) const
    {
        const auto found = heard.find(id);
        return found == heard.end() || found->second.empty() ? std::nullopt : std::optional{found->second.back().frame};
    }
    std::size_t count(std::uint32_t id) const { return heard.contains(id) ? heard.at(id).size() : 0; }

    sim::DeyePack pack;
    Instant now{std::chrono::hours{2} + 777777us};
    std::map<std::uint32_t, std::vector<Caught>> heard;
    std::size_t total = 0;
};

}  // namespace

TEST_CASE("simulated tower: each frame at its own period, as measured on a real one")
{
    Listener l{{.modules = 1}};
    l.run(107s);
    const std::map<std::uint32_t, std::size_t> expected{{0x110, 107}, {0x359, 107}, {0x150, 106}, {0x355, 106}, {0x200, 105},
        {0x356, 105}, {0x361, 104}, {0x250, 104}, {0x400, 103}, {0x363, 103}, {0x364, 102}, {0x351, 101}, {0x371, 100},
        {0x35C, 100}, {0x35E, 99}, {0x500, 51}, {0x600, 51}, {0x650, 51}, {0x550, 21}, {0x700, 20}, {0x750, 20}};
    CHECK(l.heard.size() == expected.size());
    for (const auto& [identifier, n] : expected) {
        const std::uint32_t id = identifier;  // a structured binding cannot be captured by clang 14
        CAPTURE(id);
        CHECK(l.count(id) >= n - 1);
        CHECK(l.count(id) <= n + 1);
    }
    // Some sixteen frames a second for one module.
    CHECK(l.total / 107 >= 14);
    CHECK(l.total / 107 <= 18);
}

TEST_CASE("simulated tower: sixteen modules have their frames, and none is lost")
{
    Listener l{{.modules = 16}};
    l.run(20s);
    for (const std::uint32_t first : deye::module_rows)
        for (std::uint32_t n = 0; n < 16; ++n) CHECK(l.count(first + n) > 0);
    CHECK(l.count(0x120) == 0);
    CHECK(deye::modules_parallel(*l.last(0x364)) == 16);
    CHECK(deye::capacity(*l.last(0x35E)) == 1600_Ah);
}

TEST_CASE("simulated tower: the profile changes what the system sends and the sign of its current, not what the modules send")
{
    Listener l;
    l.pack.set_current(45.2_A);
    l.run(5s);
    CHECK(deye::current_native(*l.last(0x356)) == 45.2_A);
    CHECK(deye::module_current(*l.last(0x150)) == 22.6_A);
    CHECK(deye::maker(*l.last(0x35E)) == deye::maker_native);
    l.say("profile victron");
    l.heard.clear();
    l.run(5s);
    CHECK(deye::current_victron(*l.last(0x356)) == 45.2_A);
    CHECK(deye::module_current(*l.last(0x150)) == 22.6_A);
    CHECK(deye::pack_number(*l.last(0x35E)) == deye::pack_number_victron);
    for (const std::uint32_t id : {0x359U, 0x35CU, 0x361U, 0x363U, 0x364U, 0x371U}) CHECK(l.count(id) == 0);
    CHECK(l.count(0x35A) > 0);
    CHECK(deye::capacity_victron(*l.last(0x35F)) == 200_Ah);
    l.say("profile native");
    l.heard.clear();
    l.run(5s);
    CHECK(l.count(0x35A) == 0);
    CHECK(l.count(0x359) > 0);
}

TEST_CASE("simulated tower: full, it opens its charge switches, allows nothing, and pulses; discharging closes them again")
{
    Listener l{{.soc = 99_pct}};
    l.pack.set_current(60_A);
    l.run(5min);
    CHECK(l.pack.current() == 0_A);
    CHECK(l.pack.connection() == sim::Connection::closed);
    CHECK(l.last(0x110)->data[7] == 0x21);
    CHECK(deye::charge_enabled(*l.last(0x35C)) == false);
    CHECK(deye::modules_no_charge(*l.last(0x364)) == 2);
    l.heard.clear();
    l.run(2min);
    std::size_t pulses = 0;
    for (const Caught& c : l.heard[0x351]) pulses += deye::charge_limit(c.frame) > 0_A ? 1U : 0U;
    CHECK(pulses >= 5);
    CHECK(pulses <= 8);
    for (const Caught& c : l.heard[0x371]) CHECK(deye::charge_limit_grid(c.frame) == 0_A);
    l.say("pulses off");
    l.heard.clear();
    l.run(1min);
    for (const Caught& c : l.heard[0x351]) CHECK(deye::charge_limit(c.frame) == 0_A);
    l.pack.set_current(-60_A);
    l.run(10min);
    CHECK(l.pack.current() == -(60_A));
    CHECK(l.last(0x110)->data[7] == 0x31);
}

TEST_CASE("simulated tower: empty, it opens its discharge switches and asks to be charged")
{
    Listener l{{.soc = 2_pct}};
    l.pack.set_current(-(90_A));
    l.run(10min);
    CHECK(l.pack.current() == 0_A);
    CHECK(deye::discharge_enabled(*l.last(0x35C)) == false);
    CHECK(deye::charge_forced_1(*l.last(0x35C)));
    CHECK(deye::discharge_limit(*l.last(0x351)) == 0_A);
    l.say("firmware old");
    l.run(2s);
    CHECK(l.last(0x35C) == CanFrame{.id = 0x35C});
    l.say("firmware new");
    l.say("soc 24");
    l.run(2s);
    CHECK_FALSE(deye::charge_forced_1(*l.last(0x35C)));
}

TEST_CASE("simulated tower: a lost module is silent, carries nothing, and is counted; all lost, the tower is off")
{
    Listener l{{.modules = 3}};
    l.pack.set_current(60_A);
    l.say("lose 2");
    l.run(3s);
    CHECK(l.count(0x111) == 0);
    CHECK(deye::modules_lost(*l.last(0x364)) == 1);
    CHECK(deye::modules_parallel(*l.last(0x364)) == 2);
    CHECK(deye::module_current(*l.last(0x150)) == 30_A);
    CHECK(deye::charge_limit(*l.last(0x351)) == 100_A);
    l.say("join 2");
    l.run(3s);
    CHECK(l.count(0x111) > 0);
    for (const char* line : {"lose 1", "lose 2", "lose 3"}) l.say(line);
    CHECK(l.pack.connection() == sim::Connection::open);
    CHECK(l.pack.output_voltage() == 0_V);
    CHECK(l.pack.pack_voltage() == 0_V);
    CHECK(l.pack.true_soc() == 0_pct);
    l.say("mend");
    CHECK(l.pack.connection() == sim::Connection::closed);
    CHECK(l.pack.output_voltage() == l.pack.pack_voltage());
    l.say("modules 5");
    l.run(3s);
    CHECK(l.count(0x154) > 0);
    l.say("modules 1");
    l.heard.clear();
    l.run(3s);
    CHECK(l.count(0x154) == 0);
}

TEST_CASE("simulated tower: it can be made to misbehave, one line each")
{
    Listener l;
    l.say("current 12.5");
    l.run(2s);
    CHECK(deye::current_native(*l.last(0x356)) == 12.5_A);
    l.say("soc 2 80");
    l.say("freeze on");
    l.say("soc 40");
    l.run(2s);
    CHECK(deye::soc(*l.last(0x355)) > 60_pct);
    l.say("freeze off");
    l.run(2s);
    CHECK(deye::soc(*l.last(0x355)) == 40_pct);
    l.say("cell 18 3.66");
    l.run(2s);
    CHECK(deye::cell_max(*l.last(0x201)) == 3660_mV);
    CHECK(deye::cell_max(*l.last(0x361)) == 3660_mV);
    CHECK(l.last(0x111)->data[0] == 0x01);
    l.say("cell 18 off");
    l.say("cell 1 2.7");
    l.run(2s);
    CHECK(l.last(0x110)->data[0] == 0x02);
    l.say("mend");
    l.say("temp 44");
    l.say("temp 6 61");
    l.run(2s);
    CHECK(deye::temperature_max(*l.last(0x361)) == 61_degC);
    CHECK(deye::temperature_max(*l.last(0x200)) < 50_degC);
    l.say("alarm 2 29 on");
    l.run(2s);
    CHECK(l.last(0x111)->data[3] == 0x20);
    CHECK(l.last(0x359)->data[3] == 0x20);
    CHECK(deye::modules_normal(*l.last(0x364)) == 1);
    l.say("alarm 2 29 off");
    l.say("switch 1 charge off");
    l.say("switch 1 discharge off");
    l.run(2s);
    CHECK(l.last(0x110)->data[7] == 0x01);
    CHECK(deye::module_current(*l.last(0x151)) == 12.5_A);
    l.say("switch 1 charge auto");
    l.say("limit charge 33");
    l.say("limit discharge 44");
    l.run(2s);
    CHECK(deye::charge_limit(*l.last(0x351)) == 33_A);
    CHECK(deye::discharge_limit_grid(*l.last(0x371)) == 44_A);
    l.say("limit charge off");
    l.say("voltage 70");
    l.run(2s);
    CHECK_FALSE(deye::voltage(*l.last(0x356)));
    l.say("voltage off");
    l.say("length 356 7");
    l.run(2s);
    CHECK(l.last(0x356)->len == 7);
    l.say("length 356 off");
    l.say("stop 355");
    l.heard.clear();
    l.run(2s);
    CHECK(l.count(0x355) == 0);
    CHECK(l.last(0x356)->len == 8);
    l.say("resume 355");
    l.say("stop 356");
    l.say("resume all");
    l.run(2s);
    CHECK(l.count(0x355) > 0);
    l.say("silent on");
    const std::size_t before = l.total;
    l.run(3s);
    CHECK(l.total == before);
    l.say("mend");
    l.run(3s);
    CHECK(l.total > before);
    l.pack.on_frame(CanFrame{.id = 0x305}, l.now);
    CHECK(l.pack.heartbeats() == 1);
}

TEST_CASE("simulated tower: it explains itself, and refuses lines that mean nothing")
{
    sim::DeyePack pack{{.modules = 2}};
    CHECK(pack.command("help").find("lose MODULE") != std::string::npos);
    CHECK(pack.command("status").find("2 modules") != std::string::npos);
    pack.command("profile victron");
    CHECK(pack.status().find("victronCAN") != std::string::npos);
    for (const char* line : {"", "nonsense", "current", "current 2000", "soc", "soc 103", "soc 3 50", "silent maybe", "stop",
             "stop 800", "resume", "resume x", "length 356", "length 356 9", "length xyz 3", "cell 33 3", "cell 1 6", "cell 1",
             "temp", "temp 200", "temp 9 20", "modules 17", "modules", "lose 3", "lose", "join 0", "alarm 1 56 on",
             "alarm 3 1 on", "alarm 1 1", "switch 1 neither on", "switch 3 charge on", "switch 1 charge perhaps", "limit",
             "limit charge 1001", "limit charge much", "freeze", "voltage", "voltage 301", "voltage high", "profile",
             "profile other", "firmware", "firmware odd", "pulses"}) {
        CAPTURE(line);
        CHECK(pack.command(line).starts_with("error"));
    }
}
