// The whole gateway, both threads, with everything that a broker can do to it, while the rhythm of its frames is measured.
// What cannot be had on loopback: a resolver that hangs. A name that does not resolve stands in; that resolving runs on a thread
// of its own is tested in tests/mqtt.
#include "tests/batgw/live_house.hpp"
#include "tests/mqtt/broker.hpp"
#include "tests/support/sanitized.hpp"

#include <doctest/doctest.h>

#include <cstdio>

using namespace batgw;
using namespace batgw::test;

namespace {

// SAFE-192 is about the program as it is installed; instrumented it is several times slower.
constexpr auto fast_off = sanitized ? 1000ms : 100ms;

std::string at_port(std::uint16_t port, const std::string& host = "127.0.0.1")
{
    return "mqtt: {host: \"" + host + "\", port: " + std::to_string(port) + ", reconnect_s: 2}\n";
}

bool no_discharge(const CanFrame& f) { return discharge_limit(f) == 0; }
bool some_discharge(const CanFrame& f) { return discharge_limit(f) > 0; }

struct Chaos {
    Directory kept;
    Broker broker{"allow_anonymous true\npersistence true\npersistence_location " + kept.file("") + "\n"};
    std::unique_ptr<Watcher> watcher;
    std::unique_ptr<LiveHouse> house;

    Chaos()
    {
        broker.wait();
        watcher = std::make_unique<Watcher>(broker.port());
        LiveHouse::Options options;
        options.extra = at_port(broker.port());
        options.outside = true;
        house = std::make_unique<LiveHouse>(options);
        house->reach_run();
        REQUIRE(online(10s));
    }
    bool online(Duration patience)
    {
        return poll_until([&] { return watcher->last("LWT") == "Online"; }, patience);
    }
    // A new watcher: the old one's connection went with the broker.
    void watch_again()
    {
        broker.wait();
        watcher = std::make_unique<Watcher>(broker.port());
    }
    bool poll_until(const std::function<bool()>& done, Duration patience, const std::function<void()>& each = {})
    {
        for (const Instant end = monotonic_now() + patience; monotonic_now() < end; std::this_thread::sleep_for(2ms)) {
            if (done()) return true;
            watcher->poll();
            if (each) each();
        }
        return false;
    }
    bool warned()
    {
        const Snapshot s = house->look();
        return std::any_of(s.verdict.faults.begin(), s.verdict.faults.end(),
            [](const ActiveFault& f) { return f.id == FaultId::retained_command; });
    }
    // Something happens for a time; the frames do not care.
    void during(const std::string& what, const std::function<void()>& happens)
    {
        const Instant begin = monotonic_now();
        happens();
        steady(what, begin);
    }
    void steady(const std::string& what, Instant begin)
    {
        CAPTURE(what);
        const Gaps fast = house->gaps(Side::battery, 0x12d, begin);
        // 0x110 is due every 2 s: the interval that began before counts as well.
        const Gaps slow = house->gaps(Side::inverter, 0x110, begin - 2500ms);
        std::printf("%-46s 0x12D p50 %6.2f p99 %6.2f max %6.2f ms (%zu), 0x110 max %.0f ms\n", what.c_str(), fast.p50, fast.p99,
            fast.max, fast.count, slow.max);
        CHECK(fast.count > 10);
        CHECK(fast.p50 > 49);
        CHECK(fast.p50 < 51);
        CHECK(fast.max < 500);  // a blocking call lasts seconds; a hiccup of the scheduler is not what this looks for
        CHECK(slow.max < 2600);
        CHECK(house->look().verdict.state == GatewayState::run);
    }
    // With a broker of plain sockets for a time.
    void with(const std::string& what, FakeBroker& fake, const std::function<void()>& each = {})
    {
        during(what, [&] {
            house->reload(at_port(fake.port()));
            REQUIRE(poll_until([&] { return fake.connections > 0; }, 5s, [&] { fake.poll(); }));
            poll_until([] { return false; }, 2s,
                [&] {
                    fake.poll();
                    if (each) each();
                });
        });
    }
};

}  // namespace

// SAFE-190, MQTT-060, SAFE-005
TEST_CASE("a broker that is killed, restarted, frozen, half-open, slow, rude or not to be found moves no frame")
{
    Chaos c;
    c.during("killed and restarted", [&] {
        c.broker.signal(SIGKILL);
        std::this_thread::sleep_for(1500ms);
        c.broker.start();
        c.watch_again();
        CHECK(c.online(10s));
    });
    c.during("frozen", [&] {
        c.broker.signal(SIGSTOP);
        std::this_thread::sleep_for(3s);
        c.broker.signal(SIGCONT);
        CHECK(c.poll_until([&, n = c.watcher->count("STATE")] { return c.watcher->count("STATE") > n; }, 10s));
    });
    {
        FakeBroker fake;
        c.with("accepts and never answers", fake);
    }
    {
        FakeBroker fake;
        fake.on_connection = [&] { fake.hang_up(); };
        c.with("closes before CONNACK", fake);
    }
    {
        FakeBroker fake;
        fake.on_connection = [&] { fake.reset(); };
        c.with("resets", fake);
    }
    {
        FakeBroker fake;
        fake.on_packet = [&](const FakeBroker::Packet& p) {
            if (p.type == 1) fake.accept_login(5);
        };
        c.with("refuses the login", fake);
    }
    {
        FakeBroker fake;
        std::size_t said = 0;
        Instant next = monotonic_now();
        fake.on_connection = [&] { said = 0; };
        c.with("one byte a second", fake, [&] {
            if (monotonic_now() < next) return;
            next = monotonic_now() + 1s;
            said += fake.send_some(std::string_view{"\x20\x02\x00\x00", 4}.substr(said % 4, 1));
        });
    }
    {
        FakeBroker fake;
        fake.on_packet = [&](const FakeBroker::Packet& p) {
            fake.polite(p);
            if (p.type == 8) fake.reads = false;
        };
        c.with("stops reading", fake);
    }
    {
        FakeBroker fake;
        const std::string junk = std::string{"\x30\xff\xff\xff\x7f"} + std::string(100'000, 'x');
        fake.on_packet = [&](const FakeBroker::Packet& p) { fake.polite(p); };
        c.with("sends packets of 256 MB", fake, [&] { fake.send_some(junk); });
    }
    c.during("name that does not resolve", [&] {
        c.house->reload(at_port(1883, "no-such-broker.invalid"));
        std::this_thread::sleep_for(2s);
    });
    c.during("the real one again", [&] {
        c.house->reload(at_port(c.broker.port()));
        c.watcher->heard.clear();
        CHECK(c.online(10s));
        std::this_thread::sleep_for(1s);
    });

    // Goodbye to a broker that does not listen: bounded.
    c.broker.signal(SIGSTOP);
    const Instant begin = monotonic_now();
    c.house->stop_outside();
    CHECK(monotonic_now() - begin < 5s);
    c.broker.signal(SIGCONT);
}

// SAFE-192, SAFE-193, SAFE-194, SAFE-190
TEST_CASE("OFF acts within 100 ms, also amid 1,000 commands a second; retained and empty commands change nothing and are shown")
{
    Chaos c;
    LiveHouse& house = *c.house;
    const auto off = [&](const char* what, bool retain) {
        const Instant begin = monotonic_now();
        mosquitto_publish(c.watcher->client(), nullptr, "battery-gateway/cmnd/discharge", 3, "off", 0, retain);
        c.watcher->poll();
        const auto at = house.wait_sent(Side::inverter, 0x110, begin, no_discharge, 2s);
        REQUIRE(at);
        std::printf("%-46s %.1f ms to the inverter\n", what, static_cast<double>((*at - begin).count()) / 1000);
        CHECK(*at - begin <= fast_off);
    };
    const auto on = [&] {
        const Instant begin = monotonic_now();
        Instant again = begin;
        CHECK(c.poll_until(
            [&] {
                return !house.sent(Side::inverter, 0x110, begin).empty() &&
                    some_discharge(house.sent(Side::inverter, 0x110, begin).back().frame);
            },
            20s,
            [&] {
                if (monotonic_now() < again) return;  // ON has to wait for the rate like any other
                again = monotonic_now() + 1s;
                c.watcher->command("discharge", "on");
            }));
    };

    off("OFF in silence", true);
    on();
    // The broker kept that OFF and gives it to whoever subscribes anew.
    c.broker.signal(SIGTERM);
    c.broker.start();
    c.watch_again();
    CHECK(c.poll_until([&] { return c.warned(); }, 10s));
    CHECK(c.poll_until([&] { return c.watcher->has("RESULT", "\"retained\""); }, 5s));
    CHECK(house.look().operator_.discharge);
    c.steady("a retained OFF", monotonic_now() - 1s);
    // Somebody takes it away; to us that is a command with an empty payload.
    c.watcher->command("discharge", "", true);
    CHECK(c.poll_until([&] { return c.watcher->has("RESULT", "\"bad_payload\""); }, 5s));
    CHECK(c.poll_until([&] { return !c.warned(); }, 5s));
    CHECK(house.look().operator_.discharge);

    const Instant begin = monotonic_now();
    bool asked = false;
    for (unsigned i = 0; monotonic_now() - begin < 4s; ++i) {
        mosquitto_publish(c.watcher->client(), nullptr, "battery-gateway/cmnd/ping", 1, "x", 0, false);
        mosquitto_loop(c.watcher->client(), 0, 1);
        if (!asked && monotonic_now() - begin > 2s) {
            asked = true;
            off("OFF amid 1,000 commands a second", false);
        }
        const Instant next = begin + (i + 1) * 1ms;
        if (next > monotonic_now()) std::this_thread::sleep_for(next - monotonic_now());
    }
    CHECK(asked);
    const Gaps gaps = house.gaps(Side::battery, 0x12d, begin);
    std::printf("%-46s 0x12D p50 %6.2f p99 %6.2f max %6.2f ms\n", "flood", gaps.p50, gaps.p99, gaps.max);
    CHECK(gaps.max < 500);
    CHECK_FALSE(house.look().operator_.discharge);
    CHECK(c.poll_until([&] { return c.watcher->has("RESULT", "\"rate_limited\""); }, 5s));
    on();
    CHECK(house.look().verdict.state == GatewayState::run);
}
