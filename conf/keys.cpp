#include "conf/keys.hpp"

#include "conf/checks.hpp"
#include "model/chemistry.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <concepts>
#include <type_traits>

namespace batgw {
namespace {

// --- a field of Config as a KeyValue and back ---------------------------------------------------------------------------------

template <class T>
struct Unwrapped {
    using Type = T;
};
template <class T>
struct Unwrapped<std::optional<T>> {
    using Type = T;
};

template <class Tag>
KeyValue from_field(const Quantity<Tag>& q)
{
    return q.milli();
}
KeyValue from_field(const Duration& d) { return d == for_ever ? KeyValue{} : KeyValue{std::int64_t{d.count()}}; }
template <std::integral T>
KeyValue from_field(const T& n)
{
    return static_cast<std::int64_t>(n);
}
template <class T>
KeyValue from_field(const std::optional<T>& o)
{
    return o ? from_field(*o) : KeyValue{};
}

template <class Tag>
void into_field(Quantity<Tag>& q, const KeyValue& v)
{
    q = Quantity<Tag>::from_milli(std::get<std::int64_t>(v));
}
void into_field(Duration& d, const KeyValue& v)
{
    const auto* n = std::get_if<std::int64_t>(&v);
    d = n != nullptr ? Duration{*n} : for_ever;
}
template <std::integral T>
void into_field(T& n, const KeyValue& v)
{
    n = static_cast<T>(std::get<std::int64_t>(v));
}
template <class T>
void into_field(std::optional<T>& o, const KeyValue& v)
{
    if (std::holds_alternative<std::monostate>(v))
        o.reset();
    else
        into_field(o.emplace(), v);
}

// --- makers of table entries ---------------------------------------------------------------------------------------------------

#define BATGW_FIELD(path)                                                                                                        \
    [](auto& c) -> auto& { return c.path; }

template <class T>
constexpr std::int64_t scale_for(std::string_view name)
{
    if constexpr (std::same_as<T, Duration>)
        return name.ends_with("_ms") ? 1000 : 1'000'000;
    else if constexpr (std::integral<T>)
        return 1;
    else
        return name.ends_with("_mv") ? 1 : 1000;
}
constexpr std::int64_t in_base(double value, std::int64_t scale)
{
    const double x = value * static_cast<double>(scale);
    return static_cast<std::int64_t>(x < 0 ? x - 0.5 : x + 0.5);
}

template <class Field>
constexpr Key number(std::string_view name, double min, double max, Field, std::string_view help)
{
    using T = typename Unwrapped<std::remove_cvref_t<std::invoke_result_t<Field, Config&>>>::Type;
    Key k{.name = name, .kind = KeyKind::number, .help = help};
    k.scale = scale_for<T>(name);
    k.min = in_base(min, k.scale);
    k.max = in_base(max, k.scale);
    k.get = [](const Config& c) { return from_field(Field{}(c)); };
    k.set = [](Config& c, const KeyValue& v) { into_field(Field{}(c), v); };
    return k;
}

template <class Field>
constexpr Key boolean(std::string_view name, Field, std::string_view help)
{
    Key k{.name = name, .kind = KeyKind::boolean, .help = help};
    k.get = [](const Config& c) -> KeyValue { return bool{Field{}(c)}; };
    k.set = [](Config& c, const KeyValue& v) { Field{}(c) = std::get<bool>(v); };
    return k;
}

template <class Field>
constexpr Key text(std::string_view name, Field, std::optional<Complaint> (*check)(std::string_view), std::string_view allowed,
    std::string_view help)
{
    Key k{.name = name, .kind = KeyKind::text, .help = help};
    k.allowed = allowed;
    k.check = check;
    k.get = [](const Config& c) -> KeyValue { return std::string{Field{}(c)}; };
    k.set = [](Config& c, const KeyValue& v) { Field{}(c) = std::get<std::string>(v); };
    return k;
}

// A choice is kept as an enumeration or a boolean (in the order of `names`), as text, or as a number.
template <const auto& names, class Field>
constexpr Key choice(std::string_view name, Field, std::string_view help)
{
    using T = typename Unwrapped<std::remove_cvref_t<std::invoke_result_t<Field, Config&>>>::Type;
    Key k{.name = name, .kind = KeyKind::choice, .help = help, .choices = names};
    if constexpr (std::same_as<T, std::string>) {
        k.get = [](const Config& c) -> KeyValue { return Field{}(c); };
        k.set = [](Config& c, const KeyValue& v) { Field{}(c) = std::get<std::string>(v); };
    } else {
        k.get = [](const Config& c) -> KeyValue { return std::string{names[static_cast<std::size_t>(Field{}(c))]}; };
        k.set = [](Config& c, const KeyValue& v) {
            const auto i =
                static_cast<std::size_t>(std::find(names.begin(), names.end(), std::get<std::string>(v)) - names.begin());
            Field{}(c) = static_cast<T>(i);
        };
    }
    return k;
}

constexpr std::array<std::string_view, 9> bit_rates{
    "10000", "20000", "50000", "100000", "125000", "250000", "500000", "800000", "1000000"};
constexpr std::array<std::uint32_t, 9> bit_rate_numbers{
    10'000, 20'000, 50'000, 100'000, 125'000, 250'000, 500'000, 800'000, 1'000'000};
template <class Field>
constexpr Key bit_rate(std::string_view name, Field)
{
    Key k{.name = name,
        .kind = KeyKind::choice,
        .help = "bit/s of a CAN bus; batgw then sets the rate and brings the link up (CAP_NET_ADMIN)",
        .choices = bit_rates};
    k.get = [](const Config& c) -> KeyValue {
        const std::optional<std::uint32_t> rate = Field{}(c);
        return rate ? KeyValue{std::to_string(*rate)} : KeyValue{};
    };
    k.set = [](Config& c, const KeyValue& v) {
        const auto i =
            static_cast<std::size_t>(std::find(bit_rates.begin(), bit_rates.end(), std::get<std::string>(v)) - bit_rates.begin());
        Field{}(c) = bit_rate_numbers[i];
    };
    return k.otherwise("500000 with an adapter; can0: the link as it stands").needs_restart();
}

// x of the file's unit in thousandths, y a fraction.
template <class Field>
constexpr Key curve(std::string_view name, double min, double max, Field, std::string_view help)
{
    Key k{
        .name = name, .kind = KeyKind::curve, .help = help, .scale = 1000, .min = in_base(min, 1000), .max = in_base(max, 1000)};
    k.get = [](const Config& c) -> KeyValue { return std::vector<CurvePoint>{Field{}(c).begin(), Field{}(c).end()}; };
    k.set = [](Config& c, const KeyValue& v) {
        Field{}(c).clear();
        for (const CurvePoint& p : std::get<std::vector<CurvePoint>>(v)) Field{}(c).push_back(p);
    };
    return k;
}

constexpr Key options(std::string_view name)
{
    return Key{.name = name,
        .kind = KeyKind::options,
        .help = "keys of the protocol, see its page",
        .default_text = "{}",
        .restart = true};
}

// Known, but its feature is not built: only the default is accepted (CONF-001).
constexpr Key later(std::string_view name, std::string_view default_text, std::string_view help)
{
    return Key{.name = name, .kind = KeyKind::unavailable, .help = help, .default_text = default_text};
}

// --- choices -------------------------------------------------------------------------------------------------------------------

constexpr std::array<std::string_view, 3> chemistries{"lfp", "nmc", "custom"};
constexpr std::array<std::string_view, 3> contactor_modes{"none", "bms_command", "gpio"};
constexpr std::array<std::string_view, 2> precharge_modes{"voltage", "timer"};
constexpr std::array<std::string_view, 4> biases{"as_is", "off", "pull_up", "pull_down"};
// In the order of the bits of `active_low`.
constexpr std::array<std::string_view, 10> gpio_lines{"positive", "precharge", "negative", "economiser", "heartbeat",
    "negative_feedback", "precharge_feedback", "positive_feedback", "interlock", "emergency_stop"};
constexpr std::array<std::string_view, 2> closings{"manual", "automatic"};
constexpr std::array<std::string_view, 2> run_modes{"run", "observe"};
constexpr std::array<std::string_view, 2> exits{"leave", "open"};
constexpr std::array<std::string_view, 2> derivations{"off", "derive"};
constexpr std::array<std::string_view, 4> verifications{"none", "replay", "bench", "field"};
constexpr std::array<std::string_view, 5> stop_methods{"limits", "request_bits", "soc_override", "silence", "contactors"};
constexpr std::array<std::string_view, 3> families{"any", "ipv4", "ipv6"};
constexpr std::array<std::string_view, 2> tls_versions{"1.2", "1.3"};
constexpr std::array<std::string_view, 11> commands{"charge", "discharge", "max-charge", "max-discharge", "limits", "pause",
    "contactor", "teleperiod", "ping", "reset", "capture"};
constexpr std::array<std::string_view, 3> cell_topics{"all", "summary", "off"};
constexpr std::array<std::string_view, 2> qualities{"0", "1"};
constexpr std::array<std::string_view, 2> signs{"historic", "uniform"};
constexpr std::array<std::string_view, 2> mqtt_versions{"3.1.1", "5"};
constexpr std::array<std::string_view, 4> log_levels{"error", "warn", "info", "debug"};

constexpr Key stop_method_key()
{
    Key k{.name = "safety.inverter_link.stop_methods",
        .kind = KeyKind::choices,
        .help = "what is tried on an inverter that goes on at a limit of zero, from mild to strong"};
    k.choices = stop_methods;
    k.get = [](const Config& c) -> KeyValue {
        std::vector<std::string> methods{"limits"};
        const SafetyConfig::InverterLink& link = c.safety.inverter_link;
        if (link.request_bits) methods.emplace_back("request_bits");
        if (link.soc_override) methods.emplace_back("soc_override");
        if (link.silence) methods.emplace_back("silence");
        if (link.contactors) methods.emplace_back("contactors");
        return methods;
    };
    k.set = [](Config& c, const KeyValue& v) {
        const auto& methods = std::get<std::vector<std::string>>(v);
        const auto has = [&](std::string_view m) { return std::find(methods.begin(), methods.end(), m) != methods.end(); };
        SafetyConfig::InverterLink& link = c.safety.inverter_link;
        link.request_bits = has("request_bits");
        link.soc_override = has("soc_override");
        link.silence = has("silence");
        link.contactors = has("contactors");
    };
    return k;
}

constexpr Key command_key()
{
    Key k{.name = "mqtt.commands", .kind = KeyKind::choices, .help = "what the broker may ask for; an empty list: nothing"};
    k.choices = commands;
    k.get = [](const Config& c) -> KeyValue { return c.mqtt->commands; };
    k.set = [](Config& c, const KeyValue& v) { c.mqtt->commands = std::get<std::vector<std::string>>(v); };
    return k;
}

constexpr Key deviation_derate_key()
{
    Key k{.name = "safety.cell.deviation.derate_mv",
        .kind = KeyKind::numbers,
        .help = "deviation where both limits begin to fall, and where half is left",
        .scale = 1};
    k.min = 10;
    k.max = 1000;
    k.get = [](const Config& c) -> KeyValue {
        const auto& cell = c.safety.cell;
        return std::vector<std::int64_t>{cell.deviation_derate_from.milli(), cell.deviation_derate_to.milli()};
    };
    k.set = [](Config& c, const KeyValue& v) {
        const auto& two = std::get<std::vector<std::int64_t>>(v);
        c.safety.cell.deviation_derate_from = Voltage::from_milli(two[0]);
        c.safety.cell.deviation_derate_to = Voltage::from_milli(two[1]);
    };
    return k.limit(Looser::profile_max);
}

constexpr Key active_low_key()
{
    Key k{.name = "contactors.gpio.active_low", .kind = KeyKind::choices, .help = "lines that are active at low level"};
    k.choices = gpio_lines;
    k.get = [](const Config& c) -> KeyValue {
        std::vector<std::string> names;
        for (std::size_t i = 0; i < gpio_lines.size(); ++i)
            if (((c.safety.contactors.gpio.active_low >> i) & 1U) != 0) names.emplace_back(gpio_lines[i]);
        return names;
    };
    k.set = [](Config& c, const KeyValue& v) {
        unsigned bits = 0;
        for (const std::string& name : std::get<std::vector<std::string>>(v))
            bits |= 1U << (std::find(gpio_lines.begin(), gpio_lines.end(), name) - gpio_lines.begin());
        c.safety.contactors.gpio.active_low = bits;
    };
    return k.needs_restart();
}

constexpr auto cell_v = BoundKind::cell;
constexpr auto pmax = Looser::profile_max;
constexpr auto pmin = Looser::profile_min;

// clang-format off
constexpr Key table[] = {
    text("battery.protocol", BATGW_FIELD(battery.protocol), nullptr, "a battery protocol as `batgw list` prints it", "what the battery speaks").no_default().needs_restart(),
    text("battery.interface", BATGW_FIELD(battery.interface), check_interface, "can0, waveshare:PORT, slcan:PORT, virtual:NAME; PORT for a battery on a serial line", "the bus or line the battery is on").no_default().needs_restart(),
    bit_rate("battery.bitrate", BATGW_FIELD(battery.bitrate)),
    number("battery.max_charge_w", 0, 100'000, BATGW_FIELD(battery.max_charge), "ceiling; the broker can only go lower. Must be written where the battery states no limits of its own"),
    number("battery.max_discharge_w", 0, 100'000, BATGW_FIELD(battery.max_discharge), "ceiling, likewise"),
    number("battery.charge_w", 0, 100'000, BATGW_FIELD(battery.charge), "operator limit at start, at most the ceiling").otherwise("the ceiling"),
    number("battery.discharge_w", 0, 100'000, BATGW_FIELD(battery.discharge), "operator limit at start, at most the ceiling").otherwise("the ceiling"),
    choice<chemistries>("battery.chemistry", BATGW_FIELD(battery.chemistry), "chooses the numbers of safety.cell; custom: write all of them").otherwise("the battery's own").needs_restart(),
    number("battery.cells", 1, 192, BATGW_FIELD(battery.cells), "cells in series, where the battery does not tell; where it does, it must agree").otherwise("from the battery").needs_restart(),
    number("battery.capacity_wh", 1, 1'000'000, BATGW_FIELD(battery.capacity), "rated energy").otherwise("from the battery").needs_restart(),
    number("battery.voltage_min_v", 10, 1000, BATGW_FIELD(battery.voltage_min), "pack window; only narrows that of the battery").otherwise("from the battery").needs_restart(),
    number("battery.voltage_max_v", 10, 1000, BATGW_FIELD(battery.voltage_max), "pack window; only narrows that of the battery").otherwise("from the battery").needs_restart(),
    options("battery.options"),
    text("battery2.protocol", BATGW_FIELD(battery2->protocol), nullptr, "the same as of `battery`", "packs in parallel are of one kind").otherwise("as `battery`").needs_restart(),
    text("battery2.interface", BATGW_FIELD(battery2->interface), check_interface, "can0, waveshare:PORT, slcan:PORT, virtual:NAME", "the bus of a second pack, in parallel with the first").no_default().needs_restart(),
    bit_rate("battery2.bitrate", BATGW_FIELD(battery2->bitrate)),
    number("battery2.max_charge_w", 0, 100'000, BATGW_FIELD(battery2->max_charge), "ceiling of this pack; for the broker the sum of both").otherwise("as `battery`"),
    number("battery2.max_discharge_w", 0, 100'000, BATGW_FIELD(battery2->max_discharge), "ceiling, likewise").otherwise("as `battery`"),
    number("battery2.charge_w", 0, 100'000, BATGW_FIELD(battery2->charge), "its part of the operator limit at start").otherwise("as `battery`, at most the ceiling"),
    number("battery2.discharge_w", 0, 100'000, BATGW_FIELD(battery2->discharge), "its part of the operator limit at start").otherwise("as `battery`, at most the ceiling"),
    choice<chemistries>("battery2.chemistry", BATGW_FIELD(battery2->chemistry), "the same as of `battery`").otherwise("as `battery`").needs_restart(),
    number("battery2.cells", 1, 192, BATGW_FIELD(battery2->cells), "the same as of `battery`").otherwise("as `battery`").needs_restart(),
    number("battery2.capacity_wh", 1, 1'000'000, BATGW_FIELD(battery2->capacity), "rated energy of this pack").otherwise("as `battery`").needs_restart(),
    number("battery2.voltage_min_v", 10, 1000, BATGW_FIELD(battery2->voltage_min), "pack window; only narrows that of the battery").otherwise("as `battery`").needs_restart(),
    number("battery2.voltage_max_v", 10, 1000, BATGW_FIELD(battery2->voltage_max), "pack window; only narrows that of the battery").otherwise("as `battery`").needs_restart(),
    options("battery2.options"),

    text("inverter.protocol", BATGW_FIELD(inverter.protocol), nullptr, "an inverter protocol as `batgw list` prints it", "what the inverter expects").no_default().needs_restart(),
    text("inverter.interface", BATGW_FIELD(inverter.interface), check_interface, "can0, waveshare:PORT, slcan:PORT, virtual:NAME", "the bus the inverter is on").no_default().needs_restart(),
    bit_rate("inverter.bitrate", BATGW_FIELD(inverter.bitrate)),
    options("inverter.options"),

    choice<contactor_modes>("contactors.mode", BATGW_FIELD(safety.contactors.mode), "bms_command: asked of the pack; gpio: coils on lines of ours; none: not ours").otherwise("the battery's own").needs_restart(),
    choice<closings>("contactors.close", BATGW_FIELD(safety.contactors.close_automatically), "manual: only on the command `contactor`"),
    text("contactors.gpio.chip", BATGW_FIELD(gpio_chip), check_gpio_chip, "gpiochip0, /dev/gpiochip0 or the chip's label", "the chip that has the lines").otherwise("must be written with mode gpio").needs_restart(),
    number("contactors.gpio.negative", 0, 1023, BATGW_FIELD(safety.contactors.gpio.negative), "output: coil of the negative main contactor; the line's offset on the chip").otherwise("must be written with mode gpio").needs_restart(),
    number("contactors.gpio.precharge", 0, 1023, BATGW_FIELD(safety.contactors.gpio.precharge), "output: coil of the precharge relay, likewise").otherwise("must be written with mode gpio").needs_restart(),
    number("contactors.gpio.positive", 0, 1023, BATGW_FIELD(safety.contactors.gpio.positive), "output: coil of the positive main contactor, likewise").otherwise("must be written with mode gpio").needs_restart(),
    number("contactors.gpio.economiser", 0, 1023, BATGW_FIELD(safety.contactors.gpio.economiser), "output: active while the closed mains may be held with less power").otherwise("not wired").needs_restart(),
    number("contactors.gpio.heartbeat", 0, 1023, BATGW_FIELD(safety.contactors.gpio.heartbeat), "output: toggles while the gateway is well, for a drop-out relay in the supply of the coils").otherwise("not wired").needs_restart(),
    number("contactors.gpio.negative_feedback", 0, 1023, BATGW_FIELD(safety.contactors.gpio.negative_feedback), "input: auxiliary contact, active while the negative main contactor is closed").otherwise("not wired").needs_restart(),
    number("contactors.gpio.precharge_feedback", 0, 1023, BATGW_FIELD(safety.contactors.gpio.precharge_feedback), "input: auxiliary contact of the precharge relay, likewise").otherwise("not wired").needs_restart(),
    number("contactors.gpio.positive_feedback", 0, 1023, BATGW_FIELD(safety.contactors.gpio.positive_feedback), "input: auxiliary contact of the positive main contactor, likewise").otherwise("not wired").needs_restart(),
    number("contactors.gpio.interlock", 0, 1023, BATGW_FIELD(safety.contactors.gpio.interlock), "input: active while the interlock loop is closed").otherwise("not wired").needs_restart(),
    number("contactors.gpio.emergency_stop", 0, 1023, BATGW_FIELD(safety.contactors.gpio.emergency_stop), "input: active while the emergency stop is released").otherwise("not wired").needs_restart(),
    active_low_key(),
    choice<biases>("contactors.gpio.bias", BATGW_FIELD(gpio_bias), "pull of the inputs, where the chip has one").needs_restart(),
    boolean("contactors.gpio.inverter_feeds_link", BATGW_FIELD(safety.contactors.inverter_feeds_link), "the inverter may hold its DC side up by itself").needs_restart(),

    choice<run_modes>("safety.mode", BATGW_FIELD(safety.observe), "observe: evaluates and publishes everything, sends nothing").needs_restart(),
    number("safety.tick_ms", 10, 100, BATGW_FIELD(safety.tick), "between two evaluations without news"),
    number("safety.signal_age_s.flags", 0.1, 5, BATGW_FIELD(safety.signal_age.flags), "how old a battery's fault and permission flags may get"),
    number("safety.signal_age_s.contactor", 0.1, 3, BATGW_FIELD(safety.signal_age.contactor), "likewise, contactor status"),
    number("safety.signal_age_s.current", 0.1, 10, BATGW_FIELD(safety.signal_age.current), "likewise, pack current"),
    number("safety.signal_age_s.voltage", 0.1, 10, BATGW_FIELD(safety.signal_age.voltage), "likewise, pack voltage"),
    number("safety.signal_age_s.cell", 0.1, 15, BATGW_FIELD(safety.signal_age.cell), "likewise, highest and lowest cell"),
    number("safety.signal_age_s.battery_limit", 0.1, 15, BATGW_FIELD(safety.signal_age.battery_limit), "likewise, limits the battery states"),
    number("safety.signal_age_s.temperature", 0.1, 60, BATGW_FIELD(safety.signal_age.temperature), "likewise, highest and lowest temperature"),
    number("safety.signal_age_s.soc", 0.1, 60, BATGW_FIELD(safety.signal_age.soc), "likewise, state of charge"),
    number("safety.signal_age_s.cell_array", 0.1, 300, BATGW_FIELD(safety.signal_age.cell_array), "likewise, all cells and sensors"),
    number("safety.signal_age_s.insulation", 0.1, 300, BATGW_FIELD(safety.signal_age.insulation), "likewise, insulation resistance"),
    number("safety.stale_ramp_s", 0, 3, BATGW_FIELD(safety.stale_ramp), "time in which limits fall to 0 after a measurement got too old").limit(pmax),
    number("safety.link_lost_s", 1, 60, BATGW_FIELD(safety.link_lost), "silence after which the battery counts as lost"),
    number("safety.link_lost_open_s", 10, 600, BATGW_FIELD(safety.link_lost_open), "silence of the battery after which contactors open").or_word("never"),
    later("safety.ride_through", "false", "true is refused: nothing but the battery itself grants power; see safety.md"),
    number("safety.assume.temperature_min", -30, 65, BATGW_FIELD(safety.assume.temperature_min), "degrees C, where the battery can never tell; a quarter of the limits is left").or_word("unset").needs_restart(),
    number("safety.assume.temperature_max", -30, 65, BATGW_FIELD(safety.assume.temperature_max), "likewise").or_word("unset").needs_restart(),
    number("safety.assume.soc", 0, 100, BATGW_FIELD(safety.assume.soc), "%, where the battery can never tell").or_word("unset").needs_restart(),
    choice<derivations>("safety.assume.cell_voltage_min", BATGW_FIELD(safety.assume.cell_voltage_min), "derive: pack voltage divided by cells, where the battery can never tell; a quarter of the limits is left").needs_restart(),
    choice<derivations>("safety.assume.cell_voltage_max", BATGW_FIELD(safety.assume.cell_voltage_max), "likewise").needs_restart(),
    number("safety.start_valid_s", 0, 60, BATGW_FIELD(safety.start_valid), "how long all data must be valid before the first power"),
    number("safety.hold_s", 5, 600, BATGW_FIELD(safety.hold), "how long a cause must be gone before a direction is released"),
    number("safety.ramp_up_pct_per_s", 1, 100, BATGW_FIELD(safety.ramp_up_per_second), "how fast limits rise, of the ceiling"),
    number("safety.increase_settle_s", 0, 60, BATGW_FIELD(safety.increase_settle), "how long more must have been possible before limits rise"),
    number("safety.escalation.count", 2, 20, BATGW_FIELD(safety.escalation.count), "blocks of one kind that make a trip"),
    number("safety.escalation.window_s", 600, 86'400, BATGW_FIELD(safety.escalation.window), "within this time"),
    number("safety.reset_absent_s", 10, 3600, BATGW_FIELD(safety.reset_absent), "how long a cause must be gone before a reset is accepted"),
    number("safety.over_limit.margin_pct", 1, 50, BATGW_FIELD(safety.over_limit.margin), "current above the limit that is tolerated"),
    number("safety.over_limit.margin_a", 0.5, 20, BATGW_FIELD(safety.over_limit.margin_least), "likewise, at least"),
    number("safety.over_limit.warn_s", 0, 120, BATGW_FIELD(safety.over_limit.warn), "time above before a warning"),
    number("safety.over_limit.block_s", 0, 120, BATGW_FIELD(safety.over_limit.block), "likewise, no power in that direction"),
    number("safety.over_limit.trip_s", 0, 120, BATGW_FIELD(safety.over_limit.trip), "likewise, a trip"),
    number("safety.over_limit.grace_s", 0, 15, BATGW_FIELD(safety.over_limit.grace), "time an inverter has to follow a lower limit"),
    number("safety.over_current.block_pct", 100, 150, BATGW_FIELD(safety.over_current.block), "of the ceiling"),
    number("safety.over_current.block_s", 0, 10, BATGW_FIELD(safety.over_current.block_delay), "for so long").limit(pmax),
    number("safety.over_current.trip_pct", 110, 200, BATGW_FIELD(safety.over_current.trip), "of the ceiling"),
    number("safety.over_current.trip_s", 0, 2, BATGW_FIELD(safety.over_current.trip_delay), "for so long").limit(pmax),
    number("safety.soc.min_pct", 0, 50, BATGW_FIELD(safety.soc.min), "no discharge at or below"),
    number("safety.soc.max_pct", 50, 100, BATGW_FIELD(safety.soc.max), "no charge at or above"),
    number("safety.soc.hysteresis_low_pct", 3, 30, BATGW_FIELD(safety.soc.hysteresis_low), "discharge again this much above min_pct"),
    number("safety.soc.hysteresis_high_pct", 2, 30, BATGW_FIELD(safety.soc.hysteresis_high), "charge again this much below max_pct"),
    number("safety.soc.taper_pct", 0, 50, BATGW_FIELD(safety.soc.taper), "discharge falls over this width above min_pct"),
    boolean("safety.soc.required", BATGW_FIELD(safety.soc.required), "false: an unknown state of charge blocks nothing"),
    boolean("safety.soc.scaling", BATGW_FIELD(safety.soc.scaling), "true: the inverter is shown 0 % at min_pct and 100 % at max_pct"),
    boolean("safety.soc.bands", BATGW_FIELD(safety.soc.bands), "true: LFP only; from 91, 95 and 98 % charge falls to a half, 4 A, 1 A; at 35, 30 and 20 % discharge to a half, a quarter, 5 A"),
    curve("safety.temperature.charge_curve", -30, 65, BATGW_FIELD(safety.temperature.charge_curve), "[degrees C, fraction of the ceiling]; 0 outside"),
    curve("safety.temperature.discharge_curve", -30, 65, BATGW_FIELD(safety.temperature.discharge_curve), "[degrees C, fraction of the ceiling]; 0 outside"),
    boolean("safety.temperature.trust_battery_limits", BATGW_FIELD(safety.temperature.trust_battery_limits), "true: where the battery states limits, only the hard bounds of temperature stop it"),
    number("safety.temperature.hysteresis_k", 1, 30, BATGW_FIELD(safety.temperature.hysteresis), "released so far inside the curve"),
    number("safety.temperature.min_c", -30, 20, BATGW_FIELD(safety.temperature.min), "no power below"),
    number("safety.temperature.trip_c", 45, 65, BATGW_FIELD(safety.temperature.trip), "trip above"),
    number("safety.temperature.emergency_c", 55, 80, BATGW_FIELD(safety.temperature.emergency), "emergency at or above"),
    number("safety.temperature.rise.kelvin", 1, 30, BATGW_FIELD(safety.temperature.rise), "emergency at such a rise").limit(pmax),
    number("safety.temperature.rise.window_s", 10, 600, BATGW_FIELD(safety.temperature.rise_window), "within this time").limit(pmin),
    number("safety.temperature.rise.above_c", -30, 65, BATGW_FIELD(safety.temperature.rise_above), "that ends at or above").limit(pmax),
    number("safety.temperature.spread.warn_k", 1, 30, BATGW_FIELD(safety.temperature.spread_warn), "warning at such a spread"),
    number("safety.temperature.spread.block_k", 1, 30, BATGW_FIELD(safety.temperature.spread_block), "no power at such a spread"),
    number("safety.temperature.spread.clear_k", 1, 30, BATGW_FIELD(safety.temperature.spread_clear), "until it is as small as this"),
    number("safety.cell.target_v", 0, 0, BATGW_FIELD(safety.cell.target), "upper set point per cell").within(cell_v),
    number("safety.cell.cutoff_v", 0, 0, BATGW_FIELD(safety.cell.cutoff), "lower set point per cell").within(cell_v),
    curve("safety.cell.charge_curve", 0, 0, BATGW_FIELD(safety.cell.charge_curve), "[V of the highest cell, fraction of the ceiling]").within(cell_v),
    curve("safety.cell.discharge_curve", 0, 0, BATGW_FIELD(safety.cell.discharge_curve), "[V of the lowest cell, fraction of the ceiling]").within(cell_v),
    number("safety.cell.block_high.set_v", 0, 0, BATGW_FIELD(safety.cell.block_high), "no charge at or above").within(cell_v),
    number("safety.cell.block_high.clear_v", 0, 0, BATGW_FIELD(safety.cell.block_high_clear), "until at or below").within(cell_v),
    number("safety.cell.block_high.delay_s", 0, 1, BATGW_FIELD(safety.cell.block_high_delay), "after so long").limit(pmax),
    number("safety.cell.block_low.set_v", 0, 0, BATGW_FIELD(safety.cell.block_low), "no discharge at or below").within(cell_v),
    number("safety.cell.block_low.clear_v", 0, 0, BATGW_FIELD(safety.cell.block_low_clear), "until at or above").within(cell_v),
    number("safety.cell.block_low.delay_s", 0, 2, BATGW_FIELD(safety.cell.block_low_delay), "after so long").limit(pmax),
    number("safety.cell.trip_high_v", 0, 0, BATGW_FIELD(safety.cell.trip_high), "trip at or above").within(cell_v),
    number("safety.cell.trip_low_v", 0, 0, BATGW_FIELD(safety.cell.trip_low), "trip at or below").within(cell_v),
    number("safety.cell.deep_v", 0, 0, BATGW_FIELD(safety.cell.deep), "emergency at or below: not even charged").within(BoundKind::cell_deep),
    number("safety.cell.deviation.warn_mv", 40, 1000, BATGW_FIELD(safety.cell.deviation_warn), "highest minus lowest cell: warning").limit(pmax),
    deviation_derate_key(),
    number("safety.cell.deviation.block_mv", 60, 1000, BATGW_FIELD(safety.cell.deviation_block), "no power").limit(pmax),
    number("safety.cell.deviation.trip_mv", 70, 1000, BATGW_FIELD(safety.cell.deviation_trip), "trip").limit(pmax),
    number("safety.cell.deviation.knee_high_v", 0, 0, BATGW_FIELD(safety.cell.knee_high), "above it deviation blocks charge only").within(cell_v).limit(pmin),
    number("safety.cell.deviation.knee_low_v", 0, 0, BATGW_FIELD(safety.cell.knee_low), "below it deviation blocks discharge only").within(cell_v).limit(pmax),
    number("safety.insulation.warn_ohm_per_v", 100, 100'000, BATGW_FIELD(safety.insulation.warn), "warning below"),
    number("safety.insulation.block_ohm_per_v", 100, 100'000, BATGW_FIELD(safety.insulation.block), "no power below, while the contactors are open"),
    boolean("safety.insulation.block_while_closed", BATGW_FIELD(safety.insulation.block_while_closed), "and while they are closed; inverters without a transformer disturb the measurement"),
    boolean("safety.insulation.required", BATGW_FIELD(safety.insulation.required), "true: an unknown insulation blocks"),
    number("safety.parallel.max_delta_v", 0.1, 1.5, BATGW_FIELD(safety.parallel.max_delta), "between packs in parallel: more, and none is closed onto the other"),
    number("safety.parallel.max_delta_pct", 0.05, 0.4, BATGW_FIELD(safety.parallel.max_delta_share), "likewise, of the voltage; the lower of both counts"),
    number("safety.parallel.warn_s", 1, 3, BATGW_FIELD(safety.parallel.warn), "a warning when closed packs have differed more for so long"),
    number("safety.parallel.open_s", 3, 10, BATGW_FIELD(safety.parallel.open), "then the one that differs most is opened"),
    number("safety.contactors.boot_inhibit_s", 0, 60, BATGW_FIELD(safety.contactors.boot_inhibit), "no closing so soon after the start"),
    number("safety.contactors.valid_s", 1, 60, BATGW_FIELD(safety.contactors.valid), "how long every guard must hold before closing"),
    number("safety.contactors.negative_ms", 100, 2000, BATGW_FIELD(safety.contactors.negative_time), "gpio: between negative contactor and precharge").needs_restart(),
    choice<precharge_modes>("safety.contactors.precharge.mode", BATGW_FIELD(safety.contactors.precharge.timer), "gpio: what ends precharging; timer: nobody looks whether it worked").needs_restart(),
    number("safety.contactors.precharge.time_s", 0.1, 10, BATGW_FIELD(safety.contactors.precharge.time), "gpio: for mode timer, at least five time constants").otherwise("must be written with mode timer").needs_restart(),
    number("safety.contactors.precharge.match_pct", 1, 10, BATGW_FIELD(safety.contactors.precharge.match), "gpio: how far link and pack may be apart, of the pack's voltage").needs_restart(),
    number("safety.contactors.precharge.match_min_v", 1, 3, BATGW_FIELD(safety.contactors.precharge.match_min), "gpio: likewise, at least").needs_restart(),
    number("safety.contactors.precharge.match_max_v", 3, 30, BATGW_FIELD(safety.contactors.precharge.match_max), "gpio: likewise, at most").needs_restart(),
    number("safety.contactors.precharge.hold_ms", 100, 2000, BATGW_FIELD(safety.contactors.precharge.hold), "gpio: for so long").needs_restart(),
    number("safety.contactors.precharge.min_ms", 200, 2000, BATGW_FIELD(safety.contactors.precharge.min), "gpio: shortest precharge").needs_restart(),
    number("safety.contactors.precharge.max_s", 0.5, 15, BATGW_FIELD(safety.contactors.precharge.max), "gpio: longest precharge").needs_restart(),
    number("safety.contactors.precharge.attempts", 1, 5, BATGW_FIELD(safety.contactors.attempts), "failed closings before the contactors are locked out").limit(Looser::own_profile_max).needs_restart(),
    number("safety.contactors.precharge.window_s", 600, 86'400, BATGW_FIELD(safety.contactors.attempts_window), "within this time").limit(pmin).needs_restart(),
    number("safety.contactors.precharge.cooldown_s", 10, 600, BATGW_FIELD(safety.contactors.cooldown), "wait after a failed closing").limit(Looser::own_profile_min).needs_restart(),
    number("safety.contactors.overlap_ms", 100, 5000, BATGW_FIELD(safety.contactors.overlap), "gpio: precharge relay and positive contactor together").needs_restart(),
    number("safety.contactors.close_total_s", 2, 15, BATGW_FIELD(safety.contactors.close_total), "longest closing").limit(pmax),
    number("safety.contactors.open.current_a", 0.5, 10, BATGW_FIELD(safety.contactors.open_current), "current below which contactors may open"),
    number("safety.contactors.open.stable_ms", 50, 5000, BATGW_FIELD(safety.contactors.open_stable), "for so long").limit(pmin),
    number("safety.contactors.open.max_wait_s", 1, 30, BATGW_FIELD(safety.contactors.open_max_wait), "longest wait for it"),
    number("safety.contactors.open.min_wait_s", 0, 30, BATGW_FIELD(safety.contactors.open_min_wait), "shortest wait, for batteries that want one").limit(pmin),
    number("safety.contactors.open.fuse_wait_s", 0, 3, BATGW_FIELD(safety.contactors.fuse_wait), "longer, above the breaking current"),
    number("safety.contactors.open.negative_delay_ms", 50, 1000, BATGW_FIELD(safety.contactors.negative_delay), "gpio: positive contactor opens so much earlier than the negative one").needs_restart(),
    number("safety.contactors.break_current_a", 0.5, 5000, BATGW_FIELD(safety.contactors.break_current), "what the contactors can break").or_word("unknown"),
    number("safety.contactors.feedback_ms", 50, 1000, BATGW_FIELD(safety.contactors.feedback), "gpio: how long an auxiliary contact may say otherwise").needs_restart(),
    number("safety.contactors.interlock_ms", 50, 1000, BATGW_FIELD(safety.contactors.interlock), "gpio: how long the interlock may be open").needs_restart(),
    number("safety.contactors.emergency_stop_ms", 0, 500, BATGW_FIELD(safety.contactors.emergency_stop), "gpio: how long the emergency stop must be pressed").needs_restart(),
    number("safety.contactors.weld.decay_pct", 10, 50, BATGW_FIELD(safety.contactors.weld.decay), "gpio: so far below the pack the link must fall after opening, without auxiliary contacts").needs_restart(),
    number("safety.contactors.weld.decay_s", 10, 600, BATGW_FIELD(safety.contactors.weld.decay_time), "gpio: within this time").needs_restart(),
    number("safety.contactors.weld.current_a", 0.5, 2, BATGW_FIELD(safety.contactors.weld.current), "gpio: more through open contactors is a weld").needs_restart(),
    number("safety.contactors.cycles.per_hour", 1, 6, BATGW_FIELD(safety.contactors.cycles_per_hour), "automatic closings").limit(pmax),
    number("safety.contactors.cycles.per_day", 1, 20, BATGW_FIELD(safety.contactors.cycles_per_day), "automatic closings").limit(pmax),
    boolean("safety.contactors.auto_reclose", BATGW_FIELD(safety.contactors.auto_reclose), "close again by itself after a loss of communication"),
    choice<exits>("safety.contactors.on_exit", BATGW_FIELD(safety.contactors.open_on_exit), "leave: only in mode bms_command"),
    boolean("safety.contactors.gpio_persistence_acknowledged", BATGW_FIELD(safety.contactors.persistence_acknowledged), "gpio: outputs outlive the program, and the heartbeat relay takes care of it").needs_restart(),
    number("safety.inverter_link.lost_s", 5, 600, BATGW_FIELD(safety.inverter_link.lost), "silence after which the inverter counts as lost"),
    number("safety.inverter_link.lost_open_after_s", 0, 3600, BATGW_FIELD(safety.inverter_link.lost_open_after), "then contactors open; never with black start").or_word("never"),
    boolean("safety.inverter_link.black_start", BATGW_FIELD(safety.inverter_link.black_start), "close without an inverter on the bus"),
    stop_method_key(),
    number("safety.process.watchdog_s", 2, 60, BATGW_FIELD(safety.process.watchdog), "of the service manager"),
    number("safety.process.stall_warn_ms", 200, 1000, BATGW_FIELD(safety.process.stall_warn), "gap between two evaluations: warning"),
    number("safety.process.stall_block_ms", 500, 5000, BATGW_FIELD(safety.process.stall_block), "gap between two evaluations: no power"),
    number("safety.process.crash_loop.count", 2, 20, BATGW_FIELD(safety.process.crash_loop.count), "more unclean starts than this ..."),
    number("safety.process.crash_loop.window_s", 60, 3600, BATGW_FIELD(safety.process.crash_loop.window), "... within this time are a trip"),
    number("safety.process.heartbeat_hz", 5, 20, BATGW_FIELD(safety.contactors.heartbeat_hz), "gpio: the heartbeat output changes so many times a second").needs_restart(),
    boolean("safety.process.realtime", BATGW_FIELD(safety.process.realtime), "locked memory, and a real-time priority for the thread of the buses; see operating.md").needs_restart(),
    choice<verifications>("safety.process.require_verification", BATGW_FIELD(safety.process.require_verification), "drivers tried less than this only observe").needs_restart(),

    text("mqtt.host", BATGW_FIELD(mqtt->host), check_host, "host name or address", "the broker").no_default(),
    number("mqtt.port", 1, 65'535, BATGW_FIELD(mqtt->port), "").otherwise("1883; with TLS 8883"),
    choice<families>("mqtt.family", BATGW_FIELD(mqtt->family), "addresses to try"),
    text("mqtt.username", BATGW_FIELD(mqtt->username), check_mqtt_text, "text", "\"\": none"),
    text("mqtt.password", BATGW_FIELD(mqtt->password), check_mqtt_text, "text", "keep the file readable by its owner only").hidden(),
    text("mqtt.password_file", BATGW_FIELD(mqtt->password_file), check_path_or_empty, "absolute path", "holds the password instead"),
    text("mqtt.client_id", BATGW_FIELD(mqtt->client_id), check_client_id, "text", "\"\": program name, process id and a random suffix"),
    text("mqtt.topic", BATGW_FIELD(mqtt->topic), check_topic, "1 to 64 of A-Z a-z 0-9 _ - /", "all topics begin with it"),
    number("mqtt.teleperiod_s", 4, 3600, BATGW_FIELD(mqtt->teleperiod), "everything again, this often").whole(),
    number("mqtt.keep_alive_s", 1, 65'535, BATGW_FIELD(mqtt->keep_alive), "").whole().or_word("off"),
    number("mqtt.reconnect_s", 2, 300, BATGW_FIELD(mqtt->reconnect), "longest wait between two tries").whole(),
    text("mqtt.tls.ca", BATGW_FIELD(mqtt->tls.ca), check_path_or_empty, "absolute path", "\"\": the system's certificates"),
    text("mqtt.tls.cert", BATGW_FIELD(mqtt->tls.cert), check_path_or_empty, "absolute path", "our certificate, where the broker wants one"),
    text("mqtt.tls.key", BATGW_FIELD(mqtt->tls.key), check_path_or_empty, "absolute path", "its key"),
    boolean("mqtt.tls.verify", BATGW_FIELD(mqtt->tls.verify), "false: anybody can pose as the broker"),
    choice<tls_versions>("mqtt.tls.min", BATGW_FIELD(mqtt->tls.min), "oldest version"),
    text("mqtt.tls.server_name", BATGW_FIELD(mqtt->tls.server_name), check_name_or_empty, "a name", "in the broker's certificate; \"\": as `host`"),
    text("mqtt.tls.psk_identity", BATGW_FIELD(mqtt->tls.psk_identity), check_mqtt_text, "text", "pre-shared key instead of certificates"),
    text("mqtt.tls.psk_file", BATGW_FIELD(mqtt->tls.psk_file), check_path_or_empty, "absolute path", "holds the pre-shared key"),
    text("mqtt.tls.ciphers", BATGW_FIELD(mqtt->tls.ciphers), check_name_or_empty, "OpenSSL list", "\"\": the library's choice"),
    command_key(),
    boolean("mqtt.legacy_topics", BATGW_FIELD(mqtt->legacy_topics), "the value topics of the first batgw"),
    choice<qualities>("mqtt.legacy_qos", BATGW_FIELD(mqtt->legacy_qos), "quality of service of the value topics"),
    choice<signs>("mqtt.legacy_sign", BATGW_FIELD(mqtt->legacy_sign_uniform), "sign of current and power on the value topics"),
    boolean("mqtt.retain_status", BATGW_FIELD(mqtt->retain_status), "STATUS is retained"),
    number("mqtt.value_interval_s", 1, 3600, BATGW_FIELD(mqtt->value_interval), "shortest between two of one value topic"),
    number("mqtt.state_interval_s", 0.2, 60, BATGW_FIELD(mqtt->state_interval), "shortest between two STATE"),
    number("mqtt.state_refresh_s", 5, 300, BATGW_FIELD(mqtt->state_refresh), "STATE again, though nothing changed"),
    choice<cell_topics>("mqtt.cells", BATGW_FIELD(mqtt->cells), "what is published of single cells"),
    number("mqtt.cells_interval_s", 1, 3600, BATGW_FIELD(mqtt->cells_interval), "shortest between two CELLS"),
    boolean("mqtt.persist_commands", BATGW_FIELD(mqtt->persist_commands), "operator settings survive a restart"),
    choice<mqtt_versions>("mqtt.version", BATGW_FIELD(mqtt->version), "of the protocol"),
    later("mqtt.homeassistant", "false", "Home Assistant discovery"),
    later("mqtt.discovery", "device", "device or entity"),
    later("mqtt.discovery_prefix", "homeassistant", "topic"),
    later("mqtt.node_id", "", "\"\": from `topic`"),

    later("http.listen", "off", "address and port of the web interface"),
    choice<log_levels>("log.level", BATGW_FIELD(log_level), "what is logged"),
    text("state_directory", BATGW_FIELD(state_directory), check_path, "absolute path", "where operator settings and latched faults are kept").needs_restart(),
    text("control_socket", BATGW_FIELD(control_socket), check_path, "absolute path", "for `batgw status` and `batgw reset`; its owner and group may use it").needs_restart(),
};
// clang-format on
#undef BATGW_FIELD

bool below(std::string_view name, std::string_view section)
{
    return section.empty() || (name.size() > section.size() && name.starts_with(section) && name[section.size()] == '.');
}

}  // namespace

std::span<const Key> all_keys() { return table; }

const Key* find_key(std::string_view name)
{
    for (const Key& key : table)
        if (key.name == name) return &key;
    return nullptr;
}

bool is_section(std::string_view name)
{
    return std::any_of(std::begin(table), std::end(table), [&](const Key& key) { return below(key.name, name); });
}

std::vector<std::string_view> names_in(std::string_view section)
{
    std::vector<std::string_view> names;
    for (const Key& key : table) {
        if (!below(key.name, section)) continue;
        std::string_view name = key.name.substr(section.empty() ? 0 : section.size() + 1);
        name = name.substr(0, name.find('.'));
        if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
    }
    return names;
}

bool has(const Config& config, const Key& key)
{
    if (key.name.starts_with("battery2.")) return config.battery2.has_value();
    if (key.name.starts_with("contactors.gpio.")) return config.safety.contactors.mode == ContactorMode::gpio;
    if (key.name.starts_with("mqtt.tls.")) return config.mqtt && config.mqtt->tls.on;
    return !key.name.starts_with("mqtt.") || config.mqtt.has_value();
}

std::string_view unit_of(const Key& key)
{
    static constexpr std::array<std::array<std::string_view, 2>, 12> units{
        {{"_per_s", "%/s"}, {"_ohm_per_v", "Ohm/V"}, {"_wh", "Wh"}, {"_ms", "ms"}, {"_mv", "mV"}, {"_pct", "%"}, {"_w", "W"},
            {"_v", "V"}, {"_a", "A"}, {"_s", "s"}, {"_c", "°C"}, {"_k", "K"}}};
    if (key.kind != KeyKind::number && key.kind != KeyKind::numbers) return {};
    for (const auto& [ending, unit] : units)
        if (key.name.ends_with(ending)) return unit;
    if (key.name.ends_with("kelvin")) return "K";
    return section_of(key.name).ends_with("_s") ? "s" : "";
}

NumberBounds bounds_of(const Key& key, const Config& profile)
{
    NumberBounds b{key.min, key.max};
    if (key.bounds != BoundKind::own) {
        const CellBounds cell = cell_bounds(profile.battery.chemistry);
        b = {(key.bounds == BoundKind::cell_deep ? lowest_deep_voltage : cell.min).milli(), cell.max.milli()};
    }
    if (key.looser == Looser::free) return b;
    const KeyValue own = key.get(profile);
    const bool own_matters = key.looser == Looser::own_profile_max || key.looser == Looser::own_profile_min;
    if (own_matters && own == key.get(Config{})) return b;
    const bool upper = key.looser == Looser::profile_max || key.looser == Looser::own_profile_max;
    if (const auto* several = std::get_if<std::vector<std::int64_t>>(&own))
        b.max = *std::max_element(several->begin(), several->end());
    else if (const auto* n = std::get_if<std::int64_t>(&own))
        (upper ? b.max : b.min) = *n;
    return b;
}

std::string print_number(std::int64_t base, std::int64_t scale)
{
    const bool negative = base < 0;
    const std::uint64_t size = negative ? 0 - static_cast<std::uint64_t>(base) : static_cast<std::uint64_t>(base);
    const auto s = static_cast<std::uint64_t>(scale);
    std::string out = fmt::format("{}{}", negative ? "-" : "", size / s);
    std::uint64_t rest = size % s;
    if (rest != 0) out += '.';
    while (rest != 0) {
        rest *= 10;
        out += static_cast<char>('0' + rest / s);
        rest %= s;
    }
    return out;
}

std::string print_bounds(const Key& key, NumberBounds bounds)
{
    const std::string_view unit = unit_of(key);
    std::string out = fmt::format("{}..{}", print_number(bounds.min, key.scale), print_number(bounds.max, key.scale));
    if (!unit.empty()) out += fmt::format(" {}", unit);
    if (key.step > 1) out += ", whole numbers";
    if (!key.word.empty()) out += fmt::format(", or {}", key.word);
    return out;
}

}  // namespace batgw
