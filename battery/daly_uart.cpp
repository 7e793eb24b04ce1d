// Daly BMS boards of the older kind ("A5" protocol, until about 2023) on UART or RS485, 9600 bit/s, 8N1. The host asks, the board
// answers. Layout and sources: daly_layout.hpp and docs/protocols/daly-uart.md. Never tried on a real board by us.
#include "battery/daly_driver.hpp"
#include "battery/daly_frame.hpp"
#include "battery/daly_layout.hpp"
#include "battery/values.hpp"
#include "model/driver.hpp"

#include <array>
#include <memory>

namespace batgw {
namespace daly {
namespace {

using battery_values::cell_delta;
using battery_values::milli;
using battery_values::power;

// A board that leaves all limits to us: the rules for such packs (docs/protocols/daly-uart.md), where they are stricter than the
// general ones. What was lost comes back after a minute, what rises must have been possible for 30 s.
void adjust(const BatteryConfig&, SafetyConfig& safety)
{
    safety.hold = 60s;
    safety.increase_settle = 30s;
}

// clang-format off
constexpr std::array values{
    BatteryValue{"",           ValueType::voltage,     1, milli<&BatteryState::voltage>},
    BatteryValue{"",           ValueType::current,     1, milli<&BatteryState::current>},
    BatteryValue{"",           ValueType::power,       0, power},
    BatteryValue{"soc",        ValueType::percent,     1, milli<&BatteryState::soc>},
    BatteryValue{"min",        ValueType::temperature, 0, milli<&BatteryState::temperature_min>},
    BatteryValue{"max",        ValueType::temperature, 0, milli<&BatteryState::temperature_max>},
    BatteryValue{"cell-min",   ValueType::voltage,     3, milli<&BatteryState::cell_voltage_min>},
    BatteryValue{"cell-max",   ValueType::voltage,     3, milli<&BatteryState::cell_voltage_max>},
    BatteryValue{"cell-delta", ValueType::voltage,     3, cell_delta},
    BatteryValue{"remain",     ValueType::amphour,     3, milli<&BatteryState::charge_remaining>},
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
    .sensor_key = "temp",
    .find_telegram = daly::find_frame,
};

}  // namespace batgw
