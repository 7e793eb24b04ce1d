#include "sim/byd_hvs_inverter.hpp"

#include "inverter/byd_hvs_layout.hpp"
#include "sim/inverter_control.hpp"
#include "sim/numbers.hpp"

#include <algorithm>
#include <cmath>

namespace batgw::sim {

namespace {

constexpr Duration ask_every = 2s, dc_every = 1s, soc_every = 5s, clock_every = 10s, goodwe_alive_every = 5s, brand_every = 30s;
constexpr std::uint32_t first_of_june_2025 = 1748736000;

}  // namespace

BydHvsInverter::BydHvsInverter(const InverterChoice& choice)
    : brand_{choice.brand.empty() ? "GOODWE" : choice.brand.substr(0, byd_hvs::piece_length)},
      chance_{choice.seed},
      rhythms_{Rhythm{.id = byd_hvs::limits.id, .longest_allowed = 2100ms},
          Rhythm{.id = byd_hvs::charge_state.id, .longest_allowed = 10500ms},
          Rhythm{.id = byd_hvs::measurements.id, .longest_allowed = 10500ms},
          Rhythm{.id = byd_hvs::temperatures.id, .longest_allowed = 10500ms},
          Rhythm{.id = byd_hvs::counters.id, .longest_allowed = 61s}}
{}

const BydHvsInverter::Rhythm* BydHvsInverter::rhythm(std::uint32_t id) const
{
    const auto found = std::find_if(rhythms_.begin(), rhythms_.end(), [id](const Rhythm& r) { return r.id == id; });
    return found == rhythms_.end() ? nullptr : &*found;
}

void BydHvsInverter::problem(std::string text)
{
    if (problems_.size() == problems_max) problems_.erase(problems_.begin());
    problems_.push_back(std::move(text));
}

// As after a restart: what it was told is gone, what it remembers of the battery's manners is not.
void BydHvsInverter::forget()
{
    told_ = {};
    identity_step_ = 0;
    product_pieces_.clear();
    regulator_.forget();
    battery_lost_ = false;
    served_at_.reset();
    for (Rhythm& r : rhythms_) r.last.reset();
}

// ---- what it hears ----

void BydHvsInverter::on_frame(const CanFrame& f, Instant at)
{
    if (f.extended || f.len != 8 || at < boot_at_) return;  // not awake yet
    if (f.id == byd_hvs::identity.id || f.id == byd_hvs::serial_number.id || f.id == byd_hvs::vendor.id ||
        f.id == byd_hvs::product.id) {
        ++frames_;
        return hear_identity(f);
    }
    if (rhythm(f.id) == nullptr) return;
    ++frames_;
    keep_rhythm(f, at);
    if (!identified_ever_) problem(hex(f.id) + " before the identification was complete");
    if (f.id == byd_hvs::limits.id)
        hear_limits(f, at);
    else if (f.id == byd_hvs::charge_state.id)
        hear_state(f);
    else if (f.id == byd_hvs::measurements.id)
        hear_measurements(f);
    else if (f.id == byd_hvs::temperatures.id) {
        told_.temperature_max = byd_hvs::temperature_max(f);
        told_.temperature_min = byd_hvs::temperature_min(f);
        if (*told_.temperature_min > *told_.temperature_max) problem("lowest temperature above the highest");
    }
}

void BydHvsInverter::keep_rhythm(const CanFrame& f, Instant at)
{
    Rhythm& r = *std::find_if(rhythms_.begin(), rhythms_.end(), [&f](const Rhythm& x) { return x.id == f.id; });
    ++r.count;
    if (r.last) {
        r.longest = std::max(r.longest, at - *r.last);
        r.shortest = std::min(r.shortest, at - *r.last);
    }
    r.last = at;
    r.complained = false;
    battery_lost_ = false;
}

void BydHvsInverter::check_rhythms(Instant now)
{
    for (Rhythm& r : rhythms_) {
        if (!r.last || r.complained || now - *r.last <= r.longest_allowed + lateness) continue;
        r.complained = true;
        problem(hex(r.id) + " late: nothing for " + text_of(std::chrono::duration<double>(now - *r.last).count(), 2) + " s");
    }
}

// The seven frames in their order; a wrong one starts over.
void BydHvsInverter::hear_identity(const CanFrame& f)
{
    constexpr std::array<std::pair<std::uint32_t, std::uint8_t>, 7> order{
        {{0x250, 0}, {0x290, 0}, {0x2D0, 0}, {0x3D0, 0}, {0x3D0, 1}, {0x3D0, 2}, {0x3D0, 3}}};
    const bool has_piece = f.id == byd_hvs::vendor.id || f.id == byd_hvs::product.id;
    const auto [id, index] = order[identity_step_];
    const bool expected = f.id == id && (!has_piece || f.data[0] == index);
    if (!expected) problem("identification out of order: " + hex(f.id));
    if (!expected && f.id != order.front().first) {
        identity_step_ = 0;
        return;
    }
    if (f.id == byd_hvs::identity.id) {
        identity_step_ = 0;
        product_pieces_.clear();
        told_.energy_rated = byd_hvs::energy_rated(f);
        told_.modules = byd_hvs::modules(f).value_or(0);
        if (!told_.energy_rated) problem("rated energy 0");
    } else if (f.id == byd_hvs::vendor.id) {
        told_.vendor = text_in(f, 1);
    } else if (f.id == byd_hvs::product.id) {
        product_pieces_ += text_in(f, 1);
    }
    if (++identity_step_ < order.size()) return;
    identity_step_ = 0;
    told_.product = product_pieces_;
    if (told_.vendor != byd_hvs::vendor_name || !told_.product.starts_with("Battery-Box Premium HV"))
        problem("unknown battery: " + told_.vendor + " " + told_.product);
    ++told_.identifications;
    identified_ever_ = true;
}

void BydHvsInverter::hear_limits(const CanFrame& f, Instant at)
{
    served_at_ = at;
    told_.window_max = byd_hvs::window_max(f);
    told_.window_min = byd_hvs::window_min(f);
    told_.charge = byd_hvs::charge_limit(f);
    told_.discharge = byd_hvs::discharge_limit(f);
    if (*told_.window_min <= 0_V || *told_.window_min >= *told_.window_max) problem("voltage window is none");
    const double charge = number(*told_.charge), discharge = number(*told_.discharge);
    if (std::max(charge, discharge) > highest_sane_a) problem("implausible current limit");
    const bool any = charge > 0 || discharge > 0;
    const bool measured = terminal_v_ || told_.voltage;
    if (any && measured && terminal_v() < 0.5 * number(*told_.window_min))
        problem("limits above 0 without voltage at the terminals");
    served_ = served_ || any;
    regulator_.tell(at, charge, discharge);
}

void BydHvsInverter::hear_state(const CanFrame& f)
{
    told_.soc = byd_hvs::soc(f);
    told_.soh = byd_hvs::soh(f);
    told_.remaining = byd_hvs::remaining(f);
    told_.full = byd_hvs::full(f);
    if (!told_.soc || !told_.soh) problem("state of charge or health above 100 %");
    if (told_.remaining && told_.full && *told_.remaining > *told_.full) problem("more remaining than full capacity");
}

void BydHvsInverter::hear_measurements(const CanFrame& f)
{
    told_.voltage = byd_hvs::voltage(f);
    told_.current = byd_hvs::current(f);
    if (told_.window_max && (*told_.voltage > *told_.window_max + 20_V || *told_.voltage < *told_.window_min - 20_V))
        problem("battery voltage far outside its window");
}

// ---- what it does ----

void BydHvsInverter::set_terminal_voltage(Voltage voltage) { terminal_v_ = number(voltage); }

double BydHvsInverter::terminal_v() const
{
    if (terminal_v_) return *terminal_v_;
    return told_.voltage ? number(*told_.voltage) : 0.0;  // no wires: believe what we are told
}

Current BydHvsInverter::current() const { return quantity<Current>(regulator_.current_a()); }

void BydHvsInverter::regulate(Instant now)
{
    const double v = terminal_v();
    const bool live =
        told_.window_max && told_.window_min && v > 0.9 * number(*told_.window_min) && v < 1.1 * number(*told_.window_max);
    regulator_.stop_charge = obey_soc_ && told_.soc && *told_.soc >= 100_pct;
    regulator_.stop_discharge = obey_soc_ && told_.soc && *told_.soc <= 0_pct;
    regulator_.move(now, v, live && !battery_lost_ && now >= boot_at_);
}

void BydHvsInverter::speak(Instant now, Outbox& out)
{
    const auto due = [now](Instant& next, Duration period) {
        if (now < next) return false;
        next = now + period;
        return true;
    };
    if (ask_now_ || (told_.identifications == 0 && now >= ask_at_)) {
        CanFrame f = byd_hvs::hello.blank();
        byd_hvs::request.put(f, 1);
        out.send(f);
        ask_now_ = false;
        ask_at_ = now + ask_every;
    }
    if (due(brand_at_, brand_every)) {
        CanFrame f = byd_hvs::hello.blank();
        byd_hvs::put_piece(f, brand_, 0);
        out.send(f);
    }
    if (due(dc_at_, dc_every)) {
        CanFrame f = byd_hvs::inverter_dc.blank();
        byd_hvs::inverter_voltage.put(
            f, quantity<Voltage>(std::max(0.0, lied_v_.value_or(terminal_v() + 0.1 * chance_.swing()))));
        byd_hvs::inverter_current.put(f, quantity<Current>(regulator_.current_a() + 0.05 * chance_.swing()));
        byd_hvs::inverter_temperature.put(f, quantity<Temperature>(31.0 + 0.1 * std::abs(regulator_.current_a())));
        out.send(f);
    }
    if (told_.soc && due(soc_at_, soc_every)) {
        CanFrame f = byd_hvs::inverter_soc_echo.blank();
        byd_hvs::inverter_soc.put(f, *told_.soc);
        out.send(f);
    }
    if (due(clock_at_, clock_every)) {
        CanFrame f = byd_hvs::inverter_clock.blank();
        const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(now.time_since_epoch()).count();
        byd_hvs::inverter_time.put(f, first_of_june_2025 + seconds);
        out.send(f);
    }
    if (brand_ == "GOODWE" && due(alive_at_, goodwe_alive_every)) {
        CanFrame f = byd_hvs::inverter_alive.blank();
        f.data = {0x04, 0x04, 0x00, 0x17, 0x00, 0x01, 0x04, 0x00};  // seen from one
        out.send(f);
    }
}

Instant BydHvsInverter::on_tick(Instant now, Outbox& out)
{
    if (!started_) {
        started_ = true;
        boot_at_ = now + boot_time;
        regulator_.start(now);
    }
    regulate(now);
    if (now < boot_at_) return std::min(now + step, boot_at_);
    if (served_at_ && now - *served_at_ > battery_lost_after) battery_lost_ = true;
    if (!silent_) {  // who says nothing cannot complain of silence
        check_rhythms(now);
        speak(now, out);
    }
    return now + step;
}

InverterReport BydHvsInverter::report() const
{
    return {.identified = identified_ever_, .served = served_, .frames = frames_, .problems = problems_};
}

// ---- text control ----

std::span<const Control<BydHvsInverter>> BydHvsInverter::command_table()
{
    using I = BydHvsInverter;
    static constexpr std::array<Control<BydHvsInverter>, 12> table{{
        {"help", "help", &I::do_help},
        {"status", "status", &I::do_status},
        {"power", "power WATTS (positive charges, negative discharges)", &I::do_power},
        {"ignore", "ignore on|off (the current limits)", &I::do_ignore},
        {"obey-soc", "obey-soc on|off (no charging at 100 %, no discharging at 0 %)", &I::do_obey_soc},
        {"delay", "delay MILLISECONDS (until a limit is followed)", &I::do_delay},
        {"silent", "silent on|off (sends nothing)", &I::do_silent},
        {"restart", "restart [SECONDS] (forgets everything and asks again)", &I::do_restart},
        {"identify", "identify (asks once more)", &I::do_identify},
        {"brand", "brand NAME (up to 7 characters)", &I::do_brand},
        {"voltage", "voltage VOLTS|off (a lie about its terminals)", &I::do_voltage},
        {"report", "report (whether the battery does what it must)", &I::do_report},
    }};
    return table;
}

std::string BydHvsInverter::command(std::string_view line) { return obey(*this, command_table(), line, answer_); }

std::string BydHvsInverter::status() const
{
    std::string text = brand_ + " " + text_of(terminal_v(), 1) + " V " + text_of(regulator_.current_a(), 1) + " A";
    if (told_.charge)
        text +=
            " may charge " + text_of(number(*told_.charge), 1) + " A, discharge " + text_of(number(*told_.discharge), 1) + " A";
    if (told_.soc) text += " SOC " + text_of(number(*told_.soc), 1) + " %";
    return battery_lost_ ? text + " battery lost" : text;
}

bool BydHvsInverter::do_help(const Words&)
{
    answer_ = help_of(command_table());
    return true;
}

bool BydHvsInverter::do_status(const Words&)
{
    answer_ = "ok " + status();
    return true;
}

bool BydHvsInverter::do_power(const Words& w) { return set_power(w, regulator_); }

bool BydHvsInverter::do_ignore(const Words& w) { return set_switch(w, regulator_.ignores_limits); }

bool BydHvsInverter::do_obey_soc(const Words& w) { return set_switch(w, obey_soc_); }

bool BydHvsInverter::do_delay(const Words& w) { return set_delay(w, regulator_); }

bool BydHvsInverter::do_silent(const Words& w)
{
    const auto on = w.size() == 2 ? switch_of(w[1]) : std::nullopt;
    if (!on) return false;
    silent_ = *on;
    for (Rhythm& r : rhythms_) r.last.reset();
    return true;
}

bool BydHvsInverter::do_restart(const Words& w)
{
    const auto time = restart_time(w);
    if (!time) return false;
    forget();
    boot_at_ = regulator_.last() + *time;
    ask_at_ = dc_at_ = soc_at_ = clock_at_ = alive_at_ = brand_at_ = boot_at_;
    return true;
}

bool BydHvsInverter::do_identify(const Words&)
{
    ask_now_ = true;
    return true;
}

bool BydHvsInverter::do_brand(const Words& w)
{
    if (w.size() != 2 || w[1].size() > byd_hvs::piece_length) return false;
    brand_ = w[1];
    brand_at_ = Instant{};
    return true;
}

bool BydHvsInverter::do_voltage(const Words& w) { return set_or_off(w, lied_v_, 0, 1000); }

bool BydHvsInverter::do_report(const Words&)
{
    answer_ = report_text(report(), "identified", "not identified");
    return true;
}

}  // namespace batgw::sim
