// Any bytes at all, as frames and calls at any pace: no driver crashes, floods its bus, sends what is not on its list, or stands
// still.
#include "battery/registry.hpp"
#include "inverter/registry.hpp"
#include "model/driver.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <span>
#include <string>
#include <vector>

using namespace batgw;

namespace {

void demand(bool truth)
{
    if (!truth) __builtin_trap();
}

Options options_of(std::span<const OptionRule> rules)
{
    Options options;
    for (const OptionRule& rule : rules) {
        const std::string text{rule.default_text};
        switch (rule.type) {
        case OptionType::boolean: options.set(rule.name, text == "true"); break;
        case OptionType::integer: options.set(rule.name, std::int64_t{std::stoll(text)}); break;
        case OptionType::number: options.set(rule.name, std::stod(text)); break;
        default: options.set(rule.name, text); break;
        }
    }
    return options;
}

// The input, taken from the front; zeros when it is used up.
class Input {
public:
    explicit Input(std::span<const std::uint8_t> bytes) : bytes_{bytes} {}
    bool empty() const { return bytes_.empty(); }
    std::uint8_t byte()
    {
        if (bytes_.empty()) return 0;
        const std::uint8_t b = bytes_.front();
        bytes_ = bytes_.subspan(1);
        return b;
    }
    // Mostly an id that the driver reads, and of the right length.
    CanFrame frame(std::span<const RxRule> reads)
    {
        const std::uint8_t how = byte(), which = byte();
        CanFrame f{.id = static_cast<std::uint32_t>(how & 7U) << 8 | which};
        if (how < 0xF0 && !reads.empty()) {
            f.id = reads[which % reads.size()].id;
            f.extended = reads[which % reads.size()].extended;
        } else {
            f.len = byte() % 9;
            f.extended = (how & 8U) != 0;
        }
        for (auto& b : f.data) b = byte();
        // A checksum as many protocols have it would stop nearly every frame at the door.
        if (how % 2 == 0) {
            unsigned sum = 0;
            for (std::size_t i = 0; i < 7; ++i) sum += f.data[i];
            f.data[7] = static_cast<std::uint8_t>(0xFFU - (sum & 0xFFU));
        }
        return f;
    }
    // Bytes of a serial line: as they are, or as a frame of a start byte, address, command, length and sum.
    std::vector<std::uint8_t> line(std::span<const RxRule> reads)
    {
        const std::uint8_t how = byte();
        std::vector<std::uint8_t> data;
        if (how < 0x60 || reads.empty()) {
            for (std::size_t n = how % 64U; n > 0; --n) data.push_back(byte());
            return data;
        }
        data = {0xA5, static_cast<std::uint8_t>(how < 0xF0 ? 1 : byte()),
            static_cast<std::uint8_t>(reads[byte() % reads.size()].id), 8};
        unsigned sum = 0;
        for (int i = 0; i < 8; ++i) data.push_back(byte());
        for (const std::uint8_t b : data) sum += b;
        data.push_back(static_cast<std::uint8_t>(sum));
        return data;
    }
    // 0 to 20 s, mostly short.
    Duration pause()
    {
        const std::uint8_t b = byte();
        return b < 200 ? std::chrono::milliseconds{b} : std::chrono::milliseconds{(b - 199) * 350};
    }

private:
    std::span<const std::uint8_t> bytes_;
};

void check_sent(const Outbox& out, std::span<const TxRule> sends)
{
    demand(out.lost() == 0);
    for (const CanFrame& f : out.frames())
        demand(std::any_of(sends.begin(), sends.end(),
            [&](const TxRule& r) { return r.id == f.id && r.len == f.len && r.extended == f.extended; }));
    for (const Telegram& t : out.telegrams())
        demand(std::any_of(sends.begin(), sends.end(), [&](const TxRule& r) { return r.id == t.id && r.len == t.len; }));
}

void check(const BatteryState& s)
{
    for (const auto* v : {&s.cell_voltage_min, &s.cell_voltage_max})
        demand(!v->last() || (*v->last() >= 500_mV && *v->last() <= 5_V));
    demand(!s.soc.last() || (*s.soc.last() >= 0_pct && *s.soc.last() <= 100_pct));
    demand(!s.voltage.last() || (*s.voltage.last() > 0_V && *s.voltage.last() <= 1000_V));
    demand(!s.charge_limit.last() || *s.charge_limit.last() >= 0_W);
    demand(!s.discharge_limit.last() || *s.discharge_limit.last() >= 0_W);
    if (const auto cells = s.cells.last()) demand(cells->count <= CellVoltages::capacity);
    if (const auto sensors = s.temperatures.last()) demand(sensors->count <= SensorTemperatures::capacity);
    demand(!s.cell_count || (*s.cell_count > 0 && *s.cell_count <= CellVoltages::capacity));
}

void run(const BatteryDriverInfo& info, Input in)
{
    const std::uint8_t choice = in.byte();
    BatteryConfig config;
    config.options = options_of(info.options);
    if ((choice & 1U) != 0) config.cells = 126;
    AgeLimits ages;
    for (std::size_t i = 0; i < signal_count; ++i) ages.of[i] = info.profile.signals[i].max_age.value_or(10s);
    const auto driver = info.make({.config = config,
        .ages = ages,
        .contactor_mode = (choice & 2U) != 0   ? ContactorMode::none
            : info.profile.commands_contactors ? ContactorMode::bms_command
                                               : info.profile.contactor_mode});
    HeardCounts counts{};
    Instant now{std::chrono::hours{1} + 1us};
    Outbox out;
    while (!in.empty()) {
        if (info.serial)
            driver->on_bytes(in.line(info.receives), now, counts);
        else
            driver->on_frame(in.frame(info.receives), now);
        check(driver->state());
        const std::uint8_t orders = in.byte();
        out.clear();
        const Instant next = driver->on_tick(now,
            {.contactors = static_cast<ContactorOrder>(orders % 3),
                .inverter_current =
                    (orders & 0x40U) != 0 ? std::optional{Current::from_milli((orders & 0x1F) * 500 - 8000)} : std::nullopt},
            out);
        check_sent(out, info.sends);
        demand(next > now);
        (void)driver->facts();
        for (const BatteryValue& v : info.values) (void)v.milli(driver->state(), now);
        now += (orders & 0x80U) != 0 ? in.pause() : std::min<Duration>(next - now, 1s);
    }
}

void run(const InverterDriverInfo& info, Input in)
{
    InverterConfig config;
    config.options = options_of(info.options);
    const auto driver = info.make(config);
    const InverterTraffic traffic = info.traffic(config);
    Instant now{std::chrono::hours{1} + 1us};
    Outbox out;
    Verdict verdict;
    BatteryState battery;
    while (!in.empty()) {
        driver->on_frame(in.frame(traffic.receives), now);
        const std::uint8_t flags = in.byte();
        ++verdict.sequence;
        verdict.at = now;
        verdict.battery_link = (flags & 1U) != 0;
        verdict.inverter_link = (flags & 2U) != 0;
        verdict.battery_valid = (flags & 4U) != 0;
        verdict.ready = (flags & 8U) != 0;
        verdict.may_fall_silent = (flags & 16U) != 0;
        verdict.override_soc = static_cast<Direction>(flags >> 5U & 3U);
        // Facts and readings of any size, sensible or not.
        const std::int64_t a = in.byte(), b = in.byte();
        if (a < 250)
            verdict.pack = {.cells = static_cast<unsigned>(a),
                .energy_rated = Energy::from_milli(a * b * 10'000'000),
                .voltage_max = Voltage::from_milli(a * 4000),
                .voltage_min = Voltage::from_milli(b * 3000)};
        else
            verdict.pack = {};
        verdict.voltage_max = verdict.pack.voltage_max;
        verdict.voltage_min = verdict.pack.voltage_min;
        battery.voltage.set(Voltage::from_milli(b * 4000), now);
        battery.current.set(Current::from_milli((a - 128) * 5000), now);
        battery.soc.set(Percent::from_milli(a * 500), now);
        battery.temperature_max.set(Temperature::from_milli((b - 100) * 1000), now);
        battery.temperature_min.set(Temperature::from_milli((a - 100) * 1000), now);
        out.clear();
        const Instant next = driver->on_tick(now, {.verdict = verdict, .battery = battery}, out);
        check_sent(out, traffic.sends);
        demand(next > now);
        for (const InverterValue& v : info.values) (void)v.milli(driver->state(), now);
        now += (flags & 0x80U) != 0 ? in.pause() : std::min<Duration>(next - now, 1s);
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size)
{
    const Input in{{bytes, size}};
    for (const auto* info : battery_drivers()) run(*info, in);
    for (const auto* info : inverter_drivers()) run(*info, in);
    return 0;
}
