#include "batgw/demo_screen.hpp"

#include <fmt/format.h>

#include <cstdio>
#include <string>

#include <unistd.h>

namespace batgw {
namespace {

template <class Q>
std::string text(const std::optional<Q>& q, int decimals)
{
    if (!q) return "–";
    return fmt::format("{:.{}f} {}", static_cast<double>(q->milli()) / 1000, decimals, Q::unit);
}

std::string limit(const Grant& g)
{
    return fmt::format("{:>6} W  {:>6} by {}", g.power().in(1000), text(std::optional{g.current()}, 1), to_string(g.by()));
}

std::string bus(const Snapshot::Bus& b)
{
    return fmt::format("{:<18} {:<8} {:6.1f} frames/s in {:5.1f} out  refused {}", b.status.name.view(),
        to_string(b.status.state), b.received_per_s, b.sent_per_s, b.traffic.refused);
}

std::string topics(const MqttEar::Heard& heard)
{
    static constexpr std::string_view wanted[] = {"LWT", "STATUS", "battery/soc/percent", "battery/voltage",
        "battery/pid/current", "battery/cell-max/voltage", "inverter/send/current", "inverter/max-charge/current",
        "inverter/max-discharge/current"};
    std::string all;
    for (const auto name : wanted) {
        const auto found = heard.newest.find(fmt::format("batgw-demo/{}", name));
        if (found != heard.newest.end()) all += fmt::format("  {:<44} {}\n", found->first, found->second);
    }
    return all;
}

std::string faults(const Verdict& v)
{
    std::string all;
    for (const ActiveFault& f : v.faults)
        all += fmt::format("  {:<9} {}{}{} {}\n", to_string(f.level), to_string(f.id), f.detail.empty() ? "" : ":",
            f.detail.view(), to_string(f.direction));
    return all;
}

}  // namespace

DemoScreen::DemoScreen(bool plain) : live_{!plain && ::isatty(STDOUT_FILENO) == 1} {}

void DemoScreen::show(
    const Snapshot& s, const sim::SimulatedInverter& inverter, const MqttEar::Heard& heard, std::uint16_t port) const
{
    const Verdict& v = s.verdict;
    const double up = std::chrono::duration<double>(s.now - s.started).count();
    const BatteryState& b = s.battery;
    if (!live_) {
        fmt::print("{:6.1f} s  {:<9} contactors {:<9} soc {:<7} {:<8} {:<8} grants C {} W D {} W  told C {} D {}  {} messages\n",
            up, to_string(v.state), to_string(v.contactors.state), text(b.soc.fresh(s.now), 1), text(b.voltage.fresh(s.now), 1),
            text(b.current.fresh(s.now), 1), v.charge.power().in(1000), v.discharge.power().in(1000),
            text(inverter.charge_limit(), 1), text(inverter.discharge_limit(), 1), heard.messages);
        std::fflush(stdout);
        return;
    }
    std::string out = "\x1b[H\x1b[J";
    out += fmt::format("batgw demo  {:.1f} s   state {}   waiting for {}\n\n", up, to_string(v.state), to_string(v.waiting));
    out += fmt::format("Pack        {}  {}  soc {}  contactors {} ({})\n", text(b.voltage.fresh(s.now), 1),
        text(b.current.fresh(s.now), 1), text(b.soc.fresh(s.now), 1), to_string(v.contactors.state),
        to_string(b.contactor.fresh(s.now).value_or(ContactorFeedback::unknown)));
    out += fmt::format("            cells {} … {}   {} … {}   allows C {} D {}\n", text(b.cell_voltage_min.fresh(s.now), 3),
        text(b.cell_voltage_max.fresh(s.now), 3), text(b.temperature_min.fresh(s.now), 0),
        text(b.temperature_max.fresh(s.now), 0), text(b.charge_limit.fresh(s.now), 0), text(b.discharge_limit.fresh(s.now), 0));
    out += fmt::format("Limits      charge    {}\n            discharge {}\n", limit(v.charge), limit(v.discharge));
    out += fmt::format("Inverter    {} ({}), told: charge {} discharge {} soc {} voltage {}\n",
        s.inverter.name.empty() ? "?" : s.inverter.name.view(), to_string(s.inverter.phase), text(inverter.charge_limit(), 1),
        text(inverter.discharge_limit(), 1), text(inverter.told_soc(), 1), text(inverter.told_voltage(), 1));
    out += fmt::format(
        "            it says {}, {}\n", text(s.inverter.voltage.fresh(s.now), 1), text(s.inverter.current.fresh(s.now), 1));
    for (const Snapshot::Bus& one : s.buses) out += fmt::format("Bus         {}\n", bus(one));
    const std::string all_faults = faults(v);
    out += fmt::format("Faults\n{}", all_faults.empty() ? "  none\n" : all_faults);
    out += fmt::format("Topics      {} messages\n{}", heard.messages, topics(heard));
    out += fmt::format("\nWatch:   mosquitto_sub -p {0} -t 'batgw-demo/#' -v\nCommand: mosquitto_pub -p {0} -t "
                       "batgw-demo/cmnd/charge -m off\nCtrl-C ends it in good order.\n",
        port);
    [[maybe_unused]] const auto n = ::write(STDOUT_FILENO, out.data(), out.size());
}

}  // namespace batgw
