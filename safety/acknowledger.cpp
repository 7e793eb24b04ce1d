#include "safety/acknowledger.hpp"

#include <utility>

namespace batgw {

void Acknowledger::update(const BusStatus& status, Instant now)
{
    const BusCounters& count = status.counters;
    const bool complaint = std::exchange(no_ack_, count.no_ack) < count.no_ack;
    const bool heard = std::exchange(received_, count.received) < count.received;
    const BusState before = std::exchange(state_, status.state);
    const bool recovered = before == BusState::passive && status.state != BusState::passive;
    if (heard || recovered || !can_send(status.state)) return forget();

    if (complaint || (status.state == BusState::passive && status.tx_errors >= passive_from)) {
        if (!since_) since_ = now;
        last_ = now;
        sent_then_ = count.sent;
        missing_ = missing_ || now - *since_ >= persists;
    } else if (now - last_ > calm && (!missing_ || count.sent - sent_then_ >= frames_calm)) {
        forget();
    }
}

void Acknowledger::forget()
{
    since_.reset();
    missing_ = false;
}

}  // namespace batgw
