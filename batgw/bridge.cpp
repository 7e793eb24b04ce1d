#include "batgw/bridge.hpp"

#include <algorithm>
#include <functional>

namespace batgw {
namespace {

constexpr Duration too_long_queued = 500ms;   // SAFE-232
constexpr Duration too_long_between = 500ms;  // SAFE-211
constexpr Duration rate_window = 1s;

std::variant<TxPort, TelegramPort> way_out(const BatteryDriverInfo& battery)
{
    if (battery.serial) return TelegramPort{battery.sends};
    return TxPort{battery.sends};
}

// Coils of ours are no business of the battery's driver.
ContactorMode commanded(ContactorMode mode) { return mode == ContactorMode::gpio ? ContactorMode::none : mode; }

}  // namespace

Bridge::Bridge(const Config& config, const BatteryDriverInfo& battery, const InverterDriverInfo& inverter, Instant start,
    const std::optional<OperatorState>& restored)
    : battery_info_{battery},
      inverter_traffic_{inverter.traffic(config.inverter)},
      started_{start},
      battery_{battery.make({.config = config.battery,
          .ages = age_limits(config.safety, battery.profile),
          .contactor_mode = commanded(config.safety.contactors.mode)})},
      inverter_{inverter.make(config.inverter)},
      operator_{config.battery},
      judge_{JudgeSetup{.safety = config.safety,
          .battery = config.battery,
          .profile = battery.profile,
          .battery_name = battery.name,
          .inverter_verified = inverter.verified,
          .inverter_name = inverter.name,
          .start = start}},
      second_battery_{battery.messages, battery.receives},
      ports_{
          Port{.out = way_out(battery), .rate_since = start}, Port{.out = TxPort{inverter_traffic_.sends}, .rate_since = start}}
{
    if (restored) operator_.restore(*restored);
}

void Bridge::on_frame(Side side, const CanFrame& frame, Instant received, Instant now)
{
    Port& p = port(side);
    if (now - received > too_long_queued) {
        ++p.status.counters.late;
        return;
    }
    const Heard heard = side == Side::battery ? battery_->on_frame(frame, received) : inverter_->on_frame(frame, received);
    ++p.traffic.heard[static_cast<std::size_t>(heard)];
    if (side == Side::battery && heard != Heard::not_mine) second_battery_.on_frame(frame, received);
    if (heard != Heard::not_mine) {
        dirty_ = true;
    } else if (sent_by_us(side, frame)) {  // somebody else does our work here (SAFE-185)
        ++p.traffic.own_ids;
        dirty_ = true;
    }
}

void Bridge::on_bytes(std::span<const std::uint8_t> bytes, Instant received, Instant now)
{
    Port& p = port(Side::battery);
    if (now - received > too_long_queued) {
        ++p.status.counters.late;
        return;
    }
    battery_->on_bytes(bytes, received, p.traffic.heard);
    dirty_ = true;
}

bool Bridge::sent_by_us(Side side, const CanFrame& frame) const
{
    const auto rules = side == Side::battery ? battery_info_.sends : inverter_traffic_.sends;
    return std::any_of(
        rules.begin(), rules.end(), [&](const TxRule& r) { return r.id == frame.id && r.extended == frame.extended; });
}

void Bridge::on_bus(Side side, const BusStatus& status, Instant)
{
    Port& p = port(side);
    const BusState before = p.status.state;
    const std::uint64_t late = p.status.counters.late;
    p.status = status;
    p.status.counters.late += late;
    if (before == status.state) return;
    dirty_ = true;
    // What waited while the bus was away is out of date (SAFE-262).
    if (before == BusState::bus_off || before == BusState::missing || before == BusState::stopped) discard(side);
}

void Bridge::on_resume(Instant now)
{
    inputs_.stale_until = now + too_long_queued;
    dirty_ = true;
}

void Bridge::on_lines(const ContactorLines& lines)
{
    if (!lines.same_as(lines_)) dirty_ = true;
    lines_ = lines;
}

CommandResult Bridge::on_command(const Command& command, Instant now)
{
    dirty_ = true;
    if (command.kind == CommandKind::reset) return reset(command, now);
    CommandResult result = operator_.apply(command, now);
    const bool close = operator_.take_close_request();
    if (close && verdict().contactors.state == ContactorState::closed) {
        result.code = CommandCode::unchanged;
    } else if (close && !judge_.request_close(now)) {
        operator_.refuse_close();
        result.code = CommandCode::guard_failed;
        result.text.assign("contactors cannot close now");
        result.guard = closing_guard();
        result.status = operator_.state();
    }
    result.answered = now;
    return result;
}

CommandResult Bridge::reset(const Command& command, Instant now)
{
    const ResetOutcome outcome =
        judge_.reset({.fault = command.fault.view(), .reason = command.reason.view(), .source = command.source}, now);
    return {.kind = command.kind,
        .code = outcome.code,
        .text = outcome.text,
        .id = command.id,
        .ticket = command.ticket,
        .received = command.received,
        .answered = now,
        .status = operator_.state()};
}

// What stands in the way of a closing: that there is nothing to close now, or a guard of SAFE-141.
Text<24> Bridge::closing_guard() const
{
    const ContactorState state = verdict().contactors.state;
    const bool may_close = state == ContactorState::init || state == ContactorState::open;
    return Text<24>{may_close ? to_string(verdict().waiting) : to_string(state)};
}

void Bridge::reconfigure(const Config& config, Instant now)
{
    operator_.reconfigure(config.battery);
    judge_.reconfigure(config.safety, config.battery, now);
    battery_->set_ages(age_limits(config.safety, battery_info_.profile));
    dirty_ = true;
}

void Bridge::request_stop(Instant)
{
    if (inputs_.stop_requested) inputs_.stop_now = true;
    inputs_.stop_requested = true;
    dirty_ = true;
}

Instant Bridge::run(Instant now)
{
    const bool time_went_back = last_judged_ && now < *last_judged_;  // the judge will say what it thinks of that (SAFE-219)
    if (dirty_ || now >= next_judgement_ || time_went_back) judge(now);
    speak(now);
    for (Port& p : ports_) measure_rates(p, now);
    return wake();
}

void Bridge::judge(Instant now)
{
    if (last_judged_ && now - *last_judged_ > too_long_between) ++long_gaps_;
    last_judged_ = now;
    judged_since_asked_ = true;
    dirty_ = false;
    operator_.expire(now);

    const std::array packs{PackInputs{.state = battery_->state(), .facts = battery_->facts()}};
    inputs_.packs = packs;
    inputs_.inverter = &inverter_->state();
    inputs_.operator_ = operator_.state();
    inputs_.battery_bus = bus_inputs(ports_[0], now);
    inputs_.battery_bus.second_sender = second_battery_.there(now);
    inputs_.inverter_bus = bus_inputs(ports_[1], now);
    inputs_.lines = &lines_;
    judge_.evaluate(inputs_, now);
    inputs_.packs = {};
    next_judgement_ = judge_.next_evaluation();
    std::visit([&](auto& out) { out.mute(verdict().mute_battery); }, port(Side::battery).out);
    std::visit([&](auto& out) { out.mute(verdict().mute_inverter); }, port(Side::inverter).out);
    std::visit([&](auto& out) { out.slow(verdict().slow_battery, now); }, port(Side::battery).out);
    std::visit([&](auto& out) { out.slow(verdict().slow_inverter, now); }, port(Side::inverter).out);
    // The inverter learns of a lower limit in the same turn; its driver ignores a call that brings nothing new.
    inverter_wake_ = now;
    if (verdict().contactors.order != last_order_) battery_wake_ = now;
    last_order_ = verdict().contactors.order;
}

BusInputs Bridge::bus_inputs(Port& p, Instant now)
{
    return std::visit(
        [&](auto& out) -> BusInputs {
            out.fill(p.traffic);
            return {.status = &p.status,
                .traffic = &p.traffic,
                .tx = {.ever_sent = out.ever_sent(),
                    .refusing = out.refusing(now),
                    .starved = out.starved(now),
                    .dead = out.dead(now)}};
        },
        p.out);
}

ContactorOrder Bridge::driver_order() const
{
    return judge_.contactor_mode() == ContactorMode::gpio ? ContactorOrder::keep : verdict().contactors.order;
}

void Bridge::speak(Instant now)
{
    Outbox out;
    if (now >= battery_wake_) {
        battery_wake_ = battery_->on_tick(
            now, {.contactors = driver_order(), .inverter_current = inverter_->state().current.fresh(now)}, out);
        queue(Side::battery, out, now);
    }
    if (now >= inverter_wake_) {
        out.clear();
        const std::uint64_t overtaken = std::get<TxPort>(port(Side::inverter).out).overtaken();
        inverter_wake_ =
            inverter_->on_tick(now, {.verdict = verdict(), .battery = battery_->state(), .overtaken = overtaken}, out);
        queue(Side::inverter, out, now);
    }
}

void Bridge::queue(Side side, const Outbox& outbox, Instant now)
{
    std::visit([&](auto& out) { out.queue(outbox, now, stamp()); }, port(side).out);
}

Stamp Bridge::stamp() const
{
    const Verdict& v = verdict();
    return {.verdict_at = v.at, .sequence = v.sequence, .charge = v.charge.power(), .discharge = v.discharge.power()};
}

Instant Bridge::wake() const
{
    Instant when = std::min({next_judgement_, battery_wake_, inverter_wake_});
    for (const Port& p : ports_) when = std::min(when, std::visit([](const auto& out) { return out.wake(); }, p.out));
    return when;
}

std::optional<CanFrame> Bridge::next_frame(Side side, Instant now)
{
    emptied_since_asked_[static_cast<std::size_t>(side)] = true;
    auto* const out = std::get_if<TxPort>(&port(side).out);
    if (out == nullptr) return std::nullopt;
    const std::uint64_t overtaken = out->overtaken();
    const auto frame = out->next(now, stamp());
    if (side == Side::inverter && out->overtaken() != overtaken) inverter_wake_ = now;
    return frame;
}

std::optional<Telegram> Bridge::next_telegram(Instant now)
{
    auto* const out = std::get_if<TelegramPort>(&port(Side::battery).out);
    return out != nullptr ? out->next(now, stamp()) : std::nullopt;
}

void Bridge::sent(Side side, Instant now)
{
    std::visit([&](auto& out) { out.sent(now); }, port(side).out);
}

void Bridge::blocked(Side side, Instant now)
{
    std::visit([&](auto& out) { out.blocked(now); }, port(side).out);
}

void Bridge::discard(Side side)
{
    std::visit([](auto& out) { out.discard(); }, port(side).out);
}

void Bridge::measure_rates(Port& p, Instant now)
{
    const Duration window = now - p.rate_since;
    if (window < rate_window) return;
    const BusCounters& c = p.status.counters;
    const double seconds = std::chrono::duration<double>(window).count();
    p.received_per_s = static_cast<double>(c.received - p.received_then) / seconds;
    p.sent_per_s = static_cast<double>(c.sent - p.sent_then) / seconds;
    p.received_then = c.received;
    p.sent_then = c.sent;
    p.rate_since = now;
}

void Bridge::fill(Snapshot& s, Instant now)
{
    s.started = started_;
    s.now = now;
    s.verdict = verdict();
    s.battery = battery_->state();
    s.inverter = inverter_->state();
    s.operator_ = operator_.state();
    s.operator_kept = operator_.persistent();
    s.contactor_mode = judge_.contactor_mode();
    for (std::size_t i = 0; i < ports_.size(); ++i)
        s.buses[i] = {.status = ports_[i].status,
            .traffic = ports_[i].traffic,
            .received_per_s = ports_[i].received_per_s,
            .sent_per_s = ports_[i].sent_per_s};
    s.clock_valid = inputs_.clock_valid;
    s.transitions = judge_.transitions();
}

bool Bridge::healthy_since_asked()
{
    const bool healthy = judged_since_asked_ && long_gaps_ <= 2 &&
        std::all_of(emptied_since_asked_.begin(), emptied_since_asked_.end(), std::identity{});
    judged_since_asked_ = false;
    emptied_since_asked_.fill(false);
    long_gaps_ = 0;
    return healthy;
}

}  // namespace batgw
