#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

TEST_CASE("no frame is ever handed to a cyclic sender of the kernel")
{
    // SAFE-008
    // The kernel would go on sending limits for a program that hangs. CAN_BCM is the only way to do that.
    const std::string forbidden[] = {std::string{"linux/can/"} + "bcm.h", std::string{"CAN_"} + "BCM"};
    std::size_t files = 0;
    for (const char* room : {"model", "battery", "inverter", "safety", "bus", "batgw", "sim", "conf", "mqtt"}) {
        if (!std::filesystem::exists(room)) continue;
        for (const auto& entry : std::filesystem::recursive_directory_iterator{room}) {
            if (entry.path().extension() != ".cpp" && entry.path().extension() != ".hpp") continue;
            std::ifstream in{entry.path()};
            const std::string text{std::istreambuf_iterator<char>{in}, {}};
            for (const std::string& word : forbidden) CHECK_MESSAGE(text.find(word) == std::string::npos, entry.path().string());
            ++files;
        }
    }
    CHECK(files > 30);
}
