// The control socket: what it answers, who may use it, and clients that do not behave.
#include "batgw/control.hpp"

#include "tests/batgw/program.hpp"

#include <doctest/doctest.h>

#include <array>
#include <atomic>
#include <chrono>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

using namespace batgw;
using batgw::test::Folder;
using batgw::test::Program;
using namespace std::chrono_literals;

namespace {

int connected(const std::string& path)
{
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un to{};
    to.sun_family = AF_UNIX;
    path.copy(to.sun_path, sizeof to.sun_path - 1);
    REQUIRE(::connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0);
    return fd;
}
std::string all_of(int fd)
{
    std::string all;
    std::array<char, 4096> part{};
    for (ssize_t n = 0; (n = ::recv(fd, part.data(), part.size(), 0)) > 0;) all.append(part.data(), static_cast<std::size_t>(n));
    return all;
}

// A socket in a thread of its own, and a gateway that answers every reset the same way.
struct Server {
    explicit Server(std::string path_, bool answers_ = true) : path{std::move(path_)}, answers{answers_}
    {
        std::promise<void> there;
        thread = std::thread{[this, &there] {
            Control control{base.get(), path,
                {.submit = [this](const Command& c) { return submit(c); },
                    .status = [this] { return status; },
                    .status_json = [] { return std::string{"{}"}; },
                    .log = [this](LogLevel, std::string_view text) { log = text; }}};
            it = &control;
            listening = control.listening();
            there.set_value();
            while (!stop) {
                const timeval soon{0, 5000};
                event_base_loopexit(base.get(), &soon);
                event_base_loop(base.get(), EVLOOP_NO_EXIT_ON_EMPTY);
                while (!results.empty()) {
                    CHECK(control.on_result(results.back()));
                    results.pop_back();
                }
            }
        }};
        there.get_future().wait();
    }
    ~Server()
    {
        stop = true;
        thread.join();
    }
    bool submit(const Command& c)
    {
        if (!room) return false;
        got.push_back(c);
        CommandResult r;
        r.kind = c.kind;
        r.ticket = c.ticket;
        r.code = c.fault == "CELL_HIGH_CRIT" ? CommandCode::ok : CommandCode::cause_present;
        r.text.assign(c.fault == "CELL_HIGH_CRIT" ? "reset: CELL_HIGH_CRIT" : "its cause is still there");
        if (answers) results.push_back(r);
        return true;
    }
    std::string path, status = "state RUN\n", log;
    bool answers;
    std::atomic<bool> room{true}, stop{false};
    bool listening = false;
    EventBase base{event_base_new()};
    Control* it = nullptr;
    std::vector<Command> got;
    std::vector<CommandResult> results;
    std::thread thread;
};

}  // namespace

TEST_CASE("status and reset are answered; a refusal says which and why")
{
    // SAFE-045
    const Folder folder;
    Server server{folder.file("control")};
    REQUIRE(server.listening);
    ControlAnswer a = ask_control(server.path, "status");
    CHECK(a.ok);
    CHECK(a.text == "state RUN\n");
    a = ask_control(server.path, "reset\tCELL_HIGH_CRIT\tcell exchanged");
    CHECK(a.ok);
    CHECK(a.text == "reset: CELL_HIGH_CRIT\n");
    REQUIRE(server.got.size() == 1);
    CHECK(server.got[0].kind == CommandKind::reset);
    CHECK(server.got[0].fault == "CELL_HIGH_CRIT");
    CHECK(server.got[0].reason == "cell exchanged");
    CHECK(server.got[0].source == CommandSource::local);
    a = ask_control(server.path, "reset\tBMS_FAULT:AFE short");
    CHECK_FALSE(a.ok);
    CHECK(a.text == "its cause is still there\n");
    CHECK(server.got[1].reason.empty());
    server.room = false;
    CHECK_FALSE(ask_control(server.path, "reset\tCELL_HIGH_CRIT").ok);
}

TEST_CASE("only owner and group may open the socket, from its first moment on, and its file ends with it")
{
    const Folder folder;
    struct stat about {};
    {
        const Server server{folder.file("control")};
        REQUIRE(::stat(server.path.c_str(), &about) == 0);
        CHECK((about.st_mode & 0777) == 0660);
    }
    CHECK(::stat(folder.file("control").c_str(), &about) != 0);
}

TEST_CASE("garbage is answered with an error and reaches nobody")
{
    const Folder folder;
    Server server{folder.file("control")};
    const auto garbage = {std::string{}, std::string{"statu"}, std::string{"STATUS"}, std::string{"reset"},
        std::string{"reset\t"}, std::string{"reset\t\treason"}, std::string{"reset\tA\x01"}, std::string{"reset\tA\tb\xFF"},
        std::string{"reset\t"} + std::string(65, 'A'), std::string(512, 'x'), std::string(100'000, 'x'),
        std::string("\0\0\0\0", 4), std::string{"GET / HTTP/1.1\r"}};
    for (const std::string& request : garbage) {
        const int fd = connected(server.path);
        const std::string line = request + "\n";
        [[maybe_unused]] const auto n = ::send(fd, line.data(), line.size(), MSG_NOSIGNAL);
        const std::string answer = all_of(fd);
        // Who sends more than is read may find the connection reset before the answer.
        CHECK((answer.starts_with("error ") || request.size() > 512));
        ::close(fd);
    }
    CHECK(server.got.empty());
    CHECK(ask_control(server.path, "status").ok);
}

TEST_CASE("a flood of requests: status is always answered, of resets a hundred in ten seconds reach the gateway")
{
    // SAFE-193
    const Folder folder;
    Server server{folder.file("control")};
    int passed = 0, refused = 0;
    const auto began = std::chrono::steady_clock::now();
    for (int i = 0; i < 300; ++i) {
        const ControlAnswer a = ask_control(server.path, "reset\tCELL_HIGH_CRIT\tagain and again");
        passed += a.ok ? 1 : 0;
        refused += !a.ok && a.text == "more than 10 resets a second\n" ? 1 : 0;
        if (i % 10 == 0) CHECK(ask_control(server.path, "status").ok);
    }
    CHECK(passed >= 100);
    CHECK(passed <= 100 * (1 + (std::chrono::steady_clock::now() - began) / 10s));
    CHECK(passed + refused == 300);
}

TEST_CASE("clients that send nothing, trickle, never read or are too many hold up nobody and are put out")
{
    const Folder folder;
    Server server{folder.file("control")};
    std::vector<int> idle;
    for (std::size_t i = 0; i + 2 < Control::clients_max; ++i) idle.push_back(connected(server.path));
    const int trickles = connected(server.path);
    const auto began = std::chrono::steady_clock::now();
    CHECK(ask_control(server.path, "status").ok);
    idle.push_back(connected(server.path));
    std::this_thread::sleep_for(50ms);
    CHECK(ask_control(server.path, "status").text == "too many clients at once\n");
    CHECK(std::chrono::steady_clock::now() - began < 1s);
    // One byte now and then buys no time.
    for (bool open = true; open && std::chrono::steady_clock::now() - began < 10s; std::this_thread::sleep_for(100ms))
        open = ::send(trickles, "x", 1, MSG_NOSIGNAL) == 1;
    const auto lasted = std::chrono::steady_clock::now() - began;
    CHECK(lasted > 4s);
    CHECK(lasted < 8s);
    for (const int fd : idle) {
        CHECK(all_of(fd).empty());
        ::close(fd);
    }
    ::close(trickles);
    CHECK(ask_control(server.path, "status").ok);
}

TEST_CASE("a client that goes, or a gateway that never answers, leaves nothing behind")
{
    const Folder folder;
    Server server{folder.file("control"), false};
    const int gone = connected(server.path);
    REQUIRE(::send(gone, "reset\tA\tb\n", 10, MSG_NOSIGNAL) == 10);
    ::close(gone);
    const ControlAnswer a = ask_control(server.path, "reset\tB\tc");
    CHECK_FALSE(a.ok);
    CHECK(a.text == "the gateway does not answer\n");
    CHECK(ask_control(server.path, "status").ok);
}

TEST_CASE("a socket left behind is replaced; another gateway, and what is no socket, are left alone")
{
    const Folder folder;
    const std::string path = folder.file("control");
    {
        const int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
        sockaddr_un to{};
        to.sun_family = AF_UNIX;
        path.copy(to.sun_path, sizeof to.sun_path - 1);
        REQUIRE(::bind(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0);
        ::close(fd);
    }
    Server server{path};
    CHECK(server.listening);
    {
        const Server second{path};
        CHECK_FALSE(second.listening);
        CHECK(second.log.find("Address already in use") != std::string::npos);
    }
    CHECK(ask_control(path, "status").ok);
    folder.write("file", "mine");
    const Server third{folder.file("file")};
    CHECK_FALSE(third.listening);
    CHECK(folder.read("file") == "mine");
    const Server fourth{folder.file("no/such/folder")};
    CHECK_FALSE(fourth.listening);
    const Server fifth{"/" + std::string(200, 'x')};
    CHECK_FALSE(fifth.listening);
    CHECK_THROWS_AS(ask_control(folder.file("file"), "status"), std::runtime_error);
    CHECK_THROWS_AS(ask_control(folder.file("nothing"), "status"), std::runtime_error);
    CHECK_THROWS_AS(ask_control("/" + std::string(200, 'x'), "status"), std::runtime_error);
}

namespace {

std::string house(const Folder& folder)
{
    return "battery:\n  protocol: byd-atto3\n  interface: nocan0\n  cells: 126\n  capacity_wh: 60480\n"
           "inverter:\n  protocol: byd-hvs\n  interface: nocan1\n"
           "safety:\n  reset_absent_s: 10\n  process:\n    crash_loop: {count: 2}\n"
           "state_directory: " +
        folder.file("state") + "\ncontrol_socket: " + folder.file("control") + "\n";
}

struct Told {
    int status;
    std::string out, err;
};
Told told(const std::vector<std::string>& arguments)
{
    Program program{arguments};
    const int status = program.wait(10);
    return {status, program.out(), program.err()};
}

}  // namespace

TEST_CASE("the program: unclean ends, RESTART_LOOP that outlasts a restart, status, and a reset that a person asks for")
{
    // SAFE-045, SAFE-046, SAFE-215, SAFE-216
    const Folder folder;
    std::filesystem::create_directory(folder.file("state"));
    const std::string file = folder.write("a.yaml", house(folder));
    for (int i = 0; i < 3; ++i) {
        Program program{{"-f", file}};
        REQUIRE(program.says("started"));
        std::this_thread::sleep_for(300ms);
        CHECK((program.err().find("UNCLEAN_START") != std::string::npos) == (i > 0));
        CHECK(program.err().find("RESTART_LOOP") == std::string::npos);
        program.signal(SIGKILL);
        REQUIRE(program.wait(5) == 128 + SIGKILL);
    }
    {
        Program looping{{"-f", file}};
        REQUIRE(looping.says("TRIP RESTART_LOOP"));
        std::this_thread::sleep_for(300ms);
        looping.signal(SIGTERM);
        REQUIRE(looping.wait(25) == 0);
    }
    Program program{{"-f", file}};
    REQUIRE(program.says("latched by an earlier run: RESTART_LOOP"));
    CHECK(program.err().find("UNCLEAN_START") == std::string::npos);
    std::this_thread::sleep_for(300ms);
    Told t = told({"status", "-f", file});
    CHECK(t.status == 0);
    CHECK(t.out.find("state       TRIP") != std::string::npos);
    CHECK(t.out.find("RESTART_LOOP") != std::string::npos);
    CHECK(t.out.find("may not be reset yet") != std::string::npos);
    t = told({"reset", "RESTART_LOOP", "--socket", folder.file("control")});
    CHECK(t.status == 1);
    CHECK(t.err.find("needed are 10 s") != std::string::npos);
    CHECK(told({"reset", "CELL_DEEP", "why not", "-f", file}).status == 1);
    std::this_thread::sleep_for(10s);
    t = told({"reset", "all", "looked at it", "-f", file});
    CHECK(t.status == 0);
    CHECK(t.out == "reset: RESTART_LOOP\n");
    std::this_thread::sleep_for(300ms);
    CHECK(told({"status", "-f", file}).out.find("RESTART_LOOP") == std::string::npos);
    CHECK(program.says("reset: RESTART_LOOP"));
    program.signal(SIGKILL);
    program.wait(5);
    Program after{{"-f", file}};
    REQUIRE(after.says("UNCLEAN_START"));
    std::this_thread::sleep_for(300ms);
    CHECK(after.err().find("RESTART_LOOP") == std::string::npos);  // the count began anew
    t = told({"status", "--socket", folder.file("nothing")});
    CHECK(t.status == 1);
    CHECK(t.err.find("no gateway can be asked") != std::string::npos);
}

TEST_CASE("the program: a damaged record of latches is a TRIP that is told, kept and can be reset")
{
    // SAFE-044
    const Folder folder;
    std::filesystem::create_directory(folder.file("state"));
    const std::string file = folder.write("a.yaml", house(folder));
    folder.write("state/latches", "batgw latches 1 3 00000000\n[]\n");
    {
        Program program{{"-f", file}};
        CHECK(program.says("state/latches is damaged"));
        CHECK(program.says("TRIP LATCH_STORE"));
        CHECK(program.runs());
        std::this_thread::sleep_for(300ms);
        program.signal(SIGKILL);
        program.wait(5);
    }
    CHECK(folder.read("state/latches.damaged") == "batgw latches 1 3 00000000\n[]\n");
    Program again{{"-f", file}};
    CHECK(again.says("latched by an earlier run: LATCH_STORE"));
}
