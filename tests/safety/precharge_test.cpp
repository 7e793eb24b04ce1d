#include "safety/precharge.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <cstdint>
#include <optional>
#include <random>

using namespace batgw;

namespace {

using Result = Precharge::Result;
constexpr Instant t0{Duration{9'000'000'123}};

Voltage volts(double v) { return Voltage::from_milli(static_cast<std::int64_t>(std::lround(v * 1000))); }

// A capacitor behind a resistor, sampled every `period`, judged every 10 ms.
struct Charging {
    double pack = 400, tau_s = 0.2, from = 0, offset = 0, noise = 0, end_share = 1;
    Duration period = 20ms;
    bool current_fast = false;
    double resistor_ohm = 100;
    Precharge::Rules rules{};

    struct End {
        Result result = Result::running;
        Duration after{};
        double link = 0;
        std::string_view problem;
    };
    End run()
    {
        std::mt19937 chance{7};
        std::uniform_real_distribution<double> spread{-noise, noise};
        Precharge p;
        BoxMeasurements m;
        m.pack = volts(pack);
        m.current_is_fast = current_fast;
        m.link = volts(from);
        m.link_at = m.current_at = t0;
        p.begin(m, t0);
        Instant next = t0 + period;
        for (Instant now = t0 + 10ms; now <= t0 + 20s; now += 10ms) {
            const double s = std::chrono::duration<double>(now - t0).count();
            const double target = pack * end_share;
            const double link = target + (from - target) * std::exp(-s / tau_s);
            if (now >= next) {
                m.link = volts(link + offset + spread(chance));
                m.current = Current::from_milli(static_cast<std::int64_t>((target - link) / resistor_ohm * -1000));
                m.link_at = m.current_at = now;
                next += period;
            }
            const Result r = p.update(rules, m, now);
            if (r != Result::running) return {r, now - t0, link, p.problem()};
        }
        return {};
    }
};

}  // namespace

TEST_CASE("precharge: ends when the link has come within 3 % and stayed, for every time constant that fits into 5 s")
{
    // SAFE-144
    for (const double tau : {0.05, 0.1, 0.2, 0.5, 1.0, 1.3}) {
        CAPTURE(tau);
        Charging c{.tau_s = tau};
        const auto end = c.run();
        CHECK(end.result == Result::done);
        CHECK(end.after >= 200ms);
        CHECK(c.pack - end.link <= 12.0);
        // ln(100/3) time constants, 100 ms of holding, and a few samples.
        const double expected_s = std::max(0.2, tau * 3.507 + 0.1);
        CHECK(std::chrono::duration<double>(end.after).count() <= expected_s + 0.06);
        CHECK(std::chrono::duration<double>(end.after).count() >= expected_s - 0.02);
    }
    // SAFE-145: 5 s are two and a half of these.
    const auto slow = Charging{.tau_s = 2.0}.run();
    CHECK(slow.result == Result::failed);
    CHECK(slow.after == 5s);
    CHECK(slow.problem == "timeout");
    Charging longer{.tau_s = 2.0};
    longer.rules.max = 15s;
    CHECK(longer.run().result == Result::done);
}

TEST_CASE("precharge: the band is 3 %, at least 3 V and at most 15 V")
{
    // SAFE-144
    const Precharge::Rules rules;
    CHECK(Precharge::match_band(rules, 400_V) == 12_V);
    CHECK(Precharge::match_band(rules, 48_V) == 3_V);
    CHECK(Precharge::match_band(rules, 800_V) == 15_V);
    // Both edges, from both sides.
    for (const auto& [offset, good] : {std::pair{-12.0, true}, {-12.1, false}, {12.0, true}, {25.0, false}}) {
        const auto end = Charging{.tau_s = 0.05, .offset = offset}.run();
        const double by = offset;
        CAPTURE(by);
        CHECK((end.result == Result::done) == good);
    }
}

TEST_CASE("precharge: noise delays the end, it does not bring it forward")
{
    // SAFE-144
    for (const double noise : {1.0, 4.0, 8.0}) {
        CAPTURE(noise);
        const auto clean = Charging{.tau_s = 0.3}.run();
        const auto end = Charging{.tau_s = 0.3, .noise = noise}.run();
        CHECK(end.result == Result::done);
        CHECK(end.after + 60ms >= clean.after);
        CHECK(400.0 - end.link <= 12.0 + noise);
    }
    CHECK(Charging{.tau_s = 0.05, .noise = 40}.run().result == Result::failed);
}

TEST_CASE("precharge: slow samples need two of them in the band")
{
    // SAFE-144
    const auto end = Charging{.tau_s = 0.1, .period = 900ms}.run();
    CHECK(end.result == Result::done);
    CHECK(end.after >= 1800ms);
}

TEST_CASE("precharge: a current that is measured fast must have become small")
{
    // SAFE-144: at 10 ohm 12 V are still 1.2 A.
    Charging c{.tau_s = 0.3, .current_fast = true, .resistor_ohm = 10};
    const auto end = c.run();
    CHECK(end.result == Result::done);
    CHECK(c.pack - end.link <= 5.0);
    CHECK(400.0 - Charging{.tau_s = 0.3, .resistor_ohm = 10}.run().link > 5.0);

    Precharge p;
    BoxMeasurements m{.pack = 400_V, .link = 399_V, .link_at = t0, .current = 501_mA, .current_at = t0, .current_is_fast = true};
    p.begin(m, t0);
    Instant now = t0;
    const auto for_a_while = [&](Current i) {
        Result r = Result::running;
        for (int n = 0; n < 50 && r == Result::running; ++n) {
            now += 20ms;
            m.link_at = m.current_at = now;
            m.current = i;
            r = p.update({}, m, now);
        }
        return r;
    };
    CHECK(for_a_while(501_mA) == Result::running);
    m.current.reset();
    CHECK(for_a_while(-501_mA) == Result::running);
    CHECK(for_a_while(-500_mA) == Result::done);
}

TEST_CASE("precharge: a current that was small and then was not known has to be small anew for its time")
{
    // SAFE-144
    Precharge p;
    BoxMeasurements m{.pack = 400_V, .link = 350_V, .link_at = t0, .current = 0_A, .current_at = t0, .current_is_fast = true};
    p.begin(m, t0);
    Instant now = t0;
    const auto sample = [&](Voltage link, std::optional<Current> i) {
        now += 20ms;
        m.link = link;
        m.current = i;
        m.link_at = m.current_at = now;
        return p.update({}, m, now);
    };
    for (int n = 0; n < 20; ++n) REQUIRE(sample(350_V, 0_A) == Result::running);
    for (int n = 0; n < 20; ++n) REQUIRE(sample(399_V, std::nullopt) == Result::running);
    const Instant known = now + 20ms;
    Result r = Result::running;
    while (r == Result::running && now < known + 1s) r = sample(399_V, 0_A);
    CHECK(r == Result::done);
    CHECK(now == known + 100ms);
}

TEST_CASE("precharge: what cannot succeed is given up early")
{
    // SAFE-145
    const auto shorted = Charging{.end_share = 0}.run();
    CHECK(shorted.result == Result::failed);
    CHECK(shorted.after == 2s);
    CHECK(shorted.problem == "link too low");
    CHECK(Charging{.end_share = 0.49}.run().after == 2s);
    CHECK(Charging{.end_share = 0.51}.run().after == 5s);

    Precharge p;  // rises, then falls by a bit more than 10 % of the pack
    BoxMeasurements m{.pack = 400_V, .link = 0_V, .link_at = t0};
    p.begin(m, t0);
    Instant now = t0;
    const auto sample = [&](Voltage v) {
        now += 20ms;
        m.link = v;
        m.link_at = now;
        return p.update({}, m, now);
    };
    CHECK(sample(300_V) == Result::running);
    CHECK(sample(260_V) == Result::running);
    CHECK(sample(Voltage::from_milli(259'999)) == Result::failed);
    CHECK(p.problem() == "link falls");

    m.link = 300_V;  // was charged already when the relay closed, and falls from there
    m.link_at = now;
    p.begin(m, now);
    CHECK(sample(260_V) == Result::running);
    CHECK(sample(Voltage::from_milli(259'999)) == Result::failed);
    CHECK(p.problem() == "link falls");

    for (const Voltage half : {200_V, Voltage::from_milli(199'999)}) {  // two fifths of the time: half of the pack
        const BoxMeasurements at_two_seconds{.pack = 400_V, .link = half, .link_at = t0 + 2s};
        p.begin({}, t0);
        CHECK((p.update({}, at_two_seconds, t0 + 2s) == Result::running) == (half == 200_V));
    }
}

TEST_CASE("precharge: it takes its least time, and is done with that")
{
    // SAFE-144
    Precharge p;
    p.begin({}, t0);
    const auto at = [&](Duration t) { return p.update({}, {.pack = 400_V, .link = 400_V, .link_at = t0 + t}, t0 + t); };
    CHECK(at(50ms) == Result::running);
    CHECK(at(200ms - 1us) == Result::running);
    CHECK(at(200ms) == Result::done);
}

TEST_CASE("precharge: without a link voltage it ends only by its time limit, and old samples do not count")
{
    // SAFE-144
    Precharge p;
    BoxMeasurements m{.pack = 400_V, .link = 400_V, .link_at = t0 - 10ms};
    p.begin(m, t0);
    Result r = Result::running;
    Instant now = t0;
    while (r == Result::running) r = p.update({}, m, now += 10ms);
    CHECK(r == Result::failed);
    CHECK(now - t0 == 5s);

    for (const bool no_pack : {false, true}) {  // good samples with a gap are not one run
        p.begin(m, t0);
        now = t0;
        for (int n = 0; n < 100; ++n) {
            now += 20ms;
            m.link_at = now;
            const bool gap = n % 4 == 3;
            m.link = gap && !no_pack ? std::nullopt : std::optional{400_V};
            m.pack = gap && no_pack ? std::nullopt : std::optional{400_V};
            CHECK(p.update({}, m, now) == Result::running);
        }
    }
}

TEST_CASE("precharge: by time it takes its time, whatever is measured")
{
    // SAFE-147
    Precharge::Rules rules;
    rules.timer = true;
    rules.time = 700ms;
    Precharge p;
    p.begin({}, t0);
    CHECK(p.update(rules, {}, t0 + 699ms) == Result::running);
    CHECK(p.update(rules, {}, t0 + 700ms) == Result::done);
    rules.time.reset();
    p.begin({}, t0);
    CHECK(p.update(rules, {}, t0 + 10ms) == Result::failed);
}

TEST_CASE("precharge: a link voltage and a current of the moment in which the relay closed are of before")
{
    // SAFE-144
    for (const Duration age : {-10ms, 0ms, 10ms}) {
        CAPTURE(age / 1ms);
        Precharge p;
        p.begin({}, t0);
        // One sample, and the next one when it had time enough.
        CHECK(p.update({}, {.pack = 400_V, .link = 400_V, .link_at = t0 + age}, t0 + 10ms) == Result::running);
        const Result r = p.update({}, {.pack = 400_V, .link = 400_V, .link_at = t0 + 300ms}, t0 + 300ms);
        CHECK((r == Result::done) == (age > 0ms));
    }
    for (const Duration age : {0us, 1us}) {
        CAPTURE(age / 1us);
        Precharge p;
        BoxMeasurements m{
            .pack = 400_V, .link = 399_V, .link_at = t0, .current = 0_A, .current_at = t0 + age, .current_is_fast = true};
        p.begin(m, t0);
        Result r = Result::running;
        // The link is measured on and on; of the current no more comes but one sample after its quiet time.
        for (Duration t = 20ms; t <= 1s && r == Result::running; t += 20ms) {
            m.link_at = t0 + t;
            if (t == 1s) m.current_at = t0 + 1s;
            r = p.update({}, m, t0 + t);
        }
        CHECK((r == Result::done) == (age > 0us));
    }
}
