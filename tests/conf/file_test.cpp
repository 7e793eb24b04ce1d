#include "tests/conf/helpers.hpp"

#include <doctest/doctest.h>

#include <algorithm>

#include <sys/stat.h>
#include <unistd.h>

using namespace batgw;
using namespace batgw::test;

namespace {

// A folder of its own that goes with it.
class Folder {
public:
    Folder()
    {
        std::string name = (std::filesystem::temp_directory_path() / "batgw-conf-XXXXXX").string();
        REQUIRE(::mkdtemp(name.data()) != nullptr);
        path_ = name;
    }
    ~Folder() { std::filesystem::remove_all(path_); }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;
    std::string file(std::string_view name, std::string_view text, mode_t mode = 0640) const
    {
        const auto path = path_ / name;
        std::ofstream{path, std::ios::binary} << text;
        REQUIRE(::chmod(path.c_str(), mode) == 0);
        return path.string();
    }
    std::string path(std::string_view name) const { return (path_ / name).string(); }

private:
    std::filesystem::path path_;
};

Loaded load_path(const std::string& path) { return load_file(path, catalogue(), no_environment()); }

std::string only_line(const Loaded& loaded, const std::string& path)
{
    CHECK_FALSE(loaded.config.has_value());
    const std::string lines = lines_of(loaded.problems);
    REQUIRE(lines.starts_with(path));
    return lines.substr(path.size());
}

}  // namespace

// CONF-001
TEST_CASE("problems name the file as it was given")
{
    const Folder folder;
    const std::string path = folder.file("a.yaml", "bateries: {}\n");
    CHECK(lines_of(load_path(path).problems).find(path + ":1:1: bateries: unknown key") != std::string::npos);
    CHECK(load_path(folder.file("b.yaml", short_config)).config.has_value());
}

// CONF-006
TEST_CASE("what is not a readable regular file of at most 1 MiB is refused in one clear line")
{
    const Folder folder;
    CHECK(only_line(load_path(folder.path("none")), folder.path("none")) ==
        ": cannot be opened: No such file or directory (a readable file)\n");
    CHECK(only_line(load_path(folder.path("")), folder.path("")) == ": not a regular file (a text file)\n");
    REQUIRE(::mkfifo(folder.path("pipe").c_str(), 0600) == 0);
    CHECK(only_line(load_path(folder.path("pipe")), folder.path("pipe")) == ": not a regular file (a text file)\n");
    CHECK(only_line(load_path("/dev/zero"), "/dev/zero") == ": not a regular file (a text file)\n");
    const std::string large = folder.file("large", std::string(largest_file + 1, '#'));
    CHECK(only_line(load_path(large), large) == ": 1048577 bytes (at most 1 MiB)\n");
    CHECK(load_path(folder.file("empty", "")).problems.size() == 4);
    if (::geteuid() != 0) {
        const std::string closed = folder.file("closed", short_config, 0000);
        CHECK(only_line(load_path(closed), closed) == ": cannot be opened: Permission denied (a readable file)\n");
    }
}

// MQTT-070
TEST_CASE("a file that holds a password and that everybody may read is warned of")
{
    const Folder folder;
    const std::string secret = short_config + "mqtt: {host: h, username: u, password: p}\n";
    const auto warned = [&](const std::string& text, mode_t mode) {
        const Loaded loaded = load_path(folder.file("f.yaml", text, mode));
        REQUIRE(loaded.config.has_value());
        return std::any_of(loaded.warnings.begin(), loaded.warnings.end(),
            [](const std::string& w) { return w.find("holds a password") != std::string::npos; });
    };
    CHECK(warned(secret, 0644));
    CHECK_FALSE(warned(secret, 0640));
    CHECK_FALSE(warned(short_config + "mqtt: {host: h}\n", 0644));
    CHECK_FALSE(warned(short_config, 0644));
}
