// Drivers, the judges between them, and the way out. Pure: frames, commands and time go in; frames, a verdict and a snapshot
// come out. No socket, timer, clock or log, no allocation after start, and the same input twice gives the same output.
#pragma once

#include "model/bus_status.hpp"
#include "model/command.hpp"
#include "model/config.hpp"
#include "model/contactor_lines.hpp"
#include "model/driver.hpp"
#include "model/snapshot.hpp"
#include "safety/operator.hpp"
#include "safety/panel.hpp"
#include "safety/second_sender.hpp"
#include "safety/tx_port.hpp"

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <variant>
#include <vector>

namespace batgw {

enum class Side : std::uint8_t { battery, inverter, battery2 };
inline constexpr std::size_t sides_max = 3;

class Bridge {
public:
    Bridge(const Config& config, const BatteryDriverInfo& battery, const InverterDriverInfo& inverter, Instant start,
        const std::optional<OperatorState>& restored);

    // Before the first run(): what an earlier run had latched (SAFE-046), what was found wrong at start, and what to tell of it.
    void restore(const ActiveFault& latched) { panel_.restore(latched); }
    void restore_wear(unsigned openings) { panel_.restore_wear(openings); }
    void report(const ActiveFault& found) { panel_.report(found); }
    void note_start(std::string_view text) { panel_.note(EventType::start, text, started_); }

    // The buses there are, in this order: the battery's, the inverter's, that of a second battery.
    std::span<const Side> sides() const { return {all_sides.data(), ports_.size()}; }

    // In. `received`: when the frame came, at most `now`.
    void on_frame(Side side, const CanFrame& frame, Instant received, Instant now);
    // Of a battery on a serial line: what was read, in the order it came.
    void on_bytes(std::span<const std::uint8_t> bytes, Instant received, Instant now);
    // The machine was suspended until now; frames of before may still wait to be read (SAFE-231).
    void on_resume(Instant now);
    void on_bus(Side side, const BusStatus& status, Instant now);
    // What the contactor lines read, at least every 100 ms (`gpio` mode).
    void on_lines(const ContactorLines& lines);
    CommandResult on_command(const Command& command, Instant now);
    void outside_warnings(unsigned bits) { inputs_.outside_warnings = bits; }
    void clock_valid(bool valid) { inputs_.clock_valid = valid; }  // the wall clock is set; only shown
    void reconfigure(const Config& config, Instant now);           // only what may change live (SAFE-241)
    void request_stop(Instant now);                                // a second request hurries (SAFE-217)

    // Judges what came in, lets the drivers speak. Call at wake() at the latest; earlier calls do no harm.
    // Returns when to call again.
    Instant run(Instant now);
    Instant wake() const;

    // Out: the frames to hand to a bus, or the telegrams to write on the battery's serial line, one by one, until there is none
    // or the bus is full.
    std::optional<CanFrame> next_frame(Side side, Instant now);
    std::optional<Telegram> next_telegram(Instant now);
    void sent(Side side, Instant now);
    void blocked(Side side, Instant now);
    void discard(Side side);

    // What the inverter is told; of one pack its judge's.
    const Verdict& verdict() const { return panel_.verdict(); }
    // What the coils are to do; nothing unless in `gpio` mode.
    const Coils& coils() const { return verdict().contactors.coils; }
    // What the inverter is shown.
    const BatteryState& battery() const { return panel_.several() ? panel_.battery() : packs_[0].driver->state(); }
    // Of several packs one for itself, from 0.
    const Verdict& pack_verdict(std::size_t pack) const { return panel_.pack(pack); }
    const BatteryState& pack_battery(std::size_t pack) const { return packs_[pack].driver->state(); }
    const InverterState& inverter() const { return inverter_->state(); }
    const OperatorState& operator_state() const { return operator_.state(); }
    bool observing() const { return panel_.observing(); }

    void fill(Snapshot& snapshot, Instant now);
    std::uint64_t transitions() const { return panel_.transitions(); }
    template <class F>
    void events_since(std::uint64_t number, F&& each) const
    {
        panel_.events_since(number, std::forward<F>(each));
    }
    // SAFE-211: since this was last asked the judge ran without long gaps, and both ways out were looked at.
    bool healthy_since_asked();

private:
    struct Port {
        BusStatus status;
        TrafficCounters traffic;
        std::variant<TxPort, TelegramPort> out;
        Instant rate_since{};
        std::uint64_t received_then = 0, sent_then = 0;
        double received_per_s = 0, sent_per_s = 0;
    };
    struct Pack {
        Pack(const BatteryConfig& config, const Config& all, const BatteryDriverInfo& info);
        std::unique_ptr<BatteryDriver> driver;
        SecondSender second_sender;
        Instant wake{};
        ContactorOrder last_order = ContactorOrder::keep;
    };
    static constexpr std::array<Side, sides_max> all_sides{Side::battery, Side::inverter, Side::battery2};
    static std::size_t pack_of(Side side) { return side == Side::battery2 ? 1 : 0; }
    static Side side_of(std::size_t pack) { return pack == 0 ? Side::battery : Side::battery2; }
    static std::vector<Pack> make_packs(const Config& config, const BatteryDriverInfo& info);
    static Panel make_panel(
        const Config& config, const BatteryDriverInfo& battery, const InverterDriverInfo& inverter, Instant start);
    Port& port(Side side) { return ports_[static_cast<std::size_t>(side)]; }
    const Port& port(Side side) const { return ports_[static_cast<std::size_t>(side)]; }
    const Verdict* open_pack() const;
    Text<24> closing_guard() const;
    ContactorOrder driver_order(std::size_t pack) const;
    CommandResult reset(const Command& command, Instant now);
    void judge(Instant now);
    void speak(Instant now);
    void queue(Side side, const Outbox& outbox, Instant now);
    Stamp stamp(Side side) const;
    static BusInputs bus_inputs(Port& port, Instant now);
    bool sent_by_us(Side side, const CanFrame& frame) const;
    void measure_rates(Port& port, Instant now);

    const BatteryDriverInfo& battery_info_;
    InverterTraffic inverter_traffic_;
    Instant started_;
    std::vector<Pack> packs_;
    std::unique_ptr<InverterDriver> inverter_;
    Operator operator_;
    Panel panel_;
    std::vector<Port> ports_;  // by side
    JudgeInputs inputs_;
    ContactorLines lines_;
    bool dirty_ = true;  // something came in that the judge has not seen
    Instant next_judgement_{};
    Instant inverter_wake_{};
    std::optional<Instant> last_judged_;
    unsigned long_gaps_ = 0;  // > 500 ms between judgements, since the watchdog was fed
    bool judged_since_asked_ = false;
    std::array<bool, sides_max> emptied_since_asked_{};  // by side: the guard was asked for what may leave
};

}  // namespace batgw
