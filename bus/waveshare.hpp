// CAN through a USB-CAN Analyzer (Waveshare USB-CAN-A).
#pragma once

#include "bus/adapter.hpp"
#include "bus/waveshare_codec.hpp"

namespace batgw::bus {

// Sets the adapter up at every start for the fixed form, and speaks the form it hears. Asks for its error counters every 2 s;
// what the adapter cannot tell: bus-off, lost arbitration, missing acknowledge, and whether a frame was sent.
class WaveshareBus final : public Adapter {
public:
    // Throws std::invalid_argument for a bit rate that the adapter cannot do.
    WaveshareBus(event_base* base, const BusSpec& spec, const InterfaceName& name, BusListener& listener, BusLog& log,
        BusClock& clock = system_clocks(), const SystemTree& tree = {});

    static constexpr std::uint32_t usual_baud = 2'000'000;
    static constexpr Duration settle = 100ms;     // after opening, before the first command
    static constexpr Duration repeat_after = 2s;  // without a frame: configure once more
    static constexpr Duration status_period = 2s;

private:
    void begin(Instant now) override;
    void take(std::span<const std::uint8_t> bytes, Instant received, Instant now) override;
    void beat(Instant now) override;
    std::size_t encode(const CanFrame& frame, std::span<std::uint8_t, SerialPort::most_at_once> out) const override;
    std::string no_frame_words() const override;
    void configure(Instant now);
    void apply_status(const waveshare::Packet& packet);
    void tell_framing();

    waveshare::Fixed command_{};
    std::uint32_t bitrate_, baud_;
    std::optional<waveshare::Receiver> receiver_;
    std::optional<waveshare::Framing> told_;
    unsigned configured_ = 0;  // times since opening
    Instant next_command_{}, next_status_{};
};

}  // namespace batgw::bus
