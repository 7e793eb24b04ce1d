#include "mqtt/cells_json.hpp"

#include "mqtt/json.hpp"

#include <algorithm>

namespace batgw::mqtt {
namespace {

template <class List>
void numbers(Json& j, std::string_view key, const List& list, std::size_t count, unsigned decimals)
{
    j.key(key).open('[');
    for (std::size_t i = 0; i < count; ++i) {
        const auto value = list[i];
        j.milli_short(value ? std::optional{value->milli()} : std::nullopt, decimals);
    }
    j.close(']');
}

}  // namespace

std::optional<std::string> cells_json(const BatteryState& b, std::uint64_t sequence, Instant now, unsigned cells_expected)
{
    const auto cells = b.cells.fresh(now);
    if (!cells || cells->count == 0 || cells->count > cells->capacity) return std::nullopt;
    if (cells_expected != 0 && cells->count != cells_expected) return std::nullopt;
    Json j;
    j.open('{');
    j.key("count").integer(cells->count);
    j.key("sequence").integer(sequence);
    numbers(j, "voltages", *cells, cells->count, 3);
    const auto sensors = b.temperatures.fresh(now);
    if (sensors)
        numbers(j, "temperatures", *sensors, std::min(sensors->count, sensors->capacity), 1);
    else
        j.key("temperatures").open('[').close(']');
    if (const auto balancing = b.balancing.fresh(now)) {
        std::string text;
        for (std::size_t i = 0; i < cells->count; ++i) text += balancing->test(i) ? '1' : '0';
        j.key("balancing").string(text);
    } else {
        j.key("balancing").null();
    }
    j.close('}');
    return j.take();
}

}  // namespace batgw::mqtt
