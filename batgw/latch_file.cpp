#include "batgw/latch_file.hpp"

#include "batgw/state_file.hpp"
#include "bus/bus.hpp"
#include "model/verdict.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <stdexcept>

#include <time.h>

namespace batgw {
namespace {

using Json = nlohmann::ordered_json;

// The wall clock's view of an instant, and back. An instant is never later than now: the clock may have been set back, or not
// be set at all.
std::int64_t wall_ms(Instant at, const BothClocks& now) { return now.wall_ms - (now.monotonic - at) / 1ms; }
Instant instant(std::int64_t ms, const BothClocks& now)
{
    constexpr std::int64_t century_ms = 100LL * 366 * 86'400'000;
    const std::int64_t ago = std::clamp<std::int64_t>(now.wall_ms - ms, 0, century_ms);
    return now.monotonic - std::chrono::milliseconds{ago};
}

// From the text that to_string() makes of it. Throws std::invalid_argument for any other.
template <class E>
E named(const std::string& name, unsigned count)
{
    for (unsigned i = 0; i < count; ++i)
        if (to_string(static_cast<E>(i)) == name) return static_cast<E>(i);
    throw std::invalid_argument{name};
}

Json to_json(const ActiveFault& f, const BothClocks& now)
{
    Json j{{"id", to_string(f.id)}, {"repeated", f.repeated}, {"detail", f.detail.view()}, {"class", to_string(f.level)},
        {"direction", to_string(f.direction)}, {"device", static_cast<unsigned>(f.device)}, {"device_number", f.device_number},
        {"first_ms", wall_ms(f.since, now)}, {"last_ms", wall_ms(f.last, now)}, {"count", f.count}};
    if (!f.has_value) return j;
    j["value_milli"] = f.value_milli;
    j["limit_milli"] = f.limit_milli;
    j["unit"] = static_cast<unsigned>(f.unit);
    j["number"] = f.number;
    return j;
}

ActiveFault from_json(const Json& j, const BothClocks& now)
{
    ActiveFault f;
    f.id = named<FaultId>(j.at("id").get<std::string>(), static_cast<unsigned>(FaultId::count));
    f.repeated = j.at("repeated").get<bool>();
    f.detail.assign(j.at("detail").get<std::string>());
    f.level = named<FaultClass>(j.at("class").get<std::string>(), static_cast<unsigned>(FaultClass::emergency) + 1);
    if (f.level < FaultClass::trip) throw std::invalid_argument{"class"};
    f.direction = named<Direction>(j.at("direction").get<std::string>(), static_cast<unsigned>(Direction::both) + 1);
    const auto device = j.at("device").get<unsigned>();
    if (device > static_cast<unsigned>(Device::inverter)) throw std::invalid_argument{"device"};
    f.device = static_cast<Device>(device);
    f.device_number = j.at("device_number").get<std::uint8_t>();
    f.since = instant(j.at("first_ms").get<std::int64_t>(), now);
    f.last = instant(j.at("last_ms").get<std::int64_t>(), now);
    f.count = j.at("count").get<std::uint16_t>();
    f.latched = true;
    if (!j.contains("value_milli")) return f;
    f.has_value = true;
    f.value_milli = j.at("value_milli").get<std::int64_t>();
    f.limit_milli = j.at("limit_milli").get<std::int64_t>();
    const auto unit = j.at("unit").get<unsigned>();
    if (unit > static_cast<unsigned>(Unit::count)) throw std::invalid_argument{"unit"};
    f.unit = static_cast<Unit>(unit);
    f.number = j.at("number").get<std::uint16_t>();
    return f;
}

std::string names(const std::vector<ActiveFault>& latches)
{
    std::string all;
    for (const ActiveFault& f : latches) all.append(all.empty() ? "" : ", ").append(fault_name(f).view());
    return all;
}

RestoredLatches damaged(std::string why) { return {.note = std::move(why), .damaged = true}; }

std::chrono::microseconds read_clock(clockid_t id)
{
    timespec t{};
    ::clock_gettime(id, &t);
    return std::chrono::seconds{t.tv_sec} + std::chrono::microseconds{t.tv_nsec / 1000};
}

}  // namespace

BothClocks both_clocks() { return {.monotonic = monotonic_now(), .wall_ms = read_clock(CLOCK_REALTIME) / 1ms}; }

BootMoment this_boot()
{
    BootMoment moment;
    std::string id;
    // Where it is hidden (ProcSubset= of the service unit) all boots look like one, and less time seems to pass between two:
    // then more starts are counted, not fewer.
    if (read_whole("/proc/sys/kernel/random/boot_id", id) == 0) moment.boot.assign(id.substr(0, id.find('\n')));
    moment.up = read_clock(CLOCK_BOOTTIME);
    return moment;
}

ActiveFault found_at_start(FaultId id)
{
    ActiveFault f;
    f.id = id;
    f.level = FaultClass::trip;
    f.direction = Direction::both;
    return f;
}

std::string latches_text(std::span<const ActiveFault> faults, const BothClocks& now)
{
    Json all = Json::array();
    for (const ActiveFault& f : faults)
        if (f.latched) all.push_back(to_json(f, now));
    return sealed("latches", all.dump(1, ' ', true, Json::error_handler_t::replace) + "\n");
}

std::string latches_signature(std::span<const ActiveFault> faults)
{
    std::string all;
    for (const ActiveFault& f : faults)
        if (f.latched)
            all += fmt::format("{}.{}.{}.{}.{}.{}\n", fault_name(f).view(), static_cast<unsigned>(f.level),
                static_cast<unsigned>(f.device), f.device_number, f.count, f.resettable);
    return all;
}

RestoredLatches restore_latches(const std::string& directory, const BothClocks& now)
{
    const std::string path = fmt::format("{}/{}", directory, latch_file);
    std::string content;
    const int error = read_whole(path, content);
    if (error == ENOENT || error == ENOTDIR)
        return {.note = fmt::format("no record of latched faults in {}: nothing is latched", directory), .missing = true};
    if (error != 0) return damaged(fmt::format("{} cannot be read ({})", path, std::strerror(error)));
    try {
        const auto text = unsealed("latches", content);
        if (!text) throw std::invalid_argument{"seal"};
        RestoredLatches r;
        const Json all = Json::parse(*text);
        if (!all.is_array()) throw std::invalid_argument{"no list"};
        for (const Json& j : all) r.latches.push_back(from_json(j, now));
        if (r.latches.size() > Faults::capacity()) throw std::invalid_argument{"too many"};
        std::stable_sort(
            r.latches.begin(), r.latches.end(), [](const ActiveFault& a, const ActiveFault& b) { return a.since < b.since; });
        if (!r.latches.empty()) r.note = fmt::format("latched by an earlier run and in force: {}", names(r.latches));
        return r;
    } catch (const std::exception&) {
        const std::string copy = fmt::format("{}.damaged", latch_file);
        const std::string trouble = write_whole(directory, copy, content);
        return damaged(trouble.empty() ? fmt::format("{} is damaged (a copy is {}/{})", path, directory, copy)
                                       : fmt::format("{} is damaged", path));
    }
}

std::string start_text(const StartRecord& record)
{
    Json ago = Json::array();
    for (const Duration d : record.unclean) ago.push_back(d.count());
    const Json j{{"running", record.running}, {"boot", record.started.boot.view()}, {"up_us", record.started.up.count()},
        {"unclean_us", ago}};
    return sealed("run", j.dump(-1, ' ', true, Json::error_handler_t::replace) + "\n");
}

RestoredStart restore_start(const std::string& directory)
{
    const std::string path = fmt::format("{}/{}", directory, start_file);
    std::string content;
    const int error = read_whole(path, content);
    if (error == ENOENT || error == ENOTDIR) return {};
    StartRecord unknown;
    unknown.running = true;
    if (error != 0) return {.record = unknown, .note = fmt::format("{} cannot be read ({})", path, std::strerror(error))};
    try {
        const auto text = unsealed("run", content);
        if (!text) throw std::invalid_argument{"seal"};
        const Json j = Json::parse(*text);
        StartRecord r;
        r.running = j.at("running").get<bool>();
        r.started.boot.assign(j.at("boot").get<std::string>());
        r.started.up = Duration{j.at("up_us").get<std::int64_t>()};
        for (const Json& ago : j.at("unclean_us")) r.unclean.push_back(Duration{ago.get<std::int64_t>()});
        return {.record = r, .note = {}};
    } catch (const std::exception&) {
        return {.record = unknown, .note = fmt::format("{} is damaged: taken for an unclean end", path)};
    }
}

}  // namespace batgw
