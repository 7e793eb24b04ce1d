#include "safety/escalation.hpp"

#include "safety/conditions.hpp"
#include "safety/latch_reset.hpp"

#include <doctest/doctest.h>

#include <string>

using namespace batgw;

namespace {

constexpr Instant t0{Duration{12'345'678'901}};

// A fault table with its escalation, a round a second.
struct Bench {
    FaultTable table;
    Escalation escalation;
    SafetyConfig::Escalation rule;
    Instant now = t0;

    void round(const ActiveFault* f = nullptr)
    {
        now += 1s;
        if (f != nullptr) table.report(*f);
        escalation.report(table, rule, now);
        table.settle(now);
        escalation.follow(table, rule, now);
    }
    // Sets and clears; ends `period` after it began.
    void once(FaultId id, Duration period, std::string_view detail = {}, FaultClass level = FaultClass::block)
    {
        ActiveFault f = condition(id, level, Direction::charge, Device::battery);
        f.detail.assign(detail);
        const Instant began = now;
        round(&f);
        round();
        now = std::max(now, began + period);
    }
    const ActiveFault* find(std::string_view name)
    {
        for (const ActiveFault& f : table.faults())
            if (fault_name(f) == name) return &f;
        return nullptr;
    }
};

}  // namespace

TEST_CASE("the fifth BLOCK of one fault within an hour becomes a TRIP, the fourth does not")
{
    // SAFE-043
    SUBCASE("59 minutes from the first to the fifth")
    {
        Bench b;
        for (int i = 0; i < 4; ++i) b.once(FaultId::temp_hot, 885s);
        b.round();
        CHECK(b.find("TEMP_HOT_REPEAT") == nullptr);
        b.once(FaultId::temp_hot, 2s);
        const ActiveFault* trip = b.find("TEMP_HOT_REPEAT");
        REQUIRE(trip != nullptr);
        CHECK(trip->level == FaultClass::trip);
        CHECK(trip->latched);
        CHECK(trip->has_value);
        CHECK(trip->unit == Unit::count);
        CHECK(trip->value_milli == 5000);
        CHECK(trip->limit_milli == 5000);
        CHECK(b.table.effect().blocks_all());
    }
    SUBCASE("61 minutes")
    {
        Bench b;
        for (int i = 0; i < 12; ++i) b.once(FaultId::temp_hot, 915s);
        b.round();
        CHECK(b.find("TEMP_HOT_REPEAT") == nullptr);
    }
    SUBCASE("what is configured counts")
    {
        Bench b;
        b.rule = {.count = 2, .window = 600s};
        b.once(FaultId::temp_hot, 601s);
        b.once(FaultId::temp_hot, 599s);
        b.round();
        CHECK(b.find("TEMP_HOT_REPEAT") == nullptr);
        b.once(FaultId::temp_hot, 2s);
        b.round();
        CHECK(b.find("TEMP_HOT_REPEAT") != nullptr);
    }
}

TEST_CASE("faults with different details are different faults")
{
    Bench b;
    for (const std::string_view code : {"F1", "F2", "F3", "F4", "F5"}) b.once(FaultId::bms_fault, 10s, code);
    b.round();
    CHECK_FALSE(b.table.any_latched());
    for (int i = 0; i < 4; ++i) b.once(FaultId::bms_fault, 10s, "F3");
    b.round();
    CHECK(b.find("BMS_FAULT_REPEAT:F3") != nullptr);
    CHECK(b.find("BMS_FAULT_REPEAT:F1") == nullptr);
}

TEST_CASE("one long BLOCK is one, and what is no BLOCK does not count")
{
    Bench b;
    const ActiveFault f = condition(FaultId::temp_hot, FaultClass::block, Direction::charge, Device::battery);
    for (int i = 0; i < 100; ++i) b.round(&f);
    b.round();
    for (int i = 0; i < 20; ++i) b.once(FaultId::temp_spread, 2s, {}, FaultClass::warn);
    for (int i = 0; i < 20; ++i) b.once(FaultId::cell_dev, 2s, {}, FaultClass::derate);
    b.round();
    CHECK_FALSE(b.table.any_latched());
    CHECK(b.table.faults().empty());
}

TEST_CASE("full, empty, cold and trouble on the line only warn, for as long as they come too often")
{
    // SAFE-043
    int warning = 0;
    for (unsigned i = 0; i < static_cast<unsigned>(FaultId::count); ++i) {
        const auto id = static_cast<FaultId>(i);
        CAPTURE(to_string(id));
        Bench b;
        for (int n = 0; n < 5; ++n) b.once(id, 10s);
        b.round();
        const std::string name = std::string{to_string(id)} + "_REPEAT";
        const ActiveFault* f = b.find(name);
        REQUIRE(f != nullptr);
        if (!only_warns_when_repeated(id)) {
            CHECK(f->level == FaultClass::trip);
            continue;
        }
        ++warning;
        CHECK(f->level == FaultClass::warn);
        CHECK_FALSE(f->latched);
        CHECK(b.table.effect().blocked == Direction::none);
        b.now += 3600s;
        b.round();
        CHECK(b.find(name) == nullptr);
    }
    CHECK(warning == 16);
    // Of the pack as of its cells: where a window is narrowed, its end is every day's end of charge.
    CHECK(only_warns_when_repeated(FaultId::pack_high));
    CHECK(only_warns_when_repeated(FaultId::pack_low));
    CHECK_FALSE(only_warns_when_repeated(FaultId::temp_hot));
}

TEST_CASE("a reset of what came too often is refused while it is there, and starts the count anew")
{
    // SAFE-043, SAFE-045
    Bench b;
    for (int i = 0; i < 5; ++i) b.once(FaultId::temp_hot, 10s);
    const ActiveFault f = condition(FaultId::temp_hot, FaultClass::block, Direction::charge, Device::battery);
    for (int i = 0; i < 100; ++i) b.round(&f);
    const ResetRequest request{.fault = "TEMP_HOT_REPEAT", .reason = {}};
    CHECK(reset_latches(b.table, request, b.now).code == CommandCode::cause_present);
    for (int i = 0; i < 63; ++i) b.round();
    CHECK(reset_latches(b.table, request, b.now).code == CommandCode::ok);
    b.round();
    CHECK(b.table.faults().empty());
    for (int i = 0; i < 3; ++i) b.once(FaultId::temp_hot, 10s);
    b.round();
    CHECK_FALSE(b.table.any_latched());
    b.once(FaultId::temp_hot, 10s);
    b.round();
    CHECK(b.table.any_latched());
}

TEST_CASE("more faults than can be watched: the one that is quiet for longest is forgotten first")
{
    Bench b;
    for (int n = 0; n < 2; ++n) b.once(FaultId::bms_fault, 10s, "busy");
    for (int n = 0; n < 3; ++n) b.once(FaultId::bms_fault, 10s, "old");
    for (int n = 0; n < 2; ++n) b.once(FaultId::bms_fault, 10s, "busy");
    for (std::size_t i = 0; i + 1 < Escalation::watched; ++i) b.once(FaultId::bms_fault, 2s, std::to_string(i));
    b.once(FaultId::bms_fault, 2s, "busy");
    const std::string in_its_place = std::to_string(Escalation::watched - 2);
    b.once(FaultId::bms_fault, 2s, in_its_place);
    for (int n = 0; n < 2; ++n) b.once(FaultId::bms_fault, 2s, "old");
    b.round();
    CHECK(b.find("BMS_FAULT_REPEAT:" + in_its_place) == nullptr);  // how often the other one came is not its history
    CHECK(b.find("BMS_FAULT_REPEAT:busy") != nullptr);
    CHECK(b.find("BMS_FAULT_REPEAT:old") == nullptr);
}

TEST_CASE("what came too often is told of the device it came of, with how often, and is no fault of a single cell any more")
{
    // SAFE-043, SAFE-280
    Bench b;
    ActiveFault f = condition(FaultId::temp_hot, FaultClass::block, Direction::charge, Device::battery);
    f.device_number = 2;
    f.number = 7;
    const auto five_times = [&] {
        for (int i = 0; i < 5; ++i) {
            b.round(&f);
            b.round();
        }
    };
    five_times();
    const ActiveFault* trip = b.find("TEMP_HOT_REPEAT");
    REQUIRE(trip != nullptr);
    CHECK(trip->device_number == 2);
    CHECK(trip->number == 0);
    CHECK(trip->direction == Direction::both);
    CHECK(trip->repeated);
    // A device, or a number, of its own is a fault of its own.
    Bench apart;
    b = apart;
    for (int i = 0; i < 5; ++i) {
        f.device = i % 2 == 0 ? Device::battery : Device::inverter;
        f.device_number = static_cast<std::uint8_t>(1 + i % 3);
        b.round(&f);
        b.round();
    }
    CHECK_FALSE(b.table.any_latched());
    // More often than it takes is told as it is, while it only warns.
    Bench warned;
    for (int i = 0; i < 7; ++i) warned.once(FaultId::soc_low, 10s);
    warned.round();
    const ActiveFault* warning = warned.find("SOC_LOW_REPEAT");
    REQUIRE(warning != nullptr);
    CHECK(warning->value_milli == 7000);
    CHECK(warning->limit_milli == 5000);
    CHECK(warning->direction == Direction::none);
}

TEST_CASE("a reduction that becomes a BLOCK counts as one, and a BLOCK that becomes a TRIP or a reduction does not")
{
    // SAFE-043
    const auto counted = [](FaultClass first, FaultClass second) {
        Bench b;
        for (int i = 0; i < 5; ++i) {
            ActiveFault f = condition(FaultId::cell_dev, first, Direction::both, Device::battery);
            b.round(&f);
            f.level = second;
            b.round(&f);
            b.table.reset(f);
            b.round();
        }
        b.round();
        return b.find("CELL_DEV_REPEAT") != nullptr;
    };
    CHECK(counted(FaultClass::derate, FaultClass::block));
    CHECK(counted(FaultClass::block, FaultClass::block));
    CHECK_FALSE(counted(FaultClass::derate, FaultClass::trip));
    CHECK_FALSE(counted(FaultClass::warn, FaultClass::derate));
}

TEST_CASE("an hour is an hour: the first of five counts to its end")
{
    // SAFE-043
    for (const bool within : {true, false}) {
        Bench b;
        const ActiveFault f = condition(FaultId::temp_hot, FaultClass::block, Direction::charge, Device::battery);
        b.round(&f);
        const Instant first = b.now;
        b.round();
        for (int i = 0; i < 3; ++i) b.once(FaultId::temp_hot, 10s);
        b.now = first + 3600s - (within ? 1s : 1s - 1us);
        b.round(&f);
        b.round();
        CHECK((b.find("TEMP_HOT_REPEAT") != nullptr) == within);
    }
}
