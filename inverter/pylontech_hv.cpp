// Plays a Pylontech high-voltage battery for a hybrid inverter, over CAN with 29-bit identifiers. Layout and sources:
// pylontech_hv_layout.hpp and docs/protocols/pylontech-hv.md. Never tried on a real inverter by us.
//
//   SILENT ----(asked, battery data valid)----> HOLD, limits 0
//   HOLD --(ready for ready_s, and a limit of 0 was told)--> RUN --(not ready)--> FAULT, limits 0 --(ready)--> HOLD
//   any --(inverter lost, stop, long fault if so wanted)--> SILENT
//
// The inverter asks, we answer: nothing is sent unasked, unless `unasked` is on and nobody asks. What is valid, what "ready"
// means and every limit come from the verdict; this file only tells.
#include "inverter/pylontech_hv_options.hpp"
#include "inverter/pylontech_hv_picture.hpp"
#include "model/driver.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <string>

namespace batgw {
namespace pylontech_hv {
namespace {

enum class Question : std::uint8_t { ensemble, equipment };
struct Answer {
    std::size_t first, end;
};
constexpr Answer answer_to(Question q)
{
    return q == Question::ensemble ? Answer{slot_totals, slot_versions} : Answer{slot_versions, slot_refusal};
}

constexpr Duration look_again = 100ms;       // at the latest, while we talk
constexpr Duration told_for = 10s;           // older is "not told any more"
constexpr Duration unasked_after = 5s;       // with `unasked`: nobody has asked for this long
constexpr Duration unasked_period = 1s;      // as inverters ask
constexpr Duration unasked_soonest = 200ms;  // when a limit fell
constexpr Duration unasked_equipment = 60s;

class Driver final : public InverterDriver {
public:
    explicit Driver(const Options& o);

    Heard on_frame(const CanFrame& frame, Instant at) override;
    Instant on_tick(Instant now, const InverterView& view, Outbox& out) override;

private:
    Heard on_request(const CanFrame& frame, Instant at);
    Heard on_control(const CanFrame& frame);
    void ask(Question q);

    bool must_not_speak(const Verdict& v) const;
    bool should_fall_silent(const Verdict& v) const;
    void fall_silent();
    void go(InverterPhase phase);
    void advance(const InverterView& view, Instant now);
    void begin(const InverterView& view);
    void ask_oneself(Instant now);
    bool limit_fell() const;

    std::optional<Slot> next_slot() const;
    Instant due(Slot slot) const;
    void speak(Instant now, Outbox& out);
    CanFrame encode(Slot slot) const;
    CanFrame encode_limits_told() const;
    CanFrame encode_marks() const;
    void remember(Slot slot, Instant now);
    Instant wake(Instant now) const;

    // Options.
    Dialect dialect_;
    Text<8> name_;
    Current zero_limit_;
    Duration pace_, ready_time_;
    bool unasked_, allow_sleep_, silence_on_fault_;

    Picture picture_;
    std::optional<Limits> limits_told_;  // true ones, at the last 0x4220

    // The conversation.
    FixedVector<Question, 2> waiting_;  // asked and not begun, in the order they came
    std::size_t next_ = 0, end_ = 0;    // slots of the answer under way
    bool refusal_due_ = false;
    bool asleep_ = false;
    Held ready_;
    bool zero_told_ = false;  // since HOLD began
    Instant pace_at_ = Instant::min();
    std::array<std::optional<Instant>, slot_count> last_{};

    // With `unasked`.
    std::optional<Instant> quiet_since_;  // start, or last question
    Instant ask_at_ = Instant::min(), ask_equipment_at_ = Instant::min();
};

Driver::Driver(const Options& o)
    : dialect_{dialect_of(o)},
      zero_limit_{in_steps<Current>(std::llround(o.get<double>("zero_limit_as") * 1000.0 / step_milli))},
      pace_{std::chrono::milliseconds{o.get<std::int64_t>("pace_ms")}},
      ready_time_{std::chrono::microseconds{static_cast<std::int64_t>(o.get<double>("ready_s") * 1e6)}},
      unasked_{o.get<bool>("unasked")},
      allow_sleep_{o.get<bool>("allow_sleep")},
      silence_on_fault_{o.get<bool>("silence_on_fault")},
      picture_{o}
{
    name_.assign_printable(o.get<std::string>("name"));
    for (auto* r : {&state_.sent_charge_limit, &state_.sent_discharge_limit, &state_.sent_current}) r->set_max_age(told_for);
    for (auto* r : {&state_.sent_voltage_max, &state_.sent_voltage_min, &state_.sent_voltage}) r->set_max_age(told_for);
    state_.sent_soc.set_max_age(told_for);
}

// ---- what the inverter says ----

Heard Driver::on_frame(const CanFrame& f, Instant at)
{
    const std::uint32_t id = f.id - dialect_.address;
    const bool control = id == sleep_wake.id || id == relay_command.id || id == mask_fault.id;
    if (!f.extended || (f.id != request.id && f.id != heartbeat.id && !control)) return Heard::not_mine;
    if (f.len != request.len) return Heard::bad_length;
    if (f.id == request.id) {
        if (const Heard h = on_request(f, at); h != Heard::used) return h;
    } else if (control) {
        if (const Heard h = on_control(f); h != Heard::used) return h;
    }
    state_.heard = at;
    return Heard::used;
}

Heard Driver::on_request(const CanFrame& f, Instant at)
{
    const std::int64_t what = *question(f);
    if (what != ask_ensemble && what != ask_equipment && what != ask_detail)
        return Heard::implausible;  // nobody has seen such a one
    ++state_.requests;
    quiet_since_ = at;
    if (what == ask_ensemble) ask(Question::ensemble);
    if (what == ask_equipment) ask(Question::equipment);
    return Heard::used;
}

// Closing a relay against the battery's own protection and hiding a lost link are never done. Sleep is only if so configured.
Heard Driver::on_control(const CanFrame& f)
{
    const std::uint32_t id = f.id - dialect_.address;
    if (id == mask_fault.id) {
        if (mask_word(f) != word_yes) return Heard::implausible;
        refusal_due_ = true;
    } else if (id == sleep_wake.id) {
        const bool sleep = sleep_word(f) == word_sleep;
        if (!sleep && sleep_word(f) != word_wake) return Heard::implausible;
        asleep_ = allow_sleep_ && sleep;
    }
    return Heard::used;
}

// Asked again while it is being answered: once more, after that.
void Driver::ask(Question q)
{
    if (std::find(waiting_.begin(), waiting_.end(), q) == waiting_.end()) waiting_.push_back(q);
}

// ---- what the verdict makes of the conversation ----

bool Driver::must_not_speak(const Verdict& v) const { return v.stopped || v.mute_inverter || v.state == GatewayState::observe; }

bool Driver::should_fall_silent(const Verdict& v) const
{
    // Only a verdict that knows of the last frame can say that the inverter is lost.
    if (!unasked_ && state_.heard && !v.inverter_link && v.at > *state_.heard) return true;
    return v.fall_silent || (silence_on_fault_ && v.may_fall_silent && !v.ready);
}

void Driver::go(InverterPhase phase)
{
    state_.phase = phase;
    ready_.reset();
    if (phase == InverterPhase::hold) zero_told_ = false;
}

void Driver::fall_silent()
{
    if (state_.phase != InverterPhase::silent) go(InverterPhase::silent);
    waiting_.clear();
    next_ = end_ = 0;
    refusal_due_ = asleep_ = false;
    ask_at_ = ask_equipment_at_ = Instant::min();
    limits_told_.reset();
    state_.soc_overridden = false;
}

void Driver::advance(const InverterView& view, Instant now)
{
    const Verdict& v = view.verdict;
    if (must_not_speak(v) || should_fall_silent(v)) return fall_silent();
    if (unasked_) ask_oneself(now);
    if (state_.phase == InverterPhase::silent) {
        // A question that cannot be answered now is not answered later.
        if (waiting_.empty() || !picture_.complete(view)) return fall_silent();
        picture_.fix_geometry(v.pack);
        go(InverterPhase::hold);
    }
    const bool ready = v.ready && !asleep_;
    if (state_.phase == InverterPhase::run && !ready)
        go(InverterPhase::fault);
    else if (state_.phase == InverterPhase::fault && ready)
        go(InverterPhase::hold);
    if (state_.phase == InverterPhase::hold && ready_.for_at_least(ready, ready_time_, now) && zero_told_) go(InverterPhase::run);
}

// For inverters that listen and never ask. A limit that fell does not wait for the beat (SAFE-091).
void Driver::ask_oneself(Instant now)
{
    if (!quiet_since_) quiet_since_ = now;
    if (now - *quiet_since_ < unasked_after || next_ < end_ || !waiting_.empty()) return;
    const bool soon = limit_fell() && now - *last_[slot_totals] >= unasked_soonest;
    if (now < ask_at_ && !soon) return;
    if (now >= ask_equipment_at_) {
        ask(Question::equipment);
        ask_equipment_at_ = now + unasked_equipment;
    }
    ask(Question::ensemble);
    ask_at_ = now + unasked_period;
}

bool Driver::limit_fell() const
{
    return limits_told_ &&
        (picture_.limits().charge < limits_told_->charge || picture_.limits().discharge < limits_told_->discharge);
}

// ---- saying it ----

CanFrame Driver::encode(Slot slot) const
{
    switch (slot) {
    case slot_totals: return encode_totals(picture_.totals(), dialect_);
    case slot_limits: return encode_limits_told();
    case slot_cell_voltages: return encode_cell_voltages(picture_.cell_voltages(), dialect_);
    case slot_cell_temperatures: return encode_cell_temperatures(picture_.cell_temperatures(), dialect_);
    case slot_status: return encode_status(picture_.status(), dialect_);
    case slot_module_voltages: return encode_module_voltages(picture_.module_voltages(), dialect_);
    case slot_module_temperatures: return encode_module_temperatures(picture_.module_temperatures(), dialect_);
    case slot_forbidden: return encode_marks();
    case slot_other_faults: return encode_other_faults(picture_.status().causes, dialect_);
    case slot_versions: return encode_versions(dialect_);
    case slot_geometry: return encode_geometry(picture_.geometry(), dialect_);
    case slot_maker: return encode_maker(name_.view(), dialect_);
    case slot_model: return encode_model(dialect_);
    default: return encode_refusal(dialect_);
    }
}

CanFrame Driver::encode_limits_told() const
{
    Limits l = picture_.limits();
    l.charge = std::max(l.charge, zero_limit_);
    l.discharge = std::max(l.discharge, zero_limit_);
    return encode_limits(l, dialect_);
}

// Of the limits in this answer and of those now, whichever allow less: a mark never contradicts a zero.
CanFrame Driver::encode_marks() const
{
    const bool charge = picture_.charge_stopped() || limits_told_->charge == Current{};
    const bool discharge = picture_.discharge_stopped() || limits_told_->discharge == Current{};
    return encode_forbidden(charge, discharge, dialect_);
}

void Driver::remember(Slot slot, Instant now)
{
    last_[slot] = now;
    pace_at_ = now + pace_;
    if (slot == slot_limits) {
        const Limits& l = picture_.limits();
        limits_told_ = l;
        if (picture_.charge_stopped() && picture_.discharge_stopped()) zero_told_ = true;
        const std::uint32_t id = limits.id + dialect_.address;
        state_.sent_voltage_max.set(l.charge_cutoff, now, id);
        state_.sent_voltage_min.set(l.discharge_cutoff, now, id);
        state_.sent_charge_limit.set(std::max(l.charge, zero_limit_), now, id);
        state_.sent_discharge_limit.set(std::max(l.discharge, zero_limit_), now, id);
    } else if (slot == slot_totals) {
        const Totals& t = picture_.totals();
        const std::uint32_t id = totals.id + dialect_.address;
        state_.soc_overridden = picture_.soc_overridden();
        state_.sent_soc.set(Percent::from_milli(t.soc.in(1000) * 1000), now, id);
        state_.sent_voltage.set(in_steps<Voltage>(t.voltage.in(step_milli)), now, id);
        state_.sent_current.set(in_steps<Current>(t.current.in(step_milli)), now, id);
    }
}

std::optional<Slot> Driver::next_slot() const
{
    if (state_.phase == InverterPhase::silent) return std::nullopt;
    if (refusal_due_) return slot_refusal;
    if (next_ < end_) return static_cast<Slot>(next_);
    if (!waiting_.empty()) return static_cast<Slot>(answer_to(waiting_[0]).first);
    return std::nullopt;
}

Instant Driver::due(Slot slot) const { return std::max(pace_at_, last_[slot] ? *last_[slot] + spacing : Instant::min()); }

// One frame per gap, as a real battery does it: an answer of nine never fills a short interface queue.
void Driver::speak(Instant now, Outbox& out)
{
    const auto slot = next_slot();
    if (!slot || now < due(*slot)) return;
    if (*slot == slot_refusal) {
        refusal_due_ = false;
    } else {
        if (next_ >= end_) {
            const Answer answer = answer_to(waiting_[0]);
            waiting_.erase_ordered(0);
            next_ = answer.first;
            end_ = answer.end;
        }
        ++next_;
    }
    out.send(encode(*slot));
    remember(*slot, now);
}

Instant Driver::wake(Instant now) const
{
    const auto slot = next_slot();
    const Instant next = slot ? std::min(due(*slot), now + look_again) : now + look_again;
    return std::max(next, now + 1us);
}

Instant Driver::on_tick(Instant now, const InverterView& view, Outbox& out)
{
    picture_.look_at_verdict(view.verdict, state_.phase);
    advance(view, now);
    picture_.look(view, state_.phase, asleep_, now);
    speak(now, out);
    return wake(now);
}

// ---- what others must know of this driver ----

template <class Q>
std::optional<std::int64_t> milli(const Reading<Q>& r, Instant now)
{
    const auto value = r.fresh(now);
    return value ? std::optional{value->milli()} : std::nullopt;
}

// What we told (MQTT-024, MQTT-025); this inverter says nothing of itself.
// clang-format off
constexpr std::array values{
    InverterValue{"send", ValueType::voltage, 1, [](const InverterState& s, Instant now) { return milli(s.sent_voltage, now); }},
    InverterValue{"send", ValueType::current, 1, [](const InverterState& s, Instant now) { return milli(s.sent_current, now); }},
    InverterValue{"max-discharge", ValueType::current, 1, [](const InverterState& s, Instant now) { return milli(s.sent_discharge_limit, now); }},
    InverterValue{"max-charge", ValueType::current, 1, [](const InverterState& s, Instant now) { return milli(s.sent_charge_limit, now); }},
};
// clang-format on

void adjust(const InverterConfig& config, SafetyConfig& safety)
{
    const auto lost_us = static_cast<std::int64_t>(config.options.get<double>("lost_s") * 1e6);
    safety.inverter_link.lost = std::chrono::microseconds{lost_us};
    safety.inverter_link.soc_override = config.options.get<bool>("soc_clamp");
    safety.inverter_link.information_only = config.options.get<bool>("unasked");
}

}  // namespace
}  // namespace pylontech_hv

extern const InverterDriverInfo pylontech_hv_driver;
const InverterDriverInfo pylontech_hv_driver{
    .name = "pylontech-hv",
    .models = "inverters set to Pylontech high voltage (Force H) on CAN: Sofar HYD-KTL, Hoymiles, Growatt SPH, GoodWe, SAJ H2, "
              "Ferroamp, Solinteg and relatives",
    .verified = Verification::none,
    .make = [](const InverterConfig& config) -> std::unique_ptr<InverterDriver> {
        return std::make_unique<pylontech_hv::Driver>(config.options);
    },
    .adjust = pylontech_hv::adjust,
    .options = pylontech_hv::option_rules,
    .messages = message_views<pylontech_hv::totals, pylontech_hv::limits, pylontech_hv::cell_voltages,
        pylontech_hv::cell_temperatures, pylontech_hv::status, pylontech_hv::module_voltages, pylontech_hv::module_temperatures,
        pylontech_hv::forbidden, pylontech_hv::other_faults, pylontech_hv::versions, pylontech_hv::geometry, pylontech_hv::maker,
        pylontech_hv::model, pylontech_hv::mask_answer, pylontech_hv::request, pylontech_hv::heartbeat, pylontech_hv::sleep_wake,
        pylontech_hv::relay_command, pylontech_hv::mask_fault>,
    .receives = pylontech_hv::receives,
    .sends = pylontech_hv::sends,
    .values = pylontech_hv::values,
    .asks_for_charge = true,
    .objection = pylontech_hv::objection,
    .in_use =
        [](const InverterConfig& config) {
            return pylontech_hv::traffic_of(static_cast<std::size_t>(config.options.get<std::int64_t>("address")));
        },
};

}  // namespace batgw
