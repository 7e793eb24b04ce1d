#include "bus/link.hpp"

#include <libsocketcan.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <cwchar>
#include <system_error>

#include <linux/can/error.h>
#include <linux/can/netlink.h>
#include <linux/can/raw.h>
#include <linux/capability.h>
#include <linux/if.h>
#include <linux/if_arp.h>
#include <linux/rtnetlink.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace batgw::bus {
namespace {

using Bytes = std::span<const std::uint8_t>;

template <class T>
std::optional<T> load(Bytes from)
{
    T value{};
    if (from.size() < sizeof value) return std::nullopt;
    std::memcpy(&value, from.data(), sizeof value);
    return value;
}

// Calls `use(type, payload)` for every attribute that is whole.
template <class Use>
void each_attribute(Bytes from, Use use)
{
    while (const auto head = load<rtattr>(from)) {
        if (head->rta_len < sizeof(rtattr) || head->rta_len > from.size()) return;
        use(static_cast<std::uint16_t>(head->rta_type & NLA_TYPE_MASK),
            from.subspan(sizeof(rtattr), head->rta_len - sizeof(rtattr)));
        from = from.subspan(std::min<std::size_t>(RTA_ALIGN(head->rta_len), from.size()));
    }
}

BusState controller_state(std::uint32_t state)
{
    switch (state) {
    case CAN_STATE_ERROR_ACTIVE: return BusState::active;
    case CAN_STATE_ERROR_WARNING: return BusState::warning;
    case CAN_STATE_ERROR_PASSIVE: return BusState::passive;
    case CAN_STATE_BUS_OFF: return BusState::bus_off;
    default: return BusState::stopped;
    }
}

void parse_controller(Bytes data, LinkInfo& link)
{
    each_attribute(data, [&](std::uint16_t type, Bytes value) {
        switch (type) {
        case IFLA_CAN_STATE:
            if (const auto state = load<std::uint32_t>(value)) {
                link.has_controller = true;
                link.state = controller_state(*state);
            }
            break;
        case IFLA_CAN_BITTIMING:
            if (const auto timing = load<can_bittiming>(value)) link.bitrate = timing->bitrate;
            break;
        case IFLA_CAN_RESTART_MS: link.restart_ms = load<std::uint32_t>(value).value_or(0); break;
        case IFLA_CAN_CTRLMODE:
            if (const auto mode = load<can_ctrlmode>(value)) link.listen_only = (mode->flags & CAN_CTRLMODE_LISTENONLY) != 0;
            break;
        case IFLA_CAN_BERR_COUNTER:
            if (const auto errors = load<can_berr_counter>(value)) {
                link.tx_errors = static_cast<std::uint8_t>(std::min<unsigned>(errors->txerr, 255));
                link.rx_errors = static_cast<std::uint8_t>(std::min<unsigned>(errors->rxerr, 255));
            }
            break;
        default: break;
        }
    });
}

void parse_kind(Bytes info, LinkInfo& link)
{
    bool can = false;
    Bytes data;
    each_attribute(info, [&](std::uint16_t type, Bytes value) {
        if (type == IFLA_INFO_KIND)
            can = value.size() >= 3 && std::memcmp(value.data(), "can", 3) == 0 && (value.size() == 3 || value[3] == 0);
        if (type == IFLA_INFO_DATA) data = value;
    });
    if (can) parse_controller(data, link);
}

int netlink_socket(std::uint32_t groups)
{
    const int fd = ::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    if (fd < 0) throw std::system_error{errno, std::generic_category(), "netlink socket"};
    sockaddr_nl address{};
    address.nl_family = AF_NETLINK;
    address.nl_groups = groups;
    if (::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
        const int error = errno;
        ::close(fd);
        throw std::system_error{error, std::generic_category(), "netlink socket"};
    }
    return fd;
}

// Calls `use(header, whole message)` until it returns false.
template <class Use>
void each_message(Bytes from, Use use)
{
    while (const auto head = load<nlmsghdr>(from)) {
        if (head->nlmsg_len < sizeof(nlmsghdr) || head->nlmsg_len > from.size()) return;
        if (!use(*head, from.first(head->nlmsg_len))) return;
        from = from.subspan(std::min<std::size_t>(NLMSG_ALIGN(head->nlmsg_len), from.size()));
    }
}

constexpr std::size_t message_room = 16384;  // the kernel's own bound for one link is half of it

}  // namespace

std::optional<LinkInfo> parse_link(Bytes message, std::string& name)
{
    if (message.size() < NLMSG_LENGTH(sizeof(ifinfomsg))) return std::nullopt;
    const auto head = load<ifinfomsg>(message.subspan(NLMSG_HDRLEN));
    LinkInfo link;
    link.index = head->ifi_index;
    link.is_can = head->ifi_type == ARPHRD_CAN;
    link.up = (head->ifi_flags & IFF_UP) != 0;
    name.clear();
    each_attribute(message.subspan(NLMSG_SPACE(sizeof(ifinfomsg))), [&](std::uint16_t type, Bytes value) {
        if (type == IFLA_IFNAME) name.assign(value.begin(), std::find(value.begin(), value.end(), 0));
        if (type == IFLA_TXQLEN) link.queue_length = load<std::uint32_t>(value).value_or(0);
        if (type == IFLA_LINKINFO) parse_kind(value, link);
    });
    if (!link.has_controller) link.queue_length = 0;  // vcan names a length, but has no queue
    return link;
}

Netlink::Netlink() : fd_{netlink_socket(0)}
{
    const timeval patience{1, 0};
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
}

std::optional<LinkInfo> Netlink::read(const std::string& name)
{
    struct {
        nlmsghdr head;
        ifinfomsg link;
        rtattr name_head;
        std::array<char, IFNAMSIZ> name;
        rtattr mask_head;
        std::uint32_t mask;
    } question{};
    errno = ENODEV;
    if (name.size() >= IFNAMSIZ) return std::nullopt;
    question.head = {sizeof question, RTM_GETLINK, NLM_F_REQUEST, ++sequence_, 0};
    question.link.ifi_family = AF_UNSPEC;
    question.name_head = {RTA_LENGTH(IFNAMSIZ), IFLA_IFNAME};
    std::copy(name.begin(), name.end(), question.name.begin());
    question.mask_head = {RTA_LENGTH(sizeof question.mask), IFLA_EXT_MASK};
    question.mask = RTEXT_FILTER_SKIP_STATS;
    if (::send(fd_.get(), &question, sizeof question, 0) != static_cast<ssize_t>(sizeof question)) return std::nullopt;

    alignas(nlmsghdr) std::array<std::uint8_t, message_room> room{};
    std::optional<LinkInfo> link;
    for (bool answered = false; !answered;) {
        const ssize_t size = ::recv(fd_.get(), room.data(), room.size(), 0);
        if (size < 0 && errno == EINTR) continue;
        if (size <= 0) break;  // a second is over
        each_message(Bytes{room}.first(static_cast<std::size_t>(size)), [&](const nlmsghdr& head, Bytes message) {
            if (head.nlmsg_seq != sequence_) return true;  // a late answer to an earlier question
            answered = true;
            std::string found;
            if (head.nlmsg_type == RTM_NEWLINK)
                link = parse_link(message, found);
            else if (const auto refusal = load<nlmsgerr>(message.subspan(NLMSG_HDRLEN)))
                errno = -refusal->error;
            return false;
        });
    }
    return link;
}

LinkNews::LinkNews() : fd_{netlink_socket(RTMGRP_LINK)} {}

bool LinkNews::concerns(const std::string& name, int index)
{
    bool ours = false;
    alignas(nlmsghdr) std::array<std::uint8_t, message_room> room{};
    for (;;) {
        const ssize_t size = ::recv(fd_.get(), room.data(), room.size(), MSG_DONTWAIT | MSG_TRUNC);
        if (size < 0 && errno == EINTR) continue;
        if (size < 0 && errno == ENOBUFS) {
            ours = true;
            continue;
        }
        if (size <= 0) return ours;
        each_message(
            Bytes{room}.first(std::min(static_cast<std::size_t>(size), room.size())), [&](const nlmsghdr& head, Bytes message) {
                std::string found;
                if (head.nlmsg_type == RTM_NEWLINK || head.nlmsg_type == RTM_DELLINK)
                    if (const auto link = parse_link(message, found)) ours = ours || found == name || link->index == index;
                return true;
            });
    }
}

bool may_configure()
{
    __user_cap_header_struct head{_LINUX_CAPABILITY_VERSION_3, 0};
    std::array<__user_cap_data_struct, 2> data{};
    if (::syscall(SYS_capget, &head, data.data()) != 0) return false;
    return (data[CAP_TO_INDEX(CAP_NET_ADMIN)].effective & CAP_TO_MASK(CAP_NET_ADMIN)) != 0;
}

std::string_view to_string(LinkStep step)
{
    switch (step) {
    case LinkStep::down: return "take the link down";
    case LinkStep::bitrate: return "set the bit rate";
    case LinkStep::mode: return "set the listen-only mode";
    case LinkStep::restart_ms: return "turn off the kernel's restart-ms";
    case LinkStep::queue: return "set the queue length";
    case LinkStep::up: return "bring the link up";
    case LinkStep::restart: return "restart the controller";
    case LinkStep::none: break;
    }
    return "";
}

namespace {

bool queue_short(unsigned length) { return length == 0 || (length >= queue_shortest && length <= queue_longest); }

bool set_queue_length(const std::string& name, unsigned length)
{
    const Fd fd{::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
    ifreq request{};
    std::copy_n(name.begin(), std::min<std::size_t>(name.size(), IFNAMSIZ - 1), std::begin(request.ifr_name));
    request.ifr_qlen = static_cast<int>(length);
    return fd && ::ioctl(fd.get(), SIOCSIFTXQLEN, &request) == 0;
}

LinkFault fault(LinkStep step) { return {step, errno}; }

// libsocketcan prints a refusal with perror() before it returns, and perror() spoils errno unless the stream already has an
// orientation.
void keep_errno()
{
    std::fwide(stderr, -1);
    errno = 0;
}

}  // namespace

bool as_wished(const LinkInfo& now, const LinkWish& wish)
{
    if (!now.up || !queue_short(now.queue_length)) return false;
    return !now.has_controller || (now.bitrate == wish.bitrate && now.listen_only == wish.listen_only && now.restart_ms == 0);
}

LinkFault configure(const std::string& name, const LinkInfo& now, const LinkWish& wish)
{
    keep_errno();
    LinkFault first;
    if (now.has_controller && (now.bitrate != wish.bitrate || now.listen_only != wish.listen_only || now.restart_ms != 0)) {
        if (now.up && can_do_stop(name.c_str()) != 0) return fault(LinkStep::down);
        if (now.bitrate != wish.bitrate && can_set_bitrate(name.c_str(), wish.bitrate) != 0) return fault(LinkStep::bitrate);
        if (now.listen_only != wish.listen_only) {
            can_ctrlmode mode{.mask = CAN_CTRLMODE_LISTENONLY, .flags = wish.listen_only ? CAN_CTRLMODE_LISTENONLY : 0U};
            if (can_set_ctrlmode(name.c_str(), &mode) != 0) {
                first = fault(LinkStep::mode);
                if (!wish.listen_only) return first;  // nothing could be sent
            }
        }
        if (now.restart_ms != 0 && can_set_restart_ms(name.c_str(), 0) != 0) return fault(LinkStep::restart_ms);
    }
    if (!queue_short(now.queue_length) && !set_queue_length(name, std::clamp(now.queue_length, queue_shortest, queue_longest)))
        first = fault(LinkStep::queue);
    const LinkFault last = bring_up(name);
    return last.step != LinkStep::none ? last : first;
}

LinkFault restart(const std::string& name, bool& by_down_up)
{
    keep_errno();
    if (!by_down_up) {
        if (can_do_restart(name.c_str()) == 0) return {};
        if (errno != EOPNOTSUPP) return fault(LinkStep::restart);
        by_down_up = true;
    }
    if (can_do_stop(name.c_str()) != 0) return fault(LinkStep::down);
    return bring_up(name);
}

LinkFault bring_up(const std::string& name)
{
    keep_errno();
    return can_do_start(name.c_str()) == 0 ? LinkFault{} : fault(LinkStep::up);
}

namespace {

template <class T>
bool set(int fd, int level, int option, const T& value)
{
    return ::setsockopt(fd, level, option, &value, sizeof value) == 0;
}

bool prepare(int fd, const SocketOptions& options)
{
    constexpr int on = 1, off = 0;
    // Half a second of a saturated 500 kbit/s bus at some 800 bytes a frame, doubled by the kernel. What waits longer is old
    // news.
    constexpr int receive_room = 1 << 20;
    // The kernel's minimum, a handful of frames: what waits in the interface's queue can no longer be replaced by something newer
    // (SAFE-263).
    constexpr int send_room = 1;
    constexpr can_err_mask_t all_errors = CAN_ERR_MASK;
    if (!options.receive_all &&
        ::setsockopt(fd, SOL_CAN_RAW, CAN_RAW_FILTER, options.filters.data(),
            static_cast<socklen_t>(options.filters.size() * sizeof(can_filter))) != 0)
        return false;
    if (!set(fd, SOL_SOCKET, SO_RCVBUFFORCE, receive_room)) set(fd, SOL_SOCKET, SO_RCVBUF, receive_room);
    set(fd, SOL_SOCKET, SO_SNDBUF, send_room);
    // Other programs on this machine see what we send, we ourselves do not. Both are the kernel's defaults, and both matter.
    return set(fd, SOL_CAN_RAW, CAN_RAW_LOOPBACK, on) && set(fd, SOL_CAN_RAW, CAN_RAW_RECV_OWN_MSGS, off) &&
        set(fd, SOL_CAN_RAW, CAN_RAW_ERR_FILTER, all_errors) && set(fd, SOL_SOCKET, SO_TIMESTAMPNS, on) &&
        set(fd, SOL_SOCKET, SO_RXQ_OVFL, on);
}

}  // namespace

Fd open_socket(int index, const SocketOptions& options)
{
    Fd fd{::socket(PF_CAN, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, CAN_RAW)};
    if (!fd || !prepare(fd.get(), options)) return {};
    sockaddr_can address{};
    address.can_family = AF_CAN;
    address.can_ifindex = index;
    if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
        const int error = errno;
        fd.reset();
        errno = error;
    }
    // Bound to an interface that is down, the socket is born with ENETDOWN. The link's state is known better than that.
    int born_with = 0;
    socklen_t size = sizeof born_with;
    if (fd) ::getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &born_with, &size);
    return fd;
}

}  // namespace batgw::bus
