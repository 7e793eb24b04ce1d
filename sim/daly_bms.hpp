// A Daly BMS on a serial line that behaves: measures its cells, protects them with its MOSFETs, answers one question at a time
// after 50 to 80 ms at the speed of a 9600 baud line, with what earlier answers left in its buffer, and can be made to misbehave
// by text commands.
#pragma once

#include "battery/daly_frame.hpp"
#include "battery/daly_layout.hpp"
#include "sim/control.hpp"
#include "sim/pack_model.hpp"
#include "sim/simulator.hpp"

#include <array>
#include <cstdint>
#include <deque>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace batgw::sim {

class DalyBms final : public SimulatedBattery {
public:
    explicit DalyBms(const BatteryChoice& choice);

    void on_bytes(std::span<const std::uint8_t> bytes, Instant at) override;
    Instant on_tick(Instant now, Outbox& out) override;
    std::string command(std::string_view line) override;
    std::string status() const override;

    Connection connection() const override
    {
        return conducts(charge_) || conducts(discharge_) ? Connection::closed : Connection::open;
    }
    Voltage pack_voltage() const override;
    void set_current(Current current) override;
    Current current() const override;
    void set_output_voltage(Voltage voltage) override;
    Voltage output_voltage() const override;
    Percent true_soc() const override;

    PackModel& cells() { return model_; }
    // Orders to a MOSFET that came in, good or not.
    unsigned orders() const { return orders_; }
    unsigned questions() const { return questions_; }

    static constexpr unsigned usual_cells = 16;
    static constexpr double nominal_cell_v = 3.2;
    static constexpr Duration step = 10ms;
    static constexpr Duration byte_time = 1042us;  // 10 bits at 9600 bit/s

private:
    static std::span<const Control<DalyBms>> command_table();

    // One MOSFET: what it was told, and whether a protection holds it off.
    struct Mosfet {
        bool told_on = true, held_off = false, stuck = false;
    };
    static bool conducts(const Mosfet& m) { return m.stuck || (m.told_on && !m.held_off); }
    struct Extremes {
        unsigned low = 0, high = 0;
    };
    struct Written {
        Instant at;
        Telegram telegram;
    };

    void live(Instant now);
    void protect();
    void asked(const CanFrame& question, Instant at);
    void answer(const CanFrame& question, Instant at);
    std::vector<CanFrame> compose(const CanFrame& question);
    void fill_totals(CanFrame& f) const;
    void fill_cell_extremes(CanFrame& f) const;
    void fill_temperature_extremes(CanFrame& f) const;
    void fill_switches(CanFrame& f);
    void fill_status(CanFrame& f) const;
    std::vector<CanFrame> several(std::uint32_t command, unsigned needed, unsigned most, unsigned per_frame);
    std::vector<CanFrame> code_frames();
    void obey(Mosfet& m, const CanFrame& question, CanFrame& f);
    void write(const CanFrame& f, Instant& when);
    void echo(const CanFrame& question, std::uint8_t address, Instant at);
    Extremes cell_extremes() const;
    Extremes sensor_extremes() const;
    bool chance(unsigned percent) { return chance_.bits() % 100 < percent; }
    double flowing_a() const;
    double wire_a() const { return counts_charge_ ? flowing_a() : -flowing_a(); }
    double shown_soc() const;
    void set_fault(unsigned byte, unsigned bit, bool on);

    bool do_help(const Words& w);
    bool do_status(const Words& w);
    bool do_current(const Words& w);
    bool do_beside(const Words& w);
    bool do_soc(const Words& w);
    bool do_silent(const Words& w);
    bool do_sleep(const Words& w);
    bool do_echo(const Words& w);
    bool do_nodata(const Words& w);
    bool do_delay(const Words& w);
    bool do_lose(const Words& w);
    bool do_damage(const Words& w);
    bool do_chatter(const Words& w);
    bool do_stop(const Words& w);
    bool do_resume(const Words& w);
    bool do_frames(const Words& w);
    bool do_base(const Words& w);
    bool do_order(const Words& w);
    bool do_sign(const Words& w);
    bool do_host(const Words& w);
    bool do_cell(const Words& w);
    bool do_temp(const Words& w);
    bool do_fault(const Words& w);
    bool do_switch(const Words& w);
    bool do_freeze(const Words& w);
    bool do_voltage(const Words& w);
    bool do_life(const Words& w);
    bool do_mend(const Words& w);

    enum class Frames : std::uint8_t { needed, one_more, all };

    PackModel model_;
    Chance chance_;
    daly::Scanner scanner_;
    std::array<std::uint8_t, 8> buffer_{};  // one for all answers: what an answer does not fill is what was there before
    std::deque<Written> line_;
    Instant busy_until_{};
    std::optional<Instant> started_;
    Instant last_{};
    double current_a_ = 0, beside_a_ = 0, output_v_ = 0;
    Mosfet charge_, discharge_;
    std::array<std::uint8_t, 8> faults_{}, forced_faults_{};
    std::uint8_t life_ = 0;
    unsigned orders_ = 0, questions_ = 0;
    std::string answer_;

    // How it misbehaves.
    bool silent_ = false, asleep_ = false, echoes_ = false, no_data_ = false, chatters_ = false, life_stands_ = false;
    bool counts_charge_ = false, from_zero_ = false, backwards_ = false;
    Frames frames_ = Frames::needed;
    Duration delay_{};
    unsigned lost_percent_ = 0, damaged_percent_ = 0;
    std::set<std::uint32_t> stopped_;
    std::uint8_t host_ = 0;  // the only one answered; 0: both
    std::uint8_t board_ = 1;
    std::optional<double> frozen_soc_, lied_voltage_;
};

}  // namespace batgw::sim
