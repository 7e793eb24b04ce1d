#include "tests/tools/run.hpp"

#include <doctest/doctest.h>

#include <fstream>
#include <string>

using namespace batgw::test;

namespace {

// The tool beside a made-up list of rules and one made-up test.
Ran trace(const std::string& rules, const std::string& test)
{
    const Folder folder;
    std::ofstream{folder.file("rules")} << rules;
    std::ofstream{folder.file("some_test.cpp")} << test;
    return run("d='" + folder.file("") +
        "'; mkdir -p $d/tools $d/tests/some; cp tools/traceability $d/tools/; cp $d/rules $d/tests/traceability.txt; "
        "cp $d/some_test.cpp $d/tests/some/; $d/tools/traceability");
}

}  // namespace

// SAFE-302
TEST_CASE("traceability: a rule that no test cites is named, and so is a citation of a rule that does not exist")
{
    // In two pieces: this file cites but one rule.
    const auto whole = [](std::string text) {
        for (std::size_t at = 0; (at = text.find('@', at)) != std::string::npos;) text.replace(at, 1, "SAFE-");
        return text;
    };
    const auto check = [&](const std::string& rules, const std::string& test) { return trace(whole(rules), whole(test)); };
    const std::string rules = "@001  # One decision point\n@002\n\nlater\n@160\n";
    CHECK(check(rules, "// @001\nTEST_CASE(\"it holds\") { CHECK(true); }  // @002\n").status == 0);

    const Ran missing = check(rules, "// @001\nTEST_CASE(\"it holds\")\n");
    CHECK(missing.status == 1);
    CHECK(missing.out.find(whole("@002: no test cites it")) != std::string::npos);

    // What stands far above the first case proves nothing.
    CHECK(check(rules, "// @001\n\n#include <x>\n\n// @002\nTEST_CASE(\"it holds\")\n").status == 1);

    const Ran unknown = check(rules, "// @001, @002, @999\nTEST_CASE(\"it holds\")\n");
    CHECK(unknown.status == 1);
    CHECK(unknown.out.find(whole("some_test.cpp:1: there is no rule @999")) != std::string::npos);

    CHECK(check(rules + "@001\n", "// @001, @002\nTEST_CASE(\"it holds\")\n").status == 1);
}
