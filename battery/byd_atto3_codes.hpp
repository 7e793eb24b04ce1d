// Trouble codes of BYD packs and what they mean for us.
#pragma once

#include "model/battery_state.hpp"
#include "model/fixed_vector.hpp"
#include "model/text.hpp"

#include <cstdint>
#include <span>

namespace batgw::byd_atto3 {

struct TroubleCode {
    std::uint32_t code = 0;   // three bytes, first one highest
    std::uint8_t status = 0;  // bit 0: there now; else stored
    constexpr bool present() const { return (status & 1U) != 0; }
};
using TroubleCodes = FixedVector<TroubleCode, 64>;
using ReportedFaults = FixedVector<ReportedFault, 16>;

// As scan tools write it: 0x1A4100 is P1A4100.
Text<24> code_text(std::uint32_t code);

// The worst of the codes, worst first. `closed`: leakage is then a warning, because inverters without a transformer always cause
// it.
void report_codes(std::span<const TroubleCode> codes, bool closed, ReportedFaults& reported);

}  // namespace batgw::byd_atto3
