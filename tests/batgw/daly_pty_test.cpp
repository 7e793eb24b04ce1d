// The gateway and a Daly board on a real serial line: a pseudo-terminal, the board another process on its far end, behind a wire
// that delays, splits, merges, corrupts and drops bytes, and that can be pulled.
#include "batgw/gateway.hpp"
#include "sim/daly_bms.hpp"
#include "tests/bench/house.hpp"
#include "tests/bus/line_fixture.hpp"

#include <doctest/doctest.h>

#include <string>

using namespace batgw;
using namespace batgw::test;

namespace {

// What the test tells the other process.
enum Order : char { clean = 'c', bad = 'b', pull = 'u', plug = 'p', fall_asleep = 's', wake_up = 'w' };

// One direction of the wire. A bad one holds bytes back, so that pieces merge, lets them go in pieces of any size, flips a bit of
// one byte in 150 and loses one in 150.
class Wire {
public:
    explicit Wire(unsigned seed) : chance_{seed} {}
    bool bad = false;

    void put(std::span<const std::uint8_t> bytes, Instant now)
    {
        for (std::uint8_t b : bytes) {
            if (bad && chance_() % 150 == 0) continue;
            if (bad && chance_() % 150 == 0) b ^= static_cast<std::uint8_t>(1U << chance_() % 8);
            held_.push_back(b);
        }
        if (bad && chance_() % 3 == 0) until_ = now + std::chrono::milliseconds{chance_() % 60};
    }
    Bytes take(Instant now)
    {
        if (bad && now < until_) return {};
        const std::size_t n = bad ? std::min<std::size_t>(held_.size(), 1 + chance_() % 30) : held_.size();
        Bytes piece{held_.begin(), held_.begin() + static_cast<std::ptrdiff_t>(n)};
        held_.erase(held_.begin(), held_.begin() + static_cast<std::ptrdiff_t>(n));
        return piece;
    }

private:
    Chance chance_;
    Bytes held_;
    Instant until_{};
};

// The other process.
class FarBoard {
public:
    FarBoard(std::string path, int line, int orders) : path_{std::move(path)}, line_{line}, orders_{orders} {}
    void play()
    {
        for (;;) {
            std::array<pollfd, 2> what{pollfd{line_, POLLIN, 0}, pollfd{orders_, POLLIN, 0}};
            if (::poll(what.data(), what.size(), 2) < 0) return;
            if (what[1].revents != 0 && !obey()) return;
            const Instant now = monotonic_now();
            std::array<std::uint8_t, 256> room{};
            const bool readable = line_ >= 0 && (what[0].revents & POLLIN) != 0;
            const ssize_t n = readable ? ::read(line_, room.data(), room.size()) : 0;
            if (n > 0) to_board_.put({room.data(), static_cast<std::size_t>(n)}, now);
            if (n <= 0 && what[0].revents != 0) far::sleep(2ms);  // nobody has the near end open
            board_.on_bytes(to_board_.take(now), now);
            Outbox out;
            board_.on_tick(now, out);
            for (const Telegram& t : out.telegrams()) to_gateway_.put(t.bytes(), now);
            const Bytes piece = to_gateway_.take(now);
            if (line_ >= 0) far::write_all(line_, piece);
        }
    }

private:
    bool obey()
    {
        char order = 0;
        if (::read(orders_, &order, 1) != 1) return false;
        switch (order) {
        case clean:
        case bad: to_board_.bad = to_gateway_.bad = order == bad; break;
        case pull:
            if (terminal_)
                terminal_->unplug();
            else
                ::close(line_);
            line_ = -1;
            break;
        case plug: line_ = terminal_.emplace(path_).fd(); break;
        case fall_asleep: board_.command("sleep on"); break;
        case wake_up: board_.command("sleep off"); break;
        default: return false;
        }
        return true;
    }

    std::string path_;
    int line_, orders_;
    std::optional<Terminal> terminal_;
    sim::DalyBms board_{{.soc = 60_pct}};
    Wire to_board_{11}, to_gateway_{12};
};

std::shared_ptr<const Config> configuration(const std::string& path)
{
    const std::string text = "battery: {protocol: daly-uart, interface: \"" + path +
        R"(", max_charge_w: 2500, max_discharge_w: 3000, capacity_wh: 5120, cells: 16}
inverter: {protocol: byd-hvs, interface: can1, options: {ready_s: 1}}
safety: {start_valid_s: 1, increase_settle_s: 0, ramp_up_pct_per_s: 100, hold_s: 5, contactors: {boot_inhibit_s: 1, valid_s: 1}}
log: {level: error}
)";
    Loaded loaded = load(text, "pty.yaml", {.batteries = battery_drivers(), .inverters = inverter_drivers()}, Definitions{});
    if (!loaded.config) throw std::runtime_error{to_string(loaded.problems.front())};
    return std::make_shared<const Config>(std::move(*loaded.config));
}

// The gateway's loop, turned by the test, with a simulated inverter on a socket pair.
class SerialHouse {
public:
    SerialHouse()
    {
        batgw::Gateway::Setup setup{.config = configuration(path_),
            .battery = find_battery_driver("daly-uart"),
            .inverter = find_inverter_driver("byd-hvs"),
            .restored = {},
            .service = &service_};
        setup.handle_signals = false;
        setup.open = [this](Side side, const BusSpec& spec, BusListener& listener) -> std::unique_ptr<Bus> {
            if (side == Side::battery) return open_bus(base_.get(), spec, listener, log);
            return std::make_unique<bus::FdBus>(base_.get(), inverter_bus_.gateway, listener);
        };
        gateway_ = std::make_unique<batgw::Gateway>(base_.get(), std::move(setup), channels_);
        constexpr timeval at_once{};
        event_base_loopexit(base_.get(), &at_once);
        gateway_->run();  // the first turn; from here on the test turns the loop
    }
    void tell(Order order) const
    {
        const char c = order;
        REQUIRE(::write(orders_[1].get(), &c, 1) == 1);
    }
    Snapshot look() const
    {
        Snapshot s;
        gateway_->snapshot(s);
        return s;
    }
    bool until(const std::function<bool(const Snapshot&)>& done, Duration patience)
    {
        const Instant end = monotonic_now() + patience;
        for (Instant looked = Instant::min(); monotonic_now() < end; far::sleep(500us)) {
            const Instant before = monotonic_now();
            event_base_loop(base_.get(), EVLOOP_NONBLOCK);
            longest_turn = std::max(longest_turn, monotonic_now() - before);
            turn_inverter();
            if (looked > monotonic_now() - 20ms) continue;
            looked = monotonic_now();
            if (done(look())) return true;
        }
        return false;
    }
    void run(Duration time)
    {
        until([](const Snapshot&) { return false; }, time);
    }
    bool reach_power(Duration patience)
    {
        return until(
            [](const Snapshot& s) {
                return s.verdict.state == GatewayState::run && !s.verdict.charge.is_zero() && !s.verdict.discharge.is_zero();
            },
            patience);
    }

    Duration longest_turn{};
    Lines log;

private:
    static std::array<Fd, 2> make_pipe()
    {
        std::array<int, 2> ends{};
        REQUIRE(::pipe2(ends.data(), O_CLOEXEC) == 0);
        return {Fd{ends[0]}, Fd{ends[1]}};
    }
    void turn_inverter()
    {
        const Instant now = monotonic_now();
        can_frame k{};
        while (::recv(inverter_bus_.world.get(), &k, sizeof k, MSG_DONTWAIT) == static_cast<ssize_t>(sizeof k))
            inverter_->on_frame(bench::from_kernel(k), now);
        if (now < inverter_wake_) return;
        Outbox out;
        inverter_wake_ = inverter_->on_tick(now, out);
        for (const CanFrame& f : out.frames()) {
            k = bench::to_kernel(f);
            CHECK(::send(inverter_bus_.world.get(), &k, sizeof k, MSG_DONTWAIT) == static_cast<ssize_t>(sizeof k));
        }
    }

    TemporaryFolder folder_;
    std::string path_ = folder_ / "battery";
    std::array<Fd, 2> orders_ = make_pipe();
    FarProcess far_{path_, [this](int line, int) {
                        orders_[1].reset();
                        FarBoard{path_, line, orders_[0].get()}.play();
                    }};
    EventBase base_{event_base_new()};
    ServiceManager service_;
    Channels channels_;
    bench::Pair inverter_bus_;
    std::unique_ptr<sim::SimulatedInverter> inverter_ = sim::make_inverter("byd-hvs", {});
    Instant inverter_wake_{};
    std::unique_ptr<batgw::Gateway> gateway_;
};

std::uint64_t count(const Snapshot& s, batgw::Heard heard) { return s.buses[0].traffic.heard[static_cast<std::size_t>(heard)]; }
std::uint64_t damaged(const Snapshot& s)
{
    return count(s, batgw::Heard::bad_length) + count(s, batgw::Heard::bad_checksum) + count(s, batgw::Heard::implausible);
}
// All that is read every few seconds is there and not old.
bool all_fresh(const Snapshot& s)
{
    const BatteryState& b = s.battery;
    return b.voltage.is_fresh(s.now) && b.current.is_fresh(s.now) && b.soc.is_fresh(s.now) &&
        b.cell_voltage_max.is_fresh(s.now) && b.temperature_min.is_fresh(s.now) && b.charge_allowed.is_fresh(s.now) &&
        b.contactor.is_fresh(s.now);
}
// As good as what the board measures: 16 cells at 60 %, idle, about 21 degrees.
void check_plausible(const Snapshot& s)
{
    const BatteryState& b = s.battery;
    if (const auto v = b.voltage.last()) CHECK(magnitude(*v - 53_V) <= 2_V);
    if (const auto i = b.current.last()) CHECK(magnitude(*i) <= 1_A);
    if (const auto p = b.soc.last()) CHECK(magnitude(*p - 60_pct) <= 1_pct);
    if (const auto v = b.cell_voltage_max.last()) CHECK(magnitude(*v - 3300_mV) <= 100_mV);
    if (const auto v = b.cell_voltage_min.last()) CHECK(magnitude(*v - 3300_mV) <= 100_mV);
    if (const auto t = b.temperature_max.last()) CHECK(magnitude(*t - 21_degC) <= 3_K);
    if (const auto cells = b.cells.last())
        for (std::size_t i = 0; i < cells->count; ++i) CHECK(magnitude((*cells)[i].value_or(0_V) - 3300_mV) <= 100_mV);
    CHECK(s.verdict.charge.power() <= 2500_W);
    CHECK(s.verdict.discharge.power() <= 3_kW);
}

}  // namespace

TEST_CASE("a Daly board over a pseudo-terminal: power, a bad wire, and good again within one exchange")
{
    SerialHouse house;
    REQUIRE(house.reach_power(40s));
    Snapshot s = house.look();
    check_plausible(s);
    CHECK(s.battery.cell_count == 16U);
    CHECK(damaged(s) == 0);

    house.tell(bad);
    const Instant begin = monotonic_now();
    const auto wanted = [&] { return monotonic_now() - begin >= 8s && damaged(house.look()) >= 5; };
    while (!wanted() && monotonic_now() - begin < 60s) {
        house.run(100ms);
        check_plausible(house.look());
    }
    s = house.look();
    CHECK(damaged(s) >= 5);
    CHECK(count(s, batgw::Heard::used) > 10);

    house.tell(clean);
    house.run(1s);  // what the wire still holds, and the answer under way
    const std::uint64_t before = damaged(house.look());
    CHECK(house.until(all_fresh, 5s));
    house.run(2s);
    CHECK(damaged(house.look()) <= before + 1);
    CHECK(house.reach_power(90s));
    CHECK(house.longest_turn < 1s);
}

TEST_CASE("a Daly board over a pseudo-terminal: pulled and plugged in again, asleep and awake")
{
    SerialHouse house;
    REQUIRE(house.reach_power(40s));
    house.tell(pull);
    const Instant pulled = monotonic_now();
    REQUIRE(house.until([](const Snapshot& s) { return s.buses[0].status.state == BusState::missing; }, 3s));
    REQUIRE(house.until([](const Snapshot& s) { return s.verdict.charge.is_zero() && s.verdict.discharge.is_zero(); }, 10s));
    CHECK(monotonic_now() - pulled <= 10s);
    CHECK_FALSE(house.look().battery.voltage.is_fresh(monotonic_now() + 3s));
    house.tell(plug);
    const Instant plugged = monotonic_now();
    REQUIRE(house.until([](const Snapshot& s) { return s.buses[0].status.state == BusState::active; }, 5s));
    CHECK(house.until(all_fresh, 15s));
    CHECK(monotonic_now() - plugged < 15s);
    CHECK(house.reach_power(90s));

    house.tell(fall_asleep);
    const auto says_asleep = [](const Snapshot& s) {
        return std::any_of(s.battery.reported.begin(), s.battery.reported.end(),
            [](const ReportedFault& f) { return f.code.view() == "asleep"; });
    };
    CHECK(house.until(says_asleep, 10s));
    CHECK(house.until([](const Snapshot& s) { return s.verdict.charge.is_zero() && s.verdict.discharge.is_zero(); }, 10s));
    house.tell(wake_up);
    CHECK(house.until([&](const Snapshot& s) { return all_fresh(s) && !says_asleep(s); }, 20s));
    CHECK(house.longest_turn < 1s);
}
