// One frame of a Daly board, and finding frames in a stream of bytes.
#pragma once

#include "battery/daly_layout.hpp"
#include "model/can_frame.hpp"
#include "model/driver.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace batgw::daly {

// As it is on the wire: 13 bytes. `data`: the command as its identifier and the eight bytes, so that the declared signals apply.
Telegram make_frame(std::uint8_t address, const CanFrame& data);

// The first frame in these bytes, of board or host; for those who read logs.
std::optional<FoundTelegram> find_frame(std::span<const std::uint8_t> bytes);

// Addresses a host may use; a frame that carries one is no answer but our own request, heard again.
constexpr bool is_host(std::uint8_t address)
{
    return address == 0x20 || (address >= 0x40 && address <= 0x5F) || address == host_uart;
}
constexpr bool is_board(std::uint8_t address) { return address >= 0x01 && address <= 0x1F; }

// Takes bytes one by one, keeps at most one frame, finds its way back after anything. A frame that fails loses one byte only:
// what looked like its start may have been data, and the true start stand behind it.
class Scanner {
public:
    enum class Outcome : std::uint8_t { nothing, frame, bad_length, bad_checksum };

    Outcome push(std::uint8_t byte);
    // After Outcome::frame.
    std::uint8_t address() const { return address_; }
    const CanFrame& data() const { return data_; }

    bool partial() const { return size_ > 0; }
    void clear() { size_ = 0; }
    // Bytes that were part of no frame, since start.
    std::uint64_t skipped() const { return skipped_; }

private:
    void drop_one();

    std::array<std::uint8_t, frame_size> bytes_{};
    std::size_t size_ = 0;
    std::uint8_t address_ = 0;
    CanFrame data_;
    std::uint64_t skipped_ = 0;
};

}  // namespace batgw::daly
