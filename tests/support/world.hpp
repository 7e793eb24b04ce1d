// A whole house in virtual time: the real bridge between a simulated pack and a simulated inverter, on buses without delay.
#pragma once

#include "batgw/bridge.hpp"
#include "battery/registry.hpp"
#include "conf/load.hpp"
#include "inverter/registry.hpp"
#include "sim/plant.hpp"
#include "sim/registry.hpp"
#include "tests/support/parallel_packs.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace batgw::test {

// A frame on one of the buses, and who sent it.
struct Seen {
    Instant at;
    Side side;
    CanFrame frame;
};

struct Written {
    Instant at;
    Telegram telegram;
};

struct WorldOptions {
    std::string battery = "byd-atto3", inverter = "byd-hvs";
    std::string battery_facts = "  cells: 126\n  capacity_wh: 60480\n";
    std::string extra;                          // further sections of the configuration, YAML
    std::string battery_extra, inverter_extra;  // further keys, indented by two
    sim::BatteryChoice pack;
    std::optional<sim::BatteryChoice> second;  // a second pack, in parallel
    std::optional<OperatorState> restored;
    std::shared_ptr<sim::SimulatedBattery> same_pack;  // of an earlier world: the gateway restarts, the pack does not
    std::shared_ptr<sim::SimulatedBattery> same_pack2{};
    Instant start{std::chrono::hours{3} + 123456us};  // not zero: a forgotten start time shows
};

// A battery in the house its simulated pack fits into.
inline WorldOptions usual_house(const BatteryDriverInfo& battery, std::string_view inverter)
{
    WorldOptions o;
    o.battery = battery.name;
    o.inverter = inverter;
    if (battery.name != "byd-atto3") o.battery_facts = "  cells: 16\n  capacity_wh: 10240\n";
    if (!battery.profile.states_limits) o.battery_extra = "  max_charge_w: 3000\n  max_discharge_w: 3000\n";
    return o;
}

class World {
public:
    explicit World(const WorldOptions& options = {})
        : now{options.start},
          start{options.start},
          config{load_config(options)},
          pack{options.same_pack ? options.same_pack : sim::make_battery(options.battery, options.pack)},
          pack2{options.same_pack2 || !options.second ? options.same_pack2 : sim::make_battery(options.battery, *options.second)},
          inverter{sim::make_inverter(options.inverter, {})},
          both{pack2 ? std::make_unique<ParallelPacks>(*pack, *pack2) : nullptr},
          plant{both ? *both : *pack, *inverter},
          bridge{config, *find_battery_driver(options.battery), *find_inverter_driver(options.inverter), now, options.restored}
    {
        for (const Side side : bridge.sides()) set_bus(side, BusState::active);
        bridge.clock_valid(true);
    }

    // Runs for a time. What the gateway sends is in `sent`, oldest first.
    void run(Duration time)
    {
        const Instant end = now + time;
        while (now < end) {
            Instant next = std::min({end, bridge.wake(), pack_wake_, pack2_wake_, inverter_wake_, plant_wake_});
            if (beside) next = std::min(next, now + 5ms);
            now = std::max(next, now + 1us);
            step();
        }
    }
    // Until the condition holds; false when it did not within `limit`.
    bool run_until(const std::function<bool()>& condition, Duration limit)
    {
        const Instant end = now + limit;
        while (!condition()) {
            if (now >= end) return false;
            run(10ms);
        }
        return true;
    }
    // Warms the whole pack, slower than the 5 K a minute that are an emergency.
    void warm_to(int celsius)
    {
        for (int t = 18; t != celsius;) {
            t = std::min(t + 4, celsius);
            pack->command("temp " + std::to_string(t));
            run(70s);
        }
    }
    // To full power: the usual start of a scenario.
    void start_up()
    {
        inverter->set_wish(Power{});
        REQUIRE(run_until([&] { return settled(verdict().charge) && settled(verdict().discharge); }, 120s));
    }

    static bool settled(const Grant& g) { return !g.is_zero() && g.by() != Cause::ramp; }

    const Verdict& verdict() const { return bridge.verdict(); }
    bool has(FaultId id, std::string_view detail = {}) const
    {
        return std::any_of(verdict().faults.begin(), verdict().faults.end(),
            [&](const ActiveFault& f) { return f.id == id && (detail.empty() || f.detail == detail); });
    }
    CommandResult command(Command c)
    {
        c.received = now;
        const CommandResult r = bridge.on_command(c, now);
        turn();
        return r;
    }
    void set_bus(Side side, BusState state)
    {
        BusStatus& s = bus_status(side);
        s.name.assign(side == Side::battery ? "can0" : side == Side::inverter ? "can1" : "can2");
        s.state = state;
        s.tried = true;
        tell_bus(side);
    }
    BusStatus& bus_status(Side side) { return bus_[static_cast<std::size_t>(side)]; }
    void tell_bus(Side side) { bridge.on_bus(side, bus_status(side), now); }
    // A frame from nowhere onto a bus.
    void inject(Side side, const CanFrame& frame, Duration queued = 0us)
    {
        bridge.on_frame(side, frame, now - queued, now);
        turn();
    }
    // The last frame the gateway sent with this id.
    std::optional<CanFrame> last(Side side, std::uint32_t id) const
    {
        for (auto i = sent.rbegin(); i != sent.rend(); ++i)
            if (i->side == side && i->frame.id == id) return i->frame;
        return std::nullopt;
    }
    bool bus_full[sides_max] = {};                                      // ENOBUFS for everything
    bool inverter_cable = true, pack_cable = true, pack2_cable = true;  // pulled: no frame either way

    // Told of every frame that reaches the bridge from the simulators, before it does.
    std::function<void(Side, const CanFrame&)> tap;

    // What else stands in the house: called at every step, at least every 5 ms, after the DC side has moved.
    std::function<void()> beside;

    Instant now, start;
    Config config;
    std::shared_ptr<sim::SimulatedBattery> pack, pack2;
    std::unique_ptr<sim::SimulatedInverter> inverter;
    std::unique_ptr<ParallelPacks> both;
    sim::Plant plant;
    Bridge bridge;
    std::vector<Seen> sent;
    std::vector<Written> written;  // on a serial battery's line

private:
    static Config load_config(const WorldOptions& o)
    {
        const bool serial = find_battery_driver(o.battery)->serial.has_value();
        const std::string text = "battery:\n  protocol: " + o.battery + "\n  interface: " + (serial ? "/dev/ttyUSB0" : "can0") +
            "\n" + o.battery_facts + o.battery_extra + (o.second ? "battery2:\n  interface: can2\n" : "") +
            "inverter:\n  protocol: " + o.inverter + "\n  interface: can1\n" + o.inverter_extra + o.extra;
        Loaded loaded =
            load(text, "world.yaml", {.batteries = battery_drivers(), .inverters = inverter_drivers()}, Definitions{});
        if (!loaded.config) throw std::invalid_argument{to_string(loaded.problems.front())};
        return *loaded.config;
    }
    void step()
    {
        Outbox out;
        if (now >= plant_wake_) plant_wake_ = plant.on_tick(now);
        if (beside) beside();
        if (now >= pack_wake_) pack_wake_ = pack->on_tick(now, out);
        if (pack_cable) {
            for (const CanFrame& f : out.frames()) hear(Side::battery, f);
            for (const Telegram& t : out.telegrams()) bridge.on_bytes(t.bytes(), now, now);
        }
        out.clear();
        if (pack2 && now >= pack2_wake_) pack2_wake_ = pack2->on_tick(now, out);
        if (pack2_cable)
            for (const CanFrame& f : out.frames()) hear(Side::battery2, f);
        out.clear();
        if (now >= inverter_wake_) inverter_wake_ = inverter->on_tick(now, out);
        if (inverter_cable)
            for (const CanFrame& f : out.frames()) hear(Side::inverter, f);
        turn();
    }
    void hear(Side side, const CanFrame& frame)
    {
        if (tap) tap(side, frame);
        bridge.on_frame(side, frame, now, now);
    }
    void turn()
    {
        bridge.run(now);
        for (const Side side : bridge.sides())
            while (const auto frame = bridge.next_frame(side, now)) {
                if (bus_full[static_cast<std::size_t>(side)]) {
                    bridge.blocked(side, now);
                    break;
                }
                bridge.sent(side, now);
                sent.push_back({now, side, *frame});
                if (side == Side::battery && pack_cable) pack->on_frame(*frame, now);
                if (side == Side::battery2 && pack2_cable) pack2->on_frame(*frame, now);
                if (side == Side::inverter && inverter_cable) inverter->on_frame(*frame, now);
            }
        while (const auto telegram = bridge.next_telegram(now)) {
            if (bus_full[0]) {
                bridge.blocked(Side::battery, now);
                break;
            }
            bridge.sent(Side::battery, now);
            written.push_back({now, *telegram});
            if (pack_cable) pack->on_bytes(telegram->bytes(), now);
        }
    }

    BusStatus bus_[sides_max];
    Instant pack_wake_{}, pack2_wake_ = pack2 ? Instant{} : end_of_time, inverter_wake_{}, plant_wake_{};
};

}  // namespace batgw::test
