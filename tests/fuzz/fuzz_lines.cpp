// Any bytes from an adapter, cut anywhere: nothing is written outside, the rooms do not grow, every byte is accounted for, every
// frame that comes out is one that could be, and it says the same however it was cut.
#include "bus/slcan_codec.hpp"
#include "bus/waveshare_codec.hpp"

#include <array>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <vector>

using namespace batgw;

namespace {

void demand(bool truth)
{
    if (!truth) __builtin_trap();
}

void plausible(const CanFrame& f)
{
    demand(f.len <= 8);
    demand(f.id <= (f.extended ? 0x1FFF'FFFFU : 0x7FFU));
    for (std::size_t i = f.len; i < f.data.size(); ++i) demand(f.data[i] == 0);
}

template <class Parser>
std::vector<CanFrame> frames(Parser parser, std::span<const std::uint8_t> bytes, std::size_t piece, bool check_sum)
{
    using Packet = bus::waveshare::Packet;
    std::vector<CanFrame> out;
    const std::size_t all = bytes.size();
    while (!bytes.empty()) {
        std::span<const std::uint8_t> part = bytes.first(std::min(piece, bytes.size()));
        bytes = bytes.subspan(part.size());
        while (!part.empty()) {
            part = parser.buffer.fill(part);
            while (const auto p = parser.next()) {
                if (p->kind != Packet::Kind::frame) continue;
                plausible(p->frame);
                out.push_back(p->frame);
            }
            demand(parser.buffer.view().size() < bus::waveshare::fixed_size);
        }
    }
    demand(parser.counts.skipped + parser.buffer.view().size() <= all);
    if (check_sum) demand(out.size() * bus::waveshare::fixed_size + parser.counts.skipped <= all);
    return out;
}

std::vector<CanFrame> slcan_frames(std::span<const std::uint8_t> bytes, std::size_t piece)
{
    std::vector<CanFrame> out;
    bus::slcan::LineReader reader;
    while (!bytes.empty()) {
        std::span<const std::uint8_t> part = bytes.first(std::min(piece, bytes.size()));
        bytes = bytes.subspan(part.size());
        while (const auto text = reader.take(part)) {
            demand(text->size() <= bus::slcan::longest_line + 1);
            const auto line = bus::slcan::parse(*text);
            if (line.kind != bus::slcan::Line::Kind::frame) continue;
            plausible(line.frame);
            out.push_back(line.frame);
            // And written again it reads the same.
            std::array<std::uint8_t, 40> room{};
            const std::size_t size = bus::slcan::encode(line.frame, room);
            demand(bus::slcan::parse({reinterpret_cast<const char*>(room.data()), size - 1}).frame == line.frame);
        }
    }
    return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    using namespace bus::waveshare;
    if (size < 1) return 0;
    const std::size_t piece = 1 + data[0] % 41;
    const std::span bytes{data + 1, size - 1};
    const bus::IdFilter all;
    demand(frames(FixedParser{}, bytes, piece, true) == frames(FixedParser{}, bytes, size, true));
    demand(frames(FixedParser{false}, bytes, piece, true) == frames(FixedParser{false}, bytes, size, true));
    demand(frames(VariableParser{all}, bytes, piece, false) == frames(VariableParser{all}, bytes, size, false));
    demand(slcan_frames(bytes, piece) == slcan_frames(bytes, size));
    Receiver receiver{all};
    receiver.feed(bytes, [](const Packet& p) { plausible(p.frame); });
    return 0;
}
