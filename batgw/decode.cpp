// batgw decode: what a recorded or live log says, one line per frame, read with the eyes of one driver.
#include "batgw/commands.hpp"
#include "batgw/log_clock.hpp"
#include "batgw/log_reader.hpp"
#include "batgw/message_text.hpp"
#include "batgw/state_text.hpp"
#include "batgw/tools.hpp"
#include "model/chemistry.hpp"
#include "mqtt/json.hpp"
#include "safety/signals.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <map>
#include <set>
#include <stdexcept>

namespace batgw {
namespace {

constexpr Duration untimed_step = 1ms;  // between lines without a time
constexpr Duration longest_gap = 1h;
constexpr std::size_t most_listed = 64;  // of unknown identifiers and interfaces that are listed

// A driver alone in the world: it hears, and what it says goes nowhere.
class Listener {
public:
    Listener(const Protocol& protocol, const std::vector<std::string>& given)
    {
        if (const auto* const info = protocol.battery) {
            battery_config_.protocol = info->name;
            battery_config_.chemistry = info->profile.chemistry;
            battery_config_.options = options_of(protocol, given);
            SafetyConfig safety = default_safety(battery_config_.chemistry);
            if (info->adjust != nullptr) info->adjust(battery_config_, safety);
            battery_ = info->make({.config = battery_config_, .ages = age_limits(safety, info->profile)});
        } else {
            inverter_config_.protocol = protocol.name();
            inverter_config_.options = options_of(protocol, given);
            inverter_ = protocol.inverter->make(inverter_config_);
        }
    }
    Heard on_frame(const CanFrame& frame, Instant now)
    {
        const Heard heard = battery_ ? battery_->on_frame(frame, now) : inverter_->on_frame(frame, now);
        tick(now);
        return heard;
    }
    HeardCounts on_bytes(std::span<const std::uint8_t> bytes, Instant now)
    {
        HeardCounts heard{};
        if (battery_) battery_->on_bytes(bytes, now, heard);
        tick(now);
        return heard;
    }
    const InverterConfig& inverter_config() const { return inverter_config_; }
    const std::vector<ShownValue>& changes()
    {
        return battery_ ? changes_.look(battery_->state()) : changes_.look(inverter_->state());
    }

private:
    // Drivers of batteries do part of their work here. Those of inverters only speak.
    void tick(Instant now)
    {
        if (!battery_ || now < wake_) return;
        outbox_.clear();
        wake_ = battery_->on_tick(now, {}, outbox_);
    }
    BatteryConfig battery_config_;
    InverterConfig inverter_config_;
    std::unique_ptr<BatteryDriver> battery_;
    std::unique_ptr<InverterDriver> inverter_;
    Outbox outbox_;
    Instant wake_{};
    StateChanges changes_;
};

struct Counts {
    std::uint64_t lines = 0, frames = 0, known = 0, unknown = 0, remote = 0, error = 0, fd = 0, other_interface = 0, written = 0,
                  drops = 0;
    HeardCounts heard{};
    std::map<std::string, std::uint64_t, std::less<>> unknown_ids;
    std::set<std::string, std::less<>> interfaces;
};

class Decoder {
public:
    Decoder(const Protocol& protocol, const DecodeOptions& options)
        : protocol_{protocol},
          options_{options},
          listener_{protocol, options.options},
          traffic_{protocol, listener_.inverter_config()},
          heard_finder_{protocol.battery != nullptr ? protocol.battery->find_telegram : nullptr},
          written_finder_{heard_finder_},
          stamps_{options.delta}
    {}
    int run();

private:
    void on_line(const LogReader::Line& line, const std::string& log);
    void on_frame(const TrafficLine& line);
    void on_bytes(const TrafficLine& line);
    void on_other(const TrafficLine& line);
    Instant time_of(const TrafficLine& line);
    std::string_view word_for(Heard heard, const CanFrame& frame, const MessageView* message) const;
    std::string head(const TrafficLine& line) const;
    mqtt::Json json_head(const TrafficLine& line) const;
    void write_changes(mqtt::Json& json);
    std::string changes_text();
    void write_telegram(mqtt::Json& json, const FoundTelegram& telegram) const;
    std::string telegram_text(const FoundTelegram& telegram) const;
    void summarise() const;
    int status() const;

    const Protocol protocol_;
    const DecodeOptions& options_;
    Listener listener_;
    Traffic traffic_;
    TelegramFinder heard_finder_, written_finder_;
    SteadyStamps stamps_;
    PlayedTime played_{longest_gap};
    std::int64_t untimed_us_ = 0;
    std::string log_;
    std::uint64_t number_ = 0;
    BadLines bad_;
    Counts counts_;
};

Instant Decoder::time_of(const TrafficLine& line)
{
    if (!line.time_us) {
        untimed_us_ += std::chrono::microseconds{untimed_step}.count();
    } else {
        const auto step = stamps_.take(*line.time_us);
        if (step.jumped) fmt::print(stderr, "{}:{}: the time goes back by {} s\n", log_, number_, time_text(step.back_us));
    }
    const auto played = played_.take(stamps_.last() + untimed_us_);
    if (played.cut > Duration{})
        fmt::print(stderr, "{}:{}: {} s without a frame\n", log_, number_, time_text((played.cut + longest_gap).count()));
    return played.now;
}

// How the frame was taken, where it is not simply "used".
std::string_view Decoder::word_for(Heard heard, const CanFrame& frame, const MessageView* message) const
{
    if (heard != Heard::not_mine) return to_string(heard);
    if (traffic_.sends(frame)) return "sent";
    return message != nullptr ? "not_read" : "unknown";
}

std::string Decoder::head(const TrafficLine& line) const
{
    std::string text;
    if (!line.stamp.empty()) text += fmt::format("({}) ", line.stamp);
    if (!line.interface.empty()) text += fmt::format("{} ", line.interface);
    return text;
}

mqtt::Json Decoder::json_head(const TrafficLine& line) const
{
    mqtt::Json json;
    json.open('{').key("time");
    if (line.time_us)
        json.raw(time_text(*line.time_us));
    else
        json.null();
    if (!line.interface.empty()) json.key("interface").string(line.interface);
    json.key("kind").string(to_string(line.kind));
    return json;
}

void Decoder::write_changes(mqtt::Json& json)
{
    json.key("changed").open('{');
    for (const ShownValue& v : listener_.changes()) {
        json.key(v.name).open('{').key("value").raw(v.json);
        if (!v.unit.empty()) json.key("unit").string(v.unit);
        json.close('}');
    }
    json.close('}');
}

std::string Decoder::changes_text()
{
    std::string text;
    for (const ShownValue& v : listener_.changes())
        text += fmt::format("{}{} {}{}{}", text.empty() ? " -> " : ", ", v.name, v.text, v.unit.empty() ? "" : " ", v.unit);
    return text;
}

void Decoder::on_frame(const TrafficLine& line)
{
    const CanFrame& frame = line.frame;
    const Heard heard = listener_.on_frame(frame, time_of(line));
    const MessageView* const message = find_message(protocol_.messages(), traffic_.declared(frame));
    const std::string_view word = word_for(heard, frame, message);
    ++counts_.frames;
    ++counts_.heard[static_cast<std::size_t>(heard)];
    if (word == "unknown") {
        ++counts_.unknown;
        const std::string text = frame_text(frame), id = text.substr(0, text.find('#'));
        if (counts_.unknown_ids.size() < most_listed || counts_.unknown_ids.contains(id)) ++counts_.unknown_ids[id];
    } else if (heard == Heard::not_mine) {
        ++counts_.known;
    }
    const bool readable = message != nullptr && message->len == frame.len;
    if (options_.json) {
        mqtt::Json json = json_head(line);
        write_frame(frame, json);
        json.key("heard").string(word).key("message");
        if (message != nullptr)
            json.string(message->name);
        else
            json.null();
        if (readable) write_signals(*message, frame, json.key("signals"));
        write_changes(json);
        fmt::print("{}\n", json.close('}').text());
        return;
    }
    std::string text = head(line) + frame_text(frame);
    if (heard != Heard::used) text += fmt::format(" [{}]", word);
    if (message != nullptr) text += fmt::format(" {}", message->name);
    if (readable && !message->signals.empty()) text += ": " + signals_text(*message, frame);
    fmt::print("{}{}\n", text, changes_text());
}

void Decoder::on_bytes(const TrafficLine& line)
{
    const Instant now = time_of(line);
    HeardCounts heard{};
    if (line.written)
        ++counts_.written;
    else
        heard = listener_.on_bytes(line.bytes(), now);
    ++counts_.frames;
    for (std::size_t i = 0; i < heard_count; ++i) counts_.heard[i] += heard[i];
    const auto& telegrams = (line.written ? written_finder_ : heard_finder_).take(line.bytes());
    if (options_.json) {
        mqtt::Json json = json_head(line);
        json.key("written").boolean(line.written).key("data").string(hex_text(line.bytes(), "")).key("heard").open('{');
        for (std::size_t i = 0; i < heard_count; ++i)
            if (heard[i] > 0) json.key(to_string(static_cast<Heard>(i))).integer(heard[i]);
        json.close('}').key("telegrams").open('[');
        for (const FoundTelegram& t : telegrams) write_telegram(json, t);
        write_changes(json.close(']'));
        fmt::print("{}\n", json.close('}').text());
        return;
    }
    std::string text = head(line) + (line.written ? "> " : "") + hex_text(line.bytes(), " ");
    for (std::size_t i = 0; i < heard_count; ++i)
        if (heard[i] > 0 && static_cast<Heard>(i) != Heard::used)
            text += fmt::format(" [{}{}]", to_string(static_cast<Heard>(i)), heard[i] > 1 ? fmt::format(" {}", heard[i]) : "");
    for (const FoundTelegram& t : telegrams) text += telegram_text(t);
    fmt::print("{}{}\n", text, changes_text());
}

void Decoder::write_telegram(mqtt::Json& json, const FoundTelegram& telegram) const
{
    const MessageView* const message = find_message(protocol_.messages(), telegram.frame);
    json.open('{').key("id").string(fmt::format("{:02X}", telegram.frame.id)).key("to_device").boolean(telegram.to_device);
    json.key("message");
    if (message != nullptr)
        json.string(message->name);
    else
        json.null();
    if (message != nullptr && !telegram.to_device) write_signals(*message, telegram.frame, json.key("signals"));
    json.close('}');
}

// " totals: voltage 52.8 V, ...". A question has a name and no content.
std::string Decoder::telegram_text(const FoundTelegram& telegram) const
{
    const MessageView* const message = find_message(protocol_.messages(), telegram.frame);
    if (message == nullptr) return fmt::format(" [unknown] {:02X}", telegram.frame.id);
    if (telegram.to_device) return fmt::format(" {}?", message->name);
    const std::string signals = signals_text(*message, telegram.frame);
    return fmt::format(" {}{}{}", message->name, signals.empty() ? "" : ": ", signals);
}

// Remote, error and FD frames are no data: named and counted.
void Decoder::on_other(const TrafficLine& line)
{
    const auto kind = line.kind;
    ++(kind == TrafficLine::Kind::remote ? counts_.remote : kind == TrafficLine::Kind::error ? counts_.error : counts_.fd);
    CanFrame bare = line.frame;
    bare.len = 0;
    const std::string text = frame_text(bare), id = text.substr(0, text.find('#'));
    if (options_.json) {
        mqtt::Json json = json_head(line);
        if (kind == TrafficLine::Kind::error)
            json.key("error").string(error_text(line.frame.id));
        else
            json.key("id").string(id).key("extended").boolean(line.frame.extended);
        fmt::print("{}\n", json.close('}').text());
    } else if (kind == TrafficLine::Kind::error) {
        fmt::print("{}error frame: {}\n", head(line), error_text(line.frame.id));
    } else {
        fmt::print("{}{} [{}]\n", head(line), id, kind == TrafficLine::Kind::remote ? "remote request" : "FD frame");
    }
}

void Decoder::on_line(const LogReader::Line& line, const std::string& log)
{
    ++counts_.lines;
    number_ = line.number;
    const TrafficLine parsed = protocol_.serial() ? parse_serial_line(line.text) : parse_can_line(line.text);
    if (line.too_long || parsed.kind == TrafficLine::Kind::bad) {
        bad_.tell(log, line.number, line.too_long ? "too long" : parsed.problem, line.text);
        return;
    }
    if (parsed.kind == TrafficLine::Kind::nothing) {
        counts_.drops = std::max(counts_.drops, parsed.drops);
        return;
    }
    if (!options_.interfaces.empty() &&
        std::find(options_.interfaces.begin(), options_.interfaces.end(), parsed.interface) == options_.interfaces.end()) {
        ++counts_.other_interface;
        return;
    }
    if (counts_.interfaces.size() < most_listed)
        counts_.interfaces.emplace(parsed.interface.empty() ? "(none)" : parsed.interface);
    switch (parsed.kind) {
    case TrafficLine::Kind::data: on_frame(parsed); break;
    case TrafficLine::Kind::bytes: on_bytes(parsed); break;
    default: on_other(parsed); break;
    }
}

int Decoder::run()
{
    LogReader reader{options_.file};
    log_ = reader.name();
    // What is known is said before waiting for more, so that a live pipe is shown as it comes.
    while (const auto line = reader.next(finish_output)) on_line(*line, log_);
    finish_output();
    summarise();
    return status();
}

std::uint64_t of(const HeardCounts& heard, Heard h) { return heard[static_cast<std::size_t>(h)]; }

void Decoder::summarise() const
{
    const Counts& c = counts_;
    const bool serial = protocol_.serial().has_value();
    std::string text =
        fmt::format("{}: {} in {}", protocol_.name(), counted(c.frames, serial ? "piece" : "frame"), counted(c.lines, "line"));
    const auto add = [&](std::uint64_t n, std::string_view what) {
        if (n > 0) text += fmt::format(", {} {}", n, what);
    };
    const auto add_counted = [&](std::uint64_t n, std::string_view noun) {
        if (n > 0) text += ", " + counted(n, noun);
    };
    add(of(c.heard, Heard::used), serial ? "telegrams used" : "used");
    if (serial) add(of(c.heard, Heard::not_mine), "not_mine");
    add(c.known, "known but not read");
    add(c.unknown, "unknown");
    for (const Heard h : {Heard::bad_length, Heard::bad_checksum, Heard::bad_counter, Heard::implausible})
        add(of(c.heard, h), to_string(h));
    add(c.written, "written");
    add_counted(c.remote, "remote request");
    add_counted(c.error, "error frame");
    add_counted(c.fd, "FD frame");
    add(c.other_interface, "of other interfaces");
    add_counted(bad_.count(), "bad line");
    add(c.drops, "lost by the recorder");
    add(stamps_.slips(), "a little out of order");
    fmt::print(stderr, "{}\n", text);
    if (!c.unknown_ids.empty()) {
        std::string ids;
        for (const auto& [id, n] : c.unknown_ids) ids += fmt::format(" {} ({})", id, n);
        fmt::print(stderr, "unknown:{}{}\n", ids, c.unknown_ids.size() == most_listed ? " ..." : "");
    }
    if (c.interfaces.size() > 1)
        fmt::print(stderr, "several interfaces: {}; --interface picks one\n", fmt::join(c.interfaces, ", "));
}

int Decoder::status() const
{
    const HeardCounts& h = counts_.heard;
    if (of(h, Heard::used) + counts_.known == 0) {
        fmt::print(stderr, "nothing of {} in it\n", protocol_.name());
        return status_failed;
    }
    const std::uint64_t refused =
        of(h, Heard::bad_length) + of(h, Heard::bad_checksum) + of(h, Heard::bad_counter) + of(h, Heard::implausible);
    return refused + bad_.count() > 0 ? status_with_trouble : status_fine;
}

}  // namespace

int decode_log(const DecodeOptions& options)
{
    const Protocol protocol = find_protocol(options.protocol);
    Decoder decoder{protocol, options};
    end_reading_on_interrupt();
    return decoder.run();
}

}  // namespace batgw
