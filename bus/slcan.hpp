// CAN through an adapter with slcan firmware: CANable, CANUSB, USBtin and the like.
#pragma once

#include "bus/adapter.hpp"
#include "bus/restart_backoff.hpp"
#include "bus/slcan_codec.hpp"

namespace batgw::bus {

// Closes the channel, sets the bit rate and opens it; closes it at the end. Some firmware answers every command, some none:
// silence for 200 ms is success. State and error counters are known where the firmware has F, or tells by itself.
class SlcanBus final : public Adapter {
public:
    // Throws std::invalid_argument for a bit rate that slcan has no command for.
    SlcanBus(event_base* base, const BusSpec& spec, const InterfaceName& name, BusListener& listener, BusLog& log,
        BusClock& clock = system_clocks(), const SystemTree& tree = {});
    ~SlcanBus() override;

    static constexpr std::uint32_t usual_baud = 115'200;  // means nothing where the adapter itself is a USB device
    static constexpr Duration answer_time = 200ms;
    static constexpr Duration try_again = 2s;     // after a refusal
    static constexpr Duration repeat_after = 2s;  // without a sign of life: from the beginning, once
    static constexpr Duration flags_period = 2s;

private:
    enum class Step : std::uint8_t { closed, close, speed, mode, listen, open, ready };

    void begin(Instant now) override;
    void take(std::span<const std::uint8_t> bytes, Instant received, Instant now) override;
    void beat(Instant now) override;
    std::size_t encode(const CanFrame& frame, std::span<std::uint8_t, SerialPort::most_at_once> out) const override;
    std::string no_frame_words() const override;

    void go_to(Step step, Instant now);
    void answered(bool refused, Instant now);
    void refuse(std::string_view what, Instant now);
    void rest(Instant until);  // then from the beginning
    void on_line(const slcan::Line& line, std::size_t size, Instant received, Instant now);
    void on_flags(std::uint8_t flags);
    void on_errors(std::string_view letters);
    void on_state(BusState state, Instant now);

    std::uint32_t bitrate_, baud_;
    char digit_;
    slcan::LineReader reader_;
    Step step_ = Step::closed;
    bool sent_ = false;           // the command of this step is out
    Instant next_{};              // when this step is over, or the next begins
    bool ever_answered_ = false;  // this firmware answers commands
    bool opened_again_ = false;
    bool asked_flags_ = false, has_flags_ = true;
    Instant next_flags_{}, ready_at_{};
    std::uint64_t skipped_then_ = 0;  // when it was opened
    RestartBackoff backoff_;
};

}  // namespace batgw::bus
