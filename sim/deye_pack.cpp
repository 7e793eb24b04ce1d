#include "sim/deye_pack.hpp"

#include "battery/deye_alarms.hpp"
#include "battery/deye_layout.hpp"
#include "sim/numbers.hpp"
#include "sim/pack_control.hpp"
#include "sim/words.hpp"

#include <algorithm>
#include <bit>
#include <cmath>

namespace batgw::sim {

namespace {

constexpr double cell_full = 3.52, cell_not_full = 3.40;  // the charge switch opens and closes
constexpr double soc_full = 0.995, soc_not_full = 0.97;
constexpr double cell_empty = 2.80, cell_not_empty = 3.05;
constexpr double pulse_a = 211.0;  // seen offered for a second by a full pack
constexpr unsigned pulse_every = 17;
constexpr std::int64_t cell_type_eve = 3, software_digits = 0x2004, hardware_digits = 0x2002;
constexpr std::uint64_t alarm_cell_high = 1U << 0, alarm_cell_low = 1U << 1;

}  // namespace

DeyePack::DeyePack(const BatteryChoice& choice)
    : choice_{choice},
      cells_{choice.cells == 0 ? usual_cells : std::clamp(choice.cells, 12U, 18U)}
{
    set_modules(choice.modules == 0 ? usual_modules : std::clamp(choice.modules, 1U, static_cast<unsigned>(deye::most_modules)));
}

DeyePack::Unit DeyePack::make_unit(unsigned n) const
{
    const double celsius = choice_.temperature ? number(*choice_.temperature) : 21.0;
    return {.model = PackModel{{.cells = cells_,
                .sensors = sensors,
                .capacity_ah = module_ah,
                .soc = choice_.soc ? number(*choice_.soc) / 100.0 : 0.55,
                .temperature_c = celsius,
                .ambient_c = choice_.temperature ? celsius : 20.0,
                .seed = choice_.seed + n}}};
}

void DeyePack::set_modules(unsigned count)
{
    while (units_.size() > count) units_.pop_back();
    while (units_.size() < count) units_.push_back(make_unit(static_cast<unsigned>(units_.size())));
    plan_again_ = true;
}

// ---- the DC side ----

unsigned DeyePack::here() const
{
    return static_cast<unsigned>(std::count_if(units_.begin(), units_.end(), [](const Unit& u) { return u.here; }));
}
bool DeyePack::charge_closed(const Unit& u) const { return u.charge_switch.value_or(!u.full); }
bool DeyePack::discharge_closed(const Unit& u) const { return u.discharge_switch.value_or(!u.empty); }
unsigned DeyePack::carrying(bool charge) const
{
    return static_cast<unsigned>(std::count_if(units_.begin(), units_.end(),
        [&](const Unit& u) { return u.here && (charge ? charge_closed(u) : discharge_closed(u)); }));
}
// One of both switches lets current through, one way.
Connection DeyePack::connection() const { return carrying(true) + carrying(false) > 0 ? Connection::closed : Connection::open; }

double DeyePack::flowing_a() const { return carrying(current_a_ > 0) > 0 ? current_a_ : 0.0; }
// The same for all that conduct.
double DeyePack::current_of(const Unit& u) const
{
    const bool charge = current_a_ > 0;
    if (!u.here || !(charge ? charge_closed(u) : discharge_closed(u))) return 0.0;
    return current_a_ / carrying(charge);
}

Voltage DeyePack::pack_voltage() const
{
    double sum = 0;
    for (const Unit& u : units_)
        if (u.here) sum += u.model.pack_voltage();
    return quantity<Voltage>(here() > 0 ? sum / here() : 0.0);
}
void DeyePack::set_current(Current current) { current_a_ = number(current); }
Current DeyePack::current() const { return quantity<Current>(flowing_a()); }
Voltage DeyePack::output_voltage() const { return connection() == Connection::closed ? pack_voltage() : Voltage{}; }
double DeyePack::mean_soc() const
{
    double sum = 0;
    for (const Unit& u : units_)
        if (u.here) sum += u.model.soc();
    return here() > 0 ? sum / here() : 0.0;
}
Percent DeyePack::true_soc() const { return quantity<Percent>(mean_soc() * 100.0); }

// ---- life ----

void DeyePack::on_frame(const CanFrame& frame, Instant)
{
    if (!frame.extended && frame.id == deye::heartbeat.id && frame.len == 8) ++heartbeats_;
}

void DeyePack::add_job(Duration period, void (DeyePack::*send)(unsigned, Outbox&), unsigned module, Instant now, Duration stagger)
{
    jobs_.push_back({period, send, module, now + stagger});
}

void DeyePack::plan(Instant now)
{
    using P = DeyePack;
    struct Line {
        Duration period;
        void (DeyePack::*send)(unsigned, Outbox&);
    };
    constexpr std::array native{Line{1000ms, &P::send_alarms}, Line{1010ms, &P::send_charge_state},
        Line{1020ms, &P::send_measurements}, Line{1030ms, &P::send_extremes}, Line{1040ms, &P::send_versions},
        Line{1050ms, &P::send_counts}, Line{1060ms, &P::send_limits}, Line{1070ms, &P::send_limits_grid},
        Line{1080ms, &P::send_requests}, Line{1090ms, &P::send_identity}};
    constexpr std::array victron{Line{1000ms, &P::send_identity_victron}, Line{1010ms, &P::send_alarms_victron},
        Line{1020ms, &P::send_charge_state}, Line{1030ms, &P::send_measurements}, Line{1040ms, &P::send_limits},
        Line{1050ms, &P::send_identity}};
    constexpr std::array module{Line{1000ms, &P::send_module_alarms}, Line{1010ms, &P::send_module_summary},
        Line{1020ms, &P::send_module_extremes}, Line{1030ms, &P::send_module_switches}, Line{1040ms, &P::send_module_state},
        Line{2100ms, &P::send_module_firmware}, Line{5300ms, &P::send_module_energy}, Line{2110ms, &P::send_module_serial_1},
        Line{2120ms, &P::send_module_serial_2}, Line{5400ms, &P::send_module_counters_1},
        Line{5400ms, &P::send_module_counters_2}};
    jobs_.clear();
    plan_again_ = false;
    Duration stagger = 3ms;
    const auto add = [&](const Line& line, unsigned n) {
        add_job(line.period, line.send, n, now, stagger);
        stagger += 3ms;
    };
    if (victron_)
        for (const Line& line : victron) add(line, 0);
    else
        for (const Line& line : native) add(line, 0);
    for (unsigned n = 0; n < units_.size(); ++n)
        for (const Line& line : module) add(line, n);
}

void DeyePack::live(Instant now)
{
    const double seconds = last_ ? std::chrono::duration<double>(now - *last_).count() : 0.0;
    last_ = now;
    for (Unit& u : units_) {
        u.model.advance(seconds, current_of(u));
        double low = 1000, high = 0;
        each_cell(u, [&](double v) {
            low = std::min(low, v);
            high = std::max(high, v);
        });
        const double charge = u.model.soc();
        u.full = u.full ? high > cell_not_full || charge > soc_not_full : high >= cell_full || charge >= soc_full;
        u.empty = u.empty ? low < cell_not_empty : low <= cell_empty;
    }
    const double soc = mean_soc();
    forced_charge_ = forced_charge_ ? soc <= 0.23 : soc < 0.20;
}

Instant DeyePack::on_tick(Instant now, Outbox& out)
{
    if (plan_again_) plan(now);
    if (!last_ || now > *last_) live(now);
    constexpr std::size_t room = 28;
    Instant next = now + step;
    for (Job& j : jobs_) {
        if (now >= j.next && out.frames().size() < room) {
            (this->*j.send)(j.module, out);
            j.next += j.period;
            if (j.next <= now) j.next = now + j.period;
        }
        next = std::min(next, j.next);
    }
    return std::max(next, now + 1ms);
}

// Every frame leaves here, and here it is spoilt when asked to.
void DeyePack::emit(CanFrame f, Outbox& out)
{
    if (silent_ || stopped_.contains(f.id)) return;
    if (const auto length = lengths_.find(f.id); length != lengths_.end()) f.len = length->second;
    out.send(f);
}

template <class F>
void DeyePack::each_cell(const Unit& u, F&& f) const
{
    for (unsigned i = 0; i < u.model.cells(); ++i) f(u.model.cell_voltage(i));
}

double DeyePack::charge_limit_of(const Unit& u) const
{
    if (!u.here || !charge_closed(u)) return 0.0;
    double highest = 0, coldest = 1000;
    each_cell(u, [&](double v) { highest = std::max(highest, v); });
    for (unsigned i = 0; i < sensors; ++i) coldest = std::min(coldest, u.model.temperature(i));
    return charge_a_max * fade(highest, cell_full + 0.01, 3.42) * fade(coldest, 0, 10);
}
double DeyePack::discharge_limit_of(const Unit& u) const
{
    if (!u.here || !discharge_closed(u)) return 0.0;
    double lowest = 1000, coldest = 1000;
    each_cell(u, [&](double v) { lowest = std::min(lowest, v); });
    for (unsigned i = 0; i < sensors; ++i) coldest = std::min(coldest, u.model.temperature(i));
    return discharge_a_max * fade(lowest, cell_empty, 3.05) * fade(coldest, -25, -5);
}
double DeyePack::total(double (DeyePack::*of)(const Unit&) const) const
{
    double sum = 0;
    for (const Unit& u : units_) sum += (this->*of)(u);
    return sum;
}

std::uint64_t DeyePack::alarms_of(const Unit& u) const
{
    std::uint64_t bits = u.alarms;
    each_cell(u, [&](double v) {
        if (v >= 3.65) bits |= alarm_cell_high;
        if (v <= 2.80) bits |= alarm_cell_low;
    });
    return bits;
}
std::uint64_t DeyePack::all_alarms() const
{
    std::uint64_t bits = 0;
    for (const Unit& u : units_)
        if (u.here) bits |= alarms_of(u);
    return bits;
}

// ---- what the system says ----

void DeyePack::send_limits(unsigned, Outbox& out)
{
    double charge = forced_charge_a_.value_or(total(&DeyePack::charge_limit_of));
    const bool full = carrying(true) == 0;
    if (!full) pulse_turn_ = 0;
    if (full && pulses_ && ++pulse_turn_ % pulse_every == 0) charge = pulse_a;
    CanFrame f = deye::limits.blank();
    deye::charge_voltage.put(f, quantity<Voltage>(3.6 * cells_));
    deye::charge_limit.put(f, quantity<Current>(charge));
    deye::discharge_limit.put(f, quantity<Current>(forced_discharge_a_.value_or(total(&DeyePack::discharge_limit_of))));
    deye::discharge_voltage.put(f, quantity<Voltage>(3.0 * cells_));
    emit(f, out);
}

void DeyePack::send_limits_grid(unsigned, Outbox& out)
{
    CanFrame f = deye::limits_grid.blank();
    deye::charge_limit_grid.put(f, quantity<Current>(forced_charge_a_.value_or(total(&DeyePack::charge_limit_of))));
    deye::discharge_limit_grid.put(f, quantity<Current>(forced_discharge_a_.value_or(total(&DeyePack::discharge_limit_of))));
    emit(f, out);
}

void DeyePack::send_charge_state(unsigned, Outbox& out)
{
    CanFrame f = deye::charge_state.blank();
    deye::soc.put(f, quantity<Percent>(frozen_soc_.value_or(mean_soc() * 100.0)));
    deye::soh.put(f, 99_pct);
    emit(f, out);
}

void DeyePack::send_measurements(unsigned, Outbox& out)
{
    double sum = 0;
    for (const Unit& u : units_)
        for (unsigned i = 0; i < sensors; ++i) sum += u.here ? u.model.temperature(i) : 0.0;
    CanFrame f = deye::measurements.blank();
    deye::voltage.put(f, quantity<Voltage>(std::round(number(pack_voltage()) * 10.0) / 10.0));
    if (lied_voltage_) write_raw(f, deye::voltage.bits, std::llround(*lied_voltage_ * 100.0));  // also what no pack can have
    (victron_ ? deye::current_victron : deye::current_native).put(f, quantity<Current>(flowing_a()));
    deye::temperature.put(f, quantity<Temperature>(here() > 0 ? sum / (sensors * here()) : 0.0));
    emit(f, out);
}

void DeyePack::send_identity(unsigned, Outbox& out)
{
    CanFrame f = deye::identity.blank();
    deye::maker.put(f, victron_ ? deye::maker_victron : deye::maker_native);
    deye::pack_number.put(f, victron_ ? deye::pack_number_victron : 0x303031);  // "001", as in every recording
    deye::cell_type.put(f, cell_type_eve);
    deye::capacity.put(f, quantity<Charge>(module_ah * here()));
    emit(f, out);
}

void DeyePack::send_alarms(unsigned, Outbox& out)
{
    CanFrame f = deye::alarms.blank();
    write_raw(f, deye::all_tables, static_cast<std::int64_t>(all_alarms()));
    emit(f, out);
}

void DeyePack::send_requests(unsigned, Outbox& out)
{
    CanFrame f = deye::requests.blank();
    if (!old_firmware_) {
        deye::charge_enabled.put(f, carrying(true) > 0);
        deye::discharge_enabled.put(f, carrying(false) > 0);
        deye::charge_forced_1.put(f, forced_charge_);
    }
    emit(f, out);
}

void DeyePack::put_extremes(CanFrame& f, const std::vector<const Unit*>& units) const
{
    double low = 1000, high = 0, cold = 1000, hot = -1000;
    for (const Unit* u : units) {
        each_cell(*u, [&](double v) {
            low = std::min(low, v);
            high = std::max(high, v);
        });
        for (unsigned i = 0; i < sensors; ++i) {
            cold = std::min(cold, u->model.temperature(i));
            hot = std::max(hot, u->model.temperature(i));
        }
    }
    deye::cell_max.put(f, quantity<Voltage>(high));
    deye::cell_min.put(f, quantity<Voltage>(low));
    deye::temperature_max.put(f, quantity<Temperature>(hot));
    deye::temperature_min.put(f, quantity<Temperature>(cold));
}

void DeyePack::send_extremes(unsigned, Outbox& out)
{
    std::vector<const Unit*> units;
    for (const Unit& u : units_)
        if (u.here) units.push_back(&u);
    CanFrame f = deye::extremes.blank();
    put_extremes(f, units);
    emit(f, out);
}

void DeyePack::send_versions(unsigned, Outbox& out)
{
    CanFrame f = deye::versions.blank();
    deye::software.put(f, software_digits);
    deye::hardware.put(f, hardware_digits);
    emit(f, out);
}

void DeyePack::send_counts(unsigned, Outbox& out)
{
    unsigned normal = 0;
    for (const Unit& u : units_) normal += u.here && alarms_of(u) == 0 ? 1U : 0U;
    CanFrame f = deye::counts.blank();
    deye::modules_normal.put(f, normal);
    deye::modules_no_charge.put(f, here() - carrying(true));
    deye::modules_no_discharge.put(f, here() - carrying(false));
    deye::modules_lost.put(f, static_cast<std::int64_t>(units_.size()) - here());
    deye::modules_parallel.put(f, here());
    emit(f, out);
}

void DeyePack::send_alarms_victron(unsigned, Outbox& out) { emit(deye::alarms_victron.blank(), out); }

void DeyePack::send_identity_victron(unsigned, Outbox& out)
{
    CanFrame f = deye::identity_victron.blank();
    deye::cell_type_victron.put(f, cell_type_eve);
    deye::software_victron.put(f, software_digits);
    deye::capacity_victron.put(f, quantity<Charge>(module_ah * here()));
    deye::maker_of_victron.put(f, deye::maker_native);
    emit(f, out);
}

// ---- what it says of each module ----

void DeyePack::send_module_alarms(unsigned n, Outbox& out)
{
    const Unit& u = units_[n];
    if (!u.here) return;
    CanFrame f = deye::module_alarms.blank(n);
    write_raw(f, deye::all_tables, static_cast<std::int64_t>(alarms_of(u)));
    deye::parallel_done.put(f, true);
    deye::charge_switch.put(f, charge_closed(u));
    deye::discharge_switch.put(f, discharge_closed(u));
    emit(f, out);
}

void DeyePack::send_module_summary(unsigned n, Outbox& out)
{
    const Unit& u = units_[n];
    if (!u.here) return;
    CanFrame f = deye::module_summary.blank(n);
    deye::module_voltage.put(f, quantity<Voltage>(u.model.pack_voltage()));
    deye::module_current.put(f, quantity<Current>(current_of(u)));
    deye::module_soc.put(f, quantity<Percent>(frozen_soc_.value_or(u.model.soc() * 100.0)));
    deye::module_soh.put(f, 99_pct);
    emit(f, out);
}

void DeyePack::send_module_extremes(unsigned n, Outbox& out)
{
    if (!units_[n].here) return;
    CanFrame f = deye::module_extremes.blank(n);
    put_extremes(f, {&units_[n]});
    emit(f, out);
}

void DeyePack::send_module_switches(unsigned n, Outbox& out)
{
    const Unit& u = units_[n];
    if (!u.here) return;
    CanFrame f = deye::module_switches.blank(n);
    deye::switch_temperature.put(f, quantity<Temperature>(u.model.temperature(0) + 0.05 * std::abs(current_of(u))));
    write_raw(f, deye::heater_temperature.bits, deye::no_heater);
    deye::module_charge_limit.put(f, quantity<Current>(charge_limit_of(u)));
    deye::module_discharge_limit.put(f, quantity<Current>(discharge_limit_of(u)));
    emit(f, out);
}

void DeyePack::send_module_state(unsigned n, Outbox& out)
{
    const Unit& u = units_[n];
    if (!u.here) return;
    const double amps = current_of(u);
    std::uint64_t balancing = 0;
    double low = 1000;
    each_cell(u, [&](double v) { low = std::min(low, v); });
    for (unsigned i = 0; i < std::min(u.model.cells(), 16U); ++i)
        if (u.model.cell_voltage(i) > 3.40 && u.model.cell_voltage(i) > low + 0.025) balancing |= 1ULL << i;
    CanFrame f = deye::module_state.blank(n);
    deye::mode.put(f, amps > 0.1 ? 1 : amps < -0.1 ? 2 : 0);
    deye::fault_level.put(f, alarms_of(u) != 0 ? 1 : 0);
    deye::cycles.put(f, quantity<Count>(std::floor(u.model.discharged_ah() / module_ah)));
    deye::balancing.put(f, static_cast<std::int64_t>(balancing));
    deye::sub_state.put(f, amps > 0.1 ? 0x0F : amps < -0.1 ? 0x09 : 0x03);
    emit(f, out);
}

void DeyePack::send_module_firmware(unsigned n, Outbox& out)
{
    if (!units_[n].here) return;
    CanFrame f = deye::module_firmware.blank(n);
    f.data = {0x20, 0x04, 0xAA, 'V', '7', '.', '0', '6'};
    emit(f, out);
}

void DeyePack::send_module_energy(unsigned n, Outbox& out)
{
    const Unit& u = units_[n];
    if (!u.here) return;
    CanFrame f = deye::module_energy.blank(n);
    deye::energy_in.put(f, quantity<Energy>(u.model.charged_kwh() * 1000.0));
    deye::energy_out.put(f, quantity<Energy>(u.model.discharged_kwh() * 1000.0));
    emit(f, out);
}

// "SN000000000000" and the address: made up.
void DeyePack::send_module_serial_1(unsigned n, Outbox& out)
{
    if (!units_[n].here) return;
    CanFrame f = deye::module_serial_1.blank(n);
    f.data = {'S', 'N', '0', '0', '0', '0', '0', '0'};
    emit(f, out);
}
void DeyePack::send_module_serial_2(unsigned n, Outbox& out)
{
    if (!units_[n].here) return;
    CanFrame f = deye::module_serial_2.blank(n);
    const auto digit = [](unsigned d) { return static_cast<std::uint8_t>('0' + d); };
    f.data = {'0', '0', '0', '0', '0', '0', digit((n + 1) / 10), digit((n + 1) % 10)};
    emit(f, out);
}

void DeyePack::send_module_counters_1(unsigned n, Outbox& out)
{
    if (!units_[n].here) return;
    CanFrame f = deye::module_counters_1.blank(n);
    deye::over_charges.put(f, 1);
    emit(f, out);
}
void DeyePack::send_module_counters_2(unsigned n, Outbox& out)
{
    if (units_[n].here) emit(deye::module_counters_2.blank(n), out);
}

// ---- text control ----

std::span<const Control<DeyePack>> DeyePack::command_table()
{
    using P = DeyePack;
    static constexpr std::array<Control<DeyePack>, 22> table{{
        {"help", "help", &P::do_help},
        {"status", "status", &P::do_status},
        {"current", "current AMPERES (positive charges; only without an inverter)", &P::do_current},
        {"soc", "soc PERCENT, or soc MODULE PERCENT", &P::do_soc},
        {"silent", "silent on|off (no frame at all)", &P::do_silent},
        {"stop", "stop ID (hexadecimal: no such frame any more)", &P::do_stop},
        {"resume", "resume ID|all", &P::do_resume},
        {"length", "length ID BYTES|off (wrong length)", &P::do_length},
        {"cell", "cell NUMBER VOLTS|off (counted from 1, through all modules)", &P::do_cell},
        {"temp", "temp CELSIUS, or temp SENSOR CELSIUS (counted from 1, through all modules)", &P::do_temp},
        {"modules", "modules COUNT (1 to 16: another tower)", &P::do_modules},
        {"lose", "lose MODULE (falls silent and carries no current)", &P::do_lose},
        {"join", "join MODULE", &P::do_join},
        {"alarm", "alarm MODULE BIT on|off (bit 0 to 55 of 0x110)", &P::do_alarm},
        {"switch", "switch MODULE charge|discharge on|off|auto (its MOSFETs)", &P::do_switch},
        {"limit", "limit charge|discharge AMPERES|off", &P::do_limit},
        {"freeze", "freeze on|off (the state of charge stands still)", &P::do_freeze},
        {"voltage", "voltage VOLTS|off (a lie about the voltage)", &P::do_voltage},
        {"profile", "profile native|victron", &P::do_profile},
        {"firmware", "firmware old|new (old: 0x35C is all zeros)", &P::do_firmware},
        {"pulses", "pulses on|off (a full pack offers a large charge limit for a second now and then)", &P::do_pulses},
        {"mend", "mend (everything above off)", &P::do_mend},
    }};
    return table;
}

std::string DeyePack::command(std::string_view line) { return obey(*this, command_table(), line, answer_); }

std::string DeyePack::status() const
{
    return text_of(number(pack_voltage()), 1) + " V " + text_of(flowing_a(), 1) + " A " + text_of(mean_soc() * 100.0, 1) + " % " +
        std::to_string(here()) + " modules, charging " + (carrying(true) > 0 ? "on" : "off") + ", discharging " +
        (carrying(false) > 0 ? "on" : "off") + (victron_ ? ", victronCAN" : ", native");
}

DeyePack::Unit* DeyePack::unit_of(std::string_view word)
{
    const auto n = number_of(word);
    if (!n || *n < 1 || *n > static_cast<double>(units_.size())) return nullptr;
    return &units_[static_cast<std::size_t>(*n) - 1];
}

bool DeyePack::do_help(const Words&)
{
    answer_ = help_of(command_table());
    return true;
}

bool DeyePack::do_status(const Words&)
{
    answer_ = "ok " + status();
    return true;
}

bool DeyePack::do_current(const Words& w)
{
    const auto amps = w.size() == 2 ? number_of(w[1]) : std::nullopt;
    if (!amps || std::abs(*amps) > 1000) return false;
    current_a_ = *amps;
    return true;
}

bool DeyePack::do_soc(const Words& w)
{
    const auto percent = w.size() == 2 || w.size() == 3 ? number_of(w.back()) : std::nullopt;
    if (!percent || *percent < 0 || *percent > 102) return false;
    if (w.size() == 2) {
        for (Unit& u : units_) u.model.set_soc(*percent / 100.0);
        return true;
    }
    Unit* u = unit_of(w[1]);
    if (u != nullptr) u->model.set_soc(*percent / 100.0);
    return u != nullptr;
}

bool DeyePack::do_silent(const Words& w) { return set_switch(w, silent_); }

bool DeyePack::do_stop(const Words& w) { return stop_frames(w, stopped_); }

bool DeyePack::do_resume(const Words& w) { return resume_frames(w, stopped_); }

bool DeyePack::do_length(const Words& w) { return set_length(w, lengths_); }

bool DeyePack::do_cell(const Words& w)
{
    return set_cell(w, units_.size(), [this](std::size_t i) -> PackModel& { return units_[i].model; });
}

bool DeyePack::do_temp(const Words& w)
{
    return set_temperature(w, units_.size(), [this](std::size_t i) -> PackModel& { return units_[i].model; });
}

bool DeyePack::do_modules(const Words& w)
{
    const auto count = w.size() == 2 ? number_of(w[1]) : std::nullopt;
    if (!count || *count < 1 || *count > deye::most_modules) return false;
    set_modules(static_cast<unsigned>(*count));
    return true;
}

bool DeyePack::do_lose(const Words& w)
{
    Unit* u = w.size() == 2 ? unit_of(w[1]) : nullptr;
    if (u != nullptr) u->here = false;
    return u != nullptr;
}

bool DeyePack::do_join(const Words& w)
{
    Unit* u = w.size() == 2 ? unit_of(w[1]) : nullptr;
    if (u != nullptr) u->here = true;
    return u != nullptr;
}

bool DeyePack::do_alarm(const Words& w)
{
    if (w.size() != 4) return false;
    Unit* u = unit_of(w[1]);
    const auto bit = number_of(w[2]);
    const auto on = switch_of(w[3]);
    if (u == nullptr || !bit || *bit < 0 || *bit >= static_cast<double>(deye::alarm_count) || !on) return false;
    const std::uint64_t mask = 1ULL << static_cast<unsigned>(*bit);
    u->alarms = *on ? u->alarms | mask : u->alarms & ~mask;
    return true;
}

bool DeyePack::do_switch(const Words& w)
{
    if (w.size() != 4 || (w[2] != "charge" && w[2] != "discharge")) return false;
    Unit* u = unit_of(w[1]);
    const auto on = switch_of(w[3]);
    if (u == nullptr || (!on && w[3] != "auto")) return false;
    (w[2] == "charge" ? u->charge_switch : u->discharge_switch) = on;
    return true;
}

bool DeyePack::do_limit(const Words& w)
{
    if (w.size() != 3 || (w[1] != "charge" && w[1] != "discharge")) return false;
    const auto amps = number_of(w[2]);
    if (!amps && w[2] != "off") return false;
    if (amps && (*amps < 0 || *amps > 1000)) return false;
    (w[1] == "charge" ? forced_charge_a_ : forced_discharge_a_) = amps;
    return true;
}

bool DeyePack::do_freeze(const Words& w)
{
    const auto on = w.size() == 2 ? switch_of(w[1]) : std::nullopt;
    if (!on) return false;
    if (*on)
        frozen_soc_ = mean_soc() * 100.0;
    else
        frozen_soc_.reset();
    return true;
}

bool DeyePack::do_voltage(const Words& w) { return set_or_off(w, lied_voltage_, 0, 300); }

bool DeyePack::do_profile(const Words& w)
{
    if (w.size() != 2 || (w[1] != "native" && w[1] != "victron")) return false;
    victron_ = w[1] == "victron";
    plan_again_ = true;
    return true;
}

bool DeyePack::do_firmware(const Words& w)
{
    if (w.size() != 2 || (w[1] != "old" && w[1] != "new")) return false;
    old_firmware_ = w[1] == "old";
    return true;
}

bool DeyePack::do_pulses(const Words& w) { return set_switch(w, pulses_); }

bool DeyePack::do_mend(const Words&)
{
    silent_ = old_firmware_ = false;
    pulses_ = true;
    stopped_.clear();
    lengths_.clear();
    frozen_soc_.reset();
    lied_voltage_.reset();
    forced_charge_a_.reset();
    forced_discharge_a_.reset();
    for (Unit& u : units_) {
        u.model.unpin();
        u.here = true;
        u.alarms = 0;
        u.charge_switch.reset();
        u.discharge_switch.reset();
    }
    return true;
}

}  // namespace batgw::sim
