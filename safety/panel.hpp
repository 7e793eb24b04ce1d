// The judges of a house: one for each pack, with its own signals, faults and contactors (SAFE-280), and what they offer together.
// One pack, the normal case: its judge's verdict is the house's, nothing in between.
#pragma once

#include "model/battery_state.hpp"
#include "model/command.hpp"
#include "model/config.hpp"
#include "model/snapshot.hpp"
#include "safety/aggregate.hpp"
#include "safety/judge.hpp"
#include "safety/parallel.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace batgw {

// What a pack's judge needs for itself; the rest of JudgeInputs is the same for all.
struct PanelPack {
    PackInputs inputs;
    BusInputs bus;
};

class Panel {
public:
    // One setup for each pack, packs_max at most; the safety configuration is the same for all.
    explicit Panel(std::span<const JudgeSetup> setups);

    // As Judge::evaluate(). `in.packs`, `in.battery_bus` and `in.beside` are filled here.
    const Verdict& evaluate(const JudgeInputs& in, std::span<const PanelPack> packs, Instant now);
    // What the inverter is told.
    const Verdict& verdict() const { return several() ? together_.verdict() : judges_[0].verdict(); }
    // The battery that the inverter is shown, of several packs.
    const BatteryState& battery() const { return battery_; }
    std::size_t size() const { return judges_.size(); }
    bool several() const { return judges_.size() > 1; }
    const Verdict& pack(std::size_t i) const { return judges_[i].verdict(); }
    // The verdict with what is wrong with packs that take no part: for people, not for the inverter.
    void fill_house(Verdict& house) const;
    Instant next_evaluation() const;

    // Of several open packs the first that may closes, then the others one by one: a request is kept by all.
    bool request_close(Instant now);
    void reconfigure(const SafetyConfig& safety, std::span<const BatteryConfig* const> batteries, Instant now);
    ContactorMode contactor_mode() const { return judges_[0].contactor_mode(); }
    bool observing() const { return judges_[0].observing(); }
    // A battery's latch is its own; every judge holds those of the inverter and of the gateway.
    void restore(const ActiveFault& latched);
    void report(const ActiveFault& found);
    // Openings under load of earlier runs, counted for all packs together.
    void restore_wear(unsigned openings) { judges_[0].restore_wear(openings); }
    ResetOutcome reset(const ResetRequest& request, Instant now);

    void note(EventType type, std::string_view text, Instant now) { judges_[0].note(type, text, now); }
    // As Judge::events_since(); of several packs what each judge tells, once.
    template <class F>
    void events_since(std::uint64_t number, F&& each) const
    {
        if (!several()) return judges_[0].events_since(number, std::forward<F>(each));
        for (std::uint64_t n = Judge::first_kept(number, event_count_); n < event_count_; ++n) each(events_[n % events_.size()]);
    }
    std::uint64_t transitions() const { return transitions_; }

private:
    ParallelPacks look_at(std::span<const PanelPack> packs) const;
    Beside::Together together(std::span<const ParallelPack> packs, Instant now) const;
    static InverterState left_for(
        std::size_t pack, const InverterState& inverter, std::span<const ParallelPack> packs, Instant now);
    void evaluate_several(const JudgeInputs& in, std::span<const PanelPack> packs, Instant now);
    void gather_events(GatewayState before, Instant now);

    struct Ceilings {
        Power charge, discharge;
    };
    SafetyConfig config_;
    std::vector<Judge> judges_;
    std::array<Ceilings, packs_max> ceilings_{};
    ParallelWatch watch_;
    Aggregate together_;
    BatteryState battery_;
    std::vector<Event> events_;  // of several packs
    std::array<std::uint64_t, packs_max> told_{};
    std::uint64_t event_count_ = 0;
    std::uint64_t transitions_ = 0;
};

}  // namespace batgw
