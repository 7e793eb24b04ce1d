#include "safety/operator.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string_view>

namespace batgw {

namespace {

// Thousandths, to be written as a decimal number without needless digits: 12000, 0.5.
struct Milli {
    std::int64_t count;
};

// A sentence in place: no allocation after start.
class Sentence {
public:
    Sentence& operator<<(std::string_view text)
    {
        const std::size_t n = std::min(text.size(), chars_.size() - size_);
        std::copy_n(text.begin(), n, chars_.begin() + static_cast<std::ptrdiff_t>(size_));
        size_ += n;
        return *this;
    }
    Sentence& operator<<(Milli milli)
    {
        if (milli.count < 0) *this << "-";
        const auto bits = static_cast<std::uint64_t>(milli.count);
        const std::uint64_t size = milli.count < 0 ? 0 - bits : bits;
        number(size / 1000);
        if (size % 1000 == 0) return *this;
        std::array<char, 4> digits{'.', static_cast<char>('0' + size / 100 % 10), static_cast<char>('0' + size / 10 % 10),
            static_cast<char>('0' + size % 10)};
        std::size_t n = digits.size();
        while (digits[n - 1] == '0') --n;
        return *this << std::string_view{digits.data(), n};
    }
    std::string_view view() const { return {chars_.data(), size_}; }

private:
    void number(std::uint64_t n)
    {
        std::array<char, 20> digits{};
        const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), n).ptr;
        *this << std::string_view{digits.data(), static_cast<std::size_t>(end - digits.data())};
    }
    std::array<char, 120> chars_{};
    std::size_t size_ = 0;
};

bool refuse(CommandResult& result, CommandCode code, std::string_view text)
{
    result.code = code;
    result.text.assign(text);
    return false;
}

// Numbers are thousandths of `unit`. `maximum` tells what the bound is.
bool check_range(std::int64_t milli, std::int64_t min, std::int64_t max, std::string_view unit, std::string_view minimum,
    std::string_view maximum, CommandResult& result)
{
    if (milli >= min && milli <= max) return true;
    Sentence s;
    s << Milli{milli} << " " << unit;
    if (milli < min)
        s << " is below " << minimum << Milli{min};
    else
        s << " is above " << maximum << Milli{max};
    s << " " << unit;
    return refuse(result, CommandCode::out_of_range, s.view());
}

bool check_power(std::optional<Power> power, Power ceiling, CommandResult& result)
{
    return !power || check_range(power->milli(), 0, ceiling.milli(), "W", "", "the configured maximum ", result);
}

// The configuration knows no highest current: the power limit holds besides.
bool check_current(std::optional<Current> current, CommandResult& result)
{
    return !current || check_range(current->milli(), 0, std::numeric_limits<std::int64_t>::max(), "A", "", "", result);
}

bool check_time_to_live(std::optional<Duration> ttl, CommandResult& result)
{
    return !ttl ||
        check_range(*ttl / 1ms, Operator::shortest_time_to_live / 1ms, Operator::longest_time_to_live / 1ms, "s",
            "the shortest time-to-live ", "the longest time-to-live ", result);
}

}  // namespace

Operator::Operator(const BatteryConfig& config)
    : charge_bounds_{config.max_charge, std::min(config.charge, config.max_charge)},
      discharge_bounds_{config.max_discharge, std::min(config.discharge, config.max_discharge)},
      charge_{unlimited(charge_bounds_)},
      discharge_{unlimited(discharge_bounds_)}
{
    publish();
}

CommandResult Operator::apply(const Command& command, Instant now)
{
    CommandResult result;
    result.kind = command.kind;
    result.id = command.id;
    result.ticket = command.ticket;
    result.received = command.received;
    result.answered = now;
    expire(now);
    const Operator before = *this;
    if (set(command, now, result)) {
        publish();
        const bool request = command.kind == CommandKind::ping || (command.kind == CommandKind::contactor && command.on);
        const bool changed =
            request || !(state_ == before.state_) || !(charge_ == before.charge_) || !(discharge_ == before.discharge_);
        result.code = changed ? CommandCode::ok : CommandCode::unchanged;
        result.text.assign(changed ? "done" : "as it was");
    }
    result.status = state_;
    return result;
}

bool Operator::set(const Command& c, Instant now, CommandResult& result)
{
    switch (c.kind) {
    case CommandKind::charge: state_.charge = c.on; return true;
    case CommandKind::discharge: state_.discharge = c.on; return true;
    case CommandKind::pause: state_.paused = c.on; return true;
    case CommandKind::contactor:
        open_before_ = state_.contactors_open;
        state_.contactors_open = !c.on;
        close_requested_ = c.on;
        return true;
    case CommandKind::max_charge:
        if (!c.charge_power) return refuse(result, CommandCode::bad_payload, "no power given");
        if (!check_power(c.charge_power, charge_bounds_.ceiling, result)) return false;
        charge_ = commanded(c.charge_power, {}, Command{}, charge_bounds_, now);
        return true;
    case CommandKind::max_discharge:
        if (!c.discharge_power) return refuse(result, CommandCode::bad_payload, "no power given");
        if (!check_power(c.discharge_power, discharge_bounds_.ceiling, result)) return false;
        discharge_ = commanded(c.discharge_power, {}, Command{}, discharge_bounds_, now);
        return true;
    case CommandKind::limits: return set_limits(c, now, result);
    case CommandKind::ping: return true;
    case CommandKind::reset:
    case CommandKind::capture: break;  // faults are the judge's, captures the black box's
    }
    return refuse(result, CommandCode::unknown_command, "no such command");
}

bool Operator::set_limits(const Command& c, Instant now, CommandResult& result)
{
    if (!c.charge_power && !c.discharge_power && !c.charge_current && !c.discharge_current)
        return refuse(result, CommandCode::bad_payload, "no limit given");
    const bool good = check_power(c.charge_power, charge_bounds_.ceiling, result) &&
        check_power(c.discharge_power, discharge_bounds_.ceiling, result) && check_current(c.charge_current, result) &&
        check_current(c.discharge_current, result) && check_time_to_live(c.time_to_live, result);
    if (!good) return false;
    if (c.charge_power || c.charge_current) charge_ = commanded(c.charge_power, c.charge_current, c, charge_bounds_, now);
    if (c.discharge_power || c.discharge_current)
        discharge_ = commanded(c.discharge_power, c.discharge_current, c, discharge_bounds_, now);
    return true;
}

Operator::Limit Operator::commanded(
    std::optional<Power> power, std::optional<Current> current, const Command& command, const Bounds& bounds, Instant now)
{
    Limit limit{power.value_or(bounds.normal), current, {}, false, true};
    if (command.time_to_live) {
        limit.expires = after(now, *command.time_to_live);
        limit.zero_on_expiry = command.zero_on_expiry;
    } else if (limit.power == bounds.normal && !current)
        limit.commanded = false;  // back to what the configuration says
    return limit;
}

bool Operator::expire(Instant now)
{
    bool changed = false;
    const auto one = [&](Limit& limit, const Bounds& bounds) {
        if (!limit.expires || now < *limit.expires) return;
        limit = after_expiry(limit, bounds);
        changed = true;
    };
    one(charge_, charge_bounds_);
    one(discharge_, discharge_bounds_);
    if (changed) publish();
    return changed;
}

Instant Operator::next_expiry() const { return state_.limits_expire.value_or(end_of_time); }

Operator::Limit Operator::after_expiry(const Limit& limit, const Bounds& bounds)
{
    if (!limit.expires) return limit;
    return limit.zero_on_expiry ? Limit{Power{}, {}, {}, false, true} : unlimited(bounds);
}

OperatorState Operator::persistent() const
{
    Operator later = *this;
    later.charge_ = after_expiry(charge_, charge_bounds_);
    later.discharge_ = after_expiry(discharge_, discharge_bounds_);
    later.publish();
    return later.state_;
}

void Operator::restore(const OperatorState& kept)
{
    state_.charge = kept.charge;
    state_.discharge = kept.discharge;
    state_.paused = kept.paused;
    state_.contactors_open = kept.contactors_open;
    charge_ = restored(kept.max_charge, kept.max_charge_current, kept.charge_limit_default, charge_bounds_);
    discharge_ = restored(kept.max_discharge, kept.max_discharge_current, kept.discharge_limit_default, discharge_bounds_);
    publish();
}

Operator::Limit Operator::restored(Power power, std::optional<Current> current, bool is_default, const Bounds& bounds)
{
    if (is_default) return unlimited(bounds);
    if (current) current = std::max(*current, Current{});
    return {std::clamp(power, Power{}, bounds.ceiling), current, {}, false, true};
}

void Operator::reconfigure(const BatteryConfig& config)
{
    charge_bounds_ = {config.max_charge, std::min(config.charge, config.max_charge)};
    discharge_bounds_ = {config.max_discharge, std::min(config.discharge, config.max_discharge)};
    charge_ = reconfigured(charge_, charge_bounds_);
    discharge_ = reconfigured(discharge_, discharge_bounds_);
    publish();
}

Operator::Limit Operator::reconfigured(const Limit& limit, const Bounds& bounds)
{
    if (!limit.commanded) return unlimited(bounds);
    Limit cut = limit;
    cut.power = std::min(cut.power, bounds.ceiling);
    return cut;
}

bool Operator::take_close_request()
{
    const bool requested = close_requested_;
    close_requested_ = false;
    return requested;
}

void Operator::refuse_close() { state_.contactors_open = open_before_; }

void Operator::publish()
{
    state_.max_charge = charge_.power;
    state_.max_discharge = discharge_.power;
    state_.max_charge_current = charge_.current;
    state_.max_discharge_current = discharge_.current;
    state_.charge_limit_default = !charge_.commanded;
    state_.discharge_limit_default = !discharge_.commanded;
    // One time for both: the next that ends.
    const bool discharge_first = discharge_.expires && (!charge_.expires || *discharge_.expires < *charge_.expires);
    const Limit& next = discharge_first ? discharge_ : charge_;
    state_.limits_expire = next.expires;
    state_.zero_on_expiry = next.zero_on_expiry;
}

}  // namespace batgw
