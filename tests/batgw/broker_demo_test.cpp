// The demo, as people start it: the gateway opens real serial ports, and what is on their far ends is played.
#include "tests/batgw/program.hpp"

#include <doctest/doctest.h>

using namespace batgw::test;

namespace {

int demo(const std::vector<std::string>& with)
{
    std::vector<std::string> arguments{"demo", "--plain", "--for", "12s"};
    arguments.insert(arguments.end(), with.begin(), with.end());
    Program program{arguments};
    const int status = program.wait(60);
    CAPTURE(program.out());
    CAPTURE(program.err());
    CHECK(program.out().find("The inverter got what it needs.") != std::string::npos);
    return status;
}

}  // namespace

TEST_CASE("demo: a pack behind a Waveshare adapter and an inverter behind slcan, and the other way round")
{
    CHECK(demo({"--battery-adapter", "waveshare", "--inverter-adapter", "slcan"}) == 0);
    CHECK(demo({"--battery-adapter", "slcan", "--inverter-adapter", "waveshare"}) == 0);
}
