#include "conf/load.hpp"

#include "conf/decimal.hpp"
#include "conf/effective.hpp"
#include "conf/yaml.hpp"
#include "tests/conf/helpers.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>

using namespace batgw;
using namespace batgw::test;

namespace {

Config config_of(const std::string& text, const Definitions& definitions = no_environment())
{
    const Loaded loaded = load(text, "test.yaml", catalogue(), definitions);
    INFO(lines_of(loaded.problems));
    REQUIRE(loaded.config.has_value());
    return *loaded.config;
}

const std::string with_broker = short_config + "mqtt:\n  host: mqtt.local\n  username: me\n";

bool mentions(const std::vector<std::string>& lines, std::string_view words)
{
    return std::any_of(lines.begin(), lines.end(), [&](const std::string& l) { return l.find(words) != std::string::npos; });
}

}  // namespace

// CONF-002
TEST_CASE("numbers are decimal and exact")
{
    const auto base = [](std::string_view text) { return parse_decimal(text, 1000, 1).base; };
    CHECK(base("0") == 0);
    CHECK(base("3.6") == 3600);
    CHECK(base("-25") == -25'000);
    CHECK(base("0.001") == 1);
    CHECK(base("3.5000000") == 3500);
    CHECK(base("9223372036854775.807") == 9223372036854775807);
    for (const std::string_view wrong :
        {"", "-", ".", "010", "00", "-01", "0x10", "0o17", "1e3", "1E3", "+1", "1.", ".5", "1.2.3", "1_000", "1,5", " 1", "1 ",
            "inf", "nan", "0.0001", "9223372036854775.808", "92233720368547758070", "--1", "1-", "\xd9\xa1"}) {
        CAPTURE(wrong);
        CHECK_FALSE(base(wrong).has_value());
    }
    CHECK(parse_decimal("4.0", 1, 1).base == 4);
    CHECK(parse_decimal("4.5", 1, 1).why == "is not a whole number");
    CHECK(parse_decimal("4.5", 1'000'000, 1'000'000).why == "is not a whole number");
    CHECK(parse_decimal("010", 1, 1).why == "has a leading zero");
}

// CONF-002
TEST_CASE("yes, no, on and off are booleans where a boolean is expected, and words elsewhere")
{
    for (const std::string word : {"true", "yes", "on", "True", "YES", "On"})
        CHECK(config_of(with("safety.insulation.required", word)).safety.insulation.required);
    for (const std::string word : {"false", "no", "off", "False", "NO", "Off"})
        CHECK_FALSE(config_of(with("safety.soc.required", word)).safety.soc.required);
    for (const std::string word : {"y", "n", "t", "1", "0", "tRue", "oN", "\"true\""}) {
        CAPTURE(word);
        CHECK_FALSE(load_text(with("safety.soc.required", word)).config.has_value());
    }
    CHECK(config_of(with("mqtt.username", "yes")).mqtt->username == "yes");
    CHECK(config_of(with("mqtt.client_id", "off")).mqtt->client_id == "off");
    CHECK_FALSE(config_of(with("mqtt.keep_alive_s", "off")).mqtt->keep_alive.has_value());
    CHECK(config_of(with("mqtt.cells", "off")).mqtt->cells == "off");
    CHECK_FALSE(load_text(with("mqtt.keep_alive_s", "no")).config.has_value());
}

// CONF-002
TEST_CASE("a password that looks like a number stays as it was written")
{
    for (const std::string password : {"0123", "1e3", "0x10", "yes", "3.10", "1_000", "12:30:45", "2024-01-01", "true"}) {
        CHECK(config_of(with_broker + "  password: " + password + "\n").mqtt->password == password);
        CHECK(config_of(with_broker + "  password: '" + password + "'\n").mqtt->password == password);
    }
    CHECK(config_of(with_broker + "  password: \"null\"\n").mqtt->password == "null");
    CHECK(config_of(with_broker + "  password: \"a\\\"b\\\\c\\x41\"\n").mqtt->password == "a\"b\\cA");
}

// CONF-003
TEST_CASE("definitions come from -D first, then from the environment")
{
    Definitions d{.given = {{"A", "given"}}, .environment = [](std::string_view name) -> std::optional<std::string> {
                      if (name == "A" || name == "B") return "from outside";
                      return std::nullopt;
                  }};
    CHECK(config_of(with_broker + "  password: ${A}\n", d).mqtt->password == "given");
    CHECK(config_of(with_broker + "  password: ${B}\n", d).mqtt->password == "from outside");
    CHECK(config_of(with_broker + "  password: x${A}y${B}z$$\n", d).mqtt->password == "xgivenyfrom outsidez$");
    CHECK(config_of(with_broker + "  password: $${A}\n", d).mqtt->password == "${A}");
    CHECK(config_of(with_broker + "  password: \"${A}\"\n", d).mqtt->password == "given");
    d.set("B", "now given");
    CHECK(config_of(with_broker + "  password: ${B}\n", d).mqtt->password == "now given");
    CHECK(has_problem(load(with_broker + "  password: ${C}\n", "f", catalogue(), d), "mqtt.password", "C is not defined"));
    CHECK(has_problem(load(with_broker + "  password: ${}\n", "f", catalogue(), d), "mqtt.password", "cannot be a name"));
    CHECK(has_problem(load(with_broker + "  password: ${1A}\n", "f", catalogue(), d), "mqtt.password", "cannot be a name"));
    for (const std::string wrong : {"$", "a$", "$A", "${A", "$ {A}"})
        CHECK(has_problem(load(with_broker + "  password: " + wrong + "\n", "f", catalogue(), d), "mqtt.password", "a single $"));
}

// CONF-003
TEST_CASE("the environment of the process is used unless something else is said")
{
    ::setenv("BATGW_TEST_HOST", "from.process", 1);
    CHECK(config_of(short_config + "mqtt:\n  host: ${BATGW_TEST_HOST}\n", Definitions{}).mqtt->host == "from.process");
    ::unsetenv("BATGW_TEST_HOST");
    CHECK_FALSE(load(short_config + "mqtt:\n  host: ${BATGW_TEST_HOST}\n", "f", catalogue(), Definitions{}).config.has_value());
}

// CONF-003
TEST_CASE("what a definition puts in stays one value: no key, no list, no second replacement")
{
    const Definitions d{.given = {{"KEYS", "x\n  port: 1\n"}, {"LIST", "[a, b]"}, {"AGAIN", "${KEYS}"}, {"EMPTY", ""},
                            {"PORT", "1884"}, {"NULL", "null"}},
        .environment = {}};
    CHECK_FALSE(load(with_broker + "  topic: ${KEYS}\n", "f", catalogue(), d).config.has_value());
    CHECK(config_of(with_broker + "  password: ${LIST}\n", d).mqtt->password == "[a, b]");
    CHECK(config_of(with_broker + "  password: ${AGAIN}\n", d).mqtt->password == "${KEYS}");
    CHECK(config_of(with_broker + "  password: ${EMPTY}\n", d).mqtt->password.empty());
    CHECK(config_of(with_broker + "  password: ${NULL}\n", d).mqtt->password == "null");
    CHECK(config_of(with_broker + "  port: ${PORT}\n", d).mqtt->port == 1884);
    CHECK(has_problem(load(with_broker + "  port: \"${PORT}\"\n", "f", catalogue(), d), "mqtt.port", "stands without quotes"));
    CHECK(has_problem(load(with_broker + "  commands: ${LIST}\n", "f", catalogue(), d), "mqtt.commands", "not a list"));
    CHECK(has_problem(load(with_broker + "  ${PORT}: 1\n", "f", catalogue(), d), "mqtt.${PORT}", "unknown key"));
}

// CONF-001
TEST_CASE("no problem ever shows a password")
{
    const Definitions d{.given = {{"SECRET", "hunter2"}}, .environment = {}};
    for (const std::string& text : {with_broker + "  password: [hunter2]\n", with_broker + "  password: {hunter2: 1}\n",
             with_broker + "  password: \"hunter2\\x01\"\n", with_broker + "  password: hunter2$\n",
             with_broker + "  port: ${SECRET}\n", with_broker + "  topic: hunter3\n  password: hunter2\n  password_file: /x\n"}) {
        const Loaded loaded = load(text, "f", catalogue(), d);
        CHECK_FALSE(loaded.config.has_value());
        CHECK(lines_of(loaded.problems).find("hunter2") == std::string::npos);
    }
    const Config config = config_of(with_broker + "  password: hunter2\n");
    CHECK(effective_yaml(config, catalogue()).find("hunter2") == std::string::npos);
    CHECK(effective_yaml(config, catalogue()).find("password: \"***\"") != std::string::npos);
}

// CONF-006
TEST_CASE("a file of 1 MiB is read, one byte more is not")
{
    std::string text = short_config + "#";
    text.append(largest_file - text.size(), 'x');
    CHECK(load_text(text).config.has_value());
    const Loaded longer = load_text(text + "x");
    CHECK_FALSE(longer.config.has_value());
    CHECK(lines_of(longer.problems) == "test.yaml: 1048577 bytes (at most 1 MiB)\n");
}

// CONF-006
TEST_CASE("sixteen levels are read, seventeen are not")
{
    const auto nest = [](int levels) {
        return short_config + "log: {level: " + std::string(static_cast<std::size_t>(levels - 2), '[') +
            std::string(static_cast<std::size_t>(levels - 2), ']') + "}\n";
    };
    CHECK(has_problem(load_text(nest(16)), "log.level", "a list where a value belongs"));
    CHECK(has_problem(load_text(nest(17)), "", "nested deeper than 16"));
    CHECK(has_problem(load_text(nest(100'000)), "", "nested deeper than 16"));
    CHECK(has_problem(load_text(std::string(500'000, '{')), "", "nested deeper than 16"));
}

// CONF-006
TEST_CASE("hostile files are refused in no time")
{
    std::string laughs = short_config + "a: &a [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n";
    for (char c = 'b'; c < 'z'; ++c)
        laughs += fmt::format("{0}: &{0} [*{1}, *{1}, *{1}, *{1}, *{1}, *{1}, *{1}, *{1}, *{1}]\n", c, static_cast<char>(c - 1));
    CHECK_FALSE(load_text(laughs).config.has_value());
    std::string keys = short_config;
    for (int i = 0; i < 20'000; ++i) keys += fmt::format("k{}: 1\n", i);
    CHECK(load_text(keys).problems.size() == 20'000);
    // One long line: the library counts columns, and so do we, without starting over for each.
    std::string line = "[";
    while (line.size() < largest_file / 4) line += "1,";
    CHECK_FALSE(load_text(line).config.has_value());
}

TEST_CASE("a file from Windows is read like any other, with the same columns")
{
    std::string text = with_broker + "  topic: a//b\n";
    for (std::size_t i = 0; (i = text.find('\n', i)) != std::string::npos; i += 2) text.insert(i, "\r");
    CHECK(lines_of(load_text(text).problems) == lines_of(load_text(with_broker + "  topic: a//b\n").problems));
    CHECK(load_text("\xEF\xBB\xBF" + short_config).config.has_value());
    CHECK_FALSE(load_text(std::string{"b\0a\0t\0", 6}).config.has_value());
}

TEST_CASE("columns count characters, not bytes")
{
    const Loaded loaded = load_text(short_config + "log: {\"äöü\": 1, level: x}\n");
    CHECK(lines_of(loaded.problems) ==
        "test.yaml:7:7: log.äöü: unknown key (known: level)\n"
        "test.yaml:7:24: log.level: 'x' is not known (error, warn, info, debug)\n");
}

// Section 4 of the safety rules: chemistry, then drivers, then the file.
TEST_CASE("the file goes over the driver, the driver over the chemistry")
{
    const Config plain = config_of(short_config);
    CHECK(plain.safety.cell.block_high == 3620_mV);  // rich-pack
    CHECK(plain.safety.cell.block_low == 2800_mV);   // LFP
    CHECK(plain.safety.inverter_link.lost == 90s);   // rich-inverter
    CHECK(plain.safety.contactors.mode == ContactorMode::bms_command);
    CHECK(config_of(with("battery.options.modules", "5")).safety.cell.block_high == 3610_mV);
    CHECK(config_of(with("safety.cell.block_high.set_v", "3.6")).safety.cell.block_high == 3600_mV);
    CHECK(config_of(with("safety.inverter_link.lost_s", "120")).safety.inverter_link.lost == 120s);
    CHECK(config_of(with("contactors.mode", "none")).safety.contactors.mode == ContactorMode::none);
}

TEST_CASE("options that are not written have the driver's defaults, in their types")
{
    const Options& o = config_of(short_config).battery.options;
    CHECK(o.get<bool>("polls"));
    CHECK(o.get<std::int64_t>("modules") == 2);
    CHECK(o.get<double>("margin_v") == 2.0);
    CHECK(o.get<std::string>("label").empty());
    CHECK(o.get<std::string>("shade") == "light");
    const Options changed =
        config_of(with("battery.options", "{polls: no, modules: 8, margin_v: 10.5, label: \"a b\", shade: dark, tint: \"\"}"))
            .battery.options;
    CHECK_FALSE(changed.get<bool>("polls"));
    CHECK(changed.get<std::int64_t>("modules") == 8);
    CHECK(changed.get<double>("margin_v") == 10.5);
    CHECK(changed.get<std::string>("label") == "a b");
    CHECK(changed.get<std::string>("shade") == "dark");
}

// CONF-001
TEST_CASE("options are checked as strictly as keys")
{
    const auto refused = [](std::string_view option, std::string_view value, std::string_view what) {
        const std::string key = "battery.options." + std::string{option};
        return has_problem(load_text(with(key, value)), key, what);
    };
    CHECK(refused("module", "3", "unknown option"));
    CHECK(refused("modules", "0", "is too small"));
    CHECK(refused("modules", "9", "is too large"));
    CHECK(refused("modules", "2.5", "is not a whole number"));
    CHECK(refused("modules", "02", "leading zero"));
    CHECK(refused("modules", "\"2\"", "without quotes"));
    CHECK(refused("margin_v", "10.6", "is too large"));
    CHECK(refused("margin_v", "1e0", "not a decimal number"));
    CHECK(refused("polls", "1", "neither true nor false"));
    CHECK(refused("shade", "Dark", "is not known"));
    CHECK(refused("shade", "\"\"", "is not known"));
    CHECK(refused("label", "[a]", "a list where a value belongs"));
    CHECK(refused("label", "~", "no value"));
    CHECK(has_problem(load_text(with("battery.options", "[polls]")), "battery.options", "not a section"));
}

TEST_CASE("operator limits start at the ceiling")
{
    const Config c = config_of(with("battery.max_charge_w", "4321"));
    CHECK(c.battery.charge == 4321_W);
    CHECK(c.battery.discharge == 10'000_W);
}

TEST_CASE("TLS is on with any key of its section, and moves the port")
{
    CHECK_FALSE(config_of(with_broker).mqtt->tls.on);
    CHECK_FALSE(config_of(with_broker + "  tls: {}\n").mqtt->tls.on);
    CHECK(config_of(with_broker + "  tls: {}\n").mqtt->port == 1883);
    CHECK(config_of(with_broker + "  tls: {verify: true}\n").mqtt->tls.on);
    CHECK(config_of(with_broker + "  tls: {ca: /etc/ca.pem}\n").mqtt->port == 8883);
    CHECK(config_of(with_broker + "  port: 1883\n  tls: {ca: /etc/ca.pem}\n").mqtt->port == 1883);
}

// SAFE-181
TEST_CASE("with black start, or an inverter whose silence means nothing, contactors stay closed without it unless told otherwise")
{
    CHECK(config_of(short_config).safety.inverter_link.lost_open_after == 60s);
    CHECK(config_of(with("safety.inverter_link.black_start", "true")).safety.inverter_link.lost_open_after == for_ever);
    CHECK(config_of(short_config + "safety: {inverter_link: {black_start: true, lost_open_after_s: 60}}\n")
              .safety.inverter_link.lost_open_after == 60s);
    std::string quiet = short_config;
    quiet.replace(quiet.find("rich-inverter"), 13, "quiet-inverter");
    CHECK(config_of(quiet).safety.inverter_link.lost_open_after == for_ever);
}

TEST_CASE("a driver that was tried less than required only observes")
{
    const Loaded bench = load_text(with("safety.process.require_verification", "bench"));
    REQUIRE(bench.config.has_value());
    CHECK(bench.config->safety.observe);
    CHECK(mentions(bench.warnings, "rich-pack is verified by 'replay'"));
    CHECK_FALSE(mentions(bench.warnings, "rich-inverter is verified"));
    CHECK_FALSE(config_of(with("safety.process.require_verification", "replay")).safety.observe);
}

// SAFE-048
TEST_CASE("checks that are switched off are listed, and only they")
{
    const auto off = [](const std::string& text) { return load_text(text).warnings; };
    CHECK(off(with("safety.insulation", "{required: true, block_while_closed: true}")).empty());
    CHECK(mentions(off(short_config), "safety.insulation.block_while_closed"));
    CHECK(mentions(off(with("safety.soc.required", "no")), "safety.soc.required"));
    CHECK(mentions(off(with("safety.temperature.trust_battery_limits", "yes")), "trust_battery_limits"));
    CHECK(mentions(off(with("safety.link_lost_open_s", "never")), "safety.link_lost_open_s"));
    CHECK(mentions(off(with("safety.inverter_link.black_start", "yes")), "black_start"));
    CHECK(mentions(off(with("contactors.mode", "none")), "contactors.mode none"));
    CHECK(mentions(off(with("safety.mode", "observe")), "mode observe"));
    CHECK(mentions(off(with("mqtt.tls.verify", "no")), "mqtt.tls.verify"));
}

// SAFE-048
TEST_CASE("no key switches off a class of faults")
{
    for (const Key& key : all_keys())
        for (const std::string_view word : {"disable", "ignore", "skip", "enable", "suppress"})
            CHECK(key.name.find(word) == std::string_view::npos);
}

TEST_CASE("numbers of a driver that break the bounds of another chemistry are not taken over in silence")
{
    const Loaded loaded = load_text(with("battery.chemistry", "nmc"));
    CHECK_FALSE(loaded.config.has_value());  // rich-pack blocks charging at 3.62 V, below the curve of NMC
}

TEST_CASE("the lines of the tree are those of the text, quotes that hold a quote are closed")
{
    const yaml::Tree tree = yaml::parse("a: 'it''s'\nb: \"x\\\"y\"\nc: 'a\n  b'\n");
    CHECK(tree.problems.empty());
    REQUIRE(tree.root.has_value());
    CHECK(tree.root->find("a")->text == "it's");
    CHECK(tree.root->find("b")->text == "x\"y");
    CHECK(tree.root->find("c")->text == "a b");
    CHECK(tree.root->find("c")->line == 3);
    CHECK(tree.root->find("d") == nullptr);
}

// SAFE-197
TEST_CASE("nobody closes contactors, resets or reads over the network unless the file says so, and there is no other door")
{
    const Loaded loaded = load_text(short_config + "mqtt: {host: mqtt.local}\n");
    REQUIRE(loaded.config.has_value());
    for (const std::string_view action : {"contactor", "reset"}) {
        const auto& offered = loaded.config->mqtt->commands;
        CHECK(std::find(offered.begin(), offered.end(), action) == offered.end());
    }
    CHECK(has_problem(load_text(short_config + "http: {listen: \"127.0.0.1:8080\"}\n"), "http.listen", "not available"));
}
