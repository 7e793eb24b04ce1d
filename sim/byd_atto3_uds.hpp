// The diagnostic side of the simulated BYD pack: UDS over ISO-TP, 0x7E7 to 0x7EF.
#pragma once

#include "model/can_frame.hpp"
#include "model/driver.hpp"
#include "model/time.hpp"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace batgw::sim {

struct TroubleCode {
    std::uint32_t code = 0;  // three bytes
    bool present = false;
};

// "P1A4100" to its three bytes and back.
std::optional<std::uint32_t> trouble_code(std::string_view text);

class Atto3Uds {
public:
    using Bytes = std::vector<std::uint8_t>;
    // The data of an identifier, or nothing when there is none.
    using Lookup = std::function<std::optional<Bytes>(std::uint16_t)>;
    explicit Atto3Uds(Lookup lookup) : lookup_{std::move(lookup)} {}

    void on_frame(const CanFrame& frame, Instant at);
    // Replies that are due; then when the next is.
    Instant on_tick(Instant now, Outbox& out);

    std::vector<TroubleCode> codes;
    unsigned requests = 0, erased = 0;

    static constexpr Duration answer_after = 15ms, flow_wait = 1s;
    static constexpr std::uint32_t reply_id = 0x7EF;

private:
    void answer(const Bytes& reply, Instant at);
    Bytes reply_to(const Bytes& q);
    void send_next(Instant now, Outbox& out);

    Lookup lookup_;
    Bytes reply_;           // being sent
    std::size_t sent_ = 0;  // bytes of it
    std::uint8_t sequence_ = 0;
    unsigned block_left_ = 0;  // 0 while waiting for flow control; large for "no blocks"
    bool waiting_ = false;     // for flow control
    Duration separation_{};
    Instant due_ = end_of_time;
    Instant waiting_since_{};
};

}  // namespace batgw::sim
