// From values to the frames of Pylontech high voltage. Pure encoding: rounding, saturation and dialect, no decision.
#pragma once

#include "inverter/pylontech_hv_causes.hpp"
#include "model/can_frame.hpp"
#include "model/units.hpp"

#include <cstdint>
#include <string_view>

namespace batgw::pylontech_hv {

// How inverters that ask with the same identifiers want the same fields.
struct Dialect {
    std::uint32_t address = 0;
    bool big_endian = false;
    bool plain_current = false;      // currents from 0 A, not from -3000 A
    bool plain_temperature = false;  // of cells and modules from 0 °C, not from -100 °C
    bool minus = false;              // the discharge limit is a negative current
};

struct Totals {
    Voltage voltage;
    Current current;  // positive charges, here and on this wire
    Temperature temperature;
    Percent soc;  // as shown: may be an override
    Percent soh;
};

// Magnitudes >= 0. A negative limit is none: 0.
struct Limits {
    Voltage charge_cutoff, discharge_cutoff;
    Current charge, discharge;
};

// The extremes of something, and which cell, sensor or module each is of, from 1.
template <class Q>
struct Extremes {
    Q max, min;
    std::int64_t max_number = 1, min_number = 1;
};

struct Status {
    std::int64_t state = 0;
    std::int64_t cycles = 0;
    Causes causes;
    bool force_charge = false;  // asks the inverter to charge
};

// What an inverter is told once and may store: does not change while the program runs (SAFE-116).
struct Geometry {
    std::int64_t cells = 0, modules = 0, cells_per_module = 0;
    Voltage voltage;
    Charge capacity;
};

CanFrame encode_totals(const Totals& t, const Dialect& d);
CanFrame encode_limits(const Limits& l, const Dialect& d);
CanFrame encode_cell_voltages(const Extremes<Voltage>& e, const Dialect& d);
CanFrame encode_cell_temperatures(const Extremes<Temperature>& e, const Dialect& d);
CanFrame encode_status(const Status& s, const Dialect& d);
CanFrame encode_module_voltages(const Extremes<Voltage>& e, const Dialect& d);
CanFrame encode_module_temperatures(const Extremes<Temperature>& e, const Dialect& d);
CanFrame encode_forbidden(bool charge, bool discharge, const Dialect& d);
CanFrame encode_other_faults(const Causes& c, const Dialect& d);
CanFrame encode_versions(const Dialect& d);
CanFrame encode_geometry(const Geometry& g, const Dialect& d);
CanFrame encode_maker(std::string_view name, const Dialect& d);
CanFrame encode_model(const Dialect& d);
CanFrame encode_refusal(const Dialect& d);

}  // namespace batgw::pylontech_hv
