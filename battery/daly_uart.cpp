// Daly BMS boards of the older kind ("A5" protocol, until about 2023) on UART or RS485, 9600 bit/s, 8N1. The host asks, the board
// answers. Layout and sources: daly_layout.hpp and docs/protocols/daly-uart.md. Never tried on a real board by us.
#include "battery/daly_faults.hpp"
#include "battery/daly_frame.hpp"
#include "battery/daly_layout.hpp"
#include "battery/daly_poll.hpp"
#include "battery/daly_sign.hpp"
#include "battery/daly_stream.hpp"
#include "battery/daly_switches.hpp"
#include "model/chemistry.hpp"
#include "model/driver.hpp"

#include <algorithm>
#include <array>
#include <string>

namespace batgw {
namespace daly {
namespace {

constexpr Duration tick = 20ms;
constexpr Voltage cell_plausible_min = 1500_mV, cell_plausible_max = 4600_mV;  // of the pack's voltage, per cell
constexpr Voltage extremes_agree = 30_mV;
constexpr Current little_current = 20_A;  // below it, cells and extremes must agree
constexpr unsigned refusals_to_tell = 2;  // of a set of cells; one in a few minutes is normal
constexpr unsigned life_frames = 10;      // SAFE-024
constexpr Duration worse_of_two = 10s;    // two answers further apart have nothing to do with each other
constexpr std::uint64_t lost_frame = 8;   // bytes that belong to nothing: perhaps a frame was among them

class Driver final : public BatteryDriver {
public:
    explicit Driver(const BatterySetup& setup);

    void on_bytes(std::span<const std::uint8_t> bytes, Instant at, HeardCounts& counts) override;
    Instant on_tick(Instant now, const Orders& orders, Outbox& out) override;
    PackFacts facts() const override;

private:
    void damaged(Heard how, HeardCounts& counts);
    Heard on_reply(const CanFrame& f, Instant at);
    Heard decode(const CanFrame& f, Instant at);
    Heard on_totals(const CanFrame& f, Instant at);
    Heard on_cell_extremes(const CanFrame& f, Instant at);
    Heard on_temperature_extremes(const CanFrame& f, Instant at);
    Heard on_switches(const CanFrame& f, Instant at);
    Heard on_status(const CanFrame& f, Instant at);
    Heard on_cells(const CanFrame& f, Instant at);
    Heard on_sensors(const CanFrame& f, Instant at);
    Heard on_balance(const CanFrame& f, Instant at);
    Heard on_faults(const CanFrame& f, Instant at);
    Heard on_rating(const CanFrame& f, Instant at);
    Heard on_counters(const CanFrame& f, Instant at);
    Heard on_cell_limits(const CanFrame& f, Instant at);
    Heard on_code(const CanFrame& f, Instant at);

    bool plausible(Voltage pack) const;
    void take_extremes(Voltage low, Voltage high, std::uint32_t source, Instant at);
    void take_temperatures(Temperature low, Temperature high, std::uint32_t source, Instant at);
    bool is_frozen(std::int64_t counter);
    void permit();
    Heard take_cells(const CellVoltages& cells, Instant at);
    bool cells_agree(const CellVoltages& cells, Voltage low, Voltage high, Instant at) const;
    std::optional<unsigned> cells_known() const { return state_.cell_count ? state_.cell_count : cells_configured_; }
    void answered(const CanFrame& f, bool done, Instant at);
    void refuse(std::uint32_t command);
    void ask(std::size_t topic, Instant now, Outbox& out);
    void follow(Instant now);
    void report();
    std::uint8_t host() const;

    // As configured.
    Chemistry chemistry_;
    std::optional<unsigned> cells_configured_;
    std::optional<Energy> capacity_configured_;
    std::optional<Voltage> voltage_max_configured_, voltage_min_configured_;
    std::uint8_t board_, filler_;
    bool uart_host_, either_host_;
    Current current_max_;

    Scanner scanner_;
    Poll poll_;
    CurrentSign sign_;
    Switches switches_;
    Stream cells_stream_, sensors_stream_, code_stream_;
    Instant wake_ = Instant::min();
    Instant last_byte_{};
    std::uint64_t skipped_before_ = 0;  // when the question under way was sent

    Reading<Voltage> extreme_min_, extreme_max_;  // of the last 0x91
    Reading<Temperature> coldest_, hottest_;
    std::optional<std::int64_t> cell_count_seen_, sensors_, life_;
    unsigned life_same_ = 0;
    std::optional<bool> charge_on_, discharge_on_;
    Instant switches_at_{}, faults_at_{};
    std::optional<CanFrame> faults_;
    std::optional<Charge> rated_;
    std::optional<Voltage> nominal_cell_, cell_high_, cell_low_;
    bool cells_complete_ = false;
    unsigned cells_refused_ = 0;

    // What `reported` was made of.
    struct Told {
        std::optional<CanFrame> faults;
        Sign sign = Sign::undecided;
        bool contradicted = false, asleep = false, cells_refused = false, made = false;
        std::uint64_t missing = 0;
        friend bool operator==(const Told&, const Told&) = default;
    };
    Told told_;
};

std::uint8_t number_in_hex(const std::string& text) { return static_cast<std::uint8_t>(std::stoul(text, nullptr, 16)); }

Driver::Driver(const BatterySetup& setup)
    : chemistry_{setup.config.chemistry},
      cells_configured_{setup.config.cells},
      capacity_configured_{setup.config.capacity},
      voltage_max_configured_{setup.config.voltage_max},
      voltage_min_configured_{setup.config.voltage_min},
      board_{static_cast<std::uint8_t>(setup.config.options.get<std::int64_t>("board"))},
      filler_{number_in_hex(setup.config.options.get<std::string>("filler"))},
      uart_host_{setup.config.options.get<std::string>("host_address") == "0x80"},
      either_host_{board_ == 1 && setup.config.options.get<std::string>("host_address") == "auto"},
      current_max_{Current::from_milli(setup.config.options.get<std::int64_t>("current_max_a") * 1000)},
      poll_{either_host_},
      sign_{setup.config.options.get<std::string>("current_sign")},
      switches_{setup.contactor_mode.value_or(ContactorMode::none) == ContactorMode::bms_command}
{
    set_ages(setup.ages);
    state_.phase = switches_.phase();
    for (auto* r : {&extreme_min_, &extreme_max_}) r->set_max_age(worse_of_two);
    for (auto* r : {&coldest_, &hottest_}) r->set_max_age(worse_of_two);
    state_.charge_remaining.set_max_age(setup.ages[SignalId::contactor]);
    for (auto* r : {&state_.charge_in, &state_.charge_out}) r->set_max_age(std::chrono::hours{2});
    state_.cycles.set_max_age(60s);
    state_.balancing.set_max_age(60s);
    report();
}

std::uint8_t Driver::host() const
{
    if (uart_host_ || (either_host_ && poll_.second_host())) return host_uart;
    return static_cast<std::uint8_t>(host_upper - 1 + board_);
}

void Driver::on_bytes(std::span<const std::uint8_t> bytes, Instant at, HeardCounts& counts)
{
    if (bytes.empty()) return;
    const auto count = [&](Heard heard) { ++counts[static_cast<std::size_t>(heard)]; };
    if (scanner_.partial() && at - last_byte_ >= Stream::gap) {
        scanner_.clear();
        damaged(Heard::bad_length, counts);
    }
    last_byte_ = at;
    poll_.heard(at);
    for (const std::uint8_t byte : bytes) switch (scanner_.push(byte)) {
        case Scanner::Outcome::nothing: break;
        case Scanner::Outcome::bad_length: damaged(Heard::bad_length, counts); break;
        case Scanner::Outcome::bad_checksum: damaged(Heard::bad_checksum, counts); break;
        case Scanner::Outcome::frame:
            if (is_host(scanner_.address())) {
                poll_.echoed();
                count(Heard::not_mine);
            } else {
                count(scanner_.address() == board_ ? on_reply(scanner_.data(), at) : Heard::not_mine);
            }
            break;
        }
}

void Driver::damaged(Heard how, HeardCounts& counts)
{
    ++counts[static_cast<std::size_t>(how)];
    poll_.damaged();
    for (auto* stream : {&cells_stream_, &sensors_stream_, &code_stream_}) stream->spoil();
}

Heard Driver::on_reply(const CanFrame& f, Instant at)
{
    if (f.id == charge_switch.id || f.id == discharge_switch.id) {
        if (!switch_on(f)) return Heard::implausible;
        answered(f, true, at);
        return Heard::used;
    }
    if (!topic_of(f.id)) return Heard::not_mine;
    const Heard heard = decode(f, at);
    if (heard == Heard::implausible && poll_.under_way() == f.id) poll_.damaged();
    return heard;
}

void Driver::answered(const CanFrame& f, bool done, Instant at) { poll_.answered(f.id, done, at); }

Heard Driver::decode(const CanFrame& f, Instant at)
{
    switch (f.id) {
    case totals.id: return on_totals(f, at);
    case cell_extremes.id: return on_cell_extremes(f, at);
    case temperature_extremes.id: return on_temperature_extremes(f, at);
    case switches.id: return on_switches(f, at);
    case status.id: return on_status(f, at);
    case cell_voltages.id: return on_cells(f, at);
    case sensor_temperatures.id: return on_sensors(f, at);
    case balance.id: return on_balance(f, at);
    case faults.id: return on_faults(f, at);
    case rating.id: return on_rating(f, at);
    case counters.id: return on_counters(f, at);
    case cell_limits.id: return on_cell_limits(f, at);
    case battery_code.id: return on_code(f, at);
    default: break;  // nothing in it that anybody needs
    }
    answered(f, true, at);
    return Heard::used;
}

Heard Driver::on_totals(const CanFrame& f, Instant at)
{
    const auto pack = voltage(f);
    const auto wire = wire_current(f);
    const auto charge = soc(f);
    if (!pack || !wire || !charge || !plausible(*pack) || magnitude(*wire) >= current_max_) return Heard::implausible;
    answered(f, true, at);
    state_.heard = at;
    state_.voltage.set(*pack, at, f.id);
    state_.soc.set(*charge, at, f.id);
    sign_.on_current(*wire, at);
    if (const auto current = sign_.apply(*wire)) state_.current.set(*current, at, f.id);
    return Heard::used;
}

bool Driver::plausible(Voltage pack) const
{
    const auto cells = cells_known();
    return !cells || (pack >= cell_plausible_min * *cells && pack <= cell_plausible_max * *cells);
}

Heard Driver::on_cell_extremes(const CanFrame& f, Instant at)
{
    const auto high = cell_max(f), low = cell_min(f);
    if (!high || !low || *high < *low) return Heard::implausible;
    answered(f, true, at);
    take_extremes(*low, *high, f.id, at);
    extreme_min_.set(*low, at);
    extreme_max_.set(*high, at);
    if (const auto n = cell_max_number(f)) state_.cell_max_number.set(Count::from_milli(*n * 1000), at, f.id);
    if (const auto n = cell_min_number(f)) state_.cell_min_number.set(Count::from_milli(*n * 1000), at, f.id);
    return Heard::used;
}

// An eight bit sum lets one damage in 256 through, so that the worse of two readings counts: one wrong answer can lower a limit,
// never raise it.
void Driver::take_extremes(Voltage low, Voltage high, std::uint32_t source, Instant at)
{
    state_.cell_voltage_min.set(std::min(low, extreme_min_.fresh(at).value_or(low)), at, source);
    state_.cell_voltage_max.set(std::max(high, extreme_max_.fresh(at).value_or(high)), at, source);
}

Heard Driver::on_temperature_extremes(const CanFrame& f, Instant at)
{
    const auto high = temperature_max(f), low = temperature_min(f);
    if (!high || !low || *high < *low) return Heard::implausible;
    answered(f, true, at);
    take_temperatures(*low, *high, f.id, at);
    return Heard::used;
}

void Driver::take_temperatures(Temperature low, Temperature high, std::uint32_t source, Instant at)
{
    state_.temperature_min.set(std::min(low, coldest_.fresh(at).value_or(low)), at, source);
    state_.temperature_max.set(std::max(high, hottest_.fresh(at).value_or(high)), at, source);
    coldest_.set(low, at);
    hottest_.set(high, at);
}

Heard Driver::on_switches(const CanFrame& f, Instant at)
{
    const auto way = flow(f), charging = charge_on(f), discharging = discharge_on(f);
    const auto left = remaining(f);
    // All zero: the controller is awake, what measures is not.
    const bool nothing = f.data == CanFrame{}.data;
    if (!way || !charging || !discharging || !left || nothing) return Heard::implausible;
    answered(f, true, at);
    if (is_frozen(*life(f))) {
        refuse(switches.id);
        return Heard::bad_counter;
    }
    charge_on_ = *charging == 1;
    discharge_on_ = *discharging == 1;
    switches_at_ = at;
    sign_.on_flow(*way, at);
    switches_.on_state(*charge_on_, *discharge_on_, poll_.asked_at(switches.id).value_or(at), at, state_);
    state_.charge_remaining.set(*left, at, f.id);
    permit();
    return Heard::used;
}

// "Keeps changing while the board is awake": SAFE-024.
bool Driver::is_frozen(std::int64_t counter)
{
    life_same_ = life_ == counter ? std::min(life_same_ + 1, life_frames) : 0;
    life_ = counter;
    return life_same_ >= life_frames;
}

// A direction is permitted as long as the board tells its faults and does not hold its switch off: as old as the older of the two
// answers. What the board forbids for a reason it says in 0x98, and that blocks by itself.
void Driver::permit()
{
    if (!charge_on_ || !faults_) return;
    const bool faults_older = faults_at_ < switches_at_;
    const Instant at = faults_older ? faults_at_ : switches_at_;
    const auto set = [&](Reading<bool>& allowed, bool on) {
        if (allowed.last() != on || allowed.at() != at) allowed.set(on, at, faults_older ? faults.id : switches.id);
    };
    const bool ours = !switches_.off_is_refusal();
    set(state_.charge_allowed, *charge_on_ || ours);
    set(state_.discharge_allowed, *discharge_on_ || ours);
}

Heard Driver::on_status(const CanFrame& f, Instant at)
{
    const auto cells = cell_count(f), sensors = sensor_count(f);
    if (!cells || !sensors || !charger_there(f) || !load_there(f)) return Heard::implausible;
    answered(f, true, at);
    // Twice the same, or what was configured.
    const bool certain = cell_count_seen_ == cells || (cells_configured_ && *cells_configured_ == *cells);
    cell_count_seen_ = *cells;
    if (!certain) {
        poll_.hurry(status.id, at);
        return Heard::used;
    }
    state_.cell_count = static_cast<unsigned>(*cells);
    sensors_ = *sensors;
    state_.cycles.set(*cycles(f), at, f.id);
    poll_.allow(cell_voltages.id, true);
    poll_.allow(sensor_temperatures.id, *sensors > 0);
    return Heard::used;
}

Heard Driver::on_cells(const CanFrame& f, Instant at)
{
    if (!state_.cell_count) return Heard::not_mine;
    const std::size_t count = *state_.cell_count, per_frame = cells_per_frame;
    switch (cells_stream_.take(f, (count + per_frame - 1) / per_frame, at)) {
    case Stream::Taken::invalid: return Heard::implausible;
    case Stream::Taken::surplus: return Heard::used;
    case Stream::Taken::more: answered(f, false, at); return Heard::used;
    case Stream::Taken::complete: break;
    }
    CellVoltages cells;
    cells.count = count;
    for (std::size_t i = 0; i < count; ++i) cells.set(i, frame_cells[i % per_frame](cells_stream_.frame(i / per_frame)));
    const Heard heard = take_cells(cells, at);
    if (heard == Heard::used) answered(f, true, at);
    return heard;
}

// A set is believed as a whole or not at all, and only when it agrees with what 0x90 and 0x91 say.
Heard Driver::take_cells(const CellVoltages& cells, Instant at)
{
    Voltage low = 5000_mV, high{}, sum{};
    bool whole = true;
    for (std::size_t i = 0; i < cells.count; ++i) {
        const auto v = cells[i];
        whole = whole && v;
        if (!v) continue;
        low = std::min(low, *v);
        high = std::max(high, *v);
        sum = sum + *v;
    }
    state_.cell_gap = !whole;
    const auto pack = state_.voltage.fresh(at);
    const bool sum_fits = pack && magnitude(sum - *pack) <= std::max(500_mV, share(2_pct, *pack));
    if (!whole || !sum_fits || !cells_agree(cells, low, high, at)) {
        cells_refused_ = std::min(cells_refused_ + 1, refusals_to_tell);
        return Heard::implausible;
    }
    cells_refused_ = 0;
    cells_complete_ = true;
    state_.cells.set(cells, at, cell_voltages.id);
    // A board that never tells its extremes: they are in here too.
    if (poll_.given_up_on(cell_extremes.id)) {
        take_extremes(low, high, cell_voltages.id, at);
        extreme_min_.set(low, at);
        extreme_max_.set(high, at);
    }
    return Heard::used;
}

bool Driver::cells_agree(const CellVoltages&, Voltage low, Voltage high, Instant at) const
{
    if (poll_.given_up_on(cell_extremes.id)) return true;
    const auto told_low = extreme_min_.fresh(at), told_high = extreme_max_.fresh(at);
    const auto current = state_.current.fresh(at);
    const bool calm = current && magnitude(*current) < little_current;
    if (!told_low || !told_high) return false;
    return !calm || (magnitude(low - *told_low) <= extremes_agree && magnitude(high - *told_high) <= extremes_agree);
}

Heard Driver::on_sensors(const CanFrame& f, Instant at)
{
    if (!sensors_ || *sensors_ == 0) return Heard::not_mine;
    const auto count = static_cast<std::size_t>(*sensors_), per_frame = static_cast<std::size_t>(sensors_per_frame);
    switch (sensors_stream_.take(f, (count + per_frame - 1) / per_frame, at)) {
    case Stream::Taken::invalid: return Heard::implausible;
    case Stream::Taken::surplus: return Heard::used;
    case Stream::Taken::more: answered(f, false, at); return Heard::used;
    case Stream::Taken::complete: break;
    }
    SensorTemperatures sensors;
    sensors.count = count;
    std::optional<Temperature> low, high;
    bool whole = true;
    for (std::size_t i = 0; i < count; ++i) {
        const auto t = frame_sensors[i % per_frame](sensors_stream_.frame(i / per_frame));
        sensors.set(i, t);
        whole = whole && t;
        if (!t) continue;
        low = std::min(low.value_or(*t), *t);
        high = std::max(high.value_or(*t), *t);
    }
    answered(f, true, at);
    state_.temperatures.set(sensors, at, f.id);
    // As with the cells; a sensor that is missing leaves the lowest unknown, not cold.
    if (whole && poll_.given_up_on(temperature_extremes.id)) take_temperatures(*low, *high, f.id, at);
    return Heard::used;
}

Heard Driver::on_balance(const CanFrame& f, Instant at)
{
    answered(f, true, at);
    state_.balancing.set(CellFlags{static_cast<unsigned long long>(*balancing(f))}, at, f.id);
    return Heard::used;
}

Heard Driver::on_faults(const CanFrame& f, Instant at)
{
    answered(f, true, at);
    faults_ = f;
    faults_at_ = at;
    permit();
    return Heard::used;
}

Heard Driver::on_rating(const CanFrame& f, Instant at)
{
    const auto capacity = rated_capacity(f);
    const auto nominal = nominal_cell(f);
    if (!capacity || !nominal) return Heard::implausible;
    answered(f, true, at);
    rated_ = capacity;
    nominal_cell_ = nominal;
    return Heard::used;
}

Heard Driver::on_counters(const CanFrame& f, Instant at)
{
    const auto in = total_in(f), out = total_out(f);
    if (!in || !out) return Heard::implausible;
    answered(f, true, at);
    state_.charge_in.set(*in, at, f.id);
    state_.charge_out.set(*out, at, f.id);
    return Heard::used;
}

// Where the board itself would act. The stricter of each two: which is the warning differs between boards.
Heard Driver::on_cell_limits(const CanFrame& f, Instant at)
{
    const auto high_a = cell_high_a(f), high_b = cell_high_b(f), low_a = cell_low_a(f), low_b = cell_low_b(f);
    if (!high_a || !high_b || !low_a || !low_b) return Heard::implausible;
    const Voltage high = std::min(*high_a, *high_b), low = std::max(*low_a, *low_b);
    if (high <= low) return Heard::implausible;
    answered(f, true, at);
    cell_high_ = high;
    cell_low_ = low;
    return Heard::used;
}

// Five frames with text of the owner; nothing in it that anybody needs, but the line is busy until all have come.
Heard Driver::on_code(const CanFrame& f, Instant at)
{
    constexpr std::size_t frames = 5;
    const auto taken = code_stream_.take(f, frames, at);
    if (taken == Stream::Taken::invalid || !text_number(f)) return Heard::implausible;
    answered(f, taken == Stream::Taken::complete, at);
    return Heard::used;
}

// An answer came and was wrong: what it carries loses standing (SAFE-024, SAFE-025). Sets of cells and sensors only grow old: one
// of several frames is damaged too easily.
void Driver::refuse(std::uint32_t command)
{
    switch (command) {
    case totals.id:
        state_.voltage.refuse();
        state_.current.refuse();
        state_.soc.refuse();
        break;
    case cell_extremes.id:
        state_.cell_voltage_min.refuse();
        state_.cell_voltage_max.refuse();
        break;
    case temperature_extremes.id:
        state_.temperature_min.refuse();
        state_.temperature_max.refuse();
        break;
    case switches.id:
        // A counter that stands still for ten answers is as bad as five wrong ones.
        for (unsigned i = 0; i < (life_same_ >= life_frames ? Reading<bool>::refusals_to_bad : 1U); ++i) {
            state_.contactor.refuse();
            state_.charge_allowed.refuse();
            state_.discharge_allowed.refuse();
        }
        break;
    case faults.id:
        state_.charge_allowed.refuse();
        state_.discharge_allowed.refuse();
        break;
    default: break;
    }
}

Instant Driver::on_tick(Instant now, const Orders& orders, Outbox& out)
{
    if (now < wake_) return wake_;
    wake_ = now + tick;
    if (const auto ended = poll_.expire(now); ended && (ended->damaged || scanner_.partial())) refuse(ended->command);
    switches_.on_tick(now, orders.contactors, state_);
    follow(now);
    report();
    if (!poll_.may_send(now)) return wake_;
    if (const auto order = switches_.wanted()) {
        CanFrame f{.id = order->command};
        switch_on.put(f, order->on ? 1 : 0);
        out.send(make_frame(host(), f));
        scanner_.clear();
        poll_.ordered(order->command, now);
        switches_.sent(*order, now);
    } else if (const auto topic = poll_.next(now)) {
        ask(*topic, now, out);
    }
    return wake_;
}

void Driver::ask(std::size_t topic, Instant now, Outbox& out)
{
    CanFrame f{.id = topics[topic].command};
    f.data.fill(filler_);
    scanner_.clear();  // what is left of before is no part of the answer
    cells_stream_.restart();
    sensors_stream_.restart();
    code_stream_.restart();
    skipped_before_ = scanner_.skipped();
    out.send(make_frame(host(), f));
    poll_.asked(topic, now);
}

// What is asked, and how often, by what the board can tell.
void Driver::follow(Instant now)
{
    if (switches_.curious()) poll_.hurry(switches.id, now);
    if (!state_.cell_count) poll_.allow(cell_voltages.id, false);
    if (!sensors_) poll_.allow(sensor_temperatures.id, false);
    if (poll_.given_up_on(cell_extremes.id)) poll_.set_period(cell_voltages.id, cell_extremes.period);
    if (poll_.given_up_on(temperature_extremes.id)) poll_.set_period(sensor_temperatures.id, temperature_extremes.period);
    if (scanner_.skipped() - skipped_before_ >= lost_frame)
        for (auto* stream : {&cells_stream_, &sensors_stream_, &code_stream_}) stream->spoil();
}

void Driver::report()
{
    constexpr std::array never_missing{cell_extremes.id, temperature_extremes.id, switches.id, status.id, cell_voltages.id,
        sensor_temperatures.id, balance.id, faults.id};
    Told now{.faults = faults_,
        .sign = sign_.sign(),
        .contradicted = sign_.contradicted(),
        .asleep = poll_.asleep(),
        .cells_refused = cells_refused_ >= refusals_to_tell,
        .made = true};
    for (std::size_t i = 0; i < never_missing.size(); ++i)
        if (poll_.given_up_on(static_cast<std::uint8_t>(never_missing[i]))) now.missing |= 1ULL << i;
    if (now == told_) return;
    told_ = now;

    Reports reports;
    if (faults_) report_faults(*faults_, sign_.sign() == Sign::discharge_positive, reports);
    for (std::size_t i = 0; i < never_missing.size(); ++i) {
        if ((now.missing >> i & 1U) == 0) continue;
        // Without switches and faults nobody may use the pack.
        const bool needed = never_missing[i] == switches.id || never_missing[i] == faults.id;
        constexpr std::string_view digits = "12345678";
        std::string_view name = "no_answer_0x9";
        std::array<char, 14> text{};
        *std::copy(name.begin(), name.end(), text.begin()) = digits[never_missing[i] - cell_extremes.id];
        reports.add(needed ? FaultClass::block : FaultClass::info, needed ? Direction::both : Direction::none,
            {text.data(), text.size()});
    }
    if (now.asleep) reports.add(FaultClass::warn, Direction::none, "asleep");
    if (now.contradicted) reports.add(FaultClass::warn, Direction::none, "current_sign_wrong");
    if (now.sign == Sign::undecided) reports.add(FaultClass::warn, Direction::none, "current_sign_unknown");
    if (sign_.is_auto() && now.sign == Sign::discharge_positive)
        reports.add(FaultClass::info, Direction::none, "sign:discharge_positive");
    if (sign_.is_auto() && now.sign == Sign::charge_positive)
        reports.add(FaultClass::info, Direction::none, "sign:charge_positive");
    if (now.cells_refused) reports.add(FaultClass::warn, Direction::none, "cells_disagree");
    reports.write(state_.reported);
}

// The count counts when a whole set of cells has agreed with it; the rest when the board was asked for its capacity and limits,
// so that no fact changes later.
PackFacts Driver::facts() const
{
    PackFacts f;
    if (!cells_complete_ || !state_.cell_count || !poll_.settled(rating.id) || !poll_.settled(cell_limits.id)) return f;
    f.cells = state_.cell_count;
    const SafetyConfig::Cell rules = cell_rules(chemistry_);
    f.voltage_max = std::min(
        voltage_max_configured_.value_or(2000_V), std::min(rules.block_high, cell_high_.value_or(rules.block_high)) * *f.cells);
    f.voltage_min = std::max(
        voltage_min_configured_.value_or(Voltage{}), std::max(rules.block_low, cell_low_.value_or(rules.block_low)) * *f.cells);
    f.voltage_nominal = (*f.voltage_max + *f.voltage_min) / 2;
    f.energy_rated = capacity_configured_;
    if (!f.energy_rated && rated_ && nominal_cell_) f.energy_rated = *nominal_cell_ * *f.cells * *rated_;
    return f;
}

// A board that leaves all limits to us: the rules for such packs (docs/protocols/daly-uart.md), where they are stricter than the
// general ones. What was lost comes back after a minute, what rises must have been possible for 30 s.
void adjust(const BatteryConfig&, SafetyConfig& safety)
{
    safety.hold = 60s;
    safety.increase_settle = 30s;
}

template <auto Member>
std::optional<std::int64_t> milli(const BatteryState& state, Instant now)
{
    const auto value = (state.*Member).fresh(now);
    return value ? std::optional{value->milli()} : std::nullopt;
}
std::optional<std::int64_t> cell_delta(const BatteryState& state, Instant now)
{
    const auto low = milli<&BatteryState::cell_voltage_min>(state, now),
               high = milli<&BatteryState::cell_voltage_max>(state, now);
    return low && high ? std::optional{*high - *low} : std::nullopt;
}

// clang-format off
constexpr std::array values{
    BatteryValue{"",           ValueType::voltage,     1, milli<&BatteryState::voltage>},
    BatteryValue{"",           ValueType::current,     1, milli<&BatteryState::current>},
    BatteryValue{"soc",        ValueType::percent,     1, milli<&BatteryState::soc>},
    BatteryValue{"min",        ValueType::temperature, 0, milli<&BatteryState::temperature_min>},
    BatteryValue{"max",        ValueType::temperature, 0, milli<&BatteryState::temperature_max>},
    BatteryValue{"cell-min",   ValueType::voltage,     3, milli<&BatteryState::cell_voltage_min>},
    BatteryValue{"cell-max",   ValueType::voltage,     3, milli<&BatteryState::cell_voltage_max>},
    BatteryValue{"cell-delta", ValueType::voltage,     3, cell_delta},
    BatteryValue{"remaining",  ValueType::amphour,     3, milli<&BatteryState::charge_remaining>},
    BatteryValue{"cycles",     ValueType::count,       0, milli<&BatteryState::cycles>},
    BatteryValue{"charged",    ValueType::amphour,     0, milli<&BatteryState::charge_in>},
    BatteryValue{"discharged", ValueType::amphour,     0, milli<&BatteryState::charge_out>},
};

constexpr std::array<std::string_view, 3> signs{"discharge_positive", "charge_positive", "auto"};
constexpr std::array<std::string_view, 3> hosts{"auto", "0x40", "0x80"};
constexpr std::array<std::string_view, 2> fillers{"0x00", "0xAA"};
constexpr std::array options{
    OptionRule{.name = "current_sign", .type = OptionType::choice, .default_text = "discharge_positive", .choices = signs,
        .help = "what the board counts upwards; auto finds out while current flows, and until then there is no power"},
    OptionRule{.name = "board", .type = OptionType::integer, .default_text = "1", .min = 1, .max = 16,
        .help = "which of several boards on one RS485 line"},
    OptionRule{.name = "host_address", .type = OptionType::choice, .default_text = "auto", .choices = hosts,
        .help = "what we call ourselves; auto tries 0x80 where 0x40 (0x3F and the number of the board) is never answered"},
    OptionRule{.name = "filler", .type = OptionType::choice, .default_text = "0x00", .choices = fillers,
        .help = "data bytes of a question; with 0xAA some boards are said to lose fewer answers"},
    OptionRule{.name = "current_max_a", .type = OptionType::integer, .default_text = "1000", .min = 10, .max = 3000,
        .help = "A; a current of this much or more is no reading"},
};
// clang-format on

template <const auto&... M>
constexpr std::array<RxRule, sizeof...(M)> rules_for_reading()
{
    return {RxRule{M.id}...};
}
// A question waits no longer than its answer is waited for.
constexpr TxRule question(std::uint32_t id)
{
    return {.id = id, .len = frame_size, .min_spacing = 100ms, .period = 300ms, .carries_verdict = false};
}
template <const auto&... M>
constexpr std::array<TxRule, sizeof...(M) + 2> rules_for_sending()
{
    return {question(M.id)..., TxRule{.id = discharge_switch.id, .len = frame_size, .min_spacing = 100ms, .period = 300ms},
        TxRule{.id = charge_switch.id, .len = frame_size, .min_spacing = 100ms, .period = 300ms}};
}
constexpr auto receives =
    rules_for_reading<totals, cell_extremes, temperature_extremes, switches, status, cell_voltages, sensor_temperatures, balance,
        faults, rating, board_sizes, counters, make, firmware, battery_code, cell_limits, discharge_switch, charge_switch>();
constexpr auto sends = rules_for_sending<totals, cell_extremes, temperature_extremes, switches, status, cell_voltages,
    sensor_temperatures, balance, faults, rating, board_sizes, counters, make, firmware, battery_code, cell_limits>();

constexpr BatteryProfile make_profile()
{
    BatteryProfile p{.chemistry = Chemistry::lfp,
        .contactor_mode = ContactorMode::none,
        .verified = Verification::replay,
        .states_contactor = true,
        .wants_cell_count = true,
        .commands_contactors = true,
        .count_from_battery = true};
    const auto provide = [&p](SignalId id, Duration period, std::optional<Duration> max_age = {}) {
        p.signals[index(id)] = {true, period, max_age};
    };
    provide(SignalId::flags, faults.period, 3s);
    provide(SignalId::contactor, switches.period, 3s);
    provide(SignalId::current, totals.period, 3s);
    provide(SignalId::voltage, totals.period, 3s);
    provide(SignalId::cell_voltage_max, cell_extremes.period, 6s);
    provide(SignalId::cell_voltage_min, cell_extremes.period, 6s);
    // With the ramp of three seconds nothing is granted ten seconds after the last temperature.
    provide(SignalId::temperature_min, temperature_extremes.period, 7s);
    provide(SignalId::temperature_max, temperature_extremes.period, 7s);
    provide(SignalId::soc, totals.period, 7s);
    provide(SignalId::cells, cell_voltages.period, 60s);
    provide(SignalId::temperatures, sensor_temperatures.period, 60s);
    return p;
}

}  // namespace
}  // namespace daly

extern const BatteryDriverInfo daly_uart_driver;
const BatteryDriverInfo daly_uart_driver{
    .name = "daly-uart",
    .models = "Daly BMS of the older kind (frames 0xA5) on UART or RS485; newer boards (H, K, M, S) speak another protocol",
    .serial = SerialLine{9600},
    .profile = daly::make_profile(),
    .make = [](const BatterySetup& setup) -> std::unique_ptr<BatteryDriver> { return std::make_unique<daly::Driver>(setup); },
    .adjust = daly::adjust,
    .options = daly::options,
    .messages = message_views<daly::totals, daly::cell_extremes, daly::temperature_extremes, daly::switches, daly::status,
        daly::cell_voltages, daly::sensor_temperatures, daly::balance, daly::faults, daly::rating, daly::board_sizes,
        daly::counters, daly::make, daly::firmware, daly::battery_code, daly::cell_limits, daly::discharge_switch,
        daly::charge_switch>,
    .receives = daly::receives,
    .sends = daly::sends,
    .values = daly::values,
    .cell_key = "cell",
    .sensor_key = "pack",
};

}  // namespace batgw
