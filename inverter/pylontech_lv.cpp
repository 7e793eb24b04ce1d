// Plays a Pylontech low-voltage battery (48 V class) for an inverter over CAN, or its relatives for Victron, SMA, LuxPower and
// Sol-Ark. Layout and sources: pylontech_lv_layout.hpp and docs/protocols/pylontech-lv.md. Never tried on a real inverter by us.
//
//   SILENT ----(battery data valid)----> HOLD, limits 0
//   HOLD, FAULT --(ready for ready_s)--> RUN --(not ready)--> FAULT, limits 0
//   any --(stop)--> SILENT
//
// The battery speaks whether or not an inverter answers, and goes on telling zero when it is lost: silence makes some inverters
// fall back to voltages of their own. What is lost, what "ready" means and every limit come from the verdict, not from here.
#include "inverter/pylontech_lv_frames.hpp"
#include "inverter/pylontech_lv_layout.hpp"
#include "inverter/pylontech_lv_options.hpp"
#include "inverter/pylontech_lv_teller.hpp"
#include "model/driver.hpp"

#include <algorithm>
#include <array>
#include <cmath>

namespace batgw {
namespace pylontech_lv {
namespace {

constexpr Duration look_again = 100ms;  // at the latest, while we talk
constexpr Duration gap = 10ms;          // between the frames that follow one by one
constexpr Duration switch_off_lasts = 60s;

class Driver final : public InverterDriver {
public:
    explicit Driver(const Options& o);

    Heard on_frame(const CanFrame& frame, Instant at) override;
    Instant on_tick(Instant now, const InverterView& view, Outbox& out) override;

private:
    void hear_measures(const CanFrame& frame, Instant at);
    void hear_brand(const CanFrame& frame);

    bool should_be_silent(const Verdict& v) const;
    bool can_start(const Verdict& v, const BatteryState& b) const;
    void fall_silent();
    void advance(const InverterView& view, Instant now);
    void go(InverterPhase phase);

    void send(Slot slot, Instant now, Outbox& out);
    void remember(Slot slot, const CanFrame& frame, Instant now);
    void send_beat(Instant now, Outbox& out);
    void send_extra(Instant now, Outbox& out);
    void send_next(Instant now, Outbox& out);

    bool limit_fell() const;
    bool charge_voltage_too_low() const;
    bool extra_wanted() const { return limits_lost_ || limit_fell() || charge_voltage_too_low(); }
    Instant beat_due() const { return extra_at_ ? std::max(due_, *extra_at_ + profile_.spacing) : due_; }
    Instant extra_due() const;
    Instant wake(Instant now) const;

    const Profile& profile_;
    Dialect dialect_;
    Teller teller_;
    Text<8> maker_;
    Text<16> battery_name_;
    std::int64_t zero_as_;  // sent for a limit of zero, in steps
    bool silence_on_fault_, obey_switch_off_;
    Duration ready_time_;

    std::optional<Instant> switch_off_at_;  // asked for, and not taken back
    Held ready_;

    Instant due_{};  // next beat
    std::optional<Instant> beat_at_, extra_at_;
    std::size_t next_;  // of the frames one by one
    Instant next_at_{};
    std::optional<Limits> limits_sent_;  // since we began to talk; before zeros are dressed up
    std::uint64_t overtaken_ = 0;
    bool limits_lost_ = false;  // the last limits never got out
};

Driver::Driver(const Options& o)
    : profile_{find_profile(o.get<std::string>("profile"))},
      dialect_{.profile = profile_,
          .natural_length = o.get<bool>("native_dlc"),
          .coarse_voltage = o.get<std::string>("voltage_step_v") == "0.1"},
      teller_{profile_, teller_options(o)},
      zero_as_{std::llround(o.get<double>("zero_limit_as") * 1000.0) / wire_step_milli},
      silence_on_fault_{o.get<bool>("silence_on_fault")},
      obey_switch_off_{o.get<bool>("obey_switch_off")},
      ready_time_{std::chrono::microseconds{static_cast<std::int64_t>(o.get<double>("ready_s") * 1e6)}},
      next_{profile_.one_by_one.size()}
{
    maker_.assign_printable(o.get<std::string>("name"));
    if (maker_.empty()) maker_.assign("PYLON");
    battery_name_.assign_printable(o.get<std::string>("battery_name"));
    // Three of their periods: older is "not told any more", as when we are silent.
    for (auto* r : {&state_.sent_charge_limit, &state_.sent_discharge_limit, &state_.sent_current}) r->set_max_age(3 * beat);
    for (auto* r : {&state_.sent_voltage_max, &state_.sent_voltage_min, &state_.sent_voltage}) r->set_max_age(3 * beat);
    state_.sent_soc.set_max_age(3 * beat);
}

// ---- what the inverter says ----

Heard Driver::on_frame(const CanFrame& f, Instant at)
{
    if (std::find(profile_.life.begin(), profile_.life.end(), f.id) == profile_.life.end()) return Heard::not_mine;
    if (f.id == order.id) {
        if (f.len < order.len) return Heard::bad_length;
        if (!switch_off(f))
            switch_off_at_.reset();
        else if (obey_switch_off_)
            switch_off_at_ = at;
    }
    if (f.id == alive_id && profile_.inverter_measures && f.len == sma_measures.len) hear_measures(f, at);
    if (f.id == inverter_brand.id) hear_brand(f);
    state_.heard = at;
    return Heard::used;
}

// A plain sign of life holds zeros: then nothing was measured.
void Driver::hear_measures(const CanFrame& f, Instant at)
{
    const auto v = inverter_voltage(f);
    if (!v) return;
    state_.voltage.set(*v, at, f.id);
    if (const auto i = inverter_current(f)) state_.current.set(*i, at, f.id);
    if (const auto t = inverter_temperature(f)) state_.temperature.set(*t, at, f.id);
    if (const auto s = inverter_soc(f)) state_.soc.set(*s, at, f.id);
}

void Driver::hear_brand(const CanFrame& f)
{
    if (f.len != 8 || !std::equal(brand_mark.begin(), brand_mark.end(), f.data.begin())) return;
    std::array<char, 4> brand{};
    std::transform(f.data.begin() + 4, f.data.end(), brand.begin(), [](std::uint8_t c) { return static_cast<char>(c); });
    state_.name.assign_printable({brand.data(), brand.size()});
}

// ---- what the verdict makes of the conversation ----

bool Driver::should_be_silent(const Verdict& v) const
{
    if (v.stopped || v.mute_inverter || v.state == GatewayState::observe) return true;
    // The last thing an inverter is told before silence is zero.
    const bool zero_told = !limits_sent_ || (limits_sent_->charge == 0 && limits_sent_->discharge == 0);
    return zero_told && (v.fall_silent || (silence_on_fault_ && v.may_fall_silent && !v.ready));
}

bool Driver::can_start(const Verdict& v, const BatteryState& b) const
{
    return v.battery_valid && v.pack.energy_rated && v.pack.voltage_max && v.pack.voltage_min && teller_.has_window() &&
        b.voltage.last() && b.soc.last() && b.temperature_max.last() && b.temperature_min.last();
}

void Driver::go(InverterPhase phase)
{
    state_.phase = phase;
    ready_.reset();
}

void Driver::fall_silent()
{
    go(InverterPhase::silent);
    next_ = profile_.one_by_one.size();
    limits_sent_.reset();
    limits_lost_ = false;
    state_.soc_overridden = false;
}

void Driver::advance(const InverterView& view, Instant now)
{
    const Verdict& v = view.verdict;
    if (should_be_silent(v)) {
        if (state_.phase != InverterPhase::silent) fall_silent();
        return;
    }
    if (state_.phase == InverterPhase::silent) {
        if (!can_start(v, view.battery)) return;
        teller_.identify(v.pack, maker_.view(), battery_name_.view());
        go(InverterPhase::hold);
        due_ = beat_at_ ? std::max(now, *beat_at_ + beat / 2) : now;
    }
    const bool switched_off = switch_off_at_ && now - *switch_off_at_ <= switch_off_lasts;
    const bool ready = v.ready && !switched_off;
    if (state_.phase == InverterPhase::run) {
        if (!ready) go(InverterPhase::fault);
    } else if (ready_.for_at_least(ready, ready_time_, now)) {
        go(InverterPhase::run);
    }
}

// ---- saying it ----

void Driver::send(Slot slot, Instant now, Outbox& out)
{
    Told told = teller_.told();
    // For inverters that take a limit of exactly nothing for none. The enable bit stays cleared.
    told.limits.charge = std::max(told.limits.charge, zero_as_);
    told.limits.discharge = std::max(told.limits.discharge, zero_as_);
    const auto f = encode(slot, told, dialect_);
    if (!f) return;
    out.send(*f);
    remember(slot, *f, now);
}

void Driver::remember(Slot slot, const CanFrame& f, Instant now)
{
    if (slot == Slot::limits) {
        limits_sent_ = teller_.told().limits;
        limits_lost_ = false;
        state_.sent_voltage_max.set(*charge_voltage(f), now, f.id);
        state_.sent_voltage_min.set(*discharge_voltage(f), now, f.id);
        state_.sent_charge_limit.set(*charge_limit(f), now, f.id);
        state_.sent_discharge_limit.set(*discharge_limit(f), now, f.id);
    } else if (slot == Slot::charge_state) {
        state_.sent_soc.set(profile_.tail == Tail::soc_fine ? *soc_fine(f) : *soc(f), now, f.id);
        state_.soc_overridden = !teller_.soc_is_the_batterys();
    } else if (slot == Slot::measurements) {
        state_.sent_voltage.set(*(dialect_.coarse_voltage ? voltage_coarse : voltage)(f), now, f.id);
        state_.sent_current.set(*current(f), now, f.id);
    }
}

void Driver::send_beat(Instant now, Outbox& out)
{
    for (const Slot slot : profile_.together) send(slot, now, out);
    beat_at_ = now;
    // The beat keeps its phase, unless that would make the next interval too short.
    due_ = now - due_ > beat / 20 ? now + beat : due_ + beat;
    next_ = 0;
    next_at_ = now + gap;
}

void Driver::send_extra(Instant now, Outbox& out)
{
    for (const Slot slot : profile_.together)
        if (tells_limits(slot)) send(slot, now, out);
    extra_at_ = now;
}

// One frame per gap, so that the beat never fills a short interface queue.
void Driver::send_next(Instant now, Outbox& out)
{
    if (next_ >= profile_.one_by_one.size() || now < next_at_) return;
    send(profile_.one_by_one[next_], now, out);
    ++next_;
    next_at_ = now + gap;
}

// SAFE-091: by at least one step and one percent. Measured from what was said last, so a slow slide is told too.
bool Driver::limit_fell() const
{
    if (!limits_sent_) return false;
    const auto fell = [](std::int64_t before, std::int64_t after) { return after < before && (before - after) * 100 >= before; };
    return fell(limits_sent_->charge, teller_.told().limits.charge) ||
        fell(limits_sent_->discharge, teller_.told().limits.discharge);
}

// The load has gone and the battery has recovered: by more than a step, so that noise is not told.
bool Driver::charge_voltage_too_low() const
{
    return limits_sent_ && teller_.told().limits.charge == 0 &&
        teller_.told().limits.charge_voltage > limits_sent_->charge_voltage + 1;
}

// When limits may go out of their beat. Only asked after one beat was sent.
Instant Driver::extra_due() const
{
    const Instant after_beat = *beat_at_ + profile_.extra_spacing;
    return extra_at_ ? std::max(after_beat, *extra_at_ + profile_.spacing) : after_beat;
}

Instant Driver::wake(Instant now) const
{
    Instant next = std::min(now + look_again, beat_due());
    if (extra_wanted()) next = std::min(next, extra_due());
    if (next_ < profile_.one_by_one.size()) next = std::min(next, next_at_);
    return std::max(next, now + 1us);
}

Instant Driver::on_tick(Instant now, const InverterView& view, Outbox& out)
{
    teller_.look_at_window(view.verdict);
    advance(view, now);
    if (state_.phase == InverterPhase::silent) return now + look_again;
    teller_.look(view, state_.phase == InverterPhase::run, now);
    if (view.overtaken != overtaken_ && limits_sent_) limits_lost_ = true;
    overtaken_ = view.overtaken;
    if (now >= beat_due())
        send_beat(now, out);
    else if (extra_wanted() && now >= extra_due())
        send_extra(now, out);
    else
        send_next(now, out);
    return wake(now);
}

// ---- what others must know of this driver ----

template <class Q>
std::optional<std::int64_t> milli(const Reading<Q>& r, Instant now)
{
    const auto value = r.fresh(now);
    return value ? std::optional{value->milli()} : std::nullopt;
}

// clang-format off
// "send" is what we told, "recv" what the inverter measures; currents are positive when charging (MQTT-024, MQTT-025).
constexpr std::array values{
    InverterValue{"inverter", ValueType::temperature, 1, [](const InverterState& s, Instant now) { return milli(s.temperature, now); }},
    InverterValue{"send", ValueType::voltage, 2, [](const InverterState& s, Instant now) { return milli(s.sent_voltage, now); }},
    InverterValue{"recv", ValueType::voltage, 1, [](const InverterState& s, Instant now) { return milli(s.voltage, now); }},
    InverterValue{"send", ValueType::current, 1, [](const InverterState& s, Instant now) { return milli(s.sent_current, now); }},
    InverterValue{"recv", ValueType::current, 1, [](const InverterState& s, Instant now) { return milli(s.current, now); }},
    InverterValue{"max-discharge", ValueType::current, 1, [](const InverterState& s, Instant now) { return milli(s.sent_discharge_limit, now); }},
    InverterValue{"max-charge", ValueType::current, 1, [](const InverterState& s, Instant now) { return milli(s.sent_charge_limit, now); }},
};
// clang-format on

void adjust(const InverterConfig& config, SafetyConfig& safety)
{
    const auto lost_us = static_cast<std::int64_t>(config.options.get<double>("lost_s") * 1e6);
    safety.inverter_link.lost = std::chrono::microseconds{lost_us};
    safety.inverter_link.information_only = !config.options.get<bool>("expect_ack");  // SAFE-180
    safety.inverter_link.soc_override = config.options.get<bool>("soc_clamp");
}

}  // namespace
}  // namespace pylontech_lv

extern const InverterDriverInfo pylontech_lv_driver;
const InverterDriverInfo pylontech_lv_driver{
    .name = "pylontech-lv",
    .models =
        "48 V inverters set to Pylontech: Deye/Sunsynk, Sol-Ark, Growatt SPF, Sofar, GoodWe ES, Solis, LuxPower/EG4 and others; "
        "Victron; SMA Sunny Island",
    .verified = Verification::none,
    .make = [](const InverterConfig& config) -> std::unique_ptr<InverterDriver> {
        return std::make_unique<pylontech_lv::Driver>(config.options);
    },
    .adjust = pylontech_lv::adjust,
    .options = pylontech_lv::options(),
    .messages = message_views<pylontech_lv::status, pylontech_lv::status_capacity, pylontech_lv::limits,
        pylontech_lv::charge_state, pylontech_lv::charge_state_fine, pylontech_lv::charge_state_cells, pylontech_lv::measurements,
        pylontech_lv::measurements_coarse, pylontech_lv::measurements_cells, pylontech_lv::requests,
        pylontech_lv::requests_cycles, pylontech_lv::maker, pylontech_lv::alarms, pylontech_lv::product, pylontech_lv::name_first,
        pylontech_lv::name_second, pylontech_lv::module_counts, pylontech_lv::extremes, pylontech_lv::lowest_cell,
        pylontech_lv::highest_cell, pylontech_lv::coldest_spot, pylontech_lv::hottest_spot, pylontech_lv::energy,
        pylontech_lv::installed_capacity, pylontech_lv::alive, pylontech_lv::sma_measures, pylontech_lv::alive_extended,
        pylontech_lv::inverter_extra, pylontech_lv::inverter_extra_extended, pylontech_lv::inverter_brand,
        pylontech_lv::inverter_brand_extended, pylontech_lv::order, pylontech_lv::order_extended>,
    .receives = pylontech_lv::traffic_of_all().receives,
    .sends = pylontech_lv::traffic_of_all().sends,
    .values = pylontech_lv::values,
    .asks_for_charge = true,
    .objection = pylontech_lv::objection,
    .in_use = [](const InverterConfig& config) { return pylontech_lv::traffic_of(config.options); },
};

}  // namespace batgw
