// The second thread: broker, log, disk, reload. Whatever gets stuck here cannot move a frame on either bus (SAFE-005).
#pragma once

#include "batgw/channels.hpp"
#include "batgw/latch_file.hpp"
#include "batgw/notify.hpp"
#include "batgw/wear_file.hpp"
#include "bus/event.hpp"
#include "conf/load.hpp"
#include "model/driver.hpp"
#include "mqtt/client.hpp"

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace batgw {

class Control;
class Store;

class Outside {
public:
    struct Setup {
        std::shared_ptr<const Config> config;
        const BatteryDriverInfo* battery;
        const InverterDriverInfo* inverter;
        std::function<Loaded()> read_again;  // the configuration, for a reload
        ServiceManager* service;
        bool keep_state = true;                             // false: leave the state directory alone
        std::optional<std::vector<ActiveFault>> latched{};  // as the record has them; empty: it is to be written anew
        std::optional<StartRecord> start{};                 // of this run, to be kept
        WearRecord wear{};                                  // of the contactors, as the record has it
        bool restart_loop = false;                          // it began with RESTART_LOOP
        std::string control_socket{};                       // where to listen; empty: nowhere
    };
    Outside(Channels& channels, Setup setup);
    // Says goodbye to the broker, writes what is still to be written, prints the last log lines. Bounded: a few seconds.
    ~Outside();
    // The run ended as it should: the next start is a clean one.
    void orderly() { orderly_ = true; }

private:
    void run();
    void answer();  // the bridge rang
    void said_goodbye();
    void print_lines();
    void keep(const Snapshot& now);
    bool may_tell();
    void reload();
    void start_client();
    void start_control();
    bool submit(const Command& command);
    void capture(const Command& command);
    MqttContext mqtt_context() const;
    void warn_of_tls();
    void disk_trouble(bool failing, std::string_view why);

    Channels& channels_;
    Setup setup_;
    std::shared_ptr<const Config> config_;  // in force
    EventBase base_;
    EventHandle on_bell_;
    Snapshot shown_;  // the newest that was told
    bool untold_ = false;
    std::optional<std::chrono::steady_clock::time_point> held_since_;
    std::unique_ptr<Store> store_;
    std::unique_ptr<BlackBox> black_box_;
    std::unique_ptr<MqttClient> client_;
    std::unique_ptr<Control> control_;
    std::vector<CommandResult> captured_;  // answers that are still to be given
    std::atomic<LogLevel> log_level_;
    std::atomic<bool> stop_{false}, orderly_{false};
    std::thread thread_;
};

}  // namespace batgw
