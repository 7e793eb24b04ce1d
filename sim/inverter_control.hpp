// What the control lines of every simulated inverter have in common.
#pragma once

#include "sim/control.hpp"
#include "sim/regulator.hpp"
#include "sim/simulator.hpp"

#include <chrono>
#include <cmath>
#include <optional>
#include <string>
#include <string_view>

namespace batgw::sim {

constexpr Duration boot_time = 500ms;
constexpr Duration lateness = 30ms;  // what a desktop's scheduler may add
constexpr double highest_sane_a = 500.0;

// The characters of a frame's payload from byte `first` up to a 0.
inline std::string text_in(const CanFrame& f, std::size_t first)
{
    std::string text;
    for (std::size_t i = first; i < f.data.size() && f.data[i] != 0; ++i) text += static_cast<char>(f.data[i]);
    return text;
}

// "power WATTS"
inline bool set_power(const Words& words, Regulator& regulator)
{
    const auto watts = number_in(words, -100e3, 100e3);
    if (watts) regulator.wish_w = *watts;
    return watts.has_value();
}

// "delay MILLISECONDS"
inline bool set_delay(const Words& words, Regulator& regulator)
{
    const auto ms = number_in(words, 0, 60e3);
    if (ms) regulator.delay = std::chrono::milliseconds{std::llround(*ms)};
    return ms.has_value();
}

// "restart [SECONDS]": how long it takes.
inline std::optional<Duration> restart_time(const Words& words)
{
    const auto seconds = words.size() == 1 ? std::optional{3.0} : number_in(words, 0, 3600);
    if (!seconds) return std::nullopt;
    return std::chrono::milliseconds{std::llround(*seconds * 1000.0)};
}

// The answer to "report". `identified`, `unidentified`: what knowing the battery means to this one.
inline std::string report_text(const InverterReport& report, std::string_view identified, std::string_view unidentified)
{
    std::string text{report.satisfied() ? "ok satisfied, " : "ok not satisfied, "};
    text += report.identified ? identified : unidentified;
    text += report.served ? ", limits above 0" : ", no limit above 0 yet";
    for (const std::string& p : report.problems) text += "\n  " + p;
    return text;
}

}  // namespace batgw::sim
