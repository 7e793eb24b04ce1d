// The contactor machine, the sequence that moves the coils, and a made-up box of relays around them, evaluated every 10 ms.
#pragma once

#include "safety/contactors.hpp"
#include "safety/gpio_contactors.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace batgw::test {

struct GpioRig {
    using State = ContactorState;

    static SafetyConfig::Contactors usual()
    {
        SafetyConfig::Contactors c;
        c.mode = ContactorMode::gpio;
        c.gpio.negative = 1;
        c.gpio.precharge = 2;
        c.gpio.positive = 3;
        c.gpio.negative_feedback = 4;
        c.gpio.positive_feedback = 5;
        c.gpio.interlock = 6;
        c.gpio.emergency_stop = 7;
        return c;
    }
    explicit GpioRig(const SafetyConfig::Contactors& c = usual()) : config{c}, machine{c, start}, sequence{c}
    {
        in.bus_up = in.data_fresh = in.identity_known = in.fault_free = in.permitted = in.inverter_present = true;
    }

    // A relay that follows its coil, unless it is stuck.
    struct Relay {
        bool closed = false;
        std::optional<bool> stuck;
        Duration lag = 20ms;
        Instant asked{};
        bool coil = false;
        void drive(bool on, Instant at)
        {
            if (on != coil) asked = at;
            coil = on;
            if (at - asked >= lag) closed = on;
            if (stuck) closed = *stuck;
        }
    };

    static constexpr Instant start{Duration{7'654'321'000}};
    SafetyConfig::Contactors config;
    ContactorMachine machine;
    GpioContactors sequence;
    ContactorInput in;
    ContactorOutput out;
    Conditions faults;
    Coils coils;
    Instant now = start;
    Relay negative, precharge, positive;
    bool held = true, interlock = true, released = true, outputs_agree = true, lines_read = true;
    std::optional<bool> positive_contact;  // instead of what the relay does
    double pack_v = 400, link_v = 0, tau_s = 0.15, bleed_s = 8;
    std::optional<double> fed_v;  // the inverter holds the link there by itself
    bool shorted = false, link_measured = true;
    std::optional<Current> current = 0_A;
    ContactorLines lines;
    std::function<void()> watch;  // after every evaluation

    void move_relays(Duration time)
    {
        negative.drive(coils.negative, now);
        precharge.drive(coils.precharge, now);
        positive.drive(coils.positive, now);
        const double s = std::chrono::duration<double>(time).count();
        if (negative.closed && positive.closed)
            link_v = pack_v;
        else if (negative.closed && precharge.closed)
            link_v += (pack_v - link_v) * (1 - std::exp(-s / tau_s));
        else
            link_v *= std::exp(-s / bleed_s);
        if (fed_v && !(negative.closed && positive.closed)) link_v = *fed_v;
        if (shorted) link_v = 0;
    }
    void read()
    {
        const auto if_wired = [](const auto& line, bool value) { return line ? std::optional{value} : std::nullopt; };
        const ContactorLines before = lines;
        lines = {};
        lines.held = held;
        lines.at = lines_read ? now : before.at;
        if (!held) return;
        lines.negative_closed = if_wired(config.gpio.negative_feedback, negative.closed);
        lines.precharge_closed = if_wired(config.gpio.precharge_feedback, precharge.closed);
        lines.positive_closed = if_wired(config.gpio.positive_feedback, positive_contact.value_or(positive.closed));
        lines.interlock_closed = if_wired(config.gpio.interlock, interlock);
        lines.stop_released = if_wired(config.gpio.emergency_stop, released);
        lines.outputs_agree = outputs_agree;
    }
    // As the judge does it.
    void step(Duration time = 10ms)
    {
        now += time;
        move_relays(time);
        read();
        BoxMeasurements m;
        m.pack = Voltage::from_milli(static_cast<std::int64_t>(pack_v * 1000));
        if (link_measured) m.link = Voltage::from_milli(static_cast<std::int64_t>(link_v * 1000));
        m.current = current;
        m.link_at = m.current_at = now;
        sequence.look(lines, m, now);
        faults = sequence.faults();
        sequence.fill(in, now);
        in.current = current;
        in.current_at = now;
        const OpenCause before = in.causes;
        for (const ActiveFault& f : faults) {
            if (f.level >= FaultClass::trip) in.causes |= OpenCause::trip;
            if (f.level >= FaultClass::emergency) in.causes |= OpenCause::emergency;
        }
        out = machine.evaluate(in, now);
        in.causes = before;
        for (const ActiveFault& f : out.faults) faults.push_back(f);
        sequence.obey(out.verdict.order, out.verdict.state == State::emergency, now);
        coils = sequence.coils(now);
        if (watch) watch();
    }
    void run(Duration time)
    {
        for (const Instant end = now + time; now < end;) step();
    }
    State state() const { return out.verdict.state; }
    // How long it took; for_ever when not within `most`.
    Duration until(State wanted, Duration most = 100s)
    {
        const Instant from = now;
        while (state() != wanted) {
            if (now - from >= most) return for_ever;
            step();
        }
        return now - from;
    }
    // Until just before: the state is there and was not one evaluation ago.
    void reach(State wanted)
    {
        CAPTURE(to_string(wanted));
        REQUIRE(until(wanted) != for_ever);
    }
    std::optional<FaultClass> fault(FaultId id) const
    {
        for (const ActiveFault& f : faults)
            if (f.id == id) return f.level;
        return std::nullopt;
    }
    std::string shown() const
    {
        return std::string{coils.negative ? "1" : "0"} + (coils.precharge ? "1" : "0") + (coils.positive ? "1" : "0");
    }
};

}  // namespace batgw::test
