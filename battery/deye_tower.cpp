#include "battery/deye_tower.hpp"

#include "battery/deye_layout.hpp"

#include <algorithm>
#include <bit>

namespace batgw::deye {
namespace {

constexpr unsigned cell_votes_needed = 3;
constexpr Duration cell_vote_every = 900ms;  // what the modules tell in the same second is one opinion
constexpr Voltage sampling = 300_mV;         // cells and module are measured at different instants, the module in steps of 0.1 V

void set_ages(Module& m)
{
    for (auto* r : {&m.voltage, &m.cell_voltage_min, &m.cell_voltage_max}) r->set_max_age(Tower::one_second_age);
    for (auto* r : {&m.current, &m.charge_limit_current, &m.discharge_limit_current}) r->set_max_age(Tower::one_second_age);
    for (auto* r : {&m.soc, &m.soh}) r->set_max_age(Tower::one_second_age);
    for (auto* r : {&m.temperature_min, &m.temperature_max, &m.temperature_mos, &m.temperature_heater})
        r->set_max_age(Tower::one_second_age);
    for (auto* r : {&m.charge_switch, &m.discharge_switch}) r->set_max_age(Tower::one_second_age);
    for (auto* r : {&m.cycles, &m.balancing, &m.alarms}) r->set_max_age(Tower::one_second_age);
    for (auto* r : {&m.energy_in, &m.energy_out}) r->set_max_age(Tower::slow_age);
}

Count count_of(std::int64_t n) { return Count::from_milli(n * 1000); }

// Printable ASCII only; anything else is no character of a serial number.
bool is_text(std::uint64_t eight)
{
    for (unsigned i = 0; i < 8; ++i) {
        const auto c = static_cast<std::uint8_t>(eight >> (8 * i));
        if (c < ' ' || c > '~') return false;
    }
    return true;
}

}  // namespace

Heard Tower::on_frame(const CanFrame& f, Instant at, BatteryState& state)
{
    const auto first = row_of(f.id);
    if (!first) return Heard::not_mine;
    const unsigned n = f.id - *first;
    if (n >= modules_max) {
        beyond_at_ = at;
        return Heard::implausible;
    }
    if (heard_ && at - *heard_ > gone_after) back_at_ = at;
    heard_ = at;
    Slot& slot = slots_[n];
    slot.heard = at;
    leave(at, state);
    Module& m = module(n, state);
    switch (*first) {
    case module_alarms.id: return on_alarms(f, slot, m, n, at);
    case module_summary.id: return on_summary(f, m, at);
    case module_extremes.id: {
        const Heard heard = on_extremes(f, m, n, at);
        if (heard == Heard::used) count_cells(m, at, state);
        return heard;
    }
    case module_switches.id: return on_switches(f, m, at);
    case module_state.id: return on_state(f, m, at, state);
    case module_firmware.id: return on_firmware(f, m);
    case module_energy.id: return on_energy(f, slot, m, at, state);
    case module_serial_1.id: return on_serial(f, slot, m, true);
    case module_serial_2.id: return on_serial(f, slot, m, false);
    default: return Heard::used;  // counters: a sign of life
    }
}

// The module at this address, made when it is new.
Module& Tower::module(unsigned n, BatteryState& state)
{
    const auto address = static_cast<std::uint8_t>(n + 1);
    auto& all = state.modules;
    std::size_t i = 0;
    while (i < all.size() && all[i].address < address) ++i;
    if (i < all.size() && all[i].address == address) return all[i];
    Module fresh;
    fresh.address = address;
    set_ages(fresh);
    all.push_back(fresh);
    for (std::size_t k = all.size() - 1; k > i; --k) std::swap(all[k], all[k - 1]);
    present_.set(n);
    return all[i];
}

void Tower::leave(Instant at, BatteryState& state)
{
    for (std::size_t i = state.modules.size(); i-- > 0;) {
        const unsigned n = state.modules[i].address - 1U;
        if (at - std::max(*slots_[n].heard, back_at_) <= gone_after) continue;
        state.modules.erase_ordered(i);
        Slot fresh;
        fresh.in = slots_[n].in;
        fresh.out = slots_[n].out;
        slots_[n] = fresh;
        for (Set* set : {&present_, &settled_, &told_extremes_, &told_switches_}) set->reset(n);
    }
}

AlarmBits Tower::alarms(Instant now) const
{
    AlarmBits all = 0;
    for (std::size_t n = 0; n < modules_max; ++n)
        if (present_[n]) all |= slots_[n].alarms.at(now, one_second_age);
    return all;
}

Heard Tower::on_alarms(const CanFrame& f, Slot& slot, Module& m, unsigned n, Instant at)
{
    const auto bits = static_cast<AlarmBits>(read_raw(f, all_tables));
    slot.alarms.hear(bits, at);
    m.alarms.set(count_of(std::popcount(bits)), at, f.id);
    m.charge_switch.set(charge_switch(f), at, f.id);
    m.discharge_switch.set(discharge_switch(f), at, f.id);
    told_switches_.set(n);
    return Heard::used;
}

Heard Tower::on_summary(const CanFrame& f, Module& m, Instant at)
{
    const auto volts = module_voltage(f);
    const auto amps = module_current(f);
    const auto level = module_soc(f), health = module_soh(f);
    if (!volts || !amps || !level || !health) {
        m.voltage.refuse();
        m.current.refuse();
        m.soc.refuse();
        m.soh.refuse();
        return Heard::implausible;
    }
    m.voltage.set(*volts, at, f.id);
    m.current.set(*amps, at, f.id);
    m.soc.set(*level, at, f.id);
    m.soh.set(*health, at, f.id);
    // A single frame is no module.
    if (m.voltage.samples() >= 3) settled_.set(m.address - 1U);
    most_ = std::max(most_, settled_.count());
    return Heard::used;
}

Heard Tower::on_extremes(const CanFrame& f, Module& m, unsigned n, Instant at)
{
    const auto high = cell_max(f), low = cell_min(f);
    const auto hot = temperature_max(f), cold = temperature_min(f);
    if (!high || !low || !hot || !cold || *low > *high || *cold > *hot) {
        m.cell_voltage_min.refuse();
        m.cell_voltage_max.refuse();
        m.temperature_min.refuse();
        m.temperature_max.refuse();
        return Heard::implausible;
    }
    m.cell_voltage_min.set(*low, at, f.id);
    m.cell_voltage_max.set(*high, at, f.id);
    m.temperature_min.set(*cold, at, f.id);
    m.temperature_max.set(*hot, at, f.id);
    told_extremes_.set(n);
    return Heard::used;
}

Heard Tower::on_switches(const CanFrame& f, Module& m, Instant at)
{
    const auto hot = switch_temperature(f), film = heater_temperature(f);
    const auto in = module_charge_limit(f), out = module_discharge_limit(f);
    const bool no_film = read_raw(f, heater_temperature.bits) == no_heater;
    if (!hot || !in || !out || (!film && !no_film)) {
        m.temperature_mos.refuse();
        m.temperature_heater.refuse();
        m.charge_limit_current.refuse();
        m.discharge_limit_current.refuse();
        return Heard::implausible;
    }
    m.temperature_mos.set(*hot, at, f.id);
    if (film) m.temperature_heater.set(*film, at, f.id);
    m.charge_limit_current.set(*in, at, f.id);
    m.discharge_limit_current.set(*out, at, f.id);
    return Heard::used;
}

Heard Tower::on_state(const CanFrame& f, Module& m, Instant at, BatteryState& state)
{
    if (!mode(f) || !fault_level(f)) {
        m.cycles.refuse();
        m.balancing.refuse();
        return Heard::implausible;
    }
    m.cycles.set(*cycles(f), at, f.id);
    m.balancing.set(count_of(std::popcount(static_cast<std::uint64_t>(read_raw(f, balancing.bits)))), at, f.id);
    Count most;
    for (const Module& each : state.modules) most = std::max(most, each.cycles.last().value_or(Count{}));
    state.cycles.set(most, at, f.id);
    return Heard::used;
}

// The digits as the maker's cloud shows them: the bytes 20 04 are "2004".
Heard Tower::on_firmware(const CanFrame& f, Module& m)
{
    constexpr std::string_view digits = "0123456789ABCDEF";
    const auto word = static_cast<std::size_t>(read_raw(f, software.bits));
    const std::array text{digits[word >> 12 & 15U], digits[word >> 8 & 15U], digits[word >> 4 & 15U], digits[word & 15U]};
    m.firmware.assign({text.data(), text.size()});
    return Heard::used;
}

// Of the whole once every module that is there has told; of one that left, its last word stays in the total.
Heard Tower::on_energy(const CanFrame& f, Slot& slot, Module& m, Instant at, BatteryState& state)
{
    slot.in = energy_in(f);
    slot.out = energy_out(f);
    m.energy_in.set(*slot.in, at, f.id);
    m.energy_out.set(*slot.out, at, f.id);
    Energy in, out;
    for (std::size_t n = 0; n < modules_max; ++n) {
        if (present_[n] && !slots_[n].in) return Heard::used;
        in = in + slots_[n].in.value_or(Energy{});
        out = out + slots_[n].out.value_or(Energy{});
    }
    state.energy_in.set(in, at, f.id);
    state.energy_out.set(out, at, f.id);
    return Heard::used;
}

// Told only when both halves are there, and each came twice without a break: a changed serial number is a changed battery for the
// judge, for good, and no checksum guards these frames.
Heard Tower::on_serial(const CanFrame& f, Slot& slot, Module& m, bool first)
{
    const auto half = detail::word(f, Order::big);
    if (!is_text(half)) return Heard::implausible;
    HalfSerial& mine = first ? slot.serial_1 : slot.serial_2;
    if (half == mine.newest) mine.told = half;
    mine.newest = half;
    if (!slot.serial_1.told || !slot.serial_2.told) return Heard::used;
    std::array<char, 16> text{};
    for (unsigned i = 0; i < 8; ++i) {
        text[i] = static_cast<char>(*slot.serial_1.told >> (56 - 8 * i) & 0xFFU);
        text[8 + i] = static_cast<char>(*slot.serial_2.told >> (56 - 8 * i) & 0xFFU);
    }
    m.serial.assign({text.data(), text.size()});
    return Heard::used;
}

// The number of cells is not on the bus. Their sum lies between so many times the lowest and so many times the highest: where
// only one number does that, and it is the nearest to the middle of both, that is it.
void Tower::count_cells(const Module& m, Instant now, BatteryState& state)
{
    const auto pack = m.voltage.fresh(now);
    if (!pack) return;
    const Voltage low = *m.cell_voltage_min.last(), high = *m.cell_voltage_max.last();
    const std::int64_t fewest = ((*pack - sampling).milli() + high.milli() - 1) / high.milli();
    const std::int64_t most = (*pack + sampling).milli() / low.milli();
    const std::int64_t nearest = pack->in((low + high).milli() / 2);
    if (fewest != most || nearest != most) return;
    const auto found = static_cast<unsigned>(nearest);
    const bool again = found == cell_candidate_;
    if (again && now - cell_vote_at_ < cell_vote_every) return;
    cell_votes_ = again ? std::min(cell_votes_ + 1, cell_votes_needed) : 1;
    cell_candidate_ = found;
    cell_vote_at_ = now;
    if (cell_votes_ >= cell_votes_needed) state.cell_count = found;
}

std::optional<Tower::Extremes> Tower::take_extremes(const BatteryState& state)
{
    std::optional<Extremes> all;
    for (const Module& m : state.modules) {
        const auto low = m.cell_voltage_min.last(), high = m.cell_voltage_max.last();
        const auto cold = m.temperature_min.last(), hot = m.temperature_max.last();
        if (!low || !high || !cold || !hot) continue;
        const Extremes one{m.cell_voltage_min.at(), *low, *high, *cold, *hot, m.cell_voltage_min.source()};
        if (!all) {
            all = one;
            continue;
        }
        if (one.at < all->at) {
            all->at = one.at;
            all->source = one.source;
        }
        all->cell_min = std::min(all->cell_min, one.cell_min);
        all->cell_max = std::max(all->cell_max, one.cell_max);
        all->temperature_min = std::min(all->temperature_min, one.temperature_min);
        all->temperature_max = std::max(all->temperature_max, one.temperature_max);
    }
    if (!all) return std::nullopt;
    const bool complete = (told_extremes_ & present_) == present_;
    if (complete) told_extremes_.reset();
    const bool known = state.cell_voltage_min.last() && state.temperature_min.last();
    const bool worse = known &&
        (all->cell_min < state.cell_voltage_min.last() || all->cell_max > state.cell_voltage_max.last() ||
            all->temperature_min < state.temperature_min.last() || all->temperature_max > state.temperature_max.last());
    return complete || worse ? all : std::nullopt;
}

std::optional<Tower::Switches> Tower::take_switches(const BatteryState& state)
{
    Switches all{.at = end_of_time};
    for (const Module& m : state.modules) {
        if (!m.charge_switch.last()) continue;
        all.at = std::min(all.at, m.charge_switch.at());
        all.charge = all.charge || *m.charge_switch.last();
        all.discharge = all.discharge || *m.discharge_switch.last();
    }
    if (all.at == end_of_time) return std::nullopt;
    const bool complete = (told_switches_ & present_) == present_;
    if (complete) told_switches_.reset();
    const bool worse =
        (!all.charge && state.charge_allowed.last() == true) || (!all.discharge && state.discharge_allowed.last() == true);
    return complete || worse ? std::optional{all} : std::nullopt;
}

std::optional<Current> Tower::current(const BatteryState& state, Instant now) const
{
    Current sum;
    if (state.modules.empty()) return std::nullopt;
    for (const Module& m : state.modules) {
        const auto i = m.current.fresh(now);
        if (!i) return std::nullopt;
        sum = sum + *i;
    }
    return sum;
}

}  // namespace batgw::deye
