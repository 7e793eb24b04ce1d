// The DC side of two simulated packs in parallel, as one pack for a plant. Their buses are driven by whoever holds them.
#pragma once

#include "sim/simulator.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace batgw::test {

class ParallelPacks final : public sim::SimulatedBattery {
public:
    ParallelPacks(sim::SimulatedBattery& first, sim::SimulatedBattery& second) : packs_{&first, &second} {}

    Instant on_tick(Instant now, Outbox&) override { return now + 1s; }
    std::string command(std::string_view) override { return "error: ask the packs"; }
    std::string status() const override { return {}; }

    sim::Connection connection() const override { return std::max(packs_[0]->connection(), packs_[1]->connection()); }
    Voltage pack_voltage() const override
    {
        Voltage sum{};
        std::int64_t n = 0;
        for (const auto* p : packs_)
            if (p->connection() == connection()) {
                sum = sum + p->pack_voltage();
                ++n;
            }
        return sum / std::max<std::int64_t>(n, 1);
    }
    // Equal parts, and what the difference of their voltages drives round.
    void set_current(Current current) override
    {
        std::int64_t closed = 0;
        for (const auto* p : packs_) closed += p->connection() == sim::Connection::closed ? 1 : 0;
        const Voltage mean = pack_voltage();
        for (auto* p : packs_) {
            const bool in = p->connection() == sim::Connection::closed;
            const Current part = in ? current / closed : Current{};
            const Current round = in ? Current::from_milli((mean - p->pack_voltage()).milli() * amperes_per_volt) : Current{};
            p->set_current(part + round);
        }
    }
    Current current() const override { return packs_[0]->current() + packs_[1]->current(); }
    void set_output_voltage(Voltage voltage) override
    {
        for (auto* p : packs_) p->set_output_voltage(voltage);
    }
    Voltage output_voltage() const override { return packs_[0]->output_voltage(); }
    Percent true_soc() const override { return (packs_[0]->true_soc() + packs_[1]->true_soc()) / 2; }

    static constexpr std::int64_t amperes_per_volt = 5;  // ours: a little less than wires and cells would let through

private:
    std::array<sim::SimulatedBattery*, 2> packs_;
};

}  // namespace batgw::test
