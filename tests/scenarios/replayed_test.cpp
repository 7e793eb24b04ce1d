// What every battery said in a recorded run, told to a gateway again: whole, with the frames of one id missing, with bits wrong,
// and three times as slow. Less or worse said never allows more. SAFE-303
#include "battery/registry.hpp"
#include "sim/chance.hpp"
#include "tests/support/tape.hpp"
#include "tests/support/world.hpp"

#include <array>
#include <map>
#include <set>

using namespace batgw;
using namespace batgw::test;

namespace {

constexpr Duration look = 100ms, up = 40s, power = 15s, rest = 90s;

// What the gateway believed and told, ten times a second of the tape.
struct Looks {
    std::vector<std::array<Current, 2>> told;  // charge, discharge
    std::map<std::string_view, std::set<std::int64_t>> believed;
    std::map<std::string_view, std::uint32_t> source;
    std::set<std::string_view> fresh;  // at the end
    HeardCounts heard{};
    FaultClass worst{};
    std::string faults;
};

template <class F>
void each_signal(const BatteryState& s, F&& f)
{
    f("voltage", s.voltage);
    f("current", s.current);
    f("soc", s.soc);
    f("cell max", s.cell_voltage_max);
    f("cell min", s.cell_voltage_min);
    f("temperature max", s.temperature_max);
    f("temperature min", s.temperature_min);
    f("charge limit", s.charge_limit);
    f("discharge limit", s.discharge_limit);
    f("charge current", s.charge_limit_current);
    f("discharge current", s.discharge_limit_current);
}

// Start, charging, discharging, rest.
Looks live(const BatteryDriverInfo& info, std::shared_ptr<sim::SimulatedBattery> pack, int slower = 1)
{
    WorldOptions options = usual_house(info, "pylontech-lv");
    options.same_pack = std::move(pack);
    World w{options};
    Looks looks;
    const auto run = [&](Power wish, Duration time) {
        w.inverter->set_wish(wish);
        for (Duration t{}; t < time; t += look) {
            w.run(look * slower);
            const InverterState& i = w.bridge.inverter();
            looks.told.push_back(
                {i.sent_charge_limit.last().value_or(Current{}), i.sent_discharge_limit.last().value_or(Current{})});
            each_signal(w.bridge.battery(), [&](std::string_view name, const auto& reading) {
                if (!reading.last()) return;
                looks.believed[name].insert(reading.last()->milli());
                looks.source[name] = reading.source();
            });
        }
    };
    run(Power{}, up);
    run(2_kW, power);
    run(-2_kW, power);
    run(Power{}, rest);
    Snapshot s;
    w.bridge.fill(s, w.now);
    looks.heard = s.buses[0].traffic.heard;
    looks.worst = w.verdict().worst;
    for (const ActiveFault& f : w.verdict().faults)
        looks.faults += std::string{to_string(f.id)} + ' ' + std::string{f.detail.view()} + "; ";
    each_signal(w.bridge.battery(), [&](std::string_view name, const auto& reading) {
        if (reading.is_fresh(w.now)) looks.fresh.insert(name);
    });
    return looks;
}

struct Recorded {
    Tape tape;
    Looks looks;
};
Recorded record(const BatteryDriverInfo& info)
{
    const auto recorder = std::make_shared<Recorder>(sim::make_battery(info.name, usual_house(info, "pylontech-lv").pack));
    Looks looks = live(info, recorder);
    REQUIRE(looks.told.back()[0] > Current{});
    REQUIRE(looks.told.back()[1] > Current{});
    return {recorder->tape, std::move(looks)};
}

// Never more than the run that heard everything told within `about` looks, but for the voltage of another moment that made
// amperes of watts; and no value beyond those that were said.
void check_no_more(const Looks& clean, const Looks& less, std::size_t about)
{
    REQUIRE(less.told.size() == clean.told.size());
    for (std::size_t i = 0; i < less.told.size(); ++i)
        for (std::size_t d = 0; d < 2; ++d) {
            Current most{};
            for (std::size_t j = i < about ? 0 : i - about; j < std::min(i + about, clean.told.size()); ++j)
                most = std::max(most, clean.told[j][d]);
            if (less.told[i][d] > most + most / 50) {
                FAIL_CHECK("told ", less.told[i][d].milli(), " mA at look ", i, ", ", most.milli(), " mA when all was said");
                return;
            }
        }
    // A value may come from a second source that was never needed before.
    for (const auto& [name, values] : less.believed) {
        REQUIRE(clean.believed.contains(name));
        const auto& said = clean.believed.at(name);
        if (*values.begin() < *said.begin() || *values.rbegin() > *said.rbegin()) FAIL_CHECK(name, " beyond what was said");
    }
}

}  // namespace

TEST_CASE("every battery: what it said once, said again, is believed and answered the same")
{
    for (const auto* info : battery_drivers()) {
        CAPTURE(info->name);
        const Recorded r = record(*info);
        const Looks again = live(*info, std::make_shared<Player>(r.tape));
        CHECK(again.believed == r.looks.believed);
        CHECK(again.heard == r.looks.heard);
        CHECK((again.told == r.looks.told));
    }
}

TEST_CASE("every battery: with the frames of one id missing nothing more is allowed, and nothing without what the judge goes by")
{
    for (const auto* info : battery_drivers()) {
        CAPTURE(info->name);
        const Recorded r = record(*info);
        unsigned decisive = 0;
        for (const std::uint32_t id : r.tape.ids()) {
            CAPTURE(id);
            const Looks less =
                live(*info, std::make_shared<Player>(r.tape, [&](Duration, Tape::Piece& p) { return p.id != id; }));
            check_no_more(r.looks, less, 10);
            for (const char* name : {"voltage", "cell max", "cell min", "temperature max", "temperature min"})
                if (r.looks.source.at(name) == id && !less.fresh.contains(name)) {
                    CAPTURE(name);
                    ++decisive;
                    CHECK(less.told.back()[0] == Current{});
                    CHECK(less.told.back()[1] == Current{});
                }
        }
        CHECK(decisive > 0);
    }
}

TEST_CASE("every battery: ten seconds of wrong bits leave nothing behind")
{
    for (const auto* info : battery_drivers()) {
        CAPTURE(info->name);
        const Recorded r = record(*info);
        sim::Chance chance{303};
        unsigned wrong = 0;
        const Looks noisy = live(*info, std::make_shared<Player>(r.tape, [&](Duration at, Tape::Piece& p) {
            if (at < up + power / 2 || at > up + power / 2 + 10s || chance.bits() % 3 != 0) return true;
            const auto data = p.data();
            data[chance.bits() % data.size()] ^= static_cast<std::uint8_t>(1U << chance.bits() % 8);
            ++wrong;
            return true;
        }));
        CHECK(wrong > 10);
        CAPTURE(noisy.faults);
        CHECK(noisy.worst == r.looks.worst);
        CHECK((noisy.told.back() == r.looks.told.back()));
    }
}

TEST_CASE("every battery: three times as slow, nothing more is allowed and nothing is believed beyond what was said")
{
    for (const auto* info : battery_drivers()) {
        CAPTURE(info->name);
        const Recorded r = record(*info);
        check_no_more(r.looks, live(*info, std::make_shared<Player>(r.tape, Player::Change{}, 3), 3), r.looks.told.size());
    }
}
