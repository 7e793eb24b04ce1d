// What the program can be asked to do, one function each; the return value is the exit status.
#pragma once

#include "conf/load.hpp"
#include "model/driver.hpp"

#include <string>
#include <vector>

namespace batgw {

// All drivers of this build.
DriverCatalogue drivers();

struct RunOptions {
    std::string file = "/etc/batgw.yaml";
    Definitions definitions;  // -D NAME=VALUE
    bool verbose = false;
};
int check_configuration(const RunOptions& options);  // batgw -n
int run_gateway(const RunOptions& options);          // batgw
int switch_outputs_off(const RunOptions& options);   // batgw outputs-off (SAFE-212)

struct ControlOptions {
    std::string file = "/etc/batgw.yaml";  // tells the socket
    Definitions definitions;
    std::string socket;  // instead of the configured one
    bool json = false;   // status only
};
int print_status(const ControlOptions& options);  // batgw status

struct ResetOptions {
    ControlOptions control;
    std::string fault, reason;
};
int reset_fault(const ResetOptions& options);  // batgw reset

struct DemoOptions {
    std::string battery = "byd-atto3", inverter = "byd-hvs";
    std::string battery_adapter, inverter_adapter;  // "waveshare", "slcan"; empty: a bus inside the process
    std::string duration;                           // "20s", "5m"; empty: until Ctrl-C
    bool real_times = false;                        // the waiting times of a real start instead of short ones
    bool print_configuration = false;
    bool plain = false;  // one line a second instead of a live screen
    unsigned seed = 1;
};
int run_demo(const DemoOptions& options);  // batgw demo

struct SimOptions {
    std::string kind;  // battery | inverter
    std::string protocol;
    std::string interface;
    std::string cable;                  // path of a socket that stands for the DC cable between two simulators; empty: none
    std::string duration;               // empty: until a signal
    std::vector<std::string> commands;  // given to the simulator at start
    unsigned seed = 1;
};
int run_simulator(const SimOptions& options);  // batgw sim

struct ListOptions {
    std::string protocol;  // empty: all
    bool json = false;
};
int list_drivers(const ListOptions& options);  // batgw list

struct DecodeOptions {
    std::string protocol;
    std::string file = "-";               // "-": standard input
    std::vector<std::string> interfaces;  // empty: all
    std::vector<std::string> options;     // NAME=VALUE, of the driver
    bool delta = false;                   // times count from the line before
    bool json = false;
};
int decode_log(const DecodeOptions& options);  // batgw decode

struct ReplayOptions {
    std::string file = "/etc/batgw.yaml";
    Definitions definitions;
    std::vector<std::string> logs;
    std::string battery, inverter;  // interfaces as the logs name them; empty: those of the configuration
    std::string after;              // how long to go on behind the last frame
    bool delta = false;
    bool own = false;        // also frames of identifiers that the gateway itself sends
    bool no_frames = false;  // do not print what would be sent
    unsigned step_w = 100;   // grants are printed when they moved this far
    bool json = false;
};
int replay_logs(const ReplayOptions& options);  // batgw replay

struct LayoutOptions {
    std::string protocol;      // empty: all, for `write` and `check`
    std::string write, check;  // folder with the pages of the protocols
    bool dbc = false;
};
int print_layout(const LayoutOptions& options);  // batgw layout

}  // namespace batgw
