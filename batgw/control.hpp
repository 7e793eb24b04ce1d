// The local socket behind `batgw status` and `batgw reset` (SAFE-045). Who may use it is who may open its file: the account and
// the group of the program. One request per connection, a line; the answer's first line is "ok" or "error CODE", the rest is for
// people.
//
//     status
//     status TAB json
//     reset TAB FAULT TAB REASON
//
// Lives in the outside thread: a client that sends nonsense, nothing or without end, or never reads, costs a slot for 5 s.
#pragma once

#include "bus/event.hpp"
#include "model/command.hpp"
#include "model/command_rate.hpp"
#include "model/config.hpp"

#include <cstdint>
#include <functional>
#include <list>
#include <string>
#include <string_view>

namespace batgw {

// The outcome of a request as the client gets it.
struct ControlAnswer {
    bool ok = false;
    std::string text;
};

class Control {
public:
    struct Hooks {
        std::function<bool(const Command&)> submit;  // false: not now
        std::function<std::string()> status, status_json;
        std::function<void(LogLevel, std::string_view)> log;
    };
    // Listens at once. What hinders it is logged, and the program goes on without.
    Control(event_base* base, std::string path, Hooks hooks);
    ~Control();
    Control(const Control&) = delete;
    Control& operator=(const Control&) = delete;

    bool listening() const { return static_cast<bool>(listener_); }
    // True when it answers a request of this socket.
    bool on_result(const CommandResult& result);

    static constexpr std::size_t clients_max = 8, request_max = 512;  // bytes
    static constexpr int patience_s = 5;
    static constexpr int pause_s = 1;  // of a listener for which there is no file handle or memory left

private:
    struct Client;
    bool listen();
    bool make_way();
    void accept();
    void accept_again();
    void ready(Client& client, short what);
    void read(Client& client);
    void write(Client& client);
    void take(Client& client, std::string_view line);
    void reset(Client& client, std::string_view arguments);
    void answer(Client& client, std::string_view heading, std::string_view text);
    void wait_for(Client& client, short what);
    void drop(Client& client);

    event_base* base_;
    std::string path_;
    Hooks hooks_;
    Fd listener_;
    EventHandle on_client_, on_pause_over_;
    std::list<Client> clients_;
    CommandRate rate_;  // of resets: each is an event
    std::uint64_t last_ticket_;
};

// Asks the program that listens at `path`. Throws std::runtime_error when there is none, or when it does not answer.
ControlAnswer ask_control(const std::string& path, std::string_view request);

}  // namespace batgw
