// What every inverter driver must do, whatever it speaks: run over the registry.
#include "inverter/registry.hpp"
#include "safety/grant_writer.hpp"
#include "sim/chance.hpp"
#include "tests/inverter/hvs_house.hpp"

#include <cstdlib>
#include <map>
#include <new>
#include <set>
#include <tuple>

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

struct Case {
    explicit Case(const InverterDriverInfo& i) : Case{i, default_options(i)} {}
    Case(const InverterDriverInfo& i, const Options& options) : info{i}
    {
        config.protocol = i.name;
        config.options = options;
        driver = i.make(config);
        battery.voltage.set(400_V, now);
        battery.current.set(1_A, now);
        battery.soc.set(50_pct, now);
        battery.temperature_max.set(20_degC, now);
        battery.temperature_min.set(18_degC, now);
        verdict.sequence = 1;
        verdict.pack = {
            .cells = 126, .energy_rated = 60.48_kWh, .voltage_max = 441_V, .voltage_min = 380_V, .voltage_nominal = 410.5_V};
        verdict.voltage_max = 441_V;
        verdict.voltage_min = 380_V;
    }
    void all_is_well()
    {
        verdict.battery_link = verdict.inverter_link = verdict.battery_valid = verdict.ready = true;
        verdict.state = GatewayState::run;
        verdict.charge = GrantWriter::write(4_kW, 10_A, Cause::config);
        verdict.discharge = GrantWriter::write(4_kW, 10_A, Cause::config);
    }
    void tick(Outbox& out)
    {
        verdict.at = now;
        ++verdict.sequence;
        next = driver->on_tick(now, {.verdict = verdict, .battery = battery}, out);
    }
    // A frame the driver reads, of any content.
    CanFrame any_frame(sim::Chance& chance) const
    {
        const auto receives = traffic().receives;
        const RxRule& rule = receives[chance.bits() % receives.size()];
        CanFrame f{.id = rule.id, .extended = rule.extended};
        const std::uint64_t bits = chance.bits();
        for (std::size_t i = 0; i < 8; ++i) f.data[i] = static_cast<std::uint8_t>(bits >> (8 * i));
        if (chance.bits() % 2 == 0) f.data[0] = static_cast<std::uint8_t>(bits & 1);
        return f;
    }
    InverterTraffic traffic() const { return info.traffic(config); }

    const InverterDriverInfo& info;
    InverterConfig config;
    std::unique_ptr<InverterDriver> driver;
    Verdict verdict;
    BatteryState battery;
    Instant now{std::chrono::hours{7} + 314159us};
    Instant next = now;
};

// The defaults, and each choice and each switch that may stand otherwise, one at a time.
std::vector<Options> variants(const InverterDriverInfo& info)
{
    std::vector<Options> all{default_options(info)};
    const auto with = [&](std::string_view name, const OptionValue& value) {
        Options o = all.front();
        o.set(name, value);
        if (info.objection == nullptr || !info.objection(o)) all.push_back(o);
    };
    for (const OptionRule& rule : info.options) {
        if (rule.type == OptionType::boolean) with(rule.name, rule.default_text != "true");
        for (const std::string_view choice : rule.choices)
            if (choice != rule.default_text) with(rule.name, std::string{choice});
    }
    return all;
}

bool listed(const Case& c, const CanFrame& f)
{
    const auto sends = c.traffic().sends;
    return std::any_of(
        sends.begin(), sends.end(), [&f](const TxRule& r) { return r.id == f.id && r.len == f.len && r.extended == f.extended; });
}

}  // namespace

TEST_CASE("every inverter driver says what it is, what it reads and what it sends")
{
    CHECK(!inverter_drivers().empty());
    std::set<std::string_view> names;
    for (const auto* info : inverter_drivers()) {
        CAPTURE(std::string{info->name});
        CHECK(names.insert(info->name).second);
        CHECK(find_inverter_driver(info->name) == info);
        CHECK(!info->models.empty());
        CHECK(!info->receives.empty());
        CHECK(!info->sends.empty());
        for (const TxRule& s : info->sends) {
            CHECK(s.period > Duration{});
            for (const RxRule& r : info->receives) CHECK(std::tie(s.id, s.extended) != std::tie(r.id, r.extended));  // SAFE-185
        }
        for (const MessageView& m : info->messages) {
            const bool sent = std::any_of(info->sends.begin(), info->sends.end(), [&m](const TxRule& s) { return s.id == m.id; });
            const bool read =
                std::any_of(info->receives.begin(), info->receives.end(), [&m](const RxRule& r) { return r.id == m.id; });
            CHECK(sent != read);
        }
        for (const OptionRule& o : info->options) {
            CHECK(!o.help.empty());
            if (o.type != OptionType::number && o.type != OptionType::integer) continue;
            CHECK(std::stod(std::string{o.default_text}) >= o.min);
            CHECK(std::stod(std::string{o.default_text}) <= o.max);
        }
        for (const InverterValue& v : info->values) CHECK(v.key.size() <= 15);
    }
    CHECK(find_inverter_driver("no-such") == nullptr);
}

TEST_CASE("every inverter driver is silent about a battery it knows nothing of")
{
    for (const auto* info : inverter_drivers()) {
        Case c{*info};
        c.verdict = Verdict{};
        c.battery = BatteryState{};
        sim::Chance chance{11};
        for (int i = 0; i < 3000; ++i) {
            c.driver->on_frame(c.any_frame(chance), c.now);
            Outbox out;
            c.tick(out);
            CHECK(out.frames().empty());
            CHECK(c.next > c.now);
            c.now += 50ms;
        }
    }
}

TEST_CASE("every inverter driver moves forward, keeps to its allow-list and to its spacing, whatever it hears")
{
    const auto lives = [](const InverterDriverInfo& driver, const Options& options, unsigned turns) {
        const InverterDriverInfo* const info = &driver;
        CAPTURE(std::string{info->name});
        Case c{*info, options};
        c.all_is_well();
        sim::Chance chance{12};
        std::map<std::tuple<std::uint32_t, int>, std::pair<Instant, bool>> last;
        std::uint64_t frames = 0;
        for (unsigned i = 0; i < turns; ++i) {
            if (chance.bits() % 3 == 0) c.driver->on_frame(c.any_frame(chance), c.now);
            if (chance.bits() % 200 == 0) c.verdict.ready = !c.verdict.ready;
            if (chance.bits() % 300 == 0) c.verdict.battery_valid = !c.verdict.battery_valid;
            if (chance.bits() % 500 == 0) c.verdict.may_fall_silent = !c.verdict.may_fall_silent;
            if (chance.bits() % 700 == 0) c.verdict.inverter_link = !c.verdict.inverter_link;
            if (chance.bits() % 900 == 0) c.verdict.override_soc = static_cast<Direction>(chance.bits() % 4);
            const auto amps = Current::from_milli(static_cast<std::int64_t>(chance.bits() % 60'000));
            if (chance.bits() % 20 == 0) c.verdict.charge = GrantWriter::write(20_kW, amps, Cause::config);
            Outbox out;
            c.tick(out);
            REQUIRE(c.next > c.now);
            CHECK(out.lost() == 0);
            CHECK(out.frames().size() <= 10);  // SAFE-263: fits a short interface queue
            for (const CanFrame& f : out.frames()) {
                ++frames;
                REQUIRE(listed(c, f));  // SAFE-006
                const auto sends = c.traffic().sends;
                const auto rule = std::find_if(sends.begin(), sends.end(), [&f](const TxRule& r) { return r.id == f.id; });
                const std::tuple key{f.id, rule->paged ? f.data[0] : 0};
                if (last.contains(key)) CHECK(c.now - last[key].first >= rule->min_spacing);
                last[key] = {c.now, true};
            }
            c.now += Duration{1 + static_cast<std::int64_t>(chance.bits() % 40'000)};
        }
        CHECK(frames > turns / 60);
        CHECK(frames < turns);
    };
    for (const auto* info : inverter_drivers()) {
        const auto all = variants(*info);
        lives(*info, all.front(), 60000);
        for (std::size_t i = 1; i < all.size(); ++i) lives(*info, all[i], 6000);
    }
}

TEST_CASE("every inverter driver does nothing when called too early")
{
    for (const auto* info : inverter_drivers())
        for (const Options& options : variants(*info)) {
            Case c{*info, options};
            c.all_is_well();
            for (const RxRule& r : c.traffic().receives)
                c.driver->on_frame({.id = r.id, .extended = r.extended, .data = {1}}, c.now);
            for (int i = 0; i < 400; ++i) {
                Outbox out;
                c.tick(out);
                Outbox again;
                const Instant wanted = c.next;
                c.tick(again);
                CHECK(again.frames().empty());
                CHECK(c.next <= wanted);
                c.now = wanted;
            }
        }
}

TEST_CASE("every inverter driver lets unknown ids and wrong lengths change nothing")
{
    for (const auto* info : inverter_drivers())
        for (const Options& options : variants(*info)) {
            CAPTURE(std::string{info->name});
            Case c{*info, options}, undisturbed{*info, options};
            for (Case* each : {&c, &undisturbed}) each->all_is_well();
            const auto receives = c.traffic().receives;
            const auto reads = [&](const CanFrame& f) {
                return std::any_of(
                    receives.begin(), receives.end(), [&f](const RxRule& r) { return r.id == f.id && r.extended == f.extended; });
            };
            // A message that is declared shorter may come longer: what follows is not the driver's business.
            const auto long_enough = [info](const CanFrame& f) {
                return f.len == 8 || std::any_of(info->messages.begin(), info->messages.end(), [&f](const MessageView& m) {
                    return m.id == f.id && m.extended == f.extended && m.len < 8 && m.len <= f.len;
                });
            };
            std::vector<std::uint32_t> ids;
            for (std::uint32_t id = 0; id < 0x800; ++id) ids.push_back(id);
            for (const RxRule& r : receives) ids.push_back(r.id);
            for (const std::uint32_t id : ids)
                for (const bool extended : {false, true})
                    for (std::uint8_t len = 0; len <= 8; ++len) {
                        const CanFrame f{.id = id, .extended = extended, .len = len};
                        if (!reads(f))
                            REQUIRE(c.driver->on_frame(f, c.now) == Heard::not_mine);
                        else if (!long_enough(f))
                            REQUIRE(c.driver->on_frame(f, c.now) == Heard::bad_length);
                    }
            CHECK(!c.driver->state().heard);
            Outbox out, as_if_nothing_had_come;
            c.tick(out);
            undisturbed.tick(as_if_nothing_had_come);
            CHECK(std::equal(out.frames().begin(), out.frames().end(), as_if_nothing_had_come.frames().begin(),
                as_if_nothing_had_come.frames().end()));
        }
}

TEST_CASE("every inverter driver works without the heap once it is made")
{
    for (const auto* info : inverter_drivers()) {
        Case c{*info};
        c.all_is_well();
        sim::Chance chance{13};
        counting = true;
        allocations = 0;
        unsigned frames = 0;
        for (int i = 0; i < 20000; ++i) {
            c.driver->on_frame(c.any_frame(chance), c.now);
            if (i % 1000 == 0) c.verdict.ready = !c.verdict.ready;
            Outbox out;
            c.tick(out);
            frames += static_cast<unsigned>(out.frames().size());
            c.now = std::min(c.next, c.now + 20ms);
        }
        counting = false;
        CHECK(allocations == 0);
        CHECK(frames > 100);
    }
}

TEST_CASE("every inverter driver says the same twice, given the same")
{
    for (const auto* info : inverter_drivers()) {
        const auto life = [info] {
            Case c{*info};
            c.all_is_well();
            sim::Chance chance{14};
            std::vector<std::string> said;
            for (int i = 0; i < 5000; ++i) {
                c.driver->on_frame(c.any_frame(chance), c.now);
                Outbox out;
                c.tick(out);
                for (const CanFrame& f : out.frames()) said.push_back(text(f));
                c.now += 17ms;
            }
            return said;
        };
        // SAFE-002
        CHECK(life() == life());
    }
}

TEST_CASE("every signal of every inverter message survives encoding and decoding, and touches no foreign bit")
{
    for (const auto* info : inverter_drivers())
        for (const MessageView& m : info->messages)
            for (const SignalView& s : m.signals) {
                CAPTURE(std::string{m.name});
                CAPTURE(std::string{s.name});
                const std::int64_t span = s.valid.max - s.valid.min;
                const std::int64_t stride = std::max<std::int64_t>(1, span / 70'000);  // all codes of up to 16 bits
                for (std::int64_t raw = s.valid.min; raw <= s.valid.max; raw += stride) {
                    CanFrame zeros{.id = m.id, .len = m.len}, ones = zeros;
                    ones.data.fill(0xFF);
                    write_raw(zeros, s.bits, raw);
                    write_raw(ones, s.bits, raw);
                    if (read_raw(zeros, s.bits) != raw || read_raw(ones, s.bits) != raw) FAIL(raw);
                    write_raw(zeros, s.bits, 0);
                    write_raw(ones, s.bits, -1);
                    for (const std::uint8_t b : zeros.data)
                        if (b != 0) FAIL(raw);
                    for (const std::uint8_t b : ones.data)
                        if (b != 0xFF) FAIL(raw);
                }
            }
}
