// The inputs that fuzzing kept, once through every target. `make fuzz` looks for more.
#include <doctest/doctest.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>

// LLVMFuzzerTestOneInput of each target, renamed by the build. They end the program when something is wrong.
using FuzzTarget = int(const std::uint8_t*, std::size_t);
extern "C" FuzzTarget fuzz_conf, fuzz_drivers, fuzz_lines, fuzz_log_line, fuzz_mqtt;

// SAFE-305
TEST_CASE("no input that fuzzing kept does harm")
{
    struct {
        std::string_view name;
        FuzzTarget* target;
    } const targets[]{
        {"conf", fuzz_conf}, {"drivers", fuzz_drivers}, {"lines", fuzz_lines}, {"log_line", fuzz_log_line}, {"mqtt", fuzz_mqtt}};
    for (const auto& fuzzed : targets) {
        CAPTURE(fuzzed.name);
        std::size_t inputs = 0;
        for (const auto& entry : std::filesystem::directory_iterator{"tests/fuzz/corpus/" + std::string{fuzzed.name}}) {
            CAPTURE(entry.path());
            std::ifstream file{entry.path(), std::ios::binary};
            const std::string bytes{std::istreambuf_iterator<char>{file}, {}};
            CHECK(fuzzed.target(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()) == 0);
            ++inputs;
        }
        CHECK(inputs > 0);
    }
}
