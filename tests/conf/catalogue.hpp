// The real drivers, and made-up ones that are good for nothing but the tests of conf/.
#pragma once

#include "battery/registry.hpp"
#include "inverter/registry.hpp"
#include "model/driver.hpp"

#include <array>
#include <vector>

namespace batgw::test {

inline constexpr std::array<std::string_view, 2> shades{"light", "dark"};
inline constexpr std::array<OptionRule, 6> pack_options{{
    {.name = "polls", .type = OptionType::boolean, .default_text = "true", .choices = {}, .help = "ask for more"},
    {.name = "modules", .type = OptionType::integer, .default_text = "2", .min = 1, .max = 8, .choices = {}, .help = "how many"},
    {.name = "margin_v",
        .type = OptionType::number,
        .default_text = "2.0",
        .min = 0,
        .max = 10.5,
        .choices = {},
        .help = "inwards"},
    {.name = "label", .type = OptionType::text, .default_text = "", .choices = {}, .help = "shown"},
    {.name = "shade", .type = OptionType::choice, .default_text = "light", .choices = shades, .help = "of the pack"},
    {.name = "tint", .type = OptionType::choice, .default_text = "", .choices = shades, .help = "if any"},
}};

constexpr BatteryProfile full_profile()
{
    BatteryProfile p;
    p.contactor_mode = ContactorMode::bms_command;
    p.states_limits = true;
    p.states_contactor = true;
    p.verified = Verification::replay;
    for (SignalProfile& s : p.signals) s.provided = true;
    return p;
}

// Has everything; its own numbers for three keys.
inline const BatteryDriverInfo rich_pack{.name = "rich-pack",
    .models = "made up for tests",
    .profile = full_profile(),
    .make = nullptr,
    .adjust =
        [](const BatteryConfig& b, SafetyConfig& s) {
            s.cell.block_high = b.options.get<std::int64_t>("modules") > 4 ? 3610_mV : 3620_mV;
            s.contactors.attempts = 2;
            s.contactors.open_min_wait = 3s;
        },
    .options = pack_options,
    .messages = {},
    .receives = {},
    .sends = {},
    .values = {},
    .cell_key = {},
    .sensor_key = {}};

// Tells nothing of itself that it need not, and takes no commands.
inline const BatteryDriverInfo poor_pack{.name = "poor-pack",
    .models = "made up for tests",
    .profile = {},
    .make = nullptr,
    .adjust = nullptr,
    .options = {},
    .messages = {},
    .receives = {},
    .sends = {},
    .values = {},
    .cell_key = {},
    .sensor_key = {}};

// On a serial line.
inline const BatteryDriverInfo line_pack{.name = "line-pack",
    .models = "made up for tests",
    .serial = SerialLine{.baud = 9600},
    .profile = full_profile(),
    .make = nullptr,
    .adjust = nullptr,
    .options = {},
    .messages = {},
    .receives = {},
    .sends = {},
    .values = {},
    .cell_key = {},
    .sensor_key = {}};

inline const InverterDriverInfo rich_inverter{.name = "rich-inverter",
    .models = "made up for tests",
    .verified = Verification::bench,
    .make = nullptr,
    .adjust = [](const InverterConfig&, SafetyConfig& s) { s.inverter_link.lost = 90s; },
    .options = pack_options,
    .messages = {},
    .receives = {},
    .sends = {},
    .values = {},
    .objection = [](const Options& o) -> std::optional<Objection> {
        if (o.get<std::string>("tint") != "dark" || o.get<std::int64_t>("modules") > 2) return std::nullopt;
        return Objection{"modules", "are too few for a dark tint", "3 or more"};
    }};

// Its silence means nothing.
inline const InverterDriverInfo quiet_inverter{.name = "quiet-inverter",
    .models = "made up for tests",
    .verified = Verification::field,
    .make = nullptr,
    .adjust = [](const InverterConfig&, SafetyConfig& s) { s.inverter_link.information_only = true; },
    .options = {},
    .messages = {},
    .receives = {},
    .sends = {},
    .values = {}};

// One real driver of each kind, and the made-up ones: what is expected in a file does not change with every new driver.
inline DriverCatalogue catalogue()
{
    static const DriverCatalogue real{.batteries = battery_drivers(), .inverters = inverter_drivers()};
    static const auto batteries = [] {
        std::vector<const BatteryDriverInfo*> all{real.battery("byd-atto3")};
        all.insert(all.end(), {&rich_pack, &poor_pack, &line_pack});
        return all;
    }();
    static const auto inverters = [] {
        std::vector<const InverterDriverInfo*> all{real.inverter("byd-hvs")};
        all.insert(all.end(), {&rich_inverter, &quiet_inverter});
        return all;
    }();
    return {.batteries = batteries, .inverters = inverters};
}

}  // namespace batgw::test
