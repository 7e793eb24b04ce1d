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

std::optional<std::string> cells_json(const Snapshot& s, unsigned cells_expected)
{
    const auto cells = s.battery.cells.fresh(s.now);
    if (!cells || cells->count == 0 || cells->count > cells->capacity) return std::nullopt;
    if (cells_expected != 0 && cells->count != cells_expected) return std::nullopt;
    Json j;
    j.open('{');
    j.key("count").integer(cells->count);
    j.key("sequence").integer(s.verdict.sequence);
    numbers(j, "voltages", *cells, cells->count, 3);
    const auto sensors = s.battery.temperatures.fresh(s.now);
    if (sensors)
        numbers(j, "temperatures", *sensors, std::min(sensors->count, sensors->capacity), 1);
    else
        j.key("temperatures").open('[').close(']');
    if (const auto balancing = s.battery.balancing.fresh(s.now)) {
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
