// One connection to one address of the broker, from TCP to the last byte. Made anew for every try: nothing of an old one lingers.
#pragma once

#include "model/config.hpp"
#include "mqtt/desk.hpp"
#include "mqtt/outgoing.hpp"
#include "mqtt/tls.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

struct event;
struct event_base;
struct mosquitto;
struct mosquitto_message;
struct mqtt5__property;

namespace batgw::mqtt {

class Connection {
public:
    // Whom it reports to. Calls come from the event loop, never from within a call to the connection; on_closed() is the last
    // one. In on_message() the connection may not be touched; nowhere may it be destroyed.
    class Owner {
    public:
        virtual ~Owner() = default;
        virtual void on_accepted() = 0;
        virtual void on_message(const Received& received) = 0;
        virtual void on_confirmed(int message_id) = 0;
        virtual void on_writable() = 0;                                                       // something more may be published
        virtual void on_closed(const std::string& why, bool was_accepted, bool reached) = 0;  // reached: TCP stood
    };
    struct Setup {
        const MqttConfig& config;
        std::string address;  // numeric
        std::string client_id, password;
        Outgoing will;
        std::unique_ptr<Tls> tls;  // null: without
    };
    Connection(event_base* base, Setup setup, Owner& owner);
    ~Connection();  // closes without a word
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    bool accepted() const { return state_ == State::open; }
    // Nothing waits to be written: the moment for the next message.
    bool idle() const;
    // The message id (QoS 1: to be confirmed); nothing when it was not taken.
    std::optional<int> publish(const Outgoing& message);
    bool subscribe(const std::string& pattern, int qos);
    void disconnect();  // DISCONNECT after all that was published; then on_closed()
    void once_a_second();

    static constexpr std::uint64_t packet_bytes_max = 64 * 1024;

private:
    enum class State { connecting, greeting, open, leaving, closed };
    void watch();
    void arm_deadline(int seconds);
    void on_event(short what);
    bool tcp_stands();
    void read_some();
    void write_some();
    bool handled(int code);
    bool oversize();
    bool broker_hung_up() const;
    void close(const std::string& why);
    std::string reason_of(int code) const;
    std::uint64_t consumed() const;

    static void on_connect(mosquitto*, void* self, int code, int, const mqtt5__property*);
    static void on_library_message(mosquitto*, void* self, const mosquitto_message* message, const mqtt5__property* properties);
    static void on_publish(mosquitto*, void* self, int id, int, const mqtt5__property*);
    static void on_log(mosquitto*, void* self, int level, const char* text);

    event_base* base_;
    Owner& owner_;
    std::unique_ptr<Tls> tls_;  // outlives the library's use of it
    mosquitto* library_;
    event* readable_ = nullptr;
    event* writable_ = nullptr;
    event* deadline_ = nullptr;
    State state_ = State::connecting;
    bool version_5_;
    bool reached_ = false, was_accepted_ = false;
    std::optional<int> answer_;       // of CONNACK
    std::string last_error_;          // the library's own words
    std::uint64_t packet_start_ = 0;  // bytes received when the last packet was complete
    bool packet_complete_ = false;
};

}  // namespace batgw::mqtt
