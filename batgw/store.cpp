#include "batgw/store.hpp"

#include "batgw/event_text.hpp"
#include "batgw/latch_file.hpp"
#include "batgw/state_file.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <fstream>
#include <map>
#include <mutex>
#include <system_error>
#include <thread>

namespace batgw {
namespace {

using Json = nlohmann::ordered_json;
constexpr std::string_view operator_file = "operator.json";
constexpr std::string_view events_file = "events.jsonl";
constexpr std::size_t events_kept = 64;
constexpr auto retry = std::chrono::seconds{10};

std::string full_name(const std::string& directory, std::string_view name) { return fmt::format("{}/{}", directory, name); }

std::string to_text(const OperatorState& s)
{
    Json j{{"version", 1}, {"charge", s.charge}, {"discharge", s.discharge}, {"paused", s.paused},
        {"contactors_open", s.contactors_open}};
    // A limit that nobody set follows the configuration, so it is not written down.
    if (!s.charge_limit_default) {
        j["max_charge_mw"] = s.max_charge.milli();
        if (s.max_charge_current) j["max_charge_ma"] = s.max_charge_current->milli();
    }
    if (!s.discharge_limit_default) {
        j["max_discharge_mw"] = s.max_discharge.milli();
        if (s.max_discharge_current) j["max_discharge_ma"] = s.max_discharge_current->milli();
    }
    return j.dump() + "\n";
}

template <class Q>
std::optional<Q> kept(const Json& j, const char* key)
{
    if (!j.contains(key)) return std::nullopt;
    const auto milli = j.at(key).get<std::int64_t>();
    if (milli < 0) throw std::invalid_argument{key};
    return Q::from_milli(milli);
}

// Throws what the JSON library throws, or std::invalid_argument.
OperatorState from_text(const std::string& text, const BatteryConfig& battery)
{
    const Json j = Json::parse(text);
    if (j.at("version").get<int>() != 1) throw std::invalid_argument{"unknown version"};
    OperatorState s;
    s.max_charge = battery.charge;
    s.max_discharge = battery.discharge;
    s.charge = j.at("charge").get<bool>();
    s.discharge = j.at("discharge").get<bool>();
    s.paused = j.at("paused").get<bool>();
    s.contactors_open = j.at("contactors_open").get<bool>();
    s.charge_limit_default = !j.contains("max_charge_mw");
    s.discharge_limit_default = !j.contains("max_discharge_mw");
    if (const auto p = kept<Power>(j, "max_charge_mw")) s.max_charge = *p;
    if (const auto p = kept<Power>(j, "max_discharge_mw")) s.max_discharge = *p;
    s.max_charge_current = kept<Current>(j, "max_charge_ma");
    s.max_discharge_current = kept<Current>(j, "max_discharge_ma");
    return s;
}

std::string wall_clock()
{
    timespec t{};
    ::clock_gettime(CLOCK_REALTIME, &t);
    std::tm utc{};
    ::gmtime_r(&t.tv_sec, &utc);
    std::array<char, 32> text{};
    const auto n = std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%S", &utc);
    return fmt::format("{}.{:03}Z", std::string_view{text.data(), n}, t.tv_nsec / 1'000'000);
}

template <class Q>
Json milli(const std::optional<Q>& q)
{
    return q ? Json(static_cast<double>(q->milli()) / 1000) : Json(nullptr);
}

std::string to_text(const Event& e)
{
    Json j{{"time", wall_clock()}, {"number", e.number}, {"type", to_string(e.type)}, {"text", event_text(e)},
        {"id", fault_kind(e.fault).view()}, {"detail", e.fault.detail.view()}, {"class", to_string(e.fault.level)},
        {"direction", to_string(e.fault.direction)}};
    if (e.fault.has_value) {
        j["value"] = static_cast<double>(e.fault.value_milli) / 1000;
        j["limit"] = static_cast<double>(e.fault.limit_milli) / 1000;
        j["unit"] = to_string(e.fault.unit);
    }
    j["inputs"] = {{"voltage", milli(e.voltage)}, {"current", milli(e.current)}, {"cell_voltage_min", milli(e.cell_voltage_min)},
        {"cell_voltage_max", milli(e.cell_voltage_max)}, {"temperature_min", milli(e.temperature_min)},
        {"temperature_max", milli(e.temperature_max)}, {"soc", milli(e.soc)}};
    return j.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

// What the operator had forbidden is not known any more, so nothing is allowed until he says so again.
OperatorState paused(const BatteryConfig& battery)
{
    OperatorState s;
    s.paused = true;
    s.max_charge = battery.charge;
    s.max_discharge = battery.discharge;
    s.charge_limit_default = s.discharge_limit_default = true;
    return s;
}
constexpr std::string_view how_to_go_on = "starting paused; send \"off\" to cmnd/pause to go on";

std::string_view on_off(bool on) { return on ? "ON" : "OFF"; }
std::string limit_text(Power power, const std::optional<Current>& current)
{
    const std::string watts = fmt::format("{} W", power.in(1000));
    return current ? fmt::format("{} and {:.1f} A", watts, static_cast<double>(current->milli()) / 1000) : watts;
}

}  // namespace

Restored restore_operator(const std::string& directory, const BatteryConfig& battery)
{
    const std::string path = full_name(directory, operator_file);
    std::string text;
    const int error = read_whole(path, text);
    // Nothing kept yet; a directory that cannot be used is reported when something is to be written.
    if (error == ENOENT || error == ENOTDIR) return {};
    if (error != 0)
        return {.state = paused(battery),
            .note = fmt::format("{} cannot be read ({}): {}", path, std::strerror(error), how_to_go_on),
            .damaged = true};
    try {
        Restored r{.state = from_text(text, battery), .note = {}};
        const OperatorState& s = *r.state;
        if (!s.charge || !s.discharge || s.paused || s.contactors_open || s.max_charge < battery.charge ||
            s.max_discharge < battery.discharge || s.max_charge_current || s.max_discharge_current)
            r.note = fmt::format("operator restrictions of the last run are in force again: charge {}, discharge {}, pause {}, "
                                 "contactors {}, max-charge {}, max-discharge {}",
                on_off(s.charge), on_off(s.discharge), on_off(s.paused), s.contactors_open ? "open" : "as needed",
                limit_text(s.max_charge, s.max_charge_current), limit_text(s.max_discharge, s.max_discharge_current));
        return r;
    } catch (const std::exception&) {
        const std::string aside = path + ".damaged";
        std::rename(path.c_str(), aside.c_str());
        return {.state = paused(battery),
            .note = fmt::format("{} is damaged (now {}): {}", path, aside, how_to_go_on),
            .damaged = true};
    }
}

struct Store::Shared {
    using Clock = std::chrono::steady_clock;
    struct Item {
        std::string content;
        Clock::time_point not_before{};  // after a failure
        bool failed = false;
    };
    using Items = std::map<std::string, Item, std::less<>>;
    std::string directory;
    std::function<void(bool, std::string_view)> trouble;
    std::function<void()> latches_done;
    std::mutex mutex;
    std::condition_variable changed;
    Items pending;  // newest content per file
    std::atomic<bool> latches_open{false};
    bool stop = false;
    bool done = false;

    // The latches before all others, and what cannot be written in nobody's way. At the end everything gets its last chance.
    Items::iterator next()
    {
        const auto due = [this](const Items::value_type& i) { return stop || i.second.not_before <= Clock::now(); };
        const auto latches = pending.find(latch_file);
        if (latches != pending.end() && due(*latches)) return latches;
        return std::find_if(pending.begin(), pending.end(), due);
    }
    Clock::time_point wake() const
    {
        Clock::time_point first = Clock::time_point::max();
        for (const auto& [name, item] : pending) first = std::min(first, item.not_before);
        return first;
    }
    bool any_failed() const
    {
        return std::any_of(pending.begin(), pending.end(), [](const auto& i) { return i.second.failed; });
    }

    void run()
    {
        bool failing = false;
        std::unique_lock lock{mutex};
        for (;;) {
            const auto found = next();
            if (found == pending.end()) {
                if (stop) break;
                if (pending.empty())
                    changed.wait(lock);
                else
                    changed.wait_until(lock, wake());
                continue;
            }
            auto item = pending.extract(found);
            lock.unlock();
            const std::string error = write_whole(directory, item.key(), item.mapped().content);
            lock.lock();
            const bool latches = item.key() == latch_file;
            if (!error.empty()) {
                item.mapped().failed = true;
                item.mapped().not_before = Clock::now() + retry;
                if (!stop) pending.insert(std::move(item));  // keeps a newer one that came meanwhile
            }
            if (latches && (!error.empty() || !pending.contains(latch_file))) {
                latches_open = false;
                latches_done();
            }
            if (!error.empty() && !failing) trouble(true, error);
            if (failing && error.empty() && !any_failed()) trouble(false, {});
            failing = any_failed() || (!error.empty() && stop);
        }
        done = true;
        changed.notify_all();
    }
};

Store::Store(std::string directory, std::function<void(bool, std::string_view)> trouble, std::function<void()> latches_done)
    : shared_{std::make_shared<Shared>()}
{
    shared_->directory = std::move(directory);
    shared_->trouble = std::move(trouble);
    shared_->latches_done = std::move(latches_done);
    std::ifstream before{full_name(shared_->directory, events_file)};
    for (std::string line; std::getline(before, line) && line.size() < 4096;) {
        events_.push_back(line + "\n");
        if (events_.size() > events_kept) events_.pop_front();
    }
    std::thread{[shared = shared_] { shared->run(); }}.detach();
}

Store::~Store()
{
    std::unique_lock lock{shared_->mutex};
    shared_->stop = true;
    shared_->changed.notify_all();
    shared_->changed.wait_for(lock, std::chrono::seconds{3}, [this] { return shared_->done; });
    shared_->trouble = [](bool, std::string_view) {};  // a disk that hangs may come back when nobody listens any more
    shared_->latches_done = [] {};
}

void Store::write(std::string name, std::string content)
{
    const std::lock_guard lock{shared_->mutex};
    const bool is_latches = name == latch_file;
    Shared::Item& item = shared_->pending[std::move(name)];
    item.content = std::move(content);
    if (is_latches) item.not_before = {};
    shared_->changed.notify_all();
}

void Store::keep_operator(const OperatorState& state)
{
    std::string text = to_text(state);
    if (operator_ == text) return;
    operator_ = text;
    write(std::string{operator_file}, std::move(text));
}

void Store::keep_latches(std::span<const ActiveFault> faults, const BothClocks& now)
{
    std::string signature = latches_signature(faults);
    if (latches_ == signature) return;
    latches_ = std::move(signature);
    shared_->latches_open = true;
    write(std::string{latch_file}, latches_text(faults, now));
}

bool Store::writing_latches() const { return shared_->latches_open; }

void Store::keep_start(const StartRecord& record) { write(std::string{start_file}, start_text(record)); }

void Store::keep_wear(const ContactorVerdict& contactors, std::int64_t wall_ms)
{
    if (contactors.opened_under_load <= wear_.openings) return;
    wear_.count_to(contactors.opened_under_load, contactors.load, wall_ms);
    write(std::string{wear_file}, wear_text(wear_));
}

void Store::keep_event(const Event& event)
{
    if (event.fault.level < FaultClass::block || (event.type != EventType::fault_set && event.type != EventType::fault_class))
        return;
    events_.push_back(to_text(event));
    if (events_.size() > events_kept) events_.pop_front();
    std::string all;
    for (const std::string& e : events_) all += e;
    write(std::string{events_file}, std::move(all));
}

}  // namespace batgw
