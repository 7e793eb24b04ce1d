// The commands of tests/tools/golden/*.sh print exactly what the .expected beside them holds. With BATGW_WRITE_EXPECTED in the
// environment these are written anew, to be read before they are committed.
#include "tests/tools/run.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>

using namespace batgw::test;

namespace {

std::string contents(const std::filesystem::path& path)
{
    std::ifstream in{path, std::ios::binary};
    std::stringstream text;
    text << in.rdbuf();
    return text.str();
}

}  // namespace

TEST_CASE("decode, replay, list and layout print what is written down")
{
    std::vector<std::filesystem::path> scripts;
    for (const auto& entry : std::filesystem::directory_iterator{"tests/tools/golden"})
        if (entry.path().extension() == ".sh") scripts.push_back(entry.path());
    std::sort(scripts.begin(), scripts.end());
    REQUIRE(scripts.size() >= 8);
    for (const auto& script : scripts) {
        CAPTURE(script.string());
        const Ran ran = run("cd tests/tools/golden; . ./" + script.filename().string());
        const std::string all = ran.out + "--- standard error\n" + ran.err + "--- status " + std::to_string(ran.status) + "\n";
        std::filesystem::path expected = script;
        expected.replace_extension(".expected");
        if (std::getenv("BATGW_WRITE_EXPECTED") != nullptr) std::ofstream{expected, std::ios::binary} << all;
        CHECK(all == contents(expected));
    }
}
