// What every battery driver must do, whatever it speaks: run over the registry.
#include "sim/chance.hpp"
#include "sim/registry.hpp"
#include "tests/battery/bench.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <new>
#include <set>
#include <string>

using namespace batgw;
using namespace batgw::test;

namespace {

// Counts what is asked of the heap, while asked to.
bool counting = false;
unsigned allocations = 0;

}  // namespace

[[gnu::noinline]] void* operator new(std::size_t size)
{
    if (counting) ++allocations;
    if (void* p = std::malloc(size == 0 ? 1 : size)) return p;
    throw std::bad_alloc{};
}
[[gnu::noinline]] void operator delete(void* p) noexcept { std::free(p); }
[[gnu::noinline]] void operator delete(void* p, std::size_t) noexcept { std::free(p); }

namespace {

// What a pack says in one piece: a frame on CAN, an answer on a serial line.
struct Piece {
    explicit Piece(const CanFrame& f) : id{f.id}, frame{f} {}
    explicit Piece(const Telegram& t) : id{t.id}, telegram{t} {}
    std::span<std::uint8_t> data()
    {
        return telegram ? std::span{telegram->data.data(), telegram->len} : std::span{frame.data.data(), frame.len};
    }
    std::uint32_t id;
    CanFrame frame;
    std::optional<Telegram> telegram;
};
HeardCounts hear(Bench& bench, Piece& piece)
{
    if (piece.telegram) return bench.read(piece.telegram->bytes());
    HeardCounts counts{};
    ++counts[static_cast<std::size_t>(bench.hear(piece.frame))];
    return counts;
}

// A driver and the simulated pack of its protocol, piece by piece.
struct Case {
    explicit Case(const BatteryDriverInfo& i, const sim::BatteryChoice& choice = {})
        : bench{i.name, {}, commanding(i.profile)},
          pack{sim::make_battery(i.name, choice)}
    {
        REQUIRE(pack);
    }
    // Everything the pack says goes through `each` first; false drops it.
    void run(Duration time, const std::function<bool(Piece&)>& each = {})
    {
        const Instant end = bench.now + time;
        while (bench.now < end) {
            bench.now = std::max(std::min({end, pack_wake_, bench.wake}), bench.now + 1us);
            Outbox out;
            if (bench.now >= pack_wake_) pack_wake_ = pack->on_tick(bench.now, out);
            for (const CanFrame& f : out.frames()) say(Piece{f}, each);
            for (const Telegram& t : out.telegrams()) say(Piece{t}, each);
            const std::size_t before = bench.sent.size(), written_before = bench.written.size();
            if (bench.now >= bench.wake) {
                bench.tick();
                CHECK(bench.wake > bench.now);
            }
            for (std::size_t i = before; i < bench.sent.size(); ++i) pack->on_frame(bench.sent[i].frame, bench.now);
            for (std::size_t i = written_before; i < bench.written.size(); ++i) {
                pack->on_bytes(bench.written[i].telegram.bytes(), bench.now);
                pack_wake_ = bench.now;
            }
        }
    }
    void say(Piece piece, const std::function<bool(Piece&)>& each)
    {
        if (each && !each(piece)) return;
        const HeardCounts counts = hear(bench, piece);
        for (std::size_t i = 0; i < counts.size(); ++i)
            if (counts[i] > 0) heard[static_cast<Heard>(i)] += static_cast<unsigned>(counts[i]);
        ids.insert(piece.id);
    }
    std::size_t said_by_driver() const { return bench.sent.size() + bench.written.size(); }
    const BatteryState& state() const { return bench.state(); }

    Bench bench;
    std::unique_ptr<sim::SimulatedBattery> pack;
    std::map<Heard, unsigned> heard;
    std::set<std::uint32_t> ids;

private:
    Instant pack_wake_ = Instant::min();
};

CanFrame any_frame(const BatteryDriverInfo& info, sim::Chance& chance)
{
    const RxRule& rule = info.receives[chance.bits() % info.receives.size()];
    CanFrame f{.id = rule.id, .extended = rule.extended};
    const std::uint64_t bits = chance.bits();
    for (std::size_t i = 0; i < 8; ++i) f.data[i] = static_cast<std::uint8_t>(bits >> (8 * i));
    if (chance.bits() % 2 == 0) f.data[0] = static_cast<std::uint8_t>(bits & 0x3FU);  // pages
    if (chance.bits() % 2 == 0) f = byd_atto3::sealed(f);
    return f;
}

// Bytes on a serial line: noise, pieces of answers that the pack gave, whole ones with a byte changed.
std::vector<std::uint8_t> any_bytes(sim::Chance& chance, const std::vector<Telegram>& answers)
{
    std::vector<std::uint8_t> data;
    if (!answers.empty() && chance.bits() % 4 != 0) {
        const Telegram& t = answers[chance.bits() % answers.size()];
        data.assign(t.bytes().begin(), t.bytes().end());
        if (chance.bits() % 2 == 0) data[chance.bits() % data.size()] = static_cast<std::uint8_t>(chance.bits());
        if (chance.bits() % 4 == 0) data.resize(1 + chance.bits() % data.size());
        return data;
    }
    data.resize(chance.bits() % 40);
    for (auto& b : data) b = static_cast<std::uint8_t>(chance.bits());
    return data;
}
// Anything at all for a driver, by its kind of bus.
void hear_anything(Bench& bench, sim::Chance& chance, const std::vector<Telegram>& answers)
{
    if (bench.info.serial)
        bench.read(any_bytes(chance, answers));
    else
        bench.hear(any_frame(bench.info, chance));
}
// What the simulated pack of a serial line says within half a minute.
std::vector<Telegram> answers_of(const BatteryDriverInfo& info)
{
    std::vector<Telegram> answers;
    if (!info.serial) return answers;
    Case c{info};
    c.run(30s, [&](Piece& p) {
        answers.push_back(*p.telegram);
        return true;
    });
    return answers;
}

// What a reader of the state could tell apart; enough for "nothing changed".
struct Picture {
    explicit Picture(const BatteryState& s)
        : heard{s.heard},
          samples{s.voltage.samples(), s.current.samples(), s.soc.samples(), s.soh.samples(), s.cell_voltage_min.samples(),
              s.cell_voltage_max.samples(), s.temperature_min.samples(), s.charge_limit.samples(), s.discharge_limit.samples(),
              s.contactor.samples(), s.insulation.samples(), s.cells.samples(), s.temperatures.samples(),
              s.link_voltage.samples(), s.diagnostic_soc.samples(), s.sessions.samples()},
          reported{s.reported.size()},
          phase{s.phase}
    {}
    bool operator==(const Picture&) const = default;
    std::optional<Instant> heard;
    std::array<std::uint32_t, 16> samples;
    std::size_t reported;
    ContactorPhase phase;
};

// What the judge goes by.
template <class F>
void each_reading(const BatteryState& s, F&& f)
{
    f(s.current);
    f(s.soc);
    f(s.cell_voltage_min);
    f(s.cell_voltage_max);
    f(s.temperature_min);
    f(s.temperature_max);
    f(s.charge_limit);
    f(s.discharge_limit);
    f(s.charge_limit_current);
    f(s.discharge_limit_current);
    f(s.charge_allowed);
    f(s.discharge_allowed);
    f(s.contactor);
    f(s.insulation);
}

}  // namespace

TEST_CASE("every battery: its declaration is complete and without contradiction")
{
    std::set<std::string_view> names;
    for (const auto* info : battery_drivers()) {
        CAPTURE(info->name);
        CHECK(names.insert(info->name).second);
        CHECK(std::all_of(info->name.begin(), info->name.end(), [](char c) {
            return std::islower(static_cast<unsigned char>(c)) != 0 || std::isdigit(static_cast<unsigned char>(c)) != 0 ||
                c == '-';
        }));
        CHECK_FALSE(info->models.empty());
        REQUIRE((info->make != nullptr));
        std::set<std::uint32_t> declared, received, sent;
        for (const MessageView& m : info->messages) {
            CHECK(m.len <= 8);
            for (std::uint32_t n = 0; n < m.count; ++n) CHECK(declared.insert(m.id + n).second);
        }
        for (const RxRule& r : info->receives) {
            CHECK(declared.contains(r.id));
            CHECK(received.insert(r.id).second);
        }
        for (const TxRule& r : info->sends) {  // SAFE-006
            CHECK(declared.contains(r.id));
            CHECK(sent.insert(r.id).second);
            // What others may send as well is heard, and is no conflict (SAFE-185); never anything that decides. On a serial line
            // a question and its answer share a number.
            if (r.carries_verdict && !info->serial) CHECK_FALSE(received.contains(r.id));
            CHECK(r.min_spacing > 0ms);
            CHECK(r.period > r.min_spacing);
        }
        for (const std::uint32_t id : declared) CHECK((received.contains(id) || sent.contains(id)));
        std::set<std::string> topics;
        for (const BatteryValue& v : info->values) {  // MQTT-020
            CHECK(v.key.size() <= 15);
            CHECK(std::all_of(v.key.begin(), v.key.end(), [](char c) {
                return std::islower(static_cast<unsigned char>(c)) != 0 || std::isdigit(static_cast<unsigned char>(c)) != 0 ||
                    c == '-';
            }));
            CHECK(v.decimals <= 4);
            CHECK(topics.insert(std::string{v.key} + '/' + std::string{to_string(v.type)}).second);
        }
        for (const OptionRule& o : info->options) CHECK_FALSE(o.help.empty());
        // A page for people and a test of its own.
        std::string file{info->name};
        CHECK(std::filesystem::exists("docs/protocols/" + file + ".md"));
        std::replace(file.begin(), file.end(), '-', '_');
        CHECK(std::filesystem::exists("tests/battery/" + file + "_frames_test.cpp"));
    }
}

TEST_CASE("every battery: age limits stay within those of their classes")
{
    // SAFE-021: ceilings, by signal; link voltage, flags and so on in the order of SignalId.
    constexpr std::array<Duration, signal_count> ceilings{
        5s, 3s, 10s, 10s, 1s, 15s, 15s, 15s, 15s, 60s, 60s, 60s, 300s, 300s, 300s};
    for (const auto* info : battery_drivers())
        for (std::size_t i = 0; i < signal_count; ++i) {
            const SignalProfile& p = info->profile.signals[i];
            CAPTURE(info->name);
            CAPTURE(to_string(static_cast<SignalId>(i)));
            if (!p.provided) continue;
            CHECK(3 * p.period <= ceilings[i]);
            if (p.max_age) CHECK(*p.max_age <= ceilings[i]);
            if (p.period == 0ms) CHECK(p.max_age);  // unknown period: the driver names a limit
        }
}

TEST_CASE("every battery: every code of every signal survives the trip and touches no other bit")
{
    sim::Chance chance{1};
    for (const auto* info : battery_drivers())
        for (const MessageView& m : info->messages)
            for (const SignalView& s : m.signals) {
                CAPTURE(m.name);
                CAPTURE(s.name);
                unsigned wrong = 0;
                const auto check = [&](std::int64_t raw) {
                    for (const auto background : {std::uint8_t{0x00}, std::uint8_t{0xFF}}) {
                        CanFrame f{.id = m.id, .len = m.len};
                        f.data.fill(background);
                        const CanFrame before = f;
                        write_raw(f, s.bits, raw);
                        const auto touched = detail::word(f, Order::big) ^ detail::word(before, Order::big);
                        if (read_raw(f, s.bits) != raw || (touched & ~detail::owned(s.bits)) != 0) ++wrong;
                    }
                };
                const RawRange all = all_codes(s.bits);
                if (s.bits.count <= 16) {
                    for (std::int64_t raw = all.min; raw <= all.max; ++raw) check(raw);
                } else {
                    for (unsigned i = 0; i < s.bits.count; ++i) check(std::int64_t{1} << i);
                    for (int i = 0; i < 100'000; ++i)
                        check(static_cast<std::int64_t>(chance.bits() & detail::ones(s.bits.count)));
                    check(all.min);
                    check(all.max);
                }
                CHECK(wrong == 0);
            }
}

TEST_CASE("every battery: the simulated pack is understood, all of it, and what it said expires")
{
    for (const auto* info : battery_drivers()) {
        CAPTURE(info->name);
        Case c{*info};
        c.run(60s);
        for (const auto& [heard, count] : c.heard) {
            const Heard what = heard;  // a structured binding cannot be captured by clang 14
            CAPTURE(to_string(what));
            CHECK(what == Heard::used);
            CHECK(count > 100);
        }
        const BatteryState& s = c.state();
        const auto now = [&] { return c.bench.now; };
        CHECK(magnitude(s.voltage.fresh(now()).value_or(Voltage{}) - c.pack->pack_voltage()) < 2_V);
        CHECK(s.current.fresh(now()) == c.pack->current());
        CHECK(magnitude(s.soc.fresh(now()).value_or(Percent{}) - c.pack->true_soc()) <= 1_pct);
        CHECK(s.heard);
        const std::array<std::function<Quality()>, 5> all{[&] { return s.voltage.quality(now()); },
            [&] { return s.current.quality(now()); }, [&] { return s.cell_voltage_max.quality(now()); },
            [&] { return s.temperature_min.quality(now()); }, [&] { return s.soc.quality(now()); }};
        for (const auto& ask : all) CHECK(ask() == Quality::fresh);
        c.bench.now += 60s;
        for (const auto& ask : all) CHECK(ask() == Quality::stale);
    }
}

TEST_CASE("every battery: positive current charges")
{
    for (const auto* info : battery_drivers()) {
        CAPTURE(info->name);
        Case c{*info};
        const bool commanded = info->profile.contactor_mode == ContactorMode::bms_command;
        c.run(2s);
        if (commanded) c.bench.order = ContactorOrder::close;
        c.run(20s);
        REQUIRE(c.pack->connection() == sim::Connection::closed);
        if (commanded) CHECK(c.state().phase == ContactorPhase::closed);
        c.bench.order = ContactorOrder::keep;
        for (const Current i : {10_A, -10_A}) {
            c.pack->set_current(i);
            c.run(3s);
            REQUIRE(c.pack->current() == i);
            CHECK(magnitude(c.state().current.fresh(c.bench.now).value_or(0_A) - i) <= 100_mA);
        }
        c.pack->set_current(0_A);
        c.run(1s);
        if (!commanded) continue;
        c.bench.order = ContactorOrder::open;
        c.run(10s);
        CHECK(c.pack->connection() == sim::Connection::open);
        CHECK(c.state().phase == ContactorPhase::open);
    }
}

TEST_CASE("every battery: unknown ids and frames of another length or format change nothing")
{
    for (const auto* info : battery_drivers()) {
        CAPTURE(info->name);
        if (info->serial) continue;
        Case c{*info};
        c.run(30s);
        const Picture before{c.state()};
        const auto reads = [&](std::uint32_t id) {
            return std::any_of(
                info->receives.begin(), info->receives.end(), [id](const RxRule& r) { return r.id == id && !r.extended; });
        };
        c.bench.now += 1ms;
        for (std::uint32_t id = 0; id <= 0x7FF; ++id) {
            CanFrame f{.id = id};
            if (!reads(id)) CHECK(c.bench.hear(f) == Heard::not_mine);
            f.extended = true;
            CHECK(c.bench.hear(f) == Heard::not_mine);
            f.extended = false;
            for (f.len = 0; reads(id) && f.len < 8; ++f.len) {
                const Heard h = c.bench.hear(f);
                CHECK((h == Heard::bad_length || h == Heard::not_mine));
            }
        }
        CHECK(Picture{c.state()} == before);
    }
}

TEST_CASE("every battery on a serial line: noise and broken answers change nothing")
{
    for (const auto* info : battery_drivers()) {
        CAPTURE(info->name);
        if (!info->serial) continue;
        sim::Chance chance{3};
        const std::vector<Telegram> answers = answers_of(*info);
        REQUIRE(answers.size() > 20);
        Case c{*info};
        c.run(30s);
        const Picture before{c.state()};
        const HeardCounts counted = c.bench.counted;
        for (const Telegram& t : answers)
            for (std::size_t i = 0; i < t.len; ++i)
                for (const unsigned bit : {0U, 3U, 7U}) {
                    std::vector<std::uint8_t> data{t.bytes().begin(), t.bytes().end()};
                    data[i] ^= static_cast<std::uint8_t>(1U << bit);
                    c.bench.now += 1s;  // so that pieces do not join
                    c.bench.read(data);
                }
        for (const Telegram& t : answers)
            for (std::size_t n = 0; n < t.len; ++n) {
                c.bench.now += 1s;
                c.bench.read(t.bytes().first(n));
            }
        CHECK(Picture{c.state()} == before);
        CHECK(c.bench.counted[0] == counted[0]);
        // And a flood of them, ended by one good answer.
        c.bench.now += 1s;
        for (int i = 0; i < 2000; ++i) {
            std::vector<std::uint8_t> noise(64);
            for (auto& b : noise) b = static_cast<std::uint8_t>(chance.bits() % 2 == 0 ? chance.bits() : answers[0].data[0]);
            c.bench.read(noise);
        }
        CHECK(Picture{c.state()} == before);
        c.run(5s);
        CHECK(c.state().voltage.is_fresh(c.bench.now));
    }
}

TEST_CASE("every battery: ticks move on, and early ones do nothing")
{
    for (const auto* info : battery_drivers()) {
        CAPTURE(info->name);
        Case c{*info};
        for (int i = 0; i < 1000; ++i) {
            c.run(17ms);
            c.bench.tick();
            const auto sent = c.said_by_driver();
            const Instant wake = c.bench.wake;
            REQUIRE(wake > c.bench.now);
            CHECK(wake - c.bench.now <= 100ms);
            c.bench.tick();  // at once again, and half way
            c.bench.now += (wake - c.bench.now) / 2;
            c.bench.tick();
            CHECK(c.said_by_driver() == sent);
            CHECK(c.bench.wake <= wake);
            if (i == 500) c.bench.order = ContactorOrder::close;
        }
    }
}

TEST_CASE("every battery: sends what its list allows, no sooner and no more")
{
    // SAFE-006: whatever is heard and ordered.
    for (const auto* info : battery_drivers())
        for (std::uint64_t seed = 1; seed <= 5; ++seed) {
            CAPTURE(info->name);
            CAPTURE(seed);
            sim::Chance chance{seed};
            const std::vector<Telegram> answers = answers_of(*info);
            Case c{*info};
            std::map<std::pair<std::uint32_t, int>, Instant> last;
            const auto look_at = [&](Instant at, const auto& said) {
                const auto rule = std::find_if(info->sends.begin(), info->sends.end(),
                    [&](const TxRule& r) { return r.id == said.id && r.extended == said.extended; });
                REQUIRE(rule != info->sends.end());
                CHECK(said.len == rule->len);
                const auto slot = std::make_pair(said.id, rule->paged ? int{said.data[0]} : -1);
                if (last.contains(slot)) CHECK(at - last[slot] >= rule->min_spacing);
                last[slot] = at;
            };
            std::size_t looked_at = 0, looked_at_written = 0;
            const auto look = [&] {
                for (; looked_at < c.bench.sent.size(); ++looked_at)
                    look_at(c.bench.sent[looked_at].at, c.bench.sent[looked_at].frame);
                for (; looked_at_written < c.bench.written.size(); ++looked_at_written)
                    look_at(c.bench.written[looked_at_written].at, c.bench.written[looked_at_written].telegram);
            };
            for (int i = 0; i < 400; ++i) {
                for (std::uint64_t n = chance.bits() % 4; n > 0; --n) hear_anything(c.bench, chance, answers);
                c.bench.order = static_cast<ContactorOrder>(chance.bits() % 3);
                c.run(std::chrono::milliseconds{chance.bits() % 120}, [&](Piece&) { return chance.bits() % 10 != 0; });
                c.bench.tick();
                look();
            }
        }
}

TEST_CASE("every battery: allocates nothing after it is made")
{
    for (const auto* info : battery_drivers()) {
        CAPTURE(info->name);
        sim::Chance chance{7};
        Case c{*info};
        // Recorded first, so that only the driver works while we count.
        std::vector<std::pair<Instant, Piece>> log;
        c.run(30s, [&](Piece& p) {
            log.emplace_back(c.bench.now, p);
            return true;
        });
        const std::vector<Telegram> answers = answers_of(*info);
        for (int i = 0; i < 2000; ++i) {
            Telegram noise;
            if (info->serial) {
                const auto data = any_bytes(chance, answers);
                std::copy(data.begin(), data.end(), noise.data.begin());
                noise.len = static_cast<std::uint8_t>(data.size());
            }
            log.emplace_back(log.back().first + 3ms, info->serial ? Piece{noise} : Piece{any_frame(*info, chance)});
        }
        BatteryConfig config;
        config.options = default_options(info->options);
        const auto driver =
            info->make({.config = config, .ages = ages_of(info->profile), .contactor_mode = commanding(info->profile)});
        Outbox out;
        HeardCounts counts{};
        int i = 0;
        counting = true;
        for (const auto& [at, piece] : log) {
            if (piece.telegram)
                driver->on_bytes(piece.telegram->bytes(), at, counts);
            else
                driver->on_frame(piece.frame, at);
            driver->on_tick(at, {.contactors = static_cast<ContactorOrder>(++i / 1000 % 3)}, out);
            (void)driver->facts();
            out.clear();
        }
        counting = false;
        CHECK(allocations == 0);
    }
}

TEST_CASE("every battery: the same frames give the same state and the same answers")
{
    // SAFE-002
    for (const auto* info : battery_drivers()) {
        sim::Chance one{9}, two{9};
        const std::vector<Telegram> answers = answers_of(*info);
        Case a{*info}, b{*info};
        for (auto* pair : {&a, &b}) {
            sim::Chance& chance = pair == &a ? one : two;
            for (int i = 0; i < 200; ++i) {
                hear_anything(pair->bench, chance, answers);
                pair->bench.order = static_cast<ContactorOrder>(i / 50 % 3);
                pair->run(100ms);
            }
        }
        REQUIRE(a.bench.sent.size() == b.bench.sent.size());
        for (std::size_t i = 0; i < a.bench.sent.size(); ++i) {
            CHECK(a.bench.sent[i].at == b.bench.sent[i].at);
            CHECK(a.bench.sent[i].frame == b.bench.sent[i].frame);
        }
        REQUIRE(a.bench.written.size() == b.bench.written.size());
        for (std::size_t i = 0; i < a.bench.written.size(); ++i) {
            CHECK(a.bench.written[i].at == b.bench.written[i].at);
            CHECK(a.bench.written[i].telegram == b.bench.written[i].telegram);
        }
        CHECK(Picture{a.state()} == Picture{b.state()});
    }
}

TEST_CASE("every battery: a frame that is missing takes only its own signals with it")
{
    // SAFE-303, SAFE-022: a recorded log of the simulated pack with the frames of one id left out. One module: of several, a
    // reading of them all is lost with any of them.
    for (const auto* info : battery_drivers()) {
        CAPTURE(info->name);
        Case whole{*info, {.modules = 1}};
        // Which frames each reading ever came of.
        std::map<const void*, std::set<std::uint32_t>> sources;
        whole.run(30s, [&](Piece&) {
            each_reading(whole.state(), [&](const auto& reading) { sources[&reading].insert(reading.source()); });
            return true;
        });
        REQUIRE(whole.state().voltage.is_fresh(whole.bench.now));
        for (const std::uint32_t left_out : whole.ids) {
            CAPTURE(left_out);
            Case c{*info, {.modules = 1}};
            c.run(30s, [&](Piece& p) { return p.id != left_out; });
            // Who gives no sign of life is asked for nothing else.
            if (info->serial && !c.state().heard) {
                CHECK(left_out == info->messages[0].id);
                continue;
            }
            std::vector<std::pair<bool, bool>> found;  // there, of the frame that is left out
            each_reading(c.state(),
                [&](const auto& reading) { found.emplace_back(reading.is_fresh(c.bench.now), reading.source() == left_out); });
            std::size_t i = 0;
            each_reading(whole.state(), [&](const auto& complete) {
                const auto [there, of_it] = found[i++];
                // Of other frames: there as before. Of this one: never heard, unless a second source steps in.
                if (!sources[&complete].contains(left_out)) CHECK(there == complete.is_fresh(whole.bench.now));
                CHECK_FALSE(of_it);
            });
        }
    }
}

TEST_CASE("every battery: with bits flipped at random no reading leaves its physical range")
{
    // SAFE-303, SAFE-025
    for (const auto* info : battery_drivers()) {
        CAPTURE(info->name);
        sim::Chance chance{11};
        Case c{*info};
        c.run(60s, [&](Piece& p) {
            if (chance.bits() % 20 == 0)
                p.data()[chance.bits() % p.data().size()] ^= static_cast<std::uint8_t>(1U << chance.bits() % 8);
            const BatteryState& s = c.state();
            const auto within = [](const auto& reading, auto low, auto high) {
                return !reading.last() || (*reading.last() >= low && *reading.last() <= high);
            };
            CHECK(within(s.voltage, 0_V, 1000_V));
            CHECK(within(s.cell_voltage_min, 500_mV, 5_V));
            CHECK(within(s.cell_voltage_max, 500_mV, 5_V));
            CHECK(within(s.soc, 0_pct, 100_pct));
            CHECK(within(s.temperature_min, Temperature::from_milli(-50'000), 120_degC));
            CHECK(within(s.temperature_max, Temperature::from_milli(-50'000), 120_degC));
            CHECK(within(s.charge_limit, 0_W, 400_kW));
            CHECK(within(s.discharge_limit, 0_W, 400_kW));
            CHECK(within(s.charge_limit_current, 0_A, 1000_A));
            CHECK(within(s.discharge_limit_current, 0_A, 1000_A));
            return true;
        });
    }
}

TEST_CASE("every battery: a log stretched to three times its length is no fresher than it is")
{
    // SAFE-303
    for (const auto* info : battery_drivers()) {
        CAPTURE(info->name);
        Case c{*info};
        std::vector<std::pair<Instant, Piece>> log;
        c.run(30s, [&](Piece& p) {
            log.emplace_back(c.bench.now, p);
            return true;
        });
        const Duration period = info->profile[SignalId::current].period;
        Bench slow{info->name};
        const Instant t0 = slow.now;
        // A question may have to wait for others; a frame that is sent unasked comes on time.
        const Duration longest = 3 * (period + (info->serial ? period : period / 10));
        bool known = false;
        for (auto& [at, piece] : log) {
            slow.now = t0 + 3 * (at - log.front().first);
            hear(slow, piece);
            known = known || slow.state().current.last();
            if (known) CHECK(slow.state().current.age(slow.now) <= longest);
        }
        CHECK(known);
        slow.now += 10s;
        CHECK_FALSE(slow.state().current.is_fresh(slow.now));
    }
}
