// A measurement, when it was taken, and whether it can be believed. There is no default value to mistake for one (SAFE-020).
#pragma once

#include "model/time.hpp"

#include <cstdint>
#include <optional>

namespace batgw {

enum class Quality : std::uint8_t { never, fresh, stale, bad, assumed };

template <class T>
class Reading {
public:
    // `max_age`: the reading is fresh while its age is at most this (SAFE-021).
    constexpr Reading() = default;
    constexpr explicit Reading(Duration max_age) : max_age_{max_age} {}

    // A value out of a frame that passed every check. `source`: id of that frame, for people.
    constexpr void set(T value, Instant at, std::uint32_t source = 0)
    {
        value_ = value;
        at_ = at;
        source_ = source;
        ++samples_;
        refusals_ = 0;
        if (good_needed_ > 0) --good_needed_;
    }
    // The frame that carries this reading came, but its checksum, counter or value was wrong. Five in a row make the
    // reading bad at once; ten good ones make it good again (SAFE-024, SAFE-025).
    constexpr void refuse()
    {
        if (refusals_ < refusals_to_bad) ++refusals_;
        if (refusals_ == refusals_to_bad || good_needed_ > 0) good_needed_ = good_to_recover;
    }

    constexpr Quality quality(Instant now) const
    {
        if (good_needed_ > 0) return Quality::bad;
        if (!value_) return Quality::never;
        return age(now) <= max_age_ ? Quality::fresh : Quality::stale;
    }
    constexpr bool is_fresh(Instant now) const { return quality(now) == Quality::fresh; }
    constexpr std::optional<T> fresh(Instant now) const { return is_fresh(now) ? value_ : std::nullopt; }
    // The last good value, however old. For display and "held" values only, never for a decision that grants something.
    constexpr std::optional<T> last() const { return value_; }

    constexpr Duration age(Instant now) const { return !value_ ? for_ever : now > at_ ? now - at_ : Duration{0}; }
    constexpr Instant at() const { return at_; }
    constexpr std::uint32_t samples() const { return samples_; }  // distinct good samples so far (SAFE-041)
    constexpr std::uint32_t source() const { return source_; }
    constexpr Duration max_age() const { return max_age_; }
    constexpr void set_max_age(Duration age) { max_age_ = age; }
    // Forgets the value, as if nothing had ever been received.
    constexpr void forget()
    {
        value_.reset();
        refusals_ = 0;
        good_needed_ = 0;
    }

    static constexpr std::uint8_t refusals_to_bad = 5;
    static constexpr std::uint8_t good_to_recover = 10;

private:
    std::optional<T> value_;
    Instant at_{};
    Duration max_age_ = for_ever;
    std::uint32_t samples_ = 0;
    std::uint32_t source_ = 0;
    std::uint8_t refusals_ = 0;
    std::uint8_t good_needed_ = 0;
};

}  // namespace batgw
