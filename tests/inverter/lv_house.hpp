// A Pylontech low-voltage driver alone in virtual time, with a verdict and a battery that the test shapes.
#pragma once

#include "tests/inverter/hvs_house.hpp"

#include <map>
#include <set>

namespace batgw::test {

class LvHouse {
public:
    using Changes = House::Changes;
    explicit LvHouse(const Changes& changes = {})
    {
        InverterConfig config;
        config.protocol = "pylontech-lv";
        config.options = default_options(info);
        for (const auto& [name, value] : changes) config.options.set(name, value);
        driver = info.make(config);

        // Made up: 16 LFP cells of 280 Ah.
        battery.voltage.set(Voltage::from_milli(53'420), now);
        battery.current.set(12.3_A, now);
        battery.soc.set(Percent::from_milli(50'250), now);
        battery.soh.set(98_pct, now);
        battery.temperature_max.set(24_degC, now);
        battery.temperature_min.set(18_degC, now);
        battery.temperature_avg.set(Temperature::from_milli(23'500), now);
        battery.cell_voltage_max.set(3342_mV, now);
        battery.cell_voltage_min.set(3310_mV, now);
        battery.cell_max_number.set(7_count, now);
        battery.cell_min_number.set(12_count, now);
        SensorTemperatures sensors;
        sensors.count = 4;
        sensors.set(0, 20_degC);
        sensors.set(1, 18_degC);
        sensors.set(3, 24_degC);
        battery.temperatures.set(sensors, now);
        battery.energy_in.set(1234.56_kWh, now);
        battery.energy_out.set(1111.1_kWh, now);
        battery.cycles.set(77_count, now);
        verdict.state = GatewayState::starting;
        verdict.pack = {
            .cells = 16, .energy_rated = 14.336_kWh, .voltage_max = 58.4_V, .voltage_min = 44.8_V, .voltage_nominal = 51.2_V};
        verdict.voltage_max = 57_V;
        verdict.voltage_min = 47.8_V;
        verdict.inverter_link = true;
    }

    // Judged anew every 100 ms, and the driver is called when it wants to be.
    void run(Duration time)
    {
        const Instant end = now + time;
        tick();
        while (true) {
            const Instant next = std::min({wake, judged + 100ms, end});
            if (next <= now) throw std::logic_error{"time stands still"};
            now = next;
            tick();
            if (now >= end) return;
        }
    }
    void tick()
    {
        if (now >= judged + 100ms || verdict.sequence == 0) judge();
        Outbox out;
        wake = driver->on_tick(now, {.verdict = verdict, .battery = battery, .overtaken = overtaken}, out);
        CHECK(wake > now);
        CHECK(out.lost() == 0);
        CHECK(out.frames().size() <= 10);
        for (const CanFrame& f : out.frames()) sent.push_back({now, f});
    }
    void judge()
    {
        judged = now;
        ++verdict.sequence;
        verdict.at = now;
    }
    Heard hear(std::string_view f, bool extended = false)
    {
        CanFrame heard = frame(f);
        heard.extended = extended;
        return driver->on_frame(heard, now);
    }
    void grant(Current charge, Current discharge)
    {
        verdict.charge = GrantWriter::write(50_V * charge, charge, Cause::config);
        verdict.discharge = GrantWriter::write(50_V * discharge, discharge, Cause::config);
        judge();
    }
    void valid() { verdict.battery_valid = verdict.battery_link = true; }
    // HOLD is over, limits are told; `sent` empty.
    void start_running(Current charge = 50_A, Current discharge = 100_A)
    {
        valid();
        verdict.ready = true;
        verdict.state = GatewayState::run;
        grant(charge, discharge);
        run(7s);
        REQUIRE(state().phase == InverterPhase::run);
        sent.clear();
    }
    void fault(ActiveFault f)
    {
        verdict.faults.push_back(f);
        if (f.level < FaultClass::block) return;
        if (covers(f.direction, Direction::charge)) verdict.charge = Grant{};
        if (covers(f.direction, Direction::discharge)) verdict.discharge = Grant{};
        if (f.direction == Direction::both) verdict.ready = false;
    }
    // What one beat says, of each id its last frame.
    std::map<std::uint32_t, std::string> beat()
    {
        run(300ms);
        sent.clear();
        run(1100ms);
        std::map<std::uint32_t, std::string> said;
        for (const Sent& s : sent) said[s.frame.id] = text(s.frame);
        return said;
    }
    const InverterState& state() const { return driver->state(); }
    std::vector<CanFrame> frames(std::uint32_t id) const
    {
        std::vector<CanFrame> all;
        for (const Sent& s : sent)
            if (s.frame.id == id) all.push_back(s.frame);
        return all;
    }
    std::string last(std::uint32_t id) const
    {
        const auto all = frames(id);
        return all.empty() ? "none" : text(all.back());
    }
    std::vector<Instant> times(std::uint32_t id) const
    {
        std::vector<Instant> all;
        for (const Sent& s : sent)
            if (s.frame.id == id) all.push_back(s.at);
        return all;
    }
    std::set<std::uint32_t> ids() const
    {
        std::set<std::uint32_t> all;
        for (const Sent& s : sent) all.insert(s.frame.id);
        return all;
    }

    const InverterDriverInfo& info = *find_inverter_driver("pylontech-lv");
    Instant now{std::chrono::hours{5} + 271828us};  // not zero: a forgotten start time shows
    Instant judged = now;
    Instant wake = now;
    std::unique_ptr<InverterDriver> driver;
    Verdict verdict;
    BatteryState battery;
    std::uint64_t overtaken = 0;
    std::vector<Sent> sent;
};

inline ActiveFault fault(FaultId id, FaultClass level, Direction direction, Device device = Device::battery)
{
    ActiveFault f;
    f.id = id;
    f.level = level;
    f.direction = direction;
    f.device = device;
    return f;
}

// ---- an independent decoder, from the protocol's description with plain byte arithmetic ----

inline int le16(const CanFrame& f, std::size_t i) { return f.data[i] + 256 * f.data[i + 1]; }
inline int le16s(const CanFrame& f, std::size_t i) { return le16(f, i) < 32768 ? le16(f, i) : le16(f, i) - 65536; }

}  // namespace batgw::test
