#include "inverter/pylontech_lv_alarms.hpp"

#include "inverter/pylontech_lv_layout.hpp"

#include <algorithm>
#include <array>

namespace batgw::pylontech_lv {
namespace {

struct FaultRow {
    FaultId id;
    Item item;
};

// Every fault there is, in the order of model/fault.hpp. Blocks by state of charge and by the battery's own permission are
// ordinary operation: limit and enable bit tell them. What concerns operator, broker or the inverter's own link is not the
// inverter's business.
constexpr std::array fault_rows{
    FaultRow{FaultId::sig_stale, Item::communication},
    FaultRow{FaultId::sig_bad, Item::communication},
    FaultRow{FaultId::sig_frozen, Item::internal},
    FaultRow{FaultId::plausibility, Item::internal},
    FaultRow{FaultId::assumed, Item::none},
    FaultRow{FaultId::loop_stall, Item::general},
    FaultRow{FaultId::tx_guard_refused, Item::general},
    FaultRow{FaultId::too_many_faults, Item::general},
    FaultRow{FaultId::cell_high_curve, Item::voltage_high},
    FaultRow{FaultId::cell_low_curve, Item::voltage_low},
    FaultRow{FaultId::cell_high, Item::voltage_high},
    FaultRow{FaultId::cell_high_crit, Item::voltage_high},
    FaultRow{FaultId::cell_low, Item::voltage_low},
    FaultRow{FaultId::cell_low_crit, Item::voltage_low},
    FaultRow{FaultId::cell_deep, Item::voltage_low},
    FaultRow{FaultId::pack_high, Item::voltage_high},
    FaultRow{FaultId::pack_low, Item::voltage_low},
    FaultRow{FaultId::pack_v_crit, Item::voltage},
    FaultRow{FaultId::cell_dev, Item::imbalance},
    FaultRow{FaultId::cell_dev_crit, Item::imbalance},
    FaultRow{FaultId::temp_curve, Item::temperature},
    FaultRow{FaultId::temp_cold, Item::temperature_low},
    FaultRow{FaultId::temp_hot, Item::temperature_high},
    FaultRow{FaultId::temp_crit, Item::temperature_high},
    FaultRow{FaultId::temp_event, Item::temperature_high},
    FaultRow{FaultId::temp_spread, Item::general},
    FaultRow{FaultId::overcurrent, Item::current},
    FaultRow{FaultId::soc_curve, Item::none},
    FaultRow{FaultId::soc_low, Item::none},
    FaultRow{FaultId::soc_high, Item::none},
    FaultRow{FaultId::soh_low, Item::internal},
    FaultRow{FaultId::bms_fault, Item::internal},
    FaultRow{FaultId::bms_denies, Item::none},
    FaultRow{FaultId::insulation, Item::general},
    FaultRow{FaultId::bat_link_lost, Item::communication},
    FaultRow{FaultId::inv_link_lost, Item::none},
    FaultRow{FaultId::id_conflict, Item::general},
    FaultRow{FaultId::identity_changed, Item::general},
    FaultRow{FaultId::identity_mismatch, Item::general},
    FaultRow{FaultId::precharge_failed, Item::contactor},
    FaultRow{FaultId::close_failed, Item::contactor},
    FaultRow{FaultId::contactor_feedback, Item::contactor},
    FaultRow{FaultId::contactor_not_open, Item::contactor},
    FaultRow{FaultId::opened_by_itself, Item::contactor},
    FaultRow{FaultId::closed_by_itself, Item::contactor},
    FaultRow{FaultId::contactor_welded, Item::contactor},
    FaultRow{FaultId::weld_suspected, Item::contactor},
    FaultRow{FaultId::contactor_wear, Item::none},
    FaultRow{FaultId::precharge_unverified, Item::none},
    FaultRow{FaultId::link_precharged, Item::none},
    FaultRow{FaultId::interlock_open, Item::general},
    FaultRow{FaultId::emergency_stop, Item::general},
    FaultRow{FaultId::gpio_lines, Item::contactor},
    FaultRow{FaultId::pack_mismatch, Item::none},
    FaultRow{FaultId::link_synthetic, Item::none},
    FaultRow{FaultId::unverified_driver, Item::none},
    FaultRow{FaultId::limit_exceeded, Item::current},
    FaultRow{FaultId::inverter_ignores_limits, Item::general},
    FaultRow{FaultId::idle_drain, Item::none},
    FaultRow{FaultId::black_start, Item::none},
    FaultRow{FaultId::bus_off, Item::communication},
    FaultRow{FaultId::bus_down, Item::communication},
    FaultRow{FaultId::tx_starved, Item::communication},
    FaultRow{FaultId::no_ack, Item::none},
    FaultRow{FaultId::rx_drops, Item::communication},
    FaultRow{FaultId::retained_command, Item::none},
    FaultRow{FaultId::tls_unverified, Item::none},
    FaultRow{FaultId::state_not_kept, Item::none},
    FaultRow{FaultId::latch_store, Item::general},
    FaultRow{FaultId::restart_loop, Item::general},
    FaultRow{FaultId::clock_invalid, Item::none},
};
constexpr bool every_fault_has_its_row()
{
    for (std::size_t i = 0; i < fault_rows.size(); ++i)
        if (fault_rows[i].id != static_cast<FaultId>(i)) return false;
    return fault_rows.size() == static_cast<std::size_t>(FaultId::count);
}
static_assert(every_fault_has_its_row(), "a fault is missing in the table, or stands in the wrong place");

constexpr std::uint32_t bit(const Flag& flag) { return 1U << flag.bits.first; }

// Where an item is shown. `pair`: of 0x35A; `pair_charging`: when it concerns charging alone.
struct ItemRow {
    Item item;
    std::uint32_t protection, warning;  // bits of 0x359
    unsigned pair, pair_charging;
};
constexpr std::array item_rows{
    ItemRow{Item::voltage_high, bit(over_voltage), bit(voltage_high), 1, 1},
    ItemRow{Item::voltage_low, bit(under_voltage), bit(voltage_low), 2, 2},
    ItemRow{Item::temperature_high, bit(over_temperature), bit(temperature_high), 3, 5},
    ItemRow{Item::temperature_low, bit(under_temperature), bit(temperature_low), 4, 6},
    ItemRow{Item::discharge_current, bit(discharge_over_current), bit(discharge_current_high), 7, 7},
    ItemRow{Item::charge_current, bit(charge_over_current), bit(charge_current_high), 8, 8},
    ItemRow{Item::contactor, bit(system_error), 0, 9, 9},
    ItemRow{Item::communication, bit(system_error), bit(communication_failure), 11, 11},
    ItemRow{Item::internal, bit(system_error), 0, 11, 11},
    ItemRow{Item::imbalance, bit(system_error), 0, 12, 12},
    ItemRow{Item::general, bit(system_error), 0, 0, 0},
};

// In the middle of what both kinds of cells like.
constexpr Temperature comfortable = 25_degC;

Item item_for(const ActiveFault& f, const AlarmContext& context)
{
    const Item item = item_of(f.id);
    // The inverter and its bus are no part of the battery.
    if (f.device == Device::inverter && (item == Item::communication || item == Item::internal))
        return f.level >= FaultClass::block ? Item::general : Item::none;
    if (item == Item::voltage) return f.value_milli >= f.limit_milli ? Item::voltage_high : Item::voltage_low;
    if (item == Item::current) {
        // The current may have gone back since, its limit keeps its sign.
        const bool discharging = f.limit_milli != 0 ? f.limit_milli < 0 : f.detail == to_string(Direction::discharge);
        return discharging ? Item::discharge_current : Item::charge_current;
    }
    if (item == Item::temperature) {
        const bool hot = context.temperature_max - comfortable > comfortable - context.temperature_min;
        return hot ? Item::temperature_high : Item::temperature_low;
    }
    return item;
}

}  // namespace

Item item_of(FaultId id)
{
    const auto i = static_cast<std::size_t>(id);
    return i < fault_rows.size() ? fault_rows[i].item : Item::general;
}

Alarms alarms_of(std::span<const ActiveFault> faults, const AlarmContext& context)
{
    Alarms shown;
    for (const ActiveFault& f : faults) {
        if (f.level < FaultClass::warn) continue;
        const Item item = item_for(f, context);
        const auto* const row =
            std::find_if(item_rows.begin(), item_rows.end(), [item](const ItemRow& r) { return r.item == item; });
        if (row == item_rows.end()) continue;

        const bool stops = f.level >= FaultClass::block && f.direction != Direction::none && covers(context.stopped, f.direction);
        const bool both = stops && f.direction == Direction::both;
        // A system error has no direction: inverters may stop altogether for it.
        const bool protects = row->protection == bit(system_error) ? both : stops;
        if (protects) shown.status |= row->protection;
        if (both && f.level >= FaultClass::trip) shown.status |= bit(system_error);
        if (!protects || item == Item::communication) shown.status |= row->warning;

        const auto pair = static_cast<std::uint16_t>(1U << (f.direction == Direction::charge ? row->pair_charging : row->pair));
        if (context.alarm_stops_both ? both : stops)
            shown.raised |= pair;
        else
            shown.warned |= pair;
    }
    return shown;
}

void put_status(CanFrame& frame, const Alarms& shown) { write_raw(frame, le(0, 32), shown.status); }

CanFrame encode_alarms(const Alarms& shown)
{
    CanFrame f = alarms.blank();
    for (unsigned i = 0; i < pair_count; ++i) {
        const std::uint16_t raised = i < first_warning_pair ? shown.raised : shown.warned;
        const bool on = (raised >> i % first_warning_pair & 1U) != 0;
        write_raw(f, le(2 * i, 2), on ? pair_raised : pair_clear);
    }
    return f;
}

}  // namespace batgw::pylontech_lv
