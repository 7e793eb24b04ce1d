// Single values: from the tree into the configuration, and back to text.
#include "conf/decimal.hpp"
#include "conf/draft.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>

namespace batgw {
namespace {

using yaml::Node;

constexpr std::int64_t fraction_scale = 100'000;  // Percent counts thousandths of a percent

Place place(const Node& node) { return {node.line, node.column}; }

std::string joined(std::span<const std::string_view> words, std::string_view between)
{
    std::string out;
    for (const auto word : words) {
        if (!out.empty()) out += between;
        out += word;
    }
    return out;
}

// What a value is when it is not what it should be.
std::string kind_of(const Node& node)
{
    switch (node.kind) {
    case Node::Kind::none: return "no value";
    case Node::Kind::map: return "a section where a value belongs";
    case Node::Kind::list: return "a list where a value belongs";
    case Node::Kind::scalar: break;
    }
    return shown(node.raw);
}

// Reads values of one key; what is wrong is said once and marks the key.
class Reader {
public:
    Reader(std::string_view key, Draft& draft, bool secret = false) : key_{key}, draft_{draft}, secret_{secret} {}

    std::nullopt_t refuse(const Node& node, std::string what, std::string allowed)
    {
        if (!node.bad) draft_.complain(place(node), key_, std::move(what), std::move(allowed));
        draft_.bad.emplace(key_);
        return std::nullopt;
    }
    std::optional<std::int64_t> number(
        const Node& node, std::int64_t scale, std::int64_t step, NumberBounds bounds, const std::string& allowed)
    {
        if (node.bad) return refuse(node, "", "");
        if (node.kind != Node::Kind::scalar) return refuse(node, kind_of(node), allowed);
        if (node.quoted) return refuse(node, shown(node.raw) + " is text: a number stands without quotes", allowed);
        const Decimal d = parse_decimal(node.text, scale, step);
        if (!d.base) return refuse(node, fmt::format("{} {}", shown(node.raw), d.why), allowed);
        if (*d.base < bounds.min || *d.base > bounds.max)
            return refuse(
                node, fmt::format("{} is {}", shown(node.raw), *d.base < bounds.min ? "too small" : "too large"), allowed);
        return d.base;
    }
    std::optional<bool> boolean(const Node& node)
    {
        if (node.bad) return refuse(node, "", "");
        if (node.kind != Node::Kind::scalar) return refuse(node, kind_of(node), "true or false");
        if (node.quoted) return refuse(node, shown(node.raw) + " is text: true and false stand without quotes", "true or false");
        if (const auto b = parse_boolean(node.text)) return b;
        return refuse(node, shown(node.raw) + " is neither true nor false", "true or false");
    }
    std::optional<std::string> text(const Node& node, std::string_view allowed)
    {
        if (node.bad) return refuse(node, "", "");
        if (node.kind == Node::Kind::scalar) return node.text;
        std::string what = secret_ ? "not a text" : kind_of(node);
        if (node.kind == Node::Kind::none) what += "; text that YAML takes for nothing stands in quotes";
        return refuse(node, what, std::string{allowed});
    }
    std::optional<std::string> choice(const Node& node, std::span<const std::string_view> choices)
    {
        const std::string allowed = joined(choices, ", ");
        auto word = text(node, allowed);
        if (!word) return std::nullopt;
        if (std::find(choices.begin(), choices.end(), *word) != choices.end()) return word;
        const auto meant = nearest(*word, choices);
        return refuse(node, shown(node.raw) + " is not known" + (meant ? fmt::format("; nearest is {}", *meant) : ""), allowed);
    }
    Draft& draft() { return draft_; }
    std::string_view key() const { return key_; }

private:
    std::string_view key_;
    Draft& draft_;
    bool secret_;
};

std::optional<KeyValue> read_choices(const Key& key, const Node& node, Reader& r)
{
    const std::string allowed = "a list of " + joined(key.choices, ", ");
    if (node.kind != Node::Kind::list) return r.refuse(node, node.kind == Node::Kind::none ? "no value" : "not a list", allowed);
    std::vector<std::string> words;
    bool good = true;
    for (const Node& item : node.items) {
        const auto word = r.choice(item, key.choices);
        if (!word) {
            good = false;
        } else if (std::find(words.begin(), words.end(), *word) != words.end()) {
            r.refuse(item, shown(*word) + " twice", "");
            good = false;
        } else {
            words.push_back(*word);
        }
    }
    if (!good) return std::nullopt;
    // The stop methods are the only list with an order: from mild to strong.
    if (key.name == "safety.inverter_link.stop_methods") {
        const auto place = [&](const std::string& w) { return std::find(key.choices.begin(), key.choices.end(), w); };
        const bool ordered =
            std::is_sorted(words.begin(), words.end(), [&](const auto& a, const auto& b) { return place(a) < place(b); });
        if (words.empty() || words.front() != "limits" || !ordered)
            return r.refuse(node, "does not go from mild to strong",
                "limits, then any of request_bits, soc_override, silence, contactors in this order");
    }
    return words;
}

std::optional<KeyValue> read_numbers(const Key& key, const Node& node, NumberBounds bounds, Reader& r)
{
    const std::string allowed = "two numbers in " + print_bounds(key, bounds);
    if (node.kind != Node::Kind::list || node.items.size() != 2) return r.refuse(node, "not a list of two numbers", allowed);
    std::vector<std::int64_t> both;
    for (const Node& item : node.items)
        if (const auto n = r.number(item, key.scale, key.step, bounds, allowed)) both.push_back(*n);
    if (both.size() != 2) return std::nullopt;
    if (both[0] >= both[1]) return r.refuse(node, "the first is not below the second", allowed);
    return both;
}

std::optional<KeyValue> read_curve(const Key& key, const Node& node, NumberBounds bounds, Reader& r)
{
    const std::string x_allowed =
        fmt::format("x in {}..{}", print_number(bounds.min, key.scale), print_number(bounds.max, key.scale));
    const std::string allowed = fmt::format("a list of 2 to {} points [x, fraction], x rising, fraction 0..1", Curve::capacity());
    if (node.kind != Node::Kind::list) return r.refuse(node, node.kind == Node::Kind::none ? "no value" : "not a curve", allowed);
    if (node.items.size() < 2) return r.refuse(node, "fewer than two points", allowed);
    if (node.items.size() > Curve::capacity())
        return r.refuse(node, fmt::format("more than {} points", Curve::capacity()), allowed);
    std::vector<CurvePoint> points;
    bool good = true;
    for (const Node& item : node.items) {
        if (item.kind != Node::Kind::list || item.items.size() != 2) {
            r.refuse(item, "not a point", "[x, fraction]");
            good = false;
            continue;
        }
        const auto x = r.number(item.items[0], key.scale, 1, bounds, x_allowed);
        const auto y = r.number(item.items[1], fraction_scale, 1, {0, fraction_scale}, "fraction 0..1");
        if (x && y && !points.empty() && *x <= points.back().x_milli) {
            r.refuse(item.items[0], fmt::format("{} is not above the point before", shown(item.items[0].raw)),
                "x rises from point to point");
            good = false;
        }
        if (x && y)
            points.push_back({*x, Percent::from_milli(*y)});
        else
            good = false;
    }
    if (!good) return std::nullopt;
    return points;
}

bool plain_text_is_safe(std::string_view text)
{
    static constexpr std::string_view others = "_./-";
    static constexpr std::string_view nothing[] = {"null", "Null", "NULL"};
    if (text.empty() || text.front() == '-' || text.front() == '.') return false;
    if (std::find(std::begin(nothing), std::end(nothing), text) != std::end(nothing)) return false;
    return std::all_of(text.begin(), text.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
            others.find(c) != std::string_view::npos;
    });
}

std::string print_text(std::string_view text)
{
    if (plain_text_is_safe(text)) return std::string{text};
    std::string out = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\') out += '\\';
        if (c == '$') out += '$';
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F)
            out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
        else
            out += c;
    }
    return out + '"';
}

std::string print_curve(const std::vector<CurvePoint>& points)
{
    std::string out;
    for (const CurvePoint& p : points)
        out += fmt::format(
            "{}[{}, {}]", out.empty() ? "" : ", ", print_number(p.x_milli, 1000), print_number(p.y.milli(), fraction_scale));
    return "[" + out + "]";
}

constexpr std::int64_t option_scale = 1'000'000;

// As few digits as tell the number, never an exponent.
std::string print_double(double x) { return print_number(std::llround(x * static_cast<double>(option_scale)), option_scale); }

NumberBounds option_bounds(const OptionRule& rule, std::int64_t scale)
{
    if (rule.min == 0 && rule.max == 0)
        return {std::numeric_limits<std::int64_t>::min(), std::numeric_limits<std::int64_t>::max()};
    return {std::llround(rule.min * static_cast<double>(scale)), std::llround(rule.max * static_cast<double>(scale))};
}

std::optional<OptionValue> read_option(const OptionRule& rule, const Node& node, Reader& r)
{
    const auto wrap = [](auto&& value) -> std::optional<OptionValue> {
        if (!value) return std::nullopt;
        return OptionValue{*value};
    };
    const std::string allowed = print_option_bounds(rule);
    switch (rule.type) {
    case OptionType::boolean: return wrap(r.boolean(node));
    case OptionType::integer: return wrap(r.number(node, 1, 1, option_bounds(rule, 1), allowed));
    case OptionType::number: {
        const auto n = r.number(node, option_scale, 1, option_bounds(rule, option_scale), allowed);
        if (!n) return std::nullopt;
        return OptionValue{static_cast<double>(*n) / static_cast<double>(option_scale)};
    }
    case OptionType::text:
    case OptionType::choice: break;
    }
    if (rule.default_text.empty() && node.kind == Node::Kind::scalar && node.text.empty()) return OptionValue{std::string{}};
    if (rule.type == OptionType::choice) return wrap(r.choice(node, rule.choices));
    const auto text = r.text(node, allowed);
    if (text && (text->size() > 256 || std::any_of(text->begin(), text->end(), [](char c) {
            return static_cast<unsigned char>(c) < 0x20;
        }))) {
        r.refuse(node, "too long, or holds control characters", allowed);
        return std::nullopt;
    }
    return wrap(text);
}

// The driver's own word for the default, in its type.
OptionValue default_option(const OptionRule& rule)
{
    const std::string_view text = rule.default_text;
    switch (rule.type) {
    case OptionType::boolean: return parse_boolean(text).value_or(false);
    case OptionType::integer: return parse_decimal(text, 1, 1).base.value_or(0);
    case OptionType::number:
        return static_cast<double>(parse_decimal(text, option_scale, 1).base.value_or(0)) / static_cast<double>(option_scale);
    case OptionType::text:
    case OptionType::choice: break;
    }
    return std::string{text};
}

bool is_default(const Node& node, std::string_view text)
{
    if (text == "{}") return node.kind == Node::Kind::none || (node.kind == Node::Kind::map && node.entries.empty());
    if (node.kind != Node::Kind::scalar) return false;
    if (node.text == text) return true;
    if (node.quoted) return false;
    if (const auto number = parse_decimal(text, 1000, 1).base) return parse_decimal(node.text, 1000, 1).base == number;
    const auto boolean = parse_boolean(text);
    return boolean && parse_boolean(node.text) == boolean && text != "off";
}

}  // namespace

std::string shown(std::string_view text)
{
    constexpr std::size_t longest = 60;
    if (text.size() <= longest) return fmt::format("'{}'", text);
    std::size_t end = longest;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U) --end;
    return fmt::format("'{}...'", text.substr(0, end));
}

std::optional<KeyValue> read_value(const Key& key, const Node& node, Draft& draft)
{
    Reader r{key.name, draft, key.secret};
    const auto wrap = [](auto&& value) -> std::optional<KeyValue> {
        if (!value) return std::nullopt;
        return KeyValue{*value};
    };
    switch (key.kind) {
    case KeyKind::boolean: return wrap(r.boolean(node));
    case KeyKind::number: {
        if (!key.word.empty() && node.kind == Node::Kind::scalar && !node.quoted && node.text == key.word) return KeyValue{};
        const NumberBounds bounds = bounds_of(key, draft.profile);
        return wrap(r.number(node, key.scale, key.step, bounds, print_bounds(key, bounds)));
    }
    case KeyKind::numbers: return read_numbers(key, node, bounds_of(key, draft.profile), r);
    case KeyKind::choice: return wrap(r.choice(node, key.choices));
    case KeyKind::choices: return read_choices(key, node, r);
    case KeyKind::curve: return read_curve(key, node, bounds_of(key, draft.profile), r);
    case KeyKind::text: {
        const auto text = r.text(node, key.allowed);
        if (!text) return std::nullopt;
        if (key.check == nullptr) return wrap(text);
        auto complaint = key.check(*text);
        if (!complaint) return wrap(text);
        return r.refuse(node, std::move(complaint->what), std::move(complaint->allowed));
    }
    case KeyKind::options:
    case KeyKind::unavailable: break;
    }
    return std::nullopt;
}

Options read_options(std::span<const OptionRule> rules, const Node* node, std::string_view section, Draft& draft)
{
    Options all;
    std::vector<std::string_view> names;
    for (const OptionRule& rule : rules) {
        all.set(rule.name, default_option(rule));
        names.push_back(rule.name);
    }
    if (node == nullptr || node->kind == Node::Kind::none) return all;
    if (node->kind != Node::Kind::map) {
        draft.complain(place(*node), section, "not a section", "keys of the protocol, below this one");
        return all;
    }
    for (const Node::Entry& entry : node->entries) {
        const std::string name = fmt::format("{}.{}", section, entry.key);
        const auto rule = std::find_if(rules.begin(), rules.end(), [&](const OptionRule& o) { return o.name == entry.key; });
        if (rule == rules.end()) {
            const auto meant = nearest(entry.key, names);
            draft.complain({entry.line, entry.column}, name, "unknown option of this protocol",
                meant               ? fmt::format("nearest known: {}", *meant)
                    : names.empty() ? "it has none"
                                    : "known: " + joined(names, ", "));
            continue;
        }
        draft.written.emplace(name, place(entry.value));
        Reader r{name, draft};
        if (auto value = read_option(*rule, entry.value, r)) all.set(rule->name, std::move(*value));
    }
    return all;
}

void read_unavailable(const Key& key, const Node& node, Draft& draft)
{
    if (node.bad || is_default(node, key.default_text)) return;
    draft.complain(place(node), key.name, "not available in this version",
        fmt::format("only its default, {}", key.default_text.empty() ? "\"\"" : key.default_text));
}

std::string print_value(const Key& key, const KeyValue& value)
{
    if (std::holds_alternative<std::monostate>(value)) return std::string{key.word};
    if (const auto* b = std::get_if<bool>(&value)) return *b ? "true" : "false";
    if (const auto* n = std::get_if<std::int64_t>(&value)) return print_number(*n, key.scale);
    if (const auto* text = std::get_if<std::string>(&value)) return key.secret && !text->empty() ? "\"***\"" : print_text(*text);
    if (const auto* points = std::get_if<std::vector<CurvePoint>>(&value)) return print_curve(*points);
    std::string out;
    if (const auto* several = std::get_if<std::vector<std::int64_t>>(&value))
        for (const auto n : *several) out += (out.empty() ? "" : ", ") + print_number(n, key.scale);
    if (const auto* words = std::get_if<std::vector<std::string>>(&value))
        for (const auto& word : *words) out += (out.empty() ? "" : ", ") + word;
    return "[" + out + "]";
}

std::string print_option(const OptionRule& rule, const OptionValue& value)
{
    if (const auto* b = std::get_if<bool>(&value)) return *b ? "true" : "false";
    if (const auto* n = std::get_if<std::int64_t>(&value)) return std::to_string(*n);
    if (const auto* x = std::get_if<double>(&value)) return print_double(*x);
    static_cast<void>(rule);
    return print_text(std::get<std::string>(value));
}

std::string print_option_bounds(const OptionRule& rule)
{
    switch (rule.type) {
    case OptionType::boolean: return "true or false";
    case OptionType::integer:
    case OptionType::number: {
        const std::string what = rule.type == OptionType::integer ? "whole number" : "number";
        return rule.min == 0 && rule.max == 0 ? "a " + what
                                              : fmt::format("{} {}..{}", what, print_double(rule.min), print_double(rule.max));
    }
    case OptionType::choice: return joined(rule.choices, ", ") + (rule.default_text.empty() ? ", or \"\"" : "");
    case OptionType::text: break;
    }
    return "text";
}

}  // namespace batgw
