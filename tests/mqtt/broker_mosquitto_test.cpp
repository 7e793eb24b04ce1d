// The client against a real mosquitto.
#include "tests/mqtt/broker.hpp"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <map>
#include <set>
#include <string>

#include <mqtt_protocol.h>

using namespace batgw;
using namespace batgw::test;
using namespace std::chrono_literals;
using nlohmann::json;

namespace {

// Broker configuration with two users.
std::string login_required(const Directory& d)
{
    const std::string file = d.file("passwd");
    REQUIRE(run_program({"mosquitto_passwd", "-c", "-b", file, "gate", "right"}) == 0);
    REQUIRE(run_program({"mosquitto_passwd", "-b", file, "eye", "see"}) == 0);
    return "allow_anonymous false\npassword_file " + file + "\n";
}

std::string code_of(const Watcher& w) { return json::parse(w.last("RESULT"))["code"]; }

}  // namespace

// MQTT-010, MQTT-020, MQTT-011
TEST_CASE("a consumer sees every topic, and what is retained it sees later, too")
{
    Broker broker;
    broker.wait();
    OutsideLoop loop;
    Watcher watcher{broker.port()};
    Gateway gateway{loop, plain_config(broker.port())};
    REQUIRE(gateway.until([&] { return watcher.count("inverter/availability") == 1; }, 10s, &watcher));
    std::set<std::string> topics;
    for (const auto& h : watcher.heard) topics.insert(h.topic.substr(16));
    CHECK(topics ==
        std::set<std::string>{"LWT", "STATUS", "STATE", "ALARMS", "battery/CELLS", "battery/availability",
            "inverter/availability", "battery/voltage", "battery/soc/percent", "battery/pid/current", "battery/cell-max/voltage",
            "battery/pack0/temperature", "battery/pack1/temperature", "battery/cell0/voltage", "battery/cell1/voltage",
            "battery/cell2/voltage", "battery/cell3/voltage", "inverter/recv/voltage", "inverter/send/current"});
    Watcher late{broker.port()};
    REQUIRE(loop.until(
        [&] {
            late.poll();
            return late.heard.size() >= 5;
        },
        5s));
    std::set<std::string> retained;
    for (const auto& h : late.heard)
        if (h.retained) retained.insert(h.topic.substr(16));
    CHECK(retained == std::set<std::string>{"LWT", "STATE", "ALARMS", "battery/availability", "inverter/availability"});
    CHECK(late.last("LWT") == "Online");
    CHECK(gateway.stop(&watcher));
    CHECK(gateway.until([&] { return watcher.last("LWT") == "Offline"; }, 5s, &watcher));
    Watcher after{broker.port()};
    REQUIRE(loop.until(
        [&] {
            after.poll();
            return after.count("LWT") == 1;
        },
        5s));
    CHECK(after.last("LWT") == "Offline");
}

// MQTT-010
TEST_CASE("a gateway that is killed is reported Offline by the broker")
{
    Broker broker;
    broker.wait();
    Watcher watcher{broker.port()};
    OutsideLoop loop;
    const pid_t child = ::fork();
    if (child == 0) {
        OutsideLoop own;
        Gateway gateway{own, plain_config(broker.port())};
        gateway.until([] { return false; }, 30s);
        ::_exit(0);
    }
    CHECK(loop.until(
        [&] {
            watcher.poll();
            return watcher.last("LWT") == "Online";
        },
        10s));
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    CHECK(loop.until(
        [&] {
            watcher.poll();
            return watcher.last("LWT") == "Offline";
        },
        10s));
}

// MQTT-070, MQTT-061
TEST_CASE("user and password reach the broker; wrong ones are tried again with one warning, and right ones out of a file later")
{
    const Directory users;
    Broker broker{login_required(users)};
    broker.wait();
    Watcher watcher{broker.port(), "eye", "see"};
    OutsideLoop loop;
    MqttConfig config = plain_config(broker.port());
    {
        Gateway nobody{loop, config};
        CHECK(nobody.until([&] { return nobody.client->counters().failures >= 1; }));
        CHECK(nobody.logged("refused by the broker"));
    }
    config.username = "gate";
    config.password = "right";
    {
        Gateway gateway{loop, config};
        CHECK(gateway.connect(&watcher));
        CHECK(gateway.until([&] { return watcher.last("LWT") == "Online"; }, 5s, &watcher));
    }
    Directory secrets;
    config.password.clear();
    config.password_file = secrets.file("password");
    Gateway gateway{loop, config};
    CHECK(gateway.until([&] { return gateway.logged("cannot be read"); }));
    secrets.write("password", "wrong\n");
    CHECK(gateway.until([&] { return gateway.logged("refused by the broker"); }));
    CHECK(gateway.until([&] { return gateway.client->counters().failures >= 3; }));
    CHECK(std::count_if(gateway.warnings.begin(), gateway.warnings.end(),
              [](const auto& w) { return w.find("refused") != std::string::npos; }) == 1);
    secrets.write("password", "right\n");
    CHECK(gateway.connect());
    for (const auto& line : gateway.log) {
        CHECK(line.find("wrong") == std::string::npos);
        CHECK(line.find("right") == std::string::npos);
    }
}

TEST_CASE("the access list of the documentation lets the gateway do all it does, and not command itself")
{
    const Directory users;
    const std::string acl = users.write("acl",
        "user gate\ntopic write battery-gateway/+\ntopic write battery-gateway/battery/#\ntopic write "
        "battery-gateway/inverter/#\n"
        "topic read battery-gateway/cmnd/#\nuser eye\ntopic readwrite #\n");
    Broker broker{login_required(users) + "acl_file " + acl + "\n"};
    broker.wait();
    Watcher watcher{broker.port(), "eye", "see"};
    OutsideLoop loop;
    MqttConfig config = plain_config(broker.port());
    config.username = "gate";
    config.password = "right";
    Gateway gateway{loop, config};
    REQUIRE(gateway.until([&] { return watcher.count("inverter/availability") == 1; }, 10s, &watcher));
    watcher.command("charge", "off");
    REQUIRE(gateway.until([&] { return watcher.count("RESULT") == 1 && watcher.count("STATUS") == 2; }, 5s, &watcher));
    for (const char* topic : {"LWT", "STATE", "ALARMS", "battery/CELLS", "battery/availability", "battery/voltage",
             "battery/cell0/voltage", "inverter/send/current"})
        CHECK(watcher.count(topic) >= 1);
    Watcher thief{broker.port(), "gate", "right"};
    thief.command("charge", "on");
    gateway.until([] { return false; }, 300ms, &watcher);
    CHECK(gateway.submitted.size() == 1);
}

// MQTT-061, MQTT-062, SAFE-190
TEST_CASE("a broker that dies and comes back gets the whole state within 2 s of the reconnect, and the answer it was killed over")
{
    Broker broker;
    broker.wait();
    OutsideLoop loop;
    auto watcher = std::make_unique<Watcher>(broker.port());
    Gateway gateway{loop, plain_config(broker.port())};
    REQUIRE(gateway.connect(watcher.get()));
    gateway.answering = false;
    watcher->command("max-charge", "3000");
    REQUIRE(gateway.until([&] { return gateway.submitted.size() == 1; }, 5s, watcher.get()));
    broker.signal(SIGKILL);
    REQUIRE(gateway.until([&] { return !gateway.client->connected(); }));
    gateway.answering = true;
    gateway.until([] { return false; }, 300ms);
    broker.start();
    broker.wait();
    watcher = std::make_unique<Watcher>(broker.port());
    REQUIRE(gateway.until([&] { return gateway.client->connected(); }, 10s, watcher.get()));
    const auto back = Clock::now();
    REQUIRE(gateway.until(
        [&] { return watcher->count("inverter/availability") > 0 && watcher->count("RESULT") == 1; }, 5s, watcher.get()));
    CHECK(Clock::now() - back < 2s);
    CHECK(watcher->last("LWT") == "Online");
    CHECK(watcher->has("STATUS", R"("max-charge":3000)"));
    CHECK(json::parse(watcher->last("STATE"))["operator"]["max_charge_w"] == 3000);
    CHECK(gateway.longest_call < blocked);
    CHECK(loop.longest < blocked);
    CHECK(gateway.client->counters().connects == 2);
}

// MQTT-061, MQTT-062, SAFE-190
TEST_CASE("a frozen broker, and a half-open connection, are noticed by the keep-alive while nothing here waits")
{
    Broker frozen;
    frozen.wait();
    OutsideLoop loop;
    FakeBroker half_open;  // takes everything, says nothing any more
    half_open.on_packet = [&](const FakeBroker::Packet& p) {
        if (half_open.connections == 1 && p.type == 12) return;
        half_open.polite(p);
    };
    MqttConfig config = plain_config(frozen.port());
    config.keep_alive = 5s;
    Gateway gateway{loop, config};
    config.port = half_open.port();
    Gateway other{loop, config};
    const auto both = [&](const std::function<bool()>& done, std::chrono::milliseconds patience) {
        return loop.until(done, patience, [&] {
            gateway.bridge();
            other.bridge();
            half_open.poll();
        });
    };
    std::uint64_t n = 0;
    gateway.change = [&](Snapshot& s) { s.transitions = ++n; };
    REQUIRE(both([&] { return gateway.client->connected() && other.client->connected(); }, 10s));
    frozen.signal(SIGSTOP);
    half_open.on_packet = {};  // from now on it swallows
    CHECK(both([&] { return !gateway.client->connected() && !other.client->connected(); }, 20s));
    CHECK(gateway.logged("no sign of life"));
    CHECK(other.logged("no sign of life"));
    CHECK(gateway.client->counters().waiting == 0);  // values, STATE and the like do not wait for a reconnect
    CHECK(gateway.longest_call < blocked);
    CHECK(loop.longest < blocked);
    frozen.signal(SIGCONT);
    half_open.on_packet = [&](const FakeBroker::Packet& p) { half_open.polite(p); };
    CHECK(both([&] { return gateway.client->connected() && other.client->connected(); }, 20s));
    Watcher watcher{frozen.port()};
    CHECK(gateway.until([&] { return watcher.last("LWT") == "Online" && watcher.count("STATE") > 0; }, 5s, &watcher));
}

// MQTT-013, MQTT-051
TEST_CASE("commands are submitted, answered, and followed by STATUS")
{
    Broker broker;
    broker.wait();
    OutsideLoop loop;
    Watcher watcher{broker.port()};
    Gateway gateway{loop, plain_config(broker.port())};
    REQUIRE(gateway.until([&] { return watcher.count("inverter/availability") == 1; }, 10s, &watcher));
    const std::size_t before = watcher.count("STATUS");
    const std::vector<std::pair<std::string, std::string>> sent{{"charge", "off"}, {"discharge", "0"}, {"max-charge", " 5000 "},
        {"limits", R"({"charge_w":3000,"ttl_s":60,"id":"mine"})"}, {"pause", "on"}, {"ping", "are you there"},
        {"max-charge", "10001"}, {"charge", ""}, {"contactor", "open"}, {"teleperiod", "77"}};
    for (std::size_t i = 0; i < sent.size(); ++i) {
        watcher.command(sent[i].first, sent[i].second);
        REQUIRE(gateway.until([&] { return watcher.count("RESULT") == i + 1; }, 5s, &watcher));
    }
    REQUIRE(gateway.until([&] { return watcher.count("STATUS") >= before + sent.size(); }, 5s, &watcher));
    CHECK(watcher.count("STATUS") == before + sent.size());
    CHECK(gateway.submitted.size() == 6);
    CHECK(watcher.has("RESULT", R"("id":"mine","command":"limits","ok":true)"));
    CHECK(watcher.has("RESULT", R"("text":"are you there")"));
    CHECK(watcher.has("STATUS", R"({"charge":"OFF","discharge":"OFF","max-charge":5000,"max-discharge":10000})"));
    // Everything at once, on request.
    const std::size_t values = watcher.count("battery/cell0/voltage"), status = watcher.count("STATUS");
    watcher.command("teleperiod", "");
    REQUIRE(gateway.until([&] { return watcher.count("battery/cell0/voltage") == values + 1; }, 5s, &watcher));
    gateway.until([] { return false; }, 200ms, &watcher);
    CHECK(watcher.count("STATUS") == status + 1);
}

// SAFE-194, MQTT-015
TEST_CASE("a retained command is refused at each connect, changes nothing, and is reported until it is removed")
{
    Broker broker;
    broker.wait();
    OutsideLoop loop;
    Watcher watcher{broker.port()};
    watcher.command("charge", "off", true);
    watcher.command("max-charge", "1", true);
    Gateway gateway{loop, plain_config(broker.port())};
    REQUIRE(gateway.until([&] { return watcher.count("RESULT") == 2; }, 10s, &watcher));
    CHECK(code_of(watcher) == "retained");
    CHECK(gateway.submitted.empty());
    CHECK(gateway.retained == true);
    CHECK(gateway.logged("a retained command lies on battery-gateway/cmnd/charge"));
    watcher.command("charge", "", true);
    watcher.command("max-charge", "", true);
    REQUIRE(gateway.until([&] { return watcher.count("RESULT") == 4; }, 5s, &watcher));
    CHECK(gateway.retained == false);
    CHECK(gateway.submitted.empty());
    watcher.command("charge", "off");
    CHECK(gateway.until([&] { return gateway.submitted.size() == 1; }, 5s, &watcher));
}

// SAFE-193, MQTT-052, SAFE-192
TEST_CASE("an OFF in a flood of 1000 commands a second arrives within 100 ms")
{
    Broker broker;
    broker.wait();
    OutsideLoop loop;
    Watcher watcher{broker.port()};
    Gateway gateway{loop, plain_config(broker.port())};
    REQUIRE(gateway.connect(&watcher));
    const auto begin = Clock::now();
    std::vector<Clock::time_point> off_at;
    int sent = 0;
    CHECK(gateway.until(
        [&] {
            for (; sent < (Clock::now() - begin) / 1ms && sent < 2000; ++sent) {
                mosquitto_publish(watcher.client(), nullptr, "battery-gateway/cmnd/max-charge", 3, "999", 0, false);
                if (sent % 400 != 300) continue;
                off_at.push_back(Clock::now());
                mosquitto_publish(watcher.client(), nullptr, "battery-gateway/cmnd/charge", 3, "off", 0, false);
            }
            return sent == 2000 && gateway.client->counters().received >= 2005;
        },
        20s, &watcher));
    std::vector<Clock::duration> delays;
    for (std::size_t i = 0; i < gateway.submitted.size(); ++i)
        if (gateway.submitted[i].kind == CommandKind::charge)
            delays.push_back(gateway.submitted_at[i] - off_at.at(delays.size()));
    REQUIRE(delays.size() == 5);
    std::sort(delays.begin(), delays.end());
    CHECK(delays[2] < 100ms);
    CHECK(gateway.submitted.size() <= 105);
    CHECK(loop.longest < blocked);
    CHECK(gateway.client->connected());
}

// MQTT-063
TEST_CASE("MQTT 5: an answer goes to the response topic with its correlation data")
{
    Broker broker;
    broker.wait();
    OutsideLoop loop;
    Watcher watcher{broker.port(), {}, {}, true};
    MqttConfig config = plain_config(broker.port());
    config.version = "5";
    Gateway gateway{loop, config};
    REQUIRE(gateway.until([&] { return watcher.count("inverter/availability") == 1; }, 10s, &watcher));
    std::string correlation;
    mosquitto_user_data_set(watcher.client(), &watcher);
    mosquitto_message_v5_callback_set(
        watcher.client(), [](mosquitto*, void* self, const mosquitto_message* m, const mosquitto_property* p) {
            void* data = nullptr;
            std::uint16_t n = 0;
            if (std::string_view{m->topic} != "asker/answer" ||
                !mosquitto_property_read_binary(p, MQTT_PROP_CORRELATION_DATA, &data, &n, false))
                return;
            static_cast<Watcher*>(self)->heard.push_back(
                {"correlation", std::string{static_cast<const char*>(data), n}, false, 0});
            std::free(data);
        });
    mosquitto_property* properties = nullptr;
    mosquitto_property_add_string(&properties, MQTT_PROP_RESPONSE_TOPIC, "asker/answer");
    mosquitto_property_add_binary(&properties, MQTT_PROP_CORRELATION_DATA, "42", 2);
    mosquitto_publish_v5(watcher.client(), nullptr, "battery-gateway/cmnd/charge", 3, "off", 0, false, properties);
    mosquitto_property_free_all(&properties);
    CHECK(gateway.until(
        [&] {
            return std::any_of(watcher.heard.begin(), watcher.heard.end(),
                [](const Seen& h) { return h.topic == "correlation" && h.payload == "42"; });
        },
        5s, &watcher));
    CHECK(std::any_of(watcher.heard.begin(), watcher.heard.end(),
        [](const Seen& h) { return h.topic == "asker/answer" && h.payload.find("\"ok\":true") != std::string::npos; }));
    CHECK(watcher.count("RESULT") == 1);
    CHECK(gateway.stop(&watcher));
}

// MQTT-010
TEST_CASE("each client has an id of its own, and keeps it over reconnects")
{
    OutsideLoop loop;
    FakeBroker broker;
    broker.on_packet = [&](const FakeBroker::Packet& p) { broker.polite(p); };
    std::set<std::string> ids;
    for (int i = 0; i < 2; ++i) {
        Gateway gateway{loop, plain_config(broker.port())};
        for (int n = 1; n <= 2; ++n) {
            broker.packets.clear();
            REQUIRE(loop.until([&] { return !broker.packets.empty(); }, 10s, [&] { gateway.bridge(), broker.poll(); }));
            const std::string id = broker.packets[0].body.substr(12, static_cast<unsigned char>(broker.packets[0].body[11]));
            CHECK(id.starts_with("batgw-" + std::to_string(::getpid()) + "-"));
            CHECK(id.size() <= 23);
            ids.insert(id);
            broker.reset();
        }
    }
    CHECK(ids.size() == 2);
}
