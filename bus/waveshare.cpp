#include "bus/waveshare.hpp"

#include "bus/bus_state.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

namespace batgw::bus {

using namespace waveshare;

WaveshareBus::WaveshareBus(event_base* base, const BusSpec& spec, const InterfaceName& name, BusListener& listener, BusLog& log,
    BusClock& clock, const SystemTree& tree)
    : Adapter{base, spec, name.port, SerialLine{.baud = name.baud.value_or(usual_baud)}, listener, log, clock, tree},
      bitrate_{spec.bitrate.value_or(adapter_bitrate)},
      baud_{name.baud.value_or(usual_baud)}
{
    const auto command = waveshare::encode(Configuration{.bitrate = bitrate_, .only_extended = filter().only_extended()});
    if (!command) throw std::invalid_argument{fmt::format("{}: the adapter cannot do {} bit/s", spec.interface, bitrate_)};
    command_ = *command;
}

void WaveshareBus::begin(Instant now)
{
    receiver_.emplace(filter());
    told_.reset();
    configured_ = 0;
    next_command_ = now + settle;
}

// There is no reply to it. The adapter most likely remembers its settings, and may be in the other form until it has obeyed.
void WaveshareBus::configure(Instant now)
{
    next_command_ = now + repeat_after;
    if (put(command_) != Sent::yes) {
        next_command_ = now + settle;
        return;
    }
    if (++configured_ > 1) return;
    next_status_ = now + status_period;
    status_.bitrate = bitrate_;
    enter_state(BusState::active);
    if (listen_only())
        port().line(BusLog::Level::warn,
            "this adapter has no listen-only mode that is documented the same twice: nothing is sent, but it acknowledges what "
            "others send");
}

void WaveshareBus::beat(Instant now)
{
    const bool again = configured_ == 1 && !heard_frame();
    if ((configured_ == 0 || again) && now >= next_command_) configure(now);
    if (configured_ > 0 && now >= next_status_) {
        put(status_request);
        next_status_ = now + status_period;
    }
}

void WaveshareBus::take(std::span<const std::uint8_t> bytes, Instant received, Instant now)
{
    const Counts before = receiver_->total();
    receiver_->feed(bytes, [&](const Packet& packet) {
        switch (packet.kind) {
        case Packet::Kind::frame: deliver(packet.frame, received, now); break;
        case Packet::Kind::remote: refuse_frame(); break;
        case Packet::Kind::status: apply_status(packet); break;
        case Packet::Kind::configuration: break;
        }
    });
    status_.counters.line_errors += receiver_->total().bad - before.bad;
    status_.counters.skipped_bytes += receiver_->total().skipped - before.skipped;
    if (receiver_->told_apart()) tell_framing();
}

void WaveshareBus::apply_status(const Packet& packet)
{
    status_.rx_errors = packet.rx_errors;
    status_.tx_errors = packet.tx_errors;
    if (configured_ == 0) return;
    // The bounds of every CAN controller.
    const unsigned most = std::max(packet.rx_errors, packet.tx_errors);
    enter_state(most > 127 ? BusState::passive : most > 95 ? BusState::warning : BusState::active);
}

void WaveshareBus::tell_framing()
{
    if (told_ == receiver_->framing()) return;
    told_ = receiver_->framing();
    port().line(BusLog::Level::info,
        *told_ == Framing::fixed ? "frames come in the fixed form (20 bytes, with checksum)"
                                 : "frames come in the variable form, which has no checksum; frames are sent in it, too");
}

std::size_t WaveshareBus::encode(const CanFrame& frame, std::span<std::uint8_t, SerialPort::most_at_once> out) const
{
    return waveshare::encode(frame, receiver_->framing(), out.first<fixed_size>());
}

std::string WaveshareBus::no_frame_words() const
{
    return fmt::format(
        "the adapter's line does not run at {} baud (after power-up its LEDs blink once for 2000000, twice for 1228800, "
        "then 115200, 38400, 19200, 9600: write @BAUD behind the port), or it is in transparent mode, or no such "
        "adapter",
        baud_);
}

}  // namespace batgw::bus
