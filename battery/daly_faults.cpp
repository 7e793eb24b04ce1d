#include "battery/daly_faults.hpp"

#include "battery/daly_layout.hpp"

#include <algorithm>
#include <array>
#include <charconv>

namespace batgw::daly {
namespace {

constexpr auto info = FaultClass::info, warn = FaultClass::warn, block = FaultClass::block;
constexpr auto none = Direction::none, charge = Direction::charge, discharge = Direction::discharge, both = Direction::both;

// Names as in the maker's text of 2020; that of 2019 calls all of the first four "over voltage". Of all these only 6.4 has been
// seen set in a public capture. What each takes away is ours. Bits that are not here are shown by their number.
// clang-format off
constexpr std::array table{
    FaultBit{0, 0, "cell_high_1",              warn,  none},
    FaultBit{0, 1, "cell_high_2",              block, charge},
    FaultBit{0, 2, "cell_low_1",               warn,  none},
    FaultBit{0, 3, "cell_low_2",               block, discharge},
    FaultBit{0, 4, "pack_high_1",              warn,  none},
    FaultBit{0, 5, "pack_high_2",              block, charge},
    FaultBit{0, 6, "pack_low_1",               warn,  none},
    FaultBit{0, 7, "pack_low_2",               block, discharge},
    FaultBit{1, 0, "charge_hot_1",             warn,  none},
    FaultBit{1, 1, "charge_hot_2",             block, charge},
    FaultBit{1, 2, "charge_cold_1",            warn,  none},
    FaultBit{1, 3, "charge_cold_2",            block, charge},
    FaultBit{1, 4, "discharge_hot_1",          warn,  none},
    FaultBit{1, 5, "discharge_hot_2",          block, discharge},
    FaultBit{1, 6, "discharge_cold_1",         warn,  none},
    FaultBit{1, 7, "discharge_cold_2",         block, discharge},
    FaultBit{2, 0, "charge_current_1",         warn,  none},
    FaultBit{2, 1, "charge_current_2",         block, charge},
    FaultBit{2, 2, "discharge_current_1",      warn,  none},
    FaultBit{2, 3, "discharge_current_2",      block, discharge},
    FaultBit{2, 4, "soc_high_1",               info,  none},
    FaultBit{2, 5, "soc_high_2",               warn,  none},
    FaultBit{2, 6, "soc_low_1",                warn,  none},
    FaultBit{2, 7, "soc_low_2",                block, discharge},
    FaultBit{3, 0, "cell_difference_1",        warn,  none},
    FaultBit{3, 1, "cell_difference_2",        block, both},
    FaultBit{3, 2, "heat_difference_1",        warn,  none},
    FaultBit{3, 3, "heat_difference_2",        block, both},
    FaultBit{4, 0, "charge_mos_hot",           block, charge},
    FaultBit{4, 1, "discharge_mos_hot",        block, discharge},
    FaultBit{4, 2, "charge_mos_sensor",        block, both},
    FaultBit{4, 3, "discharge_mos_sensor",     block, both},
    FaultBit{4, 4, "charge_stuck_on:isolate",  block, charge},     // the board can no longer stop charging
    FaultBit{4, 5, "dischrg_stuck_on:isolate", block, discharge},  // nor this
    FaultBit{4, 6, "charge_mos_open",          block, charge},
    FaultBit{4, 7, "discharge_mos_open",       block, discharge},
    FaultBit{5, 0, "measuring_chip",           block, both},
    FaultBit{5, 1, "cell_wire_lost",           block, both},
    FaultBit{5, 2, "temperature_sensor",       block, both},
    FaultBit{5, 3, "eeprom",                   block, both},
    FaultBit{5, 4, "clock",                    warn,  none},
    FaultBit{5, 5, "precharge_failed",         block, discharge},
    FaultBit{5, 6, "outer_communication",      warn,  none},
    FaultBit{5, 7, "inner_communication",      block, both},
    FaultBit{6, 0, "current_measurement",      block, both},
    FaultBit{6, 1, "voltage_measurement",      block, both},
    FaultBit{6, 2, "short_circuit",            block, both},
    FaultBit{6, 3, "too_empty_to_charge",      block, charge},     // deeply discharged: never to be forced
    FaultBit{6, 4, "switched_off_by_hand",     info,  none},       // seen; where the switches stand says 0x93
    FaultBit{6, 5, "cabinet_offline",          info,  none},       // one source
};
// clang-format on

constexpr unsigned byte_of_currents = 2, first_level_2_current = 1, second_level_2_current = 3, byte_of_code = 7;

// "bit_3.7", "fault_code_12"
Text<24> numbered(std::string_view name, unsigned first, std::optional<unsigned> second = {})
{
    std::array<char, 24> text{};
    char* end = std::copy(name.begin(), name.end(), text.begin());
    end = std::to_chars(end, text.data() + text.size(), first).ptr;
    if (second) {
        *end++ = '.';
        end = std::to_chars(end, text.data() + text.size(), *second).ptr;
    }
    return Text<24>{std::string_view{text.data(), static_cast<std::size_t>(end - text.data())}};
}

}  // namespace

std::span<const FaultBit> fault_table() { return table; }

void Reports::add(FaultClass level, Direction direction, std::string_view code)
{
    ReportedFault f{.level = level, .direction = direction};
    f.code.assign(code);
    all_.push_back(f);
}

void Reports::write(FixedVector<ReportedFault, 16>& reported) const
{
    reported.clear();
    ReportedFault rest{.level = FaultClass::none};
    for (const FaultClass level : {FaultClass::block, FaultClass::warn, FaultClass::info})
        for (const ReportedFault& f : all_) {
            if (f.level != level || reported.push_back(f)) continue;
            rest.level = std::max(rest.level, f.level);
            rest.direction = rest.direction | f.direction;
        }
    if (rest.level == FaultClass::none) return;
    ReportedFault& last = reported.back();
    last.level = std::max(last.level, rest.level);
    last.direction = last.direction | rest.direction;
    last.code.assign("and_more");
}

void report_faults(const CanFrame& frame, bool over_current_is_certain, Reports& reports)
{
    for (unsigned byte = 0; byte < byte_of_code; ++byte)
        for (unsigned bit = 0; bit < 8; ++bit) {
            if ((frame.data[byte] >> bit & 1U) == 0) continue;
            const auto* const known =
                std::find_if(table.begin(), table.end(), [&](const FaultBit& f) { return f.byte == byte && f.bit == bit; });
            if (known == table.end()) {
                reports.add(FaultClass::warn, Direction::none, numbered("bit_", byte, bit).view());
                continue;
            }
            const bool over_current = byte == byte_of_currents && (bit == first_level_2_current || bit == second_level_2_current);
            reports.add(known->level, over_current && !over_current_is_certain ? Direction::both : known->direction, known->code);
        }
    if (const std::uint8_t code = frame.data[byte_of_code]; code != 0)
        reports.add(FaultClass::warn, Direction::none, numbered("fault_code_", code).view());
}

void report_findings(const Findings& findings, FixedVector<ReportedFault, 16>& reported)
{
    Reports reports;
    if (findings.faults) report_faults(*findings.faults, findings.sign == Sign::discharge_positive, reports);
    for (std::size_t i = 0; i < never_missing.size(); ++i) {
        if (!findings.missing.test(i)) continue;
        // Without switches and faults nobody may use the pack.
        const bool needed = never_missing[i] == switches.id || never_missing[i] == faults.id;
        std::array<char, 14> code{"no_answer_0x9"};
        code.back() = static_cast<char>('0' + never_missing[i] % 0x10);
        reports.add(needed ? FaultClass::block : FaultClass::info, needed ? Direction::both : Direction::none,
            {code.data(), code.size()});
    }
    if (findings.asleep) reports.add(FaultClass::warn, Direction::none, "asleep");
    if (findings.sign_contradicted) reports.add(FaultClass::warn, Direction::none, "current_sign_wrong");
    if (findings.sign == Sign::undecided) reports.add(FaultClass::warn, Direction::none, "current_sign_unknown");
    const bool upwards = findings.sign == Sign::discharge_positive;
    if (findings.sign_found)
        reports.add(FaultClass::info, Direction::none, upwards ? "sign:discharge_positive" : "sign:charge_positive");
    if (findings.cells_refused) reports.add(FaultClass::warn, Direction::none, "cells_disagree");
    reports.write(reported);
}

}  // namespace batgw::daly
