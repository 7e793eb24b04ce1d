// Every fault of the judge, and what an inverter is shown of it. Bit positions are written out from the protocol's description.
#include "inverter/pylontech_lv_alarms.hpp"

#include "tests/inverter/lv_house.hpp"

using namespace batgw;
using namespace batgw::test;
namespace lv = batgw::pylontech_lv;

namespace {

// Bits of bytes 0 to 3 of 0x359.
constexpr std::uint32_t over_voltage = 1U << 1, under_voltage = 1U << 2, over_temperature = 1U << 3, under_temperature = 1U << 4,
                        discharge_over_current = 1U << 7, charge_over_current = 1U << 8, system_error = 1U << 11;
constexpr std::uint32_t voltage_high = 1U << 17, voltage_low = 1U << 18, temperature_high = 1U << 19, temperature_low = 1U << 20,
                        discharge_high = 1U << 23, charge_high = 1U << 24, communication = 1U << 27;
// Items of 0x35A.
enum Pair : int {
    no_pair = -1,
    general,
    pair_high,
    pair_low,
    pair_hot,
    pair_cold,
    pair_hot_charging,
    pair_cold_charging,
    pair_discharge,
    pair_charge,
    pair_contactor,
    pair_short,
    pair_internal,
    pair_imbalance
};

struct Expected {
    FaultId id;
    FaultClass level;
    Direction direction;
    std::uint32_t status;  // when all that it blocks is told zero
    Pair alarm, warning;
    std::uint32_t status_before = 0;  // while it is not yet
};

using enum FaultClass;
constexpr Direction none_ = Direction::none, c = Direction::charge, d = Direction::discharge, cd = Direction::both;

// As the judge reports them: level and direction are those of the fault catalogue.
const std::vector<Expected> rows{
    {FaultId::sig_stale, block, c, communication, pair_internal, no_pair, communication},
    {FaultId::sig_stale, block, d, communication, pair_internal, no_pair, communication},
    {FaultId::sig_stale, block, cd, system_error | communication, pair_internal, no_pair, communication},
    {FaultId::sig_bad, block, cd, system_error | communication, pair_internal, no_pair, communication},
    {FaultId::plausibility, warn, none_, 0, no_pair, pair_internal},
    {FaultId::plausibility, block, cd, system_error, pair_internal, no_pair},
    {FaultId::loop_stall, warn, none_, 0, no_pair, general},
    {FaultId::loop_stall, block, cd, system_error, general, no_pair},
    {FaultId::tx_guard_refused, block, cd, system_error, general, no_pair},
    {FaultId::cell_high_curve, derate, c, voltage_high, no_pair, pair_high, voltage_high},
    {FaultId::cell_low_curve, derate, d, voltage_low, no_pair, pair_low, voltage_low},
    {FaultId::cell_high, block, c, over_voltage, pair_high, no_pair, voltage_high},
    {FaultId::cell_high_crit, trip, cd, over_voltage | system_error, pair_high, no_pair, voltage_high},
    {FaultId::cell_low, block, d, under_voltage, pair_low, no_pair, voltage_low},
    {FaultId::cell_low_crit, trip, cd, under_voltage | system_error, pair_low, no_pair, voltage_low},
    {FaultId::cell_deep, emergency, cd, under_voltage | system_error, pair_low, no_pair, voltage_low},
    {FaultId::pack_high, block, c, over_voltage, pair_high, no_pair, voltage_high},
    {FaultId::pack_low, block, d, under_voltage, pair_low, no_pair, voltage_low},
    {FaultId::cell_dev, warn, none_, 0, no_pair, pair_imbalance},
    {FaultId::cell_dev, derate, cd, 0, no_pair, pair_imbalance},
    {FaultId::cell_dev, block, c, 0, pair_imbalance, no_pair},  // a system error would stop discharging too
    {FaultId::cell_dev, block, cd, system_error, pair_imbalance, no_pair},
    {FaultId::cell_dev_crit, trip, cd, system_error, pair_imbalance, no_pair},
    {FaultId::temp_cold, block, c, under_temperature, pair_cold_charging, no_pair, temperature_low},
    {FaultId::temp_cold, block, d, under_temperature, pair_cold, no_pair, temperature_low},
    {FaultId::temp_cold, block, cd, under_temperature, pair_cold, no_pair, temperature_low},
    {FaultId::temp_hot, block, c, over_temperature, pair_hot_charging, no_pair, temperature_high},
    {FaultId::temp_hot, block, d, over_temperature, pair_hot, no_pair, temperature_high},
    {FaultId::temp_crit, trip, cd, over_temperature | system_error, pair_hot, no_pair, temperature_high},
    {FaultId::temp_event, emergency, cd, over_temperature | system_error, pair_hot, no_pair, temperature_high},
    {FaultId::temp_spread, warn, none_, 0, no_pair, general},
    {FaultId::temp_spread, block, cd, system_error, general, no_pair},
    {FaultId::soc_curve, derate, d, 0, no_pair, no_pair},
    {FaultId::soc_low, block, d, 0, no_pair, no_pair},
    {FaultId::soc_high, block, c, 0, no_pair, no_pair},
    {FaultId::soh_low, block, cd, system_error, pair_internal, no_pair},
    {FaultId::bms_fault, warn, none_, 0, no_pair, pair_internal},
    {FaultId::bms_fault, block, c, 0, pair_internal, no_pair},
    {FaultId::bms_fault, block, cd, system_error, pair_internal, no_pair},
    {FaultId::bms_fault, trip, cd, system_error, pair_internal, no_pair},
    {FaultId::bms_denies, block, c, 0, no_pair, no_pair},
    {FaultId::insulation, warn, none_, 0, no_pair, general},
    {FaultId::insulation, block, cd, system_error, general, no_pair},
    {FaultId::bat_link_lost, warn, none_, communication, no_pair, pair_internal, communication},
    {FaultId::bat_link_lost, block, cd, system_error | communication, pair_internal, no_pair, communication},
    {FaultId::inv_link_lost, warn, cd, 0, no_pair, no_pair},
    {FaultId::id_conflict, trip, cd, system_error, general, no_pair},
    {FaultId::id_conflict, block, cd, system_error, general, no_pair},
    {FaultId::identity_changed, block, cd, system_error, general, no_pair},
    {FaultId::identity_mismatch, block, cd, system_error, general, no_pair},
    {FaultId::precharge_failed, trip, cd, system_error, pair_contactor, no_pair},
    {FaultId::close_failed, block, cd, system_error, pair_contactor, no_pair},
    {FaultId::contactor_feedback, block, cd, system_error, pair_contactor, no_pair},
    {FaultId::contactor_not_open, block, cd, system_error, pair_contactor, no_pair},
    {FaultId::opened_by_itself, warn, none_, 0, no_pair, pair_contactor},
    {FaultId::opened_by_itself, block, cd, system_error, pair_contactor, no_pair},
    {FaultId::closed_by_itself, block, cd, system_error, pair_contactor, no_pair},
    {FaultId::contactor_welded, emergency, cd, system_error, pair_contactor, no_pair},
    {FaultId::weld_suspected, warn, none_, 0, no_pair, pair_contactor},
    {FaultId::weld_suspected, trip, cd, system_error, pair_contactor, no_pair},
    {FaultId::contactor_wear, warn, none_, 0, no_pair, no_pair},
    {FaultId::precharge_unverified, warn, none_, 0, no_pair, no_pair},
    {FaultId::link_precharged, warn, none_, 0, no_pair, no_pair},
    {FaultId::interlock_open, emergency, cd, system_error, general, no_pair},
    {FaultId::emergency_stop, emergency, cd, system_error, general, no_pair},
    {FaultId::gpio_lines, block, cd, system_error, pair_contactor, no_pair},
    {FaultId::pack_mismatch, block, cd, 0, no_pair, no_pair},
    {FaultId::link_synthetic, warn, none_, 0, no_pair, no_pair},
    {FaultId::unverified_driver, warn, none_, 0, no_pair, no_pair},
    {FaultId::black_start, warn, none_, 0, no_pair, no_pair},
    {FaultId::inverter_ignores_limits, trip, cd, system_error, general, no_pair},
    {FaultId::idle_drain, warn, none_, 0, no_pair, no_pair},
    {FaultId::sig_frozen, warn, none_, 0, no_pair, pair_internal},
    {FaultId::sig_frozen, block, cd, system_error, pair_internal, no_pair},
    {FaultId::assumed, warn, none_, 0, no_pair, no_pair},
    {FaultId::bus_off, warn, none_, communication, no_pair, pair_internal, communication},
    {FaultId::bus_down, warn, none_, communication, no_pair, pair_internal, communication},
    {FaultId::tx_starved, warn, none_, communication, no_pair, pair_internal, communication},
    {FaultId::no_ack, info, none_, 0, no_pair, no_pair},
    {FaultId::rx_drops, warn, none_, communication, no_pair, pair_internal, communication},
    {FaultId::rx_drops, block, cd, system_error | communication, pair_internal, no_pair, communication},
    {FaultId::retained_command, warn, none_, 0, no_pair, no_pair},
    {FaultId::tls_unverified, warn, none_, 0, no_pair, no_pair},
    {FaultId::state_not_kept, warn, none_, 0, no_pair, no_pair},
    {FaultId::too_many_faults, block, cd, system_error, general, no_pair},
    {FaultId::too_many_faults, trip, cd, system_error, general, no_pair},
    {FaultId::latch_store, trip, cd, system_error, general, no_pair},
    {FaultId::restart_loop, trip, cd, system_error, general, no_pair},
    {FaultId::clock_invalid, info, none_, 0, no_pair, no_pair},
};

std::uint16_t mask(Pair p) { return p == no_pair ? std::uint16_t{0} : static_cast<std::uint16_t>(1U << p); }

lv::Alarms shown(
    const ActiveFault& f, Direction stopped, bool standby = false, Temperature low = 20_degC, Temperature high = 24_degC)
{
    return lv::alarms_of(
        {&f, 1}, {.stopped = stopped, .alarm_stops_both = standby, .temperature_min = low, .temperature_max = high});
}

}  // namespace

TEST_CASE("pylontech_lv: every fault of the judge sets the bits it should, and only those")
{
    // SAFE-110
    std::set<FaultId> seen{FaultId::pack_v_crit, FaultId::temp_curve, FaultId::overcurrent, FaultId::limit_exceeded};  // below
    for (const Expected& row : rows) {
        CAPTURE(to_string(row.id));
        CAPTURE(to_string(row.level));
        CAPTURE(to_string(row.direction));
        seen.insert(row.id);
        const ActiveFault f = fault(row.id, row.level, row.direction);
        const lv::Alarms told_zero = shown(f, cd);
        CHECK(told_zero.status == row.status);
        CHECK(told_zero.raised == mask(row.alarm));
        CHECK(told_zero.warned == mask(row.warning));
        // A protection without its zero limit would contradict itself: until then it is a warning.
        const lv::Alarms not_yet = shown(f, none_);
        CHECK(not_yet.status == row.status_before);
        CHECK(not_yet.raised == 0);
        CHECK(not_yet.warned == mask(row.alarm == no_pair ? row.warning : row.alarm));
        // Where an alarm sends the inverter into standby, one direction alone only warns.
        const lv::Alarms standby = shown(f, cd, true);
        CHECK(standby.status == row.status);
        const bool both = row.direction == cd;
        CHECK(standby.raised == (both ? mask(row.alarm) : 0));
        CHECK(standby.warned == (both || row.alarm == no_pair ? mask(row.warning) : mask(row.alarm)));
    }
    for (std::size_t i = 0; i < static_cast<std::size_t>(FaultId::count); ++i) {
        CAPTURE(to_string(static_cast<FaultId>(i)));
        CHECK(seen.contains(static_cast<FaultId>(i)));
    }
    CHECK(lv::item_of(FaultId::count) == lv::Item::general);  // of a fault nobody has thought of yet
}

TEST_CASE("pylontech_lv: every bit of 0x359 and every item of 0x35A has a fault that sets it alone, but the short circuit")
{
    std::set<std::uint32_t> alone;
    std::set<int> alarms, warnings;
    for (const Expected& row : rows)
        for (const Direction stopped : {cd, none_}) {
            const lv::Alarms a = shown(fault(row.id, row.level, row.direction), stopped);
            if (std::popcount(a.status) == 1) alone.insert(a.status);
            if (std::popcount(a.raised) == 1 && a.warned == 0) alarms.insert(std::countr_zero(a.raised));
            if (std::popcount(a.warned) == 1 && a.raised == 0) warnings.insert(std::countr_zero(a.warned));
        }
    for (const bool discharging : {false, true})
        for (const Direction stopped : {cd, none_}) {
            ActiveFault f = fault(FaultId::overcurrent, block, cd);
            f.has_value = true;
            f.value_milli = discharging ? -130'000 : 130'000;
            f.limit_milli = discharging ? -110'000 : 110'000;
            const lv::Alarms a = shown(f, stopped);
            CHECK(a.status ==
                (stopped == cd ? (discharging ? discharge_over_current : charge_over_current)
                               : (discharging ? discharge_high : charge_high)));
            alone.insert(a.status);
            (stopped == cd ? alarms : warnings).insert(std::countr_zero(stopped == cd ? a.raised : a.warned));
        }
    CHECK(alone ==
        std::set{over_voltage, under_voltage, over_temperature, under_temperature, discharge_over_current, charge_over_current,
            system_error, voltage_high, voltage_low, temperature_high, temperature_low, discharge_high, charge_high,
            communication});
    const std::set<int> all{general, pair_high, pair_low, pair_hot, pair_cold, pair_hot_charging, pair_cold_charging,
        pair_discharge, pair_charge, pair_contactor, pair_internal, pair_imbalance};
    CHECK(alarms == all);
    CHECK(warnings == all);
}

TEST_CASE("pylontech_lv: a voltage far beyond its window is high or low by its value")
{
    ActiveFault f = fault(FaultId::pack_v_crit, trip, cd);
    f.has_value = true;
    f.value_milli = 60'100;
    f.limit_milli = 59'500;
    CHECK(shown(f, cd) == lv::Alarms{over_voltage | system_error, mask(pair_high), 0});
    f.value_milli = 43'000;
    f.limit_milli = 43'900;
    CHECK(shown(f, cd) == lv::Alarms{under_voltage | system_error, mask(pair_low), 0});
}

TEST_CASE("pylontech_lv: less power for the temperature is a warning of heat or of cold, by the end that is farther out")
{
    const ActiveFault charge = fault(FaultId::temp_curve, derate, c), both = fault(FaultId::temp_curve, derate, cd);
    CHECK(shown(charge, none_, false, 38_degC, 43_degC) == lv::Alarms{temperature_high, 0, mask(pair_hot_charging)});
    CHECK(shown(both, none_, false, 38_degC, 48_degC) == lv::Alarms{temperature_high, 0, mask(pair_hot)});
    CHECK(shown(charge, none_, false, 5_degC, 9_degC) == lv::Alarms{temperature_low, 0, mask(pair_cold_charging)});
    CHECK(shown(both, none_, false, Temperature::from_milli(-5'000), 3_degC) == lv::Alarms{temperature_low, 0, mask(pair_cold)});
    CHECK(shown(charge, none_, false, 5_degC, 44_degC).status == temperature_low);
    CHECK(shown(charge, none_, false, 8_degC, 44_degC).status == temperature_high);
}

TEST_CASE("pylontech_lv: too much current is of charging or discharging by its sign, or by the direction that is named")
{
    ActiveFault f = fault(FaultId::overcurrent, trip, cd);
    f.has_value = true;
    f.value_milli = 200'000;
    f.limit_milli = 125'000;
    CHECK(shown(f, cd) == lv::Alarms{charge_over_current | system_error, mask(pair_charge), 0});
    f.value_milli = -200'000;
    f.limit_milli = -125'000;
    CHECK(shown(f, cd) == lv::Alarms{discharge_over_current | system_error, mask(pair_discharge), 0});
    // The fault outlasts the current that it stopped: what it was about stays what it was about.
    f = fault(FaultId::overcurrent, block, cd);
    f.has_value = true;
    f.limit_milli = -110'000;
    CHECK(shown(f, cd) == lv::Alarms{discharge_over_current, mask(pair_discharge), 0});
    f.value_milli = 3'000;
    CHECK(shown(f, cd) == lv::Alarms{discharge_over_current, mask(pair_discharge), 0});
    f.has_value = false;
    CHECK(shown(f, cd) == lv::Alarms{discharge_over_current, mask(pair_discharge), 0});
    ActiveFault goes_on = fault(FaultId::limit_exceeded, warn, none_, Device::inverter);
    goes_on.detail.assign("C");
    CHECK(shown(goes_on, cd) == lv::Alarms{charge_high, 0, mask(pair_charge)});
    goes_on.detail.assign("D");
    CHECK(shown(goes_on, cd) == lv::Alarms{discharge_high, 0, mask(pair_discharge)});
}

TEST_CASE("pylontech_lv: trouble of the inverter's own side is not told as one of the battery")
{
    for (const FaultId id : {FaultId::rx_drops, FaultId::bus_off, FaultId::tx_starved, FaultId::plausibility}) {
        CAPTURE(to_string(id));
        CHECK(shown(fault(id, warn, none_, Device::inverter), cd) == lv::Alarms{});
        CHECK(shown(fault(id, block, cd, Device::inverter), cd) == lv::Alarms{system_error, mask(general), 0});
    }
}

TEST_CASE("pylontech_lv: several faults are shown together, and each ends alone")
{
    std::vector<ActiveFault> faults{fault(FaultId::cell_high, block, c), fault(FaultId::temp_hot, block, c)};
    faults.push_back(fault(FaultId::cell_high_curve, derate, c));
    lv::Alarms a = lv::alarms_of(faults, {.stopped = c});
    CHECK(a ==
        lv::Alarms{over_voltage | over_temperature | voltage_high,
            static_cast<std::uint16_t>(mask(pair_high) | mask(pair_hot_charging)), mask(pair_high)});
    CHECK(text(lv::encode_alarms(a)) == "35A#A6A6AAAAA6AAAAAA");
    faults.erase(faults.begin());
    a = lv::alarms_of(faults, {.stopped = c});
    CHECK(text(lv::encode_alarms(a)) == "35A#AAA6AAAAA6AAAAAA");
    faults.clear();
    CHECK(text(lv::encode_alarms(lv::alarms_of(faults, {}))) == "35A#AAAAAAAAAAAAAAAA");
}
