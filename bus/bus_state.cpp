#include "bus/bus_state.hpp"

#include <algorithm>
#include <array>

#include <linux/can/error.h>

namespace batgw::bus {

bool enter(BusStatus& status, BusState state)
{
    if (status.state == state) return false;
    status.state = state;
    switch (state) {
    case BusState::warning: ++status.counters.error_warning; break;
    case BusState::passive: ++status.counters.error_passive; break;
    case BusState::bus_off: ++status.counters.bus_off; break;
    case BusState::missing:
    case BusState::stopped:
    case BusState::active: break;
    }
    return true;
}

namespace {

bool controller_problem(BusStatus& status, std::uint8_t flags)
{
    if ((flags & (CAN_ERR_CRTL_RX_OVERFLOW | CAN_ERR_CRTL_TX_OVERFLOW)) != 0) ++status.counters.controller_overflow;
    // The worse of the two directions is the controller's state.
    if ((flags & (CAN_ERR_CRTL_RX_PASSIVE | CAN_ERR_CRTL_TX_PASSIVE)) != 0) return enter(status, BusState::passive);
    if ((flags & (CAN_ERR_CRTL_RX_WARNING | CAN_ERR_CRTL_TX_WARNING)) != 0) return enter(status, BusState::warning);
    if ((flags & CAN_ERR_CRTL_ACTIVE) != 0) return enter(status, BusState::active);
    return false;
}

}  // namespace

bool apply_error_frame(BusStatus& status, std::uint32_t can_id, std::span<const std::uint8_t> data)
{
    std::array<std::uint8_t, CAN_ERR_DLC> bytes{};
    std::copy_n(data.begin(), std::min(data.size(), bytes.size()), bytes.begin());
    BusCounters& count = status.counters;

    // Drivers before Linux 6.0 write the error counters without saying so.
    if ((can_id & CAN_ERR_CNT) != 0 ||
        ((can_id & (CAN_ERR_CRTL | CAN_ERR_PROT | CAN_ERR_BUSERROR)) != 0 && (bytes[6] | bytes[7]) != 0)) {
        status.tx_errors = bytes[6];
        status.rx_errors = bytes[7];
    }
    if ((can_id & CAN_ERR_LOSTARB) != 0) ++count.arbitration_lost;
    if ((can_id & CAN_ERR_ACK) != 0) ++count.no_ack;
    if ((can_id & (CAN_ERR_PROT | CAN_ERR_BUSERROR)) != 0) ++count.protocol_errors;
    if ((can_id & (CAN_ERR_TX_TIMEOUT | CAN_ERR_TRX)) != 0) ++count.other_errors;

    bool changed = false;
    if ((can_id & CAN_ERR_CRTL) != 0) changed = controller_problem(status, bytes[1]);
    if ((can_id & CAN_ERR_RESTARTED) != 0) {
        ++count.restarts;
        changed = enter(status, BusState::active) || changed;
    }
    if ((can_id & CAN_ERR_BUSOFF) != 0) changed = enter(status, BusState::bus_off) || changed;
    return changed;
}

}  // namespace batgw::bus
