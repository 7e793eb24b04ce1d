#include "safety/operator.hpp"

#include "model/command_rate.hpp"

#include <doctest/doctest.h>

#include <initializer_list>
#include <optional>
#include <random>

using namespace batgw;

namespace {

// No round number: a component that confuses "now" with "never" is caught.
constexpr Instant t0{Duration{12'345'678'901}};

BatteryConfig config(Power charge_max = 10_kW, Power discharge_max = 8_kW)
{
    BatteryConfig c;
    c.max_charge = charge_max;
    c.max_discharge = discharge_max;
    c.charge = charge_max;
    c.discharge = discharge_max;
    return c;
}

Command switched(CommandKind kind, bool on)
{
    Command c;
    c.kind = kind;
    c.on = on;
    return c;
}

Command max_charge(std::optional<Power> power)
{
    Command c;
    c.kind = CommandKind::max_charge;
    c.charge_power = power;
    return c;
}

Command max_discharge(std::optional<Power> power)
{
    Command c;
    c.kind = CommandKind::max_discharge;
    c.discharge_power = power;
    return c;
}

struct Limits {
    std::optional<Power> charge_w, discharge_w;
    std::optional<Current> charge_a, discharge_a;
    std::optional<Duration> ttl;
    bool zero = false;
};

Command limits(const Limits& l)
{
    Command c;
    c.kind = CommandKind::limits;
    c.charge_power = l.charge_w;
    c.discharge_power = l.discharge_w;
    c.charge_current = l.charge_a;
    c.discharge_current = l.discharge_a;
    c.time_to_live = l.ttl;
    c.zero_on_expiry = l.zero;
    return c;
}

}  // namespace

TEST_CASE("operator: starts with both directions on and the configured limits, which may be below the ceilings")
{
    // MQTT-013
    BatteryConfig c = config();
    c.charge = 6_kW;
    const Operator op{c};
    CHECK(op.state().charge);
    CHECK(op.state().discharge);
    CHECK_FALSE(op.state().paused);
    CHECK_FALSE(op.state().contactors_open);
    CHECK(op.state().max_charge == 6_kW);
    CHECK(op.state().max_discharge == 8_kW);
    CHECK(op.state().charge_limit_default);
    CHECK(op.next_expiry() == end_of_time);
}

TEST_CASE("operator: switches go off and on, and saying so twice is answered `unchanged`")
{
    // SAFE-191
    Operator op{config()};
    Command off = switched(CommandKind::charge, false);
    off.id.assign("x1");
    off.ticket = 7;
    off.received = t0 - 3ms;
    const CommandResult r = op.apply(off, t0);
    CHECK(r.kind == CommandKind::charge);
    CHECK(r.code == CommandCode::ok);
    CHECK(r.id == "x1");
    CHECK(r.ticket == 7);
    CHECK(r.received == t0 - 3ms);
    CHECK(r.answered == t0);
    CHECK_FALSE(r.status.charge);
    CHECK(op.apply(off, t0).code == CommandCode::unchanged);
    CHECK(op.apply(switched(CommandKind::charge, true), t0).code == CommandCode::ok);
    CHECK(op.state().charge);

    CHECK(op.apply(switched(CommandKind::discharge, false), t0).code == CommandCode::ok);
    CHECK_FALSE(op.state().discharge);
    CHECK(op.apply(switched(CommandKind::pause, true), t0).code == CommandCode::ok);
    CHECK(op.state().paused);
    CHECK(op.apply(switched(CommandKind::pause, true), t0).code == CommandCode::unchanged);
    CHECK(op.apply(switched(CommandKind::ping, false), t0).code == CommandCode::ok);
}

TEST_CASE("operator: a limit out of range is refused with the numbers, and nothing is clipped")
{
    // MQTT-014, SAFE-191, SAFE-193
    Operator op{config()};
    const OperatorState before = op.state();
    CommandResult r = op.apply(max_charge(12_kW), t0);
    CHECK(r.code == CommandCode::out_of_range);
    CHECK(r.text == "12000 W is above the configured maximum 10000 W");
    CHECK(op.apply(max_charge(10'001_W), t0).code == CommandCode::out_of_range);
    CHECK(op.apply(max_discharge(8'001_W), t0).text == "8001 W is above the configured maximum 8000 W");
    CHECK(op.apply(max_charge(Power::from_milli(-1000)), t0).text == "-1 W is below 0 W");
    CHECK(op.apply(limits({.charge_w = Power::from_milli(10'000'250)}), t0).text ==
        "10000.25 W is above the configured maximum 10000 W");
    CHECK(op.apply(limits({.discharge_w = 9_kW}), t0).code == CommandCode::out_of_range);
    CHECK(op.apply(limits({.charge_a = Current::from_milli(-500)}), t0).text == "-0.5 A is below 0 A");
    CHECK(op.apply(limits({.discharge_a = Current::from_milli(-1)}), t0).text == "-0.001 A is below 0 A");
    CHECK(op.apply(limits({.charge_w = 1_kW, .ttl = 4999ms}), t0).text == "4.999 s is below the shortest time-to-live 5 s");
    CHECK(op.apply(limits({.charge_w = 1_kW, .ttl = 86'401s}), t0).text == "86401 s is above the longest time-to-live 86400 s");
    // One wrong part refuses the whole.
    CHECK(op.apply(limits({.charge_w = 1_kW, .discharge_w = 9_kW}), t0).code == CommandCode::out_of_range);
    CHECK(op.apply(max_charge({}), t0).code == CommandCode::bad_payload);
    CHECK(op.apply(max_discharge({}), t0).code == CommandCode::bad_payload);
    CHECK(op.apply(limits({.ttl = 60s}), t0).code == CommandCode::bad_payload);
    Command unknown;
    unknown.kind = static_cast<CommandKind>(99);
    CHECK(op.apply(unknown, t0).code == CommandCode::unknown_command);
    // A number of any size is a number.
    CHECK(op.apply(max_charge(Power::from_milli(INT64_MIN)), t0).text == "-9223372036854775.808 W is below 0 W");
    CHECK(op.apply(max_charge(Power::from_milli(INT64_MAX)), t0).code == CommandCode::out_of_range);
    CHECK(op.state() == before);
}

TEST_CASE("operator: 0 and the ceiling are in range")
{
    // MQTT-014
    Operator op{config()};
    CHECK(op.apply(max_charge(0_W), t0).code == CommandCode::ok);
    CHECK(op.state().max_charge == 0_W);
    CHECK_FALSE(op.state().charge_limit_default);
    CHECK(op.apply(max_charge(10_kW), t0).code == CommandCode::ok);
    CHECK(op.state().max_charge == 10_kW);
    CHECK(op.state().charge_limit_default);
    CHECK(op.apply(max_charge(10_kW), t0).code == CommandCode::unchanged);
    CHECK(op.apply(max_discharge(5_kW), t0).code == CommandCode::ok);
    CHECK(op.state().max_discharge == 5_kW);
}

TEST_CASE("operator: limits with a time-to-live end on schedule, released or at zero")
{
    // SAFE-195
    BatteryConfig c = config();
    c.charge = 6_kW;
    Operator op{c};
    CHECK(op.apply(limits({.charge_w = 3_kW, .discharge_w = 2_kW, .ttl = 120s}), t0).code == CommandCode::ok);
    CHECK(op.next_expiry() == t0 + 120s);
    CHECK(op.state().limits_expire == t0 + 120s);
    CHECK_FALSE(op.expire(t0 + 120s - 1us));
    CHECK(op.state().max_charge == 3_kW);
    CHECK(op.expire(t0 + 120s));
    CHECK(op.state().max_charge == 6_kW);
    CHECK(op.state().max_discharge == 8_kW);
    CHECK_FALSE(op.state().limits_expire);

    CHECK(op.apply(limits({.charge_w = 3_kW, .ttl = 5s, .zero = true}), t0).code == CommandCode::ok);
    CHECK(op.state().zero_on_expiry);
    CHECK(op.expire(t0 + 5s));
    CHECK(op.state().max_charge == 0_W);
    CHECK(op.state().max_discharge == 8_kW);
    CHECK_FALSE(op.state().zero_on_expiry);
    CHECK_FALSE(op.expire(t0 + 3600s));
    CHECK(op.state().max_charge == 0_W);
}

TEST_CASE("operator: renewal moves the end, and a command that comes when the time is over meets the released limit")
{
    // SAFE-195
    Operator op{config()};
    op.apply(limits({.charge_w = 3_kW, .ttl = 60s}), t0);
    CHECK(op.apply(limits({.charge_w = 3_kW, .ttl = 60s}), t0 + 30s).code == CommandCode::ok);
    CHECK_FALSE(op.expire(t0 + 89s));
    // Another valid command for the direction replaces limit and time-to-live.
    CHECK(op.apply(max_charge(4_kW), t0 + 89s).code == CommandCode::ok);
    CHECK_FALSE(op.expire(t0 + 1000s));
    CHECK(op.state().max_charge == 4_kW);
    // Nobody called expire() in between.
    op.apply(limits({.discharge_w = 1_kW, .ttl = 60s}), t0);
    CHECK(op.apply(switched(CommandKind::charge, false), t0 + 60s).status.max_discharge == 8_kW);
}

TEST_CASE("operator: `limits` and `max-*` write the same limit, the later wins, per direction")
{
    // MQTT-053
    Operator op{config()};
    op.apply(limits({.charge_w = 3_kW, .discharge_w = 3_kW, .charge_a = 5_A, .ttl = 100s}), t0);
    CHECK(op.state().max_charge_current == 5_A);
    op.apply(max_charge(2_kW), t0 + 1s);
    CHECK(op.state().max_charge == 2_kW);
    CHECK_FALSE(op.state().max_charge_current);
    // The other direction kept its limit and its time.
    CHECK(op.state().max_discharge == 3_kW);
    CHECK(op.state().limits_expire == t0 + 100s);
    // Dropping the later of two times is a change, though the next end stays.
    op.apply(limits({.charge_w = 2_kW, .ttl = 500s}), t0 + 1s);
    CHECK(op.apply(max_charge(2_kW), t0 + 2s).code == CommandCode::ok);
    CHECK(op.state().limits_expire == t0 + 100s);
    CHECK(op.apply(max_charge(2_kW), t0 + 2s).code == CommandCode::unchanged);
    // A current alone leaves the power at what is configured.
    op.apply(limits({.charge_a = 7_A, .discharge_a = 9_A}), t0 + 3s);
    CHECK(op.state().max_charge == 10_kW);
    CHECK(op.state().max_charge_current == 7_A);
    CHECK(op.state().max_discharge_current == 9_A);
    CHECK_FALSE(op.state().limits_expire);
}

TEST_CASE("operator: the earlier of two ends is the one shown")
{
    // SAFE-195
    Operator op{config()};
    op.apply(limits({.charge_w = 1_kW, .ttl = 100s}), t0);
    op.apply(limits({.discharge_w = 1_kW, .ttl = 50s, .zero = true}), t0);
    CHECK(op.next_expiry() == t0 + 50s);
    CHECK(op.state().zero_on_expiry);
    CHECK(op.expire(t0 + 50s));
    CHECK(op.state().max_discharge == 0_W);
    CHECK(op.next_expiry() == t0 + 100s);
    CHECK_FALSE(op.state().zero_on_expiry);
}

TEST_CASE("operator: open is kept until close, and close is a request that is taken once")
{
    // SAFE-191
    Operator op{config()};
    CHECK(op.apply(switched(CommandKind::contactor, false), t0).code == CommandCode::ok);
    CHECK(op.state().contactors_open);
    CHECK(op.apply(switched(CommandKind::contactor, false), t0).code == CommandCode::unchanged);
    CHECK_FALSE(op.take_close_request());
    CHECK(op.apply(switched(CommandKind::contactor, true), t0).code == CommandCode::ok);
    CHECK_FALSE(op.state().contactors_open);
    CHECK(op.take_close_request());
    CHECK_FALSE(op.take_close_request());
    // A close that the judge refused changes nothing.
    op.apply(switched(CommandKind::contactor, false), t0);
    op.apply(switched(CommandKind::contactor, true), t0);
    REQUIRE(op.take_close_request());
    op.refuse_close();
    CHECK(op.state().contactors_open);
    // An open withdraws a close that nobody has taken yet.
    op.apply(switched(CommandKind::contactor, true), t0);
    op.apply(switched(CommandKind::contactor, false), t0);
    CHECK_FALSE(op.take_close_request());
}

TEST_CASE("operator: restrictions survive a restart, times and permissions need not")
{
    // SAFE-196, MQTT-016
    Operator before{config()};
    before.apply(switched(CommandKind::charge, false), t0);
    before.apply(switched(CommandKind::pause, true), t0);
    before.apply(switched(CommandKind::contactor, false), t0);
    before.apply(limits({.charge_w = 3_kW, .charge_a = 4_A}), t0);
    before.apply(limits({.discharge_w = 1_kW, .ttl = 60s}), t0);

    Operator after{config()};
    after.restore(before.persistent());
    CHECK_FALSE(after.state().charge);
    CHECK(after.state().discharge);
    CHECK(after.state().paused);
    CHECK(after.state().contactors_open);
    CHECK(after.state().max_charge == 3_kW);
    CHECK(after.state().max_charge_current == 4_A);
    CHECK(after.state().max_discharge == 8_kW);
    CHECK(after.state().discharge_limit_default);
    CHECK_FALSE(after.state().limits_expire);
    // Switched back on: nothing of it is left after the next restart.
    after.apply(switched(CommandKind::charge, true), t0);
    Operator third{config()};
    third.restore(after.persistent());
    CHECK(third.state().charge);
}

TEST_CASE("operator: a limit that would have gone to zero is zero after a restart")
{
    // SAFE-195, SAFE-196
    Operator before{config()};
    before.apply(limits({.charge_w = 3_kW, .ttl = 60s, .zero = true}), t0);
    Operator after{config()};
    after.restore(before.persistent());
    CHECK(after.state().max_charge == 0_W);
}

TEST_CASE("operator: what was kept is cut down to today's ceilings, and what is nonsense does not raise anything")
{
    // SAFE-191, SAFE-196
    OperatorState kept;
    kept.max_charge = 9_kW;
    kept.max_discharge = Power::from_milli(-5);
    kept.max_discharge_current = Current::from_milli(-5);
    Operator op{config(5_kW, 5_kW)};
    op.restore(kept);
    CHECK(op.state().max_charge == 5_kW);
    CHECK(op.state().max_discharge == 0_W);
    CHECK(op.state().max_discharge_current == 0_A);
    // A limit nobody had commanded follows the configuration in both directions.
    Operator plain{config(5_kW, 5_kW)};
    Operator more{config(7_kW, 7_kW)};
    more.restore(plain.persistent());
    CHECK(more.state().max_charge == 7_kW);
}

TEST_CASE("operator: a reload cuts commanded limits to new ceilings and moves the others")
{
    // SAFE-191, SAFE-241
    Operator op{config()};
    op.apply(max_charge(7_kW), t0);
    BatteryConfig lower = config(5_kW, 6_kW);
    lower.discharge = 4_kW;
    op.reconfigure(lower);
    CHECK(op.state().max_charge == 5_kW);
    CHECK(op.state().max_discharge == 4_kW);
    CHECK(op.apply(max_charge(6_kW), t0).code == CommandCode::out_of_range);
    op.reconfigure(config());
    CHECK(op.state().max_charge == 5_kW);  // still what was commanded
    CHECK(op.state().max_discharge == 8_kW);
    CHECK(op.apply(max_charge(6_kW), t0).code == CommandCode::ok);
}

TEST_CASE("operator: no sequence of commands, times, restores and reloads lifts a limit above its ceiling")
{
    // SAFE-191, MQTT-054
    std::mt19937 random{20'260'301};
    const auto pick = [&](int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); };
    for (int run = 0; run < 200; ++run) {
        BatteryConfig c = config(Power::from_milli(pick(12'000) * 1000), Power::from_milli(pick(12'000) * 1000));
        Operator op{c};
        Instant now = t0;
        for (int i = 0; i < 100; ++i) {
            now += Duration{pick(20'000'000)};
            Command cmd;
            cmd.kind = static_cast<CommandKind>(pick(9));
            cmd.on = pick(2) == 1;
            const auto power = [&]() -> std::optional<Power> {
                if (pick(4) == 0) return std::nullopt;
                return Power::from_milli((pick(16'000) - 2000) * 1000);
            };
            cmd.charge_power = power();
            cmd.discharge_power = power();
            if (pick(2) == 0) cmd.time_to_live = std::chrono::seconds{pick(100'000)};
            cmd.zero_on_expiry = pick(2) == 1;
            op.apply(cmd, now);
            if (pick(10) == 0) op.expire(now);
            if (pick(20) == 0) {
                OperatorState kept = op.persistent();
                kept.max_charge = kept.max_charge * (1 + pick(3));
                op.restore(kept);
            }
            if (pick(20) == 0) {
                c = config(Power::from_milli(pick(12'000) * 1000), Power::from_milli(pick(12'000) * 1000));
                op.reconfigure(c);
            }
            REQUIRE(op.state().max_charge <= c.max_charge);
            REQUIRE(op.state().max_discharge <= c.max_discharge);
            REQUIRE(op.state().max_charge >= 0_W);
            REQUIRE(op.state().max_discharge >= 0_W);
        }
    }
}

TEST_CASE("command rate: a hundred in any ten seconds, one refusal a second is answered")
{
    // SAFE-193, MQTT-052
    using Answer = CommandRate::Answer;
    CommandRate rate;
    for (int i = 0; i < 100; ++i) CHECK(rate.ask(false, t0 + i * 1ms) == Answer::pass);
    CHECK(rate.ask(false, t0 + 100ms) == Answer::refuse);
    CHECK(rate.ask(false, t0 + 101ms) == Answer::refuse_silently);
    CHECK(rate.ask(false, t0 + 1099ms) == Answer::refuse_silently);
    CHECK(rate.ask(false, t0 + 1100ms) == Answer::refuse);
    CHECK(rate.refused() == 4);
    // The window slides: the first of the hundred leaves it after ten seconds, and makes room for one.
    CHECK(rate.ask(false, t0 + 10s - 1us) == Answer::refuse);
    CHECK(rate.ask(false, t0 + 10s) == Answer::pass);
    CHECK(rate.ask(false, t0 + 10s) == Answer::refuse_silently);
    CHECK(rate.ask(false, t0 + 10s + 1ms) == Answer::pass);
}

TEST_CASE("command rate: an OFF passes in a flood of a thousand commands a second")
{
    // SAFE-193
    CommandRate rate;
    int passed = 0;
    for (int i = 0; i < 20'000; ++i) {
        passed += rate.ask(false, t0 + i * 1ms) == CommandRate::Answer::pass ? 1 : 0;
        if (i % 100 == 0) REQUIRE(rate.ask(true, t0 + i * 1ms) == CommandRate::Answer::pass);
    }
    CHECK(passed == 200);
}

TEST_CASE("command rate: what only switches off is exempt")
{
    // SAFE-193, MQTT-052
    for (const CommandKind kind : {CommandKind::charge, CommandKind::discharge, CommandKind::contactor}) {
        CHECK(only_restricts(switched(kind, false)));
        CHECK_FALSE(only_restricts(switched(kind, true)));
    }
    CHECK(only_restricts(switched(CommandKind::pause, true)));
    CHECK_FALSE(only_restricts(switched(CommandKind::pause, false)));
    CHECK(only_restricts(max_charge(0_W)));
    CHECK_FALSE(only_restricts(max_charge(1_W)));
    CHECK(only_restricts(max_discharge(0_W)));
    CHECK_FALSE(only_restricts(max_discharge({})));
    CHECK_FALSE(only_restricts(limits({.charge_w = 0_W})));  // may end by itself
    CHECK_FALSE(only_restricts(switched(CommandKind::ping, false)));
}

TEST_CASE("operator: a limit whose end alone moves is a change, also where the other direction's end is the one shown")
{
    // SAFE-195, MQTT-053
    for (const bool charge : {true, false}) {
        CAPTURE(charge);
        Operator op{config()};
        const auto renew = [&](Duration ttl) {
            return op.apply(charge ? limits({.charge_w = 1_kW, .ttl = ttl}) : limits({.discharge_w = 1_kW, .ttl = ttl}), t0).code;
        };
        op.apply(charge ? limits({.discharge_w = 1_kW, .ttl = 50s}) : limits({.charge_w = 1_kW, .ttl = 50s}), t0);
        CHECK(renew(100s) == CommandCode::ok);
        CHECK(renew(100s) == CommandCode::unchanged);
        CHECK(renew(200s) == CommandCode::ok);
        CHECK(op.next_expiry() == t0 + 50s);
    }
}

TEST_CASE("operator: what is the judge's or the black box's is no command of his")
{
    // SAFE-193
    for (const CommandKind kind : {CommandKind::reset, CommandKind::capture}) {
        Operator op{config()};
        const OperatorState before = op.state();
        CHECK(op.apply(switched(kind, true), t0).code == CommandCode::unknown_command);
        CHECK(op.state() == before);
    }
}

TEST_CASE("operator: an answer names its command and says whether anything changed")
{
    Operator op{config()};
    CHECK_FALSE(op.take_close_request());
    const CommandResult first = op.apply(switched(CommandKind::charge, false), t0);
    CHECK(first.kind == CommandKind::charge);
    CHECK(first.text == "done");
    const CommandResult second = op.apply(switched(CommandKind::charge, false), t0 + 1s);
    CHECK(second.kind == CommandKind::charge);
    CHECK(second.text == "as it was");
}

TEST_CASE("operator: what is configured above a ceiling is the ceiling, at the start and after a reload")
{
    // SAFE-191
    BatteryConfig c = config(10_kW, 8_kW);
    c.charge = c.discharge = 12_kW;
    Operator op{c};
    CHECK(op.state().max_charge == 10_kW);
    CHECK(op.state().max_discharge == 8_kW);
    op.reconfigure(c);
    CHECK(op.state().max_charge == 10_kW);
    CHECK(op.state().max_discharge == 8_kW);
}

TEST_CASE(
    "operator: each limit is a default until a command or an earlier run says otherwise, and only what ends may end at zero")
{
    // SAFE-195, SAFE-196
    Operator op{config()};
    CHECK(op.state().charge_limit_default);
    CHECK(op.state().discharge_limit_default);
    CHECK_FALSE(op.state().zero_on_expiry);
    op.apply(max_charge(5_kW), t0);
    CHECK_FALSE(op.state().charge_limit_default);
    CHECK(op.state().discharge_limit_default);
    CHECK_FALSE(op.state().zero_on_expiry);
    op.apply(max_discharge(5_kW), t0);
    op.apply(switched(CommandKind::discharge, false), t0);
    CHECK_FALSE(op.state().discharge_limit_default);

    Operator next{config()};
    next.restore(op.persistent());
    CHECK_FALSE(next.state().discharge);
    CHECK(next.state().charge);
    CHECK_FALSE(next.state().charge_limit_default);
    CHECK_FALSE(next.state().discharge_limit_default);
    CHECK_FALSE(next.state().zero_on_expiry);
}
