// The simulated Daly board, heard byte by byte: what it answers, when, and how it can be made to misbehave.
#include "sim/daly_bms.hpp"

#include "battery/daly_frame.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

using namespace batgw;
namespace layout = daly;

namespace {

struct Answer {
    Instant at;
    std::vector<std::uint8_t> bytes;
};

struct Line {
    explicit Line(const sim::BatteryChoice& choice = {}) : board{choice} { run(100ms); }

    void run(Duration time)
    {
        for (const Instant end = now + time; now < end;) {
            now += 1ms;
            Outbox out;
            const Instant next = board.on_tick(now, out);
            CHECK(next > now);
            CHECK(out.frames().empty());
            for (const Telegram& t : out.telegrams()) heard.push_back({now, {t.bytes().begin(), t.bytes().end()}});
        }
    }
    // Everything that comes back within half a second.
    std::vector<Answer> ask(std::uint32_t command, std::uint8_t first = 0, std::uint8_t host = 0x40)
    {
        heard.clear();
        CanFrame f{.id = command};
        f.data[0] = first;
        asked = now;
        board.on_bytes(layout::make_frame(host, f).bytes(), now);
        run(500ms);
        return heard;
    }
    // Of one answer in one frame, checked.
    CanFrame one(std::uint32_t command, std::uint8_t first = 0)
    {
        const auto answers = ask(command, first);
        REQUIRE(answers.size() == 1);
        return decoded(answers[0]);
    }
    static CanFrame decoded(const Answer& a)
    {
        layout::Scanner scanner;
        auto outcome = layout::Scanner::Outcome::nothing;
        for (const std::uint8_t b : a.bytes) outcome = scanner.push(b);
        REQUIRE(outcome == layout::Scanner::Outcome::frame);
        CHECK(scanner.address() == 1);
        return scanner.data();
    }
    bool tell(std::string_view line) { return board.command(line).starts_with("ok"); }

    sim::DalyBms board;
    Instant now{std::chrono::hours{2} + 77us};
    Instant asked{};
    std::vector<Answer> heard;
};

}  // namespace

TEST_CASE("simulated daly: every question is answered, 50 to 95 ms later, at the speed of the line")
{
    Line l;
    for (const std::uint32_t command :
        {0x50U, 0x51U, 0x52U, 0x53U, 0x54U, 0x57U, 0x59U, 0x90U, 0x91U, 0x92U, 0x93U, 0x94U, 0x95U, 0x96U, 0x97U, 0x98U}) {
        CAPTURE(command);
        const auto answers = l.ask(command);
        if (command == 0x51 || command == 0x53) {  // many boards leave these out
            CHECK(answers.empty());
            continue;
        }
        REQUIRE_FALSE(answers.empty());
        CHECK(answers[0].at - l.asked >= 63ms);
        CHECK(answers[0].at - l.asked <= 95ms);
        for (std::size_t i = 1; i < answers.size(); ++i) CHECK(answers[i].at - answers[i - 1].at >= 13ms);
        for (const Answer& a : answers) CHECK(Line::decoded(a).id == command);
    }
    CHECK(l.ask(0x95).size() == 6);
    CHECK(l.ask(0x96).size() == 1);
    CHECK(l.ask(0x57).size() == 5);
    CHECK(l.ask(0x21).empty());
    CHECK(l.ask(0x90, 0, 0x41).empty());  // another board's
    CHECK(l.ask(0x90, 0, 0x80).size() == 1);
}

TEST_CASE("simulated daly: what it says is what its cells are")
{
    Line l{{.soc = 60_pct}};
    l.board.set_current(-20_A);
    l.run(200ms);
    CanFrame f = l.one(0x90);
    CHECK(magnitude(*layout::voltage(f) - l.board.pack_voltage()) <= 100_mV);
    CHECK(layout::wire_current(f) == 20_A);  // discharge upwards
    CHECK(magnitude(*layout::soc(f) - 60_pct) <= Percent::from_milli(200));
    f = l.one(0x93);
    CHECK(layout::flow(f) == 2);
    CHECK(layout::charge_on(f) == 1);
    CHECK(layout::discharge_on(f) == 1);
    CHECK(layout::life(f) != layout::life(l.one(0x93)));
    CHECK(l.tell("sign charge"));
    CHECK(layout::wire_current(l.one(0x90)) == -20_A);
    CHECK(layout::cell_count(l.one(0x94)) == 16);
    CHECK(layout::rated_capacity(l.one(0x50)) == 100_Ah);
    CHECK(l.board.true_soc() < 60_pct);
    l.board.set_output_voltage(50_V);
    CHECK(l.board.output_voltage() == 50_V);
}

TEST_CASE("simulated daly: what an answer does not fill is left over of the one before")
{
    Line l;
    const CanFrame totals = l.one(0x90), extremes = l.one(0x91);
    CHECK(extremes.data[6] == totals.data[6]);
    CHECK(extremes.data[7] == totals.data[7]);
}

TEST_CASE("simulated daly: who is still answering hears no question")
{
    Line l;
    l.heard.clear();
    for (const std::uint32_t command : {0x90U, 0x91U})
        l.board.on_bytes(layout::make_frame(0x40, CanFrame{.id = command}).bytes(), l.now);
    l.run(500ms);
    REQUIRE(l.heard.size() == 1);
    CHECK(l.heard[0].bytes[2] == 0x90);
    CHECK(l.board.questions() == 2);
}

TEST_CASE("simulated daly: MOSFETs do as told, and protections hold them off")
{
    Line l;
    CHECK(l.one(0xD9, 0).data[0] == 0);
    CHECK(layout::discharge_on(l.one(0x93)) == 0);
    CHECK(l.board.connection() == sim::Connection::closed);  // charging is still on
    l.board.set_current(-10_A);
    CHECK(l.board.current() == 0_A);
    l.board.set_current(10_A);
    CHECK(l.board.current() == 10_A);
    CHECK(l.one(0xDA, 0).data[0] == 0);
    CHECK(l.board.connection() == sim::Connection::open);
    CHECK(l.one(0xDA, 1).data[0] == 1);
    CHECK(l.one(0xD9, 1).data[0] == 1);
    CHECK(l.board.orders() == 4);

    CHECK(l.tell("cell 4 3.66"));
    l.run(100ms);
    CHECK(layout::charge_on(l.one(0x93)) == 0);
    CHECK((l.one(0x98).data[0] & 0x02) != 0);
    CHECK(l.tell("cell 4 3.55"));  // not back yet
    l.run(100ms);
    CHECK(layout::charge_on(l.one(0x93)) == 0);
    CHECK(l.tell("cell 4 off"));
    l.run(100ms);
    CHECK(layout::charge_on(l.one(0x93)) == 1);
    CHECK(l.tell("cell 4 2.5"));
    l.run(100ms);
    CHECK(layout::discharge_on(l.one(0x93)) == 0);
    CHECK(l.tell("mend"));
    l.run(100ms);
    CHECK(l.tell("temp -5"));
    l.run(100ms);
    CHECK((l.one(0x98).data[1] & 0x08) != 0);
    CHECK(l.tell("temp 70"));
    l.run(100ms);
    CHECK((l.one(0x98).data[1] & 0x22) == 0x22);
    CHECK(l.board.connection() == sim::Connection::open);
    CHECK(l.tell("switch charge stuck"));
    CHECK(l.board.connection() == sim::Connection::closed);
    CHECK(l.tell("switch charge free"));
}

TEST_CASE("simulated daly: it misbehaves as asked")
{
    Line l;
    CHECK(l.tell("silent on"));
    CHECK(l.ask(0x90).empty());
    CHECK(l.tell("silent off"));
    CHECK(l.tell("sleep on"));
    auto answers = l.ask(0x90);
    REQUIRE(answers.size() == 1);
    CHECK(answers[0].bytes[1] == 0x40);
    CHECK(answers[0].at - l.asked < 20ms);
    CHECK(l.tell("sleep off"));
    CHECK(l.tell("echo on"));
    CHECK(l.ask(0x90).size() == 2);
    CHECK(l.tell("mend"));
    CHECK(l.tell("nodata on"));
    CHECK(l.one(0x90).data == CanFrame{}.data);
    CHECK(l.tell("nodata off"));
    CHECK(l.tell("delay 300"));
    CHECK(l.ask(0x90)[0].at - l.asked > 350ms);
    CHECK(l.tell("delay 0"));
    CHECK(l.tell("lose 100"));
    CHECK(l.ask(0x90).empty());
    CHECK(l.tell("lose 0"));
    CHECK(l.tell("damage 100"));
    layout::Scanner scanner;
    bool frame = false;
    const auto damaged = l.ask(0x90);
    REQUIRE(damaged.size() == 1);
    for (const std::uint8_t b : damaged[0].bytes) frame = frame || scanner.push(b) == layout::Scanner::Outcome::frame;
    CHECK_FALSE(frame);
    CHECK(l.tell("damage 0"));
    CHECK(l.tell("chatter on"));
    CHECK(l.ask(0x90).size() == 2);
    CHECK(l.tell("chatter off"));
    CHECK(l.tell("stop 90"));
    CHECK(l.ask(0x90).empty());
    CHECK(l.tell("resume 90"));
    CHECK(l.tell("stop 91"));
    CHECK(l.tell("resume all"));
    CHECK(l.ask(0x91).size() == 1);
    CHECK(l.tell("host 80"));
    CHECK(l.ask(0x90).empty());
    CHECK(l.tell("host 40"));
    CHECK(l.ask(0x90, 0, 0x80).empty());
    CHECK(l.tell("host any"));
    CHECK(l.tell("life off"));
    CHECK(layout::life(l.one(0x93)) == layout::life(l.one(0x93)));
    CHECK(l.tell("life on"));
    CHECK(l.tell("fault 5 1 on"));
    CHECK(l.one(0x98).data[5] == 2);
    CHECK(l.tell("fault 5 1 off"));
    CHECK(l.tell("fault code 17"));
    CHECK(l.one(0x98).data[7] == 17);
    CHECK(l.tell("voltage 60"));
    CHECK(layout::voltage(l.one(0x90)) == 60_V);
    CHECK(l.tell("voltage off"));
    CHECK(l.tell("freeze on"));
    CHECK(l.tell("soc 20"));
    CHECK(*layout::soc(l.one(0x90)) > 50_pct);
    CHECK(l.tell("freeze off"));
    CHECK(*layout::soc(l.one(0x90)) < 21_pct);
    CHECK(l.tell("current -5"));
    CHECK(l.board.current() == -5_A);
    CHECK(l.tell("beside 8"));
    CHECK(l.board.current() == 3_A);
    CHECK(l.tell("temp 1 30"));
    CHECK(layout::temperature_max(l.one(0x92)) == 30_degC);
}

TEST_CASE("simulated daly: cells in more frames than needed, from zero, backwards")
{
    Line l;
    CHECK(l.tell("frames all"));
    CHECK(l.ask(0x95).size() == 16);
    CHECK(l.ask(0x96).size() == 3);
    CHECK(l.tell("frames more"));
    CHECK(l.ask(0x95).size() == 7);
    CHECK(l.tell("frames needed"));
    CHECK(l.tell("base 0"));
    CHECK(Line::decoded(l.ask(0x95)[0]).data[0] == 0);
    CHECK(l.tell("order backwards"));
    CHECK(Line::decoded(l.ask(0x95)[0]).data[0] == 5);
    CHECK(l.tell("order forwards"));
    CHECK(l.tell("base 1"));
    CHECK(Line::decoded(l.ask(0x95)[0]).data[0] == 1);
}

TEST_CASE("simulated daly: words it does not understand are refused")
{
    Line l;
    CHECK(l.tell("help"));
    CHECK(l.board.command("help").find("switch charge|discharge") != std::string::npos);
    CHECK(l.board.command("status").find("charge on discharge on") != std::string::npos);
    for (const std::string_view line : {"", "fly", "current", "current x", "current 501", "beside x", "beside 501", "soc 103",
             "silent", "silent maybe", "sleep 1", "delay -1", "lose 101", "damage 101", "stop", "stop zz", "resume", "resume zz",
             "frames", "frames few", "base 2", "order", "sign up", "host 20", "cell 0 3", "cell 17 3", "cell 1 6", "cell 1",
             "temp", "temp 151", "temp 9 20", "fault 7 0 on", "fault 0 8 on", "fault 0 0", "fault code 256", "fault 0 0 maybe",
             "switch charge", "switch both on", "switch charge half", "freeze", "voltage", "voltage x", "life", "life x", "echo",
             "nodata", "chatter"})
        CHECK(l.board.command(line).starts_with("error"));
    CHECK(l.tell("mend"));
}
