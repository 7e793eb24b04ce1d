// doctest's own main costs seconds to compile, so it is compiled once, here, for all test programs.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>
