// What a driver has learned, field by field: which readings changed since they were last shown.
#pragma once

#include "model/battery_state.hpp"
#include "model/inverter_state.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace batgw {

struct ShownValue {
    std::string name;  // as in the code: "cell_voltage_max", "module_3_soc"
    std::string text;  // for people, without unit
    std::string json;  // a JSON value
    std::string unit;  // may be empty
};

class StateChanges {
public:
    // The values that differ from what the last call saw; all that are known at the first. Good until the next call.
    const std::vector<ShownValue>& look(const BatteryState& state);
    const std::vector<ShownValue>& look(const InverterState& state);

private:
    template <class F>
    void offer(std::string_view name, std::uint64_t version, F&& make);
    template <class T>
    void offer(std::string_view name, const Reading<T>& reading);

    // One per field, in the order of looking.
    struct Seen {
        std::uint64_t version = 0;
        std::string json;
    };
    std::vector<Seen> seen_;
    std::size_t next_ = 0;
    std::string prefix_;  // of the names of one module
    std::vector<ShownValue> changed_;
};

}  // namespace batgw
