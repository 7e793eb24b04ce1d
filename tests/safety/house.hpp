// A judge with a pack, an inverter and two buses around it, all made up and all well unless a test says otherwise. Nothing here
// is a driver: the test writes readings, the judge judges.
#pragma once

#include "model/chemistry.hpp"
#include "safety/judge.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <optional>
#include <set>
#include <string_view>

namespace batgw::test {

// 120 cells in a row, measured every 100 ms, contactors closed and not ours, an inverter that speaks.
class House {
public:
    explicit House(Chemistry chemistry = Chemistry::lfp) : safety{default_safety(chemistry)}
    {
        battery.protocol = "made-up";
        battery.chemistry = chemistry;
        battery.cells = 120;
        battery.max_charge = battery.max_discharge = battery.charge = battery.discharge = 10_kW;
        profile.chemistry = chemistry;
        profile.states_limits = profile.states_contactor = true;
        profile.verified = Verification::field;
        const auto signal = [&](SignalId id, Duration period) {
            profile.signals[index(id)] = {.provided = true, .period = period};
        };
        for (const SignalId id :
            {SignalId::contactor, SignalId::current, SignalId::voltage, SignalId::charge_limit, SignalId::discharge_limit})
            signal(id, 100ms);
        for (const SignalId id : {SignalId::cell_voltage_max, SignalId::cell_voltage_min, SignalId::temperature_max,
                 SignalId::temperature_min, SignalId::soc})
            signal(id, 1s);
        const bool nmc = chemistry == Chemistry::nmc;
        facts = {.cells = 120,
            .energy_rated = 60_kWh,
            .voltage_max = nmc ? 500_V : 420_V,
            .voltage_min = nmc ? 370_V : 350_V,
            .voltage_nominal = nmc ? 440_V : 385_V};
        cell_max = nmc ? 3800_mV : 3310_mV;
        cell_min = nmc ? 3790_mV : 3300_mV;
        voltage = nmc ? 455_V : 400_V;
        for (BusStatus* s : {&battery_bus, &inverter_bus}) {
            s->state = BusState::active;
            s->tried = true;
        }
        battery_bus.name.assign("can0");
        inverter_bus.name.assign("can1");
        battery_tx.ever_sent = inverter_tx.ever_sent = true;
        inputs.clock_valid = true;
        inputs.operator_.max_charge = inputs.operator_.max_discharge = 10_kW;
        inputs.operator_.charge_limit_default = inputs.operator_.discharge_limit_default = true;
    }

    // What the pack says from now on.
    Voltage cell_max, cell_min, voltage;
    Current current{};
    Temperature temperature_max = 25_degC, temperature_min = 23_degC;
    Percent soc = 50_pct;
    Power charge_limit = 50_kW, discharge_limit = 50_kW;
    ContactorFeedback contactor = ContactorFeedback::closed;
    bool pack_speaks = true, inverter_speaks = true;
    bool jumps_are_repeated = true;  // so that they are believed at once (SAFE-026)
    std::set<SignalId> silent;       // these are not sent
    std::function<void()> also;      // further writing, before each evaluation

    // Set before the first step.
    SafetyConfig safety;
    BatteryConfig battery;
    BatteryProfile profile;
    Verification inverter_verified = Verification::field;
    PackFacts facts;
    Instant start{std::chrono::hours{5} + 4321us};  // not zero: a forgotten start shows

    BatteryState state;
    InverterState inverter;
    BusStatus battery_bus, inverter_bus;
    bool second_battery = false;  // every message of the battery comes twice as often as it should
    TrafficCounters battery_traffic, inverter_traffic;
    TxHealth battery_tx, inverter_tx;
    JudgeInputs inputs;
    std::optional<Judge> made;
    Instant now = start;

    Judge& judge()
    {
        if (!made) {
            made.emplace(setup());
            state.set_ages(age_limits(safety, profile));
        }
        return *made;
    }
    JudgeSetup setup() const
    {
        return {.safety = safety,
            .battery = battery,
            .profile = profile,
            .battery_name = "made-up",
            .inverter_verified = inverter_verified,
            .inverter_name = "made-up-too",
            .start = start};
    }
    const Verdict& verdict() { return judge().verdict(); }

    struct Told {
        std::int64_t cell_max, cell_min, temperature_max, temperature_min, soc;
    };
    std::optional<Told> told;
    static bool far(const Told& a, const Told& b)
    {
        const auto apart = [](std::int64_t x, std::int64_t y, double most) {
            return std::abs(static_cast<double>(x) - static_cast<double>(y)) > most;
        };
        return apart(a.cell_max, b.cell_max, 500) || apart(a.cell_min, b.cell_min, 500) ||
            apart(a.temperature_max, b.temperature_max, 10'000) || apart(a.temperature_min, b.temperature_min, 10'000) ||
            apart(a.soc, b.soc, 5'000);
    }

    // Whether this signal is sent.
    bool says(SignalId id) const { return pack_speaks && !silent.contains(id); }
    void speak()
    {
        told = Told{cell_max.milli(), cell_min.milli(), temperature_max.milli(), temperature_min.milli(), soc.milli()};
        if (pack_speaks) state.heard = now;
        if (says(SignalId::voltage)) state.voltage.set(voltage, now);
        if (says(SignalId::current)) state.current.set(current, now);
        if (says(SignalId::cell_voltage_max)) state.cell_voltage_max.set(cell_max, now);
        if (says(SignalId::cell_voltage_min)) state.cell_voltage_min.set(cell_min, now);
        if (says(SignalId::temperature_max)) state.temperature_max.set(temperature_max, now);
        if (says(SignalId::temperature_min)) state.temperature_min.set(temperature_min, now);
        if (says(SignalId::soc)) state.soc.set(soc, now);
        if (says(SignalId::charge_limit)) state.charge_limit.set(charge_limit, now);
        if (says(SignalId::discharge_limit)) state.discharge_limit.set(discharge_limit, now);
        if (says(SignalId::contactor)) state.contactor.set(contactor, now);
        if (inverter_speaks) {
            inverter.heard = now;
            inverter.phase = InverterPhase::run;
        }
        if (also) also();
    }
    const Verdict& evaluate()
    {
        const std::array packs{PackInputs{.state = state, .facts = facts}};
        inputs.packs = packs;
        inputs.inverter = &inverter;
        inputs.battery_bus = {&battery_bus, &battery_traffic, battery_tx, second_battery};
        inputs.inverter_bus = {&inverter_bus, &inverter_traffic, inverter_tx};
        const Verdict& v = judge().evaluate(inputs, now);
        inputs.packs = {};
        return v;
    }
    const Verdict& step(Duration time = 100ms)
    {
        judge();
        now += time;
        const auto last = told;
        speak();
        // Of a value far from the last one three samples come at once, so that it counts from now on.
        for (int i = 0; i < 2 && jumps_are_repeated && last && far(*last, *told); ++i) {
            evaluate();
            speak();
        }
        return evaluate();
    }
    void run(Duration time, Duration each = 100ms)
    {
        for (const Instant end = now + time; now < end;) step(std::min(each, end - now));
    }
    // To full grants in both directions.
    House& up()
    {
        run(40s);
        return *this;
    }

    const ActiveFault* fault(FaultId id, std::string_view detail = {})
    {
        for (const ActiveFault& f : verdict().faults)
            if (f.id == id && (detail.empty() || f.detail == detail)) return &f;
        return nullptr;
    }
    bool has(FaultId id, std::string_view detail = {}) { return fault(id, detail) != nullptr; }
    bool has(FaultId id, FaultClass level) { return has(id) && fault(id)->level == level; }
    Power charge() { return verdict().charge.power(); }
    Power discharge() { return verdict().discharge.power(); }
    // How often this fault was set since the start; 256 events are kept.
    int times_set(FaultId id)
    {
        int n = 0;
        judge().events_since(0, [&](const Event& e) { n += e.type == EventType::fault_set && e.fault.id == id ? 1 : 0; });
        return n;
    }
    // Runs until the condition holds and gives the time it took; `limit` when it never did.
    Duration time_until(const std::function<bool()>& condition, Duration limit)
    {
        const Instant from = now;
        while (!condition() && now - from < limit) step();
        return now - from;
    }
};

}  // namespace batgw::test
