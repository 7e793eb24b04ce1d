// Which way a Daly board counts its current. Boards exist that count discharge upwards and others that count it downwards, and no
// document tells which; 0x93 says in words whether it charges or discharges.
#pragma once

#include "model/time.hpp"
#include "model/units.hpp"

#include <cstdint>
#include <optional>
#include <string_view>

namespace batgw::daly {

enum class Sign : std::uint8_t { undecided, discharge_positive, charge_positive };

class CurrentSign {
public:
    // `option`: discharge_positive, charge_positive or auto.
    explicit CurrentSign(std::string_view option);

    // The current in our sense; empty while undecided.
    std::optional<Current> apply(Current wire) const;
    // A current as it came, then what 0x93 says: 0 idle, 1 charging, 2 discharging.
    void on_current(Current wire, Instant at);
    void on_flow(std::int64_t way, Instant at);

    Sign sign() const { return sign_; }
    bool is_auto() const { return auto_; }
    // Five polls in a row said the other thing. Never changes the sign by itself.
    bool contradicted() const { return contradicted_; }

    static constexpr Current least = Current::from_milli(1000);  // smaller ones say nothing
    static constexpr Current least_to_decide = Current::from_milli(2000);
    static constexpr unsigned polls_to_contradict = 5, polls_to_decide = 3;
    static constexpr Duration belongs_together = 1500ms;  // of the two answers

private:
    void decide(Sign seen, Current wire);

    bool auto_;
    Sign sign_;
    std::optional<Current> wire_;
    Instant wire_at_{};
    bool contradicted_ = false;
    unsigned against_ = 0, in_favour_ = 0;
    Sign candidate_ = Sign::undecided;
    unsigned votes_ = 0;
};

}  // namespace batgw::daly
