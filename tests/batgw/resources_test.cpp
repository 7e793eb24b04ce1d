// What the program takes of its machine, and what becomes of it when there is not enough.
#include "batgw/control.hpp"
#include "batgw/realtime.hpp"
#include "tests/batgw/program.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include <sys/resource.h>
#include <unistd.h>

using namespace batgw;
using namespace batgw::test;

namespace {

std::string word_of(const std::filesystem::path& file, std::size_t number)
{
    std::ifstream in{file};
    std::string text{std::istreambuf_iterator<char>{in}, {}};
    std::istringstream words{text.substr(text.rfind(')') + 1)};  // the name before it may hold blanks
    std::string word;
    for (std::size_t i = 2; i < number; ++i) words >> word;
    return word;
}

std::string status_of(const std::string& pid, const std::string& field)
{
    std::ifstream in{"/proc/" + pid + "/status"};
    for (std::string line; std::getline(in, line);)
        if (line.starts_with(field + ":")) return line.substr(line.find_first_not_of(" \t", field.size() + 1));
    return {};
}

// Scheduling policy of every thread of the program, as in proc(5): 0 ordinary, 1 first in first out; and the priority.
struct ThreadKind {
    std::string policy, priority;
};
std::map<std::string, ThreadKind> threads_of(const std::string& pid)
{
    std::map<std::string, ThreadKind> all;
    for (const auto& t : std::filesystem::directory_iterator{"/proc/" + pid + "/task"})
        all[t.path().filename()] = {.policy = word_of(t.path() / "stat", 41), .priority = word_of(t.path() / "stat", 40)};
    return all;
}

double processor_seconds(const std::string& pid)
{
    const std::filesystem::path stat{"/proc/" + pid + "/stat"};
    return (std::stod(word_of(stat, 14)) + std::stod(word_of(stat, 15))) / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

std::size_t open_files(const std::string& pid)
{
    std::size_t most = 0;
    for (const auto& f : std::filesystem::directory_iterator{"/proc/" + pid + "/fd"})
        most = std::max<std::size_t>(most, std::stoul(f.path().filename()));
    return most + 1;
}

std::string house_file(const Folder& folder, const std::string& more)
{
    return folder.write("batgw.yaml",
        "battery: {protocol: byd-atto3, interface: can0, cells: 126, capacity_wh: 60480}\n"
        "inverter: {protocol: byd-hvs, interface: can1}\nmqtt: {host: 127.0.0.1, port: 1}\nstate_directory: " +
            folder.file("state") + "\ncontrol_socket: " + folder.file("control") + "\n" + more);
}

}  // namespace

TEST_CASE("resources: without file handles the control socket and the broker wait, the gateway goes on and does not spin")
{
    // SAFE-218
    const Folder folder;
    Program gateway{{"-f", house_file(folder, "")}};
    REQUIRE(gateway.says("mqtt: 127.0.0.1:1"));
    CHECK(ask_control(folder.file("control"), "status").ok);
    const std::string pid = std::to_string(gateway.pid());
    rlimit before{};
    REQUIRE(::prlimit(gateway.pid(), RLIMIT_NOFILE, nullptr, &before) == 0);
    rlimit none = before;
    none.rlim_cur = open_files(pid);
    REQUIRE(::prlimit(gateway.pid(), RLIMIT_NOFILE, &none, nullptr) == 0);

    std::thread knocking{[&] { CHECK(ask_control(folder.file("control"), "status").ok); }};  // it has ten seconds
    const double used = processor_seconds(pid);
    std::this_thread::sleep_for(std::chrono::seconds{4});
    CHECK(gateway.runs());
    CHECK(processor_seconds(pid) - used < 1);
    REQUIRE(::prlimit(gateway.pid(), RLIMIT_NOFILE, &before, nullptr) == 0);
    knocking.join();
    gateway.signal(SIGTERM);
    CHECK(gateway.wait(30) == 0);
}

TEST_CASE("real time: what is refused is named with what allows it, and the rest is taken")
{
    // SAFE-218
    std::vector<std::string> called;
    const auto calls = [&](int memory, int limit, int priority) {
        called.clear();
        const auto say = [&](const char* what, int result) {
            return [&called, what, result] {
                called.emplace_back(what);
                return result;
            };
        };
        return RealtimeCalls{say("memory", memory), say("limit", limit), say("priority", priority)};
    };
    using Names = std::vector<std::string>;
    CHECK(become_realtime(calls(0, 0, 0)).empty());
    CHECK(called == Names{"memory", "limit", "priority"});
    CHECK(become_realtime(calls(EPERM, 0, EPERM)) ==
        "memory is not locked (Operation not permitted; LimitMEMLOCK=infinity), "
        "no real-time priority (Operation not permitted; LimitRTPRIO=10, RestrictRealtime=no)");
    CHECK(called == Names{"memory", "limit", "priority"});
    // Never a priority without a limit of the time it may be used.
    CHECK(become_realtime(calls(0, EPERM, 0)) ==
        "no real-time priority without a limit of its time (Operation not permitted; SystemCallFilter=setrlimit)");
    CHECK(called == Names{"memory", "limit"});
    static_assert(realtime_priority <= 20);
}

TEST_CASE("real time: one thread of the program at most, whatever the machine allows, and the log tells which it is")
{
    // SAFE-218
    for (const bool wanted : {false, true}) {
        CAPTURE(wanted);
        const Folder folder;
        Program gateway{{"-f", house_file(folder, wanted ? "safety: {process: {realtime: true}}\n" : "")}};
        REQUIRE(gateway.says("mqtt: 127.0.0.1:1"));  // the second thread is at work
        const std::string pid = std::to_string(gateway.pid()), said = gateway.err();
        const bool granted = said.find("no real-time priority") == std::string::npos;
        const bool locked = said.find("memory is not locked") == std::string::npos;
        CHECK((said.find("real time") != std::string::npos) == wanted);

        auto threads = threads_of(pid);
        REQUIRE(threads.size() >= 2);
        const ThreadKind bridge = threads[pid];  // the first thread has the number of the process
        CHECK(bridge.policy == (wanted && granted ? "1" : "0"));
        CHECK(bridge.priority == (wanted && granted ? "10" : "0"));
        threads.erase(pid);
        for (const auto& [number, thread] : threads) CHECK(thread.policy == "0");
        CHECK((status_of(pid, "VmLck") != "0 kB") == (wanted && locked));
        // Locked or not, only what is used takes memory.
        CHECK(std::stoul(status_of(pid, "VmRSS")) < 64 * 1024);
        gateway.signal(SIGTERM);
        CHECK(gateway.wait(30) == 0);
    }
}
