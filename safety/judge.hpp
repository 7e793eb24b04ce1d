// The one place that decides: grants, faults, gateway state, contactor permission (SAFE-001). Pure: no I/O, clock or allocation
// in evaluate(); the same inputs in the same order give the same verdicts (SAFE-002). A judge is a value and can be copied.
#pragma once

#include "model/battery_state.hpp"
#include "model/bus_status.hpp"
#include "model/command.hpp"
#include "model/config.hpp"
#include "model/driver.hpp"
#include "model/inverter_state.hpp"
#include "model/snapshot.hpp"
#include "model/verdict.hpp"
#include "safety/bus_health.hpp"
#include "safety/contactors.hpp"
#include "safety/cross_checks.hpp"
#include "safety/escalation.hpp"
#include "safety/fault_table.hpp"
#include "safety/frozen.hpp"
#include "safety/gpio_contactors.hpp"
#include "safety/grants.hpp"
#include "safety/heartbeat.hpp"
#include "safety/invariants.hpp"
#include "safety/latch_reset.hpp"
#include "safety/limits.hpp"
#include "safety/links.hpp"
#include "safety/over_limit.hpp"
#include "safety/signals.hpp"
#include "safety/stop_methods.hpp"
#include "safety/weld_check.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace batgw {

struct JudgeSetup {
    const SafetyConfig& safety;
    const BatteryConfig& battery;
    BatteryProfile profile;
    std::string_view battery_name;  // of the driver, for UNVERIFIED_DRIVER
    Verification inverter_verified = Verification::none;
    std::string_view inverter_name;
    Instant start{};
    std::uint8_t battery_number = 0;  // of several, from 1; 0: the only one
};
// Observe mode, configured or because a driver is not verified as required (SAFE-244, SAFE-308).
bool must_observe(const JudgeSetup& setup);

// One pack, as its driver knows it.
struct PackInputs {
    const BatteryState& state;
    PackFacts facts;
};

// What the judge of one of several packs is told of the packs beside its own (SAFE-281). The default: there are none.
struct Beside {
    bool may_join = true;                    // the pack may be closed onto what the others hold
    FaultClass mismatch = FaultClass::none;  // its voltage is not that of the others: WARN; BLOCK: it is to be opened
    Voltage difference{}, allowed{};         // then
    struct Together {
        Sample<Current> current;    // of all packs; none when that of one is not known
        Current charge, discharge;  // what the inverter was last told, magnitudes
    };
    std::optional<Together> together;
};

struct BusInputs {
    const BusStatus* status = nullptr;
    const TrafficCounters* traffic = nullptr;
    TxHealth tx{};               // of the bus's TxPort
    bool second_sender = false;  // all messages come twice as often as they should (SAFE-185)
};

// Warnings from outside the core (JudgeInputs::outside_warnings).
namespace outside_warning {
inline constexpr unsigned tls_unverified = 1, state_not_kept = 2, retained_command = 4;
}  // namespace outside_warning

// The default is an empty house: it is judged, and nothing is granted (SAFE-003).
struct JudgeInputs {
    std::span<const PackInputs> packs{};  // none or one: of several packs each has a judge (safety/panel.hpp)
    const InverterState* inverter = nullptr;
    Beside beside{};
    BusInputs battery_bus, inverter_bus;
    const ContactorLines* lines = nullptr;  // in `gpio` mode; null: not held
    OperatorState operator_{};
    bool stop_requested = false;
    bool stop_now = false;     // asked for again: no more waiting (SAFE-217)
    bool clock_valid = false;  // the wall clock is set; shown, never used (SAFE-233)
    unsigned outside_warnings = 0;
    std::optional<Instant> stale_until;  // the machine was suspended: what came until then is out of date (SAFE-231)
};

class Judge {
public:
    explicit Judge(const JudgeSetup& setup);

    // At least every 100 ms, and at once after anything came in (SAFE-004). `now` never goes back. A verdict that is `broken` is
    // the last one (SAFE-219).
    const Verdict& evaluate(const JudgeInputs& in, Instant now);
    const Verdict& verdict() const { return verdict_; }
    // When to evaluate again at the latest (SAFE-004, SAFE-140, SAFE-213).
    Instant next_evaluation() const;

    // An operator asks for closed contactors. False: not now, and it is not kept (SAFE-142).
    bool request_close(Instant now);
    // New limits: tighter ones act in the next evaluation, looser ones through the ramp (SAFE-241). What may not change live is
    // kept.
    void reconfigure(const SafetyConfig& safety, const BatteryConfig& battery, Instant now);
    ContactorMode contactor_mode() const { return config_.contactors.mode; }
    bool observing() const { return observing_; }

    // Before the first evaluation. What an earlier run had latched (SAFE-046): it holds as if it had never ended.
    void restore(const ActiveFault& latched);
    // How often the contactors had opened under load (SAFE-154).
    void restore_wear(unsigned openings) { contactors_.restore_wear(openings); }
    // What was found wrong at start, to be judged with the first evaluation.
    void report(const ActiveFault& found) { faults_.report(found); }
    // An operator's reset of what is latched (SAFE-045). Acts with the next evaluation; closes nothing.
    ResetOutcome reset(const ResetRequest& request, Instant now);

    // What others saw happen, into the same ring: commands, start, stop.
    void note(EventType type, std::string_view text, Instant now, std::string_view from = {}, std::string_view to = {});
    // Calls `each` with every event after `number`, oldest first, as far as they are still there.
    template <class F>
    void events_since(std::uint64_t number, F&& each) const
    {
        for (std::uint64_t n = first_kept(number, event_count_); n < event_count_; ++n) each(events_[n % events_.size()]);
    }
    std::uint64_t last_event() const { return event_count_; }
    // Of `count` events, counted from 0, the first after `number` of them that a ring still has.
    static std::uint64_t first_kept(std::uint64_t number, std::uint64_t count);
    // Counts what has to be published at once: events, and grants that went to or from zero (MQTT-033).
    std::uint64_t transitions() const { return transitions_; }
    // How often the evaluation came more than `stall_warn` late (SAFE-004).
    std::uint64_t stalls() const { return stalls_; }

    static constexpr std::size_t event_capacity = 256;  // SAFE-047
    static constexpr Duration stall_over = 5s;
    static constexpr Duration contactor_tick = 10ms;  // SAFE-140
    static constexpr Duration link_age = 1s;          // SAFE-021, class ceiling: of an inverter nobody knows the period of
    // SAFE-217: 25 s, less the time until the next evaluation.
    static constexpr Duration stop_limit = 24900ms, stop_zero_frames = 1s;
    static constexpr Duration silence_after = 30s;  // SAFE-112
    static constexpr Duration mismatch_hold = 60s;  // of PACK_MISMATCH

private:
    // What of a battery's configuration is judged.
    struct PackRules {
        Power max_charge, max_discharge;
        std::optional<unsigned> cells;
        std::optional<Energy> capacity;
        std::optional<Voltage> voltage_max, voltage_min;
    };
    static PackRules rules_of(const BatteryConfig& battery);

    // What the steps of one evaluation tell each other.
    struct Round {
        const JudgeInputs& in;
        const PackInputs* pack = nullptr;
        Instant now{};
        std::optional<unsigned> cells;
        PackVoltageLimits::Window window;
        SignalWatch::Result signals;
        BatteryLink::Result battery_link;
        InverterLink::Result inverter_link;
        BlackStart::Result black_start;
        BusHealth::Result battery_bus, inverter_bus;
        Fractions cell, deviation, temperature, soc;
        ContactorOutput contactors;
        bool closed = false, open = false;  // proven by fresh feedback
        bool identity_known = false, inverter_present = false;
    };
    // One direction's grant over time: without the operator, and with.
    struct Ramps {
        GrantRamp natural, commanded;
    };
    // Of the last verdict, to tell what changed.
    struct Before {
        GatewayState state;
        ContactorState contactors;
        Waiting waiting;
        bool battery_link, inverter_link, charges, discharges;
    };
    static Before summary(const Verdict& verdict);

    void watch_cadence(Instant now);
    void report_gateway(const JudgeInputs& in);
    bool remembered(const ActiveFault& fault, bool seen_now) const;
    Evidence evidence(const Round& r) const;
    void report_if(bool there, const ActiveFault& fault, Duration hold = {});
    void judge_buses(Round& r);
    void judge_pack(Round& r);
    void compare_with_others(const Round& r);
    void judge_links(Round& r);
    void judge_contactors(Round& r);
    bool gpio() const { return !observing_ && config_.contactors.mode == ContactorMode::gpio; }
    BoxMeasurements measured_around_contactors(const Round& r) const;
    void look_at_lines(const Round& r);
    void watch_open_pack(const Round& r);
    void beat(Round& r);
    OpenCause open_causes(const Round& r, const FaultEffect& effect) const;
    void follow_start(Round& r);
    void grant(const Round& r);
    Ceiling natural_limit(const Round& r, Direction direction) const;
    Ceiling commanded_limit(const Round& r, Direction direction, Ceiling limit) const;
    Offer offer(const Round& r, Direction direction) const;
    Grant grant_one(const Round& r, Direction direction, Ramps& ramps) const;
    void watch_inverter(const Round& r);
    void stop_inverter(const StopMethods::Input& in, Instant now);
    void set_voltages(const Round& r);
    void set_flags(const Round& r);
    void follow_stop(const Round& r);
    void check(InvariantInput& in, const Round& r);
    GatewayState state_now(const Round& r) const;
    Waiting waiting_now(const Round& r) const;
    void tell_changes(const Before& before, const Round& r);
    Event& add_event(EventType type, Instant now);
    std::optional<Voltage> voltage_for_power(const Round& r) const;

    SafetyConfig config_;
    PackRules rules_;
    BatteryProfile profile_;
    Text<24> battery_name_, inverter_name_;
    Verification inverter_verified_;
    Instant start_;
    bool observing_;

    FaultTable faults_;
    Escalation escalation_;
    SignalWatch signals_;
    CellLimits cell_;
    DeviationLimits deviation_;
    PackVoltageLimits pack_voltage_;
    TemperatureLimits temperature_;
    SocLimits soc_;
    CurrentLimits current_;
    ReportedLimits reported_;
    CrossChecks cross_;
    IdentityWatch identity_;
    OverLimit over_limit_;
    FrozenWatch frozen_;
    BusHealth battery_bus_{Device::battery}, inverter_bus_{Device::inverter};
    BatteryLink battery_link_;
    InverterLink inverter_link_;
    BlackStart black_start_;
    ContactorMachine contactors_;
    GpioContactors gpio_;
    FollowsPack follows_pack_;
    Heartbeat heartbeat_;
    Ramps charge_ramps_, discharge_ramps_;

    bool judged_ = false;
    Instant last_{};
    FaultClass stall_ = FaultClass::none;
    Instant stalled_at_{};
    std::uint64_t stalls_ = 0;

    Held data_valid_;             // required signals fresh, without a break
    bool battery_ready_ = false;  // start_valid has run once (SAFE-250 (5))
    bool started_ = false;        // SAFE-250 (9) is done
    Held zero_for_fault_;         // SAFE-112
    Held open_ordered_;
    StopMethods stop_methods_;
    std::optional<Instant> stop_since_;
    Held stop_done_;

    Verdict verdict_;
    std::array<Event, event_capacity> events_{};
    std::uint64_t event_count_ = 0;
    std::uint64_t transitions_ = 0;
    bool is_open_ = false;  // contactors, proven, in the last evaluation
    PackSamples samples_;   // of the last evaluation, for events
};

}  // namespace batgw
