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

Bridge::Pack::Pack(const BatteryConfig& config, const Config& all, const BatteryDriverInfo& info)
    : driver{info.make({.config = config,
          .ages = age_limits(all.safety, info.profile),
          .contactor_mode = commanded(all.safety.contactors.mode)})},
      second_sender{info.messages, info.receives}
{}

std::vector<Bridge::Pack> Bridge::make_packs(const Config& config, const BatteryDriverInfo& info)
{
    std::vector<Pack> packs;
    packs.emplace_back(config.battery, config, info);
    if (config.battery2) packs.emplace_back(*config.battery2, config, info);
    return packs;
}

Panel Bridge::make_panel(
    const Config& config, const BatteryDriverInfo& battery, const InverterDriverInfo& inverter, Instant start)
{
    const auto setup = [&](const BatteryConfig& pack, std::uint8_t number) {
        return JudgeSetup{.safety = config.safety,
            .battery = pack,
            .profile = battery.profile,
            .battery_name = battery.name,
            .inverter_verified = inverter.verified,
            .inverter_name = inverter.name,
            .start = start,
            .battery_number = number};
    };
    if (!config.battery2) return Panel{std::array{setup(config.battery, 0)}};
    return Panel{std::array{setup(config.battery, 1), setup(*config.battery2, 2)}};
}

Bridge::Bridge(const Config& config, const BatteryDriverInfo& battery, const InverterDriverInfo& inverter, Instant start,
    const std::optional<OperatorState>& restored)
    : battery_info_{battery},
      inverter_traffic_{inverter.traffic(config.inverter)},
      started_{start},
      packs_{make_packs(config, battery)},
      inverter_{inverter.make(config.inverter)},
      operator_{all_packs(config)},
      panel_{make_panel(config, battery, inverter, start)}
{
    ports_.push_back({.out = way_out(battery), .rate_since = start});
    ports_.push_back({.out = TxPort{inverter_traffic_.sends}, .rate_since = start});
    if (config.battery2) ports_.push_back({.out = way_out(battery), .rate_since = start});
    if (restored) operator_.restore(*restored);
}

void Bridge::on_frame(Side side, const CanFrame& frame, Instant received, Instant now)
{
    Port& p = port(side);
    if (now - received > too_long_queued) {
        ++p.status.counters.late;
        return;
    }
    Pack& pack = packs_[pack_of(side)];
    const bool from_inverter = side == Side::inverter;
    const Heard heard = from_inverter ? inverter_->on_frame(frame, received) : pack.driver->on_frame(frame, received);
    ++p.traffic.heard[static_cast<std::size_t>(heard)];
    if (!from_inverter && heard != Heard::not_mine) pack.second_sender.on_frame(frame, received);
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
    packs_[0].driver->on_bytes(bytes, received, p.traffic.heard);
    dirty_ = true;
}

bool Bridge::sent_by_us(Side side, const CanFrame& frame) const
{
    const auto rules = side == Side::inverter ? inverter_traffic_.sends : battery_info_.sends;
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
    if (close && open_pack() == nullptr) {
        result.code = CommandCode::unchanged;
    } else if (close && !panel_.request_close(now)) {
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
        panel_.reset({.fault = command.fault.view(), .reason = command.reason.view(), .source = command.source}, now);
    return {.kind = command.kind,
        .code = outcome.code,
        .text = outcome.text,
        .id = command.id,
        .ticket = command.ticket,
        .received = command.received,
        .answered = now,
        .status = operator_.state()};
}

// The first pack that is not closed; null: all are.
const Verdict* Bridge::open_pack() const
{
    for (std::size_t i = 0; i < panel_.size(); ++i)
        if (panel_.pack(i).contactors.state != ContactorState::closed) return &panel_.pack(i);
    return nullptr;
}

// What stands in the way of a closing: that there is nothing to close now, or a guard of SAFE-141.
Text<24> Bridge::closing_guard() const
{
    const Verdict* const open = open_pack();
    const Verdict& v = open != nullptr ? *open : verdict();
    const ContactorState state = v.contactors.state;
    const bool may_close = state == ContactorState::init || state == ContactorState::open;
    return Text<24>{may_close ? to_string(v.waiting) : to_string(state)};
}

void Bridge::reconfigure(const Config& config, Instant now)
{
    operator_.reconfigure(all_packs(config));
    const std::array<const BatteryConfig*, 2> packs{&config.battery, config.battery2 ? &*config.battery2 : nullptr};
    panel_.reconfigure(config.safety, packs, now);
    for (Pack& p : packs_) p.driver->set_ages(age_limits(config.safety, battery_info_.profile));
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

    const auto inputs = [&](std::size_t i) {
        PanelPack p{.inputs = {.state = packs_[i].driver->state(), .facts = packs_[i].driver->facts()},
            .bus = bus_inputs(port(side_of(i)), now)};
        p.bus.second_sender = packs_[i].second_sender.there(now);
        return p;
    };
    inputs_.inverter = &inverter_->state();
    inputs_.operator_ = operator_.state();
    inputs_.inverter_bus = bus_inputs(port(Side::inverter), now);
    inputs_.lines = &lines_;
    if (panel_.several())
        panel_.evaluate(inputs_, std::array{inputs(0), inputs(1)}, now);
    else
        panel_.evaluate(inputs_, std::array{inputs(0)}, now);
    next_judgement_ = panel_.next_evaluation();
    for (std::size_t i = 0; i < packs_.size(); ++i) {
        const Verdict& v = panel_.pack(i);
        std::visit([&](auto& out) { out.mute(v.mute_battery); }, port(side_of(i)).out);
        std::visit([&](auto& out) { out.slow(v.slow_battery, now); }, port(side_of(i)).out);
        if (v.contactors.order != packs_[i].last_order) packs_[i].wake = now;
        packs_[i].last_order = v.contactors.order;
    }
    std::visit([&](auto& out) { out.mute(verdict().mute_inverter); }, port(Side::inverter).out);
    std::visit([&](auto& out) { out.slow(verdict().slow_inverter, now); }, port(Side::inverter).out);
    // The inverter learns of a lower limit in the same turn; its driver ignores a call that brings nothing new.
    inverter_wake_ = now;
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

ContactorOrder Bridge::driver_order(std::size_t pack) const
{
    return panel_.contactor_mode() == ContactorMode::gpio ? ContactorOrder::keep : panel_.pack(pack).contactors.order;
}

void Bridge::speak(Instant now)
{
    Outbox out;
    for (std::size_t i = 0; i < packs_.size(); ++i) {
        Pack& p = packs_[i];
        if (now < p.wake) continue;
        out.clear();
        p.wake = p.driver->on_tick(
            now, {.contactors = driver_order(i), .inverter_current = inverter_->state().current.fresh(now)}, out);
        queue(side_of(i), out, now);
    }
    if (now >= inverter_wake_) {
        out.clear();
        const std::uint64_t overtaken = std::get<TxPort>(port(Side::inverter).out).overtaken();
        inverter_wake_ = inverter_->on_tick(now, {.verdict = verdict(), .battery = battery(), .overtaken = overtaken}, out);
        queue(Side::inverter, out, now);
    }
}

void Bridge::queue(Side side, const Outbox& outbox, Instant now)
{
    std::visit([&](auto& out) { out.queue(outbox, now, stamp(side)); }, port(side).out);
}

// What a frame was made from: the verdict of its own pack, or what the inverter is told.
Stamp Bridge::stamp(Side side) const
{
    const Verdict& v = side == Side::inverter ? verdict() : panel_.pack(pack_of(side));
    return {.verdict_at = v.at, .sequence = v.sequence, .charge = v.charge.power(), .discharge = v.discharge.power()};
}

Instant Bridge::wake() const
{
    Instant when = std::min(next_judgement_, inverter_wake_);
    for (const Pack& p : packs_) when = std::min(when, p.wake);
    for (const Port& p : ports_) when = std::min(when, std::visit([](const auto& out) { return out.wake(); }, p.out));
    return when;
}

std::optional<CanFrame> Bridge::next_frame(Side side, Instant now)
{
    emptied_since_asked_[static_cast<std::size_t>(side)] = true;
    auto* const out = std::get_if<TxPort>(&port(side).out);
    if (out == nullptr) return std::nullopt;
    const std::uint64_t overtaken = out->overtaken();
    const auto frame = out->next(now, stamp(side));
    if (side == Side::inverter && out->overtaken() != overtaken) inverter_wake_ = now;
    return frame;
}

std::optional<Telegram> Bridge::next_telegram(Instant now)
{
    auto* const out = std::get_if<TelegramPort>(&port(Side::battery).out);
    return out != nullptr ? out->next(now, stamp(Side::battery)) : std::nullopt;
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
    panel_.fill_house(s.verdict);
    s.battery = battery();
    s.packs.clear();
    s.inverter = inverter_->state();
    s.operator_ = operator_.state();
    s.operator_kept = operator_.persistent();
    s.contactor_mode = panel_.contactor_mode();
    const auto bus = [&](Side side) -> Snapshot::Bus {
        const Port& p = port(side);
        return {.status = p.status, .traffic = p.traffic, .received_per_s = p.received_per_s, .sent_per_s = p.sent_per_s};
    };
    s.buses = {bus(Side::battery), bus(Side::inverter)};
    for (std::size_t i = 0; panel_.several() && i < packs_.size(); ++i)
        s.packs.push_back({.verdict = panel_.pack(i), .battery = packs_[i].driver->state(), .bus = bus(side_of(i))});
    s.clock_valid = inputs_.clock_valid;
    s.transitions = panel_.transitions();
}

bool Bridge::healthy_since_asked()
{
    const std::span emptied{emptied_since_asked_.data(), ports_.size()};
    const bool healthy = judged_since_asked_ && long_gaps_ <= 2 && std::all_of(emptied.begin(), emptied.end(), std::identity{});
    judged_since_asked_ = false;
    emptied_since_asked_.fill(false);
    long_gaps_ = 0;
    return healthy;
}

}  // namespace batgw
