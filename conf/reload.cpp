#include "conf/reload.hpp"

#include "conf/keys.hpp"

#include <algorithm>

namespace batgw {
namespace {

// Options are given to a driver when it is made: every one of them needs a restart.
void compare_options(std::string_view section, const Options& running, const Options& next, ReloadPlan& plan)
{
    const auto find = [](const Options& options, const std::string& name) -> const OptionValue* {
        for (const auto& [key, value] : options.items())
            if (key == name) return &value;
        return nullptr;
    };
    std::vector<std::string> names;
    for (const Options* options : {&running, &next})
        for (const auto& [name, value] : options->items())
            if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
    for (const std::string& name : names) {
        const OptionValue* a = find(running, name);
        const OptionValue* b = find(next, name);
        if (a != nullptr && b != nullptr && *a == *b) continue;
        const std::string key = std::string{section} + "." + name;
        plan.changed.push_back(key);
        plan.restart_required.push_back(key);
    }
}

}  // namespace

ReloadPlan compare(const Config& running, const Config& next)
{
    ReloadPlan plan;
    if (running.mqtt.has_value() != next.mqtt.has_value())
        plan.changed.emplace_back("mqtt");
    else if (running.mqtt && running.mqtt->tls.on != next.mqtt->tls.on)
        plan.changed.emplace_back("mqtt.tls");
    if (running.battery2.has_value() != next.battery2.has_value()) {
        plan.changed.emplace_back("battery2");
        plan.restart_required.emplace_back("battery2");
    }
    for (const Key& key : all_keys()) {
        if (key.name == "battery2.options" && running.battery2 && next.battery2)
            compare_options(key.name, running.battery2->options, next.battery2->options, plan);
        if (key.name == "battery.options") compare_options(key.name, running.battery.options, next.battery.options, plan);
        if (key.name == "inverter.options") compare_options(key.name, running.inverter.options, next.inverter.options, plan);
        if (key.get == nullptr || !has(running, key) || !has(next, key) || key.get(running) == key.get(next)) continue;
        plan.changed.emplace_back(key.name);
        if (key.restart) plan.restart_required.emplace_back(key.name);
    }
    return plan;
}

}  // namespace batgw
