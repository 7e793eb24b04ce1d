#include "safety/bus_health.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <initializer_list>
#include <optional>

using namespace batgw;

namespace {

constexpr Instant t0{Duration{12'345'678'901}};

BusStatus bus(BusState state = BusState::active)
{
    BusStatus s;
    s.name.assign("can0");
    s.state = state;
    s.tried = true;
    return s;
}

std::optional<ActiveFault> find(const BusHealth::Result& r, FaultId id)
{
    for (const ActiveFault& f : r.faults)
        if (f.id == id) return f;
    return std::nullopt;
}

// A bus over time: counters only ever grow.
struct Bus {
    explicit Bus(Device device) : health{device} {}
    BusHealth health;
    BusStatus status = bus();
    TrafficCounters traffic;
    TxHealth tx{.ever_sent = true};
    bool opened = false;
    Instant now = t0;
    BusHealth::Result at(Duration since_start)
    {
        now = t0 + since_start;
        return health.update(status, traffic, tx, opened, now);
    }
};

}  // namespace

TEST_CASE("bus health: a healthy bus has nothing to say")
{
    for (const BusState state : {BusState::active, BusState::warning, BusState::passive}) {
        Bus b{Device::battery};
        b.status.state = state;
        const auto r = b.at(0s);
        CHECK(r.up);
        CHECK(r.faults.empty());
        CHECK_FALSE(r.dead);
        CHECK_FALSE(r.open);
        CHECK_FALSE(r.mute);
        CHECK_FALSE(r.foreign);
    }
}

TEST_CASE("bus health: more than 10 receive drops in a minute warn, more than 100 block both directions")
{
    // SAFE-261
    Bus b{Device::inverter};
    b.at(0s);
    b.status.counters.queue_drops = 10;
    CHECK_FALSE(find(b.at(1s), FaultId::rx_drops));
    b.status.counters.queue_drops = 11;
    auto f = find(b.at(2s), FaultId::rx_drops);
    REQUIRE(f);
    CHECK(f->level == FaultClass::warn);
    CHECK(f->direction == Direction::none);
    CHECK(f->device == Device::inverter);
    CHECK(f->detail == "can0");
    CHECK(f->has_value);
    CHECK(f->unit == Unit::count);
    CHECK(f->value_milli == 11'000);
    CHECK(f->limit_milli == 10'000);
    b.status.counters.queue_drops = 100;
    CHECK(find(b.at(3s), FaultId::rx_drops)->level == FaultClass::warn);
    b.status.counters.queue_drops = 101;
    f = find(b.at(4s), FaultId::rx_drops);
    REQUIRE(f);
    CHECK(f->level == FaultClass::block);
    CHECK(f->direction == Direction::both);
    CHECK(f->limit_milli == 100'000);
    // Over with a whole minute without any.
    CHECK(find(b.at(63s), FaultId::rx_drops)->level == FaultClass::block);
    CHECK_FALSE(find(b.at(64s), FaultId::rx_drops));
}

TEST_CASE("bus health: drops that come slowly are no fault, and those of before the start are not ours")
{
    // SAFE-261
    Bus b{Device::battery};
    for (int s = 0; s < 600; ++s) {
        if (s % 6 == 0) ++b.status.counters.queue_drops;
        REQUIRE_FALSE(find(b.at(s * 1s), FaultId::rx_drops));
    }
    // A long time without a call clears the minute, too.
    b.status.counters.queue_drops += 5;
    b.at(3600s);
    b.status.counters.queue_drops += 5;
    CHECK_FALSE(find(b.at(7200s), FaultId::rx_drops));
}

TEST_CASE("bus health: bus-off warns while it lasts, and for ten minutes when there were more than five")
{
    // SAFE-262
    Bus b{Device::battery};
    b.at(0s);
    b.status.state = BusState::bus_off;
    b.status.counters.bus_off = 1;
    auto r = b.at(1s);
    CHECK_FALSE(r.up);
    auto f = find(r, FaultId::bus_off);
    REQUIRE(f);
    CHECK(f->level == FaultClass::warn);
    CHECK(f->has_value);
    CHECK(f->unit == Unit::count);
    CHECK(f->value_milli == 1000);
    b.status.state = BusState::active;
    CHECK_FALSE(find(b.at(2s), FaultId::bus_off));
    b.status.counters.bus_off = 5;
    CHECK_FALSE(find(b.at(10s), FaultId::bus_off));
    b.status.counters.bus_off = 6;
    f = find(b.at(20s), FaultId::bus_off);
    REQUIRE(f);
    CHECK(f->value_milli == 6000);
    CHECK(f->limit_milli == 5000);
    CHECK(find(b.at(600s), FaultId::bus_off));
    CHECK_FALSE(find(b.at(601s), FaultId::bus_off));  // the first of them is ten minutes old
    b.status.counters.bus_off += 1000;
    CHECK(find(b.at(700s), FaultId::bus_off)->value_milli == 8000);
}

TEST_CASE("bus health: an interface that is missing or down is told after the first try to open it")
{
    // SAFE-251
    for (const BusState state : {BusState::missing, BusState::stopped}) {
        Bus b{Device::battery};
        b.status.state = state;
        b.status.tried = false;
        CHECK(b.at(0s).faults.empty());
        b.status.tried = true;
        const auto r = b.at(1s);
        CHECK_FALSE(r.up);
        REQUIRE(find(r, FaultId::bus_down));
        CHECK(find(r, FaultId::bus_down)->level == FaultClass::warn);
        b.status.state = BusState::active;
        CHECK(b.at(2s).faults.empty());
    }
}

TEST_CASE("bus health: what the transmit port says becomes faults")
{
    // SAFE-006, SAFE-263
    Bus b{Device::inverter};
    b.tx.starved = true;
    auto r = b.at(0s);
    REQUIRE(find(r, FaultId::tx_starved));
    CHECK(find(r, FaultId::tx_starved)->level == FaultClass::warn);
    CHECK_FALSE(r.dead);
    b.tx.dead = true;
    CHECK(b.at(1s).dead);
    b.tx = {.ever_sent = true, .refusing = true};
    r = b.at(2s);
    REQUIRE(find(r, FaultId::tx_guard_refused));
    CHECK(find(r, FaultId::tx_guard_refused)->level == FaultClass::block);
    CHECK(find(r, FaultId::tx_guard_refused)->direction == Direction::both);
    CHECK_FALSE(find(r, FaultId::tx_starved));
}

TEST_CASE("bus health: frames that nobody acknowledges are information, and not starved, from the first doubt on")
{
    // SAFE-264
    Bus b{Device::battery};
    b.tx.starved = true;
    b.status.state = BusState::passive;
    b.status.tx_errors = 128;
    for (int i = 0; i <= 19; ++i) REQUIRE(b.at(i * 100ms).faults.empty());
    const auto r = b.at(2s);
    CHECK(r.alone);
    CHECK(r.up);
    REQUIRE(r.faults.size() == 1);
    CHECK(r.faults[0].id == FaultId::no_ack);
    CHECK(r.faults[0].level == FaultClass::info);
    CHECK(r.faults[0].detail == "can0");
    b.status.state = BusState::active;
    const auto after = b.at(3s);
    CHECK_FALSE(after.alone);
    CHECK(find(after, FaultId::tx_starved));
    CHECK_FALSE(find(after, FaultId::no_ack));
}

TEST_CASE("bus health: our own ids heard before our first transmission trip and mute that bus for good")
{
    // SAFE-185
    for (const Device device : {Device::battery, Device::inverter}) {
        Bus b{device};
        b.tx.ever_sent = false;
        b.at(0s);
        b.traffic.own_ids = 1;
        auto r = b.at(1s);
        CHECK(r.faults.empty());
        CHECK(r.mute);  // until it is decided
        b.traffic.own_ids = 2;
        r = b.at(3s);
        REQUIRE(find(r, FaultId::id_conflict));
        CHECK(find(r, FaultId::id_conflict)->level == FaultClass::trip);
        CHECK(find(r, FaultId::id_conflict)->direction == Direction::both);
        CHECK(r.mute);
        CHECK_FALSE(r.open);
        r = b.at(3600s);
        CHECK(r.mute);
        CHECK(find(r, FaultId::id_conflict)->level == FaultClass::trip);
    }
}

TEST_CASE("bus health: one foreign frame before our first delays that for 10 s and is forgotten after a minute")
{
    // SAFE-185
    Bus b{Device::inverter};
    b.tx.ever_sent = false;
    b.traffic.own_ids = 1;
    CHECK(b.at(0s).mute);
    CHECK(b.at(1s).foreign);
    CHECK(b.at(9999ms).mute);
    CHECK_FALSE(b.at(10s).mute);
    CHECK_FALSE(b.at(60s).mute);
    b.traffic.own_ids = 2;
    CHECK(b.at(61s).faults.empty());  // the first is more than a minute ago
}

TEST_CASE("bus health: own ids on the battery bus while running block, open, then stop transmission until a quiet minute")
{
    // SAFE-185
    Bus b{Device::battery};
    b.at(0s);
    b.traffic.own_ids = 1;
    CHECK(b.at(1s).faults.empty());
    b.traffic.own_ids = 2;
    auto r = b.at(2s);
    REQUIRE(find(r, FaultId::id_conflict));
    CHECK(find(r, FaultId::id_conflict)->level == FaultClass::block);
    CHECK(find(r, FaultId::id_conflict)->direction == Direction::both);
    CHECK(r.open);
    CHECK_FALSE(r.mute);  // the opening needs its frames
    b.opened = true;
    CHECK(b.at(12s).mute);
    b.opened = false;  // nobody hears the pack for a moment: still mute
    CHECK(b.at(13s).mute);
    b.traffic.own_ids = 500;
    CHECK(b.at(20s).mute);
    r = b.at(79s);
    CHECK(r.mute);
    CHECK(find(r, FaultId::id_conflict));
    r = b.at(80s);
    CHECK_FALSE(r.mute);
    CHECK_FALSE(r.open);
    CHECK(r.faults.empty());
}

TEST_CASE("bus health: own ids on the inverter bus while running block, nothing else, and two far apart are nothing")
{
    // SAFE-185
    Bus b{Device::inverter};
    b.opened = true;
    b.traffic.own_ids = 1;
    CHECK(b.at(0s).faults.empty());
    CHECK_FALSE(b.at(1s).mute);
    b.at(60s);
    b.traffic.own_ids = 2;
    CHECK(b.at(61s).faults.empty());
    b.traffic.own_ids = 3;
    const auto r = b.at(62s);
    CHECK(find(r, FaultId::id_conflict)->level == FaultClass::block);
    CHECK_FALSE(r.open);
    CHECK_FALSE(r.mute);
    CHECK(find(b.at(121s), FaultId::id_conflict));
    CHECK_FALSE(find(b.at(122s), FaultId::id_conflict));
}

TEST_CASE("bus health: a counter that begins again tells of nothing new, and what comes after it counts")
{
    // SAFE-261, SAFE-262
    Bus b{Device::battery};
    b.status.counters.queue_drops = 9;
    b.status.counters.bus_off = 4;
    b.at(0s);
    b.status.counters = {};
    CHECK(b.at(1s).faults.empty());
    b.status.counters.queue_drops = 2;
    b.status.counters.bus_off = 2;
    const auto r = b.at(2s);
    REQUIRE(find(r, FaultId::rx_drops));
    CHECK(find(r, FaultId::rx_drops)->value_milli == 11'000);
    REQUIRE(find(r, FaultId::bus_off));
    CHECK(find(r, FaultId::bus_off)->value_milli == 6000);
}

TEST_CASE("bus health: in the first seconds of a host nothing is remembered that did not happen")
{
    // SAFE-185, SAFE-262
    Bus b{Device::battery};
    b.tx.ever_sent = false;
    CHECK_FALSE(b.at(1s - t0.time_since_epoch()).mute);
    b.status.state = BusState::bus_off;
    b.status.counters.bus_off = 1;
    const auto f = find(b.at(2s - t0.time_since_epoch()), FaultId::bus_off);
    REQUIRE(f);
    CHECK(f->value_milli == 1000);
}

TEST_CASE("bus health: forgetting the conflict of the start begins its count anew, and ends no other conflict")
{
    // SAFE-045, SAFE-185
    Bus b{Device::inverter};
    b.tx.ever_sent = false;
    b.traffic.own_ids = 2;
    REQUIRE(find(b.at(0s), FaultId::id_conflict));
    b.health.forget_conflict();
    CHECK(b.at(1s).faults.empty());
    b.traffic.own_ids = 3;
    CHECK(b.at(2s).faults.empty());
    b.traffic.own_ids = 4;
    CHECK(find(b.at(3s), FaultId::id_conflict));

    Bus running{Device::inverter};
    running.traffic.own_ids = 2;
    REQUIRE(find(running.at(0s), FaultId::id_conflict));
    running.health.forget_conflict();
    const auto r = running.at(1s);
    CHECK(find(r, FaultId::id_conflict));
    CHECK(r.foreign);
}
