#include "bus/slcan.hpp"

#include "bus/bus_state.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

namespace batgw::bus {

using slcan::Line;

SlcanBus::SlcanBus(event_base* base, const BusSpec& spec, const InterfaceName& name, BusListener& listener, BusLog& log,
    BusClock& clock, const SystemTree& tree)
    : Adapter{base, spec, name.port, SerialLine{.baud = name.baud.value_or(usual_baud)}, listener, log, clock, tree},
      bitrate_{spec.bitrate.value_or(adapter_bitrate)},
      baud_{name.baud.value_or(usual_baud)}
{
    const auto digit = slcan::speed_digit(bitrate_);
    if (!digit) throw std::invalid_argument{fmt::format("{}: slcan has no command for {} bit/s", spec.interface, bitrate_)};
    digit_ = *digit;
}

SlcanBus::~SlcanBus()
{
    if (step_ != Step::closed) put("C\r");
}

void SlcanBus::begin(Instant now)
{
    reader_ = {};
    ever_answered_ = opened_again_ = false;
    has_flags_ = true;
    go_to(Step::close, now);
}

void SlcanBus::go_to(Step step, Instant now)
{
    step_ = step;
    sent_ = false;
    next_ = now;
    if (step != Step::ready) return;
    ready_at_ = now;
    skipped_then_ = status_.counters.skipped_bytes;
    next_flags_ = now + flags_period;
    asked_flags_ = false;
    status_.bitrate = bitrate_;
    if (status_.state == BusState::bus_off) {
        backoff_.recovered(now);
        ++status_.counters.restarts;
    }
    enter_state(BusState::active);
}

// One command at a time: it is over when it was answered, or not for 200 ms.
void SlcanBus::beat(Instant now)
{
    if (step_ == Step::ready) {
        // A board that was reset by opening its port, as Arduinos are, heard nothing of it all.
        const bool deaf = !ever_answered_ && !opened_again_ && !heard_frame() && status_.counters.skipped_bytes == skipped_then_;
        if (deaf && now - ready_at_ >= repeat_after) {
            opened_again_ = true;
            enter_state(BusState::stopped);
            return go_to(Step::close, now);
        }
        if (has_flags_ && now >= next_flags_) {
            asked_flags_ = put("F\r") == Sent::yes;
            next_flags_ = now + flags_period;
        }
        return;
    }
    if (now < next_) return;
    if (sent_) return answered(false, now);
    const auto command = [&](std::string_view text) {
        sent_ = put(text) == Sent::yes;
        if (sent_) next_ = now + answer_time;
    };
    switch (step_) {
    // Ends what half a line may be there, and whatever is answered to that is thrown away.
    case Step::close: command("\r\r\rC\r"); break;
    case Step::speed: command(std::string{"S"} + digit_ + "\r"); break;
    // CANable: silent or not, and it remembers. To others a command that is not whole; they refuse it.
    case Step::mode: command(listen_only() ? "M1\r" : "M0\r"); break;
    case Step::listen: command("L\r"); break;
    // After L it is refused by those that know L, and opens those that do not, which M1 has made silent.
    case Step::open: command("O\r"); break;
    case Step::closed: go_to(Step::close, now); break;
    case Step::ready: break;
    }
}

void SlcanBus::answered(bool refused, Instant now)
{
    if (!sent_) return;
    switch (step_) {
    case Step::close:
        if (now >= next_) go_to(Step::speed, now);  // in any case all 200 ms
        break;
    case Step::speed:
        if (refused) return refuse(fmt::format("the adapter refuses {} bit/s", bitrate_), now);
        go_to(Step::mode, now);
        break;
    case Step::mode: go_to(listen_only() ? Step::listen : Step::open, now); break;
    case Step::listen: go_to(Step::open, now); break;
    case Step::open:
        if (refused && !listen_only()) return refuse("the adapter refuses to open its channel", now);
        go_to(Step::ready, now);
        break;
    case Step::closed:
    case Step::ready: break;
    }
}

void SlcanBus::refuse(std::string_view what, Instant now)
{
    port().trouble(BusLog::Level::error, fmt::format("{}; trying every 2 s", what));
    rest(now + try_again);
}

void SlcanBus::rest(Instant until)
{
    step_ = Step::closed;
    sent_ = false;
    next_ = until;
}

void SlcanBus::take(std::span<const std::uint8_t> bytes, Instant received, Instant now)
{
    while (const auto text = reader_.take(bytes)) on_line(slcan::parse(*text), text->size(), received, now);
}

void SlcanBus::on_line(const Line& line, std::size_t size, Instant received, Instant now)
{
    if (step_ != Step::ready) {
        // What comes before it is open is of an earlier life, or answers.
        if (step_ == Step::close || (line.kind != Line::Kind::done && line.kind != Line::Kind::refused)) return;
        ever_answered_ = true;
        return answered(line.kind == Line::Kind::refused, now);
    }
    switch (line.kind) {
    case Line::Kind::frame: deliver(line.frame, received, now); break;
    case Line::Kind::remote: refuse_frame(); break;
    case Line::Kind::refused:
        // Of the flags, when they were asked for and did not come: this firmware has none.
        if (asked_flags_)
            has_flags_ = asked_flags_ = false;
        else
            ++status_.counters.line_errors;
        break;
    case Line::Kind::flags:
        asked_flags_ = false;
        on_flags(line.flags);
        break;
    case Line::Kind::state:
        status_.rx_errors = static_cast<std::uint8_t>(std::min<unsigned>(line.rx_errors, 255));
        status_.tx_errors = static_cast<std::uint8_t>(std::min<unsigned>(line.tx_errors, 255));
        on_state(line.state, now);
        break;
    case Line::Kind::errors: on_errors(line.error_letters); break;
    case Line::Kind::done:
    case Line::Kind::other: break;
    case Line::Kind::malformed:
        ++status_.counters.line_errors;
        status_.counters.skipped_bytes += size;
        break;
    }
}

void SlcanBus::on_flags(std::uint8_t flags)
{
    BusCounters& count = status_.counters;
    if ((flags & (slcan::flag_rx_full | slcan::flag_tx_full | slcan::flag_overrun)) != 0) ++count.controller_overflow;
    if ((flags & slcan::flag_arbitration) != 0) ++count.arbitration_lost;
    if ((flags & slcan::flag_bus_error) != 0) ++count.protocol_errors;
    if ((flags & slcan::flag_passive) != 0)
        enter_state(BusState::passive);
    else
        enter_state((flags & slcan::flag_warning) != 0 ? BusState::warning : BusState::active);
}

void SlcanBus::on_errors(std::string_view letters)
{
    BusCounters& count = status_.counters;
    for (const char letter : letters) switch (letter) {
        case 'a': ++count.no_ack; break;
        case 'o':
        case 'O': ++count.controller_overflow; break;
        default: ++count.protocol_errors; break;
        }
}

// Bus-off: the channel is closed and opened again, as a controller is restarted (SAFE-262).
void SlcanBus::on_state(BusState state, Instant now)
{
    if (state == BusState::bus_off && status_.state != BusState::bus_off) {
        const Duration delay = backoff_.bus_off(now);
        port().line(backoff_.count() == 1 ? BusLog::Level::warn : BusLog::Level::debug,
            "bus-off; restarting; check wiring, termination and bit rate");
        rest(now + delay);
    }
    enter_state(state);
}

std::size_t SlcanBus::encode(const CanFrame& frame, std::span<std::uint8_t, SerialPort::most_at_once> out) const
{
    return slcan::encode(frame, out);
}

std::string SlcanBus::no_frame_words() const
{
    return fmt::format(
        "the adapter's line does not run at {} baud (write @BAUD behind the port), or this is no slcan adapter", baud_);
}

}  // namespace batgw::bus
