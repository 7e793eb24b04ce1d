#include "mqtt/ear.hpp"

#include <mosquitto.h>

#include <new>

namespace batgw {

namespace {

mosquitto* new_client(void* self)
{
    mosquitto_lib_init();
    return mosquitto_new(nullptr, true, self);
}

}  // namespace

MqttEar::MqttEar(std::uint16_t port) : client_{new_client(this)}
{
    if (client_ == nullptr) throw std::bad_alloc{};
    mosquitto_connect_callback_set(client_, [](mosquitto* m, void*, int) { mosquitto_subscribe(m, nullptr, "#", 0); });
    mosquitto_message_callback_set(client_, [](mosquitto*, void* self, const mosquitto_message* message) {
        auto& ear = *static_cast<MqttEar*>(self);
        const std::lock_guard lock{ear.mutex_};
        ++ear.heard_.messages;
        ear.heard_.newest[message->topic].assign(
            static_cast<const char*>(message->payload), static_cast<std::size_t>(message->payloadlen));
    });
    mosquitto_connect_async(client_, "127.0.0.1", port, 30);
    mosquitto_loop_start(client_);
}

MqttEar::~MqttEar()
{
    mosquitto_disconnect(client_);
    mosquitto_loop_stop(client_, true);
    mosquitto_destroy(client_);
    mosquitto_lib_cleanup();
}

MqttEar::Heard MqttEar::heard() const
{
    const std::lock_guard lock{mutex_};
    return heard_;
}

}  // namespace batgw
