#include "battery/daly_poll.hpp"

#include <algorithm>

namespace batgw::daly {
namespace {

constexpr std::size_t totals_topic = 0;
static_assert(topics[totals_topic].command == 0x90);

}  // namespace

std::array<Poll::State, topics.size()> Poll::first_states()
{
    std::array<State, topics.size()> states{};
    for (std::size_t i = 0; i < topics.size(); ++i) states[i].period = topics[i].period;
    return states;
}

bool Poll::may_send(Instant now) const
{
    if (busy_) return false;
    return now - last_byte_ >= pause || now - free_since_ >= pause_at_most;
}

// The one that has waited longest; of those that have waited equally long the first of the table.
std::optional<std::size_t> Poll::next(Instant now) const
{
    if (!may_send(now)) return std::nullopt;
    std::optional<std::size_t> best;
    for (std::size_t i = 0; i < topics.size(); ++i) {
        const State& s = states_[i];
        if (s.done || !s.allowed || now < s.due || (s.asked && now - *s.asked < again)) continue;
        if (i != totals_topic && !online(now)) continue;
        if (!best || s.due < states_[*best].due) best = i;
    }
    return best;
}

void Poll::asked(std::size_t topic, Instant now)
{
    State& s = states_[topic];
    s.asked = now;
    busy_ = Busy{.command = topics[topic].command, .topic = topic, .since = now, .wait = topics[topic].cyclic ? wait : wait_once};
    echoed_ = damaged_ = false;
}

void Poll::ordered(std::uint8_t command, Instant now)
{
    busy_ = Busy{.command = command, .topic = std::nullopt, .since = now, .wait = wait};
    echoed_ = damaged_ = false;
}

void Poll::heard(Instant at)
{
    last_byte_ = at;
    if (busy_) busy_->heard = true;
}

void Poll::answered(std::uint32_t command, bool done, Instant at)
{
    echoes_ = 0;
    if (const auto topic = topic_of(command); topic && done) {
        State& s = states_[*topic];
        s.answered = true;
        s.failures = 0;
        if (s.period == for_ever) s.done = true;
        const Instant from = s.asked.value_or(at);
        s.due = std::max(after(from, s.period), at);
        if (*topic == totals_topic) {
            if (!totals_at_) plan_the_rest(at);
            totals_at_ = at;
            probes_ = 0;
        }
    }
    if (done && busy_ && busy_->command == command) end();
}

// One by one, between what comes round all the time.
void Poll::plan_the_rest(Instant at)
{
    for (std::size_t i = 0; i < topics.size(); ++i)
        if (!topics[i].cyclic) states_[i].due = at += between_single;
}

void Poll::end()
{
    free_since_ = last_byte_;
    busy_.reset();
}

std::optional<Poll::Ended> Poll::expire(Instant now)
{
    if (!busy_) return std::nullopt;
    Instant until = busy_->since + busy_->wait;
    if (busy_->heard) until = std::max(until, last_byte_ + rest);
    if (now < std::min(until, busy_->since + wait_at_most)) return std::nullopt;
    const Busy ended = *busy_;
    busy_.reset();
    free_since_ = now;
    echoes_ = echoed_ ? std::min(echoes_ + 1, polls_to_sleep) : 0;
    if (ended.topic) failed(*ended.topic, now);
    return Ended{.command = ended.command, .damaged = damaged_};
}

void Poll::failed(std::size_t topic, Instant now)
{
    State& s = states_[topic];
    s.failures = std::min(s.failures + 1, 1000U);
    if (topic == totals_topic && !online(now)) return probe_failed(s, now);
    if (!topics[topic].cyclic) {
        s.done = !s.answered;  // one try
        s.due = now + given_up;
        return;
    }
    if (s.failures <= retries)
        s.due = now;
    else if (!s.answered && s.failures >= tries_to_give_up)
        s.due = now + given_up;
    else
        s.due = now + std::max(s.period, unanswered);
}

// Nobody there: each address in turn, a few times at once, then in pairs and slowly.
void Poll::probe_failed(State& s, Instant now)
{
    ++probes_;
    const unsigned hosts = second_host_ ? 2 : 1;
    const bool at_first = !s.answered && probes_ < hosts * tries_per_host;
    if (second_host_ && (at_first ? probes_ % tries_per_host == 0 : true)) use_second_ = !use_second_;
    s.due = at_first || probes_ % hosts != 0 ? now : now + slow;
}

void Poll::hurry(std::uint8_t command, Instant now)
{
    if (const auto topic = topic_of(command)) states_[*topic].due = std::min(states_[*topic].due, now);
}

void Poll::allow(std::uint8_t command, bool on)
{
    if (const auto topic = topic_of(command)) states_[*topic].allowed = on;
}

void Poll::set_period(std::uint8_t command, Duration period)
{
    if (const auto topic = topic_of(command)) states_[*topic].period = period;
}

bool Poll::given_up_on(std::uint8_t command) const
{
    const auto topic = topic_of(command);
    return topic && !states_[*topic].answered && states_[*topic].failures >= tries_to_give_up;
}

bool Poll::settled(std::uint8_t command) const
{
    const auto topic = topic_of(command);
    return topic && (states_[*topic].answered || states_[*topic].done);
}

std::optional<Instant> Poll::asked_at(std::uint8_t command) const
{
    const auto topic = topic_of(command);
    return topic ? states_[*topic].asked : std::nullopt;
}

}  // namespace batgw::daly
