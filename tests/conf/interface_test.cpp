#include "model/interface_name.hpp"

#include <doctest/doctest.h>

using namespace batgw;

TEST_CASE("an interface is named by one string, of five kinds")
{
    REQUIRE(parse_interface("can0"));
    CHECK(parse_interface("can0")->kind == InterfaceKind::can);
    CHECK(parse_interface("can0")->name == "can0");
    CHECK(parse_interface("virtual:battery")->kind == InterfaceKind::in_process);
    CHECK(parse_interface("virtual:battery")->name == "battery");
    const auto line = parse_interface("/dev/serial/by-id/usb-1a86_USB_Serial-if00-port0");
    REQUIRE(line);
    CHECK(line->kind == InterfaceKind::serial);
    CHECK(line->port.path == "/dev/serial/by-id/usb-1a86_USB_Serial-if00-port0");
    CHECK_FALSE(line->port.by_usb());
    const auto adapter = parse_interface("waveshare:/dev/ttyUSB0");
    REQUIRE(adapter);
    CHECK(adapter->kind == InterfaceKind::waveshare);
    CHECK(adapter->port.path == "/dev/ttyUSB0");
    CHECK_FALSE(adapter->baud);
    CHECK(parse_interface("slcan:/dev/ttyACM0")->kind == InterfaceKind::slcan);
}

TEST_CASE("a port is found by vendor and product, by serial number too, or by the USB socket")
{
    const auto ids = parse_interface("waveshare:usb:1A86:7523@1228800");
    REQUIRE(ids);
    CHECK(ids->port.by_usb());
    CHECK(ids->port.vendor == 0x1A86);
    CHECK(ids->port.product == 0x7523);
    CHECK(ids->port.serial_number.empty());
    CHECK(ids->port.text == "usb:1A86:7523");
    CHECK(ids->baud == 1'228'800);
    const auto serial = parse_interface("usb:0403:6001:A502:85BI");
    REQUIRE(serial);
    CHECK(serial->port.serial_number == "A502:85BI");
    const auto socket = parse_interface("slcan:usb:2-1.3.4");
    REQUIRE(socket);
    CHECK(socket->port.socket == "2-1.3.4");
    CHECK(socket->port.serial_number.empty());
}

TEST_CASE("an @ in a path belongs to the path, unless digits follow it to the end")
{
    const auto path = parse_interface("slcan:/dev/serial/by-id/usb-a@b-if00");
    REQUIRE(path);
    CHECK(path->port.path == "/dev/serial/by-id/usb-a@b-if00");
    CHECK_FALSE(path->baud);
    CHECK_FALSE(parse_interface("slcan:/dev/ttyACM0@9601"));
    CHECK_FALSE(parse_interface("slcan:/dev/ttyACM0@99999999999999999999"));
    CHECK_FALSE(parse_interface("/dev/ttyUSB0@9600"));
}

TEST_CASE("what names no bus is refused")
{
    for (const char* text :
        {"", ".", "..", "sixteen-letters!", "can0:1", "a name", "caf\xc3\xa9", "virtual:", "virtual:a/b", "/", "/dev/",
            "dev/ttyUSB0", "waveshare:", "waveshare:can0", "waveshare:waveshare:/dev/ttyUSB0", "slcan:virtual:x",
            "usb:", "usb:1a86", "usb:1a86:", "usb:1a86:752", "usb:1a86:75233", "usb:1a86:7523:", "usb:+a86:7523", "usb:0x1a:7523",
            "usb:1a86:7523:a b", "usb:1-", "usb:-1", "usb:1-1.", "usb:1-1..2", "usb:1.1", "usb:1-1.3\n", "/dev/tty\nUSB0"}) {
        CAPTURE(text);
        CHECK_FALSE(parse_interface(text));
    }
}
