// Deye low-voltage packs and towers of them, on the CAN of the PCS port: they tell by themselves, and switch themselves. Layout
// and sources: deye_layout.hpp and docs/protocols/deye.md. Nothing is sent to the pack, unless a heartbeat is configured. Never
// tried on a real pack by us.
#include "battery/deye_alarms.hpp"
#include "battery/deye_layout.hpp"
#include "battery/deye_rules.hpp"
#include "battery/deye_tower.hpp"
#include "battery/values.hpp"
#include "model/driver.hpp"

#include <algorithm>
#include <array>

namespace batgw {
namespace deye {
namespace {

constexpr Duration one_second_age = Tower::one_second_age;
constexpr Duration step_in = 2100ms;  // without 0x361 for so long the modules' own extremes count
constexpr Duration look_every = 100ms;
constexpr Current signs_tell = 3_A;  // above it the modules' currents must agree with the total in their direction

// What the pack protects itself at; what it asks for (57.6 or 58.4 V) lies inside.
constexpr Voltage cell_high = 3650_mV, cell_low = 2800_mV, cell_target = 3600_mV, cell_nominal = 3200_mV;

class Driver final : public BatteryDriver {
public:
    explicit Driver(const BatterySetup& setup);

    Heard on_frame(const CanFrame& frame, Instant at) override;
    Instant on_tick(Instant now, const Orders& orders, Outbox& out) override;
    PackFacts facts() const override;

private:
    Heard decode(const CanFrame& frame, Instant at);
    Heard on_system(const CanFrame& frame, Instant at);
    Heard take_system(const CanFrame& frame, Instant at);
    Heard on_limits(const CanFrame& frame, Instant at);
    Heard on_limits_grid(const CanFrame& frame, Instant at);
    Heard on_charge_state(const CanFrame& frame, Instant at);
    Heard on_measurements(const CanFrame& frame, Instant at);
    Heard on_alarms(const CanFrame& frame, Instant at);
    Heard on_requests(const CanFrame& frame, Instant at);
    Heard on_identity(const CanFrame& frame, Instant at);
    Heard on_extremes(const CanFrame& frame, Instant at);
    Heard on_counts(const CanFrame& frame, Instant at);
    Heard on_module(const CanFrame& frame, Instant at);
    void take_current(const CanFrame& frame, Current amps, Instant at);
    void publish_limits(std::uint32_t source, Instant at);
    void publish_permissions(Instant at);
    void complain(Instant now);
    std::optional<unsigned> cell_count() const { return state_.cell_count ? state_.cell_count : cells_configured_; }

    std::optional<unsigned> cells_configured_;
    std::optional<Energy> capacity_configured_;
    std::optional<Voltage> voltage_max_configured_, voltage_min_configured_;
    bool heartbeat_wanted_;

    ProfileWatch profile_;
    DeclaredLimit charge_, discharge_, charge_grid_, discharge_grid_;
    Tower tower_;
    AlarmMemory alarms_, alarms_pylontech_;
    Complaints complaints_;
    std::optional<Instant> extremes_at_;  // of 0x361
    std::optional<Charge> capacity_;
    bool requests_alive_ = false;  // 0x35C was not all zeros once
    struct Word {                  // what a frame says of the permissions
        bool charge = true, discharge = true;
        std::optional<Instant> at;
    };
    Word requested_, counted_, switched_;
    std::optional<Instant> lost_at_;  // 0x364 last told of a lost module

    Every look_{look_every};
    std::optional<Instant> beat_at_;  // the next 0x305
};

Driver::Driver(const BatterySetup& setup)
    : cells_configured_{setup.config.cells},
      capacity_configured_{setup.config.capacity},
      voltage_max_configured_{setup.config.voltage_max},
      voltage_min_configured_{setup.config.voltage_min},
      heartbeat_wanted_{setup.config.options.get<bool>("heartbeat")}
{
    set_ages(setup.ages);
    for (auto* r : {&state_.soh, &state_.soc}) r->set_max_age(one_second_age);
    state_.cycles.set_max_age(one_second_age);
    state_.charge_full.set_max_age(one_second_age);
    for (auto* r : {&state_.energy_in, &state_.energy_out}) r->set_max_age(Tower::slow_age);
}

Heard Driver::on_frame(const CanFrame& frame, Instant at)
{
    if (frame.extended) return Heard::not_mine;
    if (frame.id == heartbeat.id) {
        beat_at_ = after(at, Duration{5s});  // somebody else does it
        if (frame.len != heartbeat.len) return Heard::bad_length;
        return Heard::used;
    }
    const Heard heard = decode(frame, at);
    if (heard == Heard::used) state_.heard = at;
    return heard;
}

Heard Driver::decode(const CanFrame& frame, Instant at)
{
    const bool is_system = std::find(system_ids.begin(), system_ids.end(), frame.id) != system_ids.end();
    if (!is_system && !row_of(frame.id)) return Heard::not_mine;
    if (frame.len != 8) return Heard::bad_length;
    return is_system ? on_system(frame, at) : on_module(frame, at);
}

Heard Driver::on_system(const CanFrame& frame, Instant at)
{
    const Heard heard = take_system(frame, at);
    if (heard != Heard::used) return heard;  // what is dropped tells nothing
    switch (frame.id) {
    case alarms.id:
    case requests.id:
    case extremes.id:
    case versions.id:
    case counts.id: profile_.hear(Profile::native, at); break;
    case alarms_victron.id:
    case identity_victron.id: profile_.hear(Profile::victron, at); break;
    default: break;
    }
    return heard;
}

Heard Driver::take_system(const CanFrame& frame, Instant at)
{
    switch (frame.id) {
    case limits.id: return on_limits(frame, at);
    case limits_grid.id: return on_limits_grid(frame, at);
    case charge_state.id: return on_charge_state(frame, at);
    case measurements.id: return on_measurements(frame, at);
    case alarms.id: return on_alarms(frame, at);
    case requests.id: return on_requests(frame, at);
    case identity.id:
    case identity_victron.id: return on_identity(frame, at);
    case extremes.id: return on_extremes(frame, at);
    case counts.id: return on_counts(frame, at);
    default: return Heard::used;  // a sign of life
    }
}

// What it asks for may be missing without harm, what it allows may not.
Heard Driver::on_limits(const CanFrame& frame, Instant at)
{
    const auto in = charge_limit(frame), out = discharge_limit(frame);
    if (!in || !out) {
        state_.charge_limit_current.refuse();
        state_.discharge_limit_current.refuse();
        return Heard::implausible;
    }
    charge_.hear(*in, at);
    discharge_.hear(*out, at);
    publish_limits(limits.id, at);
    const auto upper = charge_voltage(frame), lower = discharge_voltage(frame);
    if (!upper || !lower || *lower >= *upper) {
        state_.charge_voltage_wanted.refuse();
        state_.discharge_voltage_wanted.refuse();
        return Heard::implausible;
    }
    state_.charge_voltage_wanted.set(*upper, at, limits.id);
    state_.discharge_voltage_wanted.set(*lower, at, limits.id);
    return Heard::used;
}

Heard Driver::on_limits_grid(const CanFrame& frame, Instant at)
{
    const auto in = charge_limit_grid(frame), out = discharge_limit_grid(frame);
    if (!in || !out) {
        state_.charge_limit_current.refuse();
        state_.discharge_limit_current.refuse();
        return Heard::implausible;
    }
    profile_.hear(Profile::native, at);  // before it is asked for
    charge_grid_.hear(*in, at);
    discharge_grid_.hear(*out, at);
    publish_limits(limits_grid.id, at);
    return Heard::used;
}

// The lower of both frames, as old as the older. Where 0x371 is not sent it does not count; where it was and fell silent, neither
// limit is known any more.
void Driver::publish_limits(std::uint32_t source, Instant at)
{
    if (profile_.known(at) == Profile::victron) {
        charge_grid_.forget();
        discharge_grid_.forget();
    }
    const auto publish = [&](const DeclaredLimit& own, const DeclaredLimit& grid, Reading<Current>& reading) {
        if (!own.value() || (grid.ever() && !grid.value())) return;
        if (!grid.ever()) {
            reading.set(*own.value(), own.at(), limits.id);
            return;
        }
        reading.set(std::min(*own.value(), *grid.value()), std::min(own.at(), grid.at()), source);
    };
    publish(charge_, charge_grid_, state_.charge_limit_current);
    publish(discharge_, discharge_grid_, state_.discharge_limit_current);
}

Heard Driver::on_charge_state(const CanFrame& frame, Instant at)
{
    const auto charge = soc(frame), health = soh(frame);
    if (!charge || !health) {
        state_.soc.refuse();
        state_.soh.refuse();
        return Heard::implausible;
    }
    state_.soc.set(*charge, at, charge_state.id);
    state_.soh.set(*health, at, charge_state.id);
    return Heard::used;
}

Heard Driver::on_measurements(const CanFrame& frame, Instant at)
{
    const auto volts = voltage(frame);
    const auto profile = profile_.known(at);
    const auto amps = profile == Profile::victron ? current_victron(frame) : current_native(frame);
    const auto mean = temperature(frame);
    if (!volts || !amps || !mean) {
        state_.voltage.refuse();
        state_.current.refuse();
        state_.temperature_avg.refuse();
        return Heard::implausible;
    }
    state_.voltage.set(*volts, at, measurements.id);
    state_.temperature_avg.set(*mean, at, measurements.id);
    if (profile) take_current(frame, *amps, at);
    return Heard::used;
}

// The modules' currents have the same sign in both profiles: a total that flows the other way was read with the wrong one. Once
// may be a matter of different instants, five times running is a fault.
void Driver::take_current(const CanFrame& frame, Current amps, Instant at)
{
    const auto modules = tower_.current(state_, at);
    const bool both_flow = modules && magnitude(*modules) > signs_tell && magnitude(amps) > signs_tell;
    if (both_flow && (*modules > Current{}) != (amps > Current{}))
        state_.current.refuse();
    else
        state_.current.set(amps, at, frame.id);
}

Heard Driver::on_alarms(const CanFrame& frame, Instant at)
{
    if (is_pylontech_layout(frame)) {
        if (!pylontech_modules(frame)) return Heard::implausible;
        alarms_.hear(0, at);
        alarms_pylontech_.hear(static_cast<AlarmBits>(read_raw(frame, le(0, pylontech_count))), at);
    } else {
        alarms_.hear(static_cast<AlarmBits>(read_raw(frame, all_tables)), at);
        alarms_pylontech_.hear(0, at);
    }
    complain(at);
    return Heard::used;
}

// Zeros that never were anything else are old firmware, which has no opinion.
Heard Driver::on_requests(const CanFrame& frame, Instant at)
{
    const bool in = charge_enabled(frame), out = discharge_enabled(frame);
    if (in || out) requests_alive_ = true;
    if (!requests_alive_) return Heard::used;
    requested_ = {.charge = in, .discharge = out, .at = at};
    state_.charge_requested.set(charge_forced_1(frame) || charge_forced_2(frame), at, requests.id);
    state_.full_charge_requested.set(full_charge_wanted(frame), at, requests.id);
    publish_permissions(at);
    return Heard::used;
}

Heard Driver::on_identity(const CanFrame& frame, Instant at)
{
    const bool is_victron_frame = frame.id == identity_victron.id;
    const std::int64_t name = read_raw(frame, maker.bits);
    const bool pylon = name == maker_victron && read_raw(frame, pack_number.bits) == pack_number_victron;
    if (!is_victron_frame && name != maker_native && !pylon) return Heard::implausible;
    const auto built = is_victron_frame ? capacity_victron(frame) : capacity(frame);
    if (!built) {
        state_.charge_full.refuse();
        return Heard::implausible;
    }
    if (!is_victron_frame) profile_.hear(pylon ? Profile::victron : Profile::native, at);
    capacity_ = *built;
    state_.charge_full.set(*built, at, frame.id);
    return Heard::used;
}

Heard Driver::on_extremes(const CanFrame& frame, Instant at)
{
    const auto high = cell_max(frame), low = cell_min(frame);
    const auto hot = temperature_max(frame), cold = temperature_min(frame);
    if (!high || !low || !hot || !cold || *low > *high || *cold > *hot) {
        state_.cell_voltage_min.refuse();
        state_.cell_voltage_max.refuse();
        state_.temperature_min.refuse();
        state_.temperature_max.refuse();
        return Heard::implausible;
    }
    extremes_at_ = at;
    state_.cell_voltage_min.set(*low, at, extremes.id);
    state_.cell_voltage_max.set(*high, at, extremes.id);
    state_.temperature_min.set(*cold, at, extremes.id);
    state_.temperature_max.set(*hot, at, extremes.id);
    return Heard::used;
}

Heard Driver::on_counts(const CanFrame& frame, Instant at)
{
    const auto normal = modules_normal(frame), no_charge = modules_no_charge(frame), no_discharge = modules_no_discharge(frame);
    const auto lost = modules_lost(frame), parallel = modules_parallel(frame);
    if (!normal || !no_charge || !no_discharge || !lost || !parallel) return Heard::implausible;
    if (std::max({*normal, *no_charge, *no_discharge}) > *parallel) return Heard::implausible;
    counted_ = {.charge = *no_charge < *parallel, .discharge = *no_discharge < *parallel, .at = at};
    if (*lost > 0) lost_at_ = at;
    publish_permissions(at);
    return Heard::used;
}

Heard Driver::on_module(const CanFrame& frame, Instant at)
{
    const Heard heard = tower_.on_frame(frame, at, state_);
    if (heard != Heard::used) return heard;
    const bool alone = !extremes_at_ || at - *extremes_at_ > step_in;
    if (row_of(frame.id) == module_extremes.id) {
        if (const auto e = tower_.take_extremes(state_); e && alone) {
            state_.cell_voltage_min.set(e->cell_min, e->at, e->source);
            state_.cell_voltage_max.set(e->cell_max, e->at, e->source);
            state_.temperature_min.set(e->temperature_min, e->at, e->source);
            state_.temperature_max.set(e->temperature_max, e->at, e->source);
        }
    }
    if (row_of(frame.id) == module_alarms.id) {
        complain(at);
        if (const auto s = tower_.take_switches(state_)) {
            switched_ = {.charge = s->charge, .discharge = s->discharge, .at = s->at};
            publish_permissions(at);
        }
    }
    return heard;
}

// The switches themselves are what counts, and every word against it. As old as the switches: nothing else keeps it fresh.
void Driver::publish_permissions(Instant at)
{
    if (!switched_.at) return;
    const auto young = [at](const Word& w) { return w.at && at - *w.at <= one_second_age; };
    bool in = switched_.charge, out = switched_.discharge;
    for (const Word* w : {&requested_, &counted_}) {
        if (!young(*w)) continue;
        in = in && w->charge;
        out = out && w->discharge;
    }
    state_.charge_allowed.set(in, *switched_.at, module_alarms.id);
    state_.discharge_allowed.set(out, *switched_.at, module_alarms.id);
}

void Driver::complain(Instant now)
{
    const auto young = [now](const std::optional<Instant>& when) { return when && now - *when <= one_second_age; };
    const bool beyond = tower_.beyond(now);
    const Complaints all{.native = alarms_.at(now, one_second_age) | tower_.alarms(now),
        .pylontech = alarms_pylontech_.at(now, one_second_age),
        .module_lost = tower_.lost_one() || young(lost_at_),
        .too_many_modules = beyond,
        .unseen_modules = beyond && !young(extremes_at_)};
    if (all == complaints_) return;
    complaints_ = all;
    report(all, state_.reported);
}

Instant Driver::on_tick(Instant now, const Orders&, Outbox& out)
{
    if (look_.due(now)) complain(now);
    if (!heartbeat_wanted_) return look_.next();
    if (!beat_at_) beat_at_ = now + 5s;  // listen first
    if (now >= *beat_at_) {
        out.send(heartbeat.blank());
        beat_at_ = std::max(*beat_at_ + heartbeat.period, now + heartbeat.period / 2 + 1us);
    }
    return std::min(look_.next(), *beat_at_);
}

PackFacts Driver::facts() const
{
    PackFacts f;
    f.cells = cell_count();
    f.energy_rated = capacity_configured_;
    f.voltage_max = voltage_max_configured_;
    f.voltage_min = voltage_min_configured_;
    if (f.cells) {
        const auto n = static_cast<std::int64_t>(*f.cells);
        f.voltage_max = std::min(f.voltage_max.value_or(cell_high * n), cell_high * n);
        f.voltage_min = std::max(f.voltage_min.value_or(cell_low * n), cell_low * n);
        f.voltage_nominal = cell_nominal * n;
        if (!f.energy_rated && capacity_) f.energy_rated = *f.voltage_nominal * *capacity_;
    }
    return f;
}

// What the pack asks for is honoured up to 3.600 V per cell, where the charge curve has long ended the current; its own
// protection takes the place of the general one.
void adjust(const BatteryConfig& config, SafetyConfig& safety)
{
    if (config.chemistry != Chemistry::lfp) return;
    safety.cell.target = cell_target;
    safety.cell.block_high = cell_high;
}

using battery_values::cell_delta;
using battery_values::kilo_milli;
using battery_values::milli;
using battery_values::power;

// clang-format off
constexpr std::array values{
    BatteryValue{"",              ValueType::voltage,     2, milli<&BatteryState::voltage>},
    BatteryValue{"",              ValueType::current,     1, milli<&BatteryState::current>},
    BatteryValue{"",              ValueType::power,       0, power},
    BatteryValue{"soc",           ValueType::percent,     0, milli<&BatteryState::soc>},
    BatteryValue{"soh",           ValueType::percent,     0, milli<&BatteryState::soh>},
    BatteryValue{"cell-min",      ValueType::voltage,     3, milli<&BatteryState::cell_voltage_min>},
    BatteryValue{"cell-max",      ValueType::voltage,     3, milli<&BatteryState::cell_voltage_max>},
    BatteryValue{"cell-delta",    ValueType::voltage,     3, cell_delta},
    BatteryValue{"min",           ValueType::temperature, 1, milli<&BatteryState::temperature_min>},
    BatteryValue{"max",           ValueType::temperature, 1, milli<&BatteryState::temperature_max>},
    BatteryValue{"avg",           ValueType::temperature, 1, milli<&BatteryState::temperature_avg>},
    BatteryValue{"max-charge",    ValueType::current,     1, milli<&BatteryState::charge_limit_current>},
    BatteryValue{"max-discharge", ValueType::current,     1, milli<&BatteryState::discharge_limit_current>},
    BatteryValue{"full",          ValueType::amphour,     1, milli<&BatteryState::charge_full>},
    BatteryValue{"charged",       ValueType::energy,      2, kilo_milli<&BatteryState::energy_in>},
    BatteryValue{"discharged",    ValueType::energy,      2, kilo_milli<&BatteryState::energy_out>},
    BatteryValue{"cycles",        ValueType::count,       0, milli<&BatteryState::cycles>},
};
// clang-format on

constexpr std::array options{
    OptionRule{.name = "heartbeat",
        .type = OptionType::boolean,
        .default_text = "false",
        .help = "true: sends the pack an empty 0x305 every second, as an inverter would, while nobody else does"},
};

constexpr auto receives = [] {
    std::array<RxRule, system_ids.size() + module_rows.size() * row + 1> all{};
    std::size_t i = 0;
    for (const std::uint32_t id : system_ids) all[i++].id = id;
    for (const std::uint32_t first : module_rows)
        for (std::uint32_t n = 0; n < row; ++n) all[i++].id = first + n;
    all[i].id = heartbeat.id;
    return all;
}();

constexpr std::array sends{
    TxRule{.id = heartbeat.id, .min_spacing = heartbeat.period / 2, .period = heartbeat.period, .carries_verdict = false},
};

constexpr BatteryProfile make_profile()
{
    BatteryProfile p{.chemistry = Chemistry::lfp,
        .contactor_mode = ContactorMode::none,
        .verified = Verification::replay,
        .states_limits = true,
        .states_contactor = false,
        .wants_cell_count = true};
    const auto provide = [&p](SignalId id, Duration period) { p.signals[index(id)] = {true, period, one_second_age}; };
    provide(SignalId::flags, requests.period);
    provide(SignalId::current, measurements.period);
    provide(SignalId::voltage, measurements.period);
    provide(SignalId::cell_voltage_max, extremes.period);
    provide(SignalId::cell_voltage_min, extremes.period);
    provide(SignalId::charge_limit, limits_grid.period);
    provide(SignalId::discharge_limit, limits_grid.period);
    provide(SignalId::temperature_min, extremes.period);
    provide(SignalId::temperature_max, extremes.period);
    provide(SignalId::soc, charge_state.period);
    return p;
}

}  // namespace
}  // namespace deye

extern const BatteryDriverInfo deye_driver;
const BatteryDriverInfo deye_driver{
    .name = "deye",
    .models = "Deye low-voltage packs and towers on the PCS port: SE-G5.1, SE-G5.3, RW-M6.1, AI-W5.1, SE-F5, SE-F12, SE-F16",
    .profile = deye::make_profile(),
    .make = [](const BatterySetup& setup) -> std::unique_ptr<BatteryDriver> { return std::make_unique<deye::Driver>(setup); },
    .adjust = deye::adjust,
    .options = deye::options,
    .messages = message_views<deye::limits, deye::charge_state, deye::measurements, deye::identity, deye::alarms, deye::requests,
        deye::extremes, deye::versions, deye::counts, deye::limits_grid, deye::usb, deye::alarms_victron, deye::identity_victron,
        deye::module_alarms, deye::module_summary, deye::module_extremes, deye::module_switches, deye::module_state,
        deye::module_firmware, deye::module_energy, deye::module_serial_1, deye::module_serial_2, deye::module_counters_1,
        deye::module_counters_2, deye::heartbeat>,
    .receives = deye::receives,
    .sends = deye::sends,
    .values = deye::values,
};

}  // namespace batgw
