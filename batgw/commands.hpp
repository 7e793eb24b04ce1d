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

int list_drivers(bool json);  // batgw list

}  // namespace batgw
