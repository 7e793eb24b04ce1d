// When precharging is done, and when it is hopeless (SAFE-144, SAFE-145, SAFE-147).
#pragma once

#include "model/config.hpp"
#include "model/time.hpp"
#include "model/units.hpp"

#include <cstdint>
#include <optional>
#include <string_view>

namespace batgw {

// What is measured around the contactors; fresh values only, with the time they were received.
struct BoxMeasurements {
    std::optional<Voltage> pack, link;
    Instant link_at{};
    std::optional<Current> current;
    Instant current_at{};
    bool current_is_fast = false;  // measured at least ten times a second
};

class Precharge {
public:
    using Rules = SafetyConfig::Contactors::Precharge;
    enum class Result : std::uint8_t { running, done, failed };

    // The relay has just closed.
    void begin(const BoxMeasurements& m, Instant now);
    Result update(const Rules& rules, const BoxMeasurements& m, Instant now);
    // Of a failed one, for people.
    std::string_view problem() const { return problem_; }

    // How far link and pack may be apart.
    static Voltage match_band(const Rules& rules, Voltage pack);

    static constexpr Percent early_share = 50_pct, early_time = 40_pct, fall = 10_pct;  // SAFE-145
    static constexpr Current quiet_current = Current::from_milli(500);                  // SAFE-144
    static constexpr Duration quiet_time = 100ms;

private:
    // From the first to the newest of an unbroken run of good samples.
    class Run {
    public:
        void add(bool good, Instant at)
        {
            if (!good) return since_.reset();
            if (!since_) since_ = at;
            until_ = at;
        }
        void break_off() { since_.reset(); }
        bool lasted(Duration time) const { return since_ && until_ - *since_ >= time; }

    private:
        std::optional<Instant> since_;
        Instant until_{};
    };
    Result fail(std::string_view why);
    bool quiet(const BoxMeasurements& m) const;

    Instant since_{};
    Run matching_, quiet_;
    Voltage highest_{};
    std::string_view problem_;
};

}  // namespace batgw
