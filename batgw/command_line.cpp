#include "batgw/command_line.hpp"

#include "batgw/commands.hpp"

#include <CLI/CLI.hpp>

#include <string>
#include <vector>

namespace batgw {
namespace {

Definitions definitions_of(const std::vector<std::string>& given)
{
    Definitions all;
    for (const std::string& text : given) {
        const auto equals = text.find('=');
        if (equals == 0 || equals == std::string::npos) throw CLI::ValidationError{"-D", "wants NAME=VALUE, not '" + text + "'"};
        all.set(text.substr(0, equals), text.substr(equals + 1));
    }
    return all;
}

}  // namespace

int run_command_line(int argc, char** argv)
{
    CLI::App app{"batgw: the gateway between a battery and a hybrid inverter", "batgw"};
    app.set_version_flag("--version", BATGW_VERSION);
    app.require_subcommand(0, 1);

    RunOptions run;
    std::vector<std::string> given;
    bool check = false;
    bool foreground = false;
    app.add_flag("-n", check, "check the configuration, print the effective one and exit");
    app.add_flag("-v", run.verbose, "say more (log level debug)");
    app.add_flag("-d", foreground, "stay in the foreground (always so; kept for those used to it)");
    app.add_option("-f", run.file, "configuration file")->capture_default_str()->type_name("FILE");
    app.add_option("-D", given, "define a name for ${NAME} in the configuration")
        ->type_name("NAME=VALUE")
        ->expected(1)
        ->take_all();

    DemoOptions demo;
    auto* demo_command = app.add_subcommand("demo", "the whole chain on simulated hardware; needs no CAN, no root");
    demo_command->add_option("--for", demo.duration, "stop by itself after this time: 20s, 5m, 1h")->type_name("TIME");
    demo_command->add_option("--battery", demo.battery, "battery protocol")->capture_default_str();
    demo_command->add_option("--inverter", demo.inverter, "inverter protocol")->capture_default_str();
    const auto adapters = CLI::IsMember({"waveshare", "slcan"});
    demo_command->add_option("--battery-adapter", demo.battery_adapter, "CAN of the battery through an adapter, played too")
        ->check(adapters);
    demo_command->add_option("--inverter-adapter", demo.inverter_adapter, "likewise, of the inverter")->check(adapters);
    demo_command->add_option("--seed", demo.seed, "seed of the simulated hardware")->capture_default_str();
    demo_command->add_flag("--real-times", demo.real_times, "keep the waiting times of a real start");
    demo_command->add_flag("--print-config", demo.print_configuration, "print the configuration the demo uses and exit");
    demo_command->add_flag("--plain", demo.plain, "one line a second instead of a live screen");

    SimOptions sim;
    auto* sim_command = app.add_subcommand("sim", "a simulated battery or inverter on a bus");
    sim_command->add_option("KIND", sim.kind, "battery or inverter")->required()->check(CLI::IsMember({"battery", "inverter"}));
    sim_command->add_option("PROTOCOL", sim.protocol, "as in the configuration")->required();
    sim_command
        ->add_option("--interface", sim.interface,
            "as in the configuration; or the far end of a serial port, played on a pseudo-terminal that the gateway then finds "
            "at\n"
            "PATH: pty:PATH, and with a CAN adapter on it waveshare:pty:PATH or slcan:pty:PATH")
        ->required()
        ->type_name("BUS");
    sim_command->add_option("--cable", sim.cable, "socket that stands for the DC cable between a battery and an inverter")
        ->type_name("PATH");
    sim_command->add_option("--for", sim.duration, "stop by itself after this time")->type_name("TIME");
    sim_command->add_option("--command", sim.commands, "given to the simulator at start; repeatable; `help` lists them")
        ->take_all();
    sim_command->add_option("--seed", sim.seed, "seed of the simulated hardware")->capture_default_str();

    bool json = false;
    auto* list_command = app.add_subcommand("list", "battery and inverter protocols");
    list_command->add_flag("--json", json, "one JSON object per line");

    try {
        app.parse(argc, argv);
        run.definitions = definitions_of(given);
    } catch (const CLI::ParseError& e) {
        return app.exit(e) == 0 ? 0 : 2;
    }
    if (demo_command->parsed()) return run_demo(demo);
    if (sim_command->parsed()) return run_simulator(sim);
    if (list_command->parsed()) return list_drivers(json);
    return check ? check_configuration(run) : run_gateway(run);
}

}  // namespace batgw
