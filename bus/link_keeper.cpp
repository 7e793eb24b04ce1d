#include "bus/link_keeper.hpp"

#include "bus/clock.hpp"

#include <algorithm>
#include <array>
#include <cerrno>

#include <poll.h>

namespace batgw::bus {
namespace {

enum class Ask : std::uint8_t { look, restart, close };
struct Order {
    Ask ask;
    std::uint32_t news;
    int socket;  // close: which; look: -1 when there is none
};

constexpr Duration longest_patience = 60s;

class Keeper {
public:
    Keeper(LinkKeeper::Setup setup, Fd fd) : setup_{std::move(setup)}, fd_{std::move(fd)} {}

    void run()
    {
        while (obey()) {
            if (look_) look();
            wait();
        }
    }

private:
    // False when it is time to end.
    bool obey()
    {
        for (;;) {
            Order order{};
            const int got = get_message(fd_.get(), order);
            if (got == 0) return true;
            if (got < 0) return false;
            switch (order.ask) {
            case Ask::close: ::close(order.socket); break;
            case Ask::restart: restart_ = true; [[fallthrough]];
            case Ask::look:
                news_ = order.news;
                if (order.ask == Ask::look && order.socket < 0) socket_of_ = 0;
                look_ = true;
                break;
            }
        }
    }

    void wait()
    {
        std::array<pollfd, 2> what{{{fd_.get(), POLLIN, 0}, {news_of_links_.fd(), POLLIN, 0}}};
        const Duration left = next_look_ - system_clocks().monotonic();
        const auto ms = std::clamp<std::int64_t>(left / 1ms + 1, 0, 2000);
        ::poll(what.data(), what.size(), static_cast<int>(ms));
        if (what[1].revents != 0 && news_of_links_.concerns(setup_.name, socket_of_)) look_ = true;
        if (system_clocks().monotonic() >= next_look_) look_ = true;
    }

    void look()
    {
        look_ = false;
        next_look_ = system_clocks().monotonic() + LinkKeeper::period;
        LinkReport report;
        report.news = news_;
        report.may_configure = may_configure();
        auto link = netlink_.read(setup_.name);
        if (!link && errno != ENODEV) return;  // not known is not gone; look again at the next beat
        if (!link) {
            socket_of_ = 0;
            give_up_on_ = 0;
            left_down_ = false;
        }
        if (link && link->is_can) {
            if (restart_ || left_down_) restart(report, link);
            if (setup_.bitrate) adjust(report, link);
            if (link && link->index != socket_of_) open(report, link->index);
        }
        restart_ = false;
        report.present = link.has_value();
        if (link) report.link = *link;
        if (!put_message(fd_.get(), report) && report.socket >= 0) {
            ::close(report.socket);
            socket_of_ = 0;  // open another one when somebody listens again
        }
    }

    void restart(LinkReport& report, std::optional<LinkInfo>& link)
    {
        if (left_down_ && !link->up)
            report.fault = bring_up(setup_.name);
        else if (link->state == BusState::bus_off)
            report.fault = bus::restart(setup_.name, by_down_up_);
        else
            return;  // somebody was faster
        left_down_ = report.fault.step == LinkStep::up;
        report.restarted = by_down_up_ && report.fault.step == LinkStep::none;
        link = netlink_.read(setup_.name);
    }

    // With `bitrate:` the link is ours: make it what the configuration says, and no oftener than every 2 s, then less and less.
    void adjust(LinkReport& report, std::optional<LinkInfo>& link)
    {
        const LinkWish wish{*setup_.bitrate, setup_.listen_only && listen_only_works_};
        if (as_wished(*link, wish)) {
            patience_ = LinkKeeper::period;
            return;
        }
        const Instant now = system_clocks().monotonic();
        if (report.may_configure && (link->index != give_up_on_ || now >= try_again_)) {
            report.fault = configure(setup_.name, *link, wish);
            if (report.fault.step == LinkStep::mode && wish.listen_only) listen_only_works_ = false;
            if (report.fault.error == EPERM) report.may_configure = false;
            give_up_on_ = link->index;
            try_again_ = now + patience_;
            patience_ = std::min<Duration>(2 * patience_, longest_patience);
            link = netlink_.read(setup_.name);
        }
        report.wrong_bitrate = link && link->has_controller && link->bitrate != wish.bitrate;
    }

    void open(LinkReport& report, int index)
    {
        Fd socket = open_socket(index, setup_.socket);
        if (socket) {
            socket_of_ = index;
            report.socket = socket.release();
        } else
            report.socket_error = errno;
    }

    LinkKeeper::Setup setup_;
    Fd fd_;
    Netlink netlink_;
    LinkNews news_of_links_;
    std::uint32_t news_ = 0;
    int socket_of_ = 0;   // index of the interface that a socket was opened for
    int give_up_on_ = 0;  // index of the interface that was configured last
    bool look_ = true, restart_ = false, listen_only_works_ = true;
    bool by_down_up_ = false, left_down_ = false;  // a restart by down and up; it got no further than down
    Instant next_look_{};
    Instant try_again_{};
    Duration patience_ = LinkKeeper::period;
};

}  // namespace

LinkKeeper::LinkKeeper(Setup setup) : helper_{[s = std::move(setup)](Fd fd) { Keeper{s, std::move(fd)}.run(); }} {}

LinkKeeper::~LinkKeeper()
{
    helper_.end([this] {
        LinkReport report;
        const int got = get_message(helper_.fd(), report);
        if (got > 0 && report.socket >= 0) ::close(report.socket);
        return got;
    });
}

bool LinkKeeper::next(LinkReport& report) { return get_message(helper_.fd(), report) > 0; }
bool LinkKeeper::look(std::uint32_t news, bool have_socket)
{
    return put_message(helper_.fd(), Order{Ask::look, news, have_socket ? 0 : -1});
}
bool LinkKeeper::restart(std::uint32_t news) { return put_message(helper_.fd(), Order{Ask::restart, news, 0}); }
void LinkKeeper::close(int socket)
{
    if (!put_message(helper_.fd(), Order{Ask::close, 0, socket})) ::close(socket);
}

}  // namespace batgw::bus
