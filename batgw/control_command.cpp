// batgw status and batgw reset.
#include "batgw/commands.hpp"
#include "batgw/control.hpp"

#include <cstdio>
#include <stdexcept>
#include <string>

namespace batgw {
namespace {

std::string socket_of(const ControlOptions& options)
{
    if (!options.socket.empty()) return options.socket;
    const Loaded loaded = load_file(options.file, drivers(), options.definitions);
    if (loaded.config) return loaded.config->control_socket;
    for (const Problem& p : loaded.problems) std::fprintf(stderr, "%s\n", to_string(p).c_str());
    throw std::runtime_error{"the configuration does not tell where the gateway listens: see --socket"};
}

int ask(const ControlOptions& options, const std::string& request)
{
    const ControlAnswer answer = ask_control(socket_of(options), request);
    std::fputs(answer.text.c_str(), answer.ok ? stdout : stderr);
    return answer.ok ? 0 : 1;
}

}  // namespace

int print_status(const ControlOptions& options) { return ask(options, options.json ? "status\tjson" : "status"); }

int reset_fault(const ResetOptions& options) { return ask(options.control, "reset\t" + options.fault + "\t" + options.reason); }

}  // namespace batgw
