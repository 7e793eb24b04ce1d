// The broker's end of the gateway: one MQTT connection on the outside thread's event loop.
//
// Nothing in here waits: names are resolved and key files read by a helper thread, the connection is opened without blocking,
// everything else is libmosquitto driven by readiness of its socket. All functions belong to the thread that runs `outside`.
#pragma once

#include "model/command.hpp"
#include "model/config.hpp"
#include "model/driver.hpp"
#include "model/snapshot.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>

struct event_base;

namespace batgw {

// What the topics are made from, beside the snapshots.
struct MqttContext {
    const BatteryDriverInfo* battery = nullptr;    // may be null: no battery value topics
    const InverterDriverInfo* inverter = nullptr;  // may be null: no inverter value topics
    Power max_charge, max_discharge;               // configured ceilings: what a command may ask for at most
    unsigned packs = 1;                            // several: they are `battery1`, `battery2`, and `battery` all of them
    unsigned cells_expected = 0;                   // cells of the pack; 0: as many as it says it has
};

struct MqttHooks {
    std::function<bool(const Command&)> submit;           // to the bridge; false: its queue is full
    std::function<void(LogLevel, std::string_view)> log;  // one line, no newline, never a secret
    std::function<void(bool)> retained_command{};  // may be empty: a retained command lies on the broker, or no longer does
};

class MqttClient {
public:
    // Starts connecting at once, retries for ever. `config` and `context` are copied; the driver infos must outlive the client.
    MqttClient(event_base* outside, const MqttConfig& config, const MqttContext& context, MqttHooks hooks);
    // Leaves without a word to the broker (it then publishes the will); see stop().
    ~MqttClient();
    MqttClient(const MqttClient&) = delete;
    MqttClient& operator=(const MqttClient&) = delete;

    // The newest state of everything; call for each new one. A copy is kept.
    void on_snapshot(const Snapshot& snapshot);
    // The bridge's answer to a command that went through `submit`.
    void on_result(const CommandResult& result);
    // Takes over a new configuration. Reconnects where the connection itself is concerned, or certificates may have changed.
    void reconfigure(const MqttConfig& config, const MqttContext& context);
    // Publishes `Offline`, disconnects, then calls `done`, at the latest after 2 s. `done` is called from the event loop, and may
    // destroy the client.
    void stop(std::function<void()> done);

    bool connected() const;  // the broker has accepted us
    struct Counters {
        std::uint64_t connects = 0, failures = 0, received = 0, sent = 0, dropped = 0;
        std::size_t waiting = 0;  // messages in our queue
    };
    Counters counters() const;

private:
    class Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace batgw
