#include "mqtt/client.hpp"

#include "mqtt/backoff.hpp"
#include "mqtt/connection.hpp"
#include "mqtt/desk.hpp"
#include "mqtt/outbound.hpp"
#include "mqtt/publisher.hpp"
#include "mqtt/resolver.hpp"
#include "mqtt/secret.hpp"
#include "mqtt/tls.hpp"

#include <event2/event.h>
#include <fmt/format.h>
#include <mosquitto.h>

#include <algorithm>
#include <array>
#include <map>
#include <new>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <arpa/inet.h>
#include <unistd.h>

namespace batgw {
namespace {

using namespace mqtt;

constexpr Duration tick_period = 200ms, stop_patience = 2s;
constexpr Duration settled = 10s;            // a connection that lasted this long starts the waiting times anew
constexpr std::size_t unconfirmed_max = 10;  // QoS 1 messages on their way

Moment moment_now()
{
    const auto wall = std::chrono::system_clock::now().time_since_epoch();
    return {std::chrono::time_point_cast<Duration>(std::chrono::steady_clock::now()),
        std::chrono::duration_cast<std::chrono::milliseconds>(wall).count()};
}

timeval to_timeval(Duration d)
{
    const auto us = std::max<Duration::rep>(d.count(), 0);
    return {.tv_sec = us / 1'000'000, .tv_usec = us % 1'000'000};
}

bool is_numeric(const std::string& host)
{
    std::array<unsigned char, 16> bytes{};
    return inet_pton(AF_INET, host.c_str(), bytes.data()) == 1 || inet_pton(AF_INET6, host.c_str(), bytes.data()) == 1;
}

std::string printable(std::string_view text)
{
    std::string out;
    for (const char c : text)
        if (c >= ' ' && c <= '~') out += c;
    return out;
}

struct EventFree {
    void operator()(event* e) const { event_free(e); }
};
using EventPointer = std::unique_ptr<event, EventFree>;

}  // namespace

class MqttClient::Impl final : public Connection::Owner {
public:
    Impl(event_base* base, const MqttConfig& config, const MqttContext& context, MqttHooks hooks);
    ~Impl() override;
    Impl(const Impl&) = delete;
    Impl& operator=(const Impl&) = delete;

    void on_snapshot(const Snapshot& snapshot);
    void on_result(const CommandResult& result);
    void reconfigure(const MqttConfig& config, const MqttContext& context);
    void stop(std::function<void()> done);
    bool connected() const { return connection_ && connection_->accepted(); }
    Counters counters() const;

private:
    // Connection::Owner
    void on_accepted() override;
    void on_message(const Received& received) override;
    void on_confirmed(int message_id) override;
    void on_writable() override { pump(); }
    void on_closed(const std::string& why, bool was_accepted, bool reached) override;

    template <void (Impl::*Method)()>
    EventPointer timer();
    void arm(const EventPointer& timer, Duration wait) const
    {
        const timeval t = to_timeval(wait);
        evtimer_add(timer.get(), &t);
    }
    void tick();
    void attempt();
    void connect_next();
    void failed(const std::string& why);
    void finish();
    void drop_retired() { retired_.reset(); }
    bool find_password(std::string& password);
    void warn_about_address(const std::string& address);
    void greet();
    void take(std::vector<Outgoing>& messages);
    void pump();
    void note_retained(const std::string& topic, bool there);
    OperatorState operator_state() const;
    void log(LogLevel level, const std::string& text) const
    {
        if (hooks_.log) hooks_.log(level, text);
    }
    static CommandRules rules(const MqttConfig& config, const MqttContext& context)
    {
        return {config.commands, context.max_charge, context.max_discharge};
    }

    event_base* base_;
    MqttConfig config_;
    MqttContext context_;
    MqttHooks hooks_;
    Publisher publisher_;
    CommandDesk desk_;
    Outbound outbound_;
    Resolver resolver_;
    std::unique_ptr<Connection> connection_, retired_;    // retired: closed, and freed when no call into it is under way any more
    std::map<int, std::optional<Outgoing>> unconfirmed_;  // QoS 1 messages by id; those to be delivered with a copy

    std::minstd_rand random_{std::random_device{}()};
    std::string client_id_;
    std::vector<std::string> addresses_;
    std::size_t address_ = 0;
    Backoff backoff_;
    std::string last_trouble_;      // as logged last; empty while all is well
    std::set<std::string> warned_;  // once each
    std::set<std::string> retained_;
    std::optional<Instant> accepted_at_;
    Instant second_{};
    bool greeted_ = false, stopping_ = false, publishing_ = false;
    std::function<void()> done_;
    Counters counters_;
    EventPointer tick_, retry_, next_, finish_, free_;
};

template <void (MqttClient::Impl::*Method)()>
EventPointer MqttClient::Impl::timer()
{
    EventPointer e{evtimer_new(
        base_, [](evutil_socket_t, short, void* self) noexcept { (static_cast<Impl*>(self)->*Method)(); }, this)};
    if (!e) throw std::bad_alloc{};
    return e;
}

MqttClient::Impl::Impl(event_base* base, const MqttConfig& config, const MqttContext& context, MqttHooks hooks)
    : base_{base},
      config_{config},
      context_{context},
      hooks_{std::move(hooks)},
      publisher_{config, context},
      desk_{config, rules(config, context)},
      resolver_{base},
      backoff_{config.reconnect},
      tick_{timer<&Impl::tick>()},
      retry_{timer<&Impl::attempt>()},
      next_{timer<&Impl::connect_next>()},
      finish_{timer<&Impl::finish>()},
      free_{timer<&Impl::drop_retired>()}
{
    mosquitto_lib_init();
    // The same for the life of this client: the broker then knows a connection that was lost half-open when we come back, and
    // ends it before its late will could say that we are away.
    client_id_ =
        config_.client_id.empty() ? fmt::format("batgw-{}-{:08x}", ::getpid(), std::random_device{}()) : config_.client_id;
    arm(tick_, tick_period);
    attempt();
}

MqttClient::Impl::~Impl()
{
    if (connected()) {  // as far as it goes without waiting
        connection_->publish(publisher_.offline());
        connection_->disconnect();
    }
    connection_.reset();
    retired_.reset();
    mosquitto_lib_cleanup();
}

// Connecting
// ----------------------------------------------------------------------------------------------------------------------

void MqttClient::Impl::attempt()
{
    if (stopping_) return;
    addresses_.clear();
    address_ = 0;
    if (is_numeric(config_.host)) {
        addresses_ = {config_.host};
        connect_next();
        return;
    }
    try {
        resolver_.start(config_.host, config_.family, [this](std::vector<std::string> addresses, const std::string& problem) {
            if (stopping_) return;
            addresses_ = std::move(addresses);
            if (addresses_.empty())
                failed(problem);
            else
                connect_next();
        });
    } catch (const std::exception& e) {
        failed(e.what());
    }
}

bool MqttClient::Impl::find_password(std::string& password)
{
    password = config_.password;
    if (!config_.password_file.empty()) {
        const auto secret = read_secret(config_.password_file);
        if (!secret) {
            failed(fmt::format("mqtt.password_file: {}: cannot be read", config_.password_file));
            return false;
        }
        if (world_readable(config_.password_file) && warned_.insert("password_file").second)
            log(LogLevel::warn, fmt::format("mqtt: {} is readable by everybody", config_.password_file));
        password = *secret;
    } else if (password.empty() && !config_.username.empty())
        password = service_credential("mqtt.password").value_or("");
    return true;
}

void MqttClient::Impl::warn_about_address(const std::string& address)
{
    if (!config_.tls.on && !is_private_address(address) && warned_.insert(address).second)
        log(LogLevel::warn,
            fmt::format(
                "mqtt: {} is not a private address and TLS is off: commands and passwords can be read and forged", address));
    if (config_.tls.on && !config_.tls.verify && warned_.insert("verify").second)
        log(LogLevel::warn, "mqtt: tls.verify is off: anybody can pass for the broker");
}

void MqttClient::Impl::connect_next()
{
    std::string password, problem;
    if (!find_password(password)) return;
    std::unique_ptr<Tls> tls;
    if (config_.tls.on) {
        tls = Tls::make(config_.tls, config_.host, problem);
        if (!tls) {
            failed(problem);
            return;
        }
    }
    const std::string address = addresses_[address_++];
    warn_about_address(address);
    try {
        connection_ = std::make_unique<Connection>(base_,
            Connection::Setup{.config = config_,
                .address = address,
                .client_id = client_id_,
                .password = std::move(password),
                .will = publisher_.offline(),
                .tls = std::move(tls)},
            *this);
    } catch (const std::bad_alloc&) {
        failed("out of memory or file descriptors");
    }
}

void MqttClient::Impl::failed(const std::string& why)
{
    ++counters_.failures;
    const Duration wait = backoff_.next(std::generate_canonical<double, 16>(random_));
    const std::string trouble = printable(why);
    // One line per change, not per try.
    log(trouble != last_trouble_ ? LogLevel::warn : LogLevel::debug,
        fmt::format("mqtt: {}:{}: {}; next try in {:.1f} s", config_.host, config_.port, trouble,
            std::chrono::duration<double>(wait).count()));
    last_trouble_ = trouble;
    arm(retry_, wait);
}

void MqttClient::Impl::on_closed(const std::string& why, bool was_accepted, bool reached)
{
    retired_ = std::move(connection_);
    arm(free_, Duration{0});
    // What was to be delivered and is not confirmed goes first next time; the rest is old by then.
    outbound_.forget();
    std::vector<Outgoing> again;
    for (auto& [id, message] : unconfirmed_)
        if (message) again.push_back(std::move(*message));
    outbound_.push_front(std::move(again));
    unconfirmed_.clear();
    greeted_ = false;
    if (stopping_) {
        arm(finish_, Duration{0});
        return;
    }
    if (was_accepted && accepted_at_ && moment_now().now - *accepted_at_ >= settled) backoff_.reset();
    accepted_at_.reset();
    if (!reached && address_ < addresses_.size()) {
        arm(next_, Duration{0});  // not here: a call into the closed connection is still under way
        return;
    }
    failed(why);
}

void MqttClient::Impl::on_accepted()
{
    ++counters_.connects;
    accepted_at_ = moment_now().now;
    last_trouble_.clear();
    log(LogLevel::info, fmt::format("mqtt: connected to {}:{}{}", config_.host, config_.port, config_.tls.on ? " with TLS" : ""));
    for (const std::string& topic : std::set<std::string>{retained_}) note_retained(topic, false);

    connection_->publish(publisher_.online());
    if (!config_.commands.empty()) connection_->subscribe(config_.topic + "/cmnd/#", 1);
    greet();
    pump();
}

// What follows LWT and subscription: everything there is to tell. Waits for the first snapshot.
void MqttClient::Impl::greet()
{
    if (greeted_ || !publisher_.has_snapshot()) return;
    greeted_ = true;
    Outbound kept = std::exchange(outbound_, Outbound{});
    std::vector<Outgoing> messages;
    publisher_.refresh(moment_now(), messages);
    take(messages);
    while (!kept.empty()) outbound_.push(kept.pop());
}

// Both ways
// -----------------------------------------------------------------------------------------------------------------------

void MqttClient::Impl::take(std::vector<Outgoing>& messages)
{
    for (Outgoing& m : messages) {
        // Without a connection everything but answers would be old when it arrives.
        if (m.keep == Keep::deliver || connected()) outbound_.push(std::move(m));
    }
    messages.clear();
}

void MqttClient::Impl::pump()
{
    if (publishing_) return;
    publishing_ = true;
    while (connected() && !outbound_.empty() && connection_->idle()) {
        if (outbound_.front().qos > 0 && unconfirmed_.size() >= unconfirmed_max) break;
        Outgoing message = outbound_.pop();
        const auto id = connection_->publish(message);
        if (!id) {
            ++counters_.dropped;
            break;
        }
        ++counters_.sent;
        if (message.qos > 0) unconfirmed_[*id] = message.keep == Keep::deliver ? std::optional{std::move(message)} : std::nullopt;
    }
    publishing_ = false;
    if (stopping_ && connected() && outbound_.empty() && connection_->idle()) connection_->disconnect();
}

void MqttClient::Impl::on_confirmed(int message_id) { unconfirmed_.erase(message_id); }

OperatorState MqttClient::Impl::operator_state() const
{
    if (publisher_.has_snapshot()) return publisher_.operator_state();
    OperatorState state;
    state.max_charge = context_.max_charge;
    state.max_discharge = context_.max_discharge;
    return state;
}

void MqttClient::Impl::note_retained(const std::string& topic, bool there)
{
    const bool any_before = !retained_.empty();
    if (there) {
        if (retained_.size() < 64) retained_.insert(topic);
    } else
        retained_.erase(topic);
    if (hooks_.retained_command && any_before == retained_.empty()) hooks_.retained_command(!retained_.empty());
}

void MqttClient::Impl::on_message(const Received& received)
{
    ++counters_.received;
    const Moment moment = moment_now();
    std::vector<Outgoing> messages;
    const auto outcome = desk_.on_message(received, operator_state(), moment, stopping_ ? nullptr : hooks_.submit, messages);
    if (!outcome.is_command) return;
    const std::string topic = printable(received.topic);
    if (outcome.retained) {
        log(LogLevel::warn, fmt::format("mqtt: a retained command lies on {}: refused; remove it from the broker", topic));
        note_retained(topic, true);
    }
    // A retained message is removed by an empty one, which is passed on like any other.
    else if (!received.retained && received.payload.empty())
        note_retained(topic, false);
    if (outcome.teleperiod) {
        if (outcome.teleperiod->period) {
            publisher_.set_teleperiod(*outcome.teleperiod->period, moment.now);
            desk_.publish_status(operator_state(), messages);
        } else
            publisher_.refresh(moment, messages);
    }
    take(messages);
}

void MqttClient::Impl::tick()
{
    arm(tick_, tick_period);
    const Moment moment = moment_now();
    std::vector<Outgoing> messages;
    desk_.expire(operator_state(), moment, messages);
    if (connected() && greeted_ && !stopping_) publisher_.step(moment, messages);
    take(messages);
    if (moment.now - second_ >= 1s) {
        second_ = moment.now;
        if (connection_) connection_->once_a_second();
    }
    pump();
}

void MqttClient::Impl::on_snapshot(const Snapshot& snapshot)
{
    publisher_.on_snapshot(snapshot);
    if (!connected() || stopping_) return;
    if (!greeted_)
        greet();
    else {
        std::vector<Outgoing> messages;
        publisher_.step(moment_now(), messages);
        take(messages);
    }
    pump();
}

void MqttClient::Impl::on_result(const CommandResult& result)
{
    std::vector<Outgoing> messages;
    desk_.on_result(result, moment_now(), messages);
    take(messages);
    pump();
}

// Life
// ----------------------------------------------------------------------------------------------------------------------------

void MqttClient::Impl::reconfigure(const MqttConfig& config, const MqttContext& context)
{
    if (stopping_) return;
    if (connected()) {  // goodbye under the old topic
        connection_->publish(publisher_.offline());
        connection_->disconnect();
    }
    connection_.reset();
    unconfirmed_.clear();
    outbound_.clear();
    resolver_.cancel();
    for (const auto* t : {&retry_, &next_}) evtimer_del(t->get());
    if (config.client_id != config_.client_id)
        client_id_ =
            config.client_id.empty() ? fmt::format("batgw-{}-{:08x}", ::getpid(), std::random_device{}()) : config.client_id;
    config_ = config;
    context_ = context;
    publisher_.reconfigure(config, context);
    desk_.reconfigure(config, rules(config, context));
    backoff_ = Backoff{config.reconnect};
    last_trouble_.clear();
    warned_.clear();
    greeted_ = false;
    attempt();
}

void MqttClient::Impl::stop(std::function<void()> done)
{
    done_ = std::move(done);
    if (std::exchange(stopping_, true)) return;
    resolver_.cancel();
    for (const auto* t : {&retry_, &next_}) evtimer_del(t->get());
    if (!connected()) {
        arm(finish_, Duration{0});
        return;
    }
    arm(finish_, stop_patience);
    outbound_.forget();
    outbound_.push(publisher_.offline());
    pump();
}

void MqttClient::Impl::finish()
{
    const auto done = std::exchange(done_, nullptr);
    connection_.reset();
    if (done) done();  // may be the end of this object
}

MqttClient::Counters MqttClient::Impl::counters() const
{
    Counters c = counters_;
    c.dropped += outbound_.dropped();
    c.waiting = outbound_.size();
    return c;
}

MqttClient::MqttClient(event_base* outside, const MqttConfig& config, const MqttContext& context, MqttHooks hooks)
    : impl_{std::make_unique<Impl>(outside, config, context, std::move(hooks))}
{}
MqttClient::~MqttClient() = default;
void MqttClient::on_snapshot(const Snapshot& snapshot) { impl_->on_snapshot(snapshot); }
void MqttClient::on_result(const CommandResult& result) { impl_->on_result(result); }
void MqttClient::reconfigure(const MqttConfig& config, const MqttContext& context) { impl_->reconfigure(config, context); }
void MqttClient::stop(std::function<void()> done) { impl_->stop(std::move(done)); }
bool MqttClient::connected() const { return impl_->connected(); }
MqttClient::Counters MqttClient::counters() const { return impl_->counters(); }

}  // namespace batgw
