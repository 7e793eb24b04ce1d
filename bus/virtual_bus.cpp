#include "bus/virtual_bus.hpp"

#include "bus/can_io.hpp"
#include "bus/event.hpp"

#include <algorithm>
#include <map>
#include <string>
#include <vector>

namespace batgw {
namespace {

class VirtualBus;

}  // namespace

struct VirtualHub::World {
    std::map<std::string, std::vector<VirtualBus*>, std::less<>> buses;
};

namespace {

class VirtualBus final : public Bus {
public:
    VirtualBus(std::shared_ptr<VirtualHub::World> world, event_base* base, std::string_view name, const BusSpec& spec,
        BusListener& listener, BusClock& clock)
        : world_{std::move(world)},
          members_{world_->buses[std::string{name}]},
          listener_{listener},
          clock_{clock},
          listen_only_{spec.listen_only},
          receive_all_{spec.receive_all}
    {
        for (const RxRule& r : spec.receives) ids_.push_back({r.id, r.extended});
        for (const TxRule& s : spec.sends) ids_.push_back({s.id, s.extended});
        status_.name.assign(spec.interface);
        status_.state = BusState::active;
        status_.tried = true;
        deliver_ = make_event<&VirtualBus::deliver>(base, -1, 0, *this);
        members_.push_back(this);
    }
    ~VirtualBus() override { std::erase(members_, this); }
    VirtualBus(const VirtualBus&) = delete;
    VirtualBus& operator=(const VirtualBus&) = delete;

    Sent send(const CanFrame& frame) override
    {
        if (listen_only_) return Sent::down;
        const Instant now = clock_.monotonic();
        for (VirtualBus* member : members_)
            if (member != this) member->put(frame, now);
        ++status_.counters.sent;
        return Sent::yes;
    }
    const BusStatus& status() const override { return status_; }

private:
    struct Waiting {
        CanFrame frame;
        Instant at;
    };

    bool wanted(const CanFrame& frame) const
    {
        return receive_all_ || std::any_of(ids_.begin(), ids_.end(), [&](const RxRule& r) {
            return r.id == frame.id && r.extended == frame.extended;
        });
    }

    void put(const CanFrame& frame, Instant at)
    {
        if (!wanted(frame)) return;
        if (count_ == queue_.size()) {
            ++status_.counters.queue_drops;
            return;
        }
        if (count_ == 0) run_soon(deliver_.get());
        queue_[(first_ + count_++) % queue_.size()] = {frame, at};
    }

    void deliver()
    {
        const Instant now = clock_.monotonic();
        // What arrives meanwhile waits for the next turn.
        for (std::size_t left = std::min<std::size_t>(count_, bus::CanIo::most_per_call); left > 0; --left) {
            const Waiting next = queue_[first_];
            first_ = (first_ + 1) % queue_.size();
            --count_;
            ++status_.counters.received;
            listener_.on_frame(next.frame, next.at, now);
        }
        // An answer that came in while the queue ran empty has armed the timer already; arming it again does no harm.
        if (count_ > 0) run_soon(deliver_.get());
        listener_.on_bus(now);
    }

    std::shared_ptr<VirtualHub::World> world_;
    std::vector<VirtualBus*>& members_;
    BusListener& listener_;
    BusClock& clock_;
    bool listen_only_, receive_all_;
    std::vector<RxRule> ids_;
    BusStatus status_;
    std::vector<Waiting> queue_ = std::vector<Waiting>(VirtualHub::queue_length);
    std::size_t first_ = 0, count_ = 0;
    EventHandle deliver_;
};

}  // namespace

VirtualHub::VirtualHub() : world_{std::make_shared<World>()} {}
VirtualHub::~VirtualHub() = default;

std::unique_ptr<Bus> VirtualHub::join(
    event_base* base, std::string_view bus_name, const BusSpec& spec, BusListener& listener, BusClock& clock)
{
    return std::make_unique<VirtualBus>(world_, base, bus_name, spec, listener, clock);
}

}  // namespace batgw
