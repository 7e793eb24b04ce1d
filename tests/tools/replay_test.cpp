// What the simulated house did live, replay does again from the frames that were recorded.
#include "batgw/log_line.hpp"
#include "tests/support/world.hpp"
#include "tests/tools/run.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

using namespace batgw;
using namespace batgw::test;

namespace {

std::string stamp(Instant at)
{
    const std::int64_t us = at.time_since_epoch().count();
    return fmt::format("({:010}.{:06})", us / 1'000'000, us % 1'000'000);
}

constexpr std::string_view configuration =
    "battery:\n  protocol: byd-atto3\n  interface: can0\n  cells: 126\n  capacity_wh: 60480\n"
    "inverter:\n  protocol: byd-hvs\n  interface: can1\n";

// A house that starts up, charges, and loses its pack; what its two buses carried, and what the gateway sent.
struct Recorded {
    std::string battery, inverter;
    std::vector<std::string> sent;
};
Recorded record()
{
    World world;
    Recorded r;
    // The gateway was there before the first frame, and first judged at this instant.
    r.battery = stamp(world.now + 1us) + " lo 000#\n";
    world.tap = [&](Side side, const CanFrame& frame) {
        const bool battery = side == Side::battery;
        (battery ? r.battery : r.inverter) +=
            fmt::format("{} {} {}\n", stamp(world.now), battery ? "can0" : "can1", frame_text(frame));
    };
    world.start_up();
    world.inverter->set_wish(5_kW);
    world.run(10s);
    world.pack_cable = false;
    world.run(5s);
    for (const Seen& s : world.sent)
        r.sent.push_back(
            fmt::format("{} send {} {}", stamp(s.at), s.side == Side::battery ? "battery" : "inverter", frame_text(s.frame)));
    return r;
}

// The lines that tell of frames, cut behind the frame, with ten digits of seconds.
std::vector<std::string> sent_in(const std::string& out)
{
    std::vector<std::string> sent;
    for (const std::string& line : lines_of(out)) {
        if (line.find(" send ") == std::string::npos) continue;
        const auto dot = line.find('.'), hash = line.find('#');
        sent.push_back("(" + std::string(11 - dot, '0') + line.substr(1, line.find(' ', hash) - 1));
    }
    return sent;
}

}  // namespace

TEST_CASE("replay of recorded frames sends what the gateway sent when they came, instant for instant")
{
    const Recorded recorded = record();
    const Folder folder;
    const std::string config = folder.write("batgw.yaml", configuration), battery = folder.write("battery.log", recorded.battery),
                      inverter = folder.write("inverter.log", recorded.inverter);
    const Ran ran = run("batgw replay -f " + config + " " + inverter + " " + battery);
    CHECK(ran.status == 0);
    const auto sent = sent_in(ran.out);
    // The record ends with the last frame; what the house did afterwards is not in it.
    REQUIRE(sent.size() > 1000);
    REQUIRE(sent.size() <= recorded.sent.size());
    std::size_t different = 0;
    for (std::size_t i = 0; i < sent.size(); ++i)
        if (sent[i] != recorded.sent[i] && ++different <= 3) {
            CAPTURE(i);
            CHECK(sent[i] == recorded.sent[i]);
        }
    CHECK(different == 0);
    CHECK(recorded.sent.size() - sent.size() < 60);
    CHECK(ran.out.find("STARTING -> RUN") != std::string::npos);
    CHECK(ran.err.find("of other interfaces: lo") != std::string::npos);

    SUBCASE("twice the same, byte for byte")
    {
        const Ran again = run("batgw replay -f " + config + " " + inverter + " " + battery);
        CHECK(again.out == ran.out);
        CHECK(again.err == ran.err);
    }
    SUBCASE("one log with both interfaces says the same as two")
    {
        const Ran one = run("sort -m " + battery + " " + inverter + " | batgw replay -f " + config + " -");
        CHECK(sent_in(one.out) == sent);
    }
    SUBCASE("with silence behind it the limits go to zero, and the contactors are no longer called closed")
    {
        const Ran after = run("batgw replay --no-frames -f " + config + " " + inverter + " " + battery + " --after 40s");
        CHECK(after.status == 0);
        CHECK(after.out.find("BAT_LINK_LOST") != std::string::npos);
        CHECK(after.out.find("contactors CLOSED -> UNKNOWN") != std::string::npos);
        CHECK(after.out.find(" send ") == std::string::npos);
        const auto lines = lines_of(after.out);
        std::string limits;
        for (const auto& line : lines)
            if (line.find(" limits ") != std::string::npos) limits = line;
        CHECK(limits.find("charge 0 W 0.0 A") != std::string::npos);
        CHECK(limits.find("discharge 0 W 0.0 A") != std::string::npos);
    }
    SUBCASE("an observing gateway would send nothing")
    {
        const std::string observing = folder.write("observe.yaml", std::string{configuration} + "safety: {mode: observe}\n");
        const Ran silent = run("batgw replay -f " + observing + " " + inverter + " " + battery);
        CHECK(silent.status == 0);
        CHECK(sent_in(silent.out).empty());
        CHECK(silent.out.find("-> OBSERVE") != std::string::npos);
    }
}

TEST_CASE("frames that a gateway sent while the log was made are no stranger on the bus, unless asked")
{
    const Folder folder;
    const std::string config = folder.write("batgw.yaml", configuration);
    // Made up: our own power_mode, over and over, from somewhere else.
    std::string log;
    for (int i = 0; i < 100; ++i) log += fmt::format("(17000000{:02}.{}00000) can0 12D#5014021004310F45\n", i / 10, i % 10);
    const std::string file = folder.write("own.log", log);
    const Ran usual = run("batgw replay --no-frames -f " + config + " " + file);
    CHECK(usual.status == 1);  // nothing was played
    CHECK(usual.out.find("ID_CONFLICT") == std::string::npos);
    CHECK(usual.err.find("100 frames left out") != std::string::npos);
    const Ran own = run("batgw replay --no-frames --own-ids -f " + config + " " + file);
    CHECK(own.status == 0);
    CHECK(own.out.find("ID_CONFLICT") != std::string::npos);
}
