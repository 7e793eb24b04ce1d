#include "battery/byd_atto3_codes.hpp"

#include <algorithm>
#include <array>

namespace batgw::byd_atto3 {
namespace {

enum class Meaning : std::uint8_t { ignored, warning, fault, leakage, person, welded, runaway };

// By the first two bytes; the third is a failure type that we do not tell apart. From public lists for this pack and its
// relatives, never seen by us. What is not listed is a warning when it begins with P1A, and only shown otherwise.
struct Range {
    std::uint16_t first, last;
    Meaning meaning;
};
constexpr std::array ranges{
    Range{0x1A00, 0x1A00, Meaning::leakage},  // severe leakage to the case
    Range{0x1A01, 0x1A01, Meaning::warning},  // leakage to the case
    Range{0x1A02, 0x1A09, Meaning::fault},    // cell boards: not working, sampling
    Range{0x1A0C, 0x1A15, Meaning::fault},
    Range{0x1A20, 0x1A29, Meaning::fault},
    Range{0x1A34, 0x1A34, Meaning::person},  // precharging failed
    Range{0x1A35, 0x1A35, Meaning::fault},   // cell voltage very high
    Range{0x1A37, 0x1A37, Meaning::fault},   // very low
    Range{0x1A39, 0x1A39, Meaning::fault},   // cell temperature very high
    Range{0x1A3D, 0x1A40, Meaning::fault},   // contactor circuits: negative, main, precharge, charging
    Range{0x1A41, 0x1A42, Meaning::welded},  // main, negative contactor
    Range{0x1A4E, 0x1A4E, Meaning::fault},   // over-current
    Range{0x1A51, 0x1A52, Meaning::fault},   // collision: the pack locks itself
    Range{0x1A55, 0x1A56, Meaning::fault},   // 12 V supply too high, too low
    Range{0x1A60, 0x1A60, Meaning::fault},   // interlock open
    Range{0x1AC0, 0x1AC0, Meaning::fault},   // collision
    Range{0x1AC2, 0x1AC2, Meaning::fault},   // interlock open
    Range{0x1AC4, 0x1AC4, Meaning::fault},   // severe imbalance
    Range{0x1AF6, 0x1AF6, Meaning::runaway},
};
// Missing partners of a car: expected in a house.
constexpr std::array<std::uint32_t, 5> expected{0xC11000, 0xC29787, 0xC29887, 0xC29C00, 0xD10387};

Meaning meaning_of(std::uint32_t code)
{
    const auto head = static_cast<std::uint16_t>(code >> 8);
    for (const Range& r : ranges)
        if (head >= r.first && head <= r.last) return r.meaning;
    return head >> 8 == 0x1A ? Meaning::warning : Meaning::ignored;
}

ReportedFault as_fault(const TroubleCode& c, bool closed)
{
    ReportedFault f{
        .level = FaultClass::info, .direction = Direction::none, .code = code_text(c.code), .never_close_again = false};
    const Meaning meaning = meaning_of(c.code);
    f.never_close_again = meaning == Meaning::welded || (meaning == Meaning::runaway && c.present());
    if (!c.present()) {
        if (f.never_close_again) f.level = FaultClass::warn;
        return f;
    }
    switch (meaning) {
    case Meaning::ignored: break;
    case Meaning::warning: f.level = FaultClass::warn; break;
    case Meaning::leakage: f.level = closed ? FaultClass::warn : FaultClass::block; break;
    case Meaning::fault: f.level = FaultClass::block; break;
    case Meaning::person: f.level = FaultClass::trip; break;
    case Meaning::welded:
    case Meaning::runaway: f.level = FaultClass::emergency; break;
    }
    if (f.level >= FaultClass::block) f.direction = Direction::both;
    return f;
}

// Worst first; what needs a person before what does not.
bool worse(const ReportedFault& a, const ReportedFault& b)
{
    return a.level != b.level ? a.level > b.level : a.never_close_again && !b.never_close_again;
}

}  // namespace

Text<24> code_text(std::uint32_t code)
{
    constexpr std::string_view letters = "PCBU", digits = "0123456789ABCDEF";
    std::array<char, 7> text{};
    text[0] = letters[code >> 22 & 3U];
    text[1] = digits[code >> 20 & 3U];
    for (std::size_t i = 2; i < text.size(); ++i) text[i] = digits[code >> (4 * (6 - i)) & 15U];
    return std::string_view{text.data(), text.size()};
}

void report_codes(std::span<const TroubleCode> codes, bool closed, ReportedFaults& reported)
{
    reported.clear();
    for (const TroubleCode& c : codes) {
        if (std::find(expected.begin(), expected.end(), c.code) != expected.end()) continue;
        const ReportedFault fault = as_fault(c, closed);
        if (reported.full()) {
            if (!worse(fault, reported.back())) continue;
            reported.erase_ordered(reported.size() - 1);
        }
        reported.push_back(fault);
        for (std::size_t i = reported.size() - 1; i > 0 && worse(reported[i], reported[i - 1]); --i)
            std::swap(reported[i], reported[i - 1]);
    }
}

}  // namespace batgw::byd_atto3
