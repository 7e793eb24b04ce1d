// batgw list: the protocols of this build, and what can be set for each.
#include "batgw/commands.hpp"
#include "batgw/tools.hpp"
#include "conf/draft.hpp"
#include "mqtt/json.hpp"

#include <fmt/format.h>

#include <cstdio>
#include <stdexcept>

namespace batgw {
namespace {

std::string default_of(const OptionRule& rule) { return rule.default_text.empty() ? "unset" : std::string{rule.default_text}; }

void print_line(const Protocol& p)
{
    fmt::print(
        "{:9} {:15} {:24} verified: {:7} {}\n", p.kind(), p.name(), bus_text(p.serial()), to_string(p.verified()), p.models());
}

void print_options(const Protocol& p)
{
    if (p.options().empty()) fmt::print("no options\n");
    for (const OptionRule& rule : p.options())
        fmt::print("  {:20} {} (default {}): {}\n", rule.name, print_option_bounds(rule), default_of(rule), rule.help);
}

void print_json(const Protocol& p)
{
    mqtt::Json json;
    json.open('{').key("kind").string(p.kind()).key("protocol").string(p.name()).key("models").string(p.models());
    json.key("verified").string(to_string(p.verified())).key("bus").string(p.serial() ? "serial" : "can");
    if (p.serial()) json.key("baud").integer(p.serial()->baud);
    json.key("options").open('[');
    for (const OptionRule& rule : p.options()) {
        json.open('{').key("name").string(rule.name).key("type").string(option_type(rule.type));
        json.key("default").string(rule.default_text).key("allowed").string(print_option_bounds(rule));
        json.key("help").string(rule.help).close('}');
    }
    fmt::print("{}\n", json.close(']').close('}').text());
}

}  // namespace

int list_drivers(const ListOptions& options)
{
    std::vector<Protocol> chosen = all_protocols();
    if (!options.protocol.empty()) chosen = {find_protocol(options.protocol)};
    for (const Protocol& p : chosen) {
        if (options.json) {
            print_json(p);
            continue;
        }
        print_line(p);
        if (!options.protocol.empty()) print_options(p);
    }
    finish_output();
    return status_fine;
}

}  // namespace batgw
