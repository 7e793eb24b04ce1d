// Questions to the pack: UDS over ISO-TP, 0x7E7 to 0x7EF. Reading only: values (service 0x22) for display and trouble codes
// (0x19). One question at a time, 200 ms apart. Nothing that controls power comes from here, and no answer is waited for by
// anybody.
#pragma once

#include "battery/byd_atto3_codes.hpp"
#include "battery/byd_atto3_layout.hpp"
#include "model/battery_state.hpp"
#include "model/driver.hpp"
#include "model/time.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace batgw::byd_atto3 {

class Diagnostics {
public:
    // `values`: poll values, too, and not only trouble codes.
    Diagnostics(std::uint32_t reply_id, bool values) : reply_id_{reply_id}, values_{values} {}

    std::uint32_t reply_id() const { return reply_id_; }
    // A frame with the reply id. `not_mine`: nobody asked; `implausible`: not an answer to what was asked. Both change nothing.
    Heard on_frame(const CanFrame& frame, Instant at, BatteryState& state);
    // `awake`: the pack talks, and we may. Sends what is due. To be called every 50 ms, and at the returned time.
    Instant on_tick(Instant now, bool awake, Outbox& out);
    // Trouble codes, as soon as the pack is awake.
    void read_codes() { codes_wanted_ = true; }

    // What the last whole read-out held. Counts up with every one.
    const TroubleCodes& codes() const { return codes_; }
    unsigned codes_read() const { return codes_read_; }
    // Capacity as built, of DID 1FFE.
    std::optional<Charge> built_capacity() const { return built_capacity_; }

    static constexpr Duration spacing = 200ms;
    static constexpr Duration answer_time = 1s, codes_time = 2s;  // given up after
    static constexpr Duration busy_time = 5s, busy_limit = 30s;   // the pack says "still working": wait on, but not for ever
    static constexpr Duration quick_round = 10s, slow_round = 60s;
    static constexpr Duration quick_age = 35s, slow_age = 200s;  // three rounds, and then not fresh
    static constexpr Duration flow_spacing = 50ms;

private:
    enum class Asked : std::uint8_t { nothing, value, codes };

    void ask(Asked what, std::uint16_t wanted, Instant now, Outbox& out);
    void ask_next_value(Instant now, Outbox& out);
    void send_flow_control(Instant now, Outbox& out);
    Heard on_first(const CanFrame& frame);
    Heard on_consecutive(const CanFrame& frame, Instant at, BatteryState& state);
    Heard on_answer(std::span<const std::uint8_t> answer, Instant at, BatteryState& state);
    Heard on_negative(std::span<const std::uint8_t> answer, Instant at);
    bool answers_question(std::span<const std::uint8_t> answer) const;
    bool take_value(std::span<const std::uint8_t> data, Instant at, BatteryState& state);
    void take_codes(std::span<const std::uint8_t> entries);
    void finish();

    std::uint32_t reply_id_;
    bool values_;
    // The conversation.
    Asked asked_ = Asked::nothing;
    std::uint16_t did_ = 0;
    Instant asked_at_{}, give_up_at_{};
    std::optional<Instant> last_sent_;
    // An answer in several frames.
    bool receiving_ = false;
    std::array<std::uint8_t, 3 + 4 * TroubleCodes::capacity()> buffer_{};
    std::size_t announced_ = 0, received_ = 0;
    unsigned next_number_ = 0, block_left_ = 0;  // 0 left: no block size
    bool flow_wanted_ = false;
    std::optional<Instant> flow_sent_;
    // What to ask next.
    bool codes_wanted_ = true;
    Every quick_beat_{quick_round}, slow_beat_{slow_round};
    std::size_t quick_next_ = 0, slow_next_ = 0;
    // What is known.
    TroubleCodes codes_;
    unsigned codes_read_ = 0;
    std::optional<Charge> built_capacity_;
};

}  // namespace batgw::byd_atto3
