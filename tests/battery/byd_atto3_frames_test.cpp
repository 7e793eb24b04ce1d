#include "tests/battery/bench.hpp"

#include <doctest/doctest.h>

#include <array>

using namespace batgw;
using namespace batgw::test;
namespace layout = batgw::byd_atto3;

TEST_CASE("atto3: the published frame of a full pack without current")
{
    Bench b;
    // Published in a comment of an early revision of Battery-Emulator's driver.
    CHECK(b.hear("444#9E01881364649865") == Heard::used);
    CHECK(b.state().voltage.fresh(b.now) == 414_V);
    CHECK(b.state().current.fresh(b.now) == 0_A);
    CHECK(b.state().diagnostic_soc.fresh(b.now) == 100_pct);
    CHECK(b.state().heard == b.now);
}

TEST_CASE("atto3: a pack that discharges has a negative current, one that charges a positive")
{
    Bench b;
    CHECK(b.hear("444#94012A1462370093") == Heard::used);  // made up
    CHECK(b.state().voltage.fresh(b.now) == 404_V);
    CHECK(b.state().current.fresh(b.now) == Current::from_milli(-16'200));
    CHECK(b.state().diagnostic_soc.fresh(b.now) == 55_pct);
    CHECK(b.hear("444#4D11A21262370054") == Heard::used);  // made up; high nibble of byte 1 is not voltage
    CHECK(b.state().voltage.fresh(b.now) == 333_V);
    CHECK(b.state().current.fresh(b.now) == 23_A);
}

TEST_CASE("atto3: the fine voltage counts next to the coarse one")
{
    Bench b;
    // Published, same revision as the frame above.
    CHECK(b.hear("438#555501F6472E10D9") == Heard::used);
    CHECK(b.state().voltage.quality(b.now) == Quality::never);
    b.hear("444#9E01881364649865");
    CHECK(b.state().voltage.fresh(b.now) == 414.2_V);
    b.hear("444#9E01881364649865");
    CHECK(b.state().voltage.fresh(b.now) == 414.2_V);
    CHECK(b.hear("438#555501F647000017") == Heard::implausible);  // made up: 0 V
    CHECK(b.state().voltage.fresh(b.now) == 414.2_V);
    // The fine one stops: the coarse one takes over without a gap.
    for (int i = 0; i < 40; ++i) {
        b.now += 100ms;
        b.hear("444#9E01881364649865");
        CHECK(b.state().voltage.is_fresh(b.now));
    }
    CHECK(b.state().voltage.fresh(b.now) == 414_V);
}

TEST_CASE("atto3: voltages more than 5 V apart leave the coarse one")
{
    Bench b;
    const auto fine = [](std::int64_t tenths) {
        CanFrame f = frame("438#555501F647000000");
        layout::voltage_fine.put(f, Voltage::from_milli(tenths * 100));
        return layout::sealed(f);
    };
    b.hear("444#9E01881364649865");  // 414 V
    CHECK(b.hear(fine(4190)) == Heard::used);
    CHECK(b.state().voltage.fresh(b.now) == 419_V);
    CHECK(b.hear(fine(4191)) == Heard::used);
    CHECK(b.state().voltage.fresh(b.now) == 419_V);  // not taken, and the last one stays until the next coarse one
    b.hear("444#9E01881364649865");
    CHECK(b.state().voltage.fresh(b.now) == 414_V);
    b.hear(fine(4090));
    CHECK(b.state().voltage.fresh(b.now) == 409_V);
    b.hear(fine(4089));
    b.hear("444#9E01881364649865");
    CHECK(b.state().voltage.fresh(b.now) == 414_V);
    // Without a coarse one younger than a second the fine one says nothing.
    b.now += 1001ms;
    b.hear(fine(4142));
    CHECK(b.state().voltage.fresh(b.now) == 414_V);
    b.now += 1s;
    CHECK_FALSE(b.state().voltage.is_fresh(b.now));
}

TEST_CASE("atto3: published extremes of cells and temperatures")
{
    Bench b;
    CHECK(b.hear("446#2CD40C4D21DC0C9D") == Heard::used);  // published, Battery-Emulator history
    CHECK(b.state().cell_voltage_min.fresh(b.now) == 3284_mV);
    CHECK(b.state().cell_voltage_max.fresh(b.now) == 3292_mV);
    CHECK(b.state().cell_min_number.fresh(b.now) == 44_count);
    CHECK(b.state().cell_max_number.fresh(b.now) == 33_count);

    CHECK(b.hear("447#0638013BE0033969") == Heard::used);  // published, Battery-Emulator history
    CHECK(b.state().temperature_min.fresh(b.now) == 16_degC);
    CHECK(b.state().temperature_max.fresh(b.now) == 19_degC);
    CHECK(b.state().soc.fresh(b.now) == 99.2_pct);
    CHECK(b.state().temperature_avg.fresh(b.now) == 17_degC);

    CHECK(b.hear("447#0626013B5EF2390E") == Heard::used);  // made up: below zero, and a nibble above the state of charge
    CHECK(b.state().temperature_min.fresh(b.now) == Temperature::from_milli(-2000));
    CHECK(b.state().soc.fresh(b.now) == 60.6_pct);
}

TEST_CASE("atto3: insulation of zero is a reading")
{
    Bench b;
    CHECK(b.hear("43A#7E0AB01C63E10364") == Heard::used);  // published, Battery-Emulator history
    CHECK(b.state().insulation.fresh(b.now) == 7344_ohm_per_V);
    CHECK(b.hear("43A#7E0A000000000077") == Heard::used);  // made up
    CHECK(b.state().insulation.fresh(b.now) == 0_ohm_per_V);
    CHECK(b.hear(summed("43A#7E0AFEFF000000")) == Heard::used);
    CHECK(b.state().insulation.fresh(b.now) == 65534_ohm_per_V);
    CHECK(b.hear(summed("43A#7E0AFFFF000000")) == Heard::implausible);
    CHECK(b.state().insulation.fresh(b.now) == 65534_ohm_per_V);
}

TEST_CASE("atto3: allowed powers")
{
    Bench b;
    CHECK(b.hear("345#270B000000E001EC") == Heard::used);  // published, Battery-Emulator history: a full pack
    CHECK(b.state().discharge_limit.fresh(b.now) == 285.5_kW);
    CHECK(b.state().charge_limit.fresh(b.now) == 0_W);
    CHECK(b.hear("345#96002800FF000042") == Heard::used);  // made up
    CHECK(b.state().discharge_limit.fresh(b.now) == 15_kW);
    CHECK(b.state().charge_limit.fresh(b.now) == 4_kW);
    CHECK(b.hear(summed("345#A00FA00F000000")) == Heard::used);  // 400 kW
    CHECK(b.state().charge_limit.fresh(b.now) == 400_kW);
    CHECK(b.hear(summed("345#A10F2800000000")) == Heard::implausible);
    CHECK(b.hear(summed("345#2800A10F000000")) == Heard::implausible);
    CHECK(b.hear(summed("345#FFFFFFFF000000")) == Heard::implausible);
    CHECK(b.state().charge_limit.fresh(b.now) == 400_kW);
    CHECK(b.state().discharge_limit.fresh(b.now) == 400_kW);
}

TEST_CASE("atto3: voltage outside the contactors, and whether insulation is measured")
{
    Bench b;
    CHECK(b.hear("35E#0100C832006300A1") == Heard::used);  // published; what the voltage means is a guess
    CHECK(b.state().link_voltage.fresh(b.now) == 5_V);
    CHECK(b.state().insulation_measured.fresh(b.now) == false);
    CHECK(b.hear("35E#0100640110630026") == Heard::used);  // published
    CHECK(b.state().link_voltage.fresh(b.now) == 409.7_V);
    CHECK(b.hear(summed("35E#8100640110000000")) == Heard::used);
    CHECK(b.state().insulation_measured.fresh(b.now) == true);
    // 1000.1 V is no voltage; the flag next to it stands.
    CHECK(b.hear(summed("35E#0100641127000000")) == Heard::used);
    CHECK(b.state().link_voltage.fresh(b.now) == 409.7_V);
    CHECK(b.state().insulation_measured.fresh(b.now) == false);
}

TEST_CASE("atto3: ambient temperature is on page 1 only")
{
    Bench b;
    CHECK(b.hear("245#010002193A2590F4") == Heard::used);  // published
    CHECK(b.state().temperature_ambient.fresh(b.now) == 18_degC);
    CHECK(b.hear(summed("245#02000219502590")) == Heard::used);
    CHECK(b.state().temperature_ambient.fresh(b.now) == 18_degC);
    CHECK(b.hear(summed("245#01000219FF2590")) == Heard::implausible);
    CHECK(b.state().temperature_ambient.fresh(b.now) == 18_degC);
}

TEST_CASE("atto3: the identity page that is only guessed at is a sign of life")
{
    Bench b;
    CHECK(b.hear("36C#0203DC05C00F0F3B") == Heard::used);  // published
    CHECK(b.state().heard == b.now);
    CHECK_FALSE(b.driver->facts().energy_rated);
    // As declared: 150.0 Ah and 403.2 V.
    CHECK(layout::rated_charge(frame("36C#0203DC05C00F0F3B")) == 150_Ah);
    CHECK(layout::rated_voltage(frame("36C#0203DC05C00F0F3B")) == 403.2_V);
}

TEST_CASE("atto3: the frames we send are those of the car's log, byte for byte")
{
    using layout::PowerMode;
    // From recordings of a car published in dalathegreat/EV-CANlogs, "BYD Atto 3".
    CHECK(layout::make_power_mode(PowerMode::close, 12) == frame("12D#A02802A00C71CF49"));
    CHECK(layout::make_power_mode(PowerMode::close, 13) == frame("12D#A02802A00C71DF39"));
    CHECK(layout::make_power_mode(PowerMode::standby, 9) == frame("12D#5014021004319FB5"));
    CHECK(layout::make_link_report(7_V) == frame("441#983A88130700FF8C"));
    CHECK(layout::make_link_report(397_V) == frame("441#983A88138D01FF05"));
    CHECK(layout::make_link_report(12_V) == frame("441#983A88130C00FF87"));
    CHECK(layout::make_link_report(413.9_V) == frame("441#983A88139D01FFF5"));
    CHECK(layout::make_link_report(Voltage::from_milli(-1)) == layout::make_link_report(0_V));
}

TEST_CASE("atto3: counter and checksum of every power mode")
{
    // Sixth and seventh byte for counter 0 to 15, by mode: standby, acknowledge, close, hold, shutdown.
    constexpr std::array<std::array<int, 5>, 16> sums{{
        {0x45, 0x31, 0x09, 0xC9, 0x91},
        {0x35, 0x21, 0xF9, 0xB9, 0x81},
        {0x25, 0x11, 0xE9, 0xA9, 0x71},
        {0x15, 0x01, 0xD9, 0x99, 0x61},
        {0x05, 0xF1, 0xC9, 0x89, 0x51},
        {0xF5, 0xE1, 0xB9, 0x79, 0x41},
        {0xE5, 0xD1, 0xA9, 0x69, 0x31},
        {0xD5, 0xC1, 0x99, 0x59, 0x21},
        {0xC5, 0xB1, 0x89, 0x49, 0x11},
        {0xB5, 0xA1, 0x79, 0x39, 0x01},
        {0xA5, 0x91, 0x69, 0x29, 0xF1},
        {0x95, 0x81, 0x59, 0x19, 0xE1},
        {0x85, 0x71, 0x49, 0x09, 0xD1},
        {0x75, 0x61, 0x39, 0xF9, 0xC1},
        {0x65, 0x51, 0x29, 0xE9, 0xB1},
        {0x55, 0x41, 0x19, 0xD9, 0xA1},
    }};
    constexpr std::array<std::string_view, 5> payloads{
        "501402100431", "501802200431", "A02802A00C71", "A02800220C31", "A02802600431"};
    for (unsigned counter = 0; counter < 32; ++counter)
        for (std::size_t mode = 0; mode < payloads.size(); ++mode) {
            CanFrame expected = frame("12D#" + std::string{payloads[mode]} + "0000");
            expected.data[6] = static_cast<std::uint8_t>((counter % 16) << 4 | 0xF);
            expected.data[7] = static_cast<std::uint8_t>(sums[counter % 16][mode]);
            CHECK(layout::make_power_mode(static_cast<layout::PowerMode>(mode), counter) == expected);
        }
}

TEST_CASE("atto3: last code that is a reading, first that is not")
{
    const auto heard = [](const CanFrame& f) {
        Bench b;
        return b.hear(f);
    };
    const auto with = [](std::string_view base, Bits bits, std::int64_t raw) {
        CanFrame f = frame(base);
        write_raw(f, bits, raw);
        return layout::sealed(f);
    };
    struct Row {
        std::string_view base;
        Bits bits;
        std::int64_t last_good, first_bad;
    };
    // SAFE-025
    const std::array rows{
        Row{"444#9E01881364649865", layout::voltage_coarse.bits, 1, 0},
        Row{"444#9E01881364649865", layout::voltage_coarse.bits, 1000, 1001},
        Row{"444#9E01881364649865", layout::current.bits, 10'000, 10'001},
        Row{"438#555501F6472E10D9", layout::voltage_fine.bits, 1, 0},
        Row{"438#555501F6472E10D9", layout::voltage_fine.bits, 10'000, 10'001},
        Row{"446#2CD40C4D21DC0C9D", layout::cell_min.bits, 500, 499},
        Row{"446#2CD40C4D21DC0C9D", layout::cell_min.bits, 4094, 4095},
        Row{"446#2CD40C4D21DC0C9D", layout::cell_max.bits, 500, 499},
        Row{"446#2CD40C4D21DC0C9D", layout::cell_max.bits, 4094, 4095},
        Row{"447#0638013BE0033969", layout::temperature_min.bits, 160, 161},
        Row{"447#0638013BE0033969", layout::temperature_max.bits, 160, 161},
        Row{"447#0638013BE0033969", layout::temperature_max.bits, 0, 255},
        Row{"447#0638013BE0033969", layout::soc.bits, 1000, 1001},
        Row{"447#0638013BE0033969", layout::soc.bits, 0, 4095},
        Row{"345#270B000000E001EC", layout::charge_limit.bits, 4000, 4001},
        Row{"345#270B000000E001EC", layout::discharge_limit.bits, 4000, 4001},
        Row{"43A#7E0AB01C63E10364", layout::insulation.bits, 65'534, 65'535},
    };
    for (const Row& row : rows) {
        CAPTURE(row.base);
        CAPTURE(row.first_bad);
        CHECK(heard(with(row.base, row.bits, row.last_good)) == Heard::used);
        CHECK(heard(with(row.base, row.bits, row.first_bad)) == Heard::implausible);
    }
}

TEST_CASE("atto3: numbers and averages that are missing take nothing else with them")
{
    Bench b;
    CHECK(b.hear(summed("446#00D40C4DC1DC0C")) == Heard::used);  // cells 0 and 193
    CHECK(b.state().cell_voltage_max.is_fresh(b.now));
    CHECK_FALSE(b.state().cell_min_number.last());
    CHECK_FALSE(b.state().cell_max_number.last());
    CHECK(b.hear(summed("447#0638013BE003FF")) == Heard::used);
    CHECK(b.state().temperature_max.is_fresh(b.now));
    CHECK_FALSE(b.state().temperature_avg.last());
    CHECK(b.hear(summed("444#9E0188136465FF")) == Heard::used);  // 101 %
    CHECK_FALSE(b.state().diagnostic_soc.last());
}

TEST_CASE("atto3: one implausible value discards the whole frame")
{
    Bench b;
    b.hear("444#9E01881364649865");
    const Instant then = b.now;
    b.now += 100ms;
    CHECK(b.hear(summed("444#000088136464FF")) == Heard::implausible);
    CHECK(b.state().current.at() == then);  // SAFE-022: not refreshed
    CHECK(b.state().heard == then);
}

TEST_CASE("atto3: state of health counts after ten equal ones in a row")
{
    Bench b;
    const auto say = [&](int percent) {
        CanFrame f = frame("444#9E01881364649865");
        write_raw(f, layout::health.bits, percent);
        CHECK(b.hear(layout::sealed(f)) == Heard::used);
    };
    for (int i = 0; i < 9; ++i) say(98);
    CHECK_FALSE(b.state().soh.last());
    say(98);
    CHECK(b.state().soh.fresh(b.now) == 98_pct);
    for (int i = 0; i < 9; ++i) say(20);
    say(98);
    for (int i = 0; i < 9; ++i) say(20);
    CHECK(b.state().soh.fresh(b.now) == 98_pct);
    say(20);
    CHECK(b.state().soh.fresh(b.now) == 20_pct);
    for (int i = 0; i < 30; ++i) say(101);
    CHECK(b.state().soh.fresh(b.now) == 20_pct);
}

TEST_CASE("atto3: which wrong checksums are forgiven")
{
    struct Row {
        std::string_view good;
        Heard wrong;
        bool taken;
    };
    // SAFE-024. Published frames where there are any.
    const std::array rows{
        Row{"345#270B000000E001EC", Heard::bad_checksum, false},
        Row{"35E#0100C832006300A1", Heard::bad_checksum, false},
        Row{"438#555501F6472E10D9", Heard::bad_checksum, false},
        Row{"43A#7E0AB01C63E10364", Heard::bad_checksum, false},
        Row{"43C#003B3A3A3A3A39A3", Heard::bad_checksum, false},
        Row{"444#9E01881364649865", Heard::bad_checksum, false},
        Row{"446#2CD40C4D21DC0C9D", Heard::bad_checksum, false},
        Row{"447#0638013BE0033969", Heard::bad_checksum, false},
        Row{"344#02400000000000BD", Heard::bad_checksum, true},
        Row{"43D#00E40CE60CDD0C34", Heard::bad_checksum, true},
        Row{"245#010002193A2590F4", Heard::bad_checksum, true},
        Row{"244#0000000000000000", Heard::used, true},
        Row{"286#0000000000000000", Heard::used, true},
        Row{"334#0000000000000000", Heard::used, true},
        Row{"338#0000000088130000", Heard::used, true},
        Row{"347#00FF000000000000", Heard::used, true},
        Row{"34A#0000000000000000", Heard::used, true},
        Row{"360#0000000000000000", Heard::used, true},
        Row{"36C#0203DC05C00F0F3B", Heard::used, true},
        Row{"43B#0000000000000000", Heard::used, true},
        Row{"445#0000000000000000", Heard::used, true},
        Row{"47B#01FFFFFFFFFFFFFF", Heard::used, true},
        Row{"524#0000000000000000", Heard::used, true},
    };
    for (const Row& row : rows) {
        CAPTURE(row.good);
        Bench good;
        CHECK(good.hear(row.good) == Heard::used);
        CHECK(good.state().heard);
        for (unsigned bit = 0; bit < 8; ++bit) {
            Bench b;
            CanFrame f = frame(row.good);
            f.data[7] = static_cast<std::uint8_t>(f.data[7] ^ 1U << bit);
            CHECK(b.hear(f) == row.wrong);
            CHECK(b.state().heard.has_value() == row.taken);
        }
    }
    // Forgiven means used.
    Bench b;
    CHECK(b.hear("344#0240000000000000") == Heard::bad_checksum);
    CHECK(b.state().contactor.fresh(b.now) == ContactorFeedback::open);
    CHECK(b.hear("245#010002193A259000") == Heard::bad_checksum);
    CHECK(b.state().temperature_ambient.fresh(b.now) == 18_degC);
}

namespace {

struct Carried {
    std::string_view good;
    std::vector<std::function<Quality(const BatteryState&, Instant)>> readings;
};
template <class R>
auto quality(R BatteryState::*member)
{
    return [member](const BatteryState& s, Instant now) { return (s.*member).quality(now); };
}

}  // namespace

TEST_CASE("atto3: five wrong frames in a row make what they carry bad, ten good ones mend it")
{
    // SAFE-024, SAFE-025
    using S = BatteryState;
    const std::vector<Carried> all{
        {"444#9E01881364649865", {quality(&S::voltage), quality(&S::current)}},
        {"345#270B000000E001EC", {quality(&S::charge_limit), quality(&S::discharge_limit)}},
        {"446#2CD40C4D21DC0C9D", {quality(&S::cell_voltage_min), quality(&S::cell_voltage_max)}},
        {"447#0638013BE0033969",
            {quality(&S::temperature_min), quality(&S::temperature_max), quality(&S::temperature_avg), quality(&S::soc)}},
        {"43A#7E0AB01C63E10364", {quality(&S::insulation)}},
        {"35E#0100C832006300A1", {quality(&S::link_voltage), quality(&S::insulation_measured)}},
    };
    for (const Carried& c : all) {
        CAPTURE(c.good);
        Bench b;
        const CanFrame good = frame(c.good);
        CanFrame bad = good;
        bad.data[7] ^= 1U;
        const auto all_are = [&](Quality q) {
            for (const auto& ask : c.readings) CHECK(ask(b.state(), b.now) == q);
        };
        b.hear(good);
        for (int i = 0; i < 4; ++i) b.hear(bad);
        all_are(Quality::fresh);
        b.hear(good);
        for (int i = 0; i < 4; ++i) b.hear(bad);
        all_are(Quality::fresh);
        b.hear(bad);
        all_are(Quality::bad);
        for (int i = 0; i < 9; ++i) b.hear(good);
        all_are(Quality::bad);
        b.hear(good);
        all_are(Quality::fresh);
    }
    // Temperatures of all sensors come in pages, ambient on one page of several.
    Bench b;
    b.hear("43C#003B3A3A3A3A39A3");
    b.hear("43C#013A3A393AFFFF19");
    for (int i = 0; i < 5; ++i) b.hear("43C#003B3A3A3A3A3900");
    CHECK(b.state().temperatures.quality(b.now) == Quality::bad);
    b.hear("245#010002193A2590F4");
    for (int i = 0; i < 5; ++i) b.hear(summed("245#01000219FF2590"));
    CHECK(b.state().temperature_ambient.quality(b.now) == Quality::bad);
}

TEST_CASE("atto3: a fine voltage does not outlive the coarse one that vouches for it")
{
    Bench b;
    b.hear("444#9E01881364649865");
    for (int i = 0; i < 5; ++i) {
        b.hear("438#555501F6472E10D9");
        b.hear("444#9E01881364649866");
    }
    CHECK(b.state().voltage.quality(b.now) == Quality::bad);
    b.hear("438#555501F6472E10D9");
    CHECK(b.state().voltage.quality(b.now) == Quality::bad);
    for (int i = 0; i < 20; ++i) {
        b.now += 50ms;
        b.hear("444#9E01881364649865");
        b.hear("438#555501F6472E10D9");
    }
    CHECK(b.state().voltage.fresh(b.now) == 414.2_V);
    // The other way round the coarse one goes on alone.
    for (int i = 0; i < 5; ++i) b.hear("438#555501F6472E10D8");
    b.hear("438#555501F6472E10D9");
    b.hear("444#9E01881364649865");
    CHECK(b.state().voltage.fresh(b.now) == 414_V);
}

TEST_CASE("atto3: a voltage that no pack of this size can have is refused")
{
    // SAFE-025: 126 cells, 380 to 441 V, a quarter more or less.
    Bench b{"byd-atto3", [](BatteryConfig& c) { c.cells = 126; }};
    const auto say = [&](int volts) {
        CanFrame f = frame("444#9E01881364649865");
        write_raw(f, layout::voltage_coarse.bits, volts);
        return b.hear(layout::sealed(f));
    };
    CHECK(say(5) == Heard::implausible);
    CHECK(say(284) == Heard::implausible);
    CHECK(say(285) == Heard::used);
    CHECK(say(551) == Heard::used);
    CHECK(say(552) == Heard::implausible);
    for (int i = 0; i < 4; ++i) say(5);
    CHECK(b.state().voltage.quality(b.now) == Quality::bad);
}

TEST_CASE("atto3: what is not eight bytes, or not the pack's, changes nothing")
{
    Bench b;
    for (const std::string_view text : {"444#9E018813646498", "344#", "244#00", "43D#00E40CE60CDD", "7EF#0462002F3EAAAA"})
        CHECK(b.hear(text) == Heard::bad_length);
    for (const std::string_view text :
        {"12D#A02802A00C71CF49", "441#983A88130700FF8C", "7E7#0322002B00000000", "789#0462002F3EAAAAAA", "000#0000000000000000",
            "7FF#0000000000000000", "123#00", "24A#00003F00000000C0", "47E#0041130000690141"})
        CHECK(b.hear(text) == Heard::not_mine);
    CanFrame extended = frame("444#9E01881364649865");
    extended.extended = true;
    CHECK(b.hear(extended) == Heard::not_mine);
    CHECK_FALSE(b.state().heard);
    CHECK(b.state().voltage.quality(b.now) == Quality::never);
}

TEST_CASE("atto3: each reading gets old on its own")
{
    // SAFE-020, SAFE-022: everything but one frame keeps coming.
    using S = BatteryState;
    struct Row {
        std::string_view left_out;
        Duration age;
        std::function<Quality(const BatteryState&, Instant)> ask;
    };
    const std::vector<std::string_view> frames{"444#9E01881364649865", "345#96002800FF000042", "446#2CD40C4D21DC0C9D",
        "447#0638013BE0033969", "344#02000000000000FD", "43A#7E0AB01C63E10364", "244#0000000000000000"};
    const std::vector<Row> rows{
        {"444", 1s, quality(&S::current)},
        {"345", 1s, quality(&S::charge_limit)},
        {"345", 1s, quality(&S::discharge_limit)},
        {"446", 5s, quality(&S::cell_voltage_max)},
        {"446", 5s, quality(&S::cell_voltage_min)},
        {"447", 5s, quality(&S::soc)},
        {"447", 5s, quality(&S::temperature_max)},
        {"344", 3s, quality(&S::contactor)},
        {"43A", 60s, quality(&S::insulation)},
    };
    for (const Row& row : rows) {
        CAPTURE(row.left_out);
        Bench never;
        for (const auto text : frames)
            if (text.substr(0, 3) != row.left_out) never.hear(text);
        CHECK(row.ask(never.state(), never.now) == Quality::never);

        Bench b;
        for (const auto text : frames) b.hear(text);
        const Instant then = b.now;
        while (b.now < then + row.age) {
            b.now += 100ms;
            for (const auto text : frames)
                if (text.substr(0, 3) != row.left_out) b.hear(text);
        }
        CHECK(row.ask(b.state(), then + row.age) == Quality::fresh);
        CHECK(row.ask(b.state(), then + row.age + 1ms) == Quality::stale);
    }
}
