// batgw sim: a simulated battery or inverter on any bus, driven by lines on standard input.
#include "batgw/cable.hpp"
#include "batgw/commands.hpp"
#include "batgw/log.hpp"
#include "batgw/sim_port.hpp"
#include "batgw/time_text.hpp"
#include "sim/plant.hpp"
#include "sim/registry.hpp"

#include <fmt/format.h>

#include <csignal>
#include <cstdio>
#include <functional>

#include <fcntl.h>

namespace batgw {
namespace {

struct Lines final : BusLog {
    void line(Level level, std::string_view text) override { print_log(static_cast<LogLevel>(level), text); }
};

// Standard input, a line at a time. End of input is not the end of the simulation.
class Console {
public:
    Console(event_base* base, std::function<std::string(std::string_view)> command) : command_{std::move(command)}
    {
        const int flags = ::fcntl(STDIN_FILENO, F_GETFL);
        if (flags < 0 || ::fcntl(STDIN_FILENO, F_SETFL, flags | O_NONBLOCK) != 0) return;
        // A regular file or /dev/null cannot be waited for: nothing to control then.
        EventHandle e{event_new(
            base, STDIN_FILENO, EV_READ | EV_PERSIST,
            [](evutil_socket_t, short, void* self) noexcept { static_cast<Console*>(self)->read(); }, this)};
        if (e && event_add(e.get(), nullptr) == 0) on_input_ = std::move(e);
    }
    void run(std::string_view line)
    {
        if (!line.empty()) std::puts(command_(line).c_str());
        std::fflush(stdout);
    }

private:
    void read()
    {
        std::array<char, 512> buffer{};
        const auto n = ::read(STDIN_FILENO, buffer.data(), buffer.size());
        if (n == 0) event_del(on_input_.get());
        if (n <= 0) return;
        pending_.append(buffer.data(), static_cast<std::size_t>(n));
        for (auto end = pending_.find('\n'); end != std::string::npos; end = pending_.find('\n')) {
            run(std::string_view{pending_}.substr(0, end));
            pending_.erase(0, end + 1);
        }
        if (pending_.size() > 4096) pending_.clear();
    }
    std::function<std::string(std::string_view)> command_;
    std::string pending_;
    EventHandle on_input_;
};

struct Stop {
    event_base* base;
    void now() const { event_base_loopbreak(base); }
};

void run_for(event_base* base, const SimOptions& options, std::function<std::string(std::string_view)> command)
{
    Console console{base, std::move(command)};
    for (const std::string& line : options.commands) console.run(line);
    Stop stop{base};
    const auto on_term = watch<&Stop::now>(base, SIGTERM, EV_SIGNAL, stop);
    const auto on_int = watch<&Stop::now>(base, SIGINT, EV_SIGNAL, stop);
    if (!options.duration.empty()) {
        const auto us = parse_duration(options.duration).value().count();
        const timeval tv{us / 1'000'000, us % 1'000'000};
        event_base_loopexit(base, &tv);
    }
    event_base_dispatch(base);
}

int run_battery(const SimOptions& options)
{
    const auto battery = sim::make_battery(options.protocol, {.seed = options.seed});
    if (!battery) throw std::invalid_argument{"no simulated battery speaks " + options.protocol};
    const EventBase base{event_base_new()};
    Lines log;
    std::optional<CableEnd> cable;
    if (!options.cable.empty()) cable.emplace(CableEnd::battery_side(options.cable));
    std::optional<RemoteInverter> inverter;
    std::optional<sim::Plant> plant;
    if (cable) plant.emplace(*battery, inverter.emplace(*cable));
    const auto* driver = drivers().battery(options.protocol);
    SimPort port{base.get(), options.interface, driver != nullptr ? driver->serial : std::nullopt,
        {.on_frame = [&](const CanFrame& f, Instant at) { battery->on_frame(f, at); },
            .on_bytes = [&](std::span<const std::uint8_t> bytes, Instant at) { battery->on_bytes(bytes, at); },
            .on_tick =
                [&](Instant now, Outbox& out) {
                    const Instant coupled = plant ? plant->on_tick(now) : end_of_time;
                    return std::min(coupled, battery->on_tick(now, out));
                }},
        log};
    run_for(base.get(), options,
        [&](std::string_view line) { return line == "status" ? battery->status() : battery->command(line); });
    std::puts(battery->status().c_str());
    return 0;
}

int run_inverter(const SimOptions& options)
{
    const auto inverter = sim::make_inverter(options.protocol, {.seed = options.seed});
    if (!inverter) throw std::invalid_argument{"no simulated inverter speaks " + options.protocol};
    const EventBase base{event_base_new()};
    Lines log;
    std::optional<CableEnd> cable;
    if (!options.cable.empty()) cable.emplace(CableEnd::inverter_side(options.cable));
    SimPort port{base.get(), options.interface, std::nullopt,
        {.on_frame = [&](const CanFrame& f, Instant at) { inverter->on_frame(f, at); },
            .on_bytes = [](std::span<const std::uint8_t>, Instant) {},
            .on_tick =
                [&](Instant now, Outbox& out) {
                    if (cable) {
                        if (const auto milli = cable->newest()) inverter->set_terminal_voltage(Voltage::from_milli(*milli));
                        cable->tell(inverter->current().milli());
                    }
                    return std::min(cable ? now + 20ms : end_of_time, inverter->on_tick(now, out));
                }},
        log};
    run_for(base.get(), options,
        [&](std::string_view line) { return line == "status" ? inverter->status() : inverter->command(line); });
    std::puts(inverter->status().c_str());
    for (const std::string& problem : inverter->report().problems) std::printf("problem: %s\n", problem.c_str());
    return inverter->report().satisfied() ? 0 : 1;
}

}  // namespace

int run_simulator(const SimOptions& options)
{
    if (!options.duration.empty() && !parse_duration(options.duration))
        throw std::invalid_argument{"--for wants a time like 20s, not '" + options.duration + "'"};
    return options.kind == "battery" ? run_battery(options) : run_inverter(options);
}

}  // namespace batgw
