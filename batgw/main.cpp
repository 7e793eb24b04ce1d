#include "batgw/command_line.hpp"

#include <cstdio>
#include <exception>

int main(int argc, char** argv)
{
    try {
        return batgw::run_command_line(argc, argv);
    } catch (const std::exception& e) {
        std::fprintf(stderr, "batgw: %s\n", e.what());
        return 1;
    }
}
