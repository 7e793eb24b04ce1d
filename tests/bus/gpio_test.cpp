// What of the contactor lines can be tried without a chip; with one: tests/canlab/suite_gpio_contactors.
#include "bus/gpio.hpp"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <unistd.h>

using namespace batgw;

namespace {

namespace fs = std::filesystem;

struct Root {
    Root() { fs::create_directories(path); }
    ~Root() { fs::remove_all(path); }
    Root(const Root&) = delete;
    Root& operator=(const Root&) = delete;
    fs::path path = fs::temp_directory_path() / ("batgw-gpio-" + std::to_string(::getpid()));

    std::string parameter(const std::string& driver, const std::string& value) const
    {
        const fs::path folder = path / "sys/module" / driver / "parameters";
        fs::create_directories(folder);
        std::ofstream{folder / "persist_gpio_outputs"} << value;
        return folder / "persist_gpio_outputs";
    }
};

struct Ears final : GpioListener {
    void on_lines(const ContactorLines& lines, Instant) override { heard.push_back(lines); }
    std::vector<ContactorLines> heard;
};
struct Log final : BusLog {
    void line(Level, std::string_view text) override { lines.emplace_back(text); }
    std::vector<std::string> lines;
};

GpioSpec spec(std::string chip)
{
    GpioSpec s;
    s.chip = std::move(chip);
    s.lines.negative = 1;
    s.lines.precharge = 2;
    s.lines.positive = 3;
    return s;
}

}  // namespace

TEST_CASE("gpio: the kernel's parameter says whether outputs outlive the program, on either driver")
{
    // SAFE-159
    for (const std::string driver : {"pinctrl_bcm2835", "pinctrl_rp1"}) {
        CAPTURE(driver);
        Root root;
        CHECK_FALSE(outputs_persist(root.path));
        for (const std::string off : {"N\n", "n", "0\n"}) {
            root.parameter(driver, off);
            CHECK_FALSE(outputs_persist(root.path));
        }
        for (const std::string on : {"Y\n", "y", "1", "", "\n", "?"}) {
            CAPTURE(on);
            const std::string file = root.parameter(driver, on);
            CHECK(outputs_persist(root.path) == file);
        }
    }
}

TEST_CASE("gpio: a chip that is not there is said once, in words, and the lines are not held")
{
    // SAFE-159
    const EventBase base{event_base_new()};
    Ears ears;
    Log log;
    GpioLines lines{base.get(), spec("gpiochip4711"), ears, log};
    CHECK_FALSE(lines.lines().held);
    CHECK(lines.lines().trouble == "missing");
    CHECK(log.lines == std::vector<std::string>{"GPIO chip gpiochip4711 is not there; tried again every 2 s"});
    lines.drive({.negative = true});  // nobody hears it
    timeval soon{2, 300'000};
    event_base_loopexit(base.get(), &soon);
    event_base_dispatch(base.get());
    CHECK(ears.heard.size() == 1);
    CHECK(log.lines.size() == 1);
}

TEST_CASE("gpio: what is no chip is called so")
{
    GpioTrouble trouble;
    CHECK(GpioRequest::open(spec("/dev/null"), trouble) == nullptr);
    CHECK(trouble.word == "no chip");
    CHECK(trouble.text == "/dev/null is no GPIO chip");
    CHECK(GpioRequest::open(spec("/dev/no-such-chip"), trouble) == nullptr);
    CHECK(trouble.word == "missing");
}
