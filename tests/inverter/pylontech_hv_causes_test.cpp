// Which fault of the judge sets which alarm, protection and fault bit, seen on the wire. All frames are made up.
#include "inverter/pylontech_hv_causes.hpp"

#include "tests/inverter/pylontech_hv_house.hpp"

#include <set>

using namespace batgw;
using namespace batgw::test;
namespace hv = batgw::pylontech_hv;

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
ActiveFault measured(FaultId id, FaultClass level, Direction direction, std::int64_t value_milli, std::int64_t limit_milli)
{
    ActiveFault f = fault(id, level, direction);
    f.has_value = true;
    f.value_milli = value_milli;
    f.limit_milli = limit_milli;
    return f;
}

constexpr auto warn = FaultClass::warn, derate = FaultClass::derate, block = FaultClass::block, trip = FaultClass::trip;
constexpr auto none = Direction::none, charge = Direction::charge, discharge = Direction::discharge, both = Direction::both;

struct Shown {
    const char* bit;
    ActiveFault fault;
    bool cold;           // the cells
    const char* status;  // bytes 3 to 7 of 0x4250: faults, alarms, protections
    const char* others;  // byte 0 of 0x4290
};

// A running house that has exactly this fault; both directions are stopped as the judge would.
std::pair<std::string, std::string> shown_for(const ActiveFault& f, bool cold)
{
    HvHouse h;
    h.start_running();
    h.battery.temperature_max.set(cold ? 4_degC : 48_degC, h.now);
    h.battery.temperature_min.set(cold ? 2_degC : 46_degC, h.now);
    const bool acts = f.level >= block;
    h.grant(acts && covers(f.direction, charge) ? 0_A : 25_A, acts && covers(f.direction, discharge) ? 0_A : 30_A);
    h.verdict.ready = !(acts && f.direction == both);
    h.report(f);
    h.ask_ensemble();
    return {h.told(0x4250).substr(6), h.told(0x4290)};
}

}  // namespace

TEST_CASE("pylontech_hv: every alarm, protection and fault bit is set by a fault of the judge, alone")
{
    // SAFE-110
    const std::vector<Shown> cases{
        {"BLV", fault(FaultId::cell_low_curve, derate, discharge), false,
            "00"
            "0100"
            "0000",
            "00"},
        {"BHV", fault(FaultId::cell_high_curve, derate, charge), false,
            "00"
            "0200"
            "0000",
            "00"},
        {"PLV", fault(FaultId::pack_low, warn, none), false,
            "00"
            "0400"
            "0000",
            "00"},
        {"PHV", fault(FaultId::pack_high, warn, none), false,
            "00"
            "0800"
            "0000",
            "00"},
        {"CLT", fault(FaultId::temp_curve, derate, charge), true,
            "00"
            "1000"
            "0000",
            "00"},
        {"CHT", fault(FaultId::temp_curve, derate, charge), false,
            "00"
            "2000"
            "0000",
            "00"},
        {"DLT", fault(FaultId::temp_curve, derate, discharge), true,
            "00"
            "4000"
            "0000",
            "00"},
        {"DHT", fault(FaultId::temp_curve, derate, discharge), false,
            "00"
            "8000"
            "0000",
            "00"},
        {"COCA", fault(FaultId::limit_exceeded, warn, none, "C"), false,
            "00"
            "0001"
            "0000",
            "00"},
        {"DOCA", fault(FaultId::limit_exceeded, warn, none, "D"), false,
            "00"
            "0002"
            "0000",
            "00"},
        {"MLV", fault(FaultId::cell_dev, derate, discharge), false,
            "00"
            "0004"
            "0000",
            "00"},
        {"MHV", fault(FaultId::cell_dev, derate, charge), false,
            "00"
            "0008"
            "0000",
            "00"},

        {"BUV", fault(FaultId::cell_low, block, discharge), false,
            "00"
            "0000"
            "0100",
            "00"},
        {"BOV", fault(FaultId::cell_high, block, charge), false,
            "00"
            "0000"
            "0200",
            "00"},
        {"PUV", fault(FaultId::pack_low, block, discharge), false,
            "00"
            "0000"
            "0400",
            "00"},
        {"POV", fault(FaultId::pack_high, block, charge), false,
            "00"
            "0000"
            "0800",
            "00"},
        {"CUT", fault(FaultId::temp_cold, block, charge), true,
            "00"
            "0000"
            "1000",
            "00"},
        {"COT", fault(FaultId::temp_hot, block, charge), false,
            "00"
            "0000"
            "2000",
            "00"},
        {"DUT", fault(FaultId::temp_cold, block, discharge), true,
            "00"
            "0000"
            "4000",
            "00"},
        {"DOT", fault(FaultId::temp_hot, block, discharge), false,
            "00"
            "0000"
            "8000",
            "00"},
        {"COC", measured(FaultId::overcurrent, block, both, 31'000, 30'000), false,
            "00"
            "0000"
            "0001",
            "00"},
        {"DOC", measured(FaultId::overcurrent, block, both, 0, -30'000), false,
            "00"
            "0000"
            "0002",
            "00"},
        {"MUV", fault(FaultId::cell_dev, block, discharge), false,
            "00"
            "0000"
            "0004",
            "00"},
        {"MOV", fault(FaultId::cell_dev, block, charge), false,
            "00"
            "0000"
            "0008",
            "00"},

        {"voltage sensor", fault(FaultId::sig_bad, block, both, "cell_voltage_max"), false,
            "01"
            "0000"
            "0000",
            "00"},
        {"voltage sensor", fault(FaultId::plausibility, block, both, "cell_sum"), false,
            "01"
            "0000"
            "0000",
            "00"},
        {"temperature sensor", fault(FaultId::sig_bad, block, both, "temperature_min"), false,
            "02"
            "0000"
            "0000",
            "00"},
        {"temperature sensor", fault(FaultId::plausibility, block, both, "temperature_order"), false,
            "02"
            "0000"
            "0000",
            "00"},
        {"temperature sensor", fault(FaultId::temp_spread, block, both), false,
            "02"
            "0000"
            "0000",
            "00"},
        {"communication", fault(FaultId::bat_link_lost, block, both), false,
            "04"
            "0000"
            "0000",
            "00"},
        {"communication", fault(FaultId::sig_stale, block, both, "soc"), false,
            "04"
            "0000"
            "0000",
            "00"},
        {"input over-voltage", measured(FaultId::pack_v_crit, block, both, 470'000, 460'000), false,
            "08"
            "0000"
            "0000",
            "00"},
        {"relay", fault(FaultId::close_failed, block, both), false,
            "20"
            "0000"
            "0000",
            "00"},
        {"relay", fault(FaultId::contactor_feedback, block, both), false,
            "20"
            "0000"
            "0000",
            "00"},
        {"damaged", fault(FaultId::cell_deep, block, both), false,
            "40"
            "0000"
            "0000",
            "00"},
        {"damaged", fault(FaultId::soh_low, block, both), false,
            "40"
            "0000"
            "0000",
            "00"},

        {"shutdown circuit", fault(FaultId::contactor_not_open, block, both), false,
            "80"
            "0000"
            "0000",
            "01"},
        {"BMIC", fault(FaultId::bms_fault, block, both, "P1A4100"), false,
            "80"
            "0000"
            "0000",
            "02"},
        {"internal bus", fault(FaultId::id_conflict, block, both), false,
            "80"
            "0000"
            "0000",
            "04"},
        {"self-test", fault(FaultId::identity_mismatch, block, both), false,
            "80"
            "0000"
            "0000",
            "08"},
        {"self-test", fault(FaultId::sig_bad, block, both, "current"), false,
            "80"
            "0000"
            "0000",
            "08"},
        {"self-test", fault(FaultId::plausibility, block, both, "inverter_voltage"), false,
            "80"
            "0000"
            "0000",
            "08"},
        {"safety function", fault(FaultId::insulation, block, both), false,
            "80"
            "0000"
            "0000",
            "10"},
    };
    for (const Shown& c : cases) {
        CAPTURE(std::string{c.bit});
        CAPTURE(std::string{to_string(c.fault.id)});
        const auto [status, others] = shown_for(c.fault, c.cold);
        CHECK(status == c.status);
        CHECK(others == std::string{c.others} + "00000000000000");
    }
}

TEST_CASE("pylontech_hv: what both directions suffer from sets the bits of both")
{
    CHECK(shown_for(fault(FaultId::temp_cold, block, both), true).first == "0000005000");
    CHECK(shown_for(fault(FaultId::temp_curve, derate, both), false).first == "00A0000000");
    CHECK(shown_for(fault(FaultId::cell_dev, warn, none), false).first == "00000C0000");
    CHECK(shown_for(measured(FaultId::pack_v_crit, block, both, 300'000, 310'000), false).first == "0000000400");
}

TEST_CASE("pylontech_hv: a trip shows its cause and that a safety function has acted")
{
    // SAFE-110
    const auto [status, others] = shown_for(fault(FaultId::temp_crit, trip, both), false);
    CHECK(status == "800000A000");
    CHECK(others == "1000000000000000");
    const auto emergency = shown_for(fault(FaultId::cell_deep, FaultClass::emergency, both), false);
    CHECK(emergency.first == "C000000000");
    CHECK(emergency.second == "1000000000000000");
}

TEST_CASE("pylontech_hv: a full, an empty or an unwilling battery is no trouble, and neither is what is for people only")
{
    for (const FaultId id : {FaultId::soc_low, FaultId::soc_high, FaultId::soc_curve, FaultId::bms_denies, FaultId::inv_link_lost,
             FaultId::pack_mismatch, FaultId::link_synthetic, FaultId::unverified_driver, FaultId::black_start, FaultId::bus_off,
             FaultId::bus_down, FaultId::tx_starved, FaultId::no_ack, FaultId::retained_command, FaultId::tls_unverified,
             FaultId::state_not_kept, FaultId::clock_invalid}) {
        CAPTURE(std::string{to_string(id)});
        CHECK(shown_for(fault(id, block, both), false).first == "0000000000");
    }
}

TEST_CASE("pylontech_hv: a protection never comes without its zero limit: what still fades is an alarm")
{
    HvHouse h;
    h.start_running();
    h.report(fault(FaultId::temp_hot, block, charge));  // the grants stand as they were
    h.ask_ensemble();
    CHECK(h.told(0x4250).substr(6) == "0020000000");
    CHECK(h.told(0x4280) == "0000000000000000");
    h.report(fault(FaultId::sig_stale, block, both, "soc"));
    h.ask_ensemble();
    CHECK(h.told(0x4250).substr(6) == "0000000000");
    h.grant(0_A, 0_A);
    h.ask_ensemble();
    CHECK(h.told(0x4250).substr(6) == "0400000000");
    CHECK(h.told(0x4280) == "AAAA000000000000");
}

TEST_CASE("pylontech_hv: over all faults every bit is set by some fault, no bit by all, and no reserved one by any")
{
    std::uint16_t alarms = 0, protections = 0;
    std::uint8_t troubles = 0, others = 0;
    std::set<FaultId> silent;
    for (unsigned i = 0; i < static_cast<unsigned>(FaultId::count); ++i) {
        const auto id = static_cast<FaultId>(i);
        bool any = false;
        for (const auto level :
            {FaultClass::warn, FaultClass::derate, FaultClass::block, FaultClass::trip, FaultClass::emergency})
            for (const auto direction : {none, charge, discharge, both})
                for (const std::string_view detail : {"", "C", "D", "cells", "temperatures", "current"})
                    for (const std::int64_t limit_milli : {-1000, 1000})
                        for (const bool cold : {true, false}) {
                            ActiveFault f = measured(id, level, direction, 0, limit_milli);
                            f.detail.assign(detail);
                            const hv::Causes c = hv::causes_of(std::span{&f, 1}, {.cold = cold});
                            alarms |= c.alarms;
                            protections |= c.protections;
                            troubles |= c.faults;
                            others |= c.other;
                            any = any || c != hv::Causes{};
                            // Warnings are alarms only, and what has acted is no alarm.
                            CHECK((level >= block ? c.alarms == 0 : c.protections == 0 && c.faults == 0 && c.other == 0));
                            CHECK((c.other == 0) == ((c.faults & hv::trouble::other) == 0));
                        }
        if (!any) silent.insert(id);
        for (const auto level : {FaultClass::none, FaultClass::info}) {
            const ActiveFault f = fault(id, level, both);
            CHECK(hv::causes_of(std::span{&f, 1}, {}) == hv::Causes{});
        }
    }
    CHECK(alarms == 0x0FFF);
    CHECK(protections == 0x0FFF);
    CHECK(troubles == (0xFF & ~hv::trouble::input_reversed));  // which no gateway can see
    CHECK(others == 0x1F);
    CHECK(silent.size() == 22);
    CHECK(hv::rows().size() >= static_cast<std::size_t>(FaultId::count));
}
