// What the tests of this room share: an event base, a listener that writes down, clocks that are set by hand.
#pragma once

#include "bus/bus.hpp"
#include "bus/clock.hpp"
#include "bus/event.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <linux/can.h>
#include <sys/socket.h>

namespace batgw::test {

struct Heard {
    CanFrame frame;
    Instant received, now;
};

class Listener : public BusListener {
public:
    void on_frame(const CanFrame& frame, Instant received, Instant now) override
    {
        heard.push_back({frame, received, now});
        if (reaction) reaction(frame);
    }
    void on_bus(Instant) override
    {
        ++turns;
        if (on_turn) on_turn();
    }
    std::vector<Heard> heard;
    unsigned turns = 0;
    std::function<void(const CanFrame&)> reaction;
    std::function<void()> on_turn;
};

class Lines : public BusLog {
public:
    void line(Level level, std::string_view text) override { all.push_back({level, std::string{text}}); }
    struct Line {
        Level level;
        std::string text;
    };
    std::vector<Line> all;
    std::size_t count(std::string_view part) const
    {
        return static_cast<std::size_t>(
            std::count_if(all.begin(), all.end(), [&](const Line& l) { return l.text.find(part) != std::string::npos; }));
    }
};

class HandClock : public BusClock {
public:
    Instant monotonic() override { return now; }
    std::chrono::nanoseconds wall() override { return wall_time; }
    Instant now{1h + 7us};
    std::chrono::nanoseconds wall_time{1'700'000'000s};
};

struct Loop {
    ~Loop() { event_base_free(base); }
    // Runs for at least one round, and until `done` or the time is over.
    bool run_until(const std::function<bool()>& done, Duration most = 2s) const
    {
        const Instant end = monotonic_now() + most;
        do event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
        while (!done() && monotonic_now() < end);
        return done();
    }
    // Everything that is due now.
    void settle() const
    {
        for (int i = 0; i < 20; ++i) event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
    }
    event_base* base = event_base_new();
};

// Two ends of a pair of datagram sockets: a bus without a kernel that knows CAN.
struct Wire {
    Wire()
    {
        int ends[2];
        REQUIRE(::socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0);
        here = Fd{ends[0]};
        there = Fd{ends[1]};
    }
    bool put(const void* bytes, std::size_t size) const
    {
        return ::send(there.get(), bytes, size, MSG_DONTWAIT) == static_cast<ssize_t>(size);
    }
    bool put(const can_frame& frame) const { return put(&frame, sizeof frame); }
    Fd here, there;
};

inline can_frame raw(std::uint32_t can_id, std::initializer_list<std::uint8_t> data)
{
    can_frame f{};
    f.can_id = can_id;
    f.len = static_cast<std::uint8_t>(data.size());
    std::copy(data.begin(), data.end(), f.data);
    return f;
}

inline CanFrame frame(std::uint32_t id, std::initializer_list<std::uint8_t> data, bool extended = false)
{
    CanFrame f{.id = id, .extended = extended, .len = static_cast<std::uint8_t>(data.size()), .data = {}};
    std::copy(data.begin(), data.end(), f.data.begin());
    return f;
}

}  // namespace batgw::test
