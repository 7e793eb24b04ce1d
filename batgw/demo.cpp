// batgw demo: the real gateway, thread for thread, between a simulated pack and a simulated inverter, with a real broker. Buses
// are inside the process, or pseudo-terminals with the far end of a serial line or adapter played on them. Only the hardware is
// made up.
#include "batgw/commands.hpp"
#include "batgw/demo_broker.hpp"
#include "batgw/demo_screen.hpp"
#include "batgw/gateway.hpp"
#include "batgw/outside.hpp"
#include "batgw/sim_port.hpp"
#include "batgw/time_text.hpp"
#include "bus/virtual_bus.hpp"
#include "mqtt/ear.hpp"
#include "sim/plant.hpp"
#include "sim/registry.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>

namespace batgw {
namespace {

// Shortened within their bounds so that a person sees power flow within 10 s; nothing else differs from a real installation.
constexpr std::string_view short_times = R"(
safety:
  start_valid_s: 1
  increase_settle_s: 0
  ramp_up_pct_per_s: 50
  contactors:
    boot_inhibit_s: 1
    valid_s: 1
)";

// Lines of a section, indented.
std::string indented(std::string_view lines, std::size_t depth)
{
    std::string out;
    while (!lines.empty()) {
        const std::string_view line = lines.substr(0, lines.find('\n'));
        out += fmt::format("{:{}}{}\n", "", depth, line);
        lines.remove_prefix(std::min(line.size() + 1, lines.size()));
    }
    return out;
}

// Where the two ends of one bus meet: inside the process, or at a pseudo-terminal.
struct Ends {
    std::string gateway, simulator;
};
Ends ends_of(std::string_view side, bool serial, const std::string& adapter, const std::string& directory)
{
    const std::string path = fmt::format("{}/{}", directory, side);
    if (serial) return {path, "pty:" + path};
    if (adapter.empty()) return {fmt::format("virtual:{}", side), fmt::format("virtual:{}", side)};
    return {fmt::format("{}:{}", adapter, path), fmt::format("{}:pty:{}", adapter, path)};
}

struct DemoBuses {
    DemoBuses(const DemoOptions& options, const std::string& directory)
    {
        const auto* driver = drivers().battery(options.battery);
        const bool serial = driver != nullptr && driver->serial.has_value();
        if (serial && !options.battery_adapter.empty())
            throw std::invalid_argument{options.battery + " is spoken on a serial line: there is no CAN adapter"};
        battery = ends_of("battery", serial, options.battery_adapter, directory);
        inverter = ends_of("inverter", false, options.inverter_adapter, directory);
    }
    Ends battery, inverter;
};

// What the driver cannot know of the simulated pack.
std::string battery_keys(const DemoOptions& options)
{
    std::string keys;
    if (const auto* kind = sim::find_battery(options.battery)) keys = kind->configuration;
    const auto* driver = drivers().battery(options.battery);
    if (driver != nullptr && !driver->profile.states_limits && keys.find("max_charge_w") == std::string::npos)
        keys += (keys.empty() ? "" : "\n") + std::string{"max_charge_w: 5000\nmax_discharge_w: 5000"};
    return indented(keys, 2);
}

std::string inverter_keys(const DemoOptions& options)
{
    const auto* kind = sim::find_inverter(options.inverter);
    if (options.real_times || kind == nullptr || kind->short_options.empty()) return {};
    return "  options:\n" + indented(kind->short_options, 4);
}

std::string configuration(const DemoOptions& options, const DemoBuses& buses, const std::string& directory, std::uint16_t port)
{
    return fmt::format(R"(# What `batgw demo` runs with.
battery:
  protocol: {}
  interface: {}
{}inverter:
  protocol: {}
  interface: {}
{}mqtt:
  host: 127.0.0.1
  port: {}
  topic: batgw-demo
  teleperiod_s: 10
log:
  level: warn
state_directory: {}
{})",
        options.battery, buses.battery.gateway, battery_keys(options), options.inverter, buses.inverter.gateway,
        inverter_keys(options), port, directory, options.real_times ? "" : short_times);
}

class TemporaryDirectory {
public:
    TemporaryDirectory()
    {
        std::string name = (std::filesystem::temp_directory_path() / "batgw-demo-XXXXXX").string();
        if (::mkdtemp(name.data()) == nullptr) throw std::system_error{errno, std::generic_category(), "temporary directory"};
        path_ = name;
    }
    ~TemporaryDirectory()
    {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    TemporaryDirectory(const TemporaryDirectory&) = delete;
    TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
    const std::string& path() const { return path_; }

private:
    std::string path_;
};

struct Quiet final : BusLog {
    void line(Level, std::string_view) override {}
};

std::shared_ptr<const Config> load_or_throw(const std::string& text)
{
    Loaded loaded = load(text, "demo.yaml", drivers(), Definitions{});
    if (!loaded.config) throw std::runtime_error{"the demo's configuration is refused: " + to_string(loaded.problems.front())};
    return std::make_shared<const Config>(std::move(*loaded.config));
}

// Everything of a demo, in the order in which it must come to life.
class Demo {
public:
    explicit Demo(const DemoOptions& options)
        : buses_{options, directory_.path()},
          broker_{directory_.path()},
          ear_{broker_.port()},
          config_{load_or_throw(configuration(options, buses_, directory_.path(), broker_.port()))},
          base_{event_base_new()},
          pack_{sim::make_battery(options.battery, {.seed = options.seed})},
          inverter_{sim::make_inverter(options.inverter, {.seed = options.seed})},
          screen_{options.plain}
    {
        if (!pack_ || !inverter_) throw std::invalid_argument{"no simulator for " + (pack_ ? options.inverter : options.battery)};
        plant_.emplace(*pack_, *inverter_);
    }

    // Returns the exit status.
    int run(std::optional<Duration> time)
    {
        const auto* battery = drivers().battery(config_->battery.protocol);
        const auto* inverter = drivers().inverter(config_->inverter.protocol);
        SimPort pack_port{base_.get(), buses_.battery.simulator, battery->serial,
            {.on_frame = [this](const CanFrame& f, Instant at) { pack_->on_frame(f, at); },
                .on_bytes = [this](std::span<const std::uint8_t> bytes, Instant at) { pack_->on_bytes(bytes, at); },
                .on_tick =
                    [this](Instant now, Outbox& out) {
                        const Instant coupled = plant_->on_tick(now);
                        return std::min(coupled, pack_->on_tick(now, out));
                    }},
            quiet_, &hub_};
        SimPort inverter_port{base_.get(), buses_.inverter.simulator, std::nullopt,
            {.on_frame = [this](const CanFrame& f, Instant at) { inverter_->on_frame(f, at); },
                .on_bytes = [](std::span<const std::uint8_t>, Instant) {},
                .on_tick = [this](Instant now, Outbox& out) { return inverter_->on_tick(now, out); }},
            quiet_, &hub_};
        Gateway gateway{base_.get(),
            {.config = config_, .battery = battery, .inverter = inverter, .service = &service_, .hub = &hub_}, channels_};
        gateway_ = &gateway;

        const EventHandle on_screen{event_new(
            base_.get(), -1, EV_PERSIST, [](evutil_socket_t, short, void* self) noexcept { static_cast<Demo*>(self)->show(); },
            this)};
        const timeval often{screen_.live() ? 0 : 1, screen_.live() ? 500'000 : 0};
        event_add(on_screen.get(), &often);
        const EventHandle on_time{event_new(
            base_.get(), -1, 0, [](evutil_socket_t, short, void* self) noexcept { static_cast<Demo*>(self)->gateway_->stop(); },
            this)};
        if (time) {
            const timeval tv{time->count() / 1'000'000, time->count() % 1'000'000};
            event_add(on_time.get(), &tv);
        }
        // What the house wishes: charge for a while, then use the battery, and so on.
        inverter_->set_wish(5_kW);
        const EventHandle on_wish{event_new(
            base_.get(), -1, EV_PERSIST, [](evutil_socket_t, short, void* self) noexcept { static_cast<Demo*>(self)->wish(); },
            this)};
        const timeval wishes{15, 0};
        event_add(on_wish.get(), &wishes);
        {
            const Outside outside{channels_,
                {.config = config_,
                    .battery = battery,
                    .inverter = inverter,
                    .read_again = [this] { return Loaded{.config = *config_}; },
                    .service = &service_}};
            gateway.run();
        }
        show();
        return summary();
    }

private:
    void show()
    {
        gateway_->snapshot(snapshot_);
        screen_.show(snapshot_, *inverter_, ear_.heard(), broker_.port());
        if (snapshot_.verdict.state == GatewayState::run && !running_since_) running_since_ = snapshot_.now;
    }
    void wish()
    {
        charging_ = !charging_;
        inverter_->set_wish(charging_ ? 5_kW : -4_kW);
    }
    int summary()
    {
        const sim::InverterReport report = inverter_->report();
        const auto heard = ear_.heard();
        const bool good = report.satisfied() && heard.messages > 0;
        std::printf("\nThe inverter was %s, %s, and received %llu frames; %llu MQTT messages on %zu topics.\n",
            report.identified ? "identified" : "NOT identified",
            report.served ? "served with limits" : "NEVER given a limit above 0", static_cast<unsigned long long>(report.frames),
            static_cast<unsigned long long>(heard.messages), heard.newest.size());
        if (running_since_)
            std::printf("Power could flow %.1f s after the start.\n",
                std::chrono::duration<double>(*running_since_ - snapshot_.started).count());
        for (const std::string& problem : report.problems) std::printf("problem: %s\n", problem.c_str());
        std::printf("%s\n", good ? "The inverter got what it needs." : "The inverter did NOT get what it needs.");
        return good ? 0 : 1;
    }

    TemporaryDirectory directory_;
    DemoBuses buses_;
    DemoBroker broker_;
    MqttEar ear_;
    std::shared_ptr<const Config> config_;
    EventBase base_;
    VirtualHub hub_;
    std::unique_ptr<sim::SimulatedBattery> pack_;
    std::unique_ptr<sim::SimulatedInverter> inverter_;
    std::optional<sim::Plant> plant_;
    DemoScreen screen_;
    Quiet quiet_;
    ServiceManager service_;
    Channels channels_;
    Gateway* gateway_ = nullptr;
    Snapshot snapshot_;
    std::optional<Instant> running_since_;
    bool charging_ = true;
};

}  // namespace

int run_demo(const DemoOptions& options)
{
    std::optional<Duration> time;
    if (!options.duration.empty()) {
        time = parse_duration(options.duration);
        if (!time) throw std::invalid_argument{"--for wants a time like 20s, not '" + options.duration + "'"};
    }
    if (options.print_configuration) {
        const std::string directory = "/var/lib/batgw";
        std::fputs(configuration(options, DemoBuses{options, directory}, directory, 1883).c_str(), stdout);
        return 0;
    }
    std::signal(SIGPIPE, SIG_IGN);
    return Demo{options}.run(time);
}

}  // namespace batgw
