// A hybrid inverter set to "Pylontech high voltage": asks for equipment and ensemble at its own beat, checks every answer, obeys
// limits and marks (or not), and remembers whether the battery served it properly. Its beat is a guess by what the protocol's
// text and a recording of a Growatt suggest.
#pragma once

#include "sim/control.hpp"
#include "sim/regulator.hpp"
#include "sim/simulator.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace batgw::sim {

class PylontechHvInverter final : public SimulatedInverter {
public:
    explicit PylontechHvInverter(const InverterChoice& choice);

    void on_frame(const CanFrame& frame, Instant at) override;
    Instant on_tick(Instant now, Outbox& out) override;
    std::string command(std::string_view line) override;
    std::string status() const override;
    InverterReport report() const override;

    void set_terminal_voltage(Voltage voltage) override;
    Current current() const override;
    void set_wish(Power power) override { regulator_.wish_w = static_cast<double>(power.milli()) / 1000.0; }

    std::optional<Current> charge_limit() const override { return told_.charge; }
    std::optional<Current> discharge_limit() const override { return told_.discharge; }
    std::optional<Percent> told_soc() const override { return told_.soc; }
    std::optional<Voltage> told_voltage() const override { return told_.voltage; }

    // What else it was told.
    struct Told {
        std::optional<Current> charge, discharge;
        std::optional<Voltage> window_max, window_min, voltage;
        std::optional<Current> current;
        std::optional<Percent> soc, soh;
        std::optional<Voltage> cell_max, cell_min;
        std::optional<Temperature> temperature_max, temperature_min;
        bool charge_forbidden = false, discharge_forbidden = false;
        std::int64_t state = 0, faults = 0, alarms = 0, protections = 0, other_faults = 0;
        std::int64_t cells = 0, modules = 0;
        std::string maker, model;
        unsigned ensembles = 0, equipments = 0;  // complete answers
        unsigned refusals = 0;
    };
    const Told& told() const { return told_; }
    bool battery_lost() const { return battery_lost_; }

    static constexpr Duration step = 20ms;
    static constexpr Duration ensemble_every = 1s, equipment_every = 30s;
    static constexpr Duration battery_lost_after = 10s;
    static constexpr Duration answer_within = 3s;  // then it is given up and the question repeated
    static constexpr std::size_t problems_max = 32;

private:
    static std::span<const Control<PylontechHvInverter>> command_table();
    // An answer being heard: the identifiers (of address 0) that are still to come, in order.
    struct Expected {
        std::span<const std::uint32_t> ids{};
        std::size_t next = 0;
        bool begun() const { return next > 0; }
    };

    void problem(std::string text);
    void forget();
    void hear_answer(const CanFrame& frame, std::uint32_t id, Instant at);
    void hear_totals(const CanFrame& frame);
    void hear_limits(const CanFrame& frame);
    void hear_cells(const CanFrame& frame);
    void hear_temperatures(const CanFrame& frame);
    void hear_status(const CanFrame& frame);
    void hear_marks(const CanFrame& frame);
    void hear_equipment(const CanFrame& frame, std::uint32_t id);
    void end_of_ensemble(Instant at);
    void end_of_equipment(Instant at);
    void watch_answers(Instant now);
    void speak(Instant now, Outbox& out);
    void ask(std::int64_t what, std::span<const std::uint32_t> answer, Outbox& out);
    double terminal_v() const;

    bool do_help(const Words& w);
    bool do_status(const Words& w);
    bool do_power(const Words& w);
    bool do_ignore(const Words& w);
    bool do_obey_soc(const Words& w);
    bool do_delay(const Words& w);
    bool do_silent(const Words& w);
    bool do_restart(const Words& w);
    bool do_identify(const Words& w);
    bool do_address(const Words& w);
    bool do_sign(const Words& w);
    bool do_order(const Words& w);
    bool do_report(const Words& w);

    std::uint32_t address_ = 0;
    bool minus_ = false;  // reads the discharge limit as a negative number
    Told told_;
    Expected expected_;
    bool served_ = false;
    std::uint64_t frames_ = 0;
    std::vector<std::string> problems_;
    std::vector<CanFrame> orders_;  // to be sent with the next tick

    Regulator regulator_;
    bool obey_soc_ = false, battery_lost_ = false, complained_ = false;
    std::optional<Instant> answered_at_;  // last complete ensemble
    Instant asked_at_{};
    std::optional<double> terminal_v_;

    bool started_ = false, silent_ = false;
    Instant boot_at_{}, ensemble_at_{}, equipment_at_{};
    std::string answer_;
};

}  // namespace batgw::sim
