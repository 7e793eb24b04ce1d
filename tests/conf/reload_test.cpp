#include "conf/reload.hpp"

#include "tests/conf/helpers.hpp"

#include <doctest/doctest.h>

using namespace batgw;
using namespace batgw::test;

namespace {

Config config_of(const std::string& text)
{
    const Loaded loaded = load_text(text);
    CAPTURE(lines_of(loaded.problems));
    REQUIRE(loaded.config.has_value());
    return *loaded.config;
}

using Names = std::vector<std::string>;

}  // namespace

// SAFE-242
TEST_CASE("an option of a driver needs a restart, by its name")
{
    const ReloadPlan plan = compare(config_of(short_config), config_of(with("battery.options.modules", "3")));
    CHECK(plan.changed == Names{"battery.options.modules"});
    CHECK(plan.restart_required == plan.changed);
    const ReloadPlan inverter = compare(config_of(short_config), config_of(with("inverter.options.margin_v", "1.5")));
    CHECK(inverter.restart_required == Names{"inverter.options.margin_v"});
}

// SAFE-242: the driver's profile changes with the option; both are named.
TEST_CASE("numbers that follow from an option are named beside it")
{
    const ReloadPlan plan = compare(config_of(short_config), config_of(with("battery.options.modules", "5")));
    CHECK(plan.changed == Names{"battery.options.modules", "safety.cell.block_high.set_v"});
    CHECK(plan.restart_required == Names{"battery.options.modules"});
}

// SAFE-242
TEST_CASE("another protocol needs a restart")
{
    const std::string other =
        "battery:\n  protocol: rich-pack\n  interface: can0\ninverter:\n  protocol: quiet-inverter\n  interface: can1\n";
    const ReloadPlan plan = compare(config_of(short_config), config_of(other));
    CHECK(plan.restart_required.front() == "inverter.protocol");
}

// SAFE-241
TEST_CASE("the broker may come, go and change live")
{
    const Config without = config_of(short_config);
    const Config with_broker = config_of(short_config + "mqtt: {host: a}\n");
    CHECK(compare(without, with_broker).changed == Names{"mqtt"});
    CHECK(compare(with_broker, without).changed == Names{"mqtt"});
    CHECK(compare(without, with_broker).restart_required.empty());
    const Config other = config_of(short_config + "mqtt: {host: b, port: 1883, tls: {verify: yes}, commands: []}\n");
    const ReloadPlan plan = compare(with_broker, other);
    CHECK(plan.changed == Names{"mqtt.tls", "mqtt.host", "mqtt.commands"});
    CHECK(plan.restart_required.empty());
}

TEST_CASE("the same file changes nothing")
{
    const ReloadPlan plan = compare(config_of(short_config), config_of(short_config));
    CHECK(plan.changed.empty());
    CHECK(plan.restart_required.empty());
}
