// The thin shell around the bridge: two buses, one timer, signals, one event loop, one thread that never blocks.
#pragma once

#include "batgw/bridge.hpp"
#include "batgw/channels.hpp"
#include "batgw/notify.hpp"
#include "batgw/timer.hpp"
#include "bus/bus.hpp"
#include "bus/event.hpp"
#include "bus/gpio.hpp"
#include "model/config.hpp"

#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace batgw {

class Gateway {
public:
    struct Setup {
        std::shared_ptr<const Config> config;
        const BatteryDriverInfo* battery;
        const InverterDriverInfo* inverter;
        std::optional<OperatorState> restored;
        ServiceManager* service;
        VirtualHub* hub = nullptr;  // for `virtual:` interfaces
        std::function<std::unique_ptr<Bus>(Side, const BusSpec&, BusListener&)>
            open;                               // instead of open_bus(), for tests and benchmarks
        std::function<Duration()> suspended{};  // instead of suspended_so_far(), for tests
        bool handle_signals = true;             // SIGTERM and SIGINT stop, SIGHUP reloads
        std::vector<ActiveFault> latched{};     // by an earlier run (SAFE-046)
        std::vector<ActiveFault> found{};       // wrong at start: LATCH_STORE, RESTART_LOOP
        unsigned openings_under_load = 0;       // counted by earlier runs (SAFE-154)
        std::string start_note{};               // told as an event; empty: nothing
    };
    Gateway(event_base* base, Setup setup, Channels& channels);
    ~Gateway();

    // Until the orderly stop is complete.
    void run();
    // What SIGTERM does; a second time hurries.
    void stop();
    const Bridge& bridge() const { return bridge_; }
    void snapshot(Snapshot& into) { bridge_.fill(into, monotonic_now()); }

private:
    struct Port;
    struct BusLines;
    struct Lines;

    void turn(Instant now);  // judge, tick, send, arm the timer
    void give_up();
    void flush(Port& port, Instant now);
    void take_commands(Instant now);
    void publish(Instant now);
    void look_at_clock();
    void look_at_sleep(Instant now);
    void be_ready(Instant now);
    void feed_watchdog(Instant now);
    void on_timer();
    void on_bell();
    void on_stop_signal() { stop(); }
    void on_reload_signal();

    event_base* base_;
    Setup setup_;
    Channels& channels_;
    Bridge bridge_;
    Timer timer_;
    std::unique_ptr<BusLines> log_;
    std::vector<std::unique_ptr<Port>> ports_;  // by side
    std::unique_ptr<Lines> lines_;
    EventHandle on_timer_, on_bell_, on_term_, on_int_, on_hup_;
    std::uint64_t events_sent_ = 0;
    std::uint64_t transitions_sent_ = ~std::uint64_t{0};
    Instant next_snapshot_{};
    Instant next_feed_{};
    std::optional<Instant> gives_up_at_;
    Duration suspended_{};
    bool ready_ = false;
    bool turning_ = false;
};

}  // namespace batgw
