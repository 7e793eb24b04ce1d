#include "battery/deye_alarms.hpp"

#include "battery/deye_layout.hpp"

#include <array>

namespace batgw::deye {
namespace {

constexpr auto warn = FaultClass::warn, block = FaultClass::block, trip = FaultClass::trip;
constexpr auto none = Direction::none, charge = Direction::charge, discharge = Direction::discharge, both = Direction::both;

// Tables 1 to 4 and 7 and the heater's own bits of table 6 are faults, the rest warnings (the maker's document). A protection
// takes the direction that makes it worse, so that a pack protected from one side can leave that state by the other; of the
// "cold" bit of newer firmware, which may mean either direction, the discharge switch and the limits tell the rest. What a person
// has to mend is a TRIP. "PCS communication" is raised when nobody sends 0x305, which is our default: a warning.
constexpr std::array<Alarm, alarm_count> table{{
    // 1: protection
    {"cell over-voltage", block, charge},
    {"cell under-voltage", block, discharge},
    {"module over-voltage", block, charge},
    {"module under-voltage", block, discharge},
    {"charge over-current", block, charge},
    {"discharge over-current", block, discharge},
    {"cell overtemp charge", block, both},
    {"cell undertemp charge", block, charge},
    // 2: protection
    {"cell overtemp discharge", block, both},
    {"cell undertemp discharge", block, both},
    {"cell voltage spread", block, both},
    {"cell temperature spread", block, both},
    {"MOS overtemp", block, both},
    {"heating film overtemp", block, both},
    {"AFE OCD1", block, discharge},
    {"AFE OCD2", block, discharge},
    // 3: protection by the front-end chip
    {"AFE under-voltage", block, discharge},
    {"AFE over-voltage", block, charge},
    {"AFE OCD latched", block, discharge},
    {"AFE charge over-current", block, charge},
    {"AFE short circuit", block, both},
    {"AFE undertemp", block, both},
    {"AFE overtemp", block, both},
    {"AFE short latched", block, both},
    // 4: faults
    {"AFE communication", block, both},
    {"cell voltage sampling", block, both},
    {"temperature sampling", block, both},
    {"MOSFET shorted", trip, both},
    {"EEPROM", block, both},
    {"internal communication", block, both},
    {"PCS communication", warn, none},
    {"master address twice", block, both},
    // 5: warnings
    {"cell high voltage", warn, none},
    {"cell low voltage", warn, none},
    {"module high voltage", warn, none},
    {"module low voltage", warn, none},
    {"charge high current", warn, none},
    {"discharge high current", warn, none},
    {"cell high temp charge", warn, none},
    {"cell low temp charge", warn, none},
    // 6: warnings, and two faults
    {"cell high temp discharge", warn, none},
    {"cell low temp discharge", warn, none},
    {"cell spread warning", warn, none},
    {"temp spread warning", warn, none},
    {"MOS high temp", warn, none},
    {"heating film high temp", warn, none},
    {"heater MOS stuck", block, both},
    {"heater fault", block, charge},
    // 7: faults of the system
    {"connector overtemp", block, both},
    {"precharge failed", block, both},
    {"charger reversed", trip, both},
    {"terminal overtemp", block, both},
    {"fuse blown", trip, both},
    {"voltage wire open", block, both},
    {"temperature wire open", block, both},
    {"charge voltage low", block, charge},
}};

// The other layout of 0x359, four bytes: protection, protection, warning, warning.
struct Assigned {
    std::size_t bit = 0;
    Alarm alarm;
};
constexpr std::array pylontech_table{
    Assigned{1, {"over-voltage", block, charge}},
    Assigned{2, {"under-voltage", block, discharge}},
    Assigned{3, {"over-temperature", block, both}},
    Assigned{4, {"under-temperature", block, charge}},
    Assigned{7, {"discharge over-current", block, discharge}},
    Assigned{8, {"charge over-current", block, charge}},
    Assigned{11, {"system error", block, both}},
    Assigned{17, {"high voltage", warn, none}},
    Assigned{18, {"low voltage", warn, none}},
    Assigned{19, {"high temperature", warn, none}},
    Assigned{20, {"low temperature", warn, none}},
    Assigned{23, {"discharge high current", warn, none}},
    Assigned{24, {"charge high current", warn, none}},
    Assigned{27, {"internal comm. warning", warn, none}},
};

ReportedFault as_fault(const Alarm& a)
{
    return {.level = a.level, .direction = a.direction, .code = a.name, .never_close_again = a.level >= FaultClass::trip};
}

}  // namespace

bool is_pylontech_layout(const CanFrame& frame) { return frame.data[5] == 'P' && frame.data[6] == 'N'; }

std::optional<unsigned> pylontech_modules(const CanFrame& frame)
{
    const unsigned n = frame.data[4];
    return n >= 1 && n <= most_modules ? std::optional{n} : std::nullopt;
}

void report(const Complaints& c, ReportedFaults& reported)
{
    reported.clear();
    // Where there is no room left the mildest are missing.
    for (const FaultClass level : {trip, block, warn}) {
        const auto add = [&](bool there, const Alarm& a) {
            if (there && a.level == level) reported.push_back(as_fault(a));
        };
        for (std::size_t bit = 0; bit < alarm_count; ++bit) add((c.native >> bit & 1U) != 0, table[bit]);
        for (const Assigned& a : pylontech_table) add((c.pylontech >> a.bit & 1U) != 0, a.alarm);
        add(c.unseen_modules, {"more than 16 modules", block, both});
        add(c.too_many_modules && !c.unseen_modules, {"more than 16 modules", warn, none});
        add(c.module_lost, {"module lost", warn, none});
    }
}

}  // namespace batgw::deye
