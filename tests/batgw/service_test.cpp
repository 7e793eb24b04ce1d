// What holds when the program is gone or stands still, and the service unit that starts it anew.
#include "tests/batgw/program.hpp"
#include "tests/bus/line_fixture.hpp"

#include <doctest/doctest.h>

#include <array>
#include <set>
#include <string>
#include <string_view>

#include <poll.h>

using namespace batgw;
using namespace batgw::test;

namespace {

// Reads what the program writes onto a line for so long.
std::string heard(const Terminal& line, std::chrono::milliseconds time)
{
    std::string bytes;
    const auto end = std::chrono::steady_clock::now() + time;
    for (auto left = time; left.count() > 0;
         left = std::chrono::duration_cast<std::chrono::milliseconds>(end - std::chrono::steady_clock::now())) {
        pollfd p{line.fd(), POLLIN, 0};
        if (::poll(&p, 1, static_cast<int>(left.count())) <= 0) continue;
        std::array<char, 512> room{};
        const auto n = ::read(line.fd(), room.data(), room.size());
        if (n > 0)
            bytes.append(room.data(), static_cast<std::size_t>(n));
        else
            std::this_thread::sleep_for(std::chrono::milliseconds{5});  // nobody has the other end open
    }
    return bytes;
}

std::set<std::string> lines_of(const std::string& file)
{
    std::ifstream in{file};
    REQUIRE(in.good());
    std::set<std::string> lines;
    for (std::string line; std::getline(in, line);) lines.insert(line);
    return lines;
}
std::set<std::string> unit_lines() { return lines_of("etc/batgw.service"); }

}  // namespace

// SAFE-210: what is sent, here on a serial line; that no kernel sends for us is another test, coils and heartbeat are in the
// suite with a kernel's GPIO chip.
TEST_CASE("nothing leaves a gateway that was stopped, killed or has aborted: only the running program sends")
{
    const Folder folder;
    for (const int end : {SIGKILL, SIGABRT, SIGSTOP}) {
        CAPTURE(end);
        const Terminal battery{folder.file("battery")};
        const std::string config = folder.write("batgw.yaml",
            "battery: {protocol: daly-uart, interface: \"" + folder.file("battery") +
                "\", max_charge_w: 2500, max_discharge_w: 3000, capacity_wh: 5120, cells: 16}\n"
                "inverter: {protocol: byd-hvs, interface: can1}\nstate_directory: " +
                folder.file("state") + "\n");
        Program gateway{{"-f", config}};
        constexpr std::string_view question{"\xA5\x40\x90\x08", 4};
        std::string running;
        for (int i = 0; i < 40 && running.find(question) == std::string::npos; ++i)
            running += heard(battery, std::chrono::milliseconds{500});
        REQUIRE(running.find(question) != std::string::npos);
        REQUIRE_FALSE(heard(battery, std::chrono::milliseconds{2000}).empty());  // it goes on, although nobody answers
        gateway.signal(end);
        heard(battery, std::chrono::milliseconds{300});  // what was on its way
        CHECK(heard(battery, std::chrono::milliseconds{2000}).empty());
        if (end != SIGSTOP) continue;
        gateway.signal(SIGCONT);
        CHECK_FALSE(heard(battery, std::chrono::milliseconds{3000}).empty());
    }
}

// SAFE-212
TEST_CASE("the service unit: watched, started anew for ever, checked before, switched off after, and no more rights than needed")
{
    const auto lines = unit_lines();
    for (const char* line : {"Type=notify", "WatchdogSec=5", "Restart=always", "RestartSec=1", "StartLimitIntervalSec=0",
             "ExecStartPre=/bin/sh -c '/usr/bin/batgw -n -f /etc/batgw.yaml >/dev/null'",
             "ExecStopPost=-/usr/bin/batgw outputs-off -f /etc/batgw.yaml", "ExecStart=/usr/bin/batgw -f /etc/batgw.yaml",
             "TimeoutStopSec=45", "User=batgw", "Group=batgw", "StateDirectory=batgw", "NoNewPrivileges=yes",
             "AmbientCapabilities=CAP_NET_ADMIN", "CapabilityBoundingSet=CAP_NET_ADMIN"}) {
        CAPTURE(line);
        CHECK(lines.contains(line));
    }
    int oom = 0;
    for (const std::string& line : lines)
        if (line.starts_with("OOMScoreAdjust=")) oom = std::stoi(line.substr(15));
    CHECK(oom < 0);
    CHECK(oom > -1000);  // can still be ended when it is the one that eats the memory
}

// SAFE-218, SAFE-212
TEST_CASE(
    "the service unit: a call that is not allowed fails instead of ending the gateway, and real time is allowed on request only")
{
    const auto lines = unit_lines();
    for (const char* line : {"RestrictRealtime=yes", "SystemCallFilter=~@privileged @resources", "SystemCallErrorNumber=EPERM"}) {
        CAPTURE(line);
        CHECK(lines.contains(line));
    }
    const auto allowed = lines_of("etc/realtime.conf");
    for (const char* line : {"[Service]", "LimitRTPRIO=10", "LimitMEMLOCK=infinity", "RestrictRealtime=no",
             "SystemCallFilter=sched_setscheduler setrlimit"}) {
        CAPTURE(line);
        CHECK(allowed.contains(line));
    }
}
