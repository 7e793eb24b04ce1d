// Any bytes as a configuration: no crash, and never a configuration together with problems.
#include "conf/effective.hpp"
#include "conf/load.hpp"
#include "conf/reload.hpp"
#include "tests/conf/catalogue.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    using namespace batgw;
    const std::string_view text{reinterpret_cast<const char*>(data), size};
    const Definitions definitions{.given = {{"A", "1"}, {"B", "text"}}, .environment = {}};
    const Loaded loaded = load(text, "fuzz.yaml", test::catalogue(), definitions);
    if (loaded.config.has_value() == !loaded.problems.empty()) std::abort();
    for (const Problem& p : loaded.problems)
        if (to_string(p).find('\n') != std::string::npos) std::abort();
    if (!loaded.config) return 0;
    // What was accepted is printed and accepted again, unchanged.
    const Loaded again = load(effective_yaml(*loaded.config, test::catalogue()), "again.yaml", test::catalogue(), definitions);
    if (!again.config) std::abort();
    for (const auto& key : compare(*loaded.config, *again.config).changed)
        if (key != "mqtt.password") std::abort();
    return 0;
}
