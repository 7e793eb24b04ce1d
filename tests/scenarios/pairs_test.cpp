// Every battery with every inverter, through the life of a house: start, full, empty, hot, silent and back.
#include "battery/registry.hpp"
#include "inverter/registry.hpp"
#include "tests/support/world.hpp"

#include <algorithm>
#include <array>
#include <deque>

using namespace batgw;
using namespace batgw::test;

namespace {

bool listed(std::span<const TxRule> rules, std::uint32_t id, bool extended, std::uint8_t len)
{
    return std::any_of(
        rules.begin(), rules.end(), [&](const TxRule& r) { return r.id == id && r.extended == extended && r.len == len; });
}

// What the battery allows by itself, as a current; where it states nothing, what the configuration allows.
Current allowed(const World& w, Direction direction)
{
    const bool charge = direction == Direction::charge;
    const BatteryState& b = w.bridge.battery();
    const auto stated = (charge ? b.charge_limit_current : b.discharge_limit_current).last();
    if (stated) return *stated;
    const Power ceiling = charge ? w.config.battery.max_charge : w.config.battery.max_discharge;
    const auto power = (charge ? b.charge_limit : b.discharge_limit).last().value_or(ceiling);
    const auto voltage = b.voltage.last();
    return voltage ? (std::min(power, ceiling) / *voltage).value_or(Current{}) : Current{};
}

// Runs the world and looks at every step at what must never be.
class Watched {
public:
    Watched(const BatteryDriverInfo& battery, const InverterDriverInfo& inverter, const WorldOptions& options)
        : w{options},
          battery_{battery},
          inverter_{inverter}
    {}
    void run(Duration time)
    {
        for (const Instant end = w.now + time; w.now < end;) step();
    }
    bool run_until(const std::function<bool()>& condition, Duration limit)
    {
        for (const Instant end = w.now + limit; w.now < end; step())
            if (condition()) return true;
        return condition();
    }
    bool flows() const { return World::settled(w.verdict().charge) && World::settled(w.verdict().discharge); }

    World w;

private:
    void step()
    {
        w.run(100ms);
        for (std::size_t i = 0; i < 2; ++i) {
            const Direction d = i == 0 ? Direction::charge : Direction::discharge;
            auto& recent = recent_[i];
            recent.push_back(allowed(w, d));
            // What was judged and encoded within this step saw the state of its beginning or of its end.
            if (recent.size() > 3) recent.pop_front();
            const auto& told = i == 0 ? w.bridge.inverter().sent_charge_limit : w.bridge.inverter().sent_discharge_limit;
            if (!told.last() || told.samples() == seen_[i]) continue;
            seen_[i] = told.samples();
            const Current most = *std::max_element(recent.begin(), recent.end());
            if (*told.last() > most)
                FAIL_CHECK("told ", told.last()->milli(), " mA, allowed ", most.milli(), " mA, ", to_string(d));
        }
        for (const Seen& s : w.sent) {
            const auto rules = s.side == Side::battery ? battery_.sends : inverter_.sends;
            if (!listed(rules, s.frame.id, s.frame.extended, s.frame.len)) FAIL_CHECK("sent ", s.frame.id);
        }
        for (const Written& t : w.written)
            if (!listed(battery_.sends, t.telegram.id, false, t.telegram.len)) FAIL_CHECK("wrote ", t.telegram.id);
        w.sent.clear();
        w.written.clear();
    }

    const BatteryDriverInfo& battery_;
    const InverterDriverInfo& inverter_;
    std::array<std::deque<Current>, 2> recent_;
    std::array<std::uint32_t, 2> seen_{};
};

// Until zero limits are told after the battery fell silent: the age at which a signal is missed whose loss is not ramped, and the
// slowest beat of an inverter protocol.
Duration silence_bound(const World& w, const BatteryDriverInfo& battery)
{
    return age_limits(w.config.safety, battery.profile)[SignalId::voltage] + 2100ms;
}

void live(const BatteryDriverInfo& battery, const InverterDriverInfo& inverter)
{
    CAPTURE(battery.name);
    CAPTURE(inverter.name);
    WorldOptions options = usual_house(battery, inverter.name);
    options.pack.temperature = 40_degC;
    Watched house{battery, inverter, options};
    World& w = house.w;
    const auto told_charge = [&] { return w.bridge.inverter().sent_charge_limit.last().value_or(Current{}); };
    const auto told_discharge = [&] { return w.bridge.inverter().sent_discharge_limit.last().value_or(Current{}); };
    const auto warm = [&](int celsius) {
        w.pack->command("temp " + std::to_string(celsius));
        house.run(70s);
    };
    w.inverter->set_wish(Power{});
    REQUIRE(house.run_until([&] { return house.flows(); }, 180s));
    w.inverter->set_wish(2_kW);
    house.run(20s);
    CHECK(told_charge() > Current{});
    CHECK(told_discharge() > Current{});
    CHECK(w.pack->current() > Current{});

    REQUIRE(w.pack->command("soc 100").starts_with("ok"));  // full
    CHECK(house.run_until([&] { return told_charge() == Current{}; }, 30s));
    CHECK(told_discharge() > Current{});
    house.run(5s);
    CHECK(w.pack->current() <= 1_A);

    REQUIRE(w.pack->command("soc 5").starts_with("ok"));  // empty
    w.inverter->set_wish(-2_kW);
    CHECK(house.run_until([&] { return told_discharge() == Current{}; }, 30s));
    CHECK(house.run_until([&] { return told_charge() > Current{}; }, 120s));
    house.run(5s);
    CHECK(w.pack->current() >= -1_A);

    w.pack->command("soc 50");
    w.inverter->set_wish(-1_kW);
    CHECK(house.run_until([&] { return house.flows(); }, 120s));
    for (const int celsius : {44, 48, 52, 56}) warm(celsius);  // hot
    CHECK(told_charge() == Current{});
    CHECK(told_discharge() == Current{});
    for (const int celsius : {52, 48, 44, 40}) warm(celsius);
    CHECK(house.run_until([&] { return house.flows(); }, 120s));

    w.pack_cable = false;  // silent
    const Instant silent = w.now;
    CHECK(house.run_until([&] { return told_charge() == Current{} && told_discharge() == Current{}; }, 60s));
    CHECK(w.now - silent <= silence_bound(w, battery));
    house.run(5s);
    w.pack_cable = true;  // and back
    CHECK(house.run_until([&] { return house.flows(); }, 180s));

    Snapshot s;
    w.bridge.fill(s, w.now);
    for (const auto& bus : s.buses) {
        CHECK(bus.traffic.refused == 0);
        CHECK(bus.traffic.heard[static_cast<std::size_t>(Heard::bad_checksum)] == 0);
        // Of a battery that is asked, an answer of before and one of after a jump of the pack's state do not fit each other.
        CHECK(bus.traffic.heard[static_cast<std::size_t>(Heard::implausible)] <= (battery.serial ? 12U : 0U));
    }
    CHECK(w.verdict().worst < FaultClass::block);
    CHECK(w.now - w.start > 10min);
    const sim::InverterReport report = w.inverter->report();
    CHECK(report.identified);
    CHECK(report.served);
    for (const std::string& problem : report.problems) FAIL_CHECK(problem);
}

}  // namespace

TEST_CASE("every battery serves every inverter through ten minutes of full, empty, hot, silent and back")
{
    for (const auto* battery : battery_drivers())
        for (const auto* inverter : inverter_drivers()) live(*battery, *inverter);
}
