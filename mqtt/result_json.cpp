#include "mqtt/result_json.hpp"

#include "mqtt/json.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace batgw::mqtt {

std::string status_json(const OperatorState& s)
{
    return fmt::format(R"({{"charge":"{}","discharge":"{}","max-charge":{},"max-discharge":{}}})", s.charge ? "ON" : "OFF",
        s.discharge ? "ON" : "OFF", scaled(s.max_charge.milli(), 0), scaled(s.max_discharge.milli(), 0));
}

std::string result_json(const Result& r, const Moment& moment)
{
    Json j;
    j.open('{');
    j.key("id");
    if (r.id.empty())
        j.null();
    else
        j.string(r.id);
    j.key("command").string(r.command);
    j.key("ok").boolean(r.code == CommandCode::ok || r.code == CommandCode::unchanged);
    j.key("code").string(to_string(r.code));
    j.key("text").string(r.text);
    if (!r.guard.empty()) {
        j.key("guards").open('[');
        j.string(r.guard);
        j.close(']');
    }
    j.key("status").raw(status_json(r.status));
    j.key("time").string(utc_text(moment.wall_ms));
    j.key("duration_ms").milli(std::max<std::int64_t>(0, r.duration.count()), 1);
    j.close('}');
    return j.take();
}

}  // namespace batgw::mqtt
