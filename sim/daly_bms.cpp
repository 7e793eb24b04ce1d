#include "sim/daly_bms.hpp"

#include "sim/numbers.hpp"

#include <algorithm>
#include <cmath>

namespace batgw::sim {

namespace {

constexpr Duration echo_delay = 2ms;  // of a sleeping board
// What the board itself protects, with the values it goes back at. Sensible settings for LFP, made up.
constexpr double cell_high_v = 3.65, cell_high_back_v = 3.50, cell_low_v = 2.60, cell_low_back_v = 2.90;
constexpr double charge_cold_c = -2, charge_cold_back_c = 3, hot_c = 60, hot_back_c = 50;

}  // namespace

DalyBms::DalyBms(const BatteryChoice& choice)
    : model_{{.cells = std::clamp(choice.cells == 0 ? usual_cells : choice.cells, 1U, static_cast<unsigned>(daly::most_cells)),
          .sensors = 2,
          .capacity_ah = 100.0,
          .soc = choice.soc ? number(*choice.soc) / 100.0 : 0.55,
          .temperature_c = choice.temperature ? number(*choice.temperature) : 21.0,
          .ambient_c = choice.temperature ? number(*choice.temperature) : 20.0,
          .seed = choice.seed}},
      chance_{choice.seed + 1}
{}

// ---- the DC side ----

Voltage DalyBms::pack_voltage() const { return quantity<Voltage>(model_.pack_voltage()); }
void DalyBms::set_current(Current current) { current_a_ = number(current); }
Current DalyBms::current() const { return quantity<Current>(flowing_a()); }
Voltage DalyBms::output_voltage() const { return quantity<Voltage>(output_v_); }
Percent DalyBms::true_soc() const { return quantity<Percent>(model_.soc() * 100.0); }
void DalyBms::set_output_voltage(Voltage voltage) { output_v_ = number(voltage); }

double DalyBms::flowing_a() const
{
    const double wanted = current_a_ + beside_a_;
    return conducts(wanted > 0 ? charge_ : discharge_) ? wanted : 0.0;
}

// ---- life ----

Instant DalyBms::on_tick(Instant now, Outbox& out)
{
    if (!started_) started_ = last_ = now;
    if (now > last_) live(now);
    Instant next = now + step;
    while (!line_.empty() && line_.front().at <= now) {
        out.send(line_.front().telegram);
        line_.pop_front();
    }
    if (!line_.empty()) next = std::min(next, line_.front().at);
    return std::max(next, now + 1us);
}

void DalyBms::live(Instant now)
{
    model_.advance(std::chrono::duration<double>(now - last_).count(), flowing_a());
    last_ = now;
    protect();
}

void DalyBms::protect()
{
    const Extremes cells = cell_extremes(), sensors = sensor_extremes();
    const double high = model_.cell_voltage(cells.high), low = model_.cell_voltage(cells.low);
    const double hot = model_.temperature(sensors.high), cold = model_.temperature(sensors.low);
    const auto watch = [this](unsigned byte, unsigned bit, bool set, bool clear) {
        if (set || clear) set_fault(byte, bit, set);
    };
    watch(0, 1, high >= cell_high_v, high <= cell_high_back_v);
    watch(0, 3, low <= cell_low_v, low >= cell_low_back_v);
    watch(1, 1, hot >= hot_c, hot <= hot_back_c);
    watch(1, 3, cold <= charge_cold_c, cold >= charge_cold_back_c);
    watch(1, 5, hot >= hot_c, hot <= hot_back_c);
    charge_.held_off = (faults_[0] & 0x02U) != 0 || (faults_[1] & 0x0AU) != 0;
    discharge_.held_off = (faults_[0] & 0x08U) != 0 || (faults_[1] & 0x20U) != 0;
}

void DalyBms::set_fault(unsigned byte, unsigned bit, bool on)
{
    const auto mask = static_cast<std::uint8_t>(1U << bit);
    faults_[byte] = static_cast<std::uint8_t>(on ? faults_[byte] | mask : faults_[byte] & ~mask);
}

DalyBms::Extremes DalyBms::cell_extremes() const
{
    Extremes e;
    for (unsigned i = 1; i < model_.cells(); ++i) {
        if (model_.cell_voltage(i) < model_.cell_voltage(e.low)) e.low = i;
        if (model_.cell_voltage(i) > model_.cell_voltage(e.high)) e.high = i;
    }
    return e;
}
DalyBms::Extremes DalyBms::sensor_extremes() const
{
    Extremes e;
    for (unsigned i = 1; i < model_.sensors(); ++i) {
        if (model_.temperature(i) < model_.temperature(e.low)) e.low = i;
        if (model_.temperature(i) > model_.temperature(e.high)) e.high = i;
    }
    return e;
}

double DalyBms::shown_soc() const { return std::clamp(frozen_soc_.value_or(model_.soc() * 100.0), 0.0, 100.0); }

// ---- the line ----

void DalyBms::on_bytes(std::span<const std::uint8_t> bytes, Instant at)
{
    for (const std::uint8_t byte : bytes) {
        if (scanner_.push(byte) != daly::Scanner::Outcome::frame || silent_) continue;
        const std::uint8_t address = scanner_.address();
        const bool mine = address == daly::host_upper - 1 + board_ || (address == daly::host_uart && board_ == 1);
        if (asleep_ || echoes_) echo(scanner_.data(), address, at);
        if (asleep_ || !mine || (host_ != 0 && host_ != address)) continue;
        asked(scanner_.data(), at);
    }
}

void DalyBms::echo(const CanFrame& question, std::uint8_t address, Instant at)
{
    const Telegram back = daly::make_frame(address, question);
    line_.push_back({at + echo_delay + byte_time * daly::frame_size, back});
}

// Who is still answering hears no question.
void DalyBms::asked(const CanFrame& question, Instant at)
{
    ++questions_;
    if (at < busy_until_) return;
    answer(question, at);
}

void DalyBms::answer(const CanFrame& question, Instant at)
{
    const auto frames = compose(question);
    if (stopped_.contains(question.id) || chance(lost_percent_)) return;
    Instant when = at + 50ms + std::chrono::milliseconds{chance_.bits() % 31} + delay_;
    if (chatters_) write({.id = 0x9F}, when);
    for (const CanFrame& f : frames) write(f, when);
    busy_until_ = when;
}

void DalyBms::write(const CanFrame& f, Instant& when)
{
    Telegram t = daly::make_frame(board_, f);
    if (chance(damaged_percent_)) t.data[chance_.bits() % t.len] ^= static_cast<std::uint8_t>(1U << chance_.bits() % 8);
    when += byte_time * daly::frame_size;
    line_.push_back({when, t});
}

std::vector<CanFrame> DalyBms::compose(const CanFrame& question)
{
    CanFrame f{.id = question.id, .data = buffer_};
    std::vector<CanFrame> frames;
    switch (question.id) {
    case daly::totals.id: fill_totals(f); break;
    case daly::cell_extremes.id: fill_cell_extremes(f); break;
    case daly::temperature_extremes.id: fill_temperature_extremes(f); break;
    case daly::switches.id: fill_switches(f); break;
    case daly::status.id: fill_status(f); break;
    case daly::cell_voltages.id: frames = several(question.id, (model_.cells() + 2) / 3, 16, 3); break;
    case daly::sensor_temperatures.id: frames = several(question.id, (model_.sensors() + 6) / 7, 3, 7); break;
    case daly::balance.id: f.data.fill(0); break;
    case daly::faults.id:
        for (std::size_t i = 0; i < 8; ++i) f.data[i] = faults_[i] | forced_faults_[i];
        break;
    case daly::rating.id:
        daly::rated_capacity.put(f, quantity<Charge>(model_.capacity_ah()));
        daly::nominal_cell.put(f, quantity<Voltage>(nominal_cell_v));
        break;
    case daly::counters.id:
        daly::total_in.put(f, quantity<Charge>(model_.charged_ah()));
        daly::total_out.put(f, quantity<Charge>(model_.discharged_ah()));
        break;
    case daly::cell_limits.id:
        daly::cell_high_a.put(f, 3550_mV);
        daly::cell_high_b.put(f, 3650_mV);
        daly::cell_low_a.put(f, 2800_mV);
        daly::cell_low_b.put(f, 2600_mV);
        break;
    case daly::firmware.id: f.data = {'N', 'R', '_', '0', '1', '0', '6', ' '}; break;
    case daly::battery_code.id: frames = code_frames(); break;
    case daly::charge_switch.id: obey(charge_, question, f); break;
    case daly::discharge_switch.id: obey(discharge_, question, f); break;
    default: return {};
    }
    if (frames.empty()) frames.push_back(f);
    if (no_data_)
        for (CanFrame& each : frames) each.data.fill(0);
    buffer_ = frames.back().data;
    return frames;
}

void DalyBms::fill_totals(CanFrame& f) const
{
    daly::voltage.put(f, quantity<Voltage>(lied_voltage_.value_or(model_.pack_voltage())));
    f.data[2] = f.data[3] = 0;
    daly::wire_current.put(f, quantity<Current>(wire_a()));
    daly::soc.put(f, quantity<Percent>(shown_soc()));
}

void DalyBms::fill_cell_extremes(CanFrame& f) const
{
    const Extremes e = cell_extremes();
    write_raw(f, daly::cell_max.bits, std::lround(1000.0 * model_.cell_voltage(e.high)));
    write_raw(f, daly::cell_min.bits, std::lround(1000.0 * model_.cell_voltage(e.low)));
    daly::cell_max_number.put(f, e.high + 1);
    daly::cell_min_number.put(f, e.low + 1);
}

void DalyBms::fill_temperature_extremes(CanFrame& f) const
{
    const Extremes e = sensor_extremes();
    write_raw(f, daly::temperature_max.bits, std::clamp(std::lround(model_.temperature(e.high)) + 40, 0L, 255L));
    daly::temperature_max_sensor.put(f, e.high + 1);
    write_raw(f, daly::temperature_min.bits, std::clamp(std::lround(model_.temperature(e.low)) + 40, 0L, 255L));
    daly::temperature_min_sensor.put(f, e.low + 1);
}

void DalyBms::fill_switches(CanFrame& f)
{
    daly::flow.put(f, flowing_a() > 0.5 ? 1 : flowing_a() < -0.5 ? 2 : 0);
    daly::charge_on.put(f, conducts(charge_) ? 1 : 0);
    daly::discharge_on.put(f, conducts(discharge_) ? 1 : 0);
    if (!life_stands_) life_ = static_cast<std::uint8_t>(life_ + 11);
    daly::life.put(f, life_);
    daly::remaining.put(f, quantity<Charge>(std::max(0.0, model_.soc()) * model_.capacity_ah()));
}

void DalyBms::fill_status(CanFrame& f) const
{
    daly::cell_count.put(f, model_.cells());
    daly::sensor_count.put(f, model_.sensors());
    daly::charger_there.put(f, flowing_a() > 0.5 ? 1 : 0);
    daly::load_there.put(f, flowing_a() < -0.5 ? 1 : 0);
    daly::inputs_outputs.put(f, 2);
    daly::cycles.put(f, 42_count);
}

std::vector<CanFrame> DalyBms::several(std::uint32_t command, unsigned needed, unsigned most, unsigned per_frame)
{
    const bool cells = command == daly::cell_voltages.id;
    const unsigned count = frames_ == Frames::all ? most : frames_ == Frames::one_more ? std::min(needed + 1, most) : needed;
    std::vector<CanFrame> frames;
    CanFrame f{.id = command, .data = buffer_};
    for (unsigned n = 0; n < count; ++n) {
        daly::frame_number.put(f, n + (from_zero_ ? 0 : 1));
        if (frames_ == Frames::all) std::fill(f.data.begin() + 1, f.data.end(), std::uint8_t{0});
        for (unsigned k = 0; k < per_frame; ++k) {
            const unsigned i = n * per_frame + k;
            if (cells && i < model_.cells())
                write_raw(f, daly::frame_cells[k].bits, std::lround(1000.0 * model_.cell_voltage(i)));
            if (!cells && i < model_.sensors())
                write_raw(f, daly::frame_sensors[k].bits, std::clamp(std::lround(model_.temperature(i)) + 40, 0L, 255L));
        }
        frames.push_back(f);
    }
    if (backwards_) std::reverse(frames.begin(), frames.end());
    return frames;
}

std::vector<CanFrame> DalyBms::code_frames()
{
    constexpr std::string_view code = "SIMULATED BATTERY";
    std::vector<CanFrame> frames;
    for (unsigned n = 0; n < 5; ++n) {
        CanFrame f{.id = daly::battery_code.id};
        f.data[0] = static_cast<std::uint8_t>(n + 1);
        for (std::size_t k = 0; k < 7; ++k)
            f.data[k + 1] = 7 * n + k < code.size() ? static_cast<std::uint8_t>(code[7 * n + k]) : std::uint8_t{' '};
        frames.push_back(f);
    }
    return frames;
}

void DalyBms::obey(Mosfet& m, const CanFrame& question, CanFrame& f)
{
    ++orders_;
    if (const auto on = daly::switch_on(question)) m.told_on = *on == 1;
    daly::switch_on.put(f, m.told_on ? 1 : 0);
}

}  // namespace batgw::sim
