// The worked examples of docs/protocols/byd-hvs.md, in both directions. "Real" frames come from public sources, named there;
// the others are made up.
#include "inverter/byd_hvs_frames.hpp"

#include "inverter/byd_hvs_layout.hpp"
#include "tests/inverter/hvs_house.hpp"

using namespace batgw;
using namespace batgw::test;
namespace hvs = batgw::byd_hvs;

TEST_CASE("byd_hvs: identification, of frames recorded from an HVS 5.1")
{
    // Real: SunshadeCorp/can-service can_byd_sim.py. Only the firmware version is another than ours.
    const CanFrame real = frame("250#0316006600330209");
    CHECK(*hvs::firmware_major(real) == 3);
    CHECK(*hvs::firmware_minor(real) == 0x16);
    CHECK(*hvs::energy_rated(real) == 5.1_kWh);
    CHECK(*hvs::modules(real) == 2);
    CHECK(text(hvs::encode_identity({.energy_rated = 5.1_kWh, .voltage_nominal = 196.8_V, .modules = 2})) ==
        "250#0329006600330209");

    CHECK(*hvs::serial(frame("290#063710D900000000")) == 104272089);
    CHECK(text(hvs::encode_serial(104272089)) == "290#063710D900000000");
    CHECK(text(hvs::encode_vendor()) == "2D0#0042594400000000");
    CHECK(text(hvs::encode_product(hvs::product_hvs, 0)) == "3D0#0042617474657279");
    CHECK(text(hvs::encode_product(hvs::product_hvs, 1)) == "3D0#012D426F78205072");
    CHECK(text(hvs::encode_product(hvs::product_hvs, 2)) == "3D0#02656D69756D2048");
    CHECK(text(hvs::encode_product(hvs::product_hvs, 3)) == "3D0#0356530000000000");
    CHECK(text(hvs::encode_product(hvs::product_hvm, 3)) == "3D0#03564D0000000000");  // made up: the letter changed

    const CanFrame big = frame("250#03160066015A0402");  // made up
    CHECK(*hvs::energy_rated(big) == 34.6_kWh);
    CHECK(*hvs::modules(big) == 4);
    CHECK(*hvs::product_code(big) == 2);
    // 34.56 kWh is 34.6 on the wire
    CHECK(text(hvs::encode_identity({.energy_rated = 34.56_kWh, .voltage_nominal = 345.6_V, .modules = 4})) ==
        "250#03290066015A0409");
}

TEST_CASE("byd_hvs: limits say upper and lower voltage, then discharge, then charge")
{
    // Real: recorded from an HVS 5.1.
    const CanFrame real = frame("110#0920064001000100");
    CHECK(*hvs::window_max(real) == 233.6_V);
    CHECK(*hvs::window_min(real) == 160.0_V);
    CHECK(*hvs::discharge_limit(real) == 25.6_A);
    CHECK(*hvs::charge_limit(real) == 25.6_A);
    CHECK(text(hvs::encode_limits({.voltage_max = 2336, .voltage_min = 1600, .charge = 256, .discharge = 256})) == text(real));
    // Made up from here on.
    CHECK(text(hvs::encode_limits({.voltage_max = 3868, .voltage_min = 3044, .charge = 250, .discharge = 300})) ==
        "110#0F1C0BE4012C00FA");
    CHECK(text(hvs::encode_limits({.voltage_max = 3868, .voltage_min = 3044, .charge = 0, .discharge = 300})) ==
        "110#0F1C0BE4012C0000");
    CHECK(text(hvs::encode_limits({.voltage_max = 3868, .voltage_min = 3044, .charge = 0, .discharge = 0})) ==
        "110#0F1C0BE400000000");
    CHECK(*hvs::discharge_limit(frame("110#0F1C0BE4012C00FA")) == 30_A);
    CHECK(*hvs::charge_limit(frame("110#0F1C0BE4012C00FA")) == 25_A);
    // Limits are rounded to the safe side: current and upper voltage down, lower voltage up.
    CanFrame f = hvs::limits.blank();
    hvs::window_max.put(f, Voltage::from_milli(386'899));
    hvs::window_min.put(f, Voltage::from_milli(304'301));
    hvs::discharge_limit.put(f, Current::from_milli(30'099));
    hvs::charge_limit.put(f, Current::from_milli(25'099));
    CHECK(text(f) == "110#0F1C0BE4012C00FA");
    // Saturates, never wraps.
    CHECK(text(hvs::encode_limits({.voltage_max = 70000, .voltage_min = -5, .charge = 70000, .discharge = -10})) ==
        "110#FFFF00000000FFFF");
}

TEST_CASE("byd_hvs: state, measurements and temperatures of the worked examples")
{
    const hvs::Identity identity{.energy_rated = 34.56_kWh, .voltage_nominal = 345.6_V, .modules = 4};  // 100.0 Ah
    hvs::Measured m{.voltage = 351.2_V,
        .current = 12.3_A,
        .soc = Percent::from_milli(50'250),
        .soh = 98_pct,
        .temperature_max = Temperature::from_milli(24'600),
        .temperature_min = Temperature::from_milli(-1'200),
        .temperature_avg = Temperature::from_milli(23'500)};
    CHECK(text(hvs::encode_charge_state(m, identity)) == "150#13A1264801F703E8");
    CHECK(text(hvs::encode_measurements(m)) == "1D0#0DB8007B00EB0308");  // charging 12.3 A is positive
    CHECK(text(hvs::encode_temperatures(m)) == "210#00F6FFF400000000");
    m.voltage = 339.8_V;
    m.current = -18.7_A;
    m.temperature_avg = Temperature::from_milli(-4'500);
    CHECK(text(hvs::encode_measurements(m)) == "1D0#0D46FF45FFD30308");  // discharging, in the cold
    CHECK(text(hvs::encode_counters()) == "190#0000030000000000");

    // Real: recorded from an HVS 5.1.
    const CanFrame real = frame("1D0#0849000000B40308");
    CHECK(*hvs::voltage(real) == 212.1_V);
    CHECK(*hvs::current(real) == 0_A);
    CHECK(*hvs::temperature(real) == 18_degC);
    CHECK(*hvs::state(real) == 3);
    CHECK(*hvs::state_tail(real) == 8);

    const CanFrame state = frame("150#13A1264801F703E8");
    CHECK(*hvs::soc(state) == Percent::from_milli(50'250));
    CHECK(*hvs::soh(state) == 98_pct);
    CHECK(*hvs::remaining(state) == 50.3_Ah);
    CHECK(*hvs::full(state) == 100_Ah);
    CHECK(*hvs::current(frame("1D0#0DB8007B00EB0308")) == 12.3_A);
    CHECK(*hvs::current(frame("1D0#0D46FF45FFD30308")) == -18.7_A);
    CHECK(*hvs::temperature(frame("1D0#0D46FF45FFD30308")) == Temperature::from_milli(-4'500));
    CHECK(*hvs::temperature_max(frame("210#00F6FFF400000000")) == Temperature::from_milli(24'600));
    CHECK(*hvs::temperature_min(frame("210#00F6FFF400000000")) == Temperature::from_milli(-1'200));
    CHECK(*hvs::counter_charged(frame("190#0000001500000010")) == 21);
    CHECK(*hvs::counter_discharged(frame("190#0000001500000010")) == 16);
}

TEST_CASE("byd_hvs: what does not fit is sent as the nearest that does")
{
    const hvs::Identity tiny{.energy_rated = 1_Wh, .voltage_nominal = 400_V, .modules = 0};
    const hvs::Identity huge{.energy_rated = 9999_kWh, .voltage_nominal = 40_V, .modules = 999};
    CHECK(text(hvs::encode_identity(tiny)) == "250#0329006600010109");
    CHECK(text(hvs::encode_identity(huge)) == "250#03290066FFFFFF09");
    CHECK(text(hvs::encode_identity({.energy_rated = 5.1_kWh, .voltage_nominal = 0_V, .modules = 2})).substr(12) == "00330209");

    hvs::Measured m{.voltage = 9000_V,
        .current = 4000_A,
        .soc = Percent::from_milli(100'400),
        .soh = 250_pct,
        .temperature_max = 9000_degC,
        .temperature_min = Temperature::from_milli(-9'000'000),
        .temperature_avg = 9000_degC};
    // SOC 100.4 % -> 10000; 9999 kWh at 40 V is far more than 6553.5 Ah
    CHECK(text(hvs::encode_charge_state(m, huge)) == "150#27102710FFFFFFFF");
    CHECK(text(hvs::encode_measurements(m)) == "1D0#FFFF7FFF7FFF0308");
    CHECK(text(hvs::encode_temperatures(m)) == "210#7FFF800000000000");
    m.voltage = -1_V;
    m.current = -4000_A;
    m.soc = -1_pct;
    m.soh = -1_pct;
    CHECK(text(hvs::encode_measurements(m)).substr(0, 12) == "1D0#00008001");
    CHECK(text(hvs::encode_charge_state(m, tiny)) == "150#0000000000000001");  // full capacity is never 0
}

TEST_CASE("byd_hvs: measurements are rounded to nearest, halves away from zero")
{
    hvs::Measured m{.voltage = Voltage::from_milli(351'250),
        .current = Current::from_milli(-18'650),
        .soc = Percent::from_milli(50'255),
        .soh = 100_pct,
        .temperature_max = Temperature::from_milli(-50),
        .temperature_min = Temperature::from_milli(-49),
        .temperature_avg = Temperature::from_milli(50)};
    CHECK(text(hvs::encode_measurements(m)) == "1D0#0DB9FF4500010308");
    CHECK(text(hvs::encode_temperatures(m)) == "210#FFFF000000000000");
    CHECK(text(hvs::encode_charge_state(m, {.energy_rated = 34.56_kWh, .voltage_nominal = 345.6_V, .modules = 2})).substr(0, 8) ==
        "150#13A2");
}
