// broken/NAME.yaml is refused with exactly the lines of broken/NAME.expected; good/NAME.yaml is in force as good/NAME.expected.
// With BATGW_WRITE_EXPECTED in the environment the .expected files are written anew, to be read before they are committed.
#include "conf/effective.hpp"
#include "conf/reload.hpp"
#include "tests/conf/helpers.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>

using namespace batgw;
using namespace batgw::test;

namespace {

std::vector<std::filesystem::path> files_in(const char* folder)
{
    std::vector<std::filesystem::path> files;
    for (const auto& entry : std::filesystem::directory_iterator{std::filesystem::path{"tests/conf"} / folder})
        if (entry.path().extension() == ".yaml") files.push_back(entry.path());
    std::sort(files.begin(), files.end());
    return files;
}

void check_against(std::filesystem::path file, const std::string& text)
{
    file.replace_extension(".expected");
    if (std::getenv("BATGW_WRITE_EXPECTED") != nullptr) std::ofstream{file, std::ios::binary} << text;
    CHECK(text == read_file(file));
}

Definitions definitions()
{
    return {
        .given = {{"BROKER", "broker.house"}, {"PORT", "8884"}, {"TRICK", "x: {hold_s: 5}"}, {"EMPTY", ""}}, .environment = {}};
}

}  // namespace

// CONF-001, CONF-002, CONF-003, CONF-006, SAFE-060, SAFE-075, SAFE-243
TEST_CASE("every broken file is refused with all its problems, each at its line, column and key")
{
    const auto files = files_in("broken");
    CHECK(files.size() >= 100);
    for (const auto& file : files) {
        CAPTURE(file.string());
        const Loaded loaded = load(read_file(file), file.filename().string(), catalogue(), definitions());
        CHECK_FALSE(loaded.config.has_value());
        check_against(file, lines_of(loaded.problems));
    }
}

// CONF-004
TEST_CASE("every good file gives the effective configuration that it should")
{
    const auto files = files_in("good");
    CHECK(files.size() >= 8);
    for (const auto& file : files) {
        CAPTURE(file.string());
        const Loaded loaded = load(read_file(file), file.filename().string(), catalogue(), definitions());
        CHECK(lines_of(loaded.problems) == "");
        REQUIRE(loaded.config.has_value());
        check_against(file, effective_yaml(*loaded.config, catalogue()));
    }
}

// CONF-004, SAFE-243
TEST_CASE("the effective configuration loads again to the same configuration, secrets aside")
{
    for (const auto& file : files_in("good")) {
        CAPTURE(file.string());
        const Loaded first = load(read_file(file), file.filename().string(), catalogue(), definitions());
        REQUIRE(first.config.has_value());
        const std::string text = effective_yaml(*first.config, catalogue());
        const Loaded second = load_text(text);
        CHECK(lines_of(second.problems) == "");
        REQUIRE(second.config.has_value());
        CHECK(effective_yaml(*second.config, catalogue()) == text);
        const std::vector<std::string> secret{"mqtt.password"};
        const bool has_secret = first.config->mqtt && !first.config->mqtt->password.empty();
        CHECK(compare(*first.config, *second.config).changed == (has_secret ? secret : std::vector<std::string>{}));
        CHECK(first.warnings == second.warnings);
    }
}

TEST_CASE("a problem prints as one line, whatever is in it")
{
    CHECK(to_string({"f.yaml", 3, 7, "battery.charge_w", "'-1' is too small", "0..100000 W"}) ==
        "f.yaml:3:7: battery.charge_w: '-1' is too small (0..100000 W)");
    CHECK(to_string({"f.yaml", 0, 0, "", "cannot be opened", ""}) == "f.yaml: cannot be opened");
    CHECK(to_string({"", 1, 2, "a", "b\nc\x1b", ""}) == ":1:2: a: b?c?");
}
