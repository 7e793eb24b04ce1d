// The MOSFETs of a Daly board as contactors: asked once, believed when seen.
#include "tests/battery/daly_bench.hpp"

#include <doctest/doctest.h>

#include <string>

using namespace batgw;
using namespace batgw::test;

namespace {

const std::string discharge_off = "A5 40 D9 08 00 00 00 00 00 00 00 00 C6";
const std::string discharge_on = "A5 40 D9 08 01 00 00 00 00 00 00 00 C7";
const std::string charge_off = "A5 40 DA 08 00 00 00 00 00 00 00 00 C7";
const std::string charge_on = "A5 40 DA 08 01 00 00 00 00 00 00 00 C8";
using Orders = std::vector<std::string>;

// A board whose switches do as they are told, or not.
struct Board : DalyBench {
    explicit Board(bool charge = true, bool discharge = true, std::optional<ContactorMode> mode = ContactorMode::bms_command)
        : DalyBench{{}, mode},
          c{charge},
          d{discharge}
    {
        play(captured_board());
        const auto answer = on_written;
        on_written = [this, answer](const Telegram& t) {
            const bool on = t.data[4] == 1;
            if (t.id == 0xDA && obeys) c = on;
            if (t.id == 0xD9 && obeys) d = on;
            const std::string left_over = " 0D 13 0D 21 0D 17 C0";  // as captured
            answers[0xDA] = std::string{c ? "DA 01" : "DA 00"} + left_over;
            answers[0xD9] = std::string{d ? "D9 01" : "D9 00"} + left_over;
            show();
            answer(t);
        };
        show();
    }
    void show() { answers[0x93] = std::string{"93 00 "} + (c ? "01 " : "00 ") + (d ? "01 " : "00 ") + "10 00 00 4E 20"; }
    ContactorPhase phase() const { return state().phase; }
    std::optional<ContactorFeedback> feedback() const { return state().contactor.fresh(now); }

    bool c, d, obeys = true;
};

}  // namespace

TEST_CASE("without the mode nothing is ever ordered, whatever the judge says")
{
    for (const auto mode : {std::optional<ContactorMode>{}, std::optional{ContactorMode::none}}) {
        Board b{true, true, mode};
        for (const ContactorOrder order : {ContactorOrder::keep, ContactorOrder::close, ContactorOrder::open}) {
            b.order = order;
            b.live(20s);
        }
        CHECK(b.orders().empty());
        CHECK(b.phase() == ContactorPhase::none);
        CHECK(b.feedback() == ContactorFeedback::closed);  // shown as reported
    }
}

TEST_CASE("found closed: held by doing nothing")
{
    // SAFE-161 (a), (b)
    Board b;
    CHECK(b.phase() == ContactorPhase::listening);
    b.order = ContactorOrder::close;
    b.live(20s);
    CHECK(b.phase() == ContactorPhase::closed);
    CHECK(b.feedback() == ContactorFeedback::closed);
    CHECK(b.orders().empty());
}

TEST_CASE("one answer is not enough to know")
{
    Board b;
    b.live(800ms);
    CHECK(b.asked[0x93] == 1);
    CHECK(b.phase() == ContactorPhase::listening);
    CHECK(b.feedback() == ContactorFeedback::unknown);
    b.live(2s);
    CHECK(b.phase() == ContactorPhase::closed);
}

TEST_CASE("a silent board: nothing is ordered")
{
    // SAFE-161
    Board b;
    b.deaf = true;
    b.order = ContactorOrder::open;
    b.live(9s);
    CHECK_FALSE(b.state().silent_start);
    b.live(60s);
    CHECK(b.state().silent_start);
    CHECK(b.phase() == ContactorPhase::listening);
    CHECK(b.orders().empty());
    b.deaf = false;
    b.order = ContactorOrder::keep;
    b.live(10s);
    CHECK_FALSE(b.state().silent_start);
    CHECK(b.phase() == ContactorPhase::closed);
}

TEST_CASE("switches that are off forbid nothing while the pack is to be open, or nobody has said otherwise")
{
    // SAFE-141
    Board b;
    b.order = ContactorOrder::close;
    b.live(10s);
    b.order = ContactorOrder::open;
    b.live(5s);
    REQUIRE(b.phase() == ContactorPhase::open);
    CHECK(b.state().charge_allowed.fresh(b.now) == true);
    CHECK(b.state().discharge_allowed.fresh(b.now) == true);
    // Where the gateway commands nothing, off is off.
    Board observed{false, true, ContactorMode::none};
    observed.live(10s);
    CHECK(observed.state().charge_allowed.fresh(observed.now) == false);
    CHECK(observed.state().discharge_allowed.fresh(observed.now) == true);
    // And what the board forbids for a reason it says by its fault bits, open or not.
    b.answers[0x98] = "98 00 00 00 00 00 00 04 00";
    b.live(5s);
    CHECK(b.reports("short_circuit"));
    REQUIRE_FALSE(b.state().reported.empty());
    CHECK(b.state().reported[0].level == FaultClass::block);
    CHECK(b.state().reported[0].direction == Direction::both);
}

TEST_CASE("a switch that the board holds off while the pack is closed is a refusal")
{
    Board b;
    b.order = ContactorOrder::close;
    b.live(10s);
    b.c = false;
    b.show();
    b.live(2s);
    CHECK(b.state().charge_allowed.fresh(b.now) == false);
    CHECK(b.state().discharge_allowed.fresh(b.now) == true);
    CHECK(b.orders().empty());
}

TEST_CASE("closing: charge, then discharge, once each, and closed when 0x93 says so twice")
{
    Board b{false, false};
    b.live(10s);
    REQUIRE(b.phase() == ContactorPhase::open);
    CHECK(b.feedback() == ContactorFeedback::open);
    b.order = ContactorOrder::close;
    b.live(400ms);
    CHECK(b.phase() == ContactorPhase::closing);
    b.live(2s);
    CHECK(b.orders() == Orders{charge_on, discharge_on});
    CHECK(b.phase() == ContactorPhase::closed);
    CHECK(b.feedback() == ContactorFeedback::closed);
    CHECK(b.state().close_failures == 0);
    b.live(20s);
    CHECK(b.orders().size() == 2);
}

TEST_CASE("opening: discharge, then charge, once each, and open when 0x93 says so twice")
{
    Board b;
    b.live(10s);
    b.order = ContactorOrder::open;
    b.live(400ms);
    CHECK(b.phase() == ContactorPhase::opening);
    b.live(2s);
    CHECK(b.orders() == Orders{discharge_off, charge_off});
    CHECK(b.phase() == ContactorPhase::open);
    CHECK(b.feedback() == ContactorFeedback::open);
    b.live(20s);
    CHECK(b.orders().size() == 2);
    CHECK_FALSE(b.state().not_opening);
    CHECK_FALSE(b.state().opened_by_itself);
}

TEST_CASE("a board that does not close: no second order, a failure, and what may have worked is taken back")
{
    Board b{false, false};
    b.live(10s);
    b.obeys = false;
    b.order = ContactorOrder::close;
    b.live(6s);
    CHECK(b.orders() == Orders{charge_on, discharge_on});
    CHECK(b.phase() == ContactorPhase::closing);
    b.order = ContactorOrder::open;  // as the judge does after a failure
    b.live(3s);
    CHECK(b.orders() == Orders{charge_on, discharge_on, discharge_off, charge_off});
    CHECK(b.phase() == ContactorPhase::open);
    b.order = ContactorOrder::close;
    b.live(10s);
    CHECK(b.state().close_failures == 1);
}

TEST_CASE("orders that are not answered are not repeated: 0x93 tells")
{
    Board b{false, false};
    b.live(10s);
    const auto on_written = b.on_written;
    b.on_written = [&](const Telegram& t) {
        on_written(t);
        b.answers.erase(0xDA);
        b.answers.erase(0xD9);
    };
    b.order = ContactorOrder::close;
    b.live(4s);
    CHECK(b.orders() == Orders{charge_on, discharge_on});
    CHECK(b.phase() == ContactorPhase::closed);
}

TEST_CASE("one direction that the board itself holds off: closed all the same, after three seconds")
{
    Board b{false, false};
    b.live(10s);
    const auto on_written = b.on_written;
    b.on_written = [&](const Telegram& t) {
        on_written(t);
        if (b.c) {
            b.c = false;
            b.show();
        }
    };
    b.order = ContactorOrder::close;
    b.live(2s);
    CHECK(b.phase() == ContactorPhase::closing);
    b.live(3s);
    CHECK(b.phase() == ContactorPhase::closed);
    CHECK(b.state().charge_allowed.fresh(b.now) == false);
    CHECK(b.state().discharge_allowed.fresh(b.now) == true);
    CHECK(b.orders().size() == 2);
}

TEST_CASE("a switch that stays on is told again only after 0x93 said so, and it is a fault")
{
    // SAFE-153
    Board b;
    b.live(10s);
    b.obeys = false;
    b.order = ContactorOrder::open;
    b.live(2500ms);
    CHECK(b.orders() == Orders{discharge_off, charge_off});
    b.live(3s);
    CHECK(b.orders() == Orders{discharge_off, charge_off, discharge_off, charge_off});
    CHECK_FALSE(b.state().not_opening);
    b.live(2s);
    CHECK(b.state().not_opening);
    CHECK(b.phase() == ContactorPhase::opening);
    // Nobody answers: nothing is repeated blindly.
    b.deaf = true;
    b.live(2s);
    const auto orders = b.orders().size();
    b.live(60s);
    CHECK(b.orders().size() == orders);
    b.deaf = false;
    b.obeys = true;
    b.live(12s);
    CHECK(b.phase() == ContactorPhase::open);
    CHECK_FALSE(b.state().not_opening);
}

TEST_CASE("only the switch that is still on is told again")
{
    Board b;
    b.live(10s);
    const auto on_written = b.on_written;
    b.on_written = [&](const Telegram& t) {
        on_written(t);
        b.c = true;
        b.show();
    };
    b.order = ContactorOrder::open;
    b.live(6s);
    REQUIRE(b.orders().size() >= 3);
    CHECK(b.orders()[2] == charge_off);
}

TEST_CASE("a board that switches off by itself while closed")
{
    Board b;
    b.live(10s);
    b.c = b.d = false;
    b.show();
    b.live(3s);
    CHECK(b.state().opened_by_itself);
    CHECK(b.phase() == ContactorPhase::open);
    CHECK(b.orders().empty());
    // One switch is not both.
    Board one;
    one.live(10s);
    one.d = false;
    one.show();
    one.live(10s);
    CHECK_FALSE(one.state().opened_by_itself);
    CHECK(one.phase() == ContactorPhase::closed);
}

TEST_CASE("off by its word, and a current flows: not believed")
{
    Board b;
    b.live(10s);
    b.answers[0x90] = "90 02 10 00 00 75 94 01 F4";  // 10 A
    b.c = b.d = false;
    b.show();
    b.live(4s);
    CHECK(b.state().feedback_wrong);
    CHECK_FALSE(b.state().opened_by_itself);
    CHECK(b.phase() == ContactorPhase::closed);
    b.c = b.d = true;
    b.show();
    b.live(3s);
    CHECK_FALSE(b.state().feedback_wrong);
}

TEST_CASE("a board that switches on by itself while open")
{
    Board b{false, false};
    b.live(10s);
    b.d = true;
    b.show();
    b.live(3s);
    CHECK(b.state().closed_by_itself);
    CHECK(b.phase() == ContactorPhase::closed);
    b.order = ContactorOrder::open;
    b.live(3s);
    CHECK(b.phase() == ContactorPhase::open);
    CHECK_FALSE(b.state().closed_by_itself);
}

TEST_CASE("an answer to a question of before the order is no proof")
{
    Board b;
    b.live(10s);
    b.answer_time = 480ms;  // slow: 0x93 of before is answered after the order otherwise
    b.order = ContactorOrder::open;
    b.live(9s);
    CHECK(b.phase() == ContactorPhase::open);
    CHECK(b.orders() == Orders{discharge_off, charge_off});
}

TEST_CASE("answers to an order say the new state of the switch, with left-overs behind it")
{
    // Real: jallum/dalymon issue 2.
    Board b;
    CHECK(b.read("A5 01 D9 08 00 0D 13 0D 21 0D 17 C0 B9")[0] == 1);
    CHECK(b.read("A5 01 D9 08 01 0D 13 0D 21 0D 17 C0 BA")[0] == 1);
}
