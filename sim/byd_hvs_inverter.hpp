// A hybrid inverter set to "BYD Battery-Box Premium HVS": asks who is there, reports what it measures, obeys the limits (or not),
// and remembers whether the battery served it properly. Its own periods are guesses: nobody has published those of a real one.
#pragma once

#include "sim/chance.hpp"
#include "sim/control.hpp"
#include "sim/regulator.hpp"
#include "sim/simulator.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace batgw::sim {

class BydHvsInverter final : public SimulatedInverter {
public:
    explicit BydHvsInverter(const InverterChoice& choice);

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
        std::optional<Charge> remaining, full;
        std::optional<Temperature> temperature_max, temperature_min;
        std::optional<Energy> energy_rated;
        std::int64_t modules = 0;
        std::string vendor, product;
        unsigned identifications = 0;  // complete ones
    };
    const Told& told() const { return told_; }
    bool battery_lost() const { return battery_lost_; }
    // Frames of this id so far, and the longest and shortest time between two.
    struct Rhythm {
        std::uint32_t id = 0;
        Duration longest_allowed{};
        std::uint64_t count = 0;
        std::optional<Instant> last{};
        Duration longest{}, shortest = for_ever;
        bool complained = false;
    };
    const Rhythm* rhythm(std::uint32_t id) const;

    static constexpr Duration step = 20ms;
    static constexpr Duration battery_lost_after = 30s;  // about what a Sungrow was seen to do
    static constexpr std::size_t problems_max = 32;

private:
    static std::span<const Control<BydHvsInverter>> command_table();

    void forget();
    void problem(std::string text);
    void keep_rhythm(const CanFrame& frame, Instant at);
    void check_rhythms(Instant now);
    void hear_identity(const CanFrame& frame);
    void hear_limits(const CanFrame& frame, Instant at);
    void hear_state(const CanFrame& frame);
    void hear_measurements(const CanFrame& frame);
    void speak(Instant now, Outbox& out);
    void regulate(Instant now);
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
    bool do_brand(const Words& w);
    bool do_voltage(const Words& w);
    bool do_report(const Words& w);

    std::string brand_;
    Chance chance_;
    Told told_;
    std::array<Rhythm, 5> rhythms_;
    unsigned identity_step_ = 0;  // frames of the identification that came in order
    std::string product_pieces_;
    bool identified_ever_ = false, served_ = false;
    std::uint64_t frames_ = 0;
    std::vector<std::string> problems_;

    Regulator regulator_;
    bool obey_soc_ = false, battery_lost_ = false;
    std::optional<Instant> served_at_;  // last limits
    std::optional<double> terminal_v_, lied_v_;

    bool started_ = false, silent_ = false;
    bool ask_now_ = false;
    Instant boot_at_{};
    Instant ask_at_{}, dc_at_{}, soc_at_{}, clock_at_{}, alive_at_{}, brand_at_{};
    std::string answer_;
};

}  // namespace batgw::sim
