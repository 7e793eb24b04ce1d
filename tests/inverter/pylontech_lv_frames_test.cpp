// The worked examples of docs/protocols/pylontech-lv.md, in both directions. "Real" frames come from public sources, named there;
// the others are made up.
#include "inverter/pylontech_lv_frames.hpp"

#include "inverter/pylontech_lv_layout.hpp"
#include "tests/inverter/lv_house.hpp"

#include <limits>

using namespace batgw;
using namespace batgw::test;
namespace lv = batgw::pylontech_lv;
using lv::Slot;

namespace {

const lv::Dialect plain{.profile = lv::find_profile("pylontech")};
const lv::Dialect native{.profile = lv::find_profile("pylontech"), .natural_length = true};
const lv::Dialect superset{.profile = lv::find_profile("superset")};
const lv::Dialect victron{.profile = lv::find_profile("victron")};
const lv::Dialect sma{.profile = lv::find_profile("sma")};
const lv::Dialect luxpower{.profile = lv::find_profile("luxpower")};

std::string said(Slot slot, const lv::Told& told, const lv::Dialect& dialect = plain)
{
    const auto f = lv::encode(slot, told, dialect);
    return f ? text(*f) : "nothing";
}
lv::Told measured(Voltage voltage, Current current, Temperature average)
{
    lv::Told t;
    t.measured.voltage = voltage;
    t.measured.current = current;
    t.measured.temperature_avg = average;
    return t;
}
lv::Told charge(Percent soc, Percent soh)
{
    lv::Told t;
    t.measured.soc = soc;
    t.measured.soh = soh;
    return t;
}

}  // namespace

TEST_CASE("pylontech_lv: the frames of a real US5000 with firmware V1.2")
{
    // Real: setfirelabs.com, "v1.2 vs v1.3"; discharging with 27 A.
    const CanFrame limits = frame("351#1402C012C012C201");
    CHECK(lv::charge_voltage(limits) == 53.2_V);
    CHECK(lv::charge_limit(limits) == 480_A);
    CHECK(lv::discharge_limit(limits) == 480_A);
    CHECK(lv::discharge_voltage(limits) == 45_V);
    lv::Told t;
    t.limits = {.charge_voltage = 532, .discharge_voltage = 450, .charge = 4800, .discharge = 4800};
    CHECK(said(Slot::limits, t, native) == "351#1402C012C012C201");

    CHECK(lv::soc(frame("355#58005E00")) == 88_pct);
    CHECK(lv::soh(frame("355#58005E00")) == 94_pct);
    CHECK(said(Slot::charge_state, charge(88_pct, 94_pct), native) == "355#58005E00");

    const CanFrame measures = frame("356#7A13F2FE6B01");
    CHECK(lv::voltage(measures) == 49.86_V);
    CHECK(lv::current(measures) == -27_A);
    CHECK(lv::temperature(measures) == Temperature::from_milli(36'300));
    const auto m = measured(49.86_V, -27_A, Temperature::from_milli(36'300));
    CHECK(said(Slot::measurements, m, native) == "356#7A13F2FE6B01");

    const CanFrame status = frame("359#0000000006504E");
    CHECK(lv::modules(status) == 6);
    CHECK(lv::signature(status) == lv::signature_pn);
    CHECK(!lv::system_error(status));
    t.modules.online = 6;
    CHECK(said(Slot::status, t, native) == "359#0000000006504E");

    const CanFrame requests = frame("35C#C000");
    CHECK(lv::charge_enable(requests));
    CHECK(lv::discharge_enable(requests));
    CHECK(!lv::force_charge_1(requests));
    CHECK(!lv::force_charge_2(requests));
    CHECK(!lv::full_charge_request(requests));
    t.requests = {.charge_enable = true, .discharge_enable = true};
    CHECK(said(Slot::requests, t, native) == "35C#C000");

    t.identity.maker.assign("PYLON");
    CHECK(said(Slot::maker, t, native) == "35E#50594C4F4E202020");
}

TEST_CASE("pylontech_lv: the frames of a real US5000 with firmware V1.3")
{
    // Real: same source.
    CHECK(lv::charge_voltage(frame("351#1002C012C012C201")) == 52.8_V);
    CHECK(lv::soc(frame("355#540060000000")) == 84_pct);
    CHECK(lv::soh(frame("355#540060000000")) == 96_pct);
    CHECK(!lv::soc_fine(frame("355#540060000000")));  // 0 says nothing
    CHECK(said(Slot::measurements, measured(49.87_V, -27.9_A, Temperature::from_milli(36'300)), native) == "356#7B13E9FE6B01");
    CHECK(lv::current(frame("356#7B13E9FE6B01")) == -27.9_A);

    const CanFrame product = frame("35F#4C4901033C02AA00");
    CHECK(lv::cell_type(product) == lv::cell_type_li);
    CHECK(lv::version_major(product) == 1);
    CHECK(lv::version_minor(product) == 3);
    CHECK(lv::capacity(product) == 572_Ah);
    CHECK(lv::maker_id(product) == 170);
    lv::Told t;
    t.identity.capacity = 572_Ah;
    CHECK(said(Slot::product, t, victron) == "35F#4C4901033C02AA00");
}

TEST_CASE("pylontech_lv: limits")
{
    lv::Told t;
    t.limits = {.charge_voltage = 568, .discharge_voltage = 480, .charge = 500, .discharge = 1000};
    CHECK(said(Slot::limits, t) == "351#3802F401E803E001");
    t.limits = {.charge_voltage = 535, .discharge_voltage = 480, .charge = 0, .discharge = 1000};
    CHECK(said(Slot::limits, t) == "351#17020000E803E001");
    t.limits.discharge = 0;
    CHECK(said(Slot::limits, t) == "351#170200000000E001");
}

TEST_CASE("pylontech_lv: measurements, both ways of the current and below zero")
{
    CHECK(said(Slot::measurements, measured(53.42_V, 12.3_A, Temperature::from_milli(23'500))) == "356#DE147B00EB000000");
    CHECK(said(Slot::measurements, measured(51.78_V, -24.1_A, Temperature::from_milli(-3'500))) == "356#3A140FFFDDFF0000");
    CHECK(lv::current(frame("356#DE147B00EB000000")) == 12.3_A);
    CHECK(lv::current(frame("356#3A140FFFDDFF0000")) == -24.1_A);
    CHECK(lv::temperature(frame("356#3A140FFFDDFF0000")) == Temperature::from_milli(-3'500));
    lv::Dialect coarse = plain;
    coarse.coarse_voltage = true;
    CHECK(said(Slot::measurements, measured(53.42_V, 12.3_A, 20_degC), coarse) == "356#16027B00C8000000");
    CHECK(lv::voltage_coarse(frame("356#16027B00C8000000")) == 53.4_V);
}

TEST_CASE("pylontech_lv: protections and warnings of the worked examples, from faults")
{
    lv::Told t;
    t.modules.online = 3;
    std::vector<ActiveFault> faults{fault(FaultId::cell_high, FaultClass::block, Direction::charge),
        fault(FaultId::overcurrent, FaultClass::block, Direction::charge),
        fault(FaultId::cell_high_curve, FaultClass::derate, Direction::charge),
        fault(FaultId::limit_exceeded, FaultClass::warn, Direction::none),
        fault(FaultId::limit_exceeded, FaultClass::warn, Direction::none),
        fault(FaultId::sig_stale, FaultClass::block, Direction::discharge)};
    faults[1].has_value = true;
    faults[1].value_milli = 120'000;
    faults[1].limit_milli = 110'000;
    faults[3].detail.assign("C");
    faults[4].detail.assign("D");
    t.alarms = lv::alarms_of(faults, {.stopped = Direction::charge});
    CHECK(said(Slot::status, t) == "359#0201820903504E00");

    t.modules.online = 1;
    faults = {fault(FaultId::overcurrent, FaultClass::block, Direction::both),
        fault(FaultId::temp_cold, FaultClass::block, Direction::both),
        fault(FaultId::bms_fault, FaultClass::block, Direction::both),
        fault(FaultId::temp_curve, FaultClass::derate, Direction::discharge),
        fault(FaultId::cell_low_curve, FaultClass::derate, Direction::discharge)};
    faults[0].has_value = true;
    faults[0].value_milli = -120'000;
    faults[0].limit_milli = -110'000;
    t.alarms = lv::alarms_of(faults,
        {.stopped = Direction::both,
            .temperature_min = Temperature::from_milli(-21'000),
            .temperature_max = Temperature::from_milli(-5'000)});
    CHECK(said(Slot::status, t) == "359#9008140001504E00");
}

TEST_CASE("pylontech_lv: the status of the worked examples, read")
{
    const CanFrame one = frame("359#0201820903504E00");
    CHECK(lv::over_voltage(one));
    CHECK(lv::charge_over_current(one));
    CHECK(lv::discharge_current_high(one));
    CHECK(lv::voltage_high(one));
    CHECK(lv::communication_failure(one));
    CHECK(lv::charge_current_high(one));
    CHECK(!lv::under_voltage(one));
    CHECK(lv::modules(one) == 3);
    const CanFrame two = frame("359#9008140001504E00");
    CHECK(lv::discharge_over_current(two));
    CHECK(lv::under_temperature(two));
    CHECK(lv::system_error(two));
    CHECK(lv::temperature_low(two));
    CHECK(lv::voltage_low(two));
    CHECK(!lv::over_temperature(two));
    CHECK(lv::modules(two) == 1);
}

TEST_CASE("pylontech_lv: enables and requests")
{
    lv::Told t;
    t.requests = {.discharge_enable = true};
    CHECK(said(Slot::requests, t) == "35C#4000000000000000");
    t.requests = {.charge_enable = true, .force_charge_2 = true};
    CHECK(said(Slot::requests, t) == "35C#9000000000000000");
    t.requests = {.charge_enable = true, .discharge_enable = true, .full_charge = true};
    CHECK(said(Slot::requests, t) == "35C#C800000000000000");
    t.requests = {.charge_enable = true, .force_charge_1 = true};
    CHECK(said(Slot::requests, t) == "35C#A000000000000000");
    t.requests = {};
    CHECK(said(Slot::requests, t) == "35C#0000000000000000");
    CHECK(lv::force_charge_2(frame("35C#9000000000000000")));
    CHECK(lv::full_charge_request(frame("35C#C800000000000000")));
}

TEST_CASE("pylontech_lv: the state of charge, plain and in hundredths")
{
    CHECK(said(Slot::charge_state, charge(Percent::from_milli(50'250), 98_pct), victron) == "355#32006200A1130000");
    CHECK(said(Slot::charge_state, charge(Percent::from_milli(50'250), 98_pct), sma) == "355#32006200A113");
    CHECK(lv::soc_fine(frame("355#32006200A1130000")) == Percent::from_milli(50'250));
    CHECK(said(Slot::charge_state, charge(Percent::from_milli(50'250), 98_pct)) == "355#3200620000000000");
    // An SMA stops at 0.00 %, so empty is the smallest there is.
    CHECK(said(Slot::charge_state, charge(0_pct, 98_pct), sma) == "355#000062000100");
}

TEST_CASE("pylontech_lv: alarm pairs, raised 01 and clear 10")
{
    lv::Told t;
    CHECK(said(Slot::alarms, t, superset) == "35A#AAAAAAAAAAAAAAAA");
    const std::vector high{fault(FaultId::cell_high, FaultClass::block, Direction::charge)};
    t.alarms = lv::alarms_of(high, {.stopped = Direction::charge});
    CHECK(said(Slot::alarms, t, superset) == "35A#A6AAAAAAAAAAAAAA");
    const std::vector low_and_hot{fault(FaultId::cell_low_curve, FaultClass::derate, Direction::discharge),
        fault(FaultId::temp_curve, FaultClass::derate, Direction::charge)};
    t.alarms = lv::alarms_of(low_and_hot, {.temperature_min = 40_degC, .temperature_max = 44_degC});
    CHECK(said(Slot::alarms, t, superset) == "35A#AAAAAAAA9AA6AAAA");
}

TEST_CASE("pylontech_lv: modules, extremes and capacity")
{
    lv::Told t;
    t.modules = {.online = 3};
    CHECK(said(Slot::module_counts, t, superset) == "372#0300000000000000");
    t.modules = {.online = 0, .blocking_charge = 1, .blocking_discharge = 2, .offline = 4};
    CHECK(said(Slot::module_counts, t, superset) == "372#0000010002000400");
    CHECK(said(Slot::status, t) == "359#0000000004504E00");

    CHECK(said(Slot::extremes, t, superset) == "nothing");  // no cell was told
    t.measured.cell_voltage_min = 3310_mV;
    CHECK(said(Slot::extremes, t, superset) == "nothing");
    t.measured.cell_voltage_max = 3342_mV;
    t.measured.temperature_min = 18_degC;
    t.measured.temperature_max = 24_degC;
    CHECK(said(Slot::extremes, t, superset) == "373#EE0C0E0D23012901");
    const CanFrame read = frame("373#EE0C0E0D23012901");
    CHECK(lv::cell_voltage_min(read) == 3310_mV);
    CHECK(lv::cell_voltage_max(read) == 3342_mV);
    CHECK(lv::temperature_min(read) == 18_degC);
    CHECK(lv::temperature_max(read) == 24_degC);

    t.identity.capacity = 280_Ah;
    CHECK(said(Slot::installed_capacity, t, superset) == "379#1801000000000000");
    CHECK(lv::installed(frame("379#1801000000000000")) == 280_Ah);
}

TEST_CASE("pylontech_lv: names, spots and energies of a Victron")
{
    lv::Told t;
    t.identity.battery.assign("Garage, left");
    CHECK(said(Slot::name_first, t, victron) == "370#4761726167652C20");
    CHECK(said(Slot::name_second, t, victron) == "371#6C65667400000000");
    t.identity.maker.assign("ATTO 3 X");
    CHECK(said(Slot::maker, t, victron) == "35E#4154544F20332058");
    CHECK(said(Slot::lowest_cell, t, victron) == "nothing");
    t.measured.cell_min_number = 7;
    t.measured.cell_max_number = 126;
    t.measured.coldest_number = 12;
    t.measured.hottest_number = 999;
    CHECK(said(Slot::lowest_cell, t, victron) == "374#43656C6C20370000");
    CHECK(said(Slot::highest_cell, t, victron) == "375#43656C6C20313236");
    CHECK(said(Slot::coldest_spot, t, victron) == "376#54656D7020313200");
    CHECK(said(Slot::hottest_spot, t, victron) == "377#54656D7020393939");
    for (const std::int64_t no_number : {-3, 0, 1000}) {
        t.measured.hottest_number = no_number;
        CHECK(said(Slot::hottest_spot, t, victron) == "nothing");
    }
    CHECK(said(Slot::energy, t, victron) == "nothing");
    t.measured.energy_in = 1234.56_kWh;
    CHECK(said(Slot::energy, t, victron) == "nothing");
    t.measured.energy_out = 0_kWh;
    CHECK(said(Slot::energy, t, victron) == "378#3A30000000000000");
}

TEST_CASE("pylontech_lv: what a LuxPower reads in the places that others leave empty")
{
    lv::Told t = measured(53.42_V, 12.3_A, 20_degC);
    t.measured.soc = 50_pct;
    t.measured.soh = 98_pct;
    t.measured.cell_voltage_max = 3342_mV;
    t.measured.cell_voltage_min = 3310_mV;
    t.measured.temperature_max = Temperature::from_milli(24'600);
    t.measured.temperature_min = Temperature::from_milli(-1'200);
    t.measured.cycles = 300;
    t.modules.online = 2;
    t.identity.capacity = 560_Ah;
    t.requests.charge_enable = true;
    CHECK(said(Slot::charge_state, t, luxpower) == "355#320062000E0DEE0C");
    CHECK(said(Slot::measurements, t, luxpower) == "356#DE147B00F600F4FF");
    CHECK(said(Slot::status, t, luxpower) == "359#0000000002300200");
    CHECK(said(Slot::requests, t, luxpower) == "35C#80002C0100000000");
    t.measured.cell_voltage_max.reset();
    t.measured.cell_voltage_min.reset();
    CHECK(said(Slot::charge_state, t, luxpower) == "355#3200620000000000");
}

TEST_CASE("pylontech_lv: rounding is to the safe side for limits and to the nearest for measurements")
{
    CanFrame f = lv::limits.blank();
    lv::charge_voltage.put(f, Voltage::from_milli(53'499));
    lv::charge_limit.put(f, Current::from_milli(49'999));
    lv::discharge_limit.put(f, Current::from_milli(199));
    lv::discharge_voltage.put(f, Voltage::from_milli(48'001));
    CHECK(text(f) == "351#1602F3010100E101");
    CHECK(said(Slot::charge_state, charge(Percent::from_milli(49'500), Percent::from_milli(97'499))) == "355#3200610000000000");
    CHECK(said(Slot::measurements,
              measured(Voltage::from_milli(53'425), Current::from_milli(-24'150), Temperature::from_milli(-3'550))) ==
        "356#DF140EFFDCFF0000");
}

TEST_CASE("pylontech_lv: no value there is wraps: all of them saturate")
{
    constexpr std::int64_t huge = std::numeric_limits<std::int32_t>::max() * std::int64_t{1000};
    for (const std::int64_t x : {huge, -huge}) {
        lv::Told t;
        t.limits = {.charge_voltage = x, .discharge_voltage = x, .charge = x, .discharge = x};
        const CanFrame l = *lv::encode(Slot::limits, t, plain);
        CHECK(le16(l, 0) == (x > 0 ? 65535 : 0));
        CHECK(le16s(l, 2) == (x > 0 ? 32767 : 0));
        CHECK(le16s(l, 4) == (x > 0 ? 32767 : 0));
        CHECK(le16(l, 6) == (x > 0 ? 65535 : 0));
        for (const lv::Dialect& d : {plain, luxpower, sma}) {
            t.measured.voltage = Voltage::from_milli(x);
            t.measured.current = Current::from_milli(x);
            for (auto* temperature : {&t.measured.temperature_avg, &t.measured.temperature_max, &t.measured.temperature_min})
                *temperature = Temperature::from_milli(x);
            t.measured.soc = t.measured.soh = Percent::from_milli(x);
            t.measured.cell_voltage_max = t.measured.cell_voltage_min = Voltage::from_milli(x);
            const CanFrame m = *lv::encode(Slot::measurements, t, d), c = *lv::encode(Slot::charge_state, t, d);
            CHECK(le16s(m, 0) == (x > 0 ? 32767 : 0));
            CHECK(le16s(m, 2) == (x > 0 ? 32767 : -32767));
            CHECK(le16s(m, 4) == (x > 0 ? 32767 : -2732));
            CHECK(le16(c, 0) == (x > 0 ? 100 : 0));
            CHECK(le16(c, 2) == (x > 0 ? 100 : 0));
        }
        t.modules = {.online = x, .blocking_charge = x, .blocking_discharge = x, .offline = 0};
        CHECK(lv::encode(Slot::status, t, plain)->data[4] == (x > 0 ? 255 : 1));  // at least one
        CHECK(le16(*lv::encode(Slot::module_counts, t, superset), 0) == (x > 0 ? 65535 : 0));
        t.identity.capacity = Charge::from_milli(x);
        CHECK(le16(*lv::encode(Slot::installed_capacity, t, superset), 0) == (x > 0 ? 65535 : 0));
        const CanFrame e = *lv::encode(Slot::extremes, t, superset);
        CHECK(le16(e, 0) == (x > 0 ? 65535 : 0));
        CHECK(le16(e, 4) == (x > 0 ? 65535 : 0));
    }
}
