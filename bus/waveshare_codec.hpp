// The protocol of the USB-CAN Analyzer, also sold as Waveshare USB-CAN-A and by Seeed, between the adapter and its host. No input
// or output here, only bytes.
//
// Sources: "USB (Serial port) to CAN protocol defines" and "CAN configuration description" in SeeedDocument/USB-CAN_Analyzer,
// res/Document; python-can's seeedstudio driver for the status command; recorded bytes in tixiv/CAN-Monitor-qt. Not tried on an
// adapter of ours.
#pragma once

#include "bus/id_filter.hpp"
#include "model/can_frame.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <span>

namespace batgw::bus::waveshare {

// How frames travel. Configuration and status are always in the fixed form.
//
//   fixed     AA 55 type format kind id[4] len data[8] 00 checksum       type 01 frame, 04 status, 02 and 12 configuration
//   variable  AA T id[2 or 4] data[len] 55                               T = 11xr llll: extended, remote, length; no checksum
//
// Ids are little-endian. The checksum is the sum of bytes 2 to 18.
enum class Framing : std::uint8_t { fixed, variable };

inline constexpr std::size_t fixed_size = 20;
using Fixed = std::array<std::uint8_t, fixed_size>;

// Returns how many bytes it took.
std::size_t encode(const CanFrame& frame, Framing framing, std::span<std::uint8_t, fixed_size> out);

struct Configuration {
    Framing framing = Framing::fixed;
    std::uint32_t bitrate = 500'000;
    bool only_extended = false;  // otherwise both frame formats are received
};
// Normal mode, each frame sent once: in loopback and silent mode documents and programs contradict each other. Nothing for a bit
// rate that the adapter cannot do.
std::optional<Fixed> encode(const Configuration& configuration);

// Asks for the error counters; the answer is a packet of kind `status`.
inline constexpr Fixed status_request{0xAA, 0x55, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4};
Fixed encode_status(std::uint8_t rx_errors, std::uint8_t tx_errors);

struct Packet {
    enum class Kind : std::uint8_t { frame, remote, status, configuration } kind = Kind::frame;
    CanFrame frame{};
    std::uint8_t rx_errors = 0, tx_errors = 0;
    Configuration configuration{};
};

struct Counts {
    std::uint64_t bad = 0;      // heads of packets that were none: checksum, form
    std::uint64_t skipped = 0;  // bytes that were part of no packet
};

// Bytes that wait to become packets; bounded.
class Buffer {
public:
    // Takes what there is room for and returns the rest.
    std::span<const std::uint8_t> fill(std::span<const std::uint8_t> bytes);
    std::span<const std::uint8_t> view() const { return {bytes_.data() + first_, size_}; }
    void drop(std::size_t count);

private:
    std::array<std::uint8_t, 256> bytes_{};
    std::size_t first_ = 0, size_ = 0;
};

class FixedParser {
public:
    // `host_side`: configuration is no packet that an adapter sends.
    explicit FixedParser(bool host_side = true) : host_side_{host_side} {}
    // Nothing: give it more bytes.
    std::optional<Packet> next();
    Buffer buffer;
    Counts counts;

private:
    bool host_side_;
};

class VariableParser {
public:
    explicit VariableParser(const IdFilter& known) : known_{&known} {}
    // Frames with known ids only, since there is no checksum; and status.
    std::optional<Packet> next();
    Buffer buffer;
    Counts counts;

private:
    const IdFilter* known_;
};

// Both, until it is known which form the adapter speaks, and after that too: it may change its mind. Frames in the fixed form are
// believed from the first, those in the variable form after three with known ids.
class Receiver {
public:
    explicit Receiver(const IdFilter& known) : variable_{known}, known_{&known} {}

    // Calls `use(packet)`.
    template <class Use>
    void feed(std::span<const std::uint8_t> bytes, Use use)
    {
        const Counts before = counts();
        each(fixed_, bytes, [&](const Packet& p) { take(p, Framing::fixed, use); });
        each(variable_, bytes, [&](const Packet& p) { take(p, Framing::variable, use); });
        add(before);
    }
    Framing framing() const { return framing_; }
    bool told_apart() const { return told_apart_; }  // a frame has come
    const Counts& total() const { return total_; }   // of the form it speaks

private:
    template <class Parser, class Each>
    static void each(Parser& parser, std::span<const std::uint8_t> bytes, Each use)
    {
        while (!bytes.empty()) {
            bytes = parser.buffer.fill(bytes);
            while (const auto packet = parser.next()) use(*packet);
        }
    }
    template <class Use>
    void take(const Packet& p, Framing form, Use& use)
    {
        if (p.kind == Packet::Kind::frame && decide(p.frame, form)) use(p);
        if (p.kind != Packet::Kind::frame && form == framing_) use(p);
    }
    // Whether to believe this frame.
    bool decide(const CanFrame& frame, Framing form);
    const Counts& counts() const { return framing_ == Framing::fixed ? fixed_.counts : variable_.counts; }
    void add(const Counts& before);

    FixedParser fixed_;
    VariableParser variable_;
    const IdFilter* known_;
    Framing framing_ = Framing::fixed;
    bool told_apart_ = false;
    unsigned of_the_other_ = 0;  // known frames in the other form, in a row
    Counts total_;
};

}  // namespace batgw::bus::waveshare
