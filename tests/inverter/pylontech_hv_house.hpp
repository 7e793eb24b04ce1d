// A Pylontech high-voltage driver alone in virtual time, and the inverter that asks it.
#pragma once

#include "tests/inverter/hvs_house.hpp"

namespace batgw::test {

class HvHouse : public House {
public:
    explicit HvHouse(const Changes& changes = {}) : House{changes, "pylontech-hv"}
    {
        for (const auto& [name, value] : changes)
            if (name == "address") address = static_cast<std::uint32_t>(std::get<std::int64_t>(value));
        battery.cell_voltage_max.set(3352_mV, now);  // made up
        battery.cell_voltage_min.set(3318_mV, now);
        battery.cell_max_number.set(17_count, now);
        battery.cell_min_number.set(88_count, now);
    }
    // The answer to a question: what was sent until a while after it.
    std::vector<std::string> ask_ensemble() { return ask("00004200#0000000000000000"); }
    std::vector<std::string> ask_equipment() { return ask("00004200#0200000000000000"); }
    std::vector<std::string> ask(std::string_view question, Duration wait = 300ms)
    {
        sent.clear();
        hear(question);
        run(wait);
        return texts();
    }
    // The data of one frame of the newest ensemble or equipment answer: "D6.0D ..." without dots. `id`: of address 0.
    std::string told(std::uint32_t id) const
    {
        const std::string all = last(id + address);
        const auto hash = all.find('#');
        return hash == std::string::npos ? all : all.substr(hash + 1);
    }
    // An inverter that asks once a second.
    void run_asked(Duration time)
    {
        const Instant end = now + time;
        while (now < end) {
            hear("00004200#0000000000000000");
            run(std::min<Duration>(1s, end - now));
        }
    }
    // Asked, everything fresh, limits running; `sent` empty.
    void start_running(Current charge = 25_A, Current discharge = 30_A)
    {
        verdict.battery_valid = verdict.battery_link = verdict.ready = true;
        verdict.state = GatewayState::run;
        grant(charge, discharge);
        run_asked(8s);
        REQUIRE(state().phase == InverterPhase::run);
        sent.clear();
    }
    // Until one more frame of this id went out; of an inverter that is told unasked.
    void run_until_sent(std::uint32_t id)
    {
        const auto before = times(id).size();
        for (int i = 0; i < 1000 && times(id).size() == before; ++i) run(10ms);
    }
    void report(const ActiveFault& fault)
    {
        verdict.faults.clear();
        verdict.faults.push_back(fault);
        verdict.worst = fault.level;
        judge();
    }

    std::uint32_t address = 0;
};

}  // namespace batgw::test
