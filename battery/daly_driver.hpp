// The driver of a Daly board: the exchange over the line (daly_driver.cpp) and what single answers mean (daly_answers.cpp).
#pragma once

#include "battery/daly_cells.hpp"
#include "battery/daly_faults.hpp"
#include "battery/daly_frame.hpp"
#include "battery/daly_layout.hpp"
#include "battery/daly_poll.hpp"
#include "battery/daly_sign.hpp"
#include "battery/daly_stream.hpp"
#include "battery/daly_switches.hpp"
#include "model/driver.hpp"

#include <cstdint>
#include <optional>

namespace batgw::daly {

class Driver final : public BatteryDriver {
public:
    explicit Driver(const BatterySetup& setup);

    void on_bytes(std::span<const std::uint8_t> bytes, Instant at, HeardCounts& counts) override;
    Instant on_tick(Instant now, const Orders& orders, Outbox& out) override;
    PackFacts facts() const override;

private:
    static constexpr unsigned life_frames = 10;  // SAFE-024

    void damaged(Heard how, HeardCounts& counts);
    Heard on_reply(const CanFrame& f, Instant at);
    Heard decode(const CanFrame& f, Instant at);
    Heard on_totals(const CanFrame& f, Instant at);
    Heard on_switches(const CanFrame& f, Instant at);
    Heard on_status(const CanFrame& f, Instant at);
    Heard on_balance(const CanFrame& f, Instant at);
    Heard on_faults(const CanFrame& f, Instant at);
    Heard on_rating(const CanFrame& f, Instant at);
    Heard on_counters(const CanFrame& f, Instant at);
    Heard on_cell_limits(const CanFrame& f, Instant at);
    Heard on_code(const CanFrame& f, Instant at);

    bool plausible(Voltage pack) const;
    bool is_frozen(std::int64_t counter);
    bool frozen() const { return life_same_ >= life_frames; }
    void permit();
    std::optional<unsigned> cells_known() const { return state_.cell_count ? state_.cell_count : cells_configured_; }
    void spoil();
    void answered(const CanFrame& f, bool done, Instant at) { poll_.answered(f.id, done, at); }
    void refuse(std::uint32_t command);
    void ask(std::size_t topic, Instant now, Outbox& out);
    void follow(Instant now);
    void report();
    std::uint8_t host() const;

    // As configured.
    Chemistry chemistry_;
    std::optional<unsigned> cells_configured_;
    std::optional<Energy> capacity_configured_;
    std::optional<Voltage> voltage_max_configured_, voltage_min_configured_;
    std::uint8_t board_, filler_;
    bool uart_host_, either_host_;
    Current current_max_;

    Scanner scanner_;
    Poll poll_;
    CurrentSign sign_;
    Switches switches_;
    Cells cells_{state_, poll_};
    Stream code_;
    Instant wake_ = Instant::min();
    Instant last_byte_{};
    std::uint64_t skipped_before_ = 0;  // when the question under way was sent

    std::optional<std::int64_t> cell_count_seen_, life_;
    unsigned life_same_ = 0;
    std::optional<bool> charge_on_, discharge_on_;
    Instant switches_at_{}, faults_at_{};
    std::optional<CanFrame> faults_;
    std::optional<Charge> rated_;
    std::optional<Voltage> nominal_cell_, cell_high_, cell_low_;

    std::optional<Findings> told_;  // what `reported` was made of
};

}  // namespace batgw::daly
