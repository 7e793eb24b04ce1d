// Finding serial ports by what is behind them, in a made-up tree of the shape that /sys has.
#include "bus/usb.hpp"

#include "tests/bus/line_fixture.hpp"

#include <fstream>

using namespace batgw;
using namespace batgw::test;
namespace fs = std::filesystem;

namespace {

class Tree {
public:
    Tree() { fs::create_directories(folder_ / "sys/class/tty"); }
    bus::SystemTree tree() const { return {.sys = folder_ / "sys", .dev = "/dev"}; }
    std::string sys(const std::string& path) const { return folder_ / ("sys/" + path); }

    void device(const std::string& socket, const std::string& vendor, const std::string& product, const std::string& serial = {})
    {
        const std::string at = way(socket);
        fs::create_directories(sys(at));
        write(at + "/idVendor", vendor + "\n");
        write(at + "/idProduct", product + "\n");
        write(at + "/product", "USB Serial\n");
        if (!serial.empty()) write(at + "/serial", serial + "\n");
    }
    // As usb-serial does: a directory of its own below the interface. cdc-acm links to the interface.
    void port(const std::string& node, const std::string& socket, bool acm = false, const std::string& interface = ":1.0")
    {
        const std::string at = way(socket) + "/" + socket + interface + (acm ? "" : "/" + node);
        fs::create_directories(sys(at));
        fs::create_directories(sys("class/tty/" + node));
        fs::create_symlink(sys(at), sys("class/tty/" + node + "/device"));
    }
    void write(const std::string& path, const std::string& text) { std::ofstream{sys(path)} << text; }
    static std::string way(const std::string& socket) { return "devices/pci0000:00/usb1/1-1/" + socket; }

private:
    TemporaryFolder folder_;
};

PortName named(const std::string& text) { return parse_interface("waveshare:" + text).value().port; }

}  // namespace

TEST_CASE("a port is found by vendor and product, through the drivers' two ways of hanging it below its USB device")
{
    Tree t;
    t.device("1-1.3", "1a86", "7523");
    t.port("ttyUSB0", "1-1.3");
    t.device("1-1.4", "ad50", "60c4", "00210031");
    t.port("ttyACM0", "1-1.4", true);
    CHECK(bus::find_port(named("usb:1a86:7523"), t.tree()).path == "/dev/ttyUSB0");
    CHECK(bus::find_port(named("usb:1A86:7523"), t.tree()).path == "/dev/ttyUSB0");
    CHECK(bus::find_port(named("usb:ad50:60c4"), t.tree()).path == "/dev/ttyACM0");
    CHECK(bus::find_port(named("usb:ad50:60c4:00210031"), t.tree()).path == "/dev/ttyACM0");
    CHECK(bus::find_port(named("usb:1-1.4"), t.tree()).path == "/dev/ttyACM0");
    CHECK(bus::find_port(named("/dev/serial/by-id/x"), t.tree()).path == "/dev/serial/by-id/x");
    const auto all = bus::usb_ports(t.tree());
    REQUIRE(all.size() == 2);
    CHECK(all[0].node == "ttyACM0");
    CHECK(all[0].serial_number == "00210031");
    CHECK(all[1].socket == "1-1.3");
    CHECK(all[1].vendor == 0x1A86);
    CHECK(all[1].model == "USB Serial");
}

TEST_CASE("of two that fit none is taken, and both are named with their sockets")
{
    Tree t;
    for (const char* socket : {"1-1.2", "1-1.3"}) t.device(socket, "1a86", "7523");
    t.port("ttyUSB1", "1-1.2");
    t.port("ttyUSB0", "1-1.3");
    const auto found = bus::find_port(named("usb:1a86:7523"), t.tree());
    CHECK(found.path.empty());
    CHECK(found.ambiguous);
    CHECK(found.problem ==
        "2 ports fit usb:1a86:7523, and none is touched: /dev/ttyUSB0 at usb:1-1.3 (1a86:7523, USB Serial); /dev/ttyUSB1 at "
        "usb:1-1.2 "
        "(1a86:7523, USB Serial); name one by its socket, serial number or path");
    CHECK(bus::find_port(named("usb:1-1.2"), t.tree()).path == "/dev/ttyUSB1");
}

TEST_CASE("two of the same kind are told apart by their serial numbers")
{
    Tree t;
    t.device("1-1.2", "0403", "6001", "A50285BI");
    t.device("1-1.3", "0403", "6001", "A50285BJ");
    t.port("ttyUSB0", "1-1.2");
    t.port("ttyUSB1", "1-1.3");
    CHECK(bus::find_port(named("usb:0403:6001:A50285BJ"), t.tree()).path == "/dev/ttyUSB1");
    CHECK(bus::find_port(named("usb:0403:6001"), t.tree()).ambiguous);
    const auto none = bus::find_port(named("usb:0403:6001:a50285bj"), t.tree());
    CHECK(none.path.empty());
    CHECK_FALSE(none.ambiguous);
    CHECK(none.problem.starts_with("no serial port fits usb:0403:6001:a50285bj; there is /dev/ttyUSB0 at usb:1-1.2"));
}

TEST_CASE("a chip with two ports in one socket is two that fit")
{
    Tree t;
    t.device("1-1.2", "0403", "6010");
    t.port("ttyUSB0", "1-1.2", false, ":1.0");
    t.port("ttyUSB1", "1-1.2", false, ":1.1");
    CHECK(bus::find_port(named("usb:1-1.2"), t.tree()).ambiguous);
}

TEST_CASE("what has no USB device above it, or is half gone, is no candidate")
{
    Tree t;
    CHECK(bus::find_port(named("usb:1a86:7523"), t.tree()).problem == "no serial port fits usb:1a86:7523");
    // A built-in port, a virtual one, one whose device was pulled between two looks, one with an id that is none.
    fs::create_directories(t.sys("devices/platform/serial8250"));
    fs::create_directories(t.sys("class/tty/ttyS0"));
    fs::create_symlink(t.sys("devices/platform/serial8250"), t.sys("class/tty/ttyS0/device"));
    fs::create_directories(t.sys("class/tty/tty0"));
    fs::create_directories(t.sys("class/tty/ttyUSB7"));
    fs::create_symlink(t.sys("devices/gone"), t.sys("class/tty/ttyUSB7/device"));
    t.device("1-1.5", "1a8", "7523");
    t.port("ttyUSB8", "1-1.5");
    CHECK(bus::usb_ports(t.tree()).empty());
    CHECK(bus::usb_ports({.sys = "/no/such/tree", .dev = "/dev"}).empty());
    // And a file of the host's own that lies outside of the tree is never looked at.
    fs::create_directories(t.sys("class/tty/ttyX"));
    fs::create_symlink("/", t.sys("class/tty/ttyX/device"));
    CHECK(bus::usb_ports(t.tree()).empty());
}

TEST_CASE("an adapter that comes back under another name in the same socket is found there")
{
    Tree t;
    t.device("1-1.3", "1a86", "7523");
    t.port("ttyUSB0", "1-1.3");
    CHECK(bus::find_port(named("usb:1-1.3"), t.tree()).path == "/dev/ttyUSB0");
    fs::remove_all(t.sys("class/tty/ttyUSB0"));
    CHECK(bus::find_port(named("usb:1-1.3"), t.tree()).path.empty());
    t.port("ttyUSB1", "1-1.3");
    CHECK(bus::find_port(named("usb:1-1.3"), t.tree()).path == "/dev/ttyUSB1");
}

TEST_CASE("strings that a device made up are cut and do not break a line")
{
    Tree t;
    t.device("1-1.3", "1a86", "7523");
    t.port("ttyUSB0", "1-1.3");
    t.write(Tree::way("1-1.3") + "/product", std::string(5000, 'x') + "\nsecond\n");
    const auto all = bus::usb_ports(t.tree());
    REQUIRE(all.size() == 1);
    CHECK(all[0].model.size() == 256);
    t.write(Tree::way("1-1.3") + "/product", "USB\x1b[31m\x07 \xc3\xa9Serial\n");
    CHECK(bus::usb_ports(t.tree())[0].model == "USB[31m Serial");
}
