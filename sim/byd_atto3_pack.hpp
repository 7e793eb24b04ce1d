// A BYD Atto 3 pack (or a relative) on CAN that behaves: measures its cells, sends what such a pack sends, closes its contactors
// only for the right sequence, answers diagnostic requests, and can be made to misbehave by text commands. The periods of 0x444,
// 0x345, 0x446, 0x447 and 0x524 are documented ones; the other frames' are sensible guesses.
#pragma once

#include "sim/byd_atto3_contactors.hpp"
#include "sim/byd_atto3_uds.hpp"
#include "sim/control.hpp"
#include "sim/pack_model.hpp"
#include "sim/simulator.hpp"

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace batgw::sim {

class BydAtto3Pack final : public SimulatedBattery {
public:
    explicit BydAtto3Pack(const BatteryChoice& choice);

    void on_frame(const CanFrame& frame, Instant at) override;
    Instant on_tick(Instant now, Outbox& out) override;
    std::string command(std::string_view line) override;
    std::string status() const override;

    Connection connection() const override { return contactors_.connection(); }
    Voltage pack_voltage() const override;
    void set_current(Current current) override;
    Current current() const override;
    void set_output_voltage(Voltage voltage) override;
    Voltage output_voltage() const override;
    Percent true_soc() const override;

    const Atto3Contactors& contactors() const { return contactors_; }
    Atto3Contactors& contactors() { return contactors_; }
    PackModel& cells() { return model_; }
    const Atto3Uds& diagnostics() const { return uds_; }

    static constexpr unsigned usual_cells = 126;
    static constexpr double nominal_cell_v = 3.2;
    static constexpr Duration step = 10ms;
    static constexpr double precharge_tau_s = 0.15, bleed_tau_s = 8.0;  // of what hangs on the output when there is no plant

private:
    struct Job {
        Duration period;
        void (BydAtto3Pack::*send)(Outbox&);
        Instant next{};
    };
    static std::vector<Job> job_table();
    static std::span<const Control<BydAtto3Pack>> command_table();

    void start(Instant now);
    void live(Instant now);
    void emit(CanFrame frame, Outbox& out, bool sealed = true);
    double shown_voltage() const;
    double shown_soc() const;
    double flowing_a() const { return connection() == Connection::closed ? current_a_ : 0.0; }
    double charge_limit_kw() const;
    double discharge_limit_kw() const;
    std::optional<Atto3Uds::Bytes> lookup(std::uint16_t did) const;
    void store(std::string_view text, bool present);

    void send_measurements(Outbox& out);
    void send_voltage(Outbox& out);
    void send_contactors(Outbox& out);
    void send_limits(Outbox& out);
    void send_cell_extremes(Outbox& out);
    void send_temperature_extremes(Outbox& out);
    void send_insulation(Outbox& out);
    void send_outside(Outbox& out);
    void send_sensors(Outbox& out);
    void send_cells(Outbox& out);
    void send_ambient(Outbox& out);
    void send_charging(Outbox& out);
    void send_identity(Outbox& out);
    void send_alive(Outbox& out);
    void send_rare(Outbox& out);

    bool do_help(const Words& w);
    bool do_status(const Words& w);
    bool do_current(const Words& w);
    bool do_soc(const Words& w);
    bool do_silent(const Words& w);
    bool do_stop(const Words& w);
    bool do_resume(const Words& w);
    bool do_corrupt(const Words& w);
    bool do_length(const Words& w);
    bool do_cell(const Words& w);
    bool do_temp(const Words& w);
    bool do_contactor(const Words& w);
    bool do_dtc(const Words& w);
    bool do_insulation(const Words& w);
    bool do_freeze(const Words& w);
    bool do_voltage(const Words& w);
    bool do_limit(const Words& w);
    bool do_crash(const Words& w);
    bool do_mend(const Words& w);

    PackModel model_;
    Atto3Contactors contactors_;
    Atto3Uds uds_;
    std::vector<Job> jobs_;
    bool started_ = false;
    Instant last_{};
    double current_a_ = 0;  // asked of us by the DC side
    double output_v_ = 0;
    bool coupled_ = false;          // a plant tells the output voltage
    Atto3Contactors::Counts seen_;  // counts already turned into trouble codes

    bool silent_ = false;
    std::set<std::uint32_t> stopped_, corrupted_;
    std::map<std::uint32_t, std::uint8_t> lengths_;
    std::optional<double> frozen_soc_, lied_voltage_, forced_charge_kw_, forced_discharge_kw_;
    double insulation_ = 7300;  // ohm per volt
    bool crashed_ = false;
    std::string answer_;

    unsigned cell_page_ = 0, sensor_page_ = 0, ambient_page_ = 0, identity_page_ = 0;
    std::uint8_t turn_ = 0;
};

}  // namespace batgw::sim
