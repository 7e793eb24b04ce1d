#include "mqtt/commands.hpp"

#include "mqtt/desk.hpp"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <string>
#include <vector>

using namespace batgw;
using namespace batgw::mqtt;
using namespace std::string_literals;

namespace {

const CommandRules rules{
    {"charge", "discharge", "max-charge", "max-discharge", "limits", "pause", "teleperiod", "ping"}, 10_kW, 8_kW};
const CommandRules all_rules{{"charge", "limits", "pause", "contactor", "reset", "capture", "ping", "teleperiod"}, 10_kW, 8_kW};

CommandCode code(const ParsedCommand& p) { return p.refusal() ? p.refusal()->code : CommandCode::ok; }
CommandCode code(std::string_view name, std::string_view payload, const CommandRules& r = rules)
{
    return code(parse_command(name, payload, false, r));
}
Command command(std::string_view name, std::string_view payload, const CommandRules& r = rules)
{
    const auto parsed = parse_command(name, payload, false, r);
    REQUIRE_MESSAGE(std::holds_alternative<Command>(parsed.what), std::string{payload});
    return std::get<Command>(parsed.what);
}

}  // namespace

// MQTT-014, SAFE-193
TEST_CASE("a switch takes on, off, 1 and 0 and nothing else")
{
    for (const char* on : {"on", "ON", "On", "oN", "1"}) CHECK(command("charge", on).on);
    for (const char* off : {"off", "OFF", "Off", "0"}) CHECK_FALSE(command("discharge", off).on);
    for (const std::string& wrong : {""s, " "s, "true"s, "false"s, "on "s, " on"s, "onn"s, "o"s, "yes"s, "2"s, "01"s, "-1"s,
             "1.0"s, "on\n"s, "\"on\""s, "on\0"s, "\xff"s})
        CHECK(code("charge", wrong) == CommandCode::bad_payload);
}

// MQTT-014, SAFE-193
TEST_CASE("a power is a whole number of watts within the configured maximum, never clipped")
{
    CHECK(command("max-charge", "5000").charge_power == 5_kW);
    CHECK(command("max-charge", " 5000").charge_power == 5_kW);
    CHECK(command("max-charge", "5000 ").charge_power == 5_kW);
    CHECK(command("max-charge", "\t+5000 \t").charge_power == 5_kW);
    CHECK(command("max-charge", "0").charge_power == 0_W);
    CHECK(command("max-charge", "-0").charge_power == 0_W);
    CHECK(command("max-charge", "007").charge_power == 7_W);
    CHECK(command("max-charge", "10000").charge_power == 10_kW);
    CHECK(command("max-discharge", "8000").discharge_power == 8_kW);
    CHECK_FALSE(command("max-discharge", "8000").charge_power);
    for (const char* beyond :
        {"10001", "-1", "12345678901234567890", "-12345678901234567890", "99999999999999999999999999999999"})
        CHECK(code("max-charge", beyond) == CommandCode::out_of_range);
    CHECK(code("max-discharge", "8001") == CommandCode::out_of_range);
    for (const std::string& wrong : {""s, " "s, "true"s, "5e3"s, "5000W"s, "5000.0"s, "0x10"s, "5 000"s, "--5"s, "+-5"s, "+"s,
             "-"s, "5000\n"s, "5\0"s, "5,0"s})
        CHECK(code("max-charge", wrong) == CommandCode::bad_payload);
}

TEST_CASE("the answer to a power beyond the maximum names both")
{
    const auto parsed = parse_command("max-charge", "12000", false, rules);
    REQUIRE(parsed.refusal());
    CHECK(parsed.refusal()->text == "12000 W is above the configured maximum 10000 W");
}

// SAFE-193, MQTT-050
TEST_CASE("limits is one flat object of known keys, each once, whole numbers only")
{
    const Command c = command("limits", R"({"charge_w":3000,"discharge_w":5000,"ttl_s":120,"on_expire":"zero","id":"x"})");
    CHECK(c.charge_power == 3_kW);
    CHECK(c.discharge_power == 5_kW);
    CHECK(c.time_to_live == 120s);
    CHECK(c.zero_on_expiry);
    CHECK(c.id.view() == "x");
    CHECK(command("limits", R"( { "charge_a" : 25 } )").charge_current == 25_A);
    CHECK(command("limits", R"({"discharge_a":0})").discharge_current == 0_A);
    CHECK_FALSE(command("limits", R"({"charge_w":1,"ttl_s":5,"on_expire":"release"})").zero_on_expiry);

    struct Row {
        std::string payload;
        CommandCode code;
    };
    using enum CommandCode;
    for (const Row& r : {Row{"", bad_payload}, Row{"{}", bad_payload}, Row{R"({"id":"x"})", bad_payload},
             Row{R"({"ttl_s":60})", bad_payload}, Row{"3000", bad_payload}, Row{"[3000]", bad_payload}, Row{"null", bad_payload},
             Row{R"("on")", bad_payload}, Row{R"({"charge_w":3000)", bad_payload}, Row{R"({"charge_w":3000}x)", bad_payload},
             Row{R"({"charge_w":3000}{})", bad_payload}, Row{R"({"charge_w":"3000"})", bad_payload},
             Row{R"({"charge_w":3000.0})", bad_payload}, Row{R"({"charge_w":3e3})", bad_payload},
             Row{R"({"charge_w":null})", bad_payload}, Row{R"({"charge_w":true})", bad_payload},
             Row{R"({"charge_w":[1]})", bad_payload}, Row{R"({"charge_w":{"w":1}})", bad_payload},
             Row{R"({"charge_w":{"w":{"x":{"y":1}}}})", bad_payload}, Row{R"({"charge_w":1,"charge_w":2})", bad_payload},
             Row{R"({"charge_w":1,"speed":2})", bad_payload}, Row{R"({"Charge_w":1})", bad_payload},
             Row{R"({"charge_w":1,"id":5})", bad_payload}, Row{R"({"charge_w":01})", bad_payload},
             Row{R"({"charge_w":1,"on_expire":"zero"})", bad_payload},
             Row{R"({"charge_w":1,"ttl_s":5,"on_expire":"ZERO"})", bad_payload},
             Row{R"({"charge_w":1,"id":")" + std::string(65, 'x') + "\"}", bad_payload}, Row{"{\"charge_w\":1}\0"s, bad_payload},
             Row{"{\"charge_w\":1,\"id\":\"\xff\"}", bad_payload}, Row{R"({"charge_w":-1})", out_of_range},
             Row{R"({"charge_w":10001})", out_of_range}, Row{R"({"discharge_w":8001})", out_of_range},
             Row{R"({"charge_w":18446744073709551615})", out_of_range},
             Row{R"({"charge_w":123456789012345678901234567890})", out_of_range}, Row{R"({"charge_a":-1})", out_of_range},
             Row{R"({"charge_a":1001})", out_of_range}, Row{R"({"charge_w":1,"ttl_s":4})", out_of_range},
             Row{R"({"charge_w":1,"ttl_s":86401})", out_of_range}})
        CHECK_MESSAGE(code("limits", r.payload) == r.code, r.payload);
    CHECK(command("limits", R"({"charge_w":1,"id":")" + std::string(64, 'x') + "\"}").id.view() == std::string(64, 'x'));
}

TEST_CASE("a refused limits command still echoes its id")
{
    CHECK(parse_command("limits", R"({"charge_w":99999,"id":"mine"})", false, rules).id == "mine");
}

// MQTT-050, SAFE-045, SAFE-193
TEST_CASE("a reset names a fault, comes from afar, and works only where it is listed")
{
    const Command c = command("reset", R"({"fault":"BMS_FAULT:AFE short","reason":"cell exchanged","id":"x7"})", all_rules);
    CHECK(c.kind == CommandKind::reset);
    CHECK(c.fault == "BMS_FAULT:AFE short");
    CHECK(c.reason == "cell exchanged");
    CHECK(c.id == "x7");
    CHECK(c.source == CommandSource::remote);
    CHECK(command("reset", R"( {"fault":"all"} )", all_rules).reason.empty());
    CHECK(code("reset", R"({"fault":"all"})") == CommandCode::not_allowed);
    CHECK(code(parse_command("reset", R"({"fault":"all"})", true, all_rules)) == CommandCode::retained);
    const std::string long_text(65, 'a');
    for (const std::string& wrong :
        {""s, "CELL_HIGH_CRIT"s, "{}"s, "[]"s, "null"s, "\"all\""s, R"({"fault":""})"s, R"({"fault":7})"s, R"({"fault":null})"s,
            R"({"fault":true})"s, R"({"fault":["all"]})"s, R"({"fault":{"fault":"all"}})"s, R"({"fault":"a","fault":"b"})"s,
            R"({"fault":"a","force":"yes"})"s, R"({"reason":"why"})"s, R"({"fault":"a"}})"s, R"({"fault":"a")"s,
            R"({"fault":1.5})"s, R"({"fault":")" + long_text + "\"}", R"({"fault":"a","reason":")" + long_text + "\"}"})
        CHECK_MESSAGE(code("reset", wrong, all_rules) == CommandCode::bad_payload, wrong);
    CHECK(parse_command("reset", R"({"id":"x8","fault":3})", false, all_rules).id == "x8");
}

// MQTT-050, SAFE-193
TEST_CASE("topics match exactly, payloads are at most 1024 bytes, permissions are an allow-list")
{
    for (const std::string& stranger :
        {""s, "Charge"s, "charge/"s, "charge/x"s, "charge "s, "max_charge"s, "STATUS"s, "charg\0e"s, std::string(300, 'a')})
        CHECK(code(stranger, "on") == CommandCode::unknown_command);
    CHECK(parse_command("a\x01\xc3\xa4" + std::string(100, 'b'), "", false, rules).name.size() == 64);
    CHECK(code("charge", std::string(1025, 'x')) == CommandCode::too_long);
    CHECK(code("charge", std::string(1024, 'x')) == CommandCode::bad_payload);
    CHECK(code("limits", R"({"charge_w":1})" + std::string(1010, ' ')) == CommandCode::ok);
    CHECK(code("contactor", "open") == CommandCode::not_allowed);
    CHECK(code("reset", "{}") == CommandCode::not_allowed);
    CHECK(code("capture", "start") == CommandCode::not_allowed);
    CHECK(code("discharge", "off", all_rules) == CommandCode::not_allowed);
    CHECK(command("contactor", "open", all_rules).kind == CommandKind::contactor);
    CHECK_FALSE(command("contactor", "OPEN", all_rules).on);
    CHECK(command("contactor", "close", all_rules).on);
    CHECK(code("contactor", "1", all_rules) == CommandCode::bad_payload);
}

// MQTT-050
TEST_CASE("capture takes start, stop and a mark with its note, and nothing else")
{
    CHECK(command("capture", "start", all_rules).step == CaptureStep::start);
    CHECK(command("capture", "STOP", all_rules).step == CaptureStep::stop);
    const Command mark = command("capture", "mark lights flickered", all_rules);
    CHECK(mark.kind == CommandKind::capture);
    CHECK(mark.step == CaptureStep::mark);
    CHECK(mark.reason == "lights flickered");
    CHECK(command("capture", "Mark K\xc3\xbc\nche", all_rules).reason == "Kche");  // printable ASCII only
    CHECK(command("capture", "mark " + std::string(64, 'x'), all_rules).reason.view().size() == 64);
    CHECK(code("capture", "mark " + std::string(65, 'x'), all_rules) == CommandCode::too_long);
    for (const char* payload : {"", "mark", "mark ", "on", "start now", "stop ", "markx"}) {
        CAPTURE(payload);
        CHECK(code("capture", payload, all_rules) == CommandCode::bad_payload);
    }
}

TEST_CASE("teleperiod is empty or 4 to 3600 seconds, ping up to 64 bytes")
{
    CHECK_FALSE(std::get<Teleperiod>(parse_command("teleperiod", "", false, rules).what).period);
    CHECK(std::get<Teleperiod>(parse_command("teleperiod", "4", false, rules).what).period == std::chrono::seconds{4});
    CHECK(std::get<Teleperiod>(parse_command("teleperiod", " 3600 ", false, rules).what).period == std::chrono::seconds{3600});
    CHECK(code("teleperiod", "3") == CommandCode::out_of_range);
    CHECK(code("teleperiod", "3601") == CommandCode::out_of_range);
    CHECK(code("teleperiod", " ") == CommandCode::bad_payload);
    CHECK(code("teleperiod", "5s") == CommandCode::bad_payload);
    CHECK(code("ping", "") == CommandCode::ok);
    CHECK(code("ping", std::string(64, '\x80')) == CommandCode::ok);
    CHECK(code("ping", std::string(65, 'x')) == CommandCode::too_long);
}

// SAFE-194, MQTT-015
TEST_CASE("a retained command is refused whatever it says")
{
    for (const char* name : {"charge", "discharge", "max-charge", "limits", "pause", "ping", "teleperiod", "contactor"})
        for (const char* payload : {"on", "off", "0", "", R"({"charge_w":1})"})
            CHECK(code(parse_command(name, payload, true, rules)) == CommandCode::retained);
    CHECK_FALSE(parse_command("charge", "off", true, rules).exempt);
}

TEST_CASE("only what switches off is exempt from the rate limit")
{
    for (const auto& [name, payload] : std::vector<std::pair<const char*, const char*>>{{"charge", "off"}, {"discharge", "0"},
             {"pause", "on"}, {"max-charge", "0"}, {"max-discharge", " 0 "}, {"contactor", "open"}})
        CHECK(parse_command(
            name, payload, false, {{"charge", "discharge", "pause", "max-charge", "max-discharge", "contactor"}, 1_kW, 1_kW})
                  .exempt);
    for (const auto& [name, payload] : std::vector<std::pair<const char*, const char*>>{{"charge", "on"}, {"charge", "offf"},
             {"pause", "off"}, {"max-charge", "1"}, {"limits", R"({"charge_w":0})"}, {"ping", "off"}, {"teleperiod", ""}})
        CHECK_FALSE(parse_command(name, payload, false, rules).exempt);
}

TEST_CASE("only what lies under cmnd/ of the own base topic is a command")
{
    CHECK(command_name("home/cmnd/charge", "home") == "charge");
    CHECK(command_name("home/cmnd/", "home") == "");
    CHECK(command_name("home/cmnd/a/b", "home") == "a/b");
    for (const char* other :
        {"home/cmnd", "home/LWT", "homes/cmnd/charge", "hom/cmnd/charge", "cmnd/charge", "", "home/Cmnd/charge"})
        CHECK_FALSE(command_name(other, "home"));
}
