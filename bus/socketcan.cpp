#include "bus/socketcan.hpp"

#include "bus/bus_state.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

#include <sys/socket.h>

namespace batgw::bus {
namespace {

can_filter filter(std::uint32_t id, bool extended)
{
    return {.can_id = id | (extended ? CAN_EFF_FLAG : 0U),
        .can_mask = (extended ? CAN_EFF_MASK : CAN_SFF_MASK) | CAN_EFF_FLAG | CAN_RTR_FLAG};
}

// strerror without its shared buffer.
std::string words(int error) { return std::error_code{error, std::generic_category()}.message(); }

}  // namespace

std::vector<can_filter> filters(std::span<const RxRule> receives, std::span<const TxRule> sends)
{
    std::vector<can_filter> all;
    for (const RxRule& r : receives) all.push_back(filter(r.id, r.extended));
    for (const TxRule& s : sends) all.push_back(filter(s.id, s.extended));
    const auto order = [](const can_filter& a, const can_filter& b) { return a.can_id < b.can_id; };
    std::sort(all.begin(), all.end(), order);
    all.erase(std::unique(all.begin(), all.end(), [](const can_filter& a, const can_filter& b) { return a.can_id == b.can_id; }),
        all.end());
    return all;
}

SocketCan::SocketCan(event_base* base, const BusSpec& spec, BusListener& listener, BusLog& log, BusClock& clock)
    : base_{base},
      listener_{listener},
      log_{log},
      clock_{clock},
      name_{spec.interface},
      bitrate_{spec.bitrate},
      listen_only_{spec.listen_only},
      io_{status_, clock},
      keeper_{{.name = spec.interface,
          .bitrate = spec.bitrate,
          .listen_only = spec.listen_only,
          .socket = {.filters = filters(spec.receives, spec.sends), .receive_all = spec.receive_all}}}
{
    status_.name.assign(name_);
    on_report_ = watch<&SocketCan::on_report>(base, keeper_.fd(), EV_READ, *this);
    on_soon_ = make_event<&SocketCan::on_soon>(base, -1, 0, *this);
    on_restart_ = make_event<&SocketCan::on_restart_timer>(base, -1, 0, *this);
}

SocketCan::~SocketCan() = default;

Sent SocketCan::send(const CanFrame& frame)
{
    if (listen_only_ || link_listen_only_ || !socket_ || !can_send(status_.state)) return Sent::down;
    int error = 0;
    const Sent sent = io_.send(socket_.get(), frame, error);
    if (sent == Sent::down) {
        const BusState before = status_.state;
        socket_failed(error);
        // Never from inside send().
        if (status_.state != before) run_soon(on_soon_.get());
    }
    return sent;
}

void SocketCan::on_readable()
{
    const BusState before = status_.state;
    const CanIo::Outcome outcome = io_.receive(socket_.get(), listener_);
    if (outcome.error != 0) socket_failed(outcome.error);
    if (outcome.state_changed) {
        follow(before);
        ask();
    }
    listener_.on_bus(clock_.monotonic());
}

// What the kernel says at once when the interface goes down (ENETDOWN) or away (ENODEV; ENXIO from sending).
void SocketCan::socket_failed(int error)
{
    switch (error) {
    case ENETDOWN: enter_state(BusState::stopped); break;
    case ENODEV:
    case ENXIO:
        // This socket is bound to nothing any more; the keeper opens another when the interface is back.
        retire_socket();
        status_.bitrate = 0;
        enter_state(BusState::missing);
        break;
    default: break;  // one frame that did not go out is no state
    }
    ask();
}

void SocketCan::ask()
{
    ++news_;
    ask_again_ = !keeper_.look(news_, static_cast<bool>(socket_));
}

void SocketCan::retire_socket()
{
    on_readable_.reset();
    if (socket_) keeper_.close(socket_.release());
}

void SocketCan::install(int socket)
{
    retire_socket();
    socket_ = Fd{socket};
    io_.forget_drops();
    on_readable_ = watch<&SocketCan::on_readable>(base_, socket, EV_READ, *this);
}

void SocketCan::on_report()
{
    LinkReport report;
    bool any = false;
    while (keeper_.next(report)) {
        apply(report);
        any = true;
    }
    if (!any) return;
    if (ask_again_) ask();
    listener_.on_bus(clock_.monotonic());
}

void SocketCan::apply(const LinkReport& report)
{
    if (report.socket >= 0) install(report.socket);
    if (!report.present) retire_socket();
    status_.tried = true;
    if (report.restarted) ++status_.counters.restarts;
    if (report.fault.step != LinkStep::none) tell_fault(report);
    if (report.news != news_) return;  // older than what the socket told since; the next report is on its way

    status_.bitrate = report.present ? report.link.bitrate : 0;
    if (report.link.tx_errors) status_.tx_errors = *report.link.tx_errors;
    if (report.link.rx_errors) status_.rx_errors = *report.link.rx_errors;
    link_listen_only_ = report.present && report.link.listen_only;
    if (!report.present || !report.link.has_controller)
        restarter_ = Restarter::not_needed;
    else if (report.link.restart_ms != 0)
        restarter_ = Restarter::kernel;
    else
        restarter_ = report.may_configure ? Restarter::batgw : Restarter::nobody;

    tell(report);
    enter_state(state_of(report));
    // Still off after a restart, or it was not yet known that it is up to us.
    if (status_.state == BusState::bus_off && restarter_ == Restarter::batgw &&
        event_pending(on_restart_.get(), EV_TIMEOUT, nullptr) == 0)
        schedule_restart(backoff_.still_off());
    if (backoff_.calmed(clock_.monotonic()) && backoff_.count() > 1)
        line(BusLog::Level::info, fmt::format("no bus-off for a minute, after {}", backoff_.count()));
}

BusState SocketCan::state_of(const LinkReport& report) const
{
    if (!report.present) return BusState::missing;
    if (!report.link.is_can || !report.link.up || report.wrong_bitrate || !socket_) return BusState::stopped;
    if (report.link.state) return *report.link.state;
    // Nobody to ask (vcan): error frames alone say more than up and down.
    return status_.state == BusState::missing || status_.state == BusState::stopped ? BusState::active : status_.state;
}

void SocketCan::enter_state(BusState state)
{
    const BusState before = status_.state;
    if (enter(status_, state)) follow(before);
}

void SocketCan::follow(BusState before)
{
    const Instant now = clock_.monotonic();
    if (status_.state == BusState::bus_off && before != BusState::bus_off) {
        const Duration delay = backoff_.bus_off(now);
        tell_bus_off();
        schedule_restart(delay);
    } else if (before == BusState::bus_off && status_.state != BusState::bus_off) {
        backoff_.recovered(now);
        event_del(on_restart_.get());
        if (backoff_.count() == 1 && can_send(status_.state)) line(BusLog::Level::info, "out of bus-off");
    }
}

void SocketCan::schedule_restart(Duration delay)
{
    const timeval in{static_cast<time_t>(delay / 1s), static_cast<suseconds_t>((delay % 1s).count())};
    event_add(on_restart_.get(), &in);
}

void SocketCan::on_restart_timer()
{
    if (status_.state != BusState::bus_off || restarter_ != Restarter::batgw) return;
    ++news_;
    if (!keeper_.restart(news_)) schedule_restart(backoff_.still_off());
}

void SocketCan::line(BusLog::Level level, std::string_view text) { log_.line(level, fmt::format("{}: {}", name_, text)); }

void SocketCan::trouble(BusLog::Level level, std::string text)
{
    if (text == trouble_) return;
    line(level, text);
    trouble_ = std::move(text);
    told_good_ = false;
}

void SocketCan::tell_bus_off()
{
    constexpr std::string_view look = "check wiring, termination and bit rate";
    const unsigned count = backoff_.count();
    const auto level = count == 1 ? BusLog::Level::warn : BusLog::Level::debug;
    switch (restarter_) {
    case Restarter::nobody:
        line(BusLog::Level::error,
            fmt::format("bus-off, and nothing restarts it: batgw lacks CAP_NET_ADMIN, and the link has no restart-ms; {}", look));
        break;
    case Restarter::kernel: line(level, fmt::format("bus-off; the kernel restarts it; {}", look)); break;
    case Restarter::batgw: line(level, fmt::format("bus-off; restarting; {}", look)); break;
    case Restarter::unknown:
    case Restarter::not_needed: line(level, fmt::format("bus-off; {}", look)); break;
    }
}

void SocketCan::tell_fault(const LinkReport& report)
{
    if (report.fault.step == LinkStep::mode && listen_only_)
        return line(BusLog::Level::warn,
            "this controller has no listen-only mode: nothing is sent, but it acknowledges what others send");
    const std::string why = report.fault.error == EPERM ? "CAP_NET_ADMIN is missing" : words(report.fault.error);
    trouble(BusLog::Level::error, fmt::format("cannot {}: {}", to_string(report.fault.step), why));
}

void SocketCan::tell(const LinkReport& report)
{
    if (!report.present) return trouble(BusLog::Level::warn, "there is no such interface; looking for it every 2 s");
    if (!report.link.is_can) return trouble(BusLog::Level::error, "this is not a CAN interface");
    const bool ours = bitrate_ && report.may_configure;  // then tell_fault() has said what does not work
    if (report.wrong_bitrate && ours) return;
    if (report.wrong_bitrate)
        return trouble(BusLog::Level::error,
            fmt::format("runs at {} bit/s, not at {}, and changing that needs CAP_NET_ADMIN; nothing is sent",
                report.link.bitrate, *bitrate_));
    if (!report.link.up && ours) return;
    if (!report.link.up)
        return trouble(BusLog::Level::warn,
            bitrate_ ? "the interface is down, and bringing it up needs CAP_NET_ADMIN"
                     : "the interface is down; set `bitrate:` for batgw to bring it up, or configure it elsewhere");
    if (!socket_) return trouble(BusLog::Level::error, fmt::format("cannot open a CAN socket: {}", words(report.socket_error)));
    if (link_listen_only_ && !listen_only_)
        return trouble(BusLog::Level::error, "the link is in listen-only mode: nothing can be sent");
    tell_link(report);
}

void SocketCan::tell_link(const LinkReport& report)
{
    if (told_good_) return;
    told_good_ = true;
    trouble_.clear();
    const LinkInfo& link = report.link;
    const char* restarter = "";
    if (restarter_ == Restarter::batgw) restarter = ", restarted by batgw after bus-off";
    if (restarter_ == Restarter::nobody) restarter = ", NOT restarted after bus-off (no CAP_NET_ADMIN, restart-ms 0)";
    const std::string kernel = fmt::format(", restarted by the kernel {} ms after bus-off", link.restart_ms);
    if (restarter_ == Restarter::kernel) restarter = kernel.c_str();
    const std::string rate = link.bitrate != 0 ? fmt::format("{} bit/s", link.bitrate) : std::string{"no bit rate of its own"};
    line(restarter_ == Restarter::nobody ? BusLog::Level::warn : BusLog::Level::info,
        fmt::format("open, {}{}{}", rate, link.listen_only ? ", listen-only" : "", restarter));
    if (link.queue_length > queue_longest && queue_told_ != link.queue_length) {
        queue_told_ = link.queue_length;
        line(BusLog::Level::warn,
            fmt::format("the interface's queue holds {} frames, so old limits may be sent late; {} to {} is right (ip link set "
                        "{} txqueuelen 10)",
                link.queue_length, queue_shortest, queue_longest, name_));
    }
}

FdBus::FdBus(event_base* base, int fd, BusListener& listener, BusClock& clock)
    : listener_{listener},
      clock_{clock},
      io_{status_, clock},
      fd_{fd}
{
    constexpr int on = 1;
    ::setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on);
    ::setsockopt(fd, SOL_SOCKET, SO_RXQ_OVFL, &on, sizeof on);
    status_.name.assign("fd");
    status_.state = BusState::active;
    status_.tried = true;
    on_readable_ = watch<&FdBus::on_readable>(base, fd, EV_READ, *this);
    on_soon_ = make_event<&FdBus::on_soon>(base, -1, 0, *this);
}

FdBus::~FdBus() = default;

Sent FdBus::send(const CanFrame& frame)
{
    if (!can_send(status_.state)) return Sent::down;
    int error = 0;
    const Sent sent = io_.send(fd_.get(), frame, error);
    if (sent == Sent::down) {
        fail();
        run_soon(on_soon_.get());
    }
    return sent;
}

void FdBus::on_readable()
{
    if (io_.receive(fd_.get(), listener_).error != 0) fail();
    listener_.on_bus(clock_.monotonic());
}

void FdBus::fail()
{
    on_readable_.reset();
    enter(status_, BusState::missing);
}

}  // namespace batgw::bus
