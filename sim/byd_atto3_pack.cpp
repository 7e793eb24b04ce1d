#include "sim/byd_atto3_pack.hpp"

#include "battery/byd_atto3_layout.hpp"
#include "sim/numbers.hpp"
#include "sim/pack_control.hpp"
#include "sim/words.hpp"

#include <algorithm>
#include <cmath>

namespace batgw::sim {

namespace {

constexpr double charge_kw_max = 100.0, discharge_kw_max = 150.0;

// The bigger packs of the family have one board more.
unsigned sensors_of(unsigned cells) { return cells > 110 ? 10 : 8; }

CanFrame raw(std::uint32_t id, const std::array<std::uint8_t, 8>& data) { return {.id = id, .data = data}; }

}  // namespace

BydAtto3Pack::BydAtto3Pack(const BatteryChoice& choice)
    : model_{{.cells =
                  std::clamp(choice.cells == 0 ? usual_cells : choice.cells, 1U, static_cast<unsigned>(byd_atto3::most_cells)),
          .sensors = sensors_of(choice.cells == 0 ? usual_cells : choice.cells),
          .soc = choice.soc ? number(*choice.soc) / 100.0 : 0.55,
          .temperature_c = choice.temperature ? number(*choice.temperature) : 21.0,
          .ambient_c = choice.temperature ? number(*choice.temperature) : 20.0,
          .seed = choice.seed}},
      uds_{[this](std::uint16_t did) { return lookup(did); }},
      jobs_{job_table()}
{}

std::vector<BydAtto3Pack::Job> BydAtto3Pack::job_table()
{
    using P = BydAtto3Pack;
    return {
        {101ms, &P::send_measurements},                           // documented
        {100ms, &P::send_limits},                                 // documented
        {100ms, &P::send_contactors},                             // thought to be about this
        {100ms, &P::send_cells},                                  // a guess: a page each, 4.2 s for 126 cells
        {200ms, &P::send_voltage},                                // a guess, as are all without a word
        {500ms, &P::send_outside}, {1s, &P::send_cell_extremes},  // documented
        {1s, &P::send_temperature_extremes},                      // documented
        {1s, &P::send_insulation}, {1s, &P::send_sensors}, {1s, &P::send_ambient}, {1s, &P::send_charging},
        {1s, &P::send_identity}, {1s, &P::send_alive}, {5s, &P::send_rare},  // documented
    };
}

// ---- the DC side ----

Voltage BydAtto3Pack::pack_voltage() const { return quantity<Voltage>(model_.pack_voltage()); }
void BydAtto3Pack::set_current(Current current) { current_a_ = number(current); }
Current BydAtto3Pack::current() const { return quantity<Current>(flowing_a()); }
Voltage BydAtto3Pack::output_voltage() const { return quantity<Voltage>(output_v_); }
Percent BydAtto3Pack::true_soc() const { return quantity<Percent>(model_.soc() * 100.0); }
void BydAtto3Pack::set_output_voltage(Voltage voltage)
{
    coupled_ = true;
    output_v_ = number(voltage);
}

// ---- life ----

void BydAtto3Pack::on_frame(const CanFrame& frame, Instant at)
{
    contactors_.on_frame(frame, at);
    uds_.on_frame(frame, at);
}

void BydAtto3Pack::start(Instant now)
{
    started_ = true;
    last_ = now;
    Duration stagger = 3ms;
    for (Job& j : jobs_) {
        j.next = now + stagger;
        stagger += 6ms;
    }
}

void BydAtto3Pack::live(Instant now)
{
    const double seconds = std::chrono::duration<double>(now - last_).count();
    last_ = now;
    model_.advance(seconds, flowing_a());
    if (!coupled_ && seconds > 0) {
        const double pack = model_.pack_voltage();
        if (connection() == Connection::closed)
            output_v_ = pack;
        else if (connection() == Connection::precharge)
            output_v_ += (pack - output_v_) * (1.0 - std::exp(-seconds / precharge_tau_s));
        else
            output_v_ *= std::exp(-seconds / bleed_tau_s);
    }
    contactors_.advance(now, model_.pack_voltage(), flowing_a(), !crashed_);
    const auto& c = contactors_.counts();
    if (c.refused_early_link + c.precharge_failures > seen_.refused_early_link + seen_.precharge_failures)
        store("P1A3400", false);
    seen_ = c;
}

Instant BydAtto3Pack::on_tick(Instant now, Outbox& out)
{
    if (!started_) start(now);
    if (now > last_) live(now);
    Instant next = now + step;
    for (Job& j : jobs_) {
        if (now >= j.next) {
            (this->*j.send)(out);
            j.next += j.period;
            if (j.next <= now) j.next = now + j.period;
        }
        next = std::min(next, j.next);
    }
    Outbox replies;
    next = std::min(next, uds_.on_tick(now, replies));
    for (const CanFrame& f : replies.frames()) emit(f, out, false);
    return std::max(next, now + 1us);
}

// Every frame leaves here, and here it is spoilt when asked to.
void BydAtto3Pack::emit(CanFrame f, Outbox& out, bool sealed)
{
    if (silent_ || stopped_.contains(f.id)) return;
    if (sealed) f = byd_atto3::sealed(f);
    if (corrupted_.contains(f.id)) f.data[7] ^= 0x5A;
    if (const auto length = lengths_.find(f.id); length != lengths_.end()) f.len = length->second;
    out.send(f);
}

double BydAtto3Pack::shown_voltage() const { return lied_voltage_.value_or(model_.pack_voltage()); }
double BydAtto3Pack::shown_soc() const { return std::clamp(frozen_soc_.value_or(model_.soc() * 100.0), 0.0, 100.0); }

// Sized for a car, but fading as the ends of the cells come near.
double BydAtto3Pack::charge_limit_kw() const
{
    if (forced_charge_kw_) return *forced_charge_kw_;
    double highest = 0, coldest = 1000;
    for (unsigned i = 0; i < model_.cells(); ++i) highest = std::max(highest, model_.cell_voltage(i));
    for (unsigned i = 0; i < model_.sensors(); ++i) coldest = std::min(coldest, model_.temperature(i));
    return charge_kw_max * fade(highest, 3.60, 3.42) * fade(coldest, -5, 10);
}
double BydAtto3Pack::discharge_limit_kw() const
{
    if (forced_discharge_kw_) return *forced_discharge_kw_;
    double lowest = 1000, coldest = 1000;
    for (unsigned i = 0; i < model_.cells(); ++i) lowest = std::min(lowest, model_.cell_voltage(i));
    for (unsigned i = 0; i < model_.sensors(); ++i) coldest = std::min(coldest, model_.temperature(i));
    return discharge_kw_max * fade(lowest, 2.75, 3.05) * fade(coldest, -25, 0);
}

// ---- what it sends ----

void BydAtto3Pack::send_measurements(Outbox& out)
{
    CanFrame f = byd_atto3::measurements.blank();
    byd_atto3::voltage_coarse.put(f, quantity<Voltage>(shown_voltage()));
    byd_atto3::current.put(f, quantity<Current>(flowing_a()));
    byd_atto3::health.put(f, 98_pct);
    byd_atto3::soc_coarse.put(f, quantity<Percent>(shown_soc()));
    f.data[6] = 0x98;
    emit(f, out);
}

void BydAtto3Pack::send_voltage(Outbox& out)
{
    CanFrame f = raw(byd_atto3::voltage_frame.id, {0x55, 0x55, 0x01, 0xF6, 0x47});
    byd_atto3::voltage_fine.put(f, quantity<Voltage>(shown_voltage()));
    emit(f, out);
}

void BydAtto3Pack::send_contactors(Outbox& out)
{
    emit(raw(byd_atto3::contactors.id, {contactors_.bits(), contactors_.progress()}), out);
}

void BydAtto3Pack::send_limits(Outbox& out)
{
    CanFrame f = raw(byd_atto3::limits.id, {0, 0, 0, 0, 0, 0xE0, 0x01});
    byd_atto3::discharge_limit.put(f, quantity<Power>(discharge_limit_kw() * 1000.0));
    byd_atto3::charge_limit.put(f, quantity<Power>(charge_limit_kw() * 1000.0));
    emit(f, out);
}

void BydAtto3Pack::send_cell_extremes(Outbox& out)
{
    unsigned low = 0, high = 0;
    for (unsigned i = 1; i < model_.cells(); ++i) {
        if (model_.cell_voltage(i) < model_.cell_voltage(low)) low = i;
        if (model_.cell_voltage(i) > model_.cell_voltage(high)) high = i;
    }
    CanFrame f = byd_atto3::cell_extremes.blank();
    byd_atto3::lowest_cell.put(f, low + 1);
    byd_atto3::cell_min.put(f, quantity<Voltage>(model_.cell_voltage(low)));
    f.data[3] = 0x4D;
    byd_atto3::highest_cell.put(f, high + 1);
    byd_atto3::cell_max.put(f, quantity<Voltage>(model_.cell_voltage(high)));
    emit(f, out);
}

void BydAtto3Pack::send_temperature_extremes(Outbox& out)
{
    unsigned cold = 0, hot = 0;
    double sum = 0;
    for (unsigned i = 0; i < model_.sensors(); ++i) {
        sum += model_.temperature(i);
        if (model_.temperature(i) < model_.temperature(cold)) cold = i;
        if (model_.temperature(i) > model_.temperature(hot)) hot = i;
    }
    CanFrame f = byd_atto3::temperature_extremes.blank();
    byd_atto3::coldest_sensor.put(f, cold + 1);
    byd_atto3::temperature_min.put(f, quantity<Temperature>(model_.temperature(cold)));
    byd_atto3::hottest_sensor.put(f, hot + 1);
    byd_atto3::temperature_max.put(f, quantity<Temperature>(model_.temperature(hot)));
    byd_atto3::soc.put(f, quantity<Percent>(shown_soc()));
    f.data[5] |= 0xF0;  // seen on packs: the field has only 12 bits
    byd_atto3::temperature_avg.put(f, quantity<Temperature>(sum / model_.sensors()));
    emit(f, out);
}

void BydAtto3Pack::send_insulation(Outbox& out)
{
    CanFrame f = raw(byd_atto3::insulation_frame.id, {0x7E, 0x0A});
    byd_atto3::insulation.put(f, quantity<Insulation>(insulation_));
    f.data[4] = static_cast<std::uint8_t>(std::lround(shown_soc()));
    emit(f, out);
}

void BydAtto3Pack::send_outside(Outbox& out)
{
    CanFrame f = raw(byd_atto3::outside_frame.id, {0x01, 0x00, 0x64, 0, 0, 0x63, 0x00});
    byd_atto3::monitor_runs.put(f, true);
    byd_atto3::outside.put(f, quantity<Voltage>(output_v_));
    emit(f, out);
}

void BydAtto3Pack::send_sensors(Outbox& out)
{
    CanFrame f = byd_atto3::sensor_temperatures.blank();
    f.data.fill(0xFF);
    f.data[0] = static_cast<std::uint8_t>(sensor_page_);
    for (unsigned k = 0; k < byd_atto3::sensors_per_page; ++k) {
        const unsigned i = sensor_page_ * static_cast<unsigned>(byd_atto3::sensors_per_page) + k;
        if (i < model_.sensors()) byd_atto3::page_sensors[k].put(f, quantity<Temperature>(model_.temperature(i)));
    }
    emit(f, out);
    sensor_page_ = (sensor_page_ + 1) % 2;
}

void BydAtto3Pack::send_cells(Outbox& out)
{
    CanFrame f = byd_atto3::cell_voltages.blank();
    byd_atto3::cell_page.put(f, cell_page_);
    const auto per_page = static_cast<unsigned>(byd_atto3::cells_per_page);
    for (unsigned k = 0; k < per_page; ++k) {
        const unsigned i = cell_page_ * per_page + k;
        if (i < model_.cells())
            byd_atto3::page_cells[k].put(f, quantity<Voltage>(model_.cell_voltage(i)));
        else
            write_raw(f, byd_atto3::page_cells[k].bits, byd_atto3::no_such_cell);
    }
    emit(f, out);
    const unsigned pages =
        std::min((model_.cells() + per_page - 1) / per_page + 1, static_cast<unsigned>(byd_atto3::most_cells) / per_page);
    cell_page_ = (cell_page_ + 1) % pages;  // one page more than has cells, all of it absent
}

void BydAtto3Pack::send_ambient(Outbox& out)
{
    CanFrame f = byd_atto3::ambient_frame.blank();
    byd_atto3::ambient_page.put(f, ambient_page_ + 1);
    if (ambient_page_ == 0) byd_atto3::ambient.put(f, quantity<Temperature>(model_.temperature(0)));
    emit(f, out);
    ambient_page_ = (ambient_page_ + 1) % 4;
}

void BydAtto3Pack::send_charging(Outbox& out) { emit(raw(byd_atto3::charging.id, {0x00, 0xFF}), out); }

void BydAtto3Pack::send_identity(Outbox& out)
{
    CanFrame f = byd_atto3::identity.blank();
    byd_atto3::identity_page.put(f, identity_page_ + 1);
    if (identity_page_ == 1) {
        byd_atto3::rated_charge.put(f, quantity<Charge>(model_.capacity_ah()));
        byd_atto3::rated_voltage.put(f, quantity<Voltage>(nominal_cell_v * model_.cells()));
    }
    emit(f, out);
    identity_page_ = (identity_page_ + 1) % 5;
}

void BydAtto3Pack::send_alive(Outbox& out)
{
    for (const std::uint32_t id : {0x244U, 0x286U, 0x334U, 0x34AU, 0x445U}) emit(raw(id, {}), out);
    emit(raw(0x338, {0, 0, 0, 0, 0x88, 0x13}), out);  // 5000, constant
    emit(raw(0x360, {turn_++}), out);                 // a counter of something
    emit(raw(0x43B, {1, 61, 2, 60, 0, static_cast<std::uint8_t>(std::lround(shown_soc())), 98}), out);
    emit(raw(0x47B, {0x01, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF}), out, false);
}

void BydAtto3Pack::send_rare(Outbox& out) { emit(raw(0x524, {}), out); }

// ---- diagnostics ----

std::optional<Atto3Uds::Bytes> BydAtto3Pack::lookup(std::uint16_t id) const
{
    const auto one = [](double v) { return Atto3Uds::Bytes{static_cast<std::uint8_t>(std::clamp(std::lround(v), 0L, 255L))}; };
    const auto two = [](double v) {
        const long n = std::clamp(std::lround(v), 0L, 65535L);
        return Atto3Uds::Bytes{static_cast<std::uint8_t>(n & 0xFF), static_cast<std::uint8_t>(n >> 8)};
    };
    double low = 1000, high = 0, cold = 1000, hot = -1000, sum = 0;
    for (unsigned i = 0; i < model_.cells(); ++i) {
        low = std::min(low, model_.cell_voltage(i));
        high = std::max(high, model_.cell_voltage(i));
    }
    for (unsigned i = 0; i < model_.sensors(); ++i) {
        cold = std::min(cold, model_.temperature(i));
        hot = std::max(hot, model_.temperature(i));
        sum += model_.temperature(i);
    }
    namespace did = byd_atto3::did;
    switch (id) {
    case did::full_charges: return two(12);
    case did::soc: return one(shown_soc());
    case did::voltage: return two(shown_voltage());
    case did::current: return two(5000.0 - 10.0 * flowing_a());
    case did::charge_limit: return two(10.0 * charge_limit_kw());
    case did::discharge_limit: return two(10.0 * discharge_limit_kw());
    case did::sessions: return two(60);
    case did::charge_in: return two(model_.charged_ah());
    case did::charge_out: return two(model_.discharged_ah());
    case did::energy_in: return two(model_.charged_kwh());
    case did::energy_out: return two(model_.discharged_kwh());
    case did::cell_min: return two(1000.0 * low);
    case did::cell_max: return two(1000.0 * high);
    case did::temperature_min: return one(cold + 40);
    case did::temperature_max: return one(hot + 40);
    case did::temperature_avg: return one(sum / model_.sensors() + 40);
    case did::calibration:
    case did::calibration_first: {
        Atto3Uds::Bytes data = two(100.0 * shown_soc());
        const Atto3Uds::Bytes capacity = two(100.0 * model_.capacity_ah());
        data.insert(data.end(), capacity.begin(), capacity.end());
        return data;
    }
    default: return std::nullopt;
    }
}

void BydAtto3Pack::store(std::string_view text, bool present)
{
    const std::uint32_t code = trouble_code(text).value_or(0);
    for (TroubleCode& c : uds_.codes)
        if (c.code == code) {
            c.present = present;
            return;
        }
    uds_.codes.push_back({code, present});
}

// ---- text control ----

std::span<const Control<BydAtto3Pack>> BydAtto3Pack::command_table()
{
    using P = BydAtto3Pack;
    static constexpr std::array<Control<BydAtto3Pack>, 19> table{{
        {"help", "help", &P::do_help},
        {"status", "status", &P::do_status},
        {"current", "current AMPERES (positive charges; only without an inverter)", &P::do_current},
        {"soc", "soc PERCENT", &P::do_soc},
        {"silent", "silent on|off (no frame at all)", &P::do_silent},
        {"stop", "stop ID (hexadecimal: no such frame any more)", &P::do_stop},
        {"resume", "resume ID|all", &P::do_resume},
        {"corrupt", "corrupt ID on|off (wrong checksum)", &P::do_corrupt},
        {"length", "length ID BYTES|off (wrong length)", &P::do_length},
        {"cell", "cell NUMBER VOLTS|off (counted from 1)", &P::do_cell},
        {"temp", "temp CELSIUS, or temp SENSOR CELSIUS", &P::do_temp},
        {"contactor", "contactor stuck|never|normal|open|close (open, close: by itself, now)", &P::do_contactor},
        {"dtc", "dtc CODE on|stored|off (such as P1A4100)", &P::do_dtc},
        {"insulation", "insulation OHM_PER_VOLT", &P::do_insulation},
        {"freeze", "freeze on|off (the state of charge stands still)", &P::do_freeze},
        {"voltage", "voltage VOLTS|off (a lie about the pack voltage)", &P::do_voltage},
        {"limit", "limit charge|discharge KILOWATTS|off", &P::do_limit},
        {"crash", "crash on|off (locked: never closes, codes, frozen charge)", &P::do_crash},
        {"mend", "mend (everything above off)", &P::do_mend},
    }};
    return table;
}

std::string BydAtto3Pack::command(std::string_view line) { return obey(*this, command_table(), line, answer_); }

std::string BydAtto3Pack::status() const
{
    constexpr std::array<std::string_view, 5> stages{"open", "asked", "begun", "precharging", "closed"};
    return text_of(model_.pack_voltage(), 1) + " V " + text_of(flowing_a(), 1) + " A " + text_of(model_.soc() * 100.0, 1) +
        " % contactors " + std::string{stages[static_cast<std::size_t>(contactors_.stage())]};
}

bool BydAtto3Pack::do_help(const Words&)
{
    answer_ = help_of(command_table());
    return true;
}

bool BydAtto3Pack::do_status(const Words&)
{
    answer_ = "ok " + status();
    return true;
}

bool BydAtto3Pack::do_current(const Words& w)
{
    const auto amps = w.size() == 2 ? number_of(w[1]) : std::nullopt;
    if (!amps || std::abs(*amps) > 500) return false;
    current_a_ = *amps;
    return true;
}

bool BydAtto3Pack::do_soc(const Words& w)
{
    const auto percent = w.size() == 2 ? number_of(w[1]) : std::nullopt;
    if (!percent || *percent < 0 || *percent > 102) return false;
    model_.set_soc(*percent / 100.0);
    return true;
}

bool BydAtto3Pack::do_silent(const Words& w) { return set_switch(w, silent_); }

bool BydAtto3Pack::do_stop(const Words& w) { return stop_frames(w, stopped_); }

bool BydAtto3Pack::do_resume(const Words& w) { return resume_frames(w, stopped_); }

bool BydAtto3Pack::do_corrupt(const Words& w)
{
    if (w.size() != 3) return false;
    const auto id = identifier_of(w[1]);
    const auto on = switch_of(w[2]);
    if (!id || !on) return false;
    if (*on)
        corrupted_.insert(*id);
    else
        corrupted_.erase(*id);
    return true;
}

bool BydAtto3Pack::do_length(const Words& w) { return set_length(w, lengths_); }

bool BydAtto3Pack::do_cell(const Words& w)
{
    return set_cell(w, 1, [this](std::size_t) -> PackModel& { return model_; });
}

bool BydAtto3Pack::do_temp(const Words& w)
{
    return set_temperature(w, 1, [this](std::size_t) -> PackModel& { return model_; });
}

bool BydAtto3Pack::do_contactor(const Words& w)
{
    const std::string_view what = w.size() == 2 ? w[1] : std::string_view{};
    if (what == "stuck")
        contactors_.set_trouble(Atto3Contactors::Trouble::stuck);
    else if (what == "never")
        contactors_.set_trouble(Atto3Contactors::Trouble::never);
    else if (what == "normal")
        contactors_.set_trouble(Atto3Contactors::Trouble::none);
    else if (what == "open")
        contactors_.open_by_itself(flowing_a());
    else if (what == "close")
        contactors_.close_by_itself();
    else
        return false;
    return true;
}

bool BydAtto3Pack::do_dtc(const Words& w)
{
    if (w.size() != 3 || !trouble_code(w[1])) return false;
    if (w[2] == "off")
        std::erase_if(uds_.codes, [&](const TroubleCode& c) { return c.code == *trouble_code(w[1]); });
    else if (w[2] == "on" || w[2] == "stored")
        store(w[1], w[2] == "on");
    else
        return false;
    return true;
}

bool BydAtto3Pack::do_insulation(const Words& w)
{
    const auto ohms = w.size() == 2 ? number_of(w[1]) : std::nullopt;
    if (!ohms || *ohms < 0 || *ohms > 65534) return false;
    insulation_ = *ohms;
    return true;
}

bool BydAtto3Pack::do_freeze(const Words& w)
{
    const auto on = w.size() == 2 ? switch_of(w[1]) : std::nullopt;
    if (!on) return false;
    if (*on)
        frozen_soc_ = shown_soc();
    else
        frozen_soc_.reset();
    return true;
}

bool BydAtto3Pack::do_voltage(const Words& w) { return set_or_off(w, lied_voltage_, 0, 4095); }

bool BydAtto3Pack::do_limit(const Words& w)
{
    if (w.size() != 3 || (w[1] != "charge" && w[1] != "discharge")) return false;
    const auto kilowatts = number_of(w[2]);
    if (!kilowatts && w[2] != "off") return false;
    if (kilowatts && (*kilowatts < 0 || *kilowatts > 6553)) return false;
    (w[1] == "charge" ? forced_charge_kw_ : forced_discharge_kw_) = kilowatts;
    return true;
}

bool BydAtto3Pack::do_crash(const Words& w)
{
    const auto on = w.size() == 2 ? switch_of(w[1]) : std::nullopt;
    if (!on) return false;
    crashed_ = *on;
    if (crashed_) {
        store("P1A5200", true);
        frozen_soc_ = shown_soc();
    } else {
        std::erase_if(uds_.codes, [](const TroubleCode& c) { return c.code == 0x1A5200; });
        frozen_soc_.reset();
    }
    return true;
}

bool BydAtto3Pack::do_mend(const Words&)
{
    silent_ = crashed_ = false;
    stopped_.clear();
    corrupted_.clear();
    lengths_.clear();
    frozen_soc_.reset();
    lied_voltage_.reset();
    forced_charge_kw_.reset();
    forced_discharge_kw_.reset();
    insulation_ = 7300;
    model_.unpin();
    uds_.codes.clear();
    contactors_.set_trouble(Atto3Contactors::Trouble::none);
    return true;
}

}  // namespace batgw::sim
