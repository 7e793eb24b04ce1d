// Topic and payload of a command, any bytes: never a crash, and never a command beyond what the configuration allows (SAFE-191).
#include "mqtt/desk.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <vector>

using namespace batgw;
using namespace batgw::mqtt;

namespace {

void must(bool holds)
{
    if (!holds) std::abort();
}

// What the bridge is given: within the ceilings, whole watts, times within their bounds.
bool check(const Command& c)
{
    for (const auto& power : {c.charge_power, c.discharge_power})
        must(!power || (*power >= 0_W && *power <= 10_kW && power->milli() % 1000 == 0));
    for (const auto& current : {c.charge_current, c.discharge_current}) must(!current || (*current >= 0_A && *current <= 1000_A));
    must(!c.time_to_live || (*c.time_to_live >= 5s && *c.time_to_live <= 86400s));
    return true;
}

}  // namespace

// First byte: flags. Up to the first newline the topic behind cmnd/, the rest is the payload.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    if (size == 0) return 0;
    const bool retained = (data[0] & 1) != 0, response = (data[0] & 2) != 0;
    const std::string_view text{reinterpret_cast<const char*>(data + 1), size - 1};
    const auto newline = text.find('\n');
    const std::string_view name = text.substr(0, newline);
    const std::string_view payload = newline == std::string_view::npos ? std::string_view{} : text.substr(newline + 1);

    static const MqttConfig config = [] {
        MqttConfig c;
        c.topic = "t";
        c.commands.insert(c.commands.end(), {"contactor", "reset", "capture"});
        return c;
    }();
    CommandDesk desk{config, {config.commands, 10_kW, 10_kW}};
    std::vector<Outgoing> out;
    std::vector<Command> submitted;
    const std::string topic = "t/cmnd/" + std::string{name};
    const auto outcome = desk.on_message(
        {.topic = topic,
            .payload = payload,
            .retained = retained,
            .response_topic = response ? payload : std::string_view{},
            .correlation = name},
        OperatorState{}, {Instant{1h}, 0}, [&](const Command& c) { return submitted.push_back(c), check(c); }, out);
    must(outcome.is_command);
    must(!retained || (submitted.empty() && !outcome.teleperiod));
    must(!outcome.teleperiod || !outcome.teleperiod->period ||
        (*outcome.teleperiod->period >= 4s && *outcome.teleperiod->period <= 3600s));
    for (const Command& c : submitted) {
        CommandResult r;
        r.ticket = c.ticket;
        r.code = CommandCode::ok;
        desk.on_result(r, {Instant{1h}, 0}, out);
    }
    must(desk.pending() == 0);
    must(!out.empty() || outcome.teleperiod);
    for (const Outgoing& m : out)  // answers are ASCII, whatever came in
        for (const char c : m.payload) must(c >= ' ' && c <= '~');
    return 0;
}
