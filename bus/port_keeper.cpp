#include "bus/port_keeper.hpp"

#include "bus/clock.hpp"

#include <algorithm>

#include <poll.h>

namespace batgw::bus {
namespace {

struct PortOrder {
    int close;  // this, and look again
};

class PortWatch {
public:
    PortWatch(const PortKeeper::Setup& setup, Fd fd) : setup_{setup}, fd_{std::move(fd)} {}

    void run()
    {
        while (obey()) {
            if (!held_ && system_clocks().monotonic() >= next_look_) look();
            wait();
        }
    }

private:
    // False when it is time to end.
    bool obey()
    {
        for (;;) {
            PortOrder order{};
            const int got = get_message(fd_.get(), order);
            if (got <= 0) return got == 0;
            close_line(Fd{order.close});
            held_ = false;
        }
    }

    void look()
    {
        next_look_ = system_clocks().monotonic() + PortKeeper::period;
        PortReport report;
        OpenedLine line;
        FoundPort found = find_port(setup_.port, setup_.tree);
        if (found.path.empty()) {
            report.fault = found.ambiguous ? PortFault::ambiguous : PortFault::missing;
            report.words.assign(found.problem);
        } else {
            line = open_line(found.path, setup_.line);
            report.fault = line.fault;
            report.path.assign(found.path);
            report.words.assign(line.words);
            report.fd = line.fd.get();
        }
        if (!put_message(fd_.get(), report) || !line.fd) return;
        line.fd.release();
        held_ = true;
    }

    void wait() const
    {
        pollfd what{fd_.get(), POLLIN, 0};
        const Duration left = next_look_ - system_clocks().monotonic();
        const auto ms = held_ ? -1 : static_cast<int>(std::clamp<std::int64_t>(left / 1ms + 1, 0, 1000));
        ::poll(&what, 1, ms);
    }

    const PortKeeper::Setup& setup_;
    Fd fd_;
    bool held_ = false;  // somebody has the port
    Instant next_look_{};
};

}  // namespace

PortKeeper::PortKeeper(Setup setup) : helper_{[s = std::move(setup)](Fd fd) { PortWatch{s, std::move(fd)}.run(); }} {}

PortKeeper::~PortKeeper()
{
    helper_.end([this] {
        PortReport report;
        const int got = get_message(helper_.fd(), report);
        if (got > 0 && report.fd >= 0) ::close(report.fd);
        return got;
    });
}

bool PortKeeper::next(PortReport& report) { return get_message(helper_.fd(), report) > 0; }

void PortKeeper::lost(Fd line)
{
    if (put_message(helper_.fd(), PortOrder{line.get()})) line.release();
}

}  // namespace batgw::bus
