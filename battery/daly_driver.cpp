#include "battery/daly_driver.hpp"

#include "model/chemistry.hpp"

#include <algorithm>
#include <string>

namespace batgw::daly {
namespace {

constexpr Duration tick = 20ms;
constexpr std::uint64_t lost_frame = 8;  // bytes that belong to nothing: perhaps a frame was among them

std::uint8_t number_in_hex(const std::string& text) { return static_cast<std::uint8_t>(std::stoul(text, nullptr, 16)); }

}  // namespace

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
    spoil();
}

void Driver::spoil()
{
    cells_.spoil();
    code_.spoil();
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
        for (unsigned i = 0; i < (frozen() ? Reading<bool>::refusals_to_bad : 1U); ++i) {
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
    cells_.restart();
    code_.restart();
    skipped_before_ = scanner_.skipped();
    out.send(make_frame(host(), f));
    poll_.asked(topic, now);
}

// What is asked, and how often, by what the board can tell.
void Driver::follow(Instant now)
{
    if (switches_.curious()) poll_.hurry(switches.id, now);
    if (!state_.cell_count) poll_.allow(cell_voltages.id, false);
    if (!cells_.sensors()) poll_.allow(sensor_temperatures.id, false);
    if (poll_.given_up_on(cell_extremes.id)) poll_.set_period(cell_voltages.id, cell_extremes.period);
    if (poll_.given_up_on(temperature_extremes.id)) poll_.set_period(sensor_temperatures.id, temperature_extremes.period);
    if (scanner_.skipped() - skipped_before_ >= lost_frame) spoil();
}

void Driver::report()
{
    Findings now{.faults = faults_,
        .sign = sign_.sign(),
        .sign_found = sign_.is_auto() && sign_.sign() != Sign::undecided,
        .sign_contradicted = sign_.contradicted(),
        .asleep = poll_.asleep(),
        .cells_refused = cells_.refused()};
    for (std::size_t i = 0; i < never_missing.size(); ++i)
        now.missing.set(i, poll_.given_up_on(static_cast<std::uint8_t>(never_missing[i])));
    if (told_ == now) return;
    told_ = now;
    report_findings(now, state_.reported);
}

// The count counts when a whole set of cells has agreed with it; the rest when the board was asked for its capacity and limits,
// so that no fact changes later.
PackFacts Driver::facts() const
{
    PackFacts f;
    if (!cells_.complete() || !state_.cell_count || !poll_.settled(rating.id) || !poll_.settled(cell_limits.id)) return f;
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

}  // namespace batgw::daly
