// Is anybody there to acknowledge what we send (SAFE-264)? A controller that is alone on its bus repeats one frame without end:
// it tells of missing acknowledgements where its driver reports them, and in any case its transmit error counter climbs to 128
// and stays there. Broken wires and wrong bit rates go on to bus-off.
#pragma once

#include "model/bus_status.hpp"
#include "model/time.hpp"

#include <cstdint>
#include <optional>

namespace batgw {

class Acknowledger {
public:
    // To be called in every evaluation.
    void update(const BusStatus& status, Instant now);
    // Signs that nobody is there, not necessarily for long.
    bool doubtful() const { return since_.has_value(); }
    // The same for long enough. Until the first sign of life: a received frame, a controller that recovers, or frames that go out
    // without complaint.
    bool missing() const { return missing_; }

    // Ours.
    static constexpr Duration persists = 2s;
    static constexpr Duration calm = 3s;               // more than the spacing of a slow port, so that each of its frames counts
    static constexpr std::uint64_t frames_calm = 2;    // that went out meanwhile
    static constexpr std::uint8_t passive_from = 128;  // the controller's counter: ISO 11898-1

private:
    void forget();

    std::uint64_t no_ack_ = 0, received_ = 0, sent_then_ = 0;
    BusState state_ = BusState::missing;
    std::optional<Instant> since_;
    Instant last_{};  // sign
    bool missing_ = false;
};

}  // namespace batgw
