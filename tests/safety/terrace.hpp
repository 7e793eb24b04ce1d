// Packs side by side on one inverter, all made up, each with a driver of its own as far as contactors go, and the judges over
// them. Nothing here is a driver: the test moves the packs, the panel judges.
#pragma once

#include "safety/panel.hpp"
#include "tests/safety/house.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <deque>
#include <functional>
#include <string_view>
#include <vector>

namespace batgw::test {

// A pack that closes and opens as it is told, in its time; its voltage and current are the test's.
struct TerracePack {
    House house;  // its readings; the judge and the inverter in it are not used
    bool obeys = true, silent = false;
    Instant moved{};

    void act(ContactorOrder order, Instant now)
    {
        BatteryState& s = house.state;
        const ContactorPhase before = s.phase;
        if (!obeys) return;
        if (order == ContactorOrder::close && s.phase == ContactorPhase::open) {
            s.phase = ContactorPhase::closing;
            house.contactor = ContactorFeedback::precharging;
        } else if (s.phase == ContactorPhase::closing && order != ContactorOrder::close) {
            s.phase = ContactorPhase::open;
            house.contactor = ContactorFeedback::open;
        } else if (s.phase == ContactorPhase::closing && now - moved >= 1200ms) {
            s.phase = ContactorPhase::closed;
            house.contactor = ContactorFeedback::closed;
        } else if (order == ContactorOrder::open && s.phase == ContactorPhase::closed) {
            s.phase = ContactorPhase::opening;
        } else if (s.phase == ContactorPhase::opening && now - moved >= 1600ms) {
            s.phase = ContactorPhase::open;
            house.contactor = ContactorFeedback::open;
        }
        if (s.phase != before) moved = now;
    }
};

class Terrace {
public:
    explicit Terrace(std::size_t count)
    {
        packs.resize(count);
        for (TerracePack& p : packs) {
            p.house.profile.contactor_mode = ContactorMode::bms_command;
            p.house.safety.contactors.mode = ContactorMode::bms_command;
            p.house.contactor = ContactorFeedback::open;
            p.house.state.phase = ContactorPhase::open;
        }
        inputs.clock_valid = true;
        inputs.operator_.max_charge = inputs.operator_.max_discharge = 10_kW * static_cast<std::int64_t>(count);
        inputs.operator_.charge_limit_default = inputs.operator_.discharge_limit_default = true;
        inverter_bus.state = BusState::active;
        inverter_bus.tried = true;
        inverter_bus.name.assign("can1");
    }

    std::deque<TerracePack> packs;  // change what is set at start before the first step
    InverterState inverter;
    bool inverter_speaks = true;
    BusStatus inverter_bus;
    TrafficCounters inverter_traffic;
    JudgeInputs inputs;
    std::optional<Panel> made;
    Instant start{std::chrono::hours{5} + 4321us};
    Instant now = start;
    std::vector<Event> events;

    Panel& panel()
    {
        if (made) return *made;
        std::vector<JudgeSetup> setups;
        for (TerracePack& p : packs) {
            p.house.safety = packs[0].house.safety;  // the same for all
            p.house.start = p.house.now = start;
            p.house.state.set_ages(age_limits(p.house.safety, p.house.profile));
            setups.push_back(p.house.setup());
            setups.back().battery_number = static_cast<std::uint8_t>(packs.size() > 1 ? setups.size() : 0);
        }
        made.emplace(setups);
        return *made;
    }
    const Verdict& whole() { return panel().verdict(); }
    const Verdict& pack(std::size_t i) { return panel().pack(i); }
    House& house(std::size_t i) { return packs[i].house; }

    const Verdict& step(Duration time = 100ms)
    {
        panel();
        now += time;
        if (inverter_speaks) {
            inverter.heard = now;
            inverter.phase = InverterPhase::run;
        }
        std::vector<PanelPack> all;
        for (std::size_t i = 0; i < packs.size(); ++i) {
            House& h = packs[i].house;
            h.now = now;
            packs[i].act(panel().pack(i).contactors.order, now);
            if (!packs[i].silent) h.speak();
            all.push_back({{.state = h.state, .facts = h.facts}, {&h.battery_bus, &h.battery_traffic, h.battery_tx}});
        }
        inputs.inverter = &inverter;
        inputs.inverter_bus = {&inverter_bus, &inverter_traffic, {.ever_sent = true}};
        const Verdict& v = panel().evaluate(inputs, all, now);
        panel().events_since(events.empty() ? 0 : events.back().number, [&](const Event& e) { events.push_back(e); });
        panel().fill_house(everything);
        return v;
    }
    void run(Duration time)
    {
        for (const Instant end = now + time; now < end;) step(std::min(Duration{100ms}, end - now));
    }
    Duration time_until(const std::function<bool()>& condition, Duration limit)
    {
        const Instant from = now;
        while (!condition() && now - from < limit) step();
        return now - from;
    }
    bool joined(std::size_t i) { return connection(pack(i)) == Connection::joined; }
    bool apart(std::size_t i) { return connection(pack(i)) == Connection::apart; }
    // All packs closed and full limits offered.
    Terrace& up()
    {
        run(120s);
        return *this;
    }
    static const ActiveFault* find(const Verdict& v, FaultId id)
    {
        for (const ActiveFault& f : v.faults)
            if (f.id == id) return &f;
        return nullptr;
    }
    // Both directions in whole watts.
    std::pair<std::int64_t, std::int64_t> watts()
    {
        return {whole().charge.power().milli() / 1000, whole().discharge.power().milli() / 1000};
    }

    Verdict everything;  // as people are shown it
};

}  // namespace batgw::test
