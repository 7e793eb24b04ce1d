#include "batgw/status_text.hpp"

#include "mqtt/alarms_json.hpp"
#include "mqtt/fault_text.hpp"
#include "mqtt/state_json.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdint>

namespace batgw {
namespace {

std::string ago(Duration time)
{
    const auto s = std::max<std::int64_t>(time / 1s, 0);
    if (s < 120) return fmt::format("{} s", s);
    if (s < 7200) return fmt::format("{} min", s / 60);
    return fmt::format("{} h", s / 3600);
}

std::string latch(const ActiveFault& f)
{
    if (!f.latched) return {};
    return f.resettable ? "; latched, may be reset" : "; latched, may not be reset yet";
}

}  // namespace

std::string status_text(const Snapshot& s)
{
    const Verdict& v = s.verdict;
    if (v.sequence == 0) return "starting\n";
    std::string all = fmt::format("state       {}: {}\n", to_string(v.state), mqtt::state_text(s));
    all += fmt::format("charge      {} W\n", v.charge.power().milli() / 1000);
    all += fmt::format("discharge   {} W\n", v.discharge.power().milli() / 1000);
    all += fmt::format("contactors  {}\n", to_string(v.contactors.state));
    all += fmt::format("battery     {}\n", v.battery_link ? "alive" : "not heard");
    for (std::size_t i = 0; i < s.packs.size(); ++i) {
        const Verdict& p = s.packs[i].verdict;
        const auto volts = s.packs[i].battery.voltage.fresh(s.now);
        all += fmt::format("battery {}   {}: contactors {}, {}, waiting for: {}\n", i + 1, to_string(p.state),
            to_string(p.contactors.state),
            volts ? fmt::format("{:.1f} V", static_cast<double>(volts->milli()) / 1000) : "no voltage", to_string(p.waiting));
    }
    all += fmt::format("inverter    {}\n", v.inverter_link ? "alive" : "not heard");
    all += fmt::format("running     {}\n", ago(s.now - s.started));
    if (v.first_cause) all += fmt::format("first cause {}\n", mqtt::fault_id(*v.first_cause));
    for (const ActiveFault& f : v.faults)
        all += fmt::format("{:<11} {}: {}, for {}{}\n", to_string(f.level), mqtt::fault_id(f), mqtt::fault_text(f),
            ago(s.now - f.since), latch(f));
    return all;
}

std::string status_json(const Snapshot& s, const BatteryProfile* profile, const BothClocks& now)
{
    const mqtt::Moment moment{now.monotonic, now.wall_ms};
    const bool judged = s.verdict.sequence > 0;
    return fmt::format("{{\"STATE\":{},\"ALARMS\":{}}}\n", judged ? mqtt::state_json(s, profile, moment) : "null",
        judged ? mqtt::alarms_json(s, moment) : "null");
}

}  // namespace batgw
