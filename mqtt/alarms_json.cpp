#include "mqtt/alarms_json.hpp"

#include "mqtt/fault_text.hpp"
#include "mqtt/json.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace batgw::mqtt {
namespace {

// Of several packs the first is `battery1`; `battery` is then all of them.
std::string device_name(const ActiveFault& f, bool several)
{
    std::string name{f.device == Device::battery ? "battery" : f.device == Device::inverter ? "inverter" : "gateway"};
    const bool numbered = f.device_number > 1 || (several && f.device == Device::battery);
    if (f.device != Device::gateway && numbered) name += std::to_string(f.device_number);
    return name;
}

void one_fault(Json& j, const ActiveFault& f, const Snapshot& s, const Moment& moment)
{
    const unsigned decimals = decimals_of(f.unit);
    const auto number = [&](std::int64_t milli) { return f.has_value ? std::optional{milli} : std::nullopt; };
    j.open('{');
    j.key("id").string(fault_id(f));
    j.key("class").string(to_string(f.level));
    j.key("direction").string(to_string(f.direction));
    j.key("latched").boolean(f.latched);
    j.key("resettable").boolean(f.resettable);
    j.key("since").string(utc_text(moment.wall_at(f.since)));
    j.key("for_s").milli(std::max<std::int64_t>(0, (s.now - f.since) / 1ms), 1);
    j.key("value").milli(number(f.value_milli), decimals);
    j.key("limit").milli(number(f.limit_milli), decimals);
    j.key("unit").string(to_string(f.unit));
    j.key("device").string(device_name(f, !s.packs.empty()));
    j.key("text").string(fault_text(f));
    j.key("rule").string(rule_of(f.id));
    j.close('}');
}

}  // namespace

std::string alarms_json(const Snapshot& s, const Moment& moment)
{
    Json j;
    j.open('{');
    j.key("version").integer(1);
    j.key("sequence").integer(s.verdict.sequence);
    j.key("worst").string(to_string(s.verdict.worst));
    j.key("charge").boolean(!s.verdict.charge.is_zero());
    j.key("discharge").boolean(!s.verdict.discharge.is_zero());
    j.key("active").open('[');
    for (const ActiveFault& f : s.verdict.faults) one_fault(j, f, s, moment);
    j.close(']').close('}');
    return j.take();
}

std::string alarms_signature(const Snapshot& s)
{
    std::string all =
        fmt::format("{}{}{}", static_cast<int>(s.verdict.worst), s.verdict.charge.is_zero(), s.verdict.discharge.is_zero());
    for (const ActiveFault& f : s.verdict.faults)
        all += fmt::format(";{}.{}.{}.{}.{}.{}.{}", fault_id(f), static_cast<int>(f.level), static_cast<int>(f.direction),
            static_cast<int>(f.device), f.device_number, f.latched, f.resettable);
    return all;
}

}  // namespace batgw::mqtt
