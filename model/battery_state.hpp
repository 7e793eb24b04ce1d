// What a battery says of itself. Drivers write it, nobody else.
#pragma once

#include "model/fault.hpp"
#include "model/fixed_vector.hpp"
#include "model/reading.hpp"
#include "model/text.hpp"
#include "model/units.hpp"

#include <array>
#include <bitset>
#include <cstdint>
#include <optional>
#include <string_view>

namespace batgw {

// The signals the judge may need, and the classes of the age table (SAFE-021).
enum class SignalId : std::uint8_t {
    flags,
    contactor,
    current,
    voltage,
    link_voltage,
    cell_voltage_max,
    cell_voltage_min,
    charge_limit,
    discharge_limit,
    temperature_min,
    temperature_max,
    soc,
    insulation,
    cells,
    temperatures,
    count
};
inline constexpr std::size_t signal_count = static_cast<std::size_t>(SignalId::count);
constexpr std::size_t index(SignalId id) { return static_cast<std::size_t>(id); }
constexpr std::string_view to_string(SignalId id)
{
    constexpr std::array<std::string_view, signal_count> names{"flags", "contactor", "current", "voltage", "link_voltage",
        "cell_voltage_max", "cell_voltage_min", "charge_limit", "discharge_limit", "temperature_min", "temperature_max", "soc",
        "insulation", "cells", "temperatures"};
    return id < SignalId::count ? names[index(id)] : "?";
}

// How old each signal may get, for one battery: computed from the safety configuration and the driver's profile.
struct AgeLimits {
    std::array<Duration, signal_count> of{};
    constexpr Duration operator[](SignalId id) const { return of[index(id)]; }
    constexpr Duration& operator[](SignalId id) { return of[index(id)]; }
};

// What the pack says of its main contactors. `unknown` is never shown as open (SAFE-161 (d)).
enum class ContactorFeedback : std::uint8_t { unknown, open, precharging, closed };
constexpr std::string_view to_string(ContactorFeedback f)
{
    constexpr std::array<std::string_view, 4> names{"unknown", "open", "precharging", "closed"};
    return names[static_cast<std::size_t>(f)];
}

// Where the driver's own contactor conversation with the pack stands (`bms_command` mode).
enum class ContactorPhase : std::uint8_t {
    none,       // this battery's contactors are not commanded through it
    listening,  // nothing sent that could move a contactor
    open,       // asking for open, and nothing says otherwise
    closing,    // asking for close, waiting for feedback
    closed,     // holding closed
    opening,    // running the driver's open sequence
    settling    // open, sequence not finished yet
};

// A fault that the battery itself reports, mapped by its driver (SAFE-040).
struct ReportedFault {
    FaultClass level = FaultClass::warn;
    Direction direction = Direction::none;
    Text<24> code;                   // as the maker writes it: "P1A4100"
    bool never_close_again = false;  // stays until a person looked (welded contactor, thermal runaway)
    friend constexpr bool operator==(const ReportedFault&, const ReportedFault&) = default;
};

template <class Q, std::size_t N>
class Array {
public:
    static constexpr std::size_t capacity = N;
    void set(std::size_t i, std::optional<Q> value)
    {
        known_[i] = value.has_value();
        if (value) values_[i] = *value;
    }
    std::optional<Q> operator[](std::size_t i) const { return known_[i] ? std::optional{values_[i]} : std::nullopt; }
    std::size_t count = 0;  // how many there are, populated or not

private:
    std::array<Q, N> values_{};
    std::bitset<N> known_;
};

using CellVoltages = Array<Voltage, 192>;
using SensorTemperatures = Array<Temperature, 32>;
using CellFlags = std::bitset<CellVoltages::capacity>;

// One module of a tower whose master speaks for all.
struct Module {
    std::uint8_t address = 0;  // as the battery counts them, from 1; there may be gaps
    Reading<Voltage> voltage;
    Reading<Current> current;  // positive charges
    Reading<Percent> soc, soh;
    Reading<Voltage> cell_voltage_min, cell_voltage_max;
    Reading<Temperature> temperature_min, temperature_max, temperature_mos, temperature_heater;
    Reading<Current> charge_limit_current, discharge_limit_current;
    Reading<bool> charge_switch, discharge_switch;  // MOSFETs, true: conducting
    Reading<Count> cycles, balancing, alarms;       // balancing: so many cells; alarms: warnings and faults that it shows
    Reading<Energy> energy_in, energy_out;
    Text<8> firmware;
    Text<16> serial;  // personal: for no log, and only whole
};
inline constexpr std::size_t modules_max = 16;

struct BatteryState {
    // Life: the last frame of the driver's alive set that passed its checks.
    std::optional<Instant> heard;

    Reading<Voltage> voltage;
    Reading<Current> current;       // positive charges
    Reading<Voltage> link_voltage;  // inverter side of the contactors
    Reading<Percent> soc;
    Reading<Percent> soh;
    Reading<Voltage> cell_voltage_min, cell_voltage_max;
    Reading<Count> cell_min_number, cell_max_number;  // 1-based, as the battery counts
    Reading<Temperature> temperature_min, temperature_max, temperature_avg, temperature_ambient;
    Reading<Power> charge_limit, discharge_limit;                      // what the battery allows, magnitudes >= 0
    Reading<Current> charge_limit_current, discharge_limit_current;    // likewise, of batteries that state currents
    Reading<Voltage> charge_voltage_wanted, discharge_voltage_wanted;  // of batteries that ask for set points
    Reading<bool> charge_allowed, discharge_allowed;                   // permission flags, where declared
    Reading<bool> charge_requested,
        full_charge_requested;  // what the battery asks the inverter for: it is (nearly) empty; to be charged full once
    Reading<ContactorFeedback> contactor;
    Reading<Insulation> insulation;
    Reading<bool> insulation_measured;  // false: the monitor is off, `insulation` says nothing
    Reading<Charge> charge_remaining, charge_full, charge_in, charge_out;
    Reading<Energy> energy_in, energy_out, energy_remaining, energy_full;
    Reading<Count> cycles;
    Reading<Power> diagnostic_charge_limit, diagnostic_discharge_limit;
    Reading<Percent> diagnostic_soc;  // second opinions from a diagnostic poll: shown, never acted on
    Reading<Voltage> diagnostic_voltage;
    Reading<Current> diagnostic_current;
    Reading<Count> sessions;  // charge sessions entered

    Reading<CellVoltages> cells;               // complete sets only (SAFE-030)
    Reading<SensorTemperatures> temperatures;  // complete sets only
    Reading<CellFlags> balancing;              // cells that are being discharged to match the others
    std::optional<unsigned> cell_count;        // as detected from the battery; never guessed
    bool cell_gap = false;                     // the detected array has a hole: a fault of its own

    FixedVector<Module, modules_max> modules;  // in the order of their addresses; of batteries that tell of them

    FixedVector<ReportedFault, 16> reported;

    ContactorPhase phase = ContactorPhase::none;
    bool opened_by_itself = false;  // the pack opened while held closed; until the next close
    bool closed_by_itself = false;  // the pack closed unasked; until it is open again
    bool feedback_wrong = false;    // feedback says open while current flows
    bool silent_start = false;      // listening timed out: the pack has never spoken
    bool not_opening = false;       // asked to open, still closed after the driver's time
    unsigned close_failures = 0;    // closings the driver gave up, since start

    void set_ages(const AgeLimits& age)
    {
        voltage.set_max_age(age[SignalId::voltage]);
        current.set_max_age(age[SignalId::current]);
        link_voltage.set_max_age(age[SignalId::link_voltage]);
        soc.set_max_age(age[SignalId::soc]);
        for (auto* r : {&cell_voltage_min, &cell_voltage_max}) r->set_max_age(age[SignalId::cell_voltage_min]);
        cell_voltage_max.set_max_age(age[SignalId::cell_voltage_max]);
        temperature_min.set_max_age(age[SignalId::temperature_min]);
        temperature_max.set_max_age(age[SignalId::temperature_max]);
        temperature_avg.set_max_age(age[SignalId::temperature_max]);
        temperature_ambient.set_max_age(age[SignalId::temperatures]);
        for (auto* r : {&cell_min_number, &cell_max_number}) r->set_max_age(age[SignalId::cell_voltage_min]);
        charge_limit.set_max_age(age[SignalId::charge_limit]);
        discharge_limit.set_max_age(age[SignalId::discharge_limit]);
        charge_limit_current.set_max_age(age[SignalId::charge_limit]);
        discharge_limit_current.set_max_age(age[SignalId::discharge_limit]);
        charge_voltage_wanted.set_max_age(age[SignalId::charge_limit]);
        discharge_voltage_wanted.set_max_age(age[SignalId::discharge_limit]);
        for (auto* r : {&charge_allowed, &discharge_allowed, &charge_requested, &full_charge_requested})
            r->set_max_age(age[SignalId::flags]);
        contactor.set_max_age(age[SignalId::contactor]);
        insulation.set_max_age(age[SignalId::insulation]);
        insulation_measured.set_max_age(age[SignalId::insulation]);
        cells.set_max_age(age[SignalId::cells]);
        temperatures.set_max_age(age[SignalId::temperatures]);
    }
};

}  // namespace batgw
