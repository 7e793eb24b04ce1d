// Commands that every simulated pack has: lies about a cell or a sensor.
#pragma once

#include "sim/control.hpp"
#include "sim/pack_model.hpp"

#include <cstddef>

namespace batgw::sim {

// "cell NUMBER VOLTS|off", counted from 1 through `count` equal modules; `model_of(module)` is a module's PackModel.
template <class ModelOf>
bool set_cell(const Words& words, std::size_t count, ModelOf model_of)
{
    const unsigned each = model_of(0).cells();
    const auto which = words.size() == 3 ? number_of(words[1]) : std::nullopt;
    if (!which || *which < 1 || *which > static_cast<double>(count * each)) return false;
    const unsigned n = static_cast<unsigned>(*which) - 1;
    PackModel& model = model_of(n / each);
    if (words[2] == "off") {
        model.unpin_cell(n % each);
        return true;
    }
    const auto volts = number_of(words[2]);
    if (!volts || *volts < 0 || *volts > 5) return false;
    model.pin_cell(n % each, *volts);
    return true;
}

// "temp CELSIUS" for all, or "temp SENSOR CELSIUS", counted likewise.
template <class ModelOf>
bool set_temperature(const Words& words, std::size_t count, ModelOf model_of)
{
    const auto celsius = words.size() == 2 || words.size() == 3 ? number_of(words.back()) : std::nullopt;
    if (!celsius || *celsius < -40 || *celsius > 150) return false;
    if (words.size() == 2) {
        for (std::size_t i = 0; i < count; ++i) model_of(i).set_temperature(*celsius);
        return true;
    }
    const unsigned each = model_of(0).sensors();
    const auto which = number_of(words[1]);
    if (!which || *which < 1 || *which > static_cast<double>(count * each)) return false;
    const unsigned n = static_cast<unsigned>(*which) - 1;
    model_of(n / each).pin_sensor(n % each, *celsius);
    return true;
}

}  // namespace batgw::sim
