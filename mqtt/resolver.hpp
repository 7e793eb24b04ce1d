// Names to addresses without waiting: the C library's resolver may block for long, so it gets a helper thread.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

struct event;
struct event_base;

namespace batgw::mqtt {

class Resolver {
public:
    using Done = std::function<void(
        std::vector<std::string> addresses, std::string problem)>;  // numeric addresses, in order of preference

    explicit Resolver(event_base* base);
    ~Resolver();  // a resolution under way is abandoned, not waited for
    Resolver(const Resolver&) = delete;
    Resolver& operator=(const Resolver&) = delete;

    // Calls `done` from the event loop, later; at once is never. `family`: any, ipv4 or ipv6. One at a time: the one before is
    // abandoned.
    void start(const std::string& host, const std::string& family, Done done);
    void cancel();

private:
    struct Job;
    void answered();

    event_base* base_;
    std::shared_ptr<Job> job_;
    event* event_ = nullptr;
    Done done_;
};

// Of this house or a private network (MQTT-072).
bool is_private_address(const std::string& address);

}  // namespace batgw::mqtt
