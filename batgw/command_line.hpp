#pragma once

namespace batgw {

// Reads the arguments and does what they say; returns the exit status. Throws what could not be done at all.
int run_command_line(int argc, char** argv);

}  // namespace batgw
