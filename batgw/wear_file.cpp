#include "batgw/wear_file.hpp"

#include "batgw/state_file.hpp"
#include "safety/contactors.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <cerrno>
#include <cstring>
#include <stdexcept>

namespace batgw {
namespace {

using Json = nlohmann::ordered_json;

WearRecord wear_from(const Json& j)
{
    WearRecord r;
    r.openings = j.at("openings_under_load").get<unsigned>();
    for (const Json& one : j.at("last")) {
        WearRecord::Opening o{.wall_ms = one.at("ms").get<std::int64_t>(), .current = std::nullopt};
        if (!one.at("current_ma").is_null()) o.current = Current::from_milli(one.at("current_ma").get<std::int64_t>());
        r.last.push_back(o);
    }
    if (r.last.size() > WearRecord::last_max || r.last.size() > r.openings) throw std::invalid_argument{"last"};
    return r;
}

RestoredWear taken_for_worn(std::string_view path, std::string_view why)
{
    WearRecord r;
    r.openings = ContactorMachine::worn;
    return {.record = r, .note = fmt::format("{} {}: the contactors count as opened under load {} times", path, why, r.openings)};
}

}  // namespace

void WearRecord::count_to(unsigned count, const std::optional<Current>& current, std::int64_t wall_ms)
{
    for (; openings < count; ++openings) last.push_back({.wall_ms = wall_ms, .current = std::nullopt});
    if (!last.empty()) last.back().current = current;
    while (last.size() > last_max) last.pop_front();
}

std::string wear_text(const WearRecord& record)
{
    Json last = Json::array();
    for (const WearRecord::Opening& o : record.last)
        last.push_back({{"ms", o.wall_ms}, {"current_ma", o.current ? Json(o.current->milli()) : Json(nullptr)}});
    const Json j{{"openings_under_load", record.openings}, {"last", last}};
    return sealed("wear", j.dump(1) + "\n");
}

RestoredWear restore_wear(const std::string& directory)
{
    const std::string path = fmt::format("{}/{}", directory, wear_file);
    std::string content;
    const int error = read_whole(path, content);
    if (error == ENOENT || error == ENOTDIR) return {};
    if (error != 0) return taken_for_worn(path, fmt::format("cannot be read ({})", std::strerror(error)));
    try {
        const auto text = unsealed("wear", content);
        if (!text) throw std::invalid_argument{"seal"};
        return {.record = wear_from(Json::parse(*text)), .note = {}};
    } catch (const std::exception&) {
        return taken_for_worn(path, "is damaged");
    }
}

}  // namespace batgw
