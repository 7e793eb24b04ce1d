#include "sim/registry.hpp"

#include "sim/byd_atto3_pack.hpp"
#include "sim/byd_hvs_inverter.hpp"
#include "sim/daly_bms.hpp"
#include "sim/deye_pack.hpp"
#include "sim/pylontech_hv_inverter.hpp"
#include "sim/pylontech_lv_inverter.hpp"

#include <algorithm>
#include <array>

namespace batgw::sim {
namespace {

constexpr std::array batteries{
    BatteryKind{"byd-atto3", "BYD Atto 3 pack of 126 LFP cells, 150 Ah; other counts by choice",
        [](const BatteryChoice& c) -> std::unique_ptr<SimulatedBattery> { return std::make_unique<BydAtto3Pack>(c); },
        "capacity_wh: 60480\ncells: 126"},
    BatteryKind{"deye", "tower of two Deye modules of 16 LFP cells, 100 Ah each; other counts by choice",
        [](const BatteryChoice& c) -> std::unique_ptr<SimulatedBattery> { return std::make_unique<DeyePack>(c); }},
    BatteryKind{"daly-uart", "Daly BMS of 16 LFP cells, 100 Ah; other counts by choice",
        [](const BatteryChoice& c) -> std::unique_ptr<SimulatedBattery> { return std::make_unique<DalyBms>(c); },
        "max_charge_w: 2500\nmax_discharge_w: 3000\ncapacity_wh: 5120\ncells: 16"},
};
constexpr std::array inverters{
    InverterKind{"byd-hvs", "hybrid inverter set to BYD Battery-Box Premium HVS",
        [](const InverterChoice& c) -> std::unique_ptr<SimulatedInverter> { return std::make_unique<BydHvsInverter>(c); },
        "ready_s: 1"},
    InverterKind{"pylontech-lv", "48 V inverter set to Pylontech, or to one of its dialects",
        [](const InverterChoice& c) -> std::unique_ptr<SimulatedInverter> { return std::make_unique<PylontechLvInverter>(c); },
        "ready_s: 1"},
    InverterKind{"pylontech-hv", "hybrid inverter set to Pylontech high voltage",
        [](const InverterChoice& c) -> std::unique_ptr<SimulatedInverter> { return std::make_unique<PylontechHvInverter>(c); },
        "ready_s: 1"},
};

}  // namespace

std::span<const BatteryKind> simulated_batteries() { return batteries; }
std::span<const InverterKind> simulated_inverters() { return inverters; }

const BatteryKind* find_battery(std::string_view protocol)
{
    const auto found =
        std::find_if(batteries.begin(), batteries.end(), [&](const BatteryKind& k) { return k.protocol == protocol; });
    return found != batteries.end() ? &*found : nullptr;
}

const InverterKind* find_inverter(std::string_view protocol)
{
    const auto found =
        std::find_if(inverters.begin(), inverters.end(), [&](const InverterKind& k) { return k.protocol == protocol; });
    return found != inverters.end() ? &*found : nullptr;
}

std::unique_ptr<SimulatedBattery> make_battery(std::string_view protocol, const BatteryChoice& choice)
{
    const BatteryKind* kind = find_battery(protocol);
    return kind != nullptr ? kind->make(choice) : nullptr;
}

std::unique_ptr<SimulatedInverter> make_inverter(std::string_view protocol, const InverterChoice& choice)
{
    const InverterKind* kind = find_inverter(protocol);
    return kind != nullptr ? kind->make(choice) : nullptr;
}

}  // namespace batgw::sim
