// Every event is one clear line.
#include "batgw/event_text.hpp"

#include <doctest/doctest.h>

#include <algorithm>

using namespace batgw;

namespace {

ActiveFault fault(FaultId id, FaultClass level, Direction direction, std::string_view detail = {})
{
    ActiveFault f;
    f.id = id;
    f.level = level;
    f.direction = direction;
    f.detail.assign(detail);
    return f;
}

Event of(EventType type, const ActiveFault& f, std::string_view from = {}, std::string_view to = {}, std::string_view text = {})
{
    Event e;
    e.type = type;
    e.fault = f;
    e.from.assign(from);
    e.to.assign(to);
    e.text.assign(text);
    return e;
}

}  // namespace

// SAFE-047
TEST_CASE("a fault's line says how bad it is, which, what it means and what it takes away")
{
    ActiveFault cell = fault(FaultId::cell_high, FaultClass::block, Direction::charge);
    cell.has_value = true;
    cell.number = 9;
    cell.unit = Unit::volt;
    cell.value_milli = 3612;
    cell.limit_milli = 3600;
    CHECK(event_text(of(EventType::fault_set, cell)) ==
        "BLOCK CELL_HIGH: cell too high, cell 9 at 3.612 V (limit 3.600 V) (charge 0)");
    CHECK(event_text(of(EventType::fault_set, fault(FaultId::bat_link_lost, FaultClass::block, Direction::both))) ==
        "BLOCK BAT_LINK_LOST: battery silent (charge and discharge 0)");
    CHECK(event_text(of(EventType::fault_set, fault(FaultId::temp_curve, FaultClass::derate, Direction::discharge))) ==
        "DERATE TEMP_CURVE: temperature (discharge reduced)");
    CHECK(event_text(of(EventType::fault_set, fault(FaultId::unverified_driver, FaultClass::warn, Direction::none, "byd-hvs"))) ==
        "WARN UNVERIFIED_DRIVER: driver not verified well enough: byd-hvs");
    CHECK(event_text(of(EventType::fault_class, fault(FaultId::temp_hot, FaultClass::trip, Direction::both), "BLOCK", "TRIP")) ==
        "BLOCK -> TRIP TEMP_HOT: too hot (charge and discharge 0)");
    CHECK(event_text(of(EventType::fault_cleared, fault(FaultId::bat_link_lost, FaultClass::block, Direction::both), "BLOCK",
              "NONE")) == "over: BAT_LINK_LOST: battery silent");
}

TEST_CASE("changes say from where to where")
{
    CHECK(event_text(of(EventType::state, {}, "RUN", "BLOCK")) == "state RUN -> BLOCK");
    CHECK(event_text(of(EventType::contactors, {}, "PRECHARGE", "CLOSED")) == "contactors PRECHARGE -> CLOSED");
    CHECK(event_text(of(EventType::link, {}, "lost", "alive", "battery")) == "battery link lost -> alive");
    CHECK(event_text(of(EventType::start, {}, "", "", "started")) == "started");
    CHECK(event_text(of(EventType::stop, {}, "", "", "stop requested")) == "stop requested");
    CHECK(event_text(of(EventType::reload, {})) == "reload");
}

TEST_CASE("no event of any type and fault has an empty line, more than one line, or anything but ASCII")
{
    for (unsigned type = 0; type <= static_cast<unsigned>(EventType::reload); ++type)
        for (unsigned id = 0; id < static_cast<unsigned>(FaultId::count); ++id)
            for (unsigned unit = 0; unit <= static_cast<unsigned>(Unit::count); ++unit) {
                ActiveFault f = fault(static_cast<FaultId>(id), FaultClass::warn, Direction::both, "a\nb\xc2\xb0\x01");
                f.unit = static_cast<Unit>(unit);
                f.has_value = true;
                f.value_milli = -1;
                const Event e = of(static_cast<EventType>(type), f, "", "", type % 2 == 0 ? "" : "\n\x7f");
                const std::string line = event_text(e);
                CHECK_FALSE(line.empty());
                CHECK(std::all_of(line.begin(), line.end(), [](char c) { return c >= ' ' && c <= '~'; }));
            }
}

TEST_CASE("what stays until somebody resets it is an error, what takes power away or wants a look a warning, the rest is told")
{
    const auto level = [](EventType type, FaultClass c) {
        return event_level(of(type, fault(FaultId::cell_high, c, Direction::both)));
    };
    CHECK(level(EventType::fault_set, FaultClass::emergency) == LogLevel::error);
    CHECK(level(EventType::fault_class, FaultClass::trip) == LogLevel::error);
    CHECK(level(EventType::fault_set, FaultClass::block) == LogLevel::warn);
    CHECK(level(EventType::fault_set, FaultClass::warn) == LogLevel::warn);
    CHECK(level(EventType::fault_set, FaultClass::derate) == LogLevel::info);  // every evening
    CHECK(level(EventType::fault_set, FaultClass::info) == LogLevel::info);
    CHECK(level(EventType::fault_cleared, FaultClass::trip) == LogLevel::info);
    CHECK(level(EventType::state, FaultClass::none) == LogLevel::info);
}
