#include "sim/pylontech_lv_inverter.hpp"

#include "inverter/pylontech_lv_layout.hpp"
#include "sim/inverter_control.hpp"
#include "sim/numbers.hpp"

#include <algorithm>
#include <cmath>

namespace batgw::sim {

using pylontech_lv::Slot;

namespace {

constexpr Duration alive_every = 1s;
constexpr Duration settled = 30ms;          // frames of one beat are all there
constexpr Duration complete_in = 5s;        // every frame of the profile has come
constexpr double as_good_as_zero_a = 0.15;  // some batteries say 0.1 A for nothing
constexpr double taper_v = 0.3;             // below the charge voltage the current becomes less

std::uint32_t id_of(Slot slot, const pylontech_lv::Profile& profile) { return pylontech_lv::rule_of(slot, profile, false).id; }

// What a battery may leave out because nobody knows it.
bool may_be_missing(Slot slot)
{
    return slot == Slot::extremes || slot == Slot::lowest_cell || slot == Slot::highest_cell || slot == Slot::coldest_spot ||
        slot == Slot::hottest_spot || slot == Slot::energy;
}

}  // namespace

PylontechLvInverter::PylontechLvInverter(const InverterChoice& choice) : chance_{choice.seed}
{
    regulator_.slew_a_per_s = 200.0;
    expect(pylontech_lv::find_profile(choice.brand));
}

void PylontechLvInverter::expect(const pylontech_lv::Profile& profile)
{
    profile_ = &profile;
    rhythms_.clear();
    for (const auto& slots : {profile.together, profile.one_by_one})
        for (const Slot slot : slots) rhythms_.push_back({.slot = slot, .id = id_of(slot, profile)});
    complete_ = missing_told_ = false;
    first_heard_.reset();
}

const PylontechLvInverter::Rhythm* PylontechLvInverter::rhythm(std::uint32_t id) const
{
    const auto found = std::find_if(rhythms_.begin(), rhythms_.end(), [id](const Rhythm& r) { return r.id == id; });
    return found == rhythms_.end() ? nullptr : &*found;
}

bool PylontechLvInverter::has(Slot slot) const
{
    return std::any_of(rhythms_.begin(), rhythms_.end(), [slot](const Rhythm& r) { return r.slot == slot; });
}

void PylontechLvInverter::problem(std::string text)
{
    if (problems_.size() == problems_max) problems_.erase(problems_.begin());
    problems_.push_back(std::move(text));
}

// As after a restart: what it was told is gone, what it remembers of the battery's manners is not.
void PylontechLvInverter::forget()
{
    told_ = {};
    regulator_.forget();
    battery_lost_ = acknowledge_now_ = false;
    agreement_at_.reset();
    highest_charge_voltage_ = Voltage{};
    for (Rhythm& r : rhythms_) r.last.reset();
}

// ---- what it hears ----

void PylontechLvInverter::on_frame(const CanFrame& f, Instant at)
{
    if (f.extended || !started_ || at < boot_at_) return;  // not awake yet
    ++frames_;
    const auto r = std::find_if(rhythms_.begin(), rhythms_.end(), [&f](const Rhythm& x) { return x.id == f.id; });
    if (r == rhythms_.end()) {
        if (profile_->alarm_stops_both) problem(hex(f.id) + " must not be on the bus of an SMA");
        return;
    }
    const auto least = pylontech_lv::rule_of(r->slot, *profile_, true).len;
    if (f.len < least) return problem(hex(f.id) + " is too short");
    if (!first_heard_) first_heard_ = at;
    keep_rhythm(*r, f, at);
    hear(r->slot, f, at);
}

void PylontechLvInverter::keep_rhythm(Rhythm& r, const CanFrame& f, Instant at)
{
    ++r.count;
    if (r.last) {
        r.longest = std::max(r.longest, at - *r.last);
        r.shortest = std::min(r.shortest, at - *r.last);
        if (profile_->alarm_stops_both && at - *r.last < profile_->spacing - lateness)
            problem(hex(f.id) + " sooner than 200 ms after the last one");
    }
    r.last = at;
    r.complained = false;
    if (r.slot == Slot::limits || r.slot == Slot::charge_state) battery_lost_ = false;
}

void PylontechLvInverter::check_rhythms(Instant now)
{
    const Duration longest_allowed = pylontech_lv::beat + profile_->spacing + lateness;
    for (Rhythm& r : rhythms_) {
        if (!r.last) continue;
        if (!r.complained && now - *r.last > longest_allowed) {
            r.complained = true;
            problem(hex(r.id) + " late: nothing for " + text_of(std::chrono::duration<double>(now - *r.last).count(), 2) + " s");
        }
        // An SMA is known to wait for a minute; of the others nobody knows.
        const bool counts = r.slot == Slot::limits || r.slot == Slot::charge_state;
        if (counts && now - *r.last > (profile_->alarm_stops_both ? 60s : 5s)) battery_lost_ = true;
    }
    if (!first_heard_ || complete_) return;
    complete_ =
        std::all_of(rhythms_.begin(), rhythms_.end(), [](const Rhythm& r) { return r.count > 0 || may_be_missing(r.slot); });
    if (complete_ || missing_told_ || now - *first_heard_ < complete_in) return;
    missing_told_ = true;
    for (const Rhythm& r : rhythms_)
        if (r.count == 0 && !may_be_missing(r.slot)) problem(hex(r.id) + " never came");
}

void PylontechLvInverter::hear(Slot slot, const CanFrame& f, Instant at)
{
    if (pylontech_lv::tells_limits(slot)) agreement_at_ = at;
    switch (slot) {
    case Slot::limits: return hear_limits(f, at);
    case Slot::charge_state: return hear_charge_state(f);
    case Slot::measurements: return hear_measurements(f);
    case Slot::status: return hear_status(f);
    case Slot::requests: return hear_requests(f);
    case Slot::alarms: return hear_alarms(f);
    case Slot::maker: return hear_maker(f);
    case Slot::extremes:
        if (*pylontech_lv::cell_voltage_min(f) > *pylontech_lv::cell_voltage_max(f) ||
            *pylontech_lv::temperature_min(f) > *pylontech_lv::temperature_max(f))
            problem("lowest above highest");
        return;
    case Slot::product:
        if (*pylontech_lv::capacity(f) <= Charge{}) problem("capacity 0");
        return;
    case Slot::installed_capacity:
        if (*pylontech_lv::installed(f) <= Charge{}) problem("capacity 0");
        return;
    default: return;
    }
}

void PylontechLvInverter::hear_limits(const CanFrame& f, Instant at)
{
    told_.charge_voltage = pylontech_lv::charge_voltage(f);
    told_.discharge_voltage = pylontech_lv::discharge_voltage(f);
    told_.charge = pylontech_lv::charge_limit(f);
    told_.discharge = pylontech_lv::discharge_limit(f);
    if (!told_.charge || !told_.discharge) {
        problem("a limit below 0");
        told_.charge = told_.discharge = Current{};
    }
    if (*told_.charge_voltage <= *told_.discharge_voltage) problem("charge voltage 0, or not above the discharge voltage");
    highest_charge_voltage_ = std::max(highest_charge_voltage_, *told_.charge_voltage);
    const double charge = number(*told_.charge), discharge = number(*told_.discharge);
    const bool any = std::max(charge, discharge) > as_good_as_zero_a;
    if (any && (terminal_v_ || told_.voltage) && terminal_v() < 0.5 * number(*told_.discharge_voltage))
        problem("limits above 0 without voltage at the terminals");
    served_ = served_ || any;
    regulator_.tell(at, charge, discharge);
}

void PylontechLvInverter::hear_charge_state(const CanFrame& f)
{
    told_.soc = pylontech_lv::soc(f);
    told_.soh = pylontech_lv::soh(f);
    if (!told_.soc || !told_.soh) problem("state of charge or health above 100 %");
    if (profile_->tail != pylontech_lv::Tail::soc_fine || f.len < 6) return;
    const auto fine = pylontech_lv::soc_fine(f);
    if (!fine || !told_.soc || magnitude(*fine - *told_.soc) > 1_pct)
        problem("two states of charge that differ");
    else
        told_.soc = fine;
}

void PylontechLvInverter::hear_measurements(const CanFrame& f)
{
    told_.voltage = (coarse_voltage_ ? pylontech_lv::voltage_coarse : pylontech_lv::voltage)(f);
    told_.current = pylontech_lv::current(f);
    // The field is full: the battery has more than it can say here.
    if (read_raw(f, pylontech_lv::voltage.bits) == pylontech_lv::voltage.valid.max) told_.voltage.reset();
    acknowledge_now_ = true;
    check_charge_voltage();
}

// Some inverters discharge a battery down to a lower charge voltage. Its own highest is as far as it may go.
void PylontechLvInverter::check_charge_voltage()
{
    if (!told_.charge_voltage || !told_.voltage || *told_.charge_voltage >= highest_charge_voltage_) return;
    if (*told_.charge_voltage + 100_mV < *told_.voltage)
        problem("charge voltage " + text_of(number(*told_.charge_voltage), 1) + " V below the battery's " +
            text_of(number(*told_.voltage), 2) + " V");
}

void PylontechLvInverter::hear_status(const CanFrame& f)
{
    told_.charge_protection = pylontech_lv::over_voltage(f) || pylontech_lv::charge_over_current(f);
    told_.discharge_protection = pylontech_lv::under_voltage(f) || pylontech_lv::discharge_over_current(f);
    told_.system_error = pylontech_lv::system_error(f);
    told_.modules = pylontech_lv::modules(f).value_or(0);
    if (told_.modules == 0) problem("no module");
    if (!profile_->lux_fields && pylontech_lv::signature(f) != pylontech_lv::signature_pn) problem("not signed PN");
}

void PylontechLvInverter::hear_requests(const CanFrame& f)
{
    told_.may_charge = pylontech_lv::charge_enable(f);
    told_.may_discharge = pylontech_lv::discharge_enable(f);
    told_.force_charge = pylontech_lv::force_charge_1(f) || pylontech_lv::force_charge_2(f);
    told_.full_charge = pylontech_lv::full_charge_request(f);
    if ((told_.force_charge || told_.full_charge) && !*told_.may_charge) problem("asks for charging and forbids it");
}

// 01 raises, 10 ends; 00 and 11 leave it as it is.
void PylontechLvInverter::hear_alarms(const CanFrame& f)
{
    for (unsigned i = 0; i < pylontech_lv::pair_count; ++i) {
        std::uint16_t& items = i < pylontech_lv::first_warning_pair ? told_.alarms : told_.warnings;
        const auto bit = static_cast<std::uint16_t>(1U << i % pylontech_lv::first_warning_pair);
        const std::int64_t pair = read_raw(f, le(2 * i, 2));
        if (pair == pylontech_lv::pair_raised) items |= bit;
        if (pair == pylontech_lv::pair_clear) items &= static_cast<std::uint16_t>(~bit);
    }
}

void PylontechLvInverter::hear_maker(const CanFrame& f)
{
    told_.maker.clear();
    for (const std::uint8_t c : f.data)
        if (c > ' ' && c <= '~') told_.maker += static_cast<char>(c);
    if (told_.maker.empty()) problem("a battery without a maker");
}

// Limits, enables and alarms of one beat, once all of them have come.
void PylontechLvInverter::check_agreement(Instant now)
{
    if (!agreement_at_ || now - *agreement_at_ < settled) return;
    agreement_at_.reset();
    if (!told_.charge) return;
    const bool charges = number(*told_.charge) > as_good_as_zero_a, discharges = number(*told_.discharge) > as_good_as_zero_a;
    const auto enabled = [](const std::optional<bool>& may, const std::optional<Current>& limit, bool any) {
        return !may || (*may ? *limit > Current{} : !any);
    };
    if (!enabled(told_.may_charge, told_.charge, charges) || !enabled(told_.may_discharge, told_.discharge, discharges))
        problem("limits and enable bits contradict each other");
    if ((told_.charge_protection && charges) || (told_.discharge_protection && discharges) ||
        (told_.system_error && (charges || discharges)))
        problem("a protection without its zero limit");
    if (told_.alarms != 0 && charges && discharges) problem("an alarm without a zero limit");
}

// ---- what it does ----

void PylontechLvInverter::set_terminal_voltage(Voltage voltage) { terminal_v_ = number(voltage); }

double PylontechLvInverter::terminal_v() const
{
    if (terminal_v_) return *terminal_v_;
    return told_.voltage ? number(*told_.voltage) : 0.0;  // no wires: believe what we are told
}

Current PylontechLvInverter::current() const { return quantity<Current>(regulator_.current_a()); }

bool PylontechLvInverter::standby() const { return told_.system_error || (profile_->alarm_stops_both && told_.alarms != 0); }

// What it takes of the limits: less near the charge voltage, nothing where an enable bit or an alarm speaks against it.
void PylontechLvInverter::regulate(Instant now)
{
    const double v = terminal_v();
    const bool live =
        told_.charge_voltage && v > 0.8 * number(*told_.discharge_voltage) && v < 1.2 * number(highest_charge_voltage_);
    if (live) {
        const bool charges = told_.may_charge.value_or(true) && !standby();
        const bool discharges = told_.may_discharge.value_or(true) && !standby() && v >= number(*told_.discharge_voltage);
        regulator_.charge_share = charges ? std::clamp((number(*told_.charge_voltage) - v) / taper_v, 0.0, 1.0) : 0.0;
        regulator_.discharge_share = discharges ? 1.0 : 0.0;
    }
    regulator_.move(now, v, live && !battery_lost_ && now >= boot_at_);
}

CanFrame PylontechLvInverter::acknowledgement()
{
    CanFrame f{.id = pylontech_lv::alive_id, .extended = acknowledge_ == Acknowledge::extended};
    if (!profile_->inverter_measures) return f;
    pylontech_lv::inverter_voltage.put(f, quantity<Voltage>(lied_v_.value_or(terminal_v() + 0.05 * chance_.swing())));
    pylontech_lv::inverter_current.put(f, quantity<Current>(regulator_.current_a() + 0.05 * chance_.swing()));
    pylontech_lv::inverter_temperature.put(f, quantity<Temperature>(31.0 + 0.1 * std::abs(regulator_.current_a())));
    pylontech_lv::inverter_soc.put(f, told_.soc.value_or(Percent{}));
    return f;
}

// Some speak in answer to 0x356, as a Deye does; those with more to say have a clock of their own.
void PylontechLvInverter::speak(Instant now, Outbox& out)
{
    const bool by_clock = profile_->life.size() > 1;
    const bool due = by_clock ? now >= alive_at_ : acknowledge_now_;
    if (!due) return;
    acknowledge_now_ = false;
    alive_at_ = now + alive_every;
    if (acknowledge_ != Acknowledge::off) out.send(acknowledgement());
    for (const std::uint32_t id : profile_->life) {
        CanFrame f{.id = id};
        if (id == pylontech_lv::alive_id) continue;
        if (id == pylontech_lv::inverter_brand.id && !profile_->inverter_measures)
            f.data = {0x12, 0x34, 0x56, 0x78, 'V', 'I', 'C', 0};  // real: Venus OS
        if (id == pylontech_lv::order.id) {
            if (!switch_off_) continue;
            pylontech_lv::switch_off.put(f, true);
        }
        out.send(f);
    }
}

Instant PylontechLvInverter::on_tick(Instant now, Outbox& out)
{
    if (!started_) {
        started_ = true;
        boot_at_ = now + boot_time;
        regulator_.start(now);
    }
    regulate(now);
    if (now < boot_at_) return std::min(now + step, boot_at_);
    check_rhythms(now);
    check_agreement(now);
    if (!silent_) speak(now, out);
    return now + step;
}

InverterReport PylontechLvInverter::report() const
{
    return {.identified = complete_, .served = served_, .frames = frames_, .problems = problems_};
}

// ---- text control ----

std::span<const Control<PylontechLvInverter>> PylontechLvInverter::command_table()
{
    using I = PylontechLvInverter;
    static constexpr std::array<Control<PylontechLvInverter>, 13> table{{
        {"help", "help", &I::do_help},
        {"status", "status", &I::do_status},
        {"power", "power WATTS (positive charges, negative discharges)", &I::do_power},
        {"ignore", "ignore on|off (limits, enables, alarms and voltages)", &I::do_ignore},
        {"delay", "delay MILLISECONDS (until a limit is followed)", &I::do_delay},
        {"silent", "silent on|off (sends nothing)", &I::do_silent},
        {"acknowledge", "acknowledge normal|off|extended (0x305, in 11 or 29 bits)", &I::do_acknowledge},
        {"switch-off", "switch-off on|off (a LuxPower asks the battery to)", &I::do_switch_off},
        {"restart", "restart [SECONDS] (forgets everything)", &I::do_restart},
        {"profile", "profile NAME (what it expects)", &I::do_profile},
        {"voltage", "voltage VOLTS|off (a lie about its terminals, of an SMA)", &I::do_voltage},
        {"coarse", "coarse on|off (reads the voltage in steps of 0.1 V)", &I::do_coarse},
        {"report", "report (whether the battery does what it must)", &I::do_report},
    }};
    return table;
}

std::string PylontechLvInverter::command(std::string_view line) { return obey(*this, command_table(), line, answer_); }

std::string PylontechLvInverter::status() const
{
    std::string text =
        std::string{profile_->name} + " " + text_of(terminal_v(), 1) + " V " + text_of(regulator_.current_a(), 1) + " A";
    if (told_.charge)
        text +=
            " may charge " + text_of(number(*told_.charge), 1) + " A, discharge " + text_of(number(*told_.discharge), 1) + " A";
    if (told_.soc) text += " SOC " + text_of(number(*told_.soc), 1) + " %";
    if (standby()) text += " standby for an alarm";
    return battery_lost_ ? text + " battery lost" : text;
}

bool PylontechLvInverter::do_help(const Words&)
{
    answer_ = help_of(command_table());
    return true;
}

bool PylontechLvInverter::do_status(const Words&)
{
    answer_ = "ok " + status();
    return true;
}

bool PylontechLvInverter::do_power(const Words& w) { return set_power(w, regulator_); }

bool PylontechLvInverter::do_ignore(const Words& w) { return set_switch(w, regulator_.ignores_limits); }

bool PylontechLvInverter::do_delay(const Words& w) { return set_delay(w, regulator_); }

bool PylontechLvInverter::do_silent(const Words& w) { return set_switch(w, silent_); }

bool PylontechLvInverter::do_acknowledge(const Words& w)
{
    constexpr std::array<std::string_view, 3> ways{"normal", "off", "extended"};
    const auto* const way = w.size() == 2 ? std::find(ways.begin(), ways.end(), w[1]) : ways.end();
    if (way == ways.end()) return false;
    acknowledge_ = static_cast<Acknowledge>(way - ways.begin());
    return true;
}

bool PylontechLvInverter::do_switch_off(const Words& w) { return set_switch(w, switch_off_); }

bool PylontechLvInverter::do_restart(const Words& w)
{
    const auto time = restart_time(w);
    if (!time) return false;
    forget();
    boot_at_ = regulator_.last() + *time;
    alive_at_ = boot_at_;
    return true;
}

bool PylontechLvInverter::do_profile(const Words& w)
{
    const auto& names = pylontech_lv::profile_names;
    if (w.size() != 2 || std::find(names.begin(), names.end(), w[1]) == names.end()) return false;
    forget();
    expect(pylontech_lv::find_profile(w[1]));
    return true;
}

bool PylontechLvInverter::do_voltage(const Words& w) { return set_or_off(w, lied_v_, 0, 1000); }

bool PylontechLvInverter::do_coarse(const Words& w) { return set_switch(w, coarse_voltage_); }

bool PylontechLvInverter::do_report(const Words&)
{
    answer_ = report_text(report(), "every frame came", "not every frame came");
    return true;
}

}  // namespace batgw::sim
