#include "batgw/outside.hpp"

#include "batgw/control.hpp"
#include "batgw/event_text.hpp"
#include "batgw/status_text.hpp"
#include "batgw/store.hpp"
#include "conf/reload.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <span>
#include <utility>

namespace batgw {
namespace {

std::string joined(const std::vector<std::string>& words)
{
    std::string all;
    for (const std::string& w : words) all += (all.empty() ? "" : ", ") + w;
    return all;
}

}  // namespace

Outside::Outside(Channels& channels, Setup setup)
    : channels_{channels},
      setup_{std::move(setup)},
      config_{setup_.config},
      base_{event_base_new()},
      log_level_{config_->log_level}
{
    if (!base_) throw std::bad_alloc{};
    on_bell_ = watch<&Outside::answer>(base_.get(), channels_.outside.fd(), EV_READ, *this);
    if (setup_.keep_state)
        store_ = std::make_unique<Store>(
            config_->state_directory, [this](bool failing, std::string_view why) { disk_trouble(failing, why); },
            [this] { channels_.outside.ring(); });
    if (setup_.keep_state)
        black_box_ = std::make_unique<BlackBox>(BlackBox::Setup{.directory = config_->state_directory,
            .battery = config_->battery.interface,
            .inverter = config_->inverter.interface,
            .battery2 = config_->battery2 ? config_->battery2->interface : "",
            .about = devices_text(*config_),
            .say = [this](LogLevel level, std::string_view text) {
                if (level <= log_level_) print_log(level, text);
            }});
    if (store_ && setup_.latched) store_->latches_kept(*setup_.latched);
    if (store_) store_->wear_kept(setup_.wear);
    if (store_ && setup_.start) store_->keep_start(*setup_.start);
    thread_ = std::thread{[this] { run(); }};
}

Outside::~Outside()
{
    stop_ = true;
    channels_.outside.ring();
    thread_.join();
}

void Outside::run()
{
    start_client();
    start_control();
    event_base_loop(base_.get(), EVLOOP_NO_EXIT_ON_EMPTY);
    control_.reset();
    client_.reset();
    if (store_ && setup_.start && orderly_) {
        setup_.start->running = false;
        store_->keep_start(*setup_.start);
    }
    store_.reset();
    black_box_.reset();
    print_lines();
}

// Of both buses and not of the judge: the answer comes from here, once the question has been noted.
void Outside::capture(const Command& command)
{
    CommandResult r{.kind = command.kind};
    if (black_box_)
        r = black_box_->on_command(command, both_clocks());
    else
        r.text.assign("nothing is kept");
    r.id = command.id;
    r.ticket = command.ticket;
    r.received = command.received;
    r.answered = both_clocks().monotonic;
    captured_.push_back(r);
    channels_.outside.ring();
}

bool Outside::submit(const Command& command)
{
    if (command.kind == CommandKind::capture) {
        capture(command);
        return true;
    }
    if (!channels_.commands.push(command)) return false;
    channels_.bridge.ring();
    return true;
}

void Outside::start_control()
{
    if (setup_.control_socket.empty()) return;
    control_ = std::make_unique<Control>(base_.get(), setup_.control_socket,
        Control::Hooks{.submit = [this](const Command& command) { return submit(command); },
            .status = [this] { return status_text(shown_); },
            .status_json = [this] { return status_json(shown_, &setup_.battery->profile, both_clocks()); },
            .log =
                [this](LogLevel level, std::string_view text) {
                    if (level <= config_->log_level) print_log(level, text);
                }});
}

void Outside::start_client()
{
    client_.reset();
    warn_of_tls();
    channels_.warn(OutsideWarning::retained_command, false);  // the new client finds out
    if (!config_->mqtt) return;
    MqttHooks hooks;
    hooks.submit = [this](const Command& command) { return submit(command); };
    hooks.log = [this](LogLevel level, std::string_view text) {
        if (level <= config_->log_level) print_log(level, text);
    };
    // SAFE-194: shown for as long as the command lies there.
    hooks.retained_command = [this](bool there) { channels_.warn(OutsideWarning::retained_command, there); };
    client_ = std::make_unique<MqttClient>(base_.get(), *config_->mqtt, mqtt_context(), std::move(hooks));
}

MqttContext Outside::mqtt_context() const
{
    return {.battery = setup_.battery,
        .inverter = setup_.inverter,
        .max_charge = all_packs(*config_).max_charge,
        .max_discharge = all_packs(*config_).max_discharge,
        .packs = config_->battery2 ? 2U : 1U,
        .cells_expected = config_->battery.cells.value_or(0)};
}

// MQTT-071: a broker that anybody could pretend to be is shown for as long as it is used.
void Outside::warn_of_tls()
{
    channels_.warn(OutsideWarning::tls_unverified, config_->mqtt && config_->mqtt->tls.on && !config_->mqtt->tls.verify);
}

void Outside::answer()
{
    channels_.outside.answer();
    print_lines();
    if (channels_.reload_wanted.exchange(false)) reload();

    Passed passed;
    while (black_box_ && channels_.traffic.pop(passed)) black_box_->see(passed);
    Event event;
    while (channels_.events.pop(event)) {
        const LogLevel level = event_level(event);
        if (level <= config_->log_level) print_log(level, event_text(event));
        if (store_) store_->keep_event(event);
        if (black_box_) black_box_->see(event);
    }
    // Results first: what a command changed is then in the snapshot that follows.
    CommandResult result;
    while (channels_.results.pop(result)) {
        if (control_ && control_->on_result(result)) continue;
        if (client_) client_->on_result(result);
    }
    for (CommandResult& r : std::exchange(captured_, {})) {
        r.status = channels_.snapshots.newest().operator_;
        if (client_) client_->on_result(r);
    }
    if (channels_.snapshots.take()) {
        untold_ = true;
        if (store_) keep(channels_.snapshots.newest());
        if (black_box_) black_box_->look(channels_.snapshots.newest().verdict, both_clocks());
    }
    if (untold_ && may_tell()) {
        untold_ = false;
        shown_ = channels_.snapshots.newest();
        if (client_) client_->on_snapshot(shown_);
    }
    if (!stop_) return;
    if (client_)
        client_->stop([this] { said_goodbye(); });
    else
        said_goodbye();
}

// SAFE-044: nobody is told that the house is safe before the reason is on the disk. A disk that hangs does not hide it for long.
bool Outside::may_tell()
{
    constexpr std::chrono::seconds longest_wait{1};
    const auto now = std::chrono::steady_clock::now();
    if (!store_ || !store_->writing_latches()) {
        held_since_.reset();
        return true;
    }
    if (!held_since_) held_since_ = now;
    return now - *held_since_ >= longest_wait;
}

void Outside::keep(const Snapshot& now)
{
    if (config_->mqtt && config_->mqtt->persist_commands) store_->keep_operator(now.operator_kept);
    if (now.verdict.sequence == 0) return;  // not judged yet: that nothing is latched would not be true
    const std::span<const ActiveFault> faults = now.verdict.faults;
    const BothClocks clocks = both_clocks();
    store_->keep_latches(faults, clocks);
    store_->keep_wear(now.verdict.contactors, clocks.wall_ms);
    if (!setup_.start || setup_.start->unclean.empty()) return;
    // SAFE-216: a run that lasts, and a person who has looked at it, end the count.
    const bool loop = std::any_of(faults.begin(), faults.end(), [](const auto& f) { return f.id == FaultId::restart_loop; });
    const bool lasted = now.now - now.started >= config_->safety.process.crash_loop.window;
    if (!lasted && (loop || !setup_.restart_loop)) return;
    setup_.start->unclean.clear();
    store_->keep_start(*setup_.start);
}

void Outside::said_goodbye() { event_base_loopbreak(base_.get()); }

void Outside::print_lines()
{
    LogLine line;
    while (channels_.log.pop(line))
        if (line.level <= config_->log_level) print_log(line.level, line.text.view());
}

void Outside::reload()
{
    setup_.service->reloading();
    Loaded loaded = setup_.read_again();
    const auto refuse = [this](const std::string& why) {
        print_log(LogLevel::error, "reload refused, nothing changed: " + why);
        setup_.service->ready("running; last reload refused");
    };
    if (!loaded.config) {
        for (const Problem& p : loaded.problems) print_log(LogLevel::error, to_string(p));
        refuse(fmt::format("{} problem(s) in the configuration", loaded.problems.size()));
        return;
    }
    const ReloadPlan plan = compare(*config_, *loaded.config);
    if (!plan.restart_required.empty()) {
        refuse("restart required: " + joined(plan.restart_required));
        return;
    }
    auto next = std::make_shared<const Config>(std::move(*loaded.config));
    if (!channels_.configs.push(next)) {
        refuse("the last one is still being taken over");
        return;
    }
    channels_.bridge.ring();
    config_ = next;
    log_level_ = config_->log_level;
    if (client_ && config_->mqtt)
        client_->reconfigure(*config_->mqtt, mqtt_context());
    else
        start_client();
    warn_of_tls();
    if (config_->log_level >= LogLevel::info)
        print_log(LogLevel::info, plan.changed.empty() ? "reloaded: nothing changed" : "reloaded: " + joined(plan.changed));
    setup_.service->ready("running");
}

void Outside::disk_trouble(bool failing, std::string_view why)
{
    channels_.warn(OutsideWarning::state_not_kept, failing);
    print_log(failing ? LogLevel::error : LogLevel::info,
        failing ? fmt::format("state is not kept: {}; trying again", why) : "state is kept again");
}

}  // namespace batgw
