#include "inverter/byd_hvs_frames.hpp"

#include "inverter/byd_hvs_layout.hpp"

namespace batgw::byd_hvs {

Charge Identity::full() const { return (energy_rated / voltage_nominal).value_or(Charge{}); }

CanFrame encode_limits(const Limits& l)
{
    CanFrame f = limits.blank();
    window_max.put(f, Voltage::from_milli(l.voltage_max * wire_step_milli));
    window_min.put(f, Voltage::from_milli(l.voltage_min * wire_step_milli));
    discharge_limit.put(f, Current::from_milli(l.discharge * wire_step_milli));
    charge_limit.put(f, Current::from_milli(l.charge * wire_step_milli));
    return f;
}

CanFrame encode_charge_state(const Measured& m, const Identity& who)
{
    CanFrame f = charge_state.blank();
    soc.put(f, m.soc);
    soh.put(f, m.soh);
    full.put(f, who.full());
    // Saturated before it is multiplied: what is left is never more than what fits.
    remaining.put(f, share(*soc(f), who.full()));
    return f;
}

CanFrame encode_measurements(const Measured& m)
{
    CanFrame f = measurements.blank();
    voltage.put(f, m.voltage);
    current.put(f, m.current);
    temperature.put(f, m.temperature_avg);
    state.put(f, state_ready);
    state_tail.put(f, state_tail_seen);
    return f;
}

CanFrame encode_temperatures(const Measured& m)
{
    CanFrame f = temperatures.blank();
    temperature_max.put(f, m.temperature_max);
    temperature_min.put(f, m.temperature_min);
    return f;
}

CanFrame encode_counters()
{
    CanFrame f = counters.blank();
    counter_charged.put(f, counter_constant);
    return f;
}

CanFrame encode_identity(const Identity& who)
{
    CanFrame f = identity.blank();
    firmware_major.put(f, firmware_major_sent);
    firmware_minor.put(f, firmware_minor_sent);
    identity_const.put(f, identity_const_sent);
    energy_rated.put(f, who.energy_rated);
    modules.put(f, who.modules);
    product_code.put(f, product_code_sent);
    return f;
}

CanFrame encode_serial(std::int64_t number)
{
    CanFrame f = serial_number.blank();
    serial.put(f, number);
    return f;
}

CanFrame encode_vendor()
{
    CanFrame f = vendor.blank();
    put_piece(f, vendor_name, 0);
    return f;
}

CanFrame encode_product(std::string_view name, std::size_t index)
{
    CanFrame f = product.blank();
    put_piece(f, name, index);
    return f;
}

}  // namespace batgw::byd_hvs
