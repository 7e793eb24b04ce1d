#include "mqtt/desk.hpp"

#include "tests/mqtt/samples.hpp"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <string>
#include <vector>

using namespace batgw;
using namespace batgw::mqtt;
using batgw::test::t0;

namespace {

struct Desk {
    CommandDesk desk{MqttConfig{}, {MqttConfig{}.commands, 10_kW, 10_kW}};
    OperatorState state;
    std::vector<Command> submitted;
    bool room = true;
    Instant now = t0;
    std::vector<Outgoing> out;

    Desk() { state.max_charge = state.max_discharge = 10_kW; }
    Moment moment() const { return {now, 1'772'352'930'120}; }
    CommandDesk::Outcome send(const std::string& name, const std::string& payload, bool retained = false)
    {
        return desk.on_message(
            {.topic = "battery-gateway/cmnd/" + name,
                .payload = payload,
                .retained = retained,
                .response_topic = {},
                .correlation = {}},
            state, moment(), [this](const Command& c) { return room ? (submitted.push_back(c), true) : false; }, out);
    }
    // The bridge's answer to what was submitted last.
    void answer(CommandCode code, Duration after)
    {
        CommandResult r;
        r.ticket = submitted.back().ticket;
        r.code = code;
        r.text.assign("done");
        r.answered = submitted.back().received + after;
        r.status = state;
        desk.on_result(r, moment(), out);
    }
    std::size_t count(const std::string& suffix) const
    {
        std::size_t n = 0;
        for (const auto& m : out) n += m.topic == "battery-gateway/" + suffix ? 1U : 0U;
        return n;
    }
    nlohmann::json last_result() const
    {
        for (auto m = out.rbegin(); m != out.rend(); ++m)
            if (m->topic == "battery-gateway/RESULT") return nlohmann::json::parse(m->payload);
        return {};
    }
};

constexpr auto status_text = R"({"charge":"ON","discharge":"ON","max-charge":10000,"max-discharge":10000})";

}  // namespace

// MQTT-013
TEST_CASE("STATUS is four keys without spaces, in this order")
{
    OperatorState s;
    s.max_charge = s.max_discharge = 10_kW;
    CHECK(status_json(s) == status_text);
    s.charge = false;
    s.max_charge = 0_W;
    s.max_discharge = 4321_W;
    CHECK(status_json(s) == R"({"charge":"OFF","discharge":"ON","max-charge":0,"max-discharge":4321})");
}

// MQTT-013, MQTT-051
TEST_CASE("each command gives one RESULT and one STATUS, valid or not")
{
    Desk d;
    d.send("charge", "");
    d.send("nonsense", "x");
    d.send("max-charge", "10001");
    d.send("contactor", "open");
    d.send("charge", "off", true);
    d.send("charge", std::string(2000, 'x'));
    CHECK(d.count("RESULT") == 6);
    CHECK(d.count("STATUS") == 6);
    CHECK(d.submitted.empty());
    d.send("charge", "off");
    CHECK(d.count("RESULT") == 6);  // the bridge has not answered yet
    d.state.charge = false;
    d.answer(CommandCode::ok, 1800us);
    CHECK(d.count("RESULT") == 7);
    CHECK(d.count("STATUS") == 7);
    CHECK(d.out.back().payload == R"({"charge":"OFF","discharge":"ON","max-charge":10000,"max-discharge":10000})");
}

// MQTT-051
TEST_CASE("RESULT tells command, code, text, status, time and how long it took")
{
    Desk d;
    d.send("limits", R"({"charge_w":3000,"id":"x"})");
    d.answer(CommandCode::ok, 1800us);
    CHECK(d.out.front().qos == 1);
    CHECK_FALSE(d.out.front().retain);
    CHECK(d.out.front().payload ==
        std::string{R"({"id":"x","command":"limits","ok":true,"code":"ok","text":"done","status":)"} + status_text +
            R"(,"time":"2026-03-01T08:15:30.120Z","duration_ms":1.8})");
    CHECK(d.submitted.back().received == t0);
}

// MQTT-051
TEST_CASE("each code is told")
{
    Desk d;
    const auto code = [&] { return d.last_result()["code"].get<std::string>(); };
    d.send("charge", "x");
    CHECK(code() == "bad_payload");
    d.send("max-charge", "-1");
    CHECK(code() == "out_of_range");
    d.send("x", "");
    CHECK(code() == "unknown_command");
    d.send("contactor", "open");
    CHECK(code() == "not_allowed");
    d.send("charge", "on", true);
    CHECK(code() == "retained");
    d.send("ping", std::string(70, 'x'));
    CHECK(code() == "too_long");
    d.room = false;
    d.send("charge", "on");
    CHECK(code() == "internal");
    d.room = true;
    for (const CommandCode c : {CommandCode::ok, CommandCode::unchanged, CommandCode::guard_failed, CommandCode::not_found,
             CommandCode::cause_present}) {
        d.send("charge", "on");
        d.answer(c, 1ms);
        CHECK(code() == to_string(c));
        CHECK(d.last_result()["ok"] == (c == CommandCode::ok || c == CommandCode::unchanged));
    }
    for (int i = 0; i < 200; ++i) d.send("max-charge", "1");
    CHECK(code() == "rate_limited");
}

TEST_CASE("a refusal by a guard names it")
{
    // MQTT-051
    const std::string with =
        result_json({.command = "contactor", .code = CommandCode::guard_failed, .guard = "battery_data"}, {});
    CHECK(with.find(R"("guards":["battery_data"])") != std::string::npos);
    CHECK(result_json({.command = "contactor", .code = CommandCode::ok}, {}).find("guards") == std::string::npos);
}

TEST_CASE("ping comes back with its payload, reduced to what JSON can carry")
{
    Desk d;
    d.send("ping", "hello \"you\"\x01\xff");
    d.answer(CommandCode::ok, 1ms);
    CHECK(d.last_result()["text"].get<std::string>().starts_with("hello \"you\""));
    for (const char c : d.out.front().payload) CHECK((c >= ' ' && c <= '~'));
}

// SAFE-193, MQTT-052
TEST_CASE("a flood is cut to ten a second over ten seconds, and an OFF inside it goes through")
{
    Desk d;
    for (int i = 0; i < 10'000; ++i) {  // 1000 a second for 10 s
        d.send("max-charge", std::to_string(1 + i % 9999));
        if (i == 7777) d.send("charge", "off");
        d.now += 1ms;
    }
    CHECK(d.submitted.size() == 101);
    CHECK(std::count_if(d.submitted.begin(), d.submitted.end(),
              [](const Command& c) { return c.kind == CommandKind::charge && !c.on; }) == 1);
    // Of the excess, the first in each second is answered.
    std::size_t limited = 0;
    for (const auto& m : d.out) limited += m.payload.find("rate_limited") != std::string::npos ? 1U : 0U;
    CHECK(limited == 10);
    CHECK(d.count("STATUS") == 0);  // none for what the limit kept out; those let through wait for the bridge
    CHECK(d.desk.refused_by_rate() == 10'000 - 100);
}

TEST_CASE("a command that the bridge does not answer is answered internal after 5 s, once")
{
    Desk d;
    d.send("charge", "off");
    d.now += 4999ms;
    d.desk.expire(d.state, d.moment(), d.out);
    CHECK(d.out.empty());
    d.now += 1ms;
    d.desk.expire(d.state, d.moment(), d.out);
    CHECK(d.last_result()["code"] == "internal");
    CHECK(d.count("STATUS") == 1);
    d.answer(CommandCode::ok, 6s);
    CHECK(d.count("RESULT") == 1);
}

TEST_CASE("teleperiod is answered and handed to the caller")
{
    Desk d;
    const auto now = d.send("teleperiod", "");
    CHECK((now.teleperiod && !now.teleperiod->period));
    const auto later = d.send("teleperiod", "60");
    CHECK(later.teleperiod->period == std::chrono::seconds{60});
    CHECK(d.count("RESULT") == 2);
    CHECK(d.submitted.empty());
}

// MQTT-063
TEST_CASE("an MQTT 5 response topic gets a copy of the answer with its correlation data, unless it is one of ours")
{
    Desk d;
    const auto ask = [&](std::string_view topic) {
        d.out.clear();
        d.desk.on_message({.topic = "battery-gateway/cmnd/x",
                              .payload = "",
                              .retained = false,
                              .response_topic = topic,
                              .correlation = "c\x01"},
            d.state, d.moment(), nullptr, d.out);
        return d.out.size();
    };
    REQUIRE(ask("asker/answers") == 3);
    CHECK(d.out[0].topic == "asker/answers");
    CHECK(d.out[0].correlation == "c\x01");
    CHECK(d.out[0].payload == d.out[1].payload);
    CHECK(d.out[1].correlation.empty());
    for (const char* mine : {"battery-gateway/STATE", "battery-gateway", "$SYS/x", "a/#", "a/+/b"}) CHECK(ask(mine) == 2);
    CHECK(ask("battery-gateways/x") == 3);
}

// MQTT-002
TEST_CASE("without legacy topics commands are answered by RESULT alone")
{
    Desk d;
    MqttConfig config;
    config.legacy_topics = false;
    d.desk.reconfigure(config, {config.commands, 10_kW, 10_kW});
    d.send("charge", "");
    CHECK(d.count("RESULT") == 1);
    CHECK(d.count("STATUS") == 0);
}
