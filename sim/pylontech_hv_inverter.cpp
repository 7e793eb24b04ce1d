#include "sim/pylontech_hv_inverter.hpp"

#include "inverter/pylontech_hv_layout.hpp"
#include "sim/inverter_control.hpp"
#include "sim/numbers.hpp"

#include <algorithm>
#include <cmath>

namespace batgw::sim {

namespace {

constexpr std::array<std::uint32_t, 9> ensemble_ids{pylontech_hv::totals.id, pylontech_hv::limits.id,
    pylontech_hv::cell_voltages.id, pylontech_hv::cell_temperatures.id, pylontech_hv::status.id, pylontech_hv::module_voltages.id,
    pylontech_hv::module_temperatures.id, pylontech_hv::forbidden.id, pylontech_hv::other_faults.id};
constexpr std::array<std::uint32_t, 4> equipment_ids{
    pylontech_hv::versions.id, pylontech_hv::geometry.id, pylontech_hv::maker.id, pylontech_hv::model.id};
// Bits of the protections that stop a direction.
constexpr std::int64_t stops_charge = 0b1001'0011'1010, stops_discharge = 0b0110'1100'0101;

bool is_in(std::span<const std::uint32_t> ids, std::uint32_t id) { return std::find(ids.begin(), ids.end(), id) != ids.end(); }

}  // namespace

PylontechHvInverter::PylontechHvInverter(const InverterChoice&) {}

void PylontechHvInverter::problem(std::string text)
{
    if (problems_.size() == problems_max) problems_.erase(problems_.begin());
    problems_.push_back(std::move(text));
}

// As after a restart: what it was told is gone, what it remembers of the battery's manners is not.
void PylontechHvInverter::forget()
{
    told_ = {};
    expected_ = {};
    orders_.clear();
    regulator_.forget();
    battery_lost_ = complained_ = false;
    answered_at_.reset();
}

// ---- what it hears ----

void PylontechHvInverter::on_frame(const CanFrame& f, Instant at)
{
    if (!f.extended || f.len != 8 || at < boot_at_) return;  // not awake yet
    const std::uint32_t id = f.id - address_;
    if (id == pylontech_hv::mask_answer.id) {
        ++frames_;
        if (pylontech_hv::mask_accepted(f) == pylontech_hv::word_yes) problem("a lost link would be hidden");
        ++told_.refusals;
    } else if (is_in(ensemble_ids, id) || is_in(equipment_ids, id)) {
        ++frames_;
        hear_answer(f, id, at);
    }
}

void PylontechHvInverter::hear_answer(const CanFrame& f, std::uint32_t id, Instant at)
{
    // Who never asks takes what comes, as long as it begins at the beginning.
    if (silent_ && expected_.ids.empty()) {
        asked_at_ = at;
        if (is_in(ensemble_ids, id))
            expected_.ids = ensemble_ids;
        else
            expected_.ids = equipment_ids;
    }
    if (expected_.ids.empty()) return problem(hex(f.id) + " unasked");
    if (id != expected_.ids[expected_.next]) {
        problem(hex(f.id) + " out of order, " + hex(expected_.ids[expected_.next] + address_) + " was next");
        expected_ = {};
        return;
    }
    switch (id) {
    case pylontech_hv::totals.id: hear_totals(f); break;
    case pylontech_hv::limits.id: hear_limits(f); break;
    case pylontech_hv::cell_voltages.id: hear_cells(f); break;
    case pylontech_hv::cell_temperatures.id: hear_temperatures(f); break;
    case pylontech_hv::status.id: hear_status(f); break;
    case pylontech_hv::forbidden.id: hear_marks(f); break;
    case pylontech_hv::other_faults.id: told_.other_faults = read_raw(f, pylontech_hv::other_field); break;
    default: hear_equipment(f, id);
    }
    if (++expected_.next < expected_.ids.size()) return;
    if (expected_.ids.data() == ensemble_ids.data())
        end_of_ensemble(at);
    else
        end_of_equipment(at);
    expected_ = {};
}

void PylontechHvInverter::hear_totals(const CanFrame& f)
{
    told_.voltage = pylontech_hv::voltage(f);
    told_.current = pylontech_hv::current(f);
    told_.soc = pylontech_hv::soc(f);
    told_.soh = pylontech_hv::soh(f);
    if (!told_.soc || !told_.soh) problem("state of charge or health above 100 %");
    if (!told_.current) problem("current beyond its codes");
}

void PylontechHvInverter::hear_limits(const CanFrame& f)
{
    told_.window_max = pylontech_hv::charge_cutoff(f);
    told_.window_min = pylontech_hv::discharge_cutoff(f);
    told_.charge = pylontech_hv::charge_limit(f);
    told_.discharge = (minus_ ? pylontech_hv::discharge_limit_minus : pylontech_hv::discharge_limit)(f);
    if (*told_.window_min <= 0_V || *told_.window_min >= *told_.window_max) problem("voltage window is none");
    if (!told_.charge || !told_.discharge) return problem("a limit below 0 A");
    const double charge = number(*told_.charge), discharge = number(*told_.discharge);
    if (std::max(charge, discharge) > highest_sane_a) problem("implausible current limit");
    const bool any = charge > 0 || discharge > 0;
    if (any && terminal_v_ && *terminal_v_ < 0.5 * number(*told_.window_min))
        problem("limits above 0 without voltage at the terminals");
    if (told_.voltage && (*told_.voltage > *told_.window_max + 20_V || *told_.voltage < *told_.window_min - 20_V))
        problem("battery voltage far outside its window");
}

void PylontechHvInverter::hear_cells(const CanFrame& f)
{
    told_.cell_max = pylontech_hv::cell_max(f);
    told_.cell_min = pylontech_hv::cell_min(f);
    if (*told_.cell_min > *told_.cell_max) problem("lowest cell above the highest");
    if (*told_.cell_min == 0_V || *pylontech_hv::max_number(f) == 0 || *pylontech_hv::min_number(f) == 0)
        problem("a cell that is none");
}

void PylontechHvInverter::hear_temperatures(const CanFrame& f)
{
    told_.temperature_max = pylontech_hv::cell_hottest(f);
    told_.temperature_min = pylontech_hv::cell_coldest(f);
    if (*told_.temperature_min > *told_.temperature_max) problem("lowest temperature above the highest");
}

void PylontechHvInverter::hear_status(const CanFrame& f)
{
    told_.state = *pylontech_hv::state(f);
    told_.faults = read_raw(f, pylontech_hv::faults_field);
    told_.alarms = read_raw(f, pylontech_hv::alarms_field);
    told_.protections = read_raw(f, pylontech_hv::protections_field);
    if (told_.state > pylontech_hv::state_idle) problem("a state that is none");
    if (((told_.alarms | told_.protections) & ~0xFFF) != 0) problem("reserved alarm or protection bits");
}

void PylontechHvInverter::hear_marks(const CanFrame& f)
{
    told_.charge_forbidden = pylontech_hv::charge_forbidden(f) == pylontech_hv::word_yes;
    told_.discharge_forbidden = pylontech_hv::discharge_forbidden(f) == pylontech_hv::word_yes;
}

void PylontechHvInverter::hear_equipment(const CanFrame& f, std::uint32_t id)
{
    if (id == pylontech_hv::geometry.id) {
        told_.cells = *pylontech_hv::cells(f);
        told_.modules = *pylontech_hv::modules(f);
        if (told_.cells != told_.modules * *pylontech_hv::cells_per_module(f))
            problem("cells are not modules times cells of each");
        if (*pylontech_hv::capacity(f) == 0_Ah || *pylontech_hv::voltage_level(f) == 0_V) problem("a battery of no size");
    } else if (id == pylontech_hv::maker.id) {
        told_.maker = text_in(f, 0);
        if (told_.maker.empty()) problem("a battery without a name");
    } else if (id == pylontech_hv::model.id) {
        told_.model = text_in(f, 0);
    }
}

void PylontechHvInverter::end_of_equipment(Instant at)
{
    ++told_.equipments;
    equipment_at_ = at + equipment_every;
}

// A limit and its mark belong together, and so do a protection and the direction that it stops.
void PylontechHvInverter::end_of_ensemble(Instant at)
{
    ++told_.ensembles;
    answered_at_ = at;
    battery_lost_ = complained_ = false;
    const double charge = told_.charge_forbidden ? 0.0 : number(told_.charge.value_or(Current{}));
    const double discharge = told_.discharge_forbidden ? 0.0 : number(told_.discharge.value_or(Current{}));
    if (!told_.charge_forbidden && charge == 0) problem("charging allowed with a limit of 0 A");
    if (!told_.discharge_forbidden && discharge == 0) problem("discharging allowed with a limit of 0 A");
    if ((told_.protections & stops_charge) != 0 && charge > 0) problem("a protection that stops no charging");
    if ((told_.protections & stops_discharge) != 0 && discharge > 0) problem("a protection that stops no discharging");
    served_ = served_ || charge > 0 || discharge > 0;
    regulator_.tell(at, charge, discharge);
}

// ---- what it does ----

void PylontechHvInverter::set_terminal_voltage(Voltage voltage) { terminal_v_ = number(voltage); }

double PylontechHvInverter::terminal_v() const
{
    if (terminal_v_) return *terminal_v_;
    return told_.voltage ? number(*told_.voltage) : 0.0;  // no wires: believe what we are told
}

Current PylontechHvInverter::current() const { return Current::from_milli(std::llround(regulator_.current_a() * 1000.0)); }

// An answer that stays incomplete is given up; one that never comes is a lost battery.
void PylontechHvInverter::watch_answers(Instant now)
{
    if (!expected_.ids.empty() && now - asked_at_ > answer_within) {
        if (expected_.next > 0) problem("answer ends before " + hex(expected_.ids[expected_.next] + address_));
        expected_ = {};
    }
    if (!answered_at_ || now - *answered_at_ <= battery_lost_after) return;
    battery_lost_ = true;
    if (silent_ || complained_) return;  // who asks nothing cannot complain of silence
    complained_ = true;
    problem("no answer for " + text_of(std::chrono::duration<double>(battery_lost_after).count(), 0) + " s");
}

void PylontechHvInverter::ask(std::int64_t what, std::span<const std::uint32_t> answer, Outbox& out)
{
    CanFrame f = pylontech_hv::request.blank();
    pylontech_hv::question.put(f, what);
    out.send(f);
    expected_.ids = answer;
    expected_.next = 0;
}

void PylontechHvInverter::speak(Instant now, Outbox& out)
{
    for (const CanFrame& f : orders_) out.send(f);
    orders_.clear();
    if (!expected_.ids.empty()) return;  // one question at a time
    if (now >= equipment_at_) {
        ask(pylontech_hv::ask_equipment, equipment_ids, out);
        equipment_at_ = now + ensemble_every;  // until it knows who is there
        asked_at_ = now;
    } else if (now >= ensemble_at_) {
        ask(pylontech_hv::ask_ensemble, ensemble_ids, out);
        ensemble_at_ = now + ensemble_every;
        asked_at_ = now;
    }
}

Instant PylontechHvInverter::on_tick(Instant now, Outbox& out)
{
    if (!started_) {
        started_ = true;
        boot_at_ = now + boot_time;
        regulator_.start(now);
    }
    const double v = terminal_v();
    const bool window = told_.window_max && told_.window_min;
    const bool fits = window && v > 0.9 * number(*told_.window_min) && v < 1.1 * number(*told_.window_max);
    regulator_.stop_charge = obey_soc_ && told_.soc && *told_.soc >= 100_pct;
    regulator_.stop_discharge = obey_soc_ && told_.soc && *told_.soc <= 0_pct;
    regulator_.move(now, v, fits && !battery_lost_ && now >= boot_at_);
    if (now < boot_at_) return std::min(now + step, boot_at_);
    watch_answers(now);
    if (!silent_) speak(now, out);
    return now + step;
}

InverterReport PylontechHvInverter::report() const
{
    return {.identified = told_.equipments > 0, .served = served_, .frames = frames_, .problems = problems_};
}

// ---- text control ----

std::span<const Control<PylontechHvInverter>> PylontechHvInverter::command_table()
{
    using I = PylontechHvInverter;
    static constexpr std::array<Control<PylontechHvInverter>, 13> table{{
        {"help", "help", &I::do_help},
        {"status", "status", &I::do_status},
        {"power", "power WATTS (positive charges, negative discharges)", &I::do_power},
        {"ignore", "ignore on|off (limits and marks)", &I::do_ignore},
        {"obey-soc", "obey-soc on|off (no charging at 100 %, no discharging at 0 %)", &I::do_obey_soc},
        {"delay", "delay MILLISECONDS (until a limit is followed)", &I::do_delay},
        {"silent", "silent on|off (asks nothing, takes what comes)", &I::do_silent},
        {"restart", "restart [SECONDS] (forgets everything and asks again)", &I::do_restart},
        {"identify", "identify (asks for the equipment once more)", &I::do_identify},
        {"address", "address 0..15 (of the battery)", &I::do_address},
        {"sign", "sign plus|minus (of the discharge limit)", &I::do_sign},
        {"order", "order sleep|wake|mask|charge|discharge (what inverters may demand of a battery)", &I::do_order},
        {"report", "report (whether the battery does what it must)", &I::do_report},
    }};
    return table;
}

std::string PylontechHvInverter::command(std::string_view line) { return obey(*this, command_table(), line, answer_); }

std::string PylontechHvInverter::status() const
{
    std::string text = "Pylontech HV " + text_of(terminal_v(), 1) + " V " + text_of(regulator_.current_a(), 1) + " A";
    const auto limit = [](const std::optional<Current>& a, bool forbidden) {
        return text_of(a ? number(*a) : 0.0, 1) + " A" + (forbidden ? " (forbidden)" : "");
    };
    if (told_.ensembles > 0)
        text += " may charge " + limit(told_.charge, told_.charge_forbidden) + ", discharge " +
            limit(told_.discharge, told_.discharge_forbidden);
    if (told_.soc) text += " SOC " + text_of(number(*told_.soc), 0) + " %";
    return battery_lost_ ? text + " battery lost" : text;
}

bool PylontechHvInverter::do_help(const Words&)
{
    answer_ = help_of(command_table());
    return true;
}

bool PylontechHvInverter::do_status(const Words&)
{
    answer_ = "ok " + status();
    return true;
}

bool PylontechHvInverter::do_power(const Words& w) { return set_power(w, regulator_); }

bool PylontechHvInverter::do_ignore(const Words& w) { return set_switch(w, regulator_.ignores_limits); }

bool PylontechHvInverter::do_obey_soc(const Words& w) { return set_switch(w, obey_soc_); }

bool PylontechHvInverter::do_delay(const Words& w) { return set_delay(w, regulator_); }

bool PylontechHvInverter::do_silent(const Words& w)
{
    const auto on = w.size() == 2 ? switch_of(w[1]) : std::nullopt;
    if (!on) return false;
    silent_ = *on;
    expected_ = {};
    return true;
}

bool PylontechHvInverter::do_restart(const Words& w)
{
    const auto time = restart_time(w);
    if (!time) return false;
    forget();
    boot_at_ = ensemble_at_ = equipment_at_ = regulator_.last() + *time;
    return true;
}

bool PylontechHvInverter::do_identify(const Words&)
{
    equipment_at_ = Instant{};
    return true;
}

bool PylontechHvInverter::do_address(const Words& w)
{
    const auto n = w.size() == 2 ? number_of(w[1]) : std::nullopt;
    if (!n || *n < 0 || *n >= pylontech_hv::addresses || *n != std::floor(*n)) return false;
    address_ = static_cast<std::uint32_t>(*n);
    return true;
}

bool PylontechHvInverter::do_sign(const Words& w)
{
    if (w.size() != 2 || (w[1] != "plus" && w[1] != "minus")) return false;
    minus_ = w[1] == "minus";
    return true;
}

bool PylontechHvInverter::do_order(const Words& w)
{
    const std::string_view what = w.size() == 2 ? w[1] : std::string_view{};
    CanFrame f{};
    if (what == "sleep" || what == "wake") {
        f = pylontech_hv::sleep_wake.blank();
        pylontech_hv::sleep_word.put(f, what == "wake" ? pylontech_hv::word_wake : pylontech_hv::word_sleep);
    } else if (what == "mask") {
        f = pylontech_hv::mask_fault.blank();
        pylontech_hv::mask_word.put(f, pylontech_hv::word_yes);
    } else if (what == "charge" || what == "discharge") {
        f = pylontech_hv::relay_command.blank();
        (what == "charge" ? pylontech_hv::charge_command : pylontech_hv::discharge_command).put(f, pylontech_hv::word_yes);
    } else {
        return false;
    }
    f.id += address_;
    if (orders_.size() < 8) orders_.push_back(f);
    return true;
}

bool PylontechHvInverter::do_report(const Words&)
{
    answer_ = report_text(report(), "identified", "not identified");
    return true;
}

}  // namespace batgw::sim
