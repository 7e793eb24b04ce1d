// What the judge believes of one pack's readings: validity, age, range, and what their loss takes away (SAFE-020 to SAFE-026,
// SAFE-029).
#pragma once

#include "model/battery_state.hpp"
#include "model/config.hpp"
#include "model/driver.hpp"
#include "model/time.hpp"
#include "safety/believed.hpp"
#include "safety/fault_table.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <string>

namespace batgw {

// SAFE-021: how old each signal of this battery may get.
AgeLimits age_limits(const SafetyConfig& config, const BatteryProfile& profile);
// Why a battery cannot be used: three periods of a signal are more than its class allows. For start-up; empty when all is well.
std::optional<std::string> freshness_refusal(const BatteryProfile& profile);

// One reading at one instant.
template <class Q>
struct Sample {
    std::optional<Q> fresh;    // to be believed now
    std::optional<Q> usable;   // fresh, or the last good value while its loss is being ramped down: limits only, never a fault
    std::optional<Q> suspect;  // newer, but not believed yet (SAFE-026): limits only, beside `usable`
    std::uint32_t samples = 0;
    Instant at{};
};

struct PackSamples {
    Sample<Voltage> voltage, cell_max, cell_min;
    Sample<Current> current;
    Sample<Temperature> temperature_max, temperature_min;
    Sample<Percent> soc;
    Sample<Power> charge_limit, discharge_limit;                    // stated as power
    Sample<Current> charge_limit_current, discharge_limit_current;  // stated as current
};

// SAFE-025: what is beyond these is no reading.
struct PlausibleRange {
    Voltage voltage_min{}, voltage_max = 1000_V;
    std::optional<Power> power_max;  // of |current| times voltage
    std::optional<unsigned> cells;   // of which the pack voltage is made: for cell voltages that are derived (SAFE-029)
};
PlausibleRange plausible_range(const PackFacts& facts, Power max_charge, Power max_discharge);

class SignalWatch {
public:
    // `since`: from when on a signal that never comes is missed.
    explicit SignalWatch(const BatteryProfile& profile) : profile_{profile} {}

    struct Result {
        Direction gone = Direction::none;                      // a needed signal is not there: nothing is granted
        std::optional<Instant> charge_fades, discharge_fades;  // since when the grant ramps down to nothing (SAFE-023)
        bool required_fresh = false;                           // every signal that either direction needs
        Percent most = 100_pct;                                // of the configured maxima, for what is only assumed
        std::optional<Instant> power_lost;                     // since when voltage or current, known before, is not fresh
    };
    // Reports SIG_STALE, SIG_BAD and ASSUMED.
    Result update(
        const BatteryState& battery, const PlausibleRange& range, const SafetyConfig& config, FaultTable& faults, Instant now);
    const PackSamples& samples() const { return samples_; }
    // Nothing received until then is fresh any more, nor faded out slowly (SAFE-231).
    void stale_until(Instant when) { stale_until_ = when; }

    static constexpr Duration short_outage = 10s, recovery_short = 5s, recovery_long = 30s;
    static constexpr Duration bad_hold = 5s;
    static constexpr Percent most_assumed = 25_pct;  // SAFE-029
    static constexpr Duration missing_after = 10s;   // ours: a signal that never came is told after this time of hearing the pack

private:
    // How one signal fares.
    struct Channel {
        Quality quality = Quality::never;
        bool known = false;            // has been fresh
        std::uint8_t good_needed = 0;  // after a value out of range
        std::uint32_t sample = 0;
        bool out = false;    // SIG_STALE or SIG_BAD is there
        bool bad = false;    // the latter
        bool fades = false;  // its loss is ramped
        Instant out_since{};
        Duration outage{};
        Held fresh_again;
    };
    Channel& channel(SignalId id) { return channels_[index(id)]; }
    const Channel& channel(SignalId id) const { return channels_[index(id)]; }
    bool needed(SignalId id, const SafetyConfig& config) const;
    template <class Q>
    Quality quality(const Reading<Q>& reading, Instant now) const;
    static void judge(Channel& c, Quality quality, std::uint32_t samples, bool in_range);
    void judge_all(const BatteryState& battery, const PlausibleRange& range, Instant now);
    void follow(Channel& c, bool measurement, Duration max_age, Instant received, Instant now) const;
    static bool fading(const Channel& c, const SafetyConfig& config, Instant now);
    void follow_all(const BatteryState& battery, Instant now);
    void report(SignalId id, const SafetyConfig& config, FaultTable& faults, Instant now) const;
    template <class Q>
    Sample<Q> sample(SignalId id, const Reading<Q>& reading, const SafetyConfig& config, Instant now) const;
    template <class Q>
    Sample<Q> sample(SignalId id, const Believed<Q>& believed, const SafetyConfig& config, Instant now) const;
    void fill_samples(const BatteryState& battery, const SafetyConfig& config, Instant now);
    bool assumes(SignalId id, const SafetyConfig& config) const;
    void assume_all(const PlausibleRange& range, const SafetyConfig& config);
    void fill_assumed(const SafetyConfig& config, const PlausibleRange& range);
    Percent report_assumed(const SafetyConfig& config, FaultTable& faults) const;

    BatteryProfile profile_;
    std::array<Channel, signal_count> channels_{};
    Believed<Voltage> cell_max_, cell_min_;
    Believed<Temperature> temperature_max_, temperature_min_;
    Believed<Percent> soc_;
    std::optional<Instant> heard_since_, stale_until_;
    PackSamples samples_;
};

}  // namespace batgw
