#include "battery/daly_frame.hpp"

#include <algorithm>
#include <numeric>

namespace batgw::daly {
namespace {

std::uint8_t sum(std::span<const std::uint8_t> bytes)
{
    return static_cast<std::uint8_t>(std::accumulate(bytes.begin(), bytes.end(), 0U));
}

}  // namespace

Telegram make_frame(std::uint8_t address, const CanFrame& data)
{
    Telegram t{.id = data.id, .len = frame_size};
    t.data[0] = start_byte;
    t.data[1] = address;
    t.data[2] = static_cast<std::uint8_t>(data.id);
    t.data[3] = data_size;
    std::copy(data.data.begin(), data.data.end(), t.data.begin() + 4);
    t.data[frame_size - 1] = sum({t.data.data(), frame_size - 1});
    return t;
}

std::optional<FoundTelegram> find_frame(std::span<const std::uint8_t> bytes)
{
    Scanner scanner;
    for (std::size_t i = 0; i < bytes.size(); ++i)
        if (scanner.push(bytes[i]) == Scanner::Outcome::frame)
            return FoundTelegram{.frame = scanner.data(), .end = i + 1, .to_device = is_host(scanner.address())};
    return std::nullopt;
}

Scanner::Outcome Scanner::push(std::uint8_t byte)
{
    bytes_[size_++] = byte;
    Outcome outcome = Outcome::nothing;
    while (size_ > 0) {
        const bool start = bytes_[0] == start_byte && (size_ < 2 || is_board(bytes_[1]) || is_host(bytes_[1]));
        const bool length = size_ < 4 || bytes_[3] == data_size;
        if (start && length && size_ < frame_size) return outcome;
        if (start && length && sum({bytes_.data(), frame_size - 1}) == bytes_[frame_size - 1]) {
            address_ = bytes_[1];
            data_ = CanFrame{.id = bytes_[2], .len = data_size};
            std::copy(bytes_.begin() + 4, bytes_.begin() + 4 + data_size, data_.data.begin());
            size_ = 0;
            return Outcome::frame;
        }
        if (start) outcome = length ? Outcome::bad_checksum : Outcome::bad_length;
        drop_one();
    }
    return outcome;
}

void Scanner::drop_one()
{
    ++skipped_;
    --size_;
    std::copy(bytes_.begin() + 1, bytes_.begin() + 1 + static_cast<std::ptrdiff_t>(size_), bytes_.begin());
}

}  // namespace batgw::daly
