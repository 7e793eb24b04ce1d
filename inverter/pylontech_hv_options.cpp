#include "inverter/pylontech_hv_options.hpp"

#include <algorithm>
#include <string>

namespace batgw::pylontech_hv {
namespace {

// The dialects that somebody's inverter is known to speak.
bool dialect_is_known(const Dialect& d)
{
    if (d.big_endian) return d.plain_current && !d.minus;
    if (d.plain_current) return d.plain_temperature && !d.minus;
    return !d.plain_temperature || (d.minus && d.address == 1);
}

}  // namespace

Dialect dialect_of(const Options& o)
{
    return {.address = static_cast<std::uint32_t>(o.get<std::int64_t>("address")),
        .big_endian = o.get<std::string>("byte_order") == "big",
        .plain_current = o.get<std::string>("current_offset") == "0",
        .plain_temperature = o.get<std::string>("temperature_offset") == "0",
        .minus = o.get<std::string>("discharge_sign") == "minus"};
}

std::optional<Objection> objection(const Options& o)
{
    const auto& name = o.get<std::string>("name");
    const bool printable = std::all_of(name.begin(), name.end(), [](char c) { return c >= ' ' && c <= '~'; });
    if (name.empty() || name.size() > 8 || !printable)
        return Objection{"name", "does not fit the frame", "1 to 8 characters, ASCII"};
    if (o.get<bool>("expert")) return std::nullopt;
    const Dialect d = dialect_of(o);
    if (!dialect_is_known(d))
        return Objection{d.big_endian ? "byte_order"
                : d.plain_current     ? "current_offset"
                                      : "temperature_offset",
            "is not known to go with the other options in any inverter",
            "a row of docs/protocols/pylontech-hv.md, or expert: true"};
    const std::int64_t told = o.get<std::int64_t>("cells");
    if (told != 0 && told != o.get<std::int64_t>("modules") * o.get<std::int64_t>("cells_per_module"))
        return Objection{"cells", "is not modules times cells_per_module", "0, or that product, or expert: true"};
    return std::nullopt;
}

InverterTraffic traffic_of(std::size_t address)
{
    return {.receives = std::span{receives}.subspan(address * reads_each, reads_each),
        .sends = std::span{sends}.subspan(address * slot_count, slot_count)};
}

}  // namespace batgw::pylontech_hv
