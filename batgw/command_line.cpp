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

void add_definitions(CLI::App& command, std::vector<std::string>& given)
{
    command.add_option("-D", given, "define a name for ${NAME} in the configuration")
        ->type_name("NAME=VALUE")
        ->allow_extra_args(false)
        ->take_all();
}

void add(CLI::App& command, DecodeOptions& decode)
{
    command.add_option("PROTOCOL", decode.protocol, "as `batgw list` prints it")->required();
    command.add_option("LOG", decode.file,
        "as candump -l, -L or plain candump writes it; serial protocols: bytes in hexadecimal. "
        "Default: standard input");
    command.add_option("--interface", decode.interfaces, "only frames of this interface; repeatable")
        ->type_name("NAME")
        ->allow_extra_args(false)
        ->take_all();
    command.add_option("--option", decode.options, "an option of the protocol, as in the configuration; repeatable")
        ->type_name("NAME=VALUE")
        ->allow_extra_args(false)
        ->take_all();
    command.add_flag("--delta", decode.delta, "times count from the line before (candump -t d)");
    command.add_flag("--json", decode.json, "one JSON object per line");
    command.footer("Exit status: 0 all well; 1 it could not be read, or holds nothing of this protocol; 3 some lines or frames "
                   "were refused.");
}

void add(CLI::App& command, ReplayOptions& replay, std::vector<std::string>& given)
{
    command.add_option("-f", replay.file, "configuration file")->capture_default_str()->type_name("FILE");
    add_definitions(command, given);
    command.add_option("LOG", replay.logs, "logs of candump with times, merged by time; - is standard input")->required();
    command.add_option("--battery", replay.battery, "the battery's interface in the logs; default: battery.interface");
    command.add_option("--inverter", replay.inverter, "the inverter's interface in the logs; default: inverter.interface");
    command.add_option("--after", replay.after, "go on this long behind the last frame, with silence")->type_name("TIME");
    command.add_flag("--delta", replay.delta, "times count from the line before (candump -t d)");
    command.add_flag("--own-ids", replay.own,
        "play also frames that the gateway itself would send; else they are taken for those "
        "of the gateway that ran when the log was made");
    command.add_flag("--no-frames", replay.no_frames, "print what is decided, not the frames that would be sent");
    command.add_option("--step", replay.step_w, "print limits when they moved this far, in W")->capture_default_str();
    command.add_flag("--json", replay.json, "one JSON object per line");
    command.footer("Exit status: 0 all well; 1 it could not be played; 3 some lines were refused.");
}

void add(CLI::App& command, ControlOptions& control, std::vector<std::string>& given)
{
    command.add_option("-f", control.file, "configuration file, which names the socket")
        ->capture_default_str()
        ->type_name("FILE");
    command.add_option("--socket", control.socket, "the gateway's control socket; the configuration is not read then")
        ->type_name("PATH");
    add_definitions(command, given);
    command.footer("Exit status: 0 done; 1 refused, or no gateway could be asked.");
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
    add_definitions(app, given);

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

    ControlOptions status;
    ResetOptions reset;
    std::vector<std::string> control_given;
    auto* status_command = app.add_subcommand("status", "how the running gateway is");
    status_command->add_flag("--json", status.json, "for programs: STATE and ALARMS as on the broker, in one line");
    add(*status_command, status, control_given);
    auto* reset_command = app.add_subcommand("reset", "reset a latched fault of the running gateway; closes no contactor");
    reset_command->add_option("FAULT", reset.fault, "as `batgw status` shows it, or all")->required();
    reset_command->add_option("REASON", reset.reason, "why; wanted for an EMERGENCY");
    add(*reset_command, reset.control, control_given);

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

    ListOptions list;
    auto* list_command = app.add_subcommand("list", "battery and inverter protocols");
    list_command->add_option("PROTOCOL", list.protocol, "this one, with its options");
    list_command->add_flag("--json", list.json, "one JSON object per line");

    DecodeOptions decode;
    auto* decode_command = app.add_subcommand("decode", "what a log of candump, or of a serial line, says");
    add(*decode_command, decode);

    ReplayOptions replay;
    std::vector<std::string> replay_given;
    auto* replay_command = app.add_subcommand("replay", "recorded traffic through the configured gateway; nothing is sent");
    add(*replay_command, replay, replay_given);

    RunOptions off;
    std::vector<std::string> off_given;
    auto* off_command = app.add_subcommand(
        "outputs-off", "GPIO outputs inactive, then exit; for after a gateway that was killed (contactors.mode gpio)");
    off_command->add_option("-f", off.file, "configuration file")->capture_default_str()->type_name("FILE");
    add_definitions(*off_command, off_given);

    LayoutOptions layout;
    auto* layout_command = app.add_subcommand("layout", "frames, signals and options of a protocol, as declared");
    layout_command->add_option("PROTOCOL", layout.protocol, "as `batgw list` prints it");
    layout_command->add_flag("--dbc", layout.dbc, "as a DBC file, for SavvyCAN and the like");
    layout_command->add_option("--write", layout.write, "write the parts between <!-- layout --> marks of all pages in a folder")
        ->type_name("DIR");
    layout_command->add_option("--check", layout.check, "tell which pages in a folder differ from the declarations")
        ->type_name("DIR");

    try {
        app.parse(argc, argv);
        run.definitions = definitions_of(given);
        replay.definitions = definitions_of(replay_given);
        status.definitions = reset.control.definitions = definitions_of(control_given);
        off.definitions = definitions_of(off_given);
    } catch (const CLI::ParseError& e) {
        return app.exit(e) == 0 ? 0 : 2;
    }
    if (status_command->parsed()) return print_status(status);
    if (reset_command->parsed()) return reset_fault(reset);
    if (demo_command->parsed()) return run_demo(demo);
    if (sim_command->parsed()) return run_simulator(sim);
    if (list_command->parsed()) return list_drivers(list);
    if (decode_command->parsed()) return decode_log(decode);
    if (replay_command->parsed()) return replay_logs(replay);
    if (off_command->parsed()) return switch_outputs_off(off);
    if (layout_command->parsed()) return print_layout(layout);
    return check ? check_configuration(run) : run_gateway(run);
}

}  // namespace batgw
