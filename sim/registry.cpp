#include "sim/registry.hpp"

#include "sim/byd_atto3_pack.hpp"
#include "sim/byd_hvs_inverter.hpp"
#include "sim/deye_pack.hpp"

#include <array>

namespace batgw::sim {
namespace {

constexpr std::array batteries{
    BatteryKind{"byd-atto3", "BYD Atto 3 pack of 126 LFP cells, 150 Ah; other counts by choice",
        [](const BatteryChoice& c) -> std::unique_ptr<SimulatedBattery> { return std::make_unique<BydAtto3Pack>(c); }},
    BatteryKind{"deye", "tower of two Deye modules of 16 LFP cells, 100 Ah each; other counts by choice",
        [](const BatteryChoice& c) -> std::unique_ptr<SimulatedBattery> { return std::make_unique<DeyePack>(c); }},
};
constexpr std::array inverters{
    InverterKind{"byd-hvs", "hybrid inverter set to BYD Battery-Box Premium HVS",
        [](const InverterChoice& c) -> std::unique_ptr<SimulatedInverter> { return std::make_unique<BydHvsInverter>(c); }},
};

}  // namespace

std::span<const BatteryKind> simulated_batteries() { return batteries; }
std::span<const InverterKind> simulated_inverters() { return inverters; }

std::unique_ptr<SimulatedBattery> make_battery(std::string_view protocol, const BatteryChoice& choice)
{
    for (const BatteryKind& k : batteries)
        if (k.protocol == protocol) return k.make(choice);
    return nullptr;
}

std::unique_ptr<SimulatedInverter> make_inverter(std::string_view protocol, const InverterChoice& choice)
{
    for (const InverterKind& k : inverters)
        if (k.protocol == protocol) return k.make(choice);
    return nullptr;
}

}  // namespace batgw::sim
