// What the inverter says. Real frames are named; the others are made up.
#include "tests/inverter/hvs_house.hpp"

using namespace batgw;
using namespace batgw::test;

TEST_CASE("byd_hvs: voltage, current and temperature of the inverter")
{
    House h;
    CHECK(h.hear("091#0DB4FF4701380000") == Heard::used);
    CHECK(h.state().voltage.fresh(h.now) == 350.8_V);
    CHECK(h.state().current.fresh(h.now) == -18.5_A);
    CHECK(h.state().temperature.fresh(h.now) == Temperature::from_milli(31'200));
    CHECK(h.state().heard == h.now);
}

TEST_CASE("byd_hvs: state of charge, clock and sign of life of the inverter")
{
    House h;
    CHECK(h.hear("0D1#01F6000000000000") == Heard::used);
    CHECK(h.state().soc.fresh(h.now) == 50.2_pct);
    h.now += 1s;
    CHECK(h.hear("111#683C40C000000000") == Heard::used);
    CHECK(h.state().clock.fresh(h.now) == 1748779200U);
    CHECK(h.state().heard == h.now);
    h.now += 1s;
    CHECK(h.hear("191#0404001700010400") == Heard::used);  // real: a GoodWe
    CHECK(h.state().heard == h.now);
}

TEST_CASE("byd_hvs: brand and request share an id")
{
    House h;
    CHECK(h.hear("151#00474F4F44574500") == Heard::used);  // real: Battery-Emulator issue 28, a GoodWe
    CHECK(h.state().name == "GOODWE");
    CHECK(h.state().requests == 0);
    CHECK(h.hear("151#0100000000000000") == Heard::used);
    CHECK(h.hear("151#0300000000000000") == Heard::used);  // bit 0 is what counts
    CHECK(h.state().requests == 2);
    CHECK(h.state().name == "GOODWE");
    CHECK(h.hear("151#0253756E67726F77") == Heard::implausible);
    CHECK(h.state().name == "GOODWE");
    CHECK(h.hear("151#00001B5B324A7F07") == Heard::used);  // an escape sequence: only what prints is kept
    CHECK(h.state().name == "[2J");
    CHECK(h.hear("151#00000000000000FF") == Heard::used);  // nothing that prints: the old name stays
    CHECK(h.state().name == "[2J");
}

TEST_CASE("byd_hvs: a frame of wrong length, format or range changes nothing")
{
    House h;
    h.hear("091#0DB4FF4701380000");
    const Instant heard = h.now;
    h.now += 1s;
    CHECK(h.hear("091#0DB4FF47013800") == Heard::bad_length);
    CHECK(h.hear("151#01") == Heard::bad_length);
    CHECK(h.hear("0D1#") == Heard::bad_length);
    CHECK(h.hear("091#FFFF000000000000") == Heard::implausible);
    CHECK(h.hear("091#2711000000000000") == Heard::implausible);  // 1000.1 V
    CHECK(h.hear("0D1#03E9000000000000") == Heard::implausible);  // 100.1 %
    CHECK(h.hear("0D1#FFFF000000000000") == Heard::implausible);
    CHECK(h.hear("110#0F1C0BE4012C00FA") == Heard::not_mine);
    CHECK(h.hear("7E7#0000000000000000") == Heard::not_mine);
    CanFrame extended = frame("091#0000000000000000");
    extended.extended = true;
    CHECK(h.driver->on_frame(extended, h.now) == Heard::not_mine);

    CHECK(h.state().voltage.last() == 350.8_V);
    CHECK(!h.state().soc.last());
    CHECK(h.state().requests == 0);
    CHECK(h.state().heard == heard);
    // and none of them starts a conversation
    House fresh;
    fresh.verdict.battery_valid = true;
    fresh.hear("091#FFFF000000000000");
    fresh.hear("151#01");
    fresh.hear("151#0200000000000000");
    fresh.run(5s);
    CHECK(fresh.sent.empty());
}

TEST_CASE("byd_hvs: the last codes that are readings, and the first that are not")
{
    House h;
    CHECK(h.hear("091#2710271007D00000") == Heard::used);
    CHECK(h.state().voltage.last() == 1000_V);
    CHECK(h.state().current.last() == 1000_A);
    CHECK(h.state().temperature.last() == 200_degC);
    CHECK(h.hear("091#0000D8F0FC180000") == Heard::used);
    CHECK(h.state().voltage.last() == 0_V);
    CHECK(h.state().current.last() == -1000_A);
    CHECK(h.state().temperature.last() == Temperature::from_milli(-100'000));
    CHECK(h.hear("0D1#03E8000000000000") == Heard::used);
    CHECK(h.state().soc.last() == 100_pct);
    // An inverter without that sensor is still an inverter: the field is no reading, the rest counts.
    h.now += 10s;
    CHECK(h.hear("091#0DB47FFF80000000") == Heard::used);
    CHECK(h.state().voltage.fresh(h.now) == 350.8_V);
    CHECK(!h.state().current.fresh(h.now));
    CHECK(h.state().temperature.at() != h.now);
    CHECK(h.hear("091#0DB4271107D10000") == Heard::used);
    CHECK(h.hear("091#0DB4D8EFFC170000") == Heard::used);
    CHECK(!h.state().current.fresh(h.now));
}

TEST_CASE("byd_hvs: readings of the inverter age")
{
    House h;
    h.hear("091#0DB4FF4701380000");
    h.now += 5s;
    CHECK(h.state().voltage.fresh(h.now));
    h.now += 1ms;
    CHECK(!h.state().voltage.fresh(h.now));
    CHECK(!h.state().current.fresh(h.now));
}
