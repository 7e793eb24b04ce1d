// Two drivers, the judge between them, and the way out. Pure: frames, commands and time go in; frames, a verdict and a snapshot
// come out. No socket, timer, clock or log, no allocation after start, and the same input twice gives the same output.
#pragma once

#include "model/bus_status.hpp"
#include "model/command.hpp"
#include "model/config.hpp"
#include "model/contactor_lines.hpp"
#include "model/driver.hpp"
#include "model/snapshot.hpp"
#include "safety/judge.hpp"
#include "safety/operator.hpp"
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

namespace batgw {

enum class Side : std::uint8_t { battery, inverter };

class Bridge {
public:
    Bridge(const Config& config, const BatteryDriverInfo& battery, const InverterDriverInfo& inverter, Instant start,
        const std::optional<OperatorState>& restored);

    // Before the first run(): what an earlier run had latched (SAFE-046), what was found wrong at start, and what to tell of it.
    void restore(const ActiveFault& latched) { judge_.restore(latched); }
    void restore_wear(unsigned openings) { judge_.restore_wear(openings); }
    void report(const ActiveFault& found) { judge_.report(found); }
    void note_start(std::string_view text) { judge_.note(EventType::start, text, started_); }

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

    const Verdict& verdict() const { return judge_.verdict(); }
    // What the coils are to do; nothing unless in `gpio` mode.
    const Coils& coils() const { return verdict().contactors.coils; }
    const BatteryState& battery() const { return battery_->state(); }
    const InverterState& inverter() const { return inverter_->state(); }
    const OperatorState& operator_state() const { return operator_.state(); }
    bool observing() const { return judge_.observing(); }

    void fill(Snapshot& snapshot, Instant now);
    std::uint64_t transitions() const { return judge_.transitions(); }
    template <class F>
    void events_since(std::uint64_t number, F&& each) const
    {
        judge_.events_since(number, std::forward<F>(each));
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
    Port& port(Side side) { return ports_[static_cast<std::size_t>(side)]; }
    const Port& port(Side side) const { return ports_[static_cast<std::size_t>(side)]; }
    Text<24> closing_guard() const;
    ContactorOrder driver_order() const;
    CommandResult reset(const Command& command, Instant now);
    void judge(Instant now);
    void speak(Instant now);
    void queue(Side side, const Outbox& outbox, Instant now);
    Stamp stamp() const;
    static BusInputs bus_inputs(Port& port, Instant now);
    bool sent_by_us(Side side, const CanFrame& frame) const;
    void measure_rates(Port& port, Instant now);

    const BatteryDriverInfo& battery_info_;
    InverterTraffic inverter_traffic_;
    Instant started_;
    std::unique_ptr<BatteryDriver> battery_;
    std::unique_ptr<InverterDriver> inverter_;
    Operator operator_;
    Judge judge_;
    SecondSender second_battery_;
    std::array<Port, 2> ports_;
    JudgeInputs inputs_;
    ContactorLines lines_;
    bool dirty_ = true;  // something came in that the judge has not seen
    Instant next_judgement_{};
    Instant battery_wake_{}, inverter_wake_{};
    ContactorOrder last_order_ = ContactorOrder::keep;
    std::optional<Instant> last_judged_;
    unsigned long_gaps_ = 0;  // > 500 ms between judgements, since the watchdog was fed
    bool judged_since_asked_ = false;
    std::array<bool, 2> emptied_since_asked_{};  // by side: the guard was asked for what may leave
};

}  // namespace batgw
