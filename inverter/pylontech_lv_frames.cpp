#include "inverter/pylontech_lv_frames.hpp"

#include "inverter/pylontech_lv_layout.hpp"

namespace batgw::pylontech_lv {
namespace {

Voltage volts(std::int64_t steps) { return Voltage::from_milli(steps * wire_step_milli); }
Current amperes(std::int64_t steps) { return Current::from_milli(steps * wire_step_milli); }

// Eight characters of a text, filled up with `fill`.
CanFrame text_frame(CanFrame f, std::string_view text, std::size_t first, char fill)
{
    for (std::size_t i = 0; i < f.data.size(); ++i)
        f.data[i] = static_cast<std::uint8_t>(first + i < text.size() ? text[first + i] : fill);
    return f;
}

// "Cell 17", "Temp 3". A number that does not fit is none.
std::optional<CanFrame> spot(const CanFrame& blank, std::string_view what, const std::optional<std::int64_t>& number)
{
    if (!number || *number < 1 || *number > 999) return std::nullopt;
    CanFrame f = text_frame(blank, what, 0, '\0');
    std::size_t at = what.size() + (*number > 99 ? 3U : *number > 9 ? 2U : 1U);
    for (std::int64_t rest = *number; rest > 0; rest /= 10) f.data[--at] = static_cast<std::uint8_t>('0' + rest % 10);
    return f;
}

CanFrame encode_limits(const Limits& l)
{
    CanFrame f = limits.blank();
    charge_voltage.put(f, volts(l.charge_voltage));
    charge_limit.put(f, amperes(l.charge));
    discharge_limit.put(f, amperes(l.discharge));
    discharge_voltage.put(f, volts(l.discharge_voltage));
    return f;
}

CanFrame encode_charge_state(const Measured& m, const Dialect& d)
{
    CanFrame f = charge_state.blank();
    soc.put(f, m.soc);
    soh.put(f, m.soh);
    if (d.profile.tail == Tail::soc_fine) {
        soc_fine.put(f, m.soc);
    } else if (d.profile.tail == Tail::cells) {
        lux_cell_max.put(f, m.cell_voltage_max.value_or(Voltage{}));
        lux_cell_min.put(f, m.cell_voltage_min.value_or(Voltage{}));
    }
    return f;
}

CanFrame encode_measurements(const Measured& m, const Dialect& d)
{
    CanFrame f = measurements.blank();
    (d.coarse_voltage ? voltage_coarse : voltage).put(f, m.voltage);
    current.put(f, m.current);
    if (d.profile.tail == Tail::cells) {
        lux_temperature_max.put(f, m.temperature_max);
        lux_temperature_min.put(f, m.temperature_min);
    } else {
        temperature.put(f, m.temperature_avg);
    }
    return f;
}

CanFrame encode_status(const Told& t, const Dialect& d)
{
    CanFrame f = status.blank();
    put_status(f, t.alarms);
    modules.put(f, t.modules.all());
    if (d.profile.lux_fields)
        lux_capacity.put(f, t.identity.capacity);
    else
        signature.put(f, signature_pn);
    return f;
}

CanFrame encode_requests(const Told& t, const Dialect& d)
{
    CanFrame f = requests.blank();
    charge_enable.put(f, t.requests.charge_enable);
    discharge_enable.put(f, t.requests.discharge_enable);
    force_charge_1.put(f, t.requests.force_charge_1);
    force_charge_2.put(f, t.requests.force_charge_2);
    full_charge_request.put(f, t.requests.full_charge);
    if (d.profile.lux_fields) cycles.put(f, t.measured.cycles);
    return f;
}

CanFrame encode_product(const Identity& who)
{
    CanFrame f = product.blank();
    cell_type.put(f, cell_type_li);
    version_major.put(f, version_major_sent);
    version_minor.put(f, version_minor_sent);
    capacity.put(f, who.capacity);
    maker_id.put(f, maker_id_sent);
    return f;
}

CanFrame encode_module_counts(const ModuleCounts& m)
{
    CanFrame f = module_counts.blank();
    modules_online.put(f, m.online);
    modules_blocking_charge.put(f, m.blocking_charge);
    modules_blocking_discharge.put(f, m.blocking_discharge);
    modules_offline.put(f, m.offline);
    return f;
}

std::optional<CanFrame> encode_extremes(const Measured& m)
{
    if (!m.cell_voltage_max || !m.cell_voltage_min) return std::nullopt;  // 0 would be read as a dead cell
    CanFrame f = extremes.blank();
    cell_voltage_min.put(f, *m.cell_voltage_min);
    cell_voltage_max.put(f, *m.cell_voltage_max);
    temperature_min.put(f, m.temperature_min);
    temperature_max.put(f, m.temperature_max);
    return f;
}

std::optional<CanFrame> encode_energy(const Measured& m)
{
    if (!m.energy_in || !m.energy_out) return std::nullopt;
    CanFrame f = energy.blank();
    energy_charged.put(f, *m.energy_in);
    energy_discharged.put(f, *m.energy_out);
    return f;
}

CanFrame encode_installed(const Identity& who)
{
    CanFrame f = installed_capacity.blank();
    installed.put(f, who.capacity);
    return f;
}

std::optional<CanFrame> whole(Slot slot, const Told& t, const Dialect& d)
{
    switch (slot) {
    case Slot::status: return encode_status(t, d);
    case Slot::limits: return encode_limits(t.limits);
    case Slot::charge_state: return encode_charge_state(t.measured, d);
    case Slot::measurements: return encode_measurements(t.measured, d);
    case Slot::requests: return encode_requests(t, d);
    case Slot::maker: return text_frame(maker.blank(), t.identity.maker.view(), 0, ' ');
    case Slot::alarms: return encode_alarms(t.alarms);
    case Slot::product: return encode_product(t.identity);
    case Slot::name_first: return text_frame(name_first.blank(), t.identity.battery.view(), 0, '\0');
    case Slot::name_second: return text_frame(name_second.blank(), t.identity.battery.view(), 8, '\0');
    case Slot::module_counts: return encode_module_counts(t.modules);
    case Slot::extremes: return encode_extremes(t.measured);
    case Slot::lowest_cell: return spot(lowest_cell.blank(), "Cell ", t.measured.cell_min_number);
    case Slot::highest_cell: return spot(highest_cell.blank(), "Cell ", t.measured.cell_max_number);
    case Slot::coldest_spot: return spot(coldest_spot.blank(), "Temp ", t.measured.coldest_number);
    case Slot::hottest_spot: return spot(hottest_spot.blank(), "Temp ", t.measured.hottest_number);
    case Slot::energy: return encode_energy(t.measured);
    case Slot::installed_capacity: break;
    }
    return encode_installed(t.identity);
}

}  // namespace

std::optional<CanFrame> encode(Slot slot, const Told& told, const Dialect& dialect)
{
    auto f = whole(slot, told, dialect);
    if (f) f->len = rule_of(slot, dialect.profile, dialect.natural_length).len;
    return f;
}

}  // namespace batgw::pylontech_lv
