// SocketCAN: a kernel CAN interface as a Bus. Frames on the bridge's thread, everything slow in a LinkKeeper.
#pragma once

#include "bus/bus.hpp"
#include "bus/can_io.hpp"
#include "bus/clock.hpp"
#include "bus/event.hpp"
#include "bus/link_keeper.hpp"
#include "bus/restart_backoff.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace batgw::bus {

// What the kernel is asked for (SAFE-265): the ids that the driver reads and those that we send, in their own frame format, data
// frames only.
std::vector<can_filter> filters(std::span<const RxRule> receives, std::span<const TxRule> sends);

class SocketCan final : public Bus {
public:
    // Opens in the background: status().tried tells when the first try is over.
    SocketCan(event_base* base, const BusSpec& spec, BusListener& listener, BusLog& log, BusClock& clock = system_clocks());
    ~SocketCan() override;
    SocketCan(const SocketCan&) = delete;
    SocketCan& operator=(const SocketCan&) = delete;

    Sent send(const CanFrame& frame) override;
    const BusStatus& status() const override { return status_; }

private:
    enum class Restarter : std::uint8_t { unknown, batgw, kernel, nobody, not_needed };

    void on_readable();
    void on_report();
    void on_soon() { listener_.on_bus(clock_.monotonic()); }
    void on_restart_timer();

    void apply(const LinkReport& report);
    void install(int socket);
    void retire_socket();
    BusState state_of(const LinkReport& report) const;
    void enter_state(BusState state);
    void follow(BusState before);  // timers and log lines of a change of state
    void socket_failed(int error);
    void ask();
    void schedule_restart(Duration delay);

    void tell(const LinkReport& report);
    void tell_link(const LinkReport& report);
    void tell_fault(const LinkReport& report);
    void tell_bus_off();
    void line(BusLog::Level level, std::string_view text);
    // The same trouble is told once, until `trouble` is something else.
    void trouble(BusLog::Level level, std::string text);

    event_base* base_;
    BusListener& listener_;
    BusLog& log_;
    BusClock& clock_;
    std::string name_;
    std::optional<std::uint32_t> bitrate_;
    bool listen_only_;
    BusStatus status_;
    CanIo io_;
    LinkKeeper keeper_;
    EventHandle on_readable_, on_report_, on_soon_, on_restart_;
    Fd socket_;
    std::uint32_t news_ = 0;         // grows when the socket tells something that an earlier report cannot know
    bool ask_again_ = false;         // the keeper had no room for the question
    bool link_listen_only_ = false;  // set by somebody else: nothing can be sent
    bool told_good_ = false;
    RestartBackoff backoff_;
    Restarter restarter_ = Restarter::unknown;
    std::string trouble_;
    unsigned queue_told_ = 0;
};

// The same frame path on a descriptor that somebody else opened, say one end of a datagram socket pair carrying `can_frame`s. For
// tests and benchmarks: no link, no log. Takes the descriptor over.
class FdBus final : public Bus {
public:
    FdBus(event_base* base, int fd, BusListener& listener, BusClock& clock = system_clocks());
    ~FdBus() override;
    Sent send(const CanFrame& frame) override;
    const BusStatus& status() const override { return status_; }

private:
    void on_readable();
    void on_soon() { listener_.on_bus(clock_.monotonic()); }
    void fail();

    BusListener& listener_;
    BusClock& clock_;
    BusStatus status_;
    CanIo io_;
    Fd fd_;
    EventHandle on_readable_, on_soon_;
};

}  // namespace batgw::bus
