// How the simulated BYD pack closes and opens: only for a car that says the right things in the right order.
#pragma once

#include "battery/byd_atto3_layout.hpp"
#include "model/can_frame.hpp"
#include "model/time.hpp"
#include "sim/simulator.hpp"

#include <cstdint>
#include <optional>

namespace batgw::sim {

class Atto3Contactors {
public:
    enum class Stage : std::uint8_t { open, asked, begun, precharging, closed };
    // What is broken.
    enum class Trouble : std::uint8_t { none, stuck, never };

    // 0x12D and 0x441 of the car. A wrong checksum or a counter that does not step up by one is counted and not believed.
    void on_frame(const CanFrame& frame, Instant at);
    // `may_close`: nothing in the pack speaks against it. Voltage in V, current in A.
    void advance(Instant now, double pack_v, double current_a, bool may_close);

    Stage stage() const { return stage_; }
    Connection connection() const;
    std::uint8_t bits() const;      // b0 of 0x344
    std::uint8_t progress() const;  // b1 of 0x344

    void set_trouble(Trouble t) { trouble_ = t; }
    void open_by_itself(double current_a) { open(current_a); }
    void close_by_itself();  // and stays so until a car that holds it has come and gone

    // What happened, since start.
    struct Counts {
        unsigned bad_checksums = 0, bad_counters = 0;
        unsigned closings = 0, openings = 0, opened_under_load = 0;
        unsigned refused_early_link = 0;  // a charged link was reported before precharge had begun: P1A3400
        unsigned precharge_failures = 0;  // likewise stored
        unsigned link_far = 0;            // opened because the reported link voltage was far off
        unsigned acknowledge_alone = 0;   // without a shutdown before
    };
    const Counts& counts() const { return counts_; }

    static constexpr Duration car_gone = 500ms, link_gone = 500ms;
    static constexpr Duration frames_lost = 120ms;  // a longer gap: some were lost on the way, the counter may have moved on
    static constexpr Duration begin_after = 60ms, precharge_after = 80ms;  // of the first CLOSE
    static constexpr Duration precharge_min = 300ms, precharge_max = 5s;
    static constexpr Duration open_after = 150ms;     // of the first ACK: seen in a car log
    static constexpr Duration open_alone_after = 1s;  // without a shutdown before it: a guess
    static constexpr double idle_link_v = 30.0, link_match_v = 15.0, link_far_v = 60.0;

private:
    void on_power_mode(const CanFrame& frame, Instant at);
    void on_link_report(const CanFrame& frame, Instant at);
    void open(double current_a);
    void go(Stage stage, Instant now);
    void while_open(Instant now, bool may_close);
    void while_closing(Instant now, double pack_v, bool may_close);
    void while_closed(Instant now, double pack_v, double current_a);

    Stage stage_ = Stage::open;
    Instant since_{};
    Trouble trouble_ = Trouble::none;
    Counts counts_;

    std::optional<byd_atto3::PowerMode> mode_;
    Instant mode_at_{}, mode_since_{};
    unsigned mode_frames_ = 0;  // in a row, right and the same
    std::optional<std::int64_t> counter_;
    std::optional<double> link_v_;
    Instant link_at_{};
    unsigned link_far_frames_ = 0, link_match_frames_ = 0, link_frames_ = 0, link_seen_ = 0;
    std::optional<Instant> shutdown_seen_;
    bool ready_to_drive_ = false;  // HOLD heard since closing
    bool acknowledge_counted_ = false;
    bool by_itself_ = false;
    bool refused_ = false;  // this request was refused: another must come
};

}  // namespace batgw::sim
