#include "mqtt/commands.hpp"

#include "model/command_rate.hpp"
#include "mqtt/value_text.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <limits>

namespace batgw::mqtt {
namespace {

constexpr std::array<std::string_view, 11> known_commands{"charge", "discharge", "max-charge", "max-discharge", "limits", "pause",
    "contactor", "teleperiod", "ping", "reset", "capture"};

using Answer = std::variant<Refusal, Command, Teleperiod>;

Refusal bad(std::string text) { return {CommandCode::bad_payload, std::move(text)}; }
Refusal out_of_range(std::string text) { return {CommandCode::out_of_range, std::move(text)}; }

template <class List>
bool has(const List& list, std::string_view word)
{
    return std::find(list.begin(), list.end(), word) != list.end();
}

bool same_word(std::string_view text, std::string_view lower)
{
    return text.size() == lower.size() && std::equal(text.begin(), text.end(), lower.begin(), [](char a, char b) {
        return (a >= 'A' && a <= 'Z' ? static_cast<char>(a + ('a' - 'A')) : a) == b;
    });
}
std::optional<bool> on_or_off(std::string_view text)
{
    if (same_word(text, "on") || text == "1") return true;
    if (same_word(text, "off") || text == "0") return false;
    return std::nullopt;
}

std::string shown(std::string_view payload)
{
    std::string out;
    for (const char c : payload.substr(0, 40)) out += c >= ' ' && c <= '~' ? c : '?';
    return out;
}

std::string watt_text(Power p) { return fixed_text(scaled(p.milli(), 0), 0) + " W"; }

std::optional<Refusal> beyond(std::int64_t watts, Power ceiling)
{
    if (watts < 0) return out_of_range(fmt::format("{} W is below 0 W", watts));
    if (watts > ceiling.milli() / 1000)
        return out_of_range(fmt::format("{} W is above the configured maximum {}", watts, watt_text(ceiling)));
    return std::nullopt;
}

Answer parse_switch(CommandKind kind, std::string_view payload)
{
    const auto on = on_or_off(payload);
    if (!on) return bad(fmt::format("\"{}\" is neither on nor off", shown(payload)));
    Command c;
    c.kind = kind;
    c.on = *on;
    return c;
}

Answer parse_power(CommandKind kind, std::string_view payload, Power ceiling)
{
    const auto watts = parse_integer(payload);
    if (!watts) return bad(fmt::format("\"{}\" is not a whole number of watts", shown(payload)));
    if (auto refusal = beyond(*watts, ceiling)) return *refusal;
    Command c;
    c.kind = kind;
    (kind == CommandKind::max_charge ? c.charge_power : c.discharge_power) = Power::from_milli(*watts * 1000);
    return c;
}

Answer parse_contactor(std::string_view payload)
{
    const bool open = same_word(payload, "open");
    if (!open && !same_word(payload, "close")) return bad(fmt::format("\"{}\" is neither open nor close", shown(payload)));
    Command c;
    c.kind = CommandKind::contactor;
    c.on = !open;
    return c;
}

Answer parse_teleperiod(std::string_view payload)
{
    if (payload.empty()) return Teleperiod{};
    const auto seconds = parse_integer(payload);
    if (!seconds) return bad(fmt::format("\"{}\" is not a whole number of seconds", shown(payload)));
    if (*seconds < 4 || *seconds > 3600) return out_of_range(fmt::format("{} s is not within 4 s to 3600 s", *seconds));
    return Teleperiod{std::chrono::seconds{*seconds}};
}

Answer parse_capture(std::string_view payload)
{
    Command c;
    c.kind = CommandKind::capture;
    if (same_word(payload, "start") || same_word(payload, "stop")) {
        c.step = same_word(payload, "start") ? CaptureStep::start : CaptureStep::stop;
        return c;
    }
    constexpr std::string_view mark = "mark ";
    if (payload.size() <= mark.size() || !same_word(payload.substr(0, mark.size()), mark))
        return bad(fmt::format("\"{}\" is neither mark TEXT nor start nor stop", shown(payload)));
    const std::string_view note = payload.substr(mark.size());
    if (note.size() > 64) return Refusal{CommandCode::too_long, "a note of more than 64 bytes"};
    c.step = CaptureStep::mark;
    c.reason.assign_printable(note);
    return c;
}

Answer parse_ping(std::string_view payload)
{
    if (payload.size() > 64) return Refusal{CommandCode::too_long, "more than 64 bytes"};
    Command c;
    c.kind = CommandKind::ping;
    return c;
}

// Reads the flat object of `cmnd/limits` event by event, so that depth, duplicates and strangers are seen where they stand.
class LimitsReader {
public:
    using json = nlohmann::json;

    bool key(std::string& name)
    {
        if (!has(
                std::array<std::string_view, 7>{"charge_w", "discharge_w", "charge_a", "discharge_a", "ttl_s", "on_expire", "id"},
                name))
            return fail(fmt::format("unknown key \"{}\"", shown(name)));
        if (has(seen_, name)) return fail(fmt::format("key \"{}\" stands there twice", name));
        seen_.push_back(name);
        return true;
    }
    bool number_integer(json::number_integer_t n) { return number(n); }
    bool number_unsigned(json::number_unsigned_t n)
    {
        return number(n > static_cast<json::number_unsigned_t>(std::numeric_limits<std::int64_t>::max())
                ? std::numeric_limits<std::int64_t>::max()
                : static_cast<std::int64_t>(n));
    }
    // Whole numbers too large for 64 bits arrive here, too: whole, and out of every range.
    bool number_float(json::number_float_t, const std::string& text)
    {
        if (const auto n = parse_integer(text)) return number(*n);
        return fail(fmt::format("{} is not a whole number", shown(text)));
    }
    bool string(std::string& text)
    {
        if (key_is("id")) {
            if (text.size() > 64) return fail("id is longer than 64 bytes");
            id = text;
            return true;
        }
        if (!key_is("on_expire")) return fail("text where a whole number is expected");
        if (text != "release" && text != "zero") return fail("on_expire is neither release nor zero");
        on_expire = text;
        return true;
    }
    bool start_object(std::size_t)
    {
        if (depth_++ == 0) return true;
        return fail("an object within the object");
    }
    bool end_object()
    {
        --depth_;
        return true;
    }
    bool null() { return fail("null is no value"); }
    bool boolean(bool) { return fail("true and false are no values here"); }
    bool binary(json::binary_t&) { return fail("binary"); }
    bool start_array(std::size_t) { return fail("a list where an object is expected"); }
    bool end_array() { return true; }
    bool parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception&)
    {
        return fail(fmt::format("not JSON, at byte {}", position));
    }

    std::optional<std::int64_t> charge_w, discharge_w, charge_a, discharge_a, ttl_s;
    std::string on_expire, id, problem;

private:
    bool fail(std::string why)
    {
        if (problem.empty()) problem = std::move(why);
        return false;
    }
    bool key_is(std::string_view name) const { return depth_ == 1 && !seen_.empty() && seen_.back() == name; }
    bool number(std::int64_t n)
    {
        for (auto [name, value] :
            std::array<std::pair<std::string_view, std::optional<std::int64_t>*>, 5>{{{"charge_w", &charge_w},
                {"discharge_w", &discharge_w}, {"charge_a", &charge_a}, {"discharge_a", &discharge_a}, {"ttl_s", &ttl_s}}})
            if (key_is(name)) {
                *value = n;
                return true;
            }
        return fail("a number where none is expected");
    }
    int depth_ = 0;
    std::vector<std::string> seen_;
};

std::optional<Refusal> check_limits(const LimitsReader& r, const CommandRules& rules)
{
    if (!r.charge_w && !r.discharge_w && !r.charge_a && !r.discharge_a) return bad("no limit in it");
    if (!r.on_expire.empty() && !r.ttl_s) return bad("on_expire without ttl_s");
    if (r.charge_w)
        if (auto refusal = beyond(*r.charge_w, rules.max_charge)) return refusal;
    if (r.discharge_w)
        if (auto refusal = beyond(*r.discharge_w, rules.max_discharge)) return refusal;
    for (const auto& amps : {r.charge_a, r.discharge_a})
        if (amps && (*amps < 0 || *amps > 1000)) return out_of_range(fmt::format("{} A is not within 0 A to 1000 A", *amps));
    if (r.ttl_s && (*r.ttl_s < 5 || *r.ttl_s > 86400))
        return out_of_range(fmt::format("{} s is not within 5 s to 86400 s", *r.ttl_s));
    return std::nullopt;
}

Answer parse_limits(std::string_view payload, const CommandRules& rules, std::string& id)
{
    LimitsReader r;
    const bool read = nlohmann::json::sax_parse(payload.begin(), payload.end(), &r);
    if (read || r.problem.empty()) id = r.id;
    if (!read) return bad(r.problem.empty() ? "not JSON" : r.problem);
    if (auto refusal = check_limits(r, rules)) return *refusal;
    Command c;
    c.kind = CommandKind::limits;
    const auto power = [](std::optional<std::int64_t> w) {
        return w ? std::optional{Power::from_milli(*w * 1000)} : std::nullopt;
    };
    const auto current = [](std::optional<std::int64_t> a) {
        return a ? std::optional{Current::from_milli(*a * 1000)} : std::nullopt;
    };
    c.charge_power = power(r.charge_w);
    c.discharge_power = power(r.discharge_w);
    c.charge_current = current(r.charge_a);
    c.discharge_current = current(r.discharge_a);
    if (r.ttl_s) c.time_to_live = std::chrono::seconds{*r.ttl_s};
    c.zero_on_expiry = r.on_expire == "zero";
    c.id.assign(r.id);
    return c;
}

// The same for `cmnd/reset`: text only.
class ResetReader {
public:
    using json = nlohmann::json;

    bool key(std::string& name)
    {
        const auto known = std::find_if(fields_.begin(), fields_.end(), [&](const Field& f) { return f.name == name; });
        if (known == fields_.end()) return fail(fmt::format("unknown key \"{}\"", shown(name)));
        if (known->seen) return fail(fmt::format("key \"{}\" stands there twice", name));
        known->seen = true;
        current_ = known;
        return true;
    }
    bool string(std::string& text)
    {
        if (depth_ != 1) return fail("text where an object is expected");
        if (text.size() > 64) return fail(fmt::format("{} is longer than 64 bytes", current_->name));
        current_->text = text;
        return true;
    }
    bool start_object(std::size_t)
    {
        if (++depth_ > 1) return fail("an object where text is expected");
        return true;
    }
    bool end_object()
    {
        --depth_;
        return true;
    }
    bool number_integer(json::number_integer_t) { return fail("a number where text is expected"); }
    bool number_unsigned(json::number_unsigned_t) { return fail("a number where text is expected"); }
    bool number_float(json::number_float_t, const std::string&) { return fail("a number where text is expected"); }
    bool null() { return fail("null is no value"); }
    bool boolean(bool) { return fail("true and false are no values here"); }
    bool binary(json::binary_t&) { return fail("binary"); }
    bool start_array(std::size_t) { return fail("a list where text is expected"); }
    bool end_array() { return true; }
    bool parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception&)
    {
        return fail(fmt::format("not JSON, at byte {}", position));
    }

    const std::string& fault() const { return fields_[0].text; }
    const std::string& reason() const { return fields_[1].text; }
    const std::string& id() const { return fields_[2].text; }
    std::string problem;

private:
    struct Field {
        std::string_view name;
        std::string text{};
        bool seen = false;
    };
    bool fail(std::string why)
    {
        if (problem.empty()) problem = std::move(why);
        return false;
    }
    std::array<Field, 3> fields_{{{"fault"}, {"reason"}, {"id"}}};
    std::array<Field, 3>::iterator current_ = fields_.begin();
    int depth_ = 0;
};

Answer parse_reset(std::string_view payload, std::string& id)
{
    ResetReader r;
    const bool read = nlohmann::json::sax_parse(payload.begin(), payload.end(), &r);
    id = r.id();
    if (!read) return bad(r.problem.empty() ? "not JSON" : r.problem);
    if (r.fault().empty()) return bad("no fault in it");
    Command c;
    c.kind = CommandKind::reset;
    c.fault.assign(r.fault());
    c.reason.assign_printable(r.reason());
    c.id.assign(r.id());
    return c;
}

Answer parse_known(std::string_view name, std::string_view payload, const CommandRules& rules, std::string& id)
{
    if (name == "charge") return parse_switch(CommandKind::charge, payload);
    if (name == "discharge") return parse_switch(CommandKind::discharge, payload);
    if (name == "max-charge") return parse_power(CommandKind::max_charge, payload, rules.max_charge);
    if (name == "max-discharge") return parse_power(CommandKind::max_discharge, payload, rules.max_discharge);
    if (name == "limits") return parse_limits(payload, rules, id);
    if (name == "pause") return parse_switch(CommandKind::pause, payload);
    if (name == "contactor") return parse_contactor(payload);
    if (name == "reset") return parse_reset(payload, id);
    if (name == "teleperiod") return parse_teleperiod(payload);
    if (name == "capture") return parse_capture(payload);
    return parse_ping(payload);
}

std::string echoed(std::string_view name)
{
    std::string out;
    for (const char c : name)
        if (c >= ' ' && c <= '~' && out.size() < 64) out += c;
    return out;
}

Answer parse_any(std::string_view name, std::string_view payload, bool retained, const CommandRules& rules, std::string& id)
{
    if (!has(known_commands, name)) return Refusal{CommandCode::unknown_command, "there is no such command"};
    // First, whatever else may be wrong with it: an old command lies on the broker.
    if (retained)
        return Refusal{CommandCode::retained, "a retained command: remove it from the broker, send commands without retain"};
    if (payload.size() > payload_bytes_max)
        return Refusal{CommandCode::too_long, fmt::format("{} bytes, {} are allowed", payload.size(), payload_bytes_max)};
    if (!has(rules.allowed, name)) return Refusal{CommandCode::not_allowed, "not in the list mqtt.commands"};
    if (payload.find('\0') != std::string_view::npos) return bad("a NUL byte");
    return parse_known(name, payload, rules, id);
}

}  // namespace

std::optional<std::int64_t> parse_integer(std::string_view text)
{
    const auto blank = [](char c) { return c == ' ' || c == '\t'; };
    while (!text.empty() && blank(text.front())) text.remove_prefix(1);
    while (!text.empty() && blank(text.back())) text.remove_suffix(1);
    const bool negative = text.starts_with('-');
    if (negative || text.starts_with('+')) text.remove_prefix(1);
    if (text.empty()) return std::nullopt;
    std::int64_t value = 0;
    for (const char c : text) {
        if (c < '0' || c > '9') return std::nullopt;
        const std::int64_t digit = negative ? -(c - '0') : c - '0';
        if (__builtin_mul_overflow(value, std::int64_t{10}, &value) || __builtin_add_overflow(value, digit, &value))
            value = negative ? std::numeric_limits<std::int64_t>::min() / 10 : std::numeric_limits<std::int64_t>::max() / 10;
    }
    return value;
}

std::optional<std::string_view> command_name(std::string_view topic, std::string_view base)
{
    if (!topic.starts_with(base)) return std::nullopt;
    topic.remove_prefix(base.size());
    if (!topic.starts_with("/cmnd/")) return std::nullopt;
    return topic.substr(6);
}

ParsedCommand parse_command(std::string_view name, std::string_view payload, bool retained, const CommandRules& rules)
{
    ParsedCommand parsed;
    parsed.name = echoed(name);
    parsed.what = parse_any(name, payload, retained, rules, parsed.id);
    if (const auto* command = std::get_if<Command>(&parsed.what)) parsed.exempt = only_restricts(*command);
    return parsed;
}

}  // namespace batgw::mqtt
