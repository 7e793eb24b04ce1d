#include "inverter/pylontech_lv_options.hpp"

#include "inverter/pylontech_lv_layout.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <string>

namespace batgw::pylontech_lv {
namespace {

constexpr std::array<std::string_view, 2> voltage_steps{"0.01", "0.1"};

// clang-format off
constexpr std::array rules{
    OptionRule{"profile", OptionType::choice, "superset", 0, 0, profile_names, "the dialect of the inverter's brand: see the driver's page"},
    OptionRule{"name", OptionType::text, "PYLON", 0, 0, {}, "maker shown, up to 8 characters; some inverters choose their rules by it"},
    OptionRule{"battery_name", OptionType::text, "batgw", 0, 0, {}, "name shown by Venus OS, up to 16 characters"},
    OptionRule{"native_dlc", OptionType::boolean, "false", 0, 0, {}, "frames of their natural length instead of 8 bytes (superset, pylontech, victron)"},
    OptionRule{"voltage_step_v", OptionType::choice, "0.01", 0, 0, voltage_steps, "step of the voltage shown, in V: 0.1 where the inverter shows a tenth of it"},
    OptionRule{"voltage_margin_v", OptionType::number, "0.2", 0, 5, {}, "charge and discharge voltage are this much inside the pack's, in V"},
    OptionRule{"zero_limit_as", OptionType::number, "0", 0, 1, {}, "what is sent for a limit of zero, in A: 0.1 for a Sofar, which ignores 0"},
    OptionRule{"soc_cap", OptionType::integer, "100", 50, 100, {}, "highest state of charge shown, in %: 99 for a Sofar"},
    OptionRule{"soc_clamp", OptionType::boolean, "false", 0, 0, {}, "show 0 % or 100 % to an inverter that goes on although its limit is 0"},
    OptionRule{"pass_requests", OptionType::boolean, "true", 0, 0, {}, "ask for the charge that the battery itself asks for; many inverters then charge from the grid"},
    OptionRule{"force_charge_soc", OptionType::integer, "0", 0, 50, {}, "ask for charging, from the grid too, at and below this state of charge, in %; 0: never"},
    OptionRule{"full_charge_days", OptionType::integer, "0", 0, 365, {}, "ask for a full charge when 97 % was not seen for so many days; 0: never"},
    OptionRule{"modules", OptionType::integer, "0", 0, 255, {}, "number of modules shown; 0: as many as the battery tells, at least 1"},
    OptionRule{"expect_ack", OptionType::boolean, "false", 0, 0, {}, "zero limits when the inverter is silent; many pause for minutes or never answer"},
    OptionRule{"lost_s", OptionType::number, "60", 10, 180, {}, "the inverter is lost after this long without a frame, in s"},
    OptionRule{"silence_on_fault", OptionType::boolean, "false", 0, 0, {}, "stop sending after a long fault; only for inverters that stop then"},
    OptionRule{"obey_switch_off", OptionType::boolean, "false", 0, 0, {}, "zero limits when a LuxPower asks the battery to switch off"},
    OptionRule{"ready_s", OptionType::number, "5", 1, 60, {}, "limits stay 0 until all is well for this long, in s"},
};
// clang-format on

bool fits(const std::string& text, std::size_t most)
{
    return !text.empty() && text.size() <= most &&
        std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c <= '~'; });
}

}  // namespace

std::span<const OptionRule> options() { return rules; }

std::optional<Objection> objection(const Options& o)
{
    if (!fits(o.get<std::string>("name"), 8)) return Objection{"name", "does not fit the frame", "1 to 8 characters, ASCII"};
    if (!fits(o.get<std::string>("battery_name"), 16))
        return Objection{"battery_name", "does not fit the frames", "1 to 16 characters, ASCII"};
    const Profile& profile = find_profile(o.get<std::string>("profile"));
    if (o.get<bool>("native_dlc") && profile.padding == Padding::always)
        return Objection{"native_dlc", "these inverters take frames of 8 bytes only", "false, or another profile"};
    const bool can_be_ordered = std::find(profile.life.begin(), profile.life.end(), order.id) != profile.life.end();
    if (o.get<bool>("obey_switch_off") && !can_be_ordered)
        return Objection{"obey_switch_off", "only inverters of profile luxpower order this", "false, or profile: luxpower"};
    return std::nullopt;
}

TellerOptions teller_options(const Options& o)
{
    return {.margin = Voltage::from_milli(std::llround(o.get<double>("voltage_margin_v") * 1000.0)),
        .soc_cap = Percent::from_milli(o.get<std::int64_t>("soc_cap") * 1000),
        .force_soc = Percent::from_milli(o.get<std::int64_t>("force_charge_soc") * 1000),
        .full_charge_after = std::chrono::hours{24} * o.get<std::int64_t>("full_charge_days"),
        .pass_requests = o.get<bool>("pass_requests"),
        .modules = o.get<std::int64_t>("modules")};
}

InverterTraffic traffic_of(const Options& o)
{
    return traffic_of(find_profile(o.get<std::string>("profile")), o.get<bool>("native_dlc"));
}

}  // namespace batgw::pylontech_lv
