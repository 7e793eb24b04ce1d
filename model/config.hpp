// The configuration as the program uses it: checked, complete, in units. Loading it from a file is the business of conf/.
// Names and bounds of the file's keys: docs/configuration.md. Defaults here are those of the safety rules for LFP.
#pragma once

#include "model/battery_state.hpp"
#include "model/time.hpp"
#include "model/units.hpp"
#include "model/verdict.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace batgw {

enum class Chemistry : std::uint8_t { lfp, nmc, custom };
constexpr std::string_view to_string(Chemistry c) { return c == Chemistry::lfp ? "lfp" : c == Chemistry::nmc ? "nmc" : "custom"; }

// How well a driver was tried (SAFE-308), ordered.
enum class Verification : std::uint8_t { none, replay, bench, field };
constexpr std::string_view to_string(Verification v)
{
    return v == Verification::none ? "none" : v == Verification::replay ? "replay" : v == Verification::bench ? "bench" : "field";
}

// A value of `options:` after checking. Enumerations are text.
using OptionValue = std::variant<bool, std::int64_t, double, std::string>;

// The `options:` of one driver: every option the driver declares is in here, given or default.
class Options {
public:
    void set(std::string_view name, OptionValue value)
    {
        for (auto& [key, old] : items_)
            if (key == name) {
                old = std::move(value);
                return;
            }
        items_.emplace_back(name, std::move(value));
    }
    // The type is the declared one; an undeclared name is our own mistake and throws.
    template <class T>
    const T& get(std::string_view name) const
    {
        for (const auto& [key, value] : items_)
            if (key == name) return std::get<T>(value);
        throw std::bad_variant_access{};
    }
    const std::vector<std::pair<std::string, OptionValue>>& items() const { return items_; }
    friend bool operator==(const Options&, const Options&) = default;

private:
    std::vector<std::pair<std::string, OptionValue>> items_;
};

struct BatteryConfig {
    std::string protocol;
    std::string interface;
    std::optional<std::uint32_t> bitrate;
    Power max_charge = 10_kW, max_discharge = 10_kW;  // ceilings
    Power charge = 10_kW, discharge = 10_kW;          // operator limits at start, <= ceilings
    Chemistry chemistry = Chemistry::lfp;
    std::optional<unsigned> cells;
    std::optional<Energy> capacity;
    std::optional<Voltage> voltage_max, voltage_min;  // pack window, narrows the driver's
    Options options;
};

struct InverterConfig {
    std::string protocol;
    std::string interface;
    std::optional<std::uint32_t> bitrate;
    Options options;
};

// A piecewise linear curve; x in thousandths of its unit, y a fraction. Strictly increasing x.
struct CurvePoint {
    std::int64_t x_milli = 0;
    Percent y;
    friend constexpr bool operator==(const CurvePoint&, const CurvePoint&) = default;
};
using Curve = FixedVector<CurvePoint, 16>;

struct SafetyConfig {
    bool observe = false;
    Duration tick = 100ms;
    struct Ages {  // class floors
        Duration flags = 2s, contactor = 1s, current = 2s, voltage = 2s, cell = 5s, battery_limit = 5s, temperature = 10s,
                 soc = 10s, cell_array = 60s, insulation = 60s;
    } signal_age;
    Duration stale_ramp = 3s;
    Duration link_lost = 10s;
    Duration link_lost_open = 60s;  // for_ever: never
    Duration start_valid = 5s;
    Duration hold = 30s;
    Percent ramp_up_per_second = 5_pct;
    Duration increase_settle = 5s;
    struct Assumptions {  // of signals that a battery can never deliver (SAFE-029); current and pack voltage are not among them
        std::optional<Temperature> temperature_min, temperature_max;
        std::optional<Percent> soc;
        bool cell_voltage_min = false, cell_voltage_max = false;  // pack voltage divided by cells
    } assume;
    struct OverLimit {  // current above what the inverter was told (SAFE-066)
        Percent margin = 10_pct;
        Current margin_least = 2_A;
        Duration warn = 5s, block = 15s, trip = 30s;
        Duration grace = 5s;  // what an inverter gets to follow a lower limit
    } over_limit;
    struct Escalation {  // SAFE-043
        unsigned count = 5;
        Duration window = 3600s;
    } escalation;
    Duration reset_absent = 60s;  // SAFE-045
    struct OverCurrent {
        Percent block = 110_pct, trip = 125_pct;
        Duration block_delay = 10s, trip_delay = 2s;
    } over_current;
    struct Soc {
        Percent min = 10_pct, max = 100_pct, hysteresis_low = 3_pct, hysteresis_high = 2_pct, taper = 5_pct;
        bool required = true;
        bool bands = false;    // fixed steps near full and near empty, for LFP
        bool scaling = false;  // the inverter is shown 0 % at `min` and 100 % at `max` (SAFE-115)
    } soc;
    struct TemperatureRules {
        Curve charge_curve, discharge_curve;
        bool trust_battery_limits = false;
        TemperatureStep hysteresis = 3_K;
        Temperature min = Temperature::from_milli(-25'000), trip = 60_degC, emergency = 70_degC;
        TemperatureStep rise = 5_K;
        Duration rise_window = 60s;
        Temperature rise_above = 45_degC;
        TemperatureStep spread_warn = 10_K, spread_block = 15_K, spread_clear = 12_K;
    } temperature;
    struct Cell {
        Voltage target = 3500_mV, cutoff = 3000_mV;
        Curve charge_curve, discharge_curve;
        Voltage block_high = 3600_mV, block_high_clear = 3520_mV;
        Duration block_high_delay = 1s;
        Voltage block_low = 2800_mV, block_low_clear = 3000_mV;
        Duration block_low_delay = 2s;
        Voltage trip_high = 3700_mV, trip_low = 2500_mV, deep = 2000_mV;
        Voltage deviation_warn = 150_mV, deviation_derate_from = 200_mV, deviation_derate_to = 300_mV, deviation_block = 300_mV,
                deviation_trip = 500_mV;
        Voltage knee_high = 3400_mV, knee_low = 3100_mV;  // beyond these LFP exaggerates deviation (SAFE-063)
    } cell;
    struct InsulationRules {
        Insulation warn = 500_ohm_per_V, block = 100_ohm_per_V;
        bool block_while_closed = false;
        bool required = false;
    } insulation;
    struct Parallel {  // packs side by side on one inverter (SAFE-281)
        Voltage max_delta = 1500_mV;
        Percent max_delta_share = Percent::from_milli(400);  // of the voltage; the lower of both counts
        Duration warn = 3s, open = 10s;
    } parallel;
    struct Contactors {
        ContactorMode mode = ContactorMode::none;
        bool close_automatically = true;  // contactors.close
        Duration boot_inhibit = 10s, valid = 5s;
        unsigned attempts = 3;
        Duration attempts_window = 600s, cooldown = 30s;
        Duration close_total = 8s;
        Current open_current = 2_A;
        Duration open_stable = 200ms, open_max_wait = 10s, open_min_wait = 0s, fuse_wait = 3s;
        std::optional<Current> break_current;  // empty: unknown
        unsigned cycles_per_hour = 6, cycles_per_day = 20;
        bool auto_reclose = true;
        bool open_on_exit = true;
        bool link_synthetic = false;  // driver profile: WARN LINK_SYNTHETIC

        // The rest is of mode `gpio`.
        struct Gpio {  // offsets of the lines on their chip; empty: not wired
            std::optional<unsigned> negative, precharge, positive, economiser, heartbeat;
            std::optional<unsigned> negative_feedback, precharge_feedback, positive_feedback, interlock, emergency_stop;
            // Bits of those that are active at low level: the outputs positive, precharge, negative, economiser, heartbeat, then
            // the inputs in the order above.
            unsigned active_low = 0;
            static constexpr unsigned first_output = 0, first_input = 5;
        } gpio;
        Duration negative_time = 500ms, overlap = 1000ms, negative_delay = 100ms;
        struct Precharge {
            bool timer = false;            // by time alone (SAFE-147)
            std::optional<Duration> time;  // then this one
            Percent match = 3_pct;
            Voltage match_min = 3_V, match_max = 15_V;
            Duration hold = 100ms, min = 200ms, max = 5s;
        } precharge;
        Duration feedback = 200ms, interlock = 200ms, emergency_stop = 50ms;
        struct Weld {
            Percent decay = 10_pct;
            Duration decay_time = 60s;
            Current current = 2_A;
        } weld;
        bool inverter_feeds_link = false;  // the inverter may hold its DC link up by itself (SAFE-143, SAFE-156)
        bool persistence_acknowledged = false;
        unsigned heartbeat_hz = 10;
    } contactors;
    struct InverterLink {
        Duration lost = 60s;
        Duration lost_open_after = 60s;  // for_ever: never
        bool black_start = false;
        bool information_only = false;  // inverter profile: the check touches no grant (SAFE-180)
        // What is tried on an inverter that goes on although its limit is zero, from mild to strong (SAFE-113).
        bool request_bits = false;  // ask it for the opposite
        bool soc_override = false;  // show it 0 % or 100 %
        bool silence = false;       // say nothing any more
        bool contactors = false;    // part it from the battery
    } inverter_link;
    struct Process {
        Duration watchdog = 5s, stall_warn = 500ms, stall_block = 2s;
        struct CrashLoop {  // SAFE-216
            unsigned count = 5;
            Duration window = 600s;
        } crash_loop;
        bool realtime = false;  // SAFE-218
        Verification require_verification = Verification::none;
    } process;
};

// Of GPIO inputs.
enum class GpioBias : std::uint8_t { as_is, off, pull_up, pull_down };

struct TlsConfig {
    bool on = false;
    std::string ca, cert, key, server_name, psk_identity, psk_file, ciphers;
    bool verify = true;
    std::string min = "1.2";
};

struct MqttConfig {
    std::string host;
    std::uint16_t port = 1883;
    std::string family = "any";
    std::string username, password, password_file;
    std::string client_id;  // empty: program name, process id and a random suffix
    std::string topic = "battery-gateway";
    Duration teleperiod = 300s;
    std::optional<Duration> keep_alive = 30s;
    Duration reconnect = 30s;
    TlsConfig tls;
    std::vector<std::string> commands{
        "charge", "discharge", "max-charge", "max-discharge", "limits", "pause", "teleperiod", "ping"};
    bool legacy_topics = true;
    int legacy_qos = 0;
    bool retain_status = false;
    bool legacy_sign_uniform = false;
    Duration value_interval = 10s, state_interval = 1s, state_refresh = 30s;
    std::string cells = "all";  // all | summary | off
    Duration cells_interval = 10s;
    bool persist_commands = true;
    std::string version = "3.1.1";  // 3.1.1 | 5
};

enum class LogLevel : std::uint8_t { error, warn, info, debug };

struct Config {
    BatteryConfig battery;
    std::optional<BatteryConfig> battery2;  // a second pack of the same kind, in parallel
    InverterConfig inverter;
    SafetyConfig safety;  // chemistry, then driver profile, then the file
    std::optional<MqttConfig> mqtt;
    std::string gpio_chip;  // of contactors.mode gpio: name, path or label
    GpioBias gpio_bias = GpioBias::as_is;
    LogLevel log_level = LogLevel::info;
    std::string state_directory = "/var/lib/batgw";
    std::string control_socket = "/run/batgw/control";
};

// Ceilings and operator limits of all packs together; the rest is of the first.
inline BatteryConfig all_packs(const Config& config)
{
    BatteryConfig all = config.battery;
    if (!config.battery2) return all;
    all.max_charge = all.max_charge + config.battery2->max_charge;
    all.max_discharge = all.max_discharge + config.battery2->max_discharge;
    all.charge = all.charge + config.battery2->charge;
    all.discharge = all.discharge + config.battery2->discharge;
    return all;
}

}  // namespace batgw
