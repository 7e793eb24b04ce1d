#include "batgw/layout.hpp"

#include "batgw/log_line.hpp"
#include "batgw/message_text.hpp"
#include "conf/draft.hpp"
#include "mqtt/json.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace batgw {
namespace {

std::string id_text(const Protocol& p, std::uint32_t id, bool extended)
{
    return fmt::format("0x{:0{}X}", id, p.serial() ? 2 : extended ? 8 : 3);
}

std::string ids_text(const Protocol& p, const MessageView& m)
{
    const std::string first = fmt::format("`{}`", id_text(p, m.id, m.extended));
    return m.count == 1 ? first : fmt::format("{} to `{}`", first, id_text(p, m.id + m.count - 1U, m.extended));
}

std::string time_of(Duration d)
{
    const std::int64_t us = d.count();
    return us % 1'000'000 == 0 ? fmt::format("{} s", us / 1'000'000) : fmt::format("{} ms", static_cast<double>(us) / 1000);
}

std::string milli_text(std::int64_t milli)
{
    mqtt::Json json;
    return json.milli_short(milli, 3).take();
}

// "0", "2-3", and where it is not whole bytes "1.6" or "0.7-1.4": byte and bit, most significant bit first.
std::string place(Bits b)
{
    const unsigned last = b.first + b.count - 1U;
    if (b.first % 8 == 0 && b.count % 8 == 0)
        return b.count == 8 ? fmt::format("{}", b.first / 8) : fmt::format("{}-{}", b.first / 8, last / 8);
    const auto at = [&](unsigned bit) {
        return b.order == Order::big ? fmt::format("{}.{}", bit / 8, 7 - bit % 8) : fmt::format("{}.{}", bit / 8, bit % 8);
    };
    if (b.count == 1) return at(b.first);
    return b.order == Order::big ? fmt::format("{}-{}", at(b.first), at(last)) : fmt::format("{}-{}", at(last), at(b.first));
}

bool is_plain(const SignalView& s) { return s.unit.empty() && s.step_milli == 1000 && s.zero_milli == 0; }

std::string scale(const SignalView& s)
{
    if (is_plain(s)) return s.bits.count == 1 ? "flag" : "code";
    std::string text = milli_text(s.step_milli < 0 ? -s.step_milli : s.step_milli);
    text = s.zero_milli == 0 ? fmt::format("{}{}", s.step_milli < 0 ? "-" : "", text)
                             : fmt::format("{} {} {} x", milli_text(s.zero_milli), s.step_milli < 0 ? "-" : "+", text);
    return s.unit.empty() ? text : fmt::format("{} {}", text, s.unit);
}

std::string valid(const SignalView& s)
{
    const RawRange all = all_codes(s.bits);
    const std::string codes =
        s.valid.min == all.min && s.valid.max == all.max ? "" : fmt::format(" ({} to {})", s.valid.min, s.valid.max);
    if (is_plain(s)) return codes.empty() ? "all" : fmt::format("{} to {}", s.valid.min, s.valid.max);
    std::int64_t low = s.zero_milli + s.valid.min * s.step_milli, high = s.zero_milli + s.valid.max * s.step_milli;
    if (low > high) std::swap(low, high);
    return fmt::format(
        "{} to {}{}{}", milli_text(low), milli_text(high), s.unit.empty() ? "" : fmt::format(" {}", s.unit), codes);
}

std::string form(Bits b)
{
    std::string text = fmt::format("{} {}", b.count, b.is_signed ? "signed" : "unsigned");
    if (b.first / 8 != (b.first + b.count - 1U) / 8) text += b.order == Order::big ? ", big" : ", little";
    return text;
}

// Cells of a Markdown table hold no bare pipe.
std::string cell(std::string_view text)
{
    std::string out;
    for (const char c : text) out += c == '|' ? std::string{"\\|"} : std::string{c};
    return out;
}

template <class Rule>
bool listed(std::span<const Rule> rules, const MessageView& m)
{
    return std::any_of(rules.begin(), rules.end(), [&](const Rule& r) { return m.carried_by(r.id, r.extended); });
}

void add_messages(std::string& out, const Protocol& p, const Traffic& traffic)
{
    std::vector<const MessageView*> bare;
    out += "\n**Frames.** Place: byte, or byte.bit with bit 0 the lowest, most significant first. Value: `0.1 V` is a step, `500 "
           "- 0.1 x A` "
           "starts elsewhere. Codes outside the valid ones are no reading.\n";
    for (const MessageView& m : p.messages()) {
        const bool sent = listed(traffic.sends(), m);
        if (m.signals.empty() && !sent) {
            bare.push_back(&m);
            continue;
        }
        out += fmt::format("\n{} **{}**, {}{}{}\n", ids_text(p, m), m.name, counted(m.len, "byte"),
            m.period.count() > 0 ? fmt::format(", every {}", time_of(m.period)) : "",
            sent                                ? ", sent"
                : listed(traffic.receives(), m) ? ", read"
                                                : "");
        if (m.signals.empty()) continue;
        out += "\n| Place | Signal | Bits | Value | Valid |\n|---|---|---|---|---|\n";
        for (const SignalView& s : m.signals)
            out += fmt::format("| {} | {} | {} | {} | {} |\n", place(s.bits), cell(s.name), form(s.bits), scale(s), valid(s));
    }
    if (bare.empty()) return;
    out += "\nRead without any signal:";
    for (const MessageView* m : bare) out += fmt::format("{} {} {}", m == bare.front() ? "" : ",", ids_text(p, *m), m->name);
    out += ".\n";
}

void add_undeclared(std::string& out, const Protocol& p, const Traffic& traffic)
{
    std::string ids;
    for (const RxRule& r : traffic.receives()) {
        const auto messages = p.messages();
        if (std::none_of(messages.begin(), messages.end(), [&](const MessageView& m) { return m.carried_by(r.id, r.extended); }))
            ids += fmt::format("{} `{}`", ids.empty() ? "" : ",", id_text(p, r.id, r.extended));
    }
    if (!ids.empty()) out += fmt::format("\nRead byte by byte:{}.\n", ids);
}

void add_sent(std::string& out, const Protocol& p, const Traffic& traffic)
{
    if (traffic.sends().empty()) return;
    const bool serial = p.serial().has_value();
    out += fmt::format(
        "\n**Sent.** Nothing else leaves. A {0} that waits longer than its period is dropped.\n\n| Id | {1} | Apart at least | "
        "Period | Carries a decision |\n|---|---|---|---|---|\n",
        serial ? "telegram" : "frame", serial ? "Bytes" : "Length");
    for (const TxRule& r : traffic.sends())
        out += fmt::format("| `{}`{} | {} | {} | {} | {} |\n", id_text(p, r.id, r.extended), r.paged ? ", each page" : "", r.len,
            time_of(r.min_spacing), r.period > Duration{} ? time_of(r.period) : "-", r.carries_verdict ? "yes" : "no");
}

void add_options(std::string& out, const Protocol& p)
{
    if (p.options().empty()) return;
    out += fmt::format("\n**Options** under `{}.options`.\n\n| Key | Allowed | Default | |\n|---|---|---|---|\n", p.kind());
    for (const OptionRule& o : p.options())
        out += fmt::format("| `{}` | {} | {} | {} |\n", o.name, cell(print_option_bounds(o)),
            o.default_text.empty() ? "unset" : cell(o.default_text), cell(o.help));
}

template <class Value>
void add_topics(std::string& out, std::string_view scope, std::span<const Value> values)
{
    for (const Value& v : values)
        out += fmt::format("| `{}/{}{}{}` | {} |\n", scope, v.key, v.key.empty() ? "" : "/", to_string(v.type), v.decimals);
}

void add_values(std::string& out, const Protocol& p)
{
    const bool any = p.battery != nullptr ? !p.battery->values.empty() : !p.inverter->values.empty();
    if (!any) return;
    out += "\n**Value topics**, below the base topic.\n\n| Topic | Decimals |\n|---|---|\n";
    if (p.inverter != nullptr) {
        add_topics(out, "inverter", p.inverter->values);
        return;
    }
    add_topics(out, "battery", p.battery->values);
    if (!p.battery->sensor_key.empty())
        out += fmt::format("| `battery/{}0/temperature` and so on | 0 |\n", p.battery->sensor_key);
    if (!p.battery->cell_key.empty()) out += fmt::format("| `battery/{}0/voltage` and so on | 3 |\n", p.battery->cell_key);
}

std::string age_text(const SignalProfile& s) { return s.max_age ? time_of(*s.max_age) : "of its class"; }

void add_profile(std::string& out, const BatteryProfile& profile)
{
    out += fmt::format(
        "\n**Profile.** Chemistry {}; contactors by default {}; states its own limits: {}; tells of its contactors: {}.\n"
        "\n| Reading | Every | Fresh for at most |\n|---|---|---|\n",
        to_string(profile.chemistry), to_string(profile.contactor_mode), profile.states_limits ? "yes" : "no",
        profile.states_contactor ? "yes" : "no");
    for (std::size_t i = 0; i < signal_count; ++i) {
        const SignalProfile& s = profile.signals[i];
        if (s.provided)
            out += fmt::format("| {} | {} | {} |\n", to_string(static_cast<SignalId>(i)),
                s.period > Duration{} ? time_of(s.period) : "?", age_text(s));
    }
}

// --- DBC -----------------------------------------------------------------------------------------------------------------------

// A name as DBC allows it.
std::string symbol(std::string_view name)
{
    std::string out;
    for (const char c : name) out += (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ? c : '_';
    if (out.empty() || (out.front() >= '0' && out.front() <= '9')) out.insert(out.begin(), '_');
    return out.substr(0, 32);
}

std::string signal_line(const SignalView& s)
{
    // A big endian signal starts at its highest bit, counted from the lowest of each byte.
    const unsigned start = s.bits.order == Order::big ? s.bits.first / 8 * 8 + (7 - s.bits.first % 8) : s.bits.first;
    std::int64_t low = s.zero_milli + s.valid.min * s.step_milli, high = s.zero_milli + s.valid.max * s.step_milli;
    if (low > high) std::swap(low, high);
    // Bounds of wide codes do not fit a double; 0|0 stands for "not given".
    const bool wide = s.bits.count > 48;
    return fmt::format(" SG_ {} : {}|{}@{}{} ({},{}) [{}|{}] \"{}\" Vector__XXX\n", symbol(s.name), start, s.bits.count,
        s.bits.order == Order::big ? 0 : 1, s.bits.is_signed ? '-' : '+', milli_text(s.step_milli), milli_text(s.zero_milli),
        wide ? "0" : milli_text(low), wide ? "0" : milli_text(high), s.unit == "°C" ? "degC" : s.unit);
}

}  // namespace

std::string layout_markdown(const Protocol& p)
{
    const Traffic traffic = default_traffic(p);
    std::string out =
        fmt::format("<!-- Written by `make docs` from the declarations in {}/: change them there. -->\n\n", p.kind());
    out += fmt::format("`{}`: {}. Bus: {}. Verified: {}.\n", p.name(), p.models(), bus_text(p.serial()), to_string(p.verified()));
    if (p.inverter != nullptr && p.inverter->in_use != nullptr)
        out += "\nIdentifiers depend on the options; these are those of the default options.\n";
    if (!p.messages().empty()) add_messages(out, p, traffic);
    add_undeclared(out, p, traffic);
    add_sent(out, p, traffic);
    add_options(out, p);
    if (p.battery != nullptr) add_profile(out, p.battery->profile);
    add_values(out, p);
    return out;
}

std::string layout_dbc(const Protocol& p)
{
    if (p.serial()) return {};
    std::string out = "VERSION \"\"\n\nNS_ :\n\nBS_:\n\nBU_:\n\n";
    std::string comments;
    std::vector<std::uint32_t> seen;
    for (const MessageView& m : p.messages())
        for (std::uint32_t n = 0; n < m.count; ++n) {
            const std::uint32_t id = (m.id + n) | (m.extended ? 0x80000000U : 0U);
            const std::string name = m.count == 1 ? std::string{m.name} : fmt::format("{}_{}", m.name, n + 1);
            // A DBC knows each identifier once.
            if (std::find(seen.begin(), seen.end(), id) != seen.end()) {
                comments += fmt::format("CM_ BO_ {} \"also: {}\";\n", id, name);
                continue;
            }
            seen.push_back(id);
            out += fmt::format("BO_ {} {}: {} Vector__XXX\n", id, symbol(name), m.len);
            for (const SignalView& signal : m.signals) out += signal_line(signal);
            out += "\n";
        }
    return out + comments;
}

std::optional<std::string> with_layout(std::string_view page, std::string_view layout)
{
    const auto begin = page.find(layout_begin), end = page.find(layout_end);
    if (begin == std::string_view::npos || end == std::string_view::npos || end < begin) return std::nullopt;
    if (page.find(layout_begin, begin + 1) != std::string_view::npos || page.find(layout_end, end + 1) != std::string_view::npos)
        return std::nullopt;
    return fmt::format("{}\n{}{}", page.substr(0, begin + layout_begin.size()), layout, page.substr(end));
}

}  // namespace batgw
