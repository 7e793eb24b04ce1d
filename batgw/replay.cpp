// batgw replay: recorded traffic through the configured gateway, in the time of the record. No bus, no network: what would be
// sent is printed.
#include "batgw/bridge.hpp"
#include "batgw/commands.hpp"
#include "batgw/event_text.hpp"
#include "batgw/log_merge.hpp"
#include "batgw/message_text.hpp"
#include "batgw/time_text.hpp"
#include "mqtt/json.hpp"
#include "safety/signals.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <set>
#include <stdexcept>

namespace batgw {
namespace {

constexpr Duration longest_silence = 10min;  // by then a silent house has come to rest
constexpr std::size_t most_names = 64;
constexpr std::array<std::string_view, sides_max> side_names{"battery", "inverter", "battery2"};

// Says what the bridge decided and would have sent, each with its time in the log.
class Printer {
public:
    Printer(const ReplayOptions& options, const Config& config, const PlayedTime& time)
        : options_{options},
          time_{time},
          battery_{find_protocol(config.battery.protocol)},
          inverter_{find_protocol(config.inverter.protocol)},
          traffic_{Traffic{battery_, config.inverter}, Traffic{inverter_, config.inverter}, Traffic{battery_, config.inverter}}
    {}

    void events(const Bridge& bridge)
    {
        bridge.events_since(events_, [this](const Event& e) {
            events_ = e.number;
            event(e);
        });
    }
    void grants(const Verdict& v, Instant now)
    {
        if (shown_ && !moved(v.charge, charge_) && !moved(v.discharge, discharge_)) return;
        shown_ = true;
        charge_ = v.charge;
        discharge_ = v.discharge;
        if (!options_.json) {
            fmt::print("({}) limits charge {}, discharge {}\n", stamp(now), text(v.charge), text(v.discharge));
            return;
        }
        mqtt::Json json = head(now, "limits");
        write(json, "charge", v.charge);
        write(json, "discharge", v.discharge);
        fmt::print("{}\n", json.close('}').text());
    }
    void sent(Side side, const CanFrame& frame, Instant now)
    {
        if (options_.no_frames) return;
        const auto i = static_cast<std::size_t>(side);
        const MessageView* const message =
            find_message((side == Side::inverter ? inverter_ : battery_).messages(), traffic_[i].declared(frame));
        if (options_.json) {
            mqtt::Json json = head(now, "send");
            json.key("to").string(side_names[i]);
            write_frame(frame, json);
            if (message != nullptr) write_signals(*message, frame, json.key("message").string(message->name).key("signals"));
            fmt::print("{}\n", json.close('}').text());
            return;
        }
        std::string line = fmt::format("({}) send {} {}", stamp(now), side_names[i], frame_text(frame));
        if (message != nullptr) line += fmt::format(" {}", message->name);
        if (message != nullptr && !message->signals.empty()) line += ": " + signals_text(*message, frame);
        fmt::print("{}\n", line);
    }
    void sent(const Telegram& telegram, Instant now)
    {
        if (options_.no_frames) return;
        const MessageView* const message = find_message(battery_.messages(), {.id = telegram.id});
        if (options_.json) {
            mqtt::Json json = head(now, "send");
            json.key("to").string("battery").key("data").string(hex_text(telegram.bytes(), ""));
            if (message != nullptr) json.key("message").string(message->name);
            fmt::print("{}\n", json.close('}').text());
            return;
        }
        fmt::print("({}) send battery {}{}{}\n", stamp(now), hex_text(telegram.bytes(), " "), message != nullptr ? " " : "",
            message != nullptr ? message->name : "");
    }

    // A frame of ours, going this way?
    bool sends(Side side, const CanFrame& frame) const { return traffic_[static_cast<std::size_t>(side)].sends(frame); }

private:
    std::string stamp(Instant when) const { return time_text(time_.stamp(when)); }
    mqtt::Json head(Instant when, std::string_view type) const
    {
        mqtt::Json json;
        json.open('{').key("time").raw(stamp(when)).key("type").string(type);
        return json;
    }
    bool moved(const Grant& now, const Grant& then) const
    {
        return now.by() != then.by() || now.is_zero() != then.is_zero() ||
            std::abs(now.power().milli() - then.power().milli()) >= std::int64_t{options_.step_w} * 1000;
    }
    static std::string text(const Grant& g)
    {
        return fmt::format(
            "{} W {} A ({})", g.power().down_in(1000), mqtt::fixed_text(g.current().down_in(100), 1), to_string(g.by()));
    }
    static void write(mqtt::Json& json, const std::string& name, const Grant& g)
    {
        json.key(name + "_w").milli_short(g.power().milli(), 3).key(name + "_a").milli_short(g.current().milli(), 3);
        json.key(name + "_by").string(to_string(g.by()));
    }
    void event(const Event& e)
    {
        if (!options_.json) {
            fmt::print("({}) {}\n", stamp(e.at), event_text(e));
            return;
        }
        mqtt::Json json = head(e.at, to_string(e.type));
        if (e.type == EventType::fault_set || e.type == EventType::fault_cleared || e.type == EventType::fault_class) {
            json.key("fault").string(to_string(e.fault.id)).key("detail").string(e.fault.detail.view());
            json.key("class").string(to_string(e.fault.level)).key("direction").string(to_string(e.fault.direction));
        }
        if (!e.from.empty()) json.key("from").string(e.from.view());
        if (!e.to.empty()) json.key("to").string(e.to.view());
        fmt::print("{}\n", json.key("text").string(event_text(e)).close('}').text());
    }

    const ReplayOptions& options_;
    const PlayedTime& time_;
    Protocol battery_, inverter_;
    std::array<Traffic, sides_max> traffic_;  // by side
    std::uint64_t events_ = 0;
    bool shown_ = false;
    Grant charge_, discharge_;
};

class Replay {
public:
    Replay(const ReplayOptions& options, const Config& config)
        : options_{options},
          battery_{*drivers().battery(config.battery.protocol)},
          inverter_{*drivers().inverter(config.inverter.protocol)},
          names_{options.battery.empty() ? config.battery.interface : options.battery,
              options.inverter.empty() ? config.inverter.interface : options.inverter,
              config.battery2 ? config.battery2->interface : ""},
          log_{options.logs, battery_.serial.has_value(), options.delta},
          printer_{options, config, time_},
          bridge_{config, battery_, inverter_, PlayedTime::start, std::nullopt}
    {
        if (names_[0] == names_[1])
            throw std::invalid_argument{fmt::format("battery and inverter cannot both be {} in the logs", names_[0])};
    }
    int run(Duration after);

private:
    std::optional<Side> side_of(const TrafficLine& line);
    void feed(const TrafficLine& line, Instant now);
    void run_until(Instant end);
    void turn(Instant now);
    void start();
    void summarise();

    const ReplayOptions& options_;
    const BatteryDriverInfo& battery_;
    const InverterDriverInfo& inverter_;
    std::array<std::string, sides_max> names_;  // empty: there is none
    LogMerge log_;
    PlayedTime time_{longest_silence};
    Printer printer_;
    Bridge bridge_;
    Instant now_ = PlayedTime::start;
    std::uint64_t not_data_ = 0, skipped_own_ = 0, elsewhere_ = 0;
    std::array<std::uint64_t, sides_max> fed_{}, sent_{};
    std::set<std::string, std::less<>> other_names_;
};

std::optional<Side> Replay::side_of(const TrafficLine& line)
{
    if (line.kind == TrafficLine::Kind::bytes && (line.interface.empty() || line.interface == names_[0])) return Side::battery;
    if (line.interface == names_[0]) return Side::battery;
    if (line.interface == names_[1]) return Side::inverter;
    if (line.interface == names_[2] && !line.interface.empty()) return Side::battery2;
    ++elsewhere_;
    if (other_names_.size() < most_names) other_names_.emplace(line.interface.empty() ? "(none)" : line.interface);
    return std::nullopt;
}

void Replay::feed(const TrafficLine& line, Instant now)
{
    const auto side = side_of(line);
    if (!side) return;
    if (line.kind != TrafficLine::Kind::data && line.kind != TrafficLine::Kind::bytes) {
        ++not_data_;
        return;
    }
    if (!options_.own && (line.kind == TrafficLine::Kind::bytes ? line.written : printer_.sends(*side, line.frame))) {
        ++skipped_own_;
        return;
    }
    ++fed_[static_cast<std::size_t>(*side)];
    if (line.kind == TrafficLine::Kind::bytes)
        bridge_.on_bytes(line.bytes(), now, now);
    else
        bridge_.on_frame(*side, line.frame, now, now);
}

// One turn of the gateway: judge, let the drivers speak, take what they say off their hands.
void Replay::turn(Instant now)
{
    bridge_.run(now);
    printer_.events(bridge_);
    printer_.grants(bridge_.verdict(), now);
    for (const Side side : bridge_.sides())
        while (const auto frame = bridge_.next_frame(side, now)) {
            bridge_.sent(side, now);
            ++sent_[static_cast<std::size_t>(side)];
            printer_.sent(side, *frame, now);
        }
    while (const auto telegram = bridge_.next_telegram(now)) {
        bridge_.sent(Side::battery, now);
        ++sent_[0];
        printer_.sent(*telegram, now);
    }
}

void Replay::run_until(Instant end)
{
    for (Instant wake = std::max(bridge_.wake(), now_ + 1us); wake < end; wake = std::max(bridge_.wake(), now_ + 1us)) {
        now_ = wake;
        turn(now_);
    }
    now_ = end;
}

// Both buses are there and well, and nobody is at the controls.
void Replay::start()
{
    for (const Side side : bridge_.sides()) {
        BusStatus status;
        status.name.assign(names_[static_cast<std::size_t>(side)]);
        status.state = BusState::active;
        status.tried = true;
        bridge_.on_bus(side, status, PlayedTime::start);
    }
    bridge_.clock_valid(true);
}

int Replay::run(Duration after)
{
    start();
    bool fed = false;  // what came at one instant is judged together
    while (const auto next = log_.next(finish_output)) {
        const auto step = time_.take(next->at_us);
        if (step.cut > Duration{})
            fmt::print(stderr, "{}:{}: a gap of {} s, played as {} s\n", *next->log, next->number,
                time_text((step.cut + longest_silence).count()), time_text(Duration{longest_silence}.count()));
        if (step.now > now_) {
            if (fed) turn(now_);
            run_until(step.now);
        }
        feed(*next->line, step.now);
        fed = true;
    }
    if (fed) turn(now_);
    if (after > Duration{}) {
        run_until(now_ + after);
        turn(now_);
    }
    finish_output();
    summarise();
    if (fed_[0] + fed_[1] + fed_[2] == 0) return status_failed;
    return log_.bad() > 0 ? status_with_trouble : status_fine;
}

void Replay::summarise()
{
    Snapshot s;
    bridge_.fill(s, now_);
    for (std::size_t i = 0; i < bridge_.sides().size(); ++i) {
        const TrafficCounters& traffic = i < s.buses.size() ? s.buses[i].traffic : s.packs[1].bus.traffic;
        std::string text = fmt::format(
            "{} ({}): {} played", side_names[i], names_[i], counted(fed_[i], i == 0 && battery_.serial ? "piece" : "frame"));
        for (std::size_t h = 0; h < heard_count; ++h)
            if (traffic.heard[h] > 0) text += fmt::format(", {} {}", traffic.heard[h], to_string(static_cast<Heard>(h)));
        fmt::print(stderr, "{}; {} would have been sent\n", text, sent_[i]);
    }
    if (skipped_own_ > 0)
        fmt::print(stderr, "{} left out: a gateway sent them when the log was made (--own-ids plays them)\n",
            counted(skipped_own_, "frame"));
    if (not_data_ > 0) fmt::print(stderr, "{} left out: remote, error and FD frames\n", not_data_);
    if (elsewhere_ > 0)
        fmt::print(stderr, "{} of other interfaces: {}; --battery and --inverter name the two that are meant\n",
            counted(elsewhere_, "frame"), fmt::join(other_names_, ", "));
    if (log_.slips() > 0) fmt::print(stderr, "{} a little out of order\n", counted(log_.slips(), "line"));
    if (log_.bad() > 0) fmt::print(stderr, "{} refused\n", counted(log_.bad(), "line"));
    fmt::print(stderr, "state {} at the end, {} of the gateway\n", to_string(s.verdict.state),
        fmt::format("{} s", time_text((now_ - PlayedTime::start).count())));
}

}  // namespace

int replay_logs(const ReplayOptions& options)
{
    const auto after = options.after.empty() ? std::optional{Duration{}} : parse_duration(options.after);
    if (!after) throw std::invalid_argument{"--after wants a time like 20s, not '" + options.after + "'"};
    if (std::count(options.logs.begin(), options.logs.end(), "-") > 1)
        throw std::invalid_argument{"standard input can be read only once"};
    const Loaded loaded = load_file(options.file, drivers(), options.definitions);
    for (const Problem& p : loaded.problems) fmt::print(stderr, "{}\n", to_string(p));
    if (!loaded.config) return status_failed;
    if (const auto refusal = freshness_refusal(drivers().battery(loaded.config->battery.protocol)->profile))
        throw std::runtime_error{*refusal};
    end_reading_on_interrupt();
    return Replay{options, *loaded.config}.run(*after);
}

}  // namespace batgw
