// A 48 V inverter set to a Pylontech battery, or to one of the dialects: listens, acknowledges, obeys limits, enables and charge
// voltage (or not), and remembers whether the battery served it properly. What it expects comes from the profiles of the driver;
// how a real one regulates nobody has published, so that is a guess.
#pragma once

#include "inverter/pylontech_lv_profiles.hpp"
#include "sim/chance.hpp"
#include "sim/control.hpp"
#include "sim/regulator.hpp"
#include "sim/simulator.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace batgw::sim {

class PylontechLvInverter final : public SimulatedInverter {
public:
    // `choice.brand`: name of the profile it expects; empty: the default one.
    explicit PylontechLvInverter(const InverterChoice& choice);

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
        std::optional<Current> charge, discharge, current;
        std::optional<Voltage> charge_voltage, discharge_voltage, voltage;
        std::optional<Percent> soc, soh;
        std::optional<bool> may_charge, may_discharge;  // enable bits, where the profile has them
        bool force_charge = false, full_charge = false;
        bool charge_protection = false, discharge_protection = false, system_error = false;
        std::uint16_t alarms = 0, warnings = 0;  // items of 0x35A that are raised
        std::int64_t modules = 0;
        std::string maker;
    };
    const Told& told() const { return told_; }
    bool battery_lost() const { return battery_lost_; }
    bool standby() const;  // does nothing because of an alarm
    // Frames of this id so far, and the longest and shortest time between two.
    struct Rhythm {
        pylontech_lv::Slot slot{};
        std::uint32_t id = 0;
        std::uint64_t count = 0;
        std::optional<Instant> last{};
        Duration longest{}, shortest = for_ever;
        bool complained = false;
    };
    const Rhythm* rhythm(std::uint32_t id) const;

    static constexpr Duration step = 20ms;
    static constexpr std::size_t problems_max = 32;

private:
    static std::span<const Control<PylontechLvInverter>> command_table();
    enum class Acknowledge : std::uint8_t { normal, off, extended };

    void expect(const pylontech_lv::Profile& profile);
    void forget();
    void problem(std::string text);
    void keep_rhythm(Rhythm& r, const CanFrame& frame, Instant at);
    void check_rhythms(Instant now);
    void check_agreement(Instant now);
    void check_charge_voltage();
    void hear(pylontech_lv::Slot slot, const CanFrame& frame, Instant at);
    void hear_limits(const CanFrame& frame, Instant at);
    void hear_charge_state(const CanFrame& frame);
    void hear_measurements(const CanFrame& frame);
    void hear_status(const CanFrame& frame);
    void hear_requests(const CanFrame& frame);
    void hear_alarms(const CanFrame& frame);
    void hear_maker(const CanFrame& frame);
    void speak(Instant now, Outbox& out);
    CanFrame acknowledgement();
    void regulate(Instant now);
    double terminal_v() const;
    bool has(pylontech_lv::Slot slot) const;

    bool do_help(const Words& w);
    bool do_status(const Words& w);
    bool do_power(const Words& w);
    bool do_ignore(const Words& w);
    bool do_delay(const Words& w);
    bool do_silent(const Words& w);
    bool do_acknowledge(const Words& w);
    bool do_switch_off(const Words& w);
    bool do_restart(const Words& w);
    bool do_profile(const Words& w);
    bool do_voltage(const Words& w);
    bool do_coarse(const Words& w);
    bool do_report(const Words& w);

    const pylontech_lv::Profile* profile_ = nullptr;
    Chance chance_;
    Told told_;
    std::vector<Rhythm> rhythms_;
    std::optional<Instant> first_heard_, agreement_at_;
    Voltage highest_charge_voltage_{};
    bool complete_ = false, served_ = false, missing_told_ = false;
    std::uint64_t frames_ = 0;
    std::vector<std::string> problems_;

    Regulator regulator_;
    bool battery_lost_ = false, coarse_voltage_ = false;
    std::optional<double> terminal_v_, lied_v_;

    bool started_ = false, silent_ = false, switch_off_ = false, acknowledge_now_ = false;
    Acknowledge acknowledge_ = Acknowledge::normal;
    Instant boot_at_{}, alive_at_{};
    std::string answer_;
};

}  // namespace batgw::sim
