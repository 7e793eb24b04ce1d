// An inverter driver alone in virtual time, with a verdict and a battery that the test shapes.
#pragma once

#include "inverter/registry.hpp"
#include "safety/grant_writer.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <charconv>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace batgw::test {

// "151#0100000000000000"; dots between bytes are for the eye. An identifier of 29 bits has eight digits.
inline CanFrame frame(std::string_view text)
{
    const auto hash = text.find('#');
    if (hash == std::string_view::npos) throw std::invalid_argument{"no '#' in frame: " + std::string{text}};
    CanFrame f{.id = 0, .extended = hash == 8, .len = 0, .data = {}};
    std::from_chars(text.data(), text.data() + hash, f.id, 16);
    std::string hex;
    for (const char c : text.substr(hash + 1))
        if (c != '.') hex += c;
    if (hex.size() % 2 != 0 || hex.size() > 16) throw std::invalid_argument{"bad data in frame: " + std::string{text}};
    for (; f.len * 2U < hex.size(); ++f.len)
        std::from_chars(hex.data() + 2 * f.len, hex.data() + 2 * f.len + 2, f.data[f.len], 16);
    return f;
}
inline std::string text(const CanFrame& f)
{
    constexpr std::string_view digits = "0123456789ABCDEF";
    std::string s;
    for (int shift = f.extended ? 28 : 8; shift >= 0; shift -= 4) s += digits[f.id >> shift & 0xF];
    s += '#';
    for (std::size_t i = 0; i < f.len; ++i) s += {digits[f.data[i] >> 4], digits[f.data[i] & 0xF]};
    return s;
}

// The options as the configuration would give them: every declared one, at its default.
inline Options default_options(const InverterDriverInfo& info)
{
    Options options;
    for (const OptionRule& rule : info.options) {
        const std::string t{rule.default_text};
        switch (rule.type) {
        case OptionType::boolean: options.set(rule.name, t == "true"); break;
        case OptionType::integer: options.set(rule.name, std::int64_t{std::stoll(t)}); break;
        case OptionType::number: options.set(rule.name, std::stod(t)); break;
        case OptionType::text:
        case OptionType::choice: options.set(rule.name, t); break;
        }
    }
    return options;
}

struct Sent {
    Instant at;
    CanFrame frame;
};

class House {
public:
    using Changes = std::vector<std::pair<std::string_view, OptionValue>>;
    explicit House(const Changes& changes = {}, std::string_view protocol = "byd-hvs") : info{*find_inverter_driver(protocol)}
    {
        InverterConfig config;
        config.protocol = protocol;
        config.options = default_options(info);
        for (const auto& [name, value] : changes) config.options.set(name, value);
        driver = info.make(config);

        // Made up: 108 LFP cells.
        battery.voltage.set(351.2_V, now);
        battery.current.set(12.3_A, now);
        battery.soc.set(Percent::from_milli(50'250), now);
        battery.soh.set(98_pct, now);
        battery.temperature_max.set(Temperature::from_milli(24'600), now);
        battery.temperature_min.set(Temperature::from_milli(-1'200), now);
        verdict.state = GatewayState::starting;
        verdict.pack = {
            .cells = 108, .energy_rated = 34.56_kWh, .voltage_max = 388.8_V, .voltage_min = 302.4_V, .voltage_nominal = 345.6_V};
        verdict.voltage_max = 388.8_V;
        verdict.voltage_min = 302.4_V;
        verdict.inverter_link = true;
    }

    // Judged anew every 100 ms, and the driver is called when it wants to be.
    void run(Duration time)
    {
        const Instant end = now + time;
        tick();
        while (true) {
            const Instant next = std::min({wake, judged + 100ms, end});
            if (next <= now) throw std::logic_error{"time stands still"};
            now = next;
            tick();
            if (now >= end) return;
        }
    }
    void tick()
    {
        if (now >= judged + 100ms || verdict.sequence == 0) judge();
        Outbox out;
        wake = driver->on_tick(now, {.verdict = verdict, .battery = battery}, out);
        CHECK(wake > now);
        CHECK(out.lost() == 0);
        for (const CanFrame& f : out.frames()) sent.push_back({now, f});
    }
    void judge()
    {
        judged = now;
        ++verdict.sequence;
        verdict.at = now;
    }
    Heard hear(std::string_view f) { return driver->on_frame(frame(f), now); }
    void grant(Current charge, Current discharge)
    {
        verdict.charge = GrantWriter::write(350_V * charge, charge, Cause::config);
        verdict.discharge = GrantWriter::write(350_V * discharge, discharge, Cause::config);
        judge();
    }
    // Identification done, limits running, everything fresh; `sent` empty.
    void start_running(Current charge = 25_A, Current discharge = 30_A)
    {
        verdict.battery_valid = verdict.battery_link = true;
        hear("151#0100000000000000");
        run(1s);
        verdict.ready = true;
        verdict.state = GatewayState::run;
        grant(charge, discharge);
        for (int i = 0; i < 16; ++i) {  // keeps the inverter there
            hear("191#0404001700010400");
            run(500ms);
        }
        REQUIRE(state().phase == InverterPhase::run);
        sent.clear();
    }
    const InverterState& state() const { return driver->state(); }
    // The texts of what was sent, of one id or all.
    std::vector<std::string> texts(std::uint32_t id = 0) const
    {
        std::vector<std::string> all;
        for (const Sent& s : sent)
            if (id == 0 || s.frame.id == id) all.push_back(text(s.frame));
        return all;
    }
    std::string last(std::uint32_t id) const
    {
        const auto all = texts(id);
        return all.empty() ? "none" : all.back();
    }
    std::vector<Instant> times(std::uint32_t id) const
    {
        std::vector<Instant> all;
        for (const Sent& s : sent)
            if (s.frame.id == id) all.push_back(s.at);
        return all;
    }

    const InverterDriverInfo& info;
    Instant now{std::chrono::hours{5} + 271828us};  // not zero: a forgotten start time shows
    Instant judged = now;
    Instant wake = now;
    std::unique_ptr<InverterDriver> driver;
    Verdict verdict;
    BatteryState battery;
    std::vector<Sent> sent;
};

}  // namespace batgw::test
