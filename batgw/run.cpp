// batgw and batgw -n.
#include "batgw/commands.hpp"
#include "batgw/gateway.hpp"
#include "batgw/latch_file.hpp"
#include "batgw/outside.hpp"
#include "batgw/realtime.hpp"
#include "batgw/store.hpp"
#include "battery/registry.hpp"
#include "bus/gpio.hpp"
#include "conf/effective.hpp"
#include "inverter/registry.hpp"
#include "safety/signals.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <functional>
#include <stdexcept>

#include <malloc.h>

namespace batgw {
namespace {

bool report(const Loaded& loaded)
{
    for (const Problem& p : loaded.problems) std::fprintf(stderr, "%s\n", to_string(p).c_str());
    return loaded.config.has_value();
}

std::string start_line(const Config& config)
{
    return fmt::format("batgw {}: {}{}", BATGW_VERSION, devices_text(config), config.safety.observe ? ", observing only" : "");
}

// SAFE-159: an output that outlives the program keeps a contactor closed that nobody watches any more.
std::optional<std::string> persistence_refusal(const SafetyConfig::Contactors& contactors)
{
    if (contactors.mode != ContactorMode::gpio) return std::nullopt;
    const auto file = outputs_persist();
    if (!file || (contactors.persistence_acknowledged && contactors.gpio.heartbeat)) return std::nullopt;
    return fmt::format(
        "contactors.mode gpio: outputs of this kernel outlive the program ({} is on). Switch that off, or wire a drop-out "
        "relay to contactors.gpio.heartbeat and set safety.contactors.gpio_persistence_acknowledged",
        *file);
}

void say_realtime(const std::string& missing, const std::function<void(LogLevel, std::string_view)>& say)
{
    if (missing.empty())
        say(LogLevel::info, fmt::format("real time: memory locked, priority {}", realtime_priority));
    else
        say(LogLevel::warn, fmt::format("real time, as far as it is allowed: {}", missing));
}

}  // namespace

DriverCatalogue drivers() { return {.batteries = battery_drivers(), .inverters = inverter_drivers()}; }

int check_configuration(const RunOptions& options)
{
    const Loaded loaded = load_file(options.file, drivers(), options.definitions);
    if (!report(loaded)) return 1;
    for (const std::string& w : loaded.warnings) std::fprintf(stderr, "%s\n", w.c_str());
    std::fputs(effective_yaml(*loaded.config, drivers()).c_str(), stdout);
    return 0;
}

int switch_outputs_off(const RunOptions& options)
{
    const Loaded loaded = load_file(options.file, drivers(), options.definitions);
    if (!report(loaded)) return 1;
    const Config& config = *loaded.config;
    if (config.safety.contactors.mode != ContactorMode::gpio) {
        std::fputs("no outputs: contactors.mode is not gpio\n", stdout);
        return 0;
    }
    GpioTrouble trouble;
    const GpioSpec spec{.chip = config.gpio_chip, .lines = config.safety.contactors.gpio, .bias = config.gpio_bias};
    if (const auto lines = GpioRequest::open(spec, trouble)) {
        std::fputs("outputs off\n", stdout);
        return 0;
    }
    std::fprintf(stderr, "%s\n", trouble.text.c_str());
    return 1;
}

int run_gateway(const RunOptions& options)
{
    // Few threads, small heaps: one arena is enough and keeps the process small.
    ::mallopt(M_ARENA_MAX, 1);
    std::signal(SIGPIPE, SIG_IGN);
    std::signal(SIGXFSZ, SIG_IGN);  // a file beyond a limit is an error to be told, not the end

    const auto read = [options] {
        Loaded loaded = load_file(options.file, drivers(), options.definitions);
        if (loaded.config && options.verbose) loaded.config->log_level = LogLevel::debug;
        return loaded;
    };
    Loaded loaded = read();
    if (!report(loaded)) return 1;
    const auto config = std::make_shared<const Config>(std::move(*loaded.config));
    const auto say = [&](LogLevel level, std::string_view text) {
        if (level <= config->log_level) print_log(level, text);
    };
    for (const std::string& w : loaded.warnings) say(LogLevel::warn, w);
    say(LogLevel::info, start_line(*config));

    std::optional<OperatorState> restored;
    if (config->mqtt && config->mqtt->persist_commands) {
        Restored r = restore_operator(config->state_directory, all_packs(*config));
        if (!r.note.empty()) say(r.damaged ? LogLevel::error : LogLevel::warn, r.note);
        restored = r.state;
    }

    RestoredLatches kept = restore_latches(config->state_directory, both_clocks());
    if (!kept.note.empty()) say(kept.damaged ? LogLevel::error : kept.missing ? LogLevel::info : LogLevel::warn, kept.note);
    const RestoredStart before = restore_start(config->state_directory);
    if (!before.note.empty()) say(LogLevel::error, before.note);
    const StartOutcome start = start_after(before.record, this_boot(), config->safety.process.crash_loop);
    const RestoredWear wear = restore_wear(config->state_directory);
    if (!wear.note.empty()) say(LogLevel::error, wear.note);
    std::vector<ActiveFault> found;
    if (kept.damaged) found.push_back(found_at_start(FaultId::latch_store));
    if (start.crash_loop) found.push_back(found_at_start(FaultId::restart_loop));

    const bool looping = start.crash_loop ||
        std::any_of(kept.latches.begin(), kept.latches.end(), [](const ActiveFault& f) { return f.id == FaultId::restart_loop; });

    const EventBase base{event_base_new()};
    if (!base) throw std::bad_alloc{};
    ServiceManager service;
    Channels channels;
    const auto* battery = drivers().battery(config->battery.protocol);
    const auto* inverter = drivers().inverter(config->inverter.protocol);
    if (const auto refusal = freshness_refusal(battery->profile)) throw std::runtime_error{*refusal};  // SAFE-021
    if (const auto refusal = persistence_refusal(config->safety.contactors)) throw std::runtime_error{*refusal};
    Gateway gateway{base.get(),
        {.config = config,
            .battery = battery,
            .inverter = inverter,
            .restored = restored,
            .service = &service,
            .latched = kept.latches,
            .found = found,
            .openings_under_load = wear.record.openings,
            .start_note = start.unclean ? "UNCLEAN_START: the last run did not end in an orderly stop" : ""},
        channels};
    {
        const bool as_kept = !kept.damaged && !kept.missing;
        Outside outside{channels,
            {.config = config,
                .battery = battery,
                .inverter = inverter,
                .read_again = read,
                .service = &service,
                .latched = as_kept ? std::optional{kept.latches} : std::nullopt,
                .start = start.record,
                .wear = wear.record,
                .restart_loop = looping,
                .control_socket = config->control_socket}};
        // Last, so that no other thread has it.
        if (config->safety.process.realtime) say_realtime(become_realtime(), say);
        gateway.run();
        outside.orderly();
    }
    say(LogLevel::info, "stopped");
    return 0;
}

}  // namespace batgw
