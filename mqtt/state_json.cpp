#include "mqtt/state_json.hpp"

#include "mqtt/fault_text.hpp"
#include "mqtt/json.hpp"

#include <algorithm>

namespace batgw::mqtt {
namespace {

using Milli = std::optional<std::int64_t>;

template <class Q>
Milli fresh(const Reading<Q>& reading, Instant now)
{
    const auto value = reading.fresh(now);
    return value ? Milli{value->milli()} : std::nullopt;
}
template <class Q>
Milli milli(const std::optional<Q>& value)
{
    return value ? Milli{value->milli()} : std::nullopt;
}
// Thousandths of a Wh to thousandths of a kWh.
Milli kilo(Milli value) { return value ? Milli{scaled(*value, 0)} : std::nullopt; }

Milli power_of(const BatteryState& b, Instant now)
{
    const auto v = b.voltage.fresh(now);
    const auto i = b.current.fresh(now);
    return v && i ? Milli{(*v * *i).milli()} : std::nullopt;
}
// What the battery allows; of one that states a current, at the present voltage.
Milli allowed(const BatteryState& b, const Reading<Power>& power, const Reading<Current>& current, Instant now)
{
    const auto v = b.voltage.fresh(now);
    const auto i = current.fresh(now);
    return power.last() || !v || !i ? fresh(power, now) : Milli{(*v * *i).milli()};
}
// Of a signal that comes in one of two readings.
template <class A, class B>
bool too_old(const A& a, const B& b, Instant now)
{
    const auto old = [now](const auto& r) {
        const Quality q = r.quality(now);
        return q == Quality::stale || q == Quality::bad;
    };
    return old(a) || old(b);
}
Milli delta_of(const BatteryState& b, Instant now)
{
    const auto high = b.cell_voltage_max.fresh(now), low = b.cell_voltage_min.fresh(now);
    return high && low ? Milli{(*high - *low).milli()} : std::nullopt;
}
Milli average_of(const BatteryState& b, Instant now)
{
    const auto cells = b.cells.fresh(now);
    if (!cells) return std::nullopt;
    std::int64_t sum = 0, count = 0;
    for (std::size_t i = 0; i < std::min(cells->count, cells->capacity); ++i)
        if (const auto v = (*cells)[i]) {
            sum += v->milli();
            ++count;
        }
    return count > 0 ? Milli{sum / count} : std::nullopt;
}

// A grant is shown rounded down: never more than what was granted.
std::int64_t watts(const Grant& g) { return g.power().down_in(1000); }
std::int64_t deciamps(const Grant& g) { return g.current().down_in(100); }

std::string_view link_text(bool alive, bool ever) { return alive ? "ok" : ever ? "lost" : "never"; }

void age(Json& j, const std::optional<Instant>& heard, Instant now)
{
    j.key("age_s");
    if (!heard) {
        j.null();
        return;
    }
    j.milli(std::chrono::duration_cast<std::chrono::milliseconds>(now > *heard ? now - *heard : Duration{0}).count(), 2);
}

// Signals that the battery provides, once sent, and now too old or bad.
void stale(Json& j, const BatteryState& b, const BatteryProfile* profile, Instant now)
{
    const auto one = [&](SignalId id, const auto& reading) {
        if (profile && !(*profile)[id].provided) return;
        const Quality q = reading.quality(now);
        if (q == Quality::stale || q == Quality::bad) j.string(to_string(id));
    };
    j.key("stale").open('[');
    const auto either = [&](SignalId id, const auto& first, const auto& second) {
        if ((!profile || (*profile)[id].provided) && too_old(first, second, now)) j.string(to_string(id));
    };
    either(SignalId::flags, b.charge_allowed, b.discharge_allowed);
    one(SignalId::contactor, b.contactor);
    one(SignalId::current, b.current);
    one(SignalId::voltage, b.voltage);
    one(SignalId::link_voltage, b.link_voltage);
    one(SignalId::cell_voltage_max, b.cell_voltage_max);
    one(SignalId::cell_voltage_min, b.cell_voltage_min);
    either(SignalId::charge_limit, b.charge_limit, b.charge_limit_current);
    either(SignalId::discharge_limit, b.discharge_limit, b.discharge_limit_current);
    one(SignalId::temperature_min, b.temperature_min);
    one(SignalId::temperature_max, b.temperature_max);
    one(SignalId::soc, b.soc);
    one(SignalId::insulation, b.insulation);
    one(SignalId::cells, b.cells);
    one(SignalId::temperatures, b.temperatures);
    j.close(']');
}

void assumed(Json& j, const Faults& faults)
{
    j.key("assumed").open('[');
    for (const ActiveFault& f : faults)
        if (f.id == FaultId::assumed) j.string(f.detail.view());
    j.close(']');
}

void gateway(Json& j, const Snapshot& s)
{
    const Verdict& v = s.verdict;
    j.key("gateway").open('{');
    j.key("mode").string(v.state == GatewayState::observe ? "observe" : "run");
    j.key("state").string(to_string(v.state));
    j.key("fault_class").string(to_string(v.worst));
    j.key("faults").integer(v.faults.size());
    j.key("first_cause");
    if (v.first_cause)
        j.string(fault_id(*v.first_cause));
    else
        j.null();
    j.key("text").string(state_text(s));
    j.key("charge_ok").boolean(!v.charge.is_zero());
    j.key("discharge_ok").boolean(!v.discharge.is_zero());
    j.close('}');
}

void operator_part(Json& j, const Snapshot& s)
{
    const OperatorState& o = s.operator_;
    j.key("operator").open('{');
    j.key("charge").string(o.charge ? "ON" : "OFF");
    j.key("discharge").string(o.discharge ? "ON" : "OFF");
    j.key("max_charge_w").milli(o.max_charge.milli(), 0);
    j.key("max_discharge_w").milli(o.max_discharge.milli(), 0);
    j.key("pause").string(o.paused ? "ON" : "OFF");
    j.key("limit_ttl_s");
    if (o.limits_expire)
        j.milli(std::max<std::int64_t>(0, (*o.limits_expire - s.now) / 1ms), 0);
    else
        j.null();
    j.close('}');
}

void limits(Json& j, const Verdict& v)
{
    j.key("limits").open('{');
    j.key("charge_w").raw(fixed_text(watts(v.charge), 0));
    j.key("discharge_w").raw(fixed_text(watts(v.discharge), 0));
    j.key("charge_a").raw(fixed_text(deciamps(v.charge), 1));
    j.key("discharge_a").raw(fixed_text(deciamps(v.discharge), 1));
    j.key("charge_by").string(to_string(v.charge.by()));
    j.key("discharge_by").string(to_string(v.discharge.by()));
    j.key("voltage_max").milli(milli(v.voltage_max), 1);
    j.key("voltage_min").milli(milli(v.voltage_min), 1);
    j.close('}');
}

// How much is told of the modules: a tall tower with long numbers gets less, so that STATE stays within its size.
enum class Detail : std::uint8_t { all, some, none };

void modules(Json& j, const BatteryState& b, Instant now, Detail detail)
{
    if (b.modules.empty() || detail == Detail::none) return;
    const bool brief = detail == Detail::some;
    j.key("modules").open('[');
    for (const Module& m : b.modules) {
        j.open('{');
        j.key("number").integer(m.address);
        j.key("soc").milli_short(fresh(m.soc, now), 1);
        if (!brief) j.key("voltage").milli_short(fresh(m.voltage, now), 1);
        j.key("current").milli_short(fresh(m.current, now), 1);
        if (!brief) {
            j.key("cell_min").milli(fresh(m.cell_voltage_min, now), 3);
            j.key("cell_max").milli(fresh(m.cell_voltage_max, now), 3);
            j.key("temperature_min").milli_short(fresh(m.temperature_min, now), 1);
            j.key("temperature_max").milli_short(fresh(m.temperature_max, now), 1);
        }
        j.key("alarms").milli(fresh(m.alarms, now), 0);
        j.close('}');
    }
    j.close(']');
}

void battery(Json& j, const Snapshot& s, const BatteryProfile* profile, Detail detail)
{
    const BatteryState& b = s.battery;
    const Instant now = s.now;
    j.key("battery").open('{');
    j.key("link").string(link_text(s.verdict.battery_link, b.heard.has_value()));
    age(j, b.heard, now);
    j.key("soc").milli(fresh(b.soc, now), 1);
    j.key("soc_shown").milli(fresh(s.inverter.sent_soc, now), 1);
    j.key("soc_overridden").boolean(s.inverter.soc_overridden);
    j.key("soh").milli(fresh(b.soh, now), 0);
    j.key("voltage").milli(fresh(b.voltage, now), 1);
    j.key("current").milli(fresh(b.current, now), 1);
    j.key("power").milli(power_of(b, now), 0);
    j.key("cell_min").milli(fresh(b.cell_voltage_min, now), 3);
    j.key("cell_max").milli(fresh(b.cell_voltage_max, now), 3);
    j.key("cell_avg").milli(average_of(b, now), 3);
    j.key("cell_delta").milli(delta_of(b, now), 3);
    j.key("cell_min_number").milli(fresh(b.cell_min_number, now), 0);
    j.key("cell_max_number").milli(fresh(b.cell_max_number, now), 0);
    j.key("temperature_min").milli_short(fresh(b.temperature_min, now), 1);
    j.key("temperature_max").milli_short(fresh(b.temperature_max, now), 1);
    j.key("temperature_avg").milli_short(fresh(b.temperature_avg, now), 1);
    j.key("temperature_ambient").milli_short(fresh(b.temperature_ambient, now), 1);
    j.key("allowed_charge_w").milli(allowed(b, b.charge_limit, b.charge_limit_current, now), 0);
    j.key("allowed_discharge_w").milli(allowed(b, b.discharge_limit, b.discharge_limit_current, now), 0);
    j.key("energy_remaining").milli(kilo(fresh(b.energy_remaining, now)), 1);
    j.key("energy_full").milli(kilo(fresh(b.energy_full, now)), 1);
    j.key("energy_charged").milli_short(kilo(fresh(b.energy_in, now)), 2);
    j.key("energy_discharged").milli_short(kilo(fresh(b.energy_out, now)), 2);
    j.key("charge_remaining").milli(fresh(b.charge_remaining, now), 1);
    j.key("charge_full").milli(fresh(b.charge_full, now), 1);
    j.key("charge_in").milli(fresh(b.charge_in, now), 0);
    j.key("charge_out").milli(fresh(b.charge_out, now), 0);
    j.key("cycles").milli(fresh(b.cycles, now), 0);
    j.key("insulation").milli(fresh(b.insulation, now), 0);
    j.key("contactor");
    if (const auto c = b.contactor.fresh(now))
        j.string(to_string(*c));
    else
        j.null();
    stale(j, b, profile, now);
    assumed(j, s.verdict.faults);
    modules(j, b, now, detail);
    j.close('}');
}

// One of several packs, in short.
void one_pack(Json& j, std::size_t number, const Snapshot::Pack& pack, Instant now)
{
    const Verdict& v = pack.verdict;
    const BatteryState& b = pack.battery;
    j.key("battery" + std::to_string(number)).open('{');
    j.key("link").string(link_text(v.battery_link, b.heard.has_value()));
    age(j, b.heard, now);
    j.key("state").string(to_string(v.state));
    j.key("contactors").string(to_string(v.contactors.state));
    j.key("waiting").string(to_string(v.waiting));
    j.key("charge_w").raw(fixed_text(watts(v.charge), 0));
    j.key("discharge_w").raw(fixed_text(watts(v.discharge), 0));
    j.key("soc").milli(fresh(b.soc, now), 1);
    j.key("voltage").milli(fresh(b.voltage, now), 1);
    j.key("current").milli(fresh(b.current, now), 1);
    j.key("cell_min").milli(fresh(b.cell_voltage_min, now), 3);
    j.key("cell_max").milli(fresh(b.cell_voltage_max, now), 3);
    j.key("temperature_min").milli_short(fresh(b.temperature_min, now), 1);
    j.key("temperature_max").milli_short(fresh(b.temperature_max, now), 1);
    j.close('}');
}

void inverter(Json& j, const Snapshot& s)
{
    const InverterState& i = s.inverter;
    j.key("inverter").open('{');
    j.key("link").string(link_text(s.verdict.inverter_link, i.heard.has_value()));
    age(j, i.heard, s.now);
    j.key("name");
    if (i.name.empty())
        j.null();
    else
        j.string(i.name.view());
    j.key("voltage").milli(fresh(i.voltage, s.now), 1);
    j.key("current").milli(fresh(i.current, s.now), 1);
    j.key("temperature").milli(fresh(i.temperature, s.now), 1);
    j.key("soc").milli(fresh(i.soc, s.now), 1);
    j.close('}');
}

bool welded(const Snapshot& s)
{
    return std::any_of(
        s.verdict.faults.begin(), s.verdict.faults.end(), [](const ActiveFault& f) { return f.id == FaultId::contactor_welded; });
}

void contactors(Json& j, const Snapshot& s)
{
    const ContactorVerdict& c = s.verdict.contactors;
    j.key("contactors").open('{');
    j.key("mode").string(to_string(s.contactor_mode));
    j.key("state").string(to_string(c.state));
    j.key("attempts").integer(c.attempts);
    j.key("opened_under_load").integer(c.opened_under_load);
    // Only a found weld is known; that there is none would take a measurement nobody makes.
    j.key("weld");
    if (welded(s))
        j.string("welded");
    else
        j.null();
    j.close('}');
}

void buses(Json& j, const Snapshot& s)
{
    j.key("buses").open('{');
    const auto one = [&j](const Snapshot::Bus& bus) {
        const auto rate = [](double per_s) { return static_cast<std::int64_t>(std::clamp(per_s, 0.0, 1e6) * 1000); };
        j.key(bus.status.name.view()).open('{');
        j.key("state").string(to_string(bus.status.state));
        j.key("rx").milli(rate(bus.received_per_s), 1);
        j.key("tx").milli(rate(bus.sent_per_s), 1);
        j.key("errors").integer(bus.status.counters.errors());
        j.close('}');
    };
    for (std::size_t i = 0; i < s.buses.size(); ++i) {
        const Snapshot::Bus& bus = s.buses[i];
        if (bus.status.name.empty() || (i > 0 && bus.status.name == s.buses[0].status.name)) continue;
        one(bus);
    }
    for (std::size_t i = 1; i < s.packs.size(); ++i) one(s.packs[i].bus);  // that of the first is there
    j.close('}');
}

std::string whole(const Snapshot& s, const BatteryProfile* profile, const Moment& moment, Detail detail)
{
    Json j;
    j.open('{');
    j.key("version").integer(1);
    j.key("sequence").integer(s.verdict.sequence);
    j.key("time").string(utc_text(moment.wall_at(s.now)));
    j.key("clock_valid").boolean(s.clock_valid);
    j.key("uptime_s").milli(std::max<std::int64_t>(0, (s.now - s.started) / 1s) * 1000, 0);
    gateway(j, s);
    operator_part(j, s);
    limits(j, s.verdict);
    battery(j, s, profile, detail);
    for (std::size_t i = 0; i < s.packs.size(); ++i) one_pack(j, i + 1, s.packs[i], s.now);
    inverter(j, s);
    contactors(j, s);
    buses(j, s);
    j.close('}');
    return j.take();
}

}  // namespace

std::string state_json(const Snapshot& s, const BatteryProfile* profile, const Moment& moment)
{
    for (const Detail detail : {Detail::all, Detail::some})
        if (std::string text = whole(s, profile, moment, detail); text.size() <= state_bytes_max) return text;
    return whole(s, profile, moment, Detail::none);
}

std::vector<Watched> watched(const Snapshot& s)
{
    const BatteryState& b = s.battery;
    const InverterState& i = s.inverter;
    const Instant now = s.now;
    const Milli insulation = fresh(b.insulation, now);
    const auto word = [](auto e) { return Milli{static_cast<std::int64_t>(e)}; };
    const auto contactor = b.contactor.fresh(now);
    std::int64_t old = 0;  // which signals are too old, as bits
    const auto bit = [&](const auto& reading) {
        const Quality q = reading.quality(now);
        old = old * 2 + (q == Quality::stale || q == Quality::bad ? 1 : 0);
    };
    bit(b.charge_allowed), bit(b.contactor), bit(b.current), bit(b.voltage), bit(b.link_voltage), bit(b.cell_voltage_max);
    bit(b.cell_voltage_min), bit(b.charge_limit), bit(b.discharge_limit), bit(b.temperature_min), bit(b.temperature_max),
        bit(b.soc);
    bit(b.charge_limit_current), bit(b.discharge_limit_current), bit(b.discharge_allowed);
    bit(b.insulation), bit(b.cells), bit(b.temperatures);

    // clang-format off
    std::vector<Watched> all{
        {fresh(b.soc, now), 100}, {fresh(i.sent_soc, now), 100}, {fresh(b.soh, now), 1000}, {fresh(b.voltage, now), 500},
        {fresh(b.current, now), 300}, {power_of(b, now), 50'000}, {fresh(b.cell_voltage_min, now), 2}, {fresh(b.cell_voltage_max, now), 2},
        {average_of(b, now), 2}, {delta_of(b, now), 2}, {fresh(b.cell_min_number, now), 1000}, {fresh(b.cell_max_number, now), 1000},
        {fresh(b.temperature_min, now), 1000}, {fresh(b.temperature_max, now), 1000}, {fresh(b.temperature_avg, now), 1000},
        {fresh(b.temperature_ambient, now), 1000}, {allowed(b, b.charge_limit, b.charge_limit_current, now), 100'000},
        {allowed(b, b.discharge_limit, b.discharge_limit_current, now), 100'000},
        {fresh(b.energy_remaining, now), 100'000}, {fresh(b.energy_full, now), 100'000}, {fresh(b.charge_remaining, now), 500},
        {fresh(b.charge_full, now), 500}, {fresh(b.energy_in, now), 10'000}, {fresh(b.energy_out, now), 10'000},
        {fresh(b.charge_in, now), 1000}, {fresh(b.charge_out, now), 1000}, {fresh(b.cycles, now), 1000},
        {insulation, std::max<std::int64_t>(1, insulation.value_or(0) / 20)}, {contactor ? word(*contactor) : std::nullopt, 1}, {old, 1},
        {watts(s.verdict.charge), 50}, {watts(s.verdict.discharge), 50}, {deciamps(s.verdict.charge), 3}, {deciamps(s.verdict.discharge), 3},
        {word(s.verdict.charge.by()), 1}, {word(s.verdict.discharge.by()), 1}, {milli(s.verdict.voltage_max), 100},
        {milli(s.verdict.voltage_min), 100}, {word(s.verdict.state), 1}, {word(s.verdict.worst), 1},
        {static_cast<std::int64_t>(s.verdict.faults.size()), 1}, {s.operator_.charge, 1}, {s.operator_.discharge, 1},
        {s.operator_.max_charge.milli(), 1}, {s.operator_.max_discharge.milli(), 1}, {s.operator_.paused, 1},
        {word(s.verdict.contactors.state), 1}, {s.verdict.contactors.opened_under_load, 1}, {fresh(i.voltage, now), 500},
        {fresh(i.current, now), 300}, {fresh(i.temperature, now), 1000}, {fresh(i.soc, now), 500},
        {static_cast<std::int64_t>(i.name.view().size()), 1}, {word(s.buses[0].status.state), 1}, {word(s.buses[1].status.state), 1},
    };
    // clang-format on
    for (const Snapshot::Pack& p : s.packs) {
        const BatteryState& own = p.battery;
        const Verdict& v = p.verdict;
        for (const Watched& w :
            {Watched{fresh(own.soc, now), 100}, Watched{fresh(own.voltage, now), 500}, Watched{fresh(own.current, now), 300},
                Watched{fresh(own.cell_voltage_min, now), 2}, Watched{fresh(own.cell_voltage_max, now), 2},
                Watched{fresh(own.temperature_min, now), 1000}, Watched{fresh(own.temperature_max, now), 1000},
                Watched{watts(v.charge), 50}, Watched{watts(v.discharge), 50}, Watched{word(p.bus.status.state), 1},
                Watched{word(v.state), 1}, Watched{word(v.contactors.state), 1}, Watched{word(v.waiting), 1}})
            all.push_back(w);
    }
    for (const Module& m : b.modules) {
        all.push_back({m.address, 1});
        all.push_back({fresh(m.soc, now), 1000});
        all.push_back({fresh(m.alarms, now), 1});
    }
    return all;
}

bool moved(const std::vector<Watched>& then, const std::vector<Watched>& now)
{
    if (then.size() != now.size()) return true;
    for (std::size_t i = 0; i < now.size(); ++i) {
        if (then[i].value.has_value() != now[i].value.has_value()) return true;
        if (!now[i].value) continue;
        std::int64_t step = 0;
        if (__builtin_sub_overflow(*now[i].value, *then[i].value, &step)) return true;
        if (step >= now[i].deadband || step <= -now[i].deadband) return true;
    }
    return false;
}

}  // namespace batgw::mqtt
