// A battery driver on the bench: frames as text, a clock that is turned by hand, and a pack that says what the test wants.
#pragma once

#include "battery/byd_atto3_layout.hpp"
#include "battery/registry.hpp"
#include "model/driver.hpp"

#include <charconv>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace batgw::test {

// The form `cansend` takes: "444#9E01881364649865". Dots and blanks between bytes are for the eye.
inline CanFrame frame(std::string_view text)
{
    const auto hash = text.find('#');
    if (hash == std::string_view::npos) throw std::invalid_argument{"no '#' in frame: " + std::string{text}};
    CanFrame f{.id = 0, .len = 0};
    std::from_chars(text.data(), text.data() + hash, f.id, 16);
    std::string hex;
    for (const char c : text.substr(hash + 1))
        if (c != '.' && c != ' ') hex += c;
    if (hex.size() % 2 != 0 || hex.size() > 16) throw std::invalid_argument{"bad data in frame: " + std::string{text}};
    for (; f.len * 2U < hex.size(); ++f.len)
        std::from_chars(hex.data() + 2 * f.len, hex.data() + 2 * f.len + 2, f.data[f.len], 16);
    return f;
}
// Seven bytes as text; the checksum is added.
inline CanFrame summed(std::string_view text)
{
    CanFrame f = frame(text);
    f.len = 8;
    return byd_atto3::sealed(f);
}

// What the configuration gives a driver when nothing is written.
inline Options default_options(std::span<const OptionRule> rules)
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
inline AgeLimits ages_of(const BatteryProfile& profile)
{
    AgeLimits ages;
    for (std::size_t i = 0; i < signal_count; ++i) ages.of[i] = profile.signals[i].max_age.value_or(10s);
    return ages;
}

struct Sent {
    Instant at;
    CanFrame frame;
};
struct Written {
    Instant at;
    Telegram telegram;
};

// Bytes of a serial line: "A5 01 90 08". Blanks are for the eye.
inline std::vector<std::uint8_t> bytes(std::string_view text)
{
    std::vector<std::uint8_t> result;
    std::string hex;
    for (const char c : text)
        if (c != ' ' && c != '\n') hex += c;
    if (hex.size() % 2 != 0) throw std::invalid_argument{"half a byte in: " + std::string{text}};
    for (std::size_t i = 0; i < hex.size(); i += 2) {
        std::uint8_t byte = 0;
        const auto [end, error] = std::from_chars(hex.data() + i, hex.data() + i + 2, byte, 16);
        if (error != std::errc{} || end != hex.data() + i + 2) throw std::invalid_argument{"no byte: " + hex.substr(i, 2)};
        result.push_back(byte);
    }
    return result;
}

// What a driver is told to do with its contactors on the bench: it commands them, where it can.
inline ContactorMode commanding(const BatteryProfile& profile)
{
    return profile.commands_contactors ? ContactorMode::bms_command : profile.contactor_mode;
}

class Bench {
public:
    explicit Bench(std::string_view driver_name = "byd-atto3", const std::function<void(BatteryConfig&)>& change = {},
        std::optional<ContactorMode> mode = {})
        : info{*find_battery_driver(driver_name)}
    {
        config.options = default_options(info.options);
        if (change) change(config);
        driver = info.make({.config = config, .ages = ages_of(info.profile), .contactor_mode = mode});
    }

    Heard hear(const CanFrame& f) { return driver->on_frame(f, now); }
    Heard hear(std::string_view text) { return hear(frame(text)); }
    // On a serial line: what the driver made of these bytes.
    HeardCounts read(std::span<const std::uint8_t> data)
    {
        HeardCounts counts{};
        driver->on_bytes(data, now, counts);
        for (std::size_t i = 0; i < counts.size(); ++i) counted[i] += counts[i];
        return counts;
    }
    HeardCounts read(std::string_view text) { return read(bytes(text)); }
    void tick()
    {
        Outbox out;
        wake = driver->on_tick(now, {.contactors = order, .inverter_current = inverter_current}, out);
        for (const CanFrame& f : out.frames()) {
            sent.push_back({now, f});
            if (on_sent) on_sent(f);
        }
        for (const Telegram& t : out.telegrams()) {
            written.push_back({now, t});
            if (on_written) on_written(t);
        }
    }
    // Time passes. `talk` is called every 100 ms, the driver when it wants to be.
    void run(Duration time)
    {
        const Instant end = now + time;
        while (now < end) {
            now += step;
            if (talk && now >= next_talk_) {
                talk();
                next_talk_ = now + 100ms;
            }
            if (now >= wake) tick();
        }
    }

    const BatteryState& state() const { return driver->state(); }
    std::vector<Sent> of(std::uint32_t id, Instant since = Instant::min()) const
    {
        std::vector<Sent> result;
        for (const Sent& s : sent)
            if (s.frame.id == id && s.at >= since) result.push_back(s);
        return result;
    }
    std::optional<CanFrame> last(std::uint32_t id) const
    {
        const auto all = of(id);
        return all.empty() ? std::nullopt : std::optional{all.back().frame};
    }

    const BatteryDriverInfo& info;
    BatteryConfig config;
    std::unique_ptr<BatteryDriver> driver;
    Instant now{std::chrono::hours{3} + 123456us};  // not zero: a forgotten start time shows
    Instant wake = Instant::min();
    ContactorOrder order = ContactorOrder::keep;
    std::optional<Current> inverter_current;
    std::vector<Sent> sent;
    std::vector<Written> written;
    HeardCounts counted{};
    std::function<void()> talk;
    std::function<void(const CanFrame&)> on_sent;
    std::function<void(const Telegram&)> on_written;
    static constexpr Duration step = 10ms;

private:
    Instant next_talk_ = Instant::min();
};

}  // namespace batgw::test
