#include "conf/effective.hpp"

#include "conf/draft.hpp"
#include "model/chemistry.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace batgw {
namespace {

class Writer {
public:
    // Opens and closes sections so that `name` can be written as the next key.
    void go_to(std::string_view name)
    {
        const std::string_view section = section_of(name);
        std::size_t depth = 0;
        std::string path;
        for (std::size_t start = 0; start < section.size();) {
            const std::size_t dot = std::min(section.find('.', start), section.size());
            const std::string_view part = section.substr(start, dot - start);
            path += (path.empty() ? "" : ".") + std::string{part};
            if (depth >= open_.size() || open_[depth] != path) {
                open_.resize(depth);
                if (depth == 0 && !out_.empty()) out_ += '\n';
                out_ += fmt::format("{:{}}{}:\n", "", 2 * depth, part);
                open_.push_back(path);
            }
            ++depth;
            start = dot + 1;
        }
        if (section.empty() && !open_.empty()) out_ += '\n';
        open_.resize(depth);
    }
    void key(std::string_view name, const std::string& value, const std::string& comment)
    {
        go_to(name);
        line(fmt::format("{}: {}", last_part(name), value), comment);
    }
    void note(std::string_view name, const std::string& text)
    {
        go_to(name);
        out_ += fmt::format("{:{}}# {}\n", "", 2 * open_.size(), text);
    }
    void end_comment(const std::string& text) { out_ += text.empty() ? "#\n" : fmt::format("# {}\n", text); }
    std::string take() { return std::move(out_); }

private:
    void line(const std::string& text, const std::string& comment)
    {
        const std::string indented = fmt::format("{:{}}{}", "", 2 * open_.size(), text);
        out_ += comment.empty() ? indented + "\n" : fmt::format("{:<36}  # {}\n", indented, comment);
    }
    std::string out_;
    std::vector<std::string> open_;
};

std::string listed(std::span<const std::string_view> words)
{
    std::string out;
    for (const auto word : words) out += fmt::format("{}{}", out.empty() ? "" : ", ", word);
    return out;
}

// The configuration that the bounds of tightened keys are taken from when this text is loaded again: that of the drivers.
Config profile_of(const Config& config, const BatteryDriverInfo* battery, const InverterDriverInfo* inverter)
{
    Config profile = config;
    profile.safety = default_safety(config.battery.chemistry);
    if (battery != nullptr && battery->adjust != nullptr) battery->adjust(config.battery, profile.safety);
    if (inverter != nullptr && inverter->adjust != nullptr) inverter->adjust(config.inverter, profile.safety);
    return profile;
}

std::string comment_of(const Key& key, const Config& profile)
{
    switch (key.kind) {
    case KeyKind::number:
    case KeyKind::numbers: return print_bounds(key, bounds_of(key, profile));
    case KeyKind::choice:
    case KeyKind::choices: return listed(key.choices);
    case KeyKind::curve: return std::string{key.help};
    case KeyKind::boolean:
    case KeyKind::text:
    case KeyKind::options:
    case KeyKind::unavailable: break;
    }
    return {};
}

void write_options(Writer& out, const Key& key, const Options& options, std::span<const OptionRule> rules)
{
    if (options.items().empty()) {
        out.key(key.name, "{}", "this protocol has none");
        return;
    }
    for (const auto& [name, value] : options.items()) {
        const auto rule =
            std::find_if(rules.begin(), rules.end(), [&name = name](const OptionRule& r) { return r.name == name; });
        if (rule == rules.end()) continue;
        out.key(fmt::format("{}.{}", key.name, name), print_option(*rule, value),
            fmt::format("{}: {}", print_option_bounds(*rule), rule->help));
    }
}

void write_key(Writer& out, const Key& key, const Config& config, const Config& profile)
{
    const KeyValue value = key.get(config);
    // What came from nowhere stays unwritten: a number of the battery's own, a link that is taken as it stands.
    if (std::holds_alternative<std::monostate>(value) && key.word.empty())
        out.note(key.name, fmt::format("{}: {}", last_part(key.name), key.default_text));
    else
        out.key(key.name, print_value(key, value), comment_of(key, profile));
}

void write_profile(Writer& out, const Config& config, const BatteryDriverInfo* battery, const InverterDriverInfo* inverter)
{
    const auto yes = [](bool b) { return b ? "yes" : "no"; };
    out.end_comment("");
    if (battery != nullptr) {
        const BatteryProfile& p = battery->profile;
        out.end_comment(fmt::format("Battery driver {}: {}", battery->name, battery->models));
        out.end_comment(fmt::format("  chemistry {}, contactors {}, verified by: {}", to_string(p.chemistry),
            to_string(p.contactor_mode), to_string(p.verified)));
        out.end_comment(
            fmt::format("  states limits: {}, states its contactors: {}, link voltage told to the pack is made up: {}",
                yes(p.states_limits), yes(p.states_contactor), yes(config.safety.contactors.link_synthetic)));
    }
    if (inverter != nullptr) {
        out.end_comment(fmt::format("Inverter driver {}: {}", inverter->name, inverter->models));
        out.end_comment(fmt::format("  verified by: {}, its silence is information only: {}", to_string(inverter->verified),
            yes(config.safety.inverter_link.information_only)));
    }
}

void write_rest(Writer& out, const Config& config, const DriverCatalogue& catalogue)
{
    out.end_comment("");
    const auto off = switched_off(config, catalogue);
    out.end_comment(off.empty() ? "Checks switched off: none" : "Checks switched off:");
    for (const std::string& line : off) out.end_comment("  " + line);
    out.end_comment("Not available in this version:");
    for (const Key& key : all_keys())
        if (key.kind == KeyKind::unavailable) out.end_comment(fmt::format("  {}", key.name));
}

}  // namespace

std::string effective_yaml(const Config& config, const DriverCatalogue& catalogue)
{
    const auto* battery = catalogue.battery(config.battery.protocol);
    const auto* inverter = catalogue.inverter(config.inverter.protocol);
    const Config profile = profile_of(config, battery, inverter);
    Writer out;
    for (const Key& key : all_keys()) {
        if (key.kind == KeyKind::options) {
            const std::span<const OptionRule> none;
            if (key.name == "battery.options")
                write_options(out, key, config.battery.options, battery != nullptr ? battery->options : none);
            else if (key.name == "battery2.options" && config.battery2)
                write_options(out, key, config.battery2->options, battery != nullptr ? battery->options : none);
            else if (key.name == "inverter.options")
                write_options(out, key, config.inverter.options, inverter != nullptr ? inverter->options : none);
            continue;
        }
        if (key.name == "mqtt.tls.ca" && config.mqtt && !config.mqtt->tls.on) out.key("mqtt.tls", "{}", "off");
        if (key.kind != KeyKind::unavailable && has(config, key)) write_key(out, key, config, profile);
    }
    write_profile(out, config, battery, inverter);
    write_rest(out, config, catalogue);
    return out.take();
}

std::vector<std::string> switched_off(const Config& config, const DriverCatalogue& catalogue)
{
    const SafetyConfig& s = config.safety;
    std::vector<std::string> off;
    const auto add = [&](bool is_off, std::string_view text) {
        if (is_off) off.emplace_back(text);
    };
    const auto* battery = catalogue.battery(config.battery.protocol);
    add(s.observe, "everything that is sent: mode observe");
    add(!s.soc.required, "block when the state of charge is unknown (safety.soc.required)");
    add(s.temperature.trust_battery_limits,
        "temperature curves inside the hard bounds, where the battery states limits (safety.temperature.trust_battery_limits)");
    add(!s.insulation.block_while_closed,
        "block at low insulation while the contactors are closed (safety.insulation.block_while_closed)");
    add(!s.insulation.required, "block when the insulation is unknown (safety.insulation.required)");
    add(s.link_lost_open == for_ever, "opening of the contactors when the battery is silent (safety.link_lost_open_s)");
    add(s.inverter_link.lost_open_after == for_ever,
        "opening of the contactors when the inverter is silent (safety.inverter_link.lost_open_after_s)");
    add(s.inverter_link.information_only, "zero limits when the inverter is silent: inverter profile");
    add(s.inverter_link.black_start, "waiting for an inverter before closing (safety.inverter_link.black_start)");
    add(battery != nullptr && battery->profile.contactor_mode != ContactorMode::none && s.contactors.mode == ContactorMode::none,
        "every opening of the contactors: contactors.mode none");
    if (s.contactors.mode == ContactorMode::gpio) {
        const auto& g = s.contactors.gpio;
        add(!g.negative_feedback || !g.positive_feedback, "proof by its auxiliary contact that each contactor moved: not wired");
        add(!g.interlock, "opening when the interlock opens: not wired (contactors.gpio.interlock)");
        add(!g.emergency_stop, "opening on the emergency stop: not wired (contactors.gpio.emergency_stop)");
        add(!g.heartbeat, "opening when the program hangs: no heartbeat output (contactors.gpio.heartbeat)");
        add(s.contactors.precharge.timer, "look whether precharging worked (safety.contactors.precharge.mode)");
    }
    add(config.mqtt && config.mqtt->tls.on && !config.mqtt->tls.verify,
        "proof that the broker is the right one (mqtt.tls.verify)");
    return off;
}

}  // namespace batgw
