#include "battery/registry.hpp"

// Every battery driver, one line each: X(name) stands for `const BatteryDriverInfo name_driver`.
#define BATGW_BATTERY_DRIVERS(X) X(byd_atto3) X(deye) X(daly_uart)

namespace batgw {

#define BATGW_DECLARE(name) extern const BatteryDriverInfo name##_driver;
BATGW_BATTERY_DRIVERS(BATGW_DECLARE)
#undef BATGW_DECLARE

std::span<const BatteryDriverInfo* const> battery_drivers()
{
#define BATGW_ENTRY(name) &name##_driver,
    static constexpr const BatteryDriverInfo* all[] = {BATGW_BATTERY_DRIVERS(BATGW_ENTRY)};
#undef BATGW_ENTRY
    return all;
}

const BatteryDriverInfo* find_battery_driver(std::string_view name)
{
    for (const auto* driver : battery_drivers())
        if (driver->name == name) return driver;
    return nullptr;
}

}  // namespace batgw
