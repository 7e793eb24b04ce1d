#include "batgw/gateway.hpp"

#include "bus/clock.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>

namespace batgw {
namespace {

constexpr Duration snapshot_period = 100ms;
constexpr Duration feed_period = 1s;
constexpr Duration last_words = 200ms;
constexpr Duration short_sleep = 2s;  // SAFE-231
// 2026-01-01: a machine without a battery-backed clock starts long before (SAFE-233).
constexpr std::chrono::system_clock::time_point wall_clock_unset{std::chrono::seconds{1'767'225'600}};

}  // namespace

static_assert(static_cast<unsigned>(OutsideWarning::tls_unverified) == outside_warning::tls_unverified &&
    static_cast<unsigned>(OutsideWarning::state_not_kept) == outside_warning::state_not_kept &&
    static_cast<unsigned>(OutsideWarning::retained_command) == outside_warning::retained_command);

struct Gateway::Port final : BusListener {
    Port(Gateway& gateway_, Side side_) : gateway{gateway_}, side{side_} {}
    void on_frame(const CanFrame& frame, Instant received, Instant now) override
    {
        note(frame, received);
        gateway.bridge_.on_frame(side, frame, received, now);
    }
    void on_bytes(std::span<const std::uint8_t> bytes, Instant received, Instant now) override
    {
        note(bytes, received, false);
        gateway.bridge_.on_bytes(bytes, received, now);
    }
    void on_bus(Instant now) override
    {
        if (!bus) return;  // still being opened
        gateway.bridge_.on_bus(side, bus->status(), now);
        gateway.turn(now);
    }
    // For the black box; nobody waits for it.
    void note(const CanFrame& frame, Instant at, bool sent = false)
    {
        gateway.channels_.traffic.push(
            {.at = at, .frame = frame, .inverter = side == Side::inverter, .sent = sent, .second = side == Side::battery2});
    }
    void note(std::span<const std::uint8_t> bytes, Instant at, bool sent)
    {
        while (!bytes.empty()) {
            Passed piece{.at = at, .inverter = side == Side::inverter, .sent = sent, .serial = true};
            const std::size_t size = std::min(bytes.size(), piece.frame.data.size());
            piece.frame.len = static_cast<std::uint8_t>(size);
            std::copy_n(bytes.begin(), size, piece.frame.data.begin());
            gateway.channels_.traffic.push(piece);
            bytes = bytes.subspan(size);
        }
    }
    Gateway& gateway;
    Side side;
    std::unique_ptr<Bus> bus;
};

struct Gateway::BusLines final : BusLog {
    explicit BusLines(Channels& c) : channels{c} {}
    void line(Level level, std::string_view text) override
    {
        if (channels.log.push({static_cast<LogLevel>(level), Text<240>{text}})) channels.outside.ring();
    }
    Channels& channels;
};

struct Gateway::Lines final : GpioListener {
    Lines(Gateway& g, const GpioSpec& spec, BusLog& log) : gateway{g}, gpio{g.base_, spec, *this, log} {}
    void on_lines(const ContactorLines& lines, Instant now) override
    {
        gateway.bridge_.on_lines(lines);
        gateway.turn(now);
    }
    Gateway& gateway;
    GpioLines gpio;
};

Gateway::Gateway(event_base* base, Setup setup, Channels& channels)
    : base_{base},
      setup_{std::move(setup)},
      channels_{channels},
      bridge_{*setup_.config, *setup_.battery, *setup_.inverter, monotonic_now(), setup_.restored},
      log_{std::make_unique<BusLines>(channels)}
{
    if (!setup_.suspended) setup_.suspended = suspended_so_far;
    suspended_ = setup_.suspended();
    for (const ActiveFault& f : setup_.latched) bridge_.restore(f);
    for (const ActiveFault& f : setup_.found) bridge_.report(f);
    bridge_.restore_wear(setup_.openings_under_load);
    if (!setup_.start_note.empty()) bridge_.note_start(setup_.start_note);
    on_timer_ = watch<&Gateway::on_timer>(base_, timer_.fd(), EV_READ, *this);
    on_bell_ = watch<&Gateway::on_bell>(base_, channels_.bridge.fd(), EV_READ, *this);
    if (setup_.handle_signals) {
        on_term_ = watch<&Gateway::on_stop_signal>(base_, SIGTERM, EV_SIGNAL, *this);
        on_int_ = watch<&Gateway::on_stop_signal>(base_, SIGINT, EV_SIGNAL, *this);
        on_hup_ = watch<&Gateway::on_reload_signal>(base_, SIGHUP, EV_SIGNAL, *this);
    }

    const Config& config = *setup_.config;
    // SAFE-250 (2): outputs off before anything else is opened. Who only observes takes no line.
    if (config.safety.contactors.mode == ContactorMode::gpio && !bridge_.observing()) {
        lines_ = std::make_unique<Lines>(
            *this, GpioSpec{.chip = config.gpio_chip, .lines = config.safety.contactors.gpio, .bias = config.gpio_bias}, *log_);
        bridge_.on_lines(lines_->gpio.lines());
    }
    const auto open = [&](Side side, BusSpec spec) {
        const auto& port = ports_.emplace_back(std::make_unique<Port>(*this, side));
        spec.listen_only = bridge_.observing();
        port->bus = setup_.open ? setup_.open(side, spec, *port) : open_bus(base_, spec, *port, *log_, setup_.hub);
        bridge_.on_bus(side, port->bus->status(), monotonic_now());
    };
    const auto open_battery = [&](Side side, const BatteryConfig& battery) {
        open(side,
            {.interface = battery.interface,
                .bitrate = battery.bitrate,
                .serial = setup_.battery->serial,
                .receives = setup_.battery->receives,
                .sends = setup_.battery->sends});
    };
    open_battery(Side::battery, config.battery);
    const InverterTraffic traffic = setup_.inverter->traffic(config.inverter);
    open(Side::inverter,
        {.interface = config.inverter.interface,
            .bitrate = config.inverter.bitrate,
            .receives = traffic.receives,
            .sends = traffic.sends});
    if (config.battery2) open_battery(Side::battery2, *config.battery2);
}

Gateway::~Gateway() = default;

void Gateway::run()
{
    look_at_clock();
    turn(monotonic_now());
    event_base_dispatch(base_);
}

void Gateway::turn(Instant now)
{
    // A bus may report a change while we send on it: the turn under way takes it along.
    if (turning_) return;
    turning_ = true;
    if (lines_) bridge_.on_lines(lines_->gpio.lines_now(now));
    look_at_sleep(now);
    Instant wake = bridge_.run(now);
    if (lines_) lines_->gpio.drive(bridge_.coils());
    for (auto& port : ports_) flush(*port, now);
    if (!bridge_.verdict().broken.empty()) give_up();
    be_ready(now);
    publish(now);
    feed_watchdog(now);
    turning_ = false;

    wake = std::min({wake, bridge_.wake(), next_snapshot_});
    timer_.arm(wake);
    if (bridge_.verdict().stopped) event_base_loopbreak(base_);
}

// SAFE-219. Zero limits and the order to open get their time to go out, then nothing more is said by a program that contradicts
// itself: whoever watches it starts it anew, and that counts as an unclean end.
void Gateway::give_up()
{
    const Instant now = monotonic_now();
    if (!gives_up_at_) {
        gives_up_at_ = now + last_words;
        const std::string_view broken = bridge_.verdict().broken;
        channels_.log.push({LogLevel::error, Text<240>{fmt::format("internal contradiction: {}; giving up", broken)}});
        channels_.outside.ring();
    }
    if (now >= *gives_up_at_) std::abort();
}

void Gateway::flush(Port& port, Instant now)
{
    const auto all_sent = [&](Sent sent) {
        switch (sent) {
        case Sent::yes: bridge_.sent(port.side, now); return true;
        case Sent::full: bridge_.blocked(port.side, now); return false;
        case Sent::down: bridge_.discard(port.side); return false;
        }
        return false;
    };
    while (const auto frame = bridge_.next_frame(port.side, now)) {
        if (!all_sent(port.bus->send(*frame))) return;
        port.note(*frame, now, true);
    }
    if (port.side != Side::battery) return;
    while (const auto telegram = bridge_.next_telegram(now)) {
        if (!all_sent(port.bus->write(telegram->bytes()))) return;
        port.note(telegram->bytes(), now, true);
    }
}

// SAFE-250 (7): after the first try of the buses and the first verdict, whether or not every interface was there.
void Gateway::be_ready(Instant)
{
    if (ready_) return;
    if (!std::all_of(ports_.begin(), ports_.end(), [](const auto& p) { return p->bus->status().tried; })) return;
    ready_ = setup_.service->ready("running");  // a full queue is tried again at the next turn
}

void Gateway::publish(Instant now)
{
    bool ring = false;
    // What does not fit stays in the judge's own ring and goes next time.
    bool room = true;
    bridge_.events_since(events_sent_, [&](const Event& e) {
        room = room && channels_.events.push(e);
        if (!room) return;
        events_sent_ = e.number;
        ring = true;
    });
    if (bridge_.transitions() != transitions_sent_ || now >= next_snapshot_) {
        transitions_sent_ = bridge_.transitions();
        next_snapshot_ = now + snapshot_period;
        look_at_clock();
        bridge_.fill(channels_.snapshots.draft(), now);
        channels_.snapshots.publish();
        ring = true;
    }
    if (ring) channels_.outside.ring();
}

void Gateway::look_at_clock() { bridge_.clock_valid(std::chrono::system_clock::now() > wall_clock_unset); }

// SAFE-231: the monotonic clock stood still meanwhile, so that no age tells.
void Gateway::look_at_sleep(Instant now)
{
    const Duration total = setup_.suspended();
    const Duration slept = total - suspended_;
    suspended_ = total;
    if (slept <= short_sleep) return;
    bridge_.on_resume(now);
    channels_.log.push(
        {LogLevel::warn, Text<240>{fmt::format("the machine was suspended for {} s: every reading is out of date", slept / 1s)}});
    channels_.outside.ring();
}

// SAFE-211: fed from the judge's own progress, never from a timer of its own.
void Gateway::feed_watchdog(Instant now)
{
    if (now < next_feed_) return;
    next_feed_ = now + feed_period;
    if (bridge_.healthy_since_asked()) setup_.service->feed_watchdog();
}

void Gateway::on_timer()
{
    timer_.answer();
    const Instant now = monotonic_now();
    take_commands(now);
    turn(now);
}

void Gateway::on_bell()
{
    channels_.bridge.answer();
    const Instant now = monotonic_now();
    std::shared_ptr<const Config> config;
    while (channels_.configs.pop(config)) {
        setup_.config = config;
        bridge_.reconfigure(*config, now);
    }
    bridge_.outside_warnings(channels_.warnings.load());
    take_commands(now);
    turn(now);
}

// A command waits where its answer would not fit: every one is answered. The timer looks again.
void Gateway::take_commands(Instant now)
{
    Command command;
    bool answered = false;
    while (channels_.results.room() && channels_.commands.pop(command)) {
        channels_.results.push(bridge_.on_command(command, now));
        answered = true;
    }
    if (answered) channels_.outside.ring();
}

void Gateway::on_reload_signal()
{
    channels_.reload_wanted = true;
    channels_.outside.ring();
}

void Gateway::stop()
{
    setup_.service->stopping();
    bridge_.request_stop(monotonic_now());
    turn(monotonic_now());
}

}  // namespace batgw
