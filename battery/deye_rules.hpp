// Two small judgements about what a Deye pack says: which profile it speaks, and which of its limits to believe.
#pragma once

#include "model/can_frame.hpp"
#include "model/time.hpp"
#include "model/units.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>

namespace batgw::deye {

// What a frame says about the profile. The current of 0x356 has opposite signs in the two.
enum class Profile : std::uint8_t { native, victron };

// Believed after two frames running of one kind while the other has been quiet for a while. In between, and when nothing tells
// any more, the profile is not known.
class ProfileWatch {
public:
    void hear(Profile kind, Instant at)
    {
        run_ = kind == newest_ ? std::min(run_ + 1, 2U) : 1;
        newest_ = kind;
        heard_[index(kind)] = at;
    }
    std::optional<Profile> known(Instant at) const
    {
        if (run_ < 2) return std::nullopt;
        const auto other = heard_[1 - index(newest_)];
        if (other && at - *other < quiet) return std::nullopt;
        if (at - *heard_[index(newest_)] > forgotten) return std::nullopt;
        return newest_;
    }

    static constexpr Duration quiet = 750ms, forgotten = 5s;

private:
    static constexpr std::size_t index(Profile p) { return static_cast<std::size_t>(p); }
    Profile newest_ = Profile::native;
    unsigned run_ = 0;
    std::array<std::optional<Instant>, 2> heard_{};
};

// One frame's word on one limit. A lower one counts at once, a higher one when a second frame agrees: packs that are full have
// been seen to offer a large charge current for one second.
class DeclaredLimit {
public:
    void hear(Current value, Instant at)
    {
        if (!heard(at)) value_ = higher_ = std::nullopt;  // what was believed long ago backs nothing
        at_ = at;
        if (value <= value_.value_or(Current{})) {
            value_ = value;
            higher_.reset();
            return;
        }
        if (higher_) value_ = std::min(*higher_, value);
        higher_ = value;
    }
    void forget() { *this = DeclaredLimit{}; }
    // Not longer ago than an age limit.
    bool heard(Instant now) const { return at_ && now - *at_ <= max_age; }
    std::optional<Current> value() const { return value_; }
    Instant at() const { return at_.value_or(Instant{}); }
    bool ever() const { return at_.has_value(); }

    static constexpr Duration max_age = 5s;

private:
    std::optional<Current> value_, higher_;
    std::optional<Instant> at_;
};

}  // namespace batgw::deye
