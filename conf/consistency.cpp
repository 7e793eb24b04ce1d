// Values that are good alone but not together (SAFE-042, SAFE-060, SAFE-062, SAFE-075 and common sense).
#include "conf/draft.hpp"
#include "model/chemistry.hpp"
#include "model/interface_name.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <initializer_list>

namespace batgw {
namespace {

using Keys = std::initializer_list<std::string_view>;

class Checker {
public:
    explicit Checker(Draft& draft) : draft_{draft} {}

    // Complains at the last of `keys` in the file, or, when none was written, at the battery's protocol, whose numbers they are.
    void require(bool good, Keys keys, const std::string& what, const std::string& allowed)
    {
        if (good || any_bad(keys)) return;
        std::string_view key = *keys.begin();
        Place where = protocol_place();
        Place last{};
        for (const std::string_view k : keys)
            if (const auto w = draft_.written.find(k); w != draft_.written.end() && last < w->second) {
                key = k;
                where = last = w->second;
            }
        draft_.complain(where, key, what, allowed);
    }

    // The number of `low` is below that of `high` (or equal, if so).
    void below(std::string_view low, std::string_view high, bool or_equal, const std::string& rule)
    {
        const std::int64_t a = number(low);
        const std::int64_t b = number(high);
        if (or_equal ? a <= b : a < b) return;
        const bool about_low = later(low, high);
        const std::string_view other = about_low ? high : low;
        // Of two that may be equal the low one is above the high one; of two that may not it is at least not below.
        const std::string_view relation = or_equal ? (about_low ? "above" : "below") : (about_low ? "not below" : "not above");
        const std::string what = fmt::format("{} is {} {} ({})", text(about_low ? low : high), relation, other, text(other));
        require(false, {high, low}, what, rule);
    }

    std::int64_t number(std::string_view name) const
    {
        const KeyValue v = find_key(name)->get(draft_.config);
        const auto* n = std::get_if<std::int64_t>(&v);
        return n != nullptr ? *n : std::numeric_limits<std::int64_t>::max();
    }
    std::string text(std::string_view name) const
    {
        const Key& key = *find_key(name);
        const KeyValue value = key.get(draft_.config);
        const std::string_view unit = std::holds_alternative<std::monostate>(value) ? "" : unit_of(key);
        return print_value(key, value) + (unit.empty() ? "" : " ") + std::string{unit};
    }
    bool any_bad(Keys keys) const
    {
        return std::any_of(keys.begin(), keys.end(), [&](std::string_view k) { return draft_.is_bad(k); });
    }
    Place protocol_place() const
    {
        const auto w = draft_.written.find("battery.protocol");
        return w != draft_.written.end() ? w->second : Place{1, 1};
    }

private:
    // Whether `a` is the one to blame: the one that stands later in the file.
    bool later(std::string_view a, std::string_view b) const
    {
        const auto wa = draft_.written.find(a);
        const auto wb = draft_.written.find(b);
        if (wa == draft_.written.end()) return false;
        return wb == draft_.written.end() || wb->second < wa->second;
    }
    Draft& draft_;
};

void check_cells(Checker& c)
{
    const std::string low = "deep < trip < block < clear, and block < cut-off";
    const std::string high = "clear < block < trip, and target < block";
    c.below("safety.cell.deep_v", "safety.cell.trip_low_v", false, low);
    c.below("safety.cell.trip_low_v", "safety.cell.block_low.set_v", false, low);
    c.below("safety.cell.block_low.set_v", "safety.cell.block_low.clear_v", false, low);
    c.below("safety.cell.block_low.set_v", "safety.cell.cutoff_v", false, low);
    c.below("safety.cell.cutoff_v", "safety.cell.target_v", false, "cut-off < target");
    c.below("safety.cell.target_v", "safety.cell.block_high.set_v", false, high);
    c.below("safety.cell.block_high.clear_v", "safety.cell.block_high.set_v", false, high);
    c.below("safety.cell.block_high.set_v", "safety.cell.trip_high_v", false, high);
    c.below("safety.cell.block_low.clear_v", "safety.cell.block_high.clear_v", false, "released low < released high");
    const std::string deviation = "warn <= block < trip";
    c.below("safety.cell.deviation.warn_mv", "safety.cell.deviation.block_mv", true, deviation);
    c.below("safety.cell.deviation.block_mv", "safety.cell.deviation.trip_mv", false, deviation);
    c.below("safety.cell.deviation.knee_low_v", "safety.cell.deviation.knee_high_v", false, "low knee < high knee");
}

// SAFE-063: the limits are halved before the block comes.
void check_deviation_derate(Checker& c, const SafetyConfig::Cell& cell)
{
    c.require(cell.deviation_derate_to <= cell.deviation_block,
        {"safety.cell.deviation.derate_mv", "safety.cell.deviation.block_mv"}, "derate_mv ends above block_mv",
        "derate <= block");
}

// First x from which a curve is 0 to its end; nothing when it does not end at 0.
std::optional<std::int64_t> last_zero(const Curve& curve)
{
    std::optional<std::int64_t> x;
    for (std::size_t i = curve.size(); i-- > 0 && curve[i].y == Percent{};) x = curve[i].x_milli;
    return x;
}
std::optional<std::int64_t> first_zero(const Curve& curve)
{
    std::optional<std::int64_t> x;
    for (std::size_t i = 0; i < curve.size() && curve[i].y == Percent{}; ++i) x = curve[i].x_milli;
    return x;
}
// The top of a curve that rises to it and falls after it; size() when it does something else.
bool has_one_top(const Curve& curve)
{
    std::size_t i = 1;
    while (i < curve.size() && curve[i - 1].y <= curve[i].y) ++i;
    while (i < curve.size() && curve[i - 1].y >= curve[i].y) ++i;
    return i >= curve.size();
}

// SAFE-074, SAFE-075.
void check_cell_curves(Checker& c, const SafetyConfig::Cell& cell)
{
    constexpr std::string_view up = "safety.cell.charge_curve";
    constexpr std::string_view down = "safety.cell.discharge_curve";
    const auto falls = [](const Curve& x) {
        return std::is_sorted(x.begin(), x.end(), [](const auto& a, const auto& b) { return a.y > b.y; });
    };
    const auto rises = [](const Curve& x) {
        return std::is_sorted(x.begin(), x.end(), [](const auto& a, const auto& b) { return a.y < b.y; });
    };
    c.require(falls(cell.charge_curve), {up}, "the curve rises", "a higher cell never gives more");
    c.require(rises(cell.discharge_curve), {down}, "the curve falls", "a lower cell never gives more");
    const auto top = last_zero(cell.charge_curve);
    c.require(top.has_value(), {up}, "the curve does not end at 0", "0 at or below block_high.set_v");
    c.require(!top || *top <= cell.block_high.milli(), {up, "safety.cell.block_high.set_v"},
        fmt::format("the curve is 0 only from {} V, above block_high.set_v ({})", print_number(top.value_or(0), 1000),
            c.text("safety.cell.block_high.set_v")),
        "0 at or below block_high.set_v");
    const auto bottom = first_zero(cell.discharge_curve);
    c.require(bottom.has_value(), {down}, "the curve does not begin at 0", "0 at or above block_low.set_v");
    c.require(!bottom || *bottom >= cell.block_low.milli(), {down, "safety.cell.block_low.set_v"},
        fmt::format("the curve is 0 only up to {} V, below block_low.set_v ({})", print_number(bottom.value_or(0), 1000),
            c.text("safety.cell.block_low.set_v")),
        "0 at or above block_low.set_v");
}

// Outside its outer points a temperature curve is 0, so that is where it blocks at the latest.
void check_temperature_curve(Checker& c, std::string_view key, const Curve& curve, const SafetyConfig::TemperatureRules& t)
{
    if (curve.empty()) return;
    c.require(has_one_top(curve), {key}, "the curve falls and rises again", "rises with temperature, then falls");
    const std::int64_t hot = last_zero(curve).value_or(curve[curve.size() - 1].x_milli);
    const std::int64_t cold = first_zero(curve).value_or(curve[0].x_milli);
    c.require(hot < t.trip.milli(), {key, "safety.temperature.trip_c"},
        fmt::format("the curve is 0 only from {} °C, not below trip_c ({})", print_number(hot, 1000),
            c.text("safety.temperature.trip_c")),
        "0 below trip_c");
    c.require(cold >= t.min.milli(), {key, "safety.temperature.min_c"},
        fmt::format(
            "the curve is 0 only up to {} °C, below min_c ({})", print_number(cold, 1000), c.text("safety.temperature.min_c")),
        "0 at or above min_c");
}

void check_temperature(Checker& c, const SafetyConfig::TemperatureRules& t)
{
    check_temperature_curve(c, "safety.temperature.charge_curve", t.charge_curve, t);
    check_temperature_curve(c, "safety.temperature.discharge_curve", t.discharge_curve, t);
    c.below("safety.temperature.trip_c", "safety.temperature.emergency_c", false, "trip < emergency");
    c.below("safety.temperature.min_c", "safety.temperature.trip_c", false, "min < trip");
    c.below("safety.temperature.spread.warn_k", "safety.temperature.spread.block_k", true, "warn <= block");
    c.below("safety.temperature.spread.clear_k", "safety.temperature.spread.block_k", false, "clear < block");
}

void check_other_safety(Checker& c, const SafetyConfig& s)
{
    c.below("safety.link_lost_s", "safety.link_lost_open_s", true, "lost before opened");
    const std::string over = "warn <= block <= trip";
    c.below("safety.over_limit.warn_s", "safety.over_limit.block_s", true, over);
    c.below("safety.over_limit.block_s", "safety.over_limit.trip_s", true, over);
    c.below("safety.over_current.block_pct", "safety.over_current.trip_pct", false, "block < trip");
    c.below("safety.insulation.block_ohm_per_v", "safety.insulation.warn_ohm_per_v", false, "block < warn");
    c.below("safety.process.stall_warn_ms", "safety.process.stall_block_ms", false, "warn < block");
    c.below("safety.contactors.open.min_wait_s", "safety.contactors.open.max_wait_s", true, "min_wait <= max_wait");
    c.below("safety.contactors.cycles.per_hour", "safety.contactors.cycles.per_day", true, "per_hour <= per_day");
    c.require(s.soc.min + s.soc.hysteresis_low < s.soc.max - s.soc.hysteresis_high,
        {"safety.soc.min_pct", "safety.soc.max_pct", "safety.soc.hysteresis_low_pct", "safety.soc.hysteresis_high_pct"},
        "leaves nothing between empty and full", "min_pct + hysteresis_low_pct < max_pct - hysteresis_high_pct");
}

constexpr std::array<std::string_view, 10> gpio_line_keys{"contactors.gpio.positive", "contactors.gpio.precharge",
    "contactors.gpio.negative", "contactors.gpio.economiser", "contactors.gpio.heartbeat", "contactors.gpio.negative_feedback",
    "contactors.gpio.precharge_feedback", "contactors.gpio.positive_feedback", "contactors.gpio.interlock",
    "contactors.gpio.emergency_stop"};

void check_gpio_lines(Checker& c, const Draft& d)
{
    const auto line = [&](std::string_view key) {
        const KeyValue v = find_key(key)->get(d.config);
        const auto* n = std::get_if<std::int64_t>(&v);
        return n != nullptr ? std::optional{*n} : std::nullopt;
    };
    c.require(!d.config.gpio_chip.empty() || d.is_bad("contactors.gpio.chip"), {"contactors.mode"},
        "gpio needs contactors.gpio.chip", "gpiochip0, /dev/gpiochip0 or the chip's label");
    for (std::size_t i = 0; i < 3; ++i)
        c.require(line(gpio_line_keys[i]) || d.is_bad(gpio_line_keys[i]), {"contactors.mode"},
            fmt::format("gpio needs {}", gpio_line_keys[i]), "lines for negative, precharge and positive");
    for (std::size_t i = 0; i < gpio_line_keys.size(); ++i) {
        const bool wired = line(gpio_line_keys[i]).has_value();
        const bool low = ((d.config.safety.contactors.gpio.active_low >> i) & 1U) != 0;
        c.require(wired || !low, {"contactors.gpio.active_low"}, fmt::format("{} is not wired", last_part(gpio_line_keys[i])),
            "lines that are written");
        for (std::size_t j = 0; j < i; ++j)
            c.require(!wired || line(gpio_line_keys[i]) != line(gpio_line_keys[j]), {gpio_line_keys[j], gpio_line_keys[i]},
                fmt::format("line {} is used for {} and {}", line(gpio_line_keys[i]).value_or(0), last_part(gpio_line_keys[j]),
                    last_part(gpio_line_keys[i])),
                "each line once");
    }
}

// Contactors whose coils hang on lines of ours.
void check_gpio(Checker& c, const Draft& d)
{
    const auto& contactors = d.config.safety.contactors;
    const auto& p = contactors.precharge;
    if (contactors.mode != ContactorMode::gpio) return;
    c.require(!p.timer || p.time, {"safety.contactors.precharge.mode"}, "timer needs precharge.time_s",
        "a time of at least five time constants");
    c.require(d.battery == nullptr || d.battery->profile.contactor_mode != ContactorMode::bms_command, {"contactors.mode"},
        "this battery has contactors of its own, and wants to be asked", "bms_command, none");
    check_gpio_lines(c, d);
    const Duration longest = contactors.negative_time + (p.timer ? p.time.value_or(p.max) : p.max) + contactors.overlap;
    c.require(longest <= contactors.close_total,
        {"safety.contactors.close_total_s", "safety.contactors.negative_ms", "safety.contactors.precharge.max_s",
            "safety.contactors.precharge.time_s", "safety.contactors.overlap_ms"},
        "leaves no time to close", "negative_ms + precharge + overlap_ms <= close_total_s");
    c.require(p.min + p.hold < p.max,
        {"safety.contactors.precharge.min_ms", "safety.contactors.precharge.hold_ms", "safety.contactors.precharge.max_s"},
        "leaves no time to precharge", "min_ms + hold_ms < max_s");
    c.require(!contactors.persistence_acknowledged || contactors.gpio.heartbeat,
        {"safety.contactors.gpio_persistence_acknowledged", "contactors.gpio.heartbeat"},
        "needs a heartbeat output with a drop-out relay", "contactors.gpio.heartbeat");
}

void check_contactors(Checker& c, const Draft& d)
{
    check_gpio(c, d);
    const auto& contactors = d.config.safety.contactors;
    const bool commands = d.battery != nullptr &&
        (d.battery->profile.contactor_mode == ContactorMode::bms_command || d.battery->profile.commands_contactors);
    c.require(d.battery == nullptr || commands || contactors.mode != ContactorMode::bms_command, {"contactors.mode"},
        "this battery takes no contactor commands", "none");
    c.require(contactors.open_on_exit || contactors.mode == ContactorMode::bms_command,
        {"safety.contactors.on_exit", "contactors.mode"}, "leave needs contactors.mode bms_command", "open");
    const bool by_hand = d.config.mqtt &&
        std::find(d.config.mqtt->commands.begin(), d.config.mqtt->commands.end(), "contactor") != d.config.mqtt->commands.end();
    c.require(contactors.close_automatically || contactors.mode == ContactorMode::none || by_hand,
        {"contactors.close", "mqtt.commands"}, "nothing could ever close the contactors",
        "automatic, or list contactor in mqtt.commands");
}

void check_window(Checker& c, const Draft& d)
{
    const BatteryConfig& b = d.config.battery;
    if (b.voltage_min && b.voltage_max) c.below("battery.voltage_min_v", "battery.voltage_max_v", false, "min < max");
    if (!b.cells) return;
    const auto& cell = d.config.safety.cell;
    const std::int64_t cells = *b.cells;
    const Voltage low = std::max(b.voltage_min.value_or(Voltage{}), cell.block_low * cells);
    const Voltage high = std::min(b.voltage_max.value_or(cell.block_high * cells), cell.block_high * cells);
    c.require(low < high, {"battery.voltage_min_v", "battery.voltage_max_v", "battery.cells"},
        fmt::format("{} cells work between {} and {} V, outside this window", cells,
            print_number(cell.block_low.milli() * cells, 1000), print_number(cell.block_high.milli() * cells, 1000)),
        "a window that overlaps");
}

void check_battery(Checker& c, const Draft& d)
{
    c.below("battery.charge_w", "battery.max_charge_w", true, "at most the ceiling");
    c.below("battery.discharge_w", "battery.max_discharge_w", true, "at most the ceiling");
    check_window(c, d);
    if (d.battery == nullptr) return;
    const BatteryProfile& profile = d.battery->profile;
    for (const std::string_view key : {std::string_view{"battery.max_charge_w"}, std::string_view{"battery.max_discharge_w"}})
        c.require(profile.states_limits || d.is_written(key), {key}, "missing",
            "this battery states no limits of its own: 0..100000 W");
    const BatteryConfig& b = d.config.battery;
    const bool tells = profile[SignalId::cells].provided || profile.wants_cell_count;
    const bool known = b.cells || tells || (b.voltage_min && b.voltage_max);
    c.require(known || c.any_bad({"battery.voltage_min_v", "battery.voltage_max_v"}), {"battery.cells"}, "missing",
        "this battery does not tell: cells, or voltage_min_v and voltage_max_v");
}

// SAFE-029: nothing is assumed of what the battery delivers.
void check_assumptions(Checker& c, const Draft& d)
{
    if (d.battery == nullptr) return;
    const auto& assume = d.config.safety.assume;
    const auto check = [&](SignalId id, bool assumed, const char* nothing) {
        const std::string key = fmt::format("safety.assume.{}", to_string(id));
        c.require(!assumed || !d.battery->profile[id].provided, {key}, "this battery delivers it", nothing);
    };
    check(SignalId::temperature_min, assume.temperature_min.has_value(), "unset");
    check(SignalId::temperature_max, assume.temperature_max.has_value(), "unset");
    check(SignalId::soc, assume.soc.has_value(), "unset");
    check(SignalId::cell_voltage_min, assume.cell_voltage_min, "off");
    check(SignalId::cell_voltage_max, assume.cell_voltage_max, "off");
}

// SAFE-113: a method that nobody carries out protects nobody.
void check_stop_methods(Checker& c, const Draft& d)
{
    const std::string key = "safety.inverter_link.stop_methods";
    const auto& link = d.config.safety.inverter_link;
    c.require(d.inverter == nullptr || !link.request_bits || d.inverter->asks_for_charge, {key},
        "this inverter's protocol has nothing to ask for", "without request_bits");
    c.require(!link.contactors || d.config.safety.contactors.mode != ContactorMode::none, {key, "contactors.mode"},
        "no contactors are commanded", "without contactors");
}

// The same device file or USB device, with whatever is behind it.
bool same_port(const std::string& a, const std::string& b)
{
    const auto one = parse_interface(a);
    const auto other = parse_interface(b);
    return one && other && !one->port.text.empty() && one->port.text == other->port.text;
}

void check_buses(Checker& c, const Draft& d)
{
    const std::string& battery = d.config.battery.interface;
    const std::string& inverter = d.config.inverter.interface;
    const bool same = (!battery.empty() && battery == inverter) || same_port(battery, inverter);
    c.require(!same, {"inverter.interface", "battery.interface"},
        fmt::format("{} is the bus of both battery and inverter", shown(inverter)), "two different buses");
}

// What a protocol is spoken on, and whether a bit rate makes sense there.
void check_line(Checker& c, std::string_view interface_key, std::string_view bitrate_key, const std::string& interface,
    bool has_bitrate, std::string_view protocol, const std::optional<SerialLine>& serial)
{
    const auto name = parse_interface(interface);
    if (!name) return;
    const bool is_line = name->kind == InterfaceKind::serial;
    c.require(is_line || !serial, {interface_key},
        fmt::format("{} is no serial line, and {} wants one", shown(interface), protocol),
        "a serial port: /dev/NAME or usb:VENDOR:PRODUCT");
    c.require(!is_line || serial.has_value(), {interface_key},
        fmt::format("{} is a serial line, and {} is spoken on CAN", shown(interface), protocol),
        "a CAN bus: can0, or waveshare: or slcan: before the port of an adapter");
    c.require(!is_line || !serial || !has_bitrate, {bitrate_key},
        fmt::format("a serial line has no bit rate of a CAN bus; {} runs at {} baud", protocol, serial ? serial->baud : 0),
        "leave it out");
}

void check_lines(Checker& c, const Draft& d)
{
    const BatteryConfig& b = d.config.battery;
    const InverterConfig& i = d.config.inverter;
    if (d.battery != nullptr)
        check_line(c, "battery.interface", "battery.bitrate", b.interface, b.bitrate.has_value(), b.protocol, d.battery->serial);
    if (d.inverter != nullptr)
        check_line(c, "inverter.interface", "inverter.bitrate", i.interface, i.bitrate.has_value(), i.protocol, std::nullopt);
}

void check_inverter_options(Checker& c, const Draft& d)
{
    if (d.inverter == nullptr || d.inverter->objection == nullptr) return;
    const auto objection = d.inverter->objection(d.config.inverter.options);
    if (!objection) return;
    const std::string key = fmt::format("inverter.options.{}", objection->option);
    c.require(false, {key, "inverter.protocol"}, fmt::format("{} {}", objection->option, objection->what),
        std::string{objection->allowed});
}

void check_mqtt(Checker& c, const MqttConfig& m)
{
    const bool secret = !m.password.empty() || !m.password_file.empty();
    c.require(m.password.empty() || m.password_file.empty(), {"mqtt.password_file", "mqtt.password"},
        "password and password_file are both given", "one of them");
    c.require(!secret || !m.username.empty(), {"mqtt.password", "mqtt.password_file", "mqtt.username"},
        "a password without a username", "both, or neither");
    c.below("mqtt.state_interval_s", "mqtt.state_refresh_s", true, "interval <= refresh");
    if (!m.tls.on) return;
    c.require(m.tls.cert.empty() == m.tls.key.empty(), {"mqtt.tls.cert", "mqtt.tls.key"}, "cert and key belong together",
        "both, or neither");
    c.require(m.tls.psk_identity.empty() == m.tls.psk_file.empty(), {"mqtt.tls.psk_identity", "mqtt.tls.psk_file"},
        "psk_identity and psk_file belong together", "both, or neither");
    c.require(m.tls.psk_identity.empty() || (m.tls.ca.empty() && m.tls.cert.empty()),
        {"mqtt.tls.psk_identity", "mqtt.tls.ca", "mqtt.tls.cert"}, "a pre-shared key and certificates", "one of them");
}

// Packs in parallel (SAFE-281): of one kind, each on a bus of its own, with contactors that are ours to close.
void check_second_pack(Checker& c, const Draft& d)
{
    const BatteryConfig& first = d.config.battery;
    const BatteryConfig& second = *d.config.battery2;
    c.require(second.protocol == first.protocol, {"battery2.protocol"},
        fmt::format("{} in parallel with {}", shown(second.protocol), shown(first.protocol)), "two packs of one protocol");
    c.require(second.chemistry == first.chemistry, {"battery2.chemistry"}, "not that of the first pack", "two packs of one kind");
    c.require(second.cells == first.cells, {"battery2.cells"}, "not as many as the first pack has", "two packs of one kind");
    for (const auto& [other, name] :
        {std::pair{first.interface, "battery"}, std::pair{d.config.inverter.interface, "inverter"}}) {
        const bool same = (!other.empty() && other == second.interface) || same_port(other, second.interface);
        c.require(!same, {"battery2.interface"}, fmt::format("{} is the bus of the {} already", shown(second.interface), name),
            "a bus of its own");
    }
    c.below("battery2.charge_w", "battery2.max_charge_w", true, "at most the ceiling");
    c.below("battery2.discharge_w", "battery2.max_discharge_w", true, "at most the ceiling");
    if (second.voltage_min && second.voltage_max) c.below("battery2.voltage_min_v", "battery2.voltage_max_v", false, "min < max");
    c.below("safety.parallel.warn_s", "safety.parallel.open_s", true, "warn <= open");
    if (d.battery == nullptr) return;
    c.require(!d.battery->serial, {"battery2.interface"}, "a second pack on a serial line is not possible",
        "battery2 with batteries on CAN only");
    check_line(c, "battery2.interface", "battery2.bitrate", second.interface, second.bitrate.has_value(), second.protocol,
        d.battery->serial);
    c.require(d.config.safety.contactors.mode == ContactorMode::bms_command, {"battery2.interface", "contactors.mode"},
        fmt::format("packs in parallel are closed one onto the other, which contactors.mode {} cannot do",
            to_string(d.config.safety.contactors.mode)),
        "contactors.mode bms_command, with a battery that takes contactor commands");
}

// SAFE-060, section 4: `custom` has no numbers of its own.
void check_custom(Draft& d)
{
    const auto chemistry = d.written.find("battery.chemistry");
    if (d.config.battery.chemistry != Chemistry::custom) return;
    const Place where = chemistry != d.written.end() ? chemistry->second : Checker{d}.protocol_place();
    for (const Key& key : all_keys())
        if (key.name.starts_with("safety.cell.") && !d.is_written(key.name))
            d.complain(where, key.name, "missing", "chemistry custom needs every number of safety.cell");
}

// Numbers that come from a driver obey the same bounds: an NMC written over an LFP battery, for one, would not.
void check_profile_bounds(Draft& d)
{
    const auto chemistry = d.written.find("battery.chemistry");
    const Place where = chemistry != d.written.end() ? chemistry->second : Checker{d}.protocol_place();
    for (const Key& key : all_keys()) {
        if (key.kind != KeyKind::number || d.is_written(key.name) || !has(d.config, key)) continue;
        const NumberBounds bounds = bounds_of(key, d.profile);
        const KeyValue value = key.get(d.config);
        const auto* n = std::get_if<std::int64_t>(&value);
        if (n != nullptr && (*n < bounds.min || *n > bounds.max))
            d.complain(where, key.name,
                fmt::format("{} of battery, inverter and chemistry is out of bounds", print_value(key, value)),
                print_bounds(key, bounds));
    }
}

}  // namespace

void check_consistency(Draft& draft)
{
    Checker c{draft};
    check_buses(c, draft);
    if (draft.config.battery2) check_second_pack(c, draft);
    check_inverter_options(c, draft);
    check_lines(c, draft);
    check_battery(c, draft);
    check_assumptions(c, draft);
    check_stop_methods(c, draft);
    check_contactors(c, draft);
    check_cells(c);
    check_deviation_derate(c, draft.config.safety.cell);
    check_cell_curves(c, draft.config.safety.cell);
    check_temperature(c, draft.config.safety.temperature);
    check_other_safety(c, draft.config.safety);
    if (draft.config.mqtt) check_mqtt(c, *draft.config.mqtt);
    c.require(!draft.config.safety.soc.bands || draft.config.battery.chemistry == Chemistry::lfp,
        {"safety.soc.bands", "battery.chemistry"}, "the bands are those of LFP cells", "false, or chemistry lfp");
    check_custom(draft);
    check_profile_bounds(draft);
}

}  // namespace batgw
