// libmosquitto 2.0.11, as read in its source and tried:
// - mosquitto_connect_async() does not wait when it is given a numeric address, but takes only the first of a name's addresses.
//   Hence names are resolved elsewhere.
// - A peer that goes away within the TLS handshake is no error to it: it asks to be called again for ever. Hence the look for the
//   end of the stream before each read, and the deadline.
// - With TLS it writes before the connection stands. Where that is refused at once, as on the loopback, the write takes the
// socket's
//   error away, and only the missing peer tells.
// - A TLS handshake that has to wait for the socket to become writable goes on in mosquitto_loop_read(), not in _write().
// - It would take in packets of 256 MB. Hence the small receive buffer and the count of bytes since the last whole packet.
// - Its send queue has no bound. Hence one message at a time, and only when idle().
#include "mqtt/connection.hpp"

#include <event2/event.h>
#include <mosquitto.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <new>
#include <string_view>
#include <system_error>
#include <utility>

#include <linux/tcp.h>
#include <mqtt_protocol.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

namespace batgw::mqtt {
namespace {

constexpr int connect_seconds = 10, accept_seconds = 10;
constexpr int buffer_bytes = 32 * 1024;

Connection* self_of(void* p) { return static_cast<Connection*>(p); }

void set(int fd, int level, int option, int value)
{
    // Tuning: where the kernel refuses, the connection is none the worse.
    [[maybe_unused]] const int rc = ::setsockopt(fd, level, option, &value, sizeof value);
}

// The library wants 0 or at least 5 s.
int keep_alive_seconds(const MqttConfig& config)
{
    if (!config.keep_alive) return 0;
    return static_cast<int>(std::clamp<Duration::rep>(*config.keep_alive / 1s, 5, 65535));
}

}  // namespace

Connection::Connection(event_base* base, Setup setup, Owner& owner)
    : base_{base},
      owner_{owner},
      tls_{std::move(setup.tls)},
      library_{mosquitto_new(setup.client_id.c_str(), true, this)},
      version_5_{setup.config.version == "5"}
{
    const MqttConfig& config = setup.config;
    if (!library_) throw std::bad_alloc{};
    mosquitto_connect_v5_callback_set(library_,
        [](mosquitto* m, void* s, int code, int flags, const mosquitto_property* p) { on_connect(m, s, code, flags, p); });
    mosquitto_message_v5_callback_set(
        library_, [](mosquitto* m, void* s, const mosquitto_message* message, const mosquitto_property* p) {
            on_library_message(m, s, message, p);
        });
    mosquitto_publish_v5_callback_set(
        library_, [](mosquitto* m, void* s, int id, int code, const mosquitto_property* p) { on_publish(m, s, id, code, p); });
    mosquitto_log_callback_set(library_, [](mosquitto* m, void* s, int level, const char* text) { on_log(m, s, level, text); });
    mosquitto_int_option(library_, MOSQ_OPT_PROTOCOL_VERSION, version_5_ ? MQTT_PROTOCOL_V5 : MQTT_PROTOCOL_V311);
    mosquitto_int_option(library_, MOSQ_OPT_TCP_NODELAY, 1);
    if (tls_) {
        mosquitto_void_option(library_, MOSQ_OPT_SSL_CTX, tls_->context());
        mosquitto_int_option(library_, MOSQ_OPT_SSL_CTX_WITH_DEFAULTS, 0);
    }
    if (!config.username.empty())
        mosquitto_username_pw_set(library_, config.username.c_str(), setup.password.empty() ? nullptr : setup.password.c_str());
    mosquitto_will_set(library_, setup.will.topic.c_str(), static_cast<int>(setup.will.payload.size()), setup.will.payload.data(),
        setup.will.qos, setup.will.retain);

    deadline_ = evtimer_new(
        base_,
        [](evutil_socket_t, short, void* s) noexcept {
            auto* c = self_of(s);
            c->close(c->state_ == State::leaving ? "left"
                    : c->reached_                ? "no answer from the broker in time"
                                                 : "no connection in time");
        },
        this);
    if (!deadline_) throw std::bad_alloc{};
    // From here on, failure is reported from the loop, like everything else.
    const int rc = mosquitto_connect_async(library_, setup.address.c_str(), config.port, keep_alive_seconds(config));
    if (rc != MOSQ_ERR_SUCCESS || mosquitto_socket(library_) < 0) {
        last_error_ = reason_of(rc);
        arm_deadline(0);
        return;
    }
    watch();
    arm_deadline(connect_seconds);
}

Connection::~Connection()
{
    for (event* e : {readable_, writable_, deadline_})
        if (e) event_free(e);
    if (library_) mosquitto_destroy(library_);
}

void Connection::watch()
{
    const int fd = mosquitto_socket(library_);
    const auto handler = [](evutil_socket_t, short what, void* s) noexcept { self_of(s)->on_event(what); };
    readable_ = event_new(base_, fd, EV_READ | EV_PERSIST, handler, this);
    writable_ = event_new(base_, fd, EV_WRITE, handler, this);
    if (!readable_ || !writable_ || event_add(writable_, nullptr) != 0) throw std::bad_alloc{};
}

void Connection::arm_deadline(int seconds)
{
    const timeval wait{.tv_sec = seconds, .tv_usec = 0};
    evtimer_add(deadline_, &wait);
}

std::string Connection::reason_of(int code) const
{
    if (tls_ && !tls_->refusal().empty()) return "the broker's certificate: " + tls_->refusal();
    if (code == MOSQ_ERR_ERRNO) return std::generic_category().message(errno);
    if ((code == MOSQ_ERR_TLS || code == MOSQ_ERR_PROTOCOL) && !last_error_.empty()) return last_error_;
    if (code == MOSQ_ERR_CONN_LOST)
        return reached_ && !was_accepted_ ? "closed by the broker before it answered" : "closed by the broker";
    if (code == MOSQ_ERR_KEEPALIVE) return "no sign of life from the broker";
    return mosquitto_strerror(code);
}

// Events
// --------------------------------------------------------------------------------------------------------------------------

void Connection::on_event(short what)
{
    if (state_ == State::connecting && !tcp_stands()) return;
    if ((what & EV_WRITE) != 0) write_some();
    // The library takes up a TLS handshake that waits to write only when it is asked to read.
    const bool shaking_hands = tls_ && state_ == State::greeting;
    if (state_ != State::closed && ((what & EV_READ) != 0 || shaking_hands)) read_some();
    if (state_ == State::open) owner_.on_writable();
    if (state_ != State::closed && !idle()) event_add(writable_, nullptr);
}

bool Connection::tcp_stands()
{
    const int fd = mosquitto_socket(library_);
    int error = 0;
    socklen_t size = sizeof error;
    if (::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0) error = errno;
    if (error != 0) {
        close(std::generic_category().message(error));
        return false;
    }
    sockaddr_storage peer{};
    size = sizeof peer;
    if (::getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &size) != 0) {
        close("no connection: refused, or no way there");
        return false;
    }
    // Small buffers: what waits in them is out of our hands, and old when it arrives.
    set(fd, SOL_SOCKET, SO_RCVBUF, buffer_bytes);
    set(fd, SOL_SOCKET, SO_SNDBUF, buffer_bytes);
    // Half-open connections end even where the keep-alive is off.
    set(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    set(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, 60'000);
    reached_ = true;
    state_ = State::greeting;
    arm_deadline(accept_seconds);
    event_add(readable_, nullptr);
    return true;
}

bool Connection::broker_hung_up() const
{
    char byte = 0;
    const ssize_t n = ::recv(mosquitto_socket(library_), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return n == 0 || (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR);
}

std::uint64_t Connection::consumed() const
{
    tcp_info info{};
    socklen_t size = sizeof info;
    int unread = 0;
    const int fd = mosquitto_socket(library_);
    if (::getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0 || ::ioctl(fd, FIONREAD, &unread) != 0) return 0;
    const auto waiting = static_cast<std::uint64_t>(std::max(unread, 0));
    return info.tcpi_bytes_received > waiting ? info.tcpi_bytes_received - waiting : 0;
}

// More has come in since the last whole packet than any packet for us has.
bool Connection::oversize()
{
    const std::uint64_t now = consumed();
    if (std::exchange(packet_complete_, false)) packet_start_ = now;
    return now > packet_start_ + packet_bytes_max;
}

void Connection::read_some()
{
    if (broker_hung_up()) {
        close(reason_of(MOSQ_ERR_CONN_LOST));
        return;
    }
    if (!handled(mosquitto_loop_read(library_, 1))) return;
    if (answer_) {
        const int code = *std::exchange(answer_, std::nullopt);
        if (code != 0) {
            close(std::string{"refused by the broker: "} +
                (version_5_ ? mosquitto_reason_string(code) : mosquitto_connack_string(code)));
            return;
        }
        evtimer_del(deadline_);
        state_ = State::open;
        was_accepted_ = true;
        owner_.on_accepted();
    }
    if (state_ != State::closed && oversize()) close("the broker sends a packet that is too large");
}

void Connection::write_some() { handled(mosquitto_loop_write(library_, 1)); }

// False: the connection is closed.
bool Connection::handled(int code)
{
    if (state_ == State::closed) return false;
    // A refusal counts as lost connection with the library; its own words come first.
    if (answer_ && *answer_ != 0 && mosquitto_socket(library_) >= 0) return true;
    if (code == MOSQ_ERR_SUCCESS && mosquitto_socket(library_) >= 0) return true;
    if (answer_ && *answer_ != 0)
        close(std::string{"refused by the broker: "} +
            (version_5_ ? mosquitto_reason_string(*answer_) : mosquitto_connack_string(*answer_)));
    else
        close(state_ == State::leaving ? "left" : reason_of(code == MOSQ_ERR_SUCCESS ? MOSQ_ERR_CONN_LOST : code));
    return false;
}

void Connection::once_a_second()
{
    if (state_ != State::open && state_ != State::leaving) return;
    if (handled(mosquitto_loop_misc(library_)) && !idle()) event_add(writable_, nullptr);
}

void Connection::close(const std::string& why)
{
    if (state_ == State::closed) return;
    state_ = State::closed;
    for (event** e : {&readable_, &writable_, &deadline_}) {
        if (*e) event_free(*e);
        *e = nullptr;
    }
    const std::string reason = !reached_ && !last_error_.empty() ? last_error_ : why;
    owner_.on_closed(reason, was_accepted_, reached_);
}

// Sending
// -------------------------------------------------------------------------------------------------------------------------

bool Connection::idle() const { return mosquitto_socket(library_) < 0 || !mosquitto_want_write(library_); }

std::optional<int> Connection::publish(const Outgoing& m)
{
    if (state_ != State::open) return std::nullopt;
    int id = 0;
    mosquitto_property* properties = nullptr;
    if (version_5_ && !m.correlation.empty())
        mosquitto_property_add_binary(
            &properties, MQTT_PROP_CORRELATION_DATA, m.correlation.data(), static_cast<std::uint16_t>(m.correlation.size()));
    const int rc = mosquitto_publish_v5(
        library_, &id, m.topic.c_str(), static_cast<int>(m.payload.size()), m.payload.data(), m.qos, m.retain, properties);
    mosquitto_property_free_all(&properties);
    if (rc == MOSQ_ERR_SUCCESS && !idle()) event_add(writable_, nullptr);
    // A connection that broke just now is found by the next read; here only the message is given back.
    return rc == MOSQ_ERR_SUCCESS ? std::optional{id} : std::nullopt;
}

bool Connection::subscribe(const std::string& pattern, int qos)
{
    const int rc = mosquitto_subscribe(library_, nullptr, pattern.c_str(), qos);
    if (rc == MOSQ_ERR_SUCCESS && !idle()) event_add(writable_, nullptr);
    return rc == MOSQ_ERR_SUCCESS;
}

void Connection::disconnect()
{
    if (state_ != State::open) return;
    state_ = State::leaving;
    mosquitto_disconnect(library_);
    // Reported from the loop: at once when it is written already, else when it could be written.
    if (mosquitto_socket(library_) < 0)
        event_active(deadline_, EV_TIMEOUT, 0);
    else
        event_add(writable_, nullptr);
}

// The library's callbacks: within its calls, so nothing here may end the connection
// ------------------------------------------------

void Connection::on_connect(mosquitto*, void* self, int code, int, const mqtt5__property*)
{
    self_of(self)->answer_ = code;
    self_of(self)->packet_complete_ = true;
}

void Connection::on_library_message(mosquitto*, void* self, const mosquitto_message* message, const mqtt5__property* properties)
{
    char* response_topic = nullptr;
    void* correlation = nullptr;
    std::uint16_t correlation_bytes = 0;
    mosquitto_property_read_string(properties, MQTT_PROP_RESPONSE_TOPIC, &response_topic, false);
    mosquitto_property_read_binary(properties, MQTT_PROP_CORRELATION_DATA, &correlation, &correlation_bytes, false);
    Received received;
    received.topic = message->topic;
    received.payload = {
        static_cast<const char*>(message->payload), message->payload ? static_cast<std::size_t>(message->payloadlen) : 0};
    received.retained = message->retain;
    if (response_topic) received.response_topic = response_topic;
    if (correlation) received.correlation = {static_cast<const char*>(correlation), correlation_bytes};
    self_of(self)->packet_complete_ = true;
    self_of(self)->owner_.on_message(received);
    std::free(response_topic);  // NOLINT(cppcoreguidelines-no-malloc): the library's
    std::free(correlation);     // NOLINT(cppcoreguidelines-no-malloc)
}

void Connection::on_publish(mosquitto*, void* self, int id, int, const mqtt5__property*)
{
    self_of(self)->owner_.on_confirmed(id);
}

void Connection::on_log(mosquitto*, void* self, int level, const char* text)
{
    const std::string_view line{text};
    // It tells of every packet it has read, also of those without a callback.
    if (line.find(" received ") != std::string_view::npos) self_of(self)->packet_complete_ = true;
    if (level == MOSQ_LOG_ERR) self_of(self)->last_error_ = line;
}

}  // namespace batgw::mqtt
