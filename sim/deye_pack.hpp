// A tower of Deye low-voltage packs on CAN that behaves: one to sixteen modules in parallel, each with its own cells, switches
// and frames, the master speaking for all, in either profile. Periods are those measured on one real pack. It can be made to
// misbehave by text commands.
#pragma once

#include "model/battery_state.hpp"
#include "sim/control.hpp"
#include "sim/pack_model.hpp"
#include "sim/simulator.hpp"

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace batgw::sim {

class DeyePack final : public SimulatedBattery {
public:
    explicit DeyePack(const BatteryChoice& choice);

    void on_frame(const CanFrame& frame, Instant at) override;
    Instant on_tick(Instant now, Outbox& out) override;
    std::string command(std::string_view line) override;
    std::string status() const override;

    Connection connection() const override;
    Voltage pack_voltage() const override;
    void set_current(Current current) override;
    Current current() const override;
    void set_output_voltage(Voltage) override {}  // what is outside follows the pack, not the other way round
    Voltage output_voltage() const override;
    Percent true_soc() const override;

    unsigned heartbeats() const { return heartbeats_; }

    static constexpr unsigned usual_modules = 2, usual_cells = 16, sensors = 4;
    static constexpr double module_ah = 100.0, charge_a_max = 50.0, discharge_a_max = 90.0;  // of one module
    static constexpr Duration step = 20ms;

private:
    struct Unit {
        PackModel model;
        bool here = true;  // speaks and carries current
        bool full = false, empty = false;
        std::uint64_t alarms = 0;                             // forced, as in 0x110
        std::optional<bool> charge_switch, discharge_switch;  // forced
    };
    struct Job {
        Duration period;
        void (DeyePack::*send)(unsigned module, Outbox&);
        unsigned module = 0;
        Instant next{};
    };
    static std::span<const Control<DeyePack>> command_table();

    Unit make_unit(unsigned n) const;
    void set_modules(unsigned count);
    void plan(Instant now);
    void add_job(Duration period, void (DeyePack::*send)(unsigned, Outbox&), unsigned module, Instant now, Duration stagger);
    void live(Instant now);
    void emit(CanFrame frame, Outbox& out);

    unsigned here() const;
    unsigned carrying(bool charge) const;
    bool charge_closed(const Unit& u) const;
    bool discharge_closed(const Unit& u) const;
    double flowing_a() const;
    double current_of(const Unit& u) const;
    double charge_limit_of(const Unit& u) const;
    double discharge_limit_of(const Unit& u) const;
    double total(double (DeyePack::*of)(const Unit&) const) const;
    double mean_soc() const;
    std::uint64_t alarms_of(const Unit& u) const;
    std::uint64_t all_alarms() const;
    template <class F>
    void each_cell(const Unit& u, F&& f) const;
    void put_extremes(CanFrame& f, const std::vector<const Unit*>& units) const;

    void send_limits(unsigned, Outbox& out);
    void send_charge_state(unsigned, Outbox& out);
    void send_measurements(unsigned, Outbox& out);
    void send_identity(unsigned, Outbox& out);
    void send_alarms(unsigned, Outbox& out);
    void send_requests(unsigned, Outbox& out);
    void send_extremes(unsigned, Outbox& out);
    void send_versions(unsigned, Outbox& out);
    void send_counts(unsigned, Outbox& out);
    void send_limits_grid(unsigned, Outbox& out);
    void send_alarms_victron(unsigned, Outbox& out);
    void send_identity_victron(unsigned, Outbox& out);
    void send_module_alarms(unsigned n, Outbox& out);
    void send_module_summary(unsigned n, Outbox& out);
    void send_module_extremes(unsigned n, Outbox& out);
    void send_module_switches(unsigned n, Outbox& out);
    void send_module_state(unsigned n, Outbox& out);
    void send_module_firmware(unsigned n, Outbox& out);
    void send_module_energy(unsigned n, Outbox& out);
    void send_module_serial_1(unsigned n, Outbox& out);
    void send_module_serial_2(unsigned n, Outbox& out);
    void send_module_counters_1(unsigned n, Outbox& out);
    void send_module_counters_2(unsigned n, Outbox& out);

    bool do_help(const Words& w);
    bool do_status(const Words& w);
    bool do_current(const Words& w);
    bool do_soc(const Words& w);
    bool do_silent(const Words& w);
    bool do_stop(const Words& w);
    bool do_resume(const Words& w);
    bool do_length(const Words& w);
    bool do_cell(const Words& w);
    bool do_temp(const Words& w);
    bool do_modules(const Words& w);
    bool do_lose(const Words& w);
    bool do_join(const Words& w);
    bool do_alarm(const Words& w);
    bool do_switch(const Words& w);
    bool do_limit(const Words& w);
    bool do_freeze(const Words& w);
    bool do_voltage(const Words& w);
    bool do_profile(const Words& w);
    bool do_firmware(const Words& w);
    bool do_pulses(const Words& w);
    bool do_mend(const Words& w);
    Unit* unit_of(std::string_view word);

    BatteryChoice choice_;
    unsigned cells_;
    std::vector<Unit> units_;
    std::vector<Job> jobs_;
    std::optional<Instant> last_;
    bool plan_again_ = true;
    double current_a_ = 0;  // asked of us by the DC side
    unsigned heartbeats_ = 0;
    unsigned pulse_turn_ = 0;  // frames since the last pulse of a large limit

    bool victron_ = false, old_firmware_ = false, pulses_ = true;
    bool forced_charge_ = false;  // asked for, from 20 % on, until 23 %
    bool silent_ = false;
    std::set<std::uint32_t> stopped_;
    std::map<std::uint32_t, std::uint8_t> lengths_;
    std::optional<double> frozen_soc_, lied_voltage_, forced_charge_a_, forced_discharge_a_;
    std::string answer_;
};

}  // namespace batgw::sim
