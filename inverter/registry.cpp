#include "inverter/registry.hpp"

// Every inverter driver, one line each: X(name) stands for `const InverterDriverInfo name_driver`.
#define BATGW_INVERTER_DRIVERS(X) X(byd_hvs) X(pylontech_hv) X(pylontech_lv)

namespace batgw {

#define BATGW_DECLARE(name) extern const InverterDriverInfo name##_driver;
BATGW_INVERTER_DRIVERS(BATGW_DECLARE)
#undef BATGW_DECLARE

std::span<const InverterDriverInfo* const> inverter_drivers()
{
#define BATGW_ENTRY(name) &name##_driver,
    static constexpr const InverterDriverInfo* all[] = {BATGW_INVERTER_DRIVERS(BATGW_ENTRY)};
#undef BATGW_ENTRY
    return all;
}

const InverterDriverInfo* find_inverter_driver(std::string_view name)
{
    for (const auto* driver : inverter_drivers())
        if (driver->name == name) return driver;
    return nullptr;
}

}  // namespace batgw
