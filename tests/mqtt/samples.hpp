// A made-up pack and inverter for the tests of this room: driver tables and a snapshot with everything known.
#pragma once

#include "model/driver.hpp"
#include "model/snapshot.hpp"
#include "mqtt/client.hpp"

#include <string>

namespace batgw::test {

inline constexpr Instant t0{std::chrono::hours{1000}};  // an awkward beginning

template <class Q>
std::optional<std::int64_t> milli_of(const Reading<Q>& r, Instant now)
{
    const auto v = r.fresh(now);
    return v ? std::optional{v->milli()} : std::nullopt;
}

inline const BatteryDriverInfo& sample_battery()
{
    static const std::array<BatteryValue, 4> values{{
        {"", ValueType::voltage, 0, [](const BatteryState& s, Instant now) { return milli_of(s.voltage, now); }},
        {"soc", ValueType::percent, 1, [](const BatteryState& s, Instant now) { return milli_of(s.soc, now); }},
        {"pid", ValueType::current, 1, [](const BatteryState& s, Instant now) { return milli_of(s.diagnostic_current, now); }},
        {"cell-max", ValueType::voltage, 3, [](const BatteryState& s, Instant now) { return milli_of(s.cell_voltage_max, now); }},
    }};
    static const BatteryDriverInfo info = [] {
        BatteryDriverInfo i{};
        i.name = "sample";
        i.values = values;
        i.cell_key = "cell";
        i.sensor_key = "pack";
        i.profile.signals[index(SignalId::voltage)].provided = true;
        i.profile.signals[index(SignalId::soc)].provided = true;
        i.profile.signals[index(SignalId::cells)].provided = true;
        return i;
    }();
    return info;
}

inline const InverterDriverInfo& sample_inverter()
{
    static const std::array<InverterValue, 2> values{{
        {"recv", ValueType::voltage, 1, [](const InverterState& s, Instant now) { return milli_of(s.voltage, now); }},
        {"send", ValueType::current, 1, [](const InverterState& s, Instant now) { return milli_of(s.sent_current, now); }},
    }};
    static const InverterDriverInfo info = [] {
        InverterDriverInfo i{};
        i.name = "sample";
        i.values = values;
        return i;
    }();
    return info;
}

inline MqttContext sample_context(unsigned cells = 4)
{
    return {.battery = &sample_battery(),
        .inverter = &sample_inverter(),
        .max_charge = 10_kW,
        .max_discharge = 10_kW,
        .cells_expected = cells};
}

template <class Q>
void put(Reading<Q>& r, Q value, Instant at, Duration age = 60s)
{
    r.set_max_age(age);
    r.set(value, at);
}

inline void put_cells(Snapshot& s, std::size_t count, std::int64_t first_mv)
{
    CellVoltages cells;
    cells.count = count;
    for (std::size_t i = 0; i < count; ++i) cells.set(i, Voltage::from_milli(first_mv + static_cast<std::int64_t>(i)));
    put(s.battery.cells, cells, s.now);
}

// A tower, everything of its modules known: as wide as such numbers get.
inline void put_modules(Snapshot& s, unsigned count)
{
    s.battery.modules.clear();
    for (unsigned n = 0; n < count; ++n) {
        Module m;
        m.address = static_cast<std::uint8_t>(n + 1);
        put(m.voltage, 52.8_V, s.now);
        put(m.current, -(102.7_A), s.now);
        put(m.soc, 64.2_pct, s.now);
        put(m.soh, 98.7_pct, s.now);
        put(m.cell_voltage_min, 3241_mV, s.now);
        put(m.cell_voltage_max, 3265_mV, s.now);
        put(m.temperature_min, Temperature::from_milli(-14'200), s.now);
        put(m.temperature_max, Temperature::from_milli(-11'500), s.now);
        put(m.temperature_mos, 31.5_degC, s.now);
        put(m.charge_limit_current, 60_A, s.now);
        put(m.discharge_limit_current, 120_A, s.now);
        put(m.charge_switch, true, s.now);
        put(m.discharge_switch, false, s.now);
        put(m.cycles, 300_count, s.now);
        put(m.balancing, 3_count, s.now);
        put(m.alarms, 12_count, s.now);
        put(m.energy_in, 18'933_Wh, s.now);
        put(m.energy_out, 15'151_Wh, s.now);
        s.battery.modules.push_back(m);
    }
}

// Everything known and fresh at `now`, `cells` of 3.421 V and up.
inline Snapshot sample_snapshot(Instant now, std::size_t cells = 4)
{
    Snapshot s;
    s.started = now - 86412s;
    s.now = now;
    s.verdict.sequence = 18211;
    s.verdict.at = now;
    s.verdict.state = GatewayState::run;
    s.verdict.battery_link = s.verdict.inverter_link = true;
    s.verdict.contactors.state = ContactorState::closed;
    s.verdict.voltage_max = 439_V;
    s.verdict.voltage_min = 380_V;
    s.operator_.max_charge = s.operator_.max_discharge = 10_kW;
    s.contactor_mode = ContactorMode::bms_command;
    s.clock_valid = true;
    s.buses[0].status.name = Text<48>{"can0"};
    s.buses[0].status.state = BusState::active;
    s.buses[0].received_per_s = 221.4;
    s.buses[1].status.name = Text<48>{"can1"};
    s.buses[1].status.state = BusState::active;

    BatteryState& b = s.battery;
    b.heard = now - 80ms;
    put(b.voltage, 432.1_V, now);
    put(b.current, 4.7_A, now);
    put(b.diagnostic_current, 4.7_A, now);
    put(b.soc, 96.4_pct, now);
    put(b.soh, 98_pct, now);
    put(b.cell_voltage_min, 3421_mV, now);
    put(b.cell_voltage_max, 3482_mV, now);
    put(b.cell_min_number, 44_count, now);
    put(b.cell_max_number, 9_count, now);
    put(b.temperature_min, 17_degC, now);
    put(b.temperature_max, 19_degC, now);
    put(b.temperature_avg, 18_degC, now);
    put(b.temperature_ambient, 16_degC, now);
    put(b.charge_limit, 4000_W, now);
    put(b.discharge_limit, 285500_W, now);
    put(b.energy_remaining, 57800_Wh, now);
    put(b.energy_full, 60000_Wh, now);
    put(b.energy_in, 4211_kWh, now);
    put(b.energy_out, 4030_kWh, now);
    put(b.cycles, 71_count, now);
    put(b.insulation, 6800_ohm_per_V, now);
    put(b.contactor, ContactorFeedback::closed, now);
    put_cells(s, cells, 3421);
    SensorTemperatures sensors;
    sensors.count = 2;
    sensors.set(0, 17_degC);
    sensors.set(1, 19_degC);
    put(b.temperatures, sensors, now);

    InverterState& i = s.inverter;
    i.heard = now - 400ms;
    i.name.assign("GOODWE");
    put(i.voltage, 431.8_V, now);
    put(i.current, 4.6_A, now);
    put(i.temperature, 38.5_degC, now);
    put(i.soc, 96.4_pct, now);
    put(i.sent_soc, 96.4_pct, now);
    put(i.sent_current, 4.7_A, now);
    return s;
}

inline ActiveFault sample_fault(FaultId id, FaultClass level, Direction direction, Instant since)
{
    ActiveFault f;
    f.id = id;
    f.level = level;
    f.direction = direction;
    f.device = Device::battery;
    f.since = since;
    return f;
}

}  // namespace batgw::test
