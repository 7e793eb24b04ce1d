// Error frames as linux/can/error.h lays them out: class in the id, details in the data. All are made up.
#include "bus/bus_state.hpp"
#include "bus/socketcan.hpp"
#include "tests/bus/bus_fixture.hpp"

#include <array>

#include <linux/can/error.h>

using namespace batgw;
using namespace batgw::test;
using bus::apply_error_frame;

namespace {

BusStatus running()
{
    BusStatus s;
    s.state = BusState::active;
    return s;
}
using Data = std::array<std::uint8_t, 8>;

}  // namespace

TEST_CASE("each class of error frame has its counter")
{
    // SAFE-261
    BusStatus s = running();
    apply_error_frame(s, CAN_ERR_LOSTARB, Data{12});
    apply_error_frame(s, CAN_ERR_ACK, Data{});
    apply_error_frame(s, CAN_ERR_PROT | CAN_ERR_BUSERROR, Data{0, 0, CAN_ERR_PROT_STUFF});
    apply_error_frame(s, CAN_ERR_TX_TIMEOUT, Data{});
    apply_error_frame(s, CAN_ERR_TRX, Data{0, 0, 0, 0, CAN_ERR_TRX_CANH_NO_WIRE});
    apply_error_frame(s, CAN_ERR_CRTL, Data{0, CAN_ERR_CRTL_RX_OVERFLOW});
    CHECK(s.counters.arbitration_lost == 1);
    CHECK(s.counters.no_ack == 1);
    CHECK(s.counters.protocol_errors == 1);
    CHECK(s.counters.other_errors == 2);
    CHECK(s.counters.controller_overflow == 1);
    CHECK(s.counters.errors() == 6);
    CHECK(s.state == BusState::active);
}

TEST_CASE("warning, passive, bus-off and restart are states, and being in one twice counts once")
{
    // SAFE-261
    BusStatus s = running();
    CHECK(apply_error_frame(s, CAN_ERR_CRTL, Data{0, CAN_ERR_CRTL_TX_WARNING}));
    CHECK(s.state == BusState::warning);
    CHECK_FALSE(apply_error_frame(s, CAN_ERR_CRTL, Data{0, CAN_ERR_CRTL_TX_WARNING}));
    CHECK(apply_error_frame(s, CAN_ERR_CRTL, Data{0, CAN_ERR_CRTL_RX_WARNING | CAN_ERR_CRTL_TX_PASSIVE}));
    CHECK(s.state == BusState::passive);
    CHECK(apply_error_frame(s, CAN_ERR_BUSOFF, Data{}));
    CHECK(s.state == BusState::bus_off);
    CHECK_FALSE(apply_error_frame(s, CAN_ERR_BUSOFF, Data{}));
    CHECK(apply_error_frame(s, CAN_ERR_RESTARTED, Data{}));
    CHECK(s.state == BusState::active);
    CHECK(s.counters.error_warning == 1);
    CHECK(s.counters.error_passive == 1);
    CHECK(s.counters.bus_off == 1);
    CHECK(s.counters.restarts == 1);

    apply_error_frame(s, CAN_ERR_CRTL, Data{0, CAN_ERR_CRTL_RX_PASSIVE});
    CHECK(apply_error_frame(s, CAN_ERR_CRTL, Data{0, CAN_ERR_CRTL_ACTIVE}));
    CHECK(s.state == BusState::active);
}

TEST_CASE("the controller's own error counters are taken where they are given")
{
    BusStatus s = running();
    apply_error_frame(s, CAN_ERR_CRTL | CAN_ERR_CNT, Data{0, CAN_ERR_CRTL_TX_PASSIVE, 0, 0, 0, 0, 136, 3});
    CHECK(s.tx_errors == 136);
    CHECK(s.rx_errors == 3);
    // Without the flag zeros mean nothing.
    apply_error_frame(s, CAN_ERR_ACK, Data{});
    CHECK(s.tx_errors == 136);
    // Older drivers forget the flag.
    apply_error_frame(s, CAN_ERR_CRTL, Data{0, CAN_ERR_CRTL_TX_PASSIVE, 0, 0, 0, 0, 128, 0});
    CHECK(s.tx_errors == 128);
    apply_error_frame(s, CAN_ERR_CRTL | CAN_ERR_CNT, Data{0, CAN_ERR_CRTL_ACTIVE});
    CHECK(s.tx_errors == 0);
}

TEST_CASE("an error frame without data or with every bit set breaks nothing")
{
    BusStatus s = running();
    apply_error_frame(s, CAN_ERR_CRTL, {});
    CHECK(s.state == BusState::active);
    Data ones;
    ones.fill(0xff);
    apply_error_frame(s, CAN_ERR_MASK, ones);
    CHECK(s.state == BusState::bus_off);  // the worst of all that it says
}

TEST_CASE("error frames that come over a socket change the bus, and are no frames for the driver")
{
    // SAFE-261
    Loop loop;
    Wire wire;
    Listener listener;
    bus::FdBus port{loop.base, wire.here.release(), listener};
    REQUIRE(wire.put(raw(CAN_ERR_FLAG | CAN_ERR_BUSOFF, {0, 0, 0, 0, 0, 0, 0, 0})));
    loop.settle();
    CHECK(listener.heard.empty());
    CHECK(listener.turns > 0);
    CHECK(port.status().state == BusState::bus_off);
    CHECK(port.status().counters.not_data == 0);
    CHECK(port.send(frame(0x110, {1})) == Sent::down);  // SAFE-262: what waits is void, not late
    can_frame got{};
    CHECK(::recv(wire.there.get(), &got, sizeof got, MSG_DONTWAIT) < 0);
    REQUIRE(wire.put(raw(CAN_ERR_FLAG | CAN_ERR_RESTARTED, {})));
    loop.settle();
    CHECK(port.status().state == BusState::active);
    CHECK(port.send(frame(0x110, {2})) == Sent::yes);
}
