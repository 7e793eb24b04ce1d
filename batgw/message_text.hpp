// Declared messages as people and programs read them: which one a frame is, and what its signals say.
#pragma once

#include "model/can_frame.hpp"
#include "model/driver.hpp"
#include "model/signal.hpp"
#include "mqtt/json.hpp"

#include <optional>
#include <span>
#include <string>
#include <vector>

namespace batgw {

// The declaration with this identifier, of this length if there is one; null: none.
const MessageView* find_message(std::span<const MessageView> messages, const CanFrame& frame);

// Decimals that tell every value of a signal exactly, 0..3.
unsigned decimals_of(const SignalView& signal);

// "voltage 400 V, current none (raw 65535)". Codes outside the valid range are no reading.
std::string signals_text(const MessageView& message, const CanFrame& frame);
// {"voltage":{"value":400,"unit":"V"},"current":{"value":null,"unit":"A","raw":65535}}
void write_signals(const MessageView& message, const CanFrame& frame, mqtt::Json& json);

// "id", "extended" and "data" of a frame, as members of an object under way.
void write_frame(const CanFrame& frame, mqtt::Json& json);

// The telegrams of a serial line, from pieces that are cut anywhere. Keeps at most the end of one telegram.
class TelegramFinder {
public:
    // `find`: of the driver's info; null finds nothing.
    explicit TelegramFinder(std::optional<FoundTelegram> (*find)(std::span<const std::uint8_t>)) : find_{find} {}
    // Those that end in this piece. Good until the next call.
    const std::vector<FoundTelegram>& take(std::span<const std::uint8_t> piece);

private:
    std::optional<FoundTelegram> (*find_)(std::span<const std::uint8_t>);
    std::vector<std::uint8_t> rest_;
    std::vector<FoundTelegram> found_;
};

std::string hex_text(std::span<const std::uint8_t> bytes, std::string_view between);

}  // namespace batgw
