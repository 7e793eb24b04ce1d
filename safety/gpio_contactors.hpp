// Contactors whose coils hang on outputs of ours (`gpio` mode): the sequence that carries out what the contactor machine orders,
// as a battery driver does for a pack of its own (SAFE-140, 143 to 149, 153, 156). Machine and sequence together are the states
// of SAFE-140; the coils follow from the step of this one alone.
#pragma once

#include "model/config.hpp"
#include "model/contactor_lines.hpp"
#include "model/time.hpp"
#include "model/verdict.hpp"
#include "safety/conditions.hpp"
#include "safety/contactors.hpp"
#include "safety/precharge.hpp"
#include "safety/stop_loops.hpp"
#include "safety/weld_check.hpp"

#include <array>
#include <cstdint>
#include <string_view>

namespace batgw {

class GpioContactors {
public:
    enum class Step : std::uint8_t {
        start,      // 0 0 0  INIT: lines not held, or not yet seen open
        open,       // 0 0 0
        negative,   // 1 0 0  NEG_CLOSED
        precharge,  // 1 1 0  PRECHARGE
        overlap,    // 1 1 1  POS_CLOSED
        closed,     // 1 0 1  CLOSED, and OPENING while current flows
        stopping,   // 1 0 1  OPENING out of POS_CLOSED
        opening,    // 1 0 0  OPENING: positive has opened, negative follows
        verify      // 0 0 0  OPEN_VERIFY
    };

    explicit GpioContactors(const SafetyConfig::Contactors& rules) : rules_{rules} {}

    // In this order, once in every evaluation: look, ask the machine, obey.
    void look(const ContactorLines& lines, const BoxMeasurements& measured, Instant now);
    void fill(ContactorInput& in, Instant now) const;
    // `at_once`: without the delay between the contactors (SAFE-155).
    void obey(ContactorOrder order, bool at_once, Instant now);

    // Energised now. The heartbeat is not its business.
    Coils coils(Instant now) const;
    // What is wrong as far as it is seen now.
    Conditions faults() const;
    // To be evaluated every 10 ms.
    bool moving() const;
    Step step() const { return step_; }

    // For tests of what broken memory would do: any value, valid or not.
    void force(Step step) { step_ = step; }

    static constexpr Duration lines_age = 200ms;  // SAFE-021, class floor
    static constexpr Duration full_drive = 1s;    // SAFE-149
    static constexpr Percent link_high = 5_pct;   // SAFE-143
    static constexpr std::int64_t forgets = 4;    // a disagreement is forgotten so many times slower than it grows

private:
    bool off() const { return step_ == Step::start || step_ == Step::open || step_ == Step::verify; }
    bool closing() const { return step_ == Step::negative || step_ == Step::precharge || step_ == Step::overlap; }
    bool carrying() const { return step_ == Step::overlap || step_ == Step::closed || step_ == Step::stopping; }
    bool fresh(Instant now) const { return lines_.held && now - lines_.at <= lines_age; }
    WeldCheck::Contacts contacts(Instant now) const;
    bool agree(Instant now) const;
    bool wired() const;
    void watch_agreement(Instant now);
    void go(Step next, Instant now);
    void fail(std::string_view why, Instant now);
    void advance_closing(Instant now);
    void advance_off(Instant now);

    SafetyConfig::Contactors rules_;
    Step step_ = Step::start;
    Instant since_{};
    bool looked_ = false;
    Instant looked_at_{};
    ContactorLines lines_;
    BoxMeasurements measured_;
    StopLoops loops_;
    Precharge precharge_;
    WeldCheck weld_;
    Duration doubt_{};  // how long outputs and what is read have disagreed, forgotten slowly
    bool wrong_ = false;
    bool broken_ = false;  // a step that does not exist was found
    Instant agreed_since_{};
    unsigned failures_ = 0;
    std::string_view problem_;
};

}  // namespace batgw
