// A reading that jumps faster than physics is not believed before it has been seen three times (SAFE-026).
#pragma once

#include "model/reading.hpp"
#include "model/time.hpp"
#include "model/units.hpp"

#include <cstdint>
#include <optional>

namespace batgw {

template <class Q>
class Believed {
public:
    struct Rule {
        typename Q::Difference most;  // more than this from one sample to the next ...
        Duration within = for_ever;   // ... that come so soon after each other
    };

    // Looks at the newest sample of `reading`, which must be within its range.
    void look(const Reading<Q>& reading, const Rule& rule)
    {
        const auto value = reading.last();
        if (!value || reading.samples() == seen_) return;
        seen_ = reading.samples();
        const Instant at = reading.at();
        const bool first = !value_ || (!suspect_ && at - at_ > reading.max_age());
        if (first || !jumps(*value_, at_, *value, at, rule)) return believe(*value, at);
        if (!suspect_ || jumps(*suspect_, suspect_at_, *value, at, rule)) count_ = 0;
        suspect_ = value;
        suspect_at_ = at;
        if (++count_ >= samples_to_believe) believe(*value, at);
    }

    std::optional<Q> value() const { return value_; }
    std::optional<Q> suspect() const { return suspect_; }
    Instant at() const { return at_; }                  // when it was received
    std::uint32_t samples() const { return samples_; }  // distinct ones that were believed
    // While only a suspect one comes, the old one ages.
    bool outlived(Duration max_age, Instant now) const { return suspect_ && now - at_ > max_age; }

    static constexpr unsigned samples_to_believe = 3;

private:
    static bool jumps(Q from, Instant from_at, Q to, Instant to_at, const Rule& rule)
    {
        return magnitude(to - from) > rule.most && to_at - from_at <= rule.within;
    }
    void believe(Q value, Instant at)
    {
        value_ = value;
        at_ = at;
        ++samples_;
        suspect_.reset();
    }

    std::optional<Q> value_, suspect_;
    Instant at_{}, suspect_at_{};
    std::uint32_t samples_ = 0, seen_ = 0;
    unsigned count_ = 0;  // of suspect ones in agreement
};

}  // namespace batgw
