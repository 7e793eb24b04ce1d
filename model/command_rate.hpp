// How many commands are let through: 10 a second averaged over 10 s, in any 10 s (SAFE-193). Commands that only switch off are
// exempt and do not use up the others' room, so that a flood never keeps an OFF out.
#pragma once

#include "model/command.hpp"
#include "model/time.hpp"

#include <array>
#include <cstddef>
#include <cstdint>

namespace batgw {

// Commands that can only take power away: `off`, `0`, `open`, `pause on`.
constexpr bool only_restricts(const Command& c)
{
    switch (c.kind) {
    case CommandKind::charge:
    case CommandKind::discharge:
    case CommandKind::contactor: return !c.on;
    case CommandKind::pause: return c.on;
    case CommandKind::max_charge: return c.charge_power && *c.charge_power == Power{};
    case CommandKind::max_discharge: return c.discharge_power && *c.discharge_power == Power{};
    case CommandKind::limits:
    case CommandKind::ping:
    case CommandKind::reset:
    case CommandKind::capture: break;
    }
    return false;
}

class CommandRate {
public:
    enum class Answer : std::uint8_t {
        pass,
        refuse,          // too many: to be answered `rate_limited`
        refuse_silently  // too many, and one was answered within this second (MQTT-052)
    };
    // `exempt`: only_restricts(), or a payload of which nothing more is known than that it says so.
    constexpr Answer ask(bool exempt, Instant now)
    {
        if (exempt) return Answer::pass;
        if (count_ < most || now - passed_[next_] >= window) {
            passed_[next_] = now;
            next_ = (next_ + 1) % most;
            if (count_ < most) ++count_;
            return Answer::pass;
        }
        ++refused_;
        if (answered_ && now - answered_at_ < answer_every) return Answer::refuse_silently;
        answered_ = true;
        answered_at_ = now;
        return Answer::refuse;
    }
    constexpr std::uint64_t refused() const { return refused_; }  // since start, answered or not

    static constexpr std::size_t most = 100;
    static constexpr Duration window = 10s;
    static constexpr Duration answer_every = 1s;

private:
    std::array<Instant, most> passed_{};
    std::size_t next_ = 0, count_ = 0;
    Instant answered_at_{};
    bool answered_ = false;
    std::uint64_t refused_ = 0;
};

}  // namespace batgw
