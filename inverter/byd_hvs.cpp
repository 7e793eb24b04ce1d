// Plays a BYD Battery-Box Premium HVS or HVM for a hybrid inverter, over CAN. Layout and sources: byd_hvs_layout.hpp and
// docs/protocols/byd-hvs.md. Never tried on a real inverter by us.
//
//   SILENT ----(inverter spoke, battery data valid)----> IDENTIFY --(burst sent)--> HOLD, limits 0
//   HOLD --(ready for ready_s)--> RUN --(not ready)--> FAULT, limits 0 --(ready for ready_s)--> HOLD
//   any --(inverter lost, long fault, stop)--> SILENT
//
// Which inverter is lost, what is valid, what "ready" means and every limit come from the verdict; this file only tells.
#include "inverter/byd_hvs_frames.hpp"
#include "inverter/byd_hvs_layout.hpp"
#include "inverter/set_points.hpp"
#include "model/driver.hpp"

#include <algorithm>
#include <array>
#include <cmath>

namespace batgw {
namespace byd_hvs {
namespace {

// The messages we send, in the order of the identification burst.
enum Slot : std::size_t {
    slot_identity,
    slot_serial,
    slot_vendor,
    slot_product,
    slot_limits = slot_product + product_pieces,
    slot_charge_state,
    slot_measurements,
    slot_temperatures,
    slot_counters,
    slot_count
};
constexpr std::array<Duration, slot_count> periods = [] {
    std::array<Duration, slot_count> p{};
    p[slot_limits] = limits.period;
    p[slot_charge_state] = charge_state.period;
    p[slot_measurements] = measurements.period;
    p[slot_temperatures] = temperatures.period;
    p[slot_counters] = counters.period;
    return p;
}();

constexpr Duration spacing = 100ms;  // two frames of one id (SAFE-091)
// An extra 0x110 may follow a cyclic one almost at once: only extra ones keep 100 ms among themselves.
constexpr Duration limits_spacing = 5ms;
constexpr Duration look_again = 100ms;  // at the latest, while we talk

Identity identity_of(const PackFacts& facts, std::int64_t modules_wanted, Energy per_module)
{
    const Voltage nominal = facts.voltage_nominal.value_or((*facts.voltage_max + *facts.voltage_min) / 2);
    const std::int64_t counted = facts.energy_rated->in(per_module.milli());
    return {.energy_rated = *facts.energy_rated,
        .voltage_nominal = nominal,
        .modules = modules_wanted > 0 ? modules_wanted : std::max<std::int64_t>(counted, 2)};
}

class Driver final : public InverterDriver {
public:
    explicit Driver(const Options& o);

    Heard on_frame(const CanFrame& frame, Instant at) override;
    Instant on_tick(Instant now, const InverterView& view, Outbox& out) override;

private:
    Heard on_hello(const CanFrame& frame);
    Heard on_inverter_dc(const CanFrame& frame, Instant at);

    bool must_not_speak(const Verdict& v) const;
    bool should_fall_silent(const Verdict& v) const;
    bool can_identify(const Verdict& v, const BatteryState& b) const;
    void fall_silent();
    void advance(const InverterView& view, Instant now);
    void go(InverterPhase phase);
    void start_burst(const Verdict& v, Instant now);

    void look(const InverterView& view, Instant now);
    Limits limits_now(const Verdict& v) const;
    void narrow(Limits& l) const;

    void send(Slot slot, Instant now, Outbox& out);
    void send_burst(Instant now, Outbox& out);
    void send_extra(Instant now, Outbox& out);
    void send_cyclic(Instant now, Outbox& out);
    CanFrame encode(Slot slot) const;
    void remember(Slot slot, const CanFrame& frame, Instant now);

    bool limit_fell() const;
    bool bursting() const { return burst_next_ < slot_count; }
    bool talking() const
    {
        return state_.phase == InverterPhase::hold || state_.phase == InverterPhase::run || state_.phase == InverterPhase::fault;
    }
    Instant earliest(Slot slot) const { return last_[slot] ? *last_[slot] + spacing : Instant::min(); }
    Instant extra_due() const;
    Instant cyclic_due(Slot slot) const;
    Instant wake(Instant now) const;

    // Options.
    Current max_charge_, max_discharge_;
    std::int64_t modules_, serial_;
    Voltage margin_;
    bool silence_on_fault_, narrow_window_;
    Duration burst_gap_, ready_time_;
    std::string_view product_name_;
    Energy energy_per_module_;

    // Heard and not yet answered.
    bool spoken_ = false;  // any sign of life since we fell silent
    bool asked_ = false;   // 0x151 with bit 0

    Held ready_;
    std::optional<Identity> identity_;   // of the first burst, for the life of the program
    std::optional<WindowSteps> window_;  // the last sane one, margins applied
    Measured shown_;
    std::optional<Percent> override_, override_sent_;
    bool voltage_fresh_ = false;
    Limits limits_;  // what the next 0x110 says

    std::size_t burst_next_ = slot_count;
    bool burst_again_ = false;
    Instant burst_at_{};
    std::array<std::optional<Instant>, slot_count> last_{};  // sent, since we began to talk or before
    std::array<std::optional<Instant>, slot_count> due_{};   // next beat of the cyclic ones
    std::optional<Limits> limits_sent_;                      // since we began to talk
    std::optional<Instant> extra_at_;                        // the last 0x110 out of its cycle
    std::uint64_t overtaken_ = 0;
    bool limits_lost_ = false;  // the last 0x110 never got out
};

Driver::Driver(const Options& o)
    : max_charge_{Current::from_milli(static_cast<std::int64_t>(o.get<double>("max_charge_a") * 1000.0))},
      max_discharge_{Current::from_milli(static_cast<std::int64_t>(o.get<double>("max_discharge_a") * 1000.0))},
      modules_{o.get<std::int64_t>("modules")},
      serial_{o.get<std::int64_t>("serial")},
      margin_{Voltage::from_milli(std::llround(o.get<double>("window_margin_v") * 1000.0))},
      silence_on_fault_{o.get<bool>("silence_on_fault")},
      narrow_window_{o.get<bool>("narrow_window")},
      burst_gap_{std::chrono::milliseconds{o.get<std::int64_t>("burst_gap_ms")}},
      ready_time_{std::chrono::microseconds{static_cast<std::int64_t>(o.get<double>("ready_s") * 1e6)}}
{
    const bool hvm = o.get<std::string>("product") == "HVM";
    product_name_ = hvm ? product_hvm : product_hvs;
    energy_per_module_ = hvm ? 2.76_kWh : 2.56_kWh;
    // Three of their periods: older is "not told any more", as when we are silent.
    for (auto* r : {&state_.sent_charge_limit, &state_.sent_discharge_limit}) r->set_max_age(3 * limits.period);
    for (auto* r : {&state_.sent_voltage_max, &state_.sent_voltage_min}) r->set_max_age(3 * limits.period);
    state_.sent_voltage.set_max_age(3 * measurements.period);
    state_.sent_current.set_max_age(3 * measurements.period);
    state_.sent_soc.set_max_age(3 * charge_state.period);
}

// ---- what the inverter says ----

Heard Driver::on_frame(const CanFrame& f, Instant at)
{
    const bool ours = f.id == hello.id || f.id == inverter_dc.id || f.id == inverter_soc_echo.id || f.id == inverter_clock.id ||
        f.id == inverter_alive.id;
    if (f.extended || !ours) return Heard::not_mine;
    if (f.len != hello.len) return Heard::bad_length;

    if (f.id == hello.id) {
        if (const Heard h = on_hello(f); h != Heard::used) return h;
    } else if (f.id == inverter_dc.id) {
        if (const Heard h = on_inverter_dc(f, at); h != Heard::used) return h;
    } else if (f.id == inverter_soc_echo.id) {
        const auto s = inverter_soc(f);
        if (!s) return Heard::implausible;
        state_.soc.set(*s, at, f.id);
    } else if (f.id == inverter_clock.id) {
        state_.clock.set(static_cast<std::uint32_t>(*inverter_time(f)), at, f.id);
    }
    state_.heard = at;
    spoken_ = true;
    return Heard::used;
}

Heard Driver::on_hello(const CanFrame& f)
{
    const std::int64_t what = *request(f);
    if ((what & 1) != 0) {
        asked_ = true;
        ++state_.requests;
        return Heard::used;
    }
    if (what != 0) return Heard::implausible;  // nobody has seen such a one
    std::array<char, piece_length> brand{};
    std::transform(f.data.begin() + 1, f.data.end(), brand.begin(), [](std::uint8_t c) { return static_cast<char>(c); });
    Text<16> name;
    name.assign_printable({brand.data(), brand.size()});
    if (!name.empty()) state_.name = name;
    return Heard::used;
}

Heard Driver::on_inverter_dc(const CanFrame& f, Instant at)
{
    const auto v = inverter_voltage(f);
    if (!v) return Heard::implausible;
    state_.voltage.set(*v, at, f.id);
    if (const auto i = inverter_current(f)) state_.current.set(*i, at, f.id);
    if (const auto t = inverter_temperature(f)) state_.temperature.set(*t, at, f.id);
    return Heard::used;
}

// ---- what the verdict makes of the conversation ----

bool Driver::must_not_speak(const Verdict& v) const { return v.stopped || v.mute_inverter || v.state == GatewayState::observe; }

bool Driver::should_fall_silent(const Verdict& v) const
{
    // Only a verdict that knows of the last frame can say that the inverter is lost.
    if (state_.heard && !v.inverter_link && v.at > *state_.heard) return true;
    return v.fall_silent || (silence_on_fault_ && v.may_fall_silent && !v.ready);
}

bool Driver::can_identify(const Verdict& v, const BatteryState& b) const
{
    return v.battery_valid && v.pack.energy_rated && v.pack.voltage_max && v.pack.voltage_min && window_ && b.voltage.last() &&
        b.soc.last() && b.temperature_max.last() && b.temperature_min.last();
}

void Driver::fall_silent()
{
    go(InverterPhase::silent);
    spoken_ = asked_ = burst_again_ = false;
    burst_next_ = slot_count;
    due_ = {};
    limits_sent_.reset();
    override_sent_.reset();
    state_.soc_overridden = false;
}

void Driver::go(InverterPhase phase)
{
    state_.phase = phase;
    ready_.reset();
}

void Driver::start_burst(const Verdict& v, Instant now)
{
    if (!identity_) identity_ = identity_of(v.pack, modules_, energy_per_module_);
    if (bursting()) {
        burst_again_ = true;
        return;
    }
    burst_next_ = slot_identity;
    burst_at_ = now;
}

void Driver::advance(const InverterView& view, Instant now)
{
    const Verdict& v = view.verdict;
    if (must_not_speak(v) || should_fall_silent(v)) {
        // An inverter that we cannot hear may still hear us: the last thing it is told is zero.
        const bool power_told = limits_sent_ && (limits_sent_->charge > 0 || limits_sent_->discharge > 0);
        if (power_told && !must_not_speak(v))
            go(InverterPhase::fault);
        else if (state_.phase != InverterPhase::silent)
            fall_silent();
        return;
    }
    const bool valid = can_identify(v, view.battery);
    if (state_.phase == InverterPhase::silent) {
        if (!spoken_ || !valid) return;
        go(InverterPhase::identify);
        start_burst(v, now);
    } else if (asked_ && valid) {
        start_burst(v, now);
    }
    asked_ = false;

    if (state_.phase == InverterPhase::hold && ready_.for_at_least(v.ready, ready_time_, now))
        go(InverterPhase::run);
    else if (state_.phase == InverterPhase::run && !v.ready)
        go(InverterPhase::fault);
    else if (state_.phase == InverterPhase::fault && ready_.for_at_least(v.ready, ready_time_, now))
        go(InverterPhase::hold);
}

// ---- what to say ----

// The last good measurement stands where there is no fresh one: 0 V or 0 % would be a lie, and the limits are zero then.
void Driver::look(const InverterView& view, Instant now)
{
    const BatteryState& b = view.battery;
    if (const auto v = b.voltage.last()) shown_.voltage = *v;
    voltage_fresh_ = b.voltage.is_fresh(now);
    // A current nobody measures is told as none: the protocol has no code for "not known", and the last one would be a claim.
    shown_.current = b.current.fresh(now).value_or(Current{});
    if (const auto t = b.temperature_max.last()) shown_.temperature_max = *t;
    if (const auto t = b.temperature_min.last()) shown_.temperature_min = *t;
    const TemperatureStep half = (shown_.temperature_max - shown_.temperature_min) / 2;
    shown_.temperature_avg = b.temperature_avg.fresh(now).value_or(shown_.temperature_min + half);
    shown_.soh = b.soh.last().value_or(100_pct);  // what emulators send for a battery that does not tell

    if (const auto w = window_steps(view.verdict, margin_, wire_step_milli)) window_ = w;
    limits_ = limits_now(view.verdict);
    if (view.overtaken != overtaken_) limits_lost_ = true;
    overtaken_ = view.overtaken;
    override_ = soc_override(view.verdict, limits_.charge == 0, limits_.discharge == 0);
    if (const auto s = soc_for_inverter(view)) shown_.soc = *s;
    if (override_) shown_.soc = *override_;
}

Limits Driver::limits_now(const Verdict& v) const
{
    Limits l;
    if (state_.phase == InverterPhase::run && v.ready) {
        if (!v.charge.is_zero()) l.charge = std::min(v.charge.current(), max_charge_).down_in(wire_step_milli);
        if (!v.discharge.is_zero()) l.discharge = std::min(v.discharge.current(), max_discharge_).down_in(wire_step_milli);
    }
    if (!window_) return l;
    l.voltage_max = window_->max;
    l.voltage_min = window_->min;
    if (narrow_window_ && voltage_fresh_ && (state_.phase == InverterPhase::run || state_.phase == InverterPhase::fault))
        narrow(l);
    return l;
}

// For inverters that obey voltages only: the end of a blocked direction moves to the present voltage, never past it.
void Driver::narrow(Limits& l) const
{
    const std::int64_t above = shown_.voltage.up_in(wire_step_milli), below = shown_.voltage.down_in(wire_step_milli);
    if (l.charge == 0) l.voltage_max = std::clamp(above, l.voltage_min + 1, l.voltage_max);
    if (l.discharge == 0) l.voltage_min = std::clamp(below, l.voltage_min, l.voltage_max - 1);
}

// ---- saying it ----

CanFrame Driver::encode(Slot slot) const
{
    switch (slot) {
    case slot_identity: return encode_identity(*identity_);
    case slot_serial: return encode_serial(serial_);
    case slot_vendor: return encode_vendor();
    case slot_limits: return encode_limits(limits_);
    case slot_charge_state: return encode_charge_state(shown_, *identity_);
    case slot_measurements: return encode_measurements(shown_);
    case slot_temperatures: return encode_temperatures(shown_);
    case slot_counters: return encode_counters();
    default: return encode_product(product_name_, slot - slot_product);
    }
}

void Driver::remember(Slot slot, const CanFrame& f, Instant now)
{
    last_[slot] = now;
    if (slot == slot_limits) {
        limits_sent_ = limits_;
        limits_lost_ = false;
        state_.sent_voltage_max.set(*window_max(f), now, f.id);
        state_.sent_voltage_min.set(*window_min(f), now, f.id);
        state_.sent_charge_limit.set(*charge_limit(f), now, f.id);
        state_.sent_discharge_limit.set(*discharge_limit(f), now, f.id);
    } else if (slot == slot_charge_state) {
        override_sent_ = override_;
        state_.soc_overridden = override_.has_value();
        state_.sent_soc.set(*soc(f), now, f.id);
    } else if (slot == slot_measurements) {
        state_.sent_voltage.set(*voltage(f), now, f.id);
        state_.sent_current.set(*current(f), now, f.id);
    }
}

void Driver::send(Slot slot, Instant now, Outbox& out)
{
    const CanFrame f = encode(slot);
    out.send(f);
    remember(slot, f, now);
}

// One frame per gap, so that the burst of twelve never fills a short interface queue.
void Driver::send_burst(Instant now, Outbox& out)
{
    if (!bursting()) return;
    const auto slot = static_cast<Slot>(burst_next_);
    if (now < std::max(burst_at_, earliest(slot))) return;
    send(slot, now, out);
    if (periods[slot] > Duration{}) due_[slot] = now + periods[slot];
    burst_at_ = now + burst_gap_;
    if (++burst_next_ < slot_count) return;
    if (state_.phase == InverterPhase::identify) go(InverterPhase::hold);
    if (burst_again_) burst_next_ = slot_identity;
    burst_again_ = false;
}

// SAFE-091: by at least one step and one percent. Measured from what was said last, so a slow slide is told too.
bool Driver::limit_fell() const
{
    if (!limits_sent_) return false;
    const auto fell = [](std::int64_t before, std::int64_t after) { return after < before && (before - after) * 100 >= before; };
    return limits_lost_ || fell(limits_sent_->charge, limits_.charge) || fell(limits_sent_->discharge, limits_.discharge);
}

// When 0x110 may go out of its cycle. Only asked after one was sent.
Instant Driver::extra_due() const
{
    const Instant after_any = *last_[slot_limits] + limits_spacing;
    return extra_at_ ? std::max(after_any, *extra_at_ + spacing) : after_any;
}

void Driver::send_extra(Instant now, Outbox& out)
{
    if (!talking()) return;
    if (limit_fell() && now >= extra_due()) {
        send(slot_limits, now, out);
        extra_at_ = now;
    }
    const bool soc_changed = limits_sent_ && last_[slot_charge_state] && override_ != override_sent_;
    if (soc_changed && now >= earliest(slot_charge_state)) send(slot_charge_state, now, out);
}

// While a burst runs only 0x110 keeps its beat: the others come with the burst, well within their tolerance.
Instant Driver::cyclic_due(Slot slot) const
{
    if (!talking() || !due_[slot] || (bursting() && slot != slot_limits)) return end_of_time;
    return std::max(*due_[slot], earliest(slot));
}

void Driver::send_cyclic(Instant now, Outbox& out)
{
    for (std::size_t i = slot_limits; i < slot_count; ++i) {
        const auto slot = static_cast<Slot>(i);
        if (now < cyclic_due(slot)) continue;
        const Duration late = now - *due_[slot];
        send(slot, now, out);
        // The beat keeps its phase, unless that would make the next interval too short.
        due_[slot] = late > periods[slot] / 20 ? now + periods[slot] : *due_[slot] + periods[slot];
    }
}

Instant Driver::wake(Instant now) const
{
    Instant next = now + look_again;
    if (bursting()) next = std::min(next, std::max(burst_at_, earliest(static_cast<Slot>(burst_next_))));
    if (talking() && limit_fell()) next = std::min(next, extra_due());
    for (std::size_t i = slot_limits; i < slot_count; ++i) next = std::min(next, cyclic_due(static_cast<Slot>(i)));
    return std::max(next, now + 1us);
}

Instant Driver::on_tick(Instant now, const InverterView& view, Outbox& out)
{
    if (const auto w = window_steps(view.verdict, margin_, wire_step_milli)) window_ = w;
    advance(view, now);
    look(view, now);
    if (state_.phase == InverterPhase::silent) return now + look_again;
    send_cyclic(now, out);
    send_extra(now, out);
    send_burst(now, out);
    return wake(now);
}

// ---- what others must know of this driver ----

constexpr std::array<std::string_view, 2> products{"HVS", "HVM"};

// clang-format off
constexpr std::array options{
    OptionRule{"max_charge_a", OptionType::number, "50", 0, 500, {}, "highest charge limit the inverter is told, in A; some call implausible ones a fault"},
    OptionRule{"max_discharge_a", OptionType::number, "50", 0, 500, {}, "highest discharge limit the inverter is told, in A"},
    OptionRule{"modules", OptionType::integer, "0", 0, 255, {}, "number of modules shown; 0: rated energy by the size of a module, at least 2"},
    OptionRule{"window_margin_v", OptionType::number, "2.0", 0, 20, {}, "the voltage window shown is this much inside the pack's, in V"},
    OptionRule{"soc_clamp", OptionType::boolean, "false", 0, 0, {}, "show 0 % or 100 % to an inverter that goes on although its limit is 0 (Deye)"},
    OptionRule{"narrow_window", OptionType::boolean, "false", 0, 0, {}, "move the end of the window of a blocked direction to the present voltage"},
    OptionRule{"silence_on_fault", OptionType::boolean, "true", 0, 0, {}, "stop sending after a long fault, which the inverter shows as lost communication"},
    OptionRule{"burst_gap_ms", OptionType::integer, "10", 1, 20, {}, "between two frames of the identification, in ms"},
    OptionRule{"ready_s", OptionType::number, "5", 1, 60, {}, "limits stay 0 until all is well for this long, in s"},
    OptionRule{"lost_s", OptionType::number, "60", 10, 180, {}, "the inverter is lost after this long without a frame, in s; some Sungrow need 180"},
    OptionRule{"product", OptionType::choice, "HVS", 0, 0, products, "the name shown: Battery-Box Premium HVS or HVM"},
    OptionRule{"serial", OptionType::integer, "104272089", 0, 4294967295.0, {}, "serial number shown; the default is what every known emulator sends"},
};

constexpr std::array receives{RxRule{inverter_dc.id}, RxRule{inverter_soc_echo.id}, RxRule{inverter_clock.id}, RxRule{hello.id}, RxRule{inverter_alive.id}};

constexpr std::array sends{
    TxRule{.id = identity.id, .min_spacing = spacing, .period = 1s, .carries_verdict = false},
    TxRule{.id = serial_number.id, .min_spacing = spacing, .period = 1s, .carries_verdict = false},
    TxRule{.id = vendor.id, .min_spacing = spacing, .period = 1s, .carries_verdict = false},
    TxRule{.id = product.id, .min_spacing = spacing, .period = 1s, .carries_verdict = false, .paged = true},
    TxRule{.id = limits.id, .min_spacing = limits_spacing, .period = limits.period},
    TxRule{.id = charge_state.id, .min_spacing = spacing, .period = charge_state.period},
    TxRule{.id = measurements.id, .min_spacing = spacing, .period = measurements.period},
    TxRule{.id = temperatures.id, .min_spacing = spacing, .period = temperatures.period},
    TxRule{.id = counters.id, .min_spacing = spacing, .period = counters.period, .carries_verdict = false},
};

template <class Q>
std::optional<std::int64_t> milli(const Reading<Q>& r, Instant now)
{
    const auto value = r.fresh(now);
    return value ? std::optional{value->milli()} : std::nullopt;
}

// "send" is what we told, "recv" what the inverter measures; currents are positive when charging (MQTT-024, MQTT-025).
constexpr std::array values{
    InverterValue{"inverter", ValueType::temperature, 1, [](const InverterState& s, Instant now) { return milli(s.temperature, now); }},
    InverterValue{"send", ValueType::voltage, 1, [](const InverterState& s, Instant now) { return milli(s.sent_voltage, now); }},
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
    safety.inverter_link.soc_override = config.options.get<bool>("soc_clamp");
}

}  // namespace
}  // namespace byd_hvs

extern const InverterDriverInfo byd_hvs_driver;
const InverterDriverInfo byd_hvs_driver{
    .name = "byd-hvs",
    .models = "inverters set to BYD Battery-Box Premium HVS or HVM on CAN: GoodWe, Deye/Sunsynk HV, Solis HV, Sungrow SH, Afore, "
              "Ingeteam",
    .verified = Verification::replay,
    .make = [](const InverterConfig& config) -> std::unique_ptr<InverterDriver> {
        return std::make_unique<byd_hvs::Driver>(config.options);
    },
    .adjust = byd_hvs::adjust,
    .options = byd_hvs::options,
    .messages = message_views<byd_hvs::limits, byd_hvs::charge_state, byd_hvs::measurements, byd_hvs::temperatures,
        byd_hvs::counters, byd_hvs::identity, byd_hvs::serial_number, byd_hvs::vendor, byd_hvs::product, byd_hvs::hello,
        byd_hvs::inverter_dc, byd_hvs::inverter_soc_echo, byd_hvs::inverter_clock, byd_hvs::inverter_alive>,
    .receives = byd_hvs::receives,
    .sends = byd_hvs::sends,
    .values = byd_hvs::values,
};

}  // namespace batgw
