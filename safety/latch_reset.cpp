#include "safety/latch_reset.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>

namespace batgw {
namespace {

using Words = Text<120>;

Words& append_seconds(Words& words, Duration time)
{
    std::array<char, 20> digits{};
    std::size_t first = digits.size();
    auto left = static_cast<std::uint64_t>(std::max<std::int64_t>(time / 1s, 0));
    do {
        digits[--first] = static_cast<char>('0' + left % 10);
        left /= 10;
    } while (left != 0);
    return words.append({&digits[first], digits.size() - first}).append(" s");
}

struct Refusal {
    CommandCode code;
    Words words;
};

// Blanks around it are no reason.
bool too_short(std::string_view reason)
{
    while (!reason.empty() && reason.front() == ' ') reason.remove_prefix(1);
    while (!reason.empty() && reason.back() == ' ') reason.remove_suffix(1);
    return reason.size() < shortest_reason;
}

std::optional<Refusal> refuse(const FaultTable& faults, const ActiveFault& f, const ResetRequest& request, Instant now)
{
    Words words{fault_name(f).view()};
    if (f.level >= FaultClass::emergency && request.source != CommandSource::local)
        return Refusal{CommandCode::not_allowed, words.append(" is an EMERGENCY: reset on the machine itself only")};
    if (f.level >= FaultClass::emergency && too_short(request.reason))
        return Refusal{CommandCode::bad_payload, words.append(" is an EMERGENCY: say why, in at least 4 characters")};
    if (f.resettable) return std::nullopt;
    const FaultTable::CauseNow cause = faults.cause_of(f, now);
    if (cause.there)
        words.append(": its cause is still there");
    else if (!cause.known)
        words.append(": values that would show its cause are missing");
    else
        append_seconds(
            append_seconds(words.append(": its cause is gone for "), cause.gone).append(", needed are "), faults.reset_absent());
    return Refusal{CommandCode::cause_present, words};
}

}  // namespace

bool is_named(const ActiveFault& fault, std::string_view name)
{
    return name == "all" || fault_name(fault) == name || fault_kind(fault) == name;
}

ResetOutcome reset_latches(FaultTable& faults, const ResetRequest& request, Instant now)
{
    unsigned done = 0;
    Words reset;
    std::optional<Refusal> refusal;
    for (const ActiveFault& f : faults.faults()) {
        if (!f.latched || !is_named(f, request.fault)) continue;
        if (const auto no = refuse(faults, f, request, now)) {
            if (!refusal) refusal = no;
        } else {
            faults.reset(f);
            reset.append(done++ == 0 ? "reset: " : ", ").append(fault_name(f).view());
        }
    }
    if (done > 0) {
        if (refusal) reset.append("; not ").append(refusal->words.view());
        return {.code = CommandCode::ok, .text = reset, .reset = done};
    }
    if (refusal) return {.code = refusal->code, .text = refusal->words};
    return {.code = CommandCode::not_found, .text = Text<120>{"nothing is latched under this name"}};
}

}  // namespace batgw
