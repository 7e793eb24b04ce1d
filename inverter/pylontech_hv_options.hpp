// What a user may choose for Pylontech high voltage, which choices go together, and the identifiers of each address.
#pragma once

#include "inverter/pylontech_hv_frames.hpp"
#include "inverter/pylontech_hv_layout.hpp"
#include "model/config.hpp"
#include "model/driver.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace batgw::pylontech_hv {

inline constexpr std::array<std::string_view, 2> byte_orders{"little", "big"};
inline constexpr std::array<std::string_view, 2> signs{"plus", "minus"};
inline constexpr std::array<std::string_view, 2> current_offsets{"30000", "0"};
inline constexpr std::array<std::string_view, 2> temperature_offsets{"1000", "0"};

// clang-format off
inline constexpr std::array option_rules{
    OptionRule{"address", OptionType::integer, "0", 0, addresses - 1, {}, "battery address the inverter expects: the low four bits of the identifiers"},
    OptionRule{"discharge_sign", OptionType::choice, "plus", 0, 0, signs, "how the discharge limit is counted; look at what the inverter shows"},
    OptionRule{"byte_order", OptionType::choice, "little", 0, 0, byte_orders, "order of the bytes of two-byte fields"},
    OptionRule{"current_offset", OptionType::choice, "30000", 0, 0, current_offsets, "code of 0 A"},
    OptionRule{"temperature_offset", OptionType::choice, "1000", 0, 0, temperature_offsets, "code of 0 C in the temperatures of cells and modules"},
    OptionRule{"expert", OptionType::boolean, "false", 0, 0, {}, "accept combinations of these four that no inverter is known to want, and any geometry"},
    OptionRule{"name", OptionType::text, "PYLONTEC", 0, 0, {}, "maker shown, 1 to 8 characters; Deye looks for Deye"},
    OptionRule{"modules", OptionType::integer, "4", 1, 255, {}, "modules in series shown; some inverters derive their voltage window from the geometry"},
    OptionRule{"cells_per_module", OptionType::integer, "30", 1, 255, {}, "cells of each module shown"},
    OptionRule{"cells", OptionType::integer, "0", 0, 65535, {}, "cells in series shown; 0: modules by cells_per_module"},
    OptionRule{"voltage_v", OptionType::integer, "384", 0, 2000, {}, "voltage level shown, in V; 0: the pack's nominal voltage"},
    OptionRule{"capacity_ah", OptionType::integer, "37", 0, 65535, {}, "capacity shown, in Ah; 0: the pack's own"},
    OptionRule{"zero_limit_as", OptionType::number, "0", 0, 1, {}, "what is sent for a limit of zero, in A: 0.1 for an inverter that ignores 0; the marks forbid all the same"},
    OptionRule{"window_margin_v", OptionType::number, "2.0", 0, 20, {}, "the voltage window shown is this much inside the pack's, in V"},
    OptionRule{"pace_ms", OptionType::integer, "10", 5, 20, {}, "between two frames of an answer, in ms"},
    OptionRule{"ready_s", OptionType::number, "5", 1, 60, {}, "limits stay 0 until all is well for this long, in s"},
    OptionRule{"lost_s", OptionType::number, "60", 10, 180, {}, "the inverter is lost after this long without a frame, in s"},
    OptionRule{"unasked", OptionType::boolean, "false", 0, 0, {}, "send once a second to an inverter that never asks; its silence then means nothing"},
    OptionRule{"allow_sleep", OptionType::boolean, "false", 0, 0, {}, "follow the inverter's sleep command: limits 0 until it wakes the battery"},
    OptionRule{"silence_on_fault", OptionType::boolean, "false", 0, 0, {}, "stop answering after a long fault"},
    OptionRule{"soc_clamp", OptionType::boolean, "false", 0, 0, {}, "show 0 % or 100 % to an inverter that goes on although its limit is 0"},
};
// clang-format on

Dialect dialect_of(const Options& options);
std::optional<Objection> objection(const Options& options);

// What we send, in the order of the answers.
enum Slot : std::size_t {
    slot_totals,
    slot_limits,
    slot_cell_voltages,
    slot_cell_temperatures,
    slot_status,
    slot_module_voltages,
    slot_module_temperatures,
    slot_forbidden,
    slot_other_faults,
    slot_versions,
    slot_geometry,
    slot_maker,
    slot_model,
    slot_refusal,
    slot_count
};
inline constexpr Duration spacing = 50ms;  // two frames of one id: less than a question and its answer take

// Of every address, one after the other, so that one address is a part of the whole.
inline constexpr std::array controls{sleep_wake.id, relay_command.id, mask_fault.id};
inline constexpr std::array answers{totals.id, limits.id, cell_voltages.id, cell_temperatures.id, status.id, module_voltages.id,
    module_temperatures.id, forbidden.id, other_faults.id, versions.id, geometry.id, maker.id, model.id, mask_answer.id};
static_assert(answers.size() == slot_count);

inline constexpr std::size_t reads_each = 2 + controls.size();
inline constexpr auto receives = [] {
    std::array<RxRule, addresses * reads_each> all{};
    for (std::uint32_t address = 0; address < addresses; ++address) {
        RxRule* r = &all[address * reads_each];
        *r++ = {request.id, true};
        *r++ = {heartbeat.id, true};
        for (const std::uint32_t id : controls) *r++ = {id + address, true};
    }
    return all;
}();

inline constexpr auto sends = [] {
    std::array<TxRule, addresses * slot_count> all{};
    for (std::uint32_t address = 0; address < addresses; ++address)
        for (std::size_t i = 0; i < slot_count; ++i)
            all[address * slot_count + i] = {.id = answers[i] + address,
                .extended = true,
                .min_spacing = spacing,
                .period = 1s,
                .carries_verdict = i < slot_versions};
    return all;
}();

// The part of them that one address uses.
InverterTraffic traffic_of(std::size_t address);

}  // namespace batgw::pylontech_hv
