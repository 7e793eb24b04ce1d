// What the service manager is told, as sd_notify(3) documents it.
#include "tests/batgw/live_house.hpp"

#include <doctest/doctest.h>

using namespace batgw;
using namespace batgw::test;

namespace {

void says_all(NotifySocket& manager)
{
    ServiceManager service;
    CHECK(service.ready("running"));
    service.reloading();
    service.status("words");
    service.feed_watchdog();
    service.stopping();
    const auto said = manager.read();
    REQUIRE(said.size() == 5);
    CHECK(said[0] == "READY=1\nSTATUS=running\n");
    CHECK(said[1].starts_with("RELOADING=1\nMONOTONIC_USEC="));
    const auto at = std::stoll(said[1].substr(said[1].find("USEC=") + 5));
    CHECK(std::abs(at - monotonic_now().time_since_epoch().count()) < 5'000'000);
    CHECK(said[2] == "STATUS=words\n");
    CHECK(said[3] == "WATCHDOG=1\n");
    CHECK(said[4] == "STOPPING=1\n");
}

}  // namespace

TEST_CASE("the service manager is told by datagrams to a path")
{
    NotifySocket manager;
    says_all(manager);
}

TEST_CASE("the service manager is told by datagrams to an abstract name")
{
    NotifySocket manager{true};
    CHECK(manager.path().starts_with("@"));
    says_all(manager);
}

TEST_CASE("a service manager that does not read never holds us up")
{
    NotifySocket manager;
    ServiceManager service;
    const Instant begin = monotonic_now();
    bool taken = true;
    for (int i = 0; i < 10'000; ++i) {
        service.feed_watchdog();
        taken = service.ready("again") && taken;
    }
    CHECK(monotonic_now() - begin < 2s);
    CHECK_FALSE(taken);
    CHECK_FALSE(manager.read().empty());
    CHECK(service.ready("read again"));
    CHECK(manager.count("read again") == 1);
}

TEST_CASE("without a service manager, or with one that is not there, nothing is said and nothing fails")
{
    ::unsetenv("NOTIFY_SOCKET");
    ServiceManager nobody;
    CHECK(nobody.ready("running"));
    for (const std::string name : {"", "/", "relative", "/no/such/directory/notify", "@nobody-listens-here"}) {
        ::setenv("NOTIFY_SOCKET", name.c_str(), 1);
        ServiceManager service;
        CHECK(service.ready("running"));
        service.feed_watchdog();
    }
    ::setenv("NOTIFY_SOCKET", ("/" + std::string(500, 'x')).c_str(), 1);
    CHECK(ServiceManager{}.ready("running"));
    ::unsetenv("NOTIFY_SOCKET");
}

TEST_CASE("the watchdog's time is read when it is meant for this process")
{
    NotifySocket manager;
    const auto time = [](const char* usec, const char* pid) {
        if (usec) ::setenv("WATCHDOG_USEC", usec, 1);
        if (pid) ::setenv("WATCHDOG_PID", pid, 1);
        const auto t = ServiceManager{}.watchdog();
        ::unsetenv("WATCHDOG_USEC");
        ::unsetenv("WATCHDOG_PID");
        return t;
    };
    const std::string own = std::to_string(::getpid());
    CHECK(time("5000000", nullptr) == 5s);
    CHECK(time("5000000", own.c_str()) == 5s);
    CHECK_FALSE(time("5000000", "1"));
    CHECK_FALSE(time("0", nullptr));
    CHECK_FALSE(time("five", nullptr));
    CHECK_FALSE(time(nullptr, nullptr));
}
