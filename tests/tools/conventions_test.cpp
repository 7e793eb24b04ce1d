// What style and CONTRIBUTING promise of every driver, whoever wrote it.
#include "batgw/layout.hpp"
#include "batgw/tools.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

using namespace batgw;

namespace {

std::string contents(const std::filesystem::path& path)
{
    std::ifstream in{path};
    REQUIRE_MESSAGE(in.good(), path.string());
    std::stringstream text;
    text << in.rdbuf();
    return text.str();
}

// "byd-hvs" is byd_hvs in file names.
std::string file_name(std::string_view protocol)
{
    std::string name{protocol};
    std::replace(name.begin(), name.end(), '-', '_');
    return name;
}

}  // namespace

TEST_CASE("every driver has its source, its test file, its page and its models")
{
    std::set<std::string> names;
    for (const Protocol& p : all_protocols()) {
        CAPTURE(p.name());
        CHECK(names.emplace(p.name()).second);
        CHECK(p.name().find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") == std::string_view::npos);
        CHECK(p.models().size() > 10);
        const std::string kind{p.kind()}, file = file_name(p.name());
        CHECK(std::filesystem::exists(kind + "/" + file + ".cpp"));
        bool tested = false;
        for (const auto& entry : std::filesystem::directory_iterator{"tests/" + kind}) {
            const std::string name = entry.path().filename().string();
            tested = tested ||
                (name.starts_with(file) && name.ends_with("_test.cpp") &&
                    contents(entry.path()).find("TEST_CASE") != std::string::npos);
        }
        CHECK(tested);
        const std::string page = contents("docs/protocols/" + std::string{p.name()} + ".md");
        CHECK(page.starts_with("# `" + std::string{p.name()} + "`"));
        CHECK(page.size() > 1000 + layout_markdown(p).size());  // and something that a person wrote
    }
}

TEST_CASE("every driver declares what it sends, and explains its options")
{
    for (const Protocol& p : all_protocols()) {
        CAPTURE(p.name());
        for (const OptionRule& option : p.options()) {
            CAPTURE(option.name);
            CHECK(option.help.size() > 10);
            CHECK(option.help.find('\n') == std::string_view::npos);
        }
        if (p.serial()) continue;  // telegrams are not frames
        const Traffic traffic = default_traffic(p);
        for (const TxRule& rule : traffic.sends()) {
            CAPTURE(rule.id);
            const auto messages = p.messages();
            CHECK(std::any_of(
                messages.begin(), messages.end(), [&](const MessageView& m) { return m.carried_by(rule.id, rule.extended); }));
        }
    }
}

TEST_CASE("a part of a page is replaced between its marks, and only there")
{
    CHECK(with_layout("a\n<!-- layout -->\nold\n<!-- /layout -->\nb\n", "new\n") ==
        "a\n<!-- layout -->\nnew\n<!-- /layout -->\nb\n");
    CHECK(with_layout("<!-- layout --><!-- /layout -->", "x\n") == "<!-- layout -->\nx\n<!-- /layout -->");
    CHECK(!with_layout("no marks", "x"));
    CHECK(!with_layout("<!-- /layout --> <!-- layout -->", "x"));
    CHECK(!with_layout("<!-- layout --> <!-- layout --> <!-- /layout -->", "x"));
    CHECK(!with_layout("<!-- layout --> <!-- /layout --> <!-- /layout -->", "x"));
}
