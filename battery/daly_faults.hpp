// What the bits of 0x98 mean for the judge.
#pragma once

#include "battery/daly_layout.hpp"
#include "battery/daly_sign.hpp"
#include "model/battery_state.hpp"
#include "model/can_frame.hpp"

#include <array>
#include <bitset>
#include <optional>
#include <span>
#include <string_view>

namespace batgw::daly {

// One bit of 0x98: byte and bit counted from 0, bit 0 is the lowest.
struct FaultBit {
    unsigned byte = 0, bit = 0;
    std::string_view code;
    FaultClass level = FaultClass::warn;
    Direction direction = Direction::none;
};
std::span<const FaultBit> fault_table();

// Collects what is reported, worst first: where there is no room for all, the last place says so and takes away whatever those
// left out would.
class Reports {
public:
    void add(FaultClass level, Direction direction, std::string_view code);
    void write(FixedVector<ReportedFault, 16>& reported) const;

private:
    FixedVector<ReportedFault, 80> all_;
};

// `over_current_is_certain`: which way is charging is known, so each over-current bit blocks its own direction; else either
// blocks both.
void report_faults(const CanFrame& frame, bool over_current_is_certain, Reports& reports);

// The commands whose answer is missed when it never comes.
inline constexpr std::array never_missing{cell_extremes.id, temperature_extremes.id, switches.id, status.id, cell_voltages.id,
    sensor_temperatures.id, balance.id, faults.id};

// All that is to be told about a board.
struct Findings {
    std::optional<CanFrame> faults{};  // the last 0x98
    Sign sign = Sign::undecided;
    bool sign_found = false;  // by `auto`
    bool sign_contradicted = false, asleep = false, cells_refused = false;
    std::bitset<never_missing.size()> missing{};
    friend bool operator==(const Findings&, const Findings&) = default;
};
void report_findings(const Findings& findings, FixedVector<ReportedFault, 16>& reported);

}  // namespace batgw::daly
