#include "batgw/event_text.hpp"

#include "mqtt/fault_text.hpp"

#include <fmt/format.h>

namespace batgw {
namespace {

std::string_view directions(Direction d)
{
    switch (d) {
    case Direction::none: break;
    case Direction::charge: return "charge";
    case Direction::discharge: return "discharge";
    case Direction::both: return "charge and discharge";
    }
    return "";
}

std::string effect(const ActiveFault& f)
{
    if (f.direction == Direction::none || f.level < FaultClass::derate) return {};
    return fmt::format(" ({} {})", directions(f.direction), f.level == FaultClass::derate ? "reduced" : "0");
}

std::string printable(std::string_view text)
{
    std::string out;
    for (const char c : text)
        if (c >= ' ' && c <= '~') out += c;
    return out;
}

std::string fault_event(const Event& e)
{
    const ActiveFault& f = e.fault;
    const std::string of = e.text.empty() ? "" : fmt::format(" of {}", printable(e.text.view()));  // "battery 2", of several
    const std::string what = fmt::format("{}{}: {}", fault_kind(f).view(), of, mqtt::fault_text(f));
    switch (e.type) {
    case EventType::fault_cleared: return fmt::format("over: {}", what);
    case EventType::fault_class: return fmt::format("{} -> {} {}{}", e.from.view(), to_string(f.level), what, effect(f));
    default: return fmt::format("{} {}{}", to_string(f.level), what, effect(f));
    }
}

// "state RUN -> BLOCK", "battery link lost -> alive".
std::string change(std::string_view what, const Event& e) { return fmt::format("{} {} -> {}", what, e.from.view(), e.to.view()); }

bool of_a_fault(EventType t) { return t == EventType::fault_set || t == EventType::fault_cleared || t == EventType::fault_class; }

}  // namespace

std::string event_text(const Event& e)
{
    if (of_a_fault(e.type)) return fault_event(e);
    const std::string text = printable(e.text.view());
    switch (e.type) {
    case EventType::state: return change("state", e);
    case EventType::contactors: return change(text.empty() ? "contactors" : text + " contactors", e);
    case EventType::link: return change(text.empty() ? "link" : text + " link", e);
    default: return text.empty() ? std::string{to_string(e.type)} : text;
    }
}

LogLevel event_level(const Event& e)
{
    if (e.type != EventType::fault_set && e.type != EventType::fault_class) return LogLevel::info;
    if (e.fault.level >= FaultClass::trip) return LogLevel::error;
    return e.fault.level == FaultClass::block || e.fault.level == FaultClass::warn ? LogLevel::warn : LogLevel::info;
}

}  // namespace batgw
