// When a Pylontech high-voltage driver speaks, in which order and how fast, and when it does not. All frames are made up.
#include "tests/inverter/pylontech_hv_house.hpp"

using namespace batgw;
using namespace batgw::test;

namespace {

constexpr std::string_view ensemble = "00004200#0000000000000000", equipment = "00004200#0200000000000000",
                           detail_question = "00004200#0100000000000000";
const std::vector<std::uint32_t> ensemble_ids{0x4210, 0x4220, 0x4230, 0x4240, 0x4250, 0x4260, 0x4270, 0x4280, 0x4290};
const std::vector<std::uint32_t> equipment_ids{0x7310, 0x7320, 0x7330, 0x7340};
const std::string no_limit = "30753075";

std::vector<std::uint32_t> ids(const std::vector<Sent>& sent)
{
    std::vector<std::uint32_t> all;
    for (const Sent& s : sent) all.push_back(s.frame.id);
    return all;
}
std::vector<std::uint32_t> joined(std::vector<std::uint32_t> a, const std::vector<std::uint32_t>& b)
{
    a.insert(a.end(), b.begin(), b.end());
    return a;
}
std::string limits_of(const HvHouse& h) { return h.told(0x4220).substr(8); }

}  // namespace

TEST_CASE("pylontech_hv: nothing is sent without a request")
{
    HvHouse h;
    h.verdict.battery_valid = h.verdict.battery_link = h.verdict.ready = true;
    h.grant(25_A, 30_A);
    h.run(60s);
    CHECK(h.sent.empty());
    h.start_running();
    h.run(30s);
    CHECK(h.sent.empty());
}

TEST_CASE("pylontech_hv: silent until the battery is known, and an old question is not answered late")
{
    HvHouse h;
    h.hear(ensemble);
    h.hear(equipment);
    h.run(5s);
    CHECK(h.sent.empty());
    CHECK(h.state().heard);
    CHECK(h.state().requests == 2);
    h.verdict.battery_valid = true;
    h.judge();
    h.run(5s);
    CHECK(h.sent.empty());
    CHECK(h.ask_ensemble().size() == 9);
    CHECK(h.state().phase == InverterPhase::hold);
}

TEST_CASE("pylontech_hv: a battery that lacks what an answer needs is not told of")
{
    for (int missing = 0; missing < 5; ++missing) {
        HvHouse h;
        h.verdict.battery_valid = true;
        switch (missing) {
        case 0: h.battery.voltage.forget(); break;
        case 1: h.battery.soc.forget(); break;
        case 2: h.battery.temperature_max.forget(); break;
        case 3: h.battery.temperature_min.forget(); break;
        default: h.verdict.voltage_max.reset();
        }
        CHECK(h.ask_ensemble().empty());
    }
}

TEST_CASE("pylontech_hv: nine frames answer the ensemble question, four the equipment question, in order, 10 ms apart, at once")
{
    HvHouse h;
    h.verdict.battery_valid = true;
    h.ask_equipment();
    CHECK(ids(h.sent) == equipment_ids);
    const Instant asked = h.now;
    h.ask_ensemble();
    CHECK(ids(h.sent) == ensemble_ids);
    for (std::size_t i = 0; i < h.sent.size(); ++i) {
        CHECK(h.sent[i].at == asked + i * 10ms);
        CHECK(h.sent[i].frame.extended);
        CHECK(h.sent[i].frame.len == 8);
    }
    CHECK(h.texts(0x7330).empty());
}

TEST_CASE("pylontech_hv: the pace is an option")
{
    HvHouse h{{{"pace_ms", std::int64_t{20}}}};
    h.verdict.battery_valid = true;
    h.ask_ensemble();
    REQUIRE(h.sent.size() == 9);
    CHECK(h.sent.back().at - h.sent.front().at == 160ms);
}

TEST_CASE("pylontech_hv: only the first byte of a request counts, and a question nobody knows is not life")
{
    HvHouse h;
    h.verdict.battery_valid = true;
    CHECK(h.ask("00004200#02000000000000E8").size() == 4);
    CHECK(h.ask("00004200#00FFFFFFFFFFFFFF").size() == 9);
    CHECK(h.ask(detail_question).empty());
    CHECK(h.hear(detail_question) == Heard::used);
    const auto heard = h.state().heard;
    h.run(1s);
    CHECK(h.hear("00004200#0300000000000000") == Heard::implausible);
    CHECK(h.state().heard == heard);
    CHECK(h.hear("00003010#0000000000000000") == Heard::used);
    CHECK(h.state().heard == h.now);
}

TEST_CASE("pylontech_hv: questions are answered in the order they came, each as often as asked, but not more than one ahead")
{
    HvHouse h;
    h.verdict.battery_valid = true;
    h.hear(equipment);
    h.hear(ensemble);
    h.run(500ms);
    CHECK(ids(h.sent) == joined(equipment_ids, ensemble_ids));

    h.sent.clear();
    h.hear(ensemble);
    h.run(35ms);
    for (int i = 0; i < 5; ++i) h.hear(ensemble);  // while the answer is under way
    h.run(500ms);
    CHECK(ids(h.sent) == joined(ensemble_ids, ensemble_ids));
}

TEST_CASE("pylontech_hv: a storm of questions brings whole answers in order, at the pace of the answers")
{
    HvHouse h;
    h.verdict.battery_valid = true;
    for (int i = 0; i < 1000; ++i) {
        h.hear(i % 2 == 0 ? ensemble : equipment);
        h.run(1ms);
    }
    h.run(1s);
    CHECK(h.sent.size() <= 130);
    const auto round = joined(ensemble_ids, equipment_ids);
    const auto all = ids(h.sent);
    for (std::size_t i = 0; i < all.size(); ++i) CHECK(all[i] == round[i % round.size()]);
    for (std::size_t i = 1; i < h.sent.size(); ++i) CHECK(h.sent[i].at - h.sent[i - 1].at >= 10ms);
}

TEST_CASE("pylontech_hv: frames of another id, length, format or address change nothing")
{
    HvHouse h{{{"address", std::int64_t{1}}}};
    h.verdict.battery_valid = true;
    for (const char* stranger : {"200#0000000000000000", "00004201#0000000000000000", "00004210#0000000000000000",
             "00008200#AA00000000000000", "00008202#AA00000000000000", "00008240#AA00000000000000", "00003011#0000000000000000"})
        CHECK(h.hear(stranger) == Heard::not_mine);
    CHECK(h.driver->on_frame({.id = 0x4200, .extended = false}, h.now) == Heard::not_mine);
    for (const char* cut : {"00004200#00", "00004200#00000000000000", "00008201#AA", "00008241#AA", "00003010#"})
        CHECK(h.hear(cut) == Heard::bad_length);
    CHECK_FALSE(h.state().heard);
    h.run(1s);
    CHECK(h.sent.empty());
    CHECK(h.hear("00008201#AA00000000000000") == Heard::used);
}

TEST_CASE("pylontech_hv: every address answers under its own identifiers and reads its own orders only")
{
    for (std::uint32_t address = 0; address < 16; ++address) {
        HvHouse h{{{"address", std::int64_t{address}}}};
        h.verdict.battery_valid = true;
        h.ask_ensemble();
        auto expected = ensemble_ids;
        for (auto& id : expected) id += address;
        CHECK(ids(h.sent) == expected);
        h.ask_equipment();
        expected = equipment_ids;
        for (auto& id : expected) id += address;
        CHECK(ids(h.sent) == expected);

        InverterConfig config;
        config.options = default_options(h.info);
        config.options.set("address", std::int64_t{address});
        const InverterTraffic traffic = h.info.traffic(config);
        CHECK(traffic.sends.size() == 14);
        for (const Sent& s : h.sent)
            CHECK(std::any_of(traffic.sends.begin(), traffic.sends.end(), [&s](const TxRule& r) { return r.id == s.frame.id; }));
        CHECK(traffic.receives.size() == 5);
        for (const RxRule& r : traffic.receives)
            CHECK(h.driver->on_frame({.id = r.id, .extended = true, .data = {0xAA, 0xAA}}, h.now) != Heard::not_mine);
    }
}

TEST_CASE("pylontech_hv: hiding a lost link is always refused")
{
    HvHouse h;
    h.verdict.battery_valid = true;
    // Not spoken with yet: not even a refusal.
    CHECK(h.ask("00008240#AA00000000000000").empty());
    h.ask_ensemble();
    CHECK(h.ask("00008240#AA00000000000000") == std::vector<std::string>{"00008250#0000000000000000"});
    CHECK(h.hear("00008240#5500000000000000") == Heard::implausible);
    // In the middle of an answer it does not wait.
    h.sent.clear();
    h.hear(ensemble);
    h.run(25ms);
    h.hear("00008240#AA00000000000000");
    h.run(500ms);
    const auto all = ids(h.sent);
    CHECK(all.size() == 10);
    CHECK(std::find(all.begin(), all.end(), 0x8250) - all.begin() == 3);
}

TEST_CASE("pylontech_hv: an order to close the relay changes nothing, and is a sign of life")
{
    HvHouse h;
    h.start_running();
    h.grant(0_A, 30_A);
    CHECK(h.hear("00008210#AA00000000000000") == Heard::used);
    h.ask_ensemble();
    CHECK(limits_of(h) == "30755C76");
    CHECK(h.told(0x4280) == "AA00000000000000");
}

TEST_CASE("pylontech_hv: sleep is ignored, unless it is allowed")
{
    HvHouse h;
    h.start_running();
    CHECK(h.hear("00008200#5500000000000000") == Heard::used);
    CHECK(h.hear("00008200#1200000000000000") == Heard::implausible);
    h.run_asked(10s);
    CHECK(limits_of(h) == "2A765C76");

    HvHouse obeys{{{"allow_sleep", true}}};
    obeys.start_running();
    obeys.verdict.contactors.state = ContactorState::closed;
    obeys.hear("00008200#5500000000000000");
    obeys.run_asked(10s);
    CHECK(limits_of(obeys) == no_limit);
    CHECK(obeys.told(0x4250).substr(0, 2) == "01");  // current flows still: not asleep
    obeys.verdict.contactors.state = ContactorState::open;
    obeys.run_asked(2s);
    CHECK(obeys.told(0x4250).substr(0, 2) == "00");
    obeys.hear("00008200#AA00000000000000");
    obeys.run_asked(3s);
    CHECK(limits_of(obeys) == no_limit);
    obeys.run_asked(5s);
    CHECK(limits_of(obeys) == "2A765C76");
}

TEST_CASE("pylontech_hv: the first answers forbid everything, power is told after ready_s")
{
    HvHouse h;
    h.verdict.battery_valid = h.verdict.battery_link = h.verdict.ready = true;
    h.grant(25_A, 30_A);
    const Instant begin = h.now;
    h.ask_ensemble();
    CHECK(limits_of(h) == no_limit);
    CHECK(h.told(0x4280) == "AAAA000000000000");
    CHECK(h.told(0x4250) == "0300000000000000");
    while (h.now < begin + 4900ms) {
        h.ask_ensemble();
        CHECK(limits_of(h) == no_limit);
    }
    h.run_asked(1s);
    h.ask_ensemble();
    CHECK(limits_of(h) == "2A765C76");
    CHECK(h.told(0x4280) == "0000000000000000");
    CHECK(h.told(0x4250) == "0100000000000000");  // charging 12.3 A
    CHECK(h.state().phase == InverterPhase::run);
}

TEST_CASE("pylontech_hv: power is not told before a zero limit was, however long that takes")
{
    HvHouse h;
    h.verdict.battery_valid = h.verdict.battery_link = h.verdict.ready = true;
    h.grant(25_A, 30_A);
    for (int i = 0; i < 30; ++i) h.ask_equipment();
    CHECK(h.state().phase == InverterPhase::hold);
    h.ask_ensemble();
    CHECK(limits_of(h) == no_limit);
    h.run(200ms);
    h.ask_ensemble();
    CHECK(limits_of(h) == "2A765C76");
}

TEST_CASE("pylontech_hv: a limit that falls is in the next answer, and in the marks of the one under way")
{
    // SAFE-091: nothing goes out unasked, the inverter's own beat is the cycle.
    HvHouse h;
    h.start_running();
    h.hear(ensemble);
    h.run(35ms);  // the limits are out
    h.grant(0_A, 30_A);
    h.run(200ms);
    CHECK(limits_of(h) == "2A765C76");
    CHECK(h.told(0x4280) == "AA00000000000000");
    h.hear(ensemble);
    h.run(35ms);
    CHECK(limits_of(h) == "30755C76");
    h.grant(25_A, 30_A);  // rises in the middle: the marks still agree with the limit of this answer
    h.run(200ms);
    CHECK(h.told(0x4280) == "AA00000000000000");
    h.ask_ensemble();
    CHECK(limits_of(h) == "2A765C76");
    CHECK(h.told(0x4280) == "0000000000000000");
}

TEST_CASE("pylontech_hv: not ready is zero at once, and power comes back after another ready_s")
{
    HvHouse h;
    h.start_running();
    h.verdict.ready = false;
    h.judge();
    h.ask_ensemble();
    CHECK(limits_of(h) == no_limit);
    CHECK(h.told(0x4280) == "AAAA000000000000");
    CHECK(h.state().phase == InverterPhase::fault);
    h.verdict.ready = true;
    h.judge();
    h.run_asked(4s);
    CHECK(h.state().phase == InverterPhase::hold);
    CHECK(limits_of(h) == no_limit);
    h.run_asked(3s);
    CHECK(limits_of(h) == "2A765C76");
}

TEST_CASE("pylontech_hv: a lost inverter is not answered from memory, and starts with zero when it returns")
{
    // SAFE-182
    HvHouse h;
    h.start_running();
    h.run(2s);
    h.verdict.inverter_link = false;
    h.judge();
    h.run(10s);
    CHECK(h.sent.empty());
    CHECK(h.state().phase == InverterPhase::silent);
    h.hear(ensemble);
    h.verdict.inverter_link = true;
    h.judge();
    h.run(300ms);
    CHECK(h.sent.size() == 9);
    CHECK(limits_of(h) == no_limit);
    h.run_asked(7s);
    CHECK(limits_of(h) == "2A765C76");
}

TEST_CASE("pylontech_hv: a lost battery is still told of, with zeros, marks and the communication fault")
{
    // SAFE-110, SAFE-112: this protocol has fault bits, silence is not the default.
    HvHouse h;
    h.start_running();
    h.battery.current.forget();
    h.verdict.battery_valid = h.verdict.battery_link = h.verdict.ready = false;
    h.verdict.may_fall_silent = true;
    h.verdict.state = GatewayState::block;
    h.grant(0_A, 0_A);
    ActiveFault lost;
    lost.id = FaultId::bat_link_lost;
    lost.level = FaultClass::block;
    lost.direction = Direction::both;
    h.report(lost);
    h.run_asked(300s);
    CHECK(h.ask_ensemble().size() == 9);
    CHECK(limits_of(h) == no_limit);
    CHECK(h.told(0x4280) == "AAAA000000000000");
    CHECK(h.told(0x4250) == "0300000400000000");
    CHECK(h.told(0x4210) == "B80D30755D043262");  // 351.2 V, no current claimed, the last of the rest
    CHECK(h.ask_equipment().size() == 4);

    HvHouse quiet{{{"silence_on_fault", true}}};
    quiet.start_running();
    quiet.verdict.ready = false;
    quiet.grant(0_A, 0_A);
    CHECK(quiet.ask_ensemble().size() == 9);
    quiet.verdict.may_fall_silent = true;  // 30 s of zero and contactors open: the judge knows
    quiet.judge();
    CHECK(quiet.ask_ensemble().empty());
    CHECK(quiet.state().phase == InverterPhase::silent);
    quiet.verdict.may_fall_silent = false;
    quiet.verdict.ready = true;
    quiet.judge();
    CHECK(quiet.ask_ensemble().size() == 9);
}

TEST_CASE("pylontech_hv: nothing is answered while stopped, muted or only observing")
{
    for (int reason = 0; reason < 3; ++reason) {
        HvHouse h;
        h.start_running();
        if (reason == 0) h.verdict.stopped = true;
        if (reason == 1) h.verdict.mute_inverter = true;
        if (reason == 2) h.verdict.state = GatewayState::observe;
        h.judge();
        CHECK(h.ask_ensemble().empty());
        CHECK(h.ask_equipment().empty());
        CHECK(h.ask("00008240#AA00000000000000").empty());
    }
}

TEST_CASE("pylontech_hv: unasked, an inverter that never asks is told once a second, equipment first")
{
    HvHouse h{{{"unasked", true}}};
    h.verdict.inverter_link = false;  // it never speaks
    h.run(10s);
    CHECK(h.sent.empty());  // still not without a battery
    h.verdict.battery_valid = h.verdict.battery_link = h.verdict.ready = true;
    h.grant(25_A, 30_A);
    h.run(300ms);
    CHECK(ids(h.sent) == joined(equipment_ids, ensemble_ids));
    CHECK(limits_of(h) == no_limit);
    h.run(20s);
    CHECK(limits_of(h) == "2A765C76");
    CHECK(h.times(0x4220).size() == 21);
    CHECK(h.times(0x7310).size() == 1);
    h.run(60s);
    CHECK(h.times(0x7310).size() == 2);

    // SAFE-091: a limit that falls does not wait for the beat, but not closer than 200 ms either.
    h.run_until_sent(0x4290);
    h.run(250ms);
    h.sent.clear();
    h.grant(20_A, 30_A);
    h.run(20ms);
    CHECK(limits_of(h) == "F8755C76");
    const Instant first = h.times(0x4220).at(0);
    h.grant(10_A, 30_A);
    h.run(500ms);
    REQUIRE(h.times(0x4220).size() >= 2);
    CHECK(h.times(0x4220).at(1) - first >= 190ms);
}

TEST_CASE("pylontech_hv: unasked, an inverter that does ask is only answered")
{
    HvHouse h{{{"unasked", true}}};
    h.verdict.battery_valid = h.verdict.battery_link = h.verdict.ready = true;
    h.grant(25_A, 30_A);
    h.run(4900ms);
    CHECK(h.sent.empty());
    h.run_asked(10s);
    CHECK(h.sent.size() == 90);
    h.sent.clear();
    h.run(3900ms);
    CHECK(h.sent.empty());
    h.run(2s);
    CHECK_FALSE(h.sent.empty());

    InverterConfig config;
    config.options = default_options(h.info);
    SafetyConfig safety;
    h.info.adjust(config, safety);
    CHECK_FALSE(safety.inverter_link.information_only);
    CHECK(safety.inverter_link.lost == 60s);
    config.options.set("unasked", true);
    config.options.set("lost_s", 90.0);
    config.options.set("soc_clamp", true);
    h.info.adjust(config, safety);
    CHECK(safety.inverter_link.information_only);
    CHECK(safety.inverter_link.lost == 90s);
    CHECK(safety.inverter_link.soc_override);
}
