// BYD Blade LFP packs out of cars (Atto 3, Dolphin, Seal and relatives), kept awake and closed by playing the car. Layout and
// sources: byd_atto3_layout.hpp and docs/protocols/byd-atto3.md. Never tried on a real pack by us.
#include "battery/byd_atto3_contactors.hpp"
#include "battery/byd_atto3_diagnostics.hpp"
#include "battery/byd_atto3_layout.hpp"
#include "battery/byd_atto3_pages.hpp"
#include "battery/values.hpp"
#include "model/chemistry.hpp"
#include "model/driver.hpp"

#include <algorithm>
#include <array>
#include <string>

namespace batgw {
namespace byd_atto3 {
namespace {

constexpr Duration alive_time = 10s;
// Of the two voltages: younger than the age limit of the reading they end in, so that one can step in for the other without a
// gap.
constexpr Duration coarse_age = 1s, fine_age = 1500ms;
constexpr Voltage voltages_agree = 5_V;
constexpr unsigned health_votes = 10;  // equal ones in a row: single wrong ones have been seen
constexpr std::int64_t ambient_on_page = 1;
constexpr Voltage cell_nominal = 3200_mV;

constexpr std::array alive_only{alive_244.id, alive_286.id, alive_334.id, alive_338.id, alive_34a.id, alive_360.id, alive_43b.id,
    alive_445.id, alive_47b.id, alive_524.id, charging.id, identity.id};

// What a pack of so many cells is built for. 104 and 126 as published, others in proportion.
struct Window {
    Voltage max, min;
};
constexpr Window design_window(unsigned cells)
{
    if (cells == 126) return {441_V, 380_V};
    if (cells == 104) return {364_V, 313.6_V};
    return {3500_mV * cells, 3020_mV * cells};
}

class Driver final : public BatteryDriver {
public:
    explicit Driver(const BatterySetup& setup);

    Heard on_frame(const CanFrame& frame, Instant at) override;
    Instant on_tick(Instant now, const Orders& orders, Outbox& out) override;
    PackFacts facts() const override;

private:
    Heard decode(const CanFrame& frame, Instant at);
    Heard on_measurements(const CanFrame& frame, Instant at);
    Heard on_voltage(const CanFrame& frame, Instant at);
    bool take_fine(Instant at);
    Heard on_limits(const CanFrame& frame, Instant at);
    Heard on_cell_extremes(const CanFrame& frame, Instant at);
    Heard on_temperature_extremes(const CanFrame& frame, Instant at);
    Heard on_insulation(const CanFrame& frame, Instant at);
    Heard on_outside(const CanFrame& frame, Instant at);
    Heard on_ambient(const CanFrame& frame, Instant at);
    void refuse(std::uint32_t id, Instant at);
    void refuse_measurements(Instant at);
    void vote_on_health(std::optional<Percent> value, Instant at);
    bool plausible(Voltage pack) const;
    void report(Instant now);
    std::optional<unsigned> cell_count() const { return state_.cell_count ? state_.cell_count : cells_configured_; }

    std::optional<unsigned> cells_configured_;
    std::optional<Energy> capacity_configured_;
    std::optional<Voltage> voltage_max_configured_, voltage_min_configured_;
    ContactorTalk contactors_;
    Diagnostics diagnostics_;
    CellPages cells_;
    SensorPages sensors_;
    Reading<Voltage> coarse_{coarse_age}, fine_{fine_age};
    std::uint32_t fine_taken_ = 0;
    std::optional<Percent> health_seen_;
    unsigned health_votes_ = 0;
    unsigned codes_reported_ = 0;
    bool reported_closed_ = false;
};

Driver::Driver(const BatterySetup& setup)
    : cells_configured_{setup.config.cells},
      capacity_configured_{setup.config.capacity},
      voltage_max_configured_{setup.config.voltage_max},
      voltage_min_configured_{setup.config.voltage_min},
      contactors_{setup.contactor_mode.value_or(ContactorMode::bms_command) != ContactorMode::none},
      diagnostics_{setup.config.options.get<std::string>("diagnostic_reply_id") == "0x789" ? diagnostic_reply_tang.id
                                                                                           : diagnostic_reply.id,
          setup.config.options.get<bool>("diagnostic_polls")}
{
    set_ages(setup.ages);
    state_.phase = contactors_.phase();
    state_.diagnostic_soc.set_max_age(Diagnostics::quick_age);
    state_.diagnostic_voltage.set_max_age(Diagnostics::quick_age);
    state_.diagnostic_current.set_max_age(Diagnostics::quick_age);
    state_.diagnostic_charge_limit.set_max_age(Diagnostics::quick_age);
    state_.diagnostic_discharge_limit.set_max_age(Diagnostics::quick_age);
    for (auto* r : {&state_.charge_in, &state_.charge_out, &state_.charge_full}) r->set_max_age(Diagnostics::slow_age);
    for (auto* r : {&state_.energy_in, &state_.energy_out}) r->set_max_age(Diagnostics::slow_age);
    for (auto* r : {&state_.cycles, &state_.sessions}) r->set_max_age(Diagnostics::slow_age);
    state_.soh.set_max_age(Diagnostics::slow_age);
}

Heard Driver::on_frame(const CanFrame& frame, Instant at)
{
    if (frame.extended) return Heard::not_mine;
    const ChecksumRule rule = checksum_rule(frame.id);
    const bool is_reply = frame.id == diagnostics_.reply_id();
    const bool known =
        is_reply || rule != ChecksumRule::none || std::find(alive_only.begin(), alive_only.end(), frame.id) != alive_only.end();
    if (!known) return Heard::not_mine;
    if (frame.len != 8) return Heard::bad_length;
    const bool wrong_sum = rule != ChecksumRule::none && !checksum_right(frame);
    if (wrong_sum && rule == ChecksumRule::must_pass) {
        refuse(frame.id, at);
        return Heard::bad_checksum;
    }
    // Answers are no sign of life: a pack that has stopped telling its state by itself is lost, however politely it answers.
    if (is_reply) return diagnostics_.on_frame(frame, at, state_);
    const Heard heard = decode(frame, at);
    if (heard == Heard::implausible) refuse(frame.id, at);
    if (heard != Heard::used) return heard;
    state_.heard = at;
    state_.silent_start = false;
    return wrong_sum ? Heard::bad_checksum : heard;
}

Heard Driver::decode(const CanFrame& frame, Instant at)
{
    switch (frame.id) {
    case measurements.id: return on_measurements(frame, at);
    case voltage_frame.id: return on_voltage(frame, at);
    case limits.id: return on_limits(frame, at);
    case cell_extremes.id: return on_cell_extremes(frame, at);
    case temperature_extremes.id: return on_temperature_extremes(frame, at);
    case insulation_frame.id: return on_insulation(frame, at);
    case outside_frame.id: return on_outside(frame, at);
    case ambient_frame.id: return on_ambient(frame, at);
    case contactors.id: contactors_.on_feedback(frame, at, state_); break;
    case cell_voltages.id: cells_.on_page(frame, at, cells_configured_, state_); break;
    case sensor_temperatures.id: sensors_.on_page(frame, at, state_); break;
    default: break;  // a sign of life
    }
    return Heard::used;
}

Heard Driver::on_measurements(const CanFrame& frame, Instant at)
{
    const auto pack = voltage_coarse(frame);
    const auto flow = current(frame);
    if (!pack || !flow || !plausible(*pack)) return Heard::implausible;
    coarse_.set(*pack, at);
    if (!take_fine(at)) state_.voltage.set(*pack, at, measurements.id);
    state_.current.set(*flow, at, measurements.id);
    vote_on_health(health(frame), at);
    if (const auto s = soc_coarse(frame)) state_.diagnostic_soc.set(*s, at, measurements.id);
    contactors_.on_current(at, state_);
    return Heard::used;
}

// On relatives of the pack these bytes are something else, so only together with the coarse one.
Heard Driver::on_voltage(const CanFrame& frame, Instant at)
{
    const auto pack = voltage_fine(frame);
    if (!pack) return Heard::implausible;
    fine_.set(*pack, at);
    take_fine(at);
    return Heard::used;
}

// False: the coarse one has to do.
bool Driver::take_fine(Instant at)
{
    const auto fine = fine_.fresh(at), coarse = coarse_.fresh(at);
    if (!fine || !coarse || magnitude(*fine - *coarse) > voltages_agree) return false;
    const bool taken = fine_taken_ == fine_.samples() && state_.voltage.source() == voltage_frame.id;
    if (!taken) state_.voltage.set(*fine, fine_.at(), voltage_frame.id);
    fine_taken_ = fine_.samples();
    return true;
}

// SAFE-025: not a quarter beyond what the pack is built for. Also keeps nonsense out of the voltage that we report back to the
// pack.
bool Driver::plausible(Voltage pack) const
{
    const auto cells = cell_count();
    if (!cells) return true;
    const Window window = design_window(*cells);
    return pack >= share(75_pct, window.min) && pack <= share(125_pct, window.max);
}

void Driver::vote_on_health(std::optional<Percent> value, Instant at)
{
    health_votes_ = value && value == health_seen_ ? std::min(health_votes_ + 1, health_votes) : 1;
    health_seen_ = value;
    if (value && health_votes_ >= health_votes) state_.soh.set(*value, at, measurements.id);
}

Heard Driver::on_limits(const CanFrame& frame, Instant at)
{
    const auto in = charge_limit(frame), out = discharge_limit(frame);
    if (!in || !out) return Heard::implausible;
    state_.charge_limit.set(*in, at, limits.id);
    state_.discharge_limit.set(*out, at, limits.id);
    return Heard::used;
}

Heard Driver::on_cell_extremes(const CanFrame& frame, Instant at)
{
    const auto low = cell_min(frame), high = cell_max(frame);
    if (!low || !high) return Heard::implausible;
    state_.cell_voltage_min.set(*low, at, cell_extremes.id);
    state_.cell_voltage_max.set(*high, at, cell_extremes.id);
    if (const auto n = lowest_cell(frame)) state_.cell_min_number.set(Count::from_milli(*n * 1000), at, cell_extremes.id);
    if (const auto n = highest_cell(frame)) state_.cell_max_number.set(Count::from_milli(*n * 1000), at, cell_extremes.id);
    return Heard::used;
}

Heard Driver::on_temperature_extremes(const CanFrame& frame, Instant at)
{
    const auto low = temperature_min(frame), high = temperature_max(frame);
    const auto charge = soc(frame);
    if (!low || !high || !charge) return Heard::implausible;
    state_.temperature_min.set(*low, at, temperature_extremes.id);
    state_.temperature_max.set(*high, at, temperature_extremes.id);
    state_.soc.set(*charge, at, temperature_extremes.id);
    if (const auto t = temperature_avg(frame)) state_.temperature_avg.set(*t, at, temperature_extremes.id);
    return Heard::used;
}

Heard Driver::on_insulation(const CanFrame& frame, Instant at)
{
    const auto value = insulation(frame);
    if (!value) return Heard::implausible;
    state_.insulation.set(*value, at, insulation_frame.id);
    return Heard::used;
}

// The voltage is a guess of others that fits three samples: shown, and nothing else.
Heard Driver::on_outside(const CanFrame& frame, Instant at)
{
    state_.insulation_measured.set(monitor_runs(frame), at, outside_frame.id);
    if (const auto v = outside(frame))
        state_.link_voltage.set(*v, at, outside_frame.id);
    else
        state_.link_voltage.refuse();
    return Heard::used;
}

Heard Driver::on_ambient(const CanFrame& frame, Instant at)
{
    if (read_raw(frame, ambient_page.bits) != ambient_on_page) return Heard::used;
    const auto t = ambient(frame);
    if (!t) return Heard::implausible;
    state_.temperature_ambient.set(*t, at, ambient_frame.id);
    return Heard::used;
}

// A frame came and was wrong: what it carries loses standing (SAFE-024, SAFE-025).
void Driver::refuse(std::uint32_t id, Instant at)
{
    switch (id) {
    case measurements.id: refuse_measurements(at); break;
    case voltage_frame.id: fine_.refuse(); break;
    case limits.id:
        state_.charge_limit.refuse();
        state_.discharge_limit.refuse();
        break;
    case cell_extremes.id:
        state_.cell_voltage_min.refuse();
        state_.cell_voltage_max.refuse();
        break;
    case temperature_extremes.id:
        for (auto* r : {&state_.temperature_min, &state_.temperature_max, &state_.temperature_avg}) r->refuse();
        state_.soc.refuse();
        break;
    case insulation_frame.id: state_.insulation.refuse(); break;
    case outside_frame.id:
        state_.link_voltage.refuse();
        state_.insulation_measured.refuse();
        break;
    case sensor_temperatures.id: state_.temperatures.refuse(); break;
    case ambient_frame.id: state_.temperature_ambient.refuse(); break;
    }
}

void Driver::refuse_measurements(Instant at)
{
    coarse_.refuse();
    state_.current.refuse();
    // The fine voltage must not outlive the coarse one, which vouches for it.
    do state_.voltage.refuse();
    while (coarse_.quality(at) == Quality::bad && state_.voltage.quality(at) != Quality::bad);
}

Instant Driver::on_tick(Instant now, const Orders& orders, Outbox& out)
{
    const unsigned failures = state_.close_failures;
    const Instant next = contactors_.on_tick(now, orders, state_, out);
    if (state_.close_failures != failures) diagnostics_.read_codes();
    const bool awake = state_.heard && now - *state_.heard <= alive_time && !contactors_.listening();
    const Instant asking = diagnostics_.on_tick(now, awake, out);
    report(now);
    return std::min(next, asking);
}

void Driver::report(Instant now)
{
    const bool closed = state_.phase == ContactorPhase::closed || state_.contactor.fresh(now) == ContactorFeedback::closed;
    if (closed == reported_closed_ && codes_reported_ == diagnostics_.codes_read()) return;
    reported_closed_ = closed;
    codes_reported_ = diagnostics_.codes_read();
    report_codes(diagnostics_.codes(), closed, state_.reported);
}

PackFacts Driver::facts() const
{
    PackFacts f;
    f.cells = cell_count();
    f.energy_rated = capacity_configured_;
    f.voltage_max = voltage_max_configured_;
    f.voltage_min = voltage_min_configured_;
    if (f.cells) {
        const Window window = design_window(*f.cells);
        f.voltage_max = std::min(f.voltage_max.value_or(window.max), window.max);
        f.voltage_min = std::max(f.voltage_min.value_or(window.min), window.min);
        const auto built = diagnostics_.built_capacity();
        if (!f.energy_rated && built) f.energy_rated = cell_nominal * *f.cells * *built;
    }
    if (f.voltage_max && f.voltage_min) f.voltage_nominal = (*f.voltage_max + *f.voltage_min) / 2;
    return f;
}

// The pack's own numbers (LFP) over those of the chemistry. The charge curve still ends at 3.600 V: beyond it nothing is granted,
// and the block at 3.650 V is what remains when a cell runs on.
void adjust(const BatteryConfig& config, SafetyConfig& safety)
{
    if (config.chemistry == Chemistry::lfp) {
        SafetyConfig::Cell& c = safety.cell;
        c.block_high = 3650_mV;
        c.trip_high = 3750_mV;
        c.block_low = 2800_mV;
        c.trip_low = 2700_mV;
        c.deviation_warn = 90_mV;
        c.deviation_derate_from = 150_mV;
        c.deviation_derate_to = 230_mV;
        c.deviation_block = 230_mV;
    }
    // Beyond 50 degrees the known controllers of this pack end both directions; the general curve would still discharge.
    safety.temperature.discharge_curve =
        make_curve({{-20'000, 0}, {-10'000, 250}, {0, 600}, {10'000, 1000}, {45'000, 1000}, {50'000, 0}});
    safety.link_lost_open = 10s;
    SafetyConfig::Contactors& k = safety.contactors;
    k.attempts = 2;  // precharge resistors are not made for more; then a person
    k.cooldown = 60s;
    k.close_total = ContactorTalk::close_time;
    k.open_current = ContactorTalk::idle_current;
    k.open_min_wait = 5s;
    k.open_max_wait = 10s;
    k.link_synthetic = true;
}

using battery_values::cell_delta;
using battery_values::kilo_milli;
using battery_values::milli;

// clang-format off
// Keys, units and decimals that users of dgwynne/batgw know (MQTT-024).
constexpr std::array values{
    BatteryValue{"ambient",       ValueType::temperature, 0, milli<&BatteryState::temperature_ambient>},
    BatteryValue{"",              ValueType::voltage,     0, milli<&BatteryState::voltage>},
    BatteryValue{"soc",           ValueType::percent,     1, milli<&BatteryState::soc>},
    BatteryValue{"pid-soc",       ValueType::percent,     0, milli<&BatteryState::diagnostic_soc>},
    BatteryValue{"pid",           ValueType::voltage,     0, milli<&BatteryState::diagnostic_voltage>},
    BatteryValue{"pid",           ValueType::current,     1, milli<&BatteryState::diagnostic_current>},
    BatteryValue{"min",           ValueType::temperature, 0, milli<&BatteryState::temperature_min>},
    BatteryValue{"max",           ValueType::temperature, 0, milli<&BatteryState::temperature_max>},
    BatteryValue{"avg",           ValueType::temperature, 0, milli<&BatteryState::temperature_avg>},
    BatteryValue{"cell-min",      ValueType::voltage,     3, milli<&BatteryState::cell_voltage_min>},
    BatteryValue{"cell-max",      ValueType::voltage,     3, milli<&BatteryState::cell_voltage_max>},
    BatteryValue{"cell-delta",    ValueType::voltage,     3, cell_delta},
    BatteryValue{"max-discharge", ValueType::power,       0, milli<&BatteryState::discharge_limit>},
    BatteryValue{"max-charge",    ValueType::power,       0, milli<&BatteryState::charge_limit>},
    BatteryValue{"charge-count",  ValueType::count,       0, milli<&BatteryState::sessions>},
    BatteryValue{"charged",       ValueType::amphour,     0, milli<&BatteryState::charge_in>},
    BatteryValue{"discharged",    ValueType::amphour,     0, milli<&BatteryState::charge_out>},
    BatteryValue{"charged",       ValueType::energy,      0, kilo_milli<&BatteryState::energy_in>},
    BatteryValue{"discharged",    ValueType::energy,      0, kilo_milli<&BatteryState::energy_out>},
};
// clang-format on

constexpr std::array<std::string_view, 2> reply_ids{"0x7EF", "0x789"};
constexpr std::array options{
    OptionRule{.name = "diagnostic_reply_id",
        .type = OptionType::choice,
        .default_text = "0x7EF",
        .choices = reply_ids,
        .help = "CAN id on which the pack answers diagnostic questions; 0x789 is reported for the Tang"},
    OptionRule{.name = "diagnostic_polls",
        .type = OptionType::boolean,
        .default_text = "true",
        .help =
            "false: asks for trouble codes only; counters and the pid topics are then missing, and capacity_wh must be written"},
};

constexpr std::array receives{
    RxRule{measurements.id},
    RxRule{voltage_frame.id},
    RxRule{contactors.id},
    RxRule{limits.id},
    RxRule{cell_extremes.id},
    RxRule{temperature_extremes.id},
    RxRule{insulation_frame.id},
    RxRule{outside_frame.id},
    RxRule{sensor_temperatures.id},
    RxRule{cell_voltages.id},
    RxRule{ambient_frame.id},
    RxRule{charging.id},
    RxRule{identity.id},
    RxRule{alive_244.id},
    RxRule{alive_286.id},
    RxRule{alive_334.id},
    RxRule{alive_338.id},
    RxRule{alive_34a.id},
    RxRule{alive_360.id},
    RxRule{alive_43b.id},
    RxRule{alive_445.id},
    RxRule{alive_47b.id},
    RxRule{alive_524.id},
    RxRule{diagnostic_reply.id},
    RxRule{diagnostic_reply_tang.id},
};

// Requests and flow control differ in their first byte and have a slot each.
constexpr std::array sends{
    TxRule{.id = power_mode.id, .min_spacing = 20ms, .period = power_mode.period},
    TxRule{.id = link_report.id, .min_spacing = 40ms, .period = link_report.period},
    TxRule{.id = diagnostic_request.id,
        .min_spacing = 40ms,
        .period = Diagnostics::spacing,
        .carries_verdict = false,
        .paged = true},
};

constexpr BatteryProfile make_profile()
{
    BatteryProfile p{.chemistry = Chemistry::lfp,
        .contactor_mode = ContactorMode::bms_command,
        .verified = Verification::replay,
        .states_limits = true,
        .states_contactor = true,
        .wants_cell_count = true};
    const auto provide = [&p](SignalId id, Duration period, Duration max_age) { p.signals[index(id)] = {true, period, max_age}; };
    provide(SignalId::contactor, contactors.period, 3s);
    provide(SignalId::current, measurements.period, 1s);
    // Without it nothing tells whether the limits are obeyed: it ends both directions like the limits and the voltage themselves.
    p.signals[index(SignalId::current)].at_once = true;
    provide(SignalId::voltage, measurements.period, 2s);
    provide(SignalId::cell_voltage_max, cell_extremes.period, 5s);
    provide(SignalId::cell_voltage_min, cell_extremes.period, 5s);
    provide(SignalId::charge_limit, limits.period, 1s);
    provide(SignalId::discharge_limit, limits.period, 1s);
    provide(SignalId::temperature_min, temperature_extremes.period, 5s);
    provide(SignalId::temperature_max, temperature_extremes.period, 5s);
    provide(SignalId::soc, temperature_extremes.period, 5s);
    p.signals[index(SignalId::link_voltage)].max_age = 1s;  // a guess: shown while it is that young, and not promised
    provide(SignalId::insulation, insulation_frame.period, 60s);
    provide(SignalId::cells, cell_voltages.period, 60s);
    provide(SignalId::temperatures, sensor_temperatures.period, 60s);
    return p;
}

}  // namespace
}  // namespace byd_atto3

extern const BatteryDriverInfo byd_atto3_driver;
const BatteryDriverInfo byd_atto3_driver{
    .name = "byd-atto3",
    .models = "BYD Blade packs with the 19-pin plug: Atto 3 (standard, extended), Seal; untried: Dolphin, Song Plus, Seal U",
    .profile = byd_atto3::make_profile(),
    .make = [](const BatterySetup& setup) -> std::unique_ptr<BatteryDriver> {
        return std::make_unique<byd_atto3::Driver>(setup);
    },
    .adjust = byd_atto3::adjust,
    .options = byd_atto3::options,
    .messages = message_views<byd_atto3::measurements, byd_atto3::voltage_frame, byd_atto3::contactors, byd_atto3::limits,
        byd_atto3::cell_extremes, byd_atto3::temperature_extremes, byd_atto3::insulation_frame, byd_atto3::outside_frame,
        byd_atto3::sensor_temperatures, byd_atto3::cell_voltages, byd_atto3::ambient_frame, byd_atto3::charging,
        byd_atto3::identity, byd_atto3::alive_244, byd_atto3::alive_286, byd_atto3::alive_334, byd_atto3::alive_338,
        byd_atto3::alive_34a, byd_atto3::alive_360, byd_atto3::alive_43b, byd_atto3::alive_445, byd_atto3::alive_47b,
        byd_atto3::alive_524, byd_atto3::power_mode, byd_atto3::link_report, byd_atto3::diagnostic_request,
        byd_atto3::diagnostic_reply, byd_atto3::diagnostic_reply_tang>,
    .receives = byd_atto3::receives,
    .sends = byd_atto3::sends,
    .values = byd_atto3::values,
    .cell_key = "cell",
    .sensor_key = "pack",
};

}  // namespace batgw
