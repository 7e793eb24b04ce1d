#include "batgw/tools.hpp"

#include "battery/registry.hpp"
#include "conf/draft.hpp"
#include "inverter/registry.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <stdexcept>

namespace batgw {

std::vector<Protocol> all_protocols()
{
    std::vector<Protocol> all;
    for (const auto* d : battery_drivers()) all.push_back({.battery = d});
    for (const auto* d : inverter_drivers()) all.push_back({.inverter = d});
    return all;
}

Protocol find_protocol(std::string_view name)
{
    std::vector<std::string_view> names;
    for (const Protocol& p : all_protocols()) {
        if (p.name() == name) return p;
        names.push_back(p.name());
    }
    const auto meant = nearest(name, names);
    throw std::invalid_argument{fmt::format("no protocol {}{}; `batgw list` prints them", shown(name),
        meant ? fmt::format(" (nearest: {})", *meant) : std::string{})};
}

Options options_of(const Protocol& protocol, const std::vector<std::string>& given)
{
    std::string text;
    for (const std::string& one : given) {
        const auto equals = one.find('=');
        if (equals == 0 || equals == std::string::npos)
            throw std::invalid_argument{"--option wants NAME=VALUE, not " + shown(one)};
        text += one.substr(0, equals) + ": " + one.substr(equals + 1) + "\n";
    }
    const yaml::Tree tree = yaml::parse(text);
    Draft draft;
    draft.problems = tree.problems;
    Options options = read_options(protocol.options(), tree.root ? &*tree.root : nullptr, "options", draft);
    if (draft.problems.empty()) return options;
    Problem first = draft.problems.front();
    first.line = first.column = 0;  // it came from the command line
    throw std::invalid_argument{to_string(first)};
}

Traffic::Traffic(const Protocol& protocol, const InverterConfig& config)
{
    if (protocol.battery != nullptr) {
        receives_ = receives_declared_ = protocol.battery->receives;
        sends_ = sends_declared_ = protocol.battery->sends;
        return;
    }
    InverterConfig plain;
    plain.options = options_of(protocol, {});
    const InverterTraffic now = protocol.inverter->traffic(config), declared = protocol.inverter->traffic(plain);
    receives_ = now.receives;
    sends_ = now.sends;
    receives_declared_ = declared.receives;
    sends_declared_ = declared.sends;
}

bool Traffic::sends(const CanFrame& frame) const
{
    return std::any_of(
        sends_.begin(), sends_.end(), [&](const TxRule& r) { return r.id == frame.id && r.extended == frame.extended; });
}

CanFrame Traffic::declared(CanFrame frame) const
{
    const auto translate = [&](const auto& used, const auto& plain) {
        for (std::size_t i = 0; i < used.size() && i < plain.size(); ++i)
            if (used[i].id == frame.id && used[i].extended == frame.extended) {
                frame.id = plain[i].id;
                frame.extended = plain[i].extended;
                return true;
            }
        return false;
    };
    if (!translate(receives_, receives_declared_)) translate(sends_, sends_declared_);
    return frame;
}

Traffic default_traffic(const Protocol& protocol)
{
    InverterConfig config;
    if (protocol.inverter != nullptr) config.options = options_of(protocol, {});
    return {protocol, config};
}

void BadLines::tell(std::string_view log, std::uint64_t number, std::string_view problem, std::string_view text)
{
    if (++count_ > told) return;
    std::string clean;
    for (const char c : text.substr(0, 80)) clean += c >= ' ' && c <= '~' ? c : '.';
    fmt::print(stderr, "{}:{}: {}: '{}{}'\n", log, number, problem, clean, text.size() > 80 ? "..." : "");
    if (count_ == told) fmt::print(stderr, "further lines like these are only counted\n");
}

void finish_output()
{
    if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0) throw std::runtime_error{"standard output cannot be written"};
}

std::string time_text(std::int64_t us)
{
    const std::int64_t seconds = us / 1'000'000, rest = us % 1'000'000;
    return fmt::format("{}{}.{:06}", us < 0 ? "-" : "", seconds < 0 ? -seconds : seconds, rest < 0 ? -rest : rest);
}

std::string bus_text(const std::optional<SerialLine>& serial)
{
    if (!serial) return "CAN";
    constexpr std::string_view parity = "NEO";
    return fmt::format("serial, {} baud 8{}1", serial->baud, parity[static_cast<std::size_t>(serial->parity)]);
}

std::string_view option_type(OptionType type)
{
    constexpr std::array<std::string_view, 5> names{"boolean", "integer", "number", "text", "choice"};
    return names[static_cast<std::size_t>(type)];
}

std::string counted(std::uint64_t n, std::string_view noun) { return fmt::format("{} {}{}", n, noun, n == 1 ? "" : "s"); }

}  // namespace batgw
