#include "bus/waveshare_codec.hpp"

#include <algorithm>
#include <numeric>

namespace batgw::bus::waveshare {
namespace {

using Bytes = std::span<const std::uint8_t>;

constexpr std::uint8_t head = 0xAA, mark = 0x55;
constexpr std::uint32_t standard_max = 0x7FF, extended_max = 0x1FFF'FFFF;

constexpr std::array<std::uint32_t, 12> bit_rates{
    1'000'000, 800'000, 500'000, 400'000, 250'000, 200'000, 125'000, 100'000, 50'000, 20'000, 10'000, 5'000};

std::uint8_t checksum(Bytes packet)
{
    return static_cast<std::uint8_t>(std::accumulate(packet.begin() + 2, packet.begin() + 19, 0U));
}

std::uint32_t little_endian(Bytes from)
{
    std::uint32_t value = 0;
    for (std::size_t i = from.size(); i-- > 0;) value = value << 8 | from[i];
    return value;
}

void put_little_endian(std::uint32_t value, std::span<std::uint8_t> out)
{
    for (std::uint8_t& byte : out) {
        byte = static_cast<std::uint8_t>(value);
        value >>= 8;
    }
}

std::optional<Packet> frame_in(Bytes b)
{
    const bool extended = b[3] == 2;
    const std::uint32_t id = little_endian(b.subspan(5, 4));
    if ((b[3] != 1 && b[3] != 2) || (b[4] != 1 && b[4] != 2) || b[9] > 8 || b[18] != 0 ||
        id > (extended ? extended_max : standard_max))
        return std::nullopt;
    Packet p{.kind = b[4] == 2 ? Packet::Kind::remote : Packet::Kind::frame};
    p.frame = {.id = id, .extended = extended, .len = b[9], .data = {}};
    std::copy_n(b.begin() + 10, b[9], p.frame.data.begin());
    return p;
}

std::optional<Packet> configuration_in(Bytes b)
{
    if (b[3] < 1 || b[3] > bit_rates.size()) return std::nullopt;
    Packet p{.kind = Packet::Kind::configuration};
    p.configuration = {.framing = b[2] == 0x12 ? Framing::variable : Framing::fixed,
        .bitrate = bit_rates[b[3] - 1U],
        .only_extended = b[4] == 2};
    return p;
}

// Twenty bytes that begin with AA 55.
std::optional<Packet> packet_in(Bytes b, bool host_side)
{
    if (checksum(b) != b[19]) return std::nullopt;
    switch (b[2]) {
    case 0x01: return frame_in(b);
    case 0x04: return Packet{.kind = Packet::Kind::status, .rx_errors = b[3], .tx_errors = b[4]};
    case 0x02:
    case 0x12: return host_side ? std::nullopt : configuration_in(b);
    default: return std::nullopt;
    }
}

bool is_variable_head(std::uint8_t t) { return (t & 0xC0U) == 0xC0U && (t & 0x0FU) <= 8; }

}  // namespace

std::size_t encode(const CanFrame& frame, Framing framing, std::span<std::uint8_t, fixed_size> out)
{
    const std::uint8_t len = std::min<std::uint8_t>(frame.len, 8);
    const auto data = std::span{frame.data}.first(len);
    std::fill(out.begin(), out.end(), std::uint8_t{0});
    out[0] = head;
    if (framing == Framing::fixed) {
        out[1] = mark;
        out[2] = 1;
        out[3] = frame.extended ? 2 : 1;
        out[4] = 1;
        put_little_endian(frame.id, out.subspan(5, 4));
        out[9] = len;
        std::copy(data.begin(), data.end(), out.begin() + 10);
        out[19] = checksum(out);
        return fixed_size;
    }
    const std::size_t id_size = frame.extended ? 4 : 2;
    out[1] = static_cast<std::uint8_t>(0xC0U | (frame.extended ? 0x20U : 0U) | len);
    put_little_endian(frame.id, out.subspan(2, id_size));
    std::copy(data.begin(), data.end(), out.begin() + static_cast<std::ptrdiff_t>(2 + id_size));
    out[2 + id_size + len] = mark;
    return 3 + id_size + len;
}

std::optional<Fixed> encode(const Configuration& configuration)
{
    const auto rate = std::find(bit_rates.begin(), bit_rates.end(), configuration.bitrate);
    if (rate == bit_rates.end()) return std::nullopt;
    Fixed out{head, mark, 0x02};
    if (configuration.framing == Framing::variable) out[2] = 0x12;
    out[3] = static_cast<std::uint8_t>(rate - bit_rates.begin() + 1);
    out[4] = configuration.only_extended ? 2 : 1;
    out[14] = 1;  // as the vendor's program
    out[19] = checksum(out);
    return out;
}

Fixed encode_status(std::uint8_t rx_errors, std::uint8_t tx_errors)
{
    Fixed out{head, mark, 4, rx_errors, tx_errors};
    out[19] = checksum(out);
    return out;
}

Bytes Buffer::fill(Bytes bytes)
{
    std::copy_n(bytes_.begin() + static_cast<std::ptrdiff_t>(first_), size_, bytes_.begin());
    first_ = 0;
    const std::size_t n = std::min(bytes.size(), bytes_.size() - size_);
    std::copy_n(bytes.begin(), n, bytes_.begin() + static_cast<std::ptrdiff_t>(size_));
    size_ += n;
    return bytes.subspan(n);
}

void Buffer::drop(std::size_t count)
{
    first_ += count;
    size_ -= count;
}

std::optional<Packet> FixedParser::next()
{
    for (;;) {
        const Bytes b = buffer.view();
        std::size_t at = 0;
        while (at < b.size() && !(b[at] == head && (at + 1 == b.size() || b[at + 1] == mark))) ++at;
        buffer.drop(at);
        counts.skipped += at;
        if (b.size() - at < fixed_size) return std::nullopt;
        if (const auto packet = packet_in(b.subspan(at, fixed_size), host_side_)) {
            buffer.drop(fixed_size);
            return packet;
        }
        // Only the two: the next packet may begin inside of what looked like one.
        buffer.drop(2);
        counts.skipped += 2;
        ++counts.bad;
    }
}

std::optional<Packet> VariableParser::next()
{
    const auto skip_one = [this] {
        buffer.drop(1);
        ++counts.skipped;
    };
    for (;;) {
        const Bytes b = buffer.view();
        if (b.size() < 2) {
            if (!b.empty() && b[0] != head) skip_one();
            return std::nullopt;
        }
        if (b[0] != head || (b[1] != mark && !is_variable_head(b[1]))) {
            skip_one();
            continue;
        }
        if (b[1] == mark) {
            if (b.size() < fixed_size) return std::nullopt;
            const auto packet = packet_in(b.first(fixed_size), true);
            if (!packet) {
                skip_one();
                ++counts.bad;
                continue;
            }
            buffer.drop(fixed_size);
            if (packet->kind == Packet::Kind::status) return packet;
            continue;
        }
        const bool extended = (b[1] & 0x20U) != 0;
        const std::size_t id_size = extended ? 4 : 2;
        const std::uint8_t len = b[1] & 0x0FU;
        const std::size_t size = 3 + id_size + len;
        if (b.size() < size) return std::nullopt;
        const std::uint32_t id = little_endian(b.subspan(2, id_size));
        if (b[size - 1] != mark || id > (extended ? extended_max : standard_max) || !known_->passes(id, extended)) {
            skip_one();
            ++counts.bad;
            continue;
        }
        Packet p{.kind = (b[1] & 0x10U) != 0 ? Packet::Kind::remote : Packet::Kind::frame};
        p.frame = {.id = id, .extended = extended, .len = len, .data = {}};
        std::copy_n(b.begin() + static_cast<std::ptrdiff_t>(2 + id_size), len, p.frame.data.begin());
        buffer.drop(size);
        return p;
    }
}

bool Receiver::decide(const CanFrame& frame, Framing form)
{
    constexpr unsigned enough = 3;
    if (form == framing_) {
        of_the_other_ = 0;
        told_apart_ = true;
        return true;
    }
    if (!known_->passes(frame) || ++of_the_other_ < enough) return false;
    framing_ = form;
    told_apart_ = true;
    of_the_other_ = 0;
    return true;
}

void Receiver::add(const Counts& before)
{
    const Counts& now = counts();
    // After a change of form the numbers of the other parser are of no interest.
    if (now.skipped >= before.skipped) total_.skipped += now.skipped - before.skipped;
    if (now.bad >= before.bad) total_.bad += now.bad - before.bad;
}

}  // namespace batgw::bus::waveshare
