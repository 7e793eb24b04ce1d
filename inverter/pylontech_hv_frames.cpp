#include "inverter/pylontech_hv_frames.hpp"

#include "inverter/pylontech_hv_layout.hpp"

#include <algorithm>
#include <initializer_list>
#include <utility>

namespace batgw::pylontech_hv {
namespace {

// A frame as it leaves: of the address, and in the byte order of the dialect. `words`: first bytes of all two-byte fields.
CanFrame finished(CanFrame f, const Dialect& d, std::initializer_list<std::size_t> words)
{
    f.id += d.address;
    if (d.big_endian)
        for (const std::size_t at : words) std::swap(f.data[at], f.data[at + 1]);
    return f;
}

template <class M>
CanFrame with_text(const M& message, std::string_view text, const Dialect& d)
{
    CanFrame f = message.blank();
    for (std::size_t i = 0; i < std::min(text.size(), f.data.size()); ++i) f.data[i] = static_cast<std::uint8_t>(text[i]);
    return finished(f, d, {});
}

template <class M, class Q>
CanFrame with_extremes(const M& message, const Signal<Q>& max, const Signal<Q>& min, const Extremes<Q>& e, const Dialect& d)
{
    CanFrame f = message.blank();
    max.put(f, e.max);
    min.put(f, e.min);
    max_number.put(f, e.max_number);
    min_number.put(f, e.min_number);
    return finished(f, d, {0, 2, 4, 6});
}

}  // namespace

CanFrame encode_totals(const Totals& t, const Dialect& d)
{
    CanFrame f = totals.blank();
    voltage.put(f, t.voltage);
    (d.plain_current ? current_plain : current).put(f, t.current);
    temperature.put(f, t.temperature);
    soc.put(f, t.soc);
    soh.put(f, t.soh);
    return finished(f, d, {0, 2, 4});
}

CanFrame encode_limits(const Limits& l, const Dialect& d)
{
    CanFrame f = limits.blank();
    charge_cutoff.put(f, l.charge_cutoff);
    discharge_cutoff.put(f, l.discharge_cutoff);
    (d.plain_current ? charge_limit_plain : charge_limit).put(f, l.charge);
    const Signal<Current>& with_offset = d.minus ? discharge_limit_minus : discharge_limit;
    const Signal<Current>& without = d.minus ? discharge_limit_plain_minus : discharge_limit_plain;
    (d.plain_current ? without : with_offset).put(f, l.discharge);
    return finished(f, d, {0, 2, 4, 6});
}

CanFrame encode_cell_voltages(const Extremes<Voltage>& e, const Dialect& d)
{
    return with_extremes(cell_voltages, cell_max, cell_min, e, d);
}

CanFrame encode_cell_temperatures(const Extremes<Temperature>& e, const Dialect& d)
{
    return d.plain_temperature ? with_extremes(cell_temperatures, hottest_plain, coldest_plain, e, d)
                               : with_extremes(cell_temperatures, cell_hottest, cell_coldest, e, d);
}

CanFrame encode_status(const Status& s, const Dialect& d)
{
    CanFrame f = status.blank();
    state.put(f, s.state);
    force_charge.put(f, s.force_charge);
    cycles.put(f, s.cycles);
    write_raw(f, faults_field, s.causes.faults);
    write_raw(f, alarms_field, s.causes.alarms);
    write_raw(f, protections_field, s.causes.protections);
    return finished(f, d, {1, 4, 6});
}

CanFrame encode_module_voltages(const Extremes<Voltage>& e, const Dialect& d)
{
    return with_extremes(module_voltages, module_max, module_min, e, d);
}

CanFrame encode_module_temperatures(const Extremes<Temperature>& e, const Dialect& d)
{
    return d.plain_temperature ? with_extremes(module_temperatures, hottest_plain, coldest_plain, e, d)
                               : with_extremes(module_temperatures, module_hottest, module_coldest, e, d);
}

CanFrame encode_forbidden(bool charge, bool discharge, const Dialect& d)
{
    CanFrame f = forbidden.blank();
    charge_forbidden.put(f, charge ? word_yes : word_no);
    discharge_forbidden.put(f, discharge ? word_yes : word_no);
    return finished(f, d, {});
}

CanFrame encode_other_faults(const Causes& c, const Dialect& d)
{
    CanFrame f = other_faults.blank();
    write_raw(f, other_field, c.other);
    return finished(f, d, {});
}

// What the page gives as the versions of a battery that inverters know.
CanFrame encode_versions(const Dialect& d)
{
    CanFrame f = versions.blank();
    hardware.put(f, 1);
    hardware_version.put(f, 2);
    hardware_edition.put(f, 1);
    software_major.put(f, 1);
    software_minor.put(f, 2);
    return finished(f, d, {6});
}

CanFrame encode_geometry(const Geometry& g, const Dialect& d)
{
    CanFrame f = geometry.blank();
    cells.put(f, g.cells);
    modules.put(f, g.modules);
    cells_per_module.put(f, g.cells_per_module);
    voltage_level.put(f, g.voltage);
    capacity.put(f, g.capacity);
    return finished(f, d, {0, 4, 6});
}

CanFrame encode_maker(std::string_view name, const Dialect& d) { return with_text(maker, name, d); }

CanFrame encode_model(const Dialect& d) { return with_text(model, model_name, d); }

CanFrame encode_refusal(const Dialect& d)
{
    CanFrame f = mask_answer.blank();
    mask_accepted.put(f, word_no);
    return finished(f, d, {});
}

}  // namespace batgw::pylontech_hv
